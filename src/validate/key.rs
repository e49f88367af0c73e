//! One DNSKEY, parsed for use (RFC 4034 2), and the algorithms that are supported.
//!
//! RSA as in RFC 3110 and 5702, ECDSA as in RFC 6605, Ed25519 as in RFC 8080; the recommendations are those of RFC 9904 and
//! 9905. Ed448, DSA and GOST are not supported, so a zone that is signed by them alone is insecure.

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};
use smallvec::SmallVec;

use super::budget::Cost;
use super::reason::Insecurity;
use super::small_rsa::SmallRsa;

/// How signatures that use SHA-1 are treated: algorithms 5 and 7 (RFC 9905 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sha1Policy {
    /// As signatures of an unknown algorithm.
    #[default]
    Insecure,
    Validate,
}

pub(super) fn algorithm_supported(algorithm: u8, sha1: Sha1Policy) -> bool {
    match algorithm {
        5 | 7 => sha1 == Sha1Policy::Validate,
        8 | 10 | 13 | 14 | 15 => true,
        _ => false,
    }
}

/// RFC 5702 2: RSASHA512 keys have at least 1024 bits; shorter ones of any kind can be factored.
const RSA_BITS_MIN: usize = 1024;
/// RFC 3110 2, RFC 5702 2.
const RSA_BITS_MAX: usize = 4096;

const FLAG_ZONE: u16 = 0x0100;
const FLAG_REVOKE: u16 = 0x0080;
const FLAG_SEP: u16 = 0x0001;

/// The fields of a DNSKEY's RDATA.
#[derive(Clone, Copy)]
pub(super) struct DnskeyView<'a> {
    pub(super) flags: u16,
    pub(super) protocol: u8,
    pub(super) algorithm: u8,
    pub(super) key_tag: u16,
    pub(super) public: &'a [u8],
    pub(super) rdata: &'a [u8],
}

impl<'a> DnskeyView<'a> {
    pub(super) fn read(rdata: &'a [u8]) -> Option<DnskeyView<'a>> {
        let (&[high, low, protocol, algorithm], public) = rdata.split_first_chunk::<4>()?;
        let flags = u16::from_be_bytes([high, low]);
        Some(DnskeyView { flags, protocol, algorithm, key_tag: key_tag(rdata), public, rdata })
    }

    /// RFC 4034 2.1.1 and 2.1.2.
    pub(super) fn is_zone_key(&self) -> bool {
        self.flags & FLAG_ZONE != 0 && self.protocol == 3
    }

    /// RFC 5011 2.1: a revoked key proves nothing but its own revocation.
    pub(super) fn is_revoked(&self) -> bool {
        self.flags & FLAG_REVOKE != 0
    }

    /// RFC 4034 2.1.1: a key meant to sign other keys.
    pub(super) fn is_entry_point(&self) -> bool {
        self.flags & FLAG_SEP != 0
    }

    pub(super) fn parse(&self, sha1: Sha1Policy) -> Result<ParsedKey, KeyFault> {
        if !algorithm_supported(self.algorithm, sha1) {
            return Err(KeyFault::Unsupported(Insecurity::UnsupportedAlgorithm(self.algorithm)));
        }
        let public = self.parse_public()?;
        Ok(ParsedKey { flags: self.flags, algorithm: self.algorithm, key_tag: self.key_tag, check_cost: self.check_cost(), public })
    }

    /// The cost of one check, apart from hashing the message; measured on the core that `WorkBudget` names.
    fn check_cost(&self) -> Cost {
        match self.algorithm {
            13 => Cost::us(37),
            14 => Cost::us(145),
            15 => Cost::us(26),
            _ => rsa_components(self.public).map_or(Cost::default(), |(e, n)| rsa_cost(e, n)),
        }
    }

    /// The cost of parsing the key.
    pub(super) fn parse_cost(&self) -> Cost {
        Cost::us(1) + Cost::of_bytes(self.public.len())
    }

    fn parse_public(&self) -> Result<Public, KeyFault> {
        let parsed = match self.algorithm {
            5 | 7 => return self.parse_rsa(&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
            8 => return self.parse_rsa(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
            10 => return self.parse_rsa(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY),
            13 => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, self.sec1_point(64)?),
            14 => ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_ASN1, self.sec1_point(96)?),
            15 if self.public.len() == 32 => ParsedPublicKey::new(&signature::ED25519, self.public),
            _ => return Err(KeyFault::Malformed),
        };
        let key = parsed.map_err(|_| KeyFault::Malformed)?;
        Ok(match self.algorithm {
            13 => Public::Ecdsa { key, number_bytes: 32 },
            14 => Public::Ecdsa { key, number_bytes: 48 },
            _ => Public::Library(key),
        })
    }

    /// RFC 6605 4: the point, to which SEC 1 adds an octet that means "uncompressed".
    fn sec1_point(&self, len: usize) -> Result<Vec<u8>, KeyFault> {
        if self.public.len() != len {
            return Err(KeyFault::Malformed);
        }
        Ok([&[4], self.public].concat())
    }

    fn parse_rsa(&self, parameters: &'static RsaParameters) -> Result<Public, KeyFault> {
        let (e, n) = rsa_components(self.public).ok_or(KeyFault::Malformed)?;
        let unsupported = KeyFault::Unsupported(Insecurity::UnsupportedKeySize { algorithm: self.algorithm, key_tag: self.key_tag });
        let bits = n.len() * 8 - n.first().map_or(0, |octet| octet.leading_zeros() as usize);
        // A large exponent would let the sender choose the cost of each check; the library refuses more than 33 bits.
        let small_exponent = e.len() < 5 || e.len() == 5 && e[0] == 1;
        if bits > RSA_BITS_MAX || !small_exponent {
            return Err(unsupported);
        }
        if bits >= RSA_BITS_MIN {
            let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters);
            return parsed.map(Public::Library).map_err(|_| unsupported);
        }
        // Shorter keys are accepted only with SHA-1, whose policy was checked before.
        let small = if matches!(self.algorithm, 5 | 7) { SmallRsa::new(n, e) } else { None };
        small.map(|small| Public::SmallRsa(Box::new(small))).ok_or(unsupported)
    }
}

