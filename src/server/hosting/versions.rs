//! The one place where the data of a hosted zone changes.
//!
//! ```text
//! file read (start, reload, command) ─┐
//! UPDATE ─────────────────────────────┼─► `next`: data ─► the version to serve ─► `serve`, or a whole reload
//! transfer from a primary ────────────┤
//! signatures to be replaced ──────────┘
//! ```
//!
//! The data of a zone is what its file and its journal, or its primary, say. The version that is served is the data itself, or, for
//! a zone with `dnssec = true`, the signed zone that `signing` makes of it. In place of an ALIAS record stand the addresses of its
//! target (`aliases.rs`). Changes happen one after the other: whoever makes one holds [`Changing`] from looking at the present version
//! until the next one is in force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::warn;

use super::aliases::Aliases;
use super::copies;
use super::disk::Disk;
use super::journaled::Journaled;
use super::shown::{PrimaryShown, Shown};
use crate::answer::{Retired, Service};
use crate::authority::Histories;
use crate::authority::signing::{Signals, with_signals};
use crate::config::ZoneSettings;
use crate::record::Name;
use crate::server::signing::Signing;
use crate::server::{pages, priority};
use crate::zone::{Zone, ZoneWithoutData, Zones};

/// How soon after its last use replaced data is freed.
const RETIRE_CHECK_EVERY: Duration = Duration::from_millis(100);
/// Journals, in the state folder.
const FOLDER: &str = "journals";

/// Where the next version of a zone comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Origin {
    File,
    Update,
    Transfer,
    /// The same data, to be signed anew.
    Signing,
    /// The same data; the target of its ALIAS record has other addresses.
    Alias,
}

/// All zones that have data, and where their journals are kept.
pub(in crate::server) struct Versions {
    held: Mutex<Held>,
    disk: Arc<dyn Disk>,
    /// The state folder.
    folder: Option<PathBuf>,
    /// `None`: this process signs nothing.
    signing: Option<Arc<Signing>>,
    pub(super) shown: Arc<Shown>,
    pub(in crate::server) aliases: Aliases,
}

#[derive(Default)]
struct Held {
    /// By apex.
    data: BTreeMap<Name, Arc<Zone>>,
    journaled: BTreeMap<Name, Journaled>,
    /// What zones that are signed here signal to their parents (RFC 9615).
    signals: BTreeMap<Name, Signals>,
    /// Zones in which other signals are to stand than they have.
    to_remake: BTreeSet<Name>,
    /// The zones of the configuration in force.
    configured: Vec<ZoneSettings>,
    /// The members of the catalogs that are followed; never one that the configuration has.
    members: Vec<ZoneSettings>,
}

/// The right to change zones. Nobody else changes one while this lives.
pub(in crate::server) struct Changing<'v> {
    held: MutexGuard<'v, Held>,
    versions: &'v Versions,
}

impl Versions {
    /// Without `signing` nothing is signed.
    pub(in crate::server) fn new(disk: Arc<dyn Disk>, folder: Option<PathBuf>, signing: Option<Arc<Signing>>) -> Versions {
        let aliases = Aliases::new(folder.as_deref());
        Versions { held: Mutex::default(), disk, folder, signing, shown: Arc::default(), aliases }
    }

    pub(in crate::server) fn change(&self) -> Changing<'_> {
        Changing { held: self.held.lock().unwrap_or_else(PoisonError::into_inner), versions: self }
    }
}

