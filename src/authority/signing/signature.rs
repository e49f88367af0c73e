//! One RRSIG (RFC 4034 3.1): made over the canonical form of an RRset (RFC 4034 6), and the question of whether an old one still
//! serves.
//!
//! A signature is replaced between half and two thirds of its life. The name and the type decide where between, so that the
//! signatures of one zone, made at one moment, are not all replaced at one moment.

use super::key::{KeyError, SigningKey};
use crate::record::{Name, Rtype, canonical_rdata};

/// How long signatures are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From the moment of signing on.
    pub life_s: u32,
    /// Signatures are valid from this long before they are made, for validators whose clocks are behind.
    pub backdated_s: u32,
}

impl Default for Validity {
    fn default() -> Validity {
        Validity { life_s: 14 * 86_400, backdated_s: 3_600 }
    }
}

/// An RRset in the form that is signed, ready for several keys.
pub(super) struct ToSign<'s> {
    pub(super) owner: &'s Name,
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) zone: &'s Name,
    /// RDATA in canonical form, in canonical order.
    canonical: Vec<Vec<u8>>,
}

impl<'s> ToSign<'s> {
    pub(super) fn new<'r>(owner: &'s Name, rtype: Rtype, ttl: u32, zone: &'s Name, data: impl Iterator<Item = &'r [u8]>) -> ToSign<'s> {
        let canonical = |rdata: &[u8]| {
            let mut out = Vec::with_capacity(rdata.len());
            canonical_rdata(rtype, rdata, &mut out);
            out
        };
        let mut canonical: Vec<Vec<u8>> = data.map(canonical).collect();
        // RFC 4034 6.3.
        canonical.sort_unstable();
        canonical.dedup();
        ToSign { owner, rtype, ttl, zone, canonical }
    }

    /// RDATA of the RRSIG.
    pub(super) fn sign(&self, key: &SigningKey, validity: Validity, now: u64) -> Result<Vec<u8>, KeyError> {
        let (inception, expiration) = (now.saturating_sub(u64::from(validity.backdated_s)), now + u64::from(validity.life_s));
        // RFC 4034 3.1.3: neither the root label nor a wildcard counts.
        let labels = self.owner.label_count() - usize::from(self.owner.is_wildcard());
        let mut rrsig = Vec::with_capacity(18 + self.zone.as_wire().len() + 96);
        rrsig.extend_from_slice(&self.rtype.0.to_be_bytes());
        rrsig.extend_from_slice(&[key.algorithm.number(), labels as u8]);
        rrsig.extend_from_slice(&self.ttl.to_be_bytes());
        // RFC 4034 3.1.5: the times are serial numbers.
        rrsig.extend_from_slice(&(expiration as u32).to_be_bytes());
        rrsig.extend_from_slice(&(inception as u32).to_be_bytes());
        rrsig.extend_from_slice(&key.tag.to_be_bytes());
        rrsig.extend_from_slice(self.zone.as_wire());
        let mut message = rrsig.clone();
        for rdata in &self.canonical {
            message.extend_from_slice(self.owner.as_wire());
            message.extend_from_slice(&self.rtype.0.to_be_bytes());
            message.extend_from_slice(&[0, 1]);
            message.extend_from_slice(&self.ttl.to_be_bytes());
            // RDATA in a zone has at most 65,535 octets.
            message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            message.extend_from_slice(rdata);
        }
        rrsig.extend_from_slice(&key.sign(&message)?);
        Ok(rrsig)
    }
}

/// The fields of an RRSIG that decide whether it still serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) algorithm: u8,
    pub(super) original_ttl: u32,
    pub(super) expiration: u64,
    pub(super) inception: u64,
    pub(super) tag: u16,
}

impl Made {
    pub(super) fn read(rrsig: &[u8], now: u64) -> Option<Made> {
        let (head, _) = rrsig.split_first_chunk::<18>()?;
        let four = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        Some(Made {
            algorithm: head[2],
            original_ttl: four(4),
            expiration: near(four(8), now),
            inception: near(four(12), now),
            tag: u16::from_be_bytes([head[16], head[17]]),
        })
    }

    pub(super) fn is_by(&self, key: &SigningKey) -> bool {
        (self.algorithm, self.tag) == (key.algorithm.number(), key.tag)
    }

    /// When it is to be replaced.
    pub(super) fn refresh_at(&self, owner: &Name, rtype: Rtype) -> u64 {
        let life = self.expiration.saturating_sub(self.inception);
        self.inception + life / 2 + life * u64::from(spread(owner, rtype)) / (6 << 16)
    }
}

/// The time near `now` that a serial number of 32 bits means (RFC 1982).
fn near(serial: u32, now: u64) -> u64 {
    now.saturating_add_signed(i64::from(serial.wrapping_sub(now as u32) as i32))
}

/// A number that is spread evenly over names and types, and is always the same for one of them.
fn spread(owner: &Name, rtype: Rtype) -> u16 {
    // FNV-1a: nobody gains by choosing names that meet.
    let octets = owner.as_wire().iter().copied().chain(rtype.0.to_be_bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3));
    (hash >> 40) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_replaced_between_half_and_two_thirds_of_its_life() {
        let made = |now: u64| Made { algorithm: 13, original_ttl: 60, expiration: now + 1_200, inception: now, tag: 1 };
        let name = |n: u32| Name::parse(&format!("n{n}.example.")).expect("a name");
        let mut quarters = [0; 4];
        for n in 0..1_000 {
            let at = made(1_000_000).refresh_at(&name(n), Rtype::A) - 1_000_000;
            assert!((600..800).contains(&at), "{at}");
            quarters[(at as usize - 600) / 50] += 1;
        }
        assert!(quarters.iter().all(|count| (180..320).contains(count)), "{quarters:?}");
    }

    #[test]
    fn times_go_over_the_wrap_of_2106() {
        let now = (1_u64 << 32) + 10;
        assert_eq!((near(u32::MAX, now), near(20, now)), ((1 << 32) - 1, (1 << 32) + 20));
    }
}
