//! The name servers on the way from the root to a name, as the cache knows them: those of the delegations, and those that each zone
//! names itself, with all addresses that are known of them.
//!
//! What has expired counts as long as the cache holds it (RFC 8767 4): an answer often outlives the delegation by which it was found,
//! and a rule about its servers should not come and go with the TTL of that delegation. Nothing is asked for.

use std::net::IpAddr;

use super::zone_cut::{address_of, delegated_servers};
use crate::cache::Cache;
use crate::env::BootTime;
use crate::limits::walk::DATA_PATH_SERVERS_MAX;
use crate::record::{Name, Rtype};
use crate::resolve::reply::scrub::ns_names;

/// A name server of a zone on the way, with its addresses.
pub type ServerOnPath = (Name, Vec<IpAddr>);

/// The servers of every known zone at and above `name`.
pub fn data_path(cache: &Cache, name: &Name, now: BootTime) -> Vec<ServerOnPath> {
    let mut servers: Vec<ServerOnPath> = Vec::new();
    let mut add = |name: Name, addresses: Vec<IpAddr>| match servers.iter().position(|(have, _)| *have == name) {
        Some(at) => add_new(&mut servers[at].1, addresses.into_iter()),
        None if servers.len() < DATA_PATH_SERVERS_MAX => servers.push((name, addresses)),
        None => {}
    };
    for labels in (0..=name.label_count()).rev() {
        let zone = name.suffix(labels);
        if let Some(delegation) = cache.sets().get_stale(&zone, Rtype::DELEGATION, now) {
            delegated_servers(&delegation.set).for_each(|(server, glue)| add(server, glue));
        }
        if let Some(own) = cache.sets().get_stale(&zone, Rtype::NS, now) {
            ns_names(&own.set).for_each(|server| add(server, Vec::new()));
        }
    }
    for (server, addresses) in &mut servers {
        for rtype in [Rtype::A, Rtype::AAAA] {
            let Some(found) = cache.sets().get_stale(server, rtype, now) else { continue };
            add_new(addresses, found.set.data.iter().filter_map(|rdata| address_of(rtype, rdata)));
        }
    }
    servers
}

fn add_new(addresses: &mut Vec<IpAddr>, more: impl Iterator<Item = IpAddr>) {
    for address in more {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}
