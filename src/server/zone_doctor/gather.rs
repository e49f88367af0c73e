//! The file of the zone is read, the zone above is found as the resolver finds it, and its servers and those of the zone are asked.
//!
//! Queries go to servers of the zone above and of the zone, and to those that a resolver asks on the way to them.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::all_at_once::{Look, all_at_once};
use super::super::hosting::{RealDisk, Versions};
use super::super::load::{Configuration, Sources, StartOptions, open_resolver};
use super::super::parent_side::{Ds, ParentSide, served_sets};
use super::super::server::{service_of, walk};
use super::super::single_query::SingleQuery;
use super::super::zone_file::{HostedZone, ZoneError, ZoneUse, hosted_zone, read_zone};
use super::super::zone_force::{listening_on, running_zones};
use super::facts::{Asked, Delegation, Facts, Keys, Outcome, Own, Parent, Said, Server, Soa};
use super::reply;
use crate::answer::{Explain, Service};
use crate::env::{BootTime, Clock, RealClock};
use crate::limits::Limits;
use crate::limits::server::{DOCTOR_TRIES_MAX, DOCTOR_WAIT_MAX, ZONE_DOCTOR_PARENTS_MAX, ZONE_DOCTOR_SERVERS_MAX, ZONE_DOCTOR_TIME_MAX};
use crate::record::{Name, Question, Rcode, RrSet, Rtype};
use crate::wire::{Flags, Message};
use crate::zone::{Found as FoundInZone, Zone};

const DNS_PORT: u16 = 53;

pub(super) fn gather(options: &StartOptions, places: &[PathBuf], zone: &Name, progress: &dyn Fn(usize, usize)) -> Result<Facts, ZoneError> {
    let hosted = hosted_zone(options, places, zone, ZoneUse::Read)?;
    let data = read_zone(&hosted)?;
    let mut sources = Sources::read(options).map_err(ZoneError::Configuration)?;
    let configuration = Configuration { settings: sources.settings.clone(), file: sources.config_file.clone() };
    let open_resolver = open_resolver(&configuration).map(|problem| problem.what.trim_start_matches("warning: ").to_owned());
    let until = RealClock.boot() + ZONE_DOCTOR_TIME_MAX;
    let listening = listening_on(places);
    let own = own(&hosted, &data, options, places, &listening);
    // Who may not use the control socket is a client of the server that runs here all the same.
    let listening = if listening.is_empty() { configuration.settings.server.listen_addrs() } else { listening };

    let hosted_zones: Vec<Arc<Zone>> = sources.zones.iter().map(|loaded| loaded.zone.clone()).collect();
    // What is wrong with the signatures of others, or with private addresses, must not hide what is there.
    let settings = &mut sources.settings;
    (settings.recursion.enabled, settings.recursion.dnssec, settings.policy.rebinding_protection) = (true, false, false);
    let service = service_of(sources, &mut Versions::new(Arc::new(RealDisk), None, None).change(), &[], Limits::default())
        .map_err(ZoneError::Refused)?;
    let parent = parent(&service, zone, &hosted_zones, until, progress);
    let names = server_names(&own.side, &parent);
    let found = addresses(&service, &names, &own.side, &parent, until);
    let servers = servers(zone, &found, &listening, until, progress);
    Ok(Facts {
        zone: zone.clone(),
        own,
        parent,
        servers,
        without_address: found.iter().filter_map(|found| Some((found.name.clone(), found.why_none.clone()?))).collect(),
        aliases: found.iter().filter(|found| found.is_alias).map(|found| found.name.clone()).collect(),
        open_resolver,
        now: RealClock.wall(),
    })
}

fn own(hosted: &HostedZone, data: &Zone, options: &StartOptions, places: &[PathBuf], listening: &[SocketAddr]) -> Own {
    let running = running_zones(places, options.config.as_deref()).unwrap_or_default();
    let row = running.iter().find(|row| row["name"].as_str().is_some_and(|name| name == hosted.name.to_string()));
    let serial_in_force = row.and_then(|row| u32::try_from(row["serial"].as_u64()?).ok());
    let signed = if serial_in_force.is_some() { served_sets(data, listening) } else { Vec::new() };
    let soa = data.soa().rdatas().next().and_then(Soa::read).unwrap_or_default();
    Own { soa, side: ParentSide::of(data, &signed), is_signed_here: !signed.is_empty(), serial_in_force }
}

