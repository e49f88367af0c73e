//! The local copy of the root zone in place of the root servers (RFC 8806). What it says is scrubbed, classified, stored and
//! validated like a reply of theirs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::record::Question;
use crate::resolve::context::trace::Step;
use crate::resolve::delegation::zone_cut::Cut;
use crate::resolve::iterate::walker::Walk;
use crate::resolve::reply::classify::{Kind, classify};
use crate::resolve::reply::expected::Expected;
use crate::resolve::reply::scrub::scrub;
use crate::resolve::reply::server_reply::ServerReply;
use crate::wire::Message;

/// Stands for the copy where a reply names its server. A walk that must avoid it asks the root servers.
const LOCAL_ROOT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Walk<'_> {
    /// The reply of the copy, where there is one and the question is for the root servers.
    pub(in crate::resolve) fn local_root_reply(&self, cut: &Cut, question: &Question) -> Option<Box<ServerReply>> {
        if !cut.zone.is_root() || cut.configured || self.context.avoid.contains(&LOCAL_ROOT) {
            return None;
        }
        let now = self.now();
        let bytes = self.context.local.root_reply(question, now)?;
        let message = Message::parse(&bytes).ok()?;
        let expected = Expected { zone: &cut.zone, question, recursive: false, with_edns: true };
        let content = scrub(&message, &expected);
        let kind = classify(message.header(), message.rcode(), &content, &expected);
        if !matches!(kind, Kind::Answer | Kind::Referral | Kind::NoData | Kind::NxDomain) {
            return None;
        }
        self.context.trace.emit(|| Step::LocalRoot { question: question.clone(), kind });
        Some(Box::new(ServerReply {
            kind,
            header: message.header(),
            rcode: message.rcode(),
            content,
            server: LOCAL_ROOT,
            received_at: now,
        }))
    }
}
