//! `cairn config show`: every setting with its value and where it came from.

use clap::{Args, Subcommand};
use serde_json::json;

use super::check::print_problems;
use super::exit_code::{GOOD, MISTAKE};
use super::run::FileArgs;
use super::terminal::{Paint, say};
use crate::config::{Origin, Shown, show as show_settings};
use crate::server::configuration;

const EXAMPLES: &str = "\
Examples:
  cairn config show
  cairn config show --config cairn.toml
  cairn config show --json

Each line can be copied into a configuration file.";

/// Look at the settings
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    Show(ShowArgs),
}

/// Show every setting with its value and where it came from
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    files: FileArgs,
    /// One JSON object per setting
    #[arg(long)]
    json: bool,
}

pub(super) fn show(args: &ShowArgs) -> u8 {
    let configuration = match configuration(&args.files.start_options()) {
        Ok(configuration) => configuration,
        Err(problems) => {
            print_problems(&problems);
            return MISTAKE;
        }
    };
    let file = configuration.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let lines = show_settings(&configuration.settings, &file);
    if args.json {
        print_json(&lines)
    } else {
        print_toml(&lines)
    }
    GOOD
}

fn print_toml(lines: &[Shown]) {
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
        say!("{:width$}  {}", setting_text(line), paint.faint(&format!("# {}", line.origin)));
    }
}

/// What is not set is shown as a comment, so that the whole can be used as a file.
fn setting_text(line: &Shown) -> String {
    let comment = if line.value.starts_with('(') { "# " } else { "" };
    format!("{comment}{} = {}", line.key, line.value)
}

fn print_json(lines: &[Shown]) {
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
        });
        say!("{object}");
    }
}
