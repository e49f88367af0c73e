//! One client's question must not spoil another's: names that a hostile question leads to are still found for every
//! other client.

use super::sim::World;
use super::sim::engine::is_cairn;

const BANK: &str = "www.bank.shop. A";

/// Aliases through zones of which each costs a dozen queries; after `links` of them the bank. Its server has to be
/// searched for.
fn spender(links: usize) -> World {
    let mut world = World::new(50).zone("evil.example.").server("ns1.evil.example.");
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
