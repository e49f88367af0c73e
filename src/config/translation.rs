//! The prefix behind which a translator (NAT64) has IPv4: `64:ff9b::/96`, or one of the network's own (RFC 6052).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::prefix::Prefix;

/// An IPv6 prefix of a length at which an IPv4 address can follow (RFC 6052 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranslationPrefix {
    /// Zero past `length`, and in octet 8, which every IPv4-embedded address has zero.
    network: [u8; 16],
    /// In bits: 32, 40, 48, 56, 64 or 96.
    length: u8,
}

/// RFC 6052 2.2.
const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];

/// RFC 7050 2.2: the addresses of `ipv4only.arpa.`.
const WELL_KNOWN_IPV4: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// RFC 6052 2.2: bits 64 to 71 belong to no address.
const RESERVED_OCTET: usize = 8;

impl TranslationPrefix {
    /// RFC 6052 2.1.
    pub const WELL_KNOWN: TranslationPrefix =
        TranslationPrefix { network: [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], length: 96 };

    /// RFC 7050 3: the prefix behind which these addresses of `ipv4only.arpa.` stand, if they were made by a translator's DNS64.
    /// Where the well-known IPv4 addresses appear at several places, that place counts where both of them do.
    pub fn found_in(addresses: &[Ipv6Addr]) -> Option<TranslationPrefix> {
        let at_length = |length: u8| {
            let prefixes = addresses.iter().filter_map(move |address| {
                let mut network = [0; 16];
                let octets = usize::from(length) / 8;
                network[..octets].copy_from_slice(&address.octets()[..octets]);
                let prefix = TranslationPrefix { network, length };
                let is_made = WELL_KNOWN_IPV4.iter().any(|v4| prefix.embed(*v4) == *address);
                (is_made && network[RESERVED_OCTET] == 0).then_some(prefix)
            });
            prefixes.collect::<Vec<_>>()
        };
        let all: Vec<TranslationPrefix> = LENGTHS.iter().rev().flat_map(|length| at_length(*length)).collect();
        let has_both = |prefix: &&TranslationPrefix| WELL_KNOWN_IPV4.iter().all(|v4| addresses.contains(&prefix.embed(*v4)));
        all.iter().find(has_both).or(all.first()).copied()
    }

    /// Where the four octets of the IPv4 address stand.
    fn places(self) -> impl Iterator<Item = usize> {
        (usize::from(self.length) / 8..16).filter(|at| *at != RESERVED_OCTET).take(4)
    }

    /// The IPv6 address that stands for `address`.
    pub fn embed(self, address: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.network;
        self.places().zip(address.octets()).for_each(|(at, octet)| octets[at] = octet);
        octets.into()
    }

    /// Whether a translator with this prefix forwards to `address`. RFC 6052 3.1: the well-known prefix stands for addresses of
    /// the public Internet only. Those for documentation count as public, as they do in the examples of RFC 6147 7; 192.0.0.0/24
    /// has the addresses of `ipv4only.arpa.`, by which clients find the prefix (RFC 7050).
    pub fn translates(self, address: Ipv4Addr) -> bool {
        let [first, second, ..] = address.octets();
        let is_reachable = first != 0 && first < 224 && !address.is_loopback() && !address.is_link_local();
        let is_shared = first == 100 && second & 0xc0 == 64;
        let is_benchmark = first == 198 && second & 0xfe == 18;
        is_reachable && (self != TranslationPrefix::WELL_KNOWN || !(address.is_private() || is_shared || is_benchmark))
    }

    /// The IPv4 address that `address` stands for; `None` outside the prefix. The bits behind it do not count, as they may be
    /// used some day (RFC 6052 2.2).
    pub fn extract(self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let (octets, length) = (address.octets(), usize::from(self.length) / 8);
        if octets[..length] != self.network[..length] || octets[RESERVED_OCTET] != 0 {
            return None;
        }
        let mut embedded = [0; 4];
        embedded.iter_mut().zip(self.places()).for_each(|(octet, at)| *octet = octets[at]);
        Some(embedded.into())
    }
}

impl fmt::Display for TranslationPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.network), self.length)
    }
}

