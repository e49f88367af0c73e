//! Signalling records (RFC 9615): copies of a zone's CDS and CDNSKEY records below the names of its servers, in zones that are
//! secure already, so that a parent can trust the first DS set.
//!
//! ```text
//! example.org. CDS …                                 the zone, signed here, not yet secure
//! _dsboot.example.org._signal.ns1.example.net. CDS … the same, in the signed zone example.net.
//! ```

use crate::record::{Name, Rtype};
use crate::zone::{ChangedSet, Zone, edit_zone};

/// RDATA of CDS and CDNSKEY that ask for no DS record (RFC 8078 4, erratum 5049): `0 0 0 00` and `0 3 0 AA==`.
pub(super) const NO_DS: [u8; 5] = [0, 0, 0, 0, 0];
pub(super) const NO_KEY: [u8; 5] = [0, 0, 3, 0, 0];

/// Whether a CDS record asks for no DS record.
fn asks_for_no_ds(cds: &[u8]) -> bool {
    cds == NO_DS
}

/// What a signed zone signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signals {
    pub zone: Name,
    /// Its servers outside itself (RFC 9615 4.2: names inside it prove nothing).
    pub servers: Vec<Name>,
    /// Type, TTL and RDATA.
    sets: Vec<(Rtype, u32, Vec<Vec<u8>>)>,
}

impl Signals {
    /// `None`: it asks its parent for nothing, or only that there be no DS set, which is never signalled.
    pub fn of(zone: &Zone) -> Option<Signals> {
        let of_type = |rtype: Rtype| {
            let set = zone.apex_set(rtype)?;
            Some((rtype, set.ttl, set.data.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()))
        };
        let (cds, cdnskey) = (of_type(Rtype::CDS)?, of_type(Rtype::CDNSKEY)?);
        if cds.2.iter().any(|cds| asks_for_no_ds(cds)) {
            return None;
        }
        let servers = zone.apex_set(Rtype::NS)?.data.iter().filter_map(|data| Name::from_wire(data).ok()).collect::<Vec<_>>();
        let servers = servers.into_iter().filter(|server| !server.is_within(zone.apex())).collect();
        Some(Signals { zone: zone.apex().clone(), servers, sets: vec![cds, cdnskey] })
    }
}

/// Where the signals for one server stand; `None`: the name would be too long.
pub fn signal_name(zone: &Name, server: &Name) -> Option<Name> {
    zone.rebase(&Name::root(), &server.child(b"_signal").ok()?)?.child(b"_dsboot").ok()
}

/// Whether a name is that of signalling records.
pub(super) fn is_signal(owner: &[u8]) -> bool {
    owner.starts_with(b"\x07_dsboot")
}

/// The zone with these signals. `None`: they do not fit in.
pub fn with_signals<'s>(zone: &Zone, signals: impl Iterator<Item = (&'s Signals, &'s Name)>) -> Option<Zone> {
    let mut changes = Vec::new();
    for (signals, server) in signals {
        let Some(owner) = signal_name(&signals.zone, server) else { continue };
        changes.extend(signals.sets.iter().map(|(rtype, ttl, data)| ChangedSet {
            owner: owner.as_wire().to_vec(),
            rtype: *rtype,
            ttl: *ttl,
            data: data.clone(),
            sigs: Vec::new(),
        }));
    }
    edit_zone(zone, &changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::load_zone;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(apex: &str, more: &str) -> Zone {
        let text = format!("$TTL 300\n@ SOA ns host 7 2 3 4 60\n{more}");
        load_zone(&name(apex), "test", &mut |_| Ok(text.clone().into_bytes())).expect("good").0
    }

    const KEYS: &str = "@ CDS 1 13 2 AA\n@ CDNSKEY 257 3 13 Zm9v\n";

    #[test]
    fn signals_stand_below_the_names_of_servers() {
        let child = zone("co.example.", &format!("@ NS ns1.example.net.\n@ NS ns.co.example.\nns A 192.0.2.1\n{KEYS}"));
        let signals = Signals::of(&child).expect("signals");
        let server = name("ns1.example.net.");
        assert_eq!(signals.servers, std::slice::from_ref(&server));
        let made = with_signals(&zone("example.net.", "@ NS ns1\nns1 A 192.0.2.1\n"), [(&signals, &server)].into_iter()).expect("a zone");
        let owner = name("_dsboot.co.example._signal.ns1.example.net.");
        let node = made.node(owner.as_wire()).expect("a node");
        for rtype in [Rtype::CDS, Rtype::CDNSKEY] {
            let same: Vec<Vec<u8>> = child.apex_set(rtype).expect("a set").data.iter().map(<[u8]>::to_vec).collect();
            assert_eq!(node.set(rtype).expect("a set").rdatas().map(<[u8]>::to_vec).collect::<Vec<_>>(), same);
        }
        assert!(
            is_signal(owner.as_wire())
                && signal_name(&name(&format!("{0}.{0}.{0}.x.", "a".repeat(63))), &name(&format!("{}.y.", "b".repeat(60)))).is_none()
        );
    }

    #[test]
    fn no_signal_without_keys_and_none_of_their_end() {
        assert!(Signals::of(&zone("a.", "@ NS ns.b.\n")).is_none());
        assert!(Signals::of(&zone("a.", "@ NS ns.b.\n@ CDS 0 0 0 00\n@ CDNSKEY 0 3 0 AA==\n")).is_none());
    }
}
