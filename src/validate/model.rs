//! Denial held against a slow model: random zones, and for each name what a server would truly say.
//!
//! The model looks names up by RFC 1034 4.3.2 and RFC 4592, in sets of label lists; it shares nothing with the
//! proofs. With all records of a zone at hand each true denial must be proved; with some of them, or with others,
//! nothing that is not true.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::bitmap::bitmap_of;
use super::budget::WorkBudget;
use super::nsec::{Nsec, NsecProof};
use super::nsec3::{Nsec3, Nsec3Hash, Nsec3Hashes, Nsec3Params, Nsec3Proof, nsec3_owner, nsec3_place};
use super::proof::{Found, ProofKind};
use super::synthesize::{DenialForm, DenialKey, Proved, Synthesis, SynthesisKind, synthesize};
use crate::limits::ValidationLimits;
use crate::record::{Name, RrSet, Rtype, Validated};

/// Labels from the apex down; the apex is empty.
type Path = Vec<&'static str>;

#[derive(Clone, Debug)]
struct Zone(BTreeMap<Path, BTreeSet<Rtype>>);

/// What a server of the zone would find.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Truth {
    /// At or below a cut, or below a DNAME: not this zone's to tell.
    Elsewhere,
    Cut(BTreeSet<Rtype>),
    Here(BTreeSet<Rtype>),
    /// No such name; what the wildcard has, if there is one.
    Gone {
        closest_encloser: Path,
        wildcard: Option<BTreeSet<Rtype>>,
    },
}

