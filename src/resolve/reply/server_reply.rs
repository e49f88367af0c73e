//! A reply of a server, scrubbed and classified.

use std::net::SocketAddr;

use crate::env::BootTime;
use crate::record::Rcode;
use crate::resolve::reply::classify::Kind;
use crate::resolve::reply::scrub::Scrubbed;
use crate::wire::Header;

/// A reply of one server. It is large and handed from hand to hand, so it is boxed where it is made.
pub struct ServerReply {
    pub kind: Kind,
    pub header: Header,
    pub rcode: Rcode,
    pub content: Scrubbed,
    pub server: SocketAddr,
    /// The TTLs of its records count from here (RFC 1035 3.2.1), even where it is used later.
    pub received_at: BootTime,
}

impl ServerReply {
    /// The reply as it is at `now`: what has passed since it came is off every TTL.
    pub fn aged(mut self: Box<Self>, now: BootTime) -> Box<ServerReply> {
        let seconds = now.secs().saturating_sub(self.received_at.secs());
        if seconds > 0 {
            self.content.age(seconds);
            self.received_at = now;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, RrSet, Rtype};
    use crate::wire::Flags;

    #[test]
    fn every_record_of_a_reply_ages() {
        let set = |ttl: u32| RrSet::new(Name::root(), Rtype::A, ttl);
        let sets = || vec![set(60), set(2)];
        let content = Scrubbed {
            answer: sets(),
            alias_tail: sets(),
            proof: sets(),
            glue: sets(),
            hints: sets(),
            soa: Some(set(60)),
            referral: Some(set(60)),
            ds: Some(set(60)),
            own_servers: Some(set(60)),
            ..Scrubbed::default()
        };
        let header = Header { id: 0, flags: Flags(0), counts: [0; 4] };
        let server = "192.0.2.1:53".parse().expect("an address");
        let came = BootTime(7_000_000);
        let reply = Box::new(ServerReply { kind: Kind::NoData, header, rcode: Rcode::NOERROR, content, server, received_at: came });
        let later = BootTime(came.0 + 3_000);
        let aged = reply.aged(came).aged(later).aged(later).content;
        for list in [&aged.answer, &aged.alias_tail, &aged.proof, &aged.glue, &aged.hints] {
            assert_eq!(list.iter().map(|set| set.ttl).collect::<Vec<_>>(), [57, 0]);
        }
        for single in [aged.soa, aged.referral, aged.ds, aged.own_servers] {
            assert_eq!(single.map(|set| set.ttl), Some(57));
        }
    }
}
