//! RDATA in presentation form, both ways: what stands in a master file and what `cairn` prints.
//!
//! One table (`form.rs`) says field by field how each type is written (RFC 1035 5.1 and the RFC of each type); `read.rs` and
//! `write.rs` follow it in the two directions. Types that need more than the table have a file of their own: SVCB parameters,
//! LOC, APL, gateways. Any type may be written as `\# length hex` (RFC 3597 5); RDATA that its own form cannot express without
//! loss is written so.
//!
//! Knows nothing of: zones, owner names, TTLs and classes, files.

mod apl;
mod encoding;
mod form;
mod gateway;
mod lexer;
mod location;
mod mnemonic;
mod read;
mod reader;
mod svcb;
mod types;
mod write;
mod writer;

pub use encoding::{base64_from_text, base64_to_text, base64url_from_text};
pub use lexer::{Entry, Lexer, TextError, Token};
pub use mnemonic::{parse_duration, timestamp, timestamp_to_text};
pub use read::{rdata_from_text, rdata_from_tokens};
pub use write::{rdata_is_well_formed, rdata_to_text};
