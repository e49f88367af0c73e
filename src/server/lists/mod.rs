//! The sources of lists of names (`[[list]]`): read before the first question is answered, at each reload, and when a file changes.
//!
//! `keeper.rs` puts the table of all lists in force, which `assemble.rs` makes of what has changed and what has not. `source.rs` is
//! one list's file, read line by line by `read.rs`; `state.rs` is what is known of each list, `shown.rs` and `which.rs` what
//! `cairn list` tells, with the lines of `deciding_line.rs` and what decides besides lists (`other_rules.rs`); `check.rs` reads lists
//! where no server runs. A list with a URL is read from its `copy.rs`; `fetcher.rs` fetches
//! it when `schedule.rs` says that it is due. A file has a copy too, for a start at which it is missing or broken (`copied.rs`). Everything happens on threads beside
//! the workers: the table of millions of names is made and freed there.
//!
//! Knows nothing of: what lines mean, how questions are answered.

mod assemble;
mod check;
mod copied;
mod copy;
mod deciding_line;
mod fetcher;
#[cfg(test)]
mod fetcher_tests;
mod keeper;
#[cfg(test)]
mod keeper_tests;
mod other_rules;
mod read;
mod schedule;
mod shown;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod which;
#[cfg(test)]
mod which_tests;

pub use check::{CheckedList, check_lists, which_list};
pub(super) use keeper::ListKeeper;
