//! Lists of names to block or to let through, as one immutable table that is swapped whole.
//!
//! `reader.rs` takes a list line by line, `plain.rs`, `adblock.rs` and `modifiers.rs` are the forms of a line, `tally.rs` is the account of them; `builder.rs` makes
//! `table.rs` out of the rules, and `found.rs` is what it knows of one name. Which lists are in force for a client, and what a
//! blocked name is answered with, is not decided here.
//!
//! Knows nothing of: files, clients, answers.

mod adblock;
mod builder;
mod detailed;
mod found;
mod modifiers;
mod name;
mod plain;
mod reader;
mod rule;
mod table;
mod tally;

pub use builder::Builder;
pub use found::{Found, ListId, ListSet, ListVerdict};
pub use reader::{Dialect, ListReader};
pub use rule::{Detail, Kind, Reach, Rewrite, Rule, Types};
pub use table::Lists;
pub use tally::{SkipReason, Tally};
