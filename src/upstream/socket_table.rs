//! Which queries hold a socket, and who gets the next one when there is none left.
//!
//! Descriptors and ports are a limit of our own, and it must not be possible to use them all up with questions to which
//! no reply ever comes. When the table is full, a query takes the socket of another one, in this order:
//! - of a query that has waited so long that a reply has become unlikely, the oldest first;
//! - of a query to a server that holds more than its share and has been silent since, the oldest first.
//!
//! Where there is none of these, all sockets are in good use, and the query waits for its turn (`socket_queue.rs`). A
//! query to a server that holds more than its share in silence waits until all others have been served.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::quality::RandomState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::socket_queue::SocketQueue;
use crate::limits::upstream::{SERVER_SHARE_MIN, WAITING_FOR_SOCKET_MAX};

/// After this time a reply has become unlikely: servers on the other side of the world take half of it.
const LATE_AFTER: Duration = Duration::from_millis(600);
/// A server with more than its share is not called silent before this time.
const SILENT_AFTER: Duration = Duration::from_millis(100);
/// One server's share is the table divided by this.
const SHARES: usize = 8;
/// The same in a small table, where an eighth would be too few for an honest server.
const SHARES_OF_FEW: usize = 4;
/// Sockets that are taken back together, as a part of the table: looking for them visits all of it.
const TAKEN_TOGETHER: usize = 8;
/// How often a socket is looked for on behalf of those that wait. Descriptors of other parts of the program become free
/// without notice.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The server of a lease on its way from one query to another.
const NO_SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

#[derive(Clone)]
pub(super) struct SocketTable(Rc<RefCell<Inner>>);

struct Inner {
    most: usize,
    /// The system refused one more socket when this many were open. It may grant more later.
    refused_at: Option<usize>,
    /// How many could be open when the system last refused one, or more if there have been more since. Shares are parts of it.
    room: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    servers: HashMap<SocketAddr, ServerUse, RandomState>,
    waiting: SocketQueue<oneshot::Sender<Lease>>,
    /// Leases that are marked as taken back, and not yet returned.
    taken_back: usize,
    /// No lease can be taken back before this time.
    look_again: Option<Instant>,
    is_watched: bool,
}

struct Slot {
    server: SocketAddr,
    since: Instant,
    taken_back: bool,
    waker: Option<Waker>,
}

struct ServerUse {
    sockets: usize,
    last_reply: Option<Instant>,
}

/// The right to have one socket open.
pub(super) struct Lease {
    table: Weak<RefCell<Inner>>,
    slot: usize,
}

impl SocketTable {
    /// `most`: sockets that may be open at a time.
    pub fn new(most: usize) -> SocketTable {
        SocketTable(Rc::new(RefCell::new(Inner {
            most: most.max(1),
            refused_at: None,
            room: most.max(1),
            slots: Vec::new(),
            free: Vec::new(),
            servers: HashMap::default(),
            waiting: SocketQueue::new(WAITING_FOR_SOCKET_MAX, oneshot::Sender::is_closed),
            taken_back: 0,
            look_again: None,
            is_watched: false,
        })))
    }

    /// Whether there is no room for one more. `idle`: open sockets that are not in the table.
    pub fn is_full(&self, idle: usize) -> bool {
        self.0.borrow().is_full(idle)
    }

    /// Leases for servers of the same address family.
    pub fn count_of_family(&self, server: SocketAddr) -> usize {
        let inner = self.0.borrow();
        inner.servers.iter().filter(|(other, _)| other.is_ipv4() == server.is_ipv4()).map(|(_, held)| held.sockets).sum()
    }

    /// A lease at once, if necessary by taking back another one.
    pub fn try_lease(&self, server: SocketAddr, now: Instant) -> Option<Lease> {
        let full = self.0.borrow().is_full(0);
        if full {
            self.take_back(Some(server), now);
        }
        let mut inner = self.0.borrow_mut();
        (!inner.is_full(0)).then(|| inner.lease(server, now, Rc::downgrade(&self.0)))
    }

    /// Whether queries wait for a lease.
    pub fn is_short(&self) -> bool {
        !self.0.borrow().waiting.is_empty()
    }

