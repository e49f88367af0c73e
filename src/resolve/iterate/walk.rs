//! The walk: from the best known cut down to the servers that have the answer (RFC 1034 5.3.3).
//!
//! ```text
//! link ─► cache? ─► under way? ─► walk ─► route or deepest known cut (or prime the root)
//!                     │ join                 │
//!                     └── outcome ◄── answer │◄── ask_cut ── referral: one cut deeper ──┐
//!                                            └──────────────────────────────────────────┘
//! ```
//!
//! The only file of its folder, with `table.rs`, that names tokio: what waits for anything but a server's reply waits here,
//! for the client's time and for our own network too.
//! A walk is a task of its own: a client that leaves does not end it, and its result is cached.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::env::Instant;
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::budget::Bound;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::local::LocalAnswer;
use crate::resolve::context::place::unless_lost;
use crate::resolve::context::routes::Routes;
use crate::resolve::context::trace::{Purpose, Step};
use crate::resolve::delegation::zone_cut::{self, Cut};
use crate::resolve::iterate::minimise::{Minimiser, Show};
use crate::resolve::iterate::store_reply::glue_for;
use crate::resolve::lookup::coalesce::{Join, Ticket, Wanted};
use crate::resolve::network::offline::{PROBE_AGAIN, PROBE_EVERY};
use crate::resolve::question::cname_chain::Answer;
use crate::resolve::reply::classify::Kind;
use crate::resolve::reply::link::Link;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::resolver::Resolver;
use crate::resolve::servers::slist::Slist;
use crate::upstream::{Ask, AskError};

/// What wakes walks when the network may be there again.
#[derive(Default)]
pub(in crate::resolve) struct Awaited {
    /// Wakes the walks that wait for the network.
    back_online: Notify,
    /// Wakes the probe: links, addresses or routes of this machine have changed.
    changes: watch::Sender<()>,
}

impl Awaited {
    pub(in crate::resolve) fn changed(&self) {
        self.changes.send_replace(());
    }
}

/// Walks of others that are waited for before their failure counts.
const JOINS_MAX: usize = 3;

impl Resolver {
    /// One name and type, proved as far as DNSSEC goes. Where one server's word does not hold, others are asked
    /// before it counts as bogus.
    pub async fn link(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        let raw = self.raw_link(question, context).await?;
        if context.cache_only {
            return Ok(raw);
        }
        Ok(self.prove(question, raw, context).await)
    }

    /// Takes a whole question to its end within the client's time: an expired answer after 1.8 s (RFC 8767 5), or at
    /// once while nobody answers at all, and a failure when there is none. The walk goes on without the client, and its
    /// result is cached.
    pub async fn resolve_in_time(&self, question: &Question, held: Option<LocalAnswer>, context: &Context) -> Result<Answer, Failure> {
        let answered = unless_lost(context.place.as_ref(), self.in_time(question, held, context)).await;
        answered.unwrap_or_else(|| Err(Failure::new(question.name.clone(), Cause::Shed)))
    }

