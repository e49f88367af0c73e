//! Fetches a file over HTTP: `https://`, and `http://` where the operator asks for it.
//!
//! ```text
//! client.rs ─► addresses.rs ─► connect.rs ─► exchange.rs ─► head.rs ─► unpack.rs ─► whoever wants the data
//!     ▲         our own resolver   TCP, TLS     one request    │
//!     └──────── redirect, at most five, never to less ◄────────┘
//! ```
//!
//! Every part of a response is bounded, in octets and in time; `error.rs` names each way to fail. `tls.rs` reads the files of CA
//! certificates, `host_scope.rs` tells local addresses from others. Runs on a thread of its own beside the workers.
//!
//! Knows nothing of: what is fetched, where it is kept, when it is fetched again.

mod addresses;
mod client;
mod connect;
mod error;
mod exchange;
#[cfg(test)]
mod fake_server;
mod head;
#[cfg(test)]
mod hostile_tests;
mod host_scope;
#[cfg(test)]
mod tests;
mod tls;
mod unpack;

pub(super) use addresses::{Addresses, OwnResolver};
pub(super) use client::{Client, Fetched, Request};
pub(super) use error::{FetchError, RetryAfter};
#[cfg(test)]
pub(super) use fake_server::{Act, Ca, FakeWeb, Script, ok, script};
pub(super) use head::Validators;
pub(super) use tls::{ca_paths, tls_from_files};
