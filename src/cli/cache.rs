//! `cairn cache`: the running server's cache.

use clap::{Args, Subcommand};

use super::explain::parse_name;
use super::stats::ask_server;
use crate::control::Command;
use crate::record::Name;

const EXAMPLES: &str = "\
Examples:
  cairn cache dump                           everything in it, a line a record
  cairn cache flush www.example.com
  cairn cache flush example.com --subtree";

/// Look after the running server's cache
#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    Dump(DumpArgs),
    Flush(FlushArgs),
}

/// Show everything that is cached, in presentation form
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DumpArgs {}

pub(super) fn dump(_args: &DumpArgs) -> u8 {
    ask_server(&Command::Dump)
}

/// Forget what is cached of a name
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FlushArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
    /// And everything below it
    #[arg(long)]
    subtree: bool,
}

pub(super) fn flush(args: &FlushArgs) -> u8 {
    ask_server(&Command::Flush { name: args.name.clone(), subtree: args.subtree })
}
