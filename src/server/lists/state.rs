//! What is known of one list: how it was read last, and which version of its file that was.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::config::ListSettings;
use crate::policy::Tally;

/// One list as it was read last.
#[derive(Clone, Default)]
pub(super) struct ListState {
    pub(super) settings: ListSettings,
    pub(super) tally: Tally,
    /// Why it is not as its source says.
    pub(super) problem: Option<String>,
    /// Of the file that was looked at last, whether its data was taken or not.
    pub(super) seen: Option<Stamp>,
    /// Its names are in the table.
    pub(super) is_loaded: bool,
    /// They are those of the copy in the state folder, because its file could not be read since the start.
    pub(super) is_from_copy: bool,
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
    /// Are the lines to be read as before?
    pub(super) fn has_dialect_of(&self, other: &ListSettings) -> bool {
        let of =
            |list: &ListSettings| (list.format, list.matching, list.action, list.single_labels, list.may_redirect(), list.source.clone());
        of(&self.settings) == of(other)
    }

    pub(super) fn told(&self) -> Option<String> {
        let kept = match (self.is_loaded, self.is_from_copy) {
            (true, false) => ", so it stays as it was read before",
            (true, true) => ", so the copy of what was read before the start is used",
            (false, _) => "",
        };
        self.problem.as_ref().map(|problem| format!("list {}: {problem}{kept}", self.settings.name()))
    }
}
