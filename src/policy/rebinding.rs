//! The rebinding guard: a public name must not lead a browser to a machine at home.
//!
//! A page of `attacker.example` may talk to `attacker.example`; if that name then has the address 192.168.1.1, the
//! page talks to the router. So addresses that only mean something locally are taken out of the answers for public
//! names: A and AAAA, and HTTPS and SVCB records whose hints (RFC 9460 7.3) hold one.
//!
//! It is the name that was asked for that counts, not where its aliases lead: an attacker may point an alias into a
//! domain that is allowed. Hosted zones, local data, forward and stub zones are not to be shown to the guard.
//! A stripped set has lost its signatures: nothing vouches for what is left.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::RandomState;

use crate::record::{Ede, EdeCode, Name, RdataList, RrSet, Rtype};

pub struct Rebinding {
    on: bool,
    /// The administrator's list, in his order.
    allowed: Vec<Name>,
    /// Wire forms: below these all addresses are fine.
    any_address: HashSet<Box<[u8]>, RandomState>,
    /// Below these 127.0.0.0/8 is fine.
    loopback_only: HashSet<Box<[u8]>, RandomState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Clean,
    /// `kept` is what may still be answered; `None`: NODATA. `dropped` is the first address that was taken out.
    Stripped {
        kept: Option<RrSet>,
        dropped: IpAddr,
        ede: Ede,
    },
}

/// These hand out their customers' private addresses on purpose, so that a certificate can be had for them.
const SHIPPED_ANY_ADDRESS: &[&str] = &["plex.direct."];

/// Block lists that are asked about names, and answer in 127.0.0.0/8 (RFC 5782 3). Those asked about addresses need
/// no list: their questions show what they are.
const SHIPPED_BLOCK_LISTS: &[&str] = &[
    "dbl.spamhaus.org.",
    "dq.spamhaus.net.",
    "multi.surbl.org.",
    "multi.uribl.com.",
    "rhsbl.sorbs.net.",
    "uribl.spameatingmonkey.net.",
    "fresh.spameatingmonkey.net.",
    "dbl.nordspam.com.",
    "fresh.fmb.la.",
    "hostkarma.junkemailfilter.com.",
    "dwl.dnswl.org.",
];

/// EXTRA-TEXT is for people who read one line; the list that it quotes may be long.
const EDE_TEXT_MAX: usize = 160;

impl Rebinding {
    pub fn new(on: bool, allow: &[Name]) -> Rebinding {
        let shipped = |names: &[&str]| -> Vec<Name> { names.iter().filter_map(|name| Name::parse(name).ok()).collect() };
        let wires = |names: &[Name]| names.iter().map(|name| name.as_wire().into()).collect::<HashSet<Box<[u8]>, RandomState>>();
        let mut any_address = wires(&shipped(SHIPPED_ANY_ADDRESS));
        any_address.extend(wires(allow));
        Rebinding { on, allowed: allow.to_vec(), any_address, loopback_only: wires(&shipped(SHIPPED_BLOCK_LISTS)) }
    }

    /// `set` is part of the answer to a question for `asked`.
    pub fn check(&self, asked: &Name, set: &RrSet) -> Verdict {
        if !self.on || !matches!(set.rtype, Rtype::A | Rtype::AAAA | Rtype::HTTPS | Rtype::SVCB) {
            return Verdict::Clean;
        }
        let dropped = set.data.iter().find_map(|rdata| private_address(set.rtype, rdata));
        let Some(dropped) = dropped else { return Verdict::Clean };
        if self.is_allowed(asked, set) {
            return Verdict::Clean;
        }
        let public: RdataList = set.data.iter().filter(|rdata| private_address(set.rtype, rdata).is_none()).collect();
        let kept = (!public.is_empty()).then(|| RrSet { data: public, ..RrSet::new(set.name.clone(), set.rtype, set.ttl) });
        Verdict::Stripped { kept, dropped, ede: Ede::new(EdeCode::FILTERED, self.reason(asked, dropped)) }
    }

    /// The line of the configuration that lets `zone` through, in full: the names it holds already stay in it.
    pub fn allow_line(&self, zone: &Name) -> String {
        let names: Vec<String> = self.allowed.iter().chain([zone]).map(|name| format!("{:?}", name.to_string())).collect();
        format!("rebinding-allow = [{}]", names.join(", "))
    }

    fn is_allowed(&self, asked: &Name, set: &RrSet) -> bool {
        let under = |list: &HashSet<Box<[u8]>, RandomState>| asked.suffixes().any(|suffix| list.contains(suffix));
        let loopback_v4 = |rdata: &[u8]| rdata.first() == Some(&127);
        under(&self.any_address)
            || (set.rtype == Rtype::A
                && set.data.iter().all(|rdata| loopback_v4(rdata) || private_address(Rtype::A, rdata).is_none())
                && (asks_about_an_address(asked) || under(&self.loopback_only)))
    }

