//! One connection to a server, as those who ask see it: the queries under way on it, their replies in any order (RFC 7766 6.2.1),
//! and when something last came. It does no I/O: a driver takes what is to be sent and hands in what has come.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::fault::TcpFault;
use super::matching::belongs_on_stream;
use super::query::Query;
use super::tls_server::TlsServer;
use crate::config::EncryptedProtocol;
use crate::env::{Random, TlsFacts};
use crate::limits::upstream::{
    TCP_CONNECTIONS_PER_SERVER_MAX, TCP_IDLE_MAX, TCP_QUERIES_PER_CONNECTION_MAX, TCP_UNSENT_BYTES_MAX, TLS_CONNECTIONS_PER_SERVER_MAX,
    TLS_IDLE_MAX, TLS_KEEPALIVE_MAX, TLS_QUERIES_PER_CONNECTION_MAX, TLS_SILENCE_MAX,
};
use crate::wire::{Message, OptionCode};

/// What a connection leads to: queries with the same key may share it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    pub server: SocketAddr,
    pub tls: Option<Arc<TlsServer>>,
}

/// Bounds of a connection, by what it carries.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub connections: usize,
    pub queries: usize,
    pub unsent_bytes: usize,
    pub idle: Duration,
    /// After this silence it takes no more queries; `None`: whoever gives up decides.
    pub silence: Option<Duration>,
}

impl Key {
    pub fn bounds(&self) -> Bounds {
        match self.tls {
            None => Bounds {
                connections: TCP_CONNECTIONS_PER_SERVER_MAX,
                queries: TCP_QUERIES_PER_CONNECTION_MAX,
                unsent_bytes: TCP_UNSENT_BYTES_MAX,
                idle: TCP_IDLE_MAX,
                silence: None,
            },
            Some(_) => Bounds {
                connections: TLS_CONNECTIONS_PER_SERVER_MAX,
                queries: TLS_QUERIES_PER_CONNECTION_MAX,
                unsent_bytes: TCP_UNSENT_BYTES_MAX,
                idle: TLS_IDLE_MAX,
                silence: Some(TLS_SILENCE_MAX),
            },
        }
    }

    fn is_https(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| matches!(tls.protocol(), EncryptedProtocol::Https(_)))
    }
}

/// How an encrypted connection came about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    pub tls: TlsFacts,
    /// For TCP, and for TLS after it.
    pub connecting: Duration,
    pub handshake: Duration,
}

/// How a reply came from an encrypted server.
#[derive(Clone, Debug)]
pub struct Secure {
    pub server: Arc<TlsServer>,
    pub opened: Arc<Opened>,
    /// The connection was made for this query.
    pub is_first: bool,
}

/// A reply.
pub(super) struct Arrived {
    pub message: Vec<u8>,
    /// Since the query could be sent.
    pub rtt: Duration,
    pub opened: Option<Arc<Opened>>,
    /// The query is the first one on its connection.
    pub is_first: bool,
}

type Result<T> = std::result::Result<T, TcpFault>;

pub(super) struct Connection {
    pub key: Key,
    bounds: Bounds,
    pending: RefCell<SmallVec<[Pending; 4]>>,
    unsent: RefCell<Vec<u8>>,
    /// Wakes the driver: there is more to send, or the connection has ended.
    pub wake: Notify,
    /// When something last arrived, or when the first question was sent after an idle time.
    last_heard: Cell<Instant>,
    /// When the connection could carry queries.
    established: Cell<Option<Instant>>,
    opened: RefCell<Option<Arc<Opened>>>,
    has_replied: Cell<bool>,
    has_been_asked: Cell<bool>,
    idle_max: Cell<Duration>,
    /// Takes no more questions.
    retired: Cell<bool>,
    ended: Cell<bool>,
}

/// Stays after its caller has gone, so that a late reply is recognised.
struct Pending {
    id: u16,
    question: SmallVec<[u8; 64]>,
    since: Instant,
    is_first: bool,
    caller: oneshot::Sender<Result<Arrived>>,
}

