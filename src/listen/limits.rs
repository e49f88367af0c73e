//! Limits on connections and on the octets held for them, for each client and in all.
//!
//! Each worker has its share of the limits for itself, without a lock: the kernel spreads connections over workers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::limits::Limits;
use crate::limits::clients::{HELD_BYTES_SPARED, IDLE_LOOKS_MAX, LONGEST_EXCHANGE_BYTES, SHORT_REPLIES_BYTES};
use crate::policy::ClientNet;

/// One worker's share of the limits.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connections: usize,
    pub connections_per_client: usize,
    pub questions_per_connection: usize,
    pub idle: Duration,
    pub message: Duration,
    pub bytes_per_connection: usize,
    pub bytes: usize,
    pub stop: Duration,
    /// TLS handshakes that a network of clients in `allow` may begin in a second, and at once. Not a share: threads count together.
    pub handshakes: (u32, u32),
}

impl Bounds {
    /// The share of one of `workers` workers.
    pub fn share(limits: &Limits, workers: usize) -> Bounds {
        let share = |whole: usize| (whole / workers.max(1)).max(1);
        Bounds {
            connections: share(limits.tcp_connections),
            connections_per_client: share(limits.tcp_connections_per_client),
            questions_per_connection: limits.tcp_questions_per_connection,
            idle: Duration::from_millis(limits.tcp_idle_ms),
            message: Duration::from_millis(limits.tcp_message_ms),
            bytes_per_connection: limits.tcp_bytes_per_connection,
            bytes: share(limits.tcp_bytes).max(limits.tcp_bytes_per_connection).max(LONGEST_EXCHANGE_BYTES),
            stop: Duration::from_millis(limits.stop_ms),
            handshakes: (limits.tls_handshakes_per_second, limits.tls_connections.try_into().unwrap_or(u32::MAX)),
        }
    }

    /// The share of one of `threads` threads for encrypted transports.
    pub fn share_encrypted(limits: &Limits, threads: usize) -> Bounds {
        let share = |whole: usize| (whole / threads.max(1)).max(1);
        Bounds {
            connections: share(limits.tls_connections),
            connections_per_client: share(limits.tls_connections_per_client),
            idle: Duration::from_millis(limits.tls_idle_ms),
            bytes: share(limits.tls_bytes).max(limits.tcp_bytes_per_connection).max(LONGEST_EXCHANGE_BYTES),
            ..Bounds::share(limits, threads)
        }
    }

    /// The same for connections whose TLS handshake is under way: a third of the places for connections, and a sixth of those for one
    /// client.
    pub fn share_handshakes(limits: &Limits, threads: usize) -> Bounds {
        let encrypted = Bounds::share_encrypted(limits, threads);
        let connections = (encrypted.connections / 3).max(1);
        Bounds { connections, connections_per_client: (connections / 6).max(1), ..encrypted }
    }
}

/// The bounds in force, which a reload changes. Shared by all workers.
#[derive(Clone)]
pub struct LiveBounds(Arc<ArcSwap<Bounds>>);

impl LiveBounds {
    /// These bounds.
    pub fn new(bounds: Bounds) -> LiveBounds {
        LiveBounds(Arc::new(ArcSwap::from_pointee(bounds)))
    }

    /// The bounds now.
    pub fn now(&self) -> Bounds {
        **self.0.load()
    }

    /// For connections from now on.
    pub fn set(&self, bounds: Bounds) {
        self.0.store(Arc::new(bounds));
    }
}

/// Connections that were closed to make room for a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Evicted {
    /// One of the same client, which has reached its limit.
    pub of_client: bool,
    /// One of anybody, because of the limit on all.
    pub of_all: bool,
}

/// The connections of one worker. A new one is never refused: at a limit, the connection that has been without a question for
/// longest is closed, one of the same client if the client's limit is reached. When octets run out, a request for more fails,
/// or a connection of the client that holds most is closed.
pub struct Connections {
    bounds: LiveBounds,
    /// Octets held for all connections.
    bytes: Cell<usize>,
    /// The most so far.
    #[cfg(test)]
    most: Cell<usize>,
    /// Grows with each question of any connection; defines the order of "longest idle".
    stamp: Cell<u64>,
    table: RefCell<Table>,
    emptied: Notify,
}

