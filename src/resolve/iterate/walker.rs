//! What one walk works with: the servers, the way to have another question looked up, and the context of its question.

use crate::cache::Cache;
use crate::env::BootTime;
use crate::resolve::context::context::Context;
use crate::resolve::iterate::sub_query::SubQuery;
use crate::resolve::network::network::Network;
use crate::resolve::servers::servers::Servers;

/// Of one worker. Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct Walker {
    pub(in crate::resolve) servers: Servers,
}

impl Walker {
    /// A walker of one worker; the storey above gives the sub-query.
    pub(in crate::resolve) fn new(servers: Servers) -> Walker {
        Walker { servers }
    }

    /// The network of this worker.
    pub(in crate::resolve) fn network(&self) -> &Network {
        self.servers.network()
    }
}

/// One walk.
#[derive(Clone, Copy)]
pub(in crate::resolve) struct Walk<'a> {
    pub(in crate::resolve) servers: &'a Servers,
    pub(in crate::resolve) sub_query: &'a dyn SubQuery,
    pub(in crate::resolve) context: &'a Context,
}

impl Walk<'_> {
    /// The cache of all workers.
    pub(in crate::resolve) fn cache(&self) -> &Cache {
        self.servers.cache()
    }

    /// Time since boot.
    pub(in crate::resolve) fn now(&self) -> BootTime {
        self.servers.now()
    }
}
