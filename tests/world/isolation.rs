//! One client's question must not spoil another's: names that a hostile question leads to are still found for every
//! other client.

use std::cell::Cell;
use std::rc::Rc;

use cairn::record::Rcode;

use super::sim::World;
use super::sim::engine::is_cairn;
use super::sim::world::name;

const BANK: &str = "www.bank.shop. A";

/// Aliases through zones of which each costs a dozen queries; after `links` of them the bank. Its server has to be
/// searched for. The bound is one that such a chain can reach.
fn spender(links: usize) -> World {
    let world = World::new(50).limit(|limits| limits.upstream_queries_per_question = 64);
    let mut world = world.zone("evil.example.").server("ns1.evil.example.");
    for n in 0..links {
        world = world.zone(&format!("g{n}.example.")).server(&format!("ns1.g{n}.example."));
        world = world.zone(&format!("h{n}.example.")).server(&format!("ns.g{n}.example."));
        let next = if n + 1 == links { "www.bank.shop.".to_owned() } else { format!("c.z{}.evil.example.", n + 1) };
        world = world.zone(&format!("z{n}.evil.example.")).server(&format!("ns.h{n}.example."));
        world = world.record(&format!("c.z{n}.evil.example. CNAME {next}")).manner(|manner| manner.one_link = true);
    }
    world.zone("dns.port.").zone("bank.shop.").server("ns1.dns.port.").record("www.bank.shop. A 192.0.2.1")
}

#[test]
fn a_question_that_spends_all_leaves_nothing_behind_for_others() {
    if !is_cairn() {
        return;
    }
    let mut failures = 0;
    for links in 1..=10 {
        let mut world = spender(links);
        failures += usize::from(!world.ask("c.z0.evil.example. A").is("192.0.2.1"));
        let honest = world.ask(BANK);
        assert!(honest.is("192.0.2.1"), "{links} links: {honest:?}");
    }
    assert!((1..10).contains(&failures), "{failures} questions ran out of means: there must be some on either side");
}

#[test]
fn waiting_for_a_question_that_spends_all_is_not_in_vain() {
    if !is_cairn() {
        return;
    }
    let mut joined = 0;
    for links in 10..=11 {
        for late_ms in (100..190).step_by(2) {
            let mut world = spender(links)
                .zone("good.example.")
                .server("ns1.good.example.")
                .delay(late_ms)
                .manner(|manner| manner.one_link = true)
                .records(&["a.good.example. CNAME b.good.example.", "b.good.example. CNAME www.bank.shop."]);
            let answers = world.ask_all(&["c.z0.evil.example. A", "a.good.example. A"]);
            joined += usize::from(answers[0].data().is_empty());
            assert!(answers[1].is("192.0.2.1"), "{links} links, {late_ms} ms late: {:?}", answers[1]);
        }
    }
    assert!(joined > 0, "nobody ran out of means");
}

/// What somebody may make a resolver look for, and who suffers from it.
struct Hostile {
    title: &'static str,
    world: Box<dyn Fn(u64) -> World>,
    /// Asked again and again, each with another number in place of `#`.
    questions: Vec<String>,
    honest: Vec<&'static str>,
}

/// Delegations of which each needs the next one's server; the last one's server is `last`.
fn ladder(mut world: World, steps: usize, last: &str) -> World {
    world = world.zone("evil.example.").server("ns1.evil.example.");
    for step in 1..=steps {
        let server = if step == steps { last.to_owned() } else { format!("ns.z{}.evil.example.", step + 1) };
        world = world.record(&format!("z{step}.evil.example. NS {server}"));
    }
    world
}

/// `victim.test.` is well, if its servers' addresses are looked up, or those of its servers' servers.
fn victim(seed: u64) -> World {
    World::new(seed)
        .zone("far.shop.")
        .server("ns.far.shop.")
        .zone("dns.port.")
        .server("ns.far.shop.")
        .serves()
        .record("ns1.dns.port. A 9.8.0.1")
        .record("ns2.dns.port. A 9.8.0.1")
        .zone("victim.shop.")
        .server("ns1.dns.port.")
        .at("9.8.0.1")
        .records(&["www.victim.shop. A 192.0.2.1", "mail.victim.shop. A 192.0.2.2", "victim.shop. MX 10 mail.victim.shop."])
        .records(&["r.victim.shop. A 192.0.2.9", "al.victim.shop. CNAME www.victim.shop."])
        .record("victim.shop. NS ns1.dns.port.")
        .record("victim.shop. NS ns2.dns.port.")
}

