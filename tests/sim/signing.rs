//! Signs zones with one Ed25519 key each (RFC 8080) and an NSEC or NSEC3 chain (RFC 4034 4, RFC 5155 7.1), and adds to a server's reply what
//! belongs to it for clients that set DO: signatures, DS, and proofs of what does not exist (RFC 4035 3.1).
//!
//! The keys of random worlds follow from the names of their zones, so that a world needs nothing but its seed.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use cairn::record::{Name, RrSet, Rtype};
use cairn::validate::test_signer::Signer;

use super::clock::WALL_S;
use super::packet::{AA, Packet};
use super::plan::minimum;
use super::record::Rr;
use super::zone::{Found, Zone};

const DAY: u64 = 86_400;
const KEY_TTL: u32 = 3_600;
/// Flags of a key that signs all of its zone: ZONE and SEP.
pub const SEP: u16 = 257;
/// Signatures made by `Zone::sign` and `sign_name` are valid for the ten days around that moment.
const VALIDITY_S: u64 = 5 * DAY;

/// An Ed25519 key; the seed is its name.
#[derive(Clone, Copy)]
pub struct Key {
    pub seed: [u8; 32],
    pub flags: u16,
}

impl Key {
    pub fn new(seed: u8) -> Key {
        Key::with_flags(seed, SEP)
    }

    pub fn with_flags(seed: u8, flags: u16) -> Key {
        Key { seed: [seed; 32], flags }
    }

    fn of_zone(apex: &Name) -> Key {
        let seed = digest(&SHA256, apex.as_wire());
        Key { seed: seed.as_ref().try_into().expect("32 octets"), flags: SEP }
    }

    pub fn dnskey(self) -> Vec<u8> {
        self.signer(&Name::root()).dnskey
    }

    pub fn ds(self, zone: &Name) -> Vec<u8> {
        self.signer(zone).ds()
    }

    /// The RRSIG of `zone` over one set, valid from and to these moments.
    pub fn rrsig(self, zone: &Name, set: &[Rr], (inception, expiration): (u64, u64)) -> Rr {
        let signer = self.signer(zone);
        let mut signed = RrSet::new(set[0].name.clone(), set[0].rtype, set[0].ttl);
        signed.data = set.iter().map(|rr| rr.rdata.as_slice()).collect();
        let mut fields = signer.fields(&signed);
        (fields.inception, fields.expiration) = (inception, expiration);
        Rr::new(&signed.name, Rtype::RRSIG, signed.ttl, signer.rrsig(&signed, &fields))
    }

    fn signer(self, zone: &Name) -> Signer {
        Signer::ed25519(zone.clone(), &self.seed, self.flags)
    }
}

/// DNSKEY record of a zone of a random world.
pub fn dnskey(apex: &Name) -> Rr {
    Rr::new(apex, Rtype::DNSKEY, KEY_TTL, Key::of_zone(apex).dnskey())
}

/// DS record of a zone of a random world.
pub fn ds(apex: &Name, ttl: u32) -> Rr {
    Rr::new(apex, Rtype::DS, ttl, Key::of_zone(apex).ds(apex))
}

/// Signs a zone of a random world, for as long as a world runs.
pub fn sign(zone: &mut Zone) {
    let key = Key::of_zone(&zone.apex);
    zone.sign_for(key, (WALL_S - DAY, WALL_S + 60 * DAY));
}

impl Zone {
    /// Signs what the zone contains now; nothing is left of an earlier signing.
    pub fn sign(&mut self, key: Key, now: u64) {
        self.sign_for(key, (now - VALIDITY_S, now + VALIDITY_S));
    }

    fn sign_for(&mut self, key: Key, validity: (u64, u64)) {
        for owner in self.names().cloned().collect::<Vec<_>>() {
            [Rtype::RRSIG, Rtype::NSEC].into_iter().for_each(|rtype| self.remove(&owner, rtype));
        }
        let apex = self.apex.clone();
        self.remove(&apex, Rtype::DNSKEY);
        self.add(Rr::new(&apex, Rtype::DNSKEY, KEY_TTL, key.dnskey()));
        let owners: Vec<Name> = self.names().filter(|owner| !self.is_below_cut(owner)).cloned().collect();
        let ttl = self.soa().map_or(0, |soa| soa.ttl.min(minimum(soa)));
        for (at, owner) in owners.iter().enumerate() {
            let next = &owners[(at + 1) % owners.len()];
            let mut types: Vec<Rtype> =
                self.types(owner).filter(|rtype| !self.is_cut(owner) || matches!(*rtype, Rtype::NS | Rtype::DS)).collect();
            types.extend([Rtype::RRSIG, Rtype::NSEC]);
            self.add(Rr::new(owner, Rtype::NSEC, ttl, [next.as_wire(), &bitmap(types)].concat()));
        }
        for owner in &owners {
            self.sign_name_for(owner, key, validity);
        }
    }

