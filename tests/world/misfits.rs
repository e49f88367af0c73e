//! Servers that do not cope with mixed letter case, with EDNS options, or with EDNS, whatever they reply then.

use std::cell::Cell;
use std::rc::Rc;

use cairn::record::{Rcode, Rtype};

use super::sim::engine::is_cairn;
use super::sim::internet::Seen;
use super::sim::packet::{AD, Packet, TC};
use super::sim::plan::Manner;
use super::sim::{Forger, Misfit, Tcp, World};

const MISFITS: [Misfit; 7] = [
    Misfit::NoData,
    Misfit::NxDomain,
    Misfit::Fails(Rcode::REFUSED),
    Misfit::Fails(Rcode::SERVFAIL),
    Misfit::Fails(Rcode::FORMERR),
    Misfit::RefersUp,
    Misfit::Silent,
];

fn world(seed: u64) -> World {
    let world = World::new(seed).zone("example.").record("shop.example. NS ns1.shop.example.").zone("shop.example.");
    let records = [
        "www.shop.example. A 192.0.2.1",
        "mail.shop.example. A 192.0.2.2",
        "ftp.shop.example. A 192.0.2.3",
        "old.shop.example. A 192.0.2.4",
    ];
    world.records(&records).server("ns1.shop.example.")
}

fn has_mixed_case(seen: &Seen) -> bool {
    let asked = seen.query.as_ref().and_then(|query| query.question.as_ref());
    asked.is_some_and(|asked| asked.wire.iter().any(u8::is_ascii_uppercase))
}

/// Whatever the server makes of it, the first question is answered, the next ones at no more cost, and after a while
/// the server is given another chance.
fn is_borne(what: &str, seed: u64, change: impl Fn(&mut Manner) + Copy) {
    for tcp in [Tcp::Open, Tcp::Closed, Tcp::Filtered] {
        let mut world = world(seed).manner(change).tcp(tcp);
        let what = format!("{what}, TCP {tcp:?}");
        assert!(world.ask_true("www.shop.example. A").is("192.0.2.1"), "{what}");
        world.forget();
        assert!(world.ask_true("mail.shop.example. A").is("192.0.2.2"), "{what}");
        world.forget();
        assert!(world.ask_true("ftp.shop.example. A").is("192.0.2.3"), "{what}");
        let queries = world.queries_to("ns1.shop.example.").len();
        assert!(queries <= 2, "it is remembered: {queries}, {what}");
        assert_eq!(world.ask_true("no.shop.example. A").rcode(), Rcode::NXDOMAIN, "{what}");
        assert_eq!(world.ask_true("www.shop.example. AAAA").data(), Vec::<String>::new(), "{what}");
        // The server is replaced by one that copes with everything.
        world.change(|plan, _| plan.server(&super::sim::name("ns1.shop.example.")).manner = Manner::default());
        world.pass(1_000);
        world.forget();
        assert!(world.ask_true("old.shop.example. A").is("192.0.2.4"), "{what}");
        let copes = |seen: &Seen| has_mixed_case(seen) && seen.query.as_ref().is_some_and(|query| query.edns.is_some());
        assert!(world.queries_to("ns1.shop.example.").iter().any(copes), "it ends by itself: {what}");
    }
}

#[test]
fn servers_that_know_lower_case_only() {
    if !is_cairn() {
        return;
    }
    for misfit in MISFITS {
        is_borne(&format!("{misfit:?} to mixed case"), 91, |manner| manner.lower_only = Some(misfit));
    }
    is_borne("echoes lower case", 92, |manner| manner.lowers_case = true);
}

#[test]
fn servers_that_know_no_options() {
    if !is_cairn() {
        return;
    }
    for misfit in MISFITS {
        is_borne(&format!("{misfit:?} to options"), 93, |manner| manner.no_options = Some(misfit));
    }
}

#[test]
fn servers_that_know_no_edns() {
    if !is_cairn() {
        return;
    }
    for misfit in MISFITS {
        is_borne(&format!("{misfit:?} to EDNS"), 94, |manner| manner.no_edns = Some(misfit));
    }
}

