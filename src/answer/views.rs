//! Views in the pipeline: safe search, and whether an answer is the same in all views.

use super::case::Case;
use super::explained::Note;
use super::outcome::Outcome;
use super::request::Request;
use super::rewritten::{Applied, Rewritten};
use super::snapshot::Snapshot;
use crate::config::SafeSearch;
use crate::metrics::Source;
use crate::policy::{ViewId, alias, safe_search as engine};
use crate::record::{Name, Question, Rcode, RrSet, Rtype, Security, rdata_names};
use crate::resolve::{LocalAnswer, LocalSource};

/// TTL of the alias: the name that it leads to has not changed in years, and the view may.
const ALIAS_TTL_S: u32 = 300;

/// The beginning of the answer for a search engine's name.
pub(super) fn safe_search(case: &Case<'_>) -> Option<Applied> {
    let question = &case.request.question;
    // Those who may not have the target looked up are refused as for any other name.
    if case.why_not_recurse().is_some() {
        return None;
    }
    let begun = safe_target(case.snapshot, case.view, question)?;
    case.recorder.note(|| Note::SafeSearch { name: question.name.clone(), target: begun.onward.clone().unwrap_or_else(Name::root) });
    if matches!(question.rtype, Rtype::CNAME | Rtype::ANY) {
        let base = Outcome { own: true, source: Source::Policy, security: Security::Insecure, repeatable: true, ..Outcome::default() };
        return Some(Applied::Reply(Outcome { answers: begun.answers, ..base }));
    }
    Some(Applied::Alias(
        Box::new(begun),
        Box::new(Rewritten { soa: None, ede: None, action: None, list: None, keeps_data: true, is_for_policies: true }),
    ))
}

/// The alias that the view has in place of the name's own data.
pub(super) fn safe_target(snapshot: &Snapshot, view: ViewId, question: &Question) -> Option<LocalAnswer> {
    let form = snapshot.policy.views.get(view).safe_search;
    let is_concerned = matches!(question.rtype, Rtype::A | Rtype::AAAA | Rtype::HTTPS | Rtype::SVCB | Rtype::CNAME | Rtype::ANY);
    if form == SafeSearch::Off || !is_concerned {
        return None;
    }
    let target = engine(&question.name, form)?;
    Some(LocalAnswer {
        zone: question.name.clone(),
        source: LocalSource::Listed,
        rcode: Rcode::NOERROR,
        answers: vec![alias(&question.name, &target, ALIAS_TTL_S)],
        authority: Vec::new(),
        onward: Some(target),
    })
}

/// Whether clients of another view may get another answer: some view treats one of its names differently. Such an answer is kept
/// for the view alone.
pub(super) fn differ(snapshot: &Snapshot, request: &Request, view: ViewId, outcome: &Outcome) -> bool {
    let views = &snapshot.policy.views;
    if views.is_one() {
        return false;
    }
    // What a view looks up apart may depend on its servers in ways that no name in the answer shows.
    if snapshot.view_routes.of(view).is_some() {
        return true;
    }
    let rtype = request.question.rtype;
    // DNS64 makes AAAA records of A records, so whatever is special for A is so for AAAA.
    let made_of: &[Rtype] = if rtype == Rtype::AAAA { &[Rtype::AAAA, Rtype::A] } else { &[rtype] };
    let sets = || outcome.answers.iter().chain(&outcome.additional);
    let targets = sets().flat_map(targets);
    let names = [request.question.name.clone()].into_iter().chain(sets().map(|set| set.name.clone())).chain(targets);
    let is_special = |name: Name| {
        let is_listed = |rtype| !snapshot.lists.is_empty() && !snapshot.lists.find(name.as_wire(), rtype).is_nothing();
        let is_own = |rtype| views.concern(&Question::new(name.clone(), rtype), &snapshot.policy.local_data);
        made_of.iter().any(|rtype| is_listed(*rtype) || is_own(*rtype))
    };
    // What response policy zones look at is more than names, and most of it is not in the outcome.
    views.differ_in_rpz && !snapshot.policies.is_empty() || outcome.list.is_some() || names.into_iter().any(is_special)
}

/// The names that the records of the set point to.
fn targets(set: &RrSet) -> impl Iterator<Item = Name> {
    set.data.iter().filter_map(|rdata| Name::from_wire(rdata_names(set.rtype, rdata).next()?).ok())
}
