//! `cairn list`: the lists of names that are blocked or let through.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::ask::ask_and;
use super::check::print_problems;
use super::exit_code::{GOOD, MISTAKE};
use super::explain::parse_name;
use super::run::Everywhere;
use super::terminal::{Paint, complain, say};
use crate::record::Name;
use crate::server::{self, Command, StartOptions};

const EXAMPLES: &str = "\
Examples:
  cairn list status                  each list: its names, the lines that were skipped, and why
  cairn list status --json           one JSON object a list
  cairn list update                  read all lists again, now
  cairn list which ads.example.com   which list and which line block a name, or let it through

Exit codes: 0 good, 1 no server, or a list that could not be read.";

/// Show the lists of names that are blocked or let through
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ListCommand {
    /// Show each list: how many names it has, and which lines were skipped
    Status(StatusArgs),
    /// Read all lists again, and wait until they are in force
    Update(StatusArgs),
    /// Show which list and line have a name
    Which(WhichArgs),
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// One JSON object a list
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn list(command: &ListCommand, everywhere: &Everywhere) -> u8 {
    match command {
        ListCommand::Status(args) => ask(&Command::ListStatus, args.json, status_lines, everywhere),
        ListCommand::Update(args) => ask(&Command::ListUpdate, args.json, status_lines, everywhere),
        ListCommand::Which(args) => which(args, everywhere),
    }
}

/// Of the running server; where none runs, of the files.
fn which(args: &WhichArgs, everywhere: &Everywhere) -> u8 {
    let command = Command::ListWhich { name: args.name.clone() };
    let is_running = server::ask(&everywhere.control_sockets(), &Command::ListStatus, |_| {}).unwrap_or(false);
    if is_running {
        return ask(&command, args.json, which_lines, everywhere);
    }
    match server::which_list(&args.name, &StartOptions { config: everywhere.config.clone(), ..StartOptions::default() }) {
        Ok(line) => {
            show(&line, args.json, which_lines);
            GOOD
        }
        Err(problems) => {
            print_problems(&problems);
            MISTAKE
        }
    }
}

fn show(line: &Value, json: bool, shown: fn(&Value, Paint) -> Vec<String>) {
    match json {
        true => say!("{line}"),
        false => shown(line, Paint::stdout()).iter().for_each(|line| say!("{line}")),
    }
}

/// Prints each object of the answer as it is, or as the lines that it is shown as.
fn ask(command: &Command, json: bool, shown: fn(&Value, Paint) -> Vec<String>, everywhere: &Everywhere) -> u8 {
    ask_and(command, everywhere, &mut |line| {
        if let Some(error) = line.get("error").and_then(Value::as_str) {
            complain!("{} {error}", Paint::stderr().bad("cairn:"));
        } else {
            show(line, json, shown);
        }
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One line for the list, and below it what is wrong and why lines were skipped.
fn status_lines(list: &Value, paint: Paint) -> Vec<String> {
    if list["name"].is_null() {
        return Vec::new();
    }
    let mut lines = vec![format!("{}  {} names, {} lines skipped", text(&list["name"]), list["names"], list["skipped"])];
    let kept = if list["loaded"] == Value::Bool(true) { "as it was read before:" } else { "not read:" };
    if let Some(problem) = list["problem"].as_str() {
        lines.push(format!("  {} {problem}", paint.bad(kept)));
    }
    for reason in list["reasons"].as_array().into_iter().flatten() {
        lines.push(format!("  {} {}", reason["count"], text(&reason["reason"])));
        for example in reason["examples"].as_array().into_iter().flatten() {
            lines.push(format!("    line {}: {}", example["line"], paint.faint(text(&example["text"]))));
        }
    }
    lines
}

fn which_lines(which: &Value, _: Paint) -> Vec<String> {
    let name = text(&which["name"]);
    let answer = which["answer"].as_str().map(|answer| format!(", answered with {answer}")).unwrap_or_default();
    let mut lines = vec![match (text(&which["verdict"]), which["list"].as_str()) {
        (verdict, Some(list)) => format!("{name}  {verdict} by {list}{answer}"),
        _ => format!("{name}  on no list"),
    }];
    for rule in which["rules"].as_array().into_iter().flatten() {
        let place = rule["line"].as_u64().map(|line| format!(":{line}: {}", text(&rule["text"]))).unwrap_or_default();
        lines.push(format!("  {}  {}{place}", text(&rule["list"]), text(&rule["source"])));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_one_line_and_its_details() {
        let list = json!({
            "name": "ads", "names": 3, "skipped": 2, "loaded": true, "problem": "ads.txt: No such file or directory (os error 2)",
            "reasons": [{ "reason": "an address, not a name", "count": 2, "examples": [{ "line": 4, "text": "192.0.2.1" }] }],
        });
        let expected = [
            "ads  3 names, 2 lines skipped",
            "  as it was read before: ads.txt: No such file or directory (os error 2)",
            "  2 an address, not a name",
            "    line 4: 192.0.2.1",
        ];
        assert_eq!(status_lines(&list, Paint::none()), expected);
    }
}
