//! Asks the servers of one cut one question until one of them says something of use, or until asking more
//! would only cost: every address tried twice, too many useless replies, or the purse empty.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

use super::asker::Asker;
use super::choose::{Candidate, TRIES_PER_ADDRESS, choose};
use super::classify::{Expected, Kind, classify};
use super::cut::{Cut, Search, Server};
use super::failure::{Cause, FAULTS_MAX, Failure, Fault, FaultKind};
use super::link::Found;
use super::offline::Sent;
use super::scrub::{Scrubbed, scrub};
use super::trace::{Asked, Choice, PassedOver, Purpose, Step};
use super::walk::{Resolver, first_of, in_background, may_have_changed, within};
use crate::cache::{CaseState, EdnsState, Family, FamilyStanding, Standing, Unfit, Usable};
use crate::config::Limits;
use crate::env::BoxFuture;
use crate::record::{Question, Rcode, RrSet, Rtype};
use crate::upstream::{Ask, AskError, EdnsOut, Reply, TcpFault, Transport};
use crate::wire::{Flags, Header, Message, OptionCode};

/// Replies without use after which a question is given up at a cut: a zone whose eight servers all say
/// SERVFAIL must not cost eight queries.
const USELESS_MAX: usize = 5;
/// Queries that drew no reply, after which a question is given up at a cut. A lossy network of one in three loses
/// all of them once in seven hundred times.
const SILENT_MAX: usize = 6;
/// Shortened questions that drew no reply, after which the whole one is asked: there are servers that drop names which
/// have nothing of their own (RFC 9156 3).
const SILENT_PARTS_MAX: usize = 2;
/// Queries to the root that drew no reply, after which the addresses of the hints are tried too: what the root says of
/// its servers may be wrong for days.
const SILENT_ROOT_MAX: usize = 2;
/// Empty NOERROR replies after which "nothing" is taken for an answer.
const EMPTY_MAX: u8 = 2;
/// Aliases behind the name of a server: more are a chain that somebody built.
const SERVER_ALIASES_MAX: usize = 2;

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

/// A server that was heard within this time is taken for what it was.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// A reply of use.
pub struct Heard {
    pub kind: Kind,
    pub header: Header,
    pub rcode: Rcode,
    pub content: Scrubbed,
    pub server: SocketAddr,
}

/// What has been tried at one cut for one question. Kept by the walk, so that it can come back for another
/// server after it disbelieved a reply.
#[derive(Default)]
pub struct Attempts {
    tried: SmallVec<[(SocketAddr, Tried); 8]>,
    asked: usize,
    useless: usize,
    empty: u8,
    nothing: Option<Heard>,
    /// There were servers that are not asked again, and may have known better.
    ruled_out: bool,
    recursive: Option<SocketAddr>,
    names_looked_up: usize,
    /// A search was refused because it would have waited for itself.
    circled: bool,
    silent: usize,
    faults: Vec<Fault>,
    heard_anything: bool,
    /// The question is shortened, and silence ends that.
    may_show_whole: bool,
}

#[derive(Clone, Copy, Default)]
struct Tried {
    count: u8,
    spent: bool,
    said_nothing: bool,
    plain: bool,
    /// Replies that wanted another cookie.
    new_cookies: u8,
    /// Tries that drew no reply.
    silent: u8,
}

impl Attempts {
    fn of(&mut self, address: SocketAddr) -> &mut Tried {
        let at = match self.tried.iter().position(|(known, _)| *known == address) {
            Some(at) => at,
            None => {
                self.tried.push((address, Tried::default()));
                self.tried.len() - 1
            }
        };
        &mut self.tried[at].1
    }

    fn get(&self, address: SocketAddr) -> Tried {
        self.tried.iter().find(|(known, _)| *known == address).map(|(_, tried)| *tried).unwrap_or_default()
    }

    /// What silence means for the next question: `true` where it may be for the question's being shortened.
    pub fn may_show_whole(&mut self, yes: bool) {
        self.may_show_whole = yes;
    }

    /// Nobody has answered what was shortened.
    pub fn is_silent_to_part(&self) -> bool {
        self.may_show_whole && !self.heard_anything && self.silent >= SILENT_PARTS_MAX
    }

