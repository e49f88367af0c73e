//! The one place where the resolver under test is made. When its constructor changes, this file does, and no test.
//!
//! `CAIRN_ENGINE=naive` puts the little reference walker (`naive.rs`) in its place: what fails with it too is
//! more likely a mistake of the test.

use std::rc::Rc;
use std::sync::Arc;

use cairn::answer::{AtOnce, Client, Worker};
use cairn::config::Settings;
use cairn::env::{Clock, Net};

use super::naive::Naive;
use super::record::Rr;

/// All that a resolver starts with.
pub struct Start {
    pub settings: Settings,
    /// NS and address records of the root's servers.
    pub root_hints: Vec<Rr>,
    /// DS or DNSKEY records.
    pub trust_anchors: Vec<Rr>,
    pub clock: Arc<dyn Clock>,
    pub net: Rc<dyn Net>,
    pub seed: u64,
    pub workers: usize,
}

#[derive(Clone)]
pub enum Engine {
    /// Each stands for one thread; they share what threads share.
    Cairn(Vec<Rc<Worker>>, Arc<dyn Clock>),
    Naive(Rc<Naive>),
}

/// Is it the real one? What needs a cache asks this first.
pub fn is_cairn() -> bool {
    READY && std::env::var_os("CAIRN_ENGINE").is_none_or(|engine| engine != "naive")
}

/// Turns true with the line in `cairn` that makes a worker.
const READY: bool = false;

impl Engine {
    pub fn start(start: Start) -> Engine {
        if is_cairn() { Engine::cairn(start) } else { Engine::Naive(Rc::new(Naive::new(&start))) }
    }

    fn cairn(start: Start) -> Engine {
        let workers = (0..start.workers.max(1)).map(|_| Rc::new(Worker {})).collect();
        Engine::Cairn(workers, start.clock)
    }

    /// The short cut alone: the reply, or `None` where it takes waiting.
    pub fn at_once(&self, query: &[u8], client: &Client, worker: usize) -> Option<Vec<u8>> {
        let Engine::Cairn(workers, clock) = self else { return None };
        let mut slot = vec![0; 65_535.max(query.len())];
        slot[..query.len()].copy_from_slice(query);
        match workers[worker % workers.len()].at_once(&mut slot, query.len(), client, clock.boot()) {
            AtOnce::Reply(len) => Some(slot[..len].to_vec()),
            AtOnce::Silence => Some(Vec::new()),
            AtOnce::Later => {
                assert_eq!(&slot[..query.len()], query, "at_once says Later but wrote into the slot");
                None
            }
        }
    }

    pub async fn in_full(&self, query: &[u8], client: &Client, worker: usize) -> Option<Vec<u8>> {
        match self {
            Engine::Cairn(workers, _) => workers[worker % workers.len()].in_full(query, client).await,
            Engine::Naive(naive) => naive.in_full(query).await,
        }
    }
}