/// The error is a sentence for the person who wrote the configuration.
impl FromStr for TranslationPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<TranslationPrefix, String> {
        let prefix: Prefix = text.parse()?;
        let IpAddr::V6(network) = prefix.network() else {
            return Err(format!("\"{text}\" is not an IPv6 prefix such as 64:ff9b::/96"));
        };
        if !LENGTHS.contains(&prefix.length()) {
            return Err(format!("\"{text}\": the prefix of a translator has the length 32, 40, 48, 56, 64 or 96 (RFC 6052 2.2)"));
        }
        let network = network.octets();
        if network[RESERVED_OCTET] != 0 {
            return Err(format!("\"{text}\": bits 64 to 71 of the prefix must be zero (RFC 6052 2.2)"));
        }
        Ok(TranslationPrefix { network, length: prefix.length() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 6052 2.4.
    #[test]
    fn embeds_and_extracts() {
        let v4: Ipv4Addr = "192.0.2.33".parse().expect("an address");
        for (prefix, address) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            let read: TranslationPrefix = prefix.parse().expect(prefix);
            let address: Ipv6Addr = address.parse().expect(address);
            assert_eq!((read.embed(v4), read.extract(address), read.to_string()), (address, Some(v4), prefix.to_owned()));
            let mut reserved = address.octets();
            reserved[RESERVED_OCTET] = 1;
            assert_eq!(read.extract(reserved.into()), None, "{prefix}: octet 8 is not zero");
            assert_eq!(read.extract(Ipv6Addr::LOCALHOST), None);
        }
        assert_eq!("64:ff9b::/96".parse(), Ok(TranslationPrefix::WELL_KNOWN));
        let with_suffix = "2001:db8:c000:221:0:0:0:7".parse().expect("an address");
        assert_eq!("2001:db8::/32".parse::<TranslationPrefix>().expect("a prefix").extract(with_suffix), Some(v4));
    }

    /// The examples of RFC 7050 3, and addresses that no translator made.
    #[test]
    fn finds_the_prefix_of_a_network() {
        for (addresses, expected) in [
            (&["64:ff9b::c000:aa", "64:ff9b::c000:ab"][..], Some("64:ff9b::/96")),
            (&["64:ff9b::192.0.0.171"], Some("64:ff9b::/96")),
            (&["2001:db8:122:344::192.0.0.170"], Some("2001:db8:122:344::/96")),
            (&["2001:db8:122:344:c0:0:aa00:0"], Some("2001:db8:122:344::/64")),
            (&["2001:db8:122:3c0:0:aa::"], Some("2001:db8:122:300::/56")),
            (&["2001:db8:122:c000:0:aa00::"], Some("2001:db8:122::/48")),
            (&["2001:db8:1c0:0:aa::"], Some("2001:db8:100::/40")),
            (&["2001:db8:c000:aa::"], Some("2001:db8::/32")),
            // The prefix itself has the octets of 192.0.0.170: the second address shows which are the translated ones.
            (&["2001:db8:c000:aa::c000:aa", "2001:db8:c000:aa::c000:ab"], Some("2001:db8:c000:aa::/96")),
            (&["2001:db8::1", "64:ff9b::192.0.2.1", "2001:db8:c000:aa::1"], None),
            (&[], None),
        ] {
            let read: Vec<Ipv6Addr> = addresses.iter().map(|text| text.parse().expect(text)).collect();
            let found = TranslationPrefix::found_in(&read).map(|prefix| prefix.to_string());
            assert_eq!(found.as_deref(), expected, "{addresses:?}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        for (text, part) in [
            ("10.0.0.0/8", "not an IPv6 prefix"),
            ("::ffff:0:0/96", "not an IPv6 prefix"),
            ("2001:db8::/33", "32, 40, 48, 56, 64 or 96"),
            ("64:ff9b::", "32, 40, 48, 56, 64 or 96"),
            ("2001:db8::100:0:0:0/96", "bits 64 to 71"),
            ("64:ff9b::1/96", "bits set past"),
            ("nat64", "not an address"),
        ] {
            let error = text.parse::<TranslationPrefix>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
