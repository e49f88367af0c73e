//! Records that go and come become a new text, in which every other octet is as it was.
//!
//! A record whose data or TTL changes is changed in its line; a new one is written behind the last of its set, else behind the
//! last of its name, else behind the last line where its name is written shortest. Lines that take owner or TTL from a line which
//! changes are given their own. At the end the new text is read, and must say exactly the records that were asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::change::{Delta, NewRecord, Refusal};
use super::lines::{Held, Kind, Line, MasterFile, ZoneRecord};
use super::parser::Open;
use super::style::{Fields, Style, column_at_end, pad, span};
use crate::limits::zone::{KEPT_FIELDS_MAX, NEIGHBOUR_LINES_MAX};
use crate::record::{Lexer, Name, Rtype, Token, rdata_from_tokens};

/// Lines that show how records are written near a new one.
const NEIGHBOURS: usize = 5;

impl MasterFile {
    /// The file with the change made. `open` opens what the file includes.
    pub fn edited(&self, delta: &Delta, open: Open<'_>) -> Result<MasterFile, Refusal> {
        let text = Plan::of(self, delta)?.carry_out();
        let edited = self.read_as(text, open).map_err(|_| Refusal::Entangled)?;
        let mut wanted = sorted(self.records.iter().map(|held| &held.record));
        let gone = sorted(delta.removed.iter());
        wanted.retain(|record| gone.binary_search(record).is_err());
        wanted.extend(sorted(delta.added.iter().map(|new| &new.record)));
        wanted.sort_unstable();
        wanted.dedup();
        match wanted == sorted(edited.records.iter().map(|held| &held.record)) {
            true => Ok(edited),
            false => Err(Refusal::Entangled),
        }
    }
}

/// Repeated records count once.
fn sorted<'r>(records: impl Iterator<Item = &'r ZoneRecord>) -> Vec<(&'r Name, Rtype, u32, Vec<u8>)> {
    let mut all: Vec<_> = records.map(|record| (&record.owner, record.rtype, record.ttl, record.canonical())).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What becomes of a line.
enum Action<'d> {
    Remove,
    /// The record gets this TTL, and the data of another record.
    Replace {
        ttl: u32,
        with: Option<&'d NewRecord>,
    },
}

/// What is to be done to which line.
struct Plan<'f, 'd> {
    file: &'f MasterFile,
    actions: HashMap<usize, Action<'d>>,
    /// New records by the line that they follow.
    inserts: BTreeMap<usize, Vec<&'d NewRecord>>,
    /// At the end of a file without any record of its own.
    at_end: Vec<&'d NewRecord>,
}

/// The records of one set that go, each with its lines, and those that come.
#[derive(Default)]
struct SetChange<'d> {
    gone: Vec<(Vec<u8>, Vec<usize>)>,
    /// With their numbers in the order in which they were asked for.
    new: Vec<(usize, &'d NewRecord)>,
}

impl<'f, 'd> Plan<'f, 'd> {
    fn of(file: &'f MasterFile, delta: &'d Delta) -> Result<Plan<'f, 'd>, Refusal> {
        let mut sets: BTreeMap<(&Name, Rtype), SetChange<'d>> = BTreeMap::new();
        let keys: HashSet<(&Name, Rtype)> = delta.removed.iter().map(|record| (&record.owner, record.rtype)).collect();
        let mut held: HashMap<(&Name, Rtype, u32, Vec<u8>), Vec<usize>> = HashMap::new();
        for (number, Held { record, .. }) in file.records.iter().enumerate() {
            if keys.contains(&(&record.owner, record.rtype)) {
                held.entry((&record.owner, record.rtype, record.ttl, record.canonical())).or_default().push(number);
            }
        }
        for record in &delta.removed {
            // The same record may be written twice.
            let key = (&record.owner, record.rtype, record.ttl, record.canonical());
            let Some(numbers) = held.remove(&key) else { continue };
            for number in &numbers {
                if let Some(place) = file.made_elsewhere(&file.records[*number]) {
                    let what = format!("{} {} {}", record.owner, record.rtype, record.data());
                    return Err(Refusal::MadeElsewhere(what, place));
                }
            }
            let lines = numbers.iter().map(|number| file.records[*number].line).collect();
            sets.entry((&record.owner, record.rtype)).or_default().gone.push((record.canonical(), lines));
        }
        for (number, new) in delta.added.iter().enumerate() {
            sets.entry((&new.record.owner, new.record.rtype)).or_default().new.push((number, new));
        }
        let mut plan = Plan { file, actions: HashMap::new(), inserts: BTreeMap::new(), at_end: Vec::new() };
        let mut unplaced = Vec::new();
        for change in sets.into_values() {
            unplaced.extend(plan.pair(change));
        }
        unplaced.sort_unstable_by_key(|(number, _)| *number);
        plan.place(unplaced.into_iter().map(|(_, new)| new).collect());
        Ok(plan)
    }

