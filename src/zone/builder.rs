//! A zone while it is being built: records in any order, which are then sorted, checked and packed into a `Zone`.
//!
//! Each record takes 28 octets besides RDATA and name, without an allocation of its own. Sorting at the end brings the records
//! of an RRset together. Only then does it show, with line numbers, whether the TTLs of an RRset agree, whether a record is
//! repeated (RFC 2181 5), and whether records that must stand alone do.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::denial;
use super::denial_chain::DenialChain;
use super::lookup::lower;
use super::name_table::{NameTable, hash_name};
use super::problem::{Place, Problems};
use super::shard::{CUT, HAS_DNAME, HAS_WILDCARD, HIDDEN, NSEC3_OWNER, ShardMaker, ShardSize, shard_of};
use super::tree::Zone;
use crate::limits::zone::ZONE_SHARDS_MAX;
use crate::record::{Name, Rtype, canonical_rdata};

/// Names in one shard: an edit copies a few kilobytes.
const SHARD_NAMES: usize = 256;

pub(super) struct ZoneBuilder {
    pub(super) apex: Name,
    /// The first SOA record of a name outside the zone.
    pub(super) soa_elsewhere: Option<(Name, Place)>,
    state: RandomState,
    pub(super) names: NameTable,
    pub(super) entries: Vec<Entry>,
    octets: Vec<u8>,
    /// Indexed by name; filled by `finish`.
    flags: Vec<u8>,
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) name: u32,
    /// The type of its RRset: for an RRSIG the type that it covers.
    pub(super) rtype: Rtype,
    pub(super) is_sig: bool,
    pub(super) ttl: u32,
    at: u32,
    len: u16,
    pub(super) place: Place,
}

