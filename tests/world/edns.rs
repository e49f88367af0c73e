//! EDNS towards servers: cookies that a server requires, and servers that do not support EDNS.

use cairn::record::{Rcode, Rtype};

use super::sim::engine::is_cairn;
use super::sim::internet::Seen;
use super::sim::plan::Manner;
use super::sim::{Cookie, Forger, Tcp, World};

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
}

/// RFC 7873 5.3: after the second BADCOOKIE the cookie is left out. That is remembered, and ends.
#[test]
fn a_server_may_never_be_content_with_a_cookie() {
    if !is_cairn() {
        return;
    }
    let has_cookie = |seen: &super::sim::internet::Seen| {
        seen.query.as_ref().and_then(|query| query.edns.as_ref()).is_some_and(|edns| !edns.options.is_empty())
    };
    for cookie in [Cookie::Never, Cookie::Anything] {
        for tcp in [Tcp::Open, Tcp::Closed, Tcp::Filtered] {
            let what = format!("{cookie:?}, TCP {tcp:?}");
            let mut world = world().manner(|manner| manner.wants_cookie = Some(cookie)).tcp(tcp);
            assert!(world.ask("www.example. A").is("192.0.2.1"), "{what}");
            assert!(world.queries_to("ns1.example.").len() <= 6, "{what}: {}", world.queries_to("ns1.example.").len());
            assert!(world.ask("mail.example. A").is("192.0.2.2"), "{what}");
            world.forget();
            assert_eq!(world.ask("no.example. A").rcode(), Rcode::NXDOMAIN, "{what}");
            let most = if (cookie, tcp) == (Cookie::Anything, Tcp::Open) { 3 } else { 1 };
            assert!(world.queries_to("ns1.example.").len() <= most, "it is remembered, {what}");
            world.change(|plan, _| plan.server(&super::sim::name("ns1.example.")).manner.wants_cookie = Some(Cookie::Of(2)));
            world.pass(1_000);
            world.forget();
            assert_eq!(world.ask("no2.example. A").rcode(), Rcode::NXDOMAIN, "{what}");
            assert!(world.queries_to("ns1.example.").iter().any(has_cookie), "it ends by itself: {what}");
        }
    }
}

/// A BADCOOKIE or two may be forged.
#[test]
fn a_forged_badcookie_does_not_end_cookies() {
    if !is_cairn() {
        return;
    }
    for tcp in [Tcp::Open, Tcp::Closed] {
        for forged in 1..=2 {
            let left = std::cell::Cell::new(forged);
            let mut world = world().tcp(tcp).rewrites(move |reply| {
                if left.get() > 0 {
                    left.set(left.get() - 1);
                    reply.rcode = Rcode::BADCOOKIE;
                    [&mut reply.answer, &mut reply.authority, &mut reply.additional].into_iter().for_each(Vec::clear);
                }
            });
            assert!(world.ask("www.example. A").is("192.0.2.1"));
            world.forget();
            assert!(world.ask("mail.example. A").is("192.0.2.2"));
            let has_cookie = |seen: &super::sim::internet::Seen| {
                seen.query.as_ref().and_then(|query| query.edns.as_ref()).is_some_and(|edns| !edns.options.is_empty())
            };
            assert!(world.queries_to("ns1.example.").iter().all(has_cookie), "TCP {tcp:?}, {forged} forged");
        }
    }
}

/// The server cookie that a query carries.
fn server_cookie(seen: &Seen) -> Option<&[u8]> {
    let options = seen.query.as_ref().and_then(|query| query.edns.as_ref()).into_iter().flat_map(|edns| &edns.options);
    options.filter(|(code, _)| *code == 10).find_map(|(_, data)| data.get(8..)).filter(|cookie| !cookie.is_empty())
}

