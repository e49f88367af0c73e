//! The resolver's host has few sockets. That is nobody else's fault, and no question pays for it later.

use cairn::record::Rcode;

use super::sim::World;
use super::sim::engine::is_cairn;

const ZONES: usize = 100;
const ONE: &str = " from=10.1.2.3";

/// So many zones with a server each, and one whose servers are silent.
fn world(seed: u64) -> World {
    let mut world = World::new(seed).zone("example.").every_link(|link| link.delay = std::time::Duration::from_millis(10));
    for n in 0..ZONES {
        world = world.record(&format!("z{n}.example. NS ns1.z{n}.example."));
    }
    world = world.record("silent.example. NS ns1.silent.example.").record("silent.example. NS ns2.silent.example.");
    for n in 0..ZONES {
        world = world.zone(&format!("z{n}.example."));
        world = world.record(&format!("www.z{n}.example. A 192.0.2.{n}")).server(&format!("ns1.z{n}.example."));
    }
    world.zone("silent.example.").server("ns1.silent.example.").dead().server("ns2.silent.example.").dead()
}

fn honest() -> Vec<String> {
    (0..ZONES).map(|n| format!("www.z{n}.example. A")).collect()
}

#[test]
fn queries_wait_for_their_turn() {
    if !is_cairn() {
        return;
    }
    for error in [libc::EMFILE, libc::ENFILE, libc::EADDRNOTAVAIL, libc::EAGAIN, libc::ENOBUFS, libc::ENOMEM] {
        let mut world = world(101).sockets(8, error);
        let questions = honest();
        let answers = world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
        let resolved = answers.iter().filter(|answer| answer.rcode() == Rcode::NOERROR && !answer.data().is_empty()).count();
        assert!(resolved >= ZONES * 95 / 100, "{resolved} of {ZONES}, error {error}");
        assert!(world.most_open_ports() <= 8);
        assert_eq!(world.wrongs(), Vec::<String>::new());
    }
}

#[test]
fn questions_that_hang_leave_room_and_nothing_behind() {
    if !is_cairn() {
        return;
    }
    let mut world = world(102).sockets(64, libc::EMFILE);
    world.ask_true("www.z0.example. A");
    let hanging: Vec<String> = (0..400).map(|n| format!("h{n}.silent.example. A")).collect();
    let questions: Vec<String> = hanging.into_iter().chain(honest()).collect();
    let answers = world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
    let resolved = answers.iter().skip(400).filter(|answer| answer.rcode() == Rcode::NOERROR).count();
    assert!(resolved >= ZONES * 95 / 100, "{resolved} of {ZONES}");
    // What failed for want of a socket is not remembered.
    for question in honest() {
        world.ask_true(&question);
    }
}

/// A resolver that has just started, knows nothing, and has very few sockets, most of them for a flood.
#[test]
fn a_cold_start_in_a_flood_with_few_sockets_starves_nobody() {
    if !is_cairn() {
        return;
    }
    // All questions come from one client, as from a forwarder; or the flood comes from another one.
    for (sockets, hostile, friendly) in [4, 16].into_iter().flat_map(|n| [(n, "", ""), (n, ONE, "")]) {
        let mut world = world(104).sockets(sockets, libc::EMFILE);
        let hanging: Vec<String> = (0..400).map(|n| format!("h{n}.silent.example. A{hostile}")).collect();
        let honest_questions = honest().into_iter().map(|question| format!("{question}{friendly}"));
        let questions: Vec<String> = hanging.into_iter().chain(honest_questions).collect();
        let answers = world.ask_all(&questions.iter().map(String::as_str).collect::<Vec<_>>());
        let resolved = answers.iter().skip(400).filter(|answer| answer.rcode() == Rcode::NOERROR).count();
        assert!(resolved >= ZONES * 95 / 100, "{resolved} of {ZONES} with {sockets} sockets, {hostile:?}, {friendly:?}");
        for question in honest() {
            world.ask_true(&question);
        }
    }
}

/// Not a single socket is to be had for a while: no server is named, and afterwards nothing is remembered.
#[test]
fn no_socket_is_a_limit_of_our_own() {
    if !is_cairn() {
        return;
    }
    for error in [libc::EMFILE, libc::ENOBUFS, libc::EAGAIN] {
        let mut world = world(103).sockets(0, error);
        let answer = world.ask("www.z1.example. A");
        assert_eq!(answer.rcode(), Rcode::SERVFAIL);
        let options = answer.packet.edns.iter().flat_map(|edns| &edns.options);
        let texts: Vec<String> =
            options.filter(|(code, _)| *code == 15).map(|(_, data)| String::from_utf8_lossy(&data[2..]).into_owned()).collect();
        assert_eq!(texts, ["this resolver has no free socket at the moment"]);
        world.set_sockets(100);
        assert!(world.ask_true("www.z1.example. A").is("192.0.2.1"));
    }
}
