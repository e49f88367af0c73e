//! A zone with some of its RRsets replaced. Only the shards that hold the changed names are made anew; all others are shared
//! with the version before, so that a change costs what it changes.
//!
//! What a name is for a look-up depends on other names: a name without records exists while something exists below it (RFC 4592
//! 2.2.2), data below a cut or a DNAME is hidden, and a parent knows of its wildcard. Names for which that may have changed are
//! made anew too. Where a name loses its last record, or a cut or DNAME comes or goes at a name that was there before, all names
//! of the zone are looked through once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::builder::ZoneBuilder;
use super::denial;
use super::denial_chain::DenialChain;
use super::diff::{Cursor, records_from};
use super::lookup::within;
use super::name_table::hash_name;
use super::problem::{Place, Problems};
use super::shard::{CUT, HAS_DNAME, HAS_WILDCARD, HIDDEN, NSEC3_OWNER, NodeRef, SetRef, ShardMaker, shard_of};
use super::tree::Zone;
use crate::limits::zone::ZONE_SHARDS_MAX;
use crate::record::{Rtype, canonical_rdata};

/// A shard with more names has the whole zone packed anew, into more shards.
const GROWN_SHARD_NAMES: usize = 1_024;

/// One RRset as it is to be, in place of what was there. Without data and signatures: there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSet {
    /// Lower-case wire name at or below the apex.
    pub owner: Vec<u8>,
    pub rtype: Rtype,
    pub ttl: u32,
    pub data: Vec<Vec<u8>>,
    /// RRSIGs that cover the set.
    pub sigs: Vec<Vec<u8>>,
}

impl ChangedSet {
    /// All RRsets of one name, as they follow from its records: type, TTL and RDATA. Signatures stand with the set that they
    /// cover; a set has the least TTL of its records (RFC 2181 5.2) and no record twice.
    pub fn of_name(zone: &Zone, owner: &[u8], records: impl Iterator<Item = (Rtype, u32, Vec<u8>)>) -> Vec<ChangedSet> {
        let empty = |rtype: Rtype| ChangedSet { owner: owner.to_vec(), rtype, ttl: u32::MAX, data: Vec::new(), sigs: Vec::new() };
        let mut sets: BTreeMap<Rtype, ChangedSet> = sets_at(zone, owner).map(|set| (set.rtype, empty(set.rtype))).collect();
        for (rtype, ttl, rdata) in records {
            let covered = rdata.first_chunk::<2>().filter(|_| rtype == Rtype::RRSIG).map(|code| Rtype(u16::from_be_bytes(*code)));
            let set = sets.entry(covered.unwrap_or(rtype)).or_insert_with_key(|rtype| empty(*rtype));
            set.ttl = set.ttl.min(ttl);
            if covered.is_some() { set.sigs.push(rdata) } else { set.data.push(rdata) }
        }
        // Signatures that cover a missing RRset are an RRset of type RRSIG.
        let mut orphans = empty(Rtype::RRSIG);
        for set in sets.values_mut() {
            if set.data.is_empty() {
                orphans.ttl = orphans.ttl.min(if set.sigs.is_empty() { u32::MAX } else { set.ttl });
                orphans.data.append(&mut set.sigs);
            }
        }
        if !orphans.data.is_empty() || sets.contains_key(&Rtype::RRSIG) {
            sets.insert(Rtype::RRSIG, orphans);
        }
        for set in sets.values_mut() {
            without_repeated(set.rtype, &mut set.data);
            without_repeated(Rtype::RRSIG, &mut set.sigs);
        }
        sets.into_values().collect()
    }
}

fn without_repeated(rtype: Rtype, data: &mut Vec<Vec<u8>>) {
    let mut seen = HashSet::new();
    data.retain(|rdata| {
        let mut canonical = Vec::with_capacity(rdata.len());
        canonical_rdata(rtype, rdata, &mut canonical);
        seen.insert(canonical)
    });
}

#[derive(Clone)]
struct OwnedSet {
    ttl: u32,
    data: Vec<Vec<u8>>,
    sigs: Vec<Vec<u8>>,
}

