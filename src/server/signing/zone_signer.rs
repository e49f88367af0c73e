//! One zone that is signed here: from the data that its file or an update says, to the version that is served.
//!
//! The served serial is that of the data where this is newer than the last one served; else the last one plus one. It is on
//! disk before the version is served, so that no restart brings two versions with one serial. The signed version is kept on
//! disk too: a restart serves it again, signatures and serial included, as long as it says what the data says.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};

use super::super::hosting::{read_copy, write_copy};
use super::key_store::{KeyStore, Saved};
use crate::authority::signing::{
    Algorithm, DsRdata, KeySet, KeyState, KeyUse, Part, Policy, Role, Roll, SigningKey, Task, Timing, sign_zone,
};
use crate::env::WallTime;
use crate::limits::zone::{CLOCK_BEHIND_S_MAX, DS_TTL_LEAST_S, PARENT_PROPAGATION_S, PROPAGATION_S_LIMITS, SIGN_AGAIN_S, SIGN_TOGETHER_S};
use crate::record::{Name, Rtype};
use crate::validate::Date;
use crate::zone::{Zone, have_same_data, is_newer};

/// How the zone is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct How {
    pub(super) algorithm: Algorithm,
    pub(super) nsec3: bool,
}

/// What decides how a version is signed, besides its data and the time.
#[derive(PartialEq)]
struct SignedBy {
    how: How,
    ends: bool,
    /// Tag, algorithm and part of each key.
    parts: Vec<(u16, u8, Part)>,
}

pub(super) struct ZoneSigner {
    pub(super) zone: Name,
    pub(super) how: How,
    /// `None`: there is no folder for state.
    store: Option<KeyStore>,
    copy_path: Option<PathBuf>,
    keys: Vec<SigningKey>,
    pub(super) saved: Saved,
    are_keys_read: bool,
    /// The version in force, and what it was made of.
    pub(super) served: Option<Arc<Zone>>,
    data: Option<Arc<Zone>>,
    /// By what `served` was signed.
    signed_by: Option<SignedBy>,
    refresh_at: u64,
    pub(super) problem: Option<String>,
    /// When the parent was asked last.
    pub(super) asked_parent: Option<u64>,
    /// When the parent's wish to be told of CDS records was looked up last.
    pub(super) asked_dsync: Option<u64>,
    /// When the parent's DS set was seen last, and its tags.
    pub(super) parent: Option<(u64, Vec<u16>)>,
}

impl ZoneSigner {
    pub(super) fn new(zone: Name, how: How, store: Option<KeyStore>, copy_path: Option<PathBuf>) -> ZoneSigner {
        ZoneSigner {
            zone,
            how,
            store,
            copy_path,
            keys: Vec::new(),
            saved: Saved::default(),
            are_keys_read: false,
            served: None,
            data: None,
            signed_by: None,
            refresh_at: 0,
            problem: None,
            asked_parent: None,
            asked_dsync: None,
            parent: None,
        }
    }

    /// Keys that somebody has put into the folder are looked for before the next version is made.
    pub(super) fn look_for_keys(&mut self) {
        self.are_keys_read = false;
    }

    /// The version to serve of this data. Where it cannot be signed, the signed version before stays.
    pub(super) fn next(&mut self, data: &Arc<Zone>, now: WallTime) -> Arc<Zone> {
        let are_read = self.read_keys(now.0);
        let before = self.saved.clone();
        match are_read.and_then(|()| self.signed(data, now.0)) {
            Ok(version) => {
                self.problem = None;
                version
            }
            Err(why) => {
                // No key has moved on where no version shows it.
                self.saved = before;
                self.refresh_at = now.0 + SIGN_AGAIN_S;
                let version = self.served.clone().or_else(|| self.copy());
                let kept = if version.is_some() { "the version before stays in force" } else { "it is served unsigned" };
                if self.problem.as_ref() != Some(&why) {
                    tracing::error!("zone {} is not signed, {kept}: {why}", self.zone);
                }
                self.problem = Some(why);
                version.unwrap_or_else(|| data.clone())
            }
        }
    }