#[derive(Default)]
struct Table {
    entries: HashMap<u64, Entry>,
    /// The stamp under which each connection is filed, and its number. A stamp here may be older than the connection's own,
    /// which is corrected when the connection comes first.
    order: BTreeMap<u64, u64>,
    of_client: HashMap<ClientNet, BTreeMap<u64, u64>>,
    /// Octets of the connections that wait for their client or for answers. Only those can be closed to make room; octets of
    /// others are perhaps about to be written.
    waiting: HashMap<ClientNet, usize>,
    /// The same, sorted; the client with most is last.
    by_bytes: BTreeSet<(usize, ClientNet)>,
    /// The waiting connections, sorted by client and octets.
    of_client_by_bytes: BTreeSet<(ClientNet, usize, u64)>,
}

struct Entry {
    client: ClientNet,
    filed: u64,
    signs: Rc<SignsOfLife>,
    /// The octets under which the connection is filed in the sorted sets; 0: it is not filed.
    waiting_bytes: usize,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct SignsOfLife {
    last: Cell<u64>,
    questions: Cell<usize>,
    /// Octets held for this connection.
    bytes: Cell<usize>,
    is_waiting: Cell<bool>,
    is_closed: Cell<bool>,
}

impl Connections {
    /// No connection yet.
    pub fn new(bounds: LiveBounds) -> Connections {
        Connections {
            bounds,
            bytes: Cell::new(0),
            #[cfg(test)]
            most: Cell::new(0),
            stamp: Cell::new(0),
            table: RefCell::default(),
            emptied: Notify::new(),
        }
    }

    /// Always admits the connection, and says which were closed for it.
    pub fn admit(self: &Rc<Self>, peer: IpAddr) -> (Permit, Evicted) {
        let (client, bounds) = (ClientNet::of(peer), self.bounds.now());
        let mut table = self.table.borrow_mut();
        let mut evicted = Evicted::default();
        let of_client = table.of_client.get(&client).map_or(0, BTreeMap::len);
        if of_client >= bounds.connections_per_client {
            let longest_idle = table.longest_idle(Some(client), &self.stamp);
            evicted.of_client = self.close(longest_idle, &mut table);
        }
        if table.entries.len() >= bounds.connections {
            let longest_idle = table.longest_idle(None, &self.stamp);
            evicted.of_all = self.close(longest_idle, &mut table);
        }
        let number = tick(&self.stamp);
        let signs = Rc::new(SignsOfLife::default());
        signs.last.set(number);
        table.entries.insert(number, Entry { client, filed: number, signs: Rc::clone(&signs), waiting_bytes: 0, task: None });
        table.file(client, number, number);
        (Permit { connections: Rc::clone(self), number, signs }, evicted)
    }

    /// Sets the task that `close_longest_idle` aborts.
    pub fn set_task(&self, number: u64, task: AbortHandle) {
        if let Some(entry) = self.table.borrow_mut().entries.get_mut(&number) {
            entry.task = Some(task);
        }
    }

    /// Makes room when the system has no descriptor left. False if there was nothing to close.
    pub fn close_longest_idle(&self) -> bool {
        let mut table = self.table.borrow_mut();
        let longest_idle = table.longest_idle(None, &self.stamp);
        self.close(longest_idle, &mut table)
    }

    /// The idle time-out, shorter when three quarters of the places are taken (RFC 7766 6.2.3 leaves it to the server's load).
    pub fn idle_timeout(&self) -> Duration {
        let bounds = self.bounds.now();
        let crowded = self.table.borrow().entries.len() > bounds.connections / 4 * 3;
        if crowded { bounds.idle / 5 } else { bounds.idle }
    }

    /// Octets held for all connections.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The most octets that were ever held.
    #[cfg(test)]
    pub fn most_bytes(&self) -> usize {
        self.most.get()
    }

    fn close(&self, number: Option<u64>, table: &mut Table) -> bool {
        let Some(entry) = number.and_then(|number| table.remove(number)) else { return false };
        entry.signs.is_closed.set(true);
        self.bytes.set(self.bytes.get() - entry.signs.bytes.take());
        entry.task.map(|task| task.abort()).is_some()
    }

