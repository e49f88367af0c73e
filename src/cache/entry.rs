//! The layout of an entry in its slot. All numbers are little-endian except the record type, which is as on the wire.
//!
//! ```text
//!  0      1         2      4          8      12       15      16     17            17+n
//! ┌──────┬─────────┬──────┬──────────┬──────┬────────┬───────┬──────┬─────────────┬──────────┐
//! │ kind │ n: name │ type │ expires  │ ttl  │ length │ used  │ sub  │ name, lower │ body     │
//! │ u8   │ len u8  │ u16  │ u32 s    │ u32  │ u24    │ u8    │ u8   │ case wire   │ by kind  │
//! └──────┴─────────┴──────┴──────────┴──────┴────────┴───────┴──────┴─────────────┴──────────┘
//! ```
//! `kind` is never 0, which marks a free slot. `expires` counts seconds since boot; `ttl` is the TTL at the start, so the age
//! is `ttl - (expires - now)`. `length` is that of the whole entry. `used` holds the low octet of the second of the last hit.
//! `sub` of a fact has its rank (bits 0-2), its security status (3-4), the one that it had at an earlier run of the server if it
//! comes from a saved cache (5-6), and whether it is a denial (7); `sub` of a ready answer is the policy group, which is part of
//! its key.
//!
//! A *fact* is what is known of one name and type: an RRset or its denial, never both. A *proved* entry has the form of a fact:
//! the last one that was validated, kept while unvalidated data has its place.

use crate::record::{Name, Rank, Security};

/// Octets before the name.
pub const HEAD_BYTES: usize = 17;

/// The kind of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    Fact = 1,
    Failure = 2,
    /// A ready answer to a query without DO, and one to a query with DO.
    Answer = 3,
    AnswerDo = 4,
    Proved = 5,
}

impl Kind {
    /// `None` for a free slot or an unknown kind.
    pub fn from_u8(value: u8) -> Option<Kind> {
        [Kind::Fact, Kind::Failure, Kind::Answer, Kind::AnswerDo, Kind::Proved].into_iter().find(|kind| *kind as u8 == value)
    }

    fn has_group(self) -> bool {
        matches!(self, Kind::Answer | Kind::AnswerDo)
    }
}

/// What identifies an entry.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub kind: Kind,
    /// Lower-case wire form.
    pub name: &'a [u8],
    pub rtype: u16,
    /// Policy group of a ready answer; 0 for all other kinds.
    pub group: u8,
}

/// The type under which an NXDOMAIN is kept, because it counts for every type; no record has type 0.
pub const TYPE_OF_NXDOMAIN: u16 = 0;

