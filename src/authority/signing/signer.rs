//! A zone, its keys and the time become the signed version of the zone.
//!
//! ```text
//! names of the zone ─► SOA with its serial, DNSKEY, CDS, CDNSKEY ─► NSEC or NSEC3 chain ─► RRSIGs ─► ZONEMD
//! ```
//!
//! Signatures of the version before are taken over where they say the same of the same data, so that a change costs the
//! signatures of what it changed. RFC 4035 2 says what is signed: no glue, no NS of a delegation, nothing below either.

use std::borrow::Cow;

use super::bootstrap::{NO_DS, NO_KEY, is_signal};
use super::chain::{Links, hashed_links, named_links};
use super::key::{KeyError, SigningKey};
use super::node::{Data, Node, Set};
use super::signature::{Made, ToSign, Validity};
use crate::record::{Name, RdataList, Rtype, canonical_rdata};
use crate::validate::{bitmap_of, nsec3_owner};
use crate::zone::{Assembly, DigestOfZone, HashAlgorithm, NodeRef, SetRef, Zone};

/// One key and its part in this version of the zone.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'k> {
    pub key: &'k SigningKey,
    /// Its DNSKEY record is in the zone.
    pub is_published: bool,
    pub signs_keys: bool,
    pub signs_data: bool,
    /// CDS and CDNSKEY ask the parent for a DS record of it (RFC 7344).
    pub is_for_parent: bool,
}

/// How a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub validity: Validity,
    /// NSEC3 by RFC 9276 in place of NSEC.
    pub nsec3: bool,
    /// TTL of DNSKEY, CDS and CDNSKEY.
    pub key_ttl_s: u32,
    /// CDS and CDNSKEY ask the parent to take the DS set away (RFC 8078 4).
    pub ends: bool,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy { validity: Validity::default(), nsec3: false, key_ttl_s: 3_600, ends: false }
    }
}

/// What to sign.
#[derive(Clone, Copy, Debug)]
pub struct Task<'t> {
    pub unsigned: &'t Zone,
    /// The signed version before.
    pub before: Option<&'t Zone>,
    pub serial: u32,
    pub keys: &'t [KeyUse<'t>],
    pub policy: Policy,
    /// Seconds since 1970.
    pub now: u64,
    /// Signatures that are to be replaced before this time are replaced now; at least `now`.
    pub refresh_until: u64,
}

/// A signed version.
#[derive(Debug)]
pub struct Signed {
    pub zone: Zone,
    /// When the first of its signatures is to be replaced.
    pub refresh_at: u64,
    pub made_count: usize,
    pub kept_count: usize,
}

/// Why a zone cannot be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The zone has records of somebody else's signing.
    HasRecord(Name, Rtype),
    /// No key signs data, or none the key set.
    NoKey,
    Key(KeyError),
    /// The zone's name leaves no room for the hashed names of NSEC3.
    NoRoomForHashes,
    TooLarge,
}

impl std::fmt::Display for SignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SignError::HasRecord(owner, rtype) => write!(
                f,
                "found a {rtype} record at {owner}, expected a zone without signatures: with `dnssec = true` Cairn makes all {MADE}; take \
                 these records out of the zone, or set `dnssec = false` to serve it as it was signed elsewhere"
            ),
            SignError::NoKey => f.write_str("no key signs the zone"),
            SignError::Key(error) => write!(f, "a key cannot sign: {error}"),
            SignError::NoRoomForHashes => f.write_str("the zone's name is too long for NSEC3: set `nsec3 = false`"),
            SignError::TooLarge => f.write_str("found more data than a zone can hold, expected less than 4 GiB with all signatures"),
        }
    }
}

impl std::error::Error for SignError {}

impl From<KeyError> for SignError {
    fn from(error: KeyError) -> SignError {
        SignError::Key(error)
    }
}

const MADE: &str = "DNSKEY, RRSIG, NSEC, NSEC3, NSEC3PARAM, CDS and CDNSKEY records";

