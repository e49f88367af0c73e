//! The checked settings: plain data, every field already valid.
//!
//! Defaults stand here only; a test compares them with the table of keys. Relative paths have been completed with the folder of
//! the configuration file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::address_entry::AddressEntry;
use super::block_answer::BlockAnswer;
use super::forwarder::{Authorities, EncryptedForwarder, Forwarder, Pin};
use super::list_settings::ListSettings;
use super::log_format::LogFormat;
use super::negative::NegativeAnchor;
use super::origin::Origin;
use super::prefix::Prefix;
use super::problem::{Mark, Problem};
use super::secret::Secret;
use super::tap_settings::{DnstapSettings, QueryLogSettings};
use super::translation::TranslationPrefix;
use super::view_settings::ViewSettings;
use crate::limits::Limits;
use crate::record::{Name, RrSet};

/// All settings of one configuration file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub server: ServerSettings,
    pub recursion: RecursionSettings,
    pub cache: CacheSettings,
    pub policy: PolicySettings,
    pub dns64: Dns64Settings,
    pub tls: TlsSettings,
    pub limits: LimitSettings,
    pub log: LogSettings,
    pub web: WebSettings,
    pub query_log: QueryLogSettings,
    pub dnstap: DnstapSettings,
    pub keys: Vec<KeySettings>,
    /// Those of `[[zone]]`, then those that hold the data of an `[[rpz]]`.
    pub zones: Vec<ZoneSettings>,
    /// In order of precedence.
    pub rpz: Vec<RpzSettings>,
    pub forwards: Vec<RouteSettings>,
    pub stubs: Vec<RouteSettings>,
    /// The CAs of the system, once they have been read; none where no forwarder is verified with them.
    pub system_authorities: Authorities,
    pub lists: Vec<ListSettings>,
    /// The first that matches a client counts.
    pub views: Vec<ViewSettings>,
    /// Keyed by `section.key`; a missing key has its default.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// The section `[server]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// `None`: not configured, so the default addresses are tried and a fall-back port is allowed.
    pub listen: Option<Vec<SocketAddr>>,
    /// Where DNS over TLS is served (RFC 7858).
    pub listen_tls: Vec<SocketAddr>,
    /// Where DNS over HTTPS is served (RFC 8484).
    pub listen_https: Vec<SocketAddr>,
    /// Path of the URI that DNS over HTTPS is served at.
    pub https_path: String,
    /// Whether the JSON form of DNS over HTTPS is served too.
    pub https_json: bool,
    /// Load balancers, each of which says by the PROXY protocol on whose behalf it asks.
    pub proxy_from: Vec<Prefix>,
    /// Clients that may use recursion and the cache.
    pub allow: Vec<Prefix>,
    /// `None`: one for each core.
    pub workers: Option<usize>,
    /// Folder of the files that outlive a restart; `None`: the default folders are tried.
    pub state_dir: Option<PathBuf>,
    /// Where client commands reach this server; `None`: the default place.
    pub control_socket: Option<PathBuf>,
    /// Whom to become after a start as root; `None`: found out.
    pub user: Option<String>,
    pub sandbox: bool,
    /// The translator through which servers with IPv4 alone are reached (RFC 6052).
    pub nat64_prefix: Option<TranslationPrefix>,
    /// The name by which this server is told from others (RFC 4892, RFC 5001); `None` or empty: not told.
    pub identity: Option<String>,
    /// The version that is told to everybody; `None`: the program's own, to clients in `allow`.
    pub version: Option<String>,
}

