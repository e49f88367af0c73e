//! Whose turn it is: work with other servers waits until there are few enough under way, in all and with the same server.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A server has a line of its own, so that those who wait for a dead one take no place from others.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    of_server: RefCell<HashMap<IpAddr, Arc<Semaphore>>>,
    per_server: usize,
}

impl Turns {
    pub(super) fn new(all: usize, per_server: usize) -> Turns {
        Turns { all: Arc::new(Semaphore::new(all)), of_server: RefCell::default(), per_server }
    }

    /// Waits; the turn ends when the value is dropped.
    pub(super) async fn with(&self, server: IpAddr) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let line = {
            let mut lines = self.of_server.borrow_mut();
            // Servers that nobody waits for any more.
            if lines.len() > 1_000 {
                lines.retain(|_, line| Arc::strong_count(line) > 1);
            }
            lines.entry(server.to_canonical()).or_insert_with(|| Arc::new(Semaphore::new(self.per_server))).clone()
        };
        // Neither is ever closed.
        let of_server = line.acquire_owned().await.ok()?;
        Some((of_server, self.all.clone().acquire_owned().await.ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_server_takes_no_turns_of_others() {
        let turns = Turns::new(5, 2);
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let taken = async |last: u8| tokio::time::timeout(std::time::Duration::ZERO, turns.with(address(last))).await.ok().flatten();
        let mut dead = Vec::new();
        for _ in 0..100 {
            dead.extend(taken(1).await);
        }
        assert_eq!(dead.len(), 2);
        let (one, two) = (taken(2).await, taken(2).await);
        assert!(one.is_some() && two.is_some() && taken(2).await.is_none() && taken(3).await.is_some());
        drop(one);
        assert!(taken(2).await.is_some(), "it comes back");
    }
}
