//! A server of a forward rule: an address, or a URL that says how the server is asked and who it has to prove to be.
//!
//! `tls://dns.example.net#192.0.2.1,2001:db8::1` (RFC 7858) and `https://dns.example.net/dns-query#192.0.2.1` (RFC 8484). The name
//! is compared with the server's certificate; the addresses behind `#` say where it is. Without them, the name is looked up.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::http_url::{Host, host_and_port};
use super::socket_addr::parse_socket;
use crate::limits::upstream::URL_ADDRESSES_MAX;
use crate::record::{Name, base64_from_text, base64_to_text};

/// RFC 7858 3.1, RFC 8484.
const TLS_PORT: u16 = 853;
const HTTPS_PORT: u16 = 443;
/// The path that nearly all servers use, and the one in the examples of RFC 8484.
const USUAL_PATH: &str = "/dns-query";
/// The end of a URI template (RFC 8484 4.1), which matters for GET alone.
const TEMPLATE_END: &str = "{?dns}";
/// Octets of SHA-256.
const PIN_BYTES: usize = 32;

/// One server of a forward rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forwarder {
    /// Asked over UDP, and over TCP where that is not enough.
    Plain(SocketAddr),
    Encrypted(EncryptedForwarder),
}

/// A server that is asked over an encrypted connection, and in no other way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EncryptedForwarder {
    pub protocol: EncryptedProtocol,
    /// Who it has to prove to be.
    pub host: Host,
    pub port: u16,
    /// None: the host's name is looked up.
    pub addresses: Vec<IpAddr>,
}

/// How queries are carried.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EncryptedProtocol {
    Tls,
    /// With path and query of the URL.
    Https(String),
}

impl EncryptedProtocol {
    fn word(&self) -> &'static str {
        match self {
            EncryptedProtocol::Tls => "tls",
            EncryptedProtocol::Https(_) => "https",
        }
    }

    fn port(&self) -> u16 {
        match self {
            EncryptedProtocol::Tls => TLS_PORT,
            EncryptedProtocol::Https(_) => HTTPS_PORT,
        }
    }
}

impl From<SocketAddr> for Forwarder {
    fn from(address: SocketAddr) -> Forwarder {
        Forwarder::Plain(address)
    }
}

impl Forwarder {
    /// The error is a sentence for the person who wrote the configuration.
    pub(super) fn parse(text: &str) -> Result<Forwarder, String> {
        match text.split_once("://") {
            Some((scheme, rest)) => EncryptedForwarder::parse(scheme, rest).map(Forwarder::Encrypted).map_err(|what| {
                let (what, hint) = what;
                format!("\"{text}\" {what}{}{hint}", if hint.is_empty() { "" } else { ": " })
            }),
            None => parse_socket(text).map(Forwarder::Plain).map_err(|error| match in_unbounds_form(text) {
                Some(url) => format!("\"{text}\" is not an address: write \"{url}\" for a server that is asked over TLS"),
                None => error,
            }),
        }
    }

    /// The addresses that are written.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Forwarder::Plain(address) => vec![*address],
            Forwarder::Encrypted(server) => server.addresses.iter().map(|address| SocketAddr::new(*address, server.port)).collect(),
        }
    }

    /// The encrypted server, if it is one.
    pub fn encrypted(&self) -> Option<&EncryptedForwarder> {
        match self {
            Forwarder::Plain(_) => None,
            Forwarder::Encrypted(server) => Some(server),
        }
    }
}

impl EncryptedForwarder {
    /// An error says what is wrong about the URL, and what to write.
    fn parse(scheme: &str, rest: &str) -> Result<EncryptedForwarder, (String, &'static str)> {
        let wrong = |what: &str| Err((what.to_owned(), ""));
        let (rest, addresses) = rest.split_once('#').map_or((rest, None), |(rest, addresses)| (rest, Some(addresses)));
        let (authority, target) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "tls" if matches!(target, "" | "/") => EncryptedProtocol::Tls,
            "tls" => return Err(("has a path, which only https:// has".to_owned(), "leave it out")),
            "https" => EncryptedProtocol::Https(path(target)?),
            "http" => return Err(("would be asked in clear text".to_owned(), "write https://")),
            "quic" | "h3" => return Err(("is DNS over QUIC, which is not there yet".to_owned(), "write tls:// or https://")),
            "dot" => return wrong("begins with dot://, and DNS over TLS is written tls://"),
            "doh" => return wrong("begins with doh://, and DNS over HTTPS is written https://"),
            "udp" | "tcp" | "dns" => return wrong("is a URL, and a server that is asked in clear text is written as its address alone"),
            _ => return wrong("is no URL of a DNS server: these begin with tls:// or https://"),
        };
        let (host, port) = host_and_port(authority).map_err(|what| (what.to_owned(), ""))?;
        let addresses = match (addresses, &host) {
            (None, Host::Name(_)) => Vec::new(),
            (None, Host::Address(address)) => vec![*address],
            (Some(addresses), _) => addresses_of(addresses)?,
        };
        Ok(EncryptedForwarder { port: port.unwrap_or(protocol.port()), protocol, host, addresses })
    }

    /// The name that is looked up, where no address is written.
    pub fn name_to_look_up(&self) -> Option<Name> {
        match &self.host {
            Host::Name(name) if self.addresses.is_empty() => Name::parse(name).ok(),
            Host::Name(_) | Host::Address(_) => None,
        }
    }

    /// The URL without the addresses.
    pub fn url(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
        };
        let port = if self.port == self.protocol.port() { String::new() } else { format!(":{}", self.port) };
        let path = if let EncryptedProtocol::Https(path) = &self.protocol { path } else { "" };
        format!("{}://{host}{port}{path}", self.protocol.word())
    }
}

