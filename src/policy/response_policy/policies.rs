//! The zones in their order, with what the configuration says of each.

use std::net::IpAddr;
use std::sync::Arc;

use super::action::{Action, OVERRIDE_TTL_S};
use super::rules::Rules;
use super::trigger::Trigger;
use crate::config::{RpzPolicy, RpzSettings};
use crate::limits::zone::RPZ_ZONES_MAX;
use crate::record::Name;

/// One action for all rules of a zone (section 6.1).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Override {
    #[default]
    Given,
    NxDomain,
    NoData,
    Passthru,
    Drop,
    TcpOnly,
    Alias(Name),
}

/// What the configuration says of one zone.
#[derive(Clone, Default, Debug)]
pub struct PolicyOptions {
    pub policy: Override,
    /// Rules that match change nothing and are logged (DISABLED in section 6.1).
    pub log_only: bool,
    /// Rules that could decide without the response wait for it (section 9.1).
    pub qname_wait_recurse: bool,
    /// Signed data is rewritten for clients with DO too (section 12.2).
    pub break_dnssec: bool,
}

/// One zone as it is in force.
#[derive(Clone)]
pub struct PolicyZone {
    pub name: Name,
    pub options: PolicyOptions,
    /// `None`: there is no data of the zone yet, so that none of its rules applies.
    pub rules: Option<Arc<Rules>>,
}

/// Some of the zones.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PolicySet(u64);

impl PolicySet {
    pub const ALL: PolicySet = PolicySet(u64::MAX);
    /// The zones at these places of the configuration.
    pub fn of(places: impl IntoIterator<Item = usize>) -> PolicySet {
        PolicySet(places.into_iter().filter(|place| *place < RPZ_ZONES_MAX).fold(0, |set, place| set | 1 << place))
    }

    #[inline]
    pub fn has(self, place: usize) -> bool {
        place < RPZ_ZONES_MAX && self.0 & 1 << place != 0
    }
}

/// All zones in the order of the configuration. Immutable.
#[derive(Clone, Default)]
pub struct ResponsePolicies {
    zones: Vec<PolicyZone>,
}

impl ResponsePolicies {
    pub fn new(zones: Vec<PolicyZone>) -> ResponsePolicies {
        ResponsePolicies { zones }
    }

    /// Whether there is no rule at all, so that nothing need be looked up.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    pub fn zones(&self) -> &[PolicyZone] {
        &self.zones
    }

    /// The zone at this place.
    pub fn get(&self, place: usize) -> Option<&PolicyZone> {
        self.zones.get(place)
    }

    /// The zones of the set, each with its place.
    pub fn of(&self, set: PolicySet) -> impl Iterator<Item = (usize, &PolicyZone)> {
        self.zones.iter().enumerate().filter(move |(place, _)| set.has(*place))
    }

    /// Whether a zone of the set has rules of this kind.
    pub fn has(&self, set: PolicySet, trigger: Trigger) -> bool {
        self.of(set).any(|(_, zone)| zone.has(trigger))
    }

    /// Whether a rule of any zone is for this client.
    #[inline(never)]
    pub fn has_client_rule(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.zones.iter().filter_map(|zone| zone.rules.as_ref()).any(|rules| rules.client_ip(client).is_some())
    }
}

impl PolicyOptions {
    /// From the checked settings.
    pub fn new(settings: &RpzSettings) -> PolicyOptions {
        let policy = match (settings.policy, &settings.cname) {
            (RpzPolicy::Given, _) | (RpzPolicy::Cname, None) => Override::Given,
            (RpzPolicy::NxDomain, _) => Override::NxDomain,
            (RpzPolicy::NoData, _) => Override::NoData,
            (RpzPolicy::Passthru, _) => Override::Passthru,
            (RpzPolicy::Drop, _) => Override::Drop,
            (RpzPolicy::TcpOnly, _) => Override::TcpOnly,
            (RpzPolicy::Cname, Some(target)) => Override::Alias(target.clone()),
        };
        let RpzSettings { log_only, qname_wait_recurse, break_dnssec, .. } = *settings;
        PolicyOptions { policy, log_only, qname_wait_recurse, break_dnssec }
    }
}

impl PolicyZone {
    pub fn has(&self, trigger: Trigger) -> bool {
        self.rules.as_ref().is_some_and(|rules| rules.has(trigger))
    }

    /// Whether it has rules that nothing but the response can decide.
    pub(super) fn needs_response(&self) -> bool {
        [Trigger::Ip, Trigger::Nsdname, Trigger::Nsip].into_iter().any(|trigger| self.has(trigger))
    }

    /// The action of a rule, or the one that the configuration puts in its place.
    pub(super) fn in_force<'z>(&self, given: Action<'z>) -> Action<'z> {
        match &self.options.policy {
            Override::Given => given,
            Override::NxDomain => Action::NxDomain,
            Override::NoData => Action::NoData,
            Override::Passthru => Action::Passthru,
            Override::Drop => Action::Drop,
            Override::TcpOnly => Action::TcpOnly,
            Override::Alias(target) => Action::Alias(target.clone(), OVERRIDE_TTL_S),
        }
    }
}
