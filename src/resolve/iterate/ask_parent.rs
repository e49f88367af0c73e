//! Asks the parent for addresses that its referral lacks: some servers refer to a zone without the glue that is needed, and
//! answer when they are asked for the address. For servers that are named in their own zone this is the last source.

use crate::env::{BoxFuture, boxed};
use crate::limits::walk::SEARCH_LOST_COST;
use crate::record::{Question, Rank, RrSet, Rtype};
use crate::resolve::context::failure::Failure;
use crate::resolve::context::trace::Purpose;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::iterate::walker::Walk;
use crate::resolve::reply::classify::Kind;
use crate::resolve::servers::slist::Slist;

impl Walk<'_> {
    /// Asks the servers of the zone above for the addresses of servers named in this zone, where none of its servers has an
    /// address; once for each question. `false`: no address was found.
    pub(in crate::resolve) fn ask_parent<'a>(&'a self, cut: &'a mut Cut, slist: &'a mut Slist) -> BoxFuture<'a, bool> {
        boxed(|| async move {
            let is_usable = |cut: &Cut| {
                let mut addresses = cut.servers.iter().flat_map(|server| &server.addresses);
                addresses.any(|address| self.context.routes.family_enabled(address.ip()))
            };
            if slist.parent_asked || cut.configured || cut.zone.is_root() || is_usable(cut) {
                return false;
            }
            slist.parent_asked = true;
            let limits = self.context.routes.limits;
            let names = cut.servers.iter().filter_map(|server| server.name.as_ref()).filter(|name| name.is_within(&cut.zone));
            let types = [Rtype::A, Rtype::AAAA].into_iter().filter(|rtype| self.context.routes.type_enabled(*rtype));
            let questions = names.flat_map(|name| types.clone().map(|rtype| Question::new(name.clone(), rtype)));
            let questions: Vec<Question> = questions.take(limits.ns_names_looked_up_per_set).collect();
            if questions.is_empty() || !self.context.budget.may_search(0) {
                return false;
            }
            // The parent answers for DS: the walk for it begins above the zone.
            let Ok(mut above) = self.first_cut(&Question::new(cut.zone.clone(), Rtype::DS)).await else { return false };
            if above.configured || !cut.zone.is_below(&above.zone) {
                return false;
            }
            for question in questions {
                match self.address_by_parent(&mut above, &question, slist).await {
                    Ok(Some(sets)) => sets.iter().for_each(|set| cut.add_set(set)),
                    // It refers again: it would do so for the others too.
                    Ok(None) => break,
                    Err(failure) => {
                        slist.on_failed_look_up(&failure);
                        break;
                    }
                }
                if is_usable(cut) {
                    return true;
                }
            }
            self.context.budget.searched_in_vain(SEARCH_LOST_COST);
            false
        })
    }

    /// What the servers of `above` answer to a question for the address of a server below. `None`: they do not answer it.
    async fn address_by_parent(&self, above: &mut Cut, question: &Question, slist: &mut Slist) -> Result<Option<Vec<RrSet>>, Failure> {
        let child = self.context.child(Purpose::ServerAddress);
        let mut tried = Slist::default();
        tried.parent_asked = true;
        let reply = Walk { context: &child, ..*self }.ask_zone(above, question, false, &mut tried).await?;
        let is_wanted = |set: &&RrSet| set.name == question.name && set.rtype == question.rtype;
        let sets: Vec<RrSet> = match reply.kind {
            Kind::Answer => reply.content.answer.iter().filter(is_wanted).cloned().collect(),
            Kind::Referral => {
                let glue: Vec<RrSet> = reply.content.glue.iter().filter(is_wanted).cloned().collect();
                if glue.is_empty() {
                    return Ok(None);
                }
                glue
            }
            Kind::Alias => {
                let alias = reply.content.answer.iter().find(|set| set.name == question.name && set.rtype == Rtype::CNAME);
                let Some(target) = alias.and_then(RrSet::target) else { return Ok(None) };
                slist.names_looked_up += 1;
                let (mut sets, _) = self.server_address(&Question::new(target, question.rtype), false).await?;
                sets.iter_mut().for_each(|set| set.name = question.name.clone());
                return Ok(Some(sets));
            }
            Kind::NoData => Vec::new(),
            Kind::NxDomain | Kind::Empty | Kind::Lame | Kind::RecursionLame | Kind::Refused | Kind::ServFail => return Ok(None),
            Kind::NeedsPlainDns | Kind::NewCookie | Kind::Broken => return Ok(None),
        };
        sets.iter().for_each(|set| self.store_set(set, Rank::Glue));
        Ok(Some(sets))
    }
}
