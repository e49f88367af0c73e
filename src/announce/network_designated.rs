//! The options by which a network designates an encrypted resolver (DNR, RFC 9463): for DHCPv4, DHCPv6 and router advertisements.

use std::net::IpAddr;

use super::resolver::{Endpoint, Resolver};
use crate::policy::ServiceParameters;

/// RFC 9463 9: option codes of DHCPv4 and DHCPv6, type of the option in router advertisements.
pub const DHCPV4_CODE: u8 = 162;
pub const DHCPV6_CODE: u16 = 144;
const ROUTER_ADVERTISEMENT_TYPE: u8 = 144;
/// Seconds: three times the longest interval between router advertisements (RFC 9463 6.1, RFC 4861 6.2.1).
const ROUTER_ADVERTISEMENT_LIFETIME_S: u32 = 1_800;
/// RFC 4861 4.6: the length of an option counts these.
const ROUTER_ADVERTISEMENT_UNIT: usize = 8;

/// Data of the option of DHCPv4 (RFC 9463 5.1), with all instances. Empty: nothing is served over IPv4.
pub fn dhcpv4(resolver: &Resolver) -> Vec<u8> {
    let mut data = Vec::new();
    for parts in instances(resolver, IpAddr::is_ipv4) {
        let instance = [
            &parts.priority.to_be_bytes()[..],
            &one(parts.name.len()),
            parts.name,
            &one(parts.addresses.len()),
            &parts.addresses,
            &parts.parameters,
        ]
        .concat();
        data.extend_from_slice(&two(instance.len()));
        data.extend_from_slice(&instance);
    }
    data
}

/// Data of the options of DHCPv6 (RFC 9463 4.1), each with one instance.
pub fn dhcpv6(resolver: &Resolver) -> Vec<Vec<u8>> {
    let option = |parts: Instance<'_>| [&parts.priority.to_be_bytes()[..], &parts.name_and_addresses(), &parts.parameters].concat();
    instances(resolver, IpAddr::is_ipv6).map(option).collect()
}

/// Whole options of router advertisements (RFC 9463 6.1), with type and length.
pub fn router_advertisement(resolver: &Resolver) -> Vec<Vec<u8>> {
    let option = |parts: Instance<'_>| {
        let mut option = [
            &[ROUTER_ADVERTISEMENT_TYPE, 0][..],
            &parts.priority.to_be_bytes(),
            &ROUTER_ADVERTISEMENT_LIFETIME_S.to_be_bytes(),
            &parts.name_and_addresses(),
            &two(parts.parameters.len()),
            &parts.parameters,
        ]
        .concat();
        option.resize(option.len().next_multiple_of(ROUTER_ADVERTISEMENT_UNIT), 0);
        option[1] = one(option.len() / ROUTER_ADVERTISEMENT_UNIT)[0];
        option
    };
    instances(resolver, IpAddr::is_ipv6).map(option).collect()
}

/// One resolver with one set of parameters, in the parts that all options have.
struct Instance<'a> {
    priority: u16,
    name: &'a [u8],
    addresses: Vec<u8>,
    parameters: Vec<u8>,
}

impl Instance<'_> {
    /// As options with lengths of two octets have them.
    fn name_and_addresses(&self) -> Vec<u8> {
        [&two(self.name.len())[..], self.name, &two(self.addresses.len()), &self.addresses].concat()
    }
}

fn instances(resolver: &Resolver, is_of_family: fn(&IpAddr) -> bool) -> impl Iterator<Item = Instance<'_>> {
    // Lower is preferred, and 0 would be an alias (RFC 9460 2.4.1).
    let ranked = (1..).zip(&resolver.encrypted);
    ranked.filter_map(move |(priority, endpoint)| {
        let octets = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let addresses: Vec<u8> = endpoint.addresses.iter().filter(|address| is_of_family(address)).flat_map(octets).collect();
        let name = resolver.name.as_ref()?.as_wire();
        (!addresses.is_empty()).then(|| Instance { priority, name, addresses, parameters: parameters(endpoint) })
    })
}

