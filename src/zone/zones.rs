//! The set of all hosted zones: which of them answers a question.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::tree::Zone;
use crate::record::Rtype;

/// A snapshot; a change makes a new one with the next generation.
#[derive(Clone, Default)]
pub struct Zones {
    by_apex: HashMap<Box<[u8]>, Arc<Zone>, RandomState>,
    /// Octets of the longest apex: longer suffixes need no look-up.
    apex_len_max: usize,
    generation: u64,
}

impl Zones {
    /// A later zone of the same name replaces the earlier one.
    pub fn new(zones: impl IntoIterator<Item = Arc<Zone>>, generation: u64) -> Zones {
        let by_apex = zones.into_iter().map(|zone| (zone.apex().as_wire().into(), zone)).collect();
        Zones { by_apex, apex_len_max: 0, generation }.measured()
    }

    #[cfg(any(test, feature = "internals"))]
    /// With `zone` added, or put in the place of the one of the same name.
    pub fn with(&self, zone: Arc<Zone>) -> Zones {
        let mut next = self.clone();
        next.by_apex.insert(zone.apex().as_wire().into(), zone);
        next.generation += 1;
        next.measured()
    }

    #[cfg(any(test, feature = "internals"))]
    pub fn without(&self, apex: &[u8]) -> Zones {
        let mut next = self.clone();
        next.by_apex.remove(apex);
        next.generation += 1;
        next.measured()
    }

    fn measured(mut self) -> Zones {
        self.apex_len_max = self.by_apex.keys().map(|apex| apex.len()).max().unwrap_or(0);
        self
    }

    #[cfg(any(test, feature = "internals"))]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.by_apex.is_empty()
    }

    #[cfg(any(test, feature = "internals"))]
    pub fn len(&self) -> usize {
        self.by_apex.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.by_apex.values()
    }

    pub fn get(&self, apex: &[u8]) -> Option<&Arc<Zone>> {
        self.by_apex.get(apex)
    }

    /// The deepest hosted zone that `name` (lower-case wire form) lies in.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Zone>> {
        if self.by_apex.is_empty() {
            return None;
        }
        let mut rest = name;
        loop {
            if rest.len() <= self.apex_len_max
                && let Some(zone) = self.by_apex.get(rest)
            {
                return Some(zone);
            }
            rest = parent(rest)?;
        }
    }

    /// The zone that answers a question: as `find`, but DS at a zone's apex belongs to the zone above
    /// (RFC 4035 3.1.4.1). `None` when that one is not hosted here.
    pub fn find_for(&self, name: &[u8], rtype: Rtype) -> Option<&Arc<Zone>> {
        let zone = self.find(name)?;
        if rtype == Rtype::DS && zone.apex().as_wire() == name {
            return self.find(parent(name)?);
        }
        Some(zone)
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
