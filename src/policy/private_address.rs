//! Addresses that have a meaning only on the local network, in every form in which a client may receive them.
//!
//! IPv4: "this network", loopback, link-local (RFC 3927) and RFC 1918. IPv6: unspecified, loopback, ULA (RFC 4193),
//! link-local, site-local (RFC 3879), and every address that carries one of those IPv4 addresses for a translator or a
//! tunnel. A, AAAA, and the hints of HTTPS and SVCB records (RFC 9460 7.3).
//!
//! Shared address space (100.64.0.0/10) counts as public, because overlay networks publish it in public names on purpose.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::record::{Rtype, address_hints};

/// The first private address in this RDATA.
pub(super) fn private_address(rtype: Rtype, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        Rtype::A => private_v4(rdata).map(IpAddr::V4),
        Rtype::AAAA => private_v6(rdata).map(IpAddr::V6),
        Rtype::HTTPS | Rtype::SVCB => address_hints(rdata).find(|address| is_private(*address)),
        _ => None,
    }
}

/// Is this such an address?
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn private_v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from).filter(|v4| is_private_v4(*v4))
}

fn private_v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from).filter(|v6| is_private_v6(*v6))
}

/// 0.0.0.0/8 reaches the client's own machine on many systems.
fn is_private_v4(address: Ipv4Addr) -> bool {
    is_this_network(address) || address.is_loopback() || address.is_link_local() || address.is_private()
}

fn is_this_network(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| is_private_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // IPv4-compatible; `::` and `::1` are 0.0.0.0 and 0.0.0.1 in that form.
        [0, 0, 0, 0, 0, 0, high, low] => v4(high, low),
        // IPv4-mapped (RFC 4291 2.5.5.2), IPv4-translated (RFC 2765 2.1).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        // NAT64: the well-known prefix (RFC 6052 2.1) and the one for local use (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 1, ..] => is_private_local_nat64(address.octets()),
        // 6to4 (RFC 3056 2).
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo (RFC 4380 4): the server, and the client's address with all bits inverted.
        [0x2001, 0, high, low, _, _, client_high, client_low] => v4(high, low) || v4(!client_high, !client_low),
        // ISATAP (RFC 5214 6.1): an interface identifier, behind any prefix.
        [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] if v4(high, low) => true,
        [first, ..] => first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || first & 0xffc0 == 0xfec0,
    }
}

