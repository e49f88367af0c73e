//! The rebinding guard: a public name must not lead a browser to a machine on the local network.
//!
//! A page of `attacker.example` may talk to `attacker.example`; if that name then has the address 192.168.1.1, the page talks
//! to the router. So private addresses are removed from answers for public names: A and AAAA records, and HTTPS and SVCB
//! records with such an address as a hint.
//!
//! The query name counts, not the target of its aliases: an attacker may point an alias into a domain that is allowed. The
//! caller exempts hosted zones, local data, forward and stub zones.
//!
//! Below the zones of known block lists, A records in 127.0.0.0/8 are the list's answers (RFC 5782 2.1) and pass. The
//! form of a name proves nothing: anybody can have a name that starts with four numbers. 127.0.0.1 does not pass even
//! there: no list gives it as an answer (RFC 5782 2.1 starts at 127.0.0.2), and it is the address that an attack needs.
//!
//! The RRset without some of its records has no signatures, because they do not cover the rest.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use foldhash::fast::RandomState;

use super::private_address::private_address;
use crate::limits::clients::REBINDING_TEXT_BYTES_MAX;
use crate::record::{Ede, EdeCode, Name, RdataList, RrSet, Rtype};

/// The guard, compiled from the settings.
pub struct Rebinding {
    on: bool,
    /// `rebinding-allow`, in the order of the configuration.
    allowed: Vec<Name>,
    /// At and below these names every address is allowed.
    any_address: Zones,
    /// At and below these names 127.0.0.0/8 is allowed, except 127.0.0.1.
    block_lists: Zones,
}

/// What the guard says about one RRset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    /// `kept` may still be answered; `None` means NODATA. `dropped` is the first private address.
    Stripped {
        kept: Option<RrSet>,
        dropped: IpAddr,
    },
}

/// These zones have their customers' private addresses on purpose, so that certificates can be issued for them.
const SHIPPED_ANY_ADDRESS: &[&str] = &["plex.direct."];

/// One zone in each line; `;` starts a comment.
const SHIPPED_BLOCK_LISTS: &str = include_str!("block_lists.txt");

impl Rebinding {
    /// With `on` false every RRset is clean.
    pub fn new(on: bool, allow: &[Name]) -> Rebinding {
        let mut any_address = Zones::of_texts(SHIPPED_ANY_ADDRESS.iter().copied());
        any_address.extend(allow);
        let block_lists = Zones::of_texts(SHIPPED_BLOCK_LISTS.lines().filter(|line| !line.is_empty() && !line.starts_with(';')));
        Rebinding { on, allowed: allow.to_vec(), any_address, block_lists }
    }

    /// `set` is part of the answer to a question for `asked`.
    pub fn check(&self, asked: &Name, set: &RrSet) -> Verdict {
        if !self.on || !matches!(set.rtype, Rtype::A | Rtype::AAAA | Rtype::HTTPS | Rtype::SVCB) {
            return Verdict::Clean;
        }
        if set.data.iter().all(|rdata| private_address(set.rtype, rdata).is_none()) || self.any_address.contain(asked) {
            return Verdict::Clean;
        }
        let in_block_list = set.rtype == Rtype::A && self.block_lists.contain(asked);
        let unfit = |rdata: &[u8]| private_address(set.rtype, rdata).filter(|address| !(in_block_list && is_list_answer(*address)));
        let Some(dropped) = set.data.iter().find_map(unfit) else { return Verdict::Clean };
        let public: RdataList = set.data.iter().filter(|rdata| unfit(rdata).is_none()).collect();
        let kept = (!public.is_empty()).then(|| RrSet { data: public, ..RrSet::new(set.name.clone(), set.rtype, set.ttl) });
        Verdict::Stripped { kept, dropped }
    }

    /// Why `dropped` is missing from the answer for `asked`, and the setting that would allow it. `zone_cut` is the deepest
    /// zone that is known to contain `asked`.
    pub fn reason(&self, asked: &Name, dropped: IpAddr, zone_cut: Option<&Name>) -> Ede {
        let list = is_list_answer(dropped).then(|| likely_list_zone(asked, zone_cut)).flatten();
        let (what, zone) = match &list {
            Some(zone) => ("to allow it, if this is a block list", zone),
            None => ("to allow it", asked),
        };
        let text = format!("private address {dropped} in a public name; {what}, in [policy]: {}", self.allow_line(zone));
        if text.len() <= REBINDING_TEXT_BYTES_MAX {
            return Ede::new(EdeCode::FILTERED, text);
        }
        let zone = list.map_or_else(|| "the name".to_owned(), |zone| zone.to_string());
        let text = format!("private address {dropped}; to allow it, add {zone} to rebinding-allow in [policy]");
        let short = format!("private address {dropped}; to allow it, see rebinding-allow in [policy]");
        Ede::new(EdeCode::FILTERED, if text.len() <= REBINDING_TEXT_BYTES_MAX { text } else { short })
    }

