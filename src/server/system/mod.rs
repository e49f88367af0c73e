//! What this system lets a server do: accounts, and to whom folders belong.

mod account;
mod folders;

pub(super) use folders::belongs_to_us;
