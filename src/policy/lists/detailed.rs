//! The few rules that say more than that a name is listed: for some types only, not for some names below, or with an answer.

use super::{Detail, Found, Kind, ListId, ListSet, Reach, Rewrite, Types};
use crate::record::{Rtype, wire_name_is_within};

/// One such rule of one list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DetailedRule {
    pub(super) list: ListId,
    pub(super) kind: Kind,
    pub(super) reach: Reach,
    pub(super) cancels: bool,
    pub(super) detail: Box<Detail>,
}

impl DetailedRule {
    fn is_cancelled_by(&self, other: &DetailedRule) -> bool {
        other.cancels && !self.cancels && self.kind == other.kind && self.reach == other.reach && self.detail == other.detail
    }

    fn holds_for(&self, name: &[u8], is_own: bool, rtype: Rtype) -> bool {
        let reaches = if is_own { self.reach != Reach::Below } else { self.reach != Reach::Name };
        let is_of_type = match &self.detail.types {
            None => true,
            // Its answer would show what a rule for one type hides, and an exception for one type does not cover the others.
            Some(_) if rtype == Rtype::ANY => matches!(self.kind, Kind::Block | Kind::ImportantBlock),
            Some(Types::Only(types)) => types.contains(&rtype),
            Some(Types::AllBut(types)) => !types.contains(&rtype),
        };
        reaches && is_of_type && !self.detail.deny_allow.iter().any(|allowed| wire_name_is_within(name, allowed.as_wire()))
    }
}

/// Adds what the detailed rules of one name say of `name`, which is that name itself (`is_own`) or below it.
pub(super) fn apply(rules: &[DetailedRule], name: &[u8], is_own: bool, rtype: Rtype, found: &mut Found) {
    for rule in rules.iter().filter(|rule| !rule.cancels && rule.holds_for(name, is_own, rtype)) {
        if rules.iter().any(|other| rule.is_cancelled_by(other)) {
            continue;
        }
        match (&rule.detail.rewrite, &mut found.rewrite) {
            (None, _) => found.mark(rule.kind, ListSet::of(rule.list)),
            (Some(rewrite), None) => found.rewrite = Some(Box::new((rule.list, rewrite.clone()))),
            // A name may have several addresses, a rule each.
            (Some(Rewrite::Addresses(more)), Some(present)) => {
                if let (list, Rewrite::Addresses(addresses)) = &mut **present
                    && *list == rule.list
                {
                    addresses.extend(more);
                }
            }
            (Some(_), Some(_)) => {}
        }
    }
}
