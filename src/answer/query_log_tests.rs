//! Whoever watches is told of every query once, with what the client got, from ready answers as from the full path.

use std::rc::Rc;
use std::sync::Arc;

use super::tests::{FRIEND, NoNet, STRANGER, StoppedClock, ask, client, parts, query};
use super::{Service, Transport, Worker};
use crate::config::{Settings, ViewSettings};
use crate::env::Random;
use crate::limits::Limits;
use crate::policy::lists_of;
use crate::record::{Name, Rcode, Rtype};
use crate::tap::{Answered, Passed, Rule, Tap};
use crate::wire::{Flags, Header};

fn worker(settings: Settings) -> Rc<Worker> {
    let parts = super::Parts { settings, ..parts() };
    let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    let _ = service.replace_lists(Arc::new(lists_of(&[("ads", false, "ads.test\n")])));
    Worker::new(service, Rc::new(NoNet), Random::from_seed(2))
}

/// What the query log has been told, as text.
fn told(tap: &Tap) -> Vec<String> {
    let mut told = Vec::new();
    tap.read(|record| {
        let answered = Answered::read(record).expect("an entry");
        let name = Name::from_wire(answered.name).map_or_else(|_| "-".to_owned(), |name| name.to_string());
        let Answered { client, transport, opcode, rtype, class, rcode, answers, source, verdict, is_dropped, reason, .. } = answered;
        assert_eq!(answered.came_us, 1_800_000_000_000_000);
        let mut text = format!(
            "{} {transport} {opcode} {name} {} {class}: {} {answers} {source} {verdict:?}",
            client.ip(),
            Rtype(rtype),
            Rcode(rcode)
        );
        for more in [reason.view, reason.list, reason.text] {
            if !more.is_empty() {
                text += &format!(", {more}");
            }
        }
        told.push(if is_dropped { text + ", dropped" } else { text });
    });
    told
}

#[test]
fn every_query_is_told_of_once() {
    let worker = worker(Settings::default());
    let service = worker.service().clone();
    service.query_tap.set(Rule::Each(1));
    let question = |text: &str| query(text, Flags::RD, None);
    let mut update = question("example.org. SOA");
    update[2] = 5 << 3;
    for (peer, transport, packet, expected) in [
        (FRIEND, Transport::Udp, question("WWW.example.org. A"), "127.0.0.1 udp 0 www.example.org. A 1: NOERROR 2 zone Indeterminate"),
        (STRANGER, Transport::Tcp, question("no.example.org. A"), "198.51.100.7 tcp 0 no.example.org. A 1: NXDOMAIN 0 zone Indeterminate"),
        (FRIEND, Transport::Tls, question("localhost. A"), "127.0.0.1 tls 0 localhost. A 1: NOERROR 1 policy Indeterminate"),
        (
            STRANGER,
            Transport::Udp,
            question("www.example.com. A"),
            "198.51.100.7 udp 0 www.example.com. A 1: REFUSED 0 policy Indeterminate, this client may not use recursion",
        ),
        (
            FRIEND,
            Transport::Https,
            question("ads.test. A"),
            "127.0.0.1 https 0 ads.test. A 1: NOERROR 1 policy Indeterminate, ads, list ads",
        ),
        (
            FRIEND,
            Transport::Udp,
            question("www.example.org. A")[..14].to_vec(),
            "127.0.0.1 udp 0 - TYPE0 0: FORMERR 0 policy Indeterminate",
        ),
        (FRIEND, Transport::Tcp, update, "127.0.0.1 tcp 5 example.org. SOA 1: REFUSED 0 zone Indeterminate"),
        (FRIEND, Transport::Tcp, question("example.org. AXFR"), "127.0.0.1 tcp 0 example.org. AXFR 1: REFUSED 0 zone Indeterminate"),
    ] {
        // The second time it may come from the ready answers.
        for _ in 0..2 {
            let reply = ask(&worker, &packet, &client(peer, transport)).expect("at once");
            assert_eq!(told(&service.query_tap), [expected]);
            let header = Header::read(&reply).expect("a reply");
            assert!(expected.contains(&format!("{} {} ", Rcode(header.flags.rcode()), header.counts[1])), "{expected}: {header:?}");
        }
    }
    service.query_tap.set(Rule::Nothing);
    ask(&worker, &question("www.example.org. A"), &client(FRIEND, Transport::Udp));
    assert_eq!(told(&service.query_tap), Vec::<String>::new());
}

#[test]
fn views_are_named_or_left_out() {
    let view = |name: &str, clients: &str, is_unlogged| ViewSettings {
        name: Some(name.to_owned()),
        clients: vec![clients.parse().expect("a prefix")],
        is_unlogged,
        ..ViewSettings::default()
    };
    let mut settings = Settings::default();
    settings.views = vec![view("children", "127.0.1.0/24", false), view("quiet", "127.0.2.0/24", true)];
    let worker = worker(settings);
    let service = worker.service().clone();
    service.query_tap.set(Rule::Each(1));
    for (peer, expected) in [
        ("127.0.0.1:9", Some("127.0.0.1 udp 0 www.example.org. A 1: NOERROR 2 zone Indeterminate")),
        ("127.0.1.1:9", Some("127.0.1.1 udp 0 www.example.org. A 1: NOERROR 2 zone Indeterminate, children")),
        ("127.0.2.1:9", None),
    ] {
        for _ in 0..2 {
            ask(&worker, &query("www.example.org. A", Flags::RD, None), &client(peer, Transport::Udp)).expect("at once");
            assert_eq!(told(&service.query_tap), expected.into_iter().collect::<Vec<_>>());
        }
    }
}

/// dnstap has what went over the wire, octet for octet.
#[test]
fn messages_are_copied_as_they_passed() {
    let worker = worker(Settings::default());
    let service = worker.service().clone();
    service.message_tap.set(Rule::Each(1));
    for packet in [query("www.example.org. A", Flags::RD, None), query("www.example.com. A", 0, None), vec![7; 12]] {
        for _ in 0..2 {
            let reply = ask(&worker, &packet, &client(STRANGER, Transport::Udp)).expect("at once");
            let mut messages = Vec::new();
            service.message_tap.read(|record| {
                let passed = Passed::read(record).expect("a message");
                assert_eq!((passed.from.to_string(), passed.to.to_string()), (STRANGER.to_owned(), "127.0.0.1:53".to_owned()));
                messages.push(passed.message.to_vec());
            });
            let expected = [&packet, &reply].into_iter().filter(|message| !message.is_empty());
            assert_eq!(messages, expected.cloned().collect::<Vec<_>>());
        }
    }
}
