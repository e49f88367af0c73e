//! Forward and stub rules for zones that the public tree denies: they work without another key, and only where the public
//! tree denies the zone does the rule stand in the place of a proof.

use cairn::config::{Forwarder, RouteSettings, Settings};
use cairn::record::{Name, Rcode, Rtype, Security, rdata_to_text};
use cairn::resolve::Step;

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::AD;
use super::sim::record::Rr;
use super::sim::signing::Key;
use super::sim::world::{World, name};
use super::sim::zone::Zone;

const INTERNAL: &str = "198.51.100.9";

/// A signed public tree that denies `lan.` and `corp.example.`, and a server that has both. `there.example.` is public and
/// signed, and the same server has it.
fn world(seed: u64) -> World {
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    let world = World::new(seed)
        .zone(".")
        .zone("example.")
        .record("www.example. 300 A 192.0.2.1")
        .zone("lan.")
        .records(&["nas.lan. 300 A 192.0.2.7", "www.deep.lan. 300 A 192.0.2.8", "out.lan. 300 CNAME www.example."])
        .server("ns1.lan.test.")
        .at(INTERNAL)
        .zone("corp.example.")
        .record("nas.corp.example. 300 A 192.0.2.9")
        .server("ns1.lan.test.")
        .serves()
        .zone("there.example.")
        .record("www.there.example. 300 A 192.0.2.10")
        .server("ns1.lan.test.")
        .serves()
        .manner(|manner| manner.recurses = true)
        .sign(&[(".", 1), ("example.", 2), ("there.example.", 3)], WALL_S)
        .trust_anchor(&anchor);
    let without = |hidden: &'static str, key: u8| {
        move |zone: &mut Zone| {
            let doomed: Vec<Name> = zone.names().filter(|owner| owner.is_within(&name(hidden))).cloned().collect();
            doomed.iter().for_each(|owner| zone.types(owner).collect::<Vec<_>>().into_iter().for_each(|rtype| zone.remove(owner, rtype)));
            zone.sign(Key::new(key), WALL_S);
        }
    };
    let world = world.server("a.root-servers.net.").tells(".", without("lan.", 1));
    world.server("ns1.example.").tells("example.", without("corp.example.", 2))
}

fn ruled(world: World, zone: &str, is_stub: bool, insists: bool) -> World {
    let to = vec![Forwarder::Plain(format!("{INTERNAL}:53").parse().expect("an address"))];
    let rule = RouteSettings { zone: name(zone), to, dnssec: insists, ..RouteSettings::default() };
    world.tune(move |settings: &mut Settings| {
        let rules = if is_stub { &mut settings.stubs } else { &mut settings.forwards };
        rules.push(rule.clone());
    })
}

#[test]
fn a_rule_for_a_zone_that_the_public_tree_denies_is_enough() {
    if !is_cairn() {
        return;
    }
    for is_stub in [false, true] {
        for (zone, question, address) in [
            ("lan.", "nas.lan. A", "192.0.2.7"),
            ("lan.", "www.deep.lan. A", "192.0.2.8"),
            ("deep.lan.", "www.deep.lan. A", "192.0.2.8"),
            ("corp.example.", "nas.corp.example. A", "192.0.2.9"),
        ] {
            let mut world = ruled(world(760), zone, is_stub, false);
            for _ in 0..2 {
                let answer = world.ask(&format!("{question} DO"));
                assert!(answer.is(address) && !answer.packet.has(AD), "{question}: {answer:?}");
                assert!(answer.packet.errors().is_empty(), "an island is no error: {answer:?}");
            }
            let gone = world.ask(&format!("gone.{zone} A"));
            assert_eq!((gone.rcode(), gone.packet.has(AD)), (Rcode::NXDOMAIN, false), "{gone:?}");
            let mut world = ruled(self::world(760), zone, is_stub, true);
            assert_eq!(world.ask(question).rcode(), Rcode::SERVFAIL, "{question}: `dnssec = true` insists");
        }
    }
}

