//! The table of walks in progress: one walk per question serves all that wait for it, on whatever worker.
//!
//! The owner publishes one result to all waiters. If the owner is dropped without one (a panic), they get
//! `Cause::Internal`. Which walk waits for which is kept as edges; a wait that would close a circle is refused at once,
//! across workers too.
//!
//! Walks of many clients can be made to wait for each other in a chain. The length of a chain is bounded, and so is the
//! number of walks that a new wait looks at under the lock that all workers share.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;

use crate::limits::walk::WALK_WAITS_MAX;
use crate::record::Question;
use crate::resolve::context::budget::Means;
use crate::resolve::context::context::WalkId;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::reply::link::Link;

/// What a walk looks for. A client must not join a walk that may end with glue.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Wanted {
    pub question: Question,
    pub glue_will_do: bool,
}

/// The result of a walk, shared by all that wait for it.
pub type Outcome = Arc<Result<Link, Failure>>;

/// All walks in progress.
pub struct Table {
    inner: Mutex<Inner>,
    walks_max: usize,
}

#[derive(Default)]
struct Inner {
    walks: HashMap<Wanted, Entry, RandomState>,
    /// One for each walk.
    waits: HashMap<WalkId, Waits, RandomState>,
    next: u64,
}

#[derive(Default)]
struct Waits {
    /// Walks whose results it waits for.
    on: SmallVec<[WalkId; 4]>,
    /// Walks that waited for it in a row when the last one came.
    above: usize,
}

struct Entry {
    id: WalkId,
    /// What its walk could do when it began.
    means: Means,
    result: Arc<Left>,
}

/// Whose walks a question joins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joins {
    Any,
    /// Only those that began with as much as the question has: others have failed for want of it.
    NonePoorer,
}

/// Where the owner leaves its outcome. Waiters are woken in the order they came: `watch` would wake them in an order of its
/// own, and the simulation could not be replayed.
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

/// What a caller does about a question.
pub enum Join {
    /// There is no such walk: the caller must walk and publish.
    Own(Ticket, Waiter),
    Wait(Waiter),
    /// Waiting would close a circle.
    Cycle,
    /// Too many walks would wait for each other.
    TooLong,
    /// As many walks as allowed are in progress.
    Full,
}

/// The owner's duty to publish.
pub struct Ticket {
    table: Arc<Table>,
    wanted: Wanted,
    pub id: WalkId,
    result: Arc<Left>,
}

/// Waits for one walk. Dropping it removes the edge.
pub struct Waiter {
    table: Arc<Table>,
    edge: Option<(WalkId, WalkId)>,
    result: Arc<Left>,
}

impl Table {
    /// At most `walks_max` walks at a time.
    pub fn new(walks_max: usize) -> Arc<Table> {
        Arc::new(Table { inner: Mutex::default(), walks_max })
    }

    /// `context` is the walk that needs the result, if a walk does; `means` is what the caller's own walk would have. If the
    /// walk in progress is too poor to be joined, the caller's own replaces it in the table; those who wait for it go on
    /// waiting.
    pub fn join(self: &Arc<Table>, wanted: &Wanted, context: Option<WalkId>, means: Means, joins: Joins) -> Join {
        let mut inner = self.inner.lock();
        let above = context.and_then(|context| inner.waits.get(&context)).map_or(0, |waits| waits.above + 1);
        if above > WALK_WAITS_MAX {
            return Join::TooLong;
        }
        if let Some(entry) = inner.walks.get(wanted).filter(|entry| joins == Joins::Any || entry.means.cover(&means)) {
            let (id, result) = (entry.id, entry.result.clone());
            if let Some(context) = context {
                match inner.reaches(id, context) {
                    Some(false) => inner.wait(context, id, above),
                    Some(true) => return Join::Cycle,
                    None => return Join::TooLong,
                }
            }
            return Join::Wait(Waiter { table: self.clone(), edge: context.map(|context| (context, id)), result });
        }
        if inner.waits.len() >= self.walks_max {
            return Join::Full;
        }
        inner.next += 1;
        let id = WalkId(inner.next);
        let result = Arc::new(Left::default());
        inner.walks.insert(wanted.clone(), Entry { id, means, result: result.clone() });
        inner.waits.insert(id, Waits::default());
        if let Some(context) = context {
            inner.wait(context, id, above);
        }
        let waiter = Waiter { table: self.clone(), edge: context.map(|context| (context, id)), result: result.clone() };
        Join::Own(Ticket { table: self.clone(), wanted: wanted.clone(), id, result }, waiter)
    }

