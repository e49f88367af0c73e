//! `cairn status`: what the running server is doing, and what is wrong with it.

use clap::Args;
use serde_json::Value;

use super::ask::ask_and;
use super::run::Everywhere;
use super::terminal::{Paint, say};
use super::time::time;
use crate::limits::server::STATUS_ZONES_MAX;
use crate::server::Command;

const EXAMPLES: &str = "\
Examples:
  cairn status
  cairn status --json";

/// Show what the running server serves, its last reload, network and cache
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn status(args: &StatusArgs, everywhere: &Everywhere) -> u8 {
    ask_and(&Command::Status, everywhere, &mut |line| match args.json {
        true => say!("{line}"),
        false => shown(line, Paint::stdout()).iter().for_each(|line| say!("{line}")),
    })
}

fn shown(status: &Value, paint: Paint) -> Vec<String> {
    if let Some(error) = text(&status["error"]) {
        return vec![error];
    }
    let mut lines = Vec::new();
    let mut row = |title: &str, value: String| lines.push(format!("{title:14}{value}"));
    row("version", text(&status["version"]).unwrap_or_default());
    row("running", format!("{}, process {}", time(status["uptime-seconds"].as_u64().unwrap_or(0)), status["process"]));
    let listening: Vec<String> = list(&status["listening-on"]).iter().filter_map(text).collect();
    row("listening on", listening.join(", "));
    for (title, key) in [("  over TLS", "listening-tls"), ("  over HTTPS", "listening-https")] {
        let addrs: Vec<String> = list(&status[key]).iter().filter_map(text).collect();
        if !addrs.is_empty() {
            row(title, addrs.join(", "));
        }
    }
    let certificate = &status["certificate"];
    if certificate.is_object() {
        let names: Vec<String> = list(&certificate["names"]).iter().filter_map(text).collect();
        let until = format!("{}, until {}", names.join(", "), text(&certificate["not-after"]).unwrap_or_default());
        let warning = text(&certificate["warning"]).map(|warning| format!(": {}", paint.bad(&warning))).unwrap_or_default();
        row("certificate", format!("{until}{warning}"));
        if let Some(problem) = text(&certificate["problem"]) {
            row("", format!("{} {problem}", paint.bad("a new one is not taken over:")));
        }
    }
    row("privileges", text(&status["privileges"]).unwrap_or_default());
    row("configuration", text(&status["configuration"]).unwrap_or_else(|| "none: the defaults".to_owned()));
    let network = &status["network"];
    let is_online = network["online"] != Value::Bool(false);
    let family = |key: &str| text(&network[key]).unwrap_or_default();
    let nat64 = text(&network["nat64-prefix"]).map_or_else(String::new, |prefix| format!(", translator (NAT64) {prefix}"));
    row(
        "network",
        match (is_online, network["without-route"] == Value::Bool(true)) {
            (true, _) => format!("online, IPv4 {}, IPv6 {}{nat64}", family("ipv4"), family("ipv6")),
            (false, true) => paint.bad("offline, no route to any server: cached names are answered"),
            (false, false) => paint.bad("offline, no server replies: cached names are answered"),
        },
    );
    for seen in list(&network["interception"]).iter().filter_map(text) {
        row("", paint.bad(&format!("queries to the root servers are intercepted: {seen}")));
    }
    let cache = &status["cache"];
    let (bytes, limit) = (cache["bytes"].as_u64().unwrap_or(0), cache["limit-bytes"].as_u64().unwrap_or(0));
    let percent = bytes * 100 / limit.max(1);
    row("cache", format!("{} of {} MiB ({percent} %), {} record sets", bytes >> 20, limit >> 20, cache["record-sets"]));
    row("last reload", last_reload(&status["last-reload"], paint));
    for line in list(&status["last-reload"]["lines"]).iter().filter_map(text) {
        row("", line);
    }
    for key in list(&status["after-restart"]) {
        let value = |member: &str| text(&key[member]).unwrap_or_default();
        row("", format!("{}: in force: {}, after a restart: {}", value("key"), value("in-force"), value("after-restart")));
    }
    let zones = list(&status["zones"]);
    let broken = zones.iter().filter(|zone| zone["problem"].is_string()).count();
    let count = format!("{}{}", zones.len(), if broken == 0 { String::new() } else { paint.bad(&format!(", {broken} cannot be read")) });
    row("zones", count);
    // Those with a mistake are never among those left out.
    let (wrong, right): (Vec<&Value>, Vec<&Value>) = zones.iter().partition(|zone| zone["problem"].is_string());
    for zone in wrong.iter().chain(right.iter().take(STATUS_ZONES_MAX)) {
        lines.push(zone_line(zone, paint));
    }
    if right.len() > STATUS_ZONES_MAX {
        lines.push(format!("  and {} more without a mistake, all shown by --json", right.len() - STATUS_ZONES_MAX));
    }
    lines.extend(list(&status["unusable-files"]).iter().filter_map(text).map(|file| format!("  {} {file}", paint.bad("not read:"))));
    lines
}

