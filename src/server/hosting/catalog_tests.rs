//! A catalog and its members (RFC 9432), with a primary in memory.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::super::scratch::Scratch;
use super::disk::RealDisk;
use super::fake::{OneServer, Server, TestClock, name, server};
use super::keeper::Keeper;
use super::{Order, Versions};
use crate::answer::{Parts, Service};
use crate::config::Settings;
use crate::env::Random;
use crate::limits::Limits;
use crate::record::Rtype;
use crate::zone::{Zone, ZoneWithoutData, Zones, load_zone};

const CONFIG: &str = "[[zone]]\nname = 'catalog'\nprimaries = ['192.0.2.1']\ncatalog = true\ntransfer = ['192.0.2.7']\n[[zone]]\nname = 'own'\nfile = 'own'\n";

fn zone(apex: &str, text: &str) -> Arc<Zone> {
    Arc::new(load_zone(&name(apex), "test", &mut |_| Ok(text.as_bytes().to_vec())).expect("a good zone").0)
}

fn member(apex: &str) -> Arc<Zone> {
    zone(apex, "$TTL 300\n@ SOA ns host 1 2 3 100 60\n@ NS ns\nns A 192.0.2.53\n")
}

/// A primary with this catalog, its timers one second, and a few zones.
fn primary(serial: u32, listed: &str) -> Server {
    let text = format!("$TTL 0\n@ SOA invalid. invalid. {serial} 1 1 20 0\n@ NS invalid.\n{listed}");
    Server { others: ["a.example.", "b.example.", "own."].map(member).into(), ..server(&[&zone("catalog.", &text)]) }
}

struct World {
    service: Arc<Service>,
    versions: Arc<Versions>,
    orders: mpsc::UnboundedSender<Order>,
    net: Rc<OneServer>,
}

impl World {
    /// The primary has another catalog from now on; waits until it has been noticed.
    async fn with(&self, server: Option<Server>) {
        *self.net.0.borrow_mut() = server.map(Rc::new);
        sleep(Duration::from_millis(2_500)).await;
    }

    /// The zones that are hosted, each with its serial.
    fn hosted(&self) -> String {
        let zones = self.service.snapshot().zones.clone();
        let mut names: Vec<String> = zones
            .apexes()
            .map(|apex| format!("{apex}{}", zones.get(apex.as_wire()).map_or_else(|| "-".to_owned(), |zone| zone.serial().to_string())))
            .collect();
        names.sort();
        names.join(" ")
    }

    fn shown(&self, zone: &str, key: &str) -> String {
        let lines = self.versions.shown.lines(self.service.resolve.clock.boot());
        lines.iter().find(|(shown, _)| *shown == name(zone)).map(|(_, line)| line[key].to_string()).unwrap_or_default()
    }

    fn transfers(&self) -> usize {
        let asked = self.net.0.borrow().as_ref().map(|server| server.asked.borrow().clone()).unwrap_or_default();
        asked.iter().filter(|rtype| **rtype == Rtype::AXFR).count()
    }
}

async fn followed<T>(folder: &Scratch, test: impl AsyncFnOnce(World) -> T) -> T {
    let settings = Settings::from_toml(CONFIG, "cairn.toml").expect("valid");
    let missing = ["catalog.", "own."].map(|apex| ZoneWithoutData { apex: name(apex), why: "none yet".to_owned() });
    let parts = Parts {
        settings: settings.clone(),
        hints: Vec::new(),
        anchors: Arc::default(),
        zones: Arc::new(Zones::default().with_missing(missing)),
        own_addresses: Vec::new(),
    };
    let service = Service::new(parts, Limits::default(), Arc::new(TestClock::new()), &Random::from_seed(1));
    let versions = Arc::new(Versions::new(Arc::new(RealDisk), None, None));
    versions.change().configure(&settings.zones);
    let (orders, received) = mpsc::unbounded_channel();
    let net = Rc::new(OneServer(Rc::new(RefCell::new(None))));
    let mut keeper = Keeper::new(service.clone(), Some(folder.path().to_owned()), versions.shown.clone(), versions.clone());
    keeper.take_over(settings.zones);
    let run = async {
        let task = spawn_local(keeper.run(net.clone(), Rc::new(Random::from_seed(2)), received));
        let result = test(World { service, versions, orders, net }).await;
        task.abort();
        result
    };
    LocalSet::new().run_until(run).await
}

const BOTH: &str = "version TXT 2\n1.zones PTR a.example.\n2.zones PTR b.example.\n";

