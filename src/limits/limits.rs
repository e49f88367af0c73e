//! The limits that are handed down as one value: what one client question, all clients and all walks may cost.
//!
//! Each has its unit in the name, and the attack or RFC that set it. None is below what honest zones and clients of today
//! need. The relations between them are checked when the program is built.

/// All limits. One value is made at the start and handed down, so that a test can tighten a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    // What one client question may cause. A budget of these travels with the question and is never refilled.
    /// Queries sent to servers for one client question, everything included. Water-torture and composed attacks
    /// (CAMP, 2024) multiply the smaller limits; this is the sum that they cannot pass. Six aliases through signed zones whose
    /// server names lie three levels deep need 72 from an empty cache. The peers' sums are 100 to 200.
    pub upstream_queries_per_question: u32,
    /// Names of one NS set whose addresses are looked up in one walk (NXNSAttack, 2020): the servers found so far, if
    /// any, were of no use. Names with glue are not looked up and do not count. The strictest peer stops after four.
    pub ns_names_looked_up_per_set: usize,
    /// In an NS set of no more names than this, those that are found to have no address do not count either: the only one
    /// that has one may be looked up last. The root and the large TLDs have as many.
    pub ns_names_of_usual_set: usize,
    /// NS names of one referral that are kept at all (NRDelegation, 2022: 1,000 NS names in one referral). The root
    /// and the large TLDs have 13.
    pub ns_names_kept_per_set: usize,
    /// NS names of one referral past which it is not followed at all (NRDelegation, 2022): honest zones have at most
    /// a few dozen, and one peer takes no set of more records than this.
    pub ns_names_believed_per_set: usize,
    /// What searches for the address of a server that find nothing may cost together, for one client question: those of one
    /// usual NS set, or five that lead to further searches (`SEARCH_ENDED_COST`, `SEARCH_LOST_COST`). Beyond it only
    /// servers whose addresses are known are asked (NXNSAttack in each link of a chain of aliases: CAMP, 2024).
    pub searches_in_vain_per_question: u32,
    /// Addresses that are tried for one NS name: a name with 60 dead addresses must not cost 60 time-outs.
    pub addresses_per_ns: usize,
    /// Queries without reply to the addresses of one NS name. They are mostly one machine, or machines behind one
    /// router: what two of them do not say, asked twice, others will not. One that has just replied to others is asked on.
    pub silent_queries_per_ns: u8,
    /// Queries to the servers of one cut for one question, repeats included.
    pub tries_per_cut: usize,
    /// CNAME and DNAME steps in one answer. RFC 1034 3.6.2 asks for some bound; the peers follow 8 to 16.
    pub aliases: usize,
    /// Referrals followed downwards for one name: each must lead nearer, so this bounds only names of many cuts.
    pub referrals: usize,
    /// Walks inside walks: the address of a server whose own zone has servers without glue, and so on (iDNS, 2011;
    /// TsuNAME, 2021).
    pub glueless_depth: usize,
    /// Times that a walk may begin again at a cut further up, after it found that its servers are lame.
    pub restarts: usize,
    /// Queries for one zone with labels hidden that lead to no new cut (RFC 9156 2.3): a name of 121 labels must not
    /// cost 121 queries.
    pub minimised_queries_per_zone: usize,
    /// The same for all that one client question causes, aliases and servers included: each alias of a chain may be a
    /// name of many labels (CAMP, 2024). Only the root and the TLDs are shown no more of what a client asked for.
    pub minimised_in_vain_per_question: u32,
    /// A name of more labels is shown to each zone once shortened and then whole. The longest honest ones are IPv6
    /// addresses below a block list, of about 40.
    pub minimised_labels: usize,
    /// Near misses (right address and port, wrong ID, question or case) after which one query is asked over TCP as
    /// well (RFC 5452 9.2 and later spoofing attacks).
    pub near_misses_per_query: u32,
    /// UDP sockets towards servers that one worker has open at a time; each is a descriptor. Questions to which no reply
    /// comes hold theirs for seconds.
    pub upstream_sockets_per_worker: usize,

    // Trust.
    /// What failed signature checks of all questions may cost in a second: a tenth of one core. Honest zones cause hardly any
    /// (KeyTrap, CVE-2023-50387, spread over many questions).
    pub failed_checks_us_per_second: u32,
    /// One client may use up one part in so many of it: an eighth.
    pub failed_checks_clients: u32,
    /// One zone, which several clients may ask for, may use up one part in so many of it: a quarter.
    pub failed_checks_zones: u32,
    /// A client and a zone that have cost no more than this in a second go on when the whole is spent, out of a reserve of
    /// the same size: the checks of a few names in a zone with colliding key tags.
    pub failed_checks_us_reserved: u32,
    /// Zones whose agent for error reports is remembered, and reports that are remembered so that they are made once an
    /// hour (RFC 9567 6.1).
    pub report_agents: usize,
    pub error_reports: usize,
    /// Error reports in one minute. Nobody waits for them, and an operator needs only a few to see what is wrong; but a zone
    /// can name anybody as its agent, and have endless failing names asked for.
    pub error_reports_per_minute: u32,
    /// Error reports in one minute to one agent: an attacker's zones may all name an agent that is not theirs.
    pub error_reports_per_agent: u32,
    /// Error reports in one minute about one zone: reports about other zones are still made.
    pub error_reports_per_zone: u32,
    /// Octets of a transfer of the root zone: of its messages, which have 1.5 MB today, and of its records in memory.
    pub local_root_bytes: usize,
    /// Seconds that a copy of the root zone is used after it was last verified, even if its SOA allows more.
    pub local_root_kept_s: u32,
    /// Clients and zones that are told apart in one second; past it every failed check is refused.
    pub failed_checks_entries: usize,
    /// SHA-1 blocks that one look-up may spend on an answer out of cached NSEC3 records (RFC 8198). Five names at 50
    /// iterations; past it a server is asked. Apart from what the question may spend on proofs (CVE-2023-50868).
    pub inferred_nsec3_blocks: u32,
    /// Negative trust anchors that are set while running: each is looked at for each proof.
    pub negative_anchors_added: usize,
    /// Life of one that is set without saying how long (RFC 7646 2: as short as will do).
    pub negative_anchor_s: u64,
    /// The longest life of one (RFC 7646 2: not more than a week).
    pub negative_anchor_most_s: u64,

    // Time.
    /// A walk ends here, with or without a client; its result is cached.
    pub walk_time_ms: u64,
    /// Without any sign of life from any server the client hears SERVFAIL not before this: a slow link is not dead.
    pub give_up_earliest_ms: u64,
    /// And not after this: stub resolvers ask again after 5 s.
    pub give_up_latest_ms: u64,
    /// From here on an expired answer is given instead of waiting (RFC 8767 5: 1.8 s).
    pub stale_after_ms: u64,
    /// How long one failed resolution is remembered: RFC 9520 3.2 asks for at least 1 s and at most 5 min.
    pub failure_kept_least_s: u32,
    /// TTL of expired data in an answer (RFC 8767 4: 30 s).
    pub stale_ttl_s: u32,
    /// No single wait for one server is longer, whatever its history.
    pub upstream_timeout_most_ms: u64,
    /// The longest stretch of cold work (a signature, an NSEC3 hash, a large message) before other clients are served.
    pub cold_slice_us: u64,
    /// An orderly stop waits this long for answers under way.
    pub stop_ms: u64,

    // Messages.
    /// Largest UDP payload that is announced to servers (RFC 9715 3.2: avoids fragments, which can be forged). What clients
    /// are sent is `clients::UDP_REPLY_BYTES_MAX`.
    pub edns_udp_bytes: u16,

    // Clients.
    /// UDP replies from hosted zones in a second to one client prefix outside `server.allow`. A real busy client, such as a
    /// resolver with a cold cache, stays well below; a victim of reflection gets no more.
    pub responses_per_second: u32,
    /// Replies that a prefix which was quiet may get at once: five seconds' worth.
    pub responses_burst: u32,
    /// Questions of all clients that have walks under way. Each costs memory and sockets for as long as the servers are
    /// silent; past it the client with most loses its oldest one. One whose servers are silent takes 20 KiB (measured,
    /// sockets and timers included), and each further walk for it 8 KiB, which count as two fifths of a question: all of them
    /// together take 24 MiB. With what TCP and the program itself take this must stay below 32 MiB beside a full cache. The
    /// peers have 1,000 to 2,048.
    pub pending_questions: usize,
    /// Questions of one client (address, or /56 of IPv6) that have walks under way: others find room without anybody's loss.
    pub pending_questions_per_client: usize,
    /// Those of one client that came over UDP, where addresses can be forged, and are not answered yet: whoever is sent
    /// their answers has perhaps not asked (CVE-2024-33655, DNSBomb). Loopback cannot be forged from outside.
    pub pending_datagrams_per_client: usize,
    /// A question has this long before it loses its place to one of a client that has as many: enough for most answers, so
    /// that a flood from forged addresses does not make every question fail.
    pub pending_least_ms: u64,
    /// A client with so many questions under way is greedy. A person's machine has fewer, even with slow servers.
    pub pending_greedy: usize,
    /// A question has this long before it loses its place to one of a greedy client. A flood would otherwise make this
    /// resolver begin a walk for each question, only to end it soon after.
    pub pending_greedy_least_ms: u64,
    /// Answers that had to be waited for which leave to one UDP client within one pulse (CVE-2024-33655, DNSBomb). A browser
    /// that opens a page waits for fewer.
    pub answers_per_pulse: usize,
    /// Length of a pulse. No more answers than these should leave within 20 ms; a pulse is longer, because timers may be some
    /// milliseconds late.
    pub pulse_ms: u64,
    /// Walks under way, also those that no client waits for; walks for clients are bounded by `pending_questions`.
    pub walks: usize,
    /// Questions whose usual hours are learned (`cache.keep-warm`); about 150 octets each. Past it the least recently asked
    /// is forgotten.
    pub keep_warm_questions: usize,
    /// TCP connections in all; past it the one that has been idle longest is closed.
    pub tcp_connections: usize,
    /// TCP connections of one client.
    pub tcp_connections_per_client: usize,
    /// Questions under way on one TCP connection (RFC 7766 6.2.1.1: pipelining).
    pub tcp_questions_per_connection: usize,
    /// A connection without a question is closed after this (RFC 7766 6.2.3: a few seconds).
    pub tcp_idle_ms: u64,
    /// A message that has begun must be whole after this (slow-read attacks).
    pub tcp_message_ms: u64,
    /// Bytes held for one TCP connection, inwards (unfinished messages, questions under way) and outwards (answers that the
    /// client does not read). One more message is taken while there are fewer; so it must hold the longest message
    /// (RFC 1035 4.2.2) and what is read with it.
    pub tcp_bytes_per_connection: usize,
    /// The same for all connections together; past it the client with most loses a connection.
    pub tcp_bytes: usize,
    /// Connections over TLS and HTTPS in all; past it the one that has been idle longest is closed. An idle one takes up to 25 KiB.
    pub tls_connections: usize,
    /// Those of one client.
    pub tls_connections_per_client: usize,
    /// An encrypted connection without a question is closed after this: a new one costs a handshake.
    pub tls_idle_ms: u64,
    /// Handshakes that a /24 or /56 of clients in `allow` may begin in a second, and at once after a quiet time as many as there are
    /// places for connections. At a fifth of a millisecond for each, they take two fifths of a core: one network must not keep the
    /// others from connecting.
    pub tls_handshakes_per_second: u32,
    /// Octets held for all encrypted connections together; past it the client with most loses a connection.
    pub tls_bytes: usize,
    /// Kernel buffer of each listening socket: at 100,000 questions a second it bridges 50 ms of a busy worker.
    pub socket_receive_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        LIMITS
    }
}

