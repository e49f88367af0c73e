//! The owners of the NSEC or NSEC3 records of a signed zone, in the order of their chain. `denial.rs` chooses proofs with it.

use crate::record::Name;
use crate::validate::{Nsec3Hash, Nsec3Params};

pub(super) enum DenialChain {
    /// The zone is unsigned, or has no chain.
    None,
    Names(Box<[Name]>),
    Hashes {
        params: Nsec3Params,
        hashes: Box<[Nsec3Hash]>,
    },
}
