//! For the tests: zones that sign whatever they are told to, right or wrong. It is the one writer of RRSIGs for unit
//! tests, simulated worlds and benches.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

#[cfg(test)]
use super::bitmap::bitmap_of;
use super::budget::WorkBudget;
use super::key::{Sha1Policy, key_tag};
use super::keys::{Anchor, KeyVerdict, ZoneKeys, keys_from_anchor};
use super::rrsig::Now;
#[cfg(test)]
pub(super) use super::test_vectors::{Vectors, date};
use crate::record::{Name, RrSet, Rtype, canonical_rdata};

pub const NOW: u64 = 1_785_758_400;
pub const DAY: u64 = 86_400;
/// Flags of a key that signs all of its zone.
const ZONE_AND_SEP: u16 = 257;

pub fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

#[cfg(test)]
pub(super) fn a_set(owner: &str) -> RrSet {
    RrSet::with(name(owner), Rtype::A, 300, &[192, 0, 2, 1])
}

#[cfg(test)]
pub(super) fn set(owner: &str, rtype: Rtype, rdata: &[u8]) -> RrSet {
    RrSet::with(name(owner), rtype, 300, rdata)
}

#[cfg(test)]
pub(super) fn nsec(owner: &str, next: &str, types: &[Rtype]) -> RrSet {
    set(owner, Rtype::NSEC, &[name(next).as_wire(), &bitmap_of(types)].concat())
}

#[cfg(test)]
pub(super) fn soa(owner: &str) -> RrSet {
    set(owner, Rtype::SOA, &[&b"\x00\x00"[..], &[0; 20]].concat())
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// A zone with one key that signs everything.
pub struct Signer {
    pub zone: Name,
    pub dnskey: Vec<u8>,
    secret: Secret,
}

/// The fields of a signature, to be spoiled by the tests.
#[derive(Clone)]
pub struct Fields {
    pub covered: Rtype,
    pub algorithm: u8,
    pub labels: u8,
    pub original_ttl: u32,
    pub expiration: u64,
    pub inception: u64,
    pub key_tag: u16,
    pub signer: Name,
    /// The owner that is signed, where it is not the set's own: `*.` names of wildcards.
    pub owner: Name,
}

impl Signer {
    pub fn new(zone: &str, seed: u8) -> Signer {
        Signer::ed25519(name(zone), &[seed; 32], ZONE_AND_SEP)
    }

    /// RFC 8080; the same seed is the same key.
    pub fn ed25519(zone: Name, seed: &[u8; 32], flags: u16) -> Signer {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any seed is a key");
        let dnskey = [&flags.to_be_bytes()[..], &[3, 15], pair.public_key().as_ref()].concat();
        Signer { zone, dnskey, secret: Secret::Ed25519(pair) }
    }

    pub fn p256(zone: &str) -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers");
        let dnskey = [&[1, 1, 3, 13][..], &pair.public_key().as_ref()[1..]].concat();
        Signer { zone: name(zone), dnskey, secret: Secret::P256(pair) }
    }

    /// Tag of the key that is meant.
    pub fn key_tag(&self) -> u16 {
        key_tag(&self.dnskey)
    }

    /// RDATA of the DS record (RFC 4034 5.1.4), with SHA-256.
    pub fn ds(&self) -> Vec<u8> {
        let hash = digest(&SHA256, &[self.zone.as_wire(), &self.dnskey].concat());
        [&self.key_tag().to_be_bytes()[..], &[self.dnskey[3], 2], hash.as_ref()].concat()
    }

    pub fn fields(&self, set: &RrSet) -> Fields {
        Fields {
            covered: set.rtype,
            algorithm: self.dnskey[3],
            labels: (set.name.label_count() - usize::from(set.name.is_wildcard())) as u8,
            original_ttl: set.ttl,
            expiration: NOW + DAY,
            inception: NOW - DAY,
            key_tag: self.key_tag(),
            signer: self.zone.clone(),
            owner: set.name.clone(),
        }
    }

    /// RFC 4034 3.1.8.1.
    pub fn rrsig(&self, set: &RrSet, fields: &Fields) -> Vec<u8> {
        let mut rrsig = Vec::new();
        rrsig.extend_from_slice(&fields.covered.0.to_be_bytes());
        rrsig.extend_from_slice(&[fields.algorithm, fields.labels]);
        rrsig.extend_from_slice(&fields.original_ttl.to_be_bytes());
        rrsig.extend_from_slice(&(fields.expiration as u32).to_be_bytes());
        rrsig.extend_from_slice(&(fields.inception as u32).to_be_bytes());
        rrsig.extend_from_slice(&fields.key_tag.to_be_bytes());
        rrsig.extend_from_slice(fields.signer.as_wire());
        let mut message = rrsig.clone();
        let mut sorted: Vec<Vec<u8>> = set.data.iter().map(|rdata| canonical(set.rtype, rdata)).collect();
        sorted.sort();
        for rdata in sorted {
            message.extend_from_slice(fields.owner.as_wire());
            message.extend_from_slice(&[(set.rtype.0 >> 8) as u8, set.rtype.0 as u8, 0, 1]);
            message.extend_from_slice(&fields.original_ttl.to_be_bytes());
            message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(&rdata);
        }
        rrsig.extend_from_slice(&self.raw_signature(&message));
        rrsig
    }

    fn raw_signature(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Secret::P256(pair) => pair.sign(&SystemRandom::new(), message).expect("random numbers").as_ref().to_vec(),
        }
    }

    /// The set with one good signature more.
    pub fn sign(&self, set: RrSet) -> RrSet {
        self.sign_as(set, |_| {})
    }

    pub fn sign_as(&self, mut set: RrSet, spoil: impl FnOnce(&mut Fields)) -> RrSet {
        let mut fields = self.fields(&set);
        spoil(&mut fields);
        let rrsig = self.rrsig(&set, &fields);
        set.sigs.push(&rrsig);
        set
    }

    /// As a server hands out what `*.ENCLOSER` has.
    pub fn expand(&self, set: RrSet, encloser: &str) -> RrSet {
        self.sign_as(set, |fields| {
            fields.labels = name(encloser).label_count() as u8;
            fields.owner = name(encloser).wildcard().expect("short");
        })
    }

    pub fn dnskey_set(&self) -> RrSet {
        self.sign(RrSet::with(self.zone.clone(), Rtype::DNSKEY, 3_600, &self.dnskey))
    }

    pub fn keys(&self) -> Arc<ZoneKeys> {
        Arc::new(keys_of(&self.zone, &self.dnskey_set(), &self.dnskey, NOW))
    }
}

pub fn keys_of(zone: &Name, dnskey_set: &RrSet, anchor: &[u8], now: u64) -> ZoneKeys {
    let anchors = [Anchor::from_record(zone.clone(), Rtype::DNSKEY, anchor).expect("a DNSKEY")];
    match keys_from_anchor(zone, dnskey_set, &anchors, Now::At(now), Sha1Policy::Validate, &mut WorkBudget::default()) {
        KeyVerdict::Secure(keys) => keys,
        other => panic!("{other:?}"),
    }
}

fn canonical(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    canonical_rdata(rtype, rdata, &mut out);
    out
}
