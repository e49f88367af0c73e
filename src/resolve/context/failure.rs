//! Why a question could not be answered: a closed set of causes, each with the zone where it happened. The text for people
//! and the Extended DNS Error are made from these.

use std::fmt;
use std::sync::Arc;

use crate::cache::{FailureKind, Family};
use crate::record::{Ede, EdeCode, Name, Rcode};
use crate::resolve::context::budget::Bound;
use crate::upstream::TcpFault;

/// A question that could not be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The zone whose servers were being asked.
    pub at: Name,
    pub cause: Cause,
    /// The faults of the servers, a bounded number.
    pub faults: Box<[Fault]>,
    /// A fresh attempt may succeed, and those who waited for this one make one.
    pub own_limit: OwnLimit,
    /// Of a remembered failure: what failed.
    pub kind: FailureKind,
}

/// Is a failure due to a limit of this resolver or of the question, so that it says nothing about zone and servers?
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum OwnLimit {
    #[default]
    No,
    /// The same question would meet the same limit again.
    Lasting,
    /// The same question may succeed at once, or get further.
    Passing,
}

/// A fault of one server, shown in the text of the error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub server: std::net::IpAddr,
    pub kind: FaultKind,
}

/// What was wrong with one server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FaultKind {
    TimedOut,
    ConnectionRefused,
    Unreachable,
    /// UDP was not enough, and TCP failed in this way.
    TcpFailed(TcpFault),
    /// It is asked over an encrypted connection alone, as this name, and that failed.
    TlsFailed(Arc<str>, TcpFault),
    Lame,
    Rcode(Rcode),
    Malformed,
    Forgeries,
}

/// The cause of a failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// There are servers, and none of them replied.
    NoReachableAuthority,
    /// Servers replied, and no reply was useful.
    ServersFailed,
    /// The delegation names servers whose addresses cannot be found.
    NoServerAddress,
    /// All servers have addresses of this family alone, and this machine has no route for it, or does not use it (`is_off`).
    FamilyMissing {
        family: Family,
        is_off: bool,
    },
    /// The question needs its own answer first (TsuNAME and other cycles).
    Cycle,
    AliasLoop,
    AliasTooLong,
    /// The question has reached a bound of its budget.
    Spent(Bound),
    /// The same question failed a moment ago (RFC 9520).
    Remembered(Ede),
    /// The answer could not be had in the client's time; the walk may go on without the client.
    TimedOut,
    /// There was no free socket for the query: a limit of our own, no fault of the zone or its servers.
    NoSocket,
    /// Only the cache was to be read, and it has no answer.
    NotCached,
    /// The zone is to be served here, and its data cannot be read.
    ZoneNotLoaded(String),
    /// Its place was given to another question: more were under way than this server can work on.
    Shed,
    /// A defect of ours: a walk ended without a result.
    Internal,
}

impl Failure {
    /// A failure at the zone `at`, without faults of servers yet.
    pub fn new(at: Name, cause: Cause) -> Failure {
        let own_limit = match &cause {
            Cause::Spent(Bound::Walks(_)) | Cause::NoSocket | Cause::Shed => OwnLimit::Passing,
            Cause::Spent(Bound::UpstreamQueries(_) | Bound::Depth(_) | Bound::AddressSearches(_) | Bound::Time) => OwnLimit::Lasting,
            Cause::Spent(Bound::Referrals(_) | Bound::ServerNames(_)) => OwnLimit::No,
            Cause::NoReachableAuthority | Cause::ServersFailed | Cause::NoServerAddress | Cause::FamilyMissing { .. } => OwnLimit::No,
            Cause::Cycle | Cause::Remembered(_) => OwnLimit::No,
            Cause::AliasLoop | Cause::AliasTooLong | Cause::TimedOut => OwnLimit::No,
            Cause::NotCached | Cause::ZoneNotLoaded(_) | Cause::Internal => OwnLimit::No,
        };
        Failure { at, cause, faults: Box::default(), own_limit, kind: FailureKind::LookUp }
    }

    /// The RFC 8914 code and a sentence that names zone and servers.
    pub fn ede(&self) -> Ede {
        let code = match &self.cause {
            Cause::NoReachableAuthority | Cause::NoServerAddress | Cause::FamilyMissing { .. } | Cause::TimedOut => {
                EdeCode::NO_REACHABLE_AUTHORITY
            }
            Cause::ServersFailed => EdeCode::NETWORK_ERROR,
            Cause::Remembered(ede) => return ede.clone(),
            Cause::ZoneNotLoaded(_) => EdeCode::INVALID_DATA,
            Cause::Cycle
            | Cause::AliasLoop
            | Cause::AliasTooLong
            | Cause::Spent(_)
            | Cause::NotCached
            | Cause::Shed
            | Cause::NoSocket
            | Cause::Internal => EdeCode::OTHER,
        };
        Ede::new(code, self.to_string())
    }

