//! Encodes an outcome: the question repeated, flags, sections within the limit, EDNS.
//!
//! Truncation: TC is set if an answer, the SOA of a denial or the glue of a referral does not fit (RFC 2181 9, RFC 9471 2.1);
//! additional data is left out silently. A client that may recurse gets as many whole records as fit, because some stub
//! resolvers never ask over TCP; other clients get none, so that nothing is amplified.

use smallvec::SmallVec;

use super::Transport;
use super::connection_options::append_to;
use super::outcome::{Delivery, Outcome};
use super::request::{Request, RequestEdns};
use crate::limits::clients::{EDE_TEXT_BYTES_MAX, EDES_MAX, READY_ANSWER_BYTES_MAX, UDP_REPLY_BYTES_MAX};
use crate::record::{Class, Ede, Name, Rcode, RrSet, Rtype, Security};
use crate::wire::{Flags, Full, HEADER_BYTES, Header, OptionCode, Section, Writer};

/// OPT without options.
pub const OPT_BYTES: usize = 11;
/// An EDE without EXTRA-TEXT.
const EDE_BYTES: usize = 6;
/// The same, for whoever keeps room for one.
pub const EDE_HEAD_BYTES: usize = EDE_BYTES;

pub type OptionData = SmallVec<[u8; 48]>;
type Options = SmallVec<[(OptionCode, OptionData); 2]>;

/// How the reply is encoded, besides what was found.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// The client may use recursion.
    pub allowed: bool,
    pub recursion_available: bool,
    /// The server cookie for the client's cookie.
    pub cookie: Option<&'a [u8]>,
    /// The name of this server, for a client that asks for it (RFC 5001).
    pub nsid: Option<&'a [u8]>,
    /// The first record of address RRsets, which rotate.
    pub turn: usize,
    /// Octets to leave for a signature (RFC 8945).
    pub signature_bytes: usize,
    /// Milliseconds that the connection may be idle, for a client that has asked.
    pub idle_ms: Option<u64>,
}

/// Octets that a UDP reply may have. `edns_size`: what the client announced (RFC 6891 6.2.3), `None` without EDNS.
pub fn udp_limit(edns_size: Option<u16>) -> usize {
    edns_size.map_or(512, |size| usize::from(size).clamp(512, UDP_REPLY_BYTES_MAX))
}

/// The message, at most as long as `manner` and the client allow. `buffer` is reused.
pub fn encode(request: &Request, outcome: &Outcome, manner: &Manner<'_>, buffer: Vec<u8>) -> Vec<u8> {
    let limit = match request.transport {
        Transport::Udp => udp_limit(request.edns.as_ref().map(|edns| edns.udp_size)),
        Transport::Tcp | Transport::Tls | Transport::Https => usize::from(u16::MAX),
    };
    let limit = limit.saturating_sub(manner.signature_bytes);
    let options = edns_options(request, outcome, manner, limit);
    let reserved = if request.edns.is_some() { OPT_BYTES + options.iter().map(|(_, data)| 4 + data.len()).sum::<usize>() } else { 0 };
    let mut writer = Writer::new(buffer, limit);
    writer.set_limit(limit.saturating_sub(reserved));
    let mut flags = flags_of(request, outcome, manner);
    // The question fits: it came in a packet no longer than this reply may be.
    let _ = writer.question_wire(&request.question_wire);
    let empty = writer.mark();
    let is_short = outcome.delivery == Delivery::Truncated && request.transport == Transport::Udp;
    if is_short || write_sections(&mut writer, request.class, request.dnssec_ok(), outcome, manner).is_err() {
        flags = flags.with(Flags::TC, true);
        if !manner.allowed {
            writer.rollback(empty);
        }
    }
    writer.header(Header { id: request.id, flags, counts: [0; 4] });
    if let Some(edns) = &request.edns {
        writer.set_limit(limit);
        let opt_at = writer.len();
        write_opt(&mut writer, edns, outcome.rcode(), &options);
        let mut message = writer.finish();
        if request.transport != Transport::Udp {
            append_to(&mut message, opt_at, limit, request.transport, manner.idle_ms);
        }
        return message;
    }
    writer.finish()
}

/// The reply as a ready answer is stored: complete, without OPT, and with the flags that do not depend on the query.
pub fn body(question_wire: &[u8], outcome: &Outcome, dnssec_ok: bool, manner: &Manner<'_>) -> Option<Vec<u8>> {
    let mut writer = Writer::new(Vec::with_capacity(256), READY_ANSWER_BYTES_MAX);
    writer.header(Header {
        id: 0,
        flags: Flags(Flags::QR).with(Flags::AA, outcome.authoritative).with_rcode(outcome.rcode().0),
        counts: [0; 4],
    });
    writer.question_wire(question_wire).ok()?;
    write_sections(&mut writer, Class::IN, dnssec_ok, outcome, &Manner { turn: 0, ..*manner }).ok()?;
    Some(writer.finish())
}

/// A reply without records, for a packet that is no valid request.
pub fn bare_error(packet: &[u8], rcode: Rcode, echo: &[u8], edns: bool) -> Option<Vec<u8>> {
    let header = Header::read(packet)?;
    let kept = header.flags.0 & (Flags::RD | Flags::CD | 0x7800);
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id: header.id, flags: Flags(kept | Flags::QR).with_rcode(rcode.0), counts: [0; 4] });
    if !echo.is_empty() {
        let _ = writer.question_wire(echo);
    }
    if edns {
        let _ = writer.opt(UDP_REPLY_BYTES_MAX as u16, rcode, false, &[]);
    }
    Some(writer.finish())
}

