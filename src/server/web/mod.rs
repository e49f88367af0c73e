//! The web listener: /metrics for collectors, /healthz and /readyz for whoever supervises the server.
//!
//! ```text
//! connection ─► listener.rs ─► pages.rs ─┬─► exposition.rs   what is measured, as text
//!                                        ├─► probe.rs        one question at a time: readiness.rs, can names be resolved?
//!                                        └─► password.rs     who may read it
//! ```
//!
//! One thread of low priority does all of it: whoever asks here never delays an answer. Reading numbers takes no lock of a worker.
//!
//! Knows nothing of: DNS messages, how numbers come about.

mod exposition;
mod listener;
mod pages;
mod password;
mod probe;
mod readiness;
mod timed_stream;

pub(super) use listener::{bind, serve};
pub(super) use password::Password;
pub(super) use readiness::is_ready;
