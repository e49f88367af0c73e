//! Lists of names in the pipeline: one rule before the look-up, and one review after it, which looks at each place of the alias
//! chain and at the names that SVCB and HTTPS records point to.
//!
//! The first name of the chain that a list in force has decides: an exception there lets the rest through. A name that is blocked
//! replaces the whole answer, for the name in the question, unsigned; the cache and shared walks never see it.

use super::case::Case;
use super::explained::{ListAct, Note};
use super::outcome::Outcome;
use super::rewritten::{Applied, Rewritten};
use super::snapshot::Snapshot;
use crate::metrics::Source;
use crate::policy::{Blocked, ListId, ListVerdict, Rewrite, alias, blocked, of_addresses};
use crate::record::{Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::{LocalAnswer, LocalSource};

/// What the lists make of the question.
#[inline]
pub(super) fn question(case: &Case<'_>) -> Option<Applied> {
    if case.snapshot.lists.is_empty() { None } else { question_of_some(case) }
}

#[inline(never)]
fn question_of_some(case: &Case<'_>) -> Option<Applied> {
    let name = &case.request.question.name;
    note_out_of_force(case, name);
    applied(case, name, verdict(case, name))
}

/// A review: replaces the answer whose chain leads to a blocked name.
pub(super) fn uncloak(case: &Case<'_>, outcome: &mut Outcome) {
    if !case.snapshot.lists.is_empty() {
        uncloak_by_some(case, outcome);
    }
}

#[inline(never)]
fn uncloak_by_some(case: &Case<'_>, outcome: &mut Outcome) {
    // What a rule has chosen is the operator's, and so is data of this server alone.
    let is_chosen = outcome.list.is_some() || outcome.policy.is_some() || outcome.source == Source::Policy;
    if !case.rights.allowed || is_chosen {
        return;
    }
    for name in names_of(case, outcome) {
        if name != case.request.question.name {
            note_out_of_force(case, &name);
        }
        match verdict(case, &name) {
            ListVerdict::Pass => {}
            ListVerdict::Allowed(list) => return note(case, &name, list, ListAct::Allows),
            found @ (ListVerdict::Blocked(_) | ListVerdict::Rewritten(..)) => {
                match applied(case, &name, found) {
                    Some(Applied::Reply(instead)) => *outcome = instead,
                    // There is no second look-up for an alias in the middle of a chain: the name is blocked.
                    Some(Applied::Alias(..)) | None => *outcome = block_outcome(case, None),
                }
                return;
            }
        }
    }
}

/// The names of the chain in their order, then those that service bindings point to; without names that are the operator's own.
fn names_of(case: &Case<'_>, outcome: &Outcome) -> Vec<Name> {
    let Question { name, rtype, .. } = &case.request.question;
    let snapshot = case.snapshot;
    let is_own = |name: &Name| snapshot.zones.find(name.as_wire()).is_some() || case.local_data().has(name);
    let mut names = vec![name.clone()];
    // A CNAME that was asked for is not followed; its target is looked at when it is asked for.
    while !matches!(*rtype, Rtype::CNAME | Rtype::ANY) && names.len() <= snapshot.aliases_max + 1 {
        let Some(here) = names.last() else { break };
        let target = outcome.answers.iter().find(|set| set.name == *here && set.rtype == Rtype::CNAME).and_then(RrSet::target);
        match target.filter(|target| !names.contains(target)) {
            Some(target) => names.push(target),
            None => break,
        }
    }
    let bindings = outcome.answers.iter().filter(|set| matches!(set.rtype, Rtype::SVCB | Rtype::HTTPS));
    // RFC 9460 2.5: the root as target stands for the owner.
    let targets = bindings.flat_map(service_targets).filter(|target| !target.is_root());
    names.extend(targets);
    names.retain(|name| !is_own(name));
    names
}

fn service_targets(set: &RrSet) -> impl Iterator<Item = Name> {
    set.data.iter().filter_map(|rdata| Name::from_wire(crate::record::rdata_names(set.rtype, rdata).next()?).ok())
}

/// Whether no list and no response policy zone may block the name for this client.
#[inline]
pub(super) fn is_allowed(case: &Case<'_>, name: &Name) -> bool {
    !case.snapshot.lists.is_empty() && is_allowed_by_some(case, name)
}

#[inline(never)]
fn is_allowed_by_some(case: &Case<'_>, name: &Name) -> bool {
    match verdict(case, name) {
        ListVerdict::Allowed(list) => {
            note(case, name, list, ListAct::Allows);
            true
        }
        ListVerdict::Pass | ListVerdict::Blocked(_) | ListVerdict::Rewritten(..) => false,
    }
}

/// Whether the client gets something else than the name's own data.
#[inline]
pub(super) fn is_blocked(case: &Case<'_>, name: &Name) -> bool {
    !case.snapshot.lists.is_empty() && matches!(verdict(case, name), ListVerdict::Blocked(_) | ListVerdict::Rewritten(..))
}

/// Whether nobody gets an answer of the name's own servers, so that nothing need be looked up for it.
pub(super) fn is_blocked_for_all(snapshot: &Snapshot, question: &Question) -> bool {
    if snapshot.lists.is_empty() {
        return false;
    }
    let found = snapshot.lists.find(question.name.as_wire(), question.rtype);
    !found.is_nothing() && snapshot.is_blocked_in_all_views(&found)
}

/// Notes the lists that have the name and are not in force, for an explanation.
fn note_out_of_force(case: &Case<'_>, name: &Name) {
    if !case.recorder.is_on() {
        return;
    }
    let lists = &case.snapshot.lists;
    let found = lists.find(name.as_wire(), case.request.question.rtype);
    for list in found.all().each() {
        if let Some(why) = case.view().why_out_of_force(lists.name(list), &case.snapshot.moment) {
            let (name, list, why) = (name.clone(), lists.name(list).to_owned(), why.to_string());
            case.recorder.note(|| Note::OutOfForce { name, list, why });
        }
    }
}

fn verdict(case: &Case<'_>, name: &Name) -> ListVerdict {
    let found = case.snapshot.lists.find(name.as_wire(), case.request.question.rtype);
    if found.is_nothing() { ListVerdict::Pass } else { case.snapshot.verdict(case.view, &found) }
}

fn applied(case: &Case<'_>, name: &Name, verdict: ListVerdict) -> Option<Applied> {
    let question = &case.request.question;
    let ttl = case.snapshot.policy.block_ttl;
    match verdict {
        ListVerdict::Pass => None,
        ListVerdict::Allowed(list) => {
            note(case, name, list, ListAct::Allows);
            None
        }
        ListVerdict::Blocked(list) => {
            note(case, name, list, ListAct::Blocks);
            Some(Applied::Reply(block_outcome(case, Some(list))))
        }
        ListVerdict::Rewritten(list, rewrite) => {
            note(case, name, list, ListAct::Rewrites);
            Some(match rewrite {
                Rewrite::Addresses(addresses) => Applied::Reply(chosen(of_addresses(&addresses, question, ttl))),
                Rewrite::Rcode(rcode) => Applied::Reply(chosen(of_rcode(rcode, question, ttl))),
                Rewrite::Alias(target) => to_alias(case, target, ttl),
            })
        }
    }
}

fn of_rcode(rcode: Rcode, question: &Question, ttl: u32) -> Blocked {
    use crate::config::BlockAnswer::{NoData, NxDomain};
    match rcode {
        Rcode::NXDOMAIN => blocked(&NxDomain, question, ttl),
        Rcode::NOERROR => blocked(&NoData, question, ttl),
        rcode => Blocked { rcode, answers: Vec::new(), authority: Vec::new() },
    }
}

/// The target is looked up only for those who may have it looked up.
fn to_alias(case: &Case<'_>, target: Name, ttl: u32) -> Applied {
    let question = &case.request.question;
    let set = alias(&question.name, &target, ttl);
    if matches!(question.rtype, Rtype::CNAME | Rtype::ANY) || case.why_not_recurse().is_some() {
        return Applied::Reply(chosen(Blocked { rcode: Rcode::NOERROR, answers: vec![set], authority: Vec::new() }));
    }
    let begun = LocalAnswer {
        zone: question.name.clone(),
        source: LocalSource::Listed,
        rcode: Rcode::NOERROR,
        answers: vec![set],
        authority: Vec::new(),
        onward: Some(target),
    };
    Applied::Alias(Box::new(begun), Box::new(Rewritten { soa: None, ede: None, action: None, keeps_data: false }))
}

/// What this server answers on its own account.
fn chosen(given: Blocked) -> Outcome {
    let Blocked { rcode, answers, authority } = given;
    Outcome {
        rcode: Some(rcode),
        security: Security::Insecure,
        answers,
        authority,
        own: true,
        source: Source::Policy,
        repeatable: true,
        ..Outcome::default()
    }
}

fn block_outcome(case: &Case<'_>, list: Option<ListId>) -> Outcome {
    let policy = &case.snapshot.policy;
    let given = blocked(&case.view().block_answer, &case.request.question, policy.block_ttl);
    let is_structured = case.request.edns.is_some_and(|edns| edns.structured_errors);
    let reason = list.and_then(|list| case.snapshot.reasons.of(list));
    let ede = reason.map(|reason| if is_structured { &reason.structured } else { &reason.plain });
    Outcome { list, edes: ede.cloned().into_iter().collect(), ..chosen(given) }
}

#[inline(never)]
fn note(case: &Case<'_>, name: &Name, list: ListId, verdict: ListAct) {
    case.recorder.note(|| Note::OnList { name: name.clone(), list: case.snapshot.lists.name(list).to_owned(), verdict });
}
