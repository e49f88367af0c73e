//! Proof on demand: what a walk found is raw until the one who wants to give it to a client has it judged here
//! by the pure validator, with keys fetched top-down from the anchor (RFC 4035 5).
//!
//! Walks never wait for proofs, so proofs cannot close a circle of walks: server addresses, DS and DNSKEY sets
//! are fetched raw, and judged by whoever builds the chain. What was concluded of a zone is kept in a memo, what
//! was proved of a set is written back to the cache.

use std::sync::Arc;
use std::time::Duration;

use super::link::{Found, Link};
use super::trace::{Purpose, Step};
use super::walk::{Asker, Resolver};
use crate::cache::{Denial, DenialKind};
use crate::config::Sha1;
use crate::record::{Ede, EdeCode, Name, Question, Rank, RrSet, Rtype, Security};
use crate::validate::{
    Case, CutVerdict, Insecurity, Judgement, KeyVerdict, Now, Reply, ReplyKind, Secured, Sha1Policy, ZoneKeys, ds_set_is_unusable,
    keys_from_anchor, keys_from_ds, signer_of,
};

/// What is concluded of a zone.
#[derive(Clone)]
pub enum Trust {
    Secure(Arc<ZoneKeys>),
    Insecure(Option<Ede>),
    Bogus(Ede),
    /// There is no zone of this name: it is part of the zone above.
    NoZone,
}

/// Zones whose conclusions are kept.
pub const TRUST_KEPT_MAX: usize = 20_000;
/// A conclusion that bears no TTL of its own is drawn again after this.
const TRUST_S: u32 = 900;
/// RFC 4035 4.7: how long a failed proof counts.
const BOGUS_S: u32 = 30;
/// Judging again with other keys: each turn goes at least one cut deeper.
const TURNS_MAX: usize = 16;
/// Signature checks between two breaths: at about 40 µs each this keeps to the slice of cold work.
const STEPS_PER_BREATH: usize = 4;

impl Resolver {
    /// Has a raw link judged. `zone` is the deepest zone that it can have come from.
    pub(super) async fn prove(&self, question: &Question, link: Link, asker: &Asker) -> Link {
        if !asker.routes.recursion.dnssec || link.security != Security::Indeterminate || link.stale {
            return link;
        }
        let Some(reply) = reply_of(question, &link) else { return Link { security: Security::Insecure, ..link } };
        let start =
            first_signer(&reply).filter(|signer| question.name.is_within(signer)).or_else(|| link.zone.clone()).unwrap_or_else(Name::root);
        let verdict = self.judge_from(reply, start, asker).await;
        self.apply(question, link, verdict, asker)
    }

    async fn judge_from(&self, reply: Reply, start: Name, asker: &Asker) -> Verdict {
        let mut zone = start;
        for _ in 0..TURNS_MAX {
            let keys = match self.trust_of_data(&zone, asker).await {
                Trust::Secure(keys) => keys,
                Trust::Insecure(ede) => return Verdict::Insecure(ede),
                Trust::Bogus(ede) => return Verdict::Bogus(ede),
                Trust::NoZone => {
                    return Verdict::Bogus(Ede::new(EdeCode::DNSSEC_BOGUS, format!("signatures are made by {zone}, which is no zone")));
                }
            };
            match self.judge(reply.clone(), keys.clone(), asker).await {
                Judgement::Secure(secured) => return Verdict::Secure(Box::new(secured)),
                Judgement::Insecure(reason) => return Verdict::Insecure(reason.ede()),
                Judgement::Bogus(why) => return Verdict::Bogus(why.ede()),
                Judgement::NeedsKeys(deeper) if deeper != zone => zone = deeper,
                Judgement::NeedsKeys(_) => return Verdict::Bogus(Ede::new(EdeCode::DNSSEC_BOGUS, "signed by no zone on the way")),
                Judgement::NeedsCut { name, why } => match self.cut_between(keys.zone(), &name, asker).await {
                    Trust::Secure(deeper) => zone = deeper.zone().clone(),
                    Trust::Insecure(ede) => return Verdict::Insecure(ede),
                    Trust::Bogus(ede) => return Verdict::Bogus(ede),
                    Trust::NoZone => return Verdict::Bogus(why.ede()),
                },
            }
        }
        Verdict::Bogus(Ede::new(EdeCode::DNSSEC_BOGUS, "the chain of zones does not end"))
    }

