//! The next step of a walk: pure decisions over the situation at a zone cut, after a failure there, and after a reply.
//!
//! A server without a known fault is asked at once. While there is none, more addresses are looked for; the servers with
//! faults come after that, and the sources of addresses that are trusted least come last.

use crate::resolve::context::failure::Cause;
use crate::resolve::reply::classify::Kind;

/// The situation at a zone cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::resolve) struct Situation {
    /// As many queries were sent, or went unanswered, as are allowed.
    pub(in crate::resolve) is_enough: bool,
    /// A server may still be asked.
    pub(in crate::resolve) has_server: bool,
    /// That server was not asked yet and has no known fault.
    pub(in crate::resolve) is_hopeful: bool,
    /// The servers that the root names do not reply.
    pub(in crate::resolve) root_fails: bool,
    /// Sources that gave nothing new for this decision.
    pub(in crate::resolve) exhausted: Exhausted,
}

/// The sources of addresses that had nothing new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::resolve) struct Exhausted {
    pub(in crate::resolve) root_hints: bool,
    pub(in crate::resolve) searches: bool,
    pub(in crate::resolve) last_sources: bool,
}

/// What the walk does next at a zone cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resolve) enum NextStep {
    /// Ask the server that was picked.
    Ask,
    /// Look for the address of one more server.
    FindAddress,
    /// Add the addresses of the root hints.
    UseHints,
    /// Add addresses that are used only where nothing else is left: out-of-bailiwick addresses of the referral, glue of
    /// zones above, servers that the zone itself names.
    UseLastSources,
    /// No server is left to ask.
    Exhausted,
}

/// Decides from the situation alone.
pub(in crate::resolve) fn next_step(situation: Situation) -> NextStep {
    let Situation { is_enough, has_server, is_hopeful, root_fails, exhausted } = situation;
    if root_fails && !is_enough && !exhausted.root_hints {
        return NextStep::UseHints;
    }
    if !is_hopeful && !is_enough && !exhausted.searches {
        return NextStep::FindAddress;
    }
    if has_server {
        return NextStep::Ask;
    }
    if !is_enough && !exhausted.last_sources {
        return NextStep::UseLastSources;
    }
    NextStep::Exhausted
}

/// A question that failed at a zone cut.
#[derive(Clone, Copy, Debug)]
pub(in crate::resolve) struct AtFailure<'a> {
    pub(in crate::resolve) cause: &'a Cause,
    /// The question was shortened (RFC 9156).
    pub(in crate::resolve) minimised: bool,
    /// No server replied, and the shortened name may be the reason.
    pub(in crate::resolve) is_silent_to_part: bool,
    /// The delegation is from before the client's question.
    pub(in crate::resolve) may_have_changed: bool,
    /// The servers come from a rule of the configuration.
    pub(in crate::resolve) is_configured: bool,
    pub(in crate::resolve) is_root: bool,
    /// The limit of restarts is not reached.
    pub(in crate::resolve) may_restart: bool,
}

/// What the walk does after a failure at a zone cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resolve) enum AfterFailure {
    /// End with this failure.
    GiveUp,
    /// Ask the whole question at the same cut.
    AskWhole,
    /// The same, but the queries that were not answered count.
    AskWholeOfSilent,
    /// End, and remember that the zone cannot be reached.
    RememberUnreachable,
    /// Ask the parent for the delegation again.
    AskParent,
    /// Iterate in place of the rule where the rule allows that; otherwise end.
    FallBack,
}

/// Decides from the failure alone.
pub(in crate::resolve) fn after_failure(at: AtFailure<'_>) -> AfterFailure {
    match at.cause {
        // A limit of our own: another way would meet it too.
        Cause::NoSocket => AfterFailure::GiveUp,
        Cause::ServersFailed if at.minimised => AfterFailure::AskWhole,
        Cause::NoReachableAuthority if at.is_silent_to_part => AfterFailure::AskWholeOfSilent,
        Cause::NoServerAddress if !at.may_have_changed && !at.is_configured => AfterFailure::RememberUnreachable,
        _ if at.may_have_changed && !at.is_root && at.may_restart => AfterFailure::AskParent,
        _ => AfterFailure::FallBack,
    }
}

/// What the walk does after a useful reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resolve) enum AfterReply {
    /// Go on at the zone cut that the referral names.
    Descend,
    /// The reply answers the question.
    Answer,
    /// A shortened question was answered: ask for more of the name. `is_denied`: the shortened name does not exist.
    AskMore { is_denied: bool },
}

