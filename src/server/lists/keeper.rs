//! Which source was read when, and the table that is made of all of them.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tracing::{info, warn};

use super::read::each_line;
use super::shown;
use super::state::{ListState, Stamp};
use crate::answer::Service;
use crate::config::{ListSettings, ListSource};
use crate::policy::{Builder, Dialect, ListId, ListReader, Lists, Tally};
use crate::record::{Name, Rtype};
use crate::server::hosting::Versions;
use crate::server::{pages, passed_file, priority};

/// How soon after its last use a replaced table is freed.
const RETIRE_CHECK_EVERY: Duration = Duration::from_millis(100);

/// All lists of the configuration.
pub(in crate::server) struct ListKeeper {
    service: Arc<Service>,
    /// Held while a table is put in force: zones must not change in the same moment.
    versions: Arc<Versions>,
    states: Mutex<Vec<ListState>>,
}

impl ListKeeper {
    /// Reads all lists, and puts them in force. Before the first question is answered.
    pub(in crate::server) fn start(service: Arc<Service>, versions: Arc<Versions>, lists: &[ListSettings]) -> ListKeeper {
        let keeper = ListKeeper { service, versions, states: Mutex::default() };
        keeper.configure(lists);
        keeper
    }

    /// Reads the lists of a configuration; returns what is wrong with them.
    pub(in crate::server) fn configure(&self, lists: &[ListSettings]) -> Vec<String> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.is_empty() && states.is_empty() {
            return Vec::new();
        }
        let mut builder = Builder::new(lists.iter().map(|list| list.name().to_owned()).collect());
        *states = (0u8..).zip(lists).map(|(at, list)| read_list(list, ListId(at), &mut builder)).collect();
        let built = Arc::new(builder.finish());
        for (at, state) in (0u8..).zip(states.iter()) {
            let (list, names, skipped) = (state.settings.name(), built.count(ListId(at)), state.tally.skipped);
            info!(event = "list-loaded", list, "list {list}: {names} names, {skipped} lines skipped");
        }
        let problems: Vec<String> = states.iter().filter_map(ListState::told).collect();
        drop(states);
        problems.iter().for_each(|problem| warn!("{problem}"));
        self.put_in_force(built);
        problems
    }

    fn put_in_force(&self, lists: Arc<Lists>) {
        let undisturbed = self.versions.change();
        let old = self.service.replace_lists(lists);
        drop(undisturbed);
        let spawned = thread::Builder::new().name("retire".to_owned()).spawn(move || {
            let _ = priority::give_way();
            // The last to let go of it frees it, which must not be a worker.
            while Arc::strong_count(&old) > 1 {
                thread::sleep(RETIRE_CHECK_EVERY);
            }
            drop(old);
            pages::give_back_now();
        });
        if let Err(error) = spawned {
            warn!(%error, "could not start a thread that frees old lists");
        }
    }

    /// For `cairn list status`.
    pub(in crate::server) fn status(&self) -> Vec<Value> {
        let lists = self.service.snapshot().lists.clone();
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        (0u8..).zip(states.iter()).map(|(at, state)| shown::status(state, lists.count(ListId(at)))).collect()
    }

    /// For `cairn list which`.
    pub(in crate::server) fn which(&self, name: &Name) -> Value {
        let lists = self.service.snapshot().lists.clone();
        match lists.is_empty() {
            true => json!({ "error": "no list has any name" }),
            false => shown::which(name, &lists.find(name.as_wire(), Rtype::A), &lists),
        }
    }
}

fn read_list(settings: &ListSettings, list: ListId, builder: &mut Builder) -> ListState {
    let mut state = ListState { settings: settings.clone(), ..ListState::default() };
    match &settings.source {
        Some(ListSource::File(path)) => match read_file(path, settings, list, builder) {
            Ok((tally, stamp)) => (state.tally, state.stamp) = (tally, Some(stamp)),
            Err(error) => state.problem = Some(format!("{}: {error}", path.display())),
        },
        Some(ListSource::Url(url)) => state.problem = Some(format!("{url} cannot be fetched yet")),
        None => {}
    }
    state
}

fn read_file(path: &Path, settings: &ListSettings, list: ListId, builder: &mut Builder) -> std::io::Result<(Tally, Stamp)> {
    let file = passed_file::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let ListSettings { matching, action, single_labels, .. } = *settings;
    let mut reader = ListReader::new(Dialect { matching, action, single_labels });
    each_line(file, &mut |line| reader.line(line, &mut |rule| builder.add(list, &rule)))?;
    Ok((reader.into_tally(), stamp))
}
