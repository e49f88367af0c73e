//! One request becomes one reply.
//!
//! `Worker::at_once` answers what needs no waiting (ready answers, own zones, refusals) inside the receive
//! batch; `Worker::in_full` does everything, and `at_once` is only its short cut, never a second opinion.
//! The order of decisions stands in `worker.rs`, on one screen.
//!
//! Knows nothing of: sockets, files, the wire towards servers.

mod failure_log;
mod cookie;
mod held;
mod outcome;
mod place;
mod fast_path;
mod refusal;
#[cfg(test)]
mod reload_tests;
mod reply;
mod request;
mod service;
mod snapshot;
#[cfg(test)]
mod tests;
mod worker;

use std::net::SocketAddr;

pub use outcome::Outcome;
pub use refusal::Refused;
pub use service::{Parts, Retired, Service};
pub use snapshot::Snapshot;
pub use worker::{Conclusion, Explained, Holder, Moment, Worker};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    /// TCP and whatever runs over it: replies up to 65,535 octets, never truncated for size.
    Stream,
}

/// Who asks, and where.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    pub peer: SocketAddr,
    pub local: SocketAddr,
    pub transport: Transport,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtOnce {
    /// The reply stands in the slot and has this length.
    Reply(usize),
    /// Nothing is to be sent.
    Silence,
    /// It takes waiting: give the query to `in_full`. The slot is as it was.
    Later,
}
