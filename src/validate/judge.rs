//! One classified reply, validated as a whole (RFC 4035 5.3 and 5.4, RFC 5155 8).
//!
//! The walk says which kind of reply this is for the name that it asks for; the verdict says whether the zone's keys prove
//! exactly that. If they cannot, because the data belongs to a zone further down, the verdict names what is still needed and
//! the walk calls again. A [`Case`] checks one RRset in each step, so that the caller can let other tasks run between two
//! signatures.

use std::sync::Arc;

use super::budget::WorkBudget;
use super::denial::{Denial, Evidence, Proof};
use super::judgement::{Judgement, Reply, ReplyKind, Secured};
use super::keys::ZoneKeys;
use super::plan::{Item, Plan};
use super::proof::{ProofKind, negative_ttl};
use super::reason::{Claim, Fault, Insecurity, Reason};
use super::rrsig::Now;
use super::set::{SetTrial, Verified};
use crate::record::{RrSet, Rtype, Validated};

/// Judges the whole reply in one step.
#[cfg(any(test, feature = "internals"))]
pub fn judge(reply: Reply, keys: Arc<ZoneKeys>, now: Now, work: &mut WorkBudget) -> Judgement {
    let mut case = Case::new(reply, keys, work);
    loop {
        if let Some(judgement) = case.step(now, work) {
            return judgement;
        }
    }
}

/// A reply on its way to a verdict.
pub struct Case {
    reply: Reply,
    keys: Arc<ZoneKeys>,
    /// Decided before any signature was checked.
    early: Option<Judgement>,
    /// RRsets still to be checked, the next one last.
    left: Vec<Item>,
    /// The RRset that is being checked.
    trial: SetTrial,
    answer: Vec<Verified>,
    authority: Vec<Validated<RrSet>>,
    /// Why a denial record could not be used: the better reason if the proof then fails.
    unusable: Option<Reason>,
    wildcard_proof_planned: bool,
}

impl Case {
    /// Decides what has to be checked, without any cryptography.
    pub fn new(reply: Reply, keys: Arc<ZoneKeys>, work: &WorkBudget) -> Case {
        let plan = Plan { reply: &reply, zone: keys.zone(), denial_sets_max: work.limits().denial_sets as usize };
        let (early, mut left) = match plan.make() {
            Ok(items) => (None, items),
            Err(judgement) => (Some(*judgement), Vec::new()),
        };
        left.reverse();
        Case {
            reply,
            keys,
            early,
            left,
            trial: SetTrial::default(),
            answer: Vec::new(),
            authority: Vec::new(),
            unusable: None,
            wildcard_proof_planned: false,
        }
    }

    /// Checks one more signature. Called until it returns a judgement, and not after that.
    pub fn step(&mut self, now: Now, work: &mut WorkBudget) -> Option<Judgement> {
        if let Some(judgement) = self.early.take() {
            return Some(judgement);
        }
        match self.left.last().copied() {
            Some(item) => self.check(item, now, work).err().map(Judgement::Bogus),
            None if self.plan_wildcard_proof(work) => None,
            None => Some(self.conclude(work)),
        }
    }

    fn check(&mut self, item: Item, now: Now, work: &mut WorkBudget) -> Result<(), Reason> {
        let set = match item {
            Item::Answer(at) => &self.reply.answer[at],
            Item::Authority(at) | Item::Denial(at) => &self.reply.authority[at],
        };
        let Some(verified) = self.trial.step(set, self.keys.zone(), self.keys.keys(), now, work) else { return Ok(()) };
        self.left.pop();
        self.trial = SetTrial::default();
        match (item, verified) {
            (Item::Answer(_), Ok(verified)) => self.answer.push(verified),
            (Item::Authority(_), Ok(verified)) if set.rtype == Rtype::DS => self.answer.push(verified),
            (Item::Authority(_) | Item::Denial(_), Ok(verified)) => self.authority.push(verified.set),
            (Item::Denial(_), Err(why)) if !matches!(why.fault, Fault::TooMuchWork(_)) => {
                self.unusable.get_or_insert(why);
            }
            (_, Err(why)) => return Err(why),
        }
        Ok(())
    }

