//! `cairn system`: makes Cairn the resolver that this system uses, shows whether it is, undoes it, and tells the network of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::dhcp::{DhcpArgs, dhcp};
use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::explain::parse_name;
use super::profile::{ProfileArgs, profile};
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, complain, say};
use crate::config::parse_socket;
use crate::record::Name;
use crate::server::{self, Command, configuration};
use crate::switch::{self, RealMachine, Report, Request, View, candidates, is_root};

const EXAMPLES: &str = "\
Examples:
  cairn system install --dry-run   show which files would change, and how
  cairn system install             ask Cairn, switch, resolve a name; undo all if that fails
  cairn system install --name intranet.corp.example   test with a name of this network
  cairn system status              do programs ask Cairn, and do names resolve?
  cairn system uninstall           put back every file as it was
  cairn system dhcp                what a DHCP server or a router tells its network of Cairn
  cairn system profile             for iPhones, iPads and Macs, and the name for Android

/etc/resolv.conf is left to whoever writes it (systemd-resolved, NetworkManager, openresolv,
dhcpcd), who is told Cairn's address in a file of its own configuration. So the switch outlives
restarts and new networks. Domains of a VPN that systemd-resolved knows keep their servers.

Exit codes: 0 good, 1 failed and undone, or (status) Cairn is not the resolver, 2 not allowed.";

/// Make Cairn the resolver of this system, undo that, or tell the network of Cairn
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum SystemCommand {
    Install(InstallArgs),
    Status(StatusArgs),
    Uninstall(UninstallArgs),
    Dhcp(DhcpArgs),
    Profile(ProfileArgs),
    #[command(hide = true)]
    LookUp(LookUpArgs),
}

const INSTALL_EXAMPLES: &str = "\
Examples:
  cairn system install --dry-run
  cairn system install
  cairn system install --address 192.0.2.53    a Cairn that this machine reaches at another address";

/// Make Cairn the resolver of this system
///
/// Cairn must answer before anything changes. A manifest in /var/lib/cairn-system remembers what was there before. If a name does
/// not resolve within 30 s after the switch, everything is put back.
#[derive(Debug, Args)]
#[command(after_help = INSTALL_EXAMPLES)]
pub(super) struct InstallArgs {
    /// Where this system asks Cairn [default: where the running server listens, loopback addresses first]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_socket)]
    address: Option<SocketAddr>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    tested: Tested,
    #[command(flatten)]
    output: Output,
}

const STATUS_EXAMPLES: &str = "\
Examples:
  cairn system status
  cairn system status --json";

/// Show whether Cairn is the resolver of this system
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    tested: Tested,
    #[command(flatten)]
    output: Output,
}

const UNINSTALL_EXAMPLES: &str = "\
Examples:
  cairn system uninstall --dry-run
  cairn system uninstall";

/// Put back what `cairn system install` changed
///
/// A file that is as Cairn left it becomes what it was, to the octet. One that others have edited since loses Cairn's lines and
/// keeps theirs.
#[derive(Debug, Args)]
#[command(after_help = UNINSTALL_EXAMPLES)]
pub(super) struct UninstallArgs {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
struct Tested {
    /// The name that is resolved, first by Cairn and then as any program does
    #[arg(long, value_name = "NAME", value_parser = parse_name, default_value = "example.com")]
    name: Name,
}

#[derive(Debug, Args)]
struct Output {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Another root, below which files are read and changed; no tool is run and nobody is asked
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

impl Output {
    fn view(&self) -> (View, RealMachine) {
        let view = View::new(&self.root);
        let machine = RealMachine { is_whole_system: view.is_whole_system() };
        (view, machine)
    }

