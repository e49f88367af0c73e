//! Response policy zones (draft-vixie-dnsop-dns-rpz-00): every trigger with every action, and the order between rules, in one world.

use std::net::SocketAddr;

use cairn::answer::{Explain, Note};
use cairn::config::{RpzPolicy, RpzSettings, SafeSearch, Settings, ViewSettings};
use cairn::record::{Question, Rcode, Rtype, rdata_to_text};

use super::sim::answer::Answer;
use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::{AD, TC};
use super::sim::signing::Key;
use super::sim::world::{World, name};

const SOA: &str = "$TTL 300\n@ SOA localhost. root.localhost. 7 3600 600 86400 60\n@ NS localhost.\n";

/// Zones in order of precedence, each with its rules.
fn world(zones: &[(&str, &str)], tune: impl Fn(&mut [RpzSettings]) + 'static) -> World {
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    let mut world = World::new(18)
        .zone(".")
        .ttl(60)
        .zone("victim.")
        .records(&[
            "www.victim. 300 A 192.0.2.1",
            "www.victim. 300 AAAA 2001:db8::1",
            "www.victim. 300 TXT true",
            "mail.victim. 300 MX 5 www.victim.",
        ])
        .records(&["alias.victim. 300 CNAME www.other.", "long.victim. 300 CNAME alias.victim.", "two.victim. 300 A 192.0.2.9"])
        .records(&["two.victim. 300 A 203.0.113.9", "deep.a.victim. 300 A 192.0.2.7", "mapped.victim. 300 AAAA ::ffff:192.0.2.77"])
        .records(&[r"svc.victim. 300 HTTPS \# 31 00010000040004c00002420006001020010db8000000000000000000000066"])
        .server("ns.victim.")
        .at("198.51.100.53")
        .zone("other.")
        .records(&["www.other. 300 A 203.0.113.1", "x.other. 300 A 203.0.113.2"])
        .server("ns.other.")
        .at("198.51.100.54")
        .zone("garden.")
        .records(&["www.garden. 300 A 10.0.0.7", "*.wild.garden. 300 A 10.0.0.8", "www.garden. 300 TXT weeds"])
        .zone("com.")
        .records(&["www.bing.com. 300 A 203.0.113.70", "strict.bing.com. 300 A 203.0.113.77"])
        .server("ns.com.")
        .at("198.51.100.60")
        .zone("brief.")
        .ttl(60)
        .record("www.brief. 86400 A 192.0.2.3")
        .server("ns.brief.")
        .at("198.51.100.55")
        .zone("signed.")
        .record("www.signed. 300 A 192.0.2.5")
        .sign(&[(".", 1), ("signed.", 2)], WALL_S)
        .trust_anchor(&anchor)
        .hosts("own.", "$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.1\nout CNAME www.victim.\n");
    let mut names = Vec::new();
    for (apex, rules) in zones {
        world = world.hosts(apex, &format!("{SOA}{rules}\n"));
        names.push(name(apex));
    }
    world.tune(move |settings: &mut Settings| {
        settings.rpz = names.iter().map(|zone| RpzSettings { zone: zone.clone(), ..RpzSettings::default() }).collect();
        tune(&mut settings.rpz);
    })
}

fn one(rules: &str) -> World {
    world(&[("rpz.test.", rules)], |_| {})
}

/// In a few words: response code, records, and what else a rule leaves behind.
fn told(answer: &Answer) -> String {
    if answer.packet.has(TC) {
        return "TC".to_owned();
    }
    let mut words = vec![match answer.rcode() {
        Rcode::NOERROR if answer.packet.answer.is_empty() => "NODATA".to_owned(),
        Rcode::NOERROR => String::new(),
        rcode => rcode.to_string(),
    }];
    words.extend(answer.packet.answer.iter().filter(|rr| rr.rtype != Rtype::RRSIG).map(|rr| rdata_to_text(rr.rtype, &rr.rdata)));
    let shows_zone = answer.packet.additional.iter().any(|rr| rr.rtype == Rtype::SOA);
    words.extend(shows_zone.then(|| "+SOA".to_owned()));
    words.extend(answer.packet.errors().iter().map(|code| format!("EDE{code}")));
    words.join(" ").trim().to_owned()
}

