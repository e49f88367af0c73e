//! Reading what a server starts from: the configuration file and the list of zone files.
//!
//! The mistakes of all files are collected before any is reported, so that one run shows all of them. Nothing that runs is
//! changed here: a reload reads everything first and swaps only if all of it is valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::passed_file::unreadable;
use super::rules_to_itself::rules_to_itself;
use crate::config::{Prefix, Problem, Settings, nearest};
use crate::env::TimeZone;
use crate::limits::server::{CONFIG_BYTES_MAX, NEAR_FILES_MAX};
use crate::record::Name;
use crate::zone::Zone;

/// Read when it exists and no other file is named.
pub(in crate::server) const DEFAULT_CONFIG: &str = "/etc/cairn/cairn.toml";
const ZONE_FOLDER: &str = "zones";
/// Searched where no other zones folder is named or stands beside the configuration file.
pub(in crate::server) const DEFAULT_ZONES: &str = "/etc/cairn/zones";
const ZONE_ENDING: &str = ".zone";

/// The command line. It is kept, because a reload needs it again.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    pub config: Option<PathBuf>,
    /// Empty: not given.
    pub listen: Vec<SocketAddr>,
    pub zones: Option<PathBuf>,
    /// A zone that cannot be read prevents a start or a reload.
    pub strict: bool,
    /// The folder of zone files that was read before: it is missing by mistake.
    pub folder_read_before: Option<PathBuf>,
    /// The system's resolvers as they were read before the sandbox closed their file.
    pub resolvers_read_before: Vec<SocketAddr>,
    /// The same of the time zone.
    pub time_zone_read_before: Option<TimeZone>,
    /// A certificate is in force: one that cannot be read any more is told, and the old one stays.
    pub has_certificate: bool,
}

/// The settings in force, and the file they came from.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub settings: Settings,
    /// `None`: built-in defaults.
    pub file: Option<PathBuf>,
}

/// A zone to be served, and the place of its data.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneFile {
    pub name: Name,
    pub path: PathBuf,
    /// Clients that may query it.
    pub allow: Vec<Prefix>,
}

/// A zone that was read from its file.
#[derive(Debug)]
pub struct LoadedZone {
    pub file: ZoneFile,
    pub zone: Arc<Zone>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::server) struct ZoneFiles {
    pub files: Vec<ZoneFile>,
    /// The folder that was searched, if there is one.
    pub folder: Option<PathBuf>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// Zones whose file cannot be read or is ambiguous, each with its mistake.
    pub broken: Vec<BrokenZone>,
    /// Files that are meant to be zone files, but of an unknown zone.
    pub unusable: Vec<Problem>,
    /// Mistakes that prevent the list from being complete.
    pub problems: Vec<Problem>,
}

/// A zone to be served whose data cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokenZone {
    pub name: Name,
    pub path: PathBuf,
    /// At least one anchor.
    pub problems: Vec<Problem>,
}

impl BrokenZone {
    /// One line for clients: the file name without its folders, which clients need not know.
    pub fn why(&self) -> String {
        let Some(first) = self.problems.first() else { return "its file cannot be read".to_owned() };
        let file = Path::new(&first.file).file_name().map_or_else(|| first.file.clone(), |name| name.to_string_lossy().into_owned());
        let folder = self.path.parent().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
        let what = Problem { file, hint: None, what: first.what.replace(&folder, ""), ..first.clone() }.to_string();
        match self.problems.len() - 1 {
            0 => what,
            more => format!("{what} (and {more} more)"),
        }
    }
}

/// The settings in force; fails on any mistake in the file.
pub fn configuration(options: &StartOptions) -> Result<Configuration, Vec<Problem>> {
    configuration_or(options, Path::new(DEFAULT_CONFIG))
}

fn configuration_or(options: &StartOptions, default: &Path) -> Result<Configuration, Vec<Problem>> {
    match readable_configuration(options, default) {
        (configuration, problems) if problems.is_empty() => Ok(configuration),
        (_, problems) => Err(problems),
    }
}

