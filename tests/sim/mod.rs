//! A virtual internet inside one test thread, in virtual time, from one printed seed.
//!
//! `World` builds zones and servers and asks the resolver; `Internet` is its network (delay, loss, duplicates,
//! forgeries); `Plan` is how servers answer, well or badly; `signing` signs zones; `Expected` is the right answer by the
//! zones alone, `History` what servers have said and when; `random` draws worlds nobody thought of, `changes` what
//! happens to them meanwhile; `clients` goes through the resolver's own sockets; `reference` is a resolver without a
//! cache. Only `engine.rs` knows how the resolver is made.
#![allow(dead_code, reason = "the world offers more than the tests of one day use")]

pub mod answer;
pub mod changes;
pub mod clients;
pub mod clock;
pub mod engine;
pub mod expected;
pub mod history;
pub mod internet;
pub mod packet;
pub mod plan;
pub mod random;
pub mod record;
pub mod reference;
pub mod signing;
pub mod world;
pub mod zone;

pub use internet::{Forger, Tcp};
pub use plan::{Cookie, Lame, Misfit};
pub use world::{World, name};
