//! Signed zones, judged by our own validator: every RRset, every kind of denial, the digest; and how many signatures it takes.

use super::signer::Signed;
use super::*;
use crate::record::{Name, RrSet, Rtype, Validated};
use crate::validate::test_signer::{NOW, keys_of};
use crate::validate::{Denial, Now, WorkBudget, ZoneKeys, prove_no_ds, prove_nodata, prove_nxdomain, prove_wildcard_answer, verify_set};
use crate::zone::{Diff, Found, Missing, Zone, ZonemdVerdict, load_zone, verify_zonemd};

const RECORDS: &str = "\
$TTL 300
@ 3600 SOA ns Host.Example. 7 2 3 4 60
@ NS ns
@ MX 10 Mail
@ ZONEMD 7 1 1 00112233445566778899aabbccddeeff
ns A 192.0.2.53
Mail A 192.0.2.25
mail A 192.0.2.24
a.b.c A 192.0.2.1
*.w TXT x
*.w.deep CNAME ns
alias CNAME ns
old DNAME new.test.
below.old A 192.0.2.66
plain NS ns.plain
ns.plain A 192.0.2.3
secure NS ns.plain
secure DS 1 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
secure A 192.0.2.4
z TYPE65300 \\# 2 00ff
";

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

fn zone(text: &str) -> Zone {
    load_zone(&name("example."), "test", &mut |_| Ok(text.as_bytes().to_vec())).unwrap_or_else(|problems| panic!("{problems:?}")).0
}

fn whole(key: &SigningKey) -> KeyUse<'_> {
    KeyUse { key, is_published: true, signs_keys: true, signs_data: true, is_for_parent: true }
}

fn signed(unsigned: &Zone, before: Option<&Zone>, serial: u32, keys: &[KeyUse<'_>], nsec3: bool, now: u64) -> Signed {
    let policy = Policy { nsec3, ..Policy::default() };
    sign_zone(&Task { unsigned, before, serial, keys, policy, now, refresh_until: now }).expect("it is signed")
}

fn checked(set: &RrSet, keys: &ZoneKeys, now: u64) -> Result<(), String> {
    verify_set(set, keys, Now::At(now), &mut WorkBudget::default())
        .map(|_| ())
        .map_err(|why| format!("{} {}: {why:?}", set.name, set.rtype))
}

fn keys_in(zone: &Zone, key: &SigningKey, now: u64) -> ZoneKeys {
    keys_of(zone.apex(), &zone.apex_set(Rtype::DNSKEY).expect("keys"), &key.dnskey, now)
}

/// All that must be signed is, and nothing else; the digest fits.
fn all_holds(zone: &Zone, keys: &ZoneKeys, now: u64) {
    for node in zone.nodes() {
        for set in node.sets() {
            let is_parents = !node.is_hidden() && (!node.is_cut() || matches!(set.rtype, Rtype::DS | Rtype::NSEC));
            let rrset = set.to_rrset(Name::from_wire(node.name()).expect("a name"));
            match is_parents {
                true => checked(&rrset, keys, now).unwrap_or_else(|why| panic!("{why}")),
                false => assert!(rrset.sigs.is_empty(), "{} {}", rrset.name, rrset.rtype),
            }
        }
    }
    assert_eq!(verify_zonemd(zone), ZonemdVerdict::Verified);
}

#[test]
fn our_own_validator_accepts_every_algorithm_and_both_chains() {
    let unsigned = zone(RECORDS);
    for algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm, Role::Csk.flags()).expect("a key");
        for nsec3 in [false, true] {
            let done = signed(&unsigned, None, 8, &[whole(&key)], nsec3, NOW);
            let keys = keys_in(&done.zone, &key, NOW);
            assert_eq!((done.zone.serial(), done.kept_count), (8, 0));
            all_holds(&done.zone, &keys, NOW);
            denials_hold(&done.zone, &keys);
            let cds = done.zone.apex_set(Rtype::CDS).expect("for the parent");
            assert_eq!(cds.data.iter().collect::<Vec<_>>(), [key.ds(&name("example.")).as_slice()]);
            assert_eq!(done.zone.apex_set(Rtype::CDNSKEY).expect("for the parent").data.first(), Some(&key.dnskey[..]));
            // RFC 9077: the smaller of the SOA's TTL and its MINIMUM.
            let denial = if nsec3 { Rtype::NSEC3 } else { Rtype::NSEC };
            assert!(done.zone.sets().filter(|(_, set)| set.rtype == denial).all(|(_, set)| set.ttl == 60));
        }
    }
}

