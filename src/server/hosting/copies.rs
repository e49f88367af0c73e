//! Copies of secondary zones as master files, so that a restart serves them while no primary answers.
//!
//! The first line is a comment with the time of the last check, in a field of fixed width that is overwritten in place: a check
//! of a large zone must not write all of it.
//!
//! ```text
//! ; copy of example.org., last checked 000000001764457200
//! example.org. 3600 IN SOA …
//! ```

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::super::state;
use crate::config::ZoneSettings;
use crate::env::WallTime;
use crate::record::{Name, Rtype, rdata_to_text};
use crate::zone::{Cursor, RecordRef, Zone, load_zone, records_from};

const FOLDER: &str = "copies";
const TITLE: &str = "; copy of ";
const CHECKED: &str = ", last checked ";
const TIME_DIGITS: usize = 18;
/// A longer name is shortened, and its hash makes it unique.
const FILE_NAME_BYTES: usize = 200;

/// Where the copy of a zone is kept: in the zone's `file` if it has one, else in the state folder if there is one.
pub(super) fn path_of(zone: &ZoneSettings, folder: Option<&Path>) -> Option<PathBuf> {
    zone.file.clone().or_else(|| Some(folder?.join(FOLDER).join(file_name(&zone.name))))
}

/// Letters, digits, `-`, `_` and inner dots stand for themselves, anything else as `%` and two hexadecimal digits.
pub(in crate::server) fn file_name(zone: &Name) -> String {
    let text = zone.to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let mut name = String::new();
    for byte in text.trim_end_matches('.').bytes() {
        if plain(byte) { name.push(char::from(byte)) } else { name.push_str(&format!("%{byte:02x}")) }
    }
    if name.is_empty() || name.starts_with('.') {
        name.insert(0, '%');
    }
    if name.len() > FILE_NAME_BYTES {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, zone.as_wire());
        let hash: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        name.truncate(FILE_NAME_BYTES - 33);
        name = format!("{name}%{hash}");
    }
    name
}

/// Writes the whole copy; the old one stays until it is complete.
pub(in crate::server) fn write(path: &Path, zone: &Zone, checked: WallTime) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    state::replace_with(path, |file| {
        let mut out = BufWriter::new(file);
        writeln!(out, "{TITLE}{}{CHECKED}{:0TIME_DIGITS$}", zone.apex(), checked.0)?;
        let soa = zone.soa();
        let apex = zone.apex().as_wire();
        let mut result = Ok(());
        if let Some(rdata) = soa.rdatas().next() {
            result = line(&mut out, RecordRef { owner: apex, rtype: Rtype::SOA, ttl: soa.ttl, rdata });
        }
        records_from(zone, &mut Cursor::default(), |record| {
            if result.is_ok() {
                result = line(&mut out, record);
            }
            result.is_ok()
        });
        result?;
        out.flush()
    })
}

fn line(out: &mut impl Write, record: RecordRef<'_>) -> io::Result<()> {
    let owner = Name::from_wire(record.owner).map_err(io::Error::other)?;
    writeln!(out, "{owner} {} IN {} {}", record.ttl, record.rtype, rdata_to_text(record.rtype, record.rdata))
}

/// Notes that the copy was right at this time.
pub(super) fn touch(path: &Path, zone: &Name, checked: WallTime) -> io::Result<()> {
    let at = (TITLE.len() + zone.to_string().len() + CHECKED.len()) as u64;
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    if checked_in(&file, zone).is_none() {
        // A master file that somebody put there: its own time says as much.
        return Ok(());
    }
    file.write_all_at(format!("{:0TIME_DIGITS$}", checked.0).as_bytes(), at)
}

/// The time in the first line.
fn checked_in(file: &fs::File, zone: &Name) -> Option<WallTime> {
    let title = format!("{TITLE}{zone}{CHECKED}");
    let mut first = vec![0; title.len() + TIME_DIGITS];
    file.read_exact_at(&mut first, 0).ok()?;
    let digits = String::from_utf8(first).ok()?;
    digits.strip_prefix(&title)?.parse().ok().map(WallTime)
}

