//! Worlds of a few lines, one behaviour each. The first group holds for any resolver, the second needs a cache and care
//! for its servers.

use std::time::Duration;

use cairn::record::{Rcode, Rtype};
use cairn::resolve::{Kind, Step};
use cairn::upstream::TcpReason;

use super::sim::engine::is_cairn;
use super::sim::packet::{AD, RD};
use super::sim::world::tally;
use super::sim::{Forger, Lame, Tcp, World, name};

const WWW: &str = "www.example. A 192.0.2.1";

fn plain(seed: u64) -> World {
    World::new(seed).zone("example.").record(WWW)
}

#[test]
fn a_name_is_found_from_the_root_down() {
    let mut world = plain(1);
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    assert!(!world.queries_to("a.root-servers.net.").is_empty());
    assert!(!world.queries_to("ns1.example.").is_empty());
}

#[test]
fn what_is_not_there_is_denied() {
    let mut world = plain(2);
    assert_eq!(world.ask_true("no.example. A").rcode(), Rcode::NXDOMAIN);
    assert_eq!(world.ask_true("www.example. MX").rcode(), Rcode::NOERROR);
    assert_eq!(world.ask_true("nothing. A").rcode(), Rcode::NXDOMAIN);
}

#[test]
fn aliases_are_followed_across_zones() {
    let mut world = plain(3)
        .records(&["a.example. CNAME b.sub.other.", "d.example. DNAME sub.other.", "gone.example. CNAME no.sub.other."])
        .zone("sub.other.")
        .records(&["b.sub.other. CNAME www.example.", "*.sub.other. TXT x"]);
    assert!(world.ask_true("a.example. A").is("192.0.2.1"));
    assert!(world.ask_true("b.d.example. A").is("192.0.2.1"));
    assert_eq!(world.ask_true("gone.example. A").rcode(), Rcode::NOERROR);
    assert_eq!(world.ask_true("x.b.sub.other. TXT").rcode(), Rcode::NXDOMAIN);
    assert_eq!(world.ask_true("x.sub.other. TXT").packet.answer.len(), 1);
}

#[test]
fn name_servers_elsewhere_are_looked_up() {
    let mut world = World::new(4)
        .zone("example.")
        .server("ns.other.")
        .record(WWW)
        .zone("deep.example.")
        .server("ns.third.other.")
        .record("www.deep.example. A 192.0.2.2");
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    assert!(world.ask_true("www.deep.example. A").is("192.0.2.2"));
}

#[test]
fn a_dead_or_lame_server_has_a_neighbour() {
    for lame in [None, Some(Lame::Refuses), Some(Lame::RefersUp), Some(Lame::Empty)] {
        let world = plain(5).server("ns1.example.").server("ns2.example.").server("ns1.example.");
        let mut world = match lame {
            None => world.dead(),
            Some(lame) => world.lame(lame),
        };
        let answer = world.ask_true("www.example. A");
        assert!(answer.is("192.0.2.1"), "{lame:?}");
        assert!(answer.took < Duration::from_secs(4), "{lame:?}: {answer:?}");
    }
}

/// A lame server's "nothing" must not speak for one whose address cannot be found.
#[test]
fn nothing_is_no_answer_while_a_server_cannot_be_found() {
    if !is_cairn() {
        return;
    }
    let world = World::new(6).zone("away.").server("ns1.away.").dead().zone("example.").record(WWW);
    let mut world = world.server("ns1.example.").lame(Lame::Empty).server("ns.away.");
    assert_eq!(world.ask("www.example. A").rcode(), Rcode::SERVFAIL);
}

#[test]
fn truncation_leads_to_tcp() {
    let mut world = plain(6).server("ns1.example.").truncates();
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    assert!(world.log().iter().any(|seen| seen.tcp));
}

#[test]
fn servers_older_than_edns_are_asked_without() {
    let mut world = plain(7).server("ns1.example.").formerr_to_edns();
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
}

#[test]
fn forged_replies_lose_to_the_true_one() {
    for forger in [Forger::GuessesId(1), Forger::OtherQuestion, Forger::GuessesCase] {
        let mut world = plain(8).server("ns1.example.").forged(forger);
        assert!(world.ask_true("www.example. A").is("192.0.2.1"), "{forger:?}");
    }
}

#[test]
fn a_server_of_ipv6_only_is_reached() {
    let mut world = plain(9).server("ns1.example.").ipv6_only();
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
    let mut world = plain(9).server("ns1.example.").dual_stack().families(true, false);
    assert!(world.ask_true("www.example. A").is("192.0.2.1"));
}