/// What the resolver makes of a question.
fn resolve(service: &Arc<Service>, name: &Name, rtype: Rtype) -> Result<crate::answer::Outcome, String> {
    let explained = walk(service, &Explain::new(Question::new(name.clone(), rtype), None))?;
    let outcome = explained.outcome;
    match outcome.rcode() {
        Rcode::NOERROR | Rcode::NXDOMAIN => Ok(outcome),
        rcode => Err(match outcome.edes.first().map(|ede| ede.text.clone()).filter(|text| !text.is_empty()) {
            Some(text) => format!("{name} {rtype} {rcode}: {text}"),
            None => format!("{name} {rtype} {rcode}"),
        }),
    }
}

fn parent(
    service: &Arc<Service>,
    zone: &Name,
    hosted: &[Arc<Zone>],
    until: BootTime,
    progress: &dyn Fn(usize, usize),
) -> Result<Parent, String> {
    let name = enclosing_zone(service, zone)?;
    let ns = resolve(service, &name, Rtype::NS)?;
    let names: Vec<Name> = ns
        .answers
        .iter()
        .filter(|set| set.rtype == Rtype::NS)
        .flat_map(|set| set.data.iter())
        .filter_map(|rdata| Name::from_wire(rdata).ok())
        .collect();
    let look_up = |name: &Name| -> Look<Vec<Asked>> {
        let (service, name) = (service.clone(), name.clone());
        Box::new(move || {
            let addresses = address_of(&service, &name).addresses;
            addresses.into_iter().map(|address| Asked { name: name.clone(), address }).collect()
        })
    };
    let known: Vec<Vec<Asked>> = all_at_once(names.iter().take(ZONE_DOCTOR_PARENTS_MAX).map(look_up).collect(), until, &|_, _| ());
    // One address of each server first.
    let longest = known.iter().map(Vec::len).max().unwrap_or(0);
    let mut asked: Vec<Asked> = (0..longest).flat_map(|at| known.iter().filter_map(move |of_one| of_one.get(at).cloned())).collect();
    asked.retain(|at| has_route(at.address));
    asked.truncate(ZONE_DOCTOR_PARENTS_MAX);
    if asked.is_empty() {
        return Err(format!("no server of {name} has an address that this machine can reach"));
    }
    let look = |at: Asked| -> Look<(Asked, Said)> {
        let zone = zone.clone();
        Box::new(move || {
            let said = said(&zone, at.address);
            (at, said)
        })
    };
    let mut said = all_at_once(asked.into_iter().map(look).collect(), until, progress);
    // Who serves both zones answers from the lower one; what the upper one says is in its data, where that is here.
    if let Some(data) = hosted.iter().find(|zone| *zone.apex() == name) {
        said.iter_mut().filter(|(_, said)| *said == Said::ServesTheZone).for_each(|(_, said)| *said = of_data(data, zone));
    }
    said.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name).then(one.address.cmp(&other.address)));
    Ok(Parent { name, said })
}

fn enclosing_zone(service: &Arc<Service>, zone: &Name) -> Result<Name, String> {
    let mut above = zone.parent();
    while let Some(name) = above {
        let outcome = resolve(service, &name, Rtype::SOA)?;
        let is_soa = |set: &&RrSet| set.rtype == Rtype::SOA;
        let at_the_name = outcome.answers.iter().find(is_soa).filter(|set| set.name == name);
        let of_a_denial = outcome.authority.iter().find(is_soa).filter(|set| zone.is_below(&set.name));
        if let Some(soa) = at_the_name.or(of_a_denial) {
            return Ok(soa.name.clone());
        }
        above = name.parent();
    }
    Err("no zone above it is found".to_owned())
}

/// The delegation in the data of the zone above.
fn of_data(above: &Zone, zone: &Name) -> Said {
    let FoundInZone::Referral { ns, ds, .. } = above.find(zone.as_wire(), Rtype::NS) else { return Said::NoDelegation(Rcode::NXDOMAIN) };
    let glue = above.glue(ns).filter_map(|(target, addresses)| {
        let name = Name::from_wire(target).ok()?;
        Some(addresses.to_rrset(name.clone()).addresses().map(|address| (name.clone(), address)).collect::<Vec<_>>())
    });
    Said::Delegation(Delegation {
        servers: ns.rdatas().filter_map(|rdata| Name::from_wire(rdata).ok()).collect(),
        glue: glue.flatten().collect(),
        ds: Some(ds.iter().flat_map(|ds| ds.rdatas()).filter_map(Ds::read).collect()),
    })
}

