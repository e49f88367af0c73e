//! What all lists together say of one name, as a small number: there are millions of names, and few different combinations.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use super::found::Conditional;
use super::{Found, Kind, ListId, ListSet, Reach};

/// What one list says of a name, in 12 bits: list (6), kind (3), reach (2), whether it cancels (1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Mark(u16);

const KINDS: [Kind; 5] = [Kind::Block, Kind::ImportantBlock, Kind::Exception, Kind::ImportantException, Kind::Allow];
const REACHES: [Reach; 3] = [Reach::Name, Reach::NameAndBelow, Reach::Below];
/// In place of a kind: the list has rules for the name that say more, which stand elsewhere.
const DETAILED: u16 = 7;

impl Mark {
    pub(super) fn of(list: ListId, kind: Kind, reach: Reach, cancels: bool) -> Mark {
        Mark(u16::from(list.0 & 63) | (kind as u16) << 6 | (reach as u16) << 9 | u16::from(cancels) << 11)
    }

    pub(super) fn detailed(list: ListId) -> Mark {
        Mark(u16::from(list.0 & 63) | DETAILED << 6)
    }

    pub(super) fn from_bits(bits: u16) -> Mark {
        Mark(bits)
    }

    pub(super) fn bits(self) -> u16 {
        self.0
    }

    pub(super) fn list(self) -> ListId {
        ListId((self.0 & 63) as u8)
    }

    pub(super) fn with_list(self, list: ListId) -> Mark {
        Mark(self.0 & !63 | u16::from(list.0 & 63))
    }

    fn kind(self) -> Option<Kind> {
        KINDS.get(usize::from(self.0 >> 6 & 7)).copied()
    }

    fn reach(self) -> Option<Reach> {
        REACHES.get(usize::from(self.0 >> 9 & 3)).copied()
    }

    fn cancels(self) -> bool {
        self.0 >> 11 & 1 == 1
    }

    /// Says one what the other cancels (`$badfilter`)? Where they are of two lists, it counts while the other list is in force.
    fn is_cancelled_by(self, other: Mark) -> bool {
        other.cancels() && !self.cancels() && (self.kind(), self.reach()) == (other.kind(), other.reach())
    }
}

/// What follows from some marks, ready for use.
#[derive(Clone)]
pub(super) struct Combination {
    /// Sorted, each once.
    pub(super) marks: Box<[Mark]>,
    /// For the name itself.
    pub(super) own: Found,
    /// For the names below it.
    pub(super) below: Found,
    pub(super) has_detailed: bool,
}

impl Combination {
    fn of(marks: &[Mark]) -> Combination {
        let (mut own, mut below, mut has_detailed) = (Found::default(), Found::default(), false);
        for mark in marks.iter().filter(|mark| !mark.cancels()) {
            let (Some(kind), Some(reach)) = (mark.kind(), mark.reach()) else {
                has_detailed = true;
                continue;
            };
            let lists = ListSet::of(mark.list());
            let cancelling = marks.iter().filter(|other| mark.is_cancelled_by(**other));
            let unless = cancelling.fold(ListSet::default(), |unless, other| unless.or(ListSet::of(other.list())));
            if !unless.and(lists).is_empty() {
                continue;
            }
            let say = |found: &mut Found| match unless.is_empty() {
                true => found.mark(kind, lists),
                false => found.conditional.push(Conditional { kind, lists, unless }),
            };
            if reach != Reach::Below {
                say(&mut own);
            }
            if reach != Reach::Name {
                say(&mut below);
            }
        }
        Combination { marks: marks.into(), own, below, has_detailed }
    }
}

/// All combinations that occur, each with a number that fits into two octets.
#[derive(Clone, Default)]
pub(super) struct Combinations {
    all: Vec<Combination>,
    numbers: HashMap<Box<[Mark]>, u16, RandomState>,
}

impl Combinations {
    pub(super) fn get(&self, number: u16) -> Option<&Combination> {
        self.all.get(usize::from(number))
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of the combination of these marks, which are sorted and each there once. `None`: there are too many of them.
    pub(super) fn number(&mut self, marks: &[Mark]) -> Option<u16> {
        if let Some(number) = self.numbers.get(marks) {
            return Some(*number);
        }
        let number = u16::try_from(self.all.len()).ok()?;
        self.all.push(Combination::of(marks));
        self.numbers.insert(marks.into(), number);
        Some(number)
    }
}
