//! `cairn explain`: one name resolved with every step shown.
//!
//! The running server is asked, so that its cache shows; without one, this process resolves the name itself.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::check::print_problems;
use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, complain, say};
use crate::answer::Explain;
use crate::config::{nearest, parse_socket};
use crate::explain::{Chain, Event, Line, Mark, NoServer, Shown, ShownStep, chain_picture};
use crate::record::{Name, Question, Rtype, reverse_name, to_ascii_name};
use crate::server::{self, Sources};

const EXAMPLES: &str = "\
Examples:
  cairn explain www.example.com            the IPv4 addresses
  cairn explain example.com MX             another type
  cairn explain 192.0.2.1                  the name of an address (PTR)
  cairn explain www.example.com --json     one JSON object per step
  cairn explain www.example.com --as 192.0.2.9    the reply to a client at this address, and why
  cairn explain www.example.com --as 192.0.2.9 --at 192.0.2.53:853    the same where it asks at this address, over TLS
  cairn explain www.example.com --cd       the reply to a client that sets CD: data that fails validation too
  cairn explain www.example.com --fresh    with an empty cache, even if a server is running
  cairn explain www.example.com --svg chain.svg   a picture of the chain of trust";

/// Resolve a name and show every step
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// The name, with or without its final dot; also a URL, or an address, whose PTR record is looked up
    #[arg(value_parser = parse_subject)]
    name: Subject,
    /// The record type: A, AAAA, MX, TXT, … or TYPE123; A if left out
    #[arg(value_name = "TYPE", value_parser = parse_type)]
    rtype: Option<Rtype>,
    /// One JSON object per step
    #[arg(long)]
    json: bool,
    /// Draw the chain of trust into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Show the reply that a client at this address gets
    #[arg(long = "as", value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Where that client asks, for a view with `listen`: an address of the server, and the port of the transport if it is not 53
    #[arg(long, value_name = "ADDRESS[:PORT]", requires = "client", value_parser = parse_socket)]
    at: Option<SocketAddr>,
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

/// A name as people write it: letters beyond ASCII stand for their `xn--` form.
pub(super) fn parse_name(text: &str) -> Result<Name, String> {
    let ascii = to_ascii_name(text).ok_or("its xn-- form is not known: write that form")?;
    Name::parse(&ascii).map_err(|error| error.to_string())
}

/// What is to be explained.
#[derive(Clone, Debug, PartialEq)]
struct Subject {
    name: Name,
    /// The type that is looked up if none is given.
    usual_type: Rtype,
}

/// The name in what people paste: a name, a URL, a mail address, an address.
fn parse_subject(text: &str) -> Result<Subject, String> {
    let host = host_of(text.trim());
    let bare = host.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(host);
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|octet| octet.is_ascii_digit()));
    let address = bare.parse::<IpAddr>().ok().or_else(|| without_port.and_then(|(address, _)| address.parse().ok()));
    if let Some(name) = address.and_then(reverse_name) {
        return Ok(Subject { name, usual_type: Rtype::PTR });
    }
    let host = without_port.map_or(host, |(host, _)| host);
    parse_name(host).map(|name| Subject { name, usual_type: Rtype::A })
}

/// A URL without scheme, user, path; a mail address without its user. `/` is also a letter of names in reverse zones (RFC 2317).
fn host_of(text: &str) -> &str {
    let (is_url, rest) = text.split_once("://").map_or((false, text), |(_, rest)| (true, rest));
    let end = match is_url || !rest.trim_end_matches('.').to_ascii_lowercase().ends_with(".arpa") {
        true => rest.find(['/', '?', '#']).unwrap_or(rest.len()),
        false => rest.len(),
    };
    let rest = &rest[..end];
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

pub(super) fn parse_type(text: &str) -> Result<Rtype, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = Rtype::KNOWN.iter().filter_map(|rtype| rtype.mnemonic()).collect();
        match nearest(text, &known) {
            Some(near) => format!("there is no such record type; did you mean {near}?"),
            None => "there is no such record type".to_owned(),
        }
    })
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

/// Something that the running server sent.
#[derive(Deserialize)]
#[serde(untagged)]
enum Received {
    Line(Shown),
    Error { error: String },
}

