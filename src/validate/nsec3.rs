//! Denial by NSEC3 (RFC 5155 8, RFC 6840 4, RFC 9276).
//!
//! A record is usable only if its owner is a base32hex hash directly below the zone's apex, its hash algorithm is SHA-1 and its
//! flags are known (RFC 5155 8.2). If there are several sets of parameters, the first is used. Each hash is paid from the
//! budget and remembered, so that a proof hashes each name once.

use std::cell::RefCell;

use aws_lc_rs::digest;

use super::bitmap::TypeBitmap;
use super::budget::{Bound, WorkBudget};
use super::proof::{Found, ProofKind, next_closer, no_ds_at};
use crate::record::{Name, RrSet, Rtype};

const HASH_BYTES: usize = 20;
const FLAG_OPT_OUT: u8 = 1;
const ALGORITHM_SHA1: u8 = 1;

/// The hash of a name, as NSEC3 records sort by it.
pub type Nsec3Hash = [u8; HASH_BYTES];

/// The parameters by which a zone hashes its names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nsec3Params {
    pub iterations: u16,
    pub salt: Vec<u8>,
}

impl Nsec3Params {
    /// The parameters of an NSEC3 record; `None` if it cannot be used.
    pub fn of(nsec3: &RrSet, zone: &Name) -> Option<Nsec3Params> {
        Nsec3::read(nsec3, zone).map(|read| read.params)
    }

    /// Computes the hash of RFC 5155 5; fails where the budget has too little left.
    pub fn hash(&self, name: &Name, work: &mut WorkBudget) -> Result<Nsec3Hash, Bound> {
        work.pay_nsec3(self.blocks(name))?;
        let mut hash = self.once(name.as_wire());
        for _ in 0..self.iterations {
            hash = self.once(&hash);
        }
        Ok(hash)
    }

    fn once(&self, bytes: &[u8]) -> Nsec3Hash {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(bytes);
        context.update(&self.salt);
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(context.finish().as_ref());
        hash
    }

    /// SHA-1 works on blocks of 64 octets; 9 octets of the last block are padding and length.
    fn blocks(&self, name: &Name) -> u32 {
        let blocks = |bytes: usize| (bytes + self.salt.len() + 9).div_ceil(64) as u32;
        blocks(name.as_wire().len()) + u32::from(self.iterations) * blocks(HASH_BYTES)
    }
}

/// The parameters of an NSEC3 record and its hash, which is its place in the chain; `None` if it cannot be used.
pub fn nsec3_place(nsec3: &RrSet, zone: &Name) -> Option<(Nsec3Params, Nsec3Hash)> {
    Nsec3::read(nsec3, zone).map(|read| (read.params, read.owner))
}

/// The owner name of the NSEC3 record with this hash.
pub fn nsec3_owner(hash: &Nsec3Hash, zone: &Name) -> Option<Name> {
    zone.child(&base32hex(hash)).ok()
}

/// 32 digits of `0-9a-v` (RFC 4648 7), in lower case as names are kept.
fn base32hex(hash: &Nsec3Hash) -> [u8; 32] {
    let mut text = [0; 32];
    for (at, digit) in text.iter_mut().enumerate() {
        let (octet, shift) = (at * 5 / 8, at * 5 % 8);
        let pair = u16::from(hash[octet]) << 8 | u16::from(hash.get(octet + 1).copied().unwrap_or(0));
        *digit = b"0123456789abcdefghijklmnopqrstuv"[(pair >> (11 - shift)) as usize & 31];
    }
    text
}

pub(super) fn from_base32hex(label: &[u8]) -> Option<Nsec3Hash> {
    if label.len() != 32 {
        return None;
    }
    let mut hash = [0u8; HASH_BYTES];
    for (at, digit) in label.iter().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'v' => digit - b'a' + 10,
            _ => return None,
        };
        let (octet, shift) = (at * 5 / 8, at * 5 % 8);
        let pair = u16::from(value) << (11 - shift);
        hash[octet] |= (pair >> 8) as u8;
        if let Some(next) = hash.get_mut(octet + 1) {
            *next |= pair as u8;
        }
    }
    Some(hash)
}

pub(super) struct Nsec3 {
    owner: Nsec3Hash,
    next: Nsec3Hash,
    opt_out: bool,
    params: Nsec3Params,
    types: TypeBitmap,
}

