//! What a person can do about a failure: the deepest cause decides.

use crate::cache::Family;
use crate::record::{Ede, EdeCode, Name, Security};
use crate::resolve::{Cause, ChainPart, Event, Failure, Kind, Step};

const OFFLINE: &str = "this machine's own network is down, or a firewall keeps UDP and TCP port 53 from leaving it: look at the cable, the \
                       wireless network, the router; cached names are answered meanwhile";

const WITHOUT_ROUTE: &str = "this machine has no route to any server, so its own network is down: look at the cable, the wireless network, the \
                             router, and the default route (`ip route`); cached names are answered meanwhile";

const RULE: &str = "these servers are named by a rule of your own configuration: look at the addresses after `to`; `fallback = true` would \
                    ask the public DNS when they fail";

pub(super) const OTHER: &str = "send a query that a server of this kind answers";

/// Advice about an error that a list has as its answer for `name`.
pub(super) fn of_list(name: &Name, list: &str) -> String {
    format!(
        "list {list} has this answer for {name}: nothing if that is meant (`cairn list which {name}` shows the line, and `policy.block-answer` \
         is what blocked names get); to let the name through, write it into a list with `action = \"allow\"`"
    )
}

/// Advice about a failure of the walk for `name`.
pub(super) fn of_failure(failure: &Failure, name: &Name, events: &[Event]) -> String {
    if let Some(without_route) = ended_offline(events) {
        return if without_route { WITHOUT_ROUTE } else { OFFLINE }.to_owned();
    }
    let by_rule = events.iter().any(|event| matches!(&event.step, Step::Routed { zone, .. } if *zone == failure.at));
    if by_rule {
        return RULE.to_owned();
    }
    match &failure.cause {
        Cause::ServersFailed => of_replies(&replies_of(&failure.at, events)).to_owned(),
        Cause::Remembered(_) => {
            format!("this failed a moment ago and is not tried again yet: wait a few seconds, or `cairn cache flush {name}`")
        }
        cause => of_cause(cause).to_owned(),
    }
}

/// Advice about data that failed validation: what is wrong with it, and where the chain of trust breaks, say whose work it is.
pub(super) fn of_bogus(name: &Name, edes: &[Ede], events: &[Event]) -> String {
    let broken = broken_link(events);
    let zone = broken.map_or(name, |link| &link.name);
    let has = |code: EdeCode| edes.iter().any(|ede| ede.code == code);
    let is_anchored = broken.is_some_and(|link| link.anchored);
    // Where even the keys that the configuration vouches for come without signatures, it is not the zone that lacks them.
    let is_stripped = is_anchored && (has(EdeCode::RRSIGS_MISSING) || has(EdeCode::DNSKEY_MISSING));
    let forwarded = events.iter().find_map(|event| match &event.step {
        Step::Routed { zone, forward: true } => Some(zone),
        _ => None,
    });
    let remedy = if let Some(rule) = forwarded.filter(|_| is_stripped || has(EdeCode::RRSIGS_MISSING)) {
        format!(
            "the servers of your own rule [[forward]] {rule} leave DNSSEC records out: turn DNSSEC on there, or forward to a resolver that \
             passes signatures on"
        )
    } else if is_stripped && has(EdeCode::RRSIGS_MISSING) {
        format!(
            "something on the way to the servers strips DNSSEC records, because even the keys of {zone} come without signatures: look at the \
             router and the firewall of this network"
        )
    } else if has(EdeCode::SIGNATURE_EXPIRED) {
        "the zone's operator must sign the zone again, because its signatures have expired; if this happens for every zone, this \
         machine's clock is ahead"
            .to_owned()
    } else if has(EdeCode::SIGNATURE_NOT_YET_VALID) {
        "look at this machine's clock, which is probably behind; if it is right, the zone's operator must sign the zone with the right \
         time"
            .to_owned()
    } else if is_anchored {
        format!("look at the trust anchor for {zone}, which its keys do not fit (`cairn trust show`, `recursion.trust-anchor`)")
    } else if broken.is_some() && has(EdeCode::RRSIGS_MISSING) {
        format!(
            "the operator of {zone} must sign the zone again, because the signature over its keys is missing; if this happens for every \
             zone, a forwarder or firewall on the way strips it"
        )
    } else if broken.is_some() && has(EdeCode::DNSKEY_MISSING) {
        format!(
            "the operator of {zone} must replace the DS record at the registrar by one of a key that is in use, or remove it if the zone is \
             no longer signed: the DS record there does not fit the zone"
        )
    } else if has(EdeCode::RRSIGS_MISSING) {
        "the zone's operator must sign the zone again, because signatures are missing; if this happens for every zone, a forwarder or \
         firewall on the way strips them"
            .to_owned()
    } else if has(EdeCode::NSEC_MISSING) {
        "the zone's operator must sign the zone again, because the NSEC or NSEC3 records that prove the answer are missing".to_owned()
    } else {
        "the zone's operator must sign the zone again, or correct the DS record at the registrar".to_owned()
    };
    if zone.is_root() {
        return format!("{remedy}; meanwhile `dnssec = false` below [recursion] turns validation off");
    }
    format!("{remedy}; meanwhile `cairn trust negative add {zone}` turns validation off there")
}

