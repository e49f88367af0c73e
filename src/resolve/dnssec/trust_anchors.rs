//! The trust anchors in force: configured or built-in ones, followed as they change (RFC 5011), and negative trust anchors
//! with their ends (RFC 7646). Each change makes new [`Routes`]; a query keeps those that it began with.
//!
//! The server calls `tend_trust` and `follow_anchors` from time to time; nothing here waits.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::cache::{Cache, Memo};
use crate::config::NegativeAnchor;
use crate::env::{BootTime, Clock};
use crate::limits::cache::{FLUSHED_NAMES_MAX, ISLANDS_MAX, TRUST_ZONES_MAX};
use crate::record::Name;
use crate::resolve::context::routes::{Anchors, Routes, RoutesInForce};
use crate::resolve::dnssec::clock_watch::ClockWatch;
use crate::resolve::dnssec::failure_rate::FailureRate;
use crate::resolve::dnssec::trust::Trust;
use crate::validate::{Anchor, TrustPoints};

/// Shared by all workers.
pub(in crate::resolve) struct TrustState {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    in_force: Arc<dyn RoutesInForce>,
    anchors: Mutex<TrustAnchors>,
    /// The conclusions about zones.
    pub(in crate::resolve) zones: Memo<Trust>,
    /// Zones that only a rule of the configuration leads to, as they were last seen: they stay islands while the public tree
    /// cannot be asked.
    pub(in crate::resolve) islands: Memo<()>,
    /// One for all states of this process: it bounds the time that the process spends.
    pub(in crate::resolve) failure_rate: Arc<FailureRate>,
    /// One for all states: the machine has one clock.
    pub(in crate::resolve) clock_watch: Arc<ClockWatch>,
}

/// What the configuration, an operator and RFC 5011 give; the routes in force are made from it.
#[derive(Default)]
pub(in crate::resolve) struct TrustAnchors {
    /// Configured or built in.
    seeds: Anchors,
    pub(in crate::resolve) points: TrustPoints,
    configured: Vec<NegativeAnchor>,
    /// Set while running; they win over configured ones of the same name.
    added: Vec<NegativeAnchor>,
    /// Names to be removed from the cache once more: a walk that began under the old routes may still store something.
    settling: HashMap<Name, BootTime>,
}

