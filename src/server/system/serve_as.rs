//! Which account a server started as root becomes, and what is made that account's own before.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, openat};

use super::account::{self, Account};
use super::folders::DEFAULT_USER;
use crate::limits::server::GIVEN_FOLDERS_DEPTH_MAX;

/// The decision, made before anything is given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct ServeAs {
    /// `None`: the server stays what it is.
    pub(in crate::server) account: Option<Account>,
    /// Somebody has asked for this account, so that another one will not do.
    pub(in crate::server) is_asked_for: bool,
    /// Why a server that was started as root stays root.
    pub(in crate::server) stays_root: Option<String>,
}

/// `configured` is `server.user`.
pub(in crate::server) fn serve_as(configured: Option<&str>) -> Result<ServeAs, String> {
    let maps = ["/proc/self/uid_map", "/proc/self/gid_map"].map(|file| fs::read_to_string(file).unwrap_or_default());
    let find = |name: &str| account::find(name).map_err(|error| format!("the accounts of this system cannot be read: {error}"));
    choose(configured, account::effective_uid(), find, &maps)
}

fn choose(
    configured: Option<&str>,
    own_uid: u32,
    find: impl Fn(&str) -> Result<Option<Account>, String>,
    [uid_map, gid_map]: &[String; 2],
) -> Result<ServeAs, String> {
    let stay = |why: Option<String>| Ok(ServeAs { account: None, is_asked_for: configured.is_some(), stays_root: why });
    let name = configured.unwrap_or(DEFAULT_USER);
    let account = match (find(name), configured) {
        (Ok(found), _) => found,
        (Err(error), Some(_)) => return Err(error),
        (Err(_), None) => None,
    };
    match (account, configured) {
        (None, Some(name)) => Err(format!("server.user: there is no account \"{name}\" on this system")),
        (Some(account), _) if account.uid == own_uid => stay(None),
        (Some(account), Some(name)) if own_uid != 0 => {
            Err(format!("server.user: only root can become \"{name}\" (uid {}), and this process has uid {own_uid}", account.uid))
        }
        (_, None) if own_uid != 0 => stay(None),
        (None, None) => stay(Some(format!("there is no account \"{DEFAULT_USER}\"; `user` below [server] names another"))),
        (Some(account), _) if is_mapped(account.uid, uid_map) && is_mapped(account.gid, gid_map) => {
            Ok(ServeAs { account: Some(account), is_asked_for: configured.is_some(), stays_root: None })
        }
        (Some(account), asked) => {
            let why = format!("this user namespace has no uid {} or no gid {} for \"{}\"", account.uid, account.gid, account.name);
            if asked.is_some() { Err(format!("server.user: {why}")) } else { stay(Some(why)) }
        }
    }
}

/// Each line: first id inside, first id outside, count. Without the file (an old kernel) every id is there.
fn is_mapped(id: u32, map: &str) -> bool {
    let covers = |line: &str| {
        let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        matches!(fields.as_slice(), [first, _, count] if (*first..first + count).contains(&u64::from(id)))
    };
    map.is_empty() || map.lines().any(covers)
}

impl ServeAs {
    /// Makes the file or folder, and what root has left in the folder, the account's own. Links are not followed, and a file
    /// that has a second name elsewhere stays root's: whoever could write to the folder may have made it.
    pub(in crate::server) fn give(&self, path: &Path) -> io::Result<()> {
        match &self.account {
            Some(account) => give(&hold(CWD, path)?, account, GIVEN_FOLDERS_DEPTH_MAX),
            None => Ok(()),
        }
    }
}

