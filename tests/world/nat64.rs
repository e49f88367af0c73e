//! A machine with IPv6 alone: servers that have only IPv4 are reached through the network's translator (NAT64, RFC 6052), and
//! where there is none the failure says so.

use cairn::answer::{Explain, Explained};
use cairn::config::Settings;
use cairn::record::{EdeCode, Question, Rcode, Rtype};

use super::sim::engine::is_cairn;
use super::sim::internet::Tcp;
use super::sim::world::{World, name};

const WELL_KNOWN: &str = "64:ff9b::/96";

/// The root and its TLD have both families, `old.example.` has IPv4 alone, `new.example.` IPv6 alone. The settings are those
/// of a fresh installation: which families work is not configured.
fn world(seed: u64, ipv4: bool, ipv6: bool) -> World {
    World::new(seed)
        .all_dual_stack()
        .zone("example.")
        .record("www.example. 300 A 192.0.2.1")
        .zone("old.example.")
        .records(&["www.old.example. 300 A 192.0.2.2", "big.old.example. 300 A 192.0.2.3"])
        .server("ns1.old.example.")
        .at("198.51.100.44")
        .zone("new.example.")
        .record("www.new.example. 300 A 192.0.2.4")
        .server("ns1.new.example.")
        .ipv6_only()
        .families(ipv4, ipv6)
        .tune(|settings| (settings.recursion.ipv4, settings.recursion.ipv6) = (None, None))
}

fn nat64(settings: &mut Settings) {
    settings.server.nat64_prefix = Some(WELL_KNOWN.parse().expect("a prefix"));
}

fn explained(world: &mut World, owner: &str) -> (Explained, String) {
    let explained = world.explain_as(&Explain::new(Question::new(name(owner), Rtype::A), None));
    let lines: Vec<String> = cairn::explain::lines(&explained).into_iter().filter_map(|line| line.line).collect();
    (explained, lines.join("\n"))
}

#[test]
fn servers_with_ipv4_alone_are_reached_through_the_translator() {
    if !is_cairn() {
        return;
    }
    let mut world = world(940, false, true).translator(WELL_KNOWN).tune(nat64);
    let answer = world.ask_true("www.old.example. A");
    assert!(answer.is("192.0.2.2"), "{answer:?}");
    let sent: Vec<_> = world.log().into_iter().filter(|seen| seen.name() == name("www.old.example.")).collect();
    assert!(!sent.is_empty() && sent.iter().all(|seen| seen.to.is_ipv6()), "no packet leaves by IPv4: {:?}", sent[0].to);
    world.ask_true("www.new.example. A");
    world.pass(1_000);
    let (_, text) = explained(&mut world, "www.old.example.");
    assert!(text.contains("fastest of") || text.contains("the only one left"), "its time is known by its own address: {text}");
    assert!(text.contains("through the network's translator (NAT64) at 64:ff9b::"), "{text}");
}

#[test]
fn over_tcp_too() {
    if !is_cairn() {
        return;
    }
    let mut world = world(941, false, true).translator(WELL_KNOWN).tune(nat64).server("ns1.old.example.").truncates();
    world.ask_true("big.old.example. A");
    let by_tcp: Vec<_> = world.log().into_iter().filter(|seen| seen.tcp).collect();
    assert!(!by_tcp.is_empty() && by_tcp.iter().all(|seen| seen.to.is_ipv6()), "{} connections", by_tcp.len());
    let mut closed =
        self::world(942, false, true).translator(WELL_KNOWN).tune(nat64).server("ns1.old.example.").truncates().tcp(Tcp::Closed);
    assert_eq!(closed.ask("big.old.example. A").rcode(), Rcode::SERVFAIL);
}

/// Where IPv4 has a route it is used, whatever the key says; where it is turned off, the translator is the only way.
#[test]
fn the_translator_takes_the_place_of_ipv4_and_not_more() {
    if !is_cairn() {
        return;
    }
    let mut both = world(943, true, true).translator(WELL_KNOWN).tune(nat64);
    both.ask_true("www.old.example. A");
    let translated = |world: &World| world.log().iter().filter(|seen| seen.to.to_string().starts_with("[64:ff9b:")).count();
    assert_eq!(translated(&both), 0);
    both.set_families(false, true);
    both.network_changed();
    both.ask_true("big.old.example. A");
    assert!(translated(&both) > 0, "IPv4 has gone");
    let mut off = world(944, true, true).translator(WELL_KNOWN).tune(nat64).tune(|settings| settings.recursion.ipv4 = Some(false));
    off.ask_true("www.old.example. A");
    assert!(off.log().iter().all(|seen| seen.to.is_ipv6()), "`ipv4 = false`");
    let mut without_ipv6 = world(945, true, false).translator(WELL_KNOWN).tune(nat64);
    without_ipv6.ask_true("www.old.example. A");
    assert_eq!(translated(&without_ipv6), 0);
}

/// RFC 6052 3.1: the well-known prefix stands for no private address. With a prefix of its own a network may reach them.
#[test]
fn forwarders_in_the_private_network_need_a_prefix_of_the_network() {
    if !is_cairn() {
        return;
    }
    for (prefix, is_reached) in [(WELL_KNOWN, false), ("2001:db8:64::/96", true)] {
        let world = world(946, false, true).translator(prefix).server("office.").at("10.0.0.53").serves();
        let mut world = world.tune(move |settings| {
            settings.server.nat64_prefix = Some(prefix.parse().expect("a prefix"));
            let text = "[[stub]]\nzone = 'old.example'\nto = ['10.0.0.53']\n";
            settings.stubs = Settings::from_toml(text, "cairn.toml").expect("valid").stubs;
        });
        world.ask_true("www.example. A");
        let sent = |world: &World| world.log().iter().filter(|seen| seen.to.to_string() == "[2001:db8:64::a00:35]:53").count();
        let _ = world.ask("www.old.example. A");
        assert_eq!(sent(&world) > 0, is_reached, "{prefix}");
    }
}

