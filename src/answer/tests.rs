//! What a client gets without waiting, row by row: access, hosted zones, special names, errors, truncation, EDNS.
//! Replies are read with hickory-proto, which shares nothing with the code that wrote them.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};

use super::{AtOnce, Client, Explain, Note, Parts, Service, Transport, Worker};
use crate::config::Settings;
use crate::env::{BootTime, BoxFuture, Clock, Net, Random, Stream, UdpFlow, WallTime};
use crate::limits::Limits;
use crate::record::{Class, EdeCode, Name, Question, Rank, Rcode, RrSet, Rtype, Security};
use crate::resolve::{LocalSource, Step};
use crate::validate::Anchor;
use crate::wire::{Flags, Header, OptionCode, Writer};
use crate::zone::{Zones, load_zone};

const ZONE: &str = "\
$TTL 300
@ SOA ns admin 1 2 3 4 60
@ NS ns
ns A 192.0.2.53
www A 192.0.2.1
www A 192.0.2.2
mx MX 10 www
away CNAME www.elsewhere.test.
here CNAME localhost.
sub NS ns.sub
ns.sub A 192.0.2.54
big TXT \"1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"
big TXT \"2xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"
big TXT \"3xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"
";

pub(super) struct StoppedClock;

impl Clock for StoppedClock {
    fn boot(&self) -> BootTime {
        BootTime(1_000_000)
    }

    fn wall(&self) -> WallTime {
        WallTime(1_800_000_000)
    }
}

/// Nothing here may leave.
pub(super) struct NoNet;

impl Net for NoNet {
    fn udp(&self, server: SocketAddr, _port: u16) -> std::io::Result<Box<dyn UdpFlow>> {
        panic!("a query to {server}")
    }

    fn tcp(&self, server: SocketAddr) -> BoxFuture<'static, std::io::Result<Box<dyn Stream>>> {
        panic!("a connection to {server}")
    }
}

pub(super) fn parts() -> Parts {
    let apex = Name::parse("example.org.").expect("apex");
    let (zone, _) = load_zone(&apex, "example.org.zone", &mut |_| Ok(ZONE.as_bytes().to_vec())).expect("a good zone");
    Parts {
        settings: Settings::default(),
        hints: Vec::new(),
        anchors: Arc::default(),
        zones: Arc::new(Zones::new([Arc::new(zone)], 1)),
        own_addresses: Vec::new(),
    }
}

fn worker() -> Rc<Worker> {
    let service = Service::new(parts(), Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    Worker::new(service, Rc::new(NoNet), Random::from_seed(2))
}

pub(super) const FRIEND: &str = "127.0.0.1:4000";
pub(super) const STRANGER: &str = "198.51.100.7:4000";

pub(super) fn client(peer: &str, transport: Transport) -> Client {
    Client { peer: peer.parse().expect("peer"), local: "127.0.0.1:53".parse().expect("local"), transport, is_behind_balancer: false }
}

#[derive(Clone, Copy)]
pub(super) struct Edns {
    pub size: u16,
    pub cookie: &'static [u8],
}

pub(super) fn query_with(question: &Question, flags: u16, dnssec_ok: bool) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id: 0x4711, flags: Flags(flags), counts: [0; 4] });
    writer.question(question).expect("room");
    writer.opt(1232, Rcode::NOERROR, dnssec_ok, &[]).expect("room");
    writer.finish()
}

pub(super) fn query(question: &str, flags: u16, edns: Option<Edns>) -> Vec<u8> {
    let (name, rtype) = question.split_once(' ').expect("name and type");
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id: 0x4711, flags: Flags(flags), counts: [0; 4] });
    let question = Question::new(Name::parse(name).expect(name), rtype.parse().unwrap_or(Rtype::A));
    writer.question(&question).expect("room");
    if let Some(edns) = edns {
        let cookie = [(OptionCode::COOKIE, edns.cookie)];
        writer.opt(edns.size, Rcode::NOERROR, false, if edns.cookie.is_empty() { &[] } else { &cookie }).expect("room");
    }
    writer.finish()
}

