//! The servers of any zone, as one worker asks them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::cache::Cache;
use crate::env::BootTime;
use crate::resolve::network::network::Network;
use crate::resolve::servers::allowance::SecondQueryAllowance;

/// Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct Servers {
    network: Network,
    pub(in crate::resolve) allowance: Arc<SecondQueryAllowance>,
    /// How many queries of this worker are overdue and still listened to.
    pub(in crate::resolve) overdue: Rc<Cell<usize>>,
}

impl Servers {
    /// For one worker; second queries are paid from the shared allowance.
    pub(in crate::resolve) fn new(network: Network, allowance: Arc<SecondQueryAllowance>) -> Servers {
        Servers { network, allowance, overdue: Rc::default() }
    }

    /// The network of this worker.
    pub(in crate::resolve) fn network(&self) -> &Network {
        &self.network
    }

    /// The cache of all workers.
    pub(in crate::resolve) fn cache(&self) -> &Cache {
        self.network.cache()
    }

    /// Time since boot.
    pub(in crate::resolve) fn now(&self) -> BootTime {
        self.network.now()
    }
}