/// As much of the configuration as could be read, so that the files it names can be looked at as well; and its mistakes.
pub(in crate::server) fn configuration_as_far_as_it_goes(options: &StartOptions) -> (Configuration, Vec<Problem>) {
    readable_configuration(options, Path::new(DEFAULT_CONFIG))
}

fn readable_configuration(options: &StartOptions, default: &Path) -> (Configuration, Vec<Problem>) {
    let file = options.config.clone().or_else(|| default.exists().then(|| default.to_owned()));
    let (mut settings, mut problems) = match file.as_ref().map(|path| (path, read_text(path))) {
        Some((path, Ok(text))) => Settings::read_toml(&text, &path.display().to_string()),
        Some((_, Err(problems))) => (Settings::default(), problems),
        None => (Settings::default(), Vec::new()),
    };
    if !options.listen.is_empty() {
        settings.listen_from_command_line(options.listen.clone());
    }
    if let Some(file) = &file {
        problems.extend(rules_to_itself(&settings, file));
    }
    (Configuration { settings, file }, problems)
}

fn read_text(path: &Path) -> Result<String, Vec<Problem>> {
    let problem = |what: String| vec![Problem::of_file(path.display().to_string(), what)];
    let is_long = fs::metadata(path).is_ok_and(|meta| meta.len() > CONFIG_BYTES_MAX);
    if is_long {
        return Err(problem(format!("longer than {} MiB: this is no configuration file", CONFIG_BYTES_MAX >> 20)));
    }
    let bytes = read_bytes(path).map_err(|problem| vec![problem])?;
    String::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |start| start.chars().count()) + 1;
        let what = "this line is not UTF-8 text".to_owned();
        let hint = Some("save the file as UTF-8".to_owned());
        vec![Problem { line, column, hint, ..Problem::of_file(path.display().to_string(), what) }]
    })
}

/// A folder or a device in the place of a file is reported, not read: a pipe would block the server.
pub(in crate::server) fn read_bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let problem = |what: String| Problem::of_file(path.display().to_string(), what);
    match fs::metadata(path).ok().and_then(|meta| no_file(&meta)) {
        Some(what) => Err(problem(what.to_owned())),
        None => fs::read(path).map_err(|error| problem(unreadable(&error))),
    }
}

fn no_file(meta: &fs::Metadata) -> Option<&'static str> {
    match (meta.is_file(), meta.is_dir()) {
        (true, _) => None,
        (false, true) => Some("this is a folder, not a file"),
        (false, false) => Some("this is a pipe or a device, not a file"),
    }
}

/// Why a file that the configuration names cannot be read, and what to do about it: the mistake is in the configuration then,
/// not in a missing file.
pub(super) fn why_not_readable(path: &Path) -> Option<(String, Option<String>)> {
    let readable = fs::metadata(path).and_then(|meta| match no_file(&meta) {
        Some(what) => Ok(Some(what)),
        None => fs::File::open(path).map(|_| None),
    });
    let (what, hint) = match readable {
        Ok(None) => return None,
        Ok(Some(what)) => (what.to_owned(), None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                let hint = "a relative path starts at the folder of this configuration file";
                (format!("there is no folder {}", folder.display()), Some(hint.to_owned()))
            }
            _ => (unreadable(&error), near_file(path)),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            (unreadable(&error), Some("let the user that runs Cairn read it".to_owned()))
        }
        Err(error) => (unreadable(&error), None),
    };
    Some((format!("{}: {what}", path.display()), hint))
}

fn near_file(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).ok()?.take(NEAR_FILES_MAX).flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = entries.collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = nearest(path.file_name()?.to_str()?, &names)?;
    Some(format!("did you mean {}?", path.with_file_name(near).display()))
}

