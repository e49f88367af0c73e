//! The exit codes of all commands.

pub(super) const GOOD: u8 = 0;
/// The question failed: the name does not resolve, or the server cannot be asked.
pub(super) const FAILED: u8 = 1;
/// Usage or configuration, as clap has it for usage.
pub(super) const MISTAKE: u8 = 2;
