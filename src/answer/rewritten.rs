//! An answer that the operator's lists or zones of rules put in place of the name's own.

use super::outcome::Outcome;
use crate::metrics::{PolicyAction, Source};
use crate::policy::Listed;
use crate::record::{Ede, RdataList, RrSet, Rtype, Security};
use crate::resolve::LocalAnswer;

/// The marks of a rewritten answer, for what the alias of a rule leads to.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub soa: Option<RrSet>,
    pub ede: Option<Ede>,
    pub action: Option<PolicyAction>,
    /// The list whose alias it is; none for that of safe search.
    pub list: Option<Listed>,
    /// The data that the alias leads to is what it is: signed, ageing, and to be checked.
    pub keeps_data: bool,
    /// Response policy zones look at what the alias of a list or of safe search leads to. Nothing that they make is for their rules (the draft, 5.1: one
    /// rule affects a response).
    pub is_for_policies: bool,
}

/// What a rule makes of a response.
pub(super) enum Applied {
    Reply(Outcome),
    /// The beginning of an answer, whose alias is to be followed.
    Alias(Box<LocalAnswer>, Box<Rewritten>),
}

/// Puts the marks of a rewritten answer on what its alias led to.
pub(super) fn mark(rewritten: Rewritten, outcome: &mut Outcome) {
    if rewritten.keeps_data {
        outcome.authoritative = false;
        return;
    }
    outcome.answers.iter_mut().chain(&mut outcome.authority).for_each(|set| set.sigs = RdataList::new());
    outcome.authority.retain(|set| !matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3));
    outcome.additional.extend(rewritten.soa);
    outcome.edes.extend(rewritten.ede);
    (outcome.authoritative, outcome.security) = (false, Security::Insecure);
    // The operator's own choice: private addresses are fine.
    (outcome.own, outcome.repeatable) = (true, false);
    (outcome.source, outcome.policy, outcome.list) = (Source::Policy, rewritten.action, rewritten.list);
}
