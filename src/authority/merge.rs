//! A zone's file that a person has edited while updates have changed the zone: both changes are made, record by record.
//!
//! *Base* is what the file said when it was read or written last, *file* what it says now, *current* what the zone is by updates.
//! Where both have changed the same thing differently, the file's word holds, and that is told: they replaced the same record, gave
//! a set two TTLs, or made two records that must stand alone.

use std::collections::{BTreeMap, BTreeSet};

use super::update::soa_with_serial;
use super::update_record::canonical;
use crate::record::{Name, Rtype};
use crate::zone::{ChangedSet, Diff, SetRef, Zone, edit_zone, is_newer, next_serial, sets_at};

/// The outcome of a merge.
pub struct Merged {
    pub zone: Zone,
    /// Sets for which the file's word holds against an update.
    pub conflicts: Vec<String>,
}

/// What the zone is to be. `None` if the records do not make a zone together, which a merge of two zones does not lead to.
pub fn merge(base: &Zone, file: &Zone, current: &Zone, today: u32) -> Option<Merged> {
    let by_updates = Diff::between(base, current);
    let records = by_updates.removed.iter().chain(by_updates.added.iter());
    let sets: BTreeSet<(Vec<u8>, Rtype)> = records.map(|record| (record.owner.to_vec(), record.rtype)).collect();
    let mut conflicts = Vec::new();
    let mut changes: BTreeMap<Vec<u8>, Vec<ChangedSet>> = BTreeMap::new();
    for (owner, rtype) in sets {
        let of = |zone| Set::of(zone, &owner, rtype);
        let (base, file, current) = (of(base), of(file), of(current));
        let (merged, is_conflict) = merged_set(rtype, &base, &file, &current);
        if is_conflict {
            conflicts.push(format!("{} {rtype}", shown(&owner)));
        }
        if merged != file {
            let data = merged.data.into_values().collect();
            changes.entry(owner.clone()).or_default().push(ChangedSet { owner, rtype, ttl: merged.ttl, data, sigs: Vec::new() });
        }
    }
    let apex = file.apex().as_wire();
    changes.retain(|owner, changed| {
        let is_wrong = stands_beside_cname(file, owner, changed) || owner == apex && is_without_servers(file, changed);
        if is_wrong {
            conflicts.push(shown(owner));
        }
        !is_wrong
    });
    let mut changes: Vec<ChangedSet> = changes.into_values().flatten().collect();
    let merged = edit_zone(file, &changes)?;
    let same_as = |other: &Zone| Diff::between(&merged, other).is_empty();
    let (of_file, of_current) = (file.serial(), current.serial());
    let soa_of_file = if is_same_but_serial(file, base) { current } else { file };
    let newest = if is_newer(of_file, of_current) { of_file } else { of_current };
    let serial = match (same_as(file), same_as(current)) {
        // The person has raised the serial, and nothing else is to be told.
        (true, _) if is_newer(of_file, of_current) => of_file,
        (_, true) if is_same_but_serial(soa_of_file, current) => newest,
        _ => next_serial(newest, today),
    };
    changes.push(soa_with_serial(soa_of_file, serial)?);
    Some(Merged { zone: edit_zone(file, &changes)?, conflicts })
}

fn shown(owner: &[u8]) -> String {
    Name::from_wire(owner).map(|name| name.to_string()).unwrap_or_default()
}

/// Whether both have the same SOA, its serial aside.
pub fn is_same_but_serial(one: &Zone, other: &Zone) -> bool {
    let without_serial = |zone: &Zone| {
        let soa = zone.soa();
        let mut rdata = soa.rdatas().next().unwrap_or_default().to_vec();
        let at = rdata.len().saturating_sub(20);
        rdata.drain(at..(at + 4).min(rdata.len()));
        (soa.ttl, canonical(Rtype::SOA, &rdata))
    };
    without_serial(one) == without_serial(other)
}

