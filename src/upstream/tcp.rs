//! Connections to servers, over TCP and TLS, kept open and shared (RFC 7766 6.2): several queries in flight on each.
//!
//! One task drives each connection. When a connection fails, each of its questions is asked once more on another one: a
//! server may close an idle connection at the moment when it is used. Everything is bounded: connections, questions on
//! each, octets waiting to be sent, idle time.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::connection::{Arrived, Connection, Key, Opened};
use super::fault::{TcpFault, TlsFault};
use super::https;
use super::query::Query;
use super::tcp_framing::FrameReader;
use super::translator::{self, Translator};
use super::troubles::Troubles;
use crate::config::EncryptedProtocol;
use crate::env::{Net, Random, Stream, is_own_shortage};
use crate::limits::upstream::{TCP_CONNECT_MAX, TCP_CONNECTIONS_MAX, TCP_SILENCE_MAX};

pub(super) struct Connections {
    net: Rc<dyn Net>,
    random: Rc<Random>,
    open: RefCell<Vec<Rc<Connection>>>,
    troubles: Rc<Troubles>,
}

impl Connections {
    /// Without any connection yet.
    pub fn new(net: Rc<dyn Net>, random: Rc<Random>) -> Connections {
        Connections { net, random, open: RefCell::default(), troubles: Rc::default() }
    }

    /// Has no time limit of its own; the caller drops the future.
    pub async fn ask(&self, key: &Key, translator: Option<Translator>, query: &Query) -> Result<Arrived, TcpFault> {
        let first = self.submit(key, translator, query)?.await;
        match first {
            Err(fault) if fault.is_worth_another_try() => self.submit(key, translator, query)?.await,
            _ => first,
        }
    }

    /// Sends a query over a connection that is open, or over a new one.
    pub fn submit(&self, key: &Key, translator: Option<Translator>, query: &Query) -> Result<Waiting, TcpFault> {
        let connection = self.connection_to(key, translator)?;
        let reply = connection.submit(query, &self.random);
        Ok(Waiting { connection, reply, since: Instant::now(), answered: false })
    }

    /// Is there a connection that takes another query at once?
    pub fn is_connected(&self, key: &Key) -> bool {
        let is_ready = |connection: &Rc<Connection>| !connection.has_ended() && connection.is_established() && connection.has_room();
        self.open.borrow().iter().any(|connection| connection.key == *key && is_ready(connection))
    }

    /// Connections that have not ended.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.open.borrow().iter().filter(|connection| !connection.has_ended()).count()
    }

    /// The open connections take no new questions, and close when those in flight have ended.
    pub fn retire_all(&self) {
        for connection in self.open.borrow().iter() {
            connection.retire();
        }
        self.troubles.forget();
    }

    fn connection_to(&self, key: &Key, translator: Option<Translator>) -> Result<Rc<Connection>, TcpFault> {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| !connection.has_ended());
        if let Some(found) = open.iter().find(|connection| connection.key == *key && connection.has_room()) {
            return Ok(Rc::clone(found));
        }
        if let Some(fault) = self.troubles.of(key) {
            return Err(fault);
        }
        let same = open.iter().filter(|connection| connection.key == *key);
        // Those that end with their last reply make room for others: a change of the network retires all of them at once.
        let counted = same.filter(|connection| key.tls.is_none() || !connection.is_retired()).count();
        if counted >= key.bounds().connections {
            // A connection that is silent, or has no place left for replies that never come, is given up for a new one.
            let victim = least_needed(&open, |connection| key.tls.is_some() && connection.key == *key).ok_or(TcpFault::Busy)?;
            open.swap_remove(victim).end(TcpFault::Timeout);
        }
        if open.len() >= TCP_CONNECTIONS_MAX {
            let victim = least_needed(&open, |_| true).ok_or(TcpFault::Busy)?;
            open.swap_remove(victim).end(TcpFault::Busy);
        }
        let connection = Rc::new(Connection::new(key.clone()));
        open.push(Rc::clone(&connection));
        let (net, troubles) = (Rc::clone(&self.net), Rc::clone(&self.troubles));
        tokio::task::spawn_local(drive(Rc::clone(&connection), net, translator, troubles));
        Ok(connection)
    }
}

/// Of these an idle connection, else one that has long been silent; of these the one that has been silent longest.
fn least_needed(open: &[Rc<Connection>], of_these: impl Fn(&Connection) -> bool) -> Option<usize> {
    let silent = |connection: &Connection| connection.silent_for() >= connection.key.bounds().silence.unwrap_or(TCP_SILENCE_MAX);
    let candidates = open.iter().enumerate().filter(|(_, connection)| !connection.is_awaited() || silent(connection));
    let candidates = candidates.filter(|(_, connection)| of_these(connection));
    candidates.min_by_key(|(_, connection)| (connection.is_awaited(), connection.last_heard())).map(|(index, _)| index)
}

