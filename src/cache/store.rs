//! The store: shards, each with one lock over a table of hashes, an order of use, packed slabs, and a share of the octets.
//!
//! The table leads from a hash to slots; the key itself is compared in the slot. The octets that count against the limit are
//! those held: the pages of the slabs, which include the order of use, and the table.
//!
//! One more shard with a limit of its own keeps the root's delegations of top-level domains, so that no flood of other names
//! can displace them.
//!
//! Knows only key and length of an entry.

use std::hash::{BuildHasherDefault, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use parking_lot::Mutex;

use super::entry::{self, Key, Kind};
use super::order::Order;
use super::slab::{self, Slab};
use super::table::Table;
use crate::env::Random;
use crate::limits::cache::CACHE_SHARDS_MAX;
use crate::record::Rtype;

/// Bits from 48 on choose the shard: the table inside uses those below 40.
const SHARD_SHIFT: u32 = 48;
const SHARD_BYTES: usize = 4 << 20;

/// All shards.
pub struct Store {
    shards: Box<[Mutex<Shard>]>,
    protected: Mutex<Shard>,
    hashing: Hashing,
}

impl Store {
    /// `bytes` for all names, `protected_bytes` for top-level domains; `random` seeds the hashes.
    pub fn new(bytes: usize, protected_bytes: usize, random: &Random) -> Store {
        let count = (bytes / SHARD_BYTES).next_power_of_two().clamp(1, CACHE_SHARDS_MAX);
        let shards = (0..count).map(|_| Mutex::new(Shard::new(bytes / count))).collect();
        Store { shards, protected: Mutex::new(Shard::new(protected_bytes)), hashing: Hashing::new(random) }
    }

    /// Runs `read` on the entry under its shard's lock; a result of `Some` counts as a hit. Marks the entry as used at most
    /// once a second; the flag for `read` says whether it was marked now.
    pub fn with<R>(&self, key: &Key<'_>, now_s: u32, read: impl FnOnce(&mut [u8], bool) -> Option<R>) -> Option<R> {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().with(hash, key, now_s, read)
    }

    /// A name, hashed for several keys of it.
    pub fn hashed(&self, name: &[u8]) -> HashedName<'_> {
        HashedName(self.hashing.of_name(name))
    }

    /// As `with`; `hashed` is the name of `key`.
    pub fn with_hashed<R>(
        &self,
        hashed: &HashedName<'_>,
        key: &Key<'_>,
        now_s: u32,
        read: impl FnOnce(&mut [u8], bool) -> Option<R>,
    ) -> Option<R> {
        let hash = with_rest_of_key(hashed.0.clone(), key);
        self.shard(key, hash).lock().with(hash, key, now_s, read)
    }

    /// Reads without marking the entry as used.
    pub fn peek<R>(&self, key: &Key<'_>, read: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().find(hash, key).map(read)
    }

    /// Stores what `make` returns. `make` sees the existing entry, and may return `None` to keep it. All of it happens under
    /// one lock. False if nothing was stored, or if the entry is too large.
    pub fn update(&self, key: &Key<'_>, make: impl FnOnce(Option<&mut [u8]>) -> Option<Vec<u8>>) -> bool {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().update(hash, key, &self.hashing, make)
    }

    /// Removes the entry if `doomed` agrees.
    pub fn remove_if(&self, key: &Key<'_>, doomed: impl FnOnce(&[u8]) -> bool) -> bool {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().remove_if(hash, key, &self.hashing, doomed)
    }

    /// Removes every entry for which `doomed` is true; the lock of each shard is held during its pass.
    pub fn remove_all(&self, mut doomed: impl FnMut(&[u8]) -> bool) -> usize {
        self.each_shard().map(|shard| shard.lock().remove_all(&self.hashing, &mut doomed)).sum()
    }

    /// Shows copies of all entries; no lock is held while `show` runs. An entry that is moved or replaced meanwhile may be
    /// missed or shown twice.
    pub fn dump(&self, mut show: impl FnMut(&[u8])) {
        let shown: Result<(), std::convert::Infallible> = self.each_page(|_, mut entries| {
            while !entries.is_empty() {
                let (one, after) = entries.split_at(entry::len(entries));
                show(one);
                entries = after;
            }
            Ok(())
        });
        let Ok(()) = shown;
    }

    /// As `dump`, page by page: `show` is told whether the page is of the protected shard, and may end the pass by an error.
    pub fn each_page<E>(&self, mut show: impl FnMut(bool, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut copy = Vec::new();
        for shard in self.each_shard() {
            for page in 0.. {
                copy.clear();
                if !shard.lock().copy_page(page, &mut copy) {
                    break;
                }
                show(std::ptr::eq(shard, &self.protected), &copy)?;
            }
        }
        Ok(())
    }

    /// Stores an entry if there is none with its key and if it fits without eviction; it is the next to be evicted.
    pub fn settle(&self, bytes: &[u8]) -> bool {
        let key = Key::of(bytes);
        let hash = self.hashing.of(&key);
        self.shard(&key, hash).lock().settle(hash, &key, bytes, &self.hashing)
    }

    /// Counts entries and octets of all shards.
    pub fn usage(&self) -> Usage {
        self.each_shard().fold(Usage::default(), |mut sum, shard| {
            let shard = shard.lock();
            sum.bytes += shard.bytes();
            sum.evictions += shard.evictions;
            sum.hits += shard.hits;
            for (total, one) in sum.entries.iter_mut().zip(shard.entries) {
                *total += one;
            }
            sum
        })
    }

    fn each_shard(&self) -> impl Iterator<Item = &Mutex<Shard>> {
        self.shards.iter().chain(std::iter::once(&self.protected))
    }

    fn shard(&self, key: &Key<'_>, hash: u64) -> &Mutex<Shard> {
        if is_protected(key) {
            return &self.protected;
        }
        self.shard_of(hash)
    }

    fn shard_of(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> SHARD_SHIFT) as usize & (self.shards.len() - 1)]
    }
}

