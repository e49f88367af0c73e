//! What servers of a zone and strangers get when they transfer it, tell of it, or sign their questions.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tests::{NoNet, StoppedClock, client, parts};
use super::{AtOnce, Parts, Service, Transport, Worker};
use crate::authority::{Keyring, Verifier, sign_request};
use crate::config::Settings;
use crate::env::{BootTime, Clock, Random, WallTime};
use crate::limits::Limits;
use crate::record::{Class, Name, Question, Rtype};
use crate::wire::{Flags, Header, Message, Opcode, Section, Writer};
use crate::zone::ZoneWithoutData;

const CONFIG: &str = "\
[[key]]
name = 'k'
secret = 'c2VjcmV0IG9mIHRoZSB0ZXN0cw=='
[[key]]
name = 'other'
secret = 'AAAA'
[[zone]]
name = 'example.org'
file = 'x'
transfer = ['192.0.2.1', '192.0.2.2 key k', 'key other']
update = ['192.0.2.1']
[[zone]]
name = 'copy.test'
primaries = ['192.0.2.8', '192.0.2.9 key k']
transfer = ['192.0.2.1']
";

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

fn worker() -> Rc<Worker> {
    worker_at(Arc::new(StoppedClock))
}

/// A clock that the test moves.
struct Hands(AtomicU64);

impl Clock for Hands {
    fn boot(&self) -> BootTime {
        BootTime(1_000_000 + self.0.load(Ordering::Relaxed))
    }

    fn wall(&self) -> WallTime {
        StoppedClock.wall()
    }
}

fn worker_at(clock: Arc<dyn Clock>) -> Rc<Worker> {
    let settings = Settings::from_toml(CONFIG, "cairn.toml").expect("valid");
    let zones = (*parts().zones).clone();
    let missing = ZoneWithoutData { apex: name("copy.test."), why: "no copy".to_owned() };
    let parts = Parts { settings, zones: Arc::new(zones.with_missing([missing])), ..parts() };
    let service = Service::new(parts, Limits::default(), clock, &Random::from_seed(1));
    Worker::new(service, Rc::new(NoNet), Random::from_seed(2))
}

fn message(opcode: Opcode, zone: &str, rtype: Rtype, serial: Option<u32>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id: 0x4711, flags: Flags(u16::from(opcode.0) << 11), counts: [0; 4] });
    writer.question(&Question::new(name(zone), rtype)).expect("room");
    if let Some(serial) = serial {
        let rdata = [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
        writer.record(Section::Authority, &name(zone), Rtype::SOA, Class::IN, 0, &rdata).expect("room");
    }
    writer.finish()
}

fn signed(packet: &[u8], key: &str) -> (Vec<u8>, Verifier) {
    let keyring = Keyring::new(&Settings::from_toml(CONFIG, "cairn.toml").expect("valid").keys);
    let mut packet = packet.to_vec();
    let verifier = sign_request(keyring.get(&name(key)).expect("a key"), &mut packet, StoppedClock.wall());
    (packet, verifier)
}

/// `RCODE` of the reply with its number of answers, `silence`, or `many` with the number of messages and of records.
fn said(worker: &Worker, packet: &[u8], peer: &str, transport: Transport) -> (String, Vec<Vec<u8>>) {
    let mut slot = vec![0; 65_535];
    slot[..packet.len()].copy_from_slice(packet);
    let peer = format!("{peer}:4000");
    let replies = match worker.at_once(&worker.moment(BootTime(1_000_000)), &mut slot, packet.len(), &client(&peer, transport)) {
        AtOnce::Reply(len) => vec![slot[..len].to_vec()],
        AtOnce::Silence => return ("silence".to_owned(), Vec::new()),
        AtOnce::Later(_) => return ("later".to_owned(), Vec::new()),
        AtOnce::Many(mut messages) => std::iter::from_fn(|| messages.next()).collect(),
    };
    let count = replies.iter().map(|reply| Message::parse(reply).expect("well formed").records(Section::Answer).count()).sum::<usize>();
    let rcode = Message::parse(&replies[0]).expect("well formed").rcode();
    (format!("{rcode} {count}"), replies)
}

/// A question may lose its place between the decision and its task: then nothing may have changed.
#[tokio::test]
async fn an_update_that_has_no_place_is_not_carried_out() {
    let worker = worker();
    let packet = message(Opcode::UPDATE, "example.org.", Rtype::SOA, None);
    let permitted = || {
        let mut slot = packet.clone();
        match worker.at_once(&worker.moment(BootTime(1_000_000)), &mut slot, packet.len(), &client("192.0.2.1:4000", Transport::Tcp)) {
            AtOnce::Later(pending) => pending,
            AtOnce::Reply(_) | AtOnce::Silence | AtOnce::Many(_) => panic!("it has to be carried out"),
        }
    };
    let waiting = || worker.service().updates.take(std::time::Duration::ZERO);
    drop(permitted());
    assert!(waiting().is_empty());
    let (pending, peer) = (permitted(), client("192.0.2.1:4000", Transport::Tcp));
    let carried_out = async {
        tokio::task::yield_now().await;
        let mut updates = waiting();
        assert_eq!(updates.len(), 1);
        updates.remove(0).answer(crate::record::Rcode::NOERROR);
    };
    let (reply, ()) = tokio::join!(worker.later(pending, &peer, None), carried_out);
    assert_eq!(Message::parse(&reply).expect("well formed").rcode(), crate::record::Rcode::NOERROR);
}

