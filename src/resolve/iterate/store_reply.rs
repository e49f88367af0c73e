//! Stores the data of a reply: RRsets and denials go to the cache with their rank (RFC 2181 5.4.1), the delegation with its
//! glue; and makes the link of the alias chain that the reply is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cache::{Denial, DenialKind};
use crate::env::BootTime;
use crate::record::{Name, Question, Rank, Rcode, RrSet, Rtype, Security};
use crate::resolve::context::trace::Step;
use crate::resolve::delegation::zone_cut::{self, Cut};
use crate::resolve::iterate::walker::Walk;
use crate::resolve::reply::classify::Kind;
use crate::resolve::reply::link::{AliasTail, Found, Link, alias_by_dname};
use crate::resolve::reply::scrub::Scrubbed;
use crate::resolve::reply::server_reply::ServerReply;
use crate::wire::Flags;

impl Walk<'_> {
    /// Stores the records of a reply that are believed, and makes the link that the reply is; `None` for a referral.
    pub(in crate::resolve) fn store_reply(&self, question: &Question, cut: &Cut, reply: &ServerReply) -> Option<Link> {
        let now = self.now();
        let content = &reply.content;
        let authoritative = reply.header.flags.has(Flags::AA);
        if let (Kind::Referral, Some(ns)) = (reply.kind, &content.referral) {
            zone_cut::store(self.cache(), &cut.zone, ns, &content.glue, self.context.routes.limits.ns_names_kept_per_set, now);
            self.store_ds(ns, content);
            self.context.trace.emit(|| Step::Cached {
                name: ns.name.clone(),
                rtype: Rtype::NS,
                records: ns.data.len(),
                ttl_s: ns.ttl,
                rank: Rank::Referral,
            });
        }
        for glue in &content.glue {
            self.store_set(glue, Rank::Glue);
        }
        if reply.kind == Kind::Referral {
            return None;
        }
        for (position, set) in content.answer.iter().enumerate() {
            let rank = if authoritative && position == 0 { Rank::AuthAnswer } else { Rank::Answer };
            self.store_set(set, rank);
        }
        if let Some(own) = &content.own_servers {
            self.store_set(own, Rank::Additional);
        }
        self.store_root_ns(question, content, now);
        if let Some(denial) = denial_of(cut, reply) {
            self.context.trace.emit(|| Step::CachedDenial {
                name: question.name.clone(),
                rtype: question.rtype,
                nxdomain: denial.kind == DenialKind::NxDomain,
                ttl_s: denial.soa.as_ref().map_or(0, |soa| soa.ttl),
            });
            self.cache().denials().put(question, &denial, now);
            return Some(Link::new(Found::Denied(denial)).within_ttl_limits(self.cache()));
        }
        let alias_tail = alias_tail(cut, reply, now).map(Arc::new);
        let link = first_link(question, content)?;
        // The CNAME made from a DNAME. Where data is validated that says whether it is stored.
        if let (Found::Alias { sets, .. }, false) = (&link.found, self.context.routes.recursion.dnssec) {
            sets.iter().skip(content.answer.len()).for_each(|made| self.store_set(made, Rank::Answer));
        }
        Some(Link { alias_tail, ..link }.within_ttl_limits(self.cache()))
    }

    /// What a referral shows about the security of the child zone (RFC 4035 3.1.4): the DS set, or the proof that there is
    /// none. The chain of trust validates it.
    fn store_ds(&self, ns: &RrSet, content: &Scrubbed) {
        if let Some(ds) = &content.ds {
            self.store_set(ds, Rank::AuthAuthority);
        } else if !content.proof.is_empty() {
            let (kind, security) = (DenialKind::NoData, Security::Indeterminate);
            let denial = Denial { kind, soa: None, proof: content.proof.clone(), security, relayed: false };
            self.cache().denials().put(&Question::new(ns.name.clone(), Rtype::DS), &denial, self.now());
        }
    }

    /// Stores one RRset, which is not validated yet.
    pub(in crate::resolve) fn store_set(&self, set: &RrSet, rank: Rank) {
        self.cache().sets().put(set, rank, Security::Indeterminate, self.now());
        self.context.trace.emit(|| Step::Cached {
            name: set.name.clone(),
            rtype: set.rtype,
            records: set.data.len(),
            ttl_s: set.ttl,
            rank,
        });
    }

    /// The answer to priming is the root's delegation: no zone above could give one.
    fn store_root_ns(&self, question: &Question, content: &Scrubbed, now: BootTime) {
        let is_root_ns = question.name.is_root() && question.rtype == Rtype::NS && content.answered;
        if let Some(ns) = content.answer.first().filter(|_| is_root_ns) {
            zone_cut::store(self.cache(), &Name::root(), ns, &content.glue, self.context.routes.limits.ns_names_kept_per_set, now);
        }
    }

    /// The hints have led to a TLD, and priming has not succeeded: for a while the hints stand for the root's delegation,
    /// because a delegation counts only below one of the root.
    pub(in crate::resolve) fn store_hints(&self, cut: &Cut) {
        let is_by_hints = cut.zone.is_root() && !cut.from_cache && !cut.configured;
        let unknown = || zone_cut::deepest_known(self.cache(), &cut.zone, Rtype::NS, self.now()).is_none();
        if let Some(ns) = cut.ns_set().filter(|_| is_by_hints && unknown()) {
            zone_cut::store(self.cache(), &cut.zone, &ns, &[], ns.data.len(), self.now());
        }
    }
}

/// The address that was asked for, as the glue of a referral gives it.
pub(in crate::resolve) fn glue_for(question: &Question, reply: &ServerReply) -> Option<Link> {
    let glue = reply.content.glue.iter().find(|set| set.name == question.name && set.rtype == question.rtype)?;
    let found = Found::Answer { sets: vec![glue.clone()], proof: Vec::new() };
    Some(Link { is_glue: true, ..Link::new(found) })
}

/// RFC 2308 2: the denial in a reply. NXDOMAIN beside an alias is about the target, which is asked for by itself.
fn denial_of(cut: &Cut, reply: &ServerReply) -> Option<Denial> {
    let content = &reply.content;
    let kind = match reply.kind {
        Kind::NxDomain => DenialKind::NxDomain,
        Kind::NoData => DenialKind::NoData,
        _ => return None,
    };
    let relayed = cut.forward || !reply.header.flags.has(Flags::AA);
    Some(Denial { kind, soa: content.soa.clone(), proof: content.proof.clone(), security: Security::Indeterminate, relayed })
}

/// The records after the first CNAME of a reply, as far as they are inside the zone.
fn alias_tail(cut: &Cut, reply: &ServerReply, received_at: BootTime) -> Option<AliasTail> {
    let content = &reply.content;
    let end = content.alias_tail.last().or(content.answer.last()).and_then(RrSet::target);
    let apex_has_none = content.soa.clone().filter(|soa| {
        reply.kind == Kind::Alias && reply.rcode == Rcode::NOERROR && soa.name == cut.zone && end.as_ref() == Some(&cut.zone)
    });
    if content.alias_tail.is_empty() && apex_has_none.is_none() {
        return None;
    }
    Some(AliasTail {
        sets: content.alias_tail.clone(),
        proof: content.proof.clone(),
        apex_has_none,
        zone: cut.zone.clone(),
        server: reply.server,
        received_at,
        authoritative: reply.header.flags.has(Flags::AA) && !cut.forward,
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
