//! Views: what each client gets, in whatever order clients ask, is what it would get if nobody had asked before.

use std::rc::Rc;
use std::sync::Arc;

use super::listed_tests::{RD, ask, query, told};
use super::reload_tests::SilentNet;
use super::tests::{StoppedClock, client, parts};
use super::{Parts, Service, Worker};
use crate::cache::{Denial, DenialKind};
use crate::config::{BlockAnswer, SafeSearch, Settings, ViewSettings};
use crate::env::Random;
use crate::limits::Limits;
use crate::policy::{Moment, Paused, lists_of};
use crate::record::{Name, Question, Rank, RrSet, Rtype, Security};

fn name(text: &str) -> Name {
    Name::parse(text).expect(text)
}

const CHILD: &str = "127.0.1.1:9";
const TEEN: &str = "127.0.2.1:9";
const ADULT: &str = "127.0.3.1:9";
const OTHER: &str = "127.0.0.1:9";

fn view(name: &str, clients: &str) -> ViewSettings {
    ViewSettings { name: Some(name.to_owned()), clients: vec![clients.parse().expect("a prefix")], ..ViewSettings::default() }
}

fn address(owner: &str, last: u8) -> RrSet {
    RrSet::with(name(owner), Rtype::A, 300, &[203, 0, 113, last])
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.recursion.dnssec = false;
    settings.cache.size_bytes = 8 << 20;
    settings.policy.local_records = vec![address("nas.home.", 50)];
    let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    settings.views = vec![
        ViewSettings { safe_search: SafeSearch::Strict, block_answer: Some(BlockAnswer::NxDomain), ..view("children", "127.0.1.0/24") },
        ViewSettings {
            lists: named(&["ads", "adult"]),
            safe_search: SafeSearch::Moderate,
            local_data: named(&["nas.home. 300 A 203.0.113.60"]),
            local_records: vec![address("nas.home.", 60), address("own.site.", 61)],
            ..view("teens", "127.0.2.0/24")
        },
        ViewSettings { lists: named(&[]), ..view("adults", "127.0.3.0/24") },
        // Never reached: an earlier one has the clients.
        ViewSettings { block_answer: Some(BlockAnswer::Refused), ..view("late", "127.0.1.0/24") },
    ];
    settings
}

/// Clients of all views, with the same data in the cache.
fn worker() -> Rc<Worker> {
    worker_with(settings())
}

fn worker_with(settings: Settings) -> Rc<Worker> {
    let service = Service::new(Parts { settings, ..parts() }, Limits::default(), Arc::new(StoppedClock), &Random::from_seed(1));
    let lists = [("ads", false, "ads.site\ntracker.site\n"), ("adult", false, "adult.site\n"), ("mine", true, "tracker.site\n")];
    service.replace_lists(Arc::new(lists_of(&lists)));
    let (cache, now) = (service.cache(), service.resolve.clock.boot());
    let keep = |set: &RrSet| cache.sets().put(set, Rank::AuthAnswer, Security::Insecure, now);
    for (owner, last) in
        [("ads.site.", 1), ("tracker.site.", 2), ("adult.site.", 3), ("plain.site.", 4), ("own.site.", 5), ("shop.site.", 6)]
    {
        keep(&address(owner, last));
    }
    for (owner, last) in [("www.google.com.", 10), ("forcesafesearch.google.com.", 11), ("www.youtube.com.", 12)] {
        keep(&address(owner, last));
    }
    for (owner, last) in [("restrict.youtube.com.", 13), ("restrictmoderate.youtube.com.", 14)] {
        keep(&address(owner, last));
    }
    for (owner, target) in [
        ("cloak.site.", "tracker.site."),
        ("hidden.site.", "adult.site."),
        ("home.site.", "nas.home."),
        ("search.site.", "www.google.com."),
        ("fine.site.", "plain.site."),
    ] {
        keep(&RrSet::with(name(owner), Rtype::CNAME, 300, name(target).as_wire()));
    }
    Worker::new(service, Rc::new(SilentNet::default()), Random::from_seed(2))
}

