//! One check of one secondary zone: its primaries are asked in turn, and what is new is put in force.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tracing::warn;

use super::copies;
use super::primary::{self, Fetched, Primary};
use super::turns::Turns;
use super::versions::{Origin, Versions};
use crate::answer::Service;
use crate::authority::{Timers, read_catalog};
use crate::config::AddressEntry;
use crate::env::{Net, Random};
use crate::limits::server::{CATALOG_BYTES_MAX, CATALOG_MEMBERS_MAX, TRANSFERRED_ZONE_BYTES_MAX};
use crate::record::Name;
use crate::server::priority;
use crate::zone::{Zone, ZoneWithoutData};

/// What a check has found out.
pub(super) struct Checked {
    /// Index of the primary.
    pub(super) primary: usize,
    pub(super) timers: Timers,
    /// `None`: what is held is right.
    pub(super) new: Option<Arc<Zone>>,
    /// Of the other primaries.
    pub(super) errors: Vec<String>,
}

/// One check of one zone: primaries are asked in turn until one gives an answer that can be used.
pub(super) struct Check {
    pub(super) service: Arc<Service>,
    pub(super) versions: Arc<Versions>,
    pub(super) zone: Name,
    pub(super) primaries: Vec<AddressEntry>,
    pub(super) first: usize,
    pub(super) held: Option<Arc<Zone>>,
    pub(super) path: Option<PathBuf>,
    pub(super) is_forced: bool,
    pub(super) has_expired: bool,
    pub(super) is_catalog: bool,
}

impl Check {
    pub(super) async fn run(&self, net: &dyn Net, random: &Random, turns: &Turns, incoming: &Cell<usize>) -> Result<Checked, String> {
        let mut errors = Vec::new();
        for offset in 0..self.primaries.len() {
            let at = (self.first + offset) % self.primaries.len();
            let Some(entry) = self.primaries.get(at) else { continue };
            let _turn = match entry.host() {
                Some(server) => turns.with(server.ip()).await,
                None => None,
            };
            match self.ask(entry, net, random, incoming).await {
                Ok((timers, new)) => return Ok(Checked { primary: at, timers, new, errors }),
                Err(why) => errors.push(format!("{entry}: {why}")),
            }
        }
        Err(errors.join("; "))
    }

    async fn ask(
        &self,
        entry: &AddressEntry,
        net: &dyn Net,
        random: &Random,
        incoming: &Cell<usize>,
    ) -> Result<(Timers, Option<Arc<Zone>>), String> {
        let server = entry.host().ok_or_else(|| "it has no address".to_owned())?;
        let keyring = &self.service.snapshot().keyring;
        let key = match &entry.key {
            Some(name) => Some(keyring.get(name).cloned().ok_or_else(|| format!("the key {name} has no secret"))?),
            None => None,
        };
        let clock = &*self.service.resolve.clock;
        let (zone, takes_older) = (&self.zone, self.has_expired);
        let octets_max = if self.is_catalog { CATALOG_BYTES_MAX } else { TRANSFERRED_ZONE_BYTES_MAX };
        let primary = Primary { net, random, clock, zone, server, key, takes_older, octets_max, incoming };
        let mut fetched = primary.fetch(self.held.as_ref(), self.is_forced).await?;
        loop {
            let arrived = match fetched {
                Fetched::UpToDate(timers) => return Ok((timers, None)),
                Fetched::Arrived(arrived) => arrived,
            };
            let is_incremental = matches!(arrived, primary::Arrived::Changes(_));
            match self.put_in_force(arrived).await {
                Ok(new) => return Ok((timers_of(&new).ok_or_else(|| "its SOA is malformed".to_owned())?, Some(new))),
                // Changes whose records make no zone together: the whole zone may be a good one.
                Err(_) if is_incremental => fetched = primary.fetch(None, true).await?,
                Err(why) => return Err(why),
            }
        }
    }

    /// Makes the zone, serves it, and keeps it for the next start; on a thread that may be slow.
    async fn put_in_force(&self, arrived: primary::Arrived) -> Result<Arc<Zone>, String> {
        let (service, versions, path, is_catalog) = (self.service.clone(), self.versions.clone(), self.path.clone(), self.is_catalog);
        let done = spawn_blocking(move || {
            let _ = priority::give_way();
            let zone = Arc::new(arrived.finish()?);
            // RFC 9432 5.1: a broken catalog is not processed; a restart must find the members of the last good one.
            if is_catalog && let Err(broken) = read_catalog(&zone, CATALOG_MEMBERS_MAX) {
                return Err(format!("serial {}: {broken}", zone.serial()));
            }
            install(&service, &versions, &zone);
            if let Some(path) = path
                && let Err(error) = copies::write(&path, &zone, service.resolve.clock.wall())
            {
                warn!("zone {}: its copy cannot be kept: {}: {error}", zone.apex(), path.display());
            }
            Ok(zone)
        });
        done.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

pub(super) fn timers_of(zone: &Zone) -> Option<Timers> {
    Timers::of_soa(zone.soa().rdatas().next()?)
}

/// Serves the zone, if the configuration still has it as a secondary.
pub(super) fn install(service: &Service, versions: &Versions, zone: &Arc<Zone>) {
    let mut changing = versions.change();
    if is_secondary(service, zone.apex()) {
        let version = changing.next(zone.clone(), Origin::Transfer);
        changing.serve(service, |zones| zones.with(version));
    }
}

/// Answers names of the zone with SERVFAIL.
pub(super) fn withdraw(service: &Service, versions: &Versions, zone: &Name) {
    let mut changing = versions.change();
    if is_secondary(service, zone) {
        let why = "the copy of the zone has expired: no primary has answered for as long as its SOA allows".to_owned();
        let missing = ZoneWithoutData { apex: zone.clone(), why };
        changing.forget(zone);
        changing.serve(service, |zones| zones.without(zone.as_wire()).with_missing([missing]));
    }
}

pub(super) fn is_secondary(service: &Service, zone: &Name) -> bool {
    service.snapshot().zone_rules(zone).is_some_and(|rules| !rules.primaries.is_empty())
}
