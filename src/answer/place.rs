//! The place of a client's question, as `policy` gives it and as the walks hold it.

use std::task::{Context, Poll};

use crate::policy::Place;
use crate::resolve::QuestionPlace;

impl QuestionPlace for Place {
    fn poll_lost(&self, cx: &Context<'_>) -> Poll<()> {
        Place::poll_lost(self, cx)
    }

    fn walk_begins(&self) {
        Place::walk_begins(self);
    }

    fn walk_ends(&self) {
        Place::walk_ends(self);
    }
}
