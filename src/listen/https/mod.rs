//! DNS over HTTPS (RFC 8484, and its JSON form) over one TLS connection: HTTP/2 (RFC 9113) or HTTP/1.1, as ALPN has decided.
//!
//! What costs memory or time has a bound: streams, windows, header and body octets, resets, octets that the client does not read,
//! the time without a request. An answer that needs no waiting is given while its request is read, without a task of its own.

mod accept;
mod body;
mod connection;
mod cork;
mod dns_json;
pub mod form;
mod freshness;
mod media_type;
mod request;

pub use accept::Wish;
pub(super) use connection::converse;
pub use request::HttpsUris;
