//! The addresses of a host, from this server's own resolver: it needs no other one, and a fetch sees what it answers to everybody.
//!
//! Lists and response policy zones do not apply: a list may name the host that it comes from. Hosted zones, local data, forward rules
//! and the rebinding guard do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;

use crate::answer::{Explain, Service, Worker, worker_for_own_needs};
use crate::config::TranslationPrefix;
use crate::env::{BoxFuture, Net, Random};
use crate::record::{Name, Question, Rcode, Rtype};

/// Looks up the addresses of a host, in the order in which they are to be tried.
pub(in crate::server) trait Addresses {
    /// An error where it could not be found out; none at all where the host has none.
    fn of<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>>;

    /// The IPv4 address that the translator of this network makes of an address.
    fn translated(&self, _address: IpAddr) -> Option<Ipv4Addr> {
        None
    }
}

/// The resolver of this server, for its own needs.
pub(in crate::server) struct OwnResolver {
    service: Arc<Service>,
    worker: Rc<Worker>,
}

impl OwnResolver {
    pub(in crate::server) fn new(service: Arc<Service>, net: Rc<dyn Net>, random: Random) -> OwnResolver {
        OwnResolver { worker: worker_for_own_needs(service.clone(), net, random), service }
    }

    async fn looked_up(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        let name = Name::parse(host).map_err(|error| error.to_string())?;
        let (v6, v4) = tokio::join!(self.family(&name, Rtype::AAAA), self.family(&name, Rtype::A));
        let (v6, v4) = match (v6, v4) {
            (Err(why), Err(_)) => return Err(why),
            (v6, v4) => (v6.unwrap_or_default(), v4.unwrap_or_default()),
        };
        let snapshot = self.service.snapshot();
        let prefix = self.prefix();
        let v4: Vec<Ipv4Addr> = v4.into_iter().filter_map(|address| if let IpAddr::V4(v4) = address { Some(v4) } else { None }).collect();
        let embed = |prefix: TranslationPrefix| v4.iter().filter(move |v4| prefix.translates(**v4)).map(move |v4| prefix.embed(*v4));
        let translated: Vec<Ipv6Addr> = prefix.into_iter().flat_map(embed).collect();
        let recursion = &snapshot.routes.recursion;
        let v4 = v4.into_iter().filter(|_| recursion.ipv4 != Some(false)).map(IpAddr::V4);
        let v6 = v6.into_iter().chain(translated.into_iter().map(IpAddr::V6)).filter(|_| recursion.ipv6 != Some(false));
        Ok(alternating(v6.collect(), v4.collect()))
    }

    /// That of the network's translator.
    fn prefix(&self) -> Option<TranslationPrefix> {
        self.service.snapshot().routes.nat64_prefix.or_else(|| self.service.resolve.nat64_prefix())
    }

    /// What a server denies is an answer; what it does not answer is none.
    async fn family(&self, name: &Name, rtype: Rtype) -> Result<Vec<IpAddr>, String> {
        let outcome = self.worker.resolve(&Explain::new(Question::new(name.clone(), rtype), None)).await.outcome;
        let because = || outcome.edes.iter().map(|ede| format!(": {}", ede.text)).collect::<String>();
        match outcome.rcode {
            Some(Rcode::NOERROR) => {}
            Some(Rcode::NXDOMAIN) => return Err(format!("there is no such name{}", because())),
            Some(rcode) => return Err(format!("{rcode}{}", because())),
            None => return Err("no answer".to_owned()),
        }
        let sets = outcome.answers.iter().filter(|set| set.rtype == rtype);
        Ok(sets.flat_map(|set| set.data.iter().filter_map(address)).collect())
    }
}

impl Addresses for OwnResolver {
    fn of<'a>(&'a self, host: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, String>> {
        Box::pin(self.looked_up(host))
    }

    fn translated(&self, address: IpAddr) -> Option<Ipv4Addr> {
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => self.prefix()?.extract(address),
        }
    }
}

fn address(rdata: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(rdata).map(|octets| IpAddr::V4(octets.into())).ok();
    v4.or_else(|| <[u8; 16]>::try_from(rdata).map(|octets| IpAddr::V6(octets.into())).ok())
}

/// RFC 8305 4: one of each family in turn, IPv6 first.
fn alternating(v6: Vec<IpAddr>, v4: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(v6.next());
        all.extend(v4.next());
        if all.len() == before {
            return all;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<IpAddr>>();
        let mixed = alternating(all(&["2001:db8::1", "2001:db8::2"]), all(&["192.0.2.1"]));
        assert_eq!(mixed, all(&["2001:db8::1", "192.0.2.1", "2001:db8::2"]));
        assert_eq!(address(&[192, 0, 2, 1]), Some(all(&["192.0.2.1"])[0]));
        assert_eq!(address(&[1, 2]), None);
    }
}
