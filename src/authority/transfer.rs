//! The sending side of a zone transfer: AXFR (RFC 5936) and IXFR (RFC 1995), one message at a time.
//!
//! ```text
//! whole          SOA ─► every other record ─► SOA
//! changes        SOA ─► for each change: old SOA, removed records, new SOA, added records ─► SOA
//! up to date     SOA
//! ```
//!
//! The transfer holds one version of the zone to its end, and makes a message only when it is asked for the next one: nothing
//! grows with the zone. Each message repeats the question, whose name is then the target of all compression pointers.

use std::sync::Arc;

use super::history::History;
use crate::limits::clients::UDP_REPLY_BYTES_MAX;
use crate::limits::zone::TRANSFER_MESSAGE_BYTES;
use crate::record::{Class, Field, Rtype, fields};
use crate::wire::{Flags, HEADER_BYTES, Header};
use crate::zone::{Cursor, Diff, RecordRef, Zone, is_newer, octets_of, records_from};

/// The largest message (RFC 1035 4.2.2).
const MESSAGE_BYTES: usize = u16::MAX as usize;

/// OPT without options.
const OPT_BYTES: usize = 11;

/// A transfer under way.
pub struct Outgoing {
    zone: Arc<Zone>,
    body: Body,
    id: u16,
    /// QNAME, QTYPE and QCLASS as they were sent; QNAME is the apex.
    question: Vec<u8>,
    /// The first message has OPT if the query had it (RFC 5936 2.2.5).
    has_edns: bool,
    step: Step,
    messages_made: usize,
}

/// What is sent between the first SOA and the last.
enum Body {
    Whole(Cursor),
    Changes { diffs: Vec<Arc<Diff>>, at: usize, part: Part },
    UpToDate,
}

/// The place in one change: its two SOAs, and an offset among its records.
#[derive(Clone, Copy)]
enum Part {
    OldSoa,
    Removed(usize),
    NewSoa,
    Added(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    OpeningSoa,
    Body,
    ClosingSoa,
    Done,
}

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    Whole,
    /// IXFR: the changes since this serial.
    Since(u32),
}

impl Outgoing {
    /// `question` is the question section of the query.
    pub fn new(zone: Arc<Zone>, history: Option<&History>, wanted: Wanted, id: u16, question: &[u8], has_edns: bool) -> Outgoing {
        let body = match wanted {
            // RFC 1995 2: a client with this serial, or a later one, gets the SOA.
            Wanted::Since(serial) if !is_newer(zone.serial(), serial) => Body::UpToDate,
            Wanted::Since(serial) => match history.and_then(|history| history.since(serial)).filter(|diffs| is_shorter(diffs, &zone)) {
                Some(diffs) => Body::Changes { diffs: diffs.to_vec(), at: 0, part: Part::OldSoa },
                None => Body::Whole(Cursor::default()),
            },
            Wanted::Whole => Body::Whole(Cursor::default()),
        };
        Outgoing { zone, body, id, question: question.to_vec(), has_edns, step: Step::OpeningSoa, messages_made: 0 }
    }

    /// The next message, with room left for a signature of `reserved` octets; `None` after the last.
    pub fn next(&mut self, reserved: usize) -> Option<Vec<u8>> {
        if self.step == Step::Done {
            return None;
        }
        let zone = self.zone.clone();
        let mut message = MessageMaker::new(&self.question, zone.apex().as_wire(), TRANSFER_MESSAGE_BYTES.saturating_sub(reserved));
        let opt_bytes = if self.has_edns && self.messages_made == 0 { OPT_BYTES } else { 0 };
        message.limit -= opt_bytes;
        while self.step != Step::Done && self.fill(&mut message) {}
        if message.count == 0 {
            // One record that takes more than a usual message.
            message.limit = MESSAGE_BYTES - reserved - opt_bytes;
            self.fill(&mut message);
            if message.count == 0 {
                // Longer than any message, together with its question: it cannot be transferred at all.
                self.step = Step::Done;
                return None;
            }
        }
        self.messages_made += 1;
        Some(message.finish(self.id, opt_bytes > 0))
    }

