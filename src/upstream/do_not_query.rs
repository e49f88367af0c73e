//! Addresses that are never queried, whatever a delegation says: the operator of a zone must not be able to direct queries
//! to this resolver itself, to other services of this machine, or to a whole network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::TranslationPrefix;

/// `own`: the addresses that Cairn listens on. A wildcard address among them stands for this machine's loopback
/// addresses; its other addresses are recognised only if they are listed. Private ranges are allowed. `nat64`: an IPv6 address
/// behind this prefix is the IPv4 address that it stands for.
pub fn may_ask(addr: SocketAddr, allow_loopback: bool, own: &[SocketAddr], nat64: Option<TranslationPrefix>) -> Result<(), DoNotQuery> {
    let ip = match addr.ip().to_canonical() {
        IpAddr::V6(v6) => nat64.and_then(|prefix| prefix.extract(v6)).map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    if addr.port() == 0 {
        return Err(DoNotQuery::NoPort);
    }
    match ip {
        // RFC 1122 3.2.1.3: all of 0.0.0.0/8 means "this network".
        IpAddr::V4(v4) if v4.octets()[0] == 0 => return Err(DoNotQuery::Unspecified),
        IpAddr::V4(Ipv4Addr::BROADCAST) => return Err(DoNotQuery::Broadcast),
        _ if ip.is_unspecified() => return Err(DoNotQuery::Unspecified),
        _ if ip.is_multicast() => return Err(DoNotQuery::Multicast),
        _ if ip.is_loopback() && !allow_loopback => return Err(DoNotQuery::Loopback),
        _ => {}
    }
    let is_me = |mine: &SocketAddr| {
        let my_ip = mine.ip().to_canonical();
        mine.port() == addr.port() && (my_ip == ip || my_ip.is_unspecified() && ip.is_loopback())
    };
    if own.iter().any(is_me) { Err(DoNotQuery::Ourselves) } else { Ok(()) }
}

/// Reason why an address is never queried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoNotQuery {
    Loopback,
    Unspecified,
    Multicast,
    Broadcast,
    NoPort,
    Ourselves,
}

impl std::fmt::Display for DoNotQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DoNotQuery::Loopback => "a loopback address (query-loopback is off)",
            DoNotQuery::Unspecified => "an unspecified address",
            DoNotQuery::Multicast => "a multicast address",
            DoNotQuery::Broadcast => "the broadcast address",
            DoNotQuery::NoPort => "port 0",
            DoNotQuery::Ourselves => "our own address and port",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_may_be_asked() {
        let own: Vec<SocketAddr> = ["192.0.2.1:53", "[2001:db8::1]:53", "0.0.0.0:5300"].map(|text| text.parse().expect(text)).to_vec();
        for (addr, without_loopback, with_loopback) in [
            ("198.51.100.1:53", Ok(()), Ok(())),
            ("10.0.0.1:53", Ok(()), Ok(())),
            ("[fd00::1]:53", Ok(()), Ok(())),
            ("127.0.0.1:53", Err(DoNotQuery::Loopback), Ok(())),
            ("127.8.9.1:53", Err(DoNotQuery::Loopback), Ok(())),
            ("[::1]:53", Err(DoNotQuery::Loopback), Ok(())),
            ("[::ffff:127.0.0.1]:53", Err(DoNotQuery::Loopback), Ok(())),
            ("127.0.0.1:5300", Err(DoNotQuery::Loopback), Err(DoNotQuery::Ourselves)),
            ("[::1]:5300", Err(DoNotQuery::Loopback), Err(DoNotQuery::Ourselves)),
            ("0.0.0.0:53", Err(DoNotQuery::Unspecified), Err(DoNotQuery::Unspecified)),
            ("0.1.2.3:53", Err(DoNotQuery::Unspecified), Err(DoNotQuery::Unspecified)),
            ("[::]:53", Err(DoNotQuery::Unspecified), Err(DoNotQuery::Unspecified)),
            ("[::ffff:0.0.0.0]:53", Err(DoNotQuery::Unspecified), Err(DoNotQuery::Unspecified)),
            ("224.0.0.251:53", Err(DoNotQuery::Multicast), Err(DoNotQuery::Multicast)),
            ("[ff02::fb]:53", Err(DoNotQuery::Multicast), Err(DoNotQuery::Multicast)),
            ("[::ffff:224.0.0.1]:53", Err(DoNotQuery::Multicast), Err(DoNotQuery::Multicast)),
            ("255.255.255.255:53", Err(DoNotQuery::Broadcast), Err(DoNotQuery::Broadcast)),
            ("198.51.100.1:0", Err(DoNotQuery::NoPort), Err(DoNotQuery::NoPort)),
            ("192.0.2.1:53", Err(DoNotQuery::Ourselves), Err(DoNotQuery::Ourselves)),
            ("192.0.2.1:54", Ok(()), Ok(())),
            ("[::ffff:192.0.2.1]:53", Err(DoNotQuery::Ourselves), Err(DoNotQuery::Ourselves)),
            ("[2001:db8::1]:53", Err(DoNotQuery::Ourselves), Err(DoNotQuery::Ourselves)),
            ("198.51.100.1:5300", Ok(()), Ok(())),
        ] {
            let addr = addr.parse().expect(addr);
            assert_eq!(may_ask(addr, false, &own, None), without_loopback, "{addr}");
            assert_eq!(may_ask(addr, true, &own, None), with_loopback, "{addr} with loopback allowed");
            let IpAddr::V4(v4) = addr.ip() else { continue };
            let nat64 = TranslationPrefix::WELL_KNOWN;
            let translated = SocketAddr::new(nat64.embed(v4).into(), addr.port());
            assert_eq!(may_ask(translated, false, &own, Some(nat64)), without_loopback, "{translated} through a translator");
        }
    }
}
