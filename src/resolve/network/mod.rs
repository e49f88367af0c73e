//! The state of this machine's own network: offline, usual round-trip time.

pub(in crate::resolve) mod offline;
pub(in crate::resolve) mod rtt;
