//! What the configuration part of a scenario asks of a resolver, and the same as settings of ours.

use std::net::{IpAddr, SocketAddr};

use cairn::config::{NegativeAnchor, Prefix, QnameMinimisation, RouteSettings, Settings, Sha1};
use cairn::record::{Name, Rtype};

use super::scenario::{Dialect, address, without_comment};
use crate::sim::record::{Rr, date, read_record};

#[derive(Clone, Debug, Default)]
pub struct Route {
    pub zone: String,
    pub to: Vec<IpAddr>,
    /// Iterate where these servers fail.
    pub first: bool,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub root_name: String,
    pub root_addresses: Vec<IpAddr>,
    pub stubs: Vec<Route>,
    pub forwards: Vec<Route>,
    pub trust_anchors: Vec<String>,
    pub insecure: Vec<String>,
    pub minimise: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    /// Seconds since 1970.
    pub date: Option<u32>,
    /// Any date that suits the signatures.
    pub date_is_free: bool,
    pub ask_loopback: bool,
    pub min_ttl: Option<u32>,
    pub max_ttl: Option<u32>,
    pub aggressive: Option<bool>,
    pub serve_expired: bool,
    pub prefetch: bool,
}

impl Config {
    pub fn parse(dialect: Dialect, lines: &[&str]) -> Result<Config, String> {
        let mut config = Config {
            root_name: "k.root-servers.net.".into(),
            root_addresses: Vec::new(),
            stubs: Vec::new(),
            forwards: Vec::new(),
            trust_anchors: Vec::new(),
            insecure: Vec::new(),
            minimise: true,
            ipv4: true,
            ipv6: true,
            date: None,
            date_is_free: false,
            ask_loopback: false,
            min_ttl: None,
            max_ttl: None,
            aggressive: None,
            serve_expired: false,
            prefetch: false,
        };
        let mut clause = String::from("server");
        for line in lines {
            let comment = line.split_once('#').map(|(_, text)| text.trim().to_ascii_lowercase());
            let mut rest = without_comment(line, ";#").trim();
            while let Some((key, after)) = rest.split_once(':') {
                let (key, after) = (key.trim(), after.trim());
                let is_clause = dialect == Dialect::Clauses && (after.is_empty() || matches!(key, "stub-zone" | "forward-zone" | "server"));
                if is_clause {
                    clause = key.to_owned();
                    match key {
                        "stub-zone" => config.stubs.push(Route::default()),
                        "forward-zone" => config.forwards.push(Route::default()),
                        _ => {}
                    }
                    rest = after;
                    continue;
                }
                let (value, next) = if dialect == Dialect::Clauses { first_value(after) } else { (after, "") };
                config.option(dialect, &clause, key, unquoted(value), comment.as_deref())?;
                rest = next;
            }
        }
        config.root_from_stub();
        Ok(config)
    }

    fn option(&mut self, dialect: Dialect, clause: &str, key: &str, value: &str, comment: Option<&str>) -> Result<(), String> {
        let yes = matches!(value.to_ascii_lowercase().as_str(), "yes" | "on" | "true");
        let host = comment.map(|text| text.split_whitespace().next().unwrap_or_default().trim_end_matches('.').to_owned());
        let host = host.filter(|host| host.contains('.') && host.bytes().any(|b| b.is_ascii_alphabetic()));
        if matches!(clause, "stub-zone" | "forward-zone") && dialect == Dialect::Clauses {
            let routes = if clause == "stub-zone" { &mut self.stubs } else { &mut self.forwards };
            let route = routes.last_mut().ok_or("a zone option outside a zone")?;
            match key {
                "name" => route.zone = format!("{}.", value.trim_end_matches('.')),
                "stub-addr" | "forward-addr" => {
                    route.to.push(address(value)?);
                    if let Some(host) = host.filter(|_| route.zone == ".") {
                        self.root_name = format!("{host}.");
                    }
                }
                "stub-first" | "forward-first" => route.first = yes,
                _ => {}
            }
            return Ok(());
        }
        if clause != "server" {
            return Err(format!("clause {clause}: not played here"));
        }
        match key {
            "stub-addr" => {
                self.root_addresses.push(address(value)?);
                if let Some(host) = host {
                    self.root_name = format!("{host}.");
                }
            }
            "forward-addr" => self.forwards.push(Route { zone: ".".into(), to: vec![address(value)?], first: false }),
            "trust-anchor" => self.trust_anchors.push(value.to_owned()),
            "val-override-date" | "val-override-timestamp" if value.starts_with('-') => self.date_is_free = true,
            "val-override-date" | "val-override-timestamp" => self.date = Some(date(value)?),
            "query-minimization" | "qname-minimisation" => self.minimise = yes,
            "do-ip4" => self.ipv4 = yes,
            "do-ip6" => self.ipv6 = yes,
            "do-not-query-localhost" => self.ask_loopback = !yes,
            "domain-insecure" => self.insecure.push(value.to_owned()),
            "cache-min-ttl" => self.min_ttl = value.parse().ok(),
            "cache-max-ttl" => self.max_ttl = value.parse().ok(),
            "aggressive-nsec" => self.aggressive = Some(yes),
            "serve-expired" => self.serve_expired = yes,
            "prefetch" => self.prefetch = yes,
            "features" | "feature-list" => match value.split_once('=').map(|(key, number)| (key.trim(), number.trim().parse().ok())) {
                Some(("min_ttl", number)) => self.min_ttl = number,
                Some(("max_ttl", number)) => self.max_ttl = number,
                _ => return Err(format!("feature {value}: not played here")),
            },
            _ => {}
        }
        Ok(())
    }

