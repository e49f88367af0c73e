//! Whom /readyz asks, for how long each, and with which addresses. Decides alone: the asking is handed in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::config::TranslationPrefix;
use crate::env::BootTime;
use crate::limits::server::{READY_SERVERS_MAX, READY_WAIT_MAX};
use crate::record::Name;
use crate::resolve::{Routes, Rule};
use crate::upstream::TlsServer;

/// A server, and how it is asked.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) at: SocketAddr,
    /// The encrypted connection over which it is asked, if over one.
    pub(super) tls: Option<Arc<TlsServer>>,
    pub(super) recursion_desired: bool,
}

/// A forwarder whose address has to be looked up.
#[derive(Clone)]
pub(super) struct Named {
    pub(super) name: Name,
    pub(super) tls: Arc<TlsServer>,
    pub(super) recursion_desired: bool,
}

impl Named {
    pub(super) fn at(&self, ip: IpAddr) -> Asked {
        Asked { at: SocketAddr::new(ip, self.tls.port()), tls: Some(self.tls.clone()), recursion_desired: self.recursion_desired }
    }
}

pub(super) enum Step {
    Ask(Asked),
    LookUp(Named),
}

/// What a step came to.
pub(super) enum Found {
    Reply,
    Nothing,
    /// To be asked now.
    Servers(Vec<Asked>),
}

/// Carries the steps out until one brings a reply. What is left of the time is shared out among those that are left, so that a single
/// far server has all of it.
pub(super) fn any_replies(steps: Vec<Step>, now: impl Fn() -> BootTime, mut carry_out: impl FnMut(&Step, Duration) -> Found) -> bool {
    let until = now() + READY_WAIT_MAX;
    let mut left: Vec<Step> = steps.into_iter().take(READY_SERVERS_MAX).rev().collect();
    while let Some(step) = left.pop() {
        let share = until.since(now()) / (left.len() + 1) as u32;
        // What is found has to be asked afterwards.
        let wait = if matches!(step, Step::LookUp(_)) { share / 2 } else { share };
        if wait.is_zero() {
            return false;
        }
        match carry_out(&step, wait) {
            Found::Reply => return true,
            Found::Nothing => {}
            Found::Servers(servers) => left.extend(servers.into_iter().take(READY_SERVERS_MAX).rev().map(Step::Ask)),
        }
    }
    false
}

/// The servers of the rule for all names, then those whose names have to be looked up; without such a rule, or where the rule lets the
/// root be asked in its place, root servers.
pub(super) fn steps(routes: &Routes, prefix: Option<TranslationPrefix>) -> Vec<Step> {
    let rule = routes.rule_for(&Name::root());
    let mut steps: Vec<Step> = rule.map_or_else(Vec::new, |rule| of_rule(routes, prefix, rule));
    if rule.is_none_or(|rule| rule.fallback) {
        // Whatever the rule has, some root servers are among those that are asked.
        steps.truncate(READY_SERVERS_MAX - 2);
        let hints = alternating(routes.hints.iter().map(|(_, ip)| *ip));
        steps.extend(
            reachable(routes, prefix, hints)
                .map(|ip| Step::Ask(Asked { at: SocketAddr::new(ip, 53), tls: None, recursion_desired: false })),
        );
    }
    steps
}

fn of_rule(routes: &Routes, prefix: Option<TranslationPrefix>, rule: &Rule) -> Vec<Step> {
    let recursion_desired = rule.forward;
    let addresses: Vec<(SocketAddr, Option<Arc<TlsServer>>)> = rule.addresses().collect();
    let of_address = |(at, tls): &(SocketAddr, Option<Arc<TlsServer>>)| {
        let (port, tls) = (at.port(), tls.clone());
        let ask = move |ip| Step::Ask(Asked { at: SocketAddr::new(ip, port), tls: tls.clone(), recursion_desired });
        reachable(routes, prefix, [at.ip()]).map(ask).collect::<Vec<_>>()
    };
    let named = rule.to.iter().filter_map(|target| {
        let (name, tls) = (target.name.clone()?, target.tls.clone()?);
        Some(Step::LookUp(Named { name, tls, recursion_desired }))
    });
    addresses.iter().flat_map(of_address).chain(named).collect()
}

