//! The conclusion of `cairn explain` is what the client gets: the same questions asked in one world and explained in a
//! second world made the same way.

use std::net::SocketAddr;

use cairn::answer::{Client, Explain, Outcome, Transport};
use cairn::config::{Settings, ZoneSettings};
use cairn::explain;
use cairn::record::{Name, Question, Rcode, RrSet, Rtype, Security, rdata_to_text};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::{AA, AD, CD, Edns, Packet, RD};
use super::sim::plan::Lame;
use super::sim::record::Rr;
use super::sim::signing::Key;
use super::sim::world::{World, name};
use super::sim::zone::Zone;

const FRIEND: &str = "127.0.0.1:40000";
const STRANGER: &str = "198.51.100.7:40000";
/// In the list of the closed zone, outside `server.allow`.
const GUEST: &str = "198.51.100.9:40000";

const HOSTED: &str = "$TTL 300\n@ SOA ns admin 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.70\nout CNAME www.example.\n\
    home CNAME localhost.\nlost CNAME no.example.\nbad CNAME bad.example.\nin CNAME pay.shut.hosted.test2.\nsub NS ns.plain.\nmx MX 5 www\n";
const SHUT: &str = "$TTL 300\n@ SOA ns admin 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\npay A 192.0.2.71\n";

fn world() -> World {
    let spoil = |zone: &mut Zone| {
        let rr = Rr::parse("bad.example. 300 A 192.0.2.66");
        zone.remove(&rr.name, rr.rtype);
        zone.add(rr);
    };
    let signed = [(".", 1), ("example.", 2), ("sub.example.", 3)];
    World::new(70)
        .zone(".")
        .zone("plain.")
        .records(&["www.plain. 300 A 192.0.2.9", "ns.plain. 300 A 192.0.2.10", "rebound.plain. 300 A 10.0.0.1"])
        .records(&["mixed.plain. 300 A 10.0.0.2", "mixed.plain. 300 A 192.0.2.12", "plain. 300 MX 10 www.plain."])
        .records(&["loop.plain. 300 CNAME pool.plain.", "pool.plain. 300 CNAME loop.plain.", "into.plain. 300 CNAME www.hosted.test2."])
        .records(&["shut.plain. 300 CNAME pay.shut.hosted.test2.", "local.plain. 300 CNAME localhost."])
        .record("disk.plain. 300 CNAME nas.plain.")
        .zone("dead.plain.")
        .record("www.dead.plain. 300 A 192.0.2.13")
        .server("ns.dead.plain.")
        .dead()
        .zone("example.")
        .records(&["www.example. 300 A 192.0.2.1", "bad.example. 300 A 192.0.2.2", "example. 300 MX 10 www.example."])
        .records(&["out.example. 300 CNAME www.plain.", "d.example. 300 DNAME plain.", "*.wild.example. 300 A 192.0.2.7"])
        .records(&["tobad.example. 300 CNAME bad.example.", "rebound.example. 300 A 192.168.1.1"])
        .server("ns1.example.")
        .zone("sub.example.")
        .record("www.sub.example. 300 A 192.0.2.6")
        .server("ns1.example.")
        .serves()
        .sign(&signed, WALL_S)
        .server("ns1.example.")
        .tells("example.", spoil)
        .trust_anchor(&format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey())))
        .hosts("hosted.test2.", HOSTED)
        .hosts("shut.hosted.test2.", SHUT)
        .tune(|settings| {
            let allow = ["127.0.0.9/32", "198.51.100.9/32"].map(|prefix| prefix.parse().expect("a prefix"));
            let zone = ZoneSettings { name: name("shut.hosted.test2."), allow: allow.to_vec(), ..Default::default() };
            settings.zones.push(zone);
            settings.policy.local_records = vec![RrSet::with(name("nas.plain."), Rtype::A, 300, &[192, 0, 2, 14])];
            settings.policy.allow_snoop = vec!["127.0.0.1".parse().expect("a prefix")];
        })
}

