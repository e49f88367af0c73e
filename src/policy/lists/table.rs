//! The names of all lists in one table.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use super::detailed::{self, DetailedRule};
use super::{Found, ListId, ListSet};
use crate::record::Rtype;

/// All lists. Immutable.
#[derive(Default)]
pub struct Lists {
    names: Vec<String>,
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
}

/// What the lists say of a name itself and of what is below it.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) own: Found,
    pub(super) below: Found,
    pub(super) detailed: Vec<DetailedRule>,
}

impl Lists {
    pub(super) fn of_names(names: Vec<String>) -> Lists {
        Lists { names, ..Lists::default() }
    }

    pub(super) fn entry(&mut self, name: &[u8]) -> &mut Entry {
        self.entries.entry(name.into()).or_default()
    }

    /// Whether no list has any name, so that nothing need be looked up.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the lists say of this name, given in the form of the wire and in small letters, and this type.
    pub fn find(&self, name: &[u8], rtype: Rtype) -> Found {
        let mut found = Found::default();
        let mut rest = name;
        while let Some((len, _)) = rest.split_first().filter(|(len, _)| **len != 0) {
            if let Some(entry) = self.entries.get(rest) {
                let is_own = rest.len() == name.len();
                found.add(if is_own { &entry.own } else { &entry.below });
                detailed::apply(&entry.detailed, name, is_own, rtype, &mut found);
            }
            rest = rest.get(1 + usize::from(*len)..).unwrap_or_default();
        }
        found
    }

    /// The name that the configuration gives the list.
    pub fn name(&self, list: ListId) -> &str {
        self.names.get(usize::from(list.0)).map_or("", String::as_str)
    }

    /// Distinct names of the list.
    pub fn count(&self, list: ListId) -> u64 {
        let list = ListSet::of(list);
        let has = |found: &Found| !found.all().and(list).is_empty();
        let has_detailed = |entry: &Entry| entry.detailed.iter().any(|rule| ListSet::of(rule.list) == list);
        self.entries.values().filter(|entry| has(&entry.own) || has(&entry.below) || has_detailed(entry)).count() as u64
    }
}
