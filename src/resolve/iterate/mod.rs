//! The walk from zone cut to zone cut (RFC 1034 5.3.3).

pub(in crate::resolve) mod minimise;
pub(in crate::resolve) mod ns_addresses;
pub(in crate::resolve) mod store_reply;
pub(in crate::resolve) mod walk;
