//! At which of its addresses Cairn should be asked by this machine.

use std::net::SocketAddr;

use crate::server::reachable_here;

/// The addresses to try, best first: port 53 before all others, this machine's own before those of a network.
pub fn candidates(listening: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = listening.iter().copied().map(reachable_here).collect();
    found.sort_by_key(|address| (address.port() != 53, !address.ip().is_loopback(), address.is_ipv6()));
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_address_comes_first() {
        for (listening, expected) in [
            (vec!["[::1]:53", "127.0.0.1:53"], vec!["127.0.0.1:53", "[::1]:53"]),
            (vec!["192.0.2.53:53", "0.0.0.0:53"], vec!["127.0.0.1:53", "192.0.2.53:53"]),
            (vec!["[::]:5300", "192.0.2.53:53"], vec!["192.0.2.53:53", "[::1]:5300"]),
            (vec!["0.0.0.0:53", "127.0.0.1:53"], vec!["127.0.0.1:53"]),
            (vec![], vec![]),
        ] {
            let parsed = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<SocketAddr>>();
            assert_eq!(candidates(&parsed(&listening)), parsed(&expected), "{listening:?}");
        }
    }
}
