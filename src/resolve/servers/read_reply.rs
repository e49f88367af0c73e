//! Reads the outcome of one query: is the reply useful, and what does it, or its absence, show about the server?

use std::net::SocketAddr;
use std::time::Duration;

use crate::cache::{EdnsState, Unfit};
use crate::limits::servers::{BADCOOKIE_REPLIES_MAX, DOUBTFUL_REPLIES_MAX, EMPTY_REPLIES_MAX};
use crate::metrics::{Counter, Over};
use crate::record::Name;
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::FaultKind;
use crate::resolve::context::trace::Step;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::reply::classify::{Kind, classify};
use crate::resolve::reply::expected::Expected;
use crate::resolve::reply::interception::sender;
use crate::resolve::reply::scrub::scrub;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::servers::form::{Circumstances, Judged};
use crate::resolve::servers::plan::{Outcome, Plan, Stage};
use crate::resolve::servers::servers::Servers;
use crate::resolve::servers::slist::Slist;
use crate::upstream::{AskError, Notes, Reply, TcpFault, TcpReason, Transport};
use crate::wire::{Flags, Message, OptionCode};

/// How long a server that failed for a zone is asked after all others. Lame delegations are corrected by people, overload
/// passes by itself.
const LAME_S: u32 = 900;
const REFUSED_S: u32 = 60;
const SERVFAIL_S: u32 = 10;
const BROKEN_S: u32 = 60;
/// A server that needs plain DNS is sent EDNS again after this time: it may have been replaced.
const EDNS_BROKEN: Duration = Duration::from_secs(900);

impl Servers {
    /// Takes the outcome of one query. `Some`: a useful reply, with which the walk goes on.
    pub(in crate::resolve) fn take(
        &self,
        cut: &Cut,
        plan: &Plan,
        outcome: Outcome,
        slist: &mut Slist,
        context: &Context,
    ) -> Option<Box<ServerReply>> {
        let offline = self.network().offline();
        if let Some(Err(error)) = &outcome.result {
            self.network().on_failure(error);
        }
        match outcome.result {
            None => {
                slist.not_asked(plan.address);
                let reason = "this machine's network has changed: asked again".to_owned();
                context.trace.emit(|| Step::NoReply { reason, took: Duration::ZERO });
                None
            }
            Some(Ok(reply)) => self.read_reply(cut, plan, reply, slist, context),
            Some(Err(AskError::Unreachable(reason))) if !self.network().has_route_to_any(&context.routes) => {
                // This machine has no network. No server was asked, and none is at fault.
                offline.not_sent(outcome.sent);
                offline.no_route();
                slist.not_asked(plan.address);
                context
                    .trace
                    .emit(|| Step::NoReply { reason: format!("this machine has no route to any server ({reason})"), took: Duration::ZERO });
                None
            }
            Some(Err(error @ AskError::NoSocket(_))) => {
                // A limit of our own: the server was not asked, and nothing is remembered about it or its zone.
                offline.not_sent(outcome.sent);
                slist.not_asked(plan.address);
                slist.no_socket = true;
                context.budget.crowded_out();
                context.trace.emit(|| Step::NoReply { reason: error.to_string(), took: Duration::ZERO });
                None
            }
            Some(Err(error @ (AskError::SocketLost | AskError::NotNeeded))) => {
                // Neither says anything of the server. A query that has lost its socket is sent again, as often as silence allows.
                offline.not_sent(outcome.sent);
                if error == AskError::SocketLost {
                    slist.lost_socket = true;
                    slist.silent += 1;
                    context.budget.crowded_out();
                } else {
                    slist.not_asked(plan.address);
                    slist.is_outrun = true;
                }
                context.trace.emit(|| Step::NoReply { reason: error.to_string(), took: Duration::ZERO });
                None
            }
            Some(Err(AskError::TcpFailed { fault, .. })) if !matches!(plan.stage, Stage::First | Stage::Check) => {
                if fault != TcpFault::Busy {
                    self.without_tcp(plan);
                    self.keep_unconfirmed_form(plan);
                }
                slist.doubted.take()
            }
            Some(Err(error)) => {
                if let Some(again) = self.in_its_place(plan, &error, slist) {
                    slist.not_asked(plan.address);
                    slist.again = Some(Box::new(again));
                    context.trace.emit(|| Step::NoReply { reason: error.to_string(), took: Duration::ZERO });
                    return None;
                }
                if matches!(error, AskError::Unreachable(_)) || error.was_not_sent() {
                    offline.not_sent(outcome.sent);
                }
                self.note_silence(plan, &error, slist, context);
                None
            }
        }
    }