#[tokio::test]
async fn each_view_for_each_name() {
    const NX: &str = "NXDOMAIN +SOA 60 EDE15 list";
    const NULL: &str = "NOERROR 0.0.0.0 EDE15 list";
    let safe = "NOERROR forcesafesearch.google.com. 203.0.113.11";
    for (question, child, teen, adult, other) in [
        ("plain.site. A", "NOERROR 203.0.113.4", "=", "=", "="),
        ("fine.site. A", "NOERROR plain.site. 203.0.113.4", "=", "=", "="),
        ("ads.site. A", &format!("{NX} ads"), &format!("{NULL} ads"), "NOERROR 203.0.113.1", &format!("{NULL} ads")),
        ("adult.site. A", &format!("{NX} adult"), &format!("{NULL} adult"), "NOERROR 203.0.113.3", &format!("{NULL} adult")),
        ("hidden.site. A", &format!("{NX} adult"), &format!("{NULL} adult"), "NOERROR adult.site. 203.0.113.3", &format!("{NULL} adult")),
        // The list that allows is not in force for teens.
        ("tracker.site. A", "NOERROR 203.0.113.2", &format!("{NULL} ads"), "NOERROR 203.0.113.2", "NOERROR 203.0.113.2"),
        ("cloak.site. A", "NOERROR tracker.site. 203.0.113.2", &format!("{NULL} ads"), "NOERROR tracker.site. 203.0.113.2", "="),
        ("nas.home. A", "NOERROR 203.0.113.50", "NOERROR 203.0.113.60", "NOERROR 203.0.113.50", "="),
        ("home.site. A", "NOERROR nas.home. 203.0.113.50", "NOERROR nas.home. 203.0.113.60", "NOERROR nas.home. 203.0.113.50", "="),
        ("own.site. A", "NOERROR 203.0.113.5", "NOERROR 203.0.113.61", "NOERROR 203.0.113.5", "="),
        ("50.113.0.203.in-addr.arpa. PTR", "NOERROR nas.home.", "?", "NOERROR nas.home.", "="),
        ("www.google.com. A", safe, safe, "NOERROR 203.0.113.10", "="),
        ("search.site. A", &format!("NOERROR www.google.com. {}", &safe[8..]), "=", "NOERROR www.google.com. 203.0.113.10", "="),
        (
            "www.youtube.com. A",
            "NOERROR restrict.youtube.com. 203.0.113.13",
            "NOERROR restrictmoderate.youtube.com. 203.0.113.14",
            "NOERROR 203.0.113.12",
            "=",
        ),
    ] {
        let mut before = "";
        for (peer, expected) in [(CHILD, child), (TEEN, teen), (ADULT, adult), (OTHER, other)] {
            let expected = if expected == "=" { before } else { expected };
            before = expected;
            if expected == "?" {
                continue;
            }
            // One server for all, and another that nobody has asked.
            let worker = worker();
            for peer in [OTHER, ADULT, TEEN, CHILD] {
                ask(&worker, peer, &query(question, RD, Some(1232), &[])).await;
            }
            for _ in 0..2 {
                let reply = ask(&worker, peer, &query(question, RD, Some(1232), &[])).await.1;
                assert_eq!(told(&reply), expected, "{question} by {peer}");
            }
        }
    }
}

/// The model has no cache of answers: each question is put to a server that nobody has asked.
#[tokio::test]
async fn a_thousand_questions_in_random_order() {
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Random::from_system().expect("randomness").u64());
    println!("seed {seed}");
    let random = Random::from_seed(seed);
    let names = [
        "plain.site. A",
        "fine.site. A",
        "ads.site. A",
        "ads.site. AAAA",
        "adult.site. A",
        "hidden.site. A",
        "tracker.site. A",
        "cloak.site. A",
        "nas.home. A",
        "home.site. A",
        "own.site. A",
        "www.google.com. A",
        "search.site. A",
        "www.youtube.com. A",
        "nas.home. AAAA",
        "50.113.0.203.in-addr.arpa. PTR",
        "www.google.com. CNAME",
        "ads.site. TXT",
    ];
    let asked = async {
        let shared = worker();
        let mut ready = 0;
        for turn in 0..1_000 {
            let question = names[random.below(names.len())];
            let peer = [CHILD, TEEN, ADULT, OTHER][random.below(4)];
            let query = query(question, RD, [None, Some(1232)][random.below(2)], &[]);
            let (was_at_once, reply) = ask(&shared, peer, &query).await;
            ready += usize::from(was_at_once);
            let expected = ask(&worker(), peer, &query).await.1;
            assert_eq!(told(&reply), told(&expected), "seed {seed}, question {turn}: {question} by {peer}");
        }
        assert!(ready > 500, "most answers were ready: {ready}");
    };
    tokio::task::LocalSet::new().run_until(asked).await;
}

