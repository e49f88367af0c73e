//! The table of keys: each row has a key's type, default, range, meaning and reason, and the field that holds its value.
//!
//! The reader, the suggestions for unknown keys, `cairn config show` and the reference all use this table; a key that is not in
//! it does not exist.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::address_entry::AddressEntry;
use super::block_answer::BlockAnswer;
use super::forwarder::{Forwarder, Pin};
use super::list_settings::ListSource;
use super::log_format::LogFormat;
use super::negative::NegativeAnchor;
use super::prefix::Prefix;
use super::schedule::ScheduleRule;
use super::secret::Secret;
use super::settings::{LogLevel, QnameMinimisation, Settings, Sha1};
use super::tap_settings::QueryLogWhat;
use super::translation::TranslationPrefix;
use super::view_settings::{ListenPlace, SafeSearch, ViewForward};
use crate::record::Name;

/// One key of a section whose settings are kept in a `T`.
pub(super) struct Row<T> {
    pub(super) key: &'static str,
    pub(super) kind: Kind<T>,
    /// As it is written in the file, or a sentence in parentheses where the default is no value.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
    /// The RFC, attack or custom that set the default; empty where the default needs no explanation.
    pub(super) why: &'static str,
}

/// The type of a key's value, and the field that holds it.
pub(super) enum Kind<T> {
    Switch(fn(&mut T) -> &mut bool),
    /// A switch whose default is detected when the program runs.
    SwitchOrFoundOut(fn(&mut T) -> &mut Option<bool>),
    Count(fn(&mut T) -> &mut Option<usize>, u64, u64),
    Number(fn(&mut T) -> &mut usize, u64, u64),
    Seconds(fn(&mut T) -> &mut u32, u64, u64),
    Bytes(fn(&mut T) -> &mut u64, u64, u64),
    /// One of a few words; the value is the word's index in the list.
    Word(&'static [&'static str], fn(&mut T, usize), fn(&T) -> usize),
    FileOrBuiltIn(fn(&mut T) -> &mut Option<PathBuf>),
    /// A file that is written, or standard output.
    FileOrOutput(fn(&mut T) -> &mut Option<PathBuf>),
    /// A folder whose default is found when the program runs.
    FolderOrFoundOut(fn(&mut T) -> &mut Option<PathBuf>),
    /// An account of this system that, left alone, is found out.
    AccountOrFoundOut(fn(&mut T) -> &mut Option<String>),
    Name(fn(&mut T) -> &mut Name),
    OptionalName(fn(&mut T) -> &mut Option<Name>),
    /// A text that fits into one character string (RFC 1035 3.3).
    OptionalText(fn(&mut T) -> &mut Option<String>),
    Names(fn(&mut T) -> &mut Vec<Name>),
    NegativeAnchors(fn(&mut T) -> &mut Vec<NegativeAnchor>),
    Prefixes(fn(&mut T) -> &mut Vec<Prefix>),
    /// The prefix of a translator.
    Translation(fn(&mut T) -> &mut TranslationPrefix),
    /// The same, where there may be none.
    OptionalTranslation(fn(&mut T) -> &mut Option<TranslationPrefix>),
    /// Records in master-file form, read where master files are understood.
    Records(fn(&mut T) -> &mut Vec<String>),
    /// An address with its port.
    OptionalSocket(fn(&mut T) -> &mut Option<SocketAddr>),
    /// At least one address.
    Listen(fn(&mut T) -> &mut Option<Vec<SocketAddr>>),
    /// Addresses with their ports; none: not at all.
    ListenOrOff(fn(&mut T) -> &mut Vec<SocketAddr>),
    /// Addresses, and the port of those that are written without one.
    ListenAt(fn(&mut T) -> &mut Vec<SocketAddr>, u16),
    /// The path of a URI.
    UriPath(fn(&mut T) -> &mut String),
    /// Addresses of servers.
    Servers(fn(&mut T) -> &mut Vec<Forwarder>),
    /// Addresses of servers, and URLs of those that are asked over encrypted connections.
    Forwarders(fn(&mut T) -> &mut Vec<Forwarder>),
    /// Digests of public keys.
    Pins(fn(&mut T) -> &mut Vec<Pin>),
    /// Servers, each perhaps with a TSIG key.
    Peers(fn(&mut T) -> &mut Vec<AddressEntry>),
    /// The same, with a default that another key gives.
    PeersOrDerived(fn(&mut T) -> &mut Option<Vec<AddressEntry>>),
    /// Addresses, prefixes and TSIG keys of clients.
    Clients(fn(&mut T) -> &mut Vec<AddressEntry>),
    /// A file or a URL.
    Source(fn(&mut T) -> &mut Option<ListSource>),
    /// A word or addresses.
    BlockAnswer(fn(&mut T) -> &mut Option<BlockAnswer>),
    /// URIs, each with its scheme.
    Uris(fn(&mut T) -> &mut Vec<String>),
    /// Names of entries of another list of tables; no value: all of them.
    TextsOrAll(fn(&mut T) -> &mut Option<Vec<String>>),
    NamesOrAll(fn(&mut T) -> &mut Option<Vec<Name>>),
    /// Records in place of others.
    RecordsInstead(fn(&mut T) -> &mut Option<Vec<String>>),
    SafeSearch(fn(&mut T) -> &mut SafeSearch),
    /// Addresses of this server, each with a port or without.
    ListenPlaces(fn(&mut T) -> &mut Vec<ListenPlace>),
    /// Forward rules, each a zone and its servers.
    Forwards(fn(&mut T) -> &mut Vec<ViewForward>),
    Schedule(fn(&mut T) -> &mut Vec<ScheduleRule>),
    /// The secret of a TSIG key, in base 64.
    Secret(fn(&mut T) -> &mut Option<Secret>),
}

