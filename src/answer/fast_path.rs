//! The fast path: a repeated question is answered in its own packet, with one look-up, one copy and a few patches. Nothing is
//! allocated and nothing waits. It only repeats what the full path answered before.

use std::net::IpAddr;
use std::ops::Range;

use super::client_rights::ClientRights;
use super::connection_options::append;
use super::cookie::SERVER_COOKIE_BYTES;
use super::outcome::Outcome;
use super::reply::{EDE_HEAD_BYTES, Manner, body, ede_bytes, ede_room, ede_text_max, udp_limit};
use super::request::{ParsedQuery, Request};
use super::service::Service;
use super::snapshot::Snapshot;
use super::{Client, Transport};
use crate::cache::{AnswerKey, Mark};
use crate::env::BootTime;
use crate::limits::clients::UDP_REPLY_BYTES_MAX;
use crate::metrics::Source;
use crate::policy::{Listed, ViewId};
use crate::record::{Class, Rtype, Security};
use crate::wire::{Flags, OptionCode};

/// A reply that has been written into its slot.
pub(super) struct Given {
    pub len: usize,
    /// The client may use recursion, or has proved its address by our cookie.
    pub trusted: bool,
    pub qtype: Rtype,
    pub source: Source,
    /// The lower four bits; replies with higher ones are not kept ready.
    pub rcode: u16,
    /// The answer is for a client that may use recursion, about names of others, and the first one of this second.
    pub first: bool,
    /// DNSSEC proves it.
    pub is_secure: bool,
    /// Stands for what a list did: [`list`](Given::list).
    mark: u8,
    /// The view that the answer is kept for; the one of all others where it is the same in all views.
    pub view: ViewId,
    /// The data expires soon and is popular: look it up again.
    pub due_for_prefetch: bool,
}

impl Given {
    /// What a list did.
    #[inline]
    pub(super) fn list(&self) -> Option<Listed> {
        if self.mark == 0 { None } else { Listed::of_number(self.mark) }
    }
}

/// Octets of the longest name, rounded up to whole lanes.
const NAME_SPACE: usize = 256;
const LANE: usize = 16;

/// `slot` holds the packet of the query in its first `len` octets. `keepalive`: the client asks how long its connection may be
/// idle. `None`: no answer is ready, and the slot is as it was.
pub(super) fn answer(
    service: &Service,
    snapshot: &Snapshot,
    query: &ParsedQuery,
    slot: &mut [u8],
    client: &Client,
    keepalive: bool,
    now: BootTime,
) -> Option<Given> {
    if query.class != Class::IN {
        return None;
    }
    let mut name_space = [0; NAME_SPACE];
    let qname = fold(query.qname_wire(slot), &mut name_space)?;
    if snapshot.chooses_ready_answers && !may_be_ready(snapshot, query, qname, client.peer.ip()) {
        return None;
    }
    let edns = query.edns.as_ref();
    let dnssec_ok = edns.is_some_and(|edns| edns.dnssec_ok);
    let rights = ClientRights::of(snapshot, query.flags, dnssec_ok, client.peer.ip());
    let cookie = edns.and_then(|edns| edns.cookie.as_ref());
    let key = AnswerKey { qname, qtype: query.qtype, dnssec_ok, group: rights.group(), generation: snapshot.generation };
    let cookie_bytes = cookie.map_or(0, |_| 4 + 8 + SERVER_COOKIE_BYTES);
    let reserved = edns.map_or(0, |_| 11 + cookie_bytes);
    let whole = match client.transport {
        Transport::Udp => udp_limit(edns.map(|edns| edns.udp_size)),
        Transport::Tcp | Transport::Tls | Transport::Https => usize::from(u16::MAX),
    };
    // From here on the query in the slot is overwritten, so nothing may fail any more.
    let limit = whole.min(slot.len()).checked_sub(reserved)?;
    let answers = service.cache().answers();
    let mut view = ViewId::default();
    let mut hit = answers.copy(&key, now, limit, slot);
    if hit.is_none() && !snapshot.policy.views.is_one() {
        view = snapshot.policy.views.of(client.peer.ip(), Some(client.local));
        hit = answers.copy(&AnswerKey { group: rights.group_in(view), ..key }, now, limit, slot);
    }
    let hit = hit?;
    let wants_ad = query.flags.has(Flags::AD) || dnssec_ok;
    let flags = Flags(hit.flags.0 & (Flags::AA | 15) | query.flags.0 & (Flags::RD | Flags::CD) | Flags::QR)
        .with(Flags::RA, rights.allowed && snapshot.recursion)
        .with(Flags::AD, hit.secure && wants_ad);
    slot[2..4].copy_from_slice(&flags.0.to_be_bytes());
    slot[4..6].copy_from_slice(&1u16.to_be_bytes());
    let mut len = hit.len;
    if edns.is_some() {
        let cookie = cookie.map(|cookie| (cookie.client, make_cookie(service, &cookie.client, client.peer.ip())));
        let opt_at = len;
        len = append_opt(slot, len, dnssec_ok, cookie)?;
        if hit.mark.number != 0 {
            len = append_reason(snapshot, query, slot, hit.mark, whole, opt_at..len);
        }
        if client.transport != Transport::Udp {
            len = append(slot, opt_at, len, client.transport, snapshot.idle_ms(client.transport, keepalive));
        }
    }
    let first = hit.first && rights.may_recurse && !flags.has(Flags::AA) && !hit.own;
    let trusted = rights.allowed || cookie.is_some_and(|cookie| service.made(cookie, client.peer.ip()));
    let source = match (flags.has(Flags::AA), hit.own) {
        (true, _) => Source::Zone,
        (false, false) => Source::Cache,
        (false, true) => Source::Policy,
    };
    Some(Given {
        len,
        trusted,
        qtype: query.qtype,
        source,
        rcode: flags.rcode(),
        first,
        is_secure: hit.secure,
        mark: hit.mark.number,
        view,
        due_for_prefetch: first && hit.due_for_prefetch,
    })
}

