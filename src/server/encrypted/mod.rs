//! Encrypted transports towards clients: the addresses that they are served at, and the certificate that is in force.
//!
//! Knows nothing of: TLS itself, HTTP, what a reply says.

mod certificates;
mod listeners;

pub(super) use certificates::CertificateKeeper;
pub(super) use listeners::{EncryptedListening, uris, wanted};
