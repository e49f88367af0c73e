//! Whether an RRset is signed by its zone (RFC 4035 5.3).
//!
//! The signed octets are built here (RFC 4034 3.1.8.1): the fields of the RRSIG, then each record once, sorted, in canonical
//! form, with the original TTL, and with the name of the wildcard if Labels says so.

use std::ops::Range;

use smallvec::SmallVec;

use super::budget::{Bound, Cost, WorkBudget};
use super::key::ParsedKey;
use super::reason::{Fault, Reason, Signed};
use super::rrsig::{DateFault, Now, Rrsig, signed_labels};
use crate::limits::validation::SIGNATURES_READ_MAX;
use crate::record::{Name, RdataList, RrSet, Rtype, Validated, canonical_rdata};

/// An RRset with a valid signature.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its TTL is at most the original TTL and the remaining time of the signature (RFC 4035 5.3.3). Of its signatures only
    /// those are kept that are likely to be genuine too.
    pub set: Validated<RrSet>,
    /// The closest encloser, if the RRset was synthesised from a wildcard: it is secure only together with the proof that no
    /// closer name exists (RFC 4035 5.3.4).
    pub wildcard: Option<Name>,
    /// The valid signature: its key and its dates.
    pub signed: Signed,
}

/// Checks `set` against these keys of `zone`, in one go.
pub(super) fn verify_by(set: &RrSet, zone: &Name, keys: &[ParsedKey], now: Now, work: &mut WorkBudget) -> Result<Verified, Reason> {
    let mut trial = SetTrial::default();
    loop {
        if let Some(result) = trial.step(set, zone, keys, now, work) {
            return result;
        }
    }
}

/// An RRset on its way to a verdict. Each step checks one signature, so that the caller can let other tasks run between steps.
#[derive(Default)]
pub(super) struct SetTrial {
    /// The signature and the key to check next.
    sig_at: usize,
    key_at: usize,
    keys_of_tag: u32,
    checks: u32,
    /// The cost of the first failed check, which is charged only if the RRset does not validate in the end.
    first_failed: Option<Cost>,
    told: Option<Fault>,
    records: Option<CanonicalRecords>,
}

/// The fields of an RRSIG before its signature: 18 octets and a name.
const RRSIG_BYTES_MAX: usize = 18 + 255;

impl SetTrial {
    /// Called with the same RRset and keys until it returns a result.
    pub(super) fn step(
        &mut self,
        set: &RrSet,
        zone: &Name,
        keys: &[ParsedKey],
        now: Now,
        work: &mut WorkBudget,
    ) -> Option<Result<Verified, Reason>> {
        let result = self.check_next(set, zone, keys, now, work);
        if let (Some(Err(_)), Some(cost)) = (&result, self.first_failed) {
            work.charge_failed(cost);
        }
        result
    }

    fn check_next(
        &mut self,
        set: &RrSet,
        zone: &Name,
        keys: &[ParsedKey],
        now: Now,
        work: &mut WorkBudget,
    ) -> Option<Result<Verified, Reason>> {
        let why = |fault| Some(Err(Reason::new(&set.name, set.rtype, fault)));
        loop {
            let Some(rdata) = set.sigs.iter().take(SIGNATURES_READ_MAX).nth(self.sig_at) else {
                return why(self.told.take().unwrap_or(Fault::NoSignature));
            };
            let candidate = match Candidate::check(set, rdata, zone, now) {
                Ok(candidate) => candidate,
                Err(fault) => {
                    self.next_signature(fault);
                    continue;
                }
            };
            let Some(key) = self.next_key(&candidate.rrsig, keys) else {
                let signed = candidate.rrsig.signed(now);
                self.next_signature(if self.keys_of_tag == 0 { Fault::NoKey(signed) } else { Fault::BadSignature(signed) });
                continue;
            };
            return match self.check(set, &candidate, key, work) {
                Ok(true) => Some(Ok(candidate.verified(set, now).keep_likely_signatures(set, zone, now))),
                Ok(false) => None,
                Err(bound) => why(Fault::TooMuchWork(bound)),
            };
        }
    }

