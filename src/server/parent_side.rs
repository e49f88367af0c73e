//! What the parent of a zone must hold: its NS records, the addresses of servers that lie in the zone itself (glue, RFC 9471), and
//! the DS records of its keys (RFC 4034 5, RFC 4509).

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::health::reachable_here;
use super::single_query::SingleQuery;
use super::zone_force::listening_on;
use crate::limits::server::DOCTOR_WAIT_MAX;
use crate::record::{Name, Question, RrSet, Rtype};
use crate::validate::{ds_digest, key_tag};
use crate::wire::{Message, Section};
use crate::zone::{Found, Zone};

/// SEP (RFC 4034 2.1.1), REVOKE (RFC 5011 7).
const FLAG_SEP: u16 = 1;
const FLAG_REVOKE: u16 = 0x80;
/// SHA-256, which every validator and every registry knows (RFC 8624 3.3).
pub(super) const DIGEST_SHA256: u8 = 2;

/// A delegation as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParentSide {
    pub servers: Vec<NameServer>,
    /// The keys that the DS records stand for.
    pub keys: Vec<Key>,
    pub ds: Vec<Ds>,
}

/// A server of the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    pub name: Name,
    /// The name lies in the zone: nobody finds its addresses unless the parent has them.
    pub needs_glue: bool,
    pub addresses: Vec<IpAddr>,
}

/// A DNSKEY record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub rdata: Vec<u8>,
}

/// A DS record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ds {
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    pub digest: Vec<u8>,
}

impl ParentSide {
    /// As the data of the zone says. `signed`: the DNSKEY and CDS sets, where the zone is signed while it is served and the file
    /// has none.
    pub(super) fn of(zone: &Zone, signed: &[RrSet]) -> ParentSide {
        let set = |rtype: Rtype| zone.apex_set(rtype).or_else(|| signed.iter().find(|set| set.rtype == rtype).cloned());
        let keys = set(Rtype::DNSKEY).map(|keys| secure_entry_points(&keys)).unwrap_or_default();
        // RFC 7344 4: what the zone itself asks its parent to have.
        let ds = match set(Rtype::CDS) {
            Some(cds) => cds.data.iter().filter_map(Ds::read).filter(|ds| ds.algorithm != 0).collect(),
            None => keys.iter().filter_map(|key| key.ds(zone.apex(), DIGEST_SHA256)).collect(),
        };
        ParentSide { servers: servers(zone), keys, ds }
    }
}

fn servers(zone: &Zone) -> Vec<NameServer> {
    let Found::Answer { set, .. } = zone.find(zone.apex().as_wire(), Rtype::NS) else { return Vec::new() };
    let server = |target: &[u8]| {
        let name = Name::from_wire(target).ok()?;
        let glue = zone.glue(set).filter(|(of, _)| *of == target).map(|(_, addresses)| addresses.to_rrset(name.clone()));
        let addresses = glue.flat_map(|addresses| addresses.addresses().collect::<Vec<_>>()).collect();
        Some(NameServer { needs_glue: name.is_within(zone.apex()), addresses, name })
    };
    set.rdatas().filter_map(server).collect()
}

/// What to enter at the registrar. `sockets`: the running server is asked for the keys where the file has none.
pub fn parent_side(zone: &Zone, sockets: &[PathBuf]) -> ParentSide {
    ParentSide::of(zone, &served_sets(zone, &listening_on(sockets)))
}

/// The DNSKEY and CDS sets that the running server makes while it signs; nothing where the file has keys.
pub(super) fn served_sets(zone: &Zone, listening: &[SocketAddr]) -> Vec<RrSet> {
    let Some(server) = listening.first().filter(|_| zone.apex_set(Rtype::DNSKEY).is_none()) else { return Vec::new() };
    let ask = |rtype: Rtype| {
        let question = Question::new(zone.apex().clone(), rtype);
        let single = SingleQuery {
            server: reachable_here(*server),
            question: &question,
            recursion_desired: false,
            dnssec: true,
            tcp: true,
            wait: DOCTOR_WAIT_MAX,
        };
        set_of(&single.ask().ok()?, &question)
    };
    [Rtype::DNSKEY, Rtype::CDS].into_iter().filter_map(ask).collect()
}