    /// The outcome of a query that has counted as unanswered already: only a reply still counts.
    pub(in crate::resolve) fn take_late(
        &self,
        cut: &Cut,
        plan: &Plan,
        outcome: Outcome,
        slist: &mut Slist,
        context: &Context,
    ) -> Option<Box<ServerReply>> {
        match outcome.result {
            Some(Ok(reply)) => self.read_reply(cut, plan, reply, slist, context),
            Some(Err(error)) => {
                self.network().on_failure(&error);
                self.note_doubt(plan, &error);
                None
            }
            None => None,
        }
    }

    /// Scrubs and classifies a reply. `Some`: it is useful, and no other server has to be asked.
    fn read_reply(&self, cut: &Cut, plan: &Plan, reply: Reply, slist: &mut Slist, context: &Context) -> Option<Box<ServerReply>> {
        let now = self.now();
        let servers = self.cache().servers();
        self.note_reply(plan.address, &reply);
        slist.has_reply = true;
        let over_tcp = reply.transport != Transport::Udp;
        let whole = Message::parse(&reply.bytes).ok().filter(|message| !(over_tcp && message.header().flags.has(Flags::TC)));
        let Some(message) = whole else {
            servers.set_unfit(plan.address.ip(), &cut.zone, Unfit::Broken, BROKEN_S, now);
            slist.found_useless(plan.address);
            slist.fault(plan.address, FaultKind::Malformed);
            context.trace.emit(|| Step::NoReply { reason: FaultKind::Malformed.to_string(), took: reply.rtt });
            return None;
        };
        let edns = message.edns();
        if let Some(cookie) = edns.and_then(|edns| edns.option(OptionCode::COOKIE)) {
            servers.abilities().set_cookie(plan.address.ip(), cookie.get(8..).unwrap_or(&[]), now);
        } else if over_tcp && reply.notes.tcp_because == Some(TcpReason::CookieMissing) {
            // RFC 7873 5.3: what came over TCP is the server's own.
            servers.abilities().forget_cookie(plan.address.ip());
        }
        if let Some(agent) = edns.and_then(|edns| edns.option(OptionCode::REPORT_CHANNEL)).and_then(|agent| Name::from_wire(agent).ok())
            && !plan.recursive
            && context.routes.recursion.error_reporting
        {
            self.report_agents.put(&cut.zone, agent, now);
        }
        if edns.is_some() && plan.standing.edns != EdnsState::Works {
            servers.abilities().set_edns(plan.address.ip(), EdnsState::Works);
        }
        if reply.notes.case_mangled {
            servers.abilities().on_other_case(plan.address.ip(), now);
        }
        let expected = Expected { zone: &cut.zone, question: &plan.question, recursive: plan.recursive, with_edns: plan.with_edns };
        let content = scrub(&message, &expected);
        let rcode = message.rcode();
        let kind = classify(message.header(), rcode, &content, &expected);
        if cut.zone.is_root() && !cut.configured {
            self.network().interception().note(plan.address.ip(), sender(message.header(), rcode, &content, &plan.question));
        }
        context.trace.emit(|| Step::Reply {
            kind,
            rcode,
            took: reply.rtt,
            tcp: reply.transport == Transport::Tcp,
            tcp_because: reply.notes.tcp_because,
            near_misses: reply.notes.near_misses,
            dropped: content.dropped,
            secure: reply.secure.clone(),
        });
        let Notes { has_cookie, case_mangled, .. } = reply.notes;
        let is_open = |address: &SocketAddr| {
            let tried = slist.get(*address);
            tried.count == 0 && !tried.spent && context.routes.family_enabled(address.ip()) && !context.avoid.contains(address)
        };
        let seen = Circumstances {
            has_opt: edns.is_some(),
            has_cookie,
            case_kept: !case_mangled,
            is_for_server: context.depth > 0,
            is_last: !cut.servers.iter().flat_map(|server| &server.addresses).any(is_open),
            over_tcp,
        };
        let reply = Box::new(ServerReply { kind, header: message.header(), rcode, content, server: plan.address, received_at: now });
        match self.judge_form(plan, reply, seen, slist) {
            Judged::Believed(reply) => self.judge_reply(cut, plan, reply, slist),
            Judged::AskedAgain => {
                let tried = slist.of(plan.address);
                tried.count = tried.count.saturating_sub(1);
                None
            }
        }
    }

