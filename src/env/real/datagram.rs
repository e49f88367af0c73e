//! A listening UDP socket: readiness from tokio, datagrams in batches from the kernel.
//!
//! The socket is registered for reading only: a reply that finds no room is dropped, and no task waits to write. A
//! receive that fills less than a batch has emptied the socket, so readiness is cleared without a second call to
//! confirm it.
//!
//! Watching a socket has a cost: for each datagram that arrives, and again for each that was sent, the kernel wakes the
//! reactor's descriptor, a twentieth of the cost of an answer. While traffic is heavy the thread does not sleep, so the
//! socket is then taken off epoll and read between the turns of other tasks, until it is found empty.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;

use super::super::net::{DatagramBatch, DatagramSocket, Rest};
use super::syscalls::{Headers, Outgoing, Shape, watch_readable};

/// After this many consecutive batches of at least this many datagrams traffic counts as heavy. Leaving epoll and coming
/// back costs 3 us, as much as watching for 16 datagrams: bursts with pauses between them must not pay it each time.
const HEAVY_BATCHES: u32 = 8;
const HEAVY_BATCH: usize = 16;

/// A listening UDP socket of the kernel.
pub struct RealDatagramSocket {
    socket: Rc<UdpSocket>,
    /// `None` while traffic is heavy.
    watched: RefCell<Option<AsyncFd<Rc<UdpSocket>>>>,
    heavy_batches: Cell<u32>,
    shape: Shape,
    headers: RefCell<Headers>,
}

impl RealDatagramSocket {
    /// Takes a socket from `bind_udp`. To be called on the thread that will read it, inside its runtime.
    pub fn new(socket: UdpSocket) -> io::Result<RealDatagramSocket> {
        let (shape, socket) = (Shape::of(socket.local_addr()?), Rc::new(socket));
        let watched = RefCell::new(Some(watch_readable(Rc::clone(&socket))?));
        Ok(RealDatagramSocket { socket, watched, heavy_batches: Cell::new(0), shape, headers: RefCell::new(Headers::new()) })
    }

    /// Called for every batch that came while the socket is watched.
    fn is_heavy(&self, batch: &DatagramBatch) -> bool {
        self.heavy_batches.set(if batch.len() < HEAVY_BATCH { 0 } else { self.heavy_batches.get() + 1 });
        self.heavy_batches.get() == HEAVY_BATCHES
    }
}

