//! The pages for people: is it well, what fails and why, and how one name is resolved, step by step.
//!
//! They need no script, and everything that comes from the network or a file is escaped. Each is made of what `/api/v1` gives.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::explain::{Chain, Mark, Shown, ShownStep, chain_picture};
use crate::limits::server::WEB_ENTRIES_MAX;
use crate::listen::form::encoded;
use crate::metrics::{Distribution, quantile};
use crate::record::Question;

/// One for all pages.
pub(super) const STYLE: &str = include_str!("style.css");

/// What the overview is made of.
pub(super) struct Seen<'a> {
    /// As `cairn status` shows it.
    pub(super) status: &'a Map<String, Value>,
    /// As `cairn stats` shows them.
    pub(super) stats: &'a Value,
    pub(super) histograms: &'a [Distribution],
    pub(super) failing: &'a [Value],
}

pub(super) fn overview(seen: &Seen<'_>) -> String {
    let problems = problems(seen.status);
    let body = html! {
        section aria-labelledby="well" {
            h2 id="well" { "Is it well?" }
            @if problems.is_empty() {
                p.good { "Nothing is wrong that this server knows of." }
            } @else {
                ul { @for problem in &problems { li.bad { (problem) } } }
            }
            (figures(seen.stats))
        }
        (failing(seen.failing))
        (times(seen.histograms))
        (zones(entries(seen.status, "zones")))
        (lists(entries(seen.status, "lists")))
        p.faint {
            "For programs: " a href="/api/v1/status" { "status" } ", " a href="/api/v1/stats" { "numbers" } ", "
            a href="/api/v1/failing" { "failing names" } ", " a href="/metrics" { "metrics" } "."
        }
    };
    page("Overview", "", "A", Some(10), &body)
}

/// `lines`: as `cairn explain --json` prints them.
pub(super) fn explanation(question: &Question, lines: &[Value]) -> String {
    let mut chains: Vec<Chain> = Vec::new();
    let mut steps: Vec<(Mark, String)> = Vec::new();
    for line in lines {
        match Shown::deserialize(line) {
            Ok(Shown { mark, line, step }) => {
                steps.extend(line.map(|line| (mark, line)));
                if let ShownStep::Chain(chain) = step {
                    chains.push(chain);
                }
            }
            Err(_) => steps.extend(line["error"].as_str().map(|error| (Mark::Bad, error.to_owned()))),
        }
    }
    let body = html! {
        h2 { (question) }
        ol.steps { @for (mark, step) in &steps { li class=(class_of(*mark)) { (step) } } }
        @if !chains.is_empty() {
            h2 { "Chain of trust" }
            // The picture escapes what is in it.
            figure { (PreEscaped(chain_picture(&chains))) }
        }
    };
    page(&question.to_string(), &question.name.to_string(), &question.rtype.to_string(), None, &body)
}

pub(super) fn not_a_question(what: &str) -> String {
    page("Explain", "", "A", None, &html! { p.bad { (what) } })
}

fn class_of(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "good",
        Mark::Bad => "bad",
        Mark::Faint => "faint",
        Mark::Plain => "",
    }
}

/// `refresh`: seconds after which it is loaded again.
fn page(title: &str, name: &str, rtype: &str, refresh: Option<u32>, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) " – Cairn" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    h1 { a href="/" { "Cairn" } }
                    span.faint { (env!("CARGO_PKG_VERSION")) }
                }
                main {
                    form action="/explain" method="get" role="search" {
                        input type="text" name="name" value=(name) placeholder="a name, or an address" aria-label="Name" required
                            autocapitalize="off" autocomplete="off" spellcheck="false";
                        input type="text" name="type" value=(rtype) size="8" aria-label="Type";
                        button type="submit" { "Explain" }
                    }
                    (body)
                }
            }
        }
    }
    .into_string()
}

fn entries<'a>(status: &'a Map<String, Value>, of: &str) -> &'a [Value] {
    status.get(of).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// One sentence for each thing that an operator has to look at.
fn problems(status: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    let network = status.get("network").unwrap_or(&Value::Null);
    if network["without-route"] == true {
        problems.push("This machine has no route to any server.".to_owned());
    } else if network["online"] == false {
        problems.push("No server replies: this machine seems to be offline.".to_owned());
    }
    for (key, family) in [("ipv4", "IPv4"), ("ipv6", "IPv6")] {
        if network[key] == "broken" {
            problems.push(format!("No server replies over {family}."));
        }
    }
    let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    problems.extend(texts(&network["interception"]));
    for zone in entries(status, "zones") {
        let is_served = zone["state"].as_str().is_some_and(|state| state.starts_with("served"));
        match zone["problem"].as_str() {
            Some(problem) => problems.push(format!("Zone {}: {problem}", text(&zone["name"]))),
            None if !is_served => problems.push(format!("Zone {} is not served.", text(&zone["name"]))),
            None => {}
        }
    }
    for list in entries(status, "lists") {
        let problem = [&list["problem"], &list["fetch"]["problem"]].into_iter().find_map(Value::as_str);
        problems.extend(problem.map(|problem| format!("List {}: {problem}", text(&list["name"]))));
    }
    let certificate = status.get("certificate").unwrap_or(&Value::Null);
    problems.extend([&certificate["warning"], &certificate["problem"]].into_iter().filter_map(Value::as_str).map(str::to_owned));
    problems
}

