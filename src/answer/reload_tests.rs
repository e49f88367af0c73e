//! A query sees one configuration, whole: the one before a reload or the one after it, at whatever moment it comes.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::tests::{FRIEND, client, parts, query, summary};
use super::{AtOnce, Parts, Service, Transport, Worker};
use crate::config::Settings;
use crate::env::{BootTime, BoxFuture, Clock, Net, Random, Stream, UdpFlow, WallTime};
use crate::limits::Limits;
use crate::record::{Name, Rank, RrSet, Rtype, Security};
use crate::wire::Flags;
use crate::zone::{Zones, load_zone};

type Query = Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>;

thread_local! {
    /// What happens whenever the clock is read.
    static AT_EACH_READING: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Stands still. A reload reads the clock between its steps: that is where the test sends its queries.
struct TellingClock;

impl Clock for TellingClock {
    fn boot(&self) -> BootTime {
        let hook = AT_EACH_READING.with_borrow_mut(Option::take);
        if let Some(hook) = hook {
            hook();
            AT_EACH_READING.set(Some(hook));
        }
        BootTime(1_000_000)
    }

    fn wall(&self) -> WallTime {
        WallTime(1_800_000_000)
    }
}

/// Nobody answers; who was asked about `corp.test.` is written down.
#[derive(Clone, Default)]
pub(super) struct SilentNet(Rc<RefCell<Vec<SocketAddr>>>);

impl SilentNet {
    pub(super) fn asked(&self) -> Vec<SocketAddr> {
        self.0.borrow().clone()
    }
}

struct SilentFlow {
    asked: Rc<RefCell<Vec<SocketAddr>>>,
    server: SocketAddr,
}

impl Net for SilentNet {
    fn udp(&self, server: SocketAddr, _port: u16) -> std::io::Result<Box<dyn UdpFlow>> {
        Ok(Box::new(SilentFlow { asked: self.0.clone(), server }))
    }

    fn tcp(&self, _server: SocketAddr) -> BoxFuture<'static, std::io::Result<Box<dyn Stream>>> {
        Box::pin(std::future::pending())
    }
}

impl UdpFlow for SilentFlow {
    fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.to_ascii_lowercase().windows(6).any(|part| part == b"\x04test\0") {
            self.asked.borrow_mut().push(self.server);
        }
        Ok(())
    }

    fn poll_recv(&self, _cx: &mut Context<'_>, _into: &mut [u8]) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }
}

const FORWARDER: &str = "192.0.2.1:53";
const OTHER_FORWARDER: &str = "192.0.2.2:53";
const ROOT_SERVER: &str = "198.51.100.53:53";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Zone,
    Forward(&'static str),
    Stub(&'static str),
}

fn configured(rule: Rule) -> Parts {
    let section = |kind: &str, to: &str| format!("[[{kind}]]\nzone = 'corp.test'\nto = ['{to}']\n");
    let text = match rule {
        Rule::Zone => String::new(),
        Rule::Forward(to) => section("forward", to),
        Rule::Stub(to) => section("stub", to),
    };
    let settings = Settings::from_toml(&format!("[policy]\nspecial-use-except = ['test']\n{text}"), "cairn.toml").expect("valid");
    let apex = Name::parse("corp.test.").expect("apex");
    let text = b"$TTL 300\n@ SOA ns admin 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.77\n".to_vec();
    let (zone, _) = load_zone(&apex, "corp.test", &mut |_| Ok(text.clone())).expect("a good zone");
    let zones = if rule == Rule::Zone { vec![Arc::new(zone)] } else { Vec::new() };
    let hints = vec![(Name::parse("root-server.test.").expect("a name"), ROOT_SERVER.parse::<SocketAddr>().expect("address").ip())];
    Parts { settings, zones: Arc::new(Zones::new(zones, 1)), hints, ..parts() }
}

/// Reloads from one rule to the other and sends a query at each reading of the clock; the replies, and who was asked.
async fn reload_under_queries(before: Rule, after: Rule) -> (Vec<String>, Vec<SocketAddr>) {
    let service = Service::new(configured(before), Limits::default(), Arc::new(TellingClock), &Random::from_seed(1));
    let net = SilentNet::default();
    let worker = Worker::new(service.clone(), Rc::new(net.clone()), Random::from_seed(2));
    let (queries, count) = (Rc::new(RefCell::new(Vec::<Query>::new())), Rc::new(Cell::new(0)));
    let (sender, sent, asked) = (worker.clone(), queries.clone(), count.clone());
    AT_EACH_READING.set(Some(Rc::new(move || {
        let (worker, number) = (sender.clone(), asked.replace(asked.get() + 1));
        let mut coming: Query = Box::pin(async move {
            // Each asks for another name, so that none waits for the other's walk.
            let name = if number % 2 == 0 { "www.corp.test. A".to_owned() } else { format!("n{number}.corp.test. A") };
            worker.in_full(&query(&name, Flags::RD, None), &client(FRIEND, Transport::Udp)).await
        });
        // The first poll decides; what has to wait goes on after the reload.
        match coming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(reply) => sent.borrow_mut().push(Box::pin(std::future::ready(reply))),
            Poll::Pending => sent.borrow_mut().push(coming),
        }
    })));
    drop(service.reload(configured(after)));
    AT_EACH_READING.set(None);
    assert!(count.get() > 0, "no query came in the middle of the reload");
    let mut replies = Vec::new();
    for coming in queries.take() {
        replies.push(summary(&coming.await.expect("a reply")));
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = net.0.take();
    (replies, asked)
}

#[tokio::test(start_paused = true)]
async fn no_query_falls_between_two_configurations() {
    let rules = [Rule::Zone, Rule::Forward(FORWARDER), Rule::Forward(OTHER_FORWARDER), Rule::Stub(FORWARDER)];
    for (before, after) in rules.iter().flat_map(|before| rules.iter().map(move |after| (*before, *after))) {
        if before == after {
            continue;
        }
        let (replies, asked) = tokio::task::LocalSet::new().run_until(reload_under_queries(before, after)).await;
        let may_be_asked: Vec<SocketAddr> = [before, after]
            .into_iter()
            .filter_map(|rule| match rule {
                Rule::Zone => None,
                Rule::Forward(to) | Rule::Stub(to) => Some(to.parse().expect("an address")),
            })
            .collect();
        let strays: Vec<&SocketAddr> = asked.iter().filter(|server| !may_be_asked.contains(server)).collect();
        assert!(strays.is_empty(), "{before:?} to {after:?}: {strays:?} was asked about corp.test.; {replies:?}");
    }
}

/// A configuration with one view, whose clients are sent to this server for `corp.test.`, or with none.
fn with_view(forward: Option<&str>, rule: Rule) -> Parts {
    let mut parts = configured(rule);
    if let Some(to) = forward {
        let text = format!("[[view]]\nname = 'staff'\nclients = ['127.0.0.0/8']\nforward = ['corp.test {to}']\n");
        parts.settings.views = Settings::from_toml(&text, "cairn.toml").expect("valid").views;
    }
    parts
}

const IN_VIEW: &str = "www.corp.test.";

/// The cache of the view has an address.
fn fill_view(service: &Service) {
    let snapshot = service.snapshot();
    let view = snapshot.view_routes.each().next().expect("a view with forward rules");
    let set = RrSet::with(Name::parse(IN_VIEW).expect("a name"), Rtype::A, 300, &[203, 0, 113, 1]);
    view.apart.shared.cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, service.resolve.clock.boot());
}

