//! The resolver's own network goes away and comes back: cached names are served meanwhile, no server is blamed, one
//! probe at a time looks for the network, and answers follow at once when it is back.

use std::time::Duration;

use cairn::record::Rcode;

use super::sim::World;
use super::sim::engine::is_cairn;
use super::sim::world::Answer;

const MOST_AFTER_THE_NETWORK: Duration = Duration::from_millis(500);
const MOST_AFTER_AN_EVENT: Duration = Duration::from_millis(100);

fn world(seed: u64) -> World {
    World::new(seed)
        .zone("example.")
        .records(&["www.example. A 192.0.2.1", "two.example. A 192.0.2.2", "three.example. A 192.0.2.3"])
        .server("ns1.example.")
        .serves()
        .server("ns2.example.")
        .serves()
        .every_link(|link| link.delay = Duration::from_millis(5))
}

/// A network that vanished: it was known, and everything is lost from now on.
fn cut_off(seed: u64) -> World {
    let mut world = world(seed);
    world.ask_true("www.example. A");
    world.set_loss(1.0);
    world
}

fn since(answer: &Answer, ms: u64) -> Duration {
    answer.took.saturating_sub(Duration::from_millis(ms))
}

#[test]
fn while_it_is_away() {
    if !is_cairn() {
        return;
    }
    let mut world = cut_off(1);
    let failed = world.ask("two.example. A");
    assert_eq!(failed.rcode(), Rcode::SERVFAIL);
    assert!(failed.took <= Duration::from_millis(4500), "{failed:?}");
    assert!(world.ask("www.example. A").is("192.0.2.1"), "cached names are served all the while");
    world.forget();
    world.ask_all(&["three.example. A", "four.example. A", "five.example. A", "six.example. A"]);
    let log = world.log();
    assert!(
        log.iter().all(|seen| seen.name().is_root()),
        "only probes, and not {:?}",
        log.iter().map(|seen| seen.name()).collect::<Vec<_>>()
    );
    assert!((10..=19).contains(&log.len()), "{} probes in 4.5 s", log.len());
    world.set_loss(0.0);
    let answer = world.ask_true("two.example. A");
    assert!(answer.took <= MOST_AFTER_THE_NETWORK, "no failure is remembered, no server is left alone: {answer:?}");
}

#[test]
fn a_question_that_waits_is_answered_when_the_network_is_back() {
    if !is_cairn() {
        return;
    }
    for (seed, ms) in [(1, 1_400), (2, 1_700), (3, 2_333), (4, 3_001), (5, 3_900)] {
        let answer = cut_off(seed).ask_meanwhile("two.example. A", ms, |world| world.set_loss(0.0));
        assert!(answer.is("192.0.2.2"), "{answer:?}");
        assert!(since(&answer, ms) <= MOST_AFTER_THE_NETWORK, "{ms} ms: {answer:?}");
    }
}

#[test]
fn the_kernel_tells_that_it_is_back() {
    if !is_cairn() {
        return;
    }
    for (seed, ms) in [(1, 1_300), (2, 1_701), (3, 2_333), (4, 3_001), (5, 3_900)] {
        let answer = cut_off(seed).ask_meanwhile("two.example. A", ms, |world| {
            world.set_loss(0.0);
            world.network_changed();
        });
        assert!(answer.is("192.0.2.2"), "{answer:?}");
        assert!(since(&answer, ms) <= MOST_AFTER_AN_EVENT, "{ms} ms: {answer:?}");
    }
}

#[test]
fn without_any_route() {
    if !is_cairn() {
        return;
    }
    for ms in [30, 700, 2_000, 4_000] {
        let mut world = world(6);
        world.ask_true("www.example. A");
        world.set_families(false, false);
        let answer = world.ask_meanwhile("two.example. A", ms, |world| {
            world.set_families(true, true);
            world.network_changed();
        });
        assert!(answer.is("192.0.2.2"), "{answer:?}");
        assert!(since(&answer, ms) <= MOST_AFTER_AN_EVENT, "{ms} ms: {answer:?}");
    }
    let mut world = world(7);
    world.ask_true("www.example. A");
    world.set_families(false, false);
    assert_eq!(world.ask("two.example. A").rcode(), Rcode::SERVFAIL);
    assert!(world.ask("www.example. A").is("192.0.2.1"));
    world.set_families(true, true);
    assert!(world.ask_true("two.example. A").took <= MOST_AFTER_THE_NETWORK);
}

