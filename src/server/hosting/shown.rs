//! What is known of each secondary zone, and of each zone with a journal, for `cairn status` and `cairn zone list`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::env::BootTime;
use crate::record::Name;

/// Written by the thread that keeps the zones.
#[derive(Default)]
pub(in crate::server) struct Shown(Mutex<BTreeMap<Name, SecondaryShown>>, Mutex<BTreeMap<Name, PrimaryShown>>);

/// How the file of a zone and its journal stand to each other.
#[derive(Clone, Default)]
pub(in crate::server) struct PrimaryShown {
    /// The journal has changes that the file does not have.
    pub(in crate::server) is_unwritten: bool,
    /// Why the file cannot be read or written.
    pub(in crate::server) why_unwritten: Option<String>,
}

#[derive(Clone, Default)]
pub(super) struct SecondaryShown {
    pub(super) primaries: Vec<String>,
    /// Serial and number of records of the data that is served.
    pub(super) served: Option<(u32, usize)>,
    /// `None` during a check.
    pub(super) next_check: Option<BootTime>,
    pub(super) expires: Option<BootTime>,
    pub(super) has_expired: bool,
    /// When a primary last gave an answer that could be used, and which one.
    pub(super) last_good: Option<(BootTime, String)>,
    /// Why the last check failed.
    pub(super) last_error: Option<String>,
    /// Where its copy is kept.
    pub(super) copy: Option<PathBuf>,
    /// The catalog that has the zone as a member.
    pub(super) member_of: Option<Name>,
    /// Of a catalog: the number of its members, and what is wrong with it.
    pub(super) catalog: Option<(usize, Option<String>)>,
}

impl Shown {
    pub(super) fn set(&self, zone: &Name, shown: SecondaryShown) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone(), shown);
    }

    pub(super) fn keep(&self, is_kept: impl Fn(&Name) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|zone, _| is_kept(zone));
    }

    pub(super) fn set_primary(&self, zone: &Name, shown: PrimaryShown) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone(), shown);
    }

    pub(super) fn keep_primaries(&self, is_kept: impl Fn(&Name) -> bool) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).retain(|zone, _| is_kept(zone));
    }

    pub(in crate::server) fn primary(&self, zone: &Name) -> PrimaryShown {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).get(zone).cloned().unwrap_or_default()
    }

    /// The first zones by name, at most this many, each with serial and number of records of the data that is served.
    pub(in crate::server) fn served(&self, most: usize) -> Vec<(Name, Option<(u32, usize)>)> {
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        zones.iter().take(most).map(|(zone, shown)| (zone.clone(), shown.served)).collect()
    }

    /// One object for each zone, in the form of `cairn status`.
    pub(in crate::server) fn lines(&self, now: BootTime) -> Vec<(Name, Value)> {
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        zones.iter().map(|(zone, shown)| (zone.clone(), shown.line(zone, now))).collect()
    }
}

impl SecondaryShown {
    fn line(&self, zone: &Name, now: BootTime) -> Value {
        let state = match (self.served, self.has_expired) {
            (Some(_), _) => "served",
            (None, true) => "expired",
            (None, false) => "not-served",
        };
        let until = |time: Option<BootTime>| time.map(|time| time.since(now).as_secs());
        let (serial, records) = self.served.unzip();
        let (members, broken) = self.catalog.clone().unzip();
        // What keeps the zone from being served is a problem; a check that failed while it is served is told beside.
        let problem = match (self.served, &self.last_error) {
            (Some(_), _) => None,
            (None, Some(error)) => Some(error.clone()),
            (None, None) => Some("no primary has answered yet".to_owned()),
        };
        json!({
            "name": zone.to_string(), "role": "secondary", "state": state, "serial": serial, "records": records,
            "primaries": self.primaries, "next-check-seconds": until(self.next_check), "expires-seconds": until(self.expires),
            "checked-seconds-ago": self.last_good.as_ref().map(|(time, _)| now.since(*time).as_secs()),
            "checked-at": self.last_good.as_ref().map(|(_, primary)| primary), "last-error": self.last_error, "problem": problem,
            "copy": self.copy.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()).display().to_string()),
            "member-of": self.member_of.as_ref().map(ToString::to_string), "members": members, "catalog-problem": broken.flatten(),
        })
    }
}