    /// Number of walks in progress.
    pub fn in_progress(&self) -> usize {
        self.inner.lock().waits.len()
    }

    /// Walks that a walk waits for in a row.
    #[cfg(test)]
    fn longest_wait(&self, from: WalkId) -> usize {
        let inner = self.inner.lock();
        let mut row = vec![from];
        while let Some(next) = inner.waits.get(&row[row.len() - 1]).and_then(|waits| waits.on.first()) {
            row.push(*next);
        }
        row.len() - 1
    }
}

impl Inner {
    /// `context` is the last of a row of walks `above`.
    fn wait(&mut self, context: WalkId, on: WalkId, above: usize) {
        if let Some(waits) = self.waits.get_mut(&context) {
            waits.on.push(on);
        }
        if let Some(waits) = self.waits.get_mut(&on) {
            waits.above = waits.above.max(above);
        }
    }

    /// Does `from` wait, directly or through others, for `to`? Each walk is visited once. `None`: that takes more visits
    /// than allowed.
    fn reaches(&self, from: WalkId, to: WalkId) -> Option<bool> {
        let mut visited: SmallVec<[WalkId; WALK_WAITS_MAX]> = SmallVec::from_slice(&[from]);
        let mut at = 0;
        while let Some(walk) = visited.get(at).copied() {
            if walk == to {
                return Some(true);
            }
            for next in self.waits.get(&walk).into_iter().flat_map(|waits| &waits.on) {
                if !visited.contains(next) {
                    if visited.len() >= WALK_WAITS_MAX {
                        return None;
                    }
                    visited.push(*next);
                }
            }
            at += 1;
        }
        Some(false)
    }
}

impl Ticket {
    /// Gives the result to all waiters and ends the walk's entry.
    pub fn publish(self, outcome: Outcome) {
        self.result.leave(Some(outcome));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inner = self.table.inner.lock();
        // Another walk may have its place by now.
        if inner.walks.get(&self.wanted).is_some_and(|entry| entry.id == self.id) {
            inner.walks.remove(&self.wanted);
        }
        inner.waits.remove(&self.id);
        drop(inner);
        self.result.leave(None);
    }
}

