//! EDNS towards servers: cookies that a server requires, and servers that do not support EDNS.

use cairn::record::{Rcode, Rtype};

use super::sim::engine::is_cairn;
use super::sim::{Cookie, Tcp, World};

fn world() -> World {
    World::new(60).zone("example.").server("ns1.example.").records(&["www.example. A 192.0.2.1", "mail.example. A 192.0.2.2"])
}

/// RFC 7873 5.3.
#[test]
fn a_server_may_insist_on_cookies() {
    if !is_cairn() {
        return;
    }
    let mut world = world().manner(|manner| manner.wants_cookie = Some(Cookie::Of(1)));
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    world.forget();
    assert!(world.ask_true("mail.example. A").is("192.0.2.2"));
    assert_eq!(world.queries_to("ns1.example.").len(), 1, "its cookie is known");
    // It has another secret by now.
    world.change(|plan, _| plan.server(&super::sim::name("ns1.example.")).manner.wants_cookie = Some(Cookie::Of(2)));
    world.forget();
    assert_eq!(world.ask_true("no.example. A").rcode(), Rcode::NXDOMAIN);
    assert_eq!(world.queries_to("ns1.example.").len(), 2);
}

#[test]
fn a_server_that_knows_no_cookie_of_its_own_is_asked_over_tcp() {
    if !is_cairn() {
        return;
    }
    let mut world = world().manner(|manner| manner.wants_cookie = Some(Cookie::Anything));
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    assert!(world.log().iter().any(|seen| seen.tcp));
    // Where TCP does not work either, that is the end, and a quick one.
    let mut world = self::world().manner(|manner| manner.wants_cookie = Some(Cookie::Anything)).tcp(Tcp::Closed);
    assert_eq!(world.ask("www.example. A").rcode(), Rcode::SERVFAIL);
    assert!(world.queries_to("ns1.example.").len() <= 9, "{}", world.queries_to("ns1.example.").len());
}

/// A type that a server rejects must not turn EDNS, and DNSSEC with it, off for all other questions.
#[test]
fn one_odd_question_does_not_end_edns() {
    if !is_cairn() {
        return;
    }
    for known in [true, false] {
        let mut world = world().manner(|manner| manner.knows_no = Some(Rtype(65280)));
        if known {
            world.ask_true("mail.example. A");
        }
        assert_eq!(world.ask("www.example. TYPE65280").rcode(), Rcode::SERVFAIL);
        world.pass(20);
        world.forget();
        assert!(world.ask_true("www.example. A").is("192.0.2.1"));
        let with_edns = |seen: &super::sim::internet::Seen| seen.query.as_ref().is_some_and(|query| query.edns.is_some());
        assert!(world.queries_to("ns1.example.").iter().all(with_edns), "known before: {known}");
    }
}

/// RFC 9018 3: a cookie tells a server that the same client has come; not so after a move to another network.
#[test]
fn client_cookies_stay_behind_in_the_old_network() {
    if !is_cairn() {
        return;
    }
    let cookie = |world: &World| {
        let seen = world.queries_to("ns1.example.").pop().and_then(|seen| seen.query).expect("a query");
        let options = seen.edns.expect("EDNS").options;
        options.into_iter().find(|(code, _)| *code == 10).map(|(_, data)| data[..8].to_vec()).expect("a cookie")
    };
    let mut world = world();
    world.ask_true("www.example. A");
    let first = cookie(&world);
    world.ask_true("mail.example. A");
    assert_eq!(cookie(&world), first);
    world.network_changed();
    world.ask_true("no.example. A");
    assert_ne!(cookie(&world), first);
}
