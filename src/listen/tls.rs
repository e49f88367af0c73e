//! TLS towards clients (RFC 7858, RFC 8310, RFC 9325): the certificate that is shown, and how connections are set up.
//!
//! One value is shared by all threads, so that a new certificate is shown everywhere from the moment it is put here, and a ticket
//! that one thread gave is good at all others. Tickets are the only memory of a session (RFC 5077, RFC 8446 4.6.1): the server
//! keeps none, and the keys that seal tickets change by themselves. Early data is not accepted (RFC 8446 8: it can be repeated).

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::policy::{Pace, Rate, ResponseRate};

/// What runs over TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encrypted {
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
}

impl Encrypted {
    /// As an operator says it.
    pub fn name(self) -> &'static str {
        match self {
            Encrypted::Tls => "DNS over TLS",
            Encrypted::Https => "DNS over HTTPS",
        }
    }
}

/// Shared by all threads that serve encrypted transports.
#[derive(Clone)]
pub struct Tls {
    shown: Arc<Shown>,
    dot: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
    /// Handshakes of each client network.
    rate: Arc<ResponseRate>,
}

#[derive(Default)]
struct Shown(ArcSwapOption<CertifiedKey>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl Tls {
    /// Shows no certificate yet. `seed` is secret.
    pub fn new(seed: u64) -> Result<Tls, rustls::Error> {
        let shown = Arc::new(Shown::default());
        let tickets = aws_lc_rs::Ticketer::new()?;
        let config = |protocols: &[&[u8]]| -> Result<Arc<ServerConfig>, rustls::Error> {
            let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
            let mut config =
                config.with_safe_default_protocol_versions()?.with_no_client_auth().with_cert_resolver(Arc::<Shown>::clone(&shown));
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.ticketer = Arc::clone(&tickets);
            config.send_tls13_tickets = 1;
            Ok(Arc::new(config))
        };
        Ok(Tls {
            // RFC 7858 9.3 in the registry of ALPN identifiers; RFC 9113 3.2, RFC 7301 6.
            dot: config(&[b"dot"])?,
            https: config(&[b"h2", b"http/1.1"])?,
            shown: Arc::clone(&shown),
            rate: Arc::new(ResponseRate::new(seed)),
        })
    }

    /// From now on new handshakes show this certificate; connections that stand are not touched.
    pub fn show(&self, certificate: Arc<CertifiedKey>) {
        self.shown.0.store(Some(certificate));
    }

    pub(super) fn config(&self, over: Encrypted) -> Arc<ServerConfig> {
        Arc::clone(match over {
            Encrypted::Tls => &self.dot,
            Encrypted::Https => &self.https,
        })
    }

    /// Whether this client may begin one more handshake now.
    pub(super) fn may_begin(&self, client: std::net::IpAddr, rate: Rate, now: crate::env::BootTime) -> bool {
        self.rate.pace(client, rate, now) == Pace::Send
    }

    /// Puts back a part of what a handshake has cost its client.
    pub(super) fn give_back(&self, client: std::net::IpAddr, rate: Rate, milli: u32) {
        self.rate.give_back(client, rate, milli);
    }
}
