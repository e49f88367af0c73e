//! RSA with SHA-1 and keys of 512 to 1023 bits, which RFC 3110 allows and the cryptographic library refuses.
//!
//! It is used only if the operator accepts SHA-1: such keys can be factored, and are as weak as SHA-1. Only public numbers are
//! involved, so constant time is not needed. PKCS #1 v1.5 as in RFC 8017 8.2.2: the expected block is built and compared as a
//! whole, so that no padding has to be parsed.

use std::cmp::Ordering;

use aws_lc_rs::digest;

/// 64-bit limbs of the largest modulus, 1023 bits.
const LIMBS_MAX: usize = 16;

/// DigestInfo of SHA-1 (RFC 8017 9.2).
const SHA1_PREFIX: [u8; 15] = [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];

/// Least significant limb first; limbs above the modulus are zero.
type Number = [u64; LIMBS_MAX];

#[derive(Clone)]
pub(super) struct SmallRsa {
    modulus: Number,
    limbs: usize,
    bytes: usize,
    exponent: u64,
    /// For Montgomery's method: -1/n modulo 2^64, and R^2 modulo n.
    inverse: u64,
    square: Number,
}

impl SmallRsa {
    /// From modulus and exponent without leading zeros. None unless the modulus is odd and has 512 to 1023 bits.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Option<SmallRsa> {
        let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
        let odd = modulus.last()? & 1 == 1;
        if !(512..1024).contains(&bits) || !odd || exponent.len() > 8 {
            return None;
        }
        let number = number(modulus)?;
        let limbs = modulus.len().div_ceil(8);
        let exponent = exponent.iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
        let mut key =
            SmallRsa { modulus: number, limbs, bytes: modulus.len(), exponent, inverse: inverse(number[0]), square: [0; LIMBS_MAX] };
        key.square = key.power_of_two(2 * 64 * limbs);
        Some(key)
    }

    pub(super) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(signature) = number(signature).filter(|_| signature.len() == self.bytes) else { return false };
        if self.compare(&signature) != Ordering::Less {
            return false;
        }
        number(&self.expected_block(message)).is_some_and(|expected| self.power(&signature) == expected)
    }

    /// RFC 8017 9.2.
    fn expected_block(&self, message: &[u8]) -> Vec<u8> {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
        let mut block = vec![0, 1];
        block.resize(self.bytes - SHA1_PREFIX.len() - digest.as_ref().len() - 1, 0xff);
        block.push(0);
        block.extend_from_slice(&SHA1_PREFIX);
        block.extend_from_slice(digest.as_ref());
        block
    }

    fn power(&self, base: &Number) -> Number {
        let base = self.multiply(base, &self.square);
        let mut one = [0; LIMBS_MAX];
        one[0] = 1;
        let mut result = self.multiply(&one, &self.square);
        for bit in (0..u64::BITS - self.exponent.leading_zeros()).rev() {
            result = self.multiply(&result, &result);
            if self.exponent >> bit & 1 == 1 {
                result = self.multiply(&result, &base);
            }
        }
        self.multiply(&result, &one)
    }

    /// a * b / R modulo n (Montgomery), limb by limb.
    fn multiply(&self, a: &Number, b: &Number) -> Number {
        let mut sum = [0u64; LIMBS_MAX + 2];
        for limb in &b[..self.limbs] {
            self.add_product(&mut sum, a, *limb);
            let factor = sum[0].wrapping_mul(self.inverse);
            self.add_product(&mut sum, &self.modulus, factor);
            // The lowest limb is zero now: divide by 2^64.
            sum.copy_within(1.., 0);
            sum[LIMBS_MAX + 1] = 0;
        }
        let mut result = [0; LIMBS_MAX];
        result[..self.limbs].copy_from_slice(&sum[..self.limbs]);
        if sum[self.limbs] != 0 || self.compare(&result) != Ordering::Less {
            self.subtract_modulus(&mut result);
        }
        result
    }

    fn add_product(&self, sum: &mut [u64; LIMBS_MAX + 2], number: &Number, factor: u64) {
        let mut carry = 0u128;
        for at in 0..self.limbs {
            carry += u128::from(number[at]) * u128::from(factor) + u128::from(sum[at]);
            sum[at] = carry as u64;
            carry >>= 64;
        }
        carry += u128::from(sum[self.limbs]);
        sum[self.limbs] = carry as u64;
        sum[self.limbs + 1] = sum[self.limbs + 1].wrapping_add((carry >> 64) as u64);
    }

    fn power_of_two(&self, exponent: usize) -> Number {
        let mut result = [0; LIMBS_MAX];
        result[0] = 1;
        for _ in 0..exponent {
            let mut carry = 0;
            for limb in &mut result[..self.limbs] {
                (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
            }
            if carry != 0 || self.compare(&result) != Ordering::Less {
                self.subtract_modulus(&mut result);
            }
        }
        result
    }

    fn subtract_modulus(&self, number: &mut Number) {
        let mut borrow = false;
        for (limb, modulus) in number.iter_mut().zip(&self.modulus).take(self.limbs) {
            let (once, first) = limb.overflowing_sub(*modulus);
            let (twice, second) = once.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (twice, first || second);
        }
    }

    /// Compares the number with the modulus.
    fn compare(&self, number: &Number) -> Ordering {
        number.iter().rev().cmp(self.modulus.iter().rev())
    }
}

