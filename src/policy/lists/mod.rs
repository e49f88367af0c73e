//! Lists of names to block or to let through, as one immutable table that is swapped whole.
//!
//! ```text
//! line ─► reader.rs ─► plain.rs, adblock.rs + modifiers.rs, dnsmasq.rs, unbound.rs, rpz.rs ─► rule.rs ─► builder.rs ─► table.rs
//!             └──────► tally.rs, the account of all lines
//! ```
//!
//! `table.rs` has a name in about eight octets (`segment.rs`), with what all lists say of it as a number (`combination.rs`); the few
//! rules that say more stand beside it (`detailed.rs`). `found.rs` is what it knows of one name. Which lists are in force for a
//! client, and what a blocked name is answered with, is not decided here.
//!
//! Knows nothing of: files, clients, answers.

mod adblock;
mod builder;
mod combination;
mod detailed;
mod dnsmasq;
mod found;
mod modifiers;
mod name;
mod plain;
mod reader;
mod rpz;
mod rule;
mod segment;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod unbound;

pub use builder::Builder;
pub use found::{Found, ListId, ListSet, ListVerdict};
pub use plain::leads_nowhere;
pub use reader::{Dialect, ListReader};
pub use rule::{Detail, Kind, Reach, Rewrite, Rule, Types};
pub use table::Lists;
pub use tally::{SkipReason, Tally, printable};
