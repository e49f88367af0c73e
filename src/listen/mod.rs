//! Sockets: packets become requests, replies become packets. UDP in batches, TCP with pipelining (RFC 7766);
//! limits on waiting questions and on connections; an orderly stop.
//!
//! One worker is one thread with its own sockets and its own single-threaded runtime. What can be answered at
//! once is answered inside the receive batch; the rest becomes a local task. `run_workers` starts them,
//! `serve_worker` is all that one of them does.
//!
//! Knows nothing of: what a reply says, how it is found.

mod connection;
mod counters;
mod dispatch;
mod failure;
#[cfg(test)]
mod fake;
mod limits;
mod stream;
mod udp;
mod worker;

pub use counters::Counters;
pub use dispatch::{Admission, Answer};
pub use limits::Bounds;
pub use worker::{Sockets, Workers, run_worker, run_workers, serve_worker};
