//! What all workers answer from: the cache and the walks under way, the present snapshot, and the counters.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::cookie::Cookies;
use super::failure_log::{FailureLog, Subject};
use super::snapshot::{Configured, Present, Snapshot};
use crate::cache::{Cache, CacheLimits, Family, FamilyStanding};
use crate::config::{Limits, Settings};
use crate::env::{Clock, Random};
use crate::policy::InFlight;
use crate::record::{Name, Question};
use crate::resolve::{Anchors, Routes, Shared};
use crate::zone::Zones;

/// What the configuration and its files gave; made again at each reload.
pub struct Parts {
    pub settings: Settings,
    /// Root servers to prime from.
    pub hints: Vec<(Name, IpAddr)>,
    pub anchors: Anchors,
    pub zones: Arc<Zones>,
    /// Every address listened on.
    pub own_addresses: Vec<SocketAddr>,
}

pub struct Service {
    pub resolve: Arc<Shared>,
    /// What a query takes once, at its start.
    pub(super) present: Arc<Present>,
    pub(super) cookies: Cookies,
    pub(super) limits: Limits,
    /// Every question that takes waiting, of all workers.
    pub in_flight: InFlight,
    pub counters: Counters,
    /// Shared, so that a name gets one line from all workers together.
    pub(super) failure_log: FailureLog,
    tallies: Mutex<Vec<Arc<Tally>>>,
    generation: AtomicU32,
}

/// A configuration that has been replaced. Queries under way may still use it, and whoever drops the last reference frees
/// all of its zones, which takes long: so a thread that may be slow keeps this until it is unused.
#[must_use]
pub struct Retired(Arc<Configured>);

