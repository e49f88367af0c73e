//! The folder for state that outlives a restart. Its files are written completely or not at all, and are readable by the owner
//! only.
//!
//! A server runs without such a folder too: it then starts from the built-in and configured data.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::passed_file;
use super::system::belongs_to_us;
use crate::config::ServerSettings;

/// The folder that packages create. Cairn never creates it: that is the installer's task.
const SYSTEM: &str = "/var/lib/cairn";

/// The saved cache.
pub(super) const CACHE: &str = "cache";
/// The state of the trust anchors (RFC 5011).
pub(super) const ANCHORS: &str = "trust-anchors";
const LOCK: &str = "lock";
/// What stands in a folder that Cairn has used.
const OWN_FILES: [&str; 3] = [LOCK, CACHE, ANCHORS];

/// The configured folder; else systemd's $STATE_DIRECTORY, else the user's, else the system's. It is writable.
pub(super) fn folder(server: &ServerSettings) -> Result<PathBuf, String> {
    folder_of(server, |name| env::var_os(name), Path::new(SYSTEM))
}

/// Where it would be: to be looked into, not to be written to. What is in it is believed, so a folder of others does not count.
pub(super) fn place(server: &ServerSettings) -> Option<PathBuf> {
    let named = named(server.state_dir.as_deref(), |name| env::var_os(name));
    named.or_else(|| Some(PathBuf::from(SYSTEM))).filter(|path| path.is_dir() && belongs_to_us(path, server.user.as_deref()).is_ok())
}

/// An error if the folder has files, and none that Cairn makes there. Everything in the folder becomes the property of the
/// server's user, which must not happen to a folder such as `/var/lib`.
pub(super) fn is_for_state_alone(folder: &Path) -> Result<(), String> {
    let told = |error: io::Error| format!("{}: {error}", folder.display());
    let is_shared = |names: &[OsString]| !names.is_empty() && !names.iter().any(|name| OWN_FILES.iter().any(|own| name == own));
    let names = fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>());
    match is_shared(&names.map_err(told)?) {
        true => Err(format!("{} holds files of others; name a folder for Cairn alone", folder.display())),
        false => Ok(()),
    }
}

/// Holds the folder for this process, as long as the result lives: two servers would write over each other's files.
pub(super) fn hold(folder: &Path) -> Result<fs::File, String> {
    let path = folder.join(LOCK);
    let told = |error: io::Error| format!("{}: {error}", path.display());
    // Root holds a folder of the server's user, who may have put a link or a FIFO there.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).custom_flags(flags).open(&path);
    let file = file.and_then(passed_file::regular).map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(format!("another Cairn uses {}", folder.display())),
        // A file system without locks.
        Err(fs::TryLockError::Error(_)) => Ok(file),
    }
}

fn named(configured: Option<&Path>, var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // Relative paths in these variables are ignored (XDG Base Directory); of several paths the first is used.
    let first = |name: &str| env::split_paths(&var(name)?).next().filter(|path| path.is_absolute());
    configured.map(Path::to_owned).or_else(|| first("STATE_DIRECTORY")).or_else(|| Some(first("XDG_STATE_HOME")?.join("cairn")))
}

fn folder_of(server: &ServerSettings, var: impl Fn(&str) -> Option<OsString>, system: &Path) -> Result<PathBuf, String> {
    let usable = |folder: &Path| usable(folder, server.user.as_deref());
    if let Some(path) = named(server.state_dir.as_deref(), var) {
        return usable(&path).map(|()| path.clone()).map_err(|error| format!("{} cannot be used: {error}", path.display()));
    }
    match system.is_dir().then(|| usable(system)) {
        Some(Ok(())) => Ok(system.to_owned()),
        Some(Err(error)) => Err(format!("{} cannot be used: {error}; `state-dir` names another folder", system.display())),
        None => Err("no folder is named by `state-dir`, $STATE_DIRECTORY or $XDG_STATE_HOME".to_owned()),
    }
}

/// Makes it if need be, and sees whether a file can be written there, though by nobody else.
pub(super) fn usable(folder: &Path, user: Option<&str>) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    belongs_to_us(folder, user)?;
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    write_new(&probe, |_| Ok(()))?;
    fs::remove_file(probe)
}

/// Replaces the file in one step: a reader sees the old or the new content, even after a power failure.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// As `replace`, with the content that `write` writes; if `write` fails, the old file stays.
pub(super) fn replace_with<T>(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<T>) -> io::Result<T> {
    // Always the same name, so that the file that a killed process left behind is overwritten.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let done = write_new(&beside, write).and_then(|done| fs::rename(&beside, path).map(|()| done));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done
}