fn path(target: &str) -> Result<String, (String, &'static str)> {
    let target = target.strip_suffix(TEMPLATE_END).unwrap_or(target);
    if !target.bytes().all(|octet| octet.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&octet)) {
        return Err(("has characters that a URL cannot have".to_owned(), "write them percent-encoded"));
    }
    Ok(match target {
        "" => USUAL_PATH.to_owned(),
        query if query.starts_with('?') => format!("/{query}"),
        path => path.to_owned(),
    })
}

fn addresses_of(text: &str) -> Result<Vec<IpAddr>, (String, &'static str)> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for word in text.split(',') {
        let bare = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(word);
        match bare.parse::<IpAddr>() {
            Ok(address) if addresses.contains(&address) => return Err((format!("has the address {address} twice"), "")),
            Ok(address) => addresses.push(address),
            Err(_) if word.parse::<SocketAddr>().is_ok() => {
                return Err((format!("has a port behind the address \"{word}\""), "write the port behind the name"));
            }
            Err(_) => return Err((format!("has \"{word}\" behind #, where addresses are needed"), "such as #192.0.2.1,2001:db8::1")),
        }
    }
    if addresses.len() > URL_ADDRESSES_MAX {
        return Err((format!("has more than {URL_ADDRESSES_MAX} addresses"), ""));
    }
    Ok(addresses)
}

/// `192.0.2.1@853#dns.example.net`, as unbound.conf has it, as a URL.
fn in_unbounds_form(text: &str) -> Option<String> {
    let (address, host) = text.split_once('#')?;
    let (ip, port) = address.split_once('@').map_or((address, None), |(ip, port)| (ip, Some(port)));
    let port = port.filter(|port| *port != "853").map_or(String::new(), |port| format!(":{port}"));
    Forwarder::parse(&format!("tls://{host}{port}#{ip}")).ok().map(|forwarder| forwarder.to_string())
}

impl fmt::Display for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forwarder::Plain(address) => address.fmt(f),
            Forwarder::Encrypted(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for EncryptedForwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())?;
        if self.addresses.is_empty() || matches!(self.host, Host::Address(address) if self.addresses == [address]) {
            return Ok(());
        }
        let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        write!(f, "#{}", addresses.join(","))
    }
}

/// The SHA-256 of a server's public key (SubjectPublicKeyInfo), in base 64 (RFC 7858 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pin(pub [u8; PIN_BYTES]);

impl Pin {
    /// The error is a sentence for the person who wrote the configuration.
    pub(super) fn parse(text: &str) -> Result<Pin, String> {
        let mut octets = Vec::new();
        let pin = base64_from_text(text.as_bytes(), &mut octets).then(|| octets.try_into().ok()).flatten();
        pin.map(Pin).ok_or_else(|| format!("\"{text}\" is not the SHA-256 of a public key in base 64, which has 44 characters"))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        base64_to_text(&self.0, &mut text);
        f.write_str(&text)
    }
}

