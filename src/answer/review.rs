//! Changes to an outcome before it goes to the client: the rebinding guard removes addresses, addresses are added, data of
//! closed zones is removed, the agent for error reports is named.

use super::case::Case;
use super::explained::Note;
use super::failure_log::Subject;
use super::listed;
use super::outcome::Outcome;
use super::refusal::Refusal;
use super::reply::pointed_at;
use crate::authority;
use crate::limits::clients::ADDITIONAL_NAMES_MAX;
use crate::policy::Verdict;
use crate::record::{Name, Question, RrSet, Rtype, Security};

/// Removes private addresses from answers for public names.
pub(super) fn rebinding_guard(case: &Case<'_>, outcome: &mut Outcome) {
    if outcome.own || outcome.answers.is_empty() {
        return;
    }
    let (snapshot, question) = (case.snapshot, &case.request.question);
    let is_hosted = |name: &Name| snapshot.zones.find(name.as_wire()).is_some() || case.local_data().has(name);
    // An alias from a hosted zone to localhost is the operator's choice; one from a public name is the attack.
    let may_be_local = is_hosted(&question.name);
    let mut reason = None;
    outcome.answers.retain_mut(|set| {
        if is_hosted(&set.name) || (may_be_local && snapshot.policy.special_use.find(set.name.as_wire()).is_some()) {
            return true;
        }
        match check_rebinding(case, set) {
            Verdict::Clean => true,
            Verdict::Stripped { kept, dropped } => {
                case.recorder.note(|| Note::Stripped { name: set.name.clone(), rtype: set.rtype, dropped });
                reason.get_or_insert_with(|| {
                    let zone_cut = case.resolver.known_servers(&question.name).map(|servers| servers.name);
                    snapshot.policy.rebinding.reason(&question.name, dropped, zone_cut.as_ref())
                });
                match kept {
                    Some(kept) => *set = kept,
                    None => return false,
                }
                true
            }
        }
    });
    if let Some(ede) = reason {
        if case.service.may_log(Subject::Filtered, question) {
            let (name, rtype) = (&question.name, question.rtype);
            tracing::info!(event = "answer-filtered", %name, "type" = %rtype, reason = ede.text, "{question} is filtered: {}", ede.text);
        }
        outcome.security = Security::Insecure;
        outcome.edes.push(ede);
        outcome.repeatable = false;
    }
}

/// A hosted zone may name an agent for error reports in its replies (RFC 9567 5.1).
pub(super) fn report_agent(case: &Case<'_>, outcome: &mut Outcome) {
    outcome.name_report_agent(case.snapshot.report_agent(&case.request.question.name));
}

/// A name with a rule of its own is not public: neither the query name, nor a name to which a public alias leads. The names
/// that follow in the alias chain are judged by themselves.
fn check_rebinding(case: &Case<'_>, set: &RrSet) -> Verdict {
    let question = &case.request.question;
    let is_ruled = |name: &Name| case.routes().rule_for(name).is_some_and(|rule| !rule.zone.is_root());
    match is_ruled(&question.name) || is_ruled(&set.name) {
        true => Verdict::Clean,
        false => case.snapshot.policy.rebinding.check(&question.name, set),
    }
}

/// Adds addresses for an MX, SRV, NS or SVCB answer: from hosted zones, or from the cache if they may be given as an answer.
/// Glue is never used.
pub(super) fn additional_addresses(case: &Case<'_>, outcome: &mut Outcome) {
    if outcome.own || outcome.answers.is_empty() || !outcome.additional.is_empty() {
        return;
    }
    let now = case.service.resolve.clock.boot();
    // AD covers the whole reply: addresses that are not validated are left out of a secure answer.
    let is_secure = outcome.security == Security::Secure;
    let fits = |security: Security| security == Security::Secure || !is_secure && security != Security::Bogus;
    let mut found = Vec::new();
    let names = outcome.answers.iter().flat_map(pointed_at).filter(|name| !listed::is_blocked(case, name));
    for name in names.take(ADDITIONAL_NAMES_MAX) {
        for rtype in [Rtype::A, Rtype::AAAA] {
            match authority::answer(&case.snapshot.zones, &Question::new(name.clone(), rtype), 0) {
                Some(own) => found.extend(own.answers.into_iter().filter(|set| set.name == name && set.rtype == rtype)),
                None => {
                    let cached = case.cache().sets().get(&name, rtype, now);
                    let usable = cached.filter(|cached| cached.rank.may_answer() && fits(cached.security)).map(|cached| cached.set);
                    found.extend(usable.filter(|set| check_rebinding(case, set) == Verdict::Clean));
                }
            }
        }
    }
    outcome.additional = found;
}

/// An alias can be of anybody's making: it opens no zone that the question itself would not. The chain ends in front of such
/// a zone, as in BIND: what comes before it is the client's to have, and the zone's data and denials are not.
pub(super) fn closed_zones(case: &Case<'_>, outcome: &mut Outcome) {
    let (snapshot, rtype) = (case.snapshot, case.request.question.rtype);
    if !snapshot.has_restricted_zones() {
        return;
    }
    let led_into = aliases_followed(outcome).filter_map(|(at, target)| Some((at, snapshot.restricted(target.as_wire(), rtype)?, target)));
    let led_into: Vec<(usize, &Name, Name)> = led_into.collect();
    let is_added = outcome.additional.iter().any(|set| snapshot.restricted(set.name.as_wire(), set.rtype).is_some());
    if led_into.is_empty() && !is_added {
        return;
    }
    // A ready answer is found by the query name, which does not show whose data is in it.
    outcome.repeatable = false;
    if let Some((at, apex, target)) = led_into.into_iter().find(|(_, apex, _)| !case.may_ask_zone(apex)) {
        let refusal = Refusal::Zone(apex.clone());
        case.recorder.note(|| Note::NotFollowed { target, refused: case.refused(&refusal) });
        outcome.end_at(at, &refusal);
    }
    outcome.additional.retain(|set| snapshot.restricted(set.name.as_wire(), set.rtype).is_none_or(|apex| case.may_ask_zone(apex)));
}

/// The aliases of the answer that were followed, each with its place and its target.
fn aliases_followed(outcome: &Outcome) -> impl Iterator<Item = (usize, Name)> {
    let is_alias = |set: &&RrSet| set.rtype == Rtype::CNAME;
    let targets = outcome.answers.iter().enumerate().filter(move |(_, set)| is_alias(set));
    // A CNAME that was asked for is not followed: the reply has no data of its target.
    let is_followed = |target: &Name| !outcome.authority.is_empty() || outcome.answers.iter().any(|set| set.name == *target);
    targets.filter_map(|(at, set)| Some((at, set.target()?))).filter(move |(_, target)| is_followed(target))
}