/// The types that signing makes, and that a zone to be signed must not have.
const OF_SIGNING: [Rtype; 7] = [Rtype::DNSKEY, Rtype::RRSIG, Rtype::NSEC, Rtype::NSEC3, Rtype::NSEC3PARAM, Rtype::CDS, Rtype::CDNSKEY];

/// Whether signing makes the records of this type.
pub fn is_of_signing(rtype: Rtype) -> bool {
    OF_SIGNING.contains(&rtype)
}

/// The first record, if any, that says that the zone was signed elsewhere.
pub fn signed_elsewhere(zone: &Zone) -> Option<(Name, Rtype)> {
    zone.nodes().find_map(|node| {
        let is_signal = |rtype: Rtype| is_signal(node.name()) && matches!(rtype, Rtype::CDS | Rtype::CDNSKEY);
        let is_made = |rtype: Rtype| is_of_signing(rtype) && !is_signal(rtype);
        let is_signature = |set: &SetRef<'_>| is_made(set.rtype) || set.sigs().next().is_some();
        let set = node.sets().find(is_signature)?;
        let rtype = if is_made(set.rtype) { set.rtype } else { Rtype::RRSIG };
        Some((Name::from_wire(node.name()).ok()?, rtype))
    })
}

/// Makes the signed version.
pub fn sign_zone(task: &Task<'_>) -> Result<Signed, SignError> {
    if let Some((owner, rtype)) = signed_elsewhere(task.unsigned) {
        return Err(SignError::HasRecord(owner, rtype));
    }
    if !task.keys.iter().any(|key| key.signs_data) || !task.keys.iter().any(|key| key.signs_keys) {
        return Err(SignError::NoKey);
    }
    let mut nodes: Vec<Node<'_>> = task.unsigned.nodes().filter_map(|node| node_of(node, task)).collect();
    nodes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    add_chain(&mut nodes, task)?;
    let mut pen = Pen { task, refresh_at: u64::MAX, made_count: 0, kept_count: 0 };
    for node in &mut nodes {
        pen.sign_node(node)?;
    }
    pen.put_digest(&mut nodes)?;
    let zone = assembled(task.unsigned.apex(), nodes)?;
    Ok(Signed { zone, refresh_at: pen.refresh_at, made_count: pen.made_count, kept_count: pen.kept_count })
}

fn node_of<'z>(node: NodeRef<'z>, task: &Task<'z>) -> Option<Node<'z>> {
    let name = Name::from_wire(node.name()).ok()?;
    let of_zone = |set: SetRef<'z>| Set { rtype: set.rtype, ttl: set.ttl, data: Data::OfZone(set), sigs: RdataList::new() };
    let mut sets: Vec<Set<'z>> = node.sets().map(of_zone).collect();
    if name == *task.unsigned.apex() {
        put_apex_sets(&mut sets, task);
    }
    Some(Node { name, is_cut: node.is_cut(), is_hidden: node.is_hidden(), sets })
}

/// The serial of this version, the keys, and a ZONEMD record whose digest is not known yet.
fn put_apex_sets(sets: &mut Vec<Set<'_>>, task: &Task<'_>) {
    let zone = task.unsigned.apex();
    let soa = task.unsigned.soa();
    sets.retain(|set| !matches!(set.rtype, Rtype::SOA | Rtype::ZONEMD));
    sets.push(Set::made(Rtype::SOA, soa.ttl, &[with_serial(soa.rdatas().next().unwrap_or_default(), task.serial)]));
    let of_keys = |is_meant: fn(&KeyUse<'_>) -> bool, rdata: &dyn Fn(&SigningKey) -> Vec<u8>| {
        let mut all: Vec<Vec<u8>> = task.keys.iter().filter(|key| is_meant(key)).map(|key| rdata(key.key)).collect();
        all.sort_unstable();
        all
    };
    let for_parent = match task.policy.ends {
        true => [vec![NO_DS.to_vec()], vec![NO_KEY.to_vec()]],
        false => [of_keys(|key| key.is_for_parent, &|key| key.ds(zone)), of_keys(|key| key.is_for_parent, &|key| key.dnskey.clone())],
    };
    let [cds, cdnskey] = for_parent;
    for (rtype, rdatas) in
        [(Rtype::DNSKEY, of_keys(|key| key.is_published, &|key| key.dnskey.clone())), (Rtype::CDS, cds), (Rtype::CDNSKEY, cdnskey)]
    {
        if !rdatas.is_empty() {
            sets.push(Set::made(rtype, task.policy.key_ttl_s, &rdatas));
        }
    }
    if task.policy.nsec3 {
        // RFC 5155 4, RFC 9276 3.1: SHA-1, no flags, no further iterations, no salt.
        sets.push(Set::made(Rtype::NSEC3PARAM, 0, &[vec![1, 0, 0, 0, 0]]));
    }
    sets.push(Set::made(Rtype::ZONEMD, soa.ttl, &[]));
}

