//! The chain of denials: which name follows which, in NSEC (RFC 4034 4) or NSEC3 records (RFC 5155 7.1).
//!
//! Names below a delegation or a DNAME are in neither chain; empty non-terminals are in that of NSEC3 alone. Opt-out is not used
//! (RFC 9276 3.1): each delegation is in the chain.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::node::Node;
use crate::record::{Name, Rtype};
use crate::validate::Nsec3Hash;

pub(super) enum Links {
    /// The place of each name among the nodes, and the name that follows.
    Names(Vec<(usize, Name)>),
    /// Each hash, the hash that follows, and the types that the name has.
    Hashes(Vec<(Nsec3Hash, Nsec3Hash, Vec<Rtype>)>),
}

/// `nodes`: in canonical order. The last name is followed by the first, which is the apex.
pub(super) fn named_links(nodes: &[Node<'_>]) -> Links {
    let in_chain: Vec<usize> = (0..nodes.len()).filter(|at| !nodes[*at].is_hidden && !nodes[*at].is_empty()).collect();
    let following = in_chain.iter().cycle().skip(1);
    Links::Names(in_chain.iter().zip(following).map(|(at, next)| (*at, nodes[*next].name.clone())).collect())
}

pub(super) fn hashed_links(nodes: &[Node<'_>]) -> Links {
    let hashed = |node: &Node<'_>| {
        // RFC 5155 3.2.1: RRSIG is said where there is one; the NSEC3 record has an owner of its own.
        let signatures = if node.has_signed_data() { &[Rtype::RRSIG][..] } else { &[] };
        (hash_of(&node.name), [&node.types(), signatures].concat())
    };
    let mut hashes: Vec<(Nsec3Hash, Vec<Rtype>)> = nodes.iter().filter(|node| !node.is_hidden).map(hashed).collect();
    hashes.sort_unstable_by_key(|(hash, _)| *hash);
    let following: Vec<Nsec3Hash> = hashes.iter().cycle().skip(1).take(hashes.len()).map(|(hash, _)| *hash).collect();
    Links::Hashes(hashes.into_iter().zip(following).map(|((hash, types), next)| (hash, next, types)).collect())
}

/// RFC 5155 5 without salt and without further iterations.
fn hash_of(name: &Name) -> Nsec3Hash {
    let mut hash = Nsec3Hash::default();
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, name.as_wire()).as_ref());
    hash
}
