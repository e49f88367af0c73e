//! Sockets towards servers. Each UDP flow is connected and bound to a random port of its own, so that the kernel drops
//! what other hosts send and reports refusals (RFC 5452 9.1, 9.2).
//!
//! A new socket costs more than sending and receiving on it, and a bound port cannot be changed. But a port that the
//! kernel drew itself is given back by a disconnect, and the next connect draws another one. So where the port that
//! the caller drew lies in the range that the kernel draws from (net.ipv4.ip_local_port_range), the kernel draws in its
//! place, on a socket that was used before if there is one. A uniform choice of the caller stays uniform: each part of
//! the range is met with the same probability as before, and within its own part the kernel's draw is uniform too. Sockets on
//! other ports are made ahead on a busy thread (`sockets_ahead.rs`).
//!
//! To register a socket with the reactor costs as much as sending: two system calls, and each datagram wakes the reactor's
//! descriptor when it arrives and again when one has left. While this thread is busy, a reply has often arrived by the time
//! that the other tasks have had their turn. So a flow tries to receive then, and registers only if there is no reply.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

use super::super::net::{BoxFuture, Net, UdpFlow, is_out_of_descriptors};
use super::super::stream::Stream;
use super::sockets_ahead::SocketsAhead;
use super::syscalls::{disconnect, watch_readable};
use crate::limits::upstream::{LEFT_OVER_DATAGRAMS_MAX, SPARE_SOCKETS_MAX, VAIN_LOOKS_MAX};

/// Reports changes of the network. Used inside a tokio runtime with I/O.
pub struct RealNet {
    pace: Rc<Pace>,
    spare: Rc<SpareSockets>,
    ahead: SocketsAhead,
}

impl Default for RealNet {
    fn default() -> RealNet {
        RealNet::with_kernel_ports(kernel_port_range())
    }
}

impl Net for RealNet {
    fn udp(&self, server: SocketAddr, port: u16) -> io::Result<Box<dyn UdpFlow>> {
        Ok(Box::new(self.flow(server, port)?))
    }

    fn tcp(&self, server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

impl RealNet {
    fn with_kernel_ports(ports: RangeInclusive<u16>) -> RealNet {
        RealNet { pace: Rc::default(), spare: Rc::new(SpareSockets::new(ports)), ahead: SocketsAhead::new() }
    }

    fn flow(&self, server: SocketAddr, port: u16) -> io::Result<RealFlow> {
        let by_kernel = self.spare.kernel_ports.contains(&port);
        let socket = if by_kernel {
            let socket = match self.spare.take(server) {
                Some(socket) => socket,
                None => Rc::new(self.unbound_socket(server)?),
            };
            socket.connect(server)?;
            socket
        } else {
            let is_excluded = |port| self.spare.kernel_ports.contains(&port);
            Rc::new(self.ahead.take(server, port, is_excluded, |port| self.bound_socket(server, port))?)
        };
        let spare = by_kernel.then(|| Rc::clone(&self.spare));
        let pace = Rc::clone(&self.pace);
        Ok(RealFlow { socket, server, watched: RefCell::new(None), stage: Cell::new(Stage::Sent), pace, spare })
    }

    fn bound_socket(&self, server: SocketAddr, port: u16) -> io::Result<UdpSocket> {
        let socket = self.unbound_socket(server)?;
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
        };
        socket2::SockRef::from(&socket).bind(&local.into())?;
        Ok(socket)
    }

    fn unbound_socket(&self, server: SocketAddr) -> io::Result<UdpSocket> {
        let open = || Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking(), Some(Protocol::UDP));
        let socket = match open() {
            Err(error) if is_out_of_descriptors(&error) && (self.spare.close_all() | self.ahead.close_all()) => open()?,
            opened => opened?,
        };
        if server.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        Ok(socket.into())
    }
}

/// The range that the kernel draws ports from; empty where it does not say.
fn kernel_port_range() -> RangeInclusive<u16> {
    #[expect(clippy::reversed_empty_ranges, reason = "the empty range is meant")]
    const NONE: RangeInclusive<u16> = 1..=0;
    let Ok(text) = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range") else { return NONE };
    let mut bounds = text.split_whitespace().map(str::parse);
    match (bounds.next(), bounds.next()) {
        (Some(Ok(low)), Some(Ok(high))) => low..=high,
        _ => NONE,
    }
}

/// Sockets that were used and have given their port back.
struct SpareSockets {
    kernel_ports: RangeInclusive<u16>,
    v4: RefCell<Vec<Rc<UdpSocket>>>,
    v6: RefCell<Vec<Rc<UdpSocket>>>,
}

