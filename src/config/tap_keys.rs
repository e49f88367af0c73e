//! The keys of `[query-log]` and of `[dnstap]`.

use super::keys::{Kind, Row};
use super::settings::{LogFormat, Settings};
use super::tap_settings::QueryLogWhat;

pub(super) const QUERY_LOG: &[Row<Settings>] = &[
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

pub(super) const DNSTAP: &[Row<Settings>] = &[
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
