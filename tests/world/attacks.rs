//! What one client question may cost the world: known ways to make a resolver ask and ask again.
//!
//! Each row is a world, the questions, and the most queries that may leave for them together.

use cairn::config::Limits;
use cairn::record::Rcode;

use super::sim::World;
use super::sim::engine::is_cairn;

struct Attack {
    title: &'static str,
    world: World,
    questions: Vec<String>,
    most: usize,
    /// What one question costs a resolver without care.
    harm: usize,
}

fn attacks() -> Vec<Attack> {
    // No question may pass its purse, whatever the attack.
    let purse = Limits::default().upstream_queries_per_question as usize;
    let one = |title, world, harm, question: &str| Attack { title, world, questions: vec![question.to_owned()], most: purse, harm };
    vec![
        one("NXNSAttack: 60 name servers without addresses in a victim's zone", nxns(60), 70, "www.sub.evil.example. A"),
        one("NRDelegation: 1000 name servers that lead nowhere", nxns(1000), 70, "www.sub.evil.example. A"),
        one("an endless chain of CNAME", cname_chain(), 30, "c0.evil.example. A"),
        one("a name that a DNAME makes longer each time", dname_chain(), 30, "x.d.evil.example. A"),
        one("121 labels", many_labels(), 3, &format!("{}evil.example. A", "a.".repeat(118))),
        one("a tree of name servers without addresses", glueless_tree(), 70, "www.t0.example. A"),
        one("one name server with 60 dead addresses", dead_addresses(), 50, "www.evil.example. A"),
        Attack {
            title: "zones that need each other",
            world: cycle(),
            questions: vec!["www.one.example. A".to_owned(); 10],
            most: 2 * purse,
            harm: 50,
        },
        Attack {
            title: "eight servers that fail",
            world: failing(),
            questions: vec!["www.evil.example. A".to_owned(); 20],
            most: purse,
            harm: 10,
        },
    ]
}

#[test]
fn no_question_costs_more_than_its_purse() {
    if !is_cairn() {
        return;
    }
    for Attack { title, mut world, questions, most, .. } in attacks() {
        for question in &questions {
            world.ask(question);
        }
        world.wait_ms(15_000);
        let sent = world.log().len();
        println!("{sent:4} queries: {title}");
        assert!(sent <= most, "{title}: {sent} queries, {most} are allowed");
        assert_eq!(world.open_ports(), 0, "{title}");
    }
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

fn cycle() -> World {
    World::new(7).zone("one.example.").server("ns.two.example.").zone("two.example.").server("ns.one.example.")
}

fn failing() -> World {
    let world = World::new(8).zone("evil.example.");
    (1..=8).fold(world, |world, n| world.server(&format!("ns{n}.evil.example.")).fails(Rcode::SERVFAIL))
}
