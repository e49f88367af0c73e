//! Old data where newer data cannot be had or validated (RFC 8767): the chain of trust above a zone breaks, as that of a
//! top-level domain did in 2023. What was validated earlier is given then, said to be old, and is never secure.

use cairn::cache::Moment;
use cairn::env::WallTime;
use cairn::record::{Name, Rank, Rcode, RrSet, Rtype, Security};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::AD;
use super::sim::record::Rr;
use super::sim::signing::Key;
use super::sim::world::{Answer, World, name};
use super::sim::zone::Zone;
use super::validation::{anchor, example, is_bogus, is_secure, replace, set, verdict};

/// The keys of the zone above are wrong now (as of a top-level domain in 2023): what was proved earlier is given, and said to
/// be old and why. Data that is wrong itself is never given, nor is anything in its place.
#[test]
fn proved_data_outlives_a_broken_chain_above_it() {
    if !is_cairn() {
        return;
    }
    type Break = (&'static str, fn(&mut Zone));
    let breaks: [Break; 3] = [
        ("signatures over the keys", |zone| {
            zone.remove(&name("example."), Rtype::DNSKEY);
            zone.add(Rr::new(&name("example."), Rtype::DNSKEY, 3_600, Key::new(99).dnskey()));
        }),
        ("signature over the DS", |zone| {
            let ds = set(zone, "sub.example.", Rtype::RRSIG);
            zone.remove(&name("sub.example."), Rtype::RRSIG);
            ds.into_iter().for_each(|mut rr| {
                rr.rdata.last_mut().into_iter().for_each(|octet| *octet ^= 1);
                zone.add(rr);
            });
        }),
        ("all signatures are over", |zone| {
            let owners: Vec<Name> = zone.names().cloned().collect();
            owners.iter().for_each(|owner| zone.sign_name(owner, Key::new(2), WALL_S - 20 * 86_400));
        }),
    ];
    let zones = [(".", 1), ("example.", 2), ("sub.example.", 3)];
    for (what, spoil) in breaks {
        let world = example(82)
            .zone("sub.example.")
            .records(&["www.sub.example. 300 A 192.0.2.1", "alias.sub.example. 300 CNAME www.sub.example."]);
        let mut world = world.server("ns1.sub.example.").sign(&zones, WALL_S).trust_anchor(&anchor(".", 1));
        for question in ["www.sub.example. A DO", "alias.sub.example. A DO", "www.sub.example. TXT DO"] {
            assert!(is_secure(&world.ask(question)), "{question}");
        }
        assert_eq!(verdict(&world.ask("no.sub.example. A DO")), (Rcode::NXDOMAIN, true, vec![]));
        world.pass(8_000);
        world.change(|plan, _| spoil(plan.zones.get_mut(&name("example.")).expect("there")));
        for turn in 0..4 {
            let answer = world.ask("www.sub.example. A DO");
            let mut errors = answer.packet.errors();
            errors.sort_unstable();
            assert!(answer.is("192.0.2.1") && !answer.packet.has(AD) && errors == [3, 6], "{what}, turn {turn}: {answer:?} {errors:?}");
            let alias = world.ask("alias.sub.example. A DO");
            assert!(alias.is("192.0.2.1"), "{what}: {alias:?}");
            let nodata = world.ask("www.sub.example. TXT DO");
            assert!(nodata.rcode() == Rcode::NOERROR && nodata.packet.errors().contains(&3), "{what}: {nodata:?}");
            let gone = world.ask("no.sub.example. A DO");
            assert!(gone.rcode() == Rcode::NXDOMAIN && gone.packet.errors().contains(&19), "{what}: {gone:?}");
            let never = world.ask("never.sub.example. A DO");
            assert!(is_bogus(&never), "{what}: {never:?}");
            world.pass([5, 31, 400][turn.min(2)]);
        }
        // Mended.
        world.change(|plan, _| plan.zones.get_mut(&name("example.")).expect("there").sign(Key::new(2), WALL_S));
        world.pass(400);
        assert!(is_secure(&world.ask("www.sub.example. A DO")), "{what}");
    }
}

#[test]
fn data_that_is_wrong_itself_is_not_covered_by_old_data() {
    if !is_cairn() {
        return;
    }
    let zones = [(".", 1), ("example.", 2), ("sub.example.", 3)];
    let world = example(83).zone("sub.example.").record("www.sub.example. 300 A 192.0.2.1").server("ns1.sub.example.");
    let mut world = world.sign(&zones, WALL_S).trust_anchor(&anchor(".", 1));
    assert!(is_secure(&world.ask("www.sub.example. A DO")));
    world.pass(8_000);
    world.change(|plan, _| replace(plan.zones.get_mut(&name("sub.example.")).expect("there"), "www.sub.example. 300 A 192.0.2.66"));
    for seconds in [0, 5, 40, 100] {
        world.pass(seconds);
        let answer = world.ask("www.sub.example. A DO");
        assert!(is_bogus(&answer), "{answer:?}");
    }
}

/// A secure zone below another one, with the names of the tests that follow, and an unsigned zone beside it.
fn sheltered(seed: u64, by_hash: bool) -> World {
    let world = example(seed)
        .zone("sub.example.")
        .records(&["lb.sub.example. 300 A 192.0.2.1", "www.sub.example. 300 CNAME lb.sub.example.", "a.sub.example. 300 A 192.0.2.2"])
        .records(&["a.sub.example. 300 MX 5 lb.sub.example.", "b.sub.example. 300 A 192.0.2.3", "d.sub.example. 300 DNAME t.sub.example."])
        .records(&["x.t.sub.example. 300 A 192.0.2.4", "*.w.sub.example. 300 A 192.0.2.5", "kept.sub.example. 40000 A 192.0.2.6"])
        .records(&[
            "*.kept.sub.example. 40000 A 192.0.2.7",
            "sub.example. 300 MX 5 lb.sub.example.",
            "twice.sub.example. 300 CNAME www.sub.example.",
        ])
        .record("e.sub.example. 300 DNAME longer.t.sub.example.")
        .server("ns1.sub.example.")
        .zone("plain.example.")
        .records(&["www.plain.example. 300 A 192.0.2.8", "kept.plain.example. 40000 A 192.0.2.9"])
        .server("ns1.plain.example.")
        .sign(&[(".", 1), ("example.", 2), ("sub.example.", 3)], WALL_S)
        .trust_anchor(&anchor(".", 1));
    if by_hash { world.nsec3("sub.example.", 3, 0, WALL_S) } else { world }
}

/// The keys of the zone above are wrong from now on.
fn break_above(world: &mut World) {
    world.change(|plan, _| {
        let zone = plan.zones.get_mut(&name("example.")).expect("there");
        zone.remove(&name("example."), Rtype::DNSKEY);
        zone.add(Rr::new(&name("example."), Rtype::DNSKEY, 3_600, Key::new(99).dnskey()));
    });
}

/// The data of the zone below changes, and is signed well.
fn change_below(world: &mut World, by_hash: bool, change: impl Fn(&mut Zone)) {
    world.change(|plan, _| {
        let zone = plan.zones.get_mut(&name("sub.example.")).expect("there");
        let owners: Vec<Name> = zone.names().cloned().collect();
        owners.iter().for_each(|owner| [Rtype::RRSIG, Rtype::NSEC3].into_iter().for_each(|rtype| zone.remove(owner, rtype)));
        change(zone);
        match by_hash {
            true => zone.sign_nsec3(Key::new(3), WALL_S, 0),
            false => zone.sign(Key::new(3), WALL_S),
        }
    });
}

fn is_old(answer: &Answer, data: &str) -> bool {
    let (rcode, ad, mut errors) = verdict(answer);
    errors.sort_unstable();
    rcode == Rcode::NOERROR && !ad && errors == [3, 6] && answer.data().last().is_some_and(|last| last.starts_with(data))
}

/// An alias answers for every type, and so does what is known of why it is bogus: a client of both families asks three times.
#[test]
fn a_question_for_one_type_leaves_the_old_data_of_others() {
    if !is_cairn() {
        return;
    }
    let questions = ["www.sub.example. AAAA DO", "www.sub.example. A DO", "www.sub.example. HTTPS DO", "www.sub.example. CNAME DO"];
    for first in 0..questions.len() {
        let mut world = sheltered(86, first % 2 == 1);
        for question in questions.iter().chain(&["twice.sub.example. A DO", "twice.sub.example. AAAA DO"]) {
            assert!(is_secure(&world.ask(question)), "{question}");
        }
        world.pass(8_000);
        break_above(&mut world);
        for turn in 0..4 {
            for at in 0..questions.len() {
                let question = questions[(first + at) % questions.len()];
                let answer = world.ask(question);
                assert!(answer.rcode() == Rcode::NOERROR && answer.packet.errors().contains(&3), "turn {turn}, {question}: {answer:?}");
                assert!(answer.packet.errors().contains(&6) && !answer.packet.has(AD), "turn {turn}, {question}: {answer:?}");
            }
            assert!(world.ask("www.sub.example. A").is("192.0.2.1"), "turn {turn}");
            assert_eq!(world.ask("twice.sub.example. AAAA").rcode(), Rcode::NOERROR, "turn {turn}");
            assert!(world.ask("twice.sub.example. A").is("192.0.2.1"), "turn {turn}");
            world.pass([5, 31, 400][turn.min(2)]);
        }
    }
}

/// Neither ANY, nor a client that checks by itself, nor the names of servers in a referral take it away; what has not expired
/// yet stays what it is.
#[test]
fn other_questions_take_no_proved_data_away() {
    if !is_cairn() {
        return;
    }
    for by_hash in [false, true] {
        for cd in ["", " CD"] {
            let mut world = sheltered(87, by_hash);
            for question in ["a.sub.example. A", "a.sub.example. MX", "sub.example. MX", "kept.sub.example. A", "x.kept.sub.example. A"] {
                assert!(is_secure(&world.ask(&format!("{question} DO"))), "{question}");
            }
            for question in ["ns1.sub.example. A DO", "x.w.sub.example. A DO"] {
                assert!(is_secure(&world.ask(question)), "{question}");
            }
            assert!(world.ask("kept.plain.example. A DO").is("192.0.2.9"));
            world.pass(8_000);
            break_above(&mut world);
            for owner in ["a.sub.example.", "sub.example.", "kept.sub.example.", "x.kept.sub.example.", "kept.plain.example."] {
                world.ask(&format!("{owner} ANY DO{cd}"));
                world.ask(&format!("{owner} TXT DO{cd}"));
            }
            for turn in 0..3 {
                let what = format!("by hash {by_hash},{cd} turn {turn}");
                let a = world.ask("a.sub.example. A DO");
                assert!(is_old(&a, "192.0.2.2"), "{what}: {a:?}");
                for owner in ["a.sub.example.", "sub.example."] {
                    let mx = world.ask(&format!("{owner} MX"));
                    assert!(is_old(&mx, "") && mx.data()[0].ends_with("lb.sub.example."), "{what}: {owner}: {mx:?}");
                }
                let live = world.ask("kept.sub.example. A DO");
                assert!(is_secure(&live) && live.is("192.0.2.6"), "{what}: {live:?}");
                for (owner, data) in
                    [("x.kept.sub.example.", "192.0.2.7"), ("x.w.sub.example.", "192.0.2.5"), ("kept.plain.example.", "192.0.2.9")]
                {
                    let answer = world.ask(&format!("{owner} A"));
                    assert!(answer.is(data), "{what}: {owner}: {answer:?}");
                }
                assert_eq!(world.ask("ns1.sub.example. A").rcode(), Rcode::NOERROR, "{what}");
                world.pass([31, 400][turn.min(1)]);
            }
        }
    }
}

/// What is there now cannot be proved, whether it is data in place of a denial or a denial in place of data.
#[test]
fn old_data_stays_where_its_zone_has_changed() {
    if !is_cairn() {
        return;
    }
    for by_hash in [false, true] {
        let mut world = sheltered(88, by_hash);
        for question in ["a.sub.example. A", "a.sub.example. MX", "b.sub.example. A", "lb.sub.example. A", "www.sub.example. A"] {
            assert!(is_secure(&world.ask(&format!("{question} DO"))), "{question}");
        }
        for question in ["new.sub.example. A DO", "b.sub.example. TXT DO"] {
            assert!(world.ask(question).packet.has(AD), "{question}");
        }
        world.pass(8_000);
        break_above(&mut world);
        change_below(&mut world, by_hash, |zone| {
            [Rtype::A, Rtype::MX].into_iter().for_each(|rtype| zone.remove(&name("a.sub.example."), rtype));
            zone.remove(&name("b.sub.example."), Rtype::A);
            zone.add(Rr::parse("b.sub.example. 300 TXT x"));
            zone.add(Rr::parse("new.sub.example. 300 A 192.0.2.99"));
            zone.remove(&name("lb.sub.example."), Rtype::A);
            zone.add(Rr::parse("lb.sub.example. 300 CNAME new.sub.example."));
            replace(zone, "www.sub.example. 300 CNAME new.sub.example.");
        });
        for turn in 0..4 {
            let what = format!("by hash {by_hash}, turn {turn}");
            for (owner, data) in [("a.sub.example.", "192.0.2.2"), ("b.sub.example.", "192.0.2.3"), ("lb.sub.example.", "192.0.2.1")] {
                let answer = world.ask(&format!("{owner} A DO"));
                assert!(is_old(&answer, data), "{what}: {owner}: {answer:?}");
            }
            let www = world.ask("www.sub.example. A");
            assert!(www.is("192.0.2.1"), "{what}: {www:?}");
            let mx = world.ask("a.sub.example. MX");
            assert!(is_old(&mx, "") && mx.data()[0].ends_with("lb.sub.example."), "{what}: {mx:?}");
            for rtype in ["A", "AAAA"] {
                let new = world.ask(&format!("new.sub.example. {rtype} DO"));
                assert!(new.rcode() == Rcode::NXDOMAIN && !new.packet.has(AD) && new.packet.errors().contains(&19), "{what}: {new:?}");
            }
            let none = world.ask("b.sub.example. TXT DO");
            assert!(
                none.rcode() == Rcode::NOERROR && none.packet.answer.is_empty() && none.packet.errors().contains(&3),
                "{what}: {none:?}"
            );
            world.pass([5, 31, 400][turn.min(2)]);
        }
    }
}

/// The last word of a zone is the one that is given, whatever its type.
#[test]
fn old_data_is_the_newest_there_is() {
    if !is_cairn() {
        return;
    }
    let mut world = sheltered(89, false);
    assert!(is_secure(&world.ask("www.sub.example. A DO")) && is_secure(&world.ask("b.sub.example. A DO")));
    assert!(is_secure(&world.ask("a.sub.example. A DO")));
    world.pass(400);
    change_below(&mut world, false, |zone| {
        replace(zone, "sub.example. 300 SOA ns1.sub.example. . 1 3600 600 86400 300");
        zone.remove(&name("www.sub.example."), Rtype::CNAME);
        zone.add(Rr::parse("www.sub.example. 300 TXT x"));
        zone.remove(&name("b.sub.example."), Rtype::A);
        zone.remove(&name("a.sub.example."), Rtype::A);
        zone.add(Rr::parse("a.sub.example. 300 CNAME x.t.sub.example."));
    });
    assert!(world.ask("www.sub.example. A DO").packet.answer.is_empty());
    assert_eq!(world.ask("b.sub.example. MX DO").rcode(), Rcode::NXDOMAIN);
    assert!(world.ask("a.sub.example. TXT DO").packet.has(AD) && world.ask("x.t.sub.example. A DO").packet.has(AD));
    world.pass(8_000);
    break_above(&mut world);
    let www = world.ask("www.sub.example. A DO");
    assert!(www.rcode() == Rcode::NOERROR && www.packet.answer.is_empty(), "{www:?}");
    assert_eq!(world.ask("b.sub.example. A DO").rcode(), Rcode::NXDOMAIN);
    let a = world.ask("a.sub.example. A");
    assert!(a.is("192.0.2.4"), "{a:?}");
}

/// RFC 6672: a DNAME that was proved leads on, in the outage and where servers are silent.
#[test]
fn old_data_follows_a_dname() {
    if !is_cairn() {
        return;
    }
    for (outage, is_silent) in [("chain", false), ("silence", true)] {
        let mut world = sheltered(90, false);
        for question in ["x.d.sub.example. A DO", "x.d.sub.example. TXT DO", "x.e.sub.example. A DO"] {
            assert!(world.ask(question).packet.has(AD), "{question}");
        }
        world.pass(8_000);
        match is_silent {
            true => world.silence(true, true),
            false => break_above(&mut world),
        }
        for turn in 0..4 {
            let a = world.ask("x.d.sub.example. A DO");
            assert!(a.rcode() == Rcode::NOERROR && a.data().last().is_some_and(|last| last == "192.0.2.4"), "{outage}, turn {turn}: {a:?}");
            assert!(a.packet.answer.iter().any(|rr| rr.rtype == Rtype::DNAME) && a.packet.errors().contains(&3), "{outage}: {a:?}");
            assert_eq!(a.packet.has(AD), is_silent, "{outage}: {a:?}");
            let none = world.ask("x.d.sub.example. TXT DO");
            assert!(none.rcode() == Rcode::NOERROR && none.packet.errors().contains(&3), "{outage}, turn {turn}: {none:?}");
            let alias = world.ask("x.d.sub.example. CNAME DO");
            assert!(alias.rcode() == Rcode::NOERROR && alias.packet.answer.len() >= 2, "{outage}, turn {turn}: {alias:?}");
            let long = format!("{0}.{0}.{0}.{1}.e.sub.example. A DO", "l".repeat(63), "m".repeat(46));
            let answer = world.ask(&long);
            assert_eq!(answer.rcode(), Rcode::YXDOMAIN, "{outage}, turn {turn}: {answer:?}");
            world.pass([5, 31, 400][turn.min(2)]);
        }
    }
}

/// A saved cache is the server's own: what was proved before the start is old data after it, and never secure.
#[test]
fn what_was_proved_before_a_restart_is_old_data_after_it() {
    if !is_cairn() {
        return;
    }
    let moment = |world: &mut World| {
        let clock = world.shared().clock.clone();
        Moment { boot_id: [0; 16], boot: clock.boot(), wall: clock.wall() }
    };
    for away_s in [5_000, 8_000] {
        for asked_before in [false, true] {
            let (mut before, mut file) = (sheltered(91, false), Vec::new());
            for question in ["no.sub.example. A", "a.sub.example. A", "www.sub.example. A", "www.sub.example. AAAA", "x.d.sub.example. A"] {
                assert!(before.ask(&format!("{question} DO")).packet.has(AD), "{question}");
            }
            assert!(before.ask("www.plain.example. A").is("192.0.2.8") && is_secure(&before.ask("kept.sub.example. A DO")));
            if asked_before {
                before.pass(8_000);
                break_above(&mut before);
                for question in
                    ["a.sub.example. A", "www.sub.example. A", "no.sub.example. A", "x.d.sub.example. A", "www.plain.example. A"]
                {
                    assert_ne!(before.ask(question).rcode(), Rcode::SERVFAIL, "{question}");
                }
            }
            let saved_at = moment(&mut before);
            before.shared().cache.save(&saved_at, &mut file).expect("memory takes all");
            let mut after = sheltered(91, false);
            after.pass(20_000);
            break_above(&mut after);
            let now = moment(&mut after);
            let now = Moment { wall: WallTime(saved_at.wall.0 + away_s), ..now };
            after.shared().cache.load(&now, &mut &file[..]).expect("whole");
            for turn in 0..3 {
                let what = format!("away {away_s} s, asked before {asked_before}, turn {turn}");
                let rows = [("a", "192.0.2.2"), ("www", "192.0.2.1"), ("x.d", "192.0.2.4"), ("kept", "192.0.2.6")];
                for (owner, data) in rows.map(|(owner, data)| (format!("{owner}.sub.example."), data)) {
                    let answer = after.ask(&format!("{owner} A DO"));
                    assert!(is_old(&answer, data), "{what}: {owner}: {answer:?}");
                }
                let none = after.ask("www.sub.example. AAAA DO");
                assert!(none.rcode() == Rcode::NOERROR && none.packet.errors().contains(&3), "{what}: {none:?}");
                let no = after.ask("no.sub.example. A DO");
                assert!(no.rcode() == Rcode::NXDOMAIN && !no.packet.has(AD) && no.packet.errors().contains(&19), "{what}: {no:?}");
                let plain = after.ask("www.plain.example. A");
                assert!(plain.is("192.0.2.8"), "{what}: {plain:?}");
                let never = after.ask("b.sub.example. A");
                assert!(is_bogus(&never), "{what}: {never:?}");
                after.pass([5, 400][turn.min(1)]);
            }
        }
    }
}

/// An address of a server is never validated on the way, and a restart does not make it so; nor does a file from elsewhere.
#[test]
fn a_restart_proves_nothing() {
    if !is_cairn() {
        return;
    }
    let moment = |world: &mut World| {
        let clock = world.shared().clock.clone();
        Moment { boot_id: [0; 16], boot: clock.boot(), wall: clock.wall() }
    };
    let rows = [(Security::Indeterminate, true, false), (Security::Secure, false, false), (Security::Secure, true, true)];
    for (judged, is_own, is_given) in rows {
        let (mut before, mut file) = (sheltered(92, false), Vec::new());
        let old = RrSet::with(name("a.sub.example."), Rtype::A, 15_000, &[192, 0, 2, 66]);
        let saved_at = moment(&mut before);
        let now = before.shared().clock.boot();
        before.shared().cache.sets().put(&old, Rank::AuthAnswer, judged, now);
        before.shared().cache.save(&saved_at, &mut file).expect("memory takes all");
        let mut after = sheltered(92, false);
        after.pass(20_000);
        let now = Moment { wall: WallTime(saved_at.wall.0 + 20_500), ..moment(&mut after) };
        let cache = after.shared().cache.clone();
        let loaded = if is_own { cache.load(&now, &mut &file[..]) } else { cache.load_brought(&now, &mut &file[..]) };
        assert_eq!(loaded.expect("whole").taken, 1);
        after.silence(true, true);
        let answer = after.ask("a.sub.example. A");
        assert_eq!(answer.rcode() == Rcode::NOERROR, is_given, "{judged:?}, own {is_own}: {answer:?}");
        assert!(!answer.packet.has(AD), "{answer:?}");
    }
}

/// What was proved to be unsigned is old data too.
#[test]
fn an_unsigned_zone_outlives_a_broken_chain_above_it() {
    if !is_cairn() {
        return;
    }
    let mut world = sheltered(93, false);
    for question in ["www.plain.example. A DO", "www.plain.example. TXT DO", "kept.plain.example. A DO"] {
        assert_eq!(verdict(&world.ask(question)), (Rcode::NOERROR, false, vec![]), "{question}");
    }
    assert_eq!(world.ask("no.plain.example. A DO").rcode(), Rcode::NXDOMAIN);
    world.pass(8_000);
    break_above(&mut world);
    for turn in 0..4 {
        let a = world.ask("www.plain.example. A DO");
        assert!(is_old(&a, "192.0.2.8"), "turn {turn}: {a:?}");
        assert_eq!(verdict(&world.ask("www.plain.example. TXT DO")).0, Rcode::NOERROR, "turn {turn}");
        assert_eq!(verdict(&world.ask("no.plain.example. A DO")).0, Rcode::NXDOMAIN, "turn {turn}");
        let kept = world.ask("kept.plain.example. A");
        assert!(kept.is("192.0.2.9"), "turn {turn}: {kept:?}");
        let never = world.ask("ns1.plain.example. TXT");
        assert!(is_bogus(&never), "turn {turn}: {never:?}");
        world.pass([5, 31, 400][turn.min(2)]);
    }
}

/// RFC 8767 4: expired data is for when new data cannot be had. A client that checks by itself can have it.
#[test]
fn a_client_that_checks_by_itself_gets_the_new_data() {
    if !is_cairn() {
        return;
    }
    let mut world = sheltered(94, false);
    assert!(is_secure(&world.ask("a.sub.example. A DO")) && is_secure(&world.ask("b.sub.example. A DO")));
    world.pass(8_000);
    break_above(&mut world);
    change_below(&mut world, false, |zone| {
        replace(zone, "a.sub.example. 5 A 192.0.2.99");
        zone.remove(&name("b.sub.example."), Rtype::A);
    });
    for turn in 0..4 {
        let old = world.ask("a.sub.example. A DO");
        assert!(turn == 0 || is_old(&old, "192.0.2.2"), "turn {turn}: {old:?}");
        let new = world.ask("a.sub.example. A DO CD");
        assert!(new.data().contains(&"192.0.2.99".to_owned()) && !new.packet.errors().contains(&3), "turn {turn}: {new:?}");
        let gone = world.ask("b.sub.example. A DO CD");
        assert!(gone.rcode() == Rcode::NXDOMAIN && !gone.packet.errors().contains(&19), "turn {turn}: {gone:?}");
        let old = world.ask("a.sub.example. A DO");
        let text = String::from_utf8_lossy(&old.wire).into_owned();
        assert!(is_old(&old, "192.0.2.2") && text.contains("could not be validated"), "turn {turn}: {old:?} {text}");
        assert!(!text.contains("reached"), "they were: {text}");
        // Longer than its TTL, and shorter than what is kept of the failure.
        world.pass([7, 7, 400][turn.min(2)]);
    }
    world.silence(true, true);
    world.pass(400);
    let old = world.ask("a.sub.example. A DO CD");
    assert!(old.data().contains(&"192.0.2.2".to_owned()) && old.packet.errors().contains(&3), "nothing newer can be had: {old:?}");
}

/// An alias, or a set of an ANY reply, that is wrong itself: nothing covers it, for whatever type it is asked.
#[test]
fn an_alias_that_is_wrong_itself_is_not_covered_by_old_data() {
    if !is_cairn() {
        return;
    }
    for first in ["www.sub.example. AAAA DO", "www.sub.example. ANY DO", "www.sub.example. A DO CD"] {
        let mut world = sheltered(95, false);
        for question in ["www.sub.example. A DO", "www.sub.example. AAAA DO", "a.sub.example. MX DO"] {
            assert!(is_secure(&world.ask(question)), "{question}");
        }
        world.pass(8_000);
        world.change(|plan, _| {
            replace(plan.zones.get_mut(&name("sub.example.")).expect("there"), "www.sub.example. 300 CNAME b.sub.example.")
        });
        world.ask(first);
        for seconds in [0, 5, 40, 100] {
            world.pass(seconds);
            for rtype in ["A", "AAAA", "HTTPS", "CNAME"] {
                let answer = world.ask(&format!("www.sub.example. {rtype} DO"));
                assert!(is_bogus(&answer), "after {first}: {rtype}: {answer:?}");
            }
        }
    }
}

/// ANY asks for what there is (RFC 8482 4.1 lets a server choose): where servers are silent, that is the old data of all types.
#[test]
fn any_gets_the_old_data_of_all_types() {
    if !is_cairn() {
        return;
    }
    for (outage, is_silent) in [("chain", false), ("silence", true)] {
        for asked_before in [false, true] {
            let mut world = sheltered(92, false);
            for question in ["a.sub.example. A", "a.sub.example. MX", "www.sub.example. A", "kept.sub.example. A", "b.sub.example. TXT"] {
                world.ask(&format!("{question} DO"));
            }
            for question in ["no.sub.example. A", "x.d.sub.example. A", "www.plain.example. A"] {
                world.ask(&format!("{question} DO"));
            }
            if asked_before {
                for owner in ["a.sub.example.", "www.sub.example.", "no.sub.example."] {
                    world.ask(&format!("{owner} ANY DO"));
                }
            }
            world.pass(8_000);
            match is_silent {
                true => world.silence(true, true),
                false => break_above(&mut world),
            }
            for turn in 0..3 {
                let mut of = |owner: &str| {
                    let answer = world.ask(&format!("{owner} ANY"));
                    let not_proof = answer.packet.answer.iter().filter(|rr| rr.rtype != Rtype::RRSIG);
                    let mut data: Vec<String> =
                        not_proof.map(|rr| rr.to_string().split(' ').next_back().unwrap_or_default().to_owned()).collect();
                    data.sort();
                    (format!("{outage}, asked before {asked_before}, turn {turn}, {owner}: {answer:?}"), answer, data)
                };
                let (what, a, data) = of("a.sub.example.");
                assert!(a.rcode() == Rcode::NOERROR && a.packet.errors().contains(&3), "{what}");
                assert!(data.iter().any(|data| data == "192.0.2.2") && data.iter().any(|data| data.ends_with("lb.sub.example.")), "{what}");
                let (what, alias, data) = of("www.sub.example.");
                assert!(alias.rcode() == Rcode::NOERROR && data == ["lb.sub.example."], "{what}");
                let (what, live, data) = of("kept.sub.example.");
                assert!(live.rcode() == Rcode::NOERROR && data == ["192.0.2.6"], "{what}");
                let (what, gone, _) = of("no.sub.example.");
                assert!(gone.rcode() == Rcode::NXDOMAIN && gone.packet.errors().contains(&19), "{what}");
                let (what, made, data) = of("x.d.sub.example.");
                assert!(made.rcode() == Rcode::NOERROR && data.iter().any(|data| data == "x.t.sub.example."), "{what}");
                // That one type is absent does not say that there is nothing.
                let (what, other, _) = of("b.sub.example.");
                assert!(other.rcode() == Rcode::SERVFAIL, "{what}");
                if is_silent {
                    let (what, plain, data) = of("www.plain.example.");
                    assert!(plain.rcode() == Rcode::NOERROR && data == ["192.0.2.8"], "{what}");
                }
                world.pass([5, 400][turn.min(1)]);
            }
        }
    }
}