/// Every `[[zone]]`, and every `NAME.zone` of the zone folder that no `[[zone]]` names.
///
/// The folder is the one of the command line, else `zones` beside the configuration file, else `/etc/cairn/zones`.
pub(in crate::server) fn zone_files(configuration: &Configuration, options: &StartOptions) -> ZoneFiles {
    let folder = zone_folder(configuration, options);
    let mut found = ZoneFiles { folder: folder.as_ref().map(|(folder, _)| folder.clone()), ..ZoneFiles::default() };
    found.notes.extend(folder.filter(|(_, place)| *place == Place::DevelopmentTree).map(|(folder, _)| {
        format!(
            "zones of {}: this is a development tree; elsewhere only --zones, the configuration file and {DEFAULT_ZONES} count",
            folder.display()
        )
    }));
    if let Some(folder) = options.folder_read_before.as_ref().filter(|folder| !folder.is_dir()) {
        let what = "this folder of zone files was there before, and is not now";
        let hint = Some("make an empty one to serve no zone".to_owned());
        found.problems.push(Problem { hint, ..Problem::of_file(folder.display().to_string(), what) });
    }
    let mut by_name: BTreeMap<Name, ZoneFile> = BTreeMap::new();
    let mut from_configuration: BTreeSet<Name> = BTreeSet::new();
    for zone in &configuration.settings.zones {
        from_configuration.insert(zone.name.clone());
        // The data of a secondary comes from its primaries, whatever lies in the zone folder.
        let Some(path) = zone.file.clone().filter(|_| !zone.is_secondary()) else { continue };
        let file = ZoneFile { name: zone.name.clone(), path, allow: zone.allow.clone() };
        if let Some((why, hint)) = why_not_readable(&file.path) {
            let named_in = configuration.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            let problem = Problem::at(
                named_in,
                &zone.file_mark,
                format!("{}.file of {}: {why}", if zone.is_policy { "rpz" } else { "zone" }, file.name),
            );
            let problems = vec![Problem { hint, ..problem }];
            found.broken.push(BrokenZone { name: file.name, path: file.path, problems });
            continue;
        }
        by_name.entry(zone.name.clone()).or_insert(file);
    }
    let folder = found.folder.clone();
    for path in folder.map(|folder| folder_entries(&folder, &mut found.problems)).unwrap_or_default() {
        let name = match zone_name(&path) {
            Some(Ok(name)) => name,
            Some(Err(problem)) => {
                found.unusable.push(problem);
                continue;
            }
            None => {
                found.notes.extend(perhaps_a_zone(&path));
                continue;
            }
        };
        match by_name.get(&name) {
            // The file cannot be read, which is reported already.
            None if from_configuration.contains(&name) => {}
            Some(other) if is_same_file(&other.path, &path) => {}
            Some(other) if !from_configuration.contains(&name) => {
                let what = format!("the zone {name} has two files: {} is the other", other.path.display());
                let hint = Some("keep one of them".to_owned());
                let problems = vec![Problem { hint, ..Problem::of_file(path.display().to_string(), what) }];
                found.broken.push(BrokenZone { name, path, problems });
            }
            Some(other) => {
                let (left_out, used) = (path.display(), other.path.display());
                found.notes.push(format!("{left_out} is not used: the configuration reads {name} from {used}"));
            }
            None => {
                let allow = vec![Prefix::ALL_IPV4, Prefix::ALL_IPV6];
                by_name.insert(name.clone(), ZoneFile { name, path, allow });
            }
        }
    }
    // It is not clear which of two files is meant.
    by_name.retain(|name, _| !found.broken.iter().any(|broken| broken.name == *name));
    found.files = by_name.into_values().collect();
    found
}

/// Why a folder is the zones folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Named,
    BesideConfiguration,
    System,
    DevelopmentTree,
}

fn zone_folder(configuration: &Configuration, options: &StartOptions) -> Option<(PathBuf, Place)> {
    let program = std::env::current_exe().and_then(fs::canonicalize).unwrap_or_default();
    let here = std::env::current_dir().and_then(fs::canonicalize).unwrap_or_default();
    zone_folder_of(configuration, options, Path::new(DEFAULT_ZONES), &program, &here)
}

