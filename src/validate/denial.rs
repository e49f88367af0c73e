//! Proofs that something does not exist, from NSEC or NSEC3 records whose signatures have been checked
//! (RFC 4035 5.4, RFC 5155 8, RFC 6840 4).

use super::budget::{Bound, WorkBudget};
use super::nsec::{Nsec, NsecProof};
use super::nsec3::{Nsec3, Nsec3Hashes, Nsec3Proof};
use super::proof::{Found, ProofKind};
use super::reason::{Claim, Fault, Insecurity, Reason};
use super::rrsig::{Rrsig, signed_labels};
use crate::record::{Name, RrSet, Rtype, Validated};

/// The result of a proof.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denial {
    Proved(Proof),
    Insecure(Insecurity),
    NotProved(Reason),
}

/// A proof of denial that holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    pub kind: ProofKind,
    /// An opt-out span was used: names without records may exist in it, so the reply is insecure (RFC 5155 9.2).
    pub opt_out: bool,
    /// Seconds: the shortest TTL of the records used.
    pub ttl: u32,
}

/// `qname` does not exist, and no wildcard would have answered.
#[cfg(any(test, feature = "internals"))]
pub fn prove_nxdomain(qname: &Name, zone: &Name, sets: &[Validated<RrSet>], work: &mut WorkBudget) -> Denial {
    Evidence::gather(zone, sets, work).nxdomain(qname, work)
}

/// `qname` exists, or is matched by a wildcard, and has no record of `qtype`.
#[cfg(any(test, feature = "internals"))]
pub fn prove_nodata(qname: &Name, qtype: Rtype, zone: &Name, sets: &[Validated<RrSet>], work: &mut WorkBudget) -> Denial {
    Evidence::gather(zone, sets, work).nodata(qname, qtype, work)
}

/// No name exists between `qname` and the wildcard below `closest_encloser` that answered for it.
#[cfg(any(test, feature = "internals"))]
pub fn prove_wildcard_answer(
    qname: &Name,
    qtype: Rtype,
    closest_encloser: &Name,
    zone: &Name,
    sets: &[Validated<RrSet>],
    work: &mut WorkBudget,
) -> Denial {
    Evidence::gather(zone, sets, work).wildcard_answer(qname, qtype, closest_encloser, work)
}

/// No DS exists at `name`: an insecure delegation, or no delegation at all.
#[cfg(any(test, feature = "internals"))]
pub fn prove_no_ds(name: &Name, zone: &Name, sets: &[Validated<RrSet>], work: &mut WorkBudget) -> Denial {
    Evidence::gather(zone, sets, work).no_ds(name, work)
}

/// The usable NSEC and NSEC3 records of one reply.
pub(super) struct Evidence<'a> {
    zone: &'a Name,
    nsec: Vec<Nsec>,
    nsec3: Vec<Nsec3>,
    hashes: Nsec3Hashes,
    ttl: u32,
}

impl<'a> Evidence<'a> {
    pub(super) fn gather(zone: &'a Name, sets: &[Validated<RrSet>], work: &WorkBudget) -> Evidence<'a> {
        let mut evidence = Evidence { zone, nsec: Vec::new(), nsec3: Vec::new(), hashes: Nsec3Hashes::default(), ttl: u32::MAX };
        for set in sets.iter().map(Validated::get).take(work.limits().denial_sets as usize) {
            // A record that another zone signed, or that was synthesised from a wildcard, proves nothing about this zone's
            // names.
            let own = |rrsig: Rrsig<'_>| rrsig.signer == *zone && rrsig.labels as usize == signed_labels(&set.name);
            if Rrsig::first(set).is_some_and(own) {
                evidence.add(set);
            }
        }
        evidence
    }

    /// With hashes that were computed earlier, with the parameters of these records.
    pub(super) fn with_hashes(self, hashes: Nsec3Hashes) -> Evidence<'a> {
        Evidence { hashes, ..self }
    }

