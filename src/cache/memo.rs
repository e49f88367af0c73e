//! A bounded table of results by name, each kept until it expires: for example the validated keys of a zone.

use foldhash::quality::RandomState;
use lru::LruCache;
use parking_lot::Mutex;

use crate::env::BootTime;
use crate::record::Name;

/// Shared by all workers.
pub struct Memo<V> {
    kept: Mutex<LruCache<Name, (V, BootTime), RandomState>>,
    most: usize,
}

impl<V: Clone> Memo<V> {
    /// Holds at most `most` names; past it the least recently used is removed.
    pub fn new(most: usize) -> Memo<V> {
        Memo { kept: Mutex::new(LruCache::unbounded_with_hasher(RandomState::default())), most: most.max(1) }
    }

    /// The value, if it has not expired.
    pub fn get(&self, name: &Name, now: BootTime) -> Option<V> {
        let mut kept = self.kept.lock();
        match kept.get(name) {
            Some((value, until)) if *until > now => Some(value.clone()),
            Some(_) => {
                kept.pop(name);
                None
            }
            None => None,
        }
    }

    /// Stores a value that expires at `until`.
    pub fn put(&self, name: Name, value: V, until: BootTime) {
        let mut kept = self.kept.lock();
        kept.put(name, (value, until));
        if kept.len() > self.most {
            kept.pop_lru();
        }
    }

    /// Forgets `name` and everything below it.
    pub fn forget(&self, name: &Name) {
        let mut kept = self.kept.lock();
        let gone: Vec<Name> = kept.iter().map(|(have, _)| have).filter(|have| have.is_within(name)).cloned().collect();
        for name in gone {
            kept.pop(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_by_count_and_time() {
        let name = |text: &str| Name::parse(text).expect(text);
        let memo = Memo::new(2);
        for (at, text) in ["a.", "b.", "c."].into_iter().enumerate() {
            memo.put(name(text), at, BootTime(10));
        }
        assert_eq!(memo.get(&name("a."), BootTime(1)), None);
        assert_eq!(memo.get(&name("c."), BootTime(1)), Some(2));
        assert_eq!(memo.get(&name("c."), BootTime(10)), None);
        memo.forget(&Name::root());
        assert_eq!(memo.get(&name("b."), BootTime(1)), None);
    }
}
