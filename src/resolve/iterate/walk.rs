//! The walk: from the deepest known zone cut down to the servers that have the answer (RFC 1034 5.3.3).
//!
//! ```text
//! start: route, or deepest known cut, or the root ──► ask_zone ──► answer, alias or denial
//!                                                     ▲   │
//!                                                     └───┘ referral: one cut deeper
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cache::{Cache, DenialKind};
use crate::env::{BootTime, boxed};
use crate::record::{Name, Question, Rtype};
use crate::resolve::context::budget::Bound;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure, OwnLimit};
use crate::resolve::context::trace::Step;
use crate::resolve::delegation::zone_cut::{self, Cut};
use crate::resolve::iterate::minimise::{Minimiser, Show};
use crate::resolve::iterate::next_step::{AfterFailure, AfterReply, AtFailure, after_failure, after_reply};
use crate::resolve::iterate::store_reply::glue_for;
use crate::resolve::iterate::sub_query::SubQuery;
use crate::resolve::iterate::walker::{Walk, Walker};
use crate::resolve::reply::link::Link;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::servers::slist::Slist;

impl Walker {
    /// Walks for one question, without joining a walk that is in progress. `sub_query` looks up what the walk needs.
    pub(in crate::resolve) async fn walk(&self, question: &Question, context: &Context, sub_query: &dyn SubQuery) -> Result<Link, Failure> {
        Walk { servers: &self.servers, sub_query, context }.run(question).await
    }
}

