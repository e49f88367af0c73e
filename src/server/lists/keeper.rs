//! Keeps the table of all lists: reads them at the start and at a reload, and whenever a file has changed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tracing::{info, warn};

use super::assemble::{Assembled, assemble};
use super::source;
use super::state::{ListState, Stamp};
use super::which::Asked;
use super::{shown, which};
use crate::answer::Service;
use crate::config::ListSettings;
use crate::env::Random;
use crate::limits::server::{LIST_LOOK_INTERVAL, RETIRE_CHECK_INTERVAL};
use crate::policy::{ListId, Lists};
use crate::record::Name;
use crate::server::command::Reply;
use crate::server::hosting::Versions;
use crate::server::{pages, priority};

/// All lists of the configuration.
pub(in crate::server) struct ListKeeper {
    shared: Arc<Shared>,
    /// To the thread that looks after the files.
    orders: Sender<Reply>,
}

struct Shared {
    service: Arc<Service>,
    /// Held while a table is put in force: zones must not change in the same moment.
    versions: Arc<Versions>,
    state_folder: Option<PathBuf>,
    /// Of the hashes in the table.
    key: [u64; 2],
    held: Mutex<Held>,
    /// The state of each list, for whoever must not wait for a table to be made.
    states: Mutex<Arc<Vec<ListState>>>,
    /// Questions are answered: they come before lists.
    is_started: AtomicBool,
}

/// Held by whoever makes the next table.
#[derive(Default)]
struct Held {
    settings: Vec<ListSettings>,
    /// What the files looked like at the last look, where that differs from what was read.
    changing: Vec<Option<Option<Stamp>>>,
}

impl ListKeeper {
    /// Reads all lists, and puts them in force, before the first question is answered; then looks after their files.
    pub(in crate::server) fn start(
        service: Arc<Service>,
        versions: Arc<Versions>,
        state_folder: Option<PathBuf>,
        lists: &[ListSettings],
    ) -> Result<ListKeeper, String> {
        let random = Random::from_system().map_err(|error| format!("no randomness from the system: {error}"))?;
        let key = [random.u64(), random.u64()];
        let shared = Shared {
            service,
            versions,
            state_folder,
            key,
            held: Mutex::default(),
            states: Mutex::default(),
            is_started: AtomicBool::new(false),
        };
        shared.configure(lists);
        shared.is_started.store(true, Ordering::Relaxed);
        let shared = Arc::new(shared);
        let (orders, received) = channel::<Reply>();
        let looking = shared.clone();
        let spawned = thread::Builder::new().name("lists".to_owned()).spawn(move || {
            let _ = priority::give_way();
            loop {
                match received.recv_timeout(LIST_LOOK_INTERVAL) {
                    Ok(reply) => looking.update(&reply),
                    Err(RecvTimeoutError::Timeout) => looking.look(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        spawned.map_err(|error| format!("no thread for the lists: {error}"))?;
        Ok(ListKeeper { shared, orders })
    }

    /// Reads the lists of a configuration; returns what is wrong with them.
    pub(in crate::server) fn configure(&self, lists: &[ListSettings]) -> Vec<String> {
        self.shared.configure(lists)
    }

    /// For `cairn list update`: reads all sources anew.
    pub(in crate::server) fn update(&self, reply: Reply) {
        if let Err(refused) = self.orders.send(reply) {
            refused.0.error("the thread that looks after lists has ended");
        }
    }

    /// For `cairn list status`.
    pub(in crate::server) fn status(&self) -> Vec<Value> {
        self.shared.status()
    }

    /// For `cairn list which`. Reads files, so not for the control thread.
    pub(in crate::server) fn which(&self, name: &Name, client: Option<IpAddr>) -> impl FnOnce() -> Value + Send + 'static {
        let (shared, name) = (self.shared.clone(), name.clone());
        move || {
            let snapshot = shared.service.snapshot();
            let asked = Asked { views: &snapshot.policy.views, moment: snapshot.moment(), client };
            which::which(&name, &asked, &snapshot.lists, &shared.states(), shared.state_folder.as_deref())
        }
    }
}

impl Shared {
    fn states(&self) -> Arc<Vec<ListState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn status(&self) -> Vec<Value> {
        let lists = self.service.snapshot().lists.clone();
        (0u8..).zip(self.states().iter()).map(|(at, state)| shown::status(state, lists.count(ListId(at)))).collect()
    }

    fn configure(&self, lists: &[ListSettings]) -> Vec<String> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.is_empty() && held.settings.is_empty() {
            return Vec::new();
        }
        held.settings = lists.to_vec();
        self.make(&mut held, false)
    }

    /// Reads what has changed, or all of it `anew`, and puts it in force. Returns what is wrong.
    fn make(&self, held: &mut Held, anew: bool) -> Vec<String> {
        let (old, before) = (self.service.snapshot().lists.clone(), self.states());
        held.changing = vec![None; held.settings.len()];
        let made = {
            let make = || assemble(&held.settings, &before, &old, self.key, self.state_folder.as_deref(), anew);
            // At the start nothing else runs, and the first answer waits for it.
            if self.is_started.load(Ordering::Relaxed) { priority::aside(make) } else { make() }
        };
        drop(old);
        let Assembled { lists, states } = match made {
            Ok(assembled) => assembled,
            Err(what) => {
                warn!("lists: {what}; they stay as they were");
                return vec![format!("lists: {what}; they stay as they were")];
            }
        };
        for (at, state) in (0u8..).zip(&states).filter(|(_, state)| state.is_loaded && state.problem.is_none()) {
            let (list, names, skipped) = (state.settings.name(), lists.count(ListId(at)), state.tally.skipped);
            info!(event = "list-loaded", list, names, "list {list}: {names} names, {skipped} lines skipped");
        }
        let problems: Vec<String> = states.iter().filter_map(ListState::told).collect();
        problems.iter().for_each(|problem| warn!("{problem}"));
        *self.states.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(states);
        self.put_in_force(Arc::new(lists));
        problems
    }

    fn put_in_force(&self, lists: Arc<Lists>) {
        let undisturbed = self.versions.change();
        let old = self.service.replace_lists(lists);
        drop(undisturbed);
        // Whoever lets go of it last frees it, which must not be a worker.
        let spawned = thread::Builder::new().name("retire".to_owned()).spawn(move || {
            let _ = priority::give_way();
            while Arc::strong_count(&old) > 1 {
                thread::sleep(RETIRE_CHECK_INTERVAL);
            }
            drop(old);
            pages::give_back_now();
        });
        if let Err(error) = spawned {
            warn!(%error, "could not start a thread that frees old lists");
        }
    }

    /// Has a file changed? It is read when it looks the same twice: whoever writes it may not be done.
    fn look(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (states, mut is_due) = (self.states(), false);
        for (at, state) in states.iter().enumerate() {
            let Ok(path) = source::path(&state.settings, self.state_folder.as_deref()) else { continue };
            let now = source::stamp(&path);
            let Some(changing) = held.changing.get_mut(at) else { continue };
            // A file that is gone is told of once.
            if now == state.seen || (now.is_none() && state.problem.is_some()) {
                *changing = None;
            } else if *changing == Some(now) {
                is_due = true;
            } else {
                *changing = Some(now);
            }
        }
        if is_due {
            self.make(&mut held, false);
        }
    }

    fn update(&self, reply: &Reply) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let problems = self.make(&mut held, true);
        drop(held);
        self.status().into_iter().for_each(|line| {
            reply.line_blocking(line);
        });
        reply.line_blocking(json!({ "good": problems.is_empty() }));
    }
}
