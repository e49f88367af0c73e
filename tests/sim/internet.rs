//! The wires: packets with delay, loss, duplicates and forgeries between one resolver and whatever stands behind
//! each address. No task of its own: a reply waits in its receiver's inbox until its time has come, so the order
//! of events follows from the seed alone.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cairn::config::TranslationPrefix;
use cairn::env::{BoxFuture, Net, Random, Secured, Stream, TlsFacts, UdpFlow};
use cairn::record::{Name, Rtype};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::packet::{AA, Packet, QR};
use super::record::Rr;

/// The way to one address.
#[derive(Clone, Debug)]
pub struct Link {
    /// One way.
    pub delay: Duration,
    /// At most this much more, drawn for each packet, so that packets overtake each other.
    pub jitter: Duration,
    /// Chance of each packet, each way.
    pub loss: f64,
    pub duplicate: f64,
    /// The host says that nothing listens on the port.
    pub closed: bool,
    pub tcp: Tcp,
    pub forger: Forger,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Tcp {
    Open,
    /// Refused at once.
    Closed,
    /// Accepted, and closed after the first reply.
    OneReply,
    /// No sign of life.
    Filtered,
}

/// An attacker who sees that a query is in flight, knows its port, and sends a reply that arrives first.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Forger {
    None,
    /// Everything matches but the message ID; this many packets.
    GuessesId(u32),
    /// The ID is right, the question's letter case is not.
    GuessesCase,
    /// The ID is right, the question is another one.
    OtherQuestion,
    /// Everything is right, except that there is no cookie.
    LacksCookie,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            delay: Duration::from_millis(5),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            closed: false,
            tcp: Tcp::Open,
            forger: Forger::None,
        }
    }
}

/// A query that has come to an address.
pub struct Arrival {
    pub to: SocketAddr,
    pub tcp: bool,
    pub wire: Vec<u8>,
    pub reply: Reply,
}

/// The servers behind the addresses.
pub trait Behind {
    /// `None`: there is no server at this address.
    fn link(&self, to: IpAddr) -> Option<Link>;

    /// Answers now or later, through `arrival.reply`, or not at all. The text is for the log.
    fn receive(&self, arrival: Arrival) -> String;
}

/// One query as it left the resolver.
#[derive(Clone)]
pub struct Seen {
    pub at: Duration,
    pub to: SocketAddr,
    pub from_port: u16,
    pub tcp: bool,
    /// `None`: not a message.
    pub query: Option<Packet>,
    /// What became of it.
    pub outcome: String,
}

impl Seen {
    pub fn name(&self) -> Name {
        self.query.as_ref().and_then(|query| query.question.as_ref()).map_or(Name::root(), |asked| asked.name.clone())
    }

    pub fn rtype(&self) -> Rtype {
        self.query.as_ref().and_then(|query| query.question.as_ref()).map_or(Rtype(0), |asked| asked.rtype)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.tcp { "tcp" } else { "udp" };
        write!(f, "{:9.3} s {way} {} {} {}: {}", self.at.as_secs_f64(), self.to, self.name(), self.rtype(), self.outcome)
    }
}

/// Cheap to clone; all clones are the same internet.
#[derive(Clone)]
pub struct Internet(Rc<Wires>);

struct Wires {
    behind: Rc<dyn Behind>,
    random: Random,
    log: RefCell<Vec<Seen>>,
    start: Instant,
    ports: RefCell<HashSet<u16>>,
    /// The resolver's own host has no address of that family.
    without_ipv4: Cell<bool>,
    without_ipv6: Cell<bool>,
    /// What is sent behind this prefix comes to the IPv4 address in it (NAT64).
    translator: Cell<Option<TranslationPrefix>>,
    /// How many sockets the resolver's host has, and the error of the system for one more.
    sockets: Cell<Option<(usize, i32)>>,
    most_open: Cell<usize>,
}

