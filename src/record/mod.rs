//! The vocabulary of all other folders: names, types, RRsets, ranks of trust and security status.
//!
//! Terms are those of RFC 9499. Names are held in lower-case wire form (RFC 4343: names compare without
//! regard to case), RDATA as uncompressed wire bytes with the case its owner gave it.
//!
//! Knows nothing of: messages, sockets, time of day, configuration.

mod address_hints;
mod ede;
mod layout;
mod name;
mod punycode;
mod question;
mod rank;
mod reverse;
mod rrset;
mod rtype;
mod text;

pub use address_hints::address_hints;
pub use ede::{Ede, EdeCode};
pub use layout::{Field, canonical_rdata, fields, lower_labels_of, rdata_has_fields, rdata_names, strings};
pub(crate) use name::write_presentation;
pub(crate) use name::{
    NAME_BYTES_MAX, is_within as wire_name_is_within, presentation_to_wire as name_from_text, wire_len as wire_name_len,
};
pub use name::{Name, NameError};
pub use punycode::to_ascii_name;
pub use question::{Class, Question, Rcode};
pub use rank::{Rank, Security};
pub use reverse::reverse_name;
pub use rrset::{RdataIter, RdataList, RrSet, Validated};
pub use rtype::Rtype;
pub use text::{
    Entry, Lexer, TextError, Token, base64_from_text, base64_to_text, base64url_from_text, parse_duration, rdata_from_text,
    rdata_from_tokens, rdata_is_well_formed, rdata_to_text, timestamp, timestamp_to_text,
};