/// The reply of `at_once` as bytes; empty for silence.
pub(super) fn ask(worker: &Worker, packet: &[u8], client: &Client) -> Option<Vec<u8>> {
    let mut slot = vec![0; 65_535];
    slot[..packet.len()].copy_from_slice(packet);
    match worker.at_once(&worker.moment(BootTime(1_000_000)), &mut slot, packet.len(), client) {
        AtOnce::Reply(len) => Some(slot[..len].to_vec()),
        AtOnce::Silence => Some(Vec::new()),
        AtOnce::Later(_) | AtOnce::Many(_) => None,
    }
}

/// `RCODE flags answers/authorities/additionals`, OPT not counted.
pub(super) fn summary(reply: &[u8]) -> String {
    let message = Message::from_vec(reply).expect("hickory reads it");
    let flags = Header::read(reply).expect("header").flags;
    let set: Vec<&str> = [(Flags::AA, "aa"), (Flags::TC, "tc"), (Flags::RA, "ra"), (Flags::AD, "ad"), (Flags::Z, "z")]
        .into_iter()
        .filter(|(bit, _)| flags.has(*bit))
        .map(|(_, text)| text)
        .collect();
    assert!(flags.has(Flags::QR));
    let rcode = ResponseCode::from(message.edns.as_ref().map_or(0, |edns| edns.rcode_high()), flags.rcode() as u8);
    let counts = (message.answers.len(), message.authorities.len(), message.additionals.len());
    format!("{rcode:?} {} {}/{}/{}", set.join(" "), counts.0, counts.1, counts.2)
}

#[test]
fn who_gets_what() {
    let worker = worker();
    let rows = [
        (FRIEND, "www.example.org. A", Flags::RD, "NoError aa ra 2/0/0"),
        // Wanting to know whether it is proved proves nothing.
        (FRIEND, "www.example.org. A", Flags::RD | Flags::AD, "NoError aa ra 2/0/0"),
        (STRANGER, "www.example.org. A", Flags::RD, "NoError aa 2/0/0"),
        (STRANGER, "www.example.org. A", 0, "NoError aa 2/0/0"),
        (FRIEND, "mx.example.org. MX", Flags::RD, "NoError aa ra 1/0/2"),
        (STRANGER, "no.example.org. A", Flags::RD, "NXDomain aa 0/1/0"),
        (STRANGER, "www.example.org. TXT", Flags::RD, "NoError aa 0/1/0"),
        // An alias out of the zone: the stranger is shown the way, and no more.
        (STRANGER, "away.example.org. A", Flags::RD, "NoError aa 1/0/0"),
        // A delegation: without AA, with the address of its server.
        (STRANGER, "x.sub.example.org. A", Flags::RD, "NoError  0/1/1"),
        (STRANGER, "www.example.com. A", Flags::RD, "Refused  0/0/0"),
        (STRANGER, "localhost. A", Flags::RD, "Refused  0/0/0"),
        (FRIEND, "localhost. A", Flags::RD, "NoError ra 1/0/0"),
        (FRIEND, "x.invalid. A", Flags::RD, "NXDomain ra 0/1/0"),
        // The cache is read for nobody who does not want recursion; what is special is no cache.
        (FRIEND, "www.example.com. A", 0, "Refused ra 0/0/0"),
        (FRIEND, "localhost. A", 0, "NoError ra 1/0/0"),
        (FRIEND, "example.org. AXFR", Flags::RD, "Refused  0/0/0"),
        (FRIEND, "www.example.org. MAILA", Flags::RD, "NotImp  0/0/0"),
    ];
    for (peer, question, flags, expected) in rows {
        // The second time it may come from the ready answers, and must say the same.
        for _ in 0..2 {
            let reply = ask(&worker, &query(question, flags, None), &client(peer, Transport::Udp)).expect("at once");
            assert_eq!(summary(&reply), expected, "{question} of {peer}");
            assert_eq!(reply[..2], [0x47, 0x11]);
            assert!(Message::from_vec(&reply).expect("read").edns.is_none(), "OPT that nobody asked for");
        }
    }
}

