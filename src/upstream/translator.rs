//! The way to a server that has only IPv4 from a machine that has only IPv6: through the network's translator (NAT64), at the
//! IPv6 address that stands for the server's (RFC 6052).
//!
//! Sockets and connections alone know of this. Whoever chooses, measures and remembers servers knows them by their own
//! addresses, whichever way leads there.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::config::TranslationPrefix;
use crate::env::{BoxFuture, Net, Stream, UdpFlow, is_own_shortage};

/// A translator that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translator {
    pub prefix: TranslationPrefix,
    /// IPv4 itself may be used too, and is tried first.
    pub after_ipv4: bool,
}

impl Translator {
    /// Where the translator receives what is meant for this server; `None` for a server that needs or has no translation.
    pub fn address_for(self, server: SocketAddr) -> Option<SocketAddr> {
        let IpAddr::V4(v4) = server.ip() else { return None };
        self.prefix.translates(v4).then(|| SocketAddr::new(self.prefix.embed(v4).into(), server.port()))
    }
}

/// `Net::udp` to a server, or to the translator where IPv4 has no route.
pub(super) fn udp(net: &dyn Net, server: SocketAddr, port: u16, translator: Option<Translator>) -> io::Result<Box<dyn UdpFlow>> {
    match translator.and_then(|translator| Some((translator.address_for(server)?, translator.after_ipv4))) {
        None => net.udp(server, port),
        Some((translated, false)) => net.udp(translated, port),
        Some((translated, true)) => match net.udp(server, port) {
            Err(error) if is_without_route(&error) => net.udp(translated, port),
            result => result,
        },
    }
}

/// `Net::tcp` in the same way.
pub(super) fn tcp(net: &dyn Net, server: SocketAddr, translator: Option<Translator>) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
    match translator.and_then(|translator| Some((translator.address_for(server)?, translator.after_ipv4))) {
        None => net.tcp(server),
        Some((translated, false)) => net.tcp(translated),
        Some((translated, true)) => {
            // A connection is opened before it is waited for, so the route is looked at by a socket that sends nothing.
            let is_direct = !net.udp(server, 0).is_err_and(|error| is_without_route(&error));
            net.tcp(if is_direct { server } else { translated })
        }
    }
}

/// Does the error say that the packet cannot leave by this family? A used port or a lack of our own says nothing of it.
fn is_without_route(error: &io::Error) -> bool {
    !is_own_shortage(error) && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_translated() {
        let translator = |prefix: &str| Translator { prefix: prefix.parse().expect(prefix), after_ipv4: true };
        for (prefix, server, expected) in [
            ("64:ff9b::/96", "192.0.2.33:53", Some("[64:ff9b::192.0.2.33]:53")),
            ("64:ff9b::/96", "192.0.2.33:5353", Some("[64:ff9b::192.0.2.33]:5353")),
            ("64:ff9b::/96", "10.0.0.1:53", None),
            ("2001:db8:64::/96", "10.0.0.1:53", Some("[2001:db8:64::10.0.0.1]:53")),
            ("2001:db8:64::/96", "127.0.0.1:53", None),
            ("64:ff9b::/96", "[2001:db8::1]:53", None),
        ] {
            let expected = expected.map(|text| text.parse().expect(text));
            assert_eq!(translator(prefix).address_for(server.parse().expect(server)), expected, "{server} behind {prefix}");
        }
    }
}