const NAMES: [&str; 36] = [
    "www.example.",
    "example.",
    "no.example.",
    "bad.example.",
    "tobad.example.",
    "out.example.",
    "www.d.example.",
    "x.wild.example.",
    "rebound.example.",
    "sub.example.",
    "www.sub.example.",
    "no.sub.example.",
    "plain.",
    "www.plain.",
    "no.plain.",
    "rebound.plain.",
    "mixed.plain.",
    "loop.plain.",
    "into.plain.",
    "shut.plain.",
    "local.plain.",
    "nas.plain.",
    "disk.plain.",
    "www.dead.plain.",
    "hosted.test2.",
    "www.hosted.test2.",
    "out.hosted.test2.",
    "home.hosted.test2.",
    "lost.hosted.test2.",
    "bad.hosted.test2.",
    "in.hosted.test2.",
    "x.sub.hosted.test2.",
    "pay.shut.hosted.test2.",
    "shut.hosted.test2.",
    "localhost.",
    "x.onion.",
];

const TYPES: [Rtype; 5] = [Rtype::A, Rtype::MX, Rtype::DS, Rtype::ANY, Rtype::AXFR];

struct Row {
    question: Question,
    peer: SocketAddr,
    flags: u16,
}

fn rows() -> Vec<Row> {
    let clients = [(FRIEND, RD), (FRIEND, RD | CD), (FRIEND, 0), (STRANGER, RD), (GUEST, RD)];
    let questions = NAMES.iter().flat_map(|owner| TYPES.map(|rtype| Question::new(name(owner), rtype)));
    let all = questions.flat_map(|question| {
        clients.map(|(peer, flags)| Row { question: question.clone(), peer: peer.parse().expect("an address"), flags })
    });
    all.collect()
}

/// RCODE, AA, AD, the answers and authorities without TTLs, the EDE codes.
fn of_wire(packet: &Packet) -> String {
    let sets = |section: &[Rr]| sorted(section.iter().filter(|rr| rr.rtype != Rtype::RRSIG).map(|rr| (&rr.name, rr.rtype, &rr.rdata[..])));
    shown(packet.rcode.to_string(), packet.has(AA), packet.has(AD), sets(&packet.answer), sets(&packet.authority), packet.errors())
}

fn of_outcome(outcome: &Outcome) -> String {
    let sets = |section: &[RrSet]| sorted(section.iter().flat_map(|set| set.data.iter().map(move |rdata| (&set.name, set.rtype, rdata))));
    let errors = outcome.edes.iter().map(|ede| ede.code.0).collect();
    let secure = outcome.security == Security::Secure;
    let rcode = outcome.rcode().to_string();
    shown(rcode, outcome.authoritative, secure, sets(&outcome.answers), sets(&outcome.authority), errors)
}

fn sorted<'a>(records: impl Iterator<Item = (&'a Name, Rtype, &'a [u8])>) -> Vec<String> {
    let mut lines: Vec<String> = records.map(|(owner, rtype, rdata)| format!("{owner} {rtype} {}", rdata_to_text(rtype, rdata))).collect();
    lines.sort();
    lines
}

fn shown(rcode: String, aa: bool, ad: bool, answers: Vec<String>, authorities: Vec<String>, errors: Vec<u16>) -> String {
    format!("{rcode} AA {aa} AD {ad} {answers:?} {authorities:?} {errors:?}")
}

#[test]
fn an_explanation_concludes_what_the_client_gets() {
    if !is_cairn() {
        return;
    }
    let (mut asked, mut explained, rows) = (world(), world(), rows());
    assert!(rows.len() >= 500, "{} questions", rows.len());
    // Twice: out of the cache, and with expired data that is served while servers are silent.
    for turn in ["cold", "warm", "stale"] {
        for (number, Row { question, peer, flags }) in rows.iter().enumerate() {
            let mut packet = Packet::query(number as u16, &question.name, question.rtype);
            packet.flags = *flags;
            packet.edns = Some(Edns { size: 1232, dnssec_ok: true, ..Edns::default() });
            let client = Client {
                peer: *peer,
                local: "127.0.0.1:53".parse().expect("an address"),
                transport: Transport::Tcp,
                is_behind_balancer: false,
            };
            let reply = of_wire(&asked.ask_as(&packet.encode(), &client).packet);
            let query = Explain {
                question: question.clone(),
                client: Some(peer.ip()),
                at: Some(client.local),
                recursion_desired: flags & RD != 0,
                checking_disabled: flags & CD != 0,
            };
            let conclusion = of_outcome(&explained.explain_as(&query).outcome);
            assert_eq!(conclusion, reply, "{turn}: {question} of {peer}, flags {flags:x}");
        }
        if turn == "warm" {
            for world in [&mut asked, &mut explained] {
                world.set_loss(1.0);
                world.pass(400);
            }
        }
    }
}

