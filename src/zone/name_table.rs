//! A compact map from names to small numbers: open addressing over wire names that are stored one after the other.
//!
//! Names are numbered from 0 in the order of insertion. A name takes eight to twelve octets besides its own, without an
//! allocation.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

pub(super) fn hash_name(state: &RandomState, name: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(name);
    hasher.finish()
}

#[derive(Default)]
pub(super) struct NameTable {
    /// 0 for free, else a name's number + 1. A power of two, at most two thirds full.
    slots: Vec<u32>,
    /// Where each name ends in `octets`.
    ends: Vec<u32>,
    octets: Vec<u8>,
}

impl NameTable {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Octets that the names and their numbers take in memory.
    pub(super) fn octets_held(&self) -> usize {
        self.octets.len() + (self.ends.len() + self.slots.len()) * size_of::<u32>()
    }

    pub(super) fn name(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] as usize };
        &self.octets[start..self.ends[number] as usize]
    }

    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // One slot is always free, so this ends.
        while let Some(number) = self.slots[at].checked_sub(1) {
            if self.name(number) == name {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// The number of a name that is not in the table yet. `None` when 4 GiB of names are in it.
    pub(super) fn insert(&mut self, state: &RandomState, hash: u64, name: &[u8]) -> Option<u32> {
        let end = u32::try_from(self.octets.len() + name.len()).ok()?;
        let number = u32::try_from(self.ends.len()).ok().filter(|number| *number < u32::MAX - 1)?;
        if (self.ends.len() + 1) * 3 > self.slots.len() * 2 {
            self.grow(state);
        }
        self.octets.extend_from_slice(name);
        self.ends.push(end);
        self.place(hash, number);
        Some(number)
    }

    fn grow(&mut self, state: &RandomState) {
        let len = (self.slots.len() * 2).max(4);
        self.slots = vec![0; len];
        for number in 0..self.ends.len() as u32 {
            self.place(hash_name(state, self.name(number)), number);
        }
    }

    fn place(&mut self, hash: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = number + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers() {
        let state = RandomState::default();
        let mut table = NameTable::default();
        assert_eq!(table.find(0, b"\0"), None);
        let names: Vec<Vec<u8>> = (0..1000u32).map(|n| format!("\x05{n:05}\0").into_bytes()).collect();
        for (at, name) in names.iter().enumerate() {
            assert_eq!(table.insert(&state, hash_name(&state, name), name), Some(at as u32));
        }
        for (at, name) in names.iter().enumerate() {
            assert_eq!(table.find(hash_name(&state, name), name), Some(at as u32));
            assert_eq!(table.name(at as u32), name);
        }
        assert_eq!(table.find(hash_name(&state, b"\x01x\0"), b"\x01x\0"), None);
    }
}