#[test]
fn loss_duplicates_and_disorder_are_survived() {
    for seed in 0..20 {
        let mut world = plain(seed).server("ns1.example.").server("ns2.example.").every_link(|link| {
            (link.loss, link.duplicate) = (0.1, 0.2);
            link.jitter = Duration::from_millis(40);
        });
        let answer = world.ask("www.example. A");
        assert!(world.expected("www.example. A").contradicts(&answer.packet).is_none(), "{answer:?}");
    }
}

#[test]
fn one_seed_is_one_history() {
    let history = |seed| {
        let mut world = plain(seed).server("ns1.example.").loss(0.3).jitter(30);
        let answer = world.ask("www.example. A");
        let log: Vec<String> = world.log().iter().map(ToString::to_string).collect();
        (answer.took, log.join("\n"))
    };
    assert_eq!(history(11), history(11));
    assert!((12..20).any(|seed| history(seed) != history(11)));
}

#[test]
fn an_endless_alias_ends() {
    let mut world = plain(12).records(&["a.example. CNAME b.example.", "b.example. CNAME a.example."]);
    let answer = world.ask("a.example. A");
    assert!(world.expected("a.example. A").contradicts(&answer.packet).is_none(), "{answer:?}");
    assert!(world.log().len() < 60);
}

// From here on a resolver with a cache.

#[test]
fn an_answer_is_kept_and_ages() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(20);
    assert_eq!(world.ask_true("www.example. A").ttl(), Some(3600));
    world.forget();
    world.pass(100);
    let again = world.ask_true("www.example. A");
    assert_eq!((again.ttl(), world.queries_to("ns1.example.").len()), (Some(3500), 0));
    world.pass(3501);
    assert_eq!(world.ask_true("www.example. A").ttl(), Some(3600));
    assert_eq!(world.queries_to("ns1.example.").iter().filter(|seen| seen.name() == name("www.example.")).count(), 1);
}

#[test]
fn a_denial_is_kept_for_its_own_time() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(21).record("example. SOA ns1.example. . 1 2 3 4 60");
    world.ask_true("no.example. A");
    world.forget();
    world.pass(50);
    world.ask_true("no.example. A");
    assert!(world.queries_to("ns1.example.").is_empty());
    world.pass(20);
    world.ask_true("no.example. A");
    assert!(!world.queries_to("ns1.example.").is_empty());
}

#[test]
fn queries_to_servers_are_as_they_should_be() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(22).zone("a.b.c.example.").record("www.x.a.b.c.example. A 192.0.2.7");
    assert!(world.ask_true("www.x.a.b.c.example. A").is("192.0.2.7"));
    for seen in world.log() {
        let query = seen.query.as_ref().expect("a message");
        assert!(!query.has(RD) && !query.has(AD), "{seen}");
        assert_eq!(query.edns.as_ref().map(|edns| edns.size), Some(1232), "{seen}");
        assert_eq!((query.opcode, query.answer.len(), query.additional.len()), (0, 0, 0));
    }
    // RFC 9156: the root learns no more than the TLD.
    for seen in world.queries_to("a.root-servers.net.") {
        assert!(seen.name().label_count() <= 1 || seen.name().is_within(&name("root-servers.net.")), "{seen}");
    }
    // A port that one server has seen is never shown to another (RFC 5452 9.2).
    let mut seen_by: std::collections::HashMap<u16, std::net::SocketAddr> = std::collections::HashMap::new();
    for seen in world.log() {
        assert_eq!(*seen_by.entry(seen.from_port).or_insert(seen.to), seen.to, "{seen}");
    }
    assert!(seen_by.len() >= 3, "one port for all servers");
}

#[test]
fn one_question_at_the_same_time_is_asked_once() {
    if !is_cairn() {
        return;
    }
    for workers in [1, 2] {
        let mut world = plain(23).workers(workers);
        let answers = world.ask_all(&["www.example. A"; 20]);
        assert!(answers.iter().all(|answer| answer.is("192.0.2.1")));
        let most = tally(&world.log()).into_iter().max_by_key(|(_, count)| *count);
        assert!(most.as_ref().is_some_and(|(_, count)| *count == 1), "{most:?}");
    }
}

#[test]
fn a_record_from_outside_the_bailiwick_is_not_believed() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(24)
        .server("ns1.example.")
        .slips_in("www.victim. A 203.0.113.66")
        .slips_in("victim. NS ns1.example.")
        .zone("victim.")
        .record("www.victim. A 192.0.2.9");
    world.ask_true("www.example. A");
    assert!(world.ask_true("www.victim. A").is("192.0.2.9"));
}