fn said(zone: &Name, server: IpAddr) -> Said {
    let of = |rtype: Rtype| exchange(server, &Question::new(zone.clone(), rtype), false, true, false);
    let mut said = match of(Rtype::NS) {
        Ok(bytes) => {
            Message::parse(&bytes).map_or_else(|_| Said::Nothing(NO_MESSAGE.to_owned()), |message| reply::referral(&message, zone))
        }
        Err(error) => Said::Nothing(why(&error)),
    };
    if let Said::Delegation(delegation) = &mut said {
        delegation.ds = of(Rtype::DS).ok().and_then(|bytes| reply::ds(&Message::parse(&bytes).ok()?, zone));
    }
    said
}

const NO_MESSAGE: &str = "the reply is no DNS message";

/// The names of all servers, of the zone and of the delegation.
fn server_names(side: &ParentSide, parent: &Result<Parent, String>) -> Vec<Name> {
    let at_parent = delegations(parent).flat_map(|delegation| delegation.servers.iter());
    let mut names: Vec<Name> = Vec::new();
    for name in side.servers.iter().map(|server| &server.name).chain(at_parent) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn delegations(parent: &Result<Parent, String>) -> impl Iterator<Item = &Delegation> {
    parent.iter().flat_map(|parent| &parent.said).filter_map(|(_, said)| match said {
        Said::Delegation(delegation) => Some(delegation),
        Said::Nothing(_) | Said::NoDelegation(_) | Said::ServesTheZone => None,
    })
}

/// Where a server's name leads.
struct Found {
    name: Name,
    addresses: Vec<IpAddr>,
    is_alias: bool,
    why_none: Option<String>,
}

/// In the zone itself as the zone and the parent's glue say; elsewhere as the resolver finds.
fn addresses(service: &Arc<Service>, names: &[Name], side: &ParentSide, parent: &Result<Parent, String>, until: BootTime) -> Vec<Found> {
    let look = |name: &Name| -> Look<Found> {
        let glue = delegations(parent).flat_map(|delegation| &delegation.glue).filter(|(of, _)| of == name).map(|(_, address)| *address);
        let own = side.servers.iter().find(|server| server.name == *name);
        let known: BTreeSet<IpAddr> =
            own.filter(|server| server.needs_glue).map(|server| server.addresses.clone()).into_iter().flatten().chain(glue).collect();
        let (service, name) = (service.clone(), name.clone());
        Box::new(move || {
            let found = address_of(&service, &name);
            match known.is_empty() {
                true => found,
                false => Found { addresses: known.into_iter().collect(), why_none: None, ..found },
            }
        })
    };
    let mut found = all_at_once(names.iter().take(ZONE_DOCTOR_SERVERS_MAX).map(look).collect(), until, &|_, _| ());
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn address_of(service: &Arc<Service>, name: &Name) -> Found {
    let (mut addresses, mut is_alias, mut reason) = (Vec::new(), false, None);
    for rtype in [Rtype::A, Rtype::AAAA] {
        match resolve(service, name, rtype) {
            Ok(outcome) => {
                is_alias |= outcome.answers.iter().any(|set| set.rtype == Rtype::CNAME && set.name == *name);
                addresses.extend(outcome.answers.iter().flat_map(RrSet::addresses));
                if outcome.rcode() == Rcode::NXDOMAIN {
                    reason = Some("the name does not exist".to_owned());
                }
            }
            Err(error) => reason = Some(error),
        }
    }
    let why_none = addresses.is_empty().then(|| reason.unwrap_or_else(|| "it has no A and no AAAA record".to_owned()));
    Found { name: name.clone(), addresses, is_alias, why_none }
}

/// What one question to a server was, and how it ended.
enum Seen {
    Soa { is_tcp: bool, outcome: Outcome },
    Servers(Option<Vec<Name>>),
    Keys(Option<Keys>),
    Recurses(Option<bool>),
}

fn servers(zone: &Name, found: &[Found], listening: &[SocketAddr], until: BootTime, progress: &dyn Fn(usize, usize)) -> Vec<Server> {
    let all = found.iter().flat_map(|found| found.addresses.iter().map(|address| Asked { name: found.name.clone(), address: *address }));
    let late = || Outcome::Nothing("nothing came in time".to_owned());
    let new = |at: Asked| {
        let is_here = is_here(at.address, listening);
        Server { at, is_here, soa: late(), tcp: late(), servers: None, keys: None, recurses: None }
    };
    let mut servers: Vec<Server> = all.take(ZONE_DOCTOR_SERVERS_MAX).map(new).collect();
    let mut looks: Vec<Look<(usize, Seen)>> = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        for ask in [ask_soa, ask_soa_over_tcp, ask_servers, ask_keys, ask_recursion] {
            let (zone, address) = (zone.clone(), server.at.address);
            looks.push(Box::new(move || (index, ask(&zone, address))));
        }
    }
    for (index, seen) in all_at_once(looks, until, progress) {
        let Some(server) = servers.get_mut(index) else { continue };
        match seen {
            Seen::Soa { is_tcp: false, outcome } => server.soa = outcome,
            Seen::Soa { is_tcp: true, outcome } => server.tcp = outcome,
            Seen::Servers(seen) => server.servers = seen,
            Seen::Keys(seen) => server.keys = seen,
            Seen::Recurses(seen) => server.recurses = seen,
        }
    }
    servers
}

fn soa_by(zone: &Name, server: IpAddr, is_tcp: bool) -> Seen {
    let outcome = match exchange(server, &Question::new(zone.clone(), Rtype::SOA), false, true, is_tcp) {
        Ok(bytes) => match Message::parse(&bytes) {
            Ok(message) => Outcome::Reply(reply::soa(&message, zone)),
            Err(_) => Outcome::Nothing(NO_MESSAGE.to_owned()),
        },
        Err(error) if is_no_route(&error) => Outcome::NoRoute(error.to_string()),
        Err(error) => Outcome::Nothing(why(&error)),
    };
    Seen::Soa { is_tcp, outcome }
}

fn ask_soa(zone: &Name, server: IpAddr) -> Seen {
    soa_by(zone, server, false)
}

fn ask_soa_over_tcp(zone: &Name, server: IpAddr) -> Seen {
    soa_by(zone, server, true)
}

fn ask_servers(zone: &Name, server: IpAddr) -> Seen {
    let bytes = exchange(server, &Question::new(zone.clone(), Rtype::NS), false, true, false).ok();
    Seen::Servers(bytes.and_then(|bytes| Some(reply::servers(&Message::parse(&bytes).ok()?, zone))))
}

fn ask_keys(zone: &Name, server: IpAddr) -> Seen {
    let bytes = exchange(server, &Question::new(zone.clone(), Rtype::DNSKEY), false, true, false).ok();
    let keys = |bytes: Vec<u8>| {
        let message = Message::parse(&bytes).ok()?;
        (message.rcode() == Rcode::NOERROR).then(|| reply::keys(&message, zone))
    };
    Seen::Keys(bytes.and_then(keys))
}

/// Every resolver knows the root, and no server of another zone does.
fn ask_recursion(_: &Name, server: IpAddr) -> Seen {
    let bytes = exchange(server, &Question::new(Name::root(), Rtype::SOA), true, false, false).ok();
    Seen::Recurses(bytes.and_then(|bytes| Some(reply::recurses(&Message::parse(&bytes).ok()?))))
}

/// Over UDP again if nothing comes, and over TCP where the reply is truncated.
fn exchange(server: IpAddr, question: &Question, recursion_desired: bool, dnssec: bool, tcp: bool) -> io::Result<Vec<u8>> {
    let server = SocketAddr::new(server, DNS_PORT);
    let wait = if tcp { DOCTOR_WAIT_MAX * DOCTOR_TRIES_MAX as u32 } else { DOCTOR_WAIT_MAX };
    let tries = if tcp { 1 } else { DOCTOR_TRIES_MAX };
    let mut last = Err(io::ErrorKind::TimedOut.into());
    for _ in 0..tries {
        last = SingleQuery { server, question, recursion_desired, dnssec, tcp, wait }.ask();
        match &last {
            Ok(bytes) => {
                let is_truncated = !tcp && Message::parse(bytes).is_ok_and(|message| message.header().flags.has(Flags::TC));
                return if is_truncated { exchange(server.ip(), question, recursion_desired, dnssec, true) } else { last };
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(_) => return last,
        }
    }
    last
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "no reply".to_owned(),
        _ => error.to_string(),
    }
}

fn is_no_route(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable)
}

/// Whether the kernel knows a way; nothing is sent.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    UdpSocket::bind(any).and_then(|socket| socket.connect(SocketAddr::new(address, DNS_PORT))).is_ok()
}

/// Whether the running server has this address. One that listens everywhere has those of this machine.
fn is_here(address: IpAddr, listening: &[SocketAddr]) -> bool {
    let is_everywhere = listening.iter().any(|at| at.ip().is_unspecified() && at.is_ipv4() == address.is_ipv4());
    listening.iter().any(|at| at.ip() == address) || is_everywhere && UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}
