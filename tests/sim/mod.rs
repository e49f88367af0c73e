//! A virtual internet inside one test thread, in virtual time, from one printed seed.
//!
//! `World` builds zones and servers and asks the resolver; `Internet` is its network (delay, loss, duplicates,
//! forgeries); `Plan` how servers answer, well or badly; `Truth` what is right now; `Witness` what servers have said
//! and when; `random` draws worlds nobody thought of, `changes` what happens to them meanwhile; `clients` is the
//! resolver's own door; `signed` signs zones, `signing` those of random worlds. Only `engine.rs` knows how the resolver
//! is made.
#![allow(dead_code, reason = "the world offers more than the tests of one day use")]

pub mod changes;
pub mod clients;
pub mod clock;
pub mod engine;
pub mod internet;
pub mod naive;
pub mod packet;
pub mod plan;
pub mod random;
pub mod record;
pub mod signed;
pub mod signing;
pub mod truth;
pub mod witness;
pub mod world;
pub mod zone;

pub use internet::{Forger, Tcp};
pub use plan::{Cookie, Lame};
pub use world::{World, name};
