//! The state that all workers share: the cache and the walks in progress, the current snapshot, and the counters.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::cookie::Cookies;
use super::failure_log::{FailureLog, Subject};
use super::local_root::LocalRoot;
use super::notified::Notified;
use super::policy_zones;
use super::recent_failures::RecentFailures;
use super::request::RequestCookie;
use super::snapshot::{Configured, Present, Snapshot};
use super::transfer_places::TransferPlaces;
use super::updates::RequestedUpdates;
use super::view_routes::{Pool, ViewRoutes};
use super::zone_access::ZoneAccess;
use crate::authority::Histories;
use crate::cache::{Cache, CacheLimits, Family, FamilyStanding, KeepWarm};
use crate::config::{Settings, ZoneSettings};
use crate::env::{BootTime, Clock, Random};
use crate::limits::Limits;
use crate::limits::server::{MESSAGE_TAP_BYTES, QUERY_TAP_BYTES};
use crate::metrics::{self, Distribution, Registry, quantile};
use crate::policy::{Designated, EncryptedService, InFlight, LimitLog, Lists, Moment, ResponsePolicies, ResponseRate};
use crate::record::{Name, Question};
use crate::resolve::{Anchors, Routes, Shared};
use crate::tap::Tap;
use crate::zone::Zones;

/// What the configuration and its files contain; made anew at each reload.
pub struct Parts {
    pub settings: Settings,
    /// Name servers of the root, for priming.
    pub hints: Vec<(Name, IpAddr)>,
    pub anchors: Anchors,
    pub zones: Arc<Zones>,
    /// Every address that this server listens on.
    pub own_addresses: Vec<SocketAddr>,
}

/// Shared by all workers.
pub struct Service {
    pub resolve: Arc<Shared>,
    /// A query takes the snapshot once, at its start.
    pub(super) present: Arc<Present>,
    local_root: Arc<ArcSwapOption<LocalRoot>>,
    /// The encrypted transports that are served now.
    designated: ArcSwap<Designated>,
    pub(super) cookies: Cookies,
    pub(super) limits: Limits,
    /// The questions of all workers that wait for a look-up.
    pub in_flight: InFlight,
    pub metrics: Registry,
    /// What the query log is told.
    pub query_tap: Arc<Tap>,
    /// What dnstap is told.
    pub message_tap: Arc<Tap>,
    /// Zones whose primaries have something new.
    pub notified: Notified,
    /// Transfers to other servers.
    pub(super) transfer_places: Arc<TransferPlaces>,
    /// Updates that wait to be carried out.
    pub updates: RequestedUpdates,
    /// Shared, so that all workers together write one line a minute for a limit.
    pub limit_log: Arc<LimitLog>,
    /// Shared, so that a client outside `server.allow` gets one rate, whatever number of workers there are.
    pub(super) response_rate: ResponseRate,
    /// Shared, so that all workers together write one line for a name.
    pub(super) failure_log: FailureLog,
    /// Questions that failed lately.
    pub failures: RecentFailures,
    /// Questions that are asked at the same hours every day.
    pub(super) keep_warm: KeepWarm,
    /// The resolvers of views with forward rules of their own.
    view_pool: Pool,
    generation: AtomicU32,
    /// When it was made.
    began: BootTime,
}

/// A configuration that has been replaced. Queries in progress may still use it, and whoever drops the last reference frees all
/// of its zones, which takes long; so a thread that may be slow holds this until it is unused.
#[must_use]
pub struct Retired(Option<Arc<Configured>>, Arc<Zones>, Arc<ResponsePolicies>);

impl Retired {
    /// Whether no query uses it any more, so that it can be dropped.
    pub fn is_unused(&self) -> bool {
        self.0.as_ref().is_none_or(|configured| Arc::strong_count(configured) == 1)
            && Arc::strong_count(&self.1) == 1
            && Arc::strong_count(&self.2) == 1
    }
}

