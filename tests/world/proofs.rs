//! Signed zones: what clients get for each combination of bits, which servers the chain of trust asks, and what happens
//! when servers lie.

use cairn::config::{Forwarder, NegativeAnchor, RouteSettings, Sha1};
use cairn::record::{Name, Rcode, Rtype, rdata_to_text};

use super::sim::clock::WALL_S;
use super::sim::engine::is_cairn;
use super::sim::packet::{AD, CD};
use super::sim::record::Rr;
use super::sim::signing::{Key, SEP};
use super::sim::world::{Answer, World, name};
use super::sim::zone::Zone;

const SIGNED: [(&str, u8); 5] = [(".", 1), ("example.", 2), ("sub.example.", 3), ("other.", 4), ("island.plain.", 5)];

fn anchor(zone: &str, seed: u8) -> String {
    format!("{zone} 3600 IN DNSKEY {}", rdata_to_text(Rtype::DNSKEY, &Key::new(seed).dnskey()))
}

/// Everything but `plain.` is signed; `island.plain.` has no DS record in its parent.
fn unsigned(seed: u64) -> World {
    World::new(seed)
        .zone(".")
        .zone("plain.")
        .records(&["www.plain. 300 A 192.0.2.9", "d.plain. 300 DNAME example."])
        .zone("island.plain.")
        .record("www.island.plain. 300 A 192.0.2.5")
        .zone("other.")
        .records(&["www.other. 300 A 192.0.2.4"])
        .zone("example.")
        .records(&["www.example. 300 A 192.0.2.1", "bad.example. 300 A 192.0.2.2", "a.ent.example. 300 A 192.0.2.3"])
        .records(&["out.example. 300 CNAME www.plain.", "in.example. 300 CNAME www.other.", "d.example. 300 DNAME other."])
        .records(&["*.wild.example. 300 A 192.0.2.7", "real.wild.example. 300 A 192.0.2.8"])
        .server("ns1.example.")
        .server("ns2.example.")
        .zone("sub.example.")
        .record("www.sub.example. 300 A 192.0.2.6")
        .server("ns1.example.")
        .serves()
        .server("ns2.example.")
        .serves()
}

fn tree(seed: u64) -> World {
    unsigned(seed).sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1))
}

/// Both servers of `example.` tell of it with this change.
fn spoiled(change: impl Fn(&mut Zone)) -> World {
    tree(50).server("ns1.example.").tells("example.", &change).server("ns2.example.").tells("example.", &change)
}

/// RCODE, AD, and which Extended DNS Errors.
type Verdict = (Rcode, bool, Vec<u16>);
/// What is done to a zone behind its owner's back.
type Spoil<'a> = &'a dyn Fn(&mut Zone);

fn verdict(answer: &Answer) -> Verdict {
    (answer.packet.rcode, answer.packet.has(AD), answer.packet.errors())
}

fn is_secure(answer: &Answer) -> bool {
    verdict(answer) == (Rcode::NOERROR, true, vec![])
}

fn replace(zone: &mut Zone, line: &str) {
    let rr = Rr::parse(line);
    zone.remove(&rr.name, rr.rtype);
    zone.add(rr);
}