/// RFC 3110 2: exponent and modulus, without leading zeros.
fn rsa_components(public: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&short, rest) = public.split_first()?;
    let (len, rest) = match short {
        0 => {
            let (len, rest) = rest.split_first_chunk::<2>()?;
            (u16::from_be_bytes(*len) as usize, rest)
        }
        len => (len as usize, rest),
    };
    let (e, n) = rest.split_at_checked(len)?;
    let (e, n) = (without_leading_zeros(e), without_leading_zeros(n));
    (!e.is_empty() && !n.is_empty()).then_some((e, n))
}

/// One squaring for each bit of the exponent and one product for each set bit; each costs the square of the modulus' length: 13
/// µs for 2048 bits and the usual exponent 65537. A public exponent may have 33 bits, all of them set.
fn rsa_cost(e: &[u8], n: &[u8]) -> Cost {
    let bits = |bytes: &[u8]| (bytes.len() * 8) as u64;
    let steps = bits(e) + e.iter().map(|octet| u64::from(octet.count_ones())).sum::<u64>();
    // The library refuses short keys, so the arithmetic for them is our own, which is slower.
    let plainer = if bits(n) < RSA_BITS_MIN as u64 { 4 } else { 1 };
    Cost::us(1 + plainer * bits(n) * bits(n) * steps / 9_000_000)
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|octet| **octet == 0).count();
    &bytes[zeros..]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyFault {
    Malformed,
    /// As if the key's algorithm were unknown (RFC 4035 5.2).
    Unsupported(Insecurity),
}

/// A key that is ready to check signatures.
#[derive(Clone)]
pub struct ParsedKey {
    pub flags: u16,
    pub algorithm: u8,
    pub key_tag: u16,
    pub(super) check_cost: Cost,
    public: Public,
}

#[derive(Clone)]
enum Public {
    Library(ParsedPublicKey),
    /// Each of the signature's two numbers has this many octets (RFC 6605 4).
    Ecdsa {
        key: ParsedPublicKey,
        number_bytes: usize,
    },
    SmallRsa(Box<SmallRsa>),
}

impl ParsedKey {
    pub(super) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Library(key) => key.verify_sig(message, signature).is_ok(),
            Public::Ecdsa { key, number_bytes } => {
                as_der(signature, *number_bytes).is_some_and(|der| key.verify_sig(message, &der).is_ok())
            }
            Public::SmallRsa(key) => key.fits(message, signature),
        }
    }
}

/// A sequence of two integers of 48 octets, each with a leading zero at most: every length fits in one octet.
const DER_BYTES_MAX: usize = 2 + 2 * (2 + 1 + 48);

/// An ECDSA signature in DER. The library accepts the plain form too, but converts it in a much slower way.
fn as_der(signature: &[u8], number_bytes: usize) -> Option<SmallVec<[u8; DER_BYTES_MAX]>> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    if signature.len() != 2 * number_bytes {
        return None;
    }
    let mut der = SmallVec::from_slice(&[SEQUENCE, 0]);
    for number in signature.chunks(number_bytes) {
        let number = without_leading_zeros(number);
        // A leading bit would be a sign, so a zero octet is added; zero itself is one octet.
        let padding = number.first().is_none_or(|octet| octet & 0x80 != 0);
        der.extend_from_slice(&[INTEGER, number.len() as u8 + u8::from(padding)]);
        der.extend(padding.then_some(0));
        der.extend_from_slice(number);
    }
    der[1] = der.len() as u8 - 2;
    Some(der)
}

impl std::fmt::Debug for ParsedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {} algorithm {} flags {}", self.key_tag, self.algorithm, self.flags)
    }
}

