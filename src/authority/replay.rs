//! A zone at the start: its file, and the changes in its journal that the file does not have yet.
//!
//! The file says by its serial which of the changes it has. If it says another serial, or its records are not those that the
//! changes begin with, a person has edited it while the server was down; then both changes are made (`merge.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::journal::Entry;
use super::merge::{Merged, merge};
use super::update::soa_with_serial;
use crate::record::Rtype;
use crate::zone::{ChangedSet, Diff, Records, Zone, edit_zone, is_newer, next_serial, patched, sets_at};

/// The zone as file and journal say it.
pub struct Replayed {
    /// What the file says.
    pub base: Arc<Zone>,
    pub current: Arc<Zone>,
    /// The version to which the journal leads by itself; different from `current` where the file says something else.
    pub journaled: Arc<Zone>,
    /// The changes that lead to `journaled`, as far as each follows the one before.
    pub history: Vec<Arc<Diff>>,
    pub conflicts: Vec<String>,
    /// The journal does not fit the file in any way; its changes are left out.
    pub is_lost: bool,
}

/// `takes_updates`: the serial must not go back, whatever the file says.
pub fn replay(file: Arc<Zone>, entries: &[Entry], takes_updates: bool, today: u32) -> Replayed {
    let (chain, written) = chain(entries);
    let history: Vec<Arc<Diff>> = chain.iter().map(|(diff, _)| (*diff).clone()).collect();
    let plain = |current: Arc<Zone>, history: Vec<Arc<Diff>>, is_lost: bool| Replayed {
        base: file.clone(),
        journaled: current.clone(),
        current,
        history,
        conflicts: Vec::new(),
        is_lost,
    };
    let Some(last) = history.last().map(|diff| diff.to) else { return plain(file.clone(), Vec::new(), false) };
    let serials: Vec<u32> = history.iter().map(|diff| diff.from).chain([last]).collect();
    let known = serials.iter().rposition(|serial| *serial == file.serial());
    let begin = known.or_else(|| serials.iter().rposition(|serial| Some(*serial) == written)).unwrap_or(0);
    let pending = &chain[begin..];
    if pending.is_empty() && known.is_some() {
        return plain(file.clone(), history, false);
    }
    if pending.is_empty() {
        // Edited while the server was down, and nothing of the journal is missing in it.
        let goes_back = takes_updates && !is_newer(file.serial(), last);
        let raised = soa_with_serial(&file, next_serial(last, today)).and_then(|soa| edit_zone(&file, &[soa])).filter(|_| goes_back);
        return plain(raised.map_or(file.clone(), Arc::new), Vec::new(), false);
    }
    let follow = |start: &Zone| {
        let (first, rest) = pending.split_first()?;
        rest.iter().try_fold(patched(start, first.0)?, |zone, (diff, _)| patched(&zone, diff))
    };
    let base = as_journaled(&file, pending);
    let current = base.as_ref().and_then(follow);
    let (Some(base), Some(journaled)) = (base, current) else { return plain(file.clone(), Vec::new(), true) };
    let diff = Diff::between(&file, &base);
    if diff.removed.iter().chain(diff.added.iter()).next().is_none() && diff.soas[0] == diff.soas[1] {
        return plain(Arc::new(journaled), history, false);
    }
    let Some(Merged { mut zone, conflicts }) = merge(&base, &file, &journaled, today) else { return plain(file.clone(), Vec::new(), true) };
    if zone.serial() == journaled.serial() {
        // Other data was served with this serial.
        let raised = soa_with_serial(&zone, next_serial(zone.serial(), today)).and_then(|soa| edit_zone(&zone, &[soa]));
        zone = raised.unwrap_or(zone);
    }
    let (base, current, journaled) = (file, Arc::new(zone), Arc::new(journaled));
    Replayed { base, current, journaled, history: Vec::new(), conflicts, is_lost: false }
}

type Change<'e> = (&'e Arc<Diff>, &'e Records);

