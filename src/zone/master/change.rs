//! What a person asks of a zone becomes the records that go and the records that come, or a reason why it is refused.
//!
//! Nothing here looks at text: the same decisions hold for a change that arrives in another form. A change of TTL is the record
//! with its old TTL removed and with its new one added. Whatever changes the zone raises its serial.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::lines::{MasterFile, ZoneRecord};
use super::parser::no_type;
use super::serial::{is_newer, next_serial};
use crate::record::{Lexer, Name, Rtype, TextError, rdata_from_tokens, rdata_is_well_formed};
use crate::zone::{Diff, RecordRef};

/// A record to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    pub record: ZoneRecord,
    /// Its data as a person wrote it: names without a final dot are below the zone's name.
    pub written: Option<String>,
}

impl NewRecord {
    /// Reads what a person writes for a record of `zone`. An error says what to write.
    pub fn parse(zone: &Name, owner: Name, ttl: u32, rtype: Rtype, data: &str) -> Result<NewRecord, String> {
        let told = |error: TextError| format!("{rtype} data '{data}': {error}");
        let (mut tokens, mut rdata) = (Vec::new(), Vec::new());
        let mut lexer = Lexer::new(data.as_bytes());
        lexer.next_entry(&mut tokens).map_err(told)?;
        let end = tokens.last().map_or(0, |last| last.at + last.raw.len() + usize::from(last.quoted));
        if data[end..].contains(';') {
            return Err(format!(
                "{rtype} data '{data}': `;` begins a comment outside quotes; write quotes around the text, and apostrophes around all: \
                 '\"{}\"'",
                data.replace('"', "")
            ));
        }
        rdata_from_tokens(rtype, &tokens, zone.as_wire(), &mut rdata).map_err(told)?;
        if lexer.next_entry(&mut tokens).map_err(told)?.is_some() {
            return Err(format!("{rtype} data '{data}': found a second line, expected the data of one record"));
        }
        if !rdata_is_well_formed(rtype, &rdata) {
            return Err(format!("{rtype} data '{data}': these octets are no {rtype} data"));
        }
        let written = Some(data.to_owned());
        Ok(NewRecord { record: ZoneRecord { owner, rtype, ttl, rdata }, written })
    }
}

/// A record type as a person writes it. An error says what to write.
pub fn record_type(text: &str) -> Result<Rtype, String> {
    if text.eq_ignore_ascii_case("IN") {
        return Err("found the class IN, expected a record type; the class is not written here".to_owned());
    }
    match text.parse::<Rtype>() {
        Ok(rtype) if rtype.is_meta() => {
            Err("expected a type that records can have; this one is for questions and messages only".to_owned())
        }
        Ok(rtype) => Ok(rtype),
        Err(_) => Err(format!("expected {}", no_type(text.as_bytes()))),
    }
}

/// What is asked of a zone.
#[derive(Clone, Debug)]
pub enum Change {
    /// Add records. An RRset has one TTL (RFC 2181 5.2): that of the new record.
    Add(Vec<NewRecord>),
    /// Put these in place of an RRset; at least one, of one name and type.
    Set(Vec<NewRecord>),
    /// Remove all records of a name, or those of one type, or one of them.
    Remove { owner: Name, rtype: Option<Rtype>, rdata: Option<Vec<u8>> },
}

fn named(record: RecordRef<'_>) -> Option<(Name, RecordRef<'_>)> {
    Some((Name::from_wire(record.owner).ok()?, record))
}

/// The records that go and those that come, the SOA among both. Both empty: nothing changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    pub removed: Vec<ZoneRecord>,
    pub added: Vec<NewRecord>,
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Outside(Name, Name),
    NotThere(String),
    Soa(Name),
    LastNs(Name),
    Signed(Name),
    /// The record, and where it comes from.
    MadeElsewhere(String, String),
    /// The text that would be written does not say what was asked for.
    Entangled,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Outside(name, zone) => {
                write!(f, "{name} is not within {zone}; a name with a final dot is absolute, one without is completed with {zone}")
            }
            Refusal::NotThere(what) => f.write_str(what),
            Refusal::Soa(zone) => {
                write!(f, "a zone has exactly one SOA record: `cairn zone set {zone} @ TTL SOA DATA` changes it, and nothing removes it")
            }
            Refusal::LastNs(zone) => {
                write!(f, "without an NS record nobody finds {zone}: `cairn zone set {zone} @ TTL NS DATA …` replaces them all at once")
            }
            Refusal::Signed(zone) => write!(
                f,
                "{zone} was signed elsewhere: its file has RRSIG records, which a change here would make wrong; change the file before \
                 it is signed"
            ),
            Refusal::MadeElsewhere(record, place) => write!(f, "{record} {place}: change it there"),
            Refusal::Entangled => {
                f.write_str("the file cannot be written so that this record alone changes: change it in an editor, then `cairn reload`")
            }
        }
    }
}

