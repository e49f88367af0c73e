//! DNSSEC: the trust anchors, the chain of trust down to a zone, the validation of each link.
//!
//! Knows nothing of: aliases that lead on, clients, deadlines.

pub(in crate::resolve) mod chain_of_trust;
pub(in crate::resolve) mod clock_watch;
pub(in crate::resolve) mod failure_rate;
pub(in crate::resolve) mod follow_anchors;
pub(in crate::resolve) mod judge;
pub(in crate::resolve) mod trust;
pub(in crate::resolve) mod trust_anchors;
pub(in crate::resolve) mod validate;
