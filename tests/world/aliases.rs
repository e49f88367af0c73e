//! Chains of CNAME and DNAME: which records are in the answer, and that each is there once.

use std::collections::HashMap;

use cairn::record::{Rcode, Rtype, rdata_to_text};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::AD;
use super::sim::record::Rr;
use super::sim::signing::Key;
use super::sim::world::{Answer, World};

const SIGNED: [(&str, u8); 3] = [(".", 1), ("example.", 2), ("other.", 3)];

/// Chains that cross the DNAME of `d.example.` more than once.
fn crossing(seed: u64, signed: bool, hosted: bool) -> World {
    let mut world = World::new(seed)
        .zone(".")
        .zone("example.")
        .records(&["d.example. 300 DNAME e.example.", "a.e.example. 300 CNAME b.d.example.", "b.e.example. 300 CNAME c.d.example."])
        .records(&["c.e.example. 300 A 192.0.2.1", "far.e.example. 300 CNAME x.d.other.", "w.e.example. 300 CNAME 1.wild.example."])
        .records(&["*.wild.example. 300 CNAME no.d.example.", "back.e.example. 300 CNAME c.d.example."])
        .zone("other.")
        .record("d.other. 300 DNAME f.other.");
    world = world.records(&["x.f.other. 300 CNAME y.d.other.", "y.f.other. 300 CNAME back.d.example."]);
    if hosted {
        let text = "@ 300 IN SOA ns.home.test. a.home.test. 1 3600 600 86400 300\n@ 300 IN NS ns\nns 300 IN A 192.0.2.53\nd 300 IN DNAME e\n\
                    a.e 300 IN CNAME b.d\nb.e 300 IN CNAME a.d.example.\n";
        world = world.hosts("home.test.", text);
    }
    if signed {
        let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
        world = world.sign(&SIGNED, WALL_S).trust_anchor(&anchor);
    }
    world
}

/// RFC 2181 5: a set stands once in a message.
fn twice(answer: &Answer) -> Vec<String> {
    let mut count: HashMap<String, usize> = HashMap::new();
    let sections = [&answer.packet.answer, &answer.packet.authority, &answer.packet.additional];
    for rr in sections.into_iter().flatten() {
        *count.entry(format!("{} {:?}", Rr { ttl: 0, ..rr.clone() }, rr.rdata)).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(rr, count)| format!("{count} times {rr}")).collect()
}

/// RFC 6672 3.3: a DNAME to a name below itself has no end, and one to itself is a loop. The RCODE is that of BIND, Knot
/// Resolver and PowerDNS, and no link is asked for that a DNAME of the chain has answered already.
#[test]
fn an_endless_dname_ends_soon() {
    if !is_cairn() {
        return;
    }
    let long = "e".repeat(40);
    for signed in [false, true] {
        for (target, rcode) in
            [("e.d.example.", Rcode::SERVFAIL), ("d.example.", Rcode::SERVFAIL), (&*format!("{long}.d.example."), Rcode::YXDOMAIN)]
        {
            let mut world = World::new(810);
            if signed {
                world = world.anchored().zone("example.").signed();
            }
            world = world.zone("example.").record(&format!("d.example. 300 DNAME {target}")).server("ns1.example.");
            world = world.manner(|manner| manner.one_link = true);
            world.ask("nothing.example. A");
            world.forget();
            let answer = world.ask("x.d.example. A");
            assert_eq!(answer.rcode(), rcode, "signed: {signed}, {target}: {answer:?}");
            assert!(world.log().len() <= 3, "signed: {signed}, {target}: {} queries", world.log().len());
            if rcode == Rcode::YXDOMAIN {
                let links = answer.packet.answer.iter().filter(|rr| rr.rtype == Rtype::CNAME).count();
                assert_eq!((links, twice(&answer)), (5, Vec::new()), "{answer:?}");
            }
        }
    }
}

