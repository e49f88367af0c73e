//! Who asked what, and what became of it: for the log's lines at the level `debug`, for the query log, and for dnstap.
//!
//! Nothing here waits: what the readers of the query log and of dnstap have no room for is left out (`tap`).

use tracing::Level;

use super::Client;
use super::outcome::{Delivery, Outcome};
use super::snapshot::Snapshot;
use crate::env::{Clock, Instant};
use crate::metrics::Source;
use crate::policy::{Listed, ViewId};
use crate::record::{Ede, Name, Rcode, Rtype, Security};
use crate::tap::{Answered, Feed, Passed, PassedKind, Reason};
use crate::wire::{HEADER_BYTES, Header};

/// Where a worker tells of queries.
pub(super) struct Watchers {
    pub queries: Feed,
    pub messages: Feed,
}

/// Who is told of a query, and when it came.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    came: Instant,
    came_us: u64,
    has_lines: bool,
    has_entries: bool,
    has_messages: bool,
}

/// A query that has its answer.
pub(super) struct Told<'a> {
    pub client: &'a Client,
    /// In wire form, as it was sent.
    pub name: &'a [u8],
    pub rtype: Rtype,
    pub class: u16,
    pub rcode: Rcode,
    /// Records of the answer section.
    pub answers: u16,
    pub source: Source,
    pub verdict: Security,
    pub is_dropped: bool,
    pub opcode: u8,
    /// `None`: the one that the client's address says.
    pub view: Option<ViewId>,
    pub list: Option<Listed>,
    /// What a rule of a response policy zone did.
    pub rule: &'a str,
    pub ede: Option<&'a Ede>,
}

impl<'a> Told<'a> {
    /// A query for names, before anything is known of its answer.
    pub(super) fn of(client: &'a Client, name: &'a [u8], rtype: Rtype, rcode: Rcode, source: Source) -> Told<'a> {
        Told {
            client,
            name,
            rtype,
            class: 1,
            rcode,
            answers: 0,
            source,
            verdict: Security::Indeterminate,
            is_dropped: false,
            opcode: 0,
            view: None,
            list: None,
            rule: "",
            ede: None,
        }
    }

    /// With what the outcome says.
    pub(super) fn with_outcome(self, outcome: &'a Outcome) -> Told<'a> {
        Told {
            verdict: outcome.security,
            is_dropped: outcome.delivery == Delivery::None,
            list: outcome.list,
            rule: outcome.policy.map_or("", |action| action.name()),
            ede: outcome.edes.first(),
            ..self
        }
    }
}

/// Records of the answer section of a reply.
pub(super) fn answer_count(reply: &[u8]) -> u16 {
    Header::read(reply).map_or(0, |header| header.counts[1])
}

impl Watchers {
    /// `None`: nobody watches. Costs three comparisons.
    #[inline]
    pub(super) fn watch(&self, clock: &dyn Clock) -> Option<Watch> {
        let has_lines = tracing::enabled!(Level::DEBUG);
        let (has_entries, has_messages) = (self.queries.is_on(), self.messages.is_on());
        (has_lines || has_entries || has_messages).then(|| Watch {
            came: Instant::now(),
            came_us: clock.wall_us(),
            has_lines,
            has_entries,
            has_messages,
        })
    }

    /// A client's query, before it is answered.
    #[cold]
    pub(super) fn query(&self, watch: &Watch, client: &Client, query: &[u8]) {
        if watch.has_messages {
            self.pass(PassedKind::ClientQuery, watch.came_us, 0, client, query);
        }
    }

    /// The reply to it.
    #[cold]
    pub(super) fn response(&self, watch: &Watch, client: &Client, reply: &[u8]) {
        if watch.has_messages && !reply.is_empty() {
            let response_us = watch.came_us + watch.came.elapsed().as_micros() as u64;
            self.pass(PassedKind::ClientResponse, watch.came_us, response_us, client, reply);
        }
    }

