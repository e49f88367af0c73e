//! One request becomes one reply.
//!
//! `pipeline.rs` has the order of decisions on one screen. `Worker::at_once` runs it inside the receive batch as far as that
//! needs no waiting, `Worker::later` continues, and `Worker::explain` is the same run with its decisions recorded. Ready
//! answers (`fast_path.rs`) repeat what the pipeline answered, and decide nothing. What servers of a zone say to one another
//! (transfers, NOTIFY, signed messages) is `zone_message.rs`.
//!
//! Knows nothing of: sockets, files, the wire towards servers.

mod case;
mod client_rights;
mod connection_options;
mod cookie;
mod dns64;
mod explained;
mod failure_log;
mod fast_path;
mod hosted;
mod listed;
#[cfg(test)]
mod listed_tests;
mod local;
mod local_data;
mod local_root;
mod notified;
mod outcome;
mod permitted_update;
mod pipeline;
#[cfg(test)]
mod pipeline_tests;
mod place;
mod query_log;
#[cfg(test)]
mod query_log_tests;
mod recent_failures;
mod refusal;
#[cfg(test)]
mod reload_tests;
mod reply;
mod request;
mod policy_zones;
mod response_policy;
mod review;
mod rewritten;
mod service;
mod snapshot;
mod transfer_places;
mod updates;
mod view_routes;
mod views;
#[cfg(test)]
mod views_tests;
#[cfg(test)]
mod tests;
mod worker;
mod zone_access;
mod zone_message;
#[cfg(test)]
mod zone_message_tests;

use std::net::{IpAddr, SocketAddr};

pub use explained::{Explained, ListAct, Note};
pub use local_root::LocalRoot;
pub use outcome::Outcome;
pub use recent_failures::RecentFailure;
pub use service::{Parts, Retired, Service};
pub use updates::RequestedUpdate;
pub use worker::{Moment, Pending, Worker, worker_for_own_needs};

use crate::record::Question;
use crate::wire::{Flags, Header, Writer};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    /// As all below: replies up to 65,535 octets, never truncated for size.
    Tcp,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484): one reply for each query.
    Https,
}

impl Transport {
    /// As in reports and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Https => "https",
        }
    }

    /// Whether nobody on the way can read the messages.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Transport::Tls | Transport::Https)
    }
}

/// Who asks, and where.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub transport: Transport,
    /// A load balancer has said who asks, and where: the client reaches the balancer's addresses and ports, not ours.
    pub is_behind_balancer: bool,
}

pub enum AtOnce<P = Box<Pending>> {
    /// The reply stands in the slot and has this length.
    Reply(usize),
    /// Nothing is to be sent.
    Silence,
    /// It takes waiting: give this to `later`. The slot is as it was.
    Later(P),
    /// Many messages, over a stream only.
    ///
    /// Boxed twice, so that this stays as small as for a hit.
    Many(Box<Box<dyn Messages>>),
}

/// A reply of many messages (RFC 5936 2.2). Each is made when it can be sent, so that none waits in memory.
pub trait Messages {
    /// `None` after the last.
    fn next(&mut self) -> Option<Vec<u8>>;
}

/// A query to be explained.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explain {
    pub question: Question,
    /// `None`: as the operator, for whom no access list applies.
    pub client: Option<IpAddr>,
    /// Where the client asks, for views that are for some addresses of this server; `None`: such views are for nobody.
    pub at: Option<SocketAddr>,
    /// RD.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
}

impl Explain {
    /// What a stub resolver asks.
    pub fn new(question: Question, client: Option<IpAddr>) -> Explain {
        Explain { question, client, at: None, recursion_desired: true, checking_disabled: false }
    }

    fn query(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 512);
        let flags = Flags(0).with(Flags::RD, self.recursion_desired).with(Flags::CD, self.checking_disabled);
        writer.header(Header { id: 0, flags, counts: [0; 4] });
        // A name is at most 255 octets.
        let _ = writer.question(&self.question);
        writer.finish()
    }
}
