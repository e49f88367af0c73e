//! The answering part of one thread: requests come in as bytes, replies leave as bytes. The pipeline makes the decisions
//! between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::Guard;

use super::case::Case;
use super::client_rights::{ClientRights, Requester};
use super::connection_options::{append_to, asks_keepalive};
use super::explained::{Explained, Recorder};
use super::failure_log::Subject;
use super::fast_path::{self, Given};
use super::listed;
use super::local::LocalInView;
use super::outcome::{Delivery, Outcome};
use super::permitted_update::PermittedUpdate;
use super::pipeline::{Decided, LookUp, OWN_NEEDS, PIPELINE, Pipeline};
use super::query_log::{Told, Watch, Watchers, answer_count, first_question};
use super::reply::{Manner, OPT_BYTES, bare_error, encode};
use super::request::{ParsedQuery, Request, Unreadable, read};
use super::service::Service;
use super::snapshot::Snapshot;
use super::view_routes::ResolversApart;
use super::views;
use super::zone_message::{self, ZoneMessage};
use super::{AtOnce, Client, Explain, Transport};
use crate::authority::Signer;
use crate::env::{BootTime, Instant, Net, Random};
use crate::limits::cache::{KEEP_WARM_LEFT_S, KEEP_WARM_LOOKUPS_PER_STEP, KEEP_WARM_STEP};
use crate::limits::clients::UDP_REPLY_BYTES_MAX;
use crate::metrics::{self, ClientFamily, ClientLimit, Counter, Over, QueryType, Source};
use crate::policy::{ClientNet, Listed, Pace, Place, ViewId};
use crate::record::{Name, Question, Rcode, Rtype, Security};
use crate::resolve::{Context, Followed, Local, Resolver, Trace};
use crate::upstream::{Upstream, Witness};
use crate::wire::{Flags, Header, Message, Opcode, OptionCode, Writer};

/// Not `Send`: each thread makes its own, over the same `Service`.
pub struct Worker {
    service: Arc<Service>,
    resolver: Resolver,
    /// Of views that look names up apart.
    apart: ResolversApart,
    pipeline: Pipeline,
    random: Rc<Random>,
    /// The counters of this worker.
    metrics: metrics::Recorder,
    watchers: Watchers,
}

/// The clock and the snapshot for all queries of one batch. Dropped before anything is waited for.
pub struct Moment {
    now: BootTime,
    /// Who is told of each query; `None`: nobody.
    watch: Option<Watch>,
    snapshot: Guard<Arc<Snapshot>>,
}

impl Moment {
    /// Whether this client may use recursion and the cache.
    pub fn is_allowed(&self, client: IpAddr) -> bool {
        self.snapshot.policy.allow.contains(client)
    }

    /// Whether this peer is a load balancer in `server.proxy-from`.
    #[inline]
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        let proxies = &self.snapshot.policy.proxies;
        !proxies.is_empty() && proxies.contains(peer)
    }

    /// Whether clients may get different answers to the same question.
    pub fn differs_by_client(&self) -> bool {
        self.snapshot.differs_by_client()
    }
}

/// A request that has been read and decided, and that has to wait.
pub struct Pending {
    waits: Waits,
    watch: Option<Watch>,
}

#[allow(clippy::large_enum_variant, reason = "boxed by whoever holds it, and nearly all are look-ups")]
enum Waits {
    LookUp {
        prepared: Prepared,
        look_up: LookUp,
    },
    Update {
        update: Box<PermittedUpdate>,
        /// For whoever watches.
        packet: Option<Vec<u8>>,
    },
}

/// A request and what its reply depends on, read once.
struct Prepared {
    snapshot: Arc<Snapshot>,
    request: Request,
    requester: Requester,
    rights: ClientRights,
    view: ViewId,
    /// Where the view looks names up apart from others.
    apart: Option<Resolver>,
    /// The request was signed, and so is the reply.
    signer: Option<Signer>,
    is_behind_balancer: bool,
}

