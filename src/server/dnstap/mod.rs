//! dnstap (`[dnstap]`): every message to and from clients and servers, for a reader at a Unix socket or over TCP.
//!
//! ```text
//! workers ─► tap ─► sender (thread) ─► message: one frame's octets ─► frame_stream: START, frames, STOP ─► the reader
//! ```
//!
//! A slow reader, or none, delays no answer: messages that find no room are left out and counted.
//!
//! Knows nothing of: how a query is answered.

mod back_off;
mod frame_stream;
mod message;
mod sender;

pub(super) use sender::start;
