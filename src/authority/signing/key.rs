//! One key pair that signs (RFC 4034 2): made, or read from numbers of a key file.

use std::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256,
};

use super::algorithm::Algorithm;
use super::der;
use crate::record::Name;
use crate::validate::key_tag;

/// RFC 4034 2.1.1: a key of the zone.
const ZONE_FLAG: u16 = 256;
/// With the flag "secure entry point": a key that DS records may name.
const ENTRY_FLAG: u16 = 1;
const DIGEST_SHA256: u8 = 2;

/// What a key signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// The key set, and no other data.
    Ksk,
    /// All data but the key set.
    Zsk,
    /// Both (combined signing key).
    Csk,
}

impl Role {
    pub fn signs_keys(self) -> bool {
        self != Role::Zsk
    }

    pub fn signs_data(self) -> bool {
        self != Role::Ksk
    }

    /// The flags of its DNSKEY record.
    pub fn flags(self) -> u16 {
        if self.signs_keys() { ZONE_FLAG | ENTRY_FLAG } else { ZONE_FLAG }
    }

    pub fn word(self) -> &'static str {
        match self {
            Role::Ksk => "ksk",
            Role::Zsk => "zsk",
            Role::Csk => "csk",
        }
    }

    pub fn from_word(word: &str) -> Option<Role> {
        [Role::Ksk, Role::Zsk, Role::Csk].into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a key cannot be used. Holds nothing of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The library has refused the numbers.
    Rejected(Algorithm),
    /// The library could not make or use a key.
    Library,
    /// This word of a key file is missing or is no base 64.
    Field(&'static str),
    /// An algorithm that Cairn does not sign with.
    Algorithm(String),
    /// No format of key files that is known.
    Format,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyError::Rejected(algorithm) => write!(f, "found numbers that are no {algorithm} key"),
            KeyError::Library => f.write_str("the cryptographic library has failed"),
            KeyError::Field(field) => write!(f, "expected a line `{field}:` with a value in base 64"),
            KeyError::Algorithm(found) => {
                write!(f, "found the algorithm {found}, expected 8 (rsasha256), 13 (ecdsap256sha256), 14 (ecdsap384sha384) or 15 (ed25519)")
            }
            KeyError::Format => f.write_str("expected `Private-key-format: v1.3` or a PEM block `PRIVATE KEY`"),
        }
    }
}

impl std::error::Error for KeyError {}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The numbers of a private key, as key files hold them.
pub(super) enum Private {
    /// Scalar or seed.
    Number(Vec<u8>),
    /// Modulus, public exponent, private exponent, primes, exponents, coefficient.
    Rsa([Vec<u8>; 8]),
}

/// A key pair and its DNSKEY record.
pub struct SigningKey {
    pub algorithm: Algorithm,
    pub tag: u16,
    /// RDATA of the DNSKEY record.
    pub dnskey: Vec<u8>,
    pair: Pair,
}

