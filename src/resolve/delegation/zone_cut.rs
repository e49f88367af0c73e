//! Zone cuts: where a walk stands, and how delegations are stored.
//!
//! The NS set of the parent (the delegation) is stored apart from the NS set of the child, under a meta-type that can
//! neither be asked for nor come from the network. A delegation lives no longer than the parent's TTL, however often the
//! child repeats its own, and counts only while the delegation above it is alive: a revoked or moved domain ends with the
//! parent's TTL (ghost and phoenix domains, 2012 and 2023).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::cache::{Cache, ShownSet};
use crate::env::{BootTime, Instant};
use crate::limits::walk::GLUE_PER_NAME_MAX;
use crate::record::{Name, Rank, RdataIter, RrSet, Rtype, Security};
use crate::resolve::context::targets::Target;
use crate::resolve::reply::scrub::ns_names;
use crate::upstream::TlsServer;

/// `scrub` drops records of this type, `answer` refuses questions for it.
const DELEGATION: Rtype = Rtype::DELEGATION;

/// TTL of an NS set that is made from the servers of a cut.
const NS_TTL_S: u32 = 60;

/// Where a walk stands: a zone and its servers.
#[derive(Clone, Debug)]
pub struct Cut {
    pub zone: Name,
    pub servers: Vec<Server>,
    /// From a forward rule: asked with RD=1, and believed without AA.
    pub forward: bool,
    /// From a rule of the configuration: these servers and no others, in this order.
    pub configured: bool,
    pub from_cache: bool,
    /// The age of the delegation.
    pub age_s: u32,
}

/// One name server of a zone.
#[derive(Clone, Debug)]
pub struct Server {
    /// `None` for servers that the configuration gives by address.
    pub name: Option<Name>,
    pub addresses: SmallVec<[SocketAddr; 4]>,
    pub search: Search,
    /// An address of one family was found; the other family has not been asked for.
    pub half_searched: bool,
    /// Addresses that the parent gave with the referral and that are trusted least: used when no others are found.
    pub hints: SmallVec<[SocketAddr; 2]>,
    /// It is asked over an encrypted connection, and in no other way.
    pub tls: Option<Arc<TlsServer>>,
}

/// How far the address of a server has been searched for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    None,
    /// The glue of the parent is there: good enough to ask the server.
    Parent,
    /// Its own zone has been asked, with whatever result.
    Done,
}

impl Server {
    /// Has this A or AAAA set an address that is not known for this server?
    pub fn lacks(&self, set: &RrSet) -> bool {
        let mut addresses = set.data.iter().filter_map(|rdata| address_of(set.rtype, rdata));
        addresses.any(|address| !self.addresses.contains(&SocketAddr::new(address, self.port())))
    }

    fn port(&self) -> u16 {
        self.tls.as_ref().map_or(53, |tls| tls.port())
    }
}

impl Cut {
    fn at(zone: Name) -> Cut {
        Cut { zone, servers: Vec::new(), forward: false, configured: false, from_cache: false, age_s: 0 }
    }

    /// From the records of a delegation as `store` makes them.
    fn kept(zone: &[u8], records: RdataIter<'_>) -> Option<Cut> {
        let mut cut = Cut::at(Name::from_wire(zone).ok()?);
        for rdata in records.skip(1) {
            if let Ok((name, used)) = Name::from_wire_prefix(rdata) {
                let hints = kept_glue(&rdata[used..]);
                cut.servers.push(Server {
                    name: Some(name),
                    addresses: SmallVec::new(),
                    search: Search::None,
                    half_searched: false,
                    hints,
                    tls: None,
                });
            }
        }
        Some(cut)
    }

    /// The cut that a forward or stub rule makes at `zone`.
    pub fn configured(zone: Name, to: &[Target], forward: bool) -> Cut {
        let server = |name: Option<Name>, address: Option<SocketAddr>, target: &Target| Server {
            // The parent's glue is not for a server of another port.
            search: if name.is_some() { Search::Parent } else { Search::Done },
            name,
            addresses: address.into_iter().collect(),
            half_searched: false,
            hints: SmallVec::new(),
            tls: target.tls.clone(),
        };
        let servers = to.iter().flat_map(|target| {
            let named = target.name.iter().map(|name| server(Some(name.clone()), None, target));
            named.chain(target.addresses.iter().map(|address| server(None, Some(*address), target))).collect::<Vec<_>>()
        });
        Cut { servers: servers.collect(), forward, configured: true, ..Cut::at(zone) }
    }

