//! The ways out to servers. Each UDP flow is a fresh socket on a port of its own, connected, so that the kernel
//! drops what other hosts send and tells of refusals (RFC 5452 9.1: a new random port for each query).
//!
//! A socket on watch costs: to register and to take off, and each datagram wakes the reactor's descriptor when it comes
//! and again when one has left, all in all as much as sending. While this thread is busy a reply is there by the time
//! that others have had their turn, so it is looked for then, and only a flow that finds nothing goes on watch.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

use super::super::net::{BoxFuture, Net, Stream, UdpFlow};
use super::syscalls::watch_readable;

/// To be used inside a tokio runtime with I/O.
#[derive(Default)]
pub struct RealNet {
    pace: Rc<Pace>,
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
    fn flow(&self, server: SocketAddr, port: u16) -> io::Result<RealFlow> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, port).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, port).into(),
        };
        let socket = Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if server.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&local.into())?;
        socket.connect(&server.into())?;
        let (socket, pace) = (Rc::new(socket.into()), Rc::clone(&self.pace));
        Ok(RealFlow { socket, watched: RefCell::new(None), stage: Cell::new(Stage::Sent), pace })
    }
}

/// Are replies there when the tasks that were ready have had their turn? One for all flows of a thread.
#[derive(Default)]
struct Pace {
    /// Grows with each reply that was there, shrinks with each that was not.
    score: Cell<u8>,
    /// Flows since the last one that looked although the score spoke against it.
    since_look: Cell<u8>,
}

/// A thread that becomes idle looks in vain so many times.
const SCORE_MAX: u8 = 8;
/// Of an idle thread's flows one in so many looks.
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
        self.score.set(if found { (score + 1).min(SCORE_MAX) } else { score.saturating_sub(1) });
    }
}

struct RealFlow {
    socket: Rc<UdpSocket>,
    /// `None` as long as nothing had to be waited for.
    watched: RefCell<Option<Watched>>,
    stage: Cell<Stage>,
    pace: Rc<Pace>,
}

struct Watched {
    fd: AsyncFd<Rc<UdpSocket>>,
    error_seen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Nothing has been looked for since the query left.
    Sent,
    /// Others have their turn first.
    Yielded,
    /// The reactor tells.
    Watched,
    /// What came was read without looking for more: there may be some of which the reactor has told already.
    Received,
}

impl UdpFlow for RealFlow {
    /// A refusal of an earlier query is reported by the next send, which then has sent nothing: it is repeated.
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

    fn local_port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |local| local.port())
    }
}

impl RealFlow {
    /// What is there; `None` if nothing is.
    fn receive(&self, into: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            match self.socket.recv(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => {
                    self.stage.set(Stage::Received);
                    return Some(received);
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
        // A pending error without data is shown by the reactor as the end of the writing side, which is never
        // asked for otherwise. That end is final, so it counts once.
        if !watched.error_seen && watched.fd.poll_write_ready(cx)?.is_ready() {
            watched.error_seen = true;
            if let Some(received) = self.receive(into) {
                return Poll::Ready(received);
            }
        }
        loop {
            let mut guard = ready!(watched.fd.poll_read_ready(cx))?;
            // Read or not, what the reactor told is used up: no call is needed only to hear that there is no more.
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
        let flow = RealNet::default().udp(server.local_addr().expect("bound"), 0).expect("free port");
        flow.send(b"question").expect("loopback");
        let mut buf = [0; 64];
        let (len, from) = server.recv_from(&mut buf).await.expect("loopback");
        assert_eq!((&buf[..len], from.port()), (&b"question"[..], flow.local_port()));
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
        assert_eq!(RealNet::default().udp(dead, port).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        drop(taken);
        let flow = RealNet::default().udp(dead, 0).expect("free port");
        flow.send(b"question").expect("the first send is not refused");
        let heard = poll_fn(|cx| flow.poll_recv(cx, &mut [0; 64])).await;
        assert_eq!(heard.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionRefused));
    }

    async fn heard(flow: &RealFlow) -> Vec<u8> {
        let mut buf = [0; 64];
        let len = poll_fn(|cx| flow.poll_recv(cx, &mut buf)).await.expect("a reply");
        buf[..len].to_vec()
    }

    /// A server and a flow to it, whether or not the flow looks before it watches.
    fn server_and_flow(looks: bool) -> (UdpSocket, RealFlow) {
        let (server, net) = (UdpSocket::bind("127.0.0.1:0").expect("free port"), RealNet::default());
        net.pace.score.set(if looks { SCORE_MAX } else { 0 });
        let flow = net.flow(server.local_addr().expect("bound"), 0).expect("free port");
        (server, flow)
    }

    #[tokio::test]
    async fn a_reply_behind_another_datagram_is_found() {
        for looks in [false, true] {
            let (server, flow) = server_and_flow(looks);
            let client = SocketAddr::from(([127, 0, 0, 1], flow.local_port()));
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
            let client = SocketAddr::from(([127, 0, 0, 1], flow.local_port()));
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
        for _ in 0..SCORE_MAX {
            assert!(!turn(true).await);
        }
        for _ in 0..2 * SCORE_MAX {
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
