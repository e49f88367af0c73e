//! Dynamic update (RFC 2136): what a message asks of a zone, and what the zone becomes.
//!
//! ```text
//! message ─► read: sections, classes, types (3.1.1, 3.2, 3.4.1) ─► prerequisites (3.2) ─► changes (3.4.2) ─► serial (3.6)
//! ```
//!
//! An update is carried out as a whole or not at all. Who may send one (3.3) is decided before it is read further, so that
//! strangers learn nothing from prerequisites. Records that signing makes (RRSIG, NSEC, NSEC3, NSEC3PARAM) are not added by
//! updates, and a zone that was signed elsewhere is not changed: its signatures would no longer fit (RFC 3007 3.2).

use std::collections::BTreeMap;

use super::prerequisites::Prerequisites;
use super::update_record::{Refusal, canonical, owner_within, whole_rdata};
use crate::limits::zone::{UPDATE_RECORDS_MAX, UPDATED_SET_OCTETS_MAX};
use crate::record::{Class, Name, Rcode, Rtype};
use crate::wire::{Message, Record, Section};
use crate::zone::{ChangedSet, Zone, is_newer, next_serial, sets_at};

/// What a message asks for.
#[derive(Debug)]
pub struct Update {
    prerequisites: Prerequisites,
    changes: Vec<Change>,
}

/// One record of the update section (RFC 2136 2.5).
#[derive(Debug)]
enum Change {
    Add { owner: Name, rtype: Rtype, ttl: u32, rdata: Vec<u8> },
    DeleteSet { owner: Name, rtype: Rtype },
    DeleteName { owner: Name },
    Delete { owner: Name, rtype: Rtype, rdata: Vec<u8> },
}

impl Update {
    /// Reads the prerequisite and the update section of a message for `zone`, whose class is IN.
    pub fn read(message: &Message<'_>, zone: &Name) -> Result<Update, Refusal> {
        let [_, prerequisites, changes, _] = message.header().counts.map(usize::from);
        if prerequisites + changes > UPDATE_RECORDS_MAX {
            return Err(Refusal::new(Rcode::REFUSED, format!("more than {UPDATE_RECORDS_MAX} records in one update")));
        }
        let (has_all, has_changes) = (message.records(Section::Answer).count(), message.records(Section::Authority).count());
        if (has_all, has_changes) != (prerequisites, changes) {
            // OPT is no record of a zone.
            return Err(Refusal::new(Rcode::FORMERR, "OPT stands in the prerequisite or update section"));
        }
        Ok(Update {
            prerequisites: Prerequisites::read(message, zone)?,
            changes: message.records(Section::Authority).map(|record| change(&record, zone)).collect::<Result<_, _>>()?,
        })
    }

    /// The RRsets that change, the SOA with the next serial among them; none if the zone stays as it is. `today` is YYYYMMDD, for
    /// serials in that form.
    pub fn decide(&self, zone: &Zone, today: u32) -> Result<Vec<ChangedSet>, Refusal> {
        self.prerequisites.check(zone)?;
        if self.changes.is_empty() {
            return Ok(Vec::new());
        }
        if zone.is_signed() {
            return Err(Refusal::new(Rcode::REFUSED, "the zone was signed elsewhere: its signatures would no longer fit"));
        }
        let mut working = Working { zone, names: BTreeMap::new() };
        self.changes.iter().try_for_each(|change| working.carry_out(change))?;
        Ok(working.changed(today))
    }
}

