//! `cairn check`: reads everything that `cairn run` reads, without serving, and shows all mistakes at once.

use clap::Args;

use super::exit_code::{GOOD, MISTAKE};
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, complain, say};
use crate::config::{ListSource, Problem, Scheme};
use crate::server::{CheckedList, LoadedZone, Sources, check_lists};

const EXAMPLES: &str = "\
Examples:
  cairn check                              what `cairn run` would read here
  cairn check --config cairn.toml          this file, and the zones it names
  cairn check --zones ./zones              these zone files";

/// Check configuration, zone files and lists; show each mistake with file and line
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    files: FileArgs,
    /// Warnings are mistakes too
    #[arg(long)]
    strict: bool,
}

pub(super) fn check(args: &CheckArgs, everywhere: &Everywhere) -> u8 {
    match Sources::read(&args.files.start_options(everywhere)) {
        Ok(mut sources) => {
            let of_rules = sources.rule_warnings();
            sources.warnings.extend(of_rules);
            print_good(&sources, args.strict);
            let mut problems: Vec<Problem> = sources.zone_problems().into_iter().cloned().collect();
            problems.extend(lists(&sources));
            if args.strict {
                problems.extend(sources.warnings.iter().cloned());
            }
            if problems.is_empty() {
                return GOOD;
            }
            print_problems(&problems);
            MISTAKE
        }
        Err(problems) => {
            print_problems(&problems);
            MISTAKE
        }
    }
}

/// Prints what became of the lines of each list; gives back the mistakes.
fn lists(sources: &Sources) -> Vec<Problem> {
    let good = Paint::stdout().good("good");
    let mut problems = Vec::new();
    for CheckedList { list, read } in check_lists(sources) {
        let source = list.source.as_ref().map(ToString::to_string).unwrap_or_default();
        match read {
            Ok(None) => {
                let is_open = matches!(&list.source, Some(ListSource::Url(url)) if url.scheme == Scheme::Http);
                let told = if is_open { ", unprotected: whoever is on the way can change it" } else { "" };
                say!("{good}  {source}: list {} is fetched by the running server{told}", list.name());
            }
            Ok(Some(tally)) => {
                let (rules, skipped) = (tally.blocked + tally.exceptions, tally.skipped);
                say!("{good}  {source}: list {}, {rules} lines with rules, {skipped} skipped", list.name());
                for (reason, skipped) in &tally.reasons {
                    let (line, text) = skipped.examples.first().map(|(line, text)| (*line, text.as_str())).unwrap_or_default();
                    say!("note  {source}:{line}: {}, {} in all: {text}", reason, skipped.count);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// Prints each problem to stderr, with the line of the file below it.
pub(super) fn print_problems(problems: &[Problem]) {
    let paint = Paint::stderr();
    for problem in problems {
        let text = format!("{problem:#}");
        let (first, excerpt) = text.split_once('\n').unwrap_or((&text, ""));
        complain!("{first}");
        if !excerpt.is_empty() {
            complain!("{}", paint.faint(excerpt));
        }
    }
    let count = problems.len();
    complain!("{}", paint.bad(&format!("{count} mistake{}", if count == 1 { "" } else { "s" })));
}

fn print_good(sources: &Sources, is_strict: bool) {
    let good = Paint::stdout().good("good");
    match &sources.config_file {
        Some(file) => say!("{good}  {}", file.display()),
        None => say!("{good}  no configuration file: the defaults"),
    }
    for LoadedZone { file, zone } in &sources.zones {
        say!("{good}  {}: zone {}, serial {}, {} records", file.path.display(), file.name, zone.serial(), zone.record_count());
    }
    for warning in sources.warnings.iter().filter(|_| !is_strict) {
        say!("note  {warning}");
    }
    for note in &sources.notes {
        say!("note  {note}");
    }
}
