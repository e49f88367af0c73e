//! Steps of the walk as events of the schema.

use std::collections::HashSet;
use std::time::Duration;

use super::event::{self, Event};
use super::line::Line;
use super::text;
use crate::config::EncryptedProtocol;
use crate::record::Rank;
use crate::resolve::{self, LocalSource, Step};
use crate::upstream::Secure;

/// Consecutive sets of glue are one line for people.
pub(super) fn lines(events: &[resolve::Event]) -> Vec<Line> {
    let (mut asked, mut ruled, mut by_rule) = (HashSet::new(), HashSet::new(), false);
    let mut lines: Vec<Line> = events
        .iter()
        .map(|event| {
            let mut was_asked = false;
            match &event.step {
                Step::Routed { zone, .. } => drop(ruled.insert(zone)),
                Step::Asked(query) => (was_asked, by_rule) = (!asked.insert(query.address), ruled.contains(&query.zone)),
                _ => {}
            }
            Line::step(told(of(&event.step), was_asked, by_rule), millis(event.at), event.depth)
        })
        .collect();
    let mut at = 0;
    while at < events.len() {
        let run = events[at..].iter().take_while(|event| is_glue(&event.step)).count();
        if run > 1 {
            lines[at].line = Some(text::glue_sets(run, millis(events[at].at), events[at].depth));
            lines[at + 1..at + run].iter_mut().for_each(|line| line.line = None);
        }
        at += run.max(1);
    }
    lines
}

/// With what earlier steps say: a server of which nothing was known may have been asked before by this very question, and one
/// that a rule names has no delegation.
fn told(event: Event, was_asked: bool, by_rule: bool) -> Event {
    match event {
        Event::Asked(query @ event::Asked { choice: event::Choice::Untried { of }, .. }) if was_asked => {
            Event::Asked(event::Asked { choice: event::Choice::Unanswered { of }, ..query })
        }
        Event::Reply(reply) => Event::Reply(event::Reply { by_rule, ..reply }),
        event => event,
    }
}

