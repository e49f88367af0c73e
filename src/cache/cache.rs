//! The cache as the rest of the program uses it: made once, shared by all workers; every call is short.
//!
//! Each kind of entry has a type of its own, which [`Cache`] hands out: [`Sets`], [`Denials`], [`Answers`], [`Failures`].
//! Here are the making of the cache, its bounds, and what an administrator does with it.

use std::collections::HashSet;

use foldhash::quality::RandomState;

use super::answers::Answers;
use super::denials::{self, CachedDenial, Denials};
use super::entries::{CacheLimits, Entries};
use super::entry::{self, Key, Kind};
use super::failures::{self, CachedFailure, Failures};
use super::nsec_ranges::NsecRanges;
use super::server_stats::Servers;
use super::sets::{self, CachedSet, Sets};
use super::store::Store;
use crate::env::{BootTime, Random};
use crate::limits::cache::{CACHE_BYTES_MIN, FLUSHED_NAMES_MAX, NSEC_RANGES_BYTES_MAX, PROTECTED_BYTES_MAX, SERVER_STATS_BYTES_MAX};
use crate::record::{Name, Question, Rtype};

/// Shared by all workers. Every call takes at most one lock at a time, and none waits for the network.
pub struct Cache {
    pub(super) entries: Entries,
    servers: Servers,
    nsec_ranges: NsecRanges,
}

/// Gauges of the cache.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct CacheStats {
    pub sets: usize,
    pub denials: usize,
    pub failures: usize,
    pub answers: usize,
    pub servers: usize,
    pub bytes: usize,
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
}

/// What a dump shows: one entry.
#[derive(Clone, Debug)]
pub enum Entry {
    Set(CachedSet),
    Denial(Question, CachedDenial),
    Failure(Question, CachedFailure),
}

impl Cache {
    /// `random` seeds the hashes, so that nobody can prepare names that collide.
    pub fn new(limits: CacheLimits, random: &Random) -> Cache {
        let bytes = limits.bytes.max(CACHE_BYTES_MIN);
        let protected = (bytes / 16).min(PROTECTED_BYTES_MAX);
        let servers = (bytes / 16).min(SERVER_STATS_BYTES_MAX);
        let nsec_ranges = (bytes / 16).min(NSEC_RANGES_BYTES_MAX);
        Cache {
            entries: Entries::new(Store::new(bytes - protected - servers - nsec_ranges, protected, random), limits),
            servers: Servers::new(servers, random),
            nsec_ranges: NsecRanges::new(nsec_ranges),
        }
    }

    /// The limits that this cache was made with.
    pub fn limits(&self) -> CacheLimits {
        self.entries.limits
    }

    /// RRsets.
    pub fn sets(&self) -> Sets<'_> {
        Sets::of(&self.entries)
    }

    /// Names and types that do not exist.
    pub fn denials(&self) -> Denials<'_> {
        Denials::of(&self.entries)
    }

    /// Ready answers.
    pub fn answers(&self) -> Answers<'_> {
        Answers::of(&self.entries)
    }

    /// Failed resolutions.
    pub fn failures(&self) -> Failures<'_> {
        Failures::of(&self.entries)
    }

    /// Statistics of servers.
    pub fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Ranges of names that proved denials cover (RFC 8198).
    pub fn nsec_ranges(&self) -> &NsecRanges {
        &self.nsec_ranges
    }

    /// Forgets a name, or a name and all names below it; returns the number of removed entries. Every ready answer is removed
    /// too, because it may contain data of any name; it is made again from the data that stays.
    pub fn flush(&self, name: &Name, subtree: bool) -> usize {
        let mut gone = 0;
        self.nsec_ranges.forget(name);
        self.entries.store.remove_all(|bytes| {
            let key = Key::of(bytes);
            let meant = if subtree { is_within(key.name, name) } else { key.name == name.as_wire() };
            let ready = matches!(key.kind, Kind::Answer | Kind::AnswerDo);
            gone += usize::from(meant && !ready && key.kind != Kind::Proved);
            meant || ready
        });
        gone
    }

    /// Forgets all names at and below these names in one pass; ready answers go as with [`flush`](Cache::flush).
    pub fn flush_below(&self, names: &[Name]) {
        if names.is_empty() {
            return;
        }
        let tops: HashSet<&[u8], RandomState> = names.iter().map(Name::as_wire).collect();
        match names {
            _ if names.len() <= FLUSHED_NAMES_MAX => names.iter().for_each(|name| self.nsec_ranges.forget(name)),
            _ => self.nsec_ranges.forget(&Name::root()),
        }
        self.entries.store.remove_all(|bytes| {
            let key = Key::of(bytes);
            matches!(key.kind, Kind::Answer | Kind::AnswerDo) || suffixes(key.name).any(|suffix| tops.contains(suffix))
        });
    }

    /// Shows every entry except ready answers, also expired ones that may still be served. No lock is held while `show` runs.
    pub fn dump(&self, now: BootTime, mut show: impl FnMut(Entry)) {
        let now_s = now.secs();
        self.entries.store.dump(|bytes| {
            let key = Key::of(bytes);
            let question = || Question::new(entry::name(bytes), Rtype(key.rtype));
            let live = entry::remaining(bytes, now_s) > 0;
            let servable = now_s.saturating_sub(entry::expires(bytes)) <= self.entries.limits.stale_max;
            match key.kind {
                Kind::Fact if entry::is_set(bytes) && servable => show(Entry::Set(sets::read(bytes, now_s, false))),
                Kind::Fact if live && entry::is_denial(bytes) => show(Entry::Denial(question(), denials::read(bytes, now_s, false))),
                Kind::Failure if live => show(Entry::Failure(question(), failures::read(bytes, now_s))),
                _ => {}
            }
        });
    }

    /// Counts all entries; takes the lock of each shard once.
    pub fn stats(&self) -> CacheStats {
        let usage = self.entries.store.usage();
        let [sets, denials, failures, answers] = usage.entries;
        CacheStats {
            sets,
            denials,
            failures,
            answers,
            servers: self.servers.count(),
            bytes: usage.bytes + self.servers.bytes() + self.nsec_ranges.bytes(),
            hits: usage.hits,
            misses: self.entries.misses(),
            evictions: usage.evictions,
        }
    }
}