    /// Waits for a lease on behalf of this client; `None` if there is none in time.
    pub async fn lease(&self, client: u64, server: SocketAddr, patience: Duration) -> Option<Lease> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut inner = self.0.borrow_mut();
            inner.waiting.push(client, server, sender);
            if !std::mem::replace(&mut inner.is_watched, true) {
                tokio::task::spawn_local(serve_waiting(Rc::downgrade(&self.0)));
            }
        }
        let mut lease = tokio::time::timeout(patience, receiver).await.ok()?.ok()?;
        lease.rename(server);
        Some(lease)
    }

    /// Gives a lease to the next waiting query, if there is room.
    pub fn serve_next(&self) {
        let handed_on = {
            let mut inner = self.0.borrow_mut();
            if inner.is_full(0) || inner.waiting.is_empty() {
                return;
            }
            let now = Instant::now();
            inner.next_waiting(now).map(|next| (next, inner.lease(NO_SERVER, now, Rc::downgrade(&self.0))))
        };
        // If its receiver has gone meanwhile, the lease comes back, is dropped, and goes to the one after.
        if let Some((next, lease)) = handed_on {
            let _ = next.send(lease);
        }
    }

    /// The system refused the socket of this lease. No waiting query gets the lease before another one ends.
    pub fn on_refused(&self, lease: Lease) {
        let mut inner = self.0.borrow_mut();
        let others = inner.in_use() - 1;
        (inner.refused_at, inner.room) = (Some(others), others.max(1));
        drop(inner);
        drop(lease);
    }

    fn take_back(&self, wanted_for: Option<SocketAddr>, now: Instant) {
        let taken = self.0.borrow_mut().take_back(wanted_for, now);
        taken.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn is_full(&self, idle: usize) -> bool {
        self.in_use() + idle >= self.refused_at.map_or(self.most, |refused| refused.min(self.most))
    }

    fn lease(&mut self, server: SocketAddr, now: Instant, table: Weak<RefCell<Inner>>) -> Lease {
        let slot = Some(Slot { server, since: now, taken_back: false, waker: None });
        self.servers.entry(server).or_insert(ServerUse { sockets: 0, last_reply: None }).sockets += 1;
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.room = self.room.max(self.in_use());
        Lease { table, slot: at }
    }

    fn remove(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at).and_then(Option::take) else { return };
        self.free.push(at);
        self.taken_back -= usize::from(slot.taken_back);
        if let Some(server) = self.servers.get_mut(&slot.server) {
            server.sockets -= 1;
            if server.sockets == 0 {
                self.servers.remove(&slot.server);
            }
        }
    }

    fn share(&self) -> usize {
        (self.room / SHARES).max(SERVER_SHARE_MIN.min(self.room / SHARES_OF_FEW)).max(1)
    }

    /// Marks the queries that lose their socket, and returns the wakers of their tasks.
    fn take_back(&mut self, wanted_for: Option<SocketAddr>, now: Instant) -> Vec<Waker> {
        if self.taken_back > 0 || self.look_again.is_some_and(|at| now < at) {
            return Vec::new();
        }
        let most = (self.in_use() / TAKEN_TOGETHER).max(1);
        let share = self.share();
        let is_silent = |slot: &Slot| {
            let server = self.servers.get(&slot.server);
            Some(slot.server) != wanted_for
                && now.duration_since(slot.since) >= SILENT_AFTER
                && server.is_some_and(|held| held.sockets > share && held.last_reply.is_none_or(|last| last < slot.since))
        };
        let mut late: Vec<(bool, Instant, usize)> = Vec::new();
        for (at, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot.as_ref().filter(|slot| !slot.taken_back) else { continue };
            let is_late = now.duration_since(slot.since) >= LATE_AFTER;
            if is_late || is_silent(slot) {
                late.push((!is_late, slot.since, at));
            }
        }
        if late.is_empty() {
            self.look_again = Some(now + LOOK_EVERY);
            return Vec::new();
        }
        late.sort_unstable();
        late.truncate(most);
        self.taken_back = late.len();
        late.into_iter().filter_map(|(_, _, at)| self.slots[at].as_mut().and_then(Slot::take_back)).collect()
    }

    /// The next waiting query, if any.
    fn next_waiting(&mut self, now: Instant) -> Option<oneshot::Sender<Lease>> {
        let (servers, share) = (&self.servers, self.share());
        let is_silent = |held: &ServerUse| held.last_reply.is_none_or(|last| now.duration_since(last) >= SILENT_AFTER);
        let is_modest = |server| servers.get(&server).is_none_or(|held| held.sockets < share || !is_silent(held));
        self.waiting.pop(is_modest).or_else(|| self.waiting.pop(|_| true))
    }
}

impl Slot {
    fn take_back(&mut self) -> Option<Waker> {
        self.taken_back = true;
        self.waker.take()
    }
}

impl Lease {
    /// Ready once another query needs the socket.
    pub fn poll_taken_back(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(table) = self.table.upgrade() else { return Poll::Pending };
        let mut inner = table.borrow_mut();
        let Some(slot) = inner.slots.get_mut(self.slot).and_then(Option::as_mut) else { return Poll::Pending };
        if slot.taken_back {
            return Poll::Ready(());
        }
        if !slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            slot.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The server of this lease has replied, so it is not silent.
    pub fn on_reply(&self, now: Instant) {
        let Some(table) = self.table.upgrade() else { return };
        let mut inner = table.borrow_mut();
        let Some(server) = inner.slots.get(self.slot).and_then(Option::as_ref).map(|slot| slot.server) else { return };
        if let Some(server) = inner.servers.get_mut(&server) {
            server.last_reply = Some(now);
        }
    }

    /// A lease that was handed on now counts for another server.
    fn rename(&mut self, server: SocketAddr) {
        let Some(table) = self.table.upgrade() else { return };
        let mut inner = table.borrow_mut();
        inner.remove(self.slot);
        self.slot = inner.lease(server, Instant::now(), Weak::new()).slot;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        table.borrow_mut().remove(self.slot);
        SocketTable(table).serve_next();
    }
}

/// Looks for sockets as long as queries wait for them.
async fn serve_waiting(table: Weak<RefCell<Inner>>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(table) = table.upgrade().map(SocketTable) else { return };
        let now = Instant::now();
        if table.is_full(0) {
            table.take_back(None, now);
        }
        // After a refusal by the system, one waiting query finds out whether it still refuses.
        table.0.borrow_mut().refused_at = None;
        table.serve_next();
        let mut inner = table.0.borrow_mut();
        if inner.waiting.is_empty() {
            inner.is_watched = false;
            return;
        }
    }
}
