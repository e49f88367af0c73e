//! Forward and stub rules: what a forwarder may leave out, which rule holds, and where a rule ends.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use cairn::config::{RouteSettings, Settings};
use cairn::record::{Rcode, Rtype, rdata_to_text};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::{AD, Packet};
use super::sim::plan::{Manner, Rewrite};
use super::sim::signing::Key;
use super::sim::world::{Answer, World, name};

const SIGNED: [(&str, u8); 3] = [(".", 1), ("example.", 2), ("sub.example.", 3)];
const FORWARDERS: [&str; 2] = ["198.51.100.53", "198.51.100.54"];

fn rule(zone: &str, to: &[&str]) -> RouteSettings {
    let to = to.iter().map(|to| SocketAddr::new(to.parse().expect("an address"), 53).into()).collect();
    RouteSettings { zone: name(zone), to, ..RouteSettings::default() }
}

/// `example.` and `sub.example.` below the root, and recursive servers at these addresses.
fn world(seed: u64, forwarders: &[&str], change: impl Fn(&mut Manner)) -> World {
    let world = World::new(seed)
        .zone(".")
        .zone("example.")
        .records(&["www.example. 300 A 192.0.2.1", "alias.example. 300 CNAME www.sub.example.", "near.example. 300 CNAME www.example."])
        .records(&["d.example. 300 DNAME sub.example.", "*.wild.example. 300 CNAME www.example."])
        .zone("sub.example.")
        .records(&["www.sub.example. 300 A 192.0.2.2", "aaaa.sub.example. 300 AAAA 2001:db8::2"]);
    for (at, address) in forwarders.iter().enumerate() {
        let mut plan = world.plan();
        let server = plan.server(&name(&format!("f{at}.forwarders.")));
        server.ipv4.push(address.parse().expect("an address"));
        server.manner.recurses = true;
        change(&mut server.manner);
    }
    world
}

fn signed(world: World) -> World {
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    world.sign(&SIGNED, WALL_S).trust_anchor(&anchor)
}

fn forwarding(world: World, rules: Vec<RouteSettings>) -> World {
    world.tune(move |settings: &mut Settings| settings.forwards.clone_from(&rules))
}

fn told(answer: &Answer) -> (Rcode, Vec<String>, bool) {
    (answer.rcode(), answer.data(), answer.packet.has(AD))
}

/// RFC 2308 2.2: a reply without answer and SOA and with NS records of a deeper zone is, from a forwarder that offers recursion, a
/// denial of the type.
#[test]
fn a_forwarder_that_shows_a_delegation_has_no_data() {
    if !is_cairn() {
        return;
    }
    for (zone, forwarders) in [(".", 1), ("example.", 1), ("sub.example.", 1), (".", 2), ("example.", 2)] {
        let forwarders = &FORWARDERS[..forwarders];
        let rules = || vec![rule(zone, forwarders)];
        let mut world = forwarding(world(700, forwarders, |manner| manner.shows_cut = true), rules());
        for round in 0..2 {
            for (question, rcode, data) in [
                ("www.sub.example. AAAA", Rcode::NOERROR, &[][..]),
                ("www.sub.example. A", Rcode::NOERROR, &["192.0.2.2"][..]),
                ("aaaa.sub.example. A", Rcode::NOERROR, &[][..]),
                ("www.sub.example. MX", Rcode::NOERROR, &[][..]),
                ("none.sub.example. A", Rcode::NXDOMAIN, &[][..]),
            ] {
                let answer = world.ask(question);
                assert_eq!((answer.rcode(), answer.data()), (rcode, data.iter().map(ToString::to_string).collect()), "{zone}: {question}");
            }
            assert!(world.log().len() <= 8 || round == 0, "{zone}: it is kept for a while");
            world.forget();
        }
        world.pass(10);
        world.forget();
        world.ask("www.sub.example. AAAA");
        assert!(!world.log().is_empty(), "{zone}: not for long");
    }
}

/// Without RA it is no resolver, and does not have the zone.
#[test]
fn a_referral_of_a_server_without_recursion_is_lame() {
    if !is_cairn() {
        return;
    }
    let mut world = world(701, &FORWARDERS[..1], |_| {}).zone("example.").server("ns1.example.").at("198.51.100.55");
    world = forwarding(world, vec![rule("example.", &["198.51.100.55", FORWARDERS[0]])]);
    assert!(world.ask("www.sub.example. A").is("192.0.2.2"));
    assert_eq!(told(&world.ask("www.sub.example. AAAA")), (Rcode::NOERROR, vec![], false));
}