/// Whether this is a delegation of the root or of a top-level domain, or data to follow and prove one.
fn is_protected(key: &Key<'_>) -> bool {
    let first = usize::from(key.name[0]);
    (first == 0 || key.name.get(1 + first) == Some(&0))
        && key.kind == Kind::Fact
        && [Rtype::NS, Rtype::DELEGATION, Rtype::DS, Rtype::DNSKEY, Rtype::A, Rtype::AAAA].contains(&Rtype(key.rtype))
}

/// Entries and octets of the store.
#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    pub bytes: usize,
    pub evictions: u64,
    pub hits: u64,
    /// RRsets, denials, failures, ready answers.
    pub entries: [usize; 4],
}

/// The part of a hash that all keys of one name have in common.
pub struct HashedName<'a>(FoldHasher<'a>);

/// Seeded, so that nobody can prepare names that share a bucket.
pub struct Hashing {
    seed: u64,
    shared: SharedSeed,
}

impl Hashing {
    /// A new seed.
    pub fn new(random: &Random) -> Hashing {
        Hashing { seed: random.u64(), shared: SharedSeed::from_u64(random.u64()) }
    }

    /// A hasher with this seed.
    pub fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.seed, &self.shared)
    }

    fn of(&self, key: &Key<'_>) -> u64 {
        with_rest_of_key(self.of_name(key.name), key)
    }

    fn of_name(&self, name: &[u8]) -> FoldHasher<'_> {
        let mut hasher = self.hasher();
        hasher.write(name);
        hasher
    }
}

fn with_rest_of_key(mut hasher: FoldHasher<'_>, key: &Key<'_>) -> u64 {
    hasher.write_u64(u64::from(key.rtype) | u64::from(key.group) << 16 | (key.kind as u64) << 24);
    hasher.finish()
}

/// For keys that are hashes already.
#[derive(Default, Clone, Copy)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Builds hashers for keys that are hashes already.
pub type ByIdentity = BuildHasherDefault<Identity>;

