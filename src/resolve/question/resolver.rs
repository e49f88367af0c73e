//! The storeys put together: what all workers share, and one worker's resolver.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::config::NegativeAnchor;
use crate::config::TranslationPrefix;
use crate::env::{Clock, Random};
use crate::metrics::Recorder;
use crate::record::{Name, RrSet};
use crate::resolve::context::local::Local;
use crate::resolve::context::routes::{Routes, RoutesInForce};
use crate::resolve::delegation::data_path::{ServerOnPath, data_path};
use crate::resolve::delegation::zone_cut;
use crate::resolve::dnssec::follow_anchors::Followed;
use crate::resolve::dnssec::trust_anchors::TrustState;
use crate::resolve::dnssec::validate::Validator;
use crate::resolve::iterate::walker::Walker;
use crate::resolve::lookup::lookup::{Lookup, LookupState};
use crate::resolve::network::network::{Network, NetworkState};
use crate::resolve::reply::interception::Imposture;
use crate::resolve::servers::allowance::SecondQueryAllowance;
use crate::resolve::servers::report_agents::ReportAgents;
use crate::resolve::servers::servers::Servers;
use crate::upstream::Upstream;
use crate::validate::TrustPoints;

/// Shared by all workers.
pub struct Shared {
    pub cache: Arc<Cache>,
    pub clock: Arc<dyn Clock>,
    network: Arc<NetworkState>,
    allowance: Arc<SecondQueryAllowance>,
    report_agents: Arc<ReportAgents>,
    lookup: Arc<LookupState>,
    trust: Arc<TrustState>,
}

impl Shared {
    /// Shared by all workers; `in_force` holds the routes.
    pub fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>, in_force: Arc<dyn RoutesInForce>, random: &Random) -> Arc<Shared> {
        Arc::new(Shared {
            network: NetworkState::new(cache.clone(), clock.clone(), random),
            allowance: Arc::default(),
            report_agents: Arc::new(ReportAgents::new(in_force.routes().limits)),
            lookup: LookupState::new(in_force.routes().limits.walks),
            trust: TrustState::new(cache.clone(), clock.clone(), in_force),
            cache,
            clock,
        })
    }

    /// For questions whose answers must not mix with those of others: another cache, other walks and other conclusions about zones,
    /// on the same network.
    pub fn apart(&self, cache: Arc<Cache>, in_force: Arc<dyn RoutesInForce>) -> Shared {
        Shared {
            network: self.network.apart(cache.clone()),
            allowance: self.allowance.clone(),
            report_agents: self.report_agents.clone(),
            lookup: LookupState::new(in_force.routes().limits.walks),
            trust: self.trust.apart(cache.clone(), in_force),
            cache,
            clock: self.clock.clone(),
        }
    }

    /// Links, addresses or routes of this machine have changed.
    pub fn network_changed(&self, is_route_change: bool) {
        self.network.network_changed(is_route_change);
    }

    /// Whether any server has replied within this time.
    pub fn has_replied_within(&self, time: Duration) -> bool {
        self.network.has_replied_within(time)
    }

    /// Whether this machine's network is away now.
    pub fn is_offline(&self) -> bool {
        self.network.is_offline()
    }

    /// Root servers in whose place somebody else answers, at most one of each address family, and how that shows.
    pub fn interception(&self) -> Vec<(IpAddr, Imposture)> {
        self.network.interception().seen()
    }

    /// The prefix of the network's translator, if it was found out (RFC 7050).
    pub fn nat64_prefix(&self) -> Option<TranslationPrefix> {
        self.network.nat64_prefix()
    }

    /// Whether the kernel has no route to any server.
    pub fn is_without_route(&self) -> bool {
        self.network.is_without_route()
    }

    /// Number of walks in progress.
    pub fn walks_in_progress(&self) -> usize {
        self.lookup.in_progress()
    }

    /// Takes a new configuration; the state of trust points and the negative trust anchors set by an operator stay.
    ///
    /// `swap` puts the routes in force, together with everything that a query takes with them, and returns the names
    /// for which that changes who is authoritative. Only then is data of the old configuration removed from the cache.
    pub fn reload(&self, routes: Routes, swap: impl FnOnce(Arc<Routes>) -> Vec<Name>) {
        self.trust.reload(routes, swap);
    }

    /// Runs `swap`, which replaces the data of hosted zones, while no change of trust anchors is put in force. It returns the
    /// zones that are hosted here from now on, or are no more: what is cached at and below them goes.
    pub fn reload_locals(&self, swap: impl FnOnce() -> Vec<Name>) {
        self.trust.undisturbed(swap);
    }

    /// Removes the conclusions about the zones at and below `name`.
    pub fn forget_trust(&self, name: &Name) {
        self.trust.forget_trust(name);
    }

    /// Puts in force what was saved at an earlier run, before the first question.
    pub fn restore_trust(&self, points: TrustPoints, negatives: Vec<NegativeAnchor>) {
        self.trust.restore_trust(points, negatives);
    }

    /// A copy of the trust points, to be saved.
    pub fn trust_points(&self) -> TrustPoints {
        self.trust.trust_points()
    }

    /// The negative trust anchors in force, and whether each was set while running.
    pub fn negative_anchors(&self) -> Vec<(NegativeAnchor, bool)> {
        self.trust.negative_anchors()
    }

    /// False: there are too many.
    pub fn add_negative_anchor(&self, negative: NegativeAnchor) -> bool {
        self.trust.add_negative_anchor(negative)
    }

    /// False: none of this name was set while running.
    pub fn remove_negative_anchor(&self, name: &Name) -> bool {
        self.trust.remove_negative_anchor(name)
    }

    /// Ends negative trust anchors whose time is over; true where there were any.
    pub fn tend_trust(&self) -> bool {
        self.trust.tend_trust()
    }

    /// Time until `tend_trust` has something to do, if that is known.
    pub fn next_tending(&self) -> Option<Duration> {
        self.trust.next_tending()
    }
}

