//! `cairn zone doctor`: a zone as its parent, each of its servers and its own file see it, each fault with the way out.
//!
//! ```text
//! gather.rs      the file, the parent's servers and the zone's servers are asked ─► Facts
//! reply.rs       what one reply shows
//! checks.rs      the table of checks: each is a function from Facts to what it found
//!   delegation.rs  parent, NS records, glue, DS
//!   servers.rs     reachability, TCP, authority, serials, signatures, open recursion
//!   values.rs      the data itself: SOA, addresses, number of servers, what is in force
//! ```
//!
//! Knows nothing of: the cache, how names are resolved, output.

mod checks;
mod delegation;
mod facts;
mod gather;
mod reply;
mod servers;
#[cfg(test)]
mod test_facts;
mod values;
mod verdict;

pub use checks::ZoneReport;
#[cfg(any(test, feature = "internals"))]
pub use verdict::ZoneFinding;
pub use verdict::{Checked, Severity};

use std::path::PathBuf;

use super::load::StartOptions;
use super::zone_file::ZoneError;
use crate::record::Name;

/// Asks and judges. `places` are those of the control socket; `progress` is told how many of how many questions have an end.
pub fn zone_doctor(
    options: &StartOptions,
    places: &[PathBuf],
    zone: &Name,
    progress: &dyn Fn(usize, usize),
) -> Result<ZoneReport, ZoneError> {
    gather::gather(options, places, zone, progress).map(|facts| checks::report(&facts))
}
