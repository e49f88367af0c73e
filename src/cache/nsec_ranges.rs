//! Proved NSEC and NSEC3 records and wildcard RRsets, for answers to further names (RFC 8198): each NSEC and NSEC3 record
//! denies a range of names, and a wildcard answers for many names.
//!
//! The records of a zone are ordered by owner name (RFC 4034 6.1) or by hash, so that one look-up finds the record at or before
//! any place. `validate` decides what the records prove together; only [`Validated`] RRsets can be stored. The octets of each
//! zone and of all zones are limited: past the total the least recently used zone is dropped, and a zone that exceeds its share
//! loses every second record.

use std::collections::BTreeMap;
use std::mem::size_of;

use foldhash::quality::RandomState;
use lru::LruCache;
use parking_lot::Mutex;

use crate::env::BootTime;
use crate::record::{Name, RrSet, Rtype, Validated};

/// The hash of an owner name in NSEC3.
pub type NsecRangeHash = [u8; 20];

/// The place of a record in the order of its zone.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    Name(&'a Name),
    /// A hash with its parameters: a zone that changes the parameters starts anew.
    Hash {
        hash: &'a NsecRangeHash,
        params: &'a [u8],
    },
    /// An RRset that the wildcard below this name gave, of this type.
    Wildcard(&'a Name, Rtype),
    /// The SOA, which limits the TTL of denials.
    Soa,
}

/// The zone that contains the name of a question.
pub struct NsecRangeZone {
    pub zone: Name,
    pub soa: Option<Validated<RrSet>>,
    /// For a zone with NSEC3: one of its NSEC3 records, for the parameters.
    pub hashed: Option<Validated<RrSet>>,
}

/// Shared by all workers.
pub struct NsecRanges {
    kept: Mutex<Kept>,
    limit: usize,
}

struct Kept {
    zones: LruCache<Name, Zone, RandomState>,
    bytes: usize,
}

#[derive(Default)]
struct Zone {
    soa: Option<Held>,
    by_name: BTreeMap<Name, Held>,
    by_hash: BTreeMap<NsecRangeHash, Held>,
    hash_params: Vec<u8>,
    wildcards: BTreeMap<(Name, Rtype), Held>,
    /// From the last SOA: the limit of RFC 9077 3 for records that come without one, in a wildcard answer.
    negative_ttl: Option<u32>,
    bytes: usize,
}

struct Held {
    set: Validated<RrSet>,
    until_s: u32,
}

/// One zone may hold this part of all: a half, so that two busy zones do not displace each other.
const SHARE_OF_ZONE: usize = 2;
/// An entry in its tree, including the free room of tree nodes.
const NODE_BYTES: usize = 3 * (size_of::<Name>() + size_of::<Held>()) / 2;
const ZONE_BYTES: usize = size_of::<Zone>() + 2 * size_of::<Name>() + 64;

impl Held {
    fn live(&self, now_s: u32) -> Option<Validated<RrSet>> {
        let left = self.until_s.checked_sub(now_s).filter(|left| *left > 0)?;
        Some(self.set.clone().shortened(left))
    }

    fn bytes(&self) -> usize {
        let set = self.set.get();
        NODE_BYTES + set.data.bytes() + set.sigs.bytes()
    }
}

impl Zone {
    fn put(&mut self, place: Place<'_>, held: Held) {
        let new = held.bytes();
        let old = match place {
            Place::Name(name) => self.by_name.insert(name.clone(), held),
            Place::Hash { hash, params } => {
                if self.hash_params != params {
                    self.bytes -= self.by_hash.values().map(Held::bytes).sum::<usize>();
                    self.by_hash.clear();
                    self.hash_params = params.to_vec();
                }
                self.by_hash.insert(*hash, held)
            }
            Place::Wildcard(name, rtype) => self.wildcards.insert((name.clone(), rtype), held),
            Place::Soa => {
                let soa = held.set.get();
                let minimum = soa.data.first().and_then(|rdata| rdata.last_chunk::<4>()).map(|last| u32::from_be_bytes(*last));
                self.negative_ttl = minimum.map(|minimum| minimum.min(soa.ttl)).or(self.negative_ttl);
                self.soa.replace(held)
            }
        };
        self.bytes = self.bytes + new - old.map_or(0, |old| old.bytes());
    }

    /// The record at this place or the last one before it; before the first comes the last (RFC 4034 4.1.1).
    fn find(&self, place: Place<'_>, now_s: u32) -> Option<Validated<RrSet>> {
        let held = match place {
            Place::Name(name) => self.by_name.range(..=name).next_back().or(self.by_name.last_key_value())?.1,
            Place::Hash { hash, .. } => self.by_hash.range::<NsecRangeHash, _>(..=hash).next_back().or(self.by_hash.last_key_value())?.1,
            Place::Wildcard(name, rtype) => self.wildcards.get(&(name.clone(), rtype))?,
            Place::Soa => self.soa.as_ref()?,
        };
        held.live(now_s)
    }

