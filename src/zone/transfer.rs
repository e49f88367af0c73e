//! The receiving side of a zone transfer (AXFR, RFC 5936): the messages of one TCP connection become a zone, or a reason why
//! they do not.
//!
//! ```text
//! SOA ─► records of the zone, in any order, over any number of messages ─► the same SOA again: complete
//! ```
//!
//! A transfer is accepted as a whole or not at all. It fails on a record outside the zone, a malformed record, data after the
//! closing SOA, or more octets than the caller allows.

use std::fmt;

use super::builder::ZoneBuilder;
use super::check;
use super::problem::{Place, Problems};
use super::tree::Zone;
use crate::record::{Class, Name, Rcode, Rtype};
use crate::wire::{Flags, Message, Section};

/// A zone transfer in progress.
pub struct TransferReader {
    apex: Name,
    /// AXFR, or IXFR that is answered with the whole zone.
    asked: Rtype,
    id: u16,
    builder: ZoneBuilder,
    /// RDATA of the SOA that opened the transfer.
    opening_soa: Option<Vec<u8>>,
    octets_left: usize,
    octets_max: usize,
    is_complete: bool,
}

/// Reason why a transfer gives no zone.
#[derive(Debug, PartialEq, Eq)]
pub enum TransferError {
    /// A message is malformed, or holds a record that does not fit its type.
    Malformed,
    /// A message is no reply to the question that was sent.
    Unrelated,
    /// The server refused or failed.
    Refused(Rcode),
    /// The first record is no SOA of the zone (RFC 5936 2.2).
    NoOpeningSoa,
    /// The closing SOA is not the opening one: the zone changed meanwhile (RFC 5936 2.2).
    SoaChanged,
    /// A record of another zone.
    OutsideZone(Name),
    /// Records follow the closing SOA.
    AfterEnd,
    /// More octets than allowed.
    TooLarge,
    /// An incremental transfer does not fit the data that is held.
    Misfit(String),
    /// The records do not make a zone.
    NoZone(String),
}

impl TransferReader {
    /// Accepts replies to an AXFR query with this ID. `octets_max` bounds all messages together, and also the records in
    /// memory: compressed names, and the names between a long owner and the apex, take many times their octets on the wire.
    pub fn new(apex: Name, id: u16, octets_max: usize) -> TransferReader {
        TransferReader::for_question(apex, Rtype::AXFR, id, octets_max)
    }

    pub(super) fn for_question(apex: Name, asked: Rtype, id: u16, octets_max: usize) -> TransferReader {
        let builder = ZoneBuilder::new(apex.clone());
        TransferReader { builder, apex, asked, id, opening_soa: None, octets_left: octets_max, octets_max, is_complete: false }
    }

    /// Reads the next message; `true` if it completes the transfer.
    pub fn message(&mut self, bytes: &[u8]) -> Result<bool, TransferError> {
        self.octets_left = self.octets_left.checked_sub(bytes.len()).ok_or(TransferError::TooLarge)?;
        let message = Message::parse(bytes).map_err(|_| TransferError::Malformed)?;
        check_message(&message, &self.apex, self.id, self.asked)?;
        for record in message.records(Section::Answer) {
            if self.is_complete {
                return Err(TransferError::AfterEnd);
            }
            let owner = record.owner().map_err(|_| TransferError::Malformed)?;
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).map_err(|_| TransferError::Malformed)?;
            if record.class() != Class::IN || !owner.is_within(&self.apex) {
                return Err(TransferError::OutsideZone(owner));
            }
            let is_apex_soa = record.rtype() == Rtype::SOA && owner == self.apex;
            match &self.opening_soa {
                None if !is_apex_soa => return Err(TransferError::NoOpeningSoa),
                None => self.opening_soa = Some(rdata.clone()),
                Some(opening) if is_apex_soa => {
                    if *opening != rdata {
                        return Err(TransferError::SoaChanged);
                    }
                    self.is_complete = true;
                    continue;
                }
                Some(_) => {}
            }
            let place = Place { file: 0, line: 0 };
            self.builder.add(owner.as_wire(), record.rtype(), record.ttl(), &rdata, place).map_err(|_| TransferError::TooLarge)?;
            if self.builder.octets_held() > self.octets_max {
                return Err(TransferError::TooLarge);
            }
        }
        Ok(self.is_complete)
    }

    /// The zone, once the transfer is complete.
    pub fn finish(self) -> Result<Zone, TransferError> {
        if !self.is_complete {
            return Err(TransferError::NoOpeningSoa);
        }
        finished(self.builder)
    }
}

/// Whether the message is a good reply to the question with this ID.
pub(super) fn check_message(message: &Message<'_>, apex: &Name, id: u16, asked: Rtype) -> Result<(), TransferError> {
    let header = message.header();
    // RFC 5936 2.2.1, 2.2.2: only the first message must have the question.
    let asks_otherwise = message.question().is_some_and(|question| question != (apex.clone(), asked, Class::IN));
    if header.id != id || !header.flags.has(Flags::QR) || asks_otherwise {
        return Err(TransferError::Unrelated);
    }
    match message.rcode() {
        Rcode::NOERROR => Ok(()),
        rcode => Err(TransferError::Refused(rcode)),
    }
}

