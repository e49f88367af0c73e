//! From a trust anchor or a DS RRset to the keys of a zone (RFC 4035 5.2, RFC 4509, RFC 6840 5.11).
//!
//! A DNSKEY that the parent (or the operator) vouches for must have signed the DNSKEY RRset; then every key of the RRset is a
//! key of the zone. One valid path is enough. If none of the keys vouched for is supported (algorithm, digest or key size), the
//! zone is insecure, not bogus. If a supported key is missing from the DNSKEY RRset, which an attacker may have removed, the
//! zone is bogus.

use aws_lc_rs::digest;
use smallvec::SmallVec;

use super::budget::{Bound, Cost, WorkBudget};
use super::key::{DnskeyView, KeyFault, ParsedKey, Sha1Policy, algorithm_supported};
use super::reason::{Fault, Insecurity, Reason};
use super::rrsig::Now;
use super::set::{SetTrial, Verified, verify_by};
use crate::limits::validation::KEYS_PER_STEP_MAX;
use crate::record::{Name, RrSet, Rtype, Validated};

/// The keys of one zone, proved and parsed. Only this file makes such a value.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    zone: Name,
    keys: Vec<ParsedKey>,
    ttl: u32,
    dnskeys: Verified,
}

impl ZoneKeys {
    /// The zone whose keys these are.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// Every key of the DNSKEY RRset that is supported.
    pub fn keys(&self) -> &[ParsedKey] {
        &self.keys
    }

    /// Seconds that the keys may be used: no longer than the DNSKEY RRset, its signature and the DS RRset.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The DNSKEY RRset, and the key vouched for by DS or anchor that signed it.
    pub fn dnskeys(&self) -> &Verified {
        &self.dnskeys
    }
}

/// Checks `set` with the keys of the zone that holds it.
pub fn verify_set(set: &RrSet, keys: &ZoneKeys, now: Now, work: &mut WorkBudget) -> Result<Verified, Reason> {
    verify_by(set, keys.zone(), keys.keys(), now, work)
}

/// Security status of a zone, with its keys if it is secure.
#[derive(Clone, Debug)]
pub enum KeyVerdict {
    Secure(ZoneKeys),
    Insecure(Insecurity),
    Bogus(Reason),
}

/// A trust anchor, configured or built in, at any name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchor {
    pub name: Name,
    form: AnchorForm,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum AnchorForm {
    Ds(Vec<u8>),
    Dnskey(Vec<u8>),
}

impl Anchor {
    /// Reads a DS or DNSKEY record; any other type, and RDATA that cannot be read, gives no anchor.
    pub fn from_record(name: Name, rtype: Rtype, rdata: &[u8]) -> Option<Anchor> {
        let form = match rtype {
            Rtype::DS if DsView::read(rdata).is_some() => AnchorForm::Ds(rdata.to_vec()),
            Rtype::DNSKEY if DnskeyView::read(rdata).is_some() => AnchorForm::Dnskey(rdata.to_vec()),
            _ => return None,
        };
        Some(Anchor { name, form })
    }

    /// Tag of the key that is meant.
    pub fn key_tag(&self) -> u16 {
        match &self.form {
            AnchorForm::Ds(rdata) => DsView::read(rdata).map_or(0, |ds| ds.key_tag),
            AnchorForm::Dnskey(rdata) => DnskeyView::read(rdata).map_or(0, |key| key.key_tag),
        }
    }

    /// DNSSEC algorithm of the key that is meant.
    pub fn algorithm(&self) -> u8 {
        match &self.form {
            AnchorForm::Ds(rdata) => DsView::read(rdata).map_or(0, |ds| ds.algorithm),
            AnchorForm::Dnskey(rdata) => DnskeyView::read(rdata).map_or(0, |key| key.algorithm),
        }
    }

    pub(super) fn record(&self) -> (Rtype, &[u8]) {
        match &self.form {
            AnchorForm::Ds(rdata) => (Rtype::DS, rdata),
            AnchorForm::Dnskey(rdata) => (Rtype::DNSKEY, rdata),
        }
    }

    /// The anchor made of this key, if this is the key that is meant.
    pub(super) fn as_key(&self, dnskey: &[u8]) -> Option<Anchor> {
        let key = DnskeyView::read(dnskey)?;
        let is_meant = match &self.form {
            AnchorForm::Dnskey(rdata) => {
                DnskeyView::read(rdata).is_some_and(|own| own.algorithm == key.algorithm && own.public == key.public)
            }
            AnchorForm::Ds(rdata) => DsView::read(rdata).is_some_and(|ds| ds.is_of(&self.name, &key)),
        };
        is_meant.then(|| Anchor { name: self.name.clone(), form: AnchorForm::Dnskey(dnskey.to_vec()) })
    }

    /// Whether the two mean the same key, as far as that can be decided.
    pub(super) fn is_of(&self, other: &Anchor) -> bool {
        match (&self.form, &other.form) {
            (_, AnchorForm::Dnskey(rdata)) => self.as_key(rdata).is_some(),
            (AnchorForm::Dnskey(rdata), _) => other.as_key(rdata).is_some(),
            _ => self.form == other.form,
        }
    }
}

