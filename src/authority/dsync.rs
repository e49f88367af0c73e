//! Where the parent of a zone wants to be told that the zone's CDS records have changed (RFC 9859): DSYNC records.

use crate::record::{Name, Rtype};

/// RFC 9859 2.3: NOTIFY.
const SCHEME_NOTIFY: u8 = 1;

/// A name and port to send NOTIFY to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsyncTarget {
    pub name: Name,
    pub port: u16,
}

/// The record, if it is for NOTIFYs of CDS.
pub fn read_dsync(rdata: &[u8]) -> Option<DsyncTarget> {
    let ([type_high, type_low, scheme, port_high, port_low], rest) = rdata.split_first_chunk::<5>()?;
    let rtype = Rtype(u16::from_be_bytes([*type_high, *type_low]));
    let (name, port) = (Name::from_wire(rest).ok()?, u16::from_be_bytes([*port_high, *port_low]));
    (rtype == Rtype::CDS && *scheme == SCHEME_NOTIFY && port > 0 && !name.is_root()).then_some(DsyncTarget { name, port })
}

/// The first name to ask for DSYNC records: `_dsync` behind the zone's first label (RFC 9859 4.1 step 1).
pub fn dsync_name(zone: &Name) -> Option<Name> {
    zone.parent()?.child(b"_dsync").ok()?.child(zone.labels().next()?).ok()
}

/// The further names to ask, where the answer before was negative and came from the zone `parent` (steps 3 and 4).
pub fn dsync_names_of_parent(zone: &Name, parent: &Name) -> Vec<Name> {
    let Ok(above) = parent.child(b"_dsync") else { return Vec::new() };
    if !zone.is_below(parent) {
        return Vec::new();
    }
    let is_direct = zone.parent().as_ref() == Some(parent);
    let own = zone.rebase(parent, &above).filter(|_| !is_direct);
    own.into_iter().chain([above]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::rdata_from_text;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    #[test]
    fn the_names_of_rfc_9859() {
        let shown = |names: Vec<Name>| names.iter().map(Name::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(dsync_name(&name("city.ise.mie.jp.")), Some(name("city._dsync.ise.mie.jp.")));
        assert_eq!(dsync_name(&name("org.")), Some(name("org._dsync.")));
        assert_eq!(dsync_name(&Name::root()), None);
        for (zone, parent, names) in [
            ("city.ise.mie.jp.", "ise.mie.jp.", "_dsync.ise.mie.jp."),
            ("city.ise.mie.jp.", "mie.jp.", "city.ise._dsync.mie.jp. _dsync.mie.jp."),
            ("example.org.", ".", "example.org._dsync. _dsync."),
            ("example.org.", "example.org.", ""),
            ("example.org.", "other.", ""),
        ] {
            assert_eq!(shown(dsync_names_of_parent(&name(zone), &name(parent))), names, "{zone} {parent}");
        }
    }

    #[test]
    fn records_for_others_are_left_out() {
        for (text, expected) in [
            ("CDS NOTIFY 5300 rr.example.", Some(("rr.example.", 5_300))),
            ("CSYNC NOTIFY 53 rr.example.", None),
            ("CDS 7 53 rr.example.", None),
            ("CDS NOTIFY 0 rr.example.", None),
            ("CDS NOTIFY 53 .", None),
        ] {
            let rdata = rdata_from_text(Rtype::DSYNC, text, &[0]).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(read_dsync(&rdata), expected.map(|(target, port)| DsyncTarget { name: name(target), port }), "{text}");
        }
        assert_eq!(read_dsync(&[0, 59, 1]), None);
    }
}
