//! Names and types that do not exist (RFC 2308), with the SOA that limits the time and the records that prove it.
//!
//! NXDOMAIN counts for every type of its name (RFC 2308 5) and, if it is Secure, for every name below (RFC 8020): an unproved
//! NXDOMAIN of a broken server would hide a whole subtree. One that is neither proved nor the authority's own, as a forwarder
//! relays it, counts for the type that was asked for: filters and tables of hosts deny the name where they have no address of
//! one family. (Unbound keeps every unproved NXDOMAIN for its type, BIND, Knot and PowerDNS for the name.) An NXDOMAIN for a DS question comes
//! from the parent zone and counts for DS only, because a configured route or trust anchor may lead to a zone of that name
//! which the parent does not know. A denial replaces the RRset that it denies and is replaced by it, by the rules of `sets.rs`.
//!
//! The body of the entry: an octet that tells whether the first RRset is the SOA, then each RRset as owner in wire form, type
//! u16, TTL u32, length u24 and packed data, length u24 and packed signatures.

use super::entries::{CacheLimits, Entries};
use super::entry::{self, Key, TYPE_OF_NXDOMAIN};
use super::failures::Failures;
use super::sets::{self, Stored};
use crate::env::BootTime;
use crate::record::{Name, Question, Rank, RdataList, RrSet, Rtype, Security};

/// RFC 2308 5: a denial without SOA should not be cached. A few seconds keep a client's retries from reaching servers.
const TTL_WITHOUT_SOA: u32 = 5;
/// Type, TTL and the lengths of data and signatures.
const SET_FIELDS_BYTES: usize = 2 + 4 + 3 + 3;

/// What does not exist: the name, or its records of one type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DenialKind {
    NxDomain,
    NoData,
}

/// A denial to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub kind: DenialKind,
    pub soa: Option<RrSet>,
    /// NSEC or NSEC3 RRsets with their signatures.
    pub proof: Vec<RrSet>,
    pub security: Security,
    /// It is not the word of a server that is authoritative.
    pub relayed: bool,
}

/// A cached denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedDenial {
    pub kind: DenialKind,
    /// Its TTL is the remaining time of the denial.
    pub soa: Option<RrSet>,
    pub proof: Vec<RrSet>,
    pub security: Security,
    /// What its last validation found, of this run or of an earlier one.
    pub last_judged: Security,
    /// An NXDOMAIN that counts for the type that was asked for.
    pub relayed: bool,
    pub ttl: u32,
    pub age_s: u32,
    pub due_for_prefetch: bool,
}

impl CachedDenial {
    /// Whether less than a tenth of its TTL remains.
    pub fn is_waning(&self) -> bool {
        u64::from(self.ttl) * 10 <= u64::from(self.ttl) + u64::from(self.age_s)
    }
}

/// The denials of a cache.
#[derive(Clone, Copy)]
pub struct Denials<'a> {
    entries: &'a Entries,
}

