//! What one thread answers with, and the order of decisions.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::failure_log::Subject;
use super::held::{authoritative_outcome, local_answer};
use super::outcome::Outcome;
use super::refusal::{Refusal, Refused};
use super::reply::{Manner, UDP_BYTES_MAX, bare_error, encode, pointed_at};
use super::request::{Read, Request, read};
use super::service::{Service, Tally};
use super::snapshot::Snapshot;
use super::{AtOnce, Client, Transport, fast_path};
use crate::authority::{self, End};
use crate::env::{BootTime, Net, Random};
use crate::policy::{Pace, Place, ResponseRate, Verdict};
use crate::record::{Class, Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::{Answer, Cause, Context, Event, Failure, Followed, LocalAnswer, QuestionPlace, Resolver, Trace};
use crate::upstream::Upstream;
use crate::wire::{Flags, Header, Message, OptionCode, Writer};

/// Not `Send`: each thread makes its own over the same `Service`.
pub struct Worker {
    service: Arc<Service>,
    resolver: Resolver,
    response_rate: RefCell<ResponseRate>,
    random: Rc<Random>,
    tally: Arc<Tally>,
}

/// What all queries of one batch are judged by. To be let go of before anything is waited for.
pub struct Moment {
    now: BootTime,
    snapshot: Guard<Arc<Snapshot>>,
}

/// One question, its answer and how it was found.
pub struct Explained {
    pub question: Question,
    pub conclusion: Conclusion,
    pub events: Vec<Event>,
    pub upstream_queries: u32,
    /// Who answered without a walk, or began the answer.
    pub held_by: Option<Holder>,
    /// An alias out of the hosted zones that is not followed for this client, and why.
    pub not_followed: Option<(Name, Refused)>,
}

pub enum Conclusion {
    Answered(Answer),
    Failed(Failure),
    Refused(Refused),
}

/// Whose data this server gives in its own right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// A zone hosted here.
    Zone(Name),
    /// A special-use name, and the document that sets it apart.
    Special(Name, &'static str),
}

impl Holder {
    pub fn name(&self) -> &Name {
        match self {
            Holder::Zone(name) | Holder::Special(name, _) => name,
        }
    }
}

/// Who the client is to this server: decided once a query, and part of a ready answer's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ClientRights {
    /// Inside `server.allow`.
    pub allowed: bool,
    /// May have this question looked up: allowed, and RD is set (or reading the cache without it is permitted).
    pub may_recurse: bool,
}

impl ClientRights {
    /// The policy group of ready answers.
    pub fn group(self) -> u8 {
        u8::from(self.allowed) | u8::from(self.may_recurse) << 1
    }
}

/// What can be said without waiting.
enum Now {
    Say(Outcome),
    /// Look it up; `held` is what own zones gave before an alias led out of them.
    Look {
        held: Option<LocalAnswer>,
    },
}

impl Worker {
    pub fn new(service: Arc<Service>, net: Rc<dyn Net>, random: Random) -> Rc<Worker> {
        let random = Rc::new(random);
        let upstream = Rc::new(Upstream::new(net, random.clone(), &service.limits));
        let resolver = Resolver::new(&service.resolve, upstream, random.clone());
        let response_rate = RefCell::new(ResponseRate::new(random.u64()));
        let tally = service.new_tally();
        Rc::new(Worker { service, resolver, response_rate, random, tally })
    }

    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Looks at the keys of trust points that are due (RFC 5011).
    pub async fn follow_anchors(&self) -> Followed {
        let snapshot = self.service.snapshot();
        self.resolver.follow_anchors(snapshot.routes.clone(), snapshot).await
    }

    /// The present configuration, for one batch of queries that came together at `now`.
    pub fn moment(&self, now: BootTime) -> Moment {
        Moment { now, snapshot: self.service.present.load() }
    }

