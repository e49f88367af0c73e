//! A second server beside one that keeps us waiting, and what an unsigned reply says beyond its alias.

use super::sim::World;
use super::sim::engine::is_cairn;

/// Enough questions to have earned second queries; none of them is slow.
fn warmed(mut world: World) -> World {
    for n in 0..200 {
        world.ask(&format!("w{n}.quick.example. A"));
    }
    world.forget();
    world
}

#[test]
fn a_slow_server_is_not_waited_for_when_another_is_quick() {
    if !is_cairn() {
        return;
    }
    let world = World::new(41)
        .zone("quick.example.")
        .record("*.quick.example. A 192.0.2.9")
        .zone("shop.example.")
        .record("*.shop.example. A 192.0.2.1");
    let world = world.server("ns1.shop.example.").at("198.51.100.1").delay(150).server("ns2.shop.example.").at("198.51.100.2").delay(150);
    let mut world = warmed(world);
    for n in 0..20 {
        assert!(world.ask(&format!("n{n}.shop.example. A")).is("192.0.2.1"));
    }
    let to_both = world.queries_to("ns1.shop.example.").len().min(world.queries_to("ns2.shop.example.").len());
    assert!(to_both > 0, "one was asked beside the other");
}

/// Without signatures the target is asked for itself: forged with one name, the rest of a chain would move its neighbours.
#[test]
fn what_an_unsigned_reply_says_beyond_its_alias_is_not_believed() {
    if !is_cairn() {
        return;
    }
    let mut world =
        World::new(42).zone("shop.example.").record("www.shop.example. CNAME host.shop.example.").record("host.shop.example. A 192.0.2.1");
    world.ask("x.shop.example. A");
    world.forget();
    assert_eq!(world.ask("www.shop.example. A").data(), ["192.0.2.1"]);
    assert_eq!(world.log().len(), 2, "the target is asked for itself");
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
