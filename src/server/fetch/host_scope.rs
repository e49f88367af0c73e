//! Which addresses belong to a local network: a public server must not send us there.
//!
//! Otherwise the owner of a list could have this server call devices at home, or the metadata service of a cloud. The operator's own
//! URL may name any address, and a local server may redirect to another one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::is_private;

/// Private, loopback and link-local addresses in each form, and others that no public server has: shared address space (RFC 6598),
/// which overlay networks use, multicast, and what is reserved (RFC 6890).
pub(super) fn is_local(address: IpAddr) -> bool {
    let is_special = match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => address.is_multicast() || carried(address).is_some_and(is_special_v4),
    };
    is_special || is_private(address)
}

/// The IPv4 address that a translator (RFC 6052 2.1, RFC 8215) or a tunnel (6to4, RFC 3056 2) makes of this one. What stands for a
/// private address is private for [`is_private`] already.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] | [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [100, second, ..] => second & 0xc0 == 64,
        [192, 0, 0, _] => true,
        [198, 18 | 19, ..] => true,
        [first, ..] => first >= 224,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_public_addresses() {
        for (address, expected) in [
            ("192.0.2.1", false),
            ("100.63.255.255", false),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("10.1.2.3", true),
            ("127.0.0.1", true),
            ("169.254.169.254", true),
            ("0.0.0.0", true),
            ("192.0.0.1", true),
            ("198.17.0.1", false),
            ("198.18.0.1", true),
            ("223.255.255.255", false),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("2001:db8::1", false),
            ("::1", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("ff02::1", true),
            ("::ffff:10.0.0.1", true),
            ("::ffff:100.64.0.1", true),
            ("::ffff:192.0.2.1", false),
            ("64:ff9b::127.0.0.1", true),
            ("64:ff9b::100.64.0.1", true),
            ("64:ff9b::224.0.0.1", true),
            ("64:ff9b::192.0.2.1", false),
            ("64:ff9b:1::100.64.0.1", true),
            ("64:ff9b:1::192.0.2.1", false),
            ("2002:0a00:0001::1", true),
            ("2002:6440:0001::1", true),
            ("2002:c000:0201::1", false),
        ] {
            assert_eq!(is_local(address.parse().expect("an address")), expected, "{address}");
        }
    }
}