    /// May expired data be given in place of this failure (RFC 8767)? Not where only the cache was to be read, nor where
    /// this server has no room for one more walk.
    pub fn may_serve_stale(&self) -> bool {
        !matches!(self.cause, Cause::NotCached | Cause::ZoneNotLoaded(_) | Cause::Spent(Bound::Walks(_)))
            && self.kind != FailureKind::BogusData
    }

    /// A question that waited for the walk of another may succeed with a walk of its own.
    pub fn may_be_anothers(&self) -> bool {
        self.own_limit != OwnLimit::No || self.cause == Cause::Internal
    }

    /// Whether the failure may be remembered for the question: not if another client, or a later attempt, may succeed.
    /// `is_own`: a client asked the question itself, with a whole budget. A budget spent on another question says nothing about
    /// the names that were looked up for it.
    pub fn may_be_remembered(&self, is_own: bool) -> bool {
        match self.own_limit {
            OwnLimit::Passing => return false,
            OwnLimit::Lasting if !is_own => return false,
            OwnLimit::Lasting | OwnLimit::No => {}
        }
        match &self.cause {
            Cause::NoReachableAuthority | Cause::NoServerAddress | Cause::ServersFailed | Cause::Spent(_) => true,
            Cause::FamilyMissing { .. } => true,
            Cause::AliasLoop | Cause::AliasTooLong => true,
            Cause::Cycle | Cause::Remembered(_) | Cause::TimedOut => false,
            Cause::NoSocket | Cause::NotCached | Cause::ZoneNotLoaded(_) | Cause::Shed | Cause::Internal => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::NoReachableAuthority => write!(f, "no server of {} answers", self.at)?,
            Cause::ServersFailed => write!(f, "no server of {} gives a usable answer", self.at)?,
            Cause::NoServerAddress => write!(f, "no address is known for any server of {}", self.at)?,
            Cause::FamilyMissing { family, is_off } => return missing_family(f, &self.at, *family, *is_off),
            Cause::Cycle => write!(f, "finding the servers of {} needs the servers of {} first", self.at, self.at)?,
            Cause::AliasLoop => write!(f, "the alias at {} leads back to itself", self.at)?,
            Cause::AliasTooLong => write!(f, "the chain of aliases through {} is too long", self.at)?,
            Cause::Spent(bound) => write!(f, "gave up at {}: {bound}", self.at)?,
            Cause::Remembered(ede) => write!(f, "{}", ede.text)?,
            Cause::TimedOut => write!(f, "no answer in time, waiting for servers of {}", self.at)?,
            Cause::NoSocket => return f.write_str("this resolver has no free socket at the moment"),
            Cause::NotCached => write!(f, "{} is not in the cache", self.at)?,
            Cause::ZoneNotLoaded(why) => write!(f, "the zone {} is not served: {why}", self.at)?,
            Cause::Shed => f.write_str("more questions are under way than this server can work on")?,
            Cause::Internal => f.write_str("internal error")?,
        }
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { ": " } else { ", " })?;
        }
        Ok(())
    }
}

fn missing_family(f: &mut fmt::Formatter<'_>, zone: &Name, family: Family, is_off: bool) -> fmt::Result {
    write!(f, "the servers of {zone} have only {family} addresses, and this machine ")?;
    match (family, is_off) {
        (_, true) => write!(f, "does not use {family} (recursion.{})", if family == Family::V4 { "ipv4" } else { "ipv6" }),
        (Family::V4, false) => f.write_str("has no IPv4: set server.nat64-prefix"),
        (Family::V6, false) => f.write_str("has no IPv6"),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.server, self.kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::TimedOut => f.write_str("did not answer"),
            FaultKind::ConnectionRefused => f.write_str("has no DNS server"),
            FaultKind::Unreachable => f.write_str("is unreachable"),
            FaultKind::TcpFailed(TcpFault::Connect(std::io::ErrorKind::ConnectionRefused)) => f.write_str("refuses TCP"),
            FaultKind::TcpFailed(TcpFault::Connect(_) | TcpFault::Timeout) => f.write_str("cannot be reached over TCP"),
            FaultKind::TcpFailed(TcpFault::Closed) => f.write_str("closed the TCP connection without a reply"),
            FaultKind::TcpFailed(TcpFault::Unasked) => f.write_str("sent something else over TCP"),
            FaultKind::TcpFailed(TcpFault::Busy) => f.write_str("could not be asked over TCP: no free connection in this resolver"),
            FaultKind::TcpFailed(fault @ (TcpFault::Tls(_) | TcpFault::Http(_))) => write!(f, "failed over TCP: {fault}"),
            FaultKind::TlsFailed(name, fault) => write!(f, "was not asked as {name}: {fault}"),
            FaultKind::Lame => f.write_str("is not authoritative"),
            FaultKind::Rcode(rcode) => write!(f, "answered {rcode}"),
            FaultKind::Malformed => f.write_str("sent a malformed reply"),
            FaultKind::Forgeries => f.write_str("was impersonated by forged replies"),
        }
    }
}
