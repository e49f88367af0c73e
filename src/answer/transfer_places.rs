//! How many transfers to other servers are under way, in all and for one client.
//!
//! A transfer holds the version of the zone that it began with until the client has read all of it, so that slow readers hold memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::server::{TRANSFERS_OUT_MAX, TRANSFERS_OUT_PER_CLIENT_MAX};

#[derive(Default)]
pub struct TransferPlaces(Mutex<HashMap<IpAddr, usize>>);

/// The right to send one zone. Given back when it is dropped.
pub struct TransferPlace {
    places: Arc<TransferPlaces>,
    client: IpAddr,
}

impl TransferPlaces {
    /// `None`: too many are under way.
    pub fn take(self: &Arc<TransferPlaces>, client: IpAddr) -> Option<TransferPlace> {
        let client = client.to_canonical();
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = clients.get(&client).copied().unwrap_or(0);
        if of_client >= TRANSFERS_OUT_PER_CLIENT_MAX || clients.values().sum::<usize>() >= TRANSFERS_OUT_MAX {
            return None;
        }
        clients.insert(client, of_client + 1);
        Some(TransferPlace { places: self.clone(), client })
    }
}

impl Drop for TransferPlace {
    fn drop(&mut self) {
        let mut clients = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        match clients.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_all_places_and_gives_its_own_back() {
        let places = Arc::new(TransferPlaces::default());
        let client = |last: u8| IpAddr::from([192, 0, 2, last]);
        let of = |last: u8| -> Vec<TransferPlace> { (0..TRANSFERS_OUT_MAX).map_while(|_| places.take(client(last))).collect() };
        let mut held: Vec<Vec<TransferPlace>> = (0..20).map(of).collect();
        assert_eq!(held[0].len(), TRANSFERS_OUT_PER_CLIENT_MAX);
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), TRANSFERS_OUT_MAX);
        assert!(places.take(client(99)).is_none());
        held.remove(0);
        let mapped: IpAddr = "::ffff:192.0.2.99".parse().expect("an address");
        let again: Vec<TransferPlace> = (0..9).filter_map(|n| places.take(if n % 2 == 0 { mapped } else { client(99) })).collect();
        assert_eq!(again.len(), 9);
        drop((held, again));
        assert!(places.0.lock().expect("no panic").is_empty());
    }
}
