//! Who a zone is transferred from and to, and who is told of changes: an address, a prefix, a TSIG key, or an address and a key.
//!
//! `192.0.2.1`, `192.0.2.1:5353`, `192.0.2.0/24`, each optionally followed by ` key NAME`; or `key NAME` alone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::prefix::Prefix;
use super::socket_addr::parse_socket;
use crate::record::Name;

/// One entry of `primaries`, `transfer` or `notify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressEntry {
    pub who: Who,
    /// The message must be signed with this TSIG key as well (RFC 8945).
    pub key: Option<Name>,
}

/// The addresses of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// One server; as a client it may use any port.
    Host(SocketAddr),
    Network(Prefix),
    /// Whoever has the key.
    Anybody,
}

impl AddressEntry {
    /// Whether the entry is for a client with this address that has signed with this key.
    pub fn admits(&self, client: IpAddr, key: Option<&Name>) -> bool {
        let is_from = match self.who {
            Who::Host(host) => host.ip().to_canonical() == client.to_canonical(),
            Who::Network(prefix) => prefix.contains(client),
            Who::Anybody => self.key.is_some(),
        };
        is_from && (self.key.is_none() || self.key.as_ref() == key)
    }

    /// The address and port of an entry that names one server.
    pub fn host(&self) -> Option<SocketAddr> {
        match self.who {
            Who::Host(host) => Some(host),
            Who::Network(_) | Who::Anybody => None,
        }
    }

    /// An entry for a server that is asked or told something. The error is a sentence for the person who wrote it.
    pub(super) fn parse_host(text: &str, name: impl Fn(&str) -> Result<Name, String>) -> Result<AddressEntry, String> {
        let (address, key) = parts(text, name)?;
        match (address, &key) {
            ("", Some(key)) => Err(format!("\"{text}\": an address is needed before the key, such as \"192.0.2.1 key {key}\"")),
            (prefix, _) if prefix.contains('/') => Err(format!("\"{text}\" is a prefix; the address of one server is needed here")),
            (address, _) => Ok(AddressEntry { who: Who::Host(parse_socket(address)?), key }),
        }
    }

    /// An entry for clients.
    pub(super) fn parse_clients(text: &str, name: impl Fn(&str) -> Result<Name, String>) -> Result<AddressEntry, String> {
        let (address, key) = parts(text, name)?;
        let who = match address {
            "" if key.is_some() => Who::Anybody,
            prefix if prefix.contains('/') => Who::Network(prefix.parse()?),
            address => Who::Host(parse_socket(address)?),
        };
        Ok(AddressEntry { who, key })
    }
}

/// The address, perhaps empty, and the key behind it.
fn parts(text: &str, name: impl Fn(&str) -> Result<Name, String>) -> Result<(&str, Option<Name>), String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words[..] {
        [address] => Ok((address, None)),
        ["key", key] => Ok(("", Some(name(key)?))),
        [address, "key", key] => Ok((address, Some(name(key)?))),
        _ => Err(format!("\"{text}\" is not an address such as \"192.0.2.1\", optionally followed by \" key NAME\"")),
    }
}

impl fmt::Display for AddressEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Who::Host(host) if host.port() == 53 => write!(f, "{}", host.ip())?,
            Who::Host(host) => write!(f, "{host}")?,
            Who::Network(prefix) => write!(f, "{prefix}")?,
            Who::Anybody => {}
        }
        match &self.key {
            Some(key) if self.who == Who::Anybody => write!(f, "key {key}"),
            Some(key) => write!(f, " key {key}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<Name, String> {
        Name::parse(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_shown() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:53", "192.0.2.1"),
            ("192.0.2.1:5353", "192.0.2.1:5353"),
            ("[2001:db8::1]:53", "2001:db8::1"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("key A.example", "key a.example."),
            ("192.0.2.1  key a.example.", "192.0.2.1 key a.example."),
            ("2001:db8::/32 key a", "2001:db8::/32 key a."),
        ] {
            assert_eq!(AddressEntry::parse_clients(text, name).map(|entry| entry.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn mistakes() {
        for (text, as_host, as_clients) in [
            ("192.0.2.0/24", "is a prefix", ""),
            ("key a", "an address is needed before the key", ""),
            ("192.0.2.1 a", "optionally followed by", "optionally followed by"),
            ("192.0.2.1 key a..b", "empty label", "empty label"),
            ("localhost", "is a name", "is a name"),
            ("10.0.0.1/8", "is a prefix", "bits set past"),
            ("key", "is a name", "is a name"),
            ("", "optionally followed by", "optionally followed by"),
        ] {
            let told = |entry: Result<AddressEntry, String>| entry.err().unwrap_or_default();
            let (host, clients) = (AddressEntry::parse_host(text, name), AddressEntry::parse_clients(text, name));
            assert!(told(host.clone()).contains(as_host) && host.is_err() != as_host.is_empty(), "{text}: {host:?}");
            assert!(told(clients.clone()).contains(as_clients) && clients.is_err() != as_clients.is_empty(), "{text}: {clients:?}");
        }
    }

    #[test]
    fn whom_an_entry_admits() {
        let (a, b) = (name("a").expect("a name"), name("b").expect("a name"));
        for (entry, client, key, expected) in [
            ("192.0.2.1:5353", "192.0.2.1", None, true),
            ("192.0.2.1", "::ffff:192.0.2.1", Some(&a), true),
            ("192.0.2.1", "192.0.2.2", None, false),
            ("192.0.2.0/24", "192.0.2.2", None, true),
            ("192.0.2.1 key a", "192.0.2.1", None, false),
            ("192.0.2.1 key a", "192.0.2.1", Some(&b), false),
            ("192.0.2.1 key a", "192.0.2.1", Some(&a), true),
            ("192.0.2.1 key a", "192.0.2.2", Some(&a), false),
            ("key a", "2001:db8::1", Some(&a), true),
            ("key a", "2001:db8::1", None, false),
        ] {
            let read = AddressEntry::parse_clients(entry, name).expect(entry);
            assert_eq!(read.admits(client.parse().expect("an address"), key), expected, "{entry} {client} {key:?}");
        }
    }
}