/// A `[name]` table, which may appear once.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) rows: &'static [Row<Settings>],
}

pub(super) const SECTIONS: [Section; 11] = [
    Section { name: "server", rows: SERVER },
    Section { name: "recursion", rows: RECURSION },
    Section { name: "cache", rows: CACHE },
    Section { name: "policy", rows: POLICY },
    Section { name: "dns64", rows: DNS64 },
    Section { name: "tls", rows: TLS },
    Section { name: "limits", rows: CLIENTS },
    Section { name: "log", rows: LOG },
    Section { name: "web", rows: WEB },
    Section { name: "query-log", rows: QUERY_LOG },
    Section { name: "dnstap", rows: DNSTAP },
];

/// The names of the `[[name]]` tables, which may appear many times.
pub(super) const LISTS: [&str; 7] = ["key", "zone", "forward", "stub", "rpz", "list", "view"];

/// Seven days: RFC 8767 4 names this as the longest sensible cap on TTLs.
const WEEK: u64 = 604_800;

const SERVER: &[Row<Settings>] = &[
    Row {
        key: "listen",
        kind: Kind::Listen(|s| &mut s.server.listen),
        default: r#"["127.0.0.1:53", "[::1]:53"]"#,
        doc: "Addresses and ports to listen on, over UDP and TCP",
        why: "this machine only; if this key is not set and port 53 cannot be bound, port 5300 is used",
    },
    Row {
        key: "listen-tls",
        kind: Kind::ListenAt(|s| &mut s.server.listen_tls, 853),
        default: "[]",
        doc: "Addresses and ports at which DNS over TLS is served, with the certificate of `[tls]`; port 853 where none is written",
        why: "RFC 7858, RFC 8310",
    },
    Row {
        key: "listen-https",
        kind: Kind::ListenAt(|s| &mut s.server.listen_https, 443),
        default: "[]",
        doc: "Addresses and ports at which DNS over HTTPS is served over HTTP/2 and HTTP/1.1, with the certificate of `[tls]`; port 443 where none is written",
        why: "RFC 8484",
    },
    Row {
        key: "https-path",
        kind: Kind::UriPath(|s| &mut s.server.https_path),
        default: r#""/dns-query""#,
        doc: "Path of the URI that DNS over HTTPS is served at",
        why: "RFC 8484 4.1: what all clients propose",
    },
    Row {
        key: "https-json",
        kind: Kind::Switch(|s| &mut s.server.https_json),
        default: "false",
        doc: "Answer the JSON form of DNS over HTTPS as well: `?name=example.com&type=AAAA` at `https-path` and at /resolve, with the names that Google Public DNS and Cloudflare use",
        why: "no standard defines it, and no resolver of a system needs it",
    },
    Row {
        key: "proxy-from",
        kind: Kind::Prefixes(|s| &mut s.server.proxy_from),
        default: "[]",
        doc: "Load balancers such as dnsdist and HAProxy. Each must put a PROXY protocol header (version 2) before every UDP message and at the start of every connection, or inside TLS at its start; the client that the header names counts everywhere. A message of theirs without one is not answered, and nobody else's header is believed",
        why: "",
    },
    Row {
        key: "allow",
        kind: Kind::Prefixes(|s| &mut s.server.allow),
        default: r#"["127.0.0.0/8", "::1/128"]"#,
        doc: "Clients that may use recursion and the cache; all others get hosted zones only",
        why: "an open resolver is used to attack others (RFC 5358)",
    },
    Row {
        key: "workers",
        kind: Kind::Count(|s| &mut s.server.workers, 1, 1024),
        default: "(one per core)",
        doc: "Number of threads that answer queries",
        why: "",
    },
    Row {
        key: "state-dir",
        kind: Kind::FolderOrFoundOut(|s| &mut s.server.state_dir),
        default: "($STATE_DIRECTORY, else $XDG_STATE_HOME/cairn, else /var/lib/cairn if it exists; else none)",
        doc: "Folder for state that outlives a restart: followed trust anchors, the last date seen, the saved cache",
        why: "RFC 5011 2: followed trust anchors must be stored",
    },
    Row {
        key: "control-socket",
        kind: Kind::FileOrBuiltIn(|s| &mut s.server.control_socket),
        default: "($XDG_RUNTIME_DIR/cairn/control.sock if that is set, else /run/cairn/control.sock)",
        doc: "Unix socket at which `cairn status`, `cairn reload` and other commands reach the running server",
        why: "",
    },
    Row {
        key: "user",
        kind: Kind::AccountOrFoundOut(|s| &mut s.server.user),
        default: "(cairn where there is such an account, else root)",
        doc: "Account, by name or number, that a server started as root becomes; looked at when the server starts",
        why: "what answers the network needs no right of root",
    },
    Row {
        key: "sandbox",
        kind: Kind::Switch(|s| &mut s.server.sandbox),
        default: "true",
        doc: "Keep no capability but the one for ports below 1024, no files outside the configured folders (landlock) and few system calls (seccomp), where the kernel has these; looked at when the server starts",
        why: "a mistake in this program must not become a way into the system",
    },
    Row {
        key: "nat64-prefix",
        kind: Kind::OptionalTranslation(|s| &mut s.server.nat64_prefix),
        default: "(asked of the forwarders and of the system's resolvers, RFC 7050)",
        doc: "Prefix of the network's translator (NAT64), through which servers that have only IPv4 addresses are queried where this machine has no route for IPv4",
        why: "RFC 6052; a machine with IPv6 alone cannot resolve most names without it",
    },
    Row {
        key: "identity",
        kind: Kind::OptionalText(|s| &mut s.server.identity),
        default: "(not told)",
        doc: "Name of this server, which everybody may ask for: `id.server` and `hostname.bind` in class CH, and the EDNS option NSID",
        why: "RFC 4892, RFC 5001: with one address on many servers it shows which of them answers",
    },
    Row {
        key: "version",
        kind: Kind::OptionalText(|s| &mut s.server.version),
        default: "(cairn and its version, for clients in `allow` only)",
        doc: "Text that everybody gets who asks for `version.bind` or `version.server` in class CH; \"\" tells nobody",
        why: "strangers need not learn which faults a server may have",
    },
];

