//! The queries under way for one question at one cut: the latest, perhaps one beside it, and those whose reply is
//! overdue. Of those another server has been asked by now, but what they bring late is taken all the same: a link that has
//! become slow, or a server that is far away, is not deaf.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use smallvec::SmallVec;

use crate::env::{BoxFuture, Instant};
use crate::resolve::servers::query::{Outcome, Plan};

/// Overdue queries of one worker that are listened to; each holds a socket. Past that an overdue one is given up.
const OVERDUE_MAX: usize = 1_024;

/// A reply that waits longer to be read has no time of arrival.
const UNHEARD_MOST: Duration = Duration::from_millis(5);

/// A query that was sent. It owns what it needs, so that it can outlive the question that it was sent for.
pub(in crate::resolve) struct Asking {
    pub(in crate::resolve) plan: Plan,
    /// After so long its reply is overdue.
    pub(in crate::resolve) patience: Duration,
    pub(in crate::resolve) overdue: Rc<Cell<bool>>,
    pub(in crate::resolve) outcome: BoxFuture<'static, Outcome>,
    /// It was told of as overdue, and counts among those that are.
    counted: Option<Counted>,
}

struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Asking {
    pub(in crate::resolve) fn new(plan: Plan, patience: Duration, overdue: Rc<Cell<bool>>, outcome: BoxFuture<'static, Outcome>) -> Asking {
        Asking { plan, patience, overdue, outcome, counted: None }
    }

    pub(in crate::resolve) fn is_overdue(&self) -> bool {
        self.counted.is_some()
    }

    /// Its outcome, or `None` once it is overdue.
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

/// What comes of one of them.
pub(in crate::resolve) enum News {
    /// It has ended.
    Outcome(Asking, Outcome),
    /// Its reply is overdue; told once.
    Overdue(Plan, Duration),
}

#[derive(Default)]
pub(in crate::resolve) struct InFlight {
    queries: SmallVec<[Asking; 2]>,
    /// When they were listened to last.
    heard_until: Option<Instant>,
}

impl InFlight {
    pub(in crate::resolve) fn add(&mut self, asking: Asking) {
        self.queries.push(asking);
    }

    /// Is any of them not overdue?
    pub(in crate::resolve) fn is_awaited(&self) -> bool {
        self.queries.iter().any(|asking| !asking.is_overdue())
    }

    /// While addresses were searched for, or the network was awaited, nobody listened: when a reply came in that time
    /// could not be told any more, neither for its lifetimes nor for the server's.
    pub(in crate::resolve) fn drop_unheard(&mut self) {
        if self.heard_until.is_some_and(|until| until.elapsed() >= UNHEARD_MOST) {
            self.clear();
        }
    }

    pub(in crate::resolve) fn clear(&mut self) {
        self.queries.clear();
    }

    /// Those whose reply may still come in time, to learn how long it takes.
    pub(in crate::resolve) fn take_awaited(&mut self) -> impl Iterator<Item = Asking> {
        std::mem::take(&mut self.queries).into_iter().filter(|asking| !asking.is_overdue())
    }

    /// Waits for the first news of any; never for nothing. `overdue` counts those of the whole worker.
    pub(in crate::resolve) async fn next(&mut self, overdue: &Rc<Cell<usize>>) -> News {
        poll_fn(|cx| {
            self.heard_until = Some(Instant::now());
            for at in 0..self.queries.len() {
                let asking = &mut self.queries[at];
                if let Poll::Ready(outcome) = asking.outcome.as_mut().poll(cx) {
                    return Poll::Ready(News::Outcome(self.queries.remove(at), outcome));
                }
                if !asking.is_overdue() && asking.overdue.get() {
                    let (plan, patience) = (asking.plan.clone(), asking.patience);
                    if overdue.get() < OVERDUE_MAX {
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
