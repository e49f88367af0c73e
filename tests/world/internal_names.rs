//! Forward and stub rules for zones that the public tree denies: they work without another key, and only where the public
//! tree denies the zone does the rule stand in the place of a proof.

use cairn::config::{RouteSettings, Settings};
use cairn::record::{Name, Rcode, Rtype, Security, rdata_to_text};
use cairn::resolve::Step;

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::AD;
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
    let to = vec![format!("{INTERNAL}:53").parse().expect("an address")];
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