    /// Takes one step; false if the message is full.
    fn fill(&mut self, message: &mut MessageMaker<'_>) -> bool {
        match self.step {
            Step::OpeningSoa | Step::ClosingSoa => {
                let soa = self.zone.soa();
                let Some(rdata) = soa.rdatas().next() else {
                    self.step = Step::Done;
                    return false;
                };
                let owner = self.zone.apex().as_wire();
                if !message.put(RecordRef { owner, rtype: Rtype::SOA, ttl: soa.ttl, rdata }) {
                    return false;
                }
                self.step = match (self.step, &self.body) {
                    (Step::OpeningSoa, Body::Whole(_) | Body::Changes { .. }) => Step::Body,
                    _ => Step::Done,
                };
                true
            }
            Step::Body => {
                let is_whole = match &mut self.body {
                    Body::Whole(cursor) => records_from(&self.zone, cursor, |record| message.put(record)),
                    Body::Changes { diffs, at, part } => changes(diffs, at, part, self.zone.apex().as_wire(), message),
                    Body::UpToDate => true,
                };
                if is_whole {
                    self.step = Step::ClosingSoa;
                }
                is_whole
            }
            Step::Done => false,
        }
    }

    /// The single reply to IXFR over UDP: the SOA (RFC 1995 2: the client then asks over TCP).
    pub fn soa_only(zone: Arc<Zone>, id: u16, question: &[u8], has_edns: bool) -> Outgoing {
        Outgoing { zone, body: Body::UpToDate, id, question: question.to_vec(), has_edns, step: Step::OpeningSoa, messages_made: 0 }
    }

    /// SERIAL of the version that is sent.
    pub fn serial(&self) -> u32 {
        self.zone.serial()
    }

    /// In words, for the log.
    pub fn form(&self) -> &'static str {
        match self.body {
            Body::Whole(_) => "whole zone",
            Body::Changes { .. } => "changes",
            Body::UpToDate => "up to date",
        }
    }
}

/// Changes that take more octets than the zone are not worth sending (RFC 1995 2).
fn is_shorter(diffs: &[Arc<Diff>], zone: &Zone) -> bool {
    diffs.iter().map(|diff| diff.octets()).sum::<usize>() <= octets_of(zone)
}

/// True when all changes are in; false if the message is full.
fn changes(diffs: &[Arc<Diff>], at: &mut usize, part: &mut Part, apex: &[u8], message: &mut MessageMaker<'_>) -> bool {
    while let Some(diff) = diffs.get(*at) {
        let soa = |which: usize| RecordRef { owner: apex, rtype: Rtype::SOA, ttl: diff.soas[which].0, rdata: &diff.soas[which].1 };
        *part = match *part {
            Part::OldSoa if message.put(soa(0)) => Part::Removed(0),
            Part::NewSoa if message.put(soa(1)) => Part::Added(0),
            Part::OldSoa | Part::NewSoa => return false,
            Part::Removed(offset) => match diff.removed.at(offset) {
                Some((record, next)) if message.put(record) => Part::Removed(next),
                Some(_) => return false,
                None => Part::NewSoa,
            },
            Part::Added(offset) => match diff.added.at(offset) {
                Some((record, next)) if message.put(record) => Part::Added(next),
                Some(_) => return false,
                None => {
                    *at += 1;
                    Part::OldSoa
                }
            },
        };
    }
    true
}

/// One message: header, question, records. Owners are written as their labels and a pointer to the question's name, or as a
/// pointer to the owner before: a search among earlier names would cost more than it saves.
struct MessageMaker<'z> {
    bytes: Vec<u8>,
    limit: usize,
    count: u16,
    apex: &'z [u8],
    /// The owner of the last record and where it stands.
    last_owner: (Vec<u8>, usize),
}