const RECURSION: &[Row<Settings>] = &[
    Row {
        key: "enabled",
        kind: Kind::Switch(|s| &mut s.recursion.enabled),
        default: "true",
        doc: "Resolve names; if false, only hosted zones are answered",
        why: "",
    },
    Row {
        key: "root-hints",
        kind: Kind::FileOrBuiltIn(|s| &mut s.recursion.root_hints),
        default: "(built in)",
        doc: "Master file with the root's NS, A and AAAA records; replaces the built-in one",
        why: "RFC 9609",
    },
    Row {
        key: "trust-anchor",
        kind: Kind::FileOrBuiltIn(|s| &mut s.recursion.trust_anchor),
        default: "(built in: 20326, 38696)",
        doc: "Master file with DS or DNSKEY records at any names; replaces the built-in anchors",
        why: "RFC 4033 5",
    },
    Row {
        key: "dnssec",
        kind: Kind::Switch(|s| &mut s.recursion.dnssec),
        default: "true",
        doc: "Validate with DNSSEC, and answer SERVFAIL if validation fails",
        why: "RFC 4035",
    },
    Row {
        key: "negative-trust-anchors",
        kind: Kind::NegativeAnchors(|s| &mut s.recursion.negative_trust_anchors),
        default: "[]",
        doc: "Names at and below which signatures are not checked, optionally with an end: \"NAME until 2026-12-31\"",
        why: "RFC 7646",
    },
    Row {
        key: "time-bootstrap-names",
        kind: Kind::Names(|s| &mut s.recursion.time_bootstrap_names),
        default: r#"["pool.ntp.org.", "ntp.ubuntu.com.", "time.cloudflare.com.", "time.google.com."]"#,
        doc: "Time servers: while the clock is certainly wrong, signature dates are not checked at and below these names",
        why: "a machine whose clock starts in the past could not find its time servers",
    },
    Row {
        key: "sha1",
        kind: Kind::Word(
            &["insecure", "validate"],
            |s, at| s.recursion.sha1 = [Sha1::Insecure, Sha1::Validate][at],
            |s| s.recursion.sha1 as usize,
        ),
        default: r#""insecure""#,
        doc: "Zones that are signed with SHA-1: treated as unsigned, or validated",
        why: "RFC 9905 2",
    },
    Row {
        key: "qname-minimisation",
        kind: Kind::Word(
            &["relaxed", "strict", "off"],
            |s, at| {
                s.recursion.qname_minimisation = [QnameMinimisation::Relaxed, QnameMinimisation::Strict, QnameMinimisation::Off][at];
            },
            |s| s.recursion.qname_minimisation as usize,
        ),
        default: r#""relaxed""#,
        doc: "Send each server no more of the name than it needs; relaxed sends the whole name if a server cannot handle that",
        why: "RFC 9156",
    },
    Row {
        key: "local-root",
        kind: Kind::Switch(|s| &mut s.recursion.local_root),
        default: "false",
        doc: "Keep a copy of the root zone, verified by its ZONEMD record, and use it instead of the root servers",
        why: "RFC 8806, RFC 8976: names below new top-level domains resolve faster, and the root servers learn nothing",
    },
    Row {
        key: "root-key-sentinel",
        kind: Kind::Switch(|s| &mut s.recursion.root_key_sentinel),
        default: "true",
        doc: "Answer root key sentinel names, which show whether the root key with a given tag is trusted",
        why: "RFC 8509: users can test whether their resolver trusts a new root key",
    },
    Row {
        key: "trust-anchor-signal",
        kind: Kind::Switch(|s| &mut s.recursion.trust_anchor_signal),
        default: "false",
        doc: "Send the key tags of the trust anchors to the servers of their zones",
        why: "RFC 8145 5",
    },
    Row {
        key: "error-reporting",
        kind: Kind::Switch(|s| &mut s.recursion.error_reporting),
        default: "true",
        doc: "Report failures to the reporting agent that a zone's servers name in their replies",
        why: "RFC 9567: zone operators learn that their signatures or servers fail",
    },
    Row {
        key: "query-loopback",
        kind: Kind::Switch(|s| &mut s.recursion.query_loopback),
        default: "false",
        doc: "Query servers at loopback addresses",
        why: "a zone on the Internet must not make this server query its own machine",
    },
    Row {
        key: "ipv4",
        kind: Kind::SwitchOrFoundOut(|s| &mut s.recursion.ipv4),
        default: "(auto-detected)",
        doc: "Query servers over IPv4",
        why: "",
    },
    Row {
        key: "ipv6",
        kind: Kind::SwitchOrFoundOut(|s| &mut s.recursion.ipv6),
        default: "(auto-detected)",
        doc: "Query servers over IPv6",
        why: "",
    },
];

