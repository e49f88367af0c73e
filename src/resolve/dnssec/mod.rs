//! Whether an answer is secure: the chain of trust, the trust anchors, the validation of each link.

pub(in crate::resolve) mod chain_of_trust;
pub(in crate::resolve) mod clock_watch;
pub(in crate::resolve) mod trust_anchors;
pub(in crate::resolve) mod validate;
