//! How many questions of one client are waiting for an answer: one greedy client must not fill the table that all
//! share, and when it is full the greedy ones are refused first.
//!
//! A client is an IPv4 address or a /56 of IPv6 (one customer's usual prefix). One thread counts its own clients;
//! a permit gives its place back when it is dropped.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use foldhash::fast::RandomState;

/// Not `Send`: each thread has its own.
#[derive(Clone)]
pub struct InFlight(Rc<RefCell<Table>>);

struct Table {
    /// Never a zero; so never longer than `total`.
    counts: HashMap<IpAddr, u32, RandomState>,
    total: usize,
    per_client_max: usize,
    total_max: usize,
}

/// A place in the table.
pub struct Permit {
    table: Rc<RefCell<Table>>,
    client: IpAddr,
}

impl InFlight {
    pub fn new(per_client_max: usize, total_max: usize) -> InFlight {
        let counts = HashMap::with_hasher(RandomState::default());
        InFlight(Rc::new(RefCell::new(Table { counts, total: 0, per_client_max, total_max })))
    }

    /// `None`: this client has to wait, and would be told SERVFAIL or nothing.
    pub fn admit(&self, client: IpAddr) -> Option<Permit> {
        let client = accountable(client);
        let mut table = self.0.borrow_mut();
        let held = table.counts.get(&client).copied().unwrap_or(0);
        if !table.has_room_for(held as usize) {
            return None;
        }
        table.counts.insert(client, held + 1);
        table.total += 1;
        Some(Permit { table: Rc::clone(&self.0), client })
    }

    /// Questions under way, of all clients.
    pub fn total(&self) -> usize {
        self.0.borrow().total
    }
}

impl Table {
    /// The last eighth of the table is for clients that hold less than their even share.
    fn has_room_for(&self, held: usize) -> bool {
        let even_share = (self.total_max / (self.counts.len() + 1)).max(1);
        let plenty = self.total < self.total_max - self.total_max / 8;
        held < self.per_client_max && self.total < self.total_max && (plenty || held < even_share)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut table = self.table.borrow_mut();
        table.total -= 1;
        match table.counts.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                table.counts.remove(&self.client);
            }
        }
    }
}

fn accountable(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 72)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_client_is_held_to_its_number() {
        let in_flight = InFlight::new(2, 100);
        let first = in_flight.admit(address("192.0.2.1"));
        let second = in_flight.admit(address("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(in_flight.admit(address("192.0.2.1")).is_none());
        assert!(in_flight.admit(address("192.0.2.2")).is_some(), "another client is not concerned");
        drop(first);
        assert!(in_flight.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn a_prefix_of_ipv6_is_one_client() {
        let in_flight = InFlight::new(1, 100);
        let _one = in_flight.admit(address("2001:db8:0:100::1")).expect("room");
        assert!(in_flight.admit(address("2001:db8:0:1ff::2")).is_none());
        assert!(in_flight.admit(address("2001:db8:0:200::1")).is_some());
    }

    #[test]
    fn when_it_gets_full_the_greedy_wait() {
        let in_flight = InFlight::new(100, 16);
        let greedy: Vec<Permit> = std::iter::from_fn(|| in_flight.admit(address("192.0.2.1"))).collect();
        assert_eq!(greedy.len(), 14);
        let modest = in_flight.admit(address("192.0.2.2"));
        assert!(modest.is_some());
        assert!(in_flight.admit(address("192.0.2.1")).is_none());
        let last = in_flight.admit(address("192.0.2.3"));
        assert!(last.is_some());
        assert!(in_flight.admit(address("192.0.2.4")).is_none(), "never more than the table holds");
        assert_eq!(in_flight.total(), 16);
    }

    #[test]
    fn nothing_is_left_behind() {
        let in_flight = InFlight::new(4, 1_000);
        let permits: Vec<Permit> = (0..200).filter_map(|last| in_flight.admit(IpAddr::from([192, 0, 2, last]))).collect();
        assert_eq!(in_flight.total(), 200);
        drop(permits);
        assert_eq!((in_flight.total(), in_flight.0.borrow().counts.len()), (0, 0));
    }
}
