//! What all loops of one worker share: who answers, the clock, the limits, the counters. And the two ways to
//! an answer, each with a net below it: a panic costs one question, never the worker.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;

use super::counters::Counters;
use super::failure;
use super::limits::{Bounds, Connections, Pending, Ticket};
use crate::answer::{AtOnce, Client, Moment, Worker};
use crate::env::{BootTime, Clock};
use crate::record::Rcode;

/// The largest message over TCP (RFC 1035 4.2.2).
pub const MESSAGE_BYTES: usize = u16::MAX as usize;

/// Who answers. `answer::Worker` in service, a fake in tests; never a dynamic call.
pub trait Answer: 'static {
    /// What holds for all queries of one batch; never kept across an await.
    type Moment;

    fn moment(&self, now: BootTime) -> Self::Moment;

    fn at_once(&self, moment: &Self::Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce;

    fn in_full(self: &Rc<Self>, query: &[u8], client: &Client) -> impl Future<Output = Option<Vec<u8>>>;
}

impl Answer for Worker {
    type Moment = Moment;

    fn moment(&self, now: BootTime) -> Moment {
        Worker::moment(self, now)
    }

    fn at_once(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        Worker::at_once(self, moment, slot, len, client)
    }

    fn in_full(self: &Rc<Self>, query: &[u8], client: &Client) -> impl Future<Output = Option<Vec<u8>>> {
        Worker::in_full(self, query, client)
    }
}

pub struct Desk<A> {
    answer: Rc<A>,
    clock: Arc<dyn Clock>,
    pub bounds: Bounds,
    pub counters: Arc<Counters>,
    pub pending: Rc<Pending>,
    pub connections: Rc<Connections>,
    pub stop: watch::Receiver<bool>,
    /// One largest message. Lent to whoever reads or answers on a stream, never across an await: thousands of
    /// idle connections then hold no buffer of their own.
    pub scratch: RefCell<Vec<u8>>,
}

impl<A: Answer> Desk<A> {
    pub fn new(answer: Rc<A>, clock: Arc<dyn Clock>, bounds: Bounds, counters: Arc<Counters>, stop: watch::Receiver<bool>) -> Desk<A> {
        Desk {
            answer,
            clock,
            bounds,
            pending: Rc::new(Pending::new(bounds)),
            connections: Rc::new(Connections::new(bounds)),
            counters,
            stop,
            scratch: RefCell::new(vec![0; MESSAGE_BYTES]),
        }
    }

    /// Clock and configuration, read once a batch.
    pub fn moment(&self) -> A::Moment {
        self.answer.moment(self.clock.boot())
    }

    pub fn at_once(&self, moment: &A::Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        // What a panic may leave half changed is the slot, which is not sent then.
        catch_unwind(AssertUnwindSafe(|| self.answer.at_once(moment, slot, len, client))).unwrap_or_else(|_| {
            self.counters.panics.add(1);
            AtOnce::Silence
        })
    }

    /// The ticket is held until the reply is there; a panic gives SERVFAIL.
    pub async fn in_full(&self, query: &[u8], client: &Client, _ticket: Ticket) -> Option<Vec<u8>> {
        let mut work = pin!(self.answer.in_full(query, client));
        let outcome = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(reply)) => Poll::Ready(Ok(reply)),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        outcome.await.unwrap_or_else(|_| {
            self.counters.panics.add(1);
            failure::reply(query, Rcode::SERVFAIL)
        })
    }
}
