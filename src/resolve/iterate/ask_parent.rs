//! Asks the parent for addresses that its referral lacks: some servers refer to a zone without the glue that is needed, and
//! answer when they are asked for the address. For servers that are named in their own zone this is the last source.

use crate::env::{BoxFuture, boxed};
use crate::limits::walk::{SEARCH_ENDED_COST, SEARCH_LOST_COST};
use crate::record::{Name, Question, Rank, RrSet, Rtype};
use crate::resolve::context::budget::Bound;
use crate::resolve::context::failure::{Cause, Failure, OwnLimit};
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
            let is_within = |name: &&Name| name.is_within(&cut.zone);
            let names: Vec<Name> = cut.servers.iter().filter_map(|server| server.name.as_ref()).filter(is_within).cloned().collect();
            // In an NS set of usual size the only name with an address may be the last. Of a larger one each question asks for a
            // few, and passes over those that the last ones have asked for.
            let is_usual = cut.servers.len() <= limits.ns_names_of_usual_set;
            let most = if is_usual { names.len() } else { limits.ns_names_looked_up_per_set };
            if names.is_empty() || !self.context.budget.may_search(0) {
                return false;
            }
            // The parent answers for DS: the walk for it begins above the zone.
            let Ok(mut above) = self.first_cut(&Question::new(cut.zone.clone(), Rtype::DS)).await else { return false };
            if above.configured || !cut.zone.is_below(&above.zone) {
                return false;
            }
            for (asked, name) in names.iter().filter(|name| !self.was_asked_of_parent(name)).enumerate() {
                if asked >= most || !self.context.budget.may_search(0) {
                    slist.limit(Some(Bound::AddressSearches(asked)), OwnLimit::Passing);
                    break;
                }
                match self.addresses_by_parent(&mut above, name, cut, slist).await {
                    Ok(true) => return true,
                    Ok(false) => {
                        self.note_asked_of_parent(name);
                        self.context.budget.searched_in_vain(SEARCH_ENDED_COST);
                    }
                    Err(failure) => {
                        slist.on_failed_look_up(&failure);
                        self.context.budget.searched_in_vain(SEARCH_LOST_COST);
                        break;
                    }
                }
            }
            false
        })
    }

    /// Asks for the addresses of one server, one family after the other until there is one. Where the parent refers again, it
    /// would do so for the other family too.
    async fn addresses_by_parent(&self, above: &mut Cut, name: &Name, cut: &mut Cut, slist: &mut Slist) -> Result<bool, Failure> {
        let types = [Rtype::A, Rtype::AAAA].into_iter().filter(|rtype| self.context.routes.type_enabled(*rtype));
        for rtype in types {
            let Some(sets) = self.address_by_parent(above, &Question::new(name.clone(), rtype), slist).await? else { break };
            let before = cut.address_count();
            sets.iter().for_each(|set| cut.add_set(set));
            if cut.address_count() > before {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Has the parent been asked for this name a moment ago, in vain?
    fn was_asked_of_parent(&self, name: &Name) -> bool {
        self.cache().failures().get(&asked_of_parent(name), self.now()).is_some()
    }

    fn note_asked_of_parent(&self, name: &Name) {
        let ede = Failure::new(name.clone(), Cause::NoServerAddress).ede();
        self.cache().failures().put(&asked_of_parent(name), &ede, self.context.routes.limits.failure_kept_least_s, self.now());
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
                // The parent may know the address as well, where the alias leads into the zone whose servers have none yet.
                let is_targets = |set: &&RrSet| set.name == target && set.rtype == question.rtype;
                let mut sets: Vec<RrSet> = reply.content.alias_tail.iter().filter(is_targets).cloned().collect();
                if !sets.is_empty() {
                    sets.iter_mut().for_each(|set| set.name = question.name.clone());
                    return Ok(Some(sets));
                }
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

/// The key under which it is remembered that the parent has no address for this name of a server. Nobody asks for type OPT: the
/// name may have an address in the child, and may be the zone's own.
fn asked_of_parent(name: &Name) -> Question {
    const OPT: Rtype = Rtype(41);
    Question::new(name.clone(), OPT)
}
