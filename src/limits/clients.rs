//! Limits towards clients: what is read from them, sent to them and logged for them.
//!
//! The limits that depend on descriptors, or that tests tighten, are in `Limits`.

use std::time::Duration;

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
/// Questions that failed lately and are kept with their reasons for whoever looks; some 50 KiB.
pub const RECENT_FAILURES_MAX: usize = 100;
/// Octets of the reason that is kept with each of them.
pub const RECENT_FAILURE_REASON_BYTES_MAX: usize = 300;
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
/// Octets of the reply to a question over a stream for which room is asked before the question is taken: most replies are shorter, and
/// that of an update is.
pub const REPLY_BYTES_USUAL: usize = 768;
/// Octets that a worker must be able to hold, however many workers share the limit: the longest query, what is read behind it in one turn,
/// and the longest reply.
pub const LONGEST_EXCHANGE_BYTES: usize = 2 * 65_537 + (16 << 10) + REPLY_BYTES_USUAL;
/// Octets of names and data in one answer in the JSON form. Names are written out there, so that 64 KiB of a message could become
/// megabytes. A section for which there is no room is left out, and the answer says that it is truncated.
pub const JSON_TEXT_BYTES_MAX: usize = 128 << 10;
/// Octets that may be held although all that may be held is taken: longer replies to questions that were taken before. A client that
/// holds more than this then loses connections.
pub const HELD_BYTES_SPARED: usize = 512 << 10;
/// Octets of unread replies that a connection may hold where a quarter more is held than there is room for: a few short replies. With more
/// it is closed.
pub const SHORT_REPLIES_BYTES: usize = 4_096;
/// Octets of replies over one connection that are kept in one piece until the client reads. A buffer that grows by each of many long
/// replies would be copied each time, and what it leaves behind is many times what it holds.
pub const OUTBOX_PIECE_BYTES_MAX: usize = 256 << 10;
/// TCP connections that wait to be accepted, for each listening socket. The kernel lowers it to `net.core.somaxconn`.
pub const ACCEPT_BACKLOG_MAX: i32 = 4_096;
/// The longest time for a TLS handshake, from the accepted connection on.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes that a /24 or /56 of clients outside `allow`, which get hosted zones only, may begin in a second, and at once after a
/// quiet time. The limit for clients in `allow` is in `Limits`.
pub const HANDSHAKES_OF_OTHERS: (u32, u32) = (50, 200);
/// What a handshake that resumes a session gives back of its cost, in thousandths: it takes a quarter of the time of a new one.
pub const RESUMED_GIVES_BACK_MILLI: u32 = 750;
/// Octets of a PROXY protocol header over a connection. Its addresses take 36; balancers add a few hundred about the client's TLS session.
pub const PROXY_HEADER_BYTES_MAX: usize = 4_096;
/// Octets that one connection may hold inside TLS, beyond those that are counted, while its client does not read.
pub const TLS_BUFFER_BYTES_MAX: usize = 8 << 10;
/// Octets that one HTTP connection may hold besides, so that several responses leave in one TLS record (RFC 8446 5.1: 16 KiB).
pub const CORKED_BYTES_MAX: usize = 16 << 10;
/// A reply over an encrypted transport is padded to a multiple of so many octets (RFC 8467 4.1).
pub const PADDING_BLOCK_BYTES: usize = 468;
/// Requests in progress on one HTTP/2 connection.
pub const HTTP_STREAMS_MAX: u32 = 100;
/// Octets of request bodies, of one HTTP/2 stream and of all of a connection together, that are not taken from the client before
/// earlier ones have been read; and octets of one response that wait inside HTTP/2.
pub const HTTP_WINDOW_BYTES: u32 = 64 << 10;
/// Octets of a request body past which the client is told so while it still sends; a body that is too long, but not as long, is read
/// to its end first.
pub const HTTP_UNREAD_BYTES_MAX: usize = 256 << 10;
/// Octets of the header of one request. The longest query in a URI has 87,381; one of 512 octets, 683.
pub const HTTP_HEADER_BYTES_MAX: u32 = 16 << 10;
/// Header fields of one request over HTTP/1.1.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Streams that a client has reset, and streams that were reset for its mistakes, before the connection is closed
/// (CVE-2023-44487, rapid reset).
pub const HTTP_RESETS_MAX: usize = 100;
/// Octets that one HTTP connection reads before other connections get their turn: a few hundred requests.
pub const HTTP_TURN_BYTES_MAX: usize = 32 << 10;
/// Turns of others that an answer waits for where all room is held by connections that are about to write; then the client is told
/// (503).
pub const HTTP_ROOM_TURNS_MAX: usize = 16;
/// How long an HTTP connection may take to close after it was told to.
pub const HTTP_CLOSE_MAX: Duration = Duration::from_secs(1);
/// How long the end of a connection is waited for after our last words.
pub const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Octets that are read and dropped meanwhile.
pub const CLOSE_BYTES_MAX: usize = 256 << 10;
/// Questions of an embedding program that wait to be taken by the resolver's thread; further callers wait.
pub const EMBEDDED_QUESTIONS_MAX: usize = 1_024;
