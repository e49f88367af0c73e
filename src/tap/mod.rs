//! What passes is copied here for those who watch: the query log and dnstap. Each worker writes into a ring of its own and never
//! waits; one thread reads the rings of all workers. What finds no room is left out and counted, so that a slow reader delays no
//! answer.
//!
//! ```text
//! worker 0 ─► Feed ─► ring ─┐
//! worker 1 ─► Feed ─► ring ─┼─► Tap ─► one reader: a file, a socket
//! ```
//!
//! Knows nothing of: who reads, files, sockets, what answers mean.

mod answered;
mod fields;
mod feed;
mod passed;
mod ring;

pub use answered::{Answered, Reason};
pub use feed::{Feed, Rule, Tap};
pub use passed::{Passed, PassedKind};
