//! Connected UDP sockets towards servers, each on a random port of its own (RFC 5452 9.2, 10).
//!
//! Every query has a fresh port. Only towards a server whose replies carry our cookie (RFC 7873) is a socket kept for a
//! few more queries: there a forger must guess 64 bits more, and knowing the port gains nothing. Nobody but that server
//! sees the port, and the kernel drops datagrams from other addresses.
//!
//! A lack of descriptors, ports or memory is our own: the query waits for a socket (`socket_table.rs`), and if there is
//! none in time, it fails in a way that says nothing of the server.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use foldhash::quality::RandomState;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::query::Ask;
use super::socket_table::{Lease, SocketTable};
use super::translator::{self, Translator};
use crate::env::{Net, Random, UdpFlow, boxed, is_own_shortage};
use crate::limits::upstream::{KEPT_SOCKETS_MAX, PORT_MIN, PORT_TRIES_MAX, SOCKET_AGE_MAX, SOCKET_USES_MAX};

const KEPT_PART: usize = 4;
const SWEEP_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Sockets {
    net: Rc<dyn Net>,
    random: Rc<Random>,
    table: SocketTable,
    kept_max: usize,
    kept: RefCell<Kept>,
    sweeping: Cell<bool>,
}

pub(super) struct Socket {
    pub flow: Box<dyn UdpFlow>,
    pub lease: Lease,
    uses: u8,
    opened: Instant,
}

struct KeptSocket {
    number: u64,
    flow: Box<dyn UdpFlow>,
    uses: u8,
    opened: Instant,
}

/// Idle sockets, by server and by the time of their last use.
#[derive(Default)]
struct Kept {
    /// Sockets of one server, in the order in which they were kept.
    lists: HashMap<SocketAddr, SmallVec<[KeptSocket; 1]>, RandomState>,
    /// The oldest first. An entry whose socket is no longer kept stays until it comes to the front or the list is too long.
    order: VecDeque<(u64, SocketAddr)>,
    next: u64,
    count: usize,
}

pub(super) enum OpenError {
    /// `SocketWait::known` has grown while the query waited for a socket.
    NotNeeded,
    /// No descriptor, port or memory left.
    OwnShortage(io::ErrorKind),
    NoRoute(io::Error),
}

impl Sockets {
    /// `most`: sockets that may be open at a time.
    pub fn new(net: Rc<dyn Net>, random: Rc<Random>, most: usize) -> Sockets {
        let kept_max = (most / KEPT_PART).clamp(1, KEPT_SOCKETS_MAX);
        Sockets { net, random, table: SocketTable::new(most), kept_max, kept: RefCell::default(), sweeping: Cell::new(false) }
    }

    /// A socket that no other query uses, and when it was taken. `may_be_kept`: only a reply with our cookie will be believed.
    pub async fn take(&self, ask: &Ask<'_>, may_be_kept: bool, mut now: Instant) -> Result<(Socket, Instant), OpenError> {
        let (server, deadline) = (ask.server, now + ask.wait.most);
        let mut lease = self.try_lease(server, now);
        let mut reason = io::ErrorKind::QuotaExceeded;
        loop {
            let granted = match lease.take() {
                Some(lease) => lease,
                // Rare, and so on the heap: every query in flight is smaller.
                None => {
                    let known = ask.wait.known();
                    match boxed(|| self.table.lease(ask.wait.client, server, deadline.duration_since(now))).await {
                        Some(_) if ask.wait.known() > known => return Err(OpenError::NotNeeded),
                        Some(lease) => {
                            now = Instant::now();
                            lease
                        }
                        None => return Err(OpenError::OwnShortage(reason)),
                    }
                }
            };
            if let Some(kept) = may_be_kept.then(|| self.take_kept(server, now)).flatten() {
                return Ok((Socket { flow: kept.flow, lease: granted, uses: kept.uses + 1, opened: kept.opened }, now));
            }
            match self.open(server, ask.translator, 1) {
                Ok(flow) => {
                    self.table.serve_next();
                    return Ok((Socket { flow, lease: granted, uses: 1, opened: now }, now));
                }
                Err(OpenError::OwnShortage(kind)) => {
                    reason = kind;
                    self.table.on_refused(granted);
                    now = Instant::now();
                    lease = self.table.try_lease(server, now);
                    if lease.is_some() && now >= deadline {
                        return Err(OpenError::OwnShortage(reason));
                    }
                }
                Err(no_route) => return Err(no_route),
            }
        }
    }

    fn try_lease(&self, server: SocketAddr, now: Instant) -> Option<Lease> {
        let mut kept = self.kept.borrow_mut();
        while kept.count > 0 && self.table.is_full(kept.count) {
            kept.close_oldest();
        }
        drop(kept);
        self.table.try_lease(server, now)
    }

    /// Whether queries wait for a socket.
    pub fn is_short(&self) -> bool {
        self.table.is_short()
    }