impl Prepared {
    /// `local`: where it was asked, if that is known.
    fn new(
        worker: &Worker,
        snapshot: Arc<Snapshot>,
        request: Request,
        requester: Requester,
        local: Option<SocketAddr>,
        signer: Option<Signer>,
    ) -> Prepared {
        let rights = requester.rights(&snapshot, request.flags, request.dnssec_ok());
        let view = requester.view(&snapshot, local);
        let apart = snapshot.view_routes.of(view).map(|view| worker.apart.of(view));
        Prepared { snapshot, request, requester, rights, view, apart, signer, is_behind_balancer: false }
    }

    fn case<'a>(&'a self, worker: &'a Worker, recorder: &'a Recorder) -> Case<'a> {
        let Prepared { snapshot, request, requester, rights, view, apart, is_behind_balancer, .. } = self;
        let (service, resolver) = (&*worker.service, apart.as_ref().unwrap_or(&worker.resolver));
        let (requester, rights, view, is_behind_balancer) = (*requester, *rights, *view, *is_behind_balancer);
        Case { service, resolver, snapshot, request, requester, rights, view, is_behind_balancer, recorder }
    }
}

/// For names that this server needs itself to host its zones: the target of an ALIAS record, the DS set of a parent.
pub fn worker_for_own_needs(service: Arc<Service>, net: Rc<dyn Net>, random: Random) -> Rc<Worker> {
    Worker::with_pipeline(service, net, random, OWN_NEEDS)
}

impl Worker {
    /// `net` is the thread's own.
    pub fn new(service: Arc<Service>, net: Rc<dyn Net>, random: Random) -> Rc<Worker> {
        Worker::with_pipeline(service, net, random, PIPELINE)
    }

    pub(super) fn with_pipeline(service: Arc<Service>, net: Rc<dyn Net>, random: Random, pipeline: Pipeline) -> Rc<Worker> {
        let random = Rc::new(random);
        let metrics = service.metrics.recorder();
        let witness = Witness::new(service.message_tap.feed(), service.resolve.clock.clone());
        let upstream = Rc::new(Upstream::new(net, random.clone(), &service.limits).watched_by(witness));
        let resolver = Resolver::new(&service.resolve, upstream.clone(), random.clone(), metrics.clone());
        let apart = ResolversApart::new(upstream, random.clone(), metrics.clone());
        let watchers = Watchers { queries: service.query_tap.feed(), messages: service.message_tap.feed() };
        Rc::new(Worker { service, resolver, apart, pipeline, random, metrics, watchers })
    }

    /// The state shared with other workers.
    #[cfg(any(test, feature = "internals"))]
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// The counters of this worker.
    pub fn metrics(&self) -> &metrics::Recorder {
        &self.metrics
    }

    /// Asks for the keys of trust points that are due (RFC 5011).
    pub async fn follow_anchors(&self) -> Followed {
        let snapshot = self.service.snapshot();
        self.resolver.follow_anchors(snapshot.routes.clone(), snapshot).await
    }

    /// Refreshes the data of names that are usually asked for at this hour before it expires (`cache.keep-warm`). Never ends.
    pub async fn keep_warm(&self) {
        loop {
            self.refresh_warm_questions();
            tokio::time::sleep(KEEP_WARM_STEP).await;
        }
    }

    /// One step: a part of these names, with a bound on the look-ups that begin. What is left has another turn soon.
    fn refresh_warm_questions(&self) {
        let snapshot = self.service.snapshot();
        if !snapshot.routes.keep_warm || self.service.in_flight.is_crowded() {
            return;
        }
        let mut due = self.service.keep_warm.due(self.service.resolve.clock.wall().0);
        due.retain(|question| !listed::is_blocked_for_all(&snapshot, question));
        if due.is_empty() {
            return;
        }
        // Data that is always near its end must not keep the rest from its turn.
        let first = self.random.below(due.len());
        due.rotate_left(first);
        let context = Context::client(snapshot.routes.clone(), snapshot, Trace::off());
        let begun = due.iter().filter(|question| self.resolver.refresh(question, KEEP_WARM_LEFT_S, &context));
        begun.take(KEEP_WARM_LOOKUPS_PER_STEP).for_each(drop);
    }

