//! What each statement of unbound.conf is in cairn.toml. Where there is no counterpart, a remark names the line and says why, and
//! where a half-right translation would be worse than none (TLS to servers without a name), the rule is left out.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::super::forwarder::Forwarder;
use super::lines::Statement;
use super::toml_text::{TomlText, list, quoted};
use crate::record::{Name, reverse_name};

/// The text of a cairn.toml, and the statements that are not in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translation {
    pub text: String,
    /// `FILE:LINE: KEY: why`.
    pub remarks: Vec<String>,
}

/// Translates all statements, in the order in which they stand; `exists` says whether a file is there.
pub fn translate(statements: &[Statement], exists: &dyn Fn(&str) -> bool) -> Translation {
    let mut server = Server::default();
    let mut zones: Vec<Zone> = Vec::new();
    let mut remarks = Remarks::default();
    let mut clause = "server";
    server.directory = statements.iter().find(|one| one.key == "directory").map(|one| one.value().to_owned()).unwrap_or_default();
    for statement in statements {
        if statement.is_clause() {
            clause = &statement.key;
            if let Some(kind) = ZoneKind::of(clause) {
                zones.push(Zone::new(kind, statement));
            }
            continue;
        }
        match (clause, zones.last_mut()) {
            ("server", _) => server.take(statement, exists, &mut remarks),
            ("forward-zone" | "stub-zone" | "auth-zone" | "rpz", Some(zone)) => zone.take(statement, &mut remarks),
            ("remote-control", _) if statement.key == "control-enable" && statement.value() == "yes" => {}
            ("remote-control", _) => remarks.push(statement, "commands reach Cairn at a Unix socket (`control-socket` below [server])"),
            (other, _) => remarks.push(statement, &format!("there is no {other} clause here")),
        }
    }
    let mut toml = TomlText::default();
    let local_root = zones.iter().any(Zone::is_local_root);
    server.write(local_root, &mut toml);
    for zone in zones.iter().filter(|zone| !zone.is_local_root()) {
        zone.write(&server, &mut toml, &mut remarks);
    }
    Translation { text: toml.text(), remarks: remarks.0 }
}

#[derive(Default)]
struct Remarks(Vec<String>);

impl Remarks {
    fn push(&mut self, statement: &Statement, why: &str) {
        self.0.push(format!("{}:{}: {}: {why}", statement.file, statement.line, statement.key));
    }
}

/// Everything of the `server:` clause that has a counterpart.
#[derive(Default)]
struct Server {
    directory: String,
    interfaces: Vec<String>,
    port: Option<u16>,
    allow: Vec<String>,
    allow_snoop: Vec<String>,
    cache_bytes: u64,
    lines: BTreeSet<(usize, String)>,
    insecure: Vec<String>,
    private_domains: Vec<String>,
    not_special: Vec<String>,
    local_data: Vec<String>,
    /// Names whose data holds for every name below as well.
    redirected: BTreeSet<String>,
    dns64: bool,
    dns64_prefix: Option<String>,
}

/// The headers of the sections, in the order of the reference.
const HEADERS: [&str; 5] = ["[server]", "[recursion]", "[cache]", "[policy]", "[log]"];
const RECURSION: usize = 1;
const CACHE: usize = 2;
const POLICY: usize = 3;
const LOG: usize = 4;

/// On by default, or found out: these need no key where they say `yes` (or a number).
const BY_DEFAULT: &[&str] = &[
    "hide-identity",
    "hide-version",
    "hide-trustanchor",
    "harden-glue",
    "harden-dnssec-stripped",
    "harden-below-nxdomain",
    "harden-referral-path",
    "harden-short-bufsize",
    "harden-large-queries",
    "harden-unknown-additional",
    "harden-algo-downgrade",
    "qname-minimisation",
    "aggressive-nsec",
    "prefetch",
    "prefetch-key",
    "use-caps-for-id",
    "minimal-responses",
    "rrset-roundrobin",
    "deny-any",
    "val-clean-additional",
    "do-udp",
    "do-tcp",
    "do-ip4",
    "do-ip6",
    "do-not-query-localhost",
    "so-reuseport",
    "unblock-lan-zones",
    "ede",
    "ede-serve-expired",
    "trust-anchor-signaling",
    "root-key-sentinel",
    "interface-automatic",
];

