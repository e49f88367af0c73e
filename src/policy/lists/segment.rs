//! One part of the table: a few hundred names, each as a part of its hash.
//!
//! ```text
//! hash of a name:  | segment: 8 to 18 bits | bucket: 6 | remainder: 40 | unused |
//!
//! segment:  end of each bucket, 64 x u16 | entries, sorted: remainder, 5 octets | number of the combination, 2 octets | …
//! ```
//!
//! About four entries share a bucket. A name that is on no list looks like one of them with a probability of 4 in 2^40, and as
//! the hash has a secret key, nobody can look for such names.

use std::ops::Range;
use std::sync::Arc;

pub(super) const BUCKET_BITS: u32 = 6;
const BUCKETS: usize = 1 << BUCKET_BITS;
const HEAD: usize = 2 * BUCKETS;
const REMAINDER_BITS: u32 = 40;
const ENTRY: usize = 7;

/// Immutable; shared between a table and the next one where nothing in it has changed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Segment(Arc<[u8]>);

/// How many bits of a hash tell the segment. Each bit that is given away doubles the segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Split(u32);

impl Split {
    pub(super) const COARSEST: Split = Split(8);
    const FINEST: Split = Split(64 - BUCKET_BITS - REMAINDER_BITS);

    /// The one for so many names: 128 to 256 in a segment.
    pub(super) fn for_names(count: usize) -> Split {
        let bits = (count / 256).next_power_of_two().trailing_zeros();
        Split(bits.clamp(Split::COARSEST.0, Split::FINEST.0))
    }

    /// Would so many names be well served by this one too? Where it stays, segments can be shared.
    pub(super) fn suits(self, count: usize) -> bool {
        let each = count >> self.0;
        each <= 300 && (each >= 100 || self == Split::COARSEST)
    }

    pub(super) fn min(self, other: Split) -> Split {
        Split(self.0.min(other.0))
    }

    pub(super) fn segments(self) -> usize {
        1 << self.0
    }

    #[inline]
    pub(super) fn segment(self, hash: u64) -> usize {
        (hash >> (64 - self.0)) as usize
    }

    #[inline]
    fn bucket(self, hash: u64) -> usize {
        ((hash << self.0) >> (64 - BUCKET_BITS)) as usize
    }

    #[inline]
    fn remainder(self, hash: u64) -> u64 {
        (hash << (self.0 + BUCKET_BITS)) >> (64 - REMAINDER_BITS)
    }

    /// The hash with nothing in the bits that are not kept.
    pub(super) fn kept(self, hash: u64) -> u64 {
        let unused = 64 - self.0 - BUCKET_BITS - REMAINDER_BITS;
        hash >> unused << unused
    }

    fn hash(self, segment: usize, bucket: usize, remainder: u64) -> u64 {
        let unused = 64 - self.0 - BUCKET_BITS - REMAINDER_BITS;
        (segment as u64) << (64 - self.0) | (bucket as u64) << (64 - self.0 - BUCKET_BITS) | remainder << unused
    }
}

impl Segment {
    /// `entries`: hash and number of the combination, sorted by hash, each hash once. `None`: too many for one segment.
    pub(super) fn of(split: Split, entries: &[(u64, u16)]) -> Option<Segment> {
        u16::try_from(entries.len()).ok()?;
        let mut octets = vec![0; HEAD];
        octets.reserve_exact(entries.len() * ENTRY);
        let mut ends = [0u16; BUCKETS];
        for (count, (hash, number)) in (1..).zip(entries) {
            if let Some(end) = ends.get_mut(split.bucket(*hash)) {
                *end = count;
            }
            octets.extend_from_slice(&split.remainder(*hash).to_le_bytes()[..5]);
            octets.extend_from_slice(&number.to_le_bytes());
        }
        let mut end = 0;
        for (at, slot) in octets[..HEAD].chunks_exact_mut(2).zip(ends) {
            end = end.max(slot);
            at.copy_from_slice(&end.to_le_bytes());
        }
        Some(Segment(octets.into()))
    }

    #[inline]
    fn end(&self, bucket: usize) -> usize {
        self.0.get(2 * bucket..2 * bucket + 2).map_or(0, |octets| usize::from(u16::from_le_bytes([octets[0], octets[1]])))
    }

    /// Where the entries are among which the name with this hash would be.
    #[inline]
    pub(super) fn place(&self, split: Split, hash: u64) -> Range<usize> {
        let bucket = split.bucket(hash);
        let start = if bucket == 0 { 0 } else { self.end(bucket - 1) };
        HEAD + start * ENTRY..HEAD + self.end(bucket) * ENTRY
    }

    /// The number of the combination of the name with this hash. `place`: its own.
    #[inline]
    pub(super) fn get(&self, split: Split, hash: u64, place: Range<usize>) -> Option<u16> {
        let wanted = split.remainder(hash).to_le_bytes();
        let entries = self.0.get(place)?;
        let found = entries.chunks_exact(ENTRY).find(|entry| entry[..5] == wanted[..5])?;
        Some(u16::from_le_bytes([found[5], found[6]]))
    }

    /// Each name's hash, as far as it is kept, and the number of its combination.
    pub(super) fn each(&self, split: Split, segment: usize, mut each: impl FnMut(u64, u16)) {
        let mut entries = self.0.get(HEAD..).unwrap_or_default().chunks_exact(ENTRY);
        let mut before = 0;
        for bucket in 0..BUCKETS {
            let end = self.end(bucket);
            for entry in entries.by_ref().take(end.saturating_sub(before)) {
                let remainder = u64::from_le_bytes([entry[0], entry[1], entry[2], entry[3], entry[4], 0, 0, 0]);
                each(split.hash(segment, bucket, remainder), u16::from_le_bytes([entry[5], entry[6]]));
            }
            before = end;
        }
    }

    pub(super) fn octets(&self) -> usize {
        // With the two counts of references.
        self.0.len() + 16
    }
}

#[cfg(test)]
impl Segment {
    pub(super) fn is_same_piece(&self, other: &Segment) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
