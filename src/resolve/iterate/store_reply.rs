//! What a reply teaches: the sets and denials that go to the cache with their rank (RFC 2181 5.4.1), the
//! delegation with its glue, and the link that the reply is for the one who asked.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cache::{Denial, DenialKind};
use crate::env::BootTime;
use crate::record::{Name, Question, Rank, Rcode, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::trace::Step;
use crate::resolve::delegation::zone_cut::{self, Cut};
use crate::resolve::reply::classify::Kind;
use crate::resolve::reply::link::{AliasTail, Found, Link};
use crate::resolve::reply::scrub::Scrubbed;
use crate::resolve::reply::server_reply::ServerReply;
use crate::resolve::resolver::Resolver;
use crate::wire::Flags;

impl Resolver {
    /// Puts what may be believed into the cache, and makes the link that the reply is.
    pub(in crate::resolve) fn learn(&self, question: &Question, cut: &Cut, heard: &ServerReply, context: &Context) -> Option<Link> {
        let now = self.now();
        let content = &heard.content;
        let authoritative = heard.header.flags.has(Flags::AA);
        if let (Kind::Referral, Some(ns)) = (heard.kind, &content.referral) {
            zone_cut::remember(self.cache(), &cut.zone, ns, &content.glue, context.routes.limits.ns_names_kept_per_set, now);
            self.keep_ds(ns, content, context);
            context.trace.emit(|| Step::Cached {
                name: ns.name.clone(),
                rtype: Rtype::NS,
                records: ns.data.len(),
                ttl_s: ns.ttl,
                rank: Rank::Referral,
            });
        }
        for glue in &content.glue {
            self.keep(glue, Rank::Glue, context);
        }
        if heard.kind == Kind::Referral {
            return None;
        }
        for (position, set) in content.answer.iter().enumerate() {
            let rank = if authoritative && position == 0 { Rank::AuthAnswer } else { Rank::Answer };
            self.keep(set, rank, context);
        }
        if let Some(own) = &content.own_servers {
            self.keep(own, Rank::Additional, context);
        }
        self.keep_root(question, content, now, context);
        if let Some(denial) = denial_of(heard) {
            context.trace.emit(|| Step::CachedDenial {
                name: question.name.clone(),
                rtype: question.rtype,
                nxdomain: denial.kind == DenialKind::NxDomain,
                ttl_s: denial.soa.as_ref().map_or(0, |soa| soa.ttl),
            });
            self.cache().put_denial(question, &denial, now);
            return Some(self.within_limits(Link::new(Found::Denied(denial))));
        }
        let beyond = beyond_alias(cut, heard, now).map(Arc::new);
        first_link(question, content).map(|link| self.within_limits(Link { beyond, ..link }))
    }

    /// Who asks first is told the same TTLs as who asks next, from the cache: the limits hold, and a denial ends with
    /// the SOA's MINIMUM (RFC 2308 5), in whatever is kept of this very answer too.
    pub(in crate::resolve) fn within_limits(&self, mut link: Link) -> Link {
        match &mut link.found {
            Found::Answer { sets, .. } | Found::Alias { sets, .. } => self.limit_ttls(sets),
            Found::TooLong { dname } => dname.ttl = self.cache().ttl_within_limits(dname.ttl),
            Found::Denied(denial) => {
                let ttl = self.cache().negative_ttl(denial);
                if let Some(soa) = &mut denial.soa {
                    soa.ttl = ttl;
                }
            }
        }
        link
    }

    fn limit_ttls(&self, sets: &mut [RrSet]) {
        for set in sets {
            set.ttl = self.cache().ttl_within_limits(set.ttl);
        }
    }

    /// What a referral says about the security of the child (RFC 4035 3.1.4): the DS set, or the proof that there
    /// is none. Judged by whoever builds the chain.
    fn keep_ds(&self, ns: &RrSet, content: &Scrubbed, context: &Context) {
        if let Some(ds) = &content.ds {
            self.keep(ds, Rank::AuthAuthority, context);
        } else if !content.proof.is_empty() {
            let denial = Denial { kind: DenialKind::NoData, soa: None, proof: content.proof.clone(), security: Security::Indeterminate };
            self.cache().put_denial(&Question::new(ns.name.clone(), Rtype::DS), &denial, self.now());
        }
    }

    fn keep(&self, set: &RrSet, rank: Rank, context: &Context) {
        self.cache().put_set(set, rank, Security::Indeterminate, self.now());
        context.trace.emit(|| Step::Cached { name: set.name.clone(), rtype: set.rtype, records: set.data.len(), ttl_s: set.ttl, rank });
    }

    /// The priming answer is the root's delegation: nobody stands above to give one.
    fn keep_root(&self, question: &Question, content: &Scrubbed, now: BootTime, context: &Context) {
        let is_root_ns = question.name.is_root() && question.rtype == Rtype::NS && content.answered;
        if let Some(ns) = content.answer.first().filter(|_| is_root_ns) {
            zone_cut::remember(self.cache(), &Name::root(), ns, &content.glue, context.routes.limits.ns_names_kept_per_set, now);
        }
    }
}

/// The address asked for, as the parent gives it beside a referral.
pub(in crate::resolve) fn glue_for(question: &Question, heard: &ServerReply) -> Option<Link> {
    let glue = heard.content.glue.iter().find(|set| set.name == question.name && set.rtype == question.rtype)?;
    let found = Found::Answer { sets: vec![glue.clone()], proof: Vec::new() };
    Some(Link { is_glue: true, ..Link::new(found) })
}

/// RFC 2308 2: the denial in a reply. NXDOMAIN beside an alias is about the target, which is asked for by itself.
fn denial_of(heard: &ServerReply) -> Option<Denial> {
    let content = &heard.content;
    let kind = match heard.kind {
        Kind::NxDomain => DenialKind::NxDomain,
        Kind::NoData => DenialKind::NoData,
        _ => return None,
    };
    Some(Denial { kind, soa: content.soa.clone(), proof: content.proof.clone(), security: Security::Indeterminate })
}

/// What the reply says of where its alias leads, inside the zone.
fn beyond_alias(cut: &Cut, heard: &ServerReply, heard_at: BootTime) -> Option<AliasTail> {
    let content = &heard.content;
    let end = content.beyond.last().or(content.answer.last()).and_then(RrSet::target);
    let apex_has_none = content.soa.clone().filter(|soa| {
        heard.kind == Kind::Alias && heard.rcode == Rcode::NOERROR && soa.name == cut.zone && end.as_ref() == Some(&cut.zone)
    });
    if content.beyond.is_empty() && apex_has_none.is_none() {
        return None;
    }
    Some(AliasTail {
        sets: content.beyond.clone(),
        proof: content.proof.clone(),
        apex_has_none,
        zone: cut.zone.clone(),
        server: heard.server,
        heard_at,
        authoritative: heard.header.flags.has(Flags::AA) && !cut.forward,
        is_compared: AtomicBool::new(false),
    })
}

/// The link that an answer or an alias is.
fn first_link(question: &Question, content: &Scrubbed) -> Option<Link> {
    let first = content.answer.first()?;
    if question.rtype == Rtype::ANY && first.name == question.name {
        return Some(Link::new(Found::Answer { sets: content.answer.clone(), proof: content.proof.clone() }));
    }
    if first.rtype == question.rtype && first.name == question.name {
        return Some(Link::new(Found::Answer { sets: vec![first.clone()], proof: content.proof.clone() }));
    }
    match first.rtype {
        Rtype::DNAME => alias_by_dname(&question.name, first.clone()),
        Rtype::CNAME => {
            let target = first.target()?;
            Some(Link::new(Found::Alias { sets: vec![first.clone()], proof: content.proof.clone(), target }))
        }
        _ => None,
    }
}

/// RFC 6672 3.1: the CNAME made from a DNAME bears the DNAME's TTL. A name that would be too long is YXDOMAIN.
pub(in crate::resolve) fn alias_by_dname(name: &Name, dname: RrSet) -> Option<Link> {
    let target = dname.target()?;
    let Some(made) = name.rebase(&dname.name, &target) else {
        return Some(Link::new(Found::TooLong { dname }));
    };
    let cname = RrSet::with(name.clone(), Rtype::CNAME, dname.ttl, made.as_wire());
    Some(Link::new(Found::Alias { sets: vec![dname, cname], proof: Vec::new(), target: made }))
}
