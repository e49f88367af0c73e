//! The one place where the data of a hosted zone changes.
//!
//! ```text
//! file read (start, reload, command) ─┐
//! UPDATE ─────────────────────────────┼─► `next`: data ─► the version to serve ─► `serve`, or a whole reload
//! transfer from a primary ────────────┘
//! ```
//!
//! The data of a zone is what its file, its updates or its primary say. The version that is served is made of it; both are
//! the same today. Changes happen one after the other: whoever makes one holds [`Changing`] from looking at the present version
//! until the next one is in force.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::answer::Service;
use crate::record::Name;
use crate::server::{pages, priority};
use crate::zone::{Zone, Zones};

/// How soon after its last use replaced data is freed.
const RETIRE_CHECK_EVERY: Duration = Duration::from_millis(100);

/// Where the next version of a zone comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Origin {
    File,
    Transfer,
}

/// The data of all zones that have some, by apex.
#[derive(Default)]
pub(in crate::server) struct Versions(Mutex<BTreeMap<Name, Arc<Zone>>>);

/// The right to change zones. Nobody else changes one while this lives.
pub(in crate::server) struct Changing<'v>(MutexGuard<'v, BTreeMap<Name, Arc<Zone>>>);

impl Versions {
    pub(in crate::server) fn change(&self) -> Changing<'_> {
        Changing(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Changing<'_> {
    /// The data of the zone as it is now, before anything was made of it.
    #[allow(dead_code, reason = "for UPDATE and for signing")]
    pub(in crate::server) fn data(&self, zone: &Name) -> Option<&Arc<Zone>> {
        self.0.get(zone)
    }

    /// The version to serve of new data.
    ///
    /// Signing hooks in here, for zones with `dnssec = true` and an `origin` other than `Transfer`: the data before is
    /// `self.data(zone)`, the version in force is in the service's snapshot, and what is returned takes its place. Where `data`
    /// was made by `edit_zone` out of the data before, `Diff::between` of both costs only what changed, and `edit_zone` of
    /// the version in force gives the next one. A new signature without new data is the same call with the present data.
    /// Whoever calls puts the returned version in force before it gives up `Changing`; journals, file, and history for
    /// IXFR are the caller's and not to be thought of here.
    pub(in crate::server) fn next(&mut self, data: Arc<Zone>, origin: Origin) -> Arc<Zone> {
        tracing::trace!(zone = %data.apex(), serial = data.serial(), ?origin, "next version");
        self.0.insert(data.apex().clone(), data.clone());
        data
    }

    /// The zone has no data any more.
    pub(in crate::server) fn forget(&mut self, zone: &Name) {
        self.0.remove(zone);
    }

    /// Only these zones are hosted from now on.
    pub(in crate::server) fn keep(&mut self, is_hosted: impl Fn(&Name) -> bool) {
        self.0.retain(|zone, _| is_hosted(zone));
    }

    /// Puts changed zones in force, all in one step, as what `next` has returned.
    pub(in crate::server) fn serve(&self, service: &Service, change: impl FnOnce(&Zones) -> Zones) {
        let zones = Arc::new(change(&service.snapshot().zones));
        let retired = service.replace_zones(zones);
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
}
