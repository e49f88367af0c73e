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
