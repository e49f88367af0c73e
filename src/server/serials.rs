//! Zones whose data has changed at a reload and whose serial has not. Their secondaries keep the old data, because they compare
//! the serial only (RFC 1034 4.3.5).

use std::sync::Arc;

use super::load::LoadedZone;
use crate::record::Name;
use crate::zone::{Zones, have_same_data};

/// A sentence about each such zone. `before`: the zones in force.
pub(super) fn unraised_serials<'l>(
    zones: impl Iterator<Item = &'l LoadedZone>,
    before: &Zones,
    is_raised_here: impl Fn(&Name) -> bool,
) -> Vec<String> {
    let is_unraised = |loaded: &&LoadedZone| {
        if is_raised_here(&loaded.file.name) {
            return false;
        }
        let old = before.get(loaded.file.name.as_wire());
        old.is_some_and(|old| !Arc::ptr_eq(old, &loaded.zone) && old.serial() == loaded.zone.serial() && !have_same_data(old, &loaded.zone))
    };
    let told = |loaded: &LoadedZone| {
        let (path, name, serial) = (loaded.file.path.display(), &loaded.file.name, loaded.zone.serial());
        format!(
            "{path}: warning: found changed data in {name} with the same serial {serial}, so secondaries keep the old data: write {}",
            serial.wrapping_add(1)
        )
    };
    zones.filter(is_unraised).map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::super::load::{Sources, StartOptions};
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn changed_data_with_the_same_serial() {
        let scratch = Scratch::new();
        let config = Some(scratch.write("cairn.toml", ""));
        let zone = |serial: u32, more: &str| format!("$TTL 1h\n@ SOA ns hostmaster {serial} 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n{more}");
        let read = |text: &str| {
            scratch.write("zones/example.org.zone", text);
            Sources::read(&StartOptions { config: config.clone(), ..StartOptions::default() }).expect("all is right").zones
        };
        let two = "www A 192.0.2.2\nwww A 192.0.2.3\n";
        let first = read(&zone(7, two));
        let before = Zones::new(first.iter().map(|loaded| loaded.zone.clone()), 1);
        for (serial, more, is_told) in [
            (7, two, false),
            (7, "www A 192.0.2.3\nwww A 192.0.2.2\n", false),
            (7, "www A 192.0.2.2\nwww A 192.0.2.4\n", true),
            (7, "www A 192.0.2.2\n", true),
            (7, "www 60 A 192.0.2.2\nwww 60 A 192.0.2.3\n", true),
            (7, "web A 192.0.2.2\nweb A 192.0.2.3\n", true),
            (8, "", false),
        ] {
            let told = unraised_serials(read(&zone(serial, more)).iter(), &before, |_| false);
            assert_eq!(told.len(), usize::from(is_told), "{serial} {more}: {told:?}");
            assert!(
                told.iter().all(|line| line.ends_with("with the same serial 7, so secondaries keep the old data: write 8")),
                "{told:?}"
            );
        }
    }
}