impl Walk<'_> {
    async fn run(&self, question: &Question) -> Result<Link, Failure> {
        let context = self.context;
        let limits = context.routes.limits;
        let mut cut = self.first_cut(question).await?;
        let mut minimiser = Minimiser::new(context.routes.recursion.qname_minimisation, &limits);
        minimiser.at_cut(&cut.zone);
        // Servers that were asked in vain: after a fresh delegation only new ones are worth asking.
        let mut in_vain: Vec<(Name, SocketAddr)> = Vec::new();
        let mut restarts = 0;
        // What has been tried with a shortened question that no server replied to.
        let mut begun: Option<Box<Slist>> = None;
        for _ in 0..=limits.referrals {
            // The root and the TLDs never see more of a client's question than they need; for other zones, and for names
            // of servers, the number of extra queries is bounded.
            let for_server = context.depth > 0;
            let bounded = for_server || cut.zone.label_count() > 1;
            let shorten = !cut.forward && (!bounded || context.budget.may_minimise(for_server));
            let shown = if shorten { minimiser.next(question, |part| is_cached(self.cache(), part, self.now())) } else { Show::All };
            let (part, minimised) = match shown {
                Show::All => (question.clone(), false),
                Show::Part(part) => (part, true),
            };
            let zones = [Some(&cut.zone), minimised.then_some(&part.name)];
            let failed =
                zones.into_iter().flatten().find_map(|zone| Some((zone, self.cache().failures().get(&unreachable(zone), self.now())?)));
            if let Some((zone, failed)) = failed.filter(|_| !cut.configured) {
                return Err(Failure::new(zone.clone(), Cause::Remembered(failed.ede)));
            }
            let mut slist = begun.take().map_or_else(Slist::default, |begun| *begun);
            slist.is_strict = minimiser.is_strict();
            slist.may_show_whole(minimised && bounded && !minimiser.is_strict());
            for (_, address) in in_vain.iter().filter(|(zone, _)| *zone == cut.zone) {
                slist.rule_out(*address);
            }
            let failure = match self.ask_zone(&mut cut, &part, minimised, &mut slist).await {
                Ok(reply) => match after_reply(reply.kind, minimised, minimiser.is_strict()) {
                    AfterReply::Descend => {
                        self.store_reply(&part, &cut, &reply);
                        if let Some(link) = glue_for(question, &reply).filter(|_| context.glue_will_do) {
                            return Ok(link);
                        }
                        self.refuse_too_many_servers(&reply)?;
                        self.store_hints(&cut);
                        cut = self.descend(&cut, &reply);
                        minimiser.at_cut(&cut.zone);
                        continue;
                    }
                    AfterReply::AskMore { is_denied } => {
                        self.store_reply(&part, &cut, &reply);
                        if is_denied {
                            minimiser.refused();
                        }
                        if bounded {
                            context.budget.minimised_in_vain();
                        }
                        continue;
                    }
                    AfterReply::Answer => {
                        let link = self.store_reply(&part, &cut, &reply);
                        let link = link.ok_or_else(|| Failure::new(cut.zone.clone(), Cause::ServersFailed))?;
                        return Ok(Link { zone: Some(cut.zone), server: Some(reply.server), ..link });
                    }
                },
                Err(_) if slist.is_outrun => {
                    cut = self.first_cut(question).await?;
                    minimiser.at_cut(&cut.zone);
                    continue;
                }
                Err(failure) => failure,
            };
            match after_failure(AtFailure {
                cause: &failure.cause,
                minimised,
                is_silent_to_part: slist.is_silent_to_part(),
                may_have_changed: cut.may_have_changed(context.began),
                is_configured: cut.configured,
                is_root: cut.zone.is_root(),
                may_restart: restarts < limits.restarts,
            }) {
                AfterFailure::GiveUp => return Err(failure),
                AfterFailure::AskWhole => minimiser.refused(),
                AfterFailure::AskWholeOfSilent => {
                    minimiser.refused();
                    slist.go_on_whole(failure.faults);
                    begun = Some(Box::new(slist));
                }
                AfterFailure::RememberUnreachable => {
                    let is_fact = failure.own_limit == OwnLimit::No && !context.budget.is_crowded();
                    if is_fact && !self.servers.network().is_offline() {
                        // Every other name of this zone would be asked for in vain as well (RFC 9520 3.1).
                        self.cache().failures().put(&unreachable(&cut.zone), &failure.ede(), limits.failure_kept_least_s, self.now());
                    }
                    return Err(failure);
                }
                AfterFailure::AskParent => {
                    // Servers that failed are not asked again.
                    restarts += 1;
                    zone_cut::forget(self.cache(), &cut.zone);
                    in_vain.extend(slist.asked().map(|address| (cut.zone.clone(), address)));
                    let zone = std::mem::replace(&mut cut, self.first_cut(question).await?).zone;
                    minimiser.at_cut(&cut.zone);
                    context.trace.emit(|| Step::Restart { zone, cause: failure.cause });
                }
                AfterFailure::FallBack => return self.fall_back(question, &cut, failure).await,
            }
        }
        Err(Failure::new(cut.zone, Cause::Spent(Bound::Referrals(limits.referrals))))
    }

    /// A delegation to more servers than any zone needs is not followed, and for a while not asked for again.
    fn refuse_too_many_servers(&self, reply: &ServerReply) -> Result<(), Failure> {
        let limits = self.context.routes.limits;
        let too_large = reply.content.referral.as_ref().filter(|ns| ns.data.len() > limits.ns_names_believed_per_set);
        let Some(ns) = too_large else { return Ok(()) };
        let failure = Failure::new(ns.name.clone(), Cause::Spent(Bound::ServerNames(ns.data.len())));
        self.cache().failures().put(&unreachable(&ns.name), &failure.ede(), limits.failure_kept_least_s, self.now());
        zone_cut::forget(self.cache(), &ns.name);
        Err(failure)
    }

    fn descend(&self, cut: &Cut, reply: &ServerReply) -> Cut {
        let Some(ns) = &reply.content.referral else { return cut.clone() };
        let names_max = self.context.routes.limits.ns_names_kept_per_set;
        let mut deeper = Cut::from_referral(ns, &reply.content.glue, names_max);
        for hint in &reply.content.hints {
            deeper.add_hint(hint);
        }
        deeper.complete(self.cache(), self.now(), names_max, |rtype| self.context.routes.type_enabled(rtype));
        self.context.trace.emit(|| Step::Cut {
            zone: deeper.zone.clone(),
            servers: deeper.servers.len(),
            addresses: deeper.address_count(),
            from_cache: false,
        });
        deeper
    }

    /// A rule with `fallback` whose servers all failed: iterates as if there were no rule.
    async fn fall_back(&self, question: &Question, cut: &Cut, failure: Failure) -> Result<Link, Failure> {
        let rule = self.context.routes.rule_for_question(question).filter(|rule| cut.configured && rule.fallback && rule.zone == cut.zone);
        if rule.is_none() {
            return Err(failure);
        }
        let mut plain = self.context.clone();
        plain.routes = Arc::new(self.context.routes.without_rule(&cut.zone));
        let walk = Walk { context: &plain, ..*self };
        boxed(|| walk.run(question)).await
    }
}

/// The key of a remembered failure: no server of this zone can be reached.
fn unreachable(zone: &Name) -> Question {
    Question::new(zone.clone(), Rtype::DELEGATION)
}

/// Has a shortened question been answered before, with data, an alias or their absence, so that asking it again
/// would show nothing new?
fn is_cached(cache: &Cache, part: &Question, now: BootTime) -> bool {
    let denied = || cache.denials().get(part, now).is_some_and(|denial| denial.kind == DenialKind::NoData);
    let has_set = |rtype| cache.sets().get(&part.name, rtype, now).is_some_and(|cached| cached.rank.may_answer());
    has_set(part.rtype) || has_set(Rtype::CNAME) || denied()
}
