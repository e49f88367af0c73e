//! Validation under attack and at the edges: what is stripped from replies, anchors inside one another, denials that say
//! too much or too little, and how long each of it is believed.

use std::cell::RefCell;
use std::rc::Rc;

use cairn::answer::Explain;
use cairn::config::{Forwarder, NegativeAnchor, RouteSettings};
use cairn::record::{Name, Question, Rcode, Rtype, Security, rdata_to_text};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::{AD, Packet};
use super::sim::record::Rr;
use super::sim::signing::{Key, bitmap};
use super::sim::world::{Answer, World, name};
use super::sim::zone::Zone;

pub(super) fn anchor(zone: &str, seed: u8) -> String {
    format!("{zone} 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(seed).dnskey()))
}

/// RCODE, AD, and which Extended DNS Errors.
pub(super) type Verdict = (Rcode, bool, Vec<u16>);

pub(super) fn verdict(answer: &Answer) -> Verdict {
    (answer.packet.rcode, answer.packet.has(AD), answer.packet.errors())
}

pub(super) fn is_secure(answer: &Answer) -> bool {
    verdict(answer) == (Rcode::NOERROR, true, vec![])
}

pub(super) fn is_bogus(answer: &Answer) -> bool {
    answer.rcode() == Rcode::SERVFAIL && answer.packet.errors().iter().all(|code| *code != 22 && *code != 23)
}

pub(super) fn set(zone: &Zone, owner: &str, rtype: Rtype) -> Vec<Rr> {
    zone.set(&name(owner), rtype).to_vec()
}

pub(super) fn replace(zone: &mut Zone, line: &str) {
    let rr = Rr::parse(line);
    zone.remove(&rr.name, rr.rtype);
    zone.add(rr);
}

/// A root, a secure zone with a server, and whatever is added to them.
pub(super) fn example(seed: u64) -> World {
    World::new(seed).zone(".").zone("example.").record("example. 300 SOA ns1.example. . 1 3600 600 86400 300").server("ns1.example.")
}

const SIGNED: [(&str, u8); 2] = [(".", 1), ("example.", 2)];

fn trusted(world: World) -> World {
    world.sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1))
}

/// The same zone, by NSEC and by NSEC3 with so many iterations.
fn both_ways(world: impl Fn() -> World) -> [(&'static str, World); 3] {
    [
        ("NSEC", trusted(world())),
        ("NSEC3", trusted(world()).nsec3("example.", 2, 0, WALL_S)),
        ("NSEC3, 50 iterations", trusted(world()).nsec3("example.", 2, 50, WALL_S)),
    ]
}

/// Denial records that outlive the SOA.
fn with_long_lived_denials(zone: &mut Zone) {
    let old: Vec<Rr> = zone.records().filter(|rr| matches!(rr.rtype, Rtype::NSEC | Rtype::NSEC3)).cloned().collect();
    for rr in old {
        zone.remove(&rr.name, rr.rtype);
        zone.add(rr.with_ttl(3_600));
        zone.sign_name(&rr.name, Key::new(2), WALL_S);
    }
}

fn asked_for(world: &mut World, question: &str) -> bool {
    world.forget();
    world.ask(question);
    let (owner, rtype) = question.split_once(' ').expect("a name and a type");
    world.queries_for(owner, rtype.split(' ').next().and_then(|rtype| rtype.parse().ok()).expect("a type")) > 0
}

// The chain of trust.

/// An RSA key of 512 bits, which is never used.
fn small_key() -> Vec<u8> {
    let mut rdata = vec![1, 1, 3, 8, 1, 3];
    rdata.resize(6 + 64, 0xff);
    rdata
}

fn ds_of(zone: &str, dnskey: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, digest};
    let hash = digest(&SHA256, &[name(zone).as_wire(), dnskey].concat());
    [&cairn::validate::key_tag(dnskey).to_be_bytes()[..], &[dnskey[3], 2], hash.as_ref()].concat()
}

