//! The text of a zone's file as it was read, and the file with another version of the zone in it.
//!
//! Records that stay keep their lines octet for octet; the file is replaced in one step, and only if it still says what was read.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::load::read_bytes;
use super::zone_file::{is_same_file, opener, replace_keeping_owner};
use crate::config::Problem;
use crate::record::Name;
use crate::zone::{Delta, Diff, MasterFile, Refusal, Severity, Zone, have_same_data, load_zone};

pub(super) struct ZoneText {
    zone: Name,
    path: PathBuf,
    text: Vec<u8>,
}

/// Why a file does not say what its zone is.
#[derive(Debug)]
pub(super) enum ZoneTextError {
    /// It has mistakes.
    Broken(Problem),
    Refused(Refusal),
    Unwritable(PathBuf, io::Error),
    /// A command is changing it, or an editor does all the time.
    Busy,
}

impl fmt::Display for ZoneTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ZoneTextError::Broken(problem) => problem.fmt(f),
            ZoneTextError::Refused(refusal) => refusal.fmt(f),
            ZoneTextError::Unwritable(path, error) => write!(f, "{}: {error}", path.display()),
            ZoneTextError::Busy => f.write_str("the file is being changed by others"),
        }
    }
}

impl ZoneText {
    pub(super) fn read(zone: &Name, path: &Path) -> Result<ZoneText, ZoneTextError> {
        // A link stays a link. What the file includes is beside the link.
        let canonical = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let text = read_bytes(&canonical).map_err(ZoneTextError::Broken)?;
        Ok(ZoneText { zone: zone.clone(), path: canonical, text })
    }

    /// The zone as the file says it.
    pub(super) fn zone(&self) -> Result<Zone, ZoneTextError> {
        self.zone_of(self.text.clone())
    }

    fn zone_of(&self, text: Vec<u8>) -> Result<Zone, ZoneTextError> {
        let told = |problems: Vec<crate::zone::Problem>| {
            let first = problems.into_iter().find(|problem| problem.severity == Severity::Error).map(Problem::from);
            ZoneTextError::Broken(first.unwrap_or_else(|| Problem::of_file(self.shown(), "found no zone".to_owned())))
        };
        load_zone(&self.zone, &self.shown(), &mut opener(Some(text), &self.path)).map(|(zone, _)| zone).map_err(told)
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes `zone`, which the text says in another version, into the file. False if the file says something else by now.
    pub(super) fn replace_with(&self, zone: &Zone) -> Result<bool, ZoneTextError> {
        let unwritable = |error: io::Error| ZoneTextError::Unwritable(self.path.clone(), error);
        // Commands hold this lock while they change the file. One that replaces it leaves the lock of the old file behind.
        let held = File::open(&self.path).map_err(unwritable)?;
        match held.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(ZoneTextError::Busy),
            // A file system without locks.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        if !is_same_file(&held, &self.path) {
            return Ok(false);
        }
        let mut open = opener(Some(self.text.clone()), &self.path);
        let broken = |_| ZoneTextError::Refused(Refusal::Entangled);
        let file = MasterFile::read(&self.zone, &self.shown(), None, &mut open).map_err(broken)?;
        let delta = Delta::of_diff(&file, &Diff::between(&self.zone()?, zone));
        let edited = file.edited(&delta, &mut opener(None, &self.path)).map_err(ZoneTextError::Refused)?;
        let says = self.zone_of(edited.text().to_vec())?;
        if !have_same_data(&says, zone) {
            return Err(ZoneTextError::Refused(Refusal::Entangled));
        }
        replace_keeping_owner(&self.path, edited.text(), &self.text).map_err(unwritable)
    }
}
