//! For the tests of this folder: someone who answers as the question's first octet says, sockets in memory,
//! and a dispatch with small limits. Time is virtual; the tests never wait for real.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::{Notify, mpsc, watch};

use super::dispatch::{Admission, Answer, Dispatch};
use super::limits::{Bounds, LiveBounds};
use crate::answer::{AtOnce, Client, Messages};
use crate::env::{Accepted, BootTime, Clock, Datagram, DatagramBatch, DatagramSocket, Instant, Rest, StreamListener, WallTime};
use crate::limits::Limits;
use crate::metrics::{Recorder, Registry};
use crate::policy::{InFlight, Place};

/// A query: header, then what to do and one octet of argument.
pub fn query(id: u8, what: u8, argument: u8) -> Vec<u8> {
    [&[0, id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[what, argument]].concat()
}

/// The same as an update (RFC 2136 2.2).
pub fn update(id: u8, what: u8, argument: u8) -> Vec<u8> {
    let mut update = query(id, what, argument);
    update[2] = 5 << 3;
    update
}

thread_local! {
    /// Messages of transfers that were made.
    pub static MADE: Cell<usize> = const { Cell::new(0) };
    /// Replies `B` that were made.
    pub static LARGE_MADE: Cell<usize> = const { Cell::new(0) };
    /// Queries that came.
    pub static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Some messages of 1,024 octets with one ID.
struct Echoes {
    id: u8,
    left: u8,
}

impl Messages for Echoes {
    fn next(&mut self) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        MADE.with(|made| made.set(made.get() + 1));
        let mut message = vec![0; 1_024];
        message[1] = self.id;
        Some(message)
    }
}

/// `m` `argument` messages, `c` the client's address and the one it has asked, `e` echo at once, `s` silence, `B` a reply as large as the slot, `P` panic at once; else in full: `w` echo after
/// `argument` x 10 ms, `g` never, a failure when its place is lost, `p` panic, `b` a reply of `argument` x 256 octets,
/// `d` the same after a second.
pub struct Fake(Recorder, Cell<bool>, Cell<Option<std::net::IpAddr>>);

impl Fake {
    pub fn new() -> Fake {
        Fake(Registry::default().recorder(), Cell::new(false), Cell::new(None))
    }

    /// This peer is a load balancer.
    pub fn proxy(self, peer: std::net::IpAddr) -> Fake {
        self.2.set(Some(peer));
        self
    }

    /// As with views: other clients may get other answers.
    pub fn differ_by_client(&self) {
        self.1.set(true);
    }
}

impl Answer for Fake {
    type Moment = ();
    type Pending = Vec<u8>;

    fn metrics(&self) -> &Recorder {
        &self.0
    }

    fn moment(&self, _now: BootTime) {}

    fn is_allowed(&self, _moment: &(), _client: std::net::IpAddr) -> bool {
        true
    }

    fn differs_by_client(&self, _moment: &()) -> bool {
        self.1.get()
    }

    fn is_proxy(&self, _moment: &(), peer: std::net::IpAddr) -> bool {
        self.2.get() == Some(peer)
    }

    fn at_once(&self, _moment: &(), slot: &mut [u8], len: usize, client: &Client) -> AtOnce<Vec<u8>> {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        match slot.get(12) {
            Some(b'e') => {
                slot[2] |= 0x80;
                AtOnce::Reply(len)
            }
            Some(b'c') => {
                let text = format!("{} {}", client.peer, client.local);
                slot[2] |= 0x80;
                slot[12..][..text.len()].copy_from_slice(text.as_bytes());
                AtOnce::Reply(12 + text.len())
            }
            Some(b's') => AtOnce::Silence,
            Some(b'm') => AtOnce::Many(Box::new(Box::new(Echoes { id: slot[1], left: slot[13] }))),
            Some(b'B') => {
                LARGE_MADE.with(|made| made.set(made.get() + 1));
                AtOnce::Reply(slot.len())
            }
            Some(b'P') => panic!("asked to"),
            _ => AtOnce::Later(slot[..len].to_vec()),
        }
    }

    async fn later(self: &Rc<Self>, query: Vec<u8>, _client: &Client, place: Place) -> Vec<u8> {
        let argument = query[13];
        let lost = poll_fn(|cx| place.poll_lost(cx));
        match query[12] {
            b'd' => tokio::time::sleep(Duration::from_secs(1)).await,
            b'w' => tokio::time::sleep(Duration::from_millis(u64::from(argument) * 10)).await,
            b'g' => lost.await,
            b'p' => panic!("asked to"),
            _ => {}
        }
        let mut reply = query.clone();
        reply[2] |= 0x80;
        reply.resize(reply.len().max(usize::from(argument) * 256 * usize::from(matches!(query[12], b'b' | b'd'))), 0);
        reply
    }
}

pub struct StoppedClock;

impl Clock for StoppedClock {
    fn boot(&self) -> BootTime {
        BootTime(0)
    }

    fn wall(&self) -> WallTime {
        WallTime(0)
    }
}

pub fn bounds() -> Bounds {
    Bounds::share(&Limits::default(), 1)
}

/// For one worker, with the default number of questions under way.
pub fn admission(bounds: Bounds) -> Admission {
    Admission { bounds: LiveBounds::new(bounds), in_flight: InFlight::new(&Limits::default()), limit_log: Arc::default() }
}

/// The same with other limits on questions under way.
pub fn admission_with(limits: &Limits) -> Admission {
    Admission { bounds: LiveBounds::new(Bounds::share(limits, 1)), in_flight: InFlight::new(limits), limit_log: Arc::default() }
}

pub fn dispatch(bounds: Bounds) -> (Rc<Dispatch<Fake>>, watch::Sender<bool>) {
    dispatch_with(admission(bounds))
}

pub fn dispatch_with(admission: Admission) -> (Rc<Dispatch<Fake>>, watch::Sender<bool>) {
    dispatch_of(Fake::new(), admission)
}

pub fn dispatch_of(fake: Fake, admission: Admission) -> (Rc<Dispatch<Fake>>, watch::Sender<bool>) {
    let (stop, stopped) = watch::channel(false);
    (Rc::new(Dispatch::new(Rc::new(fake), Arc::new(StoppedClock), admission, stopped)), stop)
}

pub fn peer(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 4000).into()
}

