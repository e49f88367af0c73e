//! Is this machine's own network away? When no server at all has replied for a second although some were asked, the network
//! is taken to be away: no server is blamed, no failure is remembered, and walks wait while one probe at a time asks a root
//! server or forwarder. The first reply of any server ends it. A kernel without a route to any server shows the same at once.
//!
//! Servers of a rule for less than the root are still asked: an office's own servers may be reachable while the Internet is
//! not.
//!
//! ```text
//!            asked, and no reply for SILENCE; or no route
//!  Online ───────────────────────────────────► Offline (walks wait, one probe per PROBE_EVERY)
//!     ▲                                           │
//!     └────────────── any reply ◄─────────────────┘
//! ```
//!
//! A connection that somebody took counts as a reply here, whatever became of it: a certificate that has expired is no broken network.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::env::BootTime;

const SILENCE: Duration = Duration::from_millis(1000);
/// Time between two probes.
pub const PROBE_EVERY: Duration = Duration::from_millis(250);
/// After a change of the network, which comes in bursts (link, addresses, routes).
pub const PROBE_AGAIN: Duration = Duration::from_millis(20);
/// How long a failed probe counts when there was none since (RFC 8767 5, failure recheck timer).
const PROBE_BELIEVED_FOR: Duration = Duration::from_secs(30);
/// Answers that need no network take no longer.
const OWN_WORK: Duration = Duration::from_millis(10);
/// Changes that come without the network having been away forgive servers no more often than this.
pub const FORGIVE_EVERY: Duration = Duration::from_secs(10);

/// Shared by all workers; each call is a few atomic reads and writes.
#[derive(Default)]
pub struct Offline {
    /// When the oldest query since the last reply was sent, in milliseconds since boot, plus one; 0: none.
    unanswered_since: AtomicU64,
    /// When the last reply came, in the same form.
    replied: AtomicU64,
    without_route: AtomicBool,
    probing: AtomicBool,
    /// When the last probe failed, in the same form.
    probe_failed: AtomicU64,
}

/// A query that was counted as sent.
#[derive(Clone, Copy)]
pub struct Sent(u64);

impl Offline {
    /// Counts a query as sent.
    pub fn asked(&self, now: BootTime) -> Sent {
        // Only the first unanswered query counts; a race between workers may lose milliseconds.
        let _ = self.unanswered_since.compare_exchange(0, now.0 + 1, Ordering::Relaxed, Ordering::Relaxed);
        Sent(now.0 + 1)
    }

    /// The query did not leave this machine after all: that it is unanswered means nothing.
    pub fn not_sent(&self, sent: Sent) {
        let _ = self.unanswered_since.compare_exchange(sent.0, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether the kernel has no route to any server.
    pub fn is_without_route(&self) -> bool {
        self.without_route.load(Ordering::Relaxed)
    }

    /// The kernel has no route to any server.
    pub fn no_route(&self) {
        self.without_route.store(true, Ordering::Relaxed);
    }

    /// A reply was received. True if the network was away until then.
    pub fn replied(&self, now: BootTime) -> bool {
        self.replied.store(now.0 + 1, Ordering::Relaxed);
        self.is_there(now)
    }

    /// A server was there, though perhaps not the right one, or without a reply. True if the network was away until then.
    pub fn is_there(&self, now: BootTime) -> bool {
        let was = self.is_offline(now);
        if self.unanswered_since.load(Ordering::Relaxed) != 0 {
            self.unanswered_since.store(0, Ordering::Relaxed);
        }
        if self.without_route.load(Ordering::Relaxed) {
            self.without_route.store(false, Ordering::Relaxed);
        }
        was
    }

    /// Whether any server has replied within this time.
    pub fn has_replied_within(&self, time: Duration, now: BootTime) -> bool {
        match self.replied.load(Ordering::Relaxed) {
            0 => false,
            at => now.since(BootTime(at - 1)) <= time,
        }
    }

    /// Whether the network is away.
    pub fn is_offline(&self, now: BootTime) -> bool {
        if self.without_route.load(Ordering::Relaxed) {
            return true;
        }
        match self.unanswered_since.load(Ordering::Relaxed) {
            0 => false,
            since => now.since(BootTime(since - 1)) >= SILENCE,
        }
    }

    /// How long a question waits for fresh data before it is answered with expired data, while the network is away: hardly at
    /// all after a failed probe; before, as long as a probe takes to fail. `None` while the network is there.
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

    /// No server replied to the probe.
    pub fn probe_failed(&self, now: BootTime) {
        self.probe_failed.store(now.0 + 1, Ordering::Relaxed);
    }

    /// True for one caller at a time, which then probes; ends with `probed`.
    pub fn may_probe(&self) -> bool {
        !self.probing.swap(true, Ordering::Relaxed)
    }

    /// Ends a probe that [`may_probe`](Offline::may_probe) allowed.
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
        assert!(offline.replied(BootTime(11_500)));
        assert!(!offline.is_offline(BootTime(99_000)));
        offline.asked(BootTime(99_000));
        assert!(!offline.replied(BootTime(99_500)));
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
        offline.no_route();
        assert!(offline.is_offline(BootTime(10_000)) && offline.replied(BootTime(10_000)) && !offline.is_offline(BootTime(10_000)));
    }

    #[test]
    fn a_server_without_a_reply_shows_the_network_and_resolves_nothing() {
        let offline = Offline::default();
        offline.asked(BootTime(1_000));
        assert!(offline.is_there(BootTime(3_000)) && !offline.is_offline(BootTime(9_000)));
        assert!(!offline.has_replied_within(Duration::from_secs(60), BootTime(9_000)));
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
        offline.no_route();
        assert_eq!(offline.patience(BootTime(3_700_000)), Some(OWN_WORK));
        offline.replied(BootTime(3_700_000));
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