    /// Returns a useful reply; otherwise notes the fault of the server.
    fn judge_reply(&self, cut: &Cut, plan: &Plan, mut reply: Box<ServerReply>, slist: &mut Slist) -> Option<Box<ServerReply>> {
        let now = self.now();
        let servers = self.cache().servers();
        let address = plan.address;
        let is_of_use = !matches!(reply.kind, Kind::Refused | Kind::ServFail | Kind::NeedsPlainDns | Kind::NewCookie | Kind::Broken);
        // It answers without EDNS: the failure before was about EDNS and not about the question, or it was forged.
        let is_plain = is_of_use && slist.get(address).plain && servers.abilities().edns(address.ip(), now) == EdnsState::Unknown;
        if is_plain && servers.abilities().on_simpler_form(address.ip()) {
            servers.abilities().set_edns(address.ip(), EdnsState::BrokenUntil(now + EDNS_BROKEN));
        }
        let (unfit, seconds, fault) = match reply.kind {
            Kind::Answer | Kind::Alias | Kind::NoData | Kind::NxDomain => return Some(reply),
            Kind::Referral if !plan.recursive => return Some(reply),
            // In the end an empty reply counts as "no data", for a short while. Without AA it counts only where every
            // server has replied: a lame server must not speak for one that is merely slow.
            Kind::Empty => {
                let sure = reply.header.flags.has(Flags::AA) || plan.recursive;
                slist.empty += u8::from(sure);
                let tried = slist.of(address);
                (tried.spent, tried.was_empty) = (true, true);
                reply.kind = Kind::NoData;
                if slist.empty >= EMPTY_REPLIES_MAX {
                    return Some(reply);
                }
                if sure || slist.empty_reply.is_none() {
                    slist.empty_reply = Some(reply);
                }
                return None;
            }
            Kind::NeedsPlainDns if !plan.needs_edns => {
                let tried = slist.of(address);
                tried.plain = true;
                tried.count = tried.count.saturating_sub(1);
                return None;
            }
            // The reply carries the cookie that the server wants (RFC 7873 5.3). Where that is wrong too, TCP comes next, and
            // then no cookie.
            Kind::NewCookie if slist.get(address).new_cookies <= BADCOOKIE_REPLIES_MAX => {
                let tried = slist.of(address);
                tried.new_cookies += 1;
                tried.count = tried.count.saturating_sub(1);
                return None;
            }
            Kind::RecursionLame => {
                slist.recursive.get_or_insert(address);
                slist.found_useless(address);
                return None;
            }
            Kind::Lame | Kind::Referral => (Unfit::Lame, LAME_S, FaultKind::Lame),
            Kind::Refused => (Unfit::Refused, REFUSED_S, FaultKind::Rcode(reply.rcode)),
            Kind::ServFail => (Unfit::ServFail, SERVFAIL_S, FaultKind::Rcode(reply.rcode)),
            Kind::Broken | Kind::NeedsPlainDns | Kind::NewCookie => (Unfit::FormErr, BROKEN_S, FaultKind::Rcode(reply.rcode)),
        };
        // A refused shortened question says nothing about the server: it may answer the whole one.
        if !plan.minimised {
            servers.set_unfit(address.ip(), &cut.zone, unfit, seconds, now);
        }
        slist.found_useless(address);
        slist.fault(address, fault);
        None
    }

    /// While this machine's own network is away, silence is no fault of the server.
    pub(in crate::resolve) fn note_timeout(&self, server: SocketAddr, waited: Duration) {
        if !self.network().is_offline() {
            self.cache().servers().on_timeout(server.ip(), waited, self.now());
        }
    }

    /// Notes the round-trip time of a reply.
    pub(in crate::resolve) fn note_reply(&self, server: SocketAddr, reply: &Reply) {
        self.cache().servers().on_reply(server.ip(), reply.rtt, self.now());
        self.network().on_reply(Some(reply.rtt));
        let over = match reply.transport {
            Transport::Udp => Over::Udp,
            Transport::Tcp => Over::Tcp,
            Transport::Tls => Over::Tls,
            Transport::Https => Over::Https,
        };
        self.network().metrics().replied(over, reply.rtt.as_micros() as u64);
    }