impl SigningKey {
    pub fn generate(algorithm: Algorithm, flags: u16) -> Result<SigningKey, KeyError> {
        let library = |_| KeyError::Library;
        let pair = match algorithm {
            Algorithm::RsaSha256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).map_err(library)?),
            Algorithm::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().map_err(library)?),
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 => {
                Pair::Ecdsa(EcdsaKeyPair::generate(curve(algorithm)).map_err(library)?)
            }
        };
        SigningKey::of_pair(algorithm, flags, pair)
    }

    /// A key from the numbers of its file; the public half is computed where the file does not have it.
    pub(super) fn from_private(algorithm: Algorithm, flags: u16, private: &Private) -> Result<SigningKey, KeyError> {
        let rejected = KeyError::Rejected(algorithm);
        let pair = match (algorithm, private) {
            (Algorithm::RsaSha256, Private::Rsa(numbers)) => {
                Pair::Rsa(RsaKeyPair::from_der(&der::rsa_private_key(numbers)).map_err(|_| rejected)?)
            }
            (Algorithm::Ed25519, Private::Number(seed)) => Pair::Ed25519(Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| rejected)?),
            (Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384, Private::Number(scalar)) => {
                Pair::Ecdsa(ecdsa_of_scalar(algorithm, scalar).ok_or(rejected)?)
            }
            _ => return Err(rejected),
        };
        SigningKey::of_pair(algorithm, flags, pair)
    }

    /// A key in PKCS #8 (RFC 5208). The algorithm follows from the kind of key.
    pub(super) fn from_pkcs8(pkcs8: &[u8], flags: u16) -> Result<SigningKey, KeyError> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
            return SigningKey::of_pair(Algorithm::Ed25519, flags, Pair::Ed25519(pair));
        }
        for algorithm in [Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384] {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve(algorithm), pkcs8) {
                return SigningKey::of_pair(algorithm, flags, Pair::Ecdsa(pair));
            }
        }
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Rejected(Algorithm::RsaSha256))?;
        SigningKey::of_pair(Algorithm::RsaSha256, flags, Pair::Rsa(pair))
    }

    fn of_pair(algorithm: Algorithm, flags: u16, pair: Pair) -> Result<SigningKey, KeyError> {
        let mut dnskey = flags.to_be_bytes().to_vec();
        dnskey.extend_from_slice(&[3, algorithm.number()]);
        match &pair {
            Pair::Rsa(pair) => {
                // RFC 3110 2.
                let (e, n) = (pair.public_key().exponent(), pair.public_key().modulus());
                let (e, n) = (e.big_endian_without_leading_zero(), n.big_endian_without_leading_zero());
                match u8::try_from(e.len()) {
                    Ok(len) => dnskey.push(len),
                    Err(_) => dnskey.extend_from_slice(&[0, (e.len() >> 8) as u8, e.len() as u8]),
                }
                dnskey.extend_from_slice(e);
                dnskey.extend_from_slice(n);
            }
            // RFC 6605 4: without the octet that says "uncompressed".
            Pair::Ecdsa(pair) => dnskey.extend_from_slice(pair.public_key().as_ref().get(1..).unwrap_or_default()),
            Pair::Ed25519(pair) => dnskey.extend_from_slice(pair.public_key().as_ref()),
        }
        Ok(SigningKey { algorithm, tag: key_tag(&dnskey), dnskey, pair })
    }

    pub(super) fn private(&self) -> Result<Private, KeyError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Library)?;
                let [_, numbers @ ..] = der::rsa_numbers(der.as_ref()).ok_or(KeyError::Library)?;
                Ok(Private::Rsa(numbers))
            }
            Pair::Ecdsa(pair) => {
                let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(|_| KeyError::Library)?;
                Ok(Private::Number(scalar.as_ref().to_vec()))
            }
            Pair::Ed25519(pair) => {
                let seed = pair.seed().map_err(|_| KeyError::Library)?;
                let seed: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| KeyError::Library)?;
                Ok(Private::Number(seed.as_ref().to_vec()))
            }
        }
    }

    pub fn flags(&self) -> u16 {
        self.dnskey.first_chunk::<2>().map_or(0, |flags| u16::from_be_bytes(*flags))
    }

    /// The signature over a message, as RRSIG holds it.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let random = SystemRandom::new();
        Ok(match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| KeyError::Library)?;
                signature
            }
            Pair::Ecdsa(pair) => pair.sign(&random, message).map_err(|_| KeyError::Library)?.as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.try_sign(message).map_err(|_| KeyError::Library)?.as_ref().to_vec(),
        })
    }

    /// RDATA of the DS and CDS records that name this key (RFC 4034 5.1.4), with SHA-256 (RFC 8624 3.3).
    pub fn ds(&self, zone: &Name) -> Vec<u8> {
        let hash = digest(&SHA256, &[zone.as_wire(), &self.dnskey].concat());
        [&self.tag.to_be_bytes()[..], &[self.algorithm.number(), DIGEST_SHA256], hash.as_ref()].concat()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} {}", self.tag, self.algorithm)
    }
}

fn curve(algorithm: Algorithm) -> &'static EcdsaSigningAlgorithm {
    if algorithm == Algorithm::EcdsaP384Sha384 { &ECDSA_P384_SHA384_FIXED_SIGNING } else { &ECDSA_P256_SHA256_FIXED_SIGNING }
}

fn ecdsa_of_scalar(algorithm: Algorithm, scalar: &[u8]) -> Option<EcdsaKeyPair> {
    let (group, len) =
        if algorithm == Algorithm::EcdsaP384Sha384 { (&agreement::ECDH_P384, 48_usize) } else { (&agreement::ECDH_P256, 32) };
    // Some programs leave leading zeros out.
    let missing = len.checked_sub(scalar.len()).filter(|missing| *missing < len)?;
    let scalar = [&vec![0; missing][..], scalar].concat();
    let public = agreement::PrivateKey::from_private_key(group, &scalar).ok()?.compute_public_key().ok()?;
    EcdsaKeyPair::from_private_key_and_public_key(curve(algorithm), &scalar, public.as_ref()).ok()
}
