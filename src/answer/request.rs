//! A client's query, read from its packet; or the error reply to a malformed one.
//!
//! RFC 1035 4.1, RFC 6891 6.1.3 (versions) and 7 (FORMERR), RFC 7873 5.2 (cookies), RFC 9619 (one question).

use super::Transport;
use crate::record::{Class, Question, Rcode, Rtype};
use crate::wire::{Flags, Header, Malformed, Opcode, OptionCode, QueryView};

/// A well-formed query, owned, for the path that waits.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: u16,
    pub flags: Flags,
    pub question: Question,
    pub class: Class,
    /// QNAME, QTYPE and QCLASS, octet for octet as they were sent.
    pub question_wire: Vec<u8>,
    pub edns: Option<RequestEdns>,
    pub transport: Transport,
}

/// EDNS of a query.
#[derive(Clone, Debug)]
pub struct RequestEdns {
    pub udp_size: u16,
    pub dnssec_ok: bool,
    /// 8 octets of the client, and the server cookie that it got from us before, if any.
    pub cookie: Option<Vec<u8>>,
}

impl Request {
    /// Whether the client wants DNSSEC records.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether this header flag is set.
    pub fn wants(&self, flag: u16) -> bool {
        self.flags.has(flag)
    }
}

/// A packet after reading: to be answered, to be answered with a bare error, or not to be answered.
pub enum Read {
    Request(Box<Request>),
    /// RCODE alone; the question is repeated if one could be read.
    Error {
        rcode: Rcode,
        echo: Vec<u8>,
        edns: bool,
    },
    Silence,
}

/// Reads and checks a packet that came over `transport`.
pub fn read(packet: &[u8], transport: Transport) -> Read {
    let view = match QueryView::check(packet) {
        Ok(view) => view,
        Err((Malformed::Unanswerable, _)) => return Read::Silence,
        Err((Malformed::NoQuestion, _)) => return unreadable(packet),
        Err((Malformed::AfterQuestion, qname_len)) => {
            let echo = packet.get(12..12 + qname_len + 4).unwrap_or(&[]).to_vec();
            return Read::Error { rcode: Rcode::FORMERR, echo, edns: false };
        }
    };
    let error = |rcode, edns| Read::Error { rcode, echo: view.question_wire().to_vec(), edns };
    if view.flags().opcode() != Opcode::QUERY {
        return error(Rcode::NOTIMP, false);
    }
    if let Some(edns) = view.edns() {
        if edns.version != 0 {
            return error(Rcode::BADVERS, true);
        }
        // RFC 7873 5.2.2: 8 octets, or 8 and a server cookie of 8 to 32.
        if edns.option(OptionCode::COOKIE).is_some_and(|cookie| !matches!(cookie.len(), 8 | 16..=40)) {
            return error(Rcode::FORMERR, true);
        }
    }
    if let Some(rcode) = refuse_type(view.qtype()) {
        return error(rcode, view.edns().is_some());
    }
    let Ok(name) = view.qname() else { return error(Rcode::FORMERR, false) };
    Read::Request(Box::new(Request {
        id: view.id(),
        flags: view.flags(),
        question: Question::new(name, view.qtype()),
        class: view.qclass(),
        question_wire: view.question_wire().to_vec(),
        edns: view.edns().map(|edns| RequestEdns {
            udp_size: edns.udp_size,
            dnssec_ok: edns.dnssec_ok,
            cookie: edns.option(OptionCode::COOKIE).map(<[u8]>::to_vec),
        }),
        transport,
    }))
}

/// An unknown opcode gets NOTIMP even if the question section makes no sense to us.
fn unreadable(packet: &[u8]) -> Read {
    let opcode = Header::read(packet).map(|header| header.flags.opcode());
    let rcode = if opcode.is_some_and(|opcode| opcode != Opcode::QUERY) { Rcode::NOTIMP } else { Rcode::FORMERR };
    Read::Error { rcode, echo: Vec::new(), edns: false }
}

/// Types that no zone holds (RFC 6895 3.1). Zone transfers are not queries of this pipeline.
pub fn refuse_type(rtype: Rtype) -> Option<Rcode> {
    match rtype {
        Rtype::ANY => None,
        Rtype::AXFR | Rtype::IXFR => Some(Rcode::REFUSED),
        Rtype::OPT | Rtype(0) | Rtype::TSIG | Rtype::NXNAME => Some(Rcode::FORMERR),
        meta if meta.is_meta() => Some(Rcode::NOTIMP),
        _ => None,
    }
}
