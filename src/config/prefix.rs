//! An address prefix of an access list: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`.
//!
//! An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) means the IPv4 address inside it, in the list and in the address that is
//! looked up: a client of a dual-stack socket is treated as the IPv4 client that it is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// Bits past `length` are zero. Never IPv4-mapped.
    network: IpAddr,
    /// At most 32 for IPv4, 128 for IPv6.
    length: u8,
}

impl Prefix {
    /// Every IPv4 address.
    pub const ALL_IPV4: Prefix = Prefix { network: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 };
    /// Every IPv6 address.
    pub const ALL_IPV6: Prefix = Prefix { network: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 };

    /// Clears the bits of `address` past `length`. `None` if the length is longer than the address.
    pub fn new(address: IpAddr, length: u8) -> Option<Prefix> {
        let (address, length) = match (address.to_canonical(), address) {
            (canonical @ IpAddr::V4(_), IpAddr::V6(_)) if length >= 96 => (canonical, length.checked_sub(96)?),
            _ => (address, length),
        };
        Some(Prefix { network: mask(address, length)?, length })
    }

    /// Whether the address begins with this prefix.
    pub fn contains(&self, address: IpAddr) -> bool {
        mask(address.to_canonical(), self.length) == Some(self.network)
    }

    /// The first address of the prefix.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// The two prefixes that are one bit longer; `None`: it is one address.
    pub fn halves(&self) -> Option<[Prefix; 2]> {
        let length = self.length + 1;
        let second = match self.network {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | (1u32 << 32u32.checked_sub(length.into())?))),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | (1u128 << 128u32.checked_sub(length.into())?))),
        };
        Some([self.network, second].map(|network| Prefix { network, length }))
    }

    /// Bits of the prefix.
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn mask(address: IpAddr, length: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) if length <= 32 => {
            let keep = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Some(IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & keep)))
        }
        IpAddr::V6(v6) if length <= 128 => {
            let keep = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & keep)))
        }
        _ => None,
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

/// The error is a sentence for the person who wrote the configuration.
impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let (address_text, length_text) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address_text.parse().map_err(|_| format!("\"{text}\" is not an address or a prefix such as 192.0.2.0/24"))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = match length_text {
            None => longest,
            Some(digits) => digits.parse().ok().filter(|length| *length <= longest).ok_or_else(|| {
                format!("\"{text}\": the length of an IPv{} prefix is a number from 0 to {longest}", if longest == 32 { 4 } else { 6 })
            })?,
        };
        let prefix = Prefix::new(address, length).ok_or_else(|| format!("\"{text}\" is not a prefix"))?;
        // To widen 10.1.2.3/8 silently to all of 10.0.0.0/8 could admit more clients than was meant.
        if mask(address, length) != Some(address) {
            return Err(format!("\"{text}\" has bits set past /{length}: write \"{prefix}\" or \"{address}\""));
        }
        Ok(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ] {
            assert_eq!(text.parse::<Prefix>().map(|p| p.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        for (text, part) in [
            ("10.0.0.0/33", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.1.2.3/8", "write \"10.0.0.0/8\" or \"10.1.2.3\""),
            ("10.0.0/8", "not an address"),
            ("localhost", "not an address"),
            ("", "not an address"),
        ] {
            let error = text.parse::<Prefix>().expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn contains() {
        for (prefix, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("::/0", "10.1.1.1", false),
            ("::/0", "2001:db8::1", true),
            ("0.0.0.0/0", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::1/128", "::1", true),
            ("::1/128", "::2", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ] {
            let prefix: Prefix = prefix.parse().expect("a prefix of the table");
            assert_eq!(prefix.contains(address.parse().expect("an address of the table")), expected, "{prefix} {address}");
        }
    }
}
