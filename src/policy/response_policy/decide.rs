//! Which rule applies to a response: the precedence of section 5 of the draft.
//!
//! ```text
//! place in the alias chain ─► order of the zones ─► kind of trigger ─► names: exact, most labels, last name of a server
//!        (5.1)                     (5.2)               (5.4)           addresses: longest prefix, smallest prefix
//! ```
//!
//! Before the name has been resolved only the client's address and the query name are known. A rule for one of them decides at once
//! unless something that the response would show comes before it (section 9.1): a zone further up has rules for addresses in
//! answers or for name servers. Then the answer is [`Decided::NotYet`], and the caller asks again with the response.

use std::net::IpAddr;

use super::action::Action;
use super::policies::{PolicySet, PolicyZone, ResponsePolicies};
use super::rules::{NameMatch, Rules};
use super::trigger::Trigger;
use crate::record::Name;

/// A name server on the data path of a record: of the zone that holds it, or of a zone above.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameServer {
    pub name: Name,
    pub addresses: Vec<IpAddr>,
}

/// One place of an alias chain: the query name, or the target of the alias before.
#[derive(Clone, Debug)]
pub struct Step {
    pub name: Name,
    /// A and AAAA that the answer section has for this name.
    pub addresses: Vec<IpAddr>,
    /// None where the answer section has no record of this name (section 4.4).
    pub servers: Vec<NameServer>,
}

/// What is known of a question.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `None`: nobody in particular asks.
    pub client: Option<IpAddr>,
    /// The query name first. Before the name has been resolved there is nothing else, and it has neither addresses nor servers.
    pub steps: Vec<Step>,
    pub is_resolved: bool,
    /// The client has set DO (RFC 3225).
    pub dnssec_ok: bool,
    /// The response has signatures.
    pub is_signed: bool,
}

/// A rule that matches.
#[derive(Clone)]
pub struct RuleMatch<'z> {
    /// The place of its zone.
    pub place: usize,
    pub trigger: Trigger,
    pub owner: Name,
    /// The one that the zone gives, or the configuration puts in its place.
    pub action: Action<'z>,
    /// Index of the step.
    pub step: usize,
}

pub enum Decided<'z> {
    NoRule,
    Rule(Box<RuleMatch<'z>>),
    /// What the response shows may come before the rule that matches now.
    NotYet,
}

/// `set`: the zones in force for the client. Matches in zones with `log-only` go to `logged`, and change nothing.
pub fn decide<'z>(policies: &'z ResponsePolicies, set: PolicySet, facts: &Facts, logged: &mut Vec<RuleMatch<'z>>) -> Decided<'z> {
    for (index, step) in facts.steps.iter().enumerate() {
        let mut may_be_preceded = false;
        for (place, zone) in policies.of(set) {
            if facts.is_resolved && withholds(zone, facts) {
                continue;
            }
            let Some(rules) = zone.rules.as_deref() else { continue };
            match best(rules, facts, index, step) {
                Some((trigger, owner, given)) => {
                    let found = RuleMatch { place, trigger, owner, action: zone.in_force(given), step: index };
                    if zone.options.log_only {
                        logged.push(found);
                    } else if facts.is_resolved {
                        return Decided::Rule(Box::new(found));
                    } else if may_be_preceded || zone.options.qname_wait_recurse || withholds(zone, facts) {
                        return Decided::NotYet;
                    } else {
                        return Decided::Rule(Box::new(found));
                    }
                }
                None => may_be_preceded |= !zone.options.log_only && zone.needs_response(),
            }
        }
    }
    Decided::NoRule
}

/// Section 6: by default signed data is left as it is for a client that asks for signatures. Before the response is there, it may
/// turn out to be signed.
fn withholds(zone: &PolicyZone, facts: &Facts) -> bool {
    facts.dnssec_ok && !zone.options.break_dnssec && (facts.is_signed || !facts.is_resolved)
}

/// The best match of one zone for one step.
fn best<'z>(rules: &'z Rules, facts: &Facts, index: usize, step: &Step) -> Option<(Trigger, Name, Action<'z>)> {
    // The client is the same at every step, and the first step comes before all others.
    let client = facts.client.filter(|_| index == 0).and_then(|client| rules.client_ip(client));
    let of_prefix = |trigger, owner: &[u8]| rules.action(owner).map(|(owner, action)| (trigger, owner, action));
    let of_name = |trigger, found: NameMatch<'z>| (trigger, found.owner, found.action);
    client
        .and_then(|found| of_prefix(Trigger::ClientIp, found.owner))
        .or_else(|| rules.qname(&step.name).map(|found| of_name(Trigger::Qname, found)))
        .or_else(|| rules.ip(step.addresses.iter().copied()).and_then(|found| of_prefix(Trigger::Ip, found.owner)))
        .or_else(|| best_server(rules, step).map(|found| of_name(Trigger::Nsdname, found)))
        .or_else(|| {
            let addresses = step.servers.iter().flat_map(|server| server.addresses.iter().copied());
            rules.nsip(addresses).and_then(|found| of_prefix(Trigger::Nsip, found.owner))
        })
}

/// Sections 5.3 and 5.5: an exact rule, then the wildcard with the most labels, then the server whose name is last in canonical
/// order (RFC 4034 6.1).
fn best_server<'z>(rules: &'z Rules, step: &Step) -> Option<NameMatch<'z>> {
    let matches = step.servers.iter().filter_map(|server| Some((&server.name, rules.nsdname(&server.name)?)));
    let weight = |found: &NameMatch<'_>| (!found.is_wildcard, if found.is_wildcard { found.labels } else { 0 });
    let best = matches.max_by(|(name, found), (other_name, other)| weight(found).cmp(&weight(other)).then(name.cmp(other_name)));
    best.map(|(_, found)| found)
}
