//! What the lists know of one name, and what follows where some of the lists are in force.

use super::{Kind, Rewrite};
use crate::limits::lists::LISTS_MAX;

/// The place of a list in the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListId(pub u8);

/// Some of the lists.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ListSet(u64);

const _: () = assert!(LISTS_MAX <= u64::BITS as usize);

impl ListSet {
    pub const ALL: ListSet = ListSet(u64::MAX);

    /// The set of this list alone; nothing where there can be no such list.
    pub fn of(list: ListId) -> ListSet {
        ListSet(1u64.checked_shl(u32::from(list.0)).unwrap_or(0))
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub fn and(self, other: ListSet) -> ListSet {
        ListSet(self.0 & other.0)
    }

    #[inline]
    pub fn or(self, other: ListSet) -> ListSet {
        ListSet(self.0 | other.0)
    }

    /// Each, in the order of the configuration.
    pub fn each(self) -> impl Iterator<Item = ListId> {
        (0..LISTS_MAX as u8).map(ListId).filter(move |list| !self.and(ListSet::of(*list)).is_empty())
    }

    /// The first in the order of the configuration.
    pub fn first(self) -> Option<ListId> {
        (self.0 != 0).then(|| ListId(self.0.trailing_zeros() as u8))
    }
}

/// All that the lists say of a name and a type. A name that is on no list is `Found::default()`.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Found {
    /// Lists with a rule that blocks it.
    pub blocked: ListSet,
    /// Those whose rule has `$important`.
    pub important: ListSet,
    /// Lists with an exception (`@@`) for it.
    pub excepted: ListSet,
    /// Those whose exception has `$important`.
    pub excepted_important: ListSet,
    /// Lists with `action = "allow"` that have it.
    pub allowed: ListSet,
    /// What counts only where no list in force cancels it.
    pub(super) conditional: Vec<Conditional>,
    /// Other answers: of the name first, then of the names above it; of one name in the order of the lists, then of their lines.
    pub(super) rewrites: Vec<FoundRewrite>,
}

/// Rules of some lists that others cancel (`$badfilter`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Conditional {
    pub(super) kind: Kind,
    pub(super) lists: ListSet,
    /// The lists that cancel them.
    pub(super) unless: ListSet,
}

/// A rule with another answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FoundRewrite {
    pub(super) list: ListId,
    pub(super) is_important: bool,
    /// Octets of the rule's name: the longer it is, the closer it is to the name that was looked for.
    pub(super) owner_octets: usize,
    /// The lists that cancel it.
    pub(super) unless: ListSet,
    pub(super) rewrite: Rewrite,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ListVerdict {
    /// No list in force has it.
    Pass,
    /// No list and no response policy zone may block it.
    Allowed(ListId),
    Blocked(ListId),
    Rewritten(ListId, Rewrite),
}

impl Found {
    /// Whether any list has it, in force or not.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        self.all().is_empty()
    }

    /// The lists that have it as it is.
    pub fn all(&self) -> ListSet {
        let plain = self.blocked.or(self.important).or(self.excepted).or(self.excepted_important).or(self.allowed);
        let plain = self.conditional.iter().fold(plain, |all, said| all.or(said.lists));
        self.rewrites.iter().fold(plain, |all, rewrite| all.or(ListSet::of(rewrite.list)))
    }

    pub(super) fn mark(&mut self, kind: Kind, lists: ListSet) {
        let side = match kind {
            Kind::Block => &mut self.blocked,
            Kind::ImportantBlock => &mut self.important,
            Kind::Exception => &mut self.excepted,
            Kind::ImportantException => &mut self.excepted_important,
            Kind::Allow => &mut self.allowed,
        };
        *side = side.or(lists);
    }

    pub(super) fn add(&mut self, other: &Found) {
        self.blocked = self.blocked.or(other.blocked);
        self.important = self.important.or(other.important);
        self.excepted = self.excepted.or(other.excepted);
        self.excepted_important = self.excepted_important.or(other.excepted_important);
        self.allowed = self.allowed.or(other.allowed);
        self.conditional.extend_from_slice(&other.conditional);
    }

    /// What follows where only these lists are in force. A list that allows beats everything; then `$important` beats what has it
    /// not, an exception a block of the same weight, and another answer a block of the same weight.
    pub fn verdict(&self, in_force: ListSet) -> ListVerdict {
        if self.conditional.is_empty() {
            return self.judged(in_force);
        }
        let mut said = Found { conditional: Vec::new(), ..self.clone() };
        for Conditional { kind, lists, .. } in self.conditional.iter().filter(|said| said.unless.and(in_force).is_empty()) {
            said.mark(*kind, *lists);
        }
        said.judged(in_force)
    }

    fn judged(&self, in_force: ListSet) -> ListVerdict {
        let first = |lists: ListSet| lists.and(in_force).first();
        let rewritten = |is_important| self.rewritten(in_force, is_important).map(|(list, rewrite)| ListVerdict::Rewritten(list, rewrite));
        first(self.allowed)
            .or(first(self.excepted_important))
            .map(ListVerdict::Allowed)
            .or_else(|| rewritten(true))
            .or_else(|| first(self.important).map(ListVerdict::Blocked))
            .or_else(|| first(self.excepted).map(ListVerdict::Allowed))
            .or_else(|| rewritten(false))
            .or_else(|| first(self.blocked).map(ListVerdict::Blocked))
            .unwrap_or(ListVerdict::Pass)
    }

    /// The first other answer of this weight. A name may have several addresses, a rule each.
    fn rewritten(&self, in_force: ListSet, is_important: bool) -> Option<(ListId, Rewrite)> {
        let is_in_force = |rule: &&FoundRewrite| {
            rule.is_important == is_important && !ListSet::of(rule.list).and(in_force).is_empty() && rule.unless.and(in_force).is_empty()
        };
        let mut rules = self.rewrites.iter().filter(is_in_force);
        let first = rules.next()?;
        let Rewrite::Addresses(addresses) = &first.rewrite else { return Some((first.list, first.rewrite.clone())) };
        let mut addresses = addresses.clone();
        for rule in rules.filter(|rule| rule.list == first.list && rule.owner_octets == first.owner_octets) {
            if let Rewrite::Addresses(more) = &rule.rewrite {
                more.iter().for_each(|address| {
                    if !addresses.contains(address) {
                        addresses.push(*address);
                    }
                });
            }
        }
        Some((first.list, Rewrite::Addresses(addresses)))
    }
}