/// A zone whose server has one fault each, and what is said of it.
#[test]
fn the_advice_names_the_right_party() {
    if !is_cairn() {
        return;
    }
    const DAY: u64 = 86_400;
    let unsigned = |zone: &mut Zone| {
        for owner in zone.names().cloned().collect::<Vec<_>>() {
            [Rtype::RRSIG, Rtype::NSEC, Rtype::DNSKEY].into_iter().for_each(|rtype| zone.remove(&owner, rtype));
        }
        zone.signed = false;
    };
    let altered = |zone: &mut Zone| {
        zone.remove(&name("www.altered."), Rtype::A);
        zone.add(Rr::parse("www.altered. 300 A 192.0.2.66"));
    };
    let without = |owner: &'static str, rtype: Rtype| {
        move |packet: &mut Packet| {
            let is_it = |rr: &Rr| rr.rtype == rtype || rr.rtype == Rtype::RRSIG && rr.rdata.starts_with(&rtype.0.to_be_bytes());
            let is_left_out = |rr: &Rr| rr.name == name(owner) && is_it(rr) && (rtype == Rtype::NSEC || rr.rtype == Rtype::RRSIG);
            [&mut packet.answer, &mut packet.authority].into_iter().for_each(|section| section.retain(|rr| !is_left_out(rr)));
        }
    };
    let without_nsec = |packet: &mut Packet| {
        let is_it = |rr: &Rr| rr.rtype == Rtype::NSEC || rr.rtype == Rtype::RRSIG && rr.rdata.starts_with(&Rtype::NSEC.0.to_be_bytes());
        packet.authority.retain(|rr| !is_it(rr));
    };
    let bogus = ["late", "early", "wrongds", "unsigned", "altered", "onesig", "keysig", "soasig", "nonsec", "nonsec2", "onensec"];
    let signed: Vec<(String, u8)> = [(".".to_owned(), 1)].into_iter().chain(bogus.iter().map(|zone| format!("{zone}.")).zip(2..)).collect();
    let signed: Vec<(&str, u8)> = signed.iter().map(|(zone, seed)| (zone.as_str(), *seed)).collect();
    let mut world = World::new(71).zone(".");
    for zone in ["dead", "failing", "refusing", "lame"].iter().chain(&bogus) {
        world = world.zone(&format!("{zone}.")).record(&format!("www.{zone}. 300 A 192.0.2.1")).server(&format!("ns.{zone}.")).serves();
    }
    let mut world = world
        .server("ns.dead.")
        .dead()
        .server("ns.failing.")
        .fails(Rcode::SERVFAIL)
        .server("ns.refusing.")
        .lame(Lame::Refuses)
        .server("ns.lame.")
        .lame(Lame::RefersUp)
        .sign(&signed, WALL_S)
        .server("ns.late.")
        .tells("late.", |zone| zone.sign(Key::new(2), WALL_S - 60 * DAY))
        .server("ns.early.")
        .tells("early.", |zone| zone.sign(Key::new(3), WALL_S + 60 * DAY))
        .server("ns.wrongds.")
        .tells("wrongds.", |zone| zone.sign(Key::new(14), WALL_S))
        .server("ns.unsigned.")
        .tells("unsigned.", unsigned)
        .server("ns.altered.")
        .tells("altered.", altered)
        .server("ns.onesig.")
        .rewrites(without("www.onesig.", Rtype::A))
        .server("ns.keysig.")
        .rewrites(without("keysig.", Rtype::DNSKEY))
        .server("ns.soasig.")
        .rewrites(without("soasig.", Rtype::SOA))
        .server("ns.nonsec.")
        .rewrites(without_nsec)
        .server("ns.nonsec2.")
        .rewrites(without_nsec)
        .server("ns.onensec.")
        .rewrites(without("onensec.", Rtype::NSEC))
        .trust_anchor(&format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey())));
    for (owner, expected) in [
        ("www.dead.", "the zone's servers are down, or the way to them is blocked"),
        ("www.failing.", "the zone's servers answer SERVFAIL, so they are reached and cannot answer"),
        ("www.refusing.", "the zone's servers refuse the query"),
        ("www.lame.", "the zone's servers answer, but not for this zone"),
        ("www.late.", "because its signatures have expired"),
        ("www.early.", "look at this machine's clock, which is probably behind"),
        ("www.wrongds.", "the operator of wrongds. must replace the DS record at the registrar"),
        (
            "www.unsigned.",
            "the operator of unsigned. must replace the DS record at the registrar by one of a key that is in use, or remove it",
        ),
        ("www.altered.", "the zone's operator must sign the zone again"),
        ("www.onesig.", "the zone's operator must sign the zone again, because signatures are missing"),
        ("www.keysig.", "the operator of keysig. must sign the zone again, because the signature over its keys is missing"),
        ("no.soasig.", "the zone's operator must sign the zone again, because signatures are missing"),
        ("no.nonsec.", "because the NSEC or NSEC3 records that prove the answer are missing"),
        ("www.nonsec2. TXT", "because the NSEC or NSEC3 records that prove the answer are missing"),
        ("no.onensec.", "because the NSEC or NSEC3 records that prove the answer are missing"),
    ] {
        let (owner, rtype) = owner.split_once(' ').unwrap_or((owner, "A"));
        let question = Question::new(name(owner), rtype.parse().expect("a type"));
        let explained = world.explain_as(&Explain::new(question, None));
        let text: Vec<String> = cairn::explain::lines(&explained).into_iter().filter_map(|line| line.line).collect();
        let text = text.join("\n");
        assert!(text.lines().any(|line| line.contains("What to do: ") && line.contains(expected)), "{owner}:\n{text}");
        assert_eq!(text.matches("What to do: ").count(), 1, "{text}");
        assert!(text.matches("Data received, validation failed: clients get SERVFAIL").count() <= 1, "{text}");
        assert!(!text.contains("this machine's own network") && !text.contains(" NAME"), "{text}");
    }
}

