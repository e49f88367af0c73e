//! One question at one zone cut: which server is asked, in which order, and when to stop.

pub(in crate::resolve) mod beside;
pub(in crate::resolve) mod choose;
pub(in crate::resolve) mod in_flight;
pub(in crate::resolve) mod query;
pub(in crate::resolve) mod second_query;
pub(in crate::resolve) mod slist;
