//! The parameters of SVCB and HTTPS (RFC 9460 2.1 and appendix A, RFC 9461 5, RFC 9540 4).
//!
//! In text the parameters stand in any order, on the wire by rising key. A value is first read as one string. Where the value
//! of a key is a list, the string is then split at each comma without a backslash before it.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{base64_from_text, base64_to_text};
use super::lexer::{TextError, Token};
use super::mnemonic::decimal;
use super::reader::{Reader, decode};
use super::writer::{Writer, escape};
use crate::limits::wire::SVCB_PARAMETERS_MAX;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;
const GROUPS: u16 = 9;

const NAMES: [&str; 10] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp", "tls-supported-groups"];

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let mut parameters: Vec<(u16, Vec<u8>)> = Vec::new();
    while reader.peek().is_some() {
        let parameter = read_one(reader)?;
        parameters.push(parameter);
        if parameters.len() > SVCB_PARAMETERS_MAX {
            return Err(reader.error_before("at most 1000 parameters"));
        }
    }
    parameters.sort_unstable_by_key(|(key, _)| *key);
    if parameters.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(reader.error_before("each parameter only once"));
    }
    consistent(&parameters).map_err(|expected| reader.error_before(expected))?;
    for (key, value) in parameters {
        let len = u16::try_from(value.len()).map_err(|_| reader.error_before("a value of at most 65535 octets"))?;
        reader.out.extend_from_slice(&key.to_be_bytes());
        reader.out.extend_from_slice(&len.to_be_bytes());
        reader.out.extend_from_slice(&value);
    }
    Ok(())
}

/// RFC 9460 7.1.1 and 8: what one parameter says about the others.
fn consistent(parameters: &[(u16, Vec<u8>)]) -> Result<(), &'static str> {
    let has = |wanted: u16| parameters.binary_search_by_key(&wanted, |(key, _)| *key).is_ok();
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err("`alpn` beside `no-default-alpn`");
    }
    let Some((MANDATORY, mandatory)) = parameters.first() else { return Ok(()) };
    if mandatory.is_empty() || mandatory.len() % 2 != 0 {
        return Err("a list of keys as the value of `mandatory`");
    }
    match mandatory.chunks_exact(2).all(|key| has(u16::from_be_bytes([key[0], key[1]]))) {
        true => Ok(()),
        false => Err("each key that `mandatory` lists as a parameter too"),
    }
}

/// `key`, `key=value`, or `key=` with a quoted token joined to it.
fn read_one(reader: &mut Reader<'_, '_>) -> Result<(u16, Vec<u8>), TextError> {
    let token = reader.token("a parameter")?;
    let equals = token.raw.iter().position(|octet| *octet == b'=').unwrap_or(token.raw.len());
    let (name, value) = token.raw.split_at(equals);
    let unknown = "a parameter as key=value with a known key or key0 to key65535";
    let key = key_number(name).filter(|_| !token.quoted).ok_or_else(|| TextError::at(&token, unknown))?;
    let value = match (value, reader.peek()) {
        (b"=", Some(next)) if next.joined && next.quoted => reader.token(unknown)?,
        (b"", Some(next)) if next.joined && next.quoted => return Err(reader.error("`=` before the value")),
        _ => Token { raw: value.get(1..).unwrap_or_default(), ..token },
    };
    let mut text = Vec::new();
    decode(&value, &mut text)?;
    if name.starts_with(b"key") {
        return if is_valid(key, &text) { Ok((key, text)) } else { Err(TextError::at(&token, "octets that are a value of this key")) };
    }
    let wire = value_to_wire(key, &text).map_err(|expected| TextError::at(&token, expected))?;
    Ok((key, wire))
}

fn key_number(name: &[u8]) -> Option<u16> {
    if let Some(at) = NAMES.iter().position(|known| known.as_bytes() == name) {
        return u16::try_from(at).ok();
    }
    let digits = name.strip_prefix(b"key").filter(|digits| *digits == b"0" || !digits.starts_with(b"0"))?;
    u16::try_from(decimal(digits)?).ok()
}

fn key_name(key: u16) -> String {
    NAMES.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).to_string())
}