    /// Reads the current configuration, for one batch of queries that arrived at `now`.
    pub fn moment(&self, now: BootTime) -> Moment {
        Moment { now, watch: self.watchers.watch(&*self.service.resolve.clock), snapshot: self.service.present.load() }
    }

    /// `slot` holds the query in its first `len` octets; the reply overwrites it.
    #[inline]
    pub fn at_once(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        match &moment.watch {
            None => answer_at_once(self, moment, slot, len, client),
            Some(watch) => watched_at_once(self, moment, watch, slot, len, client),
        }
    }

    /// Answers that are not kept ready, but need no waiting either.
    fn at_once_unready(&self, moment: &Moment, query: &ParsedQuery, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        let Ok(request) = query.owned(&slot[..len], client.transport) else { return AtOnce::Silence };
        self.decide(moment, request, None, slot, client)
    }

    fn decide(&self, moment: &Moment, request: Request, signer: Option<Signer>, slot: &mut [u8], client: &Client) -> AtOnce {
        count_query(&self.metrics, client, request.question.rtype);
        let requester = Requester::Client(client.peer.ip());
        let prepared = Prepared::new(self, Arc::clone(&moment.snapshot), request, requester, Some(client.local), signer);
        let prepared = Prepared { is_behind_balancer: client.is_behind_balancer, ..prepared };
        match self.pipeline.decide(&prepared.case(self, &Recorder::off())) {
            Decided::LookUp(look_up) => {
                AtOnce::Later(Box::new(Pending { waits: Waits::LookUp { prepared, look_up }, watch: moment.watch }))
            }
            Decided::Outcome(outcome) if outcome.delivery == Delivery::None => {
                count_rewrite(&self.metrics, &outcome);
                tell(&self.watchers, moment.watch.as_ref(), &prepared, client, &outcome, &[]);
                AtOnce::Silence
            }
            Decided::Outcome(outcome) => {
                let proven = prepared.request.cookie().is_some_and(|cookie| self.service.made(cookie, client.peer.ip()));
                let reply = self.finish(&prepared, client.peer.ip(), &outcome);
                tell(&self.watchers, moment.watch.as_ref(), &prepared, client, &outcome, &reply);
                self.put(moment, &reply, outcome.source, proven, slot, client)
            }
        }
    }

    #[cold]
    fn at_once_error(&self, moment: &Moment, unreadable: Unreadable, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        let (rcode, echo, edns) = match unreadable {
            Unreadable::Error { rcode, echo, edns } => (rcode, echo, edns),
            Unreadable::Silence => return AtOnce::Silence,
            Unreadable::ForZones => return self.at_once_zone_message(moment, slot, len, client),
        };
        self.metrics.count(Counter::Malformed);
        self.metrics.answer(metrics::Outcome::of(rcode.0));
        tell_message(&self.watchers, moment, &slot[..len], client, rcode, Source::Policy);
        let Some(mut reply) = bare_error(&slot[..len], rcode, &echo, edns) else { return AtOnce::Silence };
        if edns && client.transport.is_encrypted() {
            let opt_at = reply.len().saturating_sub(OPT_BYTES);
            append_to(&mut reply, opt_at, usize::from(u16::MAX), client.transport, None);
        }
        self.put(moment, &reply, Source::Policy, false, slot, client)
    }

