//! The answer to a whole question, before flags and sections are put together.

use crate::record::{Ede, Rcode, RrSet, Security};
use crate::resolve::reply::link::Link;

/// What becomes of an answer whose question asks about a root key (RFC 8509). Such an answer is never kept as a ready one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SentinelVerdict {
    Answer,
    /// SERVFAIL for clients that leave checking to this server (CD=0).
    Withhold,
}

/// The answer to a whole question.
#[derive(Clone, Debug)]
pub struct Answer {
    pub rcode: Rcode,
    /// In chain order.
    pub answers: Vec<RrSet>,
    /// SOA of a denial, and proofs.
    pub authority: Vec<RrSet>,
    /// Of the weakest link.
    pub security: Security,
    pub stale: bool,
    pub ede: Option<Ede>,
    /// All of it came from zones that are hosted here.
    pub authoritative: bool,
    /// A part is not validated and comes from the alias tail of a reply: it is given to this client, and not kept.
    pub is_alias_tail: bool,
    /// The answer ends in a denial without SOA, so no record says how long the denial may be cached (RFC 2308 5).
    pub denied_without_soa: bool,
    /// What the root key sentinel in the question's name says of this answer.
    pub root_key_sentinel: Option<SentinelVerdict>,
}

impl Answer {
    /// An answer without any link.
    pub(in crate::resolve) fn new() -> Answer {
        Answer {
            rcode: Rcode::NOERROR,
            answers: Vec::new(),
            authority: Vec::new(),
            security: Security::Secure,
            stale: false,
            ede: None,
            authoritative: false,
            is_alias_tail: false,
            denied_without_soa: false,
            root_key_sentinel: None,
        }
    }

    /// Takes off the TTLs the time that the rest of the chain took.
    pub(in crate::resolve) fn age(&mut self, seconds: u32) {
        for set in self.answers.iter_mut().chain(&mut self.authority) {
            set.ttl = set.ttl.saturating_sub(seconds);
        }
    }

    /// Adds to the answer section, each RRset once (RFC 2181 5): a chain may pass through the same DNAME twice.
    pub(in crate::resolve) fn add(&mut self, sets: impl IntoIterator<Item = RrSet>) {
        add_once(&mut self.answers, sets);
    }

    /// Adds to the authority section; two links may be proved by the same RRset.
    pub(in crate::resolve) fn add_proof(&mut self, proof: impl IntoIterator<Item = RrSet>) {
        add_once(&mut self.authority, proof);
    }

    /// A chain is only as good as its weakest link: Bogus, then Indeterminate, then Insecure, then Secure.
    pub(in crate::resolve) fn weaken(&mut self, link: &Link) {
        self.weaken_to(link.security);
        self.stale |= link.stale;
        self.is_alias_tail |= link.is_alias_tail && link.security != Security::Secure;
        if self.ede.is_none() {
            self.ede = link.ede.clone();
        }
    }

    /// Part of the answer is only as good as this.
    pub(in crate::resolve) fn weaken_to(&mut self, security: Security) {
        let order = |security: Security| match security {
            Security::Bogus => 0,
            Security::Indeterminate => 1,
            Security::Insecure => 2,
            Security::Secure => 3,
        };
        if order(security) < order(self.security) {
            self.security = security;
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
