//! What this server itself is authoritative for, as resolution sees it: hosted zones and local names, consulted at every
//! alias target, zone cut and server name. `answer` implements it for its snapshot; each query's `Context` carries one.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::env::BootTime;
use crate::record::{Name, Question, Rcode, RrSet};
use crate::resolve::context::failure::Failure;

/// The data that this server is authoritative for.
pub trait Local {
    /// Local data for a question; `None` when this server is not authoritative for the name.
    fn find(&self, question: &Question) -> Option<LocalAnswer>;

    /// The same at an alias target of the client's question, where the client's view counts. Server names are looked up alike for
    /// everybody, because what servers say is kept for everybody.
    fn find_target(&self, question: &Question) -> Option<LocalAnswer> {
        self.find(question)
    }

    /// Why nothing can be answered for a question whose zone is to be served here: nobody else is asked for it.
    fn without_data(&self, _question: &Question) -> Option<Failure> {
        None
    }

    /// A delegation out of a hosted zone on the way to `name`: the cut and where its servers are.
    fn delegation(&self, name: &Name) -> Option<LocalCut>;

    /// What a root server would reply, from the local copy of the root zone (RFC 8806); `None` where there is none.
    fn root_reply(&self, _question: &Question, _now: BootTime) -> Option<Vec<u8>> {
        None
    }

    /// Addresses this server listens on: it must never ask itself.
    fn own_addresses(&self) -> Arc<[SocketAddr]>;
}

/// Where a local answer comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalSource {
    /// A zone that is hosted here.
    Zone,
    /// `local-data` or `hosts-file` of the configuration.
    Listed,
    /// The name of an address behind `dns64.prefix` (RFC 6147 5.3.1).
    Dns64,
    /// A special-use name; the document sets it apart.
    SpecialUse(&'static str),
}

/// An answer from local data.
#[derive(Clone, Debug)]
pub struct LocalAnswer {
    /// The hosted zone, the special-use name or the listed name that holds it.
    pub zone: Name,
    pub source: LocalSource,
    pub rcode: Rcode,
    /// In chain order; ends with an alias when `onward` is set.
    pub answers: Vec<RrSet>,
    pub authority: Vec<RrSet>,
    /// The alias target at which looking has to go on.
    pub onward: Option<Name>,
}

/// A delegation out of a hosted zone.
#[derive(Clone, Debug)]
pub struct LocalCut {
    pub zone: Name,
    pub ns: RrSet,
    pub ds: Option<RrSet>,
    pub glue: Vec<RrSet>,
}
