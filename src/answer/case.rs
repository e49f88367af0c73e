//! One request and everything that its reply depends on: the input of the pipeline's rules and reviews.

use std::net::IpAddr;
use std::sync::Arc;

use super::client_rights::{ClientRights, Requester};
use super::explained::{Note, Recorder};
use super::outcome::Outcome;
use super::refusal::{Refusal, Refused};
use super::request::Request;
use super::service::Service;
use super::snapshot::Snapshot;
use crate::cache::Cache;
use crate::policy::{LocalData, View, ViewId};
use crate::record::{Name, Question, Rtype};
use crate::resolve::{Resolver, Routes};

#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub service: &'a Service,
    pub resolver: &'a Resolver,
    pub snapshot: &'a Arc<Snapshot>,
    pub request: &'a Request,
    pub requester: Requester,
    pub rights: ClientRights,
    pub view: ViewId,
    pub is_behind_balancer: bool,
    pub recorder: &'a Recorder,
}

impl Case<'_> {
    /// What differs for the requester.
    pub fn view(&self) -> &View {
        self.snapshot.policy.views.get(self.view)
    }

    /// Whom to ask.
    pub fn routes(&self) -> &Arc<Routes> {
        self.snapshot.routes_of(self.view)
    }

    /// What was learned from servers.
    pub fn cache(&self) -> &Cache {
        self.snapshot.view_routes.of(self.view).map_or(self.service.cache(), |view| &view.apart.shared.cache)
    }

    /// `local-data` and `hosts-file`, or what the view has instead.
    pub fn local_data(&self) -> &LocalData {
        self.snapshot.local_data(self.view)
    }

    /// Whether the access list of the hosted zone admits the requester.
    pub fn may_ask_zone(&self, apex: &Name) -> bool {
        match self.requester {
            Requester::Client(client) => self.snapshot.may_ask_zone(apex, client),
            Requester::Operator => true,
        }
    }

    /// The reply; for an explanation, the rule of the configuration behind it is recorded too.
    pub fn refuse(&self, refusal: &Refusal) -> Outcome {
        self.recorder.note(|| Note::Refused(self.refused(refusal)));
        Outcome::refused(refusal.why())
    }

    /// The refusal as the operator reads it.
    pub fn refused(&self, refusal: &Refusal) -> Refused {
        let client = match self.requester {
            Requester::Client(client) => client,
            // Only rules without a client list refuse the operator anything, so the address is never shown.
            Requester::Operator => IpAddr::from([0; 4]),
        };
        self.snapshot.refused(refusal, client)
    }

    /// The root and the TLDs, and the addresses of the root's servers: that they are cached says nothing about what clients
    /// asked for, and people who walk the tree themselves (`dig +trace`) begin with them without RD. A name with a rule of
    /// its own is not public.
    pub fn is_top_of_the_tree(&self) -> bool {
        let Question { name, rtype, .. } = &self.request.question;
        let is_address = matches!(*rtype, Rtype::A | Rtype::AAAA);
        let is_root_server = || is_address && self.routes().hints.iter().any(|(server, _)| server == name);
        (name.label_count() <= 1 || is_root_server()) && self.routes().rule_for(name).is_none_or(|rule| rule.zone.is_root())
    }

    /// Why nothing outside the hosted zones is looked up for this request; `None` if the client may recurse.
    pub fn why_not_recurse(&self) -> Option<Refusal> {
        match (self.rights.allowed, self.snapshot.recursion, self.rights.may_recurse) {
            (false, ..) => Some(Refusal::Recursion),
            (true, false, _) => Some(Refusal::RecursionOff),
            (true, true, false) => Some(Refusal::Cache),
            (true, true, true) => None,
        }
    }
}
