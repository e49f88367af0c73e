//! One exchange with one server.
//!
//! The question goes out over UDP. Then, until the time-out:
//! - a reply that belongs to the query is the answer;
//! - a datagram that does not is a near miss: it is counted and dropped, and the wait goes on (RFC 5452 9.1);
//! - after a truncated reply, a doubtful one (right ID, but wrong letter case, cookie or framing), or the third near
//!   miss, the question is asked over TCP *as well*: the odd datagram need not have come from the server.
//!
//! From the third near miss on somebody is guessing at this very socket. A UDP reply that fits is then put aside, and
//! used only if TCP brings none.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::connection::{Key, Secure};
use super::dns0x20;
use super::fault::TcpFault;
use super::matching::{Doubt, Proof, Verdict, judge};
use super::query::{Ask, Query};
use super::sockets::{OpenError, Socket, Sockets};
use super::tcp::Connections;
use super::tls_server::TlsServer;
use super::translator::Translator;
use super::witness::Witness;
use crate::env::{BoxFuture, Net, Random, boxed, is_own_shortage};
use crate::limits::Limits;
use crate::limits::upstream::NEAR_MISSES_MAX;

/// The largest UDP payload there can be, so that no datagram is ever cut.
const DATAGRAM_BYTES_MAX: usize = 65_535;

impl Upstream {
    /// The caller has made sure by `may_ask` that the server may be asked at all. Dropping the future abandons the
    /// question and closes its socket.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, AskError> {
        if let Some(server) = ask.tls {
            return boxed(|| self.ask_encrypted(ask, server)).await;
        }
        let query = Query::new(ask, &self.random);
        let mut exchange = Exchange::new(self, ask, &query);
        if ask.force_tcp {
            exchange.turn_to_tcp(TcpReason::Forced);
        } else {
            exchange.send().await?;
        }
        // Only now: a query may wait long for a socket.
        let watched = self.watched();
        if let Some((witness, query_us)) = watched.filter(|_| !ask.force_tcp) {
            witness.sent(ask, query.bytes(), query_us);
        }
        let first_look = ask.overdue.map_or(ask.timeout, |(after, _)| after.min(ask.timeout));
        let mut deadline = pin!(tokio::time::sleep_until(exchange.sent + first_look));
        loop {
            let outcome = match exchange.next_event(deadline.as_mut()).await {
                Event::Datagram(verdict, bytes) => exchange.on_datagram(verdict, bytes),
                Event::UdpBroke(error) => exchange.on_udp_error(&error),
                Event::TakenBack => exchange.on_taken_back(),
                Event::Tcp(result) => exchange.on_tcp(result),
                Event::Deadline if exchange.sent.elapsed() < ask.timeout && !exchange.is_doubtful_without_tcp() => {
                    exchange.tell_if_overdue();
                    deadline.as_mut().reset(exchange.sent + ask.timeout);
                    None
                }
                Event::Deadline => exchange.on_deadline(),
            };
            if let Some(outcome) = outcome {
                if let (Some((witness, query_us)), Ok(reply)) = (watched, &outcome) {
                    witness.replied(ask, query.bytes(), query_us, reply.transport.name(), &reply.bytes);
                }
                return outcome;
            }
        }
    }
}

/// Sends queries to servers. Each worker has one.
pub struct Upstream {
    random: Rc<Random>,
    sockets: Rc<Sockets>,
    connections: Connections,
    witness: Option<Witness>,
    /// After this many near misses TCP is asked too and preferred.
    near_misses_for_tcp: u16,
    /// Receives datagrams; borrowed only within one poll.
    scratch: RefCell<Vec<u8>>,
}

impl Upstream {
    /// `limits` says from how many near misses on TCP is tried, and how many sockets may be open.
    pub fn new(net: Rc<dyn Net>, random: Rc<Random>, limits: &Limits) -> Upstream {
        Upstream {
            sockets: Rc::new(Sockets::new(Rc::clone(&net), Rc::clone(&random), limits.upstream_sockets_per_worker)),
            connections: Connections::new(net, Rc::clone(&random)),
            witness: None,
            random,
            near_misses_for_tcp: u16::try_from(limits.near_misses_per_query).unwrap_or(u16::MAX),
            scratch: RefCell::new(vec![0; DATAGRAM_BYTES_MAX]),
        }
    }

    /// Tells of each query and reply.
    pub fn watched_by(self, witness: Witness) -> Upstream {
        Upstream { witness: Some(witness), ..self }
    }

