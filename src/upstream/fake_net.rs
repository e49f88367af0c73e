//! An in-memory network for tests: closures decide what comes back for each datagram and connection.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::DuplexStream;

use crate::env::{BoxFuture, Net, Stream, UdpFlow};

pub const RTT: u64 = 20;

/// What comes back for a datagram: octets or an error, each after a number of milliseconds.
pub type Datagrams = Vec<(u64, Result<Vec<u8>, io::ErrorKind>)>;

pub type UdpScript = Box<dyn Fn(&[u8], usize) -> Datagrams>;
pub type TcpScript = Box<dyn Fn(DuplexStream, usize) -> BoxFuture<'static, ()>>;

pub struct FakeNet {
    /// Given the datagram and how many came before it.
    pub udp: UdpScript,
    /// Given the server's end of each connection and how many came before it; `None` refuses.
    pub tcp: Option<TcpScript>,
    /// The port of each socket opened, and the ID of each datagram sent.
    pub ports: RefCell<Vec<u16>>,
    pub ids: RefCell<Vec<u16>>,
    pub open_count: Cell<usize>,
    pub udp_count: Cell<usize>,
    pub tcp_count: Cell<usize>,
    /// Ports in use elsewhere.
    pub taken: BTreeSet<u16>,
    /// Opening more sockets fails with this error of the system.
    pub files_max: usize,
    pub shortage: i32,
    pub fail_send_once: Cell<bool>,
}

impl FakeNet {
    pub fn new(udp: impl Fn(&[u8], usize) -> Datagrams + 'static) -> FakeNet {
        FakeNet {
            udp: Box::new(udp),
            tcp: None,
            ports: RefCell::default(),
            ids: Default::default(),
            open_count: Default::default(),
            udp_count: Default::default(),
            tcp_count: Cell::new(0),
            taken: BTreeSet::new(),
            files_max: usize::MAX,
            shortage: libc::EMFILE,
            fail_send_once: Default::default(),
        }
    }

    pub fn with_tcp<F: Future<Output = ()> + 'static>(mut self, serve: impl Fn(DuplexStream, usize) -> F + 'static) -> FakeNet {
        self.tcp = Some(Box::new(move |stream, index| Box::pin(serve(stream, index))));
        self
    }
}

/// Behind an `Rc`, so that flows and tests can reach the network.
pub struct Shared(pub Rc<FakeNet>);

impl Net for Shared {
    fn udp(&self, _: SocketAddr, port: u16) -> io::Result<Box<dyn UdpFlow>> {
        if self.0.open_count.get() >= self.0.files_max {
            return Err(io::Error::from_raw_os_error(self.0.shortage));
        }
        if self.0.taken.contains(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.0.ports.borrow_mut().push(port);
        self.0.open_count.set(self.0.open_count.get() + 1);
        Ok(Box::new(Flow { net: Rc::clone(&self.0), inbox: Rc::default() }))
    }

    fn tcp(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        let index = self.0.tcp_count.replace(self.0.tcp_count.get() + 1);
        let net = Rc::clone(&self.0);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(RTT)).await;
            let Some(serve) = &net.tcp else { return Err(io::ErrorKind::ConnectionRefused.into()) };
            let (ours, theirs) = tokio::io::duplex(3000);
            tokio::task::spawn_local(serve(theirs, index));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }
}

#[derive(Default)]
struct FlowInbox {
    queue: VecDeque<Result<Vec<u8>, io::ErrorKind>>,
    waker: Option<Waker>,
}

struct Flow {
    net: Rc<FakeNet>,
    inbox: Rc<RefCell<FlowInbox>>,
}

impl UdpFlow for Flow {
    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        if self.net.fail_send_once.replace(false) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.net.ids.borrow_mut().push(u16::from_be_bytes([bytes[0], bytes[1]]));
        let index = self.net.udp_count.replace(self.net.udp_count.get() + 1);
        for (delay, what) in (self.net.udp)(bytes, index) {
            let inbox = Rc::clone(&self.inbox);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                inbox.borrow_mut().queue.push_back(what);
                if let Some(waker) = inbox.borrow_mut().waker.take() {
                    waker.wake();
                }
            });
        }
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inbox = self.inbox.borrow_mut();
        match inbox.queue.pop_front() {
            None => {
                inbox.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Err(kind)) => Poll::Ready(Err(kind.into())),
            Some(Ok(bytes)) => {
                let len = bytes.len().min(into.len());
                into[..len].copy_from_slice(&bytes[..len]);
                Poll::Ready(Ok(len))
            }
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.net.open_count.set(self.net.open_count.get() - 1);
    }
}

pub fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}