#[test]
fn what_a_chain_crosses_twice_stands_once() {
    if !is_cairn() {
        return;
    }
    for signed in [false, true] {
        for one_link in [false, true] {
            let mut world = crossing(800, signed, true);
            for server in ["ns1.example.", "ns1.other."] {
                world = world.zone(if server.ends_with("other.") { "other." } else { "example." }).server(server);
                world = world.manner(|manner| manner.one_link = one_link);
            }
            for (question, links, rcode) in [
                ("a.d.example. A", 1, Rcode::NOERROR),
                ("a.d.example. AAAA", 0, Rcode::NOERROR),
                ("far.d.example. A", 1, Rcode::NOERROR),
                ("w.d.example. A", 0, Rcode::NXDOMAIN),
                ("a.d.home.test. A", 1, Rcode::NOERROR),
            ] {
                // Asked first, from the cache, and by who wants no proofs.
                for how in [" DO", " DO", ""] {
                    let answer = world.ask(&format!("{question}{how}"));
                    assert_eq!(twice(&answer), Vec::<String>::new(), "{question}{how}, signed: {signed}: {answer:?}");
                    assert_eq!((answer.rcode(), answer.data().len()), (rcode, links), "{question}{how}, signed: {signed}: {answer:?}");
                    let dnames = answer.packet.answer.iter().filter(|rr| rr.rtype == Rtype::DNAME).count();
                    assert!(dnames >= 1, "{question}: {answer:?}");
                }
            }
        }
    }
}

/// A CNAME that was asked for is the answer, also one made from a DNAME (RFC 1034 4.3.2 3a, RFC 6672 3.1).
#[test]
fn a_cname_below_a_dname_is_not_followed() {
    if !is_cairn() {
        return;
    }
    for signed in [false, true] {
        let mut world = crossing(802, signed, false);
        for (question, target) in
            [("a.d.example. CNAME", "a.e.example."), ("z.y.d.example. CNAME", "z.y.e.example."), ("x.d.other. CNAME", "x.f.other.")]
        {
            for how in [" DO", " DO", ""] {
                let answer = world.ask(&format!("{question}{how}"));
                let types: Vec<Rtype> = answer.packet.answer.iter().map(|rr| rr.rtype).filter(|rtype| *rtype != Rtype::RRSIG).collect();
                assert_eq!((answer.rcode(), types), (Rcode::NOERROR, vec![Rtype::DNAME, Rtype::CNAME]), "{question}{how}: {answer:?}");
                assert_eq!(answer.data(), [target], "{question}{how}");
            }
        }
    }
}

/// A minimum TTL holds for TTL 0 and for the first answer too.
#[test]
fn a_minimum_ttl_holds_for_ttl_0() {
    if !is_cairn() {
        return;
    }
    for signed in [false, true] {
        for (ttl, min_ttl_s, told) in [(0, 60, 60), (1, 60, 60), (300, 60, 300), (0, 0, 0)] {
            let mut world = World::new(803)
                .zone(".")
                .zone("example.")
                .records(&[&format!("a.example. {ttl} CNAME b.example."), &format!("b.example. {ttl} A 192.0.2.1")])
                .zone("other.")
                .record(&format!("d.other. {ttl} DNAME example."))
                .tune(move |settings| settings.cache.min_ttl_s = min_ttl_s);
            if signed {
                let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
                world = world.sign(&SIGNED, WALL_S).trust_anchor(&anchor);
            }
            for question in ["b.example. A", "a.example. A", "a.d.other. A", "b.d.other. A DO"] {
                let first = world.ask(question);
                assert!(first.is("192.0.2.1"), "{first:?}");
                let what = format!("{question}, TTL {ttl}, min-ttl {min_ttl_s}, signed: {signed}");
                assert_eq!(first.ttl(), Some(told), "{what}: {first:?}");
                world.forget();
                let second = world.ask(question);
                assert_eq!(second.ttl(), Some(told), "{what}: {second:?}");
                assert_eq!(world.log().is_empty(), told > 0, "{what}: {second:?}");
            }
        }
    }
}

