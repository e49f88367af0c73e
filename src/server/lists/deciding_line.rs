//! The lines of lists that decide for a name. The table knows the lists alone; their files are read again for the lines, each once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::source::Source;
use super::state::ListState;
use crate::limits::lists::LINES_OF_NAME_MAX;
use crate::policy::{Detail, Kind, ListId, ListSet, Reach, Rule, printable};
use crate::record::{Name, Rtype};

/// Number, from 1, and text.
pub(super) type NumberedLine = (u64, String);

/// Finds lines for a name and a type in the files of lists.
pub(super) struct Lines<'a> {
    pub(super) name: &'a Name,
    pub(super) rtype: Rtype,
    pub(super) states: &'a [ListState],
    pub(super) state_folder: Option<&'a Path>,
    /// Rules of lists that are not in force cancel nothing in other lists.
    pub(super) is_in_force: &'a dyn Fn(&str) -> bool,
}

/// What a rule says of the name, in the order in which the table judges.
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

/// What one rule says, and another one cancels (`$badfilter`).
#[derive(Clone, PartialEq, Eq, Hash)]
struct Said {
    name: Vec<u8>,
    reach: Reach,
    kind: Kind,
    detail: Option<Box<Detail>>,
}

impl Said {
    fn of(rule: &Rule<'_>) -> Said {
        Said { name: rule.name.to_vec(), reach: rule.reach, kind: rule.kind, detail: rule.detail.clone() }
    }

    /// The strongest first: of several other answers the one for the longest name comes first.
    fn strength(&self) -> (Part, Reverse<usize>) {
        let is_rewrite = self.detail.as_ref().is_some_and(|detail| detail.rewrite.is_some());
        let part = match self.kind {
            Kind::Allow => Part::Allow,
            Kind::ImportantException => Part::ImportantException,
            Kind::ImportantBlock if is_rewrite => Part::ImportantRewrite,
            Kind::ImportantBlock => Part::ImportantBlock,
            Kind::Exception => Part::Exception,
            Kind::Block if is_rewrite => Part::Rewrite,
            Kind::Block => Part::Block,
        };
        (part, Reverse(if is_rewrite { self.name.len() } else { 0 }))
    }
}

/// What the lists that have been read say of the name.
#[derive(Default)]
struct Found {
    /// The first line for each thing that a list says.
    lines: BTreeMap<ListId, HashMap<Said, NumberedLine>>,
    /// The lists that cancel what is said.
    cancelling: HashMap<Said, ListSet>,
}

impl Lines<'_> {
    /// The strongest line of each of these lists that no other line cancels; of several alike, the first.
    pub(super) fn deciding(&self, wanted: ListSet) -> BTreeMap<ListId, NumberedLine> {
        let mut found = Found::default();
        let is_wanted = |(list, _): &(ListId, &ListState)| !wanted.and(ListSet::of(*list)).is_empty();
        let lists = || (0u8..).map(ListId).zip(self.states);
        lists().filter(is_wanted).for_each(|(list, state)| self.read(list, state, &mut found));
        // With one line a list there is no choice; rules of other lists may cancel some of several.
        if found.lines.values().any(|lines| lines.len() > 1) {
            lists().filter(|each| !is_wanted(each)).for_each(|(list, state)| self.read(list, state, &mut found));
        }
        let in_force = lists().filter(|(_, state)| (self.is_in_force)(state.settings.name()));
        let in_force = in_force.fold(ListSet::default(), |set, (list, _)| set.or(ListSet::of(list)));
        let mut deciding = BTreeMap::new();
        for (list, lines) in found.lines {
            let cancelled_by = |said: &Said| found.cancelling.get(said).copied().unwrap_or_default();
            let own = ListSet::of(list);
            // What the list itself cancels is nothing. What another one cancels is shown where the list has nothing else.
            let lines = lines.into_iter().filter(|(said, _)| cancelled_by(said).and(own).is_empty());
            let strength = |(said, line): &(Said, NumberedLine)| (!cancelled_by(said).and(in_force).is_empty(), said.strength(), line.0);
            if let Some((_, line)) = lines.min_by_key(strength) {
                deciding.insert(list, line);
            }
        }
        deciding.retain(|list, _| !wanted.and(ListSet::of(*list)).is_empty());
        deciding
    }

    /// Adds what the file of a list says of the name itself, and of the names above it.
    fn read(&self, list: ListId, state: &ListState, found: &mut Found) {
        let open = || Source::open(&state.settings, self.state_folder).ok();
        let source = match state.problem {
            None => open(),
            // Its file is not what was read.
            Some(_) => Source::kept(&state.settings, self.state_folder).or_else(open),
        };
        let lines = found.lines.entry(list).or_default();
        let cancelling = &mut found.cancelling;
        // A file that cannot be read has no lines to show.
        let _ = source.map(|mut source| {
            source.each_rule(&state.settings, &mut |(number, line), rule| {
                if !rule.holds_for(self.name.as_wire(), self.rtype) {
                    return;
                }
                let said = Said::of(rule);
                if rule.cancels {
                    if cancelling.len() < LINES_OF_NAME_MAX {
                        let by = cancelling.entry(said).or_default();
                        *by = by.or(ListSet::of(list));
                    }
                } else if lines.len() < LINES_OF_NAME_MAX {
                    lines.entry(said).or_insert_with(|| (number, printable(String::from_utf8_lossy(line).trim())));
                }
            })
        });
    }
}
