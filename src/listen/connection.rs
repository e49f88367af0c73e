//! One TCP connection of a client (RFC 7766): messages with a length prefix, many questions in progress at once, answers in the
//! order in which they become ready (RFC 7766 6.2.1.1, 7), joined into as few writes as possible.
//!
//! ```text
//!   stream ─► inbox ─► take_questions ─┬─ at once ─────────► outbox ─► stream
//!                          ▲           ├─ in full ─► give ───►
//!                          │           └─ transfers, a message when the one before has left ─► outbox
//!                          └──────── again ◄───────── no room
//! ```
//!
//! Everything that a client can make us hold is bounded: questions in progress, octets in both directions, the time for an
//! unfinished message, the time without a question. A client with too many questions in progress is not read from, and TCP
//! slows it down. An answer that becomes ready while there is no room for it is dropped, and only its question is kept: when
//! the client has read, the question is answered again, mostly from the cache.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use super::dispatch::{Answer, Dispatch, MESSAGE_BYTES};
use super::failure;
use super::limits::{Bounds, Permit};
use crate::answer::{AtOnce, Client, Messages, Transport};
use crate::env::{Accepted, Stream, boxed};
use crate::limits::clients::{KEPT_BUFFER_BYTES_MAX, TRANSFER_AHEAD_BYTES, TURN_QUESTIONS_MAX};
use crate::metrics::{Counter, Gauge, Recorder};
use crate::record::Rcode;
use crate::wire::{HEADER_BYTES, Header, Opcode};

/// Octets taken from the kernel in one read.
const READ_BYTES: usize = 16 * 1024;
/// The outbox grows by at least this.
const GROW_BYTES: usize = 4096;

