//! Answers from the cache: RRsets, aliases, validated DNAMEs, denials, and failures of a moment ago.

use crate::cache::{CachedSet, Denial, DenialKind, FailureKind};
use crate::env::BootTime;
use crate::record::{Name, Question, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::trace::{CacheHit, Purpose, Step};
use crate::resolve::delegation::zone_cut;
use crate::resolve::lookup::aggressive::may_answer_for;
use crate::resolve::network::network::Network;
use crate::resolve::reply::link::{Found, Link, alias_by_dname};

/// The answer of the cache, if it has one.
pub(in crate::resolve) fn cached(network: &Network, question: &Question, context: &Context) -> Option<Result<Link, Failure>> {
    let now = network.now();
    let cache = network.cache();
    if context.purpose == Purpose::Prefetch {
        return None;
    }
    let hit = |what: CacheHit, age_s: u32, ttl_s: u32| {
        context.trace.emit(|| Step::CacheHit { question: question.clone(), what, age_s, ttl_s });
    };
    if question.rtype != Rtype::ANY {
        for rtype in sets_that_answer(question.rtype) {
            let Some(cached) = cache.sets().get(&question.name, rtype, now).filter(|cached| cached.rank.may_answer()) else { continue };
            let what = if rtype == question.rtype { CacheHit::Set } else { CacheHit::Alias };
            hit(what, cached.age_s, cached.set.ttl);
            if cached.due_for_prefetch && context.routes.prefetch {
                context.due_for_refresh.borrow_mut().push(question.clone());
            }
            if context.routes.recursion.dnssec
                && !matches!(cached.security, Security::Insecure | Security::Bogus)
                && is_expanded(&cached.set)
            {
                // Expanded from a wildcard: the proof that no closer name exists came with the reply and was not stored.
                continue;
            }
            let target = cached.set.target();
            let dname = target.as_ref().and_then(|target| dname_behind(network, &cached, target, now));
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
        if let Some(link) = cached_dname(network, question, now, context) {
            hit(CacheHit::Alias, 0, 0);
            return Some(Ok(link));
        }
    }
    // Addresses of servers are not validated. What was rejected for a client may have been forged, and is asked for again; what
    // a client no longer waited for may be on its way.
    let is_validated = context.purpose != Purpose::ServerAddress;
    let denied = cache.denials().get(question, now).filter(|denied| is_validated || denied.security != Security::Bogus);
    // A proof without SOA, from a referral, serves the chain of trust; a client is given the parent's own answer.
    let is_whole =
        |denied: &crate::cache::CachedDenial| question.rtype != Rtype::DS || denied.soa.is_some() || matches!(context.purpose, Purpose::Ds);
    if let Some(denied) = denied.filter(is_whole) {
        let what = if denied.kind == DenialKind::NxDomain { CacheHit::NxDomain } else { CacheHit::NoData };
        hit(what, denied.age_s, denied.ttl);
        let security = denied.security;
        let denial = Denial { kind: denied.kind, soa: denied.soa, proof: denied.proof, security, relayed: denied.relayed };
        let zone = zone_cut::deepest_zone(cache, &question.name, question.rtype, now);
        return Some(Ok(Link { security, zone, ..Link::new(Found::Denied(denial)) }));
    }
    // A failure keeps queries from being sent (RFC 9520). Where none would be sent, a referral says more.
    // That data did not validate keeps no client from it that validates by itself.
    let may_be_bogus = !is_validated || context.purpose == Purpose::Client && context.checking_disabled;
    let counts = |kind| match kind {
        FailureKind::LookUp => !context.cache_only,
        FailureKind::GivenUp => !context.cache_only && is_validated,
        FailureKind::BogusData | FailureKind::BogusChain => !context.cache_only && !may_be_bogus,
    };
    if let Some(failed) = cache.failures().get(question, now).filter(|failed| counts(failed.kind)) {
        hit(CacheHit::Failure, failed.age_s, failed.ttl);
        let failure = Failure { kind: failed.kind, ..Failure::new(question.name.clone(), Cause::Remembered(failed.ede)) };
        return Some(Err(failure));
    }
    None
}

/// The DNAME that a cached CNAME was made from: without it the client could not validate the alias (RFC 6672 5.3.1).
fn dname_behind(network: &Network, cname: &CachedSet, target: &Name, now: BootTime) -> Option<RrSet> {
    let owner = &cname.set.name;
    let found =
        (1..owner.label_count()).rev().filter(|_| cname.set.rtype == Rtype::CNAME && cname.set.sigs.is_empty()).find_map(|count| {
            let dname = network.cache().sets().get(&owner.suffix(count), Rtype::DNAME, now)?;
            Some(dname).filter(|dname| dname.rank.may_answer() && dname.security == cname.security)
        })?;
    let made = owner.rebase(&found.set.name, &found.set.target()?)?;
    (made == *target).then_some(found.set)
}

/// RFC 6672 3.3: a DNAME in the cache answers for every name below it, if it is secure.
fn cached_dname(network: &Network, question: &Question, now: BootTime, context: &Context) -> Option<Link> {
    let labels = question.name.label_count();
    for count in (1..labels).rev() {
        let owner = question.name.suffix(count);
        // One forged DNAME would redirect a whole subtree.
        let is_secure = |cached: &CachedSet| cached.rank.may_answer() && cached.security == Security::Secure;
        let cached = network.cache().sets().get(&owner, Rtype::DNAME, now).filter(is_secure);
        if let Some(cached) = cached.filter(|_| may_answer_for(network, &owner, question, context)) {
            let mut link = alias_by_dname(&question.name, cached.set)?;
            link.security = cached.security;
            return Some(link);
        }
    }
    None
}

/// The type that was asked for, and CNAME in its place. RRSIG and NSEC records exist beside a CNAME (RFC 4035 2.5).
pub(in crate::resolve) fn sets_that_answer(qtype: Rtype) -> impl Iterator<Item = Rtype> {
    let beside = matches!(qtype, Rtype::RRSIG | Rtype::NSEC);
    [qtype, Rtype::CNAME].into_iter().take(if beside { 1 } else { 2 })
}

/// Does a signature say that the set was made from a wildcard (RFC 4035 5.3.4)?
fn is_expanded(set: &RrSet) -> bool {
    let labels = set.name.label_count() - usize::from(set.name.is_wildcard());
    set.sigs.iter().any(|rrsig| rrsig.get(3).is_some_and(|signed| usize::from(*signed) < labels))
}
