//! Asks ONE server ONE question and proves that the reply belongs to it (RFC 5452, RFC 7766, RFC 7873).
//!
//! `exchange.rs` is the whole exchange: it sends a datagram, and `matching.rs` judges whatever comes. Doubt leads to
//! TCP. A reply that does not belong is dropped, and the wait for the true one goes on. The only state here is open
//! sockets and connections, and the queries that wait for a socket; facts about servers (EDNS, cookies, letter case,
//! speed) are arguments in each `Ask` and results in `Notes`.
//!
//! `tls_trust.rs` says whom a TLS server is verified with.
//!
//! There is one `Upstream` per worker. It spawns local tasks, so it must be used inside a `LocalSet`.
//!
//! Knows nothing of: which server to choose, what the sections mean, the cache, the client (only a number by
//! which clients take turns for sockets).

mod exchange;
mod dns0x20;
#[cfg(test)]
mod fake_net;
mod do_not_query;
mod tcp_framing;
mod matching;
mod query;
mod socket_queue;
mod socket_table;
mod sockets;
mod tcp;
#[cfg(test)]
mod tests;
mod tls_trust;
mod translator;

pub use do_not_query::may_ask;
pub use exchange::{AskError, Notes, Reply, TcpReason, Transport, Upstream};
pub use query::{Ask, EdnsOut, SocketWait};
pub use tcp::TcpFault;
pub use tls_trust::TlsTrust;
pub use translator::Translator;
