//! The queries that wait for a socket, and whose turn it is.
//!
//! Clients take turns, and within one client the servers that it makes this resolver ask. So neither a client with many
//! questions nor a server with many queries keeps others waiting.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::SocketAddr;

use foldhash::quality::RandomState;

/// Each `T` is a query that waits.
pub(super) struct SocketQueue<T> {
    clients: InTurn<u64, InTurn<SocketAddr, VecDeque<T>>>,
    count: usize,
    most: usize,
    is_gone: fn(&T) -> bool,
}

/// Queues, and the order in which they take turns. An empty one goes when its turn comes.
struct InTurn<K, Q> {
    queues: HashMap<K, Q, RandomState>,
    order: VecDeque<K>,
}

impl<T> SocketQueue<T> {
    /// At most so many queries. `is_gone`: it no longer waits.
    pub fn new(most: usize, is_gone: fn(&T) -> bool) -> SocketQueue<T> {
        SocketQueue { clients: InTurn::default(), count: 0, most, is_gone }
    }

    /// Does nobody wait? Those that have gone without a socket count until they are met.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a query. Where there are too many, the client with most loses its newest query to the server with most.
    pub fn push(&mut self, client: u64, server: SocketAddr, waiting: T) {
        if self.count >= self.most {
            self.forget_gone();
        }
        self.clients.of(client).of(server).push_back(waiting);
        self.count += 1;
        if self.count > self.most {
            self.drop_one();
        }
    }

    /// The query whose turn it is, of those to a server that `may_have` one; `None` if there is none of them.
    pub fn pop(&mut self, may_have: impl Fn(SocketAddr) -> bool) -> Option<T> {
        let (count, is_gone, mut gone) = (&mut self.count, self.is_gone, 0);
        let found = self.clients.take_turns(|servers| {
            servers.take_turns_among(&may_have, |queue| {
                while let Some(waiting) = queue.pop_front() {
                    if !is_gone(&waiting) {
                        return Some(waiting);
                    }
                    gone += 1;
                }
                None
            })
        });
        *count -= gone + usize::from(found.is_some());
        found
    }

    fn forget_gone(&mut self) {
        let (is_gone, mut count) = (self.is_gone, 0);
        self.clients.retain(|servers| {
            servers.retain(|queue| {
                queue.retain(|waiting| !is_gone(waiting));
                count += queue.len();
                !queue.is_empty()
            });
            !servers.is_empty()
        });
        self.count = count;
    }

    fn drop_one(&mut self) {
        let size = |servers: &InTurn<SocketAddr, VecDeque<T>>| servers.queues.values().map(VecDeque::len).sum();
        let longest = self.clients.largest(size).and_then(|servers| servers.largest(VecDeque::len));
        if longest.and_then(VecDeque::pop_back).is_some() {
            self.count -= 1;
        }
    }
}

impl<K, Q> Default for InTurn<K, Q> {
    fn default() -> InTurn<K, Q> {
        InTurn { queues: HashMap::default(), order: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, Q: Default> InTurn<K, Q> {
    fn of(&mut self, key: K) -> &mut Q {
        self.queues.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Q::default()
        })
    }
}

impl<K: Copy + Eq + Hash, Q: IsEmpty> InTurn<K, Q> {
    fn take_turns<T>(&mut self, take: impl FnMut(&mut Q) -> Option<T>) -> Option<T> {
        self.take_turns_among(|_| true, take)
    }

    /// The first that `take` finds. The queue that had it goes to the end; one that was passed over keeps its turn.
    fn take_turns_among<T>(&mut self, may: impl Fn(K) -> bool, mut take: impl FnMut(&mut Q) -> Option<T>) -> Option<T> {
        let mut at = 0;
        while let Some(key) = self.order.get(at).copied() {
            let taken = if may(key) { self.queues.get_mut(&key).and_then(&mut take) } else { None };
            if self.queues.get(&key).is_none_or(IsEmpty::is_empty) {
                self.queues.remove(&key);
                self.order.remove(at);
            } else if taken.is_some() {
                self.order.remove(at);
                self.order.push_back(key);
            } else {
                at += 1;
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    fn retain(&mut self, mut keep: impl FnMut(&mut Q) -> bool) {
        let queues = &mut self.queues;
        self.order.retain(|key| {
            let kept = queues.get_mut(key).is_some_and(&mut keep);
            if !kept {
                queues.remove(key);
            }
            kept
        });
    }

    /// Of equal ones that whose turn comes last.
    fn largest(&mut self, size: impl Fn(&Q) -> usize) -> Option<&mut Q> {
        let key = self.order.iter().copied().max_by_key(|key| self.queues.get(key).map_or(0, &size))?;
        self.queues.get_mut(&key)
    }
}

trait IsEmpty {
    fn is_empty(&self) -> bool;
}

impl<T> IsEmpty for VecDeque<T> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<K, Q> IsEmpty for InTurn<K, Q> {
    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Its number, and whether it has gone.
    type Waiting = (usize, Rc<Cell<bool>>);

    fn server(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 53))
    }

    /// Queries of these clients to these servers, in this order; the second value is who goes without a socket.
    fn queue(most: usize, waiting: &[(u64, u8)]) -> (SocketQueue<Waiting>, Vec<Rc<Cell<bool>>>) {
        let mut queue = SocketQueue::new(most, |waiting: &Waiting| waiting.1.get());
        let goes: Vec<Rc<Cell<bool>>> = waiting.iter().map(|_| Rc::default()).collect();
        for (number, (client, last)) in waiting.iter().enumerate() {
            queue.push(*client, server(*last), (number, goes[number].clone()));
        }
        (queue, goes)
    }

    fn turns(queue: &mut SocketQueue<Waiting>, may_have: impl Fn(SocketAddr) -> bool) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop(&may_have)).map(|(number, _)| number).collect()
    }

    #[test]
    fn clients_take_turns_and_then_servers() {
        let (mut queue, _) = queue(100, &[(1, 1), (1, 1), (1, 1), (1, 2), (2, 1), (2, 1), (3, 9)]);
        assert_eq!(turns(&mut queue, |_| true), [0, 4, 6, 3, 5, 1, 2]);
        assert!(queue.is_empty() && queue.clients.queues.is_empty() && queue.clients.order.is_empty());
    }

    #[test]
    fn a_query_that_is_passed_over_keeps_its_turn() {
        let (mut queue, _) = queue(100, &[(1, 1), (1, 2), (2, 1), (2, 2), (1, 3)]);
        assert_eq!(turns(&mut queue, |to| to != server(1)), [1, 3, 4]);
        assert_eq!(turns(&mut queue, |_| true), [2, 0]);
    }

    #[test]
    fn a_full_queue_drops_the_newest_of_whoever_has_most() {
        let mut waiting = vec![(1, 1); 6];
        waiting.extend([(1, 2), (2, 1), (2, 2), (3, 1)]);
        let (mut queue, goes) = queue(8, &waiting);
        assert_eq!(queue.count, 8);
        goes[0].set(true);
        goes[7].set(true);
        queue.push(3, server(2), (10, Rc::default()));
        assert_eq!(queue.count, 7, "those that have gone make room");
        assert_eq!(turns(&mut queue, |_| true), [1, 8, 9, 6, 10, 2, 3]);
        assert!(queue.is_empty() && queue.clients.queues.is_empty());
    }
}
