//! Lists of names in the pipeline: one rule before the look-up, and one review after it, which looks at each place of the alias
//! chain and at the names that SVCB and HTTPS records point to.
//!
//! The first name of the chain that a list in force has decides: an exception there lets the rest through. A name that is blocked
//! replaces the whole answer, for the name in the question, unsigned; the cache and shared walks never see it. What the alias of a
//! list or of a response policy zone leads to is looked at as any other.

use std::net::IpAddr;

use super::case::Case;
use super::explained::{ListAct, Note};
use super::outcome::Outcome;
use super::rewritten::{Applied, Rewritten};
use super::snapshot::Snapshot;
use crate::metrics::Source;
use crate::policy::{Blocked, ListId, ListSet, ListVerdict, Listed, Rewrite, alias, blocked, leads_nowhere, of_addresses};
use crate::record::{Class, Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::{Cause, Failure, LocalAnswer, LocalSource};

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
    // What the alias of a list led to is looked at; what a list has given whole is not.
    let is_given_whole = matches!(outcome.list, Some(Listed::Blocked(_) | Listed::Redirected(_)));
    if !case.rights.allowed || case.request.class != Class::IN || is_given_whole {
        return;
    }
    for name in names_of(case, outcome) {
        if name != case.request.question.name {
            note_out_of_force(case, &name);
        }
        let instead = match verdict(case, &name) {
            ListVerdict::Pass => continue,
            ListVerdict::Allowed(list) => return note(case, &name, list, ListAct::Allows),
            // What the lists have for the question itself has been done before the look-up, whatever came of it.
            ListVerdict::Rewritten(_, Rewrite::Alias(target))
                if name == case.request.question.name || has_alias(outcome, &name, &target) =>
            {
                continue;
            }
            // There is no second look-up for an alias in the middle of a chain: the name is blocked.
            ListVerdict::Rewritten(list, Rewrite::Alias(_)) | ListVerdict::Blocked(list) => {
                note(case, &name, list, ListAct::Blocks);
                block_outcome(case, list)
            }
            ListVerdict::Rewritten(list, Rewrite::Addresses(addresses)) => to_addresses(case, &name, list, &addresses),
            ListVerdict::Rewritten(list, Rewrite::Rcode(rcode)) => to_rcode(case, &name, list, rcode),
        };
        *outcome = instead;
        return;
    }
}

/// Whether a list has given the name the alias that it has in the answer.
pub(super) fn has_made_alias(case: &Case<'_>, name: &Name, outcome: &Outcome) -> bool {
    !case.snapshot.lists.is_empty()
        && matches!(verdict(case, name), ListVerdict::Rewritten(_, Rewrite::Alias(target)) if has_alias(outcome, name, &target))
}

fn has_alias(outcome: &Outcome, name: &Name, target: &Name) -> bool {
    let is_it = |set: &RrSet| set.name == *name && set.rtype == Rtype::CNAME && set.target().as_ref() == Some(target);
    outcome.answers.iter().any(is_it)
}

/// The names of the chain in their order, then those that service bindings and DNAME records point to; without names that are the
/// operator's own. An alias that was asked for itself (CNAME, ANY) is no way to see where a name leads.
fn names_of(case: &Case<'_>, outcome: &Outcome) -> Vec<Name> {
    let Question { name, .. } = &case.request.question;
    let snapshot = case.snapshot;
    let is_own = |name: &Name| snapshot.zones.find(name.as_wire()).is_some() || case.local_data().has(name);
    let mut names = vec![name.clone()];
    while names.len() <= snapshot.aliases_max + 1 {
        let Some(here) = names.last() else { break };
        let target = outcome.answers.iter().find(|set| set.name == *here && set.rtype == Rtype::CNAME).and_then(RrSet::target);
        match target.filter(|target| !names.contains(target)) {
            Some(target) => names.push(target),
            None => break,
        }
    }
    let points = |set: &&RrSet| matches!(set.rtype, Rtype::SVCB | Rtype::HTTPS) || set.rtype == Rtype::DNAME && set.name == *name;
    // RFC 9460 2.5: the root as target stands for the owner.
    let targets = outcome.answers.iter().filter(points).flat_map(targets).filter(|target| !target.is_root());
    names.extend(targets);
    names.retain(|name| !is_own(name));
    names
}

