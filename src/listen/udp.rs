//! The hot loop: receive a batch, answer it in place, send it.
//!
//! The loop gives way after every batch that may not have been the last: reading on until the socket is empty would
//! starve timers and walks for as long as the flood lasts (measured). It ends only by being aborted, which can happen nowhere
//! but between batches.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::desk::{Answer, Desk};
use super::failure;
use crate::answer::{AtOnce, Client, Transport};
use crate::env::{Datagram, DatagramBatch, DatagramSocket, Rest};
use crate::record::Rcode;

/// After an error of the socket itself (no memory, interface gone): the next try must not spin.
const ERROR_PAUSE: Duration = Duration::from_millis(10);
/// What still stands in the socket at a stop is answered as far as it can be at once: up to 1,024 queries,
/// some milliseconds.
const LAST_BATCHES: usize = 16;

pub async fn serve<A: Answer, S: DatagramSocket + 'static>(desk: Rc<Desk<A>>, socket: Rc<S>) {
    let mut batch = DatagramBatch::new();
    loop {
        batch.clear();
        let Ok(rest) = poll_fn(|cx| socket.poll_recv(cx, &mut batch)).await else {
            desk.counters.receive_errors.add(1);
            tokio::time::sleep(ERROR_PAUSE).await;
            continue;
        };
        answer_batch(&desk, &socket, &mut batch, Misses::Start);
        if rest == Rest::Probable {
            tokio::task::yield_now().await;
        }
    }
}

/// The last look into a socket whose loop has ended.
pub async fn finish<A: Answer, S: DatagramSocket + 'static>(desk: &Rc<Desk<A>>, socket: &Rc<S>) {
    let mut batch = DatagramBatch::new();
    for _ in 0..LAST_BATCHES {
        batch.clear();
        let received = poll_fn(|cx| Poll::Ready(matches!(socket.poll_recv(cx, &mut batch), Poll::Ready(Ok(_)))));
        if !received.await {
            return;
        }
        answer_batch(desk, socket, &mut batch, Misses::Leave);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Misses {
    Start,
    Leave,
}

fn answer_batch<A: Answer, S: DatagramSocket + 'static>(desk: &Rc<Desk<A>>, socket: &Rc<S>, batch: &mut DatagramBatch, misses: Misses) {
    let moment = desk.moment();
    let mut at_once_count = 0;
    for index in 0..batch.len() {
        let (entry, slot) = batch.get_mut(index);
        let client = Client { peer: entry.peer, local: entry.local, transport: Transport::Udp };
        if entry.cut_off {
            refuse_cut_off(desk, entry, slot);
            continue;
        }
        match desk.at_once(&moment, slot, entry.len, &client) {
            AtOnce::Reply(len) => {
                at_once_count += 1;
                entry.len = len.min(slot.len());
            }
            AtOnce::Silence => entry.len = 0,
            AtOnce::Later => {
                if misses == Misses::Start {
                    answer_later(desk, socket, &slot[..entry.len], client);
                }
                entry.len = 0;
            }
        }
    }
    let unsent = if batch.filled().next().is_some() { socket.send(batch) } else { 0 };
    desk.counters.udp_queries.add(batch.len());
    desk.counters.udp_at_once.add(at_once_count);
    desk.counters.udp_unsent.add(unsent);
}

/// Beyond the limits the newest question is dropped without a word: an answer would be one more packet for
/// whoever floods, and an honest client asks again. What is known is still answered.
fn answer_later<A: Answer, S: DatagramSocket + 'static>(desk: &Rc<Desk<A>>, socket: &Rc<S>, query: &[u8], client: Client) {
    let Some(ticket) = desk.pending.admit(client.peer.ip()) else {
        desk.counters.turned_away.add(1);
        return;
    };
    let (desk, socket, query) = (Rc::clone(desk), Rc::clone(socket), query.to_vec());
    // Boxed here: the runtime moves what it is given several times, and this is some kilobytes.
    tokio::task::spawn_local(Box::pin(async move {
        let reply = desk.in_full(&query, &client, ticket).await;
        send_reply(&desk, &*socket, reply, client.peer, client.local);
    }));
}

fn send_reply<A: Answer>(desk: &Desk<A>, socket: &impl DatagramSocket, reply: Option<Vec<u8>>, peer: SocketAddr, local: SocketAddr) {
    if let Some(reply) = reply
        && socket.send_one(&reply, peer, local).is_err()
    {
        desk.counters.udp_unsent.add(1);
    }
}

