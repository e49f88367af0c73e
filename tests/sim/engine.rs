//! The one place where the resolver under test is made. When its constructor changes, this file does, and no test.
//!
//! `CAIRN_ENGINE=reference` puts the little reference walker (`reference.rs`) in its place: what fails with it too is
//! more likely a mistake of the test.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use cairn::answer::{AtOnce, Client, Explain, Explained, Parts, Service, Worker};
use cairn::cache::Entry;
use cairn::config::Settings;
use cairn::env::{Clock, Net, Random};
use cairn::limits::Limits;
use cairn::record::{Name, Rtype};
use cairn::resolve::Shared;
use cairn::validate::Anchor;
use cairn::zone::{Zones, load_zone};

use super::record::Rr;
use super::reference::Reference;

/// All that a resolver starts with.
pub struct Start {
    pub settings: Settings,
    /// NS and address records of the root's servers.
    pub root_hints: Vec<Rr>,
    /// DS or DNSKEY records.
    pub trust_anchors: Vec<Rr>,
    /// Zones that it hosts: apex and master file.
    pub hosted: Vec<(Name, String)>,
    pub clock: Arc<dyn Clock>,
    pub net: Rc<dyn Net>,
    pub seed: u64,
    pub limits: Limits,
    pub workers: usize,
    /// The reference walker, whatever is ready.
    pub reference: bool,
}

#[derive(Clone)]
pub enum Engine {
    /// Each stands for one thread; they share what threads share.
    Cairn(Vec<Rc<Worker>>, Arc<dyn Clock>),
    Reference(Rc<Reference>),
}

/// Is it the real one? What needs a cache asks this first.
pub fn is_cairn() -> bool {
    std::env::var_os("CAIRN_ENGINE").is_none_or(|engine| engine != "reference")
}

impl Engine {
    pub fn start(start: Start) -> Engine {
        if is_cairn() && !start.reference { Engine::cairn(start) } else { Engine::Reference(Rc::new(Reference::new(&start))) }
    }

    fn cairn(start: Start) -> Engine {
        let (limits, clock, net, seed, workers) = (start.limits, start.clock.clone(), start.net.clone(), start.seed, start.workers);
        let service = Service::new(parts(start), limits, clock.clone(), &Random::from_seed(seed));
        let random = |worker: usize| Random::from_seed(seed.wrapping_add(1 + worker as u64));
        let workers = (0..workers.max(1)).map(|worker| Worker::new(service.clone(), net.clone(), random(worker))).collect();
        Engine::Cairn(workers, clock)
    }

    /// Takes what of `start` a reload can change.
    pub fn reload(&self, start: Start) {
        if let Engine::Cairn(workers, _) = self {
            drop(workers[0].service().reload(parts(start)));
        }
    }

    /// The machine's way out has changed.
    pub fn network_changed(&self) {
        if let Engine::Cairn(workers, _) = self {
            workers[0].service().resolve.network_changed(true);
        }
    }

    /// The short cut alone: the reply, or `None` where it takes waiting.
    pub fn at_once(&self, query: &[u8], client: &Client, worker: usize) -> Option<Vec<u8>> {
        let Engine::Cairn(workers, clock) = self else { return None };
        let mut slot = vec![0; 65_535.max(query.len())];
        slot[..query.len()].copy_from_slice(query);
        let worker = &workers[worker % workers.len()];
        match worker.at_once(&worker.moment(clock.boot()), &mut slot, query.len(), client) {
            AtOnce::Reply(len) => Some(slot[..len].to_vec()),
            AtOnce::Silence => Some(Vec::new()),
            AtOnce::Many(_) => None,
            AtOnce::Later(_) => {
                assert_eq!(&slot[..query.len()], query, "at_once says Later but wrote into the slot");
                None
            }
        }
    }

    /// Everything the cache holds; the reference walker has none.
    pub fn dump_cache(&self, show: &mut dyn FnMut(Entry)) {
        if let Engine::Cairn(workers, clock) = self {
            workers[0].service().cache().dump(clock.boot(), show);
        }
    }

    pub fn walks_in_progress(&self) -> usize {
        match self {
            Engine::Cairn(workers, _) => workers[0].service().resolve.walks_in_progress(),
            Engine::Reference(_) => 0,
        }
    }

    /// What all workers share.
    pub fn shared(&self) -> Arc<Shared> {
        match self {
            Engine::Cairn(workers, _) => workers[0].service().resolve.clone(),
            Engine::Reference(_) => panic!("the reference walker follows no anchors"),
        }
    }

    /// A row of `cairn stats`.
    pub fn stat(&self, row: &str) -> u64 {
        let Engine::Cairn(workers, _) = self else { panic!("the reference walker counts nothing") };
        let rows = workers[0].service().rows();
        rows.iter().find(|(name, _)| *name == row).unwrap_or_else(|| panic!("no row {row}")).1
    }

    pub async fn explain(&self, query: &Explain) -> Explained {
        let Engine::Cairn(workers, _) = self else { panic!("the reference walker explains nothing") };
        workers[0].explain(query).await
    }

    pub async fn follow_anchors(&self) {
        if let Engine::Cairn(workers, _) = self {
            workers[0].follow_anchors().await;
        }
    }

    /// Never ends.
    pub async fn keep_warm(&self) {
        match self {
            Engine::Cairn(workers, _) => workers[0].keep_warm().await,
            Engine::Reference(_) => std::future::pending().await,
        }
    }

    pub async fn in_full(&self, query: &[u8], client: &Client, worker: usize) -> Option<Vec<u8>> {
        match self {
            Engine::Cairn(workers, _) => workers[worker % workers.len()].in_full(query, client).await,
            Engine::Reference(reference) => reference.in_full(query).await,
        }
    }
}

/// The parts of which a service is made.
fn parts(start: Start) -> Parts {
    let hints = start.root_hints.iter().filter_map(|rr| Some((rr.name.clone(), address(rr)?))).collect();
    let anchors = start.trust_anchors.iter().filter_map(|rr| Anchor::from_record(rr.name.clone(), rr.rtype, &rr.rdata)).collect();
    let hosted = start.hosted.iter().map(|(apex, text)| {
        let loaded = load_zone(apex, "hosted", &mut |_| Ok(text.clone().into_bytes()));
        Arc::new(loaded.unwrap_or_else(|problems| panic!("{apex}: {problems:?}")).0)
    });
    let zones = Arc::new(Zones::new(hosted, 1));
    let own_addresses = start.settings.server.listen.clone().unwrap_or_default();
    Parts { settings: start.settings, hints, anchors: Arc::new(anchors), zones, own_addresses }
}

fn address(rr: &Rr) -> Option<IpAddr> {
    match rr.rtype {
        Rtype::A => <[u8; 4]>::try_from(&rr.rdata[..]).ok().map(IpAddr::from),
        Rtype::AAAA => <[u8; 16]>::try_from(&rr.rdata[..]).ok().map(IpAddr::from),
        _ => None,
    }
}
