//! How many questions may be in progress, and whose: the only admission of questions that have to wait.
//!
//! A question holds its place from its admission until the last walk for it has ended, so the table shows what is really in
//! use: memory, and the sockets of walks. A question with one walk costs one place, and each further walk under way for it a
//! part of a place. There is one table for the whole process.
//!
//! ```text
//! free place ─► taken
//! full       ─► the client whose questions cost most loses its oldest one (if they cost more than the newcomer's client's);
//!               otherwise the newcomer's client loses its own oldest, if that has had its time;
//!               otherwise the newcomer is refused
//! walks fill the reserve too ─► the client whose questions cost most loses its oldest one
//! ```
//!
//! So a client with few questions in progress always gets a place, however many one client or all others have. If every client
//! has one (forged addresses), each question still gets its minimum time.

use std::collections::btree_map::BTreeMap;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::ClientNet;
use super::pulse::Pulses;
use crate::env::Instant;
use crate::limits::Limits;
use crate::metrics::ClientLimit;

/// What a question with its first walk, and each further walk, cost: units of 4 KiB of memory (measured).
const QUESTION_COST: usize = 5;
const WALK_COST: usize = 2;
/// Walks of questions that have a place may cost this part more than all places: a question that needs the addresses of
/// servers must not lose its place for it when all others need none.
const RESERVE_PART: usize = 15;

/// Shared by all workers. Cheap to clone.
#[derive(Clone)]
pub struct InFlight(Arc<Shared>);

struct Shared {
    table: Mutex<Table>,
    pulses: Mutex<Pulses>,
    shed: AtomicUsize,
}

#[derive(Clone, Copy, Default, Debug)]
struct Bounds {
    cost: usize,
    cost_with_reserve: usize,
    cost_per_client: usize,
    datagrams_per_client: usize,
    least: Duration,
    greedy_cost: usize,
    greedy_least: Duration,
}

#[derive(Default)]
struct Table {
    bounds: Bounds,
    clients: HashMap<ClientNet, Client, RandomState>,
    /// Every client with a place. The last costs most; among equals, the one whose oldest question came first.
    by_greed: BTreeSet<Greed>,
    total: usize,
    cost: usize,
    next: u64,
}

#[derive(Default)]
struct Client {
    /// In the order of arrival.
    places: BTreeMap<u64, Arc<Inner>>,
    cost: usize,
    /// Questions that came over UDP and have not been answered.
    datagrams: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Greed {
    cost: usize,
    /// The complement of its number.
    oldest: u64,
    client: ClientNet,
}

/// The right of a waiting client to an answer; it ends when dropped.
#[derive(Debug)]
pub struct Ticket {
    place: Place,
    /// The limit that was reached, and the client that has lost a question for it.
    pub cost: Option<(ClientLimit, ClientNet)>,
}

/// A question's place. Clones are the same place, which becomes free when the last of them is dropped.
#[derive(Clone)]
pub struct Place(Arc<Held>);

struct Held {
    in_flight: InFlight,
    inner: Arc<Inner>,
}

struct Inner {
    number: u64,
    client: ClientNet,
    came: Instant,
    is_datagram: bool,
    lost: AtomicBool,
    /// Walks under way for the question. Changed and read with the table locked.
    walks: AtomicUsize,
    /// Wakers of all tasks that work for the question.
    wakers: Mutex<SmallVec<[Waker; 2]>>,
}

impl Bounds {
    fn new(limits: &Limits) -> Bounds {
        let cost = limits.pending_questions * QUESTION_COST;
        // However small the table, one question may have walks as deep as they may be.
        let reserve = (cost / RESERVE_PART).max((limits.glueless_depth + 1) * WALK_COST);
        Bounds {
            cost,
            cost_with_reserve: cost + reserve,
            cost_per_client: limits.pending_questions_per_client * QUESTION_COST,
            datagrams_per_client: limits.pending_datagrams_per_client,
            least: Duration::from_millis(limits.pending_least_ms),
            greedy_cost: limits.pending_greedy * QUESTION_COST,
            greedy_least: Duration::from_millis(limits.pending_greedy_least_ms),
        }
    }
}

impl InFlight {
    /// An empty table.
    pub fn new(limits: &Limits) -> InFlight {
        let pulses = Pulses::new(limits.answers_per_pulse, Duration::from_millis(limits.pulse_ms));
        let table = Table { bounds: Bounds::new(limits), ..Table::default() };
        InFlight(Arc::new(Shared { table: Mutex::new(table), pulses: Mutex::new(pulses), shed: AtomicUsize::new(0) }))
    }

