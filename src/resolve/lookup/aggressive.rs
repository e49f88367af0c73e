//! Answers synthesised from proofs in the cache (RFC 8198): names in a range that an NSEC or NSEC3 record denies, expansions
//! of a wildcard, and names below one that does not exist (RFC 8020). From secure data only.

use crate::cache::{CachedSet, Denial, DenialKind, NsecRangeZone, Place};
use crate::env::BootTime;
use crate::limits::ValidationLimits;
use crate::record::{Name, Question, RrSet, Rtype, Security, Validated};
use crate::resolve::context::context::Context;
use crate::resolve::context::trace::{CacheHit, Purpose, Step};
use crate::resolve::network::network::Network;
use crate::resolve::reply::link::{Found, Link};
use crate::validate::{
    DenialForm, DenialKey, Nsec3Params, Proved, Secured, Synthesis, SynthesisKind, WorkBudget, expand_wildcard, nsec3_place, signer_of,
    synthesize,
};

/// The link that proofs in the cache give for `question`, if they do.
pub(in crate::resolve) fn synthesised(network: &Network, question: &Question, context: &Context) -> Option<Link> {
    let serves = matches!(context.purpose, Purpose::Client | Purpose::ServerAddress);
    if !serves || !context.routes.recursion.dnssec || question.rtype == Rtype::ANY {
        return None;
    }
    let link = below_nxdomain(network, question, context).or_else(|| from_ranges(network, question, context))?;
    store_denial(network, question, &link, context);
    context.trace.emit(|| {
        let ttl_s = match &link.found {
            Found::Denied(denial) => denial.soa.as_ref().map_or(0, |soa| soa.ttl),
            _ => link.sets().first().map_or(0, |set| set.ttl),
        };
        let what = match &link.found {
            Found::Denied(denial) if denial.kind == DenialKind::NxDomain => CacheHit::NxDomain,
            Found::Denied(_) => CacheHit::NoData,
            Found::Alias { .. } => CacheHit::Alias,
            Found::Answer { .. } | Found::TooLong { .. } => CacheHit::Set,
        };
        Step::CacheHit { question: question.clone(), what, age_s: 0, ttl_s }
    });
    Some(link)
}

/// The types that clients ask for together are kept one by one too, as if a server had denied them: a client that gets no answer
/// for one of them, once nothing new validates, may not use the others (RFC 8767). Other types would only fill the cache.
fn store_denial(network: &Network, question: &Question, link: &Link, context: &Context) {
    let is_asked_together = question.rtype.is_address() || question.rtype == Rtype::HTTPS;
    if let Found::Denied(denial) = &link.found
        && denial.kind == DenialKind::NoData
        && is_asked_together
        && context.purpose == Purpose::Client
        && context.routes.serve_stale
    {
        network.cache().denials().put(question, denial, network.now());
    }
}

/// Stores the ranges and wildcards of a validated reply, which was `received` before its validation began.
pub(in crate::resolve) fn store_ranges(network: &Network, secured: &Secured, received: BootTime, context: &Context) {
    if !context.routes.aggressive_nsec {
        return;
    }
    for set in &secured.authority {
        let Some(zone) = signer_of(set.get()) else { continue };
        match set.get().rtype {
            Rtype::NSEC => store_range(network, &zone, Place::Name(&set.get().name), set, received),
            Rtype::SOA => store_range(network, &zone, Place::Soa, set, received),
            Rtype::NSEC3 => {
                if let Some((params, hash)) = nsec3_place(set.get(), &zone) {
                    let params = [&params.iterations.to_be_bytes()[..], &params.salt].concat();
                    store_range(network, &zone, Place::Hash { hash: &hash, params: &params }, set, received);
                }
            }
            _ => {}
        }
    }
    for verified in &secured.answer {
        let set = verified.set.get();
        let above = verified.wildcard.clone().or_else(|| set.name.parent().filter(|_| set.name.is_wildcard()));
        if let (Some(above), Some(zone)) = (above, signer_of(set)) {
            store_range(network, &zone, Place::Wildcard(&above, set.rtype), &verified.set, received);
        }
    }
}

fn store_range(network: &Network, zone: &Name, place: Place<'_>, set: &Validated<RrSet>, received: BootTime) {
    let cache = network.cache();
    cache.nsec_ranges().put(zone, place, set.clone(), cache.limits().negative_max_ttl, received);
}

/// RFC 8020 2: no name exists below one that is proved not to exist. The proof is as close as the zone that gives it: a forwarder
/// that relays a denial of the root still has names of its own below.
fn below_nxdomain(network: &Network, question: &Question, context: &Context) -> Option<Link> {
    let (above, denied) = network.cache().denials().get_nxdomain_above(&question.name, network.now())?;
    let denied_by = denied.soa.as_ref().map_or(&above, |soa| &soa.name);
    if !may_answer_for(network, denied_by, question, context) {
        return None;
    }
    let denial = Denial { kind: denied.kind, soa: denied.soa, proof: denied.proof, security: denied.security, relayed: false };
    Some(Link { security: Security::Secure, zone: Some(above), ..Link::new(Found::Denied(denial)) })
}

