//! The keys of the `[[name]]` tables, of which a file may have many, as `keys.rs` has those of the sections.

use super::keys::{Kind, Row};
use super::list_settings::{ListAction, ListFormat, ListMatch, ListReason, ListSettings};
use super::settings::{DnssecAlgorithm, KeyAlgorithm, KeySettings, RouteSettings, RpzPolicy, RpzSettings, ZoneSettings};
use super::view_settings::ViewSettings;

pub(super) const KEY: &[Row<KeySettings>] = &[
    Row {
        key: "name",
        kind: Kind::Name(|k| &mut k.name),
        default: "(needed)",
        doc: "The key's name, which both sides must write alike",
        why: "RFC 8945",
    },
    Row {
        key: "algorithm",
        kind: Kind::Word(
            &["hmac-sha256", "hmac-sha384", "hmac-sha512"],
            |k, at| k.algorithm = [KeyAlgorithm::Sha256, KeyAlgorithm::Sha384, KeyAlgorithm::Sha512][at],
            |k| k.algorithm as usize,
        ),
        default: r#""hmac-sha256""#,
        doc: "The hash that messages are signed with",
        why: "RFC 8945 6",
    },
    Row {
        key: "secret",
        kind: Kind::Secret(|k| &mut k.secret),
        default: "(needed, or `secret-file`)",
        doc: "The shared secret; `cairn zone key NAME` makes one",
        why: "",
    },
    Row {
        key: "secret-file",
        kind: Kind::FileOrBuiltIn(|k| &mut k.secret_file),
        default: "(needed, or `secret`)",
        doc: "File that holds the shared secret in base 64, and nothing else",
        why: "a configuration file is read by more people than a secret should be",
    },
];

pub(super) const ZONE: &[Row<ZoneSettings>] = &[
    Row { key: "name", kind: Kind::Name(|z| &mut z.name), default: "(needed)", doc: "The zone's name", why: "" },
    Row {
        key: "file",
        kind: Kind::FileOrBuiltIn(|z| &mut z.file),
        default: "(needed, except with `primaries` or `catalog`)",
        doc: "Master file of the zone; a relative path starts at the folder of the configuration file",
        why: "RFC 1035 5",
    },
    Row {
        key: "allow",
        kind: Kind::Prefixes(|z| &mut z.allow),
        default: r#"["0.0.0.0/0", "::/0"]"#,
        doc: "Clients that may query the zone",
        why: "a hosted zone is public",
    },
    Row {
        key: "primaries",
        kind: Kind::Peers(|z| &mut z.primaries),
        default: "[]",
        doc: "Servers that the zone is transferred from, which makes this server a secondary of the zone; with ` key NAME` behind an address, messages are signed with that `[[key]]`",
        why: "RFC 1034 4.3.5, RFC 1995, RFC 5936",
    },
    Row {
        key: "transfer",
        kind: Kind::Clients(|z| &mut z.transfer),
        default: "[]",
        doc: "Clients that may transfer the zone (AXFR, IXFR): addresses, prefixes, each with or without ` key NAME`, or `key NAME` alone for whoever has that key",
        why: "a transfer shows all names of a zone at once",
    },
    Row {
        key: "notify",
        kind: Kind::PeersOrDerived(|z| &mut z.notify),
        default: "(the single addresses of `transfer`)",
        doc: "Servers that are told of each change of the zone",
        why: "RFC 1996",
    },
    Row {
        key: "dnssec",
        kind: Kind::Switch(|z| &mut z.dnssec),
        default: "false",
        doc: "Sign the zone, with keys that are made and kept in the folder `keys` of `state-dir`; the file stays unsigned",
        why: "RFC 4035; a parent must be told of the keys, see docs/hosting.md",
    },
    Row {
        key: "dnssec-algorithm",
        kind: Kind::Word(
            &["ecdsap256sha256", "ed25519", "ecdsap384sha384", "rsasha256"],
            |z, at| {
                z.dnssec_algorithm = [
                    DnssecAlgorithm::EcdsaP256Sha256,
                    DnssecAlgorithm::Ed25519,
                    DnssecAlgorithm::EcdsaP384Sha384,
                    DnssecAlgorithm::RsaSha256,
                ][at];
            },
            |z| z.dnssec_algorithm as usize,
        ),
        default: r#""ecdsap256sha256""#,
        doc: "The algorithm of the zone's keys; a zone that is signed changes to another one by `cairn zone sign roll ZONE algorithm`",
        why: "RFC 8624 3.1",
    },
    Row {
        key: "nsec3",
        kind: Kind::Switch(|z| &mut z.nsec3),
        default: "false",
        doc: "Deny names by NSEC3, without salt and without further iterations, in place of NSEC",
        why: "NSEC answers cost less and hide nothing that is not in the DNS anyway; RFC 9276",
    },
    Row {
        key: "update",
        kind: Kind::Clients(|z| &mut z.update),
        default: "[]",
        doc: "Clients that may change the zone by UPDATE, in the forms of `transfer`; changes are kept in a journal in `state-dir` and written into the zone's file",
        why: "RFC 2136; addresses over UDP can be forged, so entries should have a key",
    },
    Row {
        key: "catalog",
        kind: Kind::Switch(|z| &mut z.catalog),
        default: "false",
        doc: "The zone is a catalog. With `primaries`, its members are served here as secondaries from the same primaries, with its `transfer` and `notify`; without `primaries` and `file`, it is made of the zones that name it as their `catalog-zone`",
        why: "RFC 9432: a server that is told of one zone knows all of them",
    },
    Row {
        key: "catalog-zone",
        kind: Kind::OptionalName(|z| &mut z.catalog_zone),
        default: "(none)",
        doc: "The catalog of this server that lists the zone, for the servers that transfer that catalog",
        why: "",
    },
    Row {
        key: "catalog-group",
        kind: Kind::OptionalText(|z| &mut z.catalog_group),
        default: "(none)",
        doc: "The group that the catalog says the zone is in, by which other servers choose its settings",
        why: "RFC 9432 4.4.2",
    },
    Row {
        key: "report-channel",
        kind: Kind::OptionalName(|z| &mut z.report_channel),
        default: "(none)",
        doc: "Agent domain to which resolvers may report failures in this zone; sent in every reply from the zone",
        why: "RFC 9567",
    },
];

