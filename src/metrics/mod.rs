//! Counters, gauges and histograms. Each worker has values of its own, which only its thread writes, so that counting costs
//! neither a lock nor a bus cycle; a report adds them up.
//!
//! ```text
//! worker 0 ─► Recorder ─┐
//! worker 1 ─► Recorder ─┼─► Registry ─► rows: name, labels, sum
//! ended    ─► sum ──────┘
//! ```
//!
//! One table, `families.rs`, has everything that is counted: name, help, kind, labels.
//!
//! Knows nothing of: who reads the values, what they mean.

mod families;
mod labels;
mod quantile;
mod registry;

pub use families::{Counter, Gauge};
pub use labels::{ClientFamily, ClientLimit, ExtendedError, Outcome, Over, PolicyAction, QueryType, Source, SpentBound};
pub use quantile::quantile;
pub use registry::{Distribution, Kind, Labels, Recorder, Registry, Row};