    /// A wildcard answer needs the denial records too (RFC 4035 5.3.4).
    fn plan_wildcard_proof(&mut self, work: &WorkBudget) -> bool {
        let needed = !self.wildcard_proof_planned && self.answer.iter().any(|verified| verified.wildcard.is_some());
        self.wildcard_proof_planned = true;
        if needed {
            let plan = Plan { reply: &self.reply, zone: self.keys.zone(), denial_sets_max: work.limits().denial_sets as usize };
            self.left = plan.denial_items();
        }
        needed
    }

    fn conclude(&mut self, work: &mut WorkBudget) -> Judgement {
        self.limit_denial_records();
        let proof = match self.prove(work) {
            None => None,
            Some(Denial::Proved(proof)) if proof.opt_out => return Judgement::Insecure(Insecurity::OptOut),
            Some(Denial::Proved(proof)) => Some(proof),
            Some(Denial::Insecure(reason)) => return Judgement::Insecure(reason),
            Some(Denial::NotProved(why)) => {
                let better = self.unusable.take().filter(|_| matches!(why.fault, Fault::NoProof(_)));
                return Judgement::Bogus(better.unwrap_or(why));
            }
        };
        if let (ReplyKind::Referral { cut }, Some(proof)) = (&self.reply.kind, &proof) {
            return match proof.kind {
                ProofKind::InsecureDelegation => Judgement::Insecure(Insecurity::NoDs),
                // The zone's records prove that the cut to which its server refers does not exist.
                _ => Judgement::Bogus(Reason::new(cut, Rtype::DS, Fault::NoProof(Claim::NoDs))),
            };
        }
        let (answer, authority) = (std::mem::take(&mut self.answer), std::mem::take(&mut self.authority));
        Judgement::Secure(Secured { answer, authority, proof })
    }

    /// RFC 9077 3: the TTL of NSEC and NSEC3 records is at most that of the denial they came with.
    fn limit_denial_records(&mut self) {
        let soa = self.authority.iter().map(Validated::get).find(|set| set.rtype == Rtype::SOA);
        let Some(ttl_max) = soa.and_then(negative_ttl) else { return };
        let limited = |set: Validated<RrSet>| {
            let ttl = set.get().ttl.min(ttl_max);
            if set.get().rtype == Rtype::SOA { set } else { set.shortened(ttl) }
        };
        self.authority = std::mem::take(&mut self.authority).into_iter().map(limited).collect();
    }

    /// The denial that this kind of reply needs; none for an answer that no wildcard made.
    fn prove(&self, work: &mut WorkBudget) -> Option<Denial> {
        let evidence = Evidence::gather(self.keys.zone(), &self.authority, work);
        let Reply { qname, qtype, kind, .. } = &self.reply;
        match kind {
            ReplyKind::NxDomain => Some(match evidence.nxdomain(qname, work) {
                // Many servers deny an empty non-terminal. The signed records count, not the RCODE: the name exists without the
                // type (RFC 8020 2, RFC 4035 5.4).
                not_proved @ Denial::NotProved(_) => match evidence.nodata(qname, *qtype, work) {
                    exists @ Denial::Proved(Proof { opt_out: false, .. }) => exists,
                    _ => not_proved,
                },
                other => other,
            }),
            ReplyKind::NoData if *qtype == Rtype::DS && qname.is_below(self.keys.zone()) => Some(match evidence.no_ds(qname, work) {
                // Such a reply claims that the name exists, so a proof that it does not exist proves nothing here (RFC 5155
                // 8.6, RFC 4035 5.4).
                Denial::Proved(no_cut @ Proof { kind: ProofKind::NoCut, .. }) => match evidence.nodata(qname, *qtype, work) {
                    Denial::Proved(_) => Denial::Proved(no_cut),
                    other => other,
                },
                other => other,
            }),
            ReplyKind::NoData => Some(evidence.nodata(qname, *qtype, work)),
            ReplyKind::Referral { cut } if self.answer.is_empty() => Some(evidence.no_ds(cut, work)),
            ReplyKind::Referral { .. } | ReplyKind::Answer | ReplyKind::Cname | ReplyKind::Dname => self.prove_wildcards(&evidence, work),
        }
    }

    fn prove_wildcards(&self, evidence: &Evidence<'_>, work: &mut WorkBudget) -> Option<Denial> {
        let mut proved = None;
        for verified in &self.answer {
            let Some(closest_encloser) = &verified.wildcard else { continue };
            let RrSet { name, rtype, .. } = verified.set.get();
            proved = Some(evidence.wildcard_answer(name, *rtype, closest_encloser, work));
            if !matches!(proved, Some(Denial::Proved(Proof { opt_out: false, .. }))) {
                break;
            }
        }
        proved
    }
}