fn write_new<T>(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<T>) -> io::Result<T> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // `create_new` does not follow a link that somebody else put there.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let done = write(&mut file)?;
    file.sync_all()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;
    use crate::config::Settings;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn settings(state_dir: Option<&Path>) -> ServerSettings {
        ServerSettings { state_dir: state_dir.map(Path::to_owned), ..Settings::default().server }
    }

    #[test]
    fn the_first_folder_that_is_named() {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name);
        let nowhere = at("none");
        let find = |configured: Option<&Path>, vars: &[(&str, OsString)], system: &Path| {
            folder_of(&settings(configured), |name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()), system)
        };
        let systemd = ("STATE_DIRECTORY", env::join_paths([at("systemd"), at("second")]).expect("no colon"));
        let user = ("XDG_STATE_HOME", at("user").into_os_string());
        let both = [systemd, user.clone()];
        assert_eq!(find(Some(&at("mine")), &both, &nowhere), Ok(at("mine")));
        assert_eq!(find(None, &both, &nowhere), Ok(at("systemd")));
        assert_eq!(find(None, &[user], scratch.path()), Ok(at("user/cairn")));
        assert_eq!(find(None, &[("XDG_STATE_HOME", "relative".into())], scratch.path()), Ok(scratch.path().to_owned()));
        assert!(find(None, &[], &nowhere).expect_err("nothing is named").starts_with("no folder is named"));
        assert!(!nowhere.exists(), "the system's folder is not made");
        scratch.write("file", "");
        assert!(find(Some(&at("file")), &[], scratch.path()).expect_err("a file").contains("file cannot be used: "));
    }

    /// Whoever may put files there could have us trust keys, and give out a cache, of his own making.
    #[test]
    fn a_folder_that_anybody_may_write_to_is_not_used() {
        let scratch = Scratch::new();
        for (mode, fit) in [(0o700, true), (0o775, true), (0o777, false), (0o1777, false)] {
            fs::set_permissions(scratch.path(), fs::Permissions::from_mode(mode)).expect("it is ours");
            let found = folder_of(&settings(Some(scratch.path())), |_| None, Path::new(SYSTEM));
            assert_eq!(found.is_ok(), fit, "{mode:o}: {found:?}");
            assert!(fit || found.is_err_and(|told| told.ends_with("anybody may write to it")));
        }
    }

    #[test]
    fn a_folder_of_others_is_not_given_away() {
        let scratch = Scratch::new();
        assert_eq!(is_for_state_alone(scratch.path()), Ok(()), "an empty one");
        scratch.write("dpkg", "");
        assert!(is_for_state_alone(scratch.path()).expect_err("it is shared").ends_with("name a folder for Cairn alone"));
        hold(scratch.path()).expect("free");
        assert_eq!(is_for_state_alone(scratch.path()), Ok(()), "it has been used before");
        assert!(is_for_state_alone(&scratch.path().join("none")).is_err());
    }

    #[test]
    fn one_server_holds_a_folder() {
        let scratch = Scratch::new();
        let held = hold(scratch.path()).expect("free");
        assert!(hold(scratch.path()).expect_err("held").starts_with("another Cairn uses "));
        drop(held);
        hold(scratch.path()).expect("free again");
    }

    /// Root holds a folder that belongs to the server's user, who may have put anything there.
    #[test]
    fn the_lock_is_a_file_and_no_way_elsewhere() {
        let scratch = Scratch::new();
        let (lock, elsewhere) = (scratch.path().join(LOCK), scratch.path().join("elsewhere"));
        symlink(&elsewhere, &lock).expect("a link");
        assert!(hold(scratch.path()).is_err() && !elsewhere.exists(), "a link is not followed");
        fs::remove_file(&lock).expect("it is ours");
        rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("a FIFO");
        assert!(hold(scratch.path()).is_err(), "a FIFO is not waited for");
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_private() {
        let scratch = Scratch::new();
        let path = scratch.path().join("anchors");
        replace(&path, b"one").expect("a new file");
        replace(&path, b"two").expect("in its place");
        assert_eq!(fs::read(&path).expect("it is there"), b"two");
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 1, "nothing is left beside it");
        assert!(replace(&scratch.path().join("missing/anchors"), b"").is_err());
    }
}
