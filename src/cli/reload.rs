//! `cairn reload`: the running server reads its files again, and tells how that went.

use clap::Args;
use serde_json::Value;

use super::ask::ask_and;
use super::exit_code::{FAILED, GOOD};
use super::run::Everywhere;
use super::terminal::{Paint, complain, say};
use crate::server::Command;

const EXAMPLES: &str = "\
Examples:
  cairn reload
  cairn reload --config /etc/cairn/cairn.toml

Exit codes: 0 everything is in force (a key that needs a restart is named), 1 something could not be read or done.";

/// Have the running server read its configuration and zones again; the cache stays
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReloadArgs {}

pub(super) fn reload(_: &ReloadArgs, everywhere: &Everywhere) -> u8 {
    let mut has_ended = false;
    let code = ask_and(&Command::Reload, everywhere, &mut |line| {
        if let Some(text) = line.get("line").and_then(Value::as_str) {
            say!("{text}");
        } else if let Some(error) = line.get("error").and_then(Value::as_str) {
            complain!("{} {error}", Paint::stderr().bad("cairn:"));
        }
        has_ended |= line.get("good").is_some();
    });
    if code == GOOD && !has_ended {
        complain!("cairn: the server ended before it had reloaded");
        return FAILED;
    }
    code
}
