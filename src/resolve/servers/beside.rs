//! A second server beside the first: because that one is slow, because nobody knows yet which address family works,
//! or to test one that did not.

use std::net::SocketAddr;
use std::time::Duration;

use crate::cache::{Family, FamilyStanding};
use crate::resolve::context::context::Context;
use crate::resolve::context::trace::Choice;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::iterate::walk::in_background;
use crate::resolve::resolver::Resolver;
use crate::resolve::servers::in_flight::Asking;
use crate::resolve::servers::query::{Picked, Plan, with_edns};
use crate::resolve::servers::slist::Slist;
use crate::upstream::AskError;

impl Resolver {
    /// How long the server is waited for before another is asked beside it; `None`: to the end.
    pub(in crate::resolve) fn patience(&self, cut: &Cut, plan: &Plan, slist: &Slist, context: &Context) -> Option<Duration> {
        let others = cut.address_count() > slist.tried.len();
        if !others || cut.configured || plan.why == Choice::LastResort || !context.purpose.is_awaited() {
            return None;
        }
        if self.is_race(cut, plan, context) {
            return Some(Duration::ZERO);
        }
        Some(self.shared().hedging.patience(&plan.standing, cut.has_shared_servers(), self.usual_rtt()))
    }

    /// A second server is asked beside one that is slow, if that is allowed and there is one without faults. Whoever
    /// says something of use first is taken; the other is listened to until its time is up, to learn how long it takes.
    pub(in crate::resolve) fn ask_beside(&self, cut: &Cut, plan: &Plan, slist: &mut Slist, context: &Context) {
        let race = self.is_race(cut, plan, context).then(|| Family::of(plan.address.ip()).other());
        let other = self.pick(cut, slist, context, race).filter(|other| other.hopeful);
        let Some(Picked { address, standing, .. }) = other.filter(|_| self.shared().hedging.take(race.is_some())) else { return };
        let with_edns = with_edns(address, &standing, slist);
        let why = if race.is_some() { Choice::Race } else { Choice::Beside };
        let plan = Plan { address, why, standing, with_edns, ..plan.clone() };
        // An empty budget is the first one's to notice.
        if let Ok(second) = self.send(cut, &plan, slist, context) {
            slist.under_way.add(second);
        }
    }

    pub(in crate::resolve) fn can_count_on(&self, family: Family) -> bool {
        self.cache().servers().families().standing(family, self.now()) == FamilyStanding::Works
    }

    /// At the start, and on another network, nobody knows which families work: who asks by one asks by the other too.
    fn is_race(&self, cut: &Cut, plan: &Plan, context: &Context) -> bool {
        let family = Family::of(plan.address.ip());
        let is_other = |address: &SocketAddr| Family::of(address.ip()) != family && context.routes.family_enabled(address.ip());
        self.cache().servers().families().is_unproved(family) && cut.servers.iter().flat_map(|server| &server.addresses).any(is_other)
    }

    /// Tests a broken family, when it is time to, by the same question to a server of it. Nobody waits for that.
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
            // What an empty budget cannot pay is put off.
            if let Ok(asking) = self.send(cut, &plan, slist, context) {
                self.listen_on(asking);
            }
        }
    }

    /// Nobody waits for this reply any more; how long it takes is worth knowing.
    pub(in crate::resolve) fn listen_on(&self, asking: Asking) {
        let resolver = self.clone();
        in_background(async move {
            let (asking, outcome) = asking.in_time().await;
            let server = asking.plan.address;
            match outcome.map(|outcome| outcome.result) {
                None => resolver.note_timeout(server, asking.patience),
                Some(Some(Ok(reply))) => resolver.note_reply(server, &reply),
                Some(Some(Err(AskError::Timeout { waited, .. }))) => resolver.note_timeout(server, waited),
                Some(Some(Err(_)) | None) => {}
            }
        });
    }
}