#[cfg(test)]
mod tests {
    use super::super::judgement::CutVerdict;
    use super::super::test_signer::{NOW, Signer, Vectors, a_set, date, keys_of, name, nsec, set, soa};
    use super::*;
    use crate::record::Name;
    use Rtype as T;
    use proptest::prelude::*;

    /// What it shows, question, kind, answer, authority, verdict.
    type Row = (&'static str, (&'static str, Rtype), ReplyKind, Vec<RrSet>, Vec<RrSet>, &'static str);
    type DenialRow = (&'static str, (&'static str, Rtype), ReplyKind, Vec<RrSet>, &'static str);

    /// `example.` with a secure and an insecure cut, a wildcard, a DNAME and an alias.
    struct World {
        zone: Signer,
        child: Signer,
    }

    impl World {
        fn new() -> World {
            World { zone: Signer::new("example.", 1), child: Signer::new("sub.example.", 2) }
        }

        fn nsec(&self, owner: &str) -> RrSet {
            const CHAIN: [(&str, &[Rtype]); 8] = [
                ("example.", &[T::SOA, T::NS, T::DNSKEY]),
                ("alias.example.", &[T::CNAME]),
                ("cut.example.", &[T::NS]),
                ("dname.example.", &[T::DNAME]),
                ("sub.example.", &[T::NS, T::DS]),
                ("*.wild.example.", &[T::A]),
                ("www.example.", &[T::A]),
                ("x.y.example.", &[T::A]),
            ];
            let at = CHAIN.iter().position(|(name, _)| *name == owner).expect(owner);
            self.zone.sign(nsec(owner, CHAIN[(at + 1) % CHAIN.len()].0, CHAIN[at].1))
        }

        fn soa(&self) -> RrSet {
            self.zone.sign(soa("example."))
        }

        fn judge(&self, question: (&str, Rtype), kind: ReplyKind, answer: Vec<RrSet>, authority: Vec<RrSet>) -> Judgement {
            let reply = Reply { qname: name(question.0), qtype: question.1, kind, answer, authority };
            judge(reply, self.zone.keys(), Now::At(NOW), &mut WorkBudget::default())
        }
    }

    /// One word or two for a judgement.
    fn short(judgement: &Judgement) -> String {
        match judgement {
            Judgement::Secure(secured) => match &secured.proof {
                None => "secure".into(),
                Some(proof) => format!("secure {:?}", proof.kind).split([' ', '{']).take(2).collect::<Vec<_>>().join(" "),
            },
            Judgement::Insecure(reason) => format!("insecure {reason:?}"),
            Judgement::Bogus(why) => format!("bogus {}", why.fault.ede_code().0),
            Judgement::NeedsKeys(zone) => format!("keys of {zone}"),
            Judgement::NeedsCut { name, why } => format!("cut at {name} or {}", why.fault.ede_code().0),
        }
    }

