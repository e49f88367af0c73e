//! Names that are answered here and never looked up: the special-use names of RFC 6761's registry, and the reverse zones of
//! addresses that have a local meaning (RFC 6303, RFC 7793).
//!
//! One table has the answer for each name; at reload it becomes a tree of labels, so that an ordinary name costs one hash
//! look-up of its last label. The caller first looks for hosted zones and rules at such a name. `example.`, `example.com.` and
//! their like (RFC 6761 6.5) and `ipv4only.arpa.` (RFC 8880) are ordinary names here.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::record::{Name, Question, RrSet, Rtype};

/// One special name; it covers everything at and below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Special {
    pub name: Name,
    /// The document and section that define it.
    pub rfc: &'static str,
    behaviour: Behaviour,
}

/// The answer for a special name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecialAnswer {
    NxDomain {
        soa: RrSet,
    },
    NoData {
        soa: RrSet,
    },
    Sets(Vec<RrSet>),
    /// Not special for this type: resolved like any other question.
    Ordinary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    /// Neither the name nor anything below it exists.
    Nowhere,
    /// The loopback addresses, at the name and at everything below it.
    Loopback,
    /// An empty zone: SOA and NS at the apex, nothing below (RFC 6303 3). The public DNS has an unsigned delegation there, or
    /// nothing.
    EmptyZone,
    /// Every name below exists and has no records.
    NoDataBelow,
    /// An empty zone except for one PTR record to `localhost.` at this name, relative to the apex.
    LocalhostPtr(&'static str),
}

use Behaviour::{EmptyZone, LocalhostPtr, Loopback, NoDataBelow, Nowhere};