/// The zone's keys from a trust anchor, in one step.
pub fn keys_from_anchor(
    zone: &Name,
    dnskey_set: &RrSet,
    anchors: &[Anchor],
    now: Now,
    sha1: Sha1Policy,
    work: &mut WorkBudget,
) -> KeyVerdict {
    KeyTrial::by_anchors(zone, dnskey_set, anchors, sha1).run(now, work)
}

/// The zone's keys from the DS RRset that its parent signed, in one step.
#[cfg(any(test, feature = "internals"))]
pub fn keys_from_ds(
    zone: &Name,
    dnskey_set: &RrSet,
    ds_set: &Validated<RrSet>,
    now: Now,
    sha1: Sha1Policy,
    work: &mut WorkBudget,
) -> KeyVerdict {
    if ds_set.get().name != *zone || ds_set.get().rtype != Rtype::DS {
        return KeyVerdict::Bogus(Reason::new(zone, Rtype::DS, Fault::Malformed));
    }
    KeyTrial::by_ds(zone, dnskey_set, ds_set, sha1).run(now, work)
}

/// Why this DS RRset cannot lead to a secure zone, so that the child zone is insecure; `None` if it can. A walk then need not
/// ask for keys that it could not use.
pub fn ds_set_is_unusable(ds_set: &Validated<RrSet>, sha1: Sha1Policy) -> Option<Insecurity> {
    let vouchers: Vec<Voucher<'_>> = ds_set.get().data.iter().filter_map(DsView::read).map(Voucher::Ds).collect();
    usable(&vouchers, sha1).err()
}

#[derive(Clone, Copy)]
struct DsView<'a> {
    key_tag: u16,
    algorithm: u8,
    digest_type: u8,
    digest: &'a [u8],
}

impl<'a> DsView<'a> {
    fn read(rdata: &'a [u8]) -> Option<DsView<'a>> {
        let (&[high, low, algorithm, digest_type], digest) = rdata.split_first_chunk::<4>()?;
        let key_tag = u16::from_be_bytes([high, low]);
        (!digest.is_empty()).then_some(DsView { key_tag, algorithm, digest_type, digest })
    }

    fn is_of(&self, zone: &Name, key: &DnskeyView<'_>) -> bool {
        let Some(algorithm) = digest_algorithm(self.digest_type) else { return false };
        if (self.key_tag, self.algorithm) != (key.key_tag, key.algorithm) {
            return false;
        }
        let mut context = digest::Context::new(algorithm);
        context.update(zone.as_wire());
        context.update(key.rdata);
        context.finish().as_ref() == self.digest
    }
}

/// The digest of a DS record for this key (RFC 4034 5.1.4); `None`: the digest type is not known here.
pub fn ds_digest(zone: &Name, dnskey: &[u8], digest_type: u8) -> Option<Vec<u8>> {
    let mut context = digest::Context::new(digest_algorithm(digest_type)?);
    context.update(zone.as_wire());
    context.update(dnskey);
    Some(context.finish().as_ref().to_vec())
}

const DIGEST_SHA1: u8 = 1;

/// RFC 9904 3: SHA-1 digests are still validated; GOST is not supported.
fn digest_algorithm(digest_type: u8) -> Option<&'static digest::Algorithm> {
    match digest_type {
        DIGEST_SHA1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        2 => Some(&digest::SHA256),
        4 => Some(&digest::SHA384),
        _ => None,
    }
}

/// A record that says which key may sign the DNSKEY RRset: a DS or an anchor.
#[derive(Clone, Copy)]
enum Voucher<'a> {
    Ds(DsView<'a>),
    Dnskey(DnskeyView<'a>),
}

impl Voucher<'_> {
    fn key_tag(&self) -> u16 {
        match self {
            Voucher::Ds(ds) => ds.key_tag,
            Voucher::Dnskey(key) => key.key_tag,
        }
    }

    fn algorithm(&self) -> u8 {
        match self {
            Voucher::Ds(ds) => ds.algorithm,
            Voucher::Dnskey(key) => key.algorithm,
        }
    }

    fn unusable(&self, sha1: Sha1Policy) -> Option<Insecurity> {
        if !algorithm_supported(self.algorithm(), sha1) {
            return Some(Insecurity::UnsupportedAlgorithm(self.algorithm()));
        }
        match self {
            Voucher::Ds(ds) if digest_algorithm(ds.digest_type).is_none() => Some(Insecurity::UnsupportedDigest(ds.digest_type)),
            _ => None,
        }
    }

    fn is_sha1_digest(&self) -> bool {
        matches!(self, Voucher::Ds(ds) if ds.digest_type == DIGEST_SHA1)
    }

    fn fits(&self, candidate: &mut Candidate<'_>, work: &mut WorkBudget) -> Result<bool, Bound> {
        match self {
            Voucher::Dnskey(own) => Ok(own.algorithm == candidate.key.algorithm && own.public == candidate.key.public),
            Voucher::Ds(ds) => Ok(candidate.digest(ds.digest_type, work)?.is_some_and(|digest| digest == ds.digest)),
        }
    }
}

