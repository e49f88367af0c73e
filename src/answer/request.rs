//! A client's query, read from its packet; or the error reply to a malformed one.
//!
//! RFC 1035 4.1, RFC 6891 6.1.3 (versions) and 7 (FORMERR), RFC 7873 5.2 (cookies), RFC 9619 (one question).

use super::Transport;
use super::connection_options::asks_keepalive;
use super::cookie::SERVER_COOKIE_BYTES;
use crate::record::{Class, Name, Question, Rcode, Rtype};
use crate::wire::{Flags, HEADER_BYTES, Header, Malformed, Message, Opcode, OptionCode, QueryView, Section};

/// A well-formed query without its name, which stays in the packet. The packet is checked once, for the fast path and the full
/// path alike.
#[derive(Clone, Copy, Debug)]
pub struct ParsedQuery {
    pub id: u16,
    pub flags: Flags,
    pub qtype: Rtype,
    pub class: Class,
    pub edns: Option<RequestEdns>,
    /// Length of QNAME on the wire, final zero included.
    qname_len: usize,
}

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
    /// The client asks how long its connection may be idle (RFC 7828).
    pub keepalive: bool,
}

/// EDNS of a query.
#[derive(Clone, Copy, Debug)]
pub struct RequestEdns {
    pub udp_size: u16,
    pub dnssec_ok: bool,
    pub cookie: Option<RequestCookie>,
    /// The client asks for the server's name (RFC 5001 2.1).
    pub nsid: bool,
    /// The client wants the reasons of a filtered answer in a form for programs (draft-ietf-dnsop-structured-dns-error, 5.1: an
    /// EDE option with INFO-CODE 0 and no text).
    pub structured_errors: bool,
}

/// The COOKIE option of a query (RFC 7873 4.1).
#[derive(Clone, Copy, Debug)]
pub struct RequestCookie {
    pub client: [u8; 8],
    /// The server cookie, if it has the length of ours. One of another length was not made here.
    pub server: Option<[u8; SERVER_COOKIE_BYTES]>,
}

impl Request {
    /// Whether the client wants DNSSEC records.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether this header flag is set.
    pub fn wants(&self, flag: u16) -> bool {
        self.flags.has(flag)
    }

    /// The cookie of the query, if it has one.
    pub fn cookie(&self) -> Option<&RequestCookie> {
        self.edns.as_ref()?.cookie.as_ref()
    }
}

/// A packet that is no well-formed query: it gets a bare error, no reply, or is for another reader.
pub enum Unreadable {
    /// RCODE alone; the question is repeated if one could be read.
    Error {
        rcode: Rcode,
        echo: Vec<u8>,
        edns: bool,
    },
    Silence,
    /// A zone transfer, NOTIFY, UPDATE, or a message that is signed: `zone_message.rs` reads it.
    ForZones,
}

/// Reads and checks a packet.
#[inline]
pub fn read(packet: &[u8]) -> Result<ParsedQuery, Unreadable> {
    let view = match QueryView::check(packet) {
        Ok(view) => view,
        Err((malformed, qname_len)) => return Err(unreadable(packet, malformed, qname_len)),
    };
    let error = |rcode, edns| Err(error_with_question(&view, rcode, edns));
    if view.flags().opcode() != Opcode::QUERY {
        return if matches!(view.flags().opcode(), Opcode::NOTIFY | Opcode::UPDATE) {
            Err(Unreadable::ForZones)
        } else {
            error(Rcode::NOTIMP, false)
        };
    }
    let mut edns = None;
    if let Some(opt) = view.edns() {
        if opt.version != 0 {
            return error(Rcode::BADVERS, true);
        }
        let mut cookie = None;
        if !opt.data.is_empty()
            && let Some(sent) = opt.option(OptionCode::COOKIE)
        {
            // RFC 7873 5.2.2: 8 octets, or 8 and a server cookie of 8 to 32.
            let Some((client, server)) = sent.split_first_chunk::<8>().filter(|(_, server)| matches!(server.len(), 0 | 8..=32)) else {
                return error(Rcode::FORMERR, true);
            };
            cookie = Some(RequestCookie { client: *client, server: server.try_into().ok() });
        }
        let nsid = !opt.data.is_empty() && opt.option(OptionCode::NSID).is_some();
        let structured_errors = !opt.data.is_empty() && opt.option(OptionCode::EDE) == Some(&[0, 0]);
        edns = Some(RequestEdns { udp_size: opt.udp_size, dnssec_ok: opt.dnssec_ok, cookie, nsid, structured_errors });
    }
    if let Some(rcode) = refuse_type(view.qtype()) {
        if matches!(view.qtype(), Rtype::AXFR | Rtype::IXFR) {
            return Err(Unreadable::ForZones);
        }
        return error(rcode, edns.is_some());
    }
    let qname_len = view.qname_wire().len();
    Ok(ParsedQuery { id: view.id(), flags: view.flags(), qtype: view.qtype(), class: view.qclass(), edns, qname_len })
}