    /// Other limits from now on. Questions that have a place keep it.
    pub fn set_limits(&self, limits: &Limits) {
        self.0.table.lock().bounds = Bounds::new(limits);
    }

    /// For a question over UDP, whose source address may be forged.
    pub fn admit_datagram(&self, peer: IpAddr, now: Instant) -> Result<Ticket, ClientLimit> {
        let ticket = self.admit_as(peer, true, now)?;
        self.0.pulses.lock().asked(ticket.place.0.inner.client, now);
        Ok(ticket)
    }

    /// For a question over a connection. `Err`: the limit for which there is no place.
    pub fn admit(&self, peer: IpAddr, now: Instant) -> Result<Ticket, ClientLimit> {
        self.admit_as(peer, false, now)
    }

    fn admit_as(&self, peer: IpAddr, is_datagram: bool, now: Instant) -> Result<Ticket, ClientLimit> {
        let client = ClientNet::of(peer);
        let mut table = self.0.table.lock();
        let bounds = table.bounds;
        let (held, datagrams) = table.clients.get(&client).map_or((0, 0), |client| (client.cost, client.datagrams));
        // Loopback addresses cannot be forged from outside.
        if is_datagram && datagrams >= bounds.datagrams_per_client && !peer.is_loopback() {
            return Err(ClientLimit::WaitingDatagrams);
        }
        let is_client_full = held + QUESTION_COST > bounds.cost_per_client;
        let mut cost = None;
        if is_client_full || table.cost + QUESTION_COST > bounds.cost {
            let limit = if is_client_full { ClientLimit::WaitingPerClient } else { ClientLimit::Waiting };
            let victim = if is_client_full { Some(client) } else { table.who_loses(client, held) };
            let (victim, (loses, oldest)) = victim.and_then(|victim| Some((victim, table.oldest_of(victim)?))).ok_or(limit)?;
            let is_greedier = loses > held + QUESTION_COST;
            let least = if held >= bounds.greedy_cost { bounds.greedy_least } else { bounds.least };
            if !is_greedier && now.duration_since(oldest.came) < least {
                return Err(limit);
            }
            self.shed_one(&mut table, &oldest);
            cost = Some((limit, victim));
        }
        let inner = table.insert(client, is_datagram, now);
        Ok(Ticket { place: Place(Arc::new(Held { in_flight: self.clone(), inner })), cost })
    }

    fn shed_one(&self, table: &mut Table, place: &Inner) {
        table.remove(place);
        self.0.shed.fetch_add(1, Ordering::Relaxed);
        place.lose();
    }

    /// When the answer to a question that came over UDP may leave to `peer`.
    pub fn leave_at(&self, peer: IpAddr, now: Instant) -> Instant {
        self.0.pulses.lock().leave_at(ClientNet::of(peer), now)
    }

    /// Such an answer whose time has come leaves now (`None`), or at this time.
    pub fn leave(&self, peer: IpAddr, now: Instant) -> Option<Instant> {
        self.0.pulses.lock().leave(ClientNet::of(peer), now)
    }

    /// Nobody should begin what no client waits for.
    pub fn is_crowded(&self) -> bool {
        let table = self.0.table.lock();
        table.cost > table.bounds.cost / 2
    }

    /// Places taken.
    pub fn total(&self) -> usize {
        self.0.table.lock().total
    }

    /// Questions that lost their place.
    pub fn shed(&self) -> usize {
        self.0.shed.load(Ordering::Relaxed)
    }
}

impl Table {
    /// The client whose oldest question loses its place when there is none for `client`, which has `held`.
    fn who_loses(&self, client: ClientNet, held: usize) -> Option<ClientNet> {
        let greediest = self.by_greed.last()?;
        let loses = if greediest.cost > held { greediest.client } else { client };
        Some(loses)
    }