/// An address behind the prefix is the IPv4 address that it stands for, also where a zone names it: this machine is not
/// asked by way of the translator.
#[test]
fn a_zone_cannot_lead_to_loopback_through_the_translator() {
    if !is_cairn() {
        return;
    }
    let world = world(947, false, true).translator(WELL_KNOWN).tune(nat64).zone("trap.example.").record("www.trap.example. A 192.0.2.9");
    let mut world = world.server("ns1.trap.example.").at("64:ff9b::7f00:1");
    assert_eq!(world.ask("www.trap.example. A").rcode(), Rcode::SERVFAIL);
    assert!(!world.log().iter().any(|seen| seen.to.to_string().starts_with("[64:ff9b::7f00:1]")), "127.0.0.1 is not asked");
}

#[test]
fn without_a_translator_the_failure_names_the_reason() {
    if !is_cairn() {
        return;
    }
    for (ipv4, ipv6, zone, reason, advice) in [
        (
            false,
            true,
            "old.example.",
            "the servers of old.example. have only IPv4 addresses, and this machine has no IPv4: set server.nat64-prefix",
            "write its prefix below [server]: nat64-prefix = \"64:ff9b::/96\"",
        ),
        (
            true,
            false,
            "new.example.",
            "the servers of new.example. have only IPv6 addresses, and this machine has no IPv6",
            "this machine has no route for IPv6: give it an IPv6 address and route",
        ),
    ] {
        let mut world = self::world(948, ipv4, ipv6);
        let (explained, text) = explained(&mut world, &format!("www.{zone}"));
        let ede = explained.outcome.edes.first().expect("an EDE");
        assert_eq!((ede.code, ede.text.as_str()), (EdeCode::NO_REACHABLE_AUTHORITY, reason), "{text}");
        assert!(text.contains(advice), "{text}");
        let answer = world.ask(&format!("mail.{zone} A"));
        assert_eq!((answer.rcode(), answer.packet.errors()), (Rcode::SERVFAIL, vec![22]), "{answer:?}");
        world.ask_true("www.example. A");
        // Both families: nothing of this is said of servers that are down.
        let mut down = self::world(949, true, true).server("ns1.old.example.").dead();
        let (_, text) = self::explained(&mut down, "www.old.example.");
        assert!(text.contains("the zone's servers are down"), "{text}");
    }
    let mut off = world(950, true, true).tune(|settings| settings.recursion.ipv4 = Some(false));
    let (_, text) = explained(&mut off, "www.old.example.");
    assert!(text.contains("have only IPv4 addresses, and this machine does not use IPv4 (recursion.ipv4)"), "{text}");
    assert!(text.contains("remove `ipv4 = false`"), "{text}");
}

/// A machine that gets a route for IPv4 finds the zone at once.
#[test]
fn the_failure_passes_with_its_reason() {
    if !is_cairn() {
        return;
    }
    let mut world = world(951, false, true);
    assert_eq!(world.ask("www.old.example. A").rcode(), Rcode::SERVFAIL);
    world.set_families(true, true);
    world.network_changed();
    world.ask_true("big.old.example. A");
}

/// RFC 7050: the network's own resolver tells the prefix, when it is needed and not before.
#[test]
fn the_prefix_is_found_out() {
    if !is_cairn() {
        return;
    }
    let near = |ipv4: bool, has_dns64: bool| {
        let world = world(952, ipv4, true).translator("2001:db8:64::/96").zone("ipv4only.arpa.");
        let world = world.record("ipv4only.arpa. 300 A 192.0.0.170");
        let world = if has_dns64 {
            world.records(&["ipv4only.arpa. 300 AAAA 2001:db8:64::c000:aa", "ipv4only.arpa. 300 AAAA 2001:db8:64::c000:ab"])
        } else {
            world
        };
        let world = world.server("resolver.network.").at("2001:db8::53").serves();
        world.tune(|settings| settings.recursion.system_resolvers = vec!["[2001:db8::53]:53".parse().expect("an address")])
    };
    let looked = |world: &World| world.log().iter().filter(|seen| seen.name() == name("ipv4only.arpa.")).count();
    let mut world = near(false, true);
    world.ask_true("www.example. A");
    assert_eq!(looked(&world), 0, "nothing needs it");
    world.ask_true("www.old.example. A");
    world.ask_true("big.old.example. A");
    assert_eq!(looked(&world), 1);
    assert!(explained(&mut world, "x.old.example.").1.contains("(NAT64) at 2001:db8:64::"));
    // In another network there may be another translator, or none.
    world.network_changed();
    world.ask_true("y.old.example. A");
    assert_eq!(looked(&world), 2);

    let mut without = near(false, false);
    for host in ["www", "mail", "big"] {
        assert_eq!(without.ask(&format!("{host}.old.example. A")).rcode(), Rcode::SERVFAIL);
    }
    assert_eq!(looked(&without), 1, "asked once in a while");
    let mut both = near(true, true);
    both.ask_true("www.old.example. A");
    assert_eq!(looked(&both), 0, "a machine with IPv4");
}