/// The zone of all records that were received.
fn finished(mut builder: ZoneBuilder) -> Result<Zone, TransferError> {
    let mut problems = Problems::default();
    problems.add_file(&format!("transfer of {}", builder.apex));
    builder.arrange();
    check::zone(&builder, &mut problems);
    let zone = if problems.error_count() == 0 { builder.finish(&mut problems) } else { None };
    zone.ok_or_else(|| TransferError::NoZone(problems.finish().first().map_or_else(String::new, ToString::to_string)))
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransferError::Malformed => f.write_str("a message is malformed"),
            TransferError::Unrelated => f.write_str("a message does not belong to the transfer"),
            TransferError::Refused(rcode) => write!(f, "the server answers {rcode}"),
            TransferError::NoOpeningSoa => f.write_str("the transfer does not begin with the zone's SOA"),
            TransferError::SoaChanged => f.write_str("the zone changed during the transfer"),
            TransferError::OutsideZone(name) => write!(f, "{name} is outside the zone"),
            TransferError::AfterEnd => f.write_str("records follow the closing SOA"),
            TransferError::TooLarge => f.write_str("the zone is larger than allowed"),
            TransferError::Misfit(why) => write!(f, "the changes do not fit the data held: {why}"),
            TransferError::NoZone(why) => write!(f, "the records are no zone: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Question, rdata_from_text};
    use crate::wire::{Header, Writer};

    const SOA: &str = "example. SOA ns.example. host.example. 7 1 1 1 1";

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn message(id: u16, flags: u16, lines: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id, flags: Flags(flags), counts: [0; 4] });
        writer.question(&Question::new(name("example."), Rtype::AXFR)).expect("room");
        for line in lines {
            let mut words = line.splitn(3, ' ');
            let (owner, rtype, rdata) = (words.next().expect("owner"), words.next().expect("type"), words.next().expect("data"));
            let rtype: Rtype = rtype.parse().expect("a type");
            let rdata = rdata_from_text(rtype, rdata, b"\0").expect(line);
            writer.record(Section::Answer, &name(owner), rtype, Class::IN, 300, &rdata).expect("room");
        }
        writer.finish()
    }

    fn transfer(messages: &[&[&str]]) -> Result<Zone, TransferError> {
        let mut reader = TransferReader::new(name("example."), 9, 10_000);
        for lines in messages {
            reader.message(&message(9, Flags::QR | Flags::AA, lines))?;
        }
        reader.finish()
    }

    #[test]
    fn records_of_all_messages_make_the_zone() {
        let zone = transfer(&[&[SOA, "example. NS ns.example."], &["ns.example. A 192.0.2.1"], &["www.example. A 192.0.2.2", SOA]]);
        let zone = zone.expect("complete");
        assert_eq!((zone.serial(), zone.record_count()), (7, 4));
    }

    #[test]
    fn what_is_no_whole_transfer_is_none() {
        let changed = "example. SOA ns.example. host.example. 8 1 1 1 1";
        for (messages, error) in [
            (&[&["www.example. A 192.0.2.2", SOA][..]][..], TransferError::NoOpeningSoa),
            (&[&[SOA, "www.example. A 192.0.2.2"]], TransferError::NoOpeningSoa),
            (&[&[SOA, "www.example. A 192.0.2.2", changed]], TransferError::SoaChanged),
            (&[&[SOA, "www.test. A 192.0.2.2", SOA]], TransferError::OutsideZone(name("www.test."))),
            (&[&[SOA, "example. NS ns.example.", SOA, "www.example. A 192.0.2.2"]], TransferError::AfterEnd),
        ] {
            assert_eq!(transfer(messages).expect_err("no transfer"), error);
        }
    }

    #[test]
    fn what_messages_expand_to_is_bounded() {
        let deep = |top: char| format!("{}{top}.example. A 192.0.2.1", "a.".repeat(100));
        let bytes = message(9, Flags::QR, &[SOA, &deep('x'), &deep('y')]);
        for (octets_max, expected) in [(10_000, Err(TransferError::TooLarge)), (100_000, Ok(false))] {
            assert!(bytes.len() < 1_000);
            assert_eq!(TransferReader::new(name("example."), 9, octets_max).message(&bytes), expected);
        }
    }

    #[test]
    fn messages_that_do_not_belong() {
        let mut reader = TransferReader::new(name("example."), 9, 200);
        assert_eq!(reader.message(&message(8, Flags::QR, &[SOA])), Err(TransferError::Unrelated));
        assert_eq!(reader.message(&message(9, 0, &[SOA])), Err(TransferError::Unrelated));
        assert_eq!(reader.message(&message(9, Flags::QR | 5, &[])), Err(TransferError::Refused(Rcode::REFUSED)));
        assert_eq!(reader.message(b"short"), Err(TransferError::Malformed));
        let mut reader = TransferReader::new(name("example."), 9, 100);
        assert_eq!(
            reader.message(&message(9, Flags::QR, &[SOA, "www.example. TXT \"a long text that fills the rest\""])),
            Err(TransferError::TooLarge)
        );
    }
}
