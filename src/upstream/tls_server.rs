//! A server that is asked over an encrypted connection: who it has to prove to be, how queries are carried, and what its connections
//! are known by.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::tls_trust::{TlsTrust, client_by_pins};
use crate::config::{EncryptedForwarder, EncryptedProtocol, Host, Pin};
use crate::env::Clock;

/// RFC 7858: the protocol of DNS over TLS in ALPN, as the IANA registry has it.
const DOT: &[&[u8]] = &[b"dot"];
/// RFC 8484 5.2 asks for HTTP/2.
const HTTP2: &[&[u8]] = &[b"h2"];

/// Equal ones may share connections: same name, port, protocol, and trust.
pub struct TlsServer {
    url: Arc<str>,
    host: Host,
    port: u16,
    protocol: EncryptedProtocol,
    name: ServerName<'static>,
    client: Arc<ClientConfig>,
    /// Of all that two equal servers have in common.
    identity: [u8; 32],
}

impl TlsServer {
    /// The server is verified with the CAs, and its key has to be one of the pins if there are any. Without CAs the key alone counts.
    /// An error says what is wrong with them.
    pub fn new(server: &EncryptedForwarder, trust: Option<&TlsTrust>, pins: &[Pin], clock: &Arc<dyn Clock>) -> Result<TlsServer, String> {
        let protocols = match server.protocol {
            EncryptedProtocol::Tls => DOT,
            EncryptedProtocol::Https(_) => HTTP2,
        };
        let client = match trust {
            Some(trust) => trust.resuming_client(clock.clone(), protocols, pins)?,
            None if pins.is_empty() => return Err("no CA is known to verify it with".to_owned()),
            None => client_by_pins(clock.clone(), protocols, pins)?,
        };
        let name = match &server.host {
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| format!("no certificate can have the name {name}"))?,
            Host::Address(address) => ServerName::from(*address),
        };
        let url: Arc<str> = server.url().into();
        let mut identity = Context::new(&SHA256);
        identity.update(url.as_bytes());
        identity.update(&[0]);
        identity.update(trust.map_or(&[0; 32], TlsTrust::digest).as_slice());
        pins.iter().for_each(|pin| identity.update(&pin.0));
        let mut digest = [0; 32];
        digest.copy_from_slice(identity.finish().as_ref());
        Ok(TlsServer {
            url,
            host: server.host.clone(),
            port: server.port,
            protocol: server.protocol.clone(),
            name,
            client,
            identity: digest,
        })
    }

    /// The URL of the configuration, without addresses.
    pub fn url(&self) -> &Arc<str> {
        &self.url
    }

    /// The name or address that the certificate has to have.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        }
    }

    /// The port of all its addresses.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How queries are carried.
    pub fn protocol(&self) -> &EncryptedProtocol {
        &self.protocol
    }

    pub(super) fn name(&self) -> ServerName<'static> {
        self.name.clone()
    }

    pub(super) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// `Host` of a request, and its path.
    pub(super) fn authority_and_path(&self) -> (&str, &str) {
        let rest = self.url.split_once("://").map_or(&*self.url, |(_, rest)| rest);
        rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
    }
}

impl PartialEq for TlsServer {
    fn eq(&self, other: &TlsServer) -> bool {
        self.identity == other.identity
    }
}

impl Eq for TlsServer {}

impl Hash for TlsServer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Forwarder, Settings};
    use crate::env::RealClock;

    fn server(url: &str, trust: Option<&TlsTrust>, pins: &[Pin]) -> TlsServer {
        let settings = Settings::from_toml(&format!("[[forward]]\nzone = 'a.'\nto = ['{url}']"), "c.toml").expect(url);
        let Forwarder::Encrypted(server) = &settings.forwards[0].to[0] else { panic!("{url} is encrypted") };
        let clock: Arc<dyn Clock> = Arc::new(RealClock);
        TlsServer::new(server, trust, pins, &clock).expect(url)
    }

    #[test]
    fn what_shares_connections() {
        let ca = || {
            let signed = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
            TlsTrust::from_der(&[signed.cert.der().to_vec()]).expect("a CA")
        };
        let (one, other) = (ca(), ca());
        let pin = [Pin([7; 32])];
        let base = server("tls://a.example#192.0.2.1", Some(&one), &[]);
        assert_eq!(base, server("tls://a.example:853#192.0.2.2", Some(&one), &[]), "addresses are keyed apart");
        for different in [
            server("tls://b.example#192.0.2.1", Some(&one), &[]),
            server("tls://a.example:8853#192.0.2.1", Some(&one), &[]),
            server("https://a.example#192.0.2.1", Some(&one), &[]),
            server("tls://a.example#192.0.2.1", Some(&other), &[]),
            server("tls://a.example#192.0.2.1", Some(&one), &pin),
            server("tls://a.example#192.0.2.1", None, &pin),
        ] {
            assert_ne!(base, different);
        }
        let doh = server("https://a.example:8443/q?x=1#192.0.2.1", Some(&one), &[]);
        assert_eq!((doh.authority_and_path(), doh.host(), doh.port()), (("a.example:8443", "/q?x=1"), "a.example".to_owned(), 8443));
        assert_eq!(server("https://[2001:db8::1]/q", Some(&one), &[]).authority_and_path(), ("[2001:db8::1]", "/q"));
    }
}