/// The builder cannot take more: 4 GiB of names or of RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl ZoneBuilder {
    pub(super) fn new(apex: Name) -> ZoneBuilder {
        let state = RandomState::default();
        let mut builder = ZoneBuilder {
            apex,
            soa_elsewhere: None,
            state,
            names: NameTable::default(),
            entries: Vec::new(),
            octets: Vec::new(),
            flags: Vec::new(),
        };
        let wire = builder.apex.as_wire();
        builder.names.insert(&builder.state, hash_name(&builder.state, wire), wire);
        builder
    }

    /// `owner` is a lower-case wire name within the apex.
    pub(super) fn add(&mut self, owner: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8], place: Place) -> Result<(), Full> {
        let name = self.intern(owner)?;
        let at = u32::try_from(self.octets.len()).map_err(|_| Full)?;
        // In a shard each record takes two octets more, for its length.
        if self.octets.len() + self.entries.len() * 2 + rdata.len() > u32::MAX as usize {
            return Err(Full);
        }
        let len = u16::try_from(rdata.len()).map_err(|_| Full)?;
        self.octets.extend_from_slice(rdata);
        let covered = rdata.first_chunk::<2>().filter(|_| rtype == Rtype::RRSIG).map(|code| Rtype(u16::from_be_bytes(*code)));
        let (rtype, is_sig) = covered.map_or((rtype, false), |covered| (covered, true));
        self.entries.push(Entry { name, rtype, is_sig, ttl, at, len, place });
        Ok(())
    }

    /// The number of `owner`; it and every name between it and the apex are then in the table.
    fn intern(&mut self, owner: &[u8]) -> Result<u32, Full> {
        let hash = hash_name(&self.state, owner);
        if let Some(number) = self.names.find(hash, owner) {
            return Ok(number);
        }
        let number = self.names.insert(&self.state, hash, owner).ok_or(Full)?;
        let mut rest = owner;
        while let Some(above) = self.above(rest) {
            let hash = hash_name(&self.state, above);
            if self.names.find(hash, above).is_some() {
                break;
            }
            self.names.insert(&self.state, hash, above).ok_or(Full)?;
            rest = above;
        }
        Ok(number)
    }

    /// The parent of a name below the apex.
    fn above<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let len = usize::from(*name.first()?);
        name.get(1 + len..).filter(|above| above.len() >= self.apex.as_wire().len())
    }

    pub(super) fn rdata(&self, entry: &Entry) -> &[u8] {
        &self.octets[entry.at as usize..entry.at as usize + usize::from(entry.len)]
    }

    /// The owner of a record.
    pub(super) fn name_of(&self, entry: &Entry) -> Name {
        Name::from_wire(self.names.name(entry.name)).unwrap_or_else(|_| Name::root())
    }

    pub(super) fn number(&self, name: &[u8]) -> Option<u32> {
        self.names.find(hash_name(&self.state, name), name)
    }

    /// The number of the name, or of its closest existing ancestor.
    pub(super) fn closest(&self, name: &[u8]) -> Option<u32> {
        let mut rest = name;
        loop {
            if let Some(number) = lower(rest).and_then(|folded| self.number(&folded.0[..rest.len()])) {
                return Some(number);
            }
            rest = rest.get(1 + usize::from(*rest.first()?)..)?;
        }
    }

    /// Octets that the records and their names take in memory.
    pub(super) fn octets_held(&self) -> usize {
        self.names.octets_held() + self.octets.len() + self.entries.len() * size_of::<Entry>()
    }

    pub(super) fn has(&self, name: u32, flag: u8) -> bool {
        self.flags.get(name as usize).is_some_and(|flags| flags & flag != 0)
    }

    /// The entries of one name and type, without signatures.
    pub(super) fn set(&self, name: u32, rtype: Rtype) -> &[Entry] {
        let start = self.entries.partition_point(|entry| (entry.name, entry.rtype, entry.is_sig) < (name, rtype, false));
        let rest = &self.entries[start..];
        let end = rest.partition_point(|entry| (entry.name, entry.rtype, entry.is_sig) <= (name, rtype, false));
        &rest[..end]
    }

    /// Sorts the records. Called after the last record was added and before RRsets and flags are used.
    pub(super) fn arrange(&mut self) {
        // Stable: records of a set keep the order of the file.
        self.entries.sort_by_key(|entry| (entry.name, entry.rtype, entry.is_sig));
        self.drop_repeated();
        self.mark();
    }

    /// The finished zone, from records without errors. `None` where it would be too large.
    pub(super) fn finish(self, problems: &mut Problems) -> Option<Zone> {
        let zone = self.pack();
        if zone.is_none() {
            problems.error(Place { file: 0, line: 0 }, "found more data than a zone can hold, expected less than 4 GiB");
        }
        zone
    }

    /// RFC 2181 5: a set holds no record twice. Names in RDATA compare without regard to case.
    fn drop_repeated(&mut self) {
        let mut repeated = Vec::new();
        let mut at = 0;
        for set in self.entries.chunk_by(same_set) {
            let mut seen = HashSet::with_capacity_and_hasher(if set.len() > 1 { set.len() } else { 0 }, self.state.clone());
            for (offset, entry) in set.iter().enumerate().filter(|_| set.len() > 1) {
                let mut canonical = Vec::with_capacity(usize::from(entry.len));
                let rtype = if entry.is_sig { Rtype::RRSIG } else { entry.rtype };
                canonical_rdata(rtype, self.rdata(entry), &mut canonical);
                if !seen.insert(canonical) {
                    repeated.push(at + offset);
                }
            }
            at += set.len();
        }
        let (mut next, mut at) = (repeated.into_iter().peekable(), 0);
        if next.peek().is_some() {
            self.entries.retain(|_| {
                at += 1;
                next.next_if_eq(&(at - 1)).is_none()
            });
        }
    }

    /// Marks zone cuts and DNAMEs, and the names that they hide.
    fn mark(&mut self) {
        let apex_len = self.apex.as_wire().len();
        self.flags = vec![0; self.names.len()];
        let mut hides = false;
        for entry in self.entries.iter().filter(|entry| !entry.is_sig) {
            let below_apex = self.names.name(entry.name).len() > apex_len;
            self.flags[entry.name as usize] |= match entry.rtype {
                Rtype::NS if below_apex => CUT,
                Rtype::DNAME => HAS_DNAME,
                _ => continue,
            };
            hides = true;
        }
        self.mark_nsec3_owners();
        for number in 0..self.names.len() as u32 {
            let name = self.names.name(number);
            let Some(mut above) = self.above(name) else { continue };
            if name.starts_with(b"\x01*")
                && !self.has(number, NSEC3_OWNER)
                && let Some(parent) = self.number(above)
            {
                self.flags[parent as usize] |= HAS_WILDCARD;
            }
            let mut hidden = false;
            while hides && !hidden {
                hidden = self.number(above).is_some_and(|above| self.has(above, CUT | HAS_DNAME));
                let Some(next) = self.above(above) else { break };
                above = next;
            }
            if hidden {
                self.flags[number as usize] |= HIDDEN;
            }
        }
    }

    /// Marks names at and below which there are only NSEC3 records (RFC 5155 7.2.8).
    fn mark_nsec3_owners(&mut self) {
        if !self.entries.iter().any(|entry| entry.rtype == Rtype::NSEC3) {
            return;
        }
        let mut exists = vec![false; self.names.len()];
        for entry in self.entries.iter().filter(|entry| entry.rtype != Rtype::NSEC3) {
            let mut next = Some((entry.name, self.names.name(entry.name)));
            while let Some((number, name)) = next.filter(|(number, _)| !exists[*number as usize]) {
                exists[number as usize] = true;
                next = self.above(name).and_then(|above| Some((self.number(above)?, above)));
            }
        }
        for (flags, _) in self.flags.iter_mut().zip(&exists).filter(|(_, exists)| !**exists) {
            *flags |= NSEC3_OWNER;
        }
    }

    fn pack(self) -> Option<Zone> {
        let apex = self.number(self.apex.as_wire())?;
        let soa = self.set(apex, Rtype::SOA).first()?;
        let numbers = self.rdata(soa).last_chunk::<20>()?;
        let (serial, minimum) = (be32(&numbers[..4])?, be32(&numbers[16..])?);
        let negative_ttl = self.set(apex, Rtype::SOA).iter().map(|entry| entry.ttl).min()?.min(minimum);
        let count = self.names.len().div_ceil(SHARD_NAMES).next_power_of_two().min(ZONE_SHARDS_MAX);
        let mut shards: Vec<ShardMaker> = self.sizes(count).into_iter().map(ShardMaker::with_room_for).collect();
        for (number, own) in self.nodes() {
            let name = self.names.name(number);
            let hash = hash_name(&self.state, name);
            let shard = shards.get_mut(shard_of(hash, count))?;
            // Signatures that cover a missing RRset become an RRset of type RRSIG.
            let (mut sets, mut orphans) = (Vec::new(), Vec::new());
            for set in own.chunk_by(|a, b| a.rtype == b.rtype) {
                if set[0].is_sig { orphans.extend_from_slice(set) } else { sets.push((set[0].rtype, set)) }
            }
            if !orphans.is_empty() {
                sets.push((Rtype::RRSIG, &orphans));
                sets.sort_unstable_by_key(|(rtype, _)| *rtype);
            }
            shard.begin(hash, name, self.flags[number as usize], sets.len())?;
            for (rtype, set) in sets {
                self.pack_set(rtype, set, shard)?;
            }
        }
        let shards = shards.into_iter().map(|shard| Arc::new(shard.finish())).collect();
        let (records, denials) = (self.entries.len(), DenialChain::None);
        let mut zone = Zone { shards, negative_ttl, serial, records, denials, apex: self.apex, state: self.state };
        zone.denials = denial::chain_of(&zone);
        Some(zone)
    }

    /// Each name with its records.
    fn nodes(&self) -> impl Iterator<Item = (u32, &[Entry])> {
        let mut rest = &self.entries[..];
        (0..self.names.len() as u32).map(move |number| {
            let (own, others) = rest.split_at(rest.iter().take_while(|entry| entry.name == number).count());
            rest = others;
            (number, own)
        })
    }

    /// How large each shard will be; a little more where signatures cover RRsets that are missing.
    fn sizes(&self, count: usize) -> Vec<ShardSize> {
        let mut sizes = vec![ShardSize::default(); count];
        for (number, own) in self.nodes() {
            let name = self.names.name(number);
            let size = &mut sizes[shard_of(hash_name(&self.state, name), count)];
            size.node(name);
            own.chunk_by(|a, b| a.rtype == b.rtype).for_each(|_| size.set());
            own.iter().for_each(|entry| size.record(entry.len));
        }
        sizes
    }

    fn pack_set(&self, rtype: Rtype, set: &[Entry], shard: &mut ShardMaker) -> Option<()> {
        let ttl = set.iter().map(|entry| entry.ttl).min()?;
        let covers = |entry: &&Entry| entry.is_sig && rtype != Rtype::RRSIG;
        let data = set.iter().filter(|entry| !covers(entry)).map(|entry| self.rdata(entry));
        let sigs = set.iter().filter(covers).map(|entry| self.rdata(entry));
        shard.set(rtype, ttl, data, sigs)
    }
}

fn same_set(a: &Entry, b: &Entry) -> bool {
    (a.name, a.rtype, a.is_sig) == (b.name, b.rtype, b.is_sig)
}

fn be32(octets: &[u8]) -> Option<u32> {
    octets.try_into().ok().map(u32::from_be_bytes)
}