impl Nsec3 {
    pub(super) fn read(set: &RrSet, zone: &Name) -> Option<Nsec3> {
        let mut all = set.data.iter();
        let (rdata, None) = (all.next()?, all.next()) else { return None };
        // RFC 5155 3: the owner is the hash as one label directly below the apex, so a deeper owner does not count.
        if set.name.parent()? != *zone {
            return None;
        }
        let owner = from_base32hex(set.name.labels().next()?)?;
        let (&[algorithm, flags, high, low, salt_len], rest) = rdata.split_first_chunk::<5>()?;
        if algorithm != ALGORITHM_SHA1 || flags & !FLAG_OPT_OUT != 0 {
            return None;
        }
        let (salt, rest) = rest.split_at_checked(salt_len as usize)?;
        let (&hash_len, rest) = rest.split_first()?;
        let (next, types) = rest.split_at_checked(hash_len as usize)?;
        Some(Nsec3 {
            owner,
            next: next.try_into().ok()?,
            opt_out: flags & FLAG_OPT_OUT != 0,
            params: Nsec3Params { iterations: u16::from_be_bytes([high, low]), salt: salt.to_vec() },
            types: TypeBitmap::read(types)?,
        })
    }

    pub(super) fn types(&self) -> &TypeBitmap {
        &self.types
    }

    pub(super) fn is_silent_below(&self) -> bool {
        self.types.is_silent_below()
    }

    /// RFC 5155 1.3: strictly between owner and next hash; the gap of the last record wraps around.
    fn covers(&self, hash: &Nsec3Hash) -> bool {
        match self.owner < self.next {
            true => self.owner < *hash && *hash < self.next,
            false => *hash > self.owner || *hash < self.next,
        }
    }

    #[cfg(test)]
    pub(super) fn made(owner: Nsec3Hash, next: Nsec3Hash, opt_out: bool, params: &Nsec3Params, types: &[Rtype]) -> Nsec3 {
        let types = TypeBitmap::read(&super::bitmap::bitmap_of(types)).expect("well formed");
        Nsec3 { owner, next, opt_out, params: params.clone(), types }
    }
}

/// Hashes with the parameters of one chain: each name is hashed once for all proofs about it.
#[derive(Clone, Default)]
pub(super) struct Nsec3Hashes(RefCell<Vec<(Name, Nsec3Hash)>>);

impl Nsec3Hashes {
    /// The hash of a name, if it was computed before.
    pub(super) fn made(&self, name: &Name) -> Option<Nsec3Hash> {
        self.0.borrow().iter().find(|(made, _)| made == name).map(|(_, hash)| *hash)
    }

    pub(super) fn of(&self, name: &Name, params: &Nsec3Params, work: &mut WorkBudget) -> Result<Nsec3Hash, Bound> {
        if let Some(hash) = self.made(name) {
            return Ok(hash);
        }
        let hash = params.hash(name, work)?;
        self.0.borrow_mut().push((name.clone(), hash));
        Ok(hash)
    }
}

/// All NSEC3 records of one reply with the same parameters as the first.
pub(super) struct Nsec3Proof<'a> {
    zone: &'a Name,
    records: Vec<&'a Nsec3>,
    params: &'a Nsec3Params,
    hashes: &'a Nsec3Hashes,
}

/// RFC 5155 8.3.
struct ClosestEncloserProof {
    closest_encloser: Name,
    opt_out: bool,
}

