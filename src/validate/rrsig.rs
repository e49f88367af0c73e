//! The fields of an RRSIG, and its dates (RFC 4034 3.1).

use super::reason::Signed;
use crate::record::{Name, RrSet, Rtype};

/// The moment at which signatures must be valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Now {
    /// Wall time in seconds since 1970.
    At(u64),
    /// The clock is known to be wrong, so dates are not checked. Data that is proved in this way must not be shown as secure.
    Unknown,
}

/// The zone that claims to have signed an RRset: the signer of its first readable RRSIG.
pub fn signer_of(set: &RrSet) -> Option<Name> {
    Rrsig::first(set).map(|rrsig| rrsig.signer)
}

/// Has a signature of this set expired (RFC 4034 3.1.5), or does the clock not tell?
pub fn has_expired_signature(set: &RrSet, now: Now) -> bool {
    now == Now::Unknown || set.sigs.iter().filter_map(Rrsig::read).any(|rrsig| rrsig.life(now).is_err())
}

/// The label count that a signature over this owner must have: the root and a leading asterisk do not count.
pub(super) fn signed_labels(owner: &Name) -> usize {
    owner.label_count() - usize::from(owner.is_wildcard())
}

pub(super) struct Rrsig<'a> {
    pub(super) covered: Rtype,
    pub(super) algorithm: u8,
    pub(super) labels: u8,
    pub(super) original_ttl: u32,
    pub(super) expiration: u32,
    pub(super) inception: u32,
    pub(super) key_tag: u16,
    pub(super) signer: Name,
    /// The fields before the signer's name, as they were sent: 18 octets.
    pub(super) head: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> Rrsig<'a> {
    pub(super) fn first(set: &'a RrSet) -> Option<Rrsig<'a>> {
        set.sigs.iter().find_map(Rrsig::read)
    }

    pub(super) fn read(rdata: &'a [u8]) -> Option<Rrsig<'a>> {
        let (head, rest) = rdata.split_at_checked(18)?;
        let (signer, used) = Name::from_wire_prefix(rest).ok()?;
        let u32_at = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some(Rrsig {
            covered: Rtype(u16::from_be_bytes([head[0], head[1]])),
            algorithm: head[2],
            labels: head[3],
            original_ttl: u32_at(4),
            expiration: u32_at(8),
            inception: u32_at(12),
            key_tag: u16::from_be_bytes([head[16], head[17]]),
            signer,
            head,
            signature: &rest[used..],
        })
    }

    /// Seconds until the signature expires, or the date that makes it invalid.
    pub(super) fn life(&self, now: Now) -> Result<u32, DateFault> {
        let Now::At(seconds) = now else { return Ok(u32::MAX) };
        // RFC 4034 3.1.5: serial arithmetic (RFC 1982), so only the low 32 bits of the time count.
        let now = seconds as u32;
        if serial_before(self.expiration, self.inception) {
            return Err(DateFault::ExpiredBeforeValid);
        }
        if serial_before(now, self.inception) {
            return Err(DateFault::NotYetValid);
        }
        if serial_before(self.expiration, now) {
            return Err(DateFault::Expired);
        }
        Ok(self.expiration.wrapping_sub(now))
    }

    pub(super) fn signed(&self, now: Now) -> Signed {
        let near = match now {
            Now::At(seconds) => seconds,
            Now::Unknown => u64::from(self.inception),
        };
        Signed {
            key_tag: self.key_tag,
            algorithm: self.algorithm,
            inception: unfold(self.inception, near),
            expiration: unfold(self.expiration, near),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DateFault {
    ExpiredBeforeValid,
    NotYetValid,
    Expired,
}

/// RFC 1982 3.2 with 32 bits.
fn serial_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// The time nearest to `near` whose low 32 bits are `serial`.
fn unfold(serial: u32, near: u64) -> u64 {
    near.saturating_add_signed(i64::from(serial.wrapping_sub(near as u32) as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rrsig(inception: u32, expiration: u32) -> Rrsig<'static> {
        Rrsig {
            covered: Rtype::A,
            algorithm: 13,
            labels: 1,
            original_ttl: 60,
            expiration,
            inception,
            key_tag: 1,
            signer: Name::root(),
            head: &[],
            signature: &[],
        }
    }

    #[test]
    fn dates_in_serial_arithmetic() {
        const WRAP: u64 = 1 << 32;
        let rows = [
            ("inside", 100, 200, 150, Ok(50)),
            ("first second", 100, 200, 100, Ok(100)),
            ("last second", 100, 200, 200, Ok(0)),
            ("too early", 100, 200, 99, Err(DateFault::NotYetValid)),
            ("too late", 100, 200, 201, Err(DateFault::Expired)),
            ("turned round", 200, 100, 150, Err(DateFault::ExpiredBeforeValid)),
            ("over the wrap of 2106", u32::MAX - 50, 100, WRAP + 10, Ok(90)),
            ("before the wrap", u32::MAX - 50, 100, WRAP - 10, Ok(110)),
            ("after the wrap, too late", u32::MAX - 50, 100, WRAP + 101, Err(DateFault::Expired)),
            ("after the wrap, fresh", 50, 100, WRAP + 60, Ok(40)),
        ];
        for (what, inception, expiration, now, expected) in rows {
            assert_eq!(rrsig(inception, expiration).life(Now::At(now)), expected, "{what}");
        }
        assert_eq!(rrsig(200, 100).life(Now::Unknown), Ok(u32::MAX));
    }

    #[test]
    fn dates_for_people_are_near_now() {
        let signed = rrsig(u32::MAX, 100).signed(Now::At((1 << 32) + 5));
        assert_eq!((signed.inception, signed.expiration), ((1 << 32) - 1, (1 << 32) + 100));
    }

    #[test]
    fn short_rdata_is_no_signature() {
        assert!(Rrsig::read(&[0; 18]).is_none());
        assert!(Rrsig::read(&[0; 19]).is_some());
        assert!(Rrsig::read(&[]).is_none());
    }
}
