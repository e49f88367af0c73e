//! One `[[view]]`: what differs for some clients.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::block_answer::BlockAnswer;
use super::forwarder::Forwarder;
use super::prefix::Prefix;
use super::problem::Mark;
use super::schedule::ScheduleRule;
use crate::record::{Name, RrSet};

/// One `[[view]]`. The first whose clients match counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewSettings {
    /// `None` only while the entry is read.
    pub name: Option<String>,
    pub clients: Vec<Prefix>,
    /// Where they ask; empty: anywhere.
    pub listen: Vec<ListenPlace>,
    /// Names of lists; `None`: all.
    pub lists: Option<Vec<String>>,
    /// Response policy zones; `None`: all.
    pub rpz: Option<Vec<Name>>,
    /// Records in place of those of `[policy]`, as written; `None`: those of `[policy]`.
    pub local_data: Option<Vec<String>>,
    /// What `local_data` says, once it has been read and checked.
    pub local_records: Vec<RrSet>,
    /// `None`: as in `[policy]`.
    pub block_answer: Option<BlockAnswer>,
    pub safe_search: SafeSearch,
    /// Whom to ask instead of those of `[[forward]]` and `[[stub]]`.
    pub forward: Vec<ViewForward>,
    /// The query log leaves out these clients.
    pub is_unlogged: bool,
    /// When lists are in force; a list without an entry always is.
    pub schedule: Vec<ScheduleRule>,
    /// Line in the configuration file, from 1.
    pub line: usize,
    /// Place of the value of `name`.
    pub name_mark: Mark,
    /// Place of the value of `lists`.
    pub lists_mark: Mark,
    /// Place of the value of `rpz`.
    pub rpz_mark: Mark,
    /// Place of the value of `local-data`.
    pub local_data_mark: Mark,
    /// Place of the value of `schedule`.
    pub schedule_mark: Mark,
    /// Place of the value of `forward`.
    pub forward_mark: Mark,
}

/// One of the addresses of this server, with one of its ports or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenPlace {
    ip: IpAddr,
    port: Option<u16>,
}

impl ListenPlace {
    pub(super) fn parse(text: &str) -> Result<ListenPlace, String> {
        let alone = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = alone.parse::<IpAddr>() {
            return Ok(ListenPlace { ip: ip.to_canonical(), port: None });
        }
        let place: SocketAddr = text.parse().map_err(|_| {
            format!("\"{text}\" is no address of this server such as \"192.0.2.53\", \"192.0.2.53:853\" or \"[2001:db8::53]:853\"")
        })?;
        Ok(ListenPlace { ip: place.ip().to_canonical(), port: Some(place.port()) })
    }

    /// Never an IPv4-mapped one.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// `None`: each port.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether a query that came to this address came here.
    pub fn is_at(&self, local: SocketAddr) -> bool {
        self.ip == local.ip().to_canonical() && self.port.is_none_or(|port| port == local.port())
    }
}

impl fmt::Display for ListenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(f),
            None => self.ip.fmt(f),
        }
    }
}

/// The last word of a rule whose names are resolved from the root if all servers fail.
const FALLBACK: &str = "fallback";

/// A forward rule of a view: `"corp.example. 10.0.0.1 10.0.0.2:5353"`, with the word `fallback` behind the servers or without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViewForward {
    pub zone: Name,
    /// At least one.
    pub to: Vec<Forwarder>,
    /// Names are resolved from the root if all servers fail.
    pub fallback: bool,
}

impl ViewForward {
    /// `name` reads a domain name.
    pub(super) fn parse(text: &str, name: fn(&str) -> Result<Name, String>) -> Result<ViewForward, String> {
        let mut words = text.split_whitespace();
        let zone = name(words.next().unwrap_or_default())?;
        let mut words: Vec<&str> = words.collect();
        let fallback = words.pop_if(|last| *last == FALLBACK).is_some();
        let to = words.into_iter().map(Forwarder::parse).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(format!("\"{text}\" names no server: write them behind the zone, such as \"{zone} 10.0.0.1\""));
        }
        Ok(ViewForward { zone, to, fallback })
    }
}

impl fmt::Display for ViewForward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zone)?;
        self.to.iter().try_for_each(|server| write!(f, " {server}"))?;
        if self.fallback { write!(f, " {FALLBACK}") } else { Ok(()) }
    }
}

/// Whether search engines leave out what is not for children.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum SafeSearch {
    #[default]
    Off,
    Strict,
    /// As `Strict`, with the milder form for YouTube.
    Moderate,
}

impl ViewSettings {
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_rules() {
        let name = |text: &str| Name::parse(text).map_err(|error| error.to_string());
        for (text, expected) in [
            ("corp.example 10.0.0.1 [2001:db8::1]:5353", Some((2, false))),
            ("corp.example. 10.0.0.1 fallback", Some((1, true))),
            ("corp.example. fallback", None),
            ("corp.example. fallback 10.0.0.1", None),
            ("corp.example. 10.0.0.1 fallback fallback", None),
            ("corp.example.", None),
        ] {
            let rule = ViewForward::parse(text, name);
            assert_eq!(rule.as_ref().ok().map(|rule| (rule.to.len(), rule.fallback)), expected, "{text}: {rule:?}");
            if let Ok(rule) = rule {
                assert_eq!(ViewForward::parse(&rule.to_string(), name), Ok(rule), "what is shown is read again");
            }
        }
    }
}
