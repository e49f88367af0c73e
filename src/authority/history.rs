//! The changes that led to the data of a zone: what an incremental transfer consists of (RFC 1995).

use std::collections::HashMap;
use std::sync::Arc;

use crate::limits::zone::{DIFF_OCTETS_MAX, DIFF_OCTETS_PER_ZONE_MAX, DIFFS_PER_ZONE_MAX};
use crate::record::Name;
use crate::zone::{Diff, Zone, Zones, is_newer};

/// The last changes of one zone, oldest first; each begins at the serial at which the one before ends.
#[derive(Clone, Default)]
pub struct History {
    diffs: Vec<Arc<Diff>>,
    /// Data changed under the present serial: what a secondary with this serial has is unknown.
    is_ambiguous: bool,
}

impl History {
    /// The history after the zone has become `new`.
    pub fn followed_by(&self, old: &Zone, new: &Zone) -> History {
        let diff = Diff::between(old, new);
        if old.serial() == new.serial() {
            // The SOA may have other timers or another TTL.
            let is_same = diff.is_empty() && diff.soas[0] == diff.soas[1];
            return if is_same { self.clone() } else { History { diffs: Vec::new(), is_ambiguous: true } };
        }
        let is_gap = self.diffs.last().is_some_and(|last| last.to != old.serial());
        if self.is_ambiguous || is_gap || !is_newer(new.serial(), old.serial()) {
            return History::default();
        }
        let mut diffs = self.diffs.clone();
        diffs.push(Arc::new(diff));
        shorten(&mut diffs);
        History { diffs, is_ambiguous: false }
    }

    fn octets(&self) -> usize {
        self.diffs.iter().map(|diff| diff.octets()).sum()
    }

    /// The changes from `serial` to the present; `None` if they are not known.
    pub fn since(&self, serial: u32) -> Option<&[Arc<Diff>]> {
        let start = self.diffs.iter().position(|diff| diff.from == serial)?;
        self.diffs.get(start..)
    }
}

/// The oldest changes go.
fn shorten(diffs: &mut Vec<Arc<Diff>>) {
    let octets = |diffs: &[Arc<Diff>]| diffs.iter().map(|diff| diff.octets()).sum::<usize>();
    while diffs.len() > DIFFS_PER_ZONE_MAX || octets(diffs) > DIFF_OCTETS_PER_ZONE_MAX {
        diffs.remove(0);
    }
}

/// The histories of all zones that somebody may transfer, by apex.
#[derive(Clone, Default)]
pub struct Histories(HashMap<Box<[u8]>, Arc<History>>);

impl Histories {
    /// The histories after the zones have become `new`. `is_wanted`: may anybody transfer the zone?
    pub fn followed_by(&self, old: &Zones, new: &Zones, is_wanted: impl Fn(&Name) -> bool) -> Histories {
        let followed = |zone: &Arc<Zone>| {
            let apex = zone.apex().as_wire();
            let before = old.get(apex).filter(|_| is_wanted(zone.apex()))?;
            let history = self.0.get(apex).cloned().unwrap_or_default();
            let after = if Arc::ptr_eq(before, zone) { history } else { Arc::new(history.followed_by(before, zone)) };
            Some((apex.into(), after))
        };
        Histories(new.iter().filter_map(followed).collect()).bounded()
    }

    /// The largest go where all together are too large: one zone of a thousand may change much, all of them must not.
    fn bounded(mut self) -> Histories {
        let mut sum: usize = self.0.values().map(|history| history.octets()).sum();
        while sum > DIFF_OCTETS_MAX
            && let Some(largest) = self.0.values_mut().max_by_key(|history| history.octets())
        {
            sum -= largest.octets();
            *largest = Arc::new(History { diffs: Vec::new(), is_ambiguous: largest.is_ambiguous });
        }
        self
    }

