//! Lists of names: what clients get, also from ready answers, row by row.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::reload_tests::SilentNet;
use super::tests::{FRIEND, STRANGER, StoppedClock, client, parts};
use super::{AtOnce, Parts, Service, Transport, Worker};
use crate::config::{BlockAnswer, RpzSettings, Settings};
use crate::env::Random;
use crate::limits::Limits;
use crate::policy::{Lists, lists_of};
use crate::record::{Name, Question, Rank, Rcode, RrSet, Rtype, Security, rdata_to_text};
use crate::tap::{Answered, Rule};
use crate::wire::{Flags, Header, Message, OptionCode, Section, Writer};
use crate::zone::{Zones, load_zone};

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

fn lists() -> Lists {
    let ads = "ads.site\nalias.ads.site\ntracker.site\nwww.example.org\nsvc.tracker.site\nlisted.site\nshop.site\n||elsewhere.site^$dnsrewrite=plain.site\n||deep.site^\n";
    // Other answers, some of which lead on.
    let own = [
        ("hop", "elsewhere.site"),
        ("toads", "ads.site"),
        ("tocloak", "cloak.site"),
        ("tozero", "zero.site"),
        ("togood", "good.site"),
        ("tolisted", "listed.site"),
        ("loop1", "loop2.site"),
        ("loop2", "loop1.site"),
        ("self", "self.site"),
        ("back", "comes.back.site"),
        ("denied", "NXDOMAIN"),
        ("empty", "NOERROR"),
        ("refused", "REFUSED"),
        ("failing", "SERVFAIL"),
        ("zero", "0.0.0.0"),
        ("moved", "198.51.100.9"),
        ("ruled", "rule.site"),
    ];
    let own: String = own.iter().map(|(name, to)| format!("|{name}.site^$dnsrewrite={to}\n")).collect();
    lists_of(&[("ads", false, ads), ("mine", true, "shop.site\ngood.site\n"), ("own", false, &own)])
}

/// Used where a test turns them on.
const RULES: &str = "$TTL 60
@ SOA a. b. 1 2 3 4 60
@ NS a.
rule.site CNAME .
toblocked.site CNAME ads.site.
tohop.site CNAME elsewhere.site.
tofine.site CNAME fine.site.
torule.site CNAME rule.site.
";

