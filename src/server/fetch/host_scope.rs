//! Which addresses belong to a local network: a public server must not send us there.
//!
//! Otherwise the owner of a list could have this server call devices at home, or the metadata service of a cloud. The operator's own
//! URL may name any address, and a local server may redirect to another one.

use std::net::{IpAddr, Ipv4Addr};

use crate::policy::is_private;

/// Private, loopback and link-local addresses in each form, and others that no public server has: shared address space (RFC 6598),
/// which overlay networks use, multicast, and what is reserved (RFC 6890).
pub(super) fn is_local(address: IpAddr) -> bool {
    let is_special = match address.to_canonical() {
        IpAddr::V4(address) => is_special_v4(address),
        IpAddr::V6(address) => address.is_multicast(),
    };
    is_special || is_private(address)
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
        ] {
            assert_eq!(is_local(address.parse().expect("an address")), expected, "{address}");
        }
    }
}
