//! The thread that looks up the targets of ALIAS records. Answers never wait for it.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{LocalSet, spawn_local};
use tracing::error;

use super::aliases::Found;
use super::order::Order;
use super::versions::{Origin, Versions};
use crate::answer::{Explain, Service, Worker, worker_for_own_needs};
use crate::authority::Addresses;
use crate::env::{Random, RealNet};
use crate::limits::zone::ALIASES_UNDER_WAY_MAX;
use crate::record::{EdeCode, Name, Question, Rcode, Rtype};
use crate::server::priority;

/// The longest sleep: timers do not run while a machine sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Runs until the receiver of `orders` is gone.
pub(super) fn follow(service: Arc<Service>, versions: Arc<Versions>, orders: mpsc::UnboundedSender<Order>) -> io::Result<()> {
    thread::Builder::new().name("aliases".to_owned()).spawn(move || {
        let _ = priority::give_way();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => LocalSet::new().block_on(&runtime, run(service, versions, orders)),
            Err(error) => error!(%error, "the targets of ALIAS records are not looked up"),
        }
    })?;
    Ok(())
}

async fn run(service: Arc<Service>, versions: Arc<Versions>, orders: mpsc::UnboundedSender<Order>) {
    let mut worker: Option<Rc<Worker>> = None;
    let places = Rc::new(Semaphore::new(ALIASES_UNDER_WAY_MAX));
    while !orders.is_closed() {
        let now = service.resolve.clock.boot();
        for (zone, target) in versions.aliases.due(now) {
            // Made for the first ALIAS record: most servers have none.
            let worker = match &worker {
                Some(worker) => worker.clone(),
                None => match Random::from_system() {
                    Ok(random) => worker.insert(worker_for_own_needs(service.clone(), Rc::new(RealNet::default()), random)).clone(),
                    Err(error) => return error!(%error, "the targets of ALIAS records are not looked up"),
                },
            };
            let (service, versions, orders, places) = (service.clone(), versions.clone(), orders.clone(), places.clone());
            spawn_local(async move {
                let _place = places.acquire().await;
                let found = looked_up(&worker, &target).await;
                if versions.aliases.found(&zone, &target, found, service.resolve.clock.boot()) {
                    make_next(&service, &versions, &zone);
                    let _ = orders.send(Order::Changed);
                }
                versions.aliases.bell.notify_one();
            });
        }
        let wait = versions.aliases.next_due().map_or(LOOK_AGAIN, |due| due.since(service.resolve.clock.boot()).min(LOOK_AGAIN));
        tokio::select! {
            biased;
            () = versions.aliases.bell.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Both families. What a server denies is an answer; what it does not answer is none.
async fn looked_up(worker: &Rc<Worker>, target: &Name) -> Result<Found, String> {
    let (mut addresses, mut ttl_s, mut is_stale) = (Addresses::new(), u32::MAX, false);
    for rtype in [Rtype::A, Rtype::AAAA] {
        let outcome = worker.resolve(&Explain::new(Question::new(target.clone(), rtype), None)).await.outcome;
        match outcome.rcode {
            Some(Rcode::NOERROR | Rcode::NXDOMAIN) => {}
            Some(rcode) => return Err(format!("{rtype}: {rcode}")),
            None => return Err(format!("{rtype}: no answer")),
        }
        is_stale |= outcome.edes.iter().any(|ede| matches!(ede.code, EdeCode::STALE_ANSWER | EdeCode::STALE_NXDOMAIN));
        ttl_s = outcome.answers.iter().chain(&outcome.authority).map(|set| set.ttl).fold(ttl_s, u32::min);
        let sets = outcome.answers.iter().filter(|set| set.rtype == rtype);
        addresses.insert(rtype, sets.flat_map(|set| set.data.iter().map(<[u8]>::to_vec)).collect());
    }
    Ok(Found { addresses, ttl_s, is_stale })
}

fn make_next(service: &Service, versions: &Versions, zone: &Name) {
    let mut changing = versions.change();
    let Some(data) = changing.data(zone).cloned() else { return };
    let version = changing.next(data, Origin::Alias);
    changing.serve(service, |zones| zones.with(version));
}