/// Bounds and tables that Cairn sets by itself, whatever they are set to.
const BY_ITSELF: &[&str] = &[
    "msg-cache-slabs",
    "rrset-cache-slabs",
    "infra-cache-slabs",
    "key-cache-slabs",
    "ratelimit-slabs",
    "ip-ratelimit-slabs",
    "outgoing-range",
    "outgoing-num-tcp",
    "incoming-num-tcp",
    "num-queries-per-thread",
    "so-rcvbuf",
    "so-sndbuf",
    "edns-buffer-size",
    "max-udp-size",
    "infra-host-ttl",
    "infra-cache-numhosts",
    "jostle-timeout",
    "unwanted-reply-threshold",
    "statistics-interval",
    "statistics-cumulative",
    "extended-statistics",
    "target-fetch-policy",
    "delay-close",
    "stream-wait-size",
    "tcp-idle-timeout",
    "edns-tcp-keepalive",
    "do-daemonize",
    "pidfile",
    "chroot",
    "directory",
    "ip-freebind",
    "ip-transparent",
    "val-nsec3-keysize-iterations",
    "outgoing-port-permit",
    "outgoing-port-avoid",
    "module-config",
    "serve-expired-client-timeout",
    "serve-expired-reply-ttl",
];

impl Server {
    fn take(&mut self, statement: &Statement, exists: &dyn Fn(&str) -> bool, remarks: &mut Remarks) {
        let value = statement.value();
        let yes = value == "yes";
        match statement.key.as_str() {
            "interface" | "ip-address" => match interface(value) {
                Some(address) => self.interfaces.push(address),
                None => remarks.push(statement, "an address is needed in `listen` below [server], not the name of an interface"),
            },
            "interface-automatic" if yes => self.interfaces.extend(["0.0.0.0".to_owned(), "::".to_owned()]),
            "port" => match value.parse() {
                Ok(port) if port > 0 => self.port = Some(port),
                _ => remarks.push(statement, "this is no port"),
            },
            "access-control" => self.access_control(statement, remarks),
            "num-threads" => self.number(statement, 0, "workers", 1..=1_024, remarks),
            "username" if value.is_empty() => {}
            "username" => remarks.push(statement, "Cairn becomes the user cairn where there is one; `user` below [server] names another"),
            "msg-cache-size" | "rrset-cache-size" | "key-cache-size" | "neg-cache-size" => match size(value) {
                Some(bytes) => self.cache_bytes = self.cache_bytes.saturating_add(bytes),
                None => remarks.push(statement, "this is no size"),
            },
            "cache-max-ttl" => self.number(statement, CACHE, "max-ttl", 1..=604_800, remarks),
            "cache-min-ttl" => self.number(statement, CACHE, "min-ttl", 0..=3_600, remarks),
            "cache-max-negative-ttl" => self.number(statement, CACHE, "negative-max-ttl", 0..=86_400, remarks),
            "serve-expired" => self.flag(CACHE, "serve-stale", yes),
            "serve-expired-ttl" if value == "0" => self.line(CACHE, "stale-max = \"1w\""),
            "serve-expired-ttl" => self.number(statement, CACHE, "stale-max", 1..=604_800, remarks),
            "prefetch" | "aggressive-nsec" if !yes => self.flag(CACHE, &statement.key, false),
            "qname-minimisation" if !yes => self.line(RECURSION, "qname-minimisation = \"off\""),
            "qname-minimisation-strict" if yes => self.line(RECURSION, "qname-minimisation = \"strict\""),
            "qname-minimisation-strict" => {}
            "do-ip4" if !yes => self.flag(RECURSION, "ipv4", false),
            "do-ip6" if !yes => self.flag(RECURSION, "ipv6", false),
            "do-not-query-localhost" if !yes => self.flag(RECURSION, "query-loopback", true),
            "root-key-sentinel" | "trust-anchor-signaling" => {
                let key = if statement.key == "root-key-sentinel" { "root-key-sentinel" } else { "trust-anchor-signal" };
                self.flag(RECURSION, key, yes);
            }
            "root-hints" => self.file(statement, "root-hints", exists, remarks),
            "trust-anchor-file" => self.file(statement, "trust-anchor", exists, remarks),
            "auto-trust-anchor-file" if value.rsplit('/').next() == Some("root.key") => {}
            "auto-trust-anchor-file" => self.file(statement, "trust-anchor", exists, remarks),
            "trust-anchor" => remarks.push(statement, "write the record into a file, and name it as `trust-anchor` below [recursion]"),
            "domain-insecure" => self.name(statement, |server| &mut server.insecure, remarks),
            "module-config" if !value.contains("iterator") => remarks.push(statement, "Cairn resolves names in any case"),
            "module-config" => {
                if !value.contains("validator") {
                    self.flag(RECURSION, "dnssec", false);
                }
                self.dns64 |= value.contains("dns64");
            }
            "dns64-prefix" => self.dns64_prefix = Some(value.to_owned()),
            "private-domain" => self.name(statement, |server| &mut server.private_domains, remarks),
            "private-address" => {
                if !is_private(value) {
                    remarks.push(statement, "only private addresses are removed from answers (`rebinding-protection`)");
                }
            }
            "local-zone" => self.local_zone(statement, remarks),
            "local-data" => self.local_data(statement, remarks),
            "local-data-ptr" => self.local_data_ptr(statement, remarks),
            "verbosity" => match value {
                "0" => self.line(LOG, "level = \"error\""),
                "1" | "2" => self.line(LOG, "level = \"info\""),
                "3" => self.line(LOG, "level = \"debug\""),
                _ => self.line(LOG, "level = \"trace\""),
            },
            "logfile" if value.is_empty() => {}
            "logfile" | "use-syslog" | "log-time-ascii" => {
                if statement.key == "logfile" || yes {
                    remarks.push(statement, "the log goes to standard error, from where the service manager takes it");
                }
            }
            key if BY_ITSELF.contains(&key) => {}
            key if BY_DEFAULT.contains(&key) && (yes || value.parse::<u64>().is_ok()) => {}
            key if BY_DEFAULT.contains(&key) => remarks.push(statement, "this is always on"),
            key if value == "no" && key.starts_with("log-") => {}
            _ => remarks.push(statement, "there is no such key here"),
        }
    }

