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

/// What has no address is not looked for again, and what was not looked for is the next question's.
#[test]
fn the_only_server_with_an_address_is_found() {
    if !is_cairn() {
        return;
    }
    for nothing in [Nothing::NoName, Nothing::NoData, Nothing::Silent] {
        for names in if nothing == Nothing::Silent { &[2][..] } else { &[2, 5, 8, 12] }.iter().copied() {
            for seed in SEEDS {
                let mut world = one_of(seed, names, nothing);
                let first = world.ask("w1.lone.example. A");
                if let [ede] = &first.packet.errors()[..] {
                    assert!(*ede != 22 || nothing == Nothing::Silent, "nobody was unreachable: {first:?}");
                }
                // One question for each four names.
                let mut found = first.is("192.0.2.1");
                for turn in 1..names.div_ceil(4) {
                    found |= world.ask(&format!("w{}.lone.example. A", 2 + turn % 2)).rcode() == Rcode::NOERROR;
                }
                assert!(found, "{names} names, {nothing:?}, seed {seed}");
                let again = world.ask("w3.lone.example. A");
                assert!(again.is("192.0.2.3"), "{names} names, {nothing:?}, seed {seed}: {again:?}");
            }
        }
    }
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