struct Shard {
    table: Table,
    order: Order,
    slab: Slab,
    limit: usize,
    entries: [usize; 4],
    evictions: u64,
    hits: u64,
}

impl Shard {
    fn new(limit: usize) -> Shard {
        let limit = limit.min(slab::BYTES_MAX);
        Shard { table: Table::default(), order: Order::new(), slab: Slab::new(), limit, entries: [0; 4], evictions: 0, hits: 0 }
    }

    fn bytes(&self) -> usize {
        self.slab.bytes() + self.table.bytes()
    }

    fn handle_of(&self, hash: u64, key: &Key<'_>) -> Option<u32> {
        self.table.find(hash, |handle| key.is_of(self.slab.slot(handle)))
    }

    fn entry_mut(&mut self, handle: u32) -> &mut [u8] {
        let slot = self.slab.slot_mut(handle);
        let len = entry::len(slot);
        &mut slot[..len]
    }

    fn find(&mut self, hash: u64, key: &Key<'_>) -> Option<&mut [u8]> {
        let handle = self.handle_of(hash, key)?;
        Some(self.entry_mut(handle))
    }

    fn with<R>(&mut self, hash: u64, key: &Key<'_>, now_s: u32, read: impl FnOnce(&mut [u8], bool) -> Option<R>) -> Option<R> {
        let handle = self.handle_of(hash, key)?;
        let bytes = self.entry_mut(handle);
        let first_this_second = std::mem::replace(&mut bytes[15], now_s as u8) != now_s as u8;
        let made = read(bytes, first_this_second);
        if first_this_second {
            self.order.promote(&mut self.slab, handle);
        }
        self.hits += u64::from(made.is_some());
        made
    }

    fn update(&mut self, hash: u64, key: &Key<'_>, hashing: &Hashing, make: impl FnOnce(Option<&mut [u8]>) -> Option<Vec<u8>>) -> bool {
        let standing = self.handle_of(hash, key);
        let Some(new) = make(standing.map(|handle| self.entry_mut(handle))) else {
            return false;
        };
        let Some(class) = slab::class_for(new.len()) else {
            return false;
        };
        match standing {
            Some(handle) if self.slab.class_of(handle) == class => {
                self.count(handle, false);
                self.write(handle, &new);
                self.order.promote(&mut self.slab, handle);
                return true;
            }
            Some(handle) => self.discard(handle, hashing),
            None => {}
        }
        if !self.make_room(class, hashing) {
            return false;
        }
        let placed = self.place(hash, class, &new, hashing);
        if let Some(handle) = placed {
            self.order.add_newest(&mut self.slab, handle);
        }
        placed.is_some()
    }

    fn write(&mut self, handle: u32, new: &[u8]) {
        self.slab.slot_mut(handle)[..new.len()].copy_from_slice(new);
        self.count(handle, true);
    }

    /// Evicts entries until there is a slot of this class, or room for one more page, and the table need not exceed the share.
    /// False if the share is too small even when empty.
    fn make_room(&mut self, class: u8, hashing: &Hashing) -> bool {
        while !self.take_room(class) {
            if !self.evict(hashing) {
                return false;
            }
        }
        true
    }

    /// Makes sure that there is a slot of this class; false if that would exceed the share.
    fn take_room(&mut self, class: u8) -> bool {
        let table = self.table.bytes_with_one_more() - self.table.bytes();
        let page = if self.slab.free_slots(class) > 0 { 0 } else { slab::page_bytes(class) };
        let more = table + page;
        let fits = more == 0 || self.bytes() + more <= self.limit;
        if fits && page > 0 {
            self.slab.grow(class);
        }
        fits
    }

    fn settle(&mut self, hash: u64, key: &Key<'_>, bytes: &[u8], hashing: &Hashing) -> bool {
        let Some(class) = slab::class_for(bytes.len()).filter(|_| self.handle_of(hash, key).is_none()) else {
            return false;
        };
        if !self.take_room(class) {
            return false;
        }
        let placed = self.place(hash, class, bytes, hashing);
        if let Some(handle) = placed {
            self.order.add_oldest(&mut self.slab, handle);
        }
        placed.is_some()
    }