    fn line(&mut self, section: usize, line: impl Into<String>) {
        let line = line.into();
        let key = line.split(' ').next().unwrap_or_default().to_owned();
        // The last one counts, as it does in unbound.conf.
        self.lines.retain(|(at, have)| *at != section || have.split(' ').next() != Some(key.as_str()));
        self.lines.insert((section, line));
    }

    fn flag(&mut self, section: usize, key: &str, value: bool) {
        self.line(section, format!("{key} = {value}"));
    }

    fn number(&mut self, statement: &Statement, section: usize, key: &str, range: std::ops::RangeInclusive<u64>, remarks: &mut Remarks) {
        match statement.value().parse::<u64>() {
            Ok(number) => {
                let taken = number.clamp(*range.start(), *range.end());
                if taken != number {
                    remarks.push(statement, &format!("{number} is out of range, {taken} is taken"));
                }
                self.line(section, format!("{key} = {taken}"));
            }
            Err(_) => remarks.push(statement, "this is no number"),
        }
    }

    fn file(&mut self, statement: &Statement, key: &str, exists: &dyn Fn(&str) -> bool, remarks: &mut Remarks) {
        if statement.value().is_empty() {
            return;
        }
        let path = self.path(statement.value());
        if exists(&path) {
            self.line(RECURSION, format!("{key} = {}", quoted(&path)));
        } else {
            remarks.push(statement, &format!("{path} is not there; without it the built-in ones are used"));
        }
    }

