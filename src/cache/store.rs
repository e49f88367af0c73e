//! The store: shards, each one lock over an order of use (`lru`), packed slabs, and a share of the bytes.
//!
//! `lru` maps the 64-bit hash of a key to the handle of a slot; the key itself is compared in the slot, and of
//! two keys with the same hash the later one stays. What is counted against the limit is what is held:
//! pages of the slabs, and for each entry a node and its part of the hash table (`table_bytes`).
//!
//! One more shard, bounded by itself, keeps what the root said of top-level domains: no flood of other names
//! can push it out.
//!
//! Knows of entries only their key and length.

use std::hash::{BuildHasherDefault, Hasher};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use lru::LruCache;
use parking_lot::Mutex;

use super::entry::{self, Key, Kind};
use super::slab::{self, Slab};
use crate::env::Random;
use crate::record::Rtype;

/// Bits above 48 choose the shard: the hash table inside uses the low ones and the seven on top.
const SHARD_SHIFT: u32 = 48;
const SHARDS_MAX: usize = 256;
const SHARD_BYTES: usize = 4 << 20;

/// `lru`'s node: key, handle, two links. The allocator has a class of exactly this size.
const NODE_BYTES: usize = 32;
/// A bucket of the table holds two pointers and an octet of tag.
const BUCKET_BYTES: usize = 17;

/// Smaller tables are left as they are.
const REBUILD_ENTRIES_MIN: usize = 1024;

pub struct Store {
    shards: Box<[Mutex<Shard>]>,
    protected: Mutex<Shard>,
    hashing: Hashing,
}

impl Store {
    pub fn new(bytes: usize, protected_bytes: usize, random: &Random) -> Store {
        let count = (bytes / SHARD_BYTES).next_power_of_two().clamp(1, SHARDS_MAX);
        let shards = (0..count).map(|_| Mutex::new(Shard::new(bytes / count))).collect();
        Store { shards, protected: Mutex::new(Shard::new(protected_bytes)), hashing: Hashing::new(random) }
    }

    /// Runs `read` on the entry under its shard's lock; what it makes something of counts as a hit. Marks the
    /// entry used, at most once a second; `read` hears whether this was that once.
    pub fn with<R>(&self, key: &Key<'_>, now_s: u32, read: impl FnOnce(&mut [u8], bool) -> Option<R>) -> Option<R> {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().with(hash, key, now_s, read)
    }

    /// The same; an address that is not found is looked for in the protected shard too.
    pub fn with_any<R>(&self, key: &Key<'_>, now_s: u32, mut read: impl FnMut(&mut [u8], bool) -> Option<R>) -> Option<R> {
        let (hash, own) = (self.hashing.of(key), is_protected(key));
        let shard = if own { &self.protected } else { self.shard_of(hash) };
        let found = shard.lock().with(hash, key, now_s, &mut read);
        if found.is_none() && !own && Rtype(key.rtype).is_address() {
            return self.protected.lock().with(hash, key, now_s, read);
        }
        found
    }

    /// Looks without leaving a mark.
    pub fn peek<R>(&self, key: &Key<'_>, read: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().find(hash, key).map(read)
    }

    /// Stores what `make` returns; it is shown what stands there and may return `None` to leave that alone.
    /// Look and change are one step under the lock. False if it was kept back or is too large.
    pub fn update(&self, key: &Key<'_>, make: impl FnOnce(Option<&mut [u8]>) -> Option<Vec<u8>>) -> bool {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().update(hash, key, &self.hashing, make)
    }

    pub fn update_protected(&self, key: &Key<'_>, make: impl FnOnce(Option<&mut [u8]>) -> Option<Vec<u8>>) -> bool {
        self.protected.lock().update(self.hashing.of(key), key, &self.hashing, make)
    }

    /// Removes the entry if `doomed` agrees.
    pub fn remove_if(&self, key: &Key<'_>, doomed: impl FnOnce(&[u8]) -> bool) -> bool {
        let hash = self.hashing.of(key);
        self.shard(key, hash).lock().remove_if(hash, key, doomed)
    }

    pub fn remove_protected(&self, key: &Key<'_>) -> bool {
        self.protected.lock().remove_if(self.hashing.of(key), key, |_| true)
    }

    /// Removes every entry that `doomed` agrees to; the lock of each shard is held while it is gone through.
    pub fn remove_all(&self, mut doomed: impl FnMut(&[u8]) -> bool) -> usize {
        self.each_shard().map(|shard| shard.lock().remove_all(&self.hashing, &mut doomed)).sum()
    }

    /// Shows copies of all entries; no lock is held while `show` runs. An entry that is moved or replaced meanwhile may
    /// be missed or seen twice.
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

    /// As `dump`, a page at a time: `show` hears whether it is of the protected shard, and may end it.
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

