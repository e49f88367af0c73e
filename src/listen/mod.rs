//! Sockets: packets become requests, replies become packets. UDP in batches, TCP with pipelining (RFC 7766),
//! DNS over TLS and HTTPS; limits on waiting questions and on connections; a clean shutdown.
//!
//! One worker is one thread with its own sockets and its own single-threaded runtime. A question that needs no waiting is
//! answered inside the receive batch; others become local tasks. `run_worker` is the main function of the thread, `run_encrypted` that of the
//! threads for TLS and HTTPS.
//!
//! Knows nothing of: how a reply is found; what it says, except for the JSON form of HTTPS.

mod close;
mod connection;
#[cfg(test)]
mod connection_tests;
mod dispatch;
mod encrypted;
#[cfg(test)]
mod encrypted_tests;
mod failure;
#[cfg(test)]
mod fake;
mod handshake;
mod https;
mod limits;
mod proxied;
#[cfg(test)]
mod proxied_tests;
mod proxy_header;
mod replies;
mod stream;
mod tls;
mod udp;
mod worker;

pub use close::close_in_order;
pub use dispatch::Admission;
pub use encrypted::{EncryptedAddr, Encryption, ListenerChange, ListenerChanges, run_encrypted};
pub use https::{HttpsUris, Wish, form};
pub use limits::{Bounds, Connections, LiveBounds, Permit};
#[cfg(any(test, feature = "internals"))]
pub use proxy_header::{Header as ProxyHeader, read as read_proxy_header};
pub use tls::{Encrypted, Tls};
#[cfg(any(test, feature = "internals"))]
pub use worker::serve_worker;
pub use worker::{SocketChange, SocketChanges, Sockets, run_worker};
