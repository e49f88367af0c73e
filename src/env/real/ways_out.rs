//! The ways out to servers. Each UDP flow is a fresh socket on a port of its own, connected, so that the kernel
//! drops what other hosts send and tells of refusals (RFC 5452 9.1: a new random port for each query).
//!
//! A socket is registered with the reactor only when its reply is waited for, after the query has left, and
//! only for reading: both were measured to be cheaper than the usual order.

use std::cell::{Cell, OnceCell};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

use super::super::net::{BoxFuture, Net, Stream, UdpFlow};
use super::kernel::watch_readable;

/// To be used inside a tokio runtime with I/O.
pub struct RealNet;

impl Net for RealNet {
    fn udp(&self, server: SocketAddr, port: u16) -> io::Result<Box<dyn UdpFlow>> {
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
        Ok(Box::new(RealFlow { ready: OnceCell::new(), socket: Rc::new(socket.into()), error_seen: Cell::new(false) }))
    }

    fn tcp(&self, server: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

struct RealFlow {
    ready: OnceCell<AsyncFd<Rc<UdpSocket>>>,
    socket: Rc<UdpSocket>,
    error_seen: Cell<bool>,
}

impl UdpFlow for RealFlow {
    /// A refusal of an earlier query is reported by the next send, which then has sent nothing: it is repeated.
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self.socket.send(bytes) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => self.socket.send(bytes),
            sent => sent,
        };
        sent.map(|_| ())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let registered = match self.ready.get() {
            Some(registered) => registered,
            None => {
                let registered = watch_readable(Rc::clone(&self.socket))?;
                self.ready.get_or_init(|| registered)
            }
        };
        // A pending error without data is shown by the reactor as the end of the writing side, which is never
        // asked for otherwise. That end is final, so it counts once.
        if !self.error_seen.get() && registered.poll_write_ready(cx)?.is_ready() {
            self.error_seen.set(true);
            match self.socket.recv(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => return Poll::Ready(received),
            }
        }
        loop {
            let mut guard = ready!(registered.poll_read_ready(cx))?;
            match self.socket.recv(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                received => return Poll::Ready(received),
            }
        }
    }

    fn local_port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |local| local.port())
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
        let flow = RealNet.udp(server.local_addr().expect("bound"), 0).expect("free port");
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
        assert_eq!(RealNet.udp(dead, port).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::AddrInUse));
        drop(taken);
        let flow = RealNet.udp(dead, 0).expect("free port");
        flow.send(b"question").expect("the first send is not refused");
        let heard = poll_fn(|cx| flow.poll_recv(cx, &mut [0; 64])).await;
        assert_eq!(heard.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test]
    async fn tcp_connects() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let connecting = RealNet.tcp(listener.local_addr().expect("bound"));
        let (accepted, connected) = tokio::join!(listener.accept(), connecting);
        accepted.expect("loopback").0.write_all(b"hello").await.expect("open");
        let mut buf = [0; 5];
        connected.expect("loopback").read_exact(&mut buf).await.expect("open");
        assert_eq!(&buf, b"hello");
    }
}
