//! The files of CA certificates: read anew for each fetch, so that the server takes over what the system has renewed, and keeps
//! none of it in memory.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::env::Clock;
use crate::limits::fetch::CA_FILE_BYTES_MAX;
use crate::server::passed_file;
use crate::upstream::TlsTrust;

/// Makes the settings of a TLS client, with the CAs of a file or those of the system.
pub(in crate::server) type MakeTls = Box<dyn Fn(Option<&Path>) -> Result<Arc<ClientConfig>, String>>;

/// Where systems keep the certificates of their CAs, with the folders that links there lead to.
const CA_PATHS: &[&str] = &[
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
    "/opt/etc/ssl/certs",
];

/// HTTP/1.1 alone: a list is one request.
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// The files as they are when a fetch begins.
pub(in crate::server) fn tls_from_files(clock: Arc<dyn Clock>) -> MakeTls {
    Box::new(move |ca| {
        let trust = match ca {
            Some(file) => {
                let told = |what: String| format!("{}: {what}", file.display());
                TlsTrust::from_pem(&read(file).map_err(|error| told(passed_file::unreadable(&error)))?).map_err(told)?
            }
            None => TlsTrust::of_system(rustls_native_certs::load_native_certs().certs),
        };
        trust.client(clock.clone(), PROTOCOLS)
    })
}

/// Folders and files that the system's certificates are read from, those of the environment (`SSL_CERT_FILE`, `SSL_CERT_DIR`) included.
pub(in crate::server) fn ca_paths() -> Vec<PathBuf> {
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os);
    let named = named.flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>());
    CA_PATHS.iter().map(PathBuf::from).chain(named).collect()
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    passed_file::open(file)?.take(CA_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}
