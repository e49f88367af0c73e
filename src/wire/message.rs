//! A message from the network, walked record by record (RFC 1035 4.1).
//!
//! Lenient where that is safe: a record whose RDATA makes no sense is one lost record (hickory-proto refuses the whole
//! message). Strict on framing: lengths and counts that do not add up are an error. Pointers only go backwards, and at most
//! `POINTERS_PER_NAME_MAX` are followed for a name, so that a message made of one long chain of pointers costs no more than any
//! other.

use smallvec::SmallVec;

use super::edns::Edns;
use super::header::{HEADER_BYTES, Header};
use crate::limits::wire::POINTERS_PER_NAME_MAX;
#[cfg(any(test, feature = "internals"))]
use crate::record::Question;
use crate::record::{Class, Field, NAME_BYTES_MAX, Name, Rtype, fields};

/// Reason why a message, or a record of it, cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    Short,
    BadName,
    BadRdata,
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            WireError::Short => "the message ends before what its header promises",
            WireError::BadName => "a name in the message is malformed",
            WireError::BadRdata => "the data of a record does not fit its type",
        })
    }
}

impl std::error::Error for WireError {}

/// The sections that hold records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// Where one record stands in the message. The offsets were checked when the message was parsed.
#[derive(Clone, Copy, Debug)]
struct Place {
    owner: u16,
    rtype: Rtype,
    class: Class,
    ttl: u32,
    data: u16,
    data_len: u16,
}

/// A message whose framing has been checked: every record lies inside it.
#[derive(Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
    question_wire: &'a [u8],
    places: SmallVec<[Place; 16]>,
    /// Where the authority and the additional section start in `places`.
    starts: [usize; 2],
}

impl<'a> Message<'a> {
    /// Fails for more than 65,535 octets, for more than one question (RFC 9619), and where counts or lengths do not add up.
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, WireError> {
        let header = Header::read(bytes).ok_or(WireError::Short)?;
        let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
        let mut at = HEADER_BYTES;
        match header.counts[0] {
            0 => {}
            1 => {
                at += expand_wire(bytes, at, |_| {}).ok_or(WireError::BadName)? + 4;
                if at > bytes.len() {
                    return Err(WireError::Short);
                }
            }
            _ => return Err(WireError::Short),
        }
        let question_wire = &bytes[HEADER_BYTES..at];
        let mut places = SmallVec::new();
        let mut starts = [0; 2];
        for (section, count) in header.counts[1..].iter().enumerate() {
            for _ in 0..*count {
                let place = read_place(bytes, at)?;
                at = usize::from(place.data) + usize::from(place.data_len);
                places.push(place);
            }
            if section < 2 {
                starts[section] = places.len();
            }
        }
        Ok(Message { bytes, header, question_wire, places, starts })
    }

    /// The header as it was sent.
    pub fn header(&self) -> Header {
        self.header
    }

    /// `None` when QDCOUNT was 0.
    pub fn question(&self) -> Option<(Name, Rtype, Class)> {
        let (name, used) = expand(self.bytes, HEADER_BYTES).filter(|_| !self.question_wire.is_empty())?;
        let fixed = self.bytes.get(HEADER_BYTES + used..)?.first_chunk::<4>()?;
        Some((name, Rtype(u16::from_be_bytes([fixed[0], fixed[1]])), Class(u16::from_be_bytes([fixed[2], fixed[3]]))))
    }

