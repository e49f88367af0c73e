//! Trust anchors in virtual time: a key roll of the root over forty days with its revocation (RFC 5011), and negative
//! trust anchors that begin and end (RFC 7646).

use cairn::config::NegativeAnchor;
use cairn::record::{Name, Rcode, Rtype, rdata_to_text};
use cairn::validate::KeyState;

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::AD;
use super::sim::record::Rr;
use super::sim::signing::{Key, SEP};
use super::sim::world::{Answer, World, name};

const DAY: u64 = 86_400;
const REVOKED: u16 = 257 | 128;

fn line(owner: &str, ttl: u32, rtype: Rtype, rdata: &[u8]) -> String {
    format!("{owner} {ttl} IN {rtype} {}", rdata_to_text(rtype, rdata))
}

/// The root with these keys, signed by those; `www.` is signed by the last of them.
fn root(mut world: World, keys: &[(u8, u16)], signers: &[(u8, u16)], now: u64) -> World {
    world = world.zone(".").without(".", Rtype::DNSKEY).without(".", Rtype::RRSIG).without("www.", Rtype::RRSIG);
    let key = |(seed, flags): &(u8, u16)| Key::with_flags(*seed, *flags);
    let dates = (now - 2 * DAY, now + 2 * DAY);
    let set: Vec<Rr> = keys.iter().map(|of| Rr::new(&Name::root(), Rtype::DNSKEY, 172_800, key(of).dnskey())).collect();
    let www = [Rr::parse("www. 300 IN A 192.0.2.1")];
    let zsk = key(signers.last().expect("a signer"));
    let rrsigs = signers.iter().map(|of| key(of).rrsig(&Name::root(), &set, dates)).chain([zsk.rrsig(&Name::root(), &www, dates)]);
    rrsigs.chain(set.iter().cloned()).fold(world, |world, rr| world.record(&line(&rr.name.to_string(), rr.ttl, rr.rtype, &rr.rdata)))
}

fn anchored(seed: u8) -> World {
    World::new(5011).zone(".").record("www. 300 IN A 192.0.2.1").trust_anchor(&line(".", 3_600, Rtype::DNSKEY, &Key::new(seed).dnskey()))
}

fn is_secure(answer: &Answer) -> bool {
    answer.packet.rcode == Rcode::NOERROR && answer.packet.has(AD)
}

fn states(world: &mut World) -> Vec<KeyState> {
    world.shared().trust_points().iter().flat_map(|point| &point.keys).map(|key| key.state).collect()
}

#[test]
fn a_roll_of_the_root_over_forty_days() {
    if !is_cairn() {
        return;
    }
    let (mut world, mut trusted_on, mut revoked_on) = (anchored(1), None, None);
    for day in 0..40 {
        let (old, new, gone) = ((1, SEP), (2, SEP), (1, REVOKED));
        let (keys, signers) = match day {
            0 => (vec![old], vec![old]),
            1..=32 => (vec![old, new], vec![old]),
            33..=34 => (vec![old, new], vec![new]),
            35..=37 => (vec![gone, new], vec![gone, new]),
            _ => (vec![new], vec![new]),
        };
        let now = world.wall();
        world = root(world, &keys, &signers, now);
        world.follow_anchors();
        let answer = world.ask("www. A DO");
        assert!(is_secure(&answer), "day {day}: {answer:?}");
        let states = states(&mut world);
        trusted_on = trusted_on.or((states.get(1) == Some(&KeyState::Valid)).then_some(day));
        revoked_on = revoked_on.or((states[0] == KeyState::Revoked).then_some(day));
        world.pass(DAY + 60);
    }
    assert_eq!((trusted_on, revoked_on), (Some(31), Some(35)));
    assert_eq!(states(&mut world), [KeyState::Revoked, KeyState::Valid]);
}

/// The same world without looking at the keys: this is what following them is for.
#[test]
fn who_does_not_follow_a_roll_is_left_behind() {
    let mut world = anchored(1);
    let now = world.wall();
    world = root(world, &[(2, SEP)], &[(2, SEP)], now);
    assert_eq!(world.ask("www. A").rcode(), Rcode::SERVFAIL);
}

/// While the clock is known to be wrong, keys are not even asked for.
#[test]
fn nothing_is_followed_by_a_wrong_clock() {
    if !is_cairn() {
        return;
    }
    let mut world = anchored(1);
    world.set_wall(1_000_000_000);
    world = root(world, &[(1, SEP), (2, SEP)], &[(1, SEP)], 1_000_000_000);
    world.follow_anchors();
    assert_eq!((states(&mut world).len(), world.queries_for(".", Rtype::DNSKEY)), (1, 0));
    // Ten minutes later the clock is believed, for want of a better one.
    world.pass(601);
    world.follow_anchors();
    assert_eq!((states(&mut world).len(), world.queries_for(".", Rtype::DNSKEY)), (2, 1));
}

