//! Signing of hosted zones in a running server: which zones, with which keys, and when again.
//!
//! Every new version of a zone's data passes `Signing::next` on its way to being served. `zone_signer.rs` is one zone,
//! `key_store.rs` its keys on disk, `tend.rs` the thread that replaces signatures before they end, moves keys on, and asks for
//! the DS sets of parents, and tells them of new CDS sets (`parent_targets.rs` says where); `shown.rs` is what `cairn zone sign status` tells.

mod key_store;
mod parent_targets;
mod shown;
mod tend;
mod zone_signer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use self::key_store::KeyStore;
pub(super) use self::tend::{Order, tend};
use self::zone_signer::{How, ZoneSigner};
use super::hosting::copy_file_name;
use crate::authority::signing::{Algorithm, DsRdata, Role, Roll};
use crate::config::{DnssecAlgorithm, ZoneSettings};
use crate::env::Clock;
use crate::record::Name;
use crate::zone::Zone;

/// The folder of signed versions, in the state folder.
const SIGNED: &str = "signed";

/// All zones that are signed here.
pub(super) struct Signing {
    clock: Arc<dyn Clock>,
    state_folder: Option<PathBuf>,
    zones: Mutex<BTreeMap<Name, ZoneSigner>>,
    /// For readers that must not wait for a zone that is being signed.
    shown: Mutex<BTreeMap<Name, Value>>,
}

impl Signing {
    pub(super) fn new(clock: Arc<dyn Clock>, state_folder: Option<PathBuf>) -> Signing {
        Signing { clock, state_folder, zones: Mutex::default(), shown: Mutex::default() }
    }

    /// A configuration is to come into force. Before its zones pass `next`.
    pub(super) fn configure(&self, settings: &[ZoneSettings]) {
        let mut zones = self.zones();
        for zone in settings.iter().filter(|zone| zone.dnssec) {
            let how = How { algorithm: algorithm(zone.dnssec_algorithm), nsec3: zone.nsec3 };
            let made = || {
                let file_name = copy_file_name(&zone.name);
                let store = self.state_folder.as_ref().map(|folder| KeyStore::new(folder, &zone.name, &file_name));
                let copy_path = self.state_folder.as_ref().map(|folder| folder.join(SIGNED).join(&file_name));
                ZoneSigner::new(zone.name.clone(), how, store, copy_path)
            };
            let signer = zones.entry(zone.name.clone()).or_insert_with(made);
            signer.how = how;
            signer.look_for_keys();
        }
        let is_signed = |name: &Name| settings.iter().any(|zone| zone.dnssec && zone.name == *name);
        zones.retain(|name, _| is_signed(name));
        self.shown().retain(|name, _| is_signed(name));
    }

    pub(super) fn signs(&self, zone: &Name) -> bool {
        self.zones().contains_key(zone)
    }

    /// The version to serve of this data; the data itself where the zone is not signed here.
    pub(super) fn next(&self, data: Arc<Zone>) -> Arc<Zone> {
        let mut zones = self.zones();
        let Some(signer) = zones.get_mut(data.apex()) else { return data };
        let version = signer.next(&data, self.clock.wall());
        self.show(signer);
        version
    }

    /// The file that keeps the version in force of a zone that is signed here.
    pub(super) fn copy_path(&self, zone: &Name) -> Option<PathBuf> {
        let folder = self.state_folder.as_ref()?.join(SIGNED);
        self.shown().contains_key(zone).then(|| folder.join(copy_file_name(zone)))
    }

    /// What `cairn zone sign status` shows of a zone; `None` where it is not signed here.
    pub(super) fn status(&self, zone: &Name) -> Option<Value> {
        self.shown().get(zone).cloned()
    }

    fn show(&self, signer: &ZoneSigner) {
        self.shown().insert(signer.zone.clone(), shown::status(signer));
    }

