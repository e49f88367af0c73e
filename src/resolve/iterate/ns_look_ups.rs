//! Look-ups of name servers' addresses in flight at one zone cut. A walk behind a look-up is a task: one that is abandoned
//! goes on, and its result is cached.

use std::future::poll_fn;
use std::task::Poll;

use crate::env::BoxFuture;
use crate::record::RrSet;
use crate::resolve::context::failure::Failure;
use crate::resolve::delegation::zone_cut::{Cut, Search};
use crate::resolve::servers::slist::Slist;

/// What the look-up of one server's addresses brought.
#[derive(Default)]
pub(in crate::resolve) struct LookedUp {
    pub(in crate::resolve) sets: Vec<RrSet>,
    /// They are glue of the parent.
    pub(in crate::resolve) from_parent: bool,
    /// The other address family was not asked for.
    pub(in crate::resolve) is_half: bool,
    pub(in crate::resolve) failures: Vec<Failure>,
}

/// Look-ups in flight.
#[derive(Default)]
pub(in crate::resolve) struct NsLookUps<'a>(Vec<NsLookUp<'a>>);

struct NsLookUp<'a> {
    /// Its server's place in the cut.
    at: usize,
    /// How far the server's address had been searched for before.
    before: Search,
    result: BoxFuture<'a, LookedUp>,
}

impl<'a> NsLookUps<'a> {
    /// Number of look-ups in flight.
    pub(in crate::resolve) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is in flight.
    pub(in crate::resolve) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a look-up for the server at this place of the cut.
    pub(in crate::resolve) fn begin(&mut self, at: usize, before: Search, result: BoxFuture<'a, LookedUp>) {
        self.0.push(NsLookUp { at, before, result });
    }

    /// The first result of any look-up, with its server's place in the cut. Waits for ever if none is in flight.
    pub(in crate::resolve) async fn next(&mut self) -> (usize, LookedUp) {
        poll_fn(|cx| {
            for index in 0..self.0.len() {
                if let Poll::Ready(looked_up) = self.0[index].result.as_mut().poll(cx) {
                    return Poll::Ready((self.0.remove(index).at, looked_up));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for none of them any more. Their servers may be looked up again, and do not count as looked up.
    pub(in crate::resolve) fn abandon(self, cut: &mut Cut, slist: &mut Slist) {
        for look_up in self.0 {
            slist.names_looked_up = slist.names_looked_up.saturating_sub(1);
            let server = &mut cut.servers[look_up.at];
            if server.search == Search::Done {
                server.search = look_up.before;
            }
        }
    }
}
