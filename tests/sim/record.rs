//! Records as the world keeps them, read from a line of presentation form (RFC 1035 5.1, RFC 3597 5).
//!
//! `www.example. 300 IN A 192.0.2.1`; TTL and class may be left out. Names inside RDATA are folded to lower case
//! and never compressed, so two records are the same when their fields are. The reader takes malformed data that
//! scenarios send on purpose (a signature that is no base64, a digest of the wrong length).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use cairn::record::{Class, Name, Rtype};

pub const TTL: u32 = 3600;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rr {
    pub name: Name,
    pub rtype: Rtype,
    pub class: Class,
    pub ttl: u32,
    /// Uncompressed.
    pub rdata: Vec<u8>,
}

impl Rr {
    pub fn new(name: &Name, rtype: Rtype, ttl: u32, rdata: Vec<u8>) -> Rr {
        Rr { name: name.clone(), rtype, class: Class::IN, ttl, rdata }
    }

    /// Panics with the line where it cannot be read: the line is part of a test.
    pub fn parse(line: &str) -> Rr {
        read_record(line, &Name::root(), TTL, None).unwrap_or_else(|why| panic!("{line}: {why}"))
    }

    /// What makes two records the same: everything but the TTL.
    pub fn same(&self, other: &Rr) -> bool {
        self.name == other.name && self.rtype == other.rtype && self.class == other.class && self.rdata == other.rdata
    }

    pub fn with_ttl(&self, ttl: u32) -> Rr {
        Rr { ttl, ..self.clone() }
    }

    /// The target of NS, CNAME, DNAME, PTR and MX, and the first name of SOA and SRV.
    pub fn target(&self) -> Option<Name> {
        let start = names_in(self.rtype)?.0;
        Name::from_wire_prefix(self.rdata.get(start..)?).ok().map(|(name, _)| name)
    }
}

/// Where the names in RDATA stand: octets before the first, how many follow each other.
pub fn names_in(rtype: Rtype) -> Option<(usize, usize)> {
    Some(match rtype {
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME | Rtype::NSEC => (0, 1),
        Rtype::MX | Rtype::AFSDB | Rtype::KX | Rtype::RT => (2, 1),
        Rtype::SRV => (6, 1),
        Rtype::SOA | Rtype::RP | Rtype::MINFO => (0, 2),
        Rtype::RRSIG | Rtype::SIG => (18, 1),
        _ => return None,
    })
}

/// `line` without comments. `previous` is the owner where the line names none (it starts with a class).
pub fn read_record(line: &str, origin: &Name, default_ttl: u32, previous: Option<&Name>) -> Result<Rr, String> {
    let mut words = words(line);
    let owner = match (words.first(), previous) {
        (None, _) => return Err("empty".into()),
        (Some(first), Some(previous)) if matches!(first.as_str(), "IN" | "CH") => previous.clone(),
        (Some(_), _) => name(&words.remove(0), origin)?,
    };
    let (mut ttl, mut class) = (default_ttl, Class::IN);
    loop {
        if words.is_empty() {
            return Err("no type".into());
        }
        let word = words.remove(0);
        if word.bytes().all(|b| b.is_ascii_digit()) {
            ttl = word.parse().map_err(|_| "TTL")?;
        } else if let (Ok(found), false) = (word.parse::<Class>(), words.is_empty() && word == "ANY") {
            class = found;
        } else {
            let rtype: Rtype = word.parse().map_err(|_| format!("unknown type {word}"))?;
            let rdata = read_rdata(rtype, &words, origin)?;
            return Ok(Rr { name: owner, rtype, class, ttl, rdata });
        }
    }
}

/// Name and type (and class) of a question line: `www.example. IN A`.
pub fn read_question(line: &str, origin: &Name) -> Result<(Name, Rtype, Class), String> {
    let words = words(line);
    let owner = name(words.first().ok_or("empty")?, origin)?;
    let mut class = Class::IN;
    for (at, word) in words.iter().enumerate().skip(1) {
        if at + 1 < words.len()
            && let Ok(found) = word.parse()
        {
            class = found;
        } else if !word.bytes().all(|b| b.is_ascii_digit()) {
            return Ok((owner, word.parse().map_err(|_| format!("unknown type {word}"))?, class));
        }
    }
    Err("no type".into())
}

fn name(text: &str, origin: &Name) -> Result<Name, String> {
    Name::parse_bytes(text.as_bytes(), origin).map_err(|why| format!("{text}: {why}"))
}

/// Words of a line; a quoted string is one word that keeps its opening quote.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        if escaped {
            escaped = false;
            word.push(c);
        } else if c == '\\' {
            escaped = true;
            word.push(c);
        } else if c == '"' {
            if quoted {
                all.push(std::mem::take(&mut word));
            } else {
                word.push(c);
            }
            quoted = !quoted;
        } else if !quoted && (c.is_whitespace() || c == '(' || c == ')') {
            if !word.is_empty() {
                all.push(std::mem::take(&mut word));
            }
        } else {
            word.push(c);
        }
    }
    if !word.is_empty() {
        all.push(word);
    }
    all
}