/// What a server once coped with counts for a while: another one may have taken its place.
#[test]
fn a_server_may_be_replaced_by_one_that_copes_with_less() {
    if !is_cairn() {
        return;
    }
    let mut misfits: Vec<(String, Manner)> = vec![("echoes lower case".into(), Manner { lowers_case: true, ..Manner::default() })];
    for misfit in MISFITS {
        let to = |what: &str, manner| (format!("{misfit:?} to {what}"), manner);
        misfits.push(to("mixed case", Manner { lower_only: Some(misfit), ..Manner::default() }));
        misfits.push(to("options", Manner { no_options: Some(misfit), ..Manner::default() }));
        misfits.push(to("EDNS", Manner { no_edns: Some(misfit), ..Manner::default() }));
    }
    for (what, manner) in &misfits {
        for tcp in [Tcp::Open, Tcp::Closed, Tcp::Filtered] {
            let mut world = world(115).tcp(tcp);
            assert!(world.ask_true("www.shop.example. A").is("192.0.2.1"));
            world.change(|plan, _| plan.server(&super::sim::name("ns1.shop.example.")).manner = manner.clone());
            world.pass(4_000);
            assert!(world.ask_true("mail.shop.example. A").is("192.0.2.2"), "{what}, TCP {tcp:?}");
            assert!(world.ask_true("ftp.shop.example. A").is("192.0.2.3"), "{what}, TCP {tcp:?}");
            world.forget();
            assert_eq!(world.ask_true("no.shop.example. A").rcode(), Rcode::NXDOMAIN, "{what}, TCP {tcp:?}");
            assert!(world.queries_to("ns1.shop.example.").len() <= 2, "{what}, TCP {tcp:?}");
        }
    }
}

/// The first question to such a server may be one that has no data.
#[test]
fn the_first_answer_may_be_a_denial() {
    if !is_cairn() {
        return;
    }
    for misfit in MISFITS {
        let mut world = world(95).manner(|manner| manner.lower_only = Some(misfit));
        assert_eq!(world.ask_true("www.shop.example. AAAA").rcode(), Rcode::NOERROR, "{misfit:?}");
        assert!(world.ask_true("www.shop.example. A").is("192.0.2.1"), "{misfit:?}");
    }
}

/// Honest denials of a server that has never given data are checked a few times, and no more.
#[test]
fn few_honest_denials_are_checked() {
    if !is_cairn() {
        return;
    }
    let mut world = world(96);
    for (n, most) in [(0, 2), (1, 2), (2, 2), (3, 1), (4, 1)] {
        world.forget();
        assert_eq!(world.ask_true(&format!("no{n}.shop.example. A")).rcode(), Rcode::NXDOMAIN);
        assert_eq!(world.queries_to("ns1.shop.example.").len(), most, "{n}");
    }
    // A server that has given data is not checked at all.
    let mut world = self::world(97);
    world.ask_true("www.shop.example. A");
    world.forget();
    assert_eq!(world.ask_true("no.shop.example. A").rcode(), Rcode::NXDOMAIN);
    assert_eq!(world.queries_to("ns1.shop.example.").len(), 1);
}

/// One forged reply in another letter case changes nothing about the next query.
#[test]
fn a_forged_letter_case_does_not_end_0x20() {
    if !is_cairn() {
        return;
    }
    for tcp in [Tcp::Open, Tcp::Closed] {
        let mut world = world(98).forged(Forger::GuessesCase).tcp(tcp);
        let first = world.ask("www.shop.example. A");
        assert!(!first.is("203.0.113.66"));
        world.change(|plan, _| plan.server(&super::sim::name("ns1.shop.example.")).link.forger = Forger::None);
        world.pass(400);
        world.forget();
        assert!(world.ask_true("mail.shop.example. A").is("192.0.2.2"));
        let queries = world.queries_to("ns1.shop.example.");
        assert!(queries.iter().all(|seen| has_mixed_case(seen) || seen.tcp), "TCP {tcp:?}");
    }
}

/// Loss is not a misfit: on a bad link an honest server keeps EDNS, or gets it back soon.
#[test]
fn loss_does_not_end_edns_for_long() {
    if !is_cairn() {
        return;
    }
    let mut world = world(99).loss(0.3);
    for n in 0..20 {
        world.ask(&format!("no{n}.shop.example. A"));
    }
    world.change(|plan, _| plan.server(&super::sim::name("ns1.shop.example.")).link.loss = 0.0);
    world.pass(100);
    world.forget();
    world.ask_true("www.shop.example. A");
    let queries = world.queries_to("ns1.shop.example.");
    assert!(queries.iter().all(|seen| has_mixed_case(seen) && seen.query.as_ref().is_some_and(|query| query.edns.is_some())));
    assert_eq!(world.queries_for("www.shop.example.", Rtype::A), 1);
}

type Forgery = fn(&mut Packet);