#[derive(Clone, PartialEq, Eq, Default)]
struct Set {
    ttl: u32,
    /// By canonical form.
    data: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Set {
    fn of(zone: &Zone, owner: &[u8], rtype: Rtype) -> Set {
        let found: Option<SetRef<'_>> = sets_at(zone, owner).find(|set| set.rtype == rtype);
        found.map_or_else(Set::default, |set| Set {
            ttl: set.ttl,
            data: set.rdatas().map(|rdata| (canonical(rtype, rdata), rdata.to_vec())).collect(),
        })
    }

    /// The records that `other` does not have.
    fn without(&self, other: &Set) -> BTreeSet<&Vec<u8>> {
        self.data.keys().filter(|key| !other.data.contains_key(*key)).collect()
    }
}

/// The set, and whether the file's word holds against an update.
fn merged_set(rtype: Rtype, base: &Set, file: &Set, current: &Set) -> (Set, bool) {
    if file == base {
        return (current.clone(), false);
    }
    if current == base || file == current {
        return (file.clone(), false);
    }
    let (gone_in_file, gone_by_updates) = (base.without(file), base.without(current));
    let replaced_both = !gone_in_file.is_disjoint(&gone_by_updates) && file.without(base) != current.without(base);
    let mut merged = file.clone();
    merged.data.retain(|key, _| !gone_by_updates.contains(key));
    for key in current.without(base) {
        merged.data.insert(key.clone(), current.data[key].clone());
    }
    let stands_alone = matches!(rtype, Rtype::CNAME | Rtype::DNAME | Rtype::SOA);
    if replaced_both || stands_alone && merged.data.len() > 1 {
        return (file.clone(), true);
    }
    let (ttl_in_file, ttl_by_updates) =
        (file.ttl != base.ttl && !file.data.is_empty(), current.ttl != base.ttl && !current.data.is_empty());
    if !ttl_in_file && ttl_by_updates || file.data.is_empty() {
        merged.ttl = current.ttl;
    }
    let is_conflict = ttl_in_file && ttl_by_updates && file.ttl != current.ttl && !base.data.is_empty();
    if merged.data.is_empty() { (Set::default(), is_conflict) } else { (merged, is_conflict) }
}

/// The types of a name after the changes.
fn types_after(file: &Zone, owner: &[u8], changed: &[ChangedSet]) -> BTreeSet<Rtype> {
    let mut types: BTreeSet<Rtype> = sets_at(file, owner).map(|set| set.rtype).collect();
    for set in changed {
        if set.data.is_empty() {
            types.remove(&set.rtype)
        } else {
            types.insert(set.rtype)
        };
    }
    types
}

fn stands_beside_cname(file: &Zone, owner: &[u8], changed: &[ChangedSet]) -> bool {
    let types = types_after(file, owner, changed);
    types.contains(&Rtype::CNAME) && types.iter().any(|rtype| !rtype.may_stand_beside_cname())
}

fn is_without_servers(file: &Zone, changed: &[ChangedSet]) -> bool {
    let had_servers = sets_at(file, file.apex().as_wire()).any(|set| set.rtype == Rtype::NS);
    had_servers && changed.iter().any(|set| set.rtype == Rtype::NS && set.data.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{have_same_data, load_zone};

    const TODAY: u32 = 20_261_130;

    fn zone(serial: u32, records: &str) -> Zone {
        let records: String = records.split(';').map(|line| format!("{}\n", line.trim())).collect();
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\n@ NS ns2\nns A 192.0.2.53\nns2 A 192.0.2.54\n{records}");
        let apex = Name::parse("example.").expect("a name");
        load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{text} {problems:?}")).0
    }

    #[test]
    fn record_by_record() {
        for (base, file, current, merged, conflicts) in [
            // One side alone.
            ("a A 192.0.2.1", "a A 192.0.2.1", "a A 192.0.2.2", "a A 192.0.2.2", ""),
            ("a A 192.0.2.1", "a A 192.0.2.2", "a A 192.0.2.1", "a A 192.0.2.2", ""),
            // Both, in different places.
            ("a A 192.0.2.1", "a A 192.0.2.1; b TXT x", "a A 192.0.2.2; c TXT y", "a A 192.0.2.2; b TXT x; c TXT y", ""),
            (
                "a A 192.0.2.1; a A 192.0.2.2",
                "a A 192.0.2.2",
                "a A 192.0.2.1; a A 192.0.2.2; a A 192.0.2.3",
                "a A 192.0.2.2; a A 192.0.2.3",
                "",
            ),
            (
                "a A 192.0.2.1; a A 192.0.2.2",
                "a A 192.0.2.2; a A 192.0.2.8",
                "a A 192.0.2.1; a A 192.0.2.9",
                "a A 192.0.2.8; a A 192.0.2.9",
                "",
            ),
            ("a A 192.0.2.1", "", "a A 192.0.2.1; b A 192.0.2.2", "b A 192.0.2.2", ""),
            ("", "a A 192.0.2.1", "a A 192.0.2.2", "a A 192.0.2.1; a A 192.0.2.2", ""),
            // The same on both sides.
            ("a A 192.0.2.1", "a A 192.0.2.2", "a A 192.0.2.2", "a A 192.0.2.2", ""),
            ("a A 192.0.2.1; b TXT x", "b TXT x", "b TXT x", "b TXT x", ""),
            // Both have replaced the same record.
            ("a A 192.0.2.1", "a A 192.0.2.8", "a A 192.0.2.9", "a A 192.0.2.8", "a.example. A"),
            ("a A 192.0.2.1", "", "a A 192.0.2.9", "", "a.example. A"),
            ("a CNAME b.test.", "a CNAME c.test.", "a CNAME d.test.", "a CNAME c.test.", "a.example. CNAME"),
            ("", "a CNAME c.test.", "a CNAME d.test.", "a CNAME c.test.", "a.example. CNAME"),
            ("", "a CNAME c.test.", "a A 192.0.2.1", "a CNAME c.test.", "a.example."),
            ("", "a A 192.0.2.1", "a CNAME c.test.; b TXT x", "a A 192.0.2.1; b TXT x", "a.example."),
            // TTLs.
            ("a 60 A 192.0.2.1", "a 60 A 192.0.2.1; a 60 A 192.0.2.2", "a 90 A 192.0.2.1", "a 90 A 192.0.2.1; a 90 A 192.0.2.2", ""),
            ("a 60 A 192.0.2.1", "a 30 A 192.0.2.1", "a 90 A 192.0.2.1", "a 30 A 192.0.2.1", "a.example. A"),
            ("a 60 A 192.0.2.1", "a 30 A 192.0.2.1", "a 60 A 192.0.2.1; a 60 A 192.0.2.2", "a 30 A 192.0.2.1; a 30 A 192.0.2.2", ""),
        ] {
            let done = merge(&zone(1, base), &zone(1, file), &zone(2, current), TODAY).expect("a zone");
            let wanted = zone(done.zone.serial(), merged);
            assert!(have_same_data(&done.zone, &wanted), "{base} | {file} | {current}: {:?}", done.zone.sets().collect::<Vec<_>>());
            assert_eq!(done.conflicts.join(", "), conflicts, "{base} | {file} | {current}");
        }
    }

    #[test]
    fn servers_remain() {
        let with = |serial: u32, servers: &str| {
            let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n{servers}");
            load_zone(&Name::parse("example.").expect("a name"), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a zone").0
        };
        let (one, other) = ("@ NS one.test.\n", "@ NS other.test.\n");
        let done = merge(&with(1, &[one, other].concat()), &with(1, one), &with(2, other), TODAY).expect("a zone");
        assert!(have_same_data(&done.zone, &with(done.zone.serial(), one)));
        assert_eq!(done.conflicts, ["example."]);
    }

    #[test]
    fn the_serial_never_goes_back() {
        for (base, file, current, serial) in [
            // The file has not been touched, or says what the updates have led to.
            ((1, ""), (1, ""), (5, "a TXT x"), 5),
            ((1, ""), (5, "a TXT x"), (5, "a TXT x"), 5),
            ((1, ""), (4, "a TXT x"), (5, "a TXT x"), 5),
            // The person has raised it, far enough or not.
            ((1, ""), (9, "b TXT x"), (5, "a TXT x"), 10),
            ((1, ""), (2, "b TXT x"), (5, "a TXT x"), 6),
            ((5, ""), (6, "b TXT x"), (5, ""), 6),
            ((5, ""), (5, "b TXT x"), (5, ""), 6),
            ((5, ""), (3, "b TXT x"), (5, ""), 6),
            ((5, ""), (9, ""), (5, ""), 9),
            ((5, ""), (3, ""), (5, ""), 5),
            ((1, ""), (2_026_113_001, "b TXT x"), (5, "a TXT x"), 2_026_113_002),
        ] {
            let done = merge(&zone(base.0, base.1), &zone(file.0, file.1), &zone(current.0, current.1), TODAY).expect("a zone");
            assert_eq!(done.zone.serial(), serial, "{base:?} {file:?} {current:?}");
        }
    }

    #[test]
    fn fields_of_the_soa() {
        let with = |serial: u32, minimum: u32, records: &str| {
            let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 {minimum}\n@ NS ns.test.\n{records}");
            load_zone(&Name::parse("example.").expect("a name"), "test", &mut |_| Ok(text.clone().into_bytes())).expect("a zone").0
        };
        for (base, file, current, merged) in [(60, 60, 70, 70), (60, 80, 60, 80), (60, 80, 70, 80)] {
            let done = merge(&with(1, base, ""), &with(1, file, ""), &with(2, current, "a TXT x\n"), TODAY).expect("a zone");
            assert!(have_same_data(&done.zone, &with(done.zone.serial(), merged, "a TXT x\n")), "{base} {file} {current}");
            assert_eq!(done.zone.serial(), if file == base { 2 } else { 3 });
        }
    }
}
