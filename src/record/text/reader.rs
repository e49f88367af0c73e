//! Reads the fields of RDATA from tokens; each kind of field has a method. Names keep their letter case; a relative name is
//! completed with the origin.

use std::net::{Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::super::Rtype;
use super::super::name::{presentation_to_wire, unescape};
use super::encoding::hex_from_text;
use super::lexer::{TextError, Token};
use super::mnemonic;

pub(super) struct Reader<'r, 't> {
    tokens: &'r [Token<'t>],
    at: usize,
    origin: &'r [u8],
    pub(super) out: &'r mut Vec<u8>,
}

impl<'r, 't> Reader<'r, 't> {
    pub(super) fn new(tokens: &'r [Token<'t>], origin: &'r [u8], out: &'r mut Vec<u8>) -> Reader<'r, 't> {
        Reader { tokens, at: 0, origin, out }
    }

    pub(super) fn peek(&self) -> Option<&'r Token<'t>> {
        self.tokens.get(self.at)
    }

    /// The error "expected …" at the token that comes next.
    pub(super) fn error(&self, expected: &'static str) -> TextError {
        self.error_at(self.at, expected)
    }

    /// The error "expected …" at the token that was taken last.
    pub(super) fn error_before(&self, expected: &'static str) -> TextError {
        self.error_at(self.at.saturating_sub(1), expected)
    }

    pub(super) fn error_at(&self, at: usize, expected: &'static str) -> TextError {
        if let Some(token) = self.tokens.get(at) {
            return TextError::at(token, expected);
        }
        let (line, column) = self.tokens.last().map_or((0, 0), |last| {
            let quotes = if last.quoted { 2 } else { 0 };
            (last.line, last.column.saturating_add(last.raw.len() as u32 + quotes))
        });
        TextError { line, column, found: "the end of the record".into(), expected: expected.into() }
    }

    pub(super) fn token(&mut self, expected: &'static str) -> Result<Token<'t>, TextError> {
        let token = *self.peek().ok_or_else(|| self.error(expected))?;
        self.at += 1;
        Ok(token)
    }

    /// An unquoted token: names and numbers are never in quotes.
    pub(super) fn plain(&mut self, expected: &'static str) -> Result<&'t [u8], TextError> {
        let token = self.token(expected)?;
        if token.quoted {
            return Err(TextError::at(&token, expected));
        }
        Ok(token.raw)
    }

    /// An unquoted token that `parse` understands.
    pub(super) fn with<T>(&mut self, expected: &'static str, parse: impl FnOnce(&'t [u8]) -> Option<T>) -> Result<T, TextError> {
        let text = self.plain(expected)?;
        parse(text).ok_or_else(|| self.error_before(expected))
    }

    pub(super) fn u8(&mut self, expected: &'static str) -> Result<u8, TextError> {
        self.with(expected, small)
    }

    pub(super) fn u16(&mut self, expected: &'static str) -> Result<u16, TextError> {
        self.with(expected, |text| mnemonic::decimal(text).and_then(|value| u16::try_from(value).ok()))
    }

    pub(super) fn u32(&mut self) -> Result<u32, TextError> {
        self.with("a number from 0 to 4294967295", |text| mnemonic::decimal(text).and_then(|value| u32::try_from(value).ok()))
    }

    pub(super) fn rtype(&mut self) -> Result<Rtype, TextError> {
        self.with("a record type", |text| std::str::from_utf8(text).ok()?.parse().ok())
    }

    pub(super) fn name(&mut self) -> Result<(), TextError> {
        let text = self.plain("a domain name")?;
        let mut wire = SmallVec::<[u8; 256]>::new();
        if let Err(error) = presentation_to_wire(text, self.origin, &mut wire) {
            let mut shown = self.error_before("a domain name");
            shown.expected = format!("a domain name, but {error}").into();
            return Err(shown);
        }
        self.out.extend_from_slice(&wire);
        Ok(())
    }

    pub(super) fn ipv4(&mut self) -> Result<(), TextError> {
        let expected = match self.peek().is_some_and(|token| address::<Ipv6Addr>(token.raw).is_some()) {
            true => "an IPv4 address: write AAAA for this one",
            false => "an IPv4 address",
        };
        let address: Ipv4Addr = self.with(expected, address)?;
        self.out.extend_from_slice(&address.octets());
        Ok(())
    }

    pub(super) fn ipv6(&mut self) -> Result<(), TextError> {
        let expected = match self.peek().is_some_and(|token| address::<Ipv4Addr>(token.raw).is_some()) {
            true => "an IPv6 address: write A for this one",
            false => "an IPv6 address",
        };
        let address: Ipv6Addr = self.with(expected, address)?;
        self.out.extend_from_slice(&address.octets());
        Ok(())
    }

    pub(super) fn text(&mut self) -> Result<(), TextError> {
        let token = self.token("a string")?;
        let at = self.out.len();
        self.out.push(0);
        decode(&token, self.out)?;
        let len = self.out.len() - at - 1;
        self.out[at] = u8::try_from(len).map_err(|_| TextError::at(&token, "a string of at most 255 octets"))?;
        Ok(())
    }

    pub(super) fn long_text(&mut self) -> Result<(), TextError> {
        let token = self.token("a string")?;
        decode(&token, self.out)
    }

    pub(super) fn tag(&mut self) -> Result<(), TextError> {
        let fits = |text: &&[u8]| (1..=255).contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric);
        let text = self.with("a tag of letters and digits", |text| Some(text).filter(fits))?;
        self.out.push(text.len() as u8);
        self.out.extend_from_slice(text);
        Ok(())
    }

    /// One or more tokens that together are one encoded value; a piece need not end on an octet.
    pub(super) fn pieces(&mut self, expected: &'static str, decode: fn(&[u8], &mut Vec<u8>) -> bool) -> Result<(), TextError> {
        let first = self.at;
        let mut joined = Vec::new();
        while self.peek().is_some() {
            joined.extend_from_slice(self.plain(expected)?);
        }
        if joined.is_empty() || !decode(&joined, self.out) {
            return Err(self.error_at(first, expected));
        }
        Ok(())
    }

    pub(super) fn with_length(&mut self, expected: &'static str, decode: fn(&[u8], &mut Vec<u8>) -> bool) -> Result<(), TextError> {
        let text = self.plain(expected)?;
        let at = self.out.len();
        self.out.push(0);
        let len = if decode(text, self.out) { self.out.len() - at - 1 } else { 0 };
        self.out[at] = u8::try_from(len).ok().filter(|len| *len > 0).ok_or_else(|| self.error_before(expected))?;
        Ok(())
    }

    pub(super) fn salt(&mut self) -> Result<(), TextError> {
        if self.peek().is_some_and(|token| token.is("-")) {
            self.at += 1;
            self.out.push(0);
            return Ok(());
        }
        self.with_length("a salt in hex, or `-` for none", hex_from_text)
    }

    /// `count` groups of hex digits: exactly `digits` in each if `separator` is `-`, at most `digits` if it is `:`.
    pub(super) fn groups(&mut self, count: usize, digits: usize, separator: u8, expected: &'static str) -> Result<(), TextError> {
        let text = self.plain(expected)?;
        let groups: Vec<&[u8]> = text.split(|octet| *octet == separator).collect();
        let fits = |group: &&[u8]| group.len() == digits || (digits == 4 && (1..4).contains(&group.len()));
        let mut hex = Vec::with_capacity(16);
        for group in &groups {
            hex.extend(std::iter::repeat_n(b'0', digits.saturating_sub(group.len())));
            hex.extend_from_slice(group);
        }
        if groups.len() != count || !groups.iter().all(fits) || !hex_from_text(&hex, self.out) {
            return Err(self.error_before(expected));
        }
        Ok(())
    }

    pub(super) fn nsap(&mut self) -> Result<(), TextError> {
        let expected = "0x and hex digits";
        let text = self.with(expected, |text| text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")))?;
        let digits: Vec<u8> = text.iter().copied().filter(|octet| *octet != b'.').collect();
        if digits.is_empty() || !hex_from_text(&digits, self.out) {
            return Err(self.error_before(expected));
        }
        Ok(())
    }

    /// One octet says which of the two forms follows: 0 for octets, 1 for digits as text.
    pub(super) fn atm_address(&mut self) -> Result<(), TextError> {
        let expected = "hex digits, or `+` and decimal digits";
        let text = self.plain(expected)?;
        let digits: Vec<u8> = text.iter().copied().filter(|octet| *octet != b'.').collect();
        let good = match digits.strip_prefix(b"+") {
            Some(number) => {
                self.out.push(1);
                self.out.extend_from_slice(number);
                !number.is_empty() && number.iter().all(u8::is_ascii_digit)
            }
            None => {
                self.out.push(0);
                !digits.is_empty() && hex_from_text(&digits, self.out)
            }
        };
        if good { Ok(()) } else { Err(self.error_before(expected)) }
    }

    /// RFC 3597 5.
    pub(super) fn generic(&mut self) -> Result<(), TextError> {
        self.at += 1;
        let len = usize::from(self.u16("the number of octets, after `\\#`")?);
        let start = self.out.len();
        if self.peek().is_some() {
            self.pieces("hex digits, two for each octet", hex_from_text)?;
        }
        match self.out.len() - start {
            have if have == len => Ok(()),
            have => {
                let mut error = self.error("as many octets in hex as the length says");
                error.found = format!("{have} octets");
                error.expected = format!("{len} octets in hex, as the length says").into();
                Err(error)
            }
        }
    }
}

