//! `cairn run`: the server.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::terminal::{Paint, complain, say};
use crate::config::parse_socket;
use crate::server::{self, RunError, StartOptions, Violation};

const EXAMPLES: &str = "\
Examples:
  cairn run                                      no file needed: right, private and safe as it is
  cairn run --listen 127.0.0.1:5353              UDP and TCP at another address
  cairn run --listen 192.0.2.1 --listen ::1      several addresses; the port is 53 unless said
  cairn run --config /etc/cairn/cairn.toml       settings from a file
  cairn run --zones ./zones                      also host every zones/NAME.zone

Then ask it:
  dig @127.0.0.1 www.example.com

SIGHUP reads configuration and zones again and keeps the cache; SIGTERM and Ctrl-C stop in good order.";

/// Run the server
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RunArgs {
    #[command(flatten)]
    files: FileArgs,
    /// Address and port to listen on, over UDP and TCP; may be given several times [default: 127.0.0.1:53 and [::1]:53]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_socket)]
    listen: Vec<SocketAddr>,
    /// Do not start, and do not reload, while one zone cannot be read
    #[arg(long)]
    strict: bool,
}

/// The files to read: the same options for every command that reads them.
#[derive(Debug, Default, Args)]
pub(super) struct FileArgs {
    /// The folder of NAME.zone files [default: zones beside the configuration file, else /etc/cairn/zones]
    #[arg(long, value_name = "DIR")]
    zones: Option<PathBuf>,
}

/// What every command understands, anywhere on the line.
#[derive(Debug, Args)]
pub(super) struct Everywhere {
    /// The configuration file [default: /etc/cairn/cairn.toml if there is one]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// The control socket of the server to ask [default: the one of the configuration file, else the usual places]
    #[arg(long, value_name = "PATH", global = true)]
    control_socket: Option<PathBuf>,
}

impl Everywhere {
    pub(super) fn control_sockets(&self) -> Vec<PathBuf> {
        server::control_socket_places(self.control_socket.as_deref(), self.config.as_deref())
    }
}

impl FileArgs {
    pub(super) fn start_options(&self, everywhere: &Everywhere) -> StartOptions {
        StartOptions { config: everywhere.config.clone(), zones: self.zones.clone(), ..StartOptions::default() }
    }
}

/// For tests of the sandbox: enter it as a server would, and say what can still be done
#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    #[command(flatten)]
    files: FileArgs,
    /// And then do something that ends the process
    #[arg(long)]
    violate: Option<Violate>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Violate {
    StartProgram,
    PacketSocket,
}

pub(super) fn probe(args: &ProbeArgs, everywhere: &Everywhere) -> u8 {
    let violation = args.violate.map(|violate| match violate {
        Violate::StartProgram => Violation::StartProgram,
        Violate::PacketSocket => Violation::PacketSocket,
    });
    match server::probe(&args.files.start_options(everywhere), violation) {
        Ok(report) => {
            say!("{report}");
            GOOD
        }
        Err(error) => {
            complain!("cairn: {error}");
            FAILED
        }
    }
}

pub(super) fn run(args: &RunArgs, everywhere: &Everywhere) -> u8 {
    let options = StartOptions { listen: args.listen.clone(), strict: args.strict, ..args.files.start_options(everywhere) };
    match server::run(&options, server::build) {
        Ok(()) => GOOD,
        Err(error) => {
            complain!("{} {error}", Paint::stderr().bad("cairn:"));
            match error {
                RunError::Files(_) | RunError::Ports(_) | RunError::Privileges(_) | RunError::Engine(_) | RunError::Web(_) => MISTAKE,
                RunError::System(_) | RunError::WorkerEnded(_) => FAILED,
            }
        }
    }
}