    /// Stores the entry; the caller adds it to the order of use.
    fn place(&mut self, hash: u64, class: u8, new: &[u8], hashing: &Hashing) -> Option<u32> {
        let handle = self.slab.alloc(class)?;
        self.write(handle, new);
        self.table.insert(hash, handle, |handle| hashing.of(&Key::of(self.slab.slot(handle))));
        Some(handle)
    }

    /// Evicts the least recently used entry. A class that then needs a page less frees one.
    fn evict(&mut self, hashing: &Hashing) -> bool {
        let Some(handle) = self.order.oldest() else {
            return false;
        };
        let class = self.slab.class_of(handle);
        self.discard(handle, hashing);
        self.evictions += 1;
        if let Some(page) = self.slab.sparse_page(class) {
            for old in self.slab.close(page) {
                let new = self.slab.move_out(old);
                self.order.moved(&mut self.slab, new);
                self.table.moved(hashing.of(&Key::of(self.slab.slot(new))), old, new);
            }
            self.slab.give_back(page);
        }
        true
    }

    fn discard(&mut self, handle: u32, hashing: &Hashing) {
        let hash_of = |handle| hashing.of(&Key::of(self.slab.slot(handle)));
        self.table.remove(hash_of(handle), handle, hash_of);
        self.count(handle, false);
        self.order.remove(&mut self.slab, handle);
        self.slab.free(handle);
    }

    fn remove_if(&mut self, hash: u64, key: &Key<'_>, hashing: &Hashing, doomed: impl FnOnce(&[u8]) -> bool) -> bool {
        let Some(handle) = self.handle_of(hash, key).filter(|handle| {
            let slot = self.slab.slot(*handle);
            doomed(&slot[..entry::len(slot)])
        }) else {
            return false;
        };
        self.discard(handle, hashing);
        true
    }

    fn remove_all(&mut self, hashing: &Hashing, doomed: &mut impl FnMut(&[u8]) -> bool) -> usize {
        let mut gone = 0;
        for page in 0..self.slab.page_count() {
            let handles: Vec<u32> = self.slab.live_in(page).collect();
            for handle in handles {
                let slot = self.slab.slot(handle);
                if doomed(&slot[..entry::len(slot)]) {
                    self.discard(handle, hashing);
                    gone += 1;
                }
            }
        }
        gone
    }

    fn copy_page(&self, page: u32, into: &mut Vec<u8>) -> bool {
        for handle in self.slab.live_in(page) {
            let slot = self.slab.slot(handle);
            into.extend_from_slice(&slot[..entry::len(slot)]);
        }
        page < self.slab.page_count()
    }