impl<'a> Denials<'a> {
    pub(super) fn of(entries: &'a Entries) -> Denials<'a> {
        Denials { entries }
    }

    /// The live denial of this name, or of this type at the name.
    pub fn get(&self, question: &Question, now: BootTime) -> Option<CachedDenial> {
        let wire = question.name.as_wire();
        let found = self.look(&Key::fact(wire, question.rtype.0), now);
        found.or_else(|| self.look(&Key::fact(wire, TYPE_OF_NXDOMAIN), now))
    }

    /// All denials for this question, those too that have expired no more than `stale_max` seconds ago (RFC 8767): of the type
    /// and of the name, as they are known now and as they were last proved.
    pub fn all_stale(&self, question: &Question, now: BootTime) -> impl Iterator<Item = CachedDenial> {
        let (entries, wire, now_s) = (self.entries, question.name.as_wire(), now.secs());
        let stale_max = entries.limits.stale_max;
        let usable = move |bytes: &[u8]| {
            let past = now_s.saturating_sub(entry::expires(bytes));
            entry::is_denial(bytes) && (entry::remaining(bytes, now_s) > 0 || stale_max > 0 && past <= stale_max)
        };
        let [own, name] = [question.rtype.0, TYPE_OF_NXDOMAIN];
        [Key::fact(wire, own), Key::fact(wire, name), Key::proved(wire, own), Key::proved(wire, name)]
            .into_iter()
            .filter_map(move |key| entries.store.with(&key, now_s, |bytes, first| usable(bytes).then(|| read(bytes, now_s, first))))
    }

    /// The name and type under which such a denial of this question is kept: an NXDOMAIN mostly counts for all types.
    pub fn kept_as(question: &Question, denial: &Denial) -> Question {
        let is_certain = !denial.relayed || denial.security == Security::Secure;
        let for_all_types = denial.kind == DenialKind::NxDomain && is_certain && question.rtype != Rtype::DS;
        Question::new(question.name.clone(), if for_all_types { Rtype(TYPE_OF_NXDOMAIN) } else { question.rtype })
    }

    /// A proved NXDOMAIN for an ancestor of this name (RFC 8020), and that ancestor.
    pub fn get_nxdomain_above(&self, name: &Name, now: BootTime) -> Option<(Name, CachedDenial)> {
        name.suffixes().skip(1).find_map(|wire| {
            let denial = self.look(&Key::fact(wire, TYPE_OF_NXDOMAIN), now).filter(|denial| denial.security == Security::Secure)?;
            Some((Name::from_wire(wire).ok()?, denial))
        })
    }

    /// Stores a denial. Data that ranks higher stays, as with [`Sets::put`](super::sets::Sets::put).
    pub fn put(&self, question: &Question, denial: &Denial, now: BootTime) -> Stored {
        let ttl = negative_ttl(denial, &self.entries.limits);
        if ttl == 0 {
            return Stored::No;
        }
        let (wire, now_s) = (question.name.as_wire(), now.secs());
        let exact = Key::fact(wire, question.rtype.0);
        let kept_as = Denials::kept_as(question, denial);
        let key = Key::fact(wire, kept_as.rtype.0);
        let for_all_types = key.rtype != exact.rtype;
        let is_unproved = matches!(denial.security, Security::Indeterminate | Security::Bogus);
        let as_proved = |old: &[u8]| entry::as_proved(old, now_s, self.entries.limits.stale_max);
        if for_all_types && self.entries.store.peek(&exact, |old| stands(old, denial.security, now_s)) == Some(true) {
            return Stored::Outranked;
        }
        let (mut outranked, mut replaced) = (false, None);
        let stored = self.entries.store.update(&key, |old| {
            replaced = old.as_deref().filter(|_| is_unproved).and_then(as_proved);
            outranked = old.as_deref().is_some_and(|old| stands(old, denial.security, now_s));
            // Without SOA nothing shows the age of the denial. When it is stored again, because it was proved or used, its time
            // must not start again.
            let left = old.map_or(0, |old| if entry::is_denial(old) { entry::remaining(old, now_s) } else { 0 });
            let ttl = if denial.soa.is_none() && left > 0 { ttl.min(left) } else { ttl };
            (!outranked).then(|| encode(&key, denial, ttl, now_s))
        });
        if outranked {
            return Stored::Outranked;
        }
        if stored {
            let other = if for_all_types { exact } else { Key::fact(wire, TYPE_OF_NXDOMAIN) };
            let contradicts = for_all_types || denial.kind == DenialKind::NoData;
            let mut contradicted = None;
            self.entries.store.remove_if(&other, |old| {
                let is_doomed = contradicts && !stands(old, denial.security, now_s);
                contradicted = Some(old).filter(|_| is_doomed && is_unproved).and_then(as_proved);
                is_doomed
            });
            if is_unproved {
                self.entries.keep_proved(wire, key.rtype, replaced);
                self.entries.keep_proved(wire, other.rtype, contradicted);
            } else {
                self.entries.forget_proved(wire, question.rtype.0);
            }
            Failures::of(self.entries).remove(question);
            Failures::of(self.entries).remove(&kept_as);
        }
        if stored { Stored::Yes } else { Stored::No }
    }

    fn look(&self, key: &Key<'_>, now: BootTime) -> Option<CachedDenial> {
        let now_s = now.secs();
        let live = |bytes: &[u8]| entry::is_denial(bytes) && entry::remaining(bytes, now_s) > 0;
        self.entries.store.with(key, now_s, |bytes, first| live(bytes).then(|| read(bytes, now_s, first)))
    }

    /// Sets the TTLs of a denial's records to the time that the cache keeps them. RFC 9077: NSEC and NSEC3 records, which deny
    /// other names too, are kept no longer than the denial.
    pub fn limit(&self, denial: &mut Denial) {
        let ttl = negative_ttl(denial, &self.entries.limits);
        if let Some(soa) = &mut denial.soa {
            soa.ttl = ttl;
            let least = self.entries.limits.min_ttl;
            denial.proof.iter_mut().for_each(|set| set.ttl = set.ttl.max(least).min(ttl));
        }
    }
}

/// RFC 2308 5: the smaller of the SOA's TTL and its MINIMUM, and no longer than the proof (RFC 4035 5.3.3); within the limits of
/// the configuration. Without SOA there is nothing that `min-ttl` could lengthen.
fn negative_ttl(denial: &Denial, limits: &CacheLimits) -> u32 {
    let Some(soa) = &denial.soa else {
        return TTL_WITHOUT_SOA.min(limits.negative_max_ttl).min(limits.max_ttl);
    };
    let minimum = soa.data.first().and_then(|rdata| rdata.last_chunk::<4>()).map_or(0, |last| u32::from_be_bytes(*last));
    let proof = denial.proof.iter().map(|set| set.ttl).min().unwrap_or(u32::MAX);
    soa.ttl.min(minimum).min(proof).max(limits.min_ttl).min(limits.negative_max_ttl).min(limits.max_ttl)
}

/// Whether existing data survives a new denial. Proved data survives an unproved one. The parent's delegation survives, because
/// many servers deny NS at their own apex.
fn stands(old: &[u8], security: Security, now_s: u32) -> bool {
    if entry::remaining(old, now_s) == 0 {
        return false;
    }
    let delegation = entry::is_set(old) && Key::of(old).rtype == Rtype::NS.0 && entry::rank(old) == Rank::Referral;
    delegation || entry::security(old) == Security::Secure && security != Security::Secure
}

fn encode(key: &Key<'_>, denial: &Denial, ttl: u32, now_s: u32) -> Vec<u8> {
    let sub = entry::sub_of_denial(denial.kind == DenialKind::NxDomain, denial.security);
    let bytes_of = |set: &RrSet| set.name.as_wire().len() + SET_FIELDS_BYTES + set.data.bytes() + set.sigs.bytes();
    let body_bytes = 1 + denial.soa.iter().chain(&denial.proof).map(bytes_of).sum::<usize>();
    let mut bytes = entry::start(key, sub, ttl, now_s, body_bytes);
    bytes.push(u8::from(denial.soa.is_some()));
    for set in denial.soa.iter().chain(&denial.proof) {
        bytes.extend_from_slice(set.name.as_wire());
        bytes.extend_from_slice(&set.rtype.0.to_be_bytes());
        let set_ttl = if denial.soa.is_some() { set.ttl.min(ttl) } else { set.ttl };
        bytes.extend_from_slice(&set_ttl.to_le_bytes());
        for list in [&set.data, &set.sigs] {
            entry::push_u24(&mut bytes, list.bytes());
            bytes.extend_from_slice(list.as_packed());
        }
    }
    entry::finish(bytes)
}

/// Reads the body of a denial.
pub fn read(bytes: &[u8], now_s: u32, first_this_second: bool) -> CachedDenial {
    let (ttl, age_s) = (entry::remaining(bytes, now_s), entry::age(bytes, now_s));
    let mut at = entry::body_at(bytes);
    let has_soa = bytes[at] == 1;
    at += 1;
    let mut proof = Vec::new();
    while at < bytes.len() {
        let Some((mut set, used)) = read_set(&bytes[at..]) else { break };
        set.ttl = set.ttl.saturating_sub(age_s);
        proof.push(set);
        at += used;
    }
    let soa = (has_soa && !proof.is_empty()).then(|| {
        let mut soa = proof.remove(0);
        soa.ttl = ttl;
        soa
    });
    CachedDenial {
        kind: if entry::is_nxdomain(bytes) { DenialKind::NxDomain } else { DenialKind::NoData },
        soa,
        proof,
        security: entry::security(bytes),
        last_judged: entry::last_judged(bytes),
        relayed: entry::is_nxdomain(bytes) && ![TYPE_OF_NXDOMAIN, Rtype::DS.0].contains(&Key::of(bytes).rtype),
        ttl,
        age_s,
        due_for_prefetch: first_this_second && ttl > 0 && entry::is_waning(bytes, now_s),
    }
}

/// Whether the body has complete RRsets, and the SOA first if it says so. For octets that come from a file.
pub fn is_whole(bytes: &[u8]) -> bool {
    let Some((has_soa, mut rest)) = bytes.get(entry::body_at(bytes)..).and_then(<[u8]>::split_first) else {
        return false;
    };
    let mut first = None;
    while !rest.is_empty() {
        let Some((set, used)) = read_set(rest) else { return false };
        if !sets::is_whole_list(set.rtype, set.data.as_packed()) || !sets::is_whole_list(Rtype::RRSIG, set.sigs.as_packed()) {
            return false;
        }
        first.get_or_insert(set.rtype);
        rest = &rest[used..];
    }
    match has_soa {
        0 => true,
        1 => first == Some(Rtype::SOA),
        _ => false,
    }
}

fn read_set(bytes: &[u8]) -> Option<(RrSet, usize)> {
    let (name, mut at) = Name::from_wire_prefix(bytes).ok()?;
    let head = bytes.get(at..at + 6)?;
    let mut set = RrSet::new(name, Rtype(u16::from_be_bytes([head[0], head[1]])), entry::u32_at(head, 2));
    at += 6;
    for list in [&mut set.data, &mut set.sigs] {
        let len = entry::u24(bytes.get(at..at + 3)?, 0);
        *list = RdataList::from_packed(bytes.get(at + 3..at + 3 + len)?);
        at += 3 + len;
    }
    Some((set, at))
}

#[cfg(test)]
mod tests {
    use super::super::cache::tests::{at, cache, name};
    use super::*;

