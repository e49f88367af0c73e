//! The rules of one zone, compiled from its records.
//!
//! QNAME and NSDNAME rules are found in the zone's own table of names, so they take no memory besides the zone. Address triggers
//! become prefix tables. Of a wildcard's names, all that lie below it match, whatever other names exist between (section 4.2: "would
//! match queries for any subdomain"); of several wildcards the one with the most labels counts (section 5.3).

use std::net::IpAddr;
use std::sync::Arc;

use super::action::Action;
use super::prefixes::{PrefixMatch, Prefixes};
use super::trigger::{self, NSDNAME_LABEL, Owner, Trigger};
use crate::limits::zone::RPZ_EXAMPLES_MAX;
use crate::record::{Name, RrSet};
use crate::zone::{NodeRef, Zone};

/// Rules that cannot be used.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Skipped {
    pub count: usize,
    /// Owner and reason of the first ones, by owner.
    pub examples: Vec<String>,
}

/// One zone.
pub struct Rules {
    zone: Arc<Zone>,
    client_ip: Prefixes,
    ip: Prefixes,
    nsip: Prefixes,
    /// `rpz-nsdname` below the apex; `None`: there is no such rule.
    nsdname: Option<Name>,
    has_qname: bool,
    has_wildcard: bool,
    count: usize,
    skipped: Skipped,
}

/// A rule for a name, with what precedence needs to know.
#[derive(Clone)]
pub(super) struct NameMatch<'z> {
    pub action: Action<'z>,
    pub owner: Name,
    pub is_wildcard: bool,
    /// Of the owner.
    pub labels: usize,
}

impl Rules {
    /// Reads every record of the zone. Takes time for large zones, so never on a worker.
    pub fn compile(zone: Arc<Zone>) -> Rules {
        let apex_labels = zone.apex().label_count();
        let (mut client_ip, mut ip, mut nsip) = (Vec::new(), Vec::new(), Vec::new());
        let (mut has_qname, mut has_nsdname, mut has_wildcard, mut count) = (false, false, false, 0);
        let mut skipped: Vec<(Box<[u8]>, String)> = Vec::new();
        for node in zone.nodes() {
            let Ok(name) = Name::from_wire(node.name()) else { continue };
            let labels: Vec<&[u8]> = name.labels().collect();
            let Some(own) = labels.len().checked_sub(apex_labels).filter(|own| *own > 0).and_then(|own| labels.get(..own)) else {
                continue;
            };
            let owner = match (action_of(node, &name, apex_labels), trigger::owner(own)) {
                (Ok(None), _) => continue,
                (Err(why), _) | (Ok(Some(_)), Err(why)) => {
                    skipped.push((node.name().into(), why));
                    continue;
                }
                (Ok(Some(_)), Ok(owner)) => owner,
            };
            count += 1;
            has_wildcard |= name.is_wildcard();
            let of_kind = |kind: Trigger| match kind {
                Trigger::ClientIp => 0,
                Trigger::Ip => 1,
                Trigger::Nsip | Trigger::Qname | Trigger::Nsdname => 2,
            };
            match owner {
                Owner::Qname => has_qname = true,
                Owner::Nsdname => has_nsdname = true,
                Owner::Address(kind, prefix) => [&mut client_ip, &mut ip, &mut nsip][of_kind(kind)].push((prefix, node.name().into())),
            }
        }
        let mut table = |triggers| {
            let (table, twice) = Prefixes::new(triggers);
            count -= twice.len();
            skipped.extend(twice.into_iter().map(|owner| (owner, "another rule has the same prefix".to_owned())));
            table
        };
        let (client_ip, ip, nsip) = (table(client_ip), table(ip), table(nsip));
        let nsdname = if has_nsdname { zone.apex().child(NSDNAME_LABEL).ok() } else { None };
        let skipped = in_order(skipped, apex_labels);
        Rules { zone, client_ip, ip, nsip, nsdname, has_qname, has_wildcard, count, skipped }
    }

    /// Name of the zone.
    pub fn apex(&self) -> &Name {
        self.zone.apex()
    }

