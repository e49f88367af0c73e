//! `cairn explain`: one name resolved with every step shown.
//!
//! The running server is asked, so that its cache shows; without one, this process resolves the name itself.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::check::print_problems;
use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, complain, say};
use crate::answer::Explain;
use crate::explain::{Chain, Event, Line, Mark, NoServer, chain_picture};
use crate::record::{Name, Question, Rtype};
use crate::server::{self, Sources};

const EXAMPLES: &str = "\
Examples:
  cairn explain www.example.com            the IPv4 addresses
  cairn explain example.com MX             another type
  cairn explain 2.0.0.127.in-addr.arpa PTR
  cairn explain www.example.com --json     one JSON object per step
  cairn explain www.example.com --as 192.0.2.9    the reply to a client at this address, and why
  cairn explain www.example.com --cd       the reply to a client that sets CD: data that fails validation too
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
    /// Show the reply that a client at this address gets
    #[arg(long = "as", value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Set CD: DNSSEC validation withholds nothing
    #[arg(long)]
    cd: bool,
    /// Clear RD: answer only from the cache and hosted zones
    #[arg(long)]
    no_rd: bool,
    /// Do not ask the running server: resolve in this process, with an empty cache
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

pub(super) fn explain(args: &ExplainArgs, everywhere: &Everywhere) -> u8 {
    let mut chains = Vec::new();
    let status = explained(args, everywhere, &mut chains);
    let Some(file) = args.svg.as_ref().filter(|_| status != MISTAKE) else { return status };
    match std::fs::write(file, chain_picture(&chains)) {
        Ok(()) => status,
        Err(error) => {
            complain!("cairn: {}: {error}", file.display());
            FAILED
        }
    }
}

/// A line from the running server.
#[derive(Deserialize)]
#[serde(untagged)]
enum Received {
    Line(Box<Line>),
    Error { error: String },
}

fn explained(args: &ExplainArgs, everywhere: &Everywhere, chains: &mut Vec<Chain>) -> u8 {
    let mut has_failed = false;
    let mut each = |line: Line| {
        has_failed |= line.is_failure();
        print_line(&line, args.json);
        if let Event::Chain(chain) = line.event {
            chains.push(chain);
        }
    };
    let query = Explain {
        question: Question::new(args.name.clone(), args.rtype),
        client: args.client,
        recursion_desired: !args.no_rd,
        checking_disabled: args.cd,
    };
    let mut problem = None;
    let received = |value: Value| match serde_json::from_value(value) {
        Ok(Received::Line(line)) => each(*line),
        Ok(Received::Error { error }) => problem = Some(error),
        Err(_) => problem = Some("the running server is of another version, and its answer cannot be read".to_owned()),
    };
    let places = everywhere.control_sockets();
    let asked = if args.fresh { Ok(false) } else { server::ask(&places, &server::Command::Explain(query.clone()), received) };
    match (asked, problem) {
        (Ok(true), None) => return if has_failed { FAILED } else { GOOD },
        (Ok(false), _) => {}
        (Ok(true), Some(problem)) => {
            complain!("cairn: {problem}");
            return FAILED;
        }
        (Err(error), _) => {
            complain!("cairn: lost the connection to the running server: {error}");
            return FAILED;
        }
    }
    let reason = if args.fresh { "--fresh was given".to_owned() } else { server::why_no_server(&places) };
    each(Line::new(Event::NoServer(NoServer { reason })));
    let sources = match Sources::read(&args.files.start_options(everywhere)) {
        Ok(sources) => sources,
        Err(problems) => {
            print_problems(&problems);
            return MISTAKE;
        }
    };
    let outcome = server::explain(sources, &query, &mut each);
    if let Err(error) = &outcome {
        complain!("cairn: {error}");
    }
    if has_failed || outcome.is_err() { FAILED } else { GOOD }
}

fn print_line(line: &Line, json: bool) {
    if json {
        return say!("{}", json!(line));
    }
    let Some(text) = &line.line else { return };
    let paint = Paint::stdout();
    say!(
        "{}",
        match line.mark {
            Mark::Plain => text.clone(),
            Mark::Faint => paint.faint(text),
            Mark::Good => paint.good(text),
            Mark::Bad => paint.bad(text),
        }
    );
}
