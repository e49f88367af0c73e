//! The reply when there is no answer: after a panic, or to a packet that was cut off. It has the header and, if it can be read,
//! the question (RFC 1035 4.1.1), because nothing else is certain.

use crate::record::Rcode;
use crate::wire::{Flags, HEADER_BYTES, Header, QueryView, Writer};

/// `None` where no reply is right: no complete header, or a response.
pub fn reply(query: &[u8], rcode: Rcode) -> Option<Vec<u8>> {
    let header = Header::read(query).filter(|header| !header.flags.has(Flags::QR))?;
    // Opcode, RD and CD are copied; RA is not known here.
    let kept = header.flags.0 & (0x7800 | Flags::RD | Flags::CD);
    let mut writer = Writer::new(Vec::with_capacity(HEADER_BYTES + 64), 512);
    writer.header(Header { id: header.id, flags: Flags(kept).with(Flags::QR, true).with_rcode(rcode.0), counts: [0; 4] });
    // A packet that was cut off may fail in its later records; then its question alone is read.
    let question = QueryView::check(query).map_or_else(
        |(_, qname_len)| query.get(HEADER_BYTES..HEADER_BYTES + qname_len + 4).filter(|_| qname_len > 0),
        |view| Some(view.question_wire()),
    );
    if let Some(question) = question {
        writer.question_wire(question).ok()?;
    }
    Some(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x12\x34\x01\x10\x00\x01\x00\x00\x00\x00\x00\x00\x03wWw\x04test\x00\x00\x01\x00\x01";

    #[test]
    fn the_question_is_echoed_where_it_can_be_read() {
        let whole = reply(QUERY, Rcode::SERVFAIL).expect("a query");
        assert_eq!(&whole[..12], b"\x12\x34\x81\x12\x00\x01\x00\x00\x00\x00\x00\x00");
        assert_eq!(&whole[12..], &QUERY[12..]);

        let mut cut_off = QUERY.to_vec();
        cut_off[11] = 1;
        let formerr = reply(&cut_off, Rcode::FORMERR).expect("a query");
        assert_eq!((formerr[3] & 15, &formerr[12..]), (1, &QUERY[12..]));

        let headless = reply(&QUERY[..20], Rcode::FORMERR).expect("a query");
        assert_eq!((headless.len(), &headless[4..6]), (12, &[0, 0][..]));

        let mut response = QUERY.to_vec();
        response[2] |= 0x80;
        assert_eq!(reply(&response, Rcode::SERVFAIL), None);
        assert_eq!(reply(&QUERY[..11], Rcode::SERVFAIL), None);
    }
}
