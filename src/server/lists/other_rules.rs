//! What decides for a name besides lists: hosted zones and local data come before them, response policy zones after them.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::policy::{Decided, Facts, LocalData, ResponsePolicies, Step, ViewId, Views, decide};
use crate::record::{Name, Rtype};
use crate::zone::Zones;

/// All of it, of a running server or of a configuration.
pub(super) struct OtherRules<'a> {
    pub(super) hosted: Hosted<'a>,
    /// The records for clients whose view has none of its own.
    pub(super) local_data: &'a LocalData,
    /// `None`: the zones have not been read.
    pub(super) policies: Option<&'a ResponsePolicies>,
}

/// The zones that are hosted.
pub(super) enum Hosted<'a> {
    InForce(&'a Zones),
    Configured(&'a [Name]),
}

/// Data of this server's own, which no list can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnData {
    Zone(Name),
    LocalData,
}

impl OtherRules<'_> {
    /// What has the name for clients of the view, if it is this server's own.
    pub(super) fn own_data(&self, name: &Name, view: ViewId, views: &Views) -> Option<OwnData> {
        let local_data = views.get(view).local_data.as_ref().unwrap_or(self.local_data);
        if local_data.has(name) {
            return Some(OwnData::LocalData);
        }
        let zone = match self.hosted {
            Hosted::InForce(zones) => match zones.find(name.as_wire()) {
                Some(zone) => Some(zone.apex().clone()),
                None => zones.missing_for(name.as_wire(), Rtype::A).map(|zone| zone.apex.clone()),
            },
            Hosted::Configured(zones) => zones.iter().filter(|zone| name.is_within(zone)).max_by_key(|zone| zone.label_count()).cloned(),
        };
        zone.map(OwnData::Zone)
    }

    /// The rule of a response policy zone for the name, or for the client. What the response shows may have another one, which comes first.
    pub(super) fn policy_rule(&self, name: &Name, client: Option<IpAddr>, view: ViewId, views: &Views) -> Option<Value> {
        let step = Step { name: name.clone(), addresses: Vec::new(), servers: Vec::new() };
        let facts = Facts { client, steps: vec![step], is_resolved: true, dnssec_ok: false, is_signed: false };
        match decide(self.policies?, views.get(view).rpz, &facts, &mut Vec::new()) {
            Decided::Rule(found) => {
                let zone = self.policies?.get(found.place)?;
                Some(json!({
                    "zone": zone.name.to_string(), "rule": found.owner.to_string(), "trigger": found.trigger.to_string(),
                    "action": found.action.to_string(),
                }))
            }
            Decided::NoRule | Decided::NotYet => None,
        }
    }
}
