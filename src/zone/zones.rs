//! The set of all hosted zones: which of them answers a question.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::tree::Zone;
use crate::record::{Name, Rtype};

/// A snapshot; each change makes a new one with the next generation.
#[derive(Clone, Default)]
pub struct Zones {
    by_apex: HashMap<Box<[u8]>, Arc<Zone>, RandomState>,
    /// Zones that this server is to serve and has no data of, by apex, each with the reason. Never also in `by_apex`.
    without_data: HashMap<Box<[u8]>, Arc<ZoneWithoutData>, RandomState>,
    /// Zones that are held and not served: no question is answered from them, and names in them are other servers'. By apex; never
    /// also in the tables above.
    apart: HashMap<Box<[u8]>, Option<Arc<Zone>>, RandomState>,
    /// Octets of the shortest and of the longest apex: other suffixes need no look-up.
    apex_len_min: usize,
    apex_len_max: usize,
    /// Octets that the data of all of them takes in memory.
    octets: usize,
    generation: u64,
}

/// A hosted zone of which there is no data: its names are answered by nobody else.
#[derive(Debug, PartialEq, Eq)]
pub struct ZoneWithoutData {
    pub apex: Name,
    /// File, line and mistake.
    pub why: String,
}

impl Zones {
    /// A later zone of the same name replaces the earlier one.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>, generation: u64) -> Zones {
        let by_apex = zones.into_iter().map(|zone| (zone.apex().as_wire().into(), zone)).collect();
        Zones { by_apex, generation, ..Zones::default() }.measured()
    }

    /// Those that have data already keep it.
    pub fn with_missing(mut self, missing: impl IntoIterator<Item = ZoneWithoutData>) -> Zones {
        for zone in missing {
            if !self.has(zone.apex.as_wire()) {
                self.without_data.insert(zone.apex.as_wire().into(), Arc::new(zone));
            }
        }
        self.measured()
    }

    /// The zones with these names are held and not served.
    pub fn holding_apart(mut self, names: impl IntoIterator<Item = Name>) -> Zones {
        for name in names {
            let data = self.by_apex.remove(name.as_wire());
            self.without_data.remove(name.as_wire());
            self.apart.insert(name.as_wire().into(), data);
        }
        self.measured()
    }

    /// The same zones with `zone` added, or in place of the zone of the same name.
    pub fn with(&self, zone: Arc<Zone>) -> Zones {
        let mut next = self.clone();
        if let Some(held) = next.apart.get_mut(zone.apex().as_wire()) {
            *held = Some(zone);
            next.generation += 1;
            return next.measured();
        }
        next.without_data.remove(zone.apex().as_wire());
        next.by_apex.insert(zone.apex().as_wire().into(), zone);
        next.generation += 1;
        next.measured()
    }

    /// The same zones without the one at `apex`. One that is not served keeps its data.
    pub fn without(&self, apex: &[u8]) -> Zones {
        let mut next = self.clone();
        next.by_apex.remove(apex);
        next.generation += 1;
        next.measured()
    }

    /// The same zones without these, which are not hosted here any more.
    pub fn without_all<'n>(&self, apexes: impl Iterator<Item = &'n Name>) -> Zones {
        let mut next = self.clone();
        for apex in apexes {
            next.by_apex.remove(apex.as_wire());
            next.without_data.remove(apex.as_wire());
        }
        next.generation += 1;
        next.measured()
    }

    fn measured(mut self) -> Zones {
        let lengths = || self.by_apex.keys().chain(self.without_data.keys()).map(|apex| apex.len());
        (self.apex_len_min, self.apex_len_max) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        let shards = self.by_apex.values().chain(self.apart.values().flatten()).flat_map(|zone| zone.shards.iter());
        self.octets = shards.map(|shard| shard.octets() + shard.slots_octets()).sum();
        self
    }

    /// Octets that the data of all zones takes in memory, those that are held and not served included.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Number of this snapshot; each change increases it.
    #[cfg(any(test, feature = "internals"))]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// True without any hosted zone.
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.by_apex.is_empty()
    }

    /// Number of hosted zones.
    #[cfg(any(test, feature = "internals"))]
    pub fn len(&self) -> usize {
        self.by_apex.len()
    }

    /// The zones, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.by_apex.values()
    }

    /// Of all zones that are served, with data and without.
    pub fn apexes(&self) -> impl Iterator<Item = &Name> {
        self.by_apex.values().map(|zone| zone.apex()).chain(self.without_data.values().map(|zone| &zone.apex))
    }

    /// Is there a zone of this very name, with data or without, served or not?
    pub fn has(&self, apex: &[u8]) -> bool {
        self.serves(apex) || self.apart.contains_key(apex)
    }

    /// Is there a zone of this very name that is served, with data or without?
    pub fn serves(&self, apex: &[u8]) -> bool {
        self.by_apex.contains_key(apex) || self.without_data.contains_key(apex)
    }

    /// The zone that answers a question, if this server has no data of it.
    #[inline]
    pub fn missing_for(&self, name: &[u8], rtype: Rtype) -> Option<&ZoneWithoutData> {
        if self.without_data.is_empty() { None } else { self.missing_of_some(name, rtype) }
    }

    fn missing_of_some(&self, name: &[u8], rtype: Rtype) -> Option<&ZoneWithoutData> {
        let zone = self.missing_at(name)?;
        // DS at an apex is the parent's (RFC 4035 3.1.4.1), which may be hosted here.
        let is_the_parents = rtype == Rtype::DS && zone.apex.as_wire() == name;
        match parent(name).filter(|_| is_the_parents) {
            Some(above) if self.find(above).is_some() => None,
            _ => Some(zone),
        }
    }

    /// The zone without data that `name` lies in, unless a deeper zone has data.
    fn missing_at(&self, name: &[u8]) -> Option<&ZoneWithoutData> {
        let mut rest = name;
        loop {
            match (self.without_data.get(rest), self.by_apex.contains_key(rest)) {
                (Some(zone), _) => return Some(zone),
                (None, true) => return None,
                (None, false) => rest = parent(rest)?,
            }
        }
    }

    /// The zone with exactly this apex, in lower-case wire form, served or not.
    pub fn get(&self, apex: &[u8]) -> Option<&Arc<Zone>> {
        self.by_apex.get(apex).or_else(|| self.apart.get(apex)?.as_ref())
    }

    /// The deepest hosted zone whose apex is `name` (lower-case wire form) or an ancestor of it; `None` also if that zone has
    /// no data.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Zone>> {
        if self.by_apex.is_empty() {
            return None;
        }
        let mut rest = name;
        while rest.len() >= self.apex_len_min {
            if rest.len() <= self.apex_len_max {
                if let Some(zone) = self.by_apex.get(rest) {
                    return Some(zone);
                }
                if !self.without_data.is_empty() && self.without_data.contains_key(rest) {
                    return None;
                }
            }
            rest = parent(rest)?;
        }
        None
    }

    /// The zone that answers a question: as `find`, but DS at a zone's apex belongs to the zone above
    /// (RFC 4035 3.1.4.1). Where that one is not hosted here, the child zone answers, and the second value is true.
    pub fn find_for(&self, name: &[u8], rtype: Rtype) -> Option<(&Arc<Zone>, bool)> {
        if rtype != Rtype::DS || !self.serves(name) {
            return Some((self.find(name)?, false));
        }
        match parent(name).and_then(|above| self.find(above)) {
            Some(above) => Some((above, false)),
            None => Some((self.find(name)?, true)),
        }
    }
}

