//! Expired data where servers cannot be reached or fail, or where a broken chain of trust lets nothing new be validated
//! (RFC 8767).

use crate::cache::{CachedDenial, CachedSet, Denial, DenialKind, FailureKind};
use crate::record::{Ede, EdeCode, Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::Failure;
use crate::resolve::context::trace::{CacheHit, Purpose, Step};
use crate::resolve::lookup::aggressive::may_answer_for;
use crate::resolve::lookup::cached::sets_that_answer;
use crate::resolve::question::answer::Answer;
use crate::resolve::question::resolver::Resolver;
use crate::resolve::reply::link::{Found, Link, alias_by_dname};
use crate::validate::{Now, has_expired_signature};

/// What ANY is answered with while servers fail. CNAME excludes the others.
const TYPES_OF_ANY: [Rtype; 19] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::HTTPS,
    Rtype::SVCB,
    Rtype::MX,
    Rtype::TXT,
    Rtype::NS,
    Rtype::SOA,
    Rtype::SRV,
    Rtype::PTR,
    Rtype::CAA,
    Rtype::TLSA,
    Rtype::NAPTR,
    Rtype::SSHFP,
    Rtype::DS,
    Rtype::DNSKEY,
    Rtype::DNAME,
    Rtype::LOC,
    Rtype::URI,
];

impl Resolver {
    /// One validated link of the chain, or expired data where it cannot be had (RFC 8767 4). A client that validates by itself
    /// can have what does not validate here.
    pub(in crate::resolve) async fn link_or_stale(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        match self.validator().link(question, context).await {
            Err(failure) if failure.kind == FailureKind::BogusChain => {
                self.proved_earlier(question, Some(&failure.ede()), context).ok_or(failure)
            }
            Err(failure) if failure.may_serve_stale() => self.stale(question, context).ok_or(failure),
            Ok(link) if link.security == Security::Bogus && link.is_chain_bogus && !context.checking_disabled => {
                Ok(self.proved_earlier(question, link.ede.as_ref(), context).unwrap_or(link))
            }
            result => result,
        }
    }