    fn signed(&mut self, data: &Arc<Zone>, now: u64) -> Result<Arc<Zone>, String> {
        if now + CLOCK_BEHIND_S_MAX < self.saved.signed_at {
            // Signatures of a clock that is far behind, as of a machine that starts without one, would be expired for everybody.
            return Err(format!(
                "the clock says {}, and the last version was signed {}: set the clock",
                Date(now),
                Date(self.saved.signed_at)
            ));
        }
        self.note_ttl(data, now);
        let last = self.saved.serial;
        // The first version of this run: that of the last run, if it still says the same.
        let mut before = self.served.clone().or_else(|| self.copy());
        if before.as_ref().map(|zone| zone.serial()) != last {
            // Nobody may have seen the last version: its waits begin now.
            self.saved.keys.wait_again(now);
        }
        let known = self.known_keys();
        if self.saved.keys.advance(&self.timing(data), now) {
            let present = self.known_keys();
            self.saved.removed.extend(known.into_iter().filter(|key| !present.contains(key)));
            self.tell_stages();
        }
        let parts = self.parts();
        let is_due = now >= self.refresh_at;
        let signed_by = SignedBy {
            how: self.how,
            ends: self.saved.is_ending,
            parts: parts.iter().map(|(key, part)| (key.tag, key.algorithm.number(), *part)).collect(),
        };
        let is_same = self.data.as_ref().is_some_and(|held| Arc::ptr_eq(held, data) || have_same_data(held, data));
        if let Some(served) = &self.served
            && is_same
            && !is_due
            && self.signed_by.as_ref() == Some(&signed_by)
        {
            return Ok(served.clone());
        }
        let serial = match last {
            Some(last) if !is_newer(data.serial(), last) => last.wrapping_add(1),
            _ => data.serial(),
        };
        let uses: Vec<KeyUse<'_>> = parts.iter().map(|(key, part)| use_of(key, *part)).collect();
        let policy = Policy { nsec3: self.how.nsec3, ends: self.saved.is_ending, ..Policy::default() };
        let sign = |before: Option<&Zone>, serial: u32, refresh_until: u64| {
            let task = Task { unsigned: data, before, serial, keys: &uses, policy, now, refresh_until };
            sign_zone(&task).map_err(|error| error.to_string())
        };
        if self.served.is_none()
            && let Some(copy) = before.clone().filter(|copy| Some(copy.serial()) == last && !is_newer(data.serial(), copy.serial()))
        {
            let again = sign(Some(&copy), copy.serial(), now)?;
            if have_same_data(&again.zone, &copy) {
                self.refresh_at = again.refresh_at;
                return Ok(self.put(copy, data, signed_by));
            }
            before = Some(Arc::new(again.zone));
        }
        let refresh_until = if is_due { now + SIGN_TOGETHER_S } else { now };
        let signed = sign(before.as_deref(), serial, refresh_until)?;
        (self.saved.serial, self.saved.signed_at) = (Some(serial), now);
        self.save()?;
        self.refresh_at = signed.refresh_at;
        let (made, kept) = (signed.made_count, signed.kept_count);
        info!("zone {}: serial {serial} signed, {made} signatures made and {kept} kept", self.zone);
        let version = self.put(Arc::new(signed.zone), data, signed_by);
        self.keep_copy(&version, now);
        Ok(version)
    }

    fn put(&mut self, version: Arc<Zone>, data: &Arc<Zone>, signed_by: SignedBy) -> Arc<Zone> {
        (self.served, self.data, self.signed_by) = (Some(version.clone()), Some(data.clone()), Some(signed_by));
        version
    }

    fn copy(&self) -> Option<Arc<Zone>> {
        match read_copy(self.copy_path.as_ref()?, &self.zone) {
            Ok(copy) => copy.map(|(zone, _)| Arc::new(zone)),
            Err(why) => {
                warn!("zone {}: its signed version of the last run is not used: {why}", self.zone);
                None
            }
        }
    }

    fn keep_copy(&self, version: &Zone, now: u64) {
        if let Some(path) = &self.copy_path
            && let Err(error) = write_copy(path, version, WallTime(now))
        {
            warn!("zone {}: its signed version is not kept, a restart makes another one: {}: {error}", self.zone, path.display());
        }
    }

    /// Reads the keys, takes in those that are new, and makes the first one.
    fn read_keys(&mut self, now: u64) -> Result<(), String> {
        if self.are_keys_read {
            return Ok(());
        }
        let store = self.store.as_ref().ok_or("there is no folder to keep keys in: set `state-dir` in [server]")?;
        let saved = store.saved()?;
        let mut state = saved.clone().unwrap_or_default();
        let mut keys = store.keys()?;
        keys.retain(|key| !state.removed.contains(&(key.tag, key.algorithm.number())));
        for known in &state.keys.keys {
            if !keys.iter().any(|key| is_of(key, known)) {
                let (tag, folder) = (known.tag, store.folder().display());
                return Err(format!("the private key {tag} has gone from {folder}: put it back, from a backup"));
            }
        }
        let (has_entry, has_plain) = (keys.iter().any(|key| key.flags() & 1 != 0), keys.iter().any(|key| key.flags() & 1 == 0));
        let known: Vec<(u16, u8)> = state.keys.keys.iter().map(|key| (key.tag, key.algorithm)).collect();
        for key in keys.iter().filter(|key| !known.contains(&(key.tag, key.algorithm.number()))) {
            if keys.iter().filter(|other| (other.tag, other.algorithm) == (key.tag, key.algorithm)).count() > 1 {
                return Err(format!("two keys in {} have the tag {}: take one of them away", store.folder().display(), key.tag));
            }
            let role = match (has_entry, has_plain) {
                (true, true) if key.flags() & 1 != 0 => Role::Ksk,
                (true, true) => Role::Zsk,
                _ => Role::Csk,
            };
            info!("zone {}: key {} ({}, {role}) is taken over from {}", self.zone, key.tag, key.algorithm, store.folder().display());
            state.keys.adopt(key.tag, key.algorithm, role, now);
        }
        if state.keys.keys.is_empty() {
            let key = store.make(self.how.algorithm, Role::Csk.flags(), &[])?;
            info!("zone {}: key {} ({}) is made, in {}", self.zone, key.tag, key.algorithm, store.folder().display());
            state.keys = KeySet::first(&[(key.tag, key.algorithm, Role::Csk)], now);
            keys.push(key);
        }
        if saved.as_ref() != Some(&state) {
            store.save(&state)?;
        }
        (self.keys, self.saved, self.are_keys_read) = (keys, state, true);
        Ok(())
    }