/// RFC 4035 3.1.6 and 3.2, RFC 6840 5.7 to 5.9.
#[test]
fn what_clients_are_told_by_the_bits_that_they_set() {
    if !is_cairn() {
        return;
    }
    let mut world = spoiled(|zone| replace(zone, "bad.example. 300 A 192.0.2.66"));
    let rows = [
        ("www.example. A", "NOERROR"),
        ("www.example. A AD", "NOERROR AD"),
        ("www.example. A DO", "NOERROR AD RRSIG"),
        ("www.example. A CD", "NOERROR CD"),
        ("www.example. A DO CD", "NOERROR AD CD RRSIG"),
        ("www.example. A noedns", "NOERROR"),
        ("no.example. A", "NXDOMAIN"),
        ("no.example. A AD", "NXDOMAIN AD"),
        ("no.example. A DO", "NXDOMAIN AD RRSIG NSEC"),
        ("www.example. TXT", "NOERROR"),
        ("www.example. TXT DO", "NOERROR AD RRSIG NSEC"),
        ("x.wild.example. A AD", "NOERROR AD"),
        ("x.wild.example. A DO", "NOERROR AD RRSIG NSEC"),
        ("www.plain. A DO", "NOERROR"),
        ("www.plain. A AD", "NOERROR"),
        ("no.plain. A DO", "NXDOMAIN"),
        ("in.example. A DO", "NOERROR AD RRSIG"),
        ("out.example. A DO", "NOERROR RRSIG"),
        ("out.example. A AD", "NOERROR"),
        ("bad.example. A", "SERVFAIL"),
        ("bad.example. A DO CD", "NOERROR CD RRSIG"),
        ("bad.example. A DO", "SERVFAIL"),
        ("bad.example. A CD", "NOERROR CD"),
        ("bad.example. A AD", "SERVFAIL"),
    ];
    for turn in ["first", "again"] {
        for (question, expected) in rows {
            let packet = world.ask(question).packet;
            let mut told = vec![packet.rcode.to_string()];
            told.extend([("AD", AD), ("CD", CD)].iter().filter(|(_, flag)| packet.has(*flag)).map(|(word, _)| (*word).to_owned()));
            let has = |rtype: Rtype| packet.answer.iter().chain(&packet.authority).any(|rr| rr.rtype == rtype);
            told.extend([Rtype::RRSIG, Rtype::NSEC].iter().filter(|rtype| has(**rtype)).map(Rtype::to_string));
            assert_eq!(told.join(" "), expected, "{turn}: {question}: {packet}");
        }
    }
}

#[test]
fn islands_of_trust() {
    if !is_cairn() {
        return;
    }
    let insecure = (Rcode::NOERROR, false, vec![]);
    let mut without = tree(51);
    assert_eq!(verdict(&without.ask("www.island.plain. A DO")), insecure, "nobody vouches for it");
    let mut with = tree(51).trust_anchor(&anchor("island.plain.", 5));
    assert!(is_secure(&with.ask("www.island.plain. A DO")));
    assert_eq!(verdict(&with.ask("www.plain. A DO")), insecure);
    let mut alone = unsigned(51).sign(&SIGNED, WALL_S).trust_anchor(&anchor("island.plain.", 5));
    assert!(is_secure(&alone.ask("www.island.plain. A DO")));
    assert_eq!(verdict(&alone.ask("www.example. A DO")), insecure, "outside of all that is trusted");
    let mut wrong = tree(51).trust_anchor(&anchor("island.plain.", 77));
    assert_eq!(wrong.ask("www.island.plain. A DO").rcode(), Rcode::SERVFAIL);
    assert!(is_secure(&wrong.ask("www.example. A DO")));
}

/// RFC 7646 2: it ends the trust that comes from above, not that of an anchor below.
#[test]
fn a_negative_trust_anchor_above_an_anchor() {
    if !is_cairn() {
        return;
    }
    let off = |world: World, zone: &'static str| {
        world.tune(move |settings| settings.recursion.negative_trust_anchors = vec![NegativeAnchor { name: name(zone), until: None }])
    };
    let mut above = off(tree(52).trust_anchor(&anchor("island.plain.", 5)), "plain.");
    assert!(is_secure(&above.ask("www.island.plain. A DO")));
    let mut at = off(tree(52), "example.");
    for question in ["www.example. A DO", "www.sub.example. A DO", "x.wild.example. A DO"] {
        assert_eq!(verdict(&at.ask(question)), (Rcode::NOERROR, false, vec![33]), "{question}");
    }
    assert!(is_secure(&at.ask("www.other. A DO")));
}

#[test]
fn the_ds_is_asked_of_the_parent_where_servers_are_shared() {
    if !is_cairn() {
        return;
    }
    let mut world = tree(53);
    assert!(is_secure(&world.ask("www.sub.example. A DO")));
    assert!(is_secure(&world.ask("sub.example. DS DO")));
}