    /// Begins a roll. The next version of the zone shows it.
    fn roll(&self, zone: &Name, what: Option<&str>) -> Result<Vec<String>, String> {
        let mut zones = self.zones();
        let signer = zones.get_mut(zone).ok_or_else(|| not_signed(zone))?;
        if let Some(word @ ("end" | "resume")) = what {
            let lines = signer.end(word == "end")?;
            self.show(signer);
            return Ok(lines);
        }
        let roll = match what {
            Some("algorithm") => Roll::Algorithm(signer.how.algorithm),
            Some(word) => Roll::Key(Role::from_word(word).ok_or_else(|| format!("found {word}, expected ksk, zsk, csk or algorithm"))?),
            None if signer.saved.keys.keys.len() > 1 => return Err("this zone has several keys: write ksk, zsk or algorithm".to_owned()),
            None => Roll::Key(Role::Csk),
        };
        let lines = signer.roll(roll, self.clock.wall().0)?;
        self.show(signer);
        Ok(lines)
    }

    /// Zones for which something is due.
    fn due(&self, now: u64) -> Vec<Name> {
        self.zones().values().filter(|signer| signer.due_at() <= now).map(|signer| signer.zone.clone()).collect()
    }

    fn next_due(&self) -> Option<u64> {
        self.zones().values().map(ZoneSigner::due_at).min()
    }

    /// Zones whose parent is to be asked now.
    fn waiting_for_parent(&self, now: u64, every_s: u64) -> Vec<Name> {
        let is_due = |signer: &&ZoneSigner| {
            (signer.saved.keys.waits_for_parent() || signer.saved.is_ending) && signer.asked_parent.is_none_or(|at| at + every_s <= now)
        };
        self.zones().values().filter(is_due).map(|signer| signer.zone.clone()).collect()
    }

    fn parent_has(&self, zone: &Name, ds_set: &[DsRdata], ttl_s: u32, now: u64) {
        if let Some(signer) = self.zones().get_mut(zone) {
            signer.parent_has(ds_set, ttl_s, now);
            self.show(signer);
        }
    }

    /// Zones whose parent may have to be told of their CDS set (RFC 9859), not more often than this.
    fn untold(&self, now: u64, every_s: u64) -> Vec<(Name, Vec<Vec<u8>>)> {
        let mut zones = self.zones();
        let due = zones.values_mut().filter(|signer| signer.asked_dsync.is_none_or(|at| at + every_s <= now));
        let untold = due.filter_map(|signer| {
            let cds = signer.untold_cds()?;
            signer.asked_dsync = Some(now);
            Some((signer.zone.clone(), cds))
        });
        untold.collect()
    }

    fn parent_was_told(&self, zone: &Name, cds: Vec<Vec<u8>>) {
        if let Some(signer) = self.zones().get_mut(zone) {
            // The next change is told at once.
            signer.asked_dsync = None;
            signer.parent_was_told(cds);
        }
    }

    fn parent_is_silent(&self, zone: &Name, now: u64) {
        if let Some(signer) = self.zones().get_mut(zone) {
            signer.asked_parent = Some(now);
        }
    }

    fn zones(&self) -> MutexGuard<'_, BTreeMap<Name, ZoneSigner>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, BTreeMap<Name, Value>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn not_signed(zone: &Name) -> String {
    format!("{zone} is not signed here: write `dnssec = true` in its [[zone]], and reload")
}

fn algorithm(configured: DnssecAlgorithm) -> Algorithm {
    match configured {
        DnssecAlgorithm::EcdsaP256Sha256 => Algorithm::EcdsaP256Sha256,
        DnssecAlgorithm::Ed25519 => Algorithm::Ed25519,
        DnssecAlgorithm::EcdsaP384Sha384 => Algorithm::EcdsaP384Sha384,
        DnssecAlgorithm::RsaSha256 => Algorithm::RsaSha256,
    }
}

#[cfg(test)]
mod tests;
