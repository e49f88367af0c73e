//! Iterative resolution (RFC 1034 5.3.3): pure decisions, and one loop, `walk.rs`, that waits.
//!
//! A question is a chain of links (`chase`); each link is one walk (`walk`), shared by all who want it (`table`). A walk
//! stands at a cut (`cut`), finds its servers (`search`), shows them as little of the name as it can (`minimise`), and
//! asks the best of them (`choose`, `ask`), another one beside a slow one (`hedge`, `beside`), until that is enough
//! (`attempts`). It keeps of the reply what may be believed (`scrub`), and knows it for one of a few kinds (`classify`).
//! What a client is to get is then proved as far as DNSSEC goes (`prove`). All that a client question causes is paid from
//! one purse (`budget`). While our own network is silent everything waits for one probe (`offline`).
//!
//! Knows nothing of: sockets, clients, messages on their way to clients.

mod ask;
mod asker;
mod attempts;
mod beside;
mod budget;
mod chain;
mod chase;
mod choose;
mod classify;
mod clock_watch;
mod cut;
mod failure;
mod heard;
mod hedge;
mod in_passing;
mod infer;
mod known;
mod learn;
mod link;
mod local;
mod minimise;
mod offline;
mod prove;
mod resolver;
mod routes;
mod scrub;
mod search;
mod table;
mod trace;
mod trusted;
mod under_way;
mod usual_rtt;
mod walk;

pub use asker::Asker;
pub use budget::{Bound, Purse};
pub use chase::Answer;
pub use classify::Kind;
pub use failure::{Cause, Failure, Fault, FaultKind};
pub use link::{Found, Link};
pub use local::{Local, LocalAnswer, LocalCut, NothingLocal};
pub use resolver::{Resolver, Shared};
pub use routes::{Anchors, Routes, Rule};
pub use trace::{Asked, Believed, CacheHit, ChainPart, Choice, Event, PassedOver, Purpose, Step, Trace};
pub use trusted::Followed;
