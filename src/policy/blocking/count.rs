//! How many answers each list has blocked. A list is known by its name, so that its count goes on when the table of lists is made
//! anew or the configuration has its lists in another order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::limits::lists::LISTS_MAX;

/// The counts of all lists there have been.
#[derive(Default, Debug)]
pub struct BlockCounts(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl BlockCounts {
    /// The count of the list with this name.
    pub(super) fn of(&self, list: &str) -> Arc<AtomicU64> {
        let mut counts = self.0.lock();
        if counts.len() > 2 * LISTS_MAX {
            // Of lists that are no more.
            counts.retain(|_, count| Arc::strong_count(count) > 1);
        }
        counts.entry(list.to_owned()).or_default().clone()
    }

    /// Name and count of each list.
    pub fn rows(&self) -> Vec<(String, u64)> {
        self.0.lock().iter().map(|(name, count)| (name.clone(), count.load(Ordering::Relaxed))).collect()
    }
}
