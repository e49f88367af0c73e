//! Iterative resolution (RFC 1034 5.3.3): pure decisions, and one loop, `walk.rs`, that waits.
//!
//! A question is a chain of links (`chase`); each link is one walk (`walk`), shared by all who want it (`table`). A walk
//! stands at a cut (`cut`), finds its servers (`search`), shows them as little of the name as it can (`minimise`), and
//! asks the best of them (`choose`, `ask`), another one beside a slow one (`hedge`, `beside`), until that is enough
//! (`slist`). It keeps of the reply what may be believed (`scrub`), and knows it for one of a few kinds (`classify`).
//! What a client is to get is then proved as far as DNSSEC goes (`prove`). All that a client question causes is paid from
//! one budget (`budget`). While our own network is silent everything waits for one probe (`offline`).
//!
//! Knows nothing of: sockets, clients, messages on their way to clients.

mod resolver;
mod question;
mod dnssec;
mod lookup;
mod iterate;
mod servers;
mod network;
mod delegation;
mod context;
mod reply;

pub use context::budget::{Bound, Budget};
pub use context::context::Context;
pub use context::failure::{Cause, Failure, Fault, FaultKind};
pub use context::local::{Local, LocalAnswer, LocalCut, NothingLocal};
pub use context::place::QuestionPlace;
pub use context::routes::{Anchors, Routes, RoutesInForce, Rule};
pub use context::trace::{Asked, Believed, CacheHit, ChainPart, Choice, Event, PassedOver, Purpose, Step, Trace, ZoneKey};
pub use dnssec::follow_anchors::Followed;
pub use question::answer::Answer;
pub use reply::classify::Kind;
pub use reply::link::{Found, Link};
pub use resolver::{Resolver, Shared};
