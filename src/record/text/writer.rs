//! Takes the fields of wire RDATA and appends their text; each kind of field has a method.

use std::fmt::Write as _;

use super::super::Rtype;
use super::super::name::{wire_len, write_presentation};

/// Takes fields from the front of `rest` and appends their text. `None` where the octets run out or make no sense.
pub(super) struct Writer<'a> {
    pub(super) rest: &'a [u8],
    pub(super) out: String,
}

impl<'a> Writer<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Appends one field, with a space before it unless it is the first.
    pub(super) fn word(&mut self, word: impl std::fmt::Display) {
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        let _ = write!(self.out, "{word}");
    }

    pub(super) fn words(&mut self, words: &[Rtype]) {
        for word in words {
            self.word(word);
        }
    }

    pub(super) fn name(&mut self) -> Option<()> {
        let len = wire_len(self.rest)?;
        let name = self.take(len)?;
        self.word("");
        write_presentation(name, &mut self.out).ok()
    }

    pub(super) fn text(&mut self) -> Option<()> {
        let len = self.u8()?;
        let text = self.take(usize::from(len))?;
        self.quoted(text);
        Some(())
    }

    pub(super) fn quoted(&mut self, text: &[u8]) {
        self.word('"');
        escape(text, &mut self.out);
        self.out.push('"');
    }

    pub(super) fn encoded(&mut self, bytes: &[u8], encode: fn(&[u8], &mut String)) {
        self.word("");
        encode(bytes, &mut self.out);
    }

    pub(super) fn encoded_rest(&mut self, encode: fn(&[u8], &mut String)) -> Option<()> {
        let rest = self.take_rest();
        self.encoded(rest, encode);
        (!rest.is_empty()).then_some(())
    }

    pub(super) fn encoded_with_length(&mut self, encode: fn(&[u8], &mut String)) -> Option<()> {
        let len = self.u8()?;
        let bytes = self.take(usize::from(len))?;
        self.encoded(bytes, encode);
        Some(())
    }
}

/// The inside of a quoted string (RFC 1035 5.1).
pub(super) fn escape(text: &[u8], out: &mut String) {
    for &octet in text {
        match octet {
            b'"' | b'\\' => out.extend(['\\', octet as char]),
            0x20..=0x7e => out.push(octet as char),
            _ => {
                let _ = write!(out, "\\{octet:03}");
            }
        }
    }
}