const HONEST: [&str; 5] = ["www.victim.shop. A", "mail.victim.shop. A", "victim.shop. MX", "r.victim.shop. A", "al.victim.shop. A"];

fn hostile() -> Vec<Hostile> {
    let mut all = Vec::new();
    for steps in 1..=9 {
        let world = Box::new(move |seed| ladder(victim(seed), steps, "r.victim.shop."));
        let questions = vec!["x#.z1.evil.example. A".to_owned()];
        all.push(Hostile { title: "a ladder of delegations", world, questions, honest: HONEST.to_vec() });
    }
    all.push(Hostile {
        title: "ladders of every length at once",
        world: Box::new(|seed| ladder(victim(seed), 9, "r.victim.shop.")),
        questions: (1..=9).map(|step| format!("x#.z{step}.evil.example. A")).collect(),
        honest: HONEST.to_vec(),
    });
    all.push(Hostile {
        title: "name servers that are names of the victim",
        world: Box::new(|seed| {
            let world = ladder(victim(seed), 6, "n1.victim.shop.");
            (2..30).fold(world, |world, n| world.record(&format!("z6.evil.example. NS n{n}.victim.shop.")))
        }),
        questions: vec!["x#.z6.evil.example. A".into(), "x#.z1.evil.example. A".into()],
        honest: HONEST.to_vec(),
    });
    all.push(Hostile {
        title: "a chain of aliases that ends at the victim",
        world: Box::new(|seed| {
            let mut world = victim(seed).zone("evil.example.").server("ns1.evil.example.").manner(|manner| manner.one_link = true);
            for n in 0..12 {
                let next = if n == 11 { "www.victim.shop.".to_owned() } else { format!("c{}.evil.example.", n + 1) };
                world = world.record(&format!("c{n}.evil.example. CNAME {next}"));
                world = world.record(&format!("w{n}.evil.example. NS n{n}.victim.shop."));
            }
            world.record("*.w.evil.example. CNAME c0.evil.example.")
        }),
        questions: vec![
            "x#.w.evil.example. A".into(),
            "c0.evil.example. A".into(),
            "c3.evil.example. A".into(),
            "x#.w3.evil.example. A".into(),
        ],
        honest: HONEST.to_vec(),
    });
    all.push(Hostile {
        title: "the victim's servers are named below names that lead nowhere",
        world: Box::new(|seed| {
            let world = ladder(victim(seed), 8, "ns2.dns.port.");
            world.zone("evil.example.").record("z8.evil.example. NS www.victim.shop.").record("z8.evil.example. NS q.far.shop.")
        }),
        questions: vec!["x#.z1.evil.example. A".into(), "x#.z2.evil.example. AAAA".into(), "x#.z3.evil.example. MX".into()],
        honest: vec!["www.victim.shop. A", "ns1.dns.port. A", "ns2.dns.port. A", "ns.far.shop. A", "dns.port. SOA"],
    });
    all
}

