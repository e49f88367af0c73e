//! What has been tried at one zone cut for one question, and when that is enough.

use std::net::SocketAddr;

use smallvec::SmallVec;

use crate::limits::servers::{
    SILENT_MINIMISED_MAX, SILENT_QUERIES_LOOKED_UP_MAX, SILENT_QUERIES_MAX, TRIES_PER_ADDRESS_MAX, USELESS_REPLIES_MAX,
};
use crate::limits::walk::FAULTS_MAX;
use crate::resolve::context::budget::Bound;
use crate::resolve::context::failure::{Cause, Failure, Fault, FaultKind, OwnLimit};
use crate::resolve::delegation::zone_cut::Server;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::servers::in_flight::InFlight;
use crate::resolve::servers::plan::Plan;

/// What has been tried at one cut for one question. A walk holds it as long as it waits: what is rarely there is boxed.
#[derive(Default)]
pub struct Slist {
    pub(in crate::resolve) tried: SmallVec<[(SocketAddr, Tried); 8]>,
    pub(in crate::resolve) asked: usize,
    pub(in crate::resolve) useless: usize,
    pub(in crate::resolve) empty: u8,
    /// A NOERROR reply without records, used where no server has a better one.
    pub(in crate::resolve) empty_reply: Option<Box<ServerReply>>,
    /// Some servers are not asked again for this question, and might have given a better reply.
    pub(in crate::resolve) ruled_out: bool,
    pub(in crate::resolve) recursive: Option<SocketAddr>,
    pub(in crate::resolve) names_looked_up: usize,
    /// Those of them that were found to have no address, or whose own zone has silent servers.
    pub(in crate::resolve) names_without_address: usize,
    /// Names of servers were not looked up because enough others had been.
    pub(in crate::resolve) skipped_names: bool,
    /// A limit of the question, or of this resolver, kept addresses from being found.
    pub(in crate::resolve) own_limit: OwnLimit,
    pub(in crate::resolve) bound: Option<Bound>,
    /// A look-up of a server address was refused because it would have waited for itself.
    pub(in crate::resolve) circled: bool,
    /// The parent was asked for the addresses of servers.
    pub(in crate::resolve) parent_asked: bool,
    pub(in crate::resolve) silent: usize,
    pub(in crate::resolve) faults: Vec<Fault>,
    pub(in crate::resolve) has_reply: bool,
    pub(in crate::resolve) in_flight: InFlight,
    /// A denial of a shortened question is final.
    pub(in crate::resolve) is_strict: bool,
    /// To be sent at once.
    pub(in crate::resolve) again: Option<Box<Plan>>,
    /// A reply that is checked or confirmed by another query, and stands if that brings nothing.
    pub(in crate::resolve) doubted: Option<Box<ServerReply>>,
    /// How often a denial or an error was checked, of whichever server.
    pub(in crate::resolve) checks: u8,
    /// A query was not sent because we had no socket left.
    pub(in crate::resolve) no_socket: bool,
    /// A query lost its socket to others before there was a reply.
    pub(in crate::resolve) lost_socket: bool,
    /// While a query waited for a socket, another walk found a deeper cut: this walk goes on there.
    pub(in crate::resolve) is_outrun: bool,
    /// The name is shortened, and is shown whole when no server replies.
    may_show_whole: bool,
}

/// What was tried at one address.
#[derive(Clone, Copy, Default)]
pub(in crate::resolve) struct Tried {
    pub(in crate::resolve) count: u8,
    pub(in crate::resolve) spent: bool,
    pub(in crate::resolve) was_empty: bool,
    pub(in crate::resolve) plain: bool,
    /// BADCOOKIE replies, and one more where TCP failed after them.
    pub(in crate::resolve) new_cookies: u8,
    /// Replies in another letter case than the question, or without the cookie that is expected.
    pub(in crate::resolve) doubtful: u8,
    /// Unanswered queries.
    pub(in crate::resolve) silent: u8,
}

impl Slist {
    /// The entry of this address, made if there is none.
    pub(in crate::resolve) fn of(&mut self, address: SocketAddr) -> &mut Tried {
        let at = match self.tried.iter().position(|(known, _)| *known == address) {
            Some(at) => at,
            None => {
                self.tried.push((address, Tried::default()));
                self.tried.len() - 1
            }
        };
        &mut self.tried[at].1
    }

