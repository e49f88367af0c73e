//! Walks under way, so that the same question is looked for once, whoever asks and on whatever worker.
//!
//! The owner publishes one result to all who joined. If the owner is dropped without one (a panic), they get
//! `Cause::Internal`. Who waits for whom is kept as edges between walks; a wait that would close a circle is
//! refused at once, across workers too.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::record::Question;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::reply::link::Link;

/// What a walk looks for. One that may end with glue is no walk for a client to join.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Wanted {
    pub question: Question,
    pub glue_will_do: bool,
}

pub type Outcome = Arc<Result<Link, Failure>>;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct WalkId(u64);

pub struct Table {
    inner: Mutex<Inner>,
    walks_max: usize,
}

#[derive(Default)]
struct Inner {
    walks: HashMap<Wanted, Entry, RandomState>,
    /// For each walk the walks whose results it waits for.
    waits: HashMap<WalkId, SmallVec<[WalkId; 4]>, RandomState>,
    next: u64,
}

struct Entry {
    id: WalkId,
    result: Arc<Left>,
}

/// Where the owner leaves its outcome and those who wait are woken in the order they came: `watch` wakes them in an
/// order of its own choice, and the simulation could not be replayed.
#[derive(Default)]
struct Left {
    /// `None` inside: the owner was lost.
    outcome: OnceLock<Option<Outcome>>,
    ended: Notify,
}

impl Left {
    /// The first call counts.
    fn leave(&self, outcome: Option<Outcome>) {
        if self.outcome.set(outcome).is_ok() {
            self.ended.notify_waiters();
        }
    }

    async fn wait(&self) -> Option<Outcome> {
        let mut ended = pin!(self.ended.notified());
        // Registered before the look, so that no end between look and wait is missed.
        ended.as_mut().enable();
        if self.outcome.get().is_none() {
            ended.await;
        }
        self.outcome.get().cloned().flatten()
    }
}

pub enum Join {
    /// Nobody is looking: the caller must walk and publish.
    Own(Ticket, Waiter),
    Wait(Waiter),
    /// Waiting would close a circle.
    Cycle,
    /// As many walks as allowed are under way.
    Full,
}

/// The owner's duty to publish.
pub struct Ticket {
    table: Arc<Table>,
    wanted: Wanted,
    pub id: WalkId,
    result: Arc<Left>,
}

/// Waits for one walk. Dropping it withdraws the edge.
pub struct Waiter {
    table: Arc<Table>,
    edge: Option<(WalkId, WalkId)>,
    result: Arc<Left>,
}

impl Table {
    pub fn new(walks_max: usize) -> Arc<Table> {
        Arc::new(Table { inner: Mutex::default(), walks_max })
    }

    /// `context` is the walk that needs the result, if it is a walk.
    pub fn join(self: &Arc<Table>, wanted: &Wanted, context: Option<WalkId>) -> Join {
        let mut inner = self.inner.lock();
        if let Some(entry) = inner.walks.get(wanted) {
            let (id, result) = (entry.id, entry.result.clone());
            if let Some(context) = context {
                if inner.reaches(id, context) {
                    return Join::Cycle;
                }
                inner.waits.entry(context).or_default().push(id);
            }
            return Join::Wait(Waiter { table: self.clone(), edge: context.map(|context| (context, id)), result });
        }
        if inner.walks.len() >= self.walks_max {
            return Join::Full;
        }
        inner.next += 1;
        let id = WalkId(inner.next);
        let result = Arc::new(Left::default());
        inner.walks.insert(wanted.clone(), Entry { id, result: result.clone() });
        if let Some(context) = context {
            inner.waits.entry(context).or_default().push(id);
        }
        let waiter = Waiter { table: self.clone(), edge: context.map(|context| (context, id)), result: result.clone() };
        Join::Own(Ticket { table: self.clone(), wanted: wanted.clone(), id, result }, waiter)
    }

    pub fn under_way(&self) -> usize {
        self.inner.lock().walks.len()
    }
}

impl Inner {
    /// Does `from` wait, directly or through others, for `to`? Each walk is visited once.
    fn reaches(&self, from: WalkId, to: WalkId) -> bool {
        let mut open: SmallVec<[WalkId; 16]> = SmallVec::from_slice(&[from]);
        let mut seen: SmallVec<[WalkId; 16]> = SmallVec::new();
        while let Some(walk) = open.pop() {
            if walk == to {
                return true;
            }
            if !seen.contains(&walk) {
                seen.push(walk);
                open.extend(self.waits.get(&walk).into_iter().flatten().copied());
            }
        }
        false
    }
}

impl Ticket {
    pub fn publish(self, outcome: Outcome) {
        self.result.leave(Some(outcome));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.table.inner.lock();
        inner.walks.remove(&self.wanted);
        inner.waits.remove(&self.id);
        drop(inner);
        self.result.leave(None);
    }
}

impl Waiter {
    pub async fn outcome(self) -> Outcome {
        let published = self.result.wait().await;
        published.unwrap_or_else(|| Arc::new(Err(Failure::new(crate::record::Name::root(), Cause::Internal))))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some((context, id)) = self.edge {
            let mut inner = self.table.inner.lock();
            if let Some(waits) = inner.waits.get_mut(&context) {
                if let Some(at) = waits.iter().position(|walk| *walk == id) {
                    waits.swap_remove(at);
                }
                if waits.is_empty() {
                    inner.waits.remove(&context);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, Rtype};

    fn question(text: &str) -> Wanted {
        Wanted { question: Question::new(Name::parse(text).expect(text), Rtype::A), glue_will_do: false }
    }

    fn own(table: &Arc<Table>, text: &str, context: Option<WalkId>) -> (Ticket, Waiter) {
        match table.join(&question(text), context) {
            Join::Own(ticket, waiter) => (ticket, waiter),
            _ => panic!("{text} should be free"),
        }
    }

    #[test]
    fn a_circle_is_refused_and_opens_again() {
        let table = Table::new(10);
        let (a, _wait_a) = own(&table, "a.", None);
        let (b, wait_b) = own(&table, "b.", Some(a.id));
        let (c, _wait_c) = own(&table, "c.", Some(b.id));
        assert!(matches!(table.join(&question("a."), Some(c.id)), Join::Cycle));
        assert!(matches!(table.join(&question("c."), Some(c.id)), Join::Cycle));
        drop(wait_b);
        assert!(matches!(table.join(&question("a."), Some(c.id)), Join::Wait(_)));
    }

    #[test]
    fn the_table_is_bounded_and_emptied() {
        let table = Table::new(1);
        let (a, _waiter) = own(&table, "a.", None);
        assert!(matches!(table.join(&question("b."), None), Join::Full));
        drop(a);
        assert_eq!(table.under_way(), 0);
    }

    #[test]
    fn an_owner_lost_is_a_failure_not_a_hang() {
        let table = Table::new(1);
        let (a, waiter) = own(&table, "a.", None);
        drop(a);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let outcome = runtime.block_on(waiter.outcome());
        assert!(matches!(&*outcome, Err(failure) if failure.cause == Cause::Internal));
    }
}
