//! Sockets: packets become requests, replies become packets. UDP in batches, TCP with pipelining (RFC 7766);
//! limits on waiting questions and on connections; an orderly stop.
//!
//! One worker is one thread with its own sockets and its own single-threaded runtime. What can be answered at
//! once is answered inside the receive batch; the rest becomes a local task. `run_worker` is the body of
//! its thread.
//!
//! Knows nothing of: what a reply says, how it is found.

mod connection;
mod dispatch;
mod failure;
#[cfg(test)]
mod fake;
mod limits;
mod stream;
mod udp;
mod worker;

pub use dispatch::Admission;
pub use limits::Bounds;
#[cfg(any(test, feature = "internals"))]
pub use worker::serve_worker;
pub use worker::{SocketChange, SocketChanges, Sockets, run_worker};
