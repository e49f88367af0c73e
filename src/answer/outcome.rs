//! The one table from results to response code, flags, sections and extended DNS error.

use std::net::IpAddr;

use super::refusal::Refusal;
use crate::metrics::{PolicyAction, Source};
use crate::policy::{Listed, SpecialAnswer};
use crate::record::{Ede, EdeCode, Name, Rcode, RrSet, Security};
use crate::resolve::{self, Cause, Failure, SentinelVerdict};

/// A reply before it is encoded.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub rcode: Option<Rcode>,
    /// The data of the first owner came from a zone that is hosted here.
    pub authoritative: bool,
    pub security: Security,
    pub answers: Vec<RrSet>,
    pub authority: Vec<RrSet>,
    /// Addresses of names in the answer; they are left out rather than cause truncation.
    pub additional: Vec<RrSet>,
    /// Glue of a referral from a hosted zone: it must fit, otherwise TC is set (RFC 9471 2.1).
    pub glue: Vec<RrSet>,
    pub edes: Vec<Ede>,
    /// The agent to which failures of the hosted zone may be reported (RFC 9567).
    pub report_agent: Option<Name>,
    /// All data is this server's own: its TTLs do not count down, and no server has to be asked for it again.
    pub own: bool,
    /// For reports: where it came from.
    pub source: Source,
    /// For the log: the first server at fault.
    pub server: Option<IpAddr>,
    /// Whether the encoded reply may answer later clients too.
    pub repeatable: bool,
    pub delivery: Delivery,
    /// What a rule of a response policy zone did.
    pub policy: Option<PolicyAction>,
    /// What a list did; its reason goes with the reply.
    pub list: Option<Listed>,
}

/// How the reply is sent.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Delivery {
    #[default]
    Whole,
    /// Over UDP without records and with TC.
    Truncated,
    /// Nothing is sent.
    None,
}

impl Outcome {
    /// A reply without records.
    pub fn error(rcode: Rcode) -> Outcome {
        Outcome { rcode: Some(rcode), ..Outcome::default() }
    }

    /// REFUSED with a sentence for the client.
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

    /// Ready answers have no room for this option, so such an answer is encoded anew each time.
    pub fn name_report_agent(&mut self, agent: Option<&Name>) {
        if let Some(agent) = agent {
            self.report_agent = Some(agent.clone());
            self.repeatable = false;
        }
    }

    /// The response code, extended ones included.
    pub fn rcode(&self) -> Rcode {
        self.rcode.unwrap_or(Rcode::NOERROR)
    }

    /// Whether the client gets SERVFAIL instead of this answer.
    pub fn withholds(answer: &resolve::Answer, checking_disabled: bool) -> bool {
        answer.security == Security::Bogus && !checking_disabled
    }

    /// Bogus data goes to clients that set CD (RFC 4035 3.2.2); all others get SERVFAIL and the reason.
    pub fn resolved(answer: resolve::Answer, checking_disabled: bool) -> Outcome {
        let is_withheld = Outcome::withholds(&answer, checking_disabled);
        let mut edes: Vec<Ede> = answer.ede.into_iter().collect();
        if is_withheld {
            return Outcome { security: Security::Bogus, edes, ..Outcome::error(Rcode::SERVFAIL) };
        }
        // RFC 8509 3.1.
        if answer.root_key_sentinel == Some(SentinelVerdict::Withhold) && !checking_disabled {
            edes.push(Ede::new(EdeCode::OTHER, "the root key sentinel in the name: this is the answer to what it asks (RFC 8509)"));
            return Outcome { edes, ..Outcome::error(Rcode::SERVFAIL) };
        }
        if answer.stale {
            let code = if answer.rcode == Rcode::NXDOMAIN { EdeCode::STALE_NXDOMAIN } else { EdeCode::STALE_ANSWER };
            let is_unproved = edes.iter().any(|ede| ede.code == EdeCode::DNSSEC_BOGUS);
            let why = if is_unproved { "be validated" } else { "be had" };
            edes.push(Ede::new(code, format!("newer data could not {why}; this data has expired")));
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

    /// SERVFAIL, with the reasons as extended errors.
    pub fn failed(failure: &Failure) -> Outcome {
        let mut edes = vec![failure.ede()];
        if matches!(failure.cause, Cause::Remembered(_)) {
            edes.push(Ede::new(EdeCode::CACHED_ERROR, ""));
        }
        let server = failure.faults.first().map(|fault| fault.server);
        Outcome { edes, server, ..Outcome::error(Rcode::SERVFAIL) }
    }

    /// `None`: the name is an ordinary one.
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
