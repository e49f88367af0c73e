//! The closed sets of label values. Everything else is counted as `other`, so that no client can make the table grow.

/// The transport of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Udp,
    Tcp,
}

impl Over {
    pub(super) const NAMES: &[&str] = &["udp", "tcp"];
}

/// Types that an operator wants to see separately; by number (IANA, RR TYPEs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryType(u8);

impl QueryType {
    pub(super) const NAMES: &[&str] = &[
        "other", "A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA", "SRV", "NAPTR", "DS", "DNSKEY", "TLSA", "SVCB", "HTTPS", "ANY",
        "CAA",
    ];

    /// The label for the type of this number.
    #[inline]
    pub fn of(number: u16) -> QueryType {
        QueryType(INDICES.get(usize::from(number)).copied().unwrap_or(0))
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The place in `QueryType::NAMES` of each type's number.
const INDICES: [u8; 258] = {
    const NUMBERS: [u16; 17] = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 48, 52, 64, 65, 255, 257];
    let (mut indices, mut at) = ([0; 258], 0);
    while at < NUMBERS.len() {
        indices[NUMBERS[at] as usize] = at as u8 + 1;
        at += 1;
    }
    indices
};

/// The response code of a reply; by number (RFC 6895 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome(u8);

impl Outcome {
    pub(super) const NAMES: &[&str] = &[
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "other",
    ];

    /// The label for the response code of this number.
    #[inline]
    pub fn of(rcode: u16) -> Outcome {
        Outcome(rcode.min(Outcome::NAMES.len() as u16 - 1) as u8)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}
