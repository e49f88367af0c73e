//! What is trusted without proof, and what is not to be proved: trust points that are followed (RFC 5011), and negative
//! trust anchors with their ends (RFC 7646). Both come out as new [`Routes`]; a walk keeps those that it began with.
//!
//! Whoever calls [`Resolver::follow_anchors`] and [`Shared::tend_trust`] from time to time keeps it going; nothing here waits for time.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::config::NegativeAnchor;
use crate::env::BootTime;
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::context::local::Local;
use crate::resolve::context::routes::{Anchors, Routes};
use crate::resolve::context::trace::{Purpose, Trace};
use crate::resolve::dnssec::chain_of_trust::{Opinions, sha1};
use crate::resolve::resolver::{Resolver, Shared};
use crate::validate::{self, Anchor, Change, TrustPoints, WorkBudget};

/// Trust is proved again from what is cached: past so many names, all of it goes rather than be looked through for each.
const NAMES_LOOKED_FOR: usize = 64;

/// What an operator and the owners of trusted keys say; the routes in force are made from it.
#[derive(Default)]
pub(in crate::resolve) struct Book {
    /// Configured or built in.
    seeds: Anchors,
    points: TrustPoints,
    configured: Vec<NegativeAnchor>,
    /// Set while running; they win over configured ones of the same name.
    added: Vec<NegativeAnchor>,
    /// Names to be forgotten once more: a walk that began under the old routes may still bring something.
    settling: HashMap<Name, BootTime>,
}

/// What came of asking for the keys of trust points.
#[derive(Default, Debug)]
pub struct Followed {
    pub changes: Vec<Change>,
    /// Points of which no set was had that proves right, and why.
    pub failed: Vec<(Name, String)>,
    /// Something is to be saved.
    pub is_new: bool,
}

impl Shared {
    /// Takes a new configuration; the state of trust points and the negative trust anchors set by an operator stay.
    ///
    /// `swap` puts the routes in force, together with everything that a query takes with them, and returns the names
    /// for which that changes who is authoritative. Only then is data of the old configuration removed from the cache.
    pub fn reload(&self, routes: Routes, swap: impl FnOnce(Arc<Routes>) -> Vec<Name>) {
        let mut book = self.book.lock();
        let learned = mem::take(&mut book.points);
        book.points = TrustPoints::new(&routes.anchors, learned);
        book.seeds = routes.anchors.clone();
        book.configured.clone_from(&routes.recursion.negative_trust_anchors);
        self.publish(&mut book, routes, swap);
    }

    /// What was saved earlier, before the first question.
    pub fn restore_trust(&self, points: TrustPoints, negatives: Vec<NegativeAnchor>) {
        self.clock_watch.seen(points.checked());
        let mut book = self.book.lock();
        let seeds: Anchors = book.seeds.clone();
        book.points = TrustPoints::new(&seeds, points);
        book.added = negatives;
        self.republish(&mut book);
    }

    /// For those who save and show.
    pub fn trust_points(&self) -> TrustPoints {
        self.book.lock().points.clone()
    }

    /// The negative trust anchors in force, and whether each was set while running.
    pub fn negative_anchors(&self) -> Vec<(NegativeAnchor, bool)> {
        let book = self.book.lock();
        book.negatives(self.clock.wall().0).into_iter().map(|negative| (negative.clone(), book.added.contains(&negative))).collect()
    }

    /// False: there are too many.
    pub fn add_negative_anchor(&self, negative: NegativeAnchor) -> bool {
        let mut book = self.book.lock();
        book.added.retain(|other| other.name != negative.name);
        if book.added.len() >= self.routes().limits.negative_anchors_added {
            return false;
        }
        book.added.push(negative);
        self.republish(&mut book);
        true
    }

    /// False: none of this name was set while running.
    pub fn remove_negative_anchor(&self, name: &Name) -> bool {
        let mut book = self.book.lock();
        let before = book.added.len();
        book.added.retain(|negative| negative.name != *name);
        let is_gone = book.added.len() < before;
        self.republish(&mut book);
        is_gone
    }

    /// Ends negative trust anchors whose time is over; true where there were any.
    pub fn tend_trust(&self) -> bool {
        let mut book = self.book.lock();
        let (wall, now) = (self.clock.wall().0, self.clock.boot());
        let settled: Vec<Name> = book.settling.extract_if(|_, at| *at <= now).map(|(name, _)| name).collect();
        self.forget_below(&settled);
        let is_over = self.routes().negatives.iter().any(|negative| negative.is_over(wall));
        if is_over {
            book.added.retain(|negative| !negative.is_over(wall));
            self.republish(&mut book);
        }
        is_over
    }

    /// When [`tend_trust`](Shared::tend_trust) has something to do next, if that is known.
    pub fn next_tending(&self) -> Option<Duration> {
        let (wall, now) = (self.clock.wall().0, self.clock.boot());
        let ends = self.routes().negatives.iter().filter_map(|negative| negative.until).min();
        let settling = self.book.lock().settling.values().map(|at| at.since(now)).min();
        ends.map(|until| Duration::from_secs(until.saturating_sub(wall))).into_iter().chain(settling).min()
    }

    /// Is the wall clock known to be wrong?
    pub fn is_clock_unset(&self) -> bool {
        self.clock_watch.is_unset(self.clock.wall(), self.clock.boot())
    }

