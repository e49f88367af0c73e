//! Proofs of denial from a zone that was signed elsewhere: which of its NSEC (RFC 4035 3.1.3) or NSEC3 records (RFC 5155 7.2)
//! prove that something does not exist. An unsigned zone has none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::denial_chain::{Chain as Owners, DenialChain};
use super::shard::SetRef;
use super::tree::Zone;
use crate::record::{Name, RrSet, Rtype};
use crate::validate::{Bound, Nsec3Hash, Nsec3Params, WorkBudget, nsec3_owner, nsec3_place};

/// What does not exist. The names come from `Found`, in wire form.
#[derive(Clone, Copy, Debug)]
pub enum Missing<'a> {
    /// The name itself, and the wildcard that would have answered for it.
    Name { encloser: &'a [u8] },
    /// The type, at the name or at the wildcard that answers for it.
    Type { wildcard: Option<&'a [u8]> },
    /// A name closer to the query name than the wildcard that answered.
    Closer { wildcard: &'a [u8] },
}

/// Finds the owners of a finished zone's NSEC or NSEC3 records.
pub(super) fn chain_of(zone: &Zone) -> DenialChain {
    let apex = zone.apex.as_wire();
    if !zone.is_signed() {
        return DenialChain::None;
    }
    let owned = |wanted: Rtype| {
        let sets = zone.sets().filter(move |(_, set)| set.rtype == wanted);
        sets.filter_map(|(owner, set)| Some(set.to_rrset(Name::from_wire(owner).ok()?)))
    };
    if zone.held(apex, Rtype::NSEC).is_some() {
        let mut names: Vec<Name> = owned(Rtype::NSEC).map(|set| set.name).collect();
        names.sort_unstable();
        return DenialChain::Names(Owners::from_sorted(&names));
    }
    // RFC 5155 7.3: where there are several chains, the one that NSEC3PARAM names is complete.
    let Some(params) = zone.held(apex, Rtype::NSEC3PARAM).and_then(params_of) else { return DenialChain::None };
    let placed = owned(Rtype::NSEC3).filter_map(|set| nsec3_place(&set, &zone.apex));
    let mut hashes: Vec<Nsec3Hash> = placed.filter(|(have, _)| *have == params).map(|(_, hash)| hash).collect();
    hashes.sort_unstable();
    DenialChain::Hashes { params: Arc::new(params), hashes: Owners::from_sorted(&hashes) }
}

/// The chain of a zone that differs from `before` at these names.
pub(super) fn chain_follows<'n>(before: &Zone, zone: &Zone, names: impl Iterator<Item = &'n [u8]>) -> DenialChain {
    let apex = zone.apex.as_wire();
    let names = names.filter_map(|name| Name::from_wire(name).ok());
    match &before.denials {
        DenialChain::Names(owners) if zone.is_signed() && zone.held(apex, Rtype::NSEC).is_some() => {
            let is_in = |name: &Name| zone.held(name.as_wire(), Rtype::NSEC).is_some();
            let mut changes: Vec<(Name, bool)> = names.map(|name| (name.clone(), is_in(&name))).collect();
            changes.sort_unstable();
            DenialChain::Names(owners.with(&changes))
        }
        DenialChain::Hashes { params, hashes }
            if zone.is_signed()
                && zone.held(apex, Rtype::NSEC).is_none()
                && zone.held(apex, Rtype::NSEC3PARAM).and_then(params_of).as_ref() == Some(&**params) =>
        {
            let placed = |zone: &Zone, name: &Name| {
                let set = zone.held(name.as_wire(), Rtype::NSEC3)?.to_rrset(name.clone());
                nsec3_place(&set, &zone.apex).filter(|(have, _)| *have == **params).map(|(_, hash)| hash)
            };
            let mut changes: BTreeMap<Nsec3Hash, bool> = BTreeMap::new();
            for name in names {
                changes.extend(placed(before, &name).map(|hash| (hash, false)));
                changes.extend(placed(zone, &name).map(|hash| (hash, true)));
            }
            DenialChain::Hashes { params: params.clone(), hashes: hashes.with(&changes.into_iter().collect::<Vec<_>>()) }
        }
        _ => chain_of(zone),
    }
}

/// RFC 5155 4.2; only SHA-1 is defined.
pub(super) fn params_of(nsec3param: SetRef<'_>) -> Option<Nsec3Params> {
    nsec3param.rdatas().find_map(|rdata| match rdata {
        [1, _, high, low, len, salt @ ..] if salt.len() == usize::from(*len) => {
            Some(Nsec3Params { iterations: u16::from_be_bytes([*high, *low]), salt: salt.to_vec() })
        }
        _ => None,
    })
}

impl Zone {
    /// The RRsets for the authority section; none where the zone has none, or where hashing costs too much.
    pub fn proofs(&self, name: &Name, missing: Missing<'_>) -> Vec<RrSet> {
        let mut proofs = match &self.denials {
            DenialChain::None => Vec::new(),
            DenialChain::Names(owners) => self.by_name(owners, name, missing).unwrap_or_default(),
            DenialChain::Hashes { params, hashes } => {
                let chain = Chain { zone: self, params, hashes };
                chain.proofs(name, missing, &mut WorkBudget::default()).ok().flatten().unwrap_or_default()
            }
        };
        proofs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        proofs.dedup_by(|a, b| a.name == b.name);
        proofs
    }

    /// Proofs for a referral that the child zone has no DS and so is unsigned (RFC 4035 3.1.4, RFC 5155 7.2.7).
    pub fn proofs_of_no_ds(&self, cut: &[u8]) -> Vec<RrSet> {
        Name::from_wire(cut).map(|cut| self.proofs(&cut, Missing::Type { wildcard: None })).unwrap_or_default()
    }

    fn by_name(&self, owners: &Owners<Name>, name: &Name, missing: Missing<'_>) -> Option<Vec<RrSet>> {
        let at_or_before = |name: &Name| self.denial(owners.at_or_before(name)?, Rtype::NSEC);
        let own = at_or_before(name)?;
        Some(match missing {
            Missing::Type { wildcard: None } | Missing::Closer { .. } => vec![own],
            Missing::Type { wildcard: Some(wildcard) } => vec![own, at_or_before(&Name::from_wire(wildcard).ok()?)?],
            Missing::Name { encloser } => vec![own, at_or_before(&Name::from_wire(encloser).ok()?.wildcard()?)?],
        })
    }

    fn denial(&self, owner: &Name, rtype: Rtype) -> Option<RrSet> {
        Some(self.held(owner.as_wire(), rtype)?.to_rrset(owner.clone()))
    }
}

struct Chain<'z> {
    zone: &'z Zone,
    params: &'z Nsec3Params,
    hashes: &'z Owners<Nsec3Hash>,
}

