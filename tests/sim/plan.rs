//! The world's zones and servers, and how a server answers: RFC 1034 4.3.2 over plain maps, and every way of
//! doing it wrong that is seen on the Internet. Shares nothing with the resolver but the types of `record`.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use cairn::record::{Name, Rcode, Rtype};

use super::internet::Link;
use super::packet::{AA, Packet, RA, RD, TC};
use super::record::Rr;
use super::signing;
use super::zone::{Found, Zone};

/// How a server behaves; the default is well.
#[derive(Clone, Debug)]
pub struct Manner {
    pub dead: bool,
    /// Serves none of its zones: refers upwards, or refuses.
    pub lame: Option<Lame>,
    /// This RCODE to everything.
    pub fails: Option<Rcode>,
    pub formerr_to_edns: bool,
    /// NOTIMP without OPT to questions for this type.
    pub knows_no: Option<Rtype>,
    /// BADCOOKIE over UDP to a client that does not return the server's cookie.
    pub wants_cookie: Option<Cookie>,
    /// Queries with EDNS get lost.
    pub drops_edns: bool,
    /// What a server that knows names in lower case only makes of others.
    pub lower_only: Option<Misfit>,
    /// What it makes of queries with an EDNS option, and of queries with EDNS.
    pub no_options: Option<Misfit>,
    pub no_edns: Option<Misfit>,
    /// `no_options` counts for names in mixed case only.
    pub no_options_in_mixed_case: bool,
    /// What it does not understand is answered without OPT.
    pub bare: bool,
    /// This instead of the next replies over UDP, without OPT: an overload, or a box on the way.
    pub passing: Option<(Misfit, Rc<Cell<u32>>)>,
    /// Queries for these types get lost.
    pub drops: Vec<Rtype>,
    /// Every UDP reply is truncated.
    pub truncates: bool,
    /// The question comes back in lower case.
    pub lowers_case: bool,
    /// Says NXDOMAIN for an empty non-terminal.
    pub denies_empty_names: bool,
    /// Authoritative answers without AA.
    pub without_aa: bool,
    /// An alias is not followed, even within the zone.
    pub one_link: bool,
    /// Never more than the answer section.
    pub minimal: bool,
    /// Added to the additional section (or, for NS and SOA, the authority section) of every reply: lies.
    pub slips_in: Vec<Rr>,
    /// The same false records are in the answer section too, with one more at the target of each alias there.
    pub lies_in_answers: bool,
    /// Addresses of names that are not servers are replaced by others, so that their signatures do not verify.
    pub forges: bool,
    /// Knows nothing of DNSSEC.
    pub strips: bool,
    /// A resolver: answers for every zone there is, with RA and without AA.
    pub recurses: bool,
    /// The next replies with a set of this type come without the RRSIG over it.
    pub forgets_rrsig: Option<(Rtype, Rc<Cell<u32>>)>,
    /// Negative answers show the delegation of the question's zone instead of its SOA.
    pub shows_cut: bool,
    /// Referrals without glue.
    pub hides_glue: bool,
    /// Changes each reply just before it leaves.
    pub rewrite: Option<Rewrite>,
    pub udp_size: usize,
}

/// What a load balancer, or an attacker on the way, makes of a reply.
#[derive(Clone)]
pub struct Rewrite(pub Rc<dyn Fn(&mut Packet)>);

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rewrite")
    }
}

/// How a server treats what it does not understand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Misfit {
    NoData,
    NxDomain,
    Fails(Rcode),
    /// As if the zone were not its own.
    RefersUp,
    Silent,
}

/// What a server makes its cookies of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cookie {
    /// Of a secret with this number.
    Of(u8),
    /// Each reply's is another one's, as of many machines behind one address.
    Anything,
    /// None is ever right, over TCP neither.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lame {
    Refuses,
    RefersUp,
    /// NOERROR with nothing and without AA.
    Empty,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner {
            dead: false,
            lame: None,
            fails: None,
            formerr_to_edns: false,
            knows_no: None,
            wants_cookie: None,
            drops_edns: false,
            lower_only: None,
            no_options: None,
            no_edns: None,
            no_options_in_mixed_case: false,
            bare: false,
            passing: None,
            drops: Vec::new(),
            truncates: false,
            lowers_case: false,
            denies_empty_names: false,
            without_aa: false,
            one_link: false,
            minimal: false,
            slips_in: Vec::new(),
            lies_in_answers: false,
            forges: false,
            strips: false,
            recurses: false,
            forgets_rrsig: None,
            shows_cut: false,
            hides_glue: false,
            rewrite: None,
            udp_size: 1232,
        }
    }
}