/// RFC 9463 3.1.5: the addresses stand in the option and never among the parameters.
fn parameters(endpoint: &Endpoint) -> Vec<u8> {
    ServiceParameters { alpn: &endpoint.alpn, port: endpoint.port, hints: &[], path: endpoint.path.as_deref() }.wire()
}

/// A length, which names, at most 16 addresses and parameters of one server keep below these bounds.
fn one(len: usize) -> [u8; 1] {
    [u8::try_from(len).unwrap_or(u8::MAX)]
}

fn two(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;

    fn endpoint(alpn: &[&'static str], port: Option<u16>, path: Option<&str>, addresses: &[&str]) -> Endpoint {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        Endpoint { alpn: alpn.to_vec(), port, path: path.map(str::to_owned), addresses }
    }

    fn resolver(encrypted: Vec<Endpoint>) -> Resolver {
        Resolver { name: Name::parse("dns.example.").ok(), plain: Vec::new(), encrypted }
    }

    /// `\x03dns\x07example\0`: 13 octets.
    const NAME: &str = "03646e73076578616d706c6500";
    /// alpn (key 1, 7 octets) = 3 "dot" 2 "h2"; dohpath (key 7, 16 octets) = "/dns-query{?dns}".
    const BOTH: &str = "0001000703646f74026832000700102f646e732d71756572797b3f646e737d";
    /// alpn (key 1, 4 octets) = 3 "dot"; port (key 3, 2 octets) = 8853.
    const DOT_8853: &str = "0001000403646f74000300022295";

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Worked out by hand from the figures of RFC 9463 4.1, 5.1 and 6.1.
    #[test]
    fn octets_of_each_option() {
        let both = resolver(vec![
            endpoint(&["dot", "h2"], None, Some("/dns-query"), &["192.0.2.53", "2001:db8::53"]),
            endpoint(&["dot"], Some(8853), None, &["192.0.2.53", "192.0.2.54"]),
        ]);
        // 2 priority, 1 and 13 name, 1 and 4 address, 31 parameters: 52 = 0x34. Then 2, 1 + 13, 1 + 8, 14: 39 = 0x27.
        let first = format!("0034{}{}{}", "0001", format_args!("0d{NAME}"), format_args!("04c0000235{BOTH}"));
        let second = format!("0027{}{}{}", "0002", format_args!("0d{NAME}"), format_args!("08c0000235c0000236{DOT_8853}"));
        assert_eq!(hex(&dhcpv4(&both)), format!("{first}{second}"));
        let address = "20010db8000000000000000000000053";
        assert_eq!(dhcpv6(&both).iter().map(|data| hex(data)).collect::<Vec<_>>(), [format!("0001000d{NAME}0010{address}{BOTH}")]);
        // 2 type and length, 2 priority, 4 lifetime, 2 + 13, 2 + 16, 2 + 31 (0x1f): 74, and 6 octets of padding: 80 = 10 * 8.
        let expected = format!("900a000100000708000d{NAME}0010{address}001f{BOTH}000000000000");
        assert_eq!(router_advertisement(&both).iter().map(|data| hex(data)).collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn a_family_without_addresses_has_no_option() {
        let v6 = resolver(vec![endpoint(&["dot"], None, None, &["2001:db8::53"])]);
        assert_eq!((dhcpv4(&v6), dhcpv6(&v6).len()), (Vec::new(), 1));
        let v4 = resolver(vec![endpoint(&["dot"], None, None, &["192.0.2.53"])]);
        assert_eq!((dhcpv4(&v4).is_empty(), dhcpv6(&v4).len(), router_advertisement(&v4).len()), (false, 0, 0));
        let none = resolver(Vec::new());
        assert_eq!((dhcpv4(&none), dhcpv6(&none), router_advertisement(&none)), (vec![], vec![], vec![]));
    }
}
