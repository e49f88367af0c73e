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
use crate::server::signing::Signing;
use crate::server::{pages, priority};
use crate::zone::{Zone, Zones};

/// How soon after its last use replaced data is freed.
const RETIRE_CHECK_EVERY: Duration = Duration::from_millis(100);

/// Where the next version of a zone comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Origin {
    File,
    Transfer,
    /// The same data, to be signed anew.
    Signing,
}

/// The data of all zones that have some, by apex.
#[derive(Default)]
pub(in crate::server) struct Versions {
    data: Mutex<BTreeMap<Name, Arc<Zone>>>,
    /// `None`: this process signs nothing.
    signing: Option<Arc<Signing>>,
}

/// The right to change zones. Nobody else changes one while this lives.
pub(in crate::server) struct Changing<'v> {
    data: MutexGuard<'v, BTreeMap<Name, Arc<Zone>>>,
    signing: Option<&'v Signing>,
}

impl Versions {
    pub(in crate::server) fn new(signing: Arc<Signing>) -> Versions {
        Versions { signing: Some(signing), ..Versions::default() }
    }

    pub(in crate::server) fn change(&self) -> Changing<'_> {
        Changing { data: self.data.lock().unwrap_or_else(PoisonError::into_inner), signing: self.signing.as_deref() }
    }
}

impl Changing<'_> {
    /// The data of the zone as it is now, before anything was made of it.
    pub(in crate::server) fn data(&self, zone: &Name) -> Option<&Arc<Zone>> {
        self.data.get(zone)
    }

    /// The version to serve of new data: the data itself, or what `signing` makes of it.
    ///
    /// Whoever calls puts the returned version in force before it gives up `Changing`.
    pub(in crate::server) fn next(&mut self, data: Arc<Zone>, origin: Origin) -> Arc<Zone> {
        tracing::trace!(zone = %data.apex(), serial = data.serial(), ?origin, "next version");
        self.data.insert(data.apex().clone(), data.clone());
        // What a primary sends is served as it is.
        match self.signing.filter(|_| origin != Origin::Transfer) {
            Some(signing) => signing.next(data),
            None => data,
        }
    }

    /// The zone has no data any more.
    pub(in crate::server) fn forget(&mut self, zone: &Name) {
        self.data.remove(zone);
    }

    /// Only these zones are hosted from now on.
    pub(in crate::server) fn keep(&mut self, is_hosted: impl Fn(&Name) -> bool) {
        self.data.retain(|zone, _| is_hosted(zone));
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