pub struct Server {
    pub name: Name,
    pub ipv4: Vec<Ipv4Addr>,
    pub ipv6: Vec<Ipv6Addr>,
    pub zones: Vec<Name>,
    /// Zones that were taken away from it and that it goes on to serve as they were.
    pub kept: Vec<Zone>,
    pub manner: Manner,
    pub link: Link,
}

/// What a server says to one query.
pub struct Told {
    /// `None` for silence.
    pub bytes: Option<Vec<u8>>,
    /// The reply without added lies; `None` where the server is not authoritative for a zone.
    pub honest: Option<Packet>,
    /// The reply has other addresses than the zone, with signatures that do not verify.
    pub forged: bool,
    /// For the log.
    pub word: String,
}

#[derive(Default)]
pub struct Plan {
    pub zones: BTreeMap<Name, Zone>,
    pub servers: Vec<Server>,
    by_address: HashMap<IpAddr, usize>,
    addresses_given: u32,
    /// Nothing has changed since it was completed.
    whole: bool,
    /// Parents also give sibling glue: addresses of name servers in other zones below them.
    pub sibling_glue: bool,
    /// Servers without addresses of their own get one of each family.
    pub dual_stack: bool,
    /// Packets to IPv4 or IPv6 addresses vanish.
    pub silent: (bool, bool),
    pub default_link: Link,
}

impl Plan {
    /// To be called before any change.
    pub fn touch(&mut self) -> &mut Plan {
        self.whole = false;
        self
    }

    pub fn server_at(&self, address: IpAddr) -> Option<&Server> {
        self.by_address.get(&address).map(|at| &self.servers[*at])
    }

    pub fn server(&mut self, name: &Name) -> &mut Server {
        let at = self.servers.iter().position(|server| server.name == *name).unwrap_or_else(|| {
            let link = self.default_link.clone();
            let server =
                Server { name: name.clone(), ipv4: vec![], ipv6: vec![], zones: vec![], kept: vec![], manner: Manner::default(), link };
            self.servers.push(server);
            self.servers.len() - 1
        });
        &mut self.servers[at]
    }

