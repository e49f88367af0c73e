//! ALIAS: a record of a zone's own name, where no CNAME may stand, that is answered by the addresses of another name. An extension;
//! the type number is PowerDNS's. Clients and secondaries see A and AAAA records only.

use std::collections::BTreeMap;

use crate::limits::zone::{ALIAS_ADDRESSES_MAX, ALIAS_TTL_S_MAX};
use crate::record::{Name, Rtype};
use crate::zone::{ChangedSet, Zone, edit_zone};

/// The ALIAS record of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    pub target: Name,
    /// Of the addresses that stand for it.
    pub ttl_s: u32,
}

/// What the target has: RDATA of A and AAAA records.
pub type Addresses = BTreeMap<Rtype, Vec<Vec<u8>>>;

impl Alias {
    pub fn of(zone: &Zone) -> Option<Alias> {
        let set = zone.apex_set(Rtype::ALIAS)?;
        Some(Alias { target: set.target()?, ttl_s: set.ttl.min(ALIAS_TTL_S_MAX) })
    }
}

/// The zone with these addresses in place of its ALIAS record, and with this serial. Address records that the zone has at the same
/// name itself stay. `None`: the records do not make a zone together.
pub fn expanded(zone: &Zone, alias: &Alias, addresses: &Addresses, serial: u32) -> Option<Zone> {
    let owner = zone.apex().as_wire().to_vec();
    let set = |rtype: Rtype, ttl: u32, data: Vec<Vec<u8>>| ChangedSet { owner: owner.clone(), rtype, ttl, data, sigs: Vec::new() };
    let mut changes = vec![set(Rtype::ALIAS, 0, Vec::new())];
    for (rtype, data) in addresses {
        if zone.apex_set(*rtype).is_none() && !data.is_empty() {
            let mut data = data.clone();
            // Servers rotate their answers: that is no change.
            data.sort();
            data.dedup();
            data.truncate(ALIAS_ADDRESSES_MAX);
            changes.push(set(*rtype, alias.ttl_s, data));
        }
    }
    if serial != zone.serial() {
        let soa = zone.soa();
        let mut rdata = soa.rdatas().next()?.to_vec();
        let at = rdata.len().checked_sub(20)?;
        rdata.get_mut(at..at + 4)?.copy_from_slice(&serial.to_be_bytes());
        changes.push(set(Rtype::SOA, soa.ttl, vec![rdata]));
    }
    edit_zone(zone, &changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    fn zone(more: &str) -> Result<Zone, String> {
        let text = format!("$TTL 1h\n@ SOA ns host 7 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n{more}");
        let name = Name::parse("example.").expect("a name");
        load_zone(&name, "test", &mut |_| Ok(text.clone().into_bytes())).map(|(zone, _)| zone).map_err(|problems| problems[0].to_string())
    }

    #[test]
    fn addresses_stand_for_the_record() {
        let addresses: Addresses =
            [(Rtype::A, vec![vec![192, 0, 2, 9], vec![192, 0, 2, 8], vec![192, 0, 2, 9]]), (Rtype::AAAA, Vec::new())].into();
        for (more, ttl, count, has_own) in
            [("@ ALIAS target.test.\n", 300, 2, false), ("@ 60 ALIAS Target.test.\n@ 5 A 192.0.2.1\n", 5, 1, true)]
        {
            let zone = zone(more).expect("a zone");
            let alias = Alias::of(&zone).expect("an alias");
            assert_eq!(alias.target.to_string().to_lowercase(), "target.test.");
            let made = expanded(&zone, &alias, &addresses, 9).expect("a zone");
            let set = made.apex_set(Rtype::A).expect("addresses");
            assert_eq!((made.serial(), set.ttl, set.data.iter().count()), (9, ttl, count), "{has_own}");
            assert!(Alias::of(&made).is_none() && made.apex_set(Rtype::AAAA).is_none());
        }
        assert!(Alias::of(&zone("").expect("a zone")).is_none());
    }

    #[test]
    fn mistakes_are_told() {
        for (more, told) in [
            ("www ALIAS target.test.\n", "found ALIAS for www.example., expected it for example. only: write CNAME"),
            ("@ ALIAS a.test.\n@ ALIAS b.test.\n", "found a second ALIAS record for example., expected one"),
            ("@ ALIAS @\n", "found ALIAS of example. to example. itself, expected another name"),
        ] {
            assert!(zone(more).is_err_and(|error| error.contains(told)), "{more}");
        }
    }
}