/// Descriptors for listening sockets, the control socket, logs, and files that are read or written.
const DESCRIPTORS_FOR_FILES: usize = 96;
/// What each worker needs besides its sockets towards servers: its reactor, and idle sockets to be used again.
const DESCRIPTORS_PER_WORKER: usize = 16;

impl Limits {
    /// The same limits, made smaller where the process may open fewer than these many files (RLIMIT_NOFILE): clients
    /// over TCP get a quarter of them, those over TLS an eighth, TCP to servers and files the reserve, and UDP to servers the rest. A question that
    /// waits for a server holds a socket, so no more questions may wait than there are sockets.
    pub fn within_descriptors(self, descriptors: usize, workers: usize) -> Limits {
        let workers = workers.max(1);
        let for_files = (DESCRIPTORS_FOR_FILES + workers * DESCRIPTORS_PER_WORKER).min(descriptors / 4);
        let clients = (descriptors / 4).min(self.tcp_connections);
        let tls_connections = (descriptors / 8).clamp(2, self.tls_connections);
        let to_servers = descriptors.saturating_sub(for_files + clients + tls_connections);
        // An eighth of these is left to TCP towards servers.
        let sockets_per_worker = (to_servers / 8 * 7 / workers).clamp(1, self.upstream_sockets_per_worker);
        let pending_questions = self.pending_questions.min(sockets_per_worker * workers).max(2);
        let pending_questions_per_client = self.pending_questions_per_client.min(pending_questions / 4 * 3).max(1);
        let tcp_connections = clients.max(2);
        Limits {
            upstream_sockets_per_worker: sockets_per_worker,
            pending_questions,
            pending_questions_per_client,
            tcp_connections,
            tcp_connections_per_client: self.tcp_connections_per_client.min(tcp_connections / 2),
            tls_connections,
            tls_connections_per_client: self.tls_connections_per_client.min(tls_connections / 6 * 5).max(1),
            ..self
        }
    }
}

