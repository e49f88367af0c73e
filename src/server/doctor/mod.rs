//! `cairn doctor`: what on this machine or its network keeps DNS from working, each fault with the way out.
//!
//! ```text
//! gather.rs      machine and network are looked at, everything at once ─► Facts
//! checks.rs      the table of checks: each is a function from Facts to a Verdict
//!   machine.rs     configuration, server, ports, resolv.conf, open files, open resolver, packet filter
//!   network.rs     reachability, IPv6, interception, captive portal, large answers, TCP
//!   trust.rs       clock, trust anchors, forwarders
//! ```
//!
//! Knows nothing of: the cache, how names are resolved, output.

mod checks;
mod facts;
mod gather;
mod machine;
mod network;
mod seen;
#[cfg(test)]
mod test_facts;
mod trust;
mod verdict;

pub use checks::Report;
#[cfg(any(test, feature = "internals"))]
pub use verdict::Finding;
pub use verdict::Verdict;

use super::load::StartOptions;
use std::path::PathBuf;

/// Looks at machine and network and judges. `places` are those of the control socket; `progress` is told how many of how many
/// looks have come to an end.
pub fn doctor(options: &StartOptions, places: &[PathBuf], progress: &dyn Fn(usize, usize)) -> Report {
    checks::report(&gather::gather(options, places, progress))
}
