//! The clocks that are read. Time-outs use tokio's own clock.

use std::ops::Add;
use std::time::Duration;

/// Milliseconds since boot, including suspend (CLOCK_BOOTTIME), so that TTLs run on while the machine sleeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BootTime(pub u64);

impl BootTime {
    /// Whole seconds, the unit of expiry times in the cache.
    pub fn secs(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// Time between two moments; zero if `earlier` is later.
    pub fn since(self, earlier: BootTime) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for BootTime {
    type Output = BootTime;

    fn add(self, more: Duration) -> BootTime {
        BootTime(self.0.saturating_add(more.as_millis() as u64))
    }
}

/// Seconds since 1970 UTC. For the dates of signatures and for files, never for TTLs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallTime(pub u64);

/// Reads the clocks; the simulation moves them by hand.
pub trait Clock: Send + Sync {
    fn boot(&self) -> BootTime;
    fn wall(&self) -> WallTime;

    /// The same in microseconds, for what people compare with other logs.
    fn wall_us(&self) -> u64 {
        self.wall().0.saturating_mul(1_000_000)
    }
}
