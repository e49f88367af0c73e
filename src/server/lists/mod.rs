//! The sources of lists of names (`[[list]]`): read before the first question is answered, at each reload, and when a file changes.
//!
//! `keeper.rs` knows which source was read when and puts the table of all lists in force, `state.rs` is what is known of each,
//! `read.rs` reads a file line by line,
//! `shown.rs` is what `cairn list` tells. Everything happens on the control thread or on a thread of its own with low priority:
//! the table of millions of names is built and freed there.

mod keeper;
mod read;
mod shown;
mod state;

pub(super) use keeper::ListKeeper;
