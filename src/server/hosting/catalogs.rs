//! The catalogs that this server follows (RFC 9432), and the `[[zone]]` entries that their members stand for.
//!
//! A catalog that is broken changes nothing: its members stay as they were. So do those of one that has expired.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::{info, warn};

use crate::authority::{Member, Owner, owners, read_catalog};
use crate::config::ZoneSettings;
use crate::limits::server::CATALOG_MEMBERS_MAX;
use crate::record::Name;
use crate::zone::Zone;

#[derive(Default)]
pub(super) struct Catalogs {
    followed: BTreeMap<Name, Followed>,
    owners: BTreeMap<Name, Owner>,
}

#[derive(Default)]
struct Followed {
    /// The version that was read last, good or bad.
    read: Option<Arc<Zone>>,
    /// Of the last good version.
    members: Vec<Member>,
    /// What is wrong with the present version, or with one of its members.
    problem: Option<String>,
}

/// What came of looking at the catalogs.
pub(super) struct Followup {
    /// Members whose label is another one: their data is void.
    pub(super) reset: Vec<Name>,
}

impl Catalogs {
    /// Reads versions that are new; `None`: nothing has changed. `held` gives the data of a catalog.
    pub(super) fn follow(&mut self, configured: &[ZoneSettings], held: impl Fn(&Name) -> Option<Arc<Zone>>) -> Option<Followup> {
        let consumed: BTreeSet<&Name> = configured.iter().filter(|zone| zone.is_consumed_catalog()).map(|zone| &zone.name).collect();
        self.followed.retain(|name, _| consumed.contains(name));
        for name in consumed {
            let Some(version) = held(name) else { continue };
            let others: usize = self.followed.iter().filter(|(other, _)| *other != name).map(|(_, followed)| followed.members.len()).sum();
            let followed = self.followed.entry(name.clone()).or_default();
            if followed.read.as_ref().is_some_and(|read| Arc::ptr_eq(read, &version)) {
                continue;
            }
            match read_catalog(&version, CATALOG_MEMBERS_MAX.saturating_sub(others)) {
                Ok(members) => {
                    info!("catalog {name}: serial {}, {} members", version.serial(), members.len());
                    (followed.members, followed.problem) = (members, None);
                }
                Err(broken) => {
                    let why = format!("serial {} is not followed, and its members stay as they were: {broken}", version.serial());
                    warn!("catalog {name}: {why}");
                    followed.problem = Some(why);
                }
            }
            followed.read = Some(version);
        }
        self.assign(configured)
    }

    fn assign(&mut self, configured: &[ZoneSettings]) -> Option<Followup> {
        let names: BTreeSet<&Name> = configured.iter().map(|zone| &zone.name).collect();
        let members = self.followed.iter().map(|(name, followed)| (name.clone(), followed.members.clone())).collect();
        let (owned, clashes) = owners(&members, |zone| names.contains(zone), &self.owners);
        for (name, followed) in &mut self.followed {
            let mut of_others = clashes.iter().filter(|clash| clash.catalog == *name);
            if followed.problem.as_ref().is_none_or(|problem| problem.starts_with(CLASH)) {
                let first = of_others.next().map(|clash| &clash.zone);
                followed.problem = first.map(|first| match of_others.count() {
                    0 => format!("{CLASH}{first} is not taken from it"),
                    more => format!("{CLASH}{first} and {more} more are not taken from it"),
                });
            }
        }
        if owned == self.owners {
            return None;
        }
        let is_reset =
            |(zone, owner): (&Name, &Owner)| self.owners.get(zone).filter(|before| before.label != owner.label).map(|_| zone.clone());
        let reset = owned.iter().filter_map(is_reset).collect();
        self.owners = owned;
        Some(Followup { reset })
    }

    /// The members, with the settings of their catalogs.
    pub(super) fn members(&self, configured: &[ZoneSettings]) -> Vec<ZoneSettings> {
        let catalogs: BTreeMap<&Name, &ZoneSettings> =
            configured.iter().filter(|zone| zone.is_consumed_catalog()).map(|zone| (&zone.name, zone)).collect();
        let of = |(zone, owner): (&Name, &Owner)| {
            let catalog = catalogs.get(&owner.catalog)?;
            Some(ZoneSettings {
                name: zone.clone(),
                primaries: catalog.primaries.clone(),
                transfer: catalog.transfer.clone(),
                notify: catalog.notify.clone(),
                member_of: Some(owner.catalog.clone()),
                ..ZoneSettings::default()
            })
        };
        self.owners.iter().filter_map(of).collect()
    }

    /// The number of members, and what is wrong, of a catalog that is followed.
    pub(super) fn shown(&self, name: &Name) -> Option<(usize, Option<String>)> {
        let followed = self.followed.get(name)?;
        let count = self.owners.values().filter(|owner| owner.catalog == *name).count();
        Some((count, followed.problem.clone()))
    }
}

/// A catalog may not have zones that the configuration or another catalog has (RFC 9432 5.2).
const CLASH: &str = "the configuration or another catalog has these zones: ";
