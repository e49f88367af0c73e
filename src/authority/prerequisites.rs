//! What an update demands of the zone before anything is changed (RFC 2136 2.4, 3.2).

use std::collections::{BTreeMap, BTreeSet};

use super::update_record::{Refusal, canonical, owner_within, whole_rdata};
use crate::record::{Class, Name, Rcode, Rtype};
use crate::wire::{Message, Record, Section};
use crate::zone::{Zone, sets_at};

/// The prerequisites of one message. All must be met.
#[derive(Debug)]
pub(super) struct Prerequisites {
    single: Vec<Prerequisite>,
    /// Sets that the zone must have exactly so, TTLs aside (2.4.2), in canonical form.
    exact: BTreeMap<(Name, Rtype), BTreeSet<Vec<u8>>>,
}

#[derive(Debug)]
enum Prerequisite {
    /// 2.4.4.
    NameInUse(Name),
    /// 2.4.5.
    NameNotInUse(Name),
    /// 2.4.1.
    SetExists(Name, Rtype),
    /// 2.4.3.
    SetDoesNotExist(Name, Rtype),
}

impl Prerequisites {
    pub(super) fn read(message: &Message<'_>, zone: &Name) -> Result<Prerequisites, Refusal> {
        let mut all = Prerequisites { single: Vec::new(), exact: BTreeMap::new() };
        message.records(Section::Answer).try_for_each(|record| all.take(&record, zone))?;
        Ok(all)
    }

    /// RFC 2136 3.2.5, the checks of form.
    fn take(&mut self, record: &Record<'_>, zone: &Name) -> Result<(), Refusal> {
        let rtype = record.rtype();
        let formerr = |why: &str| Err(Refusal::new(Rcode::FORMERR, format!("prerequisite of type {rtype}: {why}")));
        if record.ttl() != 0 {
            return formerr("its TTL is not 0");
        }
        let owner = owner_within(record, zone)?;
        let (is_any, is_empty) = (rtype == Rtype::ANY, record.rdata_len() == 0);
        if rtype.is_meta() && !(is_any && record.class() != Class::IN) {
            return formerr("a type that no record has");
        }
        match record.class() {
            Class::ANY | Class::NONE if !is_empty => return formerr("it has data"),
            Class::ANY if is_any => self.single.push(Prerequisite::NameInUse(owner)),
            Class::ANY => self.single.push(Prerequisite::SetExists(owner, rtype)),
            Class::NONE if is_any => self.single.push(Prerequisite::NameNotInUse(owner)),
            Class::NONE => self.single.push(Prerequisite::SetDoesNotExist(owner, rtype)),
            Class::IN => {
                let rdata = canonical(rtype, &whole_rdata(record)?);
                self.exact.entry((owner, rtype)).or_default().insert(rdata);
            }
            _ => return formerr("another class than that of the zone"),
        }
        Ok(())
    }

    /// RFC 2136 3.2.5. A name without records of its own is not in use, though names below it exist (2.4.4).
    pub(super) fn check(&self, zone: &Zone) -> Result<(), Refusal> {
        let in_use = |name: &Name| sets_at(zone, name.as_wire()).next().is_some();
        let set = |name: &Name, rtype: Rtype| sets_at(zone, name.as_wire()).find(|set| set.rtype == rtype);
        for prerequisite in &self.single {
            let (is_met, rcode, what) = match prerequisite {
                Prerequisite::NameInUse(name) => (in_use(name), Rcode::NXDOMAIN, format!("{name} has no records")),
                Prerequisite::NameNotInUse(name) => (!in_use(name), Rcode::YXDOMAIN, format!("{name} has records")),
                Prerequisite::SetExists(name, rtype) => {
                    (set(name, *rtype).is_some(), Rcode::NXRRSET, format!("there is no {name} {rtype}"))
                }
                Prerequisite::SetDoesNotExist(name, rtype) => {
                    (set(name, *rtype).is_none(), Rcode::YXRRSET, format!("there is {name} {rtype}"))
                }
            };
            if !is_met {
                return Err(Refusal::new(rcode, what));
            }
        }
        for ((name, rtype), wanted) in &self.exact {
            let held: BTreeSet<Vec<u8>> =
                set(name, *rtype).into_iter().flat_map(|set| set.rdatas()).map(|rdata| canonical(*rtype, rdata)).collect();
            if held != *wanted {
                return Err(Refusal::new(Rcode::NXRRSET, format!("{name} {rtype} is not what the prerequisite says")));
            }
        }
        Ok(())
    }
}