fn targets(set: &RrSet) -> impl Iterator<Item = Name> {
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
        let is_block = !matches!(found.verdict(ListSet::of(list)), ListVerdict::Allowed(_));
        if let Some(why) = case.view().why_out_of_force(lists.name(list), is_block, &case.snapshot.moment) {
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
    match verdict {
        ListVerdict::Pass => None,
        ListVerdict::Allowed(list) => {
            note(case, name, list, ListAct::Allows);
            None
        }
        ListVerdict::Blocked(list) => {
            note(case, name, list, ListAct::Blocks);
            Some(Applied::Reply(block_outcome(case, list)))
        }
        ListVerdict::Rewritten(list, Rewrite::Addresses(addresses)) => Some(Applied::Reply(to_addresses(case, name, list, &addresses))),
        ListVerdict::Rewritten(list, Rewrite::Rcode(rcode)) => Some(Applied::Reply(to_rcode(case, name, list, rcode))),
        ListVerdict::Rewritten(list, Rewrite::Alias(target)) => Some(to_alias(case, list, target)),
    }
}

fn to_addresses(case: &Case<'_>, name: &Name, list: ListId, addresses: &[IpAddr]) -> Outcome {
    let is_block = addresses.iter().all(|address| leads_nowhere(*address));
    note(case, name, list, if is_block { ListAct::Blocks } else { ListAct::Rewrites });
    let listed = if is_block { Listed::Blocked(list) } else { Listed::Redirected(list) };
    decided(case, listed, of_addresses(addresses, &case.request.question, case.snapshot.policy.block_ttl))
}

fn to_rcode(case: &Case<'_>, name: &Name, list: ListId, rcode: Rcode) -> Outcome {
    note(case, name, list, ListAct::Blocks);
    decided(case, Listed::Blocked(list), of_rcode(rcode, &case.request.question, case.snapshot.policy.block_ttl))
}

fn of_rcode(rcode: Rcode, question: &Question, ttl: u32) -> Blocked {
    use crate::config::BlockAnswer::{NoData, NxDomain};
    match rcode {
        Rcode::NXDOMAIN => blocked(&NxDomain, question, ttl),
        Rcode::NOERROR => blocked(&NoData, question, ttl),
        rcode => Blocked { rcode, answers: Vec::new(), authority: Vec::new() },
    }
}

/// Follows the aliases that lists make, one after another, until a name has none. It is looked up only for those who may have it
/// looked up.
fn to_alias(case: &Case<'_>, mut list: ListId, mut target: Name) -> Applied {
    let (question, snapshot) = (&case.request.question, case.snapshot);
    let is_own = |name: &Name| snapshot.zones.find(name.as_wire()).is_some() || case.local_data().has(name);
    let is_asked_for = matches!(question.rtype, Rtype::CNAME | Rtype::ANY);
    let mut answers: Vec<RrSet> = Vec::new();
    let mut here = question.name.clone();
    let failed = |target: Name, cause: Cause, list: ListId| {
        let outcome = Outcome::failed(&Failure::new(target, cause));
        Applied::Reply(Outcome { source: Source::Policy, list: Some(Listed::Aliased(list)), ..outcome })
    };
    loop {
        note(case, &here, list, ListAct::Rewrites);
        answers.push(alias(&here, &target, snapshot.policy.block_ttl));
        if answers.iter().any(|set| set.name == target) {
            return failed(target, Cause::AliasLoop, list);
        }
        if answers.len() > snapshot.aliases_max {
            return failed(target, Cause::AliasTooLong, list);
        }
        match verdict(case, &target) {
            _ if is_own(&target) => break,
            ListVerdict::Pass | ListVerdict::Allowed(_) => break,
            ListVerdict::Blocked(list) => {
                note(case, &target, list, ListAct::Blocks);
                return Applied::Reply(block_outcome(case, list));
            }
            ListVerdict::Rewritten(list, Rewrite::Addresses(addresses)) => {
                return Applied::Reply(to_addresses(case, &target, list, &addresses));
            }
            ListVerdict::Rewritten(list, Rewrite::Rcode(rcode)) => return Applied::Reply(to_rcode(case, &target, list, rcode)),
            ListVerdict::Rewritten(..) if is_asked_for => break,
            ListVerdict::Rewritten(next_list, Rewrite::Alias(next)) => (here, target, list) = (target, next, next_list),
        }
    }
    if is_asked_for || case.why_not_recurse().is_some() {
        return Applied::Reply(decided(case, Listed::Redirected(list), Blocked { rcode: Rcode::NOERROR, answers, authority: Vec::new() }));
    }
    let begun = LocalAnswer {
        zone: question.name.clone(),
        source: LocalSource::Listed,
        rcode: Rcode::NOERROR,
        answers,
        authority: Vec::new(),
        onward: Some(target),
    };
    let listed = Listed::Aliased(list);
    let ede = snapshot.reasons.ede(listed, false).cloned();
    let rewritten = Rewritten { soa: None, ede, action: None, list: Some(listed), keeps_data: false, is_for_policies: true };
    Applied::Alias(Box::new(begun), Box::new(rewritten))
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

fn block_outcome(case: &Case<'_>, list: ListId) -> Outcome {
    decided(case, Listed::Blocked(list), blocked(&case.view().block_answer, &case.request.question, case.snapshot.policy.block_ttl))
}

/// What a list says, with its reason.
fn decided(case: &Case<'_>, listed: Listed, given: Blocked) -> Outcome {
    let is_structured = case.request.edns.is_some_and(|edns| edns.structured_errors);
    let ede = case.snapshot.reasons.ede(listed, is_structured);
    Outcome { list: Some(listed), edes: ede.cloned().into_iter().collect(), ..chosen(given) }
}

#[inline(never)]
fn note(case: &Case<'_>, name: &Name, list: ListId, verdict: ListAct) {
    let rtype = case.request.question.rtype;
    case.recorder.note(|| Note::OnList { name: name.clone(), rtype, list: case.snapshot.lists.name(list).to_owned(), verdict });
}