/// The section `[recursion]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RecursionSettings {
    pub enabled: bool,
    /// `None`: the built-in hints.
    pub root_hints: Option<PathBuf>,
    /// `None`: the built-in anchors.
    pub trust_anchor: Option<PathBuf>,
    pub dnssec: bool,
    pub negative_trust_anchors: Vec<NegativeAnchor>,
    /// Names at and below which signature dates are not checked while the clock is certainly wrong.
    pub time_bootstrap_names: Vec<Name>,
    pub sha1: Sha1,
    pub qname_minimisation: QnameMinimisation,
    /// Keep a copy of the root zone (RFC 8806).
    pub local_root: bool,
    /// Answers root key sentinel names (RFC 8509).
    pub root_key_sentinel: bool,
    /// Signals the key tags of trust anchors (RFC 8145).
    pub trust_anchor_signal: bool,
    /// Reports failures to the agents of zones (RFC 9567).
    pub error_reporting: bool,
    /// Servers may have loopback addresses.
    pub query_loopback: bool,
    /// The resolvers of this machine's network, as the system has them; no key of the file.
    pub system_resolvers: Vec<SocketAddr>,
    /// Queries servers over IPv4; `None`: detected.
    pub ipv4: Option<bool>,
    /// Queries servers over IPv6; `None`: detected.
    pub ipv6: Option<bool>,
}

/// How RSASHA1 and RSASHA1-NSEC3-SHA1 signatures are treated (RFC 9905 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sha1 {
    Insecure,
    Validate,
}

/// QNAME minimisation (RFC 9156).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QnameMinimisation {
    Relaxed,
    Strict,
    Off,
}

/// The section `[cache]`.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// Memory of all caches together, in bytes.
    pub size_bytes: u64,
    pub max_ttl_s: u32,
    pub min_ttl_s: u32,
    pub negative_max_ttl_s: u32,
    pub serve_stale: bool,
    pub stale_max_s: u32,
    pub prefetch: bool,
    /// Refreshes names in the hours in which they are usually asked for.
    pub keep_warm: bool,
    pub aggressive_nsec: bool,
    /// Saves the cache in the state folder, if there is one.
    pub persist: bool,
    /// Seconds between two saves; 0: only when the server stops.
    pub save_interval_s: u32,
}

/// The section `[policy]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySettings {
    pub rebinding_protection: bool,
    /// Names at and below which private addresses are allowed.
    pub rebinding_allow: Vec<Name>,
    /// Clients that may read the cache with RD=0.
    pub allow_snoop: Vec<Prefix>,
    /// Special-use names that are treated as ordinary names.
    pub special_use_except: Vec<Name>,
    /// Records in master-file form, as written.
    pub local_data: Vec<String>,
    pub hosts_file: Option<PathBuf>,
    /// What both say, once it has been read and checked.
    pub local_records: Vec<RrSet>,
    /// `None`: `BlockAnswer::Null`.
    pub block_answer: Option<BlockAnswer>,
    /// TTL of the answer for a blocked name.
    pub block_ttl_s: u32,
    /// URIs for complaints about blocked names.
    pub block_contact: Vec<String>,
}

/// The section `[dns64]` (RFC 6147).
#[derive(Clone, Debug, PartialEq)]
pub struct Dns64Settings {
    /// Clients that get synthesised AAAA records.
    pub clients: Vec<Prefix>,
    pub prefix: TranslationPrefix,
}

/// The section `[tls]`: the certificate that clients are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsSettings {
    /// PEM file of the certificate and its chain.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
}

/// The section `[limits]`: what clients may cost. `None`: a part of what all clients may have.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSettings {
    /// UDP answers in a second to one prefix outside `server.allow`.
    pub responses_per_second: usize,
    /// Answers at once to such a prefix that was quiet.
    pub responses_burst: usize,
    /// Questions of all clients that wait for servers.
    pub waiting_questions: usize,
    pub waiting_questions_per_client: Option<usize>,
    pub waiting_datagrams_per_client: usize,
    pub connections: usize,
    pub connections_per_client: Option<usize>,
    pub questions_per_connection: usize,
    /// Seconds that a connection may be without a question.
    pub connection_idle_s: u32,
    /// Seconds that one message over a connection may take.
    pub connection_message_s: u32,
    /// Over TLS and HTTPS.
    pub tls_connections: usize,
    pub tls_connections_per_client: Option<usize>,
    /// Seconds that one of them may be without a question.
    pub tls_connection_idle_s: u32,
    /// New ones in a second from one prefix in `server.allow`.
    pub tls_handshakes_per_second: usize,
}

