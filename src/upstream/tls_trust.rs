//! Whom a TLS server is verified with: the certificates of CAs (trust anchors), or pinned keys, and the settings of a TLS client
//! made of them.
//!
//! TLS 1.2 and 1.3 (RFC 8446), the server's name checked against its certificate (RFC 9525), the dates of certificates against the
//! clock that is handed in. Whoever reads the files hands in their contents.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs as rustls_crypto, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};

use crate::config::Pin;
use crate::env::Clock;
use crate::limits::upstream::TLS_SESSIONS_PER_SERVER_MAX;

/// The CAs that are trusted.
#[derive(Debug)]
pub struct TlsTrust {
    store: Arc<RootCertStore>,
    /// Of their names and keys.
    digest: [u8; 32],
}

impl TlsTrust {
    /// The CAs of a PEM file. An error if it has none, or one that is no certificate: a file with half of its CAs would fail later,
    /// and nobody would know why.
    pub fn from_pem(pem: &[u8]) -> Result<TlsTrust, String> {
        TlsTrust::from_der(&TlsTrust::certificates_of(pem)?)
    }

    /// The certificates of a PEM file, in DER.
    pub fn certificates_of(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let certificates = CertificateDer::pem_slice_iter(pem).map(|certificate| match certificate {
            Ok(certificate) => Ok(certificate.to_vec()),
            Err(error) => Err(format!("not a PEM file of certificates: {error}")),
        });
        certificates.collect()
    }

    /// The same CAs, in DER.
    pub fn from_der(certificates: &[Vec<u8>]) -> Result<TlsTrust, String> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            let certificate = CertificateDer::from(certificate.clone());
            store.add(certificate).map_err(|error| format!("certificate {} is not usable as a CA: {error}", store.len() + 1))?;
        }
        if store.is_empty() { Err("no certificate is in it".to_owned()) } else { Ok(TlsTrust::new(store)) }
    }

    fn new(store: RootCertStore) -> TlsTrust {
        let mut context = Context::new(&SHA256);
        for root in &store.roots {
            context.update(&root.subject);
            context.update(&root.subject_public_key_info);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        TlsTrust { store: Arc::new(store), digest }
    }

    /// The same for the same CAs, and for no others.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// As `of_system`, from DER.
    pub fn of_system_in_der(certificates: &[Vec<u8>]) -> TlsTrust {
        TlsTrust::of_system(certificates.iter().map(|certificate| CertificateDer::from(certificate.clone())).collect())
    }

    /// Those of the system, in which some may be unusable; where there is none, those that Mozilla trusts, as of this release.
    pub fn of_system(certificates: Vec<CertificateDer<'static>>) -> TlsTrust {
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(certificates);
        if usable == 0 {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        TlsTrust::new(store)
    }

    /// A client that speaks one of these protocols (RFC 7301), and shows no certificate of its own.
    pub fn client(&self, clock: Arc<dyn Clock>, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, String> {
        let mut client = versions(clock)?.with_root_certificates(self.store.clone()).with_no_client_auth();
        client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        client.resumption = Resumption::disabled();
        Ok(Arc::new(client))
    }

    /// The same for a server that is asked again and again: sessions are resumed (RFC 8446 2.2). With `pins` the server's key has to
    /// be one of them.
    pub(super) fn resuming_client(&self, clock: Arc<dyn Clock>, protocols: &[&[u8]], pins: &[Pin]) -> Result<Arc<ClientConfig>, String> {
        let versions = versions(clock)?;
        let client = match pins {
            [] => versions.with_root_certificates(self.store.clone()),
            pins => {
                let provider = versions.crypto_provider().clone();
                let by_name = WebPkiServerVerifier::builder_with_provider(self.store.clone(), provider.clone()).build();
                let by_name = Some(by_name.map_err(|error| error.to_string())?);
                pinned(versions, by_name, provider, pins)
            }
        };
        Ok(resuming(client, protocols))
    }
}

/// A client for a server that is known by its key alone: neither the name in its certificate nor who has signed it counts.
pub(super) fn client_by_pins(clock: Arc<dyn Clock>, protocols: &[&[u8]], pins: &[Pin]) -> Result<Arc<ClientConfig>, String> {
    let versions = versions(clock)?;
    let provider = versions.crypto_provider().clone();
    Ok(resuming(pinned(versions, None, provider, pins), protocols))
}

type Versions = ConfigBuilder<ClientConfig, WantsVerifier>;
type Verified = ConfigBuilder<ClientConfig, WantsClientCert>;

fn versions(clock: Arc<dyn Clock>) -> Result<Versions, String> {
    let provider = Arc::new(rustls_crypto::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(WallClock(clock)));
    builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())
}

fn pinned(versions: Versions, by_name: Option<Arc<WebPkiServerVerifier>>, provider: Arc<CryptoProvider>, pins: &[Pin]) -> Verified {
    let verifier = PinVerifier { by_name, algorithms: provider.signature_verification_algorithms, pins: pins.to_vec() };
    versions.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
}

fn resuming(client: Verified, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut client = client.with_no_client_auth();
    client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    client.resumption = Resumption::in_memory_sessions(TLS_SESSIONS_PER_SERVER_MAX);
    Arc::new(client)
}

/// RFC 7858 4.2: the server's key is one of a few. The handshake's signature proves that the server has it.
#[derive(Debug)]
struct PinVerifier {
    /// `None`: the key is enough.
    by_name: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    pins: Vec<Pin>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(by_name) = &self.by_name {
            by_name.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        }
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let digest = digest(&SHA256, &key);
        match self.pins.iter().any(|pin| pin.0[..] == *digest.as_ref()) {
            true => Ok(ServerCertVerified::assertion()),
            // What rustls itself never says.
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
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
        assert_eq!(TlsTrust::from_pem(format!("a comment\n{pem}{pem}").as_bytes()).expect("two certificates").store.len(), 2);
        assert_eq!(TlsTrust::from_pem(b"").expect_err("nothing"), "no certificate is in it");
        assert_eq!(TlsTrust::from_pem(signed.signing_key.serialize_pem().as_bytes()).expect_err("a key"), "no certificate is in it");
        let damaged = pem.replacen("\nMII", "\nMIJ", 1);
        for text in [damaged, pem.replace("-----END CERTIFICATE-----", "")] {
            assert!(TlsTrust::from_pem(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_system_without_certificates_has_those_of_the_release() {
        assert!(TlsTrust::of_system(Vec::new()).store.len() > 100);
        assert!(TlsTrust::of_system(vec![CertificateDer::from(vec![1, 2, 3])]).store.len() > 100);
        let signed = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
        assert_eq!(TlsTrust::of_system(vec![signed.cert.der().clone()]).store.len(), 1);
    }
}
