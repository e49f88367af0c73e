//! The engine that answers queries, as the rest of `server` sees it.

use std::fmt;
use std::net::SocketAddr;

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::command::{Command, Reply};
use super::load::Sources;
use super::ports::WorkerSockets;
use crate::cache::Cache;
use crate::env::NetworkChange;
use crate::listen::{EncryptedAddr, ListenerChanges, SocketChanges};
use crate::metrics::{Distribution, Row};
use crate::record::Name;

/// Answers queries. Shared by all workers and by the control thread.
pub trait Engine: Send + Sync + 'static {
    /// The body of one worker's thread: serves until `stop` turns true, sends what is under way, and returns. `changes`
    /// opens and closes sockets meanwhile.
    fn work(&self, worker: usize, sockets: WorkerSockets, changes: SocketChanges, stop: watch::Receiver<bool>);

    /// The body of one thread for encrypted transports, alike.
    fn work_encrypted(&self, thread: usize, changes: ListenerChanges, stop: watch::Receiver<bool>);

    /// Swaps in what was read again; the cache stays. Everything in it is checked already, so it cannot fail.
    fn reload(&self, sources: Sources, addrs: &[SocketAddr]) -> Swapped;

    /// These encrypted transports are served from now on.
    fn serves_encrypted(&self, open: &[EncryptedAddr]);

    /// Zones, network and cache, for `cairn status`.
    fn status(&self) -> Map<String, Value>;

    /// The numbers of `cairn stats`.
    fn stats(&self) -> Value;

    /// Names that failed lately, the latest first: name, type, reason, how often, and when.
    fn failing(&self) -> Vec<Value>;

    /// Everything that is counted, for collectors.
    fn measured(&self) -> (Vec<Row>, Vec<Distribution>);

    /// What collectors are told of zones (the first ones by name, at most this many), lists and the certificate. Made for each scrape,
    /// so it costs far less than `status`.
    fn entries(&self, zones_max: usize) -> Entries;

    /// Can names be resolved? May wait for the network. `Err` says what is missing.
    fn is_ready(&self) -> Result<(), &'static str>;

    /// Has every worker been at work since this was asked last?
    fn are_workers_alive(&self) -> bool;

    /// Links, addresses or routes of this machine have changed.
    fn network_changed(&self, change: NetworkChange);

    /// A command from the control socket. `reply` may be called later, from any thread.
    fn command(&self, command: Command, reply: Reply);

    /// The workers have ended: what they have told of queries is written. Waits for a moment, and no longer.
    fn finish(&self);

    /// The cache that is saved, if there is one.
    fn cache(&self) -> Option<&Cache>;
}

/// What has a name of its own, with its numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries {
    pub zones: Vec<ZoneEntry>,
    pub lists: Vec<ListEntry>,
    /// When the certificate of the encrypted transports ends, in seconds since 1970.
    pub certificate_ends: Option<u64>,
}

/// A zone that this server is to serve.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneEntry {
    pub name: String,
    /// Serial and number of records of the data that is served; `None`: there is none.
    pub served: Option<(u32, usize)>,
}

/// A list of names.
#[derive(Clone, Debug, PartialEq)]
pub struct ListEntry {
    pub name: String,
    /// Distinct ones.
    pub names: u64,
    pub lines_skipped: u64,
    pub answers_blocked: u64,
}

/// What is to be said of the zones and lists of a reload.
#[derive(Clone, Debug, Default)]
pub struct Swapped {
    /// How the broken zones are served.
    pub broken: Vec<BrokenZoneServed>,
    /// Sentences about zones that are served as they were read, and lists that are fetched.
    pub warnings: Vec<String>,
    /// Sentences about lists that are not in force as their files say.
    pub unread_lists: Vec<String>,
}

/// A zone whose file cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokenZoneServed {
    pub name: Name,
    pub why: String,
    /// Of the data that was read before, and is served on.
    pub serial: Option<u32>,
}

impl fmt::Display for BrokenZoneServed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenZoneServed { name, why, serial } = self;
        match serial {
            Some(serial) => write!(f, "zone {name}: served as it was read before (serial {serial}): {why}"),
            None => write!(f, "zone {name}: not served, its names get SERVFAIL: {why}"),
        }
    }
}

/// An engine that answers nothing, for tests of the code around it.
#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::listen::ListenerChange;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Tells its test when a worker starts and ends.
    #[derive(Default)]
    pub(crate) struct Idle {
        pub(crate) reloads: AtomicUsize,
        pub(crate) at_work: Option<std::sync::mpsc::SyncSender<()>>,
        pub(crate) fails: bool,
        pub(crate) cache: Option<Cache>,
        /// What comes of each reload.
        pub(crate) swapped: Swapped,
    }

    impl Engine for Idle {
        fn work(&self, _worker: usize, _sockets: WorkerSockets, _changes: SocketChanges, mut stop: watch::Receiver<bool>) {
            assert!(!self.fails, "a planted failure");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            if let Some(at_work) = &self.at_work {
                at_work.send(()).expect("the test waits");
            }
            let _ = runtime.block_on(stop.wait_for(|stop| *stop));
        }

        fn work_encrypted(&self, _thread: usize, mut changes: ListenerChanges, mut stop: watch::Receiver<bool>) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let mut held = Vec::new();
                loop {
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => return,
                        change = changes.recv() => match change {
                            Some(ListenerChange::Open { at, listener }) => held.push((at, listener)),
                            Some(ListenerChange::Close { at, .. }) => held.retain(|(known, _)| *known != at),
                            None => return,
                        },
                    }
                }
            });
        }

        fn finish(&self) {}

        fn reload(&self, _sources: Sources, _addrs: &[SocketAddr]) -> Swapped {
            self.reloads.fetch_add(1, Ordering::SeqCst);
            if let Some(at_work) = &self.at_work {
                at_work.send(()).expect("the test waits");
            }
            self.swapped.clone()
        }

        fn serves_encrypted(&self, _: &[EncryptedAddr]) {}

        fn status(&self) -> Map<String, Value> {
            Map::new()
        }

        fn stats(&self) -> Value {
            serde_json::json!({ "queries": 7 })
        }

        fn failing(&self) -> Vec<Value> {
            vec![
                serde_json::json!({ "name": "a<b.example.", "type": "A", "reason": "\"x\" & <script>", "ede": 6, "count": 2, "first-ago": 9, "last-ago": 1 }),
            ]
        }

        fn measured(&self) -> (Vec<Row>, Vec<Distribution>) {
            let registry = crate::metrics::Registry::default();
            (registry.rows(), registry.histograms())
        }

        fn entries(&self, _: usize) -> Entries {
            Entries::default()
        }

        fn is_ready(&self) -> Result<(), &'static str> {
            if self.fails { Err("a planted failure") } else { Ok(()) }
        }

        fn are_workers_alive(&self) -> bool {
            true
        }

        fn network_changed(&self, _change: NetworkChange) {}

        fn command(&self, command: Command, reply: Reply) {
            let heard = serde_json::json!({ "heard": format!("{command:?}") });
            std::thread::spawn(move || (reply.line(heard.clone()), reply.line(heard)));
        }

        fn cache(&self) -> Option<&Cache> {
            self.cache.as_ref()
        }
    }
}