impl DatagramSocket for RealDatagramSocket {
    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut DatagramBatch) -> Poll<io::Result<Rest>> {
        let mut watched = self.watched.borrow_mut();
        loop {
            let guard = match &*watched {
                Some(watched) => Some(ready!(watched.poll_read_ready(cx))?),
                None => None,
            };
            match (self.headers.borrow_mut().receive(self.socket.as_raw_fd(), &self.shape, batch), guard) {
                (Ok(_), None) => return Poll::Ready(Ok(Rest::Probable)),
                (Ok(_), Some(_)) if self.is_heavy(batch) => {
                    *watched = None;
                    return Poll::Ready(Ok(Rest::Probable));
                }
                (Ok(_), Some(mut guard)) => {
                    let rest = Rest::after(batch);
                    if rest == Rest::Nothing {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(rest));
                }
                (Err(error), Some(mut guard)) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                (Err(error), None) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.heavy_batches.set(0);
                    *watched = Some(watch_readable(Rc::clone(&self.socket))?);
                }
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Err(error), _) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn send(&self, batch: &DatagramBatch) -> usize {
        let replies = batch.filled().map(|(entry, bytes)| Outgoing { bytes, peer: entry.peer, local: entry.local });
        self.headers.borrow_mut().send(self.socket.as_raw_fd(), &self.shape, replies).dropped
    }

    fn send_one(&self, bytes: &[u8], peer: SocketAddr, local: SocketAddr) -> io::Result<()> {
        let one = std::iter::once(Outgoing { bytes, peer, local });
        match self.headers.borrow_mut().send(self.socket.as_raw_fd(), &self.shape, one).last_error {
            None => Ok(()),
            Some(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    use super::super::bind_udp;
    use super::super::syscalls::plain;
    use super::*;

    fn bound(address: &str) -> RealDatagramSocket {
        let socket = bind_udp(address.parse().expect("address"), 1, 1 << 16).expect("free port").remove(0);
        RealDatagramSocket::new(socket).expect("inside a runtime")
    }

    fn local_addr(server: &RealDatagramSocket) -> SocketAddr {
        plain(server.shape.bound)
    }

    fn at(address: &str, port: u16) -> SocketAddr {
        SocketAddr::new(address.parse().expect("address"), port)
    }

    /// Asks `server` at `asked` and sends back what came, reversed; returns what the client saw and where the
    /// server was asked.
    async fn exchange(server: &RealDatagramSocket, client_at: &str, asked: SocketAddr) -> (Vec<u8>, SocketAddr, SocketAddr) {
        let client = tokio::net::UdpSocket::bind(client_at).await.expect("free port");
        client.send_to(b"abc", asked).await.expect("loopback");
        let mut batch = DatagramBatch::new();
        poll_fn(|cx| server.poll_recv(cx, &mut batch)).await.expect("readable");
        let (entry, slot) = batch.get_mut(0);
        slot[..entry.len].reverse();
        let local = entry.local;
        assert_eq!(entry.peer.port(), client.local_addr().expect("bound").port());
        assert_eq!(server.send(&batch), 0);
        let mut reply = [0; 16];
        let (len, from) = client.recv_from(&mut reply).await.expect("reply");
        (reply[..len].to_vec(), from, local)
    }

    fn has_ipv6() -> bool {
        let found = UdpSocket::bind("[::1]:0").is_ok();
        if !found {
            eprintln!("skipped: no ::1 here");
        }
        found
    }

    #[tokio::test]
    async fn replies_leave_from_the_address_that_was_asked() {
        let mut rows = vec![("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2")];
        if has_ipv6() {
            rows.extend([("[::1]:0", "[::1]:0", "::1"), ("[::]:0", "[::1]:0", "::1")]);
        }
        for (bind, client, asked) in rows {
            let server = bound(bind);
            let asked = at(asked, local_addr(&server).port());
            assert_eq!(exchange(&server, client, asked).await, (b"cba".to_vec(), asked, asked), "{bind} asked at {asked}");
        }
    }

    #[tokio::test]
    async fn a_socket_for_both_families_shows_plain_ipv4() {
        if !has_ipv6() {
            return;
        }
        use std::os::fd::AsRawFd;
        let socket = UdpSocket::bind("[::]:0").expect("free port");
        socket.set_nonblocking(true).expect("a socket");
        super::super::syscalls::receive_destinations(socket.as_raw_fd(), super::super::syscalls::Family::V6).expect("a socket");
        let server = RealDatagramSocket::new(socket).expect("inside a runtime");
        let asked = at("127.0.0.3", local_addr(&server).port());
        assert_eq!(exchange(&server, "127.0.0.1:0", asked).await, (b"cba".to_vec(), asked, asked));
    }

    #[tokio::test]
    async fn a_batch_arrives_in_order_and_an_oversized_datagram_is_flagged() {
        let server = bound("127.0.0.1:0");
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("free port");
        for len in [1, DatagramBatch::SLOT_BYTES, DatagramBatch::SLOT_BYTES + 1, 5] {
            client.send_to(&vec![7; len], local_addr(&server)).await.expect("loopback");
        }
        let mut batch = DatagramBatch::new();
        poll_fn(|cx| server.poll_recv(cx, &mut batch)).await.expect("readable");
        let seen: Vec<_> = (0..batch.len()).map(|index| (batch.get(index).0.len, batch.get(index).0.cut_off)).collect();
        assert_eq!(seen, [(1, false), (2048, false), (2048, true), (5, false)]);
    }

    #[tokio::test]
    async fn one_refused_message_does_not_stop_the_others() {
        let server = bound("127.0.0.1:0");
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("free port");
        let good = client.local_addr().expect("bound");
        let mut batch = DatagramBatch::new();
        for (number, peer) in [good, at("127.0.0.1", 0), good, at("255.255.255.255", 9), good].into_iter().enumerate() {
            batch.push(bare(peer));
            batch.get_mut(number).1[0] = number as u8;
        }
        assert_eq!(server.send(&batch), 2);
        let mut byte = [0];
        for expected in [0, 2, 4] {
            client.recv_from(&mut byte).await.expect("loopback");
            assert_eq!(byte, [expected]);
        }
        assert!(server.send_one(b"x", at("127.0.0.1", 0), local_addr(&server)).is_err());
    }

    #[tokio::test]
    async fn under_heavy_traffic_the_socket_goes_off_watch_until_it_is_empty() {
        let server = bound("127.0.0.1:0");
        let client = UdpSocket::bind("127.0.0.1:0").expect("free port");
        let mut batch = DatagramBatch::new();
        let mut receive = async |count: usize| {
            (0..count).for_each(|_| assert_eq!(client.send_to(b"x", local_addr(&server)).expect("loopback"), 1));
            let rest = poll_fn(|cx| server.poll_recv(cx, &mut batch)).await.expect("readable");
            assert_eq!(batch.len(), count);
            (rest, server.watched.borrow().is_some())
        };
        for heavy in [HEAVY_BATCHES - 1, HEAVY_BATCHES - 1] {
            for _ in 0..heavy {
                assert_eq!(receive(HEAVY_BATCH).await, (Rest::Nothing, true));
            }
            assert_eq!(receive(HEAVY_BATCH - 1).await, (Rest::Nothing, true), "a small batch begins the count anew");
        }
        for _ in 1..HEAVY_BATCHES {
            receive(HEAVY_BATCH).await;
        }
        assert_eq!(receive(HEAVY_BATCH).await, (Rest::Probable, false));
        assert_eq!(receive(1).await, (Rest::Probable, false));
        let waiting = poll_fn(|cx| Poll::Ready(server.poll_recv(cx, &mut DatagramBatch::new()).is_pending())).await;
        assert!(waiting && server.watched.borrow().is_some());
        client.send_to(b"x", local_addr(&server)).expect("loopback");
        let woken = poll_fn(|cx| server.poll_recv(cx, &mut DatagramBatch::new())).await;
        assert_eq!(woken.ok(), Some(Rest::Nothing));
    }

    fn bare(peer: SocketAddr) -> super::super::super::net::Datagram {
        super::super::super::net::Datagram { len: 1, peer, local: SocketAddr::from((Ipv4Addr::LOCALHOST, 53)), cut_off: false }
    }

    #[tokio::test]
    async fn more_than_one_batch_is_read_to_the_end() {
        let server = bound("127.0.0.1:0");
        let client = UdpSocket::bind("127.0.0.1:0").expect("free port");
        let count = DatagramBatch::SLOTS * 2 + 3;
        for number in 0..count {
            client.send_to(&[number as u8], local_addr(&server)).expect("loopback");
        }
        let (mut batch, mut seen) = (DatagramBatch::new(), Vec::new());
        while seen.len() < count {
            poll_fn(|cx| server.poll_recv(cx, &mut batch)).await.expect("readable");
            seen.extend(batch.filled().map(|(_, bytes)| bytes[0]));
        }
        assert_eq!(seen, (0..count).map(|number| number as u8).collect::<Vec<_>>());
    }
}