    /// Waits until there is no connection.
    pub async fn emptied(&self) {
        while !self.table.borrow().entries.is_empty() {
            self.emptied.notified().await;
        }
    }
}

impl Table {
    fn longest_idle(&mut self, of: Option<ClientNet>, stamp: &Cell<u64>) -> Option<u64> {
        let mut victim = None;
        for _ in 0..IDLE_LOOKS_MAX {
            let order = match of {
                Some(client) => self.of_client.get(&client),
                None => Some(&self.order),
            };
            let Some((_, &number)) = order.and_then(BTreeMap::first_key_value) else { break };
            victim = victim.or(Some(number));
            let Some(entry) = self.entries.get_mut(&number) else { break };
            let is_busy = entry.signs.questions.get() > 0;
            if !is_busy && entry.signs.last.get() == entry.filed {
                victim = Some(number);
                break;
            }
            let (client, old) = (entry.client, entry.filed);
            let new = if is_busy { tick(stamp) } else { entry.signs.last.get() };
            entry.signs.last.set(new);
            entry.filed = new;
            self.unfile(client, old);
            self.file(client, new, number);
        }
        victim
    }

    /// The waiting connection with most octets, of the client whose waiting connections hold most.
    fn greediest(&self) -> Option<(usize, u64)> {
        let (of_client, client) = *self.by_bytes.last()?;
        let (_, _, number) = *self.of_client_by_bytes.range(..=(client, usize::MAX, u64::MAX)).next_back()?;
        Some((of_client, number))
    }

    fn set_waiting_bytes(&mut self, number: u64, bytes: usize) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let (client, before) = (entry.client, std::mem::replace(&mut entry.waiting_bytes, bytes));
        self.count_waiting(client, number, before, bytes);
    }

    fn count_waiting(&mut self, client: ClientNet, number: u64, before: usize, bytes: usize) {
        if before > 0 {
            self.of_client_by_bytes.remove(&(client, before, number));
        }
        if bytes > 0 {
            self.of_client_by_bytes.insert((client, bytes, number));
        }
        let all_before = self.waiting.get(&client).copied().unwrap_or(0);
        let all = all_before + bytes - before;
        self.by_bytes.remove(&(all_before, client));
        if all > 0 {
            self.waiting.insert(client, all);
            self.by_bytes.insert((all, client));
        } else {
            self.waiting.remove(&client);
        }
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        self.count_waiting(entry.client, number, entry.waiting_bytes, 0);
        self.unfile(entry.client, entry.filed);
        Some(entry)
    }

    fn file(&mut self, client: ClientNet, stamp: u64, number: u64) {
        self.order.insert(stamp, number);
        self.of_client.entry(client).or_default().insert(stamp, number);
    }

    fn unfile(&mut self, client: ClientNet, stamp: u64) {
        self.order.remove(&stamp);
        if let Some(order) = self.of_client.get_mut(&client) {
            order.remove(&stamp);
            if order.is_empty() {
                self.of_client.remove(&client);
            }
        }
    }
}

fn tick(stamp: &Cell<u64>) -> u64 {
    stamp.set(stamp.get() + 1);
    stamp.get()
}

/// The place of one connection in the table, given back when dropped.
pub struct Permit {
    connections: Rc<Connections>,
    number: u64,
    signs: Rc<SignsOfLife>,
}

impl Permit {
    /// The number of this connection, unique for its worker.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A complete question arrived. Single octets do not count: a client that sends them one by one is idle.
    pub fn question_came(&self) {
        self.signs.last.set(tick(&self.connections.stamp));
    }

    /// A connection with questions in progress is not idle.
    pub fn questions_under_way(&self, count: usize) {
        self.signs.questions.set(count);
    }

    /// Octets held for this connection.
    pub fn bytes(&self) -> usize {
        self.signs.bytes.get()
    }

    /// Reserves octets. If there are not enough, connections of the client that holds most are closed, unless that is this
    /// client itself; `must` if this connection can write nothing before it gets room. False if there is no room.
    pub fn reserve(&self, more: usize, must: bool) -> bool {
        let (connections, signs) = (&self.connections, &self.signs);
        if signs.is_closed.get() {
            return false;
        }
        self.runs();
        if connections.bytes.get() + more > connections.bounds.now().bytes && !self.make_room(more, must) {
            return false;
        }
        self.count(more);
        true
    }

    /// Whether so many more octets have room without any connection being closed for them.
    pub fn would_fit(&self, more: usize) -> bool {
        self.connections.bytes.get() + more <= self.connections.bounds.now().bytes
    }