/// What somebody who has guessed port and ID once may send in the place of one reply.
fn forgeries() -> [(&'static str, Forgery); 10] {
    fn error(reply: &mut Packet, rcode: Rcode) {
        reply.rcode = rcode;
        for section in [&mut reply.answer, &mut reply.authority, &mut reply.additional] {
            section.clear();
        }
    }
    fn bare(reply: &mut Packet, rcode: Rcode) {
        error(reply, rcode);
        (reply.question, reply.edns) = (None, None);
    }
    [
        ("bare FORMERR", |reply| bare(reply, Rcode::FORMERR)),
        ("bare NOTIMP", |reply| bare(reply, Rcode::NOTIMP)),
        ("bare REFUSED", |reply| bare(reply, Rcode::REFUSED)),
        ("bare SERVFAIL", |reply| bare(reply, Rcode::SERVFAIL)),
        ("FORMERR with OPT", |reply| error(reply, Rcode::FORMERR)),
        ("REFUSED with OPT", |reply| error(reply, Rcode::REFUSED)),
        ("NXDOMAIN", |reply| error(reply, Rcode::NXDOMAIN)),
        ("NXDOMAIN without OPT", |reply| {
            error(reply, Rcode::NXDOMAIN);
            reply.edns = None;
        }),
        ("NODATA", |reply| error(reply, Rcode::NOERROR)),
        ("TC", |reply| {
            error(reply, Rcode::NOERROR);
            reply.flags |= TC;
        }),
    ]
}

/// One forged reply makes the next query no easier to forge for.
#[test]
fn one_forged_reply_takes_nothing_from_later_queries() {
    if !is_cairn() {
        return;
    }
    let mut wrong = Vec::new();
    for (what, forgery) in forgeries() {
        for (tcp, at) in [Tcp::Open, Tcp::Closed, Tcp::Filtered].into_iter().flat_map(|tcp| [1, 2].map(|at| (tcp, at))) {
            let count = Cell::new(0);
            let mut world = world(100).tcp(tcp).rewrites(move |reply| {
                count.set(count.get() + 1);
                if count.get() == at {
                    forgery(reply);
                }
            });
            world.ask("www.shop.example. A");
            world.ask("ftp.shop.example. A");
            world.pass(20);
            world.forget();
            let later = world.ask("mail.shop.example. A");
            let is_full = |seen: &Seen| {
                let edns = seen.query.as_ref().and_then(|query| query.edns.as_ref());
                seen.tcp || has_mixed_case(seen) && edns.is_some_and(|edns| edns.options.iter().any(|(code, _)| *code == 10))
            };
            let queries = world.queries_to("ns1.shop.example.");
            if !later.is("192.0.2.2") || queries.is_empty() || !queries.iter().all(is_full) {
                wrong.push(format!("{what} as reply {at}, TCP {tcp:?}: {later:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Two replies in another letter case end it for a while only if no right one came between.
#[test]
fn forged_letter_cases_do_not_add_up() {
    if !is_cairn() {
        return;
    }
    let mut world = world(101).tcp(Tcp::Closed);
    let server = super::sim::name("ns1.shop.example.");
    let forge = |world: &mut World, forger| world.change(|plan, _| plan.server(&server).link.forger = forger);
    world.ask("www.shop.example. A");
    for question in ["no1.shop.example. A", "no2.shop.example. A", "no3.shop.example. A"] {
        // The forger guesses once.
        forge(&mut world, Forger::GuessesCase);
        world.ask_meanwhile(question, 8, |world| world.plan().server(&super::sim::name("ns1.shop.example.")).link.forger = Forger::None);
        forge(&mut world, Forger::None);
        world.pass(400);
        assert!(world.ask("mail.shop.example. A").is("192.0.2.2"));
        world.pass(400);
        world.forget();
        assert!(world.ask("ftp.shop.example. A").is("192.0.2.3"));
        assert!(world.queries_to("ns1.shop.example.").iter().all(has_mixed_case), "after {question}");
    }
}

/// A signed zone with names at one and at two labels below its apex.
fn signed_world(seed: u64) -> World {
    let world = World::new(seed).anchored().zone("example.").signed().zone("shop.example.").signed();
    let records = ["www.shop.example. A 192.0.2.1", "al.shop.example. CNAME www.shop.example.", "x.y.shop.example. A 192.0.2.2"];
    world.records(&records).server("ns1.shop.example.")
}

/// Without DO there are no signatures: whatever else is left out of queries, EDNS stays in them.
#[test]
fn a_signed_zone_is_proved_whatever_its_server_cannot_read() {
    if !is_cairn() {
        return;
    }
    let errors = [Rcode::REFUSED, Rcode::SERVFAIL, Rcode::FORMERR, Rcode::NOTIMP, Rcode::BADVERS, Rcode::BADCOOKIE].map(Misfit::Fails);
    let misfits = [Misfit::NoData, Misfit::NxDomain, Misfit::Silent].into_iter().chain(errors);
    let mut wrong = Vec::new();
    for (misfit, bare) in misfits.flat_map(|misfit| [(misfit, false), (misfit, true)]) {
        let is_extended = [Rcode::BADVERS, Rcode::BADCOOKIE].map(Misfit::Fails).contains(&misfit);
        if bare && is_extended {
            continue;
        }
        for unread in ["case", "options", "both together", "either"] {
            if is_extended && unread == "case" {
                continue;
            }
            for tcp in [Tcp::Open, Tcp::Closed, Tcp::Filtered] {
                let mut world = signed_world(110).tcp(tcp).manner(|manner| {
                    manner.bare = bare;
                    manner.lower_only = Some(misfit).filter(|_| matches!(unread, "case" | "either"));
                    manner.no_options = Some(misfit).filter(|_| unread != "case");
                    manner.no_options_in_mixed_case = unread == "both together";
                });
                let what = format!("{misfit:?}, without OPT: {bare}, unread: {unread}, TCP {tcp:?}");
                for (question, rcode) in [("www", Rcode::NOERROR), ("al", Rcode::NOERROR), ("x.y", Rcode::NOERROR), ("no", Rcode::NXDOMAIN)]
                {
                    let answer = world.ask(&format!("{question}.shop.example. A DO"));
                    if answer.rcode() != rcode || answer.packet.flags & AD == 0 {
                        wrong.push(format!("{question}, {what}: {answer:?}"));
                    }
                }
                let queries = world.queries_to("ns1.shop.example.").len();
                if queries > 30 {
                    wrong.push(format!("{queries} queries, {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Up to three errors or denials without OPT, of a box on the way or an overload, cost no answer and teach nothing.
#[test]
fn passing_errors_do_not_make_a_signed_zone_bogus() {
    if !is_cairn() {
        return;
    }
    let errors = [Rcode::REFUSED, Rcode::SERVFAIL, Rcode::FORMERR, Rcode::NOTIMP].map(Misfit::Fails);
    let mut wrong = Vec::new();
    for misfit in [Misfit::NoData, Misfit::NxDomain].into_iter().chain(errors) {
        for (count, tcp) in (1..=3).flat_map(|count| [Tcp::Open, Tcp::Closed, Tcp::Filtered].map(|tcp| (count, tcp))) {
            for known in [false, true] {
                let left = Rc::new(Cell::new(0));
                let mut world = signed_world(111).tcp(tcp).manner(|manner| manner.passing = Some((misfit, left.clone())));
                if known {
                    world.ask("al.shop.example. A");
                }
                left.set(if known { 1 } else { count });
                let what = format!("{count} times {misfit:?}, TCP {tcp:?}, known before: {known}");
                for question in ["www.shop.example. A DO", "x.y.shop.example. A DO", "www.shop.example. A DO"] {
                    let answer = world.ask(question);
                    if answer.rcode() != Rcode::NOERROR || answer.packet.flags & AD == 0 {
                        wrong.push(format!("{question}, {what}: {answer:?}"));
                    }
                }
                world.pass(20);
                world.forget();
                world.ask("no.shop.example. A");
                let is_full = |seen: &Seen| {
                    let edns = seen.query.as_ref().and_then(|query| query.edns.as_ref());
                    seen.tcp || has_mixed_case(seen) && edns.is_some_and(|edns| !edns.options.is_empty())
                };
                if !world.queries_to("ns1.shop.example.").iter().all(is_full) {
                    wrong.push(format!("the form stays, {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where a server of a signed zone knows no EDNS, another one of the zone does.
#[test]
fn a_signed_zone_is_asked_of_the_servers_that_know_edns() {
    if !is_cairn() {
        return;
    }
    for misfit in MISFITS {
        for seed in 0..6 {
            let mut world = signed_world(seed).manner(|manner| manner.no_edns = Some(misfit)).server("ns2.shop.example.");
            for question in ["www.shop.example. A DO", "x.y.shop.example. A DO"] {
                let answer = world.ask(question);
                assert!(
                    answer.rcode() == Rcode::NOERROR && answer.packet.flags & AD != 0,
                    "{misfit:?}, seed {seed}: {question} {answer:?}"
                );
            }
        }
    }
}
