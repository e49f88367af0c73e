//! Messages as the world's servers and clients see them: a small codec of its own, so that a mistake in the
//! resolver's `wire` cannot hide itself. Lenient in what it reads, exact in what it compares.

use std::collections::HashMap;
use std::fmt;

use cairn::record::{Class, Name, Rcode, Rtype};

use super::record::{Rr, names_in};

pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;
pub const RD: u16 = 0x0100;
pub const RA: u16 = 0x0080;
pub const AD: u16 = 0x0020;
pub const CD: u16 = 0x0010;
pub const FLAGS: [(&str, u16); 7] = [("QR", QR), ("AA", AA), ("TC", TC), ("RD", RD), ("RA", RA), ("AD", AD), ("CD", CD)];

#[derive(Clone, Debug, Default)]
pub struct Edns {
    pub size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
    pub options: Vec<(u16, Vec<u8>)>,
}

#[derive(Clone)]
pub struct Asked {
    /// In the letter case of the wire.
    pub wire: Vec<u8>,
    pub name: Name,
    pub rtype: Rtype,
    pub class: Class,
}

#[derive(Clone)]
pub struct Packet {
    pub id: u16,
    /// The seven flags only.
    pub flags: u16,
    pub opcode: u8,
    /// With the upper bits from OPT.
    pub rcode: Rcode,
    pub question: Option<Asked>,
    pub answer: Vec<Rr>,
    pub authority: Vec<Rr>,
    /// Without OPT.
    pub additional: Vec<Rr>,
    pub edns: Option<Edns>,
}

impl Asked {
    pub fn new(name: &Name, rtype: Rtype) -> Asked {
        Asked { wire: name.as_wire().to_vec(), name: name.clone(), rtype, class: Class::IN }
    }
}

impl Packet {
    pub fn query(id: u16, name: &Name, rtype: Rtype) -> Packet {
        Packet {
            id,
            flags: 0,
            opcode: 0,
            rcode: Rcode::NOERROR,
            question: Some(Asked::new(name, rtype)),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: None,
        }
    }

    /// An empty reply to this query; EDNS if it was there.
    pub fn reply(&self) -> Packet {
        let edns = self.edns.as_ref().map(|asked| Edns { size: 4096, version: 0, dnssec_ok: asked.dnssec_ok, options: Vec::new() });
        Packet { flags: QR | self.flags & RD, answer: Vec::new(), authority: Vec::new(), additional: Vec::new(), edns, ..self.clone() }
    }

