//! One address family of the resolver's own network does not work, without any error from the kernel: names are still
//! found, time-outs are not repeated, and the family is used again once it works.

use std::time::Duration;

use cairn::cache::Family;
use cairn::resolve::{Choice, Step};

use super::sim::engine::is_cairn;
use super::sim::internet::Seen;
use super::sim::{World, name};

const ZONES: usize = 50;
/// The longest wait for one server that nothing is known of, while there are others.
const TIME_OUT: Duration = Duration::from_millis(400);
/// A whole name from an empty cache, with the servers' names to be found: some walks of a few round trips each.
const NAME_MOST: Duration = Duration::from_millis(500);

/// Zones below five TLDs, on servers in the zone or in another one. Every server has both families, 20 ms away.
fn world(seed: u64) -> World {
    let mut world = World::new(seed).all_dual_stack().every_link(|link| link.delay = Duration::from_millis(10));
    for n in 0..ZONES {
        let zone = format!("z{n}.tld{}.", n % 5);
        world = world.zone(&zone).record(&format!("www.{zone} A 192.0.2.1")).record(&format!("mail.{zone} A 192.0.2.2"));
        world = match n % 3 {
            0 => world.server(&format!("ns1.{zone}")).server(&format!("ns2.{zone}")),
            1 => world.server(&format!("ns1.host{}.net.", n % 4)).serves().server(&format!("ns2.host{}.net.", n % 4)).serves(),
            _ => world.server(&format!("ns1.dns{n}.org.")),
        };
    }
    world
}

fn question(host: &str, n: usize) -> String {
    format!("{host}.z{n}.tld{}. A", n % 5)
}

/// How long each took.
fn ask(world: &mut World, zones: impl Iterator<Item = usize>) -> Vec<Duration> {
    zones.map(|n| world.ask_true(&question("www", n)).took).collect()
}

fn by(family: Family, log: &[Seen]) -> usize {
    log.iter().filter(|seen| Family::of(seen.to.ip()) == family).count()
}

fn silence(world: &World, family: Family) {
    world.silence(family == Family::V4, family == Family::V6);
}

fn row(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4-broken",
        Family::V6 => "ipv6-broken",
    }
}

#[test]
fn a_family_that_never_worked_costs_one_time_out_in_all() {
    if !is_cairn() {
        return;
    }
    for family in Family::BOTH {
        for seed in 0..8 {
            let whole: Duration = ask(&mut world(seed), 0..ZONES).iter().sum();
            let mut world = world(seed);
            silence(&world, family);
            let took = ask(&mut world, 0..ZONES);
            let (sum, most) = (took.iter().sum::<Duration>(), *took.iter().max().expect("some"));
            // Chance finds other servers known; a tenth more or less is that.
            assert!(sum <= whole.mul_f64(1.1) + TIME_OUT, "{family} silent, seed {seed}: {took:?}");
            assert!(most <= NAME_MOST, "{family} silent, seed {seed}: {took:?}");
            assert!(by(family, &world.log()) <= 8, "{family} silent, seed {seed}: asked all the same");
            assert_eq!((world.stat(row(family)), world.stat(row(family.other()))), (1, 0));
        }
    }
}

#[test]
fn a_family_that_breaks_costs_one_time_out() {
    if !is_cairn() {
        return;
    }
    for family in Family::BOTH {
        for seed in 0..8 {
            let mut world = world(seed);
            ask(&mut world, 0..20);
            assert_eq!(world.stat(row(family)), 0);
            silence(&world, family);
            world.forget();
            let took = ask(&mut world, 20..ZONES);
            let slow = took.iter().filter(|took| **took > NAME_MOST).count();
            assert!(slow <= 2 && took.iter().all(|took| *took <= NAME_MOST + TIME_OUT), "{family} breaks, seed {seed}: {took:?}");
            assert!(by(family, &world.log()) <= 10, "{family} breaks, seed {seed}: asked all the same");
            assert_eq!(world.stat(row(family)), 1);
        }
    }
}

#[test]
fn a_family_that_is_back_is_used_again() {
    if !is_cairn() {
        return;
    }
    for family in Family::BOTH {
        let mut world = world(1);
        silence(&world, family);
        ask(&mut world, 0..10);
        world.pass(20);
        // Tests after 1 s, then 5, 10 and so on, each by one query that no client waits for.
        for n in 10..20 {
            world.forget();
            assert!(ask(&mut world, n..n + 1)[0] <= NAME_MOST);
            assert!(by(family, &world.log()) <= 1, "only a test");
            world.pass(4);
        }
        world.silence(false, false);
        for n in 20..30 {
            ask(&mut world, n..n + 1);
            world.pass(8);
        }
        assert_eq!(world.stat(row(family)), 0, "{family} works again");
        world.forget();
        ask(&mut world, 30..ZONES);
        assert!(by(family, &world.log()) >= 5, "{family} is used again");
    }
}

/// One lost packet may condemn a family for a while; names that only it can find are found all the same.
#[test]
fn servers_of_a_broken_family_are_the_last_resort() {
    if !is_cairn() {
        return;
    }
    let mut world = world(2).zone("six.tld1.").record("www.six.tld1. A 192.0.2.6").server("ns1.six.tld1.").ipv6_only();
    silence(&world, Family::V6);
    ask(&mut world, 0..5);
    assert_eq!(world.stat("ipv6-broken"), 1);
    world.silence(false, false);
    let answer = world.ask_true("www.six.tld1. A");
    assert!(answer.is("192.0.2.6") && answer.took <= NAME_MOST, "{answer:?}");
    assert_eq!(world.stat("ipv6-broken"), 0, "one reply clears it");
}

#[test]
fn explain_says_why_a_family_is_passed_over() {
    if !is_cairn() {
        return;
    }
    let mut world = world(3);
    silence(&world, Family::V6);
    ask(&mut world, 0..5);
    world.pass(2);
    let asked = |steps: Vec<Step>| steps.into_iter().filter_map(|step| if let Step::Asked(asked) = step { Some(asked) } else { None });
    let steps: Vec<_> = asked(world.explain(&question("mail", 0))).collect();
    let over = steps.iter().find(|step| step.zone == name("z0.tld0.") && step.address.is_ipv4()).and_then(|step| step.passed_over);
    assert!(over.is_some_and(|over| over.family == Family::V6 && over.addresses == 2), "{steps:?}");
    assert!(steps.iter().any(|step| step.why == Choice::FamilyTest { family: Family::V6 } && step.address.is_ipv6()), "{steps:?}");
}