impl<'a> Nsec3Proof<'a> {
    /// `None` without any record.
    pub(super) fn new(zone: &'a Name, records: &'a [Nsec3], hashes: &'a Nsec3Hashes) -> Option<Nsec3Proof<'a>> {
        let params = &records.first()?.params;
        let records = records.iter().filter(|nsec3| nsec3.params == *params).collect();
        Some(Nsec3Proof { zone, records, params, hashes })
    }

    pub(super) fn iterations(&self) -> u16 {
        self.params.iterations
    }

    /// RFC 5155 8.4.
    pub(super) fn name_error(&mut self, qname: &Name, work: &mut WorkBudget) -> Result<Option<Found>, Bound> {
        let Some(proof) = self.closest_encloser(qname, work)? else { return Ok(None) };
        let closest_encloser = proof.closest_encloser;
        let Some(wildcard) = closest_encloser.wildcard() else { return Ok(None) };
        let denied = self.covering(&wildcard, work)?.is_some();
        Ok(denied.then_some(Found { kind: ProofKind::NameError { closest_encloser }, opt_out: proof.opt_out }))
    }

    /// RFC 5155 8.5, 8.6 and 8.7.
    pub(super) fn no_data(&mut self, qname: &Name, qtype: Rtype, work: &mut WorkBudget) -> Result<Option<Found>, Bound> {
        if let Some(own) = self.at(qname, work)? {
            return Ok(own.types.denies(qname, qtype).then(|| Found::sure(ProofKind::NoData)));
        }
        let Some(proof) = self.closest_encloser(qname, work)? else { return Ok(None) };
        let Some(wildcard) = proof.closest_encloser.wildcard() else { return Ok(None) };
        if let Some(nsec3) = self.at(&wildcard, work)? {
            let kind = ProofKind::WildcardNoData { closest_encloser: proof.closest_encloser };
            return Ok(nsec3.types.denies(&wildcard, qtype).then_some(Found { kind, opt_out: proof.opt_out }));
        }
        // The chain may omit a delegation, or an empty non-terminal above one, in an opt-out span (RFC 5155 7.1).
        Ok(proof.opt_out.then_some(Found { kind: ProofKind::NoData, opt_out: true }))
    }

    /// RFC 5155 8.8: the answer itself shows the closest encloser.
    pub(super) fn no_closer_name(&mut self, qname: &Name, closest_encloser: &Name, work: &mut WorkBudget) -> Result<Option<Found>, Bound> {
        let within = closest_encloser.is_within(self.zone);
        let Some(next_closer) = next_closer(qname, closest_encloser).filter(|_| within) else { return Ok(None) };
        let covering = self.covering(&next_closer, work)?;
        Ok(covering.map(|nsec3| Found { kind: ProofKind::NoCloserName, opt_out: nsec3.opt_out }))
    }

    /// RFC 5155 8.6 and 8.9.
    pub(super) fn no_ds(&mut self, name: &Name, work: &mut WorkBudget) -> Result<Option<Found>, Bound> {
        if let Some(own) = self.at(name, work)? {
            return Ok(no_ds_at(&own.types).map(Found::sure));
        }
        let Some(proof) = self.closest_encloser(name, work)? else { return Ok(None) };
        let kind = if proof.opt_out { ProofKind::InsecureDelegation } else { ProofKind::NoCut };
        Ok(Some(Found { kind, opt_out: proof.opt_out }))
    }

    /// The longest existing ancestor of `qname`, with the proof that the next closer name does not exist. `None` also if
    /// `qname` itself exists.
    fn closest_encloser(&mut self, qname: &Name, work: &mut WorkBudget) -> Result<Option<ClosestEncloserProof>, Bound> {
        if !qname.is_within(self.zone) {
            return Ok(None);
        }
        for labels in (self.zone.label_count()..=qname.label_count()).rev() {
            let candidate = qname.suffix(labels);
            let Some(nsec3) = self.at(&candidate, work)? else { continue };
            // RFC 5155 8.3: the closest encloser must be neither a cut nor a DNAME.
            let silent = nsec3.is_silent_below();
            let Some(next_closer) = next_closer(qname, &candidate).filter(|_| !silent) else { return Ok(None) };
            let covering = self.covering(&next_closer, work)?;
            return Ok(covering.map(|nsec3| ClosestEncloserProof { closest_encloser: candidate, opt_out: nsec3.opt_out }));
        }
        Ok(None)
    }

    fn at(&mut self, name: &Name, work: &mut WorkBudget) -> Result<Option<&'a Nsec3>, Bound> {
        let hash = self.hash(name, work)?;
        Ok(self.records.iter().find(|nsec3| nsec3.owner == hash).copied())
    }

