//! What this resolver tells of itself below `resolver.arpa`: where it serves DNS over TLS and HTTPS (RFC 9462), and what it can do
//! (RFC 9606). Clients that know no more than its address begin there.

use std::net::{IpAddr, SocketAddr};

use super::service_parameters::ServiceParameters;
use crate::record::{Name, Question, RrSet, Rtype};

/// An encrypted transport that is served now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedService {
    /// What ALPN calls it.
    pub alpn: &'static str,
    /// The port of a client that is told none.
    pub usual_port: u16,
    pub addr: SocketAddr,
    /// Of the URI, for DNS over HTTPS.
    pub path: Option<String>,
}

/// Everything that is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Designated {
    /// The first name of the certificate; without one, no client could verify what it is led to.
    pub name: Option<Name>,
    pub services: Vec<EncryptedService>,
}

/// Where a client is, which says what of our services it can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPlace {
    /// It can use loopback addresses as well.
    ThisMachine,
    Network,
    /// Which of the balancer's addresses and ports lead to which service is not known here.
    BehindBalancer,
}

/// The records of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub answer: RrSet,
    pub additional: Vec<RrSet>,
}

/// Seconds: a change of certificate or address reaches clients soon.
const TTL_S: u32 = 300;
/// Lower-case wire form.
pub const RESOLVER_ARPA: &[u8] = b"\x08resolver\x04arpa\0";
const DISCOVERY: &[u8] = b"\x04_dns\x08resolver\x04arpa\0";

impl EncryptedService {
    pub fn over_tls(addr: SocketAddr) -> EncryptedService {
        EncryptedService { alpn: "dot", usual_port: 853, addr, path: None }
    }

    pub fn over_https(addr: SocketAddr, path: String) -> EncryptedService {
        EncryptedService { alpn: "h2", usual_port: 443, addr, path: Some(path) }
    }

    /// The port that a client has to be told.
    pub fn unusual_port(&self) -> Option<u16> {
        (self.addr.port() != self.usual_port).then(|| self.addr.port())
    }

    /// The listeners that differ in nothing but their address, each kind with its addresses.
    pub fn alike<'a>(services: impl Iterator<Item = &'a EncryptedService>) -> Vec<(&'a EncryptedService, Vec<IpAddr>)> {
        let mut groups: Vec<(&EncryptedService, Vec<IpAddr>)> = Vec::new();
        for service in services {
            let is_alike = |other: &EncryptedService| {
                (other.alpn, other.addr.port(), &other.path) == (service.alpn, service.addr.port(), &service.path)
            };
            match groups.iter_mut().find(|(other, _)| is_alike(other)) {
                Some((_, addresses)) => addresses.push(service.addr.ip()),
                None => groups.push((service, vec![service.addr.ip()])),
            }
        }
        groups
    }
}

impl Designated {
    /// The answer to a question of this kind. `None`: the question is another one, or there is nothing to tell.
    pub fn answer(&self, question: &Question, place: ClientPlace, minimises: bool) -> Option<Told> {
        match (question.name.as_wire(), question.rtype) {
            (DISCOVERY, Rtype::SVCB) => self.discovery(&question.name, place),
            (RESOLVER_ARPA, Rtype::RESINFO) => Some(capabilities(&question.name, minimises)),
            (_, Rtype::RESINFO) if self.name.as_ref() == Some(&question.name) => Some(capabilities(&question.name, minimises)),
            _ => None,
        }
    }

    /// RFC 9462 4: one record for each transport and port, with the addresses at which it is served.
    fn discovery(&self, owner: &Name, place: ClientPlace) -> Option<Told> {
        let name = self.name.as_ref()?;
        let reachable = self.services.iter().filter(|service| match place {
            ClientPlace::ThisMachine => true,
            ClientPlace::Network => !service.addr.ip().is_loopback(),
            ClientPlace::BehindBalancer => false,
        });
        let groups = EncryptedService::alike(reachable);
        let (first, rest) = groups.split_first()?;
        let record = |at: usize, (service, addresses): &(&EncryptedService, Vec<IpAddr>)| {
            service_record(u16::try_from(at + 1).unwrap_or(u16::MAX), name, service, addresses)
        };
        let mut answer = RrSet::with(owner.clone(), Rtype::SVCB, TTL_S, &record(0, first));
        for (at, group) in rest.iter().enumerate() {
            answer.data.push(&record(at + 1, group));
        }
        Some(Told { answer, additional: addresses_of(name, groups.iter().flat_map(|(_, addresses)| addresses)) })
    }
}

/// The first name in a certificate that one server can have: no address, and no wildcard.
pub fn name_in_certificate(names: &[String]) -> Option<Name> {
    names.iter().filter(|name| name.parse::<IpAddr>().is_err() && !name.starts_with('*')).find_map(|name| Name::parse(name).ok())
}

/// RDATA of an SVCB record (RFC 9460 2.2).
fn service_record(priority: u16, name: &Name, service: &EncryptedService, addresses: &[IpAddr]) -> Vec<u8> {
    let parameters =
        ServiceParameters { alpn: &[service.alpn], port: service.unusual_port(), hints: addresses, path: service.path.as_deref() };
    [&priority.to_be_bytes()[..], name.as_wire(), &parameters.wire()].concat()
}

/// RFC 9462 4: the client need not look the name up.
fn addresses_of<'a>(name: &Name, addresses: impl Iterator<Item = &'a IpAddr>) -> Vec<RrSet> {
    let (mut v4, mut v6) = (RrSet::new(name.clone(), Rtype::A, TTL_S), RrSet::new(name.clone(), Rtype::AAAA, TTL_S));
    for address in addresses.filter(|address| !address.is_unspecified()) {
        match address {
            IpAddr::V4(address) => v4.data.push_new(&address.octets()),
            IpAddr::V6(address) => v6.data.push_new(&address.octets()),
        };
    }
    [v4, v6].into_iter().filter(|set| !set.data.is_empty()).collect()
}

