//! Limits towards clients: what is read from them, sent to them and logged for them.
//!
//! The limits that depend on descriptors, or that tests tighten, are in `Limits`.

/// Octets of a UDP reply, and the size that is announced to clients (RFC 9715 3.2). A larger datagram may be fragmented, and
/// fragments can be forged.
pub const UDP_REPLY_BYTES_MAX: usize = 1_232;
/// Octets of an answer that is kept in wire form to be copied out. Larger answers are rare, and copying is not what they
/// cost.
pub const READY_ANSWER_BYTES_MAX: usize = 16 << 10;
/// Extended errors (RFC 8914) in one reply.
pub const EDES_MAX: usize = 3;
/// Octets of EXTRA-TEXT in one extended error; the rest is cut. The text must not crowd out the answer.
pub const EDE_TEXT_BYTES_MAX: usize = 160;
/// Octets of the EXTRA-TEXT that tells of a removed private address. It quotes names, which may be long; a shorter sentence
/// is sent where the whole does not fit.
pub const REBINDING_TEXT_BYTES_MAX: usize = 160;
/// Names whose addresses are looked for in the cache for the additional section. A large MX RRset has fewer; each name costs
/// two look-ups.
pub const ADDITIONAL_NAMES_MAX: usize = 16;
/// The longest TTL of a synthesised AAAA record where no SOA says how long the denial of AAAA may be repeated (RFC 6147 5.1.7).
pub const SYNTHESISED_TTL_S_MAX: u32 = 600;
/// Log lines about failed questions in one second; further ones are counted and the count is logged.
pub const FAILURE_LINES_PER_SECOND_MAX: u32 = 10;
/// Seconds between two log lines about the same name.
pub const FAILURE_SAME_NAME_S_MIN: u32 = 60;
/// Clients in the table of pulses before old ones are first removed. From then on the table may double between two sweeps.
pub const PULSE_CLIENTS_MIN: usize = 256;
/// Buckets of the response rate limiter of hosted zones, 24 octets each. A flood from more prefixes shares buckets.
pub const RESPONSE_RATE_BUCKETS_MAX: usize = 1 << 14;
/// Seconds between two log lines about the same limit towards clients.
pub const LIMIT_LINES_S_MIN: u32 = 60;
/// Batches of 64 queries that are still read from a socket at an orderly stop: some milliseconds of work.
pub const LAST_BATCHES_MAX: usize = 16;
/// Questions of one TCP connection that are taken before other connections get their turn: as many as a UDP batch has.
pub const TURN_QUESTIONS_MAX: usize = 64;
/// Octets of a zone transfer that wait for the client to read them; the next message is made when fewer wait.
pub const TRANSFER_AHEAD_BYTES: usize = 32 << 10;
/// Octets of an empty buffer that an idle TCP connection keeps; a larger buffer is freed.
pub const KEPT_BUFFER_BYTES_MAX: usize = 4_096;
/// Connections that are looked at for one that is idle, when a new one needs room; if all of these are busy, the first is
/// closed. It bounds the work of one accept.
pub const IDLE_LOOKS_MAX: usize = 32;
/// TCP connections that wait to be accepted, for each listening socket. The kernel lowers it to `net.core.somaxconn`.
pub const ACCEPT_BACKLOG_MAX: i32 = 4_096;
/// Questions of an embedding program that wait to be taken by the resolver's thread; further callers wait.
pub const EMBEDDED_QUESTIONS_MAX: usize = 1_024;