#[tokio::test(start_paused = true)]
async fn members_come_and_go() {
    let scratch = Scratch::new();
    let copy = |zone: &str| scratch.path().join("copies").join(zone).exists();
    followed(&scratch, async |world| {
        world.with(Some(primary(1, BOTH))).await;
        assert_eq!(world.hosted(), "a.example.1 b.example.1 catalog.1 own.-");
        assert!(world.service.snapshot().zone_rules(&name("a.example.")).is_some_and(|rules| rules.transfer.len() == 1));
        assert_eq!(
            (world.shown("a.example.", "member-of"), world.shown("catalog.", "members")),
            ("\"catalog.\"".to_owned(), "2".to_owned())
        );
        assert!(copy("a.example") && copy("b.example"));
        world.with(Some(primary(2, "version TXT 2\n2.zones PTR b.example.\n3.zones PTR own.\n"))).await;
        assert_eq!(world.hosted(), "b.example.1 catalog.2 own.-", "the configuration's own zone is no member");
        assert!(!copy("a.example") && copy("b.example"));
        assert!(world.shown("catalog.", "catalog-problem").contains("own. is not taken from it"));
        assert!(world.service.snapshot().zone_rules(&name("a.example.")).is_none());
    })
    .await;
}

/// RFC 9432 5.1: what is wrong with a catalog is told, and its members stay.
#[tokio::test(start_paused = true)]
async fn a_broken_catalog_changes_nothing() {
    let many: String = (0..10_001).map(|n| format!("{n}.zones PTR z{n}.example.\n")).collect();
    let huge: String = (0..200_000).map(|n| format!("x{n} TXT {}\n", "y".repeat(100))).collect();
    let scratch = Scratch::new();
    followed(&scratch, async |world| {
        world.with(Some(primary(1, BOTH))).await;
        for (serial, listed, told) in [
            (2, "1.zones PTR a.example.\n".to_owned(), "no TXT record"),
            (3, format!("version TXT 2\n{many}"), "more than 10000 members"),
            (4, format!("{BOTH}3.zones PTR a.example.\n"), "lists a.example. twice"),
            (5, format!("version TXT 2\n{huge}"), "large"),
        ] {
            world.with(Some(primary(serial, &listed))).await;
            assert_eq!(world.hosted(), "a.example.1 b.example.1 catalog.1 own.-", "{told}");
            assert!(world.shown("catalog.", "last-error").contains(told), "{told}: {}", world.shown("catalog.", "last-error"));
        }
        // Expired, it is no reason to forget its members either.
        world.with(None).await;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(world.hosted(), "a.example.1 b.example.1 catalog.- own.-");
    })
    .await;
}

/// RFC 9432 5.4: another label for the same zone voids what is held.
#[tokio::test(start_paused = true)]
async fn a_new_label_begins_a_member_anew() {
    let scratch = Scratch::new();
    followed(&scratch, async |world| {
        world.with(Some(primary(1, BOTH))).await;
        world.with(Some(primary(2, BOTH))).await;
        let before = world.transfers();
        world.with(Some(primary(3, "version TXT 2\n1.zones PTR a.example.\n9.zones PTR b.example.\n"))).await;
        assert_eq!((before, world.transfers()), (0, 1), "the changes of the catalog; then one member, whole");
        assert_eq!(world.hosted(), "a.example.1 b.example.1 catalog.3 own.-");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn members_outlive_a_restart_and_a_reload() {
    let scratch = Scratch::new();
    followed(&scratch, async |world| {
        world.with(Some(primary(1, BOTH))).await;
    })
    .await;
    followed(&scratch, async |world| {
        assert_eq!(world.hosted(), "a.example.1 b.example.1 catalog.1 own.-", "before anybody was asked");
        let settings = Settings::from_toml(CONFIG, "cairn.toml").expect("valid");
        let names = |zones: Vec<crate::config::ZoneSettings>| zones.iter().map(|zone| zone.name.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(world.versions.change().configure(&settings.zones)), "catalog. own. a.example. b.example.");
        // The configuration takes one of them, and then drops the catalog.
        let more = format!("{CONFIG}[[zone]]\nname = 'a.example'\nfile = 'own'\n");
        let settings = Settings::from_toml(&more, "cairn.toml").expect("valid");
        assert_eq!(names(world.versions.change().configure(&settings.zones)), "catalog. own. a.example. b.example.");
        world.orders.send(Order::Configured(settings.zones)).expect("it runs");
        sleep(Duration::from_millis(10)).await;
        assert!(scratch.path().join("copies/a.example").exists(), "it may have been written by hand");
        let settings = Settings::from_toml("", "cairn.toml").expect("valid");
        assert_eq!(names(world.versions.change().configure(&settings.zones)), "");
        world.orders.send(Order::Configured(settings.zones)).expect("it runs");
        sleep(Duration::from_millis(10)).await;
        assert!(scratch.path().join("copies/b.example").exists(), "the person who took the catalog out may bring it back");
    })
    .await;
}