impl Waiter {
    /// Waits for the result.
    pub async fn outcome(self) -> Outcome {
        let published = self.result.wait().await;
        published.unwrap_or_else(|| Arc::new(Err(Failure::new(crate::record::Name::root(), Cause::Internal))))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some((context, id)) = self.edge {
            let mut inner = self.table.inner.lock();
            let Some(waits) = inner.waits.get_mut(&context) else { return };
            if let Some(at) = waits.on.iter().position(|walk| *walk == id) {
                waits.on.swap_remove(at);
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

    const MEANS: Means = Means { depth: 0, queries: 64, searches: 5 };

    fn join(table: &Arc<Table>, text: &str, context: Option<WalkId>) -> Join {
        table.join(&question(text), context, MEANS, Joins::Any)
    }

    fn own(table: &Arc<Table>, text: &str, context: Option<WalkId>) -> (Ticket, Waiter) {
        match join(table, text, context) {
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
        assert!(matches!(join(&table, "a.", Some(c.id)), Join::Cycle));
        assert!(matches!(join(&table, "c.", Some(c.id)), Join::Cycle));
        drop(wait_b);
        assert!(matches!(join(&table, "a.", Some(c.id)), Join::Wait(_)));
    }

    /// Zones of which each needs the next one's server, asked for from the last to the first: each new walk joins a chain.
    #[test]
    fn a_chain_of_walks_is_bounded_and_so_is_the_look_along_it() {
        let table = Table::new(10_000);
        let mut kept = vec![own(&table, "z0.", None)];
        let mut joined = Vec::new();
        let mut refused = 0;
        for n in 1..4_000 {
            let (walk, waiter) = own(&table, &format!("z{n}."), None);
            match join(&table, &format!("z{}.", n - 1), Some(walk.id)) {
                Join::Wait(waiter) => joined.push(waiter),
                Join::TooLong => refused += 1,
                _ => panic!("z{n} closes no circle"),
            }
            kept.push((walk, waiter));
            let longest = table.longest_wait(kept[n].0.id);
            assert!(longest <= WALK_WAITS_MAX, "{longest} walks wait for each other");
        }
        assert_eq!((refused, joined.len()), (4_000 / (WALK_WAITS_MAX + 1), 3_999 - 4_000 / (WALK_WAITS_MAX + 1)));
        // A circle inside the bound is still one.
        assert!(matches!(join(&table, "z30.", Some(kept[5].0.id)), Join::Cycle));
        drop(joined);
        drop(kept);
        assert_eq!((table.in_progress(), table.inner.lock().waits.len()), (0, 0));
    }

    /// As the test above, but the row grows at its other end: its last walk finds one more to wait for.
    #[test]
    fn a_row_that_grows_at_its_end_is_bounded() {
        let table = Table::new(10_000);
        let mut row = vec![own(&table, "z0.", None)];
        let refused = (1..100).find(|n| match join(&table, &format!("z{n}."), row.last().map(|(walk, _)| walk.id)) {
            Join::Own(ticket, waiter) => {
                row.push((ticket, waiter));
                false
            }
            Join::TooLong => true,
            _ => panic!("z{n} is free"),
        });
        assert_eq!(refused, Some(WALK_WAITS_MAX as u32 + 1));
        // What a walk far down in the row joins may go on for what is left of it.
        let mut others = vec![own(&table, "other0.", None)];
        assert!(matches!(join(&table, "other0.", Some(row[WALK_WAITS_MAX - 3].0.id)), Join::Wait(_)));
        while let Join::Own(ticket, waiter) = join(&table, &format!("other{}.", others.len()), others.last().map(|(walk, _)| walk.id)) {
            others.push((ticket, waiter));
        }
        assert_eq!(others.len(), 3);
    }

    /// Many waits of one walk count like many walks in a row.
    #[test]
    fn a_walk_that_waits_for_many_is_bounded_too() {
        let table = Table::new(10_000);
        let (hub, _waiter) = own(&table, "hub.", None);
        let leaves: Vec<_> = (0..100).map(|n| own(&table, &format!("leaf{n}."), Some(hub.id))).collect();
        let (other, _waiter) = own(&table, "other.", None);
        assert!(matches!(join(&table, "hub.", Some(other.id)), Join::TooLong));
        assert!(matches!(join(&table, "hub.", None), Join::Wait(_)), "a client waits for nobody's sake");
        drop(leaves);
        assert!(matches!(join(&table, "hub.", Some(other.id)), Join::Wait(_)));
    }

    #[test]
    fn a_walk_with_more_means_takes_the_place_of_one_that_is_not_joined() {
        let table = Table::new(10);
        let wanted = question("a.");
        let poor = Means { depth: 7, ..MEANS };
        let Join::Own(first, first_waiter) = table.join(&wanted, None, poor, Joins::Any) else { panic!("it is free") };
        assert!(matches!(table.join(&wanted, None, MEANS, Joins::Any), Join::Wait(_)), "at first anybody's will do");
        assert!(matches!(table.join(&wanted, None, Means { depth: 8, ..MEANS }, Joins::NonePoorer), Join::Wait(_)), "it is poorer itself");
        let Join::Own(second, second_waiter) = table.join(&wanted, None, MEANS, Joins::NonePoorer) else { panic!("it is poor") };
        for less in [Means { queries: 63, ..MEANS }, Means { searches: 4, ..MEANS }, MEANS] {
            assert!(matches!(table.join(&wanted, None, less, Joins::NonePoorer), Join::Wait(_)), "{less:?}");
        }
        assert_eq!(table.in_progress(), 2);
        drop(first);
        assert!(matches!(table.join(&wanted, None, MEANS, Joins::Any), Join::Wait(_)), "the second one is still there");
        drop((second, first_waiter, second_waiter));
        assert_eq!((table.in_progress(), table.inner.lock().walks.len()), (0, 0));
    }

    #[test]
    fn the_table_is_bounded_and_emptied() {
        let table = Table::new(1);
        let (a, _waiter) = own(&table, "a.", None);
        assert!(matches!(join(&table, "b.", None), Join::Full));
        drop(a);
        assert_eq!(table.in_progress(), 0);
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
