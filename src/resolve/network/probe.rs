//! Looks for this machine's network while it is away: one probe at a time asks a root server or forwarder, and the walks
//! wait for the first reply of any server.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::env::Instant;
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::context::Context;
use crate::resolve::context::routes::{Routes, Rule};
use crate::resolve::context::task::{in_background, within};
use crate::resolve::context::trace::Step;
use crate::resolve::network::network::Network;
use crate::resolve::network::offline::{PROBE_AGAIN, PROBE_EVERY};
use crate::upstream::{Ask, AskError, EdnsOut, SocketWait, TlsServer};

/// Offered over encrypted connections, where it has no effect.
const PROBE_UDP_BYTES: u16 = 1232;

/// A server to probe, whether it is asked with RD, and over which encrypted connection, if over one.
type Target = (SocketAddr, bool, Option<Arc<TlsServer>>);

/// Queries over encrypted connections are padded.
pub(in crate::resolve) fn edns_of_probe(tls: Option<&Arc<TlsServer>>) -> Option<EdnsOut<'static>> {
    tls.map(|_| EdnsOut { udp_size: PROBE_UDP_BYTES, dnssec_ok: false, cookie: None })
}

impl Network {
    /// Waits while the network is away. The walks of all workers wait for one probe.
    pub(in crate::resolve) async fn wait_for_network(&self, server: SocketAddr, context: &Context) {
        let mut is_traced = false;
        while self.is_offline() && !(self.offline().is_without_route() && self.has_route(server, &context.routes)) {
            if !std::mem::replace(&mut is_traced, true) {
                context.trace.emit(|| Step::Offline { without_route: self.offline().is_without_route() });
            }
            self.wait_for_probe(&context.routes).await;
        }
    }

    /// Where the network seems to be away, waits until a probe has had time to tell.
    pub(in crate::resolve) async fn wait_for_probe(&self, routes: &Arc<Routes>) {
        if !self.is_offline() {
            return;
        }
        let back = self.wakeups().until_back_online();
        if self.offline().may_probe() {
            self.probe(routes.clone());
        }
        // The probe may have ended between the look and the wait.
        let _ = within(PROBE_EVERY, back).await;
    }

    /// Asks a root server, or a forwarder for everything, for the NS of the root until one replies or no walk can still be
    /// waiting: one after another, at intervals, and at once when this machine's network has changed. A server that
    /// ignores the NS query is probed with SOA as well: some networks do not answer the former.
    fn probe(&self, routes: Arc<Routes>) {
        let network = self.clone();
        in_background(async move {
            let offline = network.offline();
            let until = network.now() + Duration::from_millis(routes.limits.walk_time_ms);
            let mut changes = network.wakeups().changes();
            let ipv6_first = network.random().below(2) == 1;
            let mut turn = 0;
            while network.is_offline() && network.now() < until {
                let began = Instant::now();
                let mut targets = network.probe_targets(&routes, ipv6_first);
                let first = turn % targets.len().max(1);
                targets.rotate_left(first);
                let rtype = if (turn / targets.len().max(1)).is_multiple_of(2) { Rtype::NS } else { Rtype::SOA };
                let question = Question::new(Name::root(), rtype);
                turn += 1;
                tokio::select! {
                    biased;
                    () = network.ask_probe(&targets, &question, &routes) => {}
                    _ = changes.changed() => {
                        tokio::time::sleep_until(began + PROBE_AGAIN).await;
                        continue;
                    }
                }
                if !network.is_offline() {
                    break;
                }
                offline.probe_failed(network.now());
                tokio::select! {
                    biased;
                    _ = changes.changed() => tokio::time::sleep_until(began + PROBE_AGAIN).await,
                    () = tokio::time::sleep_until(began + PROBE_EVERY) => {}
                }
            }
            offline.probed();
        });
    }

    /// The result of `work`, or `None` when this machine's network changes while it is away: a reply to a query that was
    /// sent before is not worth waiting for.
    pub(in crate::resolve) async fn unless_network_changes<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut changes = self.wakeups().changes();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = changes.changed() => if self.is_offline() {
                    return None;
                }
            }
        }
    }

    /// The servers to probe: of the forwarders for everything, and of the root servers where there is no forwarder or the
    /// root may be asked in its place, one of each address family.
    fn probe_targets(&self, routes: &Routes, ipv6_first: bool) -> Vec<Target> {
        let rule = routes.rule_for(&Name::root());
        let of_rule = |rule: &Rule| rule.addresses().map(|(to, tls)| (to, rule.forward, tls)).collect::<Vec<_>>();
        let forwarders = rule.map_or_else(Vec::new, of_rule);
        // Where forwarders are known by name alone, the network is there when those who know their addresses reply.
        let named = rule.into_iter().flat_map(|rule| &rule.to).find_map(|target| target.name.as_ref());
        let found_by = named.filter(|_| forwarders.is_empty()).map(|name| routes.rule_for(name).map_or_else(Vec::new, of_rule));
        let roots: Vec<_> = match (rule, &found_by) {
            (Some(rule), None) if !rule.fallback => Vec::new(),
            (_, Some(found_by)) if !found_by.is_empty() => Vec::new(),
            _ => routes.hints.iter().map(|(_, address)| (SocketAddr::new(*address, 53), false, None)).collect(),
        };
        let forwarders = [forwarders, found_by.unwrap_or_default()].concat();
        let of_family = |all: &[Target], ipv6: bool| {
            let usable: Vec<_> = all.iter().filter(|(to, ..)| to.is_ipv6() == ipv6 && routes.family_enabled(to.ip())).collect();
            usable.get(self.random().below(usable.len())).map(|target| (*target).clone())
        };
        let families = [ipv6_first, !ipv6_first];
        families.iter().flat_map(|ipv6| [of_family(&forwarders, *ipv6), of_family(&roots, *ipv6)]).flatten().collect()
    }

    /// Does the kernel have a route to any server that would be probed?
    pub(in crate::resolve) fn has_route_to_any(&self, routes: &Routes) -> bool {
        self.probe_targets(routes, false).iter().any(|(target, ..)| self.has_route(*target, routes))
    }

    /// Asks the first target to which there is a route. Any reply at all shows that the network is there, and so does somebody who takes a
    /// connection, whatever becomes of it.
    async fn ask_probe(&self, targets: &[Target], question: &Question, routes: &Routes) {
        for (server, recursion_desired, tls) in targets {
            self.count_query();
            let ask = Ask {
                server: *server,
                tls: tls.as_ref(),
                zone: None,
                translator: self.translator(routes),
                question,
                recursion_desired: *recursion_desired,
                checking_disabled: false,
                edns: edns_of_probe(tls.as_ref()),
                randomise_case: true,
                timeout: PROBE_EVERY,
                overdue: None,
                tcp_timeout: PROBE_EVERY,
                force_tcp: false,
                wait: SocketWait { most: PROBE_EVERY, client: 0, known: None },
            };
            match self.upstream().ask(&ask).await {
                Err(AskError::Unreachable(_)) => {}
                Err(error) if error.was_not_sent() => {}
                Err(error) => return self.on_failure(&error),
                Ok(_) => return self.on_reply(None),
            }
        }
    }
}