    fn next_key<'k>(&mut self, rrsig: &Rrsig<'_>, keys: &'k [ParsedKey]) -> Option<&'k ParsedKey> {
        let fits = |key: &ParsedKey| key.key_tag == rrsig.key_tag && key.algorithm == rrsig.algorithm;
        let (at, key) = keys.iter().enumerate().skip(self.key_at).find(|(_, key)| fits(key))?;
        self.key_at = at + 1;
        self.keys_of_tag += 1;
        Some(key)
    }

    fn next_signature(&mut self, fault: Fault) {
        if self.told.as_ref().is_none_or(|told| fault.depth() > told.depth()) {
            self.told = Some(fault);
        }
        (self.sig_at, self.key_at, self.keys_of_tag) = (self.sig_at + 1, 0, 0);
    }

    /// The only place where cryptography is done and paid for.
    fn check(&mut self, set: &RrSet, candidate: &Candidate<'_>, key: &ParsedKey, work: &mut WorkBudget) -> Result<bool, Bound> {
        self.checks += 1;
        if self.keys_of_tag > work.limits().keys_per_tag {
            return Err(Bound::KeysPerTag);
        }
        if self.checks > work.limits().signatures_per_set {
            return Err(Bound::SignaturesPerSet);
        }
        let records = match &mut self.records {
            Some(records) => records,
            none => none.insert(CanonicalRecords::of(set, work)?),
        };
        let cost = key.check_cost + Cost::of_bytes(records.signed_len());
        work.pay_signature(cost)?;
        let fits = key.fits(&records.signed_bytes(&candidate.rrsig), candidate.rrsig.signature);
        if !fits {
            match self.first_failed {
                None => self.first_failed = Some(cost),
                Some(_) => work.charge_failed(cost),
            }
            work.pay_failure()?;
        }
        Ok(fits)
    }
}

/// A signature whose fields allow it to sign the RRset; only the cryptography is left.
struct Candidate<'a> {
    rrsig: Rrsig<'a>,
    /// Seconds.
    life: u32,
}

