//! What one client question may cost the world: known ways to make a resolver ask and ask again.
//!
//! Each row is a world, the questions, and the most queries that may leave for them together.

use cairn::record::Rcode;

use super::sim::engine::is_cairn;
use super::sim::{Lame, World};

struct Attack {
    title: &'static str,
    world: World,
    questions: Vec<String>,
    /// Queries that may leave for all the questions together, when the servers of `example.` are known.
    most: usize,
    /// What one question costs a resolver without care.
    harm: usize,
}

/// Queries that an empty cache adds: the way down to `example.`, and to the other domains that the attack needs.
const WAY_DOWN: usize = 4;

fn attacks() -> Vec<Attack> {
    let attack = |title, most, harm, world, questions| Attack { title, world, questions, most, harm };
    let one = |question: &str| vec![question.to_owned()];
    vec![
        attack("NXNSAttack: 60 name servers without addresses in a victim's zone", 8, 70, nxns(60), one("www.sub.evil.example. A")),
        attack("NRDelegation: 1000 name servers that lead nowhere", 4, 70, nxns(1000), one("www.sub.evil.example. A")),
        attack("an endless chain of CNAME", 16, 30, cname_chain(), one("c0.evil.example. A")),
        attack("a name that a DNAME makes longer each time", 26, 30, dname_chain(), one("x.d.evil.example. A")),
        attack("zones that need each other, asked ten times", 2, 50, cycle(), vec!["www.one.example. A".to_owned(); 10]),
        attack("121 labels", 3, 3, many_labels(), one(&format!("{}evil.example. A", "a.".repeat(118)))),
        attack("a tree of name servers without addresses", 20, 70, glueless_tree(), one("www.t0.example. A")),
        attack("eight servers that fail, asked twenty times", 6, 10, failing(), vec!["www.evil.example. A".to_owned(); 20]),
        attack("one name server with 60 dead addresses", 6, 50, dead_addresses(), one("www.evil.example. A")),
        attack("one name server with 60 addresses that refuse", 6, 50, refusing_addresses(), one("www.evil.example. A")),
        attack("CAMP: name servers whose names are chains of aliases", 15, 20, servers_by_alias(), one("www.sub.evil.example. A")),
        attack("CAMP: name servers with names of many labels", 15, 20, servers_of_many_labels(), one("www.sub.evil.example. A")),
        attack("CAMP: aliases to names of many labels", 15, 12, deep_aliases(1), one(DEEP)),
        attack("CAMP: aliases to names of many labels in two zones", 16, 12, deep_aliases(2), one(DEEP)),
        attack("CAMP: aliases into zones whose servers have no addresses", 15, 20, aliases_without_servers(), one("c.z0.evil.example. A")),
        attack("CAMP: name servers to be found that refuse", 15, 15, useless_servers("", false), one("www.sub.evil.example. A")),
        attack("CAMP: name servers of many labels that refuse", 15, 15, useless_servers(LABELS, false), one("www.sub.evil.example. A")),
        // Two second tries and the question whether the network is there come on top.
        attack("CAMP: name servers to be found that are dead", 17, 15, useless_servers("", true), one("www.sub.evil.example. A")),
        // Every query leads on, and four a link is what an honest alias into an unknown domain costs.
        attack("CAMP: aliases into zones with one server to be found", 49, 48, aliases_with_lookups(""), one("c.z0.evil.example. A")),
        attack("CAMP: the same with many labels", 51, 48, aliases_with_lookups(LABELS), one("c.a.b.c.d.z0.evil.example. A")),
    ]
}

#[test]
fn attacks_cost_no_more_than_their_figure() {
    if !is_cairn() {
        return;
    }
    let mut too_many = Vec::new();
    for (attack, again) in attacks().into_iter().zip(attacks()) {
        let (title, most) = (attack.title, attack.most);
        let (known, unknown) = (cost(attack, true), cost(again, false));
        let line = format!("{known:4} queries of {most}, {unknown:4} from an empty cache: {title}");
        println!("{line}");
        if known > most || unknown > most + WAY_DOWN {
            too_many.push(line);
        }
    }
    assert!(too_many.is_empty(), "too many:\n{}", too_many.join("\n"));
}

/// Queries sent from the first question on, until all is quiet.
fn cost(Attack { title, mut world, questions, .. }: Attack, parent_known: bool) -> usize {
    if parent_known {
        world.ask("nothing.example. A");
        world.forget();
    }
    for question in &questions {
        world.ask(question);
    }
    world.wait_ms(15_000);
    assert_eq!(world.open_ports(), 0, "{title}");
    world.log().len()
}

/// The worlds are what they say: a resolver without care pays.
#[test]
fn the_attacks_are_real() {
    for Attack { title, world, questions, harm, .. } in attacks() {
        let mut world = world.naive();
        world.ask(&questions[0]);
        let sent = world.log().len();
        assert!(sent >= harm, "{title}: only {sent} queries");
    }
}

fn nxns(count: usize) -> World {
    let world = World::new(1).zone("victim.").zone("evil.example.").server("ns1.evil.example.");
    (0..count).fold(world, |world, n| world.record(&format!("sub.evil.example. NS n{n}.victim.")))
}

fn cname_chain() -> World {
    let world = World::new(2).zone("evil.example.").server("ns1.evil.example.").manner(|manner| manner.one_link = true);
    (0..60).fold(world, |world, n| world.record(&format!("c{n}.evil.example. CNAME c{}.evil.example.", n + 1)))
}