    fn reason(&self, asked: &Name, dropped: IpAddr) -> String {
        let line = self.allow_line(asked);
        let text = format!("private address {dropped} in a public name; to allow it, in [policy]: {line}");
        if text.len() <= EDE_TEXT_MAX {
            text
        } else {
            format!("private address {dropped}; to allow it, add the name to rebinding-allow in [policy]")
        }
    }
}

/// The first address in this RDATA that only means something locally.
fn private_address(rtype: Rtype, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        Rtype::A => v4_of(rdata).filter(|v4| is_private_v4(*v4)).map(IpAddr::V4),
        Rtype::AAAA => v6_of(rdata).filter(|v6| is_private_v6(*v6)).map(IpAddr::V6),
        Rtype::HTTPS | Rtype::SVCB => private_hint(rdata),
        _ => None,
    }
}

fn v4_of(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn v6_of(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// "This network" (it reaches the asking machine itself), loopback, link-local (RFC 3927), RFC 1918.
fn is_private_v4(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0 || address.is_loopback() || address.is_link_local() || address.is_private()
}

/// `::` and `::1`, ULA (RFC 4193), link-local, the old site-local (RFC 3879), and all forms that carry a private
/// IPv4 address: mapped, compatible, NAT64 (RFC 6052 3.1), 6to4 (RFC 3056 2).
fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0, high, low] => is_private_v4(v4(high, low)),
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_private_v4(v4(high, low)),
        [0x2002, high, low, ..] => is_private_v4(v4(high, low)),
        [first, ..] => first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0,
    }
}

const IPV4HINT: u16 = 4;
const IPV6HINT: u16 = 6;

/// SvcParams (RFC 9460 2.2) after priority and target: pairs of key and value, each with a length.
fn private_hint(rdata: &[u8]) -> Option<IpAddr> {
    let (_, target_len) = Name::from_wire_prefix(rdata.get(2..)?).ok()?;
    let mut rest = rdata.get(2 + target_len..)?;
    while let Some((&[key_high, key_low, len_high, len_low], after)) = rest.split_first_chunk() {
        let (value, next) = after.split_at_checked(usize::from(u16::from_be_bytes([len_high, len_low])))?;
        rest = next;
        let private = match u16::from_be_bytes([key_high, key_low]) {
            IPV4HINT => value.chunks_exact(4).find_map(|hint| private_address(Rtype::A, hint)),
            IPV6HINT => value.chunks_exact(16).find_map(|hint| private_address(Rtype::AAAA, hint)),
            _ => None,
        };
        if private.is_some() {
            return private;
        }
    }
    None
}

