//! Asks the servers of one cut one question until one of them says something of use, or until asking more
//! would only cost: every address tried twice (more often in the first two seconds, while nobody has replied), too many
//! useless replies, or the budget empty.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::cache::{CaseState, EdnsState, Family, FamilyStanding, Standing, Unfit, Usable};
use crate::record::Question;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure, FaultKind};
use crate::resolve::context::trace::{Asked, Choice, PassedOver, Step};
use crate::resolve::delegation::zone_cut::{Cut, Server};
use crate::resolve::iterate::walk::{may_have_changed, within};
use crate::resolve::network::offline::Sent;
use crate::resolve::reply::classify::{Expected, Kind, classify};
use crate::resolve::reply::scrub::scrub;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::resolver::Resolver;
use crate::resolve::servers::choose::{Candidate, Order, TRIES_PER_ADDRESS, choose};
use crate::resolve::servers::in_flight::{Asking, News};
use crate::resolve::servers::slist::{SILENT_ROOT_MAX, Slist, USELESS_MAX};
use crate::upstream::{Ask, AskError, EdnsOut, Notes, Reply, TcpFault, Transport};
use crate::wire::{Flags, Message, OptionCode};

/// Empty NOERROR replies after which "nothing" is taken for an answer.
const EMPTY_MAX: u8 = 2;

/// Servers asked and addresses searched for, in all: more than the limits of each allow, so that whatever is wrong a walk
/// ends.
const ROUNDS_MAX: usize = 128;

/// How long a server that failed for a zone is asked after all others. Lame delegations are mended by people,
/// overload passes by itself.
const LAME_S: u32 = 900;
const REFUSED_S: u32 = 60;
const SERVFAIL_S: u32 = 10;
const BROKEN_S: u32 = 60;
/// A server that needs plain DNS is given EDNS again after this: it may have been replaced.
const EDNS_BROKEN: Duration = Duration::from_secs(900);
/// Replies wanting another cookie after which TCP is asked, which needs none (RFC 7873 5.3): servers behind one address
/// may have secrets of their own.
const NEW_COOKIES_MAX: u8 = 2;

/// A forwarder answers at once, or after a walk of its own.
const FORWARDER_WAIT_LEAST: Duration = Duration::from_millis(100);

/// A server that was heard within this time is taken for what it was.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// A server to be asked next.
#[derive(Clone, Copy)]
pub(in crate::resolve) struct Picked {
    pub(in crate::resolve) address: SocketAddr,
    pub(in crate::resolve) why: Choice,
    pub(in crate::resolve) standing: Standing,
    /// Not asked yet, and not known to fail.
    pub(in crate::resolve) hopeful: bool,
}

/// One query, decided.
#[derive(Clone)]
pub(in crate::resolve) struct Plan {
    pub(in crate::resolve) question: Rc<Question>,
    pub(in crate::resolve) minimised: bool,
    pub(in crate::resolve) address: SocketAddr,
    pub(in crate::resolve) why: Choice,
    pub(in crate::resolve) standing: Standing,
    pub(in crate::resolve) recursive: bool,
    pub(in crate::resolve) with_edns: bool,
}

pub(in crate::resolve) struct Outcome {
    pub(in crate::resolve) sent: Sent,
    /// `None`: this machine's network has changed meanwhile.
    pub(in crate::resolve) result: Option<Result<Reply, AskError>>,
}