impl TrustState {
    /// Starts with the anchors of the routes in force.
    pub(in crate::resolve) fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>, in_force: Arc<dyn RoutesInForce>) -> Arc<TrustState> {
        let clock_watch = Arc::new(ClockWatch::new(clock.boot()));
        TrustState::with(cache, clock, in_force, Arc::default(), clock_watch)
    }

    /// For another cache and other routes in the same process: conclusions of its own, and the limits of the process.
    pub(in crate::resolve) fn apart(&self, cache: Arc<Cache>, in_force: Arc<dyn RoutesInForce>) -> Arc<TrustState> {
        TrustState::with(cache, self.clock.clone(), in_force, self.failure_rate.clone(), self.clock_watch.clone())
    }

    fn with(
        cache: Arc<Cache>,
        clock: Arc<dyn Clock>,
        in_force: Arc<dyn RoutesInForce>,
        failure_rate: Arc<FailureRate>,
        clock_watch: Arc<ClockWatch>,
    ) -> Arc<TrustState> {
        Arc::new(TrustState {
            cache,
            clock,
            anchors: Mutex::new(TrustAnchors::new(&in_force.routes())),
            in_force,
            zones: Memo::new(TRUST_ZONES_MAX),
            islands: Memo::new(ISLANDS_MAX),
            failure_rate,
            clock_watch,
        })
    }

    /// The clock of signature dates.
    pub(in crate::resolve) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Locks the anchors; not held across a wait.
    pub(in crate::resolve) fn anchors(&self) -> MutexGuard<'_, TrustAnchors> {
        self.anchors.lock()
    }

    fn routes(&self) -> Arc<Routes> {
        self.in_force.routes()
    }

    /// Forgets conclusions about `name` and all zones below it.
    pub(in crate::resolve) fn forget_trust(&self, name: &Name) {
        self.zones.forget(name);
        self.islands.forget(name);
    }

    /// Takes a new configuration; the state of trust points and the negative trust anchors set by an operator stay.
    ///
    /// `swap` puts the routes in force, together with everything that a query takes with them, and returns the names
    /// for which that changes who is authoritative. Only then is data of the old configuration removed from the cache.
    pub(in crate::resolve) fn reload(&self, routes: Routes, swap: impl FnOnce(Arc<Routes>) -> Vec<Name>) {
        let mut anchors = self.anchors.lock();
        let learned = mem::take(&mut anchors.points);
        anchors.points = TrustPoints::new(&routes.anchors, learned);
        let changed = names_that_differ(&anchors.seeds, &routes.anchors);
        anchors.seeds = routes.anchors.clone();
        anchors.configured.clone_from(&routes.recursion.negative_trust_anchors);
        // What is cached at and below these names was judged by other anchors, or by none. A key roll (RFC 5011) changes no seed.
        self.publish(&mut anchors, routes, |routes| [swap(routes), changed].concat());
    }

    /// Runs `swap` while no change of trust anchors is put in force. It returns the names whose data others have from now on.
    pub(in crate::resolve) fn undisturbed(&self, swap: impl FnOnce() -> Vec<Name>) {
        let mut anchors = self.anchors.lock();
        let turned = swap();
        if !turned.is_empty() {
            self.forget_and_settle(&mut anchors, turned);
        }
    }

    /// Puts in force what was saved at an earlier run, before the first question.
    pub(in crate::resolve) fn restore_trust(&self, points: TrustPoints, negatives: Vec<NegativeAnchor>) {
        self.clock_watch.seen(points.checked());
        let mut anchors = self.anchors.lock();
        let seeds: Anchors = anchors.seeds.clone();
        anchors.points = TrustPoints::new(&seeds, points);
        anchors.added = negatives;
        self.republish(&mut anchors);
    }

    /// The state of the trust points, to be saved or shown.
    pub(in crate::resolve) fn trust_points(&self) -> TrustPoints {
        self.anchors.lock().points.clone()
    }

    /// The negative trust anchors in force, and whether each was set while running.
    pub(in crate::resolve) fn negative_anchors(&self) -> Vec<(NegativeAnchor, bool)> {
        let anchors = self.anchors.lock();
        anchors.negatives(self.clock.wall().0).into_iter().map(|negative| (negative.clone(), anchors.added.contains(&negative))).collect()
    }

    /// False: there are too many.
    pub(in crate::resolve) fn add_negative_anchor(&self, negative: NegativeAnchor) -> bool {
        let mut anchors = self.anchors.lock();
        anchors.added.retain(|other| other.name != negative.name);
        if anchors.added.len() >= self.routes().limits.negative_anchors_added {
            return false;
        }
        anchors.added.push(negative);
        self.republish(&mut anchors);
        true
    }

    /// False: none of this name was set while running.
    pub(in crate::resolve) fn remove_negative_anchor(&self, name: &Name) -> bool {
        let mut anchors = self.anchors.lock();
        let before = anchors.added.len();
        anchors.added.retain(|negative| negative.name != *name);
        let is_gone = anchors.added.len() < before;
        self.republish(&mut anchors);
        is_gone
    }

    /// Ends negative trust anchors whose time is over; true where there were any.
    pub(in crate::resolve) fn tend_trust(&self) -> bool {
        let mut anchors = self.anchors.lock();
        let (wall, now) = (self.clock.wall().0, self.clock.boot());
        let settled: Vec<Name> = anchors.settling.extract_if(|_, at| *at <= now).map(|(name, _)| name).collect();
        self.forget_below(&settled);
        let is_over = self.routes().negatives.iter().any(|negative| negative.is_over(wall));
        if is_over {
            anchors.added.retain(|negative| !negative.is_over(wall));
            self.republish(&mut anchors);
        }
        is_over
    }

    /// Time until `tend_trust` has something to do, if that is known.
    pub(in crate::resolve) fn next_tending(&self) -> Option<Duration> {
        let (wall, now) = (self.clock.wall().0, self.clock.boot());
        let ends = self.routes().negatives.iter().filter_map(|negative| negative.until).min();
        let settling = self.anchors.lock().settling.values().map(|at| at.since(now)).min();
        ends.map(|until| Duration::from_secs(until.saturating_sub(wall))).into_iter().chain(settling).min()
    }

    /// Is the wall clock known to be wrong?
    pub(in crate::resolve) fn is_clock_unset(&self) -> bool {
        self.clock_watch.is_unset(self.clock.wall(), self.clock.boot())
    }

    /// Makes new routes with the current anchors, and puts them in force.
    pub(in crate::resolve) fn republish(&self, anchors: &mut TrustAnchors) {
        self.publish(anchors, (*self.routes()).clone(), |routes| {
            self.in_force.replace_routes(routes);
            Vec::new()
        });
    }

    /// Puts `anchors` in force. Removes the conclusions about zones whose trust changes, and the cached data at and below
    /// names for which other servers are asked from now on.
    fn publish(&self, anchors: &mut TrustAnchors, mut routes: Routes, swap: impl FnOnce(Arc<Routes>) -> Vec<Name>) {
        let old = self.routes();
        let (in_force, negatives) = (anchors.points.anchors(), anchors.negatives(self.clock.wall().0));
        let reanchored = names_that_differ(&old.anchors, &in_force);
        let turned: Vec<Name> = old.negatives.iter().chain(&negatives).map(|negative| negative.name.clone()).collect();
        let covers = |all: &[NegativeAnchor], name: &Name| all.iter().any(|negative| negative.name == *name);
        let turned: Vec<Name> = turned.into_iter().filter(|name| covers(&old.negatives, name) != covers(&negatives, name)).collect();
        let mut turned: Vec<Name> = turned.into_iter().chain(old.ruled_otherwise(&routes)).collect();
        // What was judged below another anchor, or below none, is judged again.
        let is_anchored = |all: &[Anchor], name: &Name| all.iter().any(|anchor| anchor.name == *name);
        turned.extend(reanchored.iter().filter(|name| is_anchored(&old.anchors, name) != is_anchored(&in_force, name)).cloned());
        (routes.anchors, routes.negatives) = (Arc::new(in_force), Arc::new(negatives));
        turned.extend(swap(Arc::new(routes)));
        for name in reanchored {
            self.forget_trust(&name);
        }
        self.forget_and_settle(anchors, turned);
    }

    fn forget_and_settle(&self, anchors: &mut TrustAnchors, names: Vec<Name>) {
        let settled = self.clock.boot() + 2 * Duration::from_millis(self.routes().limits.walk_time_ms);
        self.forget_below(&names);
        anchors.settling.extend(names.into_iter().map(|name| (name, settled)));
    }

    fn forget_below(&self, names: &[Name]) {
        self.cache.flush_below(names);
        match names {
            _ if names.len() <= FLUSHED_NAMES_MAX => names.iter().for_each(|name| self.forget_trust(name)),
            _ => self.forget_trust(&Name::root()),
        }
    }
}