/// No honest query fills a slot. What is left of it is not interpreted.
fn refuse_cut_off<A: Answer>(desk: &Desk<A>, entry: &mut Datagram, slot: &mut [u8]) {
    desk.counters.udp_cut_off.add(1);
    let reply = failure::reply(&slot[..entry.len], Rcode::FORMERR).unwrap_or_default();
    entry.len = reply.len().min(slot.len());
    slot[..entry.len].copy_from_slice(&reply[..entry.len]);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::task::Context;

    use tokio::task::{LocalSet, spawn_local};
    use tokio::time::Instant;

    use super::super::fake::{FakeSocket, bounds, desk, local, peer, query};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn known_answers_leave_in_one_batch_and_the_others_when_ready() {
        let (desk, _stop) = desk(bounds());
        let socket = Rc::new(FakeSocket::default());
        for (id, what, argument) in [(1, b'w', 9), (2, b'e', 0), (3, b's', 0), (4, b'w', 2), (5, b'e', 0)] {
            socket.ask(query(id, what, argument), peer(id));
        }
        let run = async {
            let began = Instant::now();
            spawn_local(serve(Rc::clone(&desk), Rc::clone(&socket)));
            assert_eq!(socket.replies(2).await, [2, 5]);
            assert_eq!((socket.sends.get(), began.elapsed()), (1, Duration::ZERO));
            assert_eq!(socket.replies(4).await, [2, 5, 4, 1]);
            assert_eq!(began.elapsed(), Duration::from_millis(90));
        };
        LocalSet::new().run_until(run).await;
        assert!(socket.sent.borrow().iter().all(|(bytes, to, from)| *to == peer(bytes[1]) && *from == local() && bytes[2] & 0x80 != 0));
        assert_eq!((desk.counters.udp_queries.get(), desk.counters.udp_at_once.get()), (5, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn when_too_many_wait_the_newest_are_dropped_and_known_answers_go_on() {
        let mut small = bounds();
        (small.pending_questions, small.pending_questions_per_client) = (5, 2);
        let (desk, _stop) = desk(small);
        let socket = Rc::new(FakeSocket::default());
        (1..=9).for_each(|id| socket.ask(query(id, b'w', 1), peer(1)));
        socket.ask(query(10, b'w', 1), peer(2));
        socket.ask(query(11, b'e', 0), peer(1));
        let run = async {
            spawn_local(serve(Rc::clone(&desk), Rc::clone(&socket)));
            assert_eq!(socket.replies(4).await, [11, 1, 2, 10]);
            assert_eq!(desk.counters.turned_away.get(), 7);
            socket.ask(query(12, b'w', 1), peer(1));
            assert_eq!(socket.replies(5).await, [11, 1, 2, 10, 12]);
        };
        LocalSet::new().run_until(run).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_costs_one_question() {
        let (desk, _stop) = desk(bounds());
        let socket = Rc::new(FakeSocket::default());
        for (id, what) in [(1, b'P'), (2, b'p'), (3, b'e')] {
            socket.ask(query(id, what, 0), peer(id));
        }
        let run = async {
            spawn_local(serve(Rc::clone(&desk), Rc::clone(&socket)));
            assert_eq!(socket.replies(2).await, [3, 2]);
        };
        LocalSet::new().run_until(run).await;
        assert_eq!(socket.sent.borrow()[1].0[3] & 15, 2);
        assert_eq!(desk.counters.panics.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_off_is_refused_unread() {
        let (desk, _stop) = desk(bounds());
        let socket = Rc::new(FakeSocket::default());
        let mut long = query(1, b'e', 0);
        long.resize(DatagramBatch::SLOT_BYTES + 1, 0);
        socket.ask(long, peer(1));
        let run = async {
            spawn_local(serve(Rc::clone(&desk), Rc::clone(&socket)));
            socket.replies(1).await;
        };
        LocalSet::new().run_until(run).await;
        assert_eq!((socket.sent.borrow()[0].0.len(), socket.sent.borrow()[0].0[3] & 15), (12, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_socket_is_tried_again_at_leisure() {
        let (desk, _stop) = desk(bounds());
        let socket = Rc::new(FakeSocket::default());
        (0..3).for_each(|_| socket.put(Err(io::ErrorKind::OutOfMemory.into())));
        socket.ask(query(1, b'e', 0), peer(1));
        let began = Instant::now();
        let run = async {
            spawn_local(serve(Rc::clone(&desk), Rc::clone(&socket)));
            assert_eq!(socket.replies(1).await, [1]);
        };
        LocalSet::new().run_until(run).await;
        assert_eq!((desk.counters.receive_errors.get(), began.elapsed()), (3, 3 * ERROR_PAUSE));
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

        fn local_addr(&self) -> SocketAddr {
            local()
        }
    }

    #[tokio::test]
    async fn a_flood_starves_nobody() {
        let (desk, _stop) = desk(bounds());
        let socket = Rc::new(Flood(Cell::new(0)));
        let run = async {
            let flood = spawn_local(serve(desk, Rc::clone(&socket)));
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