    fn add(&mut self, set: &RrSet) {
        let used = match set.rtype {
            Rtype::NSEC => Nsec::read(set, self.zone).map(|nsec| self.nsec.push(nsec)),
            Rtype::NSEC3 => Nsec3::read(set, self.zone).map(|nsec3| self.nsec3.push(nsec3)),
            _ => None,
        };
        if used.is_some() {
            self.ttl = self.ttl.min(set.ttl);
        }
    }

    pub(super) fn nxdomain(&self, qname: &Name, work: &mut WorkBudget) -> Denial {
        let by_nsec = self.by_nsec().name_error(qname);
        let wanted = Wanted { name: qname, rtype: Rtype::ANY, claim: Claim::NameError };
        self.denial(by_nsec, |proof, work| proof.name_error(qname, work), wanted, work)
    }

    pub(super) fn nodata(&self, qname: &Name, qtype: Rtype, work: &mut WorkBudget) -> Denial {
        let by_nsec = self.by_nsec().no_data(qname, qtype);
        let wanted = Wanted { name: qname, rtype: qtype, claim: Claim::NoData };
        self.denial(by_nsec, |proof, work| proof.no_data(qname, qtype, work), wanted, work)
    }

    pub(super) fn wildcard_answer(&self, qname: &Name, qtype: Rtype, closest_encloser: &Name, work: &mut WorkBudget) -> Denial {
        let by_nsec = self.by_nsec().no_closer_name(qname, closest_encloser);
        let wanted = Wanted { name: qname, rtype: qtype, claim: Claim::NoCloserName };
        self.denial(by_nsec, |proof, work| proof.no_closer_name(qname, closest_encloser, work), wanted, work)
    }

    pub(super) fn no_ds(&self, name: &Name, work: &mut WorkBudget) -> Denial {
        let wanted = Wanted { name, rtype: Rtype::DS, claim: Claim::NoDs };
        // The apex of the zone is its parent's to prove.
        if !name.is_below(self.zone) {
            return wanted.not_proved();
        }
        let by_nsec = self.by_nsec().no_ds(name);
        self.denial(by_nsec, |proof, work| proof.no_ds(name, work), wanted, work)
    }

    fn by_nsec(&self) -> NsecProof<'_> {
        NsecProof { zone: self.zone, records: &self.nsec }
    }

    fn denial(
        &self,
        by_nsec: Option<Found>,
        by_nsec3: impl FnOnce(&mut Nsec3Proof<'_>, &mut WorkBudget) -> Result<Option<Found>, Bound>,
        wanted: Wanted<'_>,
        work: &mut WorkBudget,
    ) -> Denial {
        if let Some(found) = by_nsec {
            return Denial::Proved(self.proof(found));
        }
        let Some(mut proof) = Nsec3Proof::new(self.zone, &self.nsec3, &self.hashes) else { return wanted.not_proved() };
        if proof.iterations() > work.limits().nsec3_iterations {
            return Denial::Insecure(Insecurity::Nsec3Iterations(proof.iterations()));
        }
        match by_nsec3(&mut proof, work) {
            Ok(Some(found)) => Denial::Proved(self.proof(found)),
            Ok(None) => wanted.not_proved(),
            Err(bound) => Denial::NotProved(Reason::new(wanted.name, wanted.rtype, Fault::TooMuchWork(bound))),
        }
    }

    fn proof(&self, found: Found) -> Proof {
        Proof { kind: found.kind, opt_out: found.opt_out, ttl: self.ttl }
    }
}

/// The statement that the records should prove.
struct Wanted<'a> {
    name: &'a Name,
    rtype: Rtype,
    claim: Claim,
}