    /// Puts an entry where none stands, if there is room without evicting another; it is the next to be evicted itself.
    /// `protected` is honoured for addresses, which alone `with_any` looks for there.
    pub fn settle(&self, protected: bool, bytes: &[u8]) -> bool {
        let key = Key::of(bytes);
        let hash = self.hashing.of(&key);
        let shard = if protected && Rtype(key.rtype).is_address() { &self.protected } else { self.shard(&key, hash) };
        shard.lock().settle(hash, bytes)
    }

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

/// The delegations of the root and of top-level domains, and what is needed to follow and prove them.
fn is_protected(key: &Key<'_>) -> bool {
    let first = usize::from(key.name[0]);
    (first == 0 || key.name.get(1 + first) == Some(&0))
        && key.kind == Kind::Fact
        && [Rtype::NS, Rtype::DELEGATION, Rtype::DS, Rtype::DNSKEY, Rtype::A, Rtype::AAAA].contains(&Rtype(key.rtype))
}

#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    pub bytes: usize,
    pub evictions: u64,
    pub hits: u64,
    /// Sets, denials, failures, ready answers.
    pub entries: [usize; 4],
}

/// Seeded from outside, so that nobody can prepare names that share a bucket.
pub struct Hashing {
    seed: u64,
    shared: SharedSeed,
}

impl Hashing {
    pub fn new(random: &Random) -> Hashing {
        Hashing { seed: random.u64(), shared: SharedSeed::from_u64(random.u64()) }
    }

    pub fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.seed, &self.shared)
    }

    fn of(&self, key: &Key<'_>) -> u64 {
        let mut hasher = self.hasher();
        hasher.write(key.name);
        hasher.write_u64(u64::from(key.rtype) | u64::from(key.group) << 16 | (key.kind as u64) << 24);
        hasher.finish()
    }
}

/// The key is a hash already.
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

pub type ByIdentity = BuildHasherDefault<Identity>;

struct Shard {
    order: LruCache<u64, u32, ByIdentity>,
    slab: Slab,
    limit: usize,
    /// The most entries the table has held: it does not shrink by itself.
    table_peak: usize,
    /// The most nodes there ever were. Freed ones lie scattered and stay with the allocator, for the next ones.
    node_peak: usize,
    entries: [usize; 4],
    evictions: u64,
    hits: u64,
}

impl Shard {
    fn new(limit: usize) -> Shard {
        let order = LruCache::unbounded_with_hasher(ByIdentity::default());
        Shard { order, slab: Slab::new(), limit, table_peak: 0, node_peak: 0, entries: [0; 4], evictions: 0, hits: 0 }
    }

    fn bytes(&self) -> usize {
        self.slab.bytes() + self.node_peak * NODE_BYTES + table_bytes(self.table_peak)
    }

    fn find(&mut self, hash: u64, key: &Key<'_>) -> Option<&mut [u8]> {
        let handle = *self.order.peek(&hash)?;
        let slot = self.slab.slot_mut(handle);
        if !key.is_of(slot) {
            return None;
        }
        let len = entry::len(slot);
        Some(&mut slot[..len])
    }

    fn with<R>(&mut self, hash: u64, key: &Key<'_>, now_s: u32, read: impl FnOnce(&mut [u8], bool) -> Option<R>) -> Option<R> {
        let bytes = self.find(hash, key)?;
        let first_this_second = std::mem::replace(&mut bytes[15], now_s as u8) != now_s as u8;
        let made = read(bytes, first_this_second);
        if first_this_second {
            self.order.promote(&hash);
        }
        self.hits += u64::from(made.is_some());
        made
    }

    fn update(&mut self, hash: u64, key: &Key<'_>, hashing: &Hashing, make: impl FnOnce(Option<&mut [u8]>) -> Option<Vec<u8>>) -> bool {
        let standing = self.order.peek(&hash).copied();
        let shown = standing.map(|handle| self.slab.slot_mut(handle)).filter(|slot| key.is_of(slot));
        let Some(new) = make(shown.map(|slot| {
            let len = entry::len(slot);
            &mut slot[..len]
        })) else {
            return false;
        };
        let Some(class) = slab::class_for(new.len()) else {
            return false;
        };
        match standing {
            Some(handle) if self.slab.class_of(handle) == class => {
                self.count(handle, false);
                self.write(handle, &new);
                self.order.promote(&hash);
                return true;
            }
            Some(_) => self.discard(hash),
            None => {}
        }
        self.make_room(class, hashing) && self.place(hash, class, &new)
    }

    fn write(&mut self, handle: u32, new: &[u8]) {
        self.slab.slot_mut(handle)[..new.len()].copy_from_slice(new);
        self.count(handle, true);
    }

