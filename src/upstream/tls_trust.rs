//! Whom a TLS server is verified with: the certificates of CAs (trust anchors), and the settings of a TLS client made of them.
//!
//! TLS 1.2 and 1.3 (RFC 8446), the server's name checked against its certificate (RFC 9525), the dates of certificates against the
//! clock that is handed in. Whoever reads the files hands in their contents.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::env::Clock;

/// The CAs that are trusted.
#[derive(Debug)]
pub struct TlsTrust(Arc<RootCertStore>);

impl TlsTrust {
    /// The CAs of a PEM file. An error if it has none, or one that is no certificate: a file with half of its CAs would fail later,
    /// and nobody would know why.
    pub fn from_pem(pem: &[u8]) -> Result<TlsTrust, String> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| format!("not a PEM file of certificates: {error}"))?;
            store.add(certificate).map_err(|error| format!("certificate {} is not usable as a CA: {error}", store.len() + 1))?;
        }
        if store.is_empty() { Err("no certificate is in it".to_owned()) } else { Ok(TlsTrust(Arc::new(store))) }
    }

    /// Those of the system, in which some may be unusable; where there is none, those that Mozilla trusts, as of this release.
    pub fn of_system(certificates: Vec<CertificateDer<'static>>) -> TlsTrust {
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(certificates);
        if usable == 0 {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        TlsTrust(Arc::new(store))
    }

    /// A client that speaks one of these protocols (RFC 7301), and shows no certificate of its own.
    pub fn client(&self, clock: Arc<dyn Clock>, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_details(provider, Arc::new(WallClock(clock))).with_safe_default_protocol_versions();
        let mut client = versions.map_err(|error| error.to_string())?.with_root_certificates(self.0.clone()).with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        client.resumption = Resumption::disabled();
        Ok(Arc::new(client))
    }
}

/// The clock of the certificates' dates.
struct WallClock(Arc<dyn Clock>);

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.wall().0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_certificates() {
        let signed = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
        let pem = signed.cert.pem();
        assert_eq!(TlsTrust::from_pem(format!("a comment\n{pem}{pem}").as_bytes()).expect("two certificates").0.len(), 2);
        assert_eq!(TlsTrust::from_pem(b"").expect_err("nothing"), "no certificate is in it");
        assert_eq!(TlsTrust::from_pem(signed.signing_key.serialize_pem().as_bytes()).expect_err("a key"), "no certificate is in it");
        let damaged = pem.replacen("\nMII", "\nMIJ", 1);
        for text in [damaged, pem.replace("-----END CERTIFICATE-----", "")] {
            assert!(TlsTrust::from_pem(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_system_without_certificates_has_those_of_the_release() {
        assert!(TlsTrust::of_system(Vec::new()).0.len() > 100);
        assert!(TlsTrust::of_system(vec![CertificateDer::from(vec![1, 2, 3])]).0.len() > 100);
        let signed = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
        assert_eq!(TlsTrust::of_system(vec![signed.cert.der().clone()]).0.len(), 1);
    }
}
