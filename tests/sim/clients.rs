//! The resolver's own door in the simulation: a datagram socket and a listener that test clients knock at, so that the
//! batch loop of `listen` runs over the same worlds. Everything arrives when it is sent; the order is the test's.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cairn::answer::{Client, Worker};
use cairn::env::{Accepted, Datagram, DatagramBatch, DatagramSocket, Rest, StreamListener};
use cairn::limits::Limits;
use cairn::listen::{Admission, Bounds, LiveBounds, serve_worker};
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::clock::SimClock;
use super::engine::Engine;
use super::packet::Packet;
use super::world::{ANSWER_WITHIN, Answer};

/// Cheap to clone; all clones are the same door.
#[derive(Clone)]
pub struct Door(Rc<Inner>);

struct Inner {
    local: SocketAddr,
    arrived: RefCell<VecDeque<(Vec<u8>, SocketAddr)>>,
    connections: RefCell<VecDeque<(DuplexStream, SocketAddr)>>,
    sent: RefCell<Vec<(Vec<u8>, SocketAddr)>>,
    udp_waker: RefCell<Option<Waker>>,
    tcp_waker: RefCell<Option<Waker>>,
    /// Largest batch that was taken at once.
    batch_most: Cell<usize>,
}

impl Door {
    pub fn new() -> Door {
        Door(Rc::new(Inner {
            local: SocketAddr::from(([127, 0, 0, 1], 53)),
            arrived: RefCell::default(),
            connections: RefCell::default(),
            sent: RefCell::default(),
            udp_waker: RefCell::default(),
            tcp_waker: RefCell::default(),
            batch_most: Cell::new(0),
        }))
    }

    /// A client's datagram.
    pub fn send_from(&self, peer: SocketAddr, query: Vec<u8>) {
        self.0.arrived.borrow_mut().push_back((query, peer));
        self.0.udp_waker.borrow_mut().take().into_iter().for_each(Waker::wake);
    }

    /// A client's connection: its end of it.
    pub fn connect_from(&self, peer: SocketAddr) -> DuplexStream {
        let (theirs, ours) = tokio::io::duplex(65_536 + 2);
        self.0.connections.borrow_mut().push_back((ours, peer));
        self.0.tcp_waker.borrow_mut().take().into_iter().for_each(Waker::wake);
        theirs
    }

    /// The datagrams that clients got since the last call.
    pub fn replies(&self) -> Vec<(Vec<u8>, SocketAddr)> {
        std::mem::take(&mut self.0.sent.borrow_mut())
    }

    pub fn batch_most(&self) -> usize {
        self.0.batch_most.get()
    }
}