fn read_rdata(rtype: Rtype, words: &[String], origin: &Name) -> Result<Vec<u8>, String> {
    if words.first().is_some_and(|w| w == "\\#") {
        return hex(&words[2.min(words.len())..].concat());
    }
    let word = |at: usize| words.get(at).map(String::as_str).ok_or_else(|| format!("field {} is missing", at + 1));
    let number = |at: usize| -> Result<u32, String> {
        let text = word(at)?;
        text.parse::<u32>().map_err(|_| format!("{text} is no number"))
    };
    let wire_name = |at: usize| -> Result<Vec<u8>, String> { Ok(name(word(at)?, origin)?.as_wire().to_vec()) };
    let rest = |at: usize| words.get(at..).unwrap_or_default().concat();
    let mut out = Vec::new();
    match rtype {
        Rtype::A => out.extend(word(0)?.parse::<Ipv4Addr>().map_err(|e| e.to_string())?.octets()),
        Rtype::AAAA => out.extend(word(0)?.parse::<Ipv6Addr>().map_err(|e| e.to_string())?.octets()),
        Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => out.extend(wire_name(0)?),
        Rtype::MX | Rtype::AFSDB | Rtype::KX => {
            out.extend((number(0)? as u16).to_be_bytes());
            out.extend(wire_name(1)?);
        }
        Rtype::SRV => {
            for at in 0..3 {
                out.extend((number(at)? as u16).to_be_bytes());
            }
            out.extend(wire_name(3)?);
        }
        Rtype::SOA => {
            out.extend(wire_name(0)?);
            out.extend(wire_name(1)?);
            for at in 2..7 {
                out.extend(number(at)?.to_be_bytes());
            }
        }
        Rtype::TXT | Rtype::HINFO | Rtype::SPF => words.iter().try_for_each(|w| character_string(w, &mut out))?,
        Rtype::DS | Rtype::CDS => {
            out.extend((number(0)? as u16).to_be_bytes());
            out.push(algorithm(word(1)?)?);
            out.push(number(2)? as u8);
            out.extend(hex(&rest(3))?);
        }
        Rtype::DNSKEY | Rtype::CDNSKEY => {
            out.extend((number(0)? as u16).to_be_bytes());
            out.push(number(1)? as u8);
            out.push(algorithm(word(2)?)?);
            out.extend(base64(&rest(3)));
        }
        Rtype::RRSIG => {
            out.extend(word(0)?.parse::<Rtype>().map_err(|_| "covered type")?.0.to_be_bytes());
            out.push(algorithm(word(1)?)?);
            out.push(number(2)? as u8);
            out.extend(number(3)?.to_be_bytes());
            out.extend(date(word(4)?)?.to_be_bytes());
            out.extend(date(word(5)?)?.to_be_bytes());
            out.extend((number(6)? as u16).to_be_bytes());
            out.extend(wire_name(7)?);
            let signature = base64(&rest(8));
            out.extend(if signature.is_empty() { vec![0] } else { signature });
        }
        Rtype::NSEC => {
            out.extend(wire_name(0)?);
            bitmap(&words[1..], &mut out)?;
        }
        Rtype::NSEC3 | Rtype::NSEC3PARAM => {
            out.push(number(0)? as u8);
            out.push(number(1)? as u8);
            out.extend((number(2)? as u16).to_be_bytes());
            let salt = if word(3)? == "-" { Vec::new() } else { hex(word(3)?)? };
            out.push(salt.len() as u8);
            out.extend(salt);
            if rtype == Rtype::NSEC3 {
                let next = base32hex(word(4)?);
                out.push(next.len() as u8);
                out.extend(next);
                bitmap(&words[5..], &mut out)?;
            }
        }
        Rtype::CAA => {
            out.push(number(0)? as u8);
            character_string(word(1)?, &mut out)?;
            let mut value = Vec::new();
            character_string(word(2)?, &mut value)?;
            out.extend(&value[1..]);
        }
        other => return Err(format!("give the data of {other} as \\# LENGTH HEX")),
    }
    Ok(out)
}

fn character_string(word: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let (start, mut bytes) = (out.len(), word.strip_prefix('"').unwrap_or(word).bytes());
    out.push(0);
    while let Some(b) = bytes.next() {
        out.push(if b != b'\\' {
            b
        } else {
            match bytes.next().ok_or("escape")? {
                digit @ b'0'..=b'2' => {
                    let rest = [digit, bytes.next().ok_or("escape")?, bytes.next().ok_or("escape")?];
                    std::str::from_utf8(&rest).ok().and_then(|t| t.parse().ok()).ok_or("escape")?
                }
                other => other,
            }
        });
    }
    out[start] = u8::try_from(out.len() - start - 1).map_err(|_| "string longer than 255")?;
    Ok(())
}