    fn known_keys(&self) -> Vec<(u16, u8)> {
        self.saved.keys.keys.iter().map(|key| (key.tag, key.algorithm)).collect()
    }

    fn parts(&self) -> Vec<(&SigningKey, Part)> {
        let of = |state: &KeyState| Some((self.keys.iter().find(|key| is_of(key, state))?, self.saved.keys.part(state)));
        self.saved.keys.keys.iter().filter_map(of).collect()
    }

    fn note_ttl(&mut self, data: &Zone, now: u64) {
        let longest = |zone: &Zone| zone.sets().map(|(_, set)| set.ttl).max().unwrap_or(0).max(Policy::default().key_ttl_s);
        // The one that goes has been in force until now.
        if let Some(served) = self.served.as_ref().filter(|_| self.data.as_ref().is_none_or(|held| !std::ptr::eq(&**held, data))) {
            let before = longest(served);
            self.saved.longest_ttl.note(before, now);
        }
        self.saved.longest_ttl.note(longest(data), now);
    }

    /// How long what may be in caches.
    fn timing(&self, data: &Zone) -> Timing {
        let refresh = data
            .soa()
            .rdatas()
            .next()
            .and_then(|soa| soa.last_chunk::<20>())
            .map_or(0, |numbers| u32::from_be_bytes([numbers[4], numbers[5], numbers[6], numbers[7]]));
        Timing {
            key_ttl_s: Policy::default().key_ttl_s,
            data_ttl_s: self.saved.longest_ttl.ttl_s(),
            propagation_s: refresh.clamp(*PROPAGATION_S_LIMITS.start(), *PROPAGATION_S_LIMITS.end()),
            ds_ttl_s: self.saved.ds_ttl_s.max(DS_TTL_LEAST_S),
            parent_propagation_s: PARENT_PROPAGATION_S,
        }
    }

    pub(super) fn timing_now(&self) -> Option<Timing> {
        self.data.as_deref().map(|data| self.timing(data))
    }

    /// When there is something to do; never for a zone without data.
    pub(super) fn due_at(&self) -> u64 {
        if self.data.is_none() && self.problem.is_none() {
            return u64::MAX;
        }
        let wake = self.timing_now().and_then(|timing| self.saved.keys.wake_at(&timing));
        wake.map_or(self.refresh_at, |wake| wake.min(self.refresh_at))
    }

    pub(super) fn refresh_at(&self) -> u64 {
        self.refresh_at
    }

    pub(super) fn file_serial(&self) -> Option<u32> {
        self.data.as_deref().map(Zone::serial)
    }

    /// The keys that the parent is to name, with their DS records.
    pub(super) fn ds_records(&self) -> Vec<(u16, Vec<u8>)> {
        let of = |state: &KeyState| self.keys.iter().find(|key| is_of(key, state)).map(|key| (key.tag, key.ds(&self.zone)));
        self.saved.keys.for_parent().filter_map(of).collect()
    }

