//! A finished zone: an immutable snapshot, built once and shared by all workers.
//!
//! Names are found by hash, not by walking a tree: every ancestor down from the apex is in the table too
//! (empty non-terminals included, RFC 4592 2.2.2), so a name that is not there and its closest encloser are
//! found with one probe a label. The table is cut into shards by hash; each is a few flat vectors, and an
//! edit will copy only the shards it touches.
//!
//! ```text
//! Shard   names   NameTable: owner name -> number
//!         nodes   by number: flags, where its sets start, how many
//!         sets    by node, then by type: type, TTL, where its data lies
//!         data    RDATA and RRSIG RDATA, each as two octets of length and the bytes (as `RdataList`)
//! ```

use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::name_table::{NameTable, hash_name};
use crate::record::{Name, RdataIter, RdataList, RrSet, Rtype};

pub struct Zone {
    pub(super) apex: Name,
    pub(super) state: RandomState,
    /// A power of two.
    pub(super) shards: Box<[Arc<Shard>]>,
    /// min(TTL of the SOA, its MINIMUM): how long a "no" may be kept (RFC 2308 5).
    pub(super) negative_ttl: u32,
    pub(super) serial: u32,
    pub(super) records: usize,
}

#[derive(Default)]
pub(super) struct Shard {
    pub(super) names: NameTable,
    pub(super) nodes: Vec<Node>,
    pub(super) sets: Vec<Set>,
    pub(super) data: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Node {
    pub(super) sets_at: u32,
    pub(super) sets_count: u16,
    pub(super) flags: u8,
}

/// NS below the apex: a delegation.
pub(super) const CUT: u8 = 1;
/// Below a cut or a DNAME: glue, or data that is never served (occluded).
pub(super) const HIDDEN: u8 = 2;
pub(super) const HAS_DNAME: u8 = 4;
/// `*` exists directly below.
pub(super) const HAS_WILDCARD: u8 = 8;

#[derive(Clone, Copy)]
pub(super) struct Set {
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) data_at: u32,
    pub(super) sigs_at: u32,
    pub(super) sigs_end: u32,
}

/// One record set of a zone. The owner is known from where it was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetRef<'z> {
    pub rtype: Rtype,
    pub ttl: u32,
    data: &'z [u8],
    sigs: &'z [u8],
}

impl<'z> SetRef<'z> {
    pub fn rdatas(self) -> RdataIter<'z> {
        RdataIter::over(self.data)
    }

    /// RDATA of the RRSIGs that cover the set.
    pub fn sigs(self) -> RdataIter<'z> {
        RdataIter::over(self.sigs)
    }

    pub fn to_rrset(self, name: Name) -> RrSet {
        let (data, sigs) = (RdataList::from_packed(self.data), RdataList::from_packed(self.sigs));
        RrSet { name, rtype: self.rtype, ttl: self.ttl, data, sigs }
    }

    pub(super) fn with_ttl(self, ttl: u32) -> SetRef<'z> {
        SetRef { ttl, ..self }
    }

    /// The signatures as a set of their own, for questions of type RRSIG.
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

#[derive(Clone, Copy)]
pub(super) struct NodeRef<'z> {
    shard: &'z Shard,
    number: u32,
}

impl<'z> NodeRef<'z> {
    pub(super) fn name(self) -> &'z [u8] {
        self.shard.names.name(self.number)
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.shard.nodes[self.number as usize].flags & flag != 0
    }

    pub(super) fn sets(self) -> impl Iterator<Item = SetRef<'z>> {
        let node = self.shard.nodes[self.number as usize];
        let start = node.sets_at as usize;
        let shard = self.shard;
        shard.sets[start..start + usize::from(node.sets_count)].iter().map(move |set| SetRef {
            rtype: set.rtype,
            ttl: set.ttl,
            data: &shard.data[set.data_at as usize..set.sigs_at as usize],
            sigs: &shard.data[set.sigs_at as usize..set.sigs_end as usize],
        })
    }

    pub(super) fn set(self, rtype: Rtype) -> Option<SetRef<'z>> {
        self.sets().find(|set| set.rtype == rtype)
    }
}

impl Zone {
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// How many records it holds, signatures included.
    pub fn record_count(&self) -> usize {
        self.records
    }

    pub fn soa(&self) -> SetRef<'_> {
        self.node(self.apex.as_wire()).and_then(|apex| apex.set(Rtype::SOA)).unwrap_or(SetRef {
            // Never: a zone is only built with a SOA.
            rtype: Rtype::SOA,
            ttl: 0,
            data: &[],
            sigs: &[],
        })
    }

    /// The SOA as it stands beside a "no": its TTL says how long the "no" may be kept.
    pub fn negative_soa(&self) -> SetRef<'_> {
        self.soa().with_ttl(self.negative_ttl)
    }

    /// Every set with its owner, in no order; glue and occluded data included.
    pub fn sets(&self) -> impl Iterator<Item = (&[u8], SetRef<'_>)> {
        self.nodes().flat_map(|node| node.sets().map(move |set| (node.name(), set)))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.shards.iter().flat_map(|shard| (0..shard.names.len() as u32).map(move |number| NodeRef { shard, number }))
    }

    pub(super) fn node(&self, name: &[u8]) -> Option<NodeRef<'_>> {
        let hash = hash_name(&self.state, name);
        let shard = &**self.shards.get(shard_of(hash, self.shards.len()))?;
        shard.names.find(hash, name).map(|number| NodeRef { shard, number })
    }

    /// What it takes in memory, nearly.
    pub fn bytes(&self) -> usize {
        let shard_bytes = |shard: &Arc<Shard>| {
            size_of::<Shard>()
                + shard.names.bytes()
                + shard.nodes.capacity() * size_of::<Node>()
                + shard.sets.capacity() * size_of::<Set>()
                + shard.data.capacity()
        };
        size_of::<Zone>() + self.shards.iter().map(shard_bytes).sum::<usize>()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zone {} serial {} with {} records", self.apex, self.serial, self.records)
    }
}

/// The upper bits choose the shard, the lower ones the slot in its table.
pub(super) fn shard_of(hash: u64, shards: usize) -> usize {
    (hash >> 40) as usize & (shards - 1)
}
