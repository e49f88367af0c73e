//! The query log (`[query-log]`): a line for each answered query, written by a thread of its own.
//!
//! ```text
//! workers ─► tap ─► writer (thread) ─► line: text of one entry ─► file: append, rotate, open again
//! ```
//!
//! A slow or full disk delays no answer: entries that find no room are left out and counted.
//!
//! Knows nothing of: how a query is answered.

mod file;
mod line;
mod writer;

pub(super) use file::make;
pub(super) use writer::start;
