//! `cairn list`: the lists of names that are blocked or let through.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::ask::ask_and;
use super::check::print_problems;
use super::exit_code::{GOOD, MISTAKE};
use super::explain::{parse_name, parse_type};
use super::run::Everywhere;
use super::terminal::{Paint, complain, say};
use super::time::time;
use crate::config::{duration_from_text, parse_socket};
use crate::limits::server::LIST_PAUSE_MAX;
use crate::record::{Name, Rtype};
use crate::server::{self, Command, StartOptions};

const EXAMPLES: &str = "\
Examples:
  cairn list status                  each list: its names, the lines that were skipped, and why
  cairn list status --json           one JSON object a list
  cairn list update                  fetch and read all lists again, now
  cairn list update ads              this one
  cairn list update ads --accept     also if it has fewer than half of the names it had before
  cairn list which ads.example.com   which list and which line block a name, or let it through
  cairn list which ads.example.com --as 192.0.2.70   the same for this client, in its view
  cairn list which ads.example.com --type HTTPS      the same for questions of this type
  cairn list pause 10m               no list blocks anything for ten minutes
  cairn list pause 1h --view kids    the same for the clients of one view
  cairn list resume                  ends every pause now

Exit codes: 0 good, for `which` whatever it says of the name; 1 no server, or a list that could not be fetched or read.";

/// Show the lists of names that are blocked or let through
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ListCommand {
    /// Show each list: how many names it has, and which lines were skipped
    Status(StatusArgs),
    /// Fetch or read lists again, and wait until they are in force
    Update(UpdateArgs),
    /// Show which list and line have a name
    Which(WhichArgs),
    /// Let lists block nothing for a while; exceptions, response policy zones and safe search stay
    Pause(PauseArgs),
    /// End a pause before its time
    Resume(ResumeArgs),
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// One JSON object a list
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// Name of the list; without it all of them
    #[arg(value_name = "LIST")]
    list: Option<String>,
    /// Take over also a list that has fewer than half of the names it had before, or none
    #[arg(long)]
    accept: bool,
    /// One JSON object a list
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    #[arg(value_parser = parse_name)]
    name: Name,
    /// What holds for questions of this type; by default for addresses of either family
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    rtype: Option<Rtype>,
    /// What holds for this client, in its view; by default for clients of no view
    #[arg(long = "as", value_name = "ADDRESS")]
    client: Option<IpAddr>,
    /// Where that client asks, for a view with `listen`: an address of the server, and the port of the transport if it is not 53
    #[arg(long, value_name = "ADDRESS[:PORT]", requires = "client", value_parser = parse_socket)]
    at: Option<SocketAddr>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// How long, such as 10m, 1h or 90s; at most 7d. A pause that has begun gets this end
    #[arg(value_parser = pause_length)]
    duration: Duration,
    /// Only for the clients of this view
    #[arg(long)]
    view: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    /// Only the pause of this view
    #[arg(long)]
    view: Option<String>,
}

fn pause_length(text: &str) -> Result<Duration, String> {
    let length = duration_from_text(text).map(Duration::from_secs).ok_or("expected a duration such as 10m, 1h or 90s")?;
    if length.is_zero() || length > LIST_PAUSE_MAX {
        return Err(format!(
            "a pause lasts from 1s to {}d; remove a list that must never block from the configuration",
            LIST_PAUSE_MAX.as_secs() / 86_400
        ));
    }
    Ok(length)
}

pub(super) fn list(command: &ListCommand, everywhere: &Everywhere) -> u8 {
    match command {
        ListCommand::Status(args) => ask(&Command::ListStatus, args.json, status_lines, everywhere),
        ListCommand::Update(args) => {
            let command = Command::ListUpdate { name: args.list.clone(), accept: args.accept };
            ask(&command, args.json, status_lines, everywhere)
        }
        ListCommand::Which(args) => which(args, everywhere),
        ListCommand::Pause(args) => {
            let command = Command::ListPause { view: args.view.clone(), length: args.duration };
            ask(&command, false, status_lines, everywhere)
        }
        ListCommand::Resume(args) => ask(&Command::ListResume { view: args.view.clone() }, false, status_lines, everywhere),
    }
}

