//! Error reports to the agents that zones name (RFC 9567): they are made, and they are few.

use std::collections::HashSet;

use cairn::record::{Name, Rcode, Rtype};

use super::sim::World;
use super::sim::engine::is_cairn;

const REPORT_CHANNEL: u16 = 18;

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

/// `agent.example.`, and zones whose servers fail for every name and call that zone's owner their agent.
fn world(failing: &[&str]) -> World {
    let world = World::new(140).zone("example.").zone("agent.example.").server("ns.agent.example.").serves();
    failing.iter().fold(world, |world, zone| {
        world.zone(zone).server(&format!("ns.{zone}")).serves().fails(Rcode::SERVFAIL).rewrites(|reply| {
            let agent = name("agent.example.").as_wire().to_vec();
            reply.edns.iter_mut().for_each(|edns| edns.options.push((REPORT_CHANNEL, agent.clone())));
        })
    })
}

/// The reports that have reached the agent's server, and that server's queries in all.
fn reports(world: &World, about: &str) -> (usize, usize) {
    let queries = world.queries_to("ns.agent.example.");
    let about = format!(".{about}").to_lowercase();
    let whole = |name: &Name| name.to_string().to_lowercase();
    let reports: HashSet<String> = queries
        .iter()
        .filter(|seen| seen.rtype() == Rtype::TXT)
        .map(|seen| whole(&seen.name()))
        .filter(|name| name.starts_with("_er."))
        .collect();
    (reports.iter().filter(|report| report.contains(&about)).count(), queries.len())
}

/// Once for each reason: the servers fail, and then the failure is remembered.
#[test]
fn a_failure_is_reported_once() {
    if !is_cairn() {
        return;
    }
    let mut world = world(&["broken.example."]);
    let mut counts = Vec::new();
    for _ in 0..6 {
        assert_eq!(world.ask("www.broken.example. A").rcode(), Rcode::SERVFAIL);
        world.wait_ms(10_000);
        counts.push(reports(&world, "broken.example.").0);
    }
    assert!(counts[5] >= 1 && counts[2..].iter().all(|count| *count == counts[2] && *count <= 2), "{counts:?}");
    // Nor again when what the agent's server said has expired.
    let sent = reports(&world, "").1;
    for _ in 0..3 {
        world.pass(1_000);
        assert_eq!(world.ask("www.broken.example. A").rcode(), Rcode::SERVFAIL);
        world.wait_ms(10_000);
    }
    assert_eq!(reports(&world, "").1, sent, "queries to the agent's server");
}

/// Whoever has names fail without end cannot make this resolver flood the agent that the names' zone has called.
#[test]
fn endless_failing_names_cause_few_reports() {
    if !is_cairn() {
        return;
    }
    let zones = ["one.example.", "two.example.", "three.example."];
    let mut world = few_reports(&zones);
    ask_for_failing_names(&mut world, &zones, 0);
    let all = |world: &World| zones.map(|zone| reports(world, zone).0);
    let minute = all(&world);
    assert!(minute.iter().all(|count| *count <= 5) && minute.iter().sum::<usize>() == 8, "{minute:?}");
    assert!(reports(&world, "").1 <= 8 * 6, "queries for 8 reports: {}", reports(&world, "").1);
    // The next minute has its own.
    world.pass(60);
    ask_for_failing_names(&mut world, &zones, 100);
    assert_eq!(all(&world).iter().sum::<usize>(), 16, "{:?}", all(&world));
}

/// One zone does not use up what its agent may hear about other zones.
#[test]
fn one_zone_alone_causes_fewer_reports_than_its_agent_may_get() {
    if !is_cairn() {
        return;
    }
    let zone = "one.example.";
    let mut world = few_reports(&[zone]);
    ask_for_failing_names(&mut world, &[zone], 0);
    assert_eq!(reports(&world, zone).0, 5);
    // The next minute has its own.
    world.pass(60);
    ask_for_failing_names(&mut world, &[zone], 100);
    assert_eq!(reports(&world, zone).0, 10);
}

/// The zones' agent gets at most 8 reports in a minute, and at most 5 of them about one zone.
fn few_reports(zones: &[&str]) -> World {
    world(zones).limit(|limits| {
        limits.error_reports_per_minute = 30;
        limits.error_reports_per_agent = 8;
        limits.error_reports_per_zone = 5;
    })
}

fn ask_for_failing_names(world: &mut World, zones: &[&str], first: usize) {
    for number in first..first + 40 {
        for zone in zones {
            world.ask(&format!("x{number}.{zone} A"));
        }
    }
    world.wait_ms(1_000);
}