    fn at_once_zone_message(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        match zone_message::answer(&self.service, &moment.snapshot, &slot[..len], client) {
            ZoneMessage::Silence => AtOnce::Silence,
            ZoneMessage::Reply(reply) => {
                let rcode = Header::read(&reply).map_or(0, |header| header.flags.rcode());
                tell_message(&self.watchers, moment, &slot[..len], client, Rcode(rcode), Source::Zone);
                self.metrics.answer(metrics::Outcome::of(rcode));
                if let Some(counter) = refused(&slot[..len]).filter(|_| rcode != 0) {
                    self.metrics.count(counter);
                }
                self.put(moment, &reply, Source::Zone, false, slot, client)
            }
            ZoneMessage::Transfer(messages) => {
                self.metrics.count(Counter::Transfers);
                tell_message(&self.watchers, moment, &slot[..len], client, Rcode::NOERROR, Source::Zone);
                AtOnce::Many(Box::new(messages))
            }
            ZoneMessage::Update(update) => {
                let packet = moment.watch.map(|_| slot[..len].to_vec());
                AtOnce::Later(Box::new(Pending { waits: Waits::Update { update, packet }, watch: moment.watch }))
            }
            ZoneMessage::Question { packet, mut signer } => match read(&packet).and_then(|query| query.owned(&packet, client.transport)) {
                Ok(request) => self.decide(moment, request, Some(signer), slot, client),
                Err(Unreadable::Error { rcode, echo, edns }) => {
                    let Some(mut reply) = bare_error(&packet, rcode, &echo, edns) else { return AtOnce::Silence };
                    signer.sign(&mut reply, self.service.resolve.clock.wall());
                    self.put(moment, &reply, Source::Zone, false, slot, client)
                }
                Err(Unreadable::Silence | Unreadable::ForZones) => AtOnce::Silence,
            },
        }
    }

    /// `proven`: the client has proved its address by our cookie.
    fn put(&self, moment: &Moment, reply: &[u8], source: Source, proven: bool, slot: &mut [u8], client: &Client) -> AtOnce {
        self.metrics.at_once(source);
        self.metrics.count(Counter::NotReady);
        let Some(place) = slot.get_mut(..reply.len()) else { return AtOnce::Silence };
        place.copy_from_slice(reply);
        if proven || moment.snapshot.policy.allow.contains(client.peer.ip()) {
            return AtOnce::Reply(reply.len());
        }
        self.paced(moment, slot, reply.len(), client)
    }

    /// The reply that `at_once` could not give; empty: nothing is to be sent. Takes no longer than clients wait. A query
    /// with a place among those in progress fails when it loses the place.
    pub async fn later(self: &Rc<Self>, pending: Box<Pending>, client: &Client, place: Option<Place>) -> Vec<u8> {
        let watch = pending.watch;
        let reply = answer_later(self, pending.waits, client, place, watch.as_ref()).await;
        if let Some(watch) = &watch {
            self.watchers.response(watch, client, &reply);
        }
        reply
    }

    async fn looked_up(
        self: &Rc<Self>,
        prepared: &Prepared,
        look_up: LookUp,
        client: &Client,
        place: Option<Place>,
        watch: Option<&Watch>,
    ) -> Vec<u8> {
        let came = Instant::now();
        self.metrics.count(Counter::LookedUp);
        let recorder = Recorder::off();
        let outcome = self.pipeline.look_up(&prepared.case(self, &recorder), look_up, place).await;
        log_failure(&self.service, &prepared.request.question, client.peer.ip(), &outcome);
        if outcome.repeatable && !outcome.own && prepared.snapshot.routes.keep_warm && prepared.apart.is_none() {
            self.note_warm(&prepared.request.question);
        }
        let reply = match outcome.delivery {
            Delivery::None => {
                count_rewrite(&self.metrics, &outcome);
                Vec::new()
            }
            Delivery::Whole | Delivery::Truncated => self.finish(prepared, client.peer.ip(), &outcome),
        };
        self.metrics.took(outcome.source, came.elapsed().as_micros() as u64);
        tell(&self.watchers, watch, prepared, client, &outcome, &reply);
        reply
    }