/// Of the running server; where none runs, of the files.
fn which(args: &WhichArgs, everywhere: &Everywhere) -> u8 {
    let command = Command::ListWhich { name: args.name.clone(), rtype: args.rtype, client: args.client, at: args.at };
    let is_running = server::ask(&everywhere.control_sockets(), &Command::ListStatus, |_| {}).unwrap_or(false);
    if is_running {
        return ask(&command, args.json, which_lines, everywhere);
    }
    let options = StartOptions { config: everywhere.config.clone(), ..StartOptions::default() };
    match server::which_list(&args.name, args.rtype, args.client, args.at, &options) {
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
        // A pause or a schedule.
        return list["line"].as_str().map(str::to_owned).into_iter().collect();
    }
    let mut lines = vec![format!("{}  {} names, {} lines skipped", text(&list["name"]), list["names"], list["skipped"])];
    let kept = if list["loaded"] == Value::Bool(true) { "as it was read before:" } else { "not read:" };
    if let Some(problem) = list["problem"].as_str() {
        lines.push(format!("  {} {problem}", paint.bad(kept)));
    }
    lines.extend(fetch_line(&list["fetch"], paint));
    for reason in list["reasons"].as_array().into_iter().flatten() {
        lines.push(format!("  {} {}", reason["count"], text(&reason["reason"])));
        for example in reason["examples"].as_array().into_iter().flatten() {
            lines.push(format!("    line {}: {}", example["line"], paint.faint(text(&example["text"]))));
        }
    }
    lines
}

/// How a list with a URL is fetched.
fn fetch_line(fetch: &Value, paint: Paint) -> Option<String> {
    let ago = |seconds: &Value| seconds.as_u64().map(|seconds| format!("{} ago", time(seconds)));
    let age = ago(fetch.get("age")?).map_or_else(|| "never fetched".to_owned(), |age| format!("as on the server {age}"));
    let status = fetch["http-status"].as_u64().map(|status| format!(" (HTTP status {status})")).unwrap_or_default();
    let last = match (ago(&fetch["last-try"]), fetch["problem"].as_str()) {
        (Some(when), Some(problem)) => format!("; {} {when}: {problem}", paint.bad("last fetch failed")),
        (Some(_), None) => status,
        (None, _) => String::new(),
    };
    let next = fetch["next-try"].as_u64().map_or_else(|| "; being fetched".to_owned(), |next| format!("; next try in {}", time(next)));
    Some(format!("  {age}{last}{next}"))
}