/// RFC 7873 5.3: a server that has sent a cookie is expected to send one again. Servers are replaced, and their options turned off.
#[test]
fn a_server_may_stop_sending_cookies() {
    if !is_cairn() {
        return;
    }
    for tcp in [Tcp::Open, Tcp::Closed, Tcp::Filtered] {
        let mut world = world().manner(|manner| manner.wants_cookie = Some(Cookie::Of(1)));
        assert!(world.ask_true("www.example. A").is("192.0.2.1"));
        world.ask_true("no.example. A");
        assert!(world.queries_to("ns1.example.").iter().any(|seen| server_cookie(seen).is_some()));
        world.change(|plan, _| {
            let server = plan.server(&super::sim::name("ns1.example."));
            (server.manner, server.link.tcp) = (Manner::default(), tcp);
        });
        world.forget();
        assert!(world.ask_true("mail.example. A").is("192.0.2.2"), "TCP {tcp:?}");
        assert!(world.queries_to("ns1.example.").len() <= 5, "TCP {tcp:?}: {}", world.queries_to("ns1.example.").len());
        world.forget();
        assert_eq!(world.ask_true("no1.example. A").rcode(), Rcode::NXDOMAIN, "TCP {tcp:?}");
        let queries = world.queries_to("ns1.example.");
        assert!(queries.len() == 1 && !queries[0].tcp, "it is remembered, TCP {tcp:?}");
        // It sends cookies again.
        world.change(|plan, _| plan.server(&super::sim::name("ns1.example.")).manner.wants_cookie = Some(Cookie::Of(3)));
        assert_eq!(world.ask_true("no2.example. A").rcode(), Rcode::NXDOMAIN, "TCP {tcp:?}");
        world.forget();
        assert_eq!(world.ask_true("no3.example. A").rcode(), Rcode::NXDOMAIN, "TCP {tcp:?}");
        assert!(world.queries_to("ns1.example.").iter().all(|seen| server_cookie(seen) == Some(&[3; 16])), "TCP {tcp:?}");
    }
}

/// A stored cookie ends by itself also where the server is not asked meanwhile.
#[test]
fn a_server_cookie_is_not_kept_without_end() {
    if !is_cairn() {
        return;
    }
    let mut world = world().manner(|manner| manner.wants_cookie = Some(Cookie::Of(1)));
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    world.change(|plan, _| {
        let server = plan.server(&super::sim::name("ns1.example."));
        (server.manner, server.link.tcp) = (Manner::default(), Tcp::Closed);
    });
    world.pass(2 * 86_400);
    world.forget();
    assert!(world.ask_true("mail.example. A").is("192.0.2.2"));
    assert!(world.queries_to("ns1.example.").iter().all(|seen| server_cookie(seen).is_none() && !seen.tcp));
}

/// Somebody who has guessed port, ID and letter case still lacks the cookie, however often: the server's own replies have it.
#[test]
fn a_forger_without_the_cookie_is_not_believed() {
    if !is_cairn() {
        return;
    }
    for tcp in [Tcp::Open, Tcp::Closed, Tcp::Filtered] {
        let mut world = world().manner(|manner| manner.wants_cookie = Some(Cookie::Of(1))).tcp(tcp);
        assert!(world.ask_true("www.example. A").is("192.0.2.1"));
        world.change(|plan, _| plan.server(&super::sim::name("ns1.example.")).link.forger = Forger::LacksCookie);
        for round in 0..8 {
            let what = format!("TCP {tcp:?}, round {round}");
            let answer = world.ask(&format!("no{round}.example. A"));
            assert!(!answer.is("203.0.113.66") && answer.rcode() == Rcode::NXDOMAIN, "{what}: {answer:?}");
        }
        world.change(|plan, _| plan.server(&super::sim::name("ns1.example.")).link.forger = Forger::None);
        world.forget();
        assert!(world.ask_true("mail.example. A").is("192.0.2.2"), "TCP {tcp:?}");
        let queries = world.queries_to("ns1.example.");
        assert!(queries.iter().all(|seen| server_cookie(seen).is_some()), "TCP {tcp:?}");
    }
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