const LIMITS: Limits = Limits {
    upstream_queries_per_question: 96,
    ns_names_looked_up_per_set: 4,
    ns_names_of_usual_set: 13,
    ns_names_kept_per_set: 32,
    ns_names_believed_per_set: 100,
    searches_in_vain_per_question: 14,
    addresses_per_ns: 3,
    silent_queries_per_ns: 4,
    tries_per_cut: 16,
    aliases: 11,
    referrals: 30,
    glueless_depth: 7,
    restarts: 4,
    minimised_queries_per_zone: 3,
    minimised_in_vain_per_question: 2,
    minimised_labels: 48,
    near_misses_per_query: 3,
    upstream_sockets_per_worker: 8_192,

    failed_checks_us_per_second: 100_000,
    failed_checks_clients: 8,
    failed_checks_zones: 4,
    failed_checks_us_reserved: 1_000,
    report_agents: 10_000,
    error_reports: 10_000,
    error_reports_per_minute: 60,
    error_reports_per_agent: 20,
    error_reports_per_zone: 10,
    local_root_bytes: 32 << 20,
    local_root_kept_s: 7 * 86_400,
    failed_checks_entries: 16_384,
    inferred_nsec3_blocks: 256,
    negative_anchors_added: 256,
    negative_anchor_s: 3_600,
    negative_anchor_most_s: 604_800,

    walk_time_ms: 10_000,
    give_up_earliest_ms: 2_000,
    give_up_latest_ms: 4_500,
    stale_after_ms: 1_800,
    failure_kept_least_s: 5,
    stale_ttl_s: 30,
    upstream_timeout_most_ms: 2_000,
    cold_slice_us: 200,
    stop_ms: 100,

    edns_udp_bytes: 1_232,

    responses_per_second: 200,
    responses_burst: 1_000,
    pending_questions: 1_152,
    pending_questions_per_client: 864,
    pending_datagrams_per_client: 800,
    pending_least_ms: 200,
    pending_greedy: 48,
    pending_greedy_least_ms: 1_000,
    answers_per_pulse: 50,
    pulse_ms: 30,
    walks: 16_384,
    keep_warm_questions: 10_000,
    tcp_connections: 8_192,
    tcp_connections_per_client: 2_048,
    tcp_questions_per_connection: 128,
    tcp_idle_ms: 10_000,
    tcp_message_ms: 5_000,
    tcp_bytes_per_connection: 131_072,
    tcp_bytes: 8 << 20,
    tls_connections: 12_288,
    tls_connections_per_client: 10_240,
    tls_idle_ms: 30_000,
    tls_handshakes_per_second: 2_000,
    tls_bytes: 16 << 20,
    socket_receive_bytes: 4 << 20,
};