/// RFC 2136 3.4.1.
fn change(record: &Record<'_>, zone: &Name) -> Result<Change, Refusal> {
    let owner = owner_within(record, zone)?;
    let rtype = record.rtype();
    let formerr = |why: &str| Err(Refusal::new(Rcode::FORMERR, format!("{owner} {rtype}: {why}")));
    if rtype.is_meta() && !(rtype == Rtype::ANY && record.class() == Class::ANY) {
        return formerr("a type that no record has");
    }
    match record.class() {
        Class::IN => {
            let rdata = whole_rdata(record)?;
            if matches!(rtype, Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 | Rtype::NSEC3PARAM) {
                return Err(Refusal::new(Rcode::REFUSED, format!("{owner} {rtype}: signing makes these records, not an update")));
            }
            // RFC 4592 4.2: it has no defined meaning, and no file with it is loaded.
            if rtype == Rtype::NS && owner.is_wildcard() {
                return Err(Refusal::new(Rcode::REFUSED, format!("{owner} NS: no delegation is possible at a wildcard")));
            }
            Ok(Change::Add { owner, rtype, ttl: record.ttl(), rdata })
        }
        Class::ANY if record.ttl() != 0 || record.rdata_len() != 0 => formerr("a deletion with TTL or data"),
        Class::ANY if rtype == Rtype::ANY => Ok(Change::DeleteName { owner }),
        Class::ANY => Ok(Change::DeleteSet { owner, rtype }),
        Class::NONE if record.ttl() != 0 => formerr("a deletion with TTL"),
        Class::NONE => Ok(Change::Delete { rdata: whole_rdata(record)?, owner, rtype }),
        _ => formerr("another class than that of the zone"),
    }
}

/// The names that were changed so far, on top of the zone.
struct Working<'z> {
    zone: &'z Zone,
    names: BTreeMap<Vec<u8>, Sets>,
}

type Sets = BTreeMap<Rtype, Set>;

#[derive(Clone)]
struct Set {
    ttl: u32,
    /// Each in its canonical form, and as it is written.
    data: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Working<'_> {
    fn sets(&mut self, owner: &Name) -> &mut Sets {
        let zone = self.zone;
        self.names.entry(owner.as_wire().to_vec()).or_insert_with(|| original(zone, owner.as_wire()))
    }

    /// RFC 2136 3.4.2.
    fn carry_out(&mut self, change: &Change) -> Result<(), Refusal> {
        let apex = self.zone.apex().clone();
        match change {
            Change::Add { owner, rtype, ttl, rdata } => return self.add(owner, *rtype, *ttl, rdata),
            Change::DeleteName { owner } if *owner == apex => {
                self.sets(owner).retain(|rtype, _| matches!(*rtype, Rtype::SOA | Rtype::NS));
            }
            Change::DeleteName { owner } => self.sets(owner).clear(),
            Change::DeleteSet { owner, rtype: Rtype::SOA | Rtype::NS } if *owner == apex => {}
            Change::DeleteSet { owner, rtype } => {
                self.sets(owner).remove(rtype);
            }
            Change::Delete { rtype: Rtype::SOA, .. } => {}
            Change::Delete { owner, rtype, rdata } => {
                let sets = self.sets(owner);
                let Some(set) = sets.get_mut(rtype) else { return Ok(()) };
                let gone = canonical(*rtype, rdata);
                let is_last = set.data.len() == 1 && set.data[0].0 == gone;
                if is_last && *rtype == Rtype::NS && *owner == apex {
                    // RFC 2136 3.4.2.4: a zone always has a server.
                    return Ok(());
                }
                set.data.retain(|(have, _)| *have != gone);
                if set.data.is_empty() {
                    sets.remove(rtype);
                }
            }
        }
        Ok(())
    }

