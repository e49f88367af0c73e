//! A client's query read in place: one check, then accessors that cannot fail and never allocate.
//!
//! RFC 9619: exactly one question. RFC 6891 6.1.1: at most one OPT, in the additional section, owner root.
//! RFC 1035 4.1.4 allows compression in a question's name, but there is nothing before it to point at.

use super::edns::{Edns, options};
use super::header::{Flags, HEADER_BYTES, Header};
use crate::record::{Class, Rtype};

/// Why a packet is no query, and so how it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// No reply: the packet is shorter than a header, or itself a response (a reply could make two servers talk for ever).
    Unanswerable,
    /// FORMERR with the header alone: no question could be read.
    NoQuestion,
    /// FORMERR with the question, which could be read.
    AfterQuestion,
}

/// The lower octet of the type OPT; the higher one is 0.
const OPT_TYPE: u8 = Rtype::OPT.0 as u8;

/// A query whose header, question and OPT have been checked.
#[derive(Clone, Copy, Debug)]
pub struct QueryView<'a> {
    bytes: &'a [u8],
    header: Header,
    /// Length of QNAME on the wire, final zero included.
    qname_len: usize,
    edns: Option<Edns<'a>>,
}

impl<'a> QueryView<'a> {
    /// After this check no accessor can panic: header and question lie inside `bytes`. Only header and question are read for an
    /// OPCODE other than QUERY. The error carries the length of QNAME, 0 where no question could be read.
    #[inline]
    pub fn check(bytes: &'a [u8]) -> Result<QueryView<'a>, (Malformed, usize)> {
        let header = Header::read(bytes).ok_or((Malformed::Unanswerable, 0))?;
        if header.flags.has(Flags::QR) {
            return Err((Malformed::Unanswerable, 0));
        }
        if header.counts[0] != 1 {
            return Err((Malformed::NoQuestion, 0));
        }
        let qname_len = crate::record::wire_name_len(&bytes[HEADER_BYTES..]).ok_or((Malformed::NoQuestion, 0))?;
        let end = HEADER_BYTES + qname_len + 4;
        if bytes.len() < end {
            return Err((Malformed::NoQuestion, 0));
        }
        let mut view = QueryView { bytes, header, qname_len, edns: None };
        if header.flags.opcode() == super::Opcode::QUERY {
            view.edns = find_opt(bytes, end, header).map_err(|()| (Malformed::AfterQuestion, qname_len))?;
        }
        Ok(view)
    }

    /// ID of the message.
    pub fn id(&self) -> u16 {
        self.header.id
    }

    /// The flags as they were sent.
    pub fn flags(&self) -> Flags {
        self.header.flags
    }

    /// QNAME as it was sent, letter case included.
    pub fn qname_wire(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..HEADER_BYTES + self.qname_len]
    }

    /// QNAME in lower case.
    #[cfg(any(test, feature = "internals"))]
    pub fn qname(&self) -> Result<crate::record::Name, crate::record::NameError> {
        crate::record::Name::from_wire(self.qname_wire())
    }