/// Certificates of CAs in DER, once they have been read.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Authorities(pub Arc<Vec<Vec<u8>>>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} certificates", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_they_are_written() {
        for (text, shown, addresses) in [
            ("192.0.2.1", "192.0.2.1:53", &["192.0.2.1:53"][..]),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353", &["[2001:db8::1]:5353"]),
            ("tls://dns.example.net#192.0.2.1", "tls://dns.example.net#192.0.2.1", &["192.0.2.1:853"]),
            ("TLS://DNS.Example.net.:853/#192.0.2.1", "tls://dns.example.net#192.0.2.1", &["192.0.2.1:853"]),
            ("tls://dns.example.net:8853#192.0.2.1", "tls://dns.example.net:8853#192.0.2.1", &["192.0.2.1:8853"]),
            ("tls://dns.example.net", "tls://dns.example.net", &[]),
            ("tls://192.0.2.1", "tls://192.0.2.1", &["192.0.2.1:853"]),
            ("tls://[2001:db8::1]:8853", "tls://[2001:db8::1]:8853", &["[2001:db8::1]:8853"]),
            ("tls://192.0.2.1#192.0.2.2", "tls://192.0.2.1#192.0.2.2", &["192.0.2.2:853"]),
            ("https://dns.example.net", "https://dns.example.net/dns-query", &[]),
            (
                "https://dns.example.net/q#192.0.2.1,2001:db8::1",
                "https://dns.example.net/q#192.0.2.1,2001:db8::1",
                &["192.0.2.1:443", "[2001:db8::1]:443"],
            ),
            ("https://dns.example.net/q{?dns}#[2001:db8::1]", "https://dns.example.net/q#2001:db8::1", &["[2001:db8::1]:443"]),
            ("https://dns.example.net:8443?a=b", "https://dns.example.net:8443/?a=b", &[]),
        ] {
            let forwarder = Forwarder::parse(text).expect(text);
            assert_eq!(forwarder.to_string(), shown, "{text}");
            assert_eq!(forwarder.addresses().iter().map(ToString::to_string).collect::<Vec<_>>(), addresses, "{text}");
            assert_eq!(Forwarder::parse(shown), Ok(forwarder), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, expected) in [
            ("tls://dns.example.net/x", "\"tls://dns.example.net/x\" has a path, which only https:// has: leave it out"),
            ("http://dns.example.net/x", "\"http://dns.example.net/x\" would be asked in clear text: write https://"),
            ("quic://a.example", "\"quic://a.example\" is DNS over QUIC, which is not there yet: write tls:// or https://"),
            ("dot://a.example", "\"dot://a.example\" begins with dot://, and DNS over TLS is written tls://"),
            ("udp://192.0.2.1", "\"udp://192.0.2.1\" is a URL, and a server that is asked in clear text is written as its address alone"),
            ("ftp://x", "\"ftp://x\" is no URL of a DNS server: these begin with tls:// or https://"),
            ("tls://", "\"tls://\" has no host name and no address"),
            ("tls://a b", "\"tls://a b\" has no host name and no address"),
            ("tls://u@a.example", "\"tls://u@a.example\" has a user name or a password, which Cairn does not send"),
            ("tls://a.example:0", "\"tls://a.example:0\" has a port that is no number from 1 to 65535"),
            ("tls://a.example#", "\"tls://a.example#\" has \"\" behind #, where addresses are needed: such as #192.0.2.1,2001:db8::1"),
            (
                "tls://a.example#192.0.2.1:853",
                "\"tls://a.example#192.0.2.1:853\" has a port behind the address \"192.0.2.1:853\": write the port behind the name",
            ),
            ("tls://a.example#192.0.2.1,192.0.2.1", "\"tls://a.example#192.0.2.1,192.0.2.1\" has the address 192.0.2.1 twice"),
            ("https://a.example/é", "\"https://a.example/é\" has characters that a URL cannot have: write them percent-encoded"),
            (
                "192.0.2.1@853#dns.example.net",
                "\"192.0.2.1@853#dns.example.net\" is not an address: write \"tls://dns.example.net#192.0.2.1\" for a server that is asked over TLS",
            ),
            (
                "192.0.2.1@8853#dns.example.net",
                "\"192.0.2.1@8853#dns.example.net\" is not an address: write \"tls://dns.example.net:8853#192.0.2.1\" for a server that is asked over TLS",
            ),
            ("dns.example.net", "\"dns.example.net\" is a name; an address is needed here, such as 192.0.2.1 or [2001:db8::1]:53"),
        ] {
            assert_eq!(Forwarder::parse(text), Err(expected.to_owned()), "{text}");
        }
        let many: Vec<String> = (0..=URL_ADDRESSES_MAX).map(|last| format!("192.0.2.{last}")).collect();
        assert!(Forwarder::parse(&format!("tls://a.example#{}", many.join(","))).is_err());
    }

    #[test]
    fn pins() {
        let text = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(Pin::parse(text).map(|pin| pin.to_string()), Ok(text.to_owned()));
        for text in ["", "47DEQpj8HBSa", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF!="] {
            assert!(Pin::parse(text).is_err(), "{text}");
        }
    }
}
