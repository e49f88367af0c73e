//! Cairn: a recursive, caching, validating DNS resolver that also hosts small zones.
//!
//! A query's way is one straight line, and the modules stand in its order:
//!
//! ```text
//! client ─► listen ─► answer ─► policy ─► zone ─► cache ─► resolve ─► upstream ─► the world
//!                       ▲         │ refuse/   │ own     │ hit        │    └─► validate
//!                       └─────────┴─ rewrite ─┴─ data ──┴── reply ◄──┘ (what is learned goes to cache)
//! ```
//!
//! A module imports only modules that stand below it in this list; `cache`, `validate`, `upstream` and
//! `policy` never import each other. `tests/tidy.rs` keeps that true.

pub mod cli;
pub mod control;
pub mod listen;
pub mod answer;
pub mod policy;
pub mod zone;
pub mod resolve;
pub mod cache;
pub mod validate;
pub mod upstream;
pub mod env;
pub mod config;
pub mod wire;
pub mod record;
