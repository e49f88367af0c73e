//! For the tests: records from text, and zones that sign whatever they are told to, right or wrong.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use super::bitmap::bitmap_of;
use super::budget::WorkBudget;
use super::key::{Sha1Policy, key_tag};
use super::keys::{Anchor, KeyVerdict, ZoneKeys, keys_from_anchor};
use super::nsec3::from_base32hex;
use super::rrsig::Now;
use crate::record::{Name, RrSet, Rtype, canonical_rdata};

pub(super) const NOW: u64 = 1_785_758_400;
pub(super) const DAY: u64 = 86_400;

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

pub(super) fn a_set(owner: &str) -> RrSet {
    RrSet::with(name(owner), Rtype::A, 300, &[192, 0, 2, 1])
}

pub(super) fn set(owner: &str, rtype: Rtype, rdata: &[u8]) -> RrSet {
    RrSet::with(name(owner), rtype, 300, rdata)
}

pub(super) fn nsec(owner: &str, next: &str, types: &[Rtype]) -> RrSet {
    set(owner, Rtype::NSEC, &[name(next).as_wire(), &bitmap_of(types)].concat())
}

pub(super) fn soa(owner: &str) -> RrSet {
    set(owner, Rtype::SOA, &[&b"\x00\x00"[..], &[0; 20]].concat())
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// A zone with one key that signs everything.
pub(super) struct Signer {
    pub(super) zone: Name,
    pub(super) dnskey: Vec<u8>,
    secret: Secret,
}

/// The fields of a signature, to be spoiled by the tests.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) covered: Rtype,
    pub(super) algorithm: u8,
    pub(super) labels: u8,
    pub(super) original_ttl: u32,
    pub(super) expiration: u64,
    pub(super) inception: u64,
    pub(super) key_tag: u16,
    pub(super) signer: Name,
    /// The owner that is signed, where it is not the set's own: `*.` names of wildcards.
    pub(super) owner: Name,
}

impl Signer {
    pub(super) fn new(zone: &str, seed: u8) -> Signer {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("any seed is a key");
        let dnskey = [&[1, 1, 3, 15][..], pair.public_key().as_ref()].concat();
        Signer { zone: name(zone), dnskey, secret: Secret::Ed25519(pair) }
    }

