//! Replies from the local copy of the root zone (RFC 8806), as a root server would send them; the walk treats both alike.

use std::sync::Arc;

use super::hosted::authoritative_outcome;
use crate::authority;
use crate::env::BootTime;
use crate::record::{Class, Name, Question, Rcode, RrSet, Rtype};
use crate::wire::{Flags, Full, Header, Section, Writer};
use crate::zone::{Zone, Zones};

/// A verified copy of the root zone, and the time until which it may be used.
pub struct LocalRoot {
    zones: Zones,
    expires: BootTime,
}

impl LocalRoot {
    /// `zone` must have been verified by its ZONEMD record.
    pub fn new(zone: Zone, expires: BootTime) -> LocalRoot {
        LocalRoot { zones: Zones::new([Arc::new(zone)], 0), expires }
    }

    /// The copied zone, expired or not.
    pub fn zone(&self) -> Option<&Arc<Zone>> {
        self.zones.get(Name::root().as_wire())
    }

    /// Whether the copy has not expired.
    pub fn is_live(&self, now: BootTime) -> bool {
        self.expires > now
    }

    /// The reply of a root server, with DNSSEC records; `None` if the copy has expired.
    pub fn reply(&self, question: &Question, now: BootTime) -> Option<Vec<u8>> {
        if !self.is_live(now) {
            return None;
        }
        let outcome = authoritative_outcome(authority::answer(&self.zones, question, 0)?);
        let mut writer = Writer::new(Vec::with_capacity(1_024), usize::from(u16::MAX));
        let flags = Flags(Flags::QR).with(Flags::AA, outcome.authoritative).with_rcode(outcome.rcode().0);
        writer.header(Header { id: 0, flags, counts: [0; 4] });
        writer.question(question).ok()?;
        let sections = [
            (Section::Answer, &outcome.answers),
            (Section::Authority, &outcome.authority),
            (Section::Additional, &outcome.glue),
            (Section::Additional, &outcome.additional),
        ];
        for (section, sets) in sections {
            sets.iter().try_for_each(|set| write_set(&mut writer, section, set)).ok()?;
        }
        writer.opt(1_232, Rcode::NOERROR, true, &[]).ok()?;
        Some(writer.finish())
    }
}

fn write_set(writer: &mut Writer, section: Section, set: &RrSet) -> Result<(), Full> {
    let records = set.data.iter().map(|rdata| (set.rtype, rdata)).chain(set.sigs.iter().map(|rdata| (Rtype::RRSIG, rdata)));
    for (rtype, rdata) in records {
        writer.record(section, &set.name, rtype, Class::IN, set.ttl, rdata)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Message;
    use crate::zone::load_zone;

    const ROOT: &str = "$TTL 300\n. SOA a.root. host. 7 1800 900 604800 86400\n. NS a.root.\na.root. A 192.0.2.1\n\
        com. NS ns.com.\nns.com. A 192.0.2.2\n";

    fn counts(question: &str, rtype: Rtype, now: BootTime) -> Option<(Rcode, bool, [u16; 4])> {
        let (zone, _) = load_zone(&Name::root(), "test", &mut |_| Ok(ROOT.as_bytes().to_vec())).expect("a zone");
        let copy = LocalRoot::new(zone, BootTime(1_000));
        let question = Question::new(Name::parse(question).expect("a name"), rtype);
        let reply = copy.reply(&question, now)?;
        let message = Message::parse(&reply).expect("a message");
        assert!(message.asks(&question));
        Some((message.rcode(), message.header().flags.has(Flags::AA), message.header().counts))
    }

    #[test]
    fn referrals_denials_and_answers() {
        let now = BootTime(1);
        assert_eq!(counts("www.example.com.", Rtype::A, now), Some((Rcode::NOERROR, false, [1, 0, 1, 2])));
        assert_eq!(counts("nothing.", Rtype::A, now), Some((Rcode::NXDOMAIN, true, [1, 0, 1, 1])));
        assert_eq!(counts(".", Rtype::NS, now), Some((Rcode::NOERROR, true, [1, 1, 0, 2])));
        assert_eq!(counts("com.", Rtype::DS, now).map(|(rcode, aa, _)| (rcode, aa)), Some((Rcode::NOERROR, true)));
        assert_eq!(counts("com.", Rtype::NS, BootTime(1_000)), None, "the copy has expired");
    }
}