/// Whether what is kept ready may be this client's answer to this query.
#[inline(never)]
fn may_be_ready(snapshot: &Snapshot, query: &ParsedQuery, qname: &[u8], client: IpAddr) -> bool {
    let asks_for_the_name = query.edns.is_some_and(|edns| edns.nsid) && snapshot.policy.identity.nsid().is_some();
    !asks_for_the_name
        && !snapshot.has_rules_for(client)
        && snapshot.restricted(qname, query.qtype).is_none_or(|apex| snapshot.may_ask_zone(apex, client))
}

/// Keeps a finished answer for the next client that asks the same question.
pub(super) fn keep(service: &Service, snapshot: &Snapshot, request: &Request, group: u8, outcome: &Outcome, manner: &Manner<'_>) {
    let dnssec_ok = request.dnssec_ok();
    let message = body(&request.question_wire, outcome, dnssec_ok, manner);
    let key = AnswerKey {
        qname: request.question.name.as_wire(),
        qtype: request.question.rtype,
        dnssec_ok,
        group,
        generation: snapshot.generation,
    };
    let Some(message) = message else { return };
    let (cache, now) = (service.cache(), service.resolve.clock.boot());
    if outcome.own {
        let mark = outcome.list.map_or_else(Mark::default, |listed| mark_of(snapshot, listed));
        cache.answers().put_own(&key, &message, mark, now);
    } else {
        cache.answers().put(&key, &message, outcome.security == Security::Secure, now);
    }
}

/// Stands for the list in a ready answer.
fn mark_of(snapshot: &Snapshot, listed: Listed) -> Mark {
    let forms = [false, true].map(|is_structured| snapshot.reasons.ede(listed, is_structured));
    let room = forms.into_iter().flatten().map(|ede| ede.text.len() + EDE_HEAD_BYTES).max();
    room.map_or_else(Mark::default, |room| Mark { number: listed.number(), room: room as u16 })
}

/// Appends why the name is blocked to the OPT record `opt`, as the full path does. The copy left room for it.
#[inline(never)]
fn append_reason(snapshot: &Snapshot, query: &ParsedQuery, slot: &mut [u8], mark: Mark, limit: usize, opt: Range<usize>) -> usize {
    let (opt_at, len) = (opt.start, opt.end);
    let is_structured = query.edns.is_some_and(|edns| edns.structured_errors);
    let ede = Listed::of_number(mark.number).and_then(|listed| snapshot.reasons.ede(listed, is_structured));
    let Some(ede) = ede else { return len };
    let has_answers = slot[6..8] != [0, 0];
    let fixed = query.question_end() + len - opt_at;
    let data = ede_bytes(ede, ede_text_max(limit, has_answers).min(ede_room(limit, fixed)));
    let Some(into) = slot.get_mut(len..len + 4 + data.len()) else { return len };
    into[..2].copy_from_slice(&OptionCode::EDE.0.to_be_bytes());
    into[2..4].copy_from_slice(&(data.len() as u16).to_be_bytes());
    into[4..].copy_from_slice(&data);
    let added = (4 + data.len()) as u16;
    let data_len = u16::from_be_bytes([slot[opt_at + 9], slot[opt_at + 10]]) + added;
    slot[opt_at + 9..opt_at + 11].copy_from_slice(&data_len.to_be_bytes());
    len + usize::from(added)
}

/// Lower-cases whole lanes: label lengths are below 64, so no length looks like a letter.
fn fold<'a>(wire: &[u8], space: &'a mut [u8; NAME_SPACE]) -> Option<&'a [u8]> {
    space.get_mut(..wire.len())?.copy_from_slice(wire);
    let (lanes, _) = space.as_chunks_mut::<LANE>();
    for lane in &mut lanes[..wire.len().div_ceil(LANE)] {
        lane.make_ascii_lowercase();
    }
    Some(&space[..wire.len()])
}

fn make_cookie(service: &Service, client_cookie: &[u8; 8], client: IpAddr) -> [u8; SERVER_COOKIE_BYTES] {
    service.cookies.make(client_cookie, client, service.resolve.clock.wall())
}

/// Appends OPT; the limit of the copy left room for it.
fn append_opt(slot: &mut [u8], len: usize, dnssec_ok: bool, cookie: Option<([u8; 8], [u8; SERVER_COOKIE_BYTES])>) -> Option<usize> {
    let data_len = cookie.map_or(0, |_| 4 + 8 + SERVER_COOKIE_BYTES);
    let opt = slot.get_mut(len..len + 11 + data_len)?;
    opt[0] = 0;
    opt[1..3].copy_from_slice(&Rtype::OPT.0.to_be_bytes());
    opt[3..5].copy_from_slice(&(UDP_REPLY_BYTES_MAX as u16).to_be_bytes());
    opt[5..9].copy_from_slice(&[0, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
    opt[9..11].copy_from_slice(&(data_len as u16).to_be_bytes());
    if let Some((theirs, ours)) = cookie {
        opt[11..13].copy_from_slice(&OptionCode::COOKIE.0.to_be_bytes());
        opt[13..15].copy_from_slice(&((8 + SERVER_COOKIE_BYTES) as u16).to_be_bytes());
        opt[15..23].copy_from_slice(&theirs);
        opt[23..].copy_from_slice(&ours);
    }
    let additional = u16::from_be_bytes([slot[10], slot[11]]) + 1;
    slot[10..12].copy_from_slice(&additional.to_be_bytes());
    Some(len + 11 + data_len)
}