    /// Notes that a server did not reply.
    pub(in crate::resolve) fn note_silence(&self, plan: &Plan, error: &AskError, slist: &mut Slist, context: &Context) {
        let servers = self.cache().servers();
        let (kind, took) = match error {
            AskError::Timeout { waited, .. } => (FaultKind::TimedOut, *waited),
            AskError::ConnectionRefused => (FaultKind::ConnectionRefused, Duration::ZERO),
            AskError::Unreachable(_) | AskError::NoSocket(_) | AskError::SocketLost | AskError::NotNeeded => {
                (FaultKind::Unreachable, Duration::ZERO)
            }
            AskError::TcpFailed { fault, .. } => (FaultKind::TcpFailed(*fault), Duration::ZERO),
            AskError::TlsFailed { server, fault } => (FaultKind::TlsFailed(server.host().into(), *fault), Duration::ZERO),
            AskError::TooManyNearMisses { .. } => (FaultKind::Forgeries, Duration::ZERO),
        };
        match error {
            AskError::Timeout { .. } => {
                self.network().metrics().count(Counter::UpstreamTimeouts);
                self.note_timeout(plan.address, took);
            }
            AskError::ConnectionRefused | AskError::Unreachable(_) => servers.on_unreachable(plan.address.ip(), self.now()),
            // A limit of our own: no fault of the server, and the failure is not remembered.
            AskError::NoSocket(_)
            | AskError::SocketLost
            | AskError::NotNeeded
            | AskError::TcpFailed { fault: TcpFault::Busy, .. }
            | AskError::TlsFailed { fault: TcpFault::Busy, .. } => context.budget.crowded_out(),
            AskError::TcpFailed { .. } | AskError::TlsFailed { .. } | AskError::TooManyNearMisses { .. } => {
                servers.on_useless(plan.address.ip(), self.now())
            }
        }
        // Asked again at once, it would fail in the same way.
        slist.of(plan.address).spent |= kind != FaultKind::TimedOut;
        self.note_doubt(plan, error);
        slist.silent += 1;
        let tried = slist.of(plan.address);
        tried.silent = tried.silent.saturating_add(1);
        context.trace.emit(|| Step::NoReply { reason: error.to_string(), took });
        slist.fault(plan.address, kind);
    }

    /// A UDP reply came in another letter case, or without the cookie that is expected, and TCP, which would have settled the
    /// matter, does not work there.
    fn note_doubt(&self, plan: &Plan, error: &AskError) {
        if error.notes().case_mangled {
            self.cache().servers().abilities().on_other_case(plan.address.ip(), self.now());
        }
        if lacks_cookie(error) {
            self.cache().servers().abilities().on_cookie_missing(plan.address.ip());
        }
    }

    /// The query that takes the place of one that has failed for its form or over TCP, if any.
    fn in_its_place(&self, plan: &Plan, error: &AskError, slist: &mut Slist) -> Option<Plan> {
        match error {
            AskError::TcpFailed { fault: TcpFault::Busy, .. } => None,
            AskError::TcpFailed { .. } if plan.tcp_vouches && plan.stage == Stage::First => Some(self.without_tcp(plan)),
            AskError::TcpFailed { .. } if slist.get(plan.address).new_cookies == BADCOOKIE_REPLIES_MAX => {
                slist.of(plan.address).new_cookies += 1;
                Some(self.without_tcp(plan))
            }
            AskError::TcpFailed { .. }
                if (error.notes().case_mangled || lacks_cookie(error)) && slist.get(plan.address).doubtful < DOUBTFUL_REPLIES_MAX =>
            {
                slist.of(plan.address).doubtful += 1;
                self.note_doubt(plan, error);
                Some(self.without_tcp(plan))
            }
            AskError::TcpFailed { .. } | AskError::TlsFailed { .. } | AskError::TooManyNearMisses { .. } => None,
            AskError::Timeout { .. } | AskError::ConnectionRefused | AskError::Unreachable(_) => None,
            AskError::NoSocket(_) | AskError::SocketLost | AskError::NotNeeded => None,
        }
    }
}

/// The only UDP replies, if any, came without the cookie that the server has sent before.
fn lacks_cookie(error: &AskError) -> bool {
    matches!(error, AskError::TcpFailed { .. }) && error.notes().tcp_because == Some(TcpReason::CookieMissing)
}
