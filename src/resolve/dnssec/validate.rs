//! Proof on demand: what a walk found is raw until the one who wants to give it to a client has it judged here
//! by the pure validator, with the keys that `chain` fetches top-down from the anchor (RFC 4035 5).
//!
//! Walks never wait for proofs, so proofs cannot close a circle of walks: server addresses, DS and DNSKEY sets
//! are fetched raw, and judged by whoever builds the chain. What was proved of a set is written back to the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::{Denial, DenialKind};
use crate::env::BootTime;
use crate::record::{Ede, EdeCode, Name, Question, Rank, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::trace::{ChainPart, Step};
use crate::resolve::dnssec::chain_of_trust::{BOGUS_S, Opinions, Trust, bogus, turned_off};
use crate::resolve::iterate::walk::step_by_step;
use crate::resolve::reply::link::{Found, Link};
use crate::resolve::resolver::Resolver;
use crate::validate::{Bound, Case, Judgement, Now, Reply, ReplyKind, Secured, Signed, WorkBudget, ZoneKeys, signer_of};

/// Judging again with other keys: each turn goes at least one cut deeper.
const TURNS_MAX: usize = 16;
/// What failed checks of all questions together may cost in a second: a tenth of one core. Honest zones have hardly any.
const FAILED_US_PER_SECOND: u32 = 100_000;

/// Microseconds within the present second, for all workers.
#[derive(Default)]
pub struct PerSecond {
    /// The second in the upper half, what was taken in the lower.
    state: AtomicU64,
}

impl PerSecond {
    fn take(&self, us: u32, now: BootTime) -> bool {
        let second = u64::from(now.secs()) << 32;
        let add = |state: u64| Some(if state >> 32 << 32 == second { state + u64::from(us) } else { second | u64::from(us) });
        let before = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or(second);
        before >> 32 << 32 != second || (before as u32).saturating_add(us) <= FAILED_US_PER_SECOND
    }
}

impl Resolver {
    /// Has a raw link judged. Where one server's word does not hold, others are asked before it counts as bogus.
    pub(in crate::resolve) async fn prove(&self, question: &Question, link: Link, context: &Context) -> Link {
        if !context.routes.recursion.dnssec || link.stale {
            return link;
        }
        if link.security != Security::Indeterminate {
            let link = match link.security {
                Security::Bogus => self.known_bogus(question, link),
                Security::Insecure => self.perhaps_turned_off(question, link, context),
                _ => link,
            };
            self.tell_proof(question, &link, None, context);
            return link;
        }
        let mut link = self.prove_once(question, link, context).await;
        let mut opinions = Opinions::new();
        while link.security == Security::Bogus {
            let Some(other) = self.next_opinion(question, &link, &mut opinions, context).await else { break };
            link = self.prove_once(question, other, context).await;
        }
        link
    }

    /// Found wanting a moment ago: the reason was kept beside it.
    fn known_bogus(&self, question: &Question, link: Link) -> Link {
        let kept = self.cache().get_failure(question, self.now()).map(|failed| failed.ede);
        let ede = kept.unwrap_or_else(|| bogus(format!("{question} did not prove right a moment ago")));
        Link { ede: Some(ede), ..link }
    }

    /// RFC 7646 3: who asks is told each time that validation was turned off, not only the first who asked.
    fn perhaps_turned_off(&self, question: &Question, link: Link, context: &Context) -> Link {
        let off = || context.routes.turned_off(&question.name, self.shared().clock.wall());
        let ede = link.ede.clone().or_else(|| off().map(turned_off));
        Link { ede, ..link }
    }

    /// Many clients may have waited for one walk: what one of them had judged by now is not judged again.
    fn judged_meanwhile(&self, question: &Question, link: &Link) -> Option<Link> {
        let now = self.now();
        match &link.found {
            Found::Answer { sets, proof } => {
                let ([set], true) = (&sets[..], proof.is_empty()) else { return None };
                let known = self.cache().get_set(&set.name, set.rtype, now)?;
                let same =
                    known.security != Security::Indeterminate && known.set.data == set.data && known.set.sigs.len() <= set.sigs.len();
                let found = Found::Answer { sets: vec![known.set], proof: Vec::new() };
                same.then(|| Link { found, security: known.security, ..link.clone() })
            }
            Found::Denied(raw) => {
                let known = self.cache().get_denial(question, now)?;
                let same = known.security != Security::Indeterminate && known.kind == raw.kind && known.soa.is_some() == raw.soa.is_some();
                let denial = Denial { kind: known.kind, soa: known.soa, proof: known.proof, security: known.security };
                same.then(|| Link { found: Found::Denied(denial), security: known.security, ..link.clone() })
            }
            Found::Alias { .. } | Found::TooLong { .. } => None,
        }
    }

    pub(in crate::resolve) async fn prove_once(&self, question: &Question, link: Link, context: &Context) -> Link {
        let Some(reply) = reply_of(question, &link) else { return Link { security: Security::Insecure, ..link } };
        let began = self.now();
        if let Some(off) = context.routes.turned_off(&question.name, self.shared().clock.wall()) {
            return self.apply(question, link, Verdict::Insecure(Some(turned_off(off))), began, context);
        }
        let start =
            first_signer(&reply).filter(|signer| question.name.is_within(signer)).or_else(|| link.zone.clone()).unwrap_or_else(Name::root);
        let _ = self.trust_of_data(&start, context).await;
        if let Some(judged) = self.judged_meanwhile(question, &link) {
            return if judged.security == Security::Bogus { self.known_bogus(question, judged) } else { judged };
        }
        let verdict = self.judge_from(reply, start, context).await;
        self.apply(question, link, verdict, began, context)
    }

    async fn judge_from(&self, reply: Reply, start: Name, context: &Context) -> Verdict {
        let mut zone = start;
        for _ in 0..TURNS_MAX {
            let keys = match self.trust_of_data(&zone, context).await {
                Trust::Secure(keys) => keys,
                Trust::Insecure(ede) => return Verdict::Insecure(ede),
                Trust::Bogus(ede) => return Verdict::Bogus(ede),
                Trust::NoZone => {
                    return Verdict::Bogus(bogus(format!("signatures are made by {zone}, which is no zone")));
                }
            };
            match self.judge(reply.clone(), keys.clone(), context).await {
                Judgement::Secure(secured) => return Verdict::Secure(Box::new(secured)),
                Judgement::Insecure(reason) => return Verdict::Insecure(reason.ede()),
                Judgement::Bogus(why) => return Verdict::Bogus(why.ede()),
                Judgement::NeedsKeys(deeper) if deeper != zone => zone = deeper,
                Judgement::NeedsKeys(_) => return Verdict::Bogus(bogus("signed by no zone on the way")),
                Judgement::NeedsCut { name, why } => match self.cut_between(keys.zone(), &name, context).await {
                    Trust::Secure(deeper) => zone = deeper.zone().clone(),
                    Trust::Insecure(ede) => return Verdict::Insecure(ede),
                    Trust::Bogus(ede) => return Verdict::Bogus(ede),
                    Trust::NoZone => return Verdict::Bogus(why.ede()),
                },
            }
        }
        Verdict::Bogus(bogus("the chain of zones does not end"))
    }

    /// One reply against one zone's keys, a signature at a time.
    pub(in crate::resolve) async fn judge(&self, reply: Reply, keys: Arc<ZoneKeys>, context: &Context) -> Judgement {
        let mut case = Case::new(reply, keys, &context.work.borrow());
        step_by_step(|| context.spent_us(), || self.work_step(context, |now, work| case.step(now, work))).await
    }

    /// One step of checking, paid by the question and noted for all of them.
    pub(in crate::resolve) fn work_step<R>(&self, context: &Context, step: impl FnOnce(Now, &mut WorkBudget) -> R) -> R {
        let mut work = context.work.borrow_mut();
        let before = work.spent().failed_time;
        let result = step(self.judge_time(context), &mut work);
        let failed_us = work.spent().failed_time.as_us() - before.as_us();
        if failed_us > 0 && !self.shared().failures.take(failed_us as u32, self.now()) {
            work.end(Bound::FailuresPerSecond);
        }
        result
    }

    /// Is the clock wrong, and is `name` one that helps to set it?
    pub(in crate::resolve) fn may_pass_over_dates(&self, name: &Name, context: &Context) -> bool {
        let shared = self.shared();
        context.routes.recursion.time_bootstrap_names.iter().any(|time| name.is_within(time)) && shared.is_clock_unset()
    }

    fn judge_time(&self, context: &Context) -> Now {
        if context.dates_open.get() {
            return Now::Unknown;
        }
        Now::At(self.shared().clock.wall().0)
    }

    /// Puts the verdict on the link, and what was proved back into the cache: as much older as the search for keys took.
    fn apply(&self, question: &Question, mut link: Link, verdict: Verdict, began: BootTime, context: &Context) -> Link {
        let mut signed = None;
        let took_s = self.now().secs().saturating_sub(began.secs());
        match verdict {
            Verdict::Secure(secured) if context.dates_open.get() => {
                signed = secured.answer.first().map(|verified| verified.signed);
                link.security = Security::Insecure;
                link.ede = Some(Ede::new(EdeCode::OTHER, "this machine's clock is wrong: signatures fit, their dates were not checked"));
                take_proved(&mut link, *secured);
            }
            Verdict::Secure(secured) => {
                link.security = Security::Secure;
                if secured.proof.as_ref().is_some_and(|proof| proof.opt_out) {
                    link.security = Security::Insecure;
                }
                self.learn_spans(&secured, began, context);
                signed = secured.answer.first().map(|verified| verified.signed);
                take_proved(&mut link, *secured);
                link.age(took_s);
                self.keep_judged(question, &link);
            }
            Verdict::Insecure(ede) => {
                link.security = Security::Insecure;
                link.ede = ede;
                link.age(took_s);
                if !context.dates_open.get() && !link.in_passing {
                    self.keep_judged(question, &link);
                }
            }
            Verdict::Bogus(ede) => {
                link.security = Security::Bogus;
                // An empty budget says nothing of the data: the next question has a full one.
                if context.work.borrow().broke().is_none() && !context.budget.failed_for_want(false) && !link.in_passing {
                    self.keep_bogus(question, &link, &ede);
                }
                link.ede = Some(ede);
            }
        }
        self.tell_proof(question, &link, signed, context);
        link
    }

    fn tell_proof(&self, question: &Question, link: &Link, signed: Option<Signed>, context: &Context) {
        self.tell_chain(&question.name, context);
        context.trace.emit(|| Step::Proof {
            subject: question.to_string(),
            security: link.security,
            detail: link.ede.as_ref().map(|ede| ede.text.clone()).unwrap_or_default(),
            part: Some(Box::new(ChainPart {
                name: question.name.clone(),
                rtype: Some(question.rtype),
                anchored: false,
                keys: Vec::new(),
                signed,
            })),
        });
    }

    /// RFC 4035 4.7: for a short while, with the reason, so that a flood of questions costs no flood of proofs.
    fn keep_bogus(&self, question: &Question, link: &Link, ede: &Ede) {
        let now = self.now();
        if let Found::Denied(denial) = &link.found {
            let mut denial = Denial { security: Security::Bogus, ..denial.clone() };
            if let Some(soa) = &mut denial.soa {
                soa.ttl = soa.ttl.min(BOGUS_S);
            }
            self.cache().put_denial(question, &denial, now);
        }
        let seconds = self.cache().put_failure(question, ede, BOGUS_S, now);
        for set in link.sets() {
            self.cache().mark_security(set, Security::Bogus, Some(seconds), now);
        }
    }

    fn keep_judged(&self, question: &Question, link: &Link) {
        let now = self.now();
        match &link.found {
            Found::Answer { sets, .. } => {
                for set in sets {
                    self.cache().put_set(set, Rank::AuthAnswer, link.security, now);
                }
            }
            // A CNAME that was made from a DNAME is made anew each time.
            Found::Alias { sets, .. } => {
                if let Some(set) = sets.first() {
                    self.cache().put_set(set, Rank::AuthAnswer, link.security, now);
                }
                // Another server's word for it may have been bogus.
                self.cache().remove_failure(question);
            }
            Found::Denied(denial) => {
                self.cache().put_denial(question, denial, now);
            }
            Found::TooLong { .. } => {}
        }
    }
}

enum Verdict {
    Secure(Box<Secured>),
    Insecure(Option<Ede>),
    Bogus(Ede),
}

/// The link in the validator's words. `None` for what signatures cannot speak of.
pub(in crate::resolve) fn reply_of(question: &Question, link: &Link) -> Option<Reply> {
    let reply = |kind, answer: &[RrSet], authority: Vec<RrSet>| {
        Some(Reply { qname: question.name.clone(), qtype: question.rtype, kind, answer: answer.to_vec(), authority })
    };
    match &link.found {
        Found::Answer { sets, proof } => reply(ReplyKind::Answer, sets, proof.clone()),
        Found::Alias { sets, proof, .. } => {
            let first = sets.first()?;
            let kind = if first.rtype == Rtype::DNAME { ReplyKind::Dname } else { ReplyKind::Cname };
            reply(kind, std::slice::from_ref(first), proof.clone())
        }
        Found::Denied(denial) => {
            let kind = match denial.kind {
                DenialKind::NxDomain => ReplyKind::NxDomain,
                // What a referral says about DS has no SOA.
                DenialKind::NoData if question.rtype == Rtype::DS && denial.soa.is_none() => {
                    ReplyKind::Referral { cut: question.name.clone() }
                }
                DenialKind::NoData => ReplyKind::NoData,
            };
            reply(kind, &[], denial.soa.iter().chain(&denial.proof).cloned().collect())
        }
        Found::TooLong { dname } => reply(ReplyKind::Dname, std::slice::from_ref(dname), Vec::new()),
    }
}

fn first_signer(reply: &Reply) -> Option<Name> {
    reply.answer.iter().chain(&reply.authority).find_map(signer_of)
}

/// Replaces what was raw by what was proved, with its shortened TTLs.
fn take_proved(link: &mut Link, secured: Secured) {
    let proved: Vec<RrSet> = secured.answer.into_iter().map(|verified| verified.set.into_inner()).collect();
    let authority: Vec<RrSet> = secured.authority.into_iter().map(|set| set.into_inner()).collect();
    match &mut link.found {
        Found::Answer { sets, proof } => (*sets, *proof) = (proved, authority),
        Found::Alias { sets, proof, .. } => {
            if let Some(first) = proved.into_iter().next() {
                for set in sets.iter_mut() {
                    set.ttl = set.ttl.min(first.ttl);
                }
                sets[0] = first;
            }
            *proof = authority;
        }
        Found::Denied(denial) => {
            let (soa, proof) = authority.into_iter().partition(|set: &RrSet| set.rtype == Rtype::SOA);
            *denial = Denial { soa: Vec::into_iter(soa).next(), proof, security: link.security, kind: denial.kind };
        }
        Found::TooLong { dname } => {
            if let Some(first) = proved.into_iter().next() {
                *dname = first;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_the_second() {
        let failures = PerSecond::default();
        let at = |ms| BootTime(ms);
        assert!(failures.take(FAILED_US_PER_SECOND, at(5_000)));
        assert!(!failures.take(1, at(5_999)));
        assert!(failures.take(1, at(6_000)));
        assert!(!failures.take(FAILED_US_PER_SECOND, at(6_000)));
    }
}
