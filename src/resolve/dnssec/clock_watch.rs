//! A machine without a battery-backed clock starts in the past, where no signature is valid yet: not even those for the names
//! of the time servers that would set it.
//!
//! While the clock is before the date of this program, or before a date that was seen earlier, signature dates are not
//! checked for the names in `recursion.time-bootstrap-names`. That ends when the clock is first seen to be right, and after
//! ten minutes at the latest. Answers validated in this way are not shown as secure, and are not stored.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::env::{BootTime, WallTime};
use crate::limits::validation::CLOCK_DOUBT_MAX;

/// 2026-07-01: this program did not exist earlier.
const PROGRAM_DATE: WallTime = WallTime(1_782_864_000);

/// Decides whether the clock is certainly wrong.
pub struct ClockWatch {
    started: BootTime,
    /// Seconds since 1970: the true time is not earlier.
    earliest: AtomicU64,
    over: AtomicBool,
    is_logged: AtomicBool,
}

impl ClockWatch {
    /// `started`: when this process began.
    pub fn new(started: BootTime) -> ClockWatch {
        ClockWatch { started, earliest: AtomicU64::new(PROGRAM_DATE.0), over: AtomicBool::new(false), is_logged: AtomicBool::new(false) }
    }

    /// A valid signature was seen at this time, at an earlier run.
    pub fn seen(&self, wall: u64) {
        self.earliest.fetch_max(wall, Ordering::Relaxed);
    }

    /// Is the clock certainly wrong, and the program still in its first ten minutes?
    pub fn is_unset(&self, wall: WallTime, now: BootTime) -> bool {
        if self.over.load(Ordering::Relaxed) {
            return false;
        }
        if wall.0 >= self.earliest.load(Ordering::Relaxed) || now.since(self.started) >= CLOCK_DOUBT_MAX {
            self.over.store(true, Ordering::Relaxed);
            return false;
        }
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "this machine's clock is in the past: for the names of time servers, and for ten minutes at most, signature dates are not checked"
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_at_the_first_sane_clock_or_after_ten_minutes() {
        let (past, sane) = (WallTime(1_000), PROGRAM_DATE);
        let minute = |minutes: u64| BootTime(5_000 + minutes * 60_000);
        let watch = ClockWatch::new(minute(0));
        assert!(watch.is_unset(past, minute(1)) && watch.is_unset(past, minute(9)));
        assert!(!watch.is_unset(past, minute(10)));
        let watch = ClockWatch::new(minute(0));
        assert!(!watch.is_unset(sane, minute(1)));
        assert!(!watch.is_unset(past, minute(2)), "a clock that jumps back later is another matter");
    }

    /// A machine that was last seen next year, and starts with the date of this program.
    #[test]
    fn a_date_that_was_seen_counts_as_well() {
        let seen = WallTime(PROGRAM_DATE.0 + 365 * 86_400);
        let watch = ClockWatch::new(BootTime(0));
        watch.seen(seen.0);
        watch.seen(1_000);
        assert!(watch.is_unset(WallTime(seen.0 - 1), BootTime(1)), "a day of that year has passed already");
        assert!(!watch.is_unset(seen, BootTime(2)));
    }
}