/// RFC 9606 5: QNAME minimisation, and the extended errors that this resolver gives.
fn capabilities(owner: &Name, minimises: bool) -> Told {
    let keys = [minimises.then_some("qnamemin"), Some(EXTENDED_ERRORS)];
    let mut rdata = Vec::new();
    for key in keys.into_iter().flatten() {
        rdata.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
        rdata.extend_from_slice(key.as_bytes());
    }
    Told { answer: RrSet::with(owner.clone(), Rtype::RESINFO, TTL_S, &rdata), additional: Vec::new() }
}

const EXTENDED_ERRORS: &str = "exterr=0-4,6-13,15-19,22-25,27,33";

#[cfg(test)]
mod tests {
    use super::ClientPlace::{BehindBalancer, Network, ThisMachine};
    use super::*;
    use crate::record::rdata_to_text;

    fn service(alpn: &'static str, addr: &str) -> EncryptedService {
        let addr = addr.parse().expect("an address");
        if alpn == "dot" { EncryptedService::over_tls(addr) } else { EncryptedService::over_https(addr, "/dns-query".to_owned()) }
    }

    fn told(designated: &Designated, name: &str, rtype: Rtype, place: ClientPlace) -> Vec<String> {
        let question = Question::new(Name::parse(name).expect("a name"), rtype);
        let Some(told) = designated.answer(&question, place, true) else { return Vec::new() };
        let text = |set: &RrSet| {
            let mut lines = Vec::new();
            for rdata in set.data.iter() {
                let mut line = format!("{} {} ", set.name, set.rtype);
                line.push_str(&rdata_to_text(set.rtype, rdata));
                lines.push(line);
            }
            lines
        };
        std::iter::once(&told.answer).chain(&told.additional).flat_map(text).collect()
    }

    #[test]
    fn what_is_served_is_told_with_name_ports_paths_and_addresses() {
        let services = vec![
            service("dot", "192.0.2.53:853"),
            service("dot", "[2001:db8::53]:853"),
            service("dot", "127.0.0.1:8853"),
            service("h2", "192.0.2.53:8443"),
            service("h2", "0.0.0.0:443"),
        ];
        let designated = Designated { name: Some(Name::parse("dns.example.").expect("a name")), services };
        let expected = [
            "_dns.resolver.arpa. SVCB 1 dns.example. alpn=\"dot\" ipv4hint=192.0.2.53 ipv6hint=2001:db8::53",
            "_dns.resolver.arpa. SVCB 2 dns.example. alpn=\"h2\" port=8443 ipv4hint=192.0.2.53 dohpath=\"/dns-query{?dns}\"",
            "_dns.resolver.arpa. SVCB 3 dns.example. alpn=\"h2\" dohpath=\"/dns-query{?dns}\"",
            "dns.example. A 192.0.2.53",
            "dns.example. AAAA 2001:db8::53",
        ];
        assert_eq!(told(&designated, "_dns.resolver.arpa", Rtype::SVCB, Network), expected);
        let local = told(&designated, "_dns.resolver.arpa", Rtype::SVCB, ThisMachine);
        assert!(local.iter().any(|line| line.contains("port=8853 ipv4hint=127.0.0.1")), "{local:?}");
        for (name, rtype) in [("_dns.resolver.arpa", Rtype::A), ("resolver.arpa", Rtype::SVCB), ("x._dns.resolver.arpa", Rtype::SVCB)] {
            assert_eq!(told(&designated, name, rtype, Network), [""; 0], "{name} {rtype}");
        }
        assert_eq!(told(&designated, "_dns.resolver.arpa", Rtype::SVCB, BehindBalancer), [""; 0]);
        assert_eq!(told(&designated, "resolver.arpa", Rtype::RESINFO, BehindBalancer).len(), 1);
        // Nothing is served, or nothing that this client can reach, or nothing that it could verify.
        let only_local = Designated { services: vec![service("dot", "127.0.0.1:853")], ..designated.clone() };
        assert_eq!(told(&only_local, "_dns.resolver.arpa", Rtype::SVCB, Network), [""; 0]);
        assert_eq!(told(&Designated { name: None, ..designated.clone() }, "_dns.resolver.arpa", Rtype::SVCB, ThisMachine), [""; 0]);
        assert_eq!(told(&Designated { services: Vec::new(), ..designated }, "_dns.resolver.arpa", Rtype::SVCB, ThisMachine), [""; 0]);
    }

    #[test]
    fn capabilities_at_resolver_arpa_and_at_the_name() {
        let designated = Designated { name: Some(Name::parse("dns.example.").expect("a name")), services: Vec::new() };
        let errors = [&[EXTENDED_ERRORS.len() as u8], EXTENDED_ERRORS.as_bytes()].concat();
        for name in ["resolver.arpa", "dns.example"] {
            let question = Question::new(Name::parse(name).expect("a name"), Rtype::RESINFO);
            let of = |minimises| designated.answer(&question, Network, minimises).expect("an answer").answer.data;
            assert_eq!(of(true).first(), Some(&[b"\x08qnamemin", &errors[..]].concat()[..]), "{name}");
            assert_eq!(of(false).first(), Some(&errors[..]));
        }
        let other = Question::new(Name::parse("www.example.").expect("a name"), Rtype::RESINFO);
        assert_eq!(designated.answer(&other, Network, true), None);
    }
}