    /// A line for the configuration that allows `zone` in addition to the names that it has already.
    fn allow_line(&self, zone: &Name) -> String {
        let names: Vec<String> = self.allowed.iter().chain([zone]).map(|name| format!("{:?}", name.to_string())).collect();
        format!("rebinding-allow = [{}]", names.join(", "))
    }
}

/// Names with everything below them, in wire form.
#[derive(Default)]
struct Zones(HashSet<Box<[u8]>, RandomState>);

impl Zones {
    fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Zones {
        let names: Vec<Name> = texts.filter_map(|text| Name::parse(text).ok()).collect();
        let mut zones = Zones::default();
        zones.extend(&names);
        zones
    }

    fn extend(&mut self, names: &[Name]) {
        self.0.extend(names.iter().map(|name| Box::<[u8]>::from(name.as_wire())));
    }

    fn contain(&self, name: &Name) -> bool {
        name.suffixes().any(|suffix| self.0.contains(suffix))
    }
}

/// RFC 5782 2.1: a list answers in 127.0.0.0/8, from 127.0.0.2 on.
fn is_list_answer(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.is_loopback() && v4 != Ipv4Addr::LOCALHOST)
}

/// The zone of an unknown block list: the part of the name after the address, the hash or the domain that was looked up. A list
/// is a zone of its own, so a known zone cut is the better answer.
fn likely_list_zone(asked: &Name, zone_cut: Option<&Name>) -> Option<Name> {
    let labels = asked.label_count();
    if let Some(cut) = zone_cut.filter(|cut| cut.label_count() >= 2 && asked.is_below(cut)) {
        return Some(cut.clone());
    }
    let subject = address_labels(asked).or_else(|| hash_labels(asked)).or_else(|| domain_labels(asked))?;
    (labels >= subject + 2).then(|| asked.suffix(labels - subject))
}

/// RFC 5782 2.1, 2.4: an address with its octets or nibbles in reverse order.
fn address_labels(name: &Name) -> Option<usize> {
    let octet = |label: &[u8]| label.len() <= 3 && std::str::from_utf8(label).is_ok_and(|text| text.parse::<u8>().is_ok());
    let nibble = |label: &[u8]| label.len() == 1 && label[0].is_ascii_hexdigit();
    let count = |fits: &dyn Fn(&[u8]) -> bool| name.labels().take_while(|label| fits(label)).count();
    if count(&nibble) >= 32 {
        return Some(32);
    }
    (count(&octet) >= 4).then_some(4)
}

/// A digest in hexadecimal (from MD5 on) or base 32.
fn hash_labels(name: &Name) -> Option<usize> {
    let first = name.labels().next()?;
    let is_hash = first.len() >= 26 && first.iter().all(u8::is_ascii_alphanumeric) && first.iter().any(u8::is_ascii_digit);
    is_hash.then_some(1)
}