impl Internet {
    /// Inside the world's runtime.
    pub fn new(behind: Rc<dyn Behind>, seed: u64) -> Internet {
        Internet(Rc::new(Wires {
            behind,
            random: Random::from_seed(seed),
            log: RefCell::default(),
            start: Instant::now(),
            ports: RefCell::default(),
            without_ipv4: Cell::new(false),
            without_ipv6: Cell::new(false),
            translator: Cell::new(None),
            sockets: Cell::new(None),
            most_open: Cell::new(0),
        }))
    }

    pub fn log(&self) -> Vec<Seen> {
        self.0.log.borrow().clone()
    }

    pub fn each_seen(&self, look: &mut dyn FnMut(&Seen)) {
        self.0.log.borrow().iter().for_each(look);
    }

    /// The time that the log shows.
    pub fn now(&self) -> Duration {
        self.0.start.elapsed()
    }

    pub fn forget_log(&self) {
        self.0.log.borrow_mut().clear();
    }

    /// Sockets that are open now.
    pub fn open_ports(&self) -> usize {
        self.0.ports.borrow().len()
    }

    /// The most that have been open at a time.
    pub fn most_open_ports(&self) -> usize {
        self.0.most_open.get()
    }

    pub fn set_sockets(&self, count: usize, error: i32) {
        self.0.sockets.set(Some((count, error)));
    }

    pub fn set_families(&self, ipv4: bool, ipv6: bool) {
        self.0.without_ipv4.set(!ipv4);
        self.0.without_ipv6.set(!ipv6);
    }

    pub fn set_translator(&self, prefix: Option<TranslationPrefix>) {
        self.0.translator.set(prefix);
    }
}

impl Wires {
    fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && f64::from(self.random.u32()) < probability * f64::from(u32::MAX)
    }

    fn delay(&self, link: &Link) -> Duration {
        let jitter_us = self.random.below(link.jitter.as_micros() as usize + 1);
        link.delay + Duration::from_micros(jitter_us as u64)
    }

    fn unreachable(&self, server: SocketAddr) -> bool {
        if server.is_ipv4() { self.without_ipv4.get() } else { self.without_ipv6.get() }
    }

    /// Who receives what is sent to this address.
    fn host(&self, to: SocketAddr) -> SocketAddr {
        let IpAddr::V6(v6) = to.ip() else { return to };
        let v4 = self.translator.get().and_then(|prefix| prefix.extract(v6));
        v4.map_or(to, |v4| SocketAddr::new(v4.into(), to.port()))
    }

    fn note(&self, to: SocketAddr, from_port: u16, tcp: bool, wire: &[u8], outcome: String) {
        let at = self.start.elapsed();
        self.log.borrow_mut().push(Seen { at, to, from_port, tcp, query: Packet::decode(wire), outcome });
    }
}

/// The way back of one query. Can be kept for later.
pub struct Reply {
    wires: Rc<Wires>,
    link: Link,
    inbox: Rc<Inbox>,
    /// When the query arrived.
    arrived: Instant,
    tcp: bool,
}

impl Reply {
    pub fn send(&self, wire: Vec<u8>) {
        let depart = self.arrived.max(Instant::now());
        if self.tcp {
            let framed = [&(wire.len() as u16).to_be_bytes()[..], &wire].concat();
            self.inbox.put(depart + self.link.delay, framed);
            if self.link.tcp == Tcp::OneReply {
                self.inbox.put(depart + self.link.delay, Vec::new());
            }
            return;
        }
        let copies = 1 + usize::from(self.wires.chance(self.link.duplicate));
        for _ in 0..copies {
            if !self.wires.chance(self.link.loss) {
                self.inbox.put(depart + self.wires.delay(&self.link), wire.clone());
            }
        }
    }
}

/// When it arrives, in which order it was sent, and what.
type Due = (Instant, u64, Vec<u8>);

