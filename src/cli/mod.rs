//! The commands: words in, words out, exit codes.
//!
//! Exit codes: 0 success, 1 the question failed, 2 wrong usage or configuration. `server` does what a command asks for; this
//! folder has the arguments and prints the results. Colour goes to terminals only, and never if NO_COLOR is set.
//!
//! Knows nothing of: sockets, how names are resolved.

mod ask;
mod cache;
mod check;
mod completions;
mod config;
mod dhcp;
mod doctor;
mod exit_code;
mod explain;
mod health;
mod list;
mod import;
mod man;
mod numbers;
mod profile;
mod reload;
mod run;
mod served;
mod stats;
mod status;
mod system;
mod terminal;
mod time;
mod trust;
mod zone;
mod zone_doctor;
mod zone_publish;
mod zone_records;
mod zone_shown;
mod zone_sign;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::server;

const EXAMPLES: &str = "\
Examples:
  cairn run                                serve this machine: 127.0.0.1 and ::1, port 53 (or 5300)
  cairn run --listen 127.0.0.1:5353        serve at another address
  cairn run --zones ./zones                also host every zones/NAME.zone
  cairn explain www.example.com            walk a name from the root and show every step
  cairn check --config cairn.toml          find all mistakes before a server does
  cairn status                             what the running server serves, and what is wrong
  cairn doctor                             what on this machine or its network keeps DNS from working
  cairn zone add example.org www 300 A 192.0.2.10    a record in a hosted zone, in force at once
  cairn reload                             read configuration and zones again
  cairn system install --dry-run           what would change to make Cairn the resolver of this system
  cairn config show                        every setting, its value, and where it came from

Exit codes: 0 good, 1 the question failed, 2 usage or configuration.";

/// A recursive, caching, validating DNS resolver that also hosts small zones
#[derive(Debug, Parser)]
#[command(name = "cairn", version, after_help = EXAMPLES, max_term_width = 110, disable_help_subcommand = true)]
struct CommandLine {
    #[command(flatten)]
    everywhere: run::Everywhere,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Explain(explain::ExplainArgs),
    Check(check::CheckArgs),
    Reload(reload::ReloadArgs),
    Status(status::StatusArgs),
    Health(health::HealthArgs),
    Doctor(doctor::DoctorArgs),
    Import(import::ImportArgs),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    #[command(subcommand)]
    List(list::ListCommand),
    Stats(stats::StatsArgs),
    #[command(subcommand)]
    Trust(trust::TrustCommand),
    #[command(subcommand)]
    System(system::SystemCommand),
    #[command(subcommand)]
    Zone(zone::ZoneCommand),
    Man(man::ManArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    ProbeSandbox(run::ProbeArgs),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let CommandLine { everywhere, command } = CommandLine::parse();
    if !matches!(command, Command::Run(_)) {
        server::ignore_signals_for_the_server();
    }
    let code = match command {
        Command::Run(args) => run::run(&args, &everywhere),
        Command::Explain(args) => explain::explain(&args, &everywhere),
        Command::Check(args) => check::check(&args, &everywhere),
        Command::Reload(args) => reload::reload(&args, &everywhere),
        Command::Status(args) => status::status(&args, &everywhere),
        Command::Health(args) => health::health(&args, &everywhere),
        Command::Doctor(args) => doctor::doctor(&args, &everywhere),
        Command::Import(args) => import::import(&args),
        Command::Config(config::ConfigCommand::Show(args)) => config::show(&args, &everywhere),
        Command::Cache(cache::CacheCommand::Dump(args)) => cache::dump(&args, &everywhere),
        Command::Cache(cache::CacheCommand::Load(args)) => cache::load(&args, &everywhere),
        Command::Cache(cache::CacheCommand::Flush(args)) => cache::flush(&args, &everywhere),
        Command::Trust(command) => trust::trust(&command, &everywhere),
        Command::System(command) => system::system(&command, &everywhere),
        Command::Zone(command) => zone::zone(&command, &everywhere),
        Command::List(command) => list::list(&command, &everywhere),
        Command::Stats(args) => stats::stats(&args, &everywhere),
        Command::Man(args) => man::man(&args, CommandLine::command()),
        Command::ProbeSandbox(args) => run::probe(&args, &everywhere),
        Command::Completions(args) => completions::completions(&args, CommandLine::command()),
    };
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    /// Every example that the help shows is a command line that is understood.
    #[test]
    fn examples_are_understood() {
        let mut count = 0;
        let mut command = CommandLine::command();
        let own = vec![command.render_long_help().to_string()];
        let below = command.get_subcommands_mut().map(|command| command.render_long_help().to_string());
        for help in own.into_iter().chain(below) {
            for line in help.lines().filter(|line| line.starts_with("  cairn ")) {
                let example = line.split("   ").find(|part| !part.trim().is_empty()).unwrap_or(line);
                let parsed = CommandLine::try_parse_from(words(example));
                assert!(parsed.is_ok(), "{example}: {parsed:?}");
                count += 1;
            }
        }
        assert!(count >= 10, "{count} examples");
    }

    /// As a shell takes them apart: apostrophes hold words together.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('\'').enumerate().map(|(at, part)| if at % 2 == 0 { part.replace(' ', "\n") } else { part.to_owned() });
        parts.collect::<String>().split('\n').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["cairn", "cairn dance", "cairn run --listen localhost", "cairn explain", "cairn explain a..b", "cairn explain a QQ"] {
            let error = CommandLine::try_parse_from(line.split_whitespace()).expect_err(line);
            assert_eq!(error.exit_code(), i32::from(exit_code::MISTAKE), "{line}");
        }
    }
}
