//! Asks the servers of one zone one question until one of them gives a useful reply, or until more queries would only
//! cost: every address tried twice (more often in the first two seconds, while no server has replied), too many useless
//! replies, or the budget spent.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::cache::Family;
use crate::env::boxed;
use crate::limits::servers::SILENT_ROOT_MAX;
use crate::limits::walk::WALK_ROUNDS_MAX;
use crate::record::Question;
use crate::resolve::context::budget::Bound;
use crate::resolve::context::failure::{Cause, Failure, FaultKind};
use crate::resolve::context::trace::Choice;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::iterate::next_step::{Exhausted, NextStep, Situation, next_step};
use crate::resolve::iterate::walker::Walk;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::servers::pick::with_edns;
use crate::resolve::servers::plan::{Picked, Plan};
use crate::resolve::servers::slist::Slist;

impl Walk<'_> {
    /// The first useful reply of the zone's servers, or why there is none. `slist` carries what was tried from call to call.
    pub(in crate::resolve) async fn ask_zone(
        &self,
        cut: &mut Cut,
        question: &Question,
        minimised: bool,
        slist: &mut Slist,
    ) -> Result<Box<ServerReply>, Failure> {
        match self.ask_servers(cut, question, minimised, slist).await {
            Err(Failure { cause: Cause::FamilyMissing { family: Family::V4, is_off: false }, .. })
                if boxed(|| self.servers.network().find_translator(self.context)).await =>
            {
                // Now there is a way to the same servers.
                slist.reach_all_again();
                self.ask_servers(cut, question, minimised, slist).await
            }
            result => result,
        }
    }

    async fn ask_servers(
        &self,
        cut: &mut Cut,
        question: &Question,
        minimised: bool,
        slist: &mut Slist,
    ) -> Result<Box<ServerReply>, Failure> {
        if let Some(reply) = self.local_root_reply(cut, question) {
            return Ok(reply);
        }
        let context = self.context;
        let question = Rc::new(question.clone());
        let needs_edns = self.servers.needs_edns(cut, context);
        let plan = |Picked { address, why, standing, .. }: Picked, cut: &Cut, slist: &Slist| {
            let with_edns = needs_edns || with_edns(address, &standing, slist);
            Plan { needs_edns, ..Plan::new(question.clone(), minimised, address, why, standing, cut.forward, with_edns) }
        };
        for _ in 0..WALK_ROUNDS_MAX {
            let is_enough = slist.is_enough(context.routes.limits.tries_per_cut);
            let picked = if is_enough { None } else { self.servers.pick(cut, slist, context, None) };
            match self.perform_next_step(cut, picked, is_enough, slist).await {
                (NextStep::Ask, Some(picked)) => {
                    let plan = plan(picked, cut, slist);
                    if let Some(reply) = self.servers.ask_one(cut, plan, slist, context).await? {
                        return Ok(reply);
                    }
                    if slist.is_outrun {
                        break;
                    }
                }
                (NextStep::Ask | NextStep::Exhausted, _) => break,
                (NextStep::FindAddress | NextStep::UseHints | NextStep::UseLastSources, _) => {}
            }
        }
        if let Some(reply) = slist.empty_reply.take().filter(|_| slist.empty > 0 || self.all_have_replied(cut, slist)) {
            return Ok(reply);
        }
        if let Some(address) = slist.recursive.take() {
            let standing = self.cache().servers().standing(address.ip(), &cut.zone, self.now());
            let plan = Plan::new(question, minimised, address, Choice::LastResort, standing, true, true);
            if let Some(reply) = self.servers.ask_one(cut, plan, slist, context).await? {
                return Ok(reply);
            }
        }
        if cut.address_count() == 0 && slist.skipped_names {
            slist.limit(Some(Bound::AddressSearches(slist.names_looked_up)), self.next_gets_further(cut, slist));
        }
        let cause = match (cut.address_count(), slist.has_reply) {
            // The walk that began the circle may find another way: for the walks inside it nothing is certain.
            (0, _) if slist.circled && context.depth > 0 => Cause::Cycle,
            (0, _) => slist.bound.map_or_else(|| self.missing_family(cut).unwrap_or(Cause::NoServerAddress), Cause::Spent),
            (_, false) if slist.lost_socket => Cause::NoSocket,
            (_, true) => Cause::ServersFailed,
            (_, false) => self.missing_family(cut).unwrap_or(Cause::NoReachableAuthority),
        };
        Err(Failure {
            faults: std::mem::take(&mut slist.faults).into(),
            own_limit: slist.own_limit,
            ..Failure::new(cut.zone.clone(), cause)
        })
    }

    /// Do all servers have addresses of one family alone, for which this machine has no route, although it has one for others?
    fn missing_family(&self, cut: &Cut) -> Option<Cause> {
        let (network, routes) = (self.servers.network(), &self.context.routes);
        if network.is_offline() {
            return None;
        }
        let all = cut.servers.iter().flat_map(|server| server.addresses.iter().chain(&server.hints));
        let families = |address: &SocketAddr| Family::of(address.ip());
        let first = all.clone().next()?;
        let (family, is_off) = (families(first), !routes.family_enabled(first.ip()));
        let is_missing = all.clone().all(|address| families(address) == family && (is_off || !network.has_route(*address, routes)));
        is_missing.then_some(Cause::FamilyMissing { family, is_off })
    }

    /// Decides the next step and adds addresses where that is the step; asking is left to the caller. A source that has
    /// nothing new is passed over.
    async fn perform_next_step(
        &self,
        cut: &mut Cut,
        picked: Option<Picked>,
        is_enough: bool,
        slist: &mut Slist,
    ) -> (NextStep, Option<Picked>) {
        let routes = &self.context.routes;
        let is_hopeful = picked.is_some_and(|picked| picked.hopeful);
        let root_fails = cut.zone.is_root() && !cut.configured && (!is_hopeful || slist.silent >= SILENT_ROOT_MAX);
        let mut exhausted = Exhausted::default();
        loop {
            let step = next_step(Situation { is_enough, has_server: picked.is_some(), is_hopeful, root_fails, exhausted });
            let is_done = match step {
                NextStep::Ask | NextStep::Exhausted => true,
                NextStep::FindAddress => self.find_address(cut, slist).await,
                NextStep::UseHints => cut.use_root_hints(&routes.hints),
                NextStep::UseLastSources => {
                    let names_max = routes.limits.ns_names_kept_per_set;
                    cut.use_hints()
                        || self.use_parent_glue(cut)
                        || cut.use_child_ns(self.cache(), self.now(), names_max)
                        || !is_enough && self.ask_parent(cut, slist).await
                }
            };
            match step {
                _ if is_done => return (step, picked),
                NextStep::FindAddress => exhausted.searches = true,
                NextStep::UseHints => exhausted.root_hints = true,
                NextStep::UseLastSources | NextStep::Ask | NextStep::Exhausted => exhausted.last_sources = true,
            }
        }
    }

    /// Has every server that the zone may have replied, so that an empty reply without AA may count? Servers that a zone has
    /// left know nothing of it: where the delegation may have changed, the parent is asked first.
    fn all_have_replied(&self, cut: &Cut, slist: &Slist) -> bool {
        let all_heard = slist.faults.iter().all(|fault| matches!(fault.kind, FaultKind::Lame | FaultKind::Rcode(_) | FaultKind::Malformed));
        let all_found = cut.servers.iter().all(|server| !server.addresses.is_empty());
        all_heard && all_found && !slist.ruled_out && !cut.may_have_changed(self.context.began)
    }
}
