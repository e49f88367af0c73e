//! The next step at a zone cut: a pure decision over what is known there.
//!
//! A server without a known fault is asked at once. While there is none, more addresses are looked for; the servers with
//! faults come after that, and the sources of addresses that are trusted least come last.

/// What the decision rests on.
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::resolve) struct Exhausted {
    pub(in crate::resolve) root_hints: bool,
    pub(in crate::resolve) searches: bool,
    pub(in crate::resolve) last_sources: bool,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
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