impl Zone {
    /// As its owner wrote it, without what lies below cuts and DNAMEs.
    fn new(names: Vec<(Path, Vec<Rtype>)>) -> Zone {
        let mut all: BTreeMap<Path, BTreeSet<Rtype>> = names.into_iter().map(|(path, types)| (path, types.into_iter().collect())).collect();
        all.insert(vec![], [Rtype::SOA, Rtype::NS].into());
        let silent = |path: &[&'static str]| all.get(path).is_some_and(|types| Zone::is_cut(path, types) || types.contains(&Rtype::DNAME));
        let hidden: Vec<Path> = all.keys().filter(|path| (0..path.len()).any(|len| silent(&path[..len]))).cloned().collect();
        for path in hidden {
            all.remove(&path);
        }
        Zone(all)
    }

    fn is_cut(path: &[&str], types: &BTreeSet<Rtype>) -> bool {
        !path.is_empty() && types.contains(&Rtype::NS)
    }

    fn types(&self, path: &[&'static str]) -> Option<BTreeSet<Rtype>> {
        let own = self.0.get(path).cloned();
        own.or_else(|| self.0.keys().any(|name| name.starts_with(path)).then(BTreeSet::new))
    }

    fn look_up(&self, path: &Path) -> Truth {
        for len in 0..path.len() {
            let Some(types) = self.types(&path[..len]) else { break };
            if Zone::is_cut(&path[..len], &types) || types.contains(&Rtype::DNAME) {
                return Truth::Elsewhere;
            }
        }
        match self.types(path) {
            Some(types) if Zone::is_cut(path, &types) => Truth::Cut(types),
            Some(types) => Truth::Here(types),
            None => {
                let len = (0..path.len()).rev().find(|len| self.types(&path[..*len]).is_some()).expect("the apex exists");
                let wildcard = self.types(&[&path[..len], &["*"]].concat());
                Truth::Gone { closest_encloser: path[..len].to_vec(), wildcard }
            }
        }
    }

    fn nsec_sets(&self) -> Vec<RrSet> {
        // The order of RFC 4034 6.1 is that of label lists from the apex down.
        let names: Vec<&Path> = self.0.keys().collect();
        let record = |at: usize| {
            let types: Vec<Rtype> = self.0[names[at]].iter().copied().collect();
            let next = name(names[(at + 1) % names.len()]);
            let rdata = [next.as_wire(), &bitmap_of(&types)].concat();
            RrSet::with(name(names[at]), Rtype::NSEC, 60, &rdata)
        };
        (0..names.len()).map(record).collect()
    }

    fn nsec_chain(&self) -> Vec<Nsec> {
        self.nsec_sets().iter().map(|set| Nsec::read(set, &name(&[])).expect("usable")).collect()
    }

    fn nsec3_chain(&self, opt_out: bool) -> Vec<Nsec3> {
        self.nsec3_sets(opt_out).iter().map(|set| Nsec3::read(set, &name(&[])).expect("usable")).collect()
    }

    /// In the order of the hashes.
    fn nsec3_sets(&self, opt_out: bool) -> Vec<RrSet> {
        let mut covered: BTreeSet<Path> = BTreeSet::new();
        for (path, types) in &self.0 {
            if !(opt_out && Zone::is_cut(path, types) && !types.contains(&Rtype::DS)) {
                covered.extend((0..=path.len()).map(|len| path[..len].to_vec()));
            }
        }
        let hash = |path: &Path| params().hash(&name(path), &mut WorkBudget::default()).expect("affordable");
        let mut hashes: Vec<(Nsec3Hash, Path)> = covered.into_iter().map(|path| (hash(&path), path)).collect();
        hashes.sort();
        let record = |at: usize| {
            let (own, path) = &hashes[at];
            let types: Vec<Rtype> = self.types(path).expect("exists").into_iter().collect();
            let next = hashes[(at + 1) % hashes.len()].0;
            let rdata = [&[1, u8::from(opt_out), 0, 1, 1, 7, 20][..], &next, &bitmap_of(&types)].concat();
            RrSet::with(nsec3_owner(own, &name(&[])).expect("short"), Rtype::NSEC3, 60, &rdata)
        };
        (0..hashes.len()).map(record).collect()
    }
}

fn params() -> Nsec3Params {
    Nsec3Params { iterations: 1, salt: vec![7] }
}

fn name(path: &[&str]) -> Name {
    let apex = Name::parse("zone.test.").expect("a name");
    path.iter().fold(apex, |above, label| above.child(label.as_bytes()).expect("short"))
}

/// What the records say to each of the four questions.
struct Said {
    name_error: Option<Found>,
    no_data: Option<Found>,
    no_closer_name: Option<Found>,
    no_ds: Option<Found>,
}

#[derive(Debug)]
struct Asked {
    path: Path,
    qtype: Rtype,
    /// How many labels the wildcard's parent has that is said to have answered.
    encloser: usize,
}

fn by_nsec(records: &[Nsec], asked: &Asked) -> Said {
    let (zone, qname) = (name(&[]), name(&asked.path));
    let proof = NsecProof { zone: &zone, records };
    Said {
        name_error: proof.name_error(&qname),
        no_data: proof.no_data(&qname, asked.qtype),
        no_closer_name: proof.no_closer_name(&qname, &name(&asked.path[..asked.encloser])),
        no_ds: if asked.path.is_empty() { None } else { proof.no_ds(&qname) },
    }
}

fn by_nsec3(records: &[Nsec3], asked: &Asked) -> Said {
    let (zone, qname) = (name(&[]), name(&asked.path));
    let mut work = WorkBudget::new(ValidationLimits { nsec3_blocks: u32::MAX, ..ValidationLimits::default() });
    let work = &mut work;
    let hashes = Nsec3Hashes::default();
    let Some(mut proof) = Nsec3Proof::new(&zone, records, &hashes) else {
        return Said { name_error: None, no_data: None, no_closer_name: None, no_ds: None };
    };
    let encloser = name(&asked.path[..asked.encloser]);
    Said {
        name_error: proof.name_error(&qname, work).expect("affordable"),
        no_data: proof.no_data(&qname, asked.qtype, work).expect("affordable"),
        no_closer_name: proof.no_closer_name(&qname, &encloser, work).expect("affordable"),
        no_ds: if asked.path.is_empty() { None } else { proof.no_ds(&qname, work).expect("affordable") },
    }
}

fn has_not(types: &BTreeSet<Rtype>, qtype: Rtype) -> bool {
    !types.contains(&qtype) && !types.contains(&Rtype::CNAME)
}

/// What is true of the four questions: the last as the cut's nature.
struct True {
    name_error: bool,
    no_data: bool,
    no_closer_name: bool,
    no_ds: Option<ProofKind>,
}

fn truth(zone: &Zone, asked: &Asked) -> True {
    let closer_from = asked.path.get(..asked.encloser + 1);
    let (name_error, no_data, no_ds) = match zone.look_up(&asked.path) {
        Truth::Elsewhere => (false, false, None),
        Truth::Cut(types) if types.contains(&Rtype::DS) => (false, false, None),
        Truth::Cut(_) => (false, asked.qtype == Rtype::DS, Some(ProofKind::InsecureDelegation)),
        Truth::Here(types) => {
            let apex = asked.path.is_empty();
            let no_ds = if apex || types.contains(&Rtype::DS) { None } else { Some(ProofKind::NoCut) };
            (false, has_not(&types, asked.qtype) && !(apex && asked.qtype == Rtype::DS), no_ds)
        }
        Truth::Gone { wildcard: None, .. } => (true, false, Some(ProofKind::NoCut)),
        Truth::Gone { wildcard: Some(types), .. } => (false, has_not(&types, asked.qtype), Some(ProofKind::NoCut)),
    };
    let no_closer_name = match (zone.look_up(&asked.path), closer_from) {
        (Truth::Gone { closest_encloser, .. }, Some(_)) => closest_encloser.len() <= asked.encloser,
        _ => false,
    };
    True { name_error, no_data, no_closer_name, no_ds }
}

/// Nothing is said that is not true. What rests on opt-out claims nothing for certain.
fn check_sound(said: &Said, zone: &Zone, asked: &Asked) -> Result<(), TestCaseError> {
    let truth = truth(zone, asked);
    let sure = |found: &Option<Found>| found.as_ref().is_some_and(|found| !found.opt_out);
    prop_assert!(!sure(&said.name_error) || truth.name_error, "name error");
    prop_assert!(!sure(&said.no_data) || truth.no_data, "no data");
    // Asked only beside an answer that the zone has signed for a wildcard of its own.
    let wildcard = [&asked.path[..asked.encloser], &["*"]].concat();
    if matches!(zone.look_up(&wildcard), Truth::Here(_)) {
        prop_assert!(!sure(&said.no_closer_name) || truth.no_closer_name, "no closer name");
    }
    if sure(&said.no_ds) {
        prop_assert_eq!(said.no_ds.as_ref().map(|found| &found.kind), truth.no_ds.as_ref());
    }
    Ok(())
}

/// What is true is said.
fn check_complete(said: &Said, zone: &Zone, asked: &Asked) -> Result<(), TestCaseError> {
    let truth = truth(zone, asked);
    prop_assert!(said.name_error.is_some() || !truth.name_error, "name error");
    prop_assert!(said.no_data.is_some() || !truth.no_data, "no data");
    prop_assert!(said.no_closer_name.is_some() || !truth.no_closer_name, "no closer name");
    prop_assert!(said.no_ds.is_some() || truth.no_ds.is_none(), "no DS");
    Ok(())
}

fn path() -> impl Strategy<Value = Path> {
    proptest::collection::vec(proptest::sample::select(vec!["a", "b", "c", "*", "\u{1}", "zz"]), 0..4)
}

fn zone() -> impl Strategy<Value = Zone> {
    let types = proptest::sample::select(vec![
        vec![Rtype::A],
        vec![Rtype::A, Rtype::TXT],
        vec![Rtype::CNAME],
        vec![Rtype::NS],
        vec![Rtype::NS, Rtype::DS],
        vec![Rtype::DNAME],
    ]);
    let plain = |(path, types): (Path, Vec<Rtype>)| {
        // What NS and DNAME mean at a wildcard nobody has defined (RFC 4592 4.2, 4.4).
        let odd = path.last() == Some(&"*") && (types.contains(&Rtype::NS) || types.contains(&Rtype::DNAME));
        if odd { (path, vec![Rtype::TXT]) } else { (path, types) }
    };
    proptest::collection::vec((path(), types).prop_map(plain), 0..8).prop_map(Zone::new)
}

fn asked() -> impl Strategy<Value = Asked> {
    let qtype = proptest::sample::select(vec![Rtype::A, Rtype::TXT, Rtype::DS, Rtype::NS, Rtype::CNAME]);
    (path(), qtype, any::<proptest::sample::Index>()).prop_map(|(path, qtype, at)| {
        let encloser = at.index(path.len() + 1);
        Asked { path, qtype, encloser }
    })
}

/// As if its signature had been checked: only what the RRSIG says of itself is looked at.
fn proved(mut set: RrSet) -> Validated<RrSet> {
    let labels = set.name.label_count() - usize::from(set.name.is_wildcard());
    let head = [&set.rtype.0.to_be_bytes()[..], &[15, labels as u8], &[0; 14]].concat();
    set.sigs.push(&[&head[..], name(&[]).as_wire(), &[0; 64]].concat());
    Validated::assertion(set)
}

/// What is made from cached records (RFC 8198), the cache being a list in the order of the zone.
fn made(sets: &[RrSet], asked: &Asked) -> Option<Synthesis> {
    let soa = Validated::assertion(RrSet::with(name(&[]), Rtype::SOA, 60, &[0; 22]));
    let hash_of = |set: &RrSet| nsec3_place(set, &name(&[])).map(|(_, hash)| hash);
    let find = |key: DenialKey<'_>| match key {
        DenialKey::Nsec(wanted) => sets.iter().rfind(|set| set.name <= *wanted).cloned().map(proved),
        DenialKey::Nsec3(wanted) => {
            sets.iter().rfind(|set| hash_of(set).is_some_and(|hash| hash <= *wanted)).or(sets.last()).cloned().map(proved)
        }
        DenialKey::Wildcard(_) => None,
    };
    let known = Proved { find, has_data: |_: &Name, _| true };
    let params = params();
    let hashed = sets.first().is_some_and(|set| set.rtype == Rtype::NSEC3);
    let form = if hashed { DenialForm::Nsec3(&params) } else { DenialForm::Nsec };
    synthesize((&name(&asked.path), asked.qtype), &name(&[]), form, Some(&soa), known, &mut WorkBudget::default())
}

/// Nobody was asked: it must be what a server of the zone would have said.
fn check_made(made: Option<&Synthesis>, zone: &Zone, asked: &Asked) -> Result<(), TestCaseError> {
    let truth = truth(zone, asked);
    match made.map(|made| &made.kind) {
        None => {}
        Some(SynthesisKind::NxDomain) => prop_assert!(truth.name_error, "name error"),
        Some(SynthesisKind::NoData) => prop_assert!(truth.no_data, "no data"),
        // Only for what the wildcard is known to have.
        Some(SynthesisKind::Wildcard { closest_encloser: said }) => match zone.look_up(&asked.path) {
            Truth::Gone { closest_encloser, wildcard } => prop_assert!(wildcard.is_none() || name(&closest_encloser) == *said, "{said}"),
            other => prop_assert!(false, "a wildcard for {other:?}"),
        },
    }
    Ok(())
}

fn some<T>(records: Vec<T>, mask: u16) -> Vec<T> {
    records.into_iter().enumerate().filter(|(at, _)| mask & (1 << (at % 16)) != 0).map(|(_, record)| record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn nsec_proves_what_is_true(zone in zone(), asked in asked()) {
        let said = by_nsec(&zone.nsec_chain(), &asked);
        check_sound(&said, &zone, &asked)?;
        check_complete(&said, &zone, &asked)?;
    }

    #[test]
    fn some_nsec_records_prove_nothing_false(zone in zone(), asked in asked(), mask in any::<u16>()) {
        check_sound(&by_nsec(&some(zone.nsec_chain(), mask), &asked), &zone, &asked)?;
    }

    #[test]
    fn nsec3_proves_what_is_true(zone in zone(), asked in asked(), opt_out in any::<bool>()) {
        let mut said = by_nsec3(&zone.nsec3_chain(opt_out), &asked);
        check_sound(&said, &zone, &asked)?;
        if opt_out {
            // Where an empty non-terminal is left out, a wildcard above it can make these proofs impossible.
            said.name_error.get_or_insert(Found { kind: ProofKind::NoCut, opt_out });
            said.no_data.get_or_insert(Found { kind: ProofKind::NoCut, opt_out });
        }
        check_complete(&said, &zone, &asked)?;
    }

    #[test]
    fn some_nsec3_records_prove_nothing_false(zone in zone(), asked in asked(), opt_out in any::<bool>(), mask in any::<u16>()) {
        check_sound(&by_nsec3(&some(zone.nsec3_chain(opt_out), mask), &asked), &zone, &asked)?;
    }

    #[test]
    fn what_is_made_from_some_records_is_true(
        zone in zone(), asked in asked(), by_hash in any::<bool>(), opt_out in any::<bool>(), mask in any::<u16>(),
    ) {
        let sets = if by_hash { zone.nsec3_sets(opt_out) } else { zone.nsec_sets() };
        check_made(made(&some(sets, mask), &asked).as_ref(), &zone, &asked)?;
    }

    #[test]
    fn a_name_error_is_made_whenever_all_records_are_known(zone in zone(), asked in asked(), by_hash in any::<bool>()) {
        let sets = if by_hash { zone.nsec3_sets(false) } else { zone.nsec_sets() };
        let made = made(&sets, &asked);
        check_made(made.as_ref(), &zone, &asked)?;
        if truth(&zone, &asked).name_error {
            prop_assert_eq!(made.map(|made| made.kind), Some(SynthesisKind::NxDomain));
        }
    }
}
