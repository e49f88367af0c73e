//! The copy of a list: its data, which the server starts with, and beside it what is known of its source. Of a list that is fetched it is
//! what came last; of a list that is a file, what the file had when it was read last, for a start at which the file is missing or broken.
//!
//! Data arrives in a file beside the copy. It takes the place of the copy when it has been read and found good, in one step.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::state::Stamp;
use crate::env::WallTime;
use crate::limits::fetch::COPY_FACTS_BYTES_MAX;
use crate::limits::lists::LIST_BYTES_MAX;
use crate::server::fetch::Validators;
use crate::server::{passed_file, state};

/// Folder of the copies, in `state-dir`.
const FOLDER: &str = "lists";

/// Where the copy of one list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    path: PathBuf,
}

/// What is known of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CopyFacts {
    /// The URL or the file that it is of.
    pub(super) url: String,
    pub(super) validators: Validators,
    /// Octets of the copy. With another size it is not the file that was fetched.
    pub(super) bytes: u64,
    /// When the server last said that the copy is what it has: seconds since 1970.
    pub(super) fetched: u64,
    /// The version of the file that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<Stamp>,
}

impl CopyFacts {
    pub(super) fn fetched(&self) -> WallTime {
        WallTime(self.fetched)
    }
}

impl Copy {
    pub(super) fn of(list: &str, state_folder: &Path) -> Copy {
        Copy { path: state_folder.join(FOLDER).join(file_name(list)) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// `None` without a copy, and where it is not known whether the copy is what was fetched.
    pub(super) fn facts(&self) -> Option<CopyFacts> {
        let size = fs::metadata(&self.path).ok()?.len();
        let mut text = Vec::new();
        passed_file::open(&self.beside("facts")).ok()?.take(COPY_FACTS_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice::<CopyFacts>(&text).ok().filter(|facts| facts.bytes == size)
    }

    /// Takes the data of a fetch.
    pub(super) fn arriving(&self) -> Arriving {
        Arriving { path: self.beside("new"), file: None }
    }

    /// What has arrived becomes the copy.
    pub(super) fn replace(&self, arrived: &Path, facts: &CopyFacts) -> io::Result<()> {
        // Never facts of other data, whenever the power fails.
        match fs::remove_file(self.beside("facts")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::rename(arrived, &self.path)?,
        }
        self.keep(facts)
    }

    /// Copies a file that was read, where that is still the same version of it and there is no copy of it yet.
    pub(super) fn keep_file(&self, source: &Path, version: Stamp, now: WallTime) -> io::Result<()> {
        let url = file_mark(source);
        if self.facts().is_some_and(|facts| facts.file == Some(version) && facts.url == url) {
            return Ok(());
        }
        let file = passed_file::open(source)?;
        // A fetch for another source of this list may still write to its own file.
        let mut arriving = Arriving { path: self.beside("read"), file: None };
        io::copy(&mut (&file).take(LIST_BYTES_MAX), &mut arriving)?;
        let bytes = arriving.complete()?;
        let is_same = |metadata: &fs::Metadata| Stamp::of(metadata) == version;
        if !is_same(&file.metadata()?) {
            // The next version is read and kept soon.
            return Ok(());
        }
        let facts = CopyFacts { url, validators: Validators::default(), bytes, fetched: now.0, file: Some(version) };
        self.replace(arriving.path(), &facts)
    }

    /// Keeps newer facts of the same data.
    pub(super) fn keep(&self, facts: &CopyFacts) -> io::Result<()> {
        state::replace(&self.beside("facts"), &serde_json::to_vec(facts)?)
    }

    /// The names of copies have no dots.
    fn beside(&self, kind: &str) -> PathBuf {
        self.path.with_extension(kind)
    }
}

/// How the facts name a file: alike from whatever folder the server was started, and however its path is written.
pub(super) fn file_mark(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).display().to_string()
}

/// A longer name of a file ends in a hash: file systems have 255 octets, and the files beside the copy have longer names.
const WHOLE_NAME_BYTES: usize = 128;

/// The name of a list as the name of a file: whatever else it has, no `/` and no dot.
fn file_name(name: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    let escaped = |octet: u8| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02x}") };
    let whole: String = name.bytes().map(escaped).collect();
    match whole.get(..WHOLE_NAME_BYTES) {
        Some(first) if whole.len() > WHOLE_NAME_BYTES => format!("{first}%{:016x}", SipHasher13::new().hash(name.as_bytes())),
        _ => whole,
    }
}

/// A file that data is written to. It is made with the first data, and goes with this unless it becomes the copy.
pub(super) struct Arriving {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Arriving {
    /// All of it is on the disk. Returns its size.
    pub(super) fn complete(&mut self) -> io::Result<u64> {
        let file = self.file()?;
        file.flush()?;
        file.get_ref().sync_all()?;
        Ok(file.get_ref().metadata()?.len())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn file(&mut self) -> io::Result<&mut BufWriter<File>> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                if let Some(folder) = self.path.parent() {
                    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
                }
                // What a killed process has left.
                let _ = fs::remove_file(&self.path);
                // `create_new` does not follow a link.
                let file = File::options().write(true).create_new(true).mode(0o600).open(&self.path)?;
                Ok(none.insert(BufWriter::new(file)))
            }
        }
    }
}

impl Write for Arriving {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.file()?.write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It is not there any more where it became the copy.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::scratch::Scratch;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn names_of_files() {
        let (one, other) = ("x/".repeat(127), "x/".repeat(126));
        for (name, expected) in [("ads", "ads".to_owned()), ("../A b\u{e9}", "%2e%2e%2fA%20b%c3%a9".to_owned())] {
            assert_eq!(file_name(name), expected);
        }
        assert_eq!(file_name(&one).len(), 145);
        assert_ne!(file_name(&one), file_name(&other));
    }

    #[test]
    fn data_arrives_whole_or_not_at_all() {
        let scratch = Scratch::new();
        let copy = Copy::of("a/b.c", scratch.path());
        assert_eq!(copy.path(), scratch.path().join("lists/a%2fb%2ec"));
        let files = || fs::read_dir(scratch.path().join("lists")).map_or(0, Iterator::count);
        drop(copy.arriving());
        assert_eq!((files(), copy.facts()), (0, None));
        let mut arriving = copy.arriving();
        arriving.write_all(b"half").expect("room");
        assert_eq!(files(), 1);
        drop(arriving);
        assert_eq!(files(), 0, "what did not become the copy is gone");
        let mut arriving = copy.arriving();
        arriving.write_all(b"ads.example\n").expect("room");
        let bytes = arriving.complete().expect("room");
        let facts = CopyFacts { url: "https://a.example/".to_owned(), validators: Validators::default(), bytes, fetched: 7, file: None };
        copy.replace(arriving.path(), &facts).expect("one file system");
        drop(arriving);
        assert_eq!((fs::read(copy.path()).expect("a copy"), copy.facts()), (b"ads.example\n".to_vec(), Some(facts.clone())));
        assert_eq!(fs::metadata(copy.path()).expect("a copy").permissions().mode() & 0o777, 0o600);
        copy.keep(&CopyFacts { fetched: 9, ..facts }).expect("room");
        assert_eq!(copy.facts().map(|facts| facts.fetched), Some(9));
        fs::write(copy.path(), "another.example\n").expect("room");
        assert_eq!(copy.facts(), None, "somebody has changed the copy");
        fs::write(copy.path().with_extension("facts"), "{").expect("room");
        assert_eq!(copy.facts(), None);
        // An empty list is a file too.
        assert_eq!(copy.arriving().complete().expect("room"), 0);
    }
}
