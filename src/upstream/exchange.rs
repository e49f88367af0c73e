//! One exchange with one server.
//!
//! The question goes out by UDP. Then, until the time-out:
//! - a reply that belongs is the answer;
//! - a datagram that does not is a near miss: counted, dropped, and the wait goes on (RFC 5452 9.1);
//! - a truncated reply, a doubtful one (right ID, but letter case, cookie or framing are not), or the third
//!   near miss makes us ask over TCP *as well*: who sent the odd datagram need not be the server.
//!
//! From the third near miss on somebody is guessing at this very socket, so a UDP reply that fits is then
//! only held, and used if TCP does not deliver.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::dns0x20;
use super::matching::{Doubt, Verdict, judge};
use super::query::{EdnsOut, Query};
use super::sockets::{OpenError, Socket, Sockets};
use super::tcp::{Connections, TcpFault};
use crate::config::Limits;
use crate::env::{BoxFuture, Net, Random};
use crate::record::Question;

/// From here on nothing that comes by UDP is believed: each guess at a known port has a chance of 2^-16.
const NEAR_MISSES_MAX: u16 = 32;
/// The largest UDP payload there can be, so that no datagram is ever cut.
const DATAGRAM_BYTES_MAX: usize = 65_535;

impl Upstream {
    /// The caller has made sure by `may_ask` that the server may be asked at all. Dropping the future gives
    /// the question up; its socket is closed.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, AskError> {
        let query = Query::new(ask, &self.random);
        let mut exchange = Exchange::new(self, ask, &query);
        if ask.force_tcp {
            exchange.turn_to_tcp(TcpReason::Forced);
        } else {
            exchange.send()?;
        }
        let first_look = ask.overdue.map_or(ask.timeout, |(after, _)| after.min(ask.timeout));
        let mut deadline = pin!(tokio::time::sleep_until(exchange.sent + first_look));
        loop {
            let outcome = match exchange.next_event(deadline.as_mut()).await {
                Event::Datagram(verdict, bytes) => exchange.on_datagram(verdict, bytes),
                Event::UdpBroke(error) => exchange.on_udp_error(&error),
                Event::Tcp(result) => exchange.on_tcp(result),
                Event::Deadline if exchange.sent.elapsed() < ask.timeout => {
                    exchange.say_if_overdue();
                    deadline.as_mut().reset(exchange.sent + ask.timeout);
                    None
                }
                Event::Deadline => exchange.on_deadline(),
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }
}

/// One per worker.
pub struct Upstream {
    random: Rc<Random>,
    sockets: Rc<Sockets>,
    connections: Connections,
    /// From here on TCP is asked too and preferred.
    near_misses_for_tcp: u16,
    /// Where datagrams arrive; borrowed only within one poll.
    scratch: RefCell<Vec<u8>>,
}

impl Upstream {
    pub fn new(net: Rc<dyn Net>, random: Rc<Random>, limits: &Limits) -> Upstream {
        Upstream {
            sockets: Rc::new(Sockets::new(Rc::clone(&net), Rc::clone(&random))),
            connections: Connections::new(net, Rc::clone(&random)),
            random,
            near_misses_for_tcp: u16::try_from(limits.near_misses_per_query).unwrap_or(u16::MAX),
            scratch: RefCell::new(vec![0; DATAGRAM_BYTES_MAX]),
        }
    }

    /// Does the kernel know a way there? Nothing is sent.
    pub fn has_route(&self, server: SocketAddr) -> bool {
        self.sockets.has_route(server)
    }