    /// What the parent's servers say of the zone's DS set.
    pub(super) fn parent_has(&mut self, ds_set: &[DsRdata], ttl_s: u32, now: u64) {
        let keys: Vec<(u16, u8, Vec<u8>)> = self.keys.iter().map(|key| (key.tag, key.algorithm.number(), key.ds(&self.zone))).collect();
        let is_ds_of = |ds: &DsRdata, state: &KeyState| {
            let Some(([high, low, algorithm, digest_type], _)) = ds.split_first_chunk::<4>() else { return false };
            let is_named = (u16::from_be_bytes([*high, *low]), *algorithm) == (state.tag, state.algorithm);
            // Another hash of ours is taken on trust: it was made from CDNSKEY.
            let own = keys.iter().find(|(tag, algorithm, _)| (*tag, *algorithm) == (state.tag, state.algorithm));
            is_named && (*digest_type != 2 || own.is_some_and(|(_, _, own)| own == ds))
        };
        self.asked_parent = Some(now);
        let before = self.saved.clone();
        self.saved.ds_ttl_s = self.saved.ds_ttl_s.max(ttl_s);
        self.saved.keys.parent_has(ds_set, is_ds_of, now);
        let is_gone = self.saved.is_ending && ds_set.is_empty();
        self.saved.ds_gone_at = if is_gone { self.saved.ds_gone_at.or(Some(now)) } else { None };
        let tag = |ds: &DsRdata| ds.first_chunk::<2>().map(|tag| u16::from_be_bytes(*tag));
        self.parent = Some((now, ds_set.iter().filter_map(tag).collect()));
        if before != self.saved
            && let Err(why) = self.save()
        {
            warn!("zone {}: {why}", self.zone);
        }
    }

    /// Begins a roll; the lines say what comes.
    pub(super) fn roll(&mut self, roll: Roll, now: u64) -> Result<Vec<String>, String> {
        if self.saved.is_ending {
            return Err(format!("signing is being ended: `cairn zone sign resume {}` takes that back", self.zone));
        }
        let plan = self.saved.keys.plan(roll)?;
        let store = self.store.as_ref().ok_or("there is no folder to keep keys in: set `state-dir` in [server]")?;
        let mut tags: Vec<u16> = self.keys.iter().map(|key| key.tag).chain(self.saved.removed.iter().map(|(tag, _)| *tag)).collect();
        let mut made = Vec::new();
        for (algorithm, role) in plan {
            let key = store.make(algorithm, role.flags(), &tags)?;
            tags.push(key.tag);
            made.push((key.tag, algorithm, role));
            self.keys.push(key);
        }
        self.saved.keys.begin(roll, &made, now);
        self.save()?;
        Ok(made.iter().map(|(tag, algorithm, role)| format!("key {tag} ({algorithm}, {role}) is made")).collect())
    }

    /// Asks the parent to take the DS set away, or no longer.
    pub(super) fn end(&mut self, is_ending: bool) -> Result<Vec<String>, String> {
        let zone = &self.zone;
        if self.saved.is_ending == is_ending {
            return Err(format!("{zone} is {} already", if is_ending { "on its way to being unsigned" } else { "to stay signed" }));
        }
        (self.saved.is_ending, self.saved.ds_gone_at) = (is_ending, None);
        self.save()?;
        Ok(vec![match is_ending {
            true => format!(
                "CDS and CDNSKEY of {zone} ask the parent to take the DS record away; where it does not read them, have it removed at the registrar"
            ),
            false => format!("CDS and CDNSKEY of {zone} ask the parent for its DS record again"),
        }])
    }

    /// While signing ends: from when on the zone may be served unsigned. Caches may have the DS set for as long as its TTL says.
    pub(super) fn over_at(&self) -> Option<u64> {
        let ttl_s = self.saved.ds_ttl_s.max(DS_TTL_LEAST_S) + PARENT_PROPAGATION_S;
        Some(self.saved.ds_gone_at? + u64::from(ttl_s))
    }

    /// The CDS set in force, if the parent was not told of it.
    pub(super) fn untold_cds(&self) -> Option<Vec<Vec<u8>>> {
        let set = self.served.as_ref()?.apex_set(Rtype::CDS)?;
        let mut data: Vec<Vec<u8>> = set.data.iter().map(<[u8]>::to_vec).collect();
        data.sort();
        (data != self.saved.told_cds).then_some(data)
    }

    pub(super) fn parent_was_told(&mut self, cds: Vec<Vec<u8>>) {
        self.saved.told_cds = cds;
        if let Err(why) = self.save() {
            warn!("zone {}: {why}", self.zone);
        }
    }

    fn save(&self) -> Result<(), String> {
        self.store.as_ref().map_or(Ok(()), |store| store.save(&self.saved))
    }

    fn tell_stages(&self) {
        let stages: Vec<String> = self.saved.keys.keys.iter().map(|key| format!("{} {}", key.tag, key.stage.word())).collect();
        info!("zone {}: keys: {}", self.zone, stages.join(", "));
    }
}

fn use_of(key: &SigningKey, part: Part) -> KeyUse<'_> {
    let Part { is_published, signs_keys, signs_data, is_for_parent } = part;
    KeyUse { key, is_published, signs_keys, signs_data, is_for_parent }
}

fn is_of(key: &SigningKey, state: &KeyState) -> bool {
    (key.tag, key.algorithm.number()) == (state.tag, state.algorithm)
}
