//! Bytes to records and back (RFC 1035 4.1): the header, the question read in place, a record walker that skips records it
//! cannot use, a writer that compresses, EDNS (RFC 6891), and the bridge to hickory-proto.
//!
//! All work is bounded: compression pointers only go backwards and their number is limited, and no count of a header is
//! believed before the octets have been seen.
//!
//! Knows nothing of: sockets, time, trust, configuration.

mod bridge;
mod edns;
mod header;
mod message;
mod query;
mod writer;

pub use bridge::{name_of, typed_rdata};
#[cfg(any(test, feature = "internals"))]
pub use edns::{Edns, EdnsOption};
pub use edns::{OptionCode, options};
pub use header::{Flags, HEADER_BYTES, Header, Opcode};
#[cfg(any(test, feature = "internals"))]
pub use message::WireError;
pub use message::{Message, Record, Section};
pub use query::{Malformed, QueryView};
pub use writer::{Full, Writer};
