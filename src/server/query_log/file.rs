//! The file that a log is appended to: opened without following a link that somebody else may have put there, begun anew when it is
//! full, opened again at a reload, and never waited for.
//!
//! Others may rename or remove the file. Before it is begun anew, its path must still lead to it: then it is renamed, and the older ones
//! move up. Otherwise nothing is renamed, so that no older file is lost for nothing. In both cases the path is opened again, which makes
//! the file where there is none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Readable for the group of the server's account, such as a collector of logs.
const MODE: u32 = 0o640;

/// Makes the file where there is none, before the server becomes another user.
pub(in crate::server) fn make(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new().create_new(true).append(true).mode(MODE).custom_flags(libc::O_NOFOLLOW).open(path);
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// An open log.
pub(super) struct LogFile {
    place: Place,
    /// Octets in it.
    size: u64,
    /// The last write ended within a line.
    is_torn: bool,
}

enum Place {
    Output(io::Stdout),
    File { path: PathBuf, file: File, is_regular: bool },
}

impl LogFile {
    /// `None`: standard output.
    pub(super) fn open(path: Option<&Path>) -> io::Result<LogFile> {
        let Some(path) = path else {
            return Ok(LogFile { place: Place::Output(io::stdout()), size: 0, is_torn: false });
        };
        // A pipe that nobody reads must not hold this thread.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().create(true).append(true).mode(MODE).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_fifo() && !kind.is_char_device() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "this is neither a file nor a pipe"));
        }
        let place = Place::File { path: path.to_owned(), file, is_regular: kind.is_file() };
        Ok(LogFile { place, size: metadata.size(), is_torn: false })
    }

    /// Appends whole lines. After an error some of them may be there; what comes next begins on a line of its own.
    pub(super) fn append(&mut self, mut lines: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.write(b"\n")?;
            self.is_torn = false;
        }
        while !lines.is_empty() {
            match self.write(lines) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.is_torn = lines[written - 1] != b'\n';
                    lines = &lines[written..];
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = match &mut self.place {
            Place::Output(output) => output.write(octets).and_then(|written| output.flush().map(|()| written)),
            Place::File { file, .. } => file.write(octets),
        }?;
        self.size += written as u64;
        Ok(written)
    }

    /// Whether another one has to be begun.
    pub(super) fn is_full(&self, max_size: u64) -> bool {
        max_size > 0 && self.size >= max_size && matches!(self.place, Place::File { is_regular: true, .. })
    }

    /// Renames FILE.1 to FILE.2 and so on, the file itself to FILE.1, and begins a new one. Of the older ones `keep` stay.
    pub(super) fn begin_anew(&mut self, keep: usize) -> io::Result<()> {
        let Place::File { path, file, .. } = &self.place else { return Ok(()) };
        let path = path.clone();
        if leads_to(&path, file)? {
            move_up(&path, keep)?;
        }
        *self = LogFile::open(Some(&path))?;
        Ok(())
    }
}

/// Whether the path leads to this file.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        there => {
            let (there, here) = (there?, file.metadata()?);
            Ok((there.dev(), there.ino()) == (here.dev(), here.ino()))
        }
    }
}