impl<'a> Candidate<'a> {
    /// RFC 4035 5.3.1.
    fn check(set: &RrSet, rdata: &'a [u8], zone: &Name, now: Now) -> Result<Candidate<'a>, Fault> {
        let rrsig = Rrsig::read(rdata).ok_or(Fault::Malformed)?;
        if rrsig.covered != set.rtype {
            return Err(Fault::NoSignature);
        }
        // A DS RRset belongs to the parent: the child zone never signs its own.
        let held = set.name.is_within(zone) && !(set.rtype == Rtype::DS && set.name == *zone);
        if rrsig.signer != *zone || !held {
            return Err(Fault::Signer { signer: Box::new(rrsig.signer), zone: Box::new(zone.clone()) });
        }
        // With fewer labels than the signer's name the wildcard would lie above the zone (RFC 4034 3.1.3).
        let (least, most) = (zone.label_count(), signed_labels(&set.name));
        if !(least..=most).contains(&(rrsig.labels as usize)) {
            return Err(Fault::Labels { key_tag: rrsig.key_tag, labels: rrsig.labels, least, most });
        }
        match rrsig.life(now) {
            Ok(life) => Ok(Candidate { rrsig, life }),
            Err(DateFault::ExpiredBeforeValid) => Err(Fault::ExpiredBeforeValid(rrsig.signed(now))),
            Err(DateFault::NotYetValid) => Err(Fault::NotYetValid(rrsig.signed(now))),
            Err(DateFault::Expired) => Err(Fault::Expired(rrsig.signed(now))),
        }
    }

    fn verified(&self, set: &RrSet, now: Now) -> Verified {
        let labels = self.rrsig.labels as usize;
        let mut set = set.clone();
        set.ttl = set.ttl.min(self.rrsig.original_ttl).min(self.life);
        Verified {
            wildcard: (labels < signed_labels(&set.name)).then(|| set.name.suffix(labels)),
            set: Validated::assertion(set),
            signed: self.rrsig.signed(now),
        }
    }
}

impl Verified {
    /// Removes signatures that somebody may have added, so that they are not passed on with secure data.
    fn keep_likely_signatures(self, original: &RrSet, zone: &Name, now: Now) -> Verified {
        let labels = self.wildcard.as_ref().map_or(signed_labels(&original.name), Name::label_count);
        let likely =
            |rdata: &&[u8]| Candidate::check(original, rdata, zone, now).is_ok_and(|candidate| candidate.rrsig.labels as usize == labels);
        let mut set = self.set.into_inner();
        set.sigs = original.sigs.iter().filter(likely).collect::<RdataList>();
        Verified { set: Validated::assertion(set), ..self }
    }
}

/// The records of an RRset in canonical form, sorted, each once (RFC 4034 6.2, 6.3).
struct CanonicalRecords {
    owner: Name,
    rtype: Rtype,
    rdata: Vec<u8>,
    /// The place of each record in `rdata`.
    sorted: SmallVec<[Range<u32>; 8]>,
    bytes: usize,
}

/// What is signed of each record besides owner and RDATA: type, class, TTL and the length of the RDATA.
const RECORD_FIELDS: usize = 10;

impl CanonicalRecords {
    fn of(set: &RrSet, work: &mut WorkBudget) -> Result<CanonicalRecords, Bound> {
        let count = set.data.len();
        work.pay(Cost::of_bytes(set.data.bytes()) + Cost::A_RECORD_SORTED.times(count))?;
        let mut rdata = Vec::with_capacity(set.data.bytes());
        let mut sorted = SmallVec::with_capacity(count);
        for record in set.data.iter() {
            let start = rdata.len() as u32;
            canonical_rdata(set.rtype, record, &mut rdata);
            sorted.push(start..rdata.len() as u32);
        }
        let at = |range: &Range<u32>| &rdata[range.start as usize..range.end as usize];
        sorted.sort_unstable_by(|one, other| at(one).cmp(at(other)));
        sorted.dedup_by(|one, other| at(one) == at(other));
        let bytes = sorted.iter().map(|range| range.len()).sum();
        let records = CanonicalRecords { owner: set.name.clone(), rtype: set.rtype, rdata, sorted, bytes };
        if records.signed_len() > work.limits().signed_bytes {
            return Err(Bound::SignedBytes);
        }
        Ok(records)
    }

    /// At least the length of what `signed_bytes` makes: the name of a wildcard is at most as long as the owner.
    fn signed_len(&self) -> usize {
        RRSIG_BYTES_MAX + self.sorted.len() * (self.owner.as_wire().len() + RECORD_FIELDS) + self.bytes
    }