    /// The same with NSEC3 (RFC 5155 7.1), without salt and without opt-out.
    pub fn sign_nsec3(&mut self, key: Key, now: u64, iterations: u16) {
        self.sign(key, now);
        let apex = self.apex.clone();
        for owner in self.names().cloned().collect::<Vec<_>>() {
            [Rtype::NSEC, Rtype::NSEC3].into_iter().for_each(|rtype| self.remove(&owner, rtype));
        }
        let owners: Vec<Name> = self.names().filter(|owner| !self.is_below_cut(owner)).cloned().collect();
        let mut hashed = BTreeMap::new();
        for owner in &owners {
            for labels in apex.label_count()..=owner.label_count() {
                let name = owner.suffix(labels);
                let types: Vec<Rtype> = self.types(&name).collect();
                hashed.insert(hash(&name, iterations), types);
            }
        }
        let hashes: Vec<[u8; 20]> = hashed.keys().copied().collect();
        for (at, (own, types)) in hashed.into_iter().enumerate() {
            let next = hashes[(at + 1) % hashes.len()];
            let [high, low] = iterations.to_be_bytes();
            let rdata = [&[1, 0, high, low, 0, 20][..], &next, &bitmap(types)].concat();
            self.add(Rr::new(&hashed_owner(&own, &apex), Rtype::NSEC3, 300, rdata));
        }
        let hashed_owners = hashes.iter().map(|own| hashed_owner(own, &apex));
        owners.into_iter().chain(hashed_owners).collect::<Vec<_>>().iter().for_each(|owner| self.sign_name(owner, key, now));
    }

    fn nsec3_iterations(&self) -> Option<u16> {
        let nsec3 = self.records().find(|rr| rr.rtype == Rtype::NSEC3)?;
        Some(u16::from_be_bytes([nsec3.rdata[2], nsec3.rdata[3]]))
    }

    /// The record of the name's hash, or the one that covers it.
    fn nsec3_at_or_over(&self, name: &Name, iterations: u16) -> Option<Rr> {
        let wanted = hashed_owner(&hash(name, iterations), &self.apex);
        let mut all: Vec<&Rr> = self.records().filter(|rr| rr.rtype == Rtype::NSEC3).collect();
        all.sort();
        all.iter().rfind(|rr| rr.name <= wanted).or(all.last()).map(|rr| (*rr).clone())
    }

    /// RFC 5155 7.2.
    fn nsec3_proof(&self, qname: &Name, found: &Found, iterations: u16) -> Vec<Rr> {
        let exists = |name: &Name| self.names().any(|have| have.is_within(name) && self.set(have, Rtype::NSEC3).is_empty());
        let encloser = (0..=qname.label_count()).rev().map(|labels| qname.suffix(labels)).find(exists).unwrap_or_else(Name::root);
        let next_closer = (encloser != *qname).then(|| qname.suffix(encloser.label_count() + 1));
        let by_wildcard = next_closer.is_some();
        let names: Vec<Name> = match found {
            Found::NoData | Found::NoName if !by_wildcard => vec![qname.clone()],
            Found::NoData | Found::NoName => [Some(encloser.clone()), next_closer, encloser.wildcard()].into_iter().flatten().collect(),
            Found::Referral(ns) if self.set(&ns[0].name, Rtype::DS).is_empty() => vec![ns[0].name.clone()],
            Found::Records(_) | Found::Alias(..) => next_closer.into_iter().collect(),
            Found::Referral(_) => Vec::new(),
        };
        names.iter().filter_map(|name| self.nsec3_at_or_over(name, iterations)).collect()
    }

    /// Signs the sets of one name again, as they are now.
    pub fn sign_name(&mut self, owner: &Name, key: Key, now: u64) {
        self.sign_name_for(owner, key, (now - VALIDITY_S, now + VALIDITY_S));
    }