/// What has been printed so far, and what decides the exit code and the picture.
struct Output<'a> {
    json: bool,
    has_failed: bool,
    chains: &'a mut Vec<Chain>,
    problem: Option<String>,
}

impl Output<'_> {
    fn add(&mut self, value: &Value) {
        match Received::deserialize(value) {
            Ok(Received::Line(shown)) => {
                match self.json {
                    true => say!("{value}"),
                    false => print_text(&shown),
                }
                match shown.step {
                    ShownStep::Failed | ShownStep::Refused => self.has_failed = true,
                    ShownStep::Chain(chain) => self.chains.push(chain),
                    ShownStep::Other => {}
                }
            }
            Ok(Received::Error { error }) => self.problem = Some(error),
            Err(_) => self.problem = Some("the running server is of another version, and its answer cannot be read".to_owned()),
        }
    }
}

fn explained(args: &ExplainArgs, everywhere: &Everywhere, chains: &mut Vec<Chain>) -> u8 {
    let mut output = Output { json: args.json, has_failed: false, chains, problem: None };
    let query = Explain {
        question: Question::new(args.name.name.clone(), args.rtype.unwrap_or(args.name.usual_type)),
        client: args.client,
        at: args.at,
        recursion_desired: !args.no_rd,
        checking_disabled: args.cd,
    };
    let places = everywhere.control_sockets();
    let asked = match args.fresh {
        true => Ok(false),
        false => server::ask(&places, &server::Command::Explain(query.clone()), |value: Value| output.add(&value)),
    };
    match (asked, &output.problem) {
        (Ok(true), None) => return if output.has_failed { FAILED } else { GOOD },
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
    output.add(&json!(Line::new(Event::NoServer(NoServer { reason }))));
    let sources = match Sources::read(&args.files.start_options(everywhere)) {
        Ok(sources) => sources,
        Err(problems) => {
            print_problems(&problems);
            return MISTAKE;
        }
    };
    let outcome = server::explain(sources, &query, &mut |line| output.add(&json!(line)));
    if let Err(error) = &outcome {
        complain!("cairn: {error}");
    }
    if output.has_failed || outcome.is_err() { FAILED } else { GOOD }
}

fn print_text(shown: &Shown) {
    let Some(text) = &shown.line else { return };
    let paint = Paint::stdout();
    say!(
        "{}",
        match shown.mark {
            Mark::Plain => text.clone(),
            Mark::Faint => paint.faint(text),
            Mark::Good => paint.good(text),
            Mark::Bad => paint.bad(text),
        }
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_paste_is_understood() {
        for (text, expected) in [
            ("www.example.com", "www.example.com. A"),
            ("https://www.example.com/path?q=1#top", "www.example.com. A"),
            ("https://user:word@www.example.com:8443/", "www.example.com. A"),
            ("www.example.com/path", "www.example.com. A"),
            ("www.example.com:443", "www.example.com. A"),
            ("hostmaster@example.com", "example.com. A"),
            ("m\u{fc}nchen.example", "xn--mnchen-3ya.example. A"),
            ("8.8.8.8", "8.8.8.8.in-addr.arpa. PTR"),
            ("192.0.2.1:53", "1.2.0.192.in-addr.arpa. PTR"),
            ("https://192.0.2.1/", "1.2.0.192.in-addr.arpa. PTR"),
            ("[2001:db8::1]:53", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR"),
            ("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR"),
            ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa. A"),
            (".", ". A"),
        ] {
            let Subject { name, usual_type } = parse_subject(text).expect(text);
            assert_eq!(format!("{name} {usual_type}"), expected, "{text}");
        }
        for text in ["", "a..b", "https://", "\u{200b}.example"] {
            assert!(parse_subject(text).is_err(), "{text}");
        }
        let name = |text: &str| parse_name(text).map(|name| name.to_string());
        assert_eq!(name("B\u{fc}cher.example"), Ok("xn--bcher-kva.example.".to_owned()));
        assert_eq!(name("xn--bcher-kva.example."), Ok("xn--bcher-kva.example.".to_owned()));
        assert_eq!(name("\u{200b}.example"), Err("its xn-- form is not known: write that form".to_owned()));
        assert_eq!(parse_type("AAAAA"), Err("there is no such record type; did you mean AAAA?".to_owned()));
        assert_eq!(parse_type("mx"), Ok(Rtype::MX));
    }
}
