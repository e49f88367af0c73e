//! A reply of a server, scrubbed and classified.

use std::net::SocketAddr;

use crate::record::Rcode;
use crate::resolve::reply::classify::Kind;
use crate::resolve::reply::scrub::Scrubbed;
use crate::wire::Header;

/// A reply of one server.
pub struct ServerReply {
    pub kind: Kind,
    pub header: Header,
    pub rcode: Rcode,
    pub content: Scrubbed,
    pub server: SocketAddr,
}
