//! Which list, line and rule decides for a name. The table knows the list alone; the file is read again for the line.

use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::source::Source;
use super::state::ListState;
use crate::policy::{Found, ListId, ListSet, ListVerdict, Lists, Moment, Reach, Rewrite, Rule, ViewId, Views};
use crate::record::{Name, Rtype};

/// For whom and when.
pub(super) struct Asked<'a> {
    pub(super) views: &'a Views,
    pub(super) moment: &'a Moment,
    /// `None`: a client of no view.
    pub(super) client: Option<IpAddr>,
}

/// What follows for a name, for the client and for those of each view.
pub(super) fn which(name: &Name, asked: &Asked<'_>, lists: &Lists, states: &[ListState], state_folder: Option<&Path>) -> Value {
    let found = lists.find(name.as_wire(), Rtype::A);
    let found = if found.is_nothing() { lists.find(name.as_wire(), Rtype::AAAA) } else { found };
    let Asked { views, moment, client } = *asked;
    let in_force = views.in_force(lists, moment);
    let judged = |view: usize| Judged::new(in_force.get(view).map_or(ListVerdict::Pass, |in_force| in_force.verdict(&found)));
    let view = client.map_or(ViewId::default(), |client| views.of(client, None));
    let here = judged(usize::from(view.0));
    let rules: Vec<Value> = (0u8..)
        .zip(states)
        .filter(|(at, _)| has(&found, ListId(*at)))
        .map(|(at, state)| {
            let mut rule = rule(name, state, state_folder, here.list == Some(ListId(at)));
            rule["out-of-force"] = json!(views.get(view).why_out_of_force(state.settings.name(), moment).map(|why| why.to_string()));
            rule
        })
        .collect();
    let in_views: Vec<Value> = views
        .names()
        .zip(1..)
        .map(|(name, at)| {
            let judged = judged(at);
            json!({ "view": name, "verdict": judged.verdict, "list": judged.list.map(|list| lists.name(list)) })
        })
        .collect();
    json!({
        "name": name.to_string(), "client": client, "view": Some(&views.get(view).name).filter(|name| !name.is_empty()),
        "verdict": here.verdict, "list": here.list.map(|list| lists.name(list)),
        "answer": here.answer, "rules": rules,
        "views": in_views,
    })
}

struct Judged {
    verdict: &'static str,
    list: Option<ListId>,
    /// What the rule answers, if it is other than what blocked names are answered with.
    answer: Option<String>,
}

impl Judged {
    fn new(verdict: ListVerdict) -> Judged {
        let (verdict, list, answer) = match verdict {
            ListVerdict::Pass => ("not-listed", None, None),
            ListVerdict::Allowed(list) => ("allowed", Some(list), None),
            ListVerdict::Blocked(list) => ("blocked", Some(list), None),
            ListVerdict::Rewritten(list, to) if to.is_block() => ("blocked", Some(list), Some(answer(&to))),
            ListVerdict::Rewritten(list, to) => ("rewritten", Some(list), Some(answer(&to))),
        };
        Judged { verdict, list, answer }
    }
}

fn has(found: &Found, list: ListId) -> bool {
    !found.all().and(ListSet::of(list)).is_empty()
}

/// The list's first line that is for the name, and its source.
pub(super) struct Place {
    pub(super) source: Option<String>,
    pub(super) line: Option<(u64, String)>,
}

pub(super) fn place(name: &Name, state: &ListState, state_folder: Option<&Path>) -> Place {
    let is_meant = |rule: &Rule<'_>| {
        let is_own = rule.name == name.as_wire();
        let is_above = !is_own && name.suffixes().any(|suffix| suffix == rule.name);
        !rule.cancels && ((is_own && rule.reach != Reach::Below) || (is_above && rule.reach != Reach::Name))
    };
    let line = Source::open(&state.settings, state_folder).ok().and_then(|mut source| source.line_of(&state.settings, &mut { is_meant }));
    Place { source: state.settings.source.as_ref().map(ToString::to_string), line }
}

fn rule(name: &Name, state: &ListState, state_folder: Option<&Path>, decides: bool) -> Value {
    let Place { source, line } = place(name, state, state_folder);
    let (number, text) = line.unzip();
    json!({
        "list": state.settings.name(), "source": source,
        "line": number, "text": text, "decides": decides,
    })
}

fn answer(to: &Rewrite) -> String {
    match to {
        Rewrite::Rcode(rcode) => rcode.to_string(),
        Rewrite::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Rewrite::Alias(name) => name.to_string(),
    }
}
