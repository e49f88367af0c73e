//! `cairn zone sign`: the keys of a zone that Cairn signs, what each waits for, and the start of a roll.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::ask::{ask_and, ask_server};
use super::explain::parse_name;
use super::run::Everywhere;
use super::terminal::{complain, say};
use crate::record::Name;
use crate::server::Command;
use crate::validate::Date;

#[derive(Debug, Subcommand)]
pub(super) enum SignCommand {
    /// Show each key with its state and next step, and the DS record for the parent
    #[command(after_help = "Examples:
  cairn zone sign status example.org
  cairn zone sign status example.org --json")]
    Status(StatusArgs),
    /// Begin to replace a key; the server does the rest, step by step
    #[command(after_help = "Examples:
  cairn zone sign roll example.org            the key of a zone that has one
  cairn zone sign roll example.org zsk        the key that signs data, where another one signs keys
  cairn zone sign roll example.org algorithm  change to the `dnssec-algorithm` of the configuration

`cairn zone sign status` shows what the roll waits for. Except for a zsk, the parent must change the DS record on the way.")]
    Roll(RollArgs),
    /// Ask the parent to take the DS record away (RFC 8078), as the first step to an unsigned zone
    #[command(after_help = "Examples:
  cairn zone sign end example.org

The zone stays signed. `cairn zone sign status` shows from when on `dnssec = true` may be left out.")]
    End(EndArgs),
    /// Take `end` back: ask the parent for the DS record again
    #[command(after_help = "Examples:
  cairn zone sign resume example.org")]
    Resume(EndArgs),
}

#[derive(Debug, Args)]
pub(super) struct EndArgs {
    /// The zone
    #[arg(value_parser = parse_name)]
    zone: Name,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The zone
    #[arg(value_parser = parse_name)]
    zone: Name,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RollArgs {
    /// The zone
    #[arg(value_parser = parse_name)]
    zone: Name,
    /// What to replace
    what: Option<What>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The key that signs keys
    Ksk,
    /// The key that signs data
    Zsk,
    /// The key that signs both
    Csk,
    /// All keys, by keys of the configured algorithm
    Algorithm,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            What::Ksk => "ksk",
            What::Zsk => "zsk",
            What::Csk => "csk",
            What::Algorithm => "algorithm",
        }
    }
}

pub(super) fn sign(command: &SignCommand, everywhere: &Everywhere) -> u8 {
    match command {
        SignCommand::Status(args) => {
            ask_and(&Command::ZoneSignStatus { name: args.zone.clone() }, everywhere, &mut |line| match args.json {
                true => say!("{line}"),
                false => match line["error"].as_str() {
                    Some(error) => complain!("cairn: {error}"),
                    None => lines(line).iter().for_each(|line| say!("{line}")),
                },
            })
        }
        SignCommand::Roll(args) => {
            let what = args.what.map(|what| what.word().to_owned());
            ask_server(&Command::ZoneSignRoll { name: args.zone.clone(), what }, everywhere)
        }
        SignCommand::End(args) => ask_server(&Command::ZoneSignRoll { name: args.zone.clone(), what: Some("end".to_owned()) }, everywhere),
        SignCommand::Resume(args) => {
            ask_server(&Command::ZoneSignRoll { name: args.zone.clone(), what: Some("resume".to_owned()) }, everywhere)
        }
    }
}

fn lines(status: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let date = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |at| Date(at).to_string());
    let mut out = vec![format!(
        "{}  serial {} ({} in its file), denials by {}, next signatures {}",
        text(&status["zone"]),
        number(&status["serial"]),
        number(&status["file-serial"]),
        text(&status["denial"]).to_ascii_uppercase(),
        date(&status["signatures-replaced-at"]),
    )];
    if let Some(problem) = status["problem"].as_str() {
        out.push(format!("problem: {problem}"));
    }
    for key in status["keys"].as_array().into_iter().flatten() {
        let (tag, algorithm, role) = (number(&key["tag"]), text(&key["algorithm"]), text(&key["role"]));
        out.push(format!("key {tag}  {algorithm}  {role}  {} since {}", text(&key["state"]), date(&key["since"])));
        let next = &key["next"];
        match (next["state"].as_str(), next["at"].as_u64()) {
            (Some(state), Some(at)) => out.push(format!("  {state} at {}: {}", Date(at), text(&next["reason"]))),
            (Some(state), None) => out.push(format!("  {state} when the parent has changed: {}", text(&next["reason"]))),
            (None, _) => {}
        }
    }
    if let Some(tags) = status["parent"]["tags"].as_array() {
        let tags: Vec<String> = tags.iter().map(number).collect();
        let shown = if tags.is_empty() { "no key".to_owned() } else { format!("key {}", tags.join(", ")) };
        out.push(format!("the parent names {shown}, seen {}", date(&status["parent"]["seen-at"])));
    }
    if status["ending"] == Value::Bool(true) {
        out.push(match (status["ds-gone-at"].as_u64(), status["over-at"].as_u64()) {
            (Some(gone), Some(over)) => format!(
                "signing ends: the parent has had no DS record since {}; leave out `dnssec = true` after {}, when no cache has one",
                Date(gone),
                Date(over)
            ),
            _ => "signing ends: the parent is asked to take the DS record away (CDS 0 0 0 00); until it is gone the zone must stay signed"
                .to_owned(),
        });
        return out;
    }
    for ds in status["ds"].as_array().into_iter().flatten() {
        out.push(format!("for the parent: {}", text(&ds["record"])));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_in_words() {
        let status = json!({
            "zone": "example.org.", "serial": 9, "file-serial": 7, "denial": "nsec", "signatures-replaced-at": 1_785_758_400, "problem": null,
            "keys": [
                { "tag": 1, "algorithm": "ed25519", "role": "csk", "state": "active", "since": 0, "next": null },
                { "tag": 2, "algorithm": "ed25519", "role": "csk", "state": "published", "since": 60,
                  "next": { "state": "ready", "at": 3660, "reason": "caches" } },
                { "tag": 3, "algorithm": "ed25519", "role": "csk", "state": "ready", "since": 60,
                  "next": { "state": "active", "at": null, "reason": "the parent must have the DS record of key 3" } },
            ],
            "ds": [{ "tag": 1, "record": "example.org. IN DS 1 15 2 00" }], "parent": { "seen-at": 0, "tags": [1, 4] },
        });
        assert_eq!(
            lines(&status),
            [
                "example.org.  serial 9 (7 in its file), denials by NSEC, next signatures 2026-08-03 12:00:00 UTC",
                "key 1  ed25519  csk  active since 1970-01-01 00:00:00 UTC",
                "key 2  ed25519  csk  published since 1970-01-01 00:01:00 UTC",
                "  ready at 1970-01-01 01:01:00 UTC: caches",
                "key 3  ed25519  csk  ready since 1970-01-01 00:01:00 UTC",
                "  active when the parent has changed: the parent must have the DS record of key 3",
                "the parent names key 1, 4, seen 1970-01-01 00:00:00 UTC",
                "for the parent: example.org. IN DS 1 15 2 00",
            ]
        );
    }
}
