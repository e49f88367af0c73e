//! Response policy zones (draft-vixie-dnsop-dns-rpz-00): rules in the form of a DNS zone, each with a trigger and an action.
//!
//! ```text
//! records of a zone ─► Rules::compile    QNAME and NSDNAME rules stay in the zone's own table; address triggers become prefix tables
//!      facts ─► decide                   which rule applies, or that the name has to be resolved first
//! ```
//!
//! `trigger.rs` reads owner names, `action.rs` what a rule does, `prefixes.rs` finds the longest prefix of an address, `rules.rs`
//! is one compiled zone, `decide.rs` the precedence between rules of all zones (section 5 of the draft). `model.rs` is a second,
//! slow interpreter that tests compare with.
//!
//! Knows nothing of: where zones come from, how a name is resolved, what a reply looks like.

mod action;
mod decide;
#[cfg(test)]
mod model;
mod policies;
mod prefixes;
mod rules;
mod trigger;

pub use action::{Action, LocalAction};
pub use decide::{Decided, Facts, NameServer, RuleMatch, Step, decide};
pub use policies::{PolicyOptions, PolicySet, PolicyZone, ResponsePolicies};
pub use rules::Rules;
pub use trigger::Trigger;