    /// Does the kernel have a route to the server? Nothing is sent.
    pub fn has_route(&self, server: SocketAddr, translator: Option<Translator>) -> bool {
        self.sockets.has_route(server, translator)
    }

    /// Whether queries wait for a socket. While they do, no second query should be sent.
    pub fn is_short_of_sockets(&self) -> bool {
        self.sockets.is_short()
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Whoever watches, and the time.
    pub(super) fn watched(&self) -> Option<(&Witness, u64)> {
        let witness = self.witness.as_ref()?;
        Some((witness, witness.now_us()?))
    }

    pub(super) fn random(&self) -> &Random {
        &self.random
    }

    /// Links or routes have changed: sockets connected before may be bound to an address that is gone.
    pub fn forget_connections(&self) {
        self.sockets.close_kept();
        self.connections.retire_all();
    }
}

/// A reply that belongs to its query.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The question of this message is the one that was asked (or missing, in a bare error). Over UDP the framing was
    /// checked. The rest is as the server sent it.
    pub bytes: Vec<u8>,
    /// Since the query was sent over the transport that brought the reply; over TCP this may include connecting.
    pub rtt: Duration,
    pub transport: Transport,
    pub notes: Notes,
    /// Of an encrypted connection.
    pub secure: Option<Box<Secure>>,
}

/// The transport that brought a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    Tcp,
    /// RFC 7858.
    Tls,
    /// RFC 8484.
    Https,
}

impl Transport {
    /// As for whoever watches.
    pub(super) fn name(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Https => "https",
        }
    }
}

/// Facts about an exchange besides its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// Datagrams on our socket that were not the reply.
    pub near_misses: u16,
    pub tcp_because: Option<TcpReason>,
    /// The only UDP reply, if any, had another letter case than the question.
    pub case_mangled: bool,
    /// The reply carried our cookie.
    pub has_cookie: bool,
}

/// Reason why a query was also sent over TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpReason {
    Truncated,
    NearMisses,
    /// The right ID and name, but not our letter case.
    CaseMangled,
    /// The right ID and question, but not framed as a message.
    Malformed,
    /// The server has sent a cookie before and now does not (RFC 7873 5.3).
    CookieMissing,
    Forced,
}

/// The reason for TCP, as the end of a sentence that begins with "because".
impl std::fmt::Display for TcpReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TcpReason::Truncated => "the UDP reply was truncated",
            TcpReason::NearMisses => "UDP replies came that somebody may have forged",
            TcpReason::CaseMangled => "a UDP reply had another letter case than the question",
            TcpReason::Malformed => "the UDP reply was not a complete message",
            TcpReason::CookieMissing => "a UDP reply came without the cookie that this server sends",
            TcpReason::Forced => "UDP was not to be used",
        })
    }
}

/// Reason why there is no reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AskError {
    Timeout {
        waited: Duration,
        notes: Notes,
    },
    /// The server's host reports that the port is closed.
    ConnectionRefused,
    /// Our own system has no route to the address, or forbids it.
    Unreachable(io::ErrorKind),
    /// TCP was needed and did not work. `truncated` is the truncated reply that led to TCP, if one did.
    TcpFailed {
        fault: TcpFault,
        truncated: Option<Vec<u8>>,
        notes: Notes,
    },
    /// The server is asked over an encrypted connection alone, and there is none, or it brought no reply.
    TlsFailed {
        server: Arc<TlsServer>,
        fault: TcpFault,
    },
    /// Somebody is guessing at our socket, and TCP did not work either.
    TooManyNearMisses {
        notes: Notes,
    },
    /// We had no socket for the query: a limit of our own that says nothing of the server.
    NoSocket(io::ErrorKind),
    /// There was no reply yet when another query needed the socket: says nothing of the server either.
    SocketLost,
    /// Not sent, because more became known while it waited for a socket (`SocketWait::known`).
    NotNeeded,
}

impl AskError {
    /// Whether the network is there, although no reply came: somebody has taken a connection, or has sent a truncated reply.
    pub fn shows_a_server(&self) -> bool {
        match self {
            AskError::TcpFailed { truncated: Some(_), .. } => true,
            AskError::TcpFailed { fault, .. } | AskError::TlsFailed { fault, .. } => fault.shows_a_server(),
            AskError::Timeout { .. } | AskError::ConnectionRefused | AskError::Unreachable(_) => false,
            AskError::TooManyNearMisses { .. } | AskError::NoSocket(_) | AskError::SocketLost | AskError::NotNeeded => false,
        }
    }

