//! The parts of the way, each made ready once and then run turn by turn: `instructions` counts what a turn executes,
//! `timing` measures how long it takes.

mod net;

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use cairn::answer::{AtOnce, Client, Moment, Parts, Service, Transport, Worker};
use cairn::cache::AnswerKey;
use cairn::config::Settings;
use cairn::env::{BootTime, Clock, Random, WallTime};
use cairn::limits::Limits;
use cairn::record::{Class, Name, Question, Rank, Rcode, RrSet, Rtype, Security};
use cairn::validate::test_signer::{self, Signer};
use cairn::validate::{Now, WorkBudget, verify_set};
use cairn::wire::{Flags, Header, Message, OptionCode, QueryView, Section, Writer};
use cairn::zone::{Zones, load_zone};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Enough that no one entry decides; few enough that warming up is short.
const NAMES: usize = 500;
pub const NOW: BootTime = BootTime(1_000_000);

/// Makes ready; what it returns runs one turn.
type MakeReady = fn() -> Box<dyn FnMut()>;

pub const PARTS: &[(&str, MakeReady)] = &[
    // A question whose answer is known, as it comes from a client.
    ("hit", || asked_again("www", Rtype::A, Asking::Edns)),
    ("hit-plain", || asked_again("www", Rtype::A, Asking::Plain)),
    ("hit-cookie", || asked_again("www", Rtype::A, Asking::Cookie)),
    ("hit-alias", || asked_again("alias", Rtype::A, Asking::Edns)),
    ("hit-denial", || asked_again("www", Rtype::MX, Asking::Edns)),
    ("hit-own", || at_once_again(|n| query(&name_of(&format!("h{n}.own.example.")), Rtype::A, Asking::Edns))),
    ("hit-special", || at_once_again(|n| query(&name_of(&format!("h{n}.localhost.")), Rtype::A, Asking::Edns))),
    ("hit-refused", || at_once_again(|n| unwanted(&name("www", n)))),
    ("miss", miss),
    ("resolve", resolve),
    ("parse-query", parse_query),
    ("walk-records", walk_records),
    ("patch", patch),
    ("encode", encode),
    ("validate", validate),
];

struct StoppedClock;

impl Clock for StoppedClock {
    fn boot(&self) -> BootTime {
        NOW
    }

    fn wall(&self) -> WallTime {
        WallTime(1_700_000_000)
    }
}

/// A worker, and the runtime that its tasks live in.
struct Bench {
    worker: Rc<Worker>,
    moment: Moment,
    client: Client,
    runtime: LocalRuntime,
    slot: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Asking {
    Plain,
    Edns,
    Cookie,
}

impl Bench {
    fn new() -> Bench {
        let runtime = Builder::new_current_thread().enable_time().build_local(LocalOptions::default()).expect("a runtime");
        let worker = {
            let _inside = runtime.enter();
            worker()
        };
        Bench { moment: worker.moment(NOW), client: client(), worker, runtime, slot: vec![0; 2048] }
    }

    fn at_once(&mut self, query: &[u8]) -> AtOnce {
        self.slot[..query.len()].copy_from_slice(query);
        self.worker.at_once(&self.moment, &mut self.slot, query.len(), &self.client)
    }

    fn in_full(&self, query: &[u8]) {
        let reply = self.runtime.block_on(self.worker.in_full(query, &self.client)).expect("a reply");
        let header = Header::read(&reply).expect("a header");
        assert_eq!(
            Rcode(header.flags.rcode()),
            Rcode::NOERROR,
            "{:?}",
            QueryView::check(query).map(|view| view.qname().map(|n| n.to_string()))
        );
    }

    fn repeat(mut self, queries: Vec<Vec<u8>>) -> Box<dyn FnMut()> {
        let mut turn = 0;
        Box::new(move || {
            let reply = self.at_once(&queries[turn % queries.len()]);
            assert!(matches!(reply, AtOnce::Reply(_)));
            turn += 1;
        })
    }
}

fn asked_again(label: &str, rtype: Rtype, asking: Asking) -> Box<dyn FnMut()> {
    let bench = Bench::new();
    let queries: Vec<Vec<u8>> = (0..NAMES).map(|n| query(&name(label, n), rtype, asking)).collect();
    // Twice: the first answer to an alias may rest on an alias tail, which is not kept.
    queries.iter().chain(&queries).for_each(|query| bench.in_full(query));
    bench.repeat(queries)
}

/// What needs no waiting the first time either.
fn at_once_again(query: impl Fn(usize) -> Vec<u8>) -> Box<dyn FnMut()> {
    let mut bench = Bench::new();
    let queries: Vec<Vec<u8>> = (0..NAMES).map(query).collect();
    for query in &queries {
        assert!(matches!(bench.at_once(query), AtOnce::Reply(_)));
    }
    bench.repeat(queries)
}

/// Finding out that a question takes waiting.
fn miss() -> Box<dyn FnMut()> {
    let (mut bench, query) = (Bench::new(), query(&name("www", 1), Rtype::A, Asking::Edns));
    Box::new(move || assert!(matches!(bench.at_once(&query), AtOnce::Later(_))))
}

/// A name of a zone not met before, below a known top-level domain, over a network that answers at once.
fn resolve() -> Box<dyn FnMut()> {
    let (bench, mut number) = (Bench::new(), 0);
    let mut next = move || {
        bench.in_full(&query(&name("www", number), Rtype::A, Asking::Edns));
        number += 1;
    };
    next();
    Box::new(next)
}

fn parse_query() -> Box<dyn FnMut()> {
    let query = query(&name("www", 1), Rtype::A, Asking::Cookie);
    Box::new(move || assert!(QueryView::check(black_box(&query)).is_ok_and(|view| view.edns().is_some())))
}

/// A referral taken apart, every owner and datum expanded.
fn walk_records() -> Box<dyn FnMut()> {
    let referral = net::reply(&query(&name("www", 1), Rtype::A, Asking::Edns), net::TOP_LEVEL).expect("a reply");
    let mut data = Vec::new();
    Box::new(move || {
        let message = Message::parse(black_box(&referral)).expect("well formed");
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            for record in message.records(section) {
                data.clear();
                black_box(record.owner().expect("well formed"));
                record.expand_rdata(&mut data).expect("well formed");
            }
        }
    })
}

