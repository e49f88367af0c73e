//! Lists without a server: for `cairn check`, and for `cairn list which` where none runs.

use std::net::IpAddr;

use serde_json::Value;

use super::assemble::{Assembled, assemble};
use super::source::Source;
use super::which::{self, Asked};
use crate::config::{ListSettings, ListSource, Problem, Settings};
use crate::env::{Clock, Random, RealClock, TimeZone};
use crate::policy::{Lists, Tally, Views};
use crate::record::Name;
use crate::server::load::{Configuration, Sources, StartOptions, configuration, time_zone};
use crate::server::state;
use crate::server::views::moment_at;

/// One list as `cairn check` reads it.
pub struct CheckedList<'s> {
    pub list: &'s ListSettings,
    /// What became of its lines, or what is wrong.
    pub read: Result<Tally, Problem>,
}

/// Reads each list that is a file.
pub fn check_lists(sources: &Sources) -> Vec<CheckedList<'_>> {
    let config = sources.config_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let is_file = |list: &&ListSettings| matches!(list.source, Some(ListSource::File(_)));
    let check = |list| {
        let read = Source::open(list, None).and_then(|mut source| source.read(list, &mut |_| {}));
        let told = |what| Problem::at(&config, &list.source_mark, format!("list.source of {}: {what}", list.name()));
        CheckedList { list, read: read.map_err(told) }
    };
    sources.settings.lists.iter().filter(is_file).map(check).collect()
}

/// What the lists of the configuration say of a name.
pub fn which_list(name: &Name, client: Option<IpAddr>, options: &StartOptions) -> Result<Value, Vec<Problem>> {
    let Configuration { settings, .. } = configuration(options)?;
    let views = Views::new(&settings);
    let moment = moment_at(RealClock.wall(), &time_zone().unwrap_or(TimeZone::UTC));
    let asked = Asked { views: &views, moment: &moment, client };
    let Settings { lists, server, .. } = settings;
    let state_folder = state::place(&server);
    let told = |what: String| vec![Problem::of_file("lists", what)];
    let random = Random::from_system().map_err(|error| told(format!("no randomness from the system: {error}")))?;
    let key = [random.u64(), random.u64()];
    let assembled = assemble(&lists, &[], &Lists::default(), key, state_folder.as_deref(), true).map_err(told)?;
    let Assembled { lists, states } = assembled;
    Ok(which::which(name, &asked, &lists, &states, state_folder.as_deref()))
}