/// The wire name and all its ancestors, up to the root.
fn suffixes(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(name), |rest| rest.get(1 + usize::from(*rest.first()?)..).filter(|above| !above.is_empty()))
}

fn is_within(name: &[u8], ancestor: &Name) -> bool {
    let above = ancestor.as_wire();
    let mut rest = name;
    while rest.len() > above.len() {
        rest = &rest[1 + usize::from(rest[0])..];
    }
    rest == above
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::{Rank, RrSet, Security};

    pub fn cache() -> Cache {
        Cache::new(CacheLimits { bytes: 4 << 20, ..CacheLimits::default() }, &Random::from_seed(7))
    }

    pub fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    pub fn at(secs: u64) -> BootTime {
        BootTime(secs * 1000 + 500)
    }

    pub fn a_set(owner: &str, ttl: u32, last: u8) -> RrSet {
        RrSet::with(name(owner), Rtype::A, ttl, &[192, 0, 2, last])
    }

    #[test]
    fn flush_takes_the_name_or_the_tree() {
        let owners = ["example.", "www.example.", "a.www.example.", "notexample.", "other.test."];
        for (subtree, left) in [(false, 4), (true, 2)] {
            let cache = cache();
            for owner in owners {
                cache.sets().put(&a_set(owner, 60, 1), Rank::AuthAnswer, Security::Insecure, at(0));
            }
            cache.flush(&name("example."), subtree);
            assert_eq!(owners.iter().filter(|owner| cache.sets().get(&name(owner), Rtype::A, at(1)).is_some()).count(), left);
            assert_eq!(cache.stats().sets, left);
        }
    }

    #[test]
    fn trees_go_in_one_pass() {
        let many: Vec<Name> = (0..100).map(|at| name(&format!("t{at}.test."))).collect();
        for (tops, left) in [(&many[..0], 4), (&many[..1], 3), (&many[..], 1), (&[Name::root()][..], 0)] {
            let cache = cache();
            for owner in ["test.", "t0.test.", "a.t1.test.", "b.a.t99.test."] {
                cache.sets().put(&a_set(owner, 60, 1), Rank::AuthAnswer, Security::Insecure, at(0));
            }
            cache.flush_below(tops);
            assert_eq!(cache.stats().sets, left, "{}", tops.len());
        }
    }

    #[test]
    fn a_dump_shows_what_there_is() {
        let cache = cache();
        cache.sets().put(&a_set("a.test.", 60, 1), Rank::AuthAnswer, Security::Insecure, at(0));
        cache.failures().put(
            &Question::new(name("b.test."), Rtype::A),
            &crate::record::Ede::new(crate::record::EdeCode::NETWORK_ERROR, "x"),
            5,
            at(0),
        );
        let mut seen = Vec::new();
        cache.dump(at(1), |entry| seen.push(entry));
        assert!(matches!(&seen[..], [Entry::Set(_), Entry::Failure(..)] | [Entry::Failure(..), Entry::Set(_)]), "{seen:?}");
        let stats = cache.stats();
        assert_eq!((stats.sets, stats.failures), (1, 1));
    }

    #[test]
    fn threads_share_it() {
        let cache = cache();
        std::thread::scope(|scope| {
            for worker in 0..4u8 {
                let cache = &cache;
                scope.spawn(move || {
                    for n in 0..5000u32 {
                        let owner = format!("n{}.test.", (n * 7 + u32::from(worker)) % 3000);
                        let set = a_set(&owner, 60, worker);
                        cache.sets().put(&set, Rank::AuthAnswer, Security::Insecure, at(0));
                        if let Some(got) = cache.sets().get(&set.name, Rtype::A, at(1)) {
                            assert!(got.set.name == set.name && got.set.data.first().is_some_and(|rdata| rdata[..3] == [192, 0, 2]));
                        }
                        if n % 1000 == 0 {
                            cache.flush(&name("test."), n % 2000 == 0);
                        }
                    }
                });
            }
        });
        assert!(cache.stats().bytes <= 4 << 20);
    }
}