    /// Whether the kernel has a route to the server. Nothing is sent.
    pub fn has_route(&self, server: SocketAddr, translator: Option<Translator>) -> bool {
        !matches!(self.open(server, translator, 0), Err(OpenError::NoRoute(_)))
    }

    /// A new socket in place of one that turned out to be unusable.
    pub fn replace(&self, ask: &Ask<'_>, socket: Socket) -> Result<Socket, OpenError> {
        let Socket { lease, .. } = socket;
        Ok(Socket { flow: self.open(ask.server, ask.translator, 1)?, lease, uses: 1, opened: Instant::now() })
    }

    /// A new socket on a random port. `leased`: leases that the caller holds for it.
    fn open(&self, server: SocketAddr, translator: Option<Translator>, leased: usize) -> Result<Box<dyn UdpFlow>, OpenError> {
        let mut last = io::ErrorKind::AddrInUse;
        for _ in 0..PORT_TRIES_MAX {
            let port = PORT_MIN + self.random.below(usize::from(u16::MAX - PORT_MIN) + 1) as u16;
            match translator::udp(&*self.net, server, port, translator) {
                Ok(flow) => return Ok(flow),
                Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => last = error.kind(),
                Err(error) if self.is_own_shortage(server, leased, &error) => {
                    if !self.close_kept() {
                        return Err(OpenError::OwnShortage(error.kind()));
                    }
                }
                Err(error) => return Err(OpenError::NoRoute(error)),
            }
        }
        Err(OpenError::OwnShortage(last))
    }

    /// A machine without any address of the server's family reports "address not available" too, but has no sockets of it.
    fn is_own_shortage(&self, server: SocketAddr, leased: usize, error: &io::Error) -> bool {
        let others_of_family = || self.table.count_of_family(server) > leased;
        is_own_shortage(error) || error.kind() == io::ErrorKind::AddrNotAvailable && others_of_family()
    }

    /// Only for a socket that sent one query and received one reply with our cookie.
    pub fn keep(self: &Rc<Self>, server: SocketAddr, socket: Socket, now: Instant) {
        let Socket { flow, uses, opened, lease: _ } = socket;
        if is_worn_out(uses, opened, now) {
            return;
        }
        let mut kept = self.kept.borrow_mut();
        if kept.count >= self.kept_max {
            kept.close_oldest();
        }
        kept.put(server, flow, uses, opened, 2 * self.kept_max);
        if !self.sweeping.replace(true) {
            tokio::task::spawn_local(sweep(Rc::downgrade(self)));
        }
    }

    fn take_kept(&self, server: SocketAddr, now: Instant) -> Option<KeptSocket> {
        let mut kept = self.kept.borrow_mut();
        std::iter::from_fn(|| kept.take(server)).find(|socket| !is_worn_out(socket.uses, socket.opened, now))
    }

    /// Closes the sockets that are kept towards a server that has become silent.
    pub fn forget(&self, server: SocketAddr) {
        let mut kept = self.kept.borrow_mut();
        while kept.take(server).is_some() {}
    }

    /// Closes all idle sockets; true if there were any.
    pub fn close_kept(&self) -> bool {
        let kept = std::mem::take(&mut *self.kept.borrow_mut());
        kept.count > 0
    }
}

impl Kept {
    fn put(&mut self, server: SocketAddr, flow: Box<dyn UdpFlow>, uses: u8, opened: Instant, order_max: usize) {
        if self.order.len() >= order_max {
            let lists = &self.lists;
            self.order.retain(|(number, server)| lists.get(server).is_some_and(|list| list.iter().any(|kept| kept.number == *number)));
        }
        self.lists.entry(server).or_default().push(KeptSocket { number: self.next, flow, uses, opened });
        self.order.push_back((self.next, server));
        self.next += 1;
        self.count += 1;
    }

    /// The socket that was used last, so that the others can grow old.
    fn take(&mut self, server: SocketAddr) -> Option<KeptSocket> {
        let list = self.lists.get_mut(&server)?;
        let socket = list.pop()?;
        if list.is_empty() {
            self.lists.remove(&server);
        }
        self.count -= 1;
        Some(socket)
    }

    /// Closes the oldest idle socket of all servers: a server that is often queried must find its sockets, however many others
    /// are queried once.
    fn close_oldest(&mut self) {
        while let Some((number, server)) = self.order.pop_front() {
            let Some(list) = self.lists.get_mut(&server) else { continue };
            let Some(at) = list.iter().position(|kept| kept.number == number) else { continue };
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
            list.retain(|kept| !is_worn_out(kept.uses, kept.opened, now));
            !list.is_empty()
        });
        self.count = self.lists.values().map(SmallVec::len).sum();
    }
}

impl Socket {
    /// Whether an earlier query used this socket.
    pub fn was_kept(&self) -> bool {
        self.uses > 1
    }
}

fn is_worn_out(uses: u8, opened: Instant, now: Instant) -> bool {
    uses >= SOCKET_USES_MAX || now.duration_since(opened) >= SOCKET_AGE_MAX
}

/// Closes kept sockets when they are too old; ports must not stay open when no more queries come. Ends when no socket is kept.
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
