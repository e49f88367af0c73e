//! Hosted zones as a service: the authoritative answer to a question.
//!
//! `answer.rs` applies RFC 1034 4.3.2 to all hosted zones together. Zone data and the look-up of one name in one
//! zone are in `zone`; who may ask, and what becomes of an answer that ends outside the hosted zones, is decided
//! in `answer`.
//!
//! Knows nothing of: clients, messages, sockets, files.

mod answer;

pub use answer::{End, ZoneAnswer, answer, delegation};