    /// The question section as it was sent, letter case included (RFC 5452 9.1, and 0x20).
    pub fn question_wire(&self) -> &'a [u8] {
        self.question_wire
    }

    /// Whether the message has exactly this question, of class IN; letter case does not count.
    #[cfg(any(test, feature = "internals"))]
    pub fn asks(&self, question: &Question) -> bool {
        self.question() == Some((question.name.clone(), question.rtype, Class::IN))
    }

    /// Records of a section in the order sent, OPT left out.
    pub fn records(&self, section: Section) -> impl Iterator<Item = Record<'_>> {
        let range = match section {
            Section::Answer => 0..self.starts[0],
            Section::Authority => self.starts[0]..self.starts[1],
            Section::Additional => self.starts[1]..self.places.len(),
        };
        let places = self.places.get(range).unwrap_or(&[]);
        places.iter().filter(|place| place.rtype != Rtype::OPT).map(|place| Record { bytes: self.bytes, place: *place })
    }

    /// The last record of the message, and the offsets at which it begins and ends.
    pub fn last_record(&self) -> Option<(Record<'_>, usize, usize)> {
        let place = *self.places.last()?;
        let end = usize::from(place.data) + usize::from(place.data_len);
        Some((Record { bytes: self.bytes, place }, usize::from(place.owner), end))
    }

    /// OPT, if there is one.
    pub fn edns(&self) -> Option<Edns<'a>> {
        let place = self.places[self.starts[1].min(self.places.len())..].iter().find(|place| place.rtype == Rtype::OPT)?;
        Some(Edns::from_record(place.class.0, place.ttl, raw_data(self.bytes, place)))
    }

    /// The response code, with the upper bits from OPT (RFC 6891 6.1.3).
    pub fn rcode(&self) -> crate::record::Rcode {
        let flags = self.header.flags;
        crate::record::Rcode(self.edns().map_or(flags.rcode(), |edns| edns.rcode(flags)))
    }
}

/// One record of a message, read where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    place: Place,
}

impl Record<'_> {
    /// Fails where a pointer of the name is not allowed.
    pub fn owner(&self) -> Result<Name, WireError> {
        expand(self.bytes, usize::from(self.place.owner)).map(|(name, _)| name).ok_or(WireError::BadName)
    }

    /// The offset in the message of the owner's first label, or of the pointer that the pointer at the owner leads to. Two
    /// records of one message with the same offset have the same owner; different offsets say nothing.
    pub fn owner_offset(&self) -> u16 {
        let at = usize::from(self.place.owner);
        match self.bytes.get(at..at + 2) {
            Some(&[high, low]) if high >= 0xc0 => u16::from_be_bytes([high & 0x3f, low]),
            _ => self.place.owner,
        }
    }

    /// TYPE of the record.
    pub fn rtype(&self) -> Rtype {
        self.place.rtype
    }

    /// CLASS of the record.
    pub fn class(&self) -> Class {
        self.place.class
    }

    /// RFC 2181 8: a TTL with the top bit set means 0.
    pub fn ttl(&self) -> u32 {
        if self.place.ttl > i32::MAX as u32 { 0 } else { self.place.ttl }
    }

    /// RDLENGTH as it was sent.
    pub fn rdata_len(&self) -> u16 {
        self.place.data_len
    }

    /// Appends the RDATA without compression to `out`; on error `out` is as before.
    pub fn expand_rdata(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let start = out.len();
        let result = expand_rdata(self.bytes, &self.place, out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

fn read_place(bytes: &[u8], at: usize) -> Result<Place, WireError> {
    let owner_len = skip_name(bytes, at).ok_or(WireError::BadName)?;
    let fixed = bytes.get(at + owner_len..at + owner_len + 10).ok_or(WireError::Short)?;
    let data = at + owner_len + 10;
    let data_len = u16::from_be_bytes([fixed[8], fixed[9]]);
    if bytes.len() < data + usize::from(data_len) {
        return Err(WireError::Short);
    }
    Ok(Place {
        owner: at as u16,
        rtype: Rtype(u16::from_be_bytes([fixed[0], fixed[1]])),
        class: Class(u16::from_be_bytes([fixed[2], fixed[3]])),
        ttl: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        data: data as u16,
        data_len,
    })
}

fn raw_data<'a>(bytes: &'a [u8], place: &Place) -> &'a [u8] {
    bytes.get(usize::from(place.data)..usize::from(place.data) + usize::from(place.data_len)).unwrap_or(&[])
}

