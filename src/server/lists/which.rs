//! What the lists say of a name, for `cairn list which`: the verdict, and the line that each list has the name by.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};

use super::deciding_line::Lines;
use super::other_rules::{OtherRules, OwnData};
use super::state::ListState;
use crate::policy::{Found, ListId, ListSet, ListVerdict, Lists, Moment, Rewrite, ViewId, Views};
use crate::record::{Name, Rtype};

/// What is asked, for whom and when.
pub(super) struct Asked<'a> {
    /// `None`: addresses of either family.
    pub(super) rtype: Option<Rtype>,
    pub(super) views: &'a Views,
    pub(super) moment: &'a Moment,
    /// `None`: a client of no view.
    pub(super) client: Option<IpAddr>,
    /// Where the client asks, if that is known.
    pub(super) at: Option<SocketAddr>,
    pub(super) others: &'a OtherRules<'a>,
}

/// What follows for a name, for the client and for those of each view.
pub(super) fn which(name: &Name, asked: &Asked<'_>, lists: &Lists, states: &[ListState], state_folder: Option<&Path>) -> Value {
    let Asked { views, moment, client, at, others, .. } = *asked;
    let (found, rtype) = found_for(name, asked.rtype, lists);
    let in_force = views.in_force(lists, moment);
    let judged = |view: ViewId| match others.own_data(name, view, views) {
        Some(own) => Judged::own(&own),
        None => Judged::new(in_force.get(usize::from(view.0)).map_or(ListVerdict::Pass, |in_force| in_force.verdict(&found))),
    };
    let view = client.map_or(ViewId::default(), |client| views.of(client, at));
    let here = judged(view);
    let is_in_force = |list: &str| views.get(view).why_out_of_force(list, false, moment).is_none();
    let lines = Lines { name, rtype, states, state_folder, is_in_force: &is_in_force }.deciding(found.all());
    let rules: Vec<Value> = (0u8..)
        .map(ListId)
        .zip(states)
        .filter(|(list, _)| !found.all().and(ListSet::of(*list)).is_empty())
        .map(|(list, state)| {
            let (number, text) = lines.get(&list).cloned().unzip();
            let is_block = !matches!(found.verdict(ListSet::of(list)), ListVerdict::Allowed(_));
            let out_of_force = views.get(view).why_out_of_force(state.settings.name(), is_block, moment);
            json!({
                "list": state.settings.name(), "source": state.settings.source.as_ref().map(ToString::to_string),
                "line": number, "text": text, "decides": here.list == Some(list),
                "out-of-force": out_of_force.map(|why| why.to_string()),
            })
        })
        .collect();
    let not_read: Vec<Value> = states
        .iter()
        .filter(|state| !state.is_loaded)
        .filter_map(|state| Some(json!({ "list": state.settings.name(), "problem": state.problem.as_ref()? })))
        .collect();
    let in_views: Vec<Value> = views
        .names()
        .zip((1u8..).map(ViewId))
        .map(|(name, view)| {
            let judged = judged(view);
            json!({ "view": name, "verdict": judged.verdict, "list": judged.list.map(|list| lists.name(list)) })
        })
        .collect();
    // What a list lets through, no response policy zone may change, and what a list answers is not for their rules.
    let policy_rule = (here.verdict == NOT_LISTED).then(|| others.policy_rule(name, client, view, views)).flatten();
    json!({
        "name": name.to_string(), "type": rtype.to_string(), "client": client,
        "view": Some(&views.get(view).name).filter(|name| !name.is_empty()),
        "verdict": here.verdict, "list": here.list.map(|list| lists.name(list)), "zone": here.zone,
        "answer": here.answer, "rules": rules, "policy-rule": policy_rule, "policy-zones-read": others.policies.is_some(),
        "views": in_views, "not-read": not_read,
    })
}

const NOT_LISTED: &str = "not-listed";

struct Judged {
    verdict: &'static str,
    list: Option<ListId>,
    /// The hosted zone that has the name.
    zone: Option<String>,
    /// What the rule answers, if it is other than what blocked names are answered with.
    answer: Option<String>,
}

impl Judged {
    fn new(verdict: ListVerdict) -> Judged {
        let (verdict, list, answer) = match verdict {
            ListVerdict::Pass => (NOT_LISTED, None, None),
            ListVerdict::Allowed(list) => ("allowed", Some(list), None),
            ListVerdict::Blocked(list) => ("blocked", Some(list), None),
            ListVerdict::Rewritten(list, to) if to.is_block() => ("blocked", Some(list), Some(answer(&to))),
            ListVerdict::Rewritten(list, to) => ("rewritten", Some(list), Some(answer(&to))),
        };
        Judged { verdict, list, zone: None, answer }
    }

    fn own(own: &OwnData) -> Judged {
        let (verdict, zone) = match own {
            OwnData::Zone(zone) => ("hosted", Some(zone.to_string())),
            OwnData::LocalData => ("local-data", None),
        };
        Judged { verdict, list: None, zone, answer: None }
    }
}

/// What the lists say of the name and the type; without a type, of the first type of addresses for which they say anything.
fn found_for(name: &Name, rtype: Option<Rtype>, lists: &Lists) -> (Found, Rtype) {
    let rtypes = rtype.map_or(vec![Rtype::A, Rtype::AAAA], |rtype| vec![rtype]);
    let found = rtypes.into_iter().map(|rtype| (lists.find(name.as_wire(), rtype), rtype)).find(|(found, _)| !found.is_nothing());
    found.unwrap_or((Found::default(), rtype.unwrap_or(Rtype::A)))
}

fn answer(to: &Rewrite) -> String {
    match to {
        Rewrite::Rcode(rcode) => rcode.to_string(),
        Rewrite::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Rewrite::Alias(name) => name.to_string(),
    }
}
