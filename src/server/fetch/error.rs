//! Why nothing was fetched.

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::env::WallTime;
use crate::limits::fetch::{FETCH_TIME_MAX, FETCHED_BYTES_MAX, HEAD_BYTES_MAX, HEADER_FIELDS_MAX, REDIRECTS_MAX, UNPACKED_RATIO_MAX};

/// Each variant is one line of the table in docs/lists.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum FetchError {
    /// Not within the time that a fetch may take.
    TooSlow,
    NotResolved {
        host: String,
        why: String,
    },
    NoAddress {
        host: String,
    },
    /// A redirect from a public address to one that only this network has.
    LocalAddress {
        host: String,
        address: IpAddr,
    },
    NotConnected {
        authority: String,
        why: String,
    },
    Certificate {
        authority: String,
        why: String,
    },
    Tls {
        authority: String,
        why: String,
    },
    /// The certificates to verify with cannot be read.
    NoTrust(String),
    /// Not HTTP, or HTTP that breaks its rules.
    NotHttp(String),
    HeadTooLarge,
    Status(u16),
    /// The server is busy (429 or 503), and says when to come again (RFC 9110 10.2.3).
    Busy {
        status: u16,
        retry: RetryAfter,
    },
    /// 304 for a request that did not ask whether there is something newer.
    NotModifiedUnasked,
    TooManyRedirects,
    BadRedirect {
        to: String,
        why: &'static str,
    },
    /// A redirect from https to http.
    LessSecure {
        to: String,
    },
    ContentType(String),
    ContentEncoding(String),
    TooLarge,
    /// A few octets that unpack to very many.
    UnpackedTooLarge,
    /// Packed data that cannot be unpacked.
    Damaged(&'static str),
    CutShort,
    NotWritten(String),
    /// A fault of this program.
    Failed,
}

/// What a server says in `Retry-After`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum RetryAfter {
    Seconds(u64),
    At(WallTime),
}

impl RetryAfter {
    /// Seconds from `now` on.
    pub(in crate::server) fn wait_s(self, now: WallTime) -> u64 {
        match self {
            RetryAfter::Seconds(seconds) => seconds,
            RetryAfter::At(time) => time.0.saturating_sub(now.0),
        }
    }
}

impl FetchError {
    /// When the server wants to be asked again.
    pub(in crate::server) fn retry_after(&self) -> Option<RetryAfter> {
        if let FetchError::Busy { retry, .. } = self { Some(*retry) } else { None }
    }

    /// The status code of the response, where there was one.
    pub(in crate::server) fn http_status(&self) -> Option<u16> {
        match self {
            FetchError::Status(status) | FetchError::Busy { status, .. } => Some(*status),
            FetchError::NotModifiedUnasked => Some(304),
            FetchError::ContentType(_)
            | FetchError::ContentEncoding(_)
            | FetchError::TooLarge
            | FetchError::UnpackedTooLarge
            | FetchError::Damaged(_)
            | FetchError::CutShort => Some(200),
            FetchError::TooSlow
            | FetchError::NotResolved { .. }
            | FetchError::NoAddress { .. }
            | FetchError::LocalAddress { .. }
            | FetchError::NotConnected { .. }
            | FetchError::Certificate { .. }
            | FetchError::Tls { .. }
            | FetchError::NoTrust(_)
            | FetchError::NotHttp(_)
            | FetchError::HeadTooLarge
            | FetchError::TooManyRedirects
            | FetchError::BadRedirect { .. }
            | FetchError::LessSecure { .. }
            | FetchError::NotWritten(_)
            | FetchError::Failed => None,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Duration| time.as_secs();
        match self {
            FetchError::TooSlow => write!(f, "it did not come within {} seconds", seconds(FETCH_TIME_MAX)),
            FetchError::NotResolved { host, why } => write!(f, "the address of {host} could not be looked up: {why}"),
            FetchError::NoAddress { host } => write!(f, "{host} has no address that can be used"),
            FetchError::LocalAddress { host, address } => {
                write!(f, "a redirect leads from a public address into a local network, to {host} at {address}")
            }
            FetchError::NotConnected { authority, why } => write!(f, "no connection to {authority}: {why}"),
            FetchError::Certificate { authority, why } => write!(f, "the certificate of {authority} is not valid: {why}"),
            FetchError::Tls { authority, why } => write!(f, "no TLS connection to {authority}: {why}"),
            FetchError::NoTrust(why) => write!(f, "no server can be verified: {why}"),
            FetchError::NotHttp(why) => write!(f, "the server breaks the rules of HTTP: {why}"),
            FetchError::HeadTooLarge => {
                write!(f, "the head of the response has more than {} KiB or {HEADER_FIELDS_MAX} fields", HEAD_BYTES_MAX >> 10)
            }
            FetchError::Status(status) | FetchError::Busy { status, .. } => {
                write!(f, "the server answers with HTTP status {status}")
            }
            FetchError::NotModifiedUnasked => {
                f.write_str("the server answers that nothing is newer (HTTP status 304), but there is no copy")
            }
            FetchError::TooManyRedirects => write!(f, "more than {REDIRECTS_MAX} redirects"),
            FetchError::BadRedirect { to, why } => write!(f, "a redirect to \"{to}\", which {why}"),
            FetchError::LessSecure { to } => write!(f, "a redirect from https to {to}"),
            FetchError::ContentType(kind) => write!(f, "the server sends {kind}, which is no list"),
            FetchError::ContentEncoding(encoding) => write!(f, "the server packs it as {encoding}, which was not asked for"),
            FetchError::TooLarge => write!(f, "larger than {} MiB", FETCHED_BYTES_MAX >> 20),
            FetchError::UnpackedTooLarge => write!(f, "it unpacks to more than {UNPACKED_RATIO_MAX} times its size"),
            FetchError::Damaged(packing) => write!(f, "its {packing} data is damaged or cut short"),
            FetchError::CutShort => f.write_str("the connection ended before all of it had come"),
            FetchError::NotWritten(why) => write!(f, "it cannot be written to the state folder: {why}"),
            FetchError::Failed => f.write_str("a fault in Cairn itself; the log has more"),
        }
    }
}

impl Error for FetchError {}
