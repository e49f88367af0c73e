//! One client question to its end: the CNAME chain, the deadline, stale data, prefetch.

pub(in crate::resolve) mod alias_tail;
pub(in crate::resolve) mod cname_chain;
