//! The way from this machine to any server: sockets, clock and randomness of one worker over what all workers know of
//! the network.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use siphasher::sip::SipHasher24;

use crate::cache::{Cache, Family, FamilyStanding};
use crate::config::{EncryptedProtocol, TranslationPrefix};
use crate::env::{BootTime, Clock, Random};
use crate::metrics::{Counter, Recorder};
use crate::resolve::context::routes::Routes;
use crate::resolve::network::found_translator::FoundTranslator;
use crate::resolve::network::interception::Interception;
use crate::resolve::network::offline::{FORGIVE_EVERY, Offline};
use crate::resolve::network::rtt::UsualRtt;
use crate::resolve::network::wakeups::Wakeups;
use crate::upstream::{AskError, Reply, TcpFault, TlsServer, Translator, Upstream};

/// Shared by all workers.
pub(in crate::resolve) struct NetworkState {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    offline: Offline,
    interception: Interception,
    /// How long servers usually take to reply from here.
    usual_rtt: UsualRtt,
    wakeups: Wakeups,
    found_translator: FoundTranslator,
    /// How often the route to the servers has changed.
    route_changes: AtomicU64,
    /// When the failures of servers were forgiven last, in milliseconds since boot.
    forgiven_at: AtomicU64,
    /// Makes client cookies (RFC 7873 4.1): another one for each server, the same one each time.
    cookie_secret: [u8; 16],
}

impl NetworkState {
    /// The state of a start: online.
    pub(in crate::resolve) fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>, random: &Random) -> Arc<NetworkState> {
        let mut cookie_secret = [0; 16];
        random.fill(&mut cookie_secret);
        Arc::new(NetworkState {
            cache,
            clock,
            offline: Offline::default(),
            interception: Interception::default(),
            usual_rtt: UsualRtt::default(),
            wakeups: Wakeups::default(),
            found_translator: FoundTranslator::default(),
            route_changes: AtomicU64::new(0),
            forgiven_at: AtomicU64::new(0),
            cookie_secret,
        })
    }

    /// Whether any server has replied within this time.
    pub(in crate::resolve) fn has_replied_within(&self, time: Duration) -> bool {
        self.offline.has_replied_within(time, self.clock.boot())
    }

    /// For questions that other servers are asked, with another cache: whether these can be reached is found out anew.
    pub(in crate::resolve) fn apart(&self, cache: Arc<Cache>) -> Arc<NetworkState> {
        Arc::new(NetworkState {
            cache,
            clock: self.clock.clone(),
            offline: Offline::default(),
            interception: Interception::default(),
            usual_rtt: UsualRtt::default(),
            wakeups: Wakeups::default(),
            found_translator: FoundTranslator::default(),
            route_changes: AtomicU64::new(0),
            forgiven_at: AtomicU64::new(0),
            cookie_secret: self.cookie_secret,
        })
    }

    /// Whether the network is away now.
    pub(in crate::resolve) fn is_offline(&self) -> bool {
        self.offline.is_offline(self.clock.boot())
    }

    /// Root servers in whose place somebody else answers.
    pub(in crate::resolve) fn interception(&self) -> &Interception {
        &self.interception
    }

    /// The prefix of the network's translator, if it was found out.
    pub(in crate::resolve) fn nat64_prefix(&self) -> Option<TranslationPrefix> {
        self.found_translator.prefix()
    }

    /// Whether the kernel has no route to any server.
    pub(in crate::resolve) fn is_without_route(&self) -> bool {
        self.offline.is_without_route()
    }

    /// Links, addresses or routes of this machine have changed: walks that wait for the network try again at once. Where
    /// the route to the servers has changed, servers that did not answer may have been out of reach.
    pub(in crate::resolve) fn network_changed(&self, is_route_change: bool) {
        let now = self.clock.boot();
        let forgiven_at = BootTime(self.forgiven_at.load(Ordering::Relaxed));
        if self.offline.is_offline(now) || is_route_change && now.since(forgiven_at) >= FORGIVE_EVERY {
            self.forgiven_at.store(now.0, Ordering::Relaxed);
            self.cache.servers().forgive();
        }
        if is_route_change {
            self.interception.forget();
            self.route_changes.fetch_add(1, Ordering::Relaxed);
            self.found_translator.forget();
        }
        self.wakeups.network_changed();
    }
}

