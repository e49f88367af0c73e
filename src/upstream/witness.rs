//! Tells whoever watches (dnstap) of queries to servers and their replies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::query::Ask;
use crate::env::Clock;
use crate::tap::{Feed, Passed, PassedKind};

/// The transport that has no connection.
const UDP: &str = "udp";

/// Where one worker's exchanges are told.
pub struct Witness {
    feed: Feed,
    clock: Arc<dyn Clock>,
}

impl Witness {
    pub fn new(feed: Feed, clock: Arc<dyn Clock>) -> Witness {
        Witness { feed, clock }
    }

    /// The time, if somebody watches.
    pub(super) fn now_us(&self) -> Option<u64> {
        self.feed.is_on().then(|| self.clock.wall_us())
    }

    /// A query has been sent over UDP.
    pub(super) fn sent(&self, ask: &Ask<'_>, query: &[u8], query_us: u64) {
        let kind = if ask.recursion_desired { PassedKind::ForwarderQuery } else { PassedKind::ResolverQuery };
        self.pass(ask, kind, UDP, [query_us, 0], query);
    }

    /// A reply has come. Over a stream the query has been sent with the ID that the reply has, and is told of now.
    pub(super) fn replied(&self, ask: &Ask<'_>, query: &[u8], query_us: u64, transport: &'static str, reply: &[u8]) {
        let [of_query, of_response] = match ask.recursion_desired {
            true => [PassedKind::ForwarderQuery, PassedKind::ForwarderResponse],
            false => [PassedKind::ResolverQuery, PassedKind::ResolverResponse],
        };
        if transport != UDP
            && let (Some(id), Some(rest)) = (reply.get(..2), query.get(2..))
        {
            self.pass(ask, of_query, transport, [query_us, 0], &[id, rest].concat());
        }
        self.pass(ask, of_response, transport, [query_us, self.clock.wall_us()], reply);
    }

    fn pass(&self, ask: &Ask<'_>, kind: PassedKind, transport: &'static str, [query_us, response_us]: [u64; 2], message: &[u8]) {
        let zone = ask.zone.map_or(&[][..], |zone| zone.as_wire());
        // From where the kernel has sent it is not known here.
        let unknown = if ask.server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
        let from = SocketAddr::new(unknown, 0);
        self.feed.passed(&Passed { kind, query_us, response_us, from, to: ask.server, transport, zone, message });
    }
}
