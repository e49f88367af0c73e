//! Why data is bogus or insecure: a closed set of reasons, each with its extended DNS error (RFC 8914) and a sentence that
//! names the record, the key tag, the algorithm and the dates.

use std::fmt;

use super::budget::Bound;
use crate::record::{Ede, EdeCode, Name, Rtype};

/// The broken link: which RRset, and what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    pub name: Name,
    pub rtype: Rtype,
    pub fault: Fault,
}

/// The fields of an RRSIG. Dates are seconds since 1970, unfolded from serial arithmetic (RFC 4034 3.1.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signed {
    pub key_tag: u16,
    pub algorithm: u8,
    pub inception: u64,
    pub expiration: u64,
}

/// Ordered by how far the check came: if several signatures are at fault, the last fault in this order is reported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    NoSignature,
    /// An RRSIG, DNSKEY or DS whose RDATA cannot be read.
    Malformed,
    /// RFC 4035 5.3.1: the signer must be the zone that holds the set.
    Signer {
        signer: Box<Name>,
        zone: Box<Name>,
    },
    /// RFC 4034 3.1.3: Labels must lie between the signer's label count and the owner's.
    Labels {
        key_tag: u16,
        labels: u8,
        least: usize,
        most: usize,
    },
    NoKey(Signed),
    ExpiredBeforeValid(Signed),
    NotYetValid(Signed),
    Expired(Signed),
    BadSignature(Signed),
    /// There is a DS RRset or an anchor, but no DNSKEY of the zone matches it.
    NoDnskeyForDs {
        key_tag: u16,
        algorithm: u8,
    },
    /// The key in use that the DS RRset names needs SHA-1, which the configuration does not accept. The other key is missing
    /// from the DNSKEY RRset, or has not signed it.
    Sha1KeyUnused {
        key_tag: u16,
        algorithm: u8,
        unused_key_tag: u16,
        unused_algorithm: u8,
    },
    NoZoneKeyBit {
        key_tag: u16,
        algorithm: u8,
    },
    NoProof(Claim),
    /// The SOA of a denial belongs to another zone than its proof.
    ForeignSoa {
        zone: Box<Name>,
    },
    TooMuchWork(Bound),
}

/// What NSEC or NSEC3 records should have proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    NameError,
    NoData,
    /// For a wildcard answer: no closer name exists.
    NoCloserName,
    NoDs,
}

impl Reason {
    /// The fault of one RRset.
    pub fn new(name: &Name, rtype: Rtype, fault: Fault) -> Reason {
        Reason { name: name.clone(), rtype, fault }
    }

    /// The extended error for clients: code and sentence.
    pub fn ede(&self) -> Ede {
        Ede::new(self.fault.ede_code(), self.to_string())
    }
}

impl Fault {
    /// The code of RFC 8914 that is closest to the fault.
    pub fn ede_code(&self) -> EdeCode {
        match self {
            Fault::NoSignature => EdeCode::RRSIGS_MISSING,
            Fault::NoKey(_) | Fault::NoDnskeyForDs { .. } | Fault::Sha1KeyUnused { .. } => EdeCode::DNSKEY_MISSING,
            Fault::ExpiredBeforeValid(_) => EdeCode::SIGNATURE_EXPIRED_BEFORE_VALID,
            Fault::NotYetValid(_) => EdeCode::SIGNATURE_NOT_YET_VALID,
            Fault::Expired(_) => EdeCode::SIGNATURE_EXPIRED,
            Fault::NoZoneKeyBit { .. } => EdeCode::NO_ZONE_KEY_BIT,
            Fault::NoProof(_) => EdeCode::NSEC_MISSING,
            Fault::Malformed
            | Fault::Signer { .. }
            | Fault::Labels { .. }
            | Fault::BadSignature(_)
            | Fault::ForeignSoa { .. }
            | Fault::TooMuchWork(_) => EdeCode::DNSSEC_BOGUS,
        }
    }