/// What a reply to a question means for its walk. Under strict minimisation NXDOMAIN for a shortened name is final (RFC 8020).
pub(in crate::resolve) fn after_reply(kind: Kind, minimised: bool, is_strict: bool) -> AfterReply {
    match kind {
        Kind::Referral => AfterReply::Descend,
        Kind::NxDomain if minimised && is_strict => AfterReply::Answer,
        _ if minimised => AfterReply::AskMore { is_denied: kind == Kind::NxDomain },
        _ => AfterReply::Answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_table() {
        let at = AtFailure {
            cause: &Cause::ServersFailed,
            minimised: false,
            is_silent_to_part: false,
            may_have_changed: false,
            is_configured: false,
            is_root: false,
            may_restart: true,
        };
        let stale = AtFailure { may_have_changed: true, ..at };
        let rows = [
            (at, AfterFailure::FallBack),
            (AtFailure { minimised: true, ..at }, AfterFailure::AskWhole),
            (AtFailure { minimised: true, ..stale }, AfterFailure::AskWhole),
            (AtFailure { cause: &Cause::NoReachableAuthority, minimised: true, ..at }, AfterFailure::FallBack),
            (AtFailure { cause: &Cause::NoReachableAuthority, is_silent_to_part: true, ..stale }, AfterFailure::AskWholeOfSilent),
            (stale, AfterFailure::AskParent),
            (AtFailure { is_root: true, ..stale }, AfterFailure::FallBack),
            (AtFailure { may_restart: false, ..stale }, AfterFailure::FallBack),
            (AtFailure { cause: &Cause::NoServerAddress, ..stale }, AfterFailure::AskParent),
            (AtFailure { cause: &Cause::NoServerAddress, ..at }, AfterFailure::RememberUnreachable),
            (AtFailure { cause: &Cause::NoServerAddress, is_configured: true, ..at }, AfterFailure::FallBack),
            (AtFailure { cause: &Cause::NoSocket, minimised: true, ..stale }, AfterFailure::GiveUp),
        ];
        for (at, expected) in rows {
            assert_eq!(after_failure(at), expected, "{at:?}");
        }
    }

    #[test]
    fn replies_table() {
        let more = |is_denied| AfterReply::AskMore { is_denied };
        let rows = [
            (Kind::Referral, true, true, AfterReply::Descend),
            (Kind::Referral, false, false, AfterReply::Descend),
            (Kind::Answer, false, false, AfterReply::Answer),
            (Kind::NxDomain, false, false, AfterReply::Answer),
            (Kind::NoData, true, false, more(false)),
            (Kind::Answer, true, true, more(false)),
            (Kind::Alias, true, false, more(false)),
            (Kind::NxDomain, true, false, more(true)),
            (Kind::NxDomain, true, true, AfterReply::Answer),
        ];
        for (kind, minimised, is_strict, expected) in rows {
            assert_eq!(after_reply(kind, minimised, is_strict), expected, "{kind:?}, minimised: {minimised}, strict: {is_strict}");
        }
    }

    #[test]
    fn steps_table() {
        let none = Situation::default();
        let faulty = Situation { has_server: true, ..none };
        let hopeful = Situation { is_hopeful: true, ..faulty };
        let searched = Exhausted { searches: true, ..Exhausted::default() };
        let hinted = Exhausted { root_hints: true, ..Exhausted::default() };
        let all = Exhausted { root_hints: true, searches: true, last_sources: true };
        let rows = [
            (hopeful, NextStep::Ask),
            (faulty, NextStep::FindAddress),
            (Situation { exhausted: searched, ..faulty }, NextStep::Ask),
            (none, NextStep::FindAddress),
            (Situation { exhausted: searched, ..none }, NextStep::UseLastSources),
            (Situation { exhausted: all, ..none }, NextStep::Exhausted),
            (Situation { is_enough: true, ..none }, NextStep::Exhausted),
            (Situation { root_fails: true, ..hopeful }, NextStep::UseHints),
            (Situation { root_fails: true, exhausted: hinted, ..hopeful }, NextStep::Ask),
            (Situation { root_fails: true, exhausted: hinted, ..faulty }, NextStep::FindAddress),
            (Situation { root_fails: true, is_enough: true, ..none }, NextStep::Exhausted),
        ];
        for (situation, expected) in rows {
            assert_eq!(next_step(situation), expected, "{situation:?}");
        }
    }
}
