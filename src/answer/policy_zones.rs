//! Response policy zones, compiled from the zones of a snapshot when one of them changes, on the thread that makes the snapshot.

use std::sync::Arc;

use crate::policy::{PolicyOptions, PolicyZone, ResponsePolicies, Rules};
use crate::record::Name;
use crate::zone::{Zone, Zones};

/// The rules of these zones, as far as their data is there. What `before` has compiled from the same data is kept.
pub(super) fn compile(configured: &[(Name, PolicyOptions)], zones: &Zones, before: &ResponsePolicies) -> ResponsePolicies {
    let zone = |(name, options): &(Name, PolicyOptions)| {
        let data = zones.get(name.as_wire());
        let held = before.zones().iter().find(|held| held.name == *name).and_then(|held| held.rules.clone());
        let held = held.filter(|held| data.is_some_and(|data| Arc::ptr_eq(held.zone(), data)));
        let rules = held.or_else(|| data.map(|data| compiled(data.clone())));
        PolicyZone { name: name.clone(), options: options.clone(), rules }
    };
    ResponsePolicies::new(configured.iter().map(zone).collect())
}

fn compiled(data: Arc<Zone>) -> Arc<Rules> {
    let rules = Rules::compile(data);
    let (zone, serial, count, skipped) = (rules.apex(), rules.zone().serial(), rules.count(), rules.skipped());
    tracing::info!(event = "response-policy-zone", %zone, serial, rules = count, skipped = skipped.count, "response policy zone {zone}: {count} rules");
    if skipped.count > 0 {
        let examples = skipped.examples.join("; ");
        tracing::warn!("response policy zone {zone}: {} records are no rule and are skipped: {examples}", skipped.count);
    }
    Arc::new(rules)
}