/// A limit that is lower than what the file asks for, because this process may not open more files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBack {
    pub key: &'static str,
    pub asked: usize,
    pub in_force: usize,
}

impl LimitSettings {
    /// The limits of a process with so many workers that may open so many files.
    pub fn within(&self, descriptors: usize, workers: usize) -> Limits {
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let limits = Limits {
            responses_per_second: small(self.responses_per_second),
            responses_burst: small(self.responses_burst),
            pending_questions: self.waiting_questions,
            pending_datagrams_per_client: self.waiting_datagrams_per_client,
            tcp_connections: self.connections,
            tcp_questions_per_connection: self.questions_per_connection,
            tcp_idle_ms: u64::from(self.connection_idle_s) * 1_000,
            tcp_message_ms: u64::from(self.connection_message_s) * 1_000,
            tls_connections: self.tls_connections,
            tls_idle_ms: u64::from(self.tls_connection_idle_s) * 1_000,
            tls_handshakes_per_second: small(self.tls_handshakes_per_second),
            ..Limits::default()
        };
        let limits = limits.within_descriptors(descriptors, workers);
        // The defaults leave room for other clients; whoever sets a number may give one client everything.
        let of_one = |asked: Option<usize>, all: usize, default: usize| asked.map_or(default, |asked| asked.min(all));
        Limits {
            pending_questions_per_client: of_one(
                self.waiting_questions_per_client,
                limits.pending_questions,
                limits.pending_questions_per_client,
            ),
            tcp_connections_per_client: of_one(self.connections_per_client, limits.tcp_connections, limits.tcp_connections_per_client),
            tls_connections_per_client: of_one(self.tls_connections_per_client, limits.tls_connections, limits.tls_connections_per_client),
            ..limits
        }
    }

    /// What was asked for, and not by default, and is more than these limits allow.
    pub fn held_back(&self, limits: &Limits) -> Vec<HeldBack> {
        let default = LimitSettings::default();
        let set = |count: usize, default: usize| (count != default).then_some(count);
        let asked = [
            ("limits.waiting-questions", set(self.waiting_questions, default.waiting_questions), limits.pending_questions),
            ("limits.waiting-questions-per-client", self.waiting_questions_per_client, limits.pending_questions_per_client),
            ("limits.connections", set(self.connections, default.connections), limits.tcp_connections),
            ("limits.connections-per-client", self.connections_per_client, limits.tcp_connections_per_client),
            ("limits.tls-connections", set(self.tls_connections, default.tls_connections), limits.tls_connections),
            ("limits.tls-connections-per-client", self.tls_connections_per_client, limits.tls_connections_per_client),
        ];
        let held_back = |(key, asked, in_force): (&'static str, Option<usize>, usize)| {
            asked.filter(|asked| *asked > in_force).map(|asked| HeldBack { key, asked, in_force })
        };
        asked.into_iter().filter_map(held_back).collect()
    }
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HeldBack { key, asked, in_force } = self;
        write!(
            f,
            "{key}: {asked} asked for, {in_force} in force: this process may not open enough files, or the limit for all clients is lower; \
             LimitNOFILE= in the systemd unit or `ulimit -n` raises the number of files"
        )
    }
}

/// The section `[web]`.
#[derive(Clone, Debug, PartialEq)]
pub struct WebSettings {
    /// Empty: no address.
    pub listen: Vec<SocketAddr>,
    pub password_file: Option<PathBuf>,
}

