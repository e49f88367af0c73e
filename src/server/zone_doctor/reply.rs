//! What one reply shows of a zone. Nothing of it is believed by anybody: it is compared.

use std::net::IpAddr;

use super::super::parent_side::{Ds, Key, Signature};
use super::facts::{Delegation, Keys, Said, Soa, SoaSeen};
use crate::record::{Name, Rcode, Rtype};
use crate::wire::{Flags, Message, Section};

fn rdatas(message: &Message<'_>, section: Section, owner: &Name, rtype: Rtype) -> Vec<Vec<u8>> {
    let records = message.records(section).filter(|record| record.rtype() == rtype);
    let of_owner = records.filter(|record| record.owner().is_ok_and(|name| name == *owner));
    of_owner
        .filter_map(|record| {
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).ok().map(|()| rdata)
        })
        .collect()
}

fn names(rdatas: &[Vec<u8>]) -> Vec<Name> {
    rdatas.iter().filter_map(|rdata| Name::from_wire(rdata).ok()).collect()
}

/// Signatures over the set of this type at the zone's own name.
fn signatures(message: &Message<'_>, zone: &Name, covered: Rtype) -> Vec<Signature> {
    let all = rdatas(message, Section::Answer, zone, Rtype::RRSIG);
    all.iter().filter(|rdata| rdata.starts_with(&covered.0.to_be_bytes())).filter_map(|rdata| Signature::read(rdata)).collect()
}

/// The reply to the question for the SOA.
pub(super) fn soa(message: &Message<'_>, zone: &Name) -> SoaSeen {
    let soa = rdatas(message, Section::Answer, zone, Rtype::SOA);
    SoaSeen {
        authoritative: message.header().flags.has(Flags::AA),
        rcode: message.rcode(),
        serial: soa.first().and_then(|rdata| Soa::read(rdata)).map(|soa| soa.serial),
        signatures: signatures(message, zone, Rtype::SOA),
    }
}

/// The NS records that a server of the zone has.
pub(super) fn servers(message: &Message<'_>, zone: &Name) -> Vec<Name> {
    names(&rdatas(message, Section::Answer, zone, Rtype::NS))
}

pub(super) fn keys(message: &Message<'_>, zone: &Name) -> Keys {
    let keys = rdatas(message, Section::Answer, zone, Rtype::DNSKEY).into_iter().map(|rdata| Key { rdata }).collect();
    Keys { keys, signatures: signatures(message, zone, Rtype::DNSKEY) }
}

/// A server offers recursion, and has not refused the question.
pub(super) fn recurses(message: &Message<'_>) -> bool {
    message.header().flags.has(Flags::RA) && message.rcode() != Rcode::REFUSED
}

/// What a server of the parent replies to the question for the NS records of the zone.
pub(super) fn referral(message: &Message<'_>, zone: &Name) -> Said {
    let servers = names(&rdatas(message, Section::Authority, zone, Rtype::NS));
    if servers.is_empty() {
        // RFC 1034 4.3.2: who serves both zones answers from the lower one.
        let is_answered = !rdatas(message, Section::Answer, zone, Rtype::NS).is_empty();
        return if is_answered { Said::ServesTheZone } else { Said::NoDelegation(message.rcode()) };
    }
    let glue = |name: &Name| {
        let of_type = |rtype: Rtype| rdatas(message, Section::Additional, name, rtype);
        let v4 = of_type(Rtype::A).into_iter().filter_map(|rdata| Some(IpAddr::from(<[u8; 4]>::try_from(rdata).ok()?)));
        let v6 = of_type(Rtype::AAAA).into_iter().filter_map(|rdata| Some(IpAddr::from(<[u8; 16]>::try_from(rdata).ok()?)));
        v4.chain(v6).map(|address| (name.clone(), address)).collect::<Vec<_>>()
    };
    Said::Delegation(Delegation { glue: servers.iter().flat_map(glue).collect(), servers, ds: None })
}

/// `None`: the question for the DS records was not answered.
pub(super) fn ds(message: &Message<'_>, zone: &Name) -> Option<Vec<Ds>> {
    let is_answered = message.rcode() == Rcode::NOERROR;
    is_answered.then(|| rdatas(message, Section::Answer, zone, Rtype::DS).iter().filter_map(|rdata| Ds::read(rdata)).collect())
}
