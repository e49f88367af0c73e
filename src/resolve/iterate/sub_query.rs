//! The one recursion of resolution: a walk that needs the addresses of a name server, or the servers of the root, has
//! another question looked up. It does so through this trait, which the storey above implements.

use crate::env::BoxFuture;
use crate::record::Question;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::Failure;
use crate::resolve::reply::link::Link;

/// Looks up another question on behalf of a walk.
pub(in crate::resolve) trait SubQuery {
    /// One name and type, not validated; `context` is a child of the walk's own.
    fn look_up<'a>(&'a self, question: &'a Question, context: &'a Context) -> BoxFuture<'a, Result<Link, Failure>>;
}