/// A domain, which ends in a label that is a TLD.
fn domain_labels(name: &Name) -> Option<usize> {
    const GENERIC: &[&[u8]] = &[b"com", b"net", b"org", b"info", b"biz", b"xyz", b"top", b"example", b"test", b"invalid"];
    let tld = |label: &[u8]| label.len() == 2 && label.iter().all(u8::is_ascii_alphabetic) || GENERIC.contains(&label);
    let labels: Vec<&[u8]> = name.labels().collect();
    (1..labels.len().saturating_sub(2)).rev().find(|at| tld(labels[*at])).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name of the table")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address of the table")
    }

    fn rdata(text: &str) -> Vec<u8> {
        match address(text) {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        }
    }

    fn set(addresses: &[&str]) -> RrSet {
        let rtype = if addresses[0].contains(':') { Rtype::AAAA } else { Rtype::A };
        let data: Vec<Vec<u8>> = addresses.iter().map(|address| rdata(address)).collect();
        let mut set = RrSet::new(name("target.example."), rtype, 60);
        set.data = data.iter().map(Vec::as_slice).collect();
        set.sigs.push(b"a signature");
        set
    }

    /// The addresses that are left.
    fn left<'a>(guard: &Rebinding, asked: &str, addresses: &[&'a str]) -> Vec<&'a str> {
        let kept = match guard.check(&name(asked), &set(addresses)) {
            Verdict::Clean => return addresses.to_vec(),
            Verdict::Stripped { kept, .. } => kept.map(|kept| kept.data).unwrap_or_default(),
        };
        let is_kept = |address: &&str| kept.iter().any(|left| left == rdata(address));
        addresses.iter().copied().filter(is_kept).collect()
    }

    #[test]
    fn names_that_are_allowed() {
        let guard = Rebinding::new(true, &[name("lab.example.")]);
        for (asked, address, kept) in [
            ("nas.lab.example.", "192.168.1.1", true),
            ("lab.example.", "127.0.0.1", true),
            ("lab.example.", "fd00::1", true),
            ("xlab.example.", "192.168.1.1", false),
            ("example.", "192.168.1.1", false),
            ("192-168-1-2.0123.plex.direct.", "192.168.1.2", true),
        ] {
            assert_eq!(!left(&guard, asked, &[address]).is_empty(), kept, "{asked} {address}");
        }
        assert!(!left(&Rebinding::new(false, &[]), "www.example.", &["10.0.0.1"]).is_empty(), "switched off");
        assert!(!left(&Rebinding::new(true, &[Name::root()]), "www.example.", &["10.0.0.1"]).is_empty(), "the root allows every name");
    }

    /// Questions as mail servers send them, to lists of each kind.
    #[test]
    fn answers_of_known_block_lists() {
        let guard = Rebinding::new(true, &[]);
        for (asked, answer) in [
            ("2.0.0.127.zen.spamhaus.org.", "127.0.0.10"),
            ("2.0.0.127.0123456789abcdefghijklmnop.zen.dq.spamhaus.net.", "127.0.0.2"),
            ("evil.com.dbl.spamhaus.org.", "127.0.1.2"),
            ("evil.com.zrd.spamhaus.org.", "127.0.2.2"),
            ("4HYBL5N6XYJ6ZNHLSPPGFBRHVSG3VFDA._email.0123456789abcdefghijklmnop.hbl.dq.spamhaus.net.", "127.0.3.10"),
            ("evil.com.multi.surbl.org.", "127.0.0.64"),
            ("ba76e47680ba70a0cbff8d6c92139683.hashbl.surbl.org.", "127.0.0.16"),
            ("evil.com.multi.uribl.com.", "127.0.0.2"),
            ("evil.com.black.uribl.com.", "127.0.0.255"),
            ("2.0.0.127.dnsbl.sorbs.net.", "127.0.0.6"),
            ("evil.com.rhsbl.sorbs.net.", "127.0.0.11"),
            ("2.0.0.127.bl.spamcop.net.", "127.0.0.2"),
            ("2.0.0.127.b.barracudacentral.org.", "127.0.0.2"),
            ("2.0.0.127.list.dnswl.org.", "127.0.10.3"),
            ("example.com.dwl.dnswl.org.", "127.0.5.2"),
            ("2.0.0.127.rep.mailspike.net.", "127.0.0.20"),
            ("2.0.0.127.bl.mailspike.net.", "127.0.0.11"),
            ("b4a64d60f67529b0b18df66ea2f292e09e43c975.ebl.msbl.org.", "127.0.0.2"),
            ("2.0.0.127.spam.abuse.ch.", "127.0.0.2"),
            ("2.0.0.127.ix.dnsbl.manitu.net.", "127.0.0.2"),
            ("2.0.0.127.dnsbl-1.uceprotect.net.", "127.0.0.2"),
            ("2.0.0.127.ips.backscatterer.org.", "127.0.0.2"),
            ("evil.com.url.0spam.org.", "127.0.0.2"),
            ("2.0.0.127.psbl.surriel.com.", "127.0.0.2"),
            ("2.0.0.127.db.wpbl.info.", "127.0.0.2"),
            ("2.0.0.127.all.s5h.net.", "127.0.0.2"),
            ("2.0.0.127.dnsbl.dronebl.org.", "127.0.0.8"),
            ("evil.com.dsn.rfc-clueless.org.", "127.0.0.2"),
            ("evil.com.uri.invaluement.com.", "127.0.0.2"),
            ("2.0.0.127.bl.score.senderscore.com.", "127.0.0.2"),
            ("2.0.0.127.sa-accredit.habeas.com.", "127.0.0.60"),
            ("evil.com.fresh15.spameatingmonkey.net.", "127.0.0.2"),
            ("evil.com.uribl.spameatingmonkey.net.", "127.0.0.2"),
            ("9z3dgkmc5mh7a1wb9zzbn3scpkzcyk5t.email.rspamd.com.", "127.0.0.2"),
            ("9z3dgkmc5mh7a1wb9zzbn3scpkzcyk5t.uribl.rspamd.com.", "127.0.0.2"),
            ("2.0.0.127.asn.rspamd.com.", "127.0.0.2"),
            ("evil.com.dbl.rspamd.com.", "127.0.0.2"),
            ("2.0.0.127.reputation-ip.rspamd.com.", "127.0.0.2"),
            ("2.0.0.127.wadb.isipp.com.", "127.0.0.2"),
            ("2.0.0.127.bip.virusfree.cz.", "127.0.0.2"),
            ("2.0.0.127.bl.blocklist.de.", "127.0.0.9"),
            ("2.0.0.127.rbl.interserver.net.", "127.0.0.2"),
            ("evil.com.rbluri.interserver.net.", "127.0.0.2"),
            ("evil.com.dbl.nordspam.com.", "127.0.0.2"),
            ("evil.com.hostkarma.junkemailfilter.com.", "127.0.0.2"),
            ("733a48a9cb49651d72fe824ca91e8d00.malware.hash.cymru.com.", "127.0.0.2"),
            ("abcdefghijkl.2.0.0.127.dnsbl.httpbl.org.", "127.3.42.1"),
            ("2.0.0.127.dnsel.torproject.org.", "127.0.0.2"),
            ("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.org.", "127.0.0.4"),
        ] {
            assert_eq!(left(&guard, asked, &[answer]), [answer], "{asked}");
            for other in ["127.0.0.1", "192.168.1.2", "10.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.2", "fd00::2"] {
                assert!(left(&guard, asked, &[other]).is_empty(), "{asked} {other}");
            }
        }
        assert_eq!(left(&guard, "evil.com.multi.uribl.com.", &["127.0.0.1", "127.0.0.2", "10.0.0.1"]), ["127.0.0.2"]);
        let hint = RrSet::with(name("_dns.dbl.spamhaus.org."), Rtype::HTTPS, 60, b"\0\x01\0\0\x04\0\x04\x7f\0\0\x02");
        assert!(matches!(guard.check(&hint.name, &hint), Verdict::Stripped { kept: None, .. }), "no list answers with HTTPS");
    }

    /// Names of the same form in zones that are not known as lists.
    #[test]
    fn the_form_of_a_name_proves_nothing() {
        let guard = Rebinding::new(true, &[name("list.corp.example.")]);
        for (asked, kept) in [
            ("1.0.0.127.attacker.example.", false),
            ("1.0.0.127.zen.attacker.example.", false),
            ("1.0.0.127.spamhaus.org.attacker.example.", false),
            ("1.0.0.127.notspamhaus.org.", false),
            ("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.attacker.example.", false),
            ("ba76e47680ba70a0cbff8d6c92139683.attacker.example.", false),
            ("evil.com.attacker.example.", false),
            ("2.0.0.127.list.corp.example.", true),
        ] {
            for answer in ["127.0.0.1", "127.0.0.2", "127.0.0.53"] {
                assert_eq!(!left(&guard, asked, &[answer]).is_empty(), kept, "{asked} {answer}");
            }
        }
    }

    #[test]
    fn what_is_public_stays_without_its_signatures() {
        let guard = Rebinding::new(true, &[name("lab.example.")]);
        let Verdict::Stripped { kept: Some(kept), dropped } =
            guard.check(&name("www.example."), &set(&["192.0.2.1", "10.0.0.1", "127.0.0.1", "192.0.2.2"]))
        else {
            panic!("it contains private addresses and public ones");
        };
        assert_eq!(kept.data, set(&["192.0.2.1", "192.0.2.2"]).data);
        assert!(kept.sigs.is_empty());
        assert_eq!((kept.name, kept.ttl, dropped), (name("target.example."), 60, address("10.0.0.1")));
        let ede = guard.reason(&name("www.example."), dropped, Some(&name("example.")));
        assert_eq!(ede.code, EdeCode::FILTERED);
        assert!(ede.text.ends_with(r#"in [policy]: rebinding-allow = ["lab.example.", "www.example."]"#), "{}", ede.text);
    }

    #[test]
    fn the_hint_names_the_zone_of_a_list_and_otherwise_the_name() {
        let guard = Rebinding::new(true, &[]);
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
        for (asked, dropped, zone_cut, named) in [
            ("2.0.0.127.bl.corp.example.", "127.0.0.2", None, "bl.corp.example."),
            (&format!("{nibbles}.bl.corp.example."), "127.0.0.2", None, "bl.corp.example."),
            ("2.0.0.127.bl.corp.example.", "127.0.0.2", Some("corp.example."), "corp.example."),
            ("2.0.0.127.bl.corp.example.", "127.0.0.2", Some("example."), "bl.corp.example."),
            ("2.0.0.127.bl.corp.example.", "127.0.0.2", Some("."), "bl.corp.example."),
            ("ba76e47680ba70a0cbff8d6c92139683.hash.corp.example.", "127.0.1.4", None, "hash.corp.example."),
            ("9z3dgkmc5mh7a1wb9zzbn3scpkzcyk5t.corp.example.", "127.0.0.2", None, "corp.example."),
            ("evil.com.uri.corp.example.", "127.0.0.2", None, "uri.corp.example."),
            ("evil.co.uk.uri.corp.co.nz.", "127.0.0.2", None, "uri.corp.co.nz."),
            ("evil.shop.uri.corp.example.", "127.0.0.2", Some("uri.corp.example."), "uri.corp.example."),
            // No list: nobody is to open more than the one name.
            ("1.0.0.127.attacker.example.", "127.0.0.1", Some("attacker.example."), "1.0.0.127.attacker.example."),
            ("nas.corp.example.", "192.168.1.2", Some("corp.example."), "nas.corp.example."),
            ("www.corp.example.", "127.0.0.2", None, "www.corp.example."),
            ("2.0.0.127.", "127.0.0.2", None, "2.0.0.127."),
            ("2.0.0.127.example.", "127.0.0.2", Some("example."), "2.0.0.127.example."),
        ] {
            let cut = zone_cut.map(name);
            let text = guard.reason(&name(asked), address(dropped), cut.as_ref()).text;
            let short = format!("add {named} to rebinding-allow");
            assert!(text.ends_with(&format!("rebinding-allow = [\"{named}\"]")) || text.contains(&short), "{asked} {zone_cut:?}: {text}");
        }
    }

    #[test]
    fn the_line_can_be_pasted_and_the_text_stays_short() {
        let many: Vec<Name> = (0..40).map(|count| name(&format!("site{count}.example."))).collect();
        let guard = Rebinding::new(true, &many);
        let long = name(&format!("{0}.{0}.{0}.example.", "x".repeat(60)));
        for (asked, dropped) in [(&name("www.example."), "10.0.0.1"), (&long, "127.0.0.2"), (&long, "fd00:1:2:3:4:5:6:7")] {
            let text = guard.reason(asked, address(dropped), Some(&long.parent().expect("it has one"))).text;
            assert!(text.len() <= REBINDING_TEXT_BYTES_MAX && text.contains("rebinding-allow"), "{text}");
        }
        let odd = guard.allow_line(&name("a\\.b.example."));
        assert!(odd.ends_with(r#""a\\.b.example."]"#), "{odd}");
        assert!(odd.parse::<toml::Table>().is_ok(), "{odd}");
    }

    #[test]
    fn each_shipped_zone_is_a_name_and_stands_once() {
        let lines: Vec<&str> = SHIPPED_BLOCK_LISTS.lines().filter(|line| !line.is_empty() && !line.starts_with(';')).collect();
        for (at, line) in lines.iter().enumerate() {
            let zone = Name::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(line.ends_with('.') && zone.label_count() >= 2, "{line}");
            let above = lines.iter().enumerate().find(|(other, text)| *other != at && zone.is_within(&name(text)));
            assert!(above.is_none(), "{line} stands at or below {above:?}");
        }
    }
}