/// A question to a block list (RFC 5782 2.1, 2.4): an address with its octets or nibbles reversed, then the list.
fn asks_about_an_address(name: &Name) -> bool {
    let octet = |label: &[u8]| {
        label.len() <= 3
            && label.iter().all(u8::is_ascii_digit)
            && label.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0')) < 256
    };
    let nibble = |label: &[u8]| label.len() == 1 && label[0].is_ascii_hexdigit();
    let starts_with = |count: usize, fits: &dyn Fn(&[u8]) -> bool| name.labels().take(count).filter(|label| fits(label)).count() == count;
    let labels = name.label_count();
    labels > 4 && starts_with(4, &octet) || labels > 32 && starts_with(32, &nibble)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name of the table")
    }

    fn rdata(address: &str) -> Vec<u8> {
        match address.parse().expect("an address of the table") {
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

    /// How many addresses are left.
    fn left(guard: &Rebinding, asked: &str, addresses: &[&str]) -> usize {
        match guard.check(&name(asked), &set(addresses)) {
            Verdict::Clean => addresses.len(),
            Verdict::Stripped { kept, .. } => kept.map_or(0, |kept| kept.data.len()),
        }
    }

    #[test]
    fn addresses() {
        let guard = Rebinding::new(true, &[]);
        for (address, kept) in [
            ("192.0.2.1", 1),
            ("8.8.8.8", 1),
            ("10.0.0.1", 0),
            ("172.15.255.255", 1),
            ("172.16.0.0", 0),
            ("172.31.255.255", 0),
            ("172.32.0.0", 1),
            ("192.168.1.1", 0),
            ("192.167.1.1", 1),
            ("169.254.169.254", 0),
            ("0.0.0.0", 0),
            ("0.1.2.3", 0),
            ("127.0.0.1", 0),
            ("127.255.0.9", 0),
            ("128.0.0.1", 1),
            ("100.64.0.1", 1),
            ("2001:db8::1", 1),
            ("2606:4700::1111", 1),
            ("::", 0),
            ("::1", 0),
            ("::ffff:192.168.1.1", 0),
            ("::ffff:8.8.8.8", 1),
            ("::10.0.0.1", 0),
            ("64:ff9b::10.0.0.1", 0),
            ("64:ff9b::8.8.8.8", 1),
            ("2002:c0a8:101::1", 0),
            ("2002:808:808::1", 1),
            ("fc00::1", 0),
            ("fdff::1", 0),
            ("fe80::1", 0),
            ("febf::1", 0),
            ("fec0::1", 0),
            ("fe00::1", 1),
            ("ff02::1", 1),
        ] {
            assert_eq!(left(&guard, "www.example.", &[address]), kept, "{address}");
        }
    }

    #[test]
    fn names_that_may() {
        let guard = Rebinding::new(true, &[name("lab.example.")]);
        for (asked, address, kept) in [
            ("nas.lab.example.", "192.168.1.1", 1),
            ("lab.example.", "127.0.0.1", 1),
            ("lab.example.", "fd00::1", 1),
            ("xlab.example.", "192.168.1.1", 0),
            ("example.", "192.168.1.1", 0),
            ("192-168-1-2.0123.plex.direct.", "192.168.1.2", 1),
            ("evil.dbl.spamhaus.org.", "127.0.1.2", 1),
            ("evil.dbl.spamhaus.org.", "192.168.1.2", 0),
            // Asked about an address, in front of any list.
            ("2.0.0.127.zen.example.", "127.0.0.2", 1),
            ("2.0.0.127.zen.example.", "10.0.0.2", 0),
            ("2.0.0.256.zen.example.", "127.0.0.2", 0),
            ("2.0.0127.zen.example.", "127.0.0.2", 0),
            ("0.0.127.zen.example.", "127.0.0.2", 0),
            ("2.0.0.127.", "127.0.0.2", 0),
            ("a.b.c.d.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example.", "127.0.0.2", 1),
            ("a.b.c.d.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.g.d.0.1.0.0.2.zen.example.", "127.0.0.2", 0),
            ("b.c.d.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example.", "127.0.0.2", 0),
            ("2.0.0.127.zen.example.", "::1", 0),
        ] {
            assert_eq!(left(&guard, asked, &[address]), kept, "{asked} {address}");
        }
        assert_eq!(left(&Rebinding::new(false, &[]), "www.example.", &["10.0.0.1"]), 1, "switched off");
        assert_eq!(left(&Rebinding::new(true, &[Name::root()]), "www.example.", &["10.0.0.1"]), 1, "the root is everything");
    }

    #[test]
    fn what_is_public_stays_without_its_signatures() {
        let guard = Rebinding::new(true, &[name("lab.example.")]);
        let Verdict::Stripped { kept: Some(kept), dropped, ede } =
            guard.check(&name("www.example."), &set(&["192.0.2.1", "10.0.0.1", "127.0.0.1", "192.0.2.2"]))
        else {
            panic!("it holds private addresses and public ones");
        };
        assert_eq!(kept.data, set(&["192.0.2.1", "192.0.2.2"]).data);
        assert!(kept.sigs.is_empty());
        assert_eq!((kept.name, kept.ttl, dropped), (name("target.example."), 60, IpAddr::from([10, 0, 0, 1])));
        assert_eq!(ede.code, EdeCode::FILTERED);
        assert!(ede.text.ends_with(r#"in [policy]: rebinding-allow = ["lab.example.", "www.example."]"#), "{}", ede.text);
    }

    #[test]
    fn the_line_can_be_pasted_and_the_text_stays_short() {
        let many: Vec<Name> = (0..40).map(|count| name(&format!("site{count}.example."))).collect();
        let guard = Rebinding::new(true, &many);
        let Verdict::Stripped { ede, .. } = guard.check(&name("www.example."), &set(&["10.0.0.1"])) else { panic!("private") };
        assert!(ede.text.len() <= EDE_TEXT_MAX, "{}", ede.text);
        let odd = guard.allow_line(&name("a\\.b.example."));
        assert!(odd.ends_with(r#""a\\.b.example."]"#), "{odd}");
        assert!(odd.parse::<toml::Table>().is_ok(), "{odd}");
    }

    #[test]
    fn hints_of_service_bindings() {
        let guard = Rebinding::new(true, &[]);
        let record = |params: &[u8]| [&b"\x00\x01\x00"[..], params].concat();
        let alpn = b"\x00\x01\x00\x03\x02h2";
        let public = record(&[&alpn[..1], &alpn[1..], b"\x00\x04\x00\x04\xc0\x00\x02\x01"].concat());
        let private = record(b"\x00\x04\x00\x08\xc0\x00\x02\x01\x0a\x00\x00\x01");
        let loopback6 = record(&[&b"\x00\x06\x00\x10"[..], &Ipv6Addr::LOCALHOST.octets()].concat());
        let cut_off = record(b"\x00\x04\x00\xff\x0a\x00\x00\x01");
        for (rdata, clean) in [(&public, true), (&private, false), (&loopback6, false), (&cut_off, true)] {
            let set = RrSet::with(name("www.example."), Rtype::HTTPS, 60, rdata);
            assert_eq!(guard.check(&name("www.example."), &set) == Verdict::Clean, clean, "{rdata:02x?}");
        }
        for bytes in [&b""[..], b"\x00\x01", b"\x00\x01\xc0\x0c"] {
            assert_eq!(private_hint(bytes), None);
        }
    }
}