#[test]
fn a_negative_trust_anchor_begins_and_ends() {
    if !is_cairn() {
        return;
    }
    let ask = |world: &mut World| {
        let answer = world.ask("www. A DO");
        (answer.packet.rcode, answer.packet.has(AD), answer.packet.errors())
    };
    let mut world = anchored(1);
    let now = world.wall();
    // Signed by a key that is not trusted.
    world = root(world, &[(2, SEP)], &[(2, SEP)], now);
    assert_eq!(ask(&mut world).0, Rcode::SERVFAIL);
    let negative = NegativeAnchor { name: name("www."), until: Some(now + 120) };
    assert!(world.shared().add_negative_anchor(negative.clone()));
    let unproved = (Rcode::NOERROR, false, vec![33]);
    assert_eq!(ask(&mut world), unproved, "what was bogus a moment ago is forgotten");
    assert_eq!(ask(&mut world), unproved, "the second one is told as well");
    world.pass(121);
    world.tend_trust();
    assert_eq!(ask(&mut world).0, Rcode::SERVFAIL, "the record's TTL of 300 s is not over, but what was cached of it is forgotten");
    assert!(world.shared().negative_anchors().is_empty());
    let again = NegativeAnchor { until: Some(world.wall() + 600), ..negative };
    assert!(world.shared().add_negative_anchor(again));
    assert_eq!(ask(&mut world), unproved);
    assert!(world.shared().remove_negative_anchor(&name("www.")));
    assert_eq!(ask(&mut world).0, Rcode::SERVFAIL);
}

/// What was judged by other anchors, or by none, is not believed for the rest of its TTL.
#[test]
fn an_anchor_that_a_reload_brings_holds_for_what_is_cached() {
    if !is_cairn() {
        return;
    }
    let anchor = |zone: &str, seed: u8| line(zone, 3_600, Rtype::DNSKEY, &Key::new(seed).dnskey());
    let [elsewhere, right, wrong, next] = [anchor("other.", 9), anchor("example.", 2), anchor("example.", 3), anchor("other.", 8)];
    let world = World::new(71).zone("example.").zone("sub.example.").server("ns1.sub.example.");
    let world =
        world.zone("sub.example.").record("www.sub.example. 3000 A 192.0.2.1").zone("example.").record("www.example. 3000 A 192.0.2.2");
    let mut world = world.anchors(&[&elsewhere]).sign(&[("example.", 2), ("sub.example.", 4)], WALL_S);
    let questions = ["www.example. A AD", "www.sub.example. A AD", "no.example. A AD", "www.sub.example. MX AD"];
    // The anchors of each turn, and what they make of the zone.
    for (turn, anchors, secure, rcode) in [
        ("without", vec![&elsewhere], false, Rcode::NOERROR),
        ("comes", vec![&elsewhere, &right], true, Rcode::NOERROR),
        ("one more", vec![&elsewhere, &right, &wrong], true, Rcode::NOERROR),
        ("another only", vec![&elsewhere, &wrong], false, Rcode::SERVFAIL),
        ("right again", vec![&right], true, Rcode::NOERROR),
        ("goes", vec![&elsewhere], false, Rcode::NOERROR),
    ] {
        let lines: Vec<&str> = anchors.into_iter().map(String::as_str).collect();
        world = world.anchors(&lines);
        world.reload();
        for question in questions {
            let answer = world.ask(question);
            let rcode = if rcode == Rcode::NOERROR && question.starts_with("no.") { Rcode::NXDOMAIN } else { rcode };
            assert_eq!((answer.rcode(), answer.packet.has(AD)), (rcode, secure), "{turn}: {question}: {answer:?}");
        }
    }
    // Anchors of another name leave the cache as it is.
    world.forget();
    let lines = [elsewhere.as_str(), next.as_str()];
    world = world.anchors(&lines);
    world.reload();
    world.ask("www.example. A AD");
    assert!(world.log().is_empty(), "{} queries", world.log().len());
}

/// Names below a zone of this server's own are what its delegations say, whatever the public zone proves above it.
#[test]
fn a_delegation_of_our_own_needs_no_proof_from_above() {
    if !is_cairn() {
        return;
    }
    let corp = "$TTL 60\n@ SOA ns admin 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nsub NS ns1.sub\nns1.sub A 9.9.200.1\nwww CNAME www.sub\n";
    // Nothing of the root proves right.
    let mut world = World::new(61)
        .trust_anchor(&line(".", 3_600, Rtype::DNSKEY, &Key::new(1).dnskey()))
        .zone("sub.corp.example.")
        .server("ns1.sub.corp.example.")
        .at("9.9.200.1")
        .record("www.sub.corp.example. A 192.0.2.1")
        .hosts("corp.example.", corp);
    for question in ["www.sub.corp.example. A", "www.corp.example. A", "www.sub.corp.example. AAAA"] {
        let answer = world.ask(question);
        assert_eq!((answer.rcode(), answer.packet.has(AD)), (Rcode::NOERROR, false), "{question}: {answer:?}");
    }
    assert!(world.ask("www.sub.corp.example. A").is("192.0.2.1"));
}
