//! A master file as its lines: what each entry says, which octets of the text say it, and what was in force there.
//!
//! The text is kept octet for octet: comments, blank lines and spacing lie between and inside the entries, and an edit
//! (`rewrite.rs`) copies all that it does not change. Records made by $GENERATE or read by $INCLUDE are known with their
//! places, but have no octets of their own here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use super::super::problem::{Place, Problem, Problems};
use super::parser::{MAIN_FILE, Open, Parser, Record, head};
use crate::record::{Lexer, Name, Rtype, Token, canonical_rdata, rdata_to_text};

/// One record of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRecord {
    pub owner: Name,
    pub rtype: Rtype,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

impl ZoneRecord {
    /// RDATA for comparisons: without regard to letter case in names (RFC 4034 6.2).
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut canonical = Vec::with_capacity(self.rdata.len());
        canonical_rdata(self.rtype, &self.rdata, &mut canonical);
        canonical
    }

    /// In presentation form, names absolute.
    pub fn data(&self) -> String {
        rdata_to_text(self.rtype, &self.rdata)
    }
}

/// A master file without mistakes.
pub struct MasterFile {
    pub(super) apex: Name,
    pub(super) text: Vec<u8>,
    pub(super) lines: Vec<Line>,
    pub(super) records: Vec<Held>,
    /// Wire names, letter case as written. The first is the apex.
    pub(super) origins: Vec<Box<[u8]>>,
    files: Vec<String>,
}

/// A record, and what says it.
pub(super) struct Held {
    pub(super) record: ZoneRecord,
    place: Place,
    /// Index of the entry of the main file.
    pub(super) line: usize,
}

/// An entry: one line, or several in parentheses.
pub(super) struct Line {
    pub(super) start: usize,
    /// Past the line feed.
    pub(super) end: usize,
    pub(super) indented: bool,
    pub(super) kind: Kind,
    /// What is in force behind it.
    pub(super) origin: usize,
    pub(super) default_ttl: Option<u32>,
    pub(super) last_ttl: Option<u32>,
    /// Index of the first record that it says.
    pub(super) record: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says one record.
    Record {
        has_ttl: bool,
    },
    Directive,
}

