//! What the walk finds in this server itself, as `resolve::Local`: listed names and hosted zones first, then special-use
//! names, in the order of the design. A zone cut or a name server's name is treated as a question of any client is, and an alias target
//! as a question of this client: its view counts there too.

use std::net::SocketAddr;
use std::sync::Arc;

use super::hosted::local_answer;
use super::local_data;
use super::snapshot::Snapshot;
use super::views;
use crate::authority;
use crate::env::BootTime;
use crate::policy::{LocalData, ViewId};
use crate::record::{Name, Question};
use crate::resolve::{Cause, Failure, Local, LocalAnswer, LocalCut, LocalSource};

/// The data that a query finds without asking a server: zones and special-use names of its snapshot.
impl Local for Snapshot {
    fn find(&self, question: &Question) -> Option<LocalAnswer> {
        find_in(self, &self.policy.local_data, question, ViewId::default())
    }

    fn without_data(&self, question: &Question) -> Option<Failure> {
        let zone = self.zones.missing_for(question.name.as_wire(), question.rtype)?;
        Some(Failure::new(zone.apex.clone(), Cause::ZoneNotLoaded(zone.why.clone())))
    }

    fn delegation(&self, name: &Name) -> Option<LocalCut> {
        authority::delegation(&self.zones, name)
    }

    fn root_reply(&self, question: &Question, now: BootTime) -> Option<Vec<u8>> {
        self.local_root.load().as_ref()?.reply(question, now)
    }

    fn own_addresses(&self) -> Arc<[SocketAddr]> {
        self.own_addresses.clone()
    }
}

/// The same for clients of one view.
pub(super) struct LocalInView {
    pub snapshot: Arc<Snapshot>,
    pub view: ViewId,
}

impl Local for LocalInView {
    fn find(&self, question: &Question) -> Option<LocalAnswer> {
        // A view's own records are for its clients' questions, not for names of servers; its forward rules are for both.
        find_in(&self.snapshot, &self.snapshot.policy.local_data, question, self.view)
    }

    fn find_target(&self, question: &Question) -> Option<LocalAnswer> {
        find_in(&self.snapshot, self.snapshot.local_data(self.view), question, self.view)
            .or_else(|| views::safe_target(&self.snapshot, self.view, question))
    }

    fn without_data(&self, question: &Question) -> Option<Failure> {
        self.snapshot.without_data(question)
    }

    fn delegation(&self, name: &Name) -> Option<LocalCut> {
        self.snapshot.delegation(name)
    }

    fn root_reply(&self, question: &Question, now: BootTime) -> Option<Vec<u8>> {
        self.snapshot.root_reply(question, now)
    }

    fn own_addresses(&self) -> Arc<[SocketAddr]> {
        Local::own_addresses(&*self.snapshot)
    }
}

fn find_in(snapshot: &Snapshot, data: &LocalData, question: &Question, view: ViewId) -> Option<LocalAnswer> {
    if let Some(listed) = local_data::listed(data, question, snapshot.aliases_max) {
        return Some(listed);
    }
    if let Some(hosted) = authority::answer(&snapshot.zones, question, snapshot.aliases_max) {
        return (!hosted.is_elsewhere()).then(|| local_answer(hosted));
    }
    if let Some(ptr) = local_data::made_ptr(data, question) {
        return Some(ptr);
    }
    let (zone, document, outcome) = snapshot.special(question, view)?;
    let (rcode, source) = (outcome.rcode(), LocalSource::SpecialUse(document));
    Some(LocalAnswer { zone, source, rcode, answers: outcome.answers, authority: outcome.authority, onward: None })
}
