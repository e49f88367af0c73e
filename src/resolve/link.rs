//! What one walk finds: the answer to one name and type, or the alias that leads on, or the denial. A chain of
//! aliases is several links.

use std::net::SocketAddr;

use crate::cache::Denial;
use crate::record::{Ede, Name, Question, RrSet, Security};

#[derive(Clone, Debug)]
pub struct Link {
    pub found: Found,
    pub security: Security,
    /// Why it is bogus or not provable, for the Extended DNS Error.
    pub ede: Option<Ede>,
    /// Expired data, given because nothing better could be had (RFC 8767).
    pub stale: bool,
    /// The zone whose servers said it, and the one that did; `None` for what came from the cache.
    pub zone: Option<Name>,
    /// Only the parent's word about a server's address: to reach that server, for nothing else.
    pub is_glue: bool,
    pub server: Option<SocketAddr>,
}

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
    pub fn new(found: Found) -> Link {
        Link { found, security: Security::Indeterminate, ede: None, stale: false, zone: None, is_glue: false, server: None }
    }
}

impl Link {
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
