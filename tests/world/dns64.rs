//! DNS64 (RFC 6147): for the clients of `dns64.clients`, names without IPv6 addresses have those behind the translator.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use cairn::answer::{Explain, Note};
use cairn::config::Settings;
use cairn::record::{Question, Rcode, Rtype, rdata_to_text};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::AD;
use super::sim::signing::Key;
use super::sim::world::{World, name};

/// In the network without IPv4.
const H1: &str = "from=2001:db8::7";
/// Of RFC 6147 7.1: 192.0.2.1 behind the well-known prefix.
const H2: &str = "64:ff9b::c000:201";

fn world(seed: u64, prefix: &'static str) -> World {
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    let world = World::new(seed).zone(".").zone("example.com.").records(&[
        "h2.example.com. 7200 A 192.0.2.1",
        "brief.example.com. 30 A 192.0.2.1",
        "both.example.com. 300 A 192.0.2.1",
        "both.example.com. 300 AAAA 2001:db8::1",
        "mapped.example.com. 300 A 192.0.2.1",
        "mapped.example.com. 300 AAAA ::ffff:192.0.2.9",
        "mixed.example.com. 300 A 192.0.2.1",
        "mixed.example.com. 300 AAAA ::ffff:192.0.2.9",
        "mixed.example.com. 300 AAAA 2001:db8::1",
        "none.example.com. 300 TXT x",
        "alias.example.com. 300 CNAME second.example.com.",
        "second.example.com. 300 CNAME h2.example.com.",
        "private.example.com. 300 A 10.0.0.1",
    ]);
    let world = world.zone("192.in-addr.arpa.").record("1.2.0.192.in-addr.arpa. 300 PTR h2.example.com.");
    let world = world.zone("example.").zone("signed.example.").record("h2.signed.example. 300 A 192.0.2.1");
    let world = world.sign(&[(".", 1), ("example.", 2), ("signed.example.", 3)], WALL_S).trust_anchor(&anchor);
    world.hosts("hosted.example.", "$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.1\nout CNAME h2.example.com.\n").tune(
        move |settings: &mut Settings| {
            settings.server.allow.push("2001:db8::/32".parse().expect("a prefix"));
            settings.dns64.clients = vec!["2001:db8::/32".parse().expect("a prefix")];
            settings.policy.special_use_except = vec![name("2.0.192.in-addr.arpa.")];
            settings.dns64.prefix = prefix.parse().expect("a prefix");
        },
    )
}

#[test]
fn the_clients_get_what_the_translator_forwards_and_nobody_else_does() {
    if !is_cairn() {
        return;
    }
    for others_first in [false, true] {
        let mut world = world(900, "64:ff9b::/96");
        for (owner, for_h1, for_others) in [
            ("h2.example.com.", &[H2][..], &[][..]),
            ("both.example.com.", &["2001:db8::1"], &["2001:db8::1"]),
            ("mapped.example.com.", &[H2], &["::ffff:192.0.2.9"]),
            ("mixed.example.com.", &["2001:db8::1"], &["2001:db8::1", "::ffff:192.0.2.9"]),
            ("none.example.com.", &[], &[]),
            ("alias.example.com.", &[H2], &[]),
            ("private.example.com.", &[], &[]),
            ("h2.signed.example.", &[H2], &[]),
            ("ns.hosted.example.", &[H2], &[]),
            ("out.hosted.example.", &[H2], &[]),
        ] {
            let asks = |client: &str| format!("{owner} AAAA {client}");
            let mut rows = [(asks(H1), for_h1), (asks(""), for_others), (asks(H1), for_h1), (asks(""), for_others)];
            if others_first {
                rows.reverse();
            }
            for (question, expected) in rows {
                let answer = world.ask(&question);
                let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
                assert_eq!((answer.rcode(), answer.data()), (Rcode::NOERROR, expected), "{question}: {answer:?}");
            }
            let a = world.ask(&format!("{owner} A {H1}"));
            assert!(!a.packet.answer.iter().any(|record| record.rtype == Rtype::AAAA), "{a:?}");
        }
        assert_eq!(world.ask(&format!("gone.example.com. AAAA {H1}")).rcode(), Rcode::NXDOMAIN);
        let again = world.ask(&format!("h2.example.com. AAAA {H1}"));
        assert!(again.at_once, "it is kept ready");
        let chain = world.ask(&format!("alias.example.com. AAAA {H1}"));
        assert_eq!(chain.packet.answer.len(), 3, "with its aliases: {chain:?}");
        let without_rd = world.ask(&format!("h2.example.com. AAAA {H1} norec"));
        assert!(without_rd.data().is_empty(), "{without_rd:?}");
    }
}

/// RFC 6147 5.1.7: no longer than the A record, nor than the denial of AAAA.
#[test]
fn a_synthesised_record_lives_as_long_as_both_of_its_sources() {
    if !is_cairn() {
        return;
    }
    let mut world = world(901, "64:ff9b::/96");
    let denial = world.ask("h2.example.com. AAAA").packet.authority.first().map(|soa| soa.ttl);
    assert_eq!(world.ask(&format!("h2.example.com. AAAA {H1}")).ttl(), denial);
    assert_eq!(world.ask(&format!("brief.example.com. AAAA {H1}")).ttl(), Some(30));
    world.pass(20);
    assert_eq!(world.ask(&format!("brief.example.com. AAAA {H1}")).ttl(), Some(10));
    world.pass(11);
    assert!(world.ask(&format!("brief.example.com. AAAA {H1}")).is(H2));
}