    /// How the server at this address of a rule is asked, if it is asked over an encrypted connection.
    pub fn tls_of(&self, address: SocketAddr) -> Option<&Arc<TlsServer>> {
        let at = |server: &&Server| server.addresses.contains(&address);
        if self.configured { self.servers.iter().find(at)?.tls.as_ref() } else { None }
    }

    /// The cut at the root, from the root hints.
    pub fn from_hints(hints: &[(Name, IpAddr)]) -> Cut {
        let mut cut = Cut::at(Name::root());
        for (name, address) in hints {
            cut.add_address(name, *address);
        }
        cut
    }

    /// A cut that a reply has just named. Its glue is used even where it is too short-lived to be cached.
    pub fn from_referral(ns: &RrSet, glue: &[RrSet], names_max: usize) -> Cut {
        let mut cut = Cut::at(ns.name.clone());
        for name in ns_names(ns).take(names_max) {
            cut.add_name(name);
        }
        for set in glue {
            cut.add_set(set);
        }
        cut
    }

    /// The names of its servers as an NS set, for a short while.
    pub fn ns_set(&self) -> Option<RrSet> {
        let mut set = RrSet::new(self.zone.clone(), Rtype::NS, NS_TTL_S);
        for name in self.servers.iter().filter_map(|server| server.name.as_ref()) {
            set.data.push(name.as_wire());
        }
        (!set.data.is_empty()).then_some(set)
    }

    /// Its servers are named in another zone: they are likely to serve other zones too.
    pub fn has_shared_servers(&self) -> bool {
        self.servers.iter().any(|server| server.name.as_ref().is_some_and(|name| !name.is_within(&self.zone)))
    }

    /// Is the delegation from before the question that began at `began`, so that the parent may have changed it?
    pub fn may_have_changed(&self, began: Instant) -> bool {
        self.from_cache && u64::from(self.age_s) > began.elapsed().as_secs()
    }

    /// Addresses of all servers together.
    pub fn address_count(&self) -> usize {
        self.servers.iter().map(|server| server.addresses.len()).sum()
    }

    /// Adds a server without an address; does nothing if it is there.
    pub fn add_name(&mut self, name: Name) {
        if !self.servers.iter().any(|server| server.name.as_ref() == Some(&name)) {
            self.servers.push(Server {
                name: Some(name),
                addresses: SmallVec::new(),
                search: Search::None,
                half_searched: false,
                hints: SmallVec::new(),
                tls: None,
            });
        }
    }

