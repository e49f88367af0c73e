//! What the commands of `cairn list` tell, as JSON.

use serde_json::{Value, json};

use super::state::ListState;

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
        "empty": tally.empty, "skipped": tally.skipped, "reasons": reasons, "problem": state.problem, "loaded": state.is_loaded,
    })
}