/// A key that a voucher may match. Each kind of digest is computed once, however many DS records it is compared with (HashTrap,
/// CVE-2023-50387).
struct Candidate<'a> {
    zone: &'a Name,
    key: DnskeyView<'a>,
    digests: SmallVec<[(u8, digest::Digest); 3]>,
}

impl Candidate<'_> {
    /// RFC 4034 5.1.4. `None` for unknown digest types.
    fn digest(&mut self, digest_type: u8, work: &mut WorkBudget) -> Result<Option<&[u8]>, Bound> {
        let known = self.digests.iter().position(|(made, _)| *made == digest_type);
        let at = match (known, digest_algorithm(digest_type)) {
            (Some(at), _) => at,
            (None, None) => return Ok(None),
            (None, Some(algorithm)) => {
                work.pay(Cost::of_bytes(self.zone.as_wire().len() + self.key.rdata.len()))?;
                let mut context = digest::Context::new(algorithm);
                context.update(self.zone.as_wire());
                context.update(self.key.rdata);
                self.digests.push((digest_type, context.finish()));
                self.digests.len() - 1
            }
        };
        Ok(self.digests.get(at).map(|(_, digest)| digest.as_ref()))
    }
}

/// The vouchers that are supported, and separately those whose digest is ignored because there is a stronger one (RFC 4509 3:
/// SHA-1); or the reason why there are none.
fn usable<'a>(vouchers: &[Voucher<'a>], sha1: Sha1Policy) -> Result<(Vec<Voucher<'a>>, Vec<Voucher<'a>>), Insecurity> {
    let (supported, unsupported): (Vec<_>, Vec<_>) =
        vouchers.iter().map(|voucher| (*voucher, voucher.unusable(sha1))).partition(|(_, why)| why.is_none());
    let supported: Vec<Voucher<'_>> = supported.into_iter().map(|(voucher, _)| voucher).collect();
    if supported.is_empty() {
        return Err(unsupported.into_iter().rev().find_map(|(_, why)| why).unwrap_or(Insecurity::NoDs));
    }
    let (weaker, stronger): (Vec<_>, Vec<_>) = supported.into_iter().partition(Voucher::is_sha1_digest);
    Ok(if stronger.is_empty() { (weaker, stronger) } else { (stronger, weaker) })
}

/// A DNSKEY RRset on its way to a verdict. Each step checks one signature or reads a few keys, so that the caller can let other
/// tasks run between steps.
pub struct KeyTrial<'a> {
    zone: &'a Name,
    dnskey_set: &'a RrSet,
    sha1: Sha1Policy,
    vouchers: Vec<Voucher<'a>>,
    /// At most the TTL of the DS RRset.
    ttl: u32,
    state: State,
}

enum State {
    Begin,
    /// Keys that the vouchers match; one of them must have signed the RRset.
    Signature(EntryPoints, Box<SetTrial>),
    /// The signature is valid: every other key of the RRset is still to be read.
    Keys(Box<Verified>, EntryPoints, Vec<ParsedKey>, usize),
    Done,
}

