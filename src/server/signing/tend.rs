//! The thread that tends signed zones: it replaces signatures before they end, moves keys on when they are due, and asks for the
//! DS set at the parent while a key waits for it.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tracing::{debug, error, info};

use super::super::command::Reply;
use super::super::hosting::{self, Origin, Versions};
use super::super::priority;
use super::{Signing, parent_targets};
use crate::answer::{Explain, Service, Worker, worker_for_own_needs};
use crate::authority::signing::DsRdata;
use crate::env::{Random, RealNet};
use crate::limits::zone::TELL_PARENT_AFTER_S;
use crate::record::{Name, Question, Rcode, Rtype};

/// Timers do not run while a machine sleeps, and clocks are set: so the times are looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// While a key waits for the parent.
const ASK_PARENT_EVERY_S: u64 = 600;

/// What the thread is asked to do.
pub(in crate::server) enum Order {
    /// Begin a roll, and say how it goes.
    Roll { zone: Name, what: Option<String>, reply: Reply },
    /// The zones have changed: when to wake up may have too.
    Look,
}

/// Runs until the sender is dropped. `told`: called when a version has come into force, or the parent is to be told of it.
pub(in crate::server) fn tend(
    signing: Arc<Signing>,
    versions: Arc<Versions>,
    service: Arc<Service>,
    told: impl Fn(hosting::Order) + Send + 'static,
) -> io::Result<mpsc::UnboundedSender<Order>> {
    let (orders, received) = mpsc::unbounded_channel();
    thread::Builder::new().name("signing".to_owned()).spawn(move || {
        let _ = priority::give_way();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime.and_then(|runtime| Ok((runtime, Random::from_system()?))) {
            Ok((runtime, random)) => LocalSet::new().block_on(&runtime, async {
                let worker = worker_for_own_needs(service.clone(), Rc::new(RealNet::default()), random);
                Tending { signing, versions, service, worker, told: Rc::new(told) }.run(received).await;
            }),
            Err(error) => error!(%error, "signatures of hosted zones are not replaced"),
        }
    })?;
    Ok(orders)
}

struct Tending<T> {
    signing: Arc<Signing>,
    versions: Arc<Versions>,
    service: Arc<Service>,
    worker: Rc<Worker>,
    told: Rc<T>,
}

impl<T: Fn(hosting::Order) + 'static> Tending<T> {
    async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let now = self.now();
            for zone in self.signing.due(now) {
                self.make_next(&zone);
            }
            for zone in self.versions.change().take_remakes() {
                self.make_next(&zone);
            }
            for zone in self.signing.waiting_for_parent(now, ASK_PARENT_EVERY_S) {
                self.ask_parent(&zone).await;
            }
            for (zone, cds) in self.signing.untold(now, ASK_PARENT_EVERY_S) {
                self.tell_parent(zone, cds);
            }
            let wait = self.signing.next_due().map_or(LOOK_AGAIN, |at| Duration::from_secs(at.saturating_sub(self.now()))).min(LOOK_AGAIN);
            match tokio::time::timeout(wait.max(Duration::from_millis(200)), orders.recv()).await {
                Ok(None) => return,
                Ok(Some(Order::Roll { zone, what, reply })) => self.roll(&zone, what.as_deref(), &reply),
                Ok(Some(Order::Look)) | Err(_) => {}
            }
        }
    }

    fn now(&self) -> u64 {
        self.service.resolve.clock.wall().0
    }

    fn roll(&self, zone: &Name, what: Option<&str>, reply: &Reply) {
        match self.signing.roll(zone, what) {
            Ok(lines) => {
                self.make_next(zone);
                for line in lines {
                    reply.line(json!({ "line": line }));
                }
                reply.line(json!({ "line": format!("`cairn zone sign status {zone}` shows each step and what it waits for") }));
            }
            Err(why) => {
                reply.error(why);
            }
        }
    }

    /// The next version of the same data.
    fn make_next(&self, zone: &Name) {
        let mut changing = self.versions.change();
        let Some(data) = changing.data(zone).cloned() else { return };
        let version = changing.next(data, Origin::Signing);
        let is_new = !self.service.snapshot().zones.get(zone.as_wire()).is_some_and(|served| Arc::ptr_eq(served, &version));
        if is_new {
            changing.serve(&self.service, |zones| zones.with(version));
            drop(changing);
            (self.told)(hosting::Order::Changed);
        }
    }

    /// RFC 9859, where the parent says that it wants to be told.
    fn tell_parent(&self, zone: Name, cds: Vec<Vec<u8>>) {
        let (worker, signing, told) = (self.worker.clone(), self.signing.clone(), self.told.clone());
        spawn_local(async move {
            tokio::time::sleep(Duration::from_secs(TELL_PARENT_AFTER_S)).await;
            match parent_targets::of_parent(&worker, &zone).await {
                Ok(servers) => {
                    if !servers.is_empty() {
                        let shown: Vec<String> = servers.iter().map(ToString::to_string).collect();
                        info!("zone {zone}: its parent is told of new CDS records, at {}", shown.join(", "));
                        told(hosting::Order::CdsChanged(zone.clone(), servers));
                    }
                    signing.parent_was_told(&zone, cds);
                }
                Err(why) => debug!(%zone, "whether the parent wants to be told of CDS records could not be found out: {why}"),
            }
        });
    }

    /// What resolvers see of the zone's DS set (RFC 7583 3.3: the DS must be known before the key is relied on).
    async fn ask_parent(&self, zone: &Name) {
        let answer = self.worker.resolve(&Explain::new(Question::new(zone.clone(), Rtype::DS), None)).await;
        match answer.outcome.rcode {
            Some(Rcode::NOERROR | Rcode::NXDOMAIN) => {
                let sets = answer.outcome.answers.iter().filter(|set| set.name == *zone && set.rtype == Rtype::DS);
                let (mut ds_set, mut ttl_s) = (Vec::<DsRdata>::new(), 0);
                for set in sets {
                    ttl_s = ttl_s.max(set.ttl);
                    ds_set.extend(set.data.iter().map(<[u8]>::to_vec));
                }
                self.signing.parent_has(zone, &ds_set, ttl_s, self.now());
            }
            other => {
                debug!(%zone, ?other, "the parent's DS set could not be found out");
                self.signing.parent_is_silent(zone, self.now());
            }
        }
    }
}
