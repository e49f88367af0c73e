//! What changed between two versions of a zone: the records removed and those added (RFC 1995 2).
//!
//! Records lie packed one after the other, so that a diff takes little more than what it says.

use std::collections::HashSet;
use std::sync::Arc;

use super::shard::SetRef;
use super::tree::Zone;
use crate::record::{Name, Rtype};

/// The difference between two versions of one zone. The SOA of each version stands apart.
pub struct Diff {
    pub from: u32,
    pub to: u32,
    pub removed: Records,
    pub added: Records,
    /// TTL and RDATA of the SOA before and after.
    pub soas: [(u32, Box<[u8]>); 2],
}

/// Records in a row: length of the owner 1, owner, type 2, TTL 4, length of RDATA 2, RDATA.
#[derive(Default)]
pub struct Records(Vec<u8>);

/// One record, borrowed from where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRef<'r> {
    /// Lower-case wire form.
    pub owner: &'r [u8],
    pub rtype: Rtype,
    pub ttl: u32,
    pub rdata: &'r [u8],
}

impl Records {
    /// Records that lie so; `None` if these octets are none.
    pub fn from_octets(octets: &[u8]) -> Option<Records> {
        let records = Records(octets.to_vec());
        let end = records.iter().map(|record| 9 + record.owner.len() + record.rdata.len()).sum::<usize>();
        let is_name = |record: RecordRef<'_>| Name::from_wire(record.owner).is_ok_and(|name| name.as_wire() == record.owner);
        (end == octets.len() && records.iter().all(is_name)).then_some(records)
    }

    /// As they lie.
    pub fn as_octets(&self) -> &[u8] {
        &self.0
    }

    /// Adds one at the end.
    pub fn add(&mut self, owner: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8]) {
        self.push(RecordRef { owner, rtype, ttl, rdata });
    }

    /// All, from the first on.
    pub fn iter(&self) -> impl Iterator<Item = RecordRef<'_>> {
        let mut offset = 0;
        std::iter::from_fn(move || {
            let (record, next) = self.at(offset)?;
            offset = next;
            Some(record)
        })
    }

    /// Whether there is none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, record: RecordRef<'_>) {
        // An owner has at most 255 octets, RDATA at most 65,535.
        self.0.push(record.owner.len() as u8);
        self.0.extend_from_slice(record.owner);
        self.0.extend_from_slice(&record.rtype.0.to_be_bytes());
        self.0.extend_from_slice(&record.ttl.to_be_bytes());
        self.0.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        self.0.extend_from_slice(record.rdata);
    }

    /// The record at this offset and the offset of the next one; `None` at the end.
    pub fn at(&self, offset: usize) -> Option<(RecordRef<'_>, usize)> {
        let (owner_len, rest) = self.0.get(offset..)?.split_first()?;
        let (owner, rest) = rest.split_at_checked(usize::from(*owner_len))?;
        let ([t0, t1, l0, l1, l2, l3, d0, d1], rest) = rest.split_first_chunk::<8>()?;
        let rdata = rest.get(..usize::from(u16::from_be_bytes([*d0, *d1])))?;
        let rtype = Rtype(u16::from_be_bytes([*t0, *t1]));
        let record = RecordRef { owner, rtype, ttl: u32::from_be_bytes([*l0, *l1, *l2, *l3]), rdata };
        Some((record, offset + 9 + owner.len() + rdata.len()))
    }

    fn octets(&self) -> usize {
        self.0.len()
    }
}

