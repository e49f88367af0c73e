//! Request, decision, outcome: the only way to every reply, and to every explanation of a reply.
//!
//! ```text
//! decide   the first rule that has something to say      class, local data, hosted zones without and with data, access,
//!    │                                                    PTR of local data, lists, response policy zones, safe search,
//!    │                                                    special-use names, recursion turned off, RD
//!    │     none has: look it up
//!    ▼
//! look up  forward and stub rules, cache, walk           in `resolve`
//!    ▼
//! judge    response policy zones, with the response      may lead to one more look-up
//!    ▼
//! review   each in turn changes the outcome              lists at alias targets, rebinding guard, additional data,
//!    │                                                    closed zones, report agent
//!    ▼
//! DNS64    AAAA made of A, for which the same way is gone     where the client is to have them
//! ```
//!
//! A zone or rule of the operator always takes precedence over a built-in special-use name.

use std::rc::Rc;
use std::sync::Arc;

use super::case::Case;
use super::client_rights::Requester;
use super::dns64;
use super::explained::Note;
use super::hosted::{authoritative_outcome, local_answer};
use super::listed;
use super::local::LocalInView;
use super::local_data;
use super::outcome::Outcome;
use super::refusal::Refusal;
use super::response_policy;
use super::review;
use super::rewritten::{self, Applied, Rewritten};
use super::views;
use crate::authority::{self, End};
use crate::config::QnameMinimisation;
use crate::metrics::Source;
use crate::policy::{ClientPlace, Place, RESOLVER_ARPA, ViewId};
use crate::record::{Class, Rcode, RrSet, Rtype, Security};
use crate::resolve::{Cause, Context, Local, LocalAnswer, LocalSource, QuestionPlace};
use crate::wire::Flags;

