//! What a server gives up before it serves: it becomes its user, keeps its folders, and enters the sandbox.
//!
//! Runs after the sockets are bound and all files are read, and before the first thread is started.

use std::fs::File;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use super::fetch;
use super::load::{DEFAULT_CONFIG, DEFAULT_ZONES, Sources};
use super::system::{self, InForce, Paths, ServeAs};
use crate::config::{ListSource, Settings};
use crate::limits::server::START_WARNINGS_MAX;

/// What holds from now on. `folders` are those that the server goes on to write to, for its state and its control socket;
/// `given` becomes the property of its user.
pub(super) fn confine(serve_as: &ServeAs, sources: &Sources, folders: &[&Path], given: &[&Path]) -> Result<InForce, String> {
    if let Some(why) = &serve_as.stays_root {
        warn!("serving as root: {why}");
    }
    for path in given {
        serve_as.give(path).map_err(|error| format!("{} cannot be given to the user: {error}", path.display()))?;
    }
    let paths = paths(sources, folders);
    let in_force = match system::enter(serve_as.account.as_ref(), sources.settings.server.sandbox, &paths) {
        Err(error) if serve_as.is_asked_for => return Err(format!("server.user: {error}")),
        Err(error) => {
            warn!(%error, "serving as root");
            system::enter(None, sources.settings.server.sandbox, &paths).map_err(|error| error.to_string())?
        }
        Ok(in_force) => in_force,
    };
    info!("privileges: {in_force}");
    for missing in &in_force.missing {
        info!("not in force: {missing}");
    }
    for file in out_of_reach(sources) {
        warn!("{} can no longer be read, so that a reload will fail: let the user that Cairn serves as read it", file.display());
    }
    Ok(in_force)
}

/// The configuration file, and the files other than zones that it names.
fn named(sources: &Sources) -> [Option<&Path>; 4] {
    let Settings { recursion, policy, .. } = &sources.settings;
    [sources.config_file.as_deref(), recursion.root_hints.as_deref(), recursion.trust_anchor.as_deref(), policy.hosts_file.as_deref()]
}

/// Lists, and the CA certificates of those that are fetched.
fn list_files(sources: &Sources) -> impl Iterator<Item = &Path> {
    let files = sources.settings.lists.iter().filter_map(|list| match &list.source {
        Some(ListSource::File(path)) => Some(path.as_path()),
        _ => None,
    });
    files.chain(sources.settings.lists.iter().filter_map(|list| list.ca.as_deref()))
}

fn certificate_files(sources: &Sources) -> impl Iterator<Item = &Path> {
    let tls = &sources.settings.tls;
    [tls.certificate.as_deref(), tls.key.as_deref()].into_iter().flatten()
}

/// Files of the start that the user of the server may not read, or that are below a folder which it may not enter.
fn out_of_reach(sources: &Sources) -> Vec<&Path> {
    let zones = sources.zones.iter().map(|zone| zone.file.path.as_path());
    let authorities = sources.settings.forwards.iter().filter_map(|route| route.ca.as_deref());
    let included = sources.included.iter().map(PathBuf::as_path).chain(certificate_files(sources)).chain(authorities);
    // A reload fails no more than the start for a file that could not be read then; and a pipe must not be opened.
    let was_read = |file: &&Path| !sources.unusable_files.iter().any(|problem| Path::new(&problem.file) == *file);
    let all = named(sources).into_iter().flatten().filter(was_read).chain(zones).chain(included);
    all.filter(|file| File::open(file).is_err()).take(START_WARNINGS_MAX).collect()
}

/// Folders, and not files, because a file that is replaced is another one for the kernel.
fn paths(sources: &Sources, folders: &[&Path]) -> Paths {
    let parent = |file: &Path| file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let mut read: Vec<PathBuf> = named(sources).into_iter().flatten().chain([Path::new(DEFAULT_CONFIG)]).map(parent).collect();
    let mut write: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    // For the names of functions in the report of a panic.
    read.extend(std::env::current_exe());
    // Full ones are renamed.
    write.extend(sources.settings.query_log.path().map(parent));
    write.extend([Some(PathBuf::from(DEFAULT_ZONES)), sources.zone_folder.clone()].into_iter().flatten());
    write.extend(sources.zones.iter().map(|zone| parent(&zone.file.path)));
    write.extend(sources.broken_zones.iter().map(|zone| parent(&zone.path)));
    write.extend(sources.settings.zones.iter().filter(|zone| zone.is_secondary()).filter_map(|zone| zone.file.as_deref()).map(parent));
    read.extend(sources.settings.keys.iter().filter_map(|key| key.secret_file.as_deref()).map(parent));
    read.extend(list_files(sources).map(parent));
    read.extend(sources.settings.forwards.iter().filter_map(|route| route.ca.as_deref()).map(parent));
    read.extend(fetch::ca_paths());
    for file in certificate_files(sources) {
        read.push(parent(file));
        // Clients of certificate authorities keep the files elsewhere and turn a link at each renewal.
        read.extend(file.canonicalize().ok().map(|real| parent(&real)));
    }
    read.extend(sources.included.iter().map(|file| parent(file)));
    for list in [&mut read, &mut write] {
        list.sort_unstable();
        list.dedup();
    }
    Paths { read, write }
}