impl<'z> MessageMaker<'z> {
    fn new(question: &[u8], apex: &'z [u8], limit: usize) -> MessageMaker<'z> {
        let mut bytes = Vec::with_capacity(limit);
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(question);
        MessageMaker { bytes, limit, count: 0, apex, last_owner: (Vec::new(), 0) }
    }

    /// False, and nothing is written, if the record does not fit.
    fn put(&mut self, record: RecordRef<'_>) -> bool {
        let start = self.bytes.len();
        // A pointer has 14 bits.
        if record.owner == self.last_owner.0 && self.last_owner.1 < 0x4000 {
            self.bytes.extend_from_slice(&(self.last_owner.1 as u16 | 0xc000).to_be_bytes());
        } else {
            self.name(record.owner);
        }
        self.bytes.extend_from_slice(&record.rtype.0.to_be_bytes());
        self.bytes.extend_from_slice(&Class::IN.0.to_be_bytes());
        self.bytes.extend_from_slice(&record.ttl.to_be_bytes());
        let len_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.rdata(record.rtype, record.rdata);
        let len = self.bytes.len() - len_at - 2;
        if self.bytes.len() > self.limit || len > usize::from(u16::MAX) || self.count == u16::MAX {
            self.bytes.truncate(start);
            return false;
        }
        self.bytes[len_at..len_at + 2].copy_from_slice(&(len as u16).to_be_bytes());
        if record.owner != self.last_owner.0 {
            self.last_owner.0.clear();
            self.last_owner.0.extend_from_slice(record.owner);
            self.last_owner.1 = start;
        }
        self.count += 1;
        true
    }

    /// Compressed if it lies in the zone and the apex is written in lower case: letters keep their case.
    fn name(&mut self, name: &[u8]) {
        let mut at = 0;
        while name.len() - at > self.apex.len() {
            at += 1 + usize::from(name[at]);
        }
        if name.len() > 1 && name[at..] == *self.apex {
            self.bytes.extend_from_slice(&name[..at]);
            self.bytes.extend_from_slice(&(HEADER_BYTES as u16 | 0xc000).to_be_bytes());
        } else {
            self.bytes.extend_from_slice(name);
        }
    }

    fn rdata(&mut self, rtype: Rtype, rdata: &[u8]) {
        let mut rest = rdata;
        for field in fields(rtype) {
            let Field::Compressible = field else {
                let Field::Fixed(len) = field else { break };
                let (fixed, after) = rest.split_at(rest.len().min(*len));
                self.bytes.extend_from_slice(fixed);
                rest = after;
                continue;
            };
            let Some(len) = crate::record::wire_name_len(rest) else { break };
            let (name, after) = rest.split_at(len);
            self.name(name);
            rest = after;
        }
        self.bytes.extend_from_slice(rest);
    }

    fn finish(mut self, id: u16, with_opt: bool) -> Vec<u8> {
        let counts = [1, self.count, 0, u16::from(with_opt)];
        let header = Header { id, flags: Flags(Flags::QR | Flags::AA), counts };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        if with_opt {
            self.bytes.push(0);
            self.bytes.extend_from_slice(&Rtype::OPT.0.to_be_bytes());
            self.bytes.extend_from_slice(&(UDP_REPLY_BYTES_MAX as u16).to_be_bytes());
            // Extended RCODE, version and flags; no options.
            self.bytes.extend_from_slice(&[0; 6]);
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, Question};
    use crate::wire::{Message, Section, Writer};
    use crate::zone::{TransferReader, have_same_data, load_zone};

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(apex: &str, serial: u32, more: &str) -> Arc<Zone> {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
        Arc::new(load_zone(&name(apex), "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0)
    }

    fn question(apex: &str, rtype: Rtype) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), 512);
        writer.question(&Question::new(name(apex), rtype)).expect("room");
        writer.finish()[HEADER_BYTES..].to_vec()
    }

    fn messages(mut outgoing: Outgoing, reserved: usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(message) = outgoing.next(reserved) {
            assert!(all.len() < 10_000, "it ends");
            all.push(message);
        }
        all
    }

    fn whole(zone: &Arc<Zone>, reserved: usize) -> Vec<Vec<u8>> {
        let question = question(&zone.apex().to_string(), Rtype::AXFR);
        messages(Outgoing::new(zone.clone(), None, Wanted::Whole, 9, &question, false), reserved)
    }

    #[test]
    fn a_zone_arrives_as_it_was_sent() {
        let many: String =
            (0..5_000).map(|n| format!("h{n} A 192.0.2.1\nh{n} MX 10 mail.H{}\nh{n} TXT \"some text {n}\"\n", n % 7)).collect();
        let odd = "ns RRSIG A 8 2 300 20300101000000 20200101000000 1 example. Zm9v\n@ NSEC ns NS SOA\n$GENERATE 1-9 *.w$ CNAME www.EXAMPLE.\nx SRV 1 2 3 ns\ny MX 1 .\nz MX 1 mail.other.example2.\nbig TXT ";
        let big: String = (0..240).map(|_| format!("\"{}\" ", "x".repeat(250))).collect();
        for (apex, text) in [("example.", many.as_str()), ("example.", &format!("{odd}{big}\n")), (".", "www A 192.0.2.1\nm MX 10 www\n")] {
            let zone = zone(apex, 7, text);
            for reserved in [0, 200] {
                let messages = whole(&zone, reserved);
                let mut reader = TransferReader::new(name(apex), 9, 100 << 20);
                for (at, message) in messages.iter().enumerate() {
                    assert!(message.len() <= MESSAGE_BYTES - reserved);
                    assert_eq!(reader.message(message), Ok(at + 1 == messages.len()), "{apex} message {at}");
                }
                let copy = reader.finish().expect("a zone");
                assert!(have_same_data(&zone, &copy), "{apex}");
            }
        }
    }

    #[test]
    fn messages_are_full_and_compressed() {
        let many: String = (0..5_000).map(|n| format!("h{n} MX 10 mail\n")).collect();
        let messages = whole(&zone("a-rather-long-name.example.", 7, &many), 0);
        let octets: usize = messages.iter().map(Vec::len).sum();
        // Owner: up to 6 octets and a pointer; fixed fields 10; preference 2; `mail` and a pointer.
        assert!(octets < 5_100 * 28, "{octets}");
        assert!(messages.iter().rev().skip(1).all(|message| message.len() > TRANSFER_MESSAGE_BYTES - 300));
    }

    #[test]
    fn edns_is_answered_in_the_first_message() {
        let many: String = (0..3_000).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
        let zone = zone("example.", 7, &many);
        let question = question("example.", Rtype::AXFR);
        let messages = messages(Outgoing::new(zone, None, Wanted::Whole, 9, &question, true), 0);
        let has_opt: Vec<bool> = messages.iter().map(|message| Message::parse(message).expect("well formed").edns().is_some()).collect();
        assert!(has_opt.len() > 1 && has_opt[0] && has_opt[1..].iter().all(|has| !has));
        assert!(messages.iter().all(|message| message.len() <= TRANSFER_MESSAGE_BYTES));
    }

    /// The serials of SOA records, and how many other records stand behind each.
    fn shape(messages: &[Vec<u8>]) -> String {
        let mut shape = String::new();
        let mut others = 0;
        for message in messages {
            for record in Message::parse(message).expect("well formed").records(Section::Answer) {
                if record.rtype() == Rtype::SOA {
                    let mut rdata = Vec::new();
                    record.expand_rdata(&mut rdata).expect("well formed");
                    let serial = u32::from_be_bytes(rdata[rdata.len() - 20..rdata.len() - 16].try_into().expect("four"));
                    let before = if others > 0 { format!("+{others} ") } else { String::new() };
                    shape += &format!("{before}{serial} ");
                    others = 0;
                } else {
                    others += 1;
                }
            }
        }
        shape.trim_end().to_owned()
    }

    #[test]
    fn what_a_client_with_a_serial_gets() {
        let filler: String = (0..50).map(|n| format!("h{n} A 192.0.2.1\n")).collect();
        let versions = [
            zone("example.", 1, &format!("{filler}a TXT 1\n")),
            zone("example.", 2, &format!("{filler}a TXT 2\nb TXT 2\n")),
            zone("example.", 4, &format!("{filler}b TXT 2\n")),
        ];
        let history = versions.windows(2).fold(History::default(), |history, pair| history.followed_by(&pair[0], &pair[1]));
        let question = question("example.", Rtype::IXFR);
        let last = versions[2].clone();
        for (wanted, expected) in [
            (Wanted::Since(1), "4 1 +1 2 +2 2 +1 4 4"),
            (Wanted::Since(2), "4 2 +1 4 4"),
            (Wanted::Since(4), "4"),
            (Wanted::Since(5), "4"),
            (Wanted::Since(3), "4 +53 4"),
            (Wanted::Whole, "4 +53 4"),
        ] {
            let outgoing = Outgoing::new(last.clone(), Some(&history), wanted, 9, &question, false);
            assert_eq!(shape(&messages(outgoing, 0)), expected, "{wanted:?}");
        }
        let outgoing = Outgoing::new(last.clone(), None, Wanted::Since(2), 9, &question, false);
        assert_eq!(shape(&messages(outgoing, 0)), "4 +53 4");
        assert_eq!(shape(&messages(Outgoing::soa_only(last, 9, &question, false), 0)), "4");
    }

    /// A change that is as large as the zone is sent as the zone.
    #[test]
    fn a_change_of_everything_is_sent_whole() {
        let of = |serial: u32| zone("example.", serial, &(0..50).map(|n| format!("h{n}-{serial} A 192.0.2.1\n")).collect::<String>());
        let (old, new) = (of(1), of(2));
        let history = History::default().followed_by(&old, &new);
        let outgoing = Outgoing::new(new, Some(&history), Wanted::Since(1), 9, &question("example.", Rtype::IXFR), false);
        assert_eq!(shape(&messages(outgoing, 0)), "2 +52 2");
    }
}
