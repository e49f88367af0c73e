//! How long the first server is waited for before a second one is asked, and how many second queries may be sent.
//!
//! A server with a history is waited for as long as its round-trip times make likely. Of servers without one that serve many
//! zones two are raced at once, since the measurement will be useful again; any other is waited for about as long as servers
//! usually take from here: less while many second queries are still allowed, more while few are. Each query earns a
//! twenty-first of a second one, so that second queries stay below 5 % of all queries however slow servers become.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::cache::Standing;
use crate::limits::servers::{SECOND_QUERIES_SAVED_MAX, SECOND_QUERY_MARGIN_MIN};

/// Queries that earn one second query.
const PRICE: u32 = 21;

/// Shared by all workers.
#[derive(Default)]
pub struct SecondQueryAllowance {
    /// Counted in queries: `PRICE` of them pay for one second query.
    earned: AtomicU32,
}

impl SecondQueryAllowance {
    /// A query was sent.
    pub fn earn(&self) {
        let _ = self
            .earned
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |earned| (earned < SECOND_QUERIES_SAVED_MAX * PRICE).then_some(earned + 1));
    }

    /// True if a second query may be sent. A race of the two address families costs nothing: it ends
    /// with the first reply of each.
    pub fn take(&self, race: bool) -> bool {
        race || self.earned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |earned| earned.checked_sub(PRICE)).is_ok()
    }

    /// How long the first server is waited for before a second one is asked.
    pub fn patience(&self, first: &Standing, shared: bool, usual_rtt: Duration) -> Duration {
        patience(first, shared, usual_rtt, self.earned.load(Ordering::Relaxed))
    }
}

fn patience(first: &Standing, shared: bool, usual_rtt: Duration, earned: u32) -> Duration {
    match first.rtt {
        Some(rtt) => rtt + (first.variance * 4).max(SECOND_QUERY_MARGIN_MIN),
        None if shared => Duration::ZERO,
        None => usual_rtt + usual_rtt * 2 * (SECOND_QUERIES_SAVED_MAX * PRICE).saturating_sub(earned) / (SECOND_QUERIES_SAVED_MAX * PRICE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_one_in_twenty() {
        let allowance = SecondQueryAllowance::default();
        assert!(!allowance.take(false), "nothing is earned yet");
        let (mut queries, mut second) = (0, 0);
        for _ in 0..10_000 {
            allowance.earn();
            queries += 1;
            if allowance.take(false) {
                allowance.earn();
                (queries, second) = (queries + 1, second + 1);
            }
            assert!(second * 20 <= queries);
        }
        assert!(second * 22 > queries, "{second} of {queries}");
        (0..1_000_000).for_each(|_| allowance.earn());
        assert_eq!((0..1_000).filter(|_| allowance.take(false)).count() as u32, SECOND_QUERIES_SAVED_MAX);
    }

    #[test]
    fn patience_by_what_is_known() {
        let ms = Duration::from_millis;
        let standing = |rtt: Option<u64>, variance| Standing { rtt: rtt.map(ms), variance: ms(variance), ..Standing::UNKNOWN };
        let rows = [
            (standing(Some(10), 1), true, 0, 20),
            (standing(Some(100), 30), false, 0, 220),
            (standing(None, 0), true, 0, 0),
            (standing(None, 0), false, 0, 120),
            (standing(None, 0), false, SECOND_QUERIES_SAVED_MAX * PRICE / 2, 80),
            (standing(None, 0), false, SECOND_QUERIES_SAVED_MAX * PRICE, 40),
        ];
        for (first, shared, earned, expected) in rows {
            assert_eq!(patience(&first, shared, ms(40), earned), ms(expected), "{first:?} with {earned}");
        }
    }
}