/// The section `[log]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// One `[[key]]`: a secret that this server shares with others (RFC 8945).
#[derive(Clone, Debug, PartialEq)]
pub struct KeySettings {
    pub name: Name,
    pub algorithm: KeyAlgorithm,
    /// Written in the configuration, or read from `secret_file` by whoever reads files.
    pub secret: Option<Secret>,
    pub secret_file: Option<PathBuf>,
    /// Place of the value of `name`.
    pub name_mark: Mark,
    /// Place of the value of `secret` or `secret-file`.
    pub secret_mark: Mark,
}

/// The hash of a TSIG key (RFC 8945 6); those that are still recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

/// What zones are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnssecAlgorithm {
    EcdsaP256Sha256,
    Ed25519,
    EcdsaP384Sha384,
    RsaSha256,
}

/// One `[[zone]]`: a zone served from a master file, or as a secondary of other servers.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneSettings {
    pub name: Name,
    /// `None` only where there are primaries, and for a catalog that is made here.
    pub file: Option<PathBuf>,
    pub allow: Vec<Prefix>,
    /// Servers that the zone is transferred from; not empty: it is a secondary.
    pub primaries: Vec<AddressEntry>,
    /// Who may transfer the zone.
    pub transfer: Vec<AddressEntry>,
    /// Who is told of changes; `None`: the single addresses of `transfer`.
    pub notify: Option<Vec<AddressEntry>>,
    /// Cairn signs the zone.
    pub dnssec: bool,
    pub dnssec_algorithm: DnssecAlgorithm,
    /// Denials are NSEC3 records in place of NSEC.
    pub nsec3: bool,
    /// Who may change the zone by UPDATE (RFC 2136).
    pub update: Vec<AddressEntry>,
    /// The agent domain for error reports about this zone (RFC 9567).
    pub report_channel: Option<Name>,
    /// The zone is a catalog (RFC 9432).
    pub catalog: bool,
    /// The catalog made here that lists the zone.
    pub catalog_zone: Option<Name>,
    /// The group that the catalog says the zone is in (RFC 9432 4.3.2).
    pub catalog_group: Option<String>,
    /// The catalog that has the zone as a member: the entry is not of the file.
    pub member_of: Option<Name>,
    /// It holds the rules of an `[[rpz]]` and is not served.
    pub is_policy: bool,
    /// Line in the configuration file, from 1.
    pub line: usize,
    /// Place of the value of `name`.
    pub name_mark: Mark,
    /// Place of the value of `catalog-zone`.
    pub catalog_zone_mark: Mark,
    /// Place of the value of `file`.
    pub file_mark: Mark,
    /// Place of the value of `primaries`.
    pub primaries_mark: Mark,
}

impl ZoneSettings {
    /// Whether the data comes from other servers.
    pub fn is_secondary(&self) -> bool {
        !self.primaries.is_empty()
    }

    /// Whether its members are served as secondaries.
    pub fn is_consumed_catalog(&self) -> bool {
        self.catalog && self.is_secondary()
    }

    /// Whether the catalog is made of the zones that name it as their `catalog-zone`.
    pub fn is_made_catalog(&self) -> bool {
        self.catalog && !self.is_secondary() && self.file.is_none()
    }

    /// The servers that are told of changes.
    pub fn told_of_changes(&self) -> Vec<AddressEntry> {
        let of_transfer = || self.transfer.iter().filter(|entry| entry.host().is_some()).cloned().collect();
        self.notify.clone().unwrap_or_else(of_transfer)
    }
}

/// One `[[rpz]]`: a response policy zone (draft-vixie-dnsop-dns-rpz-00).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpzSettings {
    pub zone: Name,
    /// Neither `file` nor `primaries`: a `[[zone]]` of this name has the data.
    pub file: Option<PathBuf>,
    pub primaries: Vec<AddressEntry>,
    pub policy: RpzPolicy,
    /// The target of `policy = "cname"`.
    pub cname: Option<Name>,
    /// Rules that match are logged and change nothing.
    pub log_only: bool,
    /// Rules for names and clients wait for the response.
    pub qname_wait_recurse: bool,
    /// Signed data is rewritten also for clients that ask for signatures.
    pub break_dnssec: bool,
    /// Line in the configuration file, from 1.
    pub line: usize,
    /// Place of the value of `zone`.
    pub zone_mark: Mark,
    /// Place of the value of `file`.
    pub file_mark: Mark,
    /// Place of the value of `primaries`.
    pub primaries_mark: Mark,
    /// Place of the value of `policy`.
    pub policy_mark: Mark,
}

