//! Signed zones: keys from a seed, RRSIG and NSEC for all that a zone holds (RFC 4034, RFC 4035 2), and what a server
//! adds to a reply for those who set DO (RFC 4035 3.1). Shares nothing with the validator but the key tag.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use cairn::record::{Name, Rtype};
use cairn::validate::key_tag;

use super::packet::Packet;
use super::record::Rr;
use super::zone::{Found, Zone};

/// An Ed25519 key; the seed is its name.
#[derive(Clone, Copy)]
pub struct Key {
    pub seed: u8,
    pub flags: u16,
}

/// ZONE and SEP.
pub const SEP: u16 = 257;
const ALGORITHM: u8 = 15;
/// Signatures of a zone live for the ten days around the moment they are made.
const LIFE_S: u64 = 5 * 86_400;

impl Key {
    pub fn new(seed: u8) -> Key {
        Key { seed, flags: SEP }
    }

    pub fn dnskey(self) -> Vec<u8> {
        [&self.flags.to_be_bytes()[..], &[3, ALGORITHM], self.pair().public_key().as_ref()].concat()
    }

    /// RFC 4034 5.1.4, with SHA-256.
    pub fn ds(self, zone: &Name) -> Vec<u8> {
        let hash = digest(&SHA256, &[zone.as_wire(), &self.dnskey()].concat());
        [&key_tag(&self.dnskey()).to_be_bytes()[..], &[ALGORITHM, 2], hash.as_ref()].concat()
    }

    /// The RRSIG of `zone` over one set (RFC 4034 3.1.8.1), from and to these moments.
    pub fn rrsig(self, zone: &Name, set: &[Rr], (inception, expiration): (u64, u64)) -> Rr {
        let first = &set[0];
        let labels = first.name.label_count() - usize::from(first.name.is_wildcard());
        let mut out = [&first.rtype.0.to_be_bytes()[..], &[ALGORITHM, labels as u8], &first.ttl.to_be_bytes()].concat();
        out.extend_from_slice(&(expiration as u32).to_be_bytes());
        out.extend_from_slice(&(inception as u32).to_be_bytes());
        out.extend_from_slice(&key_tag(&self.dnskey()).to_be_bytes());
        out.extend_from_slice(zone.as_wire());
        let mut message = out.clone();
        let mut sorted: Vec<&Rr> = set.iter().collect();
        sorted.sort_by(|one, other| one.rdata.cmp(&other.rdata));
        for rr in sorted {
            message.extend_from_slice(first.name.as_wire());
            message.extend_from_slice(&[&first.rtype.0.to_be_bytes()[..], &[0, 1], &first.ttl.to_be_bytes()].concat());
            message.extend_from_slice(&(rr.rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(&rr.rdata);
        }
        out.extend_from_slice(self.pair().sign(&message).as_ref());
        Rr::new(&first.name, Rtype::RRSIG, first.ttl, out)
    }

    fn pair(self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[self.seed; 32]).expect("any seed is a key")
    }
}

impl Zone {
    /// Signs what the zone holds now; of an earlier signing nothing is left.
    pub fn sign(&mut self, key: Key, now: u64) {
        let apex = self.apex.clone();
        for owner in self.names().cloned().collect::<Vec<_>>() {
            [Rtype::RRSIG, Rtype::NSEC].into_iter().for_each(|rtype| self.remove(&owner, rtype));
        }
        self.remove(&apex, Rtype::DNSKEY);
        self.add(Rr::new(&apex, Rtype::DNSKEY, 3_600, key.dnskey()));
        let is_cut = |zone: &Zone, owner: &Name| *owner != zone.apex && !zone.set(owner, Rtype::NS).is_empty();
        let cuts: Vec<Name> = self.names().filter(|owner| is_cut(self, owner)).cloned().collect();
        let owners: Vec<Name> = self.names().filter(|owner| !cuts.iter().any(|cut| owner.is_below(cut))).cloned().collect();
        for (at, owner) in owners.iter().enumerate() {
            let mut types: Vec<Rtype> = self.records().filter(|rr| rr.name == *owner).map(|rr| rr.rtype).collect();
            types.extend([Rtype::RRSIG, Rtype::NSEC]);
            let next = owners.get(at + 1).unwrap_or(&apex);
            self.add(Rr::new(owner, Rtype::NSEC, 300, [next.as_wire(), &bitmap(types)].concat()));
        }
        for owner in &owners {
            self.sign_name(owner, key, now);
        }
    }