fn with_serial(soa: &[u8], serial: u32) -> Vec<u8> {
    let mut soa = soa.to_vec();
    if let Some(numbers) = soa.last_chunk_mut::<20>() {
        numbers[..4].copy_from_slice(&serial.to_be_bytes());
    }
    soa
}

fn add_chain(nodes: &mut Vec<Node<'_>>, task: &Task<'_>) -> Result<(), SignError> {
    let (apex, ttl) = (task.unsigned.apex(), task.unsigned.negative_soa().ttl);
    let links: Links = if task.policy.nsec3 { hashed_links(nodes) } else { named_links(nodes) };
    match links {
        // RFC 9077 3: NSEC and NSEC3 have the TTL of a negative answer.
        Links::Names(links) => {
            for (at, next) in links {
                let node = &mut nodes[at];
                let types = [node.types(), vec![Rtype::RRSIG, Rtype::NSEC]].concat();
                let rdata = [next.as_wire(), &bitmap_of(&types)].concat();
                node.sets.push(Set::made(Rtype::NSEC, ttl, &[rdata]));
            }
        }
        Links::Hashes(links) => {
            for (hash, next, types) in links {
                let name = nsec3_owner(&hash, apex).ok_or(SignError::NoRoomForHashes)?;
                // RFC 5155 3.2: SHA-1, no opt-out, no further iterations, no salt, then the next hash and its length.
                let rdata = [&[1, 0, 0, 0, 0, next.len() as u8][..], &next, &bitmap_of(&types)].concat();
                let sets = vec![Set::made(Rtype::NSEC3, ttl, &[rdata])];
                nodes.push(Node { name, is_cut: false, is_hidden: false, sets });
            }
        }
    }
    Ok(())
}

/// Makes signatures and takes old ones over.
struct Pen<'t> {
    task: &'t Task<'t>,
    refresh_at: u64,
    made_count: usize,
    kept_count: usize,
}

