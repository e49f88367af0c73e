//! The few rules that say more than that a name is listed: for some types only, not for some names below, or with an answer.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::RandomState;

use super::found::{Conditional, FoundRewrite};
use super::{Detail, Found, Kind, ListId, ListSet, Reach, Rule};
use crate::limits::lists::{DETAILED_RULES_MAX, DETAILED_RULES_OF_NAME_MAX};
use crate::record::Rtype;

/// One such rule of one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DetailedRule {
    pub(super) list: ListId,
    pub(super) kind: Kind,
    pub(super) reach: Reach,
    pub(super) cancels: bool,
    /// The lists that cancel it (`$badfilter`), once all rules are known.
    pub(super) unless: ListSet,
    pub(super) detail: Box<Detail>,
}

impl DetailedRule {
    fn is_cancelled_by(&self, other: &DetailedRule) -> bool {
        other.cancels && !self.cancels && self.kind == other.kind && self.reach == other.reach && self.detail == other.detail
    }

    fn holds_for(&self, name: &[u8], is_own: bool, rtype: Rtype) -> bool {
        self.reach.has(is_own) && self.detail.holds_for(self.kind, name, rtype)
    }
}

/// Puts all rules of one name in the order of their lists, and finds which of them others cancel.
pub(super) fn settle(rules: &mut [DetailedRule]) {
    rules.sort_by_key(|rule| rule.list);
    if !rules.iter().any(|rule| rule.cancels) {
        return;
    }
    let unless: Vec<ListSet> = rules
        .iter()
        .map(|rule| {
            let cancelling = rules.iter().filter(|other| rule.is_cancelled_by(other));
            cancelling.fold(ListSet::default(), |unless, other| unless.or(ListSet::of(other.list)))
        })
        .collect();
    rules.iter_mut().zip(unless).for_each(|(rule, unless)| rule.unless = unless);
}

/// Adds what the detailed rules of one name say of `name`. The name of the rules is its end of this many octets.
pub(super) fn apply(rules: &[DetailedRule], name: &[u8], owner_octets: usize, rtype: Rtype, found: &mut Found) {
    let is_own = owner_octets == name.len();
    for rule in rules.iter().filter(|rule| !rule.cancels && rule.holds_for(name, is_own, rtype)) {
        let DetailedRule { list, kind, unless, .. } = *rule;
        let lists = ListSet::of(list);
        match &rule.detail.rewrite {
            _ if !unless.and(lists).is_empty() => {}
            Some(rewrite) => {
                let is_important = kind == Kind::ImportantBlock;
                found.rewrites.push(FoundRewrite { list, is_important, owner_octets, unless, rewrite: rewrite.clone() });
            }
            None if unless.is_empty() => found.mark(kind, lists),
            None => found.conditional.push(Conditional { kind, lists, unless }),
        }
    }
}

/// Whether a rule of a list may go into the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admitted {
    New,
    /// The list has said the same before.
    Known,
    TooMany,
}

/// The detailed rules of one list so far.
#[derive(Default)]
pub(super) struct DetailedCount {
    hasher: RandomState,
    /// Hashes of the rules.
    rules: HashSet<u64, RandomState>,
    /// How many a name has, by the hash of the name.
    of_names: HashMap<u64, u8, RandomState>,
}

impl DetailedCount {
    /// Rules without details are not counted.
    pub(super) fn admit(&mut self, rule: &Rule<'_>) -> Admitted {
        let Some(detail) = &rule.detail else { return Admitted::New };
        let hash = self.hash(|hasher| (rule.name, rule.kind, rule.reach, rule.cancels, detail).hash(hasher));
        if self.rules.contains(&hash) {
            return Admitted::Known;
        }
        let of_name = self.hash(|hasher| rule.name.hash(hasher));
        let count = self.of_names.entry(of_name).or_default();
        if usize::from(*count) >= DETAILED_RULES_OF_NAME_MAX || self.rules.len() >= DETAILED_RULES_MAX {
            return Admitted::TooMany;
        }
        *count += 1;
        self.rules.insert(hash);
        Admitted::New
    }

    fn hash(&self, what: impl FnOnce(&mut <RandomState as BuildHasher>::Hasher)) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        what(&mut hasher);
        hasher.finish()
    }
}