impl DatagramSocket for Door {
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut DatagramBatch) -> Poll<io::Result<Rest>> {
        let mut arrived = self.0.arrived.borrow_mut();
        if arrived.is_empty() {
            *self.0.udp_waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        while !batch.is_full()
            && let Some((bytes, peer)) = arrived.pop_front()
        {
            let (start, len) = (batch.len() * DatagramBatch::SLOT_BYTES, bytes.len().min(DatagramBatch::SLOT_BYTES));
            batch.arena()[start..start + len].copy_from_slice(&bytes[..len]);
            batch.push(Datagram { len, peer, local: self.0.local, cut_off: bytes.len() > len });
        }
        self.0.batch_most.set(self.0.batch_most.get().max(batch.len()));
        Poll::Ready(Ok(Rest::after(batch)))
    }

    fn send(&self, batch: &DatagramBatch) -> usize {
        for (datagram, bytes) in batch.filled() {
            assert_eq!(datagram.local, self.0.local, "a reply leaves from where the query came to");
            self.0.sent.borrow_mut().push((bytes.to_vec(), datagram.peer));
        }
        0
    }

    fn send_one(&self, bytes: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<()> {
        assert_eq!(local, self.0.local, "a reply leaves from where the query came to");
        self.0.sent.borrow_mut().push((bytes.to_vec(), peer));
        Ok(())
    }
}

impl StreamListener for Door {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self.0.connections.borrow_mut().pop_front() {
            Some((stream, peer)) => Poll::Ready(Ok(Accepted { stream: Box::new(stream), peer, local: self.0.local })),
            None => {
                *self.0.tcp_waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// One door for each worker, each with the loop that serves it.
#[derive(Default)]
pub struct Doors {
    doors: Vec<Door>,
    /// The loops end with it.
    stop: Option<watch::Sender<bool>>,
}

/// How exactly it is known when a reply came.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Doors {
    /// Inside the world's runtime.
    pub fn open(engine: &Engine, clock: &Arc<SimClock>, limits: &Limits) -> Doors {
        let Engine::Cairn(workers, _) = engine else { panic!("the reference walker does not listen") };
        let (stop, stopped) = watch::channel(false);
        let in_flight = workers[0].service().in_flight.clone();
        let admission = Admission { bounds: LiveBounds::new(Bounds::share(limits, workers.len())), in_flight, limit_log: Arc::default() };
        let serve = |worker: &Rc<Worker>| {
            let door = Door::new();
            let (worker, clock, admission) = (worker.clone(), clock.clone(), admission.clone());
            tokio::task::spawn_local(serve_worker(
                worker,
                vec![(None, door.clone())],
                vec![],
                async || std::future::pending().await,
                clock,
                admission,
                stopped.clone(),
            ));
            door
        };
        Doors { doors: workers.iter().map(serve).collect(), stop: Some(stop) }
    }

    /// A datagram, to the door that its sender's port leads to.
    pub fn send_from(&self, peer: SocketAddr, query: Vec<u8>) {
        self.doors[usize::from(peer.port()) % self.doors.len()].send_from(peer, query);
    }

    /// What clients got since the last call.
    pub fn replies(&self) -> Vec<(Vec<u8>, SocketAddr)> {
        self.doors.iter().flat_map(Door::replies).collect()
    }

    /// Each query is sent from its own socket. Fails if one is answered twice.
    pub fn ask_all(&self, queries: Vec<(Vec<u8>, Client, usize)>, runtime: &Runtime, tasks: &LocalSet) -> Vec<Answer> {
        let take = |answers: &mut Vec<Option<Answer>>, took: Duration| {
            for (wire, peer) in self.doors.iter().flat_map(Door::replies) {
                let answer = usize::from(peer.port()).checked_sub(FIRST_PORT).and_then(|at| answers.get_mut(at));
                let answer = answer.unwrap_or_else(|| panic!("a late second answer: {:?}", Packet::decode(&wire)));
                assert!(answer.is_none(), "answered twice: {answer:?} and {:?}", Packet::decode(&wire));
                *answer = Some(Answer::read(wire, took, took.is_zero()));
            }
        };
        let _inside = runtime.enter();
        take(&mut Vec::new(), Duration::ZERO);
        let mut answers: Vec<Option<Answer>> = queries.iter().map(|_| None).collect();
        for (at, (wire, client, worker)) in queries.into_iter().enumerate() {
            let peer = SocketAddr::new(client.peer.ip(), (FIRST_PORT + at) as u16);
            self.doors[worker % self.doors.len()].send_from(peer, wire);
        }
        let mut took = Duration::ZERO;
        while answers.iter().any(Option::is_none) {
            assert!(took < ANSWER_WITHIN, "no answer within {ANSWER_WITHIN:?}");
            tasks.block_on(runtime, async { tokio::time::sleep(LOOK_EVERY).await });
            take(&mut answers, took);
            took += LOOK_EVERY;
        }
        answers.into_iter().flatten().collect()
    }
}

const FIRST_PORT: usize = 20_000;

#[tokio::test(start_paused = true)]
async fn datagrams_come_in_batches_and_go_back() {
    let (door, mut batch) = (Door::new(), DatagramBatch::new());
    let peer = SocketAddr::from(([192, 0, 2, 1], 4000));
    (0..70u8).for_each(|n| door.send_from(peer, vec![n; 12]));
    for expected in [64, 6] {
        batch.clear();
        std::future::poll_fn(|cx| door.poll_recv(cx, &mut batch)).await.expect("a batch");
        assert_eq!(batch.len(), expected);
        batch.get_mut(0).0.len = 0;
        assert_eq!(door.send(&batch), 0);
    }
    assert_eq!((door.replies().len(), door.batch_most()), (68, 64));
    let mut client = door.connect_from(peer);
    let mut accepted = std::future::poll_fn(|cx| door.poll_accept(cx)).await.expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut client, b"hello").await.expect("open");
    let mut bytes = [0; 5];
    tokio::io::AsyncReadExt::read_exact(&mut accepted.stream, &mut bytes).await.expect("open");
    assert_eq!((&bytes, accepted.peer), (b"hello", peer));
}
