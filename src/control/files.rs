//! Reading what a server starts from: the configuration file and the list of zone files.
//!
//! All mistakes of all files are collected before anything is said, so that one run shows them all. Nothing
//! running is touched here: a reload reads everything first and swaps only if all of it is right.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::{Prefix, Problem, Settings};
use crate::record::Name;

/// Read when it exists and no other file is named.
const DEFAULT_CONFIG: &str = "/etc/cairn/cairn.toml";
const ZONE_FOLDER: &str = "zones";
const ZONE_ENDING: &str = ".zone";
/// A configuration file that is longer is something else, named by mistake.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// What the command line said. It is kept, because a reload must hear it again.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    pub config: Option<PathBuf>,
    /// Empty: not asked for.
    pub listen: Vec<SocketAddr>,
    pub zones: Option<PathBuf>,
}

/// The settings in force, and the file they came from.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub settings: Settings,
    /// `None`: built-in defaults.
    pub file: Option<PathBuf>,
}

/// A zone that is to be served, and where its data is.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneFile {
    pub name: Name,
    pub path: PathBuf,
    /// Who may ask for it.
    pub allow: Vec<Prefix>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ZoneFiles {
    pub files: Vec<ZoneFile>,
    /// The folder that was searched, if there is one.
    pub folder: Option<PathBuf>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// What keeps the rest from being complete.
    pub problems: Vec<Problem>,
}

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
pub(super) fn configuration_as_far_as_it_goes(options: &StartOptions) -> (Configuration, Vec<Problem>) {
    readable_configuration(options, Path::new(DEFAULT_CONFIG))
}

fn readable_configuration(options: &StartOptions, default: &Path) -> (Configuration, Vec<Problem>) {
    let file = options.config.clone().or_else(|| default.exists().then(|| default.to_owned()));
    let (mut settings, problems) = match file.as_ref().map(|path| (path, read_text(path))) {
        Some((path, Ok(text))) => Settings::read_toml(&text, &path.display().to_string()),
        Some((_, Err(problems))) => (Settings::default(), problems),
        None => (Settings::default(), Vec::new()),
    };
    if !options.listen.is_empty() {
        settings.listen_from_command_line(options.listen.clone());
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
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        let what = "this line is not UTF-8 text".to_owned();
        vec![Problem { line, ..Problem::of_file(path.display().to_string(), what) }]
    })
}

/// A folder or a device in the place of a file is told, not read: a pipe would keep the server waiting.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, Problem> {
    let problem = |what: String| Problem::of_file(path.display().to_string(), what);
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => Err(problem("this is not a file".to_owned())),
        _ => fs::read(path).map_err(|error| problem(unreadable(&error))),
    }
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "reading it is not permitted".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Every `[[zone]]`, and every `NAME.zone` of the zone folder that no `[[zone]]` names.
///
/// The folder is the one of the command line, else `zones` beside the configuration file, else `./zones`.
pub(super) fn zone_files(configuration: &Configuration, options: &StartOptions) -> ZoneFiles {
    let mut found = ZoneFiles { folder: zone_folder(configuration, options), ..ZoneFiles::default() };
    let mut by_name: BTreeMap<Name, ZoneFile> = BTreeMap::new();
    for zone in &configuration.settings.zones {
        let file = ZoneFile { name: zone.name.clone(), path: zone.file.clone(), allow: zone.allow.clone() };
        if let Err(error) = fs::metadata(&file.path) {
            // The mistake is in the entry rather than in a file that is not there.
            let named_in = configuration.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            let what = format!("[[zone]] {}: {}: {}", file.name, file.path.display(), unreadable(&error));
            found.problems.push(Problem { line: zone.line, ..Problem::of_file(named_in, what) });
            continue;
        }
        by_name.entry(zone.name.clone()).or_insert(file);
    }
    let folder = found.folder.clone();
    for path in folder.map(|folder| folder_entries(&folder, &mut found.problems)).unwrap_or_default() {
        let name = match zone_name(&path) {
            Some(Ok(name)) => name,
            Some(Err(problem)) => {
                found.problems.push(problem);
                continue;
            }
            None => continue,
        };
        match by_name.get(&name) {
            Some(other) if is_same_file(&other.path, &path) => {}
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
    found.files = by_name.into_values().collect();
    found
}

/// A folder that was named must be there; the others may be missing.
fn zone_folder(configuration: &Configuration, options: &StartOptions) -> Option<PathBuf> {
    if let Some(named) = &options.zones {
        return Some(named.clone());
    }
    let beside = configuration.file.as_ref().and_then(|file| file.parent()).map(|folder| folder.join(ZONE_FOLDER));
    beside.into_iter().chain([PathBuf::from(ZONE_FOLDER)]).find(|folder| folder.is_dir())
}

fn folder_entries(folder: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = entries.unwrap_or_else(|error| {
        problems.push(Problem::of_file(folder.display().to_string(), unreadable(&error)));
        Vec::new()
    });
    paths.sort();
    paths
}

/// `None` for a file that is no zone file by its name: hidden, a folder, or without the ending.
fn zone_name(path: &Path) -> Option<Result<Name, Problem>> {
    let file_name = path.file_name()?.to_string_lossy().into_owned();
    let stem = file_name.strip_suffix(ZONE_ENDING).filter(|stem| !stem.is_empty() && !stem.starts_with('.'))?;
    if path.is_dir() {
        return None;
    }
    Some(Name::parse(stem).map_err(|error| {
        let what = format!("\"{stem}\" is to be the zone's name, but {error}");
        Problem::of_file(path.display().to_string(), what)
    }))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    fn options(config: Option<PathBuf>, zones: Option<PathBuf>) -> StartOptions {
        StartOptions { config, zones, listen: Vec::new() }
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
        assert_eq!(found.notes, [format!("{at}/zones/b.example.zone is not used: the configuration reads b.example. from {at}/elsewhere")]);
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
        assert_eq!(zone_files(&configuration, &none).problems.len(), 2);
    }

    #[test]
    fn no_file_means_the_defaults() {
        let configuration = configuration_or(&options(None, None), Path::new("/nonexistent")).expect("nothing to read");
        assert_eq!((configuration.settings, configuration.file), (Settings::default(), None));
    }
}
