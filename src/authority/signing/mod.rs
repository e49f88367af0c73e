//! Signing of hosted zones (`dnssec = true`): keys, signatures, denials, digest, and the rolling of keys.
//!
//! `signer.rs` makes the signed version of a zone out of the unsigned one: `chain.rs` orders the denials, `signature.rs` makes and
//! judges single signatures, `node.rs` is a name while it is signed. `roll.rs` moves keys on, and `bootstrap.rs`
//! tells parents of new zones (RFC 9615). `key.rs` is one key pair of an
//! `algorithm.rs`, `key_file.rs` its form in a file, with the little `der.rs` that this takes. Everything is pure: time, keys and
//! data come in, and a new version or a plan goes out.
//!
//! Knows nothing of: files, sockets, which thread signs.

mod algorithm;
mod bootstrap;
mod chain;
mod der;
mod key;
mod key_file;
mod node;
mod roll;
#[cfg(test)]
mod roll_tests;
mod signature;
mod signer;
#[cfg(test)]
mod signer_tests;

pub use algorithm::Algorithm;
pub use bootstrap::{Signals, with_signals};
pub use key::{Role, SigningKey};
pub use key_file::{flags_of_public_key, read_private_key, write_private_key, write_public_key};
pub use roll::{DsRdata, KeySet, KeyState, LongestTtl, Part, Roll, Timing};
pub use signer::{KeyUse, Policy, SignError, Task, is_of_signing, sign_zone, signed_elsewhere};