    /// QTYPE.
    pub fn qtype(&self) -> Rtype {
        let at = HEADER_BYTES + self.qname_len;
        Rtype(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// QCLASS.
    pub fn qclass(&self) -> Class {
        let at = HEADER_BYTES + self.qname_len + 2;
        Class(u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// QNAME, QTYPE and QCLASS as they were sent, for the reply.
    pub fn question_wire(&self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..HEADER_BYTES + self.qname_len + 4]
    }

    /// OPT, if there is one.
    pub fn edns(&self) -> Option<&Edns<'a>> {
        self.edns.as_ref()
    }
}

/// The OPT of a query. Nearly all queries carry nothing but their question, or one OPT after it.
#[inline]
fn find_opt(bytes: &[u8], at: usize, header: Header) -> Result<Option<Edns<'_>>, ()> {
    let [_, answers, authorities, additionals] = header.counts;
    if answers | authorities | additionals == 0 {
        return if at == bytes.len() { Ok(None) } else { Err(()) };
    }
    match bytes.get(at..).and_then(<[u8]>::split_first_chunk::<11>) {
        Some(([0, 0, OPT_TYPE, size_high, size_low, ttl @ .., len_high, len_low], data))
            if answers | authorities == 0 && additionals == 1 && data.len() == usize::from(u16::from_be_bytes([*len_high, *len_low])) =>
        {
            well_formed(Edns::from_record(u16::from_be_bytes([*size_high, *size_low]), u32::from_be_bytes(*ttl), data)).map(Some)
        }
        _ => find_opt_among(bytes, at, header),
    }
}

/// Only options of a version that we know can be judged.
#[inline]
fn well_formed(edns: Edns<'_>) -> Result<Edns<'_>, ()> {
    let is_broken = !edns.data.is_empty() && edns.version == 0 && options(edns.data).any(|option| option.is_err());
    if is_broken { Err(()) } else { Ok(edns) }
}

/// Skips the records of a query and returns its OPT. Each step consumes at least 11 octets, so the loop ends with the packet
/// whatever the counts claim.
#[inline(never)]
fn find_opt_among<'a>(bytes: &'a [u8], mut at: usize, header: Header) -> Result<Option<Edns<'a>>, ()> {
    let before = usize::from(header.counts[1]) + usize::from(header.counts[2]);
    let total = before + usize::from(header.counts[3]);
    let mut found = None;
    for index in 0..total {
        let owner_len = super::message::skip_name(bytes, at).ok_or(())?;
        let fixed = bytes.get(at + owner_len..at + owner_len + 10).ok_or(())?;
        let data_at = at + owner_len + 10;
        let data_len = u16::from_be_bytes([fixed[8], fixed[9]]) as usize;
        let data = bytes.get(data_at..data_at + data_len).ok_or(())?;
        // Signed messages are read elsewhere.
        if fixed[..2] == Rtype::TSIG.0.to_be_bytes() {
            return Err(());
        }
        if fixed[..2] == Rtype::OPT.0.to_be_bytes() {
            if found.is_some() || index < before || owner_len != 1 || bytes[at] != 0 {
                return Err(());
            }
            let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
            let edns = Edns::from_record(u16::from_be_bytes([fixed[2], fixed[3]]), ttl, data);
            found = Some(well_formed(edns)?);
        }
        at = data_at + data_len;
    }
    // Octets after the last counted record: sender and receiver do not mean the same message.
    if at == bytes.len() { Ok(found) } else { Err(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut bytes = Header { id: 7, flags: Flags(Flags::RD), counts }.to_bytes().to_vec();
        bytes.extend_from_slice(rest);
        bytes
    }

    const QUESTION: &[u8] = b"\x03WwW\x07example\x00\x00\x01\x00\x01";
    const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

    #[test]
    fn reads_in_place() {
        let mut rest = QUESTION.to_vec();
        rest.extend_from_slice(OPT);
        let bytes = packet([1, 0, 0, 1], &rest);
        let view = QueryView::check(&bytes).expect("well formed");
        assert_eq!(
            (view.id(), view.qtype(), view.qclass(), view.edns().is_some_and(|edns| edns.dnssec_ok)),
            (7, Rtype::A, Class::IN, true)
        );
        assert_eq!(view.qname_wire(), b"\x03WwW\x07example\x00");
        assert_eq!(view.qname().expect("name").to_string(), "www.example.");
        assert_eq!(view.edns().expect("OPT").udp_size, 1232);
    }

    #[test]
    fn each_fault_has_its_answer() {
        let with = |tail: &[u8]| [QUESTION, tail].concat();
        let mut response = packet([1, 0, 0, 0], QUESTION);
        response[2] |= 0x80;
        let rows: Vec<(Vec<u8>, Malformed)> = vec![
            (vec![0; 11], Malformed::Unanswerable),
            (response, Malformed::Unanswerable),
            (packet([0, 0, 0, 0], b""), Malformed::NoQuestion),
            (packet([2, 0, 0, 0], &with(QUESTION)), Malformed::NoQuestion),
            (packet([1, 0, 0, 0], b"\xc0\x0c\x00\x01\x00\x01"), Malformed::NoQuestion),
            (packet([1, 0, 0, 0], &QUESTION[..QUESTION.len() - 1]), Malformed::NoQuestion),
            (packet([1, 0, 0, 1], QUESTION), Malformed::AfterQuestion),
            (packet([1, 0, 0, 0], &with(b"\0")), Malformed::AfterQuestion),
            (packet([1, 0, 0, 2], &with(&[OPT, OPT].concat())), Malformed::AfterQuestion),
            (packet([1, 1, 0, 0], &with(OPT)), Malformed::AfterQuestion),
            (packet([1, 0, 0, 1], &with(b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x03\x00\x0a\x00")), Malformed::AfterQuestion),
        ];
        for (bytes, expected) in rows {
            assert_eq!(QueryView::check(&bytes).map(|_| ()).map_err(|(fault, _)| fault), Err(expected), "{bytes:02x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_packet_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            if let Ok(view) = QueryView::check(&bytes) {
                let _ = (view.qname(), view.qtype(), view.qclass(), view.question_wire(), view.edns().copied());
            }
        }
    }
}
