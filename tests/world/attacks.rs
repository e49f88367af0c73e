//! How many upstream queries one client question may cause, for each known amplification attack.
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
    /// What one question costs the reference resolver, which has no limits.
    harm: usize,
}

/// Queries that an empty cache adds: the way down to `example.`, and to the other domains that the attack needs.
const WAY_DOWN: usize = 4;

/// Those that can be made with any name: each `copy` is another one under the same hostile zone.
fn kinds(copies: usize) -> Vec<Attack> {
    let attack = |title, most, harm, world: World, add: fn(World, usize) -> World, question: fn(usize) -> String| {
        let world = (0..copies).fold(world, add);
        Attack { title, world, questions: (0..copies).map(question).collect(), most, harm }
    };
    let sub = |copy| format!("www.sub{copy}.evil.example. A");
    vec![
        attack("NXNSAttack: 60 name servers without addresses in a victim's zone", 8, 70, victim(1), |w, k| nxns(w, k, 60), sub),
        attack("NXNSAttack: 13 names, of which all are looked up", 16, 15, victim(17), |w, k| nxns(w, k, 13), sub),
        attack("NXNSAttack: 13 names in zones whose servers are silent", 65, 50, evil(18), |w, k| silent_hosts(w, k, 13), sub),
        attack(
            "CAMP: aliases into zones that each have 12 names without addresses, and one server to be found",
            28,
            48,
            victim(19),
            mostly_without_addresses,
            |copy| format!("c.z{copy}x0.evil.example. A"),
        ),
        attack("NRDelegation: 1000 name servers that lead nowhere", 4, 70, victim(1), |w, k| nxns(w, k, 1000), sub),
        attack("an endless chain of CNAME", 16, 30, one_link(2), cname_chain, |copy| format!("c{copy}x0.evil.example. A")),
        attack("a name that a DNAME makes longer each time", 3, 30, one_link(3), dname_chain, |copy| format!("x.d{copy}.evil.example. A")),
        attack("121 labels", 3, 3, many_labels(), |w, _| w, |copy| format!("{}b{copy}.evil.example. A", "a.".repeat(117))),
        attack("CAMP: name servers whose names are chains of aliases", 15, 20, one_link(10), servers_by_alias, sub),
        attack("CAMP: name servers with names of many labels", 15, 20, victim(11), servers_of_many_labels, sub),
        attack("CAMP: aliases to names of many labels", 15, 12, one_link(12), |w, k| deep_aliases(w, k, &EVIL), deep),
        attack(
            "CAMP: aliases to names of many labels in two zones",
            16,
            12,
            one_link(12),
            |w, k| deep_aliases(w, k, &EVIL_AND_WRONG),
            deep,
        ),
        attack("CAMP: aliases into zones whose servers have no addresses", 15, 20, victim(13), aliases_without_servers, |copy| {
            format!("c.z{copy}x0.evil.example. A")
        }),
        attack("CAMP: name servers to be found that refuse", 15, 15, evil(15), |w, k| useless_servers(w, k, "", false), sub),
        attack("CAMP: name servers of many labels that refuse", 15, 15, evil(15), |w, k| useless_servers(w, k, LABELS, false), sub),
        // Two second tries and the question whether the network is there come on top.
        attack("CAMP: name servers to be found that are dead", 17, 15, evil(15), |w, k| useless_servers(w, k, "", true), sub),
        // Every query leads on, and four a link is what an honest alias into an unknown domain costs.
        attack(
            "CAMP: aliases into zones with one server to be found",
            49,
            48,
            evil(14),
            |w, k| aliases_with_lookups(w, k, "", 1),
            |copy| format!("c.z{copy}x0.evil.example. A"),
        ),
        attack(
            "CAMP: the same with many labels",
            51,
            48,
            evil(14),
            |w, k| aliases_with_lookups(w, k, LABELS, 1),
            |copy| format!("c.{LABELS}z{copy}x0.evil.example. A"),
        ),
        // Eight queries a link, which is what an honest alias costs there too; the budget of the question ends it.
        attack(
            "CAMP: aliases into zones with one server to be found, whose zone has one to be found, and so on, three deep",
            96,
            90,
            evil(16),
            |w, k| aliases_with_lookups(w, k, "", 3),
            |copy| format!("c.z{copy}x0.evil.example. A"),
        ),
    ]
}