/// One string of a list; a longer one becomes several (RFC 1035 3.3 allows 255 octets), which clients of text join.
pub(super) fn read_text_of_any_length(reader: &mut Reader<'_, '_>) -> Result<(), TextError> {
    let token = reader.token("a string")?;
    let mut whole = Vec::new();
    decode(&token, &mut whole)?;
    let empty = whole.is_empty().then_some(&[][..]);
    for piece in whole.chunks(255).chain(empty) {
        reader.out.push(piece.len() as u8);
        reader.out.extend_from_slice(piece);
    }
    Ok(())
}

fn address<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A number up to 255.
pub(super) fn small(text: &[u8]) -> Option<u8> {
    mnemonic::decimal(text).and_then(|value| u8::try_from(value).ok())
}

/// Resolves the escapes of a string.
pub(super) fn decode(token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), TextError> {
    let mut rest = token.raw;
    while let Some(at) = rest.iter().position(|octet| *octet == b'\\') {
        out.extend_from_slice(&rest[..at]);
        let expected = "a character or three digits up to 255 after `\\`";
        let (octet, used) = unescape(&rest[at + 1..]).ok_or_else(|| TextError::at(token, expected))?;
        out.push(octet);
        rest = &rest[at + 1 + used..];
    }
    out.extend_from_slice(rest);
    Ok(())
}
