//! How long servers usually take from here: the mean of the first replies, then a slowly moving one. It tells how long
//! a server of which nothing is known is worth waiting for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Taken for it while nobody has replied, as if one had.
const GUESS_US: u64 = 100_000;
/// Each reply counts as one of so many.
const MEMORY: u64 = 32;
/// A reply over TCP after a time-out says little.
const SAMPLE_MOST_US: u64 = 2_000_000;

/// Shared by all workers.
pub(in crate::resolve) struct UsualRtt {
    /// Replies so far, up to `MEMORY`, in the upper half; microseconds in the lower.
    state: AtomicU64,
}

impl Default for UsualRtt {
    fn default() -> UsualRtt {
        UsualRtt { state: AtomicU64::new((1 << 32) | GUESS_US) }
    }
}

impl UsualRtt {
    pub(in crate::resolve) fn get(&self) -> Duration {
        Duration::from_micros(self.state.load(Ordering::Relaxed) & u64::from(u32::MAX))
    }

    pub(in crate::resolve) fn add(&self, rtt: Duration) {
        let sample = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).min(SAMPLE_MOST_US);
        let take = |state: u64| {
            let (count, mean) = (state >> 32, state & u64::from(u32::MAX));
            let next = (count + 1).min(MEMORY);
            Some((next << 32) | ((mean * (next - 1) + sample) / next))
        };
        // A race loses a sample of many.
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
