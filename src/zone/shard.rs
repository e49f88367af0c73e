//! A part of a zone's names, packed so that a look-up touches memory twice: once in the table of slots, and once where all data
//! of the name is stored together.
//!
//! ```text
//! slots    a power of two, at most four fifths full; 0 for free, else
//!          32 bits of the hash | 32 bits: where the node starts in octets, plus 1
//! octets   node after node:
//!            flags 1 | length of the name 1 | number of sets 2 | name | sets
//!          each set, by rising type:
//!            type 2 | TTL 4 | length of data 4 | length of signatures 4 | data | signatures
//!          data and signatures: each RDATA as two octets of length and its bytes (as `RdataList`)
//! ```
//!
//! Numbers are big-endian. A shard is never changed; an edit makes a new one of some kilobytes.

use std::fmt;

use crate::record::{Name, RdataIter, RdataList, RrSet, Rtype};

/// NS below the apex: a delegation.
pub(super) const CUT: u8 = 1;
/// Below a cut or a DNAME: glue, or data that is never served (occluded).
pub(super) const HIDDEN: u8 = 2;
pub(super) const HAS_DNAME: u8 = 4;
/// `*` exists directly below.
pub(super) const HAS_WILDCARD: u8 = 8;
/// Holds NSEC3 records and nothing exists below: not a name of the zone for any question (RFC 5155 7.2.8).
pub(super) const NSEC3_OWNER: u8 = 16;

#[derive(Default)]
pub(super) struct Shard {
    slots: Box<[u64]>,
    octets: Box<[u8]>,
}

impl Shard {
    pub(super) fn find(&self, hash: u64, name: &[u8]) -> Option<NodeRef<'_>> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // One slot is always free, so this ends.
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == u64::from(tag(hash)) {
                let node = self.node(slot)?;
                if node.name() == name {
                    return Some(node);
                }
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.slots.iter().filter(|slot| **slot != 0).filter_map(|slot| self.node(*slot))
    }

    /// The node that begins at this offset, and the offset of the next one; `None` at the end.
    pub(super) fn node_at(&self, at: usize) -> Option<(NodeRef<'_>, usize)> {
        let node = self.octets.get(at..).filter(|rest| !rest.is_empty()).map(NodeRef)?;
        let mut sets = node.sets();
        sets.by_ref().for_each(drop);
        Some((node, self.octets.len() - sets.rest.len()))
    }

    pub(super) fn octets(&self) -> usize {
        self.octets.len()
    }

    /// Octets of the table that leads to them.
    pub(super) fn slots_octets(&self) -> usize {
        size_of_val(&*self.slots)
    }

    fn node(&self, slot: u64) -> Option<NodeRef<'_>> {
        self.octets.get((slot as u32 - 1) as usize..).map(NodeRef)
    }
}

/// The bits between those that select the shard (upper 16) and those that select the slot.
fn tag(hash: u64) -> u32 {
    (hash >> 16) as u32
}

/// The shard of a name, among `shards` (a power of two up to 2^16).
pub(super) fn shard_of(hash: u64, shards: usize) -> usize {
    (hash >> 48) as usize & (shards - 1)
}

/// A shard while it is being built: a node is begun, then its RRsets are added.
#[derive(Default)]
pub(super) struct ShardMaker {
    nodes: Vec<(u64, u32)>,
    octets: Vec<u8>,
}

/// How much a shard will hold, so that it is allocated once: shards that grew side by side would leave their outgrown memory
/// between them.
#[derive(Clone, Copy, Default)]
pub(super) struct ShardSize {
    nodes: usize,
    octets: usize,
}

impl ShardSize {
    /// Counts a name; then its sets and records are counted.
    pub(super) fn node(&mut self, name: &[u8]) {
        self.nodes += 1;
        self.octets += 4 + name.len();
    }

    pub(super) fn set(&mut self) {
        self.octets += 14;
    }

    pub(super) fn record(&mut self, rdata_len: u16) {
        self.octets += 2 + usize::from(rdata_len);
    }
}

impl ShardMaker {
    pub(super) fn with_room_for(size: ShardSize) -> ShardMaker {
        ShardMaker { nodes: Vec::with_capacity(size.nodes), octets: Vec::with_capacity(size.octets) }
    }

    /// `None` when the shard has grown beyond 4 GiB.
    pub(super) fn begin(&mut self, hash: u64, name: &[u8], flags: u8, sets_count: usize) -> Option<()> {
        self.nodes.push((hash, u32::try_from(self.octets.len()).ok().filter(|at| *at < u32::MAX)?));
        self.octets.extend_from_slice(&[flags, u8::try_from(name.len()).ok()?]);
        self.octets.extend_from_slice(&u16::try_from(sets_count).ok()?.to_be_bytes());
        self.octets.extend_from_slice(name);
        Some(())
    }

