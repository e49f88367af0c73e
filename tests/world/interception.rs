//! Somebody on the way answers in the place of the root servers: the resolver notices when it asks them, says so once, and
//! notices the end.

use std::io::Write;
use std::sync::{Arc, Mutex};

use cairn::record::{Name, Rtype};
use cairn::resolve::Imposture;

use super::sim::World;
use super::sim::engine::is_cairn;
use super::sim::packet::{AA, Packet, RA};

const ROOTS: [&str; 2] = ["a.root.example.", "b.root.example."];

fn world(seed: u64, change: impl Fn(&mut Packet) + Clone + 'static) -> World {
    let world = ROOTS.iter().fold(World::new(seed).zone("."), |world, root| world.server(root).rewrites(change.clone()));
    world.zone("example.").records(&["www.example. A 192.0.2.1", "two.example. A 192.0.2.2"]).server("ns1.example.")
}

fn is_priming(packet: &Packet) -> bool {
    packet.question.as_ref().is_some_and(|question| question.name == Name::root() && question.rtype == Rtype::NS)
}

fn shown(world: &mut World) -> Vec<Imposture> {
    world.shared().interception().into_iter().map(|(_, imposture)| imposture).collect()
}

#[test]
fn what_an_impostor_says() {
    if !is_cairn() {
        return;
    }
    let mut honest = world(1, |_| {});
    honest.ask_true("www.example. A");
    assert_eq!(shown(&mut honest), []);
    let resolver = |packet: &mut Packet| packet.flags = packet.flags & !AA | RA;
    let without_aa = |packet: &mut Packet| packet.flags &= !AA;
    let without_data = |packet: &mut Packet| {
        if is_priming(packet) {
            packet.answer.clear();
        }
    };
    for (mut world, expected) in [
        (world(2, resolver), Imposture::OffersRecursion),
        (world(3, without_aa), Imposture::NotAuthoritative),
        (world(4, without_data), Imposture::NotTheRoot),
    ] {
        world.ask("www.example. A");
        assert_eq!(shown(&mut world), [expected]);
    }
}

/// Collects the log of the thread that it is installed for.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn it_is_told_once_and_its_end_too() {
    if !is_cairn() {
        return;
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let lines = |text: &str| String::from_utf8_lossy(&log.0.lock().expect("no writer panics")).matches(text).count();
    tracing::subscriber::with_default(subscriber, || {
        let mut world = world(5, |packet| packet.flags |= RA);
        for round in 0..10 {
            world.ask(&format!("n{round}.tld{round}. A"));
        }
        assert_eq!((lines("root servers are intercepted"), lines("not intercepted any more")), (1, 0));
        world.change(|plan, _| {
            for root in ROOTS {
                plan.server(&super::sim::name(root)).manner.rewrite = None;
            }
        });
        // The NS records of the root are asked for again when they have expired.
        world.pass(8 * 86_400);
        world.ask_true("two.example. A");
        assert_eq!((lines("root servers are intercepted"), lines("not intercepted any more")), (1, 1));
        assert_eq!(shown(&mut world), []);
    });
}

/// Another network may be an honest one: what was seen before says nothing of it.
#[test]
fn a_new_way_to_the_servers_starts_anew() {
    if !is_cairn() {
        return;
    }
    let mut world = world(6, |packet| packet.flags |= RA);
    world.ask("www.example. A");
    assert_eq!(shown(&mut world), [Imposture::OffersRecursion]);
    world.network_changed();
    assert_eq!(shown(&mut world), []);
}
