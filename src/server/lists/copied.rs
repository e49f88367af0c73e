//! Which versions of the files of lists have been copied since the start, so that each is copied once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::state::Stamp;

/// The versions of files that have a copy, or that could not be copied, by the name of the list.
#[derive(Default)]
pub(super) struct Copied(BTreeMap<String, (PathBuf, Stamp)>);

impl Copied {
    /// Whether the list's file has to be copied. It counts as copied from then on.
    pub(super) fn is_due(&mut self, list: &str, file: &Path, version: Stamp) -> bool {
        let now = (file.to_owned(), version);
        self.0.insert(list.to_owned(), now.clone()) != Some(now)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::server::scratch::Scratch;

    #[test]
    fn each_version_of_each_file_is_copied_once() {
        let scratch = Scratch::new();
        let (one, other) = (scratch.write("one.txt", "a.example\n"), scratch.path().join("other.txt"));
        let version = |path: &Path| Stamp::of(&fs::metadata(path).expect("it is there"));
        let mut copied = Copied::default();
        let first = version(&one);
        assert_eq!([copied.is_due("ads", &one, first), copied.is_due("ads", &one, first)], [true, false]);
        // The same file under another name, which the list's `source` is now.
        fs::rename(&one, &other).expect("a folder of our own");
        assert_eq!(version(&other), first);
        assert_eq!([copied.is_due("ads", &other, first), copied.is_due("ads", &other, first)], [true, false]);
        assert!(copied.is_due("more", &other, first));
        scratch.write("other.txt", "a.example\nb.example\n");
        assert!(copied.is_due("ads", &other, version(&other)));
    }
}