    /// Drops expired records; if that is not enough, every second record.
    fn thin_out(&mut self, limit: usize, now_s: u32) {
        let mut every_second = false;
        loop {
            let mut turn = false;
            let mut keep = |held: &Held| {
                turn = !turn;
                held.until_s > now_s && (turn || !every_second)
            };
            self.by_name.retain(|_, held| keep(held));
            self.by_hash.retain(|_, held| keep(held));
            self.wildcards.retain(|_, held| keep(held));
            let held = self.by_name.values().chain(self.by_hash.values()).chain(self.wildcards.values()).chain(&self.soa);
            self.bytes = ZONE_BYTES + held.map(Held::bytes).sum::<usize>();
            let count = self.by_name.len() + self.by_hash.len() + self.wildcards.len();
            if self.bytes <= limit || count <= 1 {
                return;
            }
            every_second = true;
        }
    }
}

impl NsecRanges {
    /// `limit`: octets of all zones.
    pub fn new(limit: usize) -> NsecRanges {
        let zones = LruCache::unbounded_with_hasher(RandomState::default());
        NsecRanges { kept: Mutex::new(Kept { zones, bytes: 0 }), limit }
    }

    /// Keeps an RRset for its TTL, at most for `ttl_max`.
    pub fn put(&self, zone: &Name, place: Place<'_>, set: Validated<RrSet>, ttl_max: u32, now: BootTime) {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let is_denial = matches!(place, Place::Name(_) | Place::Hash { .. });
        let negative_ttl = kept.zones.peek(zone).and_then(|zone| zone.negative_ttl).filter(|_| is_denial);
        let ttl = set.get().ttl.min(ttl_max).min(negative_ttl.unwrap_or(u32::MAX));
        let held = Held { set, until_s: now.secs().saturating_add(ttl) };
        if ttl == 0 || held.bytes() > self.limit / SHARE_OF_ZONE {
            return;
        }
        let entry = kept.zones.get_or_insert_mut(zone.clone(), || Zone { bytes: 0, ..Zone::default() });
        let before = entry.bytes;
        if before == 0 {
            entry.bytes = ZONE_BYTES;
        }
        entry.put(place, held);
        if entry.bytes > self.limit / SHARE_OF_ZONE {
            entry.thin_out(self.limit / SHARE_OF_ZONE, now.secs());
        }
        kept.bytes = kept.bytes + entry.bytes - before;
        while kept.bytes > self.limit {
            let Some((_, gone)) = kept.zones.pop_lru() else { break };
            kept.bytes -= gone.bytes;
        }
    }

    /// The deepest zone at or above `name` whose denials are kept.
    pub fn zone_of(&self, name: &Name, now: BootTime) -> Option<NsecRangeZone> {
        let now_s = now.secs();
        let mut kept = self.kept.lock();
        let found = (0..=name.label_count()).rev().map(|labels| name.suffix(labels)).find(|zone| kept.zones.contains(zone))?;
        let zone = kept.zones.get(&found)?;
        let soa = zone.find(Place::Soa, now_s);
        let hashed = if zone.by_name.is_empty() { zone.by_hash.values().next().map(|held| held.set.clone()) } else { None };
        Some(NsecRangeZone { zone: found, soa, hashed })
    }

    /// The record of the zone at this place, or for names and hashes the last one before it, with its remaining TTL.
    pub fn find(&self, zone: &Name, place: Place<'_>, now: BootTime) -> Option<Validated<RrSet>> {
        self.kept.lock().zones.peek(zone)?.find(place, now.secs())
    }

    /// Forgets every zone whose records may concern `name` or a name below it.
    pub fn forget(&self, name: &Name) {
        let mut kept = self.kept.lock();
        let gone: Vec<Name> =
            kept.zones.iter().map(|(zone, _)| zone).filter(|zone| zone.is_within(name) || name.is_within(zone)).cloned().collect();
        for zone in gone {
            if let Some(zone) = kept.zones.pop(&zone) {
                kept.bytes -= zone.bytes;
            }
        }
    }