    /// The deepest zone at or above `zone` that there is: data of a name that is no cut belongs to the zone above.
    async fn trust_of_data(&self, zone: &Name, asker: &Asker) -> Trust {
        let mut at = zone.clone();
        loop {
            match self.trust(&at, asker).await {
                Trust::NoZone => match at.parent() {
                    Some(parent) => at = parent,
                    None => return Trust::NoZone,
                },
                trust => return trust,
            }
        }
    }

    /// From the zone of `above` down to `name`: the first cut, if there is one.
    async fn cut_between(&self, above: &Name, name: &Name, asker: &Asker) -> Trust {
        for labels in above.label_count() + 1..=name.label_count() {
            match self.trust(&name.suffix(labels), asker).await {
                Trust::NoZone => {}
                trust => return trust,
            }
        }
        Trust::NoZone
    }

    /// Is `zone` secure, and by which keys?
    fn trust<'a>(&'a self, zone: &'a Name, asker: &'a Asker) -> crate::env::BoxFuture<'a, Trust> {
        Box::pin(async move {
            let now = self.now();
            if let Some(known) = self.shared().trust.get(zone, now) {
                return known;
            }
            let (trust, seconds) = self.find_trust(zone, asker).await;
            let (security, detail) = match &trust {
                Trust::Secure(keys) => (Security::Secure, format!("{} keys", keys.keys().len())),
                Trust::Insecure(ede) => (Security::Insecure, ede.as_ref().map_or("no DS record".into(), |ede| ede.text.clone())),
                Trust::Bogus(ede) => (Security::Bogus, ede.text.clone()),
                Trust::NoZone => (Security::Indeterminate, "no zone cut here".into()),
            };
            asker.trace.emit(|| Step::Proof { subject: format!("zone {zone}"), security, detail });
            if seconds > 0 {
                self.shared().trust.put(zone.clone(), trust.clone(), now + Duration::from_secs(u64::from(seconds)));
            }
            trust
        })
    }

    async fn find_trust(&self, zone: &Name, asker: &Asker) -> (Trust, u32) {
        let recursion = &asker.routes.recursion;
        if recursion.negative_trust_anchors.iter().any(|anchor| zone.is_within(anchor)) {
            let text = format!("validation is turned off below {zone}");
            return (Trust::Insecure(Some(Ede::new(EdeCode::NEGATIVE_TRUST_ANCHOR, text))), TRUST_S);
        }
        let anchors = &asker.routes.anchors;
        if anchors.iter().any(|anchor| anchor.name == *zone) {
            let Some(keys) = self.dnskey_set(zone, asker).await else { return (no_keys(zone), 1) };
            let verdict = keys_from_anchor(zone, &keys, anchors, self.judge_time(), sha1(recursion.sha1), &mut asker.work.borrow_mut());
            return kept(verdict);
        }
        if !anchors.iter().any(|anchor| zone.is_below(&anchor.name)) {
            return (Trust::Insecure(None), TRUST_S);
        }
        let Some(parent) = zone.parent() else { return (Trust::Insecure(None), TRUST_S) };
        match self.trust_of_data(&parent, asker).await {
            Trust::Secure(keys) => self.trust_below(zone, keys, asker).await,
            trust => (trust, TRUST_S),
        }
    }

    /// `zone` as the zone above, whose keys are known, speaks of it.
    async fn trust_below(&self, zone: &Name, above: Arc<ZoneKeys>, asker: &Asker) -> (Trust, u32) {
        let question = Question::new(zone.clone(), Rtype::DS);
        let child = asker.child(Purpose::Ds);
        let link = match self.raw_link(&question, &child).await {
            Ok(link) => link,
            Err(failure) => return (Trust::Bogus(Ede::new(EdeCode::DNSSEC_BOGUS, format!("no DS could be had for {zone}: {failure}"))), 1),
        };
        let Some(reply) = reply_of(&question, &link) else { return (Trust::NoZone, TRUST_S) };
        let mut keys = above;
        let mut judgement = self.judge(reply.clone(), keys.clone(), asker).await;
        // The answer may be signed by a zone between the one we have keys of and this one.
        if let Judgement::NeedsKeys(deeper) = &judgement
            && deeper.is_below(keys.zone())
            && zone.is_below(deeper)
            && let Trust::Secure(between) = self.trust(deeper, asker).await
        {
            keys = between;
            judgement = self.judge(reply, keys, asker).await;
        }
        match judgement.cut() {
            CutVerdict::Secure(ds) => {
                let recursion = &asker.routes.recursion;
                if let Some(reason) = ds_set_is_unusable(&ds, sha1(recursion.sha1)) {
                    return (insecure(reason), ds.get().ttl);
                }
                let Some(keys) = self.dnskey_set(zone, asker).await else { return (no_keys(zone), 1) };
                kept(keys_from_ds(zone, &keys, &ds, self.judge_time(), sha1(recursion.sha1), &mut asker.work.borrow_mut()))
            }
            CutVerdict::Insecure(reason) => (insecure(reason), TRUST_S),
            CutVerdict::NoCut => (Trust::NoZone, TRUST_S),
            CutVerdict::Open => match judgement {
                Judgement::Bogus(why) | Judgement::NeedsCut { why, .. } => (Trust::Bogus(why.ede()), 1),
                _ => (Trust::Bogus(Ede::new(EdeCode::DNSSEC_BOGUS, format!("the DS records of {zone} are signed by the wrong zone"))), 1),
            },
        }
    }

    async fn dnskey_set(&self, zone: &Name, asker: &Asker) -> Option<RrSet> {
        let question = Question::new(zone.clone(), Rtype::DNSKEY);
        let link = self.raw_link(&question, &asker.child(Purpose::Dnskey)).await.ok()?;
        link.sets_of(&question).into_iter().next()
    }

    /// One reply against one zone's keys, a few signatures at a time.
    async fn judge(&self, reply: Reply, keys: Arc<ZoneKeys>, asker: &Asker) -> Judgement {
        let mut case = Case::new(reply, keys, &asker.work.borrow());
        let mut steps = 0;
        loop {
            if let Some(judgement) = case.step(self.judge_time(), &mut asker.work.borrow_mut()) {
                return judgement;
            }
            steps += 1;
            if steps % STEPS_PER_BREATH == 0 {
                self.breathe().await;
            }
        }
    }

    fn judge_time(&self) -> Now {
        Now::At(self.shared().clock.wall().0)
    }

    /// Puts the verdict on the link, and what was proved back into the cache.
    fn apply(&self, question: &Question, mut link: Link, verdict: Verdict, asker: &Asker) -> Link {
        let now = self.now();
        match verdict {
            Verdict::Secure(secured) => {
                link.security = Security::Secure;
                if secured.proof.as_ref().is_some_and(|proof| proof.opt_out) {
                    link.security = Security::Insecure;
                }
                take_proved(&mut link, *secured);
                self.keep_judged(question, &link);
            }
            Verdict::Insecure(ede) => {
                link.security = Security::Insecure;
                link.ede = ede;
                self.keep_judged(question, &link);
            }
            Verdict::Bogus(ede) => {
                link.security = Security::Bogus;
                for set in link.sets() {
                    self.cache().mark_security(set, Security::Bogus, Some(BOGUS_S), now);
                }
                link.ede = Some(ede);
            }
        }
        asker.trace.emit(|| Step::Proof {
            subject: question.to_string(),
            security: link.security,
            detail: link.ede.as_ref().map(|ede| ede.text.clone()).unwrap_or_default(),
        });
        link
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
fn reply_of(question: &Question, link: &Link) -> Option<Reply> {
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

fn kept(verdict: KeyVerdict) -> (Trust, u32) {
    match verdict {
        KeyVerdict::Secure(keys) => {
            let ttl = keys.ttl();
            (Trust::Secure(Arc::new(keys)), ttl)
        }
        KeyVerdict::Insecure(reason) => (insecure(reason), TRUST_S),
        KeyVerdict::Bogus(why) => (Trust::Bogus(why.ede()), BOGUS_S),
    }
}

fn insecure(reason: Insecurity) -> Trust {
    Trust::Insecure(reason.ede())
}

fn no_keys(zone: &Name) -> Trust {
    Trust::Bogus(Ede::new(EdeCode::DNSKEY_MISSING, format!("no DNSKEY set could be had for {zone}")))
}

fn sha1(policy: Sha1) -> Sha1Policy {
    match policy {
        Sha1::Insecure => Sha1Policy::Insecure,
        Sha1::Validate => Sha1Policy::Validate,
    }
}