impl Connection {
    pub fn new(key: Key) -> Connection {
        let bounds = key.bounds();
        Connection {
            key,
            bounds,
            pending: RefCell::default(),
            unsent: RefCell::default(),
            wake: Notify::new(),
            last_heard: Cell::new(Instant::now()),
            established: Cell::new(None),
            opened: RefCell::default(),
            has_replied: Cell::new(false),
            has_been_asked: Cell::new(false),
            idle_max: Cell::new(bounds.idle),
            retired: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    pub fn has_room(&self) -> bool {
        !self.retired.get()
            && self.pending.borrow().len() < self.bounds.queries
            && self.unsent.borrow().len() < self.bounds.unsent_bytes
            && !self.bounds.silence.is_some_and(|silence| !self.pending.borrow().is_empty() && self.silent_for() >= silence)
    }

    /// Is something due from the server? Where silence is judged, what a caller no longer waits for is due too.
    fn owes_a_reply(&self) -> bool {
        if self.bounds.silence.is_some() { !self.pending.borrow().is_empty() } else { self.is_awaited() }
    }

    pub fn submit(&self, query: &Query, random: &Random) -> oneshot::Receiver<Result<Arrived>> {
        if !self.owes_a_reply() {
            self.last_heard.set(Instant::now());
        }
        let (caller, reply) = oneshot::channel();
        let mut pending = self.pending.borrow_mut();
        // At most `Bounds::queries` of 65,536 are taken, so this ends.
        let id = loop {
            let id = random.u16();
            if pending.iter().all(|other| other.id != id) {
                break id;
            }
        };
        let question = SmallVec::from_slice(query.question());
        let is_first = !self.has_been_asked.replace(true);
        pending.push(Pending { id, question, since: Instant::now(), is_first, caller });
        self.unsent.borrow_mut().extend(query.framed(id));
        self.wake.notify_one();
        reply
    }

    /// What is to be sent goes to the end of `outbox`, each message with its length in front.
    pub fn take_unsent(&self, outbox: &mut Vec<u8>) {
        let mut unsent = self.unsent.borrow_mut();
        if outbox.is_empty() {
            std::mem::swap(outbox, &mut unsent);
        } else {
            outbox.append(&mut unsent);
        }
    }

    /// A step towards being connected was made.
    pub fn progressed(&self) {
        self.last_heard.set(Instant::now());
    }

    pub fn on_established(&self, opened: Option<Opened>) {
        if self.bounds.silence.is_some() {
            self.progressed();
        }
        self.established.set(Some(Instant::now()));
        *self.opened.borrow_mut() = opened.map(Arc::new);
    }

    pub fn is_established(&self) -> bool {
        self.established.get().is_some()
    }

    /// Whether a query waits, or has waited, for this message.
    pub fn deliver(&self, message: Vec<u8>) -> bool {
        let now = Instant::now();
        self.last_heard.set(now);
        let mut pending = self.pending.borrow_mut();
        let Some(id) = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id)) else { return false };
        let Some(index) = pending.iter().position(|waiting| waiting.id == id && belongs_on_stream(&waiting.question, &message)) else {
            return false;
        };
        self.has_replied.set(true);
        let waiting = pending.swap_remove(index);
        if self.key.tls.is_some() && !self.key.is_https() {
            self.note_keepalive(&message);
        }
        let sent = self.established.get().map_or(waiting.since, |established| established.max(waiting.since));
        let rtt = now.duration_since(sent);
        let arrived = Arrived { message, rtt, opened: self.opened.borrow().clone(), is_first: waiting.is_first };
        // If the caller has gone, the reply is not needed.
        let _ = waiting.caller.send(Ok(arrived));
        true
    }

    /// One query has failed, and the others may go on.
    pub fn fail(&self, id: u16, fault: TcpFault) {
        self.last_heard.set(Instant::now());
        let mut pending = self.pending.borrow_mut();
        if let Some(index) = pending.iter().position(|waiting| waiting.id == id) {
            let _ = pending.swap_remove(index).caller.send(Err(fault));
        }
    }

    /// RFC 7828 3.2.2: how long the server keeps an idle connection, in units of 100 ms. Zero asks for its end.
    fn note_keepalive(&self, message: &[u8]) {
        let Ok(message) = Message::parse(message) else { return };
        let option = message.edns().and_then(|edns| edns.option(OptionCode::TCP_KEEPALIVE).and_then(|option| option.try_into().ok()));
        let Some(units) = option.map(u16::from_be_bytes) else { return };
        self.idle_max.set((Duration::from_millis(100) * u32::from(units)).min(TLS_KEEPALIVE_MAX));
        if units == 0 {
            self.retired.set(true);
        }
        self.wake.notify_one();
    }

    pub fn is_awaited(&self) -> bool {
        self.pending.borrow().iter().any(|waiting| !waiting.caller.is_closed())
    }

    /// Since something last came, or was first waited for.
    pub fn silent_for(&self) -> Duration {
        self.last_heard.get().elapsed()
    }

    pub fn last_heard(&self) -> Instant {
        self.last_heard.get()
    }

    /// When the connection, if nothing comes, has been silent too long for a query that waits since `since`.
    pub fn silent_at(&self, since: Instant) -> Instant {
        self.last_heard.get().max(since) + self.bounds.silence.unwrap_or(Duration::MAX / 4)
    }

    /// When the driver looks next whether the connection is idle; `None`: it has been idle for too long.
    pub fn look_again(&self) -> Option<Instant> {
        let (now, idle_max) = (Instant::now(), self.idle_max.get());
        let idle_at = self.last_heard.get() + idle_max;
        if now >= idle_at && !self.is_awaited() {
            return None;
        }
        Some(idle_at.max(now + idle_max.max(Duration::from_secs(1)) / 5))
    }

    pub fn has_replied(&self) -> bool {
        self.has_replied.get()
    }

    pub fn has_ended(&self) -> bool {
        self.ended.get()
    }

    pub fn is_over(&self) -> bool {
        self.ended.get() || self.retired.get() && !self.is_awaited()
    }

    pub fn is_retired(&self) -> bool {
        self.retired.get()
    }

    pub fn retire(&self) {
        self.retired.set(true);
        self.wake.notify_one();
    }

    pub fn end(&self, fault: TcpFault) {
        self.ended.set(true);
        for waiting in self.pending.borrow_mut().drain(..) {
            let _ = waiting.caller.send(Err(fault));
        }
        self.wake.notify_one();
    }
}