    /// Links or routes have changed: what was connected before may leave from an address that is gone.
    pub fn forget_connections(&self) {
        self.sockets.close_kept();
        self.connections.retire_all();
    }
}

#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub server: SocketAddr,
    pub question: &'a Question,
    pub recursion_desired: bool,
    pub checking_disabled: bool,
    /// `None`: no OPT at all, for servers that cannot bear one.
    pub edns: Option<EdnsOut<'a>>,
    /// Mix the letter case of the name and insist on getting it back ("0x20"); not for servers that fold it.
    pub randomise_case: bool,
    /// For the UDP exchange.
    pub timeout: Duration,
    /// Says after a shorter time that the reply is overdue. It is waited for all the same.
    pub overdue: Option<(Duration, &'a Cell<bool>)>,
    /// For the TCP exchange, connecting included.
    pub tcp_timeout: Duration,
    pub force_tcp: bool,
}

#[derive(Clone, Debug)]
pub struct Reply {
    /// The question of this message is the one that was asked (or missing, in a bare error); over UDP the
    /// framing was checked, the rest is as the server sent it.
    pub bytes: Vec<u8>,
    /// From sending over the transport that brought the reply; over TCP this may include connecting.
    pub rtt: Duration,
    pub transport: Transport,
    pub notes: Notes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Udp,
    Tcp,
}

/// What is worth knowing about an exchange besides its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// Datagrams on our socket that were not the reply.
    pub near_misses: u16,
    pub tcp_because: Option<TcpReason>,
    /// By UDP only a reply with other letter case came: ask this server without `randomise_case`.
    pub case_mangled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
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

/// Why TCP was asked, as the end of a sentence that begins with "because".
impl std::fmt::Display for TcpReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TcpReason::Truncated => "the reply by UDP was truncated",
            TcpReason::NearMisses => "replies came by UDP that somebody may have forged",
            TcpReason::CaseMangled => "a reply came by UDP with other letter case than the question",
            TcpReason::Malformed => "the reply by UDP was no whole message",
            TcpReason::CookieMissing => "a reply came by UDP without the cookie that this server sends",
            TcpReason::Forced => "UDP was not to be used",
        })
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AskError {
    Timeout {
        waited: Duration,
        notes: Notes,
    },
    /// The server's host says that nobody listens on the port.
    ConnectionRefused,
    /// Our own system knows no way to the address, or forbids it.
    Unreachable(io::ErrorKind),
    /// TCP was needed and did not work. `truncated` is the reply that sent us there, if one did.
    TcpFailed {
        fault: TcpFault,
        truncated: Option<Vec<u8>>,
        notes: Notes,
    },
    /// Somebody guesses at our socket, and TCP did not work either.
    TooManyNearMisses {
        notes: Notes,
    },
    /// Not the server's fault: out of file descriptors or ports.
    NoSocket(io::ErrorKind),
}

impl AskError {
    pub fn notes(&self) -> Notes {
        match self {
            AskError::Timeout { notes, .. } | AskError::TcpFailed { notes, .. } | AskError::TooManyNearMisses { notes } => *notes,
            AskError::ConnectionRefused | AskError::Unreachable(_) | AskError::NoSocket(_) => Notes::default(),
        }
    }
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AskError::Timeout { waited, .. } => write!(f, "no reply within {} ms", waited.as_millis()),
            AskError::ConnectionRefused => f.write_str("nothing listens there (port closed)"),
            AskError::Unreachable(kind) => write!(f, "cannot be reached from here ({kind})"),
            AskError::TcpFailed { fault, truncated: Some(_), .. } => write!(f, "the reply was truncated and TCP failed: {fault}"),
            AskError::TcpFailed { fault, notes, .. } => match notes.tcp_because {
                Some(reason) => write!(f, "{reason}, and TCP failed: {fault}"),
                None => write!(f, "TCP failed: {fault}"),
            },
            AskError::TooManyNearMisses { notes } => write!(f, "{} replies did not match the query, and TCP failed", notes.near_misses),
            AskError::NoSocket(kind) => write!(f, "no socket could be opened ({kind})"),
        }
    }
}

impl std::error::Error for AskError {}

