//! A finished zone: an immutable snapshot, built once and shared by all workers.
//!
//! Names are found by hash. Every ancestor down from the apex is in the table too (empty non-terminals included, RFC 4592
//! 2.2.2), so a missing name and its closest encloser are found with one probe for each label. The table is divided into shards
//! by hash, so that an edit copies only the shards that it touches.

use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::denial_chain::DenialChain;
use super::name_table::hash_name;
use super::shard::{NSEC3_OWNER, NodeRef, SetRef, Shard, shard_of};
use crate::record::{Name, RrSet, Rtype};

/// One hosted zone. Cloning is cheap: the shards are shared.
pub struct Zone {
    pub(super) apex: Name,
    pub(super) state: RandomState,
    /// A power of two.
    pub(super) shards: Box<[Arc<Shard>]>,
    /// The smaller of the SOA's TTL and its MINIMUM: how long a denial may be cached (RFC 2308 5).
    pub(super) negative_ttl: u32,
    pub(super) serial: u32,
    pub(super) records: usize,
    pub(super) denials: DenialChain,
}

impl Zone {
    /// The name of the zone.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// SERIAL of the SOA.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Number of records, signatures included.
    pub fn record_count(&self) -> usize {
        self.records
    }

    /// Whether the apex has signed data, so that answers carry proofs.
    pub fn is_signed(&self) -> bool {
        self.soa().sigs().next().is_some()
    }

    /// The SOA of the apex.
    pub fn soa(&self) -> SetRef<'_> {
        // Never empty: a zone is only built with a SOA.
        self.node(self.apex.as_wire()).and_then(|apex| apex.set(Rtype::SOA)).unwrap_or(SetRef::empty(Rtype::SOA))
    }

    /// An RRset of the apex, with its signatures.
    pub fn apex_set(&self, rtype: Rtype) -> Option<RrSet> {
        self.node(self.apex.as_wire()).and_then(|apex| apex.set(rtype)).map(|set| set.to_rrset(self.apex.clone()))
    }

    /// The SOA for a negative answer: its TTL is the time that the denial may be cached.
    pub fn negative_soa(&self) -> SetRef<'_> {
        self.soa().with_ttl(self.negative_ttl)
    }

    /// Every RRset with its owner, in no order; glue and occluded data included.
    pub fn sets(&self) -> impl Iterator<Item = (&[u8], SetRef<'_>)> {
        self.shards.iter().flat_map(|shard| shard.nodes()).flat_map(|node| node.sets().map(move |set| (node.name(), set)))
    }

    /// Every name, in no order; empty non-terminals and the owners of NSEC3 records included.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.shards.iter().flat_map(|shard| shard.nodes())
    }

    /// The node of an owner name; `None` for the owners of NSEC3 records, which are names of the chain only.
    pub(super) fn existing(&self, name: &[u8]) -> Option<NodeRef<'_>> {
        self.node(name).filter(|node| !node.has(NSEC3_OWNER))
    }

    /// The node in the table, NSEC3 owners included.
    pub fn node(&self, name: &[u8]) -> Option<NodeRef<'_>> {
        let hash = hash_name(&self.state, name);
        self.shards.get(shard_of(hash, self.shards.len()))?.find(hash, name)
    }
}

/// Whether both have the same records; their order does not matter.
pub fn have_same_data(one: &Zone, other: &Zone) -> bool {
    let sorted = |set: SetRef<'_>| {
        let mut all: Vec<Vec<u8>> = set.rdatas().chain(set.sigs()).map(<[u8]>::to_vec).collect();
        all.sort_unstable();
        all
    };
    let has = |owner: &[u8], set: SetRef<'_>| {
        let own = one.node(owner).and_then(|node| node.set(set.rtype));
        own.is_some_and(|own| own.ttl == set.ttl && (own.is_same_octets(set) || sorted(own) == sorted(set)))
    };
    one.records == other.records && other.sets().all(|(owner, set)| has(owner, set))
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zone {} serial {} with {} records", self.apex, self.serial, self.records)
    }
}
