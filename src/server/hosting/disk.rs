//! The calls that keep a journal on a disk, behind a narrow door: tests put a disk in its place that fails.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use crate::server::state;

/// Where journals are kept.
pub(in crate::server) trait Disk: Send + Sync {
    /// The content of a file; `None`: there is none.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Replaces a file in one step, which is on the disk when this returns.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Opens a file that is there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>>;
}

/// One file that is written at its end.
pub(in crate::server) trait OpenFile: Send {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// What was written is on the disk when this returns.
    fn sync(&mut self) -> io::Result<()>;

    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// The disk of this machine.
pub(in crate::server) struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        state::replace(path, bytes)?;
        File::open(folder)?.sync_all()
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(OpenOptions::new().write(true).mode(0o600).open(path)?))
    }
}

impl OpenFile for File {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.sync_all()
    }
}