/// What needs no look-up is kept ready by the first who asks, over either transport. Refusals are not: whoever is
/// refused anything could fill the cache with names of his choice.
#[test]
fn a_repeat_comes_from_the_ready_answers() {
    let own = ["www.example.org. A", "mx.example.org. MX", "no.example.org. A", "www.example.org. TXT"];
    let strangers = own.into_iter().chain(["x.sub.example.org. A", "away.example.org. A"]);
    let friends = own.into_iter().chain(["localhost. A", "x.invalid. A", "1.0.0.127.in-addr.arpa. PTR"]);
    let rows = strangers.map(|question| (STRANGER, question, true)).chain(friends.map(|question| (FRIEND, question, true)));
    for (peer, question, kept) in rows.chain([(STRANGER, "www.example.com. A", false), (STRANGER, "localhost. A", false)]) {
        for transports in [[Transport::Udp, Transport::Tcp], [Transport::Tcp, Transport::Udp]] {
            let worker = worker();
            let ready = || {
                let rows = worker.service().rows();
                let count = |what: &str| rows.iter().find(|(name, _)| name == what).map_or(0, |(_, count)| *count);
                count("answers-at-once") - count("answers-at-once-not-ready")
            };
            for (transport, expected) in transports.into_iter().zip([0, u64::from(kept)]) {
                ask(&worker, &query(question, Flags::RD, None), &client(peer, transport)).expect("at once");
                assert_eq!(ready(), expected, "{question} of {peer} over {transport:?}");
            }
        }
    }
}

/// A zone's own data is as old as ever, and is given so.
#[test]
fn own_data_does_not_age() {
    let worker = worker();
    for (question, ttl) in [("www.example.org. A", 300), ("no.example.org. A", 60), ("localhost. A", 10_800), ("x.onion. A", 10_800)] {
        for seconds in [0, 1, 50] {
            let mut slot = vec![0; 2048];
            let packet = query(question, Flags::RD, None);
            slot[..packet.len()].copy_from_slice(&packet);
            let moment = worker.moment(BootTime(1_000_000 + seconds * 1_000));
            let AtOnce::Reply(len) = worker.at_once(&moment, &mut slot, packet.len(), &client(FRIEND, Transport::Udp)) else {
                panic!("{question} waits")
            };
            let message = Message::from_vec(&slot[..len]).expect("hickory reads it");
            let first = message.answers.iter().chain(&message.authorities).next().expect("a record");
            assert_eq!(first.ttl, ttl, "{question} after {seconds} s");
        }
    }
}

#[test]
fn what_has_to_be_looked_up_waits() {
    let worker = worker();
    for question in ["www.example.com. A", "away.example.org. A", "x.sub.example.org. A"] {
        assert_eq!(ask(&worker, &query(question, Flags::RD, None), &client(FRIEND, Transport::Udp)), None, "{question}");
    }
}

#[test]
fn faults_get_what_they_deserve() {
    let worker = worker();
    let good = query("www.example.org. A", Flags::RD, None);
    let with = |at: usize, octet: u8| {
        let mut packet = good.clone();
        packet[at] = octet;
        packet
    };
    let mut version_one = query("www.example.org. A", 0, Some(Edns { size: 1232, cookie: b"" }));
    let len = version_one.len();
    version_one[len - 5] = 1;
    let chaos = with(good.len() - 1, Class::CH.0 as u8);
    let short_cookie = query("www.example.org. A", 0, Some(Edns { size: 1232, cookie: b"1234567" }));
    let rows: [(Vec<u8>, &str); 9] = [
        (with(2, 0x80), ""),
        (good[..11].to_vec(), ""),
        (with(2, 0x20), "NotImp  0/0/0"),
        (with(5, 2), "FormErr  0/0/0"),
        (with(5, 0), "FormErr  0/0/0"),
        (good[..good.len() - 2].to_vec(), "FormErr  0/0/0"),
        // 16 is BADVERS here; hickory-proto names it after its other use, in TSIG.
        (version_one, "BADSIG  0/0/0"),
        (chaos, "Refused ra 0/0/0"),
        (short_cookie, "FormErr  0/0/0"),
    ];
    for (packet, expected) in rows {
        let reply = ask(&worker, &packet, &client(FRIEND, Transport::Udp)).expect("at once");
        let said = if reply.is_empty() { String::new() } else { summary(&reply) };
        assert_eq!(said, expected, "{packet:02x?}");
    }
}

