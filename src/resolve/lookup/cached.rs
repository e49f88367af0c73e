//! What can be said without asking anybody: from the cache, from a proved DNAME in it, or, where asking has
//! failed, from what has expired (RFC 8767).

use crate::cache::{CachedDenial, CachedSet, Denial, DenialKind};
use crate::env::BootTime;
use crate::record::{Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::trace::{CacheHit, Purpose, Step};
use crate::resolve::delegation::zone_cut;
use crate::resolve::iterate::store_reply::alias_by_dname;
use crate::resolve::question::cname_chain::Answer;
use crate::resolve::reply::link::{Found, Link};
use crate::resolve::resolver::Resolver;

impl Resolver {
    /// Has a shortened question been answered before, with data, an alias or their absence, so that asking it again
    /// would show nothing new?
    pub(in crate::resolve) fn is_known(&self, part: &Question) -> bool {
        let now = self.now();
        let denied = || self.cache().get_denial(part, now).is_some_and(|denial| denial.kind == DenialKind::NoData);
        let held = |rtype| self.cache().get_set(&part.name, rtype, now).is_some_and(|cached| cached.rank.may_answer());
        held(part.rtype) || held(Rtype::CNAME) || denied()
    }

    /// What the cache can say without asking anybody.
    pub(in crate::resolve) fn cached(&self, question: &Question, context: &Context) -> Option<Result<Link, Failure>> {
        let now = self.now();
        let cache = self.cache();
        if context.purpose == Purpose::Prefetch {
            return None;
        }
        let hit = |what: CacheHit, age_s: u32, ttl_s: u32| {
            context.trace.emit(|| Step::CacheHit { question: question.clone(), what, age_s, ttl_s });
        };
        if question.rtype != Rtype::ANY {
            for rtype in sets_that_answer(question.rtype) {
                let Some(cached) = cache.get_set(&question.name, rtype, now).filter(|cached| cached.rank.may_answer()) else { continue };
                let what = if rtype == question.rtype { CacheHit::Set } else { CacheHit::Alias };
                hit(what, cached.age_s, cached.set.ttl);
                if cached.due_for_prefetch && context.routes.prefetch {
                    self.refresh(question, context);
                }
                if context.routes.recursion.dnssec
                    && !matches!(cached.security, Security::Insecure | Security::Bogus)
                    && is_expanded(&cached.set)
                {
                    // Made from a wildcard: the proof that it may be came with the reply and was not kept.
                    continue;
                }
                let target = cached.set.target();
                let dname = target.as_ref().and_then(|target| self.dname_behind(&cached, target, now));
                let sets = dname.into_iter().chain([cached.set]).collect();
                let mut link = Link::new(if rtype == question.rtype {
                    Found::Answer { sets, proof: Vec::new() }
                } else {
                    Found::Alias { target: target?, sets, proof: Vec::new() }
                });
                link.security = cached.security;
                link.zone = zone_cut::deepest_zone(cache, &question.name, question.rtype, now);
                return Some(Ok(link));
            }
            if let Some(link) = self.cached_dname(question, now) {
                hit(CacheHit::Alias, 0, 0);
                return Some(Ok(link));
            }
        }
        let denied = cache.get_denial(question, now);
        // What a referral says of DS serves the chain; a client is to get the parent's own answer, with its SOA.
        let is_whole = |denied: &crate::cache::CachedDenial| {
            question.rtype != Rtype::DS || denied.soa.is_some() || matches!(context.purpose, Purpose::Ds)
        };
        if let Some(denied) = denied.filter(is_whole) {
            let what = if denied.kind == DenialKind::NxDomain { CacheHit::NxDomain } else { CacheHit::NoData };
            hit(what, denied.age_s, denied.ttl);
            let security = denied.security;
            let denial = Denial { kind: denied.kind, soa: denied.soa, proof: denied.proof, security };
            let zone = zone_cut::deepest_zone(cache, &question.name, question.rtype, now);
            return Some(Ok(Link { security, zone, ..Link::new(Found::Denied(denial)) }));
        }
        if let Some(failed) = cache.get_failure(question, now) {
            hit(CacheHit::Failure, failed.age_s, failed.ttl);
            let failure = Failure::new(question.name.clone(), Cause::Remembered(failed.ede));
            return Some(self.stale(question, context).ok_or(failure));
        }
        None
    }

    /// The DNAME that a cached CNAME was made from: without it the client could not prove the alias (RFC 6672 5.3.1).
    fn dname_behind(&self, cname: &CachedSet, target: &Name, now: BootTime) -> Option<RrSet> {
        let owner = &cname.set.name;
        let found =
            (1..owner.label_count()).rev().filter(|_| cname.set.rtype == Rtype::CNAME && cname.set.sigs.is_empty()).find_map(|count| {
                let dname = self.cache().get_set(&owner.suffix(count), Rtype::DNAME, now)?;
                Some(dname).filter(|dname| dname.rank.may_answer() && dname.security == cname.security)
            })?;
        let made = owner.rebase(&found.set.name, &found.set.target()?)?;
        (made == *target).then_some(found.set)
    }

    /// RFC 6672 3.3: a DNAME in the cache answers for every name below it, once it is proved.
    fn cached_dname(&self, question: &Question, now: BootTime) -> Option<Link> {
        let labels = question.name.label_count();
        for count in (1..labels).rev() {
            let owner = question.name.suffix(count);
            // Unproved, one forged DNAME would turn a whole tree.
            let proved = |cached: &CachedSet| cached.rank.may_answer() && cached.security == Security::Secure;
            if let Some(cached) = self.cache().get_set(&owner, Rtype::DNAME, now).filter(proved) {
                let mut link = alias_by_dname(&question.name, cached.set)?;
                link.security = cached.security;
                return Some(link);
            }
        }
        None
    }

    /// A whole answer out of expired data: each alias link judged on its own.
    pub(in crate::resolve) fn stale_answer(&self, question: &Question, context: &Context) -> Option<Answer> {
        let mut name = question.name.clone();
        let mut answer = Answer { stale: true, security: Security::Indeterminate, ..Answer::new() };
        for _ in 0..=context.routes.limits.aliases {
            let here = Question::new(name, question.rtype);
            let link = self.stale(&here, context)?;
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
                    answer.prove_by(denial.soa.into_iter().chain(denial.proof));
                    return Some(answer);
                }
                Found::TooLong { .. } => return None,
            }
        }
        None
    }

    /// RFC 8767: expired data, where asking has failed.
    pub(in crate::resolve) fn stale(&self, question: &Question, context: &Context) -> Option<Link> {
        if !context.routes.serve_stale || context.purpose != Purpose::Client {
            return None;
        }
        let now = self.now();
        for rtype in sets_that_answer(question.rtype) {
            let Some(mut cached) = self.cache().get_set_stale(&question.name, rtype, now).filter(|cached| cached.rank.may_answer()) else {
                continue;
            };
            if !self.may_be_stale(cached.security, cached.age_s, context) {
                continue;
            }
            context.trace.emit(|| Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s: cached.age_s, ttl_s: 0 });
            cached.set.ttl = context.routes.limits.stale_ttl_s;
            let mut link = Link::new(if rtype == question.rtype {
                Found::Answer { sets: vec![cached.set], proof: Vec::new() }
            } else {
                Found::Alias { target: cached.set.target()?, sets: vec![cached.set], proof: Vec::new() }
            });
            link.security = cached.security;
            link.stale = true;
            return Some(link);
        }
        self.stale_denial(question, context)
    }

    /// A client that is told SERVFAIL for the one family of addresses may well do without the other.
    fn stale_denial(&self, question: &Question, context: &Context) -> Option<Link> {
        let denied = self.cache().get_denial_stale(question, self.now())?;
        if !self.may_be_stale(denied.security, denied.age_s, context) {
            return None;
        }
        context.trace.emit(|| Step::CacheHit { question: question.clone(), what: CacheHit::Stale, age_s: denied.age_s, ttl_s: 0 });
        let CachedDenial { kind, mut soa, mut proof, security, .. } = denied;
        for set in soa.iter_mut().chain(&mut proof) {
            set.ttl = context.routes.limits.stale_ttl_s;
        }
        let found = Found::Denied(Denial { kind, soa, proof, security });
        Some(Link { security, stale: true, ..Link::new(found) })
    }

    /// Never over bogus, nor over what nobody has proved yet: a forged reply would only have to keep its proof waiting. What
    /// an earlier life of this server left was judged then.
    fn may_be_stale(&self, security: Security, age_s: u32, context: &Context) -> bool {
        let uptime = self.now().since(self.shared().clock_watch.started());
        match security {
            Security::Bogus => false,
            Security::Indeterminate => !context.routes.recursion.dnssec || u64::from(age_s) > uptime.as_secs() + 1,
            Security::Secure | Security::Insecure => true,
        }
    }

    /// The servers of the deepest known cut above `name`: what a question without RD is referred to (RFC 1034 4.3.1).
    pub fn known_servers(&self, name: &Name) -> Option<RrSet> {
        let now = self.now();
        let cut = zone_cut::deepest_known(self.cache(), name, Rtype::A, now)?;
        let own = self.cache().get_set(&cut.zone, Rtype::NS, now).filter(|own| own.rank.may_answer());
        own.map(|own| own.set).or_else(|| cut.ns_set())
    }
}

/// What was asked for, and the alias there may be in its place. RRSIG and NSEC records stand beside a CNAME (RFC 4035 2.5).
fn sets_that_answer(qtype: Rtype) -> impl Iterator<Item = Rtype> {
    let beside = matches!(qtype, Rtype::RRSIG | Rtype::NSEC);
    [qtype, Rtype::CNAME].into_iter().take(if beside { 1 } else { 2 })
}

/// Does a signature say that the set was made from a wildcard (RFC 4035 5.3.4)?
fn is_expanded(set: &RrSet) -> bool {
    let labels = set.name.label_count() - usize::from(set.name.is_wildcard());
    set.sigs.iter().any(|rrsig| rrsig.get(3).is_some_and(|signed| usize::from(*signed) < labels))
}