    /// unbound.conf(5): relative to `directory`.
    fn path(&self, path: &str) -> String {
        if path.starts_with('/') || self.directory.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.directory.trim_end_matches('/'))
        }
    }

    fn name(&mut self, statement: &Statement, list: impl Fn(&mut Server) -> &mut Vec<String>, remarks: &mut Remarks) {
        match Name::parse(statement.value()) {
            Ok(name) => list(self).push(name.to_string()),
            Err(error) => remarks.push(statement, &format!("this is no name: {error}")),
        }
    }

    fn access_control(&mut self, statement: &Statement, remarks: &mut Remarks) {
        let action = statement.values.get(1).map(String::as_str).unwrap_or_default();
        let Some(prefix) = prefix(statement.value()) else { return remarks.push(statement, "this is no prefix such as 192.0.2.0/24") };
        match action {
            "allow" | "allow_setrd" => self.allow.push(prefix),
            "allow_snoop" => {
                self.allow.push(prefix.clone());
                self.allow_snoop.push(prefix);
            }
            // Everybody who is not allowed is refused anyhow.
            "refuse" | "refuse_non_local" | "deny" | "deny_non_local" if prefix.ends_with("/0") => {}
            _ => remarks.push(statement, "only clients that may ask are listed (`allow` below [server]); all others are refused"),
        }
    }

    fn local_zone(&mut self, statement: &Statement, remarks: &mut Remarks) {
        let kind = statement.values.get(1).map(String::as_str).unwrap_or_default();
        let Ok(name) = Name::parse(statement.value()) else { return remarks.push(statement, "this is no name") };
        match kind {
            "nodefault" => self.not_special.push(name.to_string()),
            "transparent" | "typetransparent" | "inform" => {}
            "redirect" => {
                self.redirected.insert(name.to_string());
            }
            "static" => remarks.push(
                statement,
                "names of it without `local-data` are resolved as usual; if they shall not exist, make a zone file (docs/migrating.md)",
            ),
            _ => remarks.push(statement, "names cannot be blocked yet"),
        }
    }

    fn local_data(&mut self, statement: &Statement, remarks: &mut Remarks) {
        let record = statement.values.join(" ");
        let mut words = record.split_whitespace();
        let owner = words.next().map(Name::parse);
        let rtype = words.find(|word| word.parse::<u32>().is_err() && !word.eq_ignore_ascii_case("IN")).map(str::to_ascii_uppercase);
        match (owner, rtype.as_deref()) {
            (Some(Ok(_)), Some("SOA" | "NS" | "DNAME")) => remarks.push(statement, "a zone needs a zone file (docs/migrating.md)"),
            (Some(Ok(_)), Some(_)) => self.local_data.push(record),
            _ => remarks.push(statement, "this is no record"),
        }
    }

    /// `192.0.2.9 printer.lan`: A and AAAA records bring theirs along.
    fn local_data_ptr(&mut self, statement: &Statement, remarks: &mut Remarks) {
        let words = statement.values.join(" ");
        let mut words = words.split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        match (address, words.last().map(Name::parse)) {
            (Some(address), Some(Ok(name))) => {
                let has = |record: &String| record.split_whitespace().last().and_then(|last| last.parse().ok()) == Some(address);
                if !self.local_data.iter().any(has) {
                    self.local_data.extend(reverse_name(address).map(|reverse| format!("{reverse} PTR {name}")));
                }
            }
            _ => remarks.push(statement, "this is no address with a name"),
        }
    }

    fn write(&self, local_root: bool, toml: &mut TomlText) {
        let listen = self.listen();
        if !listen.is_empty() {
            toml.line(HEADERS[0], list("listen", &listen));
        }
        if !self.allow.is_empty() {
            // unbound.conf(5): localhost is always allowed.
            let local = ["127.0.0.0/8", "::1/128"].map(str::to_owned);
            toml.line(HEADERS[0], list("allow", &distinct(local.into_iter().chain(self.allow.iter().cloned()))));
        }
        let of_section = |section: usize| self.lines.iter().filter(move |(at, _)| *at == section).map(|(_, line)| line.clone());
        for (section, header) in HEADERS.iter().enumerate() {
            of_section(section).for_each(|line| toml.line(header, line));
            let lists: Vec<(&str, &Vec<String>)> = match section {
                RECURSION => vec![("negative-trust-anchors", &self.insecure)],
                POLICY => vec![
                    ("rebinding-allow", &self.private_domains),
                    ("allow-snoop", &self.allow_snoop),
                    ("special-use-except", &self.not_special),
                ],
                _ => Vec::new(),
            };
            for (key, items) in lists.into_iter().filter(|(_, items)| !items.is_empty()) {
                toml.line(header, list(key, &distinct(items.iter().cloned())));
            }
            match section {
                RECURSION if local_root => toml.line(header, "local-root = true"),
                CACHE if self.cache_bytes > 0 => {
                    toml.line(header, format!("size = \"{}MiB\"", self.cache_bytes.div_ceil(1 << 20).clamp(1, 4 << 20)))
                }
                POLICY if !self.local_data.is_empty() => toml.line(header, list("local-data", &self.records())),
                _ => {}
            }
        }
        if self.dns64 {
            toml.line("[dns64]", list("clients", &["0.0.0.0/0".to_owned(), "::/0".to_owned()]));
            if let Some(prefix) = &self.dns64_prefix {
                toml.line("[dns64]", format!("prefix = {}", quoted(prefix)));
            }
        }
    }

    /// With the wildcards that `redirect` stands for.
    fn records(&self) -> Vec<String> {
        let mut records = Vec::new();
        for record in &self.local_data {
            records.push(record.clone());
            let (owner, rest) = record.split_once(char::is_whitespace).unwrap_or((record, ""));
            if Name::parse(owner).is_ok_and(|name| self.redirected.contains(&name.to_string())) {
                records.push(format!("*.{owner} {rest}"));
            }
        }
        distinct(records)
    }

    fn listen(&self) -> Vec<String> {
        let default = ["127.0.0.1".to_owned(), "::1".to_owned()];
        let interfaces: &[String] = match (self.interfaces.is_empty(), self.port) {
            (false, _) => &self.interfaces,
            (true, Some(_)) => &default,
            (true, None) => &[],
        };
        distinct(interfaces.iter().filter_map(|interface| Some(socket(interface, self.port.unwrap_or(53))?.to_string())))
    }
}