/// An explanation says which data of this server has the answer, and advises on nothing else.
#[test]
fn each_kind_of_local_data_is_called_by_its_name() {
    if !is_cairn() {
        return;
    }
    let mut world = world();
    let listed = "nas.plain. A is in `local-data` or `hosts-file` of this server's configuration, and is answered from there";
    for (owner, expected) in [
        ("nas.plain.", listed),
        ("disk.plain.", listed),
        ("www.hosted.test2.", "www.hosted.test2. A is in hosted.test2., a zone hosted here"),
        ("into.plain.", "www.hosted.test2. A is in hosted.test2., a zone hosted here"),
        ("localhost.", "localhost. A is a special-use name: RFC 6761 6.3"),
        ("local.plain.", "localhost. A is a special-use name: RFC 6761 6.3"),
    ] {
        let explained =
            world.explain_as(&Explain::new(Question::new(name(owner), Rtype::A), FRIEND.parse().ok().map(|peer: SocketAddr| peer.ip())));
        let lines = explain::lines(&explained);
        let told = lines.iter().filter_map(|line| line.line.as_deref()).find(|line| line.contains(expected));
        let told = told.unwrap_or_else(|| panic!("{owner}: {lines:?}"));
        assert_eq!(told.contains("special-use-except"), owner == "localhost.", "{owner}: {told}");
    }
}

