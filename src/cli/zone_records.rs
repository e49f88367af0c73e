//! `cairn zone add`, `set`, `remove` and `import`: words become a change of a zone, and what it did is told.

use std::path::PathBuf;

use clap::Args;

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::explain::parse_name;
use super::run::{Everywhere, FileArgs};
use super::terminal::{Paint, complain, say};
use crate::record::{Name, Rtype, parse_duration, to_ascii_name};
use crate::server::{self, HostedZone, InForce, ZoneError, ZoneUse};
use crate::zone::{Change, NewRecord, ZoneRecord, record_type};

/// Records that are printed one by one.
const SHOWN: usize = 20;

/// The zone that is meant.
#[derive(Debug, Args)]
pub(super) struct Zone {
    /// The zone
    #[arg(value_name = "ZONE", value_parser = parse_name)]
    pub(super) zone: Name,
    #[command(flatten)]
    files: FileArgs,
}

impl Zone {
    pub(super) fn find(&self, everywhere: &Everywhere, wanted: ZoneUse) -> Result<HostedZone, ZoneError> {
        server::hosted_zone(&self.files.start_options(everywhere), &everywhere.control_sockets(), &self.zone, wanted)
    }
}

/// Add a record; the zone's other records stay
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone add example.org www 300 A 192.0.2.10
  cairn zone add example.org @ 1h MX '10 mail'
  cairn zone add example.org _dmarc 1h TXT '\"v=DMARC1; p=reject\"'

A record set has one TTL: records of the same name and type get the one of the new record.")]
pub(super) struct AddArgs {
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    records: Records,
}

/// Put one or more records in place of all of one name and type
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone set example.org www 300 A 192.0.2.11 192.0.2.12
  cairn zone set example.org @ 1d NS ns1 ns2.example.net.")]
pub(super) struct SetArgs {
    #[command(flatten)]
    zone: Zone,
    #[command(flatten)]
    records: Records,
}

#[derive(Debug, Args)]
struct Records {
    /// Relative to the zone (www), @ for the zone itself, or absolute with a final dot
    name: String,
    /// How long resolvers may keep it: seconds, or as 5m, 1h, 1d
    #[arg(value_parser = parse_ttl)]
    ttl: u32,
    /// As A, AAAA, MX, TXT
    #[arg(value_name = "TYPE", value_parser = record_type)]
    rtype: Rtype,
    /// As in a master file, one argument for each record: '10 mail'
    #[arg(required = true, allow_negative_numbers = true)]
    data: Vec<String>,
}

/// Remove a name, all its records of one type, or one record
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone remove example.org old
  cairn zone remove example.org www AAAA
  cairn zone remove example.org @ MX '10 mail'")]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    zone: Zone,
    /// Relative to the zone (www), @ for the zone itself, or absolute with a final dot
    name: String,
    /// Only records of this type
    #[arg(value_name = "TYPE", value_parser = record_type)]
    rtype: Option<Rtype>,
    /// Only the record with this data
    #[arg(allow_negative_numbers = true)]
    data: Option<String>,
}

