//! Hosted zones as a service: the authoritative answer to a question, and what servers of one zone say to one another.
//!
//! `answer.rs` applies RFC 1034 4.3.2 to all hosted zones together. `transfer.rs` sends a zone (RFC 5936, RFC 1995) out of its
//! data and its `history.rs`; `tsig.rs` signs and verifies messages (RFC 8945). `notify.rs` says who is told of changes and when
//! (RFC 1996), `secondary.rs` when a copy of a zone is checked and when it expires. `update.rs` says what a zone becomes by an
//! update (RFC 2136), `journal.rs` how changes are kept, `replay.rs` and `merge.rs` what file and journal are together. `signing/`
//! signs zones and rolls their keys. Zone data and the look-up of one name in one
//! zone are in `zone`; who may ask, and what becomes of an answer that ends outside the hosted zones, is decided in `answer`.
//! Everything here is pure: the caller gives the time, and performs what is to be sent.
//!
//! Knows nothing of: clients, sockets, files.

mod alias;
mod answer;
mod catalog;
mod dsync;
mod history;
mod journal;
mod merge;
mod notify;
mod prerequisites;
mod replay;
mod secondary;
pub mod signing;
mod transfer;
mod tsig;
#[cfg(test)]
mod tsig_tests;
mod update;
mod update_record;
#[cfg(test)]
mod update_tests;

pub use alias::{Addresses, Alias, expanded};
pub use answer::{End, ZoneAnswer, answer, delegation};
pub use catalog::{Member, Owner, catalog_text, owners, read_catalog};
pub use dsync::{DsyncTarget, dsync_name, dsync_names_of_parent, read_dsync};
pub use history::Histories;
pub use journal::{Entry, Journal, JournalEnd, Tail, changed_entry, journal_head, read_journal};
pub use merge::merge;
pub use notify::{Notifies, Target, cds_notify_message, is_notify_reply, notify_message};
pub use replay::{Replayed, replay};
pub use secondary::{Secondary, Timers};
pub use transfer::{Outgoing, Wanted};
pub use tsig::{Key, Keyring, Request, Signer, Verifier, sign_request, verify_request};
pub use update::Update;
pub use update_record::Refusal;