    /// Adds a node of another shard as it is; it takes `octets`.
    pub(super) fn copy(&mut self, hash: u64, node: NodeRef<'_>, octets: usize) -> Option<()> {
        self.nodes.push((hash, u32::try_from(self.octets.len()).ok().filter(|at| *at < u32::MAX)?));
        self.octets.extend_from_slice(node.0.get(..octets)?);
        Some(())
    }

    pub(super) fn names_count(&self) -> usize {
        self.nodes.len()
    }

    /// Adds an RRset; as many as `begin` announced, by rising type.
    pub(super) fn set<'r>(
        &mut self,
        rtype: Rtype,
        ttl: u32,
        data: impl Iterator<Item = &'r [u8]>,
        sigs: impl Iterator<Item = &'r [u8]>,
    ) -> Option<()> {
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&ttl.to_be_bytes());
        let lengths = self.octets.len();
        self.octets.extend_from_slice(&[0; 8]);
        let data_len = self.rdatas(data)?;
        let sigs_len = self.rdatas(sigs)?;
        self.octets[lengths..lengths + 4].copy_from_slice(&data_len.to_be_bytes());
        self.octets[lengths + 4..lengths + 8].copy_from_slice(&sigs_len.to_be_bytes());
        Some(())
    }

    fn rdatas<'r>(&mut self, rdatas: impl Iterator<Item = &'r [u8]>) -> Option<u32> {
        let start = self.octets.len();
        for rdata in rdatas {
            self.octets.extend_from_slice(&u16::try_from(rdata.len()).ok()?.to_be_bytes());
            self.octets.extend_from_slice(rdata);
        }
        u32::try_from(self.octets.len() - start).ok()
    }

    pub(super) fn finish(self) -> Shard {
        // At most four fifths full, so that one slot is always free.
        let mut slots = vec![0u64; (self.nodes.len() * 5 / 4 + 1).next_power_of_two()];
        let mask = slots.len() - 1;
        for (hash, start) in self.nodes {
            let mut at = hash as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = u64::from(tag(hash)) << 32 | u64::from(start + 1);
        }
        Shard { slots: slots.into(), octets: self.octets.into() }
    }
}

/// One name of a zone: the octets from the start of its node.
#[derive(Clone, Copy)]
pub struct NodeRef<'z>(&'z [u8]);

impl<'z> NodeRef<'z> {
    /// Lower-case wire form.
    pub fn name(self) -> &'z [u8] {
        self.parts().map_or(&[], |(_, name, _)| name)
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.0.first().is_some_and(|flags| flags & flag != 0)
    }

    /// Whether the name is delegated (RFC 1034 4.2.1).
    pub fn is_cut(self) -> bool {
        self.has(CUT)
    }

    /// Whether the name lies below a delegation or a DNAME: glue, or data that is never served.
    pub fn is_hidden(self) -> bool {
        self.has(HIDDEN)
    }

    /// The RRsets by rising type; none for an empty non-terminal.
    pub fn sets(self) -> Sets<'z> {
        let (left, _, rest) = self.parts().unwrap_or_default();
        Sets { left, rest }
    }

    /// The RRset of one type.
    pub fn set(self, rtype: Rtype) -> Option<SetRef<'z>> {
        self.sets().find(|set| set.rtype == rtype)
    }

    fn parts(self) -> Option<(u16, &'z [u8], &'z [u8])> {
        let ([_, name_len, count @ ..], rest) = self.0.split_first_chunk::<4>()?;
        let (name, rest) = rest.split_at_checked(usize::from(*name_len))?;
        Some((u16::from_be_bytes(*count), name, rest))
    }
}

/// The RRsets of a name.
pub struct Sets<'z> {
    left: u16,
    rest: &'z [u8],
}

impl<'z> Iterator for Sets<'z> {
    type Item = SetRef<'z>;

    fn next(&mut self) -> Option<SetRef<'z>> {
        self.left = self.left.checked_sub(1)?;
        let (rtype, rest) = self.rest.split_first_chunk::<2>()?;
        let (ttl, rest) = rest.split_first_chunk::<4>()?;
        let (data_len, rest) = rest.split_first_chunk::<4>()?;
        let (sigs_len, rest) = rest.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(u32::from_be_bytes(*data_len) as usize)?;
        let (sigs, rest) = rest.split_at_checked(u32::from_be_bytes(*sigs_len) as usize)?;
        self.rest = rest;
        Some(SetRef { rtype: Rtype(u16::from_be_bytes(*rtype)), ttl: u32::from_be_bytes(*ttl), data, sigs })
    }
}

