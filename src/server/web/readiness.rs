//! Can names be resolved? For /readyz.
//!
//! A reply of any server within the last minute says so. On a quiet server there may be none: then one is asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::answer::Service;
use crate::limits::server::{READY_FOR, READY_SERVERS_MAX, READY_WAIT_MAX};
use crate::record::{Name, Question, Rtype};
use crate::resolve::Routes;
use crate::server::encrypted_query::ask_encrypted;
use crate::server::single_query::SingleQuery;
use crate::upstream::TlsServer;

/// `Err` says what is missing. Waits for the network, so it needs a thread that may.
pub(in crate::server) fn is_ready(service: &Service) -> Result<(), &'static str> {
    let snapshot = service.snapshot();
    if !snapshot.recursion || service.resolve.has_replied_within(READY_FOR) {
        return Ok(());
    }
    let (servers, recursion_desired) = whom_to_ask(&snapshot.routes);
    let question = Question::new(Name::root(), Rtype::NS);
    let wait = READY_WAIT_MAX / READY_SERVERS_MAX as u32;
    let replies = |(server, tls): (SocketAddr, Option<Arc<TlsServer>>)| match tls {
        Some(tls) => ask_encrypted(server, &tls, &question, false, wait).is_ok(),
        None => SingleQuery { server, question: &question, recursion_desired, dnssec: false, tcp: false, wait }.ask().is_ok(),
    };
    if servers.into_iter().take(READY_SERVERS_MAX).any(replies) { Ok(()) } else { Err("no server has replied within the last minute") }
}

/// An address, and the encrypted connection over which it is asked, if over one.
type Server = (SocketAddr, Option<Arc<TlsServer>>);

/// Forwarders for all names, else root servers, alternating between the address families; and whether with RD.
fn whom_to_ask(routes: &Routes) -> (Vec<Server>, bool) {
    if let Some(rule) = routes.rule_for(&Name::root()) {
        return (rule.addresses().collect(), rule.forward);
    }
    let of = |ipv6: bool| routes.hints.iter().map(|(_, ip)| *ip).filter(move |ip| ip.is_ipv6() == ipv6 && routes.family_enabled(*ip));
    let pairs = of(false).zip(of(true)).flat_map(|(v4, v6): (IpAddr, IpAddr)| [v4, v6]);
    let mut servers: Vec<IpAddr> = pairs.collect();
    // One of the families may be off.
    servers.extend(of(false).chain(of(true)));
    (servers.into_iter().map(|ip| (SocketAddr::new(ip, 53), None)).collect(), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::env::RealClock;
    use crate::limits::Limits;
    use crate::resolve::Anchors;

    fn asked(config: &str) -> (Vec<String>, bool) {
        let settings = Settings::from_toml(config, "cairn.toml").expect(config);
        let hints = [("a", "192.0.2.1"), ("a", "2001:db8::1"), ("b", "192.0.2.2"), ("b", "2001:db8::2")];
        let hints = hints.map(|(name, ip)| (Name::parse(name).expect("a name"), ip.parse().expect("an address"))).to_vec();
        let (servers, recursion_desired) =
            whom_to_ask(&Routes::new(&settings, Limits::default(), hints, Anchors::default(), Arc::new(RealClock)));
        let shown = |(server, tls): &(SocketAddr, Option<Arc<TlsServer>>)| match tls {
            Some(tls) => format!("{server} as {}", tls.url()),
            None => server.to_string(),
        };
        (servers.iter().take(2).map(shown).collect(), recursion_desired)
    }

    #[test]
    fn a_forwarder_for_all_names_is_asked_in_place_of_the_root() {
        assert_eq!(asked(""), (vec!["192.0.2.1:53".to_owned(), "[2001:db8::1]:53".to_owned()], false));
        assert_eq!(asked("[recursion]\nipv6 = false").0, ["192.0.2.1:53", "192.0.2.2:53"]);
        assert_eq!(asked("[recursion]\nipv4 = false").0, ["[2001:db8::1]:53", "[2001:db8::2]:53"]);
        assert_eq!(asked("[[forward]]\nzone = '.'\nto = ['192.0.2.9']"), (vec!["192.0.2.9:53".to_owned()], true));
        assert_eq!(asked("[[forward]]\nzone = '.'\nto = ['tls://a.example#192.0.2.9']").0, ["192.0.2.9:853 as tls://a.example"]);
        assert_eq!(asked("[[forward]]\nzone = 'corp.'\nto = ['192.0.2.9']").0.len(), 2);
    }
}