/// Whatever was asked before, each honest question gets what a cold cache would have given, at no more than its price.
#[test]
fn after_any_hostile_question_honest_ones_are_answered() {
    if !is_cairn() {
        return;
    }
    let mut wrong = Vec::new();
    for Hostile { title, world, questions, honest } in hostile() {
        for wait_ms in [0, 5_500] {
            for rounds in [1, 4] {
                let mut world_after = world(60);
                for round in 0..rounds {
                    for question in &questions {
                        world_after.ask(&question.replace('#', &round.to_string()));
                    }
                    world_after.wait_ms(wait_ms);
                }
                for question in &honest {
                    world_after.forget();
                    let after = world_after.ask(question);
                    let after_cost = world_after.log().len();
                    let mut cold = world(60);
                    let expected = cold.ask(question);
                    assert_eq!(expected.rcode(), Rcode::NOERROR, "{title}: {question}: {expected:?}");
                    let same = after.rcode() == expected.rcode() && after.data() == expected.data();
                    if !same || after_cost > cold.log().len() || after.took > expected.took {
                        wrong.push(format!(
                            "{title}, {rounds} times, {wait_ms} ms: {question}: {after:?}, {after_cost} queries; cold {expected:?}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

/// The same hostile question again is told the failure of a moment ago (RFC 9520 3.1).
#[test]
fn a_question_that_failed_for_its_own_limits_is_not_worked_at_each_time() {
    if !is_cairn() {
        return;
    }
    for steps in [8, 9, 12] {
        let mut world = ladder(victim(61), steps, "r.victim.shop.");
        let mut costs = Vec::new();
        for _ in 0..10 {
            world.forget();
            assert_eq!(world.ask("www.z1.evil.example. A").rcode(), Rcode::SERVFAIL);
            costs.push(world.log().len());
            world.wait_ms(100);
        }
        assert_eq!(costs[1..].iter().sum::<usize>(), 0, "{steps} steps: {costs:?}");
    }
}

/// Several ladders whose last steps meet at the same look-up, each too deep to make it itself; then a question that has
/// the means. Those who wait in front of it take over one after another, and fail one after another.
#[test]
fn walks_without_means_are_not_waited_for_again_and_again() {
    if !is_cairn() {
        return;
    }
    let mut wrong = Vec::new();
    let mut failed = 0;
    for (steps, ladders) in (6..=8).flat_map(|steps| [1, 4, 12].map(|ladders| (steps, ladders))) {
        for late_ms in [45, 60, 90] {
            let mut world = victim(62).zone("port.").server("ns.port.").delay(100);
            world = world.zone("solo.shop.").server("ns1.dns.port.").serves();
            world = world.records(&["www.solo.shop. A 192.0.2.1", "mail.solo.shop. A 192.0.2.2"]);
            world = world.zone("slow.example.").server("ns1.slow.example.").delay(late_ms);
            world = world.record("w.slow.example. CNAME www.solo.shop.").manner(|manner| manner.one_link = true);
            world = world.zone("evil.example.").server("ns1.evil.example.");
            for (ladder, step) in (0..ladders).flat_map(|ladder| (1..=steps).map(move |step| (ladder, step))) {
                let server = if step == steps { "ns1.dns.port.".to_owned() } else { format!("ns.s{}.l{ladder}.evil.example.", step + 1) };
                world = world.record(&format!("s{step}.l{ladder}.evil.example. NS {server}"));
            }
            world.ask("slow.example. TXT");
            world.ask("evil.example. TXT");
            world.forget();
            let mut questions: Vec<String> = (0..ladders).map(|ladder| format!("x.s1.l{ladder}.evil.example. A")).collect();
            questions.push("w.slow.example. A".into());
            let answers = world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
            failed += answers[..ladders].iter().filter(|answer| answer.rcode() == Rcode::SERVFAIL).count();
            let again = world.ask("mail.solo.shop. A");
            if !answers[ladders].is("192.0.2.1") || !again.is("192.0.2.2") {
                wrong.push(format!("{ladders} of {steps} steps, {late_ms} ms: {:?}, then {again:?}", answers[ladders]));
            }
        }
    }
    assert!(failed > 0, "nobody ran out of means");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

/// A host of many zones, one of which its owner has signed wrongly. Servers whose reply did not validate are not asked
/// again for that name; the addresses of further servers are still asked of them, and so are the names of all others.
#[test]
fn servers_of_a_bogus_zone_are_still_asked_for_addresses() {
    if !is_cairn() {
        return;
    }
    let mut wrong = Vec::new();
    for seed in 0..24 {
        let mut world = World::new(seed)
            .anchored()
            .zone("example.")
            .signed()
            .server("ns.example.")
            .zone("host.shop.")
            .server("ns1.host.shop.")
            .at("9.8.0.1")
            .records(&["ns1.host.shop. A 9.8.0.1", "ns2.host.shop. A 9.8.0.2", "ns3.host.shop. A 9.8.0.3"])
            .record("host.shop. NS ns1.host.shop.")
            .zone("evil.example.")
            .signed()
            .server("ns1.host.shop.")
            .serves()
            .records(&["evil.example. NS ns1.host.shop.", "evil.example. NS ns3.host.shop.", "www.evil.example. A 192.0.2.66"])
            .manner(|manner| manner.forges = true)
            .zone("evil2.example.")
            .signed()
            .serves()
            .records(&["evil2.example. NS ns1.host.shop.", "evil2.example. NS ns2.host.shop.", "www.evil2.example. A 192.0.2.67"])
            .zone("victim.port.")
            .server("ns3.host.shop.")
            .at("9.8.0.3")
            .records(&["victim.port. NS ns3.host.shop.", "www.victim.port. A 192.0.2.1"]);
        for zone in ["evil", "evil2"] {
            world.ask(&format!("www.{zone}.example. A"));
        }
        let honest = world.ask("www.victim.port. A");
        if !honest.is("192.0.2.1") {
            wrong.push(format!("{seed}: {honest:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A forged denial that did not validate is kept for a while, so that it is not asked for each time. It is no knowledge about
/// the name: whoever needs the address to ask another zone looks for it.
#[test]
fn bogus_denials_of_server_addresses_are_not_believed() {
    if !is_cairn() {
        return;
    }
    let world = |is_forging: Rc<Cell<bool>>| {
        World::new(64)
            .anchored()
            .zone("example.")
            .signed()
            .server("ns.example.")
            .zone("host.example.")
            .signed()
            .server("ns1.host.example.")
            .rewrites(move |reply| {
                let is_address = reply.question.as_ref().is_some_and(|asked| asked.name == name("ns3.host.example."));
                if is_address && is_forging.get() {
                    (reply.rcode, reply.answer, reply.authority) = (Rcode::NXDOMAIN, Vec::new(), Vec::new());
                }
            })
            .record("ns3.host.example. A 9.8.0.3")
            .zone("victim.port.")
            .server("ns3.host.example.")
            .at("9.8.0.3")
            .records(&["victim.port. NS ns3.host.example.", "www.victim.port. A 192.0.2.1"])
    };
    assert!(world(Rc::default()).ask("www.victim.port. A").is("192.0.2.1"));
    for types in [["A", "AAAA"], ["AAAA", "A"]] {
        for wait_ms in [0, 6_000, 20_000] {
            let is_forging = Rc::new(Cell::new(true));
            let mut world = world(is_forging.clone());
            for rtype in types {
                assert_eq!(world.ask(&format!("ns3.host.example. {rtype}")).rcode(), Rcode::SERVFAIL);
            }
            is_forging.set(false);
            world.wait_ms(wait_ms);
            let honest = world.ask("www.victim.port. A");
            assert!(honest.is("192.0.2.1"), "{types:?}, {wait_ms} ms later: {honest:?}");
        }
    }
}

/// A client gives up before a slow walk ends. Whoever needs the same address a moment later looks for it himself.
#[test]
fn a_client_that_gave_up_says_nothing_about_a_servers_address() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(65)
        .zone("shop.")
        .server("ns.shop.")
        .delay(620)
        .zone("far.shop.")
        .server("ns.far.shop.")
        .delay(620)
        .zone("very.far.shop.")
        .server("ns.very.far.shop.")
        .delay(620)
        .zone("host.very.far.shop.")
        .server("ns1.host.very.far.shop.")
        .delay(620)
        .record("ns3.host.very.far.shop. A 9.8.0.3")
        .zone("victim.port.")
        .server("ns3.host.very.far.shop.")
        .at("9.8.0.3")
        .records(&["victim.port. NS ns3.host.very.far.shop.", "www.victim.port. A 192.0.2.1"]);
    for given_up in world.ask_all(&["ns3.host.very.far.shop. A", "ns3.host.very.far.shop. AAAA"]) {
        assert_eq!((given_up.rcode(), given_up.took.as_secs()), (Rcode::SERVFAIL, 4), "{given_up:?}");
    }
    assert!(world.walks_in_progress() > 0);
    for server in ["ns.shop.", "ns.far.shop.", "ns.very.far.shop.", "ns1.host.very.far.shop."] {
        world.change(|plan, _| plan.server(&name(server)).link.delay = std::time::Duration::from_millis(5));
    }
    let honest = world.ask("www.victim.port. A");
    assert!(honest.is("192.0.2.1"), "{honest:?}");
}
