//! ALIAS records of hosted zones: the addresses that stand for each, and the version of the zone that has them.
//!
//! The served serial is that of the data where this is newer than the last one served; else the last one plus one where the
//! addresses have changed. What is known is kept in the state folder, so that a restart serves the same at once.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::copies;
use crate::authority::{Addresses, Alias, expanded};
use crate::env::BootTime;
use crate::limits::zone::{ALIAS_FILE_BYTES_MAX, ALIAS_REFRESH_S_MIN, ALIAS_TTL_S_MAX};
use crate::record::{Name, Rtype};
use crate::server::state;
use crate::zone::{Zone, have_same_data, is_newer};

/// In the state folder.
const FOLDER: &str = "aliases";
/// The first wait after a target could not be resolved; each further one is twice as long.
const FIRST_RETRY_S: u32 = 5;

#[derive(Default)]
pub(in crate::server) struct Aliases {
    folder: Option<PathBuf>,
    zones: Mutex<BTreeMap<Name, AliasZone>>,
    /// Rung when a target is to be looked up.
    pub(super) bell: Notify,
}

/// What a target has.
pub(super) struct Found {
    pub(super) addresses: Addresses,
    /// The least TTL of all records on the way.
    pub(super) ttl_s: u32,
    /// From the cache, expired (RFC 8767).
    pub(super) is_stale: bool,
}

struct AliasZone {
    alias: Alias,
    /// What the target had last.
    known: Option<Addresses>,
    /// The serial that was served last, and that of the data it was made of.
    serials: Option<(u32, u32)>,
    served: Option<Arc<Zone>>,
    due: BootTime,
    is_asked: bool,
    /// `known` is not in the state folder yet.
    is_unsaved: bool,
    failures: u32,
    problem: Option<String>,
}

impl Aliases {
    pub(in crate::server) fn new(state_folder: Option<&Path>) -> Aliases {
        Aliases { folder: state_folder.map(|folder| folder.join(FOLDER)), ..Aliases::default() }
    }

    fn zones(&self) -> MutexGuard<'_, BTreeMap<Name, AliasZone>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the data of the zone has an ALIAS record.
    pub(in crate::server) fn has(&self, zone: &Name) -> bool {
        self.zones().contains_key(zone)
    }

    pub(super) fn keep(&self, is_hosted: impl Fn(&Name) -> bool) {
        self.zones().retain(|zone, _| is_hosted(zone));
    }

    /// The zone with the addresses of the target; as it is while they are not known. Where it `is_signed` the serial is the signer's.
    pub(super) fn next(&self, data: &Arc<Zone>, is_signed: bool) -> Arc<Zone> {
        let mut zones = self.zones();
        let Some(alias) = Alias::of(data) else {
            zones.remove(data.apex());
            return data.clone();
        };
        if zones.get(data.apex()).is_none_or(|zone| zone.alias.target != alias.target) {
            let serials = zones.get(data.apex()).and_then(|zone| zone.serials);
            zones.insert(data.apex().clone(), self.begun(data.apex(), alias.clone(), serials));
            self.bell.notify_one();
        }
        let Some(zone) = zones.get_mut(data.apex()) else { return data.clone() };
        zone.alias = alias;
        let served = zone.made(data, is_signed).unwrap_or_else(|| data.clone());
        let serials = Some((served.serial(), data.serial()));
        if zone.serials != serials || zone.is_unsaved {
            (zone.serials, zone.is_unsaved) = (serials, false);
            self.save(data.apex(), zone);
        }
        zone.served = Some(served.clone());
        served
    }

    /// What an earlier run knew of the same target is used at once.
    fn begun(&self, zone: &Name, alias: Alias, serials: Option<(u32, u32)>) -> AliasZone {
        let saved = self.path(zone).and_then(|path| read(&path)).filter(|saved| saved.target == alias.target);
        let (known, saved_serials) = saved.map(|saved| (saved.known, saved.serials)).unzip();
        let serials = serials.or(saved_serials.flatten());
        AliasZone { alias, known, serials, served: None, due: BootTime(0), is_asked: false, is_unsaved: false, failures: 0, problem: None }
    }