/// The set that was asked for, with its signatures.
fn set_of(reply: &[u8], question: &Question) -> Option<RrSet> {
    let message = Message::parse(reply).ok()?;
    let mut set = RrSet::new(question.name.clone(), question.rtype, 0);
    for record in message.records(Section::Answer).filter(|record| record.owner().is_ok_and(|owner| owner == question.name)) {
        let mut rdata = Vec::new();
        if record.expand_rdata(&mut rdata).is_err() {
            continue;
        }
        match record.rtype() {
            rtype if rtype == question.rtype => set.data.push(&rdata),
            Rtype::RRSIG if rdata.starts_with(&question.rtype.0.to_be_bytes()) => set.sigs.push(&rdata),
            _ => {}
        }
    }
    (!set.data.is_empty()).then_some(set)
}

/// The keys that sign the DNSKEY set with SEP set; where none has it, all that sign the set.
fn secure_entry_points(keys: &RrSet) -> Vec<Key> {
    let signers: Vec<(u16, u8)> = keys.sigs.iter().filter_map(Signature::read).map(|made| (made.key_tag, made.algorithm)).collect();
    let all = keys.data.iter().map(|rdata| Key { rdata: rdata.to_vec() });
    let signing: Vec<Key> = all.filter(|key| key.flags() & FLAG_REVOKE == 0 && signers.contains(&(key.tag(), key.algorithm()))).collect();
    match signing.iter().any(Key::is_sep) {
        true => signing.into_iter().filter(Key::is_sep).collect(),
        false => signing,
    }
}

impl Key {
    pub fn tag(&self) -> u16 {
        key_tag(&self.rdata)
    }

    pub fn flags(&self) -> u16 {
        self.rdata.first_chunk().map_or(0, |flags| u16::from_be_bytes(*flags))
    }

    pub fn protocol(&self) -> u8 {
        self.rdata.get(2).copied().unwrap_or(0)
    }

    pub fn algorithm(&self) -> u8 {
        self.rdata.get(3).copied().unwrap_or(0)
    }

    pub fn public_key(&self) -> &[u8] {
        self.rdata.get(4..).unwrap_or_default()
    }

    fn is_sep(&self) -> bool {
        self.flags() & FLAG_SEP != 0
    }

    /// `None`: this build does not know the digest.
    pub(super) fn ds(&self, zone: &Name, digest_type: u8) -> Option<Ds> {
        let digest = ds_digest(zone, &self.rdata, digest_type)?;
        Some(Ds { key_tag: self.tag(), algorithm: self.algorithm(), digest_type, digest })
    }
}

impl Ds {
    pub(super) fn read(rdata: &[u8]) -> Option<Ds> {
        let (head, digest) = rdata.split_first_chunk::<4>()?;
        let [high, low, algorithm, digest_type] = *head;
        Some(Ds { key_tag: u16::from_be_bytes([high, low]), algorithm, digest_type, digest: digest.to_vec() })
    }

    /// In upper case, as most registrars show it.
    pub fn digest_text(&self) -> String {
        self.digest.iter().map(|octet| format!("{octet:02X}")).collect()
    }
}

/// Who made an RRSIG record, and when it counts (RFC 4034 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) key_tag: u16,
    pub(super) algorithm: u8,
    /// Seconds since 1970, as serial numbers.
    pub(super) inception: u32,
    pub(super) expiration: u32,
}

