//! Zone cuts and the servers of a delegation.

pub(in crate::resolve) mod data_path;
pub(in crate::resolve) mod zone_cut;
