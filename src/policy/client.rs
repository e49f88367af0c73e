//! Who counts as one client wherever clients are counted: an IPv4 address, or a /56 of IPv6, which is what one
//! household or host is commonly given (RFC 6177 2). A host that draws a new IPv6 address for each question gains
//! nothing, and what is sent to all addresses of a /56 arrives at one access line.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientNet(IpAddr);

impl ClientNet {
    pub fn of(peer: IpAddr) -> ClientNet {
        ClientNet(match peer.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 72)).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    /// The same number for all questions of one client, for code that must not know addresses.
    pub fn key(self) -> u64 {
        foldhash::quality::FixedState::default().hash_one(self)
    }
}

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
    }
}
