//! The file that a list is read from: the source itself, or the copy of what was fetched from a URL.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use super::copy::{Copy, CopyFacts, file_mark};
use super::read::each_line;
use super::state::Stamp;
use crate::config::{ListSettings, ListSource};
use crate::limits::lists::LIST_LINE_BYTES_USUAL;
use crate::policy::{Dialect, ListReader, Rule, Tally};
use crate::server::passed_file;

/// An open source, which may be read several times.
pub(super) struct Source {
    file: File,
    /// In messages.
    called: String,
    pub(super) stamp: Stamp,
}

/// Takes each rule with its line: the number, from 1, and the text.
pub(super) type EachRule<'e> = dyn FnMut((u64, &[u8]), &Rule<'_>) + 'e;

/// Where the data of a list is, if anywhere.
pub(super) fn path(list: &ListSettings, state_folder: Option<&Path>) -> Result<PathBuf, String> {
    match (&list.source, state_folder) {
        (Some(ListSource::File(path)), _) => Ok(path.clone()),
        (Some(ListSource::Url(_)), Some(folder)) => Ok(Copy::of(list.name(), folder).path().to_owned()),
        (Some(ListSource::Url(url)), None) => Err(format!("{url} cannot be fetched without a `state-dir`")),
        (None, _) => Err("it has no source".to_owned()),
    }
}

/// Which version of the file is there now.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
}

impl Source {
    /// The copy of what the file of this list had when it was read last, where there is one.
    pub(super) fn kept(list: &ListSettings, state_folder: Option<&Path>) -> Option<Source> {
        Source::kept_unless(list, state_folder, |_| false)
    }

    /// The same where the copy is of another version of the file than this.
    pub(super) fn kept_of_other(list: &ListSettings, state_folder: Option<&Path>, version: Stamp) -> Option<Source> {
        Source::kept_unless(list, state_folder, |facts| facts.file == Some(version))
    }

    fn kept_unless(list: &ListSettings, state_folder: Option<&Path>, is_useless: impl Fn(&CopyFacts) -> bool) -> Option<Source> {
        let Some(ListSource::File(path)) = &list.source else { return None };
        let copy = Copy::of(list.name(), state_folder?);
        copy.facts().filter(|facts| facts.url == file_mark(path) && !is_useless(facts))?;
        Source::at(copy.path(), copy.path().display().to_string(), list).ok()
    }

    pub(super) fn open(list: &ListSettings, state_folder: Option<&Path>) -> Result<Source, String> {
        let path = path(list, state_folder)?;
        let called = path.display().to_string();
        Source::at(&path, called, list)
    }

    /// The list in the file that was just fetched.
    pub(super) fn arrived(path: &Path, list: &ListSettings) -> Result<Source, String> {
        Source::at(path, "what was fetched".to_owned(), list)
    }

    fn at(path: &Path, called: String, list: &ListSettings) -> Result<Source, String> {
        let told = |error: io::Error| match &list.source {
            Some(ListSource::Url(url)) if error.kind() == io::ErrorKind::NotFound => {
                format!("{url} has not been fetched yet, and there is no copy")
            }
            _ => format!("{called}: {}", plain_words(&error)),
        };
        let file = passed_file::open(path).map_err(told)?;
        let stamp = Stamp::of(&file.metadata().map_err(told)?);
        Ok(Source { file, called, stamp })
    }

    /// About as many names as it has.
    pub(super) fn expected_names(&self) -> usize {
        let octets = self.file.metadata().map_or(0, |metadata| metadata.len());
        usize::try_from(octets / LIST_LINE_BYTES_USUAL).unwrap_or(usize::MAX)
    }

    /// How many rules it has, those that are there twice included.
    pub(super) fn rule_count(&mut self, list: &ListSettings) -> Option<u64> {
        let mut count = 0;
        self.read(list, &mut |_| count += 1).ok().map(|_| count)
    }

    /// Reads all lines; each rule goes to `each`.
    pub(super) fn read(&mut self, list: &ListSettings, each: &mut dyn FnMut(&Rule<'_>)) -> Result<Tally, String> {
        let mut reader = ListReader::new(dialect(list));
        let read = self.file.rewind().and_then(|()| each_line(&self.file, &mut |line| reader.line(line, &mut |rule| each(&rule))));
        let now = read.and_then(|()| self.file.metadata());
        match now.map_err(|error| format!("{}: {}", self.called, plain_words(&error))) {
            Err(what) => Err(what),
            Ok(now) if Stamp::of(&now) != self.stamp => Err(format!("{} changed while it was read", self.called)),
            Ok(_) if reader.is_web_page() => Err(format!("{} is a web page, and no list", self.called)),
            Ok(_) if reader.is_utf16() => {
                Err(format!("{} is in UTF-16, and lists are in UTF-8 (`iconv -f UTF-16 -t UTF-8` converts it)", self.called))
            }
            Ok(_) => Ok(reader.into_tally()),
        }
    }

    pub(super) fn each_rule(&mut self, list: &ListSettings, each: &mut EachRule<'_>) -> io::Result<()> {
        let mut reader = ListReader::new(dialect(list));
        let mut number = 0;
        self.file.rewind()?;
        each_line(&self.file, &mut |line| {
            number += 1;
            reader.line(line, &mut |rule| each((number, line), &rule));
        })
    }
}

fn dialect(list: &ListSettings) -> Dialect {
    let ListSettings { format, matching, action, single_labels, .. } = *list;
    Dialect { format, matching, action, single_labels, redirects: list.may_redirect() }
}

fn plain_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => passed_file::unreadable(error),
        _ => error.to_string(),
    }
}