    /// The data that the rules were compiled from.
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// Number of rules that can be used.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Rules that cannot be used.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// Whether rules of these kinds exist.
    pub fn has(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::ClientIp => !self.client_ip.is_empty(),
            Trigger::Qname => self.has_qname,
            Trigger::Ip => !self.ip.is_empty(),
            Trigger::Nsdname => self.nsdname.is_some(),
            Trigger::Nsip => !self.nsip.is_empty(),
        }
    }

    /// The SOA, for the responses that a rule has changed (section 6). Its TTL is that of a denial (RFC 2308 5).
    pub fn soa(&self) -> RrSet {
        RrSet { sigs: Default::default(), ..self.zone.negative_soa().to_rrset(self.zone.apex().clone()) }
    }

    pub(super) fn client_ip(&self, client: IpAddr) -> Option<PrefixMatch<'_>> {
        self.client_ip.find(client)
    }

    pub(super) fn ip(&self, addresses: impl Iterator<Item = IpAddr>) -> Option<PrefixMatch<'_>> {
        self.ip.best(addresses)
    }

    pub(super) fn nsip(&self, addresses: impl Iterator<Item = IpAddr>) -> Option<PrefixMatch<'_>> {
        self.nsip.best(addresses)
    }

    /// The rule for a query name.
    pub(super) fn qname(&self, name: &Name) -> Option<NameMatch<'_>> {
        // A name that looks like another kind of trigger has no rule.
        if !self.has_qname || name.suffix_wire(1).get(1..).is_some_and(|top| top.starts_with(b"rpz-")) {
            return None;
        }
        self.name(name, self.zone.apex())
    }

    /// The rule for the name of a name server.
    pub(super) fn nsdname(&self, name: &Name) -> Option<NameMatch<'_>> {
        self.name(name, self.nsdname.as_ref()?)
    }

    /// What the rule with this owner does.
    pub(super) fn action(&self, owner: &[u8]) -> Option<(Name, Action<'_>)> {
        let name = Name::from_wire(owner).ok()?;
        let action = action_of(self.zone.node(owner)?, &name, self.zone.apex().label_count()).ok()??;
        Some((name, action))
    }

    /// The exact name, or the wildcard with the most labels.
    fn name(&self, name: &Name, below: &Name) -> Option<NameMatch<'_>> {
        let at = |owner: Option<Name>, is_wildcard: bool| {
            let (owner, action) = self.action(owner?.as_wire())?;
            Some(NameMatch { labels: owner.label_count(), action, owner, is_wildcard })
        };
        if !name.is_root()
            && let Some(exact) = at(name.rebase(&Name::root(), below), false)
        {
            return Some(exact);
        }
        if !self.has_wildcard {
            return None;
        }
        let mut encloser = name.parent();
        while let Some(above) = encloser {
            let owner = if above.is_root() { Some(below.clone()) } else { above.rebase(&Name::root(), below) };
            if let Some(wildcard) = at(owner.and_then(|owner| owner.wildcard()), true) {
                return Some(wildcard);
            }
            encloser = above.parent();
        }
        None
    }
}

fn action_of<'z>(node: NodeRef<'z>, name: &Name, apex_labels: usize) -> Result<Option<Action<'z>>, String> {
    Action::of(node, || own_name(name, apex_labels))
}

/// The owner without the apex and the label of its kind: what the old form of PASSTHRU has as its target.
fn own_name(name: &Name, apex_labels: usize) -> Name {
    let labels: Vec<&[u8]> = name.labels().collect();
    let own = labels.get(..labels.len().saturating_sub(apex_labels)).unwrap_or_default();
    let own = match own.split_last() {
        Some((last, before)) if last.starts_with(b"rpz-") => before,
        _ => own,
    };
    own.iter().rev().try_fold(Name::root(), |name, label| name.child(label)).unwrap_or_else(|_| Name::root())
}

/// The table of a zone has no order; examples have.
fn in_order(mut skipped: Vec<(Box<[u8]>, String)>, apex_labels: usize) -> Skipped {
    let count = skipped.len();
    skipped.sort_unstable();
    let example = |(owner, why): (Box<[u8]>, String)| {
        let name = Name::from_wire(&owner).unwrap_or_else(|_| Name::root());
        let labels: Vec<&[u8]> = name.labels().collect();
        format!(
            "{}: {why}",
            trigger::shown(labels.get(..labels.len().saturating_sub(apex_labels)).unwrap_or_default()).trim_end_matches('.')
        )
    };
    Skipped { count, examples: skipped.into_iter().take(RPZ_EXAMPLES_MAX).map(example).collect() }
}