const CACHE: &[Row<Settings>] = &[
    Row {
        key: "size",
        kind: Kind::Bytes(|s| &mut s.cache.size_bytes, 1 << 20, 1 << 42),
        default: r#""256MiB""#,
        doc: "Memory of all caches together, as really allocated; the caches of views with `forward` come besides (docs/operations.md)",
        why: "",
    },
    Row {
        key: "max-ttl",
        kind: Kind::Seconds(|s| &mut s.cache.max_ttl_s, 1, WEEK),
        default: r#""2d""#,
        doc: "Longest time that a record is cached",
        why: "RFC 8767 4: cap long TTLs",
    },
    Row {
        key: "min-ttl",
        kind: Kind::Seconds(|s| &mut s.cache.min_ttl_s, 0, 3_600),
        default: "0",
        doc: "Shortest time that a record or a denial is cached, even if its TTL is shorter",
        why: "a value above 0 overrides the zone's operator",
    },
    Row {
        key: "negative-max-ttl",
        kind: Kind::Seconds(|s| &mut s.cache.negative_max_ttl_s, 0, 86_400),
        default: r#""1h""#,
        doc: "Longest time that a negative answer is cached",
        why: "RFC 2308 5",
    },
    Row {
        key: "serve-stale",
        kind: Kind::Switch(|s| &mut s.cache.serve_stale),
        default: "true",
        doc: "Answer with expired data while the zone's servers fail or cannot be reached",
        why: "RFC 8767",
    },
    Row {
        key: "stale-max",
        kind: Kind::Seconds(|s| &mut s.cache.stale_max_s, 0, WEEK),
        default: r#""1d""#,
        doc: "How long data may still be served after it has expired",
        why: "RFC 8767 5: 1 to 3 days",
    },
    Row {
        key: "prefetch",
        kind: Kind::Switch(|s| &mut s.cache.prefetch),
        default: "true",
        doc: "Refresh popular names shortly before they expire",
        why: "",
    },
    Row {
        key: "keep-warm",
        kind: Kind::Switch(|s| &mut s.cache.keep_warm),
        default: "false",
        doc: "Refresh names in the hours in which they are usually asked for, even if nobody has asked yet",
        why: "the first question of the day is answered from the cache; costs upstream queries that nobody waits for",
    },
    Row {
        key: "aggressive-nsec",
        kind: Kind::Switch(|s| &mut s.cache.aggressive_nsec),
        default: "true",
        doc: "Synthesise negative answers from cached NSEC and NSEC3 records",
        why: "RFC 8198; the type list in the proof of a name denies another type of the same name only once an authoritative answer agrees",
    },
    Row {
        key: "persist",
        kind: Kind::Switch(|s| &mut s.cache.persist),
        default: "true",
        doc: "Save the cache in `state-dir` and load it at the next start; a change takes effect at the next start",
        why: "names need not be resolved again after a restart",
    },
    Row {
        key: "save-interval",
        kind: Kind::Seconds(|s| &mut s.cache.save_interval_s, 0, 86_400),
        default: r#""30m""#,
        doc: "Time between two saves of the cache; 0: save only when the server stops",
        why: "if the server is killed, data learned since the last save is lost; each save writes the whole cache",
    },
];