    #[test]
    fn answers() {
        let w = World::new();
        let (zone, child) = (&w.zone, &w.child);
        let cname = |owner: &str, to: &str| set(owner, T::CNAME, name(to).as_wire());
        let dname = || zone.sign(set("dname.example.", T::DNAME, name("to.").as_wire()));
        let rows: Vec<Row> = vec![
            ("signed", ("www.example.", T::A), ReplyKind::Answer, vec![zone.sign(a_set("www.example."))], vec![], "secure"),
            ("at the apex, not signed", ("example.", T::A), ReplyKind::Answer, vec![a_set("example.")], vec![], "bogus 10"),
            ("not signed", ("a.b.example.", T::A), ReplyKind::Answer, vec![a_set("a.b.example.")], vec![], "cut at a.b.example. or 10"),
            (
                "signed by a zone below",
                ("a.sub.example.", T::A),
                ReplyKind::Answer,
                vec![child.sign(a_set("a.sub.example."))],
                vec![],
                "keys of sub.example.",
            ),
            (
                "signed by a zone beside",
                ("www.example.", T::A),
                ReplyKind::Answer,
                vec![child.sign(a_set("www.example."))],
                vec![],
                "cut at www.example. or 6",
            ),
            (
                "signed by the zone above",
                ("www.example.", T::A),
                ReplyKind::Answer,
                vec![Signer::new(".", 3).sign(a_set("www.example."))],
                vec![],
                "cut at www.example. or 6",
            ),
            (
                "the zone's own DS, by the zone above",
                ("example.", T::DS),
                ReplyKind::Answer,
                vec![Signer::new(".", 3).sign(set("example.", T::DS, &[1; 36]))],
                vec![],
                "keys of .",
            ),
            ("a DS not signed", ("sub.example.", T::DS), ReplyKind::Answer, vec![set("sub.example.", T::DS, &[1; 36])], vec![], "bogus 10"),
            ("only other names", ("www.example.", T::A), ReplyKind::Answer, vec![zone.sign(a_set("w.example."))], vec![], "bogus 10"),
            ("RRSIG", ("www.example.", T::RRSIG), ReplyKind::Answer, vec![], vec![], "insecure SignatureRecords"),
            ("ANY, one set not signed", ("example.", T::ANY), ReplyKind::Answer, vec![w.soa(), a_set("example.")], vec![], "bogus 10"),
            ("ANY", ("example.", T::ANY), ReplyKind::Answer, vec![w.soa(), zone.sign(a_set("example."))], vec![], "secure"),
            (
                "wildcard",
                ("a.wild.example.", T::A),
                ReplyKind::Answer,
                vec![zone.expand(a_set("a.wild.example."), "wild.example.")],
                vec![w.nsec("*.wild.example.")],
                "secure NoCloserName",
            ),
            (
                "wildcard without proof",
                ("a.wild.example.", T::A),
                ReplyKind::Answer,
                vec![zone.expand(a_set("a.wild.example."), "wild.example.")],
                vec![w.nsec("example.")],
                "bogus 12",
            ),
            (
                "wildcard over an existing name",
                ("www.example.", T::A),
                ReplyKind::Answer,
                vec![zone.expand(a_set("www.example."), "example.")],
                vec![w.nsec("*.wild.example."), w.nsec("www.example.")],
                "bogus 12",
            ),
            (
                "wildcard over names below an ENT",
                ("z.y.example.", T::A),
                ReplyKind::Answer,
                vec![zone.expand(a_set("z.y.example."), "example.")],
                vec![w.nsec("x.y.example."), w.nsec("www.example.")],
                "bogus 12",
            ),
            (
                "alias",
                ("alias.example.", T::A),
                ReplyKind::Cname,
                vec![zone.sign(cname("alias.example.", "www.example."))],
                vec![],
                "secure",
            ),
            ("DNAME", ("a.dname.example.", T::A), ReplyKind::Dname, vec![dname(), cname("a.dname.example.", "a.to.")], vec![], "secure"),
            (
                "DNAME taken for an alias",
                ("a.dname.example.", T::A),
                ReplyKind::Cname,
                vec![dname(), cname("a.dname.example.", "a.to.")],
                vec![],
                "secure",
            ),
            (
                "DNAME beside an alias to elsewhere",
                ("a.dname.example.", T::A),
                ReplyKind::Dname,
                vec![dname(), cname("a.dname.example.", "evil.")],
                vec![],
                "bogus 10",
            ),
        ];
        for (what, question, kind, answer, authority, expected) in rows {
            assert_eq!(short(&w.judge(question, kind, answer, authority)), expected, "{what}");
        }
    }

