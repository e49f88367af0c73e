//! Rolls in virtual time: what each step waits for, and that at each moment a validator with any mixture of what caches may hold
//! can validate.

use proptest::prelude::*;

use super::roll::Stage;
use super::*;

const DAY: u64 = 86_400;
const TIMING: Timing = Timing { key_ttl_s: 3_600, data_ttl_s: 86_400, propagation_s: 600, ds_ttl_s: 7_200, parent_propagation_s: 1_800 };
const P256: Algorithm = Algorithm::EcdsaP256Sha256;

/// Comparison by tag alone: the first two octets of the DS record.
fn is_ds_of(ds: &DsRdata, key: &KeyState) -> bool {
    ds[..2] == key.tag.to_be_bytes()
}

fn ds_of(tags: &[u16]) -> Vec<DsRdata> {
    tags.iter().map(|tag| tag.to_be_bytes().to_vec()).collect()
}

fn stages(set: &KeySet) -> Vec<(u16, &'static str)> {
    set.keys.iter().map(|key| (key.tag, key.stage.word())).collect()
}

/// A set in use, with these roles.
fn in_use(roles: &[Role]) -> KeySet {
    let mut set = KeySet::default();
    for (at, role) in roles.iter().enumerate() {
        set.adopt(at as u16 + 1, P256, *role, 0);
    }
    set
}

/// Steps of a table: the time, what the parent says then, and the stages after it.
type Row<'r> = (u64, Option<&'r [u16]>, &'r [(u16, &'r str)]);

