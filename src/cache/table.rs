//! From the hash of a key to the handle of its slot: four octets a place, most places taken.
//!
//! ```text
//! a place: 8 bits of the hash | 24 bits: the handle plus 1; 0 is free
//! ```
//! The low half of the hash gives a key's home place; a search goes on from there, place by place, to the first free one. A
//! removal closes its gap. At most three of four places are taken, and at least half of them once the table has grown, so an
//! entry costs six to eight octets.
//!
//! Knows only hashes and handles: the caller compares the keys in the slots, and hashes them again.

use crate::limits::cache::{TABLE_PLACES_MIN, TABLE_SHRINK_PLACES_MIN};

/// Every handle is smaller than this.
pub const HANDLES_MAX: u32 = (1 << HANDLE_BITS) - 1;
const HANDLE_BITS: u32 = 24;
const FREE: u32 = 0;

/// A hash table of handles.
#[derive(Default)]
pub struct Table {
    /// Empty before the first entry.
    places: Box<[u32]>,
    len: usize,
}

impl Table {
    /// Octets of the table.
    pub fn bytes(&self) -> usize {
        self.places.len() * size_of::<u32>()
    }

    /// Octets of the table once it holds one more entry.
    pub fn bytes_with_one_more(&self) -> usize {
        self.places_with_one_more() * size_of::<u32>()
    }

    /// The handle with this hash for which `is` returns true.
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        // One place is always free, so this ends.
        loop {
            let place = self.places[at];
            if place == FREE {
                return None;
            }
            if place >> HANDLE_BITS == tag(hash) && is(handle(place)) {
                return Some(handle(place));
            }
            at = self.next(at);
        }
    }

    /// `hash_of` returns the hash of a handle that is in the table.
    pub fn insert(&mut self, hash: u64, handle: u32, hash_of: impl Fn(u32) -> u64) {
        debug_assert!(handle < HANDLES_MAX);
        let wanted = self.places_with_one_more();
        if wanted != self.places.len() {
            self.resize(wanted, &hash_of);
        }
        self.put(hash, place_of(hash, handle));
        self.len += 1;
    }

    /// Removes this handle; does nothing if it is not there.
    pub fn remove(&mut self, hash: u64, handle: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(mut gap) = self.place_of(hash, handle) else { return };
        self.len -= 1;
        let mut at = gap;
        loop {
            at = self.next(at);
            let place = self.places[at];
            if place == FREE {
                break;
            }
            // An entry may not move to a place before its home.
            let home = self.home(hash_of(self::handle(place)));
            if self.distance(home, at) >= self.distance(gap, at) {
                self.places[gap] = place;
                gap = at;
            }
        }
        self.places[gap] = FREE;
        if self.places.len() > TABLE_SHRINK_PLACES_MIN && self.len * 4 < self.places.len() {
            self.resize(self.len * 2, &hash_of);
        }
    }

    /// The entry with this hash has a new handle.
    pub fn moved(&mut self, hash: u64, old: u32, new: u32) {
        if let Some(at) = self.place_of(hash, old) {
            self.places[at] = place_of(hash, new);
        }
    }

    fn places_with_one_more(&self) -> usize {
        let places = self.places.len();
        if (self.len + 1) * 4 <= places * 3 { places } else { (places * 3 / 2).max(TABLE_PLACES_MIN) }
    }

    fn resize(&mut self, count: usize, hash_of: &impl Fn(u32) -> u64) {
        let old = std::mem::replace(&mut self.places, vec![FREE; count].into());
        for place in old.into_iter().filter(|place| *place != FREE) {
            self.put(hash_of(handle(place)), place);
        }
    }

    fn put(&mut self, hash: u64, place: u32) {
        let mut at = self.home(hash);
        while self.places[at] != FREE {
            at = self.next(at);
        }
        self.places[at] = place;
    }

    fn place_of(&self, hash: u64, handle: u32) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        while self.places[at] != place_of(hash, handle) {
            if self.places[at] == FREE {
                return None;
            }
            at = self.next(at);
        }
        Some(at)
    }

    fn home(&self, hash: u64) -> usize {
        // Spreads 32 bits evenly over any number of places.
        (((hash & 0xffff_ffff) * self.places.len() as u64) >> 32) as usize
    }

    fn next(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.places.len() - from }
    }
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & 0xff
}

fn place_of(hash: u64, handle: u32) -> u32 {
    tag(hash) << HANDLE_BITS | (handle + 1)
}

fn handle(place: u32) -> u32 {
    (place & HANDLES_MAX) - 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Few different homes and tags, so that runs are long and wrap around.
    fn hash_of(handle: u32) -> u64 {
        let mixed = u64::from(handle).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 60) << 28 | (mixed >> 50 & 3) << 32
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(ops in proptest::collection::vec((any::<bool>(), 0..200u32), 1..600)) {
            let (mut table, mut model) = (Table::default(), HashMap::new());
            for (insert, handle) in ops {
                if insert && !model.contains_key(&handle) {
                    prop_assert!(table.bytes_with_one_more() >= table.bytes());
                    table.insert(hash_of(handle), handle, hash_of);
                    model.insert(handle, ());
                } else if !insert {
                    table.remove(hash_of(handle), handle, hash_of);
                    model.remove(&handle);
                }
                prop_assert_eq!(table.len, model.len());
                for handle in 0..200 {
                    prop_assert_eq!(table.find(hash_of(handle), |found| found == handle).is_some(), model.contains_key(&handle));
                }
            }
        }
    }

    #[test]
    fn it_grows_and_shrinks_with_what_it_holds() {
        let spread = |handle: u32| u64::from(handle).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut table = Table::default();
        for handle in 0..50_000 {
            let expected = table.bytes_with_one_more();
            table.insert(spread(handle), handle, spread);
            assert_eq!(table.bytes(), expected);
            assert!(handle < 100 || table.bytes() <= 8 * table.len + 16);
        }
        for handle in 100..50_000 {
            table.remove(spread(handle), handle, spread);
        }
        assert!(table.len == 100 && table.bytes() <= TABLE_SHRINK_PLACES_MIN * 4);
        table.moved(spread(7), 7, 70_000);
        assert_eq!(table.find(spread(7), |_| true), Some(70_000));
        assert_eq!(table.find(spread(8), |handle| handle == 8), Some(8));
    }
}
