//! DNS64 (RFC 6147): clients in a network without IPv4 get, for names that have only IPv4 addresses, IPv6 addresses that the
//! network's translator (NAT64) forwards to them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Acl;
use crate::config::{Settings, TranslationPrefix};
use crate::limits::clients::SYNTHESISED_TTL_S_MAX;
use crate::record::{Name, RdataList, RrSet, Rtype, reverse_name};

/// Labels of the name of an IPv6 address (RFC 3596 2.5), without the root.
const REVERSE_LABELS: usize = 34;

/// Who gets synthesised addresses, and how they are made.
pub struct Dns64 {
    clients: Acl,
    pub prefix: TranslationPrefix,
}

impl Dns64 {
    /// Compiles the settings.
    pub fn new(settings: &Settings) -> Dns64 {
        Dns64 { clients: Acl::new(&settings.dns64.clients), prefix: settings.dns64.prefix }
    }

    /// Whether addresses are synthesised for anybody.
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Whether addresses are synthesised for this client.
    #[inline]
    pub fn serves(&self, client: IpAddr) -> bool {
        !self.clients.is_empty() && self.clients.contains(client)
    }

    /// The AAAA set made of an A set, for at most `ttl_max` seconds; `None` if no address of it can be reached through the
    /// translator. No signatures cover it.
    pub fn synthesised(&self, set: &RrSet, ttl_max: u32) -> Option<RrSet> {
        let mut made = RrSet::new(set.name.clone(), Rtype::AAAA, set.ttl.min(ttl_max));
        let addresses = set.data.iter().filter_map(|rdata| <[u8; 4]>::try_from(rdata).ok()).map(Ipv4Addr::from);
        for address in addresses.filter(|address| self.prefix.translates(*address)) {
            made.data.push(&self.prefix.embed(address).octets());
        }
        (set.rtype == Rtype::A && !made.data.is_empty()).then_some(made)
    }

    /// The name in `in-addr.arpa.` that has the PTR record for a name in `ip6.arpa.` of an address behind the prefix
    /// (RFC 6147 5.3.1).
    pub fn reverse_in_ipv4(&self, name: &Name) -> Option<Name> {
        let address = self.prefix.extract(address_of_reverse(name)?)?;
        reverse_name(address.into())
    }
}

/// RFC 6147 5.1.4: AAAA records without those in ::ffff:0:0/96, with which no server can be reached. `None`: none is left.
pub fn without_mapped_addresses(set: &RrSet) -> Option<RrSet> {
    let is_mapped = |rdata: &&[u8]| <[u8; 16]>::try_from(*rdata).is_ok_and(|octets| Ipv6Addr::from(octets).to_ipv4_mapped().is_some());
    if set.rtype != Rtype::AAAA || !set.data.iter().any(|rdata| is_mapped(&rdata)) {
        return Some(set.clone());
    }
    let data: RdataList = set.data.iter().filter(|rdata| !is_mapped(rdata)).collect();
    // The signatures do not cover a part of the set.
    (!data.is_empty()).then(|| RrSet { data, ..RrSet::new(set.name.clone(), set.rtype, set.ttl) })
}

/// How long the denial in these records may be repeated (RFC 2308 5), and so what is made because of it (RFC 6147 5.1.7).
pub fn denial_ttl(authority: &[RrSet]) -> u32 {
    let soa = authority.iter().find(|set| set.rtype == Rtype::SOA);
    soa.map_or(SYNTHESISED_TTL_S_MAX, |soa| {
        let minimum = soa.data.first().and_then(|rdata| rdata.last_chunk::<4>()).map_or(0, |bytes| u32::from_be_bytes(*bytes));
        soa.ttl.min(minimum)
    })
}