/// What the rules of a response policy zone do, whatever they say themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RpzPolicy {
    Given,
    NxDomain,
    NoData,
    Passthru,
    Drop,
    TcpOnly,
    Cname,
}

impl RpzSettings {
    /// The zone that holds its data and is not served; `None`: a `[[zone]]` of this name has the data.
    pub fn own_zone(&self) -> Option<ZoneSettings> {
        (self.file.is_some() || !self.primaries.is_empty()).then(|| ZoneSettings {
            name: self.zone.clone(),
            file: self.file.clone(),
            allow: Vec::new(),
            primaries: self.primaries.clone(),
            line: self.line,
            name_mark: self.zone_mark.clone(),
            file_mark: self.file_mark.clone(),
            primaries_mark: self.primaries_mark.clone(),
            is_policy: true,
            ..ZoneSettings::default()
        })
    }
}

/// One `[[forward]]` (asked with RD=1) or `[[stub]]` (asked with RD=0).
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSettings {
    pub zone: Name,
    /// Never empty in a `[[stub]]`. An empty list in a `[[forward]]` means: not forwarded, whatever the rules for zones above
    /// say.
    pub to: Vec<Forwarder>,
    /// File of the CAs that encrypted servers are verified with; `None`: those of the system, or the keys alone.
    pub ca: Option<PathBuf>,
    /// Those of the file, once it has been read.
    pub authorities: Authorities,
    /// One of these keys has to be that of an encrypted server; empty: any.
    pub pins: Vec<Pin>,
    /// Iterate from the root if all of them fail.
    pub fallback: bool,
    /// Also a zone that the public tree denies is to be proved.
    pub dnssec: bool,
    /// Line in the configuration file, from 1.
    pub line: usize,
    /// Place of the value of `zone`.
    pub zone_mark: Mark,
    /// Place of the value of `to`.
    pub to_mark: Mark,
    /// Place of the value of `ca`.
    pub ca_mark: Mark,
    /// Place of the value of `pin-sha256`.
    pub pins_mark: Mark,
}

impl RouteSettings {
    /// The servers that are asked over encrypted connections.
    pub fn encrypted(&self) -> impl Iterator<Item = &EncryptedForwarder> {
        self.to.iter().filter_map(Forwarder::encrypted)
    }

    /// Are encrypted servers verified with the CAs of the system?
    pub fn needs_system_authorities(&self) -> bool {
        self.ca.is_none() && self.pins.is_empty() && self.encrypted().next().is_some()
    }
}

impl Settings {
    /// Is any forwarder verified with the CAs of the system?
    pub fn needs_system_authorities(&self) -> bool {
        let of_views = || self.views.iter().flat_map(|view| &view.forward).flat_map(|forward| &forward.to);
        self.forwards.iter().any(RouteSettings::needs_system_authorities) || of_views().any(|server| server.encrypted().is_some())
    }

