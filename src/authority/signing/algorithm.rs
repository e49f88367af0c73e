//! The algorithms that Cairn signs with: those that RFC 8624 3.1 recommends, RSASHA256 for zones that bring such a key, and P-384.

use std::fmt;

/// An algorithm of DNSKEY and RRSIG records, by its number in the IANA registry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Algorithm {
    /// RFC 5702; keys of 2048 bits.
    RsaSha256 = 8,
    /// RFC 6605.
    EcdsaP256Sha256 = 13,
    /// RFC 6605.
    EcdsaP384Sha384 = 14,
    /// RFC 8080.
    Ed25519 = 15,
}

impl Algorithm {
    pub const ALL: [Algorithm; 4] = [Algorithm::RsaSha256, Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384, Algorithm::Ed25519];

    pub fn number(self) -> u8 {
        self as u8
    }

    pub fn from_number(number: u8) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.number() == number)
    }

    /// As the configuration writes it.
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::RsaSha256 => "rsasha256",
            Algorithm::EcdsaP256Sha256 => "ecdsap256sha256",
            Algorithm::EcdsaP384Sha384 => "ecdsap384sha384",
            Algorithm::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
