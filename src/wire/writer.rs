//! Writes a message (RFC 1035 4.1). It compresses owners and those names in RDATA that RFC 3597 4 allows, and never exceeds its
//! limit: a record that does not fit leaves the message as it was.

use smallvec::SmallVec;

use super::edns::OptionCode;
use super::header::{HEADER_BYTES, Header};
use super::message::Section;
use crate::limits::wire::COMPRESSION_TARGETS_MAX;
use crate::record::{Class, Field, Name, Question, Rcode, Rtype, fields};

/// A compression pointer has 14 bits.
const POINTER_MAX: usize = 0x3fff;

/// The record does not fit into the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// A message that is being written.
pub struct Writer {
    buf: Vec<u8>,
    limit: usize,
    /// Offsets at which a name (or a suffix of one) starts in `buf`.
    targets: SmallVec<[u16; COMPRESSION_TARGETS_MAX]>,
}

impl Writer {
    /// Reuses the buffer `buf`. `limit` is the largest message in octets, at least 512.
    pub fn new(mut buf: Vec<u8>, limit: usize) -> Writer {
        buf.clear();
        buf.resize(HEADER_BYTES, 0);
        Writer { buf, limit: limit.clamp(512, usize::from(u16::MAX)), targets: SmallVec::new() }
    }

    /// Sets ID and flags; the writer counts the records itself.
    pub fn header(&mut self, header: Header) {
        self.buf[..4].copy_from_slice(&header.to_bytes()[..4]);
    }

    /// Class IN.
    pub fn question(&mut self, question: &Question) -> Result<(), Full> {
        let mut wire = SmallVec::<[u8; 260]>::from_slice(question.name.as_wire());
        wire.extend_from_slice(&question.rtype.0.to_be_bytes());
        wire.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.question_wire(&wire)
    }

    /// A question that is already in wire form (name uncompressed, type, class), echoed octet for octet.
    pub fn question_wire(&mut self, wire: &[u8]) -> Result<(), Full> {
        if self.buf.len() + wire.len() > self.limit {
            return Err(Full);
        }
        let start = self.buf.len();
        self.buf.extend_from_slice(wire);
        self.remember(start);
        self.count(4, 1);
        Ok(())
    }

    /// Writes one record, or nothing if it does not fit.
    pub fn record(&mut self, section: Section, owner: &Name, rtype: Rtype, class: Class, ttl: u32, rdata: &[u8]) -> Result<(), Full> {
        let mark = self.mark();
        if self.try_record(owner, rtype, class, ttl, rdata).is_err() || self.buf.len() > self.limit {
            self.rollback(mark);
            return Err(Full);
        }
        self.count(counter_of(section), 1);
        Ok(())
    }

    /// Writes OPT (RFC 6891 6.1.2). `options` are pairs of code and data, which must fit together.
    pub fn opt(&mut self, udp_size: u16, rcode: Rcode, dnssec_ok: bool, options: &[(OptionCode, &[u8])]) -> Result<(), Full> {
        let data_len: usize = options.iter().map(|(_, data)| 4 + data.len()).sum();
        if self.buf.len() + 11 + data_len > self.limit {
            return Err(Full);
        }
        self.buf.push(0);
        self.buf.extend_from_slice(&Rtype::OPT.0.to_be_bytes());
        self.buf.extend_from_slice(&udp_size.to_be_bytes());
        self.buf.extend_from_slice(&[(rcode.0 >> 4) as u8, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
        self.buf.extend_from_slice(&(data_len as u16).to_be_bytes());
        for (code, data) in options {
            self.buf.extend_from_slice(&code.0.to_be_bytes());
            self.buf.extend_from_slice(&(data.len() as u16).to_be_bytes());
            self.buf.extend_from_slice(data);
        }
        self.count(10, 1);
        Ok(())
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// True while there is nothing but the header.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.buf.len() <= HEADER_BYTES
    }

    /// Changes the limit, in octets (at most 65,535); what is written already stays.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(usize::from(u16::MAX));
    }

    /// A point between two records that `rollback` can return to.
    pub fn mark(&self) -> Mark {
        let mut counts = [0; 8];
        counts.copy_from_slice(&self.buf[4..HEADER_BYTES]);
        Mark { len: self.buf.len(), targets: self.targets.len(), counts }
    }

    /// Removes what was written after `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        self.buf.truncate(mark.len);
        self.targets.truncate(mark.targets);
        self.buf[4..HEADER_BYTES].copy_from_slice(&mark.counts);
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.buf
    }

