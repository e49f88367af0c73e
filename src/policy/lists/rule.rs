//! What one line of a list says of one name.

use std::net::IpAddr;

use super::plain::leads_nowhere;
use crate::record::{Name, Rcode, Rtype, wire_name_is_within};

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

impl Rule<'_> {
    /// Whether it says anything of a name, in the form of the wire and in small letters, and a type, as long as no rule cancels it.
    pub fn holds_for(&self, name: &[u8], rtype: Rtype) -> bool {
        let is_of_name = self.reach.has(self.name.len() == name.len()) && wire_name_is_within(name, self.name);
        is_of_name && self.detail.as_ref().is_none_or(|detail| detail.holds_for(self.kind, name, rtype))
    }
}

/// Which names a rule is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reach {
    Name,
    NameAndBelow,
    Below,
}

impl Reach {
    /// Whether it reaches the rule's name itself (`is_own`), or the names below it.
    pub(super) fn has(self, is_own: bool) -> bool {
        if is_own { self != Reach::Below } else { self != Reach::Name }
    }
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

impl Detail {
    /// Whether a rule of this kind, which is for the name, holds for the name and the type.
    pub(super) fn holds_for(&self, kind: Kind, name: &[u8], rtype: Rtype) -> bool {
        let is_of_type = match &self.types {
            None => true,
            // Its answer would show what a rule for one type hides, and an exception for one type does not cover the others.
            Some(_) if rtype == Rtype::ANY => matches!(kind, Kind::Block | Kind::ImportantBlock),
            Some(Types::Only(types)) => types.contains(&rtype),
            Some(Types::AllBut(types)) => !types.contains(&rtype),
        };
        is_of_type && !self.deny_allow.iter().any(|allowed| wire_name_is_within(name, allowed.as_wire()))
    }
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