    /// Holds octets that are there already: the reply to a question that was taken. Where nothing makes room for them, they are held
    /// beyond the limit while they are few; `waits` sees to it that this does not last. Many that become ready in one moment would be
    /// far beyond it before any connection waits: then this connection is closed. False if it is.
    /// `unread`: octets of replies that this connection holds already.
    pub fn hold(&self, more: usize, unread: usize) -> bool {
        if self.reserve(more, unread == 0) {
            return true;
        }
        if self.signs.is_closed.get() {
            return false;
        }
        let (connections, bounds) = (&self.connections, self.connections.bounds.now());
        let is_far_beyond = connections.bytes.get() + more > bounds.bytes + bounds.bytes / 4;
        let few = if is_far_beyond { SHORT_REPLIES_BYTES } else { bounds.bytes_per_connection };
        if unread + more > few {
            connections.close(Some(self.number), &mut connections.table.borrow_mut());
            return false;
        }
        self.count(more);
        true
    }

    fn count(&self, more: usize) {
        #[cfg(test)]
        self.connections.most.set(self.connections.most.get().max(self.connections.bytes.get() + more));
        self.connections.bytes.set(self.connections.bytes.get() + more);
        self.signs.bytes.set(self.signs.bytes.get() + more);
    }

    fn make_room(&self, more: usize, must: bool) -> bool {
        let connections = &self.connections;
        let mut table = connections.table.borrow_mut();
        let Some(client) = table.entries.get(&self.number).map(|entry| entry.client) else { return false };
        let bytes_max = connections.bounds.now().bytes;
        // Where all that the others hold would not be enough, none of them is closed in vain.
        if self.bytes() + more > bytes_max {
            return false;
        }
        while connections.bytes.get() + more > bytes_max {
            let ours = table.waiting.get(&client).copied().unwrap_or(0) + self.bytes();
            match table.greediest() {
                Some((of_client, number)) if must || of_client >= ours => {
                    connections.close(Some(number), &mut table);
                }
                Some(_) | None => return false,
            }
        }
        true
    }

    /// Gives octets back.
    pub fn release(&self, bytes: usize) {
        if bytes == 0 || self.signs.is_closed.get() {
            return;
        }
        self.runs();
        let connections = &self.connections;
        connections.bytes.set(connections.bytes.get() - bytes);
        self.signs.bytes.set(self.signs.bytes.get() - bytes);
    }

    /// Nothing can be done before the client reads or sends, or an answer is ready. If more is held than there is room for, connections
    /// of the client that holds most are closed, this one perhaps among them.
    pub fn waits(&self) {
        if self.bytes() == 0 || self.signs.is_waiting.replace(true) {
            return;
        }
        let connections = &self.connections;
        let mut table = connections.table.borrow_mut();
        table.set_waiting_bytes(self.number, self.bytes());
        let bytes_max = connections.bounds.now().bytes;
        while connections.bytes.get() > bytes_max
            && let Some((of_client, number)) = table.greediest()
            && of_client.max(connections.bytes.get() - bytes_max) > HELD_BYTES_SPARED
        {
            connections.close(Some(number), &mut table);
        }
    }