/// The RRsets of one owner name (lower-case wire form).
pub fn sets_at<'z>(zone: &'z Zone, name: &[u8]) -> impl Iterator<Item = SetRef<'z>> {
    zone.node(name).into_iter().flat_map(|node| node.sets())
}

/// The records of one name, signatures as such.
pub(super) fn records_at(zone: &Zone, owner: &[u8]) -> impl Iterator<Item = (Rtype, u32, Vec<u8>)> {
    sets_at(zone, owner).flat_map(|set| {
        let data = set.rdatas().map(move |rdata| (set.rtype, set.ttl, rdata.to_vec()));
        data.chain(set.sigs().map(move |rdata| (Rtype::RRSIG, set.ttl, rdata.to_vec())))
    })
}

/// A name that is made anew.
type Sets = BTreeMap<Rtype, OwnedSet>;

/// The zone with these RRsets; of two for the same owner and type the later counts. `None`: answers would be
/// wrong or ambiguous (as in `check.rs`), or the zone would be too large.
pub fn edit_zone(zone: &Zone, changes: &[ChangedSet]) -> Option<Zone> {
    let mut touched: HashMap<Vec<u8>, Sets> = HashMap::new();
    for ChangedSet { owner, rtype, ttl, data, sigs } in changes {
        let sets = touched.entry(owner.clone()).or_insert_with(|| sets_of(zone, owner));
        if data.is_empty() && sigs.is_empty() {
            sets.remove(rtype);
        } else {
            sets.insert(*rtype, OwnedSet { ttl: *ttl, data: data.clone(), sigs: sigs.clone() });
        }
    }
    if touched.iter().any(|(owner, sets)| is_ambiguous(owner, owner[..] == *zone.apex.as_wire(), sets)) {
        return None;
    }
    let before: usize = touched.keys().map(|owner| count(&sets_of(zone, owner))).sum();
    let after: usize = touched.values().map(count).sum();
    let mut edit = Edit { zone, touched, gone: HashSet::new(), only_nsec3: HashSet::new() };
    edit.add_ancestors();
    edit.find_existence();
    edit.add_affected();
    edit.pack((zone.records + after).checked_sub(before)?)
}

/// Records that must stand alone and do not, or at a name where they must not be: RFC 1034 3.6.2, RFC 2181 10.1, RFC 6672 2.4,
/// RFC 4592 4.2.
fn is_ambiguous(owner: &[u8], is_apex: bool, sets: &Sets) -> bool {
    let count = |rtype: Rtype| sets.get(&rtype).map_or(0, |set| set.data.len());
    let has_cname = count(Rtype::CNAME) > 0;
    [Rtype::SOA, Rtype::CNAME, Rtype::DNAME].into_iter().any(|rtype| count(rtype) > 1)
        || count(Rtype::SOA) != usize::from(is_apex)
        || has_cname && sets.keys().any(|rtype| !rtype.may_stand_beside_cname())
        || owner.starts_with(b"\x01*") && count(Rtype::NS) > 0
}

fn count(sets: &Sets) -> usize {
    sets.values().map(|set| set.data.len() + set.sigs.len()).sum()
}

fn sets_of(zone: &Zone, owner: &[u8]) -> Sets {
    let owned = |set: SetRef<'_>| OwnedSet {
        ttl: set.ttl,
        data: set.rdatas().map(<[u8]>::to_vec).collect(),
        sigs: set.sigs().map(<[u8]>::to_vec).collect(),
    };
    zone.node(owner).into_iter().flat_map(|node| node.sets()).map(|set| (set.rtype, owned(set))).collect()
}

struct Edit<'z> {
    zone: &'z Zone,
    /// Every name that is made anew, as it is to be.
    touched: HashMap<Vec<u8>, Sets>,
    /// Of these, those that exist no longer.
    gone: HashSet<Vec<u8>>,
    /// Of these, those that hold NSEC3 records alone, at and below themselves (RFC 5155 7.2.8).
    only_nsec3: HashSet<Vec<u8>>,
}