#[test]
fn too_large_for_udp() {
    let worker = worker();
    let edns = |size| Some(Edns { size, cookie: b"" });
    let rows = [
        (FRIEND, Transport::Udp, None, "NoError aa tc ra 2/0/0"),
        // A stranger gets no data along with TC: nothing is amplified.
        (STRANGER, Transport::Udp, None, "NoError aa tc 0/0/0"),
        (FRIEND, Transport::Udp, edns(1232), "NoError aa ra 3/0/0"),
        (FRIEND, Transport::Udp, edns(100), "NoError aa tc ra 2/0/0"),
        (STRANGER, Transport::Tcp, None, "NoError aa 3/0/0"),
    ];
    for (peer, transport, edns, expected) in rows {
        let reply = ask(&worker, &query("big.example.org. TXT", Flags::RD, edns), &client(peer, transport)).expect("at once");
        assert_eq!(summary(&reply), expected, "{peer} {transport:?}");
        let limit = if transport == Transport::Tcp { 65_535 } else { edns.map_or(512, |edns| usize::from(edns.size).max(512)) };
        assert!(reply.len() <= limit);
    }
}

#[test]
fn the_question_comes_back_as_it_was_sent() {
    let worker = worker();
    let mut packet = query("www.example.org. A", Flags::RD | Flags::CD, None);
    packet[13..16].copy_from_slice(b"wWw");
    for _ in 0..2 {
        let reply = ask(&worker, &packet, &client(FRIEND, Transport::Udp)).expect("at once");
        assert_eq!(reply[12..packet.len()], packet[12..]);
        let flags = Header::read(&reply).expect("header").flags;
        assert!(flags.has(Flags::RD) && flags.has(Flags::CD) && !flags.has(Flags::AD));
    }
}

#[test]
fn addresses_take_turns() {
    let worker = worker();
    let first = |_| {
        let reply = ask(&worker, &query("www.example.org. A", Flags::RD, None), &client(FRIEND, Transport::Udp)).expect("at once");
        Message::from_vec(&reply).expect("read").answers[0].data.to_string()
    };
    let seen: std::collections::BTreeSet<String> = (0..16).map(first).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn edns_is_answered_with_our_own() {
    let worker = worker();
    let packet = query("www.example.org. A", Flags::RD, Some(Edns { size: 4096, cookie: b"client08" }));
    for _ in 0..2 {
        let reply = ask(&worker, &packet, &client(STRANGER, Transport::Udp)).expect("at once");
        let message = crate::wire::Message::parse(&reply).expect("own reply");
        let edns = message.edns().expect("OPT for OPT");
        assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok), (1232, 0, false));
        let cookie = edns.option(OptionCode::COOKIE).expect("a cookie for a cookie");
        assert_eq!((cookie.len(), &cookie[..8]), (24, &b"client08"[..]));
    }
}

/// RFC 6891 6.1.1: a query with OPT gets a reply with OPT, also where the rate limit empties the reply.
#[test]
fn an_emptied_reply_keeps_opt_and_cookie_and_nothing_else() {
    let worker = worker();
    let stranger = client(STRANGER, Transport::Udp);
    let hosted = "www.example.org. A";
    for (name, edns) in [
        (hosted, Some(Edns { size: 1232, cookie: b"client08" })),
        (hosted, Some(Edns { size: 1232, cookie: b"" })),
        (hosted, None),
        ("www.elsewhere.test. A", Some(Edns { size: 1232, cookie: b"client08" })),
    ] {
        let packet = query(name, 0, edns);
        let emptied = (0..3000).find_map(|_| ask(&worker, &packet, &stranger).filter(|reply| !reply.is_empty() && reply[2] & 2 != 0));
        let emptied = emptied.expect("the rate is passed");
        let message = crate::wire::Message::parse(&emptied).expect("own reply");
        let header = message.header();
        assert_eq!(message.question().map(|(asked, ..)| asked.to_string()), Some(name.split(' ').next().expect("a name").to_owned()));
        let found = message.edns().map(|edns| (edns.udp_size, edns.option(OptionCode::COOKIE).map(<[u8]>::len), edns.data.len()));
        let expected = edns.map(|asked| if asked.cookie.is_empty() { (1232, None, 0) } else { (1232, Some(24), 28) });
        assert_eq!((found, header.counts[1], header.counts[2]), (expected, 0, 0), "{name}");
        assert_eq!(header.counts[3], u16::from(expected.is_some()));
    }
}

