//! What one line of a list says of one name.

use std::net::IpAddr;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    Name,
    NameAndBelow,
    Below,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Detail {
    /// `$dnstype`: none, or these types, or all but these.
    pub types: Option<Types>,
    /// `$denyallow`: at and below these names the rule does not hold.
    pub deny_allow: Vec<Name>,
    /// `$dnsrewrite`.
    pub rewrite: Option<Rewrite>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Types {
    Only(Vec<Rtype>),
    AllBut(Vec<Rtype>),
}

/// What a rule answers instead (`$dnsrewrite`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rewrite {
    Rcode(Rcode),
    Addresses(Vec<IpAddr>),
    Alias(Name),
}
