//! The table of all counters, gauges and histograms. A family is a name with a value for each combination of its labels.

use super::labels::{ClientFamily, ClientLimit, ExtendedError, Outcome, Over, PolicyAction, QueryType, Source, SpentBound};

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

const TRANSPORT: Label = ("transport", Over::NAMES);
const FAMILY: Label = ("family", ClientFamily::NAMES);
const SOURCE: Label = ("source", Source::NAMES);
const REACHED: Label = ("limit", ClientLimit::NAMES);
const BOUND: Label = ("bound", SpentBound::NAMES);
const ACTION: Label = ("action", PolicyAction::NAMES);
const TYPE: Label = ("type", QueryType::NAMES);
const RCODE: Label = ("rcode", Outcome::NAMES);
const EDE: Label = ("ede", ExtendedError::NAMES);

families! {
    /// Only grows.
    Counter:
    Queries = "queries" [TRANSPORT, FAMILY, TYPE], "Queries of clients whose type could be read";
    Answers = "answers" [RCODE], "Answers to clients";
    ExtendedErrors = "answers-with-ede" [EDE], "Answers with an extended error (RFC 8914), also where the client cannot be told of it";
    AtOnce = "answers-at-once" [SOURCE], "Answers given without waiting, by source";
    NotReady = "answers-at-once-not-ready", "Of these, answers that were not kept ready, and were put together anew";
    LookedUpHits = "looked-up-hits", "Questions that took a look-up, for which no server was queried";
    CacheMisses = "cache-misses", "Questions for which servers were queried";
    LookedUp = "looked-up", "Questions that needed a look-up in the cache or at servers";
    StaleAnswers = "stale-answers", "Answers from expired data, because servers failed (RFC 8767)";
    DnssecBogus = "dnssec-bogus", "Answers whose DNSSEC validation failed";
    Coalesced = "coalesced", "Questions that joined a walk in progress";
    Prefetches = "prefetches", "Names looked up again before they expired";
    Limits = "limits-reached" [REACHED], "Times that a limit towards clients was reached, by its key in [limits]";
    PolicyRewrites = "response-policy-rewrites" [ACTION], "Answers that a rule of a response policy zone changed, by what it did";
    BudgetsSpent = "budgets-spent" [BOUND], "Questions that failed at a bound on the work for one question";
    Malformed = "malformed", "Queries that could not be read";
    Transfers = "transfers", "Zone transfers to other servers that have begun";
    TransfersRefused = "transfers-refused", "Zone transfers that were refused";
    Updates = "updates", "Updates of zones (RFC 2136) that were carried out";
    UpdatesRefused = "updates-refused", "Updates of zones that were refused, or failed";
    Walks = "walks", "Walks begun";
    WalksFailed = "walks-failed", "Walks that ended in a failure";
    UpstreamQueries = "upstream-queries", "Queries sent to servers";
    UpstreamTimeouts = "upstream-timeouts", "Queries to which no server replied in time";
    UpstreamTcp = "upstream-tcp", "Queries that were sent to servers over TCP";
    UpstreamTls = "upstream-tls", "Queries to servers that are asked over TLS (RFC 7858)";
    UpstreamHttps = "upstream-https", "Queries to servers that are asked over HTTPS (RFC 8484)";
    UpstreamTlsConnections = "upstream-tls-connections", "Of these two, queries that were answered over a connection made for them";
    UpstreamTlsUnverified = "upstream-tls-unverified", "Of these two, queries that failed because the server did not prove to be the one that is asked";
    UpstreamTlsHandshakesFailed = "upstream-tls-handshakes-failed", "Of these two, queries that failed because the TLS handshake did";
    UpstreamHttpsErrors = "upstream-https-errors", "Queries over HTTPS that were answered with an error or no DNS message";
    UpstreamSecondQueries = "upstream-second-queries", "Queries sent to a second server because the first was slow";
    UdpQueries = "udp-queries", "Datagrams received";
    UdpAtOnce = "udp-at-once", "Datagrams answered without waiting";
    UdpCutOff = "udp-cut-off", "Datagrams longer than any query, answered with FORMERR unread";
    UdpUnsent = "udp-unsent", "Replies that the kernel refused to send";
    UdpPaced = "udp-paced", "Replies delayed because too many were leaving to one client at once";
    ReceiveErrors = "receive-errors", "Errors of listening UDP sockets";
    StreamQueries = "stream-queries", "Messages received over TCP, TLS and HTTPS";
    StreamAtOnce = "stream-at-once", "Messages over TCP, TLS and HTTPS answered without waiting";
    Connections = "connections", "TCP connections accepted";
    ConnectionsEvicted = "connections-evicted", "TCP connections closed to make room for others";
    ConnectionsTimedOut = "connections-timed-out", "TCP connections closed because the client sent nothing, sent too slowly or did not read";
    AcceptErrors = "accept-errors", "Errors of accepting TCP connections";
    TlsHandshakes = "tls-handshakes", "TLS handshakes completed";
    TlsResumed = "tls-handshakes-resumed", "Of these, those that resumed an earlier session";
    TlsHandshakesFailed = "tls-handshakes-failed", "TLS handshakes that failed or took too long";
    TlsHandshakesRefused = "tls-handshakes-refused", "Connections closed before TLS because their client had begun too many handshakes";
    TlsHandshakesEvicted = "tls-handshakes-evicted", "TLS handshakes ended to make room for others";
    ProxyHeadersRefused = "proxy-headers-refused", "Messages and connections of peers in `server.proxy-from` that did not begin with a PROXY protocol header";
    HttpRefused = "http-requests-refused", "HTTP requests that asked for no DNS message, or asked in a wrong way";
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
    Answer = "answer-us" [SOURCE], "Microseconds from reading a question to its answer";
    UpstreamRtt = "upstream-rtt-us" [TRANSPORT], "Microseconds from sending a query to the reply of the server; over new connections with connecting";
}

/// Upper bounds, in microseconds, of the buckets of all histograms; the last bucket has none. From a batch out of the cache up
/// to the time after which a client has given up; close enough to each other for percentiles.
pub(super) const BUCKETS: &[u64] = &[
    50, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000, 20_000, 30_000, 50_000, 70_000, 100_000,
    150_000, 200_000, 300_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000,
];
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
