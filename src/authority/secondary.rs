//! When a secondary asks its primaries, and when its data has expired (RFC 1034 4.3.5, RFC 1912 2.2).
//!
//! ```text
//!            start, NOTIFY, `retransfer`
//!                      │
//!                      ▼        failed: after `retry` (without data: 1, 2, 4 … s)
//!   ┌──────────────► due ◄──────────────────────────┐
//!   │                  │ begin                      │
//!   │ after `refresh`  ▼                            │
//!   └─ succeeded ── checking ── failed ─────────────┘
//!
//!   `expire` after the last success: the data is no longer served, and checks go on
//! ```
//!
//! Intervals are shortened by up to a tenth, at random, so that many zones of one primary are not checked at the same moment.
//! The caller performs the checks and tells what came of them; it also gives the time and the random numbers.

use std::time::Duration;

use crate::env::BootTime;
use crate::limits::server::{FIRST_RETRY_MAX, HEARD_CHECK_INTERVAL_MIN, SECONDARY_TIMER_S_LIMITS};

/// The timers of a SOA (RFC 1035 3.3.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    pub refresh: Duration,
    pub retry: Duration,
    pub expire: Duration,
}

impl Timers {
    /// From the RDATA of a SOA; `None` if it is too short.
    pub fn of_soa(rdata: &[u8]) -> Option<Timers> {
        let numbers = rdata.last_chunk::<20>()?;
        let seconds = |at: usize| u32::from_be_bytes([numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]]);
        let within =
            |value: u32| Duration::from_secs(value.clamp(*SECONDARY_TIMER_S_LIMITS.start(), *SECONDARY_TIMER_S_LIMITS.end()).into());
        Some(Timers { refresh: within(seconds(4)), retry: within(seconds(8)), expire: within(seconds(12)) })
    }
}

/// One zone that is kept from other servers.
#[derive(Debug)]
pub struct Secondary {
    /// Of the data that is held; `None`: there has never been any.
    timers: Option<Timers>,
    due: BootTime,
    /// When the last check began.
    begun: Option<BootTime>,
    /// When the data may no longer be served; `None` without data, and once it has expired.
    expires: Option<BootTime>,
    is_checking: bool,
    /// Something was heard during a check: what it asked may be older.
    again: bool,
    failures: u32,
}

impl Secondary {
    /// Without data: checked at once.
    pub fn new(now: BootTime) -> Secondary {
        Secondary { timers: None, due: now, begun: None, expires: None, is_checking: false, again: false, failures: 0 }
    }

    /// With data that was last known to be right `age` ago; checked at once.
    pub fn with_copy(timers: Timers, age: Duration, now: BootTime) -> Secondary {
        Secondary { timers: Some(timers), expires: Some(now + timers.expire.saturating_sub(age)), ..Secondary::new(now) }
    }

    /// A check is to begin.
    pub fn is_due(&self, now: BootTime) -> bool {
        !self.is_checking && self.due <= now
    }

    /// A check begins.
    pub fn begin(&mut self, now: BootTime) {
        (self.is_checking, self.again, self.begun) = (true, false, Some(now));
    }

    /// A primary has said, or sent, what is right now. `chance` is any number.
    pub fn succeeded(&mut self, timers: Timers, now: BootTime, chance: u16) {
        self.timers = Some(timers);
        self.expires = Some(now + timers.expire);
        self.failures = 0;
        self.wait(shortened(timers.refresh, chance), now);
    }

    /// No primary has given an answer that can be used.
    pub fn failed(&mut self, now: BootTime, chance: u16) {
        let first = Duration::from_secs(1 << self.failures.min(12)).min(FIRST_RETRY_MAX);
        self.failures += 1;
        let interval = self.timers.map_or(first, |timers| timers.retry);
        self.wait(shortened(interval, chance), now);
    }

    fn wait(&mut self, interval: Duration, now: BootTime) {
        self.is_checking = false;
        self.due = if std::mem::take(&mut self.again) { self.soonest(now) } else { now + interval };
    }

    /// NOTIFY, or an order of the operator.
    pub fn heard(&mut self, now: BootTime) {
        self.again = self.is_checking;
        self.due = self.due.min(self.soonest(now));
    }

    /// Whoever can forge NOTIFYs must not have a primary asked without pause.
    fn soonest(&self, now: BootTime) -> BootTime {
        self.begun.map_or(now, |begun| now.max(begun + HEARD_CHECK_INTERVAL_MIN))
    }

    /// True once when the data has expired.
    pub fn expire(&mut self, now: BootTime) -> bool {
        let has_expired = self.expires.is_some_and(|expires| expires <= now);
        if has_expired {
            self.expires = None;
        }
        has_expired
    }

    /// When the data expires.
    pub fn expires(&self) -> Option<BootTime> {
        self.expires
    }

    /// When the next check is due; `None` during one.
    pub fn next_check(&self) -> Option<BootTime> {
        (!self.is_checking).then_some(self.due)
    }

    /// When there is something to do.
    pub fn next(&self) -> Option<BootTime> {
        self.next_check().into_iter().chain(self.expires).min()
    }
}

