//! What is known of one list: how it was read last, and which version of its file that was.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::config::ListSettings;
use crate::policy::Tally;

/// One list as it was read last.
#[derive(Clone, Default)]
pub(super) struct ListState {
    pub(super) settings: ListSettings,
    pub(super) tally: Tally,
    /// Why it is not as its source says.
    pub(super) problem: Option<String>,
    pub(super) stamp: Option<Stamp>,
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp { inode: metadata.ino(), size: metadata.len(), changed: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

impl ListState {
    pub(super) fn told(&self) -> Option<String> {
        self.problem.as_ref().map(|problem| format!("list {}: {problem}", self.settings.name()))
    }
}