    /// The name's sets anew, as they are now.
    pub fn sign_name(&mut self, owner: &Name, key: Key, now: u64) {
        self.remove(owner, Rtype::RRSIG);
        let is_cut = *owner != self.apex && !self.set(owner, Rtype::NS).is_empty();
        let mut types: Vec<Rtype> = self.records().filter(|rr| rr.name == *owner).map(|rr| rr.rtype).collect();
        types.dedup();
        // RFC 4035 2.2: NS and glue at a cut are not the zone's own.
        types.retain(|rtype| !is_cut || matches!(*rtype, Rtype::DS | Rtype::NSEC));
        for rtype in types {
            let rrsig = key.rrsig(&self.apex.clone(), self.set(owner, rtype), (now - LIFE_S, now + LIFE_S));
            self.add(rrsig);
        }
    }

    /// Signatures, and for what is not there the NSEC records that show it; nothing in an unsigned zone.
    pub fn add_proofs(&self, qname: &Name, found: &Found, reply: &mut Packet) {
        let source = self.source(qname);
        let by_wildcard = source.as_ref().is_some_and(|owner| owner != qname);
        let denied: Vec<Name> = match found {
            Found::NoData | Found::NoName => vec![qname.clone(), self.wildcard_over(qname)],
            Found::Referral(ns) if self.set(&ns[0].name, Rtype::DS).is_empty() => vec![ns[0].name.clone()],
            Found::Records(_) | Found::Alias(..) if by_wildcard => vec![qname.clone()],
            Found::Records(_) | Found::Alias(..) | Found::Referral(_) => Vec::new(),
        };
        let mut proof: Vec<Rr> = denied.iter().filter_map(|name| self.nsec_at_or_before(name)).collect();
        proof.dedup();
        reply.authority.extend(proof.into_iter().filter(|nsec| !reply.authority.contains(nsec)).collect::<Vec<_>>());
        for section in [&mut reply.answer, &mut reply.authority] {
            let mut sets: Vec<(Name, Rtype)> = section.iter().map(|rr| (rr.name.clone(), rr.rtype)).collect();
            sets.dedup();
            for (owner, rtype) in sets.iter().filter(|(owner, rtype)| owner.is_within(&self.apex) && *rtype != Rtype::RRSIG) {
                let from = self.source(owner).unwrap_or_else(|| owner.clone());
                let covers = |rr: &&Rr| rr.rdata.first_chunk().map(|covered| Rtype(u16::from_be_bytes(*covered))) == Some(*rtype);
                let sigs = self.set(&from, Rtype::RRSIG).iter().filter(covers).map(|rr| Rr { name: owner.clone(), ..rr.clone() });
                let new: Vec<Rr> = sigs.filter(|rr| !section.contains(rr)).collect();
                section.extend(new);
            }
        }
    }

    /// Who holds what is said of `name`: itself, or a wildcard.
    fn source(&self, name: &Name) -> Option<Name> {
        let holds = |owner: &Name| self.names().any(|have| have == owner);
        if holds(name) || self.names().any(|have| have.is_below(name)) {
            return Some(name.clone());
        }
        Some(self.wildcard_over(name)).filter(holds)
    }

    fn wildcard_over(&self, name: &Name) -> Name {
        let exists = |name: &Name| self.names().any(|have| have.is_within(name));
        let encloser = (0..name.label_count()).rev().map(|labels| name.suffix(labels)).find(exists);
        encloser.and_then(|encloser| encloser.wildcard()).unwrap_or_else(|| name.clone())
    }

    fn nsec_at_or_before(&self, name: &Name) -> Option<Rr> {
        let mut owners: Vec<&Name> = self.names().filter(|owner| !self.set(owner, Rtype::NSEC).is_empty() && *owner <= name).collect();
        owners.sort();
        self.set(owners.pop()?, Rtype::NSEC).first().cloned()
    }
}

/// RFC 4034 4.1.2.
pub fn bitmap(mut types: Vec<Rtype>) -> Vec<u8> {
    types.sort();
    let mut windows: Vec<(u8, Vec<u8>)> = Vec::new();
    for [window, low] in types.iter().map(|rtype| rtype.0.to_be_bytes()) {
        if windows.last().is_none_or(|(number, _)| *number != window) {
            windows.push((window, Vec::new()));
        }
        let bits = &mut windows.last_mut().expect("just pushed").1;
        bits.resize(bits.len().max(usize::from(low) / 8 + 1), 0);
        bits[usize::from(low) / 8] |= 0x80 >> (low % 8);
    }
    windows.into_iter().flat_map(|(number, bits)| [vec![number, bits.len() as u8], bits].concat()).collect()
}