/// A folder that was named must exist; the others may be missing.
///
/// `zones` in the current folder counts only if the program itself was built in that folder: somebody who starts Cairn in a
/// folder of another person must not serve the zones of that person.
fn zone_folder_of(
    configuration: &Configuration,
    options: &StartOptions,
    system: &Path,
    program: &Path,
    here: &Path,
) -> Option<(PathBuf, Place)> {
    if let Some(named) = &options.zones {
        return Some((named.clone(), Place::Named));
    }
    let beside = configuration.file.as_ref().and_then(|file| file.parent()).map(|folder| folder.join(ZONE_FOLDER));
    let is_development_tree = program.starts_with(here.join("target"));
    let tree = is_development_tree.then(|| PathBuf::from(ZONE_FOLDER));
    let places = [(beside, Place::BesideConfiguration), (Some(system.to_owned()), Place::System), (tree, Place::DevelopmentTree)];
    let is_there = |folder: &Path, place| if place == Place::DevelopmentTree { here.join(folder).is_dir() } else { folder.is_dir() };
    places.into_iter().filter_map(|(folder, place)| Some((folder?, place))).find(|(folder, place)| is_there(folder, *place))
}

fn folder_entries(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = entries.unwrap_or_else(|error| {
        problems.push(Problem::of_file(folder.display().to_string(), unreadable(&error)));
        Vec::new()
    });
    paths.sort_unstable();
    paths
}

/// `None` for a file whose name is not that of a zone file: hidden, a folder, or without the ending.
fn zone_name(path: &Path) -> Option<Result<Name, Problem>> {
    let file_name = path.file_name()?.to_string_lossy().into_owned();
    let stem = file_name.strip_suffix(ZONE_ENDING).filter(|stem| !stem.is_empty() && !stem.starts_with('.'))?;
    if path.is_dir() {
        return None;
    }
    Some(Name::parse(stem).map_err(|error| {
        let what = format!("\"{stem}\" would be the zone's name, but {error}");
        Problem::of_file(path.display().to_string(), what)
    }))
}

