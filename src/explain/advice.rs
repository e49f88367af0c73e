//! What a person can do about a failure: the deepest cause decides.

use crate::record::Ede;
use crate::resolve::{Cause, Event, Failure, Step};

pub(super) const BOGUS: &str = "the zone's operator must fix its signatures or the DS record at the parent; `cairn trust negative add NAME` \
                                turns validation off for the name meanwhile";

const OFFLINE: &str = "this machine's own network is down, or a firewall keeps UDP and TCP port 53 from leaving it: look at the cable, the \
                       wireless network, the router; cached names are answered meanwhile";

const RULE: &str = "these servers are named by a rule of your own configuration: look at the addresses after `to`; `fallback = true` would \
                    ask the public DNS when they fail";

pub(super) const OTHER: &str = "send a query that a server of this kind answers";

/// Advice about a failure of the walk.
pub(super) fn of_failure(failure: &Failure, events: &[Event]) -> &'static str {
    if events.iter().any(|event| matches!(event.step, Step::Offline { .. })) {
        return OFFLINE;
    }
    let by_rule = events.iter().any(|event| matches!(&event.step, Step::Routed { zone, .. } if *zone == failure.at));
    if by_rule { RULE } else { of_cause(&failure.cause) }
}

fn of_cause(cause: &Cause) -> &'static str {
    match cause {
        Cause::NoReachableAuthority => {
            "the zone's servers are down, or the way to them is blocked: try again later; if every name fails, look at this machine's \
             network and whether UDP and TCP port 53 may leave it"
        }
        Cause::ServersFailed => {
            "the zone's servers answer, but not for this zone: its operator must fix the servers or the delegation at the parent"
        }
        Cause::NoServerAddress => "the names of the zone's servers have no addresses: its operator must fix the delegation at the parent",
        Cause::Cycle => "the zones' servers are named in each other and no glue breaks the cycle: their operators must add glue",
        Cause::AliasLoop | Cause::AliasTooLong => "the operator of the alias must fix it",
        Cause::Spent(_) => "resolving the name takes more work than one query may cause: the zone's operator must simplify it",
        Cause::Remembered(_) => "this failed a moment ago and is not tried again yet: wait a few seconds, or `cairn cache flush NAME`",
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
    use crate::record::EdeCode;
    edes.iter().any(|ede| matches!(ede.code, EdeCode::STALE_ANSWER | EdeCode::STALE_NXDOMAIN))
}