/// Names with data in the cache, some of which lead to blocked ones.
fn worker(tune: impl Fn(&mut Settings)) -> Rc<Worker> {
    let mut settings = Settings::default();
    settings.recursion.dnssec = false;
    settings.dns64.clients = vec!["127.0.0.64/32".parse().expect("a prefix")];
    settings.policy.local_records = vec![RrSet::with(name("listed.site."), Rtype::A, 300, &[192, 0, 2, 99])];
    tune(&mut settings);
    let parts = parts();
    let rules = load_zone(&name("rpz.test."), "rpz.test.zone", &mut |_| Ok(RULES.as_bytes().to_vec())).expect("a good zone").0;
    let zones = parts.zones.iter().cloned().chain([Arc::new(rules)]);
    let zones = Arc::new(Zones::new(zones, 1).holding_apart([name("rpz.test.")]));
    let service = Service::new(Parts { settings, zones, ..parts }, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    service.replace_lists(Arc::new(lists()));
    let (cache, now) = (service.cache(), service.resolve.clock.boot());
    let keep = |owner: &str, rtype, security, rdata: &[u8]| {
        cache.sets().put(&RrSet::with(name(owner), rtype, 300, rdata), Rank::AuthAnswer, security, now);
    };
    for (owner, target) in [
        ("cloak.site.", "tracker.site."),
        ("twice.site.", "cloak.site."),
        ("good.site.", "tracker.site."),
        ("via.site.", "good.site."),
        ("fine.site.", "plain.site."),
        ("comes.back.site.", "back.site."),
        ("world1.site.", "hop.site."),
        ("world2.site.", "denied.site."),
        ("world3.site.", "moved.site."),
    ] {
        keep(owner, Rtype::CNAME, Security::Insecure, name(target).as_wire());
    }
    for (owner, last) in [
        ("tracker.site.", 1),
        ("plain.site.", 2),
        ("shop.site.", 3),
        ("ads.site.", 4),
        ("rule.site.", 5),
        ("elsewhere.site.", 6),
        ("x.deep.site.", 7),
        ("hop.site.", 8),
        ("denied.site.", 9),
        ("moved.site.", 10),
    ] {
        keep(owner, Rtype::A, Security::Insecure, &[203, 0, 113, last]);
    }
    keep("plain.site.", Rtype::HTTPS, Security::Insecure, &[&[0, 1][..], name("svc.tracker.site.").as_wire()].concat());
    keep("below.site.", Rtype::DNAME, Security::Secure, name("deep.site.").as_wire());
    for rtype in FOLLOWED.iter().filter(|rtype| **rtype != Rtype::A) {
        keep("tracker.site.", *rtype, Security::Insecure, b"\x00");
    }
    keep("ads.site.", Rtype::TXT, Security::Insecure, b"\x02hi");
    let mail = [&[0, 10][..], name("tracker.site.").as_wire()].concat();
    keep("plain.site.", Rtype::MX, Security::Insecure, &mail);
    Worker::new(service, Rc::new(SilentNet::default()), Random::from_seed(2))
}

/// Types for which an alias is followed, of every kind of type.
const FOLLOWED: [Rtype; 16] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::HTTPS,
    Rtype::SVCB,
    Rtype::TXT,
    Rtype::MX,
    Rtype::NS,
    Rtype::SOA,
    Rtype::PTR,
    Rtype::SRV,
    Rtype::CAA,
    Rtype::NAPTR,
    Rtype::TLSA,
    Rtype::DNSKEY,
    Rtype::DNAME,
    Rtype(65_280),
];

pub(super) fn query(question: &str, flags: u16, size: Option<u16>, options: &[(OptionCode, &[u8])]) -> Vec<u8> {
    let (owner, rtype) = question.split_once(' ').expect("a name and a type");
    let mut writer = Writer::new(Vec::new(), 600);
    writer.header(Header { id: 7, flags: Flags(flags), counts: [0; 4] });
    writer.question(&Question::new(name(owner), rtype.parse().expect(rtype))).expect("room");
    if let Some(size) = size {
        writer.opt(size, Rcode::NOERROR, flags & DO != 0, options).expect("room");
    }
    writer.finish()
}

/// For these tests alone: a bit of the header that queries never use stands for DO.
const DO: u16 = 1;

/// From the fast path if it has it, else from the full path. Whether it was the former.
pub(super) async fn ask(worker: &Rc<Worker>, peer: &str, query: &[u8]) -> (bool, Vec<u8>) {
    let client = client(peer, Transport::Udp);
    let mut slot = vec![0; 2048];
    slot[..query.len()].copy_from_slice(query);
    let moment = worker.moment(worker.service().resolve.clock.boot());
    match worker.at_once(&moment, &mut slot, query.len(), &client) {
        AtOnce::Reply(len) => (true, slot[..len].to_vec()),
        AtOnce::Later(pending) => {
            drop(moment);
            (false, worker.later(pending, &client, None).await)
        }
        AtOnce::Silence | AtOnce::Many(_) => panic!("no reply"),
    }
}

/// Response code, records, the SOA, and extended errors.
pub(super) fn told(reply: &[u8]) -> String {
    let message = Message::parse(reply).expect("a message");
    let mut words = vec![message.rcode().to_string()];
    for (section, mark) in [(Section::Answer, ""), (Section::Authority, "+"), (Section::Additional, "&")] {
        for record in message.records(section).filter(|record| record.rtype() != Rtype::OPT) {
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).expect("rdata");
            words.push(match record.rtype() {
                Rtype::SOA => format!("{mark}SOA {}", record.ttl()),
                rtype => format!("{mark}{}", rdata_to_text(rtype, &rdata)),
            });
        }
    }
    let edns = message.edns();
    for ede in edns.iter().flat_map(|edns| edns.option(OptionCode::EDE)) {
        words.push(format!("EDE{} {}", u16::from_be_bytes([ede[0], ede[1]]), String::from_utf8_lossy(&ede[2..])));
    }
    words.join(" ")
}