    /// Any query from its first octet to its reply, without ready answers: tests compare ready answers with it.
    #[cfg(any(test, feature = "internals"))]
    pub async fn in_full(self: &Rc<Self>, query: &[u8], client: &Client) -> Option<Vec<u8>> {
        let request = match read(query).and_then(|parsed| parsed.owned(query, client.transport)) {
            Err(Unreadable::Silence) => return None,
            Err(Unreadable::ForZones) => {
                return match zone_message::answer(&self.service, &self.service.snapshot(), query, client) {
                    ZoneMessage::Reply(reply) => Some(reply),
                    ZoneMessage::Update(update) => Some(update.carry_out(&self.service).await.1),
                    ZoneMessage::Silence | ZoneMessage::Transfer(_) | ZoneMessage::Question { .. } => None,
                };
            }
            Err(Unreadable::Error { rcode, echo, edns }) => return bare_error(query, rcode, &echo, edns),
            Ok(request) => request,
        };
        let requester = Requester::Client(client.peer.ip());
        let prepared = Prepared::new(self, self.service.snapshot(), request, requester, Some(client.local), None);
        let decided = self.pipeline.decide(&prepared.case(self, &Recorder::off()));
        Some(match decided {
            Decided::Outcome(outcome) => self.finish(&prepared, client.peer.ip(), &outcome),
            Decided::LookUp(look_up) => self.looked_up(&prepared, look_up, client, None, None).await,
        })
    }

    /// The same run as for a client's query, with every decision and step recorded. No ready answer is kept.
    pub async fn explain(self: &Rc<Self>, query: &Explain) -> Explained {
        self.run(query, Recorder::on()).await
    }

    /// As `explain`, without recording.
    pub async fn resolve(self: &Rc<Self>, query: &Explain) -> Explained {
        self.run(query, Recorder::off()).await
    }

    async fn run(self: &Rc<Self>, query: &Explain, recorder: Recorder) -> Explained {
        let packet = query.query();
        let outcome = match read(&packet).and_then(|parsed| parsed.owned(&packet, Transport::Tcp)) {
            Err(Unreadable::Silence) => Outcome::error(Rcode::FORMERR),
            Err(Unreadable::Error { rcode, .. }) => Outcome::error(rcode),
            Err(Unreadable::ForZones) => {
                let peer = query.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                Outcome::error(zone_message::rcode(&self.service, &self.service.snapshot(), &packet, peer))
            }
            Ok(request) => {
                let requester = query.client.map_or(Requester::Operator, Requester::Client);
                let prepared = Prepared::new(self, self.service.snapshot(), request, requester, query.at, None);
                let case = prepared.case(self, &recorder);
                match self.pipeline.decide(&case) {
                    Decided::Outcome(outcome) => outcome,
                    Decided::LookUp(look_up) => self.pipeline.look_up(&case, look_up, None).await,
                }
            }
        };
        let (notes, events) = recorder.finish();
        Explained { question: query.question.clone(), notes, events, outcome }
    }

    fn note_warm(&self, question: &Question) {
        self.service.keep_warm.asked(question, self.service.resolve.clock.wall().0);
    }

    /// A name that is kept warm is asked for without a look-up: without this note its hours would be forgotten.
    #[inline(never)]
    fn note_warm_hit(&self, query: &ParsedQuery, slot: &[u8]) {
        if let Ok(name) = Name::from_wire(query.qname_wire(slot)) {
            self.note_warm(&Question::new(name, query.qtype));
        }
    }