/// A name that no view treats specially has one ready answer for the clients of all views.
#[tokio::test]
async fn ordinary_names_share_one_answer() {
    let worker = worker();
    assert!(!ask(&worker, CHILD, &query("fine.site. A", RD, None, &[])).await.0);
    for peer in [TEEN, ADULT, OTHER] {
        assert!(ask(&worker, peer, &query("fine.site. A", RD, None, &[])).await.0, "{peer}");
    }
    assert!(!ask(&worker, CHILD, &query("search.site. A", RD, None, &[])).await.0);
    assert!(!ask(&worker, TEEN, &query("search.site. A", RD, None, &[])).await.0);
    assert!(ask(&worker, TEEN, &query("search.site. A", RD, None, &[])).await.0);
}

/// AAAA records are made of A records, which a list may block in one view alone.
#[tokio::test]
async fn translated_addresses_of_a_name_that_is_listed_for_one_type() {
    let mut settings = settings();
    settings.dns64.clients = vec!["127.0.0.0/8".parse().expect("a prefix")];
    let before = |first: &'static str| {
        let worker = worker_with(settings.clone());
        worker.service().replace_lists(Arc::new(lists_of(&[("ads", false, "||plain.site^$dnstype=A\n")])));
        let (cache, now) = (worker.service().cache(), worker.service().resolve.clock.boot());
        let soa = RrSet::with(name("site."), Rtype::SOA, 300, &[&[0, 0][..], &[0; 16], &300u32.to_be_bytes()].concat());
        let security = Security::Insecure;
        let denial = Denial { kind: DenialKind::NoData, soa: Some(soa), proof: Vec::new(), security, relayed: false };
        cache.denials().put(&Question::new(name("plain.site."), Rtype::AAAA), &denial, now);
        (worker, first)
    };
    for (worker, first) in [before(ADULT), before(OTHER)] {
        for peer in [first, ADULT, OTHER] {
            let reply = told(&ask(&worker, peer, &query("plain.site. AAAA", RD, None, &[])).await.1);
            let expected = if peer == ADULT { "NOERROR 64:ff9b::cb00:7104" } else { "NOERROR +SOA" };
            assert!(reply.starts_with(expected), "{reply} for {peer}, first asked by {first}");
        }
    }
}