const POLICY: &[Row<Settings>] = &[
    Row {
        key: "rebinding-protection",
        kind: Kind::Switch(|s| &mut s.policy.rebinding_protection),
        default: "true",
        doc: "Remove private addresses from answers for public names",
        why: "DNS rebinding lets a web page reach into the local network",
    },
    Row {
        key: "rebinding-allow",
        kind: Kind::Names(|s| &mut s.policy.rebinding_allow),
        default: "[]",
        doc: "Names at and below which private addresses are allowed",
        why: "",
    },
    Row {
        key: "allow-snoop",
        kind: Kind::Prefixes(|s| &mut s.policy.allow_snoop),
        default: "[]",
        doc: "Clients that may read the cache with queries that do not ask for recursion (RD=0)",
        why: "such queries reveal what other clients have asked for",
    },
    Row {
        key: "special-use-except",
        kind: Kind::Names(|s| &mut s.policy.special_use_except),
        default: "[]",
        doc: "Special-use names (such as home.arpa) to treat as ordinary ones",
        why: "RFC 6761",
    },
    Row {
        key: "local-data",
        kind: Kind::Records(|s| &mut s.policy.local_data),
        default: "[]",
        doc: "Records in master-file form, such as \"nas.lan. 300 A 192.0.2.7\", for clients in `allow`; the name has no other types, names beside and below it are not concerned, and addresses get their PTR record",
        why: "a handful of names needs no zone file",
    },
    Row {
        key: "hosts-file",
        kind: Kind::FileOrBuiltIn(|s| &mut s.policy.hosts_file),
        default: "(none)",
        doc: "File such as /etc/hosts whose names are answered like `local-data`, which comes first; loopback addresses in it are left out",
        why: "",
    },
    Row {
        key: "block-answer",
        kind: Kind::BlockAnswer(|s| &mut s.policy.block_answer),
        default: r#""null""#,
        doc: "What a name that a list blocks is answered with: 0.0.0.0 and ::, NXDOMAIN, no data, REFUSED, or addresses of your own",
        why: "clients give up at once on a null address, while some ask other servers after an error",
    },
    Row {
        key: "block-ttl",
        kind: Kind::Seconds(|s| &mut s.policy.block_ttl_s, 1, 86_400),
        default: r#""1m""#,
        doc: "How long clients may keep the answer for a blocked name",
        why: "a name that is let through again is reached after a minute, and a blocked name asked for again costs one ready answer",
    },
    Row {
        key: "block-contact",
        kind: Kind::Uris(|s| &mut s.policy.block_contact),
        default: "[]",
        doc: "Where people complain about a blocked name; told, with the list, to clients that ask for structured errors",
        why: "draft-ietf-dnsop-structured-dns-error; without a contact such a client discards the rest",
    },
];

const DNS64: &[Row<Settings>] = &[
    Row {
        key: "clients",
        kind: Kind::Prefixes(|s| &mut s.dns64.clients),
        default: "[]",
        doc: "Clients in `allow` that get an IPv6 address behind `prefix` for each IPv4 address of a name without IPv6 addresses",
        why: "RFC 6147; for networks that reach IPv4 only through a translator (NAT64)",
    },
    Row {
        key: "prefix",
        kind: Kind::Translation(|s| &mut s.dns64.prefix),
        default: "\"64:ff9b::/96\"",
        doc: "The prefix that the translator forwards; behind 64:ff9b::/96 no private addresses are given",
        why: "RFC 6052 2.1, 3.1",
    },
];