pub(super) const RD: u16 = Flags::RD;

#[tokio::test]
async fn who_gets_what() {
    let worker = worker(|_| {});
    for (question, peer, flags, expected) in [
        ("ads.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("ADS.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("ads.site. AAAA", FRIEND, RD, "NOERROR :: EDE15 list ads"),
        ("ads.site. TXT", FRIEND, RD, "NOERROR +SOA 60 EDE15 list ads"),
        ("ads.site. HTTPS", FRIEND, RD, "NOERROR +SOA 60 EDE15 list ads"),
        // Neither DO, CD nor RD=0 is a way around.
        ("ads.site. A", FRIEND, RD | DO, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("ads.site. A", FRIEND, RD | Flags::CD, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("ads.site. A", FRIEND, 0, "NOERROR 0.0.0.0 EDE15 list ads"),
        // Strangers are refused all the same.
        ("ads.site. A", STRANGER, RD, "REFUSED EDE18 this client may not use recursion"),
        // What a rule gives instead. Without RD the alias is not followed.
        ("elsewhere.site. A", FRIEND, RD, "NOERROR plain.site. 203.0.113.2 EDE4 list ads"),
        ("elsewhere.site. A", FRIEND, 0, "NOERROR plain.site. EDE4 list ads"),
        ("elsewhere.site. CNAME", FRIEND, RD, "NOERROR plain.site. EDE4 list ads"),
        ("moved.site. A", FRIEND, RD, "NOERROR 198.51.100.9 EDE4 list own"),
        ("moved.site. AAAA", FRIEND, RD, "NOERROR +SOA 60 EDE4 list own"),
        // What a rule gives instead of any host is a block.
        ("denied.site. A", FRIEND, RD, "NXDOMAIN +SOA 60 EDE15 list own"),
        ("empty.site. A", FRIEND, RD, "NOERROR +SOA 60 EDE15 list own"),
        ("refused.site. A", FRIEND, RD, "REFUSED EDE15 list own"),
        ("failing.site. A", FRIEND, RD, "SERVFAIL EDE15 list own"),
        ("zero.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list own"),
        ("zero.site. AAAA", FRIEND, RD, "NOERROR +SOA 60 EDE15 list own"),
        // What a rule leads to is looked at too: it may be blocked, allowed, answered otherwise, or the operator's own.
        ("hop.site. A", FRIEND, RD, "NOERROR elsewhere.site. plain.site. 203.0.113.2 EDE4 list ads"),
        ("toads.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("toads.site. A", FRIEND, 0, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("toads.site. CNAME", FRIEND, RD, "NOERROR +SOA 60 EDE15 list ads"),
        ("toads.site. ANY", FRIEND, RD, "NOERROR 0.0.0.0 :: EDE15 list ads"),
        ("tocloak.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("tozero.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list own"),
        ("togood.site. A", FRIEND, RD, "NOERROR good.site. tracker.site. 203.0.113.1 EDE4 list own"),
        ("tolisted.site. A", FRIEND, RD, "NOERROR listed.site. 192.0.2.99 EDE4 list own"),
        // Rules that lead in a circle, by themselves or with aliases of the world.
        ("loop1.site. A", FRIEND, RD, "SERVFAIL EDE0 the alias at loop1.site. leads back to itself"),
        ("self.site. A", FRIEND, RD, "SERVFAIL EDE0 the alias at self.site. leads back to itself"),
        ("back.site. A", FRIEND, RD, "SERVFAIL EDE0 the alias at back.site. leads back to itself"),
        // In the middle of a chain.
        ("world1.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list own"),
        ("world2.site. A", FRIEND, RD, "NXDOMAIN +SOA 60 EDE15 list own"),
        ("world3.site. A", FRIEND, RD, "NOERROR 198.51.100.9 EDE4 list own"),
        // A name beside the list, and one that another list allows.
        ("plain.site. A", FRIEND, RD, "NOERROR 203.0.113.2"),
        ("shop.site. A", FRIEND, RD, "NOERROR 203.0.113.3"),
        // Hosted zones and local data.
        ("listed.site. A", FRIEND, RD, "NOERROR 192.0.2.99"),
        // Aliases.
        ("cloak.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list ads"),
        ("twice.site. A", FRIEND, RD, "NOERROR 0.0.0.0 EDE15 list ads"),
        // cloak.site itself is on no list.
        ("twice.site. CNAME", FRIEND, RD, "NOERROR cloak.site."),
        ("good.site. A", FRIEND, RD, "NOERROR tracker.site. 203.0.113.1"),
        ("via.site. A", FRIEND, RD, "NOERROR good.site. tracker.site. 203.0.113.1"),
        ("fine.site. A", FRIEND, RD, "NOERROR plain.site. 203.0.113.2"),
        ("plain.site. HTTPS", FRIEND, RD, "NOERROR +SOA 60 EDE15 list ads"),
        // The address of a blocked name is not given along.
        ("plain.site. MX", FRIEND, RD, "NOERROR 10 tracker.site."),
        // No address is made of a null address.
        ("ads.site. AAAA", "127.0.0.64:9", RD, "NOERROR :: EDE15 list ads"),
    ] {
        let (_, reply) = ask(&worker, peer, &query(question, flags, Some(1232), &[])).await;
        assert_eq!(told(&reply), expected, "{question} by {peer}, flags {flags:x}");
        let header = Header::read(&reply).expect("a header");
        assert!(!header.flags.has(Flags::AA) || expected.contains("192.0.2"), "{question}");
        let again = ask(&worker, peer, &query(question, flags, Some(1232), &[])).await.1;
        assert_eq!(told(&again), expected, "{question} by {peer}, flags {flags:x}, again");
    }
}

/// The query log names the list that decided, whatever that list did.
#[tokio::test]
async fn the_query_log_names_the_list() {
    let worker = worker(|settings| {
        settings.rpz = vec![RpzSettings { zone: name("rpz.test."), break_dnssec: true, ..RpzSettings::default() }];
    });
    let tap = &worker.service().query_tap;
    tap.set(Rule::Each(1));
    for (question, flags, expected) in [
        ("ads.site. A", RD, "ads"),
        ("moved.site. A", RD, "own"),
        ("zero.site. A", RD, "own"),
        ("elsewhere.site. A", RD, "ads"),
        ("elsewhere.site. A", 0, "ads"),
        ("elsewhere.site. CNAME", RD, "ads"),
        ("hop.site. A", RD, "ads"),
        ("togood.site. A", RD, "own"),
        ("tolisted.site. A", RD, "own"),
        // What the alias leads to is blocked by another list, or rewritten by a response policy zone.
        ("tocloak.site. A", RD, "ads"),
        ("ruled.site. A", RD, ""),
        ("loop1.site. A", RD, "own"),
        ("cloak.site. A", RD, "ads"),
        ("plain.site. A", RD, ""),
        ("shop.site. A", RD, ""),
    ] {
        // The second time it may be a ready answer.
        for _ in 0..2 {
            ask(&worker, FRIEND, &query(question, flags, None, &[])).await;
            let mut told = Vec::new();
            tap.read(|record| told.push(Answered::read(record).expect("an entry").reason.list.to_owned()));
            assert_eq!(told, [expected], "{question}");
        }
    }
}

/// What one kind of rule leads to is judged by the other kind; what a response policy zone has made is not for its rules.
#[tokio::test]
async fn lists_and_response_policy_zones_judge_what_the_other_leads_to() {
    let worker = worker(|settings| {
        settings.rpz = vec![RpzSettings { zone: name("rpz.test."), break_dnssec: true, ..RpzSettings::default() }];
    });
    for (question, expected) in [
        ("ruled.site. A", "NXDOMAIN rule.site. +SOA 60 &SOA 60 EDE15 response policy zone rpz.test."),
        ("toblocked.site. A", "NOERROR 0.0.0.0 EDE15 list ads"),
        ("toblocked.site. CNAME", "NOERROR +SOA 60 EDE15 list ads"),
        ("tohop.site. A", "NOERROR 0.0.0.0 EDE15 list ads"),
        ("tofine.site. A", "NOERROR fine.site. plain.site. 203.0.113.2 &SOA 60 EDE4 response policy zone rpz.test."),
        ("torule.site. A", "NOERROR rule.site. 203.0.113.5 &SOA 60 EDE4 response policy zone rpz.test."),
    ] {
        for flags in [RD, RD | DO, RD | Flags::CD] {
            for _ in 0..2 {
                let reply = ask(&worker, FRIEND, &query(question, flags, Some(1232), &[])).await.1;
                assert_eq!(told(&reply), expected, "{question} {flags:x}");
            }
        }
    }
}

/// No type shows where an alias leads whose target is blocked, nor what the target has.
#[tokio::test]
async fn no_type_is_a_way_around() {
    let worker = worker(|settings| settings.policy.block_answer = Some(BlockAnswer::NxDomain));
    let followed = FOLLOWED.iter().map(|rtype| format!("cloak.site. {rtype}"));
    // ANY is not answered from the cache; `who_gets_what` asks for it where a rule gives the alias.
    let others = ["cloak.site. CNAME", "below.site. DNAME", "x.below.site. A", "x.below.site. CNAME"];
    for question in followed.chain(others.map(str::to_owned)) {
        for flags in [RD, RD | DO, RD | Flags::CD] {
            let reply = ask(&worker, FRIEND, &query(&question, flags, Some(1232), &[])).await.1;
            assert_eq!(told(&reply), "NXDOMAIN +SOA 60 EDE15 list ads", "{question} {flags:x}");
        }
    }
}

#[tokio::test]
async fn each_block_answer() {
    let addresses = ["192.0.2.80", "2001:db8::80"].map(|text| text.parse::<IpAddr>().expect("an address")).to_vec();
    for (kind, a, aaaa) in [
        (BlockAnswer::Null, "NOERROR 0.0.0.0 EDE15 list ads", "NOERROR :: EDE15 list ads"),
        (BlockAnswer::NxDomain, "NXDOMAIN +SOA 7 EDE15 list ads", "NXDOMAIN +SOA 7 EDE15 list ads"),
        (BlockAnswer::NoData, "NOERROR +SOA 7 EDE15 list ads", "NOERROR +SOA 7 EDE15 list ads"),
        (BlockAnswer::Refused, "REFUSED EDE15 list ads", "REFUSED EDE15 list ads"),
        (BlockAnswer::Addresses(addresses), "NOERROR 192.0.2.80 EDE15 list ads", "NOERROR 2001:db8::80 EDE15 list ads"),
    ] {
        let worker = worker(|settings| {
            settings.policy.block_answer = Some(kind.clone());
            settings.policy.block_ttl_s = 7;
        });
        for (question, expected) in [("cloak.site. A", a), ("ads.site. A", a), ("ads.site. AAAA", aaaa)] {
            for peer in [FRIEND, "127.0.0.64:9"] {
                let reply = ask(&worker, peer, &query(question, RD, Some(1232), &[])).await.1;
                assert_eq!(told(&reply), expected, "{kind} {question} {peer}");
            }
        }
    }
}

/// A ready answer repeats the full one octet for octet, with whatever EDNS says.
#[tokio::test]
async fn a_blocked_name_is_a_ready_answer() {
    let worker = worker(|settings| settings.policy.block_contact = vec!["mailto:help@example.org".to_owned()]);
    let cookie: &[u8] = b"12345678";
    let structured: (OptionCode, &[u8]) = (OptionCode::EDE, &[0, 0]);
    for question in ["ads.site. A", "ads.site. AAAA", "ads.site. TXT", "cloak.site. A"] {
        ask(&worker, FRIEND, &query(question, RD, None, &[])).await;
        ask(&worker, FRIEND, &query(question, RD | DO, Some(1232), &[])).await;
        for flags in [RD, RD | Flags::CD, RD | DO, RD | Flags::AD] {
            for size in [None, Some(0), Some(512), Some(600), Some(1232)] {
                for options in [&[][..], &[(OptionCode::COOKIE, cookie)], &[structured], &[(OptionCode::COOKIE, cookie), structured]] {
                    let query = query(question, flags, size, options);
                    let client = client(FRIEND, Transport::Udp);
                    let snapshot = worker.service().snapshot();
                    let mut slot = vec![0; 2048];
                    slot[..query.len()].copy_from_slice(&query);
                    let now = worker.service().resolve.clock.boot();
                    let Ok(parsed) = super::request::read(&query) else { panic!("a good query") };
                    let given = super::fast_path::answer(worker.service(), &snapshot, &parsed, &mut slot, &client, false, now);
                    let given = given.unwrap_or_else(|| panic!("{question} is ready: {flags:x} {size:?} {}", options.len()));
                    let full = worker.in_full(&query, &client).await.expect("a reply");
                    assert_eq!(slot[..given.len], full[..], "{question} {flags:x} {size:?} {options:?}: {}", told(&full));
                    assert_eq!(given.source.name(), "policy");
                    assert!(!given.first && !given.due_for_prefetch, "neither kept warm nor fetched ahead");
                }
            }
        }
    }
    let reply = ask(&worker, FRIEND, &query("ads.site. A", RD, Some(1232), &[structured])).await.1;
    assert_eq!(told(&reply), r#"NOERROR 0.0.0.0 EDE15 {"c":["mailto:help@example.org"],"j":"list ads","s":6}"#);
}

/// The reason that goes with an answer is counted once, whether the answer was ready or not.
#[tokio::test]
async fn a_reason_is_counted_once() {
    let worker = worker(|_| {});
    let counted = || {
        let rows = worker.service().rows();
        rows.iter().filter(|(name, _)| name.starts_with("answers-with-ede{")).map(|(_, count)| count).sum::<u64>()
    };
    for question in ["ads.site. A", "cloak.site. A", "moved.site. A", "elsewhere.site. A", "togood.site. A"] {
        for time in ["first", "second"] {
            let before = counted();
            ask(&worker, FRIEND, &query(question, RD, Some(1232), &[])).await;
            assert_eq!(counted() - before, 1, "{question}: {time} time");
        }
    }
    let before = counted();
    ask(&worker, FRIEND, &query("plain.site. A", RD, Some(1232), &[])).await;
    assert_eq!(counted(), before);
}

/// What was answered under old lists is not answered any more once others are in force.
#[tokio::test]
async fn other_lists_are_in_force_at_once() {
    let worker = worker(|_| {});
    let told_of = async |question: &str| told(&ask(&worker, FRIEND, &query(question, RD, None, &[])).await.1);
    assert_eq!(told_of("ads.site. A").await, "NOERROR 0.0.0.0");
    assert_eq!(told_of("plain.site. A").await, "NOERROR 203.0.113.2");
    worker.service().replace_lists(Arc::new(lists_of(&[("other", false, "plain.site")])));
    assert_eq!(told_of("ads.site. A").await, "NOERROR 203.0.113.4");
    assert_eq!(told_of("plain.site. A").await, "NOERROR 0.0.0.0");
    assert_eq!(told_of("fine.site. A").await, "NOERROR 0.0.0.0");
    worker.service().replace_lists(Arc::default());
    assert_eq!(told_of("fine.site. A").await, "NOERROR plain.site. 203.0.113.2");
}