/// What was answered before a boundary or a pause is never given after it.
#[tokio::test]
async fn ready_answers_do_not_outlive_a_moment() {
    let worker = worker();
    let asked = query("ads.site. A", RD, None, &[]);
    let told = async |peer| {
        let reply = told(&ask(&worker, peer, &asked).await.1);
        reply.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let paused = Moment { paused: Paused { all: false, views: vec!["teens".to_owned()] }, ..Moment::default() };
    for _ in 0..2 {
        assert_eq!([told(TEEN).await, told(TEEN).await, told(OTHER).await], ["0.0.0.0"; 3]);
        assert!(worker.service().set_moment(paused.clone()));
        assert_eq!([told(TEEN).await, told(TEEN).await, told(OTHER).await], ["203.0.113.1", "203.0.113.1", "0.0.0.0"]);
        assert!(worker.service().set_moment(Moment::default()));
    }
    let generation = worker.service().snapshot().generation;
    assert!(!worker.service().set_moment(Moment { minute: 5, ..Moment::default() }), "a minute that changes nothing");
    assert_eq!(worker.service().snapshot().generation, generation, "leaves ready answers as they are");
}

/// A view may be for those who ask at one of the addresses of this server, and at one of its ports.
#[tokio::test]
async fn by_the_address_that_is_asked() {
    let places = |texts: &[&str]| {
        let text = format!("[[view]]\nname = 'x'\nclients = ['::1']\nlisten = {texts:?}\n");
        Settings::from_toml(&text, "cairn.toml").expect("valid").views.remove(0).listen
    };
    let everybody = "0.0.0.0/0";
    let mut settings = settings();
    settings.views = vec![
        ViewSettings { lists: Some(Vec::new()), listen: places(&["127.0.0.2:853", "127.0.0.3"]), ..view("open", everybody) },
        ViewSettings { block_answer: Some(BlockAnswer::NxDomain), ..view("rest", everybody) },
    ];
    let worker = worker_with(settings);
    let packet = query("ads.site. A", RD, None, &[]);
    let asked_at = async |local: &str| {
        let client = super::Client { local: local.parse().expect(local), ..client(OTHER, super::Transport::Udp) };
        let words = told(&worker.in_full(&packet, &client).await.expect("a reply"));
        words.split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    for (local, expected) in [
        ("127.0.0.2:853", "NOERROR 203.0.113.1"),
        ("127.0.0.2:53", "NXDOMAIN +SOA"),
        ("127.0.0.3:53", "NOERROR 203.0.113.1"),
        ("[::ffff:127.0.0.3]:5353", "NOERROR 203.0.113.1"),
        ("127.0.0.1:853", "NXDOMAIN +SOA"),
    ] {
        assert_eq!(asked_at(local).await, expected, "{local}");
    }
}

/// A list says on whose behalf it blocks, and is counted by its name, whatever its place.
#[tokio::test]
async fn reasons_and_counts_of_lists() {
    use crate::config::{ListReason, ListSettings};
    let list = |name: &str, reason| ListSettings { name: Some(name.to_owned()), reason, ..ListSettings::default() };
    let mut settings = settings();
    settings.lists = vec![list("adult", ListReason::Filtered), list("ads", ListReason::Censored)];
    let worker = worker_with(settings);
    let words = async |question| told(&ask(&worker, OTHER, &query(question, RD, Some(1232), &[])).await.1);
    let counts = || {
        let rows = worker.service().rows();
        let of = |name: &str| rows.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
        ["blocked", "blocked{list=ads}", "blocked{list=adult}", "blocked{list=mine}"].map(of)
    };
    for count in 1..=3 {
        assert_eq!(words("ads.site. A").await, "NOERROR 0.0.0.0 EDE16 list ads");
        assert_eq!(words("hidden.site. A").await, "NOERROR 0.0.0.0 EDE17 list adult");
        assert_eq!(words("plain.site. A").await, "NOERROR 203.0.113.4");
        assert_eq!(counts(), [2 * count, count, count, 0]);
    }
    worker.service().replace_lists(Arc::new(lists_of(&[("adult", false, "adult.site"), ("ads", false, "ads.site")])));
    words("ads.site. A").await;
    assert_eq!(counts(), [7, 4, 3, 0]);
}

/// An explanation names the list that would block, and why it does not.
#[tokio::test]
async fn lists_that_are_not_in_force_are_explained() {
    let worker = worker();
    let moment = Moment { paused: Paused { all: false, views: vec!["teens".to_owned()] }, ..Moment::default() };
    worker.service().set_moment(moment);
    let lists = [("ads", false, "tracker.site\n"), ("adult", false, "adult.site\n@@||tracker.site^\n||shop.site^$dnsrewrite=plain.site\n")];
    worker.service().replace_lists(Arc::new(lists_of(&lists)));
    for (owner, peer, expected) in [
        // An exception holds during a pause, and the block that it beats does not.
        ("tracker.site.", TEEN, "view teens; ads not for tracker.site.: a pause; adult Allows tracker.site."),
        ("shop.site.", TEEN, "view teens; adult not for shop.site.: a pause"),
        ("adult.site.", TEEN, "view teens; adult not for adult.site.: a pause"),
        ("adult.site.", ADULT, "view adults; adult not for adult.site.: the view does not have this list"),
        ("adult.site.", OTHER, "adult Blocks adult.site."),
    ] {
        let client = peer.parse::<std::net::SocketAddr>().expect(peer).ip();
        let question = Question::new(name(owner), Rtype::A);
        let explained = worker.explain(&super::Explain::new(question, Some(client))).await;
        let is_of_policy = |note: &String| !note.ends_with("queries");
        let mut notes: Vec<String> = explained.notes.iter().map(super::tests::note).filter(is_of_policy).collect();
        notes.dedup();
        assert_eq!(notes.join("; "), expected, "{owner} by {peer}");
    }
}
