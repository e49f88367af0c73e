//! `cairn doctor`: what on this machine or its network keeps DNS from working, and the way out.

use clap::Args;
use serde_json::{Value, json};

use super::exit_code::{FAILED, GOOD};
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, progress, progress_ended, say};
use crate::server::{self, Report, Verdict};

const EXAMPLES: &str = "\
Examples:
  cairn doctor                             look at this machine and its network; 15 seconds at most
  sudo cairn doctor                        also name processes of others, and use the control socket of the service
  cairn doctor --config cairn.toml         for the server with this configuration
  cairn doctor --json                      one JSON object, for programs

What is sent, and to whom: up to three root servers of each address family, and each server that [[forward]] and [[stub]] name,
are asked for the NS and DNSKEY records of the root or of their zone, over UDP and TCP; for example.com; and for an invented
name below `invalid.`, which only a resolver that makes things up can answer. Where everything is forwarded, no root server is
asked. This machine asks its own server for `localhost.`. Nothing goes to anybody else, and nothing is changed.

Exit codes: 0 no fault was found, 1 faults were found, 2 wrong usage.";

/// Find what on this machine or its network keeps DNS from working, and the way out
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    files: FileArgs,
}

pub(super) fn doctor(args: &DoctorArgs, everywhere: &Everywhere) -> u8 {
    let shown = |done: usize, total: usize| progress("looking at machine and network", done, total);
    let report = server::doctor(&args.files.start_options(everywhere), &everywhere.control_sockets(), &shown);
    progress_ended();
    if args.json {
        say!("{}", as_json(&report));
    } else {
        as_text(&report, Paint::stdout()).iter().for_each(|line| say!("{line}"));
    }
    if report.faults().next().is_none() { GOOD } else { FAILED }
}

fn as_text(report: &Report, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for (check, verdict) in &report.verdicts {
        match verdict {
            Verdict::Good => lines.push(format!("{}   {check}", paint.good("good"))),
            Verdict::NotKnown(why) => lines.push(format!("{}      {check}: not checked: {why}", paint.faint("-"))),
            Verdict::Fault(finding) => {
                lines.push(format!("{}  {check}: {}", paint.bad("fault"), finding.what));
                lines.push(format!("       fix: {}", finding.fix));
            }
        }
    }
    lines.extend(report.privileges.as_ref().map(|privileges| format!("       the running server: {privileges}")));
    lines.push(match report.faults().count() {
        0 => paint.good("no fault found"),
        1 => paint.bad("1 fault"),
        count => paint.bad(&format!("{count} faults")),
    });
    lines
}

fn as_json(report: &Report) -> Value {
    let findings: Vec<Value> =
        report.faults().map(|(check, finding)| json!({ "check": check, "what": finding.what, "fix": finding.fix })).collect();
    let checks: Vec<Value> = report
        .verdicts
        .iter()
        .map(|(check, verdict)| match verdict {
            Verdict::Good => json!({ "check": check, "verdict": "good" }),
            Verdict::NotKnown(why) => json!({ "check": check, "verdict": "not-checked", "why": why }),
            Verdict::Fault(_) => json!({ "check": check, "verdict": "fault" }),
        })
        .collect();
    json!({ "healthy": findings.is_empty(), "findings": findings, "checks": checks, "privileges": report.privileges })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Finding;

    fn report() -> Report {
        let finding = Finding { what: "127.0.0.1:53 is held".to_owned(), fix: "stop it".to_owned() };
        let verdicts = vec![("server", Verdict::Good), ("port", Verdict::Fault(finding)), ("forwarders", Verdict::NotKnown("none"))];
        Report { verdicts, privileges: Some("user cairn".to_owned()) }
    }

    #[test]
    fn a_report_for_people_and_for_programs() {
        assert_eq!(
            as_text(&report(), Paint::none()),
            [
                "good   server",
                "fault  port: 127.0.0.1:53 is held",
                "       fix: stop it",
                "-      forwarders: not checked: none",
                "       the running server: user cairn",
                "1 fault",
            ]
        );
        assert_eq!(
            as_json(&report()),
            json!({
                "healthy": false,
                "findings": [{ "check": "port", "what": "127.0.0.1:53 is held", "fix": "stop it" }],
                "checks": [
                    { "check": "server", "verdict": "good" },
                    { "check": "port", "verdict": "fault" },
                    { "check": "forwarders", "verdict": "not-checked", "why": "none" },
                ],
                "privileges": "user cairn",
            })
        );
    }
}
