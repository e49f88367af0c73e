//! The chain of trust, one zone at a time from the anchor down (RFC 4035 5): is a zone secure, and with which keys?
//!
//! DS and DNSKEY sets are looked up without validation and judged here, so that no walk ever waits for a proof. Where the
//! set of one server does not validate, other servers are asked before the zone counts as bogus. Conclusions are kept, but
//! never one that was drawn because a question's budget was spent: a hostile question must not make a zone bogus for
//! others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cache::DenialKind;
use crate::env::{BoxFuture, boxed};
use crate::limits::cache::{ISLAND_PROOF_MS_MAX, ISLAND_S_MAX, ISLAND_UNCHECKED_S, NO_DS_S_MAX, TRUST_S_MAX};
use crate::limits::validation::SECOND_OPINIONS_MAX;
use crate::record::{Ede, EdeCode, Name, Question, Rank, RrSet, Rtype, Security, Validated};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Failure, OwnLimit};
use crate::resolve::context::local::LocalCut;
use crate::resolve::context::task::{in_slices, within};
use crate::resolve::context::trace::{ChainPart, Purpose, Step, ZoneKey};
use crate::resolve::dnssec::judge::{judge, reply_of, sha1, work_step};
use crate::resolve::dnssec::trust::{TRUST_S, Trust, UNKNOWN_S, bogus, bogus_s, insecure, turned_off};
use crate::resolve::dnssec::trust_anchors::TrustState;
use crate::resolve::lookup::lookup::Lookup;
use crate::resolve::network::network::Network;
use crate::resolve::reply::link::{Found, Link};
use crate::validate::{Anchor, CutVerdict, Judgement, KeyTrial, KeyVerdict, ReplyKind, ZoneKeys, ds_set_is_unusable};

/// The servers whose reply did not validate, and how many others may still be asked.
pub(in crate::resolve) struct SecondOpinions {
    rejected: Vec<SocketAddr>,
    left: usize,
}

impl SecondOpinions {
    /// No server rejected yet.
    pub(in crate::resolve) fn new() -> SecondOpinions {
        SecondOpinions { rejected: Vec::new(), left: SECOND_OPINIONS_MAX }
    }
}

/// Of one worker. Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct ChainOfTrust {
    pub(in crate::resolve) lookup: Lookup,
    pub(in crate::resolve) state: Arc<TrustState>,
}

