//! Lists without a server: for `cairn check`, and for `cairn list which` where none runs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use super::assemble::{Assembled, Wish, assemble};
use super::other_rules::{Hosted, OtherRules};
use super::source::Source;
use super::which::{self, Asked};
use crate::config::{ListSettings, ListSource, Problem, Settings};
use crate::env::{Clock, Random, RealClock, TimeZone};
use crate::policy::{Lists, LocalData, ResponsePolicies, Tally, Views};
use crate::record::{Name, Rtype};
use crate::server::fetch::tls_from_files;
use crate::server::load::{Configuration, Sources, StartOptions, configuration, time_zone, with_local_records, zone_files};
use crate::server::state;
use crate::server::views::moment_at;

/// One list as `cairn check` reads it.
pub struct CheckedList<'s> {
    pub list: &'s ListSettings,
    /// What became of its lines, or what is wrong; `None`: it is fetched by the server that runs.
    pub read: Result<Option<Tally>, Problem>,
}

/// Reads each list that is a file, and the certificates for those that are fetched. Nothing is fetched.
pub fn check_lists(sources: &Sources) -> Vec<CheckedList<'_>> {
    let config = sources.config_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let tls = tls_from_files(Arc::new(RealClock));
    let check = |list: &'_ ListSettings| match (&list.source, &list.ca) {
        (Some(ListSource::File(_)), _) => Source::open(list, None)
            .and_then(|mut source| source.read(list, &mut |_| {}))
            .map(Some)
            .map_err(|what| Problem::at(&config, &list.source_mark, format!("list.source of {}: {what}", list.name()))),
        (_, Some(ca)) => tls(Some(ca))
            .map(|_| None)
            .map_err(|what| Problem::at(&config, &list.ca_mark, format!("list.ca of {} cannot be used: {what}", list.name()))),
        _ => Ok(None),
    };
    let checked = |list| CheckedList { list, read: check(list) };
    sources.settings.lists.iter().map(checked).collect()
}

/// What the lists of the configuration say of a name and a type, or of both types of addresses; `at`: where the client asks, if that is
/// known. Rules of response policy zones are not read.
pub fn which_list(
    name: &Name,
    rtype: Option<Rtype>,
    client: Option<IpAddr>,
    at: Option<SocketAddr>,
    options: &StartOptions,
) -> Result<Value, Vec<Problem>> {
    let configuration = configuration(options)?;
    let zones = hosted(&configuration, options);
    let settings = with_local_records(configuration)?;
    let (views, local_data) = (Views::new(&settings), LocalData::new(&settings.policy.local_records));
    let moment = moment_at(RealClock.wall(), &time_zone().unwrap_or(TimeZone::UTC));
    let policies = settings.rpz.is_empty().then(ResponsePolicies::default);
    let others = OtherRules { hosted: Hosted::Configured(&zones), local_data: &local_data, policies: policies.as_ref() };
    let asked = Asked { rtype, views: &views, moment: &moment, client, at, others: &others };
    let Settings { lists, server, .. } = settings;
    let state_folder = state::place(&server);
    let told = |what: String| vec![Problem::of_file("lists", what)];
    let random = Random::from_system().map_err(|error| told(format!("no randomness from the system: {error}")))?;
    let key = [random.u64(), random.u64()];
    let assembled = assemble(&lists, &[], &Lists::default(), key, state_folder.as_deref(), &|_| Wish::default()).map_err(told)?;
    let Assembled { lists, states, .. } = assembled;
    Ok(which::which(name, &asked, &lists, &states, state_folder.as_deref()))
}

/// The names of the zones that this server would answer from.
fn hosted(configuration: &Configuration, options: &StartOptions) -> Vec<Name> {
    let configured = &configuration.settings.zones;
    let of_files = zone_files(configuration, options).files.into_iter().map(|file| file.name);
    let is_served = |name: &Name| !configured.iter().any(|zone| zone.is_policy && zone.name == *name);
    configured.iter().map(|zone| zone.name.clone()).chain(of_files).filter(is_served).collect()
}