/// RFC 7873: whoever shows our cookie is no forged address and is not slowed down; others are.
#[test]
fn strangers_are_held_to_a_rate_unless_they_show_our_cookie() {
    let worker = worker();
    let stranger = client(STRANGER, Transport::Udp);
    let plain = query("www.example.org. A", 0, None);
    let replies = |packet: &[u8]| (0..2000).filter(|_| !ask(&worker, packet, &stranger).expect("at once").is_empty()).count();
    let full = |reply: Vec<u8>| summary(&reply) == "NoError aa 2/0/0";
    let answered = (0..2000).filter(|_| ask(&worker, &plain, &stranger).is_some_and(|reply| !reply.is_empty() && full(reply))).count();
    assert!((900..1100).contains(&answered), "{answered} whole answers");
    let first = ask(
        &worker,
        &query("www.example.org. A", 0, Some(Edns { size: 1232, cookie: b"client08" })),
        &client("198.51.101.1:9", Transport::Udp),
    );
    let first = first.expect("at once");
    let cookie =
        crate::wire::Message::parse(&first).expect("own").edns().expect("OPT").option(OptionCode::COOKIE).expect("cookie").to_vec();
    let cookie: &'static [u8] = Box::leak(cookie.into_boxed_slice());
    let shown = query("www.example.org. A", 0, Some(Edns { size: 1232, cookie }));
    // The cookie was made for another address, and is worth nothing here.
    assert!(replies(&shown) < 1500);
    let its_own = client("198.51.101.1:9", Transport::Udp);
    let all = (0..3000)
        .filter(|_| ask(&worker, &shown, &its_own).is_some_and(|reply| !reply.is_empty() && summary(&reply).starts_with("NoError aa 2")))
        .count();
    assert_eq!(all, 3000);
}

/// One zone for everybody, with an alias and a mail server in another that is for one client alone.
fn worker_with_a_secret() -> Rc<Worker> {
    let zone = |apex: &str, text: &str| {
        let text = format!("$TTL 300\n@ SOA ns admin 1 2 3 4 60\n@ NS ns.example.com.\n{text}\n").into_bytes();
        let (zone, _) = load_zone(&Name::parse(apex).expect(apex), apex, &mut |_| Ok(text.clone())).expect("a good zone");
        Arc::new(zone)
    };
    let open = "alias CNAME pay.secret.test.\nnothing CNAME no.secret.test.\nall DNAME secret.test.\n@ MX 10 pay.secret.test.";
    let zones = [zone("open.test.", open), zone("secret.test.", "pay A 192.0.2.7\nback CNAME alias.open.test.")];
    let mut settings = Settings::default();
    let allow = vec!["127.0.0.9/32".parse().expect("a prefix")];
    settings.zones = vec![crate::config::ZoneSettings { name: Name::parse("secret.test.").expect("apex"), allow, ..Default::default() }];
    let parts = Parts { settings, zones: Arc::new(Zones::new(zones, 1)), ..parts() };
    let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    Worker::new(service, Rc::new(NoNet), Random::from_seed(2))
}

const INSIDER: &str = "127.0.0.9:4000";

#[tokio::test]
async fn an_alias_opens_no_zone_that_is_closed() {
    let rows = [
        ("pay.secret.test. A", "NoError aa ra 1/0/0", "Refused  0/0/0", "Refused  0/0/0"),
        // Whoever may not ask for the zone that an alias leads to gets the alias alone, whether he may recurse or not.
        ("alias.open.test. A", "NoError aa ra 2/0/0", "NoError aa  1/0/0", "NoError aa  1/0/0"),
        ("nothing.open.test. A", "NXDomain aa ra 1/1/0", "NoError aa  1/0/0", "NoError aa  1/0/0"),
        ("pay.all.open.test. A", "NoError aa ra 3/0/0", "NoError aa  2/0/0", "NoError aa  2/0/0"),
        ("back.secret.test. A", "NoError aa ra 3/0/0", "Refused  0/0/0", "Refused  0/0/0"),
        ("open.test. MX", "NoError aa ra 1/0/0", "NoError aa  1/0/0", "NoError aa  1/0/0"),
    ];
    let worker = worker_with_a_secret();
    // Whichever client asks first, the others must not get the answer that was kept for it.
    for peers in [[INSIDER, FRIEND, STRANGER], [STRANGER, FRIEND, INSIDER]] {
        for (question, inside, friend, stranger) in rows {
            for peer in peers {
                let (query, client) = (query(question, Flags::RD, None), client(peer, Transport::Udp));
                let reply = match ask(&worker, &query, &client) {
                    Some(reply) => reply,
                    None => worker.in_full(&query, &client).await.expect("a reply"),
                };
                let expected = match peer {
                    INSIDER => inside,
                    FRIEND => friend,
                    _ => stranger,
                };
                let said = summary(&reply).replace(" ra", if peer == FRIEND { "" } else { " ra" });
                assert_eq!(said.replace("  ", " "), expected.replace("  ", " "), "{question} of {peer}");
            }
        }
    }
    let (alias, friend) = (Question::new(Name::parse("alias.open.test.").expect("a name"), Rtype::A), "127.0.0.1".parse().expect("a peer"));
    let told = async |client| worker.explain(&Explain::new(alias.clone(), client)).await;
    let (of_friend, of_operator) = (told(Some(friend)).await, told(None).await);
    assert_eq!((of_friend.outcome.answers.len(), of_operator.outcome.answers.len()), (1, 2));
    assert_eq!(of_friend.outcome.edes.iter().map(|ede| ede.code).collect::<Vec<_>>(), [EdeCode::PROHIBITED]);
    assert!(of_friend.notes.iter().map(note).any(|note| note.starts_with("without pay.secret.test.")));
}