/// A query on its connection, until its reply. If the caller gives up and nothing at all has arrived meanwhile, a connection without
/// a bound on its silence is probably dead.
pub(super) struct Waiting {
    connection: Rc<Connection>,
    reply: oneshot::Receiver<Result<Arrived, TcpFault>>,
    since: Instant,
    answered: bool,
}

impl Waiting {
    /// When the connection has been silent too long, if nothing comes.
    pub fn silent_at(&self) -> Instant {
        self.connection.silent_at(self.since)
    }
}

impl Future for Waiting {
    type Output = Result<Arrived, TcpFault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = Pin::new(&mut self.reply).poll(cx).map(|result| result.unwrap_or(Err(TcpFault::Closed)));
        self.answered |= result.is_ready();
        result
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let is_judged_here = self.connection.key.bounds().silence.is_none();
        if is_judged_here && !self.answered && self.connection.last_heard() <= self.since {
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

async fn drive(connection: Rc<Connection>, net: Rc<dyn Net>, translator: Option<Translator>, troubles: Rc<Troubles>) {
    let connection = EndOnDrop(connection);
    let connecting = connect(&connection.0, &*net, translator);
    let connected = tokio::select! {
        biased;
        connected = tokio::time::timeout(TCP_CONNECT_MAX, connecting) => connected,
        () = until_over(&connection.0) => return,
    };
    let fault = match connected {
        Ok(Ok(stream)) => match connection.0.key.tls.clone() {
            Some(tls) if matches!(tls.protocol(), EncryptedProtocol::Https(_)) => https::talk(&connection.0, stream, &tls).await,
            Some(_) | None => talk(&connection.0, stream).await,
        },
        Ok(Err(fault)) => fault,
        Err(_) => TcpFault::Timeout,
    };
    if connection.0.key.tls.is_some() && !connection.0.is_over() {
        troubles.note(&connection.0.key, (!connection.0.has_replied()).then_some(fault));
    }
    connection.0.end(fault);
}

async fn connect(connection: &Connection, net: &dyn Net, translator: Option<Translator>) -> Result<Box<dyn Stream>, TcpFault> {
    let began = Instant::now();
    let stream = translator::tcp(net, connection.key.server, translator).await.map_err(|error| match is_own_shortage(&error) {
        true => TcpFault::Busy,
        false => TcpFault::Connect(error.kind()),
    })?;
    let Some(tls) = &connection.key.tls else {
        connection.on_established(None);
        return Ok(stream);
    };
    connection.progressed();
    let connecting = began.elapsed();
    let secured = net.secure(stream, tls.name(), tls.client()).await.map_err(|error| TcpFault::Tls(TlsFault::of(&error)))?;
    let has_http2 = secured.facts.protocol.as_deref() == Some(b"h2");
    if matches!(tls.protocol(), EncryptedProtocol::Https(_)) && !has_http2 {
        return Err(TcpFault::Tls(TlsFault::NoHttp2));
    }
    connection.on_established(Some(Opened { tls: secured.facts, connecting, handshake: began.elapsed() - connecting }));
    Ok(secured.stream)
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
    let mut has_unflushed = false;
    let Some(mut look_again) = connection.look_again() else { return TcpFault::Closed };
    while !connection.is_over() {
        if outbox.is_empty() {
            connection.take_unsent(&mut outbox);
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
            written = write_or_flush(&mut writer, &outbox), if !outbox.is_empty() || has_unflushed => match written {
                Ok(0) if !outbox.is_empty() => return TcpFault::Closed,
                Ok(written) => {
                    has_unflushed = !outbox.is_empty();
                    drop(outbox.drain(..written));
                }
                Err(_) => return TcpFault::Closed,
            },
            // The server may have asked for a shorter idle time.
            () = connection.wake.notified() => look_again = connection.look_again().map_or(look_again, |at| at.min(look_again)),
            () = tokio::time::sleep_until(look_again) => match connection.look_again() {
                Some(at) => look_again = at,
                None => return TcpFault::Closed,
            },
        }
    }
    // Tells a TLS server that this is the end, so that it keeps the session (RFC 8446 6.1).
    let _ = tokio::time::timeout(TCP_SILENCE_MAX, writer.shutdown()).await;
    TcpFault::Closed
}

/// TLS may hold back what it was given until it is flushed.
async fn write_or_flush(writer: &mut (impl AsyncWrite + Unpin), outbox: &[u8]) -> io::Result<usize> {
    if outbox.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(outbox).await }
}