#[test]
fn who_may_transfer() {
    let worker = worker();
    let axfr = message(Opcode::QUERY, "example.org", Rtype::AXFR, None);
    let (by_k, by_other) = (signed(&axfr, "k.").0, signed(&axfr, "other.").0);
    let of_copy = message(Opcode::QUERY, "copy.test", Rtype::AXFR, None);
    let elsewhere = message(Opcode::QUERY, "example.net", Rtype::AXFR, None);
    // The zone has 13 records; its SOA is sent twice.
    for (packet, peer, transport, expected) in [
        (&axfr, "192.0.2.1", Transport::Tcp, "NOERROR 14"),
        (&by_k, "192.0.2.1", Transport::Tcp, "NOERROR 14"),
        (&axfr, "192.0.2.2", Transport::Tcp, "REFUSED 0"),
        (&by_k, "192.0.2.2", Transport::Tcp, "NOERROR 14"),
        (&by_k, "192.0.2.3", Transport::Tcp, "REFUSED 0"),
        (&by_other, "198.51.100.7", Transport::Tcp, "NOERROR 14"),
        (&axfr, "127.0.0.1", Transport::Tcp, "REFUSED 0"),
        (&axfr, "192.0.2.1", Transport::Udp, "REFUSED 0"),
        (&of_copy, "192.0.2.1", Transport::Tcp, "SERVFAIL 0"),
        (&of_copy, "192.0.2.2", Transport::Tcp, "REFUSED 0"),
        (&elsewhere, "192.0.2.1", Transport::Tcp, "NOTAUTH 0"),
    ] {
        assert_eq!(said(&worker, packet, peer, transport).0, expected, "{peer} {transport:?}");
    }
}

#[test]
fn ixfr_by_serial_and_transport() {
    let worker = worker();
    for (serial, transport, expected) in [
        (Some(1), Transport::Tcp, "NOERROR 1"),
        (Some(0), Transport::Tcp, "NOERROR 14"),
        (Some(0), Transport::Udp, "NOERROR 1"),
        (None, Transport::Tcp, "FORMERR 0"),
    ] {
        let packet = message(Opcode::QUERY, "example.org", Rtype::IXFR, serial);
        assert_eq!(said(&worker, &packet, "192.0.2.1", transport).0, expected, "{serial:?} {transport:?}");
    }
}

/// RFC 6891 6.1.1, 6.1.3.
#[test]
fn edns_of_a_refusal_and_of_an_unknown_version() {
    let worker = worker();
    for (version, peer, expected) in [(0, "192.0.2.77", "REFUSED 0"), (1, "192.0.2.1", "BADVERS 0"), (0, "192.0.2.1", "NOERROR 14")] {
        let mut packet = message(Opcode::QUERY, "example.org", Rtype::AXFR, None);
        packet[11] = 1;
        packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, version, 0, 0, 0, 0]);
        let (reply, replies) = said(&worker, &packet, peer, Transport::Tcp);
        assert_eq!(reply, expected);
        assert!(Message::parse(&replies[0]).expect("well formed").edns().is_some());
    }
}

#[test]
fn every_message_of_a_signed_transfer_is_signed() {
    let worker = worker();
    let (packet, mut verifier) = signed(&message(Opcode::QUERY, "example.org", Rtype::AXFR, None), "other.");
    let (_, messages) = said(&worker, &packet, "198.51.100.7", Transport::Tcp);
    assert!(!messages.is_empty());
    for message in messages {
        verifier.verify(&message, StoppedClock.wall()).expect("signed");
        assert!(verifier.is_complete());
    }
}

#[test]
fn ordinary_questions_are_answered_signed() {
    let worker = worker();
    for transport in [Transport::Udp, Transport::Tcp] {
        let (packet, mut verifier) = signed(&message(Opcode::QUERY, "www.example.org", Rtype::A, None), "k.");
        let (said, replies) = said(&worker, &packet, "198.51.100.7", transport);
        assert_eq!(said, "NOERROR 2");
        verifier.verify(&replies[0], StoppedClock.wall()).expect("signed");
    }
    // The same question without a signature is answered without one, also when the answer is ready.
    let plain = message(Opcode::QUERY, "www.example.org", Rtype::A, None);
    let (_, replies) = said(&worker, &plain, "198.51.100.7", Transport::Udp);
    assert_eq!(Message::parse(&replies[0]).expect("well formed").records(Section::Additional).count(), 0);
    // A signature does not make a client one that may recurse.
    let (packet, mut verifier) = signed(&message(Opcode::QUERY, "www.example.net", Rtype::A, None), "k.");
    let (said_of_others, replies) = said(&worker, &packet, "198.51.100.7", Transport::Udp);
    assert_eq!(said_of_others, "REFUSED 0");
    verifier.verify(&replies[0], StoppedClock.wall()).expect("signed");
}

