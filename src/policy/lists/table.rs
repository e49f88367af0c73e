//! The names of all lists in one table. A name is kept as a part of its hash under a secret key, in about eight octets.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::quality::RandomState;
use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::combination::Combinations;
use super::detailed::{self, DetailedRule};
use super::segment::{Segment, Split};
use super::{Found, ListId};
use crate::record::Rtype;

/// Suffixes of a name that are looked up together. Few names have more labels.
const AT_ONCE: usize = 8;

/// Where a suffix of a name would be.
struct Place<'a> {
    suffix: &'a [u8],
    hash: u64,
    segment: &'a Segment,
    entries: Range<usize>,
}

/// All lists. Immutable.
pub struct Lists {
    pub(super) names: Vec<String>,
    pub(super) key: [u64; 2],
    pub(super) split: Split,
    pub(super) segments: Vec<Segment>,
    pub(super) combinations: Combinations,
    /// By the hash of the name.
    pub(super) detailed: HashMap<u64, Vec<DetailedRule>, RandomState>,
    /// Distinct names, of all lists together.
    pub(super) len: usize,
    /// Distinct names of each list.
    pub(super) counts: Vec<u64>,
    pub(super) has_single_labels: bool,
}

impl Default for Lists {
    fn default() -> Lists {
        Lists {
            names: Vec::new(),
            key: [0; 2],
            split: Split::COARSEST,
            segments: Vec::new(),
            combinations: Combinations::default(),
            detailed: HashMap::default(),
            len: 0,
            counts: Vec::new(),
            has_single_labels: false,
        }
    }
}

pub(super) fn hash(key: [u64; 2], name: &[u8]) -> u64 {
    SipHasher13::new_with_keys(key[0], key[1]).hash(name)
}

impl Lists {
    /// Whether no list has any name, so that nothing need be looked up.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the lists say of this name, given in the form of the wire and in small letters, and this type.
    pub fn find(&self, name: &[u8], rtype: Rtype) -> Found {
        let mut found = Found::default();
        if self.is_empty() {
            return found;
        }
        let mut rest = name;
        loop {
            // First where each suffix would be, then what is there: memory is waited for once, and not once a suffix.
            let mut places: SmallVec<[Place<'_>; AT_ONCE]> = SmallVec::new();
            while let Some((len, _)) = rest.split_first().filter(|(len, _)| **len != 0 && places.len() < AT_ONCE) {
                let parent = rest.get(1 + usize::from(*len)..).unwrap_or_default();
                if parent.len() <= 1 && !self.has_single_labels {
                    rest = &[];
                    break;
                }
                let hash = hash(self.key, rest);
                if let Some(segment) = self.segments.get(self.split.segment(hash)) {
                    places.push(Place { suffix: rest, hash, segment, entries: segment.place(self.split, hash) });
                }
                rest = parent;
            }
            if places.is_empty() {
                return found;
            }
            for Place { suffix, hash, segment, entries } in places {
                let number = segment.get(self.split, hash, entries);
                if let Some(combination) = number.and_then(|number| self.combinations.get(number)) {
                    let is_own = suffix.len() == name.len();
                    found.add(if is_own { &combination.own } else { &combination.below });
                    if combination.has_detailed
                        && let Some(rules) = self.detailed.get(&hash)
                    {
                        detailed::apply(rules, name, suffix.len(), rtype, &mut found);
                    }
                }
            }
        }
    }

    /// The name that the configuration gives the list.
    pub fn name(&self, list: ListId) -> &str {
        self.names.get(usize::from(list.0)).map_or("", String::as_str)
    }

    /// Distinct names of the list.
    pub fn count(&self, list: ListId) -> u64 {
        self.counts.get(usize::from(list.0)).copied().unwrap_or(0)
    }

    /// Octets of all segments, and of the table of them.
    pub fn octets(&self) -> usize {
        self.segments.iter().map(|segment| segment.octets() + size_of::<Segment>()).sum()
    }
}

#[cfg(test)]
impl Lists {
    pub(super) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Segments that are the same piece of memory in both.
    pub(super) fn shared_with(&self, other: &Lists) -> usize {
        self.segments.iter().zip(&other.segments).filter(|(one, other)| one.is_same_piece(other)).count()
    }
}
