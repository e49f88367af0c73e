//! The parts of the way, each run a given number of times, so that `run` beside this file can count instructions:
//! the count of 2n turns less that of n turns, by n, is what one turn costs, whatever starting up costs.
//!
//! `instructions PART TURNS`; without arguments, the names of the parts.

mod net;

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use cairn::answer::{AtOnce, Client, Parts, Service, Transport, Worker};
use cairn::cache::AnswerKey;
use cairn::config::{Limits, Settings};
use cairn::env::{BootTime, Clock, Random, WallTime};
use cairn::record::{Class, Name, Question, Rank, Rcode, RrSet, Rtype, Security};
use cairn::wire::{Flags, Header, Message, OptionCode, QueryView, Section, Writer};
use cairn::zone::{Zones, load_zone};
use tokio::runtime::{Builder, LocalOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Enough that no one entry decides; few enough that warming up is short.
const NAMES: usize = 500;
const NOW: BootTime = BootTime(1_000_000);

type Part = (&'static str, fn(&mut Bench, usize));

const PARTS: &[Part] = &[
    ("hit", |bench, turns| bench.ask_again(turns, "www", Rtype::A, Asking::Edns)),
    ("hit-plain", |bench, turns| bench.ask_again(turns, "www", Rtype::A, Asking::Plain)),
    ("hit-cookie", |bench, turns| bench.ask_again(turns, "www", Rtype::A, Asking::Cookie)),
    ("hit-alias", |bench, turns| bench.ask_again(turns, "alias", Rtype::A, Asking::Edns)),
    ("hit-denial", |bench, turns| bench.ask_again(turns, "www", Rtype::MX, Asking::Edns)),
    ("hit-own", |bench, turns| bench.ask_own(turns)),
    ("miss", Bench::miss),
    ("resolve", Bench::resolve),
    ("parse-query", Bench::parse_query),
    ("walk-records", Bench::walk_records),
    ("patch", Bench::patch),
    ("encode", Bench::encode),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let [part, turns] = &arguments[..] else {
        PARTS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let (_, run) = PARTS.iter().find(|(name, _)| name == part).expect("a part that is listed");
    let runtime = Builder::new_current_thread().enable_time().build_local(LocalOptions::default()).expect("a runtime");
    let _entered = runtime.enter();
    let mut bench = Bench { worker: worker(), block_on: Box::new(move |work| runtime.block_on(work)), slot: vec![0; 2048] };
    run(&mut bench, turns.parse().expect("a number"));
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn boot(&self) -> BootTime {
        NOW
    }

    fn wall(&self) -> WallTime {
        WallTime(1_700_000_000)
    }
}

type Work<'a> = std::pin::Pin<Box<dyn Future<Output = Option<Vec<u8>>> + 'a>>;

type BlockOn = dyn Fn(Work<'_>) -> Option<Vec<u8>>;

struct Bench {
    worker: Rc<Worker>,
    block_on: Box<BlockOn>,
    slot: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Asking {
    Plain,
    Edns,
    Cookie,
}

impl Bench {
    /// One turn: a question whose answer is known, as it comes from a client.
    fn ask_again(&mut self, turns: usize, label: &str, rtype: Rtype, asking: Asking) {
        let queries: Vec<Vec<u8>> = (0..NAMES).map(|n| query(&name(label, n), rtype, asking)).collect();
        for query in &queries {
            self.in_full(query);
        }
        self.at_once_over(turns, &queries);
    }

    fn ask_own(&mut self, turns: usize) {
        let queries: Vec<Vec<u8>> =
            (0..NAMES).map(|n| query(&Name::parse(&format!("h{n}.own.example.")).expect("name"), Rtype::A, Asking::Edns)).collect();
        self.at_once_over(NAMES, &queries);
        self.at_once_over(turns, &queries);
    }

    fn at_once_over(&mut self, turns: usize, queries: &[Vec<u8>]) {
        let (client, moment) = (client(), self.worker.moment(NOW));
        for turn in 0..turns {
            let query = &queries[turn % queries.len()];
            self.slot[..query.len()].copy_from_slice(query);
            let reply = self.worker.at_once(&moment, &mut self.slot, query.len(), &client);
            assert!(matches!(reply, AtOnce::Reply(_)));
        }
    }

    /// One turn: finding out that a question takes waiting.
    fn miss(&mut self, turns: usize) {
        let (query, client, moment) = (query(&name("www", 1), Rtype::A, Asking::Edns), client(), self.worker.moment(NOW));
        for _ in 0..turns {
            self.slot[..query.len()].copy_from_slice(&query);
            assert_eq!(self.worker.at_once(&moment, &mut self.slot, query.len(), &client), AtOnce::Later);
        }
    }

    /// One turn: a name of a zone not met before, below a known top-level domain, over a network that answers at once.
    fn resolve(&mut self, turns: usize) {
        for turn in 0..=turns {
            let query = query(&name("www", turn), Rtype::A, Asking::Edns);
            self.in_full(&query);
        }
    }

    fn in_full(&self, query: &[u8]) {
        let client = client();
        let work = self.worker.in_full(query, &client);
        let reply = (self.block_on)(Box::pin(work)).expect("a reply");
        let header = Header::read(&reply).expect("a header");
        assert_eq!(
            Rcode(header.flags.rcode()),
            Rcode::NOERROR,
            "{:?}",
            QueryView::check(query).map(|view| view.qname().map(|n| n.to_string()))
        );
    }

    fn parse_query(&mut self, turns: usize) {
        let query = query(&name("www", 1), Rtype::A, Asking::Cookie);
        for _ in 0..turns {
            assert!(QueryView::check(black_box(&query)).is_ok_and(|view| view.edns().is_some()));
        }
    }

    /// One turn: a referral taken apart, every owner and datum expanded.
    fn walk_records(&mut self, turns: usize) {
        let referral = net::reply(&query(&name("www", 1), Rtype::A, Asking::Edns), net::TOP_LEVEL).expect("a reply");
        let mut data = Vec::new();
        for _ in 0..turns {
            let message = Message::parse(black_box(&referral)).expect("well formed");
            for section in [Section::Answer, Section::Authority, Section::Additional] {
                for record in message.records(section) {
                    data.clear();
                    black_box(record.owner().expect("well formed"));
                    record.expand_rdata(&mut data).expect("well formed");
                }
            }
        }
    }

    /// One turn: a ready answer copied and its TTLs and order patched, without the query around it.
    fn patch(&mut self, turns: usize) {
        let (cache, owner) = (self.worker.service().cache(), name("www", 1));
        let set = four_addresses(&owner);
        cache.put_set(&set, Rank::AuthAnswer, Security::Insecure, NOW);
        let key = AnswerKey { qname: owner.as_wire(), qtype: Rtype::A, dnssec_ok: false, group: 0, generation: 1 };
        assert!(cache.put_answer(&key, &reply_of(&set), false, NOW));
        for _ in 0..turns {
            assert!(cache.copy_answer(black_box(&key), NOW, 1232, &mut self.slot).is_some());
        }
    }

    /// One turn: a reply of four addresses written.
    fn encode(&mut self, turns: usize) {
        let set = four_addresses(&name("www", 1));
        for _ in 0..turns {
            black_box(reply_of(black_box(&set)));
        }
    }
}

fn worker() -> Rc<Worker> {
    let text = "[recursion]\nipv6 = false\ndnssec = false\n[server]\nallow = ['10.0.0.0/8', '192.168.0.0/16']\n";
    let settings = Settings::from_toml(text, "bench").expect("valid settings");
    let apex = Name::parse("own.example.").expect("name");
    let hosts: String = (0..NAMES).map(|n| format!("h{n} A 192.0.2.{}\n", n % 250)).collect();
    let zone = format!("$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n{hosts}");
    let (zone, _) = load_zone(&apex, "zone", &mut |_| Ok(zone.clone().into_bytes())).expect("a valid zone");
    let parts = Parts {
        settings,
        hints: vec![(Name::parse("a.root-servers.net.").expect("name"), net::ROOT)],
        anchors: Arc::default(),
        zones: Arc::new(Zones::new([Arc::new(zone)], 1)),
        own_addresses: Vec::new(),
    };
    let service = Service::new(parts, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    Worker::new(service, Rc::new(net::Internet), Random::from_seed(2))
}

fn client() -> Client {
    let peer = "10.1.2.3:4000".parse().expect("address");
    Client { peer, local: "10.0.0.1:53".parse().expect("address"), transport: Transport::Udp }
}

fn name(label: &str, number: usize) -> Name {
    Name::parse(&format!("{label}.site{number:06}.com.")).expect("name")
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

fn four_addresses(owner: &Name) -> RrSet {
    let mut set = RrSet::new(owner.clone(), Rtype::A, 3600);
    (1..=4).for_each(|last| set.data.push(&[10, 9, 8, last]));
    set
}

fn reply_of(set: &RrSet) -> Vec<u8> {
    let mut writer = Writer::new(Vec::with_capacity(512), 1232);
    writer.header(Header { id: 0, flags: Flags(Flags::QR), counts: [0; 4] });
    writer.question(&Question::new(set.name.clone(), set.rtype)).expect("room");
    for rdata in set.data.iter() {
        writer.record(Section::Answer, &set.name, set.rtype, Class::IN, set.ttl, rdata).expect("room");
    }
    writer.finish()
}