    /// Histories that begin with these changes, each of which begins where the one before ends.
    pub fn of_changes(changes: impl Iterator<Item = (Name, Vec<Arc<Diff>>)>) -> Histories {
        let bounded = |mut diffs: Vec<Arc<Diff>>| {
            shorten(&mut diffs);
            Arc::new(History { diffs, is_ambiguous: false })
        };
        Histories(changes.map(|(zone, diffs)| (zone.as_wire().into(), bounded(diffs))).collect()).bounded()
    }

    /// The history of one zone.
    pub fn get(&self, apex: &[u8]) -> Option<&History> {
        self.0.get(apex).map(|history| &**history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    fn zone(serial: u32, data: u32) -> Zone {
        let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\nwww TXT {data}\n");
        let apex = Name::parse("example.").expect("a name");
        load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    /// The serials from which there is a way, after the zone had these serials and data.
    fn known(versions: &[(u32, u32)]) -> Vec<u32> {
        let mut history = History::default();
        for pair in versions.windows(2) {
            history = history.followed_by(&zone(pair[0].0, pair[0].1), &zone(pair[1].0, pair[1].1));
        }
        let last = versions.last().map_or(0, |version| version.0);
        let from: Vec<u32> = history.diffs.iter().map(|diff| diff.from).collect();
        assert!(from.iter().all(|serial| history.since(*serial).and_then(<[_]>::last).is_some_and(|diff| diff.to == last)));
        assert!(history.since(last).is_none());
        from
    }

    #[test]
    fn changes_follow_one_another() {
        assert_eq!(known(&[(1, 1), (2, 2), (5, 3)]), [1, 2]);
        assert_eq!(known(&[(1, 1), (1, 1), (2, 2)]), [1]);
        assert_eq!(known(&[(u32::MAX, 1), (0, 2), (1, 3)]), [u32::MAX, 0]);
    }

    /// A secondary with such a serial may have either data, so no difference can be told from there.
    #[test]
    fn data_that_changed_under_its_serial_has_no_history() {
        assert!(known(&[(1, 1), (2, 2), (2, 3)]).is_empty());
        assert!(known(&[(1, 1), (2, 2), (2, 3), (3, 4)]).is_empty());
        assert_eq!(known(&[(1, 1), (2, 2), (2, 3), (3, 4), (4, 5)]), [3]);
    }

    #[test]
    fn a_serial_that_goes_back_begins_anew() {
        assert!(known(&[(1, 1), (7, 2), (3, 3)]).is_empty());
    }

    /// Many zones with changes each: what all of them remember is bounded, and the small ones are not forgotten for the large.
    #[test]
    fn the_octets_of_all_zones_are_bounded() {
        let of = |number: usize, serial: u32, records: usize| {
            let more: String = (0..records).map(|n| format!("h{n} TXT {serial}-{n}\n")).collect();
            let text = format!("$TTL 300\n@ SOA ns host {serial} 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
            let apex = Name::parse(&format!("z{number}.example.")).expect("a name");
            Arc::new(load_zone(&apex, "test", &mut |_| Ok(text.clone().into_bytes())).expect("good").0)
        };
        let size = |number: usize| if number < 4 { 1_000 } else { 2 };
        let zones = |serial: u32| Zones::new((0..20).map(|number| of(number, serial, size(number))), 1);
        let histories =
            (1..6).fold(Histories::default(), |histories, serial| histories.followed_by(&zones(serial), &zones(serial + 1), |_| true));
        let octets: Vec<usize> =
            (0..20).map(|number| histories.get(of(number, 1, 0).apex().as_wire()).map_or(0, History::octets)).collect();
        assert!(octets.iter().sum::<usize>() <= DIFF_OCTETS_MAX && octets[4..].iter().all(|octets| *octets > 0), "{octets:?}");
    }

    #[test]
    fn the_number_of_changes_is_bounded() {
        let versions: Vec<(u32, u32)> = (0..DIFFS_PER_ZONE_MAX as u32 + 10).map(|n| (n, n)).collect();
        let known = known(&versions);
        assert_eq!((known.len(), known[0]), (DIFFS_PER_ZONE_MAX, 9));
    }
}
