//! How much time failed signature checks may cost in a second: for one client, for one zone, and in all.
//!
//! The limit of one client or zone is lower than the limit of all, so none of them can reach the latter alone. When several of
//! them together reach it, clients and zones that have cost next to nothing in this second still get their checks, from a
//! reserve of the same size.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::env::BootTime;
use crate::limits::Limits;
use crate::record::Name;

/// Shared by all workers. Failed checks are rare, so one lock serves.
#[derive(Default)]
pub(in crate::resolve) struct FailureRate {
    second: Mutex<Second>,
}

/// What was spent in one second, in microseconds.
#[derive(Default)]
struct Second {
    at: u32,
    all: u32,
    clients: HashMap<u64, u32, RandomState>,
    zones: HashMap<Name, u32, RandomState>,
}

impl FailureRate {
    /// Notes what a failed check has cost. False: no time is left for more in this second.
    pub(in crate::resolve) fn take(&self, us: u32, client: u64, zone: &Name, now: BootTime, limits: &Limits) -> bool {
        let mut second = self.second.lock();
        if second.at != now.secs() {
            *second = Second { at: now.secs(), ..Second::default() };
        }
        let all_max = limits.failed_checks_us_per_second;
        // What was refused does not count, or one client could spend the reserve of all others.
        let granted = second.all.saturating_add(us);
        if granted > 2 * all_max || second.clients.len() + second.zones.len() >= limits.failed_checks_entries {
            return false;
        }
        let of_client = add(second.clients.entry(client).or_default(), us);
        let of_zone = add(second.zones.entry(zone.clone()).or_default(), us);
        let has_share = of_client <= all_max / limits.failed_checks_clients && of_zone <= all_max / limits.failed_checks_zones;
        let is_modest = of_client.max(of_zone) <= limits.failed_checks_us_reserved;
        let is_granted = has_share && granted <= all_max || is_modest;
        if is_granted {
            second.all = granted;
        }
        is_granted
    }
}

fn add(sum: &mut u32, us: u32) -> u32 {
    *sum = sum.saturating_add(us);
    *sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    /// Asks for `count` failed checks of 50 µs each, and returns how many of them were granted.
    fn granted(rate: &FailureRate, count: u32, client: u64, of: &str, ms: u64) -> u32 {
        (0..count).filter(|_| rate.take(50, client, &zone(of), BootTime(ms), &Limits::default())).count() as u32
    }

    #[test]
    fn one_client_or_one_zone_leaves_room_for_others() {
        let rate = FailureRate::default();
        let hostile = granted(&rate, 10_000, 1, "evil.", 5_000);
        assert!(hostile > 0 && hostile < 10_000);
        assert_eq!(granted(&rate, 10, 2, "honest.", 5_500), 10, "after one client");
        for client in 100..400 {
            granted(&rate, 20, client, "evil.", 6_000);
        }
        assert_eq!(granted(&rate, 10, 2, "honest.", 6_500), 10, "after one zone with many clients");
        assert_eq!(granted(&rate, 1, 1, "evil.", 7_000), 1, "each second anew");
    }

    #[test]
    fn many_together_leave_a_reserve_and_not_more() {
        let rate = FailureRate::default();
        for hostile in 0..40 {
            granted(&rate, 60, hostile, &format!("evil{hostile}."), 5_000);
        }
        assert!(granted(&rate, 4, 1_000, "honest.", 5_100) == 4, "a client that has cost nothing yet");
        for hostile in 0..1_000 {
            granted(&rate, 10, 2_000 + hostile, &format!("more{hostile}."), 5_200);
        }
        assert_eq!(granted(&rate, 1, 9_000, "late.", 5_300), 0, "the reserve has an end");
    }
}
