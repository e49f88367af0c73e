//! When a reader that has failed is tried again: after a second, then twice as long after each further failure, a minute at most. A
//! stream that stood for that minute ends the row of failures; one that broke before does not, because a reader that accepts a stream
//! and then reads nothing would otherwise be tried each second.

use std::time::Duration;

use crate::env::BootTime;
use crate::limits::server::{DNSTAP_RETRY_AFTER, DNSTAP_RETRY_MAX};

#[derive(Default)]
pub(super) struct BackOff {
    /// Before the next attempt, if the present one fails; zero: nothing has failed.
    wait: Duration,
    retry_at: Option<BootTime>,
    /// When the present stream began.
    began: Option<BootTime>,
}

impl BackOff {
    pub(super) fn is_due(&self, now: BootTime) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    /// There is a stream.
    pub(super) fn stands(&mut self, now: BootTime) {
        (self.retry_at, self.began) = (None, Some(now));
    }

    /// There is none, or no longer.
    pub(super) fn failed(&mut self, now: BootTime) {
        if self.began.take().is_some_and(|began| now.since(began) >= DNSTAP_RETRY_MAX) {
            self.wait = Duration::ZERO;
        }
        let wait = (self.wait * 2).clamp(DNSTAP_RETRY_AFTER, DNSTAP_RETRY_MAX);
        (self.wait, self.retry_at) = (wait, Some(now + wait));
    }

    /// The operator asks for another attempt.
    pub(super) fn forget(&mut self) {
        (self.wait, self.retry_at) = (Duration::ZERO, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until the next attempt.
    fn wait(back_off: &BackOff, now: BootTime) -> u64 {
        (0..1_000).find(|seconds| back_off.is_due(now + Duration::from_secs(*seconds))).expect("some time")
    }

    #[test]
    fn each_failure_doubles_the_wait() {
        let (mut back_off, now) = (BackOff::default(), BootTime(1_000_000));
        assert_eq!(wait(&back_off, now), 0);
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                back_off.failed(now);
                wait(&back_off, now)
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        back_off.forget();
        assert_eq!(wait(&back_off, now), 0);
        back_off.failed(now);
        assert_eq!(wait(&back_off, now), 1);
    }

    #[test]
    fn a_stream_that_stood_ends_the_row_and_one_that_broke_soon_does_not() {
        let (mut back_off, mut now) = (BackOff::default(), BootTime(1_000_000));
        (0..3).for_each(|_| back_off.failed(now));
        back_off.stands(now);
        now = now + Duration::from_secs(5);
        back_off.failed(now);
        assert_eq!(wait(&back_off, now), 8);
        back_off.stands(now);
        now = now + DNSTAP_RETRY_MAX;
        back_off.failed(now);
        assert_eq!(wait(&back_off, now), 1);
    }
}
