//! How much may wait, and for whom: questions that need a walk, and connections.
//!
//! Each worker keeps its share of the limits for itself, without a lock: the kernel spreads clients over
//! workers. A client is an IPv4 address or an IPv6 /56, what one household or host commonly gets.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::config::Limits;

/// One worker's share of the limits.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub pending_questions: usize,
    pub pending_questions_per_client: usize,
    pub pending_datagrams_per_client: usize,
    pub connections: usize,
    pub connections_per_client: usize,
    pub questions_per_connection: usize,
    pub idle: Duration,
    pub message: Duration,
    pub unsent_bytes: usize,
    pub stop: Duration,
}

impl Bounds {
    pub fn share(limits: &Limits, workers: usize) -> Bounds {
        let share = |whole: usize| (whole / workers.max(1)).max(1);
        Bounds {
            pending_questions: share(limits.pending_questions),
            pending_questions_per_client: share(limits.pending_questions_per_client),
            // Not shared out: all that one socket asks comes to one worker.
            pending_datagrams_per_client: limits.pending_datagrams_per_client,
            connections: share(limits.tcp_connections),
            connections_per_client: share(limits.tcp_connections_per_client),
            questions_per_connection: limits.tcp_questions_per_connection,
            idle: Duration::from_millis(limits.tcp_idle_ms),
            message: Duration::from_millis(limits.tcp_message_ms),
            unsent_bytes: limits.tcp_unsent_bytes,
            stop: Duration::from_millis(limits.stop_ms),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct ClientNet(IpAddr);

impl ClientNet {
    fn of(peer: IpAddr) -> ClientNet {
        ClientNet(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & (!0 << 72)).into(),
        })
    }
}

/// Questions that wait. A client may hold at most as many places as are still free: one greedy client then
/// leaves half of the table to others, and however many there are, a newcomer finds a place.
pub struct Pending {
    bounds: Bounds,
    total: Cell<usize>,
    of_client: RefCell<HashMap<ClientNet, usize>>,
    emptied: Notify,
}

impl Pending {
    pub fn new(bounds: Bounds) -> Pending {
        Pending { bounds, total: Cell::new(0), of_client: RefCell::default(), emptied: Notify::new() }
    }

    /// For a question that came over UDP, so perhaps not from `peer` at all.
    pub fn admit_datagram(self: &Rc<Self>, peer: IpAddr) -> Option<Ticket> {
        let most = if peer.is_loopback() { usize::MAX } else { self.bounds.pending_datagrams_per_client };
        self.admit_up_to(most, peer)
    }

    pub fn admit(self: &Rc<Self>, peer: IpAddr) -> Option<Ticket> {
        self.admit_up_to(usize::MAX, peer)
    }

    fn admit_up_to(self: &Rc<Self>, most: usize, peer: IpAddr) -> Option<Ticket> {
        let client = ClientNet::of(peer);
        let free = self.bounds.pending_questions.saturating_sub(self.total.get());
        let mut of_client = self.of_client.borrow_mut();
        let held = of_client.get(&client).copied().unwrap_or(0);
        if held >= self.bounds.pending_questions_per_client.min(most) || held >= free {
            return None;
        }
        of_client.insert(client, held + 1);
        self.total.set(self.total.get() + 1);
        Some(Ticket { pending: Rc::clone(self), client })
    }

    pub async fn emptied(&self) {
        while self.total.get() > 0 {
            self.emptied.notified().await;
        }
    }
}

/// One place among the pending questions, given back when dropped.
pub struct Ticket {
    pending: Rc<Pending>,
    client: ClientNet,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut of_client = self.pending.of_client.borrow_mut();
        if let Some(held) = of_client.get_mut(&self.client) {
            *held -= 1;
            if *held == 0 {
                of_client.remove(&self.client);
            }
        }
        let left = self.pending.total.get() - 1;
        self.pending.total.set(left);
        if left == 0 {
            self.pending.emptied.notify_one();
        }
    }
}

/// Connections looked at for one that is idle; when all of these are busy the first of them goes. Bounds the
/// work of one accept however many there are.
const LOOKS: usize = 32;

/// The connections of one worker. A new one is never refused: at a limit the one that has been without a
/// question for longest is closed, of the same client when it is the client's limit.
pub struct Connections {
    bounds: Bounds,
    /// Grows with every sign of life of any connection; the order of "longest idle".
    stamp: Cell<u64>,
    table: RefCell<Table>,
    emptied: Notify,
}

#[derive(Default)]
struct Table {
    entries: HashMap<u64, Entry>,
    /// Stamp under which each connection is filed, and its number. Filed lazily: a stamp here may be older than
    /// the connection's own, which is found out when it comes first.
    order: BTreeMap<u64, u64>,
    of_client: HashMap<ClientNet, BTreeMap<u64, u64>>,
}

struct Entry {
    client: ClientNet,
    filed: u64,
    signs: Rc<SignsOfLife>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct SignsOfLife {
    last: Cell<u64>,
    questions: Cell<usize>,
}

impl Connections {
    pub fn new(bounds: Bounds) -> Connections {
        Connections { bounds, stamp: Cell::new(0), table: RefCell::default(), emptied: Notify::new() }
    }