/// `db.example.org`, `example.org.db`: names that zone files have elsewhere.
fn perhaps_a_zone(path: &Path) -> Option<String> {
    let file_name = path.file_name()?.to_str()?;
    let ending = [".db", ".zone.txt", ".hosts"].iter().find_map(|ending| file_name.strip_suffix(ending));
    let name = file_name.strip_prefix("db.").or(ending).filter(|name| !name.is_empty() && !path.is_dir())?;
    Some(format!("{} is not read: a zone file is called NAME{ZONE_ENDING}, here {name}{ZONE_ENDING}", path.display()))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;

    fn options(config: Option<PathBuf>, zones: Option<PathBuf>) -> StartOptions {
        StartOptions { config, zones, ..StartOptions::default() }
    }

    #[test]
    fn the_first_zones_folder_that_counts() {
        let scratch = Scratch::new();
        for file in ["etc/zones/x", "system/x", "tree/zones/x", "tree/target/release/cairn", "bin/cairn"] {
            scratch.write(file, "");
        }
        let at = |name: &str| scratch.path().join(name);
        let with = |file: Option<PathBuf>| Configuration { settings: Settings::default(), file };
        for (config, named, system, program, expected) in [
            (Some("etc/cairn.toml"), Some("none"), "system", "bin/cairn", Some((at("none"), Place::Named))),
            (Some("etc/cairn.toml"), None, "system", "tree/target/release/cairn", Some((at("etc/zones"), Place::BesideConfiguration))),
            (Some("bin/cairn.toml"), None, "system", "tree/target/release/cairn", Some((at("system"), Place::System))),
            (None, None, "system", "tree/target/release/cairn", Some((at("system"), Place::System))),
            (None, None, "none", "tree/target/release/cairn", Some((PathBuf::from("zones"), Place::DevelopmentTree))),
            (None, None, "none", "bin/cairn", None),
        ] {
            let options = options(None, named.map(at));
            let found = zone_folder_of(&with(config.map(at)), &options, &at(system), &at(program), &at("tree"));
            assert_eq!(found, expected, "{config:?} {named:?} {system} {program}");
        }
    }

    fn shown(found: &ZoneFiles) -> String {
        let files: Vec<String> = found.files.iter().map(|file| format!("{} {}", file.name, file.path.display())).collect();
        files.join(", ")
    }

    #[test]
    fn zones_beside_the_configuration() {
        let scratch = Scratch::new();
        scratch.write("zones/example.org.zone", "");
        scratch.write("zones/b.example.zone", "");
        scratch.write("zones/notes.txt", "");
        scratch.write("zones/db.example.net", "");
        scratch.write("zones/.hidden.zone", "");
        scratch.write("elsewhere", "");
        let text = "[[zone]]\nname = 'b.example'\nfile = 'elsewhere'\n[[zone]]\nname='c.example'\nfile='zones/example.org.zone'\n";
        let config = scratch.write("cairn.toml", text);
        let options = options(Some(config), None);
        let configuration = configuration_or(&options, Path::new("/nonexistent")).expect("valid");
        let found = zone_files(&configuration, &options);
        let at = scratch.path().display();
        let expected =
            format!("b.example. {at}/elsewhere, c.example. {at}/zones/example.org.zone, example.org. {at}/zones/example.org.zone");
        assert_eq!(shown(&found), expected);
        let notes = [
            format!("{at}/zones/b.example.zone is not used: the configuration reads b.example. from {at}/elsewhere"),
            format!("{at}/zones/db.example.net is not read: a zone file is called NAME.zone, here example.net.zone"),
        ];
        assert_eq!(found.notes, notes);
    }

    #[test]
    fn the_command_line_names_another_folder() {
        let scratch = Scratch::new();
        scratch.write("zones/a.example.zone", "");
        let zone = scratch.write("mine/B.example.zone", "");
        let config = scratch.write("cairn.toml", "[server]\nlisten = ['127.0.0.1:5301']");
        let mut options = options(Some(config), Some(scratch.path().join("mine")));
        options.listen = vec!["127.0.0.1:5302".parse().expect("an address")];
        let configuration = configuration_or(&options, Path::new("/nonexistent")).expect("valid");
        assert_eq!(configuration.settings.server.listen, Some(options.listen.clone()));
        assert_eq!(shown(&zone_files(&configuration, &options)), format!("b.example. {}", zone.display()));
        options.zones = Some(scratch.path().join("missing"));
        let problems = zone_files(&configuration, &options).problems;
        assert!(problems[0].to_string().ends_with("missing: there is no such file or folder"), "{problems:?}");
    }

    #[test]
    fn bad_files_are_told() {
        let scratch = Scratch::new();
        let missing = configuration_or(&options(Some(scratch.path().join("none.toml")), None), Path::new("/nonexistent"));
        assert!(missing.expect_err("missing")[0].to_string().ends_with("none.toml: there is no such file or folder"));
        let binary = scratch.write_bytes("binary.toml", b"[server]\n\xff\n");
        let refused = configuration_or(&options(Some(binary), None), Path::new("/nonexistent")).expect_err("not text");
        assert_eq!((refused[0].line, refused[0].what.as_str()), (2, "this line is not UTF-8 text"));
        scratch.write("zones/a..b.zone", "");
        scratch.write("zones/c..d.zone", "");
        let default = scratch.write("cairn.toml", "");
        let none = options(None, None);
        let configuration = configuration_or(&none, &default).expect("the default file is read");
        assert_eq!(configuration.file, Some(default));
        assert_eq!(zone_files(&configuration, &none).unusable.len(), 2);
    }

    #[test]
    fn no_file_means_the_defaults() {
        let configuration = configuration_or(&options(None, None), Path::new("/nonexistent")).expect("nothing to read");
        assert_eq!((configuration.settings, configuration.file), (Settings::default(), None));
    }
}
