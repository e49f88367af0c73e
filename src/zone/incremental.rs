//! The receiving side of an incremental transfer (RFC 1995): the messages of one TCP connection and the data held become a new
//! version of the zone.
//!
//! ```text
//! SOA of the new version ─┬─ nothing more, and it is not newer: up to date
//!                         ├─ a record that is no SOA: the whole zone, as AXFR (`transfer.rs`)
//!                         └─ SOA of the version held ─► removed ─► SOA ─► added ─┐
//!                              ▲             next change, which begins where     │
//!                              └──────────── this one has ended ─────────────────┤
//!                                            SOA of the new version: complete ◄──┘
//! ```
//!
//! A change that does not fit the data held (it removes what is not there, adds what is) is an error: the caller then asks for
//! the whole zone.

use std::collections::HashMap;
use std::sync::Arc;

use super::diff::is_newer;
use super::edit::{ChangedSet, edit_zone, records_at};
use super::transfer::{TransferError, TransferReader, check_message};
use super::tree::Zone;
use crate::record::{Class, Name, Rtype};
use crate::wire::{Message, Section};

/// An incremental transfer in progress.
pub struct IncrementalReader {
    held: Arc<Zone>,
    id: u16,
    octets_left: usize,
    octets_max: usize,
    state: State,
    /// TTL and RDATA of the SOA that opened the transfer.
    opening: Option<(u32, Vec<u8>)>,
    /// The serial that the changes have led to so far.
    reached: u32,
    changes: Changes,
    /// Messages from the start, until it is known which form they have.
    first: Vec<Vec<u8>>,
}

enum State {
    Opening,
    /// After the first SOA.
    Form,
    Removed,
    Added,
    Complete,
    Whole(Box<TransferReader>),
}

/// What a message has led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    More,
    UpToDate,
    Complete,
}

impl IncrementalReader {
    /// Accepts replies to an IXFR query with this ID for the version `held`. `octets_max` is as for `TransferReader`.
    pub fn new(held: Arc<Zone>, id: u16, octets_max: usize) -> IncrementalReader {
        let reached = held.serial();
        let (state, changes) = (State::Opening, Changes::default());
        IncrementalReader { held, id, octets_left: octets_max, octets_max, state, opening: None, reached, changes, first: Vec::new() }
    }