    /// Where the value of `section.key` came from.
    pub fn origin_of(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// A problem with the file or the address that the value of `section.key` names.
    pub fn problem_with(&self, key: &str, what: impl Into<String>) -> Problem {
        match self.origins.get(key) {
            Some(Origin::File { file, mark }) => Problem::at(file, mark, what),
            _ => Problem::of_file(key, what),
        }
    }

    /// Addresses of the command line replace those of the file.
    pub fn listen_from_command_line(&mut self, listen: Vec<SocketAddr>) {
        self.server.listen = Some(listen);
        self.origins.insert("server.listen".to_owned(), Origin::CommandLine);
    }
}

impl ServerSettings {
    /// The configured addresses, or the default ones.
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.listen
            .clone()
            .unwrap_or_else(|| vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 53)])
    }

    /// The configured number, or one for each core.
    pub fn worker_count(&self) -> usize {
        self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        let loopback_v4 = Prefix::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8);
        let loopback_v6 = Prefix::new(Ipv6Addr::LOCALHOST.into(), 128);
        let allow = loopback_v4.into_iter().chain(loopback_v6).collect();
        ServerSettings {
            listen: None,
            listen_tls: Vec::new(),
            listen_https: Vec::new(),
            https_path: "/dns-query".to_owned(),
            https_json: false,
            proxy_from: Vec::new(),
            allow,
            workers: None,
            state_dir: None,
            control_socket: None,
            user: None,
            sandbox: true,
            nat64_prefix: None,
            identity: None,
            version: None,
        }
    }
}

/// The time servers that systems use by default.
const TIME_NAMES: [&str; 4] = ["pool.ntp.org.", "ntp.ubuntu.com.", "time.cloudflare.com.", "time.google.com."];

impl Default for RecursionSettings {
    fn default() -> RecursionSettings {
        RecursionSettings {
            enabled: true,
            root_hints: None,
            trust_anchor: None,
            dnssec: true,
            negative_trust_anchors: Vec::new(),
            time_bootstrap_names: TIME_NAMES.iter().filter_map(|name| Name::parse(name).ok()).collect(),
            sha1: Sha1::Insecure,
            qname_minimisation: QnameMinimisation::Relaxed,
            local_root: false,
            root_key_sentinel: true,
            trust_anchor_signal: false,
            error_reporting: true,
            query_loopback: false,
            system_resolvers: Vec::new(),
            ipv4: None,
            ipv6: None,
        }
    }
}

impl Default for CacheSettings {
    fn default() -> CacheSettings {
        CacheSettings {
            size_bytes: 256 << 20,
            max_ttl_s: 2 * 86_400,
            min_ttl_s: 0,
            negative_max_ttl_s: 3_600,
            serve_stale: true,
            stale_max_s: 86_400,
            prefetch: true,
            keep_warm: false,
            aggressive_nsec: true,
            persist: true,
            save_interval_s: 1_800,
        }
    }
}

impl Default for PolicySettings {
    fn default() -> PolicySettings {
        PolicySettings {
            rebinding_protection: true,
            rebinding_allow: Vec::new(),
            allow_snoop: Vec::new(),
            special_use_except: Vec::new(),
            local_data: Vec::new(),
            hosts_file: None,
            local_records: Vec::new(),
            block_answer: Some(BlockAnswer::Null),
            block_ttl_s: 60,
            block_contact: Vec::new(),
        }
    }
}

impl Default for Dns64Settings {
    fn default() -> Dns64Settings {
        Dns64Settings { clients: Vec::new(), prefix: TranslationPrefix::WELL_KNOWN }
    }
}

impl Default for LimitSettings {
    fn default() -> LimitSettings {
        let limits = Limits::default();
        LimitSettings {
            responses_per_second: limits.responses_per_second as usize,
            responses_burst: limits.responses_burst as usize,
            waiting_questions: limits.pending_questions,
            waiting_questions_per_client: None,
            waiting_datagrams_per_client: limits.pending_datagrams_per_client,
            connections: limits.tcp_connections,
            connections_per_client: None,
            questions_per_connection: limits.tcp_questions_per_connection,
            connection_idle_s: 10,
            connection_message_s: 5,
            tls_connections: limits.tls_connections,
            tls_connections_per_client: None,
            tls_connection_idle_s: 30,
            tls_handshakes_per_second: limits.tls_handshakes_per_second as usize,
        }
    }
}

impl Default for WebSettings {
    fn default() -> WebSettings {
        WebSettings { listen: vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8053)], password_file: None }
    }
}

