//! Which list, line and rule decides for a name. The table knows the list alone; the file is read again for the line.

use std::path::Path;

use serde_json::{Value, json};

use super::source::Source;
use super::state::ListState;
use crate::policy::{Found, ListId, ListSet, ListVerdict, Lists, Reach, Rewrite, Rule};
use crate::record::{Name, Rtype};

/// What follows for a name where all lists are in force.
pub(super) fn which(name: &Name, lists: &Lists, states: &[ListState], state_folder: Option<&Path>) -> Value {
    let found = lists.find(name.as_wire(), Rtype::A);
    let found = if found.is_nothing() { lists.find(name.as_wire(), Rtype::AAAA) } else { found };
    let verdict = match found.verdict(ListSet::ALL) {
        ListVerdict::Pass => "not-listed",
        ListVerdict::Allowed(_) => "allowed",
        ListVerdict::Blocked(_) => "blocked",
        ListVerdict::Rewritten(..) => "rewritten",
    };
    let decides = match found.verdict(ListSet::ALL) {
        ListVerdict::Pass => None,
        ListVerdict::Allowed(list) | ListVerdict::Blocked(list) | ListVerdict::Rewritten(list, _) => Some(list),
    };
    let rules: Vec<Value> = (0u8..)
        .zip(states)
        .filter(|(at, _)| has(&found, ListId(*at)))
        .map(|(at, state)| rule(name, state, state_folder, decides == Some(ListId(at))))
        .collect();
    json!({ "name": name.to_string(), "verdict": verdict, "list": decides.map(|list| lists.name(list)), "answer": answer(&found), "rules": rules })
}

fn has(found: &Found, list: ListId) -> bool {
    !found.all().and(ListSet::of(list)).is_empty() || found.rewrite.as_ref().is_some_and(|rewrite| rewrite.0 == list)
}

/// The list's first line that is for the name.
fn rule(name: &Name, state: &ListState, state_folder: Option<&Path>, decides: bool) -> Value {
    let is_meant = |rule: &Rule<'_>| {
        let is_own = rule.name == name.as_wire();
        let is_above = !is_own && name.suffixes().any(|suffix| suffix == rule.name);
        !rule.cancels && ((is_own && rule.reach != Reach::Below) || (is_above && rule.reach != Reach::Name))
    };
    let line = Source::open(&state.settings, state_folder).ok().and_then(|mut source| source.line_of(&state.settings, &mut { is_meant }));
    let (number, text) = line.unzip();
    json!({
        "list": state.settings.name(), "source": state.settings.source.as_ref().map(ToString::to_string),
        "line": number, "text": text, "decides": decides,
    })
}

fn answer(found: &Found) -> Option<String> {
    found.rewrite.as_ref().map(|rewrite| match &rewrite.1 {
        Rewrite::Rcode(rcode) => rcode.to_string(),
        Rewrite::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Rewrite::Alias(name) => name.to_string(),
    })
}