impl<'a> Key<'a> {
    /// The key of an RRset or a denial.
    pub fn fact(name: &'a [u8], rtype: u16) -> Key<'a> {
        Key { kind: Kind::Fact, name, rtype, group: 0 }
    }

    /// The key of the last proved fact.
    pub fn proved(name: &'a [u8], rtype: u16) -> Key<'a> {
        Key { kind: Kind::Proved, name, rtype, group: 0 }
    }

    /// The key of a failed resolution.
    pub fn failure(name: &'a [u8], rtype: u16) -> Key<'a> {
        Key { kind: Kind::Failure, name, rtype, group: 0 }
    }

    /// The key of a ready answer.
    pub fn answer(name: &'a [u8], rtype: u16, dnssec_ok: bool, group: u8) -> Key<'a> {
        Key { kind: if dnssec_ok { Kind::AnswerDo } else { Kind::Answer }, name, rtype, group }
    }

    /// The key of an entry in a slot. Panics on octets that are no entry; all entries were written by this file.
    pub fn of(entry: &'a [u8]) -> Key<'a> {
        let kind = Kind::from_u8(entry[0]).expect("slots hold entries made by this module");
        let name = &entry[HEAD_BYTES..HEAD_BYTES + entry[1] as usize];
        Key { kind, name, rtype: u16::from_be_bytes([entry[2], entry[3]]), group: if kind.has_group() { entry[16] } else { 0 } }
    }

    /// Compares the fixed octets first, because they decide nearly every mismatch.
    pub fn is_of(&self, entry: &[u8]) -> bool {
        let Some((head, rest)) = entry.split_first_chunk::<HEAD_BYTES>() else { return false };
        let [high, low] = self.rtype.to_be_bytes();
        // A name has at most 255 octets.
        head.first_chunk() == Some(&[self.kind as u8, self.name.len() as u8, high, low])
            && (!self.kind.has_group() || head[16] == self.group)
            && rest.get(..self.name.len()) == Some(self.name)
    }
}

/// Starts an entry with head and name. The body is appended; then `finish` writes the length.
pub fn start(key: &Key<'_>, sub: u8, ttl: u32, now_s: u32, body_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + key.name.len() + body_bytes);
    bytes.extend_from_slice(&[key.kind as u8, key.name.len() as u8]);
    bytes.extend_from_slice(&key.rtype.to_be_bytes());
    bytes.extend_from_slice(&now_s.saturating_add(ttl).to_le_bytes());
    bytes.extend_from_slice(&ttl.to_le_bytes());
    bytes.extend_from_slice(&[0, 0, 0, now_s as u8, if key.kind.has_group() { key.group } else { sub }]);
    bytes.extend_from_slice(key.name);
    bytes
}

/// Writes the length of a complete entry.
pub fn finish(mut bytes: Vec<u8>) -> Vec<u8> {
    // A length of more than 24 bits exceeds every slot, and the store refuses it.
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    bytes[12..15].copy_from_slice(&len[..3]);
    bytes
}

/// Octets of the whole entry.
pub fn len(entry: &[u8]) -> usize {
    u24(entry, 12)
}

/// Offset of the body.
pub fn body_at(entry: &[u8]) -> usize {
    HEAD_BYTES + usize::from(entry[1])
}

/// Seconds since boot at which the entry expires.
pub fn expires(entry: &[u8]) -> u32 {
    u32_at(entry, 4)
}

/// The TTL with which the entry was stored.
pub fn ttl(entry: &[u8]) -> u32 {
    u32_at(entry, 8)
}

/// Seconds until it expires; 0 once expired.
pub fn remaining(entry: &[u8], now_s: u32) -> u32 {
    expires(entry).saturating_sub(now_s)
}

/// Seconds since it was stored.
pub fn age(entry: &[u8], now_s: u32) -> u32 {
    (now_s.saturating_add(ttl(entry))).saturating_sub(expires(entry))
}

/// Whether less than a tenth of its TTL remains.
pub fn is_waning(entry: &[u8], now_s: u32) -> bool {
    u64::from(remaining(entry, now_s)) * 10 <= u64::from(ttl(entry))
}

/// Makes the entry expire within `cap` seconds.
pub fn shorten(entry: &mut [u8], cap: u32, now_s: u32) {
    if remaining(entry, now_s) > cap {
        let age = age(entry, now_s);
        entry[4..8].copy_from_slice(&now_s.saturating_add(cap).to_le_bytes());
        entry[8..12].copy_from_slice(&cap.saturating_add(age).to_le_bytes());
    }
}

/// Adapts a saved entry to this run: it expires at `end_s`, at most `cap` seconds from now, counts as not validated, and its
/// first hit counts as a use. `is_own`: this server has saved it, so that what its last validation found is believed.
pub fn reopen(entry: &mut [u8], end_s: u32, cap: u32, now_s: u32, is_own: bool) {
    let earlier = if is_own { last_judged(entry) } else { Security::Indeterminate };
    // No entry has more time left than its TTL.
    let end_s = end_s.min(now_s.saturating_add(ttl(entry)));
    entry[4..8].copy_from_slice(&end_s.to_le_bytes());
    shorten(entry, cap, now_s);
    set_security(entry, Security::Indeterminate);
    if earlier != Security::Bogus {
        entry[16] |= (earlier as u8) << EARLIER_SHIFT;
    }
    entry[15] = (now_s as u8).wrapping_sub(1);
}

/// The `sub` octet of an RRset.
pub fn sub_of_set(rank: Rank, security: Security) -> u8 {
    rank as u8 | (security as u8) << 3
}

const EARLIER_SHIFT: u8 = 5;
const DENIAL: u8 = 0x80;
const DENIAL_NX: u8 = 0x01;

/// The `sub` octet of a denial.
pub fn sub_of_denial(nxdomain: bool, security: Security) -> u8 {
    DENIAL | if nxdomain { DENIAL_NX } else { 0 } | (security as u8) << 3
}

/// Whether this fact is a denial.
pub fn is_denial(entry: &[u8]) -> bool {
    has_form_of_fact(entry) && entry[16] & DENIAL != 0
}

fn has_form_of_fact(entry: &[u8]) -> bool {
    entry[0] == Kind::Fact as u8 || entry[0] == Kind::Proved as u8
}

/// The fact as a proved entry, if it may be kept as one: found Secure or Insecure, and expired no more than `stale_max` seconds
/// ago. It keeps its time.
pub fn as_proved(entry: &[u8], now_s: u32, stale_max: u32) -> Option<Vec<u8>> {
    let is_servable = stale_max > 0 && now_s.saturating_sub(expires(entry)) <= stale_max;
    (is_servable && matches!(last_judged(entry), Security::Secure | Security::Insecure)).then(|| {
        let mut proved = entry.to_vec();
        proved[0] = Kind::Proved as u8;
        proved
    })
}

/// Whether this fact is an NXDOMAIN.
pub fn is_nxdomain(entry: &[u8]) -> bool {
    is_denial(entry) && entry[16] & DENIAL_NX != 0
}

/// Whether this fact is an RRset.
pub fn is_set(entry: &[u8]) -> bool {
    has_form_of_fact(entry) && entry[16] & DENIAL == 0
}

/// The bits of the rank.
pub fn rank_bits(entry: &[u8]) -> u8 {
    entry[16] & 7
}

/// Rank of a fact. A denial has the rank of an answer, so that additional data does not replace it.
pub fn rank(entry: &[u8]) -> Rank {
    if is_denial(entry) { Rank::Answer } else { Rank::from_u8(rank_bits(entry)).unwrap_or(Rank::Glue) }
}

/// Security status of a fact.
pub fn security(entry: &[u8]) -> Security {
    Security::from_u8(entry[16] >> 3 & 3).unwrap_or_default()
}

/// What the last validation of a fact found, of this run or of an earlier one: it says what may be served stale.
pub fn last_judged(entry: &[u8]) -> Security {
    match security(entry) {
        Security::Indeterminate => Security::from_u8(entry[16] >> EARLIER_SHIFT & 3).unwrap_or_default(),
        now => now,
    }
}

/// Changes the security status of a fact.
pub fn set_security(entry: &mut [u8], security: Security) {
    entry[16] = entry[16] & !0x78 | (security as u8) << 3;
}

/// The kind of a failure.
pub fn sub(entry: &[u8]) -> u8 {
    entry[16]
}

/// Owner of the entry.
pub fn name(entry: &[u8]) -> Name {
    Name::from_wire(Key::of(entry).name).unwrap_or_else(|_| Name::root())
}

/// Little-endian number of three octets.
pub fn u24(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0]) as usize
}

/// Appends a little-endian number of three octets; `value` must fit.
pub fn push_u24(bytes: &mut Vec<u8>, value: usize) {
    bytes.extend_from_slice(&(value as u32).to_le_bytes()[..3]);
}

/// Little-endian number.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Little-endian number.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_true() {
        let key = Key::fact(b"\x01a\x00", 28);
        let mut bytes = start(&key, sub_of_set(Rank::AuthAnswer, Security::Secure), 300, 1000, 0);
        bytes.extend_from_slice(b"body");
        let entry = finish(bytes);
        let expected: &[&[u8]] =
            &[&[1, 3, 0, 28], &1300u32.to_le_bytes(), &300u32.to_le_bytes(), &[24, 0, 0, 1000u32 as u8, 6 | 2 << 3], b"\x01a\x00", b"body"];
        assert_eq!(entry, expected.concat());
        assert!(key.is_of(&entry) && !Key::fact(b"\x01b\x00", 28).is_of(&entry) && !Key::failure(b"\x01a\x00", 28).is_of(&entry));
        assert_eq!((rank(&entry), security(&entry), len(&entry), body_at(&entry)), (Rank::AuthAnswer, Security::Secure, 24, 20));
        assert_eq!((remaining(&entry, 1100), age(&entry, 1100), age(&entry, 1400)), (200, 100, 400));
        assert!(is_waning(&entry, 1270) && !is_waning(&entry, 1269));
    }

    #[test]
    fn shortening_keeps_the_age() {
        let mut entry = finish(start(&Key::fact(b"\0", 2), 0, 300, 1000, 0));
        shorten(&mut entry, 60, 1100);
        assert_eq!((remaining(&entry, 1100), age(&entry, 1100)), (60, 100));
        shorten(&mut entry, 90, 1100);
        assert_eq!(remaining(&entry, 1100), 60);
    }
}