impl Diff {
    /// The way from `old` to `new`.
    pub fn between(old: &Zone, new: &Zone) -> Diff {
        let soa = |zone: &Zone| (zone.soa().ttl, zone.soa().rdatas().next().unwrap_or_default().into());
        let (mut removed, mut added) = (Records::default(), Records::default());
        for (owner, set) in sets_not_shared(old, new) {
            let now = new.node(owner).and_then(|node| node.set(set.rtype));
            one_way(owner, set, now, old, &mut removed);
        }
        for (owner, set) in sets_not_shared(new, old) {
            let before = old.node(owner).and_then(|node| node.set(set.rtype));
            one_way(owner, set, before, new, &mut added);
        }
        removed.0.shrink_to_fit();
        added.0.shrink_to_fit();
        Diff { from: old.serial(), to: new.serial(), removed, added, soas: [soa(old), soa(new)] }
    }

    /// Octets that the records take.
    pub fn octets(&self) -> usize {
        self.removed.octets() + self.added.octets() + self.soas.iter().map(|(_, rdata)| rdata.len()).sum::<usize>()
    }

    /// Whether anything but the SOA differs.
    pub fn is_empty(&self) -> bool {
        self.removed.0.is_empty() && self.added.0.is_empty()
    }
}

/// The sets of `one`, without those in shards that the other version has too: an edit shares what it does not change.
fn sets_not_shared<'z>(one: &'z Zone, other: &'z Zone) -> impl Iterator<Item = (&'z [u8], SetRef<'z>)> {
    let is_shared = |at: usize, shard| other.shards.get(at).is_some_and(|other| Arc::ptr_eq(shard, other));
    let own = one.shards.iter().enumerate().filter(move |(at, shard)| !is_shared(*at, shard)).map(|(_, shard)| shard);
    own.flat_map(|shard| shard.nodes()).flat_map(|node| node.sets().map(move |set| (node.name(), set)))
}

/// The records of `set` that `other` does not have.
fn one_way(owner: &[u8], set: SetRef<'_>, other: Option<SetRef<'_>>, zone: &Zone, into: &mut Records) {
    if other.is_some_and(|other| other.ttl == set.ttl && other.is_same_octets(set)) {
        return;
    }
    // A record with another TTL is another record.
    let other = other.filter(|other| other.ttl == set.ttl);
    let is_apex_soa = set.rtype == Rtype::SOA && owner == zone.apex().as_wire();
    let had: HashSet<&[u8]> = other.into_iter().flat_map(SetRef::rdatas).collect();
    for rdata in set.rdatas().filter(|rdata| !is_apex_soa && !had.contains(rdata)) {
        into.push(RecordRef { owner, rtype: set.rtype, ttl: set.ttl, rdata });
    }
    let had: HashSet<&[u8]> = other.into_iter().flat_map(SetRef::sigs).collect();
    for rdata in set.sigs().filter(|rdata| !had.contains(rdata)) {
        into.push(RecordRef { owner, rtype: Rtype::RRSIG, ttl: set.ttl, rdata });
    }
}

/// RFC 1982 3.2: is `one` later than `other`? Serials that are half of the range apart are neither.
pub fn is_newer(one: u32, other: u32) -> bool {
    let ahead = one.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}

/// A place among the records of a zone, for a reader that comes back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    shard: usize,
    /// Offset of the node in its shard.
    node: usize,
    set: usize,
    record: usize,
}