    /// Everybody who was asked, in vain. What says nothing may be heard again: if the parent stays with it, that counts.
    pub fn asked(&self) -> impl Iterator<Item = SocketAddr> {
        self.tried.iter().filter(|(_, tried)| !tried.said_nothing).map(|(address, _)| *address)
    }

    /// This server was asked in vain before, and is not asked again for this question.
    pub fn rule_out(&mut self, address: SocketAddr) {
        self.of(address).spent = true;
        self.ruled_out = true;
    }

    /// The query did not reach this server, for no fault of its own.
    fn not_asked(&mut self, address: SocketAddr) {
        self.asked = self.asked.saturating_sub(1);
        let tried = self.of(address);
        tried.count = tried.count.saturating_sub(1);
    }

    fn found_useless(&mut self, address: SocketAddr) {
        self.of(address).spent = true;
        self.useless += 1;
    }

    /// After a failure that was not the end, with its faults: the whole question comes next, and everybody has a try
    /// for it.
    pub fn go_on_whole(&mut self, faults: Box<[Fault]>) {
        self.faults = faults.into_vec();
        for (_, tried) in &mut self.tried {
            tried.count = tried.count.min(TRIES_PER_ADDRESS - 1);
        }
    }

    fn fault(&mut self, server: SocketAddr, kind: FaultKind) {
        let fault = Fault { server: server.ip(), kind };
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

/// A server to be asked next.
#[derive(Clone, Copy)]
struct Picked {
    address: SocketAddr,
    why: Choice,
    standing: Standing,
    /// Not asked yet, and not known to fail.
    hopeful: bool,
}

/// One query, decided.
struct Plan<'a> {
    question: &'a Question,
    minimised: bool,
    address: SocketAddr,
    why: Choice,
    standing: Standing,
    recursive: bool,
    with_edns: bool,
}

/// A query under way. It owns what it needs, so that it can outlive the question that it was sent for.
type Asking = BoxFuture<'static, Outcome>;

struct Outcome {
    sent: Sent,
    /// `None`: this machine's network has changed meanwhile.
    result: Option<Result<Reply, AskError>>,
}

impl Resolver {
    pub(super) async fn ask_cut(
        &self,
        cut: &mut Cut,
        question: &Question,
        minimised: bool,
        attempts: &mut Attempts,
        asker: &Asker,
    ) -> Result<Heard, Failure> {
        let limits = asker.routes.limits;
        loop {
            let enough = attempts.asked >= limits.tries_per_cut
                || attempts.useless >= USELESS_MAX
                || attempts.silent >= SILENT_MAX
                || attempts.is_silent_to_part();
            let picked = if enough { None } else { self.pick(cut, attempts, asker, None) };
            // A server that is known to fail waits until those without an address have been searched for.
            let hopeful = picked.is_some_and(|picked| picked.hopeful);
            let root_fails = cut.zone.is_root() && !cut.configured && (!hopeful || attempts.silent >= SILENT_ROOT_MAX);
            if root_fails && !enough && cut.use_root_hints(&asker.routes.hints) {
                continue;
            }
            if !hopeful && !enough && self.look_up_next(cut, attempts, asker).await {
                continue;
            }
            let Some(Picked { address, why, standing, .. }) = picked else {
                let names_max = limits.ns_names_kept_per_set;
                if !enough && (cut.use_hints() || self.take_parents_word(cut) || cut.use_own_word(self.cache(), self.now(), names_max)) {
                    continue;
                }
                break;
            };
            let with_edns = with_edns(address, &standing, attempts);
            let plan = Plan { question, minimised, address, why, standing, recursive: cut.forward, with_edns };
            if let Some(heard) = self.ask_one(cut, &plan, attempts, asker).await? {
                return Ok(heard);
            }
        }
        let all_heard =
            attempts.faults.iter().all(|fault| matches!(fault.kind, FaultKind::Lame | FaultKind::Rcode(_) | FaultKind::Malformed));
        // Servers that a zone has left know nothing of it: the parent is asked before nothing counts.
        let all_found = cut.servers.iter().all(|server| !server.addresses.is_empty());
        let settled = all_heard && all_found && !attempts.ruled_out && !may_have_changed(cut, asker);
        if let Some(heard) = attempts.nothing.take().filter(|_| settled || attempts.empty > 0) {
            return Ok(heard);
        }
        if let Some(address) = attempts.recursive.take() {
            let standing = self.cache().servers().standing(address.ip(), &cut.zone, self.now());
            let plan = Plan { question, minimised, address, why: Choice::LastResort, standing, recursive: true, with_edns: true };
            if let Some(heard) = self.ask_one(cut, &plan, attempts, asker).await? {
                return Ok(heard);
            }
        }
        let cause = match (cut.address_count(), attempts.heard_anything) {
            // Whoever began the circle may find another way: for the walks inside it nothing is certain.
            (0, _) if attempts.circled && asker.depth > 0 => Cause::Cycle,
            (0, _) => Cause::NoServerAddress,
            (_, true) => Cause::ServersFailed,
            (_, false) => Cause::NoReachableAuthority,
        };
        Err(Failure { faults: std::mem::take(&mut attempts.faults).into(), ..Failure::new(cut.zone.clone(), cause) })
    }

