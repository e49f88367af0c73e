//! A whole question: links followed one after another along aliases (RFC 1034 3.6.2, RFC 6672), each looked
//! for in this server's own data first. Loops and long chains end in a failure that names the alias.

use std::sync::Arc;

use crate::cache::DenialKind;
use crate::record::{Ede, Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::local::LocalAnswer;
use crate::resolve::context::trace::Step;
use crate::resolve::reply::link::{AliasTail, Found, Link};
use crate::resolve::resolver::Resolver;

/// What a client is told, before flags and sections are put together.
#[derive(Clone, Debug)]
pub struct Answer {
    pub rcode: Rcode,
    /// In chain order.
    pub answers: Vec<RrSet>,
    /// SOA of a denial, and proofs.
    pub authority: Vec<RrSet>,
    /// The weakest link's.
    pub security: Security,
    pub stale: bool,
    pub ede: Option<Ede>,
    /// Every part came from this server's own zones.
    pub authoritative: bool,
    /// Unproved, a part was said by a server that was asked for another name: for the one who waited, not to be kept.
    pub in_passing: bool,
}

impl Answer {
    pub(in crate::resolve) fn new() -> Answer {
        Answer {
            rcode: Rcode::NOERROR,
            answers: Vec::new(),
            authority: Vec::new(),
            security: Security::Secure,
            stale: false,
            ede: None,
            authoritative: false,
            in_passing: false,
        }
    }

    /// What is here already grows older while the rest of the chain is looked for.
    fn age(&mut self, seconds: u32) {
        for set in self.answers.iter_mut().chain(&mut self.authority) {
            set.ttl = set.ttl.saturating_sub(seconds);
        }
    }

    /// RFC 2181 5: a set stands once in an answer. A chain may pass through the same DNAME twice.
    pub(in crate::resolve) fn add(&mut self, sets: impl IntoIterator<Item = RrSet>) {
        add_once(&mut self.answers, sets);
    }

    /// Sets of the authority section: two links may be proved by the same record.
    pub(in crate::resolve) fn prove_by(&mut self, proof: impl IntoIterator<Item = RrSet>) {
        add_once(&mut self.authority, proof);
    }

    /// A chain is only as good as its weakest link: Bogus, then Indeterminate, then Insecure, then Secure.
    fn weaken(&mut self, link: &Link) {
        let order = |security: Security| match security {
            Security::Bogus => 0,
            Security::Indeterminate => 1,
            Security::Insecure => 2,
            Security::Secure => 3,
        };
        if order(link.security) < order(self.security) {
            self.security = link.security;
        }
        self.stale |= link.stale;
        self.in_passing |= link.in_passing && link.security != Security::Secure;
        if self.ede.is_none() {
            self.ede = link.ede.clone();
        }
    }
}

fn add_once(section: &mut Vec<RrSet>, sets: impl IntoIterator<Item = RrSet>) {
    for set in sets {
        if !section.iter().any(|have| have.rtype == set.rtype && have.name == set.name) {
            section.push(set);
        }
    }
}

impl Resolver {
    /// Follows `question` to its end. `held` is what this server's own data already gave, if it ended in an alias.
    pub async fn resolve(&self, question: &Question, held: Option<LocalAnswer>, context: &Context) -> Result<Answer, Failure> {
        let mut answer = Answer::new();
        let mut name = question.name.clone();
        let mut seen: Vec<Name> = Vec::new();
        context.dates_open.set(self.may_pass_over_dates(&question.name, context));
        context.trace.emit(|| Step::Begin { question: question.clone(), purpose: context.purpose });
        if let Some(held) = held {
            answer.security = Security::Insecure;
            let Some(onward) = take_local(&mut answer, held, context) else { return Ok(answer) };
            seen.push(std::mem::replace(&mut name, onward));
        }
        let mut beyond: Option<Arc<AliasTail>> = None;
        let limit = context.routes.limits.aliases;
        for _ in 0..=limit {
            if seen.contains(&name) {
                return Err(self.give_up(question, Failure::new(name, Cause::AliasLoop), context));
            }
            seen.push(name.clone());
            let here = Question::new(name.clone(), question.rtype);
            if seen.len() > 1
                && let Some(held) = context.local.find(&here)
            {
                context.trace.emit(|| Step::Local { question: here.clone(), zone: held.zone.clone(), document: held.document });
                match take_local(&mut answer, held, context) {
                    Some(onward) => name = onward,
                    None => return Ok(self.done(question, answer, context)),
                }
                answer.security = Security::Insecure;
                continue;
            }
            let asked_s = self.now().secs();
            let in_passing = match &beyond {
                Some(beyond) => self.beyond(beyond, &here, context).await,
                None => None,
            };
            let link = match in_passing {
                Some(link) => link,
                None => match self.link(&here, context).await {
                    Ok(link) => link,
                    Err(failure) => return Err(self.give_up(question, failure, context)),
                },
            };
            if let Some(beyond) = &beyond {
                self.compare(beyond, &here, &link);
            }
            if link.beyond.is_some() {
                beyond.clone_from(&link.beyond);
            }
            answer.age(self.now().secs().saturating_sub(asked_s));
            answer.weaken(&link);
            match link.found {
                Found::Answer { sets, proof } => {
                    answer.add(sets);
                    answer.prove_by(proof);
                    return Ok(self.done(question, answer, context));
                }
                Found::Alias { sets, proof, target } => {
                    context.trace.emit(|| Step::Alias {
                        from: here.name.clone(),
                        to: target.clone(),
                        rtype: sets.first().map_or(question.rtype, |set| set.rtype),
                    });
                    answer.add(sets);
                    answer.prove_by(proof);
                    // RFC 1034 4.3.2 step 3a: a CNAME that was asked for is the answer, one made from a DNAME too.
                    if matches!(question.rtype, Rtype::CNAME | Rtype::ANY) {
                        return Ok(self.done(question, answer, context));
                    }
                    name = target;
                }
                Found::TooLong { dname } => {
                    answer.rcode = Rcode::YXDOMAIN;
                    answer.add([dname]);
                    return Ok(self.done(question, answer, context));
                }
                Found::Denied(denial) => {
                    answer.rcode = if denial.kind == DenialKind::NxDomain { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                    answer.prove_by(denial.soa);
                    answer.prove_by(denial.proof);
                    return Ok(self.done(question, answer, context));
                }
            }
        }
        Err(self.give_up(question, Failure::new(name, Cause::AliasTooLong), context))
    }

    fn done(&self, question: &Question, answer: Answer, context: &Context) -> Answer {
        context.trace.emit(|| Step::Done {
            question: question.clone(),
            rcode: answer.rcode,
            records: answer.answers.iter().map(|set| set.data.len()).sum(),
            security: answer.security,
        });
        answer
    }

    fn give_up(&self, question: &Question, failure: Failure, context: &Context) -> Failure {
        context.trace.emit(|| Step::Failed { question: question.clone(), cause: failure.cause.clone() });
        failure
    }
}

/// Adds what this server holds; the name at which looking goes on, if it does.
fn take_local(answer: &mut Answer, held: LocalAnswer, context: &Context) -> Option<Name> {
    for alias in held.answers.iter().filter(|set| set.rtype == Rtype::CNAME) {
        let Some(to) = alias.target() else { continue };
        context.trace.emit(|| Step::Alias { from: alias.name.clone(), to, rtype: alias.rtype });
    }
    answer.rcode = held.rcode;
    answer.add(held.answers);
    answer.prove_by(held.authority);
    held.onward
}
