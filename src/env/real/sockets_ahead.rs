//! Sockets that are bound to random ports shortly before queries need them.
//!
//! To make several in a row costs 3 us less each than to make one between two queries (measured), which is a fifth of what a
//! query with a fresh port costs. So a busy thread makes a few at a time; each still serves one query only, on a port that
//! nobody could foresee.
//!
//! Until it is connected, a socket takes what anybody sends, and a probe of all ports finds it (SAD DNS, CVE-2020-25705). So one
//! that has waited for longer than a probe of a few ports takes is closed, and so is one in which something has arrived.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::env::{Instant, Random};
use crate::limits::upstream::{AHEAD_AGE_MAX, PORT_MIN, SOCKETS_AHEAD_MAX};

pub(super) struct SocketsAhead {
    /// `None` where the system gives no randomness: each socket is then made when it is needed.
    random: Option<Random>,
    v4: RefCell<Batch>,
    v6: RefCell<Batch>,
}

/// Sockets of one address family that were made together.
#[derive(Default)]
struct Batch {
    sockets: Vec<UdpSocket>,
    made: Option<Instant>,
    /// With the one that was needed at once.
    size: usize,
}

impl SocketsAhead {
    pub(super) fn new() -> SocketsAhead {
        SocketsAhead { random: Random::from_system().ok(), v4: RefCell::default(), v6: RefCell::default() }
    }

    /// A socket that is connected to the server, on `port` or on another port that was drawn in the same way: uniformly among
    /// those that `is_excluded` does not name. `bound` makes a socket with a port.
    pub(super) fn take(
        &self,
        server: SocketAddr,
        port: u16,
        is_excluded: impl Fn(u16) -> bool,
        bound: impl Fn(u16) -> io::Result<UdpSocket>,
    ) -> io::Result<UdpSocket> {
        let batch = if server.is_ipv4() { &self.v4 } else { &self.v6 };
        let now = Instant::now();
        batch.borrow_mut().close_old(now);
        while let Some(socket) = batch.borrow_mut().sockets.pop() {
            socket.connect(server)?;
            if is_untouched(&socket) {
                return Ok(socket);
            }
        }
        let needed = bound(port)?;
        needed.connect(server)?;
        let size = batch.borrow().next_size(now);
        let sockets = match &self.random {
            Some(random) if size > 1 => {
                let drawn = || PORT_MIN + random.below(usize::from(u16::MAX - PORT_MIN) + 1) as u16;
                let ports = std::iter::repeat_with(drawn).filter(|port| !is_excluded(*port)).take(size - 1);
                ports.map_while(|port| bound(port).ok()).collect()
            }
            _ => Vec::new(),
        };
        *batch.borrow_mut() = Batch { sockets, made: Some(now), size };
        Ok(needed)
    }

    /// Were there any?
    pub(super) fn close_all(&self) -> bool {
        let closed = [&self.v4, &self.v6].map(|batch| std::mem::take(&mut *batch.borrow_mut()).sockets.len());
        closed != [0, 0]
    }
}

impl Batch {
    fn close_old(&mut self, now: Instant) {
        if self.age(now).is_none_or(|age| age >= AHEAD_AGE_MAX) {
            self.sockets.clear();
        }
    }

    fn age(&self, now: Instant) -> Option<Duration> {
        self.made.map(|made| now.duration_since(made))
    }

    /// As many as will be used in time, if queries come as fast as since the last batch was made.
    fn next_size(&self, now: Instant) -> usize {
        match self.age(now) {
            Some(age) if 2 * age <= AHEAD_AGE_MAX => (2 * self.size).clamp(1, SOCKETS_AHEAD_MAX),
            Some(age) if age < AHEAD_AGE_MAX => self.size.max(1),
            _ => 1,
        }
    }
}

/// Nothing has arrived, from whomever.
fn is_untouched(socket: &UdpSocket) -> bool {
    socket.recv(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use super::*;

    /// Takes sockets, and knows how many were made.
    struct Taker {
        ahead: SocketsAhead,
        server: UdpSocket,
        made: Cell<usize>,
    }

    impl Taker {
        fn new() -> Taker {
            let server = UdpSocket::bind("127.0.0.1:0").expect("free port");
            Taker { ahead: SocketsAhead::new(), server, made: Cell::new(0) }
        }

        fn take(&self) -> UdpSocket {
            let bound = |port| {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
                socket.set_nonblocking(true)?;
                self.made.set(self.made.get() + 1);
                Ok(socket)
            };
            // 0: the kernel draws the port of the one that is needed.
            self.ahead.take(self.server.local_addr().expect("bound"), 0, |port| port % 2 == 0, bound).expect("a socket")
        }

        fn waiting(&self) -> usize {
            self.ahead.v4.borrow().sockets.len()
        }
    }

    fn port(socket: &UdpSocket) -> u16 {
        socket.local_addr().expect("bound").port()
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_thread_makes_more_at_a_time() {
        let taker = Taker::new();
        let mut waiting = Vec::new();
        let sockets: Vec<UdpSocket> = std::iter::repeat_with(|| {
            let socket = taker.take();
            waiting.push(taker.waiting());
            socket
        })
        .take(31)
        .collect();
        // Batches of 1, 2, 4, 8, 8 and 8.
        assert_eq!(waiting[..7], [0, 1, 0, 3, 2, 1, 0]);
        assert_eq!((waiting[7], waiting[15], waiting[23], taker.made.get()), (7, 7, 7, 31));
        let ports: std::collections::BTreeSet<u16> = sockets.iter().map(port).collect();
        assert_eq!(ports.len(), 31, "no port serves twice");
        let ahead = sockets.iter().enumerate().filter(|(at, _)| ![0, 1, 3, 7, 15, 23].contains(at));
        assert!(ahead.map(|(_, socket)| port(socket)).all(|port| port % 2 == 1 && port >= PORT_MIN));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_waited_is_not_used() {
        let taker = Taker::new();
        let _busy: Vec<UdpSocket> = std::iter::repeat_with(|| taker.take()).take(8).collect();
        assert_eq!((taker.waiting(), taker.made.get()), (7, 15));
        tokio::time::advance(AHEAD_AGE_MAX).await;
        for made in 16..20 {
            let _one = taker.take();
            assert_eq!((taker.waiting(), taker.made.get()), (0, made), "an idle thread makes what it needs");
            tokio::time::advance(AHEAD_AGE_MAX).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_was_found_by_a_probe_is_not_used() {
        let taker = Taker::new();
        let _busy: Vec<UdpSocket> = std::iter::repeat_with(|| taker.take()).take(8).collect();
        let probed: Vec<u16> = taker.ahead.v4.borrow().sockets.iter().skip(2).map(port).collect();
        assert_eq!(probed.len(), 5);
        for port in &probed {
            taker.server.send_to(b"guess", (Ipv4Addr::LOCALHOST, *port)).expect("loopback");
        }
        let taken: Vec<u16> = std::iter::repeat_with(|| port(&taker.take())).take(2).collect();
        assert!(taken.iter().all(|port| !probed.contains(port)), "{taken:?}");
        assert_eq!(taker.made.get(), 15, "the two that were left");
        assert!(!taker.ahead.close_all());
    }
}