/// Whatever one server says, the other one is asked before the name counts as bogus.
#[test]
fn one_lying_server_is_not_enough_to_make_a_name_bogus() {
    if !is_cairn() {
        return;
    }
    let other_key = |zone: &mut Zone| {
        zone.remove(&name("example."), Rtype::DNSKEY);
        zone.add(Rr::new(&name("example."), Rtype::DNSKEY, 3_600, Key::new(66).dnskey()));
    };
    let other_ds = |zone: &mut Zone| {
        zone.remove(&name("sub.example."), Rtype::DS);
        zone.add(Rr::new(&name("sub.example."), Rtype::DS, 3_600, Key::new(66).ds(&name("sub.example."))));
    };
    let no_proof = |zone: &mut Zone| zone.remove(&name("www.example."), Rtype::NSEC);
    let lies: [(&str, Spoil<'_>, &str); 4] = [
        ("data", &|zone| replace(zone, "www.example. 300 A 192.0.2.66"), "www.example. A DO"),
        ("keys", &other_key, "www.example. A DO"),
        ("DS", &other_ds, "www.sub.example. A DO"),
        ("denial", &no_proof, "www.example. TXT DO"),
    ];
    for (what, lie, question) in lies {
        for seed in 0..4 {
            let mut one = tree(seed).server("ns1.example.").tells("example.", lie);
            assert!(is_secure(&one.ask(question)), "{what}, seed {seed}");
        }
        let mut both = spoiled(lie);
        assert_eq!(both.ask(question).rcode(), Rcode::SERVFAIL, "{what}, by both");
    }
}

#[test]
fn what_is_stripped_or_changed_is_refused_with_its_reason() {
    if !is_cairn() {
        return;
    }
    let strip = |owner: &'static str, rtype| move |zone: &mut Zone| zone.remove(&name(owner), rtype);
    let resigned = |owner: &'static str, now| move |zone: &mut Zone| zone.sign_name(&name(owner), Key::new(2), now);
    let unsigned_data = |zone: &mut Zone| {
        let rrsigs = zone_set(zone, "www.example.", Rtype::RRSIG);
        zone.remove(&name("www.example."), Rtype::RRSIG);
        rrsigs.into_iter().filter(|rr| !rr.rdata.starts_with(&Rtype::A.0.to_be_bytes())).for_each(|rr| zone.add(rr));
    };
    let over_existing = |zone: &mut Zone| {
        let copy = |rtype| zone_set(zone, "*.wild.example.", rtype);
        let (data, rrsigs) = (copy(Rtype::A), copy(Rtype::RRSIG));
        let real = name("real.wild.example.");
        [Rtype::A, Rtype::RRSIG].into_iter().for_each(|rtype| zone.remove(&real, rtype));
        data.into_iter().chain(rrsigs).for_each(|rr| zone.add(Rr { name: real.clone(), ..rr }));
    };
    let rows: [(&str, Spoil<'_>, &str, u16); 7] = [
        ("no signature", &unsigned_data, "www.example. A DO", 10),
        ("other data", &|zone| replace(zone, "www.example. 300 A 192.0.2.66"), "www.example. A DO", 6),
        ("expired", &resigned("www.example.", WALL_S - 6 * 86_400), "www.example. A DO", 7),
        ("not yet valid", &resigned("www.example.", WALL_S + 6 * 86_400), "www.example. A DO", 8),
        ("no proof of NODATA", &strip("www.example.", Rtype::NSEC), "www.example. TXT DO", 12),
        ("no proof of a wildcard", &strip("real.wild.example.", Rtype::NSEC), "x.wild.example. A DO", 12),
        ("a wildcard over an existing name", &over_existing, "real.wild.example. A DO", 12),
    ];
    for (what, change, question, code) in rows {
        assert_eq!(verdict(&spoiled(change).ask(question)), (Rcode::SERVFAIL, false, vec![code]), "{what}");
    }
    let mut bare = tree(54).server("a.root-servers.net.").tells(".", strip("plain.", Rtype::NSEC));
    assert_eq!(bare.ask("www.plain. A DO").rcode(), Rcode::SERVFAIL, "no proof that a delegation is insecure");
}

fn zone_set(zone: &Zone, owner: &str, rtype: Rtype) -> Vec<Rr> {
    zone.set(&name(owner), rtype).to_vec()
}

/// RFC 4035 5.2: a DS set with only unsupported algorithms is insecure; unsupported records beside a usable one change nothing.
#[test]
fn unknown_algorithms_and_digests() {
    if !is_cairn() {
        return;
    }
    let good = || Key::new(4).ds(&name("other."));
    let with = |at: usize, value: u8| {
        let mut ds = good();
        ds[at] = value;
        ds
    };
    let rows: [(&str, Vec<Vec<u8>>, Verdict); 5] = [
        ("an unknown algorithm", vec![with(2, 250)], (Rcode::NOERROR, false, vec![1])),
        ("an unknown digest", vec![with(3, 250)], (Rcode::NOERROR, false, vec![2])),
        ("beside a good one", vec![with(2, 250), good()], (Rcode::NOERROR, true, vec![])),
        ("another digest beside a good one", vec![with(3, 250), good()], (Rcode::NOERROR, true, vec![])),
        ("beside one that fits no key", vec![with(2, 250), with(9, 0)], (Rcode::SERVFAIL, false, vec![9])),
    ];
    for (what, set, expected) in rows {
        let world = tree(55).server("a.root-servers.net.").tells(".", |zone| {
            zone.remove(&name("other."), Rtype::DS);
            set.iter().for_each(|ds| zone.add(Rr::new(&name("other."), Rtype::DS, 3_600, ds.clone())));
            zone.sign_name(&name("other."), Key::new(1), WALL_S);
        });
        let mut world = world;
        assert_eq!(verdict(&world.ask("www.other. A DO")), expected, "{what}");
        let is_hopeless = expected.0 == Rcode::NOERROR && !expected.1;
        assert!(!is_hopeless || world.queries_for("other.", Rtype::DNSKEY) == 0, "{what}: keys that could not be used");
    }
}

/// RFC 9905 2, with the zone of RFC 5155 (RSASHA1-NSEC3-SHA1, keys of 512 bits).
#[test]
fn sha_1_by_policy() {
    if !is_cairn() {
        return;
    }
    let lines: Vec<&str> = include_str!("../vectors/dnssec-rfc5155.zone").lines().filter(|line| line.starts_with("example. ")).collect();
    let entry = lines.iter().find(|line| line.contains("DNSKEY 257")).expect("the key");
    for (policy, secure, codes) in [(Sha1::Validate, true, vec![]), (Sha1::Insecure, false, vec![1])] {
        let world = World::new(56).zone("example.").records(&lines).trust_anchor(entry);
        let mut world = world.tune(move |settings| settings.recursion.sha1 = policy);
        // 2010-01-01.
        world.set_wall(1_262_304_000);
        assert_eq!(verdict(&world.ask("example. SOA DO")), (Rcode::NOERROR, secure, codes));
    }
}

/// RFC 8198 and RFC 8020: from validated data only, not after its TTL, and not where it is turned off.
#[test]
fn what_follows_from_a_proof_and_what_does_not() {
    if !is_cairn() {
        return;
    }
    let asked_for = |world: &mut World, question: &str| {
        world.forget();
        world.ask(question);
        let owner = question.split(' ').next().expect("a name");
        world.queries_for(owner, Rtype::A) > 0
    };
    let mut world = tree(57);
    world.ask("n1.example. A");
    world.ask("n1.plain. A");
    assert!(!asked_for(&mut world, "n2.example. A"), "in the same span");
    assert!(!asked_for(&mut world, "below.n1.example. A"));
    assert!(asked_for(&mut world, "below.n1.plain. A"), "unproved, a name that does not exist says nothing of names below");
    world.ask("x.d.example. A");
    world.ask("www.d.plain. A");
    assert!(!asked_for(&mut world, "y.d.example. A"), "a proved DNAME answers for all below");
    assert!(asked_for(&mut world, "x.d.plain. A"), "an unproved one does not");
    world.pass(301);
    assert!(asked_for(&mut world, "n2.example. A"), "the proof is at its end");
    let mut off = tree(57).tune(|settings| settings.cache.aggressive_nsec = false);
    off.ask("n1.example. A");
    assert!(asked_for(&mut off, "n2.example. A"), "aggressive-nsec = false");
}

/// RFC 4035 5.3.3 and 4.7.
#[test]
fn how_long_data_and_failures_are_believed() {
    if !is_cairn() {
        return;
    }
    let longer = |zone: &mut Zone| {
        let www = zone_set(zone, "www.example.", Rtype::A);
        zone.remove(&name("www.example."), Rtype::A);
        www.into_iter().for_each(|rr| zone.add(rr.with_ttl(80_000)));
    };
    assert_eq!(spoiled(longer).ask("www.example. A DO").ttl(), Some(300), "the original TTL");
    let soon = |zone: &mut Zone| zone.sign_name(&name("www.example."), Key::new(2), WALL_S - 5 * 86_400 + 60);
    let mut world = spoiled(soon);
    assert!(world.ask("www.example. A DO").ttl().is_some_and(|ttl| (50..=60).contains(&ttl)), "the signature's life");

    let mut world = spoiled(|zone| replace(zone, "bad.example. 300 A 192.0.2.66"));
    world.ask("bad.example. A");
    world.forget();
    let again = world.ask("bad.example. A");
    assert_eq!((again.rcode(), world.log().len()), (Rcode::SERVFAIL, 0), "what failed is not tried again at once");
    world.change(|plan, _| {
        let mended = plan.zones[&name("example.")].clone();
        plan.servers.iter_mut().flat_map(|server| &mut server.kept).for_each(|kept| *kept = mended.clone());
    });
    world.pass(31);
    assert!(is_secure(&world.ask("bad.example. A DO")), "but soon");
}

/// The way out where port 53 is closed: all is asked of resolvers that validate themselves, one of which is gone, one of
/// which needs TCP.
#[test]
fn everything_forwarded_is_proved_all_the_same() {
    if !is_cairn() {
        return;
    }
    let forward = |world: World| {
        let mut world = world.zone(".");
        for (server, address) in [("gone.test.", "198.51.100.1"), ("far.test.", "198.51.100.2")] {
            world = world.server(server).at(address);
            for zone in [".", "plain.", "example.", "sub.example.", "other.", "island.plain."] {
                world = world.zone(zone).serves();
            }
        }
        world = world.server("gone.test.").dead().server("far.test.").truncates();
        let to = ["198.51.100.1:53", "198.51.100.2:53"].map(|address| Forwarder::Plain(address.parse().expect("an address"))).to_vec();
        let route = RouteSettings { zone: Name::root(), to, fallback: false, ..RouteSettings::default() };
        let world = world.sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
        world.tune(move |settings| settings.forwards = vec![route.clone()])
    };
    let mut world = forward(unsigned(58));
    for question in ["www.example. A DO", "www.sub.example. A DO", "in.example. A DO", "x.wild.example. A DO"] {
        assert!(is_secure(&world.ask(question)), "{question}");
    }
    assert_eq!(verdict(&world.ask("no.example. A DO")), (Rcode::NXDOMAIN, true, vec![]));
    assert_eq!(verdict(&world.ask("www.plain. A DO")), (Rcode::NOERROR, false, vec![]));
    let only_these = world.log().iter().all(|seen| ["198.51.100.1", "198.51.100.2"].contains(&seen.to.ip().to_string().as_str()));
    assert!(only_these, "nobody else is asked");
    let mut liar = forward(unsigned(58)).server("far.test.").tells("example.", |zone| replace(zone, "www.example. 300 A 192.0.2.66"));
    assert_eq!(liar.ask("www.example. A DO").rcode(), Rcode::SERVFAIL);
}

/// Of one key set only those keys sign data that may.
#[test]
fn keys_that_are_revoked_or_no_zone_keys_sign_nothing() {
    if !is_cairn() {
        return;
    }
    for (what, flags, secure) in [("another zone key", 256, true), ("without ZONE", 0, false), ("revoked", SEP | 128, false)] {
        let second = Key::with_flags(9, flags);
        let mut world = tree(59);
        for server in ["ns1.example.", "ns2.example."] {
            world = world.server(server).tells("example.", |zone| {
                zone.add(Rr::new(&name("example."), Rtype::DNSKEY, 3_600, second.dnskey()));
                zone.sign_name(&name("example."), Key::new(2), WALL_S);
                zone.sign_name(&name("www.example."), second, WALL_S);
            });
        }
        assert_eq!(is_secure(&world.ask("www.example. A DO")), secure, "{what}");
    }
}

/// No answer is no proof: keys that cannot be had do not make a zone insecure. Nor is data, fresh or expired since,
/// given out because its proof takes long (RFC 8767).
#[test]
fn silence_about_keys_is_no_proof() {
    if !is_cairn() {
        return;
    }
    for (rtype, ttl) in [(Rtype::DNSKEY, 300), (Rtype::DS, 300), (Rtype::DNSKEY, 1)] {
        let world = unsigned(60).zone("sub.example.").without("www.sub.example.", Rtype::A);
        let world = world.record(&format!("www.sub.example. {ttl} A 192.0.2.6"));
        let mut world = world.sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
        for server in ["a.root-servers.net.", "ns1.example.", "ns2.example."] {
            world = world.server(server).manner(|manner| manner.drops = vec![rtype]);
        }
        assert_eq!(world.ask("www.sub.example. A DO").rcode(), Rcode::SERVFAIL, "{rtype} {ttl}");
        assert_eq!(world.ask("no.sub.example. A DO").rcode(), Rcode::SERVFAIL, "{rtype}, a denial");
    }
    let mut world = tree(60);
    assert!(is_secure(&world.ask("www.example. A DO")));
    for server in ["a.root-servers.net.", "ns1.example.", "ns2.example."] {
        world = world.server(server).dead();
    }
    world.pass(400);
    assert_eq!(verdict(&world.ask("www.example. A DO")), (Rcode::NOERROR, false, vec![3]), "what was proved once lives on");
}

/// RFC 4035 5.3.3: keys are trusted until their TTL or their signature expires.
#[test]
fn keys_are_asked_for_again() {
    if !is_cairn() {
        return;
    }
    let mut world = tree(61);
    assert!(is_secure(&world.ask("www.example. A DO")));
    world.pass(1_800);
    world.forget();
    assert!(is_secure(&world.ask("www.example. A DO")));
    assert_eq!(world.queries_for("example.", Rtype::DNSKEY), 0);
    world.pass(1_900);
    assert!(is_secure(&world.ask("www.example. A DO")));
    assert_eq!(world.queries_for("example.", Rtype::DNSKEY), 1, "after an hour");
}

/// A server that denies a name with only names below it, when asked for its DS.
#[test]
fn an_insecure_cut_below_a_name_that_is_wrongly_denied() {
    if !is_cairn() {
        return;
    }
    let world = unsigned(62).zone("x.deep.example.").record("www.x.deep.example. 300 A 192.0.2.8");
    let world = world.server("ns1.example.").manner(|manner| manner.denies_empty_names = true);
    let world = world.server("ns2.example.").manner(|manner| manner.denies_empty_names = true);
    let mut world = world.sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
    assert_eq!(verdict(&world.ask("www.x.deep.example. A DO")), (Rcode::NOERROR, false, vec![]));
}

/// This many signatures that do not verify stand before the one that does.
fn with_wrong_signatures(zone: &mut Zone, owner: &str, rtype: Rtype, count: u8) {
    let rrsigs = zone_set(zone, owner, Rtype::RRSIG);
    zone.remove(&name(owner), Rtype::RRSIG);
    let (ours, others): (Vec<Rr>, Vec<Rr>) = rrsigs.into_iter().partition(|rr| rr.rdata.starts_with(&rtype.0.to_be_bytes()));
    for n in 0..count {
        let mut wrong = ours[0].clone();
        wrong.rdata.last_mut().into_iter().for_each(|octet| *octet ^= n + 1);
        zone.add(wrong);
    }
    ours.into_iter().chain(others).for_each(|rr| zone.add(rr));
}

/// What one question could not pay for says nothing of the data: not of a name, and not of a zone.
#[test]
fn an_empty_purse_makes_nothing_bogus_for_others() {
    if !is_cairn() {
        return;
    }
    let chain = ["one.example. 300 CNAME two.example.", "two.example. 300 CNAME three.example.", "three.example. 300 A 192.0.2.3"];
    let far = ["four.example. 300 CNAME five.example.", "five.example. 300 CNAME www.other."];
    let mut world = unsigned(63).zone("example.").records(&chain).records(&far).sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
    {
        let mut plan = world.plan();
        let zone = plan.zones.get_mut(&name("example.")).expect("it is there");
        for (owner, rtype, count) in [("one.example.", Rtype::CNAME, 5), ("two.example.", Rtype::CNAME, 5), ("three.example.", Rtype::A, 5)]
        {
            with_wrong_signatures(zone, owner, rtype, count);
        }
        with_wrong_signatures(zone, "four.example.", Rtype::CNAME, 6);
        with_wrong_signatures(zone, "five.example.", Rtype::CNAME, 6);
        with_wrong_signatures(plan.zones.get_mut(&name("other.")).expect("it is there"), "other.", Rtype::DNSKEY, 1);
    }
    assert_eq!(world.ask("one.example. A DO").rcode(), Rcode::SERVFAIL, "fifteen checks that fail");
    assert!(is_secure(&world.ask("three.example. A DO")), "five");
    assert_eq!(world.ask("four.example. A DO").rcode(), Rcode::SERVFAIL, "thirteen");
    assert!(is_secure(&world.ask("www.other. A DO")), "one");
}

/// A flood of names whose signatures fail is given up together, and only for the second.
#[test]
fn failed_checks_of_all_questions_are_bounded() {
    if !is_cairn() {
        return;
    }
    let mut world =
        unsigned(64).zone("example.").record("*.flood.example. 300 A 192.0.2.1").sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
    {
        let mut plan = world.plan();
        let zone = plan.zones.get_mut(&name("example.")).expect("it is there");
        with_wrong_signatures(zone, "*.flood.example.", Rtype::A, 8);
    }
    assert!(is_secure(&world.ask("www.example. A DO")));
    let questions: Vec<String> = (0..500).map(|n| format!("n{n}.flood.example. A DO")).collect();
    // No more at a time than one client may have waiting.
    let some = |world: &mut World, questions: &[String]| world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
    let answers: Vec<Answer> = questions.chunks(50).flat_map(|questions| some(&mut world, questions)).collect();
    let given_up = |answer: &Answer| String::from_utf8_lossy(&answer.wire).contains("failed signature checks in this second");
    let count = answers.iter().filter(|answer| given_up(answer)).count();
    assert!(count > 0 && count < 500, "{count} of 500");
    assert!(answers.iter().all(|answer| answer.rcode() == Rcode::SERVFAIL));
    world.pass(2);
    assert!(is_secure(&world.ask("real.wild.example. A DO")));
}

/// What was taken while the clock was known to be wrong is not what is known of the name afterwards.
#[test]
fn what_was_taken_by_a_wrong_clock_is_proved_later() {
    if !is_cairn() {
        return;
    }
    // 2026-08-01, after this program was made.
    let now = 1_785_542_400;
    let world = unsigned(65).sign(&SIGNED, now).trust_anchor(&anchor(".", 1));
    let mut world = world.tune(|settings| settings.recursion.time_bootstrap_names = vec![name("www.example.")]);
    world.set_wall(1_000_000_000);
    assert_eq!(verdict(&world.ask("www.example. A DO")), (Rcode::NOERROR, false, vec![0]));
    assert_eq!(world.ask("real.wild.example. A DO").rcode(), Rcode::SERVFAIL);
    world.set_wall(now);
    world.pass(31);
    assert!(is_secure(&world.ask("www.example. A DO")));
    assert!(is_secure(&world.ask("real.wild.example. A DO")));
}

/// Records behind the first CNAME of a reply count only where they validate, and not where a more specific rule applies.
#[test]
fn beyond_an_alias() {
    if !is_cairn() {
        return;
    }
    let chain = ["near.example. 300 CNAME www.example.", "down.example. 300 CNAME www.sub.example."];
    let world = |seed| {
        let world = unsigned(seed).zone("island.plain.").record("alias.island.plain. 300 CNAME www.island.plain.");
        world.zone("example.").records(&chain)
    };
    let mut proved = world(66).sign(&SIGNED, WALL_S).trust_anchor(&anchor(".", 1));
    assert!(is_secure(&proved.ask("near.example. A DO")));
    assert_eq!(proved.queries_for("www.example.", Rtype::A), 0, "it came along, and is proved");
    assert_eq!(proved.ask("alias.island.plain. A DO").rcode(), Rcode::NOERROR);
    assert!(proved.queries_for("www.island.plain.", Rtype::A) > 0, "signatures that nobody vouches for prove nothing");
    let to = vec![Forwarder::Plain("198.51.100.9:53".parse().expect("an address"))];
    let ruled = world(67).zone("sub.example.").server("ruled.test.").at("198.51.100.9").sign(&SIGNED, WALL_S);
    let mut ruled = ruled.trust_anchor(&anchor(".", 1)).tune(move |settings| {
        settings.forwards = vec![RouteSettings { zone: name("sub.example."), to: to.clone(), fallback: false, ..RouteSettings::default() }];
    });
    assert!(is_secure(&ruled.ask("down.example. A DO")));
    assert!(ruled.queries_to("ruled.test.").iter().any(|seen| seen.rtype() == Rtype::A), "the rule's server is asked");
}

/// An NSEC span of the parent zone denies no name that has a forward rule or a negative trust anchor.
#[test]
fn spans_keep_away_from_rules_and_negative_trust_anchors() {
    if !is_cairn() {
        return;
    }
    let asked = |world: &World| world.queries_for("xx.example.", Rtype::A) > 0;
    let mut off = tree(68).tune(|settings| {
        settings.recursion.negative_trust_anchors = vec![NegativeAnchor { name: name("xx.example."), until: None }];
    });
    off.ask("x.example. A");
    off.ask("xy.example. A");
    assert_eq!((verdict(&off.ask("xx.example. A DO")), asked(&off)), ((Rcode::NXDOMAIN, false, vec![33]), true));
    let mut on = tree(68);
    on.ask("x.example. A");
    assert_eq!((verdict(&on.ask("xx.example. A DO")), asked(&on)), ((Rcode::NXDOMAIN, true, vec![]), false));
    let to = vec![Forwarder::Plain("198.51.100.9:53".parse().expect("an address"))];
    let ruled = tree(68).zone("xx.example.").record("xx.example. 300 A 192.0.2.77").server("ruled.test.").at("198.51.100.9");
    let mut ruled = ruled.tune(move |settings| {
        settings.forwards = vec![RouteSettings { zone: name("xx.example."), to: to.clone(), fallback: false, ..RouteSettings::default() }];
    });
    ruled.ask("x.example. A");
    ruled.ask("xx.example. A");
    assert!(ruled.queries_to("ruled.test.").iter().any(|seen| seen.name() == name("xx.example.")));
}
