//! The table of limits: each bounds work, memory or time that input from outside can cost, and says why that much.
//!
//! [`Limits`] and [`ValidationLimits`] are values that are made once and handed down, so that a test can tighten a single
//! one. The constants beside them are never changed. Limits that an operator sets are in `config::Settings`, with their
//! defaults and ranges. Numbers that a protocol or a format fixes are no limits; they stand where the format is read.
//!
//! This folder stands below `record` and `wire`, because reading a name has limits too.
//!
//! Knows nothing of: configuration, DNS, messages, sockets, files.

pub mod cache;
pub mod clients;
pub mod fetch;
mod limits;
pub mod lists;
pub mod server;
pub mod servers;
pub mod switch;
pub mod upstream;
pub mod validation;
pub mod walk;
pub mod wire;
pub mod zone;

pub use limits::Limits;
pub use validation::ValidationLimits;
