//! Scenario files (`.rpl`): who answers what, what is asked, when time passes, what must come out.
//!
//! `scenario` reads a file, `config` translates its settings, `servers` is its internet, `compare` judges an answer,
//! `player` runs the steps in virtual time. The dialects are those of the `.rpl` files of other resolvers.

mod compare;
mod config;
mod player;
mod scenario;
mod servers;

pub use player::play;
pub use scenario::Scenario;
