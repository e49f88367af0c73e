//! The certificate that clients of the encrypted transports are shown, and its private key: two PEM files (RFC 7468).
//!
//! Every mistake names the file, the line of the PEM item, and the way out. Dates that are past or not yet come are told and cost
//! nothing else: most clients then refuse the certificate, and that is theirs to decide.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::configuration::{read_bytes, why_not_readable};
use super::x509::{Summary, date, summary};
use crate::config::{Problem, Settings};
use crate::env::WallTime;
use crate::limits::server::{CERTIFICATE_FILE_BYTES_MAX, CERTIFICATE_WARNING};

/// A certificate chain with its private key, which match.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub key: Arc<CertifiedKey>,
    pub summary: Summary,
    pub files: CertificateFiles,
    /// What the files looked like just before they were read: a change meanwhile is one that the next look finds.
    pub stamps: Stamps,
}

/// What changes when one of the two files is written or replaced. `None`: there is no file, or it cannot be reached.
pub type Stamps = [Option<(u64, u64, i64, i64, u64)>; 2];

/// The two files of `[tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl CertificateFiles {
    /// `None`: not both are configured.
    pub fn of(settings: &Settings) -> Option<CertificateFiles> {
        Some(CertificateFiles { certificate: settings.tls.certificate.clone()?, key: settings.tls.key.clone()? })
    }

    /// What both look like now.
    pub fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key].map(|file| {
            let meta = fs::metadata(file).ok()?;
            Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
        })
    }

    /// Reads both files.
    pub fn read(&self) -> Result<Certificate, Vec<Problem>> {
        let stamps = self.stamps();
        let (chain, key) = match (bounded(&self.certificate), bounded(&self.key)) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err([chain.err(), key.err()].into_iter().flatten().collect()),
        };
        let (key, summary) = pair(&self.certificate, &chain, &self.key, &key).map_err(|problem| vec![problem])?;
        Ok(Certificate { key: Arc::new(key), summary, files: self.clone(), stamps })
    }
}

impl Certificate {
    /// What is odd about its dates, from two weeks before it expires.
    pub fn warning(&self, now: WallTime) -> Option<Problem> {
        let Summary { not_before, not_after, .. } = &self.summary;
        let days = |seconds: u64| match seconds / 86_400 {
            0 => "in less than a day".to_owned(),
            1 => "in a day".to_owned(),
            days => format!("in {days} days"),
        };
        let what = match not_after.0.checked_sub(now.0) {
            _ if now < *not_before => format!("this certificate is not valid before {}: clients refuse it until then", date(*not_before)),
            None => format!("this certificate expired on {}: clients refuse it", date(*not_after)),
            Some(left) if left <= CERTIFICATE_WARNING.as_secs() => {
                format!("this certificate expires {}, on {}", days(left), date(*not_after))
            }
            Some(_) => return None,
        };
        let hint = match now < *not_before {
            true => "is the clock of this machine right?",
            false => "renew it: a new pair of files is taken over within seconds",
        };
        let problem = Problem::of_file(self.files.certificate.display().to_string(), format!("warning: {what}"));
        Some(Problem { hint: Some(hint.to_owned()), ..problem })
    }
}

/// Reads the certificate that the settings name, if they name one. A mistake is told where the configuration names the file, or at
/// the file's own lines.
pub(super) fn certificate(settings: &Settings) -> Result<Option<Certificate>, Vec<Problem>> {
    let Some(files) = CertificateFiles::of(settings) else { return Ok(None) };
    let unreadable = |key: &str, file: &Path| {
        let (why, hint) = why_not_readable(file)?;
        Some(Problem { hint, ..settings.problem_with(key, format!("{key}: {why}")) })
    };
    let problems: Vec<Problem> =
        [unreadable("tls.certificate", &files.certificate), unreadable("tls.key", &files.key)].into_iter().flatten().collect();
    if problems.is_empty() { files.read().map(Some) } else { Err(problems) }
}

/// The names in the certificate that the settings name, without its key; none if it cannot be read.
pub fn certificate_names(settings: &Settings) -> Vec<String> {
    let chain = settings.tls.certificate.as_deref().and_then(|file| bounded(file).ok());
    let first = chain.and_then(|chain| CertificateDer::from_pem_slice(&chain).ok());
    first.and_then(|der| summary(&der)).map(|summary| summary.names).unwrap_or_default()
}