impl Retired {
    pub fn is_unused(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

/// Never reset; read by whoever shows statistics.
#[derive(Default)]
pub struct Counters {
    pub at_once: AtomicU64,
    pub in_full: AtomicU64,
    pub refused: AtomicU64,
    pub servfail: AtomicU64,
    pub malformed: AtomicU64,
}

/// What one worker counts for each query: written by its thread alone, so without locking the memory bus.
#[derive(Default)]
pub(super) struct Tally {
    pub queries: Single,
    pub ready_hits: Single,
}

impl Tally {
    fn is_zero(&self) -> bool {
        [&self.queries, &self.ready_hits].iter().all(|counter| counter.0.load(Ordering::Relaxed) == 0)
    }
}

/// A counter with a single writer.
#[derive(Default)]
pub(super) struct Single(AtomicU64);

impl Single {
    pub fn add_one(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

impl Service {
    pub fn new(parts: Parts, limits: Limits, clock: Arc<dyn Clock>, random: &Random) -> Arc<Service> {
        let cache = Arc::new(Cache::new(cache_limits(&parts.settings), random));
        let routes = Routes::new(&parts.settings, limits, parts.hints.clone(), parts.anchors.clone());
        let configured = Configured::new(&parts.settings, &limits, parts.zones, parts.own_addresses);
        let present = Arc::new(Present::new(Snapshot::new(1, Arc::new(routes), Arc::new(configured))));
        Arc::new(Service {
            resolve: Shared::new(cache, clock, present.clone(), random),
            present,
            cookies: Cookies::new(random),
            limits,
            in_flight: InFlight::new(&limits),
            counters: Counters::default(),
            failure_log: FailureLog::default(),
            tallies: Mutex::default(),
            generation: AtomicU32::new(1),
        })
    }

    /// Puts a new configuration in force. Zones, policy and routes change in one step. The cache stays, except at and
    /// below names that other servers are responsible for now; ready answers made under the old configuration are dead.
    pub fn reload(&self, parts: Parts) -> Retired {
        let routes = Routes::new(&parts.settings, self.limits, parts.hints.clone(), parts.anchors.clone());
        let configured = Arc::new(Configured::new(&parts.settings, &self.limits, parts.zones.clone(), parts.own_addresses));
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let old = self.snapshot();
        self.resolve.reload(routes, |routes| {
            self.present.store(Snapshot::new(generation, routes, configured));
            // Names below a zone that comes were answered by others until now, and those of one that goes will be.
            let unlike = |these: &Zones, those: &Zones| -> Vec<Name> {
                these.iter().map(|zone| zone.apex()).filter(|apex| those.get(apex.as_wire()).is_none()).cloned().collect()
            };
            [unlike(&old.zones, &parts.zones), unlike(&parts.zones, &old.zones)].concat()
        });
        Retired(old.configured())
    }

    /// Forgets a name, or all at and below it; answers that were made with it go too. How many entries went.
    pub fn forget(&self, name: &Name, subtree: bool) -> usize {
        let count = self.cache().flush(name, subtree);
        self.resolve.forget_trust(name);
        count
    }

    /// May this name have a line in the log?
    pub(super) fn may_log(&self, subject: Subject, question: &Question) -> bool {
        let Some(admitted) = self.failure_log.admit(subject, question, self.resolve.clock.boot()) else { return false };
        if admitted.withheld > 0 {
            tracing::info!(count = admitted.withheld, "names that failed or were filtered, and are not listed");
        }
        true
    }

    pub(super) fn new_tally(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        let mut tallies = self.tallies.lock();
        // Whoever explains a name works for it alone, and counts nothing.
        tallies.retain(|tally| Arc::strong_count(tally) > 1 || !tally.is_zero());
        tallies.push(tally.clone());
        tally
    }

    fn sum(&self, of: impl Fn(&Tally) -> &Single) -> u64 {
        self.tallies.lock().iter().map(|tally| of(tally).0.load(Ordering::Relaxed)).sum()
    }

    /// Counters by name, for whoever reports.
    pub fn rows(&self) -> Vec<(&'static str, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (counters, cache, resolve) = (&self.counters, self.cache().stats(), self.resolve.totals());
        let (families, now) = (self.cache().servers().families(), self.resolve.clock.boot());
        let broken = |family| u64::from(families.standing(family, now) == FamilyStanding::Broken);
        vec![
            ("queries", self.sum(|tally| &tally.queries)),
            ("answered-from-ready", self.sum(|tally| &tally.ready_hits)),
            ("answered-at-once", read(&counters.at_once)),
            ("looked-up", read(&counters.in_full)),
            ("refused", read(&counters.refused)),
            ("servfail", read(&counters.servfail)),
            ("malformed", read(&counters.malformed)),
            ("walks", resolve.walks),
            ("walks-under-way", self.resolve.walks_in_progress() as u64),
            ("walks-failed", resolve.failed_walks),
            ("upstream-queries", resolve.upstream_queries),
            ("upstream-second-queries", resolve.second_queries),
            ("ipv4-broken", broken(Family::V4)),
            ("ipv6-broken", broken(Family::V6)),
            ("cache-bytes", cache.bytes as u64),
            ("cache-sets", cache.sets as u64),
            ("cache-denials", cache.denials as u64),
            ("cache-answers", cache.answers as u64),
            ("cache-failures", cache.failures as u64),
            ("cache-bytes-per-entry", (cache.bytes / (cache.sets + cache.denials + cache.answers + cache.failures).max(1)) as u64),
            ("cache-evictions", cache.evictions),
            ("servers-known", cache.servers as u64),
        ]
    }

    pub fn cache(&self) -> &Cache {
        &self.resolve.cache
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.present.load_full()
    }
}

fn cache_limits(settings: &Settings) -> CacheLimits {
    let cache = &settings.cache;
    CacheLimits {
        bytes: usize::try_from(cache.size_bytes).unwrap_or(usize::MAX),
        max_ttl: cache.max_ttl_s,
        min_ttl: cache.min_ttl_s,
        negative_max_ttl: cache.negative_max_ttl_s,
        stale_max: if cache.serve_stale { cache.stale_max_s } else { 0 },
    }
}