    fn path(&self, zone: &Name) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(copies::file_name(zone)))
    }

    fn save(&self, name: &Name, zone: &AliasZone) {
        let (Some(path), Some(known)) = (self.path(name), &zone.known) else { return };
        let addresses: Vec<(u16, &Vec<Vec<u8>>)> = known.iter().map(|(rtype, data)| (rtype.0, data)).collect();
        let text = json!({ "target": zone.alias.target.to_string(), "serials": zone.serials, "addresses": addresses }).to_string();
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| state::replace(&path, text.as_bytes()));
        if let Err(error) = written {
            warn!("zone {name}: the addresses of its ALIAS are not kept over a restart: {}: {error}", path.display());
        }
    }

    /// Zones whose target is to be looked up now. Each is given once until `found` is told of it.
    pub(super) fn due(&self, now: BootTime) -> Vec<(Name, Name)> {
        let mut zones = self.zones();
        let due = zones.iter_mut().filter(|(_, zone)| !zone.is_asked && zone.due <= now);
        due.map(|(name, zone)| {
            zone.is_asked = true;
            (name.clone(), zone.alias.target.clone())
        })
        .collect()
    }

    pub(super) fn next_due(&self) -> Option<BootTime> {
        self.zones().values().filter(|zone| !zone.is_asked).map(|zone| zone.due).min()
    }

    /// What the look-up of a target has found. True if another version is to be served.
    pub(super) fn found(&self, name: &Name, target: &Name, found: Result<Found, String>, now: BootTime) -> bool {
        let mut zones = self.zones();
        let Some(zone) = zones.get_mut(name).filter(|zone| zone.alias.target == *target) else { return false };
        zone.is_asked = false;
        // Expired data is no news, but better than none.
        let found = match found {
            Ok(found) if found.is_stale && zone.known.is_some() => Err("its servers do not answer".to_owned()),
            found => found,
        };
        match found {
            Ok(Found { mut addresses, ttl_s, .. }) => {
                addresses.values_mut().for_each(|data| data.sort());
                let wait = ttl_s.min(zone.alias.ttl_s).clamp(ALIAS_REFRESH_S_MIN, ALIAS_TTL_S_MAX);
                (zone.due, zone.failures, zone.problem) = (now + Duration::from_secs(wait.into()), 0, None);
                let is_new = zone.known.as_ref() != Some(&addresses);
                if is_new {
                    let count: usize = addresses.values().map(Vec::len).sum();
                    info!("zone {name}: the ALIAS target {target} has {count} addresses now");
                    (zone.known, zone.is_unsaved) = (Some(addresses), true);
                }
                is_new
            }
            Err(why) => {
                // RFC 8767: what was known is better than nothing.
                let wait = (FIRST_RETRY_S << zone.failures.min(6)).min(ALIAS_TTL_S_MAX);
                zone.due = now + Duration::from_secs(wait.into());
                zone.failures += 1;
                if zone.problem.is_none() {
                    warn!("zone {name}: the ALIAS target {target} cannot be resolved: {why}");
                }
                zone.problem = Some(why);
                false
            }
        }
    }

    /// For `cairn zone list`.
    pub(in crate::server) fn shown(&self, name: &Name) -> Option<Value> {
        let zones = self.zones();
        let zone = zones.get(name)?;
        let count = zone.known.as_ref().map(|known| known.values().map(Vec::len).sum::<usize>());
        Some(json!({ "target": zone.alias.target.to_string(), "addresses": count, "problem": zone.problem }))
    }
}

impl AliasZone {
    fn made(&self, data: &Arc<Zone>, is_signed: bool) -> Option<Arc<Zone>> {
        let known = self.known.as_ref()?;
        if is_signed {
            return expanded(data, &self.alias, known, data.serial()).map(Arc::new);
        }
        let Some((last, of_data)) = self.serials.filter(|(last, _)| !is_newer(data.serial(), *last)) else {
            return expanded(data, &self.alias, known, data.serial()).map(Arc::new);
        };
        let same = expanded(data, &self.alias, known, last)?;
        match &self.served {
            Some(served) if have_same_data(served, &same) => Some(served.clone()),
            // The first version of this run, of the data that the last one was made of.
            None if of_data == data.serial() => Some(Arc::new(same)),
            _ => expanded(data, &self.alias, known, last.wrapping_add(1)).map(Arc::new),
        }
    }
}

struct Saved {
    target: Name,
    serials: Option<(u32, u32)>,
    known: Addresses,
}

