//! `cairn cache`: shows and changes the running server's cache.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::ask::ask_server;
use super::exit_code::MISTAKE;
use super::explain::parse_name;
use super::run::Everywhere;
use super::terminal::complain;
use crate::record::Name;
use crate::server::Command;

const EXAMPLES: &str = "\
Examples:
  cairn cache dump                           everything in it, a line a record
  cairn cache dump --to /var/lib/cairn/copy  the same in a file for another server
  cairn cache load /var/lib/cairn/copy       there
  cairn cache flush www.example.com
  cairn cache flush example.com --subtree";

/// Show, save, load or flush the running server's cache
#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    Dump(DumpArgs),
    Load(LoadArgs),
    Flush(FlushArgs),
}

/// Show everything that is cached, in presentation form
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DumpArgs {
    /// Have the server write the cache to a file instead, which `cairn cache load` reads
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(super) fn dump(args: &DumpArgs, everywhere: &Everywhere) -> u8 {
    match &args.to {
        Some(file) => with_file(file, everywhere, |file| Command::Save { file, opened: None }),
        None => ask_server(&Command::Dump, everywhere),
    }
}

/// Have the server load a file that `cairn cache dump --to` or a save wrote
///
/// Data that the server has already stays. Loaded data is validated again before it counts as secure.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LoadArgs {
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn load(args: &LoadArgs, everywhere: &Everywhere) -> u8 {
    with_file(&args.file, everywhere, |file| Command::Load { file, opened: None })
}

/// The server may run in another folder, so the path is made absolute.
fn with_file(file: &Path, everywhere: &Everywhere, command: impl FnOnce(PathBuf) -> Command) -> u8 {
    match std::path::absolute(file) {
        Ok(file) => ask_server(&command(file), everywhere),
        Err(error) => {
            complain!("cairn: {}: {error}", file.display());
            MISTAKE
        }
    }
}

/// Remove a name from the cache
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FlushArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
    /// Also remove everything below it
    #[arg(long)]
    subtree: bool,
}

pub(super) fn flush(args: &FlushArgs, everywhere: &Everywhere) -> u8 {
    ask_server(&Command::Flush { name: args.name.clone(), subtree: args.subtree }, everywhere)
}