    /// Octets held for all zones.
    pub fn bytes(&self) -> usize {
        self.kept.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn set(owner: &str, ttl: u32) -> Validated<RrSet> {
        Validated::assertion(RrSet::with(name(owner), Rtype::NSEC, ttl, &[0; 40]))
    }

    fn put(nsec_ranges: &NsecRanges, zone: &str, owner: &str, ttl: u32) {
        nsec_ranges.put(&name(zone), Place::Name(&name(owner)), set(owner, ttl), 3_600, BootTime(0));
    }

    fn owner_before(nsec_ranges: &NsecRanges, zone: &str, owner: &str, at: u32) -> Option<String> {
        let found = nsec_ranges.find(&name(zone), Place::Name(&name(owner)), BootTime(u64::from(at) * 1000))?;
        Some(found.get().name.to_string())
    }

    #[test]
    fn the_record_at_or_before() {
        let nsec_ranges = NsecRanges::new(1 << 20);
        for owner in ["example.", "b.example.", "z.b.example.", "d.example."] {
            put(&nsec_ranges, "example.", owner, 60);
        }
        let rows = [("b.example.", "b.example."), ("a.example.", "example."), ("c.example.", "z.b.example."), ("y.example.", "d.example.")];
        for (wanted, found) in rows {
            assert_eq!(owner_before(&nsec_ranges, "example.", wanted, 1).as_deref(), Some(found), "{wanted}");
        }
        assert_eq!(owner_before(&nsec_ranges, "other.", "a.other.", 1), None);
        assert_eq!(owner_before(&nsec_ranges, "example.", "b.example.", 60), None, "its time is up");
        let left = nsec_ranges.find(&name("example."), Place::Name(&name("b.example.")), BootTime(20 * 1000)).expect("live");
        assert_eq!(left.get().ttl, 40);
    }

    #[test]
    fn no_longer_than_any_denial() {
        let nsec_ranges = NsecRanges::new(1 << 20);
        nsec_ranges.put(&name("example."), Place::Name(&name("b.example.")), set("b.example.", 600), 60, BootTime(0));
        assert_eq!(owner_before(&nsec_ranges, "example.", "c.example.", 59).as_deref(), Some("b.example."));
        assert_eq!(owner_before(&nsec_ranges, "example.", "c.example.", 60), None);
    }

    #[test]
    fn hashes_wrap_and_new_parameters_start_anew() {
        let nsec_ranges = NsecRanges::new(1 << 20);
        let (zone, now) = (name("example."), BootTime(0));
        let put = |octet: u8, params: &[u8]| {
            nsec_ranges.put(&zone, Place::Hash { hash: &[octet; 20], params }, set(&format!("h{octet}.example."), 60), 3_600, now);
        };
        let find = |octet: u8| {
            let found = nsec_ranges.find(&zone, Place::Hash { hash: &[octet; 20], params: &[] }, now)?;
            Some(found.get().name.to_string())
        };
        put(10, b"old");
        put(20, b"old");
        assert_eq!((find(5), find(15)), (Some("h20.example.".into()), Some("h10.example.".into())));
        put(30, b"new");
        assert_eq!(find(15), Some("h30.example.".into()));
    }

    #[test]
    fn the_deepest_zone_with_its_soa() {
        let nsec_ranges = NsecRanges::new(1 << 20);
        let now = BootTime(0);
        let found = |owner: &str| nsec_ranges.zone_of(&name(owner), now).map(|found| found.zone.to_string());
        let has_soa = || nsec_ranges.zone_of(&name("x.example."), now).is_some_and(|found| found.soa.is_some());
        assert_eq!(found("x.example."), None);
        put(&nsec_ranges, ".", "a.", 60);
        assert_eq!((found("x.example.").as_deref(), has_soa()), (Some("."), false));
        nsec_ranges.put(&Name::root(), Place::Soa, set(".", 60), 3_600, now);
        assert!(has_soa());
        assert_eq!(found("x.example.").as_deref(), Some("."));
        nsec_ranges.put(&name("example."), Place::Soa, set("example.", 60), 3_600, now);
        assert_eq!((found("x.example."), found("example.")), (Some("example.".into()), Some("example.".into())));
        nsec_ranges.forget(&name("y.example."));
        assert_eq!(found("x.example."), None);
        assert_eq!(nsec_ranges.bytes(), 0);
    }

    #[test]
    fn bounded_by_bytes() {
        let limit = 64 << 10;
        let nsec_ranges = NsecRanges::new(limit);
        for at in 0..2_000 {
            put(&nsec_ranges, "big.", &format!("n{at:05}.big."), 60);
            assert!(nsec_ranges.bytes() <= limit / SHARE_OF_ZONE, "{at}");
        }
        assert!(owner_before(&nsec_ranges, "big.", "n01999.big.", 1).is_some());
        for at in 0..2_000 {
            put(&nsec_ranges, &format!("z{at}."), &format!("a.z{at}."), 60);
        }
        assert!(nsec_ranges.bytes() <= limit);
        assert_eq!(owner_before(&nsec_ranges, "big.", "n01999.big.", 1), None, "used longest ago");
    }
}