/// From big-endian octets; `None` if it does not fit.
fn number(bytes: &[u8]) -> Option<Number> {
    let mut number = [0; LIMBS_MAX];
    for (limb, chunk) in bytes.rchunks(8).enumerate() {
        *number.get_mut(limb)? = chunk.iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
    }
    Some(number)
}

/// -1/n modulo 2^64 by Newton's iteration: each round doubles the number of correct bits. `n` is odd.
fn inverse(n: u64) -> u64 {
    let mut x = n;
    for _ in 0..6 {
        x = x.wrapping_mul(2u64.wrapping_sub(n.wrapping_mul(x)));
    }
    x.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::super::budget::WorkBudget;
    use super::super::keys::verify_set;
    use super::super::rrsig::Now;
    use super::super::test_signer::{Vectors, date, keys_of, name};
    use super::*;
    use crate::record::Rtype;

    #[test]
    fn published_signatures_with_512_bits() {
        let vectors = Vectors::of_rfc_5155();
        let dnskeys = vectors.get("example.", Rtype::DNSKEY);
        let now = u64::from(date("20100101000000"));
        let keys = keys_of(&name("example."), &dnskeys, dnskeys.data.iter().nth(1).expect("two keys"), now);
        let good = vectors.get("example.", Rtype::SOA);
        assert!(verify_set(&good, &keys, Now::At(now), &mut WorkBudget::default()).is_ok());
        let length = good.sigs.first().expect("one").len();
        for at in [length - 64, length - 33, length - 1] {
            let mut bad = good.clone();
            let mut sig = good.sigs.first().expect("one").to_vec();
            sig[at] ^= 1;
            bad.sigs = [&sig[..]].into_iter().collect();
            assert!(verify_set(&bad, &keys, Now::At(now), &mut WorkBudget::default()).is_err(), "{at}");
        }
    }

    #[test]
    fn numbers_that_are_no_keys() {
        let odd = |len: usize| vec![0xff; len];
        assert!(SmallRsa::new(&odd(64), &[3]).is_some() && SmallRsa::new(&odd(127), &[3]).is_some());
        assert!(SmallRsa::new(&odd(63), &[3]).is_none() && SmallRsa::new(&odd(128), &[3]).is_none());
        assert!(SmallRsa::new(&[&odd(63)[..], &[2]].concat(), &[3]).is_none(), "even");
        let key = SmallRsa::new(&odd(64), &[3]).expect("a key");
        assert!(!key.fits(b"x", &odd(64)), "the modulus itself");
        assert!(!key.fits(b"x", &odd(63)) && !key.fits(b"x", &[0; 65]) && !key.fits(b"x", &[0; 64]) && !key.fits(b"x", &[]));
    }

    /// n = 2^512 - 1 is odd; modulo it, 2^k to the power e is 2^(k e mod 512): known without arithmetic.
    #[test]
    fn powers_of_two_modulo_a_mersenne_number() {
        for (exponent, shift) in [(3u8, 200usize), (5, 511), (17, 1), (255, 300)] {
            let key = SmallRsa::new(&[0xff; 64], &[exponent]).expect("a key");
            let at = |bit: usize| {
                let mut number = [0; LIMBS_MAX];
                number[bit / 64] = 1 << (bit % 64);
                number
            };
            assert_eq!(key.power(&at(shift)), at(shift * usize::from(exponent) % 512), "{shift} {exponent}");
        }
    }
}
