//! What one walk finds: the answer to one name and type, or the alias that leads on, or the denial. A chain of
//! aliases is several links.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::cache::{Cache, Denial, DenialKind};
use crate::env::BootTime;
use crate::record::{Ede, Name, Question, RrSet, Rtype, Security};

/// The result of one look-up: one link of an alias chain, or the end of the chain.
#[derive(Clone, Debug)]
pub struct Link {
    pub found: Found,
    pub security: Security,
    /// Why it is bogus or cannot be validated, for the Extended DNS Error.
    pub ede: Option<Ede>,
    /// It is bogus because the chain of trust above its zone is: that says nothing of the data.
    pub is_chain_bogus: bool,
    /// Expired data, given because nothing better could be had (RFC 8767).
    pub stale: bool,
    /// The zone that it came from; `None` where it came from the cache.
    pub zone: Option<Name>,
    /// Glue of the parent: used to reach that server, for nothing else.
    pub is_glue: bool,
    pub server: Option<SocketAddr>,
    /// What the same reply has for the target of the alias.
    pub alias_tail: Option<Arc<AliasTail>>,
    /// It comes from the alias tail of a reply to a question for another name: unless validated it is never stored.
    pub is_alias_tail: bool,
}

/// The rest of a chain of aliases that stays in the zone of its first name, as that zone's server gave it.
#[derive(Debug)]
pub struct AliasTail {
    pub sets: Vec<RrSet>,
    pub proof: Vec<RrSet>,
    /// The SOA that shows that the zone's own name, to which the alias leads, has nothing of the type (RFC 2308 2.2).
    pub apex_has_none: Option<RrSet>,
    pub zone: Name,
    pub server: SocketAddr,
    pub received_at: BootTime,
    /// The server answered with authority, and is no forwarder.
    pub authoritative: bool,
    /// It was compared with the answer to a query for its name.
    pub is_compared: AtomicBool,
}

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    /// The set asked for; more than one only for ANY.
    Answer {
        sets: Vec<RrSet>,
        proof: Vec<RrSet>,
    },
    /// A CNAME, or a DNAME and the CNAME made from it.
    Alias {
        sets: Vec<RrSet>,
        proof: Vec<RrSet>,
        target: Name,
    },
    Denied(Denial),
    /// The name that a DNAME makes has more than 255 octets (RFC 6672 2.2: YXDOMAIN).
    TooLong {
        dname: RrSet,
    },
}

impl Link {
    /// Not validated, from no server yet.
    pub fn new(found: Found) -> Link {
        Link {
            found,
            security: Security::Indeterminate,
            ede: None,
            is_chain_bogus: false,
            stale: false,
            zone: None,
            is_glue: false,
            server: None,
            alias_tail: None,
            is_alias_tail: false,
        }
    }

    /// Takes `seconds` off every TTL: the data was received that much earlier.
    pub fn age(&mut self, seconds: u32) {
        let (sets, proof) = match &mut self.found {
            Found::Answer { sets, proof } | Found::Alias { sets, proof, .. } => (&mut sets[..], &mut proof[..]),
            Found::Denied(denial) => (denial.soa.as_mut_slice(), &mut denial.proof[..]),
            Found::TooLong { dname } => (std::slice::from_mut(dname), &mut [][..]),
        };
        for set in sets.iter_mut().chain(proof) {
            set.ttl = set.ttl.saturating_sub(seconds);
        }
    }
}

impl Link {
    /// Brings the TTLs within the limits of the cache, so that the first client is given the same TTLs as the next one,
    /// which is answered from the cache; a denial gets the TTL of RFC 2308 5.
    pub fn within_ttl_limits(mut self, cache: &Cache) -> Link {
        match &mut self.found {
            Found::Answer { sets, .. } | Found::Alias { sets, .. } => {
                for set in sets {
                    set.ttl = cache.limits().ttl_within(set.ttl);
                }
            }
            Found::TooLong { dname } => dname.ttl = cache.limits().ttl_within(dname.ttl),
            Found::Denied(denial) => cache.denials().limit(denial),
        }
        self
    }
}

impl AliasTail {
    /// What it has for a name and type: the records, one more alias, or that there is no data.
    pub fn link(&self, question: &Question) -> Option<Link> {
        let of_type = |rtype| self.sets.iter().find(|set| set.name == question.name && set.rtype == rtype).cloned();
        let proof = self.proof.clone();
        let found = match of_type(question.rtype) {
            Some(set) => Found::Answer { sets: vec![set], proof },
            None => match of_type(Rtype::CNAME) {
                Some(set) => Found::Alias { target: set.target()?, sets: vec![set], proof },
                None => {
                    let soa = self.apex_has_none.clone().filter(|soa| soa.name == question.name)?;
                    let security = Security::Indeterminate;
                    Found::Denied(Denial { kind: DenialKind::NoData, soa: Some(soa), proof, security, relayed: !self.authoritative })
                }
            },
        };
        Some(Link { zone: Some(self.zone.clone()), server: Some(self.server), is_alias_tail: true, ..Link::new(found) })
    }
}

impl Link {
    /// RRsets of the answer section; none for a denial.
    pub fn sets(&self) -> &[RrSet] {
        match &self.found {
            Found::Answer { sets, .. } | Found::Alias { sets, .. } => sets,
            Found::TooLong { dname } => std::slice::from_ref(dname),
            Found::Denied(_) => &[],
        }
    }

    /// The sets that answer a question directly.
    pub fn sets_of(&self, question: &Question) -> Vec<RrSet> {
        match &self.found {
            Found::Answer { sets, .. } => {
                sets.iter().filter(|set| set.name == question.name && set.rtype == question.rtype).cloned().collect()
            }
            Found::Alias { .. } | Found::Denied(_) | Found::TooLong { .. } => Vec::new(),
        }
    }
}

/// RFC 6672 3.1: the CNAME made from a DNAME has the DNAME's TTL. A name that would be too long gives YXDOMAIN.
pub(in crate::resolve) fn alias_by_dname(name: &Name, dname: RrSet) -> Option<Link> {
    let target = dname.target()?;
    let Some(made) = name.rebase(&dname.name, &target) else {
        return Some(Link::new(Found::TooLong { dname }));
    };
    let cname = RrSet::with(name.clone(), Rtype::CNAME, dname.ttl, made.as_wire());
    Some(Link::new(Found::Alias { sets: vec![dname, cname], proof: Vec::new(), target: made }))
}