const WEB: &[Row<Settings>] = &[
    Row {
        key: "listen",
        kind: Kind::ListenOrOff(|s| &mut s.web.listen),
        default: r#"["127.0.0.1:8053"]"#,
        doc: "Addresses at which the dashboard, /metrics, /healthz and /readyz are served over HTTP; []: nowhere. Any address but those of this machine alone needs `password-file`, and addresses of the public Internet are refused",
        why: "who asks what is nobody else's business; where the port is in use, a warning says so",
    },
    Row {
        key: "password-file",
        kind: Kind::FileOrBuiltIn(|s| &mut s.web.password_file),
        default: "(none)",
        doc: "A file whose first line is the password that clients must give (HTTP Basic, with any user name), or its hash as `pbkdf2-sha256:ROUNDS:SALT:HASH`, both in base 64",
        why: "RFC 7617, RFC 8018",
    },
];

const CLIENTS: &[Row<Settings>] = &[
    Row {
        key: "responses-per-second",
        kind: Kind::Number(|s| &mut s.limits.responses_per_second, 1, 1_000_000),
        default: "200",
        doc: "UDP answers in a second to one IPv4 /24 or IPv6 /56 outside `server.allow`; above it every second answer is sent truncated and the others are left out",
        why: "whoever forges a victim's address must not get a flood out of this server",
    },
    Row {
        key: "responses-burst",
        kind: Kind::Number(|s| &mut s.limits.responses_burst, 1, 1_000_000),
        default: "1000",
        doc: "Answers that such a prefix may get at once after it was quiet",
        why: "",
    },
    Row {
        key: "waiting-questions",
        kind: Kind::Number(|s| &mut s.limits.waiting_questions, 16, 8_000),
        default: "1152",
        doc: "Questions of all clients that may wait for servers at the same time; each takes about 20 KiB of memory and a socket. Past it the client with most loses its oldest question",
        why: "",
    },
    Row {
        key: "waiting-questions-per-client",
        kind: Kind::Count(|s| &mut s.limits.waiting_questions_per_client, 1, 8_000),
        default: "(864, at most three quarters of `waiting-questions`)",
        doc: "The same for one client (an IPv4 address or an IPv6 /56)",
        why: "others must find room",
    },
    Row {
        key: "waiting-datagrams-per-client",
        kind: Kind::Number(|s| &mut s.limits.waiting_datagrams_per_client, 1, 8_000),
        default: "800",
        doc: "Of these, questions over UDP of one client that is not this machine; further ones are not answered",
        why: "CVE-2024-33655: the sender's address may be forged",
    },
    Row {
        key: "connections",
        kind: Kind::Number(|s| &mut s.limits.connections, 2, 1_000_000),
        default: "8192",
        doc: "TCP connections of all clients, at most a quarter of the files that the process may open; past it the one that has been idle longest is closed",
        why: "",
    },
    Row {
        key: "connections-per-client",
        kind: Kind::Count(|s| &mut s.limits.connections_per_client, 1, 1_000_000),
        default: "(2048, at most half of `connections`)",
        doc: "TCP connections of one client",
        why: "others must find room",
    },
    Row {
        key: "questions-per-connection",
        kind: Kind::Number(|s| &mut s.limits.questions_per_connection, 1, 10_000),
        default: "128",
        doc: "Questions in progress on one TCP connection; further ones are read when one is answered",
        why: "RFC 7766 6.2.1.1",
    },
    Row {
        key: "connection-idle",
        kind: Kind::Seconds(|s| &mut s.limits.connection_idle_s, 1, 3_600),
        default: "10",
        doc: "A TCP connection without a question is closed after this time, five times as early when three quarters of all connections are in use",
        why: "RFC 7766 6.2.3: a few seconds",
    },
    Row {
        key: "connection-message",
        kind: Kind::Seconds(|s| &mut s.limits.connection_message_s, 1, 120),
        default: "5",
        doc: "A message over TCP that is not complete after this time ends the connection, and so does an answer that is not read",
        why: "slow clients must not hold connections",
    },
    Row {
        key: "tls-connections",
        kind: Kind::Number(|s| &mut s.limits.tls_connections, 2, 1_000_000),
        default: "12288",
        doc: "Connections over TLS and HTTPS of all clients, at most an eighth of the files that the process may open; past it the one that has been idle longest is closed. A third of them may be in their handshake, and a sixth of those for one client",
        why: "an idle one takes up to 25 KiB",
    },
    Row {
        key: "tls-connections-per-client",
        kind: Kind::Count(|s| &mut s.limits.tls_connections_per_client, 1, 1_000_000),
        default: "(10240, at most five sixths of `tls-connections`)",
        doc: "The same for one client",
        why: "others must find room",
    },
    Row {
        key: "tls-connection-idle",
        kind: Kind::Seconds(|s| &mut s.limits.tls_connection_idle_s, 1, 3_600),
        default: "30",
        doc: "A connection over TLS or HTTPS without a question is closed after this time, five times as early when three quarters of them are in use",
        why: "a new one costs a handshake",
    },
    Row {
        key: "tls-handshakes-per-second",
        kind: Kind::Number(|s| &mut s.limits.tls_handshakes_per_second, 1, 1_000_000),
        default: "2000",
        doc: "New connections over TLS and HTTPS in a second from one IPv4 /24 or IPv6 /56 in `server.allow`, and as many as `tls-connections` at once after it was quiet; one that resumes a session counts as a quarter",
        why: "a handshake takes a fifth of a millisecond of a core",
    },
];

