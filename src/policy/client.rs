//! What counts as one client wherever clients are counted: an IPv4 address, or an IPv6 /56, which is what one household or host
//! usually has (RFC 6177 2). A host that uses a new IPv6 address for each question gains nothing, and traffic to all addresses
//! of a /56 arrives at one access line.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One client: an IPv4 address or an IPv6 /56.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientNet(IpAddr);

impl ClientNet {
    /// An IPv4-mapped address counts as IPv4.
    pub fn of(peer: IpAddr) -> ClientNet {
        ClientNet(match peer.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 72)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    /// The same number for all questions of one client, and of no other, for code that must not know addresses. Never 0.
    pub fn key(self) -> u64 {
        match self.0 {
            IpAddr::V4(v4) => IPV4_KEYS | u64::from(v4.to_bits()),
            IpAddr::V6(v6) => IPV6_KEYS | (v6.to_bits() >> 72) as u64,
        }
    }
}

/// The address, or the /56 as a prefix.
impl fmt::Display for ClientNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/56"),
        }
    }
}

/// In front of the 32 or 56 bits that tell clients apart.
const IPV4_KEYS: u64 = 1 << 56;
const IPV6_KEYS: u64 = 2 << 56;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_or_a_56_is_one_client() {
        let net = |text: &str| ClientNet::of(text.parse().expect("address"));
        assert_eq!(net("2001:db8:0:1::1"), net("2001:db8:0:ff:ffff::"));
        assert_ne!(net("2001:db8:0:1::1"), net("2001:db8:0:100::1"));
        assert_eq!(net("::ffff:192.0.2.1"), net("192.0.2.1"));
        assert_ne!(net("192.0.2.1"), net("192.0.2.2"));
        assert_eq!([net("::ffff:192.0.2.1"), net("2001:db8:0:1::1")].map(|net| net.to_string()), ["192.0.2.1", "2001:db8::/56"]);
        let keys = ["192.0.2.1", "192.0.2.2", "0.0.0.0", "::", "2001:db8:0:1::1", "2001:db8:0:100::1", "::c0:0002:0100:0:0:0:0"]
            .map(|text| net(text).key());
        let mut known = keys.to_vec();
        known.sort_unstable();
        known.dedup();
        assert!(known.len() == keys.len() && !keys.contains(&0), "{keys:?}");
        assert_eq!(net("2001:db8:0:1::1").key(), net("2001:db8:0:ff:ffff::").key());
    }
}
