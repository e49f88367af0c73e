//! What all kinds of entries stand on: the store, the limits on lives, and the copies of replaced data that was validated.

use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::{Key, TYPE_OF_NXDOMAIN};
use super::store::Store;

/// How much a cache holds, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheLimits {
    /// Octets of all tables together, as really held (`cache.size`).
    pub bytes: usize,
    /// Seconds that data is kept at most (`cache.max-ttl`).
    pub max_ttl: u32,
    /// Seconds. Data and denials with a smaller TTL are kept this long (`cache.min-ttl`).
    pub min_ttl: u32,
    pub negative_max_ttl: u32,
    /// Seconds that expired data may still be served when servers fail (RFC 8767 5; `cache.stale-max`).
    pub stale_max: u32,
}

impl Default for CacheLimits {
    fn default() -> CacheLimits {
        CacheLimits { bytes: 256 << 20, max_ttl: 172_800, min_ttl: 0, negative_max_ttl: 3_600, stale_max: 86_400 }
    }
}

impl CacheLimits {
    /// The seconds that an RRset with this TTL is kept.
    pub fn ttl_within(&self, ttl: u32) -> u32 {
        // RFC 2181 8: the top bit means 0.
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        ttl.max(self.min_ttl).min(self.max_ttl)
    }
}

/// The entries of a cache, of all kinds.
pub struct Entries {
    pub store: Store,
    pub limits: CacheLimits,
    misses: AtomicU64,
}

impl Entries {
    /// The entries of a cache with these limits.
    pub fn new(store: Store, limits: CacheLimits) -> Entries {
        Entries { store, limits, misses: AtomicU64::new(0) }
    }

    /// Keeps an entry that a put has just replaced, if it was proved and may still be served stale.
    pub fn keep_proved(&self, name: &[u8], rtype: u16, replaced: Option<Vec<u8>>) {
        if let Some(bytes) = replaced {
            self.store.update(&Key::proved(name, rtype), |_| Some(bytes));
        }
    }

    /// Forgets the proved entry: better data is known, or it must not be served any more.
    pub fn forget_proved(&self, name: &[u8], rtype: u16) {
        for rtype in [rtype, TYPE_OF_NXDOMAIN] {
            self.store.remove_if(&Key::proved(name, rtype), |_| true);
        }
    }

    /// Counts a look-up without result.
    pub fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Look-ups without result.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}
