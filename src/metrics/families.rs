//! The table of all counters, gauges and histograms. A family is a name with a value for each combination of its labels.

use super::labels::{Outcome, Over, QueryType};

/// The name of a label, and its values. A family without labels has none.
pub(super) type Label = (&'static str, &'static [&'static str]);

pub(super) struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: &'static [Label],
}

impl Family {
    /// Number of its values.
    pub(super) const fn len(&self) -> usize {
        let (mut product, mut at) = (1, 0);
        while at < self.labels.len() {
            product *= self.labels[at].1.len();
            at += 1;
        }
        product
    }
}

/// An enum of families with their table, in one order.
macro_rules! families {
    ($(#[$meta:meta])* $kind:ident: $($variant:ident = $name:literal $([$($label:expr),*])?, $help:literal;)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $kind {
            $(#[doc = $help] $variant,)*
        }

        impl $kind {
            pub(super) const FAMILIES: &[Family] =
                &[$(Family { name: $name, help: $help, labels: &[$($($label),*)?] },)*];
        }
    };
}

const OVER: Label = ("over", Over::NAMES);
const TYPE: Label = ("type", QueryType::NAMES);
const RCODE: Label = ("rcode", Outcome::NAMES);

families! {
    /// Only grows.
    Counter:
    Queries = "queries" [OVER, TYPE], "Queries of clients whose type could be read";
    Replies = "replies" [RCODE], "Replies to clients";
    CacheHits = "cache-hits", "Questions answered from the cache";
    CacheMisses = "cache-misses", "Questions for which servers were queried";
    ReadyHosted = "answered-from-ready-hosted", "Questions answered by a ready answer from a hosted zone";
    AtOnce = "answered-at-once", "Other questions answered without waiting: hosted zones, special names, errors";
    LookedUp = "looked-up", "Questions that needed a look-up in the cache or at servers";
    Malformed = "malformed", "Queries that could not be read";
    Walks = "walks", "Walks begun";
    WalksFailed = "walks-failed", "Walks that ended in a failure";
    UpstreamQueries = "upstream-queries", "Queries sent to servers";
    UpstreamSecondQueries = "upstream-second-queries", "Queries sent to a second server because the first was slow";
    UdpQueries = "udp-queries", "Datagrams received";
    UdpAtOnce = "udp-at-once", "Datagrams answered without waiting";
    UdpCutOff = "udp-cut-off", "Datagrams longer than any query, answered with FORMERR unread";
    UdpUnsent = "udp-unsent", "Replies that the kernel refused to send";
    UdpPaced = "udp-paced", "Replies delayed because too many were leaving to one client at once";
    ReceiveErrors = "receive-errors", "Errors of listening UDP sockets";
    StreamQueries = "stream-queries", "Messages received over TCP";
    StreamAtOnce = "stream-at-once", "Messages over TCP answered without waiting";
    Connections = "connections", "TCP connections accepted";
    ConnectionsEvicted = "connections-evicted", "TCP connections closed to make room for others";
    ConnectionsTimedOut = "connections-timed-out", "TCP connections closed because the client sent nothing, sent too slowly or did not read";
    AcceptErrors = "accept-errors", "Errors of accepting TCP connections";
    TurnedAway = "turned-away", "Questions refused because too many were in progress";
    Panics = "panics", "Panics while answering; each cost one question";
}

families! {
    /// Goes up and down.
    Gauge:
    ConnectionsOpen = "connections-open", "TCP connections open";
    Waiting = "waiting", "Questions whose clients are waiting for an answer";
}

families! {
    /// Counts values by size, and their sum.
    Histogram:
    Wait = "wait-ms", "Milliseconds that clients waited for answers that needed a look-up";
}

/// Upper bounds of the buckets of all histograms; the last bucket has none. Each is twice the one before, from a server nearby
/// up to the time after which a client gives up: precise enough for percentiles.
pub(super) const BUCKETS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192];
/// The buckets, the one without bound, and the sum.
pub(super) const HISTOGRAM_VALUES: usize = BUCKETS.len() + 2;

/// Where the values of each family begin among those of its kind, and how many there are in all.
pub(super) const fn offsets<const N: usize>(families: &[Family]) -> ([usize; N], usize) {
    let (mut offsets, mut next, mut at) = ([0; N], 0, 0);
    while at < families.len() {
        offsets[at] = next;
        next += families[at].len();
        at += 1;
    }
    (offsets, next)
}
