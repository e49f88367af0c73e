//! Files of the system, seen below a root: `/` in service, a folder in tests.
//!
//! A file is replaced in one step by a new one with the mode and owner that it shall have; a link keeps its target as it was
//! written. Nothing here decides what is written.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Component, Path, PathBuf};

use crate::limits::switch::{LINKS_FOLLOWED_MAX, SYSTEM_FILE_BYTES_MAX};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Absent,
    File {
        bytes: Vec<u8>,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    /// With the target as it is written, relative or not.
    Link {
        target: PathBuf,
    },
    /// A folder, a socket or a device: nothing that is ever changed.
    Other,
}

impl Node {
    /// A new file of root.
    pub fn new_file(text: impl Into<Vec<u8>>) -> Node {
        Node::File { bytes: text.into(), mode: 0o644, uid: 0, gid: 0 }
    }

    /// The same file with another content.
    pub fn with_text(&self, text: impl Into<Vec<u8>>) -> Node {
        match self {
            Node::File { mode, uid, gid, .. } => Node::File { bytes: text.into(), mode: *mode, uid: *uid, gid: *gid },
            Node::Absent | Node::Link { .. } | Node::Other => Node::new_file(text),
        }
    }

    /// The content of a file; what is no UTF-8 is nothing that could be edited.
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::File { bytes, .. } => std::str::from_utf8(bytes).ok(),
            Node::Absent | Node::Link { .. } | Node::Other => None,
        }
    }

    /// The same kind with the same content, whoever owns it.
    pub fn is_same(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::File { bytes, .. }, Node::File { bytes: others, .. }) => bytes == others,
            (one, other) => one == other,
        }
    }
}

/// A root, and everything below it.
#[derive(Clone, Debug)]
pub struct View {
    root: PathBuf,
}

impl View {
    /// All paths are looked for below `root`.
    pub fn new(root: impl Into<PathBuf>) -> View {
        View { root: root.into() }
    }

    /// Whether this is the running system itself.
    pub fn is_whole_system(&self) -> bool {
        self.root == Path::new("/")
    }

    fn real(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// What is at the path itself; a link is not followed.
    pub fn node(&self, path: &Path) -> io::Result<Node> {
        let real = self.real(path);
        let meta = match fs::symlink_metadata(&real) {
            Ok(meta) => meta,
            // A folder on the way is missing, or is no folder.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Node::Absent),
            Err(error) => return Err(error),
        };
        if meta.is_symlink() {
            return Ok(Node::Link { target: fs::read_link(&real)? });
        }
        if !meta.is_file() {
            return Ok(Node::Other);
        }
        let (file, meta) = read_file(&real)?;
        let mut bytes = Vec::new();
        file.take(SYSTEM_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > SYSTEM_FILE_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("has more than {SYSTEM_FILE_BYTES_MAX} octets")));
        }
        Ok(Node::File { bytes, mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid() })
    }

    /// The path at which the links that start here end, whether or not anything is there; `None` for a circle.
    pub fn end_of_links(&self, path: &Path) -> Option<PathBuf> {
        let mut at = path.to_owned();
        for _ in 0..LINKS_FOLLOWED_MAX {
            match self.node(&at) {
                Ok(Node::Link { target }) => at = target_of(&at, &target),
                Ok(Node::Absent | Node::File { .. } | Node::Other) | Err(_) => return Some(at),
            }
        }
        None
    }

    /// The text of the file at the end of the links; `None` where there is no such file or no text.
    pub fn text(&self, path: &Path) -> Option<String> {
        let node = self.node(&self.end_of_links(path)?).ok()?;
        node.text().map(str::to_owned)
    }

    /// What is mounted where (proc_pid_mountinfo(5)); the kernel's files have no length, and a root of tests has none.
    pub fn mounts(&self) -> String {
        let mut text = String::new();
        let read = fs::File::open(self.real(Path::new("/proc/self/mountinfo")))
            .and_then(|file| file.take(SYSTEM_FILE_BYTES_MAX).read_to_string(&mut text));
        read.map(|_| text).unwrap_or_default()
    }

    /// Whether anything is there, be it a link that leads nowhere.
    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.real(Path::new(path))).is_ok()
    }

    /// Names in a folder, in order; none if there is no such folder.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.real(Path::new(folder))).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// The folders above `path` that are not there, the uppermost first.
    pub fn missing_folders(&self, path: &Path) -> Vec<PathBuf> {
        let above = path.ancestors().skip(1).filter(|folder| folder.parent().is_some());
        let mut missing: Vec<PathBuf> = above.take_while(|folder| !self.real(folder).exists()).map(Path::to_owned).collect();
        missing.reverse();
        missing
    }

    pub fn make_folder(&self, folder: &Path, mode: u32) -> io::Result<()> {
        let real = self.real(folder);
        match fs::create_dir(&real) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        }
        // Whatever the umask says: others must be able to read the system's configuration.
        fs::set_permissions(&real, fs::Permissions::from_mode(mode))
    }

    /// Only if nothing is in it.
    pub fn remove_empty_folder(&self, folder: &Path) -> io::Result<()> {
        match fs::remove_dir(self.real(folder)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
            other => other,
        }
    }

    /// Owner and mode of what is at the end of the path.
    pub fn rights(&self, path: &Path) -> io::Result<(u32, u32)> {
        fs::metadata(self.real(path)).map(|meta| (meta.uid(), meta.mode()))
    }

    /// Puts `node` at the path in one step. `in_place` keeps the file that is there and changes its content: a mounted file
    /// cannot be replaced.
    pub fn put(&self, path: &Path, node: &Node, in_place: bool) -> io::Result<()> {
        let real = self.real(path);
        match node {
            Node::Absent => match fs::remove_file(&real) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            },
            Node::File { bytes, .. } if in_place => {
                let mut file = fs::OpenOptions::new().write(true).truncate(true).open(&real)?;
                file.write_all(bytes)?;
                return file.sync_all();
            }
            Node::File { bytes, mode, uid, gid } => {
                let beside = self.clean_beside(path)?;
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
                let done = write_as(&mut file, bytes, (*mode, *uid, *gid)).and_then(|()| fs::rename(&beside, &real));
                done.inspect_err(|_| drop(fs::remove_file(&beside)))?;
            }
            Node::Link { target } => {
                let beside = self.clean_beside(path)?;
                symlink(target, &beside)?;
                fs::rename(&beside, &real).inspect_err(|_| drop(fs::remove_file(&beside)))?;
            }
            Node::Other => return Err(io::Error::other("is no file")),
        }
        real.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    }

    /// The name under which a new file is written first; what a stopped process left there is removed.
    pub fn clean_beside(&self, path: &Path) -> io::Result<PathBuf> {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".cairn-new");
        let beside = self.real(path).with_file_name(name);
        match fs::remove_file(&beside) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(error),
            _ => Ok(beside),
        }
    }
}

