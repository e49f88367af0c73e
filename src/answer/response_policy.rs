//! Response policy zones (draft-vixie-dnsop-dns-rpz-00) in the pipeline: one rule before the look-up, and one review after it.
//!
//! The rule decides what client and query name alone decide. After the look-up all is compared once more, with the aliases of the
//! answer, its addresses, and the name servers on the way to its data. What is shared by clients, the cache and walks in progress,
//! never sees a rewritten answer.

use super::Transport;
use super::case::Case;
use super::client_rights::Requester;
use super::explained::Note;
use super::failure_log::Subject;
use super::listed;
use super::outcome::{Delivery, Outcome};
use super::rewritten::{Applied, Rewritten};
use crate::metrics::{PolicyAction, Source};
use crate::policy::{Action, Decided, Facts, LocalAction, NameServer, PolicySet, RuleMatch, Step, Trigger, decide};
use crate::record::{Ede, EdeCode, Name, Question, Rcode, RdataList, RrSet, Rtype, Security};
use crate::resolve::{LocalAnswer, LocalSource};
use crate::wire::Flags;

/// What a rule for the client or the query name makes of the response, if nothing in the response can precede it.
pub(super) fn name_or_client(case: &Case<'_>) -> Option<Applied> {
    if case.snapshot.policies.is_empty() { None } else { name_or_client_of_some(case) }
}

#[inline(never)]
fn name_or_client_of_some(case: &Case<'_>) -> Option<Applied> {
    let set = in_force(case)?;
    if listed::is_allowed(case, &case.request.question.name) {
        return None;
    }
    let first = Step { name: case.request.question.name.clone(), addresses: Vec::new(), servers: Vec::new() };
    let facts = Facts { steps: vec![first], is_resolved: false, is_signed: false, ..facts_of(case) };
    let mut logged = Vec::new();
    let Decided::Rule(found) = decide(&case.snapshot.policies, set, &facts, &mut logged) else { return None };
    // Where the rule leaves the response as it is, the pipeline goes on, and `judge` comes to the same result.
    let applied = applied(case, &found, &[])?;
    log_only(case, &logged);
    log(case, &found);
    Some(applied)
}

/// All rules, with all that the response shows.
pub(super) fn judge(case: &Case<'_>, outcome: Outcome) -> Applied {
    if case.snapshot.policies.is_empty() { Applied::Reply(outcome) } else { judge_by_some(case, outcome) }
}

#[inline(never)]
fn judge_by_some(case: &Case<'_>, mut outcome: Outcome) -> Applied {
    let Some(set) = in_force(case) else { return Applied::Reply(outcome) };
    let (steps, places) = steps_of(case, set, &outcome);
    let is_signed = outcome.answers.iter().any(|set| !set.sigs.is_empty()) || outcome.authority.iter().any(|set| !set.sigs.is_empty());
    let facts = Facts { steps, is_resolved: true, is_signed, ..facts_of(case) };
    let mut logged = Vec::new();
    let decided = decide(&case.snapshot.policies, set, &facts, &mut logged);
    log_only(case, &logged);
    let Decided::Rule(found) = decided else { return Applied::Reply(outcome) };
    log(case, &found);
    // What comes before the alias target that the rule is for stays.
    let before = places.get(found.step).copied().unwrap_or(0);
    applied(case, &found, outcome.answers.get(..before).unwrap_or_default()).unwrap_or_else(|| {
        // TCP-ONLY over TCP: over UDP the same question is answered otherwise.
        outcome.repeatable &= !matches!(found.action, Action::TcpOnly);
        Applied::Reply(outcome)
    })
}

/// The zones whose rules apply to the request; `None`: it is not for rules. Section 6 of the draft: queries without RD are not.
fn in_force(case: &Case<'_>) -> Option<PolicySet> {
    case.request.wants(Flags::RD).then(|| case.view().rpz)
}

fn facts_of(case: &Case<'_>) -> Facts {
    let client = match case.requester {
        Requester::Client(client) => Some(client.to_canonical()),
        Requester::Operator => None,
    };
    Facts { client, steps: Vec::new(), is_resolved: false, dnssec_ok: case.request.dnssec_ok(), is_signed: false }
}

/// The places of the alias chain, each with the number of RRsets of the answer that come before it. Names of hosted zones and of
/// `local-data` are the operator's own, so no rule applies to them, nor to names with an alias that a list has made; a list that allows a
/// name ends the chain for rules.
fn steps_of(case: &Case<'_>, set: PolicySet, outcome: &Outcome) -> (Vec<Step>, Vec<usize>) {
    let Question { name, rtype, .. } = &case.request.question;
    let policies = &case.snapshot.policies;
    let wants_servers = policies.has(set, Trigger::Nsdname) || policies.has(set, Trigger::Nsip);
    let is_own = |name: &Name| case.snapshot.zones.find(name.as_wire()).is_some() || case.local_data().has(name);
    let (mut steps, mut places) = (Vec::new(), Vec::new());
    let (mut here, mut before) = (name.clone(), 0);
    for _ in 0..=case.snapshot.aliases_max {
        let own = outcome.answers.iter().filter(|set| set.name == here);
        let has_records = own.clone().next().is_some();
        if listed::is_allowed(case, &here) {
            break;
        }
        if !is_own(&here) && !listed::has_made_alias(case, &here, outcome) {
            let servers = if wants_servers && has_records { case.resolver.data_path(&here) } else { Vec::new() };
            let servers = servers.into_iter().map(|(name, addresses)| NameServer { name, addresses }).collect();
            steps.push(Step { name: here.clone(), addresses: own.clone().flat_map(RrSet::reachable_addresses).collect(), servers });
            places.push(before);
        }
        // Section 5.1: a CNAME that was asked for is not followed.
        let alias = outcome.answers.iter().position(|set| set.name == here && set.rtype == Rtype::CNAME);
        let Some(at) = alias.filter(|_| !matches!(*rtype, Rtype::CNAME | Rtype::ANY)) else { break };
        let Some(target) = outcome.answers[at].target() else { break };
        (here, before) = (target, at + 1);
    }
    (steps, places)
}