    async fn in_time(&self, question: &Question, held: Option<LocalAnswer>, context: &Context) -> Result<Answer, Failure> {
        let limits = context.routes.limits;
        let began = Instant::now();
        let work = pin!(self.resolve(question, held, context));
        let mut work = pin!(self.in_turns(work));
        if let Some(patience) = self.shared().offline.patience(self.now()) {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = tokio::time::sleep(patience) => {}
            }
            if self.shared().offline.is_offline(self.now())
                && let Some(answer) = self.stale_answer(question, context)
            {
                return Ok(answer);
            }
        }
        let stale_after = Duration::from_millis(limits.stale_after_ms);
        tokio::select! {
            biased;
            result = &mut work => return result,
            () = tokio::time::sleep_until(began + stale_after) => {}
        }
        if let Some(answer) = self.stale_answer(question, context) {
            return Ok(answer);
        }
        let rest = Duration::from_millis(limits.give_up_latest_ms).saturating_sub(stale_after);
        tokio::select! {
            biased;
            result = &mut work => result,
            () = tokio::time::sleep(rest) => {
                let failure = Failure::new(question.name.clone(), Cause::TimedOut);
                // Until the walk ends otherwise, those who ask again are told so at once.
                let (resolver, question, failed, context) = (self.clone(), question.clone(), failure.clone(), context.clone());
                tokio::task::spawn_local(async move { resolver.remember(&question, &failed, &context).await });
                Err(failure)
            }
        }
    }

    /// Keeps a failure for a while (RFC 9520), unless it is our own network that is silent: one probe tells.
    async fn remember(&self, question: &Question, failure: &Failure, context: &Context) {
        let shared = self.shared();
        if shared.offline.is_offline(self.now()) {
            let back = shared.awaited.back_online.notified();
            if shared.offline.may_probe() {
                self.probe(context.routes.clone());
            }
            let _ = tokio::time::timeout(PROBE_EVERY, back).await;
        }
        if !shared.offline.is_offline(self.now()) {
            self.cache().put_failure(question, &failure.ede(), context.routes.limits.failure_kept_least_s, self.now());
        }
    }

    /// Waits while our own network is silent. Each worker's walks wait together; one of them probes for all.
    pub(in crate::resolve) async fn wait_for_network(&self, server: SocketAddr, context: &Context) {
        let shared = self.shared();
        let mut is_told = false;
        while shared.offline.is_offline(self.now()) && !(shared.offline.is_without_route() && self.upstream().has_route(server)) {
            if !std::mem::replace(&mut is_told, true) {
                context.trace.emit(|| Step::Offline { without_route: shared.offline.is_without_route() });
            }
            let back = shared.awaited.back_online.notified();
            if shared.offline.may_probe() {
                self.probe(context.routes.clone());
            }
            // The probe may have ended between the look and the wait.
            let _ = tokio::time::timeout(PROBE_EVERY, back).await;
        }
    }

    /// Asks the root, or the forwarder for everything, who it is, until anybody answers or nobody waits any more:
    /// each in turn, at intervals, and at once when this machine's network has changed. Who is silent is asked for the
    /// SOA too: there are networks in which the one question is not answered.
    fn probe(&self, routes: Arc<Routes>) {
        let resolver = self.clone();
        tokio::task::spawn_local(async move {
            let shared = resolver.shared().clone();
            let until = resolver.now() + Duration::from_millis(routes.limits.walk_time_ms);
            let mut changes = shared.awaited.changes.subscribe();
            let ipv6_first = resolver.random().below(2) == 1;
            let mut turn = 0;
            while shared.offline.is_offline(resolver.now()) && resolver.now() < until {
                let began = Instant::now();
                let mut targets = resolver.probe_targets(&routes, ipv6_first);
                let first = turn % targets.len().max(1);
                targets.rotate_left(first);
                let rtype = if (turn / targets.len().max(1)).is_multiple_of(2) { Rtype::NS } else { Rtype::SOA };
                let question = Question::new(Name::root(), rtype);
                turn += 1;
                let heard = tokio::select! {
                    biased;
                    heard = resolver.ask_probe(&targets, &question) => heard,
                    _ = changes.changed() => {
                        tokio::time::sleep_until(began + PROBE_AGAIN).await;
                        continue;
                    }
                };
                if heard {
                    resolver.heard_somebody();
                    break;
                }
                shared.offline.probe_failed(resolver.now());
                tokio::select! {
                    biased;
                    _ = changes.changed() => tokio::time::sleep_until(began + PROBE_AGAIN).await,
                    () = tokio::time::sleep_until(began + PROBE_EVERY) => {}
                }
            }
            shared.offline.probed();
        });
    }

    /// What waits for a reply while the network is away need not wait on when it may be back: then `None`.
    pub(in crate::resolve) async fn unless_the_network_changes<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut changes = self.shared().awaited.changes.subscribe();
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = changes.changed() => if self.shared().offline.is_offline(self.now()) {
                    return None;
                }
            }
        }
    }

    /// Whom to ask whether the network is there, and whether with RD: one of each family, as far as there are; of the
    /// forwarders and, where they may be done without, of the root servers too.
    fn probe_targets(&self, routes: &Routes, ipv6_first: bool) -> Vec<(SocketAddr, bool)> {
        let rule = routes.rule_for(&Name::root());
        let forwarders: Vec<_> = rule.map_or_else(Vec::new, |rule| rule.to.iter().map(|to| (*to, rule.forward)).collect());
        let roots: Vec<_> = match rule {
            Some(rule) if !rule.fallback => Vec::new(),
            _ => routes.hints.iter().map(|(_, address)| (SocketAddr::new(*address, 53), false)).collect(),
        };
        let of_family = |all: &[(SocketAddr, bool)], ipv6: bool| {
            let some: Vec<_> = all.iter().filter(|(to, _)| to.is_ipv6() == ipv6 && routes.family_enabled(to.ip())).collect();
            some.get(self.random().below(some.len())).map(|target| **target)
        };
        let families = [ipv6_first, !ipv6_first];
        families.iter().flat_map(|ipv6| [of_family(&forwarders, *ipv6), of_family(&roots, *ipv6)]).flatten().collect()
    }

    /// Is there a route to anybody who could tell that the network is there?
    pub(in crate::resolve) fn has_way_out(&self, routes: &Routes) -> bool {
        self.probe_targets(routes, false).iter().any(|(target, _)| self.upstream().has_route(*target))
    }

    /// One question of the probe: to the first target to which there is a route. Any reply at all is a sign of life.
    async fn ask_probe(&self, targets: &[(SocketAddr, bool)], question: &Question) -> bool {
        for (server, recursion_desired) in targets {
            self.count_upstream();
            let ask = Ask {
                server: *server,
                question,
                recursion_desired: *recursion_desired,
                checking_disabled: false,
                edns: None,
                randomise_case: true,
                timeout: PROBE_EVERY,
                overdue: None,
                tcp_timeout: PROBE_EVERY,
                force_tcp: false,
            };
            match self.upstream().ask(&ask).await {
                Err(AskError::Unreachable(_)) => {}
                heard => return heard.is_ok(),
            }
        }
        false
    }

    /// A reply of anybody shows that the network is there.
    pub(in crate::resolve) fn heard_somebody(&self) {
        if self.shared().offline.heard(self.now()) {
            // What was held against anybody since the network went was not theirs.
            self.cache().servers().forgive();
            self.shared().awaited.back_online.notify_waiters();
        }
    }

    /// One name and type, not proved: from the cache, from a walk under way, or by a walk of its own.
    pub(in crate::resolve) async fn raw_link(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        if let Some(known) = self.cached(question, context) {
            return known;
        }
        if let Some(follows) = self.inferred(question, context) {
            return Ok(follows);
        }
        if context.cache_only {
            return Err(Failure::new(question.name.clone(), Cause::NotCached));
        }
        if usize::from(context.depth) > context.routes.limits.glueless_depth {
            context.budget.too_deep();
            return Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Depth(context.routes.limits.glueless_depth))));
        }
        let wanted = Wanted { question: question.clone(), glue_will_do: context.glue_will_do };
        let mut tries = 0;
        loop {
            tries += 1;
            let (waiter, is_own) = match self.shared().table.join(&wanted, context.walk) {
                Join::Own(ticket, waiter) => {
                    if context.depth > 0 {
                        context.trace.emit(|| Step::Begin { question: question.clone(), purpose: context.purpose });
                    }
                    self.start(question.clone(), context.clone(), ticket);
                    (waiter, true)
                }
                Join::Wait(waiter) => {
                    context.trace.emit(|| Step::Joined { question: question.clone() });
                    (waiter, false)
                }
                Join::Cycle => return Err(Failure::new(question.name.clone(), Cause::Cycle)),
                Join::TooLong => {
                    context.budget.crowded_out();
                    return Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Waits)));
                }
                Join::Full => {
                    context.budget.crowded_out();
                    return Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Walks(context.routes.limits.walks))));
                }
            };
            let outcome = waiter.outcome().await;
            match &*outcome {
                Ok(link) => return Ok(link.clone()),
                Err(failure) if !is_own && tries < JOINS_MAX && failure.may_be_anothers() && !context.budget.is_spent() => {}
                Err(failure) => {
                    if failure.cause == Cause::Shed {
                        context.budget.crowded_out();
                    }
                    return self.stale(question, context).ok_or_else(|| failure.clone());
                }
            }
        }
    }

    /// Looks up again, before it expires, what answers the question; of a chain of aliases, the links that are near
    /// their end. Nobody waits.
    pub fn refresh(&self, question: &Question, context: &Context) {
        let (cache, now) = (self.cache(), self.now());
        let mut here = question.clone();
        for _ in 0..=context.routes.limits.aliases {
            if context.local.find(&here).is_some() {
                return;
            }
            let known = |rtype| cache.get_set(&here.name, rtype, now).filter(|cached| cached.rank.may_answer());
            let Some(cached) = known(here.rtype).or_else(|| known(Rtype::CNAME)) else { return self.refresh_link(&here, context) };
            if cached.is_waning() {
                self.refresh_link(&here, context);
            }
            match cached.set.target().filter(|_| cached.set.rtype != here.rtype) {
                Some(target) => here.name = target,
                None => return,
            }
        }
    }

    fn refresh_link(&self, question: &Question, context: &Context) {
        // What failed a moment ago would fail again (RFC 9520 3).
        if self.cache().get_failure(question, self.now()).is_some() {
            return;
        }
        let (resolver, question, context) = (self.clone(), question.clone(), context.background(Purpose::Prefetch));
        tokio::task::spawn_local(async move {
            // A failure leaves what is there until its time is up.
            let _ = resolver.link(&question, &context).await;
        });
    }

    fn start(&self, question: Question, context: Context, ticket: Ticket) {
        let resolver = self.clone();
        self.shared().counters.walks.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_local(Box::pin(async move {
            let context = Context { walk: Some(ticket.id), ..context };
            let limit = Duration::from_millis(context.routes.limits.walk_time_ms);
            let had_all = context.budget.is_whole();
            let walk = pin!(resolver.walk(&question, &context));
            let walk = tokio::time::timeout(limit, resolver.in_turns(walk));
            let mut result = match unless_lost(context.place.as_ref(), walk).await {
                Some(Ok(result)) => result,
                Some(Err(_)) => Err(Failure::new(question.name.clone(), Cause::Spent(Bound::Time))),
                None => Err(Failure::new(question.name.clone(), Cause::Shed)),
            };
            if let Err(failure) = &mut result {
                failure.for_want = failure.cause == Cause::Shed || context.budget.failed_for_want(had_all);
                resolver.shared().counters.failures.fetch_add(1, Ordering::Relaxed);
                if failure.may_be_remembered() {
                    resolver.remember(&question, failure, &context).await;
                }
            }
            ticket.publish(Arc::new(result));
        }));
    }

    pub(in crate::resolve) async fn walk(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        let limits = context.routes.limits;
        let had_all = context.budget.is_whole();
        let mut cut = self.first_cut(question, context).await?;
        let mut minimiser = Minimiser::new(context.routes.recursion.qname_minimisation, &limits);
        minimiser.at_cut(&cut.zone);
        // Servers of cuts that were of no use: after a fresh delegation only new ones are worth asking.
        let mut in_vain: Vec<(Name, SocketAddr)> = Vec::new();
        let mut restarts = 0;
        // Of a shortened question that drew no reply.
        let mut begun: Option<Slist> = None;
        for _ in 0..=limits.referrals {
            // What people ask for is no business of the root and the TLDs; elsewhere, and for names of servers, some
            // secrecy is enough.
            let for_server = context.depth > 0;
            let bounded = for_server || cut.zone.label_count() > 1;
            let shorten = !cut.forward && (!bounded || context.budget.may_minimise(for_server));
            let shown = if shorten { minimiser.next(question, |part| self.is_known(part)) } else { Show::All };
            let (part, minimised) = match shown {
                Show::All => (question.clone(), false),
                Show::Part(part) => (part, true),
            };
            let zones = [Some(&cut.zone), minimised.then_some(&part.name)];
            let failed =
                zones.into_iter().flatten().find_map(|zone| Some((zone, self.cache().get_failure(&unreachable(zone), self.now())?)));
            if let Some((zone, failed)) = failed.filter(|_| !cut.configured) {
                return Err(Failure::new(zone.clone(), Cause::Remembered(failed.ede)));
            }
            let mut slist = begun.take().unwrap_or_default();
            slist.may_show_whole(minimised && bounded && !minimiser.is_strict());
            for (_, address) in in_vain.iter().filter(|(zone, _)| *zone == cut.zone) {
                slist.rule_out(*address);
            }
            let heard = match self.ask_cut(&mut cut, &part, minimised, &mut slist, context).await {
                Ok(heard) => heard,
                // A limit of our own: another way would meet it too.
                Err(failure) if failure.cause == Cause::NoSocket => return Err(failure),
                Err(failure) if minimised && failure.cause == Cause::ServersFailed => {
                    minimiser.refused();
                    continue;
                }
                Err(failure) if failure.cause == Cause::NoReachableAuthority && slist.is_silent_to_part() => {
                    minimiser.refused();
                    slist.go_on_whole(failure.faults);
                    begun = Some(slist);
                    continue;
                }
                Err(failure) if failure.cause == Cause::NoServerAddress && !may_have_changed(&cut, context) && !cut.configured => {
                    if self.shared().offline.is_offline(self.now()) || context.budget.failed_for_want(had_all) {
                        return Err(failure);
                    }
                    // Every other name of this zone would be looked for in vain as well (RFC 9520 3.1).
                    self.cache().put_failure(&unreachable(&cut.zone), &failure.ede(), limits.failure_kept_least_s, self.now());
                    return Err(failure);
                }
                Err(failure) if may_have_changed(&cut, context) && !cut.zone.is_root() && restarts < limits.restarts => {
                    // The parent knows. What was tried stays tried.
                    restarts += 1;
                    zone_cut::forget(self.cache(), &cut.zone);
                    in_vain.extend(slist.asked().map(|address| (cut.zone.clone(), address)));
                    let zone = std::mem::replace(&mut cut, self.first_cut(question, context).await?).zone;
                    minimiser.at_cut(&cut.zone);
                    context.trace.emit(|| Step::Restart { zone, cause: failure.cause });
                    continue;
                }
                Err(failure) => return self.fall_back(question, &cut, failure, context).await,
            };
            let link = self.learn(&part, &cut, &heard, context).map(|link| Link {
                zone: Some(cut.zone.clone()),
                server: Some(heard.server),
                ..link
            });
            match (heard.kind, link) {
                (Kind::Referral, _) => {
                    if let Some(link) = glue_for(question, &heard).filter(|_| context.glue_will_do) {
                        return Ok(link);
                    }
                    if let Some(failure) = self.too_many_servers(&heard, context) {
                        return Err(failure);
                    }
                    self.keep_hints(&cut);
                    cut = self.descend(&cut, &heard, context);
                    minimiser.at_cut(&cut.zone);
                }
                (Kind::NxDomain, Some(link)) if minimised && minimiser.is_strict() => return Ok(link),
                (kind, _) if minimised => {
                    if kind == Kind::NxDomain {
                        minimiser.refused();
                    }
                    if bounded {
                        context.budget.minimised_in_vain();
                    }
                }
                (_, Some(link)) => return Ok(link),
                (_, None) => return Err(Failure::new(cut.zone.clone(), Cause::ServersFailed)),
            }
        }
        Err(Failure::new(cut.zone, Cause::Spent(Bound::Referrals(limits.referrals))))
    }

    /// Where to begin: a rule of the configuration, a delegation out of a hosted zone, the deepest live cut in
    /// the cache, or the root.
    async fn first_cut(&self, question: &Question, context: &Context) -> Result<Cut, Failure> {
        let names_max = context.routes.limits.ns_names_kept_per_set;
        let now = self.now();
        let known = zone_cut::deepest_known(self.cache(), &question.name, question.rtype, now);
        if let Some(rule) = context.routes.rule_for_question(question) {
            let deeper = known.as_ref().filter(|cut| !rule.forward && cut.zone.is_below(&rule.zone));
            if deeper.is_none() {
                context.trace.emit(|| Step::Routed { zone: rule.zone.clone(), forward: rule.forward });
                return Ok(Cut::configured(rule.zone.clone(), &rule.to, rule.forward));
            }
        }
        if let Some(held) = context.local.delegation(&question.name) {
            return Ok(Cut::from_referral(&held.ns, &held.glue, names_max));
        }
        let is_priming = question.name.is_root() && question.rtype == Rtype::NS;
        let mut cut = match known {
            Some(cut) => cut,
            None if is_priming => Cut::from_hints(&context.routes.hints),
            None => self.prime(context).await,
        };
        cut.complete(self.cache(), now, names_max, |rtype| context.routes.type_enabled(rtype));
        while !cut.zone.is_root() && cut.is_out_of_reach(|address| context.routes.family_enabled(address)) {
            // Glue may end before its delegation does. The parent has it.
            zone_cut::forget(self.cache(), &cut.zone);
            cut = match zone_cut::deepest_known(self.cache(), &question.name, question.rtype, now) {
                Some(above) => above,
                None => self.prime(context).await,
            };
            cut.complete(self.cache(), now, names_max, |rtype| context.routes.type_enabled(rtype));
        }
        if cut.zone.is_root() && cut.address_count() == 0 {
            // The root named its servers and gave no addresses; the hints have some.
            cut = Cut::from_hints(&context.routes.hints);
        }
        context.trace.emit(|| Step::Cut {
            zone: cut.zone.clone(),
            servers: cut.servers.len(),
            addresses: cut.address_count(),
            from_cache: cut.from_cache,
        });
        Ok(cut)
    }

    /// RFC 9609 3: the hints serve to ask the root who its servers are. Where that fails, or is not known in the time that
    /// a server is first waited for, they are used as they are.
    async fn prime(&self, context: &Context) -> Cut {
        let question = Question::new(Name::root(), Rtype::NS);
        let child = context.child(Purpose::Priming);
        let primed = tokio::time::timeout(self.first_patience(), self.raw_link(&question, &child)).await;
        let known = zone_cut::deepest_known(self.cache(), &Name::root(), Rtype::NS, self.now());
        match (primed, known) {
            (Ok(Ok(_)), Some(cut)) => cut,
            _ => Cut::from_hints(&context.routes.hints),
        }
    }

    /// The hints have led on, and the root has not said who its servers are: for a while they stand for that, because
    /// delegations count only below one of the root.
    fn keep_hints(&self, cut: &Cut) {
        let is_by_hints = cut.zone.is_root() && !cut.from_cache && !cut.configured;
        let unknown = || zone_cut::deepest_known(self.cache(), &cut.zone, Rtype::NS, self.now()).is_none();
        if let Some(ns) = cut.ns_set().filter(|_| is_by_hints && unknown()) {
            zone_cut::remember(self.cache(), &cut.zone, &ns, &[], ns.data.len(), self.now());
        }
    }

    /// A delegation to more servers than any zone has is not followed, and not looked at again for a while.
    fn too_many_servers(&self, heard: &ServerReply, context: &Context) -> Option<Failure> {
        let limits = context.routes.limits;
        let ns = heard.content.referral.as_ref().filter(|ns| ns.data.len() > limits.ns_names_believed_per_set)?;
        let failure = Failure::new(ns.name.clone(), Cause::Spent(Bound::ServerNames(ns.data.len())));
        self.cache().put_failure(&unreachable(&ns.name), &failure.ede(), limits.failure_kept_least_s, self.now());
        zone_cut::forget(self.cache(), &ns.name);
        Some(failure)
    }

    fn descend(&self, cut: &Cut, heard: &ServerReply, context: &Context) -> Cut {
        let Some(ns) = &heard.content.referral else { return cut.clone() };
        let names_max = context.routes.limits.ns_names_kept_per_set;
        let mut deeper = Cut::from_referral(ns, &heard.content.glue, names_max);
        for hint in &heard.content.hints {
            deeper.add_hint(hint);
        }
        deeper.complete(self.cache(), self.now(), names_max, |rtype| context.routes.type_enabled(rtype));
        context.trace.emit(|| Step::Cut {
            zone: deeper.zone.clone(),
            servers: deeper.servers.len(),
            addresses: deeper.address_count(),
            from_cache: false,
        });
        deeper
    }

    /// A rule with `fallback` whose servers all failed: iterate as if there were no rule.
    async fn fall_back(&self, question: &Question, cut: &Cut, failure: Failure, context: &Context) -> Result<Link, Failure> {
        let rule = context.routes.rule_for_question(question).filter(|rule| cut.configured && rule.fallback && rule.zone == cut.zone);
        if rule.is_none() {
            return Err(failure);
        }
        let mut plain = context.clone();
        plain.routes = Arc::new(context.routes.without_rule(&cut.zone));
        Box::pin(self.walk(question, &plain)).await
    }
}