/// The keys of `[[forward]]`.
pub(super) const FORWARD: &[Row<RouteSettings>] = &[
    ROUTE_ZONE,
    Row {
        key: "to",
        kind: Kind::Forwarders(|r| &mut r.to),
        default: "(needed)",
        doc: "The servers: addresses with or without a port, or URLs such as `tls://dns.example.net#192.0.2.1` and `https://dns.example.net/dns-query#192.0.2.1,2001:db8::1`, whose name the server's certificate has to prove and which are never asked in clear text; `to = []` exempts these names from a rule for a zone above: they are resolved from the root",
        why: "RFC 7858, RFC 8484; docs/encrypted.md",
    },
    Row {
        key: "ca",
        kind: Kind::FileOrBuiltIn(|r| &mut r.ca),
        default: "(the system's)",
        doc: "PEM file of the CAs that these `tls://` and `https://` servers are verified with",
        why: "",
    },
    Row {
        key: "pin-sha256",
        kind: Kind::Pins(|r| &mut r.pins),
        default: "[]",
        doc: "SHA-256 digests in base 64 of the public keys that these `tls://` and `https://` servers may have; without `ca` the key alone counts, whatever the certificate says",
        why: "RFC 7858 4.2",
    },
    ROUTE_FALLBACK,
    ROUTE_DNSSEC,
];

/// The keys of `[[stub]]`.
pub(super) const STUB: &[Row<RouteSettings>] = &[
    ROUTE_ZONE,
    Row {
        key: "to",
        kind: Kind::Servers(|r| &mut r.to),
        default: "(needed)",
        doc: "Addresses of the servers, with or without a port",
        why: "",
    },
    ROUTE_FALLBACK,
    ROUTE_DNSSEC,
];

const ROUTE_ZONE: Row<RouteSettings> = Row {
    key: "zone",
    kind: Kind::Name(|r| &mut r.zone),
    default: "(needed)",
    doc: "Name at and below which these servers are queried; \".\" is every name",
    why: "",
};
const ROUTE_FALLBACK: Row<RouteSettings> = Row {
    key: "fallback",
    kind: Kind::Switch(|r| &mut r.fallback),
    default: "false",
    doc: "Resolve from the root if all servers fail",
    why: "private names must not leak to the Internet",
};
const ROUTE_DNSSEC: Row<RouteSettings> = Row {
    key: "dnssec",
    kind: Kind::Switch(|r| &mut r.dnssec),
    default: "false",
    doc: "Insist on proof for a zone that the public tree denies; with false the rule makes such a zone insecure, unless a trust anchor or a signed delegation says otherwise; names that are never public (`lan`, `corp`, `internal`, `home.arpa`, private reverse zones) need no Internet for that",
    why: "internal zones are seldom signed",
};