    fn covering(&mut self, name: &Name, work: &mut WorkBudget) -> Result<Option<&'a Nsec3>, Bound> {
        let hash = self.hash(name, work)?;
        Ok(self.records.iter().find(|nsec3| nsec3.covers(&hash)).copied())
    }

    fn hash(&mut self, name: &Name, work: &mut WorkBudget) -> Result<Nsec3Hash, Bound> {
        self.hashes.of(name, self.params, work)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bitmap::bitmap_of;
    use super::*;
    use Rtype as T;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn params() -> Nsec3Params {
        Nsec3Params { iterations: 12, salt: vec![0xaa, 0xbb, 0xcc, 0xdd] }
    }

    /// RFC 5155 appendix A.
    const HASHES: [(&str, &str); 12] = [
        ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
        ("a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
        ("ai.example.", "gjeqe526plbf1g8mklp59enfd789njgi"),
        ("ns1.example.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
        ("ns2.example.", "q04jkcevqvmu85r014c7dkba38o0ji5r"),
        ("w.example.", "k8udemvp1j2f7eg6jebps17vp3n8i58h"),
        ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ("x.w.example.", "b4um86eghhds6nea196smvmlo4ors995"),
        ("y.w.example.", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"),
        ("x.y.w.example.", "2vptu5timamqttgl4luu9kg21e0aor3s"),
        ("xx.example.", "t644ebqk9bibcna874givr6joj62mlhv"),
        ("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"),
    ];

    #[test]
    fn the_hashes_of_rfc_5155_appendix_a() {
        let mut work = WorkBudget::default();
        for (plain, hashed) in HASHES {
            let hash = params().hash(&name(plain), &mut work).expect("affordable");
            assert_eq!(nsec3_owner(&hash, &name("example.")), Some(name(&format!("{hashed}.example."))), "{plain}");
            assert_eq!(from_base32hex(hashed.as_bytes()), Some(hash));
        }
        assert_eq!(work.spent().nsec3_blocks, 12 * 13);
        assert_eq!(from_base32hex(&[b'w'; 32]), None);
        assert_eq!(from_base32hex(&[b'a'; 31]), None);
    }

    /// The chain of RFC 5155 appendix A; c.example is an insecure delegation without a record of its own.
    fn example(opt_out: bool) -> Vec<Nsec3> {
        let types = |plain: &str| match plain {
            "example." => vec![T::MX, T::DNSKEY, T::NS, T::SOA, T::NSEC3PARAM, T::RRSIG],
            "a.example." => vec![T::NS, T::DS, T::RRSIG],
            "w.example." | "y.w.example." => vec![],
            "ns1.example." | "ns2.example." | "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example." => vec![T::A, T::RRSIG],
            "xx.example." | "ai.example." => vec![T::A, T::HINFO, T::AAAA, T::RRSIG],
            _ => vec![T::MX, T::RRSIG],
        };
        let mut sorted: Vec<(Nsec3Hash, &str)> =
            HASHES.iter().map(|(plain, hashed)| (from_base32hex(hashed.as_bytes()).expect("hash"), *plain)).collect();
        sorted.sort();
        (0..sorted.len())
            .map(|at| Nsec3::made(sorted[at].0, sorted[(at + 1) % sorted.len()].0, opt_out, &params(), &types(sorted[at].1)))
            .collect()
    }

    #[test]
    fn the_answers_of_rfc_5155_appendix_b() {
        let (zone, records) = (name("example."), example(true));
        let sure = example(false);
        let mut work = WorkBudget::default();
        let work = &mut work;
        let hashes = Nsec3Hashes::default();
        let mut opt = Nsec3Proof::new(&zone, &records, &hashes).expect("records");
        let mut all = Nsec3Proof::new(&zone, &sure, &hashes).expect("records");
        let name_error = |ce: &str| ProofKind::NameError { closest_encloser: name(ce) };
        let wildcard = |ce: &str| ProofKind::WildcardNoData { closest_encloser: name(ce) };
        let found = |kind, opt_out| Ok(Some(Found { kind, opt_out }));
        let rows = [
            ("B.1", opt.name_error(&name("a.c.x.w.example."), work), found(name_error("x.w.example."), true)),
            ("B.1 without opt-out", all.name_error(&name("a.c.x.w.example."), work), found(name_error("x.w.example."), false)),
            ("B.2", opt.no_data(&name("ns1.example."), T::MX, work), found(ProofKind::NoData, false)),
            ("B.2, type is there", opt.no_data(&name("ns1.example."), T::A, work), Ok(None)),
            ("B.2.1", opt.no_data(&name("y.w.example."), T::A, work), found(ProofKind::NoData, false)),
            ("B.3", opt.no_ds(&name("c.example."), work), found(ProofKind::InsecureDelegation, true)),
            ("B.3 without opt-out", all.no_ds(&name("c.example."), work), found(ProofKind::NoCut, false)),
            ("B.4", opt.no_closer_name(&name("a.z.w.example."), &name("w.example."), work), found(ProofKind::NoCloserName, true)),
            ("wildcard over an existing name", opt.no_closer_name(&name("x.w.example."), &name("w.example."), work), Ok(None)),
            ("wildcard above the zone", opt.no_closer_name(&name("nowhere."), &Name::root(), work), Ok(None)),
            ("B.5", opt.no_data(&name("a.z.w.example."), T::AAAA, work), found(wildcard("w.example."), true)),
            ("B.5, type is there", opt.no_data(&name("a.z.w.example."), T::MX, work), Ok(None)),
            ("a name that is not there", all.no_data(&name("c.example."), T::A, work), Ok(None)),
            ("a name that may be there", opt.no_data(&name("c.example."), T::A, work), found(ProofKind::NoData, true)),
            ("B.6", opt.no_data(&name("example."), T::DS, work), Ok(None)),
            ("name exists", opt.name_error(&name("x.w.example."), work), Ok(None)),
            ("below a cut", opt.name_error(&name("x.a.example."), work), Ok(None)),
            ("parent's side", opt.no_data(&name("a.example."), T::A, work), Ok(None)),
            ("DS is there", opt.no_ds(&name("a.example."), work), Ok(None)),
            ("no cut", opt.no_ds(&name("w.example."), work), found(ProofKind::NoCut, false)),
            ("outside", opt.name_error(&name("x.other."), work), Ok(None)),
        ];
        for (what, found, expected) in rows {
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn records_that_cannot_be_used() {
        let zone = name("example.");
        let owner = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom";
        let rdata = |algorithm: u8, flags: u8, hash_len: u8| {
            [&[algorithm, flags, 0, 1, 1, 0xaa, hash_len][..], &vec![9; hash_len as usize], &bitmap_of(&[T::A])].concat()
        };
        let set = |owner: &str, rdata: &[u8]| RrSet::with(name(owner), T::NSEC3, 60, rdata);
        let directly_below = format!("{owner}.example.");
        assert!(Nsec3::read(&set(&directly_below, &rdata(1, 0, 20)), &zone).is_some());
        let rows = [
            ("not directly below", set(&format!("{owner}.sub.example."), &rdata(1, 0, 20))),
            ("other zone", set(&format!("{owner}.other."), &rdata(1, 0, 20))),
            ("the apex", set("example.", &rdata(1, 0, 20))),
            ("no hash", set("www.example.", &rdata(1, 0, 20))),
            ("unknown hash", set(&directly_below, &rdata(2, 0, 20))),
            ("unknown flag", set(&directly_below, &rdata(1, 2, 20))),
            ("short hash", set(&directly_below, &rdata(1, 0, 19))),
            ("cut off", set(&directly_below, &rdata(1, 0, 20)[..20])),
        ];
        for (what, set) in rows {
            assert!(Nsec3::read(&set, &zone).is_none(), "{what}");
        }
        assert!(Nsec3::read(&RrSet::with(Name::root(), T::NSEC3, 60, &rdata(1, 0, 20)), &Name::root()).is_none());
    }

    /// While a zone changes its parameters it has two chains (RFC 5155 4.1.1): what stands at a place in one stands elsewhere
    /// in the other.
    #[test]
    fn records_of_other_parameters_prove_nothing_beside_the_first() {
        let zone = name("example.");
        let others = Nsec3Params { iterations: 0, ..params() };
        let place = params().hash(&name("www.example."), &mut WorkBudget::default()).expect("affordable");
        for (second, expected) in [(&others, None), (&params(), Some(Found::sure(ProofKind::NoData)))] {
            let records = [Nsec3::made([0; 20], [1; 20], false, &params(), &[T::A]), Nsec3::made(place, [1; 20], false, second, &[T::A])];
            let hashes = Nsec3Hashes::default();
            let mut proof = Nsec3Proof::new(&zone, &records, &hashes).expect("records");
            assert_eq!(proof.no_data(&name("www.example."), T::MX, &mut WorkBudget::default()), Ok(expected));
        }
    }

    #[test]
    fn a_long_name_exhausts_the_budget_and_not_the_processor() {
        let zone = name("example.");
        let heavy = Nsec3Params { iterations: 50, salt: vec![0; 255] };
        let records = vec![Nsec3::made([0; 20], [1; 20], false, &heavy, &[T::A])];
        let hashes = Nsec3Hashes::default();
        let mut proof = Nsec3Proof::new(&zone, &records, &hashes).expect("records");
        let long = name(&format!("{}example.", "a.".repeat(100)));
        let mut work = WorkBudget::default();
        assert_eq!(proof.name_error(&long, &mut work), Err(Bound::Nsec3Hashes));
        assert!(work.spent().nsec3_blocks <= work.limits().nsec3_blocks);
    }
}