    /// What was validated before the chain of trust broke. It is not called secure, and the reason goes along.
    fn proved_earlier(&self, question: &Question, reason: Option<&Ede>, context: &Context) -> Option<Link> {
        let link = self.stale(question, context)?;
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
                    if matches!(question.rtype, Rtype::CNAME | Rtype::ANY) {
                        return Some(answer);
                    }
                    name = target;
                }
                Found::Denied(denial) => {
                    answer.rcode = if denial.kind == DenialKind::NxDomain { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                    answer.add_proof(denial.soa.into_iter().chain(denial.proof));
                    return Some(answer);
                }
                Found::TooLong { dname } => {
                    answer.rcode = Rcode::YXDOMAIN;
                    answer.add([dname]);
                    return Some(answer);
                }
            }
        }
        None
    }

    /// One link out of expired data: the newest of it.
    fn stale(&self, question: &Question, context: &Context) -> Option<Link> {
        if !context.routes.serve_stale || context.purpose != Purpose::Client {
            return None;
        }
        if let Some(link) = self.stale_of_all_types(question, context) {
            return Some(link);
        }
        let here = sets_that_answer(question.rtype).flat_map(|rtype| self.stale_sets(&question.name, rtype, context));
        let set = here.chain(self.stale_dname(question, context)).min_by_key(|cached| cached.age_s);
        // A client that gets SERVFAIL for one address family may not use the other. But a server that denies one type by denying
        // the name is more common than a name that has gone: only a proof counts more than data.
        let newer =
            |denied: &CachedDenial| set.as_ref().is_none_or(|cached| denied.last_judged == Security::Secure && denied.age_s < cached.age_s);
        let usable = |denied: &CachedDenial| may_be_stale(denied.last_judged, context);
        let denials = self.network().cache().denials();
        let denied = denials.all_stale(question, self.network().now());
        let denied = denied.filter(usable).filter(newer).min_by_key(|denied| denied.age_s);
        let age_s = denied.as_ref().map(|denied| denied.age_s).or_else(|| set.as_ref().map(|cached| cached.age_s))?;
        context.trace.emit(|| Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s, ttl_s: 0 });
        match denied {
            Some(denied) => Some(self.link_of_denial(denied, context)),
            None => self.link_of_set(question, set?, context),
        }
    }

    /// For ANY the sets of the types that are asked for most, as far as they are held (RFC 8482 4.1 lets the answer be a part of
    /// what there is). BIND does so from its whole cache, Unbound from a list of types too, while they are live.
    fn stale_of_all_types(&self, question: &Question, context: &Context) -> Option<Link> {
        if question.rtype != Rtype::ANY {
            return None;
        }
        let newest = |rtype| self.stale_sets(&question.name, rtype, context).min_by_key(|cached| cached.age_s);
        let found: Vec<CachedSet> = TYPES_OF_ANY.iter().copied().filter_map(newest).collect();
        let age_s = found.iter().map(|cached| cached.age_s).min()?;
        // Another type beside an alias is what the name had before the alias, or has now.
        if newest(Rtype::CNAME).is_some_and(|alias| alias.age_s <= age_s) {
            return None;
        }
        let denials = self.network().cache().denials();
        let is_newer = |denied: CachedDenial| denied.last_judged == Security::Secure && denied.age_s < age_s;
        if denials.all_stale(question, self.network().now()).any(is_newer) {
            return None;
        }
        context.trace.emit(|| Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s, ttl_s: 0 });
        let security = found.iter().map(|cached| cached.security).min_by_key(|security| *security == Security::Secure)?;
        let sets: Vec<RrSet> = found.into_iter().map(|cached| RrSet { ttl: stale_ttl(cached.set.ttl, context), ..cached.set }).collect();
        let security = self.proved_still(security, &sets);
        Some(Link { security, stale: true, ..Link::new(Found::Answer { sets, proof: Vec::new() }) })
    }

    /// As it is known now, and as it was last validated.
    fn stale_sets(&self, name: &Name, rtype: Rtype, context: &Context) -> impl Iterator<Item = CachedSet> + use<> {
        let (sets, now) = (self.network().cache().sets(), self.network().now());
        let usable = |cached: &CachedSet| cached.rank.may_answer() && may_be_stale(cached.last_judged, context);
        [sets.get_stale(name, rtype, now).filter(usable), sets.get_proved(name, rtype, now).filter(usable)].into_iter().flatten()
    }

    /// One forged DNAME would redirect a whole subtree, so it must have been secure.
    fn stale_dname(&self, question: &Question, context: &Context) -> Option<CachedSet> {
        let owners = (1..question.name.label_count()).rev().map(|labels| question.name.suffix(labels));
        let mut found = owners.flat_map(|owner| self.stale_sets(&owner, Rtype::DNAME, context));
        let is_secure = |cached: &CachedSet| cached.last_judged == Security::Secure;
        found.find(|cached| is_secure(cached) && may_answer_for(self.network(), &cached.set.name, question, context))
    }

    /// The DNAME that an unsigned CNAME was made from (RFC 6672 3.1: both are in the answer).
    fn stale_dname_behind(&self, cname: &RrSet, target: &Name, context: &Context) -> Option<RrSet> {
        let owners = (1..cname.name.label_count()).rev().filter(|_| cname.sigs.is_empty()).map(|labels| cname.name.suffix(labels));
        let mut found = owners.flat_map(|owner| self.stale_sets(&owner, Rtype::DNAME, context)).map(|cached| cached.set);
        let makes_it = |dname: &RrSet| dname.target().and_then(|to| cname.name.rebase(&dname.name, &to)).as_ref() == Some(target);
        found.find(makes_it).map(|dname| RrSet { ttl: stale_ttl(dname.ttl, context), ..dname })
    }

    fn link_of_set(&self, question: &Question, cached: CachedSet, context: &Context) -> Option<Link> {
        let set = RrSet { ttl: stale_ttl(cached.set.ttl, context), ..cached.set };
        let link = match set.rtype {
            rtype if rtype == question.rtype && set.name == question.name => {
                Link::new(Found::Answer { sets: vec![set], proof: Vec::new() })
            }
            Rtype::DNAME => alias_by_dname(&question.name, set)?,
            _ => {
                let target = set.target()?;
                let dname = self.stale_dname_behind(&set, &target, context);
                Link::new(Found::Alias { target, sets: dname.into_iter().chain([set]).collect(), proof: Vec::new() })
            }
        };
        let security = self.proved_still(cached.security, link.sets());
        Some(Link { security, stale: true, ..link })
    }

    fn link_of_denial(&self, denied: CachedDenial, context: &Context) -> Link {
        let CachedDenial { kind, mut soa, mut proof, security, relayed, .. } = denied;
        for set in soa.iter_mut().chain(&mut proof) {
            set.ttl = stale_ttl(set.ttl, context);
        }
        let security = self.proved_still(security, soa.iter().chain(&proof));
        Link { security, stale: true, ..Link::new(Found::Denied(Denial { kind, soa, proof, security, relayed })) }
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
}

/// What has not expired ends at its own time.
fn stale_ttl(left: u32, context: &Context) -> u32 {
    let stale_ttl_s = context.routes.limits.stale_ttl_s;
    if left == 0 { stale_ttl_s } else { left.min(stale_ttl_s) }
}

/// Never bogus data, nor data that was never validated: a forged reply would only have to delay its validation.
fn may_be_stale(last_judged: Security, context: &Context) -> bool {
    match last_judged {
        Security::Bogus => false,
        Security::Indeterminate => !context.routes.recursion.dnssec,
        Security::Secure | Security::Insecure => true,
    }
}
