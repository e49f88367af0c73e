//! The chain of trust, one zone at a time from the anchor down (RFC 4035 5): is a zone secure, and by which keys?
//!
//! DS and DNSKEY sets are fetched raw. Where one server's set does not hold, others are asked before the zone
//! counts as bogus. Conclusions are kept in a memo, but never those that only say that one question's budget was
//! empty: a hostile question must not make somebody else's zone bogus.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{NegativeAnchor, Sha1};
use crate::record::{Ede, EdeCode, Name, Question, RrSet, Rtype, Security, Validated};
use crate::resolve::context::context::Context;
use crate::resolve::context::local::LocalCut;
use crate::resolve::context::trace::{ChainPart, Purpose, Step, ZoneKey};
use crate::resolve::dnssec::validate::reply_of;
use crate::resolve::iterate::walk::step_by_step;
use crate::resolve::reply::link::{Found, Link};
use crate::resolve::resolver::Resolver;
use crate::validate::{
    Anchor, CutVerdict, Insecurity, Judgement, KeyTrial, KeyVerdict, ReplyKind, Sha1Policy, ZoneKeys, ds_set_is_unusable,
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
/// No conclusion is kept longer, whatever its records say.
const TRUST_S_MAX: u32 = 86_400;
const NO_DS_S_MAX: u32 = 3_600;
/// RFC 4035 4.7: how long a failed proof counts.
pub const BOGUS_S: u32 = 30;
/// A proof that failed for want of a reply.
const UNKNOWN_S: u32 = 1;
/// Further servers that are asked when one's word does not hold.
const SECOND_OPINIONS: usize = 2;

/// The servers whose word did not hold for one question, and how many others may still be asked.
pub(in crate::resolve) struct Opinions {
    disbelieved: Vec<SocketAddr>,
    left: usize,
}

impl Opinions {
    pub(in crate::resolve) fn new() -> Opinions {
        Opinions { disbelieved: Vec::new(), left: SECOND_OPINIONS }
    }
}

/// What stands above a zone and vouches for its keys.
enum Voucher<'a> {
    Anchors(&'a [Anchor]),
    Ds(&'a Validated<RrSet>),
}

impl Resolver {
    /// Is `zone` secure, and by which keys?
    pub(in crate::resolve) fn trust<'a>(&'a self, zone: &'a Name, context: &'a Context) -> crate::env::BoxFuture<'a, Trust> {
        Box::pin(async move {
            let now = self.now();
            let dates_open = context.dates_open.get();
            let known = self.shared().trust.get(zone, now);
            if let Some(known) = known.filter(|known| !dates_open || !matches!(known, Trust::Bogus(_))) {
                return known;
            }
            let (trust, seconds) = self.find_trust(zone, context).await;
            context.trace.emit(|| told(zone, &trust, context));
            let has_nothing_left = context.work.borrow().broke().is_some() || context.budget.failed_for_want(false);
            let by_poverty = matches!(trust, Trust::Bogus(_)) && has_nothing_left;
            if seconds > 0 && !by_poverty && !dates_open {
                let until = now + Duration::from_secs(u64::from(seconds.min(TRUST_S_MAX)));
                self.shared().trust.put(zone.clone(), trust.clone(), until);
            }
            trust
        })
    }

    /// For who listens: the zones on the way to `name` of which the conclusion was drawn earlier.
    pub(in crate::resolve) fn tell_chain(&self, name: &Name, context: &Context) {
        if !context.trace.is_on() {
            return;
        }
        let subjects: Vec<String> = context
            .trace
            .events()
            .into_iter()
            .filter_map(|event| match event.step {
                Step::Proof { subject, .. } => Some(subject),
                _ => None,
            })
            .collect();
        for zone in (0..=name.label_count()).map(|labels| name.suffix(labels)) {
            let known = self.shared().trust.get(&zone, self.now()).filter(|_| !subjects.contains(&subject_of(&zone)));
            if let Some(trust) = known.filter(|trust| !matches!(trust, Trust::NoZone)) {
                context.trace.emit(|| told(&zone, &trust, context));
            }
        }
    }

    /// The deepest zone at or above `zone` that there is: data of a name that is no cut belongs to the zone above.
    pub(in crate::resolve) async fn trust_of_data(&self, zone: &Name, context: &Context) -> Trust {
        let mut at = zone.clone();
        loop {
            match self.trust(&at, context).await {
                Trust::NoZone => match at.parent() {
                    Some(parent) => at = parent,
                    None => return Trust::NoZone,
                },
                trust => return trust,
            }
        }
    }

    /// From the zone of `above` down to `name`: the first cut, if there is one.
    pub(in crate::resolve) async fn cut_between(&self, above: &Name, name: &Name, context: &Context) -> Trust {
        for labels in above.label_count() + 1..=name.label_count() {
            match self.trust(&name.suffix(labels), context).await {
                Trust::NoZone => {}
                trust => return trust,
            }
        }
        Trust::NoZone
    }

    /// Another server's word, after the one in `link` was found wanting. None when enough were asked, or when the
    /// budget would not pay for judging it.
    pub(in crate::resolve) async fn next_opinion(
        &self,
        question: &Question,
        link: &Link,
        opinions: &mut Opinions,
        context: &Context,
    ) -> Option<Link> {
        if context.cache_only || context.work.borrow().broke().is_some() {
            return None;
        }
        opinions.left = opinions.left.checked_sub(1)?;
        opinions.disbelieved.extend(link.server);
        self.walk(question, &context.avoiding(opinions.disbelieved.clone())).await.ok()
    }

    async fn find_trust(&self, zone: &Name, context: &Context) -> (Trust, u32) {
        let routes = &context.routes;
        let Some(anchored) = routes.anchored(zone) else { return (Trust::Insecure(None), TRUST_S) };
        let wall = self.shared().clock.wall();
        if let Some(off) = routes.turned_off(zone, wall) {
            let left = off.until.map_or(u64::MAX, |until| until - wall.0);
            return (Trust::Insecure(Some(turned_off(off))), u32::try_from(left).unwrap_or(u32::MAX).min(TRUST_S));
        }
        if let Some(held) = context.local.delegation(zone).filter(|held| held.zone == *zone && !anchored.is_within(zone)) {
            return self.trust_held(held, context).await;
        }
        if *anchored == *zone {
            return self.keys_of(zone, Voucher::Anchors(&routes.anchors), context).await;
        }
        let Some(parent) = zone.parent() else { return (Trust::Insecure(None), TRUST_S) };
        match self.trust_of_data(&parent, context).await {
            Trust::Secure(keys) => self.trust_below(zone, keys, context).await,
            Trust::Bogus(ede) => (Trust::Bogus(ede), UNKNOWN_S),
            trust => (trust, TRUST_S),
        }
    }

    /// A delegation out of a zone of this server's own: the administrator's word needs no proof from above.
    async fn trust_held(&self, held: LocalCut, context: &Context) -> (Trust, u32) {
        let ds = held.ds.iter().flat_map(|set| set.data.iter());
        let vouched: Vec<Anchor> = ds.filter_map(|rdata| Anchor::from_record(held.zone.clone(), Rtype::DS, rdata)).collect();
        if vouched.is_empty() {
            return (Trust::Insecure(None), 0);
        }
        self.keys_of(&held.zone, Voucher::Anchors(&vouched), context).await
    }

    /// `zone` as the zone above, whose keys are known, speaks of it.
    async fn trust_below(&self, zone: &Name, above: Arc<ZoneKeys>, context: &Context) -> (Trust, u32) {
        let question = Question::new(zone.clone(), Rtype::DS);
        let child = context.child(Purpose::Ds);
        let mut link = match self.raw_link(&question, &child).await {
            Ok(link) => link,
            Err(failure) => return (Trust::Bogus(bogus(format!("no DS could be had for {zone}: {failure}"))), UNKNOWN_S),
        };
        // Many may have waited for the same set: one of them has drawn the conclusion by now.
        if let Some(known) = self.shared().trust.get(zone, self.now()).filter(|_| !context.dates_open.get()) {
            return (known, 0);
        }
        let mut opinions = Opinions::new();
        loop {
            let seconds = life_of(&link);
            let judgement = self.judge_ds(&question, &link, above.clone(), context).await;
            match judgement.cut() {
                CutVerdict::Secure(ds) => {
                    self.keep_chain_set(&ds, context);
                    if let Some(reason) = ds_set_is_unusable(&ds, sha1(context)) {
                        return (insecure(reason), ds.get().ttl);
                    }
                    return self.keys_of(zone, Voucher::Ds(&ds), context).await;
                }
                CutVerdict::Insecure(reason) => return (insecure(reason), seconds),
                CutVerdict::NoCut => return (Trust::NoZone, seconds),
                CutVerdict::Open => match self.next_opinion(&question, &link, &mut opinions, &child).await {
                    Some(other) => link = other,
                    None => return (Trust::Bogus(why_open(zone, judgement)), BOGUS_S),
                },
            }
        }
    }

    /// What a reply about DS proves, with the keys of the zone above or of one between.
    async fn judge_ds(&self, question: &Question, link: &Link, above: Arc<ZoneKeys>, context: &Context) -> Judgement {
        let Some(mut reply) = reply_of(question, link) else { return Judgement::NeedsKeys(question.name.clone()) };
        // Old servers say NXDOMAIN of an empty non-terminal when asked for its DS, and a referral says nothing but NSEC.
        // That there is no DS is all that the chain needs to know, and one proof serves for all (RFC 6840 4.4).
        if matches!(link.found, Found::Denied(_)) {
            reply.kind = ReplyKind::NoData;
        }
        let judgement = self.judge(reply.clone(), above.clone(), context).await;
        if let Judgement::NeedsKeys(deeper) = &judgement
            && deeper.is_below(above.zone())
            && question.name.is_below(deeper)
            && let Trust::Secure(between) = self.trust(deeper, context).await
        {
            return self.judge(reply, between, context).await;
        }
        judgement
    }

    /// The zone's keys, by what vouches for them.
    async fn keys_of(&self, zone: &Name, voucher: Voucher<'_>, context: &Context) -> (Trust, u32) {
        let question = Question::new(zone.clone(), Rtype::DNSKEY);
        let child = context.child(Purpose::Dnskey);
        let no_keys = || Trust::Bogus(Ede::new(EdeCode::DNSKEY_MISSING, format!("no DNSKEY set could be had for {zone}")));
        let Ok(mut link) = self.raw_link(&question, &child).await else { return (no_keys(), UNKNOWN_S) };
        if let Some(known) = self.shared().trust.get(zone, self.now()).filter(|_| !context.dates_open.get()) {
            return (known, 0);
        }
        let mut opinions = Opinions::new();
        loop {
            let (trust, seconds) = match link.sets_of(&question).first() {
                Some(set) => kept(self.judge_keys(zone, set, &voucher, context).await),
                None => (no_keys(), BOGUS_S),
            };
            if let Trust::Secure(keys) = &trust {
                self.keep_chain_set(&keys.dnskeys().set, context);
            }
            if !matches!(trust, Trust::Bogus(_)) {
                return (trust, seconds);
            }
            match self.next_opinion(&question, &link, &mut opinions, &child).await {
                Some(other) => link = other,
                None => return (trust, seconds),
            }
        }
    }

    async fn judge_keys(&self, zone: &Name, set: &RrSet, voucher: &Voucher<'_>, context: &Context) -> KeyVerdict {
        let mut trial = match voucher {
            Voucher::Anchors(anchors) => KeyTrial::by_anchors(zone, set, anchors, sha1(context)),
            Voucher::Ds(ds) => KeyTrial::by_ds(zone, set, ds, sha1(context)),
        };
        step_by_step(|| context.spent_us(), || self.work_step(context, |now, work| trial.step(now, work))).await
    }

    fn keep_chain_set(&self, set: &Validated<RrSet>, context: &Context) {
        if !context.dates_open.get() {
            self.cache().put_set(set.get(), crate::record::Rank::AuthAnswer, Security::Secure, self.now());
        }
    }
}

