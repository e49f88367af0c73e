//! The 12 octets every message starts with (RFC 1035 4.1.1, RFC 2535 6.1 for AD and CD).

/// Octets of a message header (RFC 1035 4.1.1).
pub const HEADER_BYTES: usize = 12;

/// OPCODE of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Opcode = Opcode(0);
    /// A zone has changed (RFC 1996).
    pub const NOTIFY: Opcode = Opcode(4);
    /// Dynamic update (RFC 2136).
    pub const UPDATE: Opcode = Opcode(5);
}

/// The two flag octets as one number.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

impl Flags {
    /// The message is a response.
    pub const QR: u16 = 0x8000;
    /// Authoritative answer.
    pub const AA: u16 = 0x0400;
    /// The message was truncated.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
    /// Reserved; must be zero.
    #[cfg(test)]
    pub const Z: u16 = 0x0040;
    /// Authentic data: all records were validated (RFC 4035 3.2.3).
    pub const AD: u16 = 0x0020;
    /// Checking disabled: the client validates by itself (RFC 4035 3.2.2).
    pub const CD: u16 = 0x0010;

    /// Whether this flag is set.
    pub fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    /// The same flags with one of them set or cleared.
    #[must_use]
    pub fn with(self, bit: u16, on: bool) -> Flags {
        Flags(if on { self.0 | bit } else { self.0 & !bit })
    }

    /// The kind of query.
    pub fn opcode(self) -> Opcode {
        Opcode((self.0 >> 11) as u8 & 15)
    }

    /// The lower four bits of the response code; OPT has the others.
    pub fn rcode(self) -> u16 {
        self.0 & 15
    }

    /// Only the lower four bits of `rcode` are taken.
    #[must_use]
    pub fn with_rcode(self, rcode: u16) -> Flags {
        Flags(self.0 & !15 | rcode & 15)
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = [
            (Flags::QR, "qr"),
            (Flags::AA, "aa"),
            (Flags::TC, "tc"),
            (Flags::RD, "rd"),
            (Flags::RA, "ra"),
            (Flags::AD, "ad"),
            (Flags::CD, "cd"),
        ];
        let set: Vec<_> = named.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, text)| *text).collect();
        write!(f, "{} opcode {} rcode {}", set.join(" "), self.opcode().0, self.rcode())
    }
}

/// The header of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    pub id: u16,
    pub flags: Flags,
    /// Question, answer, authority, additional, as the header claims; the message may hold fewer.
    pub counts: [u16; 4],
}

impl Header {
    /// `None` where there are fewer than twelve octets.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let head = bytes.first_chunk::<HEADER_BYTES>()?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        Some(Header { id: word(0), flags: Flags(word(2)), counts: [word(4), word(6), word(8), word(10)] })
    }

    /// Wire form.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let words = [self.id, self.flags.0, self.counts[0], self.counts[1], self.counts[2], self.counts[3]];
        for (place, word) in out.chunks_exact_mut(2).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}
