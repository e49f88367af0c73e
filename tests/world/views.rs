//! Views whose questions go to servers of their own: no client gets what only another view's servers say, whoever has asked before.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use cairn::config::{Settings, ViewForward, ViewSettings};
use cairn::env::Random;
use cairn::record::Rtype;

use super::sim::engine::is_cairn;
use super::sim::packet::Packet;
use super::sim::world::{World, name};

const STAFF: &str = "127.0.1.1";
const GUEST: &str = "127.0.2.1";
const OTHER: &str = "127.0.0.1";
const FORWARDERS: [(&str, [u8; 3]); 2] = [("198.51.100.53", [203, 0, 113]), ("198.51.100.54", [198, 51, 101])];

/// What each asker gets. The servers of the staff have another `corp.`, and those of guests have other addresses for everything.
const TABLE: [(&str, [&str; 3]); 6] = [
    ("www.example. A", ["192.0.2.1", "198.51.101.1", "192.0.2.1"]),
    ("host.corp. A", ["203.0.113.2", "198.51.101.2", "192.0.2.2"]),
    ("alias.example. A", ["203.0.113.2", "198.51.101.2", "192.0.2.2"]),
    ("sub.corp. A", ["203.0.113.3", "198.51.101.3", "192.0.2.3"]),
    ("none.corp. A", ["", "", ""]),
    ("www.hosted.example. A", ["203.0.113.2", "198.51.101.2", "192.0.2.2"]),
];

fn view(label: &str, clients: &str, forward: &[(&str, &str)]) -> ViewSettings {
    let rule = |(zone, server): &(&str, &str)| ViewForward {
        zone: name(zone),
        to: vec![SocketAddr::new(server.parse().expect("an address"), 53).into()],
        fallback: false,
    };
    ViewSettings {
        name: Some(label.to_owned()),
        clients: vec![clients.parse().expect("a prefix")],
        forward: forward.iter().map(rule).collect(),
        ..ViewSettings::default()
    }
}

fn readdressed(prefix: [u8; 3]) -> impl Fn(&mut Packet) {
    move |packet| {
        packet.answer.iter_mut().filter(|record| record.rtype == Rtype::A).for_each(|record| record.rdata[..3].copy_from_slice(&prefix))
    }
}

fn world(seed: u64) -> World {
    let mut world = World::new(seed)
        .zone(".")
        .zone("example.")
        .records(&["www.example. 300 A 192.0.2.1", "alias.example. 300 CNAME host.corp."])
        .zone("corp.")
        .records(&["host.corp. 60 A 192.0.2.2", "sub.corp. 300 A 192.0.2.3"])
        .hosts("hosted.example.", "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.99\nwww CNAME host.corp.\n");
    for (at, (address, prefix)) in FORWARDERS.into_iter().enumerate() {
        let label = format!("f{at}.forwarders.");
        {
            let mut plan = world.plan();
            let server = plan.server(&name(&label));
            server.ipv4.push(address.parse().expect("an address"));
            server.manner.recurses = true;
        }
        world = world.server(&label).rewrites(readdressed(prefix));
    }
    world
}

fn with_views(settings: &mut Settings) {
    settings.views =
        vec![view("staff", "127.0.1.0/24", &[("corp.", FORWARDERS[0].0)]), view("guests", "127.0.2.0/24", &[(".", FORWARDERS[1].0)])];
}

