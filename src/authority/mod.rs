//! Hosted zones as a service: the authoritative answer to a question, and what servers of one zone say to one another.
//!
//! `answer.rs` applies RFC 1034 4.3.2 to all hosted zones together. `transfer.rs` sends a zone (RFC 5936, RFC 1995) out of its
//! data and its `history.rs`; `tsig.rs` signs and verifies messages (RFC 8945). `notify.rs` says who is told of changes and when (RFC 1996), `secondary.rs`
//! when a copy of a zone is checked and when it expires. `signing/` signs zones and rolls their keys. Zone data and the look-up of one name in one
//! zone are in `zone`; who may ask, and what becomes of an answer that ends outside the hosted zones, is decided in `answer`.
//! Everything here is pure: the caller gives the time, and performs what is to be sent.
//!
//! Knows nothing of: clients, sockets, files.

mod answer;
mod history;
mod notify;
mod secondary;
pub mod signing;
mod transfer;
mod tsig;
#[cfg(test)]
mod tsig_tests;

pub use answer::{End, ZoneAnswer, answer, delegation};
pub use history::Histories;
pub use notify::{Notifies, Target, is_notify_reply, notify_message};
pub use secondary::{Secondary, Timers};
pub use transfer::{Outgoing, Wanted};
pub use tsig::{Key, Keyring, Request, Signer, Verifier, sign_request, verify_request};