const LOG: &[Row<Settings>] = &[
    Row {
        key: "level",
        kind: Kind::Word(
            &["error", "warn", "info", "debug", "trace"],
            |s, at| s.log.level = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace][at],
            |s| s.log.level as usize,
        ),
        default: r#""info""#,
        doc: "Lowest level that is logged; info has what an operator acts on, debug a line for each query",
        why: "",
    },
    Row {
        key: "format",
        kind: Kind::Word(&["text", "json"], |s, at| s.log.format = [LogFormat::Text, LogFormat::Json][at], |s| s.log.format as usize),
        default: r#""text""#,
        doc: "Log lines for people (text) or for programs (json); docs/stats.md has the fields",
        why: "",
    },
];

const QUERY_LOG: &[Row<Settings>] = &[
    Row {
        key: "file",
        kind: Kind::FileOrOutput(|s| &mut s.query_log.file),
        default: "(none)",
        doc: "The file that each answered query is written to, a line each; \"-\": standard output. Opened again at each reload",
        why: "docs/query-log.md has the fields; without a file nothing is logged",
    },
    Row {
        key: "format",
        kind: Kind::Word(
            &["json", "text"],
            |s, at| s.query_log.format = [LogFormat::Json, LogFormat::Text][at],
            |s| usize::from(s.query_log.format == LogFormat::Text),
        ),
        default: r#""json""#,
        doc: "Lines for programs (json) or for people (text)",
        why: "",
    },
    Row {
        key: "what",
        kind: Kind::Word(
            &["all", "failing"],
            |s, at| s.query_log.what = [QueryLogWhat::All, QueryLogWhat::Failing][at],
            |s| s.query_log.what as usize,
        ),
        default: r#""all""#,
        doc: "All queries, or those whose answer is neither NOERROR nor NXDOMAIN",
        why: "",
    },
    Row {
        key: "one-of",
        kind: Kind::Number(|s| &mut s.query_log.one_of, 1, 1_000_000),
        default: "1",
        doc: "Log one query of this many",
        why: "",
    },
    Row {
        key: "anonymise",
        kind: Kind::Switch(|s| &mut s.query_log.anonymise),
        default: "false",
        doc: "Write 0 for the last octet of a client's IPv4 address, and for the last 80 bits of its IPv6 address",
        why: "who asked what is personal data in many countries",
    },
    Row {
        key: "max-size",
        kind: Kind::Bytes(|s| &mut s.query_log.max_size_bytes, 0, 1 << 40),
        default: r#""100MiB""#,
        doc: "When the file has this size it is renamed to FILE.1, and a new one is begun; 0: never",
        why: "a log must not fill the disk",
    },
    Row {
        key: "keep",
        kind: Kind::Number(|s| &mut s.query_log.keep, 0, 1_000),
        default: "5",
        doc: "Number of renamed files to keep, FILE.1 the latest; the oldest is removed",
        why: "",
    },
];

const DNSTAP: &[Row<Settings>] = &[
    Row {
        key: "socket",
        kind: Kind::FileOrBuiltIn(|s| &mut s.dnstap.socket),
        default: "(none)",
        doc: "Unix socket of a dnstap reader (Frame Streams) that all messages are sent to; while nobody listens there, they are left out and counted",
        why: "dnstap.info; docs/query-log.md",
    },
    Row {
        key: "tcp",
        kind: Kind::OptionalSocket(|s| &mut s.dnstap.tcp),
        default: "(none)",
        doc: "A reader that gets the same over TCP, in clear text",
        why: "",
    },
    Row {
        key: "identity",
        kind: Kind::OptionalText(|s| &mut s.dnstap.identity),
        default: "(the name of this machine)",
        doc: "What this server is called in these messages",
        why: "",
    },
];

