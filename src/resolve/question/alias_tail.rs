//! What a reply says beyond its alias, about names inside the same zone for which the server was not asked.
//!
//! Proved, it is as good as any answer. Unproved, only the alias itself is sure to be authoritative (RFC 2181 5.4.1),
//! and a forged reply for one name must not be able to move its neighbours. So it is never kept, and its name is asked for
//! by itself all the same; but the client that waits for this very reply is not made to wait once more where the
//! server surely speaks with authority, or has been found to keep its word. A forger gains nothing by that:
//! who can forge this reply can have the alias lead to any name at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::record::{Name, Question, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::trace::{Believed, Purpose, Step, Trace};
use crate::resolve::delegation::zone_cut;
use crate::resolve::iterate::walk::in_background;
use crate::resolve::reply::link::{AliasTail, Found, Link};
use crate::resolve::resolver::Resolver;

impl Resolver {
    /// What a reply says beyond its alias, as far as that may be given to the client. Else the name is asked for itself,
    /// as if nothing had been said.
    pub(in crate::resolve) async fn beyond(&self, beyond: &Arc<AliasTail>, question: &Question, context: &Context) -> Option<Link> {
        let mut link = self.within_limits(beyond.link(question)?);
        link.age(self.now().secs().saturating_sub(beyond.heard_at.secs()));
        let dnssec = context.routes.recursion.dnssec;
        let unproved = self.may_go_unproved(beyond, &question.name);
        let is_signed = dnssec && is_signed(&link);
        if unproved.is_none() && !is_signed || !self.may_speak_beyond(&beyond.zone, question, context) {
            return None;
        }
        let link = if dnssec { self.prove_once(question, link, context).await } else { link };
        let because = match link.security {
            Security::Secure => Believed::Proved,
            Security::Bogus => return None,
            Security::Insecure | Security::Indeterminate => unproved?,
        };
        if because != Believed::Proved {
            self.ask_all_the_same(beyond, question, context);
        }
        context.trace.emit(|| Step::InPassing { question: question.clone(), zone: beyond.zone.clone(), because });
        Some(link)
    }

    fn may_go_unproved(&self, beyond: &AliasTail, name: &Name) -> Option<Believed> {
        // Between a zone's own name and the zone there is no cut at which other servers would know better.
        let is_apex = *name == beyond.zone;
        let keeps_its_word = || self.cache().servers().keeps_its_word(beyond.server.ip());
        match beyond.authoritative {
            true if is_apex => Some(Believed::Apex),
            true if keeps_its_word() => Some(Believed::KeepsItsWord),
            _ => None,
        }
    }

    /// Is `zone` the nearest that is known to the name, and is nothing better at hand?
    fn may_speak_beyond(&self, zone: &Name, question: &Question, context: &Context) -> bool {
        let (name, now) = (&question.name, self.now());
        let known = |rtype| self.cache().get_set(name, rtype, now).is_some_and(|cached| cached.rank.may_answer());
        context.routes.rule_for(name).is_none_or(|rule| zone.is_within(&rule.zone))
            && context.local.delegation(name).is_none_or(|held| zone.is_within(&held.ns.name))
            && zone_cut::deepest_zone(self.cache(), name, question.rtype, now).is_none_or(|cut| zone.is_within(&cut))
            && ![question.rtype, Rtype::CNAME].into_iter().any(known)
    }

    /// So that what is kept comes from the one who was asked for it. Nobody waits; the client's budget pays.
    fn ask_all_the_same(&self, beyond: &Arc<AliasTail>, question: &Question, context: &Context) {
        let (resolver, beyond, question) = (self.clone(), beyond.clone(), question.clone());
        let context = Context { purpose: Purpose::Confirmation, trace: Trace::off(), ..context.clone() };
        in_background(async move {
            // A failure is kept by the walk itself.
            if let Ok(asked) = resolver.raw_link(&question, &context).await {
                resolver.compare(&beyond, &question, &asked);
            }
        });
    }

    /// Compares what was said in passing with what the zone says when it is asked: once a reply, however many wait for it.
    pub(in crate::resolve) fn compare(&self, beyond: &AliasTail, question: &Question, asked: &Link) {
        if asked.server.is_none() || asked.in_passing || asked.stale || !beyond.authoritative {
            return;
        }
        let Some(said) = beyond.link(question) else { return };
        if !beyond.is_compared.swap(true, Ordering::Relaxed) {
            self.cache().servers().on_word(beyond.server.ip(), is_same(&said, asked));
        }
    }
}

fn is_signed(link: &Link) -> bool {
    match &link.found {
        Found::Denied(denial) => !denial.proof.is_empty(),
        _ => link.sets().iter().all(|set| !set.sigs.is_empty()),
    }
}

fn is_same(said: &Link, asked: &Link) -> bool {
    let (said, asked) = (said.sets(), asked.sets());
    said.len() == asked.len()
        && said.iter().zip(asked).all(|(said, asked)| said.name == asked.name && said.rtype == asked.rtype && has_same_data(said, asked))
}

/// In whatever order.
fn has_same_data(one: &RrSet, other: &RrSet) -> bool {
    fn sorted(set: &RrSet) -> Vec<&[u8]> {
        let mut data: Vec<_> = set.data.iter().collect();
        data.sort_unstable();
        data
    }
    sorted(one) == sorted(other)
}