impl<'a> KeyTrial<'a> {
    /// From trust anchors. Anchors of other names are skipped.
    pub fn by_anchors(zone: &'a Name, dnskey_set: &'a RrSet, anchors: &'a [Anchor], sha1: Sha1Policy) -> KeyTrial<'a> {
        let vouchers = anchors.iter().filter(|anchor| anchor.name == *zone).filter_map(|anchor| match &anchor.form {
            AnchorForm::Ds(rdata) => DsView::read(rdata).map(Voucher::Ds),
            AnchorForm::Dnskey(rdata) => DnskeyView::read(rdata).map(Voucher::Dnskey),
        });
        KeyTrial { zone, dnskey_set, sha1, vouchers: vouchers.collect(), ttl: u32::MAX, state: State::Begin }
    }

    /// From the DS RRset that the parent signed.
    pub fn by_ds(zone: &'a Name, dnskey_set: &'a RrSet, ds_set: &'a Validated<RrSet>, sha1: Sha1Policy) -> KeyTrial<'a> {
        let ds_set = ds_set.get();
        let fits = ds_set.name == *zone && ds_set.rtype == Rtype::DS;
        let vouchers = ds_set.data.iter().filter(|_| fits).filter_map(DsView::read).map(Voucher::Ds);
        KeyTrial { zone, dnskey_set, sha1, vouchers: vouchers.collect(), ttl: ds_set.ttl, state: State::Begin }
    }

    /// Called until it returns a verdict, and not after that.
    pub fn step(&mut self, now: Now, work: &mut WorkBudget) -> Option<KeyVerdict> {
        let bogus = |fault| Some(KeyVerdict::Bogus(Reason::new(self.zone, Rtype::DNSKEY, fault)));
        match std::mem::replace(&mut self.state, State::Done) {
            State::Begin => match self.begin(work) {
                Ok(entry) => {
                    self.state = State::Signature(entry, Box::default());
                    None
                }
                Err(verdict) => Some(*verdict),
            },
            State::Signature(entry, mut trial) => match trial.step(self.dnskey_set, self.zone, &entry.keys, now, work) {
                Some(Ok(verified)) => {
                    self.state = State::Keys(Box::new(verified), entry, Vec::new(), 0);
                    None
                }
                Some(Err(why)) => Some(KeyVerdict::Bogus(self.unsigned_by_usable_keys(&entry, why))),
                None => {
                    self.state = State::Signature(entry, trial);
                    None
                }
            },
            State::Keys(verified, entry, mut keys, at) => {
                let most = work.limits().keys_per_zone as usize;
                let next_ones = self.dnskey_set.data.iter().take(most).enumerate().skip(at).take(KEYS_PER_STEP_MAX);
                for (place, rdata) in next_ones {
                    if let Some(parsed) = entry.places.iter().position(|known| *known == place) {
                        keys.push(entry.keys[parsed].clone());
                        continue;
                    }
                    let Some(key) = DnskeyView::read(rdata).filter(|key| key.is_zone_key() && !key.is_revoked()) else { continue };
                    if let Err(bound) = work.pay(key.parse_cost()) {
                        return bogus(Fault::TooMuchWork(bound));
                    }
                    keys.extend(key.parse(self.sha1).ok());
                }
                let next = at + KEYS_PER_STEP_MAX;
                if next < most.min(self.dnskey_set.data.len()) {
                    self.state = State::Keys(verified, entry, keys, next);
                    return None;
                }
                let ttl = self.ttl.min(verified.set.get().ttl);
                Some(KeyVerdict::Secure(ZoneKeys { zone: self.zone.clone(), keys, ttl, dnskeys: *verified }))
            }
            State::Done => bogus(Fault::Malformed),
        }
    }

    pub(super) fn run(mut self, now: Now, work: &mut WorkBudget) -> KeyVerdict {
        loop {
            if let Some(verdict) = self.step(now, work) {
                return verdict;
            }
        }
    }

    /// The keys that may have signed the RRset.
    fn begin(&self, work: &mut WorkBudget) -> Result<EntryPoints, Box<KeyVerdict>> {
        let bogus = |fault| Box::new(KeyVerdict::Bogus(Reason::new(self.zone, Rtype::DNSKEY, fault)));
        if self.dnskey_set.name != *self.zone || self.dnskey_set.rtype != Rtype::DNSKEY {
            return Err(bogus(Fault::Malformed));
        }
        let (mut vouchers, weaker) = usable(&self.vouchers, self.sha1).map_err(|reason| Box::new(KeyVerdict::Insecure(reason)))?;
        let mut entry = self.entry_points(&vouchers, work).map_err(|bound| bogus(Fault::TooMuchWork(bound)))?;
        if entry.is_unusable() && !weaker.is_empty() {
            // The strong digests belong to keys that are not supported; a weak one may belong to a supported key.
            entry = self.entry_points(&weaker, work).map_err(|bound| bogus(Fault::TooMuchWork(bound)))?;
            vouchers = weaker;
        }
        if !entry.keys.is_empty() {
            return Ok(entry);
        }
        // RFC 4035 5.2, RFC 6840 5.2: insecure only if no key vouched for is supported. A voucher that matches no key here may
        // belong to a supported one.
        let missing = vouchers.iter().zip(&entry.met).find(|(_, is_met)| !**is_met).map(|(voucher, _)| voucher);
        Err(match (entry.fault, missing, entry.insecure) {
            (Some(fault), ..) => bogus(fault),
            (None, Some(missing), _) => bogus(self.no_dnskey_for(missing)),
            (None, None, Some(reason)) => Box::new(KeyVerdict::Insecure(reason)),
            (None, None, None) => bogus(Fault::Malformed),
        })
    }

    fn no_dnskey_for(&self, missing: &Voucher<'_>) -> Fault {
        let (key_tag, algorithm) = (missing.key_tag(), missing.algorithm());
        match self.set_aside_by_sha1() {
            Some(unused) => {
                Fault::Sha1KeyUnused { key_tag, algorithm, unused_key_tag: unused.key_tag(), unused_algorithm: unused.algorithm() }
            }
            None => Fault::NoDnskeyForDs { key_tag, algorithm },
        }
    }

    /// A voucher that only the SHA-1 policy excludes.
    fn set_aside_by_sha1(&self) -> Option<&Voucher<'a>> {
        let left_out = |voucher: &&Voucher<'_>| {
            !algorithm_supported(voucher.algorithm(), self.sha1) && algorithm_supported(voucher.algorithm(), Sha1Policy::Validate)
        };
        self.vouchers.iter().find(left_out)
    }

    /// No supported key that is vouched for signed the key RRset; perhaps a key that the SHA-1 policy excludes did.
    fn unsigned_by_usable_keys(&self, entry: &EntryPoints, why: Reason) -> Reason {
        let (Some(unused), Some(key)) = (self.set_aside_by_sha1(), entry.keys.first()) else { return why };
        match why.fault {
            Fault::NoKey(_) | Fault::NoSignature => Reason {
                fault: Fault::Sha1KeyUnused {
                    key_tag: key.key_tag,
                    algorithm: key.algorithm,
                    unused_key_tag: unused.key_tag(),
                    unused_algorithm: unused.algorithm(),
                },
                ..why
            },
            _ => why,
        }
    }