fn which_lines(which: &Value, paint: Paint) -> Vec<String> {
    let name = match text(&which["type"]) {
        "A" => text(&which["name"]).to_owned(),
        rtype => format!("{} {rtype}", text(&which["name"])),
    };
    let answer = which["answer"].as_str().map(|answer| format!(", answered with {answer}")).unwrap_or_default();
    let rules = || which["rules"].as_array().into_iter().flatten();
    let judged = |judged: &Value| match (text(&judged["verdict"]), judged["list"].as_str()) {
        (verdict, Some(list)) => format!("{verdict} by {list}"),
        ("hosted", None) => "in a zone that is hosted here, to which no list applies".to_owned(),
        ("local-data", None) => "in local-data, to which no list applies".to_owned(),
        _ if rules().next().is_some() => "on no list in force".to_owned(),
        _ => "on no list".to_owned(),
    };
    let view = which["view"].as_str().map_or_else(|| "no view".to_owned(), |view| format!("view {view}"));
    let whom = which["client"].as_str().map(|client| format!(" for {client} ({view})")).unwrap_or_default();
    let mut lines = vec![format!("{name}  {}{answer}{whom}", judged(which))];
    for rule in rules() {
        let place = rule["line"].as_u64().map(|line| format!(":{line}: {}", text(&rule["text"]))).unwrap_or_default();
        let out = rule["out-of-force"].as_str().map(|why| format!("  (not in force: {why})")).unwrap_or_default();
        lines.push(format!("  {}  {}{place}{out}", text(&rule["list"]), text(&rule["source"])));
    }
    if let Some(zone) = which["zone"].as_str() {
        lines.push(format!("  zone {zone}"));
    }
    let rule = &which["policy-rule"];
    if let (Some(zone), Some(owner), Some(action)) = (rule["zone"].as_str(), rule["rule"].as_str(), rule["action"].as_str()) {
        lines.push(format!("  response policy zone {zone}  {owner} ({}): {action}", text(&rule["trigger"])));
    }
    if which["policy-zones-read"] == Value::Bool(false) {
        lines.push("  no server is running, so rules of response policy zones are not known".to_owned());
    }
    for list in which["not-read"].as_array().into_iter().flatten() {
        lines.push(format!("  {}  {} {}", text(&list["list"]), paint.bad("not read:"), text(&list["problem"])));
    }
    if which["client"].is_null() && rules().next().is_some() {
        let in_views = which["views"].as_array().into_iter().flatten();
        lines.extend(in_views.map(|in_view| format!("  view {}: {}", text(&in_view["view"]), judged(in_view))));
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

    #[test]
    fn what_decides_for_a_name() {
        let of = |which: Value| which_lines(&which, Paint::none()).join("\n");
        let rule = json!({ "list": "ads", "source": "ads.txt", "line": 3, "text": "||a.example^" });
        for (which, expected) in [
            (
                json!({ "name": "a.example.", "type": "A", "verdict": "blocked", "list": "ads", "rules": [rule] }),
                "a.example.  blocked by ads\n  ads  ads.txt:3: ||a.example^",
            ),
            (json!({ "name": "a.example.", "type": "HTTPS", "verdict": "not-listed", "rules": [] }), "a.example. HTTPS  on no list"),
            (
                json!({ "name": "a.example.", "type": "A", "verdict": "hosted", "zone": "example.", "rules": [rule] }),
                "a.example.  in a zone that is hosted here, to which no list applies\n  ads  ads.txt:3: ||a.example^\n  zone example.",
            ),
            (
                json!({ "name": "a.example.", "type": "A", "verdict": "local-data", "rules": [] }),
                "a.example.  in local-data, to which no list applies",
            ),
            (
                json!({ "name": "a.example.", "type": "A", "verdict": "not-listed", "rules": [], "policy-rule":
                    { "zone": "rpz.", "rule": "a.example.rpz.", "trigger": "query name", "action": "NXDOMAIN" } }),
                "a.example.  on no list\n  response policy zone rpz.  a.example.rpz. (query name): NXDOMAIN",
            ),
            (
                json!({ "name": "a.example.", "type": "A", "verdict": "not-listed", "rules": [], "policy-zones-read": false }),
                "a.example.  on no list\n  no server is running, so rules of response policy zones are not known",
            ),
        ] {
            assert_eq!(of(which), expected);
        }
    }

    #[test]
    fn how_a_list_is_fetched() {
        let of = |fetch: Value| fetch_line(&fetch, Paint::none());
        for (fetch, expected) in [
            (json!({ "age": null, "next-try": null }), "  never fetched; being fetched"),
            (json!({ "age": 7_200, "next-try": 79_200 }), "  as on the server 2 h 0 min ago; next try in 22 h 0 min"),
            (
                json!({ "age": 7_200, "last-try": 7_200, "http-status": 304, "next-try": 60 }),
                "  as on the server 2 h 0 min ago (HTTP status 304); next try in 1 min 0 s",
            ),
            (
                json!({ "age": 7_200, "last-try": 5, "http-status": 503, "problem": "the server answers with HTTP status 503", "next-try": 60 }),
                "  as on the server 2 h 0 min ago; last fetch failed 5 s ago: the server answers with HTTP status 503; next try in 1 min 0 s",
            ),
        ] {
            assert_eq!(of(fetch).as_deref(), Some(expected));
        }
        assert_eq!(of(Value::Null), None);
    }
}
