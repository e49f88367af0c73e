//! Cairn inside another program: a resolver that answers the program's own questions, without sockets for clients.
//!
//! Knows nothing of: the command line, configuration files, the control socket.

// Every item of the public door is documented, also where the feature `internals` makes more of the crate public.
#![warn(missing_docs)]

mod answer;
mod builder;
mod resolver;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Event, Record, Status};
pub use builder::{BuildError, Builder};
pub use resolver::{ResolveError, Resolver};