/// The zone whose keys are not trusted, if the chain of trust breaks at a zone and not at a record.
fn broken_link(events: &[Event]) -> Option<&ChainPart> {
    let zones = events.iter().filter_map(|event| match &event.step {
        Step::Proof { part: Some(part), security: Security::Bogus, .. } if part.rtype.is_none() => Some(&**part),
        _ => None,
    });
    zones.min_by_key(|part| part.name.label_count())
}

/// Whether the walk ended while the network was away. A query after that shows that the network came back: then one zone's
/// servers were silent, and not the world.
///
/// The value says whether the kernel had no route.
fn ended_offline(events: &[Event]) -> Option<bool> {
    match events.iter().rev().find(|event| matches!(event.step, Step::Offline { .. } | Step::Asked(_)))?.step {
        Step::Offline { without_route } => Some(without_route),
        _ => None,
    }
}

/// The kinds of reply that the servers of a zone gave.
fn replies_of(zone: &Name, events: &[Event]) -> Vec<Kind> {
    let (mut kinds, mut is_of_zone) = (Vec::new(), false);
    for event in events {
        match &event.step {
            Step::Asked(asked) => is_of_zone = asked.zone == *zone,
            Step::Reply { kind, .. } if is_of_zone => kinds.push(*kind),
            _ => {}
        }
    }
    kinds
}

/// Advice where servers answer and no answer is of use.
fn of_replies(kinds: &[Kind]) -> &'static str {
    let all = |kind: Kind| !kinds.is_empty() && kinds.iter().all(|given| *given == kind);
    if all(Kind::ServFail) {
        "the zone's servers answer SERVFAIL, so they are reached and cannot answer: their operator must look at their logs (a zone file \
         that cannot be loaded, a secondary without its primary); the delegation is not at fault"
    } else if all(Kind::Refused) {
        "the zone's servers refuse the query: they do not serve the zone, or not for this resolver's address; their operator must fix the \
         servers or the delegation at the parent"
    } else {
        "the zone's servers answer, but not for this zone: its operator must fix the servers or the delegation at the parent"
    }
}

fn of_cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::NoReachableAuthority => {
            "the zone's servers are down, or the way to them is blocked: try again later; if every name fails, look at this machine's \
             network and whether UDP and TCP port 53 may leave it"
        }
        Cause::ServersFailed => of_replies(&[]),
        Cause::NoServerAddress => "the names of the zone's servers have no addresses: its operator must fix the delegation at the parent",
        Cause::FamilyMissing { is_off: true, .. } => {
            "remove `ipv4 = false` or `ipv6 = false` below [recursion], or, where the network has a translator (NAT64), write its prefix below \
             [server]: nat64-prefix = \"64:ff9b::/96\""
        }
        Cause::FamilyMissing { family: Family::V4, .. } => {
            "this machine has no route for IPv4, and the zone is not at fault: where the network has a translator (NAT64), write its prefix \
             below [server]: nat64-prefix = \"64:ff9b::/96\"; otherwise give this machine an IPv4 address and route"
        }
        Cause::FamilyMissing { family: Family::V6, .. } => {
            "this machine has no route for IPv6: give it an IPv6 address and route, or forward this zone to a resolver that has them; the \
             zone's operator should give it a server with IPv4 too"
        }
        Cause::Cycle => "the zones' servers are named in each other and no glue breaks the cycle: their operators must add glue",
        Cause::AliasLoop | Cause::AliasTooLong => "the operator of the alias must fix it",
        Cause::Spent(_) => "resolving the name takes more work than one query may cause: the zone's operator must simplify it",
        Cause::Remembered(_) => "this failed a moment ago and is not tried again yet: wait a few seconds",
        Cause::TimedOut => "ask again: resolving goes on, and the answer may be cached by then",
        Cause::NoSocket => "this resolver may open too few files for its load: raise its limit (RLIMIT_NOFILE), or ask again later",
        Cause::NotCached => "ask with RD",
        Cause::ZoneNotLoaded(_) => "correct the zone's file (`cairn check` shows every mistake in it), then `cairn reload`",
        Cause::Shed => "the server is overloaded: ask again later",
        Cause::Internal => "this is a defect of Cairn: please report it with this output",
    }
}

/// Advice about an answer with these errors.
pub(super) fn is_stale(edes: &[Ede]) -> bool {
    edes.iter().any(|ede| matches!(ede.code, EdeCode::STALE_ANSWER | EdeCode::STALE_NXDOMAIN))
}
