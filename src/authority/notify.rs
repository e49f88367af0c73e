//! Telling other servers that a zone has changed (RFC 1996): whom, when, and how often.
//!
//! ```text
//! changed ─► due now ─► sent ─► due after 3 s ─► sent ─► after 6 s ─► after 12 s …      until answered
//! ```
//!
//! A newer change of the same zone begins anew. The caller sends what is due, and says what was answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::AddressEntry;
use crate::env::BootTime;
use crate::limits::server::NOTIFY_INTERVAL_MAX;
use crate::record::{Class, Name, Rtype};
use crate::wire::{Flags, Header, Message, Opcode, Section, Writer};
use crate::zone::Zone;

/// RFC 1996 3.6 suggests 60 s, which is long for one lost datagram.
const FIRST_INTERVAL: Duration = Duration::from_secs(3);

/// One server that is to be told of one zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub zone: Name,
    pub server: SocketAddr,
    /// SOA for other servers of the zone; CDS for its parent (RFC 9859).
    pub about: Rtype,
    /// The TSIG key to sign with.
    pub key: Option<Name>,
}

/// All NOTIFYs that are not answered yet. Never more than the configuration has targets.
#[derive(Default)]
pub struct Notifies(BTreeMap<Target, Pending>);

struct Pending {
    serial: u32,
    due: BootTime,
    interval: Duration,
}

impl Notifies {
    /// The zone has a new serial; these servers are told at once.
    pub fn changed(&mut self, zone: &Name, serial: u32, told: &[AddressEntry], now: BootTime) {
        self.0.retain(|target, _| target.zone != *zone || target.about != Rtype::SOA);
        for entry in told {
            if let Some(server) = entry.host() {
                let target = Target { zone: zone.clone(), server, about: Rtype::SOA, key: entry.key.clone() };
                self.0.insert(target, Pending { serial, due: now, interval: FIRST_INTERVAL });
            }
        }
    }

    /// The zone has other CDS records; the parent wants to hear of it at these addresses.
    pub fn cds_changed(&mut self, zone: &Name, servers: &[SocketAddr], now: BootTime) {
        self.0.retain(|target, _| target.zone != *zone || target.about != Rtype::CDS);
        for server in servers {
            let target = Target { zone: zone.clone(), server: *server, about: Rtype::CDS, key: None };
            self.0.insert(target, Pending { serial: 0, due: now, interval: FIRST_INTERVAL });
        }
    }

    /// Zones that are no longer served here are not spoken of.
    pub fn keep(&mut self, is_served: impl Fn(&Name) -> bool) {
        self.0.retain(|target, _| is_served(&target.zone));
    }

    /// What is to be sent now, with its serial; each is due again later.
    pub fn due(&mut self, now: BootTime) -> Vec<(Target, u32)> {
        let mut due = Vec::new();
        for (target, pending) in self.0.iter_mut().filter(|(_, pending)| pending.due <= now) {
            due.push((target.clone(), pending.serial));
            pending.due = now + pending.interval;
            pending.interval = (pending.interval * 2).min(NOTIFY_INTERVAL_MAX);
        }
        // A parent looks by itself some time.
        self.0.retain(|target, pending| target.about == Rtype::SOA || pending.interval < NOTIFY_INTERVAL_MAX);
        due
    }

    /// The server has answered what it was told of this serial.
    pub fn answered(&mut self, target: &Target, serial: u32) {
        if self.0.get(target).is_some_and(|pending| pending.serial == serial) {
            self.0.remove(target);
        }
    }

    /// When something is due next.
    pub fn next(&self) -> Option<BootTime> {
        self.0.values().map(|pending| pending.due).min()
    }
}

/// The message: the SOA of the zone is a hint of what is new (RFC 1996 3.7).
pub fn notify_message(zone: &Zone, id: u16) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 512);
    let flags = Flags(u16::from(Opcode::NOTIFY.0) << 11 | Flags::AA);
    writer.header(Header { id, flags, counts: [0; 4] });
    let soa = zone.soa();
    // A question always fits; a SOA whose names are too long is left out.
    let _ = writer.question(&crate::record::Question::new(zone.apex().clone(), Rtype::SOA));
    if let Some(rdata) = soa.rdatas().next() {
        let _ = writer.record(Section::Answer, zone.apex(), Rtype::SOA, Class::IN, soa.ttl, rdata);
    }
    writer.finish()
}

/// NOTIFY of a change of the CDS records (RFC 9859 4.2).
pub fn cds_notify_message(zone: &Name, id: u16) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), 512);
    writer.header(Header { id, flags: Flags(u16::from(Opcode::NOTIFY.0) << 11 | Flags::AA), counts: [0; 4] });
    let _ = writer.question(&crate::record::Question::new(zone.clone(), Rtype::CDS));
    writer.finish()
}

