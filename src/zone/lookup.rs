//! Answers from one zone: RFC 1034 4.3.2 with the wildcards of RFC 4592 and the DNAME of RFC 6672.
//!
//! A name that exists and is not hidden by a cut or a DNAME above it is answered after one probe. Otherwise
//! the walk goes down from the apex, label by label, as the RFC's step 3 does. Nothing is allocated.

use super::tree::{CUT, HAS_DNAME, HAS_WILDCARD, HIDDEN, NodeRef, SetRef, Zone};
use crate::record::{Name, Rtype, rdata_names};

/// Everything that a zone can say. Names are lower-case wire bytes; `wildcard` is the owner (`*.…`) that the
/// answer was made from, its records take the name that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'z> {
    Answer {
        set: SetRef<'z>,
        wildcard: Option<&'z [u8]>,
    },
    /// The name is an alias and another type was asked.
    Cname {
        set: SetRef<'z>,
        wildcard: Option<&'z [u8]>,
    },
    /// A name above the one asked redirects its whole tree (`dname_target` makes the new name).
    Dname {
        set: SetRef<'z>,
        owner: &'z [u8],
    },
    /// The data lies in a zone below; addresses of its servers are in `Zone::glue`.
    Referral {
        cut: &'z [u8],
        ns: SetRef<'z>,
        ds: Option<SetRef<'z>>,
    },
    /// The name exists, the type does not. `soa` bears the negative TTL.
    NoData {
        soa: SetRef<'z>,
        wildcard: Option<&'z [u8]>,
    },
    NxDomain {
        soa: SetRef<'z>,
        /// The closest encloser (RFC 4592 3.3.1).
        encloser: &'z [u8],
    },
}

/// The name a DNAME at `owner` with `set` turns `name` into; `None` when it grows too long (YXDOMAIN).
pub fn dname_target(name: &Name, owner: &[u8], set: SetRef<'_>) -> Option<Name> {
    let target = Name::from_wire(rdata_names(Rtype::DNAME, set.rdatas().next()?).next()?).ok()?;
    name.rebase(&Name::from_wire(owner).ok()?, &target)
}

impl Zone {
    /// `name` is a lower-case wire name, the apex or below it.
    pub fn find(&self, name: &[u8], rtype: Rtype) -> Found<'_> {
        match self.node(name) {
            Some(node) if !node.has(HIDDEN) => self.at_node(node, rtype, None),
            _ => self.walk_down(name, rtype),
        }
    }

    fn walk_down(&self, name: &[u8], rtype: Rtype) -> Found<'_> {
        let mut encloser = None;
        for suffix in suffixes_down(name, self.apex.as_wire().len()) {
            let Some(node) = self.node(suffix) else { break };
            if node.has(CUT) {
                return referral(node).unwrap_or_else(|| self.no_data(None));
            }
            if node.has(HAS_DNAME)
                && suffix.len() < name.len()
                && let Some(set) = node.set(Rtype::DNAME)
            {
                return Found::Dname { set, owner: node.name() };
            }
            encloser = Some(node);
        }
        match encloser {
            Some(node) if node.has(HAS_WILDCARD) && node.name().len() < name.len() => self.from_wildcard(node, rtype),
            node => Found::NxDomain { soa: self.negative_soa(), encloser: node.map_or(self.apex.as_wire(), NodeRef::name) },
        }
    }

    /// RFC 4592 3.3: the closest encloser's `*` is the source of synthesis.
    fn from_wildcard(&self, encloser: NodeRef<'_>, rtype: Rtype) -> Found<'_> {
        let mut wildcard = [0u8; 257];
        let len = 2 + encloser.name().len();
        wildcard[..2].copy_from_slice(b"\x01*");
        wildcard[2..len].copy_from_slice(encloser.name());
        match self.node(&wildcard[..len]) {
            Some(node) => self.at_node(node, rtype, Some(node.name())),
            None => self.no_data(None),
        }
    }

    fn at_node<'z>(&'z self, node: NodeRef<'z>, rtype: Rtype, wildcard: Option<&'z [u8]>) -> Found<'z> {
        // RFC 4035 3.1.4.1: DS belongs to the parent's side of the cut, everything else to the child's.
        if node.has(CUT)
            && rtype != Rtype::DS
            && let Some(referral) = referral(node)
        {
            return referral;
        }
        match node.set(rtype) {
            Some(set) => Found::Answer { set, wildcard },
            None => self.without_type(node, rtype, wildcard),
        }
    }

    fn without_type<'z>(&'z self, node: NodeRef<'z>, rtype: Rtype, wildcard: Option<&'z [u8]>) -> Found<'z> {
        let found = match rtype {
            // RFC 8482 4.1: one set is an answer to ANY; section 7 extends that to RRSIG.
            Rtype::ANY => node.sets().next(),
            Rtype::RRSIG => node.sets().map(SetRef::signatures_as_set).find(|set| set.rdatas().next().is_some()),
            _ => None,
        };
        if let Some(set) = found {
            return Found::Answer { set, wildcard };
        }
        match node.set(Rtype::CNAME) {
            Some(set) => Found::Cname { set, wildcard },
            None => self.no_data(wildcard),
        }
    }

    fn no_data<'z>(&'z self, wildcard: Option<&'z [u8]>) -> Found<'z> {
        Found::NoData { soa: self.negative_soa(), wildcard }
    }

    /// The addresses this zone has for the servers of a delegation, its own data and glue alike: the target as
    /// it stands in the NS record, and the set.
    pub fn glue<'z>(&'z self, ns: SetRef<'z>) -> impl Iterator<Item = (&'z [u8], SetRef<'z>)> {
        ns.rdatas().filter_map(|target| Some((target, self.node(&lower(target)?.0[..target.len()])?))).flat_map(|(target, node)| {
            node.sets().filter(|set| set.rtype.is_address()).map(move |set| (target, set))
        })
    }
}

/// A name of RDATA keeps its case; look-ups want lower case.
pub(super) struct Lower(pub(super) [u8; 255]);

pub(super) fn lower(name: &[u8]) -> Option<Lower> {
    let mut folded = [0; 255];
    folded.get_mut(..name.len())?.copy_from_slice(name);
    // Label lengths are below 64 and so never look like letters.
    folded[..name.len()].make_ascii_lowercase();
    Some(Lower(folded))
}

fn referral(node: NodeRef<'_>) -> Option<Found<'_>> {
    Some(Found::Referral { cut: node.name(), ns: node.set(Rtype::NS)?, ds: node.set(Rtype::DS) })
}

/// The suffixes of `name` from the apex (so many octets long) down to the name itself.
fn suffixes_down(name: &[u8], apex_len: usize) -> impl Iterator<Item = &[u8]> {
    let mut starts = [0u8; 128];
    let (mut count, mut at) = (0, 0);
    while name.len() - at >= apex_len && count < starts.len() {
        // A name has at most 255 octets, so a label starts within the first 255.
        starts[count] = at as u8;
        count += 1;
        match name.get(at) {
            Some(len) if *len > 0 && at + 1 + usize::from(*len) < name.len().min(255) => at += 1 + usize::from(*len),
            _ => break,
        }
    }
    (0..count).rev().map(move |index| &name[usize::from(starts[index])..])
}