impl fmt::Debug for Zones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} zones, generation {}", self.by_apex.len(), self.generation)
    }
}

fn parent(name: &[u8]) -> Option<&[u8]> {
    match name.split_first()? {
        (0, _) => None,
        (len, rest) => rest.get(usize::from(*len)..),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(apex: &str) -> Arc<Zone> {
        let text = "$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n";
        Arc::new(load_zone(&name(apex), "test", &mut |_| Ok(text.as_bytes().to_vec())).expect("a good zone").0)
    }

    /// Its data is there for who asks for the zone by name, and for no question.
    #[test]
    fn a_zone_that_is_held_apart_answers_nothing() {
        let missing = |apex: &str| ZoneWithoutData { apex: name(apex), why: "broken".to_owned() };
        let zones = Zones::new(["example.", "apart.example."].map(zone), 1).holding_apart([name("apart.example."), name("late.example.")]);
        let zones = zones.with_missing([missing("apart.example."), missing("late.example.")]);
        let told = |zones: &Zones, apex: &str| {
            let apex = name(apex);
            let found = zones.find_for(apex.as_wire(), Rtype::A).map(|(zone, _)| zone.apex().to_string());
            (found, zones.get(apex.as_wire()).is_some(), zones.missing_for(apex.as_wire(), Rtype::A).is_some())
        };
        let parent = || Some("example.".to_owned());
        assert_eq!(told(&zones, "apart.example."), (parent(), true, false));
        assert_eq!(told(&zones, "late.example."), (parent(), false, false));
        let zones = zones.with(zone("late.example.")).without(name("apart.example.").as_wire());
        assert_eq!(told(&zones, "late.example."), (parent(), true, false));
        assert_eq!(told(&zones, "apart.example."), (parent(), true, false), "an expired one keeps its data");
        assert_eq!(zones.apexes().count(), 1);
        assert!(zones.has(name("late.example.").as_wire()) && !zones.serves(name("late.example.").as_wire()));
    }

    #[test]
    fn a_zone_without_data_is_nobody_elses() {
        let missing = |apex: &str| ZoneWithoutData { apex: name(apex), why: "broken".to_owned() };
        let zones = Zones::new(["example.", "deep.broken.example.", "kept."].map(zone), 1);
        let zones = zones.with_missing(["broken.example.", "lone.test.", "kept."].map(missing));
        for (question, rtype, has_data, is_missing) in [
            ("www.example.", Rtype::A, Some("example."), None),
            ("broken.example.", Rtype::A, None, Some("broken.example.")),
            ("www.broken.example.", Rtype::DS, None, Some("broken.example.")),
            ("broken.example.", Rtype::DS, Some("example."), None),
            ("www.deep.broken.example.", Rtype::A, Some("deep.broken.example."), None),
            ("deep.broken.example.", Rtype::DS, None, None),
            ("lone.test.", Rtype::DS, None, Some("lone.test.")),
            ("test.", Rtype::A, None, None),
            ("kept.", Rtype::A, Some("kept."), None),
        ] {
            let asked = name(question);
            let found = zones.find_for(asked.as_wire(), rtype).filter(|(_, is_child)| !is_child).map(|(zone, _)| zone.apex().to_string());
            assert_eq!(found.as_deref(), has_data, "{question} {rtype}");
            let without = zones.missing_for(asked.as_wire(), rtype).map(|zone| zone.apex.to_string());
            assert_eq!(without.as_deref(), is_missing, "{question} {rtype}");
        }
        assert_eq!(zones.apexes().count(), 5);
    }
}
