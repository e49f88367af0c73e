//! What decides a query, compiled at reload and swapped as a whole: a query takes one snapshot and never sees half a reload.
//! Ready answers carry the generation of the snapshot that made them.

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::Transport;
use super::local_root::LocalRoot;
use super::outcome::Outcome;
use super::policy_zones;
use super::refusal::{Refusal, Refused, Rules};
use super::view_routes::AllViewRoutes;
use super::zone_access::{ZoneAccess, ZoneRules};
use crate::authority::{Histories, Keyring};
use crate::config::Settings;
use crate::limits::Limits;
use crate::policy::{
    BlockCounts, Found, InForce, ListVerdict, Lists, LocalData, Moment, Policy, PolicyOptions, PolicySet, Rate, Reasons, ResponsePolicies,
    Special, Trigger, ViewId,
};
use crate::record::{Name, Question, Rtype};
use crate::resolve::{Routes, RoutesInForce};
use crate::zone::Zones;

/// Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    /// Number of the configuration; a change of trust anchors at run time does not increase it.
    pub generation: u32,
    pub routes: Arc<Routes>,
    /// A zone may change between two reloads.
    pub zones: Arc<Zones>,
    pub histories: Arc<Histories>,
    /// Names to block or to let through. They may change between two reloads.
    pub lists: Arc<Lists>,
    /// What clients are told of a name on each of them.
    pub reasons: Arc<Reasons>,
    /// How many answers each of them has blocked.
    pub block_counts: Arc<BlockCounts>,
    /// The time of day and the pauses that decide about lists.
    pub moment: Arc<Moment>,
    /// The lists in force in each view.
    in_force: Arc<[InForce]>,
    /// Who may do what with each zone; the members of catalogs (RFC 9432) come and go between two reloads.
    access: Arc<ZoneAccess>,
    /// Compiled from zones of `zones`.
    pub policies: Arc<ResponsePolicies>,
    /// A rule of one of them is for clients.
    has_client_rules: bool,
    /// A ready answer may be the wrong one for some clients of its policy group, or for some options: each query is looked at
    /// before. All others pay for one comparison.
    pub(super) chooses_ready_answers: bool,
    /// How views with forward rules of their own look names up.
    pub(super) view_routes: AllViewRoutes,
    configured: Arc<Configured>,
}

/// The part of a snapshot that only a reload changes.
pub struct Configured {
    pub recursion: bool,
    pub policy: Policy,
    /// The TSIG keys.
    pub keyring: Keyring,
    /// For clients outside `server.allow`.
    pub response_rate: Rate,
    /// Milliseconds that a connection may be idle, over TCP and over TLS.
    pub idle_ms: [u64; 2],
    pub own_addresses: Arc<[SocketAddr]>,
    /// The copy of the root zone in use. It is renewed between two reloads, so every snapshot refers to the same place.
    pub(super) local_root: Arc<ArcSwapOption<LocalRoot>>,
    pub aliases_max: usize,
    /// The response policy zones, in order of precedence.
    pub(super) response_policies: Vec<(Name, PolicyOptions)>,
    rules: Rules,
}

impl Configured {
    /// Compiles the settings.
    pub fn new(
        settings: &Settings,
        limits: &Limits,
        own_addresses: Vec<SocketAddr>,
        local_root: Arc<ArcSwapOption<LocalRoot>>,
    ) -> Configured {
        Configured {
            recursion: settings.recursion.enabled,
            policy: Policy::new(settings),
            response_rate: Rate::new(limits),
            idle_ms: [limits.tcp_idle_ms, limits.tls_idle_ms],
            keyring: Keyring::new(&settings.keys),
            own_addresses: own_addresses.into(),
            local_root,
            aliases_max: limits.aliases,
            response_policies: settings.rpz.iter().map(|rpz| (rpz.zone.clone(), PolicyOptions::new(rpz))).collect(),
            rules: Rules::new(settings),
        }
    }
}

impl Deref for Snapshot {
    type Target = Configured;

    fn deref(&self) -> &Configured {
        &self.configured
    }
}

/// The snapshot in force: the only value that a reload swaps.
pub struct Present(ArcSwap<Snapshot>);

impl Present {
    /// The snapshot of the start.
    pub fn new(snapshot: Snapshot) -> Present {
        Present(ArcSwap::from_pointee(snapshot))
    }