    fn try_record(&mut self, owner: &Name, rtype: Rtype, class: Class, ttl: u32, rdata: &[u8]) -> Result<(), Full> {
        if self.buf.len() + 12 + rdata.len() > self.limit + 256 {
            return Err(Full);
        }
        self.name(owner.as_wire(), true);
        self.buf.extend_from_slice(&rtype.0.to_be_bytes());
        self.buf.extend_from_slice(&class.0.to_be_bytes());
        self.buf.extend_from_slice(&ttl.to_be_bytes());
        let len_at = self.buf.len();
        self.buf.extend_from_slice(&[0, 0]);
        self.rdata(rtype, rdata);
        let len = u16::try_from(self.buf.len() - len_at - 2).map_err(|_| Full)?;
        self.buf[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    fn rdata(&mut self, rtype: Rtype, rdata: &[u8]) {
        let mut rest = rdata;
        for field in fields(rtype) {
            let take = match field {
                Field::Compressible => {
                    let Some(len) = crate::record::wire_name_len(rest) else { break };
                    self.name(&rest[..len], true);
                    rest = &rest[len..];
                    continue;
                }
                Field::Name => crate::record::wire_name_len(rest).unwrap_or(rest.len()),
                Field::Fixed(len) => *len,
                Field::Text => 1 + rest.first().map_or(0, |len| usize::from(*len)),
                Field::Rest => rest.len(),
            };
            let take = take.min(rest.len());
            self.buf.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
        }
        self.buf.extend_from_slice(rest);
    }

    fn name(&mut self, wire: &[u8], compress: bool) {
        let mut rest = wire;
        let start = self.buf.len();
        while rest.first().is_some_and(|len| *len != 0) {
            if compress && let Some(target) = self.find(rest) {
                self.buf.extend_from_slice(&(target | 0xc000).to_be_bytes());
                self.remember_until(start);
                return;
            }
            let label = 1 + usize::from(rest[0]);
            self.buf.extend_from_slice(&rest[..label]);
            rest = &rest[label..];
        }
        self.buf.push(0);
        self.remember_until(start);
    }

    /// Offset of an earlier place where exactly this name stands. Letters compare without case (RFC 4343).
    fn find(&self, name: &[u8]) -> Option<u16> {
        self.targets.iter().copied().find(|target| self.stands_at(usize::from(*target), name))
    }

    fn stands_at(&self, mut at: usize, mut name: &[u8]) -> bool {
        loop {
            let Some(&len) = self.buf.get(at) else { return false };
            if len >= 0xc0 {
                // Our own pointers only go backwards, so this ends.
                at = usize::from(u16::from_be_bytes([len & 0x3f, self.buf[at + 1]]));
                continue;
            }
            if len != name[0] {
                return false;
            }
            if len == 0 {
                return true;
            }
            let label = 1 + usize::from(len);
            match self.buf.get(at..at + label) {
                Some(have) if have.eq_ignore_ascii_case(&name[..label]) => {}
                _ => return false,
            }
            at += label;
            name = &name[label..];
        }
    }

    fn remember(&mut self, start: usize) {
        self.remember_until(start);
    }

    /// Notes each label of the name written at `start` as a target for later names.
    fn remember_until(&mut self, start: usize) {
        let mut at = start;
        while let Some(&len) = self.buf.get(at) {
            if len == 0 || len >= 0xc0 || at > POINTER_MAX || self.targets.len() == COMPRESSION_TARGETS_MAX {
                return;
            }
            self.targets.push(at as u16);
            at += 1 + usize::from(len);
        }
    }

    fn count(&mut self, at: usize, more: u16) {
        let now = u16::from_be_bytes([self.buf[at], self.buf[at + 1]]).saturating_add(more);
        self.buf[at..at + 2].copy_from_slice(&now.to_be_bytes());
    }
}

fn counter_of(section: Section) -> usize {
    match section {
        Section::Answer => 6,
        Section::Authority => 8,
        Section::Additional => 10,
    }
}

/// A point in the message, for `rollback`.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    len: usize,
    targets: usize,
    counts: [u8; 8],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_no_trace() {
        let mut writer = Writer::new(Vec::new(), 512);
        writer.question(&Question::new(name("a.example."), Rtype::TXT)).expect("room");
        writer.record(Section::Answer, &name("a.example."), Rtype::TXT, Class::IN, 1, &[7; 200]).expect("room");
        let before = (writer.len(), writer.buf.clone());
        assert_eq!(writer.record(Section::Answer, &name("b.other."), Rtype::TXT, Class::IN, 1, &[7; 400]), Err(Full));
        assert_eq!((writer.len(), writer.buf.clone()), before);
        writer.record(Section::Answer, &name("b.other."), Rtype::TXT, Class::IN, 1, &[7; 40]).expect("room");
        assert_eq!(Header::read(&writer.finish()).expect("header").counts, [1, 2, 0, 0]);
    }

    #[test]
    fn names_are_compressed_only_where_allowed() {
        let mut writer = Writer::new(Vec::new(), 512);
        writer.question(&Question::new(name("example."), Rtype::NS)).expect("room");
        let start = writer.len();
        writer.record(Section::Answer, &name("example."), Rtype::NS, Class::IN, 1, b"\x02ns\x07EXAMPLE\x00").expect("room");
        // Owner pointer 2, fixed 10, label 3, pointer 2.
        assert_eq!(writer.len() - start, 17);
        let start = writer.len();
        writer.record(Section::Answer, &name("example."), Rtype::SRV, Class::IN, 1, b"\0\0\0\0\0\0\x02ns\x07example\x00").expect("room");
        assert_eq!(writer.len() - start, 2 + 10 + 6 + 12);
    }
}