    fn count(&mut self, handle: u32, more: bool) {
        let slot = self.slab.slot(handle);
        let index = match Kind::from_u8(slot[0]) {
            Some(Kind::Fact | Kind::Proved) if entry::is_denial(slot) => 1,
            Some(Kind::Fact | Kind::Proved) => 0,
            Some(Kind::Failure) => 2,
            Some(Kind::Answer | Kind::AnswerDo) => 3,
            None => return,
        };
        self.entries[index] = if more { self.entries[index] + 1 } else { self.entries[index].saturating_sub(1) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store(bytes: usize) -> Store {
        Store::new(bytes, 1 << 20, &Random::from_seed(1))
    }

    fn wire(n: u32) -> Vec<u8> {
        [&b"\x08"[..], format!("{n:08x}").as_bytes(), b"\x04test\x00"].concat()
    }

    fn make(key: &Key<'_>, body: &[u8]) -> Vec<u8> {
        let mut bytes = entry::start(key, 1, 300, 0, body.len());
        bytes.extend_from_slice(body);
        entry::finish(bytes)
    }

    fn put(store: &Store, n: u32, body: &[u8]) -> bool {
        let name = wire(n);
        let key = Key::fact(&name, 16);
        store.update(&key, |_| Some(make(&key, body)))
    }

    fn get(store: &Store, n: u32, now_s: u32) -> Option<Vec<u8>> {
        let name = wire(n);
        store.with(&Key::fact(&name, 16), now_s, |entry, _| Some(entry[entry::body_at(entry)..].to_vec()))
    }

    #[test]
    fn the_least_used_go_first() {
        let store = store(1 << 20);
        for n in 0..100 {
            assert!(put(&store, n, &[7; 1000]));
        }
        for n in 100..3000 {
            assert!(put(&store, n, &[7; 1000]));
            assert!(get(&store, 5, n).is_some(), "{n}");
        }
        assert!(get(&store, 6, 0).is_none());
        assert!(store.usage().evictions > 0 && store.usage().bytes <= 1 << 20);
    }

    #[test]
    fn a_change_of_sizes_keeps_the_limit() {
        let limit = 1 << 20;
        let store = store(limit);
        let mut n = 0;
        for size in [10, 3000, 40, 700, 60_000, 100, 10, 2000, 300] {
            let mut stored = 0;
            for _ in 0..6 * limit / (size + 100) {
                stored += usize::from(put(&store, n, &vec![1; size]));
                n += 1;
                assert!(store.usage().bytes <= limit, "{} at size {size}", store.usage().bytes);
            }
            let kept = (n.saturating_sub(100)..n).filter(|n| get(&store, *n, 0).is_some()).count();
            assert!(stored > 0 && kept >= 100.min(limit / 4 / (size + 100)), "{size}: {kept}");
        }
    }

    #[test]
    fn what_cannot_fit_is_refused() {
        let store = store(64 << 10);
        assert!(!put(&store, 1, &[0; 200_000]));
        assert!(!put(&store, 1, &[0; 70_000]));
        assert!(put(&store, 1, &[0; 10_000]));
    }

    #[test]
    fn a_flood_leaves_the_top_level_alone() {
        let store = store(256 << 10);
        let com = Key::fact(b"\x03com\x00", 2);
        assert!(store.update(&com, |_| Some(make(&com, b"servers"))));
        for n in 0..20_000 {
            put(&store, n, &[1; 50]);
        }
        assert!(store.peek(&com, |_| ()).is_some());
    }

    #[test]
    fn each_entry_is_dumped_once_when_nothing_moves() {
        let store = store(4 << 20);
        for n in 0..500 {
            put(&store, n, &vec![1; n as usize * 7]);
        }
        let mut seen = Vec::new();
        store.dump(|entry| seen.push(Key::of(entry).name.to_vec()));
        seen.sort();
        assert_eq!(seen, (0..500).map(wire).collect::<Vec<_>>());
    }

    #[derive(Clone, Debug)]
    enum Op {
        Put(u32, usize),
        Get(u32),
        Remove(u32),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..400u32, prop_oneof![0..60usize, 0..600usize, 0..5000usize]).prop_map(|(n, len)| Op::Put(n, len)),
            (0..400u32).prop_map(Op::Get),
            (0..400u32).prop_map(Op::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_a_wrong_value_and_never_past_the_limit(ops in proptest::collection::vec(op(), 1..600)) {
            let limit = 128 << 10;
            let store = store(limit);
            let mut model = std::collections::HashMap::new();
            for (now, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Put(n, len) => {
                        let body = vec![(now % 255) as u8; len];
                        prop_assert!(put(&store, n, &body));
                        model.insert(n, body);
                        prop_assert!(get(&store, n, now as u32).is_some());
                    }
                    Op::Get(n) => {
                        // It may have been evicted, but never be another's or an old one.
                        if let Some(body) = get(&store, n, now as u32) {
                            prop_assert_eq!(Some(&body), model.get(&n));
                        }
                    }
                    Op::Remove(n) => {
                        let name = wire(n);
                        let key = Key::fact(&name, 16);
                        store.remove_if(&key, |_| true);
                        model.remove(&n);
                        prop_assert!(get(&store, n, now as u32).is_none());
                    }
                }
                prop_assert!(store.usage().bytes <= limit);
                prop_assert!(store.usage().entries[0] <= model.len());
            }
        }
    }
}
