//! One connection of a client over TCP (RFC 7766) or TLS (RFC 7858): messages with a length prefix, many questions in progress at once, answers in the
//! order in which they become ready (RFC 7766 6.2.1.1, 7), joined into as few writes as possible.
//!
//! ```text
//!   stream ─► inbox ─► take_questions ─┬─ at once ─────────► outbox ─► stream
//!                                      ├─ in full ─► give ───►
//!                                      └─ transfers, a message when the one before has left ─► outbox
//! ```
//!
//! Everything that a client can make us hold is bounded: questions in progress, octets in both directions, the time for an
//! unfinished message, the time without a question. A client with too many questions in progress is not read from, and TCP
//! slows it down. A client that leaves answers unread has no more questions taken.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use super::close::close_in_order;
use super::dispatch::{Answer, Dispatch, MESSAGE_BYTES};
use super::failure;
use super::limits::{Bounds, Permit};
use super::replies::{Outbox, Replies, Room};
use crate::answer::{AtOnce, Client, Messages};
use crate::env::{Stream, boxed};
use crate::limits::clients::{CLOSE_MAX, KEPT_BUFFER_BYTES_MAX, TRANSFER_AHEAD_BYTES, TURN_QUESTIONS_MAX};
use crate::metrics::{Counter, Gauge, Recorder};
use crate::record::Rcode;
use crate::wire::HEADER_BYTES;

/// Octets taken from the kernel in one read.
const READ_BYTES: usize = 16 * 1024;

/// Serves the connection until either side closes it or a limit is reached.
pub async fn converse<A: Answer>(dispatch: Rc<Dispatch<A>>, stream: Box<dyn Stream>, client: Client, permit: Permit) {
    let _open = Open::new(&dispatch.metrics);
    let stop = {
        let mut stop = dispatch.stop.clone();
        // A dropped sender means the same as the signal.
        async move { drop(stop.wait_for(|stop| *stop).await) }
    };
    let (mut stop, now) = (pin!(stop), Instant::now());
    let mut timer = pin!(tokio::time::sleep_until(now + dispatch.bounds.now().idle));
    let mut connection = Connection::new(dispatch, stream, client, permit, now);
    loop {
        let taken = connection.take_questions();
        if taken == Taken::Garbage {
            return;
        }
        // Making a message takes time as well.
        let has_more = connection.continue_transfers() || taken == Taken::Turn;
        if has_more {
            tokio::task::yield_now().await;
        }
        if connection.is_over() {
            break;
        }
        let event = poll_fn(|cx| match connection.poll(cx, timer.as_mut(), stop.as_mut()) {
            Poll::Pending if has_more => Poll::Ready(Event::Progress),
            event => event,
        });
        match event.await {
            Event::Progress => {}
            Event::Stop => connection.is_stopping = true,
            Event::TimedOut => {
                connection.dispatch.metrics.count(Counter::ConnectionsTimedOut);
                // Over TLS the client must be able to tell the end from an attack (RFC 8446 6.1).
                if connection.client.transport.is_encrypted() {
                    break;
                }
                return;
            }
            Event::Gone => return,
        }
    }
    connection.close().await;
}

/// Counts the connection while it is open.
struct Open(Recorder);

impl Open {
    fn new(metrics: &Recorder) -> Open {
        metrics.up(Gauge::ConnectionsOpen);
        Open(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.down(Gauge::ConnectionsOpen);
    }
}

#[derive(PartialEq, Eq)]
enum Taken {
    /// No complete message is left, or no more may be taken before something of this connection changes.
    All,
    /// More messages are there, but other connections get their turn first.
    Turn,
    /// Too short for a DNS message: the client speaks another protocol.
    Garbage,
}

enum Event {
    Progress,
    Stop,
    TimedOut,
    Gone,
}

struct Connection<A> {
    dispatch: Rc<Dispatch<A>>,
    /// As they were when the connection began.
    bounds: Bounds,
    stream: Box<dyn Stream>,
    client: Client,
    inbox: Vec<u8>,
    replies: Rc<Replies>,
    /// Questions in progress. Each task passes its answer to `replies`.
    tasks: JoinSet<()>,
    /// Replies of many messages, in progress.
    transfers: VecDeque<Ongoing>,
    /// When the unfinished message at the end of `inbox` began, if there is one.
    message_began: Option<Instant>,
    /// When there was last something to do.
    busy_until: Instant,
    read_ended: bool,
    is_stopping: bool,
}

/// A reply of many messages, and one of them that found no room.
struct Ongoing {
    messages: Box<Box<dyn Messages>>,
    unsent: Option<Vec<u8>>,
}

impl<A: Answer> Connection<A> {
    fn new(dispatch: Rc<Dispatch<A>>, stream: Box<dyn Stream>, client: Client, permit: Permit, now: Instant) -> Connection<A> {
        let bounds = dispatch.bounds.now();
        Connection {
            bounds,
            stream,
            client,
            inbox: Vec::new(),
            replies: Rc::new(Replies {
                permit,
                outbox: RefCell::new(Outbox::new(now)),
                bytes_most: bounds.bytes_per_connection,
                is_crowded: Cell::new(false),
            }),
            dispatch,
            tasks: JoinSet::new(),
            transfers: VecDeque::new(),
            message_began: None,
            busy_until: now,
            read_ended: false,
            is_stopping: false,
        }
    }