impl ParsedQuery {
    /// QNAME as it was sent; `packet` is the one that was read.
    pub fn qname_wire<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet.get(HEADER_BYTES..HEADER_BYTES + self.qname_len).unwrap_or_default()
    }

    /// Length of header and question.
    pub fn question_end(&self) -> usize {
        HEADER_BYTES + self.qname_len + 4
    }

    /// The owned query; `packet` is the one that was read, and came over `transport`.
    pub fn owned(&self, packet: &[u8], transport: Transport) -> Result<Request, Unreadable> {
        let ParsedQuery { id, flags, qtype, class, edns, qname_len } = *self;
        // It was well formed when the packet was read.
        let name = Name::from_wire(self.qname_wire(packet)).map_err(|_| Unreadable::Silence)?;
        let question_wire = packet.get(HEADER_BYTES..HEADER_BYTES + qname_len + 4).unwrap_or_default().to_vec();
        let keepalive = edns.is_some() && asks_keepalive(packet, transport);
        Ok(Request { id, flags, question: Question::new(name, qtype), class, question_wire, edns, transport, keepalive })
    }
}

#[cold]
fn unreadable(packet: &[u8], malformed: Malformed, qname_len: usize) -> Unreadable {
    match malformed {
        Malformed::Unanswerable => Unreadable::Silence,
        Malformed::NoQuestion => without_question(packet),
        Malformed::AfterQuestion if is_signed(packet) => Unreadable::ForZones,
        Malformed::AfterQuestion => {
            let echo = packet.get(HEADER_BYTES..HEADER_BYTES + qname_len + 4).unwrap_or_default().to_vec();
            Unreadable::Error { rcode: Rcode::FORMERR, echo, edns: false }
        }
    }
}

/// Whether there is a TSIG record (RFC 8945), in its place or not.
fn is_signed(packet: &[u8]) -> bool {
    let sections = [Section::Answer, Section::Authority, Section::Additional];
    let has = |message: &Message<'_>, section| message.records(section).any(|record| record.rtype() == Rtype::TSIG);
    Message::parse(packet).is_ok_and(|message| sections.into_iter().any(|section| has(&message, section)))
}

#[cold]
fn error_with_question(view: &QueryView<'_>, rcode: Rcode, edns: bool) -> Unreadable {
    Unreadable::Error { rcode, echo: view.question_wire().to_vec(), edns }
}

/// An unknown opcode gets NOTIMP even if the question section makes no sense to us. An update has exactly one zone (RFC 2136
/// 3.1.1).
fn without_question(packet: &[u8]) -> Unreadable {
    let opcode = Header::read(packet).map(|header| header.flags.opcode());
    let rcode = if opcode.is_some_and(|opcode| !matches!(opcode, Opcode::QUERY | Opcode::UPDATE)) { Rcode::NOTIMP } else { Rcode::FORMERR };
    Unreadable::Error { rcode, echo: Vec::new(), edns: false }
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
