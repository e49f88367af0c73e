//! The kernel's clocks, read with plain `clock_gettime`, so that a library that replaces that function in the process
//! (a preloaded test clock) moves Cairn's time as well.
//!
//! CLOCK_BOOTTIME and not CLOCK_MONOTONIC: after a day of suspend, TTLs must be a day shorter.

#![allow(unsafe_code)]

use super::super::clock::{BootTime, Clock, WallTime};

/// The clocks of the kernel.
pub struct RealClock;

impl Clock for RealClock {
    fn boot(&self) -> BootTime {
        let time = read(libc::CLOCK_BOOTTIME);
        BootTime((time.tv_sec as u64).saturating_mul(1000).saturating_add(time.tv_nsec as u64 / 1_000_000))
    }

    /// A wall clock set before 1970 reads as 1970.
    fn wall(&self) -> WallTime {
        WallTime(u64::try_from(read(libc::CLOCK_REALTIME).tv_sec).unwrap_or(0))
    }

    fn wall_us(&self) -> u64 {
        let time = read(libc::CLOCK_REALTIME);
        u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000).saturating_add(time.tv_nsec as u64 / 1_000)
    }
}

fn read(clock: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that the kernel may write. Both clocks exist on every Linux since 2.6.39; if the call
    // fails, `time` stays zero.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_goes_on_and_wall_time_is_of_this_century() {
        let before = RealClock.boot();
        assert!(before > BootTime(0));
        assert!(RealClock.boot() >= before);
        assert!(RealClock.wall() > WallTime(946_684_800));
        assert!(RealClock.wall_us() / 1_000_000 - RealClock.wall().0 <= 1);
    }
}
