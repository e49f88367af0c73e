//! Questions without RD: a client that walks the tree itself (`dig +trace`) gets referrals of the root and the TLDs,
//! and no client learns what others have asked for.

use cairn::record::{Rcode, Rtype};

use super::sim::engine::is_cairn;
use super::sim::world::{Answer, World, name};

fn world(seed: u64) -> World {
    World::new(seed).zone("example.").record("www.example. A 192.0.2.1").zone("sub.example.").record("www.sub.example. A 192.0.2.2")
}

fn servers(answer: &Answer) -> Vec<String> {
    answer.packet.answer.iter().chain(&answer.packet.authority).filter(|rr| rr.rtype == Rtype::NS).map(|rr| rr.name.to_string()).collect()
}

/// Before anything is known, from the hints; after that, from the cache.
#[test]
fn the_roots_servers_are_told_without_recursion() {
    if !is_cairn() {
        return;
    }
    let mut world = world(900);
    for known in [false, true] {
        for how in ["norec", "norec DO", "norec TCP"] {
            world.forget();
            let answer = world.ask(&format!(". NS {how}"));
            assert_eq!((answer.rcode(), servers(&answer)), (Rcode::NOERROR, vec![".".to_owned()]), "known: {known}: {answer:?}");
            assert!(answer.packet.answer.iter().any(|rr| rr.rtype == Rtype::NS), "known: {known}: {answer:?}");
            let addresses =
                answer.packet.additional.iter().filter(|rr| rr.rtype == Rtype::A && rr.name == name("a.root-servers.net.")).count();
            assert!(addresses == 1 || known, "from the hints with their addresses: {answer:?}");
            assert_eq!(world.log().len(), 0, "nobody is asked");
        }
        world.ask("www.example. A");
    }
}

/// Who begins to walk the tree asks for them next. Everybody knows them: they say nothing about what clients asked for.
#[test]
fn addresses_of_root_servers_are_told_without_recursion() {
    if !is_cairn() {
        return;
    }
    let mut world = world(905);
    let expected = world.ask("a.root-servers.net. A").data();
    let mut world = self::world(905);
    for known in [false, true] {
        world.forget();
        let answer = world.ask("a.root-servers.net. A norec");
        assert_eq!((answer.rcode(), answer.data()), (Rcode::NOERROR, expected.clone()), "known: {known}: {answer:?}");
        let none = world.ask("a.root-servers.net. TXT norec");
        assert_eq!(none.rcode(), Rcode::REFUSED, "known: {known}: {none:?}");
        let other = world.ask("z.root-servers.net. A norec");
        assert_eq!(other.rcode(), Rcode::REFUSED, "known: {known}: {other:?}");
        assert_eq!(world.log().len(), 0, "nobody is asked");
        world.ask("www.example. A");
    }
}

#[test]
fn what_is_known_of_a_tld_is_told_without_recursion() {
    if !is_cairn() {
        return;
    }
    let mut world = world(901);
    // Not known: whom to ask.
    let answer = world.ask("example. NS norec");
    assert_eq!((answer.rcode(), answer.packet.answer.len(), servers(&answer)), (Rcode::NOERROR, 0, vec![".".to_owned()]), "{answer:?}");
    for question in ["example. NS", "example. SOA", ". SOA", ". DNSKEY", "none. A"] {
        world.ask(question);
    }
    world.forget();
    for (question, rcode, records) in [
        ("example. NS", Rcode::NOERROR, 1),
        ("example. SOA", Rcode::NOERROR, 1),
        (". SOA", Rcode::NOERROR, 1),
        ("none. A", Rcode::NXDOMAIN, 0),
    ] {
        let answer = world.ask(&format!("{question} norec"));
        assert_eq!((answer.rcode(), answer.packet.answer.len()), (rcode, records), "{question}: {answer:?}");
    }
    assert_eq!(world.log().len(), 0, "nobody is asked");
}

/// RFC 8932 and cache snooping: of names below, nothing is told.
#[test]
fn what_others_asked_for_is_not_told() {
    if !is_cairn() {
        return;
    }
    let mut world = world(902);
    for known in [false, true] {
        for question in ["www.example. A", "www.sub.example. A", "sub.example. NS", "none.example. A", "a.b.c. TXT"] {
            let answer = world.ask(&format!("{question} norec"));
            assert_eq!(
                (answer.rcode(), answer.packet.answer.len(), servers(&answer)),
                (Rcode::REFUSED, 0, vec![]),
                "known: {known}: {question}"
            );
            world.ask(question);
        }
    }
}

/// A stranger is told nothing.
#[test]
fn strangers_are_refused() {
    if !is_cairn() {
        return;
    }
    let mut world = world(903).tune(|settings| settings.server.allow = vec!["192.0.2.0/24".parse().expect("a prefix")]);
    for question in [". NS norec", "example. NS norec", ". NS", "www.example. A"] {
        assert_eq!(world.ask(question).rcode(), Rcode::REFUSED, "{question}");
    }
    let mut off = self::world(904).tune(|settings| settings.recursion.enabled = false);
    assert_eq!(off.ask(". NS norec").rcode(), Rcode::REFUSED);
}

/// A failure is no data: without RD the client is referred, as if nobody had asked before.
#[test]
fn a_remembered_failure_is_no_answer_without_recursion() {
    if !is_cairn() {
        return;
    }
    let everybody = || vec![cairn::config::Prefix::ALL_IPV4, cairn::config::Prefix::ALL_IPV6];
    let world = world(905).zone("lost.example.").server("ns1.lost.example.").fails(Rcode::SERVFAIL);
    let mut world = world.tune(move |settings| settings.policy.allow_snoop = everybody());
    for question in ["www.lost.example. A", "lost.example. SOA"] {
        assert_eq!(world.ask(question).rcode(), Rcode::SERVFAIL, "{question}");
    }
    world.forget();
    for question in ["www.lost.example. A norec", "lost.example. SOA norec"] {
        let answer = world.ask(question);
        assert_eq!((answer.rcode(), servers(&answer)), (Rcode::NOERROR, vec!["lost.example.".to_owned()]), "{question}: {answer:?}");
    }
    assert_eq!(world.log().len(), 0, "nobody is asked");
}
