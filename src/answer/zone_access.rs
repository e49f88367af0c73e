//! Who may ask, transfer and change each hosted zone, made of the `[[zone]]` entries and the members of catalogs (RFC 9432).

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::quality::RandomState;

use crate::config::{AddressEntry, Prefix, ZoneSettings};
use crate::policy::Acl;
use crate::record::Name;

/// Who transfers and changes a zone.
pub struct ZoneRules {
    /// Not empty: this server is a secondary.
    pub primaries: Vec<AddressEntry>,
    pub transfer: Vec<AddressEntry>,
    /// Who may change it (RFC 2136).
    pub update: Vec<AddressEntry>,
}

/// The rules of all zones.
#[derive(Default)]
pub struct ZoneAccess {
    rules: HashMap<Name, ZoneRules>,
    /// The access lists of zones that are not open to everybody.
    acls: HashMap<Box<[u8]>, Acl, RandomState>,
    /// Agents for error reports of hosted zones (RFC 9567).
    report_agents: HashMap<Box<[u8]>, Name, RandomState>,
}

impl ZoneAccess {
    pub fn new(zones: &[ZoneSettings]) -> ZoneAccess {
        let everybody = |prefixes: &[Prefix]| prefixes.contains(&Prefix::ALL_IPV4) && prefixes.contains(&Prefix::ALL_IPV6);
        let acls = zones.iter().filter(|zone| !zone.is_policy && !everybody(&zone.allow));
        let acls = acls.map(|zone| (zone.name.as_wire().into(), Acl::new(&zone.allow)));
        let report_agents = zones.iter().filter_map(|zone| Some((zone.name.as_wire().into(), zone.report_channel.clone()?)));
        let rules = zones.iter().map(|zone| {
            let (primaries, transfer, update) = (zone.primaries.clone(), zone.transfer.clone(), zone.update.clone());
            (zone.name.clone(), ZoneRules { primaries, transfer, update })
        });
        ZoneAccess { rules: rules.collect(), acls: acls.collect(), report_agents: report_agents.collect() }
    }

    pub fn rules(&self, apex: &Name) -> Option<&ZoneRules> {
        self.rules.get(apex)
    }

    /// False if all hosted zones are open to everybody, so that no answer need be checked.
    #[inline]
    pub fn has_restricted_zones(&self) -> bool {
        !self.acls.is_empty()
    }

    pub fn is_closed_to_some(&self, apex: &Name) -> bool {
        self.acls.contains_key(apex.as_wire())
    }

    pub fn may_ask(&self, apex: &Name, client: IpAddr) -> bool {
        self.acls.is_empty() || self.acls.get(apex.as_wire()).is_none_or(|acl| acl.contains(client))
    }

    pub fn has_report_agents(&self) -> bool {
        !self.report_agents.is_empty()
    }

    pub fn report_agent(&self, apex: &Name) -> Option<&Name> {
        self.report_agents.get(apex.as_wire())
    }
}