    #[test]
    fn denials() {
        let w = World::new();
        let sub_soa = || w.child.sign(soa("sub.example."));
        let rows: Vec<DenialRow> = vec![
            (
                "name error",
                ("b.example.", T::A),
                ReplyKind::NxDomain,
                vec![w.soa(), w.nsec("alias.example."), w.nsec("example.")],
                "secure NameError",
            ),
            ("no wildcard denial", ("b.example.", T::A), ReplyKind::NxDomain, vec![w.soa(), w.nsec("alias.example.")], "bogus 12"),
            ("stripped", ("b.example.", T::A), ReplyKind::NxDomain, vec![w.soa()], "bogus 12"),
            ("nothing signed", ("b.example.", T::A), ReplyKind::NxDomain, vec![soa("example.")], "cut at b.example. or 10"),
            ("nothing at all", ("b.example.", T::A), ReplyKind::NxDomain, vec![], "cut at b.example. or 12"),
            (
                "signed by the zone above",
                ("b.example.", T::A),
                ReplyKind::NxDomain,
                vec![Signer::new(".", 3).sign(nsec("a.example.", "c.example.", &[T::A]))],
                "cut at b.example. or 6",
            ),
            ("nothing at all, at the apex", ("example.", T::TXT), ReplyKind::NoData, vec![], "bogus 12"),
            ("no data", ("www.example.", T::TXT), ReplyKind::NoData, vec![w.soa(), w.nsec("www.example.")], "secure NoData"),
            ("the type is there", ("www.example.", T::A), ReplyKind::NoData, vec![w.soa(), w.nsec("www.example.")], "bogus 12"),
            ("an alias is there", ("alias.example.", T::A), ReplyKind::NoData, vec![w.soa(), w.nsec("alias.example.")], "bogus 12"),
            ("no data at the DNAME itself", ("dname.example.", T::A), ReplyKind::NoData, vec![w.nsec("dname.example.")], "secure NoData"),
            (
                "below the DNAME",
                ("a.dname.example.", T::A),
                ReplyKind::NxDomain,
                vec![w.soa(), w.nsec("dname.example."), w.nsec("example.")],
                "bogus 12",
            ),
            ("parent's side of a cut", ("cut.example.", T::A), ReplyKind::NoData, vec![w.soa(), w.nsec("cut.example.")], "bogus 12"),
            (
                "parent's side, name below",
                ("a.cut.example.", T::A),
                ReplyKind::NxDomain,
                vec![w.soa(), w.nsec("cut.example."), w.nsec("example.")],
                "bogus 12",
            ),
            (
                "wildcard no data",
                ("a.wild.example.", T::TXT),
                ReplyKind::NoData,
                vec![w.soa(), w.nsec("*.wild.example.")],
                "secure WildcardNoData",
            ),
            ("ENT", ("y.example.", T::A), ReplyKind::NoData, vec![w.soa(), w.nsec("www.example.")], "secure EmptyNonTerminal"),
            (
                "ENT as name error",
                ("y.example.", T::A),
                ReplyKind::NxDomain,
                vec![w.soa(), w.nsec("www.example.")],
                "secure EmptyNonTerminal",
            ),
            (
                "existing name as name error",
                ("www.example.", T::MX),
                ReplyKind::NxDomain,
                vec![w.soa(), w.nsec("www.example.")],
                "secure NoData",
            ),
            ("existing data as name error", ("www.example.", T::A), ReplyKind::NxDomain, vec![w.soa(), w.nsec("www.example.")], "bogus 12"),
            ("no DS", ("cut.example.", T::DS), ReplyKind::NoData, vec![w.soa(), w.nsec("cut.example.")], "secure InsecureDelegation"),
            ("no DS, no cut", ("www.example.", T::DS), ReplyKind::NoData, vec![w.soa(), w.nsec("www.example.")], "secure NoCut"),
            ("no DS at an ENT", ("y.example.", T::DS), ReplyKind::NoData, vec![w.soa(), w.nsec("www.example.")], "secure NoCut"),
            (
                "no DS at a name that is not there",
                ("b.example.", T::DS),
                ReplyKind::NoData,
                vec![w.soa(), w.nsec("alias.example."), w.nsec("example.")],
                "bogus 12",
            ),
            (
                "no DS by a wildcard",
                ("a.wild.example.", T::DS),
                ReplyKind::NoData,
                vec![w.soa(), w.nsec("*.wild.example.")],
                "secure NoCut",
            ),
            ("DS is there", ("sub.example.", T::DS), ReplyKind::NoData, vec![w.soa(), w.nsec("sub.example.")], "bogus 12"),
            ("the child's word on its own DS", ("example.", T::DS), ReplyKind::NoData, vec![w.soa(), w.nsec("example.")], "bogus 12"),
            ("signed by a zone below", ("a.sub.example.", T::A), ReplyKind::NxDomain, vec![sub_soa()], "keys of sub.example."),
            ("SOA of another zone", ("www.example.", T::TXT), ReplyKind::NoData, vec![w.nsec("www.example."), sub_soa()], "bogus 6"),
            (
                "SOA of a name that is no apex",
                ("www.example.", T::TXT),
                ReplyKind::NoData,
                vec![w.nsec("www.example."), w.zone.sign(soa("sub.example."))],
                "bogus 6",
            ),
            ("SOA not signed", ("www.example.", T::TXT), ReplyKind::NoData, vec![w.nsec("www.example."), soa("example.")], "bogus 10"),
            (
                "an NSEC expanded from a wildcard",
                ("b.example.", T::TXT),
                ReplyKind::NoData,
                vec![w.zone.expand(nsec("b.example.", "c.example.", &[T::A]), "example.")],
                "bogus 12",
            ),
            (
                "next name outside the zone",
                ("zz.example.", T::A),
                ReplyKind::NxDomain,
                vec![w.zone.sign(nsec("z.example.", "a.other.", &[T::A])), w.nsec("example.")],
                "bogus 12",
            ),
            (
                "an expired record beside the proof",
                ("www.example.", T::TXT),
                ReplyKind::NoData,
                vec![
                    w.soa(),
                    w.zone.sign_as(nsec("alias.example.", "cut.example.", &[T::CNAME]), |f| f.expiration = NOW - 1),
                    w.nsec("www.example."),
                ],
                "secure NoData",
            ),
            (
                "expired proof",
                ("www.example.", T::TXT),
                ReplyKind::NoData,
                vec![w.zone.sign_as(nsec("www.example.", "x.y.example.", &[T::A]), |f| f.expiration = NOW - 1)],
                "bogus 7",
            ),
        ];
        for (what, question, kind, authority, expected) in rows {
            assert_eq!(short(&w.judge(question, kind, vec![], authority)), expected, "{what}");
        }
    }