    /// `slot` holds the query in its first `len` octets; a reply is written over it.
    pub fn at_once(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        self.tally.queries.add_one();
        let Moment { now, snapshot } = moment;
        if let Some(given) = fast_path::answer(&self.service, snapshot, slot, len, client, *now) {
            self.tally.ready_hits.add_one();
            if let Some(question) = given.refresh.filter(|_| snapshot.routes.prefetch && !self.service.in_flight.is_crowded()) {
                let snapshot = Arc::clone(snapshot);
                self.resolver.refresh(&question, &Context::client(snapshot.routes.clone(), snapshot, Trace::off()));
            }
            return if given.trusted { AtOnce::Reply(given.len) } else { self.paced(slot, given.len, client, *now) };
        }
        self.at_once_unready(moment, slot, len, client)
    }

    /// What is not kept ready, but takes no waiting either.
    fn at_once_unready(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        let (counters, snapshot) = (&self.service.counters, &moment.snapshot);
        let packet = &slot[..len];
        let mut proven = false;
        let reply = match read(packet, client.transport) {
            Read::Silence => return AtOnce::Silence,
            Read::Error { rcode, echo, edns } => {
                counters.malformed.fetch_add(1, Ordering::Relaxed);
                bare_error(packet, rcode, &echo, edns)
            }
            Read::Request(request) => match self.decide(snapshot, &request, client) {
                Now::Look { .. } => return AtOnce::Later,
                Now::Say(outcome) => {
                    proven = self.has_our_cookie(&request, client.peer.ip());
                    Some(self.finish(snapshot, &request, client, outcome))
                }
            },
        };
        counters.at_once.fetch_add(1, Ordering::Relaxed);
        let Some(reply) = reply.filter(|reply| reply.len() <= slot.len()) else { return AtOnce::Silence };
        slot[..reply.len()].copy_from_slice(&reply);
        if proven || snapshot.policy.allow.contains(client.peer.ip()) {
            return AtOnce::Reply(reply.len());
        }
        self.paced(slot, reply.len(), client, moment.now)
    }

    /// The reply to any query, or `None` where silence is right. Never takes longer than the time to give up.
    pub async fn in_full(self: &Rc<Self>, query: &[u8], client: &Client) -> Option<Vec<u8>> {
        self.in_full_at(query, client, None).await
    }

    /// The same for a question that has a place among those under way, and fails when it loses it.
    pub async fn in_full_at(self: &Rc<Self>, query: &[u8], client: &Client, place: Option<Place>) -> Option<Vec<u8>> {
        let snapshot = self.service.snapshot();
        let request = match read(query, client.transport) {
            Read::Silence => return None,
            Read::Error { rcode, echo, edns } => return bare_error(query, rcode, &echo, edns),
            Read::Request(request) => request,
        };
        let outcome = match self.decide(&snapshot, &request, client) {
            Now::Say(outcome) => outcome,
            Now::Look { held } => {
                self.service.counters.in_full.fetch_add(1, Ordering::Relaxed);
                self.look_up(&snapshot, &request, held, place).await
            }
        };
        Some(self.finish(&snapshot, &request, client, outcome))
    }