/// RFC 4035 5.2: a zone is insecure only if nothing of its DS set can be used. A key that is stripped from the DNSKEY set
/// leaves a DS that fits nothing.
#[test]
fn a_stripped_key_does_not_make_a_zone_insecure() {
    if !is_cairn() {
        return;
    }
    let world = |strip: bool, with_good_ds: bool| {
        let world = example(1).record("www.example. 300 A 192.0.2.1").sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
        let world = world.server("a.root-servers.net.").tells(".", |zone| {
            zone.add(Rr::new(&name("example."), Rtype::DS, 3_600, ds_of("example.", &small_key())));
            if !with_good_ds {
                zone.remove(&name("example."), Rtype::DS);
                zone.add(Rr::new(&name("example."), Rtype::DS, 3_600, ds_of("example.", &small_key())));
            }
            zone.sign_name(&name("example."), Key::new(1), WALL_S);
        });
        world.server("ns1.example.").tells("example.", |zone| {
            if strip {
                zone.remove(&name("example."), Rtype::DNSKEY);
                replace(zone, "www.example. 300 A 192.0.2.66");
            }
            zone.add(Rr::new(&name("example."), Rtype::DNSKEY, 3_600, small_key()));
            if !strip {
                zone.sign_name(&name("example."), Key::new(2), WALL_S);
            }
        })
    };
    assert!(is_secure(&world(false, true).ask("www.example. A DO")));
    let stripped = world(true, true).ask("www.example. A DO");
    assert!(is_bogus(&stripped), "{stripped:?}");
    let question = Explain::new(Question::new(name("www.example."), Rtype::A), None);
    let explained = world(true, true).explain_as(&question);
    assert_eq!((explained.outcome.rcode(), explained.outcome.security), (Rcode::SERVFAIL, Security::Bogus), "for the query log");
    let nothing_else = world(true, false).ask("www.example. A DO");
    assert_eq!(verdict(&nothing_else), (Rcode::NOERROR, false, vec![1]), "nothing of the DS set can be used");
}

/// A small tree with something of everything, drawn by the seed: NSEC or NSEC3, DS sets that hold more than the key in use.
fn drawn(seed: u64) -> (World, Vec<String>) {
    let world = example(seed)
        .records(&["www.example. 300 A 192.0.2.1", "*.wild.example. 300 A 192.0.2.2", "a.ent.example. 300 A 192.0.2.3"])
        .records(&["alias.example. 300 CNAME www.sub.example.", "d.example. 300 DNAME sub.example.", "t.example. 300 TXT x"])
        .zone("sub.example.")
        .records(&["www.sub.example. 300 A 192.0.2.4", "*.sub.example. 300 TXT wild"])
        .server("ns1.sub.example.")
        .zone("deep.sub.example.")
        .record("www.deep.sub.example. 300 A 192.0.2.5")
        .server("ns1.deep.sub.example.");
    let zones = [(".", 1), ("example.", 2), ("sub.example.", 3), ("deep.sub.example.", 4)];
    let mut world = world.sign(&zones, WALL_S).trust_anchor(&anchor(".", 1));
    {
        let mut plan = world.plan();
        for (at, (parent, child)) in
            [(".", "example."), ("example.", "sub.example."), ("sub.example.", "deep.sub.example.")].iter().enumerate()
        {
            let spare = [small_key(), [&Key::new(77).dnskey()[..3], &[250], &Key::new(77).dnskey()[4..]].concat(), Key::new(78).dnskey()];
            let seeds = zones[at].1;
            for (bit, key) in spare.iter().enumerate() {
                if seed >> (3 * at + bit) & 1 == 1 {
                    plan.zones.get_mut(&name(parent)).expect("there").add(Rr::new(&name(child), Rtype::DS, 3_600, ds_of(child, key)));
                    let zone = plan.zones.get_mut(&name(child)).expect("there");
                    if bit < 2 {
                        zone.add(Rr::new(&name(child), Rtype::DNSKEY, 3_600, key.clone()));
                        zone.sign_name(&name(child), Key::new(zones[at + 1].1), WALL_S);
                    }
                }
            }
            plan.zones.get_mut(&name(parent)).expect("there").sign_name(&name(child), Key::new(seeds), WALL_S);
        }
    }
    for (at, (zone, key)) in zones.iter().enumerate().skip(1) {
        if seed >> (10 + at) & 1 == 1 {
            world = world.nsec3(zone, *key, (seed % 3) as u16 * 5, WALL_S);
            let (parent, spares) = (name(zone), ());
            let _ = (parent, spares);
        }
    }
    let owners =
        ["www", "x.wild", "ent", "alias", "www.d", "t", "no", "www.sub", "any.sub", "www.deep.sub", "no.deep.sub", "sub", "x.deep.sub"];
    let questions = owners.iter().flat_map(|owner| ["A", "TXT", "DS"].map(|rtype| format!("{owner}.example. {rtype} DO")));
    (world, questions.collect())
}