pub fn local() -> SocketAddr {
    ([198, 51, 100, 1], 53).into()
}

type Coming = io::Result<(Vec<u8>, SocketAddr)>;

#[derive(Default)]
pub struct FakeSocket {
    coming: RefCell<VecDeque<Coming>>,
    waker: RefCell<Option<Waker>>,
    pub sent: RefCell<Vec<(Vec<u8>, SocketAddr, SocketAddr)>>,
    /// When each of `sent` left.
    pub sent_at: RefCell<Vec<Instant>>,
    pub sends: Cell<usize>,
    more: Notify,
}

impl FakeSocket {
    pub fn put(&self, item: Coming) {
        self.coming.borrow_mut().push_back(item);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub fn ask(&self, query: Vec<u8>, from: SocketAddr) {
        self.put(Ok((query, from)));
    }

    /// Waits until `count` replies have been sent in all and returns the IDs in their order.
    pub async fn replies(&self, count: usize) -> Vec<u8> {
        while self.sent.borrow().len() < count {
            self.more.notified().await;
        }
        self.sent.borrow().iter().map(|(bytes, ..)| bytes[1]).collect()
    }
}

impl DatagramSocket for FakeSocket {
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut DatagramBatch) -> Poll<io::Result<Rest>> {
        while !batch.is_full() {
            let (bytes, from) = match self.coming.borrow_mut().pop_front() {
                None => break,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(item)) => item,
            };
            let (index, len) = (batch.len(), bytes.len().min(DatagramBatch::SLOT_BYTES));
            batch.push(Datagram { len, peer: from, local: local(), cut_off: len < bytes.len() });
            batch.get_mut(index).1[..len].copy_from_slice(&bytes[..len]);
        }
        if batch.is_empty() {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(Rest::after(batch)))
    }

    fn send(&self, batch: &DatagramBatch) -> usize {
        self.sends.set(self.sends.get() + 1);
        self.sent.borrow_mut().extend(batch.filled().map(|(entry, bytes)| (bytes.to_vec(), entry.peer, entry.local)));
        self.sent_at.borrow_mut().resize(self.sent.borrow().len(), Instant::now());
        self.more.notify_waiters();
        0
    }

    fn send_one(&self, bytes: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<()> {
        self.sent.borrow_mut().push((bytes.to_vec(), peer, local));
        self.sent_at.borrow_mut().push(Instant::now());
        self.more.notify_waiters();
        Ok(())
    }
}

/// A listener fed by `Dialler`.
pub struct FakeListener(RefCell<mpsc::UnboundedReceiver<io::Result<Accepted>>>);

pub struct Dialler(mpsc::UnboundedSender<io::Result<Accepted>>);

pub fn listener() -> (Dialler, Box<dyn StreamListener>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Dialler(sender), Box::new(FakeListener(RefCell::new(receiver))))
}

impl Dialler {
    /// The client's end of a new connection that holds `buffer` octets in each direction.
    pub fn dial(&self, from: SocketAddr, buffer: usize) -> DuplexStream {
        let (client, server) = tokio::io::duplex(buffer);
        let accepted = Accepted { stream: Box::new(server), peer: from, local: local() };
        assert!(self.0.send(Ok(accepted)).is_ok(), "nobody listens");
        client
    }

    pub fn fail(&self, errno: i32) {
        assert!(self.0.send(Err(io::Error::from_raw_os_error(errno))).is_ok(), "nobody listens");
    }
}

impl StreamListener for FakeListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self.0.borrow_mut().poll_recv(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(item),
            _ => Poll::Pending,
        }
    }
}
