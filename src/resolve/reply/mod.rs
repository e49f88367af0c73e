//! One reply of a server: what of it may be believed, which kind it is, what it says.

pub(in crate::resolve) mod classify;
pub(in crate::resolve) mod link;
pub(in crate::resolve) mod scrub;
pub(in crate::resolve) mod server_reply;
