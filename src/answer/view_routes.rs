//! Views with forward rules of their own look names up apart from all others: under other routes, with a cache, walks and conclusions
//! about zones of their own, so that what their servers say is never the answer of another client.
//!
//! There is one such resolver for each view that needs one, in their order; they are made when a configuration first needs them and
//! never freed, because a worker must not free a cache. A reload flushes what other servers are responsible for now, as it does in
//! the cache of all others; one that no view has used for a while is flushed as a whole when a view uses it again.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::cache::{Cache, CacheLimits};
use crate::env::Random;
use crate::limits::lists::VIEW_CACHES;
use crate::metrics::Recorder;
use crate::policy::{View, ViewId, Views};
use crate::record::Name;
use crate::resolve::{Resolver, Routes, RoutesInForce, Shared};
use crate::upstream::Upstream;

/// The resolver of a view, as all workers share it.
pub(super) struct Apart {
    pub(super) shared: Shared,
    in_force: Arc<InForce>,
}

struct InForce(ArcSwap<Routes>);

impl RoutesInForce for InForce {
    fn routes(&self) -> Arc<Routes> {
        self.0.load_full()
    }

    fn replace_routes(&self, routes: Arc<Routes>) {
        self.0.store(routes);
    }
}

/// How a view with forward rules looks names up.
#[derive(Clone)]
pub(super) struct ViewRoutes {
    /// Its place among those with forward rules.
    pub(super) place: usize,
    pub(super) apart: Arc<Apart>,
    pub(super) routes: Arc<Routes>,
}

/// The same of all views, by number; empty where none has forward rules.
#[derive(Clone, Default)]
pub(super) struct AllViewRoutes(Arc<[Option<ViewRoutes>]>);

impl AllViewRoutes {
    /// How names are looked up for clients of this view, where it is not as for others.
    #[inline]
    pub(super) fn of(&self, view: ViewId) -> Option<&ViewRoutes> {
        if self.0.is_empty() { None } else { self.0.get(usize::from(view.0))?.as_ref() }
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &ViewRoutes> {
        self.0.iter().flatten()
    }

    /// The same under other routes of all others.
    pub(super) fn under(&self, routes: &Routes, views: &Views) -> AllViewRoutes {
        let under = |(view, own): (&View, &Option<ViewRoutes>)| {
            own.as_ref().map(|own| ViewRoutes { routes: Arc::new(routes.with_forwards(&view.forward)), ..own.clone() })
        };
        AllViewRoutes(views.each().zip(self.0.iter()).map(under).collect())
    }
}

/// The resolvers of these views, as one worker has them. A cache behind one lives as long as the service.
pub(super) struct ResolversApart {
    upstream: Rc<Upstream>,
    random: Rc<Random>,
    metrics: Recorder,
    /// By place.
    all: RefCell<Vec<Option<Resolver>>>,
}

impl ResolversApart {
    pub(super) fn new(upstream: Rc<Upstream>, random: Rc<Random>, metrics: Recorder) -> ResolversApart {
        ResolversApart { upstream, random, metrics, all: RefCell::default() }
    }

    pub(super) fn of(&self, view: &ViewRoutes) -> Resolver {
        let mut all = self.all.borrow_mut();
        while all.len() <= view.place {
            all.push(None);
        }
        let make = || Resolver::new(&view.apart.shared, self.upstream.clone(), self.random.clone(), self.metrics.clone());
        all.get_mut(view.place).map_or_else(make, |place| place.get_or_insert_with(make).clone())
    }
}

/// All resolvers that there have been.
pub(super) struct Pool {
    all: Mutex<Vec<Made>>,
    /// Of the cache of all others.
    limits: CacheLimits,
    random: Mutex<Random>,
}

struct Made {
    apart: Arc<Apart>,
    /// The last configuration has a view for it. Of changes after that it has heard nothing.
    is_in_use: bool,
}

impl Pool {
    /// `limits`: of the cache of all others.
    pub(super) fn new(limits: CacheLimits, random: &Random) -> Pool {
        Pool { all: Mutex::default(), limits, random: Mutex::new(random.split()) }
    }

    /// The resolver of each view, by its number; `None`: the one of all others. `routes` are those of all others.
    pub(super) fn of(&self, views: &Views, routes: &Routes, others: &Shared) -> AllViewRoutes {
        let mut made_before = self.all.lock();
        let mut places = 0;
        let all: Arc<[Option<ViewRoutes>]> = views
            .each()
            .map(|view| {
                if view.forward.is_empty() {
                    return None;
                }
                let (place, routes) = (places, Arc::new(routes.with_forwards(&view.forward)));
                places += 1;
                if let Some(made) = made_before.get_mut(place) {
                    let own = ViewRoutes { place, apart: made.apart.clone(), routes };
                    if !std::mem::replace(&mut made.is_in_use, true) {
                        own.take_over(&[Name::root()]);
                    }
                    return Some(own);
                }
                let apart = self.made(place, routes.clone(), others);
                made_before.push(Made { apart: apart.clone(), is_in_use: true });
                Some(ViewRoutes { place, apart, routes })
            })
            .collect();
        made_before.iter_mut().skip(places).for_each(|made| made.is_in_use = false);
        // Where no view has one, nothing is looked at.
        AllViewRoutes(if all.iter().any(Option::is_some) { all } else { Arc::default() })
    }

    fn made(&self, place: usize, routes: Arc<Routes>, others: &Shared) -> Arc<Apart> {
        let in_force = Arc::new(InForce(ArcSwap::new(routes)));
        let limits = CacheLimits { bytes: cache_bytes(self.limits.bytes, place), ..self.limits };
        let cache = Arc::new(Cache::new(limits, &self.random.lock()));
        Arc::new(Apart { shared: others.apart(cache, in_force.clone()), in_force })
    }

    /// Each resolver, in use or not.
    pub(super) fn each(&self, mut work: impl FnMut(&Shared)) {
        self.all.lock().iter().for_each(|made| work(&made.apart.shared));
    }
}

/// Of the cache at this place among those of views; `all`: of the cache of all others.
fn cache_bytes(all: usize, place: usize) -> usize {
    let mut before = 0;
    for (count, part) in VIEW_CACHES {
        before += count;
        if place < before {
            return all / part;
        }
    }
    0
}

impl ViewRoutes {
    /// Other routes are in force, and other zones are hosted here: what is known at and below names for which that changes the servers
    /// goes.
    pub(super) fn take_over(&self, hosted: &[Name]) {
        let in_force = &self.apart.in_force;
        self.apart.shared.reload((*self.routes).clone(), |routes| {
            in_force.0.store(routes);
            hosted.to_vec()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::lists::VIEWS_MAX;

    #[test]
    fn all_caches_of_views_together() {
        const SIZE: usize = 1 << 28;
        let each: Vec<usize> = (0..VIEWS_MAX).map(|place| cache_bytes(SIZE, place)).collect();
        assert_eq!((each[0], each[3], each[4], each[11], each[12]), (SIZE / 16, SIZE / 16, SIZE / 32, SIZE / 32, SIZE / 64));
        assert!(each.iter().all(|bytes| *bytes > 0), "{each:?}");
        assert!(each.iter().sum::<usize>() < SIZE, "{each:?}");
    }
}