/// The file at the path itself, and what it is. Who may change the folder may have put a link or a FIFO in its place since the
/// last look: neither is followed or waited for.
fn read_file(real: &Path) -> io::Result<(fs::File, fs::Metadata)> {
    let file = fs::File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(real)?;
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(io::Error::other("is no file any more")) }
}

fn write_as(file: &mut fs::File, bytes: &[u8], (mode, uid, gid): (u32, u32, u32)) -> io::Result<()> {
    file.write_all(bytes)?;
    let meta = file.metadata()?;
    if (meta.uid(), meta.gid()) != (uid, gid) {
        match fchown(&*file, Some(uid), Some(gid)) {
            // Tests without the rights of root make files of their own user.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && meta.uid() != 0 => {}
            other => other?,
        }
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Where a link at `link` leads, without `..` and without the old name of /run.
fn target_of(link: &Path, target: &Path) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in link.parent().unwrap_or(Path::new("/")).join(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    match path.strip_prefix("/var/run") {
        Ok(below) => Path::new("/run").join(below),
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a file that is replaced by a FIFO between two looks would be.
    #[test]
    fn only_a_file_is_read() {
        let scratch = std::env::temp_dir().join(format!("cairn-view-{}", std::process::id()));
        fs::create_dir_all(&scratch).expect("a folder");
        let fifo = scratch.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("a FIFO");
        symlink("fifo", scratch.join("link")).expect("a link");
        assert!(read_file(&fifo).is_err() && read_file(&scratch.join("link")).is_err());
        fs::remove_dir_all(&scratch).expect("it is ours");
    }

    #[test]
    fn links_lead_somewhere() {
        for (link, target, expected) in [
            ("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/stub-resolv.conf"),
            ("/etc/resolv.conf", "/var/run/NetworkManager/resolv.conf", "/run/NetworkManager/resolv.conf"),
            ("/etc/resolv.conf", "resolv.conf.static", "/etc/resolv.conf.static"),
            ("/etc/resolv.conf", "../../../mnt/./wsl/resolv.conf", "/mnt/wsl/resolv.conf"),
        ] {
            assert_eq!(target_of(Path::new(link), Path::new(target)), Path::new(expected), "{link} -> {target}");
        }
    }
}