/// Whether the sets make the name exist for questions.
fn is_solid(sets: &Sets) -> bool {
    sets.keys().any(|rtype| *rtype != Rtype::NSEC3)
}

impl<'z> Edit<'z> {
    /// The names between a name and the apex, and the apex.
    fn ancestors<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'n [u8]> + use<'n> {
        let apex_len = self.zone.apex.as_wire().len();
        let above = move |name: &&'n [u8]| {
            let len = usize::from(*name.first()?);
            name.get(1 + len..).filter(|above| above.len() >= apex_len)
        };
        std::iter::successors(Some(name), above).skip(1)
    }

    /// Every ancestor of a name is a node: those that are new are made, and those whose own existence may change are looked at.
    fn add_ancestors(&mut self) {
        let owners: Vec<Vec<u8>> = self.touched.keys().cloned().collect();
        for owner in owners {
            for above in self.ancestors(&owner).map(<[u8]>::to_vec).collect::<Vec<_>>() {
                let node = self.zone.node(&above);
                let is_plain = node.is_some_and(|node| node.sets().any(|set| set.rtype != Rtype::NSEC3));
                if !is_plain && !self.touched.contains_key(&above) {
                    let sets = sets_of(self.zone, &above);
                    self.touched.insert(above, sets);
                }
            }
        }
    }

    /// Which of the touched names without data of their own exist.
    fn find_existence(&mut self) {
        let apex = self.zone.apex.as_wire();
        // By name: is there a name below with data, and one at all?
        let mut below: HashMap<Vec<u8>, (bool, bool)> = HashMap::new();
        for (owner, sets) in self.touched.iter().filter(|(owner, sets)| !is_solid(sets) && owner[..] != *apex) {
            // Nothing is below a name that was not in the table.
            let was_there = self.zone.node(owner).is_some();
            // Below a name that held NSEC3 alone there is no data, and while it holds that it exists.
            let is_known = !sets.is_empty() && self.zone.node(owner).is_some_and(|node| node.has(NSEC3_OWNER));
            if was_there && !is_known {
                below.insert(owner.clone(), (false, false));
            }
        }
        let mut has_below: HashMap<Vec<u8>, (bool, bool)> = HashMap::new();
        let mark = |into: &mut HashMap<Vec<u8>, (bool, bool)>, name: &[u8], is_data: bool| {
            let seen = into.entry(name.to_vec()).or_default();
            (seen.0, seen.1) = (seen.0 || is_data, true);
        };
        for (owner, sets) in self.touched.iter().filter(|(_, sets)| !sets.is_empty()) {
            for above in self.ancestors(owner) {
                mark(&mut has_below, above, is_solid(sets));
            }
        }
        below.retain(|name, _| !has_below.get(name).is_some_and(|seen| seen.0));
        if !below.is_empty() {
            let nodes = self.zone.shards.iter().flat_map(|shard| shard.nodes());
            for node in nodes.filter(|node| node.sets().next().is_some() && !self.touched.contains_key(node.name())) {
                for above in self.ancestors(node.name()).filter(|above| below.contains_key(*above)) {
                    mark(&mut has_below, above, node.sets().any(|set| set.rtype != Rtype::NSEC3));
                }
            }
        }
        for (owner, sets) in self.touched.iter().filter(|(owner, sets)| !is_solid(sets) && owner[..] != *apex) {
            match has_below.get(owner).copied().unwrap_or_default() {
                (true, _) => {}
                (false, false) if sets.is_empty() => drop(self.gone.insert(owner.clone())),
                (false, _) => drop(self.only_nsec3.insert(owner.clone())),
            }
        }
    }

    /// Names that are as they were, and are something else for a look-up.
    fn add_affected(&mut self) {
        let mut affected: Vec<Vec<u8>> = Vec::new();
        let mut cuts: Vec<Vec<u8>> = Vec::new();
        for owner in self.touched.keys() {
            if owner.starts_with(b"\x01*") {
                affected.extend(self.ancestors(owner).next().map(<[u8]>::to_vec));
            }
            let hid = self.zone.node(owner).map(|node| node.has(CUT | HAS_DNAME));
            if hid.is_some_and(|hid| hid != self.hides(owner)) {
                cuts.push(owner.clone());
            }
        }
        if !cuts.is_empty() {
            let below =
                self.zone.nodes().map(NodeRef::name).filter(|name| cuts.iter().any(|cut| name.len() > cut.len() && within(name, cut)));
            affected.extend(below.map(<[u8]>::to_vec));
        }
        for name in affected {
            if !self.touched.contains_key(&name) && self.zone.node(&name).is_some() {
                if self.zone.node(&name).is_some_and(|node| node.has(NSEC3_OWNER)) {
                    self.only_nsec3.insert(name.clone());
                }
                let sets = sets_of(self.zone, &name);
                self.touched.insert(name, sets);
            }
        }
    }

    /// Whether what is below the name is hidden.
    fn hides(&self, name: &[u8]) -> bool {
        match self.touched.get(name) {
            Some(sets) => sets.contains_key(&Rtype::DNAME) || sets.contains_key(&Rtype::NS) && name != self.zone.apex.as_wire(),
            None => self.zone.node(name).is_some_and(|node| node.has(CUT | HAS_DNAME)),
        }
    }

    fn flags(&self, name: &[u8], sets: &Sets) -> u8 {
        let mut flags = 0;
        if sets.contains_key(&Rtype::NS) && name != self.zone.apex.as_wire() {
            flags |= CUT;
        }
        if sets.contains_key(&Rtype::DNAME) {
            flags |= HAS_DNAME;
        }
        if self.ancestors(name).any(|above| self.hides(above)) {
            flags |= HIDDEN;
        }
        if self.only_nsec3.contains(name) {
            flags |= NSEC3_OWNER;
        }
        let wildcard = [b"\x01*", name].concat();
        let has_wildcard = match self.touched.contains_key(&wildcard) {
            true => !self.gone.contains(&wildcard) && !self.only_nsec3.contains(&wildcard),
            false => self.zone.existing(&wildcard).is_some(),
        };
        if has_wildcard { flags | HAS_WILDCARD } else { flags }
    }

    fn pack(self, records: usize) -> Option<Zone> {
        let zone = self.zone;
        let mut by_shard: BTreeMap<usize, Vec<(u64, &[u8])>> = BTreeMap::new();
        for name in self.touched.keys() {
            let hash = hash_name(&zone.state, name);
            by_shard.entry(shard_of(hash, zone.shards.len())).or_default().push((hash, name));
        }
        let mut shards = zone.shards.to_vec();
        let mut is_grown = false;
        for (at, mut names) in by_shard {
            let mut maker = ShardMaker::default();
            let (mut offset, old) = (0, zone.shards.get(at)?);
            while let Some((node, next)) = old.node_at(offset) {
                if !self.touched.contains_key(node.name()) {
                    maker.copy(hash_name(&zone.state, node.name()), node, next - offset)?;
                }
                offset = next;
            }
            names.sort_unstable();
            for (hash, name) in names {
                let Some(sets) = self.touched.get(name).filter(|_| !self.gone.contains(name)) else { continue };
                maker.begin(hash, name, self.flags(name, sets), sets.len())?;
                for (rtype, set) in sets {
                    maker.set(*rtype, set.ttl, set.data.iter().map(Vec::as_slice), set.sigs.iter().map(Vec::as_slice))?;
                }
            }
            is_grown |= maker.names_count() > GROWN_SHARD_NAMES && shards.len() < ZONE_SHARDS_MAX;
            *shards.get_mut(at)? = Arc::new(maker.finish());
        }
        let mut next = Zone {
            apex: zone.apex.clone(),
            state: zone.state.clone(),
            shards: shards.into(),
            negative_ttl: 0,
            serial: 0,
            records,
            denials: DenialChain::None,
        };
        let soa = next.soa();
        let numbers = soa.rdatas().next()?.last_chunk::<20>()?;
        let number = |at: usize| numbers[at..].first_chunk::<4>().map(|octets| u32::from_be_bytes(*octets));
        (next.serial, next.negative_ttl) = (number(0)?, soa.ttl.min(number(16)?));
        if is_grown {
            return packed_anew(&next);
        }
        next.denials = denial::chain_follows(zone, &next, self.touched.keys().map(Vec::as_slice));
        Some(next)
    }
}