enum Event {
    Datagram(Verdict, Vec<u8>),
    UdpBroke(io::Error),
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
    /// A UDP reply that belongs, but came amid too many that did not.
    held: Option<Reply>,
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
            held: None,
        }
    }

    fn send(&mut self) -> Result<(), AskError> {
        let (sockets, server) = (&self.upstream.sockets, self.ask.server);
        let mut socket = sockets.take(server, self.sent).map_err(error_of_opening)?;
        let mut result = socket.flow.send(self.query.bytes());
        if socket.was_kept() && result.as_ref().is_err_and(is_not_mere_loss) {
            // It may tell of an earlier query, or the address that the socket left from is gone; either way this
            // datagram was not sent.
            sockets.forget(server);
            socket = sockets.open(server, self.sent).map_err(error_of_opening)?;
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
            let waits_for_udp = self.socket.is_some() || self.held.is_some();
            if waits_for_udp && deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Deadline);
            }
            Poll::Pending
        })
        .await
    }

    fn poll_datagram(&self, socket: &Socket, cx: &mut Context<'_>) -> Poll<Event> {
        let mut scratch = self.upstream.scratch.borrow_mut();
        socket.flow.poll_recv(cx, &mut scratch).map(|received| match received {
            Err(error) => Event::UdpBroke(error),
            Ok(len) => {
                let datagram = scratch.get(..len).unwrap_or_default();
                let verdict = judge(self.query, datagram);
                let wanted = matches!(verdict, Verdict::Belongs | Verdict::Truncated);
                Event::Datagram(verdict, if wanted { datagram.to_vec() } else { Vec::new() })
            }
        })
    }

    fn on_datagram(&mut self, verdict: Verdict, bytes: Vec<u8>) -> Outcome {
        match verdict {
            Verdict::Belongs => return self.on_udp_reply(bytes),
            Verdict::Truncated => {
                self.truncated = Some(bytes);
                self.turn_to_tcp(TcpReason::Truncated);
                // Asked and failed before, for another reason.
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

    fn on_udp_reply(&mut self, bytes: Vec<u8>) -> Outcome {
        let now = Instant::now();
        let rtt = now.duration_since(self.sent);
        let socket = self.socket.take();
        self.notes.case_mangled = false;
        let reply = self.reply(bytes, rtt, Transport::Udp);
        if self.is_guessed_at() && self.tcp.is_some() {
            self.held = Some(reply);
            return None;
        }
        // After a near miss the socket is known to somebody: it is not used again.
        if let Some(socket) = socket.filter(|_| self.notes.near_misses == 0 && self.truncated.is_none()) {
            self.upstream.sockets.keep(self.ask.server, socket, now);
        }
        Some(Ok(reply))
    }

    fn reply(&self, mut bytes: Vec<u8>, rtt: Duration, transport: Transport) -> Reply {
        dns0x20::restore(&mut bytes, self.ask.question.name.as_wire());
        Reply { bytes, rtt, transport, notes: self.notes }
    }

    fn on_udp_error(&mut self, error: &io::Error) -> Outcome {
        self.socket = None;
        // While TCP is under way it decides.
        if self.tcp.is_none() { Some(Err(error_of(error))) } else { None }
    }

    fn on_tcp(&mut self, result: Result<Vec<u8>, TcpFault>) -> Outcome {
        self.tcp = None;
        match result {
            Ok(bytes) => {
                let rtt = self.tcp_started.elapsed();
                Some(Ok(self.reply(bytes, rtt, Transport::Tcp)))
            }
            Err(fault) => {
                self.tcp_fault = Some(fault);
                if let Some(held) = self.held.take() {
                    return Some(Ok(held));
                }
                // A truncated reply is the server's word that UDP brings no more.
                if self.truncated.is_some() {
                    return Some(Err(self.tcp_failed(fault)));
                }
                self.say_if_overdue();
                self.unless_nothing_is_left()
            }
        }
    }

    /// Where TCP is under way the server has shown that it is there.
    fn say_if_overdue(&self) {
        if let Some((after, overdue)) = self.ask.overdue
            && self.sent.elapsed() >= after
        {
            overdue.set(self.tcp.is_none() && self.held.is_none());
            self.doubt_kept_sockets();
        }
    }

    /// After a silence: perhaps the way that kept sockets were connected over is gone.
    fn doubt_kept_sockets(&self) {
        if self.socket.as_ref().is_some_and(Socket::was_kept) {
            self.upstream.sockets.forget(self.ask.server);
        }
    }

    fn on_deadline(&mut self) -> Outcome {
        self.doubt_kept_sockets();
        self.socket = None;
        match self.held.take() {
            Some(held) => Some(Ok(held)),
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
        let (connections, server, query, limit) = (&self.upstream.connections, self.ask.server, self.query, self.ask.tcp_timeout);
        self.tcp =
            Some(Box::pin(
                async move { tokio::time::timeout(limit, connections.ask(server, query)).await.unwrap_or(Err(TcpFault::Timeout)) },
            ));
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
        OpenError::Ours(kind) => AskError::NoSocket(kind),
        OpenError::NoWay(error) => error_of(&error),
    }
}

/// A full send buffer loses a datagram as the network may: the time-out deals with it.
fn is_not_mere_loss(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::WouldBlock
}

fn error_of(error: &io::Error) -> AskError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AskError::ConnectionRefused,
        kind => AskError::Unreachable(kind),
    }
}
