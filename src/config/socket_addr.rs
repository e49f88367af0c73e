//! Addresses to listen on and addresses of servers, with or without a port.
//!
//! `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:53`. Without a port: that of the transport.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// RFC 1035 4.2: DNS is at port 53.
const DNS_PORT: u16 = 53;

/// The error is a sentence for the person who wrote the configuration.
pub fn parse_socket(text: &str) -> Result<SocketAddr, String> {
    parse_socket_at(text, DNS_PORT)
}

/// The same, with this port where none is written.
pub fn parse_socket_at(text: &str, default_port: u16) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|inner| inner.contains(':')).unwrap_or(text);
    if let Some((address, port)) = port_without_brackets(text) {
        return Err(format!(
            "\"{text}\" is one IPv6 address: write \"[{address}]:{port}\" for port {port}, or \"[{text}]\" for that address"
        ));
    }
    let parsed = bare.parse::<IpAddr>().map(|address| SocketAddr::new(address, default_port)).or_else(|_| text.parse::<SocketAddr>());
    match parsed {
        Ok(socket) if socket.port() == 0 => Err(format!("\"{text}\": port 0 is no port that can be asked")),
        Ok(socket) => Ok(socket),
        Err(_) if text.chars().any(char::is_alphabetic) && !text.contains(':') => {
            Err(format!("\"{text}\" is a name; an address is needed here, such as 192.0.2.1 or [2001:db8::1]:53"))
        }
        Err(_) => Err(format!("\"{text}\" is not an address such as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")),
    }
}

/// The same where the port has no default.
pub(super) fn parse_socket_with_port(text: &str) -> Result<SocketAddr, String> {
    let socket = parse_socket(text)?;
    match text.parse::<SocketAddr>() {
        Ok(socket) => Ok(socket),
        Err(_) => Err(format!("\"{text}\" needs a port, such as {}", SocketAddr::new(socket.ip(), 8053))),
    }
}

/// An address of this machine or its own networks (RFC 1918, 4193, 3927, 6598), or all addresses of this machine.
pub(super) fn is_of_own_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || is_shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// `::1:53` is an address whose last group is 53, but port 53 of `::1` was probably meant. `2001:db8::53` can only be an address.
fn port_without_brackets(text: &str) -> Option<(Ipv6Addr, &str)> {
    const USUAL_PORTS: [&str; 9] = ["53", "443", "853", "1053", "5053", "5300", "5335", "5353", "8053"];
    text.parse::<Ipv6Addr>().ok()?;
    let (address, port) = text.rsplit_once(':').filter(|(_, port)| USUAL_PORTS.contains(port))?;
    Some((address.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_port() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1:53"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5300", "[::1]:5300"),
            ("[fe80::1%2]:53", "[fe80::1%2]:53"),
            ("0.0.0.0:53", "0.0.0.0:53"),
            ("2001:db8::53", "[2001:db8::53]:53"),
            ("[::1:53]", "[::1:53]:53"),
            ("2001:db8:0:0:0:0:1:53", "[2001:db8::1:53]:53"),
            ("fd00::1:2", "[fd00::1:2]:53"),
        ] {
            assert_eq!(parse_socket(text).map(|socket| socket.to_string()), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "",
            "localhost",
            "192.0.2",
            "192.0.2.1:",
            "192.0.2.1:70000",
            "192.0.2.1:0",
            "[192.0.2.1]",
            "[::1",
            ":53",
            "::1:53",
            "2001:db8::1:5353",
        ] {
            assert!(parse_socket(text).is_err(), "{text}");
        }
    }
}
