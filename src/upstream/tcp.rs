//! TCP connections to servers, kept open and shared (RFC 7766 6.2): several queries in flight on each, replies in any
//! order, matched by ID.
//!
//! One task drives each connection. When a connection fails, each of its questions is asked once more on another one: a
//! server may close an idle connection at the moment when it is used. Everything is bounded: connections, questions on
//! each, octets waiting to be sent, idle time.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use smallvec::SmallVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::matching::belongs_on_stream;
use super::query::Query;
use super::tcp_framing::FrameReader;
use super::translator::{self, Translator};
use crate::env::{BoxFuture, Net, Random, Stream, is_own_shortage};
use crate::limits::upstream::{
    TCP_CONNECT_MAX, TCP_CONNECTIONS_MAX, TCP_CONNECTIONS_PER_SERVER_MAX, TCP_IDLE_MAX, TCP_QUERIES_PER_CONNECTION_MAX, TCP_SILENCE_MAX,
    TCP_UNSENT_BYTES_MAX,
};

/// Reason why a query over TCP has no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpFault {
    Timeout,
    Connect(io::ErrorKind),
    /// The peer closed or reset it.
    Closed,
    /// The peer sent a message that is not a reply to any of our queries.
    Unasked,
    /// A limit of our own: no connection, descriptor or port is free. Says nothing about the server.
    Busy,
}

impl TcpFault {
    /// The connection failed, not the question: another connection may bring the reply.
    fn is_worth_another_try(self) -> bool {
        match self {
            TcpFault::Closed | TcpFault::Unasked => true,
            TcpFault::Timeout | TcpFault::Connect(_) | TcpFault::Busy => false,
        }
    }
}

impl std::fmt::Display for TcpFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TcpFault::Timeout => f.write_str("no reply in time"),
            TcpFault::Connect(kind) => write!(f, "no connection ({kind})"),
            TcpFault::Closed => f.write_str("the connection was closed before the reply"),
            TcpFault::Unasked => f.write_str("the server sent a message that is no reply"),
            TcpFault::Busy => f.write_str("this resolver has no free connection"),
        }
    }
}

pub(super) struct Connections {
    net: Rc<dyn Net>,
    random: Rc<Random>,
    open: RefCell<Vec<Rc<Connection>>>,
}

impl Connections {
    /// Without any connection yet.
    pub fn new(net: Rc<dyn Net>, random: Rc<Random>) -> Connections {
        Connections { net, random, open: RefCell::default() }
    }

    /// Has no time limit of its own; the caller drops the future.
    pub async fn ask(&self, server: SocketAddr, translator: Option<Translator>, query: &Query) -> Result<Vec<u8>, TcpFault> {
        let first = self.ask_once(server, translator, query).await;
        match first {
            Err(fault) if fault.is_worth_another_try() => self.ask_once(server, translator, query).await,
            _ => first,
        }
    }

    async fn ask_once(&self, server: SocketAddr, translator: Option<Translator>, query: &Query) -> Result<Vec<u8>, TcpFault> {
        let connection = self.connection_to(server, translator)?;
        let reply = connection.submit(query, &self.random);
        let mut watch = SilenceWatch { connection: &connection, since: Instant::now(), answered: false };
        let result = reply.await;
        watch.answered = true;
        result.unwrap_or(Err(TcpFault::Closed))
    }

    /// The open connections take no new questions, and close when those in flight have ended.
    pub fn retire_all(&self) {
        for connection in self.open.borrow().iter() {
            connection.retire();
        }
    }

    fn connection_to(&self, server: SocketAddr, translator: Option<Translator>) -> Result<Rc<Connection>, TcpFault> {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| !connection.ended.get());
        if let Some(found) = open.iter().find(|connection| connection.server == server && connection.has_room()) {
            return Ok(Rc::clone(found));
        }
        if open.iter().filter(|connection| connection.server == server).count() >= TCP_CONNECTIONS_PER_SERVER_MAX {
            return Err(TcpFault::Busy);
        }
        if open.len() >= TCP_CONNECTIONS_MAX {
            let victim = least_needed(&open).ok_or(TcpFault::Busy)?;
            open.swap_remove(victim).end(TcpFault::Busy);
        }
        let connection = Rc::new(Connection::new(server));
        open.push(Rc::clone(&connection));
        tokio::task::spawn_local(drive(Rc::clone(&connection), translator::tcp(&*self.net, server, translator)));
        Ok(connection)
    }
}

/// An idle connection, else one that has long been silent; of these the one that has been silent longest.
fn least_needed(open: &[Rc<Connection>]) -> Option<usize> {
    let silent = |connection: &Connection| connection.last_heard.get().elapsed() >= TCP_SILENCE_MAX;
    let candidates = open.iter().enumerate().filter(|(_, connection)| !connection.is_awaited() || silent(connection));
    candidates.min_by_key(|(_, connection)| (connection.is_awaited(), connection.last_heard.get())).map(|(index, _)| index)
}

struct Connection {
    server: SocketAddr,
    pending: RefCell<SmallVec<[Pending; 4]>>,
    unsent: RefCell<Vec<u8>>,
    /// Wakes the driver: there is more to send, or the connection has ended.
    wake: Notify,
    /// When something last arrived, or when the first question was sent after an idle time.
    last_heard: Cell<Instant>,
    /// Takes no more questions.
    retired: Cell<bool>,
    ended: Cell<bool>,
}