/// Packets on their way to one receiver, by the time they arrive.
#[derive(Default)]
struct Inbox {
    queue: RefCell<BinaryHeap<Reverse<Due>>>,
    count: Cell<u64>,
    waker: RefCell<Option<Waker>>,
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl Inbox {
    fn put(&self, at: Instant, bytes: Vec<u8>) {
        self.count.set(self.count.get() + 1);
        self.queue.borrow_mut().push(Reverse((at, self.count.get(), bytes)));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        loop {
            let next = self.queue.borrow().peek().map(|Reverse((at, ..))| *at);
            match next {
                Some(at) if at <= Instant::now() => {
                    let Some(Reverse((_, _, bytes))) = self.queue.borrow_mut().pop() else { continue };
                    return Poll::Ready(bytes);
                }
                Some(at) => {
                    let mut timer = Box::pin(sleep_until(at));
                    if timer.as_mut().poll(cx).is_ready() {
                        continue;
                    }
                    *self.timer.borrow_mut() = Some(timer);
                }
                None => *self.timer.borrow_mut() = None,
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
    }
}

impl Net for Internet {
    fn udp(&self, server: SocketAddr, port: u16) -> io::Result<Box<dyn UdpFlow>> {
        if self.0.unreachable(server) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let mut ports = self.0.ports.borrow_mut();
        let port = if port == 0 { (0..).map(|_| self.0.random.u16().max(1024)).find(|p| !ports.contains(p)).unwrap_or(0) } else { port };
        if let Some((_, error)) = self.0.sockets.get().filter(|(count, _)| ports.len() >= *count) {
            return Err(io::Error::from_raw_os_error(error));
        }
        if !ports.insert(port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.0.most_open.set(self.0.most_open.get().max(ports.len()));
        Ok(Box::new(Flow { wires: self.0.clone(), server, port, inbox: Rc::default(), refused: Rc::default() }))
    }

    fn tcp(&self, server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        let wires = self.0.clone();
        Box::pin(async move {
            if wires.unreachable(server) {
                return Err(io::ErrorKind::NetworkUnreachable.into());
            }
            let link = wires.behind.link(wires.host(server).ip()).filter(|link| link.tcp != Tcp::Filtered);
            let Some(link) = link else {
                wires.note(server, 0, true, &[], "no answer to the connection".into());
                sleep(Duration::from_secs(127)).await;
                return Err(io::ErrorKind::TimedOut.into());
            };
            sleep(link.delay * 2).await;
            if link.tcp == Tcp::Closed || link.closed {
                wires.note(server, 0, true, &[], "connection refused".into());
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let stream = Connection { wires, link, server, inbox: Rc::default(), written: Vec::new(), unread: Vec::new(), ended: false };
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    /// Octets pass as they are. The certificates of servers below `expired.` have expired, all others are right.
    fn secure(&self, stream: Box<dyn Stream>, name: ServerName<'static>, _: Arc<ClientConfig>) -> BoxFuture<'static, io::Result<Secured>> {
        let is_expired = name.to_str().ends_with(".expired");
        Box::pin(async move {
            if is_expired {
                return Err(io::Error::other(rustls::Error::InvalidCertificate(CertificateError::Expired)));
            }
            let facts = TlsFacts { version: "TLS 1.3", group: Some("X25519MLKEM768".to_owned()), protocol: None, resumed: false };
            Ok(Secured { stream, facts })
        })
    }
}

struct Flow {
    wires: Rc<Wires>,
    server: SocketAddr,
    port: u16,
    inbox: Rc<Inbox>,
    refused: Rc<Inbox>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.wires.ports.borrow_mut().remove(&self.port);
    }
}

impl UdpFlow for Flow {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        if self.wires.unreachable(self.server) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let wires = &self.wires;
        let note = |outcome: String| wires.note(self.server, self.port, false, bytes, outcome);
        let Some(link) = wires.behind.link(wires.host(self.server).ip()) else {
            note("nobody there".into());
            return Ok(());
        };
        let now = Instant::now();
        if link.closed {
            self.refused.put(now + link.delay * 2, Vec::new());
            note("port closed".into());
            return Ok(());
        }
        for forged in forge(link.forger, bytes, &wires.random) {
            self.inbox.put(now + link.delay, forged);
        }
        let arrivals = 1 + usize::from(wires.chance(link.duplicate));
        for copy in 0..arrivals {
            let (lost, arrived) = (wires.chance(link.loss), now + wires.delay(&link));
            let outcome = if lost {
                "lost on the way".into()
            } else {
                let reply = Reply { wires: wires.clone(), link: link.clone(), inbox: self.inbox.clone(), arrived, tcp: false };
                wires.behind.receive(Arrival { to: wires.host(self.server), tcp: false, wire: bytes.to_vec(), reply })
            };
            if copy == 0 {
                note(outcome);
            }
        }
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.refused.poll_take(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        self.inbox.poll_take(cx).map(|packet| {
            let len = packet.len().min(into.len());
            into[..len].copy_from_slice(&packet[..len]);
            Ok(len)
        })
    }
}

/// Forged replies to this query: each would send the client to 203.0.113.66.
fn forge(forger: Forger, query: &[u8], random: &Random) -> Vec<Vec<u8>> {
    let Some(query) = Packet::decode(query) else { return Vec::new() };
    let mut forged = query.reply();
    forged.flags |= QR | AA;
    let Some(asked) = forged.question.as_mut() else { return Vec::new() };
    let owner = asked.name.clone();
    let count = match forger {
        Forger::None => return Vec::new(),
        Forger::LacksCookie => 1,
        Forger::GuessesId(count) => count,
        Forger::GuessesCase => {
            let Some(letter) = asked.wire.iter_mut().find(|b| b.is_ascii_alphabetic()) else { return Vec::new() };
            *letter ^= 0x20;
            1
        }
        Forger::OtherQuestion => {
            *asked = super::packet::Asked::new(&Name::parse("forged.example.").expect("a name"), asked.rtype);
            1
        }
    };
    forged.answer = vec![Rr::new(&owner, Rtype::A, 86_400, vec![203, 0, 113, 66])];
    let wrong_id = |forged: &mut Packet| {
        if let Forger::GuessesId(_) = forger {
            forged.id = query.id ^ (1 + random.below(0xfffe) as u16);
        }
    };
    let mut all = Vec::new();
    for _ in 0..count {
        wrong_id(&mut forged);
        all.push(forged.encode());
    }
    all
}

struct Connection {
    wires: Rc<Wires>,
    link: Link,
    server: SocketAddr,
    inbox: Rc<Inbox>,
    /// What the resolver wrote and the server has not read as a whole message yet.
    written: Vec<u8>,
    unread: Vec<u8>,
    ended: bool,
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.written.extend_from_slice(bytes);
        while let [high, low, rest @ ..] = &this.written[..] {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(wire) = rest.get(..len).map(<[u8]>::to_vec) else { break };
            this.written.drain(..2 + len);
            let arrived = Instant::now() + this.link.delay;
            let reply = Reply { wires: this.wires.clone(), link: this.link.clone(), inbox: this.inbox.clone(), arrived, tcp: true };
            let outcome = this.wires.behind.receive(Arrival { to: this.wires.host(this.server), tcp: true, wire: wire.clone(), reply });
            this.wires.note(this.server, 0, true, &wire, outcome);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.unread.is_empty() && !this.ended {
            match this.inbox.poll_take(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(bytes) if bytes.is_empty() => this.ended = true,
                Poll::Ready(bytes) => this.unread = bytes,
            }
        }
        // In pieces of any size: the reader must put them together.
        let most = this.unread.len().min(into.remaining());
        let piece = if most > 1 { 1 + this.wires.random.below(most) } else { most };
        into.put_slice(&this.unread[..piece]);
        this.unread.drain(..piece);
        Poll::Ready(Ok(()))
    }
}