impl SpareSockets {
    fn new(kernel_ports: RangeInclusive<u16>) -> SpareSockets {
        SpareSockets { kernel_ports, v4: RefCell::default(), v6: RefCell::default() }
    }

    fn of(&self, server: SocketAddr) -> &RefCell<Vec<Rc<UdpSocket>>> {
        if server.is_ipv4() { &self.v4 } else { &self.v6 }
    }

    fn take(&self, server: SocketAddr) -> Option<Rc<UdpSocket>> {
        self.of(server).borrow_mut().pop()
    }

    /// Keeps the socket of a flow that has ended, without its port and with nothing left in it.
    fn put(&self, server: SocketAddr, socket: &Rc<UdpSocket>) {
        let mut spare = self.of(server).borrow_mut();
        if spare.len() < SPARE_SOCKETS_MAX && disconnect(socket.as_raw_fd()).is_ok() && is_empty(socket) {
            spare.push(Rc::clone(socket));
        }
    }

    /// Were there any?
    fn close_all(&self) -> bool {
        let closed = [&self.v4, &self.v6].map(|sockets| std::mem::take(&mut *sockets.borrow_mut()).len());
        closed != [0, 0]
    }
}

/// Throws away what waits in the socket, within reason: datagrams, and an error that was not reported yet.
fn is_empty(socket: &UdpSocket) -> bool {
    (0..=LEFT_OVER_DATAGRAMS_MAX).any(|_| socket.recv(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
}

/// Whether replies have arrived by the time that the tasks that were ready have had their turn. One for all flows of a
/// thread.
#[derive(Default)]
struct Pace {
    /// Grows with each reply that was there, shrinks with each that was not.
    score: Cell<u8>,
    /// Flows since the last one that looked although the score spoke against it.
    since_look: Cell<u8>,
}

/// On an idle thread one flow in this many looks.
const LOOK_EVERY: u8 = 16;

impl Pace {
    fn is_worth_a_look(&self) -> bool {
        let since_look = self.since_look.get() + 1;
        let worth = self.score.get() > 0 || since_look >= LOOK_EVERY;
        self.since_look.set(if worth { 0 } else { since_look });
        worth
    }

    fn looked(&self, found: bool) {
        let score = self.score.get();
        self.score.set(if found { (score + 1).min(VAIN_LOOKS_MAX) } else { score.saturating_sub(1) });
    }
}

struct RealFlow {
    socket: Rc<UdpSocket>,
    server: SocketAddr,
    /// `None` as long as nothing had to be waited for.
    watched: RefCell<Option<Watched>>,
    stage: Cell<Stage>,
    pace: Rc<Pace>,
    /// Where the socket goes when the flow ends; `None` if its port cannot be given back.
    spare: Option<Rc<SpareSockets>>,
}

impl Drop for RealFlow {
    fn drop(&mut self) {
        self.watched.get_mut().take();
        if let Some(spare) = &self.spare {
            spare.put(self.server, &self.socket);
        }
    }
}

struct Watched {
    fd: AsyncFd<Rc<UdpSocket>>,
    error_seen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// No reply has been looked for since the query left.
    Sent,
    /// The other tasks have their turn first.
    Yielded,
    /// The reactor reports what comes.
    Watched,
    /// One datagram was read. There may be more that the reactor has reported already.
    Received,
}

impl UdpFlow for RealFlow {
    /// A refusal of an earlier query is reported by the next send, which then sends nothing, so the send is repeated.
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self.socket.send(bytes) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.socket.send(bytes),
            sent => sent,
        };
        self.stage.set(Stage::Sent);
        sent.map(|_| ())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stage.get() {
                Stage::Sent if self.pace.is_worth_a_look() => {
                    *self.watched.borrow_mut() = None;
                    self.stage.set(Stage::Yielded);
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Stage::Sent => self.stage.set(Stage::Watched),
                stage @ (Stage::Yielded | Stage::Received) => {
                    let received = self.receive(into);
                    if stage == Stage::Yielded {
                        self.pace.looked(received.is_some());
                    }
                    match received {
                        Some(received) => return Poll::Ready(received),
                        None => self.stage.set(Stage::Watched),
                    }
                }
                Stage::Watched => return self.poll_watched(cx, into),
            }
        }
    }
}

