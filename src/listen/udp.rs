//! The main loop of UDP: receive a batch, answer it in place, send it.
//!
//! The loop yields after every batch that may not have been the last: to read on until the socket is empty would starve timers
//! and walks for as long as a flood lasts (measured). It runs until it is aborted, which can happen only between batches.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::dispatch::{Answer, Dispatch};
use super::failure;
use super::proxied;
use super::proxy_header;
use crate::answer::{AtOnce, Client, Transport};
use crate::env::{Datagram, DatagramBatch, DatagramSocket, Instant, Rest, boxed};
use crate::limits::clients::LAST_BATCHES_MAX;
use crate::metrics::Counter;
use crate::record::Rcode;

/// Pause after an error of the socket itself (no memory, interface gone), so that the loop does not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Answers datagrams until the loop is aborted.
pub async fn serve<A: Answer, S: DatagramSocket + 'static>(dispatch: Rc<Dispatch<A>>, socket: Rc<S>) {
    let mut batch = DatagramBatch::new();
    let outbox = Rc::new(Outbox::new(Rc::clone(&dispatch), Rc::clone(&socket)));
    let _open = Open(&outbox);
    loop {
        batch.clear();
        let received = poll_fn(|cx| {
            outbox.take_turn(cx);
            socket.poll_recv(cx, &mut batch)
        });
        let Ok(rest) = received.await else {
            dispatch.metrics.count(Counter::ReceiveErrors);
            tokio::time::sleep(ERROR_PAUSE).await;
            continue;
        };
        answer_batch(&dispatch, &*socket, &mut batch, Some(&outbox));
        if rest == Rest::Probable {
            tokio::task::yield_now().await;
        }
    }
}

/// Answers what is left in a socket whose loop has ended.
pub async fn finish<A: Answer, S: DatagramSocket + 'static>(dispatch: &Rc<Dispatch<A>>, socket: &Rc<S>) {
    let mut batch = DatagramBatch::new();
    for _ in 0..LAST_BATCHES_MAX {
        batch.clear();
        let received = poll_fn(|cx| Poll::Ready(matches!(socket.poll_recv(cx, &mut batch), Poll::Ready(Ok(_)))));
        if !received.await {
            return;
        }
        answer_batch(dispatch, &**socket, &mut batch, None);
    }
}

/// Replies that became ready after their batch. They leave together on the next turn of the socket's loop, because each single
/// send would wake a client's thread by itself.
struct Outbox<A, S> {
    dispatch: Rc<Dispatch<A>>,
    socket: Rc<S>,
    batch: RefCell<DatagramBatch>,
    /// The waker of the loop; `None` before and after the loop runs, when each reply leaves by itself.
    waker: RefCell<Option<Waker>>,
}

impl<A: Answer, S: DatagramSocket> Outbox<A, S> {
    fn new(dispatch: Rc<Dispatch<A>>, socket: Rc<S>) -> Outbox<A, S> {
        Outbox { dispatch, socket, batch: RefCell::new(DatagramBatch::new()), waker: RefCell::new(None) }
    }

    fn put(&self, reply: &[u8], peer: SocketAddr, local: SocketAddr) {
        let waker = self.waker.borrow();
        let Some(waker) = waker.as_ref().filter(|_| reply.len() <= DatagramBatch::SLOT_BYTES) else {
            if self.socket.send_one(reply, peer, local).is_err() {
                self.dispatch.metrics.count(Counter::UdpUnsent);
            }
            return;
        };
        let mut batch = self.batch.borrow_mut();
        batch.push(Datagram { len: reply.len(), peer, local, cut_off: false });
        let last = batch.len() - 1;
        batch.get_mut(last).1[..reply.len()].copy_from_slice(reply);
        if last == 0 {
            waker.wake_by_ref();
        }
        if batch.is_full() {
            drop(batch);
            self.send();
        }
    }

    fn take_turn(&self, cx: &Context<'_>) {
        self.send();
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    fn send(&self) {
        let mut batch = self.batch.borrow_mut();
        if !batch.is_empty() {
            self.dispatch.metrics.add(Counter::UdpUnsent, self.socket.send(&batch));
            batch.clear();
        }
    }
}

/// Exists while the loop runs.
struct Open<'a, A: Answer, S: DatagramSocket>(&'a Outbox<A, S>);

