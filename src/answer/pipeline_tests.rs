//! The reply, its explanation and the ready answer come out of one pipeline: what changes one changes all.

use std::rc::Rc;
use std::sync::Arc;

use super::pipeline::{PIPELINE, Pipeline};
use super::reload_tests::SilentNet;
use super::tests::{FRIEND, STRANGER, StoppedClock, ask, client, parts, query_with};
use super::{Client, Explain, Parts, Service, Transport, Worker};
use crate::config::{RpzSettings, Settings, ZoneSettings};
use crate::env::Random;
use crate::limits::Limits;
use crate::policy::EncryptedService;
use crate::record::{EdeCode, Name, Question, Rank, Rcode, RrSet, Rtype, Security};
use crate::wire::Flags;
use crate::zone::{ZoneWithoutData, Zones, load_zone};

const INSIDER: &str = "127.0.0.9:4000";
/// Outside `server.allow`, inside the lists of the closed zones.
const GUEST: &str = "198.51.100.9:4000";

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

/// An open zone and a closed one, each with a child zone of the other kind, and aliases between them.
fn closed_and_open_zones() -> Parts {
    let zone = |apex: &str, text: &str| {
        let text = format!("$TTL 300\n@ SOA ns admin 1 2 3 4 60\n@ NS ns.example.com.\n{text}\n").into_bytes();
        Arc::new(load_zone(&name(apex), apex, &mut |_| Ok(text.clone())).expect("a good zone").0)
    };
    let ds = "DS 7 13 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
    let zones = [
        zone(
            "open.zone.",
            &format!(
                "www A 192.0.2.1\n@ MX 10 pay.shut.zone.\nalias CNAME pay.shut.zone.\nto-child CNAME child.shut.zone.\n\
                 shut NS ns.shut\nshut {ds}\nall DNAME shut.zone.\nns.shut A 192.0.2.9"
            ),
        ),
        zone("shut.open.zone.", "@ TXT x\nns A 192.0.2.9"),
        zone("shut.zone.", &format!("pay A 192.0.2.7\nback CNAME www.open.zone.\nchild NS ns.child\nchild {ds}\nns.child A 192.0.2.8")),
        zone("rpz.test.", "blocked.public.example CNAME ."),
        zone("child.shut.zone.", "@ TXT x\n@ MX 10 pay.shut.zone.\nns A 192.0.2.8"),
    ];
    let mut settings = Settings::default();
    settings.recursion.dnssec = false;
    let allow = ["127.0.0.9/32", "198.51.100.9/32"].map(|prefix| prefix.parse().expect("a prefix"));
    settings.zones =
        ["shut.zone.", "shut.open.zone."].map(|apex| ZoneSettings { name: name(apex), allow: allow.to_vec(), ..Default::default() }).into();
    settings.policy.local_records = vec![
        RrSet::with(name("nas.public.example."), Rtype::A, 300, &[203, 0, 113, 7]),
        RrSet::with(name("www.nas.public.example."), Rtype::CNAME, 300, b"\x03www\x06public\x07example\x00"),
    ];
    settings.rpz = vec![RpzSettings { zone: name("rpz.test."), break_dnssec: true, ..RpzSettings::default() }];
    let lost = ZoneWithoutData { apex: name("lost.zone."), why: "a mistake".to_owned() };
    Parts { settings, zones: Arc::new(Zones::new(zones, 1).holding_apart([name("rpz.test.")]).with_missing([lost])), ..parts() }
}

