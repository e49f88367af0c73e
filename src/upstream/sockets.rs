//! Connected UDP sockets, each on a random port of its own (RFC 5452 9.2).
//!
//! A fresh socket per query costs three times a kept one, so a socket is kept for a few more queries, but
//! only towards the same server address: nobody else ever sees its port, and the kernel drops datagrams from
//! anybody else. The time for which a port can be guessed at stays short (`USES_MAX`, `AGE_MAX`).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use crate::env::{Net, Random, UdpFlow};

/// Below 1024 a bind needs rights that we do not have.
const PORT_MIN: u16 = 1024;
/// How often another port is drawn when the one drawn is taken.
const PORT_TRIES: usize = 16;
/// A port known to an attacker for the server's address serves at most this many queries.
const USES_MAX: u8 = 16;
const AGE_MAX: Duration = Duration::from_secs(4);
/// Idle sockets of one worker; each is a file descriptor.
const KEPT_MAX: usize = 1024;
const SWEEP_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Sockets {
    net: Rc<dyn Net>,
    random: Rc<Random>,
    kept: RefCell<Kept>,
    sweeping: Cell<bool>,
}

pub(super) struct Socket {
    pub flow: Box<dyn UdpFlow>,
    uses: u8,
    opened: Instant,
}

/// Idle sockets, by server and by how long ago they were used.
#[derive(Default)]
struct Kept {
    /// Those of one server stand in the order in which they were kept.
    lists: BTreeMap<SocketAddr, SmallVec<[(u64, Socket); 1]>>,
    order: BTreeMap<u64, SocketAddr>,
    next: u64,
}

pub(super) enum OpenError {
    /// No descriptor or no port left.
    Ours(io::ErrorKind),
    NoWay(io::Error),
}

impl Sockets {
    pub fn new(net: Rc<dyn Net>, random: Rc<Random>) -> Sockets {
        Sockets { net, random, kept: RefCell::default(), sweeping: Cell::new(false) }
    }

    /// A socket that no other query uses.
    pub fn take(&self, server: SocketAddr) -> Result<Socket, OpenError> {
        match self.take_kept(server) {
            Some(kept) => Ok(Socket { uses: kept.uses + 1, ..kept }),
            None => self.open(server),
        }
    }

    pub fn has_route(&self, server: SocketAddr) -> bool {
        !matches!(self.open(server), Err(OpenError::NoWay(_)))
    }

    /// A fresh one, on a port drawn for it.
    pub fn open(&self, server: SocketAddr) -> Result<Socket, OpenError> {
        let mut last = io::ErrorKind::AddrInUse;
        for _ in 0..PORT_TRIES {
            let port = PORT_MIN + self.random.below(usize::from(u16::MAX - PORT_MIN) + 1) as u16;
            match self.net.udp(server, port) {
                Ok(flow) => return Ok(Socket { flow, uses: 1, opened: Instant::now() }),
                Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => last = error.kind(),
                Err(error) if is_out_of_files(&error) => {
                    if !self.close_kept() {
                        return Err(OpenError::Ours(error.kind()));
                    }
                }
                Err(error) => return Err(OpenError::NoWay(error)),
            }
        }
        Err(OpenError::Ours(last))
    }

    /// Only for a socket on which one query went out and its one reply came in.
    pub fn keep(self: &Rc<Self>, server: SocketAddr, socket: Socket) {
        if socket.is_worn_out(Instant::now()) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        if kept.order.len() >= KEPT_MAX {
            kept.close_oldest();
        }
        kept.put(server, socket);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    fn take_kept(&self, server: SocketAddr) -> Option<Socket> {
        let now = Instant::now();
        let mut kept = self.kept.borrow_mut();
        std::iter::from_fn(|| kept.take(server)).find(|socket| !socket.is_worn_out(now))
    }

    /// Closes what is kept towards a server that has become silent.
    pub fn forget(&self, server: SocketAddr) {
        let mut kept = self.kept.borrow_mut();
        while kept.take(server).is_some() {}
    }

    /// Gives all idle sockets back to the system; were there any?
    pub fn close_kept(&self) -> bool {
        let kept = std::mem::take(&mut *self.kept.borrow_mut());
        !kept.order.is_empty()
    }
}

impl Kept {
    fn put(&mut self, server: SocketAddr, socket: Socket) {
        self.lists.entry(server).or_default().push((self.next, socket));
        self.order.insert(self.next, server);
        self.next += 1;
    }

    /// The one used last: the others may then grow old.
    fn take(&mut self, server: SocketAddr) -> Option<Socket> {
        let list = self.lists.get_mut(&server)?;
        let (place, socket) = list.pop()?;
        if list.is_empty() {
            self.lists.remove(&server);
        }
        self.order.remove(&place);
        Some(socket)
    }

    /// A server that is asked often must find its sockets, however many are asked but once.
    fn close_oldest(&mut self) {
        let Some((place, server)) = self.order.pop_first() else { return };
        if let Some(list) = self.lists.get_mut(&server) {
            list.retain(|(at, _)| *at != place);
            if list.is_empty() {
                self.lists.remove(&server);
            }
        }
    }

    fn close_worn_out(&mut self, now: Instant) {
        let order = &mut self.order;
        self.lists.retain(|_, list| {
            list.retain(|(place, socket)| {
                let worn_out = socket.is_worn_out(now);
                if worn_out {
                    order.remove(place);
                }
                !worn_out
            });
            !list.is_empty()
        });
    }
}

impl Socket {
    /// Did an earlier query use it?
    pub fn was_kept(&self) -> bool {
        self.uses > 1
    }

    fn is_worn_out(&self, now: Instant) -> bool {
        self.uses >= USES_MAX || now.duration_since(self.opened) >= AGE_MAX
    }
}

/// Ports must not stay open when no more questions come. Ends when nothing is kept.
async fn sweep(sockets: Weak<Sockets>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(sockets) = sockets.upgrade() else { return };
        let mut kept = sockets.kept.borrow_mut();
        kept.close_worn_out(Instant::now());
        if kept.order.is_empty() {
            sockets.sweeping.set(false);
            return;
        }
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
