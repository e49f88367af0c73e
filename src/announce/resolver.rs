//! This server as clients of its network reach it: name, addresses, encrypted transports.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::limits::server::ANNOUNCED_ADDRESSES_MAX;
use crate::policy::EncryptedService;
use crate::record::Name;

/// What a server serves, by its configuration or as it runs.
#[derive(Clone, Debug, Default)]
pub struct Served {
    pub plain: Vec<SocketAddr>,
    pub encrypted: Vec<EncryptedService>,
    /// A name in the certificate.
    pub name: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// What clients verify the certificate for (authentication domain name, RFC 9463 1). Only a server without encrypted transports
    /// has none.
    pub name: Option<Name>,
    pub plain: Vec<IpAddr>,
    /// The first one is preferred.
    pub encrypted: Vec<Endpoint>,
}

/// Encrypted transports that are served at the same addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub alpn: Vec<&'static str>,
    /// `None`: the usual one of each protocol.
    pub port: Option<u16>,
    /// Of DNS over HTTPS.
    pub path: Option<String>,
    pub addresses: Vec<IpAddr>,
}

/// What has to be given on the command line, as nothing else tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    Name,
    Address,
    /// A listener at all addresses.
    AddressOf(SocketAddr),
    FewerAddresses,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Name => f.write_str(
                "the server has encrypted transports, and its certificate is not known or has no name: give the name with --name",
            ),
            Missing::Address => {
                f.write_str("the server listens only for this machine, or not at port 53: give the address that clients ask with --address")
            }
            Missing::AddressOf(addr) => {
                write!(f, "the server listens at all addresses ({addr}): give those that clients ask with --address")
            }
            Missing::FewerAddresses => write!(f, "at most {ANNOUNCED_ADDRESSES_MAX} addresses can be announced"),
        }
    }
}

impl Resolver {
    /// Addresses that are `given` stand in place of those of all listeners, and a name in place of that of the certificate.
    pub fn of(served: &Served, given: &[IpAddr], name: Option<&Name>) -> Result<Resolver, Missing> {
        let is_reachable = |addr: &SocketAddr| !given.is_empty() || !addr.ip().is_loopback();
        let plain: Vec<SocketAddr> =
            served.plain.iter().filter(|addr| is_reachable(addr) && (addr.port() == 53 || !given.is_empty())).copied().collect();
        let encrypted: Vec<&EncryptedService> = served.encrypted.iter().filter(|service| is_reachable(&service.addr)).collect();
        let mut everywhere = plain.iter().chain(encrypted.iter().map(|service| &service.addr)).filter(|addr| addr.ip().is_unspecified());
        if let (true, Some(addr)) = (given.is_empty(), everywhere.next()) {
            return Err(Missing::AddressOf(*addr));
        }
        let chosen = |own: Vec<IpAddr>| {
            let mut addresses: Vec<IpAddr> = if given.is_empty() { own } else { given.to_vec() };
            addresses.sort();
            addresses.dedup();
            addresses
        };
        let groups = EncryptedService::alike(encrypted.into_iter()).into_iter();
        let endpoints = groups.map(|(service, addresses)| Endpoint {
            alpn: vec![service.alpn],
            port: service.unusual_port(),
            path: service.path.clone(),
            addresses: chosen(addresses),
        });
        let mut joined: Vec<Endpoint> = Vec::new();
        for endpoint in endpoints {
            match joined.iter_mut().find(|other| other.can_take(&endpoint)) {
                Some(other) => {
                    other.alpn.extend(endpoint.alpn);
                    other.path = other.path.take().or(endpoint.path);
                }
                None => joined.push(endpoint),
            }
        }
        let plain = if plain.is_empty() { Vec::new() } else { chosen(plain.iter().map(SocketAddr::ip).collect()) };
        if plain.is_empty() && joined.is_empty() {
            return Err(Missing::Address);
        }
        if joined.iter().map(|endpoint| &endpoint.addresses).chain([&plain]).any(|addresses| addresses.len() > ANNOUNCED_ADDRESSES_MAX) {
            return Err(Missing::FewerAddresses);
        }
        let name = name.or(served.name.as_ref()).filter(|_| !joined.is_empty()).cloned();
        if name.is_none() && !joined.is_empty() {
            return Err(Missing::Name);
        }
        Ok(Resolver { name, plain, encrypted: joined })
    }

    /// The addresses of plain DNS of one family.
    pub fn plain_v4(&self) -> Vec<IpAddr> {
        self.plain.iter().filter(|address| address.is_ipv4()).copied().collect()
    }

    pub fn plain_v6(&self) -> Vec<IpAddr> {
        self.plain.iter().filter(|address| address.is_ipv6()).copied().collect()
    }
}