fn expand_rdata(bytes: &[u8], place: &Place, out: &mut Vec<u8>) -> Result<(), WireError> {
    let end = usize::from(place.data) + usize::from(place.data_len);
    let mut at = usize::from(place.data);
    let start = out.len();
    for field in fields(place.rtype) {
        let take = match field {
            Field::Compressible | Field::Name => {
                at += expand_wire(&bytes[..end], at, |piece| out.extend_from_slice(piece)).ok_or(WireError::BadRdata)?;
                continue;
            }
            Field::Fixed(len) => *len,
            Field::Text => 1 + usize::from(*bytes[..end].get(at).ok_or(WireError::BadRdata)?),
            Field::Rest => end.saturating_sub(at),
        };
        out.extend_from_slice(bytes[..end].get(at..at + take).ok_or(WireError::BadRdata)?);
        at += take;
    }
    let fixed_size = match place.rtype {
        Rtype::A => Some(4),
        Rtype::AAAA => Some(16),
        _ => None,
    };
    if at != end || fixed_size.is_some_and(|size| out.len() - start != size) || out.len() - start > usize::from(u16::MAX) {
        return Err(WireError::BadRdata);
    }
    Ok(())
}

/// The octets that the name takes at `at`, its closing pointer included. Pointers are not followed.
pub(super) fn skip_name(bytes: &[u8], at: usize) -> Option<usize> {
    let mut here = at;
    loop {
        match *bytes.get(here)? {
            0 => return Some(here + 1 - at),
            len if len < 64 => here += 1 + usize::from(len),
            pointer if pointer >= 0xc0 => {
                bytes.get(here + 1)?;
                return Some(here + 2 - at);
            }
            _ => return None,
        }
        if here - at > 255 {
            return None;
        }
    }
}

fn expand(bytes: &[u8], at: usize) -> Option<(Name, usize)> {
    let mut wire = SmallVec::<[u8; 256]>::new();
    let used = expand_wire(bytes, at, |piece| wire.extend_from_slice(piece))?;
    Some((Name::from_wire(&wire).ok()?, used))
}