/// Of one worker. Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct Network(Rc<Inner>);

struct Inner {
    state: Arc<NetworkState>,
    upstream: Rc<Upstream>,
    random: Rc<Random>,
    /// The counters of this worker.
    metrics: Recorder,
    /// The value of `NetworkState::route_changes` at the last use: sockets opened before a change must not be used.
    route_changes_seen: Cell<u64>,
    /// The clock's reading for the present poll, inside `with_one_reading`.
    reading: Cell<Option<BootTime>>,
}

/// While it lives, `Network::now` is one reading of the clock.
struct Reading<'a> {
    reading: &'a Cell<Option<BootTime>>,
    outer: Option<BootTime>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.reading.set(self.outer);
    }
}

impl Network {
    /// The network as one worker uses it.
    pub(in crate::resolve) fn new(state: Arc<NetworkState>, upstream: Rc<Upstream>, random: Rc<Random>, metrics: Recorder) -> Network {
        let route_changes_seen = Cell::new(state.route_changes.load(Ordering::Relaxed));
        Network(Rc::new(Inner { state, upstream, random, metrics, route_changes_seen, reading: Cell::new(None) }))
    }

    /// The cache of all workers.
    pub(in crate::resolve) fn cache(&self) -> &Cache {
        &self.0.state.cache
    }

    /// The clock of this process.
    pub(in crate::resolve) fn clock(&self) -> &dyn Clock {
        &*self.0.state.clock
    }

    /// Whether the network is away, shared by all workers.
    pub(in crate::resolve) fn offline(&self) -> &Offline {
        &self.0.state.offline
    }

    /// Whether queries to the root servers are intercepted, shared by all workers.
    pub(in crate::resolve) fn interception(&self) -> &Interception {
        self.0.state.interception()
    }

    /// Whether the network is away now.
    pub(in crate::resolve) fn is_offline(&self) -> bool {
        self.offline().is_offline(self.now())
    }

    /// Wakes walks that wait for the network.
    pub(in crate::resolve) fn wakeups(&self) -> &Wakeups {
        &self.0.state.wakeups
    }

    /// The counters of this worker.
    pub(in crate::resolve) fn metrics(&self) -> &Recorder {
        &self.0.metrics
    }

    /// The random numbers of this worker.
    pub(in crate::resolve) fn random(&self) -> &Random {
        &self.0.random
    }

    /// Time since boot.
    pub(in crate::resolve) fn now(&self) -> BootTime {
        self.0.reading.get().unwrap_or_else(|| self.clock().boot())
    }