    /// Records that come take the lines of those that go. Returns those for which there is no line.
    fn pair(&mut self, SetChange { gone, new }: SetChange<'d>) -> Vec<(usize, &'d NewRecord)> {
        let mut lines: Vec<(Vec<u8>, usize)> = Vec::new();
        for (data, at) in gone {
            lines.extend(at.first().map(|first| (data, *first)));
            self.actions.extend(at.into_iter().skip(1).map(|again| (again, Action::Remove)));
        }
        let mut rest = Vec::new();
        for (number, new) in new {
            let canonical = new.record.canonical();
            match lines.iter().position(|(data, _)| *data == canonical) {
                Some(at) => {
                    let (_, line) = lines.remove(at);
                    self.actions.insert(line, Action::Replace { ttl: new.record.ttl, with: None });
                }
                None => rest.push((number, new)),
            }
        }
        let count = lines.len().min(rest.len());
        let left = rest.split_off(count);
        for (number, (_, line)) in lines.into_iter().enumerate() {
            let action = rest.get(number).map_or(Action::Remove, |(_, new)| Action::Replace { ttl: new.record.ttl, with: Some(new) });
            self.actions.insert(line, action);
        }
        left
    }

    fn place(&mut self, new: Vec<&'d NewRecord>) {
        if new.is_empty() {
            return;
        }
        let file = self.file;
        let mut by_set: HashMap<(&Name, Rtype), usize> = HashMap::new();
        let mut by_owner: HashMap<&Name, usize> = HashMap::new();
        let mut by_origin: Vec<Option<usize>> = vec![None; file.origins.len()];
        for (number, line) in file.lines.iter().enumerate().filter(|(_, line)| line.kind != Kind::Directive) {
            let Some(record) = file.said_by(line) else { continue };
            by_set.insert((&record.owner, record.rtype), number);
            by_owner.insert(&record.owner, number);
            by_origin[line.origin] = Some(number);
        }
        let origins: Vec<(Option<Name>, Option<usize>)> =
            file.origins.iter().map(|origin| Name::from_wire(origin).ok()).zip(by_origin).collect();
        for new in new {
            let (owner, rtype) = (&new.record.owner, new.record.rtype);
            let fitting = origins.iter().filter_map(|(origin, last)| Some((origin.as_ref()?, (*last)?)));
            let nearest = || {
                let within = fitting.filter(|(origin, _)| owner.is_within(origin));
                within.max_by_key(|(origin, last)| (origin.label_count(), *last)).map(|(_, last)| last)
            };
            match by_set.get(&(owner, rtype)).or_else(|| by_owner.get(owner)).copied().or_else(nearest) {
                Some(line) => self.inserts.entry(line).or_default().push(new),
                None => self.at_end.push(new),
            }
        }
    }

    fn carry_out(self) -> Vec<u8> {
        let file = self.file;
        let mut writing = Writing { file, out: Vec::with_capacity(file.text.len() + 256), owner: None, last_ttl: None };
        let (mut copied, mut last_ttl_before) = (0, None);
        for (number, line) in file.lines.iter().enumerate() {
            writing.out.extend_from_slice(&file.text[copied..line.start]);
            copied = line.end;
            let mut displaced = None;
            match (line.kind, file.said_by(line), self.actions.get(&number)) {
                (Kind::Record { has_ttl }, Some(record), action) => {
                    displaced = writing.record(line, has_ttl, record, action, last_ttl_before);
                }
                _ => {
                    writing.out.extend_from_slice(file.line_text(line));
                    if line.last_ttl != last_ttl_before {
                        writing.last_ttl = line.last_ttl;
                    }
                }
            }
            last_ttl_before = line.last_ttl;
            for new in displaced.into_iter().chain(self.inserts.get(&number).into_iter().flatten().copied()) {
                writing.insert(new, Some(number));
            }
        }
        writing.out.extend_from_slice(&file.text[copied..]);
        for new in self.at_end {
            writing.insert(new, file.lines.len().checked_sub(1));
        }
        writing.out
    }
}

/// The new text as far as it is written, and what a reader would know at its end.
struct Writing<'f> {
    file: &'f MasterFile,
    out: Vec<u8>,
    owner: Option<Name>,
    last_ttl: Option<u32>,
}