    fn oldest_of(&self, client: ClientNet) -> Option<(usize, Arc<Inner>)> {
        let client = self.clients.get(&client)?;
        client.places.first_key_value().map(|(_, oldest)| (client.cost, Arc::clone(oldest)))
    }

    fn insert(&mut self, client: ClientNet, is_datagram: bool, came: Instant) -> Arc<Inner> {
        self.next += 1;
        let number = self.next;
        let (lost, walks, wakers) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::default());
        let inner = Arc::new(Inner { number, client, came, is_datagram, lost, walks, wakers });
        let entry = self.clients.entry(client).or_default();
        let before = entry.greed(client);
        entry.places.insert(number, Arc::clone(&inner));
        entry.cost += QUESTION_COST;
        entry.datagrams += usize::from(is_datagram);
        let after = entry.greed(client);
        self.order(before, after);
        self.total += 1;
        self.cost += QUESTION_COST;
        inner
    }

    /// The question has this many walks under way.
    fn set_walks(&mut self, inner: &Inner, walks: usize) {
        let was = inner.cost();
        inner.walks.store(walks, Ordering::Relaxed);
        let is = inner.cost();
        let Some(entry) = self.clients.get_mut(&inner.client).filter(|entry| entry.places.contains_key(&inner.number)) else { return };
        if was == is {
            return;
        }
        let before = entry.greed(inner.client);
        entry.cost = entry.cost + is - was;
        let after = entry.greed(inner.client);
        self.cost = self.cost + is - was;
        self.order(before, after);
    }

    /// Removes the place; the datagram stays counted until it is answered.
    fn remove(&mut self, inner: &Inner) {
        let Some(entry) = self.clients.get_mut(&inner.client) else { return };
        let before = entry.greed(inner.client);
        if entry.places.remove(&inner.number).is_none() {
            return;
        }
        entry.cost -= inner.cost();
        let after = entry.greed(inner.client);
        self.total -= 1;
        self.cost -= inner.cost();
        self.order(before, after);
        self.forget_if_gone(inner.client);
    }

    fn answered(&mut self, inner: &Inner) {
        if let Some(entry) = self.clients.get_mut(&inner.client) {
            entry.datagrams -= usize::from(inner.is_datagram).min(entry.datagrams);
        }
        self.forget_if_gone(inner.client);
    }

    fn forget_if_gone(&mut self, client: ClientNet) {
        if self.clients.get(&client).is_some_and(|entry| entry.places.is_empty() && entry.datagrams == 0) {
            self.clients.remove(&client);
        }
    }

    fn order(&mut self, before: Option<Greed>, after: Option<Greed>) {
        before.map(|before| self.by_greed.remove(&before));
        after.map(|after| self.by_greed.insert(after));
    }
}

impl Client {
    fn greed(&self, client: ClientNet) -> Option<Greed> {
        let (oldest, _) = self.places.first_key_value()?;
        Some(Greed { cost: self.cost, oldest: !oldest, client })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "place {} of {}", self.0.inner.number, self.0.inner.client)
    }
}

impl Place {
    /// Ready when another question has taken the place: all work for this question stops.
    pub fn poll_lost(&self, cx: &Context<'_>) -> Poll<()> {
        let inner = &self.0.inner;
        if inner.lost.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let mut wakers = inner.wakers.lock();
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        drop(wakers);
        // The place may have been lost before the waker was stored.
        if inner.lost.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Place {
    /// One more walk is under way for the question. Where there is no room for it, a question loses its place.
    pub fn walk_begins(&self) {
        let (in_flight, inner) = (&self.0.in_flight, &self.0.inner);
        let mut table = in_flight.0.table.lock();
        table.set_walks(inner, inner.walks.load(Ordering::Relaxed) + 1);
        while table.cost > table.bounds.cost_with_reserve {
            let Some((_, oldest)) = table.by_greed.last().map(|greed| greed.client).and_then(|client| table.oldest_of(client)) else {
                break;
            };
            in_flight.shed_one(&mut table, &oldest);
        }
    }

    /// A walk has ended.
    pub fn walk_ends(&self) {
        let inner = &self.0.inner;
        self.0.in_flight.0.table.lock().set_walks(inner, inner.walks.load(Ordering::Relaxed).saturating_sub(1));
    }
}

impl Ticket {
    /// The place, which the walks keep when they continue after the client has its answer.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let held = &self.place.0;
        held.in_flight.0.table.lock().answered(&held.inner);
    }
}

impl Inner {
    fn cost(&self) -> usize {
        QUESTION_COST + WALK_COST * self.walks.load(Ordering::Relaxed).saturating_sub(1)
    }

    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        std::mem::take(&mut *self.wakers.lock()).into_iter().for_each(Waker::wake);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.in_flight.0.table.lock().remove(&self.inner);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn in_flight(places: usize, per_client: usize) -> InFlight {
        let limits =
            Limits { pending_questions: places, pending_questions_per_client: per_client, pending_least_ms: 200, ..Limits::default() };
        InFlight::new(&limits)
    }