/// A forwarder leaves the RRSIG of one set out once.
#[test]
fn a_signature_left_out_once_is_asked_for_again() {
    if !is_cairn() {
        return;
    }
    for (question, data, left_out) in [
        ("near.example. A", "192.0.2.1", Rtype::CNAME),
        ("alias.example. A", "192.0.2.2", Rtype::CNAME),
        ("a.wild.example. A", "192.0.2.1", Rtype::CNAME),
        ("www.example. A", "192.0.2.1", Rtype::A),
        ("alias.example. A", "192.0.2.2", Rtype::A),
        ("www.d.example. A", "192.0.2.2", Rtype::DNAME),
        ("www.sub.example. A", "192.0.2.2", Rtype::DS),
        ("www.sub.example. A", "192.0.2.2", Rtype::DNSKEY),
    ] {
        for forwarders in 1..=2 {
            let forwarders = &FORWARDERS[..forwarders];
            for times in 1..=forwarders.len() as u32 {
                // The same count for all of them.
                let left = Rc::new(Cell::new(times));
                let world = world(702, forwarders, |manner| manner.forgets_rrsig = Some((left_out, left.clone())));
                let mut world = forwarding(signed(world), vec![rule(".", forwarders)]);
                let answer = world.ask(&format!("{question} AD"));
                let what = format!("{question}, {left_out} of {forwarders:?} {times} times");
                assert_eq!(told(&answer), (Rcode::NOERROR, vec![data.to_owned()], true), "{what}: {answer:?}");
            }
        }
    }
}

/// The same for a denial, whose proof lacks one signature.
#[test]
fn a_signature_left_out_of_a_denial_is_asked_for_again() {
    if !is_cairn() {
        return;
    }
    for (question, rcode) in [
        ("www.example. AAAA", Rcode::NOERROR),
        ("none.example. A", Rcode::NXDOMAIN),
        ("near.example. AAAA", Rcode::NOERROR),
        ("a.wild.example. TXT", Rcode::NOERROR),
    ] {
        for left_out in [Rtype::NSEC, Rtype::SOA] {
            for forwarders in 1..=2 {
                let forwarders = &FORWARDERS[..forwarders];
                let left = Rc::new(Cell::new(forwarders.len() as u32));
                let world = world(706, forwarders, |manner| manner.forgets_rrsig = Some((left_out, left.clone())));
                let mut world = forwarding(signed(world), vec![rule(".", forwarders)]);
                let answer = world.ask(&format!("{question} AD"));
                let what = format!("{question}, {left_out} of {forwarders:?}");
                assert_eq!((answer.rcode(), answer.packet.has(AD)), (rcode, true), "{what}: {answer:?}");
            }
        }
    }
}

/// Where it is left out each time that is bogus, and not for longer than the forwarder takes to mend it.
#[test]
fn a_verdict_over_an_incomplete_reply_is_short() {
    if !is_cairn() {
        return;
    }
    for (question, data, left_out) in [
        ("near.example. A", "192.0.2.1", Rtype::CNAME),
        ("www.example. A", "192.0.2.1", Rtype::A),
        ("www.sub.example. A", "192.0.2.2", Rtype::DS),
        ("www.sub.example. A", "192.0.2.2", Rtype::DNSKEY),
    ] {
        let left = Rc::new(Cell::new(1_000));
        let world = world(703, &FORWARDERS[..1], |manner| manner.forgets_rrsig = Some((left_out, left.clone())));
        let mut world = forwarding(signed(world), vec![rule(".", &FORWARDERS[..1])]);
        let first = world.ask(question);
        assert_eq!((first.rcode(), first.packet.errors().len()), (Rcode::SERVFAIL, 1), "{question}: {first:?}");
        let asked = world.log().len();
        assert!(asked <= 24, "{question}: {asked} queries");
        left.set(0);
        world.pass(6);
        let second = world.ask(&format!("{question} AD"));
        assert_eq!(told(&second), (Rcode::NOERROR, vec![data.to_owned()], true), "{question} without {left_out}: {second:?}");
    }
}

/// The public tree denies a name that a rule is for, and the forwarder relays the proof.
#[test]
fn a_denial_from_above_the_rule_counts_at_once() {
    if !is_cairn() {
        return;
    }
    for (zone, question) in [
        ("lan.", "host.lan. A"),
        ("lan.", "lan. A"),
        ("lan.", "a.b.lan. AAAA"),
        ("corp.lan.", "host.corp.lan. A"),
        ("corp.lan.", "corp.lan. SOA"),
        ("none.example.", "host.none.example. A"),
        ("corp.none.sub.example.", "host.corp.none.sub.example. TXT"),
    ] {
        for forwarders in 1..=2 {
            let forwarders = &FORWARDERS[..forwarders];
            let mut world = forwarding(signed(world(704, forwarders, |_| {})), vec![rule(zone, forwarders)]);
            let answers: Vec<_> = (0..3)
                .map(|_| {
                    let answer = world.ask(question);
                    world.pass(1);
                    (answer.rcode(), answer.packet.errors())
                })
                .collect();
            assert_eq!(answers, vec![(Rcode::NXDOMAIN, vec![]); 3], "{question} under {zone}");
        }
    }
}