/// The addresses of the families that may be used; where the network has a translator, IPv4 addresses through that as well.
pub(super) fn reachable(
    routes: &Routes,
    prefix: Option<TranslationPrefix>,
    all: impl IntoIterator<Item = IpAddr>,
) -> impl Iterator<Item = IpAddr> {
    let (ipv4, ipv6) = (routes.recursion.ipv4 != Some(false), routes.recursion.ipv6 != Some(false));
    let all: Vec<IpAddr> = all.into_iter().collect();
    let translated = all.clone().into_iter().filter_map(move |ip| match (ip, prefix) {
        (IpAddr::V4(v4), Some(prefix)) if ipv6 && prefix.translates(v4) => Some(IpAddr::V6(prefix.embed(v4))),
        _ => None,
    });
    let plain = all.into_iter().filter(move |ip| if ip.is_ipv6() { ipv6 } else { ipv4 });
    plain.chain(translated)
}

/// One of each family in turn.
fn alternating(all: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = all.partition(IpAddr::is_ipv6);
    let count = v4.len().max(v6.len());
    (0..count).flat_map(|at| [v4.get(at).copied(), v6.get(at).copied()]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::config::Settings;
    use crate::env::RealClock;
    use crate::limits::Limits;
    use crate::resolve::Anchors;

    fn routes(config: &str) -> Routes {
        let settings = Settings::from_toml(config, "cairn.toml").expect(config);
        let hints = [("a", "192.0.2.1"), ("a", "2001:db8::1"), ("b", "192.0.2.2"), ("b", "2001:db8::2")];
        let hints = hints.map(|(name, ip)| (Name::parse(name).expect("a name"), ip.parse().expect("an address"))).to_vec();
        Routes::new(&settings, Limits::default(), hints, Anchors::default(), Arc::new(RealClock))
    }

    fn shown(step: &Step) -> String {
        match step {
            Step::Ask(Asked { at, tls, recursion_desired }) => {
                let over = tls.as_ref().map(|tls| format!(" as {}", tls.url())).unwrap_or_default();
                format!("{at}{over}{}", if *recursion_desired { " RD" } else { "" })
            }
            Step::LookUp(named) => format!("{}?", named.name),
        }
    }

    fn asked(config: &str) -> Vec<String> {
        let routes = routes(config);
        steps(&routes, routes.nat64_prefix).iter().map(shown).collect()
    }

    #[test]
    fn a_forwarder_for_all_names_is_asked_in_place_of_the_root() {
        assert_eq!(asked("")[..2], ["192.0.2.1:53", "[2001:db8::1]:53"]);
        assert_eq!(asked("[recursion]\nipv6 = false"), ["192.0.2.1:53", "192.0.2.2:53"]);
        assert_eq!(asked("[recursion]\nipv4 = false"), ["[2001:db8::1]:53", "[2001:db8::2]:53"]);
        assert_eq!(asked("[[forward]]\nzone = '.'\nto = ['192.0.2.9']"), ["192.0.2.9:53 RD"]);
        assert_eq!(asked("[[forward]]\nzone = '.'\nto = ['tls://a.example#192.0.2.9']"), ["192.0.2.9:853 as tls://a.example RD"]);
        assert_eq!(asked("[[forward]]\nzone = 'corp.'\nto = ['192.0.2.9']").len(), 4);
    }

    #[test]
    fn names_of_forwarders_are_looked_up() {
        let inner = "[[forward]]\nzone = 'corp.'\nto = ['192.0.2.8']\n";
        let rule = |to: &str| format!("{inner}[[forward]]\nzone = '.'\nto = [{to}]\n");
        assert_eq!(asked(&rule("'tls://dns.corp'")), ["dns.corp.?"]);
        assert_eq!(asked(&rule("'https://dns.corp', '192.0.2.9'")), ["192.0.2.9:53 RD", "dns.corp.?"]);
        let fallback = format!("{}fallback = true", rule("'tls://dns.corp'"));
        assert_eq!(asked(&fallback)[..3], ["dns.corp.?", "192.0.2.1:53", "[2001:db8::1]:53"]);
        let Step::LookUp(named) = &steps(&routes(&rule("'tls://dns.corp:8853'")), None)[0] else { panic!("it is to be looked up") };
        assert_eq!(shown(&Step::Ask(named.at([192, 0, 2, 7].into()))), "192.0.2.7:8853 as tls://dns.corp:8853 RD");
    }

    #[test]
    fn families_that_are_off_are_not_asked() {
        let to = |family: &str| format!("[[forward]]\nzone = '.'\nto = ['192.0.2.9', '2001:db8::9']\n[recursion]\n{family} = false");
        assert_eq!(asked(&to("ipv6")), ["192.0.2.9:53 RD"]);
        assert_eq!(asked(&to("ipv4")), ["[2001:db8::9]:53 RD"]);
        let none = asked("[[forward]]\nzone = '.'\nto = ['2001:db8::9']\n[recursion]\nipv6 = false");
        assert!(none.is_empty(), "{none:?}");
        let translated =
            asked("[server]\nnat64-prefix = '64:ff9b::/96'\n[recursion]\nipv4 = false\n[[forward]]\nzone = '.'\nto = ['198.51.100.1']");
        assert_eq!(translated, ["[64:ff9b::c633:6401]:53 RD"]);
    }

    /// How long each step may take, if each takes all of it; and what a step comes to.
    fn waits(steps: Vec<Step>, found: impl Fn(&Step) -> Found) -> (bool, Vec<(String, u128)>) {
        let (now, mut waits) = (Cell::new(BootTime(0)), Vec::new());
        let replies = any_replies(
            steps,
            || now.get(),
            |step, wait| {
                waits.push((shown(step), wait.as_millis()));
                now.set(now.get() + wait);
                found(step)
            },
        );
        (replies, waits)
    }

    #[test]
    fn the_time_is_shared_by_those_that_are_asked() {
        let of = |to: &str| steps(&routes(&format!("[[forward]]\nzone = '.'\nto = [{to}]")), None);
        let all = READY_WAIT_MAX.as_millis();
        let (replies, one) = waits(of("'192.0.2.9'"), |_| Found::Nothing);
        assert_eq!((replies, one.len(), one[0].1), (false, 1, all), "a single server has all the time");
        let (_, two) = waits(of("'192.0.2.9', '192.0.2.10'"), |_| Found::Nothing);
        assert_eq!(two.iter().map(|(_, wait)| *wait).collect::<Vec<_>>(), [all / 2, all / 2]);
        let (replies, first) = waits(of("'192.0.2.9', '192.0.2.10'"), |_| Found::Reply);
        assert_eq!((replies, first.len()), (true, 1));
    }

    #[test]
    fn a_name_that_has_an_address_is_asked_there() {
        let inner = "[[forward]]\nzone = 'corp.'\nto = ['192.0.2.8']\n[[forward]]\nzone = '.'\nto = ['tls://dns.corp']";
        let found = |step: &Step| match step {
            Step::LookUp(named) => Found::Servers(vec![named.at([192, 0, 2, 7].into())]),
            Step::Ask(_) => Found::Reply,
        };
        let now = || BootTime(0);
        let mut seen = Vec::new();
        let replies = any_replies(steps(&routes(inner), None), now, |step, _| {
            seen.push(shown(step));
            found(step)
        });
        assert_eq!((replies, seen), (true, vec!["dns.corp.?".to_owned(), "192.0.2.7:853 as tls://dns.corp RD".to_owned()]));
        let (replies, waits) = waits(steps(&routes(inner), None), |_| Found::Servers(Vec::new()));
        assert_eq!((replies, waits.len()), (false, 1), "it has no address");
    }
}