    fn take_questions(&mut self) -> Taken {
        let (mut at, mut taken, mut outcome) = (0, 0, Taken::All);
        let began = self.dispatch.batch_begins();
        let moment = self.dispatch.moment();
        while self.may_take() {
            if taken == TURN_QUESTIONS_MAX {
                outcome = Taken::Turn;
                break;
            }
            let Some(message) = message_at(&self.inbox, at).filter(|_| !self.is_stopping) else { break };
            if message.len() < HEADER_BYTES {
                return Taken::Garbage;
            }
            let len = message.len();
            let Some(room) = self.replies.room_for(len) else {
                // What this connection writes or answers makes room; without anything of its own it waits for others, which are about
                // to write.
                if self.is_quiet() {
                    outcome = Taken::Turn;
                }
                break;
            };
            let dispatch = Rc::clone(&self.dispatch);
            let mut slot = dispatch.scratch.borrow_mut();
            slot[..len].copy_from_slice(message);
            match dispatch.at_once(&moment, &mut slot, len, &self.client) {
                AtOnce::Reply(reply_len) => {
                    self.replies.give(room, &slot[..reply_len.min(MESSAGE_BYTES)]);
                    dispatch.metrics.count(Counter::StreamAtOnce);
                }
                AtOnce::Silence => self.replies.give(room, &[]),
                AtOnce::Later(pending) => self.answer_later(&slot[..len], pending, room),
                AtOnce::Many(messages) => {
                    self.replies.give(room, &[]);
                    self.transfers.push_back(Ongoing { messages, unsent: None });
                }
            }
            dispatch.metrics.count(Counter::StreamQueries);
            at += 2 + len;
            taken += 1;
        }
        if taken > 0 {
            self.dispatch.batch_ends(began);
        }
        self.inbox.drain(..at);
        self.replies.permit.release(at);
        self.note(taken);
        outcome
    }

    /// A question fails at once when too many are waiting: over TCP the source address cannot be forged.
    fn answer_later(&mut self, query: &[u8], pending: A::Pending, room: Room) {
        let (dispatch, client, replies) = (Rc::clone(&self.dispatch), self.client, Rc::clone(&self.replies));
        let Some(waiting) = dispatch.admit(&client) else {
            dispatch.metrics.count(Counter::TurnedAway);
            return replies.give(room, &failure::reply(query, Rcode::SERVFAIL).unwrap_or_default());
        };
        let query = query.to_vec();
        self.tasks.spawn_local(boxed(|| async move {
            let reply = dispatch.later(&query, pending, &client, &waiting).await;
            replies.give(room, &reply.unwrap_or_default());
        }));
    }

    /// Nothing of this connection is in progress, and nothing of it waits for the client to read.
    fn is_quiet(&self) -> bool {
        self.tasks.is_empty() && self.transfers.is_empty() && self.replies.is_empty()
    }

    /// Puts the next message of a transfer into the outbox, if the client has read those before. Transfers take turns.
    fn continue_transfers(&mut self) -> bool {
        if self.replies.unsent_bytes() >= TRANSFER_AHEAD_BYTES || !self.replies.has_room() {
            return false;
        }
        let Some(mut ongoing) = self.transfers.pop_front() else { return false };
        if let Some(message) = ongoing.unsent.take().or_else(|| ongoing.messages.next()) {
            if !self.replies.push(&message) {
                ongoing.unsent = Some(message);
            }
            self.transfers.push_back(ongoing);
        }
        self.busy_until = Instant::now();
        true
    }