    #[test]
    fn referrals() {
        let w = World::new();
        let ns = |owner: &str| set(owner, T::NS, name("ns.other.").as_wire());
        let ds = || set("sub.example.", T::DS, &[1; 36]);
        let rows: Vec<(&str, &str, Vec<RrSet>, &str)> = vec![
            ("secure", "sub.example.", vec![ns("sub.example."), w.zone.sign(ds())], "secure"),
            ("insecure", "cut.example.", vec![ns("cut.example."), w.nsec("cut.example.")], "insecure NoDs"),
            ("DS not signed", "sub.example.", vec![ns("sub.example."), ds()], "bogus 10"),
            ("neither", "sub.example.", vec![ns("sub.example.")], "cut at sub.example. or 12"),
            ("denied although there", "sub.example.", vec![ns("sub.example."), w.nsec("sub.example.")], "bogus 12"),
            ("a cut where there is none", "www.example.", vec![ns("www.example."), w.nsec("www.example.")], "bogus 12"),
            ("upwards", "example.", vec![ns("example.")], "bogus 12"),
            (
                "from a zone between",
                "a.sub.example.",
                vec![ns("a.sub.example."), w.child.sign(set("a.sub.example.", T::DS, &[1; 36]))],
                "keys of sub.example.",
            ),
            (
                "insecure, from a zone between",
                "a.sub.example.",
                vec![ns("a.sub.example."), w.child.sign(nsec("a.sub.example.", "sub.example.", &[T::NS]))],
                "keys of sub.example.",
            ),
        ];
        for (what, cut, authority, expected) in rows {
            let kind = ReplyKind::Referral { cut: name(cut) };
            assert_eq!(short(&w.judge(("a.b.sub.example.", T::A), kind, vec![], authority)), expected, "{what}");
        }
    }

    #[test]
    fn what_a_judgement_says_of_a_cut() {
        let w = World::new();
        let cut = |question, kind, answer, authority| w.judge((question, T::DS), kind, answer, authority).cut();
        let ds = w.zone.sign(set("sub.example.", T::DS, &[1; 36]));
        assert!(matches!(cut("sub.example.", ReplyKind::Answer, vec![ds], vec![]), CutVerdict::Secure(_)));
        let insecure = cut("cut.example.", ReplyKind::NoData, vec![], vec![w.nsec("cut.example.")]);
        assert!(matches!(insecure, CutVerdict::Insecure(Insecurity::NoDs)));
        let none = cut("b.example.", ReplyKind::NxDomain, vec![], vec![w.nsec("alias.example."), w.nsec("example.")]);
        assert!(matches!(none, CutVerdict::NoCut));
        assert!(matches!(cut("b.example.", ReplyKind::NoData, vec![], vec![]), CutVerdict::Open));
        let wildcard = w.zone.expand(set("a.wild.example.", T::DS, &[1; 36]), "wild.example.");
        let made = cut("a.wild.example.", ReplyKind::Answer, vec![wildcard], vec![w.nsec("*.wild.example.")]);
        assert!(matches!(made, CutVerdict::NoCut), "{made:?}");
    }

