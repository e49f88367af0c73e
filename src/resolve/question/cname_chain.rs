//! A whole question: the links of the alias chain one after another (RFC 1034 3.6.2, RFC 6672), each looked for in this
//! server's own data first. Loops and long chains end in a failure that names the alias.

use std::sync::Arc;

use crate::cache::DenialKind;
use crate::record::{Name, Question, Rcode, RrSet, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure};
use crate::resolve::context::local::LocalAnswer;
use crate::resolve::context::trace::Step;
use crate::resolve::lookup::aggressive::may_answer_for;
use crate::resolve::question::answer::Answer;
use crate::resolve::question::resolver::Resolver;
use crate::resolve::reply::link::{AliasTail, Found, Link, alias_by_dname};

impl Resolver {
    /// Follows `question` to the end of its alias chain. `held` is what the hosted zones have already given, if that ended in
    /// an alias.
    pub(in crate::resolve) async fn resolve(
        &self,
        question: &Question,
        held: Option<LocalAnswer>,
        context: &Context,
    ) -> Result<Answer, Failure> {
        let mut answer = Answer::new();
        let mut name = question.name.clone();
        let mut seen: Vec<Name> = Vec::new();
        context.dates_open.set(self.validator().may_pass_over_dates(&question.name, context));
        context.trace.emit(|| Step::Begin { question: question.clone(), purpose: context.purpose });
        if let Some(held) = held {
            answer.security = Security::Insecure;
            let owners: Vec<Name> = held.answers.iter().map(|set| set.name.clone()).collect();
            let Some(onward) = take_local(&mut answer, held, context) else { return Ok(answer) };
            // A chain that comes back to a name which the beginning has passed is a loop, whoever answers for it now.
            seen.extend(owners);
            seen.push(std::mem::replace(&mut name, onward));
        }
        let mut tail: Option<Arc<AliasTail>> = None;
        let limit = context.routes.limits.aliases;
        for _ in 0..=limit {
            if seen.contains(&name) {
                return Err(self.give_up(question, Failure::new(name, Cause::AliasLoop), context));
            }
            seen.push(name.clone());
            let here = Question::new(name.clone(), question.rtype);
            if seen.len() > 1
                && let Some(held) = context.local.find_target(&here)
            {
                context.trace.emit(|| Step::Local { question: here.clone(), zone: held.zone.clone(), source: held.source });
                // RFC 4035 3.2.3: AD only where each RRset is authentic, and nothing proves data of this server's own.
                answer.weaken_to(Security::Insecure);
                match take_local(&mut answer, held, context) {
                    Some(onward) => name = onward,
                    None => return Ok(self.done(question, answer, context)),
                }
                continue;
            }
            let asked_s = self.network().now().secs();
            let by_dname = self.by_dname_again(&answer, &here, context);
            let is_asked = by_dname.is_none();
            let known = match &tail {
                Some(tail) if is_asked => self.link_of_tail(tail, &here, context).await,
                _ => by_dname,
            };
            let link = match known {
                Some(link) => link,
                None => match self.link_or_stale(&here, context).await {
                    Ok(link) => link,
                    Err(failure) => return Err(self.give_up(question, failure, context)),
                },
            };
            if let Some(tail) = tail.as_ref().filter(|_| is_asked) {
                self.compare(tail, &here, &link);
            }
            if link.alias_tail.is_some() {
                tail.clone_from(&link.alias_tail);
            }
            answer.age(self.network().now().secs().saturating_sub(asked_s));
            answer.weaken(&link);
            match link.found {
                Found::Answer { sets, proof } => {
                    answer.add(sets);
                    answer.add_proof(proof);
                    return Ok(self.done(question, answer, context));
                }
                Found::Alias { sets, proof, target } => {
                    context.trace.emit(|| Step::Alias {
                        from: here.name.clone(),
                        to: target.clone(),
                        rtype: sets.first().map_or(question.rtype, |set| set.rtype),
                    });
                    answer.add(sets);
                    answer.add_proof(proof);
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
                    answer.denied_without_soa = denial.soa.is_none();
                    answer.add_proof(denial.soa);
                    answer.add_proof(denial.proof);
                    return Ok(self.done(question, answer, context));
                }
            }
        }
        Err(self.give_up(question, Failure::new(name, Cause::AliasTooLong), context))
    }

    /// The next link of a chain that comes back below a DNAME which it has passed. The DNAME answers for the whole tree below it
    /// (RFC 6672 3.2), so no server is asked again; otherwise a DNAME with a target below itself would cost a query each time.
    fn by_dname_again(&self, answer: &Answer, question: &Question, context: &Context) -> Option<Link> {
        let above = |set: &&RrSet| set.rtype == Rtype::DNAME && question.name.is_below(&set.name);
        let dname = answer.answers.iter().find(above)?;
        may_answer_for(self.network(), &dname.name, question, context).then_some(())?;
        let link = alias_by_dname(&question.name, dname.clone())?;
        // It is as good as the chain so far.
        Some(Link { security: answer.security, ..link })
    }

    /// Ends the question with an answer.
    fn done(&self, question: &Question, answer: Answer, context: &Context) -> Answer {
        self.refresh_due(context);
        context.trace.emit(|| Step::Done {
            question: question.clone(),
            rcode: answer.rcode,
            records: answer.answers.iter().map(|set| set.data.len()).sum(),
            security: answer.security,
        });
        answer
    }

    /// Ends the question with a failure.
    fn give_up(&self, question: &Question, failure: Failure, context: &Context) -> Failure {
        self.refresh_due(context);
        context.trace.emit(|| Step::Failed { question: question.clone(), cause: failure.cause.clone() });
        failure
    }
}

/// Adds local data; returns the alias target at which resolution goes on, if there is one.
fn take_local(answer: &mut Answer, held: LocalAnswer, context: &Context) -> Option<Name> {
    for alias in held.answers.iter().filter(|set| set.rtype == Rtype::CNAME) {
        let Some(to) = alias.target() else { continue };
        context.trace.emit(|| Step::Alias { from: alias.name.clone(), to, rtype: alias.rtype });
    }
    answer.rcode = held.rcode;
    answer.add(held.answers);
    answer.add_proof(held.authority);
    held.onward
}
