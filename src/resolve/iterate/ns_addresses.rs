//! Finds the addresses of a zone's name servers: glue of the parent zones first, then a look-up in the server's own zone.

use std::net::SocketAddr;

use crate::cache::{FailureKind, Family};
use crate::env::{BoxFuture, boxed};
use crate::limits::servers::NS_LOOK_UP_PATIENCE;
use crate::limits::walk::{SEARCH_ENDED_COST, SEARCH_LOST_COST, SERVER_ALIASES_MAX};
use crate::record::{Name, Question, RrSet, Rtype, Security};
use crate::resolve::context::budget::Bound;
use crate::resolve::context::failure::{Cause, Failure, OwnLimit};
use crate::resolve::context::task::within;
use crate::resolve::context::trace::Purpose;
use crate::resolve::delegation::zone_cut::{Cut, Search, Server, parent_glue};
use crate::resolve::iterate::ns_look_ups::{LookedUp, NsLookUps};
use crate::resolve::iterate::walker::Walk;
use crate::resolve::reply::link::Found;
use crate::resolve::servers::slist::Slist;

/// What is done next to find an address.
enum NextSearch {
    /// The cache has glue of the parent for one more server.
    Found,
    /// One server needs no look-up: it can have no address.
    Skipped,
    /// The addresses of this server are to be looked up.
    LookUp { at: usize, search: Search },
    /// No server is left, or a limit is reached.
    None,
}

