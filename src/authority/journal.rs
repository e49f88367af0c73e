//! The journal of a zone: the changes that its file may not have yet, and those that incremental transfers consist of.
//!
//! ```text
//! "cairn-j1" | length of the apex 1 | apex
//! entry after entry: length of the body 4 | checksum 16 | body
//! body:  1 | SOA before, SOA after (TTL 4, length 2, RDATA) | length 4, removed | length 4, added | length 4, kept
//!        2 | serial 4: the zone's file says what the zone was at this serial
//! ```
//!
//! Numbers are big-endian, records lie as in `zone::Records`. *Kept* are the records of the changed sets that stay: with them it
//! is known what a changed set was before, whatever has become of the file. The checksum is the start of SHA-256 over the checksum
//! of the entry before, the length and the body, so that an entry counts only in its place. What is behind the first entry that is
//! not whole is not read.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use crate::record::{Name, Rtype};
use crate::zone::{Diff, Records, Zone, sets_at};

const MAGIC: &[u8; 8] = b"cairn-j1";
const CHECKSUM_BYTES: usize = 16;
const CHANGED: u8 = 1;
const WRITTEN: u8 = 2;

/// What one entry says.
pub enum Entry {
    Changed(Arc<Diff>, Records),
    /// The file says what the zone was at this serial.
    Written(u32),
}

/// The place behind the last entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalEnd {
    /// Octets from the start.
    pub at: u64,
    checksum: [u8; CHECKSUM_BYTES],
}

/// What follows the last entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    None,
    /// An entry whose end is missing: its writing was interrupted, and nobody was told that it is there.
    Torn,
    /// Octets that no writer leaves behind.
    Damaged,
}

/// A journal as it was read.
pub struct Journal {
    pub entries: Vec<Entry>,
    pub end: JournalEnd,
    pub tail: Tail,
}

/// The start of a journal.
pub fn journal_head(zone: &Name) -> (Vec<u8>, JournalEnd) {
    let head = [&MAGIC[..], &[zone.as_wire().len() as u8], zone.as_wire()].concat();
    let end = JournalEnd { at: head.len() as u64, checksum: checksum(&[0; CHECKSUM_BYTES], &head) };
    (head, end)
}

impl JournalEnd {
    /// The octets of one more entry; the end is then behind it.
    pub fn append(&mut self, entry: &Entry) -> Vec<u8> {
        let mut body = Vec::new();
        match entry {
            Entry::Changed(diff, kept) => {
                body.push(CHANGED);
                for (ttl, rdata) in &diff.soas {
                    body.extend_from_slice(&ttl.to_be_bytes());
                    body.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
                    body.extend_from_slice(rdata);
                }
                for records in [&diff.removed, &diff.added, kept] {
                    // A zone has less than 4 GiB.
                    body.extend_from_slice(&(records.as_octets().len() as u32).to_be_bytes());
                    body.extend_from_slice(records.as_octets());
                }
            }
            Entry::Written(serial) => {
                body.push(WRITTEN);
                body.extend_from_slice(&serial.to_be_bytes());
            }
        }
        let framed = [&(body.len() as u32).to_be_bytes()[..], &body].concat();
        self.checksum = checksum(&self.checksum, &framed);
        let entry = [&framed[..4], &self.checksum, &framed[4..]].concat();
        self.at += entry.len() as u64;
        entry
    }
}

fn checksum(before: &[u8; CHECKSUM_BYTES], framed: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let whole = digest(&SHA256, &[&before[..], framed].concat());
    let mut short = [0; CHECKSUM_BYTES];
    short.copy_from_slice(&whole.as_ref()[..CHECKSUM_BYTES]);
    short
}

/// Reads a journal of `zone`. `None`: it is no journal of this zone.
pub fn read_journal(bytes: &[u8], zone: &Name) -> Option<Journal> {
    let (head, mut end) = journal_head(zone);
    let mut rest = bytes.strip_prefix(&head[..])?;
    let mut entries = Vec::new();
    let tail = loop {
        let Some((start, after)) = rest.split_first_chunk::<{ 4 + CHECKSUM_BYTES }>() else {
            break if rest.is_empty() { Tail::None } else { Tail::Torn };
        };
        let length = u32::from_be_bytes([start[0], start[1], start[2], start[3]]) as usize;
        let Some((body, next)) = after.split_at_checked(length) else { break Tail::Torn };
        let sum = checksum(&end.checksum, &[&start[..4], body].concat());
        let Some(entry) = read_entry(body).filter(|_| sum[..] == start[4..]) else { break Tail::Damaged };
        entries.push(entry);
        (end.at, end.checksum, rest) = (end.at + (start.len() + length) as u64, sum, next);
    };
    Some(Journal { entries, end, tail })
}

fn read_entry(body: &[u8]) -> Option<Entry> {
    let (kind, rest) = body.split_first()?;
    match *kind {
        WRITTEN => Some(Entry::Written(u32::from_be_bytes(rest.try_into().ok()?))),
        CHANGED => {
            let (before, rest) = soa(rest)?;
            let (after, rest) = soa(rest)?;
            let (removed, rest) = records(rest)?;
            let (added, rest) = records(rest)?;
            let (kept, rest) = records(rest)?;
            let (from, to) = (serial_of(&before.1)?, serial_of(&after.1)?);
            rest.is_empty().then(|| Entry::Changed(Arc::new(Diff { from, to, removed, added, soas: [before, after] }), kept))
        }
        _ => None,
    }
}

