//! The closed sets of label values. What is in none of them is counted as `other`, so that nobody can make the table
//! grow by what he asks.

/// How a query came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Udp,
    Tcp,
}

impl Over {
    pub(super) const NAMES: &[&str] = &["udp", "tcp"];
}

/// Types of which an operator wants to know how often they are asked for; by number (IANA, RR TYPEs).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueryType(u8);

impl QueryType {
    pub(super) const NAMES: &[&str] = &[
        "other", "A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "AAAA", "SRV", "NAPTR", "DS", "DNSKEY", "TLSA", "SVCB", "HTTPS", "ANY",
        "CAA",
    ];

    pub fn of(number: u16) -> QueryType {
        QueryType(match number {
            1 => 1,
            2 => 2,
            5 => 3,
            6 => 4,
            12 => 5,
            15 => 6,
            16 => 7,
            28 => 8,
            33 => 9,
            35 => 10,
            43 => 11,
            48 => 12,
            52 => 13,
            64 => 14,
            65 => 15,
            255 => 16,
            257 => 17,
            _ => 0,
        })
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The response code of a reply; by number (RFC 6895 2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome(u8);

impl Outcome {
    pub(super) const NAMES: &[&str] = &[
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE", "other",
    ];

    pub fn of(rcode: u16) -> Outcome {
        Outcome(rcode.min(Outcome::NAMES.len() as u16 - 1) as u8)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}
