//! Answers synthesised from cached denials, without a query (RFC 8198).
//!
//! The cache finds single NSEC and NSEC3 RRsets. This file decides, by the same rules as for a fresh reply, which ones are
//! needed and what they prove together. Opt-out ranges are not used (RFC 8198 5.2), and questions for ANY and RRSIG are not
//! answered. Wildcards are RFC 8198 5.3.
//!
//! Load balancers that sign on the fly often list in a type bitmap only the type that they were asked for. So the bitmap of a
//! name, or of the wildcard that answers for it, denies further types only if a proved RRset of that owner is cached whose type
//! the bitmap lists. The denial of the type that was asked for is cached by itself.

use super::bitmap::TypeBitmap;
use super::budget::WorkBudget;
use super::denial::{Denial, Evidence, Proof};
use super::nsec::Nsec;
use super::nsec3::{Nsec3, Nsec3Hash, Nsec3Hashes, Nsec3Params, nsec3_owner};
use super::proof::{ProofKind, negative_ttl, next_closer};
use super::rrsig::{Rrsig, signed_labels};
use crate::limits::validation::BITMAP_TYPES_MAX;
use crate::record::{Name, RrSet, Rtype, Validated};

/// What is needed from the cache: the record of the zone at this place in its chain, or else the last one before it. Before the
/// first record that is the zone's last record. Its TTL must be the remaining time.
pub enum DenialKey<'a> {
    Nsec(&'a Name),
    Nsec3(&'a Nsec3Hash),
    /// RRsets that the wildcard below this name gave to any name, of the type asked for or CNAME.
    Wildcard(&'a Name),
}

/// Access to what was proved earlier.
pub struct Proved<F, H> {
    pub find: F,
    /// Whether a proved RRset of this owner and type is cached. A wildcard owns what it gave to any name.
    pub has_data: H,
}

/// How the zone denies: by NSEC, or by NSEC3 with parameters that were seen in a secure record.
pub enum DenialForm<'a> {
    Nsec,
    Nsec3(&'a Nsec3Params),
}

/// A synthesised reply.
#[derive(Clone, Debug)]
pub struct Synthesis {
    pub kind: SynthesisKind,
    /// The RRsets that prove it, for the authority section.
    pub proof: Vec<Validated<RrSet>>,
    /// Seconds: at most those of the proof, the SOA and its MINIMUM (RFC 8198 5.4, RFC 9077).
    pub ttl: u32,
}

/// The kind of reply that was synthesised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SynthesisKind {
    NxDomain,
    NoData,
    /// An RRset of the wildcard below this name answers the question; [`expand_wildcard`] makes the RRset.
    Wildcard {
        closest_encloser: Name,
    },
}

/// The reply to a question inside `zone`, if the cache suffices for one. A denial needs the zone's SOA, because its TTL is not
/// known otherwise; a wildcard answer does not (RFC 8198 5.3).
pub fn synthesize<F, H>(
    question: (&Name, Rtype),
    zone: &Name,
    form: DenialForm<'_>,
    soa: Option<&Validated<RrSet>>,
    proved: Proved<F, H>,
    work: &mut WorkBudget,
) -> Option<Synthesis>
where
    F: FnMut(DenialKey<'_>) -> Option<Validated<RrSet>>,
    H: FnMut(&Name, Rtype) -> bool,
{
    let (qname, qtype) = question;
    if !qname.is_within(zone) || matches!(qtype, Rtype::ANY | Rtype::RRSIG) {
        return None;
    }
    let soa = soa.map(Validated::get).filter(|soa| soa.rtype == Rtype::SOA && soa.name == *zone);
    let soa_ttl = match soa {
        Some(soa) => Some(negative_ttl(soa)?),
        None => None,
    };
    let mut search = Search { zone, qname, proved, found: Vec::new(), hashes: Nsec3Hashes::default() };
    let closest_encloser = match form {
        DenialForm::Nsec => search.by_nsec()?,
        DenialForm::Nsec3(params) => search.by_nsec3(params, work)?,
    };
    let evidence = Evidence::gather(zone, &search.found, work).with_hashes(search.hashes.clone());
    let wildcard = closest_encloser.as_ref().map(|closest_encloser| SynthesisKind::Wildcard { closest_encloser: closest_encloser.clone() });
    let Sure { kind, ttl, by_bitmap_of } =
        sure(evidence.nxdomain(qname, work), qname).or_else(|| sure(evidence.nodata(qname, qtype, work), qname)).or_else(|| {
            let denied = evidence.wildcard_answer(qname, qtype, &closest_encloser?, work);
            sure(denied, qname).and_then(|proved| Some(Sure { kind: wildcard?, ..proved }))
        })?;
    if let Some(owner) = by_bitmap_of
        && !search.bitmap_is_confirmed(&owner, qtype, soa.is_some())
    {
        return None;
    }
    if let SynthesisKind::Wildcard { closest_encloser } = &kind {
        let (proof, ttl) = search.no_closer_name(qtype, closest_encloser, work)?;
        let ttl = ttl.min(soa_ttl.unwrap_or(u32::MAX));
        return Some(Synthesis { kind, proof: vec![proof], ttl });
    }
    Some(Synthesis { kind, proof: search.found, ttl: ttl.min(soa_ttl?) })
}

/// The RRset that a wildcard gives to `qname` (RFC 4592 3.3), made from the RRset of the wildcard itself or from one that it
/// gave to another name. `None` if `source` was not synthesised from the wildcard below `closest_encloser`.
pub fn expand_wildcard(qname: &Name, closest_encloser: &Name, source: &Validated<RrSet>) -> Option<Validated<RrSet>> {
    let set = source.get();
    let labels = Rrsig::first(set)?.labels as usize;
    let from_wildcard = labels < signed_labels(&set.name) || set.name.is_wildcard();
    let fits = from_wildcard && labels == closest_encloser.label_count() && set.name.is_below(closest_encloser);
    (fits && qname.is_below(closest_encloser)).then(|| Validated::assertion(RrSet { name: qname.clone(), ..set.clone() }))
}

/// A proof without opt-out.
struct Sure {
    kind: SynthesisKind,
    ttl: u32,
    /// The owner of the type bitmap that the proof relies on.
    by_bitmap_of: Option<Name>,
}

fn sure(denial: Denial, qname: &Name) -> Option<Sure> {
    let Denial::Proved(Proof { kind, opt_out: false, ttl }) = denial else { return None };
    let (kind, by_bitmap_of) = match kind {
        ProofKind::NameError { .. } => (SynthesisKind::NxDomain, None),
        ProofKind::EmptyNonTerminal | ProofKind::NoCloserName => (SynthesisKind::NoData, None),
        ProofKind::NoData => (SynthesisKind::NoData, Some(qname.clone())),
        ProofKind::WildcardNoData { closest_encloser } => (SynthesisKind::NoData, Some(closest_encloser.wildcard()?)),
        ProofKind::InsecureDelegation | ProofKind::NoCut => return None,
    };
    Some(Sure { kind, ttl, by_bitmap_of })
}

/// Collects the RRsets that say something about a name.
struct Search<'a, F, H> {
    zone: &'a Name,
    qname: &'a Name,
    proved: Proved<F, H>,
    found: Vec<Validated<RrSet>>,
    hashes: Nsec3Hashes,
}

impl<F: FnMut(DenialKey<'_>) -> Option<Validated<RrSet>>, H: FnMut(&Name, Rtype) -> bool> Search<'_, F, H> {
    /// The closest encloser, if the name does not exist; `None` inside if the name exists, and outside if nothing is known of
    /// it.
    fn by_nsec(&mut self) -> Option<Option<Name>> {
        let first = (self.proved.find)(DenialKey::Nsec(self.qname))?;
        let nsec = Nsec::read(first.get(), self.zone)?;
        let closest_encloser = nsec.denies(self.qname, self.zone).then(|| nsec.closest_encloser(self.qname));
        self.found.push(first);
        if let Some(wildcard) = closest_encloser.as_ref().and_then(Name::wildcard) {
            let second = (self.proved.find)(DenialKey::Nsec(&wildcard));
            self.add(second);
        }
        Some(closest_encloser)
    }

    fn by_nsec3(&mut self, params: &Nsec3Params, work: &mut WorkBudget) -> Option<Option<Name>> {
        if params.iterations > work.limits().nsec3_iterations {
            return None;
        }
        let mut below = None;
        for labels in (self.zone.label_count()..=self.qname.label_count()).rev() {
            let candidate = self.qname.suffix(labels);
            let hash = self.hashes.of(&candidate, params, work).ok()?;
            let set = (self.proved.find)(DenialKey::Nsec3(&hash));
            let exists = set.as_ref().is_some_and(|set| nsec3_owner(&hash, self.zone).as_ref() == Some(&set.get().name));
            let is_above = next_closer(self.qname, &candidate).is_some();
            if !exists && is_above && (self.proved.find)(DenialKey::Wildcard(&candidate)).is_some() {
                // The wildcard exists below the name, so the name exists. A wildcard answer needs no record of the closest
                // encloser (RFC 5155 7.2.6).
                self.add(below.take());
                return Some(Some(candidate));
            }
            if !exists {
                below = set;
                continue;
            }
            self.add(set);
            // Nothing is synthesised below a cut or a DNAME, which is not this zone's data.
            let silent = || self.found.last().and_then(|set| Nsec3::read(set.get(), self.zone)).is_none_or(|own| own.is_silent_below());
            if is_above && silent() {
                return None;
            }
            if is_above {
                self.add(below.take());
                let hash = self.hashes.of(&candidate.wildcard()?, params, work).ok()?;
                let wildcard = (self.proved.find)(DenialKey::Nsec3(&hash));
                self.add(wildcard);
            }
            return Some(is_above.then_some(candidate));
        }
        None
    }

    /// The only record that a wildcard answer needs (RFC 4035 3.1.3.3, RFC 5155 7.2.6), and its TTL.
    fn no_closer_name(&self, qtype: Rtype, closest_encloser: &Name, work: &mut WorkBudget) -> Option<(Validated<RrSet>, u32)> {
        self.found.iter().find_map(|set| {
            let evidence = Evidence::gather(self.zone, std::slice::from_ref(set), work).with_hashes(self.hashes.clone());
            let proved = sure(evidence.wildcard_answer(self.qname, qtype, closest_encloser, work), self.qname)?;
            Some((set.clone(), proved.ttl))
        })
    }

    /// Whether an RRset is cached whose type the bitmap of `owner` lists. With an empty bitmap the name has no types of its own
    /// (RFC 5155 7.1), and NXNAME says that it does not exist (RFC 9824 3.3). The parent's bitmap at a zone cut comes with a
    /// referral, whatever was asked for, and denies the DS (RFC 4035 3.1.4).
    fn bitmap_is_confirmed(&mut self, owner: &Name, qtype: Rtype, has_soa: bool) -> bool {
        let Some(bitmap) = self.found.iter().find_map(|set| self.bitmap_of(owner, set.get())) else { return false };
        let is_parents_at_cut = bitmap.has(Rtype::NS) && !bitmap.has(Rtype::SOA);
        if bitmap.is_empty() || bitmap.has(Rtype::NXNAME) || is_parents_at_cut && qtype == Rtype::DS {
            return true;
        }
        let is_proof = |rtype: &Rtype| matches!(*rtype, Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3);
        let is_apex = owner == self.zone;
        let has_data = &mut self.proved.has_data;
        let mut listed = bitmap.types().filter(|rtype| !is_proof(rtype)).take(BITMAP_TYPES_MAX);
        listed.any(|rtype| is_apex && has_soa && rtype == Rtype::SOA || has_data(owner, rtype))
    }

    fn bitmap_of(&self, owner: &Name, set: &RrSet) -> Option<TypeBitmap> {
        match set.rtype {
            Rtype::NSEC => Nsec::read(set, self.zone).filter(|_| set.name == *owner).map(|nsec| nsec.types().clone()),
            _ => {
                let is_owners = nsec3_owner(&self.hashes.made(owner)?, self.zone).as_ref() == Some(&set.name);
                Nsec3::read(set, self.zone).filter(|_| is_owners).map(|nsec3| nsec3.types().clone())
            }
        }
    }

    fn add(&mut self, set: Option<Validated<RrSet>>) {
        if let Some(set) = set.filter(|set| !self.found.contains(set)) {
            self.found.push(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bitmap::bitmap_of;
    use super::super::test_signer::{Signer, a_set, name, nsec, set};
    use super::*;
    use Rtype as T;

    const ZONE: [(&str, &[Rtype]); 6] = [
        ("example.", &[T::SOA, T::NS]),
        ("cut.example.", &[T::NS]),
        ("d.example.", &[T::DNAME]),
        ("*.wild.example.", &[T::A]),
        ("www.example.", &[T::A]),
        ("x.y.example.", &[T::A]),
    ];

    /// Every name has what its bitmap lists.
    fn known<F>(find: F) -> Proved<F, impl FnMut(&Name, Rtype) -> bool> {
        Proved { find, has_data: |_: &Name, _| true }
    }

    fn soa(minimum: u32) -> Validated<RrSet> {
        Validated::assertion(set("example.", T::SOA, &[&[0, 0][..], &[0; 16], &minimum.to_be_bytes()].concat()))
    }

    fn params() -> Nsec3Params {
        Nsec3Params { iterations: 0, salt: vec![] }
    }

    fn nsec_chain(signer: &Signer) -> Vec<RrSet> {
        (0..ZONE.len()).map(|at| signer.sign(nsec(ZONE[at].0, ZONE[(at + 1) % ZONE.len()].0, ZONE[at].1))).collect()
    }

    fn nsec3_chain(signer: &Signer, flags: u8) -> Vec<(Nsec3Hash, RrSet)> {
        let empty: [(&str, &[Rtype]); 2] = [("wild.example.", &[]), ("y.example.", &[])];
        let hash = |owner: &str| params().hash(&name(owner), &mut WorkBudget::default()).expect("affordable");
        let mut all: Vec<(Nsec3Hash, &[Rtype])> = ZONE.iter().chain(&empty).map(|(owner, types)| (hash(owner), *types)).collect();
        all.sort();
        let record = |at: usize| {
            let next = all[(at + 1) % all.len()].0;
            let rdata = [&[1, flags, 0, 0, 0, 20][..], &next, &bitmap_of(all[at].1)].concat();
            let owner = nsec3_owner(&all[at].0, &name("example.")).expect("short");
            (all[at].0, signer.sign(RrSet::with(owner, T::NSEC3, 300, &rdata)))
        };
        (0..all.len()).map(record).collect()
    }

    fn by_nsec(question: (&str, Rtype), chain: &[RrSet]) -> Option<SynthesisKind> {
        let find = |key: DenialKey<'_>| {
            let DenialKey::Nsec(wanted) = key else { panic!("NSEC only") };
            chain.iter().rfind(|set| set.name <= *wanted).cloned().map(Validated::assertion)
        };
        let made = synthesize(
            (&name(question.0), question.1),
            &name("example."),
            DenialForm::Nsec,
            Some(&soa(60)),
            known(find),
            &mut WorkBudget::default(),
        )?;
        assert_eq!(made.ttl, 60);
        Some(made.kind)
    }

    fn by_nsec3(question: (&str, Rtype), chain: &[(Nsec3Hash, RrSet)]) -> Option<SynthesisKind> {
        let find = |key: DenialKey<'_>| {
            let wanted = match key {
                DenialKey::Nsec3(wanted) => wanted,
                DenialKey::Wildcard(_) => return None,
                DenialKey::Nsec(_) => panic!("NSEC3 only"),
            };
            let (_, set) = chain.iter().rfind(|(hash, _)| hash <= wanted).or(chain.last())?;
            Some(Validated::assertion(set.clone()))
        };
        let form = DenialForm::Nsec3(&params());
        Some(
            synthesize((&name(question.0), question.1), &name("example."), form, Some(&soa(60)), known(find), &mut WorkBudget::default())?
                .kind,
        )
    }

    #[test]
    fn by_nsec_and_by_nsec3_alike() {
        let signer = Signer::new("example.", 1);
        let (plain, hashed, opt_out) = (nsec_chain(&signer), nsec3_chain(&signer, 0), nsec3_chain(&signer, 1));
        let wildcard = Some(SynthesisKind::Wildcard { closest_encloser: name("wild.example.") });
        let rows = [
            ("b.example.", T::A, Some(SynthesisKind::NxDomain)),
            ("a.b.example.", T::A, Some(SynthesisKind::NxDomain)),
            ("zzz.example.", T::A, Some(SynthesisKind::NxDomain)),
            ("www.example.", T::A, None),
            ("www.example.", T::AAAA, Some(SynthesisKind::NoData)),
            ("www.example.", T::ANY, None),
            ("www.example.", T::RRSIG, None),
            ("below.www.example.", T::A, Some(SynthesisKind::NxDomain)),
            ("y.example.", T::A, Some(SynthesisKind::NoData)),
            ("cut.example.", T::A, None),
            ("cut.example.", T::DS, Some(SynthesisKind::NoData)),
            ("a.cut.example.", T::A, None),
            ("d.example.", T::A, Some(SynthesisKind::NoData)),
            ("a.d.example.", T::A, None),
            ("a.wild.example.", T::A, wildcard),
            ("a.wild.example.", T::AAAA, Some(SynthesisKind::NoData)),
            ("example.", T::DS, None),
            ("b.other.", T::A, None),
        ];
        for (qname, qtype, expected) in rows {
            assert_eq!(by_nsec((qname, qtype), &plain), expected, "NSEC: {qname} {qtype}");
            assert_eq!(by_nsec3((qname, qtype), &hashed), expected, "NSEC3: {qname} {qtype}");
            if qname.starts_with(['a', 'b', 'z']) {
                assert_eq!(by_nsec3((qname, qtype), &opt_out), None, "opt-out: {qname} {qtype}");
            }
        }
    }

    #[test]
    fn a_lone_bitmap_denies_only_what_the_parent_says_at_a_cut() {
        let chain = nsec_chain(&Signer::new("example.", 1));
        let made = |qname: &str, qtype| {
            let find = |key: DenialKey<'_>| {
                let DenialKey::Nsec(wanted) = key else { panic!("NSEC only") };
                chain.iter().rfind(|set| set.name <= *wanted).cloned().map(Validated::assertion)
            };
            let known = Proved { find, has_data: |_: &Name, _| false };
            synthesize((&name(qname), qtype), &name("example."), DenialForm::Nsec, Some(&soa(60)), known, &mut WorkBudget::default())
                .map(|made| made.kind)
        };
        assert_eq!(made("www.example.", T::AAAA), None);
        assert_eq!(made("www.example.", T::DS), None);
        assert_eq!(made("a.wild.example.", T::AAAA), None);
        assert_eq!(made("cut.example.", T::DS), Some(SynthesisKind::NoData));
    }

    /// RFC 8198 5.4 and RFC 9077.
    #[test]
    fn no_longer_than_the_proof_and_the_soa() {
        let signer = Signer::new("example.", 1);
        let chain = nsec_chain(&signer);
        for (proof_ttl, soa_ttl, minimum) in [(40, 300, 60), (300, 40, 60), (300, 60, 40)] {
            let soa = soa(minimum).shortened(soa_ttl);
            let find = |key: DenialKey<'_>| {
                let DenialKey::Nsec(wanted) = key else { panic!("NSEC only") };
                chain.iter().rfind(|set| set.name <= *wanted).cloned().map(|set| Validated::assertion(set).shortened(proof_ttl))
            };
            let made = synthesize(
                (&name("b.example."), T::A),
                &name("example."),
                DenialForm::Nsec,
                Some(&soa),
                known(find),
                &mut WorkBudget::default(),
            )
            .expect("denied");
            assert_eq!(made.ttl, 40, "{proof_ttl} {soa_ttl} {minimum}");
        }
    }

    /// RFC 9276 3.2: such a zone is insecure; its hashes are not even made.
    #[test]
    fn nothing_from_many_iterations() {
        let (params, mut work) = (Nsec3Params { iterations: 51, salt: vec![] }, WorkBudget::default());
        let find = |_: DenialKey<'_>| panic!("nothing is looked for");
        let made =
            synthesize((&name("b.example."), T::A), &name("example."), DenialForm::Nsec3(&params), Some(&soa(60)), known(find), &mut work);
        assert!(made.is_none() && work.spent().nsec3_blocks == 0);
    }

    #[test]
    fn without_an_soa_only_what_a_wildcard_has() {
        let chain = nsec_chain(&Signer::new("example.", 1));
        let made = |qname: &str, qtype, soa: Option<&Validated<RrSet>>| {
            let find = |key: DenialKey<'_>| {
                let DenialKey::Nsec(wanted) = key else { panic!("NSEC only") };
                chain.iter().rfind(|set| set.name <= *wanted).cloned().map(Validated::assertion)
            };
            synthesize((&name(qname), qtype), &name("example."), DenialForm::Nsec, soa, known(find), &mut WorkBudget::default())
                .map(|made| made.kind)
        };
        let wildcard = Some(SynthesisKind::Wildcard { closest_encloser: name("wild.example.") });
        let foreign = Validated::assertion(set("other.", T::SOA, &[&[0, 0][..], &[0; 16], &[0, 0, 0, 60]].concat()));
        for soa in [None, Some(&foreign)] {
            assert_eq!(made("a.wild.example.", T::A, soa), wildcard);
            assert_eq!(made("a.wild.example.", T::AAAA, soa), None);
            assert_eq!(made("b.example.", T::A, soa), None);
            assert_eq!(made("www.example.", T::AAAA, soa), None);
        }
    }

    #[test]
    fn nothing_from_too_little() {
        let signer = Signer::new("example.", 1);
        let chain = nsec_chain(&signer);
        let without_apex = &chain[1..];
        let wildcard_may_exist = SynthesisKind::Wildcard { closest_encloser: name("example.") };
        assert_eq!(by_nsec(("cuu.example.", T::A), without_apex), Some(wildcard_may_exist), "no denial of the wildcard");
        let foreign: Vec<RrSet> = nsec_chain(&Signer::new("other.", 1));
        assert_eq!(by_nsec(("b.example.", T::A), &foreign), None, "signed by another zone");
    }

    #[test]
    fn expansion_keeps_to_its_wildcard() {
        let signer = Signer::new("example.", 1);
        let given = Validated::assertion(signer.expand(a_set("a.wild.example."), "wild.example."));
        let own = Validated::assertion(signer.sign(a_set("*.wild.example.")));
        let plain = Validated::assertion(signer.sign(a_set("www.example.")));
        let (qname, wild) = (name("b.c.wild.example."), name("wild.example."));
        for source in [&given, &own] {
            let made = expand_wildcard(&qname, &wild, source).expect("fits");
            assert_eq!((&made.get().name, &made.get().data), (&qname, &source.get().data));
            assert_eq!(expand_wildcard(&qname, &name("example."), source), None);
            assert_eq!(expand_wildcard(&name("b.example."), &wild, source), None);
        }
        assert_eq!(expand_wildcard(&name("a.www.example."), &name("www.example."), &plain), None);
        assert_eq!(expand_wildcard(&qname, &name("example."), &plain), None);
    }
}
