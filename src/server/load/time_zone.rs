//! The time zone of this machine: `TZ` in the environment, else `/etc/localtime`.

use std::env;
use std::path::Path;

use super::configuration::read_bytes;
use crate::env::TimeZone;

/// The zone that the system administrator has chosen.
const LOCAL_TIME: &str = "/etc/localtime";
/// Folder of the time zone database.
const ZONE_INFO: &str = "/usr/share/zoneinfo";

/// `None` where no file says it, or the file cannot be read, as in the sandbox.
pub(in crate::server) fn time_zone() -> Option<TimeZone> {
    named(env::var("TZ").ok().as_deref(), Path::new(LOCAL_TIME), Path::new(ZONE_INFO))
}

/// As libc does it (tzset(3)): `TZ` is a name or path of a file with or without a colon, or has the rules itself; empty is UTC.
fn named(variable: Option<&str>, local_time: &Path, database: &Path) -> Option<TimeZone> {
    let from_file = |path: &Path| read_bytes(path).ok().and_then(|octets| TimeZone::from_file(&path.display().to_string(), &octets));
    match variable.map(|text| text.strip_prefix(':').unwrap_or(text)) {
        None => from_file(local_time),
        Some("") => Some(TimeZone::UTC),
        // A path that is absolute stays what it is.
        Some(text) => from_file(&database.join(text)).or_else(|| TimeZone::from_rules(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;
    use crate::env::WallTime;

    /// A zone an hour east of Greenwich, in the form of RFC 9636.
    fn zone_file() -> Vec<u8> {
        let block = |long: bool| {
            let header = [b"TZif2".as_slice(), &[0; 15]].concat();
            let counts: Vec<u8> = [0u32, 0, 0, 0, 1, 4].iter().flat_map(|count| count.to_be_bytes()).collect();
            let data = [&3_600i32.to_be_bytes()[..], &[0, 0], b"EAS\0"].concat();
            [header, counts, data, if long { b"\nEAS-1\n".to_vec() } else { Vec::new() }].concat()
        };
        [block(false), block(true)].concat()
    }

    #[test]
    fn each_way_to_name_it() {
        let scratch = Scratch::new();
        let database = scratch.path().join("zoneinfo");
        std::fs::create_dir_all(database.join("Area")).expect("a folder");
        std::fs::write(database.join("Area/City"), zone_file()).expect("a file");
        std::fs::write(scratch.path().join("localtime"), zone_file()).expect("a file");
        std::fs::write(scratch.path().join("broken"), b"TZif").expect("a file");
        let localtime = scratch.path().join("localtime");
        let shown = |variable: Option<&str>, localtime: &Path| {
            named(variable, localtime, &database).map(|zone| zone.local(WallTime(0)).to_string()[11..16].to_owned())
        };
        let whole = localtime.display().to_string();
        for (variable, expected) in [
            (None, Some("01:00")),
            (Some(""), Some("00:00")),
            (Some("Area/City"), Some("01:00")),
            (Some(":Area/City"), Some("01:00")),
            (Some(whole.as_str()), Some("01:00")),
            (Some("XYZ-2"), Some("02:00")),
            (Some("No/Such"), None),
        ] {
            assert_eq!(shown(variable, &localtime).as_deref(), expected, "{variable:?}");
        }
        assert_eq!(shown(None, &scratch.path().join("broken")), None);
        assert_eq!(shown(None, &scratch.path().join("none")), None);
    }
}
