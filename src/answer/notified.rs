//! Zones whose primaries have sent NOTIFY (RFC 1996): written by workers, read by the thread that keeps secondaries.
//!
//! A zone is in the list once, however many NOTIFYs come, so the list is never longer than the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::record::Name;

/// The list, and a bell beside it.
#[derive(Default)]
pub struct Notified {
    zones: Mutex<BTreeMap<Name, IpAddr>>,
    bell: Notify,
}

impl Notified {
    pub(super) fn heard(&self, zone: &Name, from: IpAddr) {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(zone.clone(), from);
        self.bell.notify_one();
    }

    /// Takes all without waiting.
    #[cfg(test)]
    pub(super) fn heard_so_far(&self) -> BTreeMap<Name, IpAddr> {
        std::mem::take(&mut *self.zones.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until there is one at least, and takes all.
    pub async fn take(&self) -> BTreeMap<Name, IpAddr> {
        loop {
            let zones = std::mem::take(&mut *self.zones.lock().unwrap_or_else(PoisonError::into_inner));
            if !zones.is_empty() {
                return zones;
            }
            self.bell.notified().await;
        }
    }
}
