//! How long an HTTP cache may keep a reply (RFC 8484 5.1): no longer than the smallest TTL of the answer, and than the denial.

use crate::record::{Rcode, Rtype};
use crate::wire::{Message, Section};

/// Seconds that a failure may be kept: the servers of the zone may be back soon.
const FAILURE_S: u32 = 5;

/// Seconds for `Cache-Control: max-age`.
pub(super) fn max_age(reply: &[u8]) -> u32 {
    let Ok(message) = Message::parse(reply) else { return 0 };
    let answer = message.records(Section::Answer).map(|record| record.ttl());
    // RFC 2308 5: the SOA record of a denial has the TTL that the denial may be kept for, or its last field has. An alias may stand
    // before the denial of its target.
    let denial = message.records(Section::Authority).filter(|record| record.rtype() == Rtype::SOA).map(|record| {
        let mut soa = Vec::new();
        let last = record.expand_rdata(&mut soa).ok().and_then(|()| soa.last_chunk::<4>());
        record.ttl().min(last.map_or(0, |minimum| u32::from_be_bytes(*minimum)))
    });
    let least = answer.chain(denial).min();
    match message.rcode() {
        Rcode::SERVFAIL => least.map_or(FAILURE_S, |least| least.min(FAILURE_S)),
        Rcode::NOERROR | Rcode::NXDOMAIN => least.unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Class, Name, Question};
    use crate::wire::{Flags, Header, Writer};

    #[test]
    fn the_smallest_ttl_counts() {
        let name: Name = "www.example.".parse().expect("a name");
        let soa = [b"\0\0".as_slice(), &[0; 16], &60u32.to_be_bytes()].concat();
        let reply = |rcode: Rcode, records: &[(Section, Rtype, u32, &[u8])]| {
            let mut writer = Writer::new(Vec::new(), 512);
            writer.header(Header { id: 0, flags: Flags(Flags::QR).with_rcode(rcode.0), counts: [0; 4] });
            writer.question(&Question::new(name.clone(), Rtype::A)).expect("room");
            for (section, rtype, ttl, rdata) in records {
                writer.record(*section, &name, *rtype, Class::IN, *ttl, rdata).expect("room");
            }
            max_age(&writer.finish())
        };
        let address: &[u8] = &[192, 0, 2, 1];
        let (a, ns) = (|ttl| (Section::Answer, Rtype::A, ttl, address), (Section::Additional, Rtype::A, 1, address));
        assert_eq!(reply(Rcode::NOERROR, &[a(300), a(20), ns]), 20);
        assert_eq!(reply(Rcode::NOERROR, &[(Section::Authority, Rtype::SOA, 300, &soa)]), 60);
        assert_eq!(reply(Rcode::NXDOMAIN, &[(Section::Authority, Rtype::SOA, 30, &soa)]), 30);
        assert_eq!(reply(Rcode::NXDOMAIN, &[a(300), (Section::Authority, Rtype::SOA, 300, &soa)]), 60, "the target of an alias");
        assert_eq!(reply(Rcode::NOERROR, &[a(20), (Section::Authority, Rtype::SOA, 300, &soa)]), 20);
        assert_eq!(reply(Rcode::NXDOMAIN, &[]), 0);
        assert_eq!(reply(Rcode::SERVFAIL, &[a(300)]), FAILURE_S);
        assert_eq!(reply(Rcode::SERVFAIL, &[a(2)]), 2);
        assert_eq!(reply(Rcode::SERVFAIL, &[]), FAILURE_S);
        assert_eq!(reply(Rcode::REFUSED, &[]), 0);
        assert_eq!(max_age(b"short"), 0);
    }
}
