//! What makes a rule apply, as its owner name says it (section 4 of the draft).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::record::Name;

/// The kind of a trigger, in the order of precedence within one zone (section 5.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Trigger {
    ClientIp,
    Qname,
    Ip,
    Nsdname,
    Nsip,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trigger::ClientIp => "client address",
            Trigger::Qname => "query name",
            Trigger::Ip => "address in the answer",
            Trigger::Nsdname => "name of a name server",
            Trigger::Nsip => "address of a name server",
        })
    }
}

/// A prefix as it is compared by sections 5.6 and 5.7: IPv4 is expanded with zeros to 128 bits, and its length counts from there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct TriggerPrefix {
    /// IPv4 and IPv6 prefixes with the same bits are different rules.
    pub is_v4: bool,
    pub bits: u128,
    /// 97 to 128 for IPv4, 1 to 128 for IPv6.
    pub internal_length: u8,
}

/// What an owner name means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Qname,
    Nsdname,
    Address(Trigger, TriggerPrefix),
}

/// The label that the names of one kind of trigger end in, below the apex.
pub(super) const NSDNAME_LABEL: &[u8] = b"rpz-nsdname";

/// Reads an owner name without the labels of the apex. Never empty. The error says what is wrong with it.
pub(super) fn owner(labels: &[&[u8]]) -> Result<Owner, String> {
    let Some((last, before)) = labels.split_last() else { return Err("the apex holds no rule".to_owned()) };
    let kind = match *last {
        b"rpz-client-ip" => Trigger::ClientIp,
        b"rpz-ip" => Trigger::Ip,
        b"rpz-nsip" => Trigger::Nsip,
        NSDNAME_LABEL if before.is_empty() => return Err("no name of a server stands before rpz-nsdname".to_owned()),
        NSDNAME_LABEL => return Ok(Owner::Nsdname),
        // Section 2: a trigger of a later format is treated as an error.
        last if last.starts_with(b"rpz-") => return Err(format!("{} is no kind of trigger", String::from_utf8_lossy(last))),
        _ => return Ok(Owner::Qname),
    };
    prefix(before).map(|prefix| Owner::Address(kind, prefix))
}

/// Section 4.1.1: the length, then the parts of the address in reverse order.
fn prefix(labels: &[&[u8]]) -> Result<TriggerPrefix, String> {
    let Some((length, parts)) = labels.split_first() else { return Err("no address stands before it".to_owned()) };
    let is_v4 = parts.len() == 4 && !parts.contains(&&b"zz"[..]);
    let length_max = if is_v4 { 32 } else { 128 };
    let length = number(length, 10, 3).filter(|length| (1..=length_max).contains(length));
    let length = length.ok_or_else(|| format!("a prefix length from 1 to {length_max} must come first"))? as u32;
    let address = if is_v4 { v4(parts) } else { v6(parts) };
    let address = address.ok_or_else(|| match is_v4 {
        true => "four numbers up to 255 are an IPv4 address".to_owned(),
        false => "eight hexadecimal numbers, or fewer around one \"zz\", are an IPv6 address".to_owned(),
    })?;
    let (bits, internal_length) = (bits_of(address), if is_v4 { length + 96 } else { length });
    if bits & !mask(internal_length as u8) != 0 {
        return Err(format!("the address has bits set after its first {length}"));
    }
    Ok(TriggerPrefix { is_v4, bits, internal_length: internal_length as u8 })
}

/// The bits of an address, IPv4 expanded with zeros (RFC 4291 2.5.5.1).
pub(super) fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub(super) fn mask(internal_length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(internal_length)).unwrap_or(0)
}

fn v4(parts: &[&[u8]]) -> Option<IpAddr> {
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().rev().zip(parts) {
        *octet = u8::try_from(number(part, 10, 3)?).ok()?;
    }
    Some(IpAddr::V4(Ipv4Addr::from(octets)))
}

/// A form with zeros written out where "zz" should stand is still plain, so it is taken.
fn v6(parts: &[&[u8]]) -> Option<IpAddr> {
    let mut fields = parts.iter().rev();
    let gap = parts.iter().filter(|part| **part == b"zz").count();
    let written = parts.len() - gap;
    if gap > 1 || (gap == 0 && written != 8) || (gap == 1 && written > 7) {
        return None;
    }
    let (mut hextets, mut at) = ([0u16; 8], 0);
    for part in &mut fields {
        if *part == b"zz" {
            at += 8 - written;
            continue;
        }
        *hextets.get_mut(at)? = u16::try_from(number(part, 16, 4)?).ok()?;
        at += 1;
    }
    Some(IpAddr::V6(Ipv6Addr::from(hextets)))
}

