//! `cairn zone list`, `show` and `export`: zones and their records, printed.

use clap::Args;
use serde_json::{Value, json};

use super::check::print_problems;
use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::run::{Everywhere, FileArgs};
use super::status::{unwritten, zone_line};
use super::terminal::{Paint, complain, say};
use super::zone_records::Zone;
use crate::record::{Name, Rtype, rdata_to_text};
use crate::server::{self, LoadedZone, Sources, ZoneError, ZoneUse};
use crate::zone;

/// Show the hosted zones: name, serial, records, state and file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone list
  cairn zone list --json")]
pub(super) struct ListArgs {
    #[command(flatten)]
    files: FileArgs,
    /// One JSON object for each zone
    #[arg(long)]
    json: bool,
}

/// Show the records of a zone, or of one name of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone show example.org
  cairn zone show example.org www")]
pub(super) struct ShowArgs {
    #[command(flatten)]
    zone: Zone,
    /// Only this name: relative to the zone, or absolute with a final dot
    name: Option<String>,
}

/// Print the zone and nothing else, as a master file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone export example.org > copy.zone
  cairn zone export example.org --signed

What is printed is the zone's file; of a secondary its copy. An ALIAS record, which other servers do not read, is a comment.")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    zone: Zone,
    /// Of a zone with `dnssec = true`: as the running server has signed it
    #[arg(long)]
    signed: bool,
}

pub(super) fn list(args: &ListArgs, everywhere: &Everywhere) -> u8 {
    let running = server::running_zones(&everywhere.control_sockets(), everywhere.config.as_deref());
    let zones = match running {
        Some(zones) => zones,
        None => match Sources::read(&args.files.start_options(everywhere)) {
            Ok(sources) => on_disk(&sources),
            Err(problems) => {
                print_problems(&problems);
                return MISTAKE;
            }
        },
    };
    match args.json {
        true => zones.iter().for_each(|zone| say!("{zone}")),
        false => listed(&zones, Paint::stdout()).iter().for_each(|line| say!("{line}")),
    }
    GOOD
}

/// As the running server tells them, where none runs.
fn on_disk(sources: &Sources) -> Vec<Value> {
    let good = sources.zones.iter().map(|LoadedZone { file, zone }| {
        json!({
            "name": file.name.to_string(), "role": "primary", "state": "no-server", "serial": zone.serial(), "records": zone.record_count(),
            "file": file.path.display().to_string(), "problem": null,
        })
    });
    let broken = sources.broken_zones.iter().map(|broken| {
        json!({
            "name": broken.name.to_string(), "role": "primary", "state": "no-server", "serial": null, "records": null,
            "file": broken.path.display().to_string(), "problem": broken.problems.first().map(ToString::to_string),
        })
    });
    good.chain(broken).collect()
}