fn worker(pipeline: Pipeline) -> Rc<Worker> {
    let service = Service::new(closed_and_open_zones(), Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    let (cache, now) = (service.cache(), service.resolve.clock.boot());
    let keep = |owner: &str, rtype, rdata: &[u8]| {
        cache.sets().put(&RrSet::with(name(owner), rtype, 300, rdata), Rank::AuthAnswer, Security::Insecure, now);
    };
    keep("www.public.example.", Rtype::A, &[192, 0, 2, 80]);
    keep("rebound.public.example.", Rtype::A, &[10, 0, 0, 1]);
    keep("public.example.", Rtype::MX, b"\x00\x0a\x03www\x06public\x07example\x00");
    keep("alias.public.example.", Rtype::CNAME, b"\x03pay\x04shut\x04zone\x00");
    Worker::with_pipeline(service, Rc::new(SilentNet::default()), Random::from_seed(2), pipeline)
}

const NAMES: [&str; 23] = [
    "blocked.public.example.",
    "www.rpz.test.",
    "nas.public.example.",
    "www.nas.public.example.",
    "7.113.0.203.in-addr.arpa.",
    "www.lost.zone.",
    "open.zone.",
    "www.open.zone.",
    "alias.open.zone.",
    "to-child.open.zone.",
    "pay.all.open.zone.",
    "child.all.open.zone.",
    "shut.open.zone.",
    "shut.zone.",
    "pay.shut.zone.",
    "back.shut.zone.",
    "child.shut.zone.",
    "no.child.shut.zone.",
    "localhost.",
    "public.example.",
    "www.public.example.",
    "rebound.public.example.",
    "alias.public.example.",
];

const TYPES: [Rtype; 10] =
    [Rtype::A, Rtype::DS, Rtype::DNSKEY, Rtype::NS, Rtype::SOA, Rtype::MX, Rtype::TXT, Rtype::CNAME, Rtype::NSEC, Rtype::ANY];

fn questions() -> impl Iterator<Item = Question> {
    NAMES.into_iter().flat_map(|owner| TYPES.into_iter().map(move |rtype| Question::new(name(owner), rtype)))
}

/// What a client has no right to without its ready answer, it does not get from it either.
#[tokio::test(start_paused = true)]
async fn a_ready_answer_is_what_the_full_path_gives() {
    let peers = [INSIDER, FRIEND, STRANGER, GUEST];
    let flags = [Flags::RD, Flags::RD | Flags::CD, Flags::RD | Flags::AD, 0];
    let mut compared = 0;
    let inside = tokio::task::LocalSet::new();
    inside
        .run_until(async {
            for (first, second) in peers.iter().flat_map(|first| peers.iter().map(move |second| (first, second))) {
                let (warm, cold) = (worker(PIPELINE), worker(PIPELINE));
                for (question, flags) in questions().flat_map(|question| flags.map(|flags| (question.clone(), flags))) {
                    for dnssec_ok in [false, true] {
                        let packet = query_with(&question, flags, dnssec_ok);
                        let (first, second) = (client(first, Transport::Tcp), client(second, Transport::Tcp));
                        if ask(&warm, &packet, &first).is_none() && question.name.is_within(&name("public.example.")) {
                            warm.in_full(&packet, &first).await.expect("a reply");
                        }
                        let Some(ready) = ask(&warm, &packet, &second) else { continue };
                        let full = cold.in_full(&packet, &second).await.expect("a reply");
                        assert_eq!(ready, full, "{question}, {flags:x}, DO {dnssec_ok}: {first:?}, then {second:?}");
                        compared += 1;
                    }
                }
            }
        })
        .await;
    assert!(compared > 5_000, "{compared} replies compared");
}

/// RCODE, AA, answers, authority and EDE codes: of the reply on the wire, and of the explanation.
async fn both(worker: &Rc<Worker>, question: &Question, peer: &str, flags: u16) -> (String, String) {
    let peer = client(peer, Transport::Tcp);
    let reply = worker.in_full(&query_with(question, flags, true), &peer).await.expect("a reply");
    let message = crate::wire::Message::parse(&reply).expect("own reply");
    let mut codes = Vec::new();
    for option in crate::wire::options(message.edns().expect("OPT for OPT").data).flatten() {
        if option.code == crate::wire::OptionCode::EDE {
            codes.push(u16::from_be_bytes([option.data[0], option.data[1]]));
        }
    }
    let counts = message.header().counts;
    let wire = format!("{} {} {}/{} {codes:?}", message.rcode(), message.header().flags.has(Flags::AA), counts[1], counts[2]);
    let explain = Explain {
        question: question.clone(),
        client: Some(peer.peer.ip()),
        at: Some(peer.local),
        recursion_desired: Flags(flags).has(Flags::RD),
        checking_disabled: Flags(flags).has(Flags::CD),
    };
    let outcome = worker.explain(&explain).await.outcome;
    let records = |sets: &[RrSet]| sets.iter().map(|set| set.data.len() + set.sigs.len()).sum::<usize>();
    let codes: Vec<u16> = outcome.edes.iter().map(|ede| ede.code).map(|EdeCode(code)| code).collect();
    let explained =
        format!("{} {} {}/{} {codes:?}", outcome.rcode(), outcome.authoritative, records(&outcome.answers), records(&outcome.authority));
    (wire, explained)
}

fn without(rule: Option<usize>, review: Option<usize>) -> Pipeline {
    fn all_but<T: Copy>(all: &'static [T], left_out: Option<usize>) -> &'static [T] {
        let rest: Vec<T> = all.iter().enumerate().filter(|(at, _)| Some(*at) != left_out).map(|(_, one)| *one).collect();
        rest.leak()
    }
    Pipeline { rules: all_but(PIPELINE.rules, rule), reviews: all_but(PIPELINE.reviews, review) }
}

/// Each rule and each review left out in turn: some reply changes, and every explanation still says what the reply says.
#[tokio::test(start_paused = true)]
async fn what_breaks_a_reply_breaks_its_explanation() {
    let rules = (1..PIPELINE.rules.len()).map(|rule| (Some(rule), None));
    let reviews = (0..PIPELINE.reviews.len()).map(|review| (None, Some(review)));
    let rows: Vec<(Question, &str, u16)> = [Rtype::A, Rtype::MX, Rtype::DS]
        .into_iter()
        .flat_map(|rtype| NAMES.into_iter().map(move |owner| Question::new(name(owner), rtype)))
        .flat_map(|question| [(FRIEND, Flags::RD), (FRIEND, 0), (STRANGER, Flags::RD)].map(|(peer, flags)| (question.clone(), peer, flags)))
        .collect();
    tokio::task::LocalSet::new()
        .run_until(async {
            let mut intact = Vec::new();
            let whole = worker(PIPELINE);
            for (question, peer, flags) in &rows {
                let (wire, explained) = both(&whole, question, peer, *flags).await;
                assert_eq!(explained, wire, "{question} of {peer}, {flags:x}");
                intact.push(wire);
            }
            // What has to be looked up fails the same way again and again: no server answers here.
            for (rule, review) in rules.chain(reviews) {
                let broken = worker(without(rule, review));
                let mut changed = 0;
                for ((question, peer, flags), before) in rows.iter().zip(&intact) {
                    let (wire, explained) = both(&broken, question, peer, *flags).await;
                    assert_eq!(explained, wire, "{question} of {peer}, {flags:x}, without rule {rule:?}, review {review:?}");
                    changed += usize::from(wire != *before);
                }
                // No list has a name here, there are no views, and nobody asks for encrypted transports. What a response policy zone says is found after the look-up too. No client here has DNS64; recursion is on; additional data is in neither count; and no zone names an agent for error reports.
                let is_silent = matches!(rule, Some(6..=10 | 12)) || matches!(review, Some(0 | 2 | 4 | 5));
                assert_eq!(changed == 0, is_silent, "without rule {rule:?}, review {review:?}: {changed} replies changed");
            }
        })
        .await;
}

/// RFC 9462: what is told follows what is served, at once, and nobody else is ever asked.
#[tokio::test(start_paused = true)]
async fn encrypted_transports_are_told_as_they_are_served() {
    let of = |excepted: &[&str]| {
        let mut parts = closed_and_open_zones();
        parts.settings.policy.special_use_except = excepted.iter().map(|text| name(text)).collect();
        let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
        let net = SilentNet::default();
        (service.clone(), net.clone(), Worker::new(service, Rc::new(net), Random::from_seed(2)))
    };
    let inside = tokio::task::LocalSet::new();
    inside
        .run_until(async {
            let (service, net, worker) = of(&[]);
            let asked = async |question: &str, rtype: Rtype, peer: &str| {
                let packet = query_with(&Question::new(name(question), rtype), Flags::RD, false);
                let reply = ask(&worker, &packet, &client(peer, Transport::Udp)).expect("nothing has to wait");
                let count = |at: usize| u16::from_be_bytes([reply[at], reply[at + 1]]);
                // Without OPT.
                (reply[3] & 15, count(6), count(10) - 1)
            };
            let discovery = "_dns.resolver.arpa.";
            assert_eq!(asked(discovery, Rtype::SVCB, FRIEND).await, (0, 0, 0));
            let dot = EncryptedService::over_tls(([192, 0, 2, 53], 853).into());
            service.set_encrypted_services(&[dot]);
            assert_eq!(asked(discovery, Rtype::SVCB, FRIEND).await, (0, 0, 0), "a client could not verify it");
            service.set_certificate_name(Some(&name("dns.example.")));
            assert_eq!(asked(discovery, Rtype::SVCB, FRIEND).await, (0, 1, 1));
            let packet = query_with(&Question::new(name(discovery), Rtype::SVCB), Flags::RD, false);
            let proxied = Client { is_behind_balancer: true, ..client(FRIEND, Transport::Udp) };
            let reply = ask(&worker, &packet, &proxied).expect("nothing has to wait");
            assert_eq!(reply[6..8], [0, 0], "a balancer has addresses and ports of its own");
            assert_eq!(asked(discovery, Rtype::HTTPS, FRIEND).await, (0, 0, 0));
            assert_eq!(asked("resolver.arpa.", Rtype::RESINFO, FRIEND).await, (0, 1, 0));
            assert_eq!(asked("dns.example.", Rtype::RESINFO, FRIEND).await, (0, 1, 0));
            assert_eq!(asked(discovery, Rtype::SVCB, STRANGER).await.0, 5, "refused");
            service.set_encrypted_services(&[]);
            assert_eq!(asked(discovery, Rtype::SVCB, FRIEND).await, (0, 0, 0));
            assert!(net.asked().is_empty(), "{:?}", net.asked());
            // The operator has made it an ordinary name.
            let (service, _, worker) = of(&["resolver.arpa."]);
            service.set_certificate_name(Some(&name("dns.example.")));
            let packet = query_with(&Question::new(name("resolver.arpa."), Rtype::RESINFO), Flags::RD, false);
            assert_eq!(ask(&worker, &packet, &client(FRIEND, Transport::Udp)), None, "it has to be looked up");
        })
        .await;
}

/// Whoever asks, and however the name is come by, nobody else is asked about a zone that this server is to serve.
#[tokio::test(start_paused = true)]
async fn a_zone_that_cannot_be_read_fails_with_its_reason() {
    let missing = ["broken.zone.", "shut.zone.", "cut.open.zone."]
        .map(|apex| ZoneWithoutData { apex: name(apex), why: format!("{apex}zone:7:3: a mistake") });
    let text = "$TTL 300\n@ SOA ns admin 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nalias CNAME www.broken.zone.\ncut NS www.broken.zone.\n";
    let open = load_zone(&name("open.zone."), "test", &mut |_| Ok(text.as_bytes().to_vec())).expect("a good zone").0;
    let zones = Arc::new(Zones::new([Arc::new(open)], 1).with_missing(missing));
    let service =
        Service::new(Parts { zones, ..closed_and_open_zones() }, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    let cached = RrSet::with(name("www.broken.zone."), Rtype::A, 300, &[192, 0, 2, 80]);
    service.cache().sets().put(&cached, Rank::AuthAnswer, Security::Insecure, service.resolve.clock.boot());
    let net = SilentNet::default();
    let worker = Worker::new(service, Rc::new(net.clone()), Random::from_seed(2));
    let inside = tokio::task::LocalSet::new();
    let asked = async |question: &str, rtype: Rtype, client: &str| {
        let client: std::net::SocketAddr = client.parse().expect("an address");
        let explained = worker.explain(&Explain::new(Question::new(name(question), rtype), Some(client.ip()))).await;
        let outcome = explained.outcome;
        (outcome.rcode(), outcome.edes.first().map(|ede| (ede.code, ede.text.clone())), outcome.answers.len())
    };
    inside
        .run_until(async {
            for (question, rtype, client, zone) in [
                ("www.broken.zone.", Rtype::A, FRIEND, "broken.zone."),
                ("broken.zone.", Rtype::DS, FRIEND, "broken.zone."),
                ("www.broken.zone.", Rtype::A, STRANGER, "broken.zone."),
                ("alias.open.zone.", Rtype::A, FRIEND, "broken.zone."),
                ("www.cut.open.zone.", Rtype::A, FRIEND, "cut.open.zone."),
                ("pay.shut.zone.", Rtype::A, INSIDER, "shut.zone."),
            ] {
                let (rcode, ede, answers) = asked(question, rtype, client).await;
                let text = format!("the zone {zone} is not served: {zone}zone:7:3: a mistake");
                assert_eq!((rcode, answers), (Rcode::SERVFAIL, 0), "{question} {rtype}");
                assert_eq!(ede, Some((EdeCode::INVALID_DATA, text)), "{question} {rtype}");
            }
            assert_eq!(asked("pay.shut.zone.", Rtype::A, FRIEND).await.0, Rcode::REFUSED, "the zone's list still holds");
            assert_eq!(asked("cut.open.zone.", Rtype::DS, FRIEND).await.0, Rcode::NOERROR, "DS is the parent's, which is there");
            assert_eq!(asked("ns.open.zone.", Rtype::A, FRIEND).await.2, 1);
        })
        .await;
    assert!(net.asked().is_empty(), "{:?}", net.asked());
}