/// `None`: there is no such file, or somebody has damaged it; the target is asked in any case.
fn read(path: &Path) -> Option<Saved> {
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(ALIAS_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    let saved: Value = serde_json::from_str(&text).ok()?;
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let serials = number(&saved["serials"][0]).zip(number(&saved["serials"][1]));
    let mut known = Addresses::new();
    for row in saved["addresses"].as_array()? {
        let (rtype, length) = match row[0].as_u64()? {
            1 => (Rtype::A, 4),
            28 => (Rtype::AAAA, 16),
            _ => return None,
        };
        let octet = |value: &Value| value.as_u64().and_then(|octet| u8::try_from(octet).ok());
        let address =
            |value: &Value| value.as_array()?.iter().map(octet).collect::<Option<Vec<u8>>>().filter(|octets| octets.len() == length);
        known.insert(rtype, row[1].as_array()?.iter().map(address).collect::<Option<_>>()?);
    }
    Some(Saved { target: Name::parse(saved["target"].as_str()?).ok()?, serials, known })
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;
    use crate::zone::load_zone;

    fn zone(serial: u32, target: &str) -> Arc<Zone> {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n@ ALIAS {target}\n");
        Arc::new(load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a good zone").0)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn addresses(last: &[u8]) -> Addresses {
        [(Rtype::A, last.iter().map(|last| vec![192, 0, 2, *last]).collect()), (Rtype::AAAA, Vec::new())].into()
    }

    fn found(last: &[u8], ttl_s: u32) -> Result<Found, String> {
        Ok(Found { addresses: addresses(last), ttl_s, is_stale: false })
    }

    fn shown(zone: &Zone) -> (u32, Vec<u8>) {
        let set = zone.apex_set(Rtype::A).map(|set| set.data.iter().map(|data| data[3]).collect()).unwrap_or_default();
        (zone.serial(), set)
    }

    #[test]
    fn the_target_is_followed_and_its_last_addresses_are_kept() {
        let (scratch, apex, target) = (Scratch::new(), name("example."), name("t.test."));
        let at = |s: u64| BootTime(s * 1_000);
        let aliases = Aliases::new(Some(scratch.path()));
        let data = zone(7, "t.test.");
        assert_eq!(shown(&aliases.next(&data, false)), (7, vec![]));
        assert_eq!(aliases.due(at(0)), [(apex.clone(), target.clone())]);
        assert!(aliases.due(at(0)).is_empty(), "asked once at a time");
        assert!(aliases.found(&apex, &target, found(&[2, 1], 3_600), at(0)));
        assert_eq!(shown(&aliases.next(&data, false)), (8, vec![1, 2]));
        assert!(aliases.due(at(299)).is_empty() && aliases.due(at(300)).len() == 1);
        // Another order is no change; the least time is kept.
        assert!(!aliases.found(&apex, &target, found(&[1, 2], 0), at(300)));
        assert_eq!(shown(&aliases.next(&data, false)), (8, vec![1, 2]));
        assert!(aliases.due(at(309)).is_empty() && aliases.due(at(310)).len() == 1);
        let stale = Ok(Found { addresses: addresses(&[9]), ttl_s: 30, is_stale: true });
        assert!(!aliases.found(&apex, &target, stale, at(310)) && aliases.due(at(320)).len() == 1);
        // Silence of the target's servers keeps what was known, for as long as it lasts.
        for failure in 0..20 {
            assert!(!aliases.found(&apex, &target, Err("no answer".to_owned()), at(1_000 * failure)));
            assert_eq!(aliases.due(at(1_000 * failure + 300)).len(), 1);
        }
        assert_eq!(shown(&aliases.next(&data, false)), (8, vec![1, 2]));
        assert_eq!(aliases.shown(&apex).expect("an alias")["problem"], "no answer");
        // A restart serves the same at once, and goes on from there.
        let aliases = Aliases::new(Some(scratch.path()));
        assert_eq!(shown(&aliases.next(&data, false)), (8, vec![1, 2]));
        assert_eq!(aliases.due(at(0)).len(), 1);
        assert!(aliases.found(&apex, &target, found(&[5], 60), at(0)));
        assert_eq!(shown(&aliases.next(&data, false)), (9, vec![5]));
        // The file's serial counts where it is newer, and the addresses stay.
        assert_eq!(shown(&aliases.next(&zone(9, "t.test."), false)), (9, vec![5]));
        assert_eq!(shown(&aliases.next(&zone(12, "t.test."), false)), (12, vec![5]));
        // The target has no address: it says so.
        aliases.due(at(60));
        assert!(aliases.found(&apex, &target, found(&[], 60), at(60)));
        assert_eq!(shown(&aliases.next(&zone(12, "t.test."), false)), (13, vec![]));
        // What was asked of another target is of no use.
        aliases.next(&zone(14, "u.test."), false);
        assert!(!aliases.found(&apex, &target, found(&[6], 60), at(70)));
        assert_eq!(aliases.due(at(70)), [(apex.clone(), name("u.test."))]);
        aliases.keep(|_| false);
        assert!(!aliases.has(&apex));
    }

    #[test]
    fn a_signer_gives_its_own_serials() {
        let (scratch, apex, target) = (Scratch::new(), name("example."), name("t.test."));
        let aliases = Aliases::new(Some(scratch.path()));
        let data = zone(7, "t.test.");
        aliases.next(&data, true);
        for last in [1, 2] {
            aliases.found(&apex, &target, found(&[last], 60), BootTime(0));
            assert_eq!(shown(&aliases.next(&data, true)), (7, vec![last]));
        }
        assert_eq!(shown(&Aliases::new(Some(scratch.path())).next(&data, true)), (7, vec![2]), "after a restart");
    }

    #[test]
    fn a_damaged_file_is_not_believed() {
        let scratch = Scratch::new();
        for text in [
            "",
            "{",
            "{}",
            r#"{"target":"t.test.","serials":[1,2],"addresses":[[1,[[1,2,3]]]]}"#,
            r#"{"target":"t.test.","addresses":[[5,[]]]}"#,
        ] {
            assert!(read(&scratch.write("x", text)).is_none(), "{text}");
        }
    }
}
