//! RRsets: which one may replace which, and for how long.
//!
//! The body of an RRset in its entry (`entry.rs`), after the name:
//! ```text
//!  0          1               2            3            7            10          10+d
//! ┌──────────┬───────────────┬────────────┬────────────┬────────────┬───────────┬───────────────────┐
//! │ rotation │ ready, DO = 0 │ ready, DO=1│ generation │ d: data    │ data      │ signatures        │
//! │ u8       │ groups u8     │ groups u8  │ u32        │ length u24 │ u16 + rdata each, as RdataList │
//! └──────────┴───────────────┴────────────┴────────────┴────────────┴───────────┴───────────────────┘
//! ```
//! The first four fields belong to `answers.rs`: for which policy groups (bit n: group n) the RRset alone is the whole answer,
//! and of which generation. They are cleared whenever the RRset changes.
//!
//! An RRset with TTL 0 is not stored: its walk passes it on, and it is used once (RFC 1035 3.2.1).

use super::entries::Entries;
use super::entry::{self, Key, TYPE_OF_NXDOMAIN};
use super::failures::Failures;
use crate::env::BootTime;
use crate::record::{Name, Question, Rank, RdataIter, RdataList, RrSet, Rtype, Security, rdata_has_fields};

/// Octets of the body before the data.
pub const SET_HEAD_BYTES: usize = 10;

/// A cached RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedSet {
    /// `ttl` is the remaining time; 0 when stale.
    pub set: RrSet,
    pub rank: Rank,
    pub security: Security,
    /// What its last validation found, of this run or of an earlier one.
    pub last_judged: Security,
    /// The TTL with which it was stored, within the limits of the cache.
    pub original_ttl: u32,
    pub age_s: u32,
    /// Seconds since it expired; 0 while it is live.
    pub stale_s: u32,
    /// In the last tenth of its TTL, at the first look-up of this second: it should be refreshed.
    pub due_for_prefetch: bool,
}

impl CachedSet {
    /// Whether less than a tenth of its TTL remains.
    pub fn is_waning(&self) -> bool {
        u64::from(self.set.ttl) * 10 <= u64::from(self.original_ttl)
    }
}

/// A live RRset, read in its slot.
pub struct ShownSet<'a> {
    pub data: RdataIter<'a>,
    pub rank: Rank,
    pub age_s: u32,
}

/// The result of storing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    Yes,
    /// Existing data ranks higher and was left alone.
    Outranked,
    /// Never cached: TTL 0, or too large.
    No,
}

/// The RRsets of a cache.
#[derive(Clone, Copy)]
pub struct Sets<'a> {
    entries: &'a Entries,
}

