//! One client question to its end: the alias chain, the client's time, expired data, prefetch, error reports, the root key
//! sentinel.
//!
//! Knows nothing of: messages, sockets, who the client is.

pub(in crate::resolve) mod alias_tail;
pub(in crate::resolve) mod answer;
pub(in crate::resolve) mod cname_chain;
pub(in crate::resolve) mod deadline;
pub(in crate::resolve) mod prefetch;
pub(in crate::resolve) mod resolver;
pub(in crate::resolve) mod root_key_sentinel;
pub(in crate::resolve) mod stale;
pub(in crate::resolve) mod error_report;