fn value_to_wire(key: u16, text: &[u8]) -> Result<Vec<u8>, &'static str> {
    match key {
        MANDATORY => {
            let keys: Option<Vec<u16>> = text.split(|octet| *octet == b',').map(key_number).collect();
            let mut keys = keys.ok_or("a list of keys")?;
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) || keys.first() == Some(&MANDATORY) {
                return Err("each key once, and not `mandatory` itself");
            }
            Ok(keys.iter().flat_map(|key| key.to_be_bytes()).collect())
        }
        ALPN => list_to_wire(text),
        NO_DEFAULT_ALPN | OHTTP if text.is_empty() => Ok(Vec::new()),
        NO_DEFAULT_ALPN | OHTTP => Err("this key without a value"),
        PORT => decimal(text).and_then(|port| u16::try_from(port).ok()).map(|port| port.to_be_bytes().to_vec()).ok_or("a port number"),
        IPV4HINT => addresses(text, |address: Ipv4Addr| address.octets()).ok_or("IPv4 addresses joined by `,`"),
        IPV6HINT => addresses(text, |address: Ipv6Addr| address.octets()).ok_or("IPv6 addresses joined by `,`"),
        ECH => {
            let mut wire = Vec::new();
            (!text.is_empty() && base64_from_text(text, &mut wire)).then_some(wire).ok_or("base 64")
        }
        DOHPATH if text.is_empty() => Err("a path as /dns-query{?dns}"),
        GROUPS => {
            let number = |text: &[u8]| decimal(text).and_then(|number| u16::try_from(number).ok());
            let numbers: Option<Vec<u16>> = text.split(|octet| *octet == b',').map(number).collect();
            Ok(numbers.ok_or("numbers joined by `,`")?.iter().flat_map(|number| number.to_be_bytes()).collect())
        }
        _ => Ok(text.to_vec()),
    }
}

/// A value that was given as octets, `key1=\002h2`. `mandatory` is checked together with the others.
fn is_valid(key: u16, wire: &[u8]) -> bool {
    let some_of = |len: usize| !wire.is_empty() && wire.len().is_multiple_of(len);
    match key {
        ALPN => {
            let mut rest = wire;
            while let [len @ 1..=255, tail @ ..] = rest {
                let Some(tail) = tail.get(usize::from(*len)..) else { return false };
                rest = tail;
            }
            rest.is_empty() && !wire.is_empty()
        }
        NO_DEFAULT_ALPN | OHTTP => wire.is_empty(),
        PORT => wire.len() == 2,
        IPV4HINT => some_of(4),
        IPV6HINT => some_of(16),
        GROUPS => some_of(2),
        ECH | DOHPATH => !wire.is_empty(),
        _ => true,
    }
}

/// RFC 9460 A.1: `\,` and `\\` inside an item.
fn list_to_wire(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut wire = Vec::new();
    let mut item = Vec::new();
    let mut octets = text.iter();
    loop {
        match octets.next() {
            Some(b'\\') => item.push(*octets.next().ok_or("a character after `\\`")?),
            Some(octet) if *octet != b',' => item.push(*octet),
            end => {
                if item.is_empty() {
                    return Err("a list without empty items");
                }
                wire.push(u8::try_from(item.len()).map_err(|_| "items of at most 255 octets")?);
                wire.append(&mut item);
                if end.is_none() {
                    return Ok(wire);
                }
            }
        }
    }
}

fn addresses<A: std::str::FromStr, const N: usize>(text: &[u8], octets: impl Fn(A) -> [u8; N]) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    for item in std::str::from_utf8(text).ok()?.split(',') {
        wire.extend_from_slice(&octets(item.parse().ok()?));
    }
    Some(wire)
}

pub(super) fn write(writer: &mut Writer<'_>) -> Option<()> {
    while !writer.is_empty() {
        let key = writer.u16()?;
        let len = writer.u16()?;
        let value = writer.take(usize::from(len))?;
        let mut text = key_name(key);
        if !value.is_empty() {
            text.push('=');
            value_to_text(key, value, &mut text)?;
        }
        writer.word(text);
    }
    Some(())
}

fn value_to_text(key: u16, value: &[u8], out: &mut String) -> Option<()> {
    match key {
        MANDATORY => join(out, value.chunks(2).map(|pair| Some(key_name(u16::from_be_bytes(pair.try_into().ok()?))))),
        ALPN => {
            let mut list = Vec::new();
            let mut rest = value;
            while let Some((len, tail)) = rest.split_first() {
                let (item, tail) = tail.split_at_checked(usize::from(*len))?;
                if !list.is_empty() {
                    list.push(b',');
                }
                for octet in item {
                    if matches!(octet, b',' | b'\\') {
                        list.push(b'\\');
                    }
                    list.push(*octet);
                }
                rest = tail;
            }
            quote(&list, out);
            Some(())
        }
        PORT => join(out, [value.try_into().ok().map(u16::from_be_bytes)].into_iter()),
        IPV4HINT => join(out, value.chunks(4).map(|octets| Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)))),
        IPV6HINT => join(out, value.chunks(16).map(|octets| Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)))),
        GROUPS => join(out, value.chunks(2).map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))),
        ECH => {
            base64_to_text(value, out);
            Some(())
        }
        _ => {
            quote(value, out);
            Some(())
        }
    }
}

fn join(out: &mut String, items: impl Iterator<Item = Option<impl std::fmt::Display>>) -> Option<()> {
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&item?.to_string());
    }
    Some(())
}

fn quote(text: &[u8], out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}
