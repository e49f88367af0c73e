//! The exit codes of all commands.

pub(super) const GOOD: u8 = 0;
/// The question failed: the name does not resolve, or the server cannot be reached.
pub(super) const FAILED: u8 = 1;
/// Wrong usage or configuration; clap uses the same code for usage.
pub(super) const MISTAKE: u8 = 2;
