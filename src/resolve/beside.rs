//! A second server beside the first: because that one is slow, because nobody knows yet which address family works,
//! or to test one that did not.

use std::net::SocketAddr;
use std::time::Duration;

use super::ask::{Picked, Plan, with_edns};
use super::asker::Asker;
use super::attempts::Attempts;
use super::cut::Cut;
use super::resolver::Resolver;
use super::trace::Choice;
use super::under_way::Asking;
use super::walk::in_background;
use crate::cache::{Family, FamilyStanding};
use crate::upstream::AskError;

impl Resolver {
    /// How long the server is waited for before another is asked beside it; `None`: to the end.
    pub(super) fn patience(&self, cut: &Cut, plan: &Plan, attempts: &Attempts, asker: &Asker) -> Option<Duration> {
        let others = cut.address_count() > attempts.tried.len();
        if !others || cut.configured || plan.why == Choice::LastResort || !asker.purpose.is_awaited() {
            return None;
        }
        if self.is_race(cut, plan, asker) {
            return Some(Duration::ZERO);
        }
        Some(self.shared().hedging.patience(&plan.standing, cut.has_shared_servers(), self.usual_rtt()))
    }

    /// A second server is asked beside one that is slow, if that is allowed and there is one without faults. Whoever
    /// says something of use first is taken; the other is listened to until its time is up, to learn how long it takes.
    pub(super) fn ask_beside(&self, cut: &Cut, plan: &Plan, attempts: &mut Attempts, asker: &Asker) {
        let race = self.is_race(cut, plan, asker).then(|| Family::of(plan.address.ip()).other());
        let other = self.pick(cut, attempts, asker, race).filter(|other| other.hopeful);
        let Some(Picked { address, standing, .. }) = other.filter(|_| self.shared().hedging.take(race.is_some())) else { return };
        let with_edns = with_edns(address, &standing, attempts);
        let why = if race.is_some() { Choice::Race } else { Choice::Beside };
        let plan = Plan { address, why, standing, with_edns, ..plan.clone() };
        // An empty purse is the first one's to notice.
        if let Ok(second) = self.send(cut, &plan, attempts, asker) {
            attempts.under_way.add(second);
        }
    }

    pub(super) fn can_count_on(&self, family: Family) -> bool {
        self.cache().servers().families().standing(family, self.now()) == FamilyStanding::Works
    }

    /// At the start, and on another network, nobody knows which families work: who asks by one asks by the other too.
    fn is_race(&self, cut: &Cut, plan: &Plan, asker: &Asker) -> bool {
        let family = Family::of(plan.address.ip());
        let is_other = |address: &SocketAddr| Family::of(address.ip()) != family && asker.routes.family_enabled(address.ip());
        self.cache().servers().families().is_unproved(family) && cut.servers.iter().flat_map(|server| &server.addresses).any(is_other)
    }

    /// Tests a broken family, when it is time to, by the same question to a server of it. Nobody waits for that.
    pub(super) fn test_family(&self, cut: &Cut, plan: &Plan, attempts: &mut Attempts, asker: &Asker) {
        let (servers, now) = (self.cache().servers(), self.now());
        let family = Family::of(plan.address.ip()).other();
        if servers.families().test_at(family, now).is_none_or(|at| at > now) {
            return;
        }
        let picked = self.pick(cut, attempts, asker, Some(family));
        let Some(Picked { address, standing, .. }) = picked.filter(|picked| attempts.get(picked.address).count == 0) else { return };
        if servers.take_family_test(family, now) {
            let with_edns = with_edns(address, &standing, attempts);
            let plan = Plan { address, why: Choice::FamilyTest(family), standing, with_edns, ..plan.clone() };
            // What an empty purse cannot pay is put off.
            if let Ok(asking) = self.send(cut, &plan, attempts, asker) {
                self.listen_on(asking);
            }
        }
    }

    /// Nobody waits for this reply any more; how long it takes is worth knowing.
    pub(super) fn listen_on(&self, asking: Asking) {
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