impl Resolver {
    pub(in crate::resolve) async fn ask_cut(
        &self,
        cut: &mut Cut,
        question: &Question,
        minimised: bool,
        slist: &mut Slist,
        context: &Context,
    ) -> Result<ServerReply, Failure> {
        let limits = context.routes.limits;
        let question = Rc::new(question.clone());
        for _ in 0..ROUNDS_MAX {
            let enough = slist.asked >= limits.tries_per_cut
                || slist.useless >= USELESS_MAX
                || slist.silent >= slist.silent_max()
                || slist.is_silent_to_part();
            let picked = if enough { None } else { self.pick(cut, slist, context, None) };
            // A server that is known to fail waits until those without an address have been searched for.
            let hopeful = picked.is_some_and(|picked| picked.hopeful);
            let root_fails = cut.zone.is_root() && !cut.configured && (!hopeful || slist.silent >= SILENT_ROOT_MAX);
            if root_fails && !enough && cut.use_root_hints(&context.routes.hints) {
                continue;
            }
            if !hopeful && !enough && self.look_up_next(cut, slist, context).await {
                continue;
            }
            let Some(Picked { address, why, standing, .. }) = picked else {
                let names_max = limits.ns_names_kept_per_set;
                if !enough && (cut.use_hints() || self.take_parents_word(cut) || cut.use_own_word(self.cache(), self.now(), names_max)) {
                    continue;
                }
                break;
            };
            let with_edns = with_edns(address, &standing, slist);
            let plan = Plan { question: question.clone(), minimised, address, why, standing, recursive: cut.forward, with_edns };
            if let Some(heard) = self.ask_one(cut, plan, slist, context).await? {
                return Ok(heard);
            }
        }
        let all_heard = slist.faults.iter().all(|fault| matches!(fault.kind, FaultKind::Lame | FaultKind::Rcode(_) | FaultKind::Malformed));
        // Servers that a zone has left know nothing of it: the parent is asked before nothing counts.
        let all_found = cut.servers.iter().all(|server| !server.addresses.is_empty());
        let settled = all_heard && all_found && !slist.ruled_out && !may_have_changed(cut, context);
        if let Some(heard) = slist.nothing.take().filter(|_| settled || slist.empty > 0) {
            return Ok(heard);
        }
        if let Some(address) = slist.recursive.take() {
            let standing = self.cache().servers().standing(address.ip(), &cut.zone, self.now());
            let plan = Plan { question, minimised, address, why: Choice::LastResort, standing, recursive: true, with_edns: true };
            if let Some(heard) = self.ask_one(cut, plan, slist, context).await? {
                return Ok(heard);
            }
        }
        let cause = match (cut.address_count(), slist.heard_anything) {
            // Whoever began the circle may find another way: for the walks inside it nothing is certain.
            (0, _) if slist.circled && context.depth > 0 => Cause::Cycle,
            (0, _) => Cause::NoServerAddress,
            (_, true) => Cause::ServersFailed,
            (_, false) => Cause::NoReachableAuthority,
        };
        Err(Failure { faults: std::mem::take(&mut slist.faults).into(), ..Failure::new(cut.zone.clone(), cause) })
    }

