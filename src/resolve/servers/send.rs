//! Sends one query: pays for it from the budget, decides its time-out, its form and its cookie.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::cache::{CaseState, Family};
use crate::env::boxed;
use crate::limits::servers::{ANSWER_MARGIN, BADCOOKIE_REPLIES_MAX, FORWARDER_TIMEOUT_MIN, TCP_VOUCHING_MAX};
use crate::limits::upstream::TLS_SILENCE_MAX;
use crate::metrics::Counter;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::trace::{Asked, PassedOver, Step};
use crate::resolve::delegation::zone_cut::{self, Cut};
use crate::resolve::network::network::Network;
use crate::resolve::servers::in_flight::Asking;
use crate::resolve::servers::plan::{EdnsForm, Outcome, Plan};
use crate::resolve::servers::servers::Servers;
use crate::resolve::servers::slist::Slist;
use crate::upstream::{Ask, EdnsOut, Notes, SocketWait};

impl Servers {
    /// Pays for one query. It is sent when the result is first polled.
    pub(in crate::resolve) fn send(&self, cut: &Cut, plan: &Plan, slist: &mut Slist, context: &Context) -> Result<Asking, Failure> {
        context.budget.take_query().map_err(|bound| Failure::new(cut.zone.clone(), Cause::Spent(bound)))?;
        slist.asked += 1;
        let (server, now) = (plan.address, self.now());
        let tried = {
            let tried = slist.of(server);
            tried.count = tried.count.saturating_add(1);
            *tried
        };
        let mut manner = self.cache().servers().manner(server.ip(), now);
        manner.no_options |= tried.new_cookies > BADCOOKIE_REPLIES_MAX;
        let tls = cut.tls_of(server).cloned();
        if tls.is_some() {
            // What was found out about queries in clear text says nothing of those that nobody on the way can touch.
            (manner.case, manner.was_doubted, manner.no_options) = (CaseState::Works, false, false);
        }
        let mut plan = plan.formed(&manner, tried.silent);
        if tls.is_some() && !tried.plain {
            // Without OPT there is no padding.
            (plan.with_edns, plan.form.edns) = (true, EdnsForm::Full);
        }
        trace_asked(self.network(), cut, &plan, tried.count, context);
        self.cache().servers().on_asked(server.ip(), now);
        let (question, recursive, with_edns, form) = (plan.question.clone(), plan.recursive, plan.with_edns, plan.form);
        if !manner.is_known && !cut.configured {
            manner.usual_wait = self.network().first_patience();
        }
        let mut timeout = manner.timeout(tried.silent);
        if cut.forward {
            timeout = timeout.max(FORWARDER_TIMEOUT_MIN);
        }
        if tls.is_some() {
            // Perhaps there is no connection yet. An address that is slow to connect is left for another one earlier.
            timeout = timeout.max(TLS_SILENCE_MAX);
        }
        if self.is_last_query(cut, slist, context) {
            // A reply within the time that the client waits anyway is not too late.
            let earliest = Duration::from_millis(context.routes.limits.give_up_earliest_ms);
            timeout = timeout.max(earliest.saturating_sub(context.began.elapsed()));
        }
        let mut cookie: SmallVec<[u8; 40]> = SmallVec::from_slice(&self.network().client_cookie(server.ip()));
        cookie.extend_from_slice(&manner.cookie);
        let force_tcp = plan.tcp_vouches || tried.new_cookies >= BADCOOKIE_REPLIES_MAX && !manner.no_tcp;
        let (limits, dnssec) = (context.routes.limits, context.routes.recursion.dnssec);
        self.network().count_query();
        self.allowance.earn();
        let sent = self.network().offline().asked(now);
        let client_rest = Duration::from_millis(limits.give_up_latest_ms).saturating_sub(ANSWER_MARGIN + context.began.elapsed());
        let (wait, client) = (client_rest.max(timeout), context.client);
        let translator = self.network().translator(&context.routes);
        let may_be_outrun = !cut.configured && !cut.forward;
        let (network, overdue) = (self.network().clone(), Rc::new(Cell::new(false)));
        let is_overdue = overdue.clone();
        let zone = cut.zone.clone();
        let most = Duration::from_millis(limits.upstream_timeout_most_ms);
        let outcome = boxed(|| async move {
            let tcp_timeout = if plan.tcp_vouches { TCP_VOUCHING_MAX.min(most) } else { most };
            let edns = with_edns.then_some(EdnsOut {
                udp_size: limits.edns_udp_bytes,
                // Also where nothing is validated here: a client may validate itself (RFC 4035 3.2.1).
                dnssec_ok: true,
                cookie: (form.edns == EdnsForm::Full).then_some(&cookie),
            });
            let known = || {
                let deepest = zone_cut::deepest_zone(network.cache(), &question.name, question.rtype, network.now());
                deepest.map_or(0, |zone| zone.label_count())
            };
            let ask = Ask {
                server,
                tls: tls.as_ref(),
                zone: Some(&zone),
                translator,
                question: &question,
                recursion_desired: recursive,
                checking_disabled: recursive && dnssec,
                edns,
                randomise_case: !form.lower,
                timeout: timeout.max(most),
                overdue: Some((timeout, &is_overdue)),
                tcp_timeout,
                force_tcp,
                wait: SocketWait { most: wait, client, known: if may_be_outrun { Some(&known) } else { None } },
            };
            let exchange = pin!(network.upstream().ask(&ask));
            let result = network.unless_network_changes(exchange).await;
            let notes = match &result {
                Some(Ok(reply)) => reply.notes,
                Some(Err(error)) => error.notes(),
                None => Notes::default(),
            };
            network.metrics().add(Counter::UpstreamTcp, usize::from(notes.tcp_because.is_some()));
            if let Some(tls) = &tls {
                network.count_encrypted(tls, result.as_ref());
            }
            Outcome { sent, result }
        });
        Ok(Asking::new(plan, timeout, overdue, outcome))
    }
}

fn trace_asked(network: &Network, cut: &Cut, plan: &Plan, attempt: u8, context: &Context) {
    context.trace.emit(|| {
        let server = cut.servers.iter().find(|server| server.addresses.contains(&plan.address));
        Step::Asked(Asked {
            server_name: server.and_then(|server| server.name.clone()),
            url: cut.tls_of(plan.address).map(|tls| tls.url().clone()),
            address: plan.address.ip(),
            zone: cut.zone.clone(),
            question: (*plan.question).clone(),
            minimised: plan.minimised,
            why: plan.why,
            attempt,
            with_edns: plan.with_edns,
            translated: network.translated(plan.address, &context.routes),
            passed_over: passed_over(network, cut, plan, context),
        })
    });
}

/// The addresses of the other address family, where no server replies by it.
fn passed_over(network: &Network, cut: &Cut, plan: &Plan, context: &Context) -> Option<PassedOver> {
    let (now, family) = (network.now(), Family::of(plan.address.ip()).other());
    let test_at = network.cache().servers().families().test_at(family, now)?;
    let is_of_it = |address: &&SocketAddr| Family::of(address.ip()) == family && context.routes.family_enabled(address.ip());
    let addresses = cut.servers.iter().flat_map(|server| &server.addresses).filter(is_of_it).count();
    (addresses > 0).then_some(PassedOver { family, addresses, test_in: test_at.since(now) })
}
