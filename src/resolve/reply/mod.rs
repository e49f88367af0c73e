//! The replies of servers: which records are believed, and which kind of reply it is.
//!
//! Knows nothing of: how the reply was received, what is done with it.

pub(in crate::resolve) mod classify;
pub(in crate::resolve) mod expected;
pub(in crate::resolve) mod interception;
pub(in crate::resolve) mod link;
pub(in crate::resolve) mod scrub;
pub(in crate::resolve) mod server_reply;
