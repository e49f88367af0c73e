//! The records in place of a blocked name's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::BlockAnswer;
use crate::policy::denial_soa;
use crate::record::{Name, Question, Rcode, RrSet, Rtype};

/// The sections of the answer, and its response code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocked {
    pub rcode: Rcode,
    pub answers: Vec<RrSet>,
    pub authority: Vec<RrSet>,
}

/// The answer for a blocked name. A denial has a SOA record, so that caches keep it as long as they may (RFC 2308 5).
pub fn blocked(kind: &BlockAnswer, question: &Question, ttl: u32) -> Blocked {
    let denial = |rcode| Blocked { rcode, answers: Vec::new(), authority: vec![denial_soa(&question.name, ttl)] };
    match kind {
        BlockAnswer::NxDomain => denial(Rcode::NXDOMAIN),
        BlockAnswer::NoData => denial(Rcode::NOERROR),
        BlockAnswer::Refused => Blocked { rcode: Rcode::REFUSED, answers: Vec::new(), authority: Vec::new() },
        BlockAnswer::Null => of_addresses(&[IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)], question, ttl),
        BlockAnswer::Addresses(addresses) => of_addresses(addresses, question, ttl),
    }
}

/// Those of the asked type; none of it: no data.
pub fn of_addresses(addresses: &[IpAddr], question: &Question, ttl: u32) -> Blocked {
    let set = |rtype: Rtype| {
        let mut set = RrSet::new(question.name.clone(), rtype, ttl);
        for address in addresses {
            match (rtype, address) {
                (Rtype::A, IpAddr::V4(v4)) => set.data.push(&v4.octets()),
                (Rtype::AAAA, IpAddr::V6(v6)) => set.data.push(&v6.octets()),
                _ => {}
            }
        }
        set
    };
    let types: &[Rtype] = match question.rtype {
        Rtype::A => &[Rtype::A],
        Rtype::AAAA => &[Rtype::AAAA],
        Rtype::ANY => &[Rtype::A, Rtype::AAAA],
        _ => &[],
    };
    let answers: Vec<RrSet> = types.iter().map(|rtype| set(*rtype)).filter(|set| !set.data.is_empty()).collect();
    let authority = if answers.is_empty() { vec![denial_soa(&question.name, ttl)] } else { Vec::new() };
    Blocked { rcode: Rcode::NOERROR, answers, authority }
}

/// An alias in place of the name's records.
pub fn alias(name: &Name, target: &Name, ttl: u32) -> RrSet {
    RrSet::with(name.clone(), Rtype::CNAME, ttl, target.as_wire())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::rdata_to_text;

    #[test]
    fn each_kind_for_each_type() {
        let own = BlockAnswer::Addresses(["192.0.2.7", "192.0.2.8"].iter().map(|text| text.parse().expect("an address")).collect());
        for (kind, rtype, expected) in [
            (&BlockAnswer::Null, Rtype::A, "NOERROR 0.0.0.0"),
            (&BlockAnswer::Null, Rtype::AAAA, "NOERROR ::"),
            (&BlockAnswer::Null, Rtype::ANY, "NOERROR 0.0.0.0 ::"),
            (&BlockAnswer::Null, Rtype::HTTPS, "NOERROR SOA"),
            (&BlockAnswer::Null, Rtype::TXT, "NOERROR SOA"),
            (&BlockAnswer::NxDomain, Rtype::A, "NXDOMAIN SOA"),
            (&BlockAnswer::NoData, Rtype::AAAA, "NOERROR SOA"),
            (&BlockAnswer::Refused, Rtype::A, "REFUSED"),
            (&own, Rtype::A, "NOERROR 192.0.2.7 192.0.2.8"),
            (&own, Rtype::AAAA, "NOERROR SOA"),
        ] {
            let given = blocked(kind, &Question::new(Name::parse("ads.test.").expect("a name"), rtype), 60);
            let mut told = vec![given.rcode.to_string()];
            let records = given.answers.iter().flat_map(|set| set.data.iter().map(|rdata| rdata_to_text(set.rtype, rdata)));
            told.extend(records);
            for set in &given.authority {
                assert_eq!(&set.data.first().expect("a record")[set.data.first().map_or(0, <[u8]>::len) - 4..], 60u32.to_be_bytes());
                told.push(set.rtype.to_string());
            }
            assert!(given.answers.iter().chain(&given.authority).all(|set| set.ttl == 60));
            assert_eq!(told.join(" "), expected, "{kind} {rtype}");
        }
    }
}
