//! What a server starts from, read from files and checked: configuration, zones, root hints, trust anchors.

mod configuration;
mod root;
mod sources;

pub use configuration::{BrokenZone, StartOptions, configuration};
pub(crate) use root::{root_hints, trust_anchors};
pub use sources::{LoadedZone, Sources};
