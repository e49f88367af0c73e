//! Authoritative data: the zones Cairn hosts.
//!
//! `master/` reads master files (RFC 1035 5) and `transfer.rs` and `incremental.rs` the messages of a zone
//! transfer (RFC 5936, RFC 1995); `builder.rs`
//! collects the records (`assembly.rs` those of a program), `check.rs` and `slips.rs` check them as a zone, `tree.rs` is the finished snapshot that all workers share,
//! `shard.rs` its packed parts. `lookup.rs` finds data (RFC 1034 4.3.2, RFC 4592, RFC 6672), `denial.rs` proves non-existence,
//! `diff.rs` compares two versions of a zone (RFC 1995), `edit.rs` makes the next version out of one,
//! `zonemd.rs` checks the digest of a whole zone (RFC 8976), `zones.rs` is the set of all hosted zones. Everything here is pure
//! and synchronous; the caller provides the text of files.
//!
//! Knows nothing of: clients, recursion, clocks.

mod assembly;
mod check;
mod denial;
mod denial_chain;
mod diff;
mod builder;
mod edit;
mod incremental;
mod lookup;
mod master;
#[cfg(test)]
mod model;
mod name_table;
mod patch;
mod problem;
mod shard;
mod slips;
mod transfer;
mod tree;
mod zonemd;
mod zones;

pub use assembly::Assembly;
pub use denial::Missing;
pub use diff::{Cursor, Diff, RecordRef, Records, is_newer, octets_of, records_from};
pub use edit::{ChangedSet, edit_zone, sets_at};
pub use incremental::{IncrementalReader, Received};
pub use lookup::{Found, dname_target};
pub use master::{
    Change, Delta, MasterFile, NewRecord, Refusal, ZoneRecord, load_zone, next_serial, parse_records, record_type, relative_name, serial,
};
pub use patch::patched;
pub use problem::{Problem, Severity};
pub use shard::{NodeRef, SetRef};
pub use transfer::TransferReader;
pub use tree::{Zone, have_same_data};
pub use zonemd::{DigestOfZone, HashAlgorithm, ZonemdVerdict, verify_zonemd};
pub use zones::{ZoneWithoutData, Zones};