/// The last changes of which each begins where the one before ends, and the serial that the file was written with last.
fn chain(entries: &[Entry]) -> (Vec<Change<'_>>, Option<u32>) {
    let (mut chain, mut written): (Vec<Change<'_>>, Option<u32>) = (Vec::new(), None);
    for entry in entries {
        match entry {
            Entry::Written(serial) => written = Some(*serial),
            Entry::Changed(diff, kept) => {
                if chain.last().is_some_and(|(last, _)| last.to != diff.from) {
                    chain.clear();
                }
                chain.push((diff, kept));
            }
        }
    }
    (chain, written)
}

/// The file with every set that the changes touch as it was before them.
fn as_journaled(file: &Zone, pending: &[Change<'_>]) -> Option<Zone> {
    let mut sets: BTreeMap<(Vec<u8>, Rtype), ChangedSet> = BTreeMap::new();
    for (diff, kept) in pending {
        let mut of_entry: BTreeMap<(Vec<u8>, Rtype), ChangedSet> = BTreeMap::new();
        let before = diff.removed.iter().chain(kept.iter()).map(|record| (record, true));
        for (record, was_there) in before.chain(diff.added.iter().map(|record| (record, false))) {
            let key = (record.owner.to_vec(), record.rtype);
            let empty = || ChangedSet { owner: key.0.clone(), rtype: key.1, ttl: 0, data: Vec::new(), sigs: Vec::new() };
            let set = of_entry.entry(key.clone()).or_insert_with(empty);
            if was_there {
                set.ttl = record.ttl;
                set.data.push(record.rdata.to_vec());
            }
        }
        for (key, set) in of_entry {
            sets.entry(key).or_insert(set);
        }
    }
    // Where the person has put a CNAME in the place of other data, or the other way round, only the journal's sets were there.
    let owners: BTreeSet<Vec<u8>> = sets.keys().map(|(owner, _)| owner.clone()).collect();
    for owner in owners.iter().filter(|owner| owner[..] != *file.apex().as_wire()) {
        let of_file: Vec<Rtype> = sets_at(file, owner).map(|set| set.rtype).collect();
        let is_there = |rtype: Rtype| sets.get(&(owner.clone(), rtype)).map_or(of_file.contains(&rtype), |set| !set.data.is_empty());
        let others = of_file.iter().chain(sets.keys().filter(|key| key.0 == *owner).map(|key| &key.1));
        let stands_beside = is_there(Rtype::CNAME) && others.clone().any(|rtype| is_there(*rtype) && !rtype.may_stand_beside_cname());
        if stands_beside {
            for rtype in of_file {
                let none = ChangedSet { owner: owner.clone(), rtype, ttl: 0, data: Vec::new(), sigs: Vec::new() };
                sets.entry((owner.clone(), rtype)).or_insert(none);
            }
        }
    }
    let (ttl, soa) = &pending.first()?.0.soas[0];
    let apex = file.apex().as_wire().to_vec();
    let soa = ChangedSet { owner: apex, rtype: Rtype::SOA, ttl: *ttl, data: vec![soa.to_vec()], sigs: Vec::new() };
    let changes: Vec<ChangedSet> = sets.into_values().chain([soa]).collect();
    edit_zone(file, &changes)
}

#[cfg(test)]
mod tests {
    use super::super::journal::changed_entry;
    use super::*;
    use crate::record::Name;
    use crate::zone::{have_same_data, load_zone};

    const TODAY: u32 = 20_261_130;

    fn zone(serial: u32, records: &str) -> Arc<Zone> {
        let records: String = records.split(';').map(|line| format!("{}\n", line.trim())).collect();
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns.test.\n{records}");
        let apex = Name::parse("example.").expect("a name");
        Arc::new(
            load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{text} {problems:?}")).0,
        )
    }

    /// `W7` is a note that the file was written at serial 7; all else are versions.
    fn replayed(file: Arc<Zone>, versions: &[(u32, &str)], written: Option<u32>) -> Replayed {
        let mut entries: Vec<Entry> = Vec::new();
        for pair in versions.windows(2) {
            entries.push(changed_entry(&zone(pair[0].0, pair[0].1), &zone(pair[1].0, pair[1].1)));
            if written == Some(pair[1].0) {
                entries.push(Entry::Written(pair[1].0));
            }
        }
        replay(file, &entries, true, TODAY)
    }

    const VERSIONS: &[(u32, &str)] =
        &[(1, "a A 192.0.2.1"), (2, "a A 192.0.2.2"), (3, "a A 192.0.2.2; b TXT x"), (4, "a A 192.0.2.2; b TXT y")];

    #[test]
    fn a_file_of_any_version_leads_to_the_last() {
        for (serial, records) in VERSIONS {
            for written in [None, Some(2), Some(4)] {
                let done = replayed(zone(*serial, records), VERSIONS, written);
                assert!(have_same_data(&done.current, &zone(4, VERSIONS[3].1)), "{serial} {written:?}");
                assert_eq!((done.current.serial(), done.history.len(), done.base.serial()), (4, 3, *serial));
                assert!(done.conflicts.is_empty() && !done.is_lost);
            }
        }
        let none = replayed(zone(9, "c TXT z"), &[], None);
        assert_eq!((none.current.serial(), none.history.len()), (9, 0));
    }

    #[test]
    fn a_file_that_was_edited_while_the_server_was_down() {
        for (file, written, serial, expected, conflicts) in [
            // With its serial raised or not, in another place.
            ((1, "a A 192.0.2.1; c TXT z"), None, 4, "a A 192.0.2.2; b TXT y; c TXT z", ""),
            ((9, "a A 192.0.2.1; c TXT z"), None, 9, "a A 192.0.2.2; b TXT y; c TXT z", ""),
            ((9, "a A 192.0.2.2; c TXT z"), Some(2), 9, "a A 192.0.2.2; b TXT y; c TXT z", ""),
            // In the same place.
            ((1, "a A 192.0.2.9"), None, 5, "a A 192.0.2.9; b TXT y", "a.example. A"),
            ((9, "a CNAME x.test."), None, 10, "a CNAME x.test.; b TXT y", "a.example. A"),
            // Nothing was missing in the file.
            ((9, "c TXT z"), Some(4), 9, "c TXT z", ""),
            ((2, "a A 192.0.2.2; b TXT z"), Some(2), 5, "a A 192.0.2.2; b TXT z; b TXT y", ""),
            // It says the serial of a version that it is not.
            ((3, "c TXT z"), Some(4), 5, "c TXT z", "b.example. TXT"),
            ((7, "c TXT z"), Some(4), 7, "c TXT z", ""),
        ] {
            let done = replayed(zone(file.0, file.1), VERSIONS, written);
            assert_eq!(done.conflicts.join(", "), conflicts, "{file:?}");
            assert!(
                have_same_data(&done.current, &zone(serial, expected)),
                "{file:?} {:?} {:?}",
                done.current,
                done.current.sets().collect::<Vec<_>>()
            );
            assert!(!done.is_lost);
        }
    }

    #[test]
    fn changes_that_do_not_follow_one_another() {
        let entries = [changed_entry(&zone(1, ""), &zone(2, "a TXT x")), changed_entry(&zone(5, "b TXT x"), &zone(6, "c TXT x"))];
        let done = replay(zone(6, "c TXT x"), &entries, true, TODAY);
        assert_eq!((done.current.serial(), done.history.len()), (6, 1));
    }
}
