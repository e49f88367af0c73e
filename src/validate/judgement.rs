//! What is judged, and what can be said of it: a classified reply, and the verdict.

use super::denial::Proof;
use super::proof::ProofKind;
use super::reason::{Insecurity, Reason};
use super::set::Verified;
use crate::record::{Name, RrSet, Rtype, Validated};

/// What the walk takes a reply to be, for `qname` alone: each link of an alias chain counts as a reply of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReplyKind {
    Answer,
    Cname,
    Dname,
    NoData,
    NxDomain,
    Referral { cut: Name },
}

/// A reply as the validator needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub qname: Name,
    pub qtype: Rtype,
    pub kind: ReplyKind,
    pub answer: Vec<RrSet>,
    pub authority: Vec<RrSet>,
}

/// The verdict on a reply, or what is needed for one.
#[derive(Clone, Debug)]
pub enum Judgement {
    Secure(Secured),
    Insecure(Insecurity),
    Bogus(Reason),
    /// This zone signed the reply, but its keys are not at hand: judge again with its keys. If it is no zone, the reply is
    /// bogus.
    NeedsKeys(Name),
    /// The reply is unsigned, which is legitimate only below an insecure delegation. The caller asks for the DS at each name
    /// below the keys' zone down to `name`, from the top. If none of them is an insecure delegation, the reply is bogus for the
    /// reason `why`.
    NeedsCut {
        name: Name,
        why: Reason,
    },
}

/// What was proved, and the records that prove it.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    /// The answer at this link; for a referral the DS RRset.
    pub answer: Vec<Verified>,
    /// SOA, NSEC and NSEC3 of a denial or of a wildcard answer.
    pub authority: Vec<Validated<RrSet>>,
    pub proof: Option<Proof>,
}

/// What a judged reply to a DS query, or a judged referral, proves about a zone cut.
#[derive(Clone, Debug)]
pub enum CutVerdict {
    Secure(Validated<RrSet>),
    Insecure(Insecurity),
    /// There is no cut at this name.
    NoCut,
    /// Bogus, or not judged to the end: the judgement itself says which.
    Open,
}

impl Judgement {
    /// Reads the verdict as an answer about a zone cut.
    pub fn cut(&self) -> CutVerdict {
        match self {
            Judgement::Secure(secured) => secured.cut(),
            Judgement::Insecure(reason) => CutVerdict::Insecure(*reason),
            Judgement::Bogus(_) | Judgement::NeedsKeys(_) | Judgement::NeedsCut { .. } => CutVerdict::Open,
        }
    }
}

impl Secured {
    /// Whether the proof is that the name exists without the type, whatever the RCODE of the reply.
    pub fn is_nodata(&self) -> bool {
        match self.proof.as_ref().map(|proof| &proof.kind) {
            Some(ProofKind::NoData | ProofKind::EmptyNonTerminal | ProofKind::WildcardNoData { .. }) => true,
            Some(ProofKind::NameError { .. } | ProofKind::NoCloserName | ProofKind::InsecureDelegation | ProofKind::NoCut) | None => false,
        }
    }

    fn cut(&self) -> CutVerdict {
        // A wildcard makes no delegation (RFC 4592 4.2).
        let ds = self.answer.iter().find(|verified| verified.set.get().rtype == Rtype::DS && verified.wildcard.is_none());
        match (ds, &self.proof) {
            (Some(ds), _) => CutVerdict::Secure(ds.set.clone()),
            (None, Some(Proof { kind: ProofKind::InsecureDelegation, .. })) => CutVerdict::Insecure(Insecurity::NoDs),
            (None, _) => CutVerdict::NoCut,
        }
    }
}
