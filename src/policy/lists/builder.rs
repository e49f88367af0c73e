//! Makes the table of all lists out of their rules.

use super::detailed::DetailedRule;
use super::{ListId, ListSet, Lists, Reach, Rule};

/// Takes the rules of all lists, one after the other.
pub struct Builder {
    lists: Lists,
}

impl Builder {
    /// `names`: what the configuration calls the lists, in their order.
    pub fn new(names: Vec<String>) -> Builder {
        Builder { lists: Lists::of_names(names) }
    }

    pub fn add(&mut self, list: ListId, rule: &Rule<'_>) {
        let entry = self.lists.entry(rule.name);
        if let Some(detail) = rule.detail.clone() {
            let Rule { kind, reach, cancels, .. } = *rule;
            entry.detailed.push(DetailedRule { list, kind, reach, cancels, detail });
            return;
        }
        if rule.cancels {
            return;
        }
        let lists = ListSet::of(list);
        if rule.reach != Reach::Below {
            entry.own.mark(rule.kind, lists);
        }
        if rule.reach != Reach::Name {
            entry.below.mark(rule.kind, lists);
        }
    }

    pub fn finish(self) -> Lists {
        self.lists
    }
}