impl std::error::Error for Refusal {}

impl Delta {
    /// `today` as YYYYMMDD, for serials in that form.
    pub fn of(file: &MasterFile, change: &Change, today: u32) -> Result<Delta, Refusal> {
        let mut delta = match change {
            Change::Add(records) => added(file, records)?,
            Change::Set(records) => replaced(file, records)?,
            Change::Remove { owner, rtype, rdata } => removed(file, owner, *rtype, rdata.as_deref())?,
        };
        if delta.removed.is_empty() && delta.added.is_empty() {
            return Ok(delta);
        }
        if file.records().any(|record| record.rtype == Rtype::RRSIG) {
            return Err(Refusal::Signed(file.apex.clone()));
        }
        delta.raise_serial(file, today);
        Ok(delta)
    }

    /// The change of the file that leads from one version of the zone, which the file says, to another.
    pub fn of_diff(file: &MasterFile, diff: &Diff) -> Delta {
        let key = |owner: &Name, rtype: Rtype, rdata: &[u8]| {
            let record = ZoneRecord { owner: owner.clone(), rtype, ttl: 0, rdata: rdata.to_vec() };
            (record.owner.clone(), rtype, record.canonical())
        };
        let gone: HashSet<(Name, Rtype, Vec<u8>)> =
            diff.removed.iter().filter_map(named).map(|(owner, record)| key(&owner, record.rtype, record.rdata)).collect();
        let keys: HashSet<(&Name, Rtype)> = gone.iter().map(|(owner, rtype, _)| (owner, *rtype)).collect();
        // Whatever its TTL: a set whose records have several is served with the least.
        let is_gone = |record: &&ZoneRecord| {
            keys.contains(&(&record.owner, record.rtype)) && gone.contains(&key(&record.owner, record.rtype, &record.rdata))
        };
        let mut delta = Delta { removed: file.records().filter(is_gone).cloned().collect(), added: Vec::new() };
        let mut add = |owner: Name, rtype: Rtype, ttl: u32, rdata: &[u8]| {
            delta.added.push(NewRecord { record: ZoneRecord { owner, rtype, ttl, rdata: rdata.to_vec() }, written: None });
        };
        diff.added.iter().filter_map(named).for_each(|(owner, record)| add(owner, record.rtype, record.ttl, record.rdata));
        if diff.soas[0] != diff.soas[1] {
            add(file.apex.clone(), Rtype::SOA, diff.soas[1].0, &diff.soas[1].1);
            delta.removed.extend(file.soa().cloned());
        }
        delta
    }

    fn raise_serial(&mut self, file: &MasterFile, today: u32) {
        let Some(old) = file.soa() else { return };
        let Some(before) = serial(old) else { return };
        match self.added.iter_mut().find(|new| new.record.rtype == Rtype::SOA) {
            Some(new) if serial(&new.record).is_some_and(|serial| is_newer(serial, before)) => {}
            Some(new) => {
                set_serial(&mut new.record, next_serial(before, today));
                new.written = None;
            }
            None => {
                let mut record = old.clone();
                set_serial(&mut record, next_serial(before, today));
                self.removed.push(old.clone());
                self.added.push(NewRecord { record, written: None });
            }
        }
    }
}

/// SERIAL of a SOA record.
pub fn serial(soa: &ZoneRecord) -> Option<u32> {
    let numbers = soa.rdata.last_chunk::<20>()?;
    numbers.first_chunk::<4>().map(|serial| u32::from_be_bytes(*serial))
}

fn set_serial(soa: &mut ZoneRecord, serial: u32) {
    if let Some(numbers) = soa.rdata.last_chunk_mut::<20>() {
        numbers[..4].copy_from_slice(&serial.to_be_bytes());
    }
}

fn added(file: &MasterFile, records: &[NewRecord]) -> Result<Delta, Refusal> {
    if records.iter().any(|new| new.record.rtype == Rtype::SOA) {
        return Err(Refusal::Soa(file.apex.clone()));
    }
    let there = sets(file, records)?;
    let mut delta = Delta::default();
    // The last TTL that is asked for a set is that of all its records.
    let ttls: HashMap<(&Name, Rtype), u32> = records.iter().map(|new| ((&new.record.owner, new.record.rtype), new.record.ttl)).collect();
    let mut known: HashSet<(&Name, Rtype, Vec<u8>)> = HashSet::new();
    for (key @ (owner, rtype), set) in &there {
        for record in set {
            known.insert((owner, *rtype, record.canonical()));
        }
        delta.change_ttl(set, ttls[key]);
    }
    for new in records {
        let key = (&new.record.owner, new.record.rtype);
        if known.insert((key.0, key.1, new.record.canonical())) {
            let record = ZoneRecord { ttl: ttls[&key], ..new.record.clone() };
            delta.added.push(NewRecord { record, written: new.written.clone() });
        }
    }
    Ok(delta)
}