fn view_has_data(service: &Service) -> bool {
    let snapshot = service.snapshot();
    let view = snapshot.view_routes.each().next().expect("a view with forward rules");
    let name = Name::parse(IN_VIEW).expect("a name");
    view.apart.shared.cache.sets().get(&name, Rtype::A, BootTime(1_000_000)).is_some()
}

/// Whether the client gets an answer without a look-up by servers.
fn is_at_once(worker: &Rc<Worker>) -> bool {
    let packet = query(&format!("{IN_VIEW} A"), Flags::RD, None);
    let client = client(FRIEND, Transport::Udp);
    let mut slot = vec![0; 2048];
    slot[..packet.len()].copy_from_slice(&packet);
    let moment = worker.moment(BootTime(1_000_000));
    let AtOnce::Later(pending) = worker.at_once(&moment, &mut slot, packet.len(), &client) else { return true };
    drop(moment);
    let worker = worker.clone();
    let mut later: Query = Box::pin(async move { Some(worker.later(pending, &client, None).await) });
    later.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// A question that comes between two steps of a reload must not leave a ready answer of what the view's old servers said.
#[tokio::test(start_paused = true)]
async fn no_ready_answer_of_a_view_outlives_its_servers() {
    let reload = async {
        let service = Service::new(
            with_view(Some(FORWARDER), Rule::Stub(FORWARDER)),
            Limits::default(),
            Arc::new(TellingClock),
            &Random::from_seed(1),
        );
        let worker = Worker::new(service.clone(), Rc::new(SilentNet::default()), Random::from_seed(2));
        fill_view(&service);
        assert!(is_at_once(&worker), "the cache of the view has it");
        let (asked, answered) = (worker.clone(), Rc::new(Cell::new(0)));
        let count = answered.clone();
        AT_EACH_READING.set(Some(Rc::new(move || count.set(count.get() + u32::from(is_at_once(&asked))))));
        drop(service.reload(with_view(Some(OTHER_FORWARDER), Rule::Stub(FORWARDER))));
        AT_EACH_READING.set(None);
        assert!(answered.get() > 0, "some question came before the cache was flushed");
        assert!(!view_has_data(&service));
        assert!(!is_at_once(&worker), "another server is asked from now on");
    };
    tokio::task::LocalSet::new().run_until(reload).await;
}

/// A configuration without the view does not look after its cache, so the next one with a view begins with an empty one.
#[tokio::test(start_paused = true)]
async fn what_a_view_knew_before_it_was_gone() {
    let reload = async {
        let service = Service::new(
            with_view(Some(FORWARDER), Rule::Stub(FORWARDER)),
            Limits::default(),
            Arc::new(TellingClock),
            &Random::from_seed(1),
        );
        fill_view(&service);
        drop(service.reload(with_view(Some(FORWARDER), Rule::Stub(FORWARDER))));
        assert!(view_has_data(&service), "nothing has changed for it");
        drop(service.reload(with_view(None, Rule::Zone)));
        drop(service.reload(with_view(None, Rule::Stub(FORWARDER))));
        drop(service.reload(with_view(Some(FORWARDER), Rule::Stub(FORWARDER))));
        assert!(!view_has_data(&service));
    };
    tokio::task::LocalSet::new().run_until(reload).await;
}