    /// A question walked with every step written down, as this client would have it answered; without one, as a client
    /// that may do everything.
    pub async fn explain(self: &Rc<Self>, question: &Question, client: Option<IpAddr>) -> Explained {
        let snapshot = self.service.snapshot();
        let context = Context::client(snapshot.routes.clone(), snapshot.clone(), Trace::recording());
        let rights = client.map_or(ClientRights { allowed: true, may_recurse: true }, |client| rights(&snapshot, Flags(Flags::RD), client));
        let (held_by, now) = match client {
            Some(client) => self.access(&snapshot, question, rights, client),
            None => (self.own(&snapshot, question, rights), Ok(())),
        };
        let (held_by, held, conclusion) = match (now, held_by) {
            (Err(refusal), held_by) => {
                let refused = snapshot.refused(&refusal, client.unwrap_or(IpAddr::from([0; 4])));
                (held_by.map(|(by, _)| by), None, Some(Conclusion::Refused(refused)))
            }
            (Ok(()), Some((by, Now::Say(outcome)))) => (Some(by), None, Some(Conclusion::Answered(as_answer(outcome)))),
            (Ok(()), Some((by, Now::Look { held }))) => (held.is_some().then_some(by), held, None),
            (Ok(()), None) => (None, None, None),
        };
        let not_followed = match (&held_by, &conclusion) {
            (Some(Holder::Zone(_)), Some(Conclusion::Answered(_))) => not_followed(&snapshot, question, rights, client),
            _ => None,
        };
        let conclusion = match conclusion {
            Some(conclusion) => conclusion,
            None => match self.resolver.resolve_in_time(question, held, &context).await {
                Ok(answer) => Conclusion::Answered(self.guarded(&snapshot, question, answer)),
                Err(failure) => Conclusion::Failed(failure),
            },
        };
        let astray = match &conclusion {
            Conclusion::Answered(answer) => client.and_then(|client| Some((client, snapshot.led_astray(&answer.answers, client)?))),
            Conclusion::Failed(_) | Conclusion::Refused(_) => None,
        };
        let conclusion = match astray {
            Some((client, apex)) => Conclusion::Refused(snapshot.refused(&Refusal::Zone(apex.clone()), client)),
            None => conclusion,
        };
        Explained {
            question: question.clone(),
            conclusion,
            events: context.trace.events(),
            upstream_queries: context.budget.queries_sent(),
            held_by,
            not_followed,
        }
    }

    /// The decision order of the design: class, access, hosted zones, rules, special-use names; then the cache and
    /// the walk, which take waiting.
    fn decide(&self, snapshot: &Snapshot, request: &Request, client: &Client) -> Now {
        let rights = rights(snapshot, request.flags, client.peer.ip());
        let refused = |refusal: Refusal| Now::Say(Outcome::refused(refusal.why()));
        if request.class != Class::IN {
            return refused(Refusal::Class);
        }
        match self.access(snapshot, &request.question, rights, client.peer.ip()) {
            (_, Err(refusal)) => refused(refusal),
            (Some((_, decided)), Ok(())) => decided,
            (None, Ok(())) => Now::Look { held: None },
        }
    }

    /// What this server holds itself, and whether the client may have an answer at all.
    fn access(
        &self,
        snapshot: &Snapshot,
        question: &Question,
        rights: ClientRights,
        client: IpAddr,
    ) -> (Option<(Holder, Now)>, Result<(), Refusal>) {
        let own = self.own(snapshot, question, rights);
        let verdict = match &own {
            Some((by, _)) if snapshot.may_ask_zone(by.name(), client) => Ok(()),
            Some((by, _)) => Err(Refusal::Zone(by.name().clone())),
            None if !rights.allowed => Err(Refusal::Recursion),
            None if !snapshot.recursion => Err(Refusal::RecursionOff),
            None if !rights.may_recurse && !is_top_of_the_tree(snapshot, question) => Err(Refusal::Cache),
            None => Ok(()),
        };
        (own, verdict)
    }

    /// Hosted zones and special-use names; the zone or name that decides, and what it decides.
    fn own(&self, snapshot: &Snapshot, question: &Question, rights: ClientRights) -> Option<(Holder, Now)> {
        if let Some(hosted) = authority::answer(&snapshot.zones, question, snapshot.aliases_max) {
            let holder = Holder::Zone(hosted.apex.clone());
            let may_walk = rights.may_recurse && snapshot.recursion;
            match hosted.end {
                // DS is the parent zone's, which is not ours: neither is it for this zone's list to say who may ask.
                End::ChildApex { .. } if may_walk && hosted.answers.is_empty() => {}
                End::Delegated { .. } if may_walk && hosted.answers.is_empty() => return Some((holder, Now::Look { held: None })),
                End::ChildApex { .. } | End::Delegated { .. } | End::Outside(_) if may_walk => {
                    return Some((holder, Now::Look { held: Some(local_answer(hosted)) }));
                }
                End::Complete | End::ChildApex { .. } | End::Delegated { .. } | End::Outside(_) => {
                    return Some((holder, Now::Say(authoritative_outcome(hosted))));
                }
            }
        }
        if !rights.allowed {
            return None;
        }
        let (name, rfc, outcome) = snapshot.special(question)?;
        Some((Holder::Special(name, rfc), Now::Say(outcome)))
    }

