//! One question at one zone cut: which server is asked, in which order, and what its reply is worth (RFC 1034 5.3.2).
//!
//! Knows nothing of: how the addresses of name servers are found, how the walk goes on.

pub(in crate::resolve) mod allowance;
pub(in crate::resolve) mod choose;
pub(in crate::resolve) mod form;
pub(in crate::resolve) mod in_flight;
pub(in crate::resolve) mod pick;
pub(in crate::resolve) mod plan;
pub(in crate::resolve) mod query;
pub(in crate::resolve) mod read_reply;
pub(in crate::resolve) mod report_agents;
pub(in crate::resolve) mod second_query;
pub(in crate::resolve) mod send;
pub(in crate::resolve) mod servers;
pub(in crate::resolve) mod slist;