/// The keys of `[[rpz]]`.
pub(super) const RPZ: &[Row<RpzSettings>] = &[
    Row {
        key: "zone",
        kind: Kind::Name(|r| &mut r.zone),
        default: "(needed)",
        doc: "Name of a response policy zone, whose records are rules for the answers that clients get; of several, an earlier one takes precedence",
        why: "draft-vixie-dnsop-dns-rpz-00; docs/rpz.md",
    },
    Row {
        key: "file",
        kind: Kind::FileOrBuiltIn(|r| &mut r.file),
        default: "(needed, or `primaries`, or a hosted zone of this name)",
        doc: "Master file of the zone; with `primaries`, where its copy is kept",
        why: "",
    },
    Row {
        key: "primaries",
        kind: Kind::Peers(|r| &mut r.primaries),
        default: "[]",
        doc: "Servers that the zone is transferred from and whose NOTIFY is heard, in the form of `primaries` in `[[zone]]`; the copy is kept over a restart",
        why: "the draft, 8: transfers should be signed by a key (RFC 8945)",
    },
    Row {
        key: "policy",
        kind: Kind::Word(
            &["given", "nxdomain", "nodata", "passthru", "drop", "tcp-only", "cname"],
            |r, at| {
                r.policy = [
                    RpzPolicy::Given,
                    RpzPolicy::NxDomain,
                    RpzPolicy::NoData,
                    RpzPolicy::Passthru,
                    RpzPolicy::Drop,
                    RpzPolicy::TcpOnly,
                    RpzPolicy::Cname,
                ][at];
            },
            |r| r.policy as usize,
        ),
        default: r#""given""#,
        doc: "What every rule of the zone does; given: what the rule itself says",
        why: "the draft, 6.1",
    },
    Row {
        key: "cname",
        kind: Kind::OptionalName(|r| &mut r.cname),
        default: "(none)",
        doc: "The alias that `policy = \"cname\"` answers with; behind `*.`, the query name stands in front of it",
        why: "the draft, 3.6",
    },
    Row {
        key: "log-only",
        kind: Kind::Switch(|r| &mut r.log_only),
        default: "false",
        doc: "Log what the rules of the zone would do, and change nothing; zones further down decide",
        why: "the draft, 6.1: DISABLED",
    },
    Row {
        key: "qname-wait-recurse",
        kind: Kind::Switch(|r| &mut r.qname_wait_recurse),
        default: "false",
        doc: "Resolve a name before a rule of this zone changes the answer, so that its servers cannot tell that there is a rule; with false, rules for clients and names decide at once where no earlier zone has rules for addresses in answers or for name servers",
        why: "the draft, 9.1 and 12.4; no query leaves for a blocked name",
    },
    Row {
        key: "break-dnssec",
        kind: Kind::Switch(|r| &mut r.break_dnssec),
        default: "false",
        doc: "Apply the rules of this zone also to signed answers for clients that ask for signatures (DO), which lose them; with false such a client gets signed data unchanged",
        why: "the draft, 6 and 12.2: a validating client rejects what is rewritten",
    },
];

pub(super) const LIST: &[Row<ListSettings>] = &[
    Row {
        key: "name",
        kind: Kind::OptionalText(|l| &mut l.name),
        default: "(needed)",
        doc: "What the list is called in answers, logs and commands",
        why: "",
    },
    Row {
        key: "source",
        kind: Kind::Source(|l| &mut l.source),
        default: "(needed)",
        doc: "File that holds the list, which is read again when it changes, or an `https://` or `http://` URL; a relative path starts at the folder of the configuration file",
        why: "",
    },
    Row {
        key: "format",
        kind: Kind::Word(ListFormat::WORDS, |l, at| l.format = ListFormat::ALL[at], |l| l.format as usize),
        default: r#""auto""#,
        doc: "How the list is written; `auto` tells from each line",
        why: "docs/lists.md says what each form blocks",
    },
    Row {
        key: "match",
        kind: Kind::Word(&["exact", "subtree"], |l, at| l.matching = [ListMatch::Exact, ListMatch::Subtree][at], |l| l.matching as usize),
        default: r#""exact""#,
        doc: "What a line means that is a name alone: that name, or also all names below it",
        why: "lists of plain names and hosts files name each host on its own",
    },
    Row {
        key: "action",
        kind: Kind::Word(&["block", "allow"], |l, at| l.action = [ListAction::Block, ListAction::Allow][at], |l| l.action as usize),
        default: r#""block""#,
        doc: "Block the names, or let them through whatever other lists say",
        why: "",
    },
    Row {
        key: "ede",
        kind: Kind::Word(
            &["blocked", "censored", "filtered"],
            |l, at| l.reason = [ListReason::Blocked, ListReason::Censored, ListReason::Filtered][at],
            |l| l.reason as usize,
        ),
        default: r#""blocked""#,
        doc: "The extended error that clients get for a blocked name: by the operator's own choice (15), because somebody else requires it (16), or because the client wants it (17)",
        why: "RFC 8914 4.16 to 4.18",
    },
    Row {
        key: "refresh",
        kind: Kind::Seconds(|l| &mut l.refresh_s, 600, 30 * 86_400),
        default: r#""1d""#,
        doc: "Time between two looks at a URL for a newer list",
        why: "most lists change once a day; their hosts pay for each fetch",
    },
    Row {
        key: "ca",
        kind: Kind::FileOrBuiltIn(|l| &mut l.ca),
        default: "(those of the system)",
        doc: "File of the CA certificates (PEM) that the server of an `https://` source is verified with; a relative path starts at the folder of the configuration file",
        why: "a server of your own may have a certificate of your own CA",
    },
    Row {
        key: "single-labels",
        kind: Kind::Switch(|l| &mut l.single_labels),
        default: "false",
        doc: "Heed lines that name a whole top-level domain, such as `||zip^`",
        why: "one such line, often a mistake, blocks millions of names",
    },
    Row {
        key: "redirects",
        kind: Kind::SwitchOrFoundOut(|l| &mut l.redirects),
        default: "(true for a file, false for a URL)",
        doc: "Heed lines that lead a name elsewhere, to another address or name (docs/lists.md); lines that block are heeded in any case",
        why: "whoever writes such a list decides where your clients connect to",
    },
];

