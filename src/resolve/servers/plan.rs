//! One query to one server, decided but not yet sent; and what becomes of it.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::cache::Standing;
use crate::record::Question;
use crate::resolve::context::trace::Choice;
use crate::resolve::network::offline::Sent;
use crate::upstream::{AskError, Reply};

/// A server to be asked next.
#[derive(Clone, Copy)]
pub(in crate::resolve) struct Picked {
    pub(in crate::resolve) address: SocketAddr,
    pub(in crate::resolve) why: Choice,
    pub(in crate::resolve) standing: Standing,
    /// Not asked yet, and not known to fail.
    pub(in crate::resolve) hopeful: bool,
}

/// A query, decided.
#[derive(Clone)]
pub(in crate::resolve) struct Plan {
    pub(in crate::resolve) question: Rc<Question>,
    pub(in crate::resolve) minimised: bool,
    pub(in crate::resolve) address: SocketAddr,
    pub(in crate::resolve) why: Choice,
    pub(in crate::resolve) standing: Standing,
    pub(in crate::resolve) recursive: bool,
    pub(in crate::resolve) with_edns: bool,
}

pub(in crate::resolve) struct Outcome {
    pub(in crate::resolve) sent: Sent,
    /// `None`: this machine's network has changed while the reply was waited for.
    pub(in crate::resolve) result: Option<Result<Reply, AskError>>,
}
