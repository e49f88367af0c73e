//! The records behind the first CNAME in a reply, where nothing is signed: the waiting client gets them if the server
//! is authoritative for them or has been right before; they are cached only after they were asked for.

use std::time::Duration;

use cairn::config::{Forwarder, RouteSettings};
use cairn::record::Rcode;

use super::sim::engine::is_cairn;
use super::sim::{World, name};

const ROUND_TRIP: Duration = Duration::from_millis(200);

/// The zone's servers are known, and `ROUND_TRIP` away.
fn shop(seed: u64) -> World {
    let world = World::new(seed).zone("shop.example.").server("ns1.shop.example.").delay(100);
    let mut world = world.records(&["shop.example. 300 A 192.0.2.1", "www.shop.example. 300 CNAME shop.example."]);
    for n in 0..6 {
        world = world.record(&format!("a{n}.shop.example. 300 CNAME host{n}.shop.example."));
        world = world.record(&format!("host{n}.shop.example. 300 A 192.0.2.1"));
    }
    world.ask("x.shop.example. A");
    world.forget();
    world
}

/// How many round trips the question took.
fn waits(world: &mut World, question: &str) -> u32 {
    let answer = world.ask(question);
    let rounds = answer.took.as_millis() / ROUND_TRIP.as_millis();
    assert!(answer.is("192.0.2.1"), "{question}: {answer:?}");
    rounds as u32
}

#[test]
fn an_alias_of_the_zones_own_name_costs_one_wait() {
    if !is_cairn() {
        return;
    }
    let mut world = shop(61);
    assert_eq!(waits(&mut world, "www.shop.example. A"), 1);
    world.wait_ms(1_000);
    assert_eq!(world.log().len(), 2, "the target was asked for as well");
    assert_eq!(waits(&mut world, "shop.example. A"), 0);
    let none = world.ask("www.shop.example. AAAA");
    assert!(none.rcode() == Rcode::NOERROR && none.packet.answer.len() == 1, "{none:?}");
    assert!(none.took < 2 * ROUND_TRIP && none.packet.authority.len() == 1, "{none:?}");
}

/// Otherwise a reply forged for one name could change the data of other names in the chain.
#[test]
fn what_was_not_asked_for_is_not_kept() {
    if !is_cairn() {
        return;
    }
    let world = shop(62).server("ns1.shop.example.").slips_in("x.test. 300 A 192.0.2.66").manner(|manner| manner.lies_in_answers = true);
    let mut world = world;
    assert!(world.ask("www.shop.example. A").data().contains(&"192.0.2.66".to_owned()), "who can forge the alias can say anything");
    let mut world = world.server("ns1.shop.example.").alive();
    for question in ["www.shop.example. A", "shop.example. A", "www.shop.example. A"] {
        assert!(world.ask(question).is("192.0.2.1"), "{question}");
    }
}

#[test]
fn a_server_is_taken_at_its_word_when_it_has_kept_it() {
    if !is_cairn() {
        return;
    }
    let mut world = shop(63);
    let took: Vec<u32> = (0..6).map(|n| waits(&mut world, &format!("a{n}.shop.example. A"))).collect();
    assert_eq!(took, [2, 2, 2, 1, 1, 1]);
    world.wait_ms(1_000);
    assert_eq!(world.log().len(), 12, "each target was asked for");

    let mut liar = shop(63).server("ns1.shop.example.").slips_in("x.test. 300 A 192.0.2.66").manner(|manner| manner.lies_in_answers = true);
    let took: Vec<u32> = (0..6).map(|n| waits(&mut liar, &format!("a{n}.shop.example. A"))).collect();
    assert_eq!(took, [2; 6]);
}

/// A forwarder relays what other servers have said.
#[test]
fn a_forwarder_does_not_speak_with_authority() {
    if !is_cairn() {
        return;
    }
    let world = World::new(64).zone("shop.example.").server("ns1.shop.example.").at("198.51.100.1").delay(100);
    let to = vec![Forwarder::Plain("198.51.100.1:53".parse().expect("an address"))];
    let route = RouteSettings { zone: name("shop.example."), to, fallback: false, ..RouteSettings::default() };
    let mut world = world.tune(move |settings| settings.forwards = vec![route.clone()]);
    world = world.records(&["shop.example. 300 A 192.0.2.1", "www.shop.example. 300 CNAME shop.example."]);
    world.ask("x.shop.example. A");
    assert_eq!(waits(&mut world, "www.shop.example. A"), 2);
}

/// While the first link is validated, the TTL of the second link from the same reply counts down too.
#[test]
fn what_was_said_a_while_ago_has_grown_older() {
    if !is_cairn() {
        return;
    }
    let world = World::new(65).anchored().zone("example.").signed().server("ns1.example.").delay(300);
    let world = world.zone("sub.example.").signed().server("ns1.sub.example.").delay(300);
    let records = ["a.sub.example. 300 CNAME b.sub.example.", "b.sub.example. 300 A 192.0.2.1", "c.sub.example. 300 A 192.0.2.2"];
    let mut world = world.records(&records);
    world.ask("c.sub.example. A");
    world.pass(4_000);
    let answer = world.ask("a.sub.example. A");
    assert!(answer.is("192.0.2.1"), "{answer:?}");
    let ttls: Vec<u32> = answer.packet.answer.iter().map(|rr| rr.ttl).collect();
    assert!(ttls.iter().all(|ttl| *ttl < 300), "{ttls:?} after {:?}", answer.took);
}

#[test]
fn an_alias_out_of_the_zone_is_asked_for_at_its_own_servers() {
    if !is_cairn() {
        return;
    }
    let world = World::new(43).zone("shop.example.").record("www.shop.example. CNAME host.cdn.example.");
    let mut world = world.slips_in("host.cdn.example. A 192.0.2.66").zone("cdn.example.").record("host.cdn.example. A 192.0.2.1");
    assert_eq!(world.ask("www.shop.example. A").data(), ["192.0.2.1"]);
}