/// One zone, also for `cairn zone list`.
pub(super) fn zone_line(zone: &Value, paint: Paint) -> String {
    let examples: Vec<String> = list(&zone["skipped-examples"]).iter().filter_map(text).collect();
    let rules = match (zone["rules"].as_u64(), zone["skipped"].as_u64()) {
        (None, _) => String::new(),
        (Some(0), _) if zone["records"].is_null() => return format!("{}, no rules in force", data_line(zone, paint)),
        (Some(rules), Some(0) | None) => format!(", response policy with {rules} rules"),
        (Some(rules), Some(skipped)) => {
            let what = paint.bad(&format!("{skipped} records are no rule:"));
            format!(", response policy with {rules} rules, {what} {}", examples.join("; "))
        }
    };
    format!("{}{rules}", data_line(zone, paint))
}

fn data_line(zone: &Value, paint: Paint) -> String {
    let name = text(&zone["name"]).unwrap_or_default();
    let figures = format!("serial {}, {} records", zone["serial"], zone["records"]);
    let problem = text(&zone["problem"]).unwrap_or_default();
    if text(&zone["role"]).as_deref() == Some("secondary") {
        return secondary_line(&name, &figures, &problem, zone, paint);
    }
    match text(&zone["state"]).as_deref() {
        Some("served") => format!("  {name}  {figures}, {}{}", text(&zone["file"]).unwrap_or_default(), unwritten(zone, paint)),
        Some("served-as-read-before") => format!("  {name}  {figures}, {} {problem}", paint.bad("as read before:")),
        _ => format!("  {name}  {} {problem}", paint.bad("not served (SERVFAIL):")),
    }
}

/// Changes by updates that the file does not have; and what stands for the ALIAS record.
pub(super) fn unwritten(zone: &Value, paint: Paint) -> String {
    let alias = match (text(&zone["alias"]["target"]), text(&zone["alias"]["problem"])) {
        (Some(target), Some(problem)) => format!(", {} {problem}", paint.bad(&format!("ALIAS {target} cannot be resolved:"))),
        (Some(target), None) => match zone["alias"]["addresses"].as_u64() {
            Some(count) => format!(", ALIAS {target} has {count} addresses"),
            None => format!(", ALIAS {target} is being resolved"),
        },
        (None, _) => String::new(),
    };
    let signing = text(&zone["signing-problem"]).map(|why| format!(", {} {why}", paint.bad("not signed anew:"))).unwrap_or_default();
    format!("{}{alias}{signing}", of_journal(zone, paint))
}

fn of_journal(zone: &Value, paint: Paint) -> String {
    match (zone["unwritten"] == Value::Bool(true), text(&zone["unwritten-because"])) {
        (true, Some(why)) => format!(", {} {why}", paint.bad("changes in the journal only:")),
        (true, None) => ", changes not written to the file yet".to_owned(),
        (false, _) => String::new(),
    }
}

fn secondary_line(name: &str, figures: &str, problem: &str, zone: &Value, paint: Paint) -> String {
    let primaries: Vec<String> = list(&zone["primaries"]).iter().filter_map(text).collect();
    let next = match &zone["next-check-seconds"] {
        Value::Null => "check under way".to_owned(),
        seconds => format!("next check in {}", time(seconds.as_u64().unwrap_or(0))),
    };
    let error = text(&zone["last-error"]).map(|error| format!(", {} {error}", paint.bad("last error:"))).unwrap_or_default();
    let member = text(&zone["member-of"]).map(|catalog| format!("member of {catalog}, ")).unwrap_or_default();
    let members = zone["members"].as_u64().map(|count| format!("catalog with {count} members, ")).unwrap_or_default();
    let of = format!("{members}{member}secondary of {}, {next}", primaries.join(", "));
    let catalog = text(&zone["catalog-problem"]).map(|what| format!(", {} {what}", paint.bad("catalog:"))).unwrap_or_default();
    let error = format!("{error}{catalog}");
    match text(&zone["state"]).as_deref() {
        Some("served") => format!("  {name}  {figures}, {of}, expires in {}{error}", time(zone["expires-seconds"].as_u64().unwrap_or(0))),
        Some("expired") => format!("  {name}  {} {of}{error}", paint.bad("expired (SERVFAIL):")),
        _ => format!("  {name}  {} {of}: {problem}", paint.bad("not served (SERVFAIL):")),
    }
}