    /// Reads the next message.
    pub fn message(&mut self, bytes: &[u8]) -> Result<Received, TransferError> {
        if let State::Whole(reader) = &mut self.state {
            return Ok(if reader.message(bytes)? { Received::Complete } else { Received::More });
        }
        self.octets_left = self.octets_left.checked_sub(bytes.len()).ok_or(TransferError::TooLarge)?;
        let message = Message::parse(bytes).map_err(|_| TransferError::Malformed)?;
        check_message(&message, self.held.apex(), self.id, Rtype::IXFR)?;
        if matches!(self.state, State::Opening | State::Form) {
            self.first.push(bytes.to_vec());
        }
        for record in message.records(Section::Answer) {
            let owner = record.owner().map_err(|_| TransferError::Malformed)?;
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).map_err(|_| TransferError::Malformed)?;
            if record.class() != Class::IN || !owner.is_within(self.held.apex()) {
                return Err(TransferError::OutsideZone(owner));
            }
            self.record(&owner, record.rtype(), record.ttl(), rdata)?;
            if let State::Whole(_) = self.state {
                return self.read_whole();
            }
        }
        match self.state {
            State::Complete => Ok(Received::Complete),
            State::Form if self.first.len() == 1 && !self.opening_serial().is_some_and(|serial| is_newer(serial, self.held.serial())) => {
                Ok(Received::UpToDate)
            }
            _ => Ok(Received::More),
        }
    }

    /// All messages so far, as a transfer of the whole zone.
    fn read_whole(&mut self) -> Result<Received, TransferError> {
        let State::Whole(reader) = &mut self.state else { return Ok(Received::More) };
        let mut is_complete = false;
        for message in std::mem::take(&mut self.first) {
            is_complete = reader.message(&message)?;
        }
        Ok(if is_complete { Received::Complete } else { Received::More })
    }

    fn record(&mut self, owner: &Name, rtype: Rtype, ttl: u32, rdata: Vec<u8>) -> Result<(), TransferError> {
        let is_apex_soa = rtype == Rtype::SOA && owner == self.held.apex();
        let serial = if is_apex_soa { serial_of(&rdata) } else { None };
        match (&self.state, serial) {
            (State::Complete, _) => return Err(TransferError::AfterEnd),
            (State::Opening, None) => return Err(TransferError::NoOpeningSoa),
            (State::Opening, Some(_)) => {
                self.opening = Some((ttl, rdata));
                self.state = State::Form;
            }
            (State::Form, Some(serial)) if serial == self.held.serial() && self.opening_serial() != Some(serial) => {
                self.first.clear();
                self.state = State::Removed;
            }
            (State::Form, _) => {
                let reader = TransferReader::for_question(self.held.apex().clone(), Rtype::IXFR, self.id, self.octets_max);
                self.state = State::Whole(Box::new(reader));
            }
            (State::Removed, Some(serial)) => {
                self.reached = serial;
                self.state = State::Added;
            }
            (State::Added, Some(serial)) if Some(self.reached) == self.opening_serial() => {
                // The last change has ended.
                let is_closing = Some(serial) == self.opening_serial();
                self.state = if is_closing { State::Complete } else { return Err(TransferError::SoaChanged) };
            }
            (State::Added, Some(serial)) if serial == self.reached => self.state = State::Removed,
            (State::Added, Some(_)) => return Err(TransferError::Misfit("a change does not begin where the one before ended".to_owned())),
            (State::Removed, None) => self.changes.remove(&self.held, owner, rtype, rdata)?,
            (State::Added, None) => self.changes.add(&self.held, owner, rtype, ttl, rdata)?,
            (State::Whole(_), _) => {}
        }
        if self.changes.octets > self.octets_max { Err(TransferError::TooLarge) } else { Ok(()) }
    }

    fn opening_serial(&self) -> Option<u32> {
        serial_of(&self.opening.as_ref()?.1)
    }

    /// The new version, once the transfer is complete.
    pub fn finish(self) -> Result<Zone, TransferError> {
        let (soa_ttl, soa) = match (self.state, self.opening) {
            (State::Whole(reader), _) => return reader.finish(),
            (State::Complete, Some(opening)) => opening,
            _ => return Err(TransferError::NoOpeningSoa),
        };
        let held = &self.held;
        let apex = held.apex().as_wire();
        let owners = self.changes.of_owner.keys().map(Vec::as_slice).filter(|owner| *owner != apex).chain([apex]);
        let changes = owners.flat_map(|owner| {
            let of_name = self.changes.of_owner.get(owner).map_or(&[][..], Vec::as_slice);
            let is_soa = |rtype: Rtype| rtype == Rtype::SOA && owner == apex;
            let stays = records_at(held, owner)
                .filter(|(rtype, _, rdata)| !is_soa(*rtype) && !of_name.iter().any(|change| change.is_of(*rtype, rdata)));
            let comes = of_name.iter().filter_map(|change| match change.net {
                Net::Added(ttl) | Net::Again(ttl) => Some((change.rtype, ttl, change.rdata.clone())),
                Net::Removed | Net::Nothing => None,
            });
            let soa = (owner == apex).then(|| (Rtype::SOA, soa_ttl, soa.clone()));
            ChangedSet::of_name(held, owner, stays.chain(comes).chain(soa))
        });
        let changes: Vec<ChangedSet> = changes.collect();
        edit_zone(held, &changes).ok_or_else(|| TransferError::NoZone("found records that must stand alone beside others".to_owned()))
    }
}

fn serial_of(soa: &[u8]) -> Option<u32> {
    soa.last_chunk::<20>().map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]))
}

/// What all changes together do to the data held, by owner.
#[derive(Default)]
struct Changes {
    of_owner: HashMap<Vec<u8>, Vec<Change>>,
    octets: usize,
}

struct Change {
    rtype: Rtype,
    rdata: Vec<u8>,
    net: Net,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Net {
    /// In the data held, and not in the new version.
    Removed,
    /// Not in the data held, and with this TTL in the new version.
    Added(u32),
    /// In both, with this TTL in the new version.
    Again(u32),
    /// In neither: added and removed.
    Nothing,
}

impl Changes {
    fn slot(&mut self, held: &Zone, owner: &Name, rtype: Rtype, rdata: Vec<u8>) -> &mut Net {
        let is_held = has(held, owner.as_wire(), rtype, &rdata);
        let changes = self.of_owner.entry(owner.as_wire().to_vec()).or_default();
        let at = changes.iter().position(|change| change.rtype == rtype && change.rdata == rdata);
        let at = at.unwrap_or_else(|| {
            self.octets += owner.as_wire().len() + rdata.len() + size_of::<Change>();
            changes.push(Change { rtype, rdata, net: if is_held { Net::Again(0) } else { Net::Nothing } });
            changes.len() - 1
        });
        &mut changes[at].net
    }

    fn remove(&mut self, held: &Zone, owner: &Name, rtype: Rtype, rdata: Vec<u8>) -> Result<(), TransferError> {
        let net = self.slot(held, owner, rtype, rdata);
        *net = match *net {
            Net::Again(_) => Net::Removed,
            Net::Added(_) => Net::Nothing,
            Net::Removed | Net::Nothing => {
                return Err(TransferError::Misfit(format!("it removes a record {owner} {rtype} that is not there")));
            }
        };
        Ok(())
    }

