//! Does a reply come from a root server, or from somebody who answers in its place? Routers, providers and firewalls redirect
//! port 53 to a resolver of their own, and what a resolver says differs from what a root server says.

use std::fmt;

use crate::record::{Question, Rcode, Rtype};
use crate::resolve::reply::scrub::Scrubbed;
use crate::wire::{Flags, Header};

/// What no root server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imposture {
    /// RA is set: no root server resolves names for others.
    OffersRecursion,
    /// The NS records of the root come without AA.
    NotAuthoritative,
    /// The root has no NS records, or does not exist.
    NotTheRoot,
}

impl fmt::Display for Imposture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Imposture::OffersRecursion => "it offers recursion (RA)",
            Imposture::NotAuthoritative => "it is not authoritative for the root (AA)",
            Imposture::NotTheRoot => "it has no NS records of the root",
        })
    }
}

/// What a reply shows of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    RootServer,
    Impostor(Imposture),
    /// Only the priming query (RFC 9609) and RA tell the two apart.
    NotKnown,
}

/// Decides for a reply that a query to a root server got.
pub fn sender(header: Header, rcode: Rcode, content: &Scrubbed, question: &Question) -> Sender {
    let has = |flag: u16| header.flags.has(flag);
    if has(Flags::RA) {
        return Sender::Impostor(Imposture::OffersRecursion);
    }
    if !question.name.is_root() || question.rtype != Rtype::NS || has(Flags::TC) {
        return Sender::NotKnown;
    }
    let has_servers = content.answer.iter().any(|set| set.name.is_root() && set.rtype == Rtype::NS);
    match rcode {
        Rcode::NOERROR if !has_servers => Sender::Impostor(Imposture::NotTheRoot),
        Rcode::NXDOMAIN => Sender::Impostor(Imposture::NotTheRoot),
        Rcode::NOERROR if !has(Flags::AA) => Sender::Impostor(Imposture::NotAuthoritative),
        Rcode::NOERROR => Sender::RootServer,
        // A server that fails or refuses says nothing of who it is.
        _ => Sender::NotKnown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Name, RrSet};

    #[test]
    fn what_only_an_impostor_does() {
        let of = |name: &str, rtype| Question::new(Name::parse(name).expect(name), rtype);
        let priming = of(".", Rtype::NS);
        let servers = || Scrubbed { answer: vec![RrSet::new(Name::root(), Rtype::NS, 60)], ..Scrubbed::default() };
        let others = || Scrubbed { answer: vec![RrSet::new(Name::root(), Rtype::A, 60)], ..Scrubbed::default() };
        let impostor = Sender::Impostor;
        const AA: u16 = Flags::AA;
        for (flags, rcode, content, question, expected) in [
            (AA, Rcode::NOERROR, servers(), &priming, Sender::RootServer),
            (AA | Flags::RA, Rcode::NOERROR, servers(), &priming, impostor(Imposture::OffersRecursion)),
            (Flags::RA, Rcode::REFUSED, Scrubbed::default(), &priming, impostor(Imposture::OffersRecursion)),
            (0, Rcode::NOERROR, servers(), &priming, impostor(Imposture::NotAuthoritative)),
            (AA, Rcode::NOERROR, Scrubbed::default(), &priming, impostor(Imposture::NotTheRoot)),
            (AA, Rcode::NOERROR, others(), &priming, impostor(Imposture::NotTheRoot)),
            (0, Rcode::NXDOMAIN, Scrubbed::default(), &priming, impostor(Imposture::NotTheRoot)),
            (AA | Flags::TC, Rcode::NOERROR, Scrubbed::default(), &priming, Sender::NotKnown),
            (0, Rcode::REFUSED, Scrubbed::default(), &priming, Sender::NotKnown),
            (0, Rcode::SERVFAIL, Scrubbed::default(), &priming, Sender::NotKnown),
            // A referral, as root servers give it.
            (0, Rcode::NOERROR, Scrubbed::default(), &of("example.", Rtype::NS), Sender::NotKnown),
            (Flags::RA, Rcode::NOERROR, Scrubbed::default(), &of("example.", Rtype::NS), impostor(Imposture::OffersRecursion)),
        ] {
            let header = Header { id: 0, flags: Flags(Flags::QR | flags), counts: [0; 4] };
            assert_eq!(sender(header, rcode, &content, question), expected, "{flags:x} {rcode} {question}");
        }
    }
}