fn last_reload(last: &Value, paint: Paint) -> String {
    if last.is_null() {
        return "none since the start".to_owned();
    }
    let result = if last["good"] == Value::Bool(true) { paint.good("good") } else { paint.bad("with mistakes") };
    format!("{result}, {} ago", time(last["seconds-ago"].as_u64().unwrap_or(0)))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_is_read_by_people() {
        let status = json!({
            "version": "0.1.0", "process": 7, "uptime-seconds": 93_784, "listening-on": ["127.0.0.1:53", "[::1]:53"],
            "configuration": "/etc/cairn/cairn.toml", "privileges": "user cairn (uid 105), landlock",
            "network": { "online": true, "ipv4": "works", "ipv6": "broken", "interception": ["the reply from 192.0.2.1 is odd"] },
            "cache": { "bytes": 64 << 20, "limit-bytes": 256 << 20, "record-sets": 1000 },
            "zones": [
                { "name": "a.example.", "state": "served", "serial": 7, "records": 3, "file": "zones/a.example.zone", "problem": null },
                { "name": "b.example.", "state": "not-served", "serial": null, "records": null, "file": "b", "problem": "b:5:7: wrong" },
                { "name": "c.example.", "state": "served-as-read-before", "serial": 2, "records": 4, "file": "c", "problem": "c:1: wrong" },
            ],
            "last-reload": { "seconds-ago": 61, "good": false, "lines": ["reloaded: 1 zone, and 2 that cannot be read"] },
            "after-restart": [{ "key": "server.workers", "in-force": "2", "after-restart": "4" }],
            "unusable-files": ["zones/d..e.zone: no name"],
        });
        let paint = Paint::none();
        assert_eq!(
            shown(&status, paint),
            [
                "version       0.1.0",
                "running       1 d 2 h, process 7",
                "listening on  127.0.0.1:53, [::1]:53",
                "privileges    user cairn (uid 105), landlock",
                "configuration /etc/cairn/cairn.toml",
                "network       online, IPv4 works, IPv6 broken",
                "              queries to the root servers are intercepted: the reply from 192.0.2.1 is odd",
                "cache         64 of 256 MiB (25 %), 1000 record sets",
                "last reload   with mistakes, 1 min 1 s ago",
                "              reloaded: 1 zone, and 2 that cannot be read",
                "              server.workers: in force: 2, after a restart: 4",
                "zones         3, 2 cannot be read",
                "  b.example.  not served (SERVFAIL): b:5:7: wrong",
                "  c.example.  serial 2, 4 records, as read before: c:1: wrong",
                "  a.example.  serial 7, 3 records, zones/a.example.zone",
                "  not read: zones/d..e.zone: no name",
            ]
        );
        for (network, expected) in [
            (json!({ "online": true, "ipv4": "works", "ipv6": "off" }), "online, IPv4 works, IPv6 off"),
            (
                json!({ "online": true, "ipv4": "works", "ipv6": "works", "nat64-prefix": "64:ff9b::/96" }),
                "online, IPv4 works, IPv6 works, translator (NAT64) 64:ff9b::/96",
            ),
            (
                json!({ "online": false, "without-route": true, "ipv4": "unknown", "ipv6": "unknown" }),
                "offline, no route to any server: cached names are answered",
            ),
            (json!({ "online": false, "ipv4": "unknown", "ipv6": "unknown" }), "offline, no server replies: cached names are answered"),
        ] {
            let told = shown(&json!({ "network": network }), paint);
            assert!(told.contains(&format!("network       {expected}")), "{told:?}");
        }
    }

    #[test]
    fn secondaries_tell_how_current_they_are() {
        let zone = |state: &str, served: bool, next: Value, error: Value| {
            json!({
                "name": "a.example.", "role": "secondary", "state": state, "serial": if served { json!(7) } else { Value::Null },
                "records": if served { json!(3) } else { Value::Null }, "primaries": ["192.0.2.1 key k.", "192.0.2.2"],
                "next-check-seconds": next, "expires-seconds": 3_700, "last-error": error,
                "problem": if served { Value::Null } else { json!("192.0.2.1: no reply") },
            })
        };
        for (zone, expected) in [
            (
                zone("served", true, json!(61), Value::Null),
                "  a.example.  serial 7, 3 records, secondary of 192.0.2.1 key k., 192.0.2.2, next check in 1 min 1 s, expires in 1 h 1 min",
            ),
            (
                zone("served", true, Value::Null, json!("192.0.2.1: no reply")),
                "  a.example.  serial 7, 3 records, secondary of 192.0.2.1 key k., 192.0.2.2, check under way, expires in 1 h 1 min, last error: 192.0.2.1: no reply",
            ),
            (
                zone("expired", false, json!(5), json!("192.0.2.1: no reply")),
                "  a.example.  expired (SERVFAIL): secondary of 192.0.2.1 key k., 192.0.2.2, next check in 5 s, last error: 192.0.2.1: no reply",
            ),
            (
                zone("not-served", false, json!(5), json!("192.0.2.1: no reply")),
                "  a.example.  not served (SERVFAIL): secondary of 192.0.2.1 key k., 192.0.2.2, next check in 5 s: 192.0.2.1: no reply",
            ),
        ] {
            assert_eq!(zone_line(&zone, Paint::none()), expected);
        }
    }
}