fn figures(stats: &Value) -> Markup {
    let of = |name: &str| stats[name].as_u64().unwrap_or(0);
    let share = |part: u64, all: u64| if all > 0 { format!("{:.1} %", 100.0 * part as f64 / all as f64) } else { "–".to_owned() };
    let (hits, misses) = (of("cache-hits"), of("cache-misses"));
    html! {
        dl.figures {
            @for (what, value) in [
                ("Queries", grouped(of("queries"))),
                ("Answered from the cache", share(hits, hits + misses)),
                ("SERVFAIL", share(of("answers{rcode=SERVFAIL}"), of("answers"))),
                ("DNSSEC bogus", grouped(of("dnssec-bogus"))),
                ("Waiting now", grouped(of("waiting"))),
                ("Queries to servers", grouped(of("upstream-queries"))),
                ("of them without a reply", share(of("upstream-timeouts"), of("upstream-queries"))),
                ("Cache", format!("{} MiB", of("cache-bytes") >> 20)),
                ("Running for", duration(of("uptime-seconds"))),
            ] {
                div { dt { (what) } dd { (value) } }
            }
        }
    }
}

fn failing(failing: &[Value]) -> Markup {
    html! {
        section aria-labelledby="failing" {
            h2 id="failing" { "Names that failed lately" }
            @if failing.is_empty() {
                p.faint { "None since the start." }
            } @else {
                div.scroll {
                    table {
                        thead { tr { th { "Name" } th { "Type" } th { "Reason" } th.number { "Times" } th.number { "Last" } } }
                        tbody {
                            @for failure in failing {
                                @let (name, rtype) = (text(&failure["name"]), text(&failure["type"]));
                                tr {
                                    td { a href={ "/explain?name=" (encoded(name)) "&type=" (encoded(rtype)) } { (name) } }
                                    td { (rtype) }
                                    td { (reason(failure)) }
                                    td.number { (failure["count"].as_u64().unwrap_or(0)) }
                                    td.number { (duration(failure["last-ago"].as_u64().unwrap_or(0))) " ago" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn reason(failure: &Value) -> String {
    match (text(&failure["meaning"]), text(&failure["reason"])) {
        (meaning, "") => meaning.to_owned(),
        ("", reason) => reason.to_owned(),
        (meaning, reason) => format!("{meaning}: {reason}"),
    }
}

fn times(histograms: &[Distribution]) -> Markup {
    let ms =
        |buckets: &[(Option<u64>, u64)], part| quantile(buckets, part).map_or_else(String::new, |us| format!("{:.2} ms", us / 1_000.0));
    let count = |of: &Distribution| of.buckets.last().map_or(0, |(_, count)| *count);
    html! {
        section aria-labelledby="times" {
            h2 id="times" { "How long it takes" }
            div.scroll {
                table {
                    thead { tr { th { "From" } th.number { "Median" } th.number { "95 %" } th.number { "99 %" } th.number { "Number" } } }
                    tbody {
                        @for of in histograms.iter().filter(|of| count(of) > 0) {
                            tr {
                                td { @if of.name == "upstream-rtt-us" { "replies of servers, " } @for (_, value) in &of.labels { (value) } }
                                @for part in [0.5, 0.95, 0.99] { td.number { (ms(&of.buckets, part)) } }
                                td.number { (grouped(count(of))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn zones(zones: &[Value]) -> Markup {
    html! {
        @if !zones.is_empty() {
            section aria-labelledby="zones" {
                h2 id="zones" { "Zones" }
                div.scroll {
                    table {
                        thead { tr { th { "Zone" } th { "State" } th.number { "Serial" } th.number { "Records" } } }
                        tbody {
                            @for zone in zones.iter().take(WEB_ENTRIES_MAX) {
                                tr {
                                    td { (text(&zone["name"])) }
                                    td { (text(&zone["state"])) }
                                    td.number { (number(&zone["serial"])) }
                                    td.number { (number(&zone["records"])) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn lists(lists: &[Value]) -> Markup {
    html! {
        @if !lists.is_empty() {
            section aria-labelledby="lists" {
                h2 id="lists" { "Lists" }
                div.scroll {
                    table {
                        thead { tr { th { "List" } th.number { "Names" } th.number { "Answers blocked" } } }
                        tbody {
                            @for list in lists.iter().take(WEB_ENTRIES_MAX) {
                                tr {
                                    td { (text(&list["name"])) }
                                    td.number { (grouped(list["names"].as_u64().unwrap_or(0))) }
                                    td.number { (grouped(list["answers-blocked"].as_u64().unwrap_or(0))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> String {
    value.as_u64().map_or_else(String::new, |number| number.to_string())
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let parts: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.join(",")
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metrics::{Registry, Source};
    use crate::record::{Name, Rtype};

    /// What names and texts of others may hold.
    const HOSTILE: &str = "<script>alert('x')</script>\"'&";

    fn shown(status: &Value, failing: &[Value]) -> String {
        let registry = Registry::default();
        registry.recorder().took(Source::Walk, 12_000);
        let stats = json!({ "queries": 1_234_567, "answers": 200, "answers{rcode=SERVFAIL}": 3, "cache-hits": 3, "cache-misses": 1, "uptime-seconds": 90_061 });
        let status = status.as_object().expect("an object");
        overview(&Seen { status, stats: &stats, histograms: &registry.histograms(), failing })
    }

    #[test]
    fn an_overview_says_what_is_wrong() {
        let well = shown(&json!({}), &[]);
        for part in ["Nothing is wrong", "1,234,567", "75.0 %", "1.5 %", "1 d 1 h", "None since the start", "<td>walk</td>"] {
            assert!(well.contains(part), "{part} is not in {well}");
        }
        let status = json!({
            "network": { "online": false, "ipv4": "works", "ipv6": "broken", "interception": ["the reply from 192.0.2.1 is not that of a root server"] },
            "zones": [{ "name": "a.example.", "state": "not-served", "problem": "a.zone:3: no SOA" }, { "name": "b.example.", "state": "served", "serial": 7, "records": 9 }],
            "lists": [{ "name": "ads", "names": 1_000, "answers-blocked": 2, "fetch": { "problem": "HTTP status 404" } }],
            "certificate": { "warning": "it ends in 3 days" },
        });
        let ill = shown(&status, &[]);
        for part in [
            "this machine seems to be offline",
            "No server replies over IPv6.",
            "not that of a root server",
            "Zone a.example.: a.zone:3: no SOA",
            "List ads: HTTP status 404",
            "it ends in 3 days",
            "<td>b.example.</td>",
        ] {
            assert!(ill.contains(part), "{part} is not in {ill}");
        }
        assert!(!ill.contains("over IPv4") && !ill.contains("Zone b.example."), "{ill}");
    }

    #[test]
    fn a_failing_name_has_its_reason_and_a_link_to_its_explanation() {
        let failure = json!({ "name": "a b.example.", "type": "A", "meaning": "DNSSEC Bogus", "reason": "no signature", "count": 3, "last-ago": 125 });
        let page = shown(&json!({}), &[failure]);
        for part in ["href=\"/explain?name=a%20b.example.&amp;type=A\"", "DNSSEC Bogus: no signature", "2 min ago"] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
    }

    #[test]
    fn nothing_of_others_becomes_markup() {
        let status = json!({ "zones": [{ "name": HOSTILE, "state": HOSTILE, "problem": HOSTILE }], "lists": [{ "name": HOSTILE, "problem": HOSTILE }] });
        let failure = json!({ "name": HOSTILE, "type": HOSTILE, "meaning": HOSTILE, "reason": HOSTILE });
        let question = Question::new(Name::parse("x\\<script\\>\".example.").expect("a name"), Rtype::A);
        let link = json!({ "name": HOSTILE, "security": "bogus", "anchored": true, "keys": [], "broken": true, "detail": HOSTILE });
        let lines = [
            json!({ "step": "failed", "mark": "bad", "line": HOSTILE }),
            json!({ "step": "chain", "mark": "bad", "line": HOSTILE, "question": HOSTILE, "links": [link] }),
            json!({ "error": HOSTILE }),
        ];
        for page in [shown(&status, &[failure]), explanation(&question, &lines), not_a_question(HOSTILE)] {
            assert!(!page.contains("<script") && !page.contains("alert('x')</"), "{page}");
            assert!(page.starts_with("<!DOCTYPE html>"), "{page}");
        }
    }

    #[test]
    fn an_explanation_has_its_steps_and_the_chain_as_a_picture() {
        let question = Question::new(Name::parse("www.example.").expect("a name"), Rtype::A);
        let link = json!({ "name": "example.", "security": "secure", "anchored": true, "keys": [], "broken": false, "detail": "" });
        let lines = [
            json!({ "step": "later", "mark": "faint", "line": "asks the root" }),
            json!({ "step": "chain", "mark": "good", "line": "secure", "question": "www.example. A", "links": [link] }),
        ];
        let page = explanation(&question, &lines);
        for part in ["<li class=\"faint\">asks the root</li>", "<svg ", "value=\"www.example.\""] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!explanation(&question, &lines[..1]).contains("<svg"));
    }
}