#[test]
fn answers_never_cross_views() {
    if !is_cairn() {
        return;
    }
    let seed = std::env::var("CAIRN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Random::from_system().expect("randomness").u64());
    println!("seed {seed}");
    let random = Random::from_seed(seed);
    let mut world = world(seed).workers(2).tune(with_views);
    for turn in 0..1_000 {
        let (question, expected) = TABLE[random.below(TABLE.len())];
        let asker = random.below(3);
        let answer = world.ask(&format!("{question} from={}", [STAFF, GUEST, OTHER][asker]));
        let told = answer.data().into_iter().find(|data| data.starts_with(|first: char| first.is_ascii_digit())).unwrap_or_default();
        assert_eq!(told, expected[asker], "seed {seed}, question {turn}: {question} by {asker}: {answer:?}");
        if random.below(20) == 0 {
            world.pass(random.below(90) as u64);
        }
    }
}

/// The cache of a view goes on over a reload, except where other servers are asked from then on.
#[test]
fn other_servers_after_a_reload() {
    if !is_cairn() {
        return;
    }
    let changed = Rc::new(Cell::new(false));
    let is_changed = changed.clone();
    let mut world = world(1).tune(move |settings| match is_changed.get() {
        true => settings.views = vec![view("staff", "127.0.1.0/24", &[("corp.", FORWARDERS[1].0)])],
        false => with_views(settings),
    });
    let asked = |world: &mut World, client: &str| world.ask(&format!("host.corp. A from={client}")).data().pop().unwrap_or_default();
    assert_eq!([STAFF, GUEST, OTHER].map(|client| asked(&mut world, client)), ["203.0.113.2", "198.51.101.2", "192.0.2.2"]);
    changed.set(true);
    world.reload();
    assert_eq!([STAFF, GUEST, OTHER].map(|client| asked(&mut world, client)), ["198.51.101.2", "192.0.2.2", "192.0.2.2"]);
}

/// A ready answer that is the same in all views is refreshed by the way of all, whoever asks near its end; what a view looks up apart is
/// refreshed by its servers alone.
#[test]
fn refreshed_by_the_way_of_the_answer() {
    if !is_cairn() {
        return;
    }
    let staff = |settings: &mut Settings| settings.views = vec![view("staff", "127.0.1.0/24", &[("corp.", FORWARDERS[0].0)])];
    let mut world = world(2).tune(staff);
    let asked = |world: &mut World, question: &str, client: &str| drop(world.ask(&format!("{question} from={client}")));
    asked(&mut world, "www.example. A", OTHER);
    world.pass(280);
    asked(&mut world, "www.example. A", STAFF);
    world.wait_ms(2_000);
    world.pass(60);
    world.forget();
    asked(&mut world, "www.example. A", OTHER);
    assert_eq!(world.queries_for("www.example.", Rtype::A), 0, "the cache of all has been refreshed");

    world.forget();
    asked(&mut world, "sub.corp. A", STAFF);
    world.pass(280);
    asked(&mut world, "sub.corp. A", STAFF);
    world.wait_ms(2_000);
    world.pass(60);
    asked(&mut world, "sub.corp. A", STAFF);
    let servers: Vec<String> =
        world.log().iter().filter(|seen| seen.name() == name("sub.corp.")).map(|seen| seen.to.ip().to_string()).collect();
    assert_eq!(servers, [FORWARDERS[0].0; 2]);
}

/// Names that a view looks up apart are never kept warm, because that asks the servers of all; other names are, also where a view has
/// servers of its own.
#[test]
fn kept_warm_by_the_servers_of_all() {
    if !is_cairn() {
        return;
    }
    const HOUR: u64 = 3_600;
    let start = 20_000 * 24 * HOUR;
    let mut world = world(3).tune(|settings| {
        settings.views = vec![view("staff", "127.0.1.0/24", &[("corp.", FORWARDERS[0].0)])];
        settings.cache.keep_warm = true;
    });
    world.set_wall(start);
    for day in 0..2 {
        let now = world.wall();
        world.pass(start + day * 24 * HOUR + 9 * HOUR + 60 - now);
        for _ in 0..2 {
            for (question, client) in [("www.example. A", OTHER), ("sub.corp. A", STAFF)] {
                drop(world.ask(&format!("{question} from={client}")));
            }
            // A ready answer is noted too.
            world.pass(60);
        }
    }
    let now = world.wall();
    world.pass(start + 2 * 24 * HOUR + 9 * HOUR - now);
    world.forget();
    world.keep_warm(600);
    assert!(world.queries_for("www.example.", Rtype::A) > 0);
    assert_eq!(world.queries_for("sub.corp.", Rtype::A), 0);
}

/// A rule with the word `fallback` goes on from the root where its servers are silent; one without it fails.
#[test]
fn a_rule_with_fallback() {
    if !is_cairn() {
        return;
    }
    for fallback in [false, true] {
        let mut world = world(4).server("f0.forwarders.").dead().tune(move |settings| {
            settings.views = vec![view("staff", "127.0.1.0/24", &[("corp.", FORWARDERS[0].0)])];
            settings.views[0].forward[0].fallback = fallback;
        });
        let answer = world.ask(&format!("host.corp. A from={STAFF}"));
        assert_eq!(answer.is("192.0.2.2"), fallback, "{answer:?}");
    }
}
