//! Forward rules with servers that are asked over TLS: nothing goes out in clear text, whatever happens to them.

use std::time::Duration;

use cairn::answer::Explain;
use cairn::config::Settings;
use cairn::record::{Question, Rcode, Rtype};
use cairn::resolve::Step;

use super::sim::engine::is_cairn;
use super::sim::internet::{Seen, Tcp};
use super::sim::world::{World, name};

const V4: &str = "198.51.100.53";
const V6: &str = "2001:db8:53::53";
const OTHER: &str = "198.51.100.54";

/// `example.` below the root, and two recursive servers, `f0.forwarders.` with two addresses, and `f1.forwarders.`
fn world(seed: u64, rules: &str) -> World {
    let world = World::new(seed).zone(".").zone("example.").records(&["www.example. 300 A 192.0.2.1"]);
    for (server, addresses) in [("f0.forwarders.", &[V4, V6][..]), ("f1.forwarders.", &[OTHER])] {
        let mut plan = world.plan();
        let server = plan.server(&name(server));
        for address in addresses {
            match address.parse().expect("an address") {
                std::net::IpAddr::V4(v4) => server.ipv4.push(v4),
                std::net::IpAddr::V6(v6) => server.ipv6.push(v6),
            }
        }
        server.manner.recurses = true;
    }
    let forwards = Settings::from_toml(rules, "c.toml").expect(rules).forwards;
    world.tune(move |settings: &mut Settings| settings.forwards.clone_from(&forwards))
}

fn to(servers: &str) -> String {
    format!("[[forward]]\nzone = '.'\nto = [{servers}]\n")
}

fn is_encrypted(seen: &Seen) -> bool {
    seen.tcp && seen.to.port() == 853
}

/// Everything that has left, but for what a kernel does to connect.
fn assert_all_encrypted(world: &World) {
    for seen in world.log() {
        assert!(is_encrypted(&seen), "{seen}");
    }
}

fn edes(world: &mut World, question: &str) -> String {
    let explained = world.explain_as(&Explain::new(Question::new(name(question), Rtype::A), None));
    explained.outcome.edes.iter().map(|ede| ede.text.clone()).collect()
}

#[test]
fn queries_go_over_tls_alone() {
    if !is_cairn() {
        return;
    }
    let mut world = world(960, &to(&format!("'tls://dns.example#{V4}'")));
    assert!(world.ask("www.example. A").is("192.0.2.1"));
    assert_eq!(world.ask("none.example. A").rcode(), Rcode::NXDOMAIN);
    assert_eq!(world.ask("www.example. AAAA").rcode(), Rcode::NOERROR);
    assert_all_encrypted(&world);
    assert_eq!(world.log().len(), 3, "a denial over TLS needs no second opinion");
}

#[test]
fn an_explanation_shows_the_connection() {
    if !is_cairn() {
        return;
    }
    let mut world = world(961, &to(&format!("'tls://dns.example#{V4}'")));
    for (question, is_first) in [("www.example. A", true), ("other.example. A", false)] {
        let steps = world.explain(question);
        let asked = steps.iter().find_map(|step| if let Step::Asked(asked) = step { asked.url.clone() } else { None });
        assert_eq!(asked.as_deref(), Some("tls://dns.example"));
        let secure = steps.iter().find_map(|step| if let Step::Reply { secure, .. } = step { secure.clone() } else { None });
        let secure = secure.expect("a connection");
        assert_eq!((secure.is_first, secure.server.host().as_str(), secure.opened.tls.version), (is_first, "dns.example", "TLS 1.3"));
    }
}

#[test]
fn a_server_that_is_not_the_one_is_not_asked() {
    if !is_cairn() {
        return;
    }
    let rule = to(&format!("'tls://dns.expired#{V4},{V6}'"));
    let mut world = self::world(962, &rule);
    let answer = world.ask("www.example. A");
    assert_eq!((answer.rcode(), answer.packet.errors()), (Rcode::SERVFAIL, vec![22]), "{answer:?}");
    assert_eq!(world.log().len(), 0);
    let text = edes(&mut world, "mail.example.");
    assert!(text.contains(&format!("{V4} was not asked as dns.expired: the certificate has expired")), "{text}");
    // Only the operator decides that others may be asked.
    let mut falls_back = self::world(962, &format!("{rule}fallback = true\n"));
    assert!(falls_back.ask("www.example. A").is("192.0.2.1"));
}

/// A server that is not the right one, or ends each connection, is there all the same: questions do not wait for the network to come
/// back, and are told what is wrong.
#[test]
fn a_failing_handshake_is_not_a_network_that_is_away() {
    if !is_cairn() {
        return;
    }
    let mut untrusted = self::world(969, &to(&format!("'tls://dns.expired#{V4}'")));
    for round in 0..4 {
        let answer = untrusted.ask(&format!("n{round}.example. A"));
        assert_eq!((answer.rcode(), answer.packet.errors()), (Rcode::SERVFAIL, vec![22]), "{round}: {answer:?}");
        assert!(answer.took < Duration::from_millis(200), "{round}: {answer:?}");
        untrusted.pass(2);
    }
    let text = edes(&mut untrusted, "late.example.");
    assert!(text.contains("the certificate has expired"), "{text}");
    let steps = untrusted.explain("later.example. A");
    assert!(!steps.iter().any(|step| matches!(step, Step::Offline { .. })), "{steps:?}");
}