fn bounded(file: &Path) -> Result<Vec<u8>, Problem> {
    if fs::metadata(file).is_ok_and(|meta| meta.len() > CERTIFICATE_FILE_BYTES_MAX) {
        return Err(Problem::of_file(file.display().to_string(), "longer than any certificate chain or key"));
    }
    read_bytes(file)
}

/// One `-----BEGIN …-----` and what belongs to it.
struct Item<'a> {
    /// From 1.
    line: usize,
    label: &'a str,
    text: &'a str,
}

/// Everything between the markers; text around them is a comment (RFC 7468 5.2).
fn items(text: &str) -> Vec<Item<'_>> {
    let (mut items, mut begun, mut at) = (Vec::new(), None, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        if let Some(label) = line.trim().strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            begun = Some((number + 1, label, start));
        } else if line.trim().starts_with("-----END ")
            && let Some((line, label, start)) = begun.take()
        {
            items.push(Item { line, label, text: &text[start..at] });
        }
    }
    if let Some((line, label, start)) = begun {
        items.push(Item { line, label, text: &text[start..] });
    }
    items
}

fn pair(chain_file: &Path, chain: &[u8], key_file: &Path, key: &[u8]) -> Result<(CertifiedKey, Summary), Problem> {
    let at = |file: &Path, line: usize, what: String, hint: &str| {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Problem { line, hint, ..Problem::of_file(file.display().to_string(), what) }
    };
    let wrong_chain = |line, what: String, hint: &str| at(chain_file, line, what, hint);
    let wrong_key = |line, what: String, hint: &str| at(key_file, line, what, hint);
    let not_pem =
        "this is no PEM file: a binary (DER) file is turned into one with `openssl x509 -inform der` or `openssl pkey -inform der`";
    let text = std::str::from_utf8(chain).map_err(|_| wrong_chain(0, not_pem.to_owned(), ""))?;
    let key_text = std::str::from_utf8(key).map_err(|_| wrong_key(0, not_pem.to_owned(), ""))?;

    let mut certificates = Vec::new();
    let found = items(text);
    for item in found.iter().filter(|item| item.label == "CERTIFICATE") {
        let der = CertificateDer::from_pem_slice(item.text.as_bytes());
        let read = der.ok().and_then(|der| Some((summary(&der)?, der)));
        let hint = "copy the file again: it is cut off or changed";
        let (summary, der) =
            read.ok_or_else(|| wrong_chain(item.line, format!("PEM item {}: not a certificate", certificates.len() + 1), hint))?;
        certificates.push((item.line, summary, der));
    }
    let Some((first_line, summary, _)) = certificates.first() else {
        return Err(match found.first() {
            None if text.trim().is_empty() => wrong_chain(0, "the file is empty".to_owned(), "it holds the certificate in PEM form"),
            None => wrong_chain(0, "no line \"-----BEGIN CERTIFICATE-----\"".to_owned(), "it holds the certificate in PEM form"),
            Some(item) => wrong_chain(
                item.line,
                format!("found \"{}\", expected a certificate", item.label),
                "tls.certificate is the certificate, tls.key its private key: are they mixed up?",
            ),
        });
    };
    if summary.version != 3 {
        return Err(wrong_chain(
            *first_line,
            format!("a certificate of X.509 version {}, which cannot name its server: clients refuse it", summary.version),
            "make one of version 3, with its names as subjectAltName (RFC 9525 6.3)",
        ));
    }

    let found = items(key_text);
    let Some(item) = found.iter().find(|item| item.label.ends_with("PRIVATE KEY")) else {
        return Err(match found.first() {
            None if key_text.trim().is_empty() => wrong_key(0, "the file is empty".to_owned(), "it holds the private key in PEM form"),
            None => wrong_key(0, "no line \"-----BEGIN PRIVATE KEY-----\"".to_owned(), "it holds the private key in PEM form"),
            Some(item) => wrong_key(
                item.line,
                format!("found \"{}\", expected a private key", item.label),
                "tls.certificate is the certificate, tls.key its private key: are they mixed up?",
            ),
        });
    };
    // RFC 5958, and the older form of OpenSSL (RFC 1421 4.6.1.1).
    if item.label.starts_with("ENCRYPTED") || item.text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(wrong_key(
            item.line,
            "the private key is encrypted, and nobody is there to type its password".to_owned(),
            &format!("`openssl pkey -in {} -out NEW` writes it without a password; let nobody else read NEW", key_file.display()),
        ));
    }
    let der = PrivateKeyDer::from_pem_slice(item.text.as_bytes());
    let der = der
        .map_err(|_| wrong_key(item.line, "the private key cannot be read".to_owned(), "copy the file again: it is cut off or changed"))?;
    let signing = aws_lc_rs::sign::any_supported_type(&der).map_err(|_| {
        wrong_key(
            item.line,
            "a private key of a kind that TLS does not use".to_owned(),
            "RSA with 2048 to 8192 bits, ECDSA with P-256, P-384 or P-521, and Ed25519 are used",
        )
    })?;
    let certified = |chain: Vec<CertificateDer<'static>>| CertifiedKey::new(chain, signing.clone());
    let chain: Vec<CertificateDer<'static>> = certificates.iter().map(|(.., der)| der.clone()).collect();
    let own = certified(chain);
    if own.keys_match().is_err() {
        let matching = certificates.iter().skip(1).find(|(.., der)| certified(vec![der.clone()]).keys_match().is_ok());
        return Err(match matching {
            Some((line, ..)) => wrong_chain(
                *line,
                "the certificate that the private key belongs to is not the first one".to_owned(),
                "put it first, then those that lead to a root",
            ),
            None => wrong_key(
                item.line,
                format!("the private key does not belong to the certificate in {} (line {first_line})", chain_file.display()),
                "both files must be of the same renewal",
            ),
        });
    }
    Ok((own, summary.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::super::{Sources, StartOptions};
    use super::*;

    /// Certificate and key in PEM form, valid from January 2020 to March of this year.
    fn made(until: i32) -> (String, String) {
        let mut parameters = rcgen::CertificateParams::new(vec!["dns.example".to_owned()]).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 3, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        (parameters.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    /// Made by `openssl x509 -req` without extensions.
    const VERSION_1: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBJzCBzwIUEGy7LPjA9hdBdpOyUjE9SzJqUGYwCgYIKoZIzj0EAwIwFjEUMBIG\n\
A1UEAwwLb2xkLmV4YW1wbGUwIBcNMjYxMTMwMTU0NDA2WhgPMjEyNjExMDYxNTQ0\n\
MDZaMBYxFDASBgNVBAMMC29sZC5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n\
AQcDQgAElm0Ofimh5C358AFbkcPDz+dFaGMJvOk1paMMniEBm8aQsmOs977525Y2\n\
6tgeX5gOzcnWHXaAPCw72n7GpcQIrjAKBggqhkjOPQQDAgNHADBEAiBkl+uZIszO\n\
d0ikTHgkLBOK3DgMGm/e+1v774+HiHYz8gIgZJxFEs8F3Aj6iKbRwFCzOEiPNjuk\n\
dEFmdCOvPiZyRvc=\n\
-----END CERTIFICATE-----\n";

    fn read(scratch: &Scratch, certificate: &str, key: &str) -> Result<Certificate, String> {
        let files = CertificateFiles { certificate: scratch.write("cert.pem", certificate), key: scratch.write("key.pem", key) };
        let folder = format!("{}/", scratch.path().display());
        files.read().map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").replace(&folder, ""))
    }

    #[test]
    fn a_good_pair_and_its_dates() {
        let scratch = Scratch::new();
        let (certificate, key) = made(2050);
        let pair = read(&scratch, &format!("a comment\n{certificate}"), &key).expect("a good pair");
        assert_eq!(pair.summary.names, ["dns.example"]);
        let at = |date: &str| {
            let seconds = match date {
                "2019-12-31" => 1_577_750_400,
                "2050-01-01" => 2_524_608_000,
                "2050-02-20" => 2_528_928_000,
                _ => 2_529_900_000,
            };
            pair.warning(WallTime(seconds)).map(|problem| problem.what)
        };
        assert_eq!(at("2050-01-01"), None);
        assert_eq!(at("2050-02-20").as_deref(), Some("warning: this certificate expires in 9 days, on 2050-03-01"));
        assert_eq!(at("2050-03-03").as_deref(), Some("warning: this certificate expired on 2050-03-01: clients refuse it"));
        assert_eq!(
            at("2019-12-31").as_deref(),
            Some("warning: this certificate is not valid before 2020-01-01: clients refuse it until then")
        );
    }

    #[test]
    fn mistakes_name_file_line_and_way_out() {
        let scratch = Scratch::new();
        let ((certificate, key), (other, _)) = (made(2050), made(2050));
        let cut = certificate.replacen("MII", "MI", 1);
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let old_form = key.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n");
        for (certificate, key, expected) in [
            ("", &*key, "cert.pem: the file is empty"),
            ("hello", &key, "cert.pem: no line \"-----BEGIN CERTIFICATE-----\""),
            (&certificate, "", "key.pem: the file is empty"),
            (&certificate, "hello", "key.pem: no line \"-----BEGIN PRIVATE KEY-----\""),
            (&key, &certificate, "cert.pem:1: found \"PRIVATE KEY\", expected a certificate; tls.certificate is the certificate"),
            (VERSION_1, &key, "cert.pem:1: a certificate of X.509 version 1, which cannot name its server"),
            (&certificate, &certificate, "key.pem:1: found \"CERTIFICATE\", expected a private key"),
            (&cut, &key, "cert.pem:1: PEM item 1: not a certificate; copy the file again"),
            (&format!("{certificate}{cut}"), &key, "PEM item 2: not a certificate"),
            (&certificate, &encrypted, "key.pem:1: the private key is encrypted"),
            (&certificate, &old_form, "key.pem:1: the private key is encrypted"),
            (&certificate, &key.replacen("M", "", 1), "key.pem:1: "),
            (&other, &key, "key.pem:1: the private key does not belong to the certificate in "),
            (&format!("{other}{certificate}"), &key, "the certificate that the private key belongs to is not the first one; put it first"),
            ("\u{0}\u{1}", &key, "cert.pem: no line"),
        ] {
            let told = read(&scratch, certificate, key).map(|_| ()).expect_err(expected);
            assert!(told.contains(expected), "{told}\nexpected {expected}");
        }
        let der = scratch.write_bytes("binary.der", &[0x30, 0x82, 0xff, 0xfe]);
        let files = CertificateFiles { certificate: der, key: scratch.write("key.pem", &key) };
        assert!(files.read().expect_err("DER")[0].what.starts_with("this is no PEM file"));
    }

    #[test]
    fn the_configuration_names_the_files() {
        let scratch = Scratch::new();
        let (certificate, key) = made(2050);
        scratch.write("cert.pem", &certificate);
        scratch.write("key.pem", &key);
        let read = |config: &str, again: bool| {
            let config = Some(scratch.write("cairn.toml", config));
            Sources::read(&StartOptions { config, has_certificate: again, ..StartOptions::default() })
        };
        let tls = "[server]\nlisten-tls = ['127.0.0.1']\n[tls]\ncertificate = 'cert.pem'\nkey = 'key.pem'\n";
        let sources = read(tls, false).expect("all is right");
        assert_eq!(sources.settings.server.listen_tls, ["127.0.0.1:853".parse().expect("an address")]);
        assert!(sources.certificate.is_some());
        let gone = tls.replace("key.pem", "none.pem");
        let problems = read(&gone, false).expect_err("no such file");
        assert!(problems[0].to_string().contains("cairn.toml:5:7: tls.key: "), "{problems:?}");
        // A running server goes on with the pair that it has: the user that it has become may not read the key.
        let sources = read(&gone, true).expect("only the certificate is wrong");
        assert!(sources.certificate.is_none() && sources.unusable_files[0].to_string().contains("tls.key: "));
        scratch.write("key.pem", "");
        let problems = read(tls, false).expect_err("an empty key");
        assert!(problems[0].to_string().ends_with("key.pem: the file is empty; it holds the private key in PEM form"), "{problems:?}");
    }
}
