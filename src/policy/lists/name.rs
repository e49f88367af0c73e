//! Names as lists write them: letter case, a final dot and letters beyond ASCII do not matter.

use std::net::Ipv4Addr;

use super::SkipReason;
use crate::record::{NAME_BYTES_MAX, to_ascii_name};

/// Room for one name (RFC 1035 2.3.4), used again for each line.
pub(super) struct ListName {
    wire: [u8; 256],
    len: usize,
    labels: usize,
}

/// RFC 1035 2.3.4.
const LABEL_OCTETS: std::ops::RangeInclusive<usize> = 1..=63;

impl ListName {
    pub(super) fn new() -> ListName {
        ListName { wire: [0; 256], len: 0, labels: 0 }
    }

    /// In the form of the wire, in small letters.
    pub(super) fn wire(&self) -> &[u8] {
        &self.wire[..self.len]
    }

    /// Is it a top-level domain?
    pub(super) fn is_single_label(&self) -> bool {
        self.labels == 1
    }

    /// Takes the name that the text is. What is no name of a host, underscores aside, is refused.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<(), SkipReason> {
        if text.is_ascii() {
            return self.read_ascii(text);
        }
        let ascii = std::str::from_utf8(text).ok().and_then(to_ascii_name).ok_or(SkipReason::NoName)?;
        self.read_ascii(ascii.as_bytes())
    }

    fn read_ascii(&mut self, text: &[u8]) -> Result<(), SkipReason> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        // One octet for the first length, and one for the root.
        if text.is_empty() || text.len() + 2 > NAME_BYTES_MAX {
            return Err(SkipReason::NoName);
        }
        let (mut start, mut labels, mut is_number) = (0, 1, true);
        for (at, octet) in text.iter().enumerate() {
            match octet {
                b'a'..=b'z' | b'-' | b'_' => (self.wire[at + 1], is_number) = (*octet, false),
                b'0'..=b'9' => self.wire[at + 1] = *octet,
                b'A'..=b'Z' => (self.wire[at + 1], is_number) = (octet | 0x20, false),
                b'.' => {
                    if !self.close_label(start, at) {
                        return Err(SkipReason::NoName);
                    }
                    (start, labels, is_number) = (at + 1, labels + 1, true);
                }
                _ => return Err(if text.contains(&b':') { address_or_no_name(text) } else { SkipReason::NoName }),
            }
        }
        if !self.close_label(start, text.len()) {
            return Err(SkipReason::NoName);
        }
        if is_number {
            return Err(address_or_no_name(text));
        }
        self.wire[text.len() + 1] = 0;
        (self.len, self.labels) = (text.len() + 2, labels);
        Ok(())
    }

    /// Puts the length before the label that stands in the text from `start` to `end`.
    fn close_label(&mut self, start: usize, end: usize) -> bool {
        let len = end - start;
        self.wire[start] = len as u8;
        LABEL_OCTETS.contains(&len)
    }
}

/// No top-level domain is a number, so such a text is an address or nothing.
fn address_or_no_name(text: &[u8]) -> SkipReason {
    let is_address = std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok() || text.contains(':'));
    if is_address { SkipReason::Address } else { SkipReason::NoName }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    #[test]
    fn names_as_lists_write_them() {
        let mut name = ListName::new();
        for (text, expected) in [
            ("ads.example", "ads.example"),
            ("ADS.Example.", "ads.example"),
            ("_dmarc.a_b.example", "_dmarc.a_b.example"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("zip", "zip"),
            ("1.2.3.example", "1.2.3.example"),
        ] {
            assert_eq!(name.read(text.as_bytes()), Ok(()), "{text}");
            assert_eq!(name.wire(), Name::parse(expected).expect("a name").as_wire());
            assert_eq!(name.is_single_label(), text == "zip");
        }
        let long = [b'a'; 64];
        let longest = [&b"a.".repeat(126)[..], b"a"].concat();
        assert_eq!(name.read(&longest), Ok(()));
        assert_eq!(name.wire().len(), 255);
        for (text, expected) in [
            (&b""[..], SkipReason::NoName),
            (b".", SkipReason::NoName),
            (b"a..b", SkipReason::NoName),
            (b".a", SkipReason::NoName),
            (b"a b", SkipReason::NoName),
            (b"a/b.example", SkipReason::NoName),
            (b"*.example", SkipReason::NoName),
            (b"\xff.example", SkipReason::NoName),
            (&long, SkipReason::NoName),
            (&[&longest[..], b"a"].concat(), SkipReason::NoName),
            (b"192.0.2.1", SkipReason::Address),
            (b"2001:db8::1", SkipReason::Address),
            (b"example.1", SkipReason::NoName),
        ] {
            assert_eq!(name.read(text), Err(expected), "{}", text.escape_ascii());
        }
    }
}
