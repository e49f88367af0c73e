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
    pub rewrite: Option<Box<(ListId, Rewrite)>>,
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
        self.all().is_empty() && self.rewrite.is_none()
    }

    /// The lists that have it as it is.
    pub fn all(&self) -> ListSet {
        self.blocked.or(self.important).or(self.excepted).or(self.excepted_important).or(self.allowed)
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
    }

    /// What follows where only these lists are in force. A list that allows beats everything; then `$important` beats what has it
    /// not, and an exception a block of the same weight.
    pub fn verdict(&self, in_force: ListSet) -> ListVerdict {
        let first = |lists: ListSet| lists.and(in_force).first();
        if let Some(list) = first(self.allowed).or(first(self.excepted_important)) {
            return ListVerdict::Allowed(list);
        }
        if let Some(list) = first(self.important) {
            return ListVerdict::Blocked(list);
        }
        if let Some(list) = first(self.excepted) {
            return ListVerdict::Allowed(list);
        }
        let rewrite = self.rewrite.as_deref().filter(|(list, _)| !ListSet::of(*list).and(in_force).is_empty());
        if let Some((list, rewrite)) = rewrite {
            return ListVerdict::Rewritten(*list, rewrite.clone());
        }
        first(self.blocked).map_or(ListVerdict::Pass, ListVerdict::Blocked)
    }
}
