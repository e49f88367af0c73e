//! `cairn config show`: every setting with its value and its origin.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::check::print_problems;
use super::exit_code::{GOOD, MISTAKE};
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, say};
use crate::config::{Origin, Shown, show as show_settings, waits_for_restart};
use crate::server::{self, Command, Configuration, configuration};

const EXAMPLES: &str = "\
Examples:
  cairn config show
  cairn config show --config cairn.toml
  cairn config show --json

Each line can be copied into a configuration file.";

/// Show the settings
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    Show(ShowArgs),
}

/// Show every setting with its value and its origin
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    files: FileArgs,
    /// One JSON object per setting
    #[arg(long)]
    json: bool,
}

pub(super) fn show(args: &ShowArgs, everywhere: &Everywhere) -> u8 {
    let configuration = match configuration(&args.files.start_options(everywhere)) {
        Ok(configuration) => configuration,
        Err(problems) => {
            print_problems(&problems);
            return MISTAKE;
        }
    };
    let file = configuration.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let lines = show_settings(&configuration.settings, &file);
    let otherwise = otherwise_in_force(&lines, &configuration, everywhere);
    if args.json {
        print_json(&lines, &otherwise)
    } else {
        print_toml(&lines, &otherwise)
    }
    GOOD
}

/// By `section.key`: what the running server has in place of what its file says, and when it takes that over.
type Otherwise = BTreeMap<String, String>;

fn otherwise_in_force(lines: &[Shown], configuration: &Configuration, everywhere: &Everywhere) -> Otherwise {
    let mut in_force: BTreeMap<String, String> = BTreeMap::new();
    let mut served_from = None;
    // Without a server there is nothing to compare with.
    let _ = server::ask(&everywhere.control_sockets(), &Command::Settings, |line| {
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        match (text("key"), text("in-force")) {
            (Some(key), Some(value)) => {
                in_force.insert(key, value);
            }
            _ => served_from = text("configuration"),
        }
    });
    let shown_from = configuration.file.as_ref().and_then(|file| std::path::absolute(file).ok());
    if served_from != shown_from.map(|file| file.display().to_string()) {
        return Otherwise::new();
    }
    let differs = |line: &Shown| {
        let key = format!("{}.{}", line.section, line.key);
        let value = in_force.get(&key).filter(|value| line.entry.is_none() && **value != line.value)?;
        let when = if waits_for_restart(&key) { "restart" } else { "reload" };
        Some((key, format!("in force: {value}, after a {when}: {}", line.value)))
    };
    lines.iter().filter_map(differs).collect()
}

fn print_toml(lines: &[Shown], otherwise: &Otherwise) {
    let paint = Paint::stdout();
    let width = lines.iter().map(|line| setting_text(line).chars().count()).max().unwrap_or(0).min(60);
    let mut header_before = (String::new(), None);
    for line in lines {
        let header = (line.section.to_owned(), line.entry);
        if header != header_before {
            let brackets = if line.entry.is_some() { format!("[[{}]]", line.section) } else { format!("[{}]", line.section) };
            say!("{}{brackets}", if header_before.0.is_empty() { "" } else { "\n" });
            header_before = header;
        }
        let remark = otherwise.get(&format!("{}.{}", line.section, line.key)).filter(|_| line.entry.is_none());
        let remark = remark.map(|remark| format!("; {remark}")).unwrap_or_default();
        say!("{:width$}  {}", setting_text(line), paint.faint(&format!("# {}{remark}", line.origin)));
    }
}

/// A setting without a value is shown as a comment, so that the output is a valid file.
fn setting_text(line: &Shown) -> String {
    let comment = if line.value.starts_with('(') { "# " } else { "" };
    format!("{comment}{} = {}", line.key, line.value)
}

fn print_json(lines: &[Shown], otherwise: &Otherwise) {
    for line in lines {
        let (file, number) = match &line.origin {
            Origin::File { file, mark } => (Some(file), Some(mark.line)),
            _ => (None, None),
        };
        let origin = match &line.origin {
            Origin::Default => "default",
            Origin::File { .. } => "file",
            Origin::CommandLine => "command line",
        };
        let object = json!({
            "section": line.section, "entry": line.entry, "key": line.key, "value": line.value,
            "origin": origin, "file": file, "line": number,
            "otherwise": otherwise.get(&format!("{}.{}", line.section, line.key)).filter(|_| line.entry.is_none()),
        });
        say!("{object}");
    }
}