impl Wanted<'_> {
    fn not_proved(&self) -> Denial {
        Denial::NotProved(Reason::new(self.name, self.rtype, Fault::NoProof(self.claim)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bitmap::bitmap_of;
    use super::super::nsec3::{Nsec3Params, nsec3_owner};
    use super::super::test_signer::{Signer, name, nsec};
    use super::*;
    use crate::limits::ValidationLimits;
    use crate::record::EdeCode;

    fn proved(set: RrSet) -> Vec<Validated<RrSet>> {
        vec![Validated::assertion(Signer::new("example.", 1).sign(set))]
    }

    /// A record that matches `owner` and covers every other name.
    fn nsec3(owner: &str, iterations: u16, types: &[Rtype]) -> RrSet {
        let params = Nsec3Params { iterations, salt: vec![] };
        let mut free = WorkBudget::new(ValidationLimits { nsec3_blocks: u32::MAX, ..ValidationLimits::default() });
        let hash = params.hash(&name(owner), &mut free).expect("affordable");
        let [high, low] = iterations.to_be_bytes();
        let rdata = [&[1, 0, high, low, 0, 20][..], &hash, &bitmap_of(types)].concat();
        RrSet::with(nsec3_owner(&hash, &name("example.")).expect("short"), Rtype::NSEC3, 300, &rdata)
    }

    #[test]
    fn the_apex_is_no_cut_of_its_own_zone() {
        let zone = name("example.");
        let sets = proved(nsec("example.", "a.example.", &[Rtype::NS]));
        assert!(matches!(prove_no_ds(&zone, &zone, &sets, &mut WorkBudget::default()), Denial::NotProved(_)));
    }

    #[test]
    fn many_iterations_are_insecure() {
        let zone = name("example.");
        for (iterations, insecure) in [(50, false), (51, true), (2_500, true)] {
            let sets = proved(nsec3("example.", iterations, &[Rtype::SOA, Rtype::NS]));
            let mut work = WorkBudget::default();
            let denial = prove_nxdomain(&name("a.example."), &zone, &sets, &mut work);
            let expected = Denial::Insecure(Insecurity::Nsec3Iterations(iterations));
            assert_eq!(denial == expected, insecure, "{denial:?}");
            assert!(!insecure || work.spent().nsec3_blocks == 0, "nothing is hashed in vain");
        }
        let ede = Insecurity::Nsec3Iterations(51).ede().map(|ede| ede.code);
        assert_eq!(ede, Some(EdeCode::UNSUPPORTED_NSEC3_ITERATIONS));
    }

    #[test]
    fn a_long_name_is_given_up() {
        let sets = proved(nsec3("example.", 50, &[Rtype::SOA, Rtype::NS]));
        let qname = name(&format!("{}example.", "a.".repeat(110)));
        let mut work = WorkBudget::default();
        let denial = prove_nodata(&qname, Rtype::A, &name("example."), &sets, &mut work);
        let Denial::NotProved(why) = denial else { panic!("{denial:?}") };
        assert_eq!((why.fault, work.broke()), (Fault::TooMuchWork(Bound::Nsec3Hashes), Some(Bound::Nsec3Hashes)));
    }

    #[test]
    fn only_so_many_records_are_looked_at() {
        let zone = name("example.");
        let most = ValidationLimits::default().denial_sets as usize;
        for (before, is_seen) in [(most - 1, true), (most, false)] {
            let others = (0..before).map(|n| nsec(&format!("n{n}.example."), &format!("n{n}a.example."), &[Rtype::A]));
            let sets: Vec<Validated<RrSet>> = others.chain([nsec("www.example.", "x.example.", &[Rtype::A])]).flat_map(proved).collect();
            let denial = prove_nodata(&name("www.example."), Rtype::MX, &zone, &sets, &mut WorkBudget::default());
            assert_eq!(matches!(denial, Denial::Proved(_)), is_seen, "{before} before it: {denial:?}");
        }
    }

    #[test]
    fn a_wildcard_answer_by_the_door() {
        let (zone, qname) = (name("example."), name("b.example."));
        let sets = proved(nsec("a.example.", "c.example.", &[Rtype::A]));
        let at = |qname: &Name| prove_wildcard_answer(qname, Rtype::A, &zone, &zone, &sets, &mut WorkBudget::default());
        assert_eq!(at(&qname), Denial::Proved(Proof { kind: ProofKind::NoCloserName, opt_out: false, ttl: 300 }));
        assert!(matches!(at(&name("a.example.")), Denial::NotProved(_)));
    }
}