    #[test]
    fn the_root_denies_a_name_and_a_ds() {
        let vectors = Vectors::of_root();
        let dnskeys = vectors.get(".", T::DNSKEY);
        let now = u64::from(date("20260803120000"));
        let anchor = dnskeys.data.iter().find(|rdata| super::super::key::key_tag(rdata) == 20326).expect("in the set");
        let keys = Arc::new(keys_of(&Name::root(), &dnskeys, anchor, now));
        let ask = |qname: &str, qtype, kind, authority: Vec<RrSet>| {
            let reply = Reply { qname: name(qname), qtype, kind, answer: vec![], authority };
            short(&judge(reply, keys.clone(), Now::At(now), &mut WorkBudget::default()))
        };
        let (soa, apex) = (vectors.get(".", T::SOA), vectors.get(".", T::NSEC));
        let gap = vectors.get("fo.", T::NSEC);
        let name_error = ask("fobar.", T::A, ReplyKind::NxDomain, vec![soa.clone(), gap.clone(), apex.clone()]);
        assert_eq!(name_error, "secure NameError");
        assert_eq!(ask("bar.foa.", T::A, ReplyKind::NxDomain, vec![soa.clone(), gap.clone(), apex.clone()]), "secure NameError");
        assert_eq!(ask("x.fo.", T::A, ReplyKind::NxDomain, vec![soa.clone(), gap, apex.clone()]), "bogus 12");
        assert_eq!(ask(".", T::DS, ReplyKind::NoData, vec![soa, apex]), "secure NoData");
        let insecure = ask("www.nic.ae.", T::A, ReplyKind::Referral { cut: name("ae.") }, vec![vectors.get("ae.", T::NSEC)]);
        assert_eq!(insecure, "insecure NoDs");
        let signed = ask("www.example.com.", T::A, ReplyKind::Referral { cut: name("com.") }, vec![vectors.get("com.", T::DS)]);
        assert_eq!(signed, "secure");
    }

    #[test]
    fn the_answers_of_rfc_5155_appendix_b() {
        const APEX: &str = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.";
        const A: &str = "35mthgpgcu1qg68fab165klnsnk3dpvl.example.";
        const X_W: &str = "b4um86eghhds6nea196smvmlo4ors995.example.";
        const Y_W: &str = "ji6neoaepv8b5o6k4ev33abha8ht9fgc.example.";
        const NS2: &str = "q04jkcevqvmu85r014c7dkba38o0ji5r.example.";
        let vectors = Vectors::of_rfc_5155();
        let dnskeys = vectors.get("example.", T::DNSKEY);
        let now = u64::from(date("20100101000000"));
        let keys = Arc::new(keys_of(&name("example."), &dnskeys, dnskeys.data.iter().nth(1).expect("two keys"), now));
        let ask = |qname: &str, qtype, kind, answer, owners: &[&str]| {
            let denials = owners.iter().map(|owner| vectors.get(owner, T::NSEC3));
            let authority = std::iter::once(vectors.get("example.", T::SOA)).chain(denials).collect();
            let reply = Reply { qname: name(qname), qtype, kind, answer, authority };
            short(&judge(reply, keys.clone(), Now::At(now), &mut WorkBudget::default()))
        };
        let gone = |owners: &[&str]| ask("a.c.x.w.example.", T::A, ReplyKind::NxDomain, vec![], owners);
        assert_eq!(gone(&[APEX, X_W, A]), "insecure OptOut", "B.1");
        assert_eq!(gone(&[X_W, A]), "bogus 12", "no next closer");
        assert_eq!(gone(&[APEX, X_W]), "bogus 12", "no wildcard");
        assert_eq!(gone(&[APEX, A]), "bogus 12", "no closest encloser");
        let empty = ask("y.w.example.", T::A, ReplyKind::NoData, vec![], &[Y_W]);
        assert_eq!(empty, "secure NoData", "B.2.1");
        let no_ds = ask("c.example.", T::DS, ReplyKind::NoData, vec![], &[A, APEX]);
        assert_eq!(no_ds, "insecure OptOut", "B.3");
        let referral = ask("mc.c.example.", T::MX, ReplyKind::Referral { cut: name("c.example.") }, vec![], &[A, APEX]);
        assert_eq!(referral, "insecure OptOut", "B.3 as a referral");
        let wildcard =
            |owners: &[&str]| ask("a.z.w.example.", T::MX, ReplyKind::Answer, vec![vectors.get("a.z.w.example.", T::MX)], owners);
        assert_eq!(wildcard(&[NS2]), "insecure OptOut", "B.4");
        assert_eq!(wildcard(&[APEX]), "bogus 12");
        assert_eq!(ask("example.", T::DS, ReplyKind::NoData, vec![], &[APEX]), "bogus 12", "B.6");
    }

