//! Everything that a server starts from, read and checked: settings, zones, root hints, trust anchors.
//!
//! A reload makes a new one, and only a whole one is swapped in: with one mistake anywhere, the old stays.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Configuration, StartOptions, ZoneFile, configuration_as_far_as_it_goes, read_bytes, zone_files};
use super::root::{root_hints, trust_anchors};
use crate::config::{Problem, Settings};
use crate::record::Name;
use crate::validate::Anchor;
use crate::zone::{self, Severity, Zone, load_zone};

#[derive(Debug)]
pub struct Sources {
    pub settings: Settings,
    /// `None`: built-in defaults.
    pub config_file: Option<PathBuf>,
    /// Sorted by name, each name once.
    pub zones: Vec<LoadedZone>,
    /// The folder of zone files, if there is one.
    pub zone_folder: Option<PathBuf>,
    /// The root's servers by name and address.
    pub root_hints: Vec<(Name, IpAddr)>,
    pub trust_anchors: Vec<Anchor>,
    /// Where to keep what outlives a restart; found by whoever starts a server.
    pub state_folder: Option<PathBuf>,
    /// What is odd but not wrong, such as a name server without an address in its own zone.
    pub warnings: Vec<Problem>,
    /// For the person at the terminal.
    pub notes: Vec<String>,
}

#[derive(Debug)]
pub struct LoadedZone {
    pub file: ZoneFile,
    pub zone: Arc<Zone>,
}

impl Sources {
    /// Reads all files; the problems of all of them are told together.
    pub fn read(options: &StartOptions) -> Result<Sources, Vec<Problem>> {
        let (configuration, mut problems) = configuration_as_far_as_it_goes(options);
        let found = zone_files(&configuration, options);
        problems.extend(found.problems);
        let (mut zones, mut warnings) = (Vec::new(), Vec::new());
        for file in found.files {
            match load(&file) {
                Ok((zone, odd)) => {
                    zones.push(LoadedZone { file, zone });
                    warnings.extend(odd);
                }
                Err(mistakes) => problems.extend(mistakes),
            }
        }
        let Configuration { settings, file: config_file } = configuration;
        let mut collect = |mistakes| problems.extend(mistakes);
        let root_hints = root_hints(settings.recursion.root_hints.as_deref()).map_err(&mut collect).unwrap_or_default();
        let trust_anchors = trust_anchors(settings.recursion.trust_anchor.as_deref()).map_err(&mut collect).unwrap_or_default();
        if !problems.is_empty() {
            return Err(problems);
        }
        let (zone_folder, notes) = (found.folder, found.notes);
        Ok(Sources { settings, config_file, zones, zone_folder, root_hints, trust_anchors, state_folder: None, warnings, notes })
    }
}

/// Reads one zone. $INCLUDE starts at the folder of the zone's file.
fn load(file: &ZoneFile) -> Result<(Arc<Zone>, Vec<Problem>), Vec<Problem>> {
    let folder = file.path.parent().unwrap_or(Path::new("")).to_owned();
    let file_name = file.path.display().to_string();
    let mut is_first = true;
    let mut open = |name: &str| {
        let path = if std::mem::take(&mut is_first) { file.path.clone() } else { folder.join(name) };
        read_bytes(&path).map_err(|problem| io::Error::other(problem.what))
    };
    let told = |problems: Vec<zone::Problem>| problems.into_iter().map(Problem::from).collect::<Vec<_>>();
    match load_zone(&file.name, &file_name, &mut open) {
        Ok((zone, warnings)) => Ok((Arc::new(zone), told(warnings))),
        // Beside errors, warnings mislead: much of what they miss may stand on the lines that could not be read.
        Err(problems) => Err(told(problems.into_iter().filter(|problem| problem.severity == Severity::Error).collect())),
    }
}

impl From<zone::Problem> for Problem {
    fn from(problem: zone::Problem) -> Problem {
        let what = match problem.severity {
            Severity::Warning => format!("warning: {}", problem.message),
            Severity::Error => problem.message,
        };
        let (line, column) = (problem.line as usize, problem.column as usize);
        Problem { file: problem.file.to_string(), line, column, what, hint: None, excerpt: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    const ZONE: &str = "$TTL 1h\n@ SOA ns hostmaster 1 1d 2h 4w 1h\n@ NS ns\nns A 192.0.2.1\n";

    fn read(scratch: &Scratch, config: &str) -> Result<Sources, Vec<Problem>> {
        let config = Some(scratch.write("cairn.toml", config));
        Sources::read(&StartOptions { config, ..StartOptions::default() })
    }

    #[test]
    fn everything_is_read() {
        let scratch = Scratch::new();
        scratch.write("zones/example.org.zone", &format!("{ZONE}$INCLUDE more\n"));
        scratch.write("zones/more", "www A 192.0.2.2\n");
        let sources = read(&scratch, "").expect("all is right");
        assert_eq!((sources.zones.len(), sources.zones[0].zone.record_count()), (1, 4));
        assert_eq!((sources.root_hints.len(), sources.trust_anchors.len()), (26, 2));
        assert_eq!(sources.zone_folder, Some(scratch.path().join("zones")));
    }

    /// One run tells the mistakes of all files, each with its place.
    #[test]
    fn all_mistakes_of_all_files_are_told() {
        let scratch = Scratch::new();
        scratch.write("zones/a.example.zone", &format!("{ZONE}www A 192.0.2\n"));
        scratch.write("zones/b.example.zone", &format!("{ZONE}www QQ 1\n"));
        scratch.write("zones/c.example.zone", ZONE);
        scratch.write("zones/d..e.zone", ZONE);
        let entries = "[[zone]]\nname = 'f.example'\nfile = 'missing'\n[[zone]]\nname = 'g..h'\nfile = 'other'\n";
        let config = format!("[recursion]\nroot-hints = 'none'\nsha1 = 1\n{entries}");
        let problems = read(&scratch, &config).expect_err("seven mistakes");
        let shown: Vec<String> = problems.iter().map(|problem| problem.to_string()).collect();
        for part in ["a.example.zone:5", "b.example.zone:5", "d..e.zone: ", "missing: ", "none: there is no such file", ":3:8: ", ":8:8: "]
        {
            assert_eq!(shown.iter().filter(|line| line.contains(part)).count(), 1, "{part}: {shown:#?}");
        }
        assert_eq!(shown.len(), 7, "{shown:#?}");
    }
}
