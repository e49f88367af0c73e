//! Asks the running server and prints its answer: what the commands have in common that speak with it.

use serde_json::Value;

use super::exit_code::{FAILED, GOOD};
use super::run::Everywhere;
use super::terminal::{complain, say};
use crate::server::{self, Command};

/// Sends a command to the running server and prints each line of its answer; the members of an object one below the other.
pub(super) fn ask_server(command: &Command, everywhere: &Everywhere) -> u8 {
    ask_and(command, everywhere, &mut print_members)
}

/// The same, printed in another way.
pub(super) fn ask_and(command: &Command, everywhere: &Everywhere, print: &mut dyn FnMut(&Value)) -> u8 {
    let mut has_failed = false;
    let places = everywhere.control_sockets();
    let outcome = server::ask(&places, command, |line| {
        has_failed |= line.get("error").is_some() || line.get("good") == Some(&Value::Bool(false));
        print(&line);
    });
    match outcome {
        Ok(true) if !has_failed => GOOD,
        Ok(true) => FAILED,
        Ok(false) => {
            let found = server::why_no_server(&places);
            complain!("cairn: no server that you may use is running here (start one with `cairn run`): {found}");
            FAILED
        }
        Err(error) => {
            complain!("cairn: lost the connection to the running server: {error}");
            FAILED
        }
    }
}

fn print_members(line: &Value) {
    if let Some(text) = line.get("line").and_then(Value::as_str) {
        return say!("{text}");
    }
    let Some(members) = line.as_object() else { return say!("{line}") };
    let width = members.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    for (key, value) in members {
        match value.as_str() {
            Some(text) => say!("{key:width$}  {text}"),
            None => say!("{key:width$}  {value}"),
        }
    }
}