const TRUE: &str = "192.0.2.1";

/// Each trigger with each action.
#[test]
fn every_trigger_with_every_action() {
    if !is_cairn() {
        return;
    }
    let triggers = [
        "www.victim",
        "*.victim",
        "*",
        "32.1.0.0.127.rpz-client-ip",
        "8.0.0.0.127.rpz-client-ip",
        "32.1.2.0.192.rpz-ip",
        "24.0.2.0.192.rpz-ip",
        "ns.victim.rpz-nsdname",
        "*.victim.rpz-nsdname",
        "32.53.100.51.198.rpz-nsip",
        "24.0.100.51.198.rpz-nsip",
    ];
    let actions = [
        ("CNAME .", "NXDOMAIN +SOA EDE15"),
        ("CNAME *.", "NODATA +SOA EDE15"),
        ("CNAME rpz-passthru.", TRUE),
        ("CNAME rpz-tcp-only.", "TC"),
        ("A 192.0.2.200", "192.0.2.200 +SOA EDE4"),
        ("AAAA 2001:db8::200", "NODATA +SOA EDE15"),
        ("CNAME www.garden.", "www.garden. 10.0.0.7 +SOA EDE4"),
        ("CNAME *.wild.garden.", "www.victim.wild.garden. 10.0.0.8 +SOA EDE4"),
        ("CNAME rpz-later.", TRUE),
        ("CNAME x.rpz-passthru.", TRUE),
        ("NS ns.other.", TRUE),
    ];
    for trigger in triggers {
        for (action, expected) in actions {
            // A wildcard has no NS.
            if trigger.starts_with('*') && action.starts_with("NS") {
                continue;
            }
            let mut world = one(&format!("{trigger} {action}"));
            // Twice: the second time all is cached.
            for _ in 0..2 {
                assert_eq!(told(&world.ask("www.victim. A")), expected, "{trigger} {action}");
            }
        }
        // DROP: the question waits for its reply in vain.
        let mut world = one(&format!("{trigger} CNAME rpz-drop.")).listening();
        let peer: SocketAddr = "127.0.0.1:4242".parse().expect("an address");
        world.send("www.victim. A", peer);
        world.wait_ms(20_000);
        assert_eq!(world.take_replies().len(), 0, "{trigger} DROP");
        assert_eq!(world.stat("response-policy-rewrites{action=drop}"), 1);
    }
}

const BLOCKED: &str = "NXDOMAIN +SOA EDE15";

/// The alias that safe search makes leads to a name as any other alias does.
#[test]
fn safe_search_is_no_way_around_rules() {
    if !is_cairn() {
        return;
    }
    for (rule, expected) in [
        ("strict.bing.com CNAME .", "NXDOMAIN strict.bing.com. +SOA EDE15"),
        ("32.77.113.0.203.rpz-ip CNAME *.", "strict.bing.com. +SOA EDE15"),
        ("ns.com.rpz-nsdname CNAME www.garden.", "www.garden. 10.0.0.7 +SOA EDE4"),
        ("www.bing.com CNAME .", BLOCKED),
        ("www.bing.com CNAME rpz-passthru.", "strict.bing.com. 203.0.113.77"),
        ("other.bing.com CNAME .", "strict.bing.com. 203.0.113.77"),
    ] {
        let mut world = one(rule).tune(|settings| {
            let clients = vec!["127.0.0.0/8".parse().expect("a prefix")];
            settings.views = vec![ViewSettings {
                name: Some("children".to_owned()),
                clients,
                safe_search: SafeSearch::Strict,
                ..ViewSettings::default()
            }];
        });
        for _ in 0..2 {
            assert_eq!(told(&world.ask("www.bing.com. A")), expected, "{rule}");
        }
    }
}