/// The same data in as many shards as it needs.
fn packed_anew(zone: &Zone) -> Option<Zone> {
    let (mut builder, place) = (ZoneBuilder::new(zone.apex.clone()), Place { file: 0, line: 0 });
    let (soa, apex) = (zone.soa(), zone.apex.as_wire());
    let mut result = builder.add(apex, Rtype::SOA, soa.ttl, soa.rdatas().next()?, place);
    records_from(zone, &mut Cursor::default(), |record| {
        result = result.and(builder.add(record.owner, record.rtype, record.ttl, record.rdata, place));
        result.is_ok()
    });
    result.ok()?;
    builder.arrange();
    builder.finish(&mut Problems::default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Name, rdata_from_text};
    use crate::zone::{have_same_data, load_zone};

    fn zone(text: &str) -> Zone {
        let text = format!("$TTL 60\n@ SOA ns host 1 2 3 4 60\n{text}");
        let apex = Name::parse("zone.").expect("apex");
        load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{text} {problems:?}")).0
    }

    /// Everything that a look-up can depend on.
    fn nodes(zone: &Zone) -> Vec<(String, u8, String)> {
        let mut all: Vec<_> = zone
            .shards
            .iter()
            .flat_map(|shard| shard.nodes())
            .map(|node| {
                let flags = [CUT, HIDDEN, HAS_DNAME, HAS_WILDCARD, NSEC3_OWNER].into_iter().filter(|flag| node.has(*flag)).sum();
                let sets: Vec<SetRef<'_>> = node.sets().collect();
                (Name::from_wire(node.name()).expect("a name").to_string(), flags, format!("{sets:?}"))
            })
            .collect();
        all.sort();
        all
    }

    fn chain(zone: &Zone) -> Vec<Vec<u8>> {
        match &zone.denials {
            DenialChain::None => Vec::new(),
            DenialChain::Names(owners) => owners.iter().map(|owner| owner.as_wire().to_vec()).collect(),
            DenialChain::Hashes { hashes, .. } => hashes.iter().map(|hash| hash.to_vec()).collect(),
        }
    }

    const SIGNATURE: &str = "@ RRSIG SOA 8 1 60 20300101000000 20200101000000 1 zone. Zm9v\n";

    const DATA: [(&str, &str); 9] = [
        ("A", "192.0.2.1"),
        ("A", "192.0.2.2"),
        ("TXT", "\"x\""),
        ("NS", "ns.other."),
        ("DNAME", "b.other."),
        ("DS", "1 8 2 E2D3C916F6DEEAC73294E8268FB5885044A833FC5459588F4A9184CFC41A5766"),
        ("NSEC3", "1 0 0 - 2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S A"),
        ("NSEC", "zone. A"),
        ("NSEC3PARAM", "1 0 0 -"),
    ];

    fn any_name() -> impl Strategy<Value = String> {
        let hash = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";
        proptest::collection::vec(proptest::sample::select(vec!["a", "b", "*", hash]), 0..4)
            .prop_map(|labels| labels.iter().map(|label| format!("{label}.")).collect::<String>() + "zone.")
    }

    fn any_record() -> impl Strategy<Value = (String, usize)> {
        (any_name(), 0..DATA.len()).prop_filter("refused by the loader", |(name, at)| !(name.starts_with('*') && DATA[*at].0 == "NS"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        /// An edited zone is the zone that a file with the same records gives.
        #[test]
        fn an_edit_gives_what_a_file_gives(
            before in proptest::collection::btree_set(any_record(), 0..14),
            after in proptest::collection::btree_set(any_record(), 0..14),
            stays in any::<u16>(),
            signed in any::<bool>(),
        ) {
            // A part of the records stays.
            let after: std::collections::BTreeSet<_> = before.iter().enumerate().filter(|(at, _)| stays >> (at % 16) & 1 == 1)
                .map(|(_, record)| record.clone()).chain(after.into_iter().take(5)).collect();
            let text = |records: &std::collections::BTreeSet<(String, usize)>| {
                let lines = records.iter().map(|(owner, at)| format!("{owner} {} {}\n", DATA[*at].0, DATA[*at].1));
                lines.chain(signed.then(|| SIGNATURE.to_owned())).collect::<String>()
            };
            let (old, new) = (zone(&text(&before)), zone(&text(&after)));
            let keys: std::collections::BTreeSet<(String, &str)> =
                before.symmetric_difference(&after).map(|(owner, at)| (owner.clone(), DATA[*at].0)).collect();
            let changes: Vec<ChangedSet> = keys.iter().map(|(owner, rtype)| {
                let kind: Rtype = rtype.parse().expect("a type");
                let data = after.iter().filter(|(have, at)| have == owner && DATA[*at].0 == *rtype)
                    .map(|(_, at)| rdata_from_text(kind, DATA[*at].1, b"\0").expect("data")).collect();
                ChangedSet { owner: Name::parse(owner).expect("a name").as_wire().to_vec(), rtype: kind, ttl: 60, data, sigs: Vec::new() }
            }).collect();
            let edited = edit_zone(&old, &changes).expect("a zone");
            prop_assert_eq!(nodes(&edited), nodes(&new), "from\n{}to\n{}", text(&before), text(&after));
            prop_assert_eq!(chain(&edited), chain(&new), "from\n{}to\n{}", text(&before), text(&after));
            prop_assert_eq!(edited.record_count(), new.record_count());
            prop_assert!(have_same_data(&edited, &new));
            let anew = packed_anew(&edited).expect("a zone");
            prop_assert_eq!(nodes(&anew), nodes(&new));
        }
    }

    #[test]
    fn what_does_not_change_is_shared() {
        let many: String = (0..5_000).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
        let old = zone(&many);
        let owner = Name::parse("h7.zone.").expect("a name").as_wire().to_vec();
        let change = ChangedSet { owner, rtype: Rtype::A, ttl: 60, data: vec![vec![192, 0, 2, 9]], sigs: Vec::new() };
        let new = edit_zone(&old, &[change]).expect("a zone");
        let own = old.shards.iter().zip(&new.shards).filter(|(one, other)| !Arc::ptr_eq(one, other)).count();
        assert_eq!((own, old.shards.len(), new.shards.len()), (1, 32, 32));
        assert_eq!(new.record_count(), old.record_count());
    }

    #[test]
    fn a_zone_that_grows_gets_more_shards() {
        let (mut grown, mut text) = (zone(""), String::new());
        for batch in 0..40 {
            let changes: Vec<ChangedSet> = (0..100)
                .map(|n| {
                    let name = format!("h{batch}-{n}");
                    text += &format!("{name} A 192.0.2.1\n");
                    let owner = Name::parse(&format!("{name}.zone.")).expect("a name").as_wire().to_vec();
                    ChangedSet { owner, rtype: Rtype::A, ttl: 60, data: vec![vec![192, 0, 2, 1]], sigs: Vec::new() }
                })
                .collect();
            grown = edit_zone(&grown, &changes).expect("a zone");
        }
        assert!(grown.shards.len() > 2 && have_same_data(&grown, &zone(&text)), "{}", grown.shards.len());
    }

    #[test]
    fn without_soa_there_is_no_zone() {
        let old = zone("");
        let soa = ChangedSet { owner: old.apex.as_wire().to_vec(), rtype: Rtype::SOA, ttl: 0, data: Vec::new(), sigs: Vec::new() };
        assert!(edit_zone(&old, &[soa]).is_none());
    }
}
