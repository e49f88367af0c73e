//! How far data is trusted: by where it came from (RFC 2181 5.4.1) and by what DNSSEC said (RFC 4035 4.3).

/// Higher is trusted more. Data never replaces live data of a higher rank.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Rank {
    /// Addresses in the additional section of a referral: used to reach servers, never served as an answer.
    Glue = 1,
    /// The NS set of a referral, from the parent side of the cut.
    Referral = 2,
    /// Additional section of an authoritative reply; never served as an answer.
    Additional = 3,
    /// Answer section of a reply without AA (a forwarder's).
    Answer = 4,
    /// Authority section of an authoritative reply.
    AuthAuthority = 5,
    /// Answer section of an authoritative reply.
    AuthAnswer = 6,
}

impl Rank {
    /// Whether data of this rank may stand in the answer section of a reply to a client.
    pub fn may_answer(self) -> bool {
        self >= Rank::Answer
    }

    /// The rank that is stored as this number; `None` where no rank is.
    pub fn from_u8(value: u8) -> Option<Rank> {
        [Rank::Glue, Rank::Referral, Rank::Additional, Rank::Answer, Rank::AuthAuthority, Rank::AuthAnswer]
            .into_iter()
            .find(|rank| *rank as u8 == value)
    }
}

/// Security status (RFC 4035 4.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum Security {
    /// Not validated yet, or the validation could not be finished.
    #[default]
    Indeterminate = 0,
    /// Proved to lie outside every chain of trust.
    Insecure = 1,
    /// Proved by a chain of signatures from a trust anchor.
    Secure = 2,
    /// The chain of trust leads to this data, but its proof fails.
    Bogus = 3,
}

impl Security {
    /// The status that is stored as this number; `None` where no status is.
    pub fn from_u8(value: u8) -> Option<Security> {
        [Security::Indeterminate, Security::Insecure, Security::Secure, Security::Bogus].into_iter().find(|s| *s as u8 == value)
    }
}