#[tokio::test]
async fn explained_as_a_client_would_be_answered() {
    let worker = worker();
    let (friend, stranger) = (FRIEND.parse::<SocketAddr>().expect("peer").ip(), STRANGER.parse::<SocketAddr>().expect("peer").ip());
    for (question, client, expected) in [
        ("www.example.org. A", None, "hosted example.org., NOERROR"),
        ("www.example.org. A", Some(stranger), "hosted example.org., NOERROR"),
        ("localhost. A", Some(friend), "special localhost. RFC 6761 6.3, NOERROR"),
        ("x.onion. A", None, "special onion. RFC 7686 2, NXDOMAIN"),
        ("x.onion. A", Some(stranger), "this client may not use recursion, REFUSED"),
        ("www.elsewhere.test. A", Some(stranger), "this client may not use recursion, REFUSED"),
        ("away.example.org. A", None, "hosted example.org., 0 queries, special www.elsewhere.test. RFC 6761 6.2, NXDOMAIN"),
        (
            "away.example.org. A",
            Some(stranger),
            "hosted example.org., without www.elsewhere.test.: this client may not use recursion, NOERROR",
        ),
    ] {
        let (name, rtype) = question.split_once(' ').expect("name and type");
        let question = Question::new(Name::parse(name).expect(name), rtype.parse().expect(rtype));
        let explained = worker.explain(&Explain::new(question.clone(), client)).await;
        let mut told: Vec<String> = explained.notes.iter().map(note).collect();
        told.extend(explained.events.iter().filter_map(|event| match &event.step {
            Step::Local { question, source: LocalSource::SpecialUse(document), .. } => {
                Some(format!("special {} {document}", question.name))
            }
            _ => None,
        }));
        told.push(explained.outcome.rcode().to_string());
        assert_eq!(told.join(", "), expected, "{question} for {client:?}");
    }
}

pub(super) fn note(note: &Note) -> String {
    match note {
        Note::Hosted { zone } => format!("hosted {zone}"),
        Note::Listed => "listed".to_owned(),
        Note::TranslatedAddress => "translated".to_owned(),
        Note::Special { name, document } => format!("special {name} {document}"),
        Note::PolicyRule { owner, action, .. } => format!("{owner} {action}"),
        Note::OnList { name, list, verdict, .. } => format!("{list} {verdict:?} {name}"),
        Note::OutOfForce { name, list, why } => format!("{list} not for {name}: {why}"),
        Note::View(view) => format!("view {view}"),
        Note::SafeSearch { name, target } => format!("{target} for {name}"),
        Note::Refused(refused) => refused.why.to_owned(),
        Note::NotFollowed { target, refused } => format!("without {target}: {}", refused.why),
        Note::Stripped { name, .. } => format!("stripped {name}"),
        Note::Withheld(_) => "withheld".to_owned(),
        Note::Failed(failure) => failure.to_string(),
        Note::Synthesised { name, from, to } => format!("{to} for {from} of {name}"),
        Note::LookedUp { upstream_queries } => format!("{upstream_queries} queries"),
    }
}