fn distinct(items: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    items.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

/// `192.0.2.1`, `::0` or `192.0.2.1@5353`, if it is an address.
fn interface(value: &str) -> Option<String> {
    socket(value, 53).map(|_| value.to_owned())
}

/// `ADDRESS`, `ADDRESS@PORT`, either with `#NAME` behind it.
fn socket(value: &str, port: u16) -> Option<SocketAddr> {
    let address = value.split('#').next()?;
    let (address, port) = match address.split_once('@') {
        Some((address, port)) => (address, port.parse().ok().filter(|port| *port > 0)?),
        None => (address, port),
    };
    Some(SocketAddr::new(address.parse().ok()?, port))
}

/// `192.0.2.1@853#dns.example.net` as the URL of a server that is asked over TLS.
fn url(value: &str) -> Option<String> {
    let (_, host) = value.split_once('#')?;
    let address = socket(value, 853)?;
    let port = if address.port() == 853 { String::new() } else { format!(":{}", address.port()) };
    let url = Forwarder::parse(&format!("tls://{host}{port}#{}", address.ip())).ok()?;
    Some(url.to_string())
}

/// With its length, which is that of a single address where none is given.
fn prefix(value: &str) -> Option<String> {
    let (address, length) = value.split_once('/').map_or((value, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(most), |length| length.parse::<u8>().ok()).filter(|length| *length <= most)?;
    Some(format!("{}/{length}", masked(address, length)))
}

/// The address without the bits behind the prefix.
fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip) & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)).to_be_bytes()),
    }
}

/// `64m`, `4k`, `1g` or octets.
fn size(value: &str) -> Option<u64> {
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << unit)
}