    /// Whether this user may change the files.
    fn is_allowed(&self, dry_run: bool) -> bool {
        dry_run || !self.view().0.is_whole_system() || is_root()
    }
}

/// For `cairn system install`: resolve a name as any program does
#[derive(Debug, Args)]
pub(super) struct LookUpArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
}

pub(super) fn system(command: &SystemCommand, everywhere: &Everywhere) -> u8 {
    match command {
        SystemCommand::Install(args) => install(args, everywhere),
        SystemCommand::Status(args) => status(args, everywhere),
        SystemCommand::Uninstall(args) => uninstall(args),
        SystemCommand::Dhcp(args) => dhcp(args, everywhere),
        SystemCommand::Profile(args) => profile(args, everywhere),
        SystemCommand::LookUp(args) => look_up(args),
    }
}

fn install(args: &InstallArgs, everywhere: &Everywhere) -> u8 {
    if !args.output.is_allowed(args.dry_run) {
        return not_allowed("install");
    }
    let listening = match args.address {
        Some(address) => vec![address],
        None => match listening(everywhere) {
            Ok(addresses) => addresses,
            Err(code) => return code,
        },
    };
    let (view, machine) = args.output.view();
    let request = Request { candidates: candidates(&listening), name: args.tested.name.clone(), dry_run: args.dry_run };
    if !args.dry_run {
        // Ctrl-C, or a terminal that is lost together with the network, must not end this half-way.
        server::ignore_signals_that_end();
    }
    let json = args.output.json;
    let report = switch::install(&view, &machine, &request, &mut |line| {
        if !json {
            say!("{line}");
        }
    });
    shown(&report, json, args.dry_run || !report.good)
}

fn uninstall(args: &UninstallArgs) -> u8 {
    if !args.output.is_allowed(args.dry_run) {
        return not_allowed("uninstall");
    }
    let (view, machine) = args.output.view();
    if !args.dry_run {
        server::ignore_signals_that_end();
    }
    shown(&switch::uninstall(&view, &machine, args.dry_run), args.output.json, true)
}

fn status(args: &StatusArgs, everywhere: &Everywhere) -> u8 {
    let (view, machine) = args.output.view();
    let address = listening(everywhere).ok().and_then(|addresses| candidates(&addresses).first().copied());
    match switch::status(&view, &machine, address, &args.tested.name) {
        Ok(standing) => {
            match args.output.json {
                true => say!("{}", standing.json()),
                false => standing.lines().iter().for_each(|line| say!("{line}")),
            }
            if standing.is_good() { GOOD } else { FAILED }
        }
        Err(error) => {
            complain!("cairn: {error}");
            FAILED
        }
    }
}

fn look_up(args: &LookUpArgs) -> u8 {
    match switch::look_up(&args.name) {
        Ok(addresses) => {
            addresses.iter().for_each(|address| say!("{address}"));
            GOOD
        }
        Err(error) => {
            complain!("{error}");
            FAILED
        }
    }
}

/// Where the running server says that it listens; else what the configuration says.
fn listening(everywhere: &Everywhere) -> Result<Vec<SocketAddr>, u8> {
    let mut addresses = Vec::new();
    let asked = server::ask(&everywhere.control_sockets(), &Command::Status, |line| {
        let listed = line["listening-on"].as_array().map(Vec::as_slice).unwrap_or_default();
        addresses.extend(listed.iter().filter_map(Value::as_str).filter_map(|address| address.parse::<SocketAddr>().ok()));
    });
    if matches!(asked, Ok(true)) && !addresses.is_empty() {
        return Ok(addresses);
    }
    match configuration(&FileArgs::default().start_options(everywhere)) {
        Ok(configuration) => Ok(configuration.settings.server.listen_addrs()),
        Err(problems) => {
            super::check::print_problems(&problems);
            Err(MISTAKE)
        }
    }
}

fn not_allowed(command: &str) -> u8 {
    complain!("cairn: only root may change the system's resolver: sudo cairn system {command}");
    MISTAKE
}

/// `in_full`: with what was not told as it happened.
fn shown(report: &Report, json: bool, in_full: bool) -> u8 {
    if json {
        say!("{}", report.json());
    } else {
        if in_full {
            report.lines().iter().for_each(|line| say!("{line}"));
        }
        match report.good {
            true => say!("{}", Paint::stdout().good(&report.summary)),
            false => complain!("{} {}", Paint::stderr().bad("cairn:"), report.summary),
        }
    }
    if report.good { GOOD } else { FAILED }
}