    /// How far the check came before it found this fault.
    pub(super) fn depth(&self) -> u8 {
        match self {
            Fault::NoSignature => 0,
            Fault::Malformed => 1,
            Fault::Signer { .. } => 2,
            Fault::Labels { .. } => 3,
            Fault::NoKey(_) => 4,
            Fault::ExpiredBeforeValid(_) => 5,
            Fault::NotYetValid(_) => 6,
            Fault::Expired(_) => 7,
            Fault::BadSignature(_) => 8,
            Fault::NoDnskeyForDs { .. }
            | Fault::Sha1KeyUnused { .. }
            | Fault::NoZoneKeyBit { .. }
            | Fault::NoProof(_)
            | Fault::ForeignSoa { .. } => 9,
            Fault::TooMuchWork(_) => 10,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { name, rtype, fault } = self;
        match fault {
            Fault::NoSignature => write!(f, "{name} {rtype} has no signature, but its zone is signed"),
            Fault::Malformed => write!(f, "a DNSSEC record for {name} {rtype} cannot be read"),
            Fault::Signer { signer, zone } => {
                write!(f, "the signature over {name} {rtype} names {signer} as signer, where {zone} must sign")
            }
            Fault::Labels { key_tag, labels, least, most } => write!(
                f,
                "the signature over {name} {rtype} with key tag {key_tag} has a Labels field of {labels}, which must be from {least} to {most}"
            ),
            // With the other setting of `recursion.sha1` the key would have been read.
            Fault::NoKey(signed) if matches!(signed.algorithm, 5 | 7) => write!(
                f,
                "no DNSKEY of the zone fits the signature over {name} {rtype}, which rests on SHA-1 (used only with \
                 `sha1 = \"validate\"`): {signed}"
            ),
            Fault::NoKey(signed) => write!(f, "no DNSKEY of the zone fits the signature over {name} {rtype}: {signed}"),
            Fault::ExpiredBeforeValid(signed) => {
                write!(f, "the signature over {name} {rtype} expires before it becomes valid: {signed}")
            }
            Fault::NotYetValid(signed) => write!(f, "the signature over {name} {rtype} is not valid yet: {signed}"),
            Fault::Expired(signed) => write!(f, "the signature over {name} {rtype} has expired: {signed}"),
            Fault::BadSignature(signed) => write!(f, "the signature over {name} {rtype} does not fit the data: {signed}"),
            Fault::NoDnskeyForDs { key_tag, algorithm } => write!(
                f,
                "{name} has no DNSKEY that fits its DS record or trust anchor: key tag {key_tag}, algorithm {}",
                AlgorithmName(*algorithm)
            ),
            Fault::Sha1KeyUnused { key_tag, algorithm, unused_key_tag, unused_algorithm } => write!(
                f,
                "`sha1` does not accept key {unused_key_tag} (algorithm {unused_algorithm}) of {name}, and no DNSKEY set is signed by the \
                 standby key {key_tag} (algorithm {algorithm})"
            ),
            Fault::NoZoneKeyBit { key_tag, algorithm } => {
                write!(f, "the DNSKEY of {name} with key tag {key_tag}, algorithm {} is not a zone key", AlgorithmName(*algorithm))
            }
            Fault::NoProof(claim) => match claim {
                Claim::NameError => write!(f, "no NSEC or NSEC3 record proves that {name} does not exist"),
                Claim::NoData => write!(f, "no NSEC or NSEC3 record proves that {name} has no {rtype} record"),
                Claim::NoCloserName => {
                    write!(f, "{name} {rtype} was made from a wildcard, and no NSEC or NSEC3 record proves that no closer name exists")
                }
                Claim::NoDs => write!(f, "no NSEC or NSEC3 record proves that the delegation of {name} has no DS record"),
            },
            Fault::ForeignSoa { zone } => write!(f, "the SOA of {name} stands beside a denial by the zone {zone}"),
            Fault::TooMuchWork(bound) => write!(f, "validation of {name} {rtype} was given up: too many {bound}"),
        }
    }
}

impl fmt::Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "key tag {}, algorithm {}, valid from {} to {}",
            self.key_tag,
            AlgorithmName(self.algorithm),
            Date(self.inception),
            Date(self.expiration)
        )
    }
}