#[test]
fn rd_0_reads_the_cache_alone() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(25).tune(|settings| settings.policy.allow_snoop = settings.server.allow.clone());
    assert!(world.ask("www.example. A norec").packet.answer.is_empty());
    assert!(world.log().is_empty(), "RD=0 must not make the resolver ask");
    world.ask_true("www.example. A");
    assert!(world.ask("www.example. A norec").is("192.0.2.1"));
}

/// Unvalidated data in the cache, such as the address of a server, is no answer for a client that wants validation.
#[test]
fn what_rd_0_reads_unproved_is_not_kept_for_others() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(36)
        .trust_anchor("example. DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000")
        .tune(|settings| settings.policy.allow_snoop = settings.server.allow.clone())
        .zone("example.")
        .server("ns1.example.")
        .zone("other.")
        .server("ns.example.")
        .records(&["www.other. A 192.0.2.1", "other. MX 10 ns.example."]);
    world.ask_true("www.other. A");
    assert_eq!(world.ask("ns.example. A norec").packet.answer.len(), 1);
    let bogus = world.ask("ns.example. A");
    assert_eq!(bogus.rcode(), Rcode::SERVFAIL, "{bogus:?}");
    let beside = world.ask_true("other. MX");
    assert!(beside.packet.additional.is_empty(), "bogus data is none beside an answer either: {beside:?}");
}

#[test]
fn no_private_address_comes_beside_an_answer() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(37).records(&["example. MX 10 in.example.", "in.example. A 192.168.1.1"]);
    world.ask("in.example. A");
    let answer = world.ask("example. MX");
    assert_eq!((answer.packet.answer.len(), answer.packet.additional.len()), (1, 0), "{answer:?}");
}

/// The last tenth of a long life may be long: servers that are silent all that time are left alone between.
#[test]
fn a_refresh_that_fails_is_not_tried_each_second() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(38);
    world.ask_true("www.example. A");
    world.pass(3600 - 300);
    let mut world = world.server("ns1.example.").dead();
    world.forget();
    for _ in 0..250 {
        assert!(world.ask("www.example. A").is("192.0.2.1"));
        world.pass(1);
    }
    let sent = world.queries_for("www.example.", Rtype::A);
    assert!((1..60).contains(&sent), "{sent} queries in 250 seconds");
}

/// RFC 7686 2, RFC 6303: what is answered here is not asked for when it has been popular for hours, either.
#[test]
fn special_names_are_never_refreshed_from_outside() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(40).listening();
    for _ in 0..12 {
        for question in ["x.onion. A", "1.1.168.192.in-addr.arpa. PTR", "localhost. A"] {
            world.ask(question);
        }
        world.pass(1000);
    }
    assert!(world.log().is_empty(), "{} queries left", world.log().len());
}

/// Of a chain of aliases the link is refreshed that is near its end.
#[test]
fn the_end_of_a_chain_is_refreshed() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(39).records(&["a.example. 86400 CNAME b.cdn."]).zone("cdn.").server("ns1.cdn.").record("b.cdn. 100 A 192.0.2.1");
    world.ask_true("a.example. A");
    world.pass(95);
    world.forget();
    world.ask_true("a.example. A");
    world.wait_ms(500);
    assert_eq!((world.queries_for("a.example.", Rtype::A), world.queries_for("b.cdn.", Rtype::A)), (0, 1));
    world.pass(10);
    world.forget();
    let later = world.ask_true("a.example. A");
    assert!(later.is("192.0.2.1") && later.ttl() > Some(80) && world.log().is_empty(), "{later:?}");
}

#[test]
fn when_nobody_answers_the_client_hears_so_in_time() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(26).server("ns1.example.").dead();
    let answer = world.ask("www.example. A");
    assert_eq!(answer.rcode(), Rcode::SERVFAIL);
    assert!(answer.took <= Duration::from_millis(4500), "{answer:?}");
    assert!(!answer.packet.errors().is_empty(), "an extended error says why");
    world.forget();
    assert_eq!(world.ask("www.example. A").rcode(), Rcode::SERVFAIL);
}

