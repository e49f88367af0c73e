//! A name of the signed version while it is made: its RRsets, and which of them are signed (RFC 4035 2.2).

use crate::record::{Name, RdataList, Rtype};
use crate::zone::SetRef;

/// A name of the version that is being made.
pub(super) struct Node<'z> {
    pub(super) name: Name,
    pub(super) is_cut: bool,
    pub(super) is_hidden: bool,
    pub(super) sets: Vec<Set<'z>>,
}

/// One of its RRsets, with the signatures that it has so far.
pub(super) struct Set<'z> {
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) data: Data<'z>,
    pub(super) sigs: RdataList,
}

pub(super) enum Data<'z> {
    OfZone(SetRef<'z>),
    Made(RdataList),
}

impl Set<'_> {
    pub(super) fn made(rtype: Rtype, ttl: u32, rdatas: &[Vec<u8>]) -> Set<'static> {
        Set { rtype, ttl, data: Data::Made(rdatas.iter().map(Vec::as_slice).collect()), sigs: RdataList::new() }
    }

    pub(super) fn rdatas(&self) -> impl Iterator<Item = &[u8]> {
        match &self.data {
            Data::OfZone(set) => set.rdatas(),
            Data::Made(list) => list.iter(),
        }
    }
}

impl Node<'_> {
    /// RFC 4035 2.2, 2.3: the types that are signed here, and that a denial says to be here.
    pub(super) fn is_signed(&self, rtype: Rtype) -> bool {
        !self.is_hidden && (!self.is_cut || matches!(rtype, Rtype::DS | Rtype::NSEC))
    }

    /// An empty non-terminal, or a name whose data is glue.
    pub(super) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// The types for the bitmap of a denial, apart from those that the denial brings with it.
    pub(super) fn types(&self) -> Vec<Rtype> {
        let is_said = |rtype: &Rtype| !self.is_cut || matches!(*rtype, Rtype::NS | Rtype::DS);
        self.sets.iter().map(|set| set.rtype).filter(is_said).collect()
    }

    /// Whether any of its sets has signatures, the denial's own not counted.
    pub(super) fn has_signed_data(&self) -> bool {
        self.sets.iter().any(|set| self.is_signed(set.rtype))
    }
}