#[test]
fn the_next_server_is_asked_where_one_fails() {
    if !is_cairn() {
        return;
    }
    let two = to(&format!("'tls://dns.example#{V4}', 'tls://other.example#{OTHER}'"));
    let mut untrusted = self::world(963, &two.replace("dns.example", "dns.expired"));
    assert!(untrusted.ask("www.example. A").is("192.0.2.1"));
    assert_all_encrypted(&untrusted);
    for (what, change) in [
        ("refused", (|world| world.server("f0.forwarders.").link(|link| link.tcp = Tcp::Closed)) as fn(World) -> World),
        ("filtered", |world| world.server("f0.forwarders.").link(|link| link.tcp = Tcp::Filtered)),
        ("silent", |world| world.server("f0.forwarders.").dead()),
        ("broken", |world| world.server("f0.forwarders.").fails(Rcode::SERVFAIL)),
    ] {
        let mut world = change(self::world(964, &two));
        let answer = world.ask("www.example. A");
        assert!(answer.is("192.0.2.1"), "{what}: {answer:?}");
        assert!(answer.took < Duration::from_millis(1_500), "{what}: {answer:?}");
        assert_all_encrypted(&world);
    }
}

/// RFC 8305: an address family that is a black hole costs a quarter of a second.
#[test]
fn addresses_of_both_families_are_raced() {
    if !is_cairn() {
        return;
    }
    let mut world = world(965, &to(&format!("'tls://dns.example#{V6},{V4}'")));
    world = world.families(true, true);
    {
        let mut plan = world.plan();
        let server = plan.server(&name("f0.forwarders."));
        server.ipv6.clear();
    }
    let answer = world.ask("www.example. A");
    assert!(answer.is("192.0.2.1") && answer.took < Duration::from_millis(600), "{answer:?}");
    assert_all_encrypted(&world);
}

#[test]
fn a_connection_gone_silent_is_left_within_a_second() {
    if !is_cairn() {
        return;
    }
    let mut world = world(966, &to(&format!("'tls://dns.example#{V4}', 'tls://other.example#{OTHER}'")));
    assert!(world.ask("www.example. A").is("192.0.2.1"));
    world = world.server("f0.forwarders.").dead();
    let answer = world.ask("other.example. A");
    assert_eq!(answer.rcode(), Rcode::NXDOMAIN, "{answer:?}");
    assert!(answer.took < Duration::from_millis(1_500), "{answer:?}");
    assert_all_encrypted(&world);
}

/// The name of the server is looked up by another rule, or by the walk; then the server itself is asked at its own port.
#[test]
fn a_server_without_address_is_looked_up() {
    if !is_cairn() {
        return;
    }
    let rule = "[[forward]]\nzone = 'corp.'\nto = ['tls://dns.example']\n";
    let mut world = self::world(967, rule).zone("example.").records(&[&format!("dns.example. 300 A {V4}")]);
    world = world.zone("corp.").records(&["www.corp. 300 A 192.0.2.3"]);
    assert!(world.ask("www.corp. A").is("192.0.2.3"));
    let corp = name("corp.");
    let about_corp: Vec<Seen> = world.log().into_iter().filter(|seen| seen.name().is_within(&corp)).collect();
    assert!(
        !about_corp.is_empty() && about_corp.iter().all(is_encrypted),
        "{}",
        about_corp.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
}

/// A rule for all names may have a server whose own name it is for, as long as there is another way to that name's address.
#[test]
fn a_server_whose_name_its_own_rule_is_for() {
    if !is_cairn() {
        return;
    }
    let beside = to(&format!("'tls://dns.example', 'tls://other.example#{OTHER}'"));
    let falls_back = format!("{}fallback = true\n", to("'tls://dns.example'"));
    for (seed, rule) in [(969, beside), (970, falls_back)] {
        let mut world = self::world(seed, &rule).zone("example.").records(&[&format!("dns.example. 300 A {V4}")]);
        assert!(world.ask("www.example. A").is("192.0.2.1"), "{rule}");
    }
}

/// While no server replies, the probe does not ask in clear text either.
#[test]
fn nothing_leaves_in_clear_text_while_the_network_is_away() {
    if !is_cairn() {
        return;
    }
    let mut world = world(968, &to(&format!("'tls://dns.example#{V4}'"))).server("f0.forwarders.").link(|link| link.tcp = Tcp::Filtered);
    for round in 0..6 {
        assert_eq!(world.ask(&format!("n{round}.example. A")).rcode(), Rcode::SERVFAIL);
    }
    for seen in world.log() {
        assert!(is_encrypted(&seen), "{seen}");
    }
    world = world.server("f0.forwarders.").link(|link| link.tcp = Tcp::Open);
    world.pass(20);
    assert!(world.ask("www.example. A").is("192.0.2.1"));
    assert_all_encrypted(&world);
}
