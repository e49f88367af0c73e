//! Signed zones in the simulation: faults that random worlds have found.

use cairn::record::{Rcode, Rtype};

use super::sim::engine::is_cairn;
use super::sim::packet::{AD, Packet};
use super::sim::world::World;

fn signed(seed: u64) -> World {
    World::new(seed).anchored().zone("example.").signed().server("ns1.example.")
}

/// The same NSEC record shows that the wildcard may be used and that what it leads to does not exist.
#[test]
fn what_proves_two_links_is_said_once() {
    if !is_cairn() {
        return;
    }
    let records = ["*.wild.example. 300 CNAME wq.example.", "www.example. 300 A 192.0.2.1"];
    let mut world = signed(1).records(&records);
    for _ in 0..2 {
        let answer = world.ask("any.wild.example. A DO");
        assert!(answer.rcode() == Rcode::NXDOMAIN && answer.packet.has(AD), "{answer:?}");
        let mut proofs: Vec<_> = answer.packet.authority.iter().filter(|rr| rr.rtype == Rtype::NSEC).collect();
        let count = proofs.len();
        assert!(count > 0, "{answer:?}");
        proofs.sort();
        proofs.dedup();
        assert_eq!(proofs.len(), count, "{answer:?}");
    }
}

/// The keys have to be fetched again, which takes longer than the time for stale answers. What is not proved yet is
/// none; and while it waits for them it grows older.
#[test]
fn what_is_proved_late_has_grown_older() {
    if !is_cairn() {
        return;
    }
    let world = signed(2).delay(300).zone("sub.example.").signed().server("ns1.sub.example.").delay(300);
    let mut world = world.records(&["a.sub.example. 300 A 192.0.2.1", "b.sub.example. 300 A 192.0.2.2"]);
    world.ask("a.sub.example. A AD");
    world.pass(4_000);
    for rest in [299, 298] {
        let answer = world.ask("b.sub.example. A AD");
        assert!(answer.is("192.0.2.2") && answer.packet.has(AD), "{answer:?}");
        assert!(answer.ttl().is_some_and(|ttl| ttl <= rest), "{answer:?}");
        world.wait_ms(1_000);
    }
}

/// So has what other names are denied by.
#[test]
fn a_denial_that_follows_from_one_proved_late_is_no_younger() {
    if !is_cairn() {
        return;
    }
    let world = signed(3).delay(300).zone("sub.example.").signed().server("ns1.sub.example.").delay(300);
    let mut world = world.records(&["a.sub.example. 300 A 192.0.2.1", "z.sub.example. 300 A 192.0.2.2"]);
    world.ask("a.sub.example. A AD");
    world.pass(4_000);
    let mut ttls = Vec::new();
    for question in ["b.sub.example. A DO", "c.sub.example. A DO"] {
        let answer = world.ask(question);
        assert!(answer.rcode() == Rcode::NXDOMAIN && answer.packet.has(AD), "{answer:?}");
        ttls.push(answer.packet.authority.iter().map(|rr| rr.ttl).max());
    }
    assert!(ttls[1] <= ttls[0], "{ttls:?}");
}

/// RFC 8767 4: it is used as if its TTL were not over. RFC 4035 5.3.3: not longer than its signatures are valid.
#[test]
fn expired_data_is_secure_as_long_as_its_signatures_are_valid() {
    if !is_cairn() {
        return;
    }
    for silent in [true, false] {
        let mut world = signed(4).records(&["www.example. 300 A 192.0.2.1", "alias.example. 300 CNAME www.example."]);
        let questions = ["www.example. A AD", "alias.example. A AD", "www.example. MX AD", "no.example. A DO"];
        let ask = |world: &mut World| questions.map(|question| world.ask(question));
        assert!(ask(&mut world).iter().all(|answer| answer.packet.has(AD)));
        world.pass(4_000);
        world = world.server("ns1.example.");
        world = if silent { world.dead() } else { world.fails(Rcode::SERVFAIL) };
        for answer in ask(&mut world) {
            let is_stale = answer.packet.errors().iter().any(|ede| matches!(ede, 3 | 19)) || answer.packet.edns.is_none();
            assert!(is_stale && answer.rcode() != Rcode::SERVFAIL && answer.packet.has(AD), "silent: {silent}: {answer:?}");
        }
        let later = world.wall() + 3_000 * 86_400;
        world.set_wall(later);
        for answer in ask(&mut world) {
            assert!(answer.rcode() != Rcode::SERVFAIL && !answer.packet.has(AD), "silent: {silent}: {answer:?}");
        }
    }
}

/// One server's reply does not validate, the other's does: the validated answer is neither stale nor asked for again.
#[test]
fn what_another_server_proves_has_not_failed() {
    if !is_cairn() {
        return;
    }
    for (seed, has_ds) in (0..8).flat_map(|seed| [(seed, true), (seed, false)]) {
        // Servers that fail when they are asked for DS below their zone: where an unsigned reply seems to lead.
        let fails = move |packet: &mut Packet| {
            let is_ds = packet.question.as_ref().is_some_and(|asked| asked.rtype == Rtype::DS);
            if is_ds && !has_ds {
                (packet.rcode, packet.authority) = (Rcode::SERVFAIL, Vec::new());
            }
        };
        let world = signed(seed).rewrites(fails).server("ns2.example.").manner(|manner| manner.strips = true).rewrites(fails);
        let mut world = world.records(&["*.wild.example. 300 CNAME www.example.", "www.example. 300 A 192.0.2.1"]);
        for _ in 0..2 {
            let answer = world.ask("any.wild.example. A AD");
            assert!(answer.is("192.0.2.1") && answer.packet.has(AD) && answer.packet.errors().is_empty(), "{answer:?}");
            assert!(answer.ttl().is_some_and(|ttl| ttl > 200), "{answer:?}");
        }
    }
}