    pub fn is_silent(&self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.silent.0 } else { self.silent.1 }
    }

    pub fn next_ipv4(&mut self) -> Ipv4Addr {
        self.addresses_given += 1;
        Ipv4Addr::from(0x0909_0000 + self.addresses_given)
    }

    pub fn next_ipv6(&mut self) -> Ipv6Addr {
        self.addresses_given += 1;
        Ipv6Addr::from(0x2a0e_0009_0000_0000_0000_0000_0000_0000 + u128::from(self.addresses_given))
    }

    /// The zone that holds this name, as far as the world's zones go down.
    pub fn zone_of(&self, name: &Name) -> Option<&Zone> {
        (0..=name.label_count()).rev().find_map(|depth| self.zones.get(&name.suffix(depth)))
    }

    /// Makes the world whole: root and TLDs, a server for each zone, SOA and NS, addresses of servers in the zones
    /// that hold their names, delegations with glue. What a test has given stays as it is.
    pub fn complete(&mut self) {
        if std::mem::replace(&mut self.whole, true) {
            return;
        }
        if !self.is_served(&Name::root()) {
            self.server(&Name::parse("a.root-servers.net.").expect("a name")).zones.push(Name::root());
        }
        let mut wanted = vec![Name::root()];
        let in_use = self.servers.iter().filter(|server| server.kept.is_empty());
        wanted.extend(self.zones.keys().chain(in_use.map(|server| &server.name)).map(|name| name.suffix(1)));
        for apex in wanted {
            self.zones.entry(apex.clone()).or_insert_with(|| Zone::new(&apex));
        }
        let apexes: Vec<Name> = self.zones.keys().cloned().collect();
        for apex in &apexes {
            self.complete_apex(apex);
        }
        for at in 0..self.servers.len() {
            self.complete_addresses(at);
        }
        for apex in apexes.iter().filter(|apex| !apex.is_root()) {
            self.delegate(apex);
        }
        for apex in &apexes {
            self.vouch(apex);
        }
        self.zones.values_mut().filter(|zone| zone.signed).for_each(signing::sign);
        self.by_address = self
            .servers
            .iter()
            .enumerate()
            .flat_map(|(at, server)| {
                let v4 = server.ipv4.iter().map(|a| IpAddr::V4(*a));
                v4.chain(server.ipv6.iter().map(|a| IpAddr::V6(*a))).map(move |address| (address, at))
            })
            .collect();
    }

    fn is_served(&self, apex: &Name) -> bool {
        self.servers.iter().any(|server| server.zones.contains(apex))
    }

    fn complete_apex(&mut self, apex: &Name) {
        if !self.is_served(apex) {
            let name = apex.child(b"ns1").expect("a short name");
            self.server(&name).zones.push(apex.clone());
        }
        let names: Vec<Name> = self.servers.iter().filter(|server| server.zones.contains(apex)).map(|server| server.name.clone()).collect();
        let zone = self.zones.get_mut(apex).expect("it was just made");
        if zone.soa().is_none() {
            let fields = [1u32, 3600, 600, 86_400, 300].map(u32::to_be_bytes).concat();
            zone.add(Rr::new(apex, Rtype::SOA, 3600, [names[0].as_wire(), Name::root().as_wire(), &fields].concat()));
        }
        if zone.set(apex, Rtype::NS).is_empty() {
            let ttl = zone.ttl;
            names.iter().for_each(|name| zone.add(Rr::new(apex, Rtype::NS, ttl, name.as_wire().to_vec())));
        }
    }

    fn complete_addresses(&mut self, at: usize) {
        if !self.servers[at].kept.is_empty() {
            return;
        }
        if self.servers[at].ipv4.is_empty() && self.servers[at].ipv6.is_empty() {
            let address = self.next_ipv4();
            self.servers[at].ipv4.push(address);
            if self.dual_stack {
                let address = self.next_ipv6();
                self.servers[at].ipv6.push(address);
            }
        }
        let server = &self.servers[at];
        let apex = self.zone_of(&server.name).map(|zone| zone.apex.clone()).expect("the root is there");
        let zone = self.zones.get_mut(&apex).expect("found");
        for address in address_records(server, zone.ttl) {
            if zone.set(&server.name, address.rtype).len() < server.ipv4.len().max(server.ipv6.len()) {
                zone.add(address);
            }
        }
    }

    /// NS records and glue for `apex` in the zone above it, unless that zone has its own opinion.
    fn delegate(&mut self, apex: &Name) {
        let Some(parent) = apex.parent().and_then(|above| self.zone_of(&above)).map(|zone| zone.apex.clone()) else { return };
        let ttl = self.zones[&parent].ttl;
        let ns = if self.zones[&parent].set(apex, Rtype::NS).is_empty() {
            self.zones[apex].set(apex, Rtype::NS).iter().map(|rr| rr.with_ttl(ttl)).collect()
        } else {
            self.zones[&parent].set(apex, Rtype::NS).to_vec()
        };
        for name in ns.iter().filter_map(Rr::target) {
            let needed = name.is_within(apex) || self.sibling_glue && name.is_within(&parent);
            let server = self.servers.iter().find(|server| server.name == name);
            let glue = server.filter(|_| needed).map(|server| address_records(server, ttl)).unwrap_or_default();
            let zone = self.zones.get_mut(&parent).expect("found");
            if zone.set(&name, Rtype::A).is_empty() && zone.set(&name, Rtype::AAAA).is_empty() {
                glue.into_iter().for_each(|rr| zone.add(rr));
            }
        }
        let zone = self.zones.get_mut(&parent).expect("found");
        ns.into_iter().for_each(|rr| zone.add(rr));
    }

    /// The DS record of a signed zone in the zone above it.
    fn vouch(&mut self, apex: &Name) {
        let parent = apex.parent().filter(|_| self.zones[apex].signed).and_then(|above| self.zone_of(&above));
        let Some(parent) = parent.map(|zone| zone.apex.clone()) else { return };
        let zone = self.zones.get_mut(&parent).expect("found");
        zone.add(signing::ds(apex, zone.ttl));
    }

    /// Every zone from the root down to this one is signed.
    pub fn is_secure(&self, apex: &Name) -> bool {
        (0..=apex.label_count()).filter_map(|depth| self.zones.get(&apex.suffix(depth))).all(|zone| zone.signed)
    }

    /// Names and addresses of the root's servers, in master file form.
    pub fn root_hints(&self) -> Vec<Rr> {
        let roots: Vec<&Server> = self.servers.iter().filter(|server| server.zones.contains(&Name::root())).collect();
        let ns = roots.iter().map(|server| Rr::new(&Name::root(), Rtype::NS, 3_600_000, server.name.as_wire().to_vec()));
        ns.chain(roots.iter().flat_map(|server| address_records(server, 86_400))).collect()
    }

    pub fn answer(&self, address: IpAddr, wire: &[u8], tcp: bool) -> Told {
        let silent = |word: String| Told { bytes: None, honest: None, forged: false, word };
        let Some(server) = self.server_at(address) else { return silent("nobody there".into()) };
        let Some(query) = Packet::decode(wire) else { return silent("not a message".into()) };
        let manner = &server.manner;
        if manner.drops_edns && query.edns.is_some() {
            return silent(format!("{} drops EDNS", server.name));
        }
        if query.question.as_ref().is_some_and(|asked| manner.drops.contains(&asked.rtype)) {
            return silent(format!("{} drops the type", server.name));
        }
        let mut reply = query.reply();
        let passing = if tcp { None } else { passing(manner) };
        if let Some(misfit) = passing.or_else(|| misfit(manner, &query)) {
            let word = format!("{} misunderstands: {misfit:?}", server.name);
            match misfit {
                Misfit::Silent => return silent(word),
                Misfit::Fails(rcode) => reply.rcode = rcode,
                Misfit::RefersUp => self.answer_lamely(Lame::RefersUp, &mut reply),
                Misfit::NoData | Misfit::NxDomain => {
                    reply.flags |= AA;
                    reply.rcode = if misfit == Misfit::NxDomain { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                    let zone = query.question.as_ref().and_then(|asked| self.zone_of(&asked.name));
                    reply.authority.extend(zone.and_then(Zone::soa).cloned());
                }
            }
            if manner.no_edns.is_some() || manner.bare || passing.is_some() {
                reply.edns = None;
            }
            return Told { bytes: Some(reply.encode()), honest: None, forged: false, word };
        }
        if manner.formerr_to_edns && query.edns.is_some() {
            reply.rcode = Rcode::FORMERR;
            reply.edns = None;
            return Told { bytes: Some(reply.encode()), honest: None, forged: false, word: format!("{} FORMERR", server.name) };
        }
        let knows_type = query.question.as_ref().is_none_or(|asked| manner.knows_no != Some(asked.rtype));
        if !knows_type {
            reply.rcode = Rcode::NOTIMP;
            reply.edns = None;
            return Told { bytes: Some(reply.encode()), honest: None, forged: false, word: format!("{} NOTIMP", server.name) };
        }
        if let Some(cookie) = manner.wants_cookie
            && !give_cookie(cookie, &query, &mut reply)
            && (!tcp || cookie == Cookie::Never)
        {
            reply.rcode = Rcode::BADCOOKIE;
            return Told { bytes: Some(reply.encode()), honest: None, forged: false, word: format!("{} BADCOOKIE", server.name) };
        }
        match (manner.fails, manner.lame) {
            (Some(rcode), _) => reply.rcode = rcode,
            (None, Some(lame)) => self.answer_lamely(lame, &mut reply),
            (None, None) => self.answer_well(server, &mut reply),
        }
        if query.edns.as_ref().is_some_and(|edns| edns.dnssec_ok) && manner.fails.is_none() && manner.lame.is_none() {
            self.sign(server, &mut reply);
        }
        self.spoil(manner, &mut reply);
        if manner.recurses {
            reply.flags = (reply.flags & !AA) | RA | RD;
        }
        let honest = (manner.fails.is_none() && manner.lame.is_none()).then(|| reply.clone());
        lie(manner, &mut reply);
        if manner.strips {
            signing::strip(&mut reply);
        }
        let is_server = |name: &Name| self.servers.iter().any(|server| server.name == *name);
        let forged = manner.forges && reply.question.as_ref().is_some_and(|asked| !is_server(&asked.name));
        if forged {
            reply.answer.iter_mut().filter(|rr| rr.rtype == Rtype::A).for_each(|rr| rr.rdata = vec![203, 0, 113, 66]);
        }
        if let Some(Rewrite(rewrite)) = &manner.rewrite {
            rewrite(&mut reply);
        }
        let limit = if tcp { 65_535 } else { reply.edns.as_ref().map_or(512, |_| client_size(&query).min(manner.udp_size)) };
        if manner.truncates && !tcp {
            reply = Packet { flags: reply.flags | TC, answer: vec![], authority: vec![], additional: vec![], ..reply };
        }
        let bytes = reply.encode_within(limit);
        let sizes = format!("{}/{}/{}", reply.answer.len(), reply.authority.len(), reply.additional.len());
        Told { bytes: Some(bytes), honest, forged, word: format!("{} {} {sizes}", server.name, reply.rcode) }
    }

    fn spoil(&self, manner: &Manner, reply: &mut Packet) {
        if let Some((rtype, left)) = &manner.forgets_rrsig
            && left.get() > 0
            && reply.answer.iter().any(|rr| rr.rtype == *rtype)
        {
            left.set(left.get() - 1);
            reply.answer.retain(|rr| rr.rtype != Rtype::RRSIG || !rr.rdata.starts_with(&rtype.0.to_be_bytes()));
        }
        let cut = reply.question.as_ref().and_then(|asked| self.zone_of(&asked.name));
        if let Some(cut) = cut.filter(|_| manner.shows_cut && reply.answer.is_empty() && reply.rcode == Rcode::NOERROR) {
            reply.authority = cut.set(&cut.apex, Rtype::NS).to_vec();
        }
        if manner.hides_glue && reply.answer.is_empty() && !reply.has(AA) {
            self.answer_with_glue(reply);
        }
        if manner.without_aa {
            reply.flags &= !AA;
        }
        if manner.minimal && !reply.answer.is_empty() {
            // The proof that a wildcard may be used is part of the answer.
            reply.authority.retain(|rr| matches!(rr.rtype, Rtype::NSEC | Rtype::RRSIG));
            reply.additional.clear();
        }
        if let Some(asked) = reply.question.as_mut().filter(|_| manner.lowers_case) {
            asked.wire.make_ascii_lowercase();
        }
        let asked = reply.question.as_ref();
        let is_empty = |zone: &Zone, name: &Name| zone.names().all(|owner| owner != name) && zone.names().any(|owner| owner.is_below(name));
        if manner.denies_empty_names
            && reply.answer.is_empty()
            && reply.has(AA)
            && asked.is_some_and(|asked| self.zone_of(&asked.name).is_some_and(|zone| is_empty(zone, &asked.name)))
        {
            reply.rcode = Rcode::NXDOMAIN;
        }
    }

    /// In place of a referral: the parent's own records for exactly this name, or the referral without them.
    fn answer_with_glue(&self, reply: &mut Packet) {
        reply.additional.clear();
        let Some(asked) = &reply.question else { return };
        let Some(cut) = reply.authority.iter().find(|rr| rr.rtype == Rtype::NS && asked.name.is_below(&rr.name)) else { return };
        let Some(parent) = cut.name.parent().and_then(|above| self.zone_of(&above)) else { return };
        let mut own = [asked.rtype, Rtype::CNAME].map(|rtype| parent.set(&asked.name, rtype)).concat();
        if let Some(target) = own.first().filter(|rr| rr.rtype == Rtype::CNAME).and_then(Rr::target) {
            own.extend_from_slice(parent.set(&target, asked.rtype));
        }
        if !own.is_empty() {
            (reply.answer, reply.flags) = (own, reply.flags | AA);
            reply.authority.clear();
        }
    }

    fn answer_lamely(&self, lame: Lame, reply: &mut Packet) {
        match lame {
            Lame::Refuses => reply.rcode = Rcode::REFUSED,
            Lame::Empty => {}
            Lame::RefersUp => reply.authority = self.root_hints().into_iter().filter(|rr| rr.rtype == Rtype::NS).collect(),
        }
    }

    fn answer_well(&self, server: &Server, reply: &mut Packet) {
        let Some(asked) = reply.question.clone() else {
            reply.rcode = Rcode::FORMERR;
            return;
        };
        let mut name = asked.name.clone();
        for _ in 0..16 {
            // RFC 4035 3.1.4.1: DS is the parent's, where this server has the parent.
            let above = |apex: &&Name| name.is_within(apex) && !(asked.rtype == Rtype::DS && **apex == name);
            let all = self.zones.keys().filter(|_| server.manner.recurses);
            let served = || {
                server.zones.iter().chain(server.kept.iter().map(|zone| &zone.apex)).chain(all.clone()).filter(|apex| name.is_within(apex))
            };
            let Some(apex) = served().filter(above).max_by_key(|apex| apex.label_count()).or(served().next()) else {
                // An alias led out of what this server has.
                reply.rcode = if reply.answer.is_empty() { Rcode::REFUSED } else { reply.rcode };
                return;
            };
            let zone = server.kept.iter().find(|zone| zone.apex == *apex).unwrap_or_else(|| &self.zones[apex]);
            match zone.look_up(&name, asked.rtype) {
                Found::Alias(records, target) => {
                    let proved = Found::Alias(records.clone(), target.clone());
                    reply.flags |= AA;
                    let seen = reply.answer.iter().any(|rr| records[0].same(rr));
                    reply.answer.extend(records);
                    if dnssec_ok(reply) {
                        zone.add_proofs(&name, &proved, reply);
                    }
                    match target {
                        Some(target) if !seen && !server.manner.one_link => name = target,
                        Some(_) => return,
                        None => {
                            reply.rcode = Rcode::YXDOMAIN;
                            return;
                        }
                    }
                }
                found => return self.finish(zone, &name, found, reply),
            }
        }
    }

    /// What goes with a reply out of a signed zone; an alias is followed within one zone only.
    fn sign(&self, server: &Server, reply: &mut Packet) {
        let Some(asked) = reply.question.clone() else { return };
        let above = |apex: &&Name| asked.name.is_within(apex) && !(asked.rtype == Rtype::DS && **apex == asked.name);
        let apexes = || server.zones.iter().chain(server.kept.iter().map(|zone| &zone.apex));
        let apex = apexes().filter(above).max_by_key(|apex| apex.label_count()).or(apexes().find(|apex| asked.name.is_within(apex)));
        let Some(apex) = apex else { return };
        let zone = server.kept.iter().find(|zone| zone.apex == *apex).unwrap_or_else(|| &self.zones[apex]);
        if !zone.signed {
            return;
        }
        let mut name = asked.name;
        for _ in 0..reply.answer.len() {
            let alias = reply.answer.iter().find(|rr| rr.rtype == Rtype::CNAME && rr.name == name);
            name = alias.and_then(Rr::target).unwrap_or(name);
        }
        signing::complete(zone, &name, reply);
    }

    fn finish(&self, zone: &Zone, name: &Name, found: Found, reply: &mut Packet) {
        let proved = found.clone();
        let negative = || zone.soa().map(|soa| soa.with_ttl(soa.ttl.min(minimum(soa)))).into_iter().collect::<Vec<_>>();
        match found.clone() {
            Found::Records(records) => {
                reply.flags |= AA;
                let at_apex = records.iter().any(|rr| rr.rtype == Rtype::NS && *name == zone.apex);
                reply.answer.extend(records);
                if !at_apex {
                    reply.authority.splice(0..0, zone.set(&zone.apex, Rtype::NS).to_vec());
                }
            }
            Found::Referral(ns) => {
                reply.flags &= !RD;
                reply.authority = zone.set(&ns[0].name, Rtype::DS).iter().cloned().chain(ns).collect();
            }
            Found::NoData | Found::NoName => {
                // After a wildcard that an alias came from, its proof stays.
                reply.authority.splice(0..0, negative());
                reply.flags |= AA;
                reply.rcode = if found == Found::NoName { Rcode::NXDOMAIN } else { reply.rcode };
            }
            Found::Alias(..) => unreachable!("followed by the caller"),
        }
        if dnssec_ok(reply) {
            zone.add_proofs(name, &proved, reply);
        }
        let named: Vec<Name> = reply.answer.iter().chain(&reply.authority).filter_map(additional_name).collect();
        for target in named {
            for rtype in [Rtype::A, Rtype::AAAA] {
                for rr in zone.set(&target, rtype) {
                    if !reply.additional.contains(rr) && !reply.answer.contains(rr) {
                        reply.additional.push(rr.clone());
                    }
                }
            }
        }
    }
}