fn shortened(interval: Duration, chance: u16) -> Duration {
    interval - interval / 10 * u32::from(chance) / (u32::from(u16::MAX) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> BootTime = |seconds| BootTime(seconds * 1_000);

    fn timers(refresh: u64, retry: u64, expire: u64) -> Timers {
        let [refresh, retry, expire] = [refresh, retry, expire].map(Duration::from_secs);
        Timers { refresh, retry, expire }
    }

    /// The seconds at which a check begins and the data expires, where checks succeed or fail at once as `succeeds` says.
    fn life(mut secondary: Secondary, until: u64, timers: Timers, succeeds: impl Fn(u64) -> bool) -> (Vec<u64>, Vec<u64>) {
        let (mut checks, mut expired) = (Vec::new(), Vec::new());
        for second in 0..until {
            if secondary.is_due(AT(second)) {
                checks.push(second);
                secondary.begin(AT(second));
                match succeeds(second) {
                    true => secondary.succeeded(timers, AT(second), 0),
                    false => secondary.failed(AT(second), 0),
                }
            }
            if secondary.expire(AT(second)) {
                expired.push(second);
            }
        }
        (checks, expired)
    }

    #[test]
    fn refresh_retry_and_expire() {
        let (checks, expired) = life(Secondary::new(AT(0)), 60, timers(10, 3, 25), |second| second <= 10);
        assert_eq!(checks, [0, 10, 20, 23, 26, 29, 32, 35, 38, 41, 44, 47, 50, 53, 56, 59]);
        assert_eq!(expired, [35]);
        // It recovers.
        let (checks, expired) = life(Secondary::new(AT(0)), 60, timers(10, 3, 25), |second| second == 0 || second >= 50);
        assert_eq!((checks.last(), expired), (Some(&52), vec![25]));
    }

    #[test]
    fn timers_of_one_second() {
        let (checks, expired) = life(Secondary::new(AT(0)), 8, timers(1, 1, 2), |second| second < 3);
        assert_eq!((checks, expired), ((0..8).collect(), vec![4]));
    }

    #[test]
    fn without_data_the_first_checks_follow_soon() {
        let (checks, expired) = life(Secondary::new(AT(0)), 2_000, timers(10, 3, 25), |_| false);
        let gaps: Vec<u64> = checks.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[..5], [1, 2, 4, 8, 16]);
        assert_eq!((gaps.iter().max(), expired.len()), (Some(&FIRST_RETRY_MAX.as_secs()), 0));
    }

    #[test]
    fn a_copy_goes_on_to_expire() {
        let copy = |age: u64| Secondary::with_copy(timers(100, 10, 50), Duration::from_secs(age), AT(0));
        for (age, expected) in [(0, vec![50]), (30, vec![20]), (50, vec![0]), (5_000, vec![0])] {
            let (checks, expired) = life(copy(age), 60, timers(100, 10, 50), |_| false);
            assert_eq!((checks[0], checks[1], expired), (0, 10, expected), "{age}");
        }
    }

    #[test]
    fn notify_is_heeded_also_during_a_check() {
        let mut secondary = Secondary::new(AT(0));
        secondary.begin(AT(0));
        secondary.succeeded(timers(100, 10, 1_000), AT(0), 0);
        assert!(!secondary.is_due(AT(50)));
        secondary.heard(AT(50));
        assert!(secondary.is_due(AT(50)));
        secondary.begin(AT(50));
        secondary.heard(AT(51));
        assert_eq!((secondary.is_due(AT(51)), secondary.next_check()), (false, None));
        secondary.succeeded(timers(100, 10, 1_000), AT(52), 0);
        assert!(secondary.is_due(AT(52)), "what the check asked may be older than the NOTIFY");
        secondary.begin(AT(52));
        secondary.succeeded(timers(100, 10, 1_000), AT(53), 0);
        assert!(!secondary.is_due(AT(60)));
    }

    #[test]
    fn many_notifies_do_not_make_many_checks() {
        let (mut secondary, mut checks) = (Secondary::new(AT(0)), 0);
        for millisecond in 0..10_000 {
            let now = BootTime(millisecond);
            secondary.heard(now);
            if secondary.is_due(now) {
                checks += 1;
                secondary.begin(now);
                secondary.succeeded(timers(100, 10, 1_000), now, 0);
            }
        }
        assert_eq!(checks, 20, "two in a second");
    }

    #[test]
    fn intervals_are_shortened_by_a_tenth_at_most() {
        let due = |chance: u16| {
            let mut secondary = Secondary::new(AT(0));
            secondary.begin(AT(0));
            secondary.succeeded(timers(100, 10, 1_000), AT(0), chance);
            secondary.next_check().expect("not checking").0
        };
        assert_eq!((due(0), due(32_768)), (100_000, 95_000));
        assert!((90_000..90_100).contains(&due(u16::MAX)));
    }

    #[test]
    fn timers_of_a_soa() {
        let rdata = |numbers: [u32; 5]| [&[0, 0][..], &numbers.map(u32::to_be_bytes).concat()].concat();
        assert_eq!(Timers::of_soa(&rdata([7, 10, 3, 25, 60])), Some(timers(10, 3, 25)));
        assert_eq!(Timers::of_soa(&rdata([7, 0, 0, 0, 60])), Some(timers(1, 1, 1)));
        assert_eq!(Timers::of_soa(&[0; 19]), None);
    }
}
