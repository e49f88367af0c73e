//! DNS64 in the pipeline (RFC 6147): when AAAA records are made for a client, and what the reply then is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::case::Case;
use super::explained::Note;
use super::outcome::{Delivery, Outcome};
use super::request::Request;
use crate::policy::{denial_ttl, without_mapped_addresses};
use crate::record::{Class, EdeCode, Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::{LocalAnswer, LocalSource};

/// TTL of the alias that is made for the name of a translated address. It changes only with the configuration.
const ALIAS_TTL_S: u32 = 600;

/// A review. RFC 6147 5.1.4: addresses in ::ffff:0:0/96 never go to such a client.
pub(super) fn mapped_addresses(case: &Case<'_>, outcome: &mut Outcome) {
    if !case.rights.dns64 || case.request.question.rtype != Rtype::AAAA {
        return;
    }
    let kept: Vec<RrSet> = outcome.answers.iter().filter_map(without_mapped_addresses).collect();
    if kept != outcome.answers {
        outcome.answers = kept;
        if outcome.security == Security::Secure {
            outcome.security = Security::Insecure;
        }
    }
}

/// Whether A records may take the place of the AAAA records that this outcome lacks. RFC 6147 5.1.2: NXDOMAIN is for all
/// types, and other errors count as no records; servers are known that fail for AAAA alone (RFC 4074).
pub(super) fn is_wanted(case: &Case<'_>, outcome: &Outcome) -> bool {
    case.rights.dns64
        && case.request.class == Class::IN
        && case.request.question.rtype == Rtype::AAAA
        && outcome.security != Security::Bogus
        // A rule that lets no reply out, or a short one, has decided.
        && outcome.delivery == Delivery::Whole
        && (outcome.rcode() == Rcode::NOERROR || failed_for_type(outcome))
        && !outcome.answers.iter().any(|set| set.rtype == Rtype::AAAA)
}

/// The servers of the zone were reached, and had no usable reply.
fn failed_for_type(outcome: &Outcome) -> bool {
    outcome.rcode() == Rcode::SERVFAIL && outcome.edes.first().is_some_and(|ede| ede.code == EdeCode::NETWORK_ERROR)
}

/// The same client's question for A.
pub(super) fn request_for_a(request: &Request) -> Request {
    Request { question: Question::new(request.question.name.clone(), Rtype::A), ..request.clone() }
}

/// The outcome for AAAA, made of those for AAAA and for A. The aliases are those that lead to the A records (RFC 6147 5.1.5).
pub(super) fn combined(case: &Case<'_>, mut aaaa: Outcome, a: Outcome) -> Outcome {
    // RFC 6147 5.5: the denial is validated first. A failure denies nothing, so where the zone is signed, nothing is made.
    let is_unproved = failed_for_type(&aaaa) && a.security == Security::Secure;
    let ttl_max = denial_ttl(&aaaa.authority);
    let made: Vec<RrSet> = match a.rcode() == Rcode::NOERROR && a.security != Security::Bogus && !is_unproved {
        // A null address stands for a blocked name, not for a host.
        true if a.answers.iter().flat_map(RrSet::addresses).any(|address| address.is_unspecified()) => Vec::new(),
        true => a.answers.iter().filter_map(|set| case.snapshot.policy.dns64.synthesised(set, ttl_max)).collect(),
        false => Vec::new(),
    };
    let (Some(first), Some(source)) = (made.first(), a.answers.iter().find(|set| set.rtype == Rtype::A)) else {
        // The ready answer lives as long as both denials, and a failure is no denial.
        let ttl = denial_ttl(&a.authority);
        aaaa.authority.iter_mut().for_each(|set| set.ttl = set.ttl.min(ttl));
        aaaa.repeatable &= a.repeatable;
        return aaaa;
    };
    case.recorder.note(|| synthesised(case, source, first));
    let aliases = a.answers.iter().filter(|set| set.rtype != Rtype::A).cloned();
    Outcome {
        answers: aliases.chain(made.iter().cloned()).collect(),
        authority: Vec::new(),
        // No signature covers what is made here.
        security: Security::Insecure,
        own: aaaa.own && a.own,
        repeatable: a.repeatable && aaaa.repeatable,
        edes: if failed_for_type(&aaaa) { a.edes } else { [aaaa.edes, a.edes].concat() },
        ..a
    }
}

fn synthesised(case: &Case<'_>, source: &RrSet, made: &RrSet) -> Note {
    let to = made.data.first().and_then(|rdata| <[u8; 16]>::try_from(rdata).ok()).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
    let from = case.snapshot.policy.dns64.prefix.extract(to).unwrap_or(Ipv4Addr::UNSPECIFIED);
    Note::Synthesised { name: source.name.clone(), from: IpAddr::V4(from), to: IpAddr::V6(to) }
}

/// RFC 6147 5.3.1: the name of an address behind the prefix is an alias for the name of the IPv4 address in it.
pub(super) fn reverse_alias(case: &Case<'_>) -> Option<LocalAnswer> {
    let name = &case.request.question.name;
    let target: Name = case.rights.dns64.then(|| case.snapshot.policy.dns64.reverse_in_ipv4(name))??;
    let alias = RrSet::with(name.clone(), Rtype::CNAME, ALIAS_TTL_S, target.as_wire());
    let asked = case.request.question.rtype;
    let onward = (asked != Rtype::CNAME && asked != Rtype::ANY).then_some(target);
    let zone = name.clone();
    Some(LocalAnswer { zone, source: LocalSource::Dns64, rcode: Rcode::NOERROR, answers: vec![alias], authority: Vec::new(), onward })
}
