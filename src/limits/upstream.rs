//! Limits of sockets and connections towards servers, for each worker.
//!
//! How many sockets there may be at a time is `Limits::upstream_sockets_per_worker`; it follows RLIMIT_NOFILE.

use std::time::Duration;

/// Near misses (right address and port, wrong ID, question or case) after which one query takes nothing more over UDP: each
/// guess at a known port has a chance of 2^-16 (RFC 5452 7). TCP is tried from `Limits::near_misses_per_query` on.
pub const NEAR_MISSES_MAX: u16 = 32;
/// Queries that wait for a free socket. Past it the client with most loses its newest one: it would have gone before its turn.
pub const WAITING_FOR_SOCKET_MAX: usize = 1_024;
/// Sockets that one silent server may hold. Beyond an eighth of the table, or this if more (in tables of fewer than 16 a
/// quarter), its oldest queries lose theirs to other servers' queries.
pub const SERVER_SHARE_MIN: usize = 4;
/// A bind to a lower port needs rights that we do not have.
pub const PORT_MIN: u16 = 1024;
/// Random ports that are drawn for one query before it fails. With half of all ports taken, all are in use once in 65,536
/// times.
pub const PORT_TRIES_MAX: usize = 16;
/// Queries sent from one kept socket. Its port becomes known to whoever can probe for open ports (SAD DNS, CVE-2020-25705),
/// so it is given up soon.
pub const SOCKET_USES_MAX: u8 = 16;
/// The age at which a kept socket is closed, for the same reason: a probe of all ports takes longer.
pub const SOCKET_AGE_MAX: Duration = Duration::from_secs(4);
/// Idle sockets that are kept to be used again; at most a quarter of the sockets that there may be.
pub const KEPT_SOCKETS_MAX: usize = 1_024;
/// Idle sockets without a port, kept because to make one costs a system call more. Each is a descriptor.
pub const SPARE_SOCKETS_MAX: usize = 128;
/// Sockets that are bound to a random port together, the one that is needed at once among them. More do not cost less.
pub const SOCKETS_AHEAD_MAX: usize = 8;
/// The age at which a socket that was bound ahead is closed unused: until it is connected, a probe finds its port (SAD DNS,
/// CVE-2020-25705), and a host that keeps to the usual limit of ICMP errors lets itself be probed for two ports in this time.
pub const AHEAD_AGE_MAX: Duration = Duration::from_millis(2);
/// Datagrams of its last server that are read from a socket before it is used again. A socket with more is closed: somebody
/// floods it.
pub const LEFT_OVER_DATAGRAMS_MAX: usize = 4;
/// Times that a thread which becomes idle looks in vain for replies before it waits for them with epoll. A wait costs
/// more system calls than a look.
pub const VAIN_LOOKS_MAX: u8 = 8;
/// Addresses behind one URL of a forward rule. All of them may be tried for one question.
pub const URL_ADDRESSES_MAX: usize = 16;
/// Sessions of one server that may be resumed, for all workers. A session is used once, and a server gives two or three.
pub const TLS_SESSIONS_PER_SERVER_MAX: usize = 32;
/// Connections to one encrypted server from each worker. The second one is there for when the first is full or silent.
pub const TLS_CONNECTIONS_PER_SERVER_MAX: usize = 2;
/// Queries under way on one encrypted connection: as many as servers usually allow streams of HTTP/2 (RFC 9113 6.5.2 asks for 100
/// at least).
pub const TLS_QUERIES_PER_CONNECTION_MAX: usize = 100;
/// An encrypted connection without queries is closed after this time where the server says nothing else. Most servers close earlier.
pub const TLS_IDLE_MAX: Duration = Duration::from_secs(30);
/// The longest idle time that a server can ask for (RFC 7828).
pub const TLS_KEEPALIVE_MAX: Duration = Duration::from_secs(120);
/// A connection from which nothing has come for this time, though something was due, takes no more queries: the next one goes to a
/// new connection or another server.
pub const TLS_SILENCE_MAX: Duration = Duration::from_secs(1);
/// Attempts in a row that bring no reply, after which a server is left alone for `TLS_REST`: each costs both sides a handshake.
pub const TLS_FAILURES_MAX: u8 = 2;
/// See `TLS_FAILURES_MAX`.
pub const TLS_REST: Duration = Duration::from_secs(1);
/// How long one address of an encrypted server may take to connect before one of the other family is tried beside it (RFC 8305 5).
pub const TLS_STAGGER: Duration = Duration::from_millis(250);
/// Octets of all header fields of a response over HTTPS. Usual ones have less than 2 KiB.
pub const HTTPS_HEAD_BYTES_MAX: u32 = 16 << 10;
/// Octets of responses over HTTPS that a server may send ahead on one connection, and in one response: a DNS message is no longer.
pub const HTTPS_WINDOW_BYTES_MAX: u32 = 256 << 10;
/// See `HTTPS_WINDOW_BYTES_MAX`.
pub const HTTPS_STREAM_BYTES_MAX: u32 = 64 << 10;
/// TCP connections to servers. When there are more, the one that has been idle longest is closed, then the one that has been
/// silent longest.
pub const TCP_CONNECTIONS_MAX: usize = 256;
/// TCP connections to one server (RFC 7766 6.2.2 asks for few), so that one server does not use them all.
pub const TCP_CONNECTIONS_PER_SERVER_MAX: usize = 4;
/// Queries under way on one TCP connection (RFC 7766 6.2.1.1); a server that handles them one by one would keep later ones
/// waiting.
pub const TCP_QUERIES_PER_CONNECTION_MAX: usize = 32;
/// Octets of queries that wait to be sent on one connection: about 200 queries. A peer with more has stopped reading.
pub const TCP_UNSENT_BYTES_MAX: usize = 16 << 10;
/// A connection to a server without queries is closed after this time (RFC 7766 6.2.3: of the order of seconds).
pub const TCP_IDLE_MAX: Duration = Duration::from_secs(5);
/// A connection that is not established after this time has failed. Its queries time out earlier; it may serve later ones.
pub const TCP_CONNECT_MAX: Duration = Duration::from_secs(5);
/// A connection with queries under way may be closed in favour of a new one after this time without a reply.
pub const TCP_SILENCE_MAX: Duration = Duration::from_millis(500);
