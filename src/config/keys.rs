//! The table of keys: each row tells a key's type, default, range, meaning and reason, and where it is kept.
//!
//! The reader, the suggestions for unknown keys, `cairn config show` and the reference all walk this table; a
//! key that is not here does not exist.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::negative::NegativeAnchor;
use super::prefix::Prefix;
use super::settings::{LogFormat, LogLevel, QnameMinimisation, RouteSettings, Settings, Sha1, ZoneSettings};
use crate::record::Name;

/// One key of a section whose settings are kept in a `T`.
pub(super) struct Row<T> {
    pub(super) key: &'static str,
    pub(super) kind: Kind<T>,
    /// As it would be written in the file; a sentence in parentheses where no value means that.
    pub(super) default: &'static str,
    pub(super) doc: &'static str,
    /// The RFC, attack or habit that set the default; empty where there is nothing to explain.
    pub(super) why: &'static str,
}

/// The type of a key's value and the place it is kept at.
pub(super) enum Kind<T> {
    Switch(fn(&mut T) -> &mut bool),
    /// A switch that, left alone, is found out.
    SwitchOrFoundOut(fn(&mut T) -> &mut Option<bool>),
    Count(fn(&mut T) -> &mut Option<usize>, u64, u64),
    Seconds(fn(&mut T) -> &mut u32, u64, u64),
    Bytes(fn(&mut T) -> &mut u64, u64, u64),
    /// One of a few words; the value is the word's place in the list.
    Word(&'static [&'static str], fn(&mut T, usize), fn(&T) -> usize),
    File(fn(&mut T) -> &mut PathBuf),
    FileOrBuiltIn(fn(&mut T) -> &mut Option<PathBuf>),
    /// A folder that, left alone, is found out.
    FolderOrFoundOut(fn(&mut T) -> &mut Option<PathBuf>),
    /// An account of this system that, left alone, is found out.
    AccountOrFoundOut(fn(&mut T) -> &mut Option<String>),
    Name(fn(&mut T) -> &mut Name),
    OptionalName(fn(&mut T) -> &mut Option<Name>),
    Names(fn(&mut T) -> &mut Vec<Name>),
    NegativeAnchors(fn(&mut T) -> &mut Vec<NegativeAnchor>),
    Prefixes(fn(&mut T) -> &mut Vec<Prefix>),
    /// At least one.
    Listen(fn(&mut T) -> &mut Option<Vec<SocketAddr>>),
    /// At least one.
    Servers(fn(&mut T) -> &mut Vec<SocketAddr>),
}

/// A `[name]` table; there is one of each.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) rows: &'static [Row<Settings>],
}

pub(super) const SECTIONS: [Section; 5] = [
    Section { name: "server", rows: SERVER },
    Section { name: "recursion", rows: RECURSION },
    Section { name: "cache", rows: CACHE },
    Section { name: "policy", rows: POLICY },
    Section { name: "log", rows: LOG },
];

/// The names of the `[[name]]` tables, of which there may be many.
pub(super) const LISTS: [&str; 3] = ["zone", "forward", "stub"];

/// Seven days: RFC 8767 4 names this as the longest sensible cap for TTLs.
const WEEK: u64 = 604_800;