    /// Polls `work` with the clock read once a poll: a poll takes far less than the second that lifetimes are counted in,
    /// and its steps ask for the time dozens of times.
    pub(in crate::resolve) async fn with_one_reading<F: Future>(&self, mut work: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let reading = &self.0.reading;
            let _held = Reading { reading, outer: reading.replace(Some(self.now())) };
            work.as_mut().poll(cx)
        })
        .await
    }

    /// The way to ask a server. A connection made before the route changed may leave from an address that is gone, so
    /// all of them are closed then.
    pub(in crate::resolve) fn upstream(&self) -> &Upstream {
        let route_changes = self.0.state.route_changes.load(Ordering::Relaxed);
        if self.0.route_changes_seen.replace(route_changes) != route_changes {
            self.0.upstream.forget_connections();
        }
        &self.0.upstream
    }

    /// The translator for servers to which IPv4 has no route, if one is known.
    pub(in crate::resolve) fn translator(&self, routes: &Routes) -> Option<Translator> {
        routes.translator_at(routes.nat64_prefix.or_else(|| self.found_translator().prefix())?)
    }

    /// What was found out about the network's translator.
    pub(in crate::resolve) fn found_translator(&self) -> &FoundTranslator {
        &self.0.state.found_translator
    }

    /// Does the kernel have a route to the server, or to the translator in front of it? Nothing is sent.
    pub(in crate::resolve) fn has_route(&self, server: SocketAddr, routes: &Routes) -> bool {
        self.upstream().has_route(server, self.translator(routes))
    }

    /// Where the translator receives what is sent to the server; `None` where queries go to the server itself.
    pub(in crate::resolve) fn translated(&self, server: SocketAddr, routes: &Routes) -> Option<IpAddr> {
        let translator = self.translator(routes)?;
        let translated = translator.address_for(server)?;
        let is_direct = translator.after_ipv4 && self.upstream().has_route(server, None);
        (!is_direct).then(|| translated.ip())
    }

    /// Counts a query to a server.
    pub(in crate::resolve) fn count_query(&self) {
        self.0.metrics.count(Counter::UpstreamQueries);
    }

    /// Counts a query to a server that is asked over encrypted connections, and what became of it.
    pub(in crate::resolve) fn count_encrypted(&self, server: &TlsServer, result: Option<&Result<Reply, AskError>>) {
        let metrics = self.metrics();
        metrics.count(match server.protocol() {
            EncryptedProtocol::Tls => Counter::UpstreamTls,
            EncryptedProtocol::Https(_) => Counter::UpstreamHttps,
        });
        match result {
            Some(Ok(reply)) if reply.secure.as_ref().is_some_and(|secure| secure.is_first) => {
                metrics.count(Counter::UpstreamTlsConnections)
            }
            Some(Err(AskError::TlsFailed { fault, .. })) if fault.is_certificate() => metrics.count(Counter::UpstreamTlsUnverified),
            Some(Err(AskError::TlsFailed { fault: TcpFault::Tls(_), .. })) => metrics.count(Counter::UpstreamTlsHandshakesFailed),
            Some(Err(AskError::TlsFailed { fault: TcpFault::Http(_), .. })) => metrics.count(Counter::UpstreamHttpsErrors),
            Some(Ok(_) | Err(_)) | None => {}
        }
    }

    /// How long a server without a history is waited for before another is asked: six times the usual round-trip time. A
    /// later reply is still taken.
    pub(in crate::resolve) fn first_patience(&self) -> Duration {
        (6 * self.usual_rtt()).clamp(Duration::from_millis(100), Duration::from_millis(400))
    }

    /// The usual round-trip time from here.
    pub(in crate::resolve) fn usual_rtt(&self) -> Duration {
        self.0.state.usual_rtt.get()
    }

    /// Any reply of any server shows that the network is there.
    pub(in crate::resolve) fn on_reply(&self, rtt: Option<Duration>) {
        if self.offline().replied(self.now()) {
            self.came_back();
        }
        if let Some(rtt) = rtt {
            self.0.state.usual_rtt.add(rtt);
        }
    }

    /// So does a query without a reply, where somebody has taken its connection.
    pub(in crate::resolve) fn on_failure(&self, error: &AskError) {
        if error.shows_a_server() && self.offline().is_there(self.now()) {
            self.came_back();
        }
    }

    fn came_back(&self) {
        // What was counted against servers since the network went away was not their fault.
        self.cache().servers().forgive();
        self.wakeups().back_online();
    }

    /// Do servers reply by this address family, as far as is known?
    pub(in crate::resolve) fn can_count_on(&self, family: Family) -> bool {
        self.cache().servers().families().standing(family, self.now()) == FamilyStanding::Works
    }

    /// RFC 7873 4.1: a client cookie depends on the server and on our secret. RFC 9018 3: it changes with the network, so
    /// that it cannot be used to track this machine.
    pub(in crate::resolve) fn client_cookie(&self, server: IpAddr) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.0.state.cookie_secret);
        std::hash::Hash::hash(&server, &mut hasher);
        std::hash::Hasher::write_u64(&mut hasher, self.0.state.route_changes.load(Ordering::Relaxed));
        std::hash::Hasher::finish(&hasher).to_be_bytes()
    }
}