    /// Records and names that a zone's owner may think up; each correctly signed.
    fn hostile_set() -> impl Strategy<Value = RrSet> {
        let owner = proptest::sample::select(vec!["example.", "a.example.", "*.example.", "b.a.example.", "sub.example.", "other."]);
        let rtype = proptest::sample::select(vec![T::A, T::NSEC, T::NSEC3, T::SOA, T::DS, T::CNAME, T::DNAME, T::RRSIG, T::NS]);
        let rdata = proptest::collection::vec(any::<u8>(), 0..60);
        let hash_owner = proptest::collection::vec(b'0'..=b'v', 32);
        (owner, rtype, rdata, hash_owner, 0u8..4, any::<bool>()).prop_map(|(owner, rtype, mut rdata, hash, labels, sensible)| {
            let mut owner = name(owner);
            if rtype == T::NSEC3 && sensible {
                owner = owner.child(&hash).expect("short");
                let head = [1, labels, 0, labels, 0, 20];
                rdata = [&head[..], &hash[..20], &[0, 1, 0x40]].concat();
            }
            let set = RrSet::with(owner, rtype, 300, &rdata);
            Signer::new("example.", 1).sign_as(set, |fields| fields.labels = fields.labels.min(labels))
        })
    }

    proptest! {
        #[test]
        fn whatever_a_zone_signs_is_judged_within_the_budget(
            answer in proptest::collection::vec(hostile_set(), 0..4),
            authority in proptest::collection::vec(hostile_set(), 0..6),
            kind in 0usize..6,
            qname in proptest::sample::select(vec!["example.", "a.example.", "q.b.a.example.", "sub.example.", "x.other."]),
            qtype in proptest::sample::select(vec![T::A, T::DS, T::ANY, T::RRSIG, T::NSEC, T::CNAME]),
        ) {
            let cut = ReplyKind::Referral { cut: name("sub.example.") };
            let kinds = [ReplyKind::Answer, ReplyKind::Cname, ReplyKind::Dname, ReplyKind::NoData, ReplyKind::NxDomain, cut];
            let reply = Reply { qname: name(qname), qtype, kind: kinds[kind].clone(), answer, authority };
            let mut work = WorkBudget::default();
            let mut case = Case::new(reply, Signer::new("example.", 1).keys(), &work);
            let judged = loop {
                let before = work.spent().time.as_us();
                let judged = case.step(Now::At(NOW), &mut work);
                prop_assert!(work.spent().time.as_us() - before <= crate::limits::Limits::default().cold_slice_us);
                if let Some(judged) = judged {
                    break judged;
                }
            };
            prop_assert!(work.broke().is_none());
            if let Judgement::Secure(Secured { proof, answer, .. }) = judged {
                prop_assert!(proof.is_some() || !answer.is_empty());
            }
        }
    }

    #[test]
    fn one_set_a_step() {
        let w = World::new();
        let authority = vec![w.soa(), w.nsec("alias.example."), w.nsec("example.")];
        let reply = Reply { qname: name("b.example."), qtype: T::A, kind: ReplyKind::NxDomain, answer: vec![], authority };
        let mut work = WorkBudget::default();
        let mut case = Case::new(reply, w.zone.keys(), &work);
        let mut steps = 0;
        while case.step(Now::At(NOW), &mut work).is_none() {
            steps += 1;
            assert_eq!(work.spent().signatures, steps);
        }
        assert_eq!(steps, 3);
    }
}