impl<A: Answer, S: DatagramSocket> Drop for Open<'_, A, S> {
    fn drop(&mut self) {
        *self.0.waker.borrow_mut() = None;
        self.0.send();
    }
}

/// Questions that have to wait are started only if there is an outbox for their replies.
fn answer_batch<A: Answer, S: DatagramSocket + 'static>(
    dispatch: &Rc<Dispatch<A>>,
    socket: &S,
    batch: &mut DatagramBatch,
    outbox: Option<&Rc<Outbox<A, S>>>,
) {
    let began = dispatch.batch_begins();
    let moment = dispatch.moment();
    let mut at_once_count = 0;
    for index in 0..batch.len() {
        let (entry, slot) = batch.get_mut(index);
        let mut client = Client { peer: entry.peer, local: entry.local, transport: Transport::Udp, is_behind_balancer: false };
        if dispatch.is_proxy(&moment, entry.peer.ip()) {
            let Some(real) = without_header(client, entry, slot) else {
                dispatch.metrics.count(Counter::ProxyHeadersRefused);
                entry.len = 0;
                continue;
            };
            client = real;
        }
        if entry.cut_off {
            refuse_cut_off(dispatch, entry, slot);
            continue;
        }
        match dispatch.at_once(&moment, slot, entry.len, &client) {
            AtOnce::Reply(len) => {
                at_once_count += 1;
                entry.len = len.min(slot.len());
            }
            // Many messages have no place in a datagram.
            AtOnce::Silence | AtOnce::Many(_) => entry.len = 0,
            AtOnce::Later(pending) => {
                if let Some(outbox) = outbox {
                    answer_later(outbox, &slot[..entry.len], pending, client, (entry.peer, entry.local));
                }
                entry.len = 0;
            }
        }
    }
    let unsent = if batch.filled().next().is_some() { socket.send(batch) } else { 0 };
    dispatch.batch_ends(began);
    dispatch.metrics.add(Counter::UdpQueries, batch.len());
    dispatch.metrics.add(Counter::UdpAtOnce, at_once_count);
    dispatch.metrics.add(Counter::UdpUnsent, unsent);
}

/// Takes the header of a load balancer away, and says on whose behalf it asks. `None`: there is no header, and no answer.
fn without_header(balancer: Client, entry: &mut Datagram, slot: &mut [u8]) -> Option<Client> {
    let header = proxy_header::read(&slot[..entry.len]).ok().filter(|_| !entry.cut_off)?;
    slot.copy_within(header.len..entry.len, 0);
    entry.len -= header.len;
    Some(proxied::of(balancer, header.ends))
}

/// Beyond the limits the newest question is dropped without a reply: a reply would be one more packet for a flooder, and an
/// honest client asks again. Known answers are still given.
///
/// The reply goes back to where the query came from, which may be a load balancer.
fn answer_later<A: Answer, S: DatagramSocket + 'static>(
    outbox: &Rc<Outbox<A, S>>,
    query: &[u8],
    pending: A::Pending,
    client: Client,
    (to, from): (SocketAddr, SocketAddr),
) {
    let Some(waiting) = outbox.dispatch.admit(&client) else {
        outbox.dispatch.metrics.count(Counter::TurnedAway);
        return;
    };
    let (outbox, query) = (Rc::clone(outbox), query.to_vec());
    // Boxed here: the runtime moves a task several times, and this one has some kilobytes.
    tokio::task::spawn_local(boxed(|| async move {
        let Some(reply) = outbox.dispatch.later(&query, pending, &client, &waiting).await.filter(|reply| !reply.is_empty()) else { return };
        let now = Instant::now();
        let leaves_at = outbox.dispatch.in_flight.leave_at(client.peer.ip(), now);
        if leaves_at <= now {
            return outbox.put(&reply, to, from);
        }
        outbox.dispatch.metrics.count(Counter::UdpPaced);
        // Answers that have left by the clock of the pulses must not wait for those of other tasks.
        outbox.send();
        let mut at = Some(leaves_at);
        while let Some(leaves_at) = at {
            tokio::time::sleep_until(leaves_at).await;
            at = outbox.dispatch.in_flight.leave(client.peer.ip(), Instant::now());
        }
        outbox.put(&reply, to, from);
        outbox.send();
    }));
}