    /// Encodes the reply, and keeps it as a ready answer where that is right.
    fn finish(&self, prepared: &Prepared, client: IpAddr, outcome: &Outcome) -> Vec<u8> {
        let Prepared { snapshot, request, rights, .. } = prepared;
        self.metrics.answer(metrics::Outcome::of(outcome.rcode().0));
        let cookie = self.cookie_for(request, client);
        let manner = Manner {
            allowed: rights.allowed,
            recursion_available: rights.allowed && snapshot.recursion,
            cookie: cookie.as_ref().map(|cookie| &cookie[..]),
            nsid: snapshot.policy.identity.nsid().filter(|_| request.edns.is_some_and(|edns| edns.nsid)),
            turn: self.random.below(1 << 16),
            signature_bytes: prepared.signer.as_ref().map_or(0, Signer::octets),
            idle_ms: snapshot.idle_ms(request.transport, request.keepalive),
        };
        count_rewrite(&self.metrics, outcome);
        outcome.edes.iter().for_each(|ede| self.metrics.extended_error(metrics::ExtendedError::of(ede.code.0)));
        // Its reason is among the extended errors.
        if let Some(listed) = outcome.list {
            snapshot.reasons.count(listed);
        }
        if outcome.repeatable && !snapshot.has_rules_for(client) {
            let group = match views::differ(snapshot, request, prepared.view, outcome) {
                true => rights.group_in(prepared.view),
                false => rights.group(),
            };
            fast_path::keep(&self.service, snapshot, request, group, outcome, &manner);
        }
        let mut reply = encode(request, outcome, &manner, Vec::with_capacity(512));
        if let Some(mut signer) = prepared.signer.clone() {
            signer.sign(&mut reply, self.service.resolve.clock.wall());
        }
        reply
    }

    fn cookie_for(&self, request: &Request, client: IpAddr) -> Option<[u8; super::cookie::SERVER_COOKIE_BYTES]> {
        Some(self.service.cookies.make(&request.cookie()?.client, client, self.service.resolve.clock.wall()))
    }

    /// Response rate limiting over UDP, for clients outside `server.allow` that have not proved their address by a cookie.
    fn paced(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        if client.transport != Transport::Udp {
            return AtOnce::Reply(len);
        }
        let pace = self.service.response_rate.pace(client.peer.ip(), moment.snapshot.response_rate, moment.now);
        if pace != Pace::Send {
            self.metrics.limit_reached(ClientLimit::Responses);
            self.service.limit_log.reached(ClientLimit::Responses, ClientNet::of(client.peer.ip()), moment.now);
        }
        match pace {
            Pace::Send => AtOnce::Reply(len),
            Pace::Drop => AtOnce::Silence,
            Pace::Slip => AtOnce::Reply(slip(slot, len)),
        }
    }
}

/// As `Worker::at_once`, with those who watch told before and after.
#[cold]
fn watched_at_once(worker: &Worker, moment: &Moment, watch: &Watch, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
    worker.watchers.query(watch, client, &slot[..len]);
    let done = answer_at_once(worker, moment, slot, len, client);
    if let AtOnce::Reply(len) = &done {
        worker.watchers.response(watch, client, &slot[..*len]);
    }
    done
}

/// As `Worker::at_once`, whoever watches.
fn answer_at_once(worker: &Worker, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
    let Moment { now, watch, snapshot } = moment;
    let query = read(&slot[..len]);
    let query = match &query {
        Ok(query) => query,
        Err(_) => return unreadable_at_once(worker, moment, query, slot, len, client),
    };
    let keepalive = client.transport != Transport::Udp && query.edns.is_some() && asks_keepalive(&slot[..len], client.transport);
    let Some(given) = fast_path::answer(&worker.service, snapshot, query, slot, client, keepalive, *now) else {
        return worker.at_once_unready(moment, query, slot, len, client);
    };
    count_query(&worker.metrics, client, given.qtype);
    worker.metrics.answer(metrics::Outcome::of(given.rcode));
    worker.metrics.at_once(given.source);
    if let Some(watch) = watch {
        tell_given(worker, watch, snapshot, query, &given, slot, client);
    }
    if let Some(listed) = given.list() {
        count_listed(&worker.metrics, snapshot, listed);
    }
    // Names that a view looks up apart are nobody else's business, and the servers of all others need not know them.
    if given.first && snapshot.routes.keep_warm && snapshot.view_routes.of(given.view).is_none() {
        worker.note_warm_hit(query, slot);
    }
    if given.due_for_prefetch && snapshot.routes.prefetch && !worker.service.in_flight.is_crowded() {
        refresh(worker, query, slot, Arc::clone(snapshot), given.view);
    }
    if given.trusted { AtOnce::Reply(given.len) } else { worker.paced(moment, slot, given.len, client) }
}

