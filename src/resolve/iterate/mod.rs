//! The walk from zone cut to zone cut (RFC 1034 5.3.3).
//!
//! Knows nothing of: DNSSEC, aliases, other questions that wait for the same walk.

pub(in crate::resolve) mod ask_parent;
pub(in crate::resolve) mod ask_zone;
pub(in crate::resolve) mod local_root;
pub(in crate::resolve) mod minimise;
pub(in crate::resolve) mod next_step;
pub(in crate::resolve) mod ns_addresses;
pub(in crate::resolve) mod ns_look_ups;
pub(in crate::resolve) mod start;
pub(in crate::resolve) mod store_reply;
pub(in crate::resolve) mod sub_query;
pub(in crate::resolve) mod walk;
pub(in crate::resolve) mod walker;