impl Walk<'_> {
    /// Looks for the address of one more of the cut's servers. `false`: there is none left to look for.
    ///
    /// While one look-up waits long for silent servers, others begin: seven of eight names may be of no use, and the client
    /// waits. One that needs further look-ups is waited for, or a tree of names (iDNS, 2011) would be walked in all branches.
    pub(in crate::resolve) async fn find_address(&self, cut: &mut Cut, slist: &mut Slist) -> bool {
        let mut look_ups = NsLookUps::default();
        let mut wanted = 1;
        loop {
            while wanted > 0 {
                match self.next_search(cut, slist, look_ups.len()) {
                    NextSearch::None => wanted = 0,
                    NextSearch::Found => {
                        look_ups.abandon(cut, slist);
                        return true;
                    }
                    NextSearch::Skipped if look_ups.is_empty() => return true,
                    NextSearch::Skipped => {}
                    NextSearch::LookUp { at, search } => {
                        wanted -= 1;
                        slist.names_looked_up += 1;
                        let server = &mut cut.servers[at];
                        let before = server.clone();
                        (server.search, server.half_searched) = (Search::Done, false);
                        let has_many = cut.servers.len() > self.context.routes.limits.ns_names_looked_up_per_set;
                        look_ups.begin(at, search, self.look_up_server(before, search, has_many));
                    }
                }
            }
            if look_ups.is_empty() {
                return false;
            }
            wanted = match within(NS_LOOK_UP_PATIENCE, look_ups.next()).await {
                None if self.context.budget.searches_in_flight() > look_ups.len() + usize::from(self.context.depth) => 0,
                None => look_ups.len(),
                Some((at, looked_up)) => {
                    if self.take_addresses(cut, slist, at, looked_up) || look_ups.is_empty() {
                        look_ups.abandon(cut, slist);
                        return true;
                    }
                    1
                }
            };
        }
    }

    /// The server whose address is looked for next, after what is known of it was used.
    fn next_search(&self, cut: &mut Cut, slist: &mut Slist, in_flight: usize) -> NextSearch {
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
            return NextSearch::None;
        };
        let waiting: Vec<usize> = (0..cut.servers.len()).filter(|&at| wants_more(&cut.servers[at], search)).collect();
        // A further address of a server that did not answer is worth less than the first one of another server.
        let unknown: Vec<usize> = waiting.iter().copied().filter(|&at| is_out_of_reach(&cut.servers[at])).collect();
        let waiting = if unknown.is_empty() { waiting } else { unknown };
        let waiting = match self.is_limited(cut, slist, in_flight) {
            false => waiting,
            // What the cache says of a name costs nothing.
            true => waiting.into_iter().filter(|&at| cut.servers[at].name.as_ref().is_some_and(|name| self.has_no_address(name))).collect(),
        };
        if waiting.is_empty() {
            if in_flight == 0 {
                self.note_limit(slist);
            }
            return NextSearch::None;
        }
        let at = waiting[self.servers.network().random().below(waiting.len())];
        let needs_the_cut = cut.servers[at].name.as_ref().is_some_and(|name| self.needs_the_cut(name, cut));
        let server = &mut cut.servers[at];
        let Some(name) = server.name.clone() else {
            (server.search, server.half_searched) = (Search::Done, false);
            return NextSearch::Skipped;
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
                return NextSearch::Found;
            }
        }
        // A server whose own name lies below the cut can only be found through the servers of the cut.
        if needs_the_cut && !slist.has_reply || self.has_no_address(&name) {
            (server.search, server.half_searched) = (Search::Done, false);
            return NextSearch::Skipped;
        }
        NextSearch::LookUp { at, search }
    }

    /// Can the name be found through the servers of the cut alone?
    fn needs_the_cut(&self, name: &Name, cut: &Cut) -> bool {
        match cut.configured {
            false => name.is_within(&cut.zone),
            true => self.context.routes.nearest_rule(name).is_some_and(|rule| rule.zone == cut.zone),
        }
    }

    /// Looks up addresses of one server, one family after the other until there is one that is new. `has_many`: the zone has many
    /// other servers, so that silence to the first question is enough.
    fn look_up_server(&self, server: Server, search: Search, has_many: bool) -> BoxFuture<'_, LookedUp> {
        let in_flight = self.context.budget.search();
        boxed(|| async move {
            let _in_flight = in_flight;
            let mut types = [Rtype::A, Rtype::AAAA].map(|rtype| (rtype, self.context.routes.type_enabled(rtype)));
            if !self.servers.network().can_count_on(Family::V4) {
                types.reverse();
            }
            let mut looked_up = LookedUp::default();
            let Some(name) = &server.name else { return looked_up };
            for (rtype, _) in types.iter().filter(|(_, enabled)| *enabled) {
                match self.server_address(&Question::new(name.clone(), *rtype), search == Search::None).await {
                    Ok((sets, _)) if !sets.iter().any(|set| server.lacks(set)) => {}
                    Ok((sets, from_parent)) => {
                        (looked_up.sets, looked_up.from_parent) = (sets, from_parent);
                        looked_up.is_half = *rtype == types[0].0 && types[1].1;
                        break;
                    }
                    Err(failure) => {
                        let is_silent = failure.cause == Cause::NoReachableAuthority;
                        looked_up.failures.push(failure);
                        if is_silent && has_many {
                            break;
                        }
                    }
                }
            }
            looked_up
        })
    }

    /// Uses what a look-up found, and pays for it if that is nothing. `true`: an address was found.
    fn take_addresses(&self, cut: &mut Cut, slist: &mut Slist, at: usize, looked_up: LookedUp) -> bool {
        let before = cut.address_count();
        looked_up.sets.iter().for_each(|set| cut.add_set(set));
        if cut.address_count() > before {
            if looked_up.from_parent {
                cut.servers[at].search = Search::Parent;
            }
            cut.servers[at].half_searched = looked_up.is_half;
            return true;
        }
        looked_up.failures.iter().for_each(|failure| slist.on_failed_look_up(failure));
        // A denial, or a zone whose servers are silent, leads to no further look-ups.
        let is_end = |failure: &Failure| {
            matches!(failure.cause, Cause::NoReachableAuthority | Cause::FamilyMissing { .. })
                || failure.own_limit == OwnLimit::No && failure.cause != Cause::Cycle
        };
        if cut.servers[at].addresses.is_empty() && looked_up.failures.iter().all(is_end) {
            slist.names_without_address += 1;
            self.context.budget.searched_in_vain(SEARCH_ENDED_COST);
        } else {
            self.context.budget.searched_in_vain(SEARCH_LOST_COST);
        }
        false
    }

    /// Names without address do not count in an NS set of usual size: the only one with an address may be the last.
    fn is_limited(&self, cut: &Cut, slist: &Slist, in_flight: usize) -> bool {
        let (limits, budget) = (self.context.routes.limits, &self.context.budget);
        let uncounted = if cut.servers.len() > limits.ns_names_of_usual_set { 0 } else { slist.names_without_address + in_flight };
        slist.names_looked_up.saturating_sub(uncounted) >= limits.ns_names_looked_up_per_set
            || !budget.may_search(in_flight)
            || usize::from(self.context.depth) >= limits.glueless_depth
    }

    /// Names are left that were not looked up, because of a limit.
    fn note_limit(&self, slist: &mut Slist) {
        let (limits, budget) = (self.context.routes.limits, &self.context.budget);
        if usize::from(self.context.depth) >= limits.glueless_depth {
            budget.too_deep();
            slist.limit(Some(Bound::Depth(limits.glueless_depth)), OwnLimit::Lasting);
        } else if !budget.may_search(0) {
            slist.limit(Some(Bound::AddressSearches(budget.searches_in_vain())), OwnLimit::Lasting);
        } else {
            slist.skipped_names = true;
        }
    }

    /// Is it known, without asking, that this name has no address of a family in use? A bogus denial, and a look-up that a
    /// client gave up, do not count.
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
            let Some(name) = server.name.as_ref().filter(|_| server.tls.is_none()) else { continue };
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
