//! An access list, compiled for a look-up per packet: the prefixes as sorted ranges that do not overlap, so that one binary
//! search is enough for a list of any length.
//!
//! An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) counts as the IPv4 address inside it, because a client of a dual-stack socket
//! is an IPv4 client.

use std::net::IpAddr;

use crate::config::Prefix;

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// First and last address of each range; sorted, with gaps between them.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Acl {
    /// The union of the prefixes.
    pub fn new(prefixes: &[Prefix]) -> Acl {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            let length = u32::from(prefix.length());
            match prefix.network() {
                IpAddr::V4(first) => v4.push((first.to_bits(), first.to_bits() | u32::MAX.checked_shr(length).unwrap_or(0))),
                IpAddr::V6(first) => v6.push((first.to_bits(), first.to_bits() | u128::MAX.checked_shr(length).unwrap_or(0))),
            }
        }
        Acl { v4: merged(v4), v6: merged(v6) }
    }

    /// Whether no address is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether one of the prefixes has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(v4) => within(&self.v4, v4.to_bits()),
            IpAddr::V6(v6) => within(&self.v6, v6.to_bits()),
        }
    }
}

/// Two prefixes either nest or are disjoint, so a range that starts inside the one before also ends there.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    ranges.dedup_by(|later, kept| later.0 <= kept.1);
    ranges
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).is_some_and(|at| address <= ranges[at].1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn acl(prefixes: &[&str]) -> Acl {
        let prefixes: Vec<Prefix> = prefixes.iter().map(|text| text.parse().expect("a prefix of the table")).collect();
        Acl::new(&prefixes)
    }

    #[test]
    fn contains() {
        let office = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "2001:db8:1::/48", "::1", "198.51.100.0/25"];
        for (list, address, expected) in [
            (&office[..], "10.0.0.0", true),
            (&office, "10.255.255.255", true),
            (&office, "11.0.0.0", false),
            (&office, "9.255.255.255", false),
            (&office, "192.0.2.7", true),
            (&office, "192.0.2.8", false),
            (&office, "198.51.100.127", true),
            (&office, "198.51.100.128", false),
            (&office, "::ffff:10.9.9.9", true),
            (&office, "::ffff:11.9.9.9", false),
            (&office, "2001:db8:ffff::1", true),
            (&office, "2001:db9::1", false),
            (&office, "::1", true),
            (&office, "::", false),
            (&[], "127.0.0.1", false),
            (&["0.0.0.0/0"], "255.255.255.255", true),
            (&["0.0.0.0/0"], "::1", false),
            (&["::/0"], "ffff::", true),
            (&["::/0"], "127.0.0.1", false),
            (&["::ffff:10.0.0.0/104"], "10.2.3.4", true),
        ] {
            assert_eq!(acl(list).contains(address.parse().expect("an address of the table")), expected, "{address} in {list:?}");
        }
    }

    #[test]
    fn ranges_inside_others_are_dropped() {
        assert_eq!(acl(&["10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "10.0.0.1"]).v4.len(), 1);
        assert_eq!(acl(&["0.0.0.0/0", "10.0.0.0/8"]).v4, vec![(0, u32::MAX)]);
    }

    proptest! {
        /// The compiled list says what going through the prefixes one by one says.
        #[test]
        fn agrees_with_a_plain_search(
            prefixes in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..12),
            offset in 0u32..3,
            pick in any::<prop::sample::Index>(),
            elsewhere in any::<u32>(),
        ) {
            let list: Vec<Prefix> = prefixes.iter()
                .filter_map(|(bits, length)| Prefix::new(std::net::Ipv4Addr::from_bits(*bits).into(), *length)).collect();
            let near = match list.is_empty() { true => elsewhere, false => match list[pick.index(list.len())].network() {
                IpAddr::V4(first) => first.to_bits().wrapping_add(offset).wrapping_sub(1),
                IpAddr::V6(_) => elsewhere,
            }};
            let compiled = Acl::new(&list);
            for bits in [near, elsewhere] {
                let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(bits));
                prop_assert_eq!(compiled.contains(address), list.iter().any(|prefix| prefix.contains(address)));
            }
        }
    }
}