/// Silent servers, whatever was known of them before, are given time, and the client an answer while it waits.
#[test]
fn silence_is_given_up_neither_early_nor_late() {
    if !is_cairn() {
        return;
    }
    for (known, servers) in [(false, 1), (false, 4), (true, 1), (true, 2), (true, 4)] {
        let mut world =
            (1..=servers).fold(plain(31).record("mail.example. A 192.0.2.2"), |world, n| world.server(&format!("ns{n}.example.")));
        if known {
            world.ask_true("www.example. A");
        } else {
            world.ask("nothing.nowhere. A");
        }
        let mut world = (1..=servers).fold(world, |world, n| world.server(&format!("ns{n}.example.")).dead());
        world.forget();
        let answer = world.ask("mail.example. A");
        assert_eq!(answer.rcode(), Rcode::SERVFAIL);
        let (earliest, latest) = (Duration::from_millis(2000), Duration::from_millis(4500));
        assert!(earliest <= answer.took && answer.took <= latest, "{servers} servers, known: {known}: {answer:?}");
        assert!(answer.packet.errors().iter().any(|code| [22, 23].contains(code)), "{answer:?}");
        let tried = (1..=servers).filter(|n| !world.queries_to(&format!("ns{n}.example.")).is_empty()).count();
        assert_eq!(tried, servers, "every server has its chance");
        // The same question again is answered at once, without an upstream query.
        world.wait_ms(2000);
        world.forget();
        let again = world.ask("mail.example. A");
        assert_eq!((again.rcode(), again.took, world.log().len()), (Rcode::SERVFAIL, Duration::ZERO, 0));
    }
}

#[test]
fn a_walk_that_the_client_does_not_wait_for_goes_on() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(32).every_link(|link| link.delay = Duration::from_millis(350));
    for zone in ["example.", "b.example.", "c.b.example.", "d.c.b.example.", "e.d.c.b.example."] {
        world = world.zone(zone).server(&format!("ns1.{zone}"));
    }
    let mut world = world.record("www.e.d.c.b.example. A 192.0.2.1");
    let first = world.ask("www.e.d.c.b.example. A");
    assert_eq!((first.rcode(), first.took), (Rcode::SERVFAIL, Duration::from_millis(4500)), "{first:?}");
    let again = world.ask("www.e.d.c.b.example. A");
    assert_eq!((again.rcode(), again.took), (Rcode::SERVFAIL, Duration::ZERO), "the walk is under way");
    world.wait_ms(5000);
    world.forget();
    let later = world.ask("www.e.d.c.b.example. A");
    assert!(later.is("192.0.2.1") && later.took.is_zero() && world.log().is_empty(), "{later:?}");
}

#[test]
fn explain_says_why_tcp_was_asked() {
    if !is_cairn() {
        return;
    }
    let server = |seed| plain(seed).server("ns1.example.");
    let rows = [
        (server(36).truncates(), Some(TcpReason::Truncated)),
        (server(37).forged(Forger::GuessesId(3)), Some(TcpReason::NearMisses)),
        (server(38).manner(|manner| manner.lowers_case = true), Some(TcpReason::CaseMangled)),
        (server(39), None),
    ];
    for (mut world, expected) in rows {
        let reasons: Vec<Option<TcpReason>> = world
            .explain("www.example. A")
            .into_iter()
            .filter_map(|step| match step {
                Step::Reply { kind: Kind::Answer, tcp, tcp_because, .. } => {
                    assert_eq!(tcp, tcp_because.is_some(), "what came by UDP was not believed");
                    Some(tcp_because)
                }
                _ => None,
            })
            .collect();
        assert_eq!(reasons.last(), Some(&expected));
    }
}

/// The zone names more servers than its parent does: they are asked when those of the parent have failed, not before.
#[test]
fn servers_that_only_the_zone_names_are_the_last_to_be_asked() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(33)
        .zone("example.")
        .record("a.example. NS ns1.a.example.")
        .zone("a.example.")
        .server("ns1.a.example.")
        .server("ns.other.")
        .records(&["www.a.example. A 192.0.2.1", "mail.a.example. A 192.0.2.2", "ftp.a.example. A 192.0.2.3"]);
    world.ask_true("www.a.example. A");
    world.ask_true("mail.a.example. A");
    assert!(world.queries_to("ns.other.").is_empty());
    let mut world = world.server("ns1.a.example.").fails(Rcode::SERVFAIL);
    world.ask_true("ftp.a.example. A");
    assert!(!world.queries_to("ns.other.").is_empty());
}

