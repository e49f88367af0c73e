//! What one line of a list says of one name.

use std::net::IpAddr;

use super::plain::leads_nowhere;
use crate::record::{Name, Rcode, Rtype};

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule<'l> {
    /// In the form of the wire, in small letters.
    pub name: &'l [u8],
    pub reach: Reach,
    pub kind: Kind,
    /// The rule cancels all others that say the same (`$badfilter`).
    pub cancels: bool,
    /// `None` for nearly all.
    pub detail: Option<Box<Detail>>,
}

/// Which names a rule is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reach {
    Name,
    NameAndBelow,
    Below,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    Block,
    /// `$important`.
    ImportantBlock,
    /// `@@`.
    Exception,
    ImportantException,
    /// Of a list with `action = "allow"`.
    Allow,
}

/// What narrows a rule, or replaces the answer.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Detail {
    /// `$dnstype`: none, or these types, or all but these.
    pub types: Option<Types>,
    /// `$denyallow`: at and below these names the rule does not hold.
    pub deny_allow: Vec<Name>,
    /// `$dnsrewrite`.
    pub rewrite: Option<Rewrite>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Types {
    Only(Vec<Rtype>),
    AllBut(Vec<Rtype>),
}

/// What a rule answers instead (`$dnsrewrite`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rewrite {
    Rcode(Rcode),
    Addresses(Vec<IpAddr>),
    Alias(Name),
}

impl Rewrite {
    /// Whether the client gets no host at all: a denial, an error, or addresses that lead nowhere.
    pub fn is_block(&self) -> bool {
        match self {
            Rewrite::Rcode(_) => true,
            Rewrite::Addresses(addresses) => addresses.iter().all(|address| leads_nowhere(*address)),
            Rewrite::Alias(_) => false,
        }
    }
}