    /// Whether the query did not leave this machine, because of a limit of our own or because it was not needed.
    pub fn was_not_sent(&self) -> bool {
        match self {
            AskError::NoSocket(_) | AskError::NotNeeded => true,
            AskError::TlsFailed { fault, .. } => *fault == TcpFault::Busy,
            // By UDP it has been sent before, unless the caller wanted TCP.
            AskError::TcpFailed { fault, notes, .. } => *fault == TcpFault::Busy && notes.tcp_because == Some(TcpReason::Forced),
            AskError::Timeout { .. } | AskError::ConnectionRefused | AskError::Unreachable(_) => false,
            AskError::TooManyNearMisses { .. } | AskError::SocketLost => false,
        }
    }

    /// Facts about the exchange, even though it failed.
    pub fn notes(&self) -> Notes {
        match self {
            AskError::Timeout { notes, .. } | AskError::TcpFailed { notes, .. } | AskError::TooManyNearMisses { notes } => *notes,
            AskError::ConnectionRefused | AskError::Unreachable(_) | AskError::TlsFailed { .. } => Notes::default(),
            AskError::NoSocket(_) | AskError::SocketLost | AskError::NotNeeded => Notes::default(),
        }
    }
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AskError::Timeout { waited, .. } => write!(f, "no reply within {} ms", waited.as_millis()),
            AskError::ConnectionRefused => f.write_str("the port is closed"),
            AskError::Unreachable(kind) => write!(f, "unreachable from here ({kind})"),
            AskError::TcpFailed { fault, truncated: Some(_), .. } => write!(f, "the reply was truncated and TCP failed: {fault}"),
            AskError::TcpFailed { fault, notes, .. } => match notes.tcp_because {
                Some(reason) => write!(f, "{reason}, and TCP failed: {fault}"),
                None => write!(f, "TCP failed: {fault}"),
            },
            AskError::TlsFailed { server, fault } => write!(f, "{} could not be asked: {fault}", server.url()),
            AskError::TooManyNearMisses { notes } => write!(f, "{} replies did not match the query, and TCP failed", notes.near_misses),
            AskError::NoSocket(kind) => write!(f, "this resolver has no free socket ({kind})"),
            AskError::SocketLost => f.write_str("this resolver needed the socket for other queries"),
            AskError::NotNeeded => f.write_str("not sent: another question has got further meanwhile"),
        }
    }
}

impl std::error::Error for AskError {}

enum Event {
    Datagram(Verdict, Vec<u8>),
    UdpBroke(io::Error),
    /// Another query needs the socket.
    TakenBack,
    Tcp(Result<Vec<u8>, TcpFault>),
    Deadline,
}

type Outcome = Option<Result<Reply, AskError>>;

struct Exchange<'a> {
    upstream: &'a Upstream,
    ask: &'a Ask<'a>,
    query: &'a Query,
    notes: Notes,
    sent: Instant,
    /// `None` once nothing more is expected by UDP.
    socket: Option<Socket>,
    tcp: Option<BoxFuture<'a, Result<Vec<u8>, TcpFault>>>,
    tcp_started: Instant,
    tcp_fault: Option<TcpFault>,
    truncated: Option<Vec<u8>>,
    /// A UDP reply that belongs, but came among too many that do not.
    put_aside: Option<Reply>,
}