/// RFC 4035 3.2.3: the alias is proved, and what this server has itself is not.
#[test]
fn a_proved_alias_into_data_of_this_server_is_not_proved() {
    if !is_cairn() {
        return;
    }
    let anchor = format!(". 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(1).dnskey()));
    let aliases = ["a.example. 300 CNAME www.home.test.", "b.example. 300 CNAME no.home.test.", "c.example. 300 CNAME localhost."];
    let onward = "d.example. 300 CNAME out.home.test.";
    let text = "@ 300 IN SOA ns hostmaster 1 3600 600 86400 300\n@ 300 IN NS ns\nns 300 IN A 192.0.2.53\nwww 300 IN A 192.0.2.54\n\
                out 300 IN CNAME www.example.\n";
    let world = World::new(98).zone(".").zone("example.").records(&aliases).records(&[onward, "www.example. 300 A 192.0.2.1"]);
    let mut world = world.sign(&[(".", 1), ("example.", 2)], WALL_S).trust_anchor(&anchor).hosts("home.test.", text);
    assert!(world.ask("www.example. A DO").packet.has(AD));
    for (question, rcode) in [
        ("a.example. A DO", Rcode::NOERROR),
        ("a.example. AAAA DO", Rcode::NOERROR),
        ("b.example. A DO", Rcode::NXDOMAIN),
        ("c.example. A DO", Rcode::NOERROR),
        ("d.example. A DO", Rcode::NOERROR),
    ] {
        for _ in 0..2 {
            let answer = world.ask(question);
            assert!(answer.rcode() == rcode && !answer.packet.has(AD), "{question}: {answer:?}");
        }
    }
}

/// It holds for denials too, whose TTL is the MINIMUM of the SOA.
#[test]
fn a_minimum_ttl_holds_for_denials() {
    if !is_cairn() {
        return;
    }
    for (signed, min_ttl_s) in [(false, 60), (true, 60), (false, 0), (true, 0)] {
        let mut world = World::new(804).zone("example.");
        if signed {
            world = world.anchored().zone("example.").signed();
        }
        let mut world = world
            .records(&["example. 300 SOA ns1.example. . 1 3600 600 86400 0", "a.example. A 192.0.2.1", "c.example. CNAME no2.example."])
            .tune(move |settings| settings.cache.min_ttl_s = min_ttl_s);
        for question in ["a.example. AAAA", "no.example. A", "c.example. A"] {
            let first = world.ask(question);
            world.pass(20);
            world.forget();
            let second = world.ask(question);
            assert_eq!(first.rcode(), second.rcode());
            assert_eq!(world.log().is_empty(), min_ttl_s > 0, "{question}, min-ttl {min_ttl_s}, signed: {signed}: {second:?}");
            world.pass(61);
            world.forget();
            world.ask(question);
            assert!(!world.log().is_empty(), "it ends: {question}, signed: {signed}");
        }
    }
}

/// RFC 6672 3.4: the CNAME that an unsigned DNAME makes is kept, for the name that was asked for. The DNAME itself, which one forged
/// reply could have brought, answers for no other name.
#[test]
fn an_alias_by_an_unsigned_dname_is_kept() {
    if !is_cairn() {
        return;
    }
    for validates in [true, false] {
        let mut world = World::new(107)
            .anchored()
            .zone("example.")
            .records(&["d.example. 300 DNAME other.", "near.example. 300 CNAME www.d.example."])
            .server("ns1.example.")
            .zone("other.")
            .records(&["www.other. 300 A 192.0.2.1", "www.other. 300 AAAA 2001:db8::1", "ftp.other. 300 A 192.0.2.2"])
            .server("ns1.other.")
            .tune(move |settings| settings.recursion.dnssec = validates);
        assert_eq!(world.ask("www.d.example. A").data(), ["192.0.2.1"]);
        world.forget();
        for question in ["www.d.example. AAAA", "www.d.example. CNAME", "near.example. A", "www.d.example. A"] {
            let answer = world.ask(question);
            assert_eq!(answer.rcode(), Rcode::NOERROR, "{question}");
            let has = |rtype| answer.packet.answer.iter().filter(|rr| rr.rtype == rtype).count();
            assert!(has(Rtype::DNAME) == 1 && has(Rtype::CNAME) >= 1, "{question}: {answer:?}");
        }
        assert_eq!(world.queries_to("ns1.example.").len(), 1, "only near.example. was asked for: {validates}");
        world.forget();
        assert_eq!(world.ask("ftp.d.example. A").data(), ["192.0.2.2"]);
        assert!(!world.queries_to("ns1.example.").is_empty(), "another name is asked for: {validates}");
        // In an outage as well.
        world.pass(400);
        world.silence(true, true);
        for (question, data) in [("www.d.example. A", "192.0.2.1"), ("near.example. A", "192.0.2.1"), ("ftp.d.example. A", "192.0.2.2")] {
            let answer = world.ask(question);
            assert!(answer.data() == [data] && answer.packet.errors().contains(&3), "{question}, {validates}: {answer:?}");
            assert!(answer.packet.answer.iter().any(|rr| rr.rtype == Rtype::DNAME), "{question}, {validates}: {answer:?}");
        }
        assert_eq!(world.ask("no.d.example. A").rcode(), Rcode::SERVFAIL, "{validates}");
    }
}