type Soa = (u32, Box<[u8]>);

fn soa(octets: &[u8]) -> Option<(Soa, &[u8])> {
    let ([t0, t1, t2, t3, l0, l1], rest) = octets.split_first_chunk::<6>()?;
    let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
    Some(((u32::from_be_bytes([*t0, *t1, *t2, *t3]), rdata.into()), rest))
}

fn records(octets: &[u8]) -> Option<(Records, &[u8])> {
    let (length, rest) = octets.split_first_chunk::<4>()?;
    let (records, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((Records::from_octets(records)?, rest))
}

fn serial_of(soa: &[u8]) -> Option<u32> {
    soa.last_chunk::<20>().map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]))
}

/// The entry of a change from `old` to `new`.
pub fn changed_entry(old: &Zone, new: &Zone) -> Entry {
    let diff = Diff::between(old, new);
    let of = |records: &Records| records.iter().map(|record| (record.owner.to_vec(), record.rtype)).collect::<BTreeSet<(Vec<u8>, Rtype)>>();
    let sets: BTreeSet<(Vec<u8>, Rtype)> = of(&diff.removed).union(&of(&diff.added)).cloned().collect();
    let removed: BTreeSet<(&[u8], Rtype, u32, &[u8])> =
        diff.removed.iter().map(|record| (record.owner, record.rtype, record.ttl, record.rdata)).collect();
    let mut kept = Records::default();
    for (owner, rtype) in &sets {
        for set in sets_at(old, owner).filter(|set| set.rtype == *rtype) {
            for rdata in set.rdatas().filter(|rdata| !removed.contains(&(&owner[..], *rtype, set.ttl, *rdata))) {
                kept.add(owner, *rtype, set.ttl, rdata);
            }
        }
    }
    Entry::Changed(Arc::new(diff), kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{load_zone, patched};

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(serial: u32, more: &str) -> Zone {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
        load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    /// A journal with its entries, and where each ends.
    fn written() -> (Vec<u8>, Vec<u64>) {
        let versions = [zone(1, "a A 192.0.2.1\na A 192.0.2.2\n"), zone(2, "a A 192.0.2.1\n"), zone(3, "b TXT x\n"), zone(4, "")];
        let (mut bytes, mut end) = journal_head(&name("example."));
        let mut ends = vec![end.at];
        for pair in versions.windows(2) {
            for entry in [changed_entry(&pair[0], &pair[1]), Entry::Written(pair[1].serial())] {
                bytes.extend(end.append(&entry));
                ends.push(end.at);
            }
        }
        assert_eq!(end.at, bytes.len() as u64);
        (bytes, ends)
    }

    fn shown(entries: &[Entry]) -> Vec<String> {
        let entry = |entry: &Entry| match entry {
            Entry::Changed(diff, kept) => {
                format!(
                    "{} to {}: -{} +{} ={}",
                    diff.from,
                    diff.to,
                    diff.removed.iter().count(),
                    diff.added.iter().count(),
                    kept.iter().count()
                )
            }
            Entry::Written(serial) => format!("written {serial}"),
        };
        entries.iter().map(entry).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let (bytes, _) = written();
        let journal = read_journal(&bytes, &name("example.")).expect("a journal");
        assert_eq!(journal.tail, Tail::None);
        assert_eq!(
            shown(&journal.entries),
            ["1 to 2: -1 +0 =1", "written 2", "2 to 3: -1 +1 =0", "written 3", "3 to 4: -1 +0 =0", "written 4"]
        );
        let mut now = zone(1, "a A 192.0.2.1\na A 192.0.2.2\n");
        for entry in &journal.entries {
            if let Entry::Changed(diff, _) = entry {
                now = patched(&now, diff).expect("it fits");
            }
        }
        assert_eq!(now.serial(), 4);
        assert!(read_journal(&bytes, &name("other.")).is_none() && read_journal(b"", &name("example.")).is_none());
    }

    /// Every truncation leaves the entries before it, and every flipped octet those before it; what follows is told.
    #[test]
    fn every_truncation_and_every_flipped_octet() {
        let (bytes, ends) = written();
        let whole = shown(&read_journal(&bytes, &name("example.")).expect("a journal").entries);
        let entries_before = |at: usize| ends.iter().filter(|end| **end as usize <= at).count().saturating_sub(1);
        for len in 0..bytes.len() {
            match read_journal(&bytes[..len], &name("example.")) {
                None => assert!(len < ends[0] as usize),
                Some(journal) => {
                    assert_eq!(shown(&journal.entries), whole[..entries_before(len)], "{len}");
                    let is_at_end = ends.contains(&(len as u64));
                    assert_eq!(journal.tail, if is_at_end { Tail::None } else { Tail::Torn }, "{len}");
                }
            }
        }
        for at in 0..bytes.len() {
            for bit in [0x01, 0x80, 0xff] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                match read_journal(&flipped, &name("example.")) {
                    None => assert!(at < ends[0] as usize),
                    Some(journal) => {
                        assert_eq!(shown(&journal.entries), whole[..entries_before(at)], "{at}");
                        assert_ne!(journal.tail, Tail::None, "{at}");
                        assert!(journal.end.at <= at as u64);
                    }
                }
            }
        }
    }
}