const TABLE: &[(&str, Behaviour, &str)] = &[
    ("localhost.", Loopback, "RFC 6761 6.3"),
    ("invalid.", Nowhere, "RFC 6761 6.4"),
    ("test.", Nowhere, "RFC 6761 6.2"),
    ("local.", Nowhere, "RFC 6762 22.1"),
    ("onion.", Nowhere, "RFC 7686 2"),
    ("alt.", Nowhere, "RFC 9476 3"),
    ("internal.", Nowhere, "ICANN Board resolution 2024.07.29.06"),
    ("home.arpa.", EmptyZone, "RFC 8375 4"),
    ("service.arpa.", EmptyZone, "RFC 9665 10"),
    ("resolver.arpa.", NoDataBelow, "RFC 9462 6.4"),
    // RFC 1918.
    ("10.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("16.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("17.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("18.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("19.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("20.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("21.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("22.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("23.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("24.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("25.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("26.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("27.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("28.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("29.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("30.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("31.172.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    ("168.192.in-addr.arpa.", EmptyZone, "RFC 6303 4.1"),
    // RFC 5735 and RFC 5737: this network, loopback, link-local, documentation, broadcast.
    ("0.in-addr.arpa.", EmptyZone, "RFC 6303 4.2"),
    ("127.in-addr.arpa.", LocalhostPtr("1.0.0"), "RFC 6303 4.2"),
    ("254.169.in-addr.arpa.", EmptyZone, "RFC 6303 4.2"),
    ("2.0.192.in-addr.arpa.", EmptyZone, "RFC 6303 4.2"),
    ("100.51.198.in-addr.arpa.", EmptyZone, "RFC 6303 4.2"),
    ("113.0.203.in-addr.arpa.", EmptyZone, "RFC 6303 4.2"),
    ("255.255.255.255.in-addr.arpa.", EmptyZone, "RFC 6303 4.2"),
    // IPv6: unspecified and loopback, locally assigned ULA, link-local, documentation.
    ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", EmptyZone, "RFC 6303 4.3"),
    ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", LocalhostPtr("@"), "RFC 6303 4.3"),
    ("d.f.ip6.arpa.", EmptyZone, "RFC 6303 4.4"),
    ("8.e.f.ip6.arpa.", EmptyZone, "RFC 6303 4.5"),
    ("9.e.f.ip6.arpa.", EmptyZone, "RFC 6303 4.5"),
    ("a.e.f.ip6.arpa.", EmptyZone, "RFC 6303 4.5"),
    ("b.e.f.ip6.arpa.", EmptyZone, "RFC 6303 4.5"),
    ("8.b.d.0.1.0.0.2.ip6.arpa.", EmptyZone, "RFC 6303 4.6"),
];

/// RFC 7793 2: 100.64.0.0/10, one zone for each second octet.
const SHARED_ADDRESS_SPACE: std::ops::RangeInclusive<u8> = 64..=127;

/// TTL and SOA MINIMUM of these records (RFC 6303 3).
const TTL_S: u32 = 10_800;

/// The table without the operator's exceptions, ready for look-ups.
pub struct SpecialUse {
    top: Node,
}

#[derive(Default)]
struct Node {
    below: HashMap<Box<[u8]>, Node, RandomState>,
    here: Option<Mark>,
}

enum Mark {
    Special(Box<Special>),
    /// An exception below a special name.
    Ordinary,
}

impl SpecialUse {
    /// `except` names, and all names below them, are ordinary.
    pub fn new(except: &[Name]) -> SpecialUse {
        let mut special_use = SpecialUse { top: Node::default() };
        for special in table() {
            if !except.iter().any(|name| special.name.is_within(name)) {
                let name = special.name.clone();
                special_use.mark(&name, Mark::Special(Box::new(special)));
            }
        }
        for name in except {
            if special_use.find(name.as_wire()).is_some() {
                special_use.mark(name, Mark::Ordinary);
            }
        }
        special_use
    }

    /// The special name that covers this name (lower-case wire form), if any.
    pub fn find(&self, name: &[u8]) -> Option<&Special> {
        // Most names end in a label that none of these has.
        self.top.below.get(last_label(name)?)?;
        let mut starts = SmallVec::<[u8; 128]>::new();
        let mut at = 0usize;
        while let Some(&len) = name.get(at).filter(|len| **len != 0) {
            starts.push(u8::try_from(at).ok()?);
            at += 1 + usize::from(len);
        }
        let (mut node, mut found) = (&self.top, None);
        while let Some(start) = starts.pop().map(usize::from) {
            let Some(next) = name.get(start + 1..at).and_then(|label| node.below.get(label)) else {
                break;
            };
            (node, at) = (next, start);
            found = node.here.as_ref().or(found);
        }
        match found? {
            Mark::Special(special) => Some(special),
            Mark::Ordinary => None,
        }
    }

    fn mark(&mut self, name: &Name, mark: Mark) {
        let labels: SmallVec<[&[u8]; 40]> = name.labels().collect();
        let node = labels.iter().rev().fold(&mut self.top, |node, label| node.below.entry((*label).into()).or_default());
        node.here = Some(mark);
    }
}

/// The label next to the root.
fn last_label(name: &[u8]) -> Option<&[u8]> {
    let (mut at, mut last) = (0, None);
    while let Some(&len) = name.get(at).filter(|len| **len != 0) {
        let end = at + 1 + usize::from(len);
        last = name.get(at + 1..end);
        at = end;
    }
    last
}

fn table() -> impl Iterator<Item = Special> {
    let shared = SHARED_ADDRESS_SPACE.map(|octet| (format!("{octet}.100.in-addr.arpa."), EmptyZone, "RFC 7793 2"));
    let rows = TABLE.iter().map(|(name, behaviour, rfc)| ((*name).to_owned(), *behaviour, *rfc)).chain(shared);
    rows.map(|(name, behaviour, rfc)| {
        let name = Name::parse(&name).expect("every name of the table is well-formed; a test goes through all of them");
        Special { name, rfc, behaviour }
    })
}

impl Special {
    /// The answer to a question for which `SpecialUse::find` returned this name.
    pub fn answer(&self, question: &Question) -> SpecialAnswer {
        let apex = question.name == self.name;
        match self.behaviour {
            Nowhere => SpecialAnswer::NxDomain { soa: self.soa() },
            Loopback => self.sets(loopback(question)),
            // DS belongs to the parent (RFC 4035 3.1.4.1): a validating client gets the proof that this zone is unsigned.
            EmptyZone | LocalhostPtr(_) if apex && question.rtype == Rtype::DS => SpecialAnswer::Ordinary,
            EmptyZone if apex => self.sets(self.apex_sets(question.rtype)),
            EmptyZone => SpecialAnswer::NxDomain { soa: self.soa() },
            NoDataBelow => SpecialAnswer::NoData { soa: self.soa() },
            LocalhostPtr(labels) => self.localhost_ptr(labels, question),
        }
    }

    fn localhost_ptr(&self, labels: &str, question: &Question) -> SpecialAnswer {
        let owner = Name::parse_bytes(labels.as_bytes(), &self.name).unwrap_or_else(|_| self.name.clone());
        let mut sets = if question.name == self.name { self.apex_sets(question.rtype) } else { Vec::new() };
        if question.name == owner && asks_for(question.rtype, Rtype::PTR) {
            sets.push(RrSet::with(owner.clone(), Rtype::PTR, TTL_S, b"\x09localhost\0"));
        }
        // Names between the apex and the PTR are empty non-terminals (RFC 8020 2): they exist.
        match owner.is_within(&question.name) {
            true => self.sets(sets),
            false => SpecialAnswer::NxDomain { soa: self.soa() },
        }
    }

    fn sets(&self, sets: Vec<RrSet>) -> SpecialAnswer {
        match sets.is_empty() {
            true => SpecialAnswer::NoData { soa: self.soa() },
            false => SpecialAnswer::Sets(sets),
        }
    }

    fn apex_sets(&self, rtype: Rtype) -> Vec<RrSet> {
        let mut sets = Vec::new();
        if asks_for(rtype, Rtype::SOA) {
            sets.push(self.soa());
        }
        if asks_for(rtype, Rtype::NS) {
            sets.push(RrSet::with(self.name.clone(), Rtype::NS, TTL_S, self.name.as_wire()));
        }
        sets
    }

    /// RFC 6303 3: the zone is its own primary, with `nobody.invalid.` as its contact.
    fn soa(&self) -> RrSet {
        let mut rdata = self.name.as_wire().to_vec();
        rdata.extend_from_slice(b"\x06nobody\x07invalid\0");
        for number in [1, 3_600, 1_200, 604_800, TTL_S] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        RrSet::with(self.name.clone(), Rtype::SOA, TTL_S, &rdata)
    }
}

fn loopback(question: &Question) -> Vec<RrSet> {
    let mut sets = Vec::new();
    if asks_for(question.rtype, Rtype::A) {
        sets.push(RrSet::with(question.name.clone(), Rtype::A, TTL_S, &Ipv4Addr::LOCALHOST.octets()));
    }
    if asks_for(question.rtype, Rtype::AAAA) {
        sets.push(RrSet::with(question.name.clone(), Rtype::AAAA, TTL_S, &Ipv6Addr::LOCALHOST.octets()));
    }
    sets
}

fn asks_for(asked: Rtype, have: Rtype) -> bool {
    asked == have || asked == Rtype::ANY
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(special_use: &SpecialUse, question: &str) -> String {
        let (name, rtype) = question.split_once(' ').expect("name and type");
        let question = Question::new(Name::parse(name).expect("a name of the table"), rtype.parse().expect("a type of the table"));
        let Some(special) = special_use.find(question.name.as_wire()) else {
            return "ordinary".to_owned();
        };
        match special.answer(&question) {
            SpecialAnswer::NxDomain { soa } => format!("NXDOMAIN {}", soa.name),
            SpecialAnswer::NoData { soa } => format!("NODATA {}", soa.name),
            SpecialAnswer::Ordinary => "ordinary".to_owned(),
            SpecialAnswer::Sets(sets) => sets
                .iter()
                .map(|set| match set.data.first().expect("no set is empty") {
                    &[a, b, c, d] => format!("{} {}", set.rtype, Ipv4Addr::new(a, b, c, d)),
                    rdata if rdata.len() == 16 => format!("{} ..{}", set.rtype, rdata[15]),
                    _ => format!("{} {}", set.rtype, set.target().expect("a name comes first")),
                })
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    const LOOPBACK6: &str = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.";

    #[test]
    fn each_is_answered_as_its_document_says() {
        let special_use = SpecialUse::new(&[]);
        for (question, expected) in [
            ("localhost. A", "A 127.0.0.1"),
            ("localhost. AAAA", "AAAA ..1"),
            ("localhost. ANY", "A 127.0.0.1, AAAA ..1"),
            ("a.b.LOCALHOST. A", "A 127.0.0.1"),
            ("localhost. MX", "NODATA localhost."),
            ("localhost.example. A", "ordinary"),
            ("invalid. A", "NXDOMAIN invalid."),
            ("x.invalid. A", "NXDOMAIN invalid."),
            ("a.test. NS", "NXDOMAIN test."),
            ("printer.local. A", "NXDOMAIN local."),
            ("abcdefgh.onion. AAAA", "NXDOMAIN onion."),
            ("x.gnu.alt. A", "NXDOMAIN alt."),
            ("db.corp.internal. A", "NXDOMAIN internal."),
            ("home.arpa. SOA", "SOA home.arpa."),
            ("home.arpa. NS", "NS home.arpa."),
            ("home.arpa. A", "NODATA home.arpa."),
            ("home.arpa. DS", "ordinary"),
            ("nas.home.arpa. A", "NXDOMAIN home.arpa."),
            ("nas.home.arpa. DS", "NXDOMAIN home.arpa."),
            ("default.service.arpa. PTR", "NXDOMAIN service.arpa."),
            ("resolver.arpa. A", "NODATA resolver.arpa."),
            ("_dns.resolver.arpa. SVCB", "NODATA resolver.arpa."),
            ("x.y.resolver.arpa. TXT", "NODATA resolver.arpa."),
            ("1.0.0.127.in-addr.arpa. PTR", "PTR localhost."),
            ("1.0.0.127.in-addr.arpa. TXT", "NODATA 127.in-addr.arpa."),
            ("0.0.127.in-addr.arpa. PTR", "NODATA 127.in-addr.arpa."),
            ("127.in-addr.arpa. SOA", "SOA 127.in-addr.arpa."),
            ("127.in-addr.arpa. DS", "ordinary"),
            ("2.0.0.127.in-addr.arpa. PTR", "NXDOMAIN 127.in-addr.arpa."),
            ("x.1.0.0.127.in-addr.arpa. PTR", "NXDOMAIN 127.in-addr.arpa."),
            (LOOPBACK6, "PTR localhost."),
            ("5.1.168.192.in-addr.arpa. PTR", "NXDOMAIN 168.192.in-addr.arpa."),
            ("1.0.31.172.in-addr.arpa. PTR", "NXDOMAIN 31.172.in-addr.arpa."),
            ("1.0.32.172.in-addr.arpa. PTR", "ordinary"),
            ("172.in-addr.arpa. NS", "ordinary"),
            ("4.3.64.100.in-addr.arpa. PTR", "NXDOMAIN 64.100.in-addr.arpa."),
            ("4.3.127.100.in-addr.arpa. PTR", "NXDOMAIN 127.100.in-addr.arpa."),
            ("4.3.128.100.in-addr.arpa. PTR", "ordinary"),
            ("1.2.0.192.in-addr.arpa. PTR", "NXDOMAIN 2.0.192.in-addr.arpa."),
            ("1.0.0.0.d.f.ip6.arpa. PTR", "NXDOMAIN d.f.ip6.arpa."),
            ("0.b.e.f.ip6.arpa. PTR", "NXDOMAIN b.e.f.ip6.arpa."),
            ("0.c.e.f.ip6.arpa. PTR", "ordinary"),
            ("0.8.b.d.0.1.0.0.2.ip6.arpa. PTR", "NXDOMAIN 8.b.d.0.1.0.0.2.ip6.arpa."),
            ("ipv4only.arpa. AAAA", "ordinary"),
            ("170.0.0.192.in-addr.arpa. PTR", "ordinary"),
            ("example. A", "ordinary"),
            ("www.example.com. A", "ordinary"),
            ("test.example. A", "ordinary"),
            ("arpa. NS", "ordinary"),
            (". NS", "ordinary"),
        ] {
            let full = if question.contains(' ') { question.to_owned() } else { format!("{question} PTR") };
            assert_eq!(ask(&special_use, &full), expected, "{question}");
        }
    }

    #[test]
    fn exceptions_are_ordinary_names() {
        let names = ["home.arpa", "corp.internal", "in-addr.arpa", "example.com"].map(|text| Name::parse(text).expect("a name"));
        let special_use = SpecialUse::new(&names);
        for (question, expected) in [
            ("nas.home.arpa. A", "ordinary"),
            ("home.arpa. A", "ordinary"),
            ("internal. A", "NXDOMAIN internal."),
            ("corp.internal. A", "ordinary"),
            ("db.corp.internal. A", "ordinary"),
            ("xcorp.internal. A", "NXDOMAIN internal."),
            ("1.0.0.10.in-addr.arpa. PTR", "ordinary"),
            ("0.0.0.0.d.f.ip6.arpa. PTR", "NXDOMAIN d.f.ip6.arpa."),
        ] {
            assert_eq!(ask(&special_use, question), expected, "{question}");
        }
        assert!(SpecialUse::new(&[Name::root()]).find(b"\x07invalid\0").is_none());
    }

    #[test]
    fn every_row_is_found_and_names_its_document() {
        let special_use = SpecialUse::new(&[]);
        for special in table() {
            assert_eq!(special_use.find(special.name.as_wire()), Some(&special));
            let below = special.name.child(b"x").expect("the names of the table are short");
            assert_eq!(special_use.find(below.as_wire()).map(|found| &found.name), Some(&special.name));
            assert!(special.rfc.starts_with("RFC ") || special.rfc.starts_with("ICANN "), "{}", special.name);
        }
        assert_eq!(table().count(), TABLE.len() + 64);
    }

    #[test]
    fn the_soa_is_that_of_a_locally_served_zone() {
        let special_use = SpecialUse::new(&[]);
        let special = special_use.find(b"\x0210\x07in-addr\x04arpa\0").expect("in the table");
        let soa = special.soa();
        let rdata = soa.data.first().expect("one record");
        assert_eq!((soa.ttl, rdata.len()), (10_800, special.name.as_wire().len() + 16 + 20));
        assert!(rdata.ends_with(&10_800u32.to_be_bytes()));
        assert_eq!(special.rfc, "RFC 6303 4.1");
    }

    #[test]
    fn bytes_that_are_no_name_are_not_special() {
        let special_use = SpecialUse::new(&[]);
        for bytes in [&b""[..], b"\x05inv", b"\xff\xff", b"\x07invalid", b"\x07invalid\x3f"] {
            let _ = special_use.find(bytes);
        }
        assert!(special_use.find(&[1; 600]).is_none());
    }
}