/// The operator of the local network may divide 64:ff9b:1::/48 in each way that RFC 6052 2.2 allows, so the position of the
/// IPv4 address is not known. The bits after the address should be zero, so the shortest prefix for which they are is the
/// likely one. A translator ignores those bits, so a private address at the position of a shorter prefix counts too. Zeros
/// there do not count, because most of a prefix is zero.
fn is_private_local_nat64(octets: [u8; 16]) -> bool {
    // The positions of the four octets for /48, /56, /64 and /96; octet 8 is skipped (RFC 6052 2.2).
    const PLACES: [[usize; 4]; 4] = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    for place in PLACES {
        let v4 = Ipv4Addr::from(place.map(|at| octets[at]));
        let ends_here = octets[place[3] + 1..].iter().all(|octet| *octet == 0);
        if is_private_v4(v4) && (ends_here || !is_this_network(v4)) {
            return true;
        }
        if ends_here {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_private(address: &str) -> bool {
        match address.parse().expect("an address of the table") {
            IpAddr::V4(v4) => private_address(Rtype::A, &v4.octets()).is_some(),
            IpAddr::V6(v6) => private_address(Rtype::AAAA, &v6.octets()).is_some(),
        }
    }

    #[test]
    fn plain_addresses() {
        for (address, private) in [
            ("192.0.2.1", false),
            ("8.8.8.8", false),
            ("10.0.0.1", true),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.168.1.1", true),
            ("192.167.1.1", false),
            ("169.254.169.254", true),
            ("0.0.0.0", true),
            ("0.1.2.3", true),
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("128.0.0.1", false),
            ("100.64.0.1", false),
            ("2001:db8::1", false),
            ("2606:4700::1111", false),
            ("::", true),
            ("::1", true),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fec0::1", true),
            ("fe00::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_private(address), private, "{address}");
        }
    }

    /// Each form with a private IPv4 address, and with a public one.
    #[test]
    fn ipv4_inside_ipv6() {
        for (form, private, public) in [
            ("mapped", "::ffff:192.168.1.1", "::ffff:8.8.8.8"),
            ("compatible", "::10.0.0.1", "::8.8.8.8"),
            ("translated", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"),
            ("NAT64", "64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8"),
            ("NAT64, 0.0.0.0", "64:ff9b::", "64:ff9b::1.0.0.0"),
            ("local NAT64 /96", "64:ff9b:1::10.0.0.1", "64:ff9b:1::8.8.8.8"),
            ("local NAT64 /96 elsewhere", "64:ff9b:1:fffe:1234::169.254.169.254", "64:ff9b:1:fffe:1234::8.8.8.8"),
            ("local NAT64 /64", "64:ff9b:1:abcd:c0:a801:100:0", "64:ff9b:1:abcd:8:808:800:0"),
            ("local NAT64 /64, loopback", "64:ff9b:1:0:7f:0:100:0", "64:ff9b:1:0:80:0:100:0"),
            ("local NAT64 /56", "64:ff9b:1:ff0a:0:1::", "64:ff9b:1:ff08:8:808::"),
            ("local NAT64 /48", "64:ff9b:1:c0a8:1:100::", "64:ff9b:1:808:8:800::"),
            ("local NAT64 /48, 10 in the second octet", "64:ff9b:1:a01:0:200::", "64:ff9b:1:10a:1:200::"),
            ("local NAT64 /48 with a suffix", "64:ff9b:1:c0a8:1:100:0:1", "64:ff9b:1:808:8:800::"),
            ("local NAT64, all zero", "64:ff9b:1::", "64:ff9b:1::192.0.2.9"),
            ("6to4", "2002:c0a8:101::1", "2002:808:808::1"),
            ("Teredo client", "2001:0:4136:e378:8000:63bf:3f57:fefe", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
            ("Teredo server", "2001:0:a00:1:8000:63bf:3fff:fdd2", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
            ("ISATAP", "2001:db8::5efe:10.0.0.1", "2001:db8::5efe:8.8.8.8"),
            ("ISATAP, globally unique", "2001:db8::200:5efe:192.168.0.1", "2001:db8::200:5efe:192.0.2.1"),
        ] {
            assert!(is_private(private), "{form}: {private}");
            assert!(!is_private(public), "{form}: {public}");
        }
    }

    #[test]
    fn hints_of_service_bindings() {
        let with = |params: &[u8]| [&b"\x00\x01\x00"[..], params].concat();
        let v4 = |addresses: &[[u8; 4]]| [&[0, 4, 0, addresses.len() as u8 * 4], addresses.concat().as_slice()].concat();
        let v6 = |address: &str| [&b"\x00\x06\x00\x10"[..], &address.parse::<Ipv6Addr>().expect(address).octets()].concat();
        let alpn = b"\x00\x01\x00\x03\x02h2".to_vec();
        let (public, home) = ([192, 0, 2, 1], [10, 0, 0, 1]);
        for (what, params, found) in [
            ("no hint", alpn.clone(), None),
            ("a public one", [alpn.clone(), v4(&[public])].concat(), None),
            ("the second of two", v4(&[public, home]), Some("10.0.0.1")),
            ("loopback", v6("::1"), Some("::1")),
            ("behind a public one", [v4(&[public]), v6("fd00::1")].concat(), Some("fd00::1")),
            ("NAT64 for local use", v6("64:ff9b:1::192.168.1.1"), Some("64:ff9b:1::c0a8:101")),
            ("of no whole address", [&b"\x00\x04\x00\x03"[..], &home[..3]].concat(), None),
            ("the length is past the end", b"\x00\x04\x00\xff\x0a\x00\x00\x01".to_vec(), None),
        ] {
            let found = found.map(|address| address.parse::<IpAddr>().expect(address));
            assert_eq!(private_address(Rtype::HTTPS, &with(&params)), found, "{what}");
            assert_eq!(private_address(Rtype::SVCB, &with(&params)), found, "{what}");
        }
        for bytes in [&b""[..], b"\x00\x01", b"\x00\x01\xc0\x0c"] {
            assert_eq!(private_address(Rtype::HTTPS, bytes), None);
        }
    }
}