impl Service {
    /// The cache is empty; `random` seeds its hashes and the secret of cookies.
    pub fn new(parts: Parts, limits: Limits, clock: Arc<dyn Clock>, random: &Random) -> Arc<Service> {
        let cache = Arc::new(Cache::new(cache_limits(&parts.settings), random));
        let routes = Routes::new(&parts.settings, limits, parts.hints.clone(), parts.anchors.clone(), clock.clone());
        let local_root = Arc::new(ArcSwapOption::empty());
        let configured = Configured::new(&parts.settings, &limits, parts.own_addresses, local_root.clone());
        let access = Arc::new(ZoneAccess::new(&parts.settings.zones));
        let policies = Arc::new(policy_zones::compile(&configured.response_policies, &parts.zones, &ResponsePolicies::default()));
        let (histories, configured) = (Arc::new(Histories::default()), Arc::new(configured));
        let snapshot = Snapshot::new(1, Arc::new(routes), parts.zones, histories, access, configured).with_policies(policies);
        let view_pool = Pool::new(cache_limits(&parts.settings), random);
        let present = Arc::new(Present::new(snapshot.clone()));
        let began = clock.boot();
        let resolve = Shared::new(cache, clock, present.clone(), random);
        let mut snapshot = snapshot;
        snapshot.view_routes = view_pool.of(&snapshot.policy.views, &snapshot.routes, &resolve);
        present.store(snapshot);
        Arc::new(Service {
            began,
            resolve,
            view_pool,
            present,
            local_root,
            designated: ArcSwap::default(),
            cookies: Cookies::new(random),
            limits,
            in_flight: InFlight::new(&limits),
            metrics: Registry::default(),
            query_tap: Tap::new(QUERY_TAP_BYTES),
            message_tap: Tap::new(MESSAGE_TAP_BYTES),
            notified: Notified::default(),
            transfer_places: Arc::default(),
            updates: RequestedUpdates::default(),
            limit_log: Arc::default(),
            response_rate: ResponseRate::new(random.u64()),
            failure_log: FailureLog::default(),
            failures: RecentFailures::default(),
            keep_warm: KeepWarm::new(limits.keep_warm_questions),
            generation: AtomicU32::new(1),
        })
    }

    /// The limits of this process.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Puts a new configuration in force. Zones, policy and routes change in one step. The cache stays, except at and below
    /// names that other servers are responsible for now; ready answers of the old configuration are not used any more.
    #[cfg(any(test, feature = "internals"))]
    pub fn reload(&self, parts: Parts) -> Retired {
        self.reload_within(parts, self.limits)
    }

    /// The same with other limits towards clients; all other limits stay as they were at the start.
    pub fn reload_within(&self, parts: Parts, limits: Limits) -> Retired {
        self.in_flight.set_limits(&limits);
        let clock = self.resolve.clock.clone();
        let routes = Routes::new(&parts.settings, self.limits, parts.hints.clone(), parts.anchors.clone(), clock);
        let configured = Arc::new(Configured::new(&parts.settings, &limits, parts.own_addresses, self.local_root.clone()));
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let old = self.snapshot();
        // Comparing zones takes time, so it is done before the swap.
        let access = Arc::new(ZoneAccess::new(&parts.settings.zones));
        let mut changed = Snapshot::new(generation, old.routes.clone(), old.zones.clone(), old.histories.clone(), access, configured);
        changed.block_counts = old.block_counts.clone();
        let changed = changed
            .with_policies(old.policies.clone())
            .with_moment(generation, old.moment.clone())
            .with_lists(generation, old.lists.clone())
            .with_zones(generation, parts.zones.clone());
        let changed_hands = changed_hands(&old.zones, &parts.zones);
        self.resolve.reload(routes, |routes| {
            let view_routes = self.view_pool.of(&changed.policy.views, &routes, &self.resolve);
            let mut changed = changed.with_routes(routes);
            changed.view_routes = view_routes;
            // Ready answers of views are in the cache of all.
            let asked_elsewhere = ruled_otherwise(&old, &changed);
            self.put_in_force(changed, &changed_hands);
            [&changed_hands[..], &asked_elsewhere].concat()
        });
        Retired(Some(old.configured()), old.zones.clone(), old.policies.clone())
    }

    /// Puts other hosted zones in force, as `reload` does, and nothing else. Never at the same time as `reload`.
    pub fn replace_zones(&self, zones: Arc<Zones>) -> Retired {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let old = self.snapshot();
        let changed = old.with_zones(generation, zones);
        self.resolve.reload_locals(|| {
            // Trust anchors may have changed the routes meanwhile.
            let routes = self.present.load().routes.clone();
            self.present.store(changed.with_routes(routes));
            Vec::new()
        });
        Retired(None, old.zones.clone(), old.policies.clone())
    }