pub(super) type Rule = fn(&Case<'_>) -> Option<Decision>;
pub(super) type Review = fn(&Case<'_>, &mut Outcome);

/// The rules and reviews in their order. Tests leave one out and see that reply and explanation change alike.
#[derive(Clone, Copy)]
pub(super) struct Pipeline {
    pub rules: &'static [Rule],
    pub reviews: &'static [Review],
}

pub(super) const PIPELINE: Pipeline = Pipeline {
    rules: &[
        class_other_than_in,
        listed_name,
        zone_without_data,
        hosted_zone,
        client_outside_allow,
        ptr_of_listed_name,
        name_of_translated_address,
        name_on_list,
        rule_for_name_or_client,
        safe_search,
        designated_resolver,
        special_use_name,
        recursion_turned_off,
        cache_without_rd,
    ],
    reviews: &[
        listed::uncloak,
        review::rebinding_guard,
        review::additional_addresses,
        review::closed_zones,
        review::report_agent,
        dns64::mapped_addresses,
    ],
};

/// For names that this server needs itself to host its zones: resolved also where nobody else has names resolved.
pub(super) const OWN_NEEDS: Pipeline = Pipeline {
    rules: &[class_other_than_in, listed_name, zone_without_data, hosted_zone, special_use_name],
    reviews: &[review::rebinding_guard],
};

/// What a rule decides about a request.
#[derive(Debug)]
pub(super) enum Decision {
    Reply(Outcome),
    Refuse(Refusal),
    LookUp(LookUp),
}

/// The name has to be looked up, which may take waiting.
#[derive(Debug, Default)]
pub(super) struct LookUp {
    /// What hosted zones answered before an alias led out of them.
    pub begun: Option<Box<LocalAnswer>>,
    /// The outcome for AAAA, where no more than A is left to look up (RFC 6147).
    pub aaaa: Option<Box<Outcome>>,
    /// A list or a rule of a response policy zone has given the beginning.
    pub rewritten: Option<Box<Rewritten>>,
}

/// A decision that needs no waiting, or the look-up that is left to do.
pub(super) enum Decided {
    Outcome(Outcome),
    LookUp(LookUp),
}

impl Pipeline {
    /// The first rule that applies decides; without one the name is looked up.
    pub fn decide(&self, case: &Case<'_>) -> Decided {
        if case.view != ViewId::default() {
            case.recorder.note(|| Note::View(case.view().name.clone()));
        }
        match self.decide_by_rules(case) {
            Decided::Outcome(outcome) if dns64::is_wanted(case, &outcome) => {
                Decided::LookUp(LookUp { aaaa: Some(Box::new(outcome)), ..LookUp::default() })
            }
            decided => decided,
        }
    }

    fn decide_by_rules(&self, case: &Case<'_>) -> Decided {
        match self.rules.iter().find_map(|rule| rule(case)) {
            Some(Decision::Reply(outcome)) => Decided::Outcome(self.reviewed(case, outcome)),
            Some(Decision::Refuse(refusal)) => Decided::Outcome(self.reviewed(case, case.refuse(&refusal))),
            Some(Decision::LookUp(look_up)) => Decided::LookUp(look_up),
            None => Decided::LookUp(LookUp::default()),
        }
    }

    /// Looks the name up, waits for the result and reviews it.
    pub async fn look_up(&self, case: &Case<'_>, look_up: LookUp, place: Option<Place>) -> Outcome {
        let context = client_context(case, place);
        let outcome = self.looked_up(case, look_up, &context).await;
        let outcome = if dns64::is_wanted(case, &outcome) { self.with_synthesised(case, outcome, &context).await } else { outcome };
        case.recorder.note(|| Note::LookedUp { upstream_queries: context.budget.queries_sent() });
        outcome
    }

    async fn looked_up(&self, case: &Case<'_>, look_up: LookUp, context: &Context) -> Outcome {
        match look_up.aaaa {
            Some(outcome) => *outcome,
            None => self.reviewed(case, resolved_by_policy(case, look_up, context).await),
        }
    }

    /// A goes the whole way that AAAA went, under the budget of the one question that the client asked.
    async fn with_synthesised(&self, case: &Case<'_>, aaaa: Outcome, context: &Context) -> Outcome {
        let request = dns64::request_for_a(case.request);
        let for_a = Case { request: &request, ..*case };
        let a = match self.decide_by_rules(&for_a) {
            Decided::Outcome(outcome) => outcome,
            Decided::LookUp(look_up) => self.looked_up(&for_a, look_up, context).await,
        };
        dns64::combined(case, aaaa, a)
    }

    fn reviewed(&self, case: &Case<'_>, mut outcome: Outcome) -> Outcome {
        self.reviews.iter().for_each(|review| review(case, &mut outcome));
        outcome
    }
}

// The rules.

/// In class CH a server tells of itself (RFC 4892). Such a reply is not kept ready: ready answers have no class.
fn class_other_than_in(case: &Case<'_>) -> Option<Decision> {
    let request = case.request;
    if request.class == Class::IN {
        return None;
    }
    let identity = &case.snapshot.policy.identity;
    let Some(set) = (request.class == Class::CH).then(|| identity.find(&request.question.name, case.rights.allowed)).flatten() else {
        return Some(Decision::Refuse(Refusal::Class));
    };
    let is_asked_for = matches!(request.question.rtype, Rtype::TXT | Rtype::ANY);
    let answers = if is_asked_for { vec![set] } else { Vec::new() };
    Some(Decision::Reply(Outcome { authoritative: true, answers, own: true, ..Outcome::default() }))
}

/// `local-data` is for clients in `allow`. What is listed without an answer of its own is an alias, which is followed.
fn listed_name(case: &Case<'_>) -> Option<Decision> {
    if !case.rights.allowed {
        return None;
    }
    local_data::listed(case.local_data(), &case.request.question, case.snapshot.aliases_max).map(|listed| answered_locally(case, listed))
}

fn ptr_of_listed_name(case: &Case<'_>) -> Option<Decision> {
    local_data::made_ptr(case.local_data(), &case.request.question).map(|ptr| answered_locally(case, ptr))
}

fn name_of_translated_address(case: &Case<'_>) -> Option<Decision> {
    dns64::reverse_alias(case).map(|alias| answered_locally(case, alias))
}

#[inline(never)]
fn answered_locally(case: &Case<'_>, answer: LocalAnswer) -> Decision {
    case.recorder.note(|| match answer.source {
        LocalSource::Dns64 => Note::TranslatedAddress,
        LocalSource::SpecialUse(document) => Note::Special { name: answer.zone.clone(), document },
        LocalSource::Zone | LocalSource::Listed => Note::Listed,
    });
    if answer.onward.is_some() && case.why_not_recurse().is_none() {
        return Decision::LookUp(LookUp { begun: Some(Box::new(answer)), ..LookUp::default() });
    }
    Decision::Reply(Outcome {
        authoritative: true,
        security: Security::Insecure,
        answers: answer.answers,
        authority: answer.authority,
        own: true,
        source: Source::Zone,
        repeatable: true,
        ..Outcome::default()
    })
}

/// A zone whose file cannot be read fails visibly: no other server has its data, so none is asked.
fn zone_without_data(case: &Case<'_>) -> Option<Decision> {
    let failure = case.snapshot.without_data(&case.request.question)?;
    case.recorder.note(|| Note::Hosted { zone: failure.at.clone() });
    if !case.may_ask_zone(&failure.at) {
        return Some(Decision::Refuse(Refusal::Zone(failure.at)));
    }
    let outcome = Outcome { source: Source::Zone, ..Outcome::failed(&failure) };
    case.recorder.note(|| Note::Failed(Box::new(failure)));
    Some(Decision::Reply(outcome))
}

/// RFC 1034 4.3.2. For a client that may recurse, data outside the hosted zones is looked up: the target of an alias, data
/// below a delegation, DS at the apex of a zone whose parent is not hosted.
fn hosted_zone(case: &Case<'_>) -> Option<Decision> {
    let hosted = authority::answer(&case.snapshot.zones, &case.request.question, case.snapshot.aliases_max)?;
    let why_not = case.why_not_recurse();
    if why_not.is_none() && hosted.answers.is_empty() && matches!(hosted.end, End::ChildApex { .. }) {
        // The parent zone is authoritative for DS, and this zone's access list does not apply to it.
        return None;
    }
    case.recorder.note(|| Note::Hosted { zone: hosted.apex.clone() });
    if !case.may_ask_zone(&hosted.apex) {
        return Some(Decision::Refuse(Refusal::Zone(hosted.apex)));
    }
    if let Some(refusal) = why_not {
        if let Some(target) = hosted.onward().filter(|_| !hosted.answers.is_empty()) {
            case.recorder.note(|| Note::NotFollowed { target: target.clone(), refused: case.refused(&refusal) });
        }
        return Some(Decision::Reply(authoritative_outcome(hosted)));
    }
    Some(match hosted.end {
        End::Complete => Decision::Reply(authoritative_outcome(hosted)),
        End::Delegated { .. } if hosted.answers.is_empty() => Decision::LookUp(LookUp::default()),
        End::ChildApex { .. } | End::Delegated { .. } | End::Outside(_) => {
            Decision::LookUp(LookUp { begun: Some(Box::new(local_answer(hosted))), ..LookUp::default() })
        }
    })
}

fn client_outside_allow(case: &Case<'_>) -> Option<Decision> {
    (!case.rights.allowed).then(|| Decision::Refuse(Refusal::Recursion))
}

fn of_applied(applied: Applied) -> Decision {
    match applied {
        Applied::Reply(outcome) => Decision::Reply(outcome),
        Applied::Alias(begun, rewritten) => {
            Decision::LookUp(LookUp { begun: Some(begun), rewritten: Some(rewritten), ..LookUp::default() })
        }
    }
}

fn name_on_list(case: &Case<'_>) -> Option<Decision> {
    listed::question(case).map(of_applied)
}

fn rule_for_name_or_client(case: &Case<'_>) -> Option<Decision> {
    response_policy::name_or_client(case).map(of_applied)
}

/// The client's view leads to another form of a search engine. Nothing but addresses is concerned.
fn safe_search(case: &Case<'_>) -> Option<Decision> {
    if case.snapshot.policy.views.is_one() { None } else { views::safe_search(case).map(of_applied) }
}

/// What this resolver tells of itself (RFC 9462 4, RFC 9606 3). Listeners and certificates change without a reload, so that no such reply
/// is kept ready.
fn designated_resolver(case: &Case<'_>) -> Option<Decision> {
    let question = &case.request.question;
    if !matches!(question.rtype, Rtype::SVCB | Rtype::RESINFO) {
        return None;
    }
    let place = match case.requester {
        _ if case.is_behind_balancer => ClientPlace::BehindBalancer,
        Requester::Client(client) if !client.to_canonical().is_loopback() => ClientPlace::Network,
        Requester::Client(_) | Requester::Operator => ClientPlace::ThisMachine,
    };
    let minimises = case.routes().recursion.qname_minimisation != QnameMinimisation::Off;
    let told = case.service.designated().answer(question, place, minimises);
    let special = case.snapshot.special(question, case.view).filter(|(name, ..)| name.as_wire() == RESOLVER_ARPA);
    let (outcome, special) = match (told, special) {
        // The operator has made `resolver.arpa` an ordinary name.
        (Some(_), None) if question.name.as_wire().ends_with(RESOLVER_ARPA) => return None,
        (Some(told), special) => {
            let (answers, additional) = (vec![told.answer], told.additional);
            let source = Source::Zone;
            (
                Outcome { authoritative: true, security: Security::Insecure, answers, additional, own: true, source, ..Outcome::default() },
                special,
            )
        }
        (None, Some((name, document, outcome))) => (Outcome { repeatable: false, ..outcome.clone() }, Some((name, document, outcome))),
        (None, None) => return None,
    };
    let (name, document) = special.map_or_else(|| (question.name.clone(), "RFC 9606 3"), |(name, document, _)| (name, document));
    case.recorder.note(|| Note::Special { name, document });
    Some(Decision::Reply(outcome))
}

fn special_use_name(case: &Case<'_>) -> Option<Decision> {
    let (name, document, outcome) = case.snapshot.special(&case.request.question, case.view)?;
    case.recorder.note(|| Note::Special { name, document });
    Some(Decision::Reply(outcome))
}

fn recursion_turned_off(case: &Case<'_>) -> Option<Decision> {
    (!case.snapshot.recursion).then(|| Decision::Refuse(Refusal::RecursionOff))
}

fn cache_without_rd(case: &Case<'_>) -> Option<Decision> {
    (!case.rights.may_recurse && !case.is_top_of_the_tree()).then(|| Decision::Refuse(Refusal::Cache))
}

// Looking up.

fn client_context(case: &Case<'_>, place: Option<Place>) -> Context {
    let local: Arc<dyn Local> = match case.snapshot.policy.views.is_one() {
        true => case.snapshot.clone(),
        false => Arc::new(LocalInView { snapshot: case.snapshot.clone(), view: case.view }),
    };
    let mut context = Context::client(case.routes().clone(), local, case.recorder.trace.clone());
    // Without RD no server is asked.
    context.cache_only = !case.request.wants(Flags::RD);
    context.checking_disabled = case.request.wants(Flags::CD);
    context.client = case.requester.key();
    context.place = place.map(|place| Rc::new(place) as Rc<dyn QuestionPlace>);
    context
}

/// As `resolved`, and as the rules of response policy zones say. A rule may lead to one more look-up, to which no rule applies: so the
/// rewriting ends.
async fn resolved_by_policy(case: &Case<'_>, mut look_up: LookUp, context: &Context) -> Outcome {
    let rewritten = look_up.rewritten.take();
    let mut outcome = resolved(case, look_up, context).await;
    let is_for_policies = rewritten.as_ref().is_none_or(|rewritten| rewritten.is_for_policies);
    if let Some(rewritten) = rewritten {
        rewritten::mark(*rewritten, &mut outcome);
    }
    if !is_for_policies {
        return outcome;
    }
    match response_policy::judge(case, outcome) {
        Applied::Reply(outcome) => outcome,
        Applied::Alias(begun, rewritten) => {
            let look_up = LookUp { begun: Some(begun), ..LookUp::default() };
            let mut outcome = resolved(case, look_up, context).await;
            rewritten::mark(*rewritten, &mut outcome);
            outcome
        }
    }
}

async fn resolved(case: &Case<'_>, look_up: LookUp, context: &Context) -> Outcome {
    let (request, begun) = (case.request, look_up.begun);
    let authoritative = begun.is_some();
    let result = case.resolver.resolve_in_time(&request.question, begun.map(|begun| *begun), context).await;
    let looked_up = if context.budget.has_waited() { Source::Walk } else { Source::Cache };
    let mut outcome = match result {
        Ok(answer) => {
            let checking_disabled = request.wants(Flags::CD);
            if Outcome::withholds(&answer, checking_disabled) {
                case.recorder.note(|| Note::Withheld(Box::new(answer.clone())));
            }
            let source = if answer.stale { Source::Stale } else { looked_up };
            Outcome { source, ..Outcome::resolved(answer, checking_disabled) }
        }
        Err(failure) if failure.cause == Cause::NotCached => return nearest_servers(case),
        Err(failure) => {
            let outcome = Outcome { source: looked_up, ..Outcome::failed(&failure) };
            case.recorder.note(|| Note::Failed(Box::new(failure)));
            outcome
        }
    };
    // Cached data that was found without a query may not have been validated yet.
    outcome.repeatable &= !context.cache_only;
    outcome.authoritative = authoritative && outcome.rcode() != Rcode::SERVFAIL;
    outcome
}

/// The servers to which a query without RD is referred (RFC 1034 4.3.1): those of the deepest cached cut, or those of the root
/// hints. They are the answer if the query asked for the root's servers (RFC 9609), and so are the addresses of one in the hints.
fn nearest_servers(case: &Case<'_>) -> Outcome {
    let question = &case.request.question;
    let (_, hinted) = case.routes().hinted();
    let asked_for = hinted.into_iter().filter(|set| set.name == question.name && set.rtype == question.rtype);
    let answers: Vec<RrSet> = asked_for.collect();
    if !answers.is_empty() {
        return Outcome { answers, source: Source::Cache, ..Outcome::default() };
    }
    let (servers, addresses) = match case.resolver.known_servers(&question.name) {
        Some(servers) => (Some(servers), Vec::new()),
        None => case.routes().hinted(),
    };
    let is_answer = |servers: &RrSet| servers.name.is_root() && question.name.is_root() && question.rtype == Rtype::NS;
    let (answers, authority) = servers.into_iter().partition(is_answer);
    Outcome { answers, authority, additional: addresses, source: Source::Cache, ..Outcome::default() }
}