    /// The next address to ask, of any family or of one only, with the reason.
    fn pick(&self, cut: &Cut, attempts: &Attempts, asker: &Asker, only: Option<Family>) -> Option<Picked> {
        let now = self.now();
        let families = self.cache().servers().families();
        let standing_of = |address: &SocketAddr| families.standing(Family::of(address.ip()), now);
        let is_cut_off = |address: &SocketAddr| standing_of(address) == FamilyStanding::Broken;
        let own = self.local().own_addresses();
        let most = asker.routes.limits.addresses_per_ns;
        let mut addresses: SmallVec<[SocketAddr; 16]> = SmallVec::new();
        for server in &cut.servers {
            let silent: u8 = server.addresses.iter().map(|address| attempts.get(*address).silent).fold(0, u8::saturating_add);
            if silent >= asker.routes.limits.silent_queries_per_ns {
                continue;
            }
            let usable = server.addresses.iter().filter(|address| {
                asker.routes.family_enabled(address.ip())
                    && only.is_none_or(|only| Family::of(address.ip()) == only)
                    && !asker.avoid.contains(address)
                    && (cut.configured || crate::upstream::may_ask(**address, asker.routes.recursion.query_loopback, &own).is_ok())
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
                let tried = attempts.get(*address);
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
        let early = !attempts.heard_anything
            && (1..SILENT_MAX).contains(&attempts.asked)
            && asker.began.elapsed() < Duration::from_millis(asker.routes.limits.give_up_earliest_ms);
        let tries = if early { 2 * TRIES_PER_ADDRESS } else { TRIES_PER_ADDRESS };
        let (at, why) = choose(&candidates, cut.configured, tries, |bound| self.random().below(bound))?;
        let hopeful = candidates[at].tries == 0 && !candidates[at].unfit && !candidates[at].cut_off;
        Some(Picked { address: addresses[at], why, standing: standings[at], hopeful })
    }

    /// Searches the address of one more of the cut's servers. `false` when there is none left to search for.
    async fn look_up_next(&self, cut: &mut Cut, attempts: &mut Attempts, asker: &Asker) -> bool {
        let limits = asker.routes.limits;
        if attempts.names_looked_up >= limits.ns_names_looked_up_per_set || !asker.purse.may_search() {
            return false;
        }
        if usize::from(asker.depth) >= limits.glueless_depth {
            asker.purse.too_deep();
            return false;
        }
        // Of a server with as many addresses as are tried, more would be of no use.
        let is_of_use = |address: &SocketAddr| self.can_count_on(Family::of(address.ip())) && attempts.get(*address).silent == 0;
        let is_out_of_reach = |server: &Server| !server.addresses.iter().any(is_of_use);
        let wants_more = |server: &Server, search| match search {
            Search::Done => server.half_searched && is_out_of_reach(server),
            _ => server.search == search && server.addresses.len() < limits.addresses_per_ns,
        };
        // The parent's word about a server costs nothing or one walk less; only where that leads nowhere its own
        // zone is asked.
        let searches = [Search::None, Search::Parent, Search::Done];
        let Some(search) = searches.into_iter().find(|search| cut.servers.iter().any(|server| wants_more(server, *search))) else {
            return false;
        };
        let waiting: Vec<usize> = (0..cut.servers.len()).filter(|&at| wants_more(&cut.servers[at], search)).collect();
        // A further address of a server that did not answer is worth less than the first one of another server.
        let unknown: Vec<usize> = waiting.iter().copied().filter(|&at| is_out_of_reach(&cut.servers[at])).collect();
        let waiting = if unknown.is_empty() { waiting } else { unknown };
        let at = waiting[self.random().below(waiting.len())];
        let server = &mut cut.servers[at];
        let Some(name) = server.name.clone() else {
            server.search = Search::Done;
            return true;
        };
        if search == Search::None {
            server.search = Search::Parent;
            let known = super::cut::parents_word(self.cache(), &name, self.now());
            let before = server.addresses.len();
            for address in known {
                if asker.routes.family_enabled(address.ip()) && !server.addresses.contains(&address) {
                    server.addresses.push(address);
                }
            }
            if server.addresses.len() > before {
                return true;
            }
        }
        // A server whose own name lies below the cut can only be found through the servers of the cut.
        if name.is_within(&cut.zone) && !attempts.heard_anything {
            cut.servers[at].search = Search::Done;
            return true;
        }
        attempts.names_looked_up += 1;
        (cut.servers[at].search, cut.servers[at].half_searched) = (Search::Done, false);
        let before_all = cut.address_count();
        let mut types = [(Rtype::A, asker.routes.recursion.ipv4), (Rtype::AAAA, asker.routes.recursion.ipv6)];
        if !self.can_count_on(Family::V4) {
            types.reverse();
        }
        for (rtype, enabled) in types {
            if enabled == Some(false) {
                continue;
            }
            let before = cut.address_count();
            let from_parent = match self.server_address(&Question::new(name.clone(), rtype), search == Search::None, asker).await {
                Ok((sets, from_parent)) => {
                    sets.iter().for_each(|set| cut.add_set(set));
                    from_parent
                }
                Err(failure) => {
                    attempts.circled |= failure.cause == Cause::Cycle;
                    false
                }
            };
            if cut.address_count() > before {
                if from_parent {
                    cut.servers[at].search = Search::Parent;
                }
                cut.servers[at].half_searched = rtype == types[0].0 && types[1].1 != Some(false);
                break;
            }
        }
        if cut.address_count() == before_all {
            asker.purse.searched_in_vain();
        }
        true
    }

    /// What the zones above say of servers that live elsewhere. `false` when that is nothing new.
    fn take_parents_word(&self, cut: &mut Cut) -> bool {
        let now = self.now();
        let mut found = false;
        for server in &mut cut.servers {
            let Some(name) = &server.name else { continue };
            for address in super::cut::parents_word(self.cache(), name, now) {
                if !server.addresses.contains(&address) {
                    server.addresses.push(address);
                    found = true;
                }
            }
        }
        found
    }

    /// One question of the probe: to the first target to which there is a route. Any reply at all is a sign of life.
    pub(super) async fn ask_probe(&self, targets: &[(SocketAddr, bool)], question: &Question) -> bool {
        for (server, recursion_desired) in targets {
            self.count_upstream();
            let ask = Ask {
                server: *server,
                question,
                recursion_desired: *recursion_desired,
                checking_disabled: false,
                edns: None,
                randomise_case: true,
                timeout: super::offline::PROBE_EVERY,
                tcp_timeout: super::offline::PROBE_EVERY,
                force_tcp: false,
            };
            match self.upstream().ask(&ask).await {
                Err(AskError::Unreachable(_)) => {}
                heard => return heard.is_ok(),
            }
        }
        false
    }

    async fn ask_one(&self, cut: &Cut, plan: &Plan<'_>, attempts: &mut Attempts, asker: &Asker) -> Result<Option<Heard>, Failure> {
        if !cut.configured || cut.zone.is_root() {
            self.wait_for_network(plan.address, asker).await;
        }
        let mut first = self.send(cut, plan, attempts, asker)?;
        self.test_family(cut, plan, attempts, asker);
        let outcome = match self.patience(cut, plan, attempts, asker) {
            None => first.await,
            Some(patience) => match within(patience, &mut first).await {
                Some(outcome) => outcome,
                None => return Ok(self.ask_beside(cut, plan, first, attempts, asker).await),
            },
        };
        Ok(self.take(cut, plan, outcome, attempts, asker))
    }

    /// How long the server is waited for before another is asked beside it; `None`: to the end.
    fn patience(&self, cut: &Cut, plan: &Plan<'_>, attempts: &Attempts, asker: &Asker) -> Option<Duration> {
        let others = cut.address_count() > attempts.tried.len();
        if !others || cut.configured || plan.why == Choice::LastResort {
            return None;
        }
        if self.is_race(cut, plan, asker) {
            return Some(Duration::ZERO);
        }
        Some(self.shared().hedging.patience(&plan.standing, cut.has_shared_servers(), self.usual_rtt()))
    }

    /// A second server is asked beside one that is slow, if that is allowed and there is one without faults. Whoever
    /// says something of use first is taken; the other is listened to until its time is up, to learn how long it takes.
    async fn ask_beside(&self, cut: &Cut, plan: &Plan<'_>, mut first: Asking, attempts: &mut Attempts, asker: &Asker) -> Option<Heard> {
        let race = self.is_race(cut, plan, asker).then(|| Family::of(plan.address.ip()).other());
        let other = self.pick(cut, attempts, asker, race).filter(|other| other.hopeful);
        let take = |_: &Picked| self.shared().hedging.take(race.is_some());
        let second = other.filter(take).and_then(|Picked { address, standing, .. }| {
            let with_edns = with_edns(address, &standing, attempts);
            let why = if race.is_some() { Choice::Race } else { Choice::Beside };
            let plan = Plan { address, why, standing, with_edns, ..*plan };
            // An empty purse is the first one's to notice.
            let asking = self.send(cut, &plan, attempts, asker).ok()?;
            Some((plan, asking))
        });
        let Some((beside, mut second)) = second else {
            let outcome = first.await;
            return self.take(cut, plan, outcome, attempts, asker);
        };
        let (early, outcome) = first_of(&mut first, &mut second).await;
        let (early, late, rest) = if early == 0 { (plan, &beside, second) } else { (&beside, plan, first) };
        if let Some(heard) = self.take(cut, early, outcome, attempts, asker) {
            self.listen_on(late.address, rest);
            return Some(heard);
        }
        let outcome = rest.await;
        self.take(cut, late, outcome, attempts, asker)
    }

    fn can_count_on(&self, family: Family) -> bool {
        self.cache().servers().families().standing(family, self.now()) == FamilyStanding::Works
    }

    /// At the start, and on another network, nobody knows which families work: who asks by one asks by the other too.
    fn is_race(&self, cut: &Cut, plan: &Plan<'_>, asker: &Asker) -> bool {
        let family = Family::of(plan.address.ip());
        let is_other = |address: &SocketAddr| Family::of(address.ip()) != family && asker.routes.family_enabled(address.ip());
        self.cache().servers().families().is_unproved(family) && cut.servers.iter().flat_map(|server| &server.addresses).any(is_other)
    }

    /// Tests a broken family, when it is time to, by the same question to a server of it. Nobody waits for that.
    fn test_family(&self, cut: &Cut, plan: &Plan<'_>, attempts: &mut Attempts, asker: &Asker) {
        let (servers, now) = (self.cache().servers(), self.now());
        let family = Family::of(plan.address.ip()).other();
        if servers.families().test_at(family, now).is_none_or(|at| at > now) {
            return;
        }
        let picked = self.pick(cut, attempts, asker, Some(family));
        let Some(Picked { address, standing, .. }) = picked.filter(|picked| attempts.get(picked.address).count == 0) else { return };
        if servers.take_family_test(family, now) {
            let with_edns = with_edns(address, &standing, attempts);
            let plan = Plan { address, why: Choice::FamilyTest(family), standing, with_edns, ..*plan };
            // What an empty purse cannot pay is put off.
            if let Ok(asking) = self.send(cut, &plan, attempts, asker) {
                self.listen_on(address, asking);
            }
        }
    }

    /// Nobody waits for this reply any more; how long it takes is worth knowing.
    fn listen_on(&self, server: SocketAddr, asking: Asking) {
        let resolver = self.clone();
        in_background(async move {
            match asking.await.result {
                Some(Ok(reply)) => resolver.note_reply(server, &reply),
                Some(Err(AskError::Timeout { waited, .. })) => resolver.note_timeout(server, waited),
                Some(Err(_)) | None => {}
            }
        });
    }

    /// Pays for one query and sends it as soon as it is waited for.
    fn send(&self, cut: &Cut, plan: &Plan<'_>, attempts: &mut Attempts, asker: &Asker) -> Result<Asking, Failure> {
        asker.purse.take_query().map_err(|bound| Failure::new(cut.zone.clone(), Cause::Spent(bound)))?;
        attempts.asked += 1;
        let attempt = {
            let tried = attempts.of(plan.address);
            tried.count = tried.count.saturating_add(1);
            tried.count
        };
        self.trace_asked(cut, plan, attempt, asker);
        self.cache().servers().on_asked(plan.address.ip(), self.now());
        let (server, question, recursive, with_edns) = (plan.address, plan.question.clone(), plan.recursive, plan.with_edns);
        let manner = self.cache().servers().manner(server.ip());
        let known = manner.is_known || attempt > 1 || cut.configured;
        let others = cut.address_count() > attempts.tried.len();
        let mut timeout = manner.timeout;
        if !known && others {
            timeout = timeout.min(self.first_patience());
        }
        if !attempts.heard_anything && silence_left(cut, attempts, &asker.routes.limits) <= 1 {
            // The last chance: what comes within the time that the client waits anyway is not too late.
            let earliest = Duration::from_millis(asker.routes.limits.give_up_earliest_ms);
            timeout = timeout.max(earliest.saturating_sub(asker.began.elapsed()));
        }
        let mut cookie: SmallVec<[u8; 40]> = SmallVec::from_slice(&self.client_cookie(server.ip()));
        cookie.extend_from_slice(&manner.cookie);
        let randomise_case = manner.case != CaseState::Broken;
        let force_tcp = attempts.get(server).new_cookies >= NEW_COOKIES_MAX;
        let (limits, dnssec) = (asker.routes.limits, asker.routes.recursion.dnssec);
        self.count_upstream();
        self.shared().hedging.earn();
        let sent = self.shared().offline.asked(self.now());
        let resolver = self.clone();
        Ok(Box::pin(async move {
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
                timeout,
                tcp_timeout: Duration::from_millis(limits.upstream_timeout_most_ms),
                force_tcp,
            };
            Outcome { sent, result: resolver.unless_the_network_changes(resolver.upstream().ask(&ask)).await }
        }))
    }

    fn take(&self, cut: &Cut, plan: &Plan<'_>, outcome: Outcome, attempts: &mut Attempts, asker: &Asker) -> Option<Heard> {
        let offline = &self.shared().offline;
        match outcome.result {
            None => {
                attempts.not_asked(plan.address);
                let reason = "this machine's network has changed: asked again".to_owned();
                asker.trace.emit(|| Step::NoReply { reason, took: Duration::ZERO });
                None
            }
            Some(Ok(reply)) => self.weigh(cut, plan, reply, attempts, asker),
            Some(Err(AskError::Unreachable(reason))) if !self.has_way_out(&asker.routes) => {
                // Our own network is gone. Nobody was asked, and nothing is held against anybody.
                offline.not_sent(outcome.sent);
                offline.lose();
                attempts.not_asked(plan.address);
                asker.trace.emit(|| Step::NoReply { reason: format!("this machine has no way out ({reason})"), took: Duration::ZERO });
                None
            }
            Some(Err(error)) => {
                if matches!(error, AskError::Unreachable(_)) {
                    offline.not_sent(outcome.sent);
                }
                self.note_silence(plan, &error, attempts, asker);
                None
            }
        }
    }

    /// Our own network may be silent: that is nobody's fault.
    fn note_timeout(&self, server: SocketAddr, waited: Duration) {
        if !self.shared().offline.is_offline(self.now()) {
            self.cache().servers().on_timeout(server.ip(), waited, self.now());
        }
    }

    fn note_reply(&self, server: SocketAddr, reply: &Reply) {
        self.cache().servers().on_reply(server.ip(), reply.rtt, self.now());
        self.heard_somebody();
        self.heard_after(reply.rtt);
    }

    fn note_silence(&self, plan: &Plan<'_>, error: &AskError, attempts: &mut Attempts, asker: &Asker) {
        let servers = self.cache().servers();
        let (kind, took) = match error {
            AskError::Timeout { waited, .. } => (FaultKind::TimedOut, *waited),
            AskError::ConnectionRefused => (FaultKind::ConnectionRefused, Duration::ZERO),
            AskError::Unreachable(_) | AskError::NoSocket(_) => (FaultKind::Unreachable, Duration::ZERO),
            AskError::TcpFailed { .. } => (FaultKind::TcpFailed, Duration::ZERO),
            AskError::TooManyNearMisses { .. } => (FaultKind::Forgeries, Duration::ZERO),
        };
        match error {
            AskError::Timeout { .. } => self.note_timeout(plan.address, took),
            AskError::ConnectionRefused | AskError::Unreachable(_) => servers.on_unreachable(plan.address.ip(), self.now()),
            // Our own sockets and connections may all be in use: nothing is held against the server.
            AskError::NoSocket(_) | AskError::TcpFailed { fault: TcpFault::Busy, .. } => {}
            AskError::TcpFailed { .. } | AskError::TooManyNearMisses { .. } => servers.on_useless(plan.address.ip(), self.now()),
        }
        // Asking again at once would be told the same.
        attempts.of(plan.address).spent |= kind != FaultKind::TimedOut;
        if error.notes().case_mangled {
            // TCP, which would have settled it, does not work there.
            servers.set_case(plan.address.ip(), CaseState::Broken);
        }
        attempts.silent += 1;
        let tried = attempts.of(plan.address);
        tried.silent = tried.silent.saturating_add(1);
        asker.trace.emit(|| Step::NoReply { reason: error.to_string(), took });
        attempts.fault(plan.address, kind);
    }

    /// Decides what a reply is worth. `Some` ends the asking.
    fn weigh(&self, cut: &Cut, plan: &Plan<'_>, reply: Reply, attempts: &mut Attempts, asker: &Asker) -> Option<Heard> {
        let now = self.now();
        let servers = self.cache().servers();
        self.note_reply(plan.address, &reply);
        attempts.heard_anything = true;
        let over_tcp = reply.transport == Transport::Tcp;
        let whole = Message::parse(&reply.bytes).ok().filter(|message| !(over_tcp && message.header().flags.has(Flags::TC)));
        let Some(message) = whole else {
            servers.set_unfit(plan.address.ip(), &cut.zone, Unfit::Broken, BROKEN_S, now);
            attempts.found_useless(plan.address);
            attempts.fault(plan.address, FaultKind::Malformed);
            asker.trace.emit(|| Step::NoReply { reason: FaultKind::Malformed.to_string(), took: reply.rtt });
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
        let expected = Expected { zone: &cut.zone, question: plan.question, recursive: plan.recursive, with_edns: plan.with_edns };
        let content = scrub(&message, &expected);
        let rcode = message.rcode();
        let kind = classify(message.header(), rcode, &content, &expected);
        asker.trace.emit(|| Step::Reply {
            kind,
            rcode,
            took: reply.rtt,
            tcp: over_tcp,
            tcp_because: reply.notes.tcp_because,
            near_misses: reply.notes.near_misses,
            dropped: content.dropped,
        });
        let heard = Heard { kind, header: message.header(), rcode, content, server: plan.address };
        self.sort(cut, plan, heard, attempts)
    }

    /// Keeps what is of use; notes against the server what is not.
    fn sort(&self, cut: &Cut, plan: &Plan<'_>, mut heard: Heard, attempts: &mut Attempts) -> Option<Heard> {
        let now = self.now();
        let servers = self.cache().servers();
        let address = plan.address;
        let is_of_use = !matches!(heard.kind, Kind::Refused | Kind::ServFail | Kind::NeedsPlainDns | Kind::NewCookie | Kind::Broken);
        // Only now it is known to have been for EDNS that it would not answer, and not for the question.
        if is_of_use && attempts.get(address).plain && servers.edns(address.ip(), now) == EdnsState::Unknown {
            servers.set_edns(address.ip(), EdnsState::BrokenUntil(now + EDNS_BROKEN));
        }
        let (unfit, seconds, fault) = match heard.kind {
            Kind::Answer | Kind::Alias | Kind::NoData | Kind::NxDomain => return Some(heard),
            Kind::Referral if !plan.recursive => return Some(heard),
            // In the end nothing is an answer too, if a short-lived one. Without authority it counts only where
            // every server was heard: a lame one must not speak for one that is merely slow.
            Kind::Empty => {
                let sure = heard.header.flags.has(Flags::AA) || plan.recursive;
                attempts.empty += u8::from(sure);
                let tried = attempts.of(address);
                (tried.spent, tried.said_nothing) = (true, true);
                heard.kind = Kind::NoData;
                if attempts.empty >= EMPTY_MAX {
                    return Some(heard);
                }
                if sure || attempts.nothing.is_none() {
                    attempts.nothing = Some(heard);
                }
                return None;
            }
            Kind::NeedsPlainDns => {
                let tried = attempts.of(address);
                tried.plain = true;
                tried.count = tried.count.saturating_sub(1);
                return None;
            }
            // The reply brought the cookie that it wants (RFC 7873 5.3).
            Kind::NewCookie if attempts.get(address).new_cookies < NEW_COOKIES_MAX => {
                let tried = attempts.of(address);
                tried.new_cookies += 1;
                tried.count = tried.count.saturating_sub(1);
                return None;
            }
            Kind::RecursionLame => {
                attempts.recursive.get_or_insert(address);
                attempts.found_useless(address);
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
        attempts.found_useless(address);
        attempts.fault(address, fault);
        None
    }

    fn trace_asked(&self, cut: &Cut, plan: &Plan<'_>, attempt: u8, asker: &Asker) {
        asker.trace.emit(|| {
            let server = cut.servers.iter().find(|server| server.addresses.contains(&plan.address));
            Step::Asked(Asked {
                server_name: server.and_then(|server| server.name.clone()),
                address: plan.address.ip(),
                zone: cut.zone.clone(),
                question: plan.question.clone(),
                minimised: plan.minimised,
                why: plan.why,
                attempt,
                with_edns: plan.with_edns,
                passed_over: self.passed_over(cut, plan, asker),
            })
        });
    }

    fn passed_over(&self, cut: &Cut, plan: &Plan<'_>, asker: &Asker) -> Option<PassedOver> {
        let (now, family) = (self.now(), Family::of(plan.address.ip()).other());
        let test_at = self.cache().servers().families().test_at(family, now)?;
        let is_of_it = |address: &&SocketAddr| Family::of(address.ip()) == family && asker.routes.family_enabled(address.ip());
        let addresses = cut.servers.iter().flat_map(|server| &server.addresses).filter(is_of_it).count();
        (addresses > 0).then_some(PassedOver { family, addresses, test_in: test_at.since(now) })
    }

    /// Addresses of a name server: what this server itself holds, else by a walk of their own, which may end with
    /// the parent's glue (then the second value is true). A server's name should be no alias (RFC 2181 10.3). Where it
    /// is one all the same, it is followed a little, each step paid like any search.
    async fn server_address(&self, question: &Question, glue_will_do: bool, asker: &Asker) -> Result<(Vec<RrSet>, bool), Failure> {
        if let Some(held) = self.local().find(question) {
            let sets = held.answers.into_iter().filter(|set| set.name == question.name && set.rtype == question.rtype);
            return Ok((sets.collect(), false));
        }
        let mut child = asker.child(Purpose::ServerAddress);
        child.glue_will_do = glue_will_do;
        let mut here = question.clone();
        for _ in 0..=SERVER_ALIASES_MAX {
            let link = self.raw_link(&here, &child).await?;
            if let Found::Alias { target, .. } = link.found {
                here.name = target;
                continue;
            }
            let mut sets = link.sets_of(&here);
            for set in &mut sets {
                set.name = question.name.clone();
            }
            return Ok((sets, link.is_glue));
        }
        Ok((Vec::new(), false))
    }
}

fn with_edns(address: SocketAddr, standing: &Standing, attempts: &Attempts) -> bool {
    !attempts.get(address).plain && !matches!(standing.edns, EdnsState::BrokenUntil(_))
}

/// How many more queries without reply it takes until nobody is asked any more.
fn silence_left(cut: &Cut, attempts: &Attempts, limits: &Limits) -> usize {
    let of_server = |server: &Server| {
        let silent: usize = server.addresses.iter().map(|address| usize::from(attempts.get(*address).silent)).sum();
        usize::from(limits.silent_queries_per_ns).saturating_sub(silent)
    };
    let of_servers = cut.servers.iter().filter(|server| !server.addresses.is_empty()).map(of_server).sum();
    SILENT_MAX.saturating_sub(attempts.silent).min(of_servers)
}
