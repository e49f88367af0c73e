//! The resolvers that this system's own programs ask, as `/etc/resolv.conf` names them. Of these the prefix of the network's
//! translator is asked for (RFC 7050), and nothing else.

use std::net::SocketAddr;
use std::path::Path;

use super::super::resolv_conf::{self, RESOLV_CONF, name_servers};

/// `None` where the file cannot be read, as in the sandbox.
pub(super) fn system_resolvers() -> Option<Vec<SocketAddr>> {
    resolv_conf::read(Path::new(RESOLV_CONF)).map(|text| addresses(&text)).ok()
}

/// An address with a scope is left out: it leads no further than this network segment.
fn addresses(text: &str) -> Vec<SocketAddr> {
    name_servers(text).iter().filter_map(|server| Some(SocketAddr::new(server.parse().ok()?, 53))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_servers_and_nothing_else() {
        let text = "search lan\nnameserver 192.0.2.2\nnameserver\t2001:db8::1 # x\nnameserver fe80::1%eth0\nnameserver x\n";
        let found: Vec<String> = addresses(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.2:53", "[2001:db8::1]:53"]);
    }
}
