//! The alias tail: records after the first CNAME in a reply, for names inside the same zone that the server was not asked
//! for.
//!
//! Validated, they are as good as any answer. Otherwise only the first CNAME is certain to be authoritative (RFC 2181 5.4.1),
//! and a forged reply for one name must not change others. So the tail is never stored, and its name is asked for by itself
//! as well; but the client that waits for this reply need not wait for a second query where the server is certainly
//! authoritative for the name, or where its tails have always agreed with its answers. A forger gains nothing: a forged
//! CNAME could point to any name at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::record::{Name, Question, RrSet, Rtype, Security, canonical_rdata};
use crate::resolve::context::context::Context;
use crate::resolve::context::task::in_background;
use crate::resolve::context::trace::{AliasTailReason, Purpose, Step, Trace};
use crate::resolve::delegation::zone_cut;
use crate::resolve::question::resolver::Resolver;
use crate::resolve::reply::link::{AliasTail, Found, Link};

impl Resolver {
    /// The link for `question` out of an alias tail, if it may be given to the client. Otherwise the name is asked for as if
    /// there were no tail.
    pub(in crate::resolve) async fn link_of_tail(&self, tail: &Arc<AliasTail>, question: &Question, context: &Context) -> Option<Link> {
        let mut link = tail.link(question)?.within_ttl_limits(self.network().cache());
        link.age(self.network().now().secs().saturating_sub(tail.received_at.secs()));
        let dnssec = context.routes.recursion.dnssec;
        let unvalidated = self.may_go_unvalidated(tail, &question.name);
        let is_signed = dnssec && is_signed(&link);
        if unvalidated.is_none() && !is_signed || !self.may_answer_for(&tail.zone, question, context) {
            return None;
        }
        let link = if dnssec { Box::pin(self.validator().validate_once(question, link, context)).await } else { link };
        let because = match link.security {
            Security::Secure => AliasTailReason::Validated,
            Security::Bogus => return None,
            Security::Insecure | Security::Indeterminate => unvalidated?,
        };
        if because != AliasTailReason::Validated {
            self.confirm(tail, question, context);
        }
        context.trace.emit(|| Step::AliasTail { question: question.clone(), zone: tail.zone.clone(), because });
        Some(link)
    }

    fn may_go_unvalidated(&self, tail: &AliasTail, name: &Name) -> Option<AliasTailReason> {
        // For the apex of the zone no zone cut in between can make other servers authoritative.
        let is_apex = *name == tail.zone;
        let tails_agree = || self.network().cache().servers().abilities().alias_tails_are_consistent(tail.server.ip());
        match tail.authoritative {
            true if is_apex => Some(AliasTailReason::Apex),
            true if tails_agree() => Some(AliasTailReason::ConsistentServer),
            _ => None,
        }
    }

    /// Is `zone` the closest zone for the name, with no rule, hosted zone or cached answer that takes precedence?
    fn may_answer_for(&self, zone: &Name, question: &Question, context: &Context) -> bool {
        let (name, now) = (&question.name, self.network().now());
        let known = |rtype| self.network().cache().sets().get(name, rtype, now).is_some_and(|cached| cached.rank.may_answer());
        context.routes.nearest_rule(name).is_none_or(|rule| zone.is_within(&rule.zone))
            && context.local.delegation(name).is_none_or(|held| zone.is_within(&held.ns.name))
            && zone_cut::deepest_zone(self.network().cache(), name, question.rtype, now).is_none_or(|cut| zone.is_within(&cut))
            && ![question.rtype, Rtype::CNAME].into_iter().any(known)
    }

    /// Asks for the name itself, so that an answer to that query is stored. Nobody waits for it; the client's budget pays.
    fn confirm(&self, tail: &Arc<AliasTail>, question: &Question, context: &Context) {
        let (resolver, tail, question) = (self.clone(), tail.clone(), question.clone());
        let context = Context { purpose: Purpose::Confirmation, trace: Trace::off(), ..context.clone() };
        in_background(async move {
            // A failure is remembered by the look-up.
            if let Ok(asked) = resolver.validator().lookup().find(&question, &context).await {
                resolver.compare(&tail, &question, &asked);
            }
        });
    }

    /// Compares the alias tail with the answer to a query for its name: once a reply, however many questions wait for it.
    pub(in crate::resolve) fn compare(&self, tail: &AliasTail, question: &Question, asked: &Link) {
        if asked.server.is_none() || asked.is_alias_tail || asked.stale || !tail.authoritative {
            return;
        }
        let Some(link) = tail.link(question) else { return };
        if !tail.is_compared.swap(true, Ordering::Relaxed) {
            self.network().cache().servers().abilities().on_alias_tail_checked(tail.server.ip(), is_same(&link, asked));
        }
    }
}

fn is_signed(link: &Link) -> bool {
    match &link.found {
        Found::Denied(denial) => !denial.proof.is_empty(),
        _ => link.sets().iter().all(|set| !set.sigs.is_empty()),
    }
}

fn is_same(tail: &Link, asked: &Link) -> bool {
    let (tail, asked) = (tail.sets(), asked.sets());
    tail.len() == asked.len()
        && tail.iter().zip(asked).all(|(tail, asked)| tail.name == asked.name && tail.rtype == asked.rtype && has_same_data(tail, asked))
}

/// In whatever order, and with names in whatever letter case (RFC 4343).
fn has_same_data(one: &RrSet, other: &RrSet) -> bool {
    fn sorted(set: &RrSet) -> Vec<Vec<u8>> {
        let canonical = |rdata: &[u8]| {
            let mut out = Vec::with_capacity(rdata.len());
            canonical_rdata(set.rtype, rdata, &mut out);
            out
        };
        let mut data: Vec<_> = set.data.iter().map(canonical).collect();
        data.sort_unstable();
        data
    }
    sorted(one) == sorted(other)
}