/// What stands between a name and its answer on this side: rules of this server, a forwarder, this machine's network.
#[test]
fn the_advice_names_this_side_where_the_fault_is_here() {
    if !is_cairn() {
        return;
    }
    const FORWARDER: &str = "192.0.2.200";
    let forwards = |zone: &'static str, dnssec: bool| {
        move |settings: &mut Settings| {
            let text = format!("[[forward]]\nzone = '{zone}'\nto = ['{FORWARDER}']\ndnssec = {dnssec}\n");
            settings.forwards = Settings::from_toml(&text, "cairn.toml").expect("valid").forwards;
        }
    };
    let public = |seed: u64| World::new(seed).zone("example.").record("www.example. 300 A 192.0.2.1").record("lan.example. 300 A 10.0.0.1");
    let anchored = |world: World| {
        world
            .sign(&[(".", 1), ("example.", 2)], WALL_S)
            .trust_anchor(&format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey())))
    };
    let forwarder = |world: World, zones: &[&str]| {
        let mut world = world.server("resolver.office.").at(FORWARDER);
        for zone in zones {
            world = world.zone(zone).server("resolver.office.").serves();
        }
        world.server("resolver.office.").manner(|manner| manner.recurses = true)
    };
    let is_dnssec = |rr: &Rr| matches!(rr.rtype, Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3);
    let strips =
        move |packet: &mut Packet| [&mut packet.answer, &mut packet.authority].into_iter().for_each(|s| s.retain(|rr| !is_dnssec(rr)));
    let loses_keys = move |packet: &mut Packet| {
        strips(packet);
        packet.answer.retain(|rr| !matches!(rr.rtype, Rtype::DNSKEY | Rtype::DS));
    };
    let warm = |mut world: World| {
        world.ask_true("www.example. A");
        world.pass(20);
        world
    };
    let stripped = "the servers of your own rule [[forward]] . leave DNSSEC records out";
    let rule = "these servers are named by a rule of your own configuration: look at the addresses after `to`";
    let rows: Vec<(&str, World, &str, &str)> = vec![
        ("local data", world(), "nas.plain.", "is in `local-data` or `hosts-file` of this server's configuration"),
        ("a special-use name", world(), "x.onion.", "To resolve it like any other name: special-use-except"),
        ("a private address", public(81), "lan.example.", "To let it pass: rebinding-allow = [\"lan.example.\"] in [policy]"),
        (
            "a forwarder that strips signatures",
            forwarder(anchored(public(82)), &[".", "example."]).rewrites(strips).tune(forwards(".", false)),
            "www.example.",
            stripped,
        ),
        (
            "a forwarder that knows no DNSSEC",
            forwarder(anchored(public(83)), &[".", "example."]).rewrites(loses_keys).tune(forwards(".", false)),
            "www.example.",
            stripped,
        ),
        (
            "a network that strips signatures",
            anchored(public(84)).server("a.root-servers.net.").rewrites(strips).server("ns1.example.").rewrites(strips),
            "www.example.",
            "something on the way to the servers strips DNSSEC records, because even the keys of . come without signatures",
        ),
        (
            "a forwarder that is no resolver",
            forwarder(public(90), &["example."]).lame(Lame::RefersUp).tune(forwards("example", false)),
            "www.example.",
            rule,
        ),
        ("a forwarder that is down", forwarder(public(85), &["example."]).dead().tune(forwards("example", false)), "www.example.", rule),
        (
            "a forwarder that refuses",
            forwarder(public(86), &["example."]).fails(Rcode::REFUSED).tune(forwards("example", true)),
            "www.example.",
            rule,
        ),
    ];
    for (what, mut world, owner, expected) in rows {
        check_advice(what, &mut world, owner, expected);
    }
    let mut silent = warm(public(87));
    silent.set_loss(1.0);
    let text =
        check_advice("a network that swallows packets", &mut silent, "new.example.", "this machine's own network is down, or a firewall");
    assert!(text.contains("no server has replied for a second"), "{text}");
    let mut without_route = warm(public(88));
    without_route.set_families(false, false);
    let text = check_advice("a machine without a route", &mut without_route, "new.example.", "this machine has no route to any server, so");
    assert!(!text.contains("firewall"), "{text}");
}

fn check_advice(what: &str, world: &mut World, owner: &str, expected: &str) -> String {
    let explained = world.explain_as(&Explain::new(Question::new(name(owner), Rtype::A), None));
    let text: Vec<String> = explain::lines(&explained).into_iter().filter_map(|line| line.line).collect();
    let text = text.join("\n");
    assert!(text.contains(expected), "{what}:\n{text}");
    assert!(!text.contains("the zone's operator must"), "{what}: the zone's operator is not at fault:\n{text}");
    text
}

/// A server that was asked before by the same question is not called new.
#[test]
fn a_server_that_is_asked_again_is_not_called_new() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(89).zone("dead.").record("www.dead. 300 A 192.0.2.1").server("ns.dead.").dead();
    let explained = world.explain_as(&Explain::new(Question::new(name("www.dead."), Rtype::A), None));
    let lines: Vec<String> = explain::lines(&explained).into_iter().filter_map(|line| line.line).collect();
    let to_dead: Vec<&String> = lines.iter().filter(|line| line.contains("ask ns.dead.")).collect();
    assert!(to_dead.len() > 1, "{lines:?}");
    assert!(to_dead[0].contains("the only one, not asked before"), "{to_dead:?}");
    assert!(to_dead[1..].iter().all(|line| !line.contains("not asked before")), "{to_dead:?}");
}
