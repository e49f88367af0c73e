//! The closed sets of label values. Everything else is counted as `other`, so that no client can make the table grow.

use std::net::IpAddr;

/// The transport of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Udp,
    Tcp,
    Tls,
    Https,
}

impl Over {
    pub(super) const NAMES: &[&str] = &["udp", "tcp", "tls", "https"];
}

/// The address family of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientFamily {
    Ipv4,
    Ipv6,
}

impl ClientFamily {
    pub(super) const NAMES: &[&str] = &["ipv4", "ipv6"];

    /// The family of this address.
    #[inline]
    pub fn of(client: IpAddr) -> ClientFamily {
        if client.is_ipv6() { ClientFamily::Ipv6 } else { ClientFamily::Ipv4 }
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Source {
    /// No server had to be queried.
    Cache,
    /// A hosted zone, or local data.
    Zone,
    /// Servers were queried.
    Walk,
    /// Expired data (RFC 8767).
    Stale,
    /// A rule of this server: special-use names, access lists.
    #[default]
    Policy,
}

impl Source {
    pub(super) const NAMES: &[&str] = &["cache", "zone", "walk", "stale", "policy"];
    pub(super) const COUNT: usize = Source::NAMES.len();

    /// As in reports and in the log.
    pub fn name(self) -> &'static str {
        Source::NAMES[self as usize]
    }
}

/// An extended error (RFC 8914); by its code (IANA, Extended DNS Error Codes).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExtendedError(u8);

impl ExtendedError {
    pub(super) const NAMES: &[&str] = &[
        "other",
        "unsupported-dnskey-algorithm",
        "unsupported-ds-digest-type",
        "stale-answer",
        "forged-answer",
        "dnssec-indeterminate",
        "dnssec-bogus",
        "signature-expired",
        "signature-not-yet-valid",
        "dnskey-missing",
        "rrsigs-missing",
        "no-zone-key-bit-set",
        "nsec-missing",
        "cached-error",
        "not-ready",
        "blocked",
        "censored",
        "filtered",
        "prohibited",
        "stale-nxdomain-answer",
        "not-authoritative",
        "not-supported",
        "no-reachable-authority",
        "network-error",
        "invalid-data",
        "signature-expired-before-valid",
        "too-early",
        "unsupported-nsec3-iterations-value",
        "unable-to-conform-to-policy",
        "synthesized",
        "invalid-query-type",
        "31",
        "32",
        "negative-trust-anchor",
        "unassigned",
    ];

    /// The label for the error of this code.
    pub fn of(code: u16) -> ExtendedError {
        ExtendedError(code.min(ExtendedError::NAMES.len() as u16 - 1) as u8)
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A limit towards clients that an operator can set; named as its key in the section `limits`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientLimit {
    Responses,
    Waiting,
    WaitingPerClient,
    WaitingDatagrams,
    Connections,
    ConnectionsPerClient,
}

impl ClientLimit {
    pub(super) const NAMES: &[&str] = &[
        "responses-per-second",
        "waiting-questions",
        "waiting-questions-per-client",
        "waiting-datagrams-per-client",
        "connections",
        "connections-per-client",
    ];
    /// Number of these limits.
    pub const COUNT: usize = ClientLimit::NAMES.len();

    /// Its key in the section `limits`.
    pub fn key(self) -> &'static str {
        ClientLimit::NAMES[self as usize]
    }
}

/// What a rule of a response policy zone did to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PolicyAction {
    NxDomain,
    NoData,
    Drop,
    TcpOnly,
    LocalData,
}

impl PolicyAction {
    pub(super) const NAMES: &[&str] = &["nxdomain", "nodata", "drop", "tcp-only", "local-data"];

    /// As in reports and in the query log.
    pub fn name(self) -> &'static str {
        PolicyAction::NAMES[self as usize]
    }
}

/// A bound on the work for one question that was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpentBound {
    UpstreamQueries,
    Referrals,
    ServerNames,
    Depth,
    AddressSearches,
    Walks,
    Time,
}

impl SpentBound {
    pub(super) const NAMES: &[&str] = &["upstream-queries", "referrals", "server-names", "depth", "address-searches", "walks", "time"];
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
