//! Where what answers is built from what was read: for a server, and for one question in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;

use super::run::Engine;
use super::sources::Sources;
use crate::record::Question;

/// The engine of a server that listens on `_addrs`.
pub fn build(_sources: Sources, _addrs: &[SocketAddr]) -> Result<Arc<dyn Engine>, String> {
    Err("this build cannot answer questions".to_owned())
}

/// Resolves one question here, without a server, and tells every step.
///
/// Each line is a JSON object; its member `line` is the step as a person reads it, and a member `failed` that is
/// true says that the question failed.
pub fn explain(_sources: Sources, _question: &Question, _each: &mut dyn FnMut(Value)) -> Result<(), String> {
    Err("this build cannot answer questions".to_owned())
}
