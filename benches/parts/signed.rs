//! A zone with one P-256 key, and a set that it has signed (RFC 4034 3.1.8.1, RFC 6605).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use cairn::record::{Name, RrSet, Rtype};
use cairn::validate::{Anchor, KeyVerdict, Now, Sha1Policy, WorkBudget, ZoneKeys, key_tag, keys_from_anchor};

const SIGNED_AT: u32 = 1_700_000_000;
pub const NOW: Now = Now::At(SIGNED_AT as u64 + 60);
const P256: u8 = 13;

pub fn zone_and_set() -> (RrSet, ZoneKeys) {
    let zone = Name::parse("example.com.").expect("name");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers");
    let dnskey = [&[1, 1, 3, P256][..], &pair.public_key().as_ref()[1..]].concat();
    let signed =
        |owner: &str, rtype, rdata: &[u8]| sign(RrSet::with(Name::parse(owner).expect("name"), rtype, 3600, rdata), &zone, &dnskey, &pair);
    let dnskeys = signed("example.com.", Rtype::DNSKEY, &dnskey);
    let anchors = [Anchor::from_record(zone.clone(), Rtype::DNSKEY, &dnskey).expect("a key")];
    let verdict = keys_from_anchor(&zone, &dnskeys, &anchors, NOW, Sha1Policy::Validate, &mut WorkBudget::default());
    let KeyVerdict::Secure(keys) = verdict else { panic!("{verdict:?}") };
    (signed("www.example.com.", Rtype::A, &[192, 0, 2, 1]), keys)
}

/// For sets of one record, in canonical form already.
fn sign(mut set: RrSet, zone: &Name, dnskey: &[u8], pair: &EcdsaKeyPair) -> RrSet {
    let (rtype, ttl) = (set.rtype.0.to_be_bytes(), set.ttl.to_be_bytes());
    let dates = [(SIGNED_AT + 86_400).to_be_bytes(), SIGNED_AT.to_be_bytes()].concat();
    let labels = [P256, set.name.label_count() as u8];
    let mut rrsig = [&rtype[..], &labels, &ttl, &dates, &key_tag(dnskey).to_be_bytes(), zone.as_wire()].concat();
    let rdata = set.data.first().expect("one record");
    let record = [set.name.as_wire(), &rtype, &[0, 1], &ttl, &(rdata.len() as u16).to_be_bytes(), rdata].concat();
    let signature = pair.sign(&SystemRandom::new(), &[&rrsig[..], &record].concat()).expect("random numbers");
    rrsig.extend_from_slice(signature.as_ref());
    set.sigs.push(&rrsig);
    set
}