    /// Puts other hosted zones in force whose rules, or which zones there are, have changed too; all in one step.
    pub fn replace_zones_and_rules(&self, zones: Arc<Zones>, rules: &[ZoneSettings]) -> Retired {
        let access = Arc::new(ZoneAccess::new(rules));
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let old = self.snapshot();
        let changed = old.as_ref().clone().with_access(access).with_zones(generation, zones.clone());
        let changed_hands = changed_hands(&old.zones, &zones);
        self.resolve.reload_locals(|| {
            let routes = self.present.load().routes.clone();
            self.put_in_force(changed.with_routes(routes), &changed_hands);
            changed_hands.clone()
        });
        Retired(None, old.zones.clone(), old.policies.clone())
    }

    /// For names at and below `changed_hands`, zones of this server have come or gone. The cache of all has the ready answers of views,
    /// so it is flushed after this: a view's cache that still had old data would give a ready answer that stays.
    fn put_in_force(&self, changed: Snapshot, changed_hands: &[Name]) {
        let view_routes = changed.view_routes.clone();
        self.present.store(changed);
        view_routes.each().for_each(|view| view.take_over(changed_hands));
    }

    /// Puts other lists in force, and nothing else; gives back the old ones, whose memory the caller frees. Never at the same time
    /// as `reload` or `replace_zones`.
    pub fn replace_lists(&self, lists: Arc<Lists>) -> Arc<Lists> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let old = self.snapshot();
        let changed = old.with_lists(generation, lists);
        self.resolve.reload_locals(|| {
            // Trust anchors may have changed the routes meanwhile.
            let routes = self.present.load().routes.clone();
            self.present.store(changed.with_routes(routes));
            Vec::new()
        });
        old.lists.clone()
    }

    /// Puts the time of day and the pauses in force. Returns whether that changes an answer. Never at the same time as `reload`,
    /// `replace_zones` or `replace_lists`.
    pub fn set_moment(&self, moment: Moment) -> bool {
        let old = self.snapshot();
        if *old.moment == moment {
            return false;
        }
        let generation = self.generation.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let changed = old.with_moment(generation, Arc::new(moment));
        let changes = changed.generation != old.generation;
        self.resolve.reload_locals(|| {
            // Trust anchors may have changed the routes meanwhile.
            let routes = self.present.load().routes.clone();
            self.present.store(changed.with_routes(routes));
            Vec::new()
        });
        changes
    }

    /// The changes of an earlier run, before the first question is answered.
    pub fn restore_histories(&self, histories: Histories) {
        self.present.store(self.snapshot().with_histories(histories));
    }

    /// Puts a copy of the root zone in use; with `None`, stops using one.
    pub fn set_local_root(&self, copy: Option<LocalRoot>) {
        self.local_root.store(copy.map(Arc::new));
    }

    /// The copy of the root zone in use.
    pub fn local_root(&self) -> Option<Arc<LocalRoot>> {
        self.local_root.load_full()
    }

    /// What this resolver tells of its encrypted transports.
    pub(super) fn designated(&self) -> Guard<Arc<Designated>> {
        self.designated.load()
    }

    /// From now on these are served.
    pub fn set_encrypted_services(&self, services: &[EncryptedService]) {
        self.designated.rcu(|before| Designated { services: services.to_vec(), ..Designated::clone(before) });
    }

    /// The name of the certificate that clients are shown from now on.
    pub fn set_certificate_name(&self, name: Option<&Name>) {
        self.designated.rcu(|before| Designated { name: name.cloned(), ..Designated::clone(before) });
    }

    /// Removes a name, or all names at and below it, from the cache, with the answers that were made from them. Returns the
    /// number of entries removed.
    pub fn forget(&self, name: &Name, subtree: bool) -> usize {
        let mut count = 0;
        // The cache of all has the ready answers, so it comes last: see `put_in_force`.
        let mut forget = |shared: &Shared| {
            count += shared.cache.flush(name, subtree);
            shared.forget_trust(name);
        };
        self.view_pool.each(&mut forget);
        forget(&self.resolve);
        count
    }

    /// Links, addresses or routes of this machine have changed.
    pub fn network_changed(&self, is_route_change: bool) {
        self.resolve.network_changed(is_route_change);
        self.view_pool.each(|apart| apart.network_changed(is_route_change));
    }

    /// Ends negative trust anchors whose time is over; true where there were any.
    pub fn tend_trust(&self) -> bool {
        self.view_pool.each(|apart| {
            apart.tend_trust();
        });
        self.resolve.tend_trust()
    }

    /// Whether we made this server cookie for this address. A client that returns it has received it there (RFC 7873 5.2.3).
    pub(super) fn made(&self, cookie: &RequestCookie, client: IpAddr) -> bool {
        cookie.server.is_some_and(|server| self.cookies.check(&cookie.client, &server, client, self.resolve.clock.wall()))
    }

    /// Whether this name may have a line in the log.
    pub(super) fn may_log(&self, subject: Subject, question: &Question) -> bool {
        let Some(admitted) = self.failure_log.admit(subject, question, self.resolve.clock.boot()) else { return false };
        if admitted.withheld > 0 {
            let count = admitted.withheld;
            tracing::info!(event = "lines-left-out", count, "{count} more names failed or were filtered, without lines of their own");
        }
        true
    }

    /// Counters and gauges by name, for reports; a family with labels also has its sum.
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut rows: Vec<(String, u64)> = Vec::new();
        let state = self.state();
        for row in self.metrics.rows().iter().chain(&state) {
            if row.labels.is_empty() {
                rows.push((row.name.to_owned(), row.value));
                continue;
            }
            match rows.iter_mut().find(|(name, _)| name == row.name) {
                Some((_, sum)) => *sum += row.value,
                None => rows.push((row.name.to_owned(), row.value)),
            }
            rows.push((format!("{}{{{}}}", row.name, labelled(&row.labels)), row.value));
        }
        for Distribution { name, labels, buckets, sum, .. } in self.metrics.histograms() {
            let labels = labelled(&labels);
            let bound = |bound: Option<u64>| bound.map_or_else(|| "any".to_owned(), |bound| bound.to_string());
            rows.extend(buckets.iter().map(|(upper, count)| (format!("{name}{{{labels},at-most={}}}", bound(*upper)), *count)));
            rows.push((format!("{name}-sum{{{labels}}}"), sum));
        }
        let at = |name: &str| state.iter().find(|row| row.name == name).map_or(0, |row| row.value);
        let entries = ["cache-sets", "cache-denials", "cache-answers", "cache-failures"].map(at).iter().sum::<u64>();
        rows.push(("cache-bytes-per-entry".to_owned(), at("cache-bytes") / entries.max(1)));
        let blocked = self.snapshot().block_counts.rows();
        if !blocked.is_empty() {
            rows.push(("blocked".to_owned(), blocked.iter().map(|(_, count)| count).sum()));
            rows.extend(blocked.into_iter().map(|(list, count)| (format!("blocked{{list={list}}}"), count)));
        }
        rows
    }

    /// What is not counted by the workers, but known of them: the state of the cache, of servers, of questions under way.
    pub fn state(&self) -> Vec<metrics::Row> {
        let cache = self.cache().stats();
        let (families, now) = (self.cache().servers().families(), self.resolve.clock.boot());
        let broken = |family| u64::from(families.standing(family, now) == FamilyStanding::Broken);
        let counted = self.metrics.rows();
        let of = |name: &str, label: Option<&str>| {
            let is_it =
                |row: &&metrics::Row| row.name == name && label.is_none_or(|label| row.labels.iter().any(|(_, value)| *value == label));
            counted.iter().filter(is_it).map(|row| row.value).sum::<u64>()
        };
        let mut of_views = 0;
        self.view_pool.each(|apart| of_views += apart.cache.stats().bytes);
        let hits = of("answers-at-once", Some("cache")) + of("looked-up-hits", None);
        let row = |kind, name, help, value| metrics::Row { name, help, kind, labels: Vec::new(), value };
        let snapshot = self.snapshot();
        let part = |part: &'static str, octets: usize| metrics::Row {
            labels: vec![("part", part.into())],
            ..row(metrics::Kind::Gauge, "memory-bytes", "Memory that is held, by what it is for", octets as u64)
        };
        let parts = [
            part("cache", cache.bytes),
            part("view-caches", of_views),
            part("zones", snapshot.zones.octets()),
            part("lists", snapshot.lists.octets()),
            part("query-log", self.query_tap.octets()),
            part("dnstap", self.message_tap.octets()),
        ];
        let (counter, gauge) = (metrics::Kind::Counter, metrics::Kind::Gauge);
        let rows = [
            row(counter, "cache-hits", "Questions of clients for which no server was queried", hits),
            row(gauge, "uptime-seconds", "Seconds since this server began to serve", now.since(self.began).as_secs()),
            row(gauge, "walks-under-way", "Walks under way", self.resolve.walks_in_progress() as u64),
            row(gauge, "questions-under-way", "Questions whose clients are waiting for an answer", self.in_flight.total() as u64),
            row(counter, "questions-shed", "Questions given up because others needed their place", self.in_flight.shed() as u64),
            row(gauge, "ipv4-broken", "1: no server replies over IPv4", broken(Family::V4)),
            row(gauge, "ipv6-broken", "1: no server replies over IPv6", broken(Family::V6)),
            row(gauge, "cache-bytes", "Memory that the cache holds", cache.bytes as u64),
            row(gauge, "view-caches-bytes", "Memory that the caches of views with servers of their own hold", of_views as u64),
            row(gauge, "cache-sets", "RRsets in the cache", cache.sets as u64),
            row(gauge, "cache-denials", "Denials in the cache", cache.denials as u64),
            row(gauge, "cache-answers", "Answers that are kept ready", cache.answers as u64),
            row(gauge, "cache-failures", "Failures that are remembered", cache.failures as u64),
            row(counter, "cache-evictions", "Entries evicted from the cache to make room for others", cache.evictions),
            row(gauge, "servers-known", "Servers of which something is known", cache.servers as u64),
        ];
        rows.into_iter().chain(parts).collect()
    }

    /// Percentiles in milliseconds, as far as there are values: `answer-ms{source=cache,quantile=0.5}`.
    pub fn latencies(&self) -> Vec<(String, f64)> {
        let mut rows = Vec::new();
        for Distribution { name, labels, buckets, .. } in self.metrics.histograms() {
            for part in LATENCY_PARTS {
                let Some(us) = quantile(&buckets, part) else { continue };
                rows.push((format!("{}-ms{{{},quantile={part}}}", name.trim_end_matches("-us"), labelled(&labels)), us / 1_000.0));
            }
        }
        rows
    }

    /// The cache of all workers.
    pub fn cache(&self) -> &Cache {
        &self.resolve.cache
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.present.load_full()
    }
}

