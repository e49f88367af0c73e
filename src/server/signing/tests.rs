//! A zone that is signed, edited, restarted and rolled, in a folder of its own and in virtual time; each version is judged by our
//! own validator, with the DS record as its anchor.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::scratch::Scratch;
use super::*;
use crate::config::Settings;
use crate::env::{BootTime, WallTime};
use crate::record::{RrSet, Rtype, Validated};
use crate::validate::test_signer::NOW;
use crate::validate::{KeyVerdict, Now, Sha1Policy, WorkBudget, keys_from_ds, verify_set};
use crate::zone::{ZonemdVerdict, load_zone, verify_zonemd};

const DAY: u64 = 86_400;

/// A wall clock that the test moves.
struct Moved(AtomicU64);

impl Clock for Moved {
    fn boot(&self) -> BootTime {
        BootTime::default()
    }

    fn wall(&self) -> WallTime {
        WallTime(self.0.load(Ordering::Relaxed))
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

fn data(serial: u32, more: &str) -> Arc<Zone> {
    let text = format!("$TTL 3600\n@ SOA ns host {serial} 7200 900 1209600 600\n@ NS ns\nns A 192.0.2.53\n{more}");
    Arc::new(load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a zone").0)
}

struct Bench {
    clock: Arc<Moved>,
    signing: Signing,
}

impl Bench {
    fn new(folder: Option<&Path>, more: &str) -> Bench {
        let clock = Arc::new(Moved(AtomicU64::new(NOW)));
        Bench::again(folder, more, clock)
    }

    fn again(folder: Option<&Path>, more: &str, clock: Arc<Moved>) -> Bench {
        let signing = Signing::new(clock.clone(), folder.map(Path::to_owned));
        signing.configure(&settings(more));
        Bench { clock, signing }
    }

    fn now(&self) -> u64 {
        self.clock.0.load(Ordering::Relaxed)
    }

    fn at(&self, now: u64) {
        self.clock.0.store(now, Ordering::Relaxed);
    }

    fn status(&self) -> Value {
        self.signing.status(&name("example.")).expect("it is signed")
    }

    fn stages(&self) -> Vec<String> {
        let status = self.status();
        let keys = status["keys"].as_array().expect("keys");
        keys.iter().map(|key| format!("{} {}", key["role"].as_str().unwrap_or(""), key["state"].as_str().unwrap_or(""))).collect()
    }
}

fn settings(more: &str) -> Vec<ZoneSettings> {
    let text = format!("[[zone]]\nname = 'example'\nfile = 'x'\ndnssec = true\n{more}");
    Settings::from_toml(&text, "cairn.toml").expect("it is right").zones
}

/// The zone is secure under this DS set, whole, and complete.
fn validates(zone: &Zone, ds: &[Vec<u8>], now: u64) {
    let mut ds_set = RrSet::new(zone.apex().clone(), Rtype::DS, 3_600);
    ds.iter().for_each(|ds| ds_set.data.push(ds));
    let dnskeys = zone.apex_set(Rtype::DNSKEY).expect("keys");
    let now = Now::At(now);
    let verdict = keys_from_ds(zone.apex(), &dnskeys, &Validated::assertion(ds_set), now, Sha1Policy::Validate, &mut WorkBudget::default());
    let KeyVerdict::Secure(keys) = verdict else { panic!("{verdict:?}") };
    for (owner, set) in zone.sets() {
        let set = set.to_rrset(Name::from_wire(owner).expect("a name"));
        verify_set(&set, &keys, now, &mut WorkBudget::default()).unwrap_or_else(|why| panic!("{} {}: {why:?}", set.name, set.rtype));
    }
    assert_eq!(verify_zonemd(zone), ZonemdVerdict::Verified);
}

fn cds(zone: &Zone) -> Vec<Vec<u8>> {
    zone.apex_set(Rtype::CDS).expect("for the parent").data.iter().map(<[u8]>::to_vec).collect()
}

#[test]
fn a_zone_is_signed_edited_and_restarted() {
    let scratch = Scratch::new();
    let bench = Bench::new(Some(scratch.path()), "");
    let first = bench.signing.next(data(7, ""));
    assert_eq!(first.serial(), 7);
    validates(&first, &cds(&first), NOW);
    // The same data: the same version, whatever the time until signatures are replaced.
    bench.at(NOW + DAY);
    assert!(Arc::ptr_eq(&first, &bench.signing.next(data(7, ""))));
    // A change with and without a serial of its own.
    let second = bench.signing.next(data(7, "www A 192.0.2.80\n"));
    assert_eq!(second.serial(), 8);
    let third = bench.signing.next(data(8, "www A 192.0.2.81\n"));
    assert_eq!(third.serial(), 9);
    let fourth = bench.signing.next(data(2026, "www A 192.0.2.81\n"));
    assert_eq!(fourth.serial(), 2026);
    validates(&fourth, &cds(&first), NOW + DAY);
    // Private keys are the owner's alone.
    let folder = scratch.path().join("keys/example");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let files: Vec<_> = fs::read_dir(&folder).expect("there").map(|entry| entry.expect("one").path()).collect();
    assert_eq!((files.len(), mode(&folder)), (3, 0o700));
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
    // A restart serves the same version, an edit beside it the next one, and keeps the key.
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    let same = again.signing.next(data(2026, "www A 192.0.2.81\n"));
    assert!(crate::zone::have_same_data(&same, &fourth));
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    let other = again.signing.next(data(2026, "www A 192.0.2.82\n"));
    assert_eq!(other.serial(), 2027);
    validates(&other, &cds(&first), NOW + DAY);
    // Without the signed version of the last run no serial comes twice.
    fs::remove_dir_all(scratch.path().join("signed")).expect("there");
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    assert_eq!(again.signing.next(data(2026, "www A 192.0.2.82\n")).serial(), 2028);
    // What cannot be read is not made anew.
    fs::write(folder.join("state.json"), "{").expect("written");
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    let kept = again.signing.next(data(2026, ""));
    assert_eq!(kept.serial(), 2028);
    validates(&kept, &cds(&first), NOW + DAY);
    assert!(again.status()["problem"].as_str().is_some_and(|why| why.contains("state.json: found")), "{}", again.status());
}

#[test]
fn a_clock_that_is_far_behind_signs_nothing() {
    let scratch = Scratch::new();
    let bench = Bench::new(Some(scratch.path()), "");
    let version = bench.signing.next(data(7, ""));
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    again.at(1_000);
    let kept = again.signing.next(data(8, ""));
    assert!(crate::zone::have_same_data(&kept, &version));
    assert!(
        again.status()["problem"].as_str().is_some_and(|why| why.contains("the clock says 1970-01-01 00:16:40 UTC")),
        "{}",
        again.status()
    );
    // It is set, and the thread looks again.
    again.at(NOW + 60);
    assert_eq!(again.signing.due(NOW + 60), [name("example.")]);
    assert_eq!(again.signing.next(data(8, "")).serial(), 8);
}

#[test]
fn signatures_are_replaced_by_themselves() {
    let scratch = Scratch::new();
    let bench = Bench::new(Some(scratch.path()), "dnssec-algorithm = 'ed25519'\nnsec3 = true\n");
    let unsigned = data(7, "www A 192.0.2.80\na.b A 192.0.2.81\n");
    let mut version = bench.signing.next(unsigned.clone());
    let first = cds(&version);
    let mut versions = 0;
    while bench.now() < NOW + 90 * DAY {
        let due = bench.signing.next_due().expect("one zone");
        assert!(due > bench.now());
        bench.at(due - 1);
        assert!(bench.signing.due(due - 1).is_empty());
        validates(&version, &first, due - 1);
        bench.at(due);
        assert_eq!(bench.signing.due(due), [name("example.")]);
        let next = bench.signing.next(unsigned.clone());
        assert!(Arc::ptr_eq(&next, &version) || next.serial() == version.serial() + 1);
        versions += u32::from(!Arc::ptr_eq(&next, &version));
        version = next;
    }
    assert!((10..80).contains(&versions), "{versions}");
}

#[test]
fn no_folder_and_no_key() {
    let bench = Bench::new(None, "");
    let version = bench.signing.next(data(7, ""));
    assert!(!version.is_signed());
    assert!(bench.status()["problem"].as_str().is_some_and(|why| why.contains("state-dir")));
    let scratch = Scratch::new();
    let bench = Bench::new(Some(scratch.path()), "");
    let version = bench.signing.next(data(7, ""));
    // The key goes; what is served stays, and says what is wrong.
    let folder = scratch.path().join("keys/example");
    let private = fs::read_dir(&folder).expect("there").map(|entry| entry.expect("one").path());
    let private = private.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "private")).expect("one");
    fs::rename(&private, scratch.path().join("kept")).expect("moved");
    bench.signing.configure(&settings(""));
    assert!(Arc::ptr_eq(&version, &bench.signing.next(data(8, ""))));
    assert!(bench.status()["problem"].as_str().is_some_and(|why| why.contains("has gone from")), "{}", bench.status());
    fs::rename(scratch.path().join("kept"), &private).expect("moved");
    bench.signing.configure(&settings(""));
    assert_eq!(bench.signing.next(data(8, "")).serial(), 8);
    assert!(bench.status()["problem"].is_null());
}

/// Keys of BIND: `dnssec-keygen -a 13 example` and the same with `-f KSK`.
#[test]
fn keys_that_are_brought_along_sign_at_once() {
    use crate::authority::signing::{SigningKey, write_private_key, write_public_key};
    let scratch = Scratch::new();
    let mut tags = BTreeMap::new();
    for (flags, role) in [(257, "ksk"), (256, "zsk")] {
        let key = SigningKey::generate(Algorithm::EcdsaP256Sha256, flags).expect("a key");
        let file = |ending: &str| format!("keys/example/Kexample.+013+{:05}.{ending}", key.tag);
        scratch.write(&file("private"), &write_private_key(&key).expect("a text"));
        scratch.write(&file("key"), &format!("; a comment\n{}", write_public_key(&key, &name("example."))));
        tags.insert(role, key);
    }
    let bench = Bench::new(Some(scratch.path()), "");
    let version = bench.signing.next(data(7, ""));
    let mut stages = bench.stages();
    stages.sort();
    assert_eq!(stages, ["ksk active", "zsk active"]);
    validates(&version, &[tags["ksk"].ds(&name("example."))], NOW);
    let signer = |rtype| version.apex_set(rtype).expect("there").sigs.first().map(|rrsig| u16::from_be_bytes([rrsig[16], rrsig[17]]));
    assert_eq!((signer(Rtype::DNSKEY), signer(Rtype::SOA)), (Some(tags["ksk"].tag), Some(tags["zsk"].tag)));
    assert_eq!(
        bench.signing.roll(&name("example."), None).expect_err("which one?"),
        "this zone has several keys: write ksk, zsk or algorithm"
    );
    assert!(bench.signing.roll(&name("example."), Some("csk")).expect_err("none").contains("write ksk or zsk"));
    assert!(bench.signing.roll(&name("other."), None).expect_err("none").contains("dnssec = true"));
}

/// Goes on from one thing that is due to the next; the parent does what CDS asks, three days later. Each version validates with
/// the DS set of that moment. Returns the stages in their order.
fn until_quiet(bench: &Bench, unsigned: &Arc<Zone>, ds: &mut Vec<Vec<u8>>) -> Vec<String> {
    let zone = name("example.");
    let mut seen = vec![bench.stages().join(", ")];
    let mut version = bench.signing.next(unsigned.clone());
    let end = bench.now() + 60 * DAY;
    while bench.now() < end {
        validates(&version, ds, bench.now());
        if seen.last() != Some(&bench.stages().join(", ")) {
            seen.push(bench.stages().join(", "));
        }
        if !bench.signing.waiting_for_parent(bench.now(), 0).is_empty() && *ds != cds(&version) {
            bench.at(bench.now() + 3 * DAY);
            *ds = cds(&version);
            bench.signing.parent_has(&zone, ds, 3_600, bench.now());
        } else if bench.stages().iter().all(|stage| stage.ends_with("active")) {
            return seen;
        } else {
            if bench.signing.zones()[&zone].parent.as_ref().is_none_or(|(at, _)| *at + DAY < bench.now()) {
                bench.signing.parent_has(&zone, ds, 3_600, bench.now());
            }
            bench.at(bench.signing.next_due().expect("one zone").max(bench.now() + 1));
        }
        version = bench.signing.next(unsigned.clone());
    }
    panic!("it does not end: {seen:?}");
}

#[test]
fn whole_rolls_validate_at_each_step() {
    let scratch = Scratch::new();
    let mut bench = Bench::new(Some(scratch.path()), "");
    let (zone, unsigned) = (name("example."), data(7, "www A 192.0.2.80\n*.w TXT x\n"));
    let first = bench.signing.next(unsigned.clone());
    let mut ds = cds(&first);
    assert!(bench.signing.roll(&zone, None).expect_err("too early").contains("is published"));
    assert_eq!(until_quiet(&bench, &unsigned, &mut ds), ["csk published", "csk ready", "csk active"]);
    // A CSK roll, with a restart in the middle.
    bench.signing.roll(&zone, None).expect("it begins");
    bench.signing.next(unsigned.clone());
    bench = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    bench.signing.next(unsigned.clone());
    assert_eq!(
        until_quiet(&bench, &unsigned, &mut ds),
        // In three days all signatures of the old one have left the caches.
        ["csk active, csk published", "csk active, csk ready", "csk active"]
    );
    // A key that has gone is not taken for one that somebody brought along.
    bench = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    bench.signing.next(unsigned.clone());
    assert_eq!(bench.stages(), ["csk active"]);
    // To another algorithm.
    bench.signing.configure(&settings("dnssec-algorithm = 'ed25519'\n"));
    bench.signing.roll(&zone, Some("algorithm")).expect("it begins");
    assert_eq!(
        until_quiet(&bench, &unsigned, &mut ds),
        ["csk active, csk signing", "csk active, csk published", "csk active, csk ready", "csk withdrawn, csk active", "csk active"]
    );
    let version = bench.signing.next(unsigned);
    assert!(version.sets().flat_map(|(_, set)| set.sigs()).all(|rrsig| rrsig[2] == 15), "the old algorithm has gone");
    assert_eq!(bench.status()["ds"].as_array().map(Vec::len), Some(1));
}

#[test]
fn zsk_and_ksk_rolls_validate_at_each_step() {
    use crate::authority::signing::{SigningKey, write_private_key, write_public_key};
    let scratch = Scratch::new();
    let mut ds = Vec::new();
    for flags in [257, 256] {
        let key = SigningKey::generate(Algorithm::EcdsaP384Sha384, flags).expect("a key");
        let file = |ending: &str| format!("keys/example/K{}.{ending}", key.tag);
        scratch.write(&file("private"), &write_private_key(&key).expect("a text"));
        scratch.write(&file("key"), &write_public_key(&key, &name("example.")));
        if flags == 257 {
            ds.push(key.ds(&name("example.")));
        }
    }
    let bench = Bench::new(Some(scratch.path()), "nsec3 = true\n");
    let (zone, unsigned) = (name("example."), data(7, "www A 192.0.2.80\n"));
    bench.signing.next(unsigned.clone());
    for (what, expected) in [("zsk", ["published", "active"]), ("ksk", ["published", "ready"])] {
        bench.signing.roll(&zone, Some(what)).expect("it begins");
        let seen = until_quiet(&bench, &unsigned, &mut ds);
        for stage in expected {
            assert!(seen.iter().any(|stages| stages.contains(&format!("{what} {stage}"))), "{seen:?}");
        }
        assert_eq!(bench.stages().len(), 2);
    }
}

/// RFC 8078 4, and the way back. The zone stays signed until caches have forgotten the DS set.
#[test]
fn signing_ends_step_by_step() {
    let scratch = Scratch::new();
    let bench = Bench::new(Some(scratch.path()), "");
    let zone = name("example.");
    let cds = |version: &Zone| version.apex_set(Rtype::CDS).expect("a set").data.iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let first = bench.signing.next(data(1, ""));
    let of_key = cds(&first);
    assert!(of_key.len() == 1 && of_key[0].len() == 36);
    assert!(bench.signing.roll(&zone, Some("resume")).is_err());
    bench.signing.roll(&zone, Some("end")).expect("it may end");
    assert!(bench.signing.roll(&zone, None).is_err_and(|why| why.contains("resume")), "no roll meanwhile");
    let ending = bench.signing.next(data(1, ""));
    assert_eq!((cds(&ending), ending.is_signed()), (vec![vec![0, 0, 0, 0, 0]], true));
    let key = ending.apex_set(Rtype::CDNSKEY).expect("a set").data.iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
    assert_eq!(key, [vec![0, 0, 3, 0, 0]]);
    assert!(crate::zone::is_newer(ending.serial(), first.serial()));
    assert_eq!(bench.signing.waiting_for_parent(bench.now(), 600), std::slice::from_ref(&zone));
    bench.signing.parent_has(&zone, &[of_key[0].clone()], 3_600, bench.now());
    assert_eq!((bench.status()["ending"].clone(), bench.status()["over-at"].clone()), (Value::Bool(true), Value::Null));
    bench.at(NOW + 1_000);
    bench.signing.parent_has(&zone, &[], 3_600, bench.now());
    bench.at(NOW + 2_000);
    bench.signing.parent_has(&zone, &[], 3_600, bench.now());
    assert_eq!(bench.status()["over-at"], NOW + 1_000 + DAY + 3_600);
    // A restart knows, and it can be taken back.
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    assert_eq!(cds(&again.signing.next(data(1, ""))), [vec![0, 0, 0, 0, 0]]);
    again.signing.roll(&zone, Some("resume")).expect("it goes on");
    assert_eq!(cds(&again.signing.next(data(1, ""))), of_key);
}

/// RFC 9859: each CDS set once, and over a restart too.
#[test]
fn the_parent_is_told_once_of_each_cds_set() {
    let scratch = Scratch::new();
    let bench = Bench::new(Some(scratch.path()), "");
    let zone = name("example.");
    assert!(bench.signing.untold(bench.now(), 600).is_empty(), "nothing is served yet");
    bench.signing.next(data(1, ""));
    let (_, cds) = bench.signing.untold(bench.now(), 600).pop().expect("a new set");
    assert!(bench.signing.untold(bench.now() + 599, 600).is_empty() && bench.signing.untold(bench.now() + 600, 600).len() == 1);
    bench.signing.parent_was_told(&zone, cds);
    assert!(bench.signing.untold(bench.now() + 6_000, 600).is_empty());
    let again = Bench::again(Some(scratch.path()), "", bench.clock.clone());
    again.signing.next(data(1, ""));
    assert!(again.signing.untold(again.now(), 600).is_empty());
    again.signing.roll(&zone, Some("end")).expect("it may end");
    again.signing.next(data(1, ""));
    assert_eq!(again.signing.untold(again.now(), 600).len(), 1);
}