/// Whether this is the reply to the NOTIFY with this ID. Whatever its RCODE, it need not be sent again (RFC 1996 4.8).
pub fn is_notify_reply(packet: &[u8], zone: &Name, about: Rtype, id: u16) -> bool {
    Message::parse(packet).is_ok_and(|message| {
        let header = message.header();
        let is_of_zone = message.question().is_none_or(|question| question == (zone.clone(), about, Class::IN));
        header.id == id && header.flags.has(Flags::QR) && header.flags.opcode() == Opcode::NOTIFY && is_of_zone
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::zone::load_zone;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn entries(list: &str) -> Vec<AddressEntry> {
        let text = format!("[[key]]\nname = 'k'\nsecret = 'AAAA'\n[[zone]]\nname = 'a'\nfile = 'a'\nnotify = [{list}]\n");
        Settings::from_toml(&text, "c.toml").expect("valid").zones[0].told_of_changes()
    }

    const AT: fn(u64) -> BootTime = |seconds| BootTime(seconds * 1_000);

    #[test]
    fn it_is_repeated_until_it_is_answered() {
        let mut notifies = Notifies::default();
        notifies.changed(&name("example."), 7, &entries("'192.0.2.1', '192.0.2.2:5353 key k'"), AT(0));
        let mut times = Vec::new();
        let answering: SocketAddr = "192.0.2.2:5353".parse().expect("an address");
        for second in 0..100 {
            for (target, serial) in notifies.due(AT(second)) {
                times.push((second, target.server.port()));
                if target.server == answering && second >= 3 {
                    assert_eq!(target.key, Some(name("k.")));
                    notifies.answered(&target, serial);
                }
            }
        }
        assert_eq!(times, [(0, 53), (0, 5353), (3, 53), (3, 5353), (9, 53), (21, 53), (45, 53), (93, 53)]);
        assert_eq!(notifies.next(), Some(AT(93 + 96)));
        notifies.keep(|_| false);
        assert_eq!(notifies.next(), None);
    }

    #[test]
    fn a_newer_change_begins_anew_and_an_old_answer_does_not_end_it() {
        let mut notifies = Notifies::default();
        let told = entries("'192.0.2.1'");
        notifies.changed(&name("example."), 7, &told, AT(0));
        let (target, serial) = notifies.due(AT(0)).remove(0);
        notifies.changed(&name("example."), 8, &told, AT(1));
        assert_eq!(notifies.due(AT(1)), [(target.clone(), 8)]);
        notifies.answered(&target, serial);
        assert_eq!(notifies.next(), Some(AT(4)));
        notifies.answered(&target, 8);
        assert_eq!(notifies.next(), None);
        notifies.changed(&name("example."), 9, &told, AT(10));
        notifies.changed(&name("example."), 9, &[], AT(11));
        assert_eq!(notifies.due(AT(20)), []);
    }

    #[test]
    fn the_longest_interval() {
        let mut notifies = Notifies::default();
        notifies.changed(&name("example."), 7, &entries("'192.0.2.1'"), AT(0));
        let times: Vec<u64> = (0..100_000).filter(|second| !notifies.due(AT(*second)).is_empty()).collect();
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps.last(), Some(&NOTIFY_INTERVAL_MAX.as_secs()));
    }

    #[test]
    fn the_message_and_its_reply() {
        let text = "$TTL 300\n@ SOA ns host 7 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n";
        let (zone, _) = load_zone(&name("example."), "test", &mut |_| Ok(text.as_bytes().to_vec())).expect("a zone");
        let sent = notify_message(&zone, 9);
        let message = Message::parse(&sent).expect("well formed");
        assert_eq!((message.header().flags.0, message.header().counts), (0x2400, [1, 1, 0, 0]));
        let mut reply = sent.clone();
        reply[2] |= 0x80;
        assert!(is_notify_reply(&reply, &name("example."), Rtype::SOA, 9));
        for (packet, zone, id) in [(&sent, "example.", 9), (&reply, "example.", 8), (&reply, "other.", 9)] {
            assert!(!is_notify_reply(packet, &name(zone), Rtype::SOA, id));
        }
        reply[3] |= 5;
        assert!(is_notify_reply(&reply, &name("example."), Rtype::SOA, 9), "a refusal is an answer");
    }

    /// A parent is told apart from the zone's servers, and not for ever.
    #[test]
    fn a_parent_is_told_of_cds() {
        let (zone, server) = (name("example."), SocketAddr::from(([192, 0, 2, 9], 5_300)));
        let mut notifies = Notifies::default();
        notifies.cds_changed(&zone, &[server], BootTime(0));
        notifies.changed(&zone, 7, &[], BootTime(0));
        let (mut now, mut count) = (BootTime(0), 0);
        while let Some(due) = notifies.next() {
            now = due;
            count += notifies.due(now).len();
        }
        assert!((8..20).contains(&count) && now.0 < 10_000_000, "{count} {now:?}");
        notifies.cds_changed(&zone, &[server], now);
        let (target, serial) = notifies.due(now).pop().expect("one");
        assert_eq!((target.about, target.server), (Rtype::CDS, server));
        let message = cds_notify_message(&zone, 9);
        let mut reply = message.clone();
        reply[2] |= 0x80;
        assert_eq!(Message::parse(&message).expect("well formed").question(), Some((zone.clone(), Rtype::CDS, Class::IN)));
        assert!(is_notify_reply(&reply, &zone, Rtype::CDS, 9) && !is_notify_reply(&reply, &zone, Rtype::SOA, 9));
        notifies.answered(&target, serial);
        assert_eq!(notifies.next(), None);
    }
}
