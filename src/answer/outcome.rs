//! The one table from what was found to response code, flags, sections and Extended DNS Error.

use super::refusal::Refusal;
use crate::policy::SpecialAnswer;
use crate::record::{Ede, EdeCode, Name, Rcode, RrSet, Security};
use crate::resolve::{self, Cause, Failure, SentinelVerdict};

/// A reply before it is bytes.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub rcode: Option<Rcode>,
    /// The first owner's data came from a zone hosted here.
    pub authoritative: bool,
    pub security: Security,
    pub answers: Vec<RrSet>,
    pub authority: Vec<RrSet>,
    /// Addresses of what the answer names; left out rather than truncated for.
    pub additional: Vec<RrSet>,
    /// Glue of a referral from an own zone: must fit, or TC (RFC 9471 2.1).
    pub glue: Vec<RrSet>,
    pub edes: Vec<Ede>,
    /// The agent to whom failures of the hosted zone may be reported (RFC 9567).
    pub report_agent: Option<Name>,
    /// All of it is this server's own: it does not grow older here, and there is nobody to ask for it again.
    pub own: bool,
    /// May the finished bytes serve the next one who asks?
    pub repeatable: bool,
}

impl Outcome {
    pub fn error(rcode: Rcode) -> Outcome {
        Outcome { rcode: Some(rcode), ..Outcome::default() }
    }

    pub fn refused(why: &str) -> Outcome {
        Outcome { edes: vec![Ede::new(EdeCode::PROHIBITED, why)], ..Outcome::error(Rcode::REFUSED) }
    }

    /// Ends the chain of aliases with the one at this place: the zone that it leads to is closed to the client.
    pub(super) fn end_at(&mut self, alias: usize, refusal: &Refusal) {
        self.answers.truncate(alias + 1);
        for section in [&mut self.authority, &mut self.additional, &mut self.glue] {
            section.clear();
        }
        self.rcode = Some(Rcode::NOERROR);
        self.security = Security::Insecure;
        self.edes = vec![Ede::new(EdeCode::PROHIBITED, refusal.why())];
    }

    /// Ready answers have no room for the option, so such an answer is made anew each time.
    pub fn name_report_agent(&mut self, agent: Option<&Name>) {
        if let Some(agent) = agent {
            self.report_agent = Some(agent.clone());
            self.repeatable = false;
        }
    }

    pub fn rcode(&self) -> Rcode {
        self.rcode.unwrap_or(Rcode::NOERROR)
    }

    /// Does the client get SERVFAIL in place of this answer?
    pub fn withholds(answer: &resolve::Answer, checking_disabled: bool) -> bool {
        answer.security == Security::Bogus && !checking_disabled
    }

    /// `checking_disabled` clients get bogus data (RFC 4035 3.2.2), everybody else SERVFAIL and the reason.
    pub fn resolved(answer: resolve::Answer, checking_disabled: bool) -> Outcome {
        let is_withheld = Outcome::withholds(&answer, checking_disabled);
        let mut edes: Vec<Ede> = answer.ede.into_iter().collect();
        if is_withheld {
            return Outcome { edes, ..Outcome::error(Rcode::SERVFAIL) };
        }
        // RFC 8509 3.1.
        if answer.root_key_sentinel == Some(SentinelVerdict::Withhold) && !checking_disabled {
            return Outcome::error(Rcode::SERVFAIL);
        }
        if answer.stale {
            let code = if answer.rcode == Rcode::NXDOMAIN { EdeCode::STALE_NXDOMAIN } else { EdeCode::STALE_ANSWER };
            edes.push(Ede::new(code, "servers could not be reached; this is the last they said"));
        }
        Outcome {
            rcode: Some(answer.rcode),
            authoritative: answer.authoritative,
            security: answer.security,
            answers: answer.answers,
            authority: answer.authority,
            repeatable: answer.root_key_sentinel.is_none()
                && !answer.stale
                && !answer.is_alias_tail
                && !answer.denied_without_soa
                && edes.is_empty()
                && answer.security != Security::Bogus,
            edes,
            ..Outcome::default()
        }
    }

    pub fn failed(failure: &Failure) -> Outcome {
        let mut edes = vec![failure.ede()];
        if matches!(failure.cause, Cause::Remembered(_)) {
            edes.push(Ede::new(EdeCode::CACHED_ERROR, ""));
        }
        Outcome { edes, ..Outcome::error(Rcode::SERVFAIL) }
    }

    /// `None`: the name turned out to be an ordinary one.
    pub fn special(answer: SpecialAnswer) -> Option<Outcome> {
        let base = Outcome { own: true, repeatable: true, security: Security::Insecure, ..Outcome::default() };
        Some(match answer {
            SpecialAnswer::NxDomain { soa } => Outcome { rcode: Some(Rcode::NXDOMAIN), authority: vec![soa], ..base },
            SpecialAnswer::NoData { soa } => Outcome { authority: vec![soa], ..base },
            SpecialAnswer::Sets(sets) => Outcome { answers: sets, ..base },
            SpecialAnswer::Ordinary => return None,
        })
    }
}