fn denials_hold(zone: &Zone, keys: &ZoneKeys) {
    let apex = name("example.");
    for (question, rtype) in [
        ("no.example.", "A"),
        ("zz.example.", "A"),
        ("0.example.", "A"),
        ("x.a.b.c.example.", "A"),
        ("z.example.", "MX"),
        ("example.", "TXT"),
        ("c.example.", "A"),
        ("b.c.example.", "A"),
        ("w.example.", "A"),
        ("x.w.example.", "A"),
        ("x.y.w.example.", "TXT"),
        ("x.w.deep.example.", "A"),
        ("plain.example.", "DS"),
        ("www.plain.example.", "A"),
        ("alias.example.", "TXT"),
    ] {
        let (qname, rtype): (Name, Rtype) = (name(question), rtype.parse().expect(rtype));
        let found = zone.find(qname.as_wire(), rtype);
        let sets = match found {
            Found::NxDomain { encloser, .. } => zone.proofs(&qname, Missing::Name { encloser }),
            Found::NoData { wildcard, .. } => zone.proofs(&qname, Missing::Type { wildcard }),
            Found::Answer { wildcard: Some(wildcard), .. } | Found::Cname { wildcard: Some(wildcard), .. } => {
                zone.proofs(&qname, Missing::Closer { wildcard })
            }
            Found::Referral { cut, .. } => zone.proofs_of_no_ds(cut),
            Found::Cname { wildcard: None, .. } => continue,
            other => panic!("{question} {other:?}"),
        };
        for set in &sets {
            checked(set, keys, NOW).unwrap_or_else(|why| panic!("{question}: {why}"));
        }
        let sets: Vec<_> = sets.into_iter().map(Validated::assertion).collect();
        let work = &mut WorkBudget::default();
        let proof = match found {
            Found::NxDomain { .. } => prove_nxdomain(&qname, &apex, &sets, work),
            Found::NoData { .. } if rtype == Rtype::DS => prove_no_ds(&qname, &apex, &sets, work),
            Found::NoData { .. } => prove_nodata(&qname, rtype, &apex, &sets, work),
            Found::Referral { cut, .. } => prove_no_ds(&Name::from_wire(cut).expect("a cut"), &apex, &sets, work),
            Found::Answer { wildcard, .. } | Found::Cname { wildcard, .. } => {
                let encloser = Name::from_wire(&wildcard.expect("a wildcard")[2..]).expect("above it");
                prove_wildcard_answer(&qname, rtype, &encloser, &apex, &sets, work)
            }
            Found::Dname { .. } => panic!("{question}"),
        };
        assert!(matches!(proof, Denial::Proved(_)), "{question} {rtype} {found:?}: {proof:?} by {sets:?}");
    }
}

/// What a change costs: signatures made, and RRsets whose signatures differ.
#[test]
fn a_change_costs_the_signatures_of_what_it_changes() {
    let key = SigningKey::generate(Algorithm::EcdsaP256Sha256, 257).expect("a key");
    let unsigned = zone(RECORDS);
    for nsec3 in [false, true] {
        let first = signed(&unsigned, None, 8, &[whole(&key)], nsec3, NOW);
        for (from, to, expected) in [
            // The record, the SOA, the digest.
            ("ns A 192.0.2.53", "ns A 192.0.2.54", 3),
            ("ns A 192.0.2.53", "ns 60 A 192.0.2.53", 3),
            // Nothing but the serial.
            ("ns A 192.0.2.53", "ns A 192.0.2.53", 2),
            ("mail A 192.0.2.24", "mail A 192.0.2.24", 2),
            // Another type at a name: its denial says so.
            ("z TYPE65300", "z TXT x\nz TYPE65300", 4),
            // A name: its set, its denial and the one before.
            ("z TYPE65300", "y TXT x\nz TYPE65300", 5),
            ("old DNAME", "new TXT x\nold DNAME", 5),
            // Glue, and data below a DNAME.
            ("ns.plain A 192.0.2.3", "ns.plain A 192.0.2.9", 2),
            ("below.old A 192.0.2.66", "below.old A 192.0.2.67", 2),
            // A delegation: its denial and the one before.
            ("plain NS", "also NS ns.plain\nplain NS", 4),
        ] {
            assert!(RECORDS.contains(from), "{from}");
            let changed = zone(&RECORDS.replacen(from, to, 1));
            let next = signed(&changed, Some(&first.zone), 9, &[whole(&key)], nsec3, NOW + 60);
            assert_eq!(next.made_count, expected, "{from} -> {to}, NSEC3 {nsec3}");
            all_holds(&next.zone, &keys_in(&next.zone, &key, NOW + 60), NOW + 60);
            assert!(Diff::between(&first.zone, &next.zone).octets() < 4_000);
        }
    }
}