/// RFC 6147 5.5.
#[test]
fn a_client_that_validates_gets_what_the_zone_says() {
    if !is_cairn() {
        return;
    }
    let mut world = world(902, "64:ff9b::/96");
    for _ in 0..2 {
        let denial = world.ask(&format!("h2.signed.example. AAAA {H1} DO CD"));
        assert!(denial.data().is_empty() && denial.packet.authority.iter().any(|record| record.rtype == Rtype::NSEC), "{denial:?}");
        for flags in ["", "DO", "AD", "CD"] {
            let made = world.ask(&format!("h2.signed.example. AAAA {H1} {flags}"));
            assert!(made.is(H2) && !made.packet.has(AD) && made.packet.answer.len() == 1, "{flags}: {made:?}");
        }
    }
    assert!(world.ask(&format!("h2.signed.example. A {H1} DO")).packet.has(AD));
    // A denial that does not validate is no denial.
    let mut world = self::world(902, "64:ff9b::/96")
        .server("ns1.signed.example.")
        .rewrites(|packet| packet.authority.retain(|record| !matches!(record.rtype, Rtype::NSEC | Rtype::RRSIG)));
    for flags in ["", "DO"] {
        assert_eq!(world.ask(&format!("h2.signed.example. AAAA {H1} {flags}")).rcode(), Rcode::SERVFAIL);
    }
    assert!(world.ask(&format!("h2.signed.example. AAAA {H1} CD")).data().is_empty());
}

/// RFC 6147 5.1.2: some servers fail for AAAA alone (RFC 4074).
#[test]
fn servers_that_fail_for_aaaa_do_not_matter() {
    if !is_cairn() {
        return;
    }
    let mut world = world(903, "64:ff9b::/96").server("ns1.example.com.").rewrites(|packet| {
        if packet.question.as_ref().is_some_and(|asked| asked.rtype == Rtype::AAAA) {
            packet.rcode = Rcode::SERVFAIL;
            packet.authority.clear();
        }
    });
    assert_eq!(world.ask("h2.example.com. AAAA").rcode(), Rcode::SERVFAIL);
    for _ in 0..2 {
        let answer = world.ask(&format!("h2.example.com. AAAA {H1}"));
        assert!(answer.is(H2) && answer.ttl() == Some(600), "{answer:?}");
    }
    assert_eq!(world.ask("h2.example.com. AAAA").rcode(), Rcode::SERVFAIL, "others still see the failure");
}

/// The look-up of A has what time the one of AAAA has left: a client waits for one answer, not for two.
#[test]
fn both_look_ups_are_within_the_time_of_one_client() {
    if !is_cairn() {
        return;
    }
    for dropped in [Rtype::A, Rtype::AAAA] {
        let world = world(906, "64:ff9b::/96").server("ns1.example.com.").delay(700);
        let mut world = world.manner(move |manner| manner.drops = vec![dropped]);
        let first = world.ask(&format!("h2.example.com. AAAA {H1}"));
        assert!(first.took <= Duration::from_millis(4_500), "{dropped} is lost: {first:?}");
        world.wait_ms(10_000);
        let next = world.ask(&format!("h2.example.com. AAAA {H1}"));
        assert!(next.took <= Duration::from_millis(4_500), "{dropped} is lost: {next:?}");
    }
}

/// RFC 6147 5.3.1, and RFC 6052 2.2 for the prefix.
#[test]
fn the_name_of_a_translated_address_is_an_alias() {
    if !is_cairn() {
        return;
    }
    let reverse = |address: &str| {
        let octets = address.parse::<std::net::Ipv6Addr>().expect(address).octets();
        let nibbles = octets.into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
        format!("{}ip6.arpa.", nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>())
    };
    for (prefix, address) in [("64:ff9b::/96", H2), ("2001:db8:ff00::/40", "2001:db8:ffc0:2:1::")] {
        let mut world = world(904, prefix);
        assert!(world.ask(&format!("h2.example.com. AAAA {H1}")).is(address));
        for _ in 0..2 {
            let answer = world.ask(&format!("{} PTR {H1}", reverse(address)));
            assert!(answer.is("h2.example.com.") && answer.packet.answer.len() == 2, "{answer:?}");
            assert!(world.ask(&format!("{} PTR", reverse(address))).data().is_empty(), "not for others");
        }
    }
    let mut world = world(905, "2001:db8:ff00::/40");
    assert!(world.ask(&format!("private.example.com. AAAA {H1}")).data().is_empty(), "the rebinding guard comes first");
}

#[test]
fn an_explanation_tells_that_it_is_dns64() {
    if !is_cairn() {
        return;
    }
    let mut world = world(906, "64:ff9b::/96");
    let question = Question::new(name("alias.example.com."), Rtype::AAAA);
    let client: SocketAddr = "[2001:db8::7]:4000".parse().expect("an address");
    let explained = world.explain_as(&Explain::new(question.clone(), Some(client.ip())));
    let told: Vec<(String, IpAddr, IpAddr)> = explained
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::Synthesised { name, from, to } => Some((name.to_string(), *from, *to)),
            _ => None,
        })
        .collect();
    let addresses = ["192.0.2.1", H2].map(|address| address.parse().expect("an address"));
    assert_eq!(told, [("h2.example.com.".to_owned(), addresses[0], addresses[1])]);
    let sent = explained.upstream_queries();
    assert!(sent > 0 && sent as usize == world.log().iter().filter(|seen| !seen.tcp).count(), "each query is counted once");
    let others = world.explain_as(&Explain::new(question, None));
    assert!(!others.notes.iter().any(|note| matches!(note, Note::Synthesised { .. })));
}
