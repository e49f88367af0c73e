//! A second server is asked where the first one is slow.

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