/// Add the records of a master file; it needs no SOA, and one that it has is left out
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cairn zone import example.org more.txt")]
pub(super) struct ImportArgs {
    #[command(flatten)]
    zone: Zone,
    /// Names without a final dot are relative to the zone
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

fn parse_ttl(text: &str) -> Result<u32, String> {
    let ttl = parse_duration(text.as_bytes()).filter(|ttl| i32::try_from(*ttl).is_ok());
    ttl.ok_or_else(|| "expected seconds, or a time such as 5m, 1h, 1d; at most 2147483647 seconds".to_owned())
}

pub(super) fn add(args: &AddArgs, everywhere: &Everywhere) -> u8 {
    if let [_, _, ..] = &args.records.data[..] {
        let whole = args.records.data.join(" ");
        complain!("{} DATA is one argument: write '{whole}'; `cairn zone set` takes several records", Paint::stderr().bad("cairn:"));
        return MISTAKE;
    }
    with_records(&args.zone, &args.records, everywhere, Change::Add)
}

pub(super) fn set(args: &SetArgs, everywhere: &Everywhere) -> u8 {
    with_records(&args.zone, &args.records, everywhere, Change::Set)
}

fn with_records(zone: &Zone, records: &Records, everywhere: &Everywhere, change: impl FnOnce(Vec<NewRecord>) -> Change) -> u8 {
    let Records { name, ttl, rtype, data } = records;
    let owner = match owner(&zone.zone, name).and_then(|owner| not_doubled(&zone.zone, name).map(|()| owner)) {
        Ok(owner) => owner,
        Err(what) => return refused(&what, FAILED),
    };
    let records = data.iter().map(|data| NewRecord::parse(&zone.zone, owner.clone(), *ttl, *rtype, data)).collect::<Result<Vec<_>, _>>();
    match records {
        Ok(records) => carry_out(zone, everywhere, |_| Ok(change(records))),
        Err(what) => refused(&what, MISTAKE),
    }
}

pub(super) fn remove(args: &RemoveArgs, everywhere: &Everywhere) -> u8 {
    let owner = match owner(&args.zone.zone, &args.name) {
        Ok(owner) => owner,
        Err(what) => return refused(&what, FAILED),
    };
    let data = args.data.as_ref().zip(args.rtype);
    let record = data.map(|(data, rtype)| NewRecord::parse(&args.zone.zone, owner.clone(), 0, rtype, data)).transpose();
    match record {
        Ok(record) => {
            let rdata = record.map(|new| new.record.rdata);
            carry_out(&args.zone, everywhere, |_| Ok(Change::Remove { owner, rtype: args.rtype, rdata }))
        }
        Err(what) => refused(&what, MISTAKE),
    }
}

pub(super) fn import(args: &ImportArgs, everywhere: &Everywhere) -> u8 {
    carry_out(&args.zone, everywhere, |hosted| {
        let zone = server::read_zone(hosted)?;
        let ttl = zone.soa().ttl;
        let records = server::read_records(&hosted.name, &args.file, ttl)?;
        let (soa, records): (Vec<_>, Vec<_>) = records.into_iter().partition(|record| record.rtype == Rtype::SOA);
        if !soa.is_empty() {
            say!("note: the SOA record of {} is left out", args.file.display());
        }
        Ok(Change::Add(records.into_iter().map(|record| NewRecord { record, written: None }).collect()))
    })
}

/// Makes the change, has the running server take it over, and tells both.
fn carry_out(zone: &Zone, everywhere: &Everywhere, change: impl FnOnce(&HostedZone) -> Result<Change, ZoneError>) -> u8 {
    let done = zone.find(everywhere, ZoneUse::Change).and_then(|hosted| {
        let change = change(&hosted)?;
        server::change_zone(&hosted, &change).map(|changed| (hosted, changed))
    });
    let (hosted, changed) = match done {
        Ok(done) => done,
        Err(error) => {
            let code = if matches!(error, ZoneError::Configuration(_)) { MISTAKE } else { FAILED };
            return refused(&error.to_string(), code);
        }
    };
    if changed.delta.removed.is_empty() && changed.delta.added.is_empty() {
        say!("{} is so already: nothing changed", hosted.name);
    }
    print_records('-', changed.delta.removed.iter());
    print_records('+', changed.delta.added.iter().map(|new| &new.record));
    for warning in &changed.warnings {
        complain!("{warning}");
    }
    let sockets = everywhere.control_sockets();
    let (name, serial, file) = (&hosted.name, changed.serial, hosted.path.display());
    match server::put_in_force(&sockets, everywhere.config.as_deref(), name, serial) {
        InForce::Yes => {
            say!("{name} serial {serial} is in force");
            GOOD
        }
        InForce::NoServer => {
            say!("{name} serial {serial} is in {file}; no server is running here that serves it");
            GOOD
        }
        InForce::No(why) => {
            complain!("{} {name} serial {serial} is in {file}, and not in force:", Paint::stderr().bad("cairn:"));
            why.iter().for_each(|line| complain!("{line}"));
            FAILED
        }
    }
}

fn print_records<'r>(sign: char, records: impl Iterator<Item = &'r ZoneRecord>) {
    let records: Vec<&ZoneRecord> = records.filter(|record| record.rtype != Rtype::SOA).collect();
    for record in records.iter().take(SHOWN) {
        say!("{sign} {} {} {} {}", record.owner, record.ttl, record.rtype, record.data());
    }
    if records.len() > SHOWN {
        say!("{sign} and {} more", records.len() - SHOWN);
    }
}

fn refused(what: &str, code: u8) -> u8 {
    complain!("{} {what}", Paint::stderr().bad("cairn:"));
    code
}

/// The owner that NAME means.
fn owner(zone: &Name, text: &str) -> Result<Name, String> {
    let ascii = if text.is_ascii() { Some(text.to_owned()) } else { to_ascii_name(text) };
    let owner = ascii.map(|ascii| Name::parse_bytes(ascii.as_bytes(), zone).map_err(|error| error.to_string()));
    owner.unwrap_or_else(|| Err("it has no form in ASCII".to_owned())).map_err(|error| format!("\"{text}\" is not a domain name: {error}"))
}

/// `www.example.org` without a final dot, in the zone `example.org`: the zone's name would come twice.
fn not_doubled(zone: &Name, text: &str) -> Result<(), String> {
    let Ok(absolute) = parse_name(text) else { return Ok(()) };
    if text.ends_with('.') || absolute.label_count() < 2 || zone.is_root() || !absolute.is_within(zone) {
        return Ok(());
    }
    let doubled = owner(zone, text)?;
    Err(format!(
        "{text} is relative to the zone, which makes it {doubled}: write {text}. with a final dot, or the part before {zone} alone"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_zone() {
        let zone = Name::parse("example.org").expect("a name");
        for (text, expected) in [
            ("@", "example.org."),
            ("www", "www.example.org."),
            ("*", "*.example.org."),
            ("a.b", "a.b.example.org."),
            ("www.example.org.", "www.example.org."),
            ("www.example.net.", "www.example.net."),
            ("müller", "xn--mller-kva.example.org."),
        ] {
            assert_eq!(owner(&zone, text).map(|name| name.to_string()).as_deref(), Ok(expected));
            assert_eq!(not_doubled(&zone, text), Ok(()));
        }
        assert!(owner(&zone, "a..b").is_err());
        for text in ["www.example.org", "example.org", "WWW.Example.Org", "m\u{fc}ller.example.org"] {
            let told = not_doubled(&zone, text).expect_err("twice");
            assert!(told.contains(&format!("write {text}. with a final dot")), "{told}");
        }
        let lan = Name::parse("lan").expect("a name");
        assert_eq!((not_doubled(&lan, "lan"), not_doubled(&lan, "www.lan").is_err()), (Ok(()), true));
    }
}
