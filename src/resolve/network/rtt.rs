//! The usual round-trip time from here: the mean of the first replies, then a slowly moving average. It sets how long a
//! server without a history is waited for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::servers::RTT_SAMPLE_US_MAX;

/// Counts as the first reply, until there are others.
const GUESS_US: u64 = 100_000;
/// Each reply counts as one of this many.
const MEMORY: u64 = 32;

/// Shared by all workers.
pub(in crate::resolve) struct UsualRtt {
    /// The number of replies, up to `MEMORY`, in the upper half; the average in microseconds in the lower half.
    state: AtomicU64,
}

impl Default for UsualRtt {
    fn default() -> UsualRtt {
        UsualRtt { state: AtomicU64::new((1 << 32) | GUESS_US) }
    }
}

impl UsualRtt {
    /// The usual round-trip time now.
    pub(in crate::resolve) fn get(&self) -> Duration {
        Duration::from_micros(self.state.load(Ordering::Relaxed) & u64::from(u32::MAX))
    }

    /// Counts one reply.
    pub(in crate::resolve) fn add(&self, rtt: Duration) {
        let sample = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).min(RTT_SAMPLE_US_MAX);
        let take = |state: u64| {
            let (count, mean) = (state >> 32, state & u64::from(u32::MAX));
            let next = (count + 1).min(MEMORY);
            Some((next << 32) | ((mean * (next - 1) + sample) / next))
        };
        // A race between workers may lose one sample.
        let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_replies_count_most() {
        let usual = UsualRtt::default();
        let ms = |usual: &UsualRtt| usual.get().as_millis();
        let mut seen = vec![ms(&usual)];
        for reply in [20, 30, 30] {
            usual.add(Duration::from_millis(reply));
            seen.push(ms(&usual));
        }
        assert_eq!(seen, [100, 60, 50, 45]);
        (0..1000).for_each(|_| usual.add(Duration::from_millis(10)));
        assert_eq!(ms(&usual), 10);
        usual.add(Duration::from_millis(42));
        assert_eq!(ms(&usual), 11, "one of many");
        usual.add(Duration::MAX);
        assert!(ms(&usual) < 100);
    }
}