impl Signature {
    pub(super) fn read(rdata: &[u8]) -> Option<Signature> {
        let number = |at: usize| rdata.get(at..)?.first_chunk().map(|octets| u32::from_be_bytes(*octets));
        let key_tag = u16::from_be_bytes(*rdata.get(16..)?.first_chunk()?);
        Some(Signature { key_tag, algorithm: *rdata.get(2)?, inception: number(12)?, expiration: number(8)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::rdata_to_text;
    use crate::zone::load_zone;

    /// RFC 6605 6.1: a zone with one key of algorithm 13, its DS and its RRSIG.
    const KEY: &str = "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==";
    const ZSK: &str = "256 3 13 AEg7gYGVXLbrdf/tkVxFtvhcGOO91uzK9lXBzTb4I3xIjTHYOzzg/Uj6jDJ7mQZrtDDCVVVvlfFyzLJcvlnKtA==";

    fn zone(more: &str) -> Zone {
        let text = format!(
            "$TTL 1h\n@ SOA ns1 hostmaster 1 1d 2h 4w 1h\n@ NS ns1\n@ NS ns.elsewhere.net.\n@ NS ns.sub\nns1 A 192.0.2.1\nns1 AAAA 2001:db8::1\n\
             sub NS ns.sub\nns.sub A 192.0.2.3\n{more}"
        );
        let name = Name::parse("example.net.").expect("a name");
        load_zone(&name, "test", &mut |_| Ok(text.clone().into_bytes())).map(|(zone, _)| zone).expect("a zone")
    }

    fn signed_by(tags: &[u16]) -> String {
        let sig = |tag: &u16| format!("@ RRSIG DNSKEY 13 2 3600 20361231000000 20260101000000 {tag} example.net. AAAA\n");
        tags.iter().map(sig).collect()
    }

    #[test]
    fn servers_with_the_addresses_that_the_parent_needs() {
        let shown: Vec<String> = ParentSide::of(&zone(""), &[])
            .servers
            .iter()
            .map(|server| format!("{} {} {:?}", server.name, server.needs_glue, server.addresses))
            .collect();
        assert_eq!(
            shown,
            ["ns1.example.net. true [192.0.2.1, 2001:db8::1]", "ns.elsewhere.net. false []", "ns.sub.example.net. true [192.0.2.3]"]
        );
    }

    #[test]
    fn the_ds_of_the_keys_that_sign_keys() {
        // The digest of RFC 6605 6.1.
        let expected = "55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17";
        let (ksk, zsk) = (format!("@ DNSKEY {KEY}\n"), format!("@ DNSKEY {ZSK}\n"));
        let tag_of = |text: &str| ParentSide::of(&zone(&format!("{text}{}", signed_by(&[0]))), &[]).keys.len();
        assert_eq!(tag_of(&ksk), 0, "a key that does not sign the set is none to point to");
        for (text, expected) in [
            (format!("{ksk}{}", signed_by(&[55_648])), vec![expected]),
            (format!("{ksk}{zsk}{}", signed_by(&[55_648, 3_613])), vec![expected]),
            (format!("{ksk}{}@ CDS 4711 13 2 {}\n", signed_by(&[55_648]), "AB".repeat(32)), vec!["4711 13 2 ABAB"]),
            (format!("{ksk}{}@ CDS 0 0 0 00\n", signed_by(&[55_648])), vec![]),
            (String::new(), vec![]),
        ] {
            let side = ParentSide::of(&zone(&text), &[]);
            let shown: Vec<String> =
                side.ds.iter().map(|ds| format!("{} {} {} {}", ds.key_tag, ds.algorithm, ds.digest_type, ds.digest_text())).collect();
            assert!(
                shown.len() == expected.len() && shown.iter().zip(&expected).all(|(one, other)| one.starts_with(other)),
                "{text}: {shown:?}"
            );
        }
        let served = zone(&format!("{ksk}{}", signed_by(&[55_648])));
        let sets: Vec<RrSet> = served.apex_set(Rtype::DNSKEY).into_iter().collect();
        let side = ParentSide::of(&zone(""), &sets);
        assert_eq!(side, ParentSide::of(&served, &[]), "keys that only the running server has");
        assert!(rdata_to_text(Rtype::DNSKEY, &side.keys[0].rdata).starts_with("257 3 13 Goj"));
    }
}
