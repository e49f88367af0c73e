//! Asks ONE server ONE question and proves that the reply belongs to it (RFC 5452, RFC 7766, RFC 7873).
//!
//! `exchange.rs` is the whole exchange: it sends a datagram, and `matching.rs` judges whatever comes. Doubt leads to
//! TCP. A reply that does not belong is dropped, and the wait for the true one goes on. The only state here is open
//! sockets and connections, and the queries that wait for a socket; facts about servers (EDNS, cookies, letter case,
//! speed) are arguments in each `Ask` and results in `Notes`.
//!
//! A server with a `TlsServer` is asked over an encrypted connection and in no other way: `encrypted.rs` is that exchange, `https.rs`
//! carries it in HTTP/2, and `tls_trust.rs` says whom the server is verified with.
//!
//! There is one `Upstream` per worker. It spawns local tasks, so it must be used inside a `LocalSet`.
//!
//! Knows nothing of: which server to choose, what the sections mean, the cache, the client (only a number by
//! which clients take turns for sockets).

mod connection;
mod exchange;
mod dns0x20;
mod encrypted;
#[cfg(test)]
mod encrypted_tests;
mod fault;
#[cfg(test)]
mod fake_net;
mod do_not_query;
mod https;
#[cfg(test)]
mod https_tests;
mod tcp_framing;
mod matching;
mod query;
mod socket_queue;
mod socket_table;
mod sockets;
mod tcp;
#[cfg(test)]
mod tests;
mod tls_server;
mod tls_trust;
mod translator;
mod troubles;
mod witness;

pub use connection::Secure;
pub use do_not_query::may_ask;
pub use exchange::{AskError, Notes, Reply, TcpReason, Transport, Upstream};
pub use fault::TcpFault;
#[cfg(any(test, feature = "internals"))]
pub use fault::{HttpFault, TlsFault};
pub use query::{Ask, EdnsOut, SocketWait};
pub use tls_server::TlsServer;
pub use tls_trust::TlsTrust;
pub use translator::Translator;
pub use witness::Witness;
