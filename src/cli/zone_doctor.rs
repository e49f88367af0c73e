//! `cairn zone doctor`: what keeps a hosted zone from being found, for people and for programs.

use clap::Args;
use serde_json::{Value, json};

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::explain::parse_name;
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, complain, progress, progress_ended, say};
use crate::record::Name;
use crate::server::{self, Checked, Severity, ZoneError, ZoneReport};

/// Compare a zone with its parent and with each of its servers, and say what to mend
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone doctor example.org
  cairn zone doctor example.org --json

Asked are servers of the zone above (NS, DS) and all servers of the zone (SOA over UDP and TCP, NS, DNSKEY, and one question that
only a resolver answers), for 25 seconds at most. Exit code 0: no fault, though perhaps remarks; 1: a fault, or the zone's
file is broken; 2: usage or configuration.")]
pub(super) struct DoctorArgs {
    /// The zone
    #[arg(value_name = "ZONE", value_parser = parse_name)]
    zone: Name,
    #[command(flatten)]
    files: FileArgs,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn doctor(args: &DoctorArgs, everywhere: &Everywhere) -> u8 {
    let shown = |done: usize, total: usize| progress("asking servers", done, total);
    let report = server::zone_doctor(&args.files.start_options(everywhere), &everywhere.control_sockets(), &args.zone, &shown);
    progress_ended();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            complain!("{} {error}", Paint::stderr().bad("cairn:"));
            return if matches!(error, ZoneError::Configuration(_)) { MISTAKE } else { FAILED };
        }
    };
    match args.json {
        true => say!("{}", as_json(&args.zone, &report)),
        false => as_text(&report, Paint::stdout()).iter().for_each(|line| say!("{line}")),
    }
    if report.fault_count() == 0 { GOOD } else { FAILED }
}

fn as_text(report: &ZoneReport, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for (check, checked) in &report.checks {
        match checked {
            Checked::Good => lines.push(format!("{}    {check}", paint.good("good"))),
            Checked::NotKnown(why) => lines.push(format!("{}       {check}: not checked: {why}", paint.faint("-"))),
            Checked::Found(findings) => {
                for finding in findings {
                    let mark = match finding.severity {
                        Severity::Fault => format!("{}  ", paint.bad("fault")),
                        Severity::Remark => "remark ".to_owned(),
                    };
                    lines.push(format!("{mark} {check}: {}", finding.what));
                    lines.push(format!("        fix: {}", finding.fix));
                }
            }
        }
    }
    lines.push(match report.fault_count() {
        0 => paint.good("no fault found"),
        1 => paint.bad("1 fault"),
        count => paint.bad(&format!("{count} faults")),
    });
    lines
}

fn as_json(zone: &Name, report: &ZoneReport) -> Value {
    let severity = |severity: Severity| match severity {
        Severity::Fault => "fault",
        Severity::Remark => "remark",
    };
    let findings: Vec<Value> = report
        .findings()
        .map(|(check, finding)| json!({ "check": check, "severity": severity(finding.severity), "what": finding.what, "fix": finding.fix }))
        .collect();
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|(check, checked)| match checked {
            Checked::Good => json!({ "check": check, "verdict": "good" }),
            Checked::NotKnown(why) => json!({ "check": check, "verdict": "not-checked", "why": why }),
            Checked::Found(findings) => {
                let is_fault = findings.iter().any(|finding| finding.severity == Severity::Fault);
                json!({ "check": check, "verdict": severity(if is_fault { Severity::Fault } else { Severity::Remark }) })
            }
        })
        .collect();
    json!({ "zone": zone.to_string(), "healthy": report.fault_count() == 0, "findings": findings, "checks": checks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ZoneFinding;

    #[test]
    fn a_report_for_people_and_for_programs() {
        let finding = |severity, what: &str| ZoneFinding { severity, what: what.to_owned(), fix: "mend it".to_owned() };
        let found = Checked::Found(vec![finding(Severity::Remark, "odd"), finding(Severity::Fault, "wrong")]);
        let report = ZoneReport { checks: vec![("SOA", Checked::Good), ("DS", found), ("glue", Checked::NotKnown("nobody".to_owned()))] };
        assert_eq!(
            as_text(&report, Paint::none()),
            [
                "good    SOA",
                "remark  DS: odd",
                "        fix: mend it",
                "fault   DS: wrong",
                "        fix: mend it",
                "-       glue: not checked: nobody",
                "1 fault"
            ]
        );
        let json = as_json(&Name::parse("example.org").expect("a name"), &report);
        assert_eq!(
            (&json["healthy"], &json["zone"], &json["checks"][1]["verdict"]),
            (&json!(false), &json!("example.org."), &json!("fault"))
        );
        assert_eq!(json["findings"].as_array().map(Vec::len), Some(2));
    }
}