impl Pen<'_> {
    fn sign_node(&mut self, node: &mut Node<'_>) -> Result<(), SignError> {
        let mut sets = std::mem::take(&mut node.sets);
        let is_apex = node.name == *self.task.unsigned.apex();
        for set in sets.iter_mut().filter(|set| !(is_apex && set.rtype == Rtype::ZONEMD) && node.is_signed(set.rtype)) {
            self.sign(&node.name, set)?;
        }
        node.sets = sets;
        Ok(())
    }

    fn sign(&mut self, owner: &Name, set: &mut Set<'_>) -> Result<(), SignError> {
        let task = self.task;
        let held = task.before.and_then(|before| before.node(owner.as_wire())?.set(set.rtype));
        let held = held.filter(|held| held.ttl == set.ttl && has_same_data(*held, set));
        let mut to_sign = None;
        // RFC 7344 4.1: CDS and CDNSKEY are signed by a key that the parent's DS names.
        let is_of_keys = matches!(set.rtype, Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY);
        for key in task.keys.iter().filter(|key| if is_of_keys { key.signs_keys } else { key.signs_data }) {
            let old = held.and_then(|held| held.sigs().find_map(|rrsig| self.still_serves(rrsig, key.key, owner, set)));
            let (rrsig, refresh_at) = match old {
                Some((rrsig, refresh_at)) => {
                    self.kept_count += 1;
                    (Cow::Borrowed(rrsig), refresh_at)
                }
                None => {
                    let to_sign = to_sign.get_or_insert_with(|| ToSign::new(owner, set.rtype, set.ttl, task.unsigned.apex(), set.rdatas()));
                    let rrsig = to_sign.sign(key.key, task.policy.validity, task.now)?;
                    self.made_count += 1;
                    let refresh_at = Made::read(&rrsig, task.now).map_or(task.now, |made| made.refresh_at(owner, set.rtype));
                    (Cow::Owned(rrsig), refresh_at)
                }
            };
            self.refresh_at = self.refresh_at.min(refresh_at);
            set.sigs.push(&rrsig);
        }
        Ok(())
    }

    /// The signature, if this key made it and it is not to be replaced yet; and when it is to be.
    fn still_serves<'r>(&self, rrsig: &'r [u8], key: &SigningKey, owner: &Name, set: &Set<'_>) -> Option<(&'r [u8], u64)> {
        let made = Made::read(rrsig, self.task.now)?;
        let refresh_at = made.refresh_at(owner, set.rtype);
        let serves = made.is_by(key) && made.original_ttl == set.ttl && made.inception <= self.task.now;
        (serves && refresh_at > self.task.now.max(self.task.refresh_until)).then_some((rrsig, refresh_at))
    }

    /// RFC 8976 3.1: the digest is made last, over all other records and signatures, and then signed.
    fn put_digest(&mut self, nodes: &mut [Node<'_>]) -> Result<(), SignError> {
        nodes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut digest = DigestOfZone::new(HashAlgorithm::Sha384);
        let canonical = |rtype: Rtype, rdata: &[u8], ttl: u32| {
            let mut out = Vec::with_capacity(rdata.len());
            canonical_rdata(rtype, rdata, &mut out);
            (rtype.0, out, ttl)
        };
        let mut records = Vec::new();
        let mut at = 0;
        while let Some(first) = nodes.get(at) {
            // A hashed owner may be a name of the zone too.
            let same = nodes[at..].iter().take_while(|node| node.name == first.name).count();
            records.clear();
            for set in nodes[at..at + same].iter().flat_map(|node| &node.sets).filter(|set| set.rtype != Rtype::ZONEMD || at > 0) {
                records.extend(set.rdatas().map(|rdata| canonical(set.rtype, rdata, set.ttl)));
                records.extend(set.sigs.iter().map(|rdata| canonical(Rtype::RRSIG, rdata, set.ttl)));
            }
            digest.name(first.name.as_wire(), &mut records);
            at += same;
        }
        let rdata = digest.into_rdata(self.task.serial);
        // The apex is the first name in canonical order.
        let Some(apex) = nodes.first_mut() else { return Ok(()) };
        let name = apex.name.clone();
        for set in apex.sets.iter_mut().filter(|set| set.rtype == Rtype::ZONEMD) {
            set.data = Data::Made([rdata.as_slice()].into_iter().collect());
            self.sign(&name, set)?;
        }
        Ok(())
    }
}

fn has_same_data(held: SetRef<'_>, set: &Set<'_>) -> bool {
    let sorted = |mut all: Vec<Vec<u8>>| {
        all.sort_unstable();
        all
    };
    held.rdatas().eq(set.rdatas())
        || sorted(held.rdatas().map(<[u8]>::to_vec).collect()) == sorted(set.rdatas().map(<[u8]>::to_vec).collect())
}

fn assembled(apex: &Name, nodes: Vec<Node<'_>>) -> Result<Zone, SignError> {
    let mut assembly = Assembly::new(apex.clone());
    for node in &nodes {
        for set in &node.sets {
            let data = set.rdatas().map(|rdata| (set.rtype, rdata));
            for (rtype, rdata) in data.chain(set.sigs.iter().map(|rrsig| (Rtype::RRSIG, rrsig))) {
                assembly.add(node.name.as_wire(), rtype, set.ttl, rdata).map_err(|_| SignError::TooLarge)?;
            }
        }
    }
    assembly.finish().map_err(|_| SignError::TooLarge)
}