/// A number without leading zeros.
fn number(text: &[u8], radix: u32, digits_max: usize) -> Option<usize> {
    let is_plain = !text.is_empty() && text.len() <= digits_max && (text == b"0" || !text.starts_with(b"0"));
    let text = std::str::from_utf8(text).ok().filter(|text| is_plain && text.bytes().all(|digit| digit.is_ascii_alphanumeric()))?;
    usize::from_str_radix(text, radix).ok()
}

/// The name made of these labels, for people.
pub(super) fn shown(labels: &[&[u8]]) -> String {
    let name = labels.iter().rev().try_fold(Name::root(), |name, label| name.child(label));
    name.map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Owner, String> {
        let name = Name::parse(text).expect(text);
        let labels: Vec<&[u8]> = name.labels().collect();
        owner(&labels)
    }

    /// The examples of section 4.1.1, and each of its MUSTs.
    #[test]
    fn addresses_in_triggers() {
        for (text, expected) in [
            ("24.0.2.0.192.rpz-client-ip", "192.0.2.0/120"),
            ("32.1.2.0.192.rpz-ip", "192.0.2.1/128"),
            ("1.0.0.0.128.rpz-nsip", "128.0.0.0/97"),
            ("128.3.zz.db8.2001.rpz-ip", "2001:db8::3/128"),
            ("48.zz.101.db8.2001.rpz-ip", "2001:db8:101::/48"),
            ("121.280.c000.zz.db8.2001.rpz-ip", "2001:db8::c000:280/121"),
            ("128.zz.1.rpz-ip", "1::/128"),
            ("128.1.zz.rpz-ip", "::1/128"),
            ("128.8.7.6.5.4.3.2.1.rpz-ip", "1:2:3:4:5:6:7:8/128"),
            ("128.8.7.6.zz.4.3.2.1.rpz-ip", "1:2:3:4:0:6:7:8/128"),
            ("64.0.0.0.0.0.0.db8.2001.rpz-ip", "2001:db8::/64"),
            ("128.1.2.3.zz.rpz-ip", "::3:2:1/128"),
            ("0.0.0.0.0.rpz-ip", "a prefix length from 1 to 32 must come first"),
            ("33.1.2.0.192.rpz-ip", "a prefix length from 1 to 32 must come first"),
            ("024.0.2.0.192.rpz-ip", "a prefix length from 1 to 32 must come first"),
            ("129.1.zz.rpz-ip", "a prefix length from 1 to 128 must come first"),
            ("8.2.0.0.10.rpz-client-ip", "the address has bits set after its first 8"),
            ("32.01.2.0.192.rpz-ip", "four numbers up to 255 are an IPv4 address"),
            ("32.256.2.0.192.rpz-ip", "four numbers up to 255 are an IPv4 address"),
            ("32.+1.2.0.192.rpz-ip", "four numbers up to 255 are an IPv4 address"),
            ("32.2.0.192.rpz-ip", "eight hexadecimal numbers, or fewer around one \"zz\", are an IPv6 address"),
            ("128.0003.zz.db8.2001.rpz-ip", "eight hexadecimal numbers, or fewer around one \"zz\", are an IPv6 address"),
            ("128.zz.3.zz.2001.rpz-ip", "eight hexadecimal numbers, or fewer around one \"zz\", are an IPv6 address"),
            ("128.1.zz.8.7.6.5.4.3.2.rpz-ip", "eight hexadecimal numbers, or fewer around one \"zz\", are an IPv6 address"),
            ("rpz-ip", "no address stands before it"),
            ("x.rpz-later", "rpz-later is no kind of trigger"),
        ] {
            let shown = match read(text) {
                Ok(Owner::Address(_, prefix)) => {
                    let address = match prefix.is_v4 {
                        true => IpAddr::V4(Ipv4Addr::from_bits(prefix.bits as u32)),
                        false => IpAddr::V6(Ipv6Addr::from_bits(prefix.bits)),
                    };
                    format!("{address}/{}", prefix.internal_length)
                }
                Ok(other) => format!("{other:?}"),
                Err(why) => why,
            };
            assert_eq!(shown, expected, "{text}");
        }
    }

    #[test]
    fn names_in_triggers() {
        assert_eq!(read("example.com"), Ok(Owner::Qname));
        assert_eq!(read("*.example.com"), Ok(Owner::Qname));
        assert_eq!(read("ns.example.com.rpz-nsdname"), Ok(Owner::Nsdname));
        assert_eq!(read("rpz-ip.example.com"), Ok(Owner::Qname), "the label counts where it stands below the apex only");
        assert!(read("rpz-nsdname").is_err());
    }
}