    /// Takes the addresses of an A or AAAA set for the server of that name.
    pub fn add_set(&mut self, set: &RrSet) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.name.as_ref() == Some(&set.name)) {
            let port = server.port();
            for address in set.data.iter().filter_map(|rdata| address_of(set.rtype, rdata)) {
                push_new(&mut server.addresses, SocketAddr::new(address, port));
            }
        }
    }

    /// Keeps the addresses of an A or AAAA RRset apart, until [`use_hints`](Cut::use_hints).
    pub fn add_hint(&mut self, set: &RrSet) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.name.as_ref() == Some(&set.name)) {
            server.hints.extend(set.data.iter().filter_map(|rdata| Some(SocketAddr::new(address_of(set.rtype, rdata)?, 53))));
        }
    }

    /// Adds the hints to the addresses. `false`: none of them is new.
    pub fn use_hints(&mut self) -> bool {
        let mut found = false;
        for server in &mut self.servers {
            for hint in std::mem::take(&mut server.hints) {
                found |= !server.addresses.contains(&hint);
                push_new(&mut server.addresses, hint);
            }
        }
        found
    }

    /// Adds the addresses of the root hints to those of the root's own NS set. `false`: none of them is new.
    pub fn use_root_hints(&mut self, hints: &[(Name, IpAddr)]) -> bool {
        let before = self.servers.len();
        for mut hinted in Cut::from_hints(hints).servers {
            hinted.addresses.retain(|address| !self.servers.iter().any(|server| server.addresses.contains(address)));
            if !hinted.addresses.is_empty() {
                self.servers.push(Server { search: Search::Done, ..hinted });
            }
        }
        self.servers.len() > before
    }

    /// Adds the servers that the zone itself named beside an answer. `false`: none of them is new.
    pub fn use_child_ns(&mut self, cache: &Cache, now: BootTime, names_max: usize) -> bool {
        let before = self.servers.len();
        for name in self.child_ns(cache, now, Rank::Additional).into_iter().take(names_max) {
            self.add_name(name);
        }
        self.servers.len() > before
    }

    /// The servers of the zone's own NS set, if that is of at least this rank and was received under the present delegation:
    /// servers that the parent no longer names may repeat the old set for as long as they like (ghost domains).
    fn child_ns(&self, cache: &Cache, now: BootTime, rank: Rank) -> Vec<Name> {
        if self.configured {
            return Vec::new();
        }
        let counts = |own: &ShownSet<'_>| own.rank >= rank && own.age_s <= self.age_s;
        let own = cache.sets().show(self.zone.as_wire(), Rtype::NS, now, |own| {
            let names = counts(&own).then_some(own.data);
            names.into_iter().flatten().filter_map(|rdata| Name::from_wire(rdata).ok()).collect()
        });
        own.unwrap_or_default()
    }

    /// No server can be reached: there is no address, and every server name is below the cut itself.
    pub fn is_out_of_reach(&self, usable: impl Fn(IpAddr) -> bool) -> bool {
        let no_address = !self.servers.iter().flat_map(|server| &server.addresses).any(|address| usable(address.ip()));
        no_address && self.servers.iter().all(|server| server.name.as_ref().is_none_or(|name| name.is_within(&self.zone)))
    }

    fn add_address(&mut self, name: &Name, address: IpAddr) {
        self.add_name(name.clone());
        if let Some(server) = self.servers.iter_mut().find(|server| server.name.as_ref() == Some(name)) {
            push_new(&mut server.addresses, SocketAddr::new(address, 53));
        }
    }

    /// Adds from the cache: the zone's own NS set first, and addresses of any rank, of the families that are `in_use`.
    pub fn complete(&mut self, cache: &Cache, now: BootTime, names_max: usize, in_use: impl Fn(Rtype) -> bool) {
        for name in self.child_ns(cache, now, Rank::AuthAuthority) {
            if self.servers.len() < names_max {
                self.add_name(name);
            }
        }
        for server in &mut self.servers {
            let Some(name) = &server.name else { continue };
            for rtype in [Rtype::A, Rtype::AAAA].into_iter().filter(|rtype| in_use(*rtype)) {
                cache.sets().show(name.as_wire(), rtype, now, |shown| {
                    for address in shown.data.filter_map(|rdata| address_of(rtype, rdata)) {
                        push_new(&mut server.addresses, SocketAddr::new(address, 53));
                    }
                });
            }
        }
    }
}

fn push_new(list: &mut SmallVec<[SocketAddr; 4]>, address: SocketAddr) {
    if !list.contains(&address) {
        list.push(address);
    }
}