/// The names of the anchors that are in only one of the lists.
fn names_that_differ(these: &[Anchor], those: &[Anchor]) -> Vec<Name> {
    let gone = these.iter().filter(|anchor| !those.contains(anchor));
    let come = those.iter().filter(|anchor| !these.contains(anchor));
    let mut names: Vec<Name> = gone.chain(come).map(|anchor| anchor.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

impl TrustAnchors {
    fn new(routes: &Routes) -> TrustAnchors {
        let points = TrustPoints::new(&routes.anchors, TrustPoints::default());
        let configured = routes.recursion.negative_trust_anchors.clone();
        TrustAnchors { seeds: routes.anchors.clone(), points, configured, ..TrustAnchors::default() }
    }

    fn negatives(&self, wall: u64) -> Vec<NegativeAnchor> {
        let overruled = |negative: &&NegativeAnchor| !self.added.iter().any(|added| added.name == negative.name);
        self.configured.iter().filter(overruled).chain(&self.added).filter(|negative| !negative.is_over(wall)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheLimits;
    use crate::config::Settings;
    use crate::env::{Random, WallTime};
    use crate::limits::Limits;

    struct Clocks;

    impl Clock for Clocks {
        fn boot(&self) -> BootTime {
            BootTime(5_000)
        }

        fn wall(&self) -> WallTime {
            WallTime(1_000)
        }
    }

    struct Fixed(Arc<Routes>);

    impl RoutesInForce for Fixed {
        fn routes(&self) -> Arc<Routes> {
            self.0.clone()
        }

        fn replace_routes(&self, _: Arc<Routes>) {}
    }

    /// Views with servers of their own have conclusions of their own, and all of them together the limits of one.
    #[test]
    fn limits_are_those_of_the_process() {
        let limits = Limits::default();
        let routes = Arc::new(Routes::new(&Settings::default(), limits, Vec::new(), Anchors::default(), Arc::new(Clocks)));
        let cache_limits = CacheLimits { bytes: 1 << 20, max_ttl: 60, min_ttl: 0, negative_max_ttl: 60, stale_max: 0 };
        let cache = || Arc::new(Cache::new(cache_limits, &Random::from_seed(1)));
        let first = TrustState::new(cache(), Arc::new(Clocks), Arc::new(Fixed(routes.clone())));
        let views: Vec<Arc<TrustState>> = (0..3).map(|_| first.apart(cache(), Arc::new(Fixed(routes.clone())))).collect();
        let take =
            |state: &TrustState| state.failure_rate.take(limits.failed_checks_us_reserved, 1, &Name::root(), BootTime(5_000), &limits);
        let granted = |all: &[&TrustState]| (0..1_000).filter(|turn| take(all[turn % all.len()])).count();
        let of_one = granted(&[&TrustState::new(cache(), Arc::new(Clocks), Arc::new(Fixed(routes.clone())))]);
        assert!(of_one > 0 && of_one < 1_000, "{of_one}");
        assert_eq!(granted(&[&first, &views[0], &views[1], &views[2]]), of_one);
        assert!(first.is_clock_unset());
        // What one of them has seen of the clock holds for all.
        assert!(!views[0].clock_watch.is_unset(WallTime(u64::MAX), BootTime(5_000)));
        assert!(!first.is_clock_unset() && !views[1].is_clock_unset());
    }
}
