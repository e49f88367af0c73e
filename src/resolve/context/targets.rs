//! The servers that a forward or stub rule names, ready to be asked: those of a `tls://` or `https://` URL come with all that proves
//! them.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{EncryptedForwarder, Forwarder, RouteSettings, Settings};
use crate::env::Clock;
use crate::record::Name;
use crate::upstream::{TlsServer, TlsTrust};

/// A server of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Empty where the name is to be looked up.
    pub addresses: Vec<SocketAddr>,
    /// To be looked up.
    pub name: Option<Name>,
    /// It is asked over an encrypted connection, and in no other way.
    pub tls: Option<Arc<TlsServer>>,
}

/// Makes the servers of rules.
#[derive(Clone)]
pub(in crate::resolve) struct Targets {
    clock: Arc<dyn Clock>,
    /// The CAs of the system; `None` where no server is verified with them.
    system: Option<Arc<TlsTrust>>,
}

impl Targets {
    /// The files of CAs have been read into the settings.
    pub(in crate::resolve) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Targets {
        let system = settings.needs_system_authorities().then(|| Arc::new(TlsTrust::of_system_in_der(&settings.system_authorities.0)));
        Targets { clock, system }
    }

    /// The servers of a rule. What cannot be verified stays as a server without any address: the rule is there, and its names go
    /// nowhere else.
    pub(in crate::resolve) fn of(&self, route: &RouteSettings) -> Vec<Target> {
        let own = route.ca.is_some().then(|| TlsTrust::from_der(&route.authorities.0).map(Arc::new));
        let trust = match (own, route.pins.is_empty()) {
            (Some(own), _) => own.map(Some),
            (None, true) => Ok(self.system.clone()),
            (None, false) => Ok(None),
        };
        let server = |encrypted: &EncryptedForwarder| {
            let trust = trust.clone()?;
            TlsServer::new(encrypted, trust.as_deref(), &route.pins, &self.clock)
        };
        route.to.iter().map(|forwarder| target(forwarder, server)).collect()
    }

    /// The same for a rule of a view, whose servers are verified with the CAs of the system.
    pub(in crate::resolve) fn of_view(&self, to: &[Forwarder]) -> Vec<Target> {
        let server = |encrypted: &EncryptedForwarder| TlsServer::new(encrypted, self.system.as_deref(), &[], &self.clock);
        to.iter().map(|forwarder| target(forwarder, server)).collect()
    }
}

fn target(forwarder: &Forwarder, server: impl Fn(&EncryptedForwarder) -> Result<TlsServer, String>) -> Target {
    let Forwarder::Encrypted(encrypted) = forwarder else {
        return Target { addresses: forwarder.addresses(), name: None, tls: None };
    };
    match server(encrypted) {
        Ok(server) => Target { addresses: forwarder.addresses(), name: encrypted.name_to_look_up(), tls: Some(Arc::new(server)) },
        Err(why) => {
            tracing::error!("{encrypted} cannot be asked: {why}");
            Target { addresses: Vec::new(), name: None, tls: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Authorities;
    use crate::env::RealClock;

    fn targets(text: &str) -> Vec<Target> {
        let mut settings = Settings::from_toml(text, "c.toml").expect(text);
        settings.forwards[0].authorities = Authorities::default();
        Targets::new(&settings, Arc::new(RealClock)).of(&settings.forwards[0])
    }

    #[test]
    fn servers_of_rules() {
        let rule = |to: &str, rest: &str| targets(&format!("[[forward]]\nzone = 'a.'\nto = [{to}]\n{rest}"));
        let plain = rule("'192.0.2.1'", "");
        assert_eq!((plain[0].addresses.len(), plain[0].tls.is_none()), (1, true));
        let url = rule("'tls://dns.example#192.0.2.1,2001:db8::1'", "");
        assert_eq!((url[0].addresses.len(), url[0].name.is_none(), url[0].tls.is_some()), (2, true, true));
        let named = rule("'tls://dns.example'", "");
        assert_eq!((named[0].addresses.len(), named[0].name.clone()), (0, Name::parse("dns.example.").ok()));
        let pinned = rule("'tls://dns.example#192.0.2.1'", "pin-sha256 = ['47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']");
        assert!(pinned[0].tls.is_some() && pinned[0].tls != url[0].tls);
    }

    #[test]
    fn without_trust_a_server_stays_in_its_place_and_is_not_asked() {
        let unreadable = targets("[[forward]]\nzone = 'a.'\nto = ['tls://dns.example#192.0.2.1']\nca = 'gone.pem'");
        assert_eq!(unreadable, [Target { addresses: Vec::new(), name: None, tls: None }]);
    }
}
