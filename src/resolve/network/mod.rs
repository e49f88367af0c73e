//! This machine's own network: is it there, how long do replies take, which sockets are used.
//!
//! Knows nothing of: zones, delegations, which server is asked.

pub(in crate::resolve) mod interception;
pub(in crate::resolve) mod find_translator;
pub(in crate::resolve) mod found_translator;
pub(in crate::resolve) mod network;
pub(in crate::resolve) mod offline;
pub(in crate::resolve) mod probe;
pub(in crate::resolve) mod rtt;
pub(in crate::resolve) mod wakeups;