    /// What was tried at this address; nothing if there is no entry.
    pub(in crate::resolve) fn get(&self, address: SocketAddr) -> Tried {
        self.tried.iter().find(|(known, _)| *known == address).map(|(_, tried)| *tried).unwrap_or_default()
    }

    /// The reply of this server that is checked or confirmed by another query.
    pub(in crate::resolve) fn doubted_of(&self, address: SocketAddr) -> Option<&ServerReply> {
        self.doubted.as_deref().filter(|doubted| doubted.server == address)
    }

    /// Unanswered queries after which the cut is given up.
    pub(in crate::resolve) fn silent_max(&self) -> usize {
        if self.names_looked_up == 0 { SILENT_QUERIES_MAX } else { SILENT_QUERIES_LOOKED_UP_MAX }
    }

    /// Has enough been tried, so that no further server is asked?
    pub(in crate::resolve) fn is_enough(&self, tries_max: usize) -> bool {
        self.asked >= tries_max || self.useless >= USELESS_REPLIES_MAX || self.silent >= self.silent_max() || self.is_silent_to_part()
    }

    /// Unanswered queries to all addresses of this server.
    pub(in crate::resolve) fn silence_of(&self, server: &Server) -> u8 {
        if self.silent == 0 {
            return 0;
        }
        server.addresses.iter().map(|address| self.get(*address).silent).fold(0, u8::saturating_add)
    }

    /// `yes`: that no server replies to the next question may be due to its shortened name.
    pub fn may_show_whole(&mut self, yes: bool) {
        self.may_show_whole = yes;
    }

    /// No server has replied to the shortened question.
    pub fn is_silent_to_part(&self) -> bool {
        self.may_show_whole && !self.has_reply && self.silent >= SILENT_MINIMISED_MAX
    }

    /// The servers that were asked in vain. One with an empty reply is not among them: it counts if the parent still names it.
    pub fn asked(&self) -> impl Iterator<Item = SocketAddr> {
        self.tried.iter().filter(|(_, tried)| !tried.was_empty).map(|(address, _)| *address)
    }

    /// This server was asked in vain before, and is not asked again for this question.
    pub fn rule_out(&mut self, address: SocketAddr) {
        self.of(address).spent = true;
        self.ruled_out = true;
    }

    /// An address was not found because of a limit. The first bound is the one in the error.
    pub(in crate::resolve) fn limit(&mut self, bound: Option<Bound>, own_limit: OwnLimit) {
        self.bound = self.bound.or(bound);
        self.own_limit = if self.own_limit == OwnLimit::No { own_limit } else { self.own_limit.min(own_limit) };
    }

    /// The look-up of a server's address has failed: notes a circle or a limit that is the reason.
    pub(in crate::resolve) fn on_failed_look_up(&mut self, failure: &Failure) {
        self.circled |= failure.cause == Cause::Cycle;
        if failure.own_limit != OwnLimit::No {
            let bound = if let Cause::Spent(bound) = failure.cause { Some(bound) } else { None };
            self.limit(bound, failure.own_limit);
        }
    }

    /// The query did not reach this server, for no fault of its own.
    pub(in crate::resolve) fn not_asked(&mut self, address: SocketAddr) {
        self.asked = self.asked.saturating_sub(1);
        let tried = self.of(address);
        tried.count = tried.count.saturating_sub(1);
    }

    /// The reply of this server was useless.
    pub(in crate::resolve) fn found_useless(&mut self, address: SocketAddr) {
        self.of(address).spent = true;
        self.useless += 1;
    }

    /// The shortened question failed with these faults: the whole one is asked next, and every server may be tried for it.
    pub fn go_on_whole(&mut self, faults: Box<[Fault]>) {
        self.faults = faults.into_vec();
        self.in_flight.clear();
        for (_, tried) in &mut self.tried {
            tried.count = tried.count.min(TRIES_PER_ADDRESS_MAX - 1);
        }
    }

    /// No server could be reached, and now all can: what was tried means nothing.
    pub(in crate::resolve) fn reach_all_again(&mut self) {
        self.tried.clear();
        self.faults.clear();
        (self.asked, self.silent) = (0, 0);
    }

    /// Notes a fault of a server, for the failure.
    pub(in crate::resolve) fn fault(&mut self, server: SocketAddr, kind: FaultKind) {
        let fault = Fault { server: server.ip(), kind };
        if self.faults.len() < FAULTS_MAX && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}