impl Writing<'_> {
    /// Writes a line of the old text. Returns the record that is to be written as a line of its own instead.
    fn record<'d>(
        &mut self,
        line: &Line,
        has_ttl: bool,
        record: &ZoneRecord,
        action: Option<&Action<'d>>,
        last_ttl_before: Option<u32>,
    ) -> Option<&'d NewRecord> {
        let (ttl, with) = match action {
            Some(Action::Remove) => return None,
            Some(Action::Replace { ttl, with }) => (*ttl, *with),
            None => (record.ttl, None),
        };
        let text = self.file.line_text(line);
        let needs_owner = line.indented && self.owner.as_ref() != Some(&record.owner);
        let inherited = line.default_ttl.or(self.last_ttl);
        // A SOA without TTL and $TTL takes its MINIMUM, and is the first record: nothing is inherited there.
        let is_first = line.default_ttl.is_none() && last_ttl_before.is_none() && self.last_ttl.is_none();
        let needs_ttl = if has_ttl { ttl != record.ttl } else { inherited != Some(ttl) && !is_first };
        if !needs_owner && !needs_ttl && with.is_none() {
            self.out.extend_from_slice(text);
        } else {
            let mut edits: Vec<(Range<usize>, String)> = Vec::new();
            let Some(fields) = Fields::of(text) else {
                self.out.extend_from_slice(text);
                return None;
            };
            let origin = &self.file.origins[line.origin];
            if let Some(new) = with {
                match data_edits(&fields, new, text, origin, self.file) {
                    Some(of_data) => edits.extend(of_data),
                    None => return with,
                }
            }
            if needs_ttl {
                edits.push(ttl_edit(&fields, ttl, text, needs_owner));
            }
            if needs_owner {
                edits.push(owner_edit(&record.owner, origin, text));
            }
            self.out.extend(spliced(text, edits));
        }
        self.owner = Some(record.owner.clone());
        if has_ttl || needs_ttl {
            self.last_ttl = Some(ttl);
        }
        None
    }

    /// Writes a new line behind the line `after` of the old text.
    fn insert(&mut self, new: &NewRecord, after: Option<usize>) {
        let NewRecord { record, .. } = new;
        let file = self.file;
        let elides_owner = self.owner.as_ref() == Some(&record.owner) && after.is_some_and(|after| elides_owners(file, after));
        let is_record = |line: &&Line| line.kind != Kind::Directive;
        let above = file.lines[..after.map_or(0, |after| after + 1)].iter().rev().filter(is_record).take(NEIGHBOURS);
        // A line without owner stands in the column of other such lines.
        let like = after
            .filter(|_| elides_owner)
            .and_then(|after| around(after).find_map(|near| file.lines.get(near).filter(|line| line.indented)));
        let neighbours: Vec<&[u8]> = like.into_iter().filter(is_record).chain(above).map(|line| file.line_text(line)).collect();
        let style = Style::of(&neighbours);
        let line = after.map(|after| &file.lines[after]);
        let origin = line.map_or(file.apex.as_wire(), |line| &file.origins[line.origin]);
        let inherited = line.and_then(|line| line.default_ttl).or(self.last_ttl);
        let owner = match elides_owner {
            true => None,
            false => Some(same_owner(file, after, &record.owner).unwrap_or_else(|| style.owner(&record.owner, origin))),
        };
        let ttl = Some(record.ttl).filter(|ttl| style.writes_ttl || inherited != Some(*ttl));
        let data = data_text(new, origin, file);
        let text = style.line(owner.as_deref(), ttl, &record.rtype.to_string(), &data);
        let ending = line_ending(&file.text);
        if !self.out.is_empty() && !self.out.ends_with(b"\n") {
            self.out.extend_from_slice(ending);
        }
        self.out.extend_from_slice(text.as_bytes());
        self.out.extend_from_slice(ending);
        self.owner = Some(record.owner.clone());
        if ttl.is_some() {
            self.last_ttl = ttl;
        }
    }
}

fn line_ending(text: &[u8]) -> &'static [u8] {
    match text.iter().position(|octet| *octet == b'\n') {
        Some(at) if text[..at].ends_with(b"\r") => b"\r\n",
        _ => b"\n",
    }
}

/// The data as it is written where `origin` is in force.
fn data_text(new: &NewRecord, origin: &[u8], file: &MasterFile) -> String {
    // A name without a final dot would mean another one below another origin.
    let written = new.written.as_ref().filter(|_| origin.eq_ignore_ascii_case(file.apex.as_wire()));
    written.map_or_else(|| new.record.data(), |written| joined(&tokens_of(written)))
}

fn tokens_of(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    match Lexer::new(text.as_bytes()).next_entry(&mut tokens) {
        Ok(_) => tokens,
        Err(_) => Vec::new(),
    }
}

fn joined(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for token in tokens {
        if !text.is_empty() && !token.joined {
            text.push(' ');
        }
        text.push_str(&token_text(token));
    }
    text
}

fn token_text(token: &Token<'_>) -> String {
    let raw = String::from_utf8_lossy(token.raw);
    if token.quoted { format!("\"{raw}\"") } else { raw.into_owned() }
}

