//! Asks ONE server ONE question and proves that the reply belongs to it (RFC 5452, RFC 7766, RFC 7873).
//!
//! `ask.rs` is the whole exchange: a datagram out, and then whatever comes judged by `matching.rs`; doubt
//! leads to TCP. A reply that does not belong is dropped and the true one still awaited. The only memory
//! here are sockets and connections that are still open; what is known of servers (EDNS, cookies, letter
//! case, speed) is handed in with each `Ask` and handed back in `Notes`.
//!
//! One `Upstream` per worker; it spawns local tasks, so it must be used inside a `LocalSet`.
//!
//! Knows nothing of: which server to choose, what the sections mean, the cache, the client.

mod exchange;
mod dns0x20;
#[cfg(test)]
mod fake_net;
mod do_not_query;
mod tcp_framing;
mod matching;
mod query;
mod sockets;
mod tcp;
#[cfg(test)]
mod tests;

pub use do_not_query::{Forbidden, may_ask};
pub use exchange::{Ask, AskError, Notes, Reply, TcpReason, Transport, Upstream};
pub use query::EdnsOut;
pub use tcp::TcpFault;