impl Changing<'_> {
    /// A configuration comes in force. Returns its zones and the members of catalogs that it follows.
    pub(in crate::server) fn configure(&mut self, configured: &[ZoneSettings]) -> Vec<ZoneSettings> {
        self.held.configured = configured.to_vec();
        let members = std::mem::take(&mut self.held.members);
        self.held.members = self.possible(members);
        [&self.held.configured[..], &self.held.members].concat()
    }

    fn possible(&self, mut members: Vec<ZoneSettings>) -> Vec<ZoneSettings> {
        let configured: BTreeMap<&Name, &ZoneSettings> = self.held.configured.iter().map(|zone| (&zone.name, zone)).collect();
        let is_followed = |catalog: &Name| configured.get(catalog).is_some_and(|zone| zone.is_consumed_catalog());
        members.retain(|member| !configured.contains_key(&member.name) && member.member_of.as_ref().is_some_and(is_followed));
        members
    }

    /// Catalogs have these members from now on. Members that come are without data, as are those that begin anew (`reset`).
    pub(super) fn serve_members(&mut self, service: &Service, members: Vec<ZoneSettings>, reset: &[Name]) {
        let members = self.possible(members);
        let names: BTreeSet<&Name> = members.iter().map(|member| &member.name).collect();
        let before = std::mem::take(&mut self.held.members);
        let gone: Vec<Name> = before.into_iter().map(|member| member.name).filter(|name| !names.contains(name)).collect();
        for name in gone.iter().chain(reset) {
            self.held.data.remove(name);
        }
        let why = || "no primary of the zone has answered yet".to_owned();
        let missing = members.iter().map(|member| ZoneWithoutData { apex: member.name.clone(), why: why() });
        let zones = service.snapshot().zones.without_all(gone.iter().chain(reset)).with_missing(missing);
        let rules = [&self.held.configured[..], &members].concat();
        self.held.members = members;
        retire(service.replace_zones_and_rules(Arc::new(zones), &rules));
    }

    /// The data of the zone as it is now, before anything was made of it.
    pub(in crate::server) fn data(&self, zone: &Name) -> Option<&Arc<Zone>> {
        self.held.data.get(zone)
    }

    /// The version to serve of new data: the data itself, or what `signing` makes of it.
    ///
    /// Whoever calls puts the returned version in force before it gives up `Changing`.
    pub(in crate::server) fn next(&mut self, data: Arc<Zone>, origin: Origin) -> Arc<Zone> {
        tracing::trace!(zone = %data.apex(), serial = data.serial(), ?origin, "next version");
        self.held.data.insert(data.apex().clone(), data.clone());
        // What a primary sends is served as it is.
        if origin == Origin::Transfer {
            return data;
        }
        let data = self.versions.aliases.next(&data, self.signs(data.apex()));
        let Some(signing) = self.versions.signing.as_deref() else { return data };
        let data = self.with_signals(data);
        let version = signing.next(data);
        self.note_signals(&version);
        version
    }

    /// The signed zone here in which the signals for this server stand.
    fn host_of(&self, server: &Name) -> Option<Name> {
        let within = (0..=server.label_count()).rev().map(|count| server.suffix(count));
        let host = within.into_iter().find(|apex| self.held.data.contains_key(apex))?;
        self.signs(&host).then_some(host)
    }

    fn with_signals(&self, data: Arc<Zone>) -> Arc<Zone> {
        let of_others = self.held.signals.values().filter(|signals| signals.zone != *data.apex());
        let all = of_others.flat_map(|signals| signals.servers.iter().map(move |server| (signals, server)));
        let mut here = all.filter(|(_, server)| self.host_of(server).as_ref() == Some(data.apex())).peekable();
        if here.peek().is_none() || !self.signs(data.apex()) {
            return data;
        }
        with_signals(&data, here).map_or(data, Arc::new)
    }

    /// Signals that have changed are put into the zones of the servers soon.
    fn note_signals(&mut self, version: &Zone) {
        let zone = version.apex();
        let new = Signals::of(version).filter(|_| self.signs(zone));
        if self.held.signals.get(zone) == new.as_ref() {
            return;
        }
        let before = match new {
            Some(new) => self.held.signals.insert(zone.clone(), new),
            None => self.held.signals.remove(zone),
        };
        let servers = before.iter().chain(self.held.signals.get(zone)).flat_map(|signals| &signals.servers);
        let hosts: Vec<Name> = servers.filter_map(|server| self.host_of(server)).filter(|host| host != zone).collect();
        self.held.to_remake.extend(hosts);
    }

    /// Zones of which a new version is to be made, because signals in them have changed.
    pub(in crate::server) fn take_remakes(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.held.to_remake)
    }

    /// The version to serve of a file that was read: where updates have changed the zone meanwhile, both changes are made.
    pub(in crate::server) fn next_of_file(&mut self, read: Arc<Zone>, path: &Path, settings: Option<&ZoneSettings>) -> Arc<Zone> {
        let data = self.merged_with_journal(read, path, settings);
        self.next(data, Origin::File)
    }

    fn merged_with_journal(&mut self, read: Arc<Zone>, path: &Path, settings: Option<&ZoneSettings>) -> Arc<Zone> {
        let name = read.apex().clone();
        let takes_updates = settings.is_some_and(|settings| !settings.update.is_empty());
        let is_transferred = settings.is_some_and(|settings| !settings.transfer.is_empty());
        let Some(folder) = &self.versions.folder else {
            if takes_updates {
                warn!("zone {name}: updates are refused, because there is no folder for its journal: set `state-dir`");
            }
            return read;
        };
        let journal = folder.join(FOLDER).join(copies::file_name(&name));
        if !takes_updates && !is_transferred && !self.held.journaled.contains_key(&name) && !journal.exists() {
            return read;
        }
        let before = self.held.data.get(&name).cloned();
        let data = match (self.held.journaled.get_mut(&name), before) {
            (Some(journaled), Some(before)) => journaled.file_was_read(read, path, takes_updates, &before),
            _ => match Journaled::load(self.versions.disk.clone(), journal, read.clone(), path, takes_updates) {
                Ok((journaled, current)) => {
                    self.held.journaled.insert(name.clone(), journaled);
                    current
                }
                Err(error) => {
                    warn!("zone {name}: its journal cannot be read, so that updates are refused and changes in it are missing: {error}");
                    read
                }
            },
        };
        self.show(&name);
        data
    }

    /// Whether this server signs the zone.
    pub(super) fn signs(&self, zone: &Name) -> bool {
        self.versions.signing.as_ref().is_some_and(|signing| signing.signs(zone))
    }

    /// The journal of a zone that has one.
    pub(super) fn journaled(&mut self, zone: &Name) -> Option<&mut Journaled> {
        self.held.journaled.get_mut(zone)
    }

    /// Zones with a journal.
    pub(super) fn journaled_zones(&self) -> Vec<Name> {
        self.held.journaled.keys().cloned().collect()
    }

    /// Tells `cairn zone list` how file and journal stand to each other.
    pub(super) fn show(&self, zone: &Name) {
        if let Some(journaled) = self.held.journaled.get(zone) {
            let shown = PrimaryShown { is_unwritten: journaled.is_unwritten, why_unwritten: journaled.why_unwritten.clone() };
            self.versions.shown.set_primary(zone, shown);
        }
    }

    /// The changes of an earlier run, for incremental transfers of zones that are served as they are.
    pub(in crate::server) fn take_histories(&mut self, is_plain: impl Fn(&Name) -> bool) -> Histories {
        let plain = self.held.journaled.iter_mut().filter(|(name, _)| is_plain(name));
        let histories = plain.map(|(name, journaled)| (name.clone(), std::mem::take(&mut journaled.history)));
        Histories::of_changes(histories)
    }

    /// The zone has no data any more.
    pub(in crate::server) fn forget(&mut self, zone: &Name) {
        self.held.data.remove(zone);
    }

    /// Only these zones are hosted from now on.
    pub(in crate::server) fn keep(&mut self, is_hosted: impl Fn(&Name) -> bool) {
        self.held.data.retain(|zone, _| is_hosted(zone));
        self.held.journaled.retain(|zone, _| is_hosted(zone));
        let gone: Vec<Signals> = self.held.signals.extract_if(.., |zone, _| !is_hosted(zone)).map(|(_, signals)| signals).collect();
        let hosts: Vec<Name> = gone.iter().flat_map(|signals| &signals.servers).filter_map(|server| self.host_of(server)).collect();
        self.held.to_remake.extend(hosts);
        self.versions.aliases.keep(&is_hosted);
        self.versions.shown.keep_primaries(is_hosted);
    }

    /// Puts changed zones in force, all in one step, as what `next` has returned.
    pub(in crate::server) fn serve(&self, service: &Service, change: impl FnOnce(&Zones) -> Zones) {
        let zones = Arc::new(change(&service.snapshot().zones));
        let retired = service.replace_zones(zones);
        retire(retired);
    }
}

/// Frees replaced data when no query uses it any more.
fn retire(retired: Retired) {
    let spawned = thread::Builder::new().name("retire".to_owned()).spawn(move || {
        let _ = priority::give_way();
        while !retired.is_unused() {
            thread::sleep(RETIRE_CHECK_EVERY);
        }
        drop(retired);
        pages::give_back_now();
    });
    if let Err(error) = spawned {
        warn!(%error, "could not start a thread for work in the background");
    }
}
