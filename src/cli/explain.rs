//! `cairn explain`: one name resolved with every step shown.
//!
//! The running server is asked, so that its cache is seen; where there is none, the walk is made here.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::check::print_problems;
use super::run::FileArgs;
use super::terminal::{Paint, complain, say};
use super::{FAILED, GOOD, MISTAKE};
use crate::record::{Name, Question, Rtype};
use crate::server::{self, Sources};

const EXAMPLES: &str = "\
Examples:
  cairn explain www.example.com            the IPv4 addresses
  cairn explain example.com MX             another type
  cairn explain 2.0.0.127.in-addr.arpa PTR
  cairn explain www.example.com --json     one JSON object per step
  cairn explain www.example.com --as 192.0.2.9    what a client at this address is told, and why
  cairn explain www.example.com --fresh    with an empty cache, even if a server is running
  cairn explain www.example.com --svg chain.svg   a picture of the chain of trust";

/// Resolve a name and show every step
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// The name, with or without its final dot
    #[arg(value_parser = parse_name)]
    name: Name,
    /// The record type: A, AAAA, MX, TXT, … or TYPE123
    #[arg(default_value = "A", value_name = "TYPE", value_parser = parse_type)]
    rtype: Rtype,
    /// One JSON object per step
    #[arg(long)]
    json: bool,
    /// Draw the chain of trust into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// As a client at this address would have it answered
    #[arg(long = "as", value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Do not ask the running server: walk here, with an empty cache
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(super) fn parse_name(text: &str) -> Result<Name, String> {
    Name::parse(text).map_err(|error| error.to_string())
}

fn parse_type(text: &str) -> Result<Rtype, String> {
    text.parse().map_err(|_| "there is no such record type".to_owned())
}

pub(super) fn explain(args: &ExplainArgs) -> u8 {
    let mut chains = Vec::new();
    let status = explained(args, &mut chains);
    let Some(file) = args.svg.as_ref().filter(|_| status != MISTAKE) else { return status };
    match std::fs::write(file, server::chain_picture(&chains)) {
        Ok(()) => status,
        Err(error) => {
            complain!("cairn: {}: {error}", file.display());
            FAILED
        }
    }
}

fn explained(args: &ExplainArgs, chains: &mut Vec<Value>) -> u8 {
    let mut has_failed = false;
    let mut each = |step: Value| {
        if step.get("step").and_then(Value::as_str) == Some("chain") {
            chains.push(step.clone());
        }
        has_failed |= step.get("failed") == Some(&Value::Bool(true)) || step.get("error").is_some();
        print_step(&step, args.json);
    };
    let command = server::Command::Explain { name: args.name.clone(), rtype: args.rtype, client: args.client };
    let asked = if args.fresh { Ok(false) } else { server::ask(&command, &mut each) };
    match asked {
        Ok(true) => return if has_failed { FAILED } else { GOOD },
        Ok(false) => {}
        Err(error) => {
            complain!("cairn: the running server broke off: {error}");
            return FAILED;
        }
    }
    let why = if args.fresh { "as --fresh says".to_owned() } else { server::why_no_server() };
    each(json!({ "step": "no-server", "line": format!("No running server was asked: {why}"), "why": why }));
    let sources = match Sources::read(&args.files.start_options()) {
        Ok(sources) => sources,
        Err(problems) => {
            print_problems(&problems);
            return MISTAKE;
        }
    };
    let outcome = server::explain(sources, &Question::new(args.name.clone(), args.rtype), args.client, &mut each);
    if let Err(error) = &outcome {
        complain!("cairn: {error}");
    }
    if has_failed || outcome.is_err() { FAILED } else { GOOD }
}

fn print_step(step: &Value, json: bool) {
    if json {
        return say!("{step}");
    }
    let Some(text) = step.get("line").or_else(|| step.get("error")) else { return say!("{step}") };
    // A step that another line speaks for has none of its own.
    let Some(text) = text.as_str() else { return };
    let paint = Paint::stdout();
    let kind = step.get("step").and_then(Value::as_str).unwrap_or_default();
    say!(
        "{}",
        match kind {
            _ if step.get("failed") == Some(&Value::Bool(true)) => paint.bad(text),
            _ if text.contains("✗ ") => paint.bad(text),
            "answer" => paint.good(text),
            "cached" | "cached-denial" | "source" | "no-server" => paint.faint(text),
            _ => text.to_owned(),
        }
    );
}