impl MasterFile {
    /// Reads a file, and those that it includes. `without_ttl` is the TTL of records that have none, where nothing else says one.
    pub fn read(apex: &Name, file: &str, without_ttl: Option<u32>, open: Open<'_>) -> Result<MasterFile, Vec<Problem>> {
        let found: RefCell<Vec<(ZoneRecord, Place)>> = RefCell::default();
        let mut take = |record: &Record<'_>, _: &mut Problems| {
            let Ok(owner) = Name::from_wire(record.owner) else { return };
            let (rtype, ttl, rdata) = (record.rtype, record.ttl, record.rdata.to_vec());
            found.borrow_mut().push((ZoneRecord { owner, rtype, ttl, rdata }, record.place));
        };
        let mut parser = Parser::new(apex, open, &mut take);
        parser.without_ttl = without_ttl;
        let mut lines: Vec<Line> = Vec::new();
        let mut origins: Vec<Box<[u8]>> = vec![apex.as_wire().into()];
        let mut numbers: HashMap<Vec<u8>, usize> = HashMap::from([(apex.as_wire().to_vec(), 0)]);
        let text = parser.main_text(file).unwrap_or_default();
        let (mut lexer, mut tokens, mut origin) = (Lexer::new(&text), Vec::new(), 0);
        while !parser.problems.is_full() {
            let entry = match lexer.next_entry(&mut tokens) {
                Ok(None) => break,
                Ok(Some(entry)) => entry,
                Err(error) => {
                    parser.problems.text_error(Place { file: MAIN_FILE, line: error.line }, &error);
                    continue;
                }
            };
            let (place, record) = (Place { file: MAIN_FILE, line: entry.line }, found.borrow().len());
            if let Err(error) = parser.entry(entry, &tokens, place, 0) {
                parser.problems.text_error(place, &error);
            }
            if *origins[origin] != *parser.origin {
                origin = *numbers.entry(parser.origin.clone()).or_insert_with(|| {
                    origins.push(parser.origin.as_slice().into());
                    origins.len() - 1
                });
            }
            lines.push(Line {
                start: entry.start,
                end: entry.end,
                indented: entry.indented,
                kind: kind(&tokens, entry.indented),
                origin,
                default_ttl: parser.default_ttl,
                last_ttl: parser.last_ttl,
                record,
            });
        }
        let problems = parser.into_problems();
        if problems.error_count() > 0 {
            return Err(problems.finish());
        }
        let mut at = 0;
        let held = found.into_inner().into_iter().enumerate().map(|(number, (record, place))| {
            while lines.get(at + 1).is_some_and(|next| next.record <= number) {
                at += 1;
            }
            Held { record, place, line: at }
        });
        let records: Vec<Held> = held.collect();
        let last_file = records.iter().map(|held| held.place.file).max().unwrap_or(MAIN_FILE);
        let files = (0..=last_file).map(|number| problems.file_name(number).to_string()).collect();
        Ok(MasterFile { apex: apex.clone(), text, lines, records, origins, files })
    }

    /// The same file with another text. Files that it includes are opened again.
    pub(super) fn read_as(&self, text: Vec<u8>, open: Open<'_>) -> Result<MasterFile, Vec<Problem>> {
        let mut main = Some(text);
        let mut open = |name: &str| match main.take() {
            Some(text) => Ok(text),
            None => open(name).map_err(io::Error::other),
        };
        MasterFile::read(&self.apex, self.files.first().map_or("", String::as_str), None, &mut open)
    }

    /// Octet for octet as it was read.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Every record of the zone, in the order of the file; what is not within the zone is left out.
    pub fn records(&self) -> impl Iterator<Item = &ZoneRecord> {
        self.records.iter().map(|held| &held.record).filter(|record| record.owner.is_within(&self.apex))
    }

    /// The first record that is not within the zone, and its place.
    pub fn outside(&self) -> Option<(&ZoneRecord, String)> {
        let held = self.records.iter().find(|held| !held.record.owner.is_within(&self.apex))?;
        Some((&held.record, self.place(held)))
    }

    fn place(&self, held: &Held) -> String {
        let file = self.files.get(usize::from(held.place.file)).map_or("", String::as_str);
        format!("{file}:{}", held.place.line)
    }

    /// The first SOA of the apex.
    pub fn soa(&self) -> Option<&ZoneRecord> {
        self.records().find(|record| record.rtype == Rtype::SOA && record.owner == self.apex)
    }

    /// Why a record cannot be edited in this file; `None`: it can.
    pub(super) fn made_elsewhere(&self, held: &Held) -> Option<String> {
        let is_record = self.lines.get(held.line).is_some_and(|line| line.kind != Kind::Directive);
        if is_record {
            return None;
        }
        let how = if held.place.file == MAIN_FILE { "is made by the $GENERATE at" } else { "is read by $INCLUDE from" };
        Some(format!("{how} {}", self.place(held)))
    }

    pub(super) fn line_text(&self, line: &Line) -> &[u8] {
        &self.text[line.start..line.end]
    }

    /// Index of the record that a line says.
    pub(super) fn said_by(&self, line: &Line) -> Option<&ZoneRecord> {
        self.records.get(line.record).map(|held| &held.record)
    }
}

fn kind(tokens: &[Token<'_>], indented: bool) -> Kind {
    let is_directive = tokens.first().is_some_and(|first| !indented && !first.quoted && first.raw.starts_with(b"$"));
    if is_directive {
        return Kind::Directive;
    }
    let after_owner = tokens.get(usize::from(!indented)..).unwrap_or_default();
    Kind::Record { has_ttl: head(after_owner).is_ok_and(|head| head.ttl.is_some()) }
}
