//! The resolvers that this system's own programs ask, as `/etc/resolv.conf` names them. Of these the prefix of the network's
//! translator is asked for (RFC 7050), and nothing else.

use std::net::{IpAddr, SocketAddr};

const FILE: &str = "/etc/resolv.conf";

/// `None` where the file cannot be read, as in the sandbox.
pub(super) fn system_resolvers() -> Option<Vec<SocketAddr>> {
    std::fs::read_to_string(FILE).map(|text| parse(&text)).ok()
}

/// resolv.conf(5). A scope is left out: an address that needs one is no way out of this network segment's router.
fn parse(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let ip: IpAddr = words.next().filter(|_| is_server)?.parse().ok()?;
        Some(SocketAddr::new(ip, 53))
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_servers_and_nothing_else() {
        let text =
            "# nameserver 192.0.2.1\nsearch lan\nnameserver 192.0.2.2\n nameserver\t2001:db8::1 # x\nnameserver fe80::1%eth0\nnameserver\n";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.2:53", "[2001:db8::1]:53"]);
    }
}
