//! Which list and line decide for a name. The table knows the list alone; the files are read again for the line.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::{Value, json};

use super::source::{EachRule, Source};
use super::state::ListState;
use crate::limits::lists::LINES_OF_NAME_MAX;
use crate::policy::{
    Builder, Detail, Found, Kind, ListId, ListSet, ListVerdict, Lists, Moment, Reach, Rewrite, Rule, ViewId, Views, printable,
};
use crate::record::{Name, Rtype};

/// For whom and when.
pub(super) struct Asked<'a> {
    pub(super) views: &'a Views,
    pub(super) moment: &'a Moment,
    /// `None`: a client of no view.
    pub(super) client: Option<IpAddr>,
    /// Where the client asks, if that is known.
    pub(super) at: Option<SocketAddr>,
}

/// What follows for a name, for the client and for those of each view.
pub(super) fn which(name: &Name, asked: &Asked<'_>, lists: &Lists, states: &[ListState], state_folder: Option<&Path>) -> Value {
    let (found, rtype) = found_for_addresses(name, lists);
    let Asked { views, moment, client, at } = *asked;
    let in_force = views.in_force(lists, moment);
    let judged = |view: usize| Judged::new(in_force.get(view).map_or(ListVerdict::Pass, |in_force| in_force.verdict(&found)));
    let view = client.map_or(ViewId::default(), |client| views.of(client, at));
    let here = judged(usize::from(view.0));
    let is_in_force = |list: &str| views.get(view).why_out_of_force(list, false, moment).is_none();
    let lines = Lines { name, rtype, states, state_folder, is_in_force: &is_in_force };
    let rules: Vec<Value> = (0u8..)
        .zip(states)
        .filter(|(at, _)| !found.all().and(ListSet::of(ListId(*at))).is_empty())
        .map(|(at, state)| {
            let (number, text) = lines.deciding(usize::from(at)).unzip();
            let is_block = !matches!(found.verdict(ListSet::of(ListId(at))), ListVerdict::Allowed(_));
            let out_of_force = views.get(view).why_out_of_force(state.settings.name(), is_block, moment);
            json!({
                "list": state.settings.name(), "source": state.settings.source.as_ref().map(ToString::to_string),
                "line": number, "text": text, "decides": here.list == Some(ListId(at)),
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
        "views": in_views, "not-read": not_read,
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

/// What a line says of a name: the strongest first, as in `Found::verdict`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Allow,
    ImportantException,
    ImportantRewrite,
    ImportantBlock,
    Exception,
    Rewrite,
    Block,
}

/// What the lists say of the name and the first type of addresses for which they say anything.
fn found_for_addresses(name: &Name, lists: &Lists) -> (Found, Rtype) {
    let found = lists.find(name.as_wire(), Rtype::A);
    if found.is_nothing() { (lists.find(name.as_wire(), Rtype::AAAA), Rtype::AAAA) } else { (found, Rtype::A) }
}

/// The line for which the list has the name: its number, from 1, and its text.
pub(super) fn deciding_line(
    name: &Name,
    lists: &Lists,
    states: &[ListState],
    list: &str,
    state_folder: Option<&Path>,
) -> Option<(u64, String)> {
    let at = states.iter().position(|state| state.settings.name() == list)?;
    let (_, rtype) = found_for_addresses(name, lists);
    Lines { name, rtype, states, state_folder, is_in_force: &|_| true }.deciding(at)
}

/// A rule for the name, out of its file.
struct OwnedRule {
    name: Vec<u8>,
    reach: Reach,
    kind: Kind,
    cancels: bool,
    detail: Option<Box<Detail>>,
}

impl OwnedRule {
    fn of(rule: &Rule<'_>) -> OwnedRule {
        OwnedRule { name: rule.name.to_vec(), reach: rule.reach, kind: rule.kind, cancels: rule.cancels, detail: rule.detail.clone() }
    }

    fn rule(&self) -> Rule<'_> {
        let OwnedRule { name, reach, kind, cancels, detail } = self;
        Rule { name, reach: *reach, kind: *kind, cancels: *cancels, detail: detail.clone() }
    }
}

/// Finds lines in the files of lists.
struct Lines<'a> {
    name: &'a Name,
    rtype: Rtype,
    states: &'a [ListState],
    state_folder: Option<&'a Path>,
    /// Rules of lists that are not in force cancel nothing.
    is_in_force: &'a dyn Fn(&str) -> bool,
}

/// A line with a rule for the name.
struct Candidate {
    number: u64,
    text: String,
    rule: OwnedRule,
}

impl Lines<'_> {
    /// The strongest line of the list that no other line cancels (`$badfilter`); of several alike, the first.
    fn deciding(&self, list: usize) -> Option<(u64, String)> {
        let mut cancelling: Vec<OwnedRule> = Vec::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        self.each_rule(list, &mut |(number, line), rule| match rule.cancels {
            true if cancelling.len() < LINES_OF_NAME_MAX => cancelling.push(OwnedRule::of(rule)),
            false if candidates.len() < LINES_OF_NAME_MAX => {
                let text = printable(String::from_utf8_lossy(line).trim());
                candidates.push(Candidate { number, text, rule: OwnedRule::of(rule) });
            }
            _ => {}
        });
        candidates.retain(|candidate| self.part_of(&candidate.rule, &cancelling).is_some());
        // With one line there is no choice; rules of other lists may cancel some of several.
        if candidates.len() > 1 {
            let is_asked = |at: &usize| *at != list && self.states.get(*at).is_some_and(|state| (self.is_in_force)(state.settings.name()));
            for other in (0..self.states.len()).filter(is_asked) {
                self.each_rule(other, &mut |_, rule| {
                    if rule.cancels && cancelling.len() < LINES_OF_NAME_MAX {
                        cancelling.push(OwnedRule::of(rule));
                    }
                });
            }
        }
        // A line that is cancelled is shown where there is no other one.
        let strength = |candidate: &Candidate| self.part_of(&candidate.rule, &cancelling).map_or((true, None), |part| (false, Some(part)));
        candidates.into_iter().min_by_key(strength).map(|Candidate { number, text, .. }| (number, text))
    }

    /// What the rule does for the name and the type; `None`: nothing. A table of its own says so, as the table of all lists does.
    fn part_of(&self, rule: &OwnedRule, cancelling: &[OwnedRule]) -> Option<Part> {
        let none = Lists::default();
        let mut builder = Builder::new(vec![String::new()], [0, 0], &none, vec![None]);
        while builder.next_round() {
            builder.add(ListId(0), &rule.rule());
            cancelling.iter().for_each(|other| builder.add(ListId(0), &other.rule()));
        }
        let found = builder.finish().ok()?.find(self.name.as_wire(), self.rtype);
        if found.verdict(ListSet::ALL) == ListVerdict::Pass {
            return None;
        }
        let is_rewrite = rule.detail.as_ref().is_some_and(|detail| detail.rewrite.is_some());
        Some(match rule.kind {
            Kind::Allow => Part::Allow,
            Kind::ImportantException => Part::ImportantException,
            Kind::ImportantBlock if is_rewrite => Part::ImportantRewrite,
            Kind::ImportantBlock => Part::ImportantBlock,
            Kind::Exception => Part::Exception,
            Kind::Block if is_rewrite => Part::Rewrite,
            Kind::Block => Part::Block,
        })
    }

    /// Each rule of the list for the name itself or for one above.
    fn each_rule(&self, list: usize, each: &mut EachRule<'_>) {
        let Some(state) = self.states.get(list) else { return };
        let is_above = |rule: &Rule<'_>| self.name.suffixes().any(|suffix| suffix == rule.name);
        let source = match state.is_from_copy {
            false => Source::open(&state.settings, self.state_folder).ok(),
            true => Source::kept(&state.settings, self.state_folder),
        };
        // A file that cannot be read has no lines to show.
        let _ = source.map(|mut source| {
            source.each_rule(&state.settings, &mut |line, rule| {
                if is_above(rule) {
                    each(line, rule);
                }
            })
        });
    }
}

fn answer(to: &Rewrite) -> String {
    match to {
        Rewrite::Rcode(rcode) => rcode.to_string(),
        Rewrite::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Rewrite::Alias(name) => name.to_string(),
    }
}
