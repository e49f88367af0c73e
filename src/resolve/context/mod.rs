//! What travels with a question: its budget, trace, routes and local data; and why it failed.

pub(in crate::resolve) mod budget;
pub(in crate::resolve) mod context;
pub(in crate::resolve) mod failure;
pub(in crate::resolve) mod local;
pub(in crate::resolve) mod never_public;
pub(in crate::resolve) mod place;
pub(in crate::resolve) mod routes;
pub(in crate::resolve) mod targets;
pub(in crate::resolve) mod task;
pub(in crate::resolve) mod trace;
