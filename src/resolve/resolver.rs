//! What resolves: what all workers share of it, and one worker's hands.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use siphasher::sip::SipHasher24;

use crate::cache::{Cache, Memo};
use crate::env::{BootTime, Clock, Random};
use crate::record::Name;
use crate::resolve::context::routes::{Routes, RoutesInForce};
use crate::resolve::dnssec::chain_of_trust::{TRUST_KEPT_MAX, Trust};
use crate::resolve::dnssec::clock_watch::ClockWatch;
use crate::resolve::dnssec::trust_anchors::Book;
use crate::resolve::dnssec::validate::PerSecond;
use crate::resolve::iterate::walk::Awaited;
use crate::resolve::lookup::coalesce::Table;
use crate::resolve::network::offline::{FORGIVE_EVERY, Offline};
use crate::resolve::network::rtt::UsualRtt;
use crate::resolve::servers::second_query::Hedging;
use crate::upstream::Upstream;

/// What all workers share.
pub struct Shared {
    pub cache: Arc<Cache>,
    pub clock: Arc<dyn Clock>,
    in_force: Arc<dyn RoutesInForce>,
    pub(in crate::resolve) book: Mutex<Book>,
    /// What was concluded of zones.
    pub(in crate::resolve) trust: Memo<Trust>,
    pub(in crate::resolve) failures: PerSecond,
    pub(in crate::resolve) clock_watch: ClockWatch,
    pub(in crate::resolve) offline: Offline,
    pub(in crate::resolve) hedging: Hedging,
    /// How long servers usually take from here.
    usual_rtt: UsualRtt,
    pub(in crate::resolve) awaited: Awaited,
    /// How often the way out has changed.
    ways_out: AtomicU64,
    /// When servers were forgiven last, in milliseconds since boot.
    forgiven_at: AtomicU64,
    /// Makes client cookies (RFC 7873 4.1): another one for each server, the same one each time.
    cookie_secret: [u8; 16],
    pub(in crate::resolve) table: Arc<Table>,
    pub(in crate::resolve) counters: Counters,
}

#[derive(Default)]
pub struct Counters {
    pub walks: AtomicU64,
    pub upstream_queries: AtomicU64,
    pub failures: AtomicU64,
}

impl Shared {
    pub fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>, in_force: Arc<dyn RoutesInForce>, random: &Random) -> Arc<Shared> {
        let mut cookie_secret = [0; 16];
        random.fill(&mut cookie_secret);
        let routes = in_force.routes();
        let table = Table::new(routes.limits.walks);
        let clock_watch = ClockWatch::new(clock.boot());
        Arc::new(Shared {
            cache,
            clock,
            book: Mutex::new(Book::new(&routes)),
            in_force,
            trust: Memo::new(TRUST_KEPT_MAX),
            failures: PerSecond::default(),
            clock_watch,
            offline: Offline::default(),
            hedging: Hedging::default(),
            usual_rtt: UsualRtt::default(),
            awaited: Awaited::default(),
            ways_out: AtomicU64::new(0),
            forgiven_at: AtomicU64::new(0),
            cookie_secret,
            table,
            counters: Counters::default(),
        })
    }

    /// Links, addresses or routes of this machine have changed: who waits for the network tries again at once. Where
    /// the change is to the way out, servers that did not answer may have been out of reach.
    pub fn network_changed(&self, is_way_out: bool) {
        let now = self.clock.boot();
        let forgiven_at = BootTime(self.forgiven_at.load(Ordering::Relaxed));
        if self.offline.is_offline(now) || is_way_out && now.since(forgiven_at) >= FORGIVE_EVERY {
            self.forgiven_at.store(now.0, Ordering::Relaxed);
            self.cache.servers().forgive();
        }
        if is_way_out {
            self.ways_out.fetch_add(1, Ordering::Relaxed);
        }
        self.awaited.changed();
    }

    /// The routes in force now. A query uses those of its context instead.
    pub fn routes(&self) -> Arc<Routes> {
        self.in_force.routes()
    }

    pub(in crate::resolve) fn replace_routes(&self, routes: Arc<Routes>) {
        self.in_force.replace_routes(routes);
    }

    pub fn forget_trust(&self, name: &Name) {
        self.trust.forget(name);
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Queries sent beside another that kept us waiting.
    pub fn second_queries(&self) -> u64 {
        self.hedging.second_queries()
    }

    pub fn walks_under_way(&self) -> usize {
        self.table.under_way()
    }
}