    fn is_lost(ticket: &Ticket) -> bool {
        ticket.place().poll_lost(&Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_greediest_client_loses_its_oldest_question() {
        let (in_flight, now) = (in_flight(8, 6), Instant::now());
        let greedy: Vec<_> = (0..6).map_while(|_| in_flight.admit(client(1), now).ok()).collect();
        let two: Vec<_> = (0..2).map_while(|_| in_flight.admit(client(2), now).ok()).collect();
        assert_eq!((greedy.len(), two.len(), in_flight.total()), (6, 2, 8));
        // Full: newcomers are served all the same.
        let modest: Vec<_> = (3..7).filter_map(|last| in_flight.admit(client(last), now).ok()).collect();
        assert_eq!((modest.len(), in_flight.total()), (4, 8));
        assert_eq!(greedy.iter().map(is_lost).collect::<Vec<_>>(), [true, true, true, true, false, false]);
        assert!(two.iter().chain(&modest).all(|ticket| !is_lost(ticket)));
        assert!(in_flight.admit(client(1), now).is_err(), "as greedy as anybody, and its own oldest has not had its time");
        let later = now + Duration::from_millis(200);
        let newest = in_flight.admit(client(1), later).expect("at the cost of its own oldest");
        assert!(is_lost(&greedy[4]) && !is_lost(&greedy[5]) && !is_lost(&newest));
        drop((greedy, two, modest, newest));
        assert_eq!((in_flight.total(), in_flight.shed()), (0, 5));
        let table = in_flight.0.table.lock();
        assert!(table.clients.is_empty() && table.by_greed.is_empty());
    }

    /// A walk for each question of a flood would take all of this machine's time.
    #[test]
    fn questions_of_greedy_clients_do_not_push_each_other_out_at_once() {
        let limits = Limits {
            pending_questions: 20,
            pending_questions_per_client: 15,
            pending_least_ms: 200,
            pending_greedy: 5,
            pending_greedy_least_ms: 1_000,
            ..Limits::default()
        };
        let (in_flight, start) = (InFlight::new(&limits), Instant::now());
        let mut held = Vec::new();
        for step in 0..2_000u32 {
            let now = start + step * Duration::from_millis(1);
            held.extend((1..=2).filter_map(|last| in_flight.admit(client(last), now).ok()));
            held.retain(|ticket| !is_lost(ticket));
        }
        assert_eq!((held.len(), in_flight.shed()), (20, 20), "each had its second");
        assert!(in_flight.admit(client(3), start + Duration::from_secs(2)).is_ok(), "a modest one is served at once");
    }

    #[test]
    fn where_each_client_has_one_question_each_has_its_time() {
        let (in_flight, now) = (in_flight(100, 50), Instant::now());
        let forged: Vec<_> = (0..100u8).filter_map(|last| in_flight.admit(client(last), now).ok()).collect();
        assert_eq!(forged.len(), 100);
        assert!(in_flight.admit(client(200), now + Duration::from_millis(199)).is_err());
        assert!(in_flight.admit(client(200), now + Duration::from_millis(200)).is_ok());
        assert!(is_lost(&forged[0]) && !is_lost(&forged[1]));
    }

    /// Questions with many walks at a time (servers named in zones whose servers are named in other zones, all silent) fill
    /// no more memory than others; who has them loses them.
    #[test]
    fn walks_count_too() {
        let (in_flight, now) = (in_flight(60, 40), Instant::now());
        let greedy: Vec<_> = (0..30).filter_map(|_| in_flight.admit(client(1), now).ok()).collect();
        let modest: Vec<_> = (2..32).filter_map(|last| in_flight.admit(client(last), now).ok()).collect();
        assert_eq!((greedy.len(), modest.len()), (30, 30));
        greedy.iter().chain(&modest).for_each(|ticket| ticket.place().walk_begins());
        assert_eq!(in_flight.shed(), 0, "a place has room for one walk");
        modest.iter().take(5).for_each(|ticket| ticket.place().walk_begins());
        assert_eq!(in_flight.shed(), 0, "and there is a reserve");
        for ticket in &greedy {
            (0..7).for_each(|_| ticket.place().walk_begins());
            assert!(in_flight.0.table.lock().cost <= 60 * QUESTION_COST * 16 / 15);
        }
        assert!(modest.iter().all(|ticket| !is_lost(ticket)));
        let left = greedy.iter().filter(|ticket| !is_lost(ticket)).count();
        assert!((6..=10).contains(&left), "{left} questions of eight walks");
        for ticket in &greedy {
            (0..8).for_each(|_| ticket.place().walk_ends());
        }
        assert_eq!(in_flight.0.table.lock().cost, (left + 30) * QUESTION_COST + 5 * WALK_COST);
        drop((greedy, modest));
        let table = in_flight.0.table.lock();
        assert!((table.cost, table.total) == (0, 0) && table.clients.is_empty() && table.by_greed.is_empty());
    }

    #[test]
    fn one_client_alone_has_its_number() {
        let (in_flight, now) = (in_flight(100, 3), Instant::now());
        let mut held: Vec<_> = (0..10).map_while(|_| in_flight.admit(client(1), now).ok()).collect();
        assert_eq!(held.len(), 3);
        assert!(in_flight.admit(client(1), now).is_err());
        held.pop();
        assert!(in_flight.admit(client(1), now).is_ok());
    }

    #[test]
    fn questions_that_may_be_forged_are_fewer() {
        let limits =
            Limits { pending_questions: 100, pending_questions_per_client: 4, pending_datagrams_per_client: 2, ..Limits::default() };
        for (peer, datagrams, connected) in [("192.0.2.1", 2, 2), ("2001:db8::1", 2, 2), ("127.0.0.1", 4, 0), ("::1", 4, 0)] {
            let (in_flight, peer, now) = (InFlight::new(&limits), address(peer), Instant::now());
            let mut held: Vec<_> = (0..10).map_while(|_| in_flight.admit_datagram(peer, now).ok()).collect();
            let others: Vec<_> = (0..10).map_while(|_| in_flight.admit(peer, now).ok()).collect();
            assert_eq!((held.len(), others.len()), (datagrams, connected), "{peer}");
            // A walk that goes on when its client has been answered keeps the place, but no client waits.
            let walk = held.pop().map(|ticket| ticket.place().clone());
            assert_eq!((in_flight.total(), in_flight.admit_datagram(peer, now).is_ok()), (4, false), "{peer}");
            drop(walk);
            assert!(in_flight.admit_datagram(peer, now).is_ok(), "{peer}");
        }
    }

    #[tokio::test]
    async fn all_who_work_for_a_lost_question_are_told() {
        let (in_flight, now) = (in_flight(1, 1), Instant::now());
        let ticket = in_flight.admit(client(1), now).expect("room");
        let wait = |place: Place| async move { poll_fn(|cx| place.poll_lost(cx)).await };
        let (client_task, walk) = (tokio::spawn(wait(ticket.place().clone())), tokio::spawn(wait(ticket.place().clone())));
        tokio::task::yield_now().await;
        let next = in_flight.admit(client(2), now + Duration::from_secs(1)).expect("the other has had its time");
        client_task.await.expect("woken");
        walk.await.expect("woken");
        assert!(!is_lost(&next));
        drop(ticket);
        assert_eq!(in_flight.total(), 1);
    }
}
