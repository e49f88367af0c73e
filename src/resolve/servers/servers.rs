//! The servers of any zone, as one worker asks them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::cache::Cache;
use crate::env::BootTime;
use crate::resolve::network::network::Network;
use crate::resolve::servers::allowance::SecondQueryAllowance;
use crate::resolve::servers::report_agents::ReportAgents;

/// Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct Servers {
    network: Network,
    pub(in crate::resolve) allowance: Arc<SecondQueryAllowance>,
    pub(in crate::resolve) report_agents: Arc<ReportAgents>,
    /// How many queries of this worker are overdue and still listened to.
    pub(in crate::resolve) overdue: Rc<Cell<usize>>,
}

impl Servers {
    /// For one worker; the allowance for second queries and the agents for error reports are shared.
    pub(in crate::resolve) fn new(network: Network, allowance: Arc<SecondQueryAllowance>, report_agents: Arc<ReportAgents>) -> Servers {
        Servers { network, allowance, report_agents, overdue: Rc::default() }
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