/// The zones for which some view asks other servers now.
fn ruled_otherwise(old: &Snapshot, new: &Snapshot) -> Vec<Name> {
    let views = |snapshot: &Snapshot| snapshot.view_routes.each().cloned().collect::<Vec<_>>();
    let (before, after) = (views(old), views(new));
    let routes = |all: &[ViewRoutes], at: usize, others: &Snapshot| all.get(at).map_or(others.routes.clone(), |view| view.routes.clone());
    let differ = |at| routes(&before, at, old).ruled_otherwise(&routes(&after, at, new));
    (0..before.len().max(after.len())).flat_map(differ).collect()
}

/// Names below an added zone were answered by others until now; names below a removed zone will be.
fn changed_hands(old: &Zones, new: &Zones) -> Vec<Name> {
    let unlike =
        |these: &Zones, those: &Zones| -> Vec<Name> { these.apexes().filter(|apex| !those.serves(apex.as_wire())).cloned().collect() };
    [unlike(old, new), unlike(new, old)].concat()
}

/// The percentiles of reports.
const LATENCY_PARTS: [f64; 3] = [0.5, 0.95, 0.99];

fn labelled(labels: &metrics::Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

fn cache_limits(settings: &Settings) -> CacheLimits {
    let cache = &settings.cache;
    CacheLimits {
        bytes: usize::try_from(cache.size_bytes).unwrap_or(usize::MAX),
        max_ttl: cache.max_ttl_s,
        min_ttl: cache.min_ttl_s,
        negative_max_ttl: cache.negative_max_ttl_s,
        stale_max: cache.stale_max_s,
    }
}