#[test]
fn old_data_is_better_than_none() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(27);
    world.ask_true("www.example. A");
    world.pass(4000);
    let mut world = world.server("ns1.example.").dead();
    let stale = world.ask("www.example. A");
    assert!(stale.is("192.0.2.1"), "{stale:?}");
    assert_eq!(stale.ttl(), Some(30));
    assert!(stale.took <= Duration::from_millis(2000), "{stale:?}");
}

#[test]
fn tcp_that_does_not_work_is_not_the_end() {
    if !is_cairn() {
        return;
    }
    for tcp in [Tcp::Closed, Tcp::Filtered, Tcp::OneReply] {
        let mut world = plain(28).server("ns1.example.").truncates().tcp(tcp).server("ns2.example.");
        assert!(world.ask_true("www.example. A").is("192.0.2.1"), "{tcp:?}");
    }
}

#[test]
fn the_letters_of_the_question_come_back() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(29);
    for question in ["wWw.ExAmple. A", "WWW.EXAMPLE. A"] {
        let answer = world.ask_true(question);
        let asked = answer.packet.question.as_ref().expect("a question");
        assert_eq!(asked.wire[1..4], question.as_bytes()[..3]);
    }
}

#[test]
fn a_changed_zone_shows_after_the_ttl() {
    if !is_cairn() {
        return;
    }
    let mut world = plain(30).tune(|settings| settings.cache.prefetch = false);
    world.ask_true("www.example. A");
    let mut world = world.zone("example.").without("www.example.", Rtype::A).record("www.example. A 192.0.2.77");
    assert!(world.ask("www.example. A").is("192.0.2.1"));
    world.pass(3601);
    assert!(world.ask_true("www.example. A").is("192.0.2.77"));
}

#[test]
fn an_alias_ages_while_its_target_is_looked_for() {
    if !is_cairn() {
        return;
    }
    let world = World::new(31)
        .zone("example.")
        .record("a.example. 300 CNAME l0.slow.")
        .zone("slow.")
        .server("ns1.slow.")
        .delay(150)
        .manner(|manner| manner.one_link = true);
    let world = (0..7).fold(world, |world, n| world.record(&format!("l{n}.slow. CNAME l{}.slow.", n + 1)));
    let mut world = world.record("l7.slow. A 192.0.2.1");
    let first = world.ask_true("a.example. A");
    assert!(first.is("192.0.2.1") && first.took > Duration::from_secs(1), "{first:?}");
    let ttl =
        |answer: &super::sim::world::Answer, owner: &str| answer.packet.answer.iter().find(|rr| rr.name == name(owner)).map(|rr| rr.ttl);
    let spent = first.took.as_secs() as u32;
    assert!(ttl(&first, "a.example.").is_some_and(|left| left <= 300 - spent), "{first:?}");
}

/// Servers that a zone has left may say nothing instead of refusing.
#[test]
fn nothing_is_no_answer_before_the_parent_is_asked() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(32).zone("example.").server("ns1.example.").records(&[WWW, "mail.example. A 192.0.2.2"]);
    world.ask_true("www.example. A");
    world.change(|plan, _| {
        plan.move_zone(&name("example."), &[name("ns2.example.")]);
        plan.server(&name("ns1.example.")).manner.lame = Some(Lame::Empty);
    });
    world.pass(5);
    assert!(world.ask_true("mail.example. A").is("192.0.2.2"));
    // Where the parent stays with such a server, nothing is an answer after all.
    let mut world = World::new(33).zone("example.").record(WWW);
    world.ask_true("www.example. A");
    let mut world = world.server("ns1.example.").lame(Lame::Empty);
    world.pass(5);
    let nothing = world.ask("mail.example. A");
    assert_eq!((nothing.rcode(), nothing.packet.answer.len()), (Rcode::NOERROR, 0), "{nothing:?}");
}

/// A child's NS set expires with the parent's NS set that led to it (ghost domains).
#[test]
fn servers_that_a_zone_has_left_do_not_keep_it() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(34).zone("com.").ttl(300).zone("ghost.com.").ttl(86_400).server("ns1.ghost.com.");
    for host in 0..20 {
        world = world.record(&format!("h{host}.ghost.com. 10 A 192.0.2.1"));
    }
    for question in ["ghost.com. NS", "ns1.ghost.com. A", "h0.ghost.com. A"] {
        world.ask_true(question);
    }
    world.change(|plan, _| plan.move_zone(&name("ghost.com."), &[name("ns2.ghost.com."), name("ns3.ghost.com.")]));
    world.pass(301);
    for host in 0..20 {
        world.ask_true(&format!("h{host}.ghost.com. A"));
    }
    assert!(world.queries_to("ns1.ghost.com.").iter().all(|seen| seen.at < Duration::from_secs(30)));
}