    /// A stub for the root is how scenarios give the root's servers.
    fn root_from_stub(&mut self) {
        if let Some(at) = self.stubs.iter().position(|route| route.zone == "." && !route.to.is_empty() && !route.first) {
            self.root_addresses = self.stubs.remove(at).to;
        }
    }

    pub fn root_hints(&self) -> Vec<Rr> {
        if self.root_addresses.is_empty() {
            return Vec::new();
        }
        let host = &self.root_name;
        let address = |a: &IpAddr| format!("{host} 3600000 {} {a}", if a.is_ipv4() { "A" } else { "AAAA" });
        std::iter::once(format!(". 3600000 NS {host}"))
            .chain(self.root_addresses.iter().map(address))
            .map(|line| Rr::parse(&line))
            .collect()
    }

    pub fn anchors(&self) -> Vec<Rr> {
        let read = |line: &String| read_record(line, &Name::root(), 3600, None).ok();
        self.trust_anchors.iter().filter_map(read).filter(|rr| matches!(rr.rtype, Rtype::DS | Rtype::DNSKEY)).collect()
    }

    /// What is not asked for is off, as in the servers that scenarios were written for.
    pub fn settings(&self) -> Settings {
        let everybody = vec![Prefix::ALL_IPV4, Prefix::ALL_IPV6];
        let name = |text: &String| Name::parse(text).ok();
        let route = |route: &Route| {
            let to = route.to.iter().map(|to| SocketAddr::new(*to, 53).into()).collect();
            Some(RouteSettings { zone: name(&route.zone)?, to, fallback: route.first, line: 0, ..RouteSettings::default() })
        };
        let mut settings = Settings::default();
        settings.server.allow = everybody.clone();
        settings.recursion.dnssec = !self.trust_anchors.is_empty();
        settings.recursion.qname_minimisation = if self.minimise { QnameMinimisation::Relaxed } else { QnameMinimisation::Off };
        (settings.recursion.ipv4, settings.recursion.ipv6) = (Some(self.ipv4), Some(self.ipv6));
        settings.recursion.sha1 = Sha1::Validate;
        settings.recursion.negative_trust_anchors =
            self.insecure.iter().filter_map(name).map(|name| NegativeAnchor { name, until: None }).collect();
        settings.recursion.query_loopback = self.ask_loopback;
        settings.cache.size_bytes = 64 << 20;
        settings.cache.min_ttl_s = self.min_ttl.unwrap_or(settings.cache.min_ttl_s);
        settings.cache.max_ttl_s = self.max_ttl.unwrap_or(settings.cache.max_ttl_s);
        settings.cache.aggressive_nsec = self.aggressive.unwrap_or(settings.cache.aggressive_nsec);
        settings.cache.serve_stale = self.serve_expired;
        settings.cache.prefetch = self.prefetch;
        settings.policy.rebinding_protection = false;
        settings.policy.allow_snoop = everybody;
        settings.policy.special_use_except = ["test.", "10.in-addr.arpa."].iter().filter_map(|text| Name::parse(text).ok()).collect();
        settings.forwards = self.forwards.iter().filter_map(route).collect();
        settings.stubs = self.stubs.iter().filter_map(route).collect();
        settings
    }
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix(['"', '\'']).and_then(|inner| inner.strip_suffix(['"', '\''])).unwrap_or(value)
}

/// `yes key: value` is a value and another option on the same line.
fn first_value(text: &str) -> (&str, &str) {
    let end = match text.strip_prefix('"') {
        Some(inner) => inner.find('"').map_or(text.len(), |at| at + 2),
        None => text.find(char::is_whitespace).unwrap_or(text.len()),
    };
    let (value, rest) = text.split_at(end);
    let another = rest.trim_start();
    let key = another.split_once(':').map(|(key, _)| key);
    let is_option = key.is_some_and(|key| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'));
    if is_option { (value, another) } else { (text, "") }
}