/// The guard against rebinding is for public names.
#[tokio::test]
async fn a_hosted_alias_may_lead_to_localhost() {
    let worker = worker();
    let question = Question::new(Name::parse("here.example.org.").expect("a name"), Rtype::A);
    let answer = worker.explain(&Explain::new(question, None)).await.outcome;
    let sets: Vec<String> = answer.answers.iter().map(|set| format!("{} {}", set.name, set.rtype)).collect();
    assert_eq!((sets, answer.edes), (vec!["here.example.org. CNAME".to_owned(), "localhost. A".to_owned()], vec![]));
}

/// Whoever answers by the old configuration is not the one to free its zones.
#[test]
fn a_replaced_configuration_is_held_until_nobody_uses_it() {
    let worker = worker();
    let (batch, question) = (worker.moment(BootTime(1_000_000)), worker.service().snapshot());
    let retired = worker.service().reload(parts());
    assert!(!retired.is_unused());
    drop(question);
    assert!(!retired.is_unused(), "a batch still has it");
    drop(batch);
    assert!(retired.is_unused());
    let again = worker.service().reload(parts());
    assert!(again.is_unused());
}

/// What the public DNS said is not what a zone or a rule of one's own says: it goes with the reload that brings or takes
/// one, and only at and below its name.
#[test]
fn a_reload_forgets_what_others_said_of_a_name() {
    let name = |text: &str| Name::parse(text).expect(text);
    let with = |text: &str, zone: bool| {
        let mut parts = Parts { settings: Settings::from_toml(text, "cairn.toml").expect(text), ..parts() };
        if zone {
            let (zone, _) = load_zone(&name("corp.test."), "corp.test", &mut |_| Ok(ZONE.as_bytes().to_vec())).expect("a good zone");
            parts.zones = Arc::new(parts.zones.with(Arc::new(zone)));
        }
        parts
    };
    let forward = |to: &str| format!("[[forward]]\nzone = 'corp.test'\nto = ['{to}']\n");
    let (one, other, stub) = (forward("192.0.2.1"), forward("192.0.2.2"), forward("192.0.2.1").replace("forward", "stub"));
    let negative = "[recursion]\nnegative-trust-anchors = ['corp.test']\n";
    let anchored = || {
        let ds = [&[0, 7, 13, 2][..], &[7; 32]].concat();
        Parts { anchors: Arc::new(Anchor::from_record(name("corp.test."), Rtype::DS, &ds).into_iter().collect()), ..with("", false) }
    };
    for (what, before, after, forgotten) in [
        ("nothing", with(&one, true), with(&one, true), false),
        ("a trust anchor comes", with("", false), anchored(), true),
        ("a trust anchor goes", anchored(), with("", false), true),
        ("a trust anchor stays", anchored(), anchored(), false),
        ("a zone comes", with("", false), with("", true), true),
        ("a zone goes", with("", true), with("", false), true),
        ("a rule comes", with("", false), with(&one, false), true),
        ("a rule goes", with(&one, false), with("", false), true),
        ("other servers", with(&one, false), with(&other, false), true),
        ("another kind", with(&one, false), with(&stub, false), true),
        ("not to be proved", with("", false), with(negative, false), true),
    ] {
        let service = Service::new(before, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
        let (cache, now) = (service.cache(), service.resolve.clock.boot());
        let owners = ["corp.test.", "a.b.corp.test.", "notcorp.test.", "test."].map(name);
        for owner in &owners {
            cache.sets().put(&RrSet::with(owner.clone(), Rtype::A, 300, &[192, 0, 2, 9]), Rank::AuthAnswer, Security::Insecure, now);
        }
        drop(service.reload(after));
        let kept = owners.each_ref().map(|owner| cache.sets().get(owner, Rtype::A, now).is_some());
        assert_eq!(kept, [!forgotten, !forgotten, true, true], "{what}");
        // A walk that began before may still bring something.
        assert_eq!(service.resolve.next_tending().is_some(), forgotten, "{what}");
    }
}

/// What an outcome says of its errors never takes the place of the question.
#[test]
fn errors_leave_room_for_the_question() {
    let long = format!("{0}.{0}.{0}.{1}.", "x".repeat(63), "y".repeat(61));
    for cookie in [&b""[..], b"client08"] {
        for size in [512, 600, 1232] {
            let packet = query(&format!("{long} A"), Flags::RD, Some(Edns { size, cookie }));
            let parsed = super::request::read(&packet).ok().expect("a good query");
            let request = parsed.owned(&packet, Transport::Udp).ok().expect("a good query");
            let edes = vec![crate::record::Ede::new(crate::record::EdeCode::OTHER, "z".repeat(200)); 3];
            let outcome = super::Outcome { edes, ..super::Outcome::error(Rcode::SERVFAIL) };
            let cookie = (!cookie.is_empty()).then_some(&[7u8; 16][..]);
            let manner = super::reply::Manner {
                allowed: true,
                recursion_available: true,
                cookie,
                nsid: None,
                turn: 0,
                signature_bytes: 0,
                idle_ms: None,
            };
            let reply = super::reply::encode(&request, &outcome, &manner, Vec::new());
            let message = crate::wire::Message::parse(&reply).expect("own reply");
            assert!(message.question().is_some() && message.edns().is_some() && reply.len() <= usize::from(size), "{size}");
            let texts = crate::wire::options(message.edns().expect("OPT").data).flatten().filter(|option| option.code == OptionCode::EDE);
            assert_eq!(texts.count(), 3);
        }
    }
}

fn chaos(question: &str) -> Vec<u8> {
    let mut packet = query(question, 0, None);
    let class = packet.len() - 1;
    packet[class] = Class::CH.0 as u8;
    packet
}

/// RFC 4892 and RFC 5001: a server tells of itself what it was told to tell.
#[test]
fn what_a_server_tells_of_itself() {
    let own = concat!("cairn ", env!("CARGO_PKG_VERSION"));
    let set = |settings: &mut Settings| {
        settings.server.identity = Some("ns1.fra".to_owned());
        settings.server.version = Some("a resolver".to_owned());
    };
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut parts = parts();
        change(&mut parts.settings);
        let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
        Worker::new(service, Rc::new(NoNet), Random::from_seed(2))
    };
    let (fresh, told) = (with(&|_| {}), with(&set));
    let refused = "Refused";
    for (worker, question, friend, stranger) in [
        (&fresh, "version.bind. TXT", own, refused),
        (&fresh, "VERSION.BIND. TXT", own, refused),
        (&fresh, "id.server. TXT", refused, refused),
        (&fresh, "www.example.org. A", refused, refused),
        (&told, "version.server. TXT", "a resolver", "a resolver"),
        (&told, "hostname.bind. TXT", "ns1.fra", "ns1.fra"),
        (&told, "id.server. TXT", "ns1.fra", "ns1.fra"),
        (&told, "id.server. A", "NoError", "NoError"),
        (&told, "authors.bind. TXT", refused, refused),
    ] {
        for (peer, expected) in [(FRIEND, friend), (STRANGER, stranger)] {
            // Whatever was said in class CH is not repeated in class IN, nor the other way round.
            for _ in 0..2 {
                let reply = ask(worker, &chaos(question), &client(peer, Transport::Udp)).expect("at once");
                let message = Message::from_vec(&reply).expect("hickory reads it");
                let said = message.answers.first().map_or_else(
                    || format!("{:?}", message.metadata.response_code),
                    |record| {
                        assert_eq!((u16::from(record.dns_class), record.ttl), (Class::CH.0, 0));
                        record.data.to_string()
                    },
                );
                assert_eq!(said.trim_matches('"'), expected, "{question} of {peer}");
            }
        }
    }
    let nsid = |worker: &Worker, options: &[(OptionCode, &[u8])]| {
        let mut writer = Writer::new(Vec::new(), 512);
        writer.header(Header { id: 1, flags: Flags(Flags::RD), counts: [0; 4] });
        writer.question(&Question::new(Name::parse("www.example.org.").expect("a name"), Rtype::A)).expect("room");
        writer.opt(1232, Rcode::NOERROR, false, options).expect("room");
        let reply = ask(worker, &writer.finish(), &client(STRANGER, Transport::Udp)).expect("at once");
        let message = crate::wire::Message::parse(&reply).expect("own reply");
        message.edns().expect("OPT").option(OptionCode::NSID).map(<[u8]>::to_vec)
    };
    // Also where the answer is ready.
    for _ in 0..2 {
        assert_eq!(nsid(&told, &[(OptionCode::NSID, b"")]), Some(b"ns1.fra".to_vec()));
        assert_eq!(nsid(&told, &[]), None, "not for those who do not ask");
        assert_eq!(nsid(&fresh, &[(OptionCode::NSID, b"")]), None);
    }
}
