//! Secondary zones over time, with a primary in memory.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::super::scratch::Scratch;
use super::fake::{OneServer, Server, TestClock, name, server, zone};
use super::keeper::Keeper;
use super::{Order, Versions};
use crate::answer::{Parts, Service};
use crate::config::Settings;
use crate::env::Random;
use crate::limits::Limits;
use crate::record::Name;
use crate::record::Rtype;
use crate::server::command::Reply;
use crate::zone::{ZoneWithoutData, Zones};

const CONFIG: &str = "[[zone]]\nname = 'example'\nprimaries = ['192.0.2.1']\n";

const POLICY: &str = "[[rpz]]\nzone = 'example'\nprimaries = ['192.0.2.1']\n";

fn service(config: &str, clock: TestClock) -> Arc<Service> {
    let missing = ZoneWithoutData { apex: name("example."), why: "none yet".to_owned() };
    let settings = Settings::from_toml(config, "cairn.toml").expect("valid");
    let apart: Vec<Name> = settings.rpz.iter().map(|rpz| rpz.zone.clone()).collect();
    let parts = Parts {
        settings,
        hints: Vec::new(),
        anchors: Arc::default(),
        zones: Arc::new(Zones::default().holding_apart(apart).with_missing([missing])),
        own_addresses: Vec::new(),
    };
    Service::new(parts, Limits::default(), Arc::new(clock), &Random::from_seed(1))
}

/// Keeps the zone of `CONFIG` while `test` lasts.
async fn kept<T>(folder: &Scratch, net: Rc<OneServer>, test: impl AsyncFnOnce(Arc<Service>, mpsc::UnboundedSender<Order>) -> T) -> T {
    kept_as(CONFIG, folder, net, test).await
}

async fn kept_as<T>(
    config: &str,
    folder: &Scratch,
    net: Rc<OneServer>,
    test: impl AsyncFnOnce(Arc<Service>, mpsc::UnboundedSender<Order>) -> T,
) -> T {
    let service = service(config, TestClock::new());
    let (orders, received) = mpsc::unbounded_channel();
    let folder = Some(folder.path().to_owned());
    let mut keeper =
        Keeper::new(service.clone(), folder, Arc::default(), Arc::new(Versions::new(Arc::new(super::disk::RealDisk), None, None)));
    keeper.take_over(Settings::from_toml(config, "cairn.toml").expect("valid").zones);
    let run = async {
        let task = spawn_local(keeper.run(net, Rc::new(Random::from_seed(2)), received));
        let result = test(service, orders).await;
        task.abort();
        result
    };
    LocalSet::new().run_until(run).await
}

fn serial(service: &Service) -> Option<u32> {
    service.snapshot().zones.get(name("example.").as_wire()).map(|zone| zone.serial())
}

fn net(server: Option<Server>) -> Rc<OneServer> {
    Rc::new(OneServer(Rc::new(RefCell::new(server.map(Rc::new)))))
}

fn put(net: &OneServer, server: Option<Server>) {
    *net.0.borrow_mut() = server.map(Rc::new);
}

/// The zone of the tests has refresh 2, retry 3 and expire 4 seconds.
#[tokio::test(start_paused = true)]
async fn a_copy_follows_expires_and_comes_back() {
    let (scratch, net) = (Scratch::new(), net(None));
    let (one, two) = (zone(1, ""), zone(2, "new A 192.0.2.9\n"));
    kept(&scratch, net.clone(), async |service, _orders| {
        assert_eq!(serial(&service), None);
        put(&net, Some(server(&[&one])));
        sleep(Duration::from_secs(4)).await;
        assert_eq!(serial(&service), Some(1), "asked again soon, without data");
        put(&net, Some(server(&[&one, &two])));
        sleep(Duration::from_millis(2_500)).await;
        assert_eq!(serial(&service), Some(2), "after refresh");
        put(&net, None);
        sleep(Duration::from_millis(3_000)).await;
        assert_eq!(serial(&service), Some(2), "not expired yet");
        sleep(Duration::from_millis(3_500)).await;
        let snapshot = service.snapshot();
        assert!(serial(&service).is_none() && snapshot.zones.has(name("example.").as_wire()), "expired, and nobody else answers");
        put(&net, Some(server(&[&two])));
        sleep(Duration::from_millis(3_500)).await;
        assert_eq!(serial(&service), Some(2), "right again, without a transfer");
        let asked = net.0.borrow().as_ref().map(|server| server.asked.borrow().clone());
        assert!(asked.is_some_and(|asked| !asked.is_empty() && asked.iter().all(|rtype| *rtype == Rtype::SOA)));
    })
    .await;
}

/// Rules of a response policy zone: by transfer, incrementally, past the end of the zone, and over a restart. Never served.
#[tokio::test(start_paused = true)]
async fn the_rules_of_a_policy_follow_its_primary() {
    let (scratch, net) = (Scratch::new(), net(None));
    let (one, two) = (zone(1, ""), zone(2, "new A 192.0.2.9\n"));
    let rules = |service: &Service| {
        let snapshot = service.snapshot();
        assert!(snapshot.zones.find(name("example.").as_wire()).is_none(), "no question is answered from it");
        let rules = snapshot.policies.get(0).and_then(|policy| policy.rules.clone());
        rules.map(|rules| (rules.zone().serial(), rules.count()))
    };
    let count = kept_as(POLICY, &scratch, net.clone(), async |service, _orders| {
        assert_eq!(rules(&service), None);
        put(&net, Some(server(&[&one])));
        sleep(Duration::from_secs(4)).await;
        let (serial, count) = rules(&service).expect("rules");
        assert_eq!(serial, 1);
        let generation = service.snapshot().generation;
        put(&net, Some(server(&[&one, &two])));
        sleep(Duration::from_millis(2_500)).await;
        assert_eq!(rules(&service), Some((2, count + 1)));
        assert!(service.snapshot().generation > generation, "ready answers are made anew");
        put(&net, None);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(rules(&service), Some((2, count + 1)), "expired");
        count
    })
    .await;
    kept_as(POLICY, &scratch, net.clone(), async |service, _orders| {
        assert_eq!(rules(&service), Some((2, count + 1)), "before anything was asked");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_served_after_a_restart() {
    let scratch = Scratch::new();
    kept(&scratch, net(Some(server(&[&zone(7, "")]))), async |service, _orders| {
        sleep(Duration::from_millis(1_500)).await;
        assert_eq!(serial(&service), Some(7));
    })
    .await;
    kept(&scratch, net(None), async |service, _orders| {
        assert_eq!(serial(&service), Some(7), "before the first check");
        sleep(Duration::from_secs(6)).await;
        assert_eq!(serial(&service), None, "expired");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_operator_is_told_how_a_transfer_went() {
    let scratch = Scratch::new();
    let net = net(Some(server(&[&zone(7, "")])));
    kept(&scratch, net.clone(), async |_service, orders| {
        for (zone, is_there, expected) in [
            ("example.", true, "transferred from 192.0.2.1: serial 7"),
            ("example.", false, "192.0.2.1: connection refused"),
            ("other.", false, "other. is not a secondary zone of this server: a [[zone]] with `primaries` makes it one"),
        ] {
            sleep(Duration::from_secs(1)).await;
            if !is_there {
                put(&net, None);
            }
            let (sender, mut lines) = mpsc::channel(4);
            orders.send(Order::Retransfer(name(zone), Reply(sender))).expect("it runs");
            let line = lines.recv().await.expect("a line");
            let told = line["line"].as_str().or(line["error"].as_str()).expect("text").to_owned();
            assert_eq!(told, expected);
        }
    })
    .await;
}
