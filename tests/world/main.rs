//! The hermetic tests of the whole resolver: simulated worlds and scenario files, one binary.

mod address_families;
mod alias_tail;
mod aliases;
mod attacks;
mod dns64;
mod edns;
mod encrypted_forwarding;
mod error_reports;
mod explained;
mod floods;
mod forwarding;
mod interception;
mod internal_names;
mod isolation;
mod keep_warm;
mod log_lines;
mod misfits;
mod nat64;
mod offline;
mod old_data;
mod proofs;
mod random_worlds;
mod response_policy;
#[path = "../rpl/mod.rs"]
mod rpl;
mod scenarios;
mod second_query;
mod server_addresses;
mod signed_worlds;
#[path = "../sim/mod.rs"]
mod sim;
mod simulation;
mod sockets;
mod trust_anchors;
mod validation;
mod views;
mod without_recursion;
