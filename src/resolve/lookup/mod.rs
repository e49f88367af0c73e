//! One name and type, from wherever it can be had: cache, proofs in the cache, a walk in progress, a walk of its own.
//!
//! Knows nothing of: aliases that lead on, the chain of trust, clients.

pub(in crate::resolve) mod aggressive;
pub(in crate::resolve) mod cached;
pub(in crate::resolve) mod coalesce;
pub(in crate::resolve) mod lookup;