/// Is the cut's delegation from before this question, so that the parent may say something else by now?
pub(in crate::resolve) fn may_have_changed(cut: &Cut, context: &Context) -> bool {
    cut.from_cache && u64::from(cut.age_s) > context.began.elapsed().as_secs()
}

/// Stands for a zone none of whose servers has an address, among the failures that are remembered.
fn unreachable(zone: &Name) -> Question {
    Question::new(zone.clone(), Rtype::DELEGATION)
}

/// A turn that has cost so much is over.
const TURN_US: u64 = 50;
/// However little they cost.
const STEPS_PER_TURN: usize = 4;

/// Does cold work, and lets other work of this thread through after each turn of it. A step takes no longer than
/// `Limits::cold_slice_us`; another one is done in the same turn while that has cost little, by what is `spent`.
pub(in crate::resolve) async fn step_by_step<R>(spent_us: impl Fn() -> u64, mut step: impl FnMut() -> Option<R>) -> R {
    loop {
        let until_us = spent_us() + TURN_US;
        for _ in 0..STEPS_PER_TURN {
            if let Some(result) = step() {
                return result;
            }
            if spent_us() >= until_us {
                break;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// What `work` comes to within a time.
pub(in crate::resolve) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = tokio::time::sleep(time) => None,
    }
}

/// Goes on beside everything else, on this thread; nobody waits for it.
pub(in crate::resolve) fn in_background(work: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(work);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many of ten steps, each of that cost, were done when others had their turn.
    async fn turns_between(step_us: u64) -> Vec<usize> {
        let (steps, mut seen) = (Cell::new(0), Vec::new());
        let work = step_by_step(
            || steps.get() as u64 * step_us,
            || {
                steps.set(steps.get() + 1);
                (steps.get() == 10).then_some(())
            },
        );
        let other = async {
            while steps.get() < 10 {
                seen.push(steps.get());
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(biased; work, other);
        seen
    }

    #[tokio::test]
    async fn others_run_between_two_turns() {
        assert_eq!(turns_between(TURN_US).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(turns_between(TURN_US - 1).await, [2, 4, 6, 8]);
        assert_eq!(turns_between(0).await, [4, 8], "steps that cost nothing end a turn too");
    }
}