    async fn look_up(&self, snapshot: &Arc<Snapshot>, request: &Request, held: Option<LocalAnswer>, place: Option<Place>) -> Outcome {
        let authoritative = held.is_some();
        let cache_only = !request.wants(Flags::RD);
        let mut context = Context::client(snapshot.routes.clone(), snapshot.clone(), Trace::off());
        context.cache_only = cache_only;
        context.place = place.map(|place| Rc::new(place) as Rc<dyn QuestionPlace>);
        let mut outcome = match self.resolver.resolve_in_time(&request.question, held, &context).await {
            Ok(answer) => Outcome::resolved(answer, request.wants(Flags::CD)),
            Err(failure) if failure.cause == Cause::NotCached => return self.nearest_servers(snapshot, &request.question),
            Err(failure) => Outcome::failed(&failure),
        };
        if outcome.rcode() == Rcode::SERVFAIL {
            self.log_failure(&request.question, &outcome);
        }
        // What is read without asking anybody has perhaps not been proved.
        outcome.repeatable &= !cache_only;
        outcome.authoritative = authoritative && outcome.rcode() != Rcode::SERVFAIL;
        self.guard(snapshot, &request.question, &mut outcome);
        outcome.additional = self.additional(snapshot, &request.question, &outcome);
        outcome
    }

    /// What a question without RD is referred to (RFC 1034 4.3.1): the servers of the deepest known cut, or those of the
    /// hints. They are the answer where the root's servers were asked for (RFC 9609).
    fn nearest_servers(&self, snapshot: &Snapshot, question: &Question) -> Outcome {
        let (servers, addresses) = match self.resolver.known_servers(&question.name) {
            Some(servers) => (Some(servers), Vec::new()),
            None => snapshot.routes.hinted(),
        };
        let is_answer = |servers: &RrSet| servers.name.is_root() && question.name.is_root() && question.rtype == Rtype::NS;
        let (answers, authority) = servers.into_iter().partition(is_answer);
        Outcome { answers, authority, additional: addresses, ..Outcome::default() }
    }

    /// May this name have a line in the log?
    fn may_log(&self, subject: Subject, question: &Question) -> bool {
        let Some(admitted) = self.service.failure_log.admit(subject, question, self.service.resolve.clock.boot()) else { return false };
        if admitted.withheld > 0 {
            tracing::info!(count = admitted.withheld, "names that failed or were filtered, and are not listed");
        }
        true
    }

    fn log_failure(&self, question: &Question, outcome: &Outcome) {
        if !self.may_log(Subject::Failure, question) {
            return;
        }
        let (code, reason) = outcome.edes.first().map_or((None, ""), |ede| (Some(ede.code.0), ede.text.as_str()));
        tracing::info!(ede = code, "{question} fails: {reason}");
    }

    /// The rebinding guard: public names do not lead to private addresses.
    fn guard(&self, snapshot: &Snapshot, question: &Question, outcome: &mut Outcome) {
        // An alias of a hosted zone to localhost is the administrator's word; that of a public name is the attack.
        let is_hosted = |name: &Name| snapshot.zones.find(name.as_wire()).is_some();
        let may_be_local = is_hosted(&question.name);
        let mut reason = None;
        outcome.answers.retain_mut(|set| {
            if is_hosted(&set.name) || (may_be_local && snapshot.policy.special_use.find(set.name.as_wire()).is_some()) {
                return true;
            }
            match check_rebinding(snapshot, question, set) {
                Verdict::Clean => true,
                Verdict::Stripped { kept, dropped } => {
                    reason.get_or_insert_with(|| {
                        let zone_cut = self.resolver.known_servers(&question.name).map(|servers| servers.name);
                        snapshot.policy.rebinding.reason(&question.name, dropped, zone_cut.as_ref())
                    });
                    if let Some(kept) = kept {
                        *set = kept
                    } else {
                        return false;
                    }
                    true
                }
            }
        });
        if let Some(ede) = reason {
            if self.may_log(Subject::Filtered, question) {
                tracing::info!(question = %question, "{}", ede.text);
            }
            outcome.security = Security::Insecure;
            outcome.edes.push(ede);
            outcome.repeatable = false;
        }
    }

