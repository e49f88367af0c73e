//! The file of one hosted zone: found, read, and changed in one step for `cairn zone`.
//!
//! A change is made in memory, read back and checked as a zone; only then the file is replaced, with its mode and owner. Two
//! commands at once wait for each other, and one that finds the file changed by an editor meanwhile starts again.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::load::{StartOptions, configuration_as_far_as_it_goes, read_bytes, zone_files};
use super::zone_force::running_zones;
use crate::config::{Problem, nearest};
use crate::env::{Clock, RealClock};
use crate::limits::server::{JOURNAL_WAIT, JOURNAL_WAITS_MAX, ZONE_EDIT_TRIES_MAX};
use crate::record::{Name, timestamp_to_text};
use crate::zone::{Change, Delta, MasterFile, Severity, Zone, ZoneRecord, load_zone, serial};

/// A zone that is hosted here, and its file.
#[derive(Clone, Debug, PartialEq)]
pub struct HostedZone {
    pub name: Name,
    pub path: PathBuf,
}

/// Why there is nothing to show of a zone, or why it was not changed.
#[derive(Debug)]
pub enum ZoneError {
    /// The configuration cannot be read.
    Configuration(Vec<Problem>),
    Unknown(Name, Vec<Name>),
    /// The file has mistakes.
    Broken(Vec<Problem>),
    /// With the change it would have mistakes.
    WouldBreak(Vec<Problem>),
    Refused(String),
    Unwritable(PathBuf, io::Error),
}

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, problems: &[Problem]| {
            problems.iter().enumerate().try_for_each(|(at, problem)| if at > 0 { write!(f, "\n{problem}") } else { write!(f, "{problem}") })
        };
        match self {
            ZoneError::Configuration(problems) | ZoneError::Broken(problems) => all(f, problems),
            ZoneError::WouldBreak(problems) => {
                f.write_str("not changed, because the zone would be wrong:\n")?;
                all(f, problems)
            }
            ZoneError::Unknown(zone, hosted) => {
                write!(f, "there is no zone {zone} here; ")?;
                let names: Vec<String> = hosted.iter().map(ToString::to_string).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                match nearest(&zone.to_string(), &names) {
                    Some(near) => write!(f, "did you mean {near}?"),
                    None => f.write_str("`cairn zone list` shows those that are hosted"),
                }
            }
            ZoneError::Refused(why) => f.write_str(why),
            ZoneError::Unwritable(path, error) => write!(f, "not changed: {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for ZoneError {}

/// What a change has done.
#[derive(Debug)]
pub struct Changed {
    /// Empty: the zone was so already.
    pub delta: Delta,
    /// The serial that is now in the file.
    pub serial: u32,
    /// What is odd about the zone since then.
    pub warnings: Vec<Problem>,
}

/// What a zone is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneUse {
    /// Only the file of a zone whose primary this server is.
    Change,
    /// The copy of a secondary too; after changes by UPDATE have been written into the file.
    Read,
    /// The version that this server has signed.
    ReadSigned,
}

/// Finds a zone: among those of the running server, whose file may have been named on its command line; else where a server with
/// these options would find it.
pub fn hosted_zone(options: &StartOptions, sockets: &[PathBuf], zone: &Name, wanted: ZoneUse) -> Result<HostedZone, ZoneError> {
    let row = || {
        let running = if options.zones.is_none() { running_zones(sockets, options.config.as_deref()) } else { None };
        running?.into_iter().find(|row| row["name"].as_str().is_some_and(|name| name == zone.to_string()))
    };
    let mut row_now = row();
    if wanted == ZoneUse::Read {
        // Updates reach the file within a second or two, except where it cannot be written.
        let is_on_its_way = |row: &serde_json::Value| row["unwritten"] == true && row["unwritten-because"].is_null();
        for _ in 0..JOURNAL_WAITS_MAX {
            if !row_now.as_ref().is_some_and(is_on_its_way) {
                break;
            }
            std::thread::sleep(JOURNAL_WAIT);
            row_now = row();
        }
    }
    let row = row_now;
    let at =
        |key: &str| row.as_ref().and_then(|row| row[key].as_str()).map(|path| HostedZone { name: zone.clone(), path: PathBuf::from(path) });
    if wanted == ZoneUse::ReadSigned {
        let why =
            || ZoneError::Refused(format!("{zone} is not signed by a running server: write `dnssec = true` in its [[zone]], and start it"));
        return at("signed-file").ok_or_else(why);
    }
    if row.as_ref().is_some_and(|row| row["role"] == "secondary") {
        let copy = at("copy").filter(|copy| wanted == ZoneUse::Read && copy.path.exists());
        return copy.ok_or_else(|| secondary(zone));
    }
    if wanted == ZoneUse::Change && row.as_ref().is_some_and(|row| row["made"] == true) {
        let why =
            format!("the catalog {zone} is made of the zones that name it as their `catalog-zone`: change these, and run `cairn reload`");
        return Err(ZoneError::Refused(why));
    }
    if let Some(hosted) = at("file") {
        return Ok(hosted);
    }
    let (configuration, problems) = configuration_as_far_as_it_goes(options);
    if !problems.is_empty() {
        return Err(ZoneError::Configuration(problems));
    }
    if configuration.settings.zones.iter().any(|configured| configured.name == *zone && configured.is_secondary()) {
        return Err(secondary(zone));
    }
    let found = zone_files(&configuration, options);
    if let Some(broken) = found.broken.iter().find(|broken| broken.name == *zone) {
        return Err(ZoneError::Broken(broken.problems.clone()));
    }
    match found.files.iter().find(|file| file.name == *zone) {
        Some(file) => Ok(HostedZone { name: zone.clone(), path: file.path.clone() }),
        None => Err(ZoneError::Unknown(zone.clone(), found.files.into_iter().map(|file| file.name).collect())),
    }
}

fn secondary(zone: &Name) -> ZoneError {
    ZoneError::Refused(format!(
        "this server is a secondary of {zone} and has no file of it: change it at its primary; `dig {zone} AXFR` shows the copy here to \
         whom `transfer` admits"
    ))
}

/// The zone as its file says it.
pub fn read_zone(zone: &HostedZone) -> Result<Zone, ZoneError> {
    let text = read_bytes(&zone.path).map_err(|problem| ZoneError::Broken(vec![problem]))?;
    checked(zone, text).map(|(zone, _)| zone).map_err(ZoneError::Broken)
}

/// The records of a file that is no zone by itself; names are relative to `zone`. A record without TTL gets `ttl`.
pub fn read_records(zone: &Name, file: &Path, ttl: u32) -> Result<Vec<ZoneRecord>, ZoneError> {
    let text = read_bytes(file).map_err(|problem| ZoneError::Broken(vec![problem]))?;
    let read = MasterFile::read(zone, &file.display().to_string(), Some(ttl), &mut opener(Some(text), file));
    let read = read.map_err(|problems| ZoneError::Broken(of_configuration(problems)))?;
    match read.outside() {
        Some((record, place)) => Err(ZoneError::Refused(format!("{place}: {} is not within {zone}: nothing is imported", record.owner))),
        None => Ok(read.records().cloned().collect()),
    }
}

/// Makes a change. On any error the file is as it was.
pub fn change_zone(zone: &HostedZone, change: &Change) -> Result<Changed, ZoneError> {
    // A link stays a link. What the file includes is beside the link.
    let path = fs::canonicalize(&zone.path).unwrap_or_else(|_| zone.path.clone());
    for _ in 0..ZONE_EDIT_TRIES_MAX {
        // A command that replaces the file leaves the lock of the old one behind.
        let held = File::open(&path).and_then(|file| file.lock().map(|()| file)).ok();
        let text = read_bytes(&path).map_err(|problem| ZoneError::Broken(vec![problem]))?;
        if held.as_ref().is_some_and(|held| !is_same_file(held, &path)) {
            continue;
        }
        let (changed, edited) = changed(zone, text.clone(), change)?;
        let Some(edited) = edited else { return Ok(changed) };
        match replace_keeping_owner(&path, &edited, &text) {
            Ok(true) => return Ok(changed),
            Ok(false) => {}
            Err(error) => return Err(ZoneError::Unwritable(path, error)),
        }
    }
    Err(ZoneError::Refused(format!("{} is changed by others all the time: not changed", path.display())))
}

/// The change and the new text; `None` where there is nothing to write.
fn changed(zone: &HostedZone, text: Vec<u8>, change: &Change) -> Result<(Changed, Option<Vec<u8>>), ZoneError> {
    let name = zone.path.display().to_string();
    let broken = |problems| ZoneError::Broken(of_configuration(problems));
    let before = text.clone();
    let file = MasterFile::read(&zone.name, &name, None, &mut opener(Some(text), &zone.path)).map_err(broken)?;
    let Some(soa) = file.soa() else {
        let problem = Problem::of_file(name, format!("found no SOA record of {}, expected one", zone.name));
        return Err(ZoneError::Broken(vec![problem]));
    };
    let refused = |refusal: crate::zone::Refusal| ZoneError::Refused(refusal.to_string());
    let delta = Delta::of(&file, change, today()).map_err(refused)?;
    if delta.removed.is_empty() && delta.added.is_empty() {
        let serial = serial(soa).unwrap_or_default();
        return Ok((Changed { delta, serial, warnings: Vec::new() }, None));
    }
    let edited = file.edited(&delta, &mut opener(None, &zone.path)).map_err(refused)?;
    let (new, mut warnings) = checked(zone, edited.text().to_vec()).map_err(ZoneError::WouldBreak)?;
    if let Ok((_, known)) = checked(zone, before) {
        warnings.retain(|warning| !known.iter().any(|known| known.what == warning.what));
    }
    let changed = Changed { delta, serial: new.serial(), warnings };
    Ok((changed, Some(edited.text().to_vec())))
}

/// YYYYMMDD in UTC.
pub(super) fn today() -> u32 {
    let now = u32::try_from(RealClock.wall().0).unwrap_or(u32::MAX);
    timestamp_to_text(now).get(..8).and_then(|date| date.parse().ok()).unwrap_or(0)
}

fn checked(zone: &HostedZone, text: Vec<u8>) -> Result<(Zone, Vec<Problem>), Vec<Problem>> {
    let name = zone.path.display().to_string();
    match load_zone(&zone.name, &name, &mut opener(Some(text), &zone.path)) {
        Ok((zone, warnings)) => Ok((zone, of_configuration(warnings))),
        Err(problems) => Err(of_configuration(problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect())),
    }
}

fn of_configuration(problems: Vec<crate::zone::Problem>) -> Vec<Problem> {
    problems.into_iter().map(Problem::from).collect()
}

/// Gives `main` first where there is one, and then files that are included: their names start at the folder of `file`.
pub(super) fn opener(mut main: Option<Vec<u8>>, file: &Path) -> impl FnMut(&str) -> io::Result<Vec<u8>> {
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    move |name: &str| match main.take() {
        Some(text) => Ok(text),
        None => read_bytes(&folder.join(name)).map_err(|problem| io::Error::other(format!("{}: {}", problem.file, problem.what))),
    }
}

pub(super) fn is_same_file(held: &File, path: &Path) -> bool {
    let same = |held: fs::Metadata, now: fs::Metadata| (held.dev(), held.ino()) == (now.dev(), now.ino());
    held.metadata().ok().zip(fs::metadata(path).ok()).is_some_and(|(held, now)| same(held, now))
}

/// Replaces the file in one step, unless it no longer says `expected`. A reader sees the old or the new text, even after a power
/// failure.
pub(super) fn replace_keeping_owner(path: &Path, text: &[u8], expected: &[u8]) -> io::Result<bool> {
    let meta = fs::metadata(path)?;
    let (folder, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name().unwrap_or_default());
    // Hidden and without the ending of zone files, so that no server takes it for one.
    let beside = folder.join(format!(".{}.new-{}", name.to_string_lossy(), std::process::id()));
    let written = write_new(&beside, text, &meta).and_then(|()| {
        let is_expected = fs::read(path)? == expected;
        if is_expected {
            fs::rename(&beside, path)?;
            File::open(folder)?.sync_all()?;
        }
        Ok(is_expected)
    });
    if !matches!(written, Ok(true)) {
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_new(path: &Path, text: &[u8], like: &fs::Metadata) -> io::Result<()> {
    let _ = fs::remove_file(path);
    // `create_new` does not follow a link that somebody else put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(&file, Some(like.uid()), Some(like.gid())).map_err(|error| {
            io::Error::new(error.kind(), format!("its owner cannot be kept ({error}); run this as root, or as the owner of the file"))
        })?;
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;
    use crate::record::Rtype;
    use crate::zone::NewRecord;
    use std::os::unix::fs::PermissionsExt;

    const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 7 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";

    fn zone(scratch: &Scratch, text: &str) -> HostedZone {
        HostedZone { name: Name::parse("example.org").expect("a name"), path: scratch.write("example.org.zone", text) }
    }

    fn add(zone: &HostedZone, owner: &str, rtype: &str, data: &str) -> Change {
        let owner = Name::parse_bytes(owner.as_bytes(), &zone.name).expect(owner);
        let rtype: Rtype = rtype.parse().expect(rtype);
        Change::Add(vec![NewRecord::parse(&zone.name, owner, 3600, rtype, data).expect(data)])
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let scratch = Scratch::new();
        let zone = zone(&scratch, ZONE);
        fs::set_permissions(&zone.path, fs::Permissions::from_mode(0o640)).expect("it is ours");
        std::os::unix::fs::symlink(&zone.path, scratch.path().join("link")).expect("a link");
        let link = HostedZone { path: scratch.path().join("link"), ..zone.clone() };
        let changed = change_zone(&link, &add(&zone, "www", "A", "192.0.2.2")).expect("it is taken");
        assert_eq!(changed.serial, 8);
        let expected = ZONE.replace(" 7 ", " 8 ") + "www A 192.0.2.2\n";
        assert_eq!(fs::read_to_string(&zone.path).expect("it is there"), expected);
        assert_eq!(fs::metadata(&zone.path).expect("it is there").permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link.path).expect("it is there").is_symlink());
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 2, "nothing is left beside it");
        let again = change_zone(&zone, &add(&zone, "www", "A", "192.0.2.2")).expect("it is there already");
        assert_eq!((again.serial, again.delta.added.len()), (8, 0));
    }

    #[test]
    fn what_would_break_the_zone_is_not_written() {
        let scratch = Scratch::new();
        let zone = zone(&scratch, ZONE);
        let error = change_zone(&zone, &add(&zone, "ns", "CNAME", "www")).expect_err("beside an address").to_string();
        assert!(error.contains("example.org.zone:5: ") && error.contains("CNAME"), "{error}");
        assert_eq!(fs::read_to_string(&zone.path).expect("it is there"), ZONE);
        scratch.write("example.org.zone", &format!("{ZONE}www A 192.0.2\n"));
        let error = change_zone(&zone, &add(&zone, "ftp", "A", "192.0.2.2")).expect_err("broken").to_string();
        assert!(error.contains("example.org.zone:5:7: "), "{error}");
    }

    /// An editor that saves between reading and writing does not lose what it saved.
    #[test]
    fn a_file_that_has_changed_is_not_overwritten() {
        let scratch = Scratch::new();
        let zone = zone(&scratch, ZONE);
        assert!(!replace_keeping_owner(&zone.path, b"new", b"other").expect("no error"));
        assert_eq!(fs::read_to_string(&zone.path).expect("it is there"), ZONE);
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn commands_at_once_lose_nothing() {
        let scratch = Scratch::new();
        let zone = zone(&scratch, ZONE);
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let zone = &zone;
                scope.spawn(move || {
                    for number in 0..5 {
                        change_zone(zone, &add(zone, &format!("w{writer}-{number}"), "A", "192.0.2.9")).expect("it is taken");
                    }
                });
            }
        });
        let read = read_zone(&zone).expect("a zone");
        assert_eq!((read.serial(), read.record_count()), (27, 23));
    }
}