    pub fn sections(&self) -> [&Vec<Rr>; 3] {
        [&self.answer, &self.authority, &self.additional]
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Codes of the Extended DNS Errors (RFC 8914).
    pub fn errors(&self) -> Vec<u16> {
        let options = self.edns.iter().flat_map(|edns| &edns.options);
        options.filter(|(code, data)| *code == 15 && data.len() >= 2).map(|(_, data)| u16::from_be_bytes([data[0], data[1]])).collect()
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let bits = self.flags | u16::from(self.opcode) << 11 | self.rcode.0 & 15;
        let counts = [
            usize::from(self.question.is_some()),
            self.answer.len(),
            self.authority.len(),
            self.additional.len() + usize::from(self.edns.is_some()),
        ];
        out.extend(self.id.to_be_bytes());
        out.extend(bits.to_be_bytes());
        counts.iter().for_each(|count| out.extend((*count as u16).to_be_bytes()));
        let mut known = HashMap::new();
        if let Some(asked) = &self.question {
            remember(&asked.name, out.len(), &mut known);
            out.extend(&asked.wire);
            out.extend(asked.rtype.0.to_be_bytes());
            out.extend(asked.class.0.to_be_bytes());
        }
        for rr in self.sections().into_iter().flatten() {
            encode_record(rr, &mut out, &mut known);
        }
        if let Some(edns) = &self.edns {
            out.extend([0, 0, 41]);
            out.extend(edns.size.to_be_bytes());
            out.extend([(self.rcode.0 >> 4) as u8, edns.version, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
            let data: Vec<u8> = edns
                .options
                .iter()
                .flat_map(|(code, data)| [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
                .collect();
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        out
    }

    /// At most `limit` octets: past it only the header with TC, the question and OPT are left.
    pub fn encode_within(&self, limit: usize) -> Vec<u8> {
        let whole = self.encode();
        if whole.len() <= limit {
            return whole;
        }
        Packet { flags: self.flags | TC, answer: Vec::new(), authority: Vec::new(), additional: Vec::new(), ..self.clone() }.encode()
    }

    pub fn decode(wire: &[u8]) -> Option<Packet> {
        let word = |at: usize| Some(u16::from_be_bytes([*wire.get(at)?, *wire.get(at + 1)?]));
        let (id, bits) = (word(0)?, word(2)?);
        let counts = [word(4)?, word(6)?, word(8)?, word(10)?];
        let mut packet = Packet {
            id,
            flags: bits & 0x87b0,
            opcode: (bits >> 11) as u8 & 15,
            rcode: Rcode(bits & 15),
            question: None,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: None,
        };
        let mut at = 12;
        for _ in 0..counts[0] {
            let (raw, after) = decode_name(wire, at)?;
            let name = Name::from_wire(&raw).ok()?;
            packet.question = Some(Asked { wire: raw, name, rtype: Rtype(word(after)?), class: Class(word(after + 2)?) });
            at = after + 4;
        }
        for (section, count) in counts.iter().enumerate().skip(1) {
            for _ in 0..*count {
                at = packet.decode_record(wire, at, section)?;
            }
        }
        Some(packet)
    }

    fn decode_record(&mut self, wire: &[u8], at: usize, section: usize) -> Option<usize> {
        let (raw, at) = decode_name(wire, at)?;
        let head: [u8; 10] = wire.get(at..at + 10)?.try_into().ok()?;
        let [t0, t1, c0, c1, l0, l1, l2, l3, n0, n1] = head;
        let (start, end) = (at + 10, at + 10 + usize::from(u16::from_be_bytes([n0, n1])));
        let body = wire.get(start..end)?;
        let (rtype, class) = (Rtype(u16::from_be_bytes([t0, t1])), u16::from_be_bytes([c0, c1]));
        if rtype == Rtype::OPT {
            self.rcode = Rcode(self.rcode.0 | u16::from(l0) << 4);
            self.edns = Some(Edns { size: class, version: l1, dnssec_ok: l2 & 0x80 != 0, options: decode_options(body) });
            return Some(end);
        }
        let rr = Rr {
            name: Name::from_wire(&raw).ok()?,
            rtype,
            class: Class(class),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
            rdata: decode_rdata(wire, start, end, rtype).unwrap_or_else(|| body.to_vec()),
        };
        match section {
            1 => self.answer.push(rr),
            2 => self.authority.push(rr),
            _ => self.additional.push(rr),
        }
        Some(end)
    }
}

fn decode_options(mut body: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut options = Vec::new();
    while let [c0, c1, l0, l1, rest @ ..] = body {
        let len = usize::from(u16::from_be_bytes([*l0, *l1])).min(rest.len());
        options.push((u16::from_be_bytes([*c0, *c1]), rest[..len].to_vec()));
        body = &rest[len..];
    }
    options
}

/// The uncompressed octets, in the case of the wire, and where the name ends.
fn decode_name(wire: &[u8], mut at: usize) -> Option<(Vec<u8>, usize)> {
    let (mut out, mut end) = (Vec::new(), None);
    for _ in 0..256 {
        let len = usize::from(*wire.get(at)?);
        match len {
            0 => {
                out.push(0);
                return (out.len() <= 255).then_some((out, end.unwrap_or(at + 1)));
            }
            1..=63 => {
                out.extend(wire.get(at..at + 1 + len)?);
                at += 1 + len;
            }
            0xc0.. => {
                end.get_or_insert(at + 2);
                at = (len & 0x3f) << 8 | usize::from(*wire.get(at + 1)?);
            }
            _ => return None,
        }
    }
    None
}

fn decode_rdata(wire: &[u8], start: usize, end: usize, rtype: Rtype) -> Option<Vec<u8>> {
    let Some((before, count)) = names_in(rtype) else { return Some(wire[start..end].to_vec()) };
    let mut out = wire.get(start..start + before)?.to_vec();
    let mut at = start + before;
    for _ in 0..count {
        let (mut raw, after) = decode_name(wire, at)?;
        raw.make_ascii_lowercase();
        out.extend(raw);
        at = after;
    }
    out.extend(wire.get(at..end)?);
    Some(out)
}

type Known = HashMap<Vec<u8>, usize>;

fn remember(name: &Name, at: usize, known: &mut Known) {
    let wire = name.as_wire();
    for suffix in name.suffixes().filter(|suffix| suffix.len() > 1) {
        let here = at + wire.len() - suffix.len();
        if here < 0x4000 {
            known.entry(suffix.to_vec()).or_insert(here);
        }
    }
}

fn encode_name(name: &Name, out: &mut Vec<u8>, known: &mut Known) {
    let (wire, start) = (name.as_wire(), out.len());
    for suffix in name.suffixes() {
        if let Some(at) = known.get(suffix) {
            out.extend(&wire[..wire.len() - suffix.len()]);
            out.extend((0xc000 | *at as u16).to_be_bytes());
            remember(name, start, known);
            return;
        }
    }
    out.extend(wire);
    remember(name, start, known);
}

fn encode_record(rr: &Rr, out: &mut Vec<u8>, known: &mut Known) {
    encode_name(&rr.name, out, known);
    out.extend(rr.rtype.0.to_be_bytes());
    out.extend(rr.class.0.to_be_bytes());
    out.extend(rr.ttl.to_be_bytes());
    let length_at = out.len();
    out.extend([0, 0]);
    let compressed = matches!(rr.rtype, Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::SOA | Rtype::MX).then(|| {
        let (before, count) = names_in(rr.rtype)?;
        let mut names = Vec::new();
        let mut at = before;
        for _ in 0..count {
            let (name, len) = Name::from_wire_prefix(rr.rdata.get(at..)?).ok()?;
            // Compressed it would be in lower case.
            if rr.rdata.get(at..at + len) != Some(name.as_wire()) {
                return None;
            }
            names.push(name);
            at += len;
        }
        Some((before, names, at))
    });
    match compressed.flatten() {
        Some((before, names, after)) => {
            out.extend(&rr.rdata[..before]);
            names.iter().for_each(|name| encode_name(name, out, known));
            out.extend(&rr.rdata[after..]);
        }
        None => out.extend(&rr.rdata),
    }
    let length = (out.len() - length_at - 2) as u16;
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<&str> = FLAGS.iter().filter(|(_, bit)| self.has(*bit)).map(|(word, _)| *word).collect();
        write!(f, "{} [{}]", self.rcode, flags.join(" "))?;
        if let Some(asked) = &self.question {
            write!(f, " {} {}", asked.name, asked.rtype)?;
        }
        for (title, section) in ["answer", "authority", "additional"].iter().zip(self.sections()) {
            for rr in section {
                write!(f, "\n    {title}: {rr}")?;
            }
        }
        match self.errors() {
            codes if codes.is_empty() => Ok(()),
            codes => write!(f, "\n    EDE {codes:?}"),
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut packet = Packet::query(7, &Name::parse("www.example.").unwrap(), Rtype::MX).reply();
    packet.answer.push(Rr::parse("www.example. MX 5 mail.www.example."));
    packet.authority.push(Rr::parse("example. SOA ns.example. . 1 2 3 4 5"));
    packet.additional.push(Rr::parse("mail.www.example. AAAA 2001:db8::1"));
    packet.edns = Some(Edns { size: 1232, dnssec_ok: true, options: vec![(15, vec![0, 22])], ..Edns::default() });
    let wire = packet.encode();
    let back = Packet::decode(&wire).unwrap();
    assert_eq!(back.to_string(), packet.to_string());
    assert_eq!((back.errors(), back.edns.unwrap().size), (vec![22], 1232));
    // A second opinion, and names were compressed.
    assert_eq!(hickory_proto::op::Message::from_vec(&wire).unwrap().answers.len(), 1);
    assert_eq!(wire.windows(7).filter(|w| *w == b"example").count(), 1);
    assert!(packet.encode_within(80).len() < 80);
}