/// Section 5: which of several rules that match counts. Each rule answers with another address.
#[test]
fn the_order_between_rules() {
    if !is_cairn() {
        return;
    }
    let address = |rule: &str, last: u8| format!("{rule} A 192.0.2.{last}\n");
    for (what, question, zones, expected) in [
        ("zone order before kind", "www.victim. A", [&["32.53.100.51.198.rpz-nsip"][..], &["32.1.0.0.127.rpz-client-ip"]], 101),
        ("client before name", "www.victim. A", [&["www.victim", "32.1.0.0.127.rpz-client-ip"], &[]], 102),
        ("name before address", "www.victim. A", [&["32.1.2.0.192.rpz-ip", "*.victim"], &[]], 102),
        ("address before server", "www.victim. A", [&["ns.victim.rpz-nsdname", "24.0.2.0.192.rpz-ip"], &[]], 102),
        ("server before its address", "www.victim. A", [&["32.53.100.51.198.rpz-nsip", "*.victim.rpz-nsdname"], &[]], 102),
        ("exact name before wildcard", "www.victim. A", [&["*.victim", "www.victim"], &[]], 102),
        ("most labels", "deep.a.victim. A", [&["*.victim", "*.a.victim", "*"], &[]], 102),
        ("a wildcard is for all that is below", "deep.a.victim. A", [&["*.victim", "a.victim"], &[]], 101),
        ("longest prefix", "www.victim. A", [&["24.0.2.0.192.rpz-ip", "32.1.2.0.192.rpz-ip"], &[]], 102),
        ("longest prefix of all addresses", "two.victim. A", [&["8.0.0.0.203.rpz-ip", "32.9.2.0.192.rpz-ip"], &[]], 102),
        ("smallest address", "two.victim. A", [&["32.9.113.0.203.rpz-ip", "32.9.2.0.192.rpz-ip"], &[]], 102),
        ("longest client prefix", "www.victim. A", [&["8.0.0.0.127.rpz-client-ip", "16.0.0.0.127.rpz-client-ip"], &[]], 102),
        ("a name of a later zone waits for an earlier one", "www.victim. A", [&["32.1.2.0.192.rpz-ip"], &["www.victim"]], 101),
        ("and counts where that one has nothing", "www.victim. A", [&["32.2.2.0.192.rpz-ip"], &["www.victim"]], 151),
        ("an alias's own name before its target", "alias.victim. A", [&["www.other"], &["alias.victim"]], 151),
        ("servers of the alias before the target's name", "alias.victim. A", [&["www.other"], &["ns.victim.rpz-nsdname"]], 151),
    ] {
        let rules = |rules: &[&str], first: u8| (first..).zip(rules).map(|(last, rule)| address(rule, last)).collect::<String>();
        let mut world = world(&[("one.test.", &rules(zones[0], 101)), ("two.test.", &rules(zones[1], 151))], |_| {});
        let answer = world.ask(question);
        let last = answer.packet.answer.last().map(|rr| rr.rdata.clone());
        assert_eq!(last, Some(vec![192, 0, 2, expected]), "{what}: {answer:?}");
        assert_eq!(answer.packet.errors(), [4], "{what}");
    }
}

