//! What has been found out about the network's translator (NAT64): its prefix, or when a search for it ended without one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use crate::config::TranslationPrefix;
use crate::env::BootTime;

/// A network that has no translator is asked again after this time, or when it changes.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What is known of the network's translator. Shared by all workers.
#[derive(Default)]
pub struct FoundTranslator {
    pub(in crate::resolve) prefix: ArcSwapOption<TranslationPrefix>,
    /// When a search ended without one, in milliseconds since boot, plus one; 0: never.
    pub(in crate::resolve) missed: AtomicU64,
    /// Held by the walk that looks, while others wait for what it finds.
    pub(in crate::resolve) looking: Mutex<()>,
}

impl FoundTranslator {
    /// The prefix, if it was found.
    pub fn prefix(&self) -> Option<TranslationPrefix> {
        self.prefix.load().as_ref().map(|prefix| **prefix)
    }

    /// Another network may have another translator.
    pub fn forget(&self) {
        self.prefix.store(None);
        self.missed.store(0, Ordering::Relaxed);
    }

    /// Whether enough time has passed since a search without result.
    pub fn may_look(&self, now: BootTime) -> bool {
        match self.missed.load(Ordering::Relaxed) {
            0 => true,
            missed => now.since(BootTime(missed - 1)) >= LOOK_AGAIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_without_a_translator_is_not_asked_all_the_time() {
        let found = FoundTranslator::default();
        assert!(found.may_look(BootTime(5)));
        found.missed.store(10_001, Ordering::Relaxed);
        assert!(!found.may_look(BootTime(69_999)) && found.may_look(BootTime(70_000)));
        found.forget();
        assert!(found.may_look(BootTime(10_001)));
        found.prefix.store(Some(TranslationPrefix::WELL_KNOWN.into()));
        assert_eq!(found.prefix(), Some(TranslationPrefix::WELL_KNOWN));
        found.forget();
        assert_eq!(found.prefix(), None);
    }
}
