//! One request becomes one reply.
//!
//! `Worker::at_once` answers what needs no waiting (ready answers, own zones, refusals) inside the receive
//! batch; `Worker::in_full` does everything, and `at_once` is only its short cut, never a second opinion.
//!
//! Knows nothing of: sockets.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::env::BootTime;

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

/// What one thread answers with. Not `Send`: each thread makes its own over the same shared state.
pub struct Worker {}

impl Worker {
    /// `slot` holds the query in its first `len` octets; a reply is written over it.
    pub fn at_once(&self, _slot: &mut [u8], _len: usize, _client: &Client, _now: BootTime) -> AtOnce {
        AtOnce::Later
    }

    /// The reply to any query, or `None` where silence is right. Never fails, never takes longer than the
    /// time to give up of `config::Limits`.
    pub async fn in_full(self: &Rc<Self>, _query: &[u8], _client: &Client) -> Option<Vec<u8>> {
        None
    }
}
