//! The resolver's own door in the simulation: a datagram socket and a listener that test clients knock at, so that the
//! batch loop of `listen` runs over the same worlds. Everything arrives when it is sent; the order is the test's.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use cairn::env::{Accepted, Datagram, DatagramBatch, DatagramSocket, Rest, StreamListener};
use tokio::io::DuplexStream;

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

    fn local_addr(&self) -> SocketAddr {
        self.0.local
    }
}

impl StreamListener for Door {
    fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

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