// The bounds must leave room for one another.
const _: () = {
    let l = LIMITS;
    assert!(l.stale_after_ms < l.give_up_earliest_ms, "stale data comes before giving up");
    assert!(l.give_up_earliest_ms < l.give_up_latest_ms && l.give_up_latest_ms < l.walk_time_ms);
    assert!(l.give_up_latest_ms < 5_000, "clients ask again after 5 s");
    assert!(l.searches_in_vain_per_question as usize > l.ns_names_of_usual_set, "each name of a usual set may be looked up");
    assert!(l.ns_names_of_usual_set <= l.ns_names_kept_per_set && l.ns_names_looked_up_per_set <= l.ns_names_of_usual_set);
    assert!(l.tries_per_cut < l.upstream_queries_per_question as usize, "one cut must not spend the whole budget");
    assert!(l.pending_questions_per_client < l.pending_questions, "one client must not fill the table");
    assert!(l.error_reports_per_zone < l.error_reports_per_agent && l.error_reports_per_agent < l.error_reports_per_minute);
    assert!(l.pending_least_ms <= l.pending_greedy_least_ms && l.pending_greedy_least_ms < l.give_up_earliest_ms);
    assert!(l.pulse_ms > 20 && l.answers_per_pulse <= 50, "at most 50 in 20 ms");
    assert!(l.tcp_bytes_per_connection >= 65_537 + 16_384, "the longest message must fit");
    assert!(l.tcp_bytes >= 16 * l.tcp_bytes_per_connection, "one client must not take all bytes");
    assert!(l.tls_connections_per_client < l.tls_connections);
    assert!(l.tls_bytes >= 16 * l.tcp_bytes_per_connection, "one client must not take all bytes");
    assert!(l.walks > 2 * l.pending_questions_per_client, "one client must not take every walk");
    assert!(l.tcp_connections_per_client < l.tcp_connections, "one client must not take every connection");
    assert!(l.failure_kept_least_s >= 1 && l.failure_kept_least_s <= 300, "RFC 9520 3.2");
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_the_descriptors() {
        for workers in [1, 2, 64] {
            for descriptors in [0, 16, 256, 1_024, 4_096, 20_000, 65_536, 1 << 20, usize::MAX] {
                let limits = LIMITS.within_descriptors(descriptors, workers);
                let to_servers = limits.upstream_sockets_per_worker * workers;
                let what = format!("{descriptors} descriptors, {workers} workers: {limits:?}");
                assert!(limits.pending_questions <= to_servers.max(2), "{what}");
                assert!(limits.pending_questions_per_client < limits.pending_questions, "{what}");
                assert!(limits.tcp_connections_per_client < limits.tcp_connections, "{what}");
                if descriptors >= 256 * workers {
                    let for_files = descriptors / 16;
                    assert!(to_servers + limits.tcp_connections + for_files <= descriptors, "{what}");
                    assert!(to_servers >= (descriptors / 4).min(8_192 * workers), "{what}");
                }
            }
        }
        assert_eq!(LIMITS.within_descriptors(1 << 20, 4), LIMITS);
    }
}
