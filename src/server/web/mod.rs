//! The web listener: a dashboard for people, /api/v1 for programs, /metrics for collectors, /healthz and /readyz for whoever supervises
//! the server. All of it only reads.
//!
//! ```text
//! connection ─► listener.rs ─► pages.rs ─┬─► exposition.rs   what is measured, as text
//!                                        ├─► dashboard.rs    the same and what fails, as HTML
//!                                        ├─► explanations.rs how a name is resolved: a few at a time
//!                                        ├─► probe.rs        one question at a time: readiness.rs, can names be resolved?
//!                                        └─► password.rs     who may read it
//! ```
//!
//! One thread of low priority does all of it: whoever asks here never delays an answer. Reading numbers takes no lock of a worker.
//!
//! Knows nothing of: DNS messages, how numbers come about.

mod dashboard;
mod explanations;
mod exposition;
mod listener;
mod pages;
mod password;
mod probe;
mod readiness;
mod readiness_plan;
mod timed_stream;

pub(super) use listener::{bind, serve};
pub(super) use password::Password;
pub(super) use readiness::is_ready;
