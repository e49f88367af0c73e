//! The owners of the NSEC or NSEC3 records of a signed zone, in the order of their chain. `denial.rs` chooses proofs with it.

use std::sync::Arc;

use crate::record::Name;
use crate::validate::{Nsec3Hash, Nsec3Params};

#[derive(Clone)]
pub(super) enum DenialChain {
    /// The zone is unsigned, or has no chain.
    None,
    Names(Chain<Name>),
    Hashes {
        params: Arc<Nsec3Params>,
        hashes: Chain<Nsec3Hash>,
    },
}

/// A sorted list in pieces: a version that differs in a few owners shares most pieces with the one before. No piece is empty.
pub(super) struct Chain<T>(Box<[Arc<[T]>]>);

/// Owners in one piece.
const PIECE: usize = 256;

impl<T> Clone for Chain<T> {
    fn clone(&self) -> Chain<T> {
        Chain(self.0.clone())
    }
}

impl<T: Ord + Clone> Chain<T> {
    pub(super) fn from_sorted(owners: &[T]) -> Chain<T> {
        Chain(owners.chunks(PIECE).map(Arc::from).collect())
    }

    /// The last owner that is not after `owner`.
    pub(super) fn at_or_before(&self, owner: &T) -> Option<&T> {
        let piece = self.0[..self.0.partition_point(|piece| piece.first().is_some_and(|first| first <= owner))].last()?;
        piece[..piece.partition_point(|have| have <= owner)].last()
    }

    pub(super) fn last(&self) -> Option<&T> {
        self.0.last()?.last()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flat_map(|piece| piece.iter())
    }

    /// The chain in which each of these owners is, or is not. They are sorted, and each stands there once.
    pub(super) fn with(&self, changes: &[(T, bool)]) -> Chain<T> {
        let mut pieces = Vec::with_capacity(self.0.len());
        let mut rest = changes;
        for (at, piece) in self.0.iter().enumerate() {
            let next = self.0.get(at + 1).and_then(|next| next.first());
            let (own, others) = rest.split_at(next.map_or(rest.len(), |next| rest.partition_point(|(owner, _)| owner < next)));
            rest = others;
            match own {
                [] => pieces.push(piece.clone()),
                _ => pieces.extend(merged(piece, own).chunks(PIECE * 2).map(Arc::from)),
            }
        }
        // Only where there was no piece at all.
        pieces.extend(merged(&[], rest).chunks(PIECE).map(Arc::from));
        Chain(pieces.into())
    }
}

fn merged<T: Ord + Clone>(piece: &[T], changes: &[(T, bool)]) -> Vec<T> {
    let is_changed = |owner: &&T| changes.binary_search_by(|(changed, _)| changed.cmp(owner)).is_ok();
    let kept = piece.iter().filter(|owner| !is_changed(owner));
    let mut all: Vec<T> = kept.chain(changes.iter().filter(|(_, is_in)| *is_in).map(|(owner, _)| owner)).cloned().collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn a_chain_is_a_sorted_set(
            owners in proptest::collection::btree_set(0u32..3000, 0..900),
            edits in proptest::collection::vec(proptest::collection::btree_map(0u32..3000, proptest::bool::ANY, 0..40), 1..4),
        ) {
            let mut model = owners;
            let mut chain = Chain::from_sorted(&model.iter().copied().collect::<Vec<_>>());
            for edit in edits {
                for (owner, is_in) in &edit {
                    if *is_in { model.insert(*owner) } else { model.remove(owner) };
                }
                chain = chain.with(&edit.into_iter().collect::<Vec<_>>());
                assert!(chain.0.iter().all(|piece| !piece.is_empty()));
                assert_eq!(chain.0.iter().flat_map(|piece| piece.iter().copied()).collect::<BTreeSet<_>>(), model);
                assert_eq!(chain.last(), model.last());
                for asked in (0..3000).step_by(37) {
                    assert_eq!(chain.at_or_before(&asked), model.range(..=asked).next_back());
                }
            }
        }
    }
}
