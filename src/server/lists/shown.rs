//! What the commands of `cairn list` tell, as JSON.

use serde_json::{Value, json};

use super::state::ListState;
use crate::policy::{Found, ListSet, ListVerdict, Lists, Rewrite};
use crate::record::Name;

/// One list, for `cairn list status`.
pub(super) fn status(state: &ListState, names: u64) -> Value {
    let tally = &state.tally;
    let reasons: Vec<Value> = tally
        .reasons
        .iter()
        .map(|(reason, skipped)| {
            let examples: Vec<Value> = skipped.examples.iter().map(|(line, text)| json!({ "line": line, "text": text })).collect();
            json!({ "reason": reason.to_string(), "count": skipped.count, "examples": examples })
        })
        .collect();
    json!({
        "name": state.settings.name(), "source": state.settings.source.as_ref().map(ToString::to_string), "names": names,
        "lines": tally.lines, "blocked": tally.blocked, "exceptions": tally.exceptions, "comments": tally.comments,
        "empty": tally.empty, "skipped": tally.skipped, "reasons": reasons, "problem": state.problem,
    })
}

/// What follows for a name where all lists are in force, and which lists have it.
pub(super) fn which(name: &Name, found: &Found, lists: &Lists) -> Value {
    if found.is_nothing() {
        return json!({ "name": name.to_string(), "verdict": "not-listed" });
    }
    let (verdict, by) = match found.verdict(ListSet::ALL) {
        ListVerdict::Pass => ("not-listed", None),
        ListVerdict::Allowed(list) => ("allowed", Some(list)),
        ListVerdict::Blocked(list) => ("blocked", Some(list)),
        ListVerdict::Rewritten(list, _) => ("rewritten", Some(list)),
    };
    let answer = found.rewrite.as_ref().map(|rewrite| match &rewrite.1 {
        Rewrite::Rcode(rcode) => rcode.to_string(),
        Rewrite::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Rewrite::Alias(name) => name.to_string(),
    });
    json!({ "name": name.to_string(), "verdict": verdict, "list": by.map(|list| lists.name(list).to_owned()), "answer": answer })
}