/// What lies before the alias target that a rule is for stays, without signatures.
#[test]
fn alias_targets() {
    if !is_cairn() {
        return;
    }
    for (rules, question, expected) in [
        ("www.other CNAME .", "long.victim. A", "NXDOMAIN alias.victim. www.other. +SOA EDE15"),
        ("www.other CNAME *.", "long.victim. A", "alias.victim. www.other. +SOA EDE15"),
        ("alias.victim CNAME .", "long.victim. A", "NXDOMAIN alias.victim. +SOA EDE15"),
        ("www.other CNAME www.garden.", "long.victim. A", "alias.victim. www.other. www.garden. 10.0.0.7 +SOA EDE4"),
        ("www.other CNAME .", "alias.victim. CNAME", "www.other."),
        ("32.1.113.0.203.rpz-ip CNAME .", "long.victim. A", "NXDOMAIN alias.victim. www.other. +SOA EDE15"),
        ("ns.other.rpz-nsdname CNAME .", "long.victim. A", "NXDOMAIN alias.victim. www.other. +SOA EDE15"),
        // A PASSTHRU rule for an earlier name settles the whole answer.
        ("long.victim CNAME rpz-passthru.\nwww.other CNAME .", "long.victim. A", "alias.victim. www.other. 203.0.113.1"),
        // Rules do not apply to what a rule has made.
        ("www.victim CNAME x.other.\nx.other CNAME .\n24.0.113.0.203.rpz-ip CNAME .", "www.victim. A", "x.other. 203.0.113.2 +SOA EDE4"),
        ("www.victim CNAME www.victim.\n*.victim CNAME .", "www.victim. A", TRUE),
        ("32.1.2.0.192.rpz-ip CNAME 32.1.2.0.192.\n24.0.2.0.192.rpz-ip CNAME .", "www.victim. A", TRUE),
        // The operator's own zones come first, and what they lead to is judged.
        ("*.own CNAME .\nwww.own CNAME .\n32.1.2.0.192.rpz-ip CNAME .", "www.own. A", TRUE),
        ("www.victim CNAME .", "out.own. A", "NXDOMAIN www.victim. +SOA EDE15"),
        // Types: ANY has all local data, others their own or nothing.
        ("www.victim A 192.0.2.201\nwww.victim TXT x", "www.victim. TXT", "\"x\" +SOA EDE4"),
        ("www.victim A 192.0.2.201\nwww.victim TXT x", "www.victim. MX", "NODATA +SOA EDE15"),
        ("www.victim CNAME www.garden.", "www.victim. CNAME", "www.garden. +SOA EDE4"),
        ("www.victim CNAME .", "www.victim. A norec", "REFUSED EDE18"),
    ] {
        let mut world = one(rules);
        for _ in 0..2 {
            assert_eq!(told(&world.ask(question)), expected, "{question} under\n{rules}");
        }
    }
}

/// Section 9.1: what is decided before anything is asked, and what waits.
#[test]
fn queries_that_leave_for_a_blocked_name() {
    if !is_cairn() {
        return;
    }
    for (what, zones, wait, question, is_asked) in [
        ("alone", ["www.victim CNAME .", ""], [false; 2], "www.victim. A", false),
        ("behind a zone without rules for responses", ["x.victim CNAME .", "www.victim CNAME ."], [false; 2], "www.victim. A", false),
        ("behind a zone with one", ["32.9.9.9.9.rpz-ip CNAME .", "www.victim CNAME ."], [false; 2], "www.victim. A", true),
        ("before a zone with one", ["www.victim CNAME .", "32.9.9.9.9.rpz-ip CNAME ."], [false; 2], "www.victim. A", false),
        ("beside one in the same zone", ["www.victim CNAME .\n32.9.9.9.9.rpz-ip CNAME .", ""], [false; 2], "www.victim. A", false),
        ("qname-wait-recurse", ["www.victim CNAME .", ""], [true, false], "www.victim. A", true),
        ("qname-wait-recurse elsewhere", ["x.victim CNAME .", "www.victim CNAME ."], [true, false], "www.victim. A", false),
        ("signatures may turn up", ["www.victim CNAME .", ""], [false; 2], "www.victim. A DO", true),
    ] {
        let mut world = world(&[("one.test.", zones[0]), ("two.test.", zones[1])], move |rpz| {
            rpz.iter_mut().zip(wait).for_each(|(rpz, wait)| rpz.qname_wait_recurse = wait);
        });
        assert_eq!(told(&world.ask(question)), BLOCKED, "{what}");
        assert_eq!(world.queries_for("www.victim.", Rtype::A) > 0, is_asked, "{what}");
    }
}

