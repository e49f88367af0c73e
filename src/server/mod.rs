//! The life of a running server: start, reload, stop, the control socket; all file input and output.
//!
//! Runs on a thread of its own beside the workers, never in the path of a query. `run.rs` is the life cycle, `engine.rs` the
//! interface of what answers, `server.rs` the engine in service, `load/` reads files,
//! `hosting/` speaks with other servers of hosted zones.
//!
//! Knows nothing of: how a question is answered, DNS messages, clap.

mod all_at_once;
mod busy_time;
mod cache_file;
mod command;
mod confine;
mod doctor;
mod encrypted;
mod dnstap;
mod encrypted_query;
mod engine;
mod fetch;
mod health;
mod hosting;
mod import;
mod life;
mod lists;
mod listening;
mod load;
mod port_owner;
mod local_root;
mod logs;
mod notify;
mod pages;
mod parent_side;
mod passed_file;
mod ports;
mod priority;
mod probe;
mod query_log;
mod rlimit;
mod records;
mod resident;
mod resolv_conf;
mod run;
#[cfg(test)]
mod scratch;
mod serials;
mod server;
mod signing;
mod single_query;
mod socket;
mod state;
mod system;
mod tap_reader;
mod trust;
mod views;
mod web;
mod zone_doctor;
mod zone_file;
mod zone_force;
mod zone_text;

pub use command::Command;
#[cfg(any(test, feature = "internals"))]
pub use doctor::Finding;
pub use doctor::{Report, Verdict, doctor};
pub use health::{Health, health, reachable_here};
pub use import::import_unbound;
pub use lists::{CheckedList, check_lists, which_list};
pub use load::{Configuration, LoadedZone, Sources, StartOptions, certificate_names, configuration};
pub(crate) use load::{root_hints, trust_anchors};
pub use parent_side::{Ds, Key, NameServer, ParentSide, parent_side};
pub use probe::{Violation, probe};
pub use resolv_conf::{name_server, name_servers};
pub use run::{RunError, ignore_signals_for_the_server, ignore_signals_that_end, run};
pub use server::{build, explain};
pub use socket::{ask, places as control_socket_places, why_no_server};
#[cfg(any(test, feature = "internals"))]
pub use zone_doctor::ZoneFinding;
pub use zone_doctor::{Checked, Severity, ZoneReport, zone_doctor};
pub use zone_file::{HostedZone, ZoneError, ZoneUse, change_zone, hosted_zone, read_records, read_zone};
pub use zone_force::{InForce, put_in_force, running_zones};
