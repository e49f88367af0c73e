//! DNS error reporting (RFC 9567): when a question fails, the operator of the zone may be told, by a question below the
//! name of the agent that the zone's servers gave in the EDNS option Report-Channel.
//!
//! ```text
//! _er . TYPE . labels of the failing name . code of the Extended DNS Error . _er . agent domain   TXT
//! ```
//!
//! A report is made once an hour for each failing name, type and reason, after the client has its answer, under a budget
//! of its own; and only so many in a minute are made at all. What comes of a report matters to nobody.

use crate::record::{EdeCode, Name, Question, Rtype, Security};
use crate::resolve::context::context::Context;
use crate::resolve::context::failure::{Cause, Failure, OwnLimit};
use crate::resolve::context::task::in_background;
use crate::resolve::context::trace::Purpose;
use crate::resolve::question::answer::Answer;
use crate::resolve::question::resolver::Resolver;

const REPORT: &[u8] = b"_er";

impl Resolver {
    /// Reports what is wrong with the zone of a client's question to the agent that the zone's servers have named.
    pub(in crate::resolve) fn report_error(&self, question: &Question, result: &Result<Answer, Failure>, context: &Context) {
        let Some(code) = code_of(result).filter(|_| context.routes.recursion.error_reporting) else { return };
        let (agents, now) = (self.report_agents(), self.network().now());
        let Some(agent) = agents.agent_for(&question.name, now) else { return };
        let Some(report) = report_question(question, code, &agent.domain) else { return };
        if !agents.take(&report.name, &agent, now) {
            return;
        }
        let (resolver, context) = (self.clone(), context.background(Purpose::ErrorReport));
        in_background(async move {
            let _ = resolver.validator().link(&report, &context).await;
        });
    }
}

/// The reason, where it lies with the zone or its servers. Limits of this server are nobody else's business.
fn code_of(result: &Result<Answer, Failure>) -> Option<EdeCode> {
    match result {
        Ok(answer) => answer.ede.as_ref().filter(|_| answer.security == Security::Bogus).map(|ede| ede.code),
        Err(failure) => match failure.cause {
            _ if failure.own_limit != OwnLimit::No => None,
            Cause::NoReachableAuthority | Cause::ServersFailed | Cause::NoServerAddress => Some(failure.ede().code),
            Cause::Cycle
            | Cause::AliasLoop
            | Cause::AliasTooLong
            | Cause::FamilyMissing { .. }
            | Cause::Spent(_)
            | Cause::Remembered(_)
            | Cause::TimedOut
            | Cause::NoSocket
            | Cause::Shed
            | Cause::NotCached
            | Cause::ZoneNotLoaded(_)
            | Cause::Internal => None,
        },
    }
}

/// The question that tells `agent` that `question` failed for the reason `code`. `None` where no report may be made:
/// the agent is the root, the failing name is itself a report or lies at or below the agent (a report must not cause a
/// report, RFC 9567 6.1.1), or the name would be too long.
fn report_question(question: &Question, code: EdeCode, agent: &Name) -> Option<Question> {
    if agent.is_root() || question.name.is_within(agent) || question.name.labels().next() == Some(REPORT) {
        return None;
    }
    let mut labels: Vec<&[u8]> = vec![REPORT];
    let (rtype, code) = (question.rtype.0.to_string(), code.0.to_string());
    labels.push(rtype.as_bytes());
    labels.extend(question.name.labels());
    labels.push(code.as_bytes());
    labels.push(REPORT);
    let mut name = agent.clone();
    for label in labels.iter().rev() {
        name = name.child(label).ok()?;
    }
    Some(Question::new(name, Rtype::TXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn reported(asked: &str, agent: &str) -> Option<String> {
        let question = Question::new(name(asked), Rtype::A);
        report_question(&question, EdeCode(7), &name(agent)).map(|report| report.name.to_string())
    }

    #[test]
    fn the_example_of_rfc_9567() {
        // RFC 9567 4.2: broken.test. A, signature expired, agent a01.agent-domain.example.
        let expected = "_er.1.broken.test.7._er.a01.agent-domain.example.";
        assert_eq!(reported("broken.test.", "a01.agent-domain.example.").as_deref(), Some(expected));
    }

    #[test]
    fn reports_cause_no_reports_and_fit_a_name() {
        assert_eq!(reported("broken.test.", "."), None);
        assert_eq!(reported("x.agent.example.", "agent.example."), None);
        assert_eq!(reported("_er.1.broken.test.7._er.other.example.", "agent.example."), None);
        let long = format!("{}test.", format!("{}.", "a".repeat(60)).repeat(3));
        assert!(reported(&long, "agent.example.").is_some());
        assert_eq!(reported(&long, &format!("{}.example.", "b".repeat(60))), None);
    }
}