    fn add(&mut self, held: &Zone, owner: &Name, rtype: Rtype, ttl: u32, rdata: Vec<u8>) -> Result<(), TransferError> {
        let net = self.slot(held, owner, rtype, rdata);
        *net = match *net {
            Net::Removed => Net::Again(ttl),
            Net::Nothing => Net::Added(ttl),
            Net::Again(_) | Net::Added(_) => {
                return Err(TransferError::Misfit(format!("it adds a record {owner} {rtype} that is there already")));
            }
        };
        Ok(())
    }
}

impl Change {
    fn is_of(&self, rtype: Rtype, rdata: &[u8]) -> bool {
        self.rtype == rtype && self.rdata == rdata
    }
}

fn has(zone: &Zone, owner: &[u8], rtype: Rtype, rdata: &[u8]) -> bool {
    let Some(node) = zone.node(owner) else { return false };
    let covered = rdata.first_chunk::<2>().filter(|_| rtype == Rtype::RRSIG).map(|code| Rtype(u16::from_be_bytes(*code)));
    let is_sig = || covered.and_then(|covered| node.set(covered)).is_some_and(|set| set.sigs().any(|own| own == rdata));
    node.set(rtype).is_some_and(|set| set.rdatas().any(|own| own == rdata)) || is_sig()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Question, rdata_from_text};
    use crate::wire::{Flags, Header, Writer};
    use crate::zone::{Diff, RecordRef, have_same_data, load_zone};

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(serial: u32, more: &str) -> Arc<Zone> {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
        Arc::new(
            load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes()))
                .unwrap_or_else(|problems| panic!("{problems:?}"))
                .0,
        )
    }

    fn soa(serial: u32) -> String {
        format!("example. 300 SOA ns.example. host.example. {serial} 2 3 4 60")
    }

    fn message(lines: &[String]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 9, flags: Flags(Flags::QR | Flags::AA), counts: [0; 4] });
        writer.question(&Question::new(name("example."), Rtype::IXFR)).expect("room");
        for line in lines {
            let mut words = line.splitn(4, ' ');
            let mut next = || words.next().expect("four words");
            let (owner, ttl, rtype) = (name(next()), next().parse().expect("a TTL"), next().parse().expect("a type"));
            let rdata = rdata_from_text(rtype, next(), b"\0").expect(line);
            writer.record(Section::Answer, &owner, rtype, Class::IN, ttl, &rdata).expect("room");
        }
        writer.finish()
    }

    /// `S7` stands for the SOA of serial 7; `|` begins another message.
    fn transfer(held: &Arc<Zone>, text: &str) -> Result<Option<Zone>, TransferError> {
        let mut reader = IncrementalReader::new(held.clone(), 9, 100_000);
        let mut last = Received::More;
        for part in text.split('|') {
            let line = |line: &str| match line.strip_prefix('S') {
                Some(serial) => soa(serial.parse().expect("a serial")),
                None => line.to_owned(),
            };
            let lines: Vec<String> = part.split(',').map(str::trim).filter(|line| !line.is_empty()).map(line).collect();
            assert_eq!(last, Received::More, "{text}");
            last = reader.message(&message(&lines))?;
        }
        match last {
            Received::UpToDate => Ok(None),
            Received::Complete => reader.finish().map(Some),
            Received::More => Err(TransferError::NoOpeningSoa),
        }
    }

    #[test]
    fn changes_make_the_new_version() {
        let held = zone(1, "a TXT 1\nb A 192.0.2.1\nb A 192.0.2.2\n");
        for (text, serial, expected) in [
            ("S3, S1, a.example. 300 TXT 1, S3, a.example. 300 TXT 3, S3", 3, "a TXT 3\nb A 192.0.2.1\nb A 192.0.2.2\n"),
            (
                "S3, S1, a.example. 300 TXT 1, S2, | a.example. 300 TXT 2, S2, a.example. 300 TXT 2 | S3, c.d.example. 300 A 192.0.2.9, S3",
                3,
                "c.d A 192.0.2.9\nb A 192.0.2.1\nb A 192.0.2.2\n",
            ),
            ("S2, S1, S2, S2", 2, "a TXT 1\nb A 192.0.2.1\nb A 192.0.2.2\n"),
            (
                "S2, S1, b.example. 300 A 192.0.2.1, b.example. 300 A 192.0.2.2, S2, b.example. 60 A 192.0.2.1, S2",
                2,
                "a TXT 1\nb 60 A 192.0.2.1\n",
            ),
            // The whole zone in place of changes.
            ("S9, example. 300 NS ns.example., ns.example. 300 A 192.0.2.53, S9", 9, ""),
            ("S9 | example. 300 NS ns.example. | ns.example. 300 A 192.0.2.53 | S9", 9, ""),
        ] {
            let new = transfer(&held, text).unwrap_or_else(|error| panic!("{text}: {error}")).expect("not up to date");
            assert!(have_same_data(&zone(serial, expected), &new), "{text}: {:?}", new.sets().collect::<Vec<_>>());
        }
        assert!(transfer(&held, "S1").expect("an answer").is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let held = zone(1, "a TXT 1\n");
        let misfit = |text: &str| TransferError::Misfit(text.to_owned());
        for (text, error) in [
            ("S3, S1, x.example. 300 TXT 1, S3, S3", misfit("it removes a record x.example. TXT that is not there")),
            ("S3, S1, a.example. 300 TXT 1, a.example. 300 TXT 1, S3, S3", misfit("it removes a record a.example. TXT that is not there")),
            ("S3, S1, S3, a.example. 300 TXT 1, S3", misfit("it adds a record a.example. TXT that is there already")),
            ("S3, S1, S2, S7, S3, S3", misfit("a change does not begin where the one before ended")),
            ("S3, S1, S3, S4", TransferError::SoaChanged),
            ("S3, S1, S3, S3, a.example. 300 TXT 2", TransferError::AfterEnd),
            ("S3, S1, x.test. 300 TXT 1, S3, S3", TransferError::OutsideZone(name("x.test."))),
            ("a.example. 300 TXT 1", TransferError::NoOpeningSoa),
            // No closing SOA.
            ("S3, S1, S3, b.example. 300 TXT 1", TransferError::NoOpeningSoa),
            ("S3", TransferError::NoOpeningSoa),
        ] {
            assert_eq!(transfer(&held, text).expect_err(text), error, "{text}");
        }
        let lines = [soa(3), soa(1), soa(3), format!("h.example. 300 TXT {}", "x".repeat(200))];
        for (octets_max, expected) in [(200, Err(TransferError::TooLarge)), (100_000, Ok(Received::More))] {
            assert_eq!(IncrementalReader::new(held.clone(), 9, octets_max).message(&message(&lines)), expected);
        }
    }

    proptest::proptest! {
        /// No reply makes the reader panic, however its octets are damaged.
        #[test]
        fn damaged_replies_are_refused(at in 12_usize..400, octet in 0_u8..=255, cut in 0_usize..400) {
            let held = zone(1, "a TXT 1\n");
            let lines = [soa(3), soa(1), "a.example. 300 TXT 1".to_owned(), soa(3), "b.example. 300 MX 1 a.example.".to_owned(), soa(3)];
            let mut bytes = message(&lines);
            let at = at % bytes.len();
            bytes[at] = octet;
            bytes.truncate(bytes.len().saturating_sub(cut / 8));
            let mut reader = IncrementalReader::new(held, 9, 100_000);
            if reader.message(&bytes) == Ok(Received::Complete) {
                let _ = reader.finish();
            }
        }
    }

    /// What the difference of two versions says leads from one to the other.
    #[test]
    fn differences_applied_give_the_other_version() {
        let versions = ["a TXT 1\nb A 192.0.2.1\n", "b A 192.0.2.1\nb A 192.0.2.2\nc 60 MX 1 b\n", "c MX 1 b\n*.d CNAME c\n", ""];
        for (at, old) in versions.iter().enumerate() {
            for new in &versions {
                let (old, new) = (zone(at as u32 + 1, old), zone(100, new));
                let diff = Diff::between(&old, &new);
                let mut reader = IncrementalReader::new(old.clone(), 9, 100_000);
                let mut writer = Writer::new(Vec::new(), 65_535);
                writer.header(Header { id: 9, flags: Flags(Flags::QR), counts: [0; 4] });
                let mut put = |record: RecordRef<'_>| {
                    let owner = Name::from_wire(record.owner).expect("an owner");
                    writer.record(Section::Answer, &owner, record.rtype, Class::IN, record.ttl, record.rdata).expect("room");
                };
                let apex = name("example.");
                let soa = |at: usize| RecordRef { owner: apex.as_wire(), rtype: Rtype::SOA, ttl: diff.soas[at].0, rdata: &diff.soas[at].1 };
                put(soa(1));
                for (at, records) in [&diff.removed, &diff.added].into_iter().enumerate() {
                    put(soa(at));
                    let mut offset = 0;
                    while let Some((record, next)) = records.at(offset) {
                        put(record);
                        offset = next;
                    }
                }
                put(soa(1));
                assert_eq!(reader.message(&writer.finish()), Ok(Received::Complete));
                assert!(have_same_data(&new, &reader.finish().expect("a zone")));
            }
        }
    }
}