fn bitmap(words: &[String], out: &mut Vec<u8>) -> Result<(), String> {
    let mut windows: std::collections::BTreeMap<u8, Vec<u8>> = Default::default();
    for word in words {
        let Rtype(code) = word.parse().map_err(|_| format!("type {word}"))?;
        let [window, low] = code.to_be_bytes();
        let bits = windows.entry(window).or_default();
        bits.resize(bits.len().max(usize::from(low / 8) + 1), 0);
        bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
    }
    for (window, bits) in windows {
        out.extend([window, bits.len() as u8]);
        out.extend(bits);
    }
    Ok(())
}

fn algorithm(text: &str) -> Result<u8, String> {
    Ok(match text {
        "RSAMD5" => 1,
        "DSA" => 3,
        "RSASHA1" => 5,
        "RSASHA256" => 8,
        "RSASHA512" => 10,
        "ECDSAP256SHA256" => 13,
        "ECDSAP384SHA384" => 14,
        "ED25519" => 15,
        "ED448" => 16,
        number => number.parse().map_err(|_| format!("algorithm {number}"))?,
    })
}

/// `YYYYMMDDHHmmSS` or seconds since 1970 (RFC 4034 3.2).
pub fn date(text: &str) -> Result<u32, String> {
    let number: u64 = text.parse().map_err(|_| format!("date {text}"))?;
    if text.len() != 14 {
        return Ok(number as u32);
    }
    let field = |low: u64, size: u64| (number / low) % size;
    let (year, month, day) = (number / 10_000_000_000, field(100_000_000, 100), field(1_000_000, 100));
    // Days from 1970 by the civil calendar; March is the first month so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Ok((days * 86_400 + field(10_000, 100) * 3600 + field(100, 100) * 60 + field(1, 100)) as u32)
}

pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    if digits.len() % 2 == 1 || digits.len() != text.len() {
        return Err(format!("hex {text}"));
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn base64(text: &str) -> Vec<u8> {
    unpack(text, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 6)
}

fn base32hex(text: &str) -> Vec<u8> {
    unpack(&text.to_ascii_lowercase(), b"0123456789abcdefghijklmnopqrstuv", 5)
}

/// Whatever octets the digits make; anything else is skipped.
fn unpack(text: &str, alphabet: &[u8], bits_each: u32) -> Vec<u8> {
    let (mut out, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|b| alphabet.iter().position(|a| *a == b)) {
        held = held << bits_each | digit as u32;
        bits += bits_each;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    out
}

impl fmt::Display for Rr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.name, self.ttl, self.class, self.rtype)?;
        let rest = match (self.rtype, self.rdata.len()) {
            (Rtype::A, 4) => return write!(f, " {}", Ipv4Addr::from(<[u8; 4]>::try_from(&self.rdata[..]).unwrap())),
            (Rtype::AAAA, 16) => return write!(f, " {}", Ipv6Addr::from(<[u8; 16]>::try_from(&self.rdata[..]).unwrap())),
            (Rtype::TXT, _) => return write!(f, " {:?}", String::from_utf8_lossy(self.rdata.get(1..).unwrap_or_default())),
            (Rtype::MX, 3..) => &self.rdata[..2],
            (Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR | Rtype::SOA, _) => &[],
            _ => &self.rdata[..],
        };
        if !rest.is_empty() {
            write!(f, " \\# {} ", rest.len())?;
            rest.iter().take(24).try_for_each(|b| write!(f, "{b:02x}"))?;
        }
        match self.target() {
            Some(target) => write!(f, " {target}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Rr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[test]
fn records_are_read() {
    for (line, rdata) in [
        ("a. A 192.0.2.1", "c0000201"),
        ("a. 5 IN MX 10 B.", "000a016200"),
        ("a. TXT \"x y\" z", "03782079017a"),
        ("a. TYPE731 \\# 2 abcd", "abcd"),
        ("a. DS 1 8 2 ABCD", "00010802abcd"),
        ("a. NSEC b. A TYPE1234", "016200000140041b000000000000000000000000000000000000000000000000000020"),
        ("a. DNSKEY 256 3 RSASHA256 AQID", "01000308010203"),
        ("a. NSEC3PARAM 1 0 5 -", "0100000500"),
    ] {
        assert_eq!(Rr::parse(line).rdata, hex(rdata).unwrap(), "{line}");
    }
    assert_eq!(date("20240229120000"), Ok(1_709_208_000));
    assert_eq!(read_question("www.a. IN A", &Name::root()).unwrap().1, Rtype::A);
}