impl Delta {
    fn change_ttl(&mut self, set: &[&ZoneRecord], ttl: u32) {
        for record in set.iter().filter(|record| record.ttl != ttl) {
            self.removed.push((*record).clone());
            self.added.push(NewRecord { record: ZoneRecord { ttl, ..(*record).clone() }, written: None });
        }
    }
}

type Sets<'f> = BTreeMap<(&'f Name, Rtype), Vec<&'f ZoneRecord>>;

/// Those sets of the zone that `records` belong to.
fn sets<'f>(file: &'f MasterFile, records: &'f [NewRecord]) -> Result<Sets<'f>, Refusal> {
    if let Some(outside) = records.iter().find(|new| !new.record.owner.is_within(&file.apex)) {
        return Err(Refusal::Outside(outside.record.owner.clone(), file.apex.clone()));
    }
    let mut there: Sets<'_> = records.iter().map(|new| ((&new.record.owner, new.record.rtype), Vec::new())).collect();
    for record in file.records() {
        if let Some(set) = there.get_mut(&(&record.owner, record.rtype)) {
            set.push(record);
        }
    }
    Ok(there)
}

fn replaced(file: &MasterFile, records: &[NewRecord]) -> Result<Delta, Refusal> {
    let is_soa = records.iter().any(|new| new.record.rtype == Rtype::SOA);
    if is_soa && (records.len() != 1 || records[0].record.owner != file.apex) {
        return Err(Refusal::Soa(file.apex.clone()));
    }
    let there = sets(file, records)?;
    let mut delta = Delta::default();
    let mut wanted: HashMap<Vec<u8>, &NewRecord> = HashMap::new();
    let mut in_order = Vec::new();
    for new in records {
        if wanted.insert(new.record.canonical(), new).is_none() {
            in_order.push(new);
        }
    }
    let mut stays: HashSet<Vec<u8>> = HashSet::new();
    for record in there.into_values().flatten() {
        match wanted.get(&record.canonical()) {
            Some(new) if new.record.ttl == record.ttl => {
                stays.insert(record.canonical());
            }
            _ => delta.removed.push(record.clone()),
        }
    }
    delta.added.extend(in_order.into_iter().filter(|new| !stays.contains(&new.record.canonical())).cloned());
    Ok(delta)
}

fn removed(file: &MasterFile, owner: &Name, rtype: Option<Rtype>, rdata: Option<&[u8]>) -> Result<Delta, Refusal> {
    if !owner.is_within(&file.apex) {
        return Err(Refusal::Outside(owner.clone(), file.apex.clone()));
    }
    let at_name: Vec<&ZoneRecord> = file.records().filter(|record| record.owner == *owner).collect();
    let wanted =
        rdata.zip(rtype).map(|(rdata, rtype)| ZoneRecord { owner: owner.clone(), rtype, ttl: 0, rdata: rdata.to_vec() }.canonical());
    let is_meant = |record: &&&ZoneRecord| {
        rtype.is_none_or(|rtype| record.rtype == rtype) && wanted.as_ref().is_none_or(|data| record.canonical() == *data)
    };
    let removed: Vec<ZoneRecord> = at_name.iter().filter(is_meant).map(|record| (*record).clone()).collect();
    if removed.is_empty() {
        return Err(Refusal::NotThere(not_there(owner, rtype, rdata.is_some(), &at_name)));
    }
    if removed.iter().any(|record| record.rtype == Rtype::SOA && record.owner == file.apex) {
        return Err(Refusal::Soa(file.apex.clone()));
    }
    let is_apex_ns = |record: &ZoneRecord| record.rtype == Rtype::NS && record.owner == file.apex;
    let count = |records: &mut dyn Iterator<Item = &ZoneRecord>| records.filter(|record| is_apex_ns(record)).count();
    if removed.iter().any(is_apex_ns) && count(&mut removed.iter()) == count(&mut at_name.iter().copied()) {
        return Err(Refusal::LastNs(file.apex.clone()));
    }
    Ok(Delta { removed, added: Vec::new() })
}

fn not_there(owner: &Name, rtype: Option<Rtype>, has_data: bool, at_name: &[&ZoneRecord]) -> String {
    if at_name.is_empty() {
        return format!("there is no record of {owner}");
    }
    let Some(rtype) = rtype else { return format!("there is no record of {owner}") };
    let set: Vec<String> = at_name.iter().filter(|record| record.rtype == rtype).map(|record| format!("'{}'", record.data())).collect();
    if has_data && !set.is_empty() {
        return format!("{owner} has no {rtype} record with this data; it has {}", set.join(", "));
    }
    let mut types: Vec<Rtype> = at_name.iter().map(|record| record.rtype).collect();
    types.sort_unstable();
    types.dedup();
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    format!("{owner} has no {rtype} record; it has {}", types.join(", "))
}
