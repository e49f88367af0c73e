//! An RRset (RFC 2181 5) with its signatures, and the type of what DNSSEC has proved.

use std::collections::HashSet;
use std::net::IpAddr;

use foldhash::quality::RandomState;

use super::{Name, Rtype, address_hints};

/// RDATA of an RRset, packed in one allocation: each RDATA as two octets of length and its uncompressed octets.
#[derive(Clone, PartialEq, Eq, Default, Debug, Hash)]
pub struct RdataList(Vec<u8>);

/// Up to this many RDATA are compared pairwise, which is quicker than hashing them.
const FEW: usize = 8;

impl RdataList {
    /// An RRset without records.
    pub fn new() -> RdataList {
        RdataList::default()
    }

    /// Appends RDATA even if it is a repetition. RDATA has at most 65,535 octets on the wire; longer ones lose their end.
    pub fn push(&mut self, rdata: &[u8]) {
        let len = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
        self.0.reserve(2 + len as usize);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(&rdata[..len as usize]);
    }

    /// Appends RDATA that the RRset does not have yet (RFC 2181 5 forbids repetitions). True if it was appended.
    pub fn push_new(&mut self, rdata: &[u8]) -> bool {
        let fresh = !self.contains(rdata);
        if fresh {
            self.push(rdata);
        }
        fresh
    }

    /// Removes repetitions (RFC 2181 5) and keeps the order.
    pub fn dedup(&mut self) {
        let count = self.len();
        if count <= FEW && !self.iter().enumerate().any(|(index, rdata)| self.iter().skip(index + 1).any(|later| later == rdata)) {
            return;
        }
        let mut seen = HashSet::with_capacity_and_hasher(count, RandomState::default());
        if count > 1 && !self.iter().all(|rdata| seen.insert(rdata)) {
            seen.clear();
            let once: Vec<&[u8]> = self.iter().filter(|rdata| seen.insert(rdata)).collect();
            *self = once.into_iter().collect();
        }
    }

    /// Compares octets: two spellings of a name inside RDATA are different.
    pub fn contains(&self, rdata: &[u8]) -> bool {
        self.iter().any(|have| have == rdata)
    }

    /// RDATA in the order they were added.
    pub fn iter(&self) -> RdataIter<'_> {
        RdataIter(&self.0)
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// True without any record, which is no RRset on the wire.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// RDATA that was added first.
    pub fn first(&self) -> Option<&[u8]> {
        self.iter().next()
    }

    /// The packed form, as the cache stores it.
    pub fn as_packed(&self) -> &[u8] {
        &self.0
    }

    /// `bytes` must come from [`as_packed`](RdataList::as_packed); octets that do not add up end the list early.
    pub fn from_packed(bytes: &[u8]) -> RdataList {
        RdataList(bytes.to_vec())
    }

    /// Octets of the packed form.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl<'a> FromIterator<&'a [u8]> for RdataList {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(items: I) -> RdataList {
        let mut list = RdataList::new();
        for item in items {
            list.push(item);
        }
        list
    }
}

/// RDATA of a packed list, in order.
#[derive(Clone)]
pub struct RdataIter<'a>(&'a [u8]);

impl<'a> RdataIter<'a> {
    /// Iterates over the packed form that `as_packed` gives.
    pub fn over(packed: &'a [u8]) -> RdataIter<'a> {
        RdataIter(packed)
    }
}

impl<'a> Iterator for RdataIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let len = u16::from_be_bytes(*len) as usize;
        let rdata = rest.get(..len)?;
        self.0 = &rest[len..];
        Some(rdata)
    }
}

/// All records of one name and type, class IN; `sigs` are the RRSIGs that cover them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RrSet {
    pub name: Name,
    pub rtype: Rtype,
    /// Seconds. One for the whole set: the smallest seen (RFC 2181 5.2), never above 2^31-1 (8).
    pub ttl: u32,
    pub data: RdataList,
    pub sigs: RdataList,
}

impl RrSet {
    /// An RRset without records.
    pub fn new(name: Name, rtype: Rtype, ttl: u32) -> RrSet {
        RrSet { name, rtype, ttl, data: RdataList::new(), sigs: RdataList::new() }
    }

    /// An RRset of one record.
    pub fn with(name: Name, rtype: Rtype, ttl: u32, rdata: &[u8]) -> RrSet {
        let mut set = RrSet::new(name, rtype, ttl);
        set.data.push(rdata);
        set
    }

    /// The addresses of an A or AAAA set; none of another type.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.data.iter().filter_map(|rdata| match self.rtype {
            Rtype::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
            Rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
            _ => None,
        })
    }

    /// The addresses to which this set leads a client: of an A or AAAA set, and the hints of an SVCB or HTTPS set.
    pub fn reachable_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let has_hints = matches!(self.rtype, Rtype::SVCB | Rtype::HTTPS);
        self.addresses().chain(self.data.iter().filter(move |_| has_hints).flat_map(address_hints))
    }

    /// The target of a CNAME, DNAME, NS, PTR … set's first record.
    pub fn target(&self) -> Option<Name> {
        let rdata = self.data.first()?;
        Name::from_wire(super::rdata_names(self.rtype, rdata).next()?).ok()
    }
}

/// A value that a chain of signatures proves; only the validator can make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated<T>(T);

impl<T> Validated<T> {
    /// Called in `validate` alone, after the proof has been checked there.
    pub fn assertion(value: T) -> Validated<T> {
        Validated(value)
    }

    /// The proved value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// The value without its proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Validated<RrSet> {
    /// The same with a TTL of at most `ttl`: a shorter TTL needs no new proof (RFC 4035 5.3.3).
    pub fn shortened(mut self, ttl: u32) -> Validated<RrSet> {
        self.0.ttl = self.0.ttl.min(ttl);
        self
    }
}