    pub(super) fn p256(zone: &str) -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers");
        let dnskey = [&[1, 1, 3, 13][..], &pair.public_key().as_ref()[1..]].concat();
        Signer { zone: name(zone), dnskey, secret: Secret::P256(pair) }
    }

    pub(super) fn key_tag(&self) -> u16 {
        key_tag(&self.dnskey)
    }

    pub(super) fn fields(&self, set: &RrSet) -> Fields {
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

    pub(super) fn rrsig(&self, set: &RrSet, fields: &Fields) -> Vec<u8> {
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
    pub(super) fn sign(&self, set: RrSet) -> RrSet {
        self.sign_as(set, |_| {})
    }

    pub(super) fn sign_as(&self, mut set: RrSet, spoil: impl FnOnce(&mut Fields)) -> RrSet {
        let mut fields = self.fields(&set);
        spoil(&mut fields);
        let rrsig = self.rrsig(&set, &fields);
        set.sigs.push(&rrsig);
        set
    }

    /// As a server hands out what `*.ENCLOSER` has.
    pub(super) fn expand(&self, set: RrSet, encloser: &str) -> RrSet {
        self.sign_as(set, |fields| {
            fields.labels = name(encloser).label_count() as u8;
            fields.owner = name(encloser).wildcard().expect("short");
        })
    }

    pub(super) fn dnskey_set(&self) -> RrSet {
        self.sign(RrSet::with(self.zone.clone(), Rtype::DNSKEY, 3_600, &self.dnskey))
    }

    pub(super) fn keys(&self) -> Arc<ZoneKeys> {
        Arc::new(keys_of(&self.zone, &self.dnskey_set(), &self.dnskey, NOW))
    }
}

pub(super) fn keys_of(zone: &Name, dnskey_set: &RrSet, anchor: &[u8], now: u64) -> ZoneKeys {
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

/// Published examples, one record a line; RRSIGs stand with the set they cover.
pub(super) struct Vectors(Vec<RrSet>);

impl Vectors {
    pub(super) fn of_rfcs() -> Vectors {
        Vectors::read(include_str!("../../tests/vectors/dnssec-rfc.zone"))
    }

    pub(super) fn of_rfc_5155() -> Vectors {
        Vectors::read(include_str!("../../tests/vectors/dnssec-rfc5155.zone"))
    }

    pub(super) fn of_root() -> Vectors {
        Vectors::read(include_str!("../../tests/vectors/dnssec-root.zone"))
    }

    fn read(text: &str) -> Vectors {
        let mut sets = Vectors(Vec::new());
        for line in text.lines().filter(|line| !line.starts_with(';')) {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (owner, ttl, rtype) = (name(fields[0]), fields[1].parse().expect("TTL"), fields[3].parse().expect("type"));
            let rdata = rdata_of(rtype, &fields[4..]);
            let covered = if rtype == Rtype::RRSIG { fields[4].parse().expect("type") } else { rtype };
            let set = sets.entry(owner, covered, ttl);
            if rtype == Rtype::RRSIG { set.sigs.push(&rdata) } else { set.data.push(&rdata) }
        }
        sets
    }

    fn entry(&mut self, owner: Name, rtype: Rtype, ttl: u32) -> &mut RrSet {
        let at = self.0.iter().position(|set| set.name == owner && set.rtype == rtype).unwrap_or_else(|| {
            self.0.push(RrSet::new(owner, rtype, ttl));
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    pub(super) fn get(&self, owner: &str, rtype: Rtype) -> RrSet {
        self.0.iter().find(|set| set.name == name(owner) && set.rtype == rtype).expect(owner).clone()
    }
}

fn rdata_of(rtype: Rtype, words: &[&str]) -> Vec<u8> {
    let number = |at: usize| words[at].parse::<u32>().expect(words[at]);
    let short = |at: usize| (number(at) as u16).to_be_bytes();
    match rtype {
        Rtype::A => words[0].split('.').map(|octet| octet.parse().expect("octet")).collect(),
        Rtype::NS => name(words[0]).as_wire().to_vec(),
        Rtype::MX => [&short(0)[..], name(words[1]).as_wire()].concat(),
        Rtype::SOA => {
            let numbers: Vec<u8> = (2..7).flat_map(|at| number(at).to_be_bytes()).collect();
            [name(words[0]).as_wire(), name(words[1]).as_wire(), &numbers].concat()
        }
        Rtype::NSEC3 => {
            let salt = hex(words[3]);
            let types: Vec<Rtype> = words[5..].iter().map(|word| word.parse().expect("type")).collect();
            let head = [&[number(0) as u8, number(1) as u8][..], &short(2), &[salt.len() as u8], &salt].concat();
            [&head[..], &[20], &from_base32hex(words[4].as_bytes()).expect("hash"), &bitmap_of(&types)].concat()
        }
        Rtype::NSEC => {
            let types: Vec<Rtype> = words[1..].iter().map(|word| word.parse().expect("type")).collect();
            [name(words[0]).as_wire(), &bitmap_of(&types)].concat()
        }
        Rtype::DS => [&short(0)[..], &[number(1) as u8, number(2) as u8], &hex(words[3])].concat(),
        Rtype::DNSKEY => [&short(0)[..], &[number(1) as u8, number(2) as u8], &base64(words[3])].concat(),
        Rtype::RRSIG => {
            let covered: Rtype = words[0].parse().expect("type");
            let head = [&covered.0.to_be_bytes()[..], &[number(1) as u8, number(2) as u8], &number(3).to_be_bytes()].concat();
            let dates = [date(words[4]).to_be_bytes(), date(words[5]).to_be_bytes()].concat();
            [&head[..], &dates, &short(6), name(words[7]).as_wire(), &base64(words[8])].concat()
        }
        other => panic!("no examples of {other}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hex")).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut out) = (0u32, 0, Vec::new());
    for digit in text.bytes().filter(|digit| *digit != b'=') {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit).expect("base64") as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// `YYYYMMDDHHmmSS`.
pub(super) fn date(text: &str) -> u32 {
    let part = |from: usize, to: usize| text[from..to].parse::<u32>().expect("digits");
    let (year, month, day) = (part(0, 4), part(4, 6), part(6, 8));
    let leap = |year: u32| u32::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)));
    let before: u32 = (1970..year).map(|year| 365 + leap(year)).sum();
    let lengths = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = before + lengths[..month as usize - 1].iter().sum::<u32>() + day - 1;
    days * 86_400 + part(8, 10) * 3_600 + part(10, 12) * 60 + part(12, 14)
}