fn passing(manner: &Manner) -> Option<Misfit> {
    let (misfit, left) = manner.passing.as_ref().filter(|(_, left)| left.get() > 0)?;
    left.set(left.get() - 1);
    Some(*misfit)
}

fn misfit(manner: &Manner, query: &Packet) -> Option<Misfit> {
    let is_mixed = query.question.as_ref().is_some_and(|asked| asked.wire.iter().any(u8::is_ascii_uppercase));
    let has_options = query.edns.as_ref().is_some_and(|edns| !edns.options.is_empty());
    let lower_only = manner.lower_only.filter(|_| is_mixed);
    let no_options = manner.no_options.filter(|_| has_options && (is_mixed || !manner.no_options_in_mixed_case));
    lower_only.or(no_options).or(manner.no_edns.filter(|_| query.edns.is_some()))
}

/// RFC 7873 5.2: puts a cookie into the reply; was the right one in the query?
fn give_cookie(cookie: Cookie, query: &Packet, reply: &mut Packet) -> bool {
    let options = query.edns.iter().flat_map(|edns| &edns.options);
    let Some(theirs) = options.filter(|(code, _)| *code == 10).map(|(_, data)| data).next() else { return true };
    let (client, server) = theirs.split_at(theirs.len().min(8));
    let (made, is_right) = match cookie {
        Cookie::Of(secret) => ([secret; 16], server == [secret; 16]),
        Cookie::Anything | Cookie::Never => ([query.id as u8; 16], false),
    };
    reply.edns.iter_mut().for_each(|edns| edns.options.push((10, [client, &made].concat())));
    is_right
}

