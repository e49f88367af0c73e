//! The queries in flight for one question at one zone cut: the latest, perhaps a second one, and those whose reply is
//! overdue. In place of an overdue query another server has been asked by now, but its reply is still taken when it comes:
//! the link may have become slow, or the server may be far away.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;

use crate::env::{BoxFuture, Instant};
use crate::limits::servers::{OVERDUE_QUERIES_MAX, UNREAD_REPLY_MAX};
use crate::resolve::servers::plan::{Outcome, Plan};

/// A query that was sent. It owns all that it needs, so that it can outlive the question that it was sent for.
pub(in crate::resolve) struct Asking {
    pub(in crate::resolve) plan: Plan,
    /// After this time its reply is overdue.
    pub(in crate::resolve) patience: Duration,
    pub(in crate::resolve) overdue: Rc<Cell<bool>>,
    pub(in crate::resolve) outcome: BoxFuture<'static, Outcome>,
    /// It has been reported as overdue, and counts as one of the worker's overdue queries.
    counted: Option<Counted>,
}

struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Asking {
    /// `outcome` is the exchange; nothing is sent before it is polled.
    pub(in crate::resolve) fn new(plan: Plan, patience: Duration, overdue: Rc<Cell<bool>>, outcome: BoxFuture<'static, Outcome>) -> Asking {
        Asking { plan, patience, overdue, outcome, counted: None }
    }

    /// Whether the reply is overdue.
    pub(in crate::resolve) fn is_overdue(&self) -> bool {
        self.counted.is_some()
    }

    /// The outcome, or `None` once the reply is overdue.
    pub(in crate::resolve) async fn in_time(mut self) -> (Asking, Option<Outcome>) {
        let outcome = poll_fn(|cx| match self.outcome.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if self.overdue.get() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        (self, outcome)
    }
}

/// What happens to a query in flight.
pub(in crate::resolve) enum News {
    /// It has ended.
    Outcome(Asking, Outcome),
    /// Its reply is overdue; reported once.
    Overdue(Plan, Duration),
}

/// Queries in flight for one question at one cut.
#[derive(Default)]
pub(in crate::resolve) struct InFlight {
    queries: SmallVec<[Asking; 2]>,
    /// When the queries were polled last.
    polled_at: Option<Instant>,
}

impl InFlight {
    /// Adds a query, which is sent when the queries are next polled.
    pub(in crate::resolve) fn add(&mut self, asking: Asking) {
        self.queries.push(asking);
    }

    /// Is any of them not overdue?
    pub(in crate::resolve) fn is_awaited(&self) -> bool {
        self.queries.iter().any(|asking| !asking.is_overdue())
    }

    /// Drops the queries that were not polled while name server addresses were looked up or the network was waited for: the
    /// time of arrival of their replies, which TTLs and round-trip times need, is not known.
    pub(in crate::resolve) fn drop_unread(&mut self) {
        if self.polled_at.is_some_and(|at| at.elapsed() >= UNREAD_REPLY_MAX) {
            self.clear();
        }
    }

    /// Drops all queries.
    pub(in crate::resolve) fn clear(&mut self) {
        self.queries.clear();
    }

    /// Takes the queries whose reply may still come in time, to measure how long it takes.
    pub(in crate::resolve) fn take_awaited(&mut self) -> impl Iterator<Item = Asking> {
        std::mem::take(&mut self.queries).into_iter().filter(|asking| !asking.is_overdue())
    }

    /// Waits for the first news of any query. `overdue` counts the overdue queries of the whole worker.
    pub(in crate::resolve) async fn next(&mut self, overdue: &Rc<Cell<usize>>) -> News {
        poll_fn(|cx| {
            self.polled_at = Some(Instant::now());
            for at in 0..self.queries.len() {
                let asking = &mut self.queries[at];
                if let Poll::Ready(outcome) = asking.outcome.as_mut().poll(cx) {
                    return Poll::Ready(News::Outcome(self.queries.remove(at), outcome));
                }
                if !asking.is_overdue() && asking.overdue.get() {
                    let (plan, patience) = (asking.plan.clone(), asking.patience);
                    if overdue.get() < OVERDUE_QUERIES_MAX {
                        overdue.set(overdue.get() + 1);
                        asking.counted = Some(Counted(overdue.clone()));
                    } else {
                        self.queries.remove(at);
                    }
                    return Poll::Ready(News::Overdue(plan, patience));
                }
            }
            Poll::Pending
        })
        .await
    }
}