/// The rule makes nothing insecure that the public tree signs, and nothing beside its own zone.
#[test]
fn the_public_trees_proofs_still_count() {
    if !is_cairn() {
        return;
    }
    let mut world = ruled(world(761), "there.example.", true, false);
    assert!(world.ask("www.there.example. A DO").packet.has(AD));
    assert!(world.ask("www.example. A DO").packet.has(AD));
    // The signatures are gone: a signed delegation leads here.
    let mut world = ruled(self::world(761), "there.example.", true, false)
        .server("ns1.lan.test.")
        .tells("there.example.", |zone| zone.remove(&name("www.there.example."), Rtype::RRSIG));
    assert_eq!(world.ask("www.there.example. A DO").rcode(), Rcode::SERVFAIL);
    let mut world = ruled(self::world(762), "lan.", true, false);
    assert_eq!(world.ask("nas.corp.example. A").rcode(), Rcode::NXDOMAIN);
    // An alias out of the island leads to data that is proved, and the whole is not.
    let answer = world.ask("out.lan. A DO");
    assert!(answer.data().contains(&"192.0.2.1".to_owned()) && !answer.packet.has(AD), "{answer:?}");
}

#[test]
fn an_explanation_names_the_rule() {
    if !is_cairn() {
        return;
    }
    let mut world = ruled(world(763), "lan.", false, false);
    for _ in 0..2 {
        let steps = world.explain("nas.lan. A");
        let told = steps.iter().find_map(|step| match step {
            Step::Proof { subject, security, detail, .. } if subject == "zone lan." => Some((*security, detail.clone())),
            _ => None,
        });
        let detail = "insecure by a rule of the configuration: the public DNS has no such zone";
        assert_eq!(told, Some((Security::Insecure, detail.to_owned())), "{steps:#?}");
    }
}

/// All servers of the public tree fall silent, or speak again.
fn public_tree(world: &World, dead: bool) {
    let mut plan = world.plan();
    plan.servers.iter_mut().filter(|server| server.name != name("ns1.lan.test.")).for_each(|server| server.manner.dead = dead);
}