/// The copy, and when it was last known to be right; `None` if there is none.
pub(in crate::server) fn read(path: &Path, zone: &Name) -> Result<Option<(Zone, WallTime)>, String> {
    let mut file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("this is no file".to_owned());
    }
    let modified = || meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| WallTime(since.as_secs()));
    let checked = checked_in(&file, zone).or_else(modified).unwrap_or_default();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let mut text = Some(bytes);
    let loaded = load_zone(zone, "copy", &mut |_| text.take().ok_or_else(|| io::Error::other("a copy includes no other file")));
    match loaded {
        Ok((zone, _)) => Ok(Some((zone, checked))),
        Err(problems) => Err(problems.first().map_or_else(String::new, ToString::to_string)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;
    use crate::zone::have_same_data;

    fn name(text: &str) -> Name {
        Name::parse(text).expect(text)
    }

    fn zone(text: &str) -> Zone {
        load_zone(&name("example."), "test", &mut |_| Ok(text.as_bytes().to_vec())).unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    #[test]
    fn what_is_written_is_read() {
        let scratch = Scratch::new();
        let path = scratch.path().join("folder/example");
        assert!(read(&path, &name("example.")).expect("no error").is_none());
        let text = "$TTL 300\n@ SOA ns host 7 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n\\*\\.x TXT \"a;\\\"b\\255\"\n*.w TYPE65300 \\# 2 00ff\n\
                    ns RRSIG A 8 2 300 20300101000000 20200101000000 1 example. Zm9v\n_s SVCB 1 . alpn=h2 port=53\nm 60 MX 1 A.b\n";
        let zone = zone(text);
        write(&path, &zone, WallTime(1_764_457_200)).expect("written");
        let (copy, checked) = read(&path, &name("example.")).expect("it is one").expect("it is there");
        assert!(have_same_data(&zone, &copy), "{}", fs::read_to_string(&path).expect("text"));
        assert_eq!(checked, WallTime(1_764_457_200));
        touch(&path, &name("example."), WallTime(1_764_457_201)).expect("touched");
        let (copy, checked) = read(&path, &name("example.")).expect("it is one").expect("it is there");
        assert!(have_same_data(&zone, &copy) && checked == WallTime(1_764_457_201));
    }

    #[test]
    fn a_file_of_somebody_else_keeps_its_own_time() {
        let scratch = Scratch::new();
        let path = scratch.write("example.zone", "$TTL 300\n@ SOA ns host 7 2 3 4 60\n@ NS ns\nns A 192.0.2.53\n");
        touch(&path, &name("example."), WallTime(7)).expect("nothing to write");
        let (_, checked) = read(&path, &name("example.")).expect("it is one").expect("it is there");
        assert!(checked.0 > 1_700_000_000);
        scratch.write("example.zone", "cut in the mid");
        assert!(read(&path, &name("example.")).is_err());
    }

    #[test]
    fn names_of_files() {
        for (zone, expected) in [("example.org.", "example.org"), (".", "%"), ("a/b.c.", "a%2fb.c"), ("\\..c.", "%5c..c")] {
            assert_eq!(file_name(&name(zone)), expected);
        }
        let long = |last: char| name(&format!("{}.{}.{}.{last}.", "a".repeat(63), "b".repeat(63), "c".repeat(63)).repeat(1));
        let (one, other) = (
            file_name(&long('x')),
            file_name(&name(&format!("{}.{}.{}.{}.", "\\000".repeat(20), "b".repeat(63), "c".repeat(63), "d".repeat(60)))),
        );
        assert!(one.len() <= FILE_NAME_BYTES && other.len() == FILE_NAME_BYTES, "{} {}", one.len(), other.len());
    }
}