    /// The keys of the RRset that a voucher matches (RFC 4035 5.2).
    fn entry_points(&self, vouchers: &[Voucher<'_>], work: &mut WorkBudget) -> Result<EntryPoints, Bound> {
        let mut found = EntryPoints { met: vec![false; vouchers.len()], ..EntryPoints::default() };
        for (place, rdata) in self.dnskey_set.data.iter().take(work.limits().keys_per_zone as usize).enumerate() {
            let Some(key) = DnskeyView::read(rdata) else { continue };
            let mut candidate = Candidate { zone: self.zone, key, digests: SmallVec::new() };
            let mut is_vouched_for = false;
            for (at, voucher) in vouchers.iter().enumerate().filter(|(_, v)| v.key_tag() == key.key_tag && v.algorithm() == key.algorithm) {
                if voucher.fits(&mut candidate, work)? {
                    (is_vouched_for, found.met[at]) = (true, true);
                }
            }
            if is_vouched_for {
                work.pay(key.parse_cost())?;
                found.add(place, &key, self.sha1);
            }
        }
        Ok(found)
    }
}

#[derive(Default)]
struct EntryPoints {
    keys: Vec<ParsedKey>,
    /// The index of each of them in the RRset.
    places: Vec<usize>,
    /// For each voucher: whether it matches a key of the RRset.
    met: Vec<bool>,
    insecure: Option<Insecurity>,
    fault: Option<Fault>,
}

impl EntryPoints {
    /// Every voucher matches a key, and none of these keys is supported.
    fn is_unusable(&self) -> bool {
        self.keys.is_empty() && self.fault.is_none() && self.met.iter().all(|is_met| *is_met)
    }