    /// Sets the deadlines after questions were taken.
    fn note(&mut self, taken: usize) {
        if taken > 0 {
            self.replies.permit.question_came();
            self.busy_until = Instant::now();
        }
        // While the connection is not read, the rest of a message cannot arrive.
        let is_unfinished = !self.inbox.is_empty() && message_at(&self.inbox, 0).is_none() && self.may_read();
        self.message_began = match self.message_began {
            _ if !is_unfinished => None,
            Some(began) if taken == 0 => Some(began),
            _ => Some(Instant::now()),
        };
        if self.inbox.is_empty() && self.inbox.capacity() > KEPT_BUFFER_BYTES_MAX {
            self.inbox = Vec::new();
        }
        self.replies.permit.questions_under_way(self.tasks.len() + self.transfers.len());
    }

    fn may_take(&self) -> bool {
        self.tasks.len() + self.transfers.len() < self.bounds.questions_per_connection && self.replies.has_room()
    }

    fn may_read(&self) -> bool {
        !self.is_stopping && self.may_take()
    }

    fn is_over(&self) -> bool {
        let nothing_comes = self.is_stopping || self.read_ended && message_at(&self.inbox, 0).is_none();
        nothing_comes && self.is_quiet()
    }

    /// Moves everything that can move; answers first, so that the write carries all that are ready.
    fn poll(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>, stop: Pin<&mut impl Future<Output = ()>>) -> Poll<Event> {
        let mut moved = self.collect_tasks(cx);
        match self.replies.poll_write(&mut self.stream, cx) {
            Ok(wrote) => moved |= wrote,
            Err(_) => return Poll::Ready(Event::Gone),
        }
        match self.poll_read(cx) {
            Ok(read) => moved |= read,
            Err(_) => return Poll::Ready(Event::Gone),
        }
        if moved {
            return Poll::Ready(Event::Progress);
        }
        if !self.is_stopping && stop.poll(cx).is_ready() {
            return Poll::Ready(Event::Stop);
        }
        self.replies.permit.waits();
        self.poll_deadline(cx, timer)
    }

    fn collect_tasks(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        // A task that was lost has no answer; panics while answering were caught before.
        while let Poll::Ready(Some(_)) = self.tasks.poll_join_next(cx) {
            moved = true;
        }
        if moved {
            self.busy_until = Instant::now();
            self.replies.permit.questions_under_way(self.tasks.len() + self.transfers.len());
        }
        moved
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        if self.read_ended || !self.may_read() || message_at(&self.inbox, 0).is_some() {
            return Ok(false);
        }
        // What is in progress here makes room; until then nothing more is read.
        if !self.is_quiet() && !self.replies.permit.would_fit(READ_BYTES) {
            return Ok(false);
        }
        let mut scratch = self.dispatch.scratch.borrow_mut();
        let mut into = ReadBuf::new(&mut scratch[..READ_BYTES]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut into) {
            Poll::Pending => return Ok(false),
            Poll::Ready(result) => result?,
        }
        self.read_ended = into.filled().is_empty();
        // Among clients that send unfinished messages, the one that holds most loses.
        if !self.replies.permit.reserve(into.filled().len(), false) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.inbox.extend_from_slice(into.filled());
        Ok(true)
    }

    /// The timer is set anew only if it would fire too late, and checked again when it has fired too early.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<Event> {
        let Some(deadline) = self.deadline() else { return Poll::Pending };
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Event::TimedOut);
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// `None` while the silence is only ours; `in_full` has its own deadline.
    fn deadline(&self) -> Option<Instant> {
        let message = self.bounds.message;
        let unread = self.replies.unread_since().map(|since| since + message);
        let unfinished = self.message_began.map(|began| began + message);
        let idle = (self.is_quiet() && unfinished.is_none()).then(|| self.busy_until + self.dispatch.connections.idle_timeout());
        [unread, unfinished, idle].into_iter().flatten().min()
    }

    /// What was written a while ago has most likely arrived: then nothing is waited for.
    async fn close(mut self) {
        let has_last_words = self.busy_until + CLOSE_MAX > Instant::now() && !self.read_ended;
        let patience = if has_last_words { CLOSE_MAX } else { Duration::ZERO };
        close_in_order(&mut self.stream, &self.dispatch.scratch, patience).await;
    }
}

/// The complete message whose length prefix is at `at`, without the prefix.
fn message_at(inbox: &[u8], at: usize) -> Option<&[u8]> {
    let (len, rest) = inbox.get(at..)?.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}