impl Default for LogSettings {
    fn default() -> LogSettings {
        LogSettings { level: LogLevel::Info, format: LogFormat::Text }
    }
}

impl Default for ZoneSettings {
    fn default() -> ZoneSettings {
        ZoneSettings {
            name: Name::root(),
            file: None,
            allow: vec![Prefix::ALL_IPV4, Prefix::ALL_IPV6],
            primaries: Vec::new(),
            transfer: Vec::new(),
            notify: None,
            dnssec: false,
            dnssec_algorithm: DnssecAlgorithm::EcdsaP256Sha256,
            nsec3: false,
            update: Vec::new(),
            report_channel: None,
            catalog: false,
            catalog_zone: None,
            catalog_group: None,
            member_of: None,
            is_policy: false,
            line: 0,
            name_mark: Mark::default(),
            catalog_zone_mark: Mark::default(),
            file_mark: Mark::default(),
            primaries_mark: Mark::default(),
        }
    }
}

impl Default for RpzSettings {
    fn default() -> RpzSettings {
        RpzSettings {
            zone: Name::root(),
            file: None,
            primaries: Vec::new(),
            policy: RpzPolicy::Given,
            cname: None,
            log_only: false,
            qname_wait_recurse: false,
            break_dnssec: false,
            line: 0,
            zone_mark: Mark::default(),
            file_mark: Mark::default(),
            primaries_mark: Mark::default(),
            policy_mark: Mark::default(),
        }
    }
}

impl Default for KeySettings {
    fn default() -> KeySettings {
        KeySettings {
            name: Name::root(),
            algorithm: KeyAlgorithm::Sha256,
            secret: None,
            secret_file: None,
            name_mark: Mark::default(),
            secret_mark: Mark::default(),
        }
    }
}

impl Default for RouteSettings {
    fn default() -> RouteSettings {
        RouteSettings {
            zone: Name::root(),
            to: Vec::new(),
            ca: None,
            authorities: Authorities::default(),
            pins: Vec::new(),
            fallback: false,
            dnssec: false,
            line: 0,
            zone_mark: Mark::default(),
            to_mark: Mark::default(),
            ca_mark: Mark::default(),
            pins_mark: Mark::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_file_as_far_as_the_process_allows() {
        assert_eq!(LimitSettings::default().within(1 << 20, 2), Limits::default(), "idle and message times too");
        let read = |text: &str| Settings::from_toml(&format!("[limits]\n{text}"), "c.toml").expect(text).limits;
        let limits =
            read("connections = 100\nconnections-per-client = 100\nwaiting-questions = 40\nconnection-idle = '1m'").within(1 << 20, 2);
        assert_eq!((limits.tcp_connections, limits.tcp_connections_per_client, limits.tcp_idle_ms), (100, 100, 60_000));
        assert_eq!((limits.pending_questions, limits.pending_questions_per_client), (40, 30), "others find room");
        let tls = read("tls-connections = 60\ntls-connections-per-client = 60\ntls-connection-idle = '2m'\ntls-handshakes-per-second = 7");
        let limits = tls.within(1 << 20, 2);
        assert_eq!((limits.tls_connections, limits.tls_connections_per_client, limits.tls_idle_ms), (60, 60, 120_000));
        assert_eq!(limits.tls_handshakes_per_second, 7);
        let asked = read("connections = 5000\nwaiting-questions-per-client = 4000");
        let held_back = asked.held_back(&asked.within(4_096, 2));
        let keys: Vec<_> = held_back.iter().map(|held_back| (held_back.key, held_back.asked, held_back.in_force)).collect();
        assert_eq!(keys, [("limits.waiting-questions-per-client", 4_000, 1_152), ("limits.connections", 5_000, 1_024)]);
        assert_eq!(LimitSettings::default().held_back(&LimitSettings::default().within(64, 2)), [], "nobody asked for them");
    }
}
