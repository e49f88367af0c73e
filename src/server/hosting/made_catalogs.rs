//! The catalogs that this server makes of its own zones (RFC 9432): which zones they list is in the configuration, and the
//! version in force is kept in the state folder, so that a restart changes no serial.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::warn;

use super::copies;
use crate::authority::catalog_text;
use crate::config::{Settings, ZoneSettings};
use crate::env::WallTime;
use crate::record::Name;
use crate::server::load::{LoadedZone, Sources, ZoneFile};
use crate::zone::{Zone, have_same_data, is_newer, load_zone};

/// In the state folder.
const FOLDER: &str = "catalogs";

/// Adds the made catalogs to the zones that were read.
pub(in crate::server) fn add(sources: &mut Sources, state_folder: Option<&Path>, now: WallTime) {
    let made: Vec<ZoneSettings> = sources.settings.zones.iter().filter(|zone| zone.is_made_catalog()).cloned().collect();
    for catalog in made {
        let path = state_folder.map(|folder| folder.join(FOLDER).join(copies::file_name(&catalog.name)));
        let before = path.as_ref().and_then(|path| match copies::read(path, &catalog.name) {
            Ok(before) => before.map(|(zone, _)| zone),
            Err(why) => {
                warn!("catalog {}: made anew, its last version cannot be read: {why}", catalog.name);
                None
            }
        });
        let serial = before.as_ref().map(Zone::serial);
        let Some(zone) = next(&sources.settings, &catalog.name, before, now) else {
            warn!("catalog {}: it cannot be made", catalog.name);
            continue;
        };
        if let Some(path) = path.as_ref().filter(|_| serial != Some(zone.serial()))
            && let Err(error) = copies::write(path, &zone, now)
        {
            warn!("catalog {}: it cannot be kept: {}: {error}", catalog.name, path.display());
        }
        let file = ZoneFile { name: catalog.name, path: path.unwrap_or_else(|| PathBuf::from("(made here)")), allow: catalog.allow };
        sources.zones.push(LoadedZone { file, zone: Arc::new(zone) });
    }
    sources.zones.sort_by(|one, other| one.file.name.cmp(&other.file.name));
}

/// The version before, if it says the same; else the next one. `None`: its names are too long.
fn next(settings: &Settings, catalog: &Name, before: Option<Zone>, now: WallTime) -> Option<Zone> {
    let with = |serial: u32| {
        let members = settings.zones.iter().filter(|zone| zone.catalog_zone.as_ref() == Some(catalog));
        let text = catalog_text(serial, members.map(|zone| (&zone.name, zone.catalog_group.as_deref())), label_of);
        load_zone(catalog, "catalog", &mut |_| Ok(text.clone().into_bytes())).ok().map(|(zone, _)| zone)
    };
    // Without the version before, secondaries may have any serial that was given earlier; time goes on over restarts.
    let time = now.0 as u32;
    let Some(before) = before else { return with(time) };
    let same = with(before.serial())?;
    if have_same_data(&before, &same) {
        return Some(before);
    }
    with(if is_newer(time, before.serial()) { time } else { before.serial().wrapping_add(1) })
}

/// The same for as long as the zone is listed, and over restarts.
fn label_of(zone: &Name) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, zone.as_wire());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;
    use crate::authority::read_catalog;
    use crate::server::load::StartOptions;

    fn made(scratch: &Scratch, members: &[&str], now: u64) -> Arc<Zone> {
        let mut config = "[[zone]]\nname = 'catalog'\ncatalog = true\n".to_owned();
        for member in members {
            scratch.write("data", "$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n");
            config += &format!("[[zone]]\nname = '{member}'\nfile = 'data'\ncatalog-zone = 'catalog'\n");
        }
        let config = Some(scratch.write("cairn.toml", &config));
        let mut sources = Sources::read(&StartOptions { config, ..StartOptions::default() }).expect("valid");
        add(&mut sources, Some(scratch.path()), WallTime(now));
        sources.zones.iter().find(|zone| zone.file.name.to_string() == "catalog.").expect("the catalog").zone.clone()
    }

    /// The serial moves with the members and with nothing else, and never back.
    #[test]
    fn a_catalog_lists_its_zones() {
        let scratch = Scratch::new();
        for (members, now, serial) in [
            (&["one.example.", "two.example."][..], 1_800_000_000, 1_800_000_000),
            (&["two.example.", "one.example."], 1_800_000_050, 1_800_000_000),
            (&["two.example."], 1_800_000_060, 1_800_000_060),
            (&["two.example.", "three.example."], 1_700_000_000, 1_800_000_061),
            (&[], 1_800_000_070, 1_800_000_070),
        ] {
            let zone = made(&scratch, members, now);
            let mut listed: Vec<String> = read_catalog(&zone, 9).expect("good").iter().map(|member| member.zone.to_string()).collect();
            let mut expected: Vec<String> = members.iter().map(|name| (*name).to_owned()).collect();
            listed.sort();
            expected.sort();
            assert_eq!((listed, zone.serial()), (expected, serial), "{members:?}");
        }
    }
}