    fn add(&mut self, place: usize, key: &DnskeyView<'_>, sha1: Sha1Policy) {
        let (key_tag, algorithm) = (key.key_tag, key.algorithm);
        if !key.is_zone_key() {
            self.fault = Some(Fault::NoZoneKeyBit { key_tag, algorithm });
        } else if key.is_revoked() {
            self.fault = Some(Fault::NoDnskeyForDs { key_tag, algorithm });
        } else {
            match key.parse(sha1) {
                Ok(parsed) => {
                    self.keys.push(parsed);
                    self.places.push(place);
                }
                Err(KeyFault::Unsupported(reason)) => self.insecure = Some(reason),
                Err(KeyFault::Malformed) => self.fault = Some(Fault::Malformed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::key_tag;
    use super::super::test_signer::{DAY, NOW, Signer, Vectors, date, name};
    use super::*;

    fn ds_rdata(zone: &Name, dnskey: &[u8], digest_type: u8) -> Vec<u8> {
        let algorithm = digest_algorithm(digest_type).unwrap_or(&digest::SHA256);
        let digest = digest::digest(algorithm, &[zone.as_wire(), dnskey].concat());
        [&key_tag(dnskey).to_be_bytes()[..], &[dnskey[3], digest_type], digest.as_ref()].concat()
    }

    fn ds_set(zone: &Name, rdatas: &[Vec<u8>]) -> Validated<RrSet> {
        let mut set = RrSet::new(zone.clone(), Rtype::DS, 600);
        rdatas.iter().for_each(|rdata| set.data.push(rdata));
        Validated::assertion(set)
    }

    fn judge(dnskeys: &RrSet, ds: &[Vec<u8>]) -> KeyVerdict {
        let zone = &dnskeys.name;
        keys_from_ds(zone, dnskeys, &ds_set(zone, ds), Now::At(NOW), Sha1Policy::Insecure, &mut WorkBudget::default())
    }

    fn short(verdict: KeyVerdict) -> String {
        match verdict {
            KeyVerdict::Secure(keys) => format!("secure, {} keys, {} s", keys.keys().len(), keys.ttl()),
            KeyVerdict::Insecure(reason) => format!("insecure: {reason:?}"),
            KeyVerdict::Bogus(why) => format!("bogus: EDE {}", why.fault.ede_code().0),
        }
    }

    #[test]
    fn the_root_zone_of_august_2026_by_its_built_in_anchors() {
        let vectors = Vectors::of_root();
        let (root, now) = (Name::root(), u64::from(date("20260803120000")));
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).expect("hex")).collect()
        };
        let digest_20326 = hex("E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D");
        let rdata = [&20326u16.to_be_bytes()[..], &[8, 2], &digest_20326].concat();
        let anchors = [Anchor::from_record(root.clone(), Rtype::DS, &rdata).expect("a DS")];
        let dnskeys = vectors.get(".", Rtype::DNSKEY);
        let mut work = WorkBudget::default();
        let verdict = keys_from_anchor(&root, &dnskeys, &anchors, Now::At(now), Sha1Policy::Insecure, &mut work);
        let KeyVerdict::Secure(keys) = verdict else { panic!("{verdict:?}") };
        let mut tags: Vec<u16> = keys.keys().iter().map(|key| key.key_tag).collect();
        tags.sort_unstable();
        assert_eq!((tags, keys.ttl()), (vec![20326, 38696, 57780], 172_800));
        for (owner, rtype) in [(".", Rtype::SOA), (".", Rtype::NSEC), ("com.", Rtype::DS), ("ae.", Rtype::NSEC)] {
            let verified = verify_set(&vectors.get(owner, rtype), &keys, Now::At(now), &mut work);
            assert_eq!(verified.map(|v| (v.signed.key_tag, v.signed.algorithm)), Ok((57780, 8)), "{owner} {rtype}");
        }
        let late = keys_from_anchor(&root, &dnskeys, &anchors, Now::At(now + 30 * DAY), Sha1Policy::Insecure, &mut work);
        assert_eq!(short(late), "bogus: EDE 7");
        let com = keys_from_anchor(&name("com."), &dnskeys, &anchors, Now::At(now), Sha1Policy::Insecure, &mut work);
        assert_eq!(short(com), "bogus: EDE 6", "a key set of another name");
    }

    #[test]
    fn digests_of_rfc_6605_and_8080() {
        let vectors = Vectors::of_rfcs();
        for (owner, zone) in
            [("p256.example.net.", "example.net."), ("p384.example.net.", "example.net."), ("example.com.", "example.com.")]
        {
            let (ds, key) = (vectors.get(owner, Rtype::DS), vectors.get(owner, Rtype::DNSKEY));
            let view = DnskeyView::read(key.data.first().expect("key")).expect("readable");
            let voucher = Voucher::Ds(DsView::read(ds.data.first().expect("DS")).expect("readable"));
            let fits = |zone: &Name| voucher.fits(&mut Candidate { zone, key: view, digests: SmallVec::new() }, &mut WorkBudget::default());
            assert_eq!((fits(&name(zone)), fits(&name("other."))), (Ok(true), Ok(false)), "{owner}");
        }
    }

    #[test]
    fn rsasha1_by_policy_and_small_keys_never() {
        let dnskeys = Vectors::of_rfcs().get("example.", Rtype::DNSKEY);
        let (zone, now) = (name("example."), Now::At(u64::from(date("20040420000000"))));
        let ksk = dnskeys.data.iter().nth(1).expect("two keys");
        let ds = ds_set(&zone, &[ds_rdata(&zone, ksk, 1)]);
        let verdict = |sha1| short(keys_from_ds(&zone, &dnskeys, &ds, now, sha1, &mut WorkBudget::default()));
        assert_eq!(verdict(Sha1Policy::Insecure), "insecure: UnsupportedAlgorithm(5)");
        assert_eq!(verdict(Sha1Policy::Validate), "secure, 2 keys, 600 s");
        let mut small = vec![1, 1, 3, 8, 1, 3];
        small.resize(6 + 64, 0xff);
        let set = RrSet::with(zone.clone(), Rtype::DNSKEY, 60, &small);
        let expected = format!("insecure: UnsupportedKeySize {{ algorithm: 8, key_tag: {} }}", key_tag(&small));
        assert_eq!(short(judge(&set, &[ds_rdata(&zone, &small, 2)])), expected);
    }

    #[test]
    fn from_ds_set_to_keys() {
        let signer = Signer::new("example.", 1);
        let (zone, dnskeys) = (&signer.zone, signer.dnskey_set());
        let good = |digest_type| ds_rdata(zone, &signer.dnskey, digest_type);
        let spoilt = |digest_type| {
            let mut rdata = good(digest_type);
            *rdata.last_mut().expect("digest") ^= 1;
            rdata
        };
        let with_algorithm = |algorithm: u8| {
            let mut rdata = good(2);
            rdata[2] = algorithm;
            rdata
        };
        let with_tag = || {
            let mut rdata = good(2);
            rdata[0] ^= 1;
            rdata
        };
        let rows: [(&str, Vec<Vec<u8>>, &str); 15] = [
            ("SHA-256", vec![good(2)], "secure, 1 keys, 600 s"),
            ("SHA-384", vec![good(4)], "secure, 1 keys, 600 s"),
            ("SHA-1 alone", vec![good(1)], "secure, 1 keys, 600 s"),
            ("SHA-1 is not looked at beside SHA-256", vec![good(1), spoilt(2)], "bogus: EDE 9"),
            ("any digest of the strong ones", vec![spoilt(4), good(2)], "secure, 1 keys, 600 s"),
            ("spoilt", vec![spoilt(2)], "bogus: EDE 9"),
            ("unknown digest", vec![good(3)], "insecure: UnsupportedDigest(3)"),
            ("unknown digest beside a known one", vec![good(3), spoilt(2)], "bogus: EDE 9"),
            ("SHA-1 beside an unknown digest", vec![good(3), good(1)], "secure, 1 keys, 600 s"),
            ("unknown algorithm", vec![with_algorithm(16)], "insecure: UnsupportedAlgorithm(16)"),
            ("unknown algorithm beside a known one", vec![with_algorithm(16), good(2)], "secure, 1 keys, 600 s"),
            ("algorithm that is not the key's", vec![with_algorithm(13)], "bogus: EDE 9"),
            ("key tag that is not the key's", vec![with_tag()], "bogus: EDE 9"),
            ("SHA-1 signatures", vec![with_algorithm(7)], "insecure: UnsupportedAlgorithm(7)"),
            ("nothing readable", vec![vec![1, 2, 3]], "insecure: NoDs"),
        ];
        for (what, ds, expected) in rows {
            assert_eq!(short(judge(&dnskeys, &ds)), expected, "{what}");
        }
    }

    #[test]
    fn keys_that_may_not_vouch() {
        let signer = Signer::new("example.", 1);
        let with_flags = |flags: u16, protocol: u8| {
            let mut rdata = signer.dnskey.clone();
            rdata[..2].copy_from_slice(&flags.to_be_bytes());
            rdata[2] = protocol;
            rdata
        };
        let rows = [
            ("no SEP bit", with_flags(0x0100, 3), "secure, 1 keys, 600 s"),
            ("no zone key", with_flags(0x0001, 3), "bogus: EDE 11"),
            ("protocol", with_flags(0x0101, 4), "bogus: EDE 11"),
            ("revoked", with_flags(0x0181, 3), "bogus: EDE 9"),
        ];
        for (what, dnskey, expected) in rows {
            let set = RrSet::with(signer.zone.clone(), Rtype::DNSKEY, 3_600, &dnskey);
            let set = signer.sign_as(set, |fields| fields.key_tag = key_tag(&dnskey));
            assert_eq!(short(judge(&set, &[ds_rdata(&signer.zone, &dnskey, 2)])), expected, "{what}");
        }
    }

    /// A key that cannot be used here makes a zone insecure only where nothing else is vouched for.
    #[test]
    fn an_unsupported_key_does_not_excuse_a_wrong_one() {
        let signer = Signer::new("example.", 1);
        let mut small = vec![1, 1, 3, 8, 1, 3];
        small.resize(6 + 64, 0xff);
        let mut no_zone_key = signer.dnskey.clone();
        no_zone_key[0] = 0;
        let mut set = RrSet::with(signer.zone.clone(), Rtype::DNSKEY, 3_600, &small);
        set.data.push(&no_zone_key);
        let set = signer.sign_as(set, |fields| fields.key_tag = key_tag(&no_zone_key));
        let ds = [ds_rdata(&signer.zone, &small, 2), ds_rdata(&signer.zone, &no_zone_key, 2)];
        assert_eq!(short(judge(&set, &ds)), "bogus: EDE 11");
    }

    /// RFC 4035 5.2: the DS set says of two keys that they are the zone's; each of them that could be used must be met.
    #[test]
    fn insecure_only_if_nothing_of_the_ds_set_can_be_used() {
        let signer = Signer::new("example.", 1);
        let zone = &signer.zone;
        let mut small = vec![1, 1, 3, 8, 1, 3];
        small.resize(6 + 64, 0xff);
        let ds = |key: &[u8], digest_type| ds_rdata(zone, key, digest_type);
        let keys = |keys: &[&[u8]]| {
            let mut set = RrSet::new(zone.clone(), Rtype::DNSKEY, 3_600);
            keys.iter().for_each(|key| set.data.push(key));
            signer.sign(set)
        };
        let small_alone = format!("insecure: UnsupportedKeySize {{ algorithm: 8, key_tag: {} }}", key_tag(&small));
        let good = &signer.dnskey;
        let rows: [(&str, RrSet, Vec<Vec<u8>>, &str); 8] = [
            ("both there", keys(&[&small, good]), vec![ds(&small, 2), ds(good, 2)], "secure, 1 keys, 600 s"),
            ("the good key stripped", keys(&[&small]), vec![ds(&small, 2), ds(good, 2)], "bogus: EDE 9"),
            ("the other order", keys(&[&small]), vec![ds(good, 2), ds(&small, 2)], "bogus: EDE 9"),
            ("both stripped", keys(&[]), vec![ds(&small, 2), ds(good, 2)], "bogus: EDE 9"),
            ("nothing usable", keys(&[&small]), vec![ds(&small, 2)], &small_alone),
            ("two digests of one key", keys(&[&small]), vec![ds(&small, 2), ds(&small, 4)], &small_alone),
            ("a weak digest of the good key", keys(&[&small, good]), vec![ds(&small, 2), ds(good, 1)], "secure, 1 keys, 600 s"),
            ("and that key stripped", keys(&[&small]), vec![ds(&small, 2), ds(good, 1)], "bogus: EDE 9"),
        ];
        for (what, dnskeys, ds, expected) in rows {
            assert_eq!(short(judge(&dnskeys, &ds)), expected, "{what}");
        }
    }

    /// RFC 6840 5.11 with RFC 9905 2: whoever reads why it fails has to hear of the setting and of the standby key.
    #[test]
    fn a_standby_key_beside_a_sha_1_key_is_named() {
        let signer = Signer::new("example.", 1);
        let mut old = signer.dnskey.clone();
        old[3] = 7;
        let standby = Signer::new("example.", 2);
        let ds = [ds_rdata(&signer.zone, &old, 2), ds_rdata(&signer.zone, &standby.dnskey, 2)];
        let mut without = RrSet::with(signer.zone.clone(), Rtype::DNSKEY, 3_600, &old);
        let signed_by_old = |set: RrSet| signer.sign_as(set, |fields| (fields.algorithm, fields.key_tag) = (7, key_tag(&old)));
        let missing = signed_by_old(without.clone());
        without.data.push(&standby.dnskey);
        for (what, set) in [("not in the set", missing), ("does not sign", signed_by_old(without))] {
            let KeyVerdict::Bogus(why) = judge(&set, &ds) else { panic!("{what}: it must be bogus") };
            let text = why.to_string();
            let tags = [key_tag(&old), standby.key_tag()].map(|tag| tag.to_string());
            assert!(text.contains("sha1") && tags.iter().all(|tag| text.contains(tag)), "{what}: {text}");
        }
    }

    #[test]
    fn a_key_set_must_be_signed_by_the_key_vouched_for() {
        let (old, new) = (Signer::new("example.", 1), Signer::new("example.", 2));
        let mut both = RrSet::with(old.zone.clone(), Rtype::DNSKEY, 3_600, &old.dnskey);
        both.data.push(&new.dnskey);
        let ds = [ds_rdata(&old.zone, &old.dnskey, 2)];
        assert_eq!(short(judge(&old.sign(both.clone()), &ds)), "secure, 2 keys, 600 s");
        assert_eq!(short(judge(&new.sign(both.clone()), &ds)), "bogus: EDE 9");
        assert_eq!(short(judge(&both, &ds)), "bogus: EDE 10");
        let mut tampered = old.sign(both.clone());
        tampered.data.push(&Signer::new("example.", 3).dnskey);
        assert_eq!(short(judge(&tampered, &ds)), "bogus: EDE 6");
        let expired = old.sign_as(both, |fields| fields.expiration = NOW - 1);
        assert_eq!(short(judge(&expired, &ds)), "bogus: EDE 7");
    }

    #[test]
    fn many_keys_times_many_digests_are_hashed_once_a_key() {
        let signer = Signer::new("example.", 1);
        let mut dnskeys = RrSet::new(signer.zone.clone(), Rtype::DNSKEY, 3_600);
        // Pairs of octets may change places without changing the tag.
        for at in (4..34).step_by(2) {
            for to in (4..34).step_by(2) {
                let mut rdata = signer.dnskey.clone();
                (rdata[at], rdata[to]) = (rdata[at].wrapping_add(1), rdata[to].wrapping_sub(1));
                dnskeys.data.push_new(&rdata);
            }
        }
        let mut ds = Vec::new();
        for digest in 0..200u8 {
            ds.push([&signer.key_tag().to_be_bytes()[..], &[15, 2], &[digest; 32]].concat());
            ds.push([&signer.key_tag().to_be_bytes()[..], &[15, 4], &[digest; 48]].concat());
        }
        let mut work = WorkBudget::default();
        let ds = ds_set(&signer.zone, &ds);
        let verdict = keys_from_ds(&signer.zone, &dnskeys, &ds, Now::At(NOW), Sha1Policy::Insecure, &mut work);
        let KeyVerdict::Bogus(why) = verdict else { panic!("{verdict:?}") };
        assert_eq!(why.fault, Fault::NoDnskeyForDs { key_tag: signer.key_tag(), algorithm: 15 });
        let one = Cost::of_bytes(signer.zone.as_wire().len() + signer.dnskey.len());
        assert!(work.spent().time <= one.times(2 * work.limits().keys_per_zone as usize), "two kinds of digest: {:?}", work.spent());
    }

    #[test]
    fn anchors_are_ds_or_dnskey_records_of_any_name() {
        let signer = Signer::new("island.test.", 1);
        let zone = &signer.zone;
        let of = |name: &Name, rtype, rdata: &[u8]| Anchor::from_record(name.clone(), rtype, rdata).expect("an anchor");
        let ds = of(zone, Rtype::DS, &ds_rdata(zone, &signer.dnskey, 2));
        let key = of(zone, Rtype::DNSKEY, &signer.dnskey);
        let elsewhere = of(&name("test."), Rtype::DNSKEY, &signer.dnskey);
        let verdict = |anchors: &[Anchor]| {
            short(keys_from_anchor(zone, &signer.dnskey_set(), anchors, Now::At(NOW), Sha1Policy::Insecure, &mut WorkBudget::default()))
        };
        assert_eq!(verdict(&[ds.clone(), elsewhere.clone()]), "secure, 1 keys, 3600 s");
        assert_eq!(verdict(&[key]), "secure, 1 keys, 3600 s");
        assert_eq!(verdict(&[elsewhere]), "insecure: NoDs");
        assert_eq!(ds.key_tag(), signer.key_tag());
        assert_eq!(Anchor::from_record(zone.clone(), Rtype::A, &[1; 4]), None);
        assert_eq!(Anchor::from_record(zone.clone(), Rtype::DS, &[1; 4]), None);
    }
}