    fn runs(&self) {
        if self.signs.is_waiting.replace(false) {
            self.connections.table.borrow_mut().set_waiting_bytes(self.number, 0);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release(self.bytes());
        let mut table = self.connections.table.borrow_mut();
        table.remove(self.number);
        if table.entries.is_empty() {
            self.connections.emptied.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        let mut bounds = Bounds::share(&Limits::default(), 2);
        (bounds.connections, bounds.connections_per_client) = (4, 3);
        bounds
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn bytes_are_refused_or_made_free_at_the_cost_of_the_greediest_client() {
        let bounds = Bounds { connections: 10, connections_per_client: 10, bytes: 1_000, ..bounds() };
        let connections = Rc::new(Connections::new(LiveBounds::new(bounds)));
        let admit = |last| connections.admit(client(last)).0;
        let (greedy, also_greedy, slow, quick) = (admit(1), admit(1), admit(2), admit(3));
        assert!(greedy.reserve(300, false) && also_greedy.reserve(350, false) && slow.reserve(340, false));
        assert!(!quick.reserve(100, true), "all may be about to write");
        [&greedy, &also_greedy, &slow].into_iter().for_each(Permit::waits);
        assert!(!also_greedy.reserve(100, false), "its own client holds most");
        also_greedy.waits();
        assert!(quick.reserve(100, false));
        assert_eq!((also_greedy.bytes(), connections.bytes()), (0, 740), "of the greediest client the greediest connection");
        // The larger is what waits beside it, so a small connection of the same client is not refused for ever.
        assert!(greedy.reserve(200, false) && !greedy.reserve(200, false) && greedy.reserve(200, true));
        assert_eq!((slow.bytes(), connections.bytes()), (0, 800));
        assert!(!slow.reserve(1, true), "it is closed");
        slow.release(10);
        quick.release(100);
        drop((greedy, also_greedy, slow, quick));
        let table = connections.table.borrow();
        assert_eq!((connections.bytes(), table.waiting.len(), table.by_bytes.len(), table.of_client_by_bytes.len()), (0, 0, 0, 0));
    }

    #[test]
    fn nobody_is_closed_in_vain() {
        let connections = Rc::new(Connections::new(LiveBounds::new(Bounds { bytes: 1_000, ..bounds() })));
        let (slow, large) = (connections.admit(client(1)).0, connections.admit(client(2)).0);
        assert!(slow.reserve(300, false) && large.reserve(100, false));
        slow.waits();
        assert!(!large.reserve(901, true) && !large.hold(200_000, 0), "more than there is for all");
        assert_eq!((slow.bytes(), large.bytes()), (300, 0), "the one that is too large is closed");
    }

    #[test]
    fn the_longest_exchange_has_room_however_many_workers_there_are() {
        for workers in [1, 2, 57, 1_000] {
            let limits = Limits::default();
            let bytes = Bounds::share(&limits, workers).bytes.min(Bounds::share_encrypted(&limits, workers).bytes);
            assert!(bytes >= LONGEST_EXCHANGE_BYTES, "{workers} workers: {bytes}");
        }
    }

    #[test]
    fn handshakes_have_a_part_of_the_places_however_few_there_are() {
        for descriptors in [64, 1_024, 1 << 20] {
            let limits = Limits::default().within_descriptors(descriptors, 2);
            let (all, under_way) = (Bounds::share_encrypted(&limits, 2), Bounds::share_handshakes(&limits, 2));
            assert_eq!(under_way.connections, (all.connections / 3).max(1), "{descriptors}");
            assert_eq!(under_way.connections_per_client, (all.connections / 18).max(1), "{descriptors}");
        }
    }

    fn present(connections: &Connections) -> Vec<u64> {
        let mut all: Vec<_> = connections.table.borrow().entries.keys().copied().collect();
        all.sort_unstable();
        all
    }

    #[tokio::test]
    async fn the_longest_idle_goes() {
        let tasks = tokio::task::LocalSet::new();
        let connections = Rc::new(Connections::new(LiveBounds::new(bounds())));
        let admit = |last: u8| {
            let (permit, evicted) = connections.admit(client(last));
            connections.set_task(permit.number(), tasks.spawn_local(std::future::pending::<()>()).abort_handle());
            (permit, evicted)
        };
        let (first, _) = admit(1);
        let (second, _) = admit(2);
        let (third, _) = admit(2);
        let (fourth, _) = admit(2);
        first.question_came();
        second.questions_under_way(1);
        // In all, the first is the oldest but has spoken, the second waits for an answer: the third goes.
        let (fifth, evicted) = admit(3);
        let of_all = Evicted { of_all: true, of_client: false };
        assert_eq!((evicted, present(&connections)), (of_all, vec![first.number(), second.number(), fourth.number(), fifth.number()]));
        drop(third);
        drop(fifth);
        // The client's own limit closes one of its own.
        let (sixth, evicted) = admit(2);
        assert_eq!(evicted, Evicted::default());
        fourth.question_came();
        let (seventh, evicted) = admit(2);
        let of_client = Evicted { of_all: false, of_client: true };
        assert_eq!((evicted, present(&connections)), (of_client, vec![first.number(), second.number(), fourth.number(), seventh.number()]));
        drop((first, second, fourth, sixth, seventh));
        let table = connections.table.borrow();
        assert_eq!((table.entries.len(), table.order.len(), table.of_client.len()), (0, 0, 0));
    }
}