/// One RRset of a zone. The caller knows the owner.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetRef<'z> {
    pub rtype: Rtype,
    pub ttl: u32,
    data: &'z [u8],
    sigs: &'z [u8],
}

impl<'z> SetRef<'z> {
    pub(super) const fn empty(rtype: Rtype) -> SetRef<'static> {
        SetRef { rtype, ttl: 0, data: &[], sigs: &[] }
    }

    /// Whether both hold the same records in the same order.
    pub(super) fn is_same_octets(self, other: SetRef<'_>) -> bool {
        (self.data, self.sigs) == (other.data, other.sigs)
    }

    /// RDATA of the records, in the order of the file.
    pub fn rdatas(self) -> RdataIter<'z> {
        RdataIter::over(self.data)
    }

    /// RDATA of the RRSIGs that cover the set.
    pub fn sigs(self) -> RdataIter<'z> {
        RdataIter::over(self.sigs)
    }

    /// A copy with `name` as owner, which for a wildcard is the query name.
    pub fn to_rrset(self, name: Name) -> RrSet {
        let (data, sigs) = (RdataList::from_packed(self.data), RdataList::from_packed(self.sigs));
        RrSet { name, rtype: self.rtype, ttl: self.ttl, data, sigs }
    }

    pub(super) fn with_ttl(self, ttl: u32) -> SetRef<'z> {
        SetRef { ttl, ..self }
    }

    /// The signatures as an RRset, for queries of type RRSIG.
    pub(super) fn signatures_as_set(self) -> SetRef<'z> {
        SetRef { rtype: Rtype::RRSIG, ttl: self.ttl, data: self.sigs, sigs: &[] }
    }
}

impl fmt::Debug for SetRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ttl, self.rtype)?;
        for rdata in self.rdatas() {
            write!(f, " [{}]", crate::record::rdata_to_text(self.rtype, rdata))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_above() {
        let mut size = ShardSize::default();
        size.node(b"\x01a\0");
        [4, 3].into_iter().for_each(|len| size.record(len));
        [1, 3].into_iter().for_each(|len| size.record(len));
        (0..2).for_each(|_| size.set());
        size.node(b"\0");
        let mut maker = ShardMaker::with_room_for(size);
        maker.begin(5, b"\x01a\0", CUT, 2).expect("room");
        maker.set(Rtype::A, 7, [&b"\x01\x02\x03\x04"[..]].into_iter(), [&b"sig"[..]].into_iter()).expect("room");
        maker.set(Rtype::NS, 8, [&b"\0"[..], b"\x01b\0"].into_iter(), std::iter::empty()).expect("room");
        maker.begin(5, b"\0", 0, 0).expect("room");
        assert_eq!((maker.nodes.len(), maker.octets.len()), (size.nodes, size.octets));
        let shard = maker.finish();
        let mut drawn = b"\x01\x03\x00\x02\x01a\0".to_vec();
        drawn.extend_from_slice(b"\x00\x01\x00\x00\x00\x07\x00\x00\x00\x06\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04\x00\x03sig");
        drawn.extend_from_slice(b"\x00\x02\x00\x00\x00\x08\x00\x00\x00\x08\x00\x00\x00\x00\x00\x01\0\x00\x03\x01b\0");
        drawn.extend_from_slice(b"\x00\x01\x00\x00\0");
        assert_eq!(&shard.octets[..], drawn);

        // Same hash, other name: both are found.
        let node = shard.find(5, b"\x01a\0").expect("there");
        assert!(node.has(CUT) && !node.has(HIDDEN));
        let ns = node.set(Rtype::NS).expect("NS");
        assert_eq!((ns.ttl, ns.rdatas().collect::<Vec<_>>(), ns.sigs().count()), (8, vec![&b"\0"[..], b"\x01b\0"], 0));
        assert_eq!(node.set(Rtype::A).expect("A").sigs().collect::<Vec<_>>(), [b"sig"]);
        assert_eq!(node.set(Rtype::MX), None);
        assert_eq!(shard.find(5, b"\0").expect("there").sets().count(), 0);
        assert!(shard.find(5, b"\x01b\0").is_none() && shard.find(5 << 16, b"\0").is_none() && Shard::default().find(5, b"\0").is_none());
        assert_eq!(shard.nodes().count(), 2);
    }
}
