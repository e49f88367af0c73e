//! Zones whose servers' addresses have to be searched for.

use cairn::record::{Rcode, Rtype};

use super::sim::World;
use super::sim::engine::is_cairn;
use super::sim::world::name;

const SEEDS: std::ops::Range<u64> = 0..13;

/// What names without addresses are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nothing {
    NoName,
    NoData,
    /// Their own zone's servers are silent.
    Silent,
}

/// A zone of which only the last server's name has an address.
fn one_of(seed: u64, names: usize, nothing: Nothing) -> World {
    let mut world = World::new(seed).zone("hosts.example.").server("ns1.hosts.example.").zone("www.test.");
    for n in 1..names {
        let silent = nothing == Nothing::Silent;
        let host = if silent { format!("n{n}.h{n}.example.") } else { format!("n{n}.hosts.example.") };
        world = world.zone("lone.example.").record(&format!("lone.example. NS {host}"));
        world = match nothing {
            Nothing::NoName => world,
            Nothing::NoData => world.zone("hosts.example.").record(&format!("{host} TXT nothing")),
            Nothing::Silent => world.zone(&format!("h{n}.example.")).server(&format!("ns1.h{n}.example.")).dead(),
        };
    }
    let last = format!("n{names}.hosts.example.");
    world.zone("lone.example.").record(&format!("lone.example. NS {last}")).server(&last).records(&[
        "w1.lone.example. A 192.0.2.1",
        "w2.lone.example. A 192.0.2.2",
        "w3.lone.example. A 192.0.2.3",
    ])
}

/// From an empty cache, in whatever order the names are looked up.
#[test]
fn the_first_question_finds_the_only_server_with_an_address() {
    if !is_cairn() {
        return;
    }
    let (mut lost, mut asked) = (Vec::new(), 0);
    for nothing in [Nothing::NoName, Nothing::NoData, Nothing::Silent] {
        for names in [2, 3, 5, 8, 11, 12, 13] {
            let mut most = 0;
            for seed in SEEDS {
                let mut world = one_of(seed, names, nothing);
                let first = world.ask("w1.lone.example. A");
                if !first.is("192.0.2.1") {
                    lost.push(format!("{names} names, {nothing:?}, seed {seed}: {first:?}"));
                }
                let again = world.ask("w3.lone.example. A");
                assert!(again.is("192.0.2.3"), "{names} names, {nothing:?}, seed {seed}: {again:?}");
                most = most.max(world.log().len());
            }
            println!("{names} names, {nothing:?}: at most {most} queries");
            asked = asked.max(most);
        }
    }
    assert!(lost.is_empty(), "{} lost:\n{}", lost.len(), lost.join("\n"));
    assert!(asked <= 96, "{asked} queries");
}

/// That none of many names has an address is a fact only when all were looked up, and then it is remembered.
#[test]
fn a_zone_without_any_address_is_remembered_when_all_names_were_looked_up() {
    if !is_cairn() {
        return;
    }
    for nothing in [Nothing::NoName, Nothing::NoData] {
        for names in [3, 8, 20] {
            let mut world = one_of(3, names, nothing);
            world = world.zone("hosts.example.").without(&format!("n{names}.hosts.example."), Rtype::A);
            world.plan().server(&name(&format!("n{names}.hosts.example."))).ipv4.clear();
            world.plan().server(&name(&format!("n{names}.hosts.example."))).ipv6.push("2001:db8::dead".parse().expect("an address"));
            let mut world = world.families(true, false);
            let mut asked = Vec::new();
            for turn in 0..12 {
                world.forget();
                let answer = world.ask(&format!("x{turn}.lone.example. A"));
                assert_eq!(answer.rcode(), Rcode::SERVFAIL);
                asked.push(world.log().len());
            }
            assert!(asked.iter().sum::<usize>() <= 2 * names + 8, "{names} names, {nothing:?}: {asked:?}");
            assert_eq!(asked[11], 0, "{names} names, {nothing:?}: {asked:?}");
        }
    }
}

