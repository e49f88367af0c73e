//! Updates (RFC 2136) on their way from the workers to the thread that carries them out: all that wait are taken together, so
//! that one write to the disk is for all of them.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::limits::server::{UPDATES_WAITING_MAX, UPDATES_WAITING_PER_CLIENT_MAX};
use crate::record::{Name, Rcode};

/// One update that its sender may make.
pub struct RequestedUpdate {
    pub zone: Name,
    /// The message without its signature.
    pub message: Vec<u8>,
    pub client: SocketAddr,
    /// The TSIG key that it was signed with.
    pub key: Option<Name>,
    outcome: oneshot::Sender<Rcode>,
}

impl RequestedUpdate {
    /// Whoever sent it waits no longer: it is not to be carried out.
    pub fn is_given_up(&self) -> bool {
        self.outcome.is_closed()
    }

    /// What becomes of it, which is in force, and on the disk, by now.
    pub fn answer(self, rcode: Rcode) {
        let _ = self.outcome.send(rcode);
    }
}

/// Updates that wait.
#[derive(Default)]
pub struct RequestedUpdates {
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Default)]
struct Waiting {
    updates: VecDeque<RequestedUpdate>,
    by_client: HashMap<IpAddr, usize>,
    /// Nobody carries out updates.
    is_closed: bool,
}

impl RequestedUpdates {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its outcome; `None`: too many wait.
    pub fn add(&self, zone: Name, message: Vec<u8>, client: SocketAddr, key: Option<Name>) -> Option<oneshot::Receiver<Rcode>> {
        let (outcome, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        let of_client = waiting.by_client.get(&client.ip()).copied().unwrap_or(0);
        if waiting.is_closed || waiting.updates.len() >= UPDATES_WAITING_MAX || of_client >= UPDATES_WAITING_PER_CLIENT_MAX {
            return None;
        }
        waiting.by_client.insert(client.ip(), of_client + 1);
        waiting.updates.push_back(RequestedUpdate { zone, message, client, key, outcome });
        self.bell.notify_one();
        Some(receiver)
    }

    /// All that wait; waits for the first one, but no longer than this.
    pub fn take(&self, longest: Duration) -> Vec<RequestedUpdate> {
        let waiting = self.waiting();
        let waited = self.bell.wait_timeout_while(waiting, longest, |waiting| waiting.updates.is_empty() && !waiting.is_closed);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.by_client.clear();
        waiting.updates.drain(..).collect()
    }

    /// From now on updates fail at once.
    pub fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_closed = true;
        waiting.by_client.clear();
        waiting.updates.clear();
        self.bell.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_take_all_places() {
        let updates = RequestedUpdates::default();
        let add = |client: u8| {
            let name = Name::parse("example.").expect("a name");
            updates.add(name, Vec::new(), SocketAddr::from(([192, 0, 2, client], 53)), None)
        };
        let of = |client: u8| (0..2_000).map_while(|_| add(client)).collect::<Vec<_>>().len();
        assert_eq!([1, 2, 3, 4, 5].map(of), [250, 250, 250, 250, 0]);
        assert_eq!(updates.take(Duration::ZERO).len(), UPDATES_WAITING_MAX);
        assert_eq!(of(1), 250, "places come back");
        updates.close();
        assert!(add(6).is_none());
    }
}
