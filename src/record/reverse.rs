//! Names of addresses in the reverse zones (RFC 1035 3.5, RFC 3596 2.5).

use std::net::IpAddr;

use super::Name;

/// The name below `in-addr.arpa.` or `ip6.arpa.` that has an address's PTR record.
pub fn reverse_name(address: IpAddr) -> Option<Name> {
    let text = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            format!("{}ip6.arpa.", nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>())
        }
    };
    Name::parse(&text).ok()
}