fn flags_of(request: &Request, outcome: &Outcome, manner: &Manner<'_>) -> Flags {
    let wants_ad = request.wants(Flags::AD) || request.dnssec_ok();
    Flags(Flags::QR)
        .with(Flags::RD, request.wants(Flags::RD))
        .with(Flags::CD, request.wants(Flags::CD))
        .with(Flags::AA, outcome.authoritative)
        .with(Flags::RA, manner.recursion_available)
        // RFC 6840 5.7: a query with AD or DO shows that the client understands AD.
        .with(Flags::AD, wants_ad && outcome.security == Security::Secure && outcome.rcode() != Rcode::SERVFAIL)
        .with_rcode(outcome.rcode().0)
}

fn write_sections(writer: &mut Writer, class: Class, dnssec_ok: bool, outcome: &Outcome, manner: &Manner<'_>) -> Result<(), Full> {
    for set in &outcome.answers {
        write_set(writer, class, Section::Answer, set, dnssec_ok, manner.turn)?;
    }
    for set in &outcome.authority {
        let proof = matches!(set.rtype, Rtype::NSEC | Rtype::NSEC3 | Rtype::DS);
        if dnssec_ok || !proof {
            write_set(writer, class, Section::Authority, set, dnssec_ok, 0)?;
        }
    }
    for set in &outcome.glue {
        write_set(writer, class, Section::Additional, set, false, manner.turn)?;
    }
    for set in &outcome.additional {
        let mark = writer.mark();
        if write_set(writer, class, Section::Additional, set, dnssec_ok, manner.turn).is_err() {
            writer.rollback(mark);
            break;
        }
    }
    Ok(())
}

fn write_set(writer: &mut Writer, class: Class, section: Section, set: &RrSet, dnssec_ok: bool, turn: usize) -> Result<(), Full> {
    let count = set.data.len();
    // Only address RRsets rotate: the order of other records may matter to a client.
    let first = if set.rtype.is_address() && count > 1 { turn % count } else { 0 };
    for rdata in set.data.iter().skip(first).chain(set.data.iter().take(first)) {
        writer.record(section, &set.name, set.rtype, class, set.ttl, rdata)?;
    }
    if dnssec_ok {
        for rdata in set.sigs.iter() {
            writer.record(section, &set.name, Rtype::RRSIG, class, set.ttl, rdata)?;
        }
    }
    Ok(())
}

fn edns_options(request: &Request, outcome: &Outcome, manner: &Manner<'_>, limit: usize) -> Options {
    let mut options = Options::new();
    let Some(edns) = &request.edns else { return options };
    if let (Some(ours), Some(theirs)) = (manner.cookie, edns.cookie) {
        options.push((OptionCode::COOKIE, joined(&theirs.client, ours)));
    }
    if let Some(nsid) = manner.nsid {
        options.push((OptionCode::NSID, SmallVec::from_slice(nsid)));
    }
    if let Some(agent) = &outcome.report_agent {
        options.push((OptionCode::REPORT_CHANNEL, SmallVec::from_slice(agent.as_wire())));
    }
    let text_max = ede_text_max(limit, !outcome.answers.is_empty());
    let fixed = HEADER_BYTES + request.question_wire.len() + OPT_BYTES + options.iter().map(|(_, data)| 4 + data.len()).sum::<usize>();
    let mut room = ede_room(limit, fixed);
    for ede in outcome.edes.iter().take(EDES_MAX) {
        let bytes = ede_bytes(ede, text_max.min(room));
        room -= bytes.len() - 2;
        options.push((OptionCode::EDE, bytes));
    }
    options
}

/// Octets that the text of an extended error may have. In 512 octets an answer needs all the room.
pub fn ede_text_max(limit: usize, has_answers: bool) -> usize {
    if limit <= 512 && has_answers { 0 } else { usize::MAX }
}

/// Octets for the texts of extended errors beside the question and other options, which are `fixed`.
pub fn ede_room(limit: usize, fixed: usize) -> usize {
    limit.saturating_sub(fixed + EDES_MAX * EDE_BYTES)
}

/// RFC 8914 2: INFO-CODE, then UTF-8 text without a final zero. A text for programs is whole or not there at all.
pub fn ede_bytes(ede: &Ede, text_max: usize) -> OptionData {
    let is_for_programs = ede.text.starts_with('{');
    let mut end = match is_for_programs {
        true if ede.text.len() > text_max => 0,
        true => ede.text.len(),
        false => ede.text.len().min(text_max).min(EDE_TEXT_BYTES_MAX),
    };
    while !ede.text.is_char_boundary(end) {
        end -= 1;
    }
    joined(&ede.code.0.to_be_bytes(), &ede.text.as_bytes()[..end])
}

fn joined(first: &[u8], second: &[u8]) -> OptionData {
    let mut data = SmallVec::from_slice(first);
    data.extend_from_slice(second);
    data
}

fn write_opt(writer: &mut Writer, edns: &RequestEdns, rcode: Rcode, options: &[(OptionCode, OptionData)]) {
    let borrowed: SmallVec<[(OptionCode, &[u8]); 4]> = options.iter().map(|(code, data)| (*code, &data[..])).collect();
    // Room was reserved for it.
    let _ = writer.opt(UDP_REPLY_BYTES_MAX as u16, rcode, edns.dnssec_ok, &borrowed);
}

/// Names whose addresses the client will need next (RFC 1034 4.3.2 step 6).
pub fn pointed_at(set: &RrSet) -> impl Iterator<Item = Name> {
    let wanted = matches!(set.rtype, Rtype::MX | Rtype::SRV | Rtype::NS | Rtype::SVCB | Rtype::HTTPS);
    let rdatas = wanted.then(|| set.data.iter()).into_iter().flatten();
    rdatas.filter_map(|rdata| Name::from_wire(crate::record::rdata_names(set.rtype, rdata).next()?).ok()).filter(|name| !name.is_root())
}