    fn sign_name_for(&mut self, owner: &Name, key: Key, validity: (u64, u64)) {
        self.remove(owner, Rtype::RRSIG);
        // RFC 4035 2.2: NS and glue at a cut are not the zone's own.
        let cut = self.is_cut(owner);
        let types: Vec<Rtype> = self.types(owner).filter(|rtype| !cut || matches!(*rtype, Rtype::DS | Rtype::NSEC)).collect();
        for rtype in types {
            let rrsig = key.rrsig(&self.apex, self.set(owner, rtype), validity);
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
        let mut proof: Vec<Rr> = match self.nsec3_iterations() {
            Some(iterations) => self.nsec3_proof(qname, found, iterations),
            None => denied.iter().filter_map(|name| self.nsec_at_or_before(name)).collect(),
        };
        proof.sort();
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

    /// The owner of the records that answer for `name`: itself, or a wildcard.
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

/// RFC 5155 5, without salt.
fn hash(name: &Name, iterations: u16) -> [u8; 20] {
    let once = |bytes: &[u8]| <[u8; 20]>::try_from(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()).expect("20 octets");
    (0..iterations).fold(once(name.as_wire()), |hash, _| once(&hash))
}

/// RFC 4648 7, in lower case.
fn hashed_owner(hash: &[u8; 20], apex: &Name) -> Name {
    let bits = |at: usize| (0..5).fold(0, |value, bit| value << 1 | usize::from(hash[(at * 5 + bit) / 8] >> (7 - (at * 5 + bit) % 8) & 1));
    let label: Vec<u8> = (0..32).map(|at| b"0123456789abcdefghijklmnopqrstuv"[bits(at)]).collect();
    apex.child(&label).expect("short enough")
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

/// Adds to a reply from this zone what belongs to it. `name` is what was asked for, or what aliases led to.
pub fn complete(zone: &Zone, name: &Name, reply: &mut Packet) {
    let mut proofs: Vec<&Rr> = Vec::new();
    let denied = reply.has(AA) && reply.authority.iter().any(|rr| rr.rtype == Rtype::SOA);
    if denied {
        proofs.extend(zone.nsec_for(name));
        if !zone.exists(name) {
            proofs.extend(zone.wildcard_for(name).and_then(|wildcard| zone.nsec_for(&wildcard)));
        }
    }
    let cut = reply.authority.iter().find(|rr| rr.rtype == Rtype::NS && rr.name != zone.apex);
    if let Some(cut) = cut.filter(|cut| zone.set(&cut.name, Rtype::DS).is_empty()) {
        proofs.extend(zone.nsec_for(&cut.name));
    }
    // RFC 4035 3.1.3.3: that nothing nearer exists goes with what a wildcard made.
    let is_made = |rr: &&Rr| zone.source_of(&rr.name, rr.rtype).is_some_and(|source| source != rr.name);
    proofs.extend(reply.answer.iter().filter(is_made).filter_map(|rr| zone.nsec_for(&rr.name)));
    for proof in proofs {
        if !reply.authority.contains(proof) {
            reply.authority.push(proof.clone());
        }
    }
    for section in [&mut reply.answer, &mut reply.authority] {
        for rr in section.clone() {
            let Some(source) = zone.source_of(&rr.name, rr.rtype) else { continue };
            let covers = |sig: &&Rr| sig.rdata.starts_with(&rr.rtype.0.to_be_bytes());
            for sig in zone.set(&source, Rtype::RRSIG).iter().filter(covers) {
                let told = Rr { name: rr.name.clone(), ttl: rr.ttl, ..sig.clone() };
                if !section.contains(&told) {
                    section.push(told);
                }
            }
        }
    }
}

/// Makes the reply that of a name server without DNSSEC.
pub fn strip(reply: &mut Packet) {
    for section in [&mut reply.answer, &mut reply.authority] {
        section.retain(|rr| !matches!(rr.rtype, Rtype::RRSIG | Rtype::NSEC | Rtype::DS));
    }
}

/// Does this NSEC record match the name, or cover it?
pub fn speaks_of(owner: &Name, next: &Name, name: &Name) -> bool {
    let is_last = next <= owner;
    owner <= name && (name < next || is_last && name.is_within(next))
}

/// Does an NSEC record's bitmap list this type? One window.
pub fn lists(bitmap: &[u8], rtype: Rtype) -> bool {
    bitmap.get(2 + usize::from(rtype.0 / 8)).is_some_and(|octet| rtype.0 < 256 && octet & (0x80 >> (rtype.0 % 8)) != 0)
}

#[test]
fn a_signed_zone_proves_what_it_says() {
    let name = |text: &str| Name::parse(text).expect("a name");
    let mut zone = Zone::new(&name("example."));
    zone.signed = true;
    for line in ["example. SOA . . 1 1 1 1 60", "example. NS ns.example.", "ns.example. A 192.0.2.1", "x.ent.example. A 192.0.2.2"] {
        zone.add(Rr::parse(line));
    }
    for line in ["sub.example. NS ns.sub.example.", "ns.sub.example. A 192.0.2.3", "*.w.example. A 192.0.2.4"] {
        zone.add(Rr::parse(line));
    }
    sign(&mut zone);
    let nsecs: Vec<String> = zone.records().filter(|rr| rr.rtype == Rtype::NSEC).map(|rr| rr.name.to_string()).collect();
    assert_eq!(nsecs, ["example.", "x.ent.example.", "ns.example.", "sub.example.", "*.w.example."]);
    let owner = |text: &str| zone.nsec_for(&name(text)).map(|rr| rr.name.to_string());
    for (asked, expected) in
        [("example.", "example."), ("ent.example.", "example."), ("z.example.", "*.w.example."), ("o.example.", "ns.example.")]
    {
        assert_eq!(owner(asked).as_deref(), Some(expected), "{asked}");
    }
    let signed = |text: &str, rtype| zone.source_of(&name(text), rtype).map(|source| source.to_string());
    assert_eq!(signed("q.w.example.", Rtype::A).as_deref(), Some("*.w.example."));
    assert_eq!((signed("sub.example.", Rtype::NS), signed("ns.sub.example.", Rtype::A)), (None, None));
    assert!(lists(&bitmap(vec![Rtype::A, Rtype::NSEC]), Rtype::NSEC) && !lists(&bitmap(vec![Rtype::A]), Rtype::NS));
}