fn listed(zones: &[Value], paint: Paint) -> Vec<String> {
    if zones.is_empty() {
        return nothing_hosted();
    }
    let width = zones.iter().filter_map(|zone| zone["name"].as_str()).map(|name| name.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for zone in zones {
        if zone["role"] == "secondary" {
            lines.push(zone_line(zone, paint).trim_start().to_owned());
            continue;
        }
        let state = match zone["state"].as_str().unwrap_or_default() {
            "served-as-read-before" => "served as read before",
            "not-served" => "not served",
            "no-server" if zone["problem"].is_string() => "broken",
            "no-server" => "no server runs",
            other => other,
        };
        let (name, file) = (zone["name"].as_str().unwrap_or_default(), zone["file"].as_str().unwrap_or_default());
        let figures = zone["serial"].as_u64().zip(zone["records"].as_u64());
        let figures = figures.map(|(serial, records)| format!("serial {serial}, {records} records, ")).unwrap_or_default();
        lines.push(format!("{name:width$}  {figures}{state}, {file}{}", unwritten(zone, paint)));
        lines.extend(zone["problem"].as_str().map(|problem| format!("  {}", paint.bad(problem))));
    }
    lines
}

fn nothing_hosted() -> Vec<String> {
    [
        "no zone is hosted",
        "  put a master file into the zones folder as NAME.zone, or name it in a [[zone]] of the configuration, and run `cairn reload`;",
        "  a [[zone]] with `primaries` is a copy of another server's zone",
    ]
    .map(str::to_owned)
    .into()
}

pub(super) fn show(args: &ShowArgs, everywhere: &Everywhere) -> u8 {
    let apex = &args.zone.zone;
    let only = args.name.as_ref().map(|name| Name::parse_bytes(name.as_bytes(), apex)).transpose();
    let only = match only {
        Ok(only) => only,
        Err(error) => {
            complain!("cairn: not a domain name: {error}");
            return FAILED;
        }
    };
    with_zone(&args.zone, everywhere, ZoneUse::Read, |file, zone| {
        let mut records = records(zone);
        records.retain(|record| only.as_ref().is_none_or(|only| record.owner == *only));
        if records.is_empty() {
            complain!("cairn: there is no record of this name in {apex}");
            return FAILED;
        }
        say!("; zone {apex}, serial {}, {} records, {file}", zone.serial(), zone.record_count());
        let rows: Vec<[String; 3]> = records
            .iter()
            .map(|record| [zone::relative_name(&record.owner, apex), record.ttl.to_string(), record.rtype.to_string()])
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (first, second, third) = (width(0), width(1), width(2));
        for ([name, ttl, rtype], record) in rows.iter().zip(&records) {
            say!("{name:first$}  {ttl:>second$}  {rtype:third$}  {}", record.data);
        }
        GOOD
    })
}

pub(super) fn export(args: &ExportArgs, everywhere: &Everywhere) -> u8 {
    let wanted = if args.signed { ZoneUse::ReadSigned } else { ZoneUse::Read };
    with_zone(&args.zone, everywhere, wanted, |_, zone| {
        for Shown { owner, ttl, rtype, data } in records(zone) {
            // An extension that other servers do not read.
            let comment = if rtype == Rtype::ALIAS { "; " } else { "" };
            say!("{comment}{owner} {ttl} IN {rtype} {data}");
        }
        GOOD
    })
}

fn with_zone(args: &Zone, everywhere: &Everywhere, wanted: ZoneUse, then: impl FnOnce(&str, &zone::Zone) -> u8) -> u8 {
    let read = args.find(everywhere, wanted).and_then(|hosted| {
        let zone = server::read_zone(&hosted)?;
        Ok((hosted, zone))
    });
    match read {
        Ok((hosted, zone)) => then(&hosted.path.display().to_string(), &zone),
        Err(error) => {
            complain!("{} {error}", Paint::stderr().bad("cairn:"));
            if matches!(error, ZoneError::Configuration(_)) { MISTAKE } else { FAILED }
        }
    }
}

/// A record in presentation form.
struct Shown {
    owner: Name,
    ttl: u32,
    rtype: Rtype,
    data: String,
}

/// The SOA first, as in a transfer, so that any server reads it; then in canonical order.
fn records(zone: &zone::Zone) -> Vec<Shown> {
    let mut all = Vec::new();
    for (owner, set) in zone.sets() {
        let Ok(owner) = Name::from_wire(owner) else { continue };
        let mut put = |rtype: Rtype, rdata: &[u8]| {
            all.push(Shown { owner: owner.clone(), ttl: set.ttl, rtype, data: rdata_to_text(rtype, rdata) });
        };
        set.rdatas().for_each(|rdata| put(set.rtype, rdata));
        set.sigs().for_each(|rdata| put(Rtype::RRSIG, rdata));
    }
    all.sort_unstable_by(|one, other| {
        let rank = |shown: &Shown| (shown.rtype != Rtype::SOA, shown.rtype);
        one.owner.cmp(&other.owner).then_with(|| rank(one).cmp(&rank(other))).then_with(|| one.data.cmp(&other.data))
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_says_how_to_host_a_zone() {
        let lines = listed(&[], Paint::none());
        assert!(lines[0] == "no zone is hosted" && lines[1].contains("NAME.zone"), "{lines:?}");
    }

    #[test]
    fn a_list_is_read_by_people() {
        let zones = [
            json!({ "name": "a.example.", "state": "served", "serial": 7, "records": 3, "file": "/zones/a", "problem": null }),
            json!({ "name": "long.example.", "state": "no-server", "serial": null, "records": null, "file": "b", "problem": "b:5:7: wrong" }),
        ];
        assert_eq!(
            listed(&zones, Paint::none()),
            ["a.example.     serial 7, 3 records, served, /zones/a", "long.example.  broken, b", "  b:5:7: wrong",]
        );
    }
}