impl Endpoint {
    /// One set of parameters can tell of both: without `port`, each protocol has its own (RFC 9461 4.2), and only HTTPS has a path.
    fn can_take(&self, other: &Endpoint) -> bool {
        let has_one_path = self.path.is_none() || other.path.is_none();
        self.port.is_none() && other.port.is_none() && has_one_path && self.addresses == other.addresses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn tls(text: &str) -> EncryptedService {
        EncryptedService::over_tls(addr(text))
    }

    fn https(text: &str) -> EncryptedService {
        EncryptedService::over_https(addr(text), "/dns-query".to_owned())
    }

    fn served(plain: &[&str], encrypted: Vec<EncryptedService>) -> Served {
        let plain = plain.iter().map(|text| addr(text)).collect();
        Served { plain, encrypted, name: Name::parse("dns.example.").ok() }
    }

    fn shown(resolver: &Resolver) -> Vec<String> {
        let endpoint = |it: &Endpoint| format!("{} {:?} {:?} {:?}", it.alpn.join("+"), it.port, it.path.as_deref(), it.addresses);
        [format!("{:?}", resolver.plain)].into_iter().chain(resolver.encrypted.iter().map(endpoint)).collect()
    }

    #[test]
    fn transports_at_the_same_addresses_and_usual_ports_are_one() {
        let all = served(
            &["192.0.2.53:53", "127.0.0.1:53", "[2001:db8::53]:53", "192.0.2.54:5300"],
            vec![
                tls("192.0.2.53:853"),
                tls("[2001:db8::53]:853"),
                tls("127.0.0.1:853"),
                https("[2001:db8::53]:443"),
                https("192.0.2.53:443"),
                https("192.0.2.53:8443"),
            ],
        );
        let resolver = Resolver::of(&all, &[], None).expect("reachable");
        let expected = [
            "[192.0.2.53, 2001:db8::53]",
            "dot+h2 None Some(\"/dns-query\") [192.0.2.53, 2001:db8::53]",
            "h2 Some(8443) Some(\"/dns-query\") [192.0.2.53]",
        ];
        assert_eq!(shown(&resolver), expected);
        assert_eq!(resolver.name, Name::parse("dns.example.").ok());
        // Other addresses: two.
        let apart = served(&["192.0.2.53:53"], vec![tls("192.0.2.53:853"), https("192.0.2.54:443")]);
        let expected = ["[192.0.2.53]", "dot None None [192.0.2.53]", "h2 None Some(\"/dns-query\") [192.0.2.54]"];
        assert_eq!(shown(&Resolver::of(&apart, &[], None).expect("reachable")), expected);
    }

    #[test]
    fn what_is_given_stands_in_place_of_what_is_configured() {
        let given: Vec<IpAddr> = ["192.0.2.7", "192.0.2.7"].map(|text| text.parse().expect("an address")).to_vec();
        let name = Name::parse("other.example.").expect("a name");
        let everywhere = served(&["0.0.0.0:53", "[::]:53"], vec![tls("0.0.0.0:853"), https("127.0.0.1:8443")]);
        let resolver = Resolver::of(&everywhere, &given, Some(&name)).expect("given");
        let expected = ["[192.0.2.7]", "dot None None [192.0.2.7]", "h2 Some(8443) Some(\"/dns-query\") [192.0.2.7]"];
        assert_eq!(shown(&resolver), expected);
        assert_eq!(resolver.name, Some(name));
    }

    #[test]
    fn what_nothing_tells_is_asked_for() {
        let nameless = |served: Served| Served { name: None, ..served };
        let many: Vec<IpAddr> = (1..=17).map(|last| IpAddr::from([192, 0, 2, last])).collect();
        for (served, given, expected) in [
            (served(&["127.0.0.1:53"], vec![]), &[][..], Err(Missing::Address)),
            (served(&["192.0.2.1:5300"], vec![]), &[], Err(Missing::Address)),
            (served(&["0.0.0.0:53"], vec![]), &[], Err(Missing::AddressOf(addr("0.0.0.0:53")))),
            (served(&["192.0.2.1:53"], vec![tls("[::]:853")]), &[], Err(Missing::AddressOf(addr("[::]:853")))),
            (nameless(served(&["192.0.2.1:53"], vec![tls("192.0.2.1:853")])), &[], Err(Missing::Name)),
            (served(&["192.0.2.1:53"], vec![]), &many, Err(Missing::FewerAddresses)),
            // Encryption for this machine alone is nothing to announce, and plain DNS needs no name.
            (nameless(served(&["192.0.2.1:53"], vec![tls("127.0.0.1:853")])), &[], Ok(())),
            (nameless(served(&["192.0.2.1:53"], vec![])), &many[..16], Ok(())),
        ] {
            assert_eq!(Resolver::of(&served, given, None).map(|_| ()), expected, "{served:?}");
        }
    }
}