fn lie(manner: &Manner, reply: &mut Packet) {
    for rr in &manner.slips_in {
        if manner.lies_in_answers {
            reply.answer.push(rr.clone());
            let alias = reply.answer.iter().rev().find(|rr| rr.rtype == Rtype::CNAME).and_then(Rr::target);
            // For the name in the question itself the server may say what it likes.
            let alias = alias.filter(|to| rr.rtype == Rtype::A && reply.question.as_ref().is_none_or(|asked| asked.name != *to));
            reply.answer.extend(alias.map(|to| Rr { name: to, ..rr.clone() }));
        }
        let section = if matches!(rr.rtype, Rtype::NS | Rtype::SOA) { &mut reply.authority } else { &mut reply.additional };
        section.push(rr.clone());
    }
}

fn additional_name(rr: &Rr) -> Option<Name> {
    matches!(rr.rtype, Rtype::NS | Rtype::MX | Rtype::SRV).then(|| rr.target()).flatten()
}

fn dnssec_ok(reply: &Packet) -> bool {
    reply.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
}

fn client_size(query: &Packet) -> usize {
    query.edns.as_ref().map_or(512, |edns| usize::from(edns.size.max(512)))
}

/// The last field of an SOA (RFC 2308 4).
pub fn minimum(soa: &Rr) -> u32 {
    soa.rdata.last_chunk().map_or(0, |last| u32::from_be_bytes(*last))
}

fn address_records(server: &Server, ttl: u32) -> Vec<Rr> {
    let v4 = server.ipv4.iter().map(|a| Rr::new(&server.name, Rtype::A, ttl, a.octets().to_vec()));
    v4.chain(server.ipv6.iter().map(|a| Rr::new(&server.name, Rtype::AAAA, ttl, a.octets().to_vec()))).collect()
}
