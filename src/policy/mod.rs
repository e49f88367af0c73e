//! Who may ask, and which names are special: access lists, views, special-use names (RFC 6761 and its registry), the rebinding guard,
//! lists of names, response policy zones, local data, and the rates and counts that one client may reach.
//!
//! All of this is made from the settings at start and reload and swapped as a whole; the parts that count (`ResponseRate`,
//! `InFlight`) are given the time. Nothing waits or resolves: each part says what it knows about one name, address or RRset,
//! and `answer` decides what follows.
//!
//! Knows nothing of: sockets, messages, what is cached, how a name is resolved.

mod acl;
mod blocking;
mod client;
mod designated;
mod dns64;
mod identity;
mod in_flight;
mod limit_log;
mod lists;
mod local_data;
mod private_address;
mod pulse;
mod rebinding;
mod response_policy;
mod response_rate;
mod service_parameters;
mod snapshot;
mod special;
mod views;

pub use acl::Acl;
#[cfg(test)]
pub use blocking::lists_of;
pub use blocking::{BlockCounts, Blocked, Listed, Reasons, alias, blocked, of_addresses};
pub use client::ClientNet;
pub use designated::{ClientPlace, Designated, EncryptedService, RESOLVER_ARPA, name_in_certificate};
pub use dns64::{Dns64, denial_ttl, without_mapped_addresses};
pub use identity::Identity;
pub use in_flight::{InFlight, Place, Ticket};
pub use limit_log::LimitLog;
pub use lists::{
    Builder, Detail, Dialect, Found, Kind, ListId, ListReader, ListSet, ListVerdict, Lists, Reach, Rewrite, Rule, Tally, leads_nowhere,
    printable,
};
pub use local_data::{LocalData, LocalFound, denial_soa};
pub use private_address::is_private;
pub use rebinding::{Rebinding, Verdict};
pub use response_policy::{
    Action, Decided, Facts, LocalAction, NameServer, PolicyOptions, PolicySet, PolicyZone, ResponsePolicies, RuleMatch, Rules, Step,
    Trigger, decide,
};
pub use response_rate::{Pace, Rate, ResponseRate};
pub use service_parameters::{ServiceParameters, uri_template};
pub use snapshot::Policy;
pub use special::{Special, SpecialAnswer, SpecialUse};
pub use views::{InForce, Moment, Paused, View, ViewId, Views, safe_search};