/// Gives each record from the cursor on, the apex SOA left out, until `each` does not take one: the cursor then stands
/// there. True when none is left.
pub fn records_from(zone: &Zone, cursor: &mut Cursor, mut each: impl FnMut(RecordRef<'_>) -> bool) -> bool {
    while let Some(shard) = zone.shards.get(cursor.shard) {
        let Some((node, next)) = shard.node_at(cursor.node) else {
            *cursor = Cursor { shard: cursor.shard + 1, ..Cursor::default() };
            continue;
        };
        let is_apex = node.name() == zone.apex.as_wire();
        for set in node.sets().skip(cursor.set) {
            let data = set.rdatas().map(|rdata| (set.rtype, rdata));
            let all = data.chain(set.sigs().map(|rdata| (Rtype::RRSIG, rdata)));
            for (rtype, rdata) in all.skip(cursor.record) {
                let is_left_out = is_apex && rtype == Rtype::SOA;
                if !is_left_out && !each(RecordRef { owner: node.name(), rtype, ttl: set.ttl, rdata }) {
                    return false;
                }
                cursor.record += 1;
            }
            (cursor.set, cursor.record) = (cursor.set + 1, 0);
        }
        *cursor = Cursor { shard: cursor.shard, node: next, ..Cursor::default() };
    }
    true
}

/// Octets that the data takes in memory.
pub fn octets_of(zone: &Zone) -> usize {
    zone.shards.iter().map(|shard| shard.octets()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::rdata_to_text;
    use crate::zone::load_zone;

    fn zone(serial: u32, more: &str) -> Zone {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
        let apex = Name::parse("example.").expect("a name");
        load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    fn listed(records: &Records) -> Vec<String> {
        let (mut all, mut offset) = (Vec::new(), 0);
        while let Some((record, next)) = records.at(offset) {
            let owner = Name::from_wire(record.owner).expect("an owner");
            all.push(format!("{owner} {} {} {}", record.ttl, record.rtype, rdata_to_text(record.rtype, record.rdata)));
            offset = next;
        }
        all.sort();
        all
    }

    #[test]
    fn what_was_removed_and_added() {
        let sig = |end: u32| format!("www RRSIG A 8 2 300 {end}0101000000 20200101000000 1 example. Zm9v\n");
        let old = zone(1, &format!("www A 192.0.2.1\nwww A 192.0.2.2\nttl 60 A 192.0.2.3\ngone TXT x\n{}", sig(2030)));
        let new = zone(2, &format!("www A 192.0.2.2\nwww A 192.0.2.4\nttl 90 A 192.0.2.3\nnew.deep AAAA ::1\n{}", sig(2031)));
        let diff = Diff::between(&old, &new);
        assert_eq!((diff.from, diff.to), (1, 2));
        let shown = [listed(&diff.removed), listed(&diff.added)];
        let sig = |end: u32| format!("www.example. 300 RRSIG A 8 2 300 {end}0101000000 20200101000000 1 example. Zm9v");
        assert_eq!(shown[0], ["gone.example. 300 TXT \"x\"", "ttl.example. 60 A 192.0.2.3", "www.example. 300 A 192.0.2.1", &sig(2030)]);
        assert_eq!(shown[1], ["new.deep.example. 300 AAAA ::1", "ttl.example. 90 A 192.0.2.3", "www.example. 300 A 192.0.2.4", &sig(2031)]);
        assert!(Diff::between(&old, &old).is_empty() && !diff.is_empty());
    }

    #[test]
    fn a_cursor_gives_each_record_once() {
        let more: String = (0..2_000).map(|n| format!("h{} A 192.0.2.{}\n", n / 3, n % 3)).collect();
        let zone = zone(1, &more);
        let mut seen = Vec::new();
        let (mut cursor, mut calls) = (Cursor::default(), 0);
        loop {
            let mut room = 7;
            calls += 1;
            let is_done = records_from(&zone, &mut cursor, |record| {
                room -= 1;
                if room > 0 {
                    seen.push((record.owner.to_vec(), record.rtype, record.rdata.to_vec()));
                }
                room > 0
            });
            if is_done {
                break;
            }
        }
        assert!(calls > 300, "{calls}");
        assert_eq!(seen.len(), zone.record_count() - 1);
        assert!(seen.iter().all(|(_, rtype, _)| *rtype != Rtype::SOA));
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), zone.record_count() - 1);
    }

    #[test]
    fn serial_arithmetic_of_rfc_1982() {
        for (one, other, expected) in [
            (1, 0, true),
            (0, 1, false),
            (0, 0, false),
            (0, u32::MAX, true),
            (1 << 31, 0, false),
            ((1 << 31) - 1, 0, true),
            (44, 4_294_967_000, true),
        ] {
            assert_eq!(is_newer(one, other), expected, "{one} {other}");
        }
    }
}
