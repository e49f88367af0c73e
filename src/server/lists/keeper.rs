//! Keeps the table of all lists: reads them at the start and at a reload, whenever a file has changed, and when a list was fetched.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};
use tracing::{info, warn};

use super::assemble::{Assembled, Wish, assemble};
use super::copied::Copied;
use super::copy::Copy;
use super::deciding_line::Lines;
use super::fetcher::{Arrived, FetchOrder, Fetcher};
use super::other_rules::{Hosted, OtherRules};
use super::schedule::FetchState;
use super::source;
use super::state::{ListState, Stamp};
use super::which::Asked;
use super::{shown, which};
use crate::answer::Service;
use crate::config::{ListSettings, ListSource};
use crate::env::Random;
use crate::explain::Event;
use crate::limits::server::{LIST_LOOK_INTERVAL, RETIRE_CHECK_INTERVAL};
use crate::policy::{ListId, ListSet, Lists, ViewId};
use crate::record::{Name, Rtype};
use crate::server::command::Reply;
use crate::server::hosting::Versions;
use crate::server::{pages, priority};

/// All lists of the configuration.
pub(in crate::server) struct ListKeeper {
    shared: Arc<Shared>,
    /// To the thread that makes tables.
    orders: Sender<Order>,
    /// `None` as long as no list has a URL.
    fetcher: Mutex<Option<Fetcher>>,
}

/// What is wrong with the lists of a configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct ListProblems {
    /// Lists that are not in force as their files say: that needs the operator.
    pub(in crate::server) of_files: Vec<String>,
    /// Lists that are fetched, which is tried again without the operator.
    pub(in crate::server) of_urls: Vec<String>,
}

/// What the thread that makes tables has to do besides looking at the files.
enum Order {
    Update(Update),
    Arrived(Box<Arrived>),
}

