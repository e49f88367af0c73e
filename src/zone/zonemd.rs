//! The digest over a whole zone (RFC 8976): computed, and compared with the ZONEMD records at the apex.
//!
//! Only the scheme SIMPLE (1) exists; its digest covers every record of the zone in canonical form and order, except the apex
//! ZONEMD RRset and its signatures. The caller checks the signature of the ZONEMD RRset.

use aws_lc_rs::digest;

use super::tree::Zone;
use crate::record::{Class, Name, Rtype, canonical_rdata};

const SCHEME_SIMPLE: u8 = 1;
/// RFC 8976 2.2.4: shorter digests are refused.
const DIGEST_BYTES_MIN: usize = 12;

/// A registered hash algorithm of ZONEMD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HashAlgorithm {
    Sha384,
    Sha512,
}

/// The result of comparing a zone with its ZONEMD records (RFC 8976 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZonemdVerdict {
    /// A digest that can be checked matches.
    Verified,
    /// The zone has no ZONEMD record.
    Absent,
    /// No record has the zone's serial, a known scheme and a known hash algorithm.
    Unsupported,
    /// No digest that can be checked matches.
    Mismatch,
}

impl HashAlgorithm {
    fn from_number(number: u8) -> Option<HashAlgorithm> {
        match number {
            1 => Some(HashAlgorithm::Sha384),
            2 => Some(HashAlgorithm::Sha512),
            _ => None,
        }
    }

    fn number(self) -> u8 {
        match self {
            HashAlgorithm::Sha384 => 1,
            HashAlgorithm::Sha512 => 2,
        }
    }

    fn context(self) -> digest::Context {
        digest::Context::new(match self {
            HashAlgorithm::Sha384 => &digest::SHA384,
            HashAlgorithm::Sha512 => &digest::SHA512,
        })
    }
}

/// Checks the zone's data against its ZONEMD records, in the steps of RFC 8976 4.
pub fn verify_zonemd(zone: &Zone) -> ZonemdVerdict {
    let apex = zone.apex().as_wire();
    let Some(records) = zone.node(apex).and_then(|node| node.set(Rtype::ZONEMD)) else { return ZonemdVerdict::Absent };
    let views: Vec<(u8, u8, u32, &[u8])> = records.rdatas().filter_map(view).collect();
    let mut verdict = ZonemdVerdict::Unsupported;
    let mut computed: [Option<digest::Digest>; 2] = [None, None];
    for (scheme, algorithm_number, serial, expected) in &views {
        // RFC 8976 2.2.3: a scheme and a hash algorithm together identify one record; repeated ones are not used.
        let is_repeated = views.iter().filter(|other| (other.0, other.1) == (*scheme, *algorithm_number)).count() > 1;
        let Some(algorithm) = HashAlgorithm::from_number(*algorithm_number) else { continue };
        if is_repeated || *serial != zone.serial() || *scheme != SCHEME_SIMPLE || expected.len() < DIGEST_BYTES_MIN {
            continue;
        }
        let own = computed[algorithm as usize].get_or_insert_with(|| simple_digest(zone, algorithm));
        if own.as_ref() == *expected {
            return ZonemdVerdict::Verified;
        }
        verdict = ZonemdVerdict::Mismatch;
    }
    verdict
}

/// The digest of the scheme SIMPLE over the zone's records (RFC 8976 3.3, 3.4).
pub fn simple_digest(zone: &Zone, algorithm: HashAlgorithm) -> digest::Digest {
    let mut owners: Vec<Name> = zone.nodes().filter_map(|node| Name::from_wire(node.name()).ok()).collect();
    owners.sort_unstable();
    let mut digest = DigestOfZone::new(algorithm);
    for owner in owners {
        let Some(node) = zone.node(owner.as_wire()) else { continue };
        let mut records: Vec<(u16, Vec<u8>, u32)> = Vec::new();
        for set in node.sets().filter(|set| owner != *zone.apex() || set.rtype != Rtype::ZONEMD) {
            records.extend(set.rdatas().map(|rdata| (set.rtype.0, canonical(set.rtype, rdata), set.ttl)));
            // RFC 4034 3: a signature has the TTL of the set that it covers.
            records.extend(set.sigs().map(|rdata| (Rtype::RRSIG.0, canonical(Rtype::RRSIG, rdata), set.ttl)));
        }
        digest.name(owner.as_wire(), &mut records);
    }
    digest.finish()
}

/// A digest of the scheme SIMPLE that is fed name after name.
pub struct DigestOfZone {
    algorithm: HashAlgorithm,
    context: digest::Context,
}