pub(in crate::resolve) fn turned_off(off: &NegativeAnchor) -> Ede {
    Ede::new(EdeCode::NEGATIVE_TRUST_ANCHOR, format!("a negative trust anchor turns validation off at and below {off}"))
}

fn subject_of(zone: &Name) -> String {
    format!("zone {zone}")
}

fn told(zone: &Name, trust: &Trust, context: &Context) -> Step {
    let (security, detail) = match trust {
        Trust::Secure(keys) => (Security::Secure, format!("{} keys", keys.keys().len())),
        Trust::Insecure(ede) => (Security::Insecure, ede.as_ref().map_or("no DS record".into(), |ede| ede.text.clone())),
        Trust::Bogus(ede) => (Security::Bogus, ede.text.clone()),
        Trust::NoZone => (Security::Indeterminate, "no zone cut here".into()),
    };
    let part = ChainPart {
        name: zone.clone(),
        rtype: None,
        anchored: context.routes.anchors.iter().any(|anchor| anchor.name == *zone),
        keys: match trust {
            Trust::Secure(keys) => keys.keys().iter().map(|key| ZoneKey { key_tag: key.key_tag, algorithm: key.algorithm }).collect(),
            _ => Vec::new(),
        },
        signed: match trust {
            Trust::Secure(keys) => Some(keys.dnskeys().signed),
            _ => None,
        },
    };
    let part = (!matches!(trust, Trust::NoZone)).then(|| Box::new(part));
    Step::Proof { subject: subject_of(zone), security, detail, part }
}

/// How long a denial of DS may be relied on: the TTL is not under the signature, so it is not believed far.
fn life_of(link: &Link) -> u32 {
    match &link.found {
        Found::Denied(denial) => denial.proof.iter().map(|set| set.ttl).min().unwrap_or(TRUST_S).min(NO_DS_S_MAX),
        _ => TRUST_S,
    }
}

fn why_open(zone: &Name, judgement: Judgement) -> Ede {
    match judgement {
        Judgement::Bogus(why) | Judgement::NeedsCut { why, .. } => why.ede(),
        _ => bogus(format!("the DS records of {zone} are signed by the wrong zone")),
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

pub(in crate::resolve) fn bogus(text: impl Into<String>) -> Ede {
    Ede::new(EdeCode::DNSSEC_BOGUS, text)
}

pub(in crate::resolve) fn sha1(context: &Context) -> Sha1Policy {
    match context.routes.recursion.sha1 {
        Sha1::Insecure => Sha1Policy::Insecure,
        Sha1::Validate => Sha1Policy::Validate,
    }
}
