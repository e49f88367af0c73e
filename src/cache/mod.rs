//! What was learned, until its time is up: record sets with rank and security (RFC 2181 5), denials (RFC 2308),
//! answers as ready bytes, failures (RFC 9520), and what is known of servers.
//!
//! Shared by all workers. Everything lies in wire form in packed slabs behind one hash look-up, bounded by the
//! bytes really held: past the limit the least recently used goes, but never the delegations of the root and of
//! top-level domains, which have a place of their own. Expired sets stay for `stale_max` (RFC 8767).
//!
//! ```text
//! get_set ─┐                                   ┌─ sets.rs     ┐
//! get_denial ──► front.rs: Cache ──► the kinds ┼─ denials.rs  ┼─► entry.rs: bytes ──► store.rs: shards ──► slab.rs
//! copy_answer ─┘                               ├─ answers.rs  │
//!                                              └─ failures.rs ┘      servers.rs stands alone
//! ```
//! `saved.rs` is the form in which facts outlive the process.
//!
//! Knows nothing of: sockets, clocks, files, DNSSEC, the walk.

mod answers;
mod denials;
mod entry;
mod failures;
mod families;
mod cache;
mod memo;
mod order;
mod persist;
mod server_stats;
mod sets;
mod slab;
mod nsec_ranges;
mod store;
mod table;

pub use answers::{AnswerKey, Hit};
pub use cache::{Cache, CacheLimits, CacheStats, Entry};
pub use denials::{CachedDenial, Denial, DenialKind};
pub use failures::{CachedFailure, FailureKind};
pub use families::{Families, Family, FamilyStanding};
pub use memo::Memo;
pub use nsec_ranges::{NsecRangeHash, NsecRangeZone, NsecRanges, Place};
pub use persist::{LoadError, Loaded, Moment};
pub use server_stats::{CaseState, EdnsState, Manner, Servers, Standing, Unfit, Usable};
pub use sets::{CachedSet, ShownSet, Stored};
