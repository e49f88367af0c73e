//! Setting up a resolver.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use super::resolver::{MakeNet, Resolver};
use crate::answer::{Parts, Service};
use crate::config::{Forwarder, RouteSettings, Settings};
use crate::env::{Random, RealClock, RealNet};
use crate::limits::Limits;
use crate::record::Name;
use crate::server::{root_hints, trust_anchors};

/// Sets up a [`Resolver`]. Without any call it resolves from the built-in root hints and validates with the built-in trust
/// anchors of the root.
pub struct Builder {
    settings: Settings,
    hints: Option<Vec<(Name, IpAddr)>>,
    net: MakeNet,
}

/// Why a [`Resolver`] was not built.
#[derive(Debug)]
pub struct BuildError(String);

impl Resolver {
    /// Sets up a resolver.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Builder {
        Builder { settings: Settings::default(), hints: None, net: Box::new(|| Rc::new(RealNet::default())) }
    }

    /// Takes all settings from the text of a configuration file (TOML). Hosted zones and other files that it names are not
    /// read. Replaces what was set before.
    pub fn configuration(mut self, toml: &str) -> Result<Builder, BuildError> {
        self.settings = Settings::from_toml(toml, "configuration").map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            BuildError(lines.join("\n"))
        })?;
        Ok(self)
    }

    /// Sets the name servers of the root, each by its name and one address.
    pub fn root_servers(mut self, servers: impl IntoIterator<Item = (Name, IpAddr)>) -> Builder {
        self.hints = Some(servers.into_iter().collect());
        self
    }

    /// Questions at and below `zone` go to these servers, with RD.
    pub fn forward(mut self, zone: Name, servers: impl IntoIterator<Item = SocketAddr>) -> Builder {
        let to = servers.into_iter().map(Forwarder::from).collect();
        self.settings.forwards.push(RouteSettings { zone, to, ..RouteSettings::default() });
        self
    }

    /// Turns DNSSEC validation on (the default) or off.
    pub fn dnssec(mut self, on: bool) -> Builder {
        self.settings.recursion.dnssec = on;
        self
    }

    /// Allows or forbids queries to servers at loopback addresses. The default is to forbid them.
    pub fn query_loopback(mut self, may: bool) -> Builder {
        self.settings.recursion.query_loopback = may;
        self
    }

    /// Sets the memory that the cache may take, in octets.
    pub fn cache_bytes(mut self, bytes: u64) -> Builder {
        self.settings.cache.size_bytes = bytes;
        self
    }

    /// Starts the resolver's thread. It ends when the last clone of the resolver is dropped.
    pub fn build(self) -> Result<Resolver, BuildError> {
        let Builder { settings, hints, net } = self;
        let hints = match hints {
            Some(hints) => hints,
            None => root_hints(None).map_err(|_| BuildError("the built-in root hints are damaged".to_owned()))?,
        };
        let anchors = trust_anchors(None).map_err(|_| BuildError("the built-in trust anchors are damaged".to_owned()))?;
        let random = Random::from_system().map_err(|error| BuildError(format!("no randomness from the system: {error}")))?;
        let parts = Parts { settings, hints, anchors: Arc::new(anchors), zones: Arc::default(), own_addresses: Vec::new() };
        let service = Service::new(parts, Limits::default(), Arc::new(RealClock), &random);
        Resolver::start(service, net, random).map_err(|error| BuildError(format!("no thread for the resolver: {error}")))
    }

    #[cfg(test)]
    pub(super) fn net(mut self, net: MakeNet) -> Builder {
        self.net = net;
        self
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}