    fn pass(&self, kind: PassedKind, query_us: u64, response_us: u64, client: &Client, message: &[u8]) {
        let transport = client.transport.name();
        self.messages.passed(&Passed { kind, query_us, response_us, from: client.peer, to: client.local, transport, zone: &[], message });
    }

    /// What became of a query.
    #[cold]
    pub(super) fn answered(&self, watch: &Watch, snapshot: &Snapshot, told: &Told<'_>) {
        let Told { client, name, rtype, rcode, source, .. } = *told;
        let took_us = watch.came.elapsed().as_micros();
        if watch.has_lines
            && let Ok(name) = Name::from_wire(name)
        {
            let (ms, transport) = (took_us as f64 / 1_000.0, client.transport.name());
            let (client, source) = (client.peer.ip(), source.name());
            tracing::debug!(
                event = "query", %client, transport, %name, "type" = %rtype, %rcode, ms, source,
                "{client} over {transport}: {name} {rtype}: {rcode} from {source} in {ms} ms"
            );
        }
        if !watch.has_entries {
            return;
        }
        let views = &snapshot.policy.views;
        let view = views.get(told.view.unwrap_or_else(|| views.of(client.peer.ip(), Some(client.local))));
        if !view.query_log {
            return;
        }
        let ede = told.ede.or(told.list.and_then(|listed| snapshot.reasons.ede(listed, false)));
        let reason = Reason {
            view: &view.name,
            list: told.list.map_or("", |listed| snapshot.lists.name(listed.list())),
            rule: told.rule,
            ede: ede.map(|ede| ede.code.0),
            text: ede.map_or("", |ede| &ede.text),
        };
        self.queries.answered(&Answered {
            came_us: watch.came_us,
            took_us: u32::try_from(took_us).unwrap_or(u32::MAX),
            client: client.peer,
            transport: client.transport.name(),
            opcode: told.opcode,
            name,
            rtype: rtype.0,
            class: told.class,
            rcode: rcode.0,
            answers: told.answers,
            source: source.name(),
            verdict: validated(told.source, told.verdict, snapshot.routes.recursion.dnssec),
            is_dropped: told.is_dropped,
            reason,
        });
    }
}

/// What validation said. This server's own data is not validated, and nothing is where `recursion.dnssec` is off.
fn validated(source: Source, verdict: Security, is_validating: bool) -> Security {
    let is_own = match source {
        Source::Zone | Source::Policy => true,
        Source::Cache | Source::Walk | Source::Stale => false,
    };
    if is_own || !is_validating { Security::Indeterminate } else { verdict }
}

/// Name, type and class of the first question of a message; empty where none can be read.
pub(super) fn first_question(message: &[u8]) -> (&[u8], Rtype, u16) {
    let after_header = message.get(HEADER_BYTES..).unwrap_or_default();
    let count = Header::read(message).map_or(0, |header| header.counts[0]);
    let read = || {
        let (_, len) = Name::from_wire_prefix(after_header).ok().filter(|_| count > 0)?;
        let rest = after_header.get(len..)?.first_chunk::<4>()?;
        Some((&after_header[..len], Rtype(u16::from_be_bytes([rest[0], rest[1]])), u16::from_be_bytes([rest[2], rest[3]])))
    };
    read().unwrap_or((&[], Rtype(0), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_validated_has_no_verdict() {
        use Security::{Bogus, Indeterminate, Insecure, Secure};
        for (source, verdict, is_validating, expected) in [
            (Source::Cache, Secure, true, Secure),
            (Source::Walk, Bogus, true, Bogus),
            (Source::Stale, Insecure, true, Insecure),
            (Source::Cache, Insecure, false, Indeterminate),
            (Source::Walk, Insecure, false, Indeterminate),
            (Source::Zone, Insecure, true, Indeterminate),
            (Source::Policy, Insecure, true, Indeterminate),
        ] {
            assert_eq!(validated(source, verdict, is_validating), expected, "{source:?} {verdict:?} {is_validating}");
        }
    }
}
