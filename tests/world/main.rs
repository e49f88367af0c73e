//! The hermetic tests of the whole resolver: simulated worlds and scenario files, one binary.

mod aliases;
mod attacks;
mod bystanders;
mod edns;
mod families;
mod forwarding;
mod in_passing;
mod log_lines;
mod offline;
mod proofs;
mod random_worlds;
#[path = "../rpl/mod.rs"]
mod rpl;
mod scenarios;
mod second_servers;
mod signed_worlds;
#[path = "../sim/mod.rs"]
mod sim;
mod simulation;
mod trust;