/// Some records are lost on the way, always the same ones of the same reply.
fn strip(world: World, seed: u64) -> World {
    let servers = ["a.root-servers.net.", "ns1.example.", "ns1.sub.example.", "ns1.deep.sub.example."];
    servers.iter().fold(world, |world, server| {
        world.server(server).rewrites(move |packet| {
            let Some(asked) = packet.question.clone() else { return };
            let dice = |salt: u64| {
                let mut sum = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
                asked.name.as_wire().iter().chain(&asked.rtype.0.to_be_bytes()).for_each(|octet| {
                    sum = (sum ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
                });
                sum >> 20
            };
            if dice(1) % 2 == 0 {
                return;
            }
            let types = [Rtype::RRSIG, Rtype::DS, Rtype::NSEC, Rtype::NSEC3, Rtype::DNSKEY, Rtype::SOA];
            let doomed = types[dice(2) as usize % types.len()];
            let all = dice(3) % 3 == 0;
            for section in [&mut packet.answer, &mut packet.authority] {
                let mut at = 0;
                section.retain(|rr| {
                    at += 1;
                    rr.rtype != doomed || !(all || dice(10 + at) % 2 == 0)
                });
            }
        })
    })
}

/// What is secure with every record there is secure or bogus without some of them, and never insecure.
#[test]
fn stripping_never_makes_secure_data_insecure() {
    if !is_cairn() {
        return;
    }
    let (mut secure, mut failed) = (0, 0);
    for seed in 0..60u64 {
        let tree = seed.wrapping_mul(0x9e37_79b9) >> 7;
        let (mut whole, questions) = drawn(tree);
        let mut stripped = strip(drawn(tree).0, seed);
        for question in &questions {
            let before = whole.ask(question);
            if !before.packet.has(AD) {
                continue;
            }
            let after = stripped.ask(question);
            secure += 1;
            failed += usize::from(after.rcode() == Rcode::SERVFAIL);
            let is_right = after.rcode() == Rcode::SERVFAIL || after.packet.has(AD);
            assert!(is_right, "seed {seed}: {question}: {before:?} became {after:?}");
        }
    }
    assert!(secure > 800 && failed > 80, "{failed} of {secure} failed: too few to tell");
}

// Anchors inside one another (RFC 4035 4.3).

/// `corp.` is provably unsigned; `lab.corp.` has an anchor of its own.
fn corporate(seed: u64, change: impl Fn(&mut Zone)) -> World {
    let world = World::new(seed)
        .zone(".")
        .zone("corp.")
        .records(&["www.corp. 300 A 192.0.2.1", "*.corp. 300 A 192.0.2.2"])
        .server("ns1.corp.")
        .zone("lab.corp.")
        .records(&["www.lab.corp. 300 A 192.0.2.3", "bare.lab.corp. 300 A 192.0.2.4", "out.lab.corp. 300 CNAME www.corp."])
        .records(&["*.wild.lab.corp. 300 A 192.0.2.5"])
        .server("ns1.lab.corp.")
        .sign(&[(".", 1), ("lab.corp.", 2)], WALL_S)
        .trust_anchor(&anchor(".", 1))
        .trust_anchor(&anchor("lab.corp.", 2));
    world.server("ns1.lab.corp.").tells("lab.corp.", change)
}

/// Everything is asked of one resolver that does not validate.
fn through_a_forwarder(seed: u64, change: impl Fn(&mut Zone)) -> World {
    let mut world = corporate(seed, |_| {}).server("far.test.").at("198.51.100.1");
    for zone in [".", "corp."] {
        world = world.zone(zone).serves();
    }
    let world = world.tells("lab.corp.", change);
    let route = RouteSettings {
        zone: Name::root(),
        to: vec![Forwarder::Plain("198.51.100.1:53".parse().expect("an address"))],
        ..RouteSettings::default()
    };
    world.tune(move |settings| settings.forwards = vec![route.clone()])
}

fn sign_as_corp(zone: &mut Zone, owner: &str) {
    let owner = name(owner);
    zone.remove(&owner, Rtype::RRSIG);
    let types: Vec<Rtype> = zone.types(&owner).collect();
    for rtype in types {
        let rrsig = Key::new(9).rrsig(&name("corp."), zone.set(&owner, rtype), (WALL_S - 86_400, WALL_S + 86_400));
        zone.add(rrsig);
    }
}

#[test]
fn below_an_anchor_everything_is_proved_from_it() {
    if !is_cairn() {
        return;
    }
    type Ways = [(&'static str, fn(u64, &dyn Fn(&mut Zone)) -> World); 2];
    let ways: Ways =
        [("iteration", |seed, change| corporate(seed, change)), ("forwarder", |seed, change| through_a_forwarder(seed, change))];
    let unsigned = |zone: &mut Zone| zone.remove(&name("bare.lab.corp."), Rtype::RRSIG);
    let by_corp = |zone: &mut Zone| sign_as_corp(zone, "bare.lab.corp.");
    let all_by_corp =
        |zone: &mut Zone| zone.names().cloned().collect::<Vec<_>>().iter().for_each(|owner| sign_as_corp(zone, &owner.to_string()));
    let all_unsigned = |zone: &mut Zone| {
        let owners: Vec<Name> = zone.names().cloned().collect();
        owners.iter().for_each(|owner| [Rtype::RRSIG, Rtype::NSEC, Rtype::DNSKEY].into_iter().for_each(|rtype| zone.remove(owner, rtype)));
    };
    let honest = |_: &mut Zone| {};
    type Row<'a> = (&'a str, &'a dyn Fn(&mut Zone), &'a str, &'a str);
    let rows: [Row<'_>; 18] = [
        ("honest", &honest, "www.lab.corp. A DO", "secure"),
        ("honest", &honest, "no.lab.corp. A DO", "secure"),
        ("honest", &honest, "x.wild.lab.corp. A DO", "secure"),
        ("honest", &honest, "www.corp. A DO", "insecure"),
        ("honest", &honest, "out.lab.corp. A DO", "insecure"),
        ("honest", &honest, "lab.corp. DS DO", "insecure"),
        ("honest", &honest, "lab.corp. SOA DO", "secure"),
        ("unsigned", &unsigned, "bare.lab.corp. A DO", "bogus"),
        ("signed by corp.", &by_corp, "bare.lab.corp. A DO", "bogus"),
        ("all unsigned", &all_unsigned, "www.lab.corp. A DO", "bogus"),
        ("all unsigned", &all_unsigned, "no.lab.corp. A DO", "bogus"),
        ("all unsigned", &all_unsigned, "www.lab.corp. TXT DO", "bogus"),
        ("all unsigned", &all_unsigned, "x.wild.lab.corp. A DO", "bogus"),
        ("all unsigned", &all_unsigned, "out.lab.corp. A DO", "bogus"),
        ("all by corp.", &all_by_corp, "www.lab.corp. A DO", "bogus"),
        ("all by corp.", &all_by_corp, "no.lab.corp. A DO", "bogus"),
        ("all by corp.", &all_by_corp, "www.lab.corp. TXT DO", "bogus"),
        ("all by corp.", &all_by_corp, "x.lab.corp. DS DO", "bogus"),
    ];
    for (way, world) in ways {
        for (what, change, question, expected) in &rows {
            let answer = world(70, change).ask(question);
            let told = match (answer.rcode(), answer.packet.has(AD)) {
                (Rcode::SERVFAIL, _) => "bogus",
                (_, true) => "secure",
                (_, false) => "insecure",
            };
            assert_eq!(told, *expected, "{way}: {what}: {question}: {answer:?}");
        }
    }
}

/// A DNAME above the anchor, or a denial of the zone above, moves or denies nothing below it, from the cache either.
#[test]
fn what_stands_above_an_anchor_does_not_speak_below_it() {
    if !is_cairn() {
        return;
    }
    let dname = |packet: &mut Packet, signed: bool| {
        let Some(asked) = packet.question.clone().filter(|asked| asked.name.is_below(&name("lab.corp.")) && asked.rtype == Rtype::A) else {
            return;
        };
        let dname = Rr::parse("corp. 300 DNAME evil.");
        let made = asked.name.rebase(&name("corp."), &name("evil.")).expect("short");
        packet.rcode = Rcode::NOERROR;
        packet.authority.clear();
        let rrsig = Key::new(9).rrsig(&name("corp."), std::slice::from_ref(&dname), (WALL_S - 86_400, WALL_S + 86_400));
        packet.answer = vec![dname];
        packet.answer.extend(signed.then_some(rrsig));
        packet.answer.push(Rr::new(&asked.name, Rtype::CNAME, 300, made.as_wire().to_vec()));
    };
    for signed in [false, true] {
        let mut world = through_a_forwarder(71, |_| {}).zone("evil.").record("*.evil. 300 A 192.0.2.66").serves();
        world = world.rewrites(move |packet| dname(packet, signed));
        let answer = world.ask("www.lab.corp. A DO");
        assert!(is_bogus(&answer), "signed: {signed}: {answer:?}");
    }
    // The root, which is trusted, denies `corp.`; a rule of its own leads to the anchored zone.
    let world = || {
        let world =
            World::new(72).zone(".").zone("lab.corp.").record("www.lab.corp. 300 A 192.0.2.3").server("ns1.lab.test.").at("198.51.100.9");
        let world = world.sign(&[(".", 1), ("lab.corp.", 2)], WALL_S).trust_anchor(&anchor(".", 1)).trust_anchor(&anchor("lab.corp.", 2));
        world.server("a.root-servers.net.").tells(".", |zone| {
            let doomed: Vec<Name> = zone.names().filter(|owner| owner.is_within(&name("corp."))).cloned().collect();
            doomed.iter().for_each(|owner| zone.types(owner).collect::<Vec<_>>().into_iter().for_each(|rtype| zone.remove(owner, rtype)));
            zone.sign(Key::new(1), WALL_S);
        })
    };
    let to = vec![Forwarder::Plain("198.51.100.9:53".parse().expect("an address"))];
    let mut ruled = world().tune(move |settings| {
        settings.stubs = vec![RouteSettings { zone: name("lab.corp."), to: to.clone(), ..RouteSettings::default() }];
    });
    assert_eq!(ruled.ask("a.corp. A").rcode(), Rcode::NXDOMAIN);
    assert!(is_secure(&ruled.ask("www.lab.corp. A DO")), "by its rule and its anchor");
    let mut unruled = world();
    assert_eq!(unruled.ask("a.corp. A").rcode(), Rcode::NXDOMAIN);
    for question in ["www.lab.corp. A DO", "no.lab.corp. A DO", "lab.corp. SOA DO"] {
        let answer = unruled.ask(question);
        assert!(is_bogus(&answer), "the root has no say here: {question}: {answer:?}");
    }
}

/// RFC 7646 2: a negative anchor between two anchors ends only the trust that comes from above it.
#[test]
fn a_negative_anchor_between_two_anchors() {
    if !is_cairn() {
        return;
    }
    let off = |world: World| {
        world.tune(|settings| settings.recursion.negative_trust_anchors = vec![NegativeAnchor { name: name("corp."), until: None }])
    };
    let unsigned = |zone: &mut Zone| zone.remove(&name("bare.lab.corp."), Rtype::RRSIG);
    for world in [corporate(73, unsigned), through_a_forwarder(73, unsigned)] {
        let mut world = off(world);
        assert!(is_secure(&world.ask("www.lab.corp. A DO")));
        let answer = world.ask("bare.lab.corp. A DO");
        assert!(is_bogus(&answer), "{answer:?}");
        assert_eq!(verdict(&world.ask("www.corp. A DO")), (Rcode::NOERROR, false, vec![33]));
    }
}

// What follows from proofs (RFC 8198).

fn deep(labels: usize) -> String {
    format!("{}example.", "a.".repeat(labels))
}

/// Hashing for an answer that follows from the cache is not paid by the question.
#[test]
fn a_name_of_many_labels_is_answered_as_from_a_cold_cache() {
    if !is_cairn() {
        return;
    }
    for (iterations, labels) in [(50, 12), (20, 24), (50, 30), (0, 110), (5, 60)] {
        let existing = deep(labels);
        let world = || {
            let world = example(74).record(&format!("{existing} 300 A 192.0.2.1")).record("www.example. 300 A 192.0.2.2");
            trusted(world).nsec3("example.", 2, iterations, WALL_S)
        };
        let (mut warm, mut cold) = (world(), world());
        for n in 0..20 {
            let gone = warm.ask(&format!("n{n}.example. A DO"));
            assert_eq!(verdict(&gone), (Rcode::NXDOMAIN, true, vec![]), "{gone:?}");
        }
        let there = warm.ask(&format!("{existing} A DO"));
        assert!(is_secure(&there), "{iterations} iterations, {labels} labels: {there:?}");
        for question in [format!("{existing} TXT DO"), format!("b.{existing} A DO"), format!("b.{} A DO", deep(labels / 2))] {
            let (warm, cold) = (warm.ask(&question), cold.ask(&question));
            assert_eq!(verdict(&warm), verdict(&cold), "{iterations} iterations: {question}");
        }
    }
}

/// Over drawn zones: whatever was asked before, an answer is what a cold cache gives.
#[test]
fn a_warm_cache_says_what_a_cold_one_says() {
    if !is_cairn() {
        return;
    }
    for seed in 0..30u64 {
        let dice = |at: u64, most: u64| {
            (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(at.wrapping_mul(1_442_695_040_888_963_407)) >> 33) % most
        };
        let labels = 1 + dice(1, 119) as usize;
        let (iterations, by_hash) = (dice(2, 51) as u16, dice(3, 3) > 0);
        let long = deep(labels);
        let middle = deep(labels / 2 + 1);
        let world = || {
            let world = example(seed)
                .records(&["www.example. 300 A 192.0.2.1", "*.wild.example. 300 A 192.0.2.2", "x.ent.example. 300 A 192.0.2.3"])
                .records(&["*.alias.example. 300 CNAME www.example.", "d.example. 300 DNAME wild.example."])
                .record(&format!("{long} 300 A 192.0.2.4"));
            let world = trusted(world.server("ns1.example.").manner(|manner| manner.one_link = true));
            if by_hash { world.nsec3("example.", 2, iterations, WALL_S) } else { world }
        };
        let owners = [
            "www.example.".to_owned(),
            "no.example.".into(),
            "a.wild.example.".into(),
            "b.wild.example.".into(),
            "ent.example.".into(),
            "a.alias.example.".into(),
            "b.alias.example.".into(),
            "a.d.example.".into(),
            "y.ent.example.".into(),
            "zz.www.example.".into(),
            long.clone(),
            middle.clone(),
            format!("b.{middle}"),
            "example.".into(),
        ];
        let mut warm = world();
        for at in 0..24 {
            let owner = &owners[dice(10 + at, owners.len() as u64) as usize];
            let question = format!("{owner} {} DO", ["A", "TXT", "MX"][dice(50 + at, 3) as usize]);
            let (warm, cold) = (warm.ask(&question), world().ask(&question));
            let told = |answer: &Answer| (verdict(answer), answer.data());
            assert_eq!(told(&warm), told(&cold), "seed {seed}, {iterations} iterations, {labels} labels: {question}");
        }
    }
}

/// RFC 9077: denial records live no longer than a denial.
#[test]
fn denial_records_end_with_the_denial() {
    if !is_cairn() {
        return;
    }
    let world = || {
        example(75)
            .without("example.", Rtype::SOA)
            .record("example. 3600 SOA ns1.example. . 1 3600 600 86400 60")
            .records(&["www.example. 300 A 192.0.2.1", "*.wild.example. 300 A 192.0.2.2"])
    };
    for (way, mut world) in both_ways(world) {
        world.plan().zones.values_mut().filter(|zone| zone.apex == name("example.")).for_each(with_long_lived_denials);
        for question in ["no.example. A DO", "www.example. TXT DO", "x.wild.example. TXT DO"] {
            for turn in ["first", "again"] {
                let answer = world.ask(question);
                let ttls: Vec<u32> = answer.packet.authority.iter().map(|rr| rr.ttl).collect();
                assert!(!ttls.is_empty() && ttls.iter().all(|ttl| *ttl <= 60), "{way}: {question}, {turn}: {answer:?}");
            }
        }
    }
}

/// A name that is new in its zone is seen when its denial is over.
#[test]
fn a_new_name_is_seen_when_the_denial_ends() {
    if !is_cairn() {
        return;
    }
    let world = || {
        example(76)
            .without("example.", Rtype::SOA)
            .record("example. 3600 SOA ns1.example. . 1 3600 600 86400 60")
            .record("t.example. 300 A 192.0.2.1")
    };
    for (way, mut world) in both_ways(world) {
        world.plan().zones.values_mut().filter(|zone| zone.apex == name("example.")).for_each(with_long_lived_denials);
        world.ask("v.example. A");
        let is_nsec3 = way != "NSEC";
        world.pass(50);
        world.change(|plan, _| {
            let zone = plan.zones.get_mut(&name("example.")).expect("there");
            zone.add(Rr::parse("v.example. 300 A 192.0.2.9"));
            match is_nsec3 {
                true => zone.sign_nsec3(Key::new(2), WALL_S, if way == "NSEC3" { 0 } else { 50 }),
                false => zone.sign(Key::new(2), WALL_S),
            }
        });
        // Another denial brings the SOA again before the first is over.
        world.ask("aa.example. A");
        world.pass(11);
        let answer = world.ask("v.example. A DO");
        assert!(is_secure(&answer), "{way}: {answer:?}");
    }
}

/// A server says NXDOMAIN of a name that has names below it; its own records show that the name is there.
#[test]
fn an_empty_non_terminal_that_is_denied_exists() {
    if !is_cairn() {
        return;
    }
    let world = || {
        let world = example(77).records(&["a.ent.example. 300 A 192.0.2.1", "a.b.c.example. 300 A 192.0.2.2"]);
        world.server("ns1.example.").manner(|manner| manner.denies_empty_names = true)
    };
    for (way, mut world) in both_ways(world) {
        for question in ["ent.example. A DO", "c.example. TXT DO", "b.c.example. A DO", "ent.example. AAAA DO"] {
            for turn in ["first", "again"] {
                let answer = world.ask(question);
                assert!(is_secure(&answer) && answer.packet.answer.is_empty(), "{way}: {question}, {turn}: {answer:?}");
            }
        }
        assert!(is_secure(&world.ask("a.ent.example. A DO")), "{way}: names below it are not denied");
        let gone = world.ask("no.example. A DO");
        assert_eq!(verdict(&gone), (Rcode::NXDOMAIN, true, vec![]), "{way}");
    }
}

/// RFC 8198 5.3: what a wildcard gave to one name it gives to others, by NSEC3 too, where no record of the closest encloser
/// ever came along.
#[test]
fn a_wildcard_answers_for_more_names() {
    if !is_cairn() {
        return;
    }
    let world = || {
        let world = example(78).records(&["*.wild.example. 300 A 192.0.2.1", "www.example. 300 A 192.0.2.2"]);
        let world = world.records(&["*.alias.example. 300 CNAME www.example.", "real.wild.example. 300 TXT x", "*.example. 300 TXT apex"]);
        world.server("ns1.example.").manner(|manner| manner.one_link = true)
    };
    for (way, mut world) in both_ways(world) {
        let mut free = 0;
        for n in 0..40 {
            let owner = format!("n{n}.wild.example.");
            free += usize::from(!asked_for(&mut world, &format!("{owner} A DO")));
            let answer = world.ask(&format!("{owner} A DO"));
            assert!(is_secure(&answer) && answer.is("192.0.2.1"), "{way}: {owner}: {answer:?}");
            let proofs = answer.packet.authority.iter().filter(|rr| matches!(rr.rtype, Rtype::NSEC | Rtype::NSEC3)).count();
            assert!(proofs > 0, "{way}: {owner}: {answer:?}");
            let alias = world.ask(&format!("n{n}.alias.example. A DO"));
            assert!(is_secure(&alias) && alias.is("192.0.2.2"), "{way}: {alias:?}");
        }
        assert!(free > 30, "{way}: {free} of 40 cost no query");
        let real = world.ask("real.wild.example. A DO");
        assert!(is_secure(&real) && real.packet.answer.is_empty(), "{way}: {real:?}");
    }
}

/// A load balancer that signs as it answers: what it denies lists nothing of what else the name has.
#[test]
fn a_bitmap_denies_the_type_that_was_asked_for() {
    if !is_cairn() {
        return;
    }
    for wildcard in [false, true] {
        let owner = if wildcard { "*.lb.example." } else { "lb.example." };
        let asked = if wildcard { ["x.lb.example.", "y.lb.example."] } else { ["lb.example."; 2] };
        let world = || example(79).records(&[&format!("{owner} 300 A 192.0.2.1"), "zz.example. 300 A 192.0.2.2"]);
        let poor = |zone: &mut Zone, by_hash: bool| {
            // Signed, and without A.
            if by_hash {
                let all: Vec<Rr> = zone.records().filter(|rr| rr.rtype == Rtype::NSEC3).cloned().collect();
                for rr in all.iter().filter(|rr| rr.rdata[26..] == bitmap(vec![Rtype::A, Rtype::RRSIG])) {
                    zone.remove(&rr.name, Rtype::NSEC3);
                    zone.add(Rr { rdata: [&rr.rdata[..26], &bitmap(vec![Rtype::TXT, Rtype::RRSIG])].concat(), ..rr.clone() });
                    zone.sign_name(&rr.name, Key::new(2), WALL_S);
                }
            } else {
                let old = set(zone, owner, Rtype::NSEC).remove(0);
                let (next, _) = Name::from_wire_prefix(&old.rdata).expect("a name");
                zone.remove(&old.name, Rtype::NSEC);
                zone.add(Rr { rdata: [next.as_wire(), &bitmap(vec![Rtype::RRSIG, Rtype::NSEC])].concat(), ..old });
                zone.sign_name(&name(owner), Key::new(2), WALL_S);
            }
        };
        for (way, world) in both_ways(world) {
            let mut world = world.server("ns1.example.").tells("example.", |zone| poor(zone, way != "NSEC"));
            let denied = world.ask(&format!("{} AAAA DO", asked[0]));
            assert!(is_secure(&denied) && denied.packet.answer.is_empty(), "{way}: {denied:?}");
            let there = world.ask(&format!("{} A DO", asked[1]));
            assert!(is_secure(&there) && there.is("192.0.2.1"), "{way}, wildcard {wildcard}: {there:?}");
            let again = world.ask(&format!("{} AAAA DO", asked[0]));
            assert!(is_secure(&again) && again.packet.answer.is_empty(), "{way}: {again:?}");
        }
    }
}

/// Once data that a bitmap lists has been seen, the bitmap speaks for all types.
#[test]
fn a_bitmap_that_data_agrees_with_denies_other_types() {
    if !is_cairn() {
        return;
    }
    let world =
        || example(80).records(&["www.example. 300 A 192.0.2.1", "*.wild.example. 300 A 192.0.2.2", "a.ent.example. 300 A 192.0.2.3"]);
    for (way, mut world) in both_ways(world) {
        for owner in ["www.example.", "a.wild.example."] {
            assert!(asked_for(&mut world, &format!("{owner} TXT DO")), "{way}");
            assert!(asked_for(&mut world, &format!("{owner} MX DO")), "{way}: {owner}: denials alone agree with any bitmap");
            assert!(asked_for(&mut world, &format!("{owner} A DO")), "{way}: {owner}: that is there");
            assert!(!asked_for(&mut world, &format!("{owner} LOC DO")), "{way}: {owner}: and listed");
        }
        // By hash it takes luck that what covers the one name covers the other.
        let denied_alike = !asked_for(&mut world, "b.wild.example. LOC DO");
        assert!(denied_alike || way != "NSEC", "{way}: the wildcard's bitmap");
        world.ask("ent.example. TXT DO");
        assert!(!asked_for(&mut world, "ent.example. LOC DO"), "{way}: an empty name has no type at all");
    }
}

// How long it is believed.

/// RFC 2308 5: a denial without SOA is kept for a few seconds, and asking does not make them more.
#[test]
fn asking_does_not_prolong_a_denial_without_soa() {
    if !is_cairn() {
        return;
    }
    type Form = (&'static str, Rcode);
    let forms: [Form; 2] = [("NODATA", Rcode::NOERROR), ("NXDOMAIN", Rcode::NXDOMAIN)];
    for (form, rcode) in forms {
        for dnssec in [true, false] {
            let is_over = Rc::new(RefCell::new(false));
            let over = is_over.clone();
            let world = World::new(81)
                .zone(".")
                .zone("plain.")
                .records(&["nas.plain. 300 A 192.0.2.1", "alias.plain. 300 CNAME nas.plain."])
                .server("ns1.plain.");
            let world = world.manner(|manner| manner.one_link = true).rewrites(move |packet| {
                let is_nas = packet.question.as_ref().is_some_and(|asked| asked.name == name("nas.plain.") && asked.rtype == Rtype::A);
                if is_nas && !*over.borrow() {
                    packet.rcode = rcode;
                    packet.answer.clear();
                    packet.authority.clear();
                    packet.additional.clear();
                }
            });
            let mut world = if dnssec { world.sign(&[(".", 1)], WALL_S).trust_anchor(&anchor(".", 1)) } else { world };
            assert_eq!((world.ask("nas.plain. A").rcode(), world.ask("alias.plain. A").rcode()), (rcode, rcode));
            *is_over.borrow_mut() = true;
            world.change(|_, _| {});
            let mut seen = None;
            for second in 1..20 {
                world.wait_ms(1_000);
                if world.ask("nas.plain. A").is("192.0.2.1") & world.ask("alias.plain. A").is("192.0.2.1") {
                    seen = Some(second);
                    break;
                }
            }
            assert!(seen.is_some_and(|second| second <= 6), "{form}, validating: {dnssec}: seen after {seen:?} s");
        }
    }
}

/// RFC 4035 5.2 makes it bogus; whoever reads the reason has to hear of the setting.
#[test]
fn a_zone_that_fails_by_the_setting_for_sha_1_says_so() {
    if !is_cairn() {
        return;
    }
    let lines: Vec<&str> = include_str!("../vectors/dnssec-rfc5155.zone").lines().filter(|line| line.starts_with("example. ")).collect();
    let entry = lines.iter().find(|line| line.contains("DNSKEY 257")).expect("the key");
    let mut standby = Key::new(44).dnskey();
    standby[3] = 8;
    let tag = cairn::validate::key_tag(&standby);
    let ds = format!("example. 3600 IN DS {}", rdata_to_text(Rtype::DS, &ds_of("example.", &standby)));
    let mut world = World::new(84).zone("example.").records(&lines).trust_anchor(entry).trust_anchor(&ds);
    // 2010-01-01.
    world.set_wall(1_262_304_000);
    let answer = world.ask("example. SOA DO");
    let text = String::from_utf8_lossy(&answer.wire).into_owned();
    assert!(is_bogus(&answer) && text.contains("sha1") && text.contains(&tag.to_string()), "{answer:?} {text}");
}

// Shares of what failed checks may cost.

/// So many signatures that fit no data before the one that does.
fn with_wrong_signatures(zone: &mut Zone, owner: &str, rtype: Rtype, count: u8, with_right: bool) {
    let rrsigs = set(zone, owner, Rtype::RRSIG);
    zone.remove(&name(owner), Rtype::RRSIG);
    let (ours, others): (Vec<Rr>, Vec<Rr>) = rrsigs.into_iter().partition(|rr| rr.rdata.starts_with(&rtype.0.to_be_bytes()));
    for n in 0..count {
        let mut wrong = ours[0].clone();
        wrong.rdata.last_mut().into_iter().for_each(|octet| *octet ^= n + 1);
        zone.add(wrong);
    }
    ours.into_iter().filter(|_| with_right).chain(others).for_each(|rr| zone.add(rr));
}

/// One client, or one zone, does not use up what failed checks of all may cost.
#[test]
fn hostile_clients_and_zones_have_their_own_share_of_failed_checks() {
    if !is_cairn() {
        return;
    }
    for (what, clients) in [("one client", 1), ("one zone", 60)] {
        let zones = [(".", 1), ("example.", 2), ("honest.", 3)];
        let world = example(85).record("*.flood.example. 300 A 192.0.2.1").zone("honest.");
        let all: Vec<String> = (0..160).map(|n| format!("h{n}.honest. 300 A 192.0.2.2")).collect();
        let world = world.records(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let mut world = world.server("ns1.honest.").sign(&zones, WALL_S).trust_anchor(&anchor(".", 1));
        {
            let mut plan = world.plan();
            with_wrong_signatures(plan.zones.get_mut(&name("example.")).expect("there"), "*.flood.example.", Rtype::A, 8, false);
            let honest = plan.zones.get_mut(&name("honest.")).expect("there");
            (0..160).for_each(|n| with_wrong_signatures(honest, &format!("h{n}.honest."), Rtype::A, 2, true));
        }
        for second in 0..4 {
            for round in 0..20 {
                let flood = (0..40).map(|n| format!("n{second}-{round}-{n}.flood.example. A DO from=10.0.0.{}", n % clients));
                let honest = (0..2).map(|n| format!("h{}.honest. A DO from=10.1.0.{n}", second * 40 + round * 2 + n));
                let questions: Vec<String> = flood.chain(honest).collect();
                let answers = world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
                let (hostile, honest) = answers.split_at(40);
                assert!(hostile.iter().all(|answer| answer.rcode() == Rcode::SERVFAIL));
                assert!(honest.iter().all(is_secure), "{what}: second {second}, round {round}: {honest:?}");
            }
            world.wait_ms(1_000);
        }
    }
}
