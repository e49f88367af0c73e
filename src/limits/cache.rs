//! Limits of the cache and of the other tables that keep what was learned.
//!
//! The sizes and TTLs that an operator sets (`cache.size`, `cache.max-ttl`, `cache.negative-max-ttl`, `cache.stale-max`) are
//! in `cache::CacheLimits`; what stands here is fixed.

use std::time::Duration;

/// Octets that the cache takes at least, even if `cache.size` is less: with less some of its parts could not hold one entry.
pub const CACHE_BYTES_MIN: usize = 1 << 20;
/// Octets for the entries about top-level domains, which floods of other names must not push out; at most a sixteenth of
/// the cache. Delegations, DS RRsets and addresses of all top-level domains take about 2 MiB.
pub const PROTECTED_BYTES_MAX: usize = 8 << 20;
/// Octets for what is known of servers (round-trip time, EDNS, cookies, lameness); at most a sixteenth of the cache. 256
/// octets a server, so 65,536 servers.
pub const SERVER_STATS_BYTES_MAX: usize = 16 << 20;
/// Octets for the index of cached NSEC and NSEC3 ranges (RFC 8198); at most a sixteenth of the cache. A large signed
/// top-level domain has some hundred thousand ranges, of which a few thousand answer most questions.
pub const NSEC_RANGES_BYTES_MAX: usize = 16 << 20;
/// Names of one flush that are searched for one by one, in the index of NSEC ranges and among the conclusions about zones.
/// Past this many the whole table is emptied, which takes less time: it fills again from replies and cached data.
pub const FLUSHED_NAMES_MAX: usize = 64;
/// Shards of the cache, each with its own lock. With 4 MiB a shard, a cache of 4 GiB has all of them.
pub const CACHE_SHARDS_MAX: usize = 1_024;
/// Places of the smallest hash table of a shard, four octets each.
pub const TABLE_PLACES_MIN: usize = 16;
/// Places (four octets each) below which a hash table is not shrunk, however empty it is: it would soon grow again.
pub const TABLE_SHRINK_PLACES_MIN: usize = 4_096;
/// Seconds that a failed resolution is cached at most, however often it failed (RFC 9520 3.2: not more than 5 minutes).
pub const FAILURE_TTL_S_MAX: u32 = 300;
/// Octets of the reason that is cached with a failure. People read it, in the EXTRA-TEXT of an EDE; the rest is cut.
pub const FAILURE_TEXT_BYTES_MAX: usize = 200;
/// Zones whose security status and keys are kept; past it the least recently used one is forgotten, and is
/// found again from cached data.
pub const TRUST_ZONES_MAX: usize = 20_000;
/// Zones that only a rule of the configuration leads to.
pub const ISLANDS_MAX: usize = 2_000;
/// Seconds that such a zone is remembered while the public tree cannot be asked whether it has the zone.
pub const ISLAND_S_MAX: u32 = 7 * 86_400;
/// Seconds for which that conclusion is taken without asking again.
pub const ISLAND_UNCHECKED_S: u32 = 60;
/// Milliseconds that a question about such a zone waits for the public tree.
pub const ISLAND_PROOF_MS_MAX: u64 = 700;
/// Seconds that a conclusion about a zone is kept at most, whatever the TTLs of its records: a removed DS or a new key is
/// noticed within a day.
pub const TRUST_S_MAX: u32 = 86_400;
/// Seconds that the proof of a missing DS is kept at most: a zone that becomes signed is validated within the hour.
pub const NO_DS_S_MAX: u32 = 3_600;
/// Denials and errors that are checked with a second query, in ten minutes, for one server that has not yet given data for a
/// name in mixed case. It bounds the cost of servers that mishandle mixed case (draft-vixie-dnsext-dns0x20).
pub const CASE_CHECKS_MAX: u8 = 3;
/// Parts of the table of warm questions (`cache.keep-warm`). One of them is looked at in each step, so each question comes up
/// every 10 s.
pub const KEEP_WARM_PARTS: usize = 10;
/// Time between two steps.
pub const KEEP_WARM_STEP: Duration = Duration::from_secs(1);
/// Questions whose look-up `cache.keep-warm` begins in one step. Nobody waits for them, so they must not crowd out those of
/// clients; 10,000 names with a TTL of five minutes need 37.
pub const KEEP_WARM_LOOKUPS_PER_STEP: usize = 40;
/// Data that has no more time left than this is refreshed for `cache.keep-warm`, however long its TTL was: a question comes up
/// every 10 s, and its look-up may be put off once.
pub const KEEP_WARM_LEFT_S: u32 = 25;