/// The same for a type that the zone above denies, and without proofs where nothing is validated.
#[test]
fn an_soa_from_above_the_rule_belongs_to_the_denial() {
    if !is_cairn() {
        return;
    }
    for is_signed in [false, true] {
        let world = world(705, &FORWARDERS[..1], |_| {});
        let world = if is_signed { signed(world) } else { world };
        let mut world = forwarding(world, vec![rule("www.example.", &FORWARDERS[..1])]);
        for question in ["www.example. AAAA DO", "x.www.example. A DO"] {
            for _ in 0..2 {
                let answer = world.ask(question);
                let soa = answer.packet.authority.iter().filter(|rr| rr.rtype == Rtype::SOA && rr.name == name("example.")).count();
                let rcode = if question.starts_with('x') { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                assert_eq!((answer.rcode(), soa), (rcode, 1), "{question}, signed: {is_signed}: {answer:?}");
            }
        }
    }
}

/// `to = []`: at and below this name the rule above does not hold, and servers are found by iteration.
#[test]
fn a_rule_without_servers_ends_the_rule_above() {
    if !is_cairn() {
        return;
    }
    for is_signed in [false, true] {
        for (walks, forwards) in [
            (&["example."][..], &[][..]),
            (&["sub.example."], &["www.example. A"]),
            (&["www.sub.example."], &["aaaa.sub.example. AAAA"]),
            (&["example.", "sub.example."], &[]),
        ] {
            let world = world(706, &FORWARDERS[..1], |_| {});
            let world = if is_signed { signed(world) } else { world };
            let rules = walks.iter().map(|zone| rule(zone, &[])).chain([rule(".", &FORWARDERS[..1])]).collect();
            let mut world = forwarding(world, rules);
            let ad = |question: &str| if is_signed { format!("{question} AD") } else { question.to_owned() };
            assert_eq!(told(&world.ask(&ad("www.sub.example. A"))), (Rcode::NOERROR, vec!["192.0.2.2".into()], is_signed), "{walks:?}");
            let to_forwarder = |world: &mut World, owner: &str| {
                world.queries_to("f0.forwarders.").iter().filter(|seen| seen.name() == name(owner)).count()
            };
            assert_eq!(to_forwarder(&mut world, "www.sub.example."), 0, "{walks:?}");
            assert_eq!(
                world.queries_to("ns1.sub.example.").iter().filter(|seen| seen.name() == name("www.sub.example.")).count(),
                1,
                "{walks:?}"
            );
            for question in forwards {
                assert_eq!(world.ask(question).rcode(), Rcode::NOERROR);
                assert!(to_forwarder(&mut world, question.split(' ').next().expect("a name")) > 0, "{question}: {walks:?}");
            }
        }
    }
}

/// A rule inside one without servers holds again.
#[test]
fn the_nearest_rule_holds() {
    if !is_cairn() {
        return;
    }
    let rules = vec![rule(".", &FORWARDERS[..1]), rule("example.", &[]), rule("sub.example.", &FORWARDERS[..1])];
    let mut world = forwarding(world(707, &FORWARDERS[..1], |_| {}), rules);
    assert!(world.ask("www.sub.example. A").is("192.0.2.2"));
    assert_eq!(world.queries_to("ns1.sub.example.").len(), 0);
    assert!(world.ask("www.example. A").is("192.0.2.1"));
    assert!(world.queries_to("ns1.example.").iter().any(|seen| seen.name() == name("www.example.")));
    // An alias out of it is looked up where its target's rule says.
    world.forget();
    assert!(world.ask("alias.example. A").is("192.0.2.2"));
}

/// A public alias into a name that a rule serves: the rule's servers may give private addresses.
#[test]
fn private_addresses_of_a_rule_are_no_rebinding() {
    if !is_cairn() {
        return;
    }
    for kind in ["forward", "stub"] {
        let server = if kind == "stub" { "198.51.100.77" } else { FORWARDERS[0] };
        let mut world = world(708, &FORWARDERS[..1], |_| {})
            .zone("firm.example.")
            .records(&["db.firm.example. 300 CNAME db.int.firm.example.", "far.firm.example. 300 CNAME hop.example."])
            .records(&["evil.firm.example. 300 A 10.0.0.9", "v6.firm.example. 300 CNAME v6.int.firm.example."])
            .zone("example.")
            .records(&["hop.example. 300 CNAME db.int.firm.example.", "bad.example. 300 CNAME evil.firm.example."])
            .zone("int.firm.example.")
            .records(&["db.int.firm.example. 300 A 10.0.0.5", "v6.int.firm.example. 300 AAAA fd00::5"])
            .record("out.int.firm.example. 300 CNAME evil.firm.example.")
            .server("ns1.int.firm.example.")
            .at("198.51.100.77")
            .tune(move |settings| {
                settings.policy.rebinding_protection = true;
                let rules = if kind == "stub" { &mut settings.stubs } else { &mut settings.forwards };
                *rules = vec![rule("int.firm.example.", &[server])];
            });
        for round in 0..2 {
            for (question, data) in [
                ("db.firm.example. A", &["10.0.0.5"][..]),
                ("far.firm.example. A", &["10.0.0.5"]),
                ("v6.firm.example. AAAA", &["fd00::5"]),
                ("db.int.firm.example. A", &["10.0.0.5"]),
                // Public owners of private addresses stay what they are.
                ("evil.firm.example. A", &[]),
                ("bad.example. A", &[]),
            ] {
                let answer = world.ask(question);
                assert_eq!(
                    (answer.rcode(), answer.data()),
                    (Rcode::NOERROR, data.iter().map(ToString::to_string).collect()),
                    "{kind} {question} {round}"
                );
            }
        }
    }
}

/// A rule for everything makes nothing private: that is what a public resolver is used by.
#[test]
fn a_rule_for_everything_is_no_reason_for_private_addresses() {
    if !is_cairn() {
        return;
    }
    for rules in [vec![rule(".", &FORWARDERS[..1])], vec![rule(".", &FORWARDERS[..1]), rule("example.", &[])]] {
        let world = world(709, &FORWARDERS[..1], |_| {})
            .zone("example.")
            .records(&["a.example. 300 CNAME b.example.", "b.example. 300 A 10.0.0.1"]);
        let mut world = forwarding(world, rules).tune(|settings| settings.policy.rebinding_protection = true);
        assert_eq!(world.ask("a.example. A").data(), Vec::<String>::new());
        assert_eq!(world.ask("b.example. A").data(), Vec::<String>::new());
    }
}

/// What an operator has to know about a forwarder behind a firewall that lets only UDP through.
#[test]
fn a_forwarder_that_refuses_tcp_is_named_with_that_fault() {
    if !is_cairn() {
        return;
    }
    let world = world(95, &FORWARDERS[..1], |manner| manner.truncates = true);
    world.plan().server(&name("f0.forwarders.")).link.tcp = super::sim::Tcp::Closed;
    let mut world = forwarding(world, vec![rule(".", &FORWARDERS[..1])]);
    let answer = world.ask("www.example. A");
    assert_eq!(answer.rcode(), Rcode::SERVFAIL);
    let options = answer.packet.edns.iter().flat_map(|edns| &edns.options);
    let text: String = options.filter(|(code, _)| *code == 15).map(|(_, data)| String::from_utf8_lossy(&data[2..]).into_owned()).collect();
    assert!(text.contains("198.51.100.53 refuses TCP"), "{text}");
}

/// A server makes the CNAME of a DNAME out of the letters of the question, which are mixed.
fn in_the_letters_of_the_question(packet: &mut Packet) {
    let Some(asked) = packet.question.clone() else { return };
    for alias in packet.answer.iter_mut().filter(|rr| rr.rtype == Rtype::CNAME && rr.name == asked.name) {
        for (letter, mixed) in alias.rdata.iter_mut().zip(&asked.wire) {
            if !letter.eq_ignore_ascii_case(mixed) {
                break;
            }
            *letter = *mixed;
        }
    }
}

/// A forwarder relays a DNAME of a zone above the rule's. It counts for this question, and redirects nothing outside the rule.
#[test]
fn a_dname_above_the_rule_is_followed() {
    if !is_cairn() {
        return;
    }
    for is_signed in [false, true] {
        for (zone, question) in [
            ("in.d.example.", "www.in.d.example. A"),
            ("in.d.example.", "in.d.example. A"),
            ("in.d.example.", "a.b.c.in.d.example. A"),
            ("www.in.d.example.", "www.in.d.example. A"),
            ("in.d.example.", "www.in.d.example. AAAA"),
            ("in.d.example.", "none.in.d.example. A"),
            ("in.d.example.", "www.in.d.example. CNAME"),
        ] {
            for forwarders in 1..=2 {
                let forwarders = &FORWARDERS[..forwarders];
                let letters = |manner: &mut Manner| manner.rewrite = Some(Rewrite(Rc::new(in_the_letters_of_the_question)));
                let world = world(710, forwarders, letters)
                    .records(&["www.in.sub.example. 300 A 192.0.2.3", "in.sub.example. 300 A 192.0.2.4"])
                    .record("a.b.c.in.sub.example. 300 A 192.0.2.5")
                    .record("www.out.sub.example. 300 A 192.0.2.6");
                let world = if is_signed { signed(world) } else { world };
                let mut world = forwarding(world, vec![rule(zone, forwarders)]);
                let owner = question.split(' ').next().expect("a name");
                let target = name(&owner.replace(".d.example.", ".sub.example."));
                let expected = match question.split_once(' ').map(|(_, rtype)| rtype) {
                    Some("CNAME") => (Rcode::NOERROR, vec![format!("{target}")]),
                    _ => {
                        let direct = world.ask(&question.replace(".d.example.", ".sub.example."));
                        (direct.rcode(), direct.data())
                    }
                };
                for turn in 0..2 {
                    let answer = world.ask(&format!("{question} AD"));
                    let what = format!("{question} under {zone}, signed {is_signed}, turn {turn}: {answer:?}");
                    assert_eq!(answer.rcode(), expected.0, "{what}");
                    assert_eq!(answer.data().last().filter(|_| !expected.1.is_empty()), expected.1.last(), "{what}");
                    let written = target.as_wire().strip_suffix(name("example.").as_wire()).expect("a name of the table");
                    let targets = || answer.wire.windows(written.len()).filter(|bytes| bytes.eq_ignore_ascii_case(written));
                    assert!(targets().count() > 0 && targets().all(|bytes| bytes == written), "letters leak: {what}");
                }
                // What the forwarder says of the zone above is not believed of names outside the rule.
                world.forget();
                let other = world.ask("www.out.d.example. A");
                assert!(other.is("192.0.2.6") || other.data().last().is_some_and(|last| last == "192.0.2.6"), "{other:?}");
                if !is_signed {
                    assert!(world.queries_to("ns1.example.").iter().any(|seen| seen.name().is_within(&name("d.example."))), "{question}");
                }
            }
        }
    }
}

/// A forwarder that denies the name where one type is asked for: a filter, or a table of hosts. RFC 2308 5 makes the authority's
/// NXDOMAIN count for all types; what is relayed without proof counts for its own.
#[test]
fn a_relayed_name_error_denies_the_type_that_was_asked_for() {
    if !is_cairn() {
        return;
    }
    let denies = |packet: &mut Packet| {
        if packet.question.as_ref().is_some_and(|asked| asked.rtype == Rtype::AAAA) {
            packet.rcode = Rcode::NXDOMAIN;
            packet.answer.clear();
        }
    };
    for zone in [".", "example.", "www.example."] {
        let world = world(711, &FORWARDERS[..1], |manner| manner.rewrite = Some(Rewrite(Rc::new(denies))));
        let mut world = forwarding(world, vec![rule(zone, &FORWARDERS[..1])]);
        for turn in 0..3 {
            assert_eq!(world.ask("www.example. AAAA").rcode(), Rcode::NXDOMAIN, "{zone} {turn}");
            assert!(world.ask("www.example. A").is("192.0.2.1"), "{zone} {turn}");
            assert_eq!(world.ask("www.example. AAAA").rcode(), Rcode::NXDOMAIN, "{zone} {turn}");
            assert_eq!(world.ask("www.example. MX").rcode(), Rcode::NOERROR, "{zone} {turn}");
        }
        assert_eq!(world.queries_for("www.example.", Rtype::A), 1, "{zone}: kept");
    }
    // What is proved, and what the authority itself says, counts for every type.
    for is_signed in [false, true] {
        let world = world(712, &FORWARDERS[..1], |_| {});
        let rules = if is_signed { vec![rule(".", &FORWARDERS[..1])] } else { vec![] };
        let mut world = forwarding(if is_signed { signed(world) } else { world }, rules);
        assert_eq!(world.ask("none.example. A").rcode(), Rcode::NXDOMAIN);
        world.forget();
        assert_eq!(world.ask("none.example. AAAA").rcode(), Rcode::NXDOMAIN);
        assert!(world.log().is_empty(), "signed {is_signed}");
    }
}
