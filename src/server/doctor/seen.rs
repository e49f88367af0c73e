//! What a reply shows: its header, and of its records what a check asks about.

use std::net::IpAddr;

use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::rr::RData;

use crate::record::{Name, Rcode, Rtype};
use crate::wire::{Flags, Message, Section, name_of, typed_rdata};

/// A reply, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) authoritative: bool,
    pub(super) recursion_available: bool,
    pub(super) truncated: bool,
    /// It has an OPT record (RFC 6891).
    pub(super) edns: bool,
    pub(super) rcode: Rcode,
    /// Names of the servers in the answer's NS records.
    pub(super) servers: Vec<Name>,
    /// Addresses in the answer.
    pub(super) addresses: Vec<IpAddr>,
    /// Number of DNSKEY records in the answer.
    pub(super) keys: usize,
    /// The signatures over the DNSKEY records of the answer.
    pub(super) signatures: Vec<Signature>,
}

/// When a signature is valid, and who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key_tag: u16,
    /// Seconds since 1970, as serial numbers (RFC 4034 3.1.5).
    pub(super) inception: u32,
    pub(super) expiration: u32,
}

impl Seen {
    /// `None`: this is no message. Records that hickory-proto refuses are left out.
    pub(super) fn read(reply: &[u8]) -> Option<Seen> {
        let message = Message::parse(reply).ok()?;
        let flags = message.header().flags;
        let mut seen = Seen {
            authoritative: flags.has(Flags::AA),
            recursion_available: flags.has(Flags::RA),
            truncated: flags.has(Flags::TC),
            edns: message.edns().is_some(),
            rcode: message.rcode(),
            servers: Vec::new(),
            addresses: Vec::new(),
            keys: 0,
            signatures: Vec::new(),
        };
        for record in message.records(Section::Answer) {
            let mut rdata = Vec::new();
            if record.expand_rdata(&mut rdata).is_ok() {
                seen.take(record.rtype(), &rdata);
            }
        }
        Some(seen)
    }

    fn take(&mut self, rtype: Rtype, rdata: &[u8]) {
        match typed_rdata(rtype, rdata) {
            Some(RData::NS(target)) => self.servers.extend(name_of(&target.0)),
            Some(RData::A(a)) => self.addresses.push(a.0.into()),
            Some(RData::AAAA(aaaa)) => self.addresses.push(aaaa.0.into()),
            Some(RData::DNSSEC(DNSSECRData::DNSKEY(_))) => self.keys += 1,
            Some(RData::DNSSEC(DNSSECRData::RRSIG(rrsig))) if u16::from(rrsig.input().type_covered) == Rtype::DNSKEY.0 => {
                let input = rrsig.input();
                self.signatures.push(Signature {
                    key_tag: input.key_tag,
                    inception: input.sig_inception.get(),
                    expiration: input.sig_expiration.get(),
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Class, Question, rdata_from_text};
    use crate::wire::{Header, Writer};

    #[test]
    fn what_a_reply_shows() {
        let root = Name::root();
        let mut writer = Writer::new(Vec::new(), 65_535);
        writer.header(Header { id: 1, flags: Flags(Flags::QR | Flags::AA | Flags::RA), counts: [0; 4] });
        writer.question(&Question::new(root.clone(), Rtype::DNSKEY)).expect("room");
        for (rtype, data) in [
            (Rtype::NS, "a.root-servers.net."),
            (Rtype::A, "192.0.2.1"),
            (Rtype::AAAA, "2001:db8::1"),
            (Rtype::DNSKEY, "257 3 8 AwEAAcw="),
            (Rtype::RRSIG, "DNSKEY 8 0 172800 20261222000000 20261201000000 38696 . Zm9v"),
            (Rtype::RRSIG, "NS 8 0 172800 20261222000000 20261201000000 1 . Zm9v"),
        ] {
            let rdata = rdata_from_text(rtype, data, root.as_wire()).expect(data);
            writer.record(Section::Answer, &root, rtype, Class::IN, 60, &rdata).expect("room");
        }
        let seen = Seen::read(&writer.finish()).expect("a message");
        assert!(seen.authoritative && seen.recursion_available && !seen.truncated && !seen.edns);
        assert_eq!((seen.rcode, seen.keys), (Rcode::NOERROR, 1));
        assert_eq!(seen.servers, [Name::parse("a.root-servers.net.").expect("a name")]);
        assert_eq!(seen.addresses, ["192.0.2.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().expect(text)));
        assert_eq!(seen.signatures, [Signature { key_tag: 38_696, inception: 1_796_083_200, expiration: 1_797_897_600 }]);
        assert_eq!(Seen::read(b"no message"), None);
    }
}