/// RFC 4034 appendix B (B.1, for algorithm 1, concerns no supported key).
pub fn key_tag(rdata: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in rdata.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    }
    (sum + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    fn rsa(n_len: usize, first: u8, e: &[u8]) -> Vec<u8> {
        let mut rdata = vec![1, 0, 3, 8, e.len() as u8];
        rdata.extend_from_slice(e);
        rdata.push(first);
        rdata.resize(rdata.len() + n_len - 1, 0xff);
        rdata
    }

    fn parse(rdata: &[u8]) -> Result<u8, KeyFault> {
        DnskeyView::read(rdata).ok_or(KeyFault::Malformed)?.parse(Sha1Policy::Insecure).map(|key| key.algorithm)
    }

    #[test]
    fn what_a_check_costs() {
        let of = |rdata: &[u8]| DnskeyView::read(rdata).expect("readable").check_cost().as_us();
        let modulus = |bits: usize, e: &[u8]| of(&rsa(bits / 8, 0xff, e));
        let usual = [1, 0, 1];
        assert_eq!([modulus(1024, &usual), modulus(2048, &usual), modulus(4096, &usual)], [4, 13, 49]);
        assert_eq!(modulus(2048, &[3]), 5);
        assert!(modulus(4096, &[1, 0xff, 0xff, 0xff, 0xff]) > 2 * modulus(4096, &usual), "a dear exponent is seen");
        let slice = crate::limits::Limits::default().cold_slice_us;
        let dearest = [modulus(4096, &[1, 0xff, 0xff, 0xff, 0xff]), modulus(1016, &[1, 0xff, 0xff, 0xff, 0xff]), of(&[1, 0, 3, 14])];
        assert!(dearest.iter().all(|us| *us < slice), "{dearest:?}: no single check makes others wait longer");
        assert_eq!([13, 14, 15].map(|algorithm| of(&[1, 0, 3, algorithm])), [37, 145, 26]);
    }

    #[test]
    fn signatures_as_the_library_wants_them() {
        let rows: &[(&[u8], &[u8])] = &[
            (&[1, 2, 3, 4], &[0x30, 8, 2, 2, 1, 2, 2, 2, 3, 4]),
            (&[0, 2, 0x80, 4], &[0x30, 8, 2, 1, 2, 2, 3, 0, 0x80, 4]),
            (&[0, 0xff, 0, 0], &[0x30, 7, 2, 2, 0, 0xff, 2, 1, 0]),
        ];
        for (plain, der) in rows {
            assert_eq!(as_der(plain, 2).as_deref(), Some(*der), "{plain:?}");
        }
        for len in [0, 3, 5, 8] {
            assert_eq!(as_der(&vec![1; len], 2), None);
        }
        assert_eq!(as_der(&[0xff; 96], 48).map(|der| der.len()), Some(DER_BYTES_MAX));
    }

    /// Numbers that begin with zeros, which one signature in 128 has, are right too; another length never is.
    #[test]
    fn every_p256_signature_fits() {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers");
        let rdata = [&[1, 0, 3, 13][..], &pair.public_key().as_ref()[1..]].concat();
        let key = DnskeyView::read(&rdata).and_then(|key| key.parse(Sha1Policy::Insecure).ok()).expect("supported");
        for count in 0..300u32 {
            let message = count.to_be_bytes();
            let signature = pair.sign(&random, &message).expect("random numbers").as_ref().to_vec();
            assert!(key.fits(&message, &signature));
            assert!(!key.fits(b"other", &signature));
            let (r, s) = signature.split_at(32);
            let longer = [&[0; 16][..], r, &[0; 16], s].concat();
            assert!(!key.fits(&message, &longer) && !key.fits(&message, &signature[..63]));
        }
        assert!(!key.fits(b"", &[0; 64]));
    }

    #[test]
    fn sizes_that_are_not_supported_are_not_malformed() {
        let unsupported =
            |rdata: &[u8]| Err(KeyFault::Unsupported(Insecurity::UnsupportedKeySize { algorithm: 8, key_tag: key_tag(rdata) }));
        let (small, large) = (rsa(127, 0xff, &[3]), rsa(513, 0x01, &[3]));
        assert_eq!(parse(&small), unsupported(&small));
        assert_eq!(parse(&large), unsupported(&large));
        let exponent = rsa(128, 0xff, &[0xff; 9]);
        assert_eq!(parse(&exponent), unsupported(&exponent));
        assert_eq!(parse(&rsa(128, 0x80, &[1, 0, 1])), Ok(8));
        assert_eq!(parse(&rsa(512, 0xff, &[1, 0, 1])), Ok(8));
        assert_eq!(parse(&[1, 0, 3, 8, 200, 1]), Err(KeyFault::Malformed));
        assert_eq!(parse(&[1, 0, 3, 8]), Err(KeyFault::Malformed));
        assert_eq!(parse(&[1, 0, 3, 13, 1, 2]), Err(KeyFault::Malformed));
        assert_eq!(parse(&[[1, 0, 3, 13].as_slice(), &[7; 64]].concat()), Err(KeyFault::Malformed), "no point of the curve");
        assert_eq!(parse(&[1, 0, 3]), Err(KeyFault::Malformed));
        for unknown in [0, 1, 3, 12, 16, 253] {
            let fault = KeyFault::Unsupported(Insecurity::UnsupportedAlgorithm(unknown));
            assert_eq!(parse(&[1, 0, 3, unknown, 9]), Err(fault));
        }
    }
}