impl RealFlow {
    /// A datagram or an error that has arrived, if any.
    fn receive(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            match self.socket.recv_from(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // On its way to the flow that had this socket before, while the socket changed hands.
                Ok((_, from)) if (from.ip(), from.port()) != (self.server.ip(), self.server.port()) => {}
                received => {
                    self.stage.set(Stage::Received);
                    return Some(received.map(|(len, _)| len));
                }
            }
        }
    }

    fn poll_watched(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut watched = self.watched.borrow_mut();
        let watched = match &mut *watched {
            Some(watched) => watched,
            none => none.insert(Watched { fd: watch_readable(Rc::clone(&self.socket))?, error_seen: false }),
        };
        // The reactor shows a pending error without data as the end of the writing side, which nothing else asks
        // for. That end is final, so it counts once.
        if !watched.error_seen && watched.fd.poll_write_ready(cx)?.is_ready() {
            watched.error_seen = true;
            if let Some(received) = self.receive(into) {
                return Poll::Ready(received);
            }
        }
        loop {
            let mut guard = ready!(watched.fd.poll_read_ready(cx))?;
            // Whatever was read, the reactor's report is used up: no second call is needed to learn that there is no more.
            guard.clear_ready();
            if let Some(received) = self.receive(into) {
                return Poll::Ready(received);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_flow_hears_its_server_and_nobody_else() {
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("free port");
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("free port");
        let flow = RealNet::default().flow(server.local_addr().expect("bound"), 0).expect("free port");
        flow.send(b"question").expect("loopback");
        let mut buf = [0; 64];
        let (len, from) = server.recv_from(&mut buf).await.expect("loopback");
        assert_eq!((&buf[..len], from.port()), (&b"question"[..], local_port(&flow)));
        stranger.send_to(b"forged", from).expect("loopback");
        server.send_to(b"answer", from).await.expect("loopback");
        let len = poll_fn(|cx| flow.poll_recv(cx, &mut buf)).await.expect("reply");
        assert_eq!(&buf[..len], b"answer");
    }

    #[tokio::test]
    async fn a_port_in_use_and_a_refusal_are_told_apart() {
        let taken = UdpSocket::bind("0.0.0.0:0").expect("free port");
        let port = taken.local_addr().expect("bound").port();
        let dead: SocketAddr = ([127, 0, 0, 1], port).into();
        let net = without_spares();
        assert_eq!(net.udp(dead, port).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        drop(taken);
        let flow = RealNet::default().udp(dead, 0).expect("free port");
        flow.send(b"question").expect("the first send is not refused");
        let heard = poll_fn(|cx| flow.poll_recv(cx, &mut [0; 64])).await;
        assert_eq!(heard.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionRefused));
    }

    /// Draws no ports by the kernel.
    fn without_spares() -> RealNet {
        #[expect(clippy::reversed_empty_ranges, reason = "the empty range is meant")]
        let none = 1..=0;
        RealNet::with_kernel_ports(none)
    }

    /// Whichever way a port is bound, ports are spread over the whole range, and no query sees the port of the one before.
    #[tokio::test]
    async fn ports_are_spread_over_the_whole_range() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("free port").local_addr().expect("bound");
        let (net, random) = (RealNet::default(), super::super::super::Random::from_seed(1));
        let range = || 1024 + random.below(64_512) as u16;
        let mut ports = Vec::new();
        while ports.len() < 2_000 {
            match net.flow(server, range()) {
                Ok(flow) => ports.push(local_port(&flow)),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
            }
        }
        let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
        assert!(distinct.len() >= 1_900, "{}", distinct.len());
        for eighth in 0..8 {
            let share = ports.iter().filter(|port| usize::from(**port - 1024) / 8_064 == eighth).count();
            assert!((180..330).contains(&share), "{eighth}: {share}");
        }
        let rising = ports.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((900..1_100).contains(&rising), "{rising}");
        let near = ports.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(near < 20, "{near}");
    }

    /// A reply to the query before, and a forged one to it, do not reach the query that has its socket now.
    #[tokio::test]
    async fn a_socket_that_is_used_again_has_nothing_left_in_it() {
        let net = RealNet::with_kernel_ports(1..=u16::MAX);
        let servers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("free port"));
        let at = |server: &UdpSocket| server.local_addr().expect("bound");
        let mut last_port = 0;
        for turn in 0..40 {
            let flow = net.flow(at(&servers[turn % 2]), 1024).expect("a port");
            let client = SocketAddr::from(([127, 0, 0, 1], local_port(&flow)));
            assert_ne!(client.port(), last_port);
            last_port = client.port();
            flow.send(b"question").expect("loopback");
            for reply in [&b"reply"[..], b"late"] {
                servers[turn % 2].send_to(reply, client).expect("loopback");
            }
            assert_eq!(heard(&flow).await, b"reply", "turn {turn}");
            assert!(net.spare.v4.borrow().is_empty(), "in use");
            drop(flow);
            assert_eq!(net.spare.v4.borrow().len(), 1, "turn {turn}");
        }
        assert!(net.spare.close_all() && !net.spare.close_all());
    }

    fn local_port(flow: &RealFlow) -> u16 {
        flow.socket.local_addr().expect("bound").port()
    }

    async fn heard(flow: &RealFlow) -> Vec<u8> {
        let mut buf = [0; 64];
        let len = poll_fn(|cx| flow.poll_recv(cx, &mut buf)).await.expect("a reply");
        buf[..len].to_vec()
    }

    /// A server and a flow to it, whether or not the flow looks before it watches.
    fn server_and_flow(looks: bool) -> (UdpSocket, RealFlow) {
        let (server, net) = (UdpSocket::bind("127.0.0.1:0").expect("free port"), RealNet::default());
        net.pace.score.set(if looks { VAIN_LOOKS_MAX } else { 0 });
        let flow = net.flow(server.local_addr().expect("bound"), 0).expect("free port");
        (server, flow)
    }

    #[tokio::test]
    async fn a_reply_behind_another_datagram_is_found() {
        for looks in [false, true] {
            let (server, flow) = server_and_flow(looks);
            let client = SocketAddr::from(([127, 0, 0, 1], local_port(&flow)));
            for turn in 0..3 {
                flow.send(b"question").expect("loopback");
                let replies: &[&[u8]] = if turn == 0 { &[b"first", b"late"] } else { &[b"reply"] };
                replies.iter().for_each(|reply| assert_eq!(server.send_to(reply, client).expect("loopback"), reply.len()));
                match turn {
                    0 => assert_eq!(heard(&flow).await, b"first"),
                    1 => assert_eq!((heard(&flow).await, heard(&flow).await), (b"late".to_vec(), b"reply".to_vec())),
                    _ => assert_eq!(heard(&flow).await, b"reply"),
                }
                assert_eq!(flow.watched.borrow().is_none(), looks, "turn {turn}");
            }
        }
    }

    #[tokio::test]
    async fn busy_flows_are_not_watched_and_idle_ones_are() {
        let (server, net) = (UdpSocket::bind("127.0.0.1:0").expect("free port"), RealNet::default());
        let turn = async |replies_first: bool| {
            let flow = net.flow(server.local_addr().expect("bound"), 0).expect("free port");
            let client = SocketAddr::from(([127, 0, 0, 1], local_port(&flow)));
            flow.send(b"question").expect("loopback");
            let reply = || assert_eq!(server.send_to(b"reply", client).expect("loopback"), 5);
            if replies_first {
                reply();
            } else {
                let polled = async || poll_fn(|cx| Poll::Ready(flow.poll_recv(cx, &mut [0; 64]).is_pending())).await;
                assert!(polled().await && polled().await, "nothing is there");
                reply();
            }
            assert_eq!(heard(&flow).await, b"reply");
            flow.watched.borrow().is_some()
        };
        for at in 1..=u32::from(LOOK_EVERY) {
            assert_eq!(turn(true).await, at < u32::from(LOOK_EVERY), "only the last one looks: {at}");
        }
        for _ in 0..VAIN_LOOKS_MAX {
            assert!(!turn(true).await);
        }
        for _ in 0..2 * VAIN_LOOKS_MAX {
            assert!(turn(false).await, "what is not there is waited for");
        }
        assert!(turn(true).await, "idle again");
    }

    #[tokio::test]
    async fn a_refusal_is_heard_on_and_off_watch() {
        for looks in [false, true] {
            let (server, flow) = server_and_flow(looks);
            drop(server);
            flow.send(b"question").expect("the first send is not refused");
            let heard = poll_fn(|cx| flow.poll_recv(cx, &mut [0; 64])).await;
            assert_eq!(heard.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionRefused));
        }
    }

    #[tokio::test]
    async fn tcp_connects() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let connecting = RealNet::default().tcp(listener.local_addr().expect("bound"));
        let (accepted, connected) = tokio::join!(listener.accept(), connecting);
        accepted.expect("loopback").0.write_all(b"hello").await.expect("open");
        let mut buf = [0; 5];
        connected.expect("loopback").read_exact(&mut buf).await.expect("open");
        assert_eq!(&buf, b"hello");
    }
}