/// Why there is nothing to prove: the data lies outside every chain of trust, or the chain ends here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insecurity {
    /// The parent proved that there is no DS record.
    NoDs,
    /// Names without NSEC3 records may exist here (RFC 5155 6 and 9.2).
    OptOut,
    UnsupportedAlgorithm(u8),
    UnsupportedDigest(u8),
    UnsupportedKeySize {
        algorithm: u8,
        key_tag: u16,
    },
    /// RFC 9276 3.2.
    Nsec3Iterations(u16),
    /// RRSIG records are not signed (RFC 4035 2.2).
    SignatureRecords,
}

impl Insecurity {
    /// The extended error for clients; none where insecure data is the ordinary case.
    pub fn ede(&self) -> Option<Ede> {
        let code = match self {
            Insecurity::NoDs | Insecurity::OptOut | Insecurity::SignatureRecords => return None,
            Insecurity::UnsupportedAlgorithm(_) | Insecurity::UnsupportedKeySize { .. } => EdeCode::UNSUPPORTED_DNSKEY_ALGORITHM,
            Insecurity::UnsupportedDigest(_) => EdeCode::UNSUPPORTED_DS_DIGEST,
            Insecurity::Nsec3Iterations(_) => EdeCode::UNSUPPORTED_NSEC3_ITERATIONS,
        };
        Some(Ede::new(code, self.to_string()))
    }
}

impl fmt::Display for Insecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Insecurity::NoDs => f.write_str("the parent zone proves that there is no DS record"),
            Insecurity::OptOut => f.write_str("the NSEC3 record has the opt-out flag, so unsigned delegations may exist"),
            Insecurity::UnsupportedAlgorithm(number) => {
                write!(f, "DNSSEC algorithm {} is not supported or not accepted", AlgorithmName(*number))
            }
            Insecurity::UnsupportedDigest(number) => write!(f, "DS digest type {number} is not supported"),
            Insecurity::UnsupportedKeySize { algorithm, key_tag } => {
                write!(f, "the size of the key with tag {key_tag}, algorithm {} is not supported", AlgorithmName(*algorithm))
            }
            Insecurity::Nsec3Iterations(count) => write!(f, "NSEC3 with {count} iterations, which is more than are accepted"),
            Insecurity::SignatureRecords => f.write_str("RRSIG records are not signed"),
        }
    }
}

/// Number and mnemonic of the IANA registry, `8 (RSASHA256)`.
pub struct AlgorithmName(pub u8);

impl fmt::Display for AlgorithmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mnemonic = match self.0 {
            1 => "RSAMD5",
            3 => "DSA",
            5 => "RSASHA1",
            6 => "DSA-NSEC3-SHA1",
            7 => "RSASHA1-NSEC3-SHA1",
            8 => "RSASHA256",
            10 => "RSASHA512",
            12 => "ECC-GOST",
            13 => "ECDSAP256SHA256",
            14 => "ECDSAP384SHA384",
            15 => "ED25519",
            16 => "ED448",
            other => return write!(f, "{other}"),
        };
        write!(f, "{} ({mnemonic})", self.0)
    }
}

/// Seconds since 1970 as `2026-08-03 12:00:00 UTC`.
pub struct Date(pub u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0 % 86_400;
        write!(f, "{} {:02}:{:02}:{:02} UTC", Day(self.0), second / 3_600, second / 60 % 60, second % 60)
    }
}

/// Seconds since 1970 as `2026-08-03`, in UTC.
pub struct Day(pub u64);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Counts days from 1 March of year 0, in eras of 400 years, so that leap days fall at the end of a year.
        let shifted = self.0 / 86_400 + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_for_people() {
        let rows = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_785_758_399, "2026-08-03 11:59:59 UTC"),
            (4_294_967_295, "2106-02-07 06:28:15 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ];
        for (seconds, text) in rows {
            assert_eq!(Date(seconds).to_string(), text);
        }
    }

    #[test]
    fn a_sentence_names_record_key_and_dates() {
        let signed = Signed { key_tag: 20326, algorithm: 8, inception: 0, expiration: 86_400 };
        let why = Reason::new(&Name::root(), Rtype::DNSKEY, Fault::Expired(signed));
        assert_eq!(
            why.ede().to_string(),
            "EDE 7 (Signature Expired): the signature over . DNSKEY has expired: key tag 20326, algorithm 8 (RSASHA256), \
             valid from 1970-01-01 00:00:00 UTC to 1970-01-02 00:00:00 UTC"
        );
    }
}
