//! How much time failed signature checks of all questions together may cost in a second.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::env::BootTime;

/// A tenth of one core. Honest zones cause hardly any failed checks.
const FAILED_US_PER_SECOND: u32 = 100_000;

/// Shared by all workers.
#[derive(Default)]
pub(in crate::resolve) struct FailureRate {
    /// The second in the upper half, microseconds taken in it in the lower half.
    state: AtomicU64,
}

impl FailureRate {
    /// False: this second has no time left for failed checks.
    pub(in crate::resolve) fn take(&self, us: u32, now: BootTime) -> bool {
        let second = u64::from(now.secs()) << 32;
        let add = |state: u64| Some(if state >> 32 << 32 == second { state + u64::from(us) } else { second | u64::from(us) });
        let before = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or(second);
        before >> 32 << 32 != second || (before as u32).saturating_add(us) <= FAILED_US_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_the_second() {
        let failures = FailureRate::default();
        let at = |ms| BootTime(ms);
        assert!(failures.take(FAILED_US_PER_SECOND, at(5_000)));
        assert!(!failures.take(1, at(5_999)));
        assert!(failures.take(1, at(6_000)));
        assert!(!failures.take(FAILED_US_PER_SECOND, at(6_000)));
    }
}
