//! One name and type: from the cache, from cached denials (RFC 8198), or from a walk that is shared.

pub(in crate::resolve) mod aggressive;
pub(in crate::resolve) mod cached;
pub(in crate::resolve) mod coalesce;
