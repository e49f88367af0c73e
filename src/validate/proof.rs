//! What NSEC and NSEC3 records can prove, in terms common to both.

use super::bitmap::TypeBitmap;
use crate::record::{Name, RrSet, Rtype};

/// The statement that a proof of denial proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProofKind {
    NameError {
        closest_encloser: Name,
    },
    /// The name exists without the type.
    NoData,
    EmptyNonTerminal,
    WildcardNoData {
        closest_encloser: Name,
    },
    /// For a wildcard answer: no closer name exists.
    NoCloserName,
    /// A zone cut without DS: the child zone is insecure.
    InsecureDelegation,
    /// The name is not a zone cut; the keys of its zone apply to it.
    NoCut,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) kind: ProofKind,
    pub(super) opt_out: bool,
}

impl Found {
    pub(super) fn sure(kind: ProofKind) -> Found {
        Found { kind, opt_out: false }
    }
}

/// What the record at a name proves about a cut there. `None`: there is a DS, or the record is the child's, which proves
/// nothing about the DS.
pub(super) fn no_ds_at(types: &TypeBitmap) -> Option<ProofKind> {
    if types.has(Rtype::DS) || types.has(Rtype::SOA) {
        return None;
    }
    Some(if types.has(Rtype::NS) { ProofKind::InsecureDelegation } else { ProofKind::NoCut })
}

/// Seconds that a denial may be cached (RFC 2308 4 and 5): the smaller of the SOA's TTL and its MINIMUM, the last field of the
/// RDATA.
pub(super) fn negative_ttl(soa: &RrSet) -> Option<u32> {
    let minimum = soa.data.first()?.last_chunk::<4>()?;
    Some(soa.ttl.min(u32::from_be_bytes(*minimum)))
}

/// RFC 5155 1.3: the name one label longer than the closest encloser.
pub(super) fn next_closer(qname: &Name, closest_encloser: &Name) -> Option<Name> {
    qname.is_below(closest_encloser).then(|| qname.suffix(closest_encloser.label_count() + 1))
}