#[cold]
fn unreadable_at_once(
    worker: &Worker,
    moment: &Moment,
    query: Result<ParsedQuery, Unreadable>,
    slot: &mut [u8],
    len: usize,
    client: &Client,
) -> AtOnce {
    match query {
        Ok(query) => worker.at_once_unready(moment, &query, slot, len, client),
        Err(unreadable) => worker.at_once_error(moment, unreadable, slot, len, client),
    }
}

/// `slot` holds the ready answer that the client is given.
#[cold]
fn tell_given(worker: &Worker, watch: &Watch, snapshot: &Snapshot, query: &ParsedQuery, given: &Given, slot: &[u8], client: &Client) {
    let verdict = if given.is_secure { Security::Secure } else { Security::Insecure };
    let told = Told::of(client, query.qname_wire(slot), given.qtype, Rcode(given.rcode), given.source);
    worker.watchers.answered(watch, snapshot, &Told { answers: answer_count(slot), verdict, list: given.list(), ..told });
}

/// As `Worker::later`, whoever watches.
async fn answer_later(worker: &Rc<Worker>, waits: Waits, client: &Client, place: Option<Place>, watch: Option<&Watch>) -> Vec<u8> {
    match waits {
        Waits::LookUp { prepared, look_up } => worker.looked_up(&prepared, look_up, client, place, watch).await,
        Waits::Update { update, packet } => {
            let (rcode, reply) = update.carry_out(&worker.service).await;
            if let (Some(watch), Some(packet)) = (watch, packet) {
                worker.watchers.answered(watch, &worker.service.present.load(), &of_message(&packet, client, rcode, Source::Zone));
            }
            worker.metrics.answer(metrics::Outcome::of(rcode.0));
            worker.metrics.count(if rcode == Rcode::NOERROR { Counter::Updates } else { Counter::UpdatesRefused });
            reply
        }
    }
}

/// Tells whoever watches what became of a query.
#[inline]
fn tell(watchers: &Watchers, watch: Option<&Watch>, prepared: &Prepared, client: &Client, outcome: &Outcome, reply: &[u8]) {
    let Some(watch) = watch else { return };
    let Question { name, rtype, .. } = &prepared.request.question;
    let told = Told::of(client, name.as_wire(), *rtype, outcome.rcode(), outcome.source).with_outcome(outcome);
    let (answers, class, view) = (answer_count(reply), prepared.request.class.0, Some(prepared.view));
    watchers.answered(watch, &prepared.snapshot, &Told { answers, class, view, ..told });
}

/// The same for a message that is no question for names.
fn tell_message(watchers: &Watchers, moment: &Moment, packet: &[u8], client: &Client, rcode: Rcode, source: Source) {
    if let Some(watch) = &moment.watch {
        watchers.answered(watch, &moment.snapshot, &of_message(packet, client, rcode, source));
    }
}

/// A ready answer near its end, in `slot`, is looked up again as it was looked up: by the way of the view that it is kept for.
#[inline(never)]
fn refresh(worker: &Worker, query: &ParsedQuery, slot: &[u8], snapshot: Arc<Snapshot>, view: ViewId) {
    let Ok(name) = Name::from_wire(query.qname_wire(slot)) else { return };
    let question = Question::new(name, query.qtype);
    let apart = snapshot.view_routes.of(view).map(|view| worker.apart.of(view));
    let routes = snapshot.routes_of(view).clone();
    let local: Arc<dyn Local> = match apart {
        Some(_) => Arc::new(LocalInView { snapshot, view }),
        None => snapshot,
    };
    apart.as_ref().unwrap_or(&worker.resolver).refresh(&question, 0, &Context::client(routes, local, Trace::off()));
}

