//! Addresses that are never asked, whatever a delegation says: a zone's owner must not be able to point us
//! at ourselves, at services of this machine, or at a whole network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// `own`: where Cairn listens. A wildcard address there stands for this machine's loopback addresses; other
/// addresses of the machine must be listed to be recognised. Private ranges are allowed.
pub fn may_ask(addr: SocketAddr, allow_loopback: bool, own: &[SocketAddr]) -> Result<(), Forbidden> {
    let ip = addr.ip().to_canonical();
    if addr.port() == 0 {
        return Err(Forbidden::NoPort);
    }
    match ip {
        // RFC 1122 3.2.1.3: all of 0.0.0.0/8 means "this network".
        IpAddr::V4(v4) if v4.octets()[0] == 0 => return Err(Forbidden::Unspecified),
        IpAddr::V4(Ipv4Addr::BROADCAST) => return Err(Forbidden::Broadcast),
        _ if ip.is_unspecified() => return Err(Forbidden::Unspecified),
        _ if ip.is_multicast() => return Err(Forbidden::Multicast),
        _ if ip.is_loopback() && !allow_loopback => return Err(Forbidden::Loopback),
        _ => {}
    }
    let is_me = |mine: &SocketAddr| {
        let my_ip = mine.ip().to_canonical();
        mine.port() == addr.port() && (my_ip == ip || my_ip.is_unspecified() && ip.is_loopback())
    };
    if own.iter().any(is_me) { Err(Forbidden::Ourselves) } else { Ok(()) }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forbidden {
    Loopback,
    Unspecified,
    Multicast,
    Broadcast,
    NoPort,
    Ourselves,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Forbidden::Loopback => "a loopback address (query-loopback is off)",
            Forbidden::Unspecified => "an unspecified address",
            Forbidden::Multicast => "a multicast address",
            Forbidden::Broadcast => "the broadcast address",
            Forbidden::NoPort => "port 0",
            Forbidden::Ourselves => "our own address and port",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_be_asked() {
        let own: Vec<SocketAddr> = ["192.0.2.1:53", "[2001:db8::1]:53", "0.0.0.0:5300"].map(|text| text.parse().expect(text)).to_vec();
        for (addr, without_loopback, with_loopback) in [
            ("198.51.100.1:53", Ok(()), Ok(())),
            ("10.0.0.1:53", Ok(()), Ok(())),
            ("[fd00::1]:53", Ok(()), Ok(())),
            ("127.0.0.1:53", Err(Forbidden::Loopback), Ok(())),
            ("127.8.9.1:53", Err(Forbidden::Loopback), Ok(())),
            ("[::1]:53", Err(Forbidden::Loopback), Ok(())),
            ("[::ffff:127.0.0.1]:53", Err(Forbidden::Loopback), Ok(())),
            ("127.0.0.1:5300", Err(Forbidden::Loopback), Err(Forbidden::Ourselves)),
            ("[::1]:5300", Err(Forbidden::Loopback), Err(Forbidden::Ourselves)),
            ("0.0.0.0:53", Err(Forbidden::Unspecified), Err(Forbidden::Unspecified)),
            ("0.1.2.3:53", Err(Forbidden::Unspecified), Err(Forbidden::Unspecified)),
            ("[::]:53", Err(Forbidden::Unspecified), Err(Forbidden::Unspecified)),
            ("[::ffff:0.0.0.0]:53", Err(Forbidden::Unspecified), Err(Forbidden::Unspecified)),
            ("224.0.0.251:53", Err(Forbidden::Multicast), Err(Forbidden::Multicast)),
            ("[ff02::fb]:53", Err(Forbidden::Multicast), Err(Forbidden::Multicast)),
            ("[::ffff:224.0.0.1]:53", Err(Forbidden::Multicast), Err(Forbidden::Multicast)),
            ("255.255.255.255:53", Err(Forbidden::Broadcast), Err(Forbidden::Broadcast)),
            ("198.51.100.1:0", Err(Forbidden::NoPort), Err(Forbidden::NoPort)),
            ("192.0.2.1:53", Err(Forbidden::Ourselves), Err(Forbidden::Ourselves)),
            ("192.0.2.1:54", Ok(()), Ok(())),
            ("[::ffff:192.0.2.1]:53", Err(Forbidden::Ourselves), Err(Forbidden::Ourselves)),
            ("[2001:db8::1]:53", Err(Forbidden::Ourselves), Err(Forbidden::Ourselves)),
            ("198.51.100.1:5300", Ok(()), Ok(())),
        ] {
            let addr = addr.parse().expect(addr);
            assert_eq!(may_ask(addr, false, &own), without_loopback, "{addr}");
            assert_eq!(may_ask(addr, true, &own), with_loopback, "{addr} with loopback allowed");
        }
    }
}