    /// For a batch of queries that are answered without waiting; cheaper than `load_full`.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// For a query that waits.
    pub fn load_full(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Swaps the snapshot; queries in progress keep theirs.
    pub fn store(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}

/// `Shared` calls `replace_routes` and `reload` under one lock, so that no change is lost between them.
impl RoutesInForce for Present {
    fn routes(&self) -> Arc<Routes> {
        self.0.load().routes.clone()
    }

    fn replace_routes(&self, routes: Arc<Routes>) {
        let present = self.load_full();
        let changed = (*present).clone().with_routes(routes);
        let views = changed.view_routes.clone();
        self.store(changed);
        // Trust has changed: what was judged in the caches of views is judged again.
        for view in views.each() {
            view.take_over(&[Name::root()]);
        }
    }
}

impl Snapshot {
    /// How long a connection may be idle, for a client that has asked.
    pub fn idle_ms(&self, transport: Transport, is_asked: bool) -> Option<u64> {
        is_asked.then(|| self.idle_ms[usize::from(transport.is_encrypted())])
    }

    /// Joins what a reload changes with the routes, which trust anchors change too.
    pub fn new(
        generation: u32,
        routes: Arc<Routes>,
        zones: Arc<Zones>,
        histories: Arc<Histories>,
        access: Arc<ZoneAccess>,
        configured: Arc<Configured>,
    ) -> Snapshot {
        let (lists, reasons, block_counts, moment, policies): (Arc<Lists>, _, _, Arc<Moment>, _) = Default::default();
        let in_force = configured.policy.views.in_force(&lists, &moment).into();
        let (has_client_rules, view_routes) = (false, AllViewRoutes::default());
        let chooses_ready_answers = chooses_ready_answers(&configured, &access, has_client_rules);
        Snapshot {
            generation,
            routes,
            zones,
            histories,
            lists,
            reasons,
            block_counts,
            moment,
            in_force,
            access,
            policies,
            has_client_rules,
            chooses_ready_answers,
            view_routes,
            configured,
        }
    }

    /// The same with other rules for the zones.
    pub fn with_access(self, access: Arc<ZoneAccess>) -> Snapshot {
        let chooses_ready_answers = chooses_ready_answers(&self.configured, &access, self.has_client_rules);
        Snapshot { access, chooses_ready_answers, ..self }
    }

    /// The same with other response policy zones.
    pub fn with_policies(self, policies: Arc<ResponsePolicies>) -> Snapshot {
        let has_client_rules = policies.has(PolicySet::ALL, Trigger::ClientIp);
        let chooses_ready_answers = chooses_ready_answers(&self.configured, &self.access, has_client_rules);
        Snapshot { policies, has_client_rules, chooses_ready_answers, ..self }
    }

    /// The same with other routes.
    pub fn with_routes(self, routes: Arc<Routes>) -> Snapshot {
        let view_routes = match Arc::ptr_eq(&routes, &self.routes) {
            true => self.view_routes.clone(),
            false => self.view_routes.under(&routes, &self.policy.views),
        };
        Snapshot { routes, view_routes, ..self }
    }

    /// The routes for clients of this view.
    #[inline]
    pub(super) fn routes_of(&self, view: ViewId) -> &Arc<Routes> {
        self.view_routes.of(view).map_or(&self.routes, |view| &view.routes)
    }

    /// The same with other histories of the zones.
    pub fn with_histories(&self, histories: Histories) -> Snapshot {
        Snapshot { histories: Arc::new(histories), ..self.clone() }
    }

    /// The same with other lists. What was answered under the old ones is answered anew.
    pub fn with_lists(&self, generation: u32, lists: Arc<Lists>) -> Snapshot {
        let reasons = Arc::new(Reasons::new(&lists, &self.policy.list_codes, &self.policy.block_contact, &self.block_counts));
        let in_force = self.policy.views.in_force(&lists, &self.moment).into();
        Snapshot { generation, lists, reasons, in_force, ..self.clone() }
    }

    /// The same at another moment. The generation stays where that changes nothing.
    pub fn with_moment(&self, generation: u32, moment: Arc<Moment>) -> Snapshot {
        let in_force: Arc<[InForce]> = self.policy.views.in_force(&self.lists, &moment).into();
        let generation = if in_force == self.in_force { self.generation } else { generation };
        Snapshot { generation, moment, in_force, ..self.clone() }
    }

    /// What lists make of a name for clients of this view.
    #[inline]
    pub fn verdict(&self, view: ViewId, found: &Found) -> ListVerdict {
        self.in_force.get(usize::from(view.0)).map_or(ListVerdict::Pass, |in_force| in_force.verdict(found))
    }

    /// Whether the name is blocked for clients of every view.
    pub fn is_blocked_in_all_views(&self, found: &Found) -> bool {
        self.in_force.iter().all(|in_force| matches!(in_force.verdict(found), ListVerdict::Blocked(_)))
    }

    /// The records that clients of this view get in place of others' data.
    pub fn local_data(&self, view: ViewId) -> &LocalData {
        self.policy.views.get(view).local_data.as_ref().unwrap_or(&self.policy.local_data)
    }

    /// Who transfers and changes the zone, if the configuration has it.
    pub fn zone_rules(&self, apex: &Name) -> Option<&ZoneRules> {
        self.access.rules(apex)
    }

    /// The same with other zones; whoever may transfer one gets the difference (RFC 1995). Policies are compiled anew where their zone
    /// or the configuration is another one.
    pub fn with_zones(&self, generation: u32, zones: Arc<Zones>) -> Snapshot {
        let is_wanted = |apex: &Name| self.zone_rules(apex).is_some_and(|rules| !rules.transfer.is_empty());
        let histories = Arc::new(self.histories.followed_by(&self.zones, &zones, is_wanted));
        let policies = match self.response_policies.is_empty() {
            true => Arc::default(),
            false => Arc::new(policy_zones::compile(&self.response_policies, &zones, &self.policies)),
        };
        Snapshot { generation, zones, histories, ..self.clone() }.with_policies(policies)
    }

    #[inline(never)]
    fn closed_to_some(&self, name: &[u8], rtype: Rtype) -> Option<&Name> {
        let (zone, _) = self.zones.find_for(name, rtype)?;
        self.access.is_closed_to_some(zone.apex()).then_some(zone.apex())
    }

    /// Whether rules of response policy zones are for this client alone: its answers are never shared with others.
    #[inline]
    pub fn has_rules_for(&self, client: IpAddr) -> bool {
        self.has_client_rules && self.policies.has_client_rule(client)
    }

    /// Whether clients may get different answers to the same question, beside refusals.
    pub fn differs_by_client(&self) -> bool {
        !self.policy.views.is_one() || self.policy.dns64.has_clients() || self.has_client_rules || self.access.has_restricted_zones()
    }

    /// The part that only a reload changes.
    pub fn configured(&self) -> Arc<Configured> {
        self.configured.clone()
    }

    /// Whether the access list of the zone admits the client.
    pub fn may_ask_zone(&self, apex: &Name, client: IpAddr) -> bool {
        self.access.may_ask(apex, client)
    }

    /// The error report agent of the hosted zone that holds `name`, if the zone has one.
    pub fn report_agent(&self, name: &Name) -> Option<&Name> {
        if !self.access.has_report_agents() {
            return None;
        }
        self.access.report_agent(self.zones.find(name.as_wire())?.apex())
    }

    /// The hosted zone that answers a question for `name` and `rtype`, if it is not open to everybody.
    #[inline]
    pub fn restricted(&self, name: &[u8], rtype: Rtype) -> Option<&Name> {
        if !self.access.has_restricted_zones() { None } else { self.closed_to_some(name, rtype) }
    }

    pub(super) fn refused(&self, refusal: &Refusal, client: IpAddr) -> Refused {
        self.rules.explain(refusal, client)
    }

    /// False if all hosted zones are open to everybody, so that no answer need be checked.
    pub fn has_restricted_zones(&self) -> bool {
        self.access.has_restricted_zones()
    }

    /// Special-use names, unless a forward or stub rule covers the name more closely for clients of this view.
    #[inline]
    pub fn special(&self, question: &Question, view: ViewId) -> Option<(Name, &'static str, Outcome)> {
        self.special_outcome(question, self.policy.special_use.find(question.name.as_wire())?, view)
    }

    #[inline(never)]
    fn special_outcome(&self, question: &Question, special: &Special, view: ViewId) -> Option<(Name, &'static str, Outcome)> {
        let ruled = self
            .routes_of(view)
            .nearest_rule(&question.name)
            .is_some_and(|rule| !rule.zone.is_root() || rule.zone.is_within(&special.name));
        if ruled {
            return None;
        }
        Some((special.name.clone(), special.rfc, Outcome::special(special.answer(question))?))
    }
}

fn chooses_ready_answers(configured: &Configured, access: &ZoneAccess, has_client_rules: bool) -> bool {
    configured.policy.identity.nsid().is_some() || has_client_rules || access.has_restricted_zones()
}
