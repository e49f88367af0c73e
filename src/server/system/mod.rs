//! What this system lets a server do: accounts, whose folders are believed, and the sandbox.

mod account;
mod folders;
mod sandbox;
mod serve_as;
mod syscalls;

pub(super) use account::name_of as account_name;
pub(super) use folders::belongs_to_us;
pub(super) use sandbox::{InForce, Paths, are_files_bound, enter};
pub(super) use serve_as::{ServeAs, serve_as};