    /// An answer as a client gets it.
    fn guarded(&self, snapshot: &Snapshot, question: &Question, mut answer: Answer) -> Answer {
        let mut outcome = Outcome { answers: std::mem::take(&mut answer.answers), ..Outcome::default() };
        self.guard(snapshot, question, &mut outcome);
        answer.answers = outcome.answers;
        answer.ede = outcome.edes.pop().or(answer.ede);
        answer
    }

    /// Addresses for an MX, SRV, NS or SVCB answer: from own zones, or from the cache where they are known with
    /// answer rank; glue is never given out, nor what would not be given as an answer.
    fn additional(&self, snapshot: &Snapshot, question: &Question, outcome: &Outcome) -> Vec<RrSet> {
        let now = self.service.resolve.clock.boot();
        // Beside what is proved, unproved addresses would be taken for proved ones.
        let fits = |security: Security| security == Security::Secure || outcome.security != Security::Secure && security != Security::Bogus;
        let mut found = Vec::new();
        for name in outcome.answers.iter().flat_map(pointed_at).take(ADDITIONAL_NAMES_MAX) {
            for rtype in [Rtype::A, Rtype::AAAA] {
                let target = Question::new(name.clone(), rtype);
                match authority::answer(&snapshot.zones, &target, 0) {
                    Some(own) => found.extend(own.answers.into_iter().filter(|set| set.name == name && set.rtype == rtype)),
                    None => {
                        let cached = self.service.cache().get_set(&name, rtype, now);
                        let known = cached.filter(|cached| cached.rank.may_answer() && fits(cached.security)).map(|cached| cached.set);
                        found.extend(known.filter(|set| check_rebinding(snapshot, question, set) == Verdict::Clean));
                    }
                }
            }
        }
        found
    }