pub(super) const VIEW: &[Row<ViewSettings>] = &[
    Row {
        key: "name",
        kind: Kind::OptionalText(|v| &mut v.name),
        default: "(needed)",
        doc: "What the view is called in explanations and commands",
        why: "",
    },
    Row {
        key: "clients",
        kind: Kind::Prefixes(|v| &mut v.clients),
        default: "(needed)",
        doc: "Clients that the view is for; the first view that has a client counts, and clients of no view get what the rest of the file says",
        why: "docs/views.md",
    },
    Row {
        key: "listen",
        kind: Kind::ListenPlaces(|v| &mut v.listen),
        default: "[]",
        doc: "Addresses of this server, with or without a port, at which these clients ask; clients that ask elsewhere have a later view; [] is anywhere",
        why: "a port of its own may stand for a transport",
    },
    Row {
        key: "lists",
        kind: Kind::TextsOrAll(|v| &mut v.lists),
        default: "(all)",
        doc: "The lists that are in force for these clients, those that allow included",
        why: "",
    },
    Row {
        key: "rpz",
        kind: Kind::NamesOrAll(|v| &mut v.rpz),
        default: "(all)",
        doc: "The response policy zones that are in force for these clients; their order stays that of the file",
        why: "",
    },
    Row {
        key: "local-data",
        kind: Kind::RecordsInstead(|v| &mut v.local_data),
        default: "(as in [policy])",
        doc: "Records in place of `local-data` and `hosts-file` of `[policy]`",
        why: "",
    },
    Row {
        key: "block-answer",
        kind: Kind::BlockAnswer(|v| &mut v.block_answer),
        default: "(as in [policy])",
        doc: "What a blocked name is answered with for these clients",
        why: "",
    },
    Row {
        key: "safe-search",
        kind: Kind::SafeSearch(|v| &mut v.safe_search),
        default: "false",
        doc: "Lead these clients to the forms of search engines and YouTube that leave out what is not for children; \"moderate\": the milder form of YouTube",
        why: "Google, Bing, YouTube, DuckDuckGo, Brave, Ecosia, Pixabay, Qwant and Yandex document such names",
    },
    Row {
        key: "schedule",
        kind: Kind::Schedule(|v| &mut v.schedule),
        default: "[]",
        doc: "When lists are in force, in local time; a list may have several entries, and one without an entry always is in force; the days are those on which the time begins",
        why: "docs/views.md",
    },
    Row {
        key: "forward",
        kind: Kind::Forwards(|v| &mut v.forward),
        default: "[]",
        doc: "Servers that these clients' questions at and below a zone are sent to, as addresses or as `tls://` or `https://` URLs, which are verified with the CAs of the system, instead of what `[[forward]]` and `[[stub]]` say of it; what they say is cached apart, in memory beside `cache.size`; with the word `fallback` behind the servers, names are resolved from the root if all of them fail",
        why: "docs/views.md",
    },
    Row {
        key: "unlogged",
        kind: Kind::Switch(|v| &mut v.is_unlogged),
        default: "false",
        doc: "Leave the queries of these clients out of the query log",
        why: "docs/query-log.md",
    },
];
