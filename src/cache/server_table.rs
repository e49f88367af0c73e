//! The table of servers, shared by all workers: one record for each address, and one for each zone that a server is of no
//! use for. Bounded by count: the least recently used goes.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use lru::LruCache;
use parking_lot::Mutex;

use super::server_record::{ServerRecord, Standing, Unfit, Usable};
use super::store::{ByIdentity, Hashing};
use crate::env::{BootTime, Random};
use crate::record::Name;

/// Octets of a node, a table place and the record of one server, and of one pair of server and zone with a long name.
const SERVER_BYTES: usize = 256;
const UNFIT_BYTES: usize = 512;
const SHARDS: usize = 8;

/// Records by address.
pub struct ServerTable {
    shards: [Mutex<Shard>; SHARDS],
    hashing: Hashing,
    servers_max: usize,
    unfit_max: usize,
}

struct UnfitFor {
    addr: IpAddr,
    zone: Name,
    reason: Unfit,
    until: BootTime,
}

struct Shard {
    servers: LruCache<u64, ServerRecord, ByIdentity>,
    unfit: LruCache<u64, UnfitFor, ByIdentity>,
}

impl ServerTable {
    /// `bytes` limits the table; `random` seeds its hashes.
    pub fn new(bytes: usize, random: &Random) -> ServerTable {
        let shard = || {
            Mutex::new(Shard {
                servers: LruCache::unbounded_with_hasher(ByIdentity::default()),
                unfit: LruCache::unbounded_with_hasher(ByIdentity::default()),
            })
        };
        ServerTable {
            shards: std::array::from_fn(|_| shard()),
            hashing: Hashing::new(random),
            servers_max: (bytes / 2 / SERVER_BYTES / SHARDS).max(8),
            unfit_max: (bytes / 2 / UNFIT_BYTES / SHARDS).max(8),
        }
    }

    /// What is known of the server, for the choice of one for `zone`.
    pub fn standing(&self, addr: IpAddr, zone: &Name, now: BootTime) -> Standing {
        let hash = self.hash(addr, None);
        let mut shard = self.shard(hash).lock();
        let Some(server) = shard.servers.peek(&hash).filter(|server| server.addr == addr) else { return Standing::UNKNOWN };
        let mut standing = server.standing(now);
        if server.was_unfit {
            let meant = |unfit: &&UnfitFor| unfit.until > now && unfit.addr == addr && unfit.zone == *zone;
            if let Some(unfit) = shard.unfit.get(&self.hash(addr, Some(zone))).filter(meant) {
                standing.usable = Usable::Unfit(unfit.reason, unfit.until);
            }
        }
        standing
    }

    /// Marks the server as useless for `zone`, until this time.
    pub fn set_unfit(&self, addr: IpAddr, zone: &Name, reason: Unfit, until: BootTime) {
        self.change(addr, |server| server.was_unfit = true);
        let unfit = &mut self.shard(self.hash(addr, None)).lock().unfit;
        unfit.put(self.hash(addr, Some(zone)), UnfitFor { addr, zone: zone.clone(), reason, until });
        if unfit.len() > self.unfit_max {
            unfit.pop_lru();
        }
    }

    /// Changes every record; takes one lock after the other.
    pub fn change_all(&self, mut change: impl FnMut(&mut ServerRecord)) {
        for shard in &self.shards {
            shard.lock().servers.iter_mut().for_each(|(_, server)| change(server));
        }
    }

    /// Servers in the table.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().servers.len()).sum()
    }

    /// Octets of the table.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock()).map(|shard| shard.servers.len() * SERVER_BYTES + shard.unfit.len() * UNFIT_BYTES).sum()
    }

    fn hash(&self, addr: IpAddr, zone: Option<&Name>) -> u64 {
        let mut hasher = self.hashing.hasher();
        addr.hash(&mut hasher);
        if let Some(zone) = zone {
            hasher.write(zone.as_wire());
        }
        hasher.finish()
    }

    /// The table inside uses the low bits and the seven top bits.
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 48) as usize % SHARDS]
    }

    /// Reads the record of a server; `None` if there is none. Does not count as a use.
    pub fn peek<R>(&self, addr: IpAddr, read: impl FnOnce(&ServerRecord) -> R) -> Option<R> {
        let hash = self.hash(addr, None);
        self.shard(hash).lock().servers.peek(&hash).filter(|server| server.addr == addr).map(read)
    }

    /// Changes the record of a server, made if there is none.
    pub fn change(&self, addr: IpAddr, change: impl FnOnce(&mut ServerRecord)) {
        let hash = self.hash(addr, None);
        let servers = &mut self.shard(hash).lock().servers;
        match servers.get_mut(&hash).filter(|server| server.addr == addr) {
            Some(server) => change(server),
            None => {
                let mut server = ServerRecord::new(addr);
                change(&mut server);
                servers.put(hash, server);
                if servers.len() > self.servers_max {
                    servers.pop_lru();
                }
            }
        }
    }
}