    /// RFC 2136 3.4.2.2.
    fn add(&mut self, owner: &Name, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), Refusal> {
        let is_apex = owner == self.zone.apex();
        let sets = self.sets(owner);
        let is_beside = match rtype {
            Rtype::CNAME => sets.keys().any(|other| !other.may_stand_beside_cname()),
            other => sets.contains_key(&Rtype::CNAME) && !other.may_stand_beside_cname(),
        };
        if is_beside {
            return Ok(());
        }
        if rtype == Rtype::SOA {
            let held = sets.get(&rtype).and_then(|set| serial_of(&set.data.first()?.1)).filter(|_| is_apex);
            if !held.zip(serial_of(rdata)).is_some_and(|(held, new)| is_newer(new, held)) {
                return Ok(());
            }
        }
        let new = (canonical(rtype, rdata), rdata.to_vec());
        let set = sets.entry(rtype).or_insert(Set { ttl, data: Vec::new() });
        // All records of a set have one TTL (RFC 2181 5.2): the last one asked for.
        set.ttl = ttl;
        // RFC 6672 5.2: a second DNAME takes the place of the first, like a second CNAME.
        let is_only_one = matches!(rtype, Rtype::CNAME | Rtype::SOA | Rtype::DNAME);
        match set.data.iter_mut().find(|(have, have_data)| is_only_one || *have == new.0 || is_same_wks(rtype, have_data, rdata)) {
            Some(have) => *have = new,
            None => set.data.push(new),
        }
        let octets: usize = set.data.iter().map(|(_, rdata)| rdata.len() + 2).sum();
        match octets > UPDATED_SET_OCTETS_MAX {
            true => Err(Refusal::new(Rcode::REFUSED, format!("{owner} {rtype}: more than {UPDATED_SET_OCTETS_MAX} octets in one set"))),
            false => Ok(()),
        }
    }

    fn changed(self, today: u32) -> Vec<ChangedSet> {
        let (zone, apex) = (self.zone, self.zone.apex().as_wire());
        let mut changed = Vec::new();
        for (owner, sets) in self.names {
            let before = original(zone, &owner);
            for (rtype, set) in &sets {
                if !before.get(rtype).is_some_and(|before| is_same(before, set)) {
                    let data = set.data.iter().map(|(_, rdata)| rdata.clone()).collect();
                    changed.push(ChangedSet { owner: owner.clone(), rtype: *rtype, ttl: set.ttl, data, sigs: Vec::new() });
                }
            }
            let gone = before.keys().filter(|rtype| !sets.contains_key(rtype));
            changed.extend(gone.map(|rtype| ChangedSet {
                owner: owner.clone(),
                rtype: *rtype,
                ttl: 0,
                data: Vec::new(),
                sigs: Vec::new(),
            }));
        }
        let has_soa = changed.iter().any(|set| set.rtype == Rtype::SOA && set.owner == apex);
        if !changed.is_empty() && !has_soa {
            changed.extend(soa_with_serial(zone, next_serial(zone.serial(), today)));
        }
        changed
    }
}

/// The SOA of the zone with another serial.
pub fn soa_with_serial(zone: &Zone, serial: u32) -> Option<ChangedSet> {
    let soa = zone.soa();
    let mut rdata = soa.rdatas().next()?.to_vec();
    rdata.last_chunk_mut::<20>()?[..4].copy_from_slice(&serial.to_be_bytes());
    Some(ChangedSet { owner: zone.apex().as_wire().to_vec(), rtype: Rtype::SOA, ttl: soa.ttl, data: vec![rdata], sigs: Vec::new() })
}

fn original(zone: &Zone, owner: &[u8]) -> Sets {
    let with_canonical = |rtype: Rtype, rdata: &[u8]| (canonical(rtype, rdata), rdata.to_vec());
    sets_at(zone, owner)
        .map(|set| (set.rtype, Set { ttl: set.ttl, data: set.rdatas().map(|rdata| with_canonical(set.rtype, rdata)).collect() }))
        .collect()
}

/// The order of records does not matter; that a name is written otherwise does.
fn is_same(one: &Set, other: &Set) -> bool {
    let written = |set: &Set| {
        let mut data: Vec<Vec<u8>> = set.data.iter().map(|(_, rdata)| rdata.clone()).collect();
        data.sort_unstable();
        data
    };
    one.ttl == other.ttl && one.data.len() == other.data.len() && written(one) == written(other)
}

/// RFC 2136 3.4.2.2: of WKS records with the same address and protocol one is kept.
fn is_same_wks(rtype: Rtype, one: &[u8], other: &[u8]) -> bool {
    rtype == Rtype::WKS && one.first_chunk::<5>().is_some_and(|one| other.first_chunk::<5>() == Some(one))
}

fn serial_of(soa: &[u8]) -> Option<u32> {
    soa.last_chunk::<20>().map(|numbers| u32::from_be_bytes([numbers[0], numbers[1], numbers[2], numbers[3]]))
}