    fn soa(ttl: u32, minimum: u32) -> RrSet {
        let rdata = [&b"\x02ns\x00\x00"[..], &[0; 16], &minimum.to_be_bytes()].concat();
        RrSet::with(name("test."), Rtype::SOA, ttl, &rdata)
    }

    fn denial(kind: DenialKind, soa: Option<RrSet>, security: Security) -> Denial {
        Denial { kind, soa, proof: Vec::new(), security, relayed: false }
    }

    #[test]
    fn how_long() {
        let rows = [(Some((60, 300)), 60), (Some((300, 60)), 60), (Some((9999, 9999)), 3600), (None, 5), (Some((0, 60)), 0)];
        for (times, expected) in rows {
            let cache = cache();
            let question = Question::new(name("x.test."), Rtype::A);
            cache.denials().put(&question, &denial(DenialKind::NoData, times.map(|(ttl, min)| soa(ttl, min)), Security::Insecure), at(0));
            assert_eq!(cache.denials().get(&question, at(0)).map_or(0, |got| got.ttl), expected, "{times:?}");
        }
    }

    #[test]
    fn what_it_counts_for() {
        let cache = cache();
        let ask = |owner: &str, rtype| cache.denials().get(&Question::new(name(owner), rtype), at(1)).map(|got| got.kind);
        let put = |owner: &str, kind, security| {
            cache.denials().put(&Question::new(name(owner), Rtype::A), &denial(kind, Some(soa(60, 60)), security), at(0))
        };
        put("nodata.test.", DenialKind::NoData, Security::Insecure);
        assert_eq!((ask("nodata.test.", Rtype::A), ask("nodata.test.", Rtype::AAAA)), (Some(DenialKind::NoData), None));
        put("gone.test.", DenialKind::NxDomain, Security::Insecure);
        assert_eq!((ask("gone.test.", Rtype::MX), ask("a.gone.test.", Rtype::A)), (Some(DenialKind::NxDomain), None));
        assert!(cache.denials().get_nxdomain_above(&name("a.b.gone.test."), at(1)).is_none(), "not proved");
        put("gone.test.", DenialKind::NxDomain, Security::Secure);
        assert_eq!(cache.denials().get_nxdomain_above(&name("a.b.gone.test."), at(1)).map(|(owner, _)| owner), Some(name("gone.test.")));
        assert!(cache.denials().get_nxdomain_above(&name("gone.test."), at(1)).is_none(), "above means above");
        put("gone.test.", DenialKind::NoData, Security::Secure);
        assert_eq!(ask("gone.test.", Rtype::MX), None, "the name exists after all");
        let relayed = |security| {
            let denial = Denial { relayed: true, ..denial(DenialKind::NxDomain, Some(soa(60, 60)), security) };
            cache.denials().put(&Question::new(name("far.test."), Rtype::A), &denial, at(0));
        };
        relayed(Security::Insecure);
        assert_eq!((ask("far.test.", Rtype::A), ask("far.test.", Rtype::MX)), (Some(DenialKind::NxDomain), None));
        relayed(Security::Secure);
        assert_eq!(ask("far.test.", Rtype::MX), Some(DenialKind::NxDomain), "proved");
    }