/// Hands out the pieces of the name at `at`, with its pointers followed and its letter case kept. Returns the octets that it takes
/// at `at`; `None` if it is no name, after pieces that are then worth nothing.
fn expand_wire(bytes: &[u8], at: usize, mut take: impl FnMut(&[u8])) -> Option<usize> {
    let mut len = 0;
    let mut used = None;
    // The labels from `piece` to `here` are copied together. A pointer must lead before the start of its piece.
    let (mut piece, mut here) = (at, at);
    let mut pointers = 0;
    loop {
        match *bytes.get(here)? {
            0 => {
                let last = bytes.get(piece..=here).filter(|last| len + last.len() <= NAME_BYTES_MAX)?;
                take(last);
                return Some(used.unwrap_or_else(|| here + 1 - at));
            }
            len if len < 64 => here += 1 + usize::from(len),
            high if high >= 0xc0 => {
                let target = usize::from(u16::from_be_bytes([high & 0x3f, *bytes.get(here + 1)?]));
                pointers += 1;
                if target >= piece || pointers > POINTERS_PER_NAME_MAX || target < HEADER_BYTES {
                    return None;
                }
                let labels = bytes.get(piece..here)?;
                len += labels.len();
                take(labels);
                used.get_or_insert_with(|| here + 2 - at);
                (piece, here) = (target, target);
            }
            _ => return None,
        }
        if len + (here - piece) >= NAME_BYTES_MAX {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Flags, Writer};

    fn sample() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 4096);
        writer.header(Header { id: 9, flags: Flags(Flags::QR | Flags::AA), counts: [0; 4] });
        let name = Name::parse("www.example.").expect("name");
        writer.question(&Question::new(name.clone(), Rtype::MX)).expect("room");
        writer.record(Section::Answer, &name, Rtype::MX, Class::IN, 300, b"\x00\x0a\x04Mail\x07example\x00").expect("room");
        writer
            .record(Section::Additional, &Name::parse("mail.example.").expect("name"), Rtype::A, Class::IN, 60, &[192, 0, 2, 1])
            .expect("room");
        writer.finish()
    }

    #[test]
    fn records_come_back_uncompressed() {
        let bytes = sample();
        let message = Message::parse(&bytes).expect("own message");
        let mx = message.records(Section::Answer).next().expect("MX");
        let mut rdata = Vec::new();
        mx.expand_rdata(&mut rdata).expect("sound");
        assert_eq!(rdata, b"\x00\x0a\x04Mail\x07example\x00");
        assert_eq!(mx.owner().expect("owner").to_string(), "www.example.");
        let a = message.records(Section::Additional).next().expect("A");
        assert_eq!((a.owner().expect("owner").to_string(), a.rtype(), a.ttl()), ("mail.example.".into(), Rtype::A, 60));
        assert_eq!(message.records(Section::Authority).count(), 0);
    }

    #[test]
    fn hickory_reads_what_we_write() {
        let message = hickory_proto::op::Message::from_vec(&sample()).expect("hickory agrees");
        assert_eq!(message.answers.len(), 1);
        assert_eq!(message.answers[0].to_string(), "www.example. 300 IN MX 10 Mail.example.");
        // The owner points at the name in the MX record and so shows its letter case.
        assert_eq!(message.additionals[0].to_string(), "Mail.example. 60 IN A 192.0.2.1");
    }

    #[test]
    fn one_odd_record_does_not_cost_the_message() {
        let mut bytes = sample();
        // The A record gets five octets.
        let len = bytes.len();
        bytes[len - 5] = 5;
        bytes.push(0);
        let message = Message::parse(&bytes).expect("framing holds");
        assert_eq!(message.records(Section::Answer).count(), 1);
        let a = message.records(Section::Additional).next().expect("A");
        assert_eq!(a.expand_rdata(&mut Vec::new()), Err(WireError::BadRdata));
    }

    /// A pointer holds 14 bits, an offset 16: owners beyond 16 KiB are not taken for owners before it.
    #[test]
    fn owners_beyond_the_reach_of_pointers_are_told_apart() {
        let record = |owner: &[u8], rdata: &[u8]| [owner, b"\0\x10\0\x01\0\0\0\0", &(rdata.len() as u16).to_be_bytes(), rdata].concat();
        let mut bytes = b"\0\0\x80\0\0\0\0\x03\0\0\0\0".to_vec();
        bytes.extend(record(b"\x01a\0", &[0; 16 * 1024 - 3 - 10]));
        assert_eq!(bytes.len(), 12 + 0x4000);
        bytes.extend(record(b"\x01b\0", b"\0"));
        bytes.extend(record(&[0xc0, 12], b"\0"));
        let message = Message::parse(&bytes).expect("sound");
        let seen: Vec<(String, u16)> =
            message.records(Section::Answer).map(|record| (record.owner().expect("sound").to_string(), record.owner_offset())).collect();
        assert_eq!(seen, [("a.".into(), 12), ("b.".into(), 12 + 0x4000), ("a.".into(), 12)]);
    }

    #[test]
    fn pointers_are_bounded() {
        let mut forward = sample();
        forward[12] = 0xc0;
        forward[13] = 0x20;
        assert_eq!(Message::parse(&forward).map(|_| ()), Err(WireError::BadName));
        let mut chain = vec![0u8; 12];
        chain[7] = 1;
        chain.push(0);
        for hop in 0..40u8 {
            chain.extend_from_slice(&[0xc0, if hop == 0 { 12 } else { 11 + 2 * hop }]);
        }
        assert!(expand(&chain, 13 + 2 * 31).is_some());
        assert!(expand(&chain, 13 + 2 * 32).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 12..400), counts in proptest::array::uniform4(0u8..3)) {
            for (place, count) in [4, 6, 8, 10].into_iter().zip(counts) {
                bytes[place] = 0;
                bytes[place + 1] = count;
            }
            if let Ok(message) = Message::parse(&bytes) {
                for section in [Section::Answer, Section::Authority, Section::Additional] {
                    for record in message.records(section) {
                        let _ = (record.owner(), record.owner_offset(), record.expand_rdata(&mut Vec::new()));
                    }
                }
            }
        }
    }
}