fn log_failure(service: &Service, question: &Question, client: IpAddr, outcome: &Outcome) {
    if outcome.rcode() != Rcode::SERVFAIL {
        return;
    }
    service.failures.add(question, outcome.edes.first(), service.resolve.clock.boot());
    if !service.may_log(Subject::Failure, question) {
        return;
    }
    let (code, reason) = outcome.edes.first().map_or((None, ""), |ede| (Some(ede.code.0), ede.text.as_str()));
    tracing::info!(
        event = "question-failed", name = %question.name, "type" = %question.rtype, %client, rcode = %outcome.rcode(), reason, ede = code,
        server = outcome.server.map(tracing::field::display),
        "{question} fails: {reason} (asked by {client})"
    );
}

/// What an error in reply to this packet counts as besides.
fn refused(packet: &[u8]) -> Option<Counter> {
    let message = Message::parse(packet).ok()?;
    match (message.header().flags.opcode(), message.question()?.1) {
        (Opcode::UPDATE, _) => Some(Counter::UpdatesRefused),
        (_, Rtype::AXFR | Rtype::IXFR) => Some(Counter::TransfersRefused),
        _ => None,
    }
}

#[inline]
fn count_query(metrics: &metrics::Recorder, client: &Client, rtype: Rtype) {
    metrics.query(over(client), ClientFamily::of(client.peer.ip()), QueryType::of(rtype.0));
}

fn count_rewrite(metrics: &metrics::Recorder, outcome: &Outcome) {
    if let Some(action) = outcome.policy {
        metrics.rewritten(action);
    }
}

/// Counts what a list did, and the reason that goes with a ready answer.
#[inline(never)]
fn count_listed(metrics: &metrics::Recorder, snapshot: &Snapshot, listed: Listed) {
    snapshot.reasons.count(listed);
    if let Some(ede) = snapshot.reasons.ede(listed, false) {
        metrics.extended_error(metrics::ExtendedError::of(ede.code.0));
    }
}

fn of_message<'a>(packet: &'a [u8], client: &'a Client, rcode: Rcode, source: Source) -> Told<'a> {
    let (name, rtype, class) = first_question(packet);
    let opcode = Header::read(packet).map_or(0, |header| header.flags.opcode().0);
    Told { opcode, class, ..Told::of(client, name, rtype, rcode, source) }
}

fn over(client: &Client) -> Over {
    match client.transport {
        Transport::Udp => Over::Udp,
        Transport::Tcp => Over::Tcp,
        Transport::Tls => Over::Tls,
        Transport::Https => Over::Https,
    }
}

/// The reply without its records and with TC: a real client then asks over TCP. A reply that had OPT keeps it (RFC 6891 6.1.1),
/// and of its options the cookie, with which the client can prove its address (RFC 7873 5.2.3).
fn slip(slot: &mut [u8], len: usize) -> usize {
    let Ok(message) = Message::parse(&slot[..len]) else { return len };
    let mut writer = Writer::new(Vec::with_capacity(UDP_REPLY_BYTES_MAX), UDP_REPLY_BYTES_MAX);
    let header = message.header();
    writer.header(Header { flags: header.flags.with(Flags::TC, true), ..header });
    // The removed part was longer than the part that stays.
    if !message.question_wire().is_empty() {
        let _ = writer.question_wire(message.question_wire());
    }
    if let Some(edns) = message.edns() {
        let cookie = edns.option(OptionCode::COOKIE).map(|cookie| (OptionCode::COOKIE, cookie));
        let _ = writer.opt(edns.udp_size, message.rcode(), edns.dnssec_ok, cookie.as_slice());
    }
    let reply = writer.finish();
    let len = reply.len().min(len);
    slot[..len].copy_from_slice(&reply[..len]);
    len
}