    /// Bytes for the client; kept as a ready answer where that is right.
    fn finish(&self, snapshot: &Snapshot, request: &Request, client: &Client, outcome: Outcome) -> Vec<u8> {
        let outcome = within_access(snapshot, outcome, client.peer.ip());
        match outcome.rcode() {
            Rcode::REFUSED => self.service.counters.refused.fetch_add(1, Ordering::Relaxed),
            Rcode::SERVFAIL => self.service.counters.servfail.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
        let rights = rights(snapshot, request.flags, client.peer.ip());
        let cookie = self.cookie_for(request, client.peer.ip());
        let manner = Manner {
            allowed: rights.allowed,
            recursion_available: rights.allowed && snapshot.recursion,
            cookie: cookie.as_ref().map(|cookie| &cookie[..]),
            turn: self.random.below(1 << 16),
        };
        if outcome.repeatable {
            fast_path::keep(&self.service, snapshot, request, rights, &outcome, &manner);
        }
        encode(request, &outcome, &manner, Vec::with_capacity(512))
    }

    fn cookie_for(&self, request: &Request, client: IpAddr) -> Option<[u8; super::cookie::SERVER_COOKIE_BYTES]> {
        let theirs = request.edns.as_ref()?.cookie.as_ref()?.first_chunk::<8>()?;
        Some(self.service.cookies.make(theirs, client, self.service.resolve.clock.wall()))
    }

    /// RFC 7873 5.2.3: whoever returns our cookie has received it at this address.
    fn has_our_cookie(&self, request: &Request, client: IpAddr) -> bool {
        let cookie = request.edns.as_ref().and_then(|edns| edns.cookie.as_ref()).and_then(|cookie| cookie.split_at_checked(8));
        cookie.is_some_and(|(theirs, ours)| self.service.cookies.check(theirs, ours, client, self.service.resolve.clock.wall()))
    }

    /// Response-rate limiting, for strangers whose cookie does not show that they are who they say: only UDP.
    fn paced(&self, slot: &mut [u8], len: usize, client: &Client, now: BootTime) -> AtOnce {
        if client.transport != Transport::Udp {
            return AtOnce::Reply(len);
        }
        match self.response_rate.borrow_mut().pace(client.peer.ip(), now) {
            Pace::Send => AtOnce::Reply(len),
            Pace::Drop => AtOnce::Silence,
            Pace::Slip => AtOnce::Reply(slip(slot, len)),
        }
    }
}

/// More mail servers than anybody has; each costs two look-ups.
const ADDITIONAL_NAMES_MAX: usize = 16;

/// The root and the TLDs: that somebody has asked for them tells nothing, and who walks the tree himself (`dig +trace`)
/// begins with them without RD. A name with a rule of its own is not public.
fn is_top_of_the_tree(snapshot: &Snapshot, question: &Question) -> bool {
    question.name.label_count() <= 1 && snapshot.routes.rule_for(&question.name).is_none_or(|rule| rule.zone.is_root())
}

/// Where a hosted alias leads that this client is given the first part of only.
fn not_followed(snapshot: &Snapshot, question: &Question, rights: ClientRights, client: Option<IpAddr>) -> Option<(Name, Refused)> {
    let target = authority::answer(&snapshot.zones, question, snapshot.aliases_max)?.onward()?.clone();
    let refusal = match (rights.allowed, snapshot.recursion) {
        (false, _) => Refusal::Recursion,
        (true, false) => Refusal::RecursionOff,
        (true, true) => Refusal::Cache,
    };
    Some((target, snapshot.refused(&refusal, client.unwrap_or(IpAddr::from([0; 4])))))
}

pub(super) fn rights(snapshot: &Snapshot, flags: Flags, client: IpAddr) -> ClientRights {
    let access = snapshot.policy.access(client, flags.has(Flags::RD));
    ClientRights { allowed: access.allowed, may_recurse: access.may_read_cache }
}

/// Names with a rule of their own are not public: neither the name in the question, nor that of a record to which a public
/// alias leads. What follows such a record in the chain is judged by its own name.
fn check_rebinding(snapshot: &Snapshot, question: &Question, set: &RrSet) -> Verdict {
    let is_ruled = |name: &Name| snapshot.routes.rule_for(name).is_some_and(|rule| !rule.zone.is_root());
    match is_ruled(&question.name) || is_ruled(&set.name) {
        true => Verdict::Clean,
        false => snapshot.policy.rebinding.check(&question.name, set),
    }
}

/// What of an outcome the client may have, where hosted zones are not for everybody.
fn within_access(snapshot: &Snapshot, mut outcome: Outcome, client: IpAddr) -> Outcome {
    if !snapshot.touches_restricted(&outcome.answers, &outcome.additional) {
        return outcome;
    }
    if let Some(apex) = snapshot.led_astray(&outcome.answers, client) {
        return Outcome::refused(Refusal::Zone(apex.clone()).why());
    }
    outcome.additional.retain(|set| snapshot.restricted(&set.name).is_none_or(|apex| snapshot.may_ask_zone(apex, client)));
    outcome.repeatable = false;
    outcome
}

/// The reply without its records and with TC: a real client comes back over TCP. A reply that had OPT keeps it
/// (RFC 6891 6.1.1), and of its options the cookie, with which the client can prove its address (RFC 7873 5.2.3).
fn slip(slot: &mut [u8], len: usize) -> usize {
    let Ok(message) = Message::parse(&slot[..len]) else { return len };
    let mut writer = Writer::new(Vec::with_capacity(UDP_BYTES_MAX), UDP_BYTES_MAX);
    let header = message.header();
    writer.header(Header { flags: header.flags.with(Flags::TC, true), ..header });
    // What is left out was longer than what stays.
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

fn as_answer(outcome: Outcome) -> Answer {
    Answer {
        rcode: outcome.rcode(),
        authoritative: outcome.authoritative,
        security: outcome.security,
        answers: outcome.answers,
        authority: outcome.authority,
        stale: false,
        ede: outcome.edes.into_iter().next(),
        is_alias_tail: false,
    }
}
