//! What wakes the walks that wait for this machine's network, and the probe that looks for it.

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

/// Signals to waiting walks and to the probe.
#[derive(Default)]
pub(in crate::resolve) struct Wakeups {
    back_online: Notify,
    /// Links, addresses or routes of this machine have changed.
    changes: watch::Sender<()>,
}

impl Wakeups {
    /// Wakes the probe: it tries again at once.
    pub(in crate::resolve) fn network_changed(&self) {
        self.changes.send_replace(());
    }

    /// Changes with each event of the network.
    pub(in crate::resolve) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Wakes every walk that waits.
    pub(in crate::resolve) fn back_online(&self) {
        self.back_online.notify_waiters();
    }

    /// Ends when some server has replied.
    pub(in crate::resolve) fn until_back_online(&self) -> Notified<'_> {
        self.back_online.notified()
    }
}