    #[test]
    fn proofs_come_back_with_what_is_left() {
        let cache = cache();
        let question = Question::new(name("x.test."), Rtype::A);
        let mut nsec = RrSet::with(name("w.test."), Rtype::NSEC, 50, b"\x01y\x04test\x00\x00\x01\x40");
        nsec.sigs.push(b"sig");
        let put = Denial {
            kind: DenialKind::NxDomain,
            soa: Some(soa(60, 300)),
            proof: vec![nsec.clone()],
            security: Security::Secure,
            relayed: false,
        };
        cache.denials().put(&question, &put, at(0));
        let got = cache.denials().get(&question, at(20)).expect("live");
        assert_eq!((got.ttl, got.age_s, got.security), (30, 20, Security::Secure));
        assert_eq!(got.soa.map(|soa| (soa.ttl, soa.data)), Some((30, soa(60, 300).data)));
        assert_eq!((got.proof[0].ttl, &got.proof[0].sigs, got.proof.len()), (30, &nsec.sigs, 1));
        assert!(cache.denials().get(&question, at(50)).is_none());
    }

    #[test]
    fn a_delegation_is_not_denied_by_its_child() {
        let cache = cache();
        let ns = RrSet::with(name("zone.test."), Rtype::NS, 60, b"\x02ns\x00");
        cache.sets().put(&ns, Rank::Referral, Security::Indeterminate, at(0));
        let question = Question::new(ns.name.clone(), Rtype::NS);
        assert_eq!(
            cache.denials().put(&question, &denial(DenialKind::NoData, Some(soa(60, 60)), Security::Insecure), at(1)),
            Stored::Outranked
        );
        assert!(cache.sets().get(&ns.name, Rtype::NS, at(1)).is_some());
    }
}