fn is_glue(step: &Step) -> bool {
    matches!(step, Step::Cached { rank: Rank::Glue, .. })
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn of(step: &Step) -> Event {
    match step {
        Step::Begin { question, purpose } => Event::Begin(event::Begin { question: question.to_string(), purpose: (*purpose).into() }),
        Step::CacheHit { question, what, age_s, ttl_s } => {
            Event::CacheHit(event::CacheHit { question: question.to_string(), what: (*what).into(), age_s: *age_s, ttl_s: *ttl_s })
        }
        Step::Local { question, zone, source } => {
            let (source, document) = match source {
                LocalSource::Zone => (event::LocalSource::Zone, None),
                LocalSource::Listed => (event::LocalSource::LocalData, None),
                LocalSource::Dns64 => (event::LocalSource::Dns64, None),
                LocalSource::SpecialUse(document) => (event::LocalSource::SpecialUse, Some((*document).to_owned())),
            };
            Event::Local(event::Local { question: question.to_string(), zone: zone.to_string(), source, document })
        }
        Step::LocalRoot { question, kind } => Event::LocalRoot(event::LocalRoot { question: question.to_string(), kind: (*kind).into() }),
        Step::Routed { zone, forward } => Event::Routed(event::Routed { zone: zone.to_string(), forward: *forward }),
        Step::Cut { zone, servers, addresses, from_cache } => {
            Event::Cut(event::Cut { zone: zone.to_string(), servers: *servers, addresses: *addresses, from_cache: *from_cache })
        }
        Step::Restart { zone, cause } => Event::Restart(event::Restart { zone: zone.to_string(), cause: cause.into() }),
        Step::Joined { question } => Event::Joined(event::Joined { question: question.to_string() }),
        Step::Asked(asked) => Event::Asked(of_asked(asked)),
        Step::Reply { kind, rcode, took, tcp, tcp_because, near_misses, dropped, secure } => Event::Reply(event::Reply {
            kind: (*kind).into(),
            rcode: rcode.to_string(),
            took_ms: millis(*took),
            tcp: *tcp,
            tcp_reason: tcp_because.map(|reason| reason.to_string()),
            mismatched: *near_misses,
            dropped: *dropped,
            by_rule: false,
            secure: secure.as_deref().map(of_secure),
        }),
        Step::AliasTail { question, zone, because } => {
            Event::AliasTail(event::AliasTail { question: question.to_string(), zone: zone.to_string(), reason: (*because).into() })
        }
        Step::Offline { without_route } => Event::Offline(event::Offline { without_route: *without_route }),
        Step::NoReply { reason, took } => Event::NoReply(event::NoReply { reason: reason.clone(), took_ms: millis(*took) }),
        Step::Alias { from, to, rtype } => {
            Event::Alias(event::Alias { from: from.to_string(), to: to.to_string(), rtype: rtype.to_string() })
        }
        Step::Cached { name, rtype, records, ttl_s, rank } => Event::Cached(event::Cached {
            name: name.to_string(),
            rtype: rtype.to_string(),
            records: *records,
            ttl_s: *ttl_s,
            rank: (*rank).into(),
        }),
        Step::CachedDenial { name, rtype, nxdomain, ttl_s } => Event::CachedDenial(event::CachedDenial {
            name: name.to_string(),
            rtype: rtype.to_string(),
            nxdomain: *nxdomain,
            ttl_s: *ttl_s,
        }),
        Step::Proof { subject, security, detail, .. } => {
            Event::Proof(event::Proof { subject: subject.clone(), security: (*security).into(), detail: detail.clone() })
        }
        Step::Done { question, rcode, records, security } => Event::Done(event::Done {
            question: question.to_string(),
            rcode: rcode.to_string(),
            records: *records,
            security: (*security).into(),
        }),
        Step::Failed { question, cause } => Event::Unresolved(event::Unresolved { question: question.to_string(), cause: cause.into() }),
    }
}

fn of_asked(asked: &resolve::Asked) -> event::Asked {
    event::Asked {
        url: asked.url.as_ref().map(ToString::to_string),
        server: asked.server_name.as_ref().map(ToString::to_string),
        address: asked.address.to_string(),
        zone: asked.zone.to_string(),
        question: asked.question.to_string(),
        minimised: asked.minimised,
        attempt: asked.attempt,
        choice: of_choice(asked.why),
        edns: asked.with_edns,
        translated: asked.translated.map(|address| address.to_string()),
        passed_over: asked.passed_over.map(|over| event::PassedOver {
            family: over.family.into(),
            addresses: over.addresses,
            test_in_ms: millis(over.test_in),
        }),
    }
}

fn of_secure(secure: &Secure) -> event::Secure {
    let Secure { server, opened, is_first } = secure;
    event::Secure {
        transport: match server.protocol() {
            EncryptedProtocol::Tls => event::SecureTransport::Tls,
            EncryptedProtocol::Https(_) => event::SecureTransport::Https,
        },
        tls: opened.tls.version.to_owned(),
        group: opened.tls.group.clone(),
        verified: server.host(),
        resumed: opened.tls.resumed,
        kept: !is_first,
        connecting_ms: is_first.then(|| millis(opened.connecting)),
        handshake_ms: is_first.then(|| millis(opened.handshake)),
    }
}

fn of_choice(choice: resolve::Choice) -> event::Choice {
    match choice {
        resolve::Choice::Fastest { rtt_ms, of } => event::Choice::Fastest { rtt_ms, of },
        resolve::Choice::Untried { of } => event::Choice::Untried { of },
        resolve::Choice::Exploring { of } => event::Choice::Exploring { of },
        resolve::Choice::SecondQuery => event::Choice::SecondQuery,
        resolve::Choice::Race => event::Choice::Race,
        resolve::Choice::FamilyTest { family } => event::Choice::FamilyTest { family: family.into() },
        resolve::Choice::LastResort => event::Choice::LastResort,
        resolve::Choice::Configured => event::Choice::Configured,
    }
}