/// Resolves for one worker. Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct Resolver {
    validator: Validator,
    report_agents: Arc<ReportAgents>,
}

impl Resolver {
    /// The resolver of one worker.
    pub fn new(shared: &Shared, upstream: Rc<Upstream>, random: Rc<Random>, metrics: Recorder) -> Resolver {
        let network = Network::new(shared.network.clone(), upstream, random, metrics);
        let servers = Servers::new(network, shared.allowance.clone(), shared.report_agents.clone());
        let lookup = Lookup::new(Walker::new(servers), shared.lookup.clone());
        Resolver { validator: Validator::new(lookup, shared.trust.clone()), report_agents: shared.report_agents.clone() }
    }

    /// The validator of this worker.
    pub(in crate::resolve) fn validator(&self) -> &Validator {
        &self.validator
    }

    /// The agents for error reports, shared by all workers.
    pub(in crate::resolve) fn report_agents(&self) -> &ReportAgents {
        &self.report_agents
    }

    /// The network of this worker.
    pub(in crate::resolve) fn network(&self) -> &Network {
        self.validator.network()
    }

    /// Refreshes the trust points that are due (RFC 5011); `routes` and `local` are those of the snapshot in force.
    pub async fn follow_anchors(&self, routes: Arc<Routes>, local: Arc<dyn Local>) -> Followed {
        self.validator.follow_anchors(routes, local).await
    }

    /// The servers of the deepest known zone cut above `name`: what a question without RD is referred to (RFC 1034 4.3.1).
    pub fn known_servers(&self, name: &Name) -> Option<RrSet> {
        zone_cut::known_servers(self.network().cache(), name, self.network().now())
    }

    /// The known name servers of all zones from the root down to `name`, each with its known addresses.
    pub fn data_path(&self, name: &Name) -> Vec<ServerOnPath> {
        data_path(self.network().cache(), name, self.network().now())
    }
}
