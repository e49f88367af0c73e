//! `cairn trust`: trust anchors and negative trust anchors of the running server.

use clap::{Args, Subcommand};

use super::ask::ask_server;
use super::explain::parse_name;
use super::run::Everywhere;
use crate::config::duration_from_text;
use crate::record::Name;
use crate::server::Command;

const EXAMPLES: &str = "\
Examples:
  cairn trust show                               the trust anchors, as they are followed (RFC 5011)
  cairn trust negative add example.com           let it through unproved for an hour (RFC 7646)
  cairn trust negative add example.com --for 1d
  cairn trust negative list
  cairn trust negative remove example.com";

/// Show and change the trust anchors of the running server
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum TrustCommand {
    /// Show the trust anchors and the state of each key
    Show,
    /// Names that are not validated for a while
    #[command(subcommand)]
    Negative(NegativeCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum NegativeCommand {
    /// Disable signature checks at and below a name
    Add(AddArgs),
    /// Show the names that are not validated, and until when
    List,
    /// Enable signature checks at and below a name again
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
    /// How long: at most a week [default: 1h]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    time: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
}

fn parse_time(text: &str) -> Result<u64, String> {
    duration_from_text(text).ok_or_else(|| "write seconds, or a time such as 90s, 10m, 2d".to_owned())
}

pub(super) fn trust(command: &TrustCommand, everywhere: &Everywhere) -> u8 {
    let command = match command {
        TrustCommand::Show => Command::Trust,
        TrustCommand::Negative(NegativeCommand::Add(args)) => Command::NegativeAdd { name: args.name.clone(), seconds: args.time },
        TrustCommand::Negative(NegativeCommand::List) => Command::NegativeList,
        TrustCommand::Negative(NegativeCommand::Remove(args)) => Command::NegativeRemove { name: args.name.clone() },
    };
    ask_server(&command, everywhere)
}
