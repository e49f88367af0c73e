//! The answer that a program gets for a question.

use std::fmt;

use crate::answer::Outcome;
use crate::explain::Line;
use crate::record::{EdeCode, Name, Rcode, RrSet, Security, rdata_to_text};

/// The answer to one question.
#[derive(Clone, Debug)]
pub struct Answer {
    status: Status,
    records: Vec<Record>,
    is_secure: bool,
    is_stale: bool,
    errors: Vec<String>,
}

/// The response code of an answer (RFC 1035 4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The name exists; without records it has none of the requested type.
    NoError,
    /// The name does not exist.
    NxDomain,
    /// The question could not be answered, or DNSSEC validation failed; `Answer::errors` has the reason.
    ServFail,
    /// This resolver does not answer the question.
    Refused,
    /// Another response code.
    Other(u16),
}

/// One resource record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    name: Name,
    ttl: u32,
    record_type: String,
    data: String,
    rdata: Box<[u8]>,
}

/// One decision or step on the way to an answer.
#[derive(Clone, Debug)]
pub struct Event(Line);

impl Answer {
    /// The response code.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The answer section: aliases in the order of their chain, then the records that were asked for.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Whether DNSSEC has validated the whole answer.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether this is expired data, served because no server could be reached (RFC 8767).
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// Extended DNS Errors (RFC 8914), each as one line of text.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    pub(super) fn new(outcome: &Outcome) -> Answer {
        let is_stale = |code| matches!(code, EdeCode::STALE_ANSWER | EdeCode::STALE_NXDOMAIN);
        Answer {
            status: Status::from(outcome.rcode()),
            records: outcome.answers.iter().flat_map(Record::of).collect(),
            is_secure: outcome.security == Security::Secure,
            is_stale: outcome.edes.iter().any(|ede| is_stale(ede.code)),
            errors: outcome.edes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Rcode> for Status {
    fn from(rcode: Rcode) -> Status {
        match rcode {
            Rcode::NOERROR => Status::NoError,
            Rcode::NXDOMAIN => Status::NxDomain,
            Rcode::SERVFAIL => Status::ServFail,
            Rcode::REFUSED => Status::Refused,
            Rcode(other) => Status::Other(other),
        }
    }
}

impl Record {
    /// The owner name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Seconds for which the record may be cached.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The type, such as `A`, or `TYPE731` for a type without a name.
    pub fn record_type(&self) -> &str {
        &self.record_type
    }

    /// RDATA in presentation form, such as `192.0.2.1`.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// RDATA in wire form, its names uncompressed.
    pub fn rdata(&self) -> &[u8] {
        &self.rdata
    }

    fn of(set: &RrSet) -> impl Iterator<Item = Record> {
        set.data.iter().map(|rdata| Record {
            name: set.name.clone(),
            ttl: set.ttl,
            record_type: set.rtype.to_string(),
            data: rdata_to_text(set.rtype, rdata),
            rdata: rdata.into(),
        })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.name, self.ttl, self.record_type, self.data)
    }
}

impl Event {
    /// The event as a line of text. `None` if the line of an earlier event covers this one.
    pub fn text(&self) -> Option<&str> {
        self.0.line.as_deref()
    }

    /// The event as a JSON object; `docs/explain.md` describes its members.
    pub fn json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    pub(super) fn new(line: Line) -> Event {
        Event(line)
    }
}