/// What has expired is still better than waiting for a network that is known to be away.
#[test]
fn expired_names_are_served_at_once() {
    if !is_cairn() {
        return;
    }
    let expired = |seed| {
        let mut world = world(seed);
        world.ask_true("www.example. A");
        world.pass(4_000);
        world
    };
    let at_once = |answer: Answer| {
        assert!(answer.is("192.0.2.1") && answer.ttl() == Some(30), "{answer:?}");
        assert!(answer.took <= Duration::from_millis(20), "{answer:?}");
    };
    let mut silent = expired(9);
    silent.set_loss(1.0);
    assert_eq!(silent.ask("two.example. A").rcode(), Rcode::SERVFAIL);
    for _ in 0..3 {
        at_once(silent.ask("www.example. A"));
        silent.wait_ms(500);
    }
    silent.set_loss(0.0);
    silent.wait_ms(500);
    let fresh = silent.ask_true("www.example. A");
    assert_eq!(fresh.ttl(), Some(3600), "it was looked for all the while: {fresh:?}");

    let mut without_route = expired(10);
    without_route.set_families(false, false);
    assert_eq!(without_route.ask("two.example. A").rcode(), Rcode::SERVFAIL);
    at_once(without_route.ask("www.example. A"));
}

/// A server that did not answer hours ago, when nothing else was asked, does not mean that the network is away now.
#[test]
fn an_old_silence_is_looked_into_first() {
    if !is_cairn() {
        return;
    }
    let mut world = world(11);
    world.ask_true("www.example. A");
    world.set_loss(1.0);
    assert_eq!(world.ask("two.example. A").rcode(), Rcode::SERVFAIL);
    world.wait_ms(15_000);
    world.set_loss(0.0);
    world.pass(4_000);
    let fresh = world.ask_true("www.example. A");
    assert!(fresh.ttl() == Some(3600) && fresh.took <= MOST_AFTER_THE_NETWORK, "{fresh:?}");
    // If the probe gets no reply either, the wait is short.
    world.set_loss(1.0);
    assert_eq!(world.ask("two.example. A").rcode(), Rcode::SERVFAIL);
    world.wait_ms(15_000);
    world.pass(4_000);
    let stale = world.ask("www.example. A");
    assert!(stale.is("192.0.2.1") && stale.took <= Duration::from_millis(300), "{stale:?}");
}

/// The office's own server answers although the world is away, and is asked all the same.
#[test]
fn a_rule_does_not_wait_for_the_world() {
    if !is_cairn() {
        return;
    }
    let world = world(8).server("office.").at("192.0.2.200").serves().tune(|settings| {
        let text = "[[stub]]\nzone = 'example'\nto = ['192.0.2.200']\n";
        settings.stubs = cairn::config::Settings::from_toml(text, "cairn.toml").expect("valid").stubs;
    });
    world.set_loss(1.0);
    let mut world = world.server("office.").link(|link| link.loss = 0.0);
    for question in ["www.elsewhere. A", "www.beyond. A"] {
        assert_eq!(world.ask(question).rcode(), Rcode::SERVFAIL);
    }
    let answer = world.ask_true("www.example. A");
    assert!(answer.took <= MOST_AFTER_THE_NETWORK, "{answer:?}");
}

/// Its silence is not the network's: those who are asked in its place tell.
#[test]
fn a_dead_forwarder_that_may_be_done_without() {
    if !is_cairn() {
        return;
    }
    let mut world = world(9).server("dead.").at("192.0.2.200").serves().link(|link| link.loss = 1.0).tune(|settings| {
        let text = "[[forward]]\nzone = '.'\nto = ['192.0.2.200']\nfallback = true\n";
        settings.forwards = cairn::config::Settings::from_toml(text, "cairn.toml").expect("valid").forwards;
    });
    world.ask_true("www.example. A");
}