/// Section 12.2: signed data for a client with DO.
#[test]
fn signed_data() {
    if !is_cairn() {
        return;
    }
    for (break_dnssec, question, expected) in [
        (false, "www.signed. A", BLOCKED),
        (false, "to.victim. A DO", "www.signed. 192.0.2.5 +SOA EDE4"),
        (false, "www.signed. A DO", "192.0.2.5"),
        (false, "no.signed. A DO", "NXDOMAIN"),
        (false, "no.signed. A", "192.0.2.200 +SOA EDE4"),
        (true, "www.signed. A DO", BLOCKED),
        (true, "www.signed. A", BLOCKED),
    ] {
        let rules = "www.signed CNAME .\n*.signed A 192.0.2.200\nto.victim CNAME www.signed.";
        let mut world = world(&[("rpz.test.", rules)], move |rpz| rpz[0].break_dnssec = break_dnssec);
        let answer = world.ask(question);
        assert_eq!(told(&answer), expected, "break-dnssec = {break_dnssec}, {question}");
        let is_rewritten = !answer.packet.errors().is_empty();
        assert!(!is_rewritten || !answer.packet.has(AD), "nothing proves what a rule says: {answer:?}");
        let sigs = answer.packet.sections().into_iter().flatten().filter(|rr| rr.rtype == Rtype::RRSIG).count();
        assert_eq!(sigs > 0, question.ends_with("DO") && !is_rewritten, "{question}: {answer:?}");
    }
}

/// A client with rules of its own never shares an answer with others, whoever asks first.
#[test]
fn clients_with_rules_of_their_own() {
    if !is_cairn() {
        return;
    }
    let rules = "32.7.100.51.198.rpz-client-ip CNAME .\n32.8.100.51.198.rpz-client-ip CNAME rpz-passthru.\n*.other CNAME .";
    for order in [[7, 8, 9], [9, 8, 7], [8, 9, 7]] {
        let mut world = one(rules);
        for _ in 0..3 {
            for client in order {
                let ask = |world: &mut World, name: &str| told(&world.ask(&format!("{name} A from=198.51.100.{client}")));
                let (victim, other) = (ask(&mut world, "www.victim."), ask(&mut world, "www.other."));
                let expected = match client {
                    7 => (BLOCKED, BLOCKED),
                    8 => (TRUE, "203.0.113.1"),
                    _ => (TRUE, BLOCKED),
                };
                assert_eq!((victim.as_str(), other.as_str()), expected, "client {client} in {order:?}");
            }
        }
    }
}

/// TCP-ONLY over TCP is the true answer, which must not become a ready one for UDP.
#[test]
fn tcp_only() {
    if !is_cairn() {
        return;
    }
    for rule in ["www.victim", "32.1.2.0.192.rpz-ip", "ns.victim.rpz-nsdname"] {
        let mut world = one(&format!("{rule} CNAME rpz-tcp-only."));
        for _ in 0..2 {
            assert_eq!(told(&world.ask("www.victim. A TCP")), TRUE);
            assert_eq!(told(&world.ask("www.victim. A")), "TC");
        }
    }
}