/// Are all of these addresses removed from answers for public names anyhow?
fn is_private(value: &str) -> bool {
    let Some(address) = value.split('/').next().and_then(|address| address.parse::<IpAddr>().ok()) else { return false };
    match address {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0 || ip.octets()[0] == 100,
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback() || ip.to_ipv4_mapped().is_some(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ZoneKind {
    Forward,
    Stub,
    Auth,
    Rpz,
}

impl ZoneKind {
    fn of(clause: &str) -> Option<ZoneKind> {
        match clause {
            "forward-zone" => Some(ZoneKind::Forward),
            "stub-zone" => Some(ZoneKind::Stub),
            "auth-zone" => Some(ZoneKind::Auth),
            "rpz" => Some(ZoneKind::Rpz),
            _ => None,
        }
    }
}

/// A `forward-zone:`, `stub-zone:`, `auth-zone:` or `rpz:` clause.
struct Zone {
    kind: ZoneKind,
    begins: Statement,
    name: Option<Name>,
    to: Vec<String>,
    fallback: bool,
    file: Option<String>,
    tls: bool,
    /// The servers of a `forward-zone:` as URLs, as far as they say who they have to prove to be.
    urls: Vec<Option<String>>,
    /// Of an `rpz:` clause.
    rules: Vec<String>,
}

impl Zone {
    fn new(kind: ZoneKind, begins: &Statement) -> Zone {
        Zone {
            kind,
            begins: begins.clone(),
            name: None,
            to: Vec::new(),
            fallback: false,
            file: None,
            tls: false,
            urls: Vec::new(),
            rules: Vec::new(),
        }
    }

    fn take(&mut self, statement: &Statement, remarks: &mut Remarks) {
        let value = statement.value();
        let yes = value == "yes";
        match statement.key.as_str() {
            "name" => match Name::parse(value) {
                Ok(name) => self.name = Some(name),
                Err(error) => remarks.push(statement, &format!("this is no name: {error}")),
            },
            "forward-addr" | "stub-addr" => match socket(value, 53) {
                Some(address) => {
                    self.to.push(address.to_string());
                    self.urls.push(url(value));
                }
                None => remarks.push(statement, "this is no address"),
            },
            "forward-host" | "stub-host" => remarks.push(statement, "servers are given by their addresses"),
            "forward-first" | "stub-first" => self.fallback = yes,
            "forward-tls-upstream" | "forward-ssl-upstream" | "stub-tls-upstream" | "stub-ssl-upstream" => self.tls = yes,
            "fallback-enabled" => self.fallback = yes,
            "zonefile" => self.file = Some(value.to_owned()),
            key if self.kind == ZoneKind::Rpz => match (key, value) {
                ("primary" | "master", _) => match socket(value, 53) {
                    Some(address) => self.to.push(if address.port() == 53 { address.ip().to_string() } else { address.to_string() }),
                    None => remarks.push(statement, "a primary is given by its address, and asked without TLS"),
                },
                ("rpz-action-override", "disabled") => self.rules.push("log-only = true".to_owned()),
                ("rpz-action-override", _) => self.rules.push(format!("policy = {}", quoted(value))),
                ("rpz-cname-override", _) => self.rules.push(format!("cname = {}", quoted(value))),
                ("rpz-log" | "rpz-log-name" | "for-downstream", "no") => {}
                ("rpz-log" | "rpz-log-name", _) => {
                    remarks.push(statement, "`log-only` logs and changes nothing; `response-policy-rewrites` counts")
                }
                ("url", _) => remarks.push(statement, "zones come from files and from primaries"),
                ("tags", _) => remarks.push(statement, "the rules are for all clients"),
                _ => remarks.push(statement, "there is no such key here"),
            },
            "for-downstream" | "for-upstream" | "forward-no-cache" | "stub-no-cache" | "stub-prime" if !yes => {}
            "for-downstream" | "for-upstream" => {}
            "primary" | "master" | "url" | "allow-notify" | "zonemd-check" if self.is_local_root() => {}
            "primary" | "master" | "url" | "allow-notify" => remarks.push(statement, "zones are read from files; there is no transfer yet"),
            _ => remarks.push(statement, "there is no such key here"),
        }
    }

    fn is_local_root(&self) -> bool {
        self.kind == ZoneKind::Auth && self.name.as_ref().is_some_and(Name::is_root)
    }

    fn write(&self, server: &Server, toml: &mut TomlText, remarks: &mut Remarks) {
        let Some(name) = &self.name else { return remarks.push(&self.begins, "it has no name") };
        let name = quoted(&name.to_string());
        let (header, mut lines) = match self.kind {
            ZoneKind::Auth => match &self.file {
                Some(file) => ("[[zone]]", vec![format!("name = {name}"), format!("file = {}", quoted(&server.path(file)))]),
                None => return remarks.push(&self.begins, "it has no `zonefile`; there is no transfer yet"),
            },
            ZoneKind::Rpz if self.file.is_none() && self.to.is_empty() => {
                return remarks.push(&self.begins, "it has neither zonefile nor primary");
            }
            ZoneKind::Rpz => {
                let file = self.file.iter().map(|file| format!("file = {}", quoted(&server.path(file))));
                let primaries = (!self.to.is_empty()).then(|| list("primaries", &self.to));
                // Unbound rewrites signed data for everybody.
                let rest = self.rules.iter().cloned().chain(["break-dnssec = true".to_owned()]);
                ("[[rpz]]", [format!("zone = {name}")].into_iter().chain(file).chain(primaries).chain(rest).collect())
            }
            ZoneKind::Stub if self.tls => {
                let what = "TLS to the servers of a zone is not supported; the rule is left out, so that no query leaves unencrypted";
                return remarks.push(&self.begins, what);
            }
            ZoneKind::Forward if self.tls => {
                let urls: Vec<String> = self.urls.iter().flatten().cloned().collect();
                if urls.len() < self.urls.len() || urls.is_empty() {
                    let what = "a server that is asked over TLS needs a name to verify, as in 192.0.2.1@853#dns.example.net; the rule is left out, \
                                so that no query leaves unencrypted";
                    return remarks.push(&self.begins, what);
                }
                ("[[forward]]", vec![format!("zone = {name}"), list("to", &distinct(urls.into_iter()))])
            }
            ZoneKind::Forward | ZoneKind::Stub if self.to.is_empty() => return remarks.push(&self.begins, "it has no address of a server"),
            ZoneKind::Forward => ("[[forward]]", vec![format!("zone = {name}"), list("to", &distinct(self.to.iter().cloned()))]),
            ZoneKind::Stub => ("[[stub]]", vec![format!("zone = {name}"), list("to", &distinct(self.to.iter().cloned()))]),
        };
        if self.fallback && matches!(self.kind, ZoneKind::Forward | ZoneKind::Stub) {
            lines.push("fallback = true".to_owned());
        }
        toml.element(header, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::statements;
    use super::*;
    use crate::config::Settings;

    fn translated(text: &str) -> Translation {
        translate(&statements("u", text).0, &|path| path != "missing")
    }

    /// Each row of the table in docs/migrating.md: what it becomes, as settings that are read without a mistake.
    #[test]
    fn each_row_of_the_table() {
        for (unbound, toml) in [
            ("interface: 192.0.2.53\ninterface: ::1@5353\nport: 54", "[server]\nlisten = [\"192.0.2.53:54\", \"[::1]:5353\"]\n"),
            ("port: 5353", "[server]\nlisten = [\"127.0.0.1:5353\", \"[::1]:5353\"]\n"),
            (
                "access-control: 192.0.2.7/24 allow\naccess-control: 0.0.0.0/0 refuse",
                "[server]\nallow = [\"127.0.0.0/8\", \"::1/128\", \"192.0.2.0/24\"]\n",
            ),
            (
                "access-control: 192.0.2.9 allow_snoop",
                "[server]\nallow = [\"127.0.0.0/8\", \"::1/128\", \"192.0.2.9/32\"]\n\n[policy]\nallow-snoop = [\"192.0.2.9/32\"]\n",
            ),
            ("num-threads: 4", "[server]\nworkers = 4\n"),
            ("msg-cache-size: 64m\nrrset-cache-size: 128m", "[cache]\nsize = \"192MiB\"\n"),
            ("cache-max-ttl: 86400\ncache-min-ttl: 60", "[cache]\nmax-ttl = 86400\nmin-ttl = 60\n"),
            ("cache-max-negative-ttl: 600", "[cache]\nnegative-max-ttl = 600\n"),
            ("serve-expired: yes\nserve-expired-ttl: 86400", "[cache]\nserve-stale = true\nstale-max = 86400\n"),
            ("prefetch: yes\naggressive-nsec: no", "[cache]\naggressive-nsec = false\n"),
            ("qname-minimisation-strict: yes", "[recursion]\nqname-minimisation = \"strict\"\n"),
            ("directory: /etc/unbound\nroot-hints: \"root.hints\"", "[recursion]\nroot-hints = \"/etc/unbound/root.hints\"\n"),
            ("auto-trust-anchor-file: \"/var/lib/unbound/root.key\"", ""),
            ("trust-anchor-file: \"own.key\"", "[recursion]\ntrust-anchor = \"own.key\"\n"),
            (
                "rpz:\nname: rpz.example\nzonefile: rpz.zone\nprimary: 192.0.2.1\nmaster: 192.0.2.2@5353\nrpz-action-override: nxdomain",
                "[[rpz]]\nzone = \"rpz.example.\"\nfile = \"rpz.zone\"\nprimaries = [\"192.0.2.1\", \"192.0.2.2:5353\"]\n\
                 policy = \"nxdomain\"\nbreak-dnssec = true\n",
            ),
            (
                "rpz:\nname: rpz.example\nzonefile: rpz.zone\nrpz-action-override: disabled",
                "[[rpz]]\nzone = \"rpz.example.\"\nfile = \"rpz.zone\"\nlog-only = true\nbreak-dnssec = true\n",
            ),
            ("domain-insecure: corp.example", "[recursion]\nnegative-trust-anchors = [\"corp.example.\"]\n"),
            ("module-config: iterator", "[recursion]\ndnssec = false\n"),
            (
                "module-config: \"dns64 validator iterator\"\ndns64-prefix: 64:ff9b::/96",
                "[dns64]\nclients = [\"0.0.0.0/0\", \"::/0\"]\nprefix = \"64:ff9b::/96\"\n",
            ),
            ("private-address: 10.0.0.0/8\nprivate-domain: corp.example", "[policy]\nrebinding-allow = [\"corp.example.\"]\n"),
            ("local-zone: \"10.in-addr.arpa\" nodefault", "[policy]\nspecial-use-except = [\"10.in-addr.arpa.\"]\n"),
            (
                "local-zone: home.arpa. transparent\nlocal-data: \"printer.home.arpa. A 192.0.2.9\"\nlocal-data-ptr: \"192.0.2.9 printer.home.arpa\"",
                "[policy]\nlocal-data = [\"printer.home.arpa. A 192.0.2.9\"]\n",
            ),
            (
                "local-zone: ads.example. redirect\nlocal-data: \"ads.example. 60 IN A 192.0.2.1\"\nlocal-data-ptr: \"192.0.2.2 b.example\"",
                "[policy]\nlocal-data = [\n    \"ads.example. 60 IN A 192.0.2.1\",\n    \"*.ads.example. 60 IN A 192.0.2.1\",\n    \"2.2.0.192.in-addr.arpa. PTR b.example.\",\n]\n",
            ),
            ("do-not-query-localhost: no\ndo-ip6: no", "[recursion]\nipv6 = false\nquery-loopback = true\n"),
            ("verbosity: 1\nverbosity: 3\nlogfile: \"\"", "[log]\nlevel = \"debug\"\n"),
            (
                "forward-zone:\nname: corp.example\nforward-addr: 10.0.0.1@5353\nforward-addr: 10.0.0.2#x\nforward-first: yes\nforward-zone:\nname: lan\nforward-addr: 10.0.0.1",
                "[[forward]]\nzone = \"corp.example.\"\nto = [\"10.0.0.1:5353\", \"10.0.0.2:53\"]\nfallback = true\n\n[[forward]]\nzone = \"lan.\"\nto = [\"10.0.0.1:53\"]\n",
            ),
            (
                "forward-zone:\nname: .\nforward-addr: 192.0.2.1@853#dns.example.net\nforward-addr: 192.0.2.2@8853#b.example\nforward-tls-upstream: yes",
                "[[forward]]\nzone = \".\"\nto = [\"tls://dns.example.net#192.0.2.1\", \"tls://b.example:8853#192.0.2.2\"]\n",
            ),
            ("stub-zone:\nname: lab.example\nstub-addr: 192.0.2.1", "[[stub]]\nzone = \"lab.example.\"\nto = [\"192.0.2.1:53\"]\n"),
            (
                "auth-zone:\nname: example.org\nzonefile: example.org.zone\nfor-upstream: yes",
                "[[zone]]\nname = \"example.org.\"\nfile = \"example.org.zone\"\n",
            ),
            ("auth-zone:\nname: .\nprimary: 192.0.2.1\nfallback-enabled: yes", "[recursion]\nlocal-root = true\n"),
            ("hide-version: yes\nso-rcvbuf: 4m\nharden-glue: yes\nremote-control:\ncontrol-enable: yes", ""),
        ] {
            let translation = translated(unbound);
            assert_eq!((translation.text.as_str(), translation.remarks.as_slice()), (toml, &[] as &[String]), "{unbound}");
            let (_, problems) = Settings::read_toml(toml, "cairn.toml");
            assert_eq!(problems, [], "{toml}");
        }
    }

    /// What has no counterpart is named with its line, and nothing is written for it.
    #[test]
    fn what_has_no_counterpart() {
        for (unbound, remark) in [
            ("interface: eth0", "u:1: interface: an address is needed"),
            ("port: x", "u:1: port: this is no port"),
            ("\naccess-control: 192.0.2.0/24 refuse", "u:2: access-control: only clients that may ask"),
            ("access-control: here allow", "u:1: access-control: this is no prefix"),
            ("trust-anchor-file: missing", "u:1: trust-anchor-file: missing is not there"),
            ("local-zone: ads.example. always_nxdomain", "u:1: local-zone: names cannot be blocked yet"),
            ("local-zone: lan. static", "u:1: local-zone: names of it without `local-data`"),
            ("local-data: \"lan. 3600 IN SOA a. b. 1 2 3 4 5\"", "u:1: local-data: a zone needs a zone file"),
            ("private-address: 192.0.2.0/24", "u:1: private-address: only private addresses"),
            ("logfile: /var/log/unbound.log", "u:1: logfile: the log goes to standard error"),
            ("hide-version: no", "u:1: hide-version: this is always on"),
            ("ratelimit: 100", "u:1: ratelimit: there is no such key here"),
            ("username: unbound", "u:1: username: Cairn becomes the user cairn"),
            ("remote-control:\ncontrol-interface: 127.0.0.1", "u:2: control-interface: commands reach Cairn"),
            ("view:\nname: x", "u:2: name: there is no view clause here"),
            (
                "forward-zone:\nname: .\nforward-addr: 192.0.2.1@853\nforward-tls-upstream: yes",
                "u:1: forward-zone: a server that is asked over TLS",
            ),
            ("stub-zone:\nname: a\nstub-addr: 192.0.2.1@853#x\nstub-tls-upstream: yes", "u:1: stub-zone: TLS to the servers of a zone"),
            ("forward-zone:\nname: .", "u:1: forward-zone: it has no address"),
            ("stub-zone:\nstub-addr: 192.0.2.1", "u:1: stub-zone: it has no name"),
            ("rpz:\nname: rpz.example", "u:1: rpz: it has neither zonefile nor primary"),
            ("rpz:\nname: rpz.example\nurl: https://rpz.example/zone", "u:3: url: zones come from files"),
            ("auth-zone:\nname: example.org\nprimary: 192.0.2.1", "u:3: primary: zones are read from files"),
        ] {
            let translation = translated(unbound);
            assert!(translation.remarks.first().is_some_and(|first| first.starts_with(remark)), "{unbound}: {translation:?}");
            assert_eq!(translation.text, "", "{unbound}");
        }
        let clamped = translated("cache-min-ttl: 86400");
        assert_eq!((clamped.text.as_str(), clamped.remarks.len()), ("[cache]\nmin-ttl = 3600\n", 1));
    }
}