fn from_ranges(network: &Network, question: &Question, context: &Context) -> Option<Link> {
    if !context.routes.aggressive_nsec {
        return None;
    }
    let found = network.cache().nsec_ranges().zone_of(&question.lowest_apex(), network.now())?;
    if !may_answer_for(network, &found.zone, question, context) {
        return None;
    }
    let made = synthesis(network, question, &found, context)?;
    let proof: Vec<RrSet> = made.proof.iter().map(|set| set.get().clone()).collect();
    let found_link = match &made.kind {
        SynthesisKind::NxDomain => denied(DenialKind::NxDomain, &found, &made, proof)?,
        SynthesisKind::NoData => denied(DenialKind::NoData, &found, &made, proof)?,
        SynthesisKind::Wildcard { closest_encloser } => expanded(network, question, closest_encloser, &found.zone, proof)?,
    };
    Some(Link { security: Security::Secure, zone: Some(found.zone), ..Link::new(found_link) })
}

fn synthesis(network: &Network, question: &Question, found: &NsecRangeZone, context: &Context) -> Option<Synthesis> {
    let (nsec_ranges, now) = (network.cache().nsec_ranges(), network.now());
    let params = match &found.hashed {
        Some(nsec3) => Some(Nsec3Params::of(nsec3.get(), &found.zone)?),
        None => None,
    };
    let form = params.as_ref().map_or(DenialForm::Nsec, DenialForm::Nsec3);
    let by_wildcard = |above: &Name, rtype| nsec_ranges.find(&found.zone, Place::Wildcard(above, rtype), now);
    let find = |key: DenialKey<'_>| match key {
        DenialKey::Nsec(name) => nsec_ranges.find(&found.zone, Place::Name(name), now),
        DenialKey::Nsec3(hash) => nsec_ranges.find(&found.zone, Place::Hash { hash, params: &[] }, now),
        DenialKey::Wildcard(above) => by_wildcard(above, question.rtype).or_else(|| by_wildcard(above, Rtype::CNAME)),
    };
    let has_data = |owner: &Name, rtype| {
        let has_expansion = |above: Name| by_wildcard(&above, rtype).is_some();
        let is_proved = |cached: CachedSet| cached.security == Security::Secure && cached.rank.may_answer();
        owner.is_wildcard() && owner.parent().is_some_and(has_expansion)
            || network.cache().sets().get(owner, rtype, now).is_some_and(is_proved)
    };
    // A budget of its own: where it does not suffice a server is asked, and the question can still pay for that proof.
    let blocks = context.routes.limits.inferred_nsec3_blocks;
    let mut work = WorkBudget::new(ValidationLimits { nsec3_blocks: blocks, ..ValidationLimits::default() });
    let proved = Proved { find, has_data };
    synthesize((&question.name, question.rtype), &found.zone, form, found.soa.as_ref(), proved, &mut work)
}

/// The RRset of the wildcard, expanded to this name.
fn expanded(network: &Network, question: &Question, closest_encloser: &Name, zone: &Name, proof: Vec<RrSet>) -> Option<Found> {
    let of_type = |rtype| {
        let source = network.cache().nsec_ranges().find(zone, Place::Wildcard(closest_encloser, rtype), network.now())?;
        Some(expand_wildcard(&question.name, closest_encloser, &source)?.into_inner())
    };
    if let Some(set) = of_type(question.rtype) {
        return Some(Found::Answer { sets: vec![set], proof });
    }
    let alias = of_type(Rtype::CNAME)?;
    Some(Found::Alias { target: alias.target()?, sets: vec![alias], proof })
}

/// Whether data of `zone` may answer for the name: not if validation has been turned off there since, and not if a trust anchor
/// (RFC 4035 4.3), a rule or a hosted zone covers the name more closely.
pub(in crate::resolve) fn may_answer_for(network: &Network, zone: &Name, question: &Question, context: &Context) -> bool {
    let name = &question.name;
    let routes = &context.routes;
    routes.turned_off(name, network.clock().wall()).is_none()
        && routes.anchored(&question.lowest_apex()).is_none_or(|anchor| zone.is_within(anchor))
        && routes.rule_for(name).is_none_or(|rule| zone.is_within(&rule.zone))
        && context.local.delegation(name).is_none_or(|held| zone.is_within(&held.ns.name))
}

fn denied(kind: DenialKind, found: &NsecRangeZone, made: &Synthesis, proof: Vec<RrSet>) -> Option<Found> {
    let soa = found.soa.clone()?.shortened(made.ttl).into_inner();
    Some(Found::Denied(Denial { kind, soa: Some(soa), proof, security: Security::Secure, relayed: false }))
}