/// Addresses in another form: behind a translator, IPv4 inside IPv6, and those that a service binding hints at.
#[test]
fn addresses_made_of_others() {
    if !is_cairn() {
        return;
    }
    for (rules, question, expected) in [
        ("two.victim CNAME rpz-tcp-only.", "two.victim. AAAA", "TC"),
        ("two.victim CNAME .", "two.victim. AAAA", BLOCKED),
        ("two.victim A 192.0.2.200", "two.victim. AAAA", "64:ff9b::c000:2c8 +SOA EDE15 EDE4"),
        ("32.9.2.0.192.rpz-ip CNAME .", "two.victim. AAAA", "NODATA"),
        ("32.77.2.0.192.rpz-ip CNAME .", "mapped.victim. AAAA", BLOCKED),
        ("128.c000:24d.zz.rpz-ip CNAME .", "mapped.victim. AAAA", "::ffff:192.0.2.77"),
        ("32.66.2.0.192.rpz-ip CNAME .", "svc.victim. HTTPS", BLOCKED),
        ("128.66.zz.db8.2001.rpz-ip CNAME *.", "svc.victim. HTTPS", "NODATA +SOA EDE15"),
    ] {
        let translated = question.starts_with("two");
        let mut world = one(rules).tune(move |settings| {
            settings.dns64.clients = if translated { vec!["127.0.0.0/8".parse().expect("a prefix")] } else { Vec::new() };
        });
        assert_eq!(told(&world.ask(question)), expected, "{question} under {rules}");
    }
}

/// Section 6.1: one action for all rules of a zone; one that is only logged leaves the decision to the next.
#[test]
fn overrides_and_log_only() {
    if !is_cairn() {
        return;
    }
    for (policy, expected) in [
        (RpzPolicy::Given, "192.0.2.200 +SOA EDE4"),
        (RpzPolicy::NxDomain, BLOCKED),
        (RpzPolicy::NoData, "NODATA +SOA EDE15"),
        (RpzPolicy::Passthru, TRUE),
        (RpzPolicy::TcpOnly, "TC"),
        (RpzPolicy::Cname, "www.victim.wild.garden. 10.0.0.8 +SOA EDE4"),
    ] {
        let zones = [("one.test.", "www.victim A 192.0.2.200"), ("two.test.", "www.victim CNAME .")];
        let mut world = world(&zones, move |rpz| (rpz[0].policy, rpz[0].cname) = (policy, Some(name("*.wild.garden."))));
        assert_eq!(told(&world.ask("www.victim. A")), expected, "{policy:?}");
    }
    for (rules, expected) in [("www.victim CNAME .", "192.0.2.200 +SOA EDE4"), ("32.1.2.0.192.rpz-ip CNAME .", "192.0.2.200 +SOA EDE4")] {
        let mut world = world(&[("one.test.", rules), ("two.test.", "www.victim A 192.0.2.200")], |rpz| rpz[0].log_only = true);
        assert_eq!(told(&world.ask("www.victim. A")), expected, "log-only: {rules}");
        assert_eq!(told(&world.ask("two.victim. A")), "192.0.2.9 203.0.113.9", "nobody's rule");
    }
}

#[test]
fn an_explanation_names_zone_and_rule() {
    let mut world =
        world(&[("one.test.", "*.victim CNAME ."), ("two.test.", "32.1.2.0.192.rpz-ip A 192.0.2.200")], |rpz| rpz[0].log_only = true);
    let query = Explain::new(Question::new(name("www.victim."), Rtype::A), Some("127.0.0.1".parse().expect("an address")));
    let explained = world.explain_as(&query);
    let rules: Vec<String> = explained
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::PolicyRule { zone, trigger, owner, action, is_log_only } => {
                Some(format!("{zone} {trigger} {owner} {action} {is_log_only}"))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        rules,
        [
            "one.test. query name *.victim.one.test. NXDOMAIN true",
            "two.test. address in the answer 32.1.2.0.192.rpz-ip.two.test. local data false"
        ]
    );
}

/// An answer outlives the delegation by which it was found; rules for its servers still apply.
#[test]
fn rules_for_servers_outlive_the_delegation() {
    if !is_cairn() {
        return;
    }
    for rule in ["ns.brief.rpz-nsdname", "32.55.100.51.198.rpz-nsip"] {
        let mut world = one(&format!("{rule} CNAME ."));
        assert_eq!(told(&world.ask("www.brief. A")), BLOCKED);
        world.pass(3_000);
        assert_eq!(told(&world.ask("www.brief. A")), BLOCKED, "{rule}");
        assert_eq!(world.queries_for("www.brief.", Rtype::A), 1);
    }
}