/// Six aliases through seven zones; the server of each zone is named in another zone, and so on, three levels deep.
fn deep_chain(seed: u64, servers: usize, dual_stack: bool, signed: bool) -> World {
    let mut world = World::new(seed);
    if signed {
        world = world.anchored();
    }
    if dual_stack {
        world = world.all_dual_stack();
    }
    let tlds = ["example.", "other.", "third."];
    for zone in tlds.into_iter().filter(|_| signed) {
        world = world.zone(zone).signed();
    }
    for n in 0..=6 {
        let host = |level: usize| format!("h{n}l{level}.{}", tlds[(n + level) % tlds.len()]);
        for level in 1..=3 {
            world = world.zone(&host(level));
            for k in 1..=servers {
                world = world.server(&if level == 3 { format!("ns{k}.{}", host(3)) } else { format!("ns{k}.{}", host(level + 1)) });
            }
        }
        let zone = |n: usize| format!("z{n}.{}", tlds[n % tlds.len()]);
        world = world.zone(&zone(n));
        if signed {
            world = world.signed();
        }
        for k in 1..=servers {
            world = world.server(&format!("ns{k}.{}", host(1)));
        }
        let last = format!("w.{} A 192.0.2.1", zone(n));
        world = world.record(&if n == 6 { last } else { format!("w.{} CNAME w.{}", zone(n), zone(n + 1)) });
    }
    world
}

/// No more than the bound of one question: such names are honest, and a first question must not fail.
#[test]
fn a_chain_of_aliases_with_deep_server_names_is_found_from_an_empty_cache() {
    if !is_cairn() {
        return;
    }
    for (servers, dual_stack, signed) in [(1, false, false), (3, false, false), (3, true, false), (1, false, true), (3, true, true)] {
        let (mut costs, mut lost) = (Vec::new(), Vec::new());
        for seed in SEEDS {
            let mut world = deep_chain(seed, servers, dual_stack, signed);
            let answer = world.ask("w.z0.example. A");
            world.wait_ms(5_000);
            costs.push(world.log().len());
            if answer.rcode() != Rcode::NOERROR {
                lost.push(seed);
            }
        }
        println!("{servers} servers, dual stack: {dual_stack}, signed: {signed}: {costs:?} queries");
        assert!(lost.is_empty(), "{servers} servers, dual stack: {dual_stack}: lost with seeds {lost:?}, queries {costs:?}");
    }
}

/// A parent that leaves the glue out of its referrals and has it when it is asked.
fn without_glue(seed: u64, depth: usize, dual_stack: bool) -> World {
    let mut world = World::new(seed);
    if dual_stack {
        world = world.all_dual_stack();
    }
    let apex = if depth == 1 { "lone." } else { "lone.example." };
    world =
        world.zone(apex).server(&format!("ns.{apex}")).records(&[&format!("www.{apex} A 192.0.2.1"), &format!("x.y.{apex} A 192.0.2.2")]);
    if depth == 3 {
        world = world.zone(&format!("deep.{apex}")).server(&format!("ns.{apex}")).serves().record(&format!("www.deep.{apex} A 192.0.2.3"));
    }
    world.zone(apex)
}

#[test]
fn the_parent_is_asked_for_an_address_that_its_referral_lacks() {
    if !is_cairn() {
        return;
    }
    for seed in SEEDS {
        for depth in 1..=3 {
            for dual_stack in [false, true] {
                let mut world = without_glue(seed, depth, dual_stack);
                let apex = if depth == 1 { "lone." } else { "lone.example." };
                let parent = if depth == 1 { "a.root-servers.net." } else { "ns1.example." };
                world = world.zone(if depth == 1 { "." } else { "example." }).server(parent).manner(|manner| manner.hides_glue = true);
                world.ask("nothing.example. A");
                world.forget();
                let answer = world.ask(&format!("www.{apex} A"));
                assert!(answer.is("192.0.2.1"), "depth {depth}, dual stack: {dual_stack}, seed {seed}: {answer:?}");
                let asked = world.queries_for(&format!("ns.{apex}"), Rtype::A) + world.queries_for(&format!("ns.{apex}"), Rtype::AAAA);
                assert!(asked <= 3, "{asked} queries for the server's address");
                assert!(world.ask(&format!("x.y.{apex} A")).is("192.0.2.2"));
            }
        }
    }
}

/// The server's name is, by the parent, an alias of one that is elsewhere.
#[test]
fn the_parent_may_say_that_the_server_is_an_alias() {
    if !is_cairn() {
        return;
    }
    for seed in SEEDS {
        let mut world = World::new(seed)
            .zone("hosts.net.")
            .server("real.hosts.net.")
            .zone("example.")
            .records(&["lone.example. NS ns.lone.example.", "ns.lone.example. CNAME real.hosts.net."])
            .server("ns1.example.")
            .manner(|manner| manner.hides_glue = true)
            .zone("lone.example.")
            .record("www.lone.example. A 192.0.2.1")
            .server("real.hosts.net.")
            .serves();
        let answer = world.ask("www.lone.example. A");
        assert!(answer.is("192.0.2.1"), "seed {seed}: {answer:?}");
    }
}

