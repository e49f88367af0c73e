//! Answers that follow from what was proved before, without asking anybody: names inside a span that an NSEC or
//! NSEC3 record denies, what a wildcard gives to one more name (RFC 8198), and names below one that does not exist
//! (RFC 8020). Secure data only.

use crate::cache::{Denial, DenialKind, NsecRangeZone, Place};
use crate::env::BootTime;
use crate::record::{Name, Question, RrSet, Rtype, Security, Validated};
use crate::resolve::context::context::Context;
use crate::resolve::context::trace::{CacheHit, Purpose, Step};
use crate::resolve::reply::link::{Found, Link};
use crate::resolve::resolver::Resolver;
use crate::validate::{
    DenialForm, DenialKey, Nsec3Params, Secured, Synthesis, SynthesisKind, expand_wildcard, nsec3_place, signer_of, synthesize,
};

impl Resolver {
    /// The link that follows for `question`, if one does.
    pub(in crate::resolve) fn inferred(&self, question: &Question, context: &Context) -> Option<Link> {
        let serves = matches!(context.purpose, Purpose::Client | Purpose::AliasTarget | Purpose::ServerAddress);
        if !serves || !context.routes.recursion.dnssec || question.rtype == Rtype::ANY {
            return None;
        }
        let link = self.below_nothing(question, context).or_else(|| self.by_spans(question, context))?;
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

    /// Keeps what a proof says beyond its question; `said` before the proof was sought.
    pub(in crate::resolve) fn learn_spans(&self, secured: &Secured, said: BootTime, context: &Context) {
        if !context.routes.aggressive_nsec {
            return;
        }
        for set in &secured.authority {
            let Some(zone) = signer_of(set.get()) else { continue };
            match set.get().rtype {
                Rtype::NSEC => self.keep_span(&zone, Place::Name(&set.get().name), set, said),
                Rtype::SOA => self.keep_span(&zone, Place::Soa, set, said),
                Rtype::NSEC3 => {
                    if let Some((params, hash)) = nsec3_place(set.get(), &zone) {
                        let params = [&params.iterations.to_be_bytes()[..], &params.salt].concat();
                        self.keep_span(&zone, Place::Hash { hash: &hash, params: &params }, set, said);
                    }
                }
                _ => {}
            }
        }
        for verified in &secured.answer {
            if let (Some(above), Some(zone)) = (&verified.wildcard, signer_of(verified.set.get())) {
                self.keep_span(&zone, Place::Wildcard(above, verified.set.get().rtype), &verified.set, said);
            }
        }
    }

    fn keep_span(&self, zone: &Name, place: Place<'_>, set: &Validated<RrSet>, said: BootTime) {
        let cache = self.cache();
        cache.nsec_ranges().put(zone, place, set.clone(), cache.limits().negative_max_ttl, said);
    }

    /// RFC 8020 2: nothing is below a name that is proved not to exist.
    fn below_nothing(&self, question: &Question, context: &Context) -> Option<Link> {
        let (above, denied) = self.cache().get_nxdomain_above(&question.name, self.now())?;
        if !self.may_speak(&above, question, context) {
            return None;
        }
        let denial = Denial { kind: denied.kind, soa: denied.soa, proof: denied.proof, security: denied.security };
        Some(Link { security: Security::Secure, zone: Some(above), ..Link::new(Found::Denied(denial)) })
    }

    fn by_spans(&self, question: &Question, context: &Context) -> Option<Link> {
        if !context.routes.aggressive_nsec {
            return None;
        }
        // The parent speaks of DS (RFC 4035 3.1.4.1).
        let deepest = if question.rtype == Rtype::DS { question.name.parent()? } else { question.name.clone() };
        let found = self.cache().nsec_ranges().zone_of(&deepest, self.now())?;
        if !self.may_speak(&found.zone, question, context) {
            return None;
        }
        let made = self.synthesis(question, &found, context)?;
        let proof: Vec<RrSet> = made.proof.iter().map(|set| set.get().clone()).collect();
        let found_link = match &made.kind {
            SynthesisKind::NxDomain => denied(DenialKind::NxDomain, &found, &made, proof)?,
            SynthesisKind::NoData => denied(DenialKind::NoData, &found, &made, proof)?,
            SynthesisKind::Wildcard { closest_encloser } => self.expanded(question, closest_encloser, &found.zone, proof)?,
        };
        Some(Link { security: Security::Secure, zone: Some(found.zone), ..Link::new(found_link) })
    }

    fn synthesis(&self, question: &Question, found: &NsecRangeZone, context: &Context) -> Option<Synthesis> {
        let (nsec_ranges, now) = (self.cache().nsec_ranges(), self.now());
        let params = match &found.hashed {
            Some(nsec3) => Some(Nsec3Params::of(nsec3.get(), &found.zone)?),
            None => None,
        };
        let form = params.as_ref().map_or(DenialForm::Nsec, DenialForm::Nsec3);
        let find = |key: DenialKey<'_>| match key {
            DenialKey::Nsec(name) => nsec_ranges.find(&found.zone, Place::Name(name), now),
            DenialKey::Nsec3(hash) => nsec_ranges.find(&found.zone, Place::Hash { hash, params: &[] }, now),
        };
        synthesize((&question.name, question.rtype), &found.zone, form, found.soa.as_ref(), find, &mut context.work.borrow_mut())
    }

    /// What the wildcard gave to another name, for this one.
    fn expanded(&self, question: &Question, closest_encloser: &Name, zone: &Name, proof: Vec<RrSet>) -> Option<Found> {
        let of_type = |rtype| {
            let source = self.cache().nsec_ranges().find(zone, Place::Wildcard(closest_encloser, rtype), self.now())?;
            Some(expand_wildcard(&question.name, closest_encloser, &source)?.into_inner())
        };
        if let Some(set) = of_type(question.rtype) {
            return Some(Found::Answer { sets: vec![set], proof });
        }
        let alias = of_type(Rtype::CNAME)?;
        Some(Found::Alias { target: alias.target()?, sets: vec![alias], proof })
    }

    /// Is it for `zone` to say something of the name? Not where validation is turned off by now, and not where a rule or
    /// a hosted zone of this server stands nearer to the name.
    fn may_speak(&self, zone: &Name, question: &Question, context: &Context) -> bool {
        let name = &question.name;
        let routes = &context.routes;
        routes.turned_off(name, self.shared().clock.wall()).is_none()
            && routes.rule_for(name).is_none_or(|rule| zone.is_within(&rule.zone))
            && context.local.delegation(name).is_none_or(|held| zone.is_within(&held.ns.name))
    }
}

fn denied(kind: DenialKind, found: &NsecRangeZone, made: &Synthesis, proof: Vec<RrSet>) -> Option<Found> {
    let soa = found.soa.clone()?.shortened(made.ttl).into_inner();
    Some(Found::Denied(Denial { kind, soa: Some(soa), proof, security: Security::Secure }))
}