const SERVER: &[Row<Settings>] = &[
    Row {
        key: "listen",
        kind: Kind::Listen(|s| &mut s.server.listen),
        default: r#"["127.0.0.1:53", "[::1]:53"]"#,
        doc: "Where to answer, over UDP and TCP",
        why: "only this machine; without this key port 5300 is used where 53 cannot be bound",
    },
    Row {
        key: "allow",
        kind: Kind::Prefixes(|s| &mut s.server.allow),
        default: r#"["127.0.0.0/8", "::1/128"]"#,
        doc: "Who may have names resolved and read the cache; others get hosted zones only",
        why: "an open resolver is used to attack others (RFC 5358)",
    },
    Row {
        key: "workers",
        kind: Kind::Count(|s| &mut s.server.workers, 1, 1024),
        default: "(one per core)",
        doc: "Threads that answer",
        why: "",
    },
    Row {
        key: "state-dir",
        kind: Kind::FolderOrFoundOut(|s| &mut s.server.state_dir),
        default: "($STATE_DIRECTORY, else $XDG_STATE_HOME/cairn, else /var/lib/cairn if it is there; else none)",
        doc: "Folder for what outlives a restart: followed trust anchors, the last date seen, the saved cache",
        why: "RFC 5011 2: anchors that are followed have to be remembered",
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
];

const RECURSION: &[Row<Settings>] = &[
    Row {
        key: "enabled",
        kind: Kind::Switch(|s| &mut s.recursion.enabled),
        default: "true",
        doc: "Resolve names; with false only hosted zones are answered",
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
        doc: "Master file with DS or DNSKEY records of any names; replaces the built-in anchors",
        why: "RFC 4033 5",
    },
    Row {
        key: "dnssec",
        kind: Kind::Switch(|s| &mut s.recursion.dnssec),
        default: "true",
        doc: "Check signatures, and answer SERVFAIL where they are wrong",
        why: "RFC 4035",
    },
    Row {
        key: "negative-trust-anchors",
        kind: Kind::NegativeAnchors(|s| &mut s.recursion.negative_trust_anchors),
        default: "[]",
        doc: "Names at and below which signatures are not checked, each with its end if it has one: \"NAME until 2026-12-31\"",
        why: "RFC 7646",
    },
    Row {
        key: "time-bootstrap-names",
        kind: Kind::Names(|s| &mut s.recursion.time_bootstrap_names),
        default: r#"["pool.ntp.org.", "ntp.ubuntu.com.", "time.cloudflare.com.", "time.google.com."]"#,
        doc: "Time servers: while the clock is certainly wrong, signature dates are not checked at and below these names",
        why: "a machine that starts in the past could not find out the time",
    },
    Row {
        key: "sha1",
        kind: Kind::Word(
            &["insecure", "validate"],
            |s, at| s.recursion.sha1 = [Sha1::Insecure, Sha1::Validate][at],
            |s| s.recursion.sha1 as usize,
        ),
        default: r#""insecure""#,
        doc: "Whether signatures made with SHA-1 count",
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
        doc: "Ask each server for no more of the name than it needs; relaxed asks in full where a server cannot cope",
        why: "RFC 9156",
    },
    Row {
        key: "local-root",
        kind: Kind::Switch(|s| &mut s.recursion.local_root),
        default: "false",
        doc: "Keep a copy of the root zone, checked by its ZONEMD record, and use it in place of the root servers",
        why: "RFC 8806, RFC 8976: names below new top-level domains resolve faster, and the root learns nothing",
    },
    Row {
        key: "root-key-sentinel",
        kind: Kind::Switch(|s| &mut s.recursion.root_key_sentinel),
        default: "true",
        doc: "Answer SERVFAIL to root key sentinel names where the key tag in the name says so",
        why: "RFC 8509: users can test whether their resolver trusts a new root key",
    },
    Row {
        key: "trust-anchor-signal",
        kind: Kind::Switch(|s| &mut s.recursion.trust_anchor_signal),
        default: "false",
        doc: "Tell the servers of each trust anchor's zone the tags of the keys that are trusted here",
        why: "RFC 8145 5",
    },
    Row {
        key: "error-reporting",
        kind: Kind::Switch(|s| &mut s.recursion.error_reporting),
        default: "true",
        doc: "Report failures to the agent that a zone's own servers name in their replies",
        why: "RFC 9567: operators learn that their signatures or servers fail",
    },
    Row {
        key: "query-loopback",
        kind: Kind::Switch(|s| &mut s.recursion.query_loopback),
        default: "false",
        doc: "Ask servers whose address is a loopback one",
        why: "a zone of the world must not make us ask our own machine",
    },
    Row {
        key: "ipv4",
        kind: Kind::SwitchOrFoundOut(|s| &mut s.recursion.ipv4),
        default: "(found out)",
        doc: "Ask servers over IPv4",
        why: "",
    },
    Row {
        key: "ipv6",
        kind: Kind::SwitchOrFoundOut(|s| &mut s.recursion.ipv6),
        default: "(found out)",
        doc: "Ask servers over IPv6",
        why: "",
    },
];

const CACHE: &[Row<Settings>] = &[
    Row {
        key: "size",
        kind: Kind::Bytes(|s| &mut s.cache.size_bytes, 1 << 20, 1 << 42),
        default: r#""256MiB""#,
        doc: "Memory of all caches together, in bytes really held",
        why: "",
    },
    Row {
        key: "max-ttl",
        kind: Kind::Seconds(|s| &mut s.cache.max_ttl_s, 1, WEEK),
        default: r#""2d""#,
        doc: "Longest time that a record is kept as fresh",
        why: "RFC 8767 4: cap long TTLs",
    },
    Row {
        key: "min-ttl",
        kind: Kind::Seconds(|s| &mut s.cache.min_ttl_s, 0, 3_600),
        default: "0",
        doc: "Shortest time that a record is kept, whatever its TTL says",
        why: "above 0 it overrules the zone's owner",
    },
    Row {
        key: "negative-max-ttl",
        kind: Kind::Seconds(|s| &mut s.cache.negative_max_ttl_s, 0, 86_400),
        default: r#""1h""#,
        doc: "Longest time that \"does not exist\" is kept",
        why: "RFC 2308 5",
    },
    Row {
        key: "serve-stale",
        kind: Kind::Switch(|s| &mut s.cache.serve_stale),
        default: "true",
        doc: "Answer with expired data while its servers cannot be reached or fail",
        why: "RFC 8767",
    },
    Row {
        key: "stale-max",
        kind: Kind::Seconds(|s| &mut s.cache.stale_max_s, 0, WEEK),
        default: r#""1d""#,
        doc: "How long after its end expired data may still be served",
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
        doc: "Refresh names in the hours in which they are usually asked, even when nobody has asked yet",
        why: "the first question of the day is answered from the cache; costs upstream queries that nobody waits for",
    },
    Row {
        key: "aggressive-nsec",
        kind: Kind::Switch(|s| &mut s.cache.aggressive_nsec),
        default: "true",
        doc: "Answer \"does not exist\" from proofs that are already cached",
        why: "RFC 8198; the type list in the proof of a name denies another type of the same name only once an authoritative answer agrees",
    },
    Row {
        key: "persist",
        kind: Kind::Switch(|s| &mut s.cache.persist),
        default: "true",
        doc: "Save the cache in `state-dir` and take it from there at the next start; looked at when the server starts",
        why: "after a restart nothing has to be asked for a second time",
    },
    Row {
        key: "save-interval",
        kind: Kind::Seconds(|s| &mut s.cache.save_interval_s, 0, 86_400),
        default: r#""30m""#,
        doc: "Time between two saves of the cache; with 0 it is saved only when the server stops",
        why: "what a server learned since is lost when it is killed, and each save writes all of it",
    },
];

const POLICY: &[Row<Settings>] = &[
    Row {
        key: "rebinding-protection",
        kind: Kind::Switch(|s| &mut s.policy.rebinding_protection),
        default: "true",
        doc: "Drop private addresses from answers of public names",
        why: "DNS rebinding lets a web page reach into the local network",
    },
    Row {
        key: "rebinding-allow",
        kind: Kind::Names(|s| &mut s.policy.rebinding_allow),
        default: "[]",
        doc: "Names at and below which private addresses are fine",
        why: "",
    },
    Row {
        key: "allow-snoop",
        kind: Kind::Prefixes(|s| &mut s.policy.allow_snoop),
        default: "[]",
        doc: "Who may read the cache with questions that do not ask for recursion (RD=0)",
        why: "such questions tell what others have asked for",
    },
    Row {
        key: "special-use-except",
        kind: Kind::Names(|s| &mut s.policy.special_use_except),
        default: "[]",
        doc: "Special-use names (such as home.arpa) to treat as ordinary ones",
        why: "RFC 6761",
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
        doc: "How much is logged; info is what an operator acts on",
        why: "",
    },
    Row {
        key: "format",
        kind: Kind::Word(&["text", "json"], |s, at| s.log.format = [LogFormat::Text, LogFormat::Json][at], |s| s.log.format as usize),
        default: r#""text""#,
        doc: "Lines for people or for programs",
        why: "",
    },
];

pub(super) const ZONE: &[Row<ZoneSettings>] = &[
    Row { key: "name", kind: Kind::Name(|z| &mut z.name), default: "(needed)", doc: "The zone's name", why: "" },
    Row {
        key: "file",
        kind: Kind::File(|z| &mut z.file),
        default: "(needed)",
        doc: "Its master file; a relative path starts at the configuration file",
        why: "RFC 1035 5",
    },
    Row {
        key: "allow",
        kind: Kind::Prefixes(|z| &mut z.allow),
        default: r#"["0.0.0.0/0", "::/0"]"#,
        doc: "Who may ask for it",
        why: "a hosted zone is there for everybody",
    },
    Row {
        key: "report-channel",
        kind: Kind::OptionalName(|z| &mut z.report_channel),
        default: "(none)",
        doc: "Agent domain to which resolvers may report that names of this zone fail; given in every reply of the zone",
        why: "RFC 9567",
    },
];

/// Of `[[forward]]` and `[[stub]]` alike.
pub(super) const ROUTE: &[Row<RouteSettings>] = &[
    Row {
        key: "zone",
        kind: Kind::Name(|r| &mut r.zone),
        default: "(needed)",
        doc: "The name at and below which these servers are asked; \".\" is everything",
        why: "",
    },
    Row {
        key: "to",
        kind: Kind::Servers(|r| &mut r.to),
        default: "(needed)",
        doc: "Addresses of the servers, with or without a port; `to = []` in a `[[forward]]` ends a rule for a zone above: these names are iterated from the root",
        why: "",
    },
    Row {
        key: "fallback",
        kind: Kind::Switch(|r| &mut r.fallback),
        default: "false",
        doc: "Iterate from the root if all of them fail",
        why: "a private name must not leak to the world",
    },
    Row {
        key: "dnssec",
        kind: Kind::Switch(|r| &mut r.dnssec),
        default: "false",
        doc: "Insist on proof for a zone that the public tree denies; with false the rule makes such a zone insecure, unless a trust anchor or a signed delegation says otherwise",
        why: "internal zones are seldom signed",
    },
];

/// What a value of this kind looks like, for error messages and the reference.
pub(super) fn expected<T>(kind: &Kind<T>) -> String {
    use super::quantity::{show_duration, show_size};
    match kind {
        Kind::Switch(_) | Kind::SwitchOrFoundOut(_) => "true or false".to_owned(),
        Kind::Count(_, least, most) => format!("a whole number from {least} to {most}"),
        Kind::Seconds(_, least, most) => {
            let (least, most) = (show_duration(*least), show_duration(*most));
            format!("a duration (seconds, \"90s\", \"10m\", \"2d\") from {least} to {most}")
        }
        Kind::Bytes(_, least, most) => format!("a size (bytes or \"64MiB\") from {} to {}", show_size(*least), show_size(*most)),
        Kind::Word(words, _, _) => one_of(words),
        Kind::File(_) | Kind::FileOrBuiltIn(_) => "the path of a file".to_owned(),
        Kind::FolderOrFoundOut(_) => "the path of a folder".to_owned(),
        Kind::AccountOrFoundOut(_) => "the name of an account".to_owned(),
        Kind::Name(_) | Kind::OptionalName(_) => "a domain name".to_owned(),
        Kind::Names(_) => "a list of domain names".to_owned(),
        Kind::NegativeAnchors(_) => "a list of domain names, each with \" until \" and a date behind it or not".to_owned(),
        Kind::Prefixes(_) => "a list of prefixes such as \"192.0.2.0/24\"".to_owned(),
        Kind::Listen(_) | Kind::Servers(_) => "a list of addresses such as \"192.0.2.1:53\"".to_owned(),
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.join(""),
    }
}
