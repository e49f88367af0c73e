//! Validates a link before it is given to a client: the reply is judged with the keys that the chain of trust establishes
//! from the anchor down (RFC 4035 5), and the result is stored in the cache.
//!
//! A walk never waits for validation, so validation cannot close a circle of walks: server addresses, DS and DNSKEY sets
//! are looked up without it.

use std::sync::Arc;

use crate::cache::{CachedDenial, Denial, DenialKind, Denials, FailureKind};
use crate::env::BootTime;
use crate::limits::validation::VALIDATION_TURNS_MAX;
use crate::record::{Ede, EdeCode, Name, Question, Rank, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::Failure;
use crate::resolve::context::trace::{ChainPart, Step};
use crate::resolve::dnssec::chain_of_trust::{ChainOfTrust, SecondOpinions};
use crate::resolve::dnssec::judge::{first_signer, judge, reply_of};
use crate::resolve::dnssec::trust::{Trust, bogus, bogus_s, turned_off};
use crate::resolve::dnssec::trust_anchors::TrustState;
use crate::resolve::lookup::aggressive::store_ranges;
use crate::resolve::lookup::lookup::Lookup;
use crate::resolve::network::network::Network;
use crate::resolve::reply::link::{Found, Link};
use crate::validate::{Judgement, Reply, Secured, Signed};

/// Of one worker. Cheap to clone.
#[derive(Clone)]
pub(in crate::resolve) struct Validator {
    pub(in crate::resolve) chain: ChainOfTrust,
}

impl Validator {
    /// The validator of one worker over the shared state.
    pub(in crate::resolve) fn new(lookup: Lookup, state: Arc<TrustState>) -> Validator {
        Validator { chain: ChainOfTrust { lookup, state } }
    }

    /// The network of this worker.
    pub(in crate::resolve) fn network(&self) -> &Network {
        self.chain.network()
    }

    /// The look-up of this worker.
    pub(in crate::resolve) fn lookup(&self) -> &Lookup {
        &self.chain.lookup
    }

    /// The state shared by all workers.
    pub(in crate::resolve) fn state(&self) -> &TrustState {
        &self.chain.state
    }

    /// One name and type, looked up and validated. Where the reply of one server does not validate, other servers are asked
    /// before the answer counts as bogus.
    pub(in crate::resolve) async fn link(&self, question: &Question, context: &Context) -> Result<Link, Failure> {
        let raw = self.lookup().find(question, context).await?;
        if context.cache_only {
            return Ok(raw);
        }
        Ok(self.validate(question, raw, context).await)
    }

    async fn validate(&self, question: &Question, link: Link, context: &Context) -> Link {
        if !context.routes.recursion.dnssec || link.stale {
            return link;
        }
        if link.security != Security::Indeterminate {
            let link = match link.security {
                Security::Bogus => self.known_bogus(question, link),
                Security::Insecure => self.perhaps_turned_off(question, link, context),
                _ => link,
            };
            self.trace_proof(question, &link, None, context);
            return link;
        }
        // Boxed: a question that waits for its walk must not hold room for what comes after it.
        let mut link = Box::pin(self.validate_once(question, link, context)).await;
        let mut tried = SecondOpinions::new();
        while link.security == Security::Bogus && self.another_server_may_help(&link, context).await {
            let Some(other) = self.chain.ask_another(question, &link, &mut tried, context).await else { break };
            link = Box::pin(self.validate_once(question, other, context)).await;
        }
        link
    }

    /// Other servers of the zone cannot repair the chain of trust above the zone. But a reply without signatures from a zone
    /// whose keys are proved means that this server left the signatures out, and the search for a zone cut below was in vain.
    async fn another_server_may_help(&self, link: &Link, context: &Context) -> bool {
        let is_unsigned = link.sets().iter().all(|set| set.sigs.is_empty());
        match &link.zone {
            _ if !link.is_chain_bogus => true,
            Some(zone) if is_unsigned => matches!(self.chain.trust_of_data(zone, context).await, Trust::Secure(_)),
            Some(_) | None => false,
        }
    }

    /// It did not validate a moment ago, for this type or for another one: the reason was kept for each of its facts.
    fn known_bogus(&self, question: &Question, link: Link) -> Link {
        let why = |of: &Question| self.network().cache().failures().get(of, self.network().now());
        let (wrong, other): (Vec<_>, Vec<_>) =
            facts_of(question, &link).iter().filter_map(why).partition(|failed| failed.kind == FailureKind::BogusData);
        let kept = wrong.into_iter().chain(other).next().or_else(|| why(question));
        let is_chain_bogus = kept.as_ref().is_some_and(|failed| failed.kind == FailureKind::BogusChain);
        let ede = kept.map_or_else(|| bogus(format!("{question} did not prove right a moment ago")), |failed| failed.ede);
        Link { ede: Some(ede), is_chain_bogus, ..link }
    }

    /// RFC 7646 3: each client is told that validation was turned off, not only the first.
    fn perhaps_turned_off(&self, question: &Question, link: Link, context: &Context) -> Link {
        let off = || context.routes.turned_off(&question.name, self.state().clock().wall());
        let ede = link.ede.clone().or_else(|| off().map(turned_off));
        Link { ede, ..link }
    }

    /// Several clients may have waited for one walk: what was validated for one of them is not validated again.
    fn judged_meanwhile(&self, question: &Question, link: &Link) -> Option<Link> {
        let now = self.network().now();
        match &link.found {
            Found::Answer { sets, proof } => {
                let ([set], true) = (&sets[..], proof.is_empty()) else { return None };
                let known = self.network().cache().sets().get(&set.name, set.rtype, now)?;
                let same =
                    known.security != Security::Indeterminate && known.set.data == set.data && known.set.sigs.len() <= set.sigs.len();
                let found = Found::Answer { sets: vec![known.set], proof: Vec::new() };
                same.then(|| Link { found, security: known.security, ..link.clone() })
            }
            Found::Denied(raw) => {
                let known = self.network().cache().denials().get(question, now)?;
                let same = known.security != Security::Indeterminate && known.kind == raw.kind && known.soa.is_some() == raw.soa.is_some();
                let CachedDenial { kind, soa, proof, security, relayed, .. } = known;
                let denial = Denial { kind, soa, proof, security, relayed };
                same.then(|| Link { found: Found::Denied(denial), security: known.security, ..link.clone() })
            }
            Found::Alias { .. } | Found::TooLong { .. } => None,
        }
    }

    /// Validates the link with the replies of the servers that were asked, without trying others.
    pub(in crate::resolve) async fn validate_once(&self, question: &Question, link: Link, context: &Context) -> Link {
        let Some(reply) = reply_of(question, &link) else { return Link { security: Security::Insecure, ..link } };
        let began = self.network().now();
        if let Some(off) = context.routes.turned_off(&question.name, self.state().clock().wall()) {
            return self.apply(question, link, Verdict::Insecure(Some(turned_off(off))), began, context);
        }
        let lowest_apex = question.lowest_apex();
        let start = [first_signer(&reply), link.zone.clone()].into_iter().flatten().find(|zone| lowest_apex.is_within(zone));
        let start = start.unwrap_or_else(Name::root);
        // RFC 4035 4.3: the trust anchor nearest to the data. The zones above it are neither needed nor sufficient.
        let anchor = context.routes.anchored(&lowest_apex).cloned().unwrap_or_else(Name::root);
        let start = if start.is_within(&anchor) { start } else { anchor.clone() };
        let _ = self.chain.trust_of_data(&start, context).await;
        if let Some(judged) = self.judged_meanwhile(question, &link) {
            return if judged.security == Security::Bogus { self.known_bogus(question, judged) } else { judged };
        }
        let verdict = self.judge_from(reply, start, &anchor, context).await;
        self.apply(question, link, verdict, began, context)
    }

    /// With the keys of `start` and of the zones that they lead to, never with those of a zone above `anchor`.
    async fn judge_from(&self, reply: Reply, start: Name, anchor: &Name, context: &Context) -> Verdict {
        let mut zone = start;
        for _ in 0..VALIDATION_TURNS_MAX {
            let keys = match self.chain.trust_of_data(&zone, context).await {
                Trust::Secure(keys) => keys,
                Trust::Insecure(ede) => return Verdict::Insecure(ede),
                Trust::InsecureByRule => return Verdict::Insecure(None),
                Trust::Bogus(ede) => return Verdict::BogusChain(ede),
                Trust::NoZone => {
                    return Verdict::Bogus(bogus(format!("signatures are made by {zone}, which is no zone")));
                }
            };
            match judge(self.state(), reply.clone(), keys.clone(), context).await {
                Judgement::Secure(secured) => return Verdict::Secure(Box::new(secured)),
                Judgement::Insecure(reason) => return Verdict::Insecure(reason.ede()),
                Judgement::Bogus(why) => return Verdict::Bogus(why.ede()),
                Judgement::NeedsKeys(deeper) if deeper != zone && deeper.is_within(anchor) => zone = deeper,
                Judgement::NeedsKeys(_) => return Verdict::Bogus(bogus("signed by no zone on the way")),
                Judgement::NeedsCut { name, why } => match self.chain.cut_between(keys.zone(), &name, context).await {
                    Trust::Secure(deeper) => zone = deeper.zone().clone(),
                    Trust::Insecure(ede) => return Verdict::Insecure(ede),
                    Trust::InsecureByRule => return Verdict::Insecure(None),
                    Trust::Bogus(ede) => return Verdict::BogusChain(ede),
                    Trust::NoZone => return Verdict::Bogus(why.ede()),
                },
            }
        }
        Verdict::Bogus(bogus("the chain of zones does not end"))
    }

    /// Is the clock wrong, and is `name` one that helps to set it?
    pub(in crate::resolve) fn may_pass_over_dates(&self, name: &Name, context: &Context) -> bool {
        context.routes.recursion.time_bootstrap_names.iter().any(|time| name.is_within(time)) && self.state().is_clock_unset()
    }

    /// Puts the verdict on the link, and stores what was validated: aged by the time that validation took.
    fn apply(&self, question: &Question, mut link: Link, verdict: Verdict, began: BootTime, context: &Context) -> Link {
        let mut signed = None;
        let took_s = self.network().now().secs().saturating_sub(began.secs());
        let is_chain_bogus = matches!(verdict, Verdict::BogusChain(_));
        match verdict {
            Verdict::Secure(secured) if context.dates_open.get() => {
                signed = secured.answer.first().map(|verified| verified.signed);
                link.security = Security::Insecure;
                link.ede = Some(Ede::new(EdeCode::OTHER, "this machine's clock is wrong: signatures fit, their dates were not checked"));
                take_proved(&mut link, *secured);
                link = link.within_ttl_limits(self.network().cache());
            }
            Verdict::Secure(secured) => {
                link.security = Security::Secure;
                if secured.proof.as_ref().is_some_and(|proof| proof.opt_out) {
                    link.security = Security::Insecure;
                }
                store_ranges(self.network(), &secured, began, context);
                signed = secured.answer.first().map(|verified| verified.signed);
                take_proved(&mut link, *secured);
                link.age(took_s);
                link = link.within_ttl_limits(self.network().cache());
                self.store_judged(question, &link);
            }
            Verdict::Insecure(ede) => {
                link.security = Security::Insecure;
                link.ede = ede;
                link.age(took_s);
                if !context.dates_open.get() && !link.is_alias_tail {
                    self.store_judged(question, &link);
                }
            }
            Verdict::Bogus(ede) | Verdict::BogusChain(ede) => {
                link.security = Security::Bogus;
                link.is_chain_bogus = is_chain_bogus;
                // A spent budget says nothing about the data: the next question has a budget of its own.
                if context.work.borrow().broke().is_none() && !context.budget.may_lack_data() && !link.is_alias_tail {
                    self.store_bogus(question, &link, &ede, context);
                }
                link.ede = Some(ede);
            }
        }
        self.trace_proof(question, &link, signed, context);
        link
    }

    fn trace_proof(&self, question: &Question, link: &Link, signed: Option<Signed>, context: &Context) {
        self.chain.trace_chain(&question.name, context);
        context.trace.emit(|| Step::Proof {
            subject: question.to_string(),
            security: link.security,
            detail: link.ede.as_ref().map(|ede| ede.text.clone()).unwrap_or_default(),
            part: Some(Box::new(ChainPart {
                name: question.name.clone(),
                rtype: Some(question.rtype),
                anchored: false,
                keys: Vec::new(),
                signed,
            })),
        });
    }

    /// RFC 4035 4.7: for a short while, with the reason, so that a flood of questions is not validated each time.
    fn store_bogus(&self, question: &Question, link: &Link, ede: &Ede, context: &Context) {
        let now = self.network().now();
        let least_s = bogus_s(question, context);
        if let Found::Denied(denial) = &link.found {
            let mut denial = Denial { security: Security::Bogus, ..denial.clone() };
            if let Some(soa) = &mut denial.soa {
                soa.ttl = soa.ttl.min(least_s);
            }
            self.network().cache().denials().put(question, &denial, now);
        }
        let kind = if link.is_chain_bogus { FailureKind::BogusChain } else { FailureKind::BogusData };
        let keep = |of: &Question, seconds| self.network().cache().failures().put_bogus(of, kind, ede, seconds, now);
        let seconds = keep(question, least_s);
        if let Found::Denied(denial) = &link.found {
            keep(&Denials::kept_as(question, denial), seconds);
        }
        for set in link.sets() {
            if self.network().cache().sets().mark_security(set, Security::Bogus, Some(seconds), now) {
                // An alias answers for other types too, and what came with ANY answers for its own.
                keep(&Question::new(set.name.clone(), set.rtype), seconds.min(set.ttl));
            }
        }
    }

    fn store_judged(&self, question: &Question, link: &Link) {
        let now = self.network().now();
        match &link.found {
            Found::Answer { sets, .. } => {
                for set in sets {
                    self.network().cache().sets().put(set, Rank::AuthAnswer, link.security, now);
                }
            }
            // A CNAME made from a DNAME is made again each time where the DNAME is secure. Others make no other name's answer
            // (RFC 6672 3.4: the CNAME may be cached).
            Found::Alias { sets, .. } => {
                let kept = if link.security == Security::Insecure { sets.len() } else { 1 };
                for set in sets.iter().take(kept) {
                    self.network().cache().sets().put(set, Rank::AuthAnswer, link.security, now);
                }
                // The reply of another server may have been bogus.
                self.network().cache().failures().remove(question);
            }
            Found::Denied(denial) => {
                self.network().cache().denials().put(question, &Denial { security: link.security, ..denial.clone() }, now);
            }
            Found::TooLong { .. } => {}
        }
    }
}

/// The names and types under which the cache keeps what the link consists of.
fn facts_of(question: &Question, link: &Link) -> Vec<Question> {
    match &link.found {
        Found::Denied(denial) => vec![Denials::kept_as(question, denial)],
        _ => link.sets().iter().map(|set| Question::new(set.name.clone(), set.rtype)).collect(),
    }
}

enum Verdict {
    Secure(Box<Secured>),
    Insecure(Option<Ede>),
    Bogus(Ede),
    /// The keys of the zone, or of one above it, do not validate.
    BogusChain(Ede),
}

/// Replaces the data as received by the validated data, with its shortened TTLs.
fn take_proved(link: &mut Link, secured: Secured) {
    let is_nodata = secured.is_nodata();
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
            let kind = if is_nodata { DenialKind::NoData } else { denial.kind };
            *denial = Denial { soa: Vec::into_iter(soa).next(), proof, security: link.security, kind, relayed: denial.relayed };
        }
        Found::TooLong { dname } => {
            if let Some(first) = proved.into_iter().next() {
                *dname = first;
            }
        }
    }
}
