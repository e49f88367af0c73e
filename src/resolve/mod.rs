//! Iterative resolution (RFC 1034 5.3.3), in storeys that each know only the next lower one.
//!
//! ```text
//! Resolver     question/   one question to its end: alias chain, client's time, expired data, prefetch
//! Validator    dnssec/     is an answer secure: chain of trust, trust anchors
//! Lookup       lookup/     one name and type: cache, synthesis from proofs, one walk for all that wait for it
//! Walker       iterate/    from zone cut to zone cut, with QNAME minimisation
//! Servers      servers/    one question at one zone cut: which server is asked, what its reply is worth
//! Network      network/    this machine's own network: clock, sockets, is it there at all
//! ```
//!
//! The one true recursion, a walk that needs the address of a name server, goes through `SubQuery`. Below the storeys stand
//! the data that they share: `delegation/` (zone cuts), `reply/` (what of a reply is believed), `context/` (what travels
//! with a question: snapshot, budget, trace). Decisions are pure functions with table tests; only the files that
//! `tests/tidy.rs` lists wait for anything but a reply.
//!
//! Knows nothing of: sockets, clients, messages on their way to clients.

mod question;
mod dnssec;
mod lookup;
mod iterate;
mod servers;
mod network;
mod delegation;
mod context;
mod reply;

pub use context::context::Context;
pub use context::failure::{Cause, Failure};
pub use context::local::{Local, LocalAnswer, LocalCut, LocalSource};
pub use context::place::QuestionPlace;
pub use context::routes::{Anchors, Routes, RoutesInForce, Rule};
#[cfg(test)]
pub use context::trace::ZoneKey;
pub use context::trace::{AliasTailReason, Asked, CacheHit, ChainPart, Choice, Event, Purpose, Step, Trace};
pub use dnssec::follow_anchors::Followed;
pub use question::answer::{Answer, SentinelVerdict};
pub use question::resolver::{Resolver, Shared};
pub use reply::classify::Kind;
#[cfg(any(test, feature = "internals"))]
pub use reply::interception::Imposture;
