//! What one server said, scrubbed and classified.

use std::net::SocketAddr;

use super::classify::Kind;
use super::scrub::Scrubbed;
use crate::record::Rcode;
use crate::wire::Header;

/// A reply of use.
pub struct Heard {
    pub kind: Kind,
    pub header: Header,
    pub rcode: Rcode,
    pub content: Scrubbed,
    pub server: SocketAddr,
}
