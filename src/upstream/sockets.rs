//! Connected UDP sockets, each on a random port of its own (RFC 5452 9.2).
//!
//! A fresh socket per query costs three times a kept one, so a socket is kept for a few more queries, but
//! only towards the same server address: nobody else ever sees its port, and the kernel drops datagrams from
//! anybody else. The time for which a port can be guessed at stays short (`USES_MAX`, `AGE_MAX`).

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use foldhash::quality::RandomState;
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
    lists: HashMap<SocketAddr, SmallVec<[(u64, Socket); 1]>, RandomState>,
    /// The oldest first. What is no longer kept stays in it until it comes to the front or there is too much of it.
    order: VecDeque<(u64, SocketAddr)>,
    next: u64,
    count: usize,
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
    pub fn take(&self, server: SocketAddr, now: Instant) -> Result<Socket, OpenError> {
        match self.take_kept(server, now) {
            Some(kept) => Ok(Socket { uses: kept.uses + 1, ..kept }),
            None => self.open(server, now),
        }
    }

    pub fn has_route(&self, server: SocketAddr) -> bool {
        !matches!(self.open(server, Instant::now()), Err(OpenError::NoWay(_)))
    }

    /// A fresh one, on a port drawn for it.
    pub fn open(&self, server: SocketAddr, now: Instant) -> Result<Socket, OpenError> {
        let mut last = io::ErrorKind::AddrInUse;
        for _ in 0..PORT_TRIES {
            let port = PORT_MIN + self.random.below(usize::from(u16::MAX - PORT_MIN) + 1) as u16;
            match self.net.udp(server, port) {
                Ok(flow) => return Ok(Socket { flow, uses: 1, opened: now }),
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
    pub fn keep(self: &Rc<Self>, server: SocketAddr, socket: Socket, now: Instant) {
        if socket.is_worn_out(now) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        if kept.count >= KEPT_MAX {
            kept.close_oldest();
        }
        kept.put(server, socket);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    fn take_kept(&self, server: SocketAddr, now: Instant) -> Option<Socket> {
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
        kept.count > 0
    }
}

impl Kept {
    fn put(&mut self, server: SocketAddr, socket: Socket) {
        if self.order.len() >= 2 * KEPT_MAX {
            let lists = &self.lists;
            self.order.retain(|(place, server)| lists.get(server).is_some_and(|list| list.iter().any(|(at, _)| at == place)));
        }
        self.lists.entry(server).or_default().push((self.next, socket));
        self.order.push_back((self.next, server));
        self.next += 1;
        self.count += 1;
    }

    /// The one used last: the others may then grow old.
    fn take(&mut self, server: SocketAddr) -> Option<Socket> {
        let list = self.lists.get_mut(&server)?;
        let (_, socket) = list.pop()?;
        if list.is_empty() {
            self.lists.remove(&server);
        }
        self.count -= 1;
        Some(socket)
    }

    /// A server that is asked often must find its sockets, however many are asked but once.
    fn close_oldest(&mut self) {
        while let Some((place, server)) = self.order.pop_front() {
            let Some(list) = self.lists.get_mut(&server) else { continue };
            let Some(at) = list.iter().position(|(at, _)| *at == place) else { continue };
            list.remove(at);
            if list.is_empty() {
                self.lists.remove(&server);
            }
            self.count -= 1;
            return;
        }
    }

    fn close_worn_out(&mut self, now: Instant) {
        self.lists.retain(|_, list| {
            list.retain(|(_, socket)| !socket.is_worn_out(now));
            !list.is_empty()
        });
        self.count = self.lists.values().map(SmallVec::len).sum();
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
        if kept.count == 0 {
            kept.order = VecDeque::new();
            sockets.sweeping.set(false);
            return;
        }
    }
}

fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