    fn republish(&self, book: &mut Book) {
        self.publish(book, (*self.routes()).clone(), |routes| {
            self.replace_routes(routes);
            Vec::new()
        });
    }

    /// Puts in force what the book says. What was concluded of names on whose trust it says something else now goes, and
    /// what was learned at and below those that others are asked about.
    fn publish(&self, book: &mut Book, mut routes: Routes, swap: impl FnOnce(Arc<Routes>) -> Vec<Name>) {
        let old = self.routes();
        let (anchors, negatives) = (book.points.anchors(), book.negatives(self.clock.wall().0));
        let others = |all: &[Anchor], than: &[Anchor]| {
            all.iter().filter(|anchor| !than.contains(anchor)).map(|anchor| anchor.name.clone()).collect::<Vec<_>>()
        };
        let reanchored = [others(&old.anchors, &anchors), others(&anchors, &old.anchors)].concat();
        let turned: Vec<Name> = old.negatives.iter().chain(&negatives).map(|negative| negative.name.clone()).collect();
        let covers = |all: &[NegativeAnchor], name: &Name| all.iter().any(|negative| negative.name == *name);
        let turned: Vec<Name> = turned.into_iter().filter(|name| covers(&old.negatives, name) != covers(&negatives, name)).collect();
        let mut turned: Vec<Name> = turned.into_iter().chain(old.ruled_otherwise(&routes)).collect();
        (routes.anchors, routes.negatives) = (Arc::new(anchors), Arc::new(negatives));
        turned.extend(swap(Arc::new(routes)));
        for name in reanchored {
            self.forget_trust(&name);
        }
        self.forget_and_settle(book, turned);
    }

    fn forget_and_settle(&self, book: &mut Book, names: Vec<Name>) {
        let settled = self.clock.boot() + 2 * Duration::from_millis(self.routes().limits.walk_time_ms);
        self.forget_below(&names);
        book.settling.extend(names.into_iter().map(|name| (name, settled)));
    }

    fn forget_below(&self, names: &[Name]) {
        self.cache.flush_below(names);
        match names {
            _ if names.len() <= NAMES_LOOKED_FOR => names.iter().for_each(|name| self.forget_trust(name)),
            _ => self.forget_trust(&Name::root()),
        }
    }
}

impl Book {
    pub(in crate::resolve) fn new(routes: &Routes) -> Book {
        let points = TrustPoints::new(&routes.anchors, TrustPoints::default());
        let configured = routes.recursion.negative_trust_anchors.clone();
        Book { seeds: routes.anchors.clone(), points, configured, ..Book::default() }
    }

    fn negatives(&self, wall: u64) -> Vec<NegativeAnchor> {
        let overruled = |negative: &&NegativeAnchor| !self.added.iter().any(|added| added.name == negative.name);
        self.configured.iter().filter(overruled).chain(&self.added).filter(|negative| !negative.is_over(wall)).cloned().collect()
    }
}

impl Resolver {
    /// Active refresh (RFC 5011 2.3) of the trust points that are due: their DNSKEY sets are asked for, whatever is cached.
    ///
    /// While the clock is known to be wrong nothing is asked: no date could be judged, and no hold-down may advance.
    /// `routes` and `local` are those of the snapshot in force.
    pub async fn follow_anchors(&self, routes: Arc<Routes>, local: Arc<dyn Local>) -> Followed {
        let shared = self.shared();
        let mut followed = Followed::default();
        if !routes.recursion.dnssec || shared.is_clock_unset() {
            return followed;
        }
        let due = shared.book.lock().points.due(shared.clock.wall().0);
        for name in due {
            followed.is_new = true;
            match self.follow_anchor(&name, routes.clone(), local.clone()).await {
                Ok(changes) => followed.changes.extend(changes),
                Err(why) => followed.failed.push((name, why)),
            }
        }
        if !followed.changes.is_empty() {
            shared.republish(&mut shared.book.lock());
        }
        followed
    }

    /// Where one server's set does not prove right, others are asked.
    async fn follow_anchor(&self, name: &Name, routes: Arc<Routes>, local: Arc<dyn Local>) -> Result<Vec<Change>, String> {
        let shared = self.shared();
        let question = Question::new(name.clone(), Rtype::DNSKEY);
        let context = Context { purpose: Purpose::Dnskey, ..Context::client(routes, local, Trace::off()) };
        let mut opinions = Opinions::new();
        let mut link = match self.walk(&question, &context).await {
            Ok(link) => link,
            Err(failure) => {
                shared.book.lock().points.failed(name, shared.clock.wall().0);
                return Err(failure.to_string());
            }
        };
        loop {
            let why = match link.sets_of(&question).first() {
                Some(set) => {
                    // Its own budget: no client's question pays for it, and none can empty it.
                    let mut work = WorkBudget::new(validate::Limits::default());
                    match shared.book.lock().points.observe(set, shared.clock.wall().0, sha1(&context), &mut work) {
                        Ok(changes) => return Ok(changes),
                        Err(why) => why.to_string(),
                    }
                }
                None => format!("{name} has no DNSKEY set"),
            };
            shared.book.lock().points.failed(name, shared.clock.wall().0);
            match self.next_opinion(&question, &link, &mut opinions, &context).await {
                Some(other) => link = other,
                None => return Err(why),
            }
        }
    }
}