/// The public tree never has such a name, so nobody has to be asked.
#[test]
fn a_name_that_is_never_public_needs_no_internet() {
    if !is_cairn() {
        return;
    }
    let mut world = ruled(world(764), "lan.", false, false);
    public_tree(&world, true);
    let answer = world.ask("nas.lan. A DO");
    assert!(answer.is("192.0.2.7") && !answer.packet.has(AD), "{answer:?}");
    // A trust anchor of the internal name counts.
    let other = format!("lan. 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(9).dnskey()));
    let mut world = ruled(self::world(765), "lan.", false, false).trust_anchor(&other);
    assert_eq!(world.ask("nas.lan. A").rcode(), Rcode::SERVFAIL);
    let mut world = ruled(self::world(766), "lan.", false, true);
    assert_eq!(world.ask("nas.lan. A").rcode(), Rcode::SERVFAIL, "`dnssec = true` insists");
}

/// What the public tree has denied once works while the public tree is silent.
#[test]
fn an_internal_zone_outlives_the_internet() {
    if !is_cairn() {
        return;
    }
    let mut world = ruled(world(767), "corp.example.", false, false);
    assert!(world.ask("nas.corp.example. A DO").is("192.0.2.9"));
    public_tree(&world, true);
    for seconds in [5_000, 5_000, 90_000, 300_000] {
        world.pass(seconds);
        let answer = world.ask("nas.corp.example. A DO");
        assert!(answer.is("192.0.2.9"), "after {seconds} s: {answer:?}");
        assert!(answer.took.as_millis() < 1_500, "{answer:?}");
    }
    // Never seen before, and the public tree cannot be asked.
    let mut world = ruled(self::world(768), "corp.example.", false, false);
    public_tree(&world, true);
    assert_eq!(world.ask("nas.corp.example. A").rcode(), Rcode::SERVFAIL);
}

/// A zone that the public tree signs from now on has to prove its data, whatever it was before.
#[test]
fn an_internal_zone_that_becomes_public_and_signed() {
    if !is_cairn() {
        return;
    }
    let mut world = ruled(world(769), "corp.example.", false, false);
    assert!(world.ask("nas.corp.example. A DO").is("192.0.2.9"));
    // The digest of no key that exists.
    let ds = format!("corp.example. 300 DS 4711 13 2 {}", "AB".repeat(32));
    world.change(|plan, _| {
        let server = plan.servers.iter_mut().find(|server| server.name == name("ns1.example.")).expect("there");
        let zone = server.kept.iter_mut().find(|zone| zone.apex == name("example.")).expect("its own copy");
        zone.add(Rr::parse("corp.example. 300 NS ns1.lan.test."));
        zone.add(Rr::parse(&ds));
        zone.sign(Key::new(2), WALL_S);
    });
    world.pass(90_000);
    for _ in 0..3 {
        assert_eq!(world.ask("nas.corp.example. A DO").rcode(), Rcode::SERVFAIL);
        world.pass(100);
    }
}

/// The forwarder has one name of its own, and relays what the public tree says about the others.
#[test]
fn a_relayed_denial_denies_no_name_of_the_forwarder() {
    if !is_cairn() {
        return;
    }
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    let without = |zone: &mut Zone| {
        let doomed: Vec<Name> = zone.names().filter(|owner| owner.is_within(&name("office9.example."))).cloned().collect();
        doomed.iter().for_each(|owner| zone.types(owner).collect::<Vec<_>>().into_iter().for_each(|rtype| zone.remove(owner, rtype)));
        zone.sign(Key::new(2), WALL_S);
    };
    let world = World::new(770)
        .zone(".")
        .zone("example.")
        .zone("printer.office9.example.")
        .record("printer.office9.example. 5 A 192.0.2.7")
        .server("ns1.lan.test.")
        .at(INTERNAL)
        .manner(|manner| manner.recurses = true)
        .sign(&[(".", 1), ("example.", 2)], WALL_S)
        .trust_anchor(&anchor);
    let world = world.server("ns1.example.").tells("example.", without).server("ns1.lan.test.").tells("example.", without);
    let mut world = ruled(world, "office9.example.", false, false);
    assert!(world.ask("printer.office9.example. A DO").is("192.0.2.7"));
    for question in ["office9.example. SOA DO", "office9.example. A DO", "wpad.office9.example. A DO"] {
        assert_eq!(world.ask(question).rcode(), Rcode::NXDOMAIN, "{question}");
        world.pass(6);
        let answer = world.ask("printer.office9.example. A DO");
        assert!(answer.is("192.0.2.7"), "after {question}: {answer:?}");
    }
}

/// The rule covers names that the public zone above answers by a wildcard.
#[test]
fn a_wildcard_of_the_zone_above_is_relayed_with_its_proof() {
    if !is_cairn() {
        return;
    }
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    for (seed, question) in
        [(771, "h.int.example. A DO"), (772, "int.example. A DO"), (773, "int.example. AAAA DO"), (774, "h.int.example. TXT DO")]
    {
        let world = World::new(seed)
            .zone(".")
            .zone("example.")
            .records(&["*.example. 300 A 192.0.2.9", "*.example. 300 AAAA 2001:db8::9", "*.example. 300 TXT text"])
            .zone("lan.")
            .server("ns1.lan.test.")
            .at(INTERNAL)
            .manner(|manner| manner.recurses = true)
            .sign(&[(".", 1), ("example.", 2)], WALL_S)
            .trust_anchor(&anchor);
        let mut world = ruled(world, "int.example.", false, false);
        for _ in 0..2 {
            let answer = world.ask(question);
            assert!(answer.rcode() == Rcode::NOERROR && !answer.data().is_empty(), "{question}: {answer:?}");
            world.pass(400);
        }
    }
}