/// Serves the connection until either side closes it or a limit is reached.
pub async fn converse<A: Answer>(dispatch: Rc<Dispatch<A>>, accepted: Accepted, permit: Permit) {
    let _open = Open::new(&dispatch.metrics);
    let stop = {
        let mut stop = dispatch.stop.clone();
        // A dropped sender means the same as the signal.
        async move { drop(stop.wait_for(|stop| *stop).await) }
    };
    let (mut stop, now) = (pin!(stop), Instant::now());
    let mut timer = pin!(tokio::time::sleep_until(now + dispatch.bounds.now().idle));
    let mut connection = Connection::new(dispatch, accepted, permit, now);
    loop {
        match connection.take_questions() {
            Taken::Garbage => return,
            Taken::Turn => tokio::task::yield_now().await,
            Taken::All => {}
        }
        if connection.continue_transfers() {
            // Making a message takes time: other connections get their turn.
            tokio::task::yield_now().await;
        }
        if connection.is_over() {
            break;
        }
        let event = poll_fn(|cx| connection.poll(cx, timer.as_mut(), stop.as_mut()));
        match event.await {
            Event::Progress => {}
            Event::Stop => connection.is_stopping = true,
            Event::TimedOut => {
                connection.dispatch.metrics.count(Counter::ConnectionsTimedOut);
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

enum Taken {
    /// No complete message is left, or no more may be taken now.
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
    fn new(dispatch: Rc<Dispatch<A>>, accepted: Accepted, permit: Permit, now: Instant) -> Connection<A> {
        let bounds = dispatch.bounds.now();
        Connection {
            bounds,
            stream: accepted.stream,
            client: Client { peer: accepted.peer, local: accepted.local, transport: Transport::Stream },
            inbox: Vec::new(),
            replies: Rc::new(Replies {
                permit,
                outbox: RefCell::new(Outbox { bytes: Vec::new(), written: 0, moved: now }),
                again: RefCell::default(),
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
            let again = self.replies.again.borrow_mut().pop_front();
            let message = match &again {
                Some(query) => &query[..],
                None if self.is_stopping => break,
                None => match message_at(&self.inbox, at) {
                    Some(message) if message.len() < HEADER_BYTES => return Taken::Garbage,
                    Some(message) => message,
                    None => break,
                },
            };
            let len = message.len();
            let dispatch = Rc::clone(&self.dispatch);
            let mut slot = dispatch.scratch.borrow_mut();
            slot[..len].copy_from_slice(message);
            let is_taken = match dispatch.at_once(&moment, &mut slot, len, &self.client) {
                AtOnce::Reply(reply_len) => {
                    let is_taken = self.replies.push(&slot[..reply_len.min(MESSAGE_BYTES)]);
                    dispatch.metrics.add(Counter::StreamAtOnce, usize::from(is_taken));
                    is_taken
                }
                AtOnce::Silence => true,
                AtOnce::Later(pending) => self.answer_later(&slot[..len], pending),
                AtOnce::Many(messages) => {
                    self.transfers.push_back(Ongoing { messages, unsent: None });
                    true
                }
            };
            match (is_taken, again) {
                (true, Some(query)) => self.replies.permit.release(query.len()),
                (true, None) => {
                    at += 2 + len;
                    dispatch.metrics.count(Counter::StreamQueries);
                }
                (false, again) => {
                    if let Some(query) = again {
                        self.replies.again.borrow_mut().push_front(query);
                    }
                    // A connection with nothing of its own to write waits for others, which are about to write.
                    if !self.replies.must_wait() {
                        outcome = Taken::Turn;
                    }
                    break;
                }
            }
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

    /// A question fails at once when too many are waiting: over TCP the source address cannot be forged. False if there is no
    /// room for the question.
    fn answer_later(&mut self, query: &[u8], pending: A::Pending) -> bool {
        let (dispatch, client, replies) = (Rc::clone(&self.dispatch), self.client, Rc::clone(&self.replies));
        let Some(waiting) = dispatch.admit(&client) else {
            dispatch.metrics.count(Counter::TurnedAway);
            return self.replies.push(&failure::reply(query, Rcode::SERVFAIL).unwrap_or_default());
        };
        if !replies.reserve(query.len()) {
            return false;
        }
        let query = query.to_vec();
        self.tasks.spawn_local(boxed(|| async move {
            let reply = dispatch.later(&query, pending, &client, &waiting).await;
            replies.give(query, reply);
        }));
        true
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
        !self.is_stopping && self.may_take() && self.replies.again.borrow().is_empty()
    }

    fn is_over(&self) -> bool {
        let nothing_comes = self.is_stopping || self.read_ended && message_at(&self.inbox, 0).is_none();
        nothing_comes && self.tasks.is_empty() && self.transfers.is_empty() && self.replies.is_empty()
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
        let waits_for_client = self.tasks.is_empty() && self.transfers.is_empty() && self.replies.is_empty() && unfinished.is_none();
        let idle = waits_for_client.then(|| self.busy_until + self.dispatch.connections.idle_timeout());
        [unread, unfinished, idle].into_iter().flatten().min()
    }

    /// Octets that the client has sent and that we do not read would make the kernel reset the connection, and our last answers
    /// would be lost. So they are read and dropped, as far as they have arrived.
    async fn close(mut self) {
        if self.read_ended {
            return;
        }
        poll_fn(|cx| {
            let mut scratch = self.dispatch.scratch.borrow_mut();
            let _ = Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut scratch));
            let _ = Pin::new(&mut self.stream).poll_shutdown(cx);
            Poll::Ready(())
        })
        .await;
    }
}

/// The complete message whose length prefix is at `at`, without the prefix.
fn message_at(inbox: &[u8], at: usize) -> Option<&[u8]> {
    let (len, rest) = inbox.get(at..)?.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_be_bytes(*len)))
}

/// Answers for the client of one connection, and questions whose answers found no room.
struct Replies {
    permit: Permit,
    outbox: RefCell<Outbox>,
    /// Questions to be answered again, in the order in which their answers became ready.
    again: RefCell<VecDeque<Vec<u8>>>,
    bytes_most: usize,
    /// All connections together have no room: nothing more is taken before the client has read.
    is_crowded: Cell<bool>,
}

impl Replies {
    fn is_empty(&self) -> bool {
        self.outbox.borrow().unsent().is_empty() && self.again.borrow().is_empty()
    }

    fn unsent_bytes(&self) -> usize {
        self.outbox.borrow().unsent().len()
    }

    /// Whether there is room for one more message of any length.
    fn has_room(&self) -> bool {
        self.permit.bytes() < self.bytes_most && !self.must_wait()
    }

    fn must_wait(&self) -> bool {
        self.is_crowded.get() && !self.outbox.borrow().unsent().is_empty()
    }

    fn reserve(&self, bytes: usize) -> bool {
        let has_room = self.permit.reserve(bytes, self.outbox.borrow().unsent().is_empty());
        self.is_crowded.set(!has_room);
        has_room
    }

    /// False if there is no room.
    fn push(&self, reply: &[u8]) -> bool {
        // An answer longer than any message is a bug, and is not sent.
        let framed = if reply.is_empty() || reply.len() > MESSAGE_BYTES { 0 } else { 2 + reply.len() };
        if !self.reserve(framed) {
            return false;
        }
        if framed > 0 {
            self.outbox.borrow_mut().push(reply);
        }
        true
    }

    /// Passes on the answer to a question in progress. The question's task calls it, so that memory never holds more answers
    /// than there is room for.
    fn give(&self, query: Vec<u8>, reply: Option<Vec<u8>>) {
        // An update is carried out once: without room for its reply the client has to ask what has become of it.
        let is_update = Header::read(&query).is_some_and(|header| header.flags.opcode() == Opcode::UPDATE);
        let is_done = reply.is_none_or(|reply| self.has_room() && self.push(&reply)) || is_update;
        if is_done {
            self.permit.release(query.len());
        } else {
            self.again.borrow_mut().push_back(query);
        }
    }

    fn poll_write(&self, stream: &mut Box<dyn Stream>, cx: &mut Context<'_>) -> io::Result<bool> {
        let written = self.outbox.borrow_mut().poll_write(stream, cx)?;
        if written > 0 {
            self.permit.release(written);
            self.is_crowded.set(false);
        }
        Ok(written > 0)
    }

    /// When the client last read something, if something is waiting for it.
    fn unread_since(&self) -> Option<Instant> {
        let outbox = self.outbox.borrow();
        (!outbox.unsent().is_empty()).then_some(outbox.moved)
    }
}

/// Replies waiting to be written, each with its length prefix.
struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    /// When the client last read something, or when the first reply was put here.
    moved: Instant,
}

impl Outbox {
    /// `reply` has at most 65,535 octets.
    fn push(&mut self, reply: &[u8]) {
        let len = reply.len() as u16;
        if self.bytes.is_empty() {
            self.moved = Instant::now();
        }
        let needed = 2 + reply.len();
        if self.bytes.capacity() - self.bytes.len() < needed {
            // Doubling the buffer would hold twice the octets that are counted.
            self.bytes.reserve_exact(needed.max(GROW_BYTES));
        }
        self.bytes.extend_from_slice(&len.to_be_bytes());
        self.bytes.extend_from_slice(reply);
    }

    fn unsent(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    fn poll_write(&mut self, stream: &mut Box<dyn Stream>, cx: &mut Context<'_>) -> io::Result<usize> {
        let mut sum = 0;
        while !self.unsent().is_empty() {
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => (self.written, sum) = (self.written + count, sum + count),
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if sum > 0 {
            self.moved = Instant::now();
            self.tidy();
        }
        Ok(sum)
    }

    fn tidy(&mut self) {
        if self.unsent().is_empty() {
            self.written = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_BUFFER_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.written >= self.bytes.len() / 2 {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::{LocalSet, spawn_local};

    use super::super::dispatch::Admission;
    use super::super::fake::{Dialler, Fake, admission, admission_with, bounds, dispatch_with, listener, peer, query};
    use super::super::stream::accept;
    use super::*;
    use crate::limits::Limits;

    /// Runs `test` with someone who accepts under `bounds`.
    async fn with<T: Future<Output = ()>>(bounds: Bounds, test: impl FnOnce(Dialler, Rc<Dispatch<Fake>>) -> T) {
        with_admission(admission(bounds), test).await;
    }

    async fn with_admission<T: Future<Output = ()>>(admission: Admission, test: impl FnOnce(Dialler, Rc<Dispatch<Fake>>) -> T) {
        let (dispatch, _stop) = dispatch_with(admission);
        let (dialler, listener) = listener();
        let run = async {
            spawn_local(accept(Rc::clone(&dispatch), listener));
            test(dialler, Rc::clone(&dispatch)).await;
        };
        LocalSet::new().run_until(run).await;
    }

    async fn ask(client: &mut DuplexStream, queries: &[Vec<u8>]) {
        let framed: Vec<u8> = queries.iter().flat_map(|query| [&(query.len() as u16).to_be_bytes(), &query[..]].concat()).collect();
        client.write_all(&framed).await.expect("open");
    }

    /// The next reply; `None` at the end of the connection.
    async fn reply(client: &mut DuplexStream) -> Option<Vec<u8>> {
        let len = client.read_u16().await.ok()?;
        let mut bytes = vec![0; len.into()];
        client.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    async fn ids(client: &mut DuplexStream, count: usize) -> Vec<u8> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(reply(client).await.expect("open")[1]);
        }
        ids
    }

    /// A transfer is made as it is read, and other questions of the connection are answered meanwhile.
    #[tokio::test(start_paused = true)]
    async fn messages_of_a_transfer_are_made_when_there_is_room() {
        with(bounds(), |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'm', 200), query(2, b'e', 0)]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let made = || super::super::fake::MADE.with(Cell::get);
            assert!((1..40).contains(&made()), "{} messages wait for the client", made());
            let mut seen = Vec::new();
            while seen.len() < 201 {
                seen.push(reply(&mut client).await.expect("open")[1]);
            }
            assert_eq!((seen.iter().filter(|id| **id == 1).count(), made()), (200, 200));
            assert!(seen.iter().position(|id| *id == 2).is_some_and(|at| at < 40), "the other question did not wait for all of it");
            ask(&mut client, &[query(3, b'e', 0)]).await;
            assert_eq!(ids(&mut client, 1).await, [3]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn pipelined_answers_leave_when_they_are_ready() {
        with(bounds(), |dialler, dispatch| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'w', 5), query(2, b'w', 1), query(3, b's', 0), query(4, b'p', 0), query(5, b'e', 0)]).await;
            assert_eq!(ids(&mut client, 4).await, [5, 4, 2, 1]);
            assert_eq!(
                (
                    dispatch.metrics.get(Counter::StreamQueries),
                    dispatch.metrics.get(Counter::StreamAtOnce),
                    dispatch.metrics.get(Counter::Panics)
                ),
                (5, 1, 1)
            );
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_may_come_in_any_pieces() {
        with(bounds(), |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            let framed = [&[0, 14][..], &query(1, b'e', 0), &[0, 14], &query(2, b'e', 0)].concat();
            for piece in framed.chunks(3) {
                client.write_all(piece).await.expect("open");
                tokio::task::yield_now().await;
            }
            assert_eq!(ids(&mut client, 2).await, [1, 2]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_largest_reply_fits() {
        with(bounds(), |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'B', 0), query(2, b'b', 255)]).await;
            assert_eq!(reply(&mut client).await.map(|bytes| bytes.len()), Some(65_535));
            assert_eq!(reply(&mut client).await.map(|bytes| bytes.len()), Some(65_280));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_questions_under_way_nothing_is_read() {
        let small = Bounds { questions_per_connection: 2, ..bounds() };
        with(small, |dialler, dispatch| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'w', 3), query(2, b'w', 6), query(3, b'e', 0), query(4, b'g', 0), query(5, b'e', 0)]).await;
            assert_eq!(ids(&mut client, 3).await, [1, 3, 2]);
            assert_eq!(ids(&mut client, 1).await, [5]);
            assert_eq!(dispatch.metrics.get(Counter::StreamQueries), 5);
        })
        .await;
    }

    /// The time for a message does not run while its rest waits in a socket that we do not read.
    #[tokio::test(start_paused = true)]
    async fn a_message_that_we_leave_unread_is_not_held_against_the_client() {
        let small = Bounds { questions_per_connection: 1, message: Duration::from_secs(1), ..bounds() };
        with(small, |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            let second = [&[0, 14][..], &query(2, b'e', 0)].concat();
            client.write_all(&[&[0, 14][..], &query(1, b'w', 250), &second[..5]].concat()).await.expect("open");
            tokio::time::sleep(Duration::from_millis(500)).await;
            client.write_all(&second[5..]).await.expect("open");
            assert_eq!(ids(&mut client, 2).await, [1, 2]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_waiting_questions_fail_at_once() {
        let limits = Limits { pending_questions_per_client: 1, ..Limits::default() };
        with_admission(admission_with(&limits), |dialler, dispatch| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'w', 1), query(2, b'w', 1)]).await;
            let refused = reply(&mut client).await.expect("open");
            assert_eq!((refused[1], refused[3] & 15, dispatch.metrics.get(Counter::TurnedAway)), (2, 2, 1));
            assert_eq!(ids(&mut client, 1).await, [1]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed() {
        with(bounds(), |dialler, dispatch| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'w', 200)]).await;
            assert_eq!(ids(&mut client, 1).await, [1]);
            let began = Instant::now();
            assert_eq!(reply(&mut client).await, None);
            assert_eq!((began.elapsed(), dispatch.metrics.get(Counter::ConnectionsTimedOut)), (bounds().idle, 1));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_dribbles_is_closed() {
        with(bounds(), |dialler, dispatch| async move {
            let client = dialler.dial(peer(1), 4096);
            let (mut from, mut to) = tokio::io::split(client);
            let began = Instant::now();
            spawn_local(async move {
                while to.write_all(&[1]).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(700)).await;
                }
            });
            assert_eq!(from.read(&mut [0; 8]).await.expect("closed in order"), 0);
            assert_eq!((began.elapsed(), dispatch.metrics.get(Counter::ConnectionsTimedOut)), (bounds().message, 1));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_closed_and_holds_little() {
        with(bounds(), |dialler, dispatch| async move {
            let mut client = dialler.dial(peer(1), 1 << 16);
            let began = Instant::now();
            let questions: Vec<_> = (0..200).map(|id| query(id, b'B', 0)).collect();
            ask(&mut client, &questions).await;
            while dispatch.metrics.get(Counter::ConnectionsTimedOut) == 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(began.elapsed() <= bounds().message + Duration::from_millis(100), "{:?}", began.elapsed());
            assert!(dispatch.metrics.get(Counter::StreamQueries) < 10, "stopped taking questions");
        })
        .await;
    }

    /// Clients ask for many large answers and read none of them.
    #[tokio::test(start_paused = true)]
    async fn answers_that_nobody_reads_do_not_pile_up() {
        let bounds = Bounds { bytes: 1 << 20, ..bounds() };
        with(bounds, |dialler, dispatch| async move {
            let questions: Vec<_> = (0..128).map(|id| query(id, b'b', 255)).collect();
            let mut clients: Vec<_> = (0..50).map(|client| dialler.dial(peer(client), 4096)).collect();
            for client in &mut clients {
                ask(client, &questions).await;
            }
            let mut most = 0;
            for _ in 0..200 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                most = dispatch.connections.bytes().max(most);
            }
            assert!(most > bounds.bytes / 2 && most <= bounds.bytes, "{most}");
            // Whoever reads is served meanwhile: a newcomer, and one of those who did not read so far and was not closed.
            let mut honest = dialler.dial(peer(200), 4096);
            ask(&mut honest, &questions[..20]).await;
            for _ in 0..20 {
                assert_eq!(reply(&mut honest).await.map(|bytes| bytes.len()), Some(65_280));
            }
            assert!(dispatch.connections.bytes() <= bounds.bytes);
            drop((clients, honest));
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!((dispatch.connections.bytes(), dispatch.in_flight.total()), (0, 0));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_gets_every_answer_and_small_ones_first() {
        with(bounds(), |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            let mut questions: Vec<_> = (0..100).map(|id| query(id, b'b', 255)).collect();
            questions.extend((100..110).map(|id| query(id, b'w', 1)));
            ask(&mut client, &questions).await;
            let mut seen = Vec::new();
            for _ in 0..questions.len() {
                tokio::time::sleep(Duration::from_millis(30)).await;
                let reply = reply(&mut client).await.expect("open");
                assert_eq!(reply.len(), if reply[1] < 100 { 65_280 } else { 14 });
                seen.push(reply[1]);
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..110).collect::<Vec<_>>());
        })
        .await;
    }

    /// The other direction: messages that begin and do not end.
    #[tokio::test(start_paused = true)]
    async fn unfinished_messages_do_not_pile_up() {
        let bounds = Bounds { bytes: 1 << 20, ..bounds() };
        with(bounds, |dialler, dispatch| async move {
            let mut greedy = Vec::new();
            for _ in 0..100 {
                let mut client = dialler.dial(peer(1), 1 << 17);
                client.write_all(&[&[0xff, 0xff][..], &[0; 60_000]].concat()).await.expect("room");
                greedy.push(client);
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert!(dispatch.connections.bytes() <= bounds.bytes);
            }
            assert!(dispatch.connections.bytes() > bounds.bytes / 2);
            let mut honest = dialler.dial(peer(2), 1 << 17);
            let mut long = query(7, b'w', 1);
            long.resize(50_000, 0);
            ask(&mut honest, &[long]).await;
            assert_eq!(ids(&mut honest, 1).await, [7]);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_said_all_still_hears_its_answers() {
        with(bounds(), |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            ask(&mut client, &[query(1, b'w', 5), query(2, b'e', 0)]).await;
            client.shutdown().await.expect("open");
            assert_eq!(ids(&mut client, 2).await, [2, 1]);
            assert_eq!(reply(&mut client).await, None);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_message_ends_the_connection() {
        with(bounds(), |dialler, _| async move {
            let mut client = dialler.dial(peer(1), 4096);
            client.write_all(b"\x00\x0bGET / HTTP/1.1").await.expect("open");
            assert_eq!(reply(&mut client).await, None);
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_costs_the_longest_idle_one() {
        let small = Bounds { connections: 3, ..bounds() };
        with(small, |dialler, dispatch| async move {
            let mut clients: Vec<_> = (1..=3).map(|last| dialler.dial(peer(last), 4096)).collect();
            for client in clients.iter_mut().rev() {
                ask(client, &[query(1, b'e', 0)]).await;
                assert_eq!(ids(client, 1).await, [1]);
            }
            ask(&mut clients[2], &[query(2, b'g', 0)]).await;
            let mut fourth = dialler.dial(peer(4), 4096);
            ask(&mut fourth, &[query(3, b'e', 0)]).await;
            assert_eq!(ids(&mut fourth, 1).await, [3]);
            // The third waits for an answer and the first spoke last: the second has been idle longest.
            let began = Instant::now();
            assert_eq!((reply(&mut clients[1]).await, began.elapsed()), (None, Duration::ZERO));
            for client in [&mut clients[0], &mut fourth] {
                ask(client, &[query(4, b'e', 0)]).await;
                assert_eq!(ids(client, 1).await, [4]);
            }
            assert_eq!((dispatch.metrics.get(Counter::Connections), dispatch.metrics.get(Counter::ConnectionsEvicted)), (4, 1));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_accept_makes_room_and_does_not_spin() {
        with(bounds(), |dialler, dispatch| async move {
            let mut idle = dialler.dial(peer(1), 4096);
            ask(&mut idle, &[query(1, b'e', 0)]).await;
            assert_eq!(ids(&mut idle, 1).await, [1]);
            let began = Instant::now();
            // EMFILE is everybody's trouble, ECONNABORTED that of one connection.
            [24, 24, 103, 103].into_iter().for_each(|errno| dialler.fail(errno));
            let mut next = dialler.dial(peer(2), 4096);
            ask(&mut next, &[query(2, b'e', 0)]).await;
            assert_eq!(ids(&mut next, 1).await, [2]);
            assert_eq!((began.elapsed(), dispatch.metrics.get(Counter::AcceptErrors)), (Duration::from_millis(40), 4));
            assert_eq!((reply(&mut idle).await, dispatch.metrics.get(Counter::ConnectionsEvicted)), (None, 1));
        })
        .await;
    }
}