    /// Evicts until there is a slot of this class, or the bytes for one more page, and the table need not
    /// grow past what the share allows. False if the share is too small even when empty.
    fn make_room(&mut self, class: u8, hashing: &Hashing) -> bool {
        while !self.take_room(class) {
            if !self.evict(hashing) {
                return false;
            }
        }
        true
    }

    /// Makes sure that there is a slot of this class; false if that takes more than the share allows.
    fn take_room(&mut self, class: u8) -> bool {
        let entries = self.order.len() + 1;
        let table = table_bytes(self.table_peak.max(entries)) - table_bytes(self.table_peak);
        let node = if entries > self.node_peak { NODE_BYTES } else { 0 };
        let page = if self.slab.free_slots(class) > 0 { 0 } else { slab::page_bytes(class) };
        let more = table + node + page;
        let fits = more == 0 || self.bytes() + more <= self.limit;
        if fits && page > 0 {
            self.slab.grow(class);
        }
        fits
    }

    fn settle(&mut self, hash: u64, bytes: &[u8]) -> bool {
        let Some(class) = slab::class_for(bytes.len()).filter(|_| !self.order.contains(&hash)) else {
            return false;
        };
        let settled = self.take_room(class) && self.place(hash, class, bytes);
        self.order.demote(&hash);
        settled
    }

    fn place(&mut self, hash: u64, class: u8, new: &[u8]) -> bool {
        let Some(handle) = self.slab.alloc(class) else { return false };
        self.write(handle, new);
        self.order.put(hash, handle);
        self.table_peak = self.table_peak.max(self.order.len());
        self.node_peak = self.node_peak.max(self.order.len());
        true
    }

    /// The least recently used entry goes. A class that could do with a page less gives it back.
    fn evict(&mut self, hashing: &Hashing) -> bool {
        let Some((_, handle)) = self.order.pop_lru() else {
            return false;
        };
        let class = self.slab.class_of(handle);
        self.count(handle, false);
        self.slab.free(handle);
        self.evictions += 1;
        if let Some(page) = self.slab.sparse_page(class) {
            let order = &mut self.order;
            self.slab.evacuate(page, |bytes, old, new| {
                if let Some(place) = order.peek_mut(&hashing.of(&Key::of(bytes)))
                    && *place == old
                {
                    *place = new;
                }
            });
        }
        if self.order.len() * 4 < self.table_peak && self.table_peak > REBUILD_ENTRIES_MIN {
            self.rebuild_order();
        }
        true
    }

    /// Gives back a table that has become far too large. Seldom: three quarters of the entries must have gone.
    fn rebuild_order(&mut self) {
        let mut old = std::mem::replace(&mut self.order, LruCache::unbounded_with_hasher(ByIdentity::default()));
        while let Some((hash, handle)) = old.pop_lru() {
            self.order.put(hash, handle);
        }
        self.table_peak = self.order.len();
    }

    fn discard(&mut self, hash: u64) {
        if let Some(handle) = self.order.pop(&hash) {
            self.count(handle, false);
            self.slab.free(handle);
        }
    }

    fn remove_if(&mut self, hash: u64, key: &Key<'_>, doomed: impl FnOnce(&[u8]) -> bool) -> bool {
        let Some(handle) = self.order.peek(&hash).copied() else {
            return false;
        };
        let slot = self.slab.slot(handle);
        let gone = key.is_of(slot) && doomed(&slot[..entry::len(slot)]);
        if gone {
            self.discard(hash);
        }
        gone
    }

    fn remove_all(&mut self, hashing: &Hashing, doomed: &mut impl FnMut(&[u8]) -> bool) -> usize {
        let mut hashes = Vec::new();
        for page in 0..self.slab.page_count() {
            for handle in self.slab.live_in(page) {
                let slot = self.slab.slot(handle);
                if doomed(&slot[..entry::len(slot)]) {
                    hashes.push(hashing.of(&Key::of(slot)));
                }
            }
        }
        for hash in &hashes {
            self.discard(*hash);
        }
        hashes.len()
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
            Some(Kind::Fact) if entry::is_denial(slot) => 1,
            Some(Kind::Fact) => 0,
            Some(Kind::Failure) => 2,
            Some(Kind::Answer | Kind::AnswerDo) => 3,
            None => return,
        };
        self.entries[index] = if more { self.entries[index] + 1 } else { self.entries[index].saturating_sub(1) };
    }
}

/// What the hash table takes once it has held so many entries. It fills its power of two of buckets to seven
/// eighths; removals leave marks, and a table more than half full of entries and marks is doubled once more,
/// which sooner or later happens to every full cache. So the doubled size is counted from the beginning.
fn table_bytes(entries: usize) -> usize {
    match entries {
        0 => 0,
        1..=7 => 16 * BUCKET_BYTES,
        _ => 2 * (entries * 8 / 7 + 1).next_power_of_two() * BUCKET_BYTES,
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