/// A parent that has no address either is asked once a while, whoever asks.
#[test]
fn a_parent_without_the_address_is_not_asked_on_and_on() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(1)
        .zone("example.")
        .records(&["lone.example. NS ns1.lone.example.", "lone.example. NS ns2.lone.example.", "lone.example. NS ns3.lone.example."])
        .server("ns1.example.")
        .manner(|manner| manner.hides_glue = true);
    for turn in 0..10 {
        let answer = world.ask(&format!("w{turn}.lone.example. A"));
        assert_eq!((answer.rcode(), answer.packet.errors()[0]), (Rcode::SERVFAIL, 22), "{answer:?}");
    }
    let asked = world.log().iter().filter(|seen| seen.name().is_within(&name("lone.example."))).count();
    assert!(asked <= 10, "{asked} queries");
}

/// A parent without glue that has, when it is asked, the address of one of the zone's servers only.
fn one_known_of(names: usize, seed: u64) -> World {
    let ns: Vec<String> = (1..=names).map(|n| format!("lone.example. NS ns{n}.lone.example.")).collect();
    let mut world = World::new(seed).zone("example.");
    for line in &ns {
        world = world.record(line);
    }
    let world = world.server("ns1.example.").manner(|manner| manner.hides_glue = true).zone("lone.example.");
    let world = world.record("www.lone.example. A 192.0.2.1").record("mail.lone.example. A 192.0.2.2");
    world.server(&format!("ns{}.lone.example.", 1 + seed as usize % names))
}

#[test]
fn the_parent_is_asked_for_every_name_of_a_usual_set() {
    if !is_cairn() {
        return;
    }
    for names in [2, 4, 8, 13] {
        for seed in SEEDS {
            let mut world = one_known_of(names, seed);
            let answer = world.ask("www.lone.example. A");
            assert!(answer.is("192.0.2.1"), "{names} names, seed {seed}: {answer:?}");
            assert!(world.log().len() <= 24, "{names} names, seed {seed}: {} queries", world.log().len());
        }
    }
}

/// One of the names is the zone's own: that it has no address is no word about the zone.
#[test]
fn one_of_the_servers_may_have_the_name_of_the_zone() {
    if !is_cairn() {
        return;
    }
    for seed in SEEDS {
        let mut world = one_known_of(3, seed).zone("example.").record("lone.example. NS lone.example.");
        for question in ["www.lone.example. A", "mail.lone.example. A", "no.lone.example. A"] {
            let answer = world.ask(question);
            assert!(answer.rcode() != Rcode::SERVFAIL, "seed {seed}, {question}: {answer:?}");
        }
    }
}

/// Of a set that is larger than any zone needs, each question asks for some names, and the next one goes on with others.
#[test]
fn the_next_question_goes_on_with_the_other_names() {
    if !is_cairn() {
        return;
    }
    for seed in SEEDS {
        let mut world = one_known_of(20, seed);
        let mut found = false;
        for turn in 0..8 {
            world.forget();
            let answer = world.ask("www.lone.example. A");
            assert!(world.log().len() <= 12, "seed {seed}, turn {turn}: {} queries", world.log().len());
            found = answer.is("192.0.2.1");
            if found {
                break;
            }
            let text = format!("{answer:?}");
            assert!(!text.contains("no address is known"), "seed {seed}: {text}");
        }
        assert!(found, "seed {seed}");
        assert!(world.ask("mail.lone.example. A").is("192.0.2.2"), "seed {seed}");
    }
}

/// The parent says that the server's name is an alias into the child, and what its address is.
#[test]
fn the_parents_alias_may_lead_into_the_child() {
    if !is_cairn() {
        return;
    }
    for seed in SEEDS {
        let mut world = World::new(seed)
            .zone("example.")
            .records(&["lone.example. NS ns.lone.example.", "ns.lone.example. CNAME real.lone.example.", "real.lone.example. A 9.9.77.1"])
            .server("ns1.example.")
            .manner(|manner| manner.hides_glue = true)
            .zone("lone.example.")
            .record("www.lone.example. A 192.0.2.1")
            .server("real.lone.example.")
            .at("9.9.77.1");
        let answer = world.ask("www.lone.example. A");
        assert!(answer.is("192.0.2.1"), "seed {seed}: {answer:?}");
    }
}