fn address_of_reverse(name: &Name) -> Option<Ipv6Addr> {
    if name.label_count() != REVERSE_LABELS {
        return None;
    }
    let mut labels = name.labels();
    let mut bits: u128 = 0;
    for at in 0..32 {
        let [digit] = labels.next()? else { return None };
        bits |= u128::from((*digit as char).to_digit(16)?) << (4 * at);
    }
    let is_reverse = labels.next()?.eq_ignore_ascii_case(b"ip6") && labels.next()?.eq_ignore_ascii_case(b"arpa");
    is_reverse.then(|| Ipv6Addr::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns64(prefix: &str) -> Dns64 {
        let mut settings = Settings::default();
        settings.dns64.prefix = prefix.parse().expect(prefix);
        Dns64::new(&settings)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    #[test]
    fn synthesises_what_the_translator_forwards() {
        let well_known = dns64("64:ff9b::/96");
        let own = dns64("2001:db8::/96");
        for (address, by_well_known, by_own) in [
            ("192.0.2.1", true, true),
            ("192.0.0.170", true, true),
            ("10.1.2.3", false, true),
            ("172.31.0.1", false, true),
            ("192.168.0.1", false, true),
            ("100.64.0.1", false, true),
            ("100.128.0.1", true, true),
            ("198.19.0.1", false, true),
            ("127.0.0.1", false, false),
            ("0.0.0.0", false, false),
            ("169.254.0.1", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
        ] {
            let address: Ipv4Addr = address.parse().expect(address);
            let set = RrSet::with(name("h2.example."), Rtype::A, 300, &address.octets());
            for (dns64, expected) in [(&well_known, by_well_known), (&own, by_own)] {
                let made = dns64.synthesised(&set, 60);
                assert_eq!(made.is_some(), expected, "{address} behind {}", dns64.prefix);
                let Some(made) = made else { continue };
                assert_eq!((made.rtype, made.ttl, made.data.first()), (Rtype::AAAA, 60, Some(&dns64.prefix.embed(address).octets()[..])));
            }
        }
        let mut signed = RrSet::with(name("h2.example."), Rtype::A, 300, &[192, 0, 2, 1]);
        signed.data.push(&[10, 0, 0, 1]);
        signed.data.push(&[1, 2, 3]);
        signed.sigs.push(b"a signature");
        let made = well_known.synthesised(&signed, 600).expect("one address");
        assert_eq!((made.ttl, made.data.len(), made.sigs.len()), (300, 1, 0));
    }

    #[test]
    fn names_of_translated_addresses() {
        let nibbles = |address: &str| reverse_name(address.parse().expect(address)).expect(address);
        for (prefix, address, expected) in [
            ("64:ff9b::/96", "64:ff9b::192.0.2.1", Some("1.2.0.192.in-addr.arpa.")),
            ("64:ff9b::/96", "64:ff9b::1:192.0.2.1", None),
            ("2001:db8::/32", "2001:db8:c000:221::", Some("33.2.0.192.in-addr.arpa.")),
            ("2001:db8::/32", "2001:db9:c000:221::", None),
        ] {
            let found = dns64(prefix).reverse_in_ipv4(&nibbles(address));
            assert_eq!(found.map(|found| found.to_string()).as_deref(), expected, "{address} behind {prefix}");
        }
        let whole = nibbles("64:ff9b::192.0.2.1");
        let well_known = dns64("64:ff9b::/96");
        assert_eq!(well_known.reverse_in_ipv4(&whole.parent().expect("a parent")), None, "a part of an address");
        let longer = whole.to_string().replacen("1.", "10.", 1);
        assert_eq!(well_known.reverse_in_ipv4(&name(&longer)), None, "no hexadecimal digit");
        assert_eq!(well_known.reverse_in_ipv4(&name(&whole.to_string().replace("ip6", "ip9"))), None);
    }

    #[test]
    fn mapped_addresses_are_left_out() {
        let rdata = |text: &str| text.parse::<Ipv6Addr>().expect(text).octets();
        let mut set = RrSet::with(name("h.example."), Rtype::AAAA, 300, &rdata("::ffff:192.0.2.1"));
        set.sigs.push(b"a signature");
        assert_eq!(without_mapped_addresses(&set), None);
        set.data.push(&rdata("2001:db8::1"));
        let left = without_mapped_addresses(&set).expect("one address");
        assert_eq!((left.data.len(), left.data.first(), left.sigs.len()), (1, Some(&rdata("2001:db8::1")[..]), 0));
        let whole = RrSet { data: left.data, ..set };
        assert_eq!(without_mapped_addresses(&whole), Some(whole.clone()), "with its signature");
    }
}
