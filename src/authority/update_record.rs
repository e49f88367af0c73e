//! One record of an update message (RFC 2136 2.4, 2.5): its owner and data, or why the update is not carried out.

use crate::record::{Name, Rcode, Rtype, canonical_rdata, rdata_is_well_formed};
use crate::wire::Record;

/// Why an update is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub rcode: Rcode,
    /// For the log.
    pub why: String,
}

impl Refusal {
    pub(super) fn new(rcode: Rcode, why: impl Into<String>) -> Refusal {
        Refusal { rcode, why: why.into() }
    }
}

/// The owner of a record of the prerequisite or update section.
pub(super) fn owner_within(record: &Record<'_>, zone: &Name) -> Result<Name, Refusal> {
    let owner = record.owner().map_err(|_| Refusal::new(Rcode::FORMERR, "a malformed owner name"))?;
    // RFC 2136 3.2.5, 3.4.1.3.
    match owner.is_within(zone) {
        true => Ok(owner),
        false => Err(Refusal::new(Rcode::NOTZONE, format!("{owner} is not within {zone}"))),
    }
}

/// RDATA without compression, well formed for its type.
pub(super) fn whole_rdata(record: &Record<'_>) -> Result<Vec<u8>, Refusal> {
    let mut rdata = Vec::new();
    let is_good = record.expand_rdata(&mut rdata).is_ok() && rdata_is_well_formed(record.rtype(), &rdata);
    if is_good { Ok(rdata) } else { Err(Refusal::new(Rcode::FORMERR, format!("malformed {} data", record.rtype()))) }
}

/// For comparisons: names in RDATA without regard to letter case (RFC 4034 6.2).
pub(super) fn canonical(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(rdata.len());
    canonical_rdata(rtype, rdata, &mut canonical);
    canonical
}
