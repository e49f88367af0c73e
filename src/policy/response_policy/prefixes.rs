//! The address triggers of one kind in one zone: which rule has the longest prefix of an address.
//!
//! Sorted by falling length, then by address: one binary search for each length that occurs.

use std::net::IpAddr;

use super::trigger::{TriggerPrefix, bits_of, mask};

#[derive(Default)]
pub(super) struct Prefixes {
    v4: Family,
    v6: Family,
}

#[derive(Default)]
struct Family {
    entries: Box<[Entry]>,
    /// Each length that occurs, falling, and where its entries begin and end.
    lengths: Box<[(u8, u32, u32)]>,
}

struct Entry {
    internal_length: u8,
    bits: u128,
    /// Wire form.
    owner: Box<[u8]>,
}

/// A rule whose prefix holds an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PrefixMatch<'p> {
    pub internal_length: u8,
    pub bits: u128,
    /// The owner name of the rule, in wire form.
    pub owner: &'p [u8],
}

impl Prefixes {
    /// Of several rules with one prefix, which differ only in how it is written, the first owner in the order of octets counts; the
    /// others are returned.
    pub(super) fn new(triggers: Vec<(TriggerPrefix, Box<[u8]>)>) -> (Prefixes, Vec<Box<[u8]>>) {
        let (v4, v6): (Vec<_>, Vec<_>) = triggers.into_iter().partition(|(prefix, _)| prefix.is_v4);
        let ((v4, twice), (v6, twice6)) = (Family::new(v4), Family::new(v6));
        (Prefixes { v4, v6 }, [twice, twice6].concat())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.entries.is_empty() && self.v6.entries.is_empty()
    }

    /// The longest prefix of the address.
    pub(super) fn find(&self, address: IpAddr) -> Option<PrefixMatch<'_>> {
        let family = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        family.find(bits_of(address))
    }

    /// The best match of several addresses: the longest prefix, then the smallest one (sections 5.6 and 5.7). An IPv4-mapped address
    /// (RFC 4291 2.5.5.2) is also the IPv4 address in it, which a connection to it reaches.
    pub(super) fn best(&self, addresses: impl Iterator<Item = IpAddr>) -> Option<PrefixMatch<'_>> {
        let both = addresses.flat_map(|address| [Some(address), Some(address.to_canonical()).filter(|inner| *inner != address)]);
        let matches = both.flatten().filter_map(|address| self.find(address));
        matches.min_by(|one, other| other.internal_length.cmp(&one.internal_length).then(one.bits.cmp(&other.bits)))
    }
}

impl Family {
    fn new(triggers: Vec<(TriggerPrefix, Box<[u8]>)>) -> (Family, Vec<Box<[u8]>>) {
        let entry =
            |(prefix, owner): (TriggerPrefix, Box<[u8]>)| Entry { internal_length: prefix.internal_length, bits: prefix.bits, owner };
        let mut entries: Vec<Entry> = triggers.into_iter().map(entry).collect();
        entries.sort_by(|a, b| (b.internal_length, a.bits, &a.owner).cmp(&(a.internal_length, b.bits, &b.owner)));
        let mut twice = Vec::new();
        entries.dedup_by(|later, kept| {
            let is_same = (later.internal_length, later.bits) == (kept.internal_length, kept.bits);
            if is_same {
                twice.push(std::mem::take(&mut later.owner));
            }
            is_same
        });
        let mut lengths: Vec<(u8, u32, u32)> = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            match lengths.last_mut() {
                Some((length, _, end)) if *length == entry.internal_length => *end = at as u32 + 1,
                _ => lengths.push((entry.internal_length, at as u32, at as u32 + 1)),
            }
        }
        (Family { entries: entries.into(), lengths: lengths.into() }, twice)
    }

    fn find(&self, address: u128) -> Option<PrefixMatch<'_>> {
        self.lengths.iter().find_map(|(length, start, end)| {
            let entries = self.entries.get(*start as usize..*end as usize)?;
            let bits = address & mask(*length);
            let at = entries.binary_search_by_key(&bits, |entry| entry.bits).ok()?;
            Some(PrefixMatch { internal_length: *length, bits, owner: &entries[at].owner })
        })
    }
}
