//! Virtual time: tokio's paused clock moves it, `advance` makes it jump as after a suspended night.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cairn::env::{BootTime, Clock, WallTime};
use tokio::time::Instant;

/// Uptime when a world begins, so that "an hour ago" exists.
const BOOT_MS: u64 = 100_000_000;
/// 2026-01-01.
pub const WALL_S: u64 = 1_767_225_600;

pub struct SimClock {
    start: Instant,
    jumped_ms: AtomicU64,
    wall_at_start: AtomicU64,
}

impl SimClock {
    /// To be made, and read, inside the world's runtime.
    pub fn new() -> SimClock {
        SimClock { start: Instant::now(), jumped_ms: AtomicU64::new(0), wall_at_start: AtomicU64::new(WALL_S) }
    }

    /// Both clocks go on without anything running; time-outs do not notice.
    pub fn advance(&self, by: Duration) {
        self.jumped_ms.fetch_add(by.as_millis() as u64, Relaxed);
    }

    pub fn set_wall(&self, seconds: u64) {
        self.wall_at_start.store(seconds.saturating_sub(self.since_start().as_secs()), Relaxed);
    }

    pub fn since_start(&self) -> Duration {
        self.start.elapsed() + Duration::from_millis(self.jumped_ms.load(Relaxed))
    }
}

impl Clock for SimClock {
    fn boot(&self) -> BootTime {
        BootTime(BOOT_MS + self.since_start().as_millis() as u64)
    }

    fn wall(&self) -> WallTime {
        WallTime(self.wall_at_start.load(Relaxed) + self.since_start().as_secs())
    }
}
