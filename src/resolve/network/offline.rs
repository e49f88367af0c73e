//! Is it the servers that are silent, or our own network? When nobody at all has answered for a second although
//! somebody was asked, it is taken to be the network: nothing is held against any server, nothing is remembered
//! as failed, and walks wait while one probe at a time asks a root server or forwarder. The first reply of
//! anybody ends it. A kernel that has no route at all is as clear as silence, and at once.
//!
//! Servers of a rule for less than everything are asked all the same: the office's own may be there while the world
//! is not.
//!
//! ```text
//!            asked, and no reply for SILENCE; or no route
//!  Online ───────────────────────────────────► Offline (walks wait, one probe per PROBE_EVERY)
//!     ▲                                           │
//!     └────────────── any reply ◄─────────────────┘
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::env::BootTime;

const SILENCE: Duration = Duration::from_millis(1000);
pub const PROBE_EVERY: Duration = Duration::from_millis(250);
/// After a change of the network, which comes in bursts (link, addresses, routes).
pub const PROBE_AGAIN: Duration = Duration::from_millis(20);
/// A probe that failed is believed for so long when nobody has probed since (RFC 8767 5, failure recheck timer).
const PROBE_BELIEVED_FOR: Duration = Duration::from_secs(30);
/// What this machine can say by itself takes no longer.
const OWN_WORK: Duration = Duration::from_millis(10);
/// Changes that come without the network having been away forgive servers no more often than this.
pub const FORGIVE_EVERY: Duration = Duration::from_secs(10);

/// Shared by all workers; each call is a few atomic reads and writes.
#[derive(Default)]
pub struct Offline {
    /// When the oldest query since the last reply was sent, in milliseconds since boot and one more; 0: none.
    unanswered_since: AtomicU64,
    no_way_out: AtomicBool,
    probing: AtomicBool,
    /// The last time, as above.
    probe_failed: AtomicU64,
}

/// A query that was counted as sent.
#[derive(Clone, Copy)]
pub struct Sent(u64);

impl Offline {
    pub fn asked(&self, now: BootTime) -> Sent {
        // Only the first of a silent stretch counts; a race loses milliseconds.
        let _ = self.unanswered_since.compare_exchange(0, now.0 + 1, Ordering::Relaxed, Ordering::Relaxed);
        Sent(now.0 + 1)
    }

    /// It did not leave after all: its silence says nothing.
    pub fn not_sent(&self, sent: Sent) {
        let _ = self.unanswered_since.compare_exchange(sent.0, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub fn is_without_route(&self) -> bool {
        self.no_way_out.load(Ordering::Relaxed)
    }

    /// There is no route to anybody who could be asked.
    pub fn lose(&self) {
        self.no_way_out.store(true, Ordering::Relaxed);
    }

    /// True if this reply ended an offline stretch.
    pub fn heard(&self, now: BootTime) -> bool {
        let was = self.is_offline(now);
        if self.unanswered_since.load(Ordering::Relaxed) != 0 {
            self.unanswered_since.store(0, Ordering::Relaxed);
        }
        if self.no_way_out.load(Ordering::Relaxed) {
            self.no_way_out.store(false, Ordering::Relaxed);
        }
        was
    }

    pub fn is_offline(&self, now: BootTime) -> bool {
        if self.no_way_out.load(Ordering::Relaxed) {
            return true;
        }
        match self.unanswered_since.load(Ordering::Relaxed) {
            0 => false,
            since => now.since(BootTime(since - 1)) >= SILENCE,
        }
    }

    /// How long a question that could be answered with expired data waits for something better, when nobody seems to
    /// answer: not at all where that is known, else until a probe has told. `None` when all is well.
    pub fn patience(&self, now: BootTime) -> Option<Duration> {
        if !self.is_offline(now) {
            return None;
        }
        let probe_failed = match self.probe_failed.load(Ordering::Relaxed) {
            0 => false,
            at => now.since(BootTime(at - 1)) < PROBE_BELIEVED_FOR,
        };
        Some(if probe_failed || self.is_without_route() { OWN_WORK } else { PROBE_EVERY + OWN_WORK })
    }

    /// Nobody answered the probe.
    pub fn probe_failed(&self, now: BootTime) {
        self.probe_failed.store(now.0 + 1, Ordering::Relaxed);
    }

    /// True for the one who is to probe; ends with `probed`.
    pub fn may_probe(&self) -> bool {
        !self.probing.swap(true, Ordering::Relaxed)
    }

    pub fn probed(&self) {
        self.probing.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_silence_after_a_question() {
        let offline = Offline::default();
        assert!(!offline.is_offline(BootTime(9_000)));
        offline.asked(BootTime(10_000));
        offline.asked(BootTime(10_900));
        assert!(!offline.is_offline(BootTime(10_999)));
        assert!(offline.is_offline(BootTime(11_000)));
        assert!(offline.heard(BootTime(11_500)));
        assert!(!offline.is_offline(BootTime(99_000)));
        offline.asked(BootTime(99_000));
        assert!(!offline.heard(BootTime(99_500)));
    }

    #[test]
    fn no_route_is_clear_at_once_and_what_did_not_leave_says_nothing() {
        let offline = Offline::default();
        let sent = offline.asked(BootTime(5_000));
        offline.not_sent(sent);
        assert!(!offline.is_offline(BootTime(9_000)));
        let first = offline.asked(BootTime(9_000));
        offline.not_sent(offline.asked(BootTime(9_500)));
        assert!(offline.is_offline(BootTime(10_000)), "the first one is still unanswered");
        offline.not_sent(first);
        offline.lose();
        assert!(offline.is_offline(BootTime(10_000)) && offline.heard(BootTime(10_000)) && !offline.is_offline(BootTime(10_000)));
    }

    #[test]
    fn expired_data_waits_for_a_probe_at_most() {
        let offline = Offline::default();
        offline.asked(BootTime(1_000));
        assert_eq!(offline.patience(BootTime(1_999)), None);
        assert_eq!(offline.patience(BootTime(3_600_000)), Some(PROBE_EVERY + OWN_WORK), "that silence is long ago");
        offline.probe_failed(BootTime(3_600_250));
        assert_eq!(offline.patience(BootTime(3_630_249)), Some(OWN_WORK));
        assert_eq!(offline.patience(BootTime(3_630_250)), Some(PROBE_EVERY + OWN_WORK));
        offline.lose();
        assert_eq!(offline.patience(BootTime(3_700_000)), Some(OWN_WORK));
        offline.heard(BootTime(3_700_000));
        assert_eq!(offline.patience(BootTime(3_700_000)), None);
    }

    #[test]
    fn one_probes_at_a_time() {
        let offline = Offline::default();
        assert!(offline.may_probe() && !offline.may_probe());
        offline.probed();
        assert!(offline.may_probe());
    }
}