impl<'a> Sets<'a> {
    pub(super) fn of(entries: &'a Entries) -> Sets<'a> {
        Sets { entries }
    }

    /// The live RRset.
    pub fn get(&self, name: &Name, rtype: Rtype, now: BootTime) -> Option<CachedSet> {
        let found = self.look(name, rtype, now, 0);
        if found.is_none() {
            self.entries.missed();
        }
        found
    }

    /// Also an RRset that has expired no more than `stale_max` seconds ago (RFC 8767).
    pub fn get_stale(&self, name: &Name, rtype: Rtype, now: BootTime) -> Option<CachedSet> {
        self.look(name, rtype, now, self.entries.limits.stale_max)
    }

    /// The last RRset that was proved, even if unvalidated data has replaced it (RFC 8767).
    pub fn get_proved(&self, name: &Name, rtype: Rtype, now: BootTime) -> Option<CachedSet> {
        let (key, now_s) = (Key::proved(name.as_wire(), rtype.0), now.secs());
        let stale_max = self.entries.limits.stale_max;
        self.entries.store.with(&key, now_s, |bytes, first| usable(bytes, now_s, stale_max).then(|| read(bytes, now_s, first)))
    }

    /// Shows a live RRset in its slot, without a copy. The lock is held while `show` runs.
    pub fn show<R>(&self, name: &[u8], rtype: Rtype, now: BootTime, mut show: impl FnMut(ShownSet<'_>) -> R) -> Option<R> {
        let (key, now_s) = (Key::fact(name, rtype.0), now.secs());
        let found = self.entries.store.with(&key, now_s, |bytes, _| {
            usable(bytes, now_s, 0)
                .then(|| show(ShownSet { data: RdataIter::over(data(bytes)), rank: entry::rank(bytes), age_s: entry::age(bytes, now_s) }))
        });
        if found.is_none() {
            self.entries.missed();
        }
        found
    }

    fn look(&self, name: &Name, rtype: Rtype, now: BootTime, stale_max: u32) -> Option<CachedSet> {
        let (key, now_s) = (Key::fact(name.as_wire(), rtype.0), now.secs());
        self.entries.store.with(&key, now_s, |bytes, first| usable(bytes, now_s, stale_max).then(|| read(bytes, now_s, first)))
    }

    /// Stores an RRset. RFC 2181 5.4.1: live data of a higher rank stays; equal rank replaces. Besides, while a Secure RRset or
    /// denial is live, only Secure data replaces it (store the RRset again once it is proved). The NS RRset of the child zone
    /// never lives longer than the delegation that it replaces, so that a zone whose parent has removed it ends when the
    /// delegation expires (ghost domains). A new referral, which only the parent can give, may prolong it.
    pub fn put(&self, set: &RrSet, rank: Rank, security: Security, now: BootTime) -> Stored {
        let ttl = self.entries.limits.ttl_within(set.ttl);
        if ttl == 0 || set.data.is_empty() {
            return Stored::No;
        }
        let now_s = now.secs();
        let nxdomain = Key::fact(set.name.as_wire(), TYPE_OF_NXDOMAIN);
        if rank.may_answer() {
            let proved = |bytes: &[u8]| entry::remaining(bytes, now_s) > 0 && entry::security(bytes) == Security::Secure;
            if security != Security::Secure && self.entries.store.peek(&nxdomain, |bytes| proved(bytes)) == Some(true) {
                return Stored::Outranked;
            }
        }
        let key = Key::fact(set.name.as_wire(), set.rtype.0);
        let is_unproved = matches!(security, Security::Indeterminate | Security::Bogus);
        let as_proved = |old: &[u8]| entry::as_proved(old, now_s, self.entries.limits.stale_max);
        let (mut outranked, mut replaced) = (false, None);
        let stored = self.entries.store.update(&key, |old| {
            let mut ttl = ttl;
            replaced = old.as_deref().filter(|_| is_unproved).and_then(as_proved);
            if let Some(old) = old.filter(|old| entry::remaining(old, now_s) > 0) {
                outranked = !may_replace(old, rank, security);
                if set.rtype == Rtype::NS && rank > Rank::Referral && entry::is_set(old) {
                    ttl = ttl.min(entry::remaining(old, now_s));
                }
            }
            (!outranked).then(|| encode(&key, set, rank, security, ttl, now_s))
        });
        if outranked {
            return Stored::Outranked;
        }
        if stored && is_unproved {
            self.entries.keep_proved(set.name.as_wire(), set.rtype.0, replaced);
        }
        if stored && rank.may_answer() {
            let mut denied = None;
            self.entries.store.remove_if(&nxdomain, |old| {
                denied = Some(old).filter(|_| is_unproved).and_then(as_proved);
                true
            });
            match is_unproved {
                true => self.entries.keep_proved(set.name.as_wire(), TYPE_OF_NXDOMAIN, denied),
                false => self.entries.forget_proved(set.name.as_wire(), set.rtype.0),
            }
            Failures::of(self.entries).remove(&Question::new(set.name.clone(), set.rtype));
        }
        if stored { Stored::Yes } else { Stored::No }
    }

    /// Stores the result of a validation, if the RRset is still the one that was validated. `ttl_cap` may shorten its time (the
    /// end of a signature, RFC 4035 5.3.3; the short time of a bogus RRset). A live Secure RRset stays Secure: the reply that
    /// brought it once more says nothing against it. Other data that was validated is kept beside the bogus one.
    pub fn mark_security(&self, set: &RrSet, security: Security, ttl_cap: Option<u32>, now: BootTime) -> bool {
        let key = Key::fact(set.name.as_wire(), set.rtype.0);
        let now_s = now.secs();
        let is_bogus = security == Security::Bogus;
        let mut proved = None;
        let marked = self.entries.store.peek(&key, |bytes| {
            let same = entry::is_set(bytes) && data(bytes) == set.data.as_packed() && sigs(bytes) == set.sigs.as_packed();
            let stands = is_bogus && entry::security(bytes) == Security::Secure && entry::remaining(bytes, now_s) > 0;
            if same && !stands {
                proved = Some(&*bytes).filter(|_| is_bogus).and_then(|old| entry::as_proved(old, now_s, self.entries.limits.stale_max));
                entry::set_security(bytes, security);
                clear_ready(bytes);
                if let Some(cap) = ttl_cap {
                    entry::shorten(bytes, cap, now_s);
                }
            }
            same && !stands
        });
        self.entries.keep_proved(set.name.as_wire(), set.rtype.0, proved);
        marked == Some(true)
    }

    /// Removes the RRset or denial of this name and type.
    pub fn remove(&self, name: &Name, rtype: Rtype) -> bool {
        let key = Key::fact(name.as_wire(), rtype.0);
        self.entries.store.remove_if(&key, |_| true)
    }
}

fn may_replace(old: &[u8], rank: Rank, security: Security) -> bool {
    if entry::security(old) == Security::Secure && security != Security::Secure {
        return false;
    }
    rank >= entry::rank(old)
}

fn usable(bytes: &[u8], now_s: u32, stale_max: u32) -> bool {
    let past = now_s.saturating_sub(entry::expires(bytes));
    entry::is_set(bytes) && (entry::remaining(bytes, now_s) > 0 || stale_max > 0 && past <= stale_max)
}

fn encode(key: &Key<'_>, set: &RrSet, rank: Rank, security: Security, ttl: u32, now_s: u32) -> Vec<u8> {
    let body_bytes = SET_HEAD_BYTES + set.data.bytes() + set.sigs.bytes();
    let mut bytes = entry::start(key, entry::sub_of_set(rank, security), ttl, now_s, body_bytes);
    bytes.extend_from_slice(&[0; 7]);
    entry::push_u24(&mut bytes, set.data.bytes());
    bytes.extend_from_slice(set.data.as_packed());
    bytes.extend_from_slice(set.sigs.as_packed());
    entry::finish(bytes)
}

/// Reads the body of an RRset.
pub fn read(bytes: &[u8], now_s: u32, first_this_second: bool) -> CachedSet {
    let remaining = entry::remaining(bytes, now_s);
    CachedSet {
        set: RrSet {
            name: entry::name(bytes),
            rtype: Rtype(Key::of(bytes).rtype),
            ttl: remaining,
            data: RdataList::from_packed(data(bytes)),
            sigs: RdataList::from_packed(sigs(bytes)),
        },
        rank: entry::rank(bytes),
        security: entry::security(bytes),
        last_judged: entry::last_judged(bytes),
        original_ttl: entry::ttl(bytes),
        age_s: entry::age(bytes, now_s),
        stale_s: now_s.saturating_sub(entry::expires(bytes)),
        due_for_prefetch: first_this_second && remaining > 0 && entry::is_waning(bytes, now_s),
    }
}

/// Clears the marks of ready answers.
pub fn clear_ready(bytes: &mut [u8]) {
    let at = entry::body_at(bytes);
    bytes[at + 1..at + 3].fill(0);
}

/// Clears the marks and the rotation, as in an RRset that was never given out.
pub fn clear_marks(bytes: &mut [u8]) {
    let at = entry::body_at(bytes);
    bytes[at..at + 7].fill(0);
}

/// Whether a body with at least one record, all of them well-formed, follows the name. For octets that come from a file.
pub fn is_whole(bytes: &[u8], rtype: Rtype) -> bool {
    let at = entry::body_at(bytes);
    let lists = bytes.get(at..at + SET_HEAD_BYTES).and_then(|head| bytes[at + SET_HEAD_BYTES..].split_at_checked(entry::u24(head, 7)));
    lists.is_some_and(|(data, sigs)| !data.is_empty() && is_whole_list(rtype, data) && is_whole_list(Rtype::RRSIG, sigs))
}

/// Whether this is exactly a packed list of RDATA that a message could have brought.
pub fn is_whole_list(rtype: Rtype, packed: &[u8]) -> bool {
    let mut items = RdataIter::over(packed);
    let mut bytes = 0;
    items.by_ref().all(|rdata| {
        bytes += 2 + rdata.len();
        rdata_has_fields(rtype, rdata)
    }) && bytes == packed.len()
}

/// The data, packed as in `RdataList`.
pub fn data(bytes: &[u8]) -> &[u8] {
    let at = entry::body_at(bytes);
    &bytes[at + SET_HEAD_BYTES..at + SET_HEAD_BYTES + entry::u24(bytes, at + 7)]
}

/// The signatures, packed as in `RdataList`.
pub fn sigs(bytes: &[u8]) -> &[u8] {
    let at = entry::body_at(bytes);
    &bytes[at + SET_HEAD_BYTES + entry::u24(bytes, at + 7)..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cache::Cache;
    use super::super::cache::tests::{a_set, at, cache, name};
    use super::super::denials::{Denial, DenialKind};
    use super::*;

    #[test]
    fn the_drawing_is_true() {
        let mut set = a_set("a.", 60, 9);
        set.sigs.push(b"signature");
        let key = Key::fact(set.name.as_wire(), 1);
        let bytes = encode(&key, &set, Rank::AuthAnswer, Security::Secure, 60, 0);
        let body = [&[0; 7][..], &[6, 0, 0], &[0, 4, 192, 0, 2, 9], b"\x00\x09signature"].concat();
        assert_eq!(&bytes[entry::body_at(&bytes)..], body);
        let got = read(&bytes, 20, true);
        assert_eq!((got.set.ttl, &got.set.data, &got.set.sigs, got.age_s), (40, &set.data, &set.sigs, 20));
    }

    #[test]
    fn ranks_decide() {
        use Rank::{Additional, Answer, AuthAnswer, AuthAuthority, Glue, Referral};
        use Security::{Bogus, Indeterminate, Insecure, Secure};
        let rows = [
            (AuthAnswer, Insecure, Glue, Insecure, false),
            (AuthAnswer, Insecure, AuthAuthority, Insecure, false),
            (AuthAnswer, Insecure, AuthAnswer, Insecure, true),
            (Answer, Insecure, AuthAnswer, Indeterminate, true),
            (Glue, Indeterminate, Additional, Indeterminate, true),
            (Referral, Indeterminate, Glue, Indeterminate, false),
            (AuthAnswer, Secure, AuthAnswer, Indeterminate, false),
            (Answer, Secure, AuthAnswer, Bogus, false),
            (AuthAnswer, Secure, AuthAnswer, Secure, true),
            (AuthAnswer, Bogus, AuthAnswer, Secure, true),
        ];
        for (old_rank, old_security, rank, security, replaced) in rows {
            let cache = cache();
            assert_eq!(cache.sets().put(&a_set("x.test.", 60, 1), old_rank, old_security, at(0)), Stored::Yes);
            let stored = cache.sets().put(&a_set("x.test.", 60, 2), rank, security, at(59));
            let row = format!("{old_rank:?} {old_security:?} <- {rank:?} {security:?}");
            assert_eq!(stored == Stored::Yes, replaced, "{row}");
            let got = cache.sets().get(&name("x.test."), Rtype::A, at(59)).expect("live");
            assert_eq!(got.set.data.first().map(|rdata| rdata[3]), Some(if replaced { 2 } else { 1 }), "{row}");
            assert_eq!(cache.sets().put(&a_set("x.test.", 60, 3), Glue, Indeterminate, at(120)), Stored::Yes, "nothing live: {row}");
        }
    }

    #[test]
    fn time_passes() {
        let cache = cache();
        let owner = name("x.test.");
        cache.sets().put(&a_set("x.test.", 100, 1), Rank::AuthAnswer, Security::Insecure, at(1000));
        let get = |secs| cache.sets().get(&owner, Rtype::A, at(secs)).map(|got| (got.set.ttl, got.age_s, got.due_for_prefetch));
        assert_eq!(get(1000), Some((100, 0, false)));
        assert_eq!(get(1089), Some((11, 89, false)));
        assert_eq!(get(1090), Some((10, 90, true)));
        assert_eq!(get(1090), Some((10, 90, false)), "once a second");
        assert_eq!(get(1099), Some((1, 99, true)));
        assert_eq!(get(1100), None);
        let stale = |secs| cache.sets().get_stale(&owner, Rtype::A, at(secs)).map(|got| (got.set.ttl, got.stale_s));
        assert_eq!(stale(1107), Some((0, 7)));
        assert_eq!(stale(1100 + 86_400), Some((0, 86_400)));
        assert_eq!(stale(1101 + 86_400), None);
    }

    #[test]
    fn ttls_are_held_within_limits() {
        for (ttl, min_ttl, kept) in [
            (0, 0, None),
            (0, 5, Some(5)),
            (1, 5, Some(5)),
            (9, 5, Some(9)),
            (1 << 30, 5, Some(172_800)),
            (1 << 31, 5, Some(5)),
            (1 << 31, 0, None),
        ] {
            let limits = super::super::CacheLimits { bytes: 1 << 20, min_ttl, ..Default::default() };
            let cache = Cache::new(limits, &crate::env::Random::from_seed(1));
            cache.sets().put(&a_set("x.test.", ttl, 1), Rank::AuthAnswer, Security::Insecure, at(5));
            assert_eq!(cache.sets().get(&name("x.test."), Rtype::A, at(5)).map(|got| got.set.ttl), kept, "{ttl}");
        }
    }

    #[test]
    fn a_ghost_cannot_prolong_itself() {
        let cache = cache();
        let ns = |ttl, server: &[u8]| RrSet::with(name("ghost.test."), Rtype::NS, ttl, server);
        let (parents, childs) = (b"\x01p\x00", b"\x01c\x00");
        let ttl = |secs| cache.sets().get(&name("ghost.test."), Rtype::NS, at(secs)).map(|got| got.set.ttl);
        cache.sets().put(&ns(300, parents), Rank::Referral, Security::Indeterminate, at(0));
        cache.sets().put(&ns(86_400, parents), Rank::AuthAuthority, Security::Indeterminate, at(100));
        assert_eq!(ttl(100), Some(200));
        // Other data does not help it either.
        cache.sets().put(&ns(86_400, childs), Rank::AuthAnswer, Security::Indeterminate, at(200));
        assert_eq!(ttl(200), Some(100));
        assert_eq!(ttl(300), None);
        // Another referral from the parent does.
        cache.sets().put(&ns(300, parents), Rank::Referral, Security::Indeterminate, at(300));
        cache.sets().put(&ns(300, parents), Rank::Referral, Security::Indeterminate, at(500));
        assert_eq!(ttl(500), Some(300));
    }

    #[test]
    fn sets_and_denials_exclude_each_other() {
        let cache = cache();
        let question = Question::new(name("x.test."), Rtype::A);
        let soa = RrSet::with(name("test."), Rtype::SOA, 60, b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x3c");
        let denial = |kind, security| Denial { kind, soa: Some(soa.clone()), proof: Vec::new(), security, relayed: false };
        for kind in [DenialKind::NxDomain, DenialKind::NoData] {
            cache.sets().put(&a_set("x.test.", 60, 1), Rank::AuthAnswer, Security::Insecure, at(0));
            assert!(cache.denials().get(&question, at(0)).is_none());
            assert_eq!(cache.denials().put(&question, &denial(kind, Security::Insecure), at(0)), Stored::Yes);
            assert!(
                cache.sets().get(&question.name, Rtype::A, at(0)).is_none()
                    && cache.sets().get_stale(&question.name, Rtype::A, at(0)).is_none()
            );
            assert!(cache.denials().get(&question, at(0)).is_some_and(|got| got.kind == kind));
        }
        cache.sets().put(&a_set("x.test.", 60, 1), Rank::AuthAnswer, Security::Insecure, at(0));
        assert!(cache.denials().get(&question, at(0)).is_none());
        for kind in [DenialKind::NxDomain, DenialKind::NoData] {
            cache.denials().put(&question, &denial(kind, Security::Secure), at(0));
            assert_eq!(cache.sets().put(&a_set("x.test.", 60, 1), Rank::AuthAnswer, Security::Insecure, at(1)), Stored::Outranked);
            assert_eq!(cache.sets().put(&a_set("x.test.", 60, 1), Rank::AuthAnswer, Security::Secure, at(1)), Stored::Yes);
            assert_eq!(cache.denials().put(&question, &denial(kind, Security::Insecure), at(1)), Stored::Outranked);
        }
    }

    #[test]
    fn only_what_was_validated_is_marked() {
        let cache = cache();
        let (old, new) = (a_set("x.test.", 60, 1), a_set("x.test.", 60, 2));
        cache.sets().put(&old, Rank::AuthAnswer, Security::Indeterminate, at(0));
        assert!(cache.sets().mark_security(&old, Security::Bogus, Some(10), at(5)));
        assert_eq!(cache.sets().get(&old.name, Rtype::A, at(5)).map(|got| (got.security, got.set.ttl)), Some((Security::Bogus, 10)));
        cache.sets().put(&new, Rank::AuthAnswer, Security::Indeterminate, at(6));
        assert!(!cache.sets().mark_security(&old, Security::Secure, None, at(7)));
        assert_eq!(cache.sets().get(&old.name, Rtype::A, at(7)).map(|got| got.security), Some(Security::Indeterminate));
        assert!(cache.sets().remove(&old.name, Rtype::A) && cache.sets().get(&old.name, Rtype::A, at(7)).is_none());
    }

    /// What the cache should do, said slowly: rank, security, rdata, when it ends.
    type Model = std::collections::HashMap<u8, (Rank, Security, u8, u64)>;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn agrees_with_a_slow_model(ops in proptest::collection::vec((0..12u8, 1..=6u8, 0..4u8, 1..40u32, any::<u8>(), 0..15u64), 1..200)) {
            let cache = cache();
            let (mut model, mut now) = (Model::new(), 1000u64);
            for (who, rank, security, ttl, last, wait) in ops {
                now += wait;
                let (rank, security) = (Rank::from_u8(rank).expect("rank"), Security::from_u8(security).expect("security"));
                let owner = format!("n{who}.test.");
                let live = model.get(&who).filter(|old| old.3 > now);
                let keeps = live.is_some_and(|old| old.0 > rank || old.1 == Security::Secure && security != Security::Secure);
                prop_assert_eq!(cache.sets().put(&a_set(&owner, ttl, last), rank, security, at(now)) == Stored::Outranked, keeps);
                if !keeps {
                    model.insert(who, (rank, security, last, now + u64::from(ttl)));
                }
                for other in 0..12u8 {
                    let got = cache.sets().get(&name(&format!("n{other}.test.")), Rtype::A, at(now));
                    let got = got.map(|got| (got.rank, got.security, got.set.data.first().map_or(0, |rdata| rdata[3]), now + u64::from(got.set.ttl)));
                    prop_assert_eq!(got, model.get(&other).filter(|old| old.3 > now).copied());
                }
            }
        }
    }
}
