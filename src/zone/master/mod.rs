//! Master files (RFC 1035 5): from text to a zone, or to plain RRsets.
//!
//! `parser.rs` reads entries and keeps what one entry leaves to the next (origin, owner, TTL); `free_text.rs` warns of missing
//! quotes; `directives.rs` handles $ORIGIN, $TTL and $INCLUDE, `generate.rs` $GENERATE. `record` reads tokens and RDATA. A
//! closure of the caller opens files, and decides what a relative path means.
//!
//! For changes, `lines.rs` keeps a file as its lines, `change.rs` says which records go and come, and `rewrite.rs` writes them
//! as the lines around them are written (`style.rs`), with the next serial (`serial.rs`).
//!
//! Where BIND, NSD and ldns disagree: a zone without NS or glue, with expired signatures or with data outside the zone (which
//! is left out with a warning) is served; CNAME together with other data, types that only queries may have and SVCB values that
//! RFC 9460 forbids are refused, because answers from them would be wrong.
//!
//! Knows nothing of: directories, reloading, what makes a good zone.

mod change;
mod directives;
mod free_text;
mod generate;
mod lines;
mod parser;
mod rewrite;
mod serial;
mod style;

use std::collections::HashMap;
use std::io;

pub use self::change::{Change, Delta, NewRecord, Refusal, record_type, serial};
pub use self::lines::{MasterFile, ZoneRecord};
use self::parser::{Open, Parser, Record};
pub use self::serial::next_serial;
pub use self::style::relative_name;
use super::builder::ZoneBuilder;
use super::check;
use super::lookup::within;
use super::problem::{Problem, Problems};
use super::tree::Zone;
use crate::limits::zone::SMALL_FILE_SET_BYTES_MAX;
use crate::record::{Name, RrSet, Rtype};

/// Reads the master file `file` of the zone `apex`. The problems returned with a zone are warnings only.
pub fn load_zone(apex: &Name, file: &str, open: Open<'_>) -> Result<(Zone, Vec<Problem>), Vec<Problem>> {
    let mut builder = ZoneBuilder::new(apex.clone());
    let mut take = |record: &Record<'_>, problems: &mut Problems| {
        if !within(record.owner, apex.as_wire()) {
            if let Ok(owner) = Name::from_wire(record.owner) {
                if record.rtype == Rtype::SOA {
                    builder.soa_elsewhere.get_or_insert((owner.clone(), record.place));
                }
                problems.warning(
                    record.place,
                    format!("found a record for {owner}, expected names in {apex}: it is left out; write it into the file of its own zone"),
                );
            }
        } else if builder.add(record.owner, record.rtype, record.ttl, record.rdata, record.place).is_err() {
            problems.error(record.place, "found more than 4 GiB of data, expected a smaller zone");
        }
    };
    let mut parser = Parser::new(apex, open, &mut take);
    parser.load(file);
    let mut problems = parser.into_problems();
    builder.arrange();
    check::zone(&builder, &mut problems);
    let zone = if problems.error_count() == 0 { builder.finish(&mut problems) } else { None };
    match zone {
        Some(zone) => Ok((zone, problems.finish())),
        None => Err(problems.finish()),
    }
}

/// Reads a file of records that are not a zone: root hints, trust anchors. Relative names are below the root; a record without
/// TTL gets an hour. The RRsets are in the order of the file.
pub fn parse_records(file: &str, text: &[u8]) -> Result<(Vec<RrSet>, Vec<Problem>), Vec<Problem>> {
    let mut sets: Vec<RrSet> = Vec::new();
    let mut known: HashMap<(Name, Rtype), usize> = HashMap::new();
    let mut take = |record: &Record<'_>, problems: &mut Problems| {
        let Ok(name) = Name::from_wire(record.owner) else { return };
        let at = *known.entry((name.clone(), record.rtype)).or_insert_with(|| {
            sets.push(RrSet::new(name, record.rtype, record.ttl));
            sets.len() - 1
        });
        let set = &mut sets[at];
        set.ttl = set.ttl.min(record.ttl);
        if set.data.bytes() > SMALL_FILE_SET_BYTES_MAX {
            problems.error(record.place, "found an endless record set, expected a small file of records");
        } else {
            set.data.push_new(record.rdata);
        }
    };
    let mut first = Some(text.to_vec());
    let mut open = |_: &str| first.take().ok_or_else(|| io::Error::other("a file of records includes no other"));
    let mut parser = Parser::new(&Name::root(), &mut open, &mut take);
    parser.without_ttl = Some(3600);
    parser.load(file);
    let problems = parser.into_problems();
    match problems.error_count() {
        0 => Ok((sets, problems.finish())),
        _ => Err(problems.finish()),
    }
}

#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod tests;