impl DigestOfZone {
    pub fn new(algorithm: HashAlgorithm) -> DigestOfZone {
        DigestOfZone { algorithm, context: algorithm.context() }
    }

    /// All records of the next name in canonical order: type, RDATA in canonical form, TTL, in any order. The apex has no ZONEMD
    /// among them, and no signature of it.
    pub fn name(&mut self, owner: &[u8], records: &mut Vec<(u16, Vec<u8>, u32)>) {
        records.sort_unstable();
        records.dedup();
        for (rtype, rdata, ttl) in records {
            self.context.update(owner);
            self.context.update(&rtype.to_be_bytes());
            self.context.update(&Class::IN.0.to_be_bytes());
            self.context.update(&ttl.to_be_bytes());
            // RDATA in a zone has at most 65,535 octets.
            self.context.update(&(rdata.len() as u16).to_be_bytes());
            self.context.update(rdata);
        }
    }

    pub fn finish(self) -> digest::Digest {
        self.context.finish()
    }

    /// RDATA of a ZONEMD record with this digest (RFC 8976 2.2).
    pub fn into_rdata(self, serial: u32) -> Vec<u8> {
        let algorithm = self.algorithm.number();
        [&serial.to_be_bytes()[..], &[SCHEME_SIMPLE, algorithm], self.context.finish().as_ref()].concat()
    }
}

fn canonical(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rdata.len());
    canonical_rdata(rtype, rdata, &mut out);
    out
}

/// Scheme, hash algorithm, serial, digest.
fn view(rdata: &[u8]) -> Option<(u8, u8, u32, &[u8])> {
    let ([a, b, c, d, scheme, algorithm], digest) = rdata.split_first_chunk::<6>()?;
    Some((*scheme, *algorithm, u32::from_be_bytes([*a, *b, *c, *d]), digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    /// RFC 8976 A.1.
    const SIMPLE: &str = "\
example. 86400 IN SOA ns1 admin 2018031900 1800 900 604800 86400
 86400 IN NS ns1
 86400 IN NS ns2
 86400 IN ZONEMD 2018031900 1 1 ( c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c )
ns1 3600 IN A 203.0.113.63
ns2 3600 IN AAAA 2001:db8::63
";

    fn verdict(text: &str) -> ZonemdVerdict {
        verify_zonemd(&zone(text))
    }

    #[test]
    fn the_example_of_rfc_8976() {
        assert_eq!(verdict(SIMPLE), ZonemdVerdict::Verified);
    }

    #[test]
    fn any_change_of_the_data_is_seen() {
        for (from, to) in [
            ("203.0.113.63", "203.0.113.64"),
            ("ns1 3600", "ns1 3601"),
            ("1800 900", "1800 901"),
            ("ns2 3600 IN AAAA", "ns3 3600 IN AAAA"),
            ("ns2 3600", "ns1 3600 IN TXT x\nns2 3600"),
        ] {
            assert!(SIMPLE.contains(from), "{from}");
            assert_eq!(verdict(&SIMPLE.replacen(from, to, 1)), ZonemdVerdict::Mismatch, "{from} -> {to}");
        }
    }

    #[test]
    fn what_cannot_be_checked_is_not_a_mismatch() {
        let record = |text: &str| SIMPLE.replace("2018031900 1 1 (", text);
        for text in ["2018031901 1 1 (", "2018031900 2 1 (", "2018031900 1 241 ("] {
            assert_eq!(verdict(&record(text)), ZonemdVerdict::Unsupported, "{text}");
        }
        let without: String = SIMPLE.lines().filter(|line| !line.contains("ZONEMD")).map(|line| format!("{line}\n")).collect();
        assert_eq!(verdict(&without), ZonemdVerdict::Absent);
    }

    #[test]
    fn one_right_digest_is_enough_and_two_of_a_kind_are_none() {
        let other = " 86400 IN ZONEMD 2018031900 1 2 ( c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c )\n";
        let both = SIMPLE.replace("ns1 3600", &format!("{other}ns1 3600"));
        let at = both.find("ns1 3600 IN A").expect("there");
        assert!(both[..at].contains(" 1 2 ("));
        assert_eq!(verdict(&both), ZonemdVerdict::Verified);
        let twice = both.replace(" 1 2 (", " 1 1 (").replacen("c680", "d680", 1);
        assert_eq!(verdict(&twice), ZonemdVerdict::Unsupported);
    }

    fn zone(text: &str) -> Zone {
        let apex = Name::parse("example.").expect("a name");
        let loaded = load_zone(&apex, "test", &mut |_| Ok(text.as_bytes().to_vec()));
        loaded.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).0
    }
}