impl<'a> Exchange<'a> {
    fn new(upstream: &'a Upstream, ask: &'a Ask<'a>, query: &'a Query) -> Exchange<'a> {
        let now = Instant::now();
        let notes = Notes::default();
        Exchange {
            upstream,
            ask,
            query,
            notes,
            sent: now,
            socket: None,
            tcp: None,
            tcp_started: now,
            tcp_fault: None,
            truncated: None,
            put_aside: None,
        }
    }

    async fn send(&mut self) -> Result<(), AskError> {
        let (sockets, server) = (&self.upstream.sockets, self.ask.server);
        // On a kept socket only a reply with our cookie is believed.
        let may_be_kept = self.query.cookie().is_some_and(|cookie| cookie.expected_back);
        let (mut socket, taken) = sockets.take(self.ask, may_be_kept, self.sent).await.map_err(error_of_opening)?;
        self.sent = taken;
        let mut result = socket.flow.send(self.query.bytes());
        if socket.was_kept() && result.as_ref().is_err_and(is_not_mere_loss) {
            // The error may be about an earlier query, or the socket's local address is gone. This datagram was not sent.
            sockets.forget(server);
            socket = sockets.replace(self.ask, socket).map_err(error_of_opening)?;
            result = socket.flow.send(self.query.bytes());
        }
        match result {
            Err(error) if is_not_mere_loss(&error) => Err(error_of(&error)),
            _ => {
                self.socket = Some(socket);
                Ok(())
            }
        }
    }

    async fn next_event(&mut self, mut deadline: Pin<&mut Sleep>) -> Event {
        poll_fn(|cx| {
            if let Some(tcp) = &mut self.tcp
                && let Poll::Ready(result) = tcp.as_mut().poll(cx)
            {
                return Poll::Ready(Event::Tcp(result));
            }
            if let Some(socket) = &self.socket
                && let Poll::Ready(event) = self.poll_datagram(socket, cx)
            {
                return Poll::Ready(event);
            }
            let waits_for_udp = self.socket.is_some() || self.put_aside.is_some();
            if waits_for_udp && deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Deadline);
            }
            Poll::Pending
        })
        .await
    }

    fn poll_datagram(&self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Event> {
        let mut scratch = self.upstream.scratch.borrow_mut();
        let received = socket.flow.poll_recv(cx, &mut scratch);
        if received.is_pending() && socket.lease.poll_taken_back(cx).is_ready() {
            return Poll::Ready(Event::TakenBack);
        }
        received.map(|received| match received {
            Err(error) => Event::UdpBroke(error),
            Ok(len) => {
                let datagram = scratch.get(..len).unwrap_or_default();
                let verdict = judge(self.query, datagram);
                let wanted = matches!(verdict, Verdict::Belongs(_) | Verdict::Truncated);
                Event::Datagram(verdict, if wanted { datagram.to_vec() } else { Vec::new() })
            }
        })
    }

    fn on_datagram(&mut self, verdict: Verdict, bytes: Vec<u8>) -> Outcome {
        match verdict {
            Verdict::Belongs(proof) => return self.on_udp_reply(proof, bytes),
            Verdict::Truncated => {
                self.truncated = Some(bytes);
                self.turn_to_tcp(TcpReason::Truncated);
                // TCP may have been tried before, for another reason, and failed.
                return self.tcp_fault.map(|fault| Err(self.tcp_failed(fault)));
            }
            Verdict::NearMiss => self.notes.near_misses += 1,
            Verdict::Doubtful(doubt) => {
                self.notes.near_misses += 1;
                self.notes.case_mangled |= doubt == Doubt::Case;
                self.turn_to_tcp(match doubt {
                    Doubt::Case => TcpReason::CaseMangled,
                    Doubt::Malformed => TcpReason::Malformed,
                    Doubt::CookieMissing => TcpReason::CookieMissing,
                });
            }
        }
        if self.is_guessed_at() {
            self.turn_to_tcp(TcpReason::NearMisses);
        }
        if self.notes.near_misses >= NEAR_MISSES_MAX {
            self.socket = None;
        }
        self.unless_nothing_is_left()
    }

    fn on_udp_reply(&mut self, proof: Proof, bytes: Vec<u8>) -> Outcome {
        let now = Instant::now();
        let rtt = now.duration_since(self.sent);
        let socket = self.socket.take();
        if let Some(socket) = &socket {
            socket.lease.on_reply(now);
        }
        (self.notes.case_mangled, self.notes.has_cookie) = (proof.other_case, proof.has_cookie);
        let reply = self.reply(bytes, rtt, Transport::Udp);
        if self.is_guessed_at() && self.tcp.is_some() {
            self.put_aside = Some(reply);
            return None;
        }
        // After a near miss somebody knows the socket's port.
        let may_keep = proof.has_cookie && self.notes.near_misses == 0 && self.truncated.is_none();
        if let Some(socket) = socket.filter(|_| may_keep) {
            self.upstream.sockets.keep(self.ask.server, socket, now);
        }
        Some(Ok(reply))
    }

    fn reply(&self, mut bytes: Vec<u8>, rtt: Duration, transport: Transport) -> Reply {
        dns0x20::restore(&mut bytes, self.ask.question.name.as_wire());
        Reply { bytes, rtt, transport, notes: self.notes, secure: None }
    }

    fn on_udp_error(&mut self, error: &io::Error) -> Outcome {
        self.socket = None;
        // While TCP is under way, its result decides.
        if self.tcp.is_none() { Some(Err(error_of(error))) } else { None }
    }

    fn on_taken_back(&mut self) -> Outcome {
        self.socket = None;
        if self.tcp.is_none() { Some(Err(AskError::SocketLost)) } else { None }
    }

    fn on_tcp(&mut self, result: Result<Vec<u8>, TcpFault>) -> Outcome {
        self.tcp = None;
        match result {
            Ok(bytes) => {
                let rtt = self.tcp_started.elapsed();
                self.notes.has_cookie = false;
                Some(Ok(self.reply(bytes, rtt, Transport::Tcp)))
            }
            Err(fault) => {
                self.tcp_fault = Some(fault);
                if let Some(reply) = self.put_aside.take() {
                    return Some(Ok(reply));
                }
                // A truncated reply means that UDP brings no more.
                if self.truncated.is_some() {
                    return Some(Err(self.tcp_failed(fault)));
                }
                if self.is_overdue() && self.is_doubtful_without_tcp() {
                    return self.on_deadline();
                }
                self.tell_if_overdue();
                self.unless_nothing_is_left()
            }
        }
    }

    fn is_overdue(&self) -> bool {
        self.ask.overdue.is_some_and(|(after, _)| self.sent.elapsed() >= after)
    }

    /// A doubtful reply came, and TCP, which would have settled the matter, has failed. A better reply is waited for no longer than
    /// replies of this server usually take.
    fn is_doubtful_without_tcp(&self) -> bool {
        let is_doubtful = match self.notes.tcp_because {
            Some(TcpReason::CaseMangled | TcpReason::Malformed | TcpReason::CookieMissing) => true,
            Some(TcpReason::Truncated | TcpReason::NearMisses | TcpReason::Forced) | None => false,
        };
        is_doubtful && self.tcp_fault.is_some() && !self.is_guessed_at()
    }

    /// A server that led us to TCP has replied, so it is not overdue.
    fn tell_if_overdue(&self) {
        if let Some((_, overdue)) = self.ask.overdue.filter(|_| self.is_overdue()) {
            overdue.set(self.tcp.is_none() && self.put_aside.is_none());
            self.doubt_kept_sockets();
        }
    }

    /// After a silence: perhaps the route that kept sockets were connected over is gone.
    fn doubt_kept_sockets(&self) {
        if self.socket.as_ref().is_some_and(Socket::was_kept) {
            self.upstream.sockets.forget(self.ask.server);
        }
    }

    fn on_deadline(&mut self) -> Outcome {
        self.doubt_kept_sockets();
        self.socket = None;
        match self.put_aside.take() {
            Some(reply) => Some(Ok(reply)),
            None => self.unless_nothing_is_left(),
        }
    }

    /// `None` while a reply can still come.
    fn unless_nothing_is_left(&mut self) -> Outcome {
        if self.socket.is_some() || self.tcp.is_some() {
            return None;
        }
        let notes = self.notes;
        Some(Err(match self.tcp_fault {
            None => AskError::Timeout { waited: self.sent.elapsed(), notes },
            Some(_) if self.is_guessed_at() => AskError::TooManyNearMisses { notes },
            Some(fault) => self.tcp_failed(fault),
        }))
    }

    fn turn_to_tcp(&mut self, reason: TcpReason) {
        if self.notes.tcp_because.is_some() {
            return;
        }
        self.notes.tcp_because = Some(reason);
        self.tcp_started = Instant::now();
        let (connections, query, limit) = (&self.upstream.connections, self.query, self.ask.tcp_timeout);
        let (key, translator) = (Key { server: self.ask.server, tls: None }, self.ask.translator);
        self.tcp = Some(Box::pin(async move {
            let arrived = tokio::time::timeout(limit, connections.ask(&key, translator, query)).await;
            arrived.unwrap_or(Err(TcpFault::Timeout)).map(|arrived| arrived.message)
        }));
    }

    fn is_guessed_at(&self) -> bool {
        self.notes.near_misses >= self.upstream.near_misses_for_tcp
    }

    fn tcp_failed(&mut self, fault: TcpFault) -> AskError {
        AskError::TcpFailed { fault, truncated: self.truncated.take(), notes: self.notes }
    }
}

fn error_of_opening(error: OpenError) -> AskError {
    match error {
        OpenError::OwnShortage(kind) => AskError::NoSocket(kind),
        OpenError::NoRoute(error) => error_of(&error),
        OpenError::NotNeeded => AskError::NotNeeded,
    }
}

/// A full send buffer or a lack of kernel memory loses a datagram as the network may: the time-out deals with it.
fn is_not_mere_loss(error: &io::Error) -> bool {
    !is_own_shortage(error)
}

fn error_of(error: &io::Error) -> AskError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AskError::ConnectionRefused,
        kind => AskError::Unreachable(kind),
    }
}
