//! Every reply is exactly one of a few kinds before anything acts on it (RFC 1034 5.3.3, RFC 2308 2,
//! RFC 4697 2 on lame servers). Only what `scrub` let through is looked at.

use serde::Serialize;

use crate::record::{Name, Question, Rcode, Rtype};
use crate::resolve::reply::scrub::Scrubbed;
use crate::wire::{Flags, Header};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The records asked for, perhaps at the end of aliases.
    Answer,
    /// Aliases that lead out of what this reply can answer.
    Alias,
    Referral,
    NoData,
    NxDomain,
    /// NOERROR with nothing in it: no proof of anything, believed only when nobody says better.
    Empty,
    /// Not authoritative for the zone: refers upwards, or to where we came from.
    Lame,
    /// A recursive server's answer from its cache, where an authority was expected.
    RecursionLame,
    Refused,
    ServFail,
    /// FORMERR, NOTIMP or BADVERS to a query with EDNS: it may do without (RFC 6891 7).
    NeedsPlainDns,
    /// BADCOOKIE: it wants the cookie that it gives (RFC 7873 5.2.3).
    NewCookie,
    Broken,
}

/// As which server the sender was asked.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The cut whose authority was asked; for a forwarder the zone of the rule.
    pub zone: &'a Name,
    pub question: &'a Question,
    /// RD was set: a forwarder, or a recursive server as a last resort. Its answers need no AA.
    pub recursive: bool,
    pub with_edns: bool,
}

pub fn classify(header: Header, rcode: Rcode, content: &Scrubbed, expected: &Expected<'_>) -> Kind {
    let authoritative = header.flags.has(Flags::AA);
    let recursion_lame = !expected.recursive && !authoritative && header.flags.has(Flags::RA);
    match rcode {
        Rcode::NOERROR | Rcode::NXDOMAIN => {}
        // RFC 6672 2.2: the name that a DNAME makes is too long. The alias itself is still data.
        Rcode::YXDOMAIN if content.answer.first().is_some_and(|set| set.rtype == Rtype::DNAME) => {}
        Rcode::SERVFAIL => return Kind::ServFail,
        Rcode::REFUSED | Rcode::NOTAUTH => return Kind::Refused,
        Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS if expected.with_edns => return Kind::NeedsPlainDns,
        Rcode::BADCOOKIE if expected.with_edns => return Kind::NewCookie,
        _ => return Kind::Broken,
    }
    if !content.answer.is_empty() {
        if recursion_lame {
            return Kind::RecursionLame;
        }
        return if content.answered { Kind::Answer } else { Kind::Alias };
    }
    if rcode == Rcode::NXDOMAIN {
        return if recursion_lame { Kind::RecursionLame } else { Kind::NxDomain };
    }
    let shows_delegation = content.referral.is_some() && content.soa.is_none();
    if shows_delegation && !expected.recursive {
        return Kind::Referral;
    }
    if let Some(soa) = &content.soa {
        // The parent alone speaks for DS: an SOA of the very name is the child side talking (RFC 4035 3.1.4.1).
        let child_side = expected.question.rtype == Rtype::DS && soa.name == expected.question.name && !soa.name.is_root();
        return if child_side && !expected.recursive { Kind::Lame } else { Kind::NoData };
    }
    // RFC 2308 2.2: NS records without an SOA may stand beside a denial, and from a resolver they are no referral.
    // Without RA it is no resolver.
    let is_resolver = expected.recursive && header.flags.has(Flags::RA);
    if (shows_delegation || content.refers_up) && !is_resolver {
        return Kind::Lame;
    }
    if recursion_lame { Kind::RecursionLame } else { Kind::Empty }
}