fn attacks() -> Vec<Attack> {
    let attack = |title, most, harm, world, questions| Attack { title, world, questions, most, harm };
    let one = |question: &str| vec![question.to_owned()];
    let mut all = kinds(1);
    all.extend([
        attack("zones that need each other, asked ten times", 2, 50, cycle(), vec!["www.one.example. A".to_owned(); 10]),
        attack("a tree of name servers without addresses", 20, 70, glueless_tree(), one("www.t0.example. A")),
        attack("the same, on a slow link", 20, 70, glueless_tree().delay(150), one("www.t0.example. A")),
        attack("eight servers that fail, asked twenty times", 6, 10, failing(), vec!["www.evil.example. A".to_owned(); 20]),
        attack("one name server with 60 dead addresses", 6, 50, dead_addresses(), one("www.evil.example. A")),
        attack("the same, a name of many labels", 6, 50, dead_addresses(), one("www.a.b.c.d.evil.example. A")),
        attack("one name server with 60 addresses that refuse", 6, 50, refusing_addresses(), one("www.evil.example. A")),
    ]);
    all
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

/// Names of one attack, one after another or all at once: none costs more because of the others.
#[test]
fn ten_names_cost_no_more_than_ten_times_one() {
    if !is_cairn() {
        return;
    }
    const NAMES: usize = 10;
    let mut too_many = Vec::new();
    for (attack, again) in kinds(NAMES).into_iter().zip(kinds(NAMES)) {
        let (title, most) = (attack.title, attack.most * NAMES);
        let (in_turn, at_once) = (cost(attack, true), cost_at_once(again));
        let line = format!("{in_turn:4} queries in turn, {at_once:4} at once, of {most}: {title}");
        println!("{line}");
        if in_turn > most || at_once > most {
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
    until_quiet(world, title)
}

fn cost_at_once(Attack { title, mut world, questions, .. }: Attack) -> usize {
    world.ask("nothing.example. A");
    world.forget();
    world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
    until_quiet(world, title)
}

fn until_quiet(mut world: World, title: &str) -> usize {
    world.wait_ms(15_000);
    assert_eq!(world.open_ports(), 0, "{title}");
    world.log().len()
}

/// The worlds are hostile indeed: the reference resolver sends far more queries.
#[test]
fn the_attacks_are_real() {
    for Attack { title, world, questions, harm, .. } in attacks() {
        let mut world = world.reference();
        world.ask(&questions[0]);
        let sent = world.log().len();
        assert!(sent >= harm, "{title}: only {sent} queries");
    }
}

fn evil(seed: u64) -> World {
    World::new(seed).zone("evil.example.").server("ns1.evil.example.")
}

fn victim(seed: u64) -> World {
    World::new(seed).zone("victim.").zone("evil.example.").server("ns1.evil.example.")
}

/// Each alias has to be asked for.
fn one_link(seed: u64) -> World {
    victim(seed).manner(|manner| manner.one_link = true)
}

fn nxns(world: World, copy: usize, count: usize) -> World {
    (0..count).fold(world, |world, n| world.record(&format!("sub{copy}.evil.example. NS n{n}x{copy}.victim.")))
}

fn silent_hosts(world: World, copy: usize, count: usize) -> World {
    (0..count).fold(world, |world, n| {
        let host = format!("h{n}x{copy}.example.");
        let world = world.zone(&host).server(&format!("ns1.{host}")).dead();
        world.zone("evil.example.").record(&format!("sub{copy}.evil.example. NS n.{host}"))
    })
}

fn mostly_without_addresses(world: World, copy: usize) -> World {
    (0..20).fold(aliases_with_lookups(world, copy, "", 1), |world, n| {
        let zone = format!("z{copy}x{n}.evil.example.");
        let world = world.zone(&zone).record(&format!("{zone} NS ns.h{n}x{copy}.example."));
        (0..12).fold(world, |world, host| world.record(&format!("{zone} NS n{host}x{n}x{copy}.victim.")))
    })
}

fn cname_chain(world: World, copy: usize) -> World {
    (0..60).fold(world, |world, n| world.record(&format!("c{copy}x{n}.evil.example. CNAME c{copy}x{}.evil.example.", n + 1)))
}

fn dname_chain(world: World, copy: usize) -> World {
    world.record(&format!("d{copy}.evil.example. DNAME e.d{copy}.evil.example."))
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

fn servers_by_alias(mut world: World, copy: usize) -> World {
    for n in 0..20 {
        let server = |link: usize| format!("s{n}x{link}x{copy}.evil.example.");
        world = world.record(&format!("sub{copy}.evil.example. NS {}", server(0)));
        for link in 0..20 {
            world = world.record(&format!("{} CNAME {}", server(link), server(link + 1)));
        }
    }
    world
}

fn servers_of_many_labels(mut world: World, copy: usize) -> World {
    for n in 0..20 {
        world = world.zone("victim.").record(&format!("x.a.b.c.d.e.n{n}x{copy}.victim. TXT x"));
        world = world.zone("evil.example.").record(&format!("sub{copy}.evil.example. NS a.b.c.d.e.n{n}x{copy}.victim."));
    }
    world
}

const LABELS: &str = "a.b.c.d.";
const EVIL: [&str; 1] = ["evil.example."];
const EVIL_AND_WRONG: [&str; 2] = ["evil.example.", "wrong.example."];

fn deep(copy: usize) -> String {
    format!("c0.a.b.c.d.e.n0x{copy}.evil.example. A")
}

fn deep_aliases(mut world: World, copy: usize, zones: &[&str]) -> World {
    let zone = |n: usize| zones[n % zones.len()];
    let name = |n: usize| format!("c{n}.a.b.c.d.e.n{n}x{copy}.{}", zone(n));
    for zone in zones {
        world = world.zone(zone).server(&format!("ns1.{zone}")).manner(|manner| manner.one_link = true);
    }
    (0..40).fold(world, |world, n| world.zone(zone(n)).record(&format!("{} CNAME {}", name(n), name(n + 1))))
}

fn aliases_without_servers(mut world: World, copy: usize) -> World {
    for zone in 0..20 {
        for n in 0..20 {
            world = world.record(&format!("z{copy}x{zone}.evil.example. NS n{n}.z{copy}x{zone}.victim."));
        }
    }
    world
}

fn useless_servers(mut world: World, copy: usize, labels: &str, dead: bool) -> World {
    for n in 0..10 {
        world = world.zone("evil.example.").record(&format!("sub{copy}.evil.example. NS {labels}ns.h{n}x{copy}.example."));
    }
    for n in 0..10 {
        let host = format!("h{n}x{copy}.example.");
        world = world.zone(&host).server(&format!("ns1.{host}"));
        world = world.zone(&format!("sub{copy}.evil.example.")).server(&format!("{labels}ns.{host}"));
        world = if dead { world.dead() } else { world.lame(Lame::Refuses) };
    }
    world
}

/// Aliases from zone to zone. The server of each zone is named in another zone, whose server is named in a third, so many
/// `levels`; only the last of them has glue.
fn aliases_with_lookups(mut world: World, copy: usize, labels: &str, levels: usize) -> World {
    for n in 0..20 {
        let host = |level: usize| if level == 1 { format!("h{n}x{copy}.example.") } else { format!("h{n}x{copy}l{level}.example.") };
        for level in 1..=levels {
            let server = if level == levels { format!("ns1.{}", host(level)) } else { format!("ns.{}", host(level + 1)) };
            world = world.zone(&host(level)).server(&server);
        }
        let zone = |n: usize| format!("z{copy}x{n}.evil.example.");
        world = world.zone(&zone(n)).server(&format!("{labels}ns.{}", host(1)));
        world = world.record(&format!("c.{labels}{} CNAME c.{labels}{}", zone(n), zone(n + 1))).manner(|manner| manner.one_link = true);
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

/// A delegation to addresses that are never asked: the resolver itself, this machine, a broadcast address.
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