/// What the rule makes of the response; `None`: nothing. `before`: the aliases that lead to the name that it is for.
fn applied(case: &Case<'_>, found: &RuleMatch<'_>, before: &[RrSet]) -> Option<Applied> {
    let zone = case.snapshot.policies.get(found.place)?;
    let soa = zone.rules.as_ref()?.soa();
    let without_sigs = |set: &RrSet| RrSet { sigs: RdataList::new(), ..set.clone() };
    let answers: Vec<RrSet> = before.iter().map(without_sigs).collect();
    let name = match answers.iter().rev().find(|set| set.rtype == Rtype::CNAME) {
        Some(alias) => alias.target().unwrap_or_else(|| case.request.question.name.clone()),
        None => case.request.question.name.clone(),
    };
    let ede = |code: EdeCode| Ede::new(code, format!("response policy zone {}", zone.name));
    let reply = |rcode: Rcode, answers: Vec<RrSet>, code: EdeCode, action: PolicyAction| {
        let is_denial = code == EdeCode::BLOCKED;
        Applied::Reply(Outcome {
            rcode: Some(rcode),
            security: Security::Insecure,
            answers,
            // For RFC 2308 5; section 6 of the draft has the record among the additional ones.
            authority: if is_denial { vec![soa.clone()] } else { Vec::new() },
            additional: vec![soa.clone()],
            edes: vec![ede(code)],
            own: true,
            source: Source::Policy,
            policy: Some(action),
            ..Outcome::default()
        })
    };
    let without_records = |delivery: Delivery, action: PolicyAction| {
        Applied::Reply(Outcome { delivery, own: true, source: Source::Policy, policy: Some(action), ..Outcome::default() })
    };
    Some(match &found.action {
        Action::Passthru => return None,
        Action::TcpOnly if case.request.transport != Transport::Udp => return None,
        Action::TcpOnly => without_records(Delivery::Truncated, PolicyAction::TcpOnly),
        Action::Drop => without_records(Delivery::None, PolicyAction::Drop),
        Action::NxDomain => reply(Rcode::NXDOMAIN, answers, EdeCode::BLOCKED, PolicyAction::NxDomain),
        Action::NoData => reply(Rcode::NOERROR, answers, EdeCode::BLOCKED, PolicyAction::NoData),
        Action::Alias(..) | Action::Data(_) => match found.action.local(&name, case.request.question.rtype) {
            Some(LocalAction::Sets(sets)) => {
                reply(Rcode::NOERROR, [answers, sets].concat(), EdeCode::FORGED_ANSWER, PolicyAction::LocalData)
            }
            Some(LocalAction::Alias { set, target }) => {
                let begun = LocalAnswer {
                    zone: zone.name.clone(),
                    source: LocalSource::Listed,
                    rcode: Rcode::NOERROR,
                    answers: [answers, vec![set]].concat(),
                    authority: Vec::new(),
                    onward: Some(target),
                };
                Applied::Alias(Box::new(begun), {
                    let (soa, ede) = (Some(soa), Some(ede(EdeCode::FORGED_ANSWER)));
                    Box::new(Rewritten {
                        soa,
                        ede,
                        action: Some(PolicyAction::LocalData),
                        list: None,
                        keeps_data: false,
                        is_for_policies: false,
                    })
                })
            }
            Some(LocalAction::NoData) | None => reply(Rcode::NOERROR, answers, EdeCode::BLOCKED, PolicyAction::NoData),
            Some(LocalAction::TooLong) => reply(Rcode::NXDOMAIN, answers, EdeCode::BLOCKED, PolicyAction::NxDomain),
        },
    })
}

fn note(case: &Case<'_>, found: &RuleMatch<'_>, is_log_only: bool) {
    case.recorder.note(|| Note::PolicyRule {
        zone: case.snapshot.policies.get(found.place).map_or_else(Name::root, |zone| zone.name.clone()),
        trigger: found.trigger,
        owner: found.owner.clone(),
        action: found.action.to_string(),
        is_log_only,
    });
}

fn log(case: &Case<'_>, found: &RuleMatch<'_>) {
    note(case, found, false);
    let (question, owner, action) = (&case.request.question, &found.owner, &found.action);
    tracing::debug!(event = "response-policy", name = %question.name, "type" = %question.rtype, rule = %owner, %action, "{question}: rule {owner}: {action}");
}

fn log_only(case: &Case<'_>, logged: &[RuleMatch<'_>]) {
    for found in logged {
        note(case, found, true);
        let question = &case.request.question;
        if case.service.may_log(Subject::Filtered, question) {
            let (owner, action) = (&found.owner, &found.action);
            tracing::info!(
                event = "response-policy-log-only", name = %question.name, "type" = %question.rtype, rule = %owner, %action,
                "{question}: rule {owner} would answer {action} ({})", found.trigger
            );
        }
    }
}