const TLS: &[Row<Settings>] = &[
    Row {
        key: "certificate",
        kind: Kind::FileOrBuiltIn(|s| &mut s.tls.certificate),
        default: "(none)",
        doc: "PEM file with the certificate that clients of `listen-tls` and `listen-https` are shown, its own first, then those that lead to a root; taken over when it changes",
        why: "",
    },
    Row {
        key: "key",
        kind: Kind::FileOrBuiltIn(|s| &mut s.tls.key),
        default: "(none)",
        doc: "PEM file with the private key of `certificate`, not encrypted; taken over when it changes",
        why: "",
    },
];

/// What a value of this kind looks like, for error messages and the reference.
pub(super) fn expected<T>(kind: &Kind<T>) -> String {
    use super::quantity::{show_duration, show_size};
    match kind {
        Kind::Switch(_) | Kind::SwitchOrFoundOut(_) => "true or false".to_owned(),
        Kind::Count(_, least, most) | Kind::Number(_, least, most) => format!("a whole number from {least} to {most}"),
        Kind::Seconds(_, least, most) => {
            let (least, most) = (show_duration(*least), show_duration(*most));
            format!("a duration (seconds, \"90s\", \"10m\", \"2d\") from {least} to {most}")
        }
        Kind::Bytes(_, least, most) => format!("a size (bytes or \"64MiB\") from {} to {}", show_size(*least), show_size(*most)),
        Kind::Word(words, _, _) => one_of(words),
        Kind::FileOrBuiltIn(_) => "the path of a file".to_owned(),
        Kind::FileOrOutput(_) => "the path of a file, or \"-\" for standard output".to_owned(),
        Kind::OptionalSocket(_) => "an address with its port, such as \"127.0.0.1:6000\"".to_owned(),
        Kind::FolderOrFoundOut(_) => "the path of a folder".to_owned(),
        Kind::AccountOrFoundOut(_) => "the name of an account".to_owned(),
        Kind::Name(_) | Kind::OptionalName(_) => "a domain name".to_owned(),
        Kind::OptionalText(_) => "a text of at most 255 octets".to_owned(),
        Kind::Names(_) => "a list of domain names".to_owned(),
        Kind::NegativeAnchors(_) => "a list of domain names, each optionally followed by \" until \" and a date".to_owned(),
        Kind::Records(_) => "a list of records such as \"nas.lan. 300 A 192.0.2.7\"".to_owned(),
        Kind::Prefixes(_) => "a list of prefixes such as \"192.0.2.0/24\"".to_owned(),
        Kind::Translation(_) | Kind::OptionalTranslation(_) => "an IPv6 prefix of the length 32, 40, 48, 56, 64 or 96".to_owned(),
        Kind::ListenOrOff(_) => "a list of addresses such as \"127.0.0.1:8053\", or []".to_owned(),
        Kind::ListenAt(_, port) => format!("a list of addresses such as \"192.0.2.1:{port}\""),
        Kind::UriPath(_) => "a path such as \"/dns-query\"".to_owned(),
        Kind::Listen(_) | Kind::Servers(_) => "a list of addresses such as \"192.0.2.1:53\"".to_owned(),
        Kind::Forwarders(_) => "a list such as \"192.0.2.1\", \"tls://dns.example.net#192.0.2.1\"".to_owned(),
        Kind::Pins(_) => "a list of SHA-256 digests in base 64".to_owned(),
        Kind::Peers(_) | Kind::PeersOrDerived(_) => "a list of addresses such as \"192.0.2.1\" or \"192.0.2.1:5353 key NAME\"".to_owned(),
        Kind::Clients(_) => "a list such as \"192.0.2.1\", \"192.0.2.0/24 key NAME\", \"key NAME\"".to_owned(),
        Kind::Source(_) => "the path of a file, or a URL".to_owned(),
        Kind::BlockAnswer(_) => "\"null\", \"nxdomain\", \"nodata\", \"refused\" or a list of addresses".to_owned(),
        Kind::Uris(_) => "a list of URIs such as \"mailto:help@example.org\"".to_owned(),
        Kind::TextsOrAll(_) => "a list of names in quotes".to_owned(),
        Kind::NamesOrAll(_) => "a list of domain names".to_owned(),
        Kind::RecordsInstead(_) => "a list of records such as \"nas.lan. 300 A 192.0.2.7\"".to_owned(),
        Kind::ListenPlaces(_) => "a list of addresses such as \"192.0.2.53\" or \"192.0.2.53:853\"".to_owned(),
        Kind::Forwards(_) => {
            "a list of zones, each with its servers, such as \"corp.example. 10.0.0.1\" or \"corp.example. 10.0.0.1 fallback\"".to_owned()
        }
        Kind::Schedule(_) => "a list of times such as \"ads: mon-fri 20:00-07:00\"".to_owned(),
        Kind::SafeSearch(_) => "true, false or \"moderate\"".to_owned(),
        Kind::Secret(_) => "a secret in base 64".to_owned(),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}