type Proofs = Result<Option<Vec<RrSet>>, Bound>;

impl Chain<'_> {
    fn proofs(&self, name: &Name, missing: Missing<'_>, work: &mut WorkBudget) -> Proofs {
        let above = |wildcard: &[u8]| Name::from_wire(wildcard).ok()?.parent();
        match missing {
            Missing::Name { encloser } => {
                let Ok(encloser) = Name::from_wire(encloser) else { return Ok(None) };
                let Some((mut proofs, provable)) = self.closest_encloser(name, encloser, work)? else { return Ok(None) };
                if let Some(wildcard) = provable.wildcard() {
                    proofs.extend(self.near(&wildcard, work)?.map(|(set, _)| set));
                }
                Ok(Some(proofs))
            }
            Missing::Type { wildcard: None } => match self.near(name, work)? {
                Some((set, true)) => Ok(Some(vec![set])),
                // RFC 5155 7.2.4: a delegation that the chain omits because of opt-out.
                _ => {
                    let Some(parent) = name.parent() else { return Ok(None) };
                    Ok(self.closest_encloser(name, parent, work)?.map(|(proofs, _)| proofs))
                }
            },
            Missing::Type { wildcard: Some(wildcard) } => {
                let Some(encloser) = above(wildcard) else { return Ok(None) };
                let Some((mut proofs, _)) = self.closest_encloser(name, encloser, work)? else { return Ok(None) };
                if let Ok(wildcard) = Name::from_wire(wildcard) {
                    proofs.extend(self.near(&wildcard, work)?.map(|(set, _)| set));
                }
                Ok(Some(proofs))
            }
            Missing::Closer { wildcard } => {
                let Some(encloser) = above(wildcard) else { return Ok(None) };
                Ok(self.near(&name.suffix(encloser.label_count() + 1), work)?.map(|(set, _)| vec![set]))
            }
        }
    }

    /// RFC 5155 7.2.1: proves the closest encloser, or its closest ancestor in the chain, and that no name one label longer
    /// exists towards `name`.
    fn closest_encloser(&self, name: &Name, mut encloser: Name, work: &mut WorkBudget) -> Result<Option<(Vec<RrSet>, Name)>, Bound> {
        loop {
            if let Some((matching, true)) = self.near(&encloser, work)? {
                let covering = self.near(&name.suffix(encloser.label_count() + 1), work)?;
                return Ok(covering.map(|(covering, _)| (vec![matching, covering], encloser)));
            }
            match encloser.parent().filter(|above| above.is_within(&self.zone.apex)) {
                Some(above) => encloser = above,
                None => return Ok(None),
            }
        }
    }

    /// The NSEC3 that matches the hash of the name (true), or that covers it (false): the last one before the hash, with
    /// wrap-around (RFC 5155 1.3).
    fn near(&self, name: &Name, work: &mut WorkBudget) -> Result<Option<(RrSet, bool)>, Bound> {
        let hash = self.params.hash(name, work)?;
        let found = self.hashes.at_or_before(&hash).or(self.hashes.last());
        let owner = found.and_then(|found| nsec3_owner(found, &self.zone.apex));
        Ok(owner.and_then(|owner| self.zone.denial(&owner, Rtype::NSEC3)).map(|set| (set, found == Some(&hash))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Found, load_zone};
    use super::*;
    use crate::limits::ValidationLimits;
    use crate::record::Validated;
    use crate::validate::{Denial, prove_no_ds, prove_nodata, prove_nxdomain, prove_wildcard_answer};

    const RECORDS: &str = "\
@ SOA ns host 1 2 3 4 60
@ NS ns
ns A 192.0.2.53
a.b.c A 192.0.2.1
*.w TXT x
*.w.deep CNAME ns
plain NS ns.plain
secure NS ns.plain
secure DS 1 8 2 AA
z A 192.0.2.2
";

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn owner_of(line: &str) -> Name {
        match line.split(' ').next() {
            Some("@") | None => name("example."),
            Some(label) => name(&format!("{label}.example.")),
        }
    }

    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Form {
        Unsigned,
        Nsec,
        Nsec3,
        OptOut,
    }

    fn signature(owner: &Name, rtype: Rtype) -> String {
        let labels = owner.label_count() - usize::from(owner.as_wire().starts_with(b"\x01*"));
        format!("{owner} RRSIG {rtype} 8 {labels} 300 20300101000000 20200101000000 1 example. Zm9v\n")
    }

    /// The zone with its chain. Nothing here looks into the signatures.
    fn zone(form: Form) -> Zone {
        let mut types: BTreeMap<Name, Vec<&str>> = BTreeMap::new();
        for line in RECORDS.lines() {
            types.entry(owner_of(line)).or_default().extend(line.split(' ').nth(1));
        }
        let mut text = format!("$TTL 300\n{RECORDS}ns.plain A 192.0.2.3\n");
        if form != Form::Unsigned {
            text.push_str(&signature(&name("example."), Rtype::SOA));
        }
        if form == Form::Nsec {
            let owners: Vec<&Name> = types.keys().collect();
            for (at, (owner, types)) in types.iter().enumerate() {
                text.push_str(&format!("{owner} NSEC {} {} RRSIG NSEC\n", owners[(at + 1) % owners.len()], types.join(" ")));
                text.push_str(&signature(owner, Rtype::NSEC));
            }
        } else if form != Form::Unsigned {
            text.push_str("@ NSEC3PARAM 1 0 3 aabb\n");
            let params = Nsec3Params { iterations: 3, salt: vec![0xaa, 0xbb] };
            let flag = u8::from(form == Form::OptOut);
            let mut chain: BTreeMap<Nsec3Hash, String> = BTreeMap::new();
            let mut free = WorkBudget::new(ValidationLimits { nsec3_blocks: u32::MAX, time_us: u32::MAX, ..ValidationLimits::default() });
            for (owner, types) in types.iter().filter(|(owner, _)| form != Form::OptOut || **owner != name("plain.example.")) {
                for count in 1..=owner.label_count() {
                    let here = owner.suffix(count);
                    let types = if here == *owner { types.join(" ") } else { String::new() };
                    let held = chain.entry(params.hash(&here, &mut free).expect("affordable")).or_default();
                    held.push_str(&types);
                }
            }
            let owners: Vec<Name> = chain.keys().map(|hash| nsec3_owner(hash, &name("example.")).expect("short")).collect();
            for (at, types) in chain.values().enumerate() {
                let next = owners[(at + 1) % owners.len()].to_string();
                let next = next.split('.').next().unwrap_or_default();
                text.push_str(&format!("{} NSEC3 1 {flag} 3 aabb {next} {types}\n", owners[at]));
                text.push_str(&signature(&owners[at], Rtype::NSEC3));
            }
        }
        load_zone(&name("example."), "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    /// Our own validator is content with what goes beside each kind of answer, and with nothing less.
    #[test]
    fn what_is_given_proves_what_is_said() {
        let apex = name("example.");
        let rows = [
            ("no.example.", "A"),
            ("zz.example.", "A"),
            ("0.example.", "A"),
            ("x.y.no.example.", "A"),
            ("x.a.b.c.example.", "A"),
            ("no.b.c.example.", "A"),
            ("z.example.", "MX"),
            ("example.", "MX"),
            ("c.example.", "A"),
            ("b.c.example.", "A"),
            ("w.example.", "A"),
            ("deep.example.", "A"),
            ("x.w.example.", "A"),
            ("x.y.w.example.", "A"),
            ("x.w.example.", "TXT"),
            ("x.y.w.example.", "TXT"),
            ("x.w.deep.example.", "A"),
            ("plain.example.", "DS"),
            ("plain.example.", "A"),
            ("www.plain.example.", "A"),
        ];
        for (form, (question, rtype)) in
            [Form::Unsigned, Form::Nsec, Form::Nsec3, Form::OptOut].into_iter().flat_map(|form| rows.map(|row| (form, row)))
        {
            let (zone, qname, rtype) = (zone(form), name(question), rtype.parse().expect(rtype));
            let found = zone.find(qname.as_wire(), rtype);
            let sets = match found {
                Found::NxDomain { encloser, .. } => zone.proofs(&qname, Missing::Name { encloser }),
                Found::NoData { wildcard, .. } => zone.proofs(&qname, Missing::Type { wildcard }),
                Found::Answer { wildcard: Some(wildcard), .. } | Found::Cname { wildcard: Some(wildcard), .. } => {
                    zone.proofs(&qname, Missing::Closer { wildcard })
                }
                Found::Referral { cut, .. } => zone.proofs_of_no_ds(cut),
                other => panic!("{question} {other:?}"),
            };
            if form == Form::Unsigned {
                assert_eq!(sets, [], "{question} {rtype}");
                continue;
            }
            let prove = |sets: &[RrSet]| {
                let sets: Vec<_> = sets.iter().cloned().map(Validated::assertion).collect();
                let work = &mut WorkBudget::default();
                match found {
                    Found::NxDomain { .. } => prove_nxdomain(&qname, &apex, &sets, work),
                    Found::NoData { .. } if rtype == Rtype::DS => prove_no_ds(&qname, &apex, &sets, work),
                    Found::NoData { .. } => prove_nodata(&qname, rtype, &apex, &sets, work),
                    Found::Referral { cut, .. } => prove_no_ds(&Name::from_wire(cut).expect("a cut"), &apex, &sets, work),
                    Found::Answer { wildcard, .. } | Found::Cname { wildcard, .. } => {
                        let encloser = Name::from_wire(&wildcard.expect("a wildcard")[2..]).expect("above it");
                        prove_wildcard_answer(&qname, rtype, &encloser, &apex, &sets, work)
                    }
                    Found::Dname { .. } => panic!("{question}"),
                }
            };
            assert!(matches!(prove(&sets), Denial::Proved(_)), "{form:?} {question} {rtype} {found:?}: {:?} by {sets:?}", prove(&sets));
            // With opt-out a part may prove something weaker.
            for at in (0..sets.len()).filter(|_| form != Form::OptOut) {
                let mut fewer = sets.clone();
                fewer.remove(at);
                assert!(!matches!(prove(&fewer), Denial::Proved(_)), "{form:?} {question} {rtype}: too much in {sets:?}");
            }
        }
    }
}
