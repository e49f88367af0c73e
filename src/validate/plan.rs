//! Before any cryptography: which RRsets of a reply matter for the verdict, and which zone signed them.
//!
//! RRsets with a signature of the zone at hand are checked with its keys. Others belong to a zone further down (RFC 4035 5.3.1:
//! the signer is the zone that holds the RRset), or lie below an insecure delegation, or are forged; the walk has to find out
//! which.

use super::judgement::{Judgement, Reply, ReplyKind};
use super::reason::{Claim, Fault, Insecurity, Reason};
use super::rrsig::{Rrsig, signer_of};
use crate::record::{Name, RrSet, Rtype};

/// The RRsets that matter and the zones that signed them: all that is known without cryptography.
pub(super) struct Plan<'a> {
    pub(super) reply: &'a Reply,
    pub(super) zone: &'a Name,
    pub(super) denial_sets_max: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Item {
    Answer(usize),
    /// The SOA of a denial or the DS of a referral, which must be valid.
    Authority(usize),
    /// An NSEC or NSEC3 RRset; if it is invalid, the proof is tried without it.
    Denial(usize),
}

impl Plan<'_> {
    pub(super) fn make(&self) -> Result<Vec<Item>, Box<Judgement>> {
        let Reply { qname, qtype, kind, .. } = self.reply;
        match kind {
            ReplyKind::Answer if *qtype == Rtype::RRSIG => already(Judgement::Insecure(Insecurity::SignatureRecords)),
            ReplyKind::Answer if *qtype == Rtype::ANY => self.answer_items(|set| set.name == *qname && set.rtype != Rtype::RRSIG),
            ReplyKind::Answer => self.answer_items(|set| set.name == *qname && set.rtype == *qtype),
            ReplyKind::Dname => self.dname_items(),
            ReplyKind::Cname => {
                let own = |set: &RrSet| set.name == *qname && set.rtype == Rtype::CNAME;
                let signed = self.reply.answer.iter().any(|set| own(set) && !set.sigs.is_empty());
                if signed || !self.reply.answer.iter().any(|set| self.is_dname_above(set)) {
                    self.answer_items(own)
                } else {
                    self.dname_items()
                }
            }
            ReplyKind::NoData => self.denial_plan(Claim::NoData),
            ReplyKind::NxDomain => self.denial_plan(Claim::NameError),
            ReplyKind::Referral { cut } => self.referral_plan(cut),
        }
    }

    fn is_dname_above(&self, set: &RrSet) -> bool {
        set.rtype == Rtype::DNAME && self.reply.qname.is_below(&set.name)
    }

    /// RFC 6672 5.3.1: the synthesised CNAME is unsigned; its DNAME must be signed and lead to the same target.
    fn dname_items(&self) -> Result<Vec<Item>, Box<Judgement>> {
        let items = self.answer_items(|set| self.is_dname_above(set))?;
        let qname = &self.reply.qname;
        let Some(dname) = self.reply.answer.iter().find(|set| self.is_dname_above(set)) else { return Ok(items) };
        let target = dname.target().and_then(|target| qname.rebase(&dname.name, &target));
        let cname = self.reply.answer.iter().find(|set| set.rtype == Rtype::CNAME && set.name == *qname);
        match cname {
            Some(cname) if cname.target() != target => bogus(Reason::new(qname, Rtype::CNAME, Fault::NoSignature)),
            _ => Ok(items),
        }
    }

    fn answer_items(&self, matters: impl Fn(&RrSet) -> bool) -> Result<Vec<Item>, Box<Judgement>> {
        let mut items = Vec::new();
        for (at, set) in self.reply.answer.iter().enumerate().filter(|(_, set)| matters(set)) {
            self.signed_here(set)?;
            items.push(Item::Answer(at));
        }
        if items.is_empty() {
            return bogus(self.why(Fault::NoSignature));
        }
        Ok(items)
    }

    fn denial_plan(&self, claim: Claim) -> Result<Vec<Item>, Box<Judgement>> {
        let mut items = self.denial_items();
        if items.is_empty() {
            return already(self.no_denial_of_ours(claim));
        }
        for (at, set) in self.reply.authority.iter().enumerate().filter(|(_, set)| set.rtype == Rtype::SOA) {
            if set.name != *self.zone {
                return bogus(Reason::new(&set.name, Rtype::SOA, Fault::ForeignSoa { zone: Box::new(self.zone.clone()) }));
            }
            items.push(Item::Authority(at));
        }
        items.reverse();
        Ok(items)
    }

    /// No NSEC or NSEC3 is signed by this zone: a zone below signed them, or nobody who could.
    fn no_denial_of_ours(&self, claim: Claim) -> Judgement {
        let deepest = deepest_apex(&self.reply.qname, self.reply.qtype);
        if let Some(zone) = self.signer_below(&deepest) {
            return Judgement::NeedsKeys(zone);
        }
        let mut sets = self.reply.authority.iter().filter(|set| is_denial(set) || set.rtype == Rtype::SOA);
        let signed_here = sets.clone().any(|set| self.has_own_signature(set));
        match sets.next() {
            Some(set) if !signed_here => self.below_an_insecure_cut(deepest, self.why_not_signed_here(set)),
            Some(_) => Judgement::Bogus(self.why(Fault::NoProof(claim))),
            None => self.below_an_insecure_cut(deepest, self.why(Fault::NoProof(claim))),
        }
    }

    /// Data without a signature of this zone is legitimate only below an insecure delegation.
    fn below_an_insecure_cut(&self, name: Name, why: Reason) -> Judgement {
        if name.is_below(self.zone) { Judgement::NeedsCut { name, why } } else { Judgement::Bogus(why) }
    }

    fn why_not_signed_here(&self, set: &RrSet) -> Reason {
        let fault = match signer_of(set) {
            None => Fault::NoSignature,
            Some(signer) => Fault::Signer { signer: Box::new(signer), zone: Box::new(self.zone.clone()) },
        };
        Reason::new(&set.name, set.rtype, fault)
    }

    fn referral_plan(&self, cut: &Name) -> Result<Vec<Item>, Box<Judgement>> {
        if !cut.is_below(self.zone) {
            return bogus(Reason::new(cut, Rtype::DS, Fault::NoProof(Claim::NoDs)));
        }
        let ds = self.reply.authority.iter().enumerate().find(|(_, set)| set.rtype == Rtype::DS && set.name == *cut);
        if let Some((at, set)) = ds {
            self.signed_here(set)?;
            return Ok(vec![Item::Authority(at)]);
        }
        let items = self.denial_items();
        if !items.is_empty() {
            return Ok(items);
        }
        let above_cut = cut.parent().unwrap_or_else(Name::root);
        already(match self.signer_below(&above_cut) {
            Some(zone) => Judgement::NeedsKeys(zone),
            None => Judgement::NeedsCut { name: cut.clone(), why: Reason::new(cut, Rtype::DS, Fault::NoProof(Claim::NoDs)) },
        })
    }

    /// The NSEC and NSEC3 RRsets that this zone signed.
    pub(super) fn denial_items(&self) -> Vec<Item> {
        let sets = self.reply.authority.iter().enumerate();
        sets.filter(|(_, set)| is_denial(set) && self.has_own_signature(set))
            .map(|(at, _)| Item::Denial(at))
            .take(self.denial_sets_max)
            .collect()
    }

    /// Whether `set` can be checked with the keys at hand; otherwise what is needed for that.
    fn signed_here(&self, set: &RrSet) -> Result<(), Box<Judgement>> {
        if self.has_own_signature(set) {
            return Ok(());
        }
        let deepest_apex = deepest_apex(&set.name, set.rtype);
        let mut signers = set.sigs.iter().filter_map(Rrsig::read).map(|rrsig| rrsig.signer);
        let fits = |signer: &Name| deepest_apex.is_within(signer) && (signer.is_below(self.zone) || !deepest_apex.is_within(self.zone));
        already(match signers.find(fits) {
            Some(signer) => Judgement::NeedsKeys(signer),
            None => self.below_an_insecure_cut(deepest_apex, self.why_not_signed_here(set)),
        })
    }

    fn has_own_signature(&self, set: &RrSet) -> bool {
        set.sigs.iter().filter_map(Rrsig::read).any(|rrsig| rrsig.signer == *self.zone)
    }

    /// A zone below the keys' own, and at or above `name`, that signed an RRset of the authority section.
    fn signer_below(&self, name: &Name) -> Option<Name> {
        let sets = self.reply.authority.iter().filter(|set| is_denial(set) || set.rtype == Rtype::SOA);
        let signers = sets.flat_map(|set| set.sigs.iter().filter_map(Rrsig::read).map(|rrsig| rrsig.signer));
        signers.into_iter().find(|signer| signer.is_below(self.zone) && name.is_within(signer))
    }

    fn why(&self, fault: Fault) -> Reason {
        Reason::new(&self.reply.qname, self.reply.qtype, fault)
    }
}

/// A verdict that needs no signature check.
fn already<T>(judgement: Judgement) -> Result<T, Box<Judgement>> {
    Err(Box::new(judgement))
}

fn bogus<T>(why: Reason) -> Result<T, Box<Judgement>> {
    already(Judgement::Bogus(why))
}

/// The deepest name that can be the apex of the zone that holds the data. A DS RRset belongs to the parent zone of its owner
/// (RFC 4035 3.1.4.1), every other RRset to the zone at or above its owner.
fn deepest_apex(name: &Name, rtype: Rtype) -> Name {
    match rtype {
        Rtype::DS => name.parent().unwrap_or_else(Name::root),
        _ => name.clone(),
    }
}

fn is_denial(set: &RrSet) -> bool {
    matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3)
}