/// Stays after its caller has gone, so that a late reply is recognised.
struct Pending {
    id: u16,
    question: SmallVec<[u8; 64]>,
    caller: oneshot::Sender<Result<Vec<u8>, TcpFault>>,
}

impl Connection {
    fn new(server: SocketAddr) -> Connection {
        Connection {
            server,
            pending: RefCell::default(),
            unsent: RefCell::default(),
            wake: Notify::new(),
            last_heard: Cell::new(Instant::now()),
            retired: Cell::new(false),
            ended: Cell::new(false),
        }
    }

    fn has_room(&self) -> bool {
        !self.retired.get()
            && self.pending.borrow().len() < TCP_QUERIES_PER_CONNECTION_MAX
            && self.unsent.borrow().len() < TCP_UNSENT_BYTES_MAX
    }

    fn submit(&self, query: &Query, random: &Random) -> oneshot::Receiver<Result<Vec<u8>, TcpFault>> {
        if !self.is_awaited() {
            self.last_heard.set(Instant::now());
        }
        let (caller, reply) = oneshot::channel();
        let mut pending = self.pending.borrow_mut();
        // At most `TCP_QUERIES_PER_CONNECTION_MAX` of 65,536 are taken, so this ends.
        let id = loop {
            let id = random.u16();
            if pending.iter().all(|other| other.id != id) {
                break id;
            }
        };
        pending.push(Pending { id, question: SmallVec::from_slice(query.question()), caller });
        self.unsent.borrow_mut().extend(query.framed(id));
        self.wake.notify_one();
        reply
    }

    /// Whether a query waits, or has waited, for this message.
    fn deliver(&self, message: Vec<u8>) -> bool {
        self.last_heard.set(Instant::now());
        let mut pending = self.pending.borrow_mut();
        let Some(id) = message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id)) else { return false };
        let Some(index) = pending.iter().position(|waiting| waiting.id == id && belongs_on_stream(&waiting.question, &message)) else {
            return false;
        };
        // If the caller has gone, the reply is not needed.
        let _ = pending.swap_remove(index).caller.send(Ok(message));
        true
    }

    fn is_awaited(&self) -> bool {
        self.pending.borrow().iter().any(|waiting| !waiting.caller.is_closed())
    }

    fn is_over(&self) -> bool {
        self.ended.get() || self.retired.get() && !self.is_awaited()
    }

    fn retire(&self) {
        self.retired.set(true);
        self.wake.notify_one();
    }

    fn end(&self, fault: TcpFault) {
        self.ended.set(true);
        for waiting in self.pending.borrow_mut().drain(..) {
            let _ = waiting.caller.send(Err(fault));
        }
        self.wake.notify_one();
    }
}

/// If the caller gives up and nothing at all has arrived meanwhile, the connection is probably dead.
struct SilenceWatch<'a> {
    connection: &'a Connection,
    since: Instant,
    answered: bool,
}

impl Drop for SilenceWatch<'_> {
    fn drop(&mut self) {
        if !self.answered && self.connection.last_heard.get() <= self.since {
            self.connection.retire();
        }
    }
}

/// Ends the connection in whatever way its driver ends.
struct EndOnDrop(Rc<Connection>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(TcpFault::Closed);
    }
}

async fn drive(connection: Rc<Connection>, connecting: BoxFuture<'static, io::Result<Box<dyn Stream>>>) {
    let connection = EndOnDrop(connection);
    let connected = tokio::select! {
        biased;
        connected = tokio::time::timeout(TCP_CONNECT_MAX, connecting) => connected,
        () = until_over(&connection.0) => return,
    };
    let fault = match connected {
        Ok(Ok(stream)) => talk(&connection.0, stream).await,
        Ok(Err(error)) if is_own_shortage(&error) => TcpFault::Busy,
        Ok(Err(error)) => TcpFault::Connect(error.kind()),
        Err(_) => TcpFault::Timeout,
    };
    connection.0.end(fault);
}

async fn until_over(connection: &Connection) {
    while !connection.is_over() {
        connection.wake.notified().await;
    }
}

/// Reads and writes until one side ends the connection. Neither call loses data when another branch is taken.
async fn talk(connection: &Connection, stream: Box<dyn Stream>) -> TcpFault {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut frames, mut outbox) = (FrameReader::new(), Vec::new());
    let mut look_again = Instant::now() + TCP_IDLE_MAX;
    while !connection.is_over() {
        if outbox.is_empty() {
            std::mem::swap(&mut outbox, &mut connection.unsent.borrow_mut());
        }
        tokio::select! {
            biased;
            read = reader.read(frames.space()) => match read {
                Ok(0) | Err(_) => return TcpFault::Closed,
                Ok(read) => {
                    frames.add(read);
                    while let Some(message) = frames.next() {
                        if !connection.deliver(message) {
                            return TcpFault::Unasked;
                        }
                    }
                }
            },
            written = writer.write(&outbox), if !outbox.is_empty() => match written {
                Ok(0) | Err(_) => return TcpFault::Closed,
                Ok(written) => drop(outbox.drain(..written)),
            },
            () = connection.wake.notified() => {}
            () = tokio::time::sleep_until(look_again) => {
                let idle_at = connection.last_heard.get() + TCP_IDLE_MAX;
                if Instant::now() >= idle_at && !connection.is_awaited() {
                    return TcpFault::Closed;
                }
                look_again = idle_at.max(Instant::now() + TCP_IDLE_MAX / 5);
            }
        }
    }
    TcpFault::Closed
}
