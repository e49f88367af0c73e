//! The clock of the views: which lists are in force at this time of day, and for whom a pause holds.
//!
//! `keeper.rs` looks at the clock on a thread of its own, beside the workers, and puts what has changed in force as a new snapshot;
//! `pauses.rs` knows the pauses and when each ends.
//!
//! Knows nothing of: how lists are read, how questions are answered.

mod keeper;
mod pauses;
#[cfg(test)]
mod tests;

pub(super) use keeper::{ViewKeeper, moment_at};
