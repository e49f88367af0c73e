//! Expired data where servers cannot be reached or fail, or where a broken chain of trust lets nothing new be validated
//! (RFC 8767).

use crate::cache::{CachedDenial, CachedSet, Denial, DenialKind, FailureKind};
use crate::record::{Ede, EdeCode, Question, Rcode, RrSet, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::Failure;
use crate::resolve::context::trace::{CacheHit, Purpose, Step};
use crate::resolve::lookup::cached::sets_that_answer;
use crate::resolve::question::answer::Answer;
use crate::resolve::question::resolver::Resolver;
use crate::resolve::reply::link::{Found, Link};
use crate::validate::{Now, has_expired_signature};

impl Resolver {
    /// One validated link of the chain, or expired data where it cannot be had.
    pub(in crate::resolve) async fn link_or_stale(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        match self.validator().link(question, context).await {
            Err(failure) if failure.kind == FailureKind::BogusChain => {
                self.proved_earlier(question, Some(&failure.ede()), context).ok_or(failure)
            }
            Err(failure) if failure.may_serve_stale() => self.stale(question, context).ok_or(failure),
            Ok(link) if link.security == Security::Bogus && link.is_chain_bogus => {
                Ok(self.proved_earlier(question, link.ede.as_ref(), context).unwrap_or(link))
            }
            result => result,
        }
    }

    /// What was proved before the chain of trust broke. It is not called secure, and the reason goes along.
    fn proved_earlier(&self, question: &Question, reason: Option<&Ede>, context: &Context) -> Option<Link> {
        let link = self.stale(question, context).filter(|link| link.security == Security::Secure)?;
        let text = reason.map(|ede| ede.text.clone()).unwrap_or_default();
        Some(Link { security: Security::Indeterminate, ede: Some(Ede::new(EdeCode::DNSSEC_BOGUS, text)), ..link })
    }

    /// A whole answer out of expired data; each link of the chain must be usable.
    pub(in crate::resolve) fn stale_answer(&self, question: &Question, context: &Context) -> Option<Answer> {
        let mut name = question.name.clone();
        let mut answer = Answer { stale: true, ..Answer::new() };
        for _ in 0..=context.routes.limits.aliases {
            let here = Question::new(name, question.rtype);
            let link = self.stale(&here, context)?;
            answer.weaken(&link);
            match link.found {
                Found::Answer { sets, .. } => {
                    answer.add(sets);
                    return Some(answer);
                }
                Found::Alias { sets, target, .. } => {
                    answer.add(sets);
                    name = target;
                }
                Found::Denied(denial) => {
                    answer.rcode = if denial.kind == DenialKind::NxDomain { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                    answer.add_proof(denial.soa.into_iter().chain(denial.proof));
                    return Some(answer);
                }
                Found::TooLong { .. } => return None,
            }
        }
        None
    }

    /// One link out of expired data.
    fn stale(&self, question: &Question, context: &Context) -> Option<Link> {
        if !context.routes.serve_stale || context.purpose != Purpose::Client {
            return None;
        }
        let now = self.network().now();
        for rtype in sets_that_answer(question.rtype) {
            let cache = self.network().cache();
            let usable = |cached: &CachedSet| cached.rank.may_answer() && self.may_be_stale(cached.security, cached.age_s, context);
            let expired = cache.sets().get_stale(&question.name, rtype, now).filter(usable);
            let Some(mut cached) = expired.or_else(|| cache.sets().get_proved(&question.name, rtype, now).filter(usable)) else { continue };
            context.trace.emit(|| Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s: cached.age_s, ttl_s: 0 });
            cached.set.ttl = context.routes.limits.stale_ttl_s;
            let mut link = Link::new(if rtype == question.rtype {
                Found::Answer { sets: vec![cached.set], proof: Vec::new() }
            } else {
                Found::Alias { target: cached.set.target()?, sets: vec![cached.set], proof: Vec::new() }
            });
            link.security = self.proved_still(cached.security, link.sets());
            link.stale = true;
            return Some(link);
        }
        self.stale_denial(question, context)
    }

    /// A denial too: a client that gets SERVFAIL for one address family may not use the other.
    fn stale_denial(&self, question: &Question, context: &Context) -> Option<Link> {
        let (cache, now) = (self.network().cache(), self.network().now());
        let usable = |denied: &CachedDenial| self.may_be_stale(denied.security, denied.age_s, context);
        let expired = cache.denials().get_stale(question, now).filter(usable);
        let denied = expired.or_else(|| cache.denials().get_proved(question, now).filter(usable))?;
        context.trace.emit(|| Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s: denied.age_s, ttl_s: 0 });
        let CachedDenial { kind, mut soa, mut proof, security, .. } = denied;
        for set in soa.iter_mut().chain(&mut proof) {
            set.ttl = context.routes.limits.stale_ttl_s;
        }
        let security = self.proved_still(security, soa.iter().chain(&proof));
        let found = Found::Denied(Denial { kind, soa, proof, security });
        Some(Link { security, stale: true, ..Link::new(found) })
    }

    /// RFC 8767 4: expired data is used as if its TTL had not expired, so it stays Secure, but only as long as its signatures
    /// are valid (RFC 4035 5.3.3).
    fn proved_still<'a>(&self, security: Security, sets: impl IntoIterator<Item = &'a RrSet>) -> Security {
        let state = self.validator().state();
        let now = if state.is_clock_unset() { Now::Unknown } else { Now::At(state.clock().wall().0) };
        match security {
            Security::Secure if sets.into_iter().any(|set| has_expired_signature(set, now)) => Security::Indeterminate,
            security => security,
        }
    }

    /// Never bogus data, nor data that was not validated: a forged reply would only have to delay its validation. Data from
    /// before this start of the server was validated then.
    fn may_be_stale(&self, security: Security, age_s: u32, context: &Context) -> bool {
        let uptime = self.network().now().since(self.validator().state().clock_watch.started());
        match security {
            Security::Bogus => false,
            Security::Indeterminate => !context.routes.recursion.dnssec || u64::from(age_s) > uptime.as_secs() + 1,
            Security::Secure | Security::Insecure => true,
        }
    }
}
