//! Questions, and the code points of questions and replies: classes, response codes.

use std::fmt;
use std::str::FromStr;

use super::{Name, Rtype};

/// The CLASS of a record or a question (RFC 1035 3.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Class = Class(1);
    /// Chaos: used for names of the server itself, such as `version.bind`.
    pub const CH: Class = Class(3);
    /// Hesiod.
    pub const HS: Class = Class(4);
    /// NONE, of dynamic updates (RFC 2136 1.3).
    pub const NONE: Class = Class(254);
    /// ANY, for questions only (RFC 1035 3.2.5).
    pub const ANY: Class = Class(255);
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Class::IN => f.pad("IN"),
            Class::CH => f.pad("CH"),
            Class::HS => f.pad("HS"),
            Class::NONE => f.pad("NONE"),
            Class::ANY => f.pad("ANY"),
            Class(other) => f.pad(&format!("CLASS{other}")),
        }
    }
}

impl FromStr for Class {
    type Err = ();

    fn from_str(text: &str) -> Result<Class, ()> {
        for known in [Class::IN, Class::CH, Class::HS, Class::NONE, Class::ANY] {
            if known.to_string().eq_ignore_ascii_case(text) {
                return Ok(known);
            }
        }
        let digits = text.get(5..).filter(|_| text[..5].eq_ignore_ascii_case("CLASS")).ok_or(())?;
        digits.parse().map(Class).map_err(|_| ())
    }
}

/// A question of class IN: the only class that is resolved, hosted and cached.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Question {
    pub name: Name,
    pub rtype: Rtype,
}

impl Question {
    /// A question of class IN.
    pub fn new(name: Name, rtype: Rtype) -> Question {
        Question { name, rtype }
    }

    /// The deepest name that can be the apex of the zone that answers. A DS RRset belongs to the parent zone of its owner (RFC
    /// 4035 3.1.4.1), every other RRset to the zone at or above its owner.
    pub fn lowest_apex(&self) -> Name {
        match self.rtype {
            Rtype::DS => self.name.parent().unwrap_or_else(Name::root),
            _ => self.name.clone(),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Response codes (RFC 6895 2.3), extended ones included.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error; with an empty answer section, NODATA.
    pub const NOERROR: Rcode = Rcode(0);
    /// The query could not be read.
    pub const FORMERR: Rcode = Rcode(1);
    /// The server failed to answer.
    pub const SERVFAIL: Rcode = Rcode(2);
    /// The name does not exist (RFC 2308 2.1).
    pub const NXDOMAIN: Rcode = Rcode(3);
    /// The server does not support this kind of query.
    pub const NOTIMP: Rcode = Rcode(4);
    /// Policy forbids an answer.
    pub const REFUSED: Rcode = Rcode(5);
    /// A name exists when it should not; for DNAME, the substituted name is too long (RFC 6672 2.2).
    pub const YXDOMAIN: Rcode = Rcode(6);
    /// An RRset exists when it should not (RFC 2136 2.2).
    pub const YXRRSET: Rcode = Rcode(7);
    /// An RRset does not exist when it should (RFC 2136 2.2).
    pub const NXRRSET: Rcode = Rcode(8);
    /// The server is not authoritative, or the signature is not accepted (RFC 8945 5.3).
    pub const NOTAUTH: Rcode = Rcode(9);
    /// A name of an update is not within the zone (RFC 2136 2.2).
    pub const NOTZONE: Rcode = Rcode(10);
    /// The EDNS version is not supported (RFC 6891 6.1.3).
    pub const BADVERS: Rcode = Rcode(16);
    /// The server cookie is missing or wrong (RFC 7873 5.2.3).
    pub const BADCOOKIE: Rcode = Rcode(23);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.pad("NOERROR"),
            1 => f.pad("FORMERR"),
            2 => f.pad("SERVFAIL"),
            3 => f.pad("NXDOMAIN"),
            4 => f.pad("NOTIMP"),
            5 => f.pad("REFUSED"),
            6 => f.pad("YXDOMAIN"),
            7 => f.pad("YXRRSET"),
            8 => f.pad("NXRRSET"),
            9 => f.pad("NOTAUTH"),
            10 => f.pad("NOTZONE"),
            16 => f.pad("BADVERS"),
            23 => f.pad("BADCOOKIE"),
            other => f.pad(&format!("RCODE{other}")),
        }
    }
}

impl fmt::Debug for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