    /// Always admits; the number says how many others had to go.
    pub fn admit(self: &Rc<Self>, peer: IpAddr) -> (Permit, usize) {
        let client = ClientNet::of(peer);
        let mut table = self.table.borrow_mut();
        let mut evicted = 0;
        let of_client = table.of_client.get(&client).map_or(0, BTreeMap::len);
        if of_client >= self.bounds.connections_per_client {
            evicted += usize::from(table.close_longest_idle(Some(client), &self.stamp));
        }
        if table.entries.len() >= self.bounds.connections {
            evicted += usize::from(table.close_longest_idle(None, &self.stamp));
        }
        let number = tick(&self.stamp);
        let signs = Rc::new(SignsOfLife::default());
        signs.last.set(number);
        table.entries.insert(number, Entry { client, filed: number, signs: Rc::clone(&signs), task: None });
        table.file(client, number, number);
        (Permit { connections: Rc::clone(self), number, signs }, evicted)
    }

    /// The task that `close_longest_idle` ends.
    pub fn set_task(&self, number: u64, task: AbortHandle) {
        if let Some(entry) = self.table.borrow_mut().entries.get_mut(&number) {
            entry.task = Some(task);
        }
    }

    /// Makes room when the system, not our own limit, has none left.
    pub fn close_longest_idle(&self) -> bool {
        self.table.borrow_mut().close_longest_idle(None, &self.stamp)
    }

    /// Shorter when three quarters of the places are taken (RFC 7766 6.2.3 leaves it to the server's load).
    pub fn idle_timeout(&self) -> Duration {
        let crowded = self.table.borrow().entries.len() > self.bounds.connections / 4 * 3;
        if crowded { self.bounds.idle / 5 } else { self.bounds.idle }
    }

    pub async fn emptied(&self) {
        while !self.table.borrow().entries.is_empty() {
            self.emptied.notified().await;
        }
    }
}

impl Table {
    fn close_longest_idle(&mut self, of: Option<ClientNet>, stamp: &Cell<u64>) -> bool {
        let mut victim = None;
        for _ in 0..LOOKS {
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
        let task = victim.and_then(|number| self.remove(number)).and_then(|entry| entry.task);
        task.map(|task| task.abort()).is_some()
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
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

/// One connection's place in the table, given back when dropped.
pub struct Permit {
    connections: Rc<Connections>,
    number: u64,
    signs: Rc<SignsOfLife>,
}

impl Permit {
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A whole question came. Single octets are no sign of life: a client that dribbles counts as idle.
    pub fn question_came(&self) {
        self.signs.last.set(tick(&self.connections.stamp));
    }

    pub fn questions_under_way(&self, count: usize) {
        self.signs.questions.set(count);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
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
        (bounds.pending_questions, bounds.pending_questions_per_client) = (8, 6);
        (bounds.connections, bounds.connections_per_client) = (4, 3);
        bounds
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn one_greedy_client_leaves_room_for_others() {
        let pending = Rc::new(Pending::new(bounds()));
        let greedy: Vec<_> = (0..10).map_while(|_| pending.admit(client(1))).collect();
        assert_eq!(greedy.len(), 4);
        let others: Vec<_> = (2..5).filter_map(|last| pending.admit(client(last))).collect();
        assert_eq!(others.len(), 3);
        assert!(pending.admit(client(1)).is_none());
        drop(greedy);
        assert!(pending.admit(client(1)).is_some());
        drop(others);
        assert_eq!((pending.total.get(), pending.of_client.borrow().len()), (0, 0));
    }

    #[test]
    fn what_may_be_forged_makes_no_great_pulse() {
        let bounds = Bounds { pending_datagrams_per_client: 2, pending_questions: 100, ..bounds() };
        for (peer, datagrams, connected) in [("192.0.2.1", 2, 4), ("2001:db8::1", 2, 4), ("127.0.0.1", 6, 0), ("::1", 6, 0)] {
            let pending = Rc::new(Pending::new(bounds));
            let peer = peer.parse().expect("an address");
            let held: Vec<_> = (0..10).map_while(|_| pending.admit_datagram(peer)).collect();
            // Who has a connection is there.
            let others: Vec<_> = (0..10).map_while(|_| pending.admit(peer)).collect();
            assert_eq!((held.len(), others.len()), (datagrams, connected), "{peer}");
        }
    }

    #[test]
    fn a_56_is_one_client() {
        let net = |text: &str| ClientNet::of(text.parse().expect("address"));
        assert_eq!(net("2001:db8:0:1::1"), net("2001:db8:0:ff:ffff::"));
        assert_ne!(net("2001:db8:0:1::1"), net("2001:db8:0:100::1"));
    }

    fn present(connections: &Connections) -> Vec<u64> {
        let mut all: Vec<_> = connections.table.borrow().entries.keys().copied().collect();
        all.sort_unstable();
        all
    }

    #[tokio::test]
    async fn the_longest_idle_goes() {
        let tasks = tokio::task::LocalSet::new();
        let connections = Rc::new(Connections::new(bounds()));
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
        assert_eq!((evicted, present(&connections)), (1, vec![first.number(), second.number(), fourth.number(), fifth.number()]));
        drop(third);
        drop(fifth);
        // The client's own limit closes one of its own.
        let (sixth, evicted) = admit(2);
        assert_eq!(evicted, 0);
        fourth.question_came();
        let (seventh, evicted) = admit(2);
        assert_eq!((evicted, present(&connections)), (1, vec![first.number(), second.number(), fourth.number(), seventh.number()]));
        drop((first, second, fourth, sixth, seventh));
        let table = connections.table.borrow();
        assert_eq!((table.entries.len(), table.order.len(), table.of_client.len()), (0, 0, 0));
    }
}
