//! The life of a running server: start, reload, stop, the control socket; all its file input and output.
//!
//! Runs on a thread of its own, beside the workers and never on the way of a query. What answers is plugged in as
//! an [`Engine`].
//!
//! Knows nothing of: packets, and what happens between a query and its reply.

mod cache_file;
mod engine;
mod files;
mod port_owner;
mod logs;
mod pages;
mod ports;
mod priority;
mod rlimit;
mod records;
mod root;
mod run;
#[cfg(test)]
mod scratch;
mod socket;
mod sources;
mod state;
mod trust;

pub use engine::{build, explain};
pub use files::{Configuration, StartOptions, ZoneFile, configuration};
pub use ports::{BindError, Ports, WorkerSockets, bind};
pub use run::{Engine, RunError, run};
pub use socket::{Command, Reply, ask, why_none as why_no_server};
pub use sources::{LoadedZone, Sources};