/// Puts other data in the place of a record's data; `None` where it does not fit there.
fn data_edits(fields: &Fields<'_>, new: &NewRecord, text: &[u8], origin: &[u8], file: &MasterFile) -> Option<Vec<(Range<usize>, String)>> {
    let written = data_text(new, origin, file);
    let (old, wanted) = (&fields.data, tokens_of(&written));
    let is_apart = |tokens: &[Token<'_>]| tokens.iter().skip(1).all(|token| !token.joined);
    if old.len() == wanted.len() && old.len() <= KEPT_FIELDS_MAX && is_apart(old) && is_apart(&wanted) {
        // A field that means the same stays as it is written.
        let (mut mixed, canonical) = (wanted.clone(), new.record.canonical());
        let mut edits = Vec::new();
        for (at, before) in old.iter().enumerate() {
            let after = std::mem::replace(&mut mixed[at], *before);
            let mut rdata = Vec::new();
            let is_read = rdata_from_tokens(new.record.rtype, &mixed, origin, &mut rdata).is_ok();
            let is_same = is_read && ZoneRecord { rdata, ..new.record.clone() }.canonical() == canonical;
            if !is_same {
                mixed[at] = after;
                edits.push((span(before), token_text(&after)));
            }
        }
        return Some(edits);
    }
    let whole = span(old.first()?).start..span(old.last()?).end;
    let mut between = whole.start;
    for token in old {
        let at = span(token);
        let gap = &text[between..at.start];
        if !gap.iter().all(|octet| matches!(octet, b' ' | b'\t')) {
            return None;
        }
        between = at.end;
    }
    Some(vec![(whole, written)])
}

/// `keeps_gap`: the white space before it is somebody else's.
fn ttl_edit(fields: &Fields<'_>, ttl: u32, text: &[u8], keeps_gap: bool) -> (Range<usize>, String) {
    let ttl = ttl.to_string();
    if let Some(written) = &fields.ttl {
        return (span(written), ttl);
    }
    let first = span(&fields.first()).start;
    let gap_start = fields.owner.map_or(0, |owner| span(&owner).end);
    let gap = &text[gap_start..first];
    let separator = if gap.contains(&b'\t') { '\t' } else { ' ' };
    if keeps_gap || gap.len() < ttl.len() + 2 || !gap.iter().all(|octet| *octet == b' ') {
        return (first..first, format!("{ttl}{separator}"));
    }
    // The fields behind it keep their columns.
    let room = gap.len() - ttl.len() - 1;
    match fields.owner {
        Some(_) => (gap_start..first, format!(" {ttl}{:room$}", "")),
        None => (gap_start..first, format!("{:room$}{ttl} ", "")),
    }
}

/// The owner in place of the white space at the start of a line.
fn owner_edit(owner: &Name, origin: &[u8], text: &[u8]) -> (Range<usize>, String) {
    let blanks = text.iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
    let mut written = super::style::relative(owner, origin);
    pad(&mut written, column_at_end(&text[..blanks]), text[..blanks].contains(&b'\t'));
    (0..blanks, written)
}

fn spliced(text: &[u8], mut edits: Vec<(Range<usize>, String)>) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut out, mut at) = (Vec::with_capacity(text.len() + 64), 0);
    for (range, with) in edits {
        out.extend_from_slice(&text[at..range.start]);
        out.extend_from_slice(with.as_bytes());
        at = range.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// The line itself, the one below it, the one above it, and so on.
fn around(near: usize) -> impl Iterator<Item = usize> {
    (0..=NEIGHBOUR_LINES_MAX).flat_map(move |distance| [near.checked_sub(distance), near.checked_add(distance + 1)]).flatten()
}

/// Whether the nearest line that could do without its owner does so.
fn elides_owners(file: &MasterFile, near: usize) -> bool {
    let owner_of = |number: usize| file.lines.get(number).filter(|line| line.kind != Kind::Directive).and_then(|line| file.said_by(line));
    let repeats = |number: &usize| {
        let above = number.checked_sub(1).and_then(owner_of);
        owner_of(*number).zip(above).is_some_and(|(own, above)| own.owner == above.owner)
    };
    around(near).find(repeats).is_some_and(|number| file.lines[number].indented)
}

/// The owner as the line above writes it, if it is the same.
fn same_owner(file: &MasterFile, near: Option<usize>, owner: &Name) -> Option<String> {
    let line = file.lines.get(near?).filter(|line| line.kind != Kind::Directive)?;
    let says = file.said_by(line)?;
    let token = Fields::of(file.line_text(line))?.owner.filter(|_| says.owner == *owner)?;
    Some(String::from_utf8_lossy(token.raw).into_owned())
}
