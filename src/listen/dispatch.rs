//! What all loops of one worker share: the answering side, the clock, the limits, the counters. It also guards both ways to an
//! answer: a panic costs one question, never the worker.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{Notify, watch};

use super::failure;
use super::limits::{Connections, LiveBounds, Permit};
use crate::answer::{AtOnce, Client, Moment, Pending, Transport, Worker};
use crate::env::{BootTime, Clock, Instant};
use crate::metrics::{ClientLimit, Counter, Gauge, Recorder};
use crate::policy::{ClientNet, InFlight, LimitLog, Place, Ticket};
use crate::record::Rcode;

/// The largest message over TCP (RFC 1035 4.2.2).
pub const MESSAGE_BYTES: usize = u16::MAX as usize;

/// Batches of answers for each that is timed. Reading the clock twice costs as much as a tenth of a cached answer.
const TIMED_EVERY: u32 = 16;

/// The answering side: `answer::Worker` in service, a fake in tests; never a dynamic call.
pub trait Answer: 'static {
    /// What is read once for all queries of one batch; never kept across an await.
    type Moment;
    /// A query that has been read and decided, and that has to wait.
    type Pending: 'static;

    /// The counters of this worker.
    fn metrics(&self) -> &Recorder;

    fn moment(&self, now: BootTime) -> Self::Moment;

    /// Whether this client may use recursion and the cache.
    fn is_allowed(&self, moment: &Self::Moment, client: IpAddr) -> bool;

    /// Whether clients may get different answers to the same question.
    fn differs_by_client(&self, moment: &Self::Moment) -> bool;

    /// Whether this peer is a load balancer, which says on whose behalf it asks.
    fn is_proxy(&self, moment: &Self::Moment, peer: IpAddr) -> bool;

    fn at_once(&self, moment: &Self::Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce<Self::Pending>;

    /// Ends at once, with a failure, when the question loses its place.
    fn later(self: &Rc<Self>, pending: Self::Pending, client: &Client, place: Place) -> impl Future<Output = Vec<u8>>;
}

impl Answer for Worker {
    type Moment = Moment;
    type Pending = Box<Pending>;

    fn metrics(&self) -> &Recorder {
        Worker::metrics(self)
    }

    fn moment(&self, now: BootTime) -> Moment {
        Worker::moment(self, now)
    }

    fn is_allowed(&self, moment: &Moment, client: IpAddr) -> bool {
        moment.is_allowed(client)
    }

    fn differs_by_client(&self, moment: &Moment) -> bool {
        moment.differs_by_client()
    }

    fn is_proxy(&self, moment: &Moment, peer: IpAddr) -> bool {
        moment.is_proxy(peer)
    }

    fn at_once(&self, moment: &Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce {
        Worker::at_once(self, moment, slot, len, client)
    }

    fn later(self: &Rc<Self>, pending: Box<Pending>, client: &Client, place: Place) -> impl Future<Output = Vec<u8>> {
        Worker::later(self, pending, client, Some(place))
    }
}

/// The limits that a worker is started with.
#[derive(Clone)]
pub struct Admission {
    pub bounds: LiveBounds,
    /// Shared by all workers.
    pub in_flight: InFlight,
    /// Shared by all workers.
    pub limit_log: Arc<LimitLog>,
}

/// A question whose client waits for the answer.
pub struct Waiting {
    ticket: Ticket,
    metrics: Recorder,
    all: Rc<AllWaiting>,
}

/// The gauge of this worker.
#[derive(Default)]
struct AllWaiting {
    count: Cell<usize>,
    emptied: Notify,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.metrics.down(Gauge::Waiting);
        let left = self.all.count.get() - 1;
        self.all.count.set(left);
        if left == 0 {
            self.all.emptied.notify_one();
        }
    }
}

/// Shared by all loops of one worker.
pub struct Dispatch<A> {
    answer: Rc<A>,
    clock: Arc<dyn Clock>,
    pub bounds: LiveBounds,
    pub metrics: Recorder,
    /// Shared by all workers.
    pub in_flight: InFlight,
    limit_log: Arc<LimitLog>,
    waiting: Rc<AllWaiting>,
    /// Batches since the start.
    batches: Cell<u32>,
    pub connections: Rc<Connections>,
    pub stop: watch::Receiver<bool>,
    /// A buffer for one message of the largest size. A task borrows it to read or answer on a stream, never across an await; so
    /// thousands of idle connections hold no buffer of their own.
    pub scratch: RefCell<Vec<u8>>,
}

