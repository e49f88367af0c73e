//! `cairn stats`: the running server's numbers, once or each second.

use std::io::IsTerminal;
use std::thread;
use std::time::Duration;

use clap::Args;

use super::ask::ask_and;
use super::exit_code::GOOD;
use super::numbers::{Numbers, shown};
use super::run::Everywhere;
use super::terminal::{Paint, say};
use crate::env::{BootTime, Clock, RealClock};
use crate::server::Command;

const EXAMPLES: &str = "\
Examples:
  cairn stats
  cairn stats --watch                redraws each second; totals, and in parentheses what came in the last second
  cairn stats --json                 one JSON object; the names are in docs/stats.md

Only the user of the server and root can ask it. In a container: docker exec CONTAINER cairn stats";

const EVERY: Duration = Duration::from_secs(1);
/// Cursor to the first column of the first line, and everything behind it erased.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show the running server's numbers, once or each second
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatsArgs {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Again each second, with what the last second brought
    #[arg(long)]
    watch: bool,
}

pub(super) fn stats(args: &StatsArgs, everywhere: &Everywhere) -> u8 {
    let mut before: Option<(BootTime, Numbers)> = None;
    let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
    loop {
        let began = RealClock.boot();
        let code = ask_and(&Command::Stats, everywhere, &mut |line| {
            if args.json || line.get("error").is_some() {
                return say!("{line}");
            }
            let now = Numbers::of(line);
            let lines = shown(&now, before.as_ref().map(|(at, numbers)| (began.since(*at), numbers)), Paint::stdout());
            if args.watch {
                say!("{clear}{}", lines.join("\n"));
            } else {
                lines.iter().for_each(|line| say!("{line}"));
            }
            before = Some((began, now));
        });
        if !args.watch || code != GOOD {
            return code;
        }
        thread::sleep(EVERY.saturating_sub(RealClock.boot().since(began)));
    }
}
