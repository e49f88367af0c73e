//! Signs zones with one Ed25519 key each (RFC 8080) and an NSEC chain (RFC 4034 4), and adds to a server's reply what
//! goes with it for those who ask for it: signatures, DS, and proofs of what is not there (RFC 4035 3.1).
//!
//! Keys follow from the name of their zone, so that a world needs no more than its seed.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use cairn::record::{Name, Rtype};
use cairn::validate::key_tag;

use super::clock::WALL_S;
use super::packet::{AA, Packet};
use super::plan::minimum;
use super::record::Rr;
use super::zone::Zone;

const DAY: u32 = 86_400;
const KEY_TTL: u32 = 3_600;
/// Key of a zone that signs with one only.
const FLAGS: u16 = 257;
const ED25519: u8 = 15;

fn pair(apex: &Name) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(digest(&SHA256, apex.as_wire()).as_ref()).expect("any seed is a key")
}

pub fn dnskey(apex: &Name) -> Rr {
    let rdata = [&FLAGS.to_be_bytes()[..], &[3, ED25519], pair(apex).public_key().as_ref()].concat();
    Rr::new(apex, Rtype::DNSKEY, KEY_TTL, rdata)
}

/// RFC 4509: by SHA-256.
pub fn ds(apex: &Name, ttl: u32) -> Rr {
    let key = dnskey(apex).rdata;
    let digest = digest(&SHA256, &[apex.as_wire(), &key].concat());
    Rr::new(apex, Rtype::DS, ttl, [&key_tag(&key).to_be_bytes()[..], &[ED25519, 2], digest.as_ref()].concat())
}

/// Makes the zone's keys, NSEC chain and signatures anew.
pub fn sign(zone: &mut Zone) {
    let apex = zone.apex.clone();
    let owners: Vec<Name> = zone.names().cloned().collect();
    for owner in &owners {
        [Rtype::RRSIG, Rtype::NSEC].into_iter().for_each(|rtype| zone.remove(owner, rtype));
    }
    zone.remove(&apex, Rtype::DNSKEY);
    zone.add(dnskey(&apex));
    let owners: Vec<Name> = zone.names().filter(|owner| !zone.is_below_cut(owner)).cloned().collect();
    let ttl = zone.soa().map_or(0, |soa| soa.ttl.min(minimum(soa)));
    for (at, owner) in owners.iter().enumerate() {
        let next = &owners[(at + 1) % owners.len()];
        let mut types: Vec<Rtype> =
            zone.types(owner).filter(|rtype| !zone.is_cut(owner) || matches!(*rtype, Rtype::NS | Rtype::DS)).collect();
        types.extend([Rtype::RRSIG, Rtype::NSEC]);
        zone.add(Rr::new(owner, Rtype::NSEC, ttl, [next.as_wire(), &bitmap(&types)].concat()));
    }
    let pair = pair(&apex);
    let tag = key_tag(&dnskey(&apex).rdata);
    for owner in &owners {
        let cut = zone.is_cut(owner);
        let types: Vec<Rtype> = zone.types(owner).filter(|rtype| !cut || matches!(*rtype, Rtype::DS | Rtype::NSEC)).collect();
        for rtype in types {
            let rrsig = rrsig(zone.set(owner, rtype), &apex, &pair, tag);
            zone.add(rrsig);
        }
    }
}

/// One window: no type here is above 255.
fn bitmap(types: &[Rtype]) -> Vec<u8> {
    let mut bits = [0u8; 32];
    for rtype in types {
        let (octet, bit) = (usize::from(rtype.0 / 8), rtype.0 % 8);
        bits[octet] |= 0x80 >> bit;
    }
    let len = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    [&[0, len as u8], &bits[..len]].concat()
}

/// RFC 4034 3.1.8.1.
fn rrsig(set: &[Rr], apex: &Name, pair: &Ed25519KeyPair, tag: u16) -> Rr {
    let (owner, rtype, ttl) = (&set[0].name, set[0].rtype, set[0].ttl);
    let labels = owner.label_count() - usize::from(owner.is_wildcard());
    let (inception, expiration) = (WALL_S as u32 - DAY, WALL_S as u32 + 60 * DAY);
    let times = [ttl, expiration, inception].map(u32::to_be_bytes).concat();
    let mut rdata = [&rtype.0.to_be_bytes()[..], &[ED25519, labels as u8], &times, &tag.to_be_bytes(), apex.as_wire()].concat();
    let mut signed = rdata.clone();
    let mut sorted: Vec<&Vec<u8>> = set.iter().map(|rr| &rr.rdata).collect();
    sorted.sort();
    for data in sorted {
        let len = (data.len() as u16).to_be_bytes();
        signed.extend([owner.as_wire(), &rtype.0.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &len, data].concat());
    }
    rdata.extend_from_slice(pair.sign(&signed).as_ref());
    Rr::new(owner, Rtype::RRSIG, ttl, rdata)
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

/// The last word of a name server that has never heard of DNSSEC.
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
    assert!(lists(&bitmap(&[Rtype::A, Rtype::NSEC]), Rtype::NSEC) && !lists(&bitmap(&[Rtype::A]), Rtype::NS));
}