impl<A: Answer> Dispatch<A> {
    /// `stop` tells all loops to end.
    pub fn new(answer: Rc<A>, clock: Arc<dyn Clock>, admission: Admission, stop: watch::Receiver<bool>) -> Dispatch<A> {
        Dispatch {
            metrics: answer.metrics().clone(),
            answer,
            clock,
            bounds: admission.bounds.clone(),
            in_flight: admission.in_flight,
            limit_log: admission.limit_log,
            waiting: Rc::default(),
            batches: Cell::new(0),
            connections: Rc::new(Connections::new(admission.bounds)),
            stop,
            scratch: RefCell::new(vec![0; MESSAGE_BYTES]),
        }
    }

    /// Reads the clock and the configuration, once for each batch.
    pub fn moment(&self) -> A::Moment {
        self.answer.moment(self.clock.boot())
    }

    /// The time, and whether this client may use recursion and the cache.
    pub fn now_and_rights(&self, client: IpAddr) -> (BootTime, bool) {
        let now = self.clock.boot();
        (now, self.answer.is_allowed(&self.answer.moment(now), client))
    }

    /// Whether clients may get different answers to the same question.
    pub fn differs_by_client(&self) -> bool {
        self.answer.differs_by_client(&self.moment())
    }

    /// Whether this peer is a load balancer, which says on whose behalf it asks.
    #[inline]
    pub fn is_proxy(&self, moment: &A::Moment, peer: IpAddr) -> bool {
        self.answer.is_proxy(moment, peer)
    }

    /// When this batch began, if it is one of those whose time is taken.
    #[inline]
    pub fn batch_begins(&self) -> Option<Instant> {
        let number = self.batches.replace(self.batches.get().wrapping_add(1));
        number.is_multiple_of(TIMED_EVERY).then(Instant::now)
    }

    /// The answers of a batch have left.
    #[inline]
    pub fn batch_ends(&self, began: Option<Instant>) {
        if let Some(began) = began {
            self.metrics.batch_took(began.elapsed().as_micros() as u64);
        }
    }

    /// Answers without waiting if possible. A panic gives SERVFAIL.
    pub fn at_once(&self, moment: &A::Moment, slot: &mut [u8], len: usize, client: &Client) -> AtOnce<A::Pending> {
        // A panic may leave the slot half written; it is then not sent.
        catch_unwind(AssertUnwindSafe(|| self.answer.at_once(moment, slot, len, client))).unwrap_or_else(|_| {
            self.metrics.count(Counter::Panics);
            AtOnce::Silence
        })
    }

    /// `None`: there is no room for one more question of this client.
    pub fn admit(&self, client: &Client) -> Option<Waiting> {
        let (peer, now) = (client.peer.ip(), Instant::now());
        let admitted = match client.transport {
            Transport::Udp => self.in_flight.admit_datagram(peer, now),
            Transport::Tcp | Transport::Tls | Transport::Https => self.in_flight.admit(peer, now),
        };
        match &admitted {
            Ok(ticket) => ticket.cost.into_iter().for_each(|(limit, client)| self.limit_reached(limit, client)),
            Err(limit) => self.limit_reached(*limit, ClientNet::of(peer)),
        }
        let ticket = admitted.ok()?;
        self.waiting.count.set(self.waiting.count.get() + 1);
        self.metrics.up(Gauge::Waiting);
        Some(Waiting { ticket, metrics: self.metrics.clone(), all: Rc::clone(&self.waiting) })
    }

    /// A place for one more connection; others are closed for it where a limit is reached. A connection of a load balancer has one
    /// place after the other: its own, then the client's.
    pub fn admit_connection(&self, peer: IpAddr) -> Permit {
        let (permit, evicted) = self.connections.admit(peer);
        for (is_closed, limit) in [(evicted.of_client, ClientLimit::ConnectionsPerClient), (evicted.of_all, ClientLimit::Connections)] {
            if is_closed {
                self.metrics.count(Counter::ConnectionsEvicted);
                self.limit_reached(limit, ClientNet::of(peer));
            }
        }
        permit
    }

    /// Counts it, and tells it to the log.
    pub fn limit_reached(&self, limit: ClientLimit, client: ClientNet) {
        self.metrics.limit_reached(limit);
        self.limit_log.reached(limit, client, self.clock.boot());
    }

    /// Waits until no client of this worker waits for an answer.
    pub async fn answered_all(&self) {
        while self.waiting.count.get() > 0 {
            self.waiting.emptied.notified().await;
        }
    }

    /// Answers a query that has to wait. A panic gives SERVFAIL.
    pub async fn later(&self, query: &[u8], pending: A::Pending, client: &Client, waiting: &Waiting) -> Option<Vec<u8>> {
        let mut work = pin!(self.answer.later(pending, client, waiting.ticket.place().clone()));
        let outcome = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(reply)) => Poll::Ready(Ok(reply)),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        match outcome.await {
            Ok(reply) => Some(reply),
            Err(_) => {
                self.metrics.count(Counter::Panics);
                failure::reply(query, Rcode::SERVFAIL)
            }
        }
    }
}