/// No honest query fills a slot. The truncated packet is not interpreted.
fn refuse_cut_off<A: Answer>(dispatch: &Dispatch<A>, entry: &mut Datagram, slot: &mut [u8]) {
    dispatch.metrics.count(Counter::UdpCutOff);
    let reply = failure::reply(&slot[..entry.len], Rcode::FORMERR).unwrap_or_default();
    entry.len = reply.len().min(slot.len());
    slot[..entry.len].copy_from_slice(&reply[..entry.len]);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::super::fake::{FakeSocket, admission_with, bounds, dispatch, dispatch_with, local, peer, query};
    use super::*;
    use crate::limits::Limits;
    use tokio::task::{LocalSet, spawn_local};

    #[tokio::test(start_paused = true)]
    async fn known_answers_leave_in_one_batch_and_the_others_when_ready() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(FakeSocket::default());
        for (id, what, argument) in [(1, b'w', 9), (2, b'e', 0), (3, b's', 0), (4, b'w', 2), (5, b'e', 0)] {
            socket.ask(query(id, what, argument), peer(id));
        }
        let run = async {
            let began = Instant::now();
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            assert_eq!(socket.replies(2).await, [2, 5]);
            assert_eq!((socket.sends.get(), began.elapsed()), (1, Duration::ZERO));
            assert_eq!(socket.replies(4).await, [2, 5, 4, 1]);
            assert_eq!(began.elapsed(), Duration::from_millis(90));
        };
        LocalSet::new().run_until(run).await;
        assert!(socket.sent.borrow().iter().all(|(bytes, to, from)| *to == peer(bytes[1]) && *from == local() && bytes[2] & 0x80 != 0));
        assert_eq!((dispatch.metrics.get(Counter::UdpQueries), dispatch.metrics.get(Counter::UdpAtOnce)), (5, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_together_leaves_together() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(FakeSocket::default());
        let count = DatagramBatch::SLOTS as u8 + 6;
        let run = async {
            let serving = spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            (1..=count).for_each(|id| socket.ask(query(id, b'w', 3), peer(id)));
            // Too long for a slot: alone.
            socket.ask(query(200, b'b', 9), peer(200));
            assert_eq!(socket.replies(1).await, [200]);
            let mut replies = socket.replies(1 + usize::from(count)).await;
            replies[1..].sort_unstable();
            assert_eq!(replies[1..], (1..=count).collect::<Vec<_>>());
            assert_eq!(socket.sends.get(), 2, "a full batch, and the rest");
            socket.ask(query(201, b'w', 3), peer(201));
            tokio::time::sleep(Duration::from_millis(5)).await;
            serving.abort();
            assert_eq!(socket.replies(2 + usize::from(count)).await.last(), Some(&201), "without the loop too");
        };
        LocalSet::new().run_until(run).await;
        assert_eq!(socket.sends.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn when_too_many_wait_the_newest_are_dropped_and_known_answers_go_on() {
        let (dispatch, _stop) = dispatch_with(admission_with(&Limits { pending_datagrams_per_client: 2, ..Limits::default() }));
        let socket = Rc::new(FakeSocket::default());
        (1..=9).for_each(|id| socket.ask(query(id, b'w', 1), peer(1)));
        socket.ask(query(10, b'w', 1), peer(2));
        socket.ask(query(11, b'e', 0), peer(1));
        let run = async {
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            assert_eq!(socket.replies(4).await, [11, 1, 2, 10]);
            assert_eq!(dispatch.metrics.get(Counter::TurnedAway), 7);
            socket.ask(query(12, b'w', 1), peer(1));
            assert_eq!(socket.replies(5).await, [11, 1, 2, 10, 12]);
        };
        LocalSet::new().run_until(run).await;
    }

    /// CVE-2024-33655: what a server held back and let go of at once does not leave at once.
    #[tokio::test(start_paused = true)]
    async fn held_answers_leave_to_one_client_in_turns_and_none_is_lost() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(FakeSocket::default());
        for source_port in 0..300u16 {
            socket.ask(query(1, b'w', 100), SocketAddr::from(([192, 0, 2, 1], 10_000 + source_port)));
        }
        socket.ask(query(2, b'w', 100), peer(2));
        let run = async {
            let began = Instant::now();
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            tokio::time::sleep(Duration::from_millis(1_010)).await;
            // Nobody waited for these.
            (0..100).for_each(|_| socket.ask(query(3, b'e', 0), peer(1)));
            socket.replies(401).await;
            began
        };
        let began = LocalSet::new().run_until(run).await;
        let (sent, at) = (socket.sent.borrow(), socket.sent_at.borrow());
        let times_of = |id: u8| -> Vec<Duration> {
            sent.iter().zip(at.iter()).filter(|((bytes, ..), _)| bytes[1] == id).map(|(_, at)| at.duration_since(began)).collect()
        };
        let held = times_of(1);
        let in_20_ms = |from: Duration| held.iter().filter(|at| **at >= from && **at < from + Duration::from_millis(20)).count();
        let most = held.iter().map(|from| in_20_ms(*from)).max();
        assert_eq!((held.len(), most), (300, Some(50)));
        assert!(held.last().is_some_and(|last| *last <= Duration::from_millis(1_150)), "{:?}", held.last());
        assert_eq!(times_of(2), [Duration::from_secs(1)], "another client is not concerned");
        assert!(times_of(3).iter().all(|at| *at == Duration::from_millis(1_010)), "known answers are not slowed down");
        assert_eq!(dispatch.in_flight.total(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_loses_its_place_is_answered_with_its_failure() {
        let limits = Limits { pending_questions: 3, pending_questions_per_client: 3, ..Limits::default() };
        let (dispatch, _stop) = dispatch_with(admission_with(&limits));
        let socket = Rc::new(FakeSocket::default());
        let run = async {
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            (1..=3).for_each(|id| socket.ask(query(id, b'g', 0), peer(1)));
            tokio::time::sleep(Duration::from_millis(1)).await;
            socket.ask(query(4, b'w', 1), peer(2));
            assert_eq!(socket.replies(2).await, [1, 4], "the greedy client's oldest made room");
        };
        LocalSet::new().run_until(run).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_one_question() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(FakeSocket::default());
        for (id, what) in [(1, b'P'), (2, b'p'), (3, b'e')] {
            socket.ask(query(id, what, 0), peer(id));
        }
        let run = async {
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            assert_eq!(socket.replies(2).await, [3, 2]);
        };
        LocalSet::new().run_until(run).await;
        assert_eq!(socket.sent.borrow()[1].0[3] & 15, 2);
        assert_eq!(dispatch.metrics.get(Counter::Panics), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_off_is_refused_unread() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(FakeSocket::default());
        let mut long = query(1, b'e', 0);
        long.resize(DatagramBatch::SLOT_BYTES + 1, 0);
        socket.ask(long, peer(1));
        let run = async {
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            socket.replies(1).await;
        };
        LocalSet::new().run_until(run).await;
        assert_eq!((socket.sent.borrow()[0].0.len(), socket.sent.borrow()[0].0[3] & 15), (12, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_socket_is_tried_again_at_leisure() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(FakeSocket::default());
        (0..3).for_each(|_| socket.put(Err(io::ErrorKind::OutOfMemory.into())));
        socket.ask(query(1, b'e', 0), peer(1));
        let began = Instant::now();
        let run = async {
            spawn_local(serve(Rc::clone(&dispatch), Rc::clone(&socket)));
            assert_eq!(socket.replies(1).await, [1]);
        };
        LocalSet::new().run_until(run).await;
        assert_eq!((dispatch.metrics.get(Counter::ReceiveErrors), began.elapsed()), (3, 3 * ERROR_PAUSE));
    }

    /// Never empty; gives up the test when others have been starved for too long.
    struct Flood(Cell<usize>);

    impl DatagramSocket for Flood {
        fn poll_recv(&self, _cx: &mut Context<'_>, batch: &mut DatagramBatch) -> Poll<io::Result<Rest>> {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() < 100, "starved");
            while !batch.is_full() {
                batch.push(Datagram { len: 12, peer: peer(1), local: local(), cut_off: false });
                batch.get_mut(batch.len() - 1).1[12] = b'e';
            }
            Poll::Ready(Ok(Rest::Probable))
        }

        fn send(&self, _batch: &DatagramBatch) -> usize {
            0
        }

        fn send_one(&self, _bytes: &[u8], _peer: SocketAddr, _local: SocketAddr) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_flood_starves_nobody() {
        let (dispatch, _stop) = dispatch(bounds());
        let socket = Rc::new(Flood(Cell::new(0)));
        let run = async {
            let flood = spawn_local(serve(dispatch, Rc::clone(&socket)));
            let other = spawn_local(async {
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                }
            });
            other.await.expect("no panic");
            assert!(!flood.is_finished());
        };
        LocalSet::new().run_until(run).await;
        assert!(socket.0.get() > 1);
    }
}