/// `cairn list update`.
struct Update {
    /// `None`: all lists.
    name: Option<String>,
    accepts_shorter: bool,
    /// What could not be fetched, and why.
    not_fetched: Vec<(String, String)>,
    fetches: Vec<FetchState>,
    reply: Reply,
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
    copied: Mutex<Copied>,
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
            copied: Mutex::default(),
            is_started: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        let (orders, received) = channel::<Order>();
        let looking = shared.clone();
        let spawned = thread::Builder::new().name("lists".to_owned()).spawn(move || {
            let _ = priority::give_way();
            loop {
                match received.recv_timeout(LIST_LOOK_INTERVAL) {
                    Ok(Order::Update(update)) => looking.update(&update),
                    Ok(Order::Arrived(first)) => {
                        let mut arrived = vec![*first];
                        let mut updates = Vec::new();
                        // What comes at the same time becomes one table.
                        while let Ok(order) = received.try_recv() {
                            match order {
                                Order::Arrived(next) => arrived.push(*next),
                                Order::Update(update) => updates.push(update),
                            }
                        }
                        looking.take_over(arrived);
                        updates.iter().for_each(|update| looking.update(update));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        looking.look();
                        looking.keep_copies();
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        spawned.map_err(|error| format!("no thread for the lists: {error}"))?;
        let keeper = ListKeeper { shared, orders, fetcher: Mutex::default() };
        keeper.configure(lists);
        keeper.shared.is_started.store(true, Ordering::Relaxed);
        Ok(keeper)
    }

    /// Reads the lists of a configuration; returns what is wrong with them.
    pub(in crate::server) fn configure(&self, lists: &[ListSettings]) -> ListProblems {
        let problems = self.shared.configure(lists);
        let mut fetcher = self.fetcher();
        if fetcher.is_none() && lists.iter().any(is_fetched) {
            let Some(folder) = self.shared.state_folder.clone() else { return problems };
            let orders = self.orders.clone();
            let hand_over = move |arrived| {
                // Without that thread the fetch is told that nobody answers.
                let _ = orders.send(Order::Arrived(Box::new(arrived)));
            };
            match Fetcher::start(self.shared.service.clone(), folder, hand_over) {
                Ok(started) => *fetcher = Some(started),
                Err(error) => warn!(%error, "lists are not fetched"),
            }
        }
        if let Some(fetcher) = &*fetcher {
            fetcher.order(FetchOrder::Configured(lists.to_vec()));
        }
        problems
    }

    /// For `cairn list update`: fetches the list, or all of them, reads files anew, and tells when they are in force.
    pub(in crate::server) fn update(&self, name: Option<String>, accepts_shorter: bool, reply: Reply) {
        let states = self.shared.states();
        let is_meant = |list: &&ListSettings| name.as_ref().is_none_or(|name| list.name() == name);
        let meant: Vec<&ListSettings> = states.iter().map(|state| &state.settings).filter(is_meant).collect();
        if let Some(name) = name.as_ref().filter(|_| meant.is_empty()) {
            reply.error(format!("there is no list \"{name}\"; `cairn list status` shows all"));
            return;
        }
        let urls: Vec<String> = meant.into_iter().filter(|list| is_fetched(list)).map(|list| list.name().to_owned()).collect();
        let orders = self.orders.clone();
        let read = move |not_fetched, fetches| {
            if let Err(refused) = orders.send(Order::Update(Update { name, accepts_shorter, not_fetched, fetches, reply }))
                && let Order::Update(update) = refused.0
            {
                update.reply.error("the thread that looks after lists has ended");
            }
        };
        match &*self.fetcher() {
            Some(fetcher) if !urls.is_empty() => {
                let states = fetcher.shown();
                let done = Box::new(move |not_fetched| read(not_fetched, states()));
                fetcher.order(FetchOrder::Now { names: urls, accepts_shorter, done });
            }
            _ => read(Vec::new(), Vec::new()),
        }
    }

    /// Fetches that have failed are tried again soon.
    pub(in crate::server) fn network_changed(&self) {
        if let Some(fetcher) = &*self.fetcher() {
            fetcher.order(FetchOrder::NetworkChanged);
        }
    }

    /// Of each list: its name, the number of distinct names, and lines that were skipped.
    pub(in crate::server) fn figures(&self) -> Vec<(String, u64, u64)> {
        let lists = self.shared.service.snapshot().lists.clone();
        let of = |(at, state): (u8, &ListState)| (state.settings.name().to_owned(), lists.count(ListId(at)), state.tally.skipped);
        (0u8..).zip(self.shared.states().iter()).map(of).collect()
    }

    /// For `cairn list status`.
    pub(in crate::server) fn status(&self) -> Vec<Value> {
        let fetches = self.fetcher().as_ref().map(Fetcher::states).unwrap_or_default();
        self.shared.status(&fetches)
    }

    fn fetcher(&self) -> MutexGuard<'_, Option<Fetcher>> {
        self.fetcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For explanations: completes what a list has done by where the list has the name, for this client. Reads files, so not for the
    /// control thread.
    pub(in crate::server) fn placing(&self, client: Option<IpAddr>, at: Option<SocketAddr>) -> impl Fn(&mut Event) + Send + 'static {
        let shared = self.shared.clone();
        move |event| {
            let Event::OnList(on_list) = event else { return };
            let (Ok(name), Ok(rtype)) = (Name::parse(&on_list.name), on_list.rtype.parse::<Rtype>()) else { return };
            let states = shared.states();
            let state = (0u8..).map(ListId).zip(states.iter()).find(|(_, state)| state.settings.name() == on_list.list);
            let Some((list, state)) = state else { return };
            on_list.source = state.settings.source.as_ref().map(ToString::to_string);
            let snapshot = shared.service.snapshot();
            let views = &snapshot.policy.views;
            let view = views.get(client.map_or(ViewId::default(), |client| views.of(client, at)));
            let is_in_force = |list: &str| view.why_out_of_force(list, false, &snapshot.moment).is_none();
            let state_folder = shared.state_folder.as_deref();
            let lines = Lines { name: &name, rtype, states: &states, state_folder, is_in_force: &is_in_force };
            (on_list.line, on_list.text) = lines.deciding(ListSet::of(list)).remove(&list).unzip();
        }
    }

    /// For `cairn list which`. Reads files, so not for the control thread.
    pub(in crate::server) fn which(
        &self,
        name: &Name,
        rtype: Option<Rtype>,
        client: Option<IpAddr>,
        at: Option<SocketAddr>,
    ) -> impl FnOnce() -> Value + Send + 'static {
        let (shared, name) = (self.shared.clone(), name.clone());
        move || {
            let snapshot = shared.service.snapshot();
            let views = &snapshot.policy.views;
            let (hosted, local_data) = (Hosted::InForce(&snapshot.zones), &snapshot.policy.local_data);
            let others = OtherRules { hosted, local_data, policies: Some(&snapshot.policies) };
            let asked = Asked { rtype, views, moment: &snapshot.moment, client, at, others: &others };
            which::which(&name, &asked, &snapshot.lists, &shared.states(), shared.state_folder.as_deref())
        }
    }
}

#[cfg(test)]
impl ListKeeper {
    pub(super) fn keep_copies(&self) {
        self.shared.keep_copies();
    }

    /// Fetches nothing.
    pub(super) fn configure_files_alone(&self, lists: &[ListSettings]) -> ListProblems {
        self.shared.configure(lists)
    }
}

fn is_fetched(list: &ListSettings) -> bool {
    matches!(list.source, Some(ListSource::Url(_)))
}

impl Shared {
    fn states(&self) -> Arc<Vec<ListState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn status(&self, fetches: &[FetchState]) -> Vec<Value> {
        let (lists, clock) = (self.service.snapshot().lists.clone(), &self.service.resolve.clock);
        let now = (clock.boot(), clock.wall());
        let line = |(at, state): (u8, &ListState)| {
            let fetch = fetches.iter().find(|fetch| fetch.settings.name() == state.settings.name());
            shown::status(state, lists.count(ListId(at)), fetch, now)
        };
        (0u8..).zip(self.states().iter()).map(line).collect()
    }

    fn configure(&self, lists: &[ListSettings]) -> ListProblems {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.is_empty() && held.settings.is_empty() {
            return ListProblems::default();
        }
        held.settings = lists.to_vec();
        self.make(&mut held, &|_| Wish::default())
    }

    /// Reads what has changed, and what is wished for, and puts it in force. Returns what is wrong.
    fn make(&self, held: &mut Held, wish: &(dyn Fn(&str) -> Wish + Sync)) -> ListProblems {
        match self.assemble(held, wish) {
            Ok(assembled) => self.put_states_in_force(assembled),
            Err(what) => ListProblems { of_files: vec![what], of_urls: Vec::new() },
        }
    }

    fn assemble(&self, held: &mut Held, wish: &(dyn Fn(&str) -> Wish + Sync)) -> Result<Assembled, String> {
        let (old, before) = (self.service.snapshot().lists.clone(), self.states());
        held.changing = vec![None; held.settings.len()];
        let make = || assemble(&held.settings, &before, &old, self.key, self.state_folder.as_deref(), wish);
        // At the start nothing else runs, and the first answer waits for it.
        let made = if self.is_started.load(Ordering::Relaxed) { priority::aside(make) } else { make() };
        made.map_err(|what| {
            warn!("lists: {what}; they stay as they were");
            format!("lists: {what}; they stay as they were")
        })
    }

    /// Returns what is wrong.
    fn put_states_in_force(&self, Assembled { lists, states, .. }: Assembled) -> ListProblems {
        let before = self.states();
        let is_new = |state: &ListState| !before.iter().any(|before| before.settings == state.settings && before.seen == state.seen);
        let is_good = |state: &ListState| state.is_loaded && state.problem.is_none();
        for (at, state) in (0u8..).zip(&states).filter(|(_, state)| is_good(state) && is_new(state)) {
            let (list, names, skipped) = (state.settings.name(), lists.count(ListId(at)), state.tally.skipped);
            info!(event = "list-loaded", list, names, "list {list}: {names} names, {skipped} lines skipped");
        }
        let mut problems = ListProblems::default();
        for (state, told) in states.iter().filter_map(|state| Some((state, state.told()?))) {
            warn!("{told}");
            if is_fetched(&state.settings) { &mut problems.of_urls } else { &mut problems.of_files }.push(told);
        }
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
            self.make(&mut held, &|_| Wish::default());
        }
    }

    /// Keeps a copy of each file as it was read, for a start at which it is missing or broken.
    fn keep_copies(&self) {
        let Some(folder) = &self.state_folder else { return };
        for state in self.states().iter().filter(|state| state.is_loaded && state.problem.is_none()) {
            let (Some(ListSource::File(path)), Some(version)) = (&state.settings.source, state.seen) else { continue };
            let name = state.settings.name();
            let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
            if !copied.is_due(name, path, version) {
                continue;
            }
            drop(copied);
            if let Err(error) = Copy::of(name, folder).keep_file(path, version, self.service.resolve.clock.wall()) {
                warn!(event = "list-not-kept", list = name, %error, "list {name}: no copy of its file in the state folder: {error}");
            }
        }
    }

    /// Puts in force what was fetched, where it is a list, and keeps it as the copy.
    fn take_over(&self, arrived: Vec<Arrived>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // The configuration may have changed while it was fetched.
        let is_wanted =
            |arrived: &Arrived| held.settings.iter().any(|list| list.name() == arrived.list.name() && list.source == arrived.list.source);
        let (arrived, unwanted): (Vec<Arrived>, Vec<Arrived>) = arrived.into_iter().partition(is_wanted);
        for arrived in unwanted {
            let _ = arrived.reply.send(Err("the configuration has another source for it now".to_owned()));
        }
        let wish = |name: &str| arrived.iter().find(|arrived| arrived.list.name() == name).map_or_else(Wish::default, Arrived::wish);
        let mut outcome = self.assemble(&mut held, &wish);
        let is_refused = |outcome: &Result<Assembled, String>, arrived: &Arrived| {
            let refused = outcome.as_ref().ok()?.refused.iter().find(|(name, _)| name == arrived.list.name())?;
            Some(refused.1.clone())
        };
        if let Some(folder) = &self.state_folder {
            let good = arrived.iter().filter(|arrived| outcome.is_ok() && is_refused(&outcome, arrived).is_none());
            let kept: Result<(), String> = good
                .map(|arrived| Copy::of(arrived.list.name(), folder).replace(&arrived.path, &arrived.facts))
                .try_for_each(|kept| kept.map_err(|error| format!("its copy cannot be written: {error}")));
            // What is in force is what a restart finds. What was written is noticed as a file that has changed.
            outcome = kept.and(outcome);
        }
        for arrived in arrived {
            let taken = match (&outcome, is_refused(&outcome, &arrived)) {
                (Err(what), _) => Err(what.clone()),
                (Ok(_), Some(what)) => Err(what),
                (Ok(_), None) => Ok(()),
            };
            let _ = arrived.reply.send(taken);
        }
        if let Ok(assembled) = outcome {
            self.put_states_in_force(assembled);
        }
    }

    fn update(&self, update: &Update) {
        let Update { name, accepts_shorter, not_fetched, fetches, reply } = update;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |list: &str| name.as_ref().is_none_or(|name| list == name);
        let is_file = |name: &str, held: &Held| held.settings.iter().any(|list| list.name() == name && !is_fetched(list));
        let files: Vec<String> = held.settings.iter().map(|list| list.name().to_owned()).filter(|name| is_file(name, &held)).collect();
        let wish = |name: &str| Wish {
            anew: is_meant(name) && files.iter().any(|file| file == name),
            accepts_shorter: is_meant(name) && *accepts_shorter,
            arrived: None,
        };
        self.make(&mut held, &wish);
        drop(held);
        if *accepts_shorter {
            // A restart right after this compares with what has been accepted.
            self.keep_copies();
        }
        let mut is_good = not_fetched.is_empty();
        for line in self.status(fetches).into_iter().filter(|line| line["name"].as_str().is_some_and(is_meant)) {
            is_good &= line["problem"].is_null();
            reply.line_blocking(line);
        }
        reply.line_blocking(json!({ "good": is_good }));
    }
}

impl Arrived {
    fn wish(&self) -> Wish {
        Wish { anew: true, accepts_shorter: self.accepts_shorter, arrived: Some(self.path.clone()) }
    }
}
