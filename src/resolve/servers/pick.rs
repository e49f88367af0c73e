//! Picks the next address of a zone's servers to ask: gathers the measurements of each for `choose`.

use std::net::SocketAddr;
use std::time::Duration;

use smallvec::SmallVec;

use crate::cache::{EdnsState, Family, FamilyStanding, Standing, Usable};
use crate::env::WallTime;
use crate::limits::servers::TRIES_PER_ADDRESS_MAX;
use crate::record::Rtype;
use crate::resolve::context::context::Context;
use crate::resolve::delegation::zone_cut::{Cut, Server};
use crate::resolve::servers::choose::{Candidate, Order, choose};
use crate::resolve::servers::plan::Picked;
use crate::resolve::servers::servers::Servers;
use crate::resolve::servers::slist::Slist;
use crate::upstream::may_ask;

/// A server that has replied within this time is taken to be unchanged.
const STALE_AFTER: Duration = Duration::from_secs(30);

impl Servers {
    /// The next address to ask, of any family or of one only, with the reason. A forwarder whose reply was rejected is asked
    /// once more where no other is left: it may have left out a record while it filled its own cache.
    pub(in crate::resolve) fn pick(&self, cut: &Cut, slist: &Slist, context: &Context, only: Option<Family>) -> Option<Picked> {
        let is_asked_again = cut.forward && only.is_none() && !context.avoid.is_empty();
        self.pick_rejected(cut, slist, context, only, 0)
            .or_else(|| if is_asked_again { self.pick_rejected(cut, slist, context, only, 1) } else { None })
    }

    /// The same, of the addresses whose replies were rejected `rejected_max` times at most.
    fn pick_rejected(&self, cut: &Cut, slist: &Slist, context: &Context, only: Option<Family>, rejected_max: usize) -> Option<Picked> {
        let now = self.now();
        let families = self.cache().servers().families();
        let standing_of = |address: &SocketAddr| families.standing(Family::of(address.ip()), now);
        let is_cut_off = |address: &SocketAddr| standing_of(address) == FamilyStanding::Broken;
        let own = context.local.own_addresses();
        let nat64 = self.network().translator(&context.routes).map(|translator| translator.prefix);
        let most = context.routes.limits.addresses_per_ns;
        let mut addresses: SmallVec<[SocketAddr; 16]> = SmallVec::new();
        for server in &cut.servers {
            let silence = slist.silence_of(server);
            if silence > 0 && silence >= self.silence_allowed(server, slist, context) {
                continue;
            }
            let is_usable = |address: &&SocketAddr| {
                context.routes.family_enabled(address.ip())
                    && only.is_none_or(|only| Family::of(address.ip()) == only)
                    && context.avoid.iter().filter(|avoided| avoided == address).count() <= rejected_max
                    && (cut.configured || may_ask(**address, context.routes.recursion.query_loopback, &own, nat64).is_ok())
            };
            let of_family = |cut_off: bool| server.addresses.iter().filter(move |address| is_cut_off(address) == cut_off);
            for address in of_family(false).chain(of_family(true)).filter(is_usable).take(most) {
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
        }
        let servers = self.cache().servers();
        // Filled where they are: as a result they would be copied.
        let mut standings: SmallVec<[Standing; 16]> = SmallVec::new();
        let mut candidates: SmallVec<[Candidate; 16]> = SmallVec::new();
        for address in &addresses {
            let (standing, tried) = (servers.standing(address.ip(), &cut.zone, now), slist.get(*address));
            candidates.push(Candidate {
                tries: tried.count,
                rtt_ms: standing.rtt.map(|rtt| rtt.as_millis() as u32),
                replies: standing.replies,
                stale: standing.replies > 0 && now.since(standing.last_reply) >= STALE_AFTER,
                unfit: standing.usable != Usable::Yes || standing_of(address) == FamilyStanding::Doubtful,
                cut_off: is_cut_off(address),
                spent: tried.spent,
            });
            standings.push(standing);
        }
        // The network may be slow and not dead: while no server has replied, the same servers are asked again for a while.
        let early = !slist.has_reply
            && (1..slist.silent_max()).contains(&slist.asked)
            && context.began.elapsed() < Duration::from_millis(context.routes.limits.give_up_earliest_ms);
        let early_tries = (slist.silent_max() / candidates.len().max(1)).max(2 * usize::from(TRIES_PER_ADDRESS_MAX));
        let tries = if early { early_tries as u8 } else { TRIES_PER_ADDRESS_MAX };
        let order = match (cut.configured, context.purpose.is_awaited()) {
            (true, _) => Order::Configured,
            (_, true) => Order::Quick,
            (_, false) => Order::Curious,
        };
        let (at, why) = choose(&candidates, order, cut.zone.label_count() <= 1, tries, |bound| self.network().random().below(bound))?;
        let hopeful = candidates[at].tries == 0 && !candidates[at].unfit && !candidates[at].cut_off;
        Some(Picked { address: addresses[at], why, standing: standings[at], hopeful })
    }

    /// Queries without reply after which a name server is not asked again for this question. A server that has just
    /// replied to other questions is up: the packets were lost.
    fn silence_allowed(&self, server: &Server, slist: &Slist, context: &Context) -> u8 {
        let (servers, now) = (self.cache().servers(), self.now());
        let is_there = |address: &SocketAddr| servers.was_heard_lately(address.ip(), now);
        let limit = context.routes.limits.silent_queries_per_ns;
        if server.addresses.iter().any(is_there) { limit.max(slist.silent_max() as u8) } else { limit }
    }

    /// Whether no server is asked any more if the next query has no reply either.
    pub(in crate::resolve) fn is_last_query(&self, cut: &Cut, slist: &Slist, context: &Context) -> bool {
        let is_first_of_several = slist.silent == 0 && context.routes.limits.silent_queries_per_ns > 1;
        !slist.has_reply && !is_first_of_several && self.silence_left(cut, slist, context) <= 1
    }

    /// How many more queries without reply it takes until no server is asked any more.
    fn silence_left(&self, cut: &Cut, slist: &Slist, context: &Context) -> usize {
        let of_server =
            |server: &Server| usize::from(self.silence_allowed(server, slist, context).saturating_sub(slist.silence_of(server)));
        let of_servers = cut.servers.iter().filter(|server| !server.addresses.is_empty()).map(of_server).sum();
        slist.silent_max().saturating_sub(slist.silent).min(of_servers)
    }
}

impl Servers {
    /// Is the zone signed, as far as its parent has said, and is that to be proved?
    pub(in crate::resolve) fn needs_edns(&self, cut: &Cut, context: &Context) -> bool {
        let routes = &context.routes;
        // A negative trust anchor that has ended counts as well: the server is then asked as if the zone were not signed.
        let is_proved = || routes.anchored(&cut.zone).is_some() && routes.turned_off(&cut.zone, WallTime(0)).is_none();
        !cut.configured
            && routes.recursion.dnssec
            && is_proved()
            && self.cache().sets().get(&cut.zone, Rtype::DS, self.now()).is_some_and(|ds| !ds.set.data.is_empty())
    }
}

/// EDNS is used unless the server has shown that it needs plain DNS.
pub(in crate::resolve) fn with_edns(address: SocketAddr, standing: &Standing, slist: &Slist) -> bool {
    !slist.get(address).plain && !matches!(standing.edns, EdnsState::BrokenUntil(_))
}
