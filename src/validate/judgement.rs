//! What is judged, and what can be said of it: a classified reply, and the verdict.

use super::denial::Proof;
use super::proof::ProofKind;
use super::reason::{Insecurity, Reason};
use super::set::Verified;
use crate::record::{Name, RrSet, Rtype, Validated};

/// What the walk takes a reply to be, for `qname` alone: of an alias chain each link is a reply of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyKind {
    Answer,
    Cname,
    Dname,
    NoData,
    NxDomain,
    Referral { cut: Name },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub qname: Name,
    pub qtype: Rtype,
    pub kind: ReplyKind,
    pub answer: Vec<RrSet>,
    pub authority: Vec<RrSet>,
}

#[derive(Clone, Debug)]
pub enum Judgement {
    Secure(Secured),
    Insecure(Insecurity),
    Bogus(Reason),
    /// Signed by this zone, which is not the one whose keys were at hand: judge again with its keys. If it turns
    /// out to be no zone, the reply is bogus.
    NeedsKeys(Name),
    /// Not signed, which is right only below an insecure delegation. Ask for the DS at each name between the
    /// keys' zone and `name`, that included, from the top; if all are shown not to be such a cut, it is bogus for `why`.
    NeedsCut {
        name: Name,
        why: Reason,
    },
}

/// What was proved, and what it is proved by.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    /// The answer at this link; of a referral the DS set.
    pub answer: Vec<Verified>,
    /// SOA, NSEC and NSEC3 of a denial or of a wildcard's answer.
    pub authority: Vec<Validated<RrSet>>,
    pub proof: Option<Proof>,
}

/// What a judged reply to a question for DS, or a judged referral, says of a zone cut.
#[derive(Clone, Debug)]
pub enum CutVerdict {
    Secure(Validated<RrSet>),
    Insecure(Insecurity),
    /// There is no cut at this name.
    NoCut,
    /// Bogus, or not judged to the end: the judgement itself tells.
    Open,
}

impl Judgement {
    pub fn cut(&self) -> CutVerdict {
        match self {
            Judgement::Secure(secured) => secured.cut(),
            Judgement::Insecure(reason) => CutVerdict::Insecure(*reason),
            Judgement::Bogus(_) | Judgement::NeedsKeys(_) | Judgement::NeedsCut { .. } => CutVerdict::Open,
        }
    }
}

impl Secured {
    /// Is what was proved that the name exists without the type, whatever the reply's RCODE?
    pub fn is_nodata(&self) -> bool {
        match self.proof.as_ref().map(|proof| &proof.kind) {
            Some(ProofKind::NoData | ProofKind::EmptyNonTerminal | ProofKind::WildcardNoData { .. }) => true,
            Some(ProofKind::NameError { .. } | ProofKind::NoCloserName | ProofKind::InsecureDelegation | ProofKind::NoCut) | None => false,
        }
    }

    fn cut(&self) -> CutVerdict {
        // No delegation is made from a wildcard (RFC 4592 4.2).
        let ds = self.answer.iter().find(|verified| verified.set.get().rtype == Rtype::DS && verified.wildcard.is_none());
        match (ds, &self.proof) {
            (Some(ds), _) => CutVerdict::Secure(ds.set.clone()),
            (None, Some(Proof { kind: ProofKind::InsecureDelegation, .. })) => CutVerdict::Insecure(Insecurity::NoDs),
            (None, _) => CutVerdict::NoCut,
        }
    }
}