fn dname_chain() -> World {
    let world = World::new(3).zone("evil.example.").server("ns1.evil.example.").manner(|manner| manner.one_link = true);
    world.record("d.evil.example. DNAME e.d.evil.example.")
}

fn many_labels() -> World {
    World::new(4).zone("evil.example.").record("www.evil.example. A 192.0.2.1")
}

fn glueless_tree() -> World {
    let mut world = World::new(5).zone("example.").server("ns1.example.");
    for n in 0..40 {
        for host in ["a", "b", "c"] {
            world = world.record(&format!("t{n}.example. NS {host}.t{}.example.", n + 1));
        }
    }
    world
}

fn dead_addresses() -> World {
    let world = World::new(6).zone("evil.example.").server("ns1.evil.example.").dead();
    (1..=60).fold(world, |world, n| world.at(&format!("198.51.100.{n}")))
}

fn refusing_addresses() -> World {
    let world = World::new(9).zone("evil.example.").server("ns1.evil.example.").fails(Rcode::REFUSED);
    (1..=60).fold(world, |world, n| world.at(&format!("198.51.100.{n}")))
}

fn servers_by_alias() -> World {
    let mut world =
        World::new(10).zone("victim.").zone("evil.example.").server("ns1.evil.example.").manner(|manner| manner.one_link = true);
    for n in 0..20 {
        world = world.record(&format!("sub.evil.example. NS s{n}x0.evil.example."));
        for link in 0..20 {
            world = world.record(&format!("s{n}x{link}.evil.example. CNAME s{n}x{}.evil.example.", link + 1));
        }
    }
    world
}

fn servers_of_many_labels() -> World {
    let mut world = World::new(11).zone("victim.");
    for n in 0..20 {
        world = world.record(&format!("x.a.b.c.d.e.n{n}.victim. TXT x"));
    }
    let world = world.zone("evil.example.").server("ns1.evil.example.");
    (0..20).fold(world, |world, n| world.record(&format!("sub.evil.example. NS a.b.c.d.e.n{n}.victim.")))
}

const LABELS: &str = "a.b.c.d.";
const DEEP: &str = "c0.a.b.c.d.e.n0.evil.example. A";

fn deep_aliases(zones: usize) -> World {
    let zones = ["evil.example.", "wrong.example."][..zones].to_vec();
    let name = |n: usize| format!("c{n}.a.b.c.d.e.n{n}.{}", zones[n % zones.len()]);
    let mut world = World::new(12);
    for zone in &zones {
        world = world.zone(zone).server(&format!("ns1.{zone}")).manner(|manner| manner.one_link = true);
    }
    (0..40).fold(world, |world, n| world.zone(zones[n % zones.len()]).record(&format!("{} CNAME {}", name(n), name(n + 1))))
}

fn aliases_without_servers() -> World {
    let mut world = World::new(13).zone("victim.").zone("evil.example.").server("ns1.evil.example.");
    for zone in 0..20 {
        for n in 0..20 {
            world = world.record(&format!("z{zone}.evil.example. NS n{n}.z{zone}.victim."));
        }
    }
    world
}

fn useless_servers(labels: &str, dead: bool) -> World {
    let mut world = World::new(15).zone("evil.example.").server("ns1.evil.example.");
    for n in 0..10 {
        world = world.record(&format!("sub.evil.example. NS {labels}ns.h{n}.example."));
    }
    for n in 0..10 {
        world = world.zone(&format!("h{n}.example.")).server(&format!("ns1.h{n}.example."));
        world = world.zone("sub.evil.example.").server(&format!("{labels}ns.h{n}.example."));
        world = if dead { world.dead() } else { world.lame(Lame::Refuses) };
    }
    world
}

fn aliases_with_lookups(labels: &str) -> World {
    let mut world = World::new(14);
    for n in 0..20 {
        world = world.zone(&format!("h{n}.example.")).server(&format!("ns1.h{n}.example."));
        world = world.zone(&format!("z{n}.evil.example.")).server(&format!("{labels}ns.h{n}.example."));
        world = world
            .record(&format!("c.{labels}z{n}.evil.example. CNAME c.{labels}z{}.evil.example.", n + 1))
            .manner(|manner| manner.one_link = true);
    }
    world.zone("evil.example.")
}

fn cycle() -> World {
    World::new(7).zone("one.example.").server("ns.two.example.").zone("two.example.").server("ns.one.example.")
}

fn failing() -> World {
    let world = World::new(8).zone("evil.example.");
    (1..=8).fold(world, |world, n| world.server(&format!("ns{n}.evil.example.")).fails(Rcode::SERVFAIL))
}

/// A delegation to addresses that nobody may make us ask: ourselves, this machine, a whole network.
#[test]
fn forbidden_addresses_are_never_asked() {
    if !is_cairn() {
        return;
    }
    let forbidden =
        ["127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "224.0.0.251", "255.255.255.255", "192.0.2.53", "::1", "::", "ff02::fb"];
    for address in forbidden.into_iter().chain(["192.0.2.54"]) {
        let mut world = World::new(9)
            .zone("evil.example.")
            .record("www.evil.example. A 192.0.2.1")
            .server("ns1.evil.example.")
            .at(address)
            .tune(|settings| settings.server.listen = Some(vec!["192.0.2.53:53".parse().expect("an address")]));
        world.ask("www.evil.example. A");
        let asked = world.log().iter().any(|seen| seen.to.ip() == address.parse::<std::net::IpAddr>().expect("an address"));
        assert_eq!(asked, !forbidden.contains(&address), "{address}");
    }
}