#[test]
fn signatures_are_replaced_long_before_they_end() {
    let key = SigningKey::generate(Algorithm::Ed25519, 257).expect("a key");
    let unsigned = zone(RECORDS);
    let (mut version, mut now, mut passes) = (signed(&unsigned, None, 8, &[whole(&key)], false, NOW), NOW, 0);
    let all = version.made_count;
    while now < NOW + 60 * 86_400 {
        now = version.refresh_at;
        let serial = version.zone.serial() + 1;
        let policy = Policy::default();
        let keys = [whole(&key)];
        let task = Task { unsigned: &unsigned, before: Some(&version.zone), serial, keys: &keys, policy, now, refresh_until: now + 43_200 };
        let next = sign_zone(&task).expect("signed");
        assert!(next.made_count < all && next.refresh_at > now + 43_200, "{} of {all} at {}", next.made_count, now - NOW);
        // A week before their end no signature is left.
        all_holds(&next.zone, &keys_in(&next.zone, &key, now), now);
        all_holds(&next.zone, &keys_in(&next.zone, &key, next.refresh_at + 4 * 86_400), next.refresh_at + 4 * 86_400);
        (version, passes) = (next, passes + 1);
    }
    assert!((8..50).contains(&passes), "{passes} versions in 60 days");
}

#[test]
fn the_order_of_records_in_a_set_does_not_matter() {
    let key = SigningKey::generate(Algorithm::Ed25519, 257).expect("a key");
    let first = signed(&zone(RECORDS), None, 8, &[whole(&key)], false, NOW);
    let turned = RECORDS.replace("mail A 192.0.2.24\n", "").replace("Mail A 192.0.2.25", "mail A 192.0.2.24\nmail A 192.0.2.25");
    assert_eq!(signed(&zone(&turned), Some(&first.zone), 9, &[whole(&key)], false, NOW).made_count, 2);
}

/// A key and one that follows it: only what the new key signs is signed.
#[test]
fn keys_have_parts() {
    let [ksk, zsk, next] =
        [Role::Ksk, Role::Zsk, Role::Zsk].map(|role| SigningKey::generate(Algorithm::Ed25519, role.flags()).expect("a key"));
    let part = |key, signs_keys, signs_data| KeyUse { key, is_published: true, signs_keys, signs_data, is_for_parent: signs_keys };
    let unsigned = zone(RECORDS);
    let keys = [part(&ksk, true, false), part(&zsk, false, true)];
    let first = signed(&unsigned, None, 8, &keys, false, NOW);
    all_holds(&first.zone, &keys_in(&first.zone, &ksk, NOW), NOW);
    let tags = |zone: &Zone, rtype| -> Vec<u16> {
        let set = zone.apex_set(rtype).expect("there");
        set.sigs.iter().map(|rrsig| u16::from_be_bytes([rrsig[16], rrsig[17]])).collect()
    };
    for (rtype, tag) in [(Rtype::DNSKEY, ksk.tag), (Rtype::CDS, ksk.tag), (Rtype::CDNSKEY, ksk.tag), (Rtype::SOA, zsk.tag)] {
        assert_eq!(tags(&first.zone, rtype), [tag], "{rtype}");
    }
    assert_eq!(first.zone.apex_set(Rtype::CDS).expect("there").data.len(), 1);
    // The next one published: the key set, the SOA and the digest.
    let keys = [part(&ksk, true, false), part(&zsk, false, true), part(&next, false, false)];
    let second = signed(&unsigned, Some(&first.zone), 9, &keys, false, NOW);
    assert_eq!(second.made_count, 3);
    let keys = [part(&ksk, true, false), part(&zsk, false, false), part(&next, false, true)];
    let third = signed(&unsigned, Some(&second.zone), 10, &keys, false, NOW);
    assert_eq!((tags(&third.zone, Rtype::SOA), third.kept_count), (vec![next.tag], 3));
    all_holds(&third.zone, &keys_in(&third.zone, &ksk, NOW), NOW);
}

#[test]
fn a_zone_that_was_signed_elsewhere_is_refused() {
    let key = SigningKey::generate(Algorithm::Ed25519, 257).expect("a key");
    let keys = [whole(&key)];
    for (more, owner, rtype) in [
        ("@ DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n", "example.", Rtype::DNSKEY),
        ("z NSEC @ A\n", "z.example.", Rtype::NSEC),
        ("ns RRSIG A 8 2 300 20300101000000 20200101000000 1 example. Zm9v\n", "ns.example.", Rtype::RRSIG),
        ("@ CDS 0 0 0 00\n", "example.", Rtype::CDS),
    ] {
        let unsigned = zone(&format!("{RECORDS}{more}"));
        let task =
            Task { unsigned: &unsigned, before: None, serial: 8, keys: &keys, policy: Policy::default(), now: NOW, refresh_until: NOW };
        assert_eq!(sign_zone(&task).expect_err(more), SignError::HasRecord(name(owner), rtype));
    }
    let unsigned = zone(RECORDS);
    let task = Task { unsigned: &unsigned, before: None, serial: 8, keys: &[], policy: Policy::default(), now: NOW, refresh_until: NOW };
    assert_eq!(sign_zone(&task).expect_err("no key"), SignError::NoKey);
}