#[test]
fn bad_signatures_are_told() {
    let worker = worker();
    let (mut packet, _) = signed(&message(Opcode::QUERY, "www.example.org", Rtype::A, None), "k.");
    let at = packet.len() - 10;
    packet[at] ^= 1;
    assert_eq!(said(&worker, &packet, "192.0.2.1", Transport::Udp).0, "NOTAUTH 0");
    let mut twice = signed(&message(Opcode::QUERY, "www.example.org", Rtype::A, None), "k.").0;
    twice.push(0);
    assert_eq!(said(&worker, &twice, "192.0.2.1", Transport::Udp).0, "FORMERR 0");
}

/// RFC 1996 3.10: strangers are ignored.
#[test]
fn whose_notify_is_heard() {
    let worker = worker();
    let notify = message(Opcode::NOTIFY, "copy.test", Rtype::SOA, None);
    let by_k = signed(&notify, "k.").0;
    let by_other = signed(&notify, "other.").0;
    for (packet, peer, expected, is_heard) in [
        (&notify, "192.0.2.8", "NOERROR 0", true),
        (&notify, "192.0.2.9", "NOERROR 0", true),
        (&notify, "192.0.2.7", "silence", false),
        (&by_k, "192.0.2.7", "NOERROR 0", true),
        (&by_other, "192.0.2.7", "silence", false),
        (&message(Opcode::NOTIFY, "example.org", Rtype::SOA, None), "192.0.2.8", "NOTAUTH 0", false),
        (&message(Opcode::NOTIFY, "copy.test", Rtype::A, None), "192.0.2.8", "NOTIMP 0", false),
    ] {
        let (reply, replies) = said(&worker, packet, peer, Transport::Udp);
        assert_eq!(reply, expected, "{peer}");
        if expected.starts_with("NOERROR") {
            let header = Message::parse(&replies[0]).expect("well formed").header();
            assert_eq!((header.id, header.flags.opcode(), header.flags.has(Flags::AA)), (0x4711, Opcode::NOTIFY, true));
        }
        let heard = worker.service().notified.heard_so_far();
        assert_eq!(heard.contains_key(&name("copy.test.")), is_heard, "{peer}");
    }
}

#[test]
fn replaced_zones_are_served_at_once_and_their_changes_are_known() {
    let worker = worker();
    let text = "$TTL 300\n@ SOA ns admin 2 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.3\n";
    let (zone, _) = crate::zone::load_zone(&name("example.org."), "new", &mut |_| Ok(text.as_bytes().to_vec())).expect("a good zone");
    let question = message(Opcode::QUERY, "www.example.org", Rtype::A, None);
    assert_eq!(said(&worker, &question, "192.0.2.1", Transport::Udp).0, "NOERROR 2");
    let service = worker.service().clone();
    let retired = service.replace_zones(Arc::new(service.snapshot().zones.with(Arc::new(zone))));
    assert!(retired.is_unused());
    assert_eq!(said(&worker, &question, "192.0.2.1", Transport::Udp).0, "NOERROR 1");
    let ixfr = message(Opcode::QUERY, "example.org", Rtype::IXFR, Some(1));
    let (_, messages) = said(&worker, &ixfr, "192.0.2.1", Transport::Tcp);
    let parsed = Message::parse(&messages[0]).expect("well formed");
    let soas = parsed.records(Section::Answer).filter(|record| record.rtype() == Rtype::SOA).count();
    assert!(soas == 2 || soas == 4, "the whole zone, which is shorter, or the changes: {soas}");
    let retransferred = service.snapshot();
    assert!(retransferred.histories.get(name("example.org.").as_wire()).is_some_and(|history| history.since(1).is_some()));
}

/// Each transfer holds a version of its zone for as long as its client likes to read.
#[test]
fn transfers_are_bounded_in_number_and_in_time() {
    let clock = Arc::new(Hands(AtomicU64::new(0)));
    let worker = worker_at(clock.clone());
    let axfr = message(Opcode::QUERY, "example.org", Rtype::AXFR, None);
    let begin = || {
        let mut slot = vec![0; 65_535];
        slot[..axfr.len()].copy_from_slice(&axfr);
        match worker.at_once(&worker.moment(BootTime(1_000_000)), &mut slot, axfr.len(), &client("192.0.2.1:4000", Transport::Tcp)) {
            AtOnce::Many(messages) => Some(messages),
            _ => None,
        }
    };
    let mut held: Vec<_> = std::iter::from_fn(begin).take(100).collect();
    assert_eq!((held.len(), said(&worker, &axfr, "192.0.2.1", Transport::Tcp).0), (20, "SERVFAIL 0".to_owned()));
    clock.0.store(1_801_000, Ordering::Relaxed);
    assert!(held.remove(0).next().is_none(), "half an hour is over");
    let mut again = begin().expect("a place came back");
    assert!(again.next().is_some() && begin().is_none());
}
