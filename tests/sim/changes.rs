//! What happens to a world while it runs: servers get other addresses, zones other servers, delegations end,
//! records change. Parents and children change together; what resolvers have learned until then is theirs to keep
//! for as long as it was said to live.

use cairn::record::{Name, Rtype};

use super::plan::{Plan, Server};
use super::record::Rr;

impl Plan {
    /// New addresses for this server in every zone that has them; there is no server at the old ones any more.
    pub fn renumber(&mut self, name: &Name) {
        let (v4, v6) = (self.next_ipv4(), self.next_ipv6());
        let server = self.touch().server(name);
        if !server.ipv4.is_empty() {
            server.ipv4 = vec![v4];
        }
        if !server.ipv6.is_empty() {
            server.ipv6 = vec![v6];
        }
        self.drop_addresses(name);
    }

    /// Zones below the top level whose servers serve nothing else.
    pub fn with_own_servers(&self) -> Vec<Name> {
        let own = |apex: &Name| self.servers_of(apex).all(|server| server.zones.len() == 1);
        self.zones.keys().filter(|apex| apex.label_count() >= 2 && own(apex)).cloned().collect()
    }

    /// Of those, the ones that no other zone depends on.
    pub fn without_dependents(&self) -> Vec<Name> {
        let alone = |apex: &Name| {
            let holds_others =
                self.servers.iter().any(|server| server.name.is_within(apex) && server.zones.iter().any(|zone| zone != apex));
            !holds_others && !self.zones.keys().any(|zone| zone.is_below(apex))
        };
        self.with_own_servers().into_iter().filter(alone).collect()
    }

    /// Of those with servers of their own, the ones that say of their servers for longer than the parent does; with the
    /// parent's TTL.
    pub fn outliving_parents(&self) -> Vec<(Name, u32)> {
        let with_ttl = |apex: Name| {
            let parents_ttl = self.zones[&self.parent_of(&apex)].set(&apex, Rtype::NS).first()?.ttl;
            let own_ttl = self.zones[&apex].set(&apex, Rtype::NS).first()?.ttl;
            (own_ttl > parents_ttl).then_some((apex, parents_ttl))
        };
        self.with_own_servers().into_iter().filter_map(with_ttl).collect()
    }

    fn parent_of(&self, apex: &Name) -> Name {
        apex.parent().and_then(|above| self.zone_of(&above)).map(|zone| zone.apex.clone()).expect("below the root")
    }

    /// The zone goes to servers of these names. The old ones go on to serve it as it was, if they are well.
    /// The TTL of the parent's NS set for them.
    pub fn move_zone(&mut self, apex: &Name, to: &[Name]) -> u32 {
        let ttl = self.retire_servers(apex);
        for name in to {
            self.server(name).zones.push(apex.clone());
        }
        ttl
    }

    /// The zone is no more; its servers go on.
    pub fn revoke(&mut self, apex: &Name) -> u32 {
        let ttl = self.retire_servers(apex);
        self.zones.remove(apex);
        ttl
    }

    fn retire_servers(&mut self, apex: &Name) -> u32 {
        let zone = self.touch().zones[apex].clone();
        let parent = self.parent_of(apex);
        let ttl = self.zones[&parent].set(apex, Rtype::NS).first().map_or(0, |rr| rr.ttl);
        for name in &self.server_names(apex) {
            let server = self.server(name);
            server.zones.clear();
            server.kept.push(zone.clone());
            self.drop_addresses(name);
        }
        // `complete` adds the DS record again for a zone that still exists.
        self.zones.get_mut(&parent).expect("it is there").remove(apex, Rtype::DS);
        for holder in [apex, &parent] {
            self.zones.get_mut(holder).expect("it is there").remove(apex, Rtype::NS);
        }
        ttl
    }

    /// `complete` puts in what is right.
    fn drop_addresses(&mut self, server: &Name) {
        for zone in self.zones.values_mut() {
            zone.remove(server, Rtype::A);
            zone.remove(server, Rtype::AAAA);
        }
    }

    /// Another address for a host of this zone, if it has one that is not a server.
    pub fn edit(&mut self, apex: &Name, address: [u8; 4]) {
        self.touch();
        let zone = &self.zones[apex];
        let is_host = |rr: &&Rr| rr.rtype == Rtype::A && self.servers.iter().all(|server| server.name != rr.name);
        let Some((host, ttl)) = zone.records().find(is_host).map(|rr| (rr.name.clone(), rr.ttl)) else { return };
        let zone = self.zones.get_mut(apex).expect("it is there");
        zone.remove(&host, Rtype::A);
        zone.add(Rr::new(&host, Rtype::A, ttl, address.to_vec()));
    }

    pub fn server_names(&self, apex: &Name) -> Vec<Name> {
        self.servers_of(apex).map(|server| server.name.clone()).collect()
    }

    fn servers_of(&self, apex: &Name) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(move |server| server.zones.contains(apex))
    }
}