    fn signed_bytes(&self, rrsig: &Rrsig<'_>) -> Vec<u8> {
        let labels = rrsig.labels as usize;
        let from_wildcard = labels < signed_labels(&self.owner);
        // RFC 4035 5.3.2: `*.` before the rightmost labels.
        let (asterisk, owner) = match from_wildcard {
            true => (&b"\x01*"[..], self.owner.suffix_wire(labels)),
            false => (&b""[..], self.owner.as_wire()),
        };
        let mut out = Vec::with_capacity(self.signed_len());
        out.extend_from_slice(rrsig.head);
        out.extend_from_slice(rrsig.signer.as_wire());
        for range in &self.sorted {
            let rdata = &self.rdata[range.start as usize..range.end as usize];
            out.extend_from_slice(asterisk);
            out.extend_from_slice(owner);
            out.extend_from_slice(&self.rtype.0.to_be_bytes());
            out.extend_from_slice(&1u16.to_be_bytes());
            out.extend_from_slice(&rrsig.original_ttl.to_be_bytes());
            out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            out.extend_from_slice(rdata);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{DnskeyView, Sha1Policy};
    use super::super::keys::verify_set;
    use super::super::test_signer::{DAY, Fields, NOW, Signer, Vectors, a_set, date, keys_of, name, set};
    use super::*;
    use crate::limits::ValidationLimits;
    use proptest::prelude::*;

    fn verify(set: &RrSet, signer: &Signer) -> Result<Verified, Reason> {
        verify_set(set, &signer.keys(), Now::At(NOW), &mut WorkBudget::default())
    }

    fn fault(set: &RrSet, signer: &Signer) -> Fault {
        verify(set, signer).expect_err("must be refused").fault
    }

    #[test]
    fn published_signatures_of_every_algorithm() {
        let vectors = Vectors::of_rfcs();
        let rows = [
            ("rsasha512.example.net.", "example.net.", Rtype::A, 1_283_000_000, 10),
            ("p256.example.net.", "example.net.", Rtype::A, 1_283_000_000, 13),
            ("p384.example.net.", "example.net.", Rtype::A, 1_283_000_000, 14),
            ("example.com.", "example.com.", Rtype::MX, 1_439_000_000, 15),
        ];
        for (owner, zone, rtype, now, algorithm) in rows {
            let key_rdata = vectors.get(owner, Rtype::DNSKEY);
            let view = DnskeyView::read(key_rdata.data.first().expect("key")).expect("readable");
            let key = view.parse(Sha1Policy::Insecure).expect("supported");
            let mut signed = vectors.get(owner, rtype);
            if algorithm != 15 {
                signed.name = name("www.example.net.");
            }
            let verified = verify_by(&signed, &name(zone), &[key], Now::At(now), &mut WorkBudget::default());
            assert_eq!(verified.map(|v| v.signed.algorithm), Ok(algorithm));
        }
    }

    #[test]
    fn the_zone_of_rfc_4035() {
        let vectors = Vectors::of_rfcs();
        let now = u64::from(date("20040420000000"));
        let dnskeys = vectors.get("example.", Rtype::DNSKEY);
        let ksk = dnskeys.data.iter().nth(1).expect("two keys");
        let keys = keys_of(&name("example."), &dnskeys, ksk, now);
        for (owner, rtype) in [
            ("example.", Rtype::SOA),
            ("example.", Rtype::NS),
            ("example.", Rtype::NSEC),
            ("a.example.", Rtype::DS),
            ("ai.example.", Rtype::A),
            ("*.w.example.", Rtype::NSEC),
        ] {
            let verified = verify_set(&vectors.get(owner, rtype), &keys, Now::At(now), &mut WorkBudget::default()).expect(owner);
            assert_eq!(verified.wildcard, None, "{owner}");
        }
        let mut shouting = vectors.get("a.z.w.example.", Rtype::MX);
        shouting.data = [&b"\x00\x01\x02AI\x07EXAMPLE\x00"[..]].into_iter().collect();
        let verified = verify_set(&shouting, &keys, Now::At(now), &mut WorkBudget::default()).expect("B.6, letter case apart");
        assert_eq!(verified.wildcard, Some(name("w.example.")));
    }

    #[test]
    fn each_field_of_a_signature() {
        type Spoil = fn(&mut Fields);
        let signer = Signer::new("example.", 1);
        let rows: [(&str, Spoil, u8); 15] = [
            ("type covered", |f| f.covered = Rtype::AAAA, 0),
            ("signer above", |f| f.signer = Name::root(), 2),
            ("signer below", |f| f.signer = name("b.example."), 2),
            ("signer beside", |f| f.signer = name("other."), 2),
            ("labels below the signer's", |f| f.labels = 0, 3),
            ("labels below the signer's, signed so", |f| (f.labels, f.owner) = (0, name("*.")), 3),
            ("labels above the owner's", |f| f.labels = 4, 3),
            ("labels of a wildcard, signed otherwise", |f| f.labels = 2, 8),
            ("expired", |f| f.expiration = NOW - 1, 7),
            ("not yet valid", |f| f.inception = NOW + 1, 6),
            ("expires before valid", |f| f.inception = f.expiration + 1, 5),
            ("key tag", |f| f.key_tag ^= 1, 4),
            ("algorithm", |f| f.algorithm = 13, 4),
            ("owner", |f| f.owner = name("b.a.example."), 8),
            ("valid for 80 years", |f| f.expiration = NOW + 80 * 366 * DAY, 5),
        ];
        let good = signer.sign(a_set("a.b.example."));
        assert_eq!(verify(&good, &signer).map(|v| v.set.get().clone()), Ok(good));
        for (what, spoil, depth) in rows {
            let refused = fault(&signer.sign_as(a_set("a.b.example."), spoil), &signer);
            assert_eq!(refused.depth(), depth, "{what}: {refused:?}");
        }
        assert_eq!(fault(&a_set("a.b.example."), &signer), Fault::NoSignature);
        assert_eq!(fault(&signer.sign(a_set("a.other.")), &signer).depth(), 2, "owner outside the zone");
        assert_eq!(fault(&signer.sign(set("example.", Rtype::DS, &[1; 36])), &signer).depth(), 2, "a child's own DS");
        assert_eq!(fault(&Signer::new("example.", 2).sign(a_set("a.example.")), &signer).depth(), 4, "another key");
        let mut broken = a_set("a.example.");
        broken.sigs.push(&[0; 5]);
        assert_eq!(fault(&broken, &signer), Fault::Malformed);
    }

    #[test]
    fn a_wildcard_names_its_closest_encloser() {
        let signer = Signer::new("example.", 1);
        let expanded = signer.expand(a_set("a.b.w.example."), "w.example.");
        assert_eq!(verify(&expanded, &signer).map(|v| v.wildcard), Ok(Some(name("w.example."))));
        let itself = signer.sign(a_set("*.w.example."));
        assert_eq!(verify(&itself, &signer).map(|v| v.wildcard), Ok(None));
        let apex = signer.expand(a_set("a.example."), "example.");
        assert_eq!(verify(&apex, &signer).map(|v| v.wildcard), Ok(Some(name("example."))));
    }

    #[test]
    fn ttl_is_never_longer_than_original_and_life() {
        let signer = Signer::p256("example.");
        let rows = [(300, 3_600, DAY, 300), (3_600, 300, DAY, 300), (3_600, 3_600, 20, 20), (3_600, 3_600, 0, 0)];
        for (ttl, original, life, expected) in rows {
            let mut set = a_set("a.example.");
            set.ttl = ttl;
            let set = signer.sign_as(set, |f| (f.original_ttl, f.expiration) = (original, NOW + life));
            assert_eq!(verify(&set, &signer).map(|v| v.set.get().ttl), Ok(expected));
        }
    }

    #[test]
    fn dates_are_passed_over_while_the_clock_is_unknown() {
        let signer = Signer::new("example.", 1);
        let old = signer.sign_as(a_set("a.example."), |f| (f.inception, f.expiration) = (1, 2));
        assert!(verify_set(&old, &signer.keys(), Now::Unknown, &mut WorkBudget::default()).is_ok());
    }

    #[test]
    fn one_good_signature_suffices_and_bad_ones_are_left_out() {
        let signer = Signer::new("example.", 1);
        let set = signer.sign_as(a_set("a.example."), |f| f.expiration = NOW - 1);
        let set = signer.sign(signer.sign_as(set, |f| f.signer = name("other.")));
        assert_eq!(verify(&set, &signer).map(|v| v.set.get().sigs.len()), Ok(1));
    }

    #[test]
    fn work_for_one_set_and_for_one_question_is_bounded() {
        let signer = Signer::new("example.", 1);
        let keys = signer.keys();
        let mut many = a_set("a.example.");
        for ttl in 0..100 {
            many = signer.sign_as(many, |f| (f.original_ttl, f.owner) = (ttl, name("b.example.")));
        }
        let mut work = WorkBudget::default();
        let refused = verify_set(&many, &keys, Now::At(NOW), &mut work).expect_err("bogus");
        assert_eq!(refused.fault, Fault::TooMuchWork(Bound::SignaturesPerSet));
        assert_eq!(work.spent().signatures, 8);
        let refused = verify_set(&many, &keys, Now::At(NOW), &mut work).expect_err("bogus");
        assert_eq!(refused.fault, Fault::TooMuchWork(Bound::FailedSignatures));
        assert_eq!((work.broke(), work.spent().signatures), (Some(Bound::FailedSignatures), 13));
        let mut work = WorkBudget::new(ValidationLimits { time_us: 20, ..ValidationLimits::default() });
        let good = signer.sign(a_set("a.example."));
        assert!(verify_set(&good, &keys, Now::At(NOW), &mut work).is_err());
        assert_eq!((work.broke(), work.spent().signatures), (Some(Bound::Time), 0));
    }

    #[test]
    fn a_large_set_is_paid_by_its_bytes() {
        let signer = Signer::new("example.", 1);
        let of = |owner: &str, count: u16| {
            let mut set = RrSet::new(name(owner), Rtype::A, 300);
            (0..count).for_each(|n| set.data.push(&[192, 0, (n >> 8) as u8, n as u8]));
            let set = signer.sign(set);
            let mut work = WorkBudget::default();
            (verify_set(&set, &signer.keys(), Now::At(NOW), &mut work).map(|_| ()).map_err(|why| why.fault), work.spent().time.as_us())
        };
        let (small, large) = (of("www.example.", 2), of("www.example.", 3_500));
        assert_eq!((small.0, large.0), (Ok(()), Ok(())));
        assert!(small.1 < 30 && large.1 > 300, "{} and {}", small.1, large.1);
        let owner = format!("{}.example.", vec!["a".repeat(60); 4].join("."));
        assert_eq!(of(&owner, 1_500).0, Err(Fault::TooMuchWork(Bound::SignedBytes)), "a long owner, once for each record");
    }

    #[test]
    fn colliding_key_tags_are_tried_a_few_times_only() {
        let signer = Signer::new("example.", 1);
        let view = DnskeyView::read(&signer.dnskey).expect("readable");
        let own = view.parse(Sha1Policy::Insecure).expect("supported");
        let other = Signer::new("example.", 2);
        let mut alike = DnskeyView::read(&other.dnskey).expect("readable").parse(Sha1Policy::Insecure).expect("supported");
        alike.key_tag = own.key_tag;
        let good = signer.sign(a_set("a.example."));
        let tried = |count: usize| {
            let mut keys = vec![alike.clone(); count];
            keys.push(own.clone());
            verify_by(&good, &signer.zone, &keys, Now::At(NOW), &mut WorkBudget::default()).map_err(|why| why.fault).map(|_| ())
        };
        assert_eq!(tried(3), Ok(()));
        assert_eq!(tried(4), Err(Fault::TooMuchWork(Bound::KeysPerTag)));
    }

    proptest! {
        #[test]
        fn order_and_doubles_do_not_matter(
            data in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(b"\x00\x01aAz\xff".to_vec()), 0..6), 1..10),
            turn in 0usize..10,
            is_name in any::<bool>(),
        ) {
            let signer = Signer::new("example.", 1);
            let rtype = if is_name { Rtype::PTR } else { Rtype::TXT };
            let end: &[u8] = if is_name { &[0] } else { &[] };
            let rdata_of = |octets: &[u8]| [&[octets.len() as u8][..], octets, if octets.is_empty() { &[] } else { end }].concat();
            let data: Vec<Vec<u8>> = data.iter().map(|octets| rdata_of(octets)).collect();
            // What the signer saw: each once, names in lower case.
            let once = |rdata: &Vec<u8>| if is_name { rdata.to_ascii_lowercase() } else { rdata.clone() };
            let known: std::collections::BTreeSet<Vec<u8>> = data.iter().map(once).collect();
            let mut set = RrSet::new(name("a.example."), rtype, 300);
            known.iter().for_each(|rdata| set.data.push(rdata));
            let sigs = signer.sign(set.clone()).sigs;
            set.data = RdataList::new();
            let start = turn % data.len();
            data[start..].iter().chain(&data[..start]).for_each(|rdata| set.data.push(rdata));
            set.sigs = sigs;
            prop_assert!(verify(&set, &signer).is_ok());
        }

        #[test]
        fn any_bytes_as_signature_are_refused(rdata in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut set = a_set("a.example.");
            set.sigs.push(&rdata);
            prop_assert!(verify(&set, &Signer::new("example.", 1)).is_err());
        }
    }
}
