//! Cairn: a recursive, caching, validating DNS resolver that also hosts small zones.
//!
//! The program `cairn` is [`main`]. A program that needs names resolved takes a [`Resolver`]:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let resolver = cairn::Resolver::builder().build()?;
//! let answer = resolver.resolve("www.example.com", "A").await?;
//! for record in answer.records() {
//!     println!("{record}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Everything else is private to the crate; the feature `internals` opens it to the project's own tests and benches.
//! A query's way is one straight line, and the modules stand in its order:
//!
//! ```text
//! client ─► listen ─► answer ─► policy ─► authority ─► cache ─► resolve ─► upstream ─► the world
//!                       ▲         │ refuse/   │ own data  │ hit        │    └─► validate
//!                       └─────────┴─ rewrite ─┴───────────┴── reply ◄──┘ (validated, then cached)
//! ```
//!
//! A module imports only modules that stand below it in this list; `cache`, `validate`, `upstream` and
//! `policy` never import each other. `tests/tidy.rs` keeps that true.

#![cfg_attr(not(feature = "internals"), warn(missing_docs))]

#[cfg(feature = "internals")]
pub mod cli;
#[cfg(feature = "internals")]
pub mod embed;
#[cfg(feature = "internals")]
pub mod switch;
#[cfg(feature = "internals")]
pub mod announce;
#[cfg(feature = "internals")]
pub mod server;
#[cfg(feature = "internals")]
pub mod listen;
#[cfg(feature = "internals")]
pub mod explain;
#[cfg(feature = "internals")]
pub mod answer;
#[cfg(feature = "internals")]
pub mod policy;
#[cfg(feature = "internals")]
pub mod authority;
#[cfg(feature = "internals")]
pub mod zone;
#[cfg(feature = "internals")]
pub mod resolve;
#[cfg(feature = "internals")]
pub mod cache;
#[cfg(feature = "internals")]
pub mod validate;
#[cfg(feature = "internals")]
pub mod upstream;
#[cfg(feature = "internals")]
pub mod tap;
#[cfg(feature = "internals")]
pub mod metrics;
#[cfg(feature = "internals")]
pub mod env;
#[cfg(feature = "internals")]
pub mod config;
#[cfg(feature = "internals")]
pub mod wire;
#[cfg(feature = "internals")]
pub mod record;
#[cfg(feature = "internals")]
pub mod limits;
#[cfg(not(feature = "internals"))]
mod cli;
#[cfg(not(feature = "internals"))]
mod embed;
#[cfg(not(feature = "internals"))]
mod switch;
#[cfg(not(feature = "internals"))]
mod announce;
#[cfg(not(feature = "internals"))]
mod server;
#[cfg(not(feature = "internals"))]
mod listen;
#[cfg(not(feature = "internals"))]
mod explain;
#[cfg(not(feature = "internals"))]
mod answer;
#[cfg(not(feature = "internals"))]
mod policy;
#[cfg(not(feature = "internals"))]
mod authority;
#[cfg(not(feature = "internals"))]
mod zone;
#[cfg(not(feature = "internals"))]
mod resolve;
#[cfg(not(feature = "internals"))]
mod cache;
#[cfg(not(feature = "internals"))]
mod validate;
#[cfg(not(feature = "internals"))]
mod upstream;
#[cfg(not(feature = "internals"))]
mod tap;
#[cfg(not(feature = "internals"))]
mod metrics;
#[cfg(not(feature = "internals"))]
mod env;
#[cfg(not(feature = "internals"))]
mod config;
#[cfg(not(feature = "internals"))]
mod wire;
#[cfg(not(feature = "internals"))]
mod record;
#[cfg(not(feature = "internals"))]
mod limits;

pub use cli::main;
pub use embed::{Answer, BuildError, Builder, Event, Record, ResolveError, Resolver, Status};
#[doc(hidden)]
pub use env::Allocator;
pub use record::{Name, NameError};
