//! Encrypted servers whose connections have brought no reply several times in a row. They are left alone for a short while: each
//! attempt costs a handshake, and a question fails at once with the reason that is known.

use std::cell::RefCell;

use super::connection::Key;
use super::fault::TcpFault;
use crate::env::Instant;
use crate::limits::upstream::{TLS_FAILURES_MAX, TLS_REST};

#[derive(Default)]
pub(super) struct Troubles(RefCell<Vec<Trouble>>);

struct Trouble {
    key: Key,
    fault: TcpFault,
    count: u8,
    at: Instant,
}

impl Troubles {
    /// A connection has ended: with this fault before it brought any reply, or after replies. Old entries go, so that there are
    /// no more than connections fail within `TLS_REST`.
    pub fn note(&self, key: &Key, fault: Option<TcpFault>) {
        let mut troubles = self.0.borrow_mut();
        let before = troubles.iter().find(|trouble| trouble.key == *key).map_or(0, |trouble| trouble.count);
        troubles.retain(|trouble| trouble.key != *key && trouble.at.elapsed() < TLS_REST);
        // A limit of our own says nothing of the server, and silence has cost its time already.
        if let Some(fault) = fault.filter(|fault| !matches!(fault, TcpFault::Busy | TcpFault::Timeout)) {
            troubles.push(Trouble { key: key.clone(), fault, count: before.saturating_add(1), at: Instant::now() });
        }
    }

    /// Why this server is left alone for the moment.
    pub fn of(&self, key: &Key) -> Option<TcpFault> {
        let troubles = self.0.borrow();
        let trouble = troubles.iter().find(|trouble| trouble.key == *key && trouble.at.elapsed() < TLS_REST)?;
        (trouble.count >= TLS_FAILURES_MAX).then_some(trouble.fault)
    }

    /// The network has changed.
    pub fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}
