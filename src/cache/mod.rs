//! The cache: RRsets with rank and security status (RFC 2181 5), denials (RFC 2308), ready answers, failures (RFC 9520), and
//! statistics of servers, each until it expires.
//!
//! Shared by all workers. Entries are stored in wire form in packed slabs, found by one hash look-up, and limited by the octets
//! really used: past the limit the least recently used entry is evicted. The delegations of the root and of top-level domains
//! have a shard of their own. Expired entries stay for `stale_max` (RFC 8767).
//!
//! ```text
//!             ┌─► sets.rs: Sets         ┐
//! cache.rs: ──┼─► denials.rs: Denials   ┼─► entries.rs, entry.rs: bytes ──► store.rs: shards ──► slab.rs
//! Cache       ├─► answers.rs: Answers   │
//!             └─► failures.rs: Failures ┘      server_*.rs, families.rs, nsec_ranges.rs: apart
//! ```
//! `persist.rs` writes facts to a file and reads them again. `keep_warm.rs` and `memo.rs` are tables apart from the cache.
//!
//! Knows nothing of: sockets, clocks, files, DNSSEC, the walk.

mod answers;
mod denials;
mod entries;
mod entry;
mod failures;
mod families;
mod cache;
mod keep_warm;
mod memo;
mod order;
mod persist;
mod server_abilities;
mod server_record;
mod server_stats;
mod server_table;
mod sets;
mod slab;
mod nsec_ranges;
mod store;
mod table;

pub use answers::{AnswerKey, Mark};
pub use cache::{Cache, Entry};
pub use denials::{CachedDenial, Denial, DenialKind, Denials};
pub use entries::CacheLimits;
pub use failures::FailureKind;
pub use families::{Family, FamilyStanding};
pub use keep_warm::KeepWarm;
pub use memo::Memo;
pub use nsec_ranges::{NsecRangeZone, Place};
pub use persist::{LoadError, Loaded, Moment};
pub use server_record::{CaseState, EdnsState, Manner, Standing, Unfit, Usable};
pub use sets::{CachedSet, ShownSet};

#[cfg(any(test, feature = "internals"))]
pub use self::{server_stats::Servers, sets::Stored};
