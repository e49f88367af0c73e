//! A version of a zone and the difference to the next one give the next one.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{Diff, Records};
use super::edit::{ChangedSet, edit_zone, records_at};
use super::tree::Zone;
use crate::record::Rtype;

/// Type, TTL and RDATA of one record.
type Owned = (Rtype, u32, Vec<u8>);

/// The version that follows `zone`; `None` if the difference does not begin at this version: it has another serial, or other
/// records than those that go.
pub fn patched(zone: &Zone, diff: &Diff) -> Option<Zone> {
    let soa = zone.soa();
    if diff.from != zone.serial() || soa.ttl != diff.soas[0].0 || soa.rdatas().next() != Some(&diff.soas[0].1[..]) {
        return None;
    }
    change_records(zone, &diff.removed, &diff.added, (diff.soas[1].0, &diff.soas[1].1))
}

/// The zone with its SOA replaced and these records gone and come. `None` if it does not have those that go, or has those that
/// come.
fn change_records(zone: &Zone, removed: &Records, added: &Records, soa: (u32, &[u8])) -> Option<Zone> {
    let apex = zone.apex().as_wire();
    let by_owner = |records: &Records| {
        let mut all: BTreeMap<Vec<u8>, BTreeSet<Owned>> = BTreeMap::new();
        records.iter().for_each(|record| {
            all.entry(record.owner.to_vec()).or_default().insert((record.rtype, record.ttl, record.rdata.to_vec()));
        });
        all
    };
    let (mut gone, mut come) = (by_owner(removed), by_owner(added));
    let owners: BTreeSet<Vec<u8>> = gone.keys().chain(come.keys()).cloned().chain([apex.to_vec()]).collect();
    let mut changes = Vec::new();
    for owner in owners {
        let (gone, come) = (gone.remove(&owner).unwrap_or_default(), come.remove(&owner).unwrap_or_default());
        let is_soa = |rtype: Rtype| rtype == Rtype::SOA && owner == apex;
        let held: BTreeSet<Owned> = records_at(zone, &owner).filter(|(rtype, _, _)| !is_soa(*rtype)).collect();
        if !gone.is_subset(&held) || come.iter().any(|new| held.contains(new) && !gone.contains(new)) {
            return None;
        }
        // Records that stay keep their order.
        let stays = records_at(zone, &owner).filter(|record| !is_soa(record.0) && !gone.contains(record));
        let new_soa = (owner == apex).then(|| (Rtype::SOA, soa.0, soa.1.to_vec()));
        changes.extend(ChangedSet::of_name(zone, &owner, stays.chain(come).chain(new_soa)));
    }
    edit_zone(zone, &changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Name;
    use crate::zone::{have_same_data, load_zone};

    fn zone(serial: u32, more: &str) -> Zone {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
        let apex = Name::parse("example.").expect("a name");
        load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    #[test]
    fn a_difference_leads_from_one_version_to_the_next() {
        let sig = "b RRSIG A 8 2 300 20300101000000 20200101000000 1 example. Zm9v\n";
        let versions =
            ["a TXT 1\nb A 192.0.2.1\n", &format!("b A 192.0.2.1\nb A 192.0.2.2\n{sig}"), "b 60 A 192.0.2.1\nx.y.z TXT x\n", sig, ""];
        for old in &versions {
            for new in &versions {
                let (old, new) = (zone(1, old), zone(2, new));
                let diff = Diff::between(&old, &new);
                let made = patched(&old, &diff).expect("it fits");
                assert!(have_same_data(&made, &new) && made.serial() == 2, "{:?}", made.sets().collect::<Vec<_>>());
                let is_other = |other: &Zone| patched(other, &diff).is_none();
                assert!(is_other(&new) && is_other(&zone(3, "")));
                if !diff.removed.is_empty() {
                    assert!(is_other(&zone(1, "a TXT 9\nb A 192.0.2.9\n")));
                }
            }
        }
    }
}