fn move_up(path: &Path, keep: usize) -> io::Result<()> {
    let numbered = |number: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if keep > 0 { fs::rename(path, numbered(1)) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::super::super::scratch::Scratch;
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn full_files_are_renamed_and_the_oldest_goes() {
        let scratch = Scratch::new();
        let path = scratch.path().join("queries.json");
        let mut log = LogFile::open(Some(&path)).expect("a folder of our own");
        for number in 0..5 {
            assert!(!log.is_full(4));
            log.append(format!("{number}..\n").as_bytes()).expect("room");
            assert!(log.is_full(4) && !log.is_full(5) && !log.is_full(0));
            log.begin_anew(2).expect("a folder of our own");
        }
        assert_eq!(read(&path), "");
        let numbered = |number: u32| read(&scratch.path().join(format!("queries.json.{number}")));
        assert_eq!([1, 2, 3].map(numbered), ["4..\n", "3..\n", ""]);
        log.append(b"last\n").expect("room");
        log.begin_anew(0).expect("a folder of our own");
        assert_eq!((read(&path), numbered(1)), (String::new(), "4..\n".to_owned()));
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o640);
    }

    /// logrotate, or a person, has been there first.
    #[test]
    fn a_file_that_somebody_has_taken_away_is_made_again_and_the_older_ones_stay() {
        let scratch = Scratch::new();
        let path = scratch.path().join("queries.json");
        let (older, oldest) = (scratch.write("queries.json.1", "older"), scratch.write("queries.json.2", "oldest"));
        let begun_anew = |change: &dyn Fn()| {
            let mut log = LogFile::open(Some(&path)).expect("a folder of our own");
            log.append(b"full\n").expect("room");
            change();
            log.begin_anew(2).expect("a folder of our own");
            log.append(b"next\n").expect("room");
            assert_eq!((read(&older), read(&oldest)), ("older".to_owned(), "oldest".to_owned()));
            read(&path)
        };
        assert_eq!(begun_anew(&|| fs::remove_file(&path).expect("it is there")), "next\n");
        let replaced = || {
            fs::rename(&path, scratch.path().join("taken")).expect("it is there");
            fs::write(&path, "other\n").expect("a folder of our own");
        };
        assert_eq!(begun_anew(&replaced), "other\nnext\n");
    }

    #[test]
    fn what_was_there_stays_and_counts() {
        let scratch = Scratch::new();
        let path = scratch.write("queries.json", "old\n");
        let mut log = LogFile::open(Some(&path)).expect("a file of our own");
        assert!(log.is_full(4));
        log.append(b"new\n").expect("room");
        assert_eq!(read(&path), "old\nnew\n");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next() {
        let scratch = Scratch::new();
        let path = scratch.path().join("queries.json");
        let mut log = LogFile::open(Some(&path)).expect("a folder of our own");
        log.append(b"whole\nhal").expect("room");
        log.append(b"next\n").expect("room");
        assert_eq!(read(&path), "whole\nhal\nnext\n");
    }

    #[test]
    fn places_that_cannot_be_written_are_errors_and_hold_nobody() {
        let scratch = Scratch::new();
        let pipe = scratch.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).expect("a pipe");
        let error = |path: &Path| LogFile::open(Some(path)).map(drop).expect_err("cannot be opened").raw_os_error();
        assert_eq!(error(&pipe), Some(libc::ENXIO));
        assert_eq!(error(scratch.path()), Some(libc::EISDIR));
        let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&pipe).expect("a pipe");
        let mut log = LogFile::open(Some(&pipe)).expect("somebody reads");
        assert!(!log.is_full(1));
        let mut written = 0;
        let full = loop {
            match log.append(&[b'x'; 4096]) {
                Ok(()) => written += 4096,
                Err(error) => break error.kind(),
            }
        };
        assert!(written >= 4096);
        assert_eq!(full, ErrorKind::WouldBlock);
        drop(reader);
        assert_eq!(log.append(b"more\n").map_err(|error| error.kind()), Err(ErrorKind::BrokenPipe));
    }

    #[test]
    fn a_link_is_not_followed_where_the_file_is_made() {
        let scratch = Scratch::new();
        let (path, elsewhere) = (scratch.path().join("queries.json"), scratch.path().join("elsewhere"));
        std::os::unix::fs::symlink(&elsewhere, &path).expect("a link");
        make(&path).expect("what is there stays");
        assert!(!elsewhere.exists());
        let new = scratch.path().join("new.json");
        make(&new).expect("a folder of our own");
        assert_eq!(fs::metadata(&new).expect("it is there").mode() & 0o777, 0o640);
    }
}
