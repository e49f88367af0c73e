//! What the commands of `cairn list` tell, as JSON.

use serde_json::{Value, json};

use super::schedule::{Ended, FetchState};
use super::state::ListState;
use crate::env::{BootTime, WallTime};

/// One list, for `cairn list status`; `fetch`: how it is fetched.
pub(super) fn status(state: &ListState, names: u64, fetch: Option<&FetchState>, now: (BootTime, WallTime)) -> Value {
    let tally = &state.tally;
    let reasons: Vec<Value> = tally
        .reasons
        .iter()
        .map(|(reason, skipped)| {
            let examples: Vec<Value> = skipped.examples.iter().map(|(line, text)| json!({ "line": line, "text": text })).collect();
            json!({ "reason": reason.to_string(), "count": skipped.count, "examples": examples })
        })
        .collect();
    let mut shown = json!({
        "name": state.settings.name(), "source": state.settings.source.as_ref().map(ToString::to_string), "names": names,
        "lines": tally.lines, "blocked": tally.blocked, "exceptions": tally.exceptions, "comments": tally.comments,
        "empty": tally.empty, "skipped": tally.skipped, "reasons": reasons, "problem": state.problem, "loaded": state.is_loaded,
    });
    if let Some(fetch) = fetch {
        shown["fetch"] = fetch_status(fetch, now);
    }
    shown
}

/// Times in seconds from now, or before now.
fn fetch_status(fetch: &FetchState, (boot, wall): (BootTime, WallTime)) -> Value {
    let ago = |at: WallTime| wall.0.saturating_sub(at.0);
    let last = fetch.ended.as_ref();
    json!({
        "age": fetch.fetched.map(ago), "last-try": last.map(|ended| ago(ended.at)), "under-way": fetch.is_under_way,
        "http-status": last.and_then(|ended: &Ended| ended.http_status), "problem": last.and_then(|ended| ended.problem.as_ref()),
        "next-try": (!fetch.is_under_way).then(|| fetch.due.since(boot).as_secs()), "failures": fetch.failures,
    })
}
