//! Finds the addresses of a zone's name servers: glue of the parent zones first, then a look-up in the server's own zone.

use std::net::SocketAddr;

use crate::cache::{FailureKind, Family};
use crate::limits::walk::SERVER_ALIASES_MAX;
use crate::record::{Name, Question, RrSet, Rtype, Security};
use crate::resolve::context::budget::Bound;
use crate::resolve::context::failure::{Cause, Failure, OwnLimit};
use crate::resolve::context::trace::Purpose;
use crate::resolve::delegation::zone_cut::{Cut, Search, Server, parent_glue};
use crate::resolve::iterate::walker::Walk;
use crate::resolve::reply::link::Found;
use crate::resolve::servers::slist::Slist;

impl Walk<'_> {
    /// Looks for the address of one more of the cut's servers. `false`: there is none left to look for.
    pub(in crate::resolve) async fn find_address(&self, cut: &mut Cut, slist: &mut Slist) -> bool {
        let limits = self.context.routes.limits;
        // A server with as many addresses as are tried needs no more.
        let is_of_use =
            |address: &SocketAddr| self.servers.network().can_count_on(Family::of(address.ip())) && slist.get(*address).silent == 0;
        let is_out_of_reach = |server: &Server| !server.addresses.iter().any(is_of_use);
        let wants_more = |server: &Server, search| match search {
            Search::Done => server.half_searched && is_out_of_reach(server),
            _ => server.search == search && server.addresses.len() < limits.addresses_per_ns,
        };
        // Glue of the parent costs no walk, or a shorter one; the server's own zone is asked only where the glue leads
        // nowhere.
        let searches = [Search::None, Search::Parent, Search::Done];
        let Some(search) = searches.into_iter().find(|search| cut.servers.iter().any(|server| wants_more(server, *search))) else {
            return false;
        };
        let waiting: Vec<usize> = (0..cut.servers.len()).filter(|&at| wants_more(&cut.servers[at], search)).collect();
        // A further address of a server that did not answer is worth less than the first one of another server.
        let unknown: Vec<usize> = waiting.iter().copied().filter(|&at| is_out_of_reach(&cut.servers[at])).collect();
        let waiting = if unknown.is_empty() { waiting } else { unknown };
        let waiting = match self.is_limited(slist) {
            false => waiting,
            // What the cache says of a name costs nothing.
            true => waiting.into_iter().filter(|&at| cut.servers[at].name.as_ref().is_some_and(|name| self.has_no_address(name))).collect(),
        };
        if waiting.is_empty() {
            self.note_limit(slist);
            return false;
        }
        let at = waiting[self.servers.network().random().below(waiting.len())];
        let server = &mut cut.servers[at];
        let Some(name) = server.name.clone() else {
            (server.search, server.half_searched) = (Search::Done, false);
            return true;
        };
        if search == Search::None {
            server.search = Search::Parent;
            let known = parent_glue(self.cache(), &name, self.now());
            let before = server.addresses.len();
            for address in known {
                if self.context.routes.family_enabled(address.ip()) && !server.addresses.contains(&address) {
                    server.addresses.push(address);
                }
            }
            if server.addresses.len() > before {
                return true;
            }
        }
        // A server whose own name lies below the cut can only be found through the servers of the cut.
        if name.is_within(&cut.zone) && !slist.has_reply {
            (cut.servers[at].search, cut.servers[at].half_searched) = (Search::Done, false);
            return true;
        }
        (cut.servers[at].search, cut.servers[at].half_searched) = (Search::Done, false);
        if self.has_no_address(&name) {
            return true;
        }
        slist.names_looked_up += 1;
        let before_all = cut.address_count();
        let mut types = [(Rtype::A, self.context.routes.recursion.ipv4), (Rtype::AAAA, self.context.routes.recursion.ipv6)];
        if !self.servers.network().can_count_on(Family::V4) {
            types.reverse();
        }
        for (rtype, enabled) in types {
            if enabled == Some(false) {
                continue;
            }
            let before = cut.address_count();
            let from_parent = match self.server_address(&Question::new(name.clone(), rtype), search == Search::None).await {
                Ok((sets, from_parent)) => {
                    sets.iter().for_each(|set| cut.add_set(set));
                    from_parent
                }
                Err(failure) => {
                    slist.circled |= failure.cause == Cause::Cycle;
                    if failure.own_limit != OwnLimit::No {
                        let bound = if let Cause::Spent(bound) = failure.cause { Some(bound) } else { None };
                        slist.limit(bound, failure.own_limit);
                    }
                    false
                }
            };
            if cut.address_count() > before {
                if from_parent {
                    cut.servers[at].search = Search::Parent;
                }
                cut.servers[at].half_searched = rtype == types[0].0 && types[1].1 != Some(false);
                break;
            }
        }
        if cut.address_count() == before_all {
            self.context.budget.searched_in_vain();
        }
        true
    }

    fn is_limited(&self, slist: &Slist) -> bool {
        let limits = self.context.routes.limits;
        slist.names_looked_up >= limits.ns_names_looked_up_per_set
            || !self.context.budget.may_search()
            || usize::from(self.context.depth) >= limits.glueless_depth
    }

    /// Names are left that were not looked up, because of a limit.
    fn note_limit(&self, slist: &mut Slist) {
        let (limits, budget) = (self.context.routes.limits, &self.context.budget);
        if usize::from(self.context.depth) >= limits.glueless_depth {
            budget.too_deep();
            slist.limit(Some(Bound::Depth(limits.glueless_depth)), OwnLimit::Lasting);
        } else if !budget.may_search() {
            let searches = limits.searches_in_vain_per_question as usize;
            slist.limit(Some(Bound::AddressSearches(searches)), OwnLimit::Lasting);
        } else {
            slist.skipped_names = true;
        }
    }

    /// Is it known, without asking, that this name has no address of a family in use? That what was said of it did not
    /// validate for a client, or that a client gave up, is no such knowledge.
    fn has_no_address(&self, name: &Name) -> bool {
        let (cache, now) = (self.cache(), self.now());
        [Rtype::A, Rtype::AAAA].into_iter().filter(|rtype| self.context.routes.type_enabled(*rtype)).all(|rtype| {
            let question = Question::new(name.clone(), rtype);
            let is_denied = || cache.denials().get(&question, now).is_some_and(|denied| denied.security != Security::Bogus);
            let has_failed = || cache.failures().get(&question, now).is_some_and(|failed| failed.kind == FailureKind::LookUp);
            is_denied() || has_failed()
        })
    }

    /// Where names were skipped: the next question skips those that were looked up now, if the cache has their denials.
    pub(in crate::resolve) fn next_gets_further(&self, cut: &Cut, slist: &Slist) -> OwnLimit {
        let names = cut.servers.iter().filter_map(|server| server.name.as_ref());
        let known = names.filter(|name| self.has_no_address(name)).count();
        if known >= slist.names_looked_up { OwnLimit::Passing } else { OwnLimit::Lasting }
    }

    /// Adds the glue that the zones above have for servers outside this zone. `false`: there is none that is new.
    pub(in crate::resolve) fn use_parent_glue(&self, cut: &mut Cut) -> bool {
        let now = self.now();
        let mut found = false;
        for server in &mut cut.servers {
            let Some(name) = &server.name else { continue };
            for address in parent_glue(self.cache(), name, now) {
                if !server.addresses.contains(&address) {
                    server.addresses.push(address);
                    found = true;
                }
            }
        }
        found
    }

    /// Addresses of a name server: from this server's own local data, or by a walk, which may end with the parent's glue
    /// (then the second value is true). The name should be no alias (RFC 2181 10.3). Where it is one all the same, a few
    /// aliases are followed, each paid like any other look-up.
    pub(in crate::resolve) async fn server_address(&self, question: &Question, glue_will_do: bool) -> Result<(Vec<RrSet>, bool), Failure> {
        let mut child = self.context.child(Purpose::ServerAddress);
        child.glue_will_do = glue_will_do;
        let mut here = question.clone();
        for _ in 0..=SERVER_ALIASES_MAX {
            let (mut sets, is_glue) = match self.context.local.find(&here) {
                // Local names are never asked for outside, wherever an alias leads.
                Some(held) => {
                    let answers = held.answers.into_iter();
                    (answers.filter(|set| set.name == here.name && set.rtype == here.rtype).collect::<Vec<_>>(), false)
                }
                None => {
                    let link = self.sub_query.look_up(&here, &child).await?;
                    if let Found::Alias { target, .. } = link.found {
                        here.name = target;
                        continue;
                    }
                    (link.sets_of(&here), link.is_glue)
                }
            };
            for set in &mut sets {
                set.name = question.name.clone();
            }
            return Ok((sets, is_glue));
        }
        Ok((Vec::new(), false))
    }
}