    /// The next address to ask, of any family or of one only, with the reason.
    pub(in crate::resolve) fn pick(&self, cut: &Cut, slist: &Slist, context: &Context, only: Option<Family>) -> Option<Picked> {
        let now = self.now();
        let families = self.cache().servers().families();
        let standing_of = |address: &SocketAddr| families.standing(Family::of(address.ip()), now);
        let is_cut_off = |address: &SocketAddr| standing_of(address) == FamilyStanding::Broken;
        let own = context.local.own_addresses();
        let most = context.routes.limits.addresses_per_ns;
        let mut addresses: SmallVec<[SocketAddr; 16]> = SmallVec::new();
        for server in &cut.servers {
            if slist.silence_of(server) >= self.silence_borne(server, slist, context) {
                continue;
            }
            let usable = server.addresses.iter().filter(|address| {
                context.routes.family_enabled(address.ip())
                    && only.is_none_or(|only| Family::of(address.ip()) == only)
                    && !context.avoid.contains(address)
                    && (cut.configured || crate::upstream::may_ask(**address, context.routes.recursion.query_loopback, &own).is_ok())
            });
            let reachable = usable.clone().filter(|address| !is_cut_off(address));
            for address in reachable.chain(usable.filter(|address| is_cut_off(address))).take(most) {
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
        }
        let servers = self.cache().servers();
        let standings: SmallVec<[Standing; 16]> = addresses.iter().map(|address| servers.standing(address.ip(), &cut.zone, now)).collect();
        let candidates: SmallVec<[Candidate; 16]> = addresses
            .iter()
            .zip(&standings)
            .map(|(address, standing)| {
                let tried = slist.get(*address);
                Candidate {
                    tries: tried.count,
                    rtt_ms: standing.rtt.map(|rtt| rtt.as_millis() as u32),
                    replies: standing.replies,
                    stale: standing.replies > 0 && now.since(standing.last_reply) >= STALE_AFTER,
                    unfit: standing.usable != Usable::Yes || standing_of(address) == FamilyStanding::Doubtful,
                    cut_off: is_cut_off(address),
                    spent: tried.spent,
                }
            })
            .collect();
        // A slow network is not a dead one: without any sign of life the servers are tried on for a while.
        let early = !slist.heard_anything
            && (1..slist.silent_max()).contains(&slist.asked)
            && context.began.elapsed() < Duration::from_millis(context.routes.limits.give_up_earliest_ms);
        let early_tries = (slist.silent_max() / candidates.len().max(1)).max(2 * usize::from(TRIES_PER_ADDRESS));
        let tries = if early { early_tries as u8 } else { TRIES_PER_ADDRESS };
        let order = match (cut.configured, context.purpose.is_awaited()) {
            (true, _) => Order::Configured,
            (_, true) => Order::Quick,
            (_, false) => Order::Curious,
        };
        let (at, why) = choose(&candidates, order, cut.zone.label_count() <= 1, tries, |bound| self.random().below(bound))?;
        let hopeful = candidates[at].tries == 0 && !candidates[at].unfit && !candidates[at].cut_off;
        Some(Picked { address: addresses[at], why, standing: standings[at], hopeful })
    }

    /// Asks one server, and another one beside it where that keeps us waiting. `None`: all that was asked now is overdue or
    /// of no use. What earlier slist bring late is taken as well.
    async fn ask_one(&self, cut: &Cut, plan: Plan, slist: &mut Slist, context: &Context) -> Result<Option<ServerReply>, Failure> {
        if !cut.configured || cut.zone.is_root() {
            self.wait_for_network(plan.address, context).await;
        }
        slist.under_way.drop_unheard();
        let first = self.send(cut, &plan, slist, context)?;
        slist.under_way.add(first);
        self.test_family(cut, &plan, slist, context);
        let mut patience = self.patience(cut, &plan, slist, context);
        while slist.under_way.is_awaited() {
            let next = slist.under_way.next(self.overdue());
            let news = match patience.take() {
                None => next.await,
                Some(patience) => match within(patience, next).await {
                    Some(news) => news,
                    None => {
                        self.ask_beside(cut, &plan, slist, context);
                        continue;
                    }
                },
            };
            let heard = match news {
                News::Overdue(plan, waited) => {
                    let notes = Notes::default();
                    self.note_silence(&plan, &AskError::Timeout { waited, notes }, slist, context);
                    None
                }
                News::Outcome(asking, outcome) if asking.is_overdue() => self.take_late(cut, &asking.plan, outcome, slist, context),
                News::Outcome(asking, outcome) => self.take(cut, &asking.plan, outcome, slist, context),
            };
            if heard.is_some() {
                slist.under_way.take_awaited().for_each(|asking| self.listen_on(asking));
                return Ok(heard);
            }
        }
        // What waits in vain for a socket once would wait again.
        if slist.no_socket { Err(Failure::new(cut.zone.clone(), Cause::NoSocket)) } else { Ok(None) }
    }

    /// Queries without reply after which a name server is not asked again for this question. One that has just replied
    /// to others is there: what it does not answer was lost.
    fn silence_borne(&self, server: &Server, slist: &Slist, context: &Context) -> u8 {
        let (servers, now) = (self.cache().servers(), self.now());
        let is_there = |address: &SocketAddr| servers.was_heard_lately(address.ip(), now);
        let limit = context.routes.limits.silent_queries_per_ns;
        if server.addresses.iter().any(is_there) { limit.max(slist.silent_max() as u8) } else { limit }
    }

    /// How many more queries without reply it takes until nobody is asked any more.
    fn silence_left(&self, cut: &Cut, slist: &Slist, context: &Context) -> usize {
        let of_server = |server: &Server| usize::from(self.silence_borne(server, slist, context).saturating_sub(slist.silence_of(server)));
        let of_servers = cut.servers.iter().filter(|server| !server.addresses.is_empty()).map(of_server).sum();
        slist.silent_max().saturating_sub(slist.silent).min(of_servers)
    }

    /// Pays for one query and sends it as soon as it is waited for.
    pub(in crate::resolve) fn send(&self, cut: &Cut, plan: &Plan, slist: &mut Slist, context: &Context) -> Result<Asking, Failure> {
        context.budget.take_query().map_err(|bound| Failure::new(cut.zone.clone(), Cause::Spent(bound)))?;
        slist.asked += 1;
        let attempt = {
            let tried = slist.of(plan.address);
            tried.count = tried.count.saturating_add(1);
            tried.count
        };
        self.trace_asked(cut, plan, attempt, context);
        self.cache().servers().on_asked(plan.address.ip(), self.now());
        let (server, question, recursive, with_edns) = (plan.address, plan.question.clone(), plan.recursive, plan.with_edns);
        let mut manner = self.cache().servers().manner(server.ip(), self.now());
        if !manner.is_known && !cut.configured {
            manner.usual_wait = self.first_patience();
        }
        let mut timeout = manner.timeout(slist.get(server).silent);
        if cut.forward {
            timeout = timeout.max(FORWARDER_WAIT_LEAST);
        }
        if !slist.heard_anything && self.silence_left(cut, slist, context) <= 1 {
            // The last chance: what comes within the time that the client waits anyway is not too late.
            let earliest = Duration::from_millis(context.routes.limits.give_up_earliest_ms);
            timeout = timeout.max(earliest.saturating_sub(context.began.elapsed()));
        }
        let mut cookie: SmallVec<[u8; 40]> = SmallVec::from_slice(&self.client_cookie(server.ip()));
        cookie.extend_from_slice(&manner.cookie);
        let randomise_case = manner.case != CaseState::Broken;
        let force_tcp = slist.get(server).new_cookies >= NEW_COOKIES_MAX;
        let (limits, dnssec) = (context.routes.limits, context.routes.recursion.dnssec);
        self.count_upstream();
        self.shared().hedging.earn();
        let sent = self.shared().offline.asked(self.now());
        let (resolver, overdue) = (self.clone(), Rc::new(Cell::new(false)));
        let say_overdue = overdue.clone();
        let most = Duration::from_millis(limits.upstream_timeout_most_ms);
        let outcome = Box::pin(async move {
            let edns = with_edns.then_some(EdnsOut {
                udp_size: limits.edns_udp_bytes,
                // Also where nothing is validated: a client may do so itself (RFC 4035 3.2.1).
                dnssec_ok: true,
                cookie: Some(&cookie),
            });
            let ask = Ask {
                server,
                question: &question,
                recursion_desired: recursive,
                checking_disabled: recursive && dnssec,
                edns,
                randomise_case,
                timeout: timeout.max(most),
                overdue: Some((timeout, &say_overdue)),
                tcp_timeout: most,
                force_tcp,
            };
            Outcome { sent, result: resolver.unless_the_network_changes(resolver.upstream().ask(&ask)).await }
        });
        Ok(Asking::new(plan.clone(), timeout, overdue, outcome))
    }

    /// Of a query that was told of as overdue only a reply counts.
    fn take_late(&self, cut: &Cut, plan: &Plan, outcome: Outcome, slist: &mut Slist, context: &Context) -> Option<ServerReply> {
        match outcome.result {
            Some(Ok(reply)) => self.weigh(cut, plan, reply, slist, context),
            Some(Err(error)) => {
                self.note_case(plan, &error);
                None
            }
            None => None,
        }
    }

    /// By UDP a reply came with other letter case, and TCP, which would have settled it, does not work there.
    fn note_case(&self, plan: &Plan, error: &AskError) {
        if error.notes().case_mangled {
            self.cache().servers().set_case(plan.address.ip(), CaseState::Broken);
        }
    }

    pub(in crate::resolve) fn take(
        &self,
        cut: &Cut,
        plan: &Plan,
        outcome: Outcome,
        slist: &mut Slist,
        context: &Context,
    ) -> Option<ServerReply> {
        let offline = &self.shared().offline;
        match outcome.result {
            None => {
                slist.not_asked(plan.address);
                let reason = "this machine's network has changed: asked again".to_owned();
                context.trace.emit(|| Step::NoReply { reason, took: Duration::ZERO });
                None
            }
            Some(Ok(reply)) => self.weigh(cut, plan, reply, slist, context),
            Some(Err(AskError::Unreachable(reason))) if !self.has_way_out(&context.routes) => {
                // Our own network is gone. Nobody was asked, and nothing is held against anybody.
                offline.not_sent(outcome.sent);
                offline.lose();
                slist.not_asked(plan.address);
                context.trace.emit(|| Step::NoReply { reason: format!("this machine has no way out ({reason})"), took: Duration::ZERO });
                None
            }
            Some(Err(error @ AskError::NoSocket(_))) => {
                // A limit of our own: the server was not asked, and nothing is remembered of it or of its zone.
                offline.not_sent(outcome.sent);
                slist.not_asked(plan.address);
                slist.no_socket = true;
                context.budget.crowded_out();
                context.trace.emit(|| Step::NoReply { reason: error.to_string(), took: Duration::ZERO });
                None
            }
            Some(Err(error)) => {
                if matches!(error, AskError::Unreachable(_)) {
                    offline.not_sent(outcome.sent);
                }
                self.note_silence(plan, &error, slist, context);
                None
            }
        }
    }

    /// Our own network may be silent: that is nobody's fault.
    pub(in crate::resolve) fn note_timeout(&self, server: SocketAddr, waited: Duration) {
        if !self.shared().offline.is_offline(self.now()) {
            self.cache().servers().on_timeout(server.ip(), waited, self.now());
        }
    }

    pub(in crate::resolve) fn note_reply(&self, server: SocketAddr, reply: &Reply) {
        self.cache().servers().on_reply(server.ip(), reply.rtt, self.now());
        self.heard_somebody();
        self.heard_after(reply.rtt);
    }

    fn note_silence(&self, plan: &Plan, error: &AskError, slist: &mut Slist, context: &Context) {
        let servers = self.cache().servers();
        let (kind, took) = match error {
            AskError::Timeout { waited, .. } => (FaultKind::TimedOut, *waited),
            AskError::ConnectionRefused => (FaultKind::ConnectionRefused, Duration::ZERO),
            AskError::Unreachable(_) | AskError::NoSocket(_) => (FaultKind::Unreachable, Duration::ZERO),
            AskError::TcpFailed { fault, .. } => (FaultKind::TcpFailed(*fault), Duration::ZERO),
            AskError::TooManyNearMisses { .. } => (FaultKind::Forgeries, Duration::ZERO),
        };
        match error {
            AskError::Timeout { .. } => self.note_timeout(plan.address, took),
            AskError::ConnectionRefused | AskError::Unreachable(_) => servers.on_unreachable(plan.address.ip(), self.now()),
            // A limit of our own: nothing is held against the server, and the failure is not remembered.
            AskError::NoSocket(_) | AskError::TcpFailed { fault: TcpFault::Busy, .. } => context.budget.crowded_out(),
            AskError::TcpFailed { .. } | AskError::TooManyNearMisses { .. } => servers.on_useless(plan.address.ip(), self.now()),
        }
        // Asking again at once would be told the same.
        slist.of(plan.address).spent |= kind != FaultKind::TimedOut;
        self.note_case(plan, error);
        slist.silent += 1;
        let tried = slist.of(plan.address);
        tried.silent = tried.silent.saturating_add(1);
        context.trace.emit(|| Step::NoReply { reason: error.to_string(), took });
        slist.fault(plan.address, kind);
    }

    /// Decides what a reply is worth. `Some` ends the asking.
    fn weigh(&self, cut: &Cut, plan: &Plan, reply: Reply, slist: &mut Slist, context: &Context) -> Option<ServerReply> {
        let now = self.now();
        let servers = self.cache().servers();
        self.note_reply(plan.address, &reply);
        slist.heard_anything = true;
        let over_tcp = reply.transport == Transport::Tcp;
        let whole = Message::parse(&reply.bytes).ok().filter(|message| !(over_tcp && message.header().flags.has(Flags::TC)));
        let Some(message) = whole else {
            servers.set_unfit(plan.address.ip(), &cut.zone, Unfit::Broken, BROKEN_S, now);
            slist.found_useless(plan.address);
            slist.fault(plan.address, FaultKind::Malformed);
            context.trace.emit(|| Step::NoReply { reason: FaultKind::Malformed.to_string(), took: reply.rtt });
            return None;
        };
        let edns = message.edns();
        if let Some(cookie) = edns.and_then(|edns| edns.option(OptionCode::COOKIE)) {
            servers.set_cookie(plan.address.ip(), cookie.get(8..).unwrap_or(&[]));
        }
        if edns.is_some() && plan.standing.edns != EdnsState::Works {
            servers.set_edns(plan.address.ip(), EdnsState::Works);
        }
        if reply.notes.case_mangled {
            servers.set_case(plan.address.ip(), CaseState::Broken);
        }
        let expected = Expected { zone: &cut.zone, question: &plan.question, recursive: plan.recursive, with_edns: plan.with_edns };
        let content = scrub(&message, &expected);
        let rcode = message.rcode();
        let kind = classify(message.header(), rcode, &content, &expected);
        context.trace.emit(|| Step::Reply {
            kind,
            rcode,
            took: reply.rtt,
            tcp: over_tcp,
            tcp_because: reply.notes.tcp_because,
            near_misses: reply.notes.near_misses,
            dropped: content.dropped,
        });
        let heard = ServerReply { kind, header: message.header(), rcode, content, server: plan.address };
        self.sort(cut, plan, heard, slist)
    }

    /// Keeps what is of use; notes against the server what is not.
    fn sort(&self, cut: &Cut, plan: &Plan, mut heard: ServerReply, slist: &mut Slist) -> Option<ServerReply> {
        let now = self.now();
        let servers = self.cache().servers();
        let address = plan.address;
        let is_of_use = !matches!(heard.kind, Kind::Refused | Kind::ServFail | Kind::NeedsPlainDns | Kind::NewCookie | Kind::Broken);
        // Only now it is known to have been for EDNS that it would not answer, and not for the question.
        if is_of_use && slist.get(address).plain && servers.edns(address.ip(), now) == EdnsState::Unknown {
            servers.set_edns(address.ip(), EdnsState::BrokenUntil(now + EDNS_BROKEN));
        }
        let (unfit, seconds, fault) = match heard.kind {
            Kind::Answer | Kind::Alias | Kind::NoData | Kind::NxDomain => return Some(heard),
            Kind::Referral if !plan.recursive => return Some(heard),
            // In the end nothing is an answer too, if a short-lived one. Without authority it counts only where
            // every server was heard: a lame one must not speak for one that is merely slow.
            Kind::Empty => {
                let sure = heard.header.flags.has(Flags::AA) || plan.recursive;
                slist.empty += u8::from(sure);
                let tried = slist.of(address);
                (tried.spent, tried.said_nothing) = (true, true);
                heard.kind = Kind::NoData;
                if slist.empty >= EMPTY_MAX {
                    return Some(heard);
                }
                if sure || slist.nothing.is_none() {
                    slist.nothing = Some(heard);
                }
                return None;
            }
            Kind::NeedsPlainDns => {
                let tried = slist.of(address);
                tried.plain = true;
                tried.count = tried.count.saturating_sub(1);
                return None;
            }
            // The reply brought the cookie that it wants (RFC 7873 5.3).
            Kind::NewCookie if slist.get(address).new_cookies < NEW_COOKIES_MAX => {
                let tried = slist.of(address);
                tried.new_cookies += 1;
                tried.count = tried.count.saturating_sub(1);
                return None;
            }
            Kind::RecursionLame => {
                slist.recursive.get_or_insert(address);
                slist.found_useless(address);
                return None;
            }
            Kind::Lame | Kind::Referral => (Unfit::Lame, LAME_S, FaultKind::Lame),
            Kind::Refused => (Unfit::Refused, REFUSED_S, FaultKind::Rcode(heard.rcode)),
            Kind::ServFail => (Unfit::ServFail, SERVFAIL_S, FaultKind::Rcode(heard.rcode)),
            Kind::Broken | Kind::NewCookie => (Unfit::FormErr, BROKEN_S, FaultKind::Rcode(heard.rcode)),
        };
        // A shortened question that is refused says nothing of the server: it may know the whole one.
        if !plan.minimised {
            servers.set_unfit(address.ip(), &cut.zone, unfit, seconds, now);
        }
        slist.found_useless(address);
        slist.fault(address, fault);
        None
    }

    fn trace_asked(&self, cut: &Cut, plan: &Plan, attempt: u8, context: &Context) {
        context.trace.emit(|| {
            let server = cut.servers.iter().find(|server| server.addresses.contains(&plan.address));
            Step::Asked(Asked {
                server_name: server.and_then(|server| server.name.clone()),
                address: plan.address.ip(),
                zone: cut.zone.clone(),
                question: (*plan.question).clone(),
                minimised: plan.minimised,
                why: plan.why,
                attempt,
                with_edns: plan.with_edns,
                passed_over: self.passed_over(cut, plan, context),
            })
        });
    }

    fn passed_over(&self, cut: &Cut, plan: &Plan, context: &Context) -> Option<PassedOver> {
        let (now, family) = (self.now(), Family::of(plan.address.ip()).other());
        let test_at = self.cache().servers().families().test_at(family, now)?;
        let is_of_it = |address: &&SocketAddr| Family::of(address.ip()) == family && context.routes.family_enabled(address.ip());
        let addresses = cut.servers.iter().flat_map(|server| &server.addresses).filter(is_of_it).count();
        (addresses > 0).then_some(PassedOver { family, addresses, test_in: test_at.since(now) })
    }
}

pub(in crate::resolve) fn with_edns(address: SocketAddr, standing: &Standing, slist: &Slist) -> bool {
    !slist.get(address).plain && !matches!(standing.edns, EdnsState::BrokenUntil(_))
}
