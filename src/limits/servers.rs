//! Limits for choosing and waiting for name servers: time-outs, back-off and second queries.
//!
//! `Limits::upstream_timeout_most_ms` bounds each wait once more.

use std::time::Duration;

/// The longest time-out of a server after several silent queries (RFC 6298 2.5 allows an upper bound). A client asks
/// again after 5 s.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3);
/// The shortest wait beyond the smoothed round-trip time before the next server is asked: the clock and a busy machine are
/// no more exact (the G of RFC 6298 2.3). A reply that comes later is still taken.
pub const RTT_MARGIN_MIN: Duration = Duration::from_millis(20);
/// Times that the time-out of a silent server doubles (RFC 6298 5.5): 400 ms become 3 s, the longest, in three steps.
pub const TIMEOUT_DOUBLINGS_MAX: u32 = 4;
/// Times that the pause of a dead server doubles, from 1 s: it is tried once in 64 s at least, so that its return is noticed.
pub const BACK_OFF_DOUBLINGS_MAX: u32 = 6;
/// The longest pause between two tests of an address family (IPv4, IPv6) that did not work: about 5 minutes, one query each.
pub const FAMILY_TEST_AFTER_MAX: Duration = Duration::from_secs(320);
/// How long the test of an address family counts as under way: no query is waited for longer than [`TIMEOUT_MAX`].
pub const FAMILY_TEST_MAX: Duration = Duration::from_secs(3);
/// Microseconds that one reply counts at most in the usual round-trip time of all servers. A reply over TCP after a time-out
/// over UDP measures something else.
pub const RTT_SAMPLE_US_MAX: u64 = 2_000_000;
/// Second queries that can be saved up; each costs 21 ordinary ones. When a link fails, every server looks slow at once, and
/// a burst of second queries would make it worse.
pub const SECOND_QUERIES_SAVED_MAX: u32 = 64;
/// The time by which a server must be slower than its history before a second server is asked.
pub const SECOND_QUERY_MARGIN_MIN: Duration = Duration::from_millis(10);
/// A query does not wait for a socket until its client hears of a time-out, but ends so long before: the client is told the
/// true reason.
pub const ANSWER_MARGIN: Duration = Duration::from_millis(250);
/// Queries to one address for one question: a second one makes up for a lost packet.
pub const TRIES_PER_ADDRESS_MAX: u8 = 2;
/// Labels of a name up to which a denial in another letter case is checked with a second query. Longer names are mostly an
/// attacker's; the longest honest ones are IPv6 addresses below a block list.
pub const CASE_CHECK_LABELS_MAX: usize = 40;
/// Overdue queries of one worker whose late replies are still taken. Each holds a socket; past it the query is dropped.
pub const OVERDUE_QUERIES_MAX: usize = 1_024;
/// A reply that waited longer than this to be read has no known time of arrival, so it does not count as a round-trip time.
pub const UNREAD_REPLY_MAX: Duration = Duration::from_millis(5);
/// Empty NOERROR replies without SOA, from different servers, after which NODATA is believed (RFC 2308 2.2 has such replies;
/// broken servers send them for names that exist).
pub const EMPTY_REPLIES_MAX: u8 = 2;
/// Replies in another letter case, or without the cookie that is expected, from a server without TCP, after each of which it is
/// asked again over UDP.
pub const DOUBTFUL_REPLIES_MAX: u8 = 2;
/// Useless replies (SERVFAIL, REFUSED, lame) after which the servers of a cut are given up for a question: a zone whose
/// eight servers all answer SERVFAIL must not cost eight queries.
pub const USELESS_REPLIES_MAX: usize = 5;
/// Unanswered queries after which the servers of a cut are given up for a question. A network that loses one packet in
/// three loses all of these once in six thousand times.
pub const SILENT_QUERIES_MAX: usize = 8;
/// As `SILENT_QUERIES_MAX`, where addresses of name servers had to be looked up: an attacker can cause any number of such
/// look-ups (NXNSAttack, 2020).
pub const SILENT_QUERIES_LOOKED_UP_MAX: usize = 6;
/// Unanswered queries for a minimised name after which the whole name is asked for: some servers do not reply for empty
/// non-terminals (RFC 9156 3).
pub const SILENT_MINIMISED_MAX: usize = 2;
/// Unanswered queries to the root after which the addresses of the root hints are tried too: the cached NS RRset of the root
/// may be wrong for days.
pub const SILENT_ROOT_MAX: usize = 2;
/// BADCOOKIE replies after which TCP is used, which needs no cookie (RFC 7873 5.3): several servers behind one address may
/// each have a secret of their own.
pub const BADCOOKIE_REPLIES_MAX: u8 = 2;
/// Queries after a reply of a signed zone's last server that came without OPT, and may be an error that passes. Peers send a
/// query four or five times in all.
pub const ODD_CHECKS_MAX: u8 = 3;
/// The longest wait for TCP that is to vouch for a reply over UDP (RFC 5452 9.2). Where TCP is filtered the query then goes
/// over UDP.
pub const TCP_VOUCHING_MAX: Duration = Duration::from_millis(500);
/// The shortest time-out of a forwarder: it answers at once from its cache, or after a walk of its own.
pub const FORWARDER_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// How long the look-ups of servers' addresses are waited for before as many others begin. Most end sooner; and a client waits
/// `Limits::give_up_latest_ms` for the last of 13 names, while the others' servers are silent.
pub const NS_LOOK_UP_PATIENCE: Duration = Duration::from_millis(400);

/// Resolvers of the network that are asked for the prefix of its translator (RFC 7050): the system's own list has three at most.
pub const NAT64_RESOLVERS_MAX: usize = 3;
/// How long one of them is waited for: they are near, and a client waits for the answer.
pub const NAT64_PATIENCE: Duration = Duration::from_millis(500);