/// One worker's hands: its sockets and its randomness over the shared memory. Cheap to clone.
#[derive(Clone)]
pub struct Resolver(Rc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    upstream: Rc<Upstream>,
    random: Rc<Random>,
    /// Of `Shared::ways_out`: sockets opened before are not to be used any more.
    ways_out_seen: Cell<u64>,
    /// Queries that are overdue and still listened to.
    overdue: Rc<Cell<usize>>,
    /// When the present turn of a task began, inside `in_turns`.
    turn_began: Cell<Option<BootTime>>,
}

/// While it lives, `Resolver::now` is one reading of the clock.
struct Turn<'a> {
    turn_began: &'a Cell<Option<BootTime>>,
    outer: Option<BootTime>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turn_began.set(self.outer);
    }
}

impl Resolver {
    pub fn new(shared: Arc<Shared>, upstream: Rc<Upstream>, random: Rc<Random>) -> Resolver {
        let ways_out_seen = Cell::new(shared.ways_out.load(Ordering::Relaxed));
        Resolver(Rc::new(Inner { shared, upstream, random, ways_out_seen, overdue: Rc::default(), turn_began: Cell::new(None) }))
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    pub(in crate::resolve) fn cache(&self) -> &Cache {
        &self.0.shared.cache
    }

    pub(in crate::resolve) fn now(&self) -> BootTime {
        self.0.turn_began.get().unwrap_or_else(|| self.0.shared.clock.boot())
    }

    /// Does `work` with the clock read once a turn: a turn takes far less than the second that lifetimes are counted in,
    /// and its steps ask for the time dozens of times.
    pub(in crate::resolve) async fn in_turns<F: Future>(&self, mut work: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let turn_began = &self.0.turn_began;
            let _turn = Turn { turn_began, outer: turn_began.replace(Some(self.now())) };
            work.as_mut().poll(cx)
        })
        .await
    }

    /// On today's ways out: a connection made before a change may leave from an address that is gone.
    pub(in crate::resolve) fn upstream(&self) -> &Upstream {
        let ways_out = self.0.shared.ways_out.load(Ordering::Relaxed);
        if self.0.ways_out_seen.replace(ways_out) != ways_out {
            self.0.upstream.forget_connections();
        }
        &self.0.upstream
    }

    pub(in crate::resolve) fn overdue(&self) -> &Rc<Cell<usize>> {
        &self.0.overdue
    }

    pub(in crate::resolve) fn random(&self) -> &Random {
        &self.0.random
    }

    pub(in crate::resolve) fn count_upstream(&self) {
        self.0.shared.counters.upstream_queries.fetch_add(1, Ordering::Relaxed);
    }

    /// How long an unknown server is waited for before another is asked: six times what servers usually
    /// take from here. What comes later is taken as well.
    pub(in crate::resolve) fn first_patience(&self) -> Duration {
        (6 * self.usual_rtt()).clamp(Duration::from_millis(100), Duration::from_millis(400))
    }

    /// What servers usually take from here.
    pub(in crate::resolve) fn usual_rtt(&self) -> Duration {
        self.shared().usual_rtt.get()
    }

    pub(in crate::resolve) fn heard_after(&self, rtt: Duration) {
        self.shared().usual_rtt.add(rtt);
    }

    /// RFC 7873 4.1: a client cookie depends on the server and on our secret. RFC 9018 3: and it must not go along to
    /// another network, where it would tell who has come.
    pub(in crate::resolve) fn client_cookie(&self, server: IpAddr) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.shared().cookie_secret);
        std::hash::Hash::hash(&server, &mut hasher);
        std::hash::Hasher::write_u64(&mut hasher, self.shared().ways_out.load(Ordering::Relaxed));
        std::hash::Hasher::finish(&hasher).to_be_bytes()
    }
}