/// A ready answer copied and its TTLs and order patched, without the query around it.
fn patch() -> Box<dyn FnMut()> {
    let (mut bench, owner) = (Bench::new(), name("www", 1));
    let service = Arc::clone(bench.worker.service());
    let set = four_addresses(&owner);
    service.cache().sets().put(&set, Rank::AuthAnswer, Security::Insecure, NOW);
    assert!(service.cache().answers().put(&plain_key(&owner), &reply_of(&set), false, NOW));
    Box::new(move || {
        let key = plain_key(black_box(&owner));
        assert!(service.cache().answers().copy(&key, NOW, 1232, &mut bench.slot).is_some());
    })
}

/// A reply of four addresses written.
fn encode() -> Box<dyn FnMut()> {
    let set = four_addresses(&name("www", 1));
    Box::new(move || {
        black_box(reply_of(black_box(&set)));
    })
}

/// One set proved by one signature (ECDSA P-256, the usual one), with the keys of its zone known.
fn validate() -> Box<dyn FnMut()> {
    let signer = Signer::p256("example.com.");
    let set = signer.sign(RrSet::with(name_of("www.example.com."), Rtype::A, 3600, &[192, 0, 2, 1]));
    let keys = signer.keys();
    Box::new(move || {
        let verified = verify_set(black_box(&set), &keys, Now::At(test_signer::NOW), &mut WorkBudget::default());
        assert!(verified.is_ok());
    })
}

pub fn plain_key(owner: &Name) -> AnswerKey<'_> {
    AnswerKey { qname: owner.as_wire(), qtype: Rtype::A, dnssec_ok: false, group: 0, generation: 1 }
}

fn worker() -> Rc<Worker> {
    let text = "[recursion]\nipv6 = false\ndnssec = false\n[server]\nallow = ['10.0.0.0/8', '192.168.0.0/16']\n";
    let settings = Settings::from_toml(text, "bench").expect("valid settings");
    let apex = name_of("own.example.");
    let hosts: String = (0..NAMES).map(|n| format!("h{n} A 192.0.2.{}\n", n % 250)).collect();
    let zone = format!("$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n{hosts}");
    let (zone, _) = load_zone(&apex, "zone", &mut |_| Ok(zone.clone().into_bytes())).expect("a valid zone");
    let parts = Parts {
        settings,
        hints: vec![(name_of("a.root-servers.net."), net::ROOT)],
        anchors: Arc::default(),
        zones: Arc::new(Zones::new([Arc::new(zone)], 1)),
        own_addresses: Vec::new(),
    };
    let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    Worker::new(service, Rc::new(net::Internet), Random::from_seed(2))
}

fn client() -> Client {
    let peer = "10.1.2.3:4000".parse().expect("address");
    Client { peer, local: "10.0.0.1:53".parse().expect("address"), transport: Transport::Udp, is_behind_balancer: false }
}

pub fn name(label: &str, number: usize) -> Name {
    name_of(&format!("{label}.site{number:06}.com."))
}

fn name_of(text: &str) -> Name {
    Name::parse(text).expect("a name of this file")
}

fn query(name: &Name, rtype: Rtype, asking: Asking) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id: 7, flags: Flags(Flags::RD), counts: [0; 4] });
    writer.question(&Question::new(name.clone(), rtype)).expect("room");
    let cookie = [(OptionCode::COOKIE, &b"clientck"[..])];
    match asking {
        Asking::Plain => {}
        Asking::Edns => writer.opt(1232, Rcode::NOERROR, false, &[]).expect("room"),
        Asking::Cookie => writer.opt(1232, Rcode::NOERROR, false, &cookie).expect("room"),
    }
    writer.finish()
}

/// A question that asks for no recursion, about a name that is not ours: refused.
fn unwanted(name: &Name) -> Vec<u8> {
    let mut query = query(name, Rtype::A, Asking::Edns);
    query[2] &= !1;
    query
}

pub fn four_addresses(owner: &Name) -> RrSet {
    let mut set = RrSet::new(owner.clone(), Rtype::A, 3600);
    (1..=4).for_each(|last| set.data.push(&[10, 9, 8, last]));
    set
}

pub fn reply_of(set: &RrSet) -> Vec<u8> {
    let mut writer = Writer::new(Vec::with_capacity(512), 1232);
    writer.header(Header { id: 0, flags: Flags(Flags::QR), counts: [0; 4] });
    writer.question(&Question::new(set.name.clone(), set.rtype)).expect("room");
    for rdata in set.data.iter() {
        writer.record(Section::Answer, &set.name, set.rtype, Class::IN, set.ttl, rdata).expect("room");
    }
    writer.finish()
}