/// A third of all packets is lost. A server that has not replied in the usual time is left for another one, and what was
/// lost is not taken for slowness.
#[test]
fn a_lossy_network_costs_little_time() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(90).zone("shop.example.").record("*.shop.example. A 192.0.2.1");
    world = world.server("ns1.shop.example.").server("ns2.shop.example.").server("ns3.shop.example.");
    for n in 0..10 {
        world.ask(&format!("known{n}.shop.example. A"));
    }
    world.set_loss(0.163);
    let mut took: Vec<_> = (0..300)
        .map(|n| {
            world.wait_ms(10);
            let answer = world.ask(&format!("h{n}.shop.example. A"));
            assert!(answer.is("192.0.2.1"), "{answer:?}");
            answer.took
        })
        .collect();
    took.sort();
    assert!(took[285] <= Duration::from_millis(60 + 20), "of 300: {:?} {:?} {:?}", took[150], took[285], took[299]);

    let mut world = World::new(90);
    for n in 0..300 {
        let zone = format!("z{n}.example.");
        world = world.zone(&zone).record(&format!("www.{zone} A 192.0.2.1")).server(&format!("ns1.{zone}")).server(&format!("ns2.{zone}"));
    }
    world.set_loss(0.163);
    let mut took: Vec<_> = (0..300)
        .map(|n| {
            let answer = world.ask(&format!("www.z{n}.example. A"));
            assert!(answer.is("192.0.2.1"), "{answer:?}");
            answer.took
        })
        .collect();
    took.sort();
    assert!(took[285] <= Duration::from_millis(500), "of 300: {:?} {:?} {:?}", took[150], took[285], took[299]);
}

/// Nothing is lost, but everything has become ten times slower than it was: the first reply is waited for, and learned of.
#[test]
fn a_link_that_has_become_slow_is_not_deaf() {
    if !is_cairn() {
        return;
    }
    let world = World::new(92).zone("shop.example.").record("*.shop.example. A 192.0.2.1");
    let mut world = world.server("ns1.shop.example.").server("ns2.shop.example.");
    for n in 0..20 {
        world.ask(&format!("known{n}.shop.example. A"));
    }
    world.plan().servers.iter_mut().for_each(|server| server.link.delay = Duration::from_millis(150));
    let answer = world.ask("slow.shop.example. A");
    assert!(answer.is("192.0.2.1") && answer.took < Duration::from_millis(350), "{answer:?}");
    world.ask("again.shop.example. A");
    world.forget();
    world.ask("once.shop.example. A");
    assert_eq!(world.log().len(), 1, "that it has become slow is known by now");
}

#[test]
fn dead_servers_are_asked_now_and_then() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(93).zone("gone.example.").record("www.gone.example. A 192.0.2.1").zone("other.example.");
    world = world.record("*.other.example. A 192.0.2.2").zone("gone.example.");
    for n in 1..=4 {
        world = world.server(&format!("ns{n}.gone.example.")).dead();
    }
    world.ask("x.other.example. A");
    world.forget();
    let began = world.now();
    for n in 0..20 {
        let due = began + Duration::from_millis(500 * n);
        let early = due.saturating_sub(world.now());
        world.wait_ms(early.as_millis() as u64);
        let answer = world.ask("www.gone.example. A");
        assert!(answer.rcode() == Rcode::SERVFAIL && answer.took <= Duration::from_millis(4_500), "{answer:?}");
    }
    let asked = (1..=4).map(|n| world.queries_to(&format!("ns{n}.gone.example.")).len()).sum::<usize>();
    assert!(asked <= 16, "{asked} queries");
}

#[test]
fn one_living_server_of_three_will_do() {
    if !is_cairn() {
        return;
    }
    let mut world = World::new(94).zone("other.example.").record("*.other.example. A 192.0.2.2");
    for n in 0..50 {
        let zone = format!("z{n}.example.");
        world = world.zone(&zone).record(&format!("www.{zone} A 192.0.2.1")).server(&format!("ns1.{zone}"));
        world = world.server(&format!("ns2.{zone}")).dead().server(&format!("ns3.{zone}")).dead();
    }
    world.ask("x.other.example. A");
    for n in 0..50 {
        let answer = world.ask(&format!("www.z{n}.example. A"));
        assert!(answer.is("192.0.2.1") && answer.took <= Duration::from_millis(400), "{answer:?}");
    }
}