/// What has this name now, a link itself included. Whoever can write to the folder may give the name to something else at any
/// time, so each step uses what is held, and no path.
fn hold(folder: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    Ok(openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

fn give(held: &OwnedFd, account: &Account, depth: usize) -> io::Result<()> {
    let meta = fstat(held)?;
    let kind = FileType::from_raw_mode(meta.st_mode);
    if kind.is_dir() && depth > 0 {
        let folder = openat(held, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            if ![c".", c".."].contains(&entry.file_name()) {
                give(&hold(&folder, entry.file_name())?, account, depth - 1)?;
            }
        }
    }
    let is_of_root_alone = meta.st_uid == 0 && (kind.is_dir() || meta.st_nlink == 1) && !kind.is_symlink();
    if is_of_root_alone {
        chownat(held, c"", Some(Uid::from_raw(account.uid)), Some(Gid::from_raw(account.gid)), AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    use std::os::unix::net::UnixListener;

    use super::super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn who_is_become() {
        let all = "         0          0 4294967295\n".to_owned();
        let one = "         0       1000          1\n".to_owned();
        for (configured, own_uid, accounts, map, expected) in [
            (None, 0, &["cairn"][..], &all, Ok(Some("cairn"))),
            (Some("dns"), 0, &["cairn", "dns"], &all, Ok(Some("dns"))),
            (None, 0, &[], &all, Ok(None)),
            (None, 0, &["cairn"], &one, Ok(None)),
            (None, 1000, &["cairn"], &all, Ok(None)),
            (Some("cairn"), 7, &["cairn"], &all, Ok(None)),
            (
                Some("cairn"),
                1000,
                &["cairn"],
                &all,
                Err("server.user: only root can become \"cairn\" (uid 7), and this process has uid 1000"),
            ),
            (Some("cairn"), 0, &["cairn"], &one, Err("server.user: this user namespace has no uid 7 or no gid 7 for \"cairn\"")),
            (Some("dns"), 0, &["cairn"], &all, Err("server.user: there is no account \"dns\" on this system")),
        ] {
            let find = |name: &str| Ok(accounts.contains(&name).then(|| account::testing::account(name, 7)));
            let chosen = choose(configured, own_uid, find, &[map.clone(), map.clone()]);
            let shown = chosen.as_ref().map(|chosen| chosen.account.as_ref().map(|account| &*account.name)).map_err(String::as_str);
            assert_eq!(shown, expected, "{configured:?} {own_uid} {accounts:?} {map}");
            let tells = chosen.is_ok_and(|chosen| chosen.stays_root.is_some());
            assert_eq!(tells, own_uid == 0 && expected == Ok(None), "{configured:?} {own_uid} {accounts:?}: root is told why it stays");
        }
    }

    #[test]
    fn only_what_is_of_root_alone_is_given() {
        // Nobody else can give anything away.
        if account::effective_uid() != 0 {
            return;
        }
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir_all(at("state/zones")).expect("a folder");
        for file in ["state/cache", "state/zones/a.example", "state/theirs", "state/two-names", "elsewhere"] {
            fs::write(at(file), "").expect(file);
        }
        chown(at("state/theirs"), Some(8), Some(8)).expect("theirs");
        fs::hard_link(at("state/two-names"), at("second")).expect("a second name");
        symlink(at("elsewhere"), at("state/link")).expect("a link");
        let _socket = UnixListener::bind(at("control.sock")).expect("a socket");
        let to = ServeAs { account: Some(account::testing::account("cairn", 7)), is_asked_for: false, stays_root: None };
        to.give(&at("state")).expect("given");
        to.give(&at("control.sock")).expect("given");
        for (name, expected) in [
            ("state", 7),
            ("state/zones", 7),
            ("state/cache", 7),
            ("state/zones/a.example", 7),
            ("control.sock", 7),
            ("state/theirs", 8),
            ("state/two-names", 0),
            ("state/link", 0),
            ("elsewhere", 0),
        ] {
            let meta = fs::symlink_metadata(at(name)).expect(name);
            assert_eq!((meta.uid(), meta.gid()), (expected, expected), "{name}");
        }
        assert!(to.give(&at("missing")).is_err());
    }

    #[test]
    fn ids_of_a_user_namespace() {
        for (id, map, expected) in [
            (0, "0 1000 1", true),
            (1, "0 1000 1", false),
            (105, "0 1000 1\n1 100000 65536", true),
            (65_537, "0 1000 1\n1 100000 65536", false),
            (5, "", true),
            (u32::MAX, "0 0 4294967295", false),
        ] {
            assert_eq!(is_mapped(id, map), expected, "{id} {map}");
        }
    }
}