fn goes(set: &mut KeySet, rows: &[Row<'_>]) {
    for (now, parent, expected) in rows {
        if let Some(tags) = parent {
            set.parent_has(&ds_of(tags), is_ds_of, *now);
        }
        set.advance(&TIMING, *now);
        assert_eq!(stages(set), *expected, "at {now}");
    }
}

#[test]
fn the_first_key() {
    let mut set = KeySet::first(&[(1, P256, Role::Csk)], 0);
    let part = set.part(&set.keys[0]);
    assert_eq!(part, Part { is_published: true, signs_keys: true, signs_data: true, is_for_parent: true });
    assert!(set.plan(Roll::Key(Role::Csk)).expect_err("too early").contains("key 1 is published"));
    goes(
        &mut set,
        &[
            (86_999, None, &[(1, "published")]),
            (87_000, None, &[(1, "ready")]),
            (900_000, Some(&[9]), &[(1, "ready")]),
            (900_001, Some(&[1]), &[(1, "ready")]),
            (909_000, Some(&[1]), &[(1, "ready")]),
            (909_001, None, &[(1, "active")]),
        ],
    );
    assert_eq!(set.wake_at(&TIMING), None);
}

#[test]
fn a_csk_roll() {
    let mut set = in_use(&[Role::Csk]);
    assert_eq!(set.plan(Roll::Key(Role::Csk)), Ok(vec![(P256, Role::Csk)]));
    assert_eq!(set.plan(Roll::Key(Role::Zsk)), Err("the zone has no zsk: write csk".to_owned()));
    set.begin(Roll::Key(Role::Csk), &[(2, P256, Role::Csk)], 1_000);
    assert!(set.plan(Roll::Key(Role::Csk)).expect_err("one at a time").contains("key 2 is published"));
    goes(&mut set, &[(5_199, None, &[(1, "active"), (2, "published")]), (5_200, None, &[(1, "active"), (2, "ready")])]);
    assert_eq!(set.for_parent().map(|key| key.tag).collect::<Vec<_>>(), [2]);
    let waiting = set.next(&set.keys[1], &TIMING).expect("it waits");
    assert_eq!((waiting.at, &waiting.reason[..]), (None, "the parent must have the DS record of key 2 in place of that of key 1"));
    let part = set.part(&set.keys[0]);
    assert_eq!(part, Part { is_published: true, signs_keys: true, signs_data: false, is_for_parent: false });
    goes(
        &mut set,
        &[
            // The new one beside the old one, then in its place, then a server that lags behind.
            (10_000, Some(&[1, 2]), &[(1, "active"), (2, "ready")]),
            (20_000, Some(&[2]), &[(1, "active"), (2, "ready")]),
            (20_100, Some(&[1]), &[(1, "active"), (2, "ready")]),
            (20_200, Some(&[2]), &[(1, "active"), (2, "ready")]),
            (29_199, None, &[(1, "active"), (2, "ready")]),
            (29_200, None, &[(1, "retired"), (2, "active")]),
            // 5,200 + 86,400 + 600.
            (92_199, None, &[(1, "retired"), (2, "active")]),
            (92_200, None, &[(2, "active")]),
        ],
    );
}

#[test]
fn a_zsk_and_a_ksk_roll() {
    let mut set = in_use(&[Role::Ksk, Role::Zsk]);
    set.begin(Roll::Key(Role::Zsk), &[(3, P256, Role::Zsk)], 0);
    goes(
        &mut set,
        &[
            (4_199, None, &[(1, "active"), (2, "active"), (3, "published")]),
            (4_200, None, &[(1, "active"), (2, "retired"), (3, "active")]),
            (91_199, None, &[(1, "active"), (2, "retired"), (3, "active")]),
            (91_200, None, &[(1, "active"), (3, "active")]),
        ],
    );
    set.begin(Roll::Key(Role::Ksk), &[(4, P256, Role::Ksk)], 100_000);
    goes(
        &mut set,
        &[
            (104_200, Some(&[1]), &[(1, "active"), (3, "active"), (4, "ready")]),
            (200_000, Some(&[4]), &[(1, "active"), (3, "active"), (4, "ready")]),
            // A retired KSK has signed no data that caches hold.
            (209_000, None, &[(3, "active"), (4, "active")]),
        ],
    );
}

#[test]
fn an_algorithm_roll() {
    let mut set = in_use(&[Role::Csk]);
    let roll = Roll::Algorithm(Algorithm::Ed25519);
    assert!(set.plan(Roll::Algorithm(P256)).expect_err("the same").contains("ecdsap256sha256 already"));
    assert_eq!(set.plan(roll), Ok(vec![(Algorithm::Ed25519, Role::Csk)]));
    set.begin(roll, &[(2, Algorithm::Ed25519, Role::Csk)], 0);
    let signs = Part { is_published: false, signs_keys: false, signs_data: true, is_for_parent: false };
    assert_eq!(set.part(&set.keys[1]), signs);
    goes(
        &mut set,
        &[
            (86_999, None, &[(1, "active"), (2, "signing")]),
            (87_000, None, &[(1, "active"), (2, "published")]),
            (91_199, None, &[(1, "active"), (2, "published")]),
            (91_200, None, &[(1, "active"), (2, "ready")]),
        ],
    );
    let both = Part { is_published: true, signs_keys: true, signs_data: true, is_for_parent: false };
    assert_eq!((set.part(&set.keys[0]), set.part(&set.keys[1])), (both, Part { is_for_parent: true, ..both }));
    goes(&mut set, &[(100_000, Some(&[2]), &[(1, "active"), (2, "ready")]), (109_000, None, &[(1, "withdrawn"), (2, "active")])]);
    assert_eq!(set.part(&set.keys[0]), signs);
    goes(&mut set, &[(113_199, None, &[(1, "withdrawn"), (2, "active")]), (113_200, None, &[(2, "active")])]);
}

/// Caches hold data with the TTL of a version that has gone.
#[test]
fn a_shorter_ttl_counts_when_the_longer_one_has_left() {
    let mut longest = LongestTtl::default();
    let mut at = |ttl, now| {
        longest.note(ttl, now);
        longest.ttl_s()
    };
    assert_eq!(
        [at(300, 0), at(86_400, 10), at(60, 20), at(60, 86_409), at(60, 86_410), at(300, 86_411)],
        [300, 86_400, 86_400, 86_400, 60, 300]
    );
}

/// What the servers of the zone, or of the parent, give out from one moment to the next change.
#[derive(Clone, Debug)]
struct Version<T> {
    from: u64,
    until: u64,
    what: T,
}

#[derive(Clone, Debug, PartialEq)]
struct ZoneVersion {
    /// Tag and algorithm of the published keys; of those that sign the key set; of those that sign data.
    published: Vec<(u16, u8)>,
    sign_keys: Vec<(u16, u8)>,
    sign_data: Vec<(u16, u8)>,
}

fn version_of(set: &KeySet) -> ZoneVersion {
    let of = |is_meant: fn(&Part) -> bool| {
        set.keys.iter().filter(|key| is_meant(&set.part(key))).map(|key| (key.tag, key.algorithm)).collect::<Vec<_>>()
    };
    ZoneVersion { published: of(|part| part.is_published), sign_keys: of(|part| part.signs_keys), sign_data: of(|part| part.signs_data) }
}

fn note<T: PartialEq>(history: &mut Vec<Version<T>>, what: T, now: u64) {
    if let Some(last) = history.last_mut() {
        if last.what == what {
            return;
        }
        last.until = now;
    }
    history.push(Version { from: now, until: u64::MAX, what });
}

/// RFC 4035 2.2 and 5, as strictly as any validator: each algorithm of the DS set has a key that signs the key set, and each
/// algorithm of the key set signs the data.
fn validates(ds: &[(u16, u8)], keys: &ZoneVersion, data: &ZoneVersion) -> bool {
    let of_algorithm = |algorithm: u8| keys.published.iter().filter(move |key| key.1 == algorithm);
    ds.iter().all(|(_, algorithm)| of_algorithm(*algorithm).any(|key| ds.contains(key) && keys.sign_keys.contains(key)))
        && keys.published.iter().all(|(_, algorithm)| of_algorithm(*algorithm).any(|key| data.sign_data.contains(key)))
}

/// Any DS set, key set and data that a cache may hold together.
fn all_mixtures_validate(zone: &[Version<ZoneVersion>], parent: &[Version<Vec<(u16, u8)>>], timing: &Timing) {
    let end = |until: u64, ttl: u32, propagation: u32| until.saturating_add(u64::from(ttl) + u64::from(propagation));
    for ds in parent {
        for keys in zone {
            for data in zone {
                let ends = [
                    end(ds.until, timing.ds_ttl_s, timing.parent_propagation_s),
                    end(keys.until, timing.key_ttl_s, timing.propagation_s),
                    end(data.until, timing.data_ttl_s, timing.propagation_s),
                ];
                // A moment exists at which all three are out, and not yet gone.
                let meet = ds.from.max(keys.from).max(data.from) < ends[0].min(ends[1]).min(ends[2]);
                assert!(!meet || validates(&ds.what, &keys.what, &data.what), "{ds:?}\n{keys:?}\n{data:?}");
            }
        }
    }
}

fn any_roll() -> impl Strategy<Value = (bool, u8)> {
    (any::<bool>(), 0..3_u8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_mixture_of_cached_data_validates(
        is_split in any::<bool>(),
        rolls in proptest::collection::vec(any_roll(), 1..5),
        (key_ttl_s, data_ttl_s, ds_ttl_s) in (1..200_000_u32, 1..200_000_u32, 1..200_000_u32),
        (propagation_s, parent_propagation_s) in (0..90_000_u32, 0..90_000_u32),
        delays in proptest::collection::vec((0..400_000_u64, 0..50_000_u64, 0..20_000_u64), 16),
    ) {
        let timing = Timing { key_ttl_s, data_ttl_s, propagation_s, ds_ttl_s, parent_propagation_s };
        let mut set = if is_split { in_use(&[Role::Ksk, Role::Zsk]) } else { in_use(&[Role::Csk]) };
        let (mut zone, mut parent) = (Vec::new(), Vec::new());
        let mut now = 0;
        note(&mut zone, version_of(&set), now);
        let wanted = |set: &KeySet| set.for_parent().map(|key| (key.tag, key.algorithm)).collect::<Vec<_>>();
        note(&mut parent, wanted(&set), now);
        let (mut next_tag, mut delays) = (10, delays.into_iter().cycle());
        for (at_once, kind) in rolls {
            let algorithm = if set.keys[0].algorithm == P256.number() { Algorithm::Ed25519 } else { P256 };
            let roll = match (kind, is_split) {
                (0, _) => Roll::Algorithm(algorithm),
                (_, false) => Roll::Key(Role::Csk),
                (1, true) => Roll::Key(Role::Ksk),
                (_, true) => Roll::Key(Role::Zsk),
            };
            let keys: Vec<_> = set.plan(roll).expect("nothing else goes on").into_iter().map(|(algorithm, role)| {
                next_tag += 1;
                (next_tag, algorithm, role)
            }).collect();
            set.begin(roll, &keys, now);
            note(&mut zone, version_of(&set), now);
            for _ in 0..100 {
                if set.keys.iter().all(|key| key.stage == Stage::Active) {
                    break;
                }
                let (one, two, three) = delays.next().expect("endless");
                match set.wake_at(&timing) {
                    Some(at) => now = at.max(now) + three,
                    None => {
                        // The parent acts: at once, or with the new record beside the old one for a while.
                        let old = parent.last().expect("there").what.clone();
                        let new = wanted(&set);
                        if !at_once {
                            now += one;
                            note(&mut parent, [old, new.clone()].concat(), now);
                            let seen = parent.last().expect("there").what.iter().map(|key| key.0).collect::<Vec<_>>();
                            set.parent_has(&ds_of(&seen), is_ds_of, now + two / 2);
                        }
                        now += two;
                        note(&mut parent, new.clone(), now);
                        now += three;
                        set.parent_has(&ds_of(&new.iter().map(|key| key.0).collect::<Vec<_>>()), is_ds_of, now);
                    }
                }
                set.advance(&timing, now);
                note(&mut zone, version_of(&set), now);
            }
            prop_assert!(set.keys.iter().all(|key| key.stage == Stage::Active), "{set:?}");
            prop_assert_eq!(set.keys.len(), if is_split { 2 } else { 1 });
            now += DAY;
        }
        all_mixtures_validate(&zone, &parent, &timing);
    }
}