/// The address in A or AAAA RDATA.
pub fn address_of(rtype: Rtype, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        Rtype::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        Rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Stores a delegation that the servers of `parent` gave. Its records: the parent's label count, then for each server the
/// name in wire form followed by the parent's glue, each address after its length.
pub fn store(cache: &Cache, parent: &Name, ns: &RrSet, glue: &[RrSet], names_max: usize, now: BootTime) {
    let mut set = RrSet::new(ns.name.clone(), DELEGATION, ns.ttl);
    set.data.push(&[parent.label_count() as u8]);
    let mut rdata = Vec::new();
    for name in ns_names(ns).take(names_max) {
        rdata.clear();
        rdata.extend_from_slice(name.as_wire());
        for address in glue.iter().filter(|glue| glue.name == name).flat_map(|glue| glue.data.iter()).take(GLUE_PER_NAME_MAX) {
            rdata.push(address.len() as u8);
            rdata.extend_from_slice(address);
        }
        set.data.push(&rdata);
    }
    cache.sets().put(&set, Rank::Referral, Security::Indeterminate, now);
}

fn kept_glue(mut bytes: &[u8]) -> SmallVec<[SocketAddr; 2]> {
    let mut found = SmallVec::new();
    while let Some((len, rest)) = bytes.split_first() {
        let Some((address, rest)) = rest.split_at_checked(usize::from(*len)) else { break };
        let rtype = if address.len() == 4 { Rtype::A } else { Rtype::AAAA };
        found.extend(address_of(rtype, address).map(|address| SocketAddr::new(address, 53)));
        bytes = rest;
    }
    found
}

/// The servers of a delegation as `store` keeps it, with the parent's glue.
pub fn delegated_servers(set: &RrSet) -> impl Iterator<Item = (Name, Vec<IpAddr>)> {
    set.data.iter().skip(1).filter_map(|rdata| {
        let (name, used) = Name::from_wire_prefix(rdata).ok()?;
        Some((name, kept_glue(rdata.get(used..)?).into_iter().map(|address| address.ip()).collect()))
    })
}

/// The parent's glue for a name server whose name lies in the zone that it serves: if the addresses that the zone itself gives
/// do not work, the glue may still be right.
pub fn parent_glue(cache: &Cache, name: &Name, now: BootTime) -> SmallVec<[SocketAddr; 2]> {
    let cut = deepest_known(cache, name, Rtype::A, now);
    let server = cut.into_iter().flat_map(|cut| cut.servers).find(|server| server.name.as_ref() == Some(name));
    server.map(|server| server.hints).unwrap_or_default()
}

/// Removes a delegation whose servers are useless; the parent is asked again.
pub fn forget(cache: &Cache, zone: &Name) {
    cache.sets().remove(zone, DELEGATION);
}

/// The deepest live delegation on the way to `name` of which every delegation above is alive too. For DS the
/// search ends above the name, because the parent answers (RFC 4035 3.1.4.1).
pub fn deepest_known(cache: &Cache, name: &Name, rtype: Rtype, now: BootTime) -> Option<Cut> {
    // If a delegation expires during this search, the search goes on with the one above it.
    let load = |zone: &&[u8]| {
        cache.sets().show(zone, DELEGATION, now, |shown| Some(Cut { from_cache: true, age_s: shown.age_s, ..Cut::kept(zone, shown.data)? }))
    };
    live_delegations(cache, name, rtype, now).iter().rev().find_map(load).flatten()
}

/// The NS set of the deepest known cut above `name`: the zone's own, or else the parent's.
pub fn known_servers(cache: &Cache, name: &Name, now: BootTime) -> Option<RrSet> {
    let cut = deepest_known(cache, name, Rtype::A, now)?;
    let own = cache.sets().get(&cut.zone, Rtype::NS, now).filter(|own| own.rank.may_answer());
    own.map(|own| own.set).or_else(|| cut.ns_set())
}

/// The zone of the deepest known cut, without its servers.
pub fn deepest_zone(cache: &Cache, name: &Name, rtype: Rtype, now: BootTime) -> Option<Name> {
    live_delegations(cache, name, rtype, now).last().and_then(|zone| Name::from_wire(zone).ok())
}

/// The zones above `name`, from the root on, whose delegations lead from one to the next.
fn live_delegations<'a>(cache: &Cache, name: &'a Name, rtype: Rtype, now: BootTime) -> SmallVec<[&'a [u8]; 8]> {
    let suffixes: SmallVec<[&[u8]; 16]> = name.suffixes().skip(usize::from(rtype == Rtype::DS && !name.is_root())).collect();
    let mut zones = SmallVec::new();
    let mut deepest = 0;
    for (labels, zone) in suffixes.into_iter().rev().enumerate() {
        let parent = cache.sets().show(zone, DELEGATION, now, |mut shown| shown.data.next().and_then(|rdata| rdata.first()).copied());
        let Some(parent) = parent else { continue };
        let leads_on = if zones.is_empty() { labels == 0 } else { parent.map(usize::from) == Some(deepest) };
        if !leads_on {
            break;
        }
        deepest = labels;
        zones.push(zone);
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheLimits;
    use crate::env::Random;

    /// An answer for the name of a zone ends a denial of that name, and must not end the delegation.
    #[test]
    fn a_delegation_outlives_answers_for_the_name_of_its_zone() {
        let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
        let (now, example) = (BootTime(1000), Name::parse("example.").expect("a name"));
        let server = Name::parse("ns.example.").expect("a name");
        let set = |name: &Name, rtype| RrSet::with(name.clone(), rtype, 300, server.as_wire());
        store(&cache, &Name::root(), &set(&Name::root(), Rtype::NS), &[], 8, now);
        store(&cache, &Name::root(), &set(&example, Rtype::NS), &[], 8, now);
        cache.sets().put(&set(&example, Rtype::PTR), Rank::AuthAnswer, Security::Secure, now);
        cache.sets().put(&set(&Name::root(), Rtype::NS), Rank::AuthAnswer, Security::Secure, now);
        let known = deepest_known(&cache, &example, Rtype::A, now).map(|cut| cut.zone);
        assert_eq!(known, Some(example));
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn ns(zone: &str, ttl: u32) -> RrSet {
        RrSet::with(name(zone), Rtype::NS, ttl, b"\x02ns\x07example\x00")
    }

    /// The zone at which a walk for `question` would start.
    fn start(cache: &Cache, question: &str, rtype: Rtype, at: u64) -> Option<String> {
        deepest_known(cache, &name(question), rtype, BootTime(at * 1000)).map(|cut| cut.zone.to_string())
    }

    /// Ghost domains: a delegation counts only while all above it do.
    #[test]
    fn a_delegation_falls_with_the_one_above_it() {
        let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
        let now = BootTime(0);
        store(&cache, &Name::root(), &ns(".", 9000), &[], 8, now);
        store(&cache, &Name::root(), &ns("test.", 3000), &[], 8, now);
        store(&cache, &name("test."), &ns("sub.test.", 9000), &[], 8, now);
        assert_eq!(start(&cache, "www.sub.test.", Rtype::A, 2999).as_deref(), Some("sub.test."));
        assert_eq!(start(&cache, "www.sub.test.", Rtype::A, 3000).as_deref(), Some("."));
        // A delegation that came from another zone than the one above does not count either.
        store(&cache, &Name::root(), &ns("other.", 9000), &[], 8, now);
        store(&cache, &Name::root(), &ns("sub.other.", 9000), &[], 8, now);
        assert_eq!(start(&cache, "www.sub.other.", Rtype::A, 1).as_deref(), Some("other."));
    }

    #[test]
    fn ds_starts_above_its_zone() {
        let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
        store(&cache, &Name::root(), &ns(".", 9000), &[], 8, BootTime(0));
        store(&cache, &Name::root(), &ns("test.", 9000), &[], 8, BootTime(0));
        assert_eq!(start(&cache, "test.", Rtype::A, 1).as_deref(), Some("test."));
        assert_eq!(start(&cache, "test.", Rtype::DS, 1).as_deref(), Some("."));
    }

    #[test]
    fn the_parents_glue_is_kept_with_the_delegation() {
        let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
        let glue = RrSet::with(name("ns.example."), Rtype::A, 60, &[192, 0, 2, 1]);
        store(&cache, &Name::root(), &ns(".", 9000), &[], 8, BootTime(0));
        store(&cache, &Name::root(), &ns("example.", 9000), &[glue], 8, BootTime(0));
        let glue = parent_glue(&cache, &name("ns.example."), BootTime(1000));
        assert_eq!(glue.to_vec(), ["192.0.2.1:53".parse().expect("address")]);
        assert!(parent_glue(&cache, &name("ns2.example."), BootTime(1000)).is_empty());
    }

    /// The zone's own NS set counts only where it was received under the present delegation.
    #[test]
    fn ns_set_from_before_a_move_does_not_count() {
        for (said_at, led_at, counts) in [(0, 10, false), (10, 10, true), (20, 10, true)] {
            let cache = Cache::new(CacheLimits::default(), &Random::from_seed(1));
            store(&cache, &Name::root(), &ns(".", 9000), &[], 8, BootTime(0));
            let mut own = ns("test.", 9000);
            own.data.push(b"\x03old\x07example\x00");
            for rank in [Rank::Additional, Rank::AuthAnswer] {
                cache.sets().put(&own, rank, Security::Indeterminate, BootTime(said_at * 1000));
                store(&cache, &Name::root(), &ns("test.", 9000), &[], 8, BootTime(led_at * 1000));
                let now = BootTime(30_000);
                let mut cut = deepest_known(&cache, &name("test."), Rtype::A, now).expect("known");
                assert_eq!(cut.use_child_ns(&cache, now, 8), counts, "{rank:?} said at {said_at}, led there at {led_at}");
            }
        }
    }
}
