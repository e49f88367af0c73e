//! Cairn inside another program: a resolver that answers the program's own questions, without sockets for clients.
//!
//! Knows nothing of: the command line, configuration files, the control socket.

mod answer;
mod builder;
mod resolver;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Event, Record, Status};
pub use builder::{BuildError, Builder};
pub use resolver::{ResolveError, Resolver};
