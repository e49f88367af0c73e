//! A second server asked while the first one is still waited for: because that one is slow, because it is not yet known
//! which address family works, or to test a family that did not work.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cache::Family;
use crate::limits::upstream::TLS_STAGGER;
use crate::metrics::Counter;
use crate::resolve::context::context::Context;
use crate::resolve::context::task::in_background;
use crate::resolve::context::trace::Choice;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::servers::in_flight::Asking;
use crate::resolve::servers::pick::with_edns;
use crate::resolve::servers::plan::{Picked, Plan};
use crate::resolve::servers::servers::Servers;
use crate::resolve::servers::slist::Slist;
use crate::upstream::AskError;

impl Servers {
    /// How long the server is waited for before a second one is asked; `None`: until its time-out.
    pub(in crate::resolve) fn patience(&self, cut: &Cut, plan: &Plan, slist: &Slist, context: &Context) -> Option<Duration> {
        let others = cut.address_count() > slist.tried.len();
        if let Some(tls) = cut.tls_of(plan.address) {
            // RFC 8305 5, for addresses of the other family; one that is connected is waited for.
            let is_connected = self.network().upstream().is_connected(plan.address, tls);
            return (others && !is_connected && plan.why != Choice::SecondQuery).then_some(TLS_STAGGER);
        }
        if !others || cut.configured || plan.why == Choice::LastResort || !context.purpose.is_awaited() {
            return None;
        }
        if self.is_race(cut, plan, context) {
            return Some(Duration::ZERO);
        }
        Some(self.allowance.patience(&plan.standing, cut.has_shared_servers(), self.network().usual_rtt()))
    }

    /// Asks a second server while the first one is waited for, if no query waits for a socket, there is a server without
    /// faults, and the allowance permits it. The first useful reply is taken; the other is listened to until its time-out, to
    /// measure its round-trip time.
    pub(in crate::resolve) fn ask_second(&self, cut: &Cut, plan: &Plan, slist: &mut Slist, context: &Context) {
        if self.network().upstream().is_short_of_sockets() {
            return;
        }
        let is_race = cut.tls_of(plan.address).is_some() || self.is_race(cut, plan, context);
        let race = is_race.then(|| Family::of(plan.address.ip()).other());
        let other = self.pick(cut, slist, context, race).filter(|other| other.hopeful);
        let Some(Picked { address, standing, .. }) = other.filter(|_| self.allowance.take(race.is_some())) else { return };
        self.network().metrics().count(Counter::UpstreamSecondQueries);
        let with_edns = with_edns(address, &standing, slist);
        let why = if race.is_some() { Choice::Race } else { Choice::SecondQuery };
        let plan = Plan { address, why, standing, with_edns, ..plan.clone() };
        // That the budget is spent is noticed with the next first query.
        if let Ok(second) = self.send(cut, &plan, slist, context) {
            slist.in_flight.add(second);
        }
    }

    /// At the start, and on another network, it is not known which address families work: both are asked at once.
    fn is_race(&self, cut: &Cut, plan: &Plan, context: &Context) -> bool {
        let family = Family::of(plan.address.ip());
        let is_other = |address: &SocketAddr| Family::of(address.ip()) != family && context.routes.family_enabled(address.ip());
        self.cache().servers().families().is_unproved(family) && cut.servers.iter().flat_map(|server| &server.addresses).any(is_other)
    }

    /// Tests a broken address family, when a test is due, with the same question to one of its servers. Nobody waits for it.
    pub(in crate::resolve) fn test_family(&self, cut: &Cut, plan: &Plan, slist: &mut Slist, context: &Context) {
        let (servers, now) = (self.cache().servers(), self.now());
        let family = Family::of(plan.address.ip()).other();
        if servers.families().test_at(family, now).is_none_or(|at| at > now) {
            return;
        }
        let picked = self.pick(cut, slist, context, Some(family));
        let Some(Picked { address, standing, .. }) = picked.filter(|picked| slist.get(picked.address).count == 0) else { return };
        if servers.take_family_test(family, now) {
            let with_edns = with_edns(address, &standing, slist);
            let plan = Plan { address, why: Choice::FamilyTest { family }, standing, with_edns, ..plan.clone() };
            // Without budget the test is put off.
            if let Ok(asking) = self.send(cut, &plan, slist, context) {
                self.listen_on(asking);
            }
        }
    }

    /// Nobody waits for this reply any more; its round-trip time is noted.
    pub(in crate::resolve) fn listen_on(&self, asking: Asking) {
        let servers = self.clone();
        in_background(async move {
            let (asking, outcome) = asking.in_time().await;
            let server = asking.plan.address;
            match outcome.map(|outcome| outcome.result) {
                None => servers.note_timeout(server, asking.patience),
                Some(Some(Ok(reply))) => servers.note_reply(server, &reply),
                Some(Some(Err(AskError::Timeout { waited, .. }))) => servers.note_timeout(server, waited),
                Some(Some(Err(_)) | None) => {}
            }
        });
    }
}
