//! Extended DNS Errors (RFC 8914): a code from the registry and a sentence for people.

use std::fmt;

/// INFO-CODE of an extended error (RFC 8914 5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EdeCode(pub u16);

macro_rules! codes {
    ($($name:ident = $code:literal $text:literal),* $(,)?) => {
        impl EdeCode {
            $(#[allow(dead_code, reason = "the registry, whole")] pub const $name: EdeCode = EdeCode($code);)*

            /// The meaning that the registry gives to this code.
            pub fn meaning(self) -> &'static str {
                match self.0 { $($code => $text,)* _ => "unassigned code" }
            }
        }
    };
}

codes! {
    OTHER = 0 "Other", UNSUPPORTED_DNSKEY_ALGORITHM = 1 "Unsupported DNSKEY Algorithm",
    UNSUPPORTED_DS_DIGEST = 2 "Unsupported DS Digest Type", STALE_ANSWER = 3 "Stale Answer",
    FORGED_ANSWER = 4 "Forged Answer", DNSSEC_INDETERMINATE = 5 "DNSSEC Indeterminate", DNSSEC_BOGUS = 6 "DNSSEC Bogus",
    SIGNATURE_EXPIRED = 7 "Signature Expired", SIGNATURE_NOT_YET_VALID = 8 "Signature Not Yet Valid",
    DNSKEY_MISSING = 9 "DNSKEY Missing", RRSIGS_MISSING = 10 "RRSIGs Missing",
    NO_ZONE_KEY_BIT = 11 "No Zone Key Bit Set", NSEC_MISSING = 12 "NSEC Missing", CACHED_ERROR = 13 "Cached Error",
    NOT_READY = 14 "Not Ready", BLOCKED = 15 "Blocked", CENSORED = 16 "Censored", FILTERED = 17 "Filtered",
    PROHIBITED = 18 "Prohibited", STALE_NXDOMAIN = 19 "Stale NXDOMAIN Answer", NOT_AUTHORITATIVE = 20 "Not Authoritative",
    NOT_SUPPORTED = 21 "Not Supported", NO_REACHABLE_AUTHORITY = 22 "No Reachable Authority",
    NETWORK_ERROR = 23 "Network Error", INVALID_DATA = 24 "Invalid Data",
    SIGNATURE_EXPIRED_BEFORE_VALID = 25 "Signature Expired before Valid", TOO_EARLY = 26 "Too Early",
    UNSUPPORTED_NSEC3_ITERATIONS = 27 "Unsupported NSEC3 Iterations Value", SYNTHESIZED = 29 "Synthesized",
    INVALID_QUERY_TYPE = 30 "Invalid Query Type", NEGATIVE_TRUST_ANCHOR = 33 "Negative Trust Anchor",
}

impl fmt::Debug for EdeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.meaning())
    }
}

/// One extended error: its code, and EXTRA-TEXT for people, which no program may interpret (RFC 8914 2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ede {
    pub code: EdeCode,
    pub text: String,
}

impl Ede {
    /// `text` may be empty.
    pub fn new(code: EdeCode, text: impl Into<String>) -> Ede {
        Ede { code, text: text.into() }
    }
}

impl fmt::Display for Ede {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EDE {} ({})", self.code.0, self.code.meaning())?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}
