//! `cairn health`: does the server at an address answer? For containers, Kubernetes and scripts that announce an address.

use std::net::SocketAddr;

use clap::Args;

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::explain::parse_name;
use super::run::{Everywhere, FileArgs};
use super::terminal::{complain, say};
use crate::config::parse_socket;
use crate::record::{Name, Question, Rtype};
use crate::server::{self, Health, configuration, reachable_here};

const EXAMPLES: &str = "\
Examples:
  cairn health                              does the server of this machine's configuration answer?
  cairn health 192.0.2.53                   another address, port 53
  cairn health [::1]:5300 --name www.example.com    does it resolve this name?

Exit codes: 0 an answer has come, 1 none has, or SERVFAIL.";

/// Ask a server one question; exit code 0 only if it answers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HealthArgs {
    /// Where to ask [default: the first address that the configuration listens on]
    #[arg(value_name = "ADDRESS", value_parser = parse_socket)]
    address: Option<SocketAddr>,
    /// The name to ask for, with type A: one that needs other servers shows that names are resolved [default: localhost]
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<Name>,
    #[command(flatten)]
    files: FileArgs,
}

pub(super) fn health(args: &HealthArgs, everywhere: &Everywhere) -> u8 {
    let address = match args.address {
        Some(address) => address,
        None => match configuration(&args.files.start_options(everywhere)) {
            Ok(configuration) => first(&configuration.settings.server.listen_addrs()),
            Err(problems) => {
                super::check::print_problems(&problems);
                return MISTAKE;
            }
        },
    };
    let name = args.name.clone().or_else(|| Name::parse("localhost.").ok()).unwrap_or_else(Name::root);
    match server::health(address, &Question::new(name, Rtype::A)) {
        Health::Answered { rcode, took } => {
            say!("{address} answers: {rcode} after {} ms", took.as_millis());
            GOOD
        }
        Health::Fails => {
            complain!("cairn: {address} answers SERVFAIL");
            FAILED
        }
        Health::Silent(reason) => {
            complain!("cairn: no answer from {address}: {reason}");
            FAILED
        }
    }
}

fn first(listen: &[SocketAddr]) -> SocketAddr {
    reachable_here(listen.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 53))))
}