/// What vouches for the keys of a zone.
enum Voucher<'a> {
    Anchors(&'a [Anchor]),
    Ds(&'a Validated<RrSet>),
}

impl ChainOfTrust {
    /// The network of this worker.
    pub(in crate::resolve) fn network(&self) -> &Network {
        self.lookup.network()
    }

    /// Is `zone` secure, and by which keys?
    pub(in crate::resolve) fn trust<'a>(&'a self, zone: &'a Name, context: &'a Context) -> BoxFuture<'a, Trust> {
        boxed(|| async move {
            let now = self.network().now();
            let dates_open = context.dates_open.get();
            let kept = self.state.zones.get(zone, now);
            if let Some(kept) = kept.filter(|kept| !dates_open || !matches!(kept, Trust::Bogus(_))) {
                return kept;
            }
            let (trust, seconds) = self.find_trust(zone, context).await;
            context.trace.emit(|| proof_step(zone, &trust, context));
            let has_nothing_left = context.work.borrow().broke().is_some() || context.budget.may_lack_data();
            let for_want_of_budget = matches!(trust, Trust::Bogus(_)) && has_nothing_left;
            if seconds > 0 && !for_want_of_budget && !dates_open {
                let until = now + Duration::from_secs(u64::from(seconds.min(TRUST_S_MAX)));
                self.state.zones.put(zone.clone(), trust.clone(), until);
            }
            trust
        })
    }

    /// Emits the conclusions about the zones on the way to `name` that were drawn for earlier questions.
    pub(in crate::resolve) fn trace_chain(&self, name: &Name, context: &Context) {
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
            let known = self.state.zones.get(&zone, self.network().now()).filter(|_| !subjects.contains(&subject_of(&zone)));
            if let Some(trust) = known.filter(|trust| !matches!(trust, Trust::NoZone)) {
                context.trace.emit(|| proof_step(&zone, &trust, context));
            }
        }
    }

    /// The trust of the deepest zone at or above `zone`: data of a name that is no zone cut belongs to the zone above.
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

    /// The trust of the first zone cut below `above` on the way to `name`.
    pub(in crate::resolve) async fn cut_between(&self, above: &Name, name: &Name, context: &Context) -> Trust {
        for labels in above.label_count() + 1..=name.label_count() {
            match self.trust(&name.suffix(labels), context).await {
                Trust::NoZone => {}
                trust => return trust,
            }
        }
        Trust::NoZone
    }

    /// The reply of another server, after the one in `link` did not validate. `None` when enough servers were asked, or when
    /// the budget does not pay for judging one more.
    pub(in crate::resolve) async fn ask_another(
        &self,
        question: &Question,
        link: &Link,
        tried: &mut SecondOpinions,
        context: &Context,
    ) -> Option<Link> {
        if context.cache_only || context.work.borrow().broke().is_some() {
            return None;
        }
        tried.left = tried.left.checked_sub(1)?;
        tried.rejected.extend(link.server);
        Box::pin(self.lookup.walk(question, &context.avoiding(tried.rejected.clone()))).await.ok()
    }

    async fn find_trust(&self, zone: &Name, context: &Context) -> (Trust, u32) {
        let routes = &context.routes;
        let Some(anchored) = routes.anchored(zone) else { return (Trust::Insecure(None), TRUST_S) };
        let wall = self.state.clock().wall();
        if let Some(off) = routes.turned_off(zone, wall) {
            let left = off.until.map_or(u64::MAX, |until| until - wall.0);
            return (Trust::Insecure(Some(turned_off(off))), u32::try_from(left).unwrap_or(u32::MAX).min(TRUST_S));
        }
        if let Some(held) = context.local.delegation(zone).filter(|held| held.zone == *zone && !anchored.is_within(zone)) {
            return self.trust_hosted(held, context).await;
        }
        if *anchored == *zone {
            return self.keys_of(zone, Voucher::Anchors(&routes.anchors), context).await;
        }
        if routes.is_internal_zone_by_rule(zone, anchored) {
            return (Trust::InsecureByRule, TRUST_S);
        }
        match routes.is_zone_by_rule(zone) {
            true => self.trust_by_rule(zone, context).await,
            false => self.trust_from_above(zone, context).await,
        }
    }

    async fn trust_from_above(&self, zone: &Name, context: &Context) -> (Trust, u32) {
        let Some(parent) = zone.parent() else { return (Trust::Insecure(None), TRUST_S) };
        match self.trust_of_data(&parent, context).await {
            Trust::Secure(keys) => self.trust_below(zone, keys, context).await,
            Trust::Bogus(ede) => (Trust::Bogus(ede), UNKNOWN_S),
            trust => (trust, TRUST_S),
        }
    }

    /// The trust of a zone that a rule of the configuration leads to. Where the public tree has denied it before and cannot be
    /// asked now, the zone still works: internal names do not depend on the Internet.
    async fn trust_by_rule(&self, zone: &Name, context: &Context) -> (Trust, u32) {
        let now = self.network().now();
        let was_island = self.state.islands.get(zone, now).is_some();
        let (trust, seconds) = if was_island {
            let asked = within(Duration::from_millis(ISLAND_PROOF_MS_MAX), self.trust_from_above(zone, context)).await;
            let (trust, seconds) = asked.unwrap_or_else(|| (Trust::Bogus(bogus(format!("no DS could be had for {zone}"))), UNKNOWN_S));
            // A DS set that came meanwhile has ended the island.
            if is_unknown(&trust, seconds) && self.state.islands.get(zone, now).is_some() {
                return (Trust::InsecureByRule, ISLAND_UNCHECKED_S);
            }
            (trust, seconds)
        } else {
            self.trust_from_above(zone, context).await
        };
        if !matches!(trust, Trust::NoZone) {
            return (trust, seconds);
        }
        self.state.islands.put(zone.clone(), (), now + Duration::from_secs(u64::from(ISLAND_S_MAX)));
        (Trust::InsecureByRule, seconds)
    }

    /// A delegation out of a zone that is hosted here: its DS set needs no proof from above.
    async fn trust_hosted(&self, held: LocalCut, context: &Context) -> (Trust, u32) {
        let ds = held.ds.iter().flat_map(|set| set.data.iter());
        let vouched: Vec<Anchor> = ds.filter_map(|rdata| Anchor::from_record(held.zone.clone(), Rtype::DS, rdata)).collect();
        if vouched.is_empty() {
            return (Trust::Insecure(None), 0);
        }
        self.keys_of(&held.zone, Voucher::Anchors(&vouched), context).await
    }

    /// The trust of `zone`, from the DS set or its denial in the zone above, whose keys are `above`.
    async fn trust_below(&self, zone: &Name, above: Arc<ZoneKeys>, context: &Context) -> (Trust, u32) {
        let question = Question::new(zone.clone(), Rtype::DS);
        let child = context.child(Purpose::Ds);
        let mut link = match self.lookup.find(&question, &child).await {
            Ok(link) => link,
            Err(failure) => {
                note_own_limit(&failure, context);
                return (Trust::Bogus(bogus(format!("no DS could be had for {zone}: {failure}"))), UNKNOWN_S);
            }
        };
        // Other questions may have waited for the same set: one of them has drawn the conclusion by now.
        if let Some(known) = self.state.zones.get(zone, self.network().now()).filter(|_| !context.dates_open.get()) {
            return (known, 0);
        }
        let mut tried = SecondOpinions::new();
        loop {
            let seconds = life_of(&link);
            let judgement = self.judge_ds(&question, &link, above.clone(), context).await;
            match judgement.cut() {
                CutVerdict::Secure(ds) => {
                    self.store_secure(&ds, context);
                    self.state.islands.forget(zone);
                    if let Some(reason) = ds_set_is_unusable(&ds, sha1(context)) {
                        return (insecure(reason), ds.get().ttl);
                    }
                    return self.keys_of(zone, Voucher::Ds(&ds), context).await;
                }
                CutVerdict::Insecure(reason) => return (insecure(reason), seconds),
                CutVerdict::NoCut => return (Trust::NoZone, seconds),
                CutVerdict::Open if self.is_denied(&question, &link, &above, context).await => return (Trust::NoZone, seconds),
                CutVerdict::Open => match self.ask_another(&question, &link, &mut tried, &child).await {
                    Some(other) => link = other,
                    None => return (Trust::Bogus(why_open(zone, judgement)), bogus_s(&question, context)),
                },
            }
        }
    }

    /// Does the zone above prove that no such name exists? That contradicts data of the name, unless a rule of the configuration
    /// leads to a zone there.
    async fn is_denied(&self, question: &Question, link: &Link, above: &Arc<ZoneKeys>, context: &Context) -> bool {
        let is_name_error = matches!(&link.found, Found::Denied(denial) if denial.kind == DenialKind::NxDomain);
        let Some(reply) = reply_of(question, link).filter(|_| is_name_error && context.routes.has_zone_by_rule_within(&question.name))
        else {
            return false;
        };
        matches!(judge(&self.state, reply, above.clone(), context).await, Judgement::Secure(_))
    }

    /// Judges a reply about DS with the keys of the zone above, or of a zone in between.
    async fn judge_ds(&self, question: &Question, link: &Link, above: Arc<ZoneKeys>, context: &Context) -> Judgement {
        let Some(mut reply) = reply_of(question, link) else { return Judgement::NeedsKeys(question.name.clone()) };
        // Old servers answer NXDOMAIN to a DS query for an empty non-terminal, and a referral has only the NSEC. That there
        // is no DS is all that the chain needs, and the same proof shows it in each case (RFC 6840 4.4).
        if matches!(link.found, Found::Denied(_)) {
            reply.kind = ReplyKind::NoData;
        }
        let judgement = judge(&self.state, reply.clone(), above.clone(), context).await;
        if let Judgement::NeedsKeys(deeper) = &judgement
            && deeper.is_below(above.zone())
            && question.name.is_below(deeper)
            && let Trust::Secure(between) = self.trust(deeper, context).await
        {
            return judge(&self.state, reply, between, context).await;
        }
        judgement
    }

    /// Looks up and judges the zone's DNSKEY set, by the anchors or the DS set that vouch for it.
    async fn keys_of(&self, zone: &Name, voucher: Voucher<'_>, context: &Context) -> (Trust, u32) {
        let question = Question::new(zone.clone(), Rtype::DNSKEY);
        let child = context.child(Purpose::Dnskey);
        let no_keys = || Trust::Bogus(Ede::new(EdeCode::DNSKEY_MISSING, format!("no DNSKEY set could be had for {zone}")));
        let mut link = match self.lookup.find(&question, &child).await {
            Ok(link) => link,
            Err(failure) => {
                note_own_limit(&failure, context);
                return (no_keys(), UNKNOWN_S);
            }
        };
        if let Some(known) = self.state.zones.get(zone, self.network().now()).filter(|_| !context.dates_open.get()) {
            return (known, 0);
        }
        let mut tried = SecondOpinions::new();
        loop {
            let (trust, seconds) = match link.sets_of(&question).first() {
                Some(set) => conclusion_of(self.judge_keys(zone, set, &voucher, context).await, bogus_s(&question, context)),
                None => (no_keys(), bogus_s(&question, context)),
            };
            if let Trust::Secure(keys) = &trust {
                self.store_secure(&keys.dnskeys().set, context);
            }
            if !matches!(trust, Trust::Bogus(_)) {
                return (trust, seconds);
            }
            match self.ask_another(&question, &link, &mut tried, &child).await {
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
        in_slices(|| context.spent_us(), || work_step(&self.state, zone, context, |now, work| trial.step(now, work))).await
    }

    fn store_secure(&self, set: &Validated<RrSet>, context: &Context) {
        if !context.dates_open.get() {
            self.network().cache().sets().put(set.get(), Rank::AuthAnswer, Security::Secure, self.network().now());
        }
    }
}

fn subject_of(zone: &Name) -> String {
    format!("zone {zone}")
}

fn proof_step(zone: &Name, trust: &Trust, context: &Context) -> Step {
    let (security, detail) = match trust {
        Trust::Secure(keys) => (Security::Secure, format!("{} keys", keys.keys().len())),
        Trust::Insecure(ede) => (Security::Insecure, ede.as_ref().map_or("no DS record".into(), |ede| ede.text.clone())),
        Trust::InsecureByRule => (Security::Insecure, "insecure by a rule of the configuration: the public DNS has no such zone".into()),
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

/// A reply was missing, so nothing is known about the zone.
fn is_unknown(trust: &Trust, seconds: u32) -> bool {
    matches!(trust, Trust::Bogus(_)) && seconds == UNKNOWN_S
}

/// A verdict that lacks data because of a limit of this question is not kept for others.
fn note_own_limit(failure: &Failure, context: &Context) {
    if failure.own_limit != OwnLimit::No {
        context.budget.fell_short();
    }
}

/// How long a denial of DS is kept: the TTL is not covered by the signature, so it is trusted only so far.
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

fn conclusion_of(verdict: KeyVerdict, bogus_s: u32) -> (Trust, u32) {
    match verdict {
        KeyVerdict::Secure(keys) => {
            let ttl = keys.ttl();
            (Trust::Secure(Arc::new(keys)), ttl)
        }
        KeyVerdict::Insecure(reason) => (insecure(reason), TRUST_S),
        KeyVerdict::Bogus(why) => (Trust::Bogus(why.ede()), bogus_s),
    }
}
